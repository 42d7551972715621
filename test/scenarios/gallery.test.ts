/** Every story of the gallery holds, over its first seeds, and opens with its reason. */
import { join, relative } from 'node:path'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { meetsSometimes } from '../../sim/scenario/judge.js'
import { findScenarioFiles, loadScenarios } from '../../sim/scenario/load.js'
import type { RunResult } from '../../sim/scenario/result.js'
import { runScenario } from '../../sim/scenario/run.js'

const SEEDS = 2
const folder = join(import.meta.dirname, '../../scenarios')
const files = findScenarioFiles([folder])

describe('the gallery', () => {
  it('has at least fifteen stories', () => expect(files.length).toBeGreaterThanOrEqual(15))

  it.each(files.map((file) => [relative(folder, file), file]))('%s', async (_name, file) => {
    expect(readFileSync(file, 'utf8')).toMatch(/^# .+/)
    for (const { scenario } of await loadScenarios(file)) {
      expect(scenario.description).not.toBe('')
      const { sometimes } = scenario.expect
      const results: RunResult[] = []
      for (let seed = 1; seed <= scenario.run.seeds; seed++) {
        if (
          seed > SEEDS &&
          sometimes.every((wanted) => results.some(({ measures }) => meetsSometimes(measures, wanted)))
        )
          break
        const result = runScenario(scenario, { seed, file })
        expect(result.failures, `samsa replay ${result.token}`).toEqual([])
        expect(result.verdict).toBe('pass')
        results.push(result)
      }
      for (const wanted of sometimes)
        expect(
          results.some(({ measures }) => meetsSometimes(measures, wanted)),
          wanted.measure,
        ).toBe(true)
    }
  })
})
