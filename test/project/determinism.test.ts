/** Same scenario and seed, same hash: twice, after other runs, watched or not, in a worker, on the wire as bytes. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readYaml } from '../../sim/scenario/load.js'
import { runScenario } from '../../sim/scenario/run.js'
import type { Scenario } from '../../sim/scenario/scenario.js'
import { safeSwarm } from '../../sim/search/swarm.js'

const CRASH = `
version: 1
name: crash
cluster: { config: { min.insync.replicas: 2 }, topics: { orders: { partitions: 2 } } }
clients:
  p1: { produce: orders, acks: all, every: 10ms, count: 200, keys: 5 }
  r1: { consume: orders, auto.offset.reset: earliest }
steps:
  - { kill: leader(orders-0), at: 500ms, for: 2s }
  - { power-loss: b2, at: 14s, for: 1s }
  - { partition: [[b3]], at: 16s, for: 3s }
run: { until: 25s }
`
const crash = readYaml(CRASH, 'crash.yaml')
const hash = (scenario: Scenario, seed: number, trace = false): string => runScenario(scenario, { seed, trace }).hash
const reference = hash(crash, 7)

describe('a run', () => {
  it('gives the same hash again', () => expect(hash(crash, 7)).toBe(reference))

  it('gives another hash with another seed', () => expect(hash(crash, 8)).not.toBe(reference))

  it('gives the same hash after other runs', () => {
    hash(safeSwarm(5), 5)
    expect(hash(crash, 7)).toBe(reference)
  })

  it('gives the same hash when somebody watches', () => expect(hash(crash, 7, true)).toBe(reference))

  it('gives the same hash when every message is encoded and decoded', () => {
    expect(hash({ ...crash, run: { ...crash.run, wire: 'bytes' } }, 7)).toBe(reference)
  })

  it('gives the same hash in a worker thread', async () => {
    const { runAll } = (await import(
      join(import.meta.dirname, '../../dist/sim/search/worker-pool.js')
    )) as typeof import('../../sim/search/worker-pool.js')
    const hashes: string[] = []
    const orders = [0, 1].map((order) => ({ order, scenario: crash, file: '', seed: 7 }))
    await runAll(orders, { jobs: 2, onAnswer: (answer) => 'result' in answer && hashes.push(answer.result.hash) > 0 })
    expect(hashes).toEqual([reference, reference])
  })

  it('gives the hash that every Node gives', () => expect(reference).toMatchInlineSnapshot(`"c56b18c028378354"`))

  it('does not depend on a step that comes later', () => {
    const shorter = runScenario({ ...crash, steps: crash.steps.slice(0, 2) }, { seed: 7, trace: true })
    const whole = runScenario(crash, { seed: 7, trace: true })
    const until = whole.readyAt + 15_900_000
    const upTo = (events: readonly { time: number; seq: number; type: string; node: string }[]): string[] =>
      events.filter((event) => event.time < until).map(({ seq, time, node, type }) => `${seq} ${time} ${node} ${type}`)
    expect(upTo(shorter.trace ?? [])).toEqual(upTo(whole.trace ?? []))
  })
})
