/** One file in both modes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { spreadLines } from '../../reports/spread.js'
import { loadScenarios } from '../../sim/scenario/load.js'
import { inModes } from '../../sim/scenario/modes.js'
import type { RunResult } from '../../sim/scenario/result.js'

const folder = mkdtempSync(join(tmpdir(), 'samsa-modes-'))
afterAll(() => rmSync(folder, { recursive: true }))

function write(text: string): string {
  const file = join(folder, 'story.yaml')
  writeFileSync(file, text)
  return file
}

describe('a scenario in both modes', () => {
  it('is two, named after their modes, each with what belongs to it', async () => {
    const text = 'version: 1\nname: crash\ncluster: { mode: [kraft, zookeeper], controllers: 1, zookeeper: 5 }\n'
    const [kraft, zookeeper, ...others] = (await loadScenarios(write(text))).map(({ scenario }) => scenario)
    expect(others).toEqual([])
    expect(kraft).toMatchObject({ name: 'crash (kraft)', cluster: { mode: 'kraft', controllers: 1 } })
    expect(zookeeper).toMatchObject({ name: 'crash (zookeeper)', cluster: { mode: 'zookeeper', controllers: 0 } })
    expect(zookeeper?.cluster.zookeeper.servers).toBe(5)
  })

  it('may be asked for in one of them', async () => {
    const file = write('version: 1\nname: crash\ncluster: { controllers: 5 }\n')
    const [only] = await loadScenarios(file, 'zookeeper')
    expect(only?.scenario).toMatchObject({ name: 'crash', cluster: { mode: 'zookeeper' } })
  })

  it('tells what is wrong once', async () => {
    const file = write('version: 1\nname: crash\ncluster: { mode: [kraft, zookeeper] }\nsteps: [{ kil: b1, at: 1s }]\n')
    const problems = await loadScenarios(file).catch((error: { problems: readonly unknown[] }) => error.problems)
    expect(problems).toHaveLength(1)
  })

  it('leaves alone what it does not understand', () => {
    for (const plain of ['text', null, { cluster: 7 }, { cluster: { mode: ['kraft', 'raft'] } }]) {
      expect(inModes(plain)).toEqual([plain])
    }
  })
})

describe('measures that a scenario shows', () => {
  const results = (...values: readonly (number | string)[]): RunResult[] =>
    values.map((value) => ({ measures: { m: value }, scenario: { run: { show: ['m'] } } }) as unknown as RunResult)

  it('are told with their spread', () => {
    const hundred = Array.from({ length: 100 }, (_, at) => 1_000 + ((at * 37) % 100))
    expect(spreadLines(results(...hundred))).toEqual(['m: median 1,049, 99 % 1,098, 1,000 to 1,099'])
  })

  it('are told as they are when there is one value, or they are no numbers', () => {
    expect(spreadLines(results(5, 5))).toEqual(['m: 5'])
    expect(spreadLines(results('b1', 'b2', 'b1'))).toEqual(['m: b1, b2'])
  })
})
