/**
 * Every story of the gallery that makes sense in ZooKeeper mode holds there too. A story that says what is different "In ZooKeeper mode" in its comment, or
 * that has settings or nodes of KRaft, is left out; there are stories of that mode in a folder of their own.
 */
import { join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { UsageError } from '../../sim/kernel/errors.js'
import { findScenarioFiles, loadScenarios, type LoadedScenario } from '../../sim/scenario/load.js'
import { runScenario } from '../../sim/scenario/run.js'

const folder = join(import.meta.dirname, '../../scenarios')

const stories: LoadedScenario[] = []
for (const file of findScenarioFiles([folder])) {
  if (file.includes('/zookeeper/')) continue
  const loaded = await loadScenarios(file, 'zookeeper').catch((error: unknown) => {
    if (error instanceof UsageError) return []
    throw error
  })
  stories.push(...loaded.filter(({ scenario }) => !scenario.description.includes('In ZooKeeper mode')))
}

describe('the gallery in ZooKeeper mode', () => {
  it('has most of the stories', () => expect(stories.length).toBeGreaterThanOrEqual(35))

  it.each(stories.map(({ scenario, file }) => [relative(folder, file), scenario] as const))('%s', (_, scenario) => {
    const result = runScenario(scenario, { seed: 1 })
    expect(result.failures, `samsa replay ${result.token}`).toEqual([])
  })
})
