/** A group of a hundred members on five hundred partitions settles, and settles again when one dies. */
import { expect, it } from 'vitest'
import { readScenario } from '../../sim/scenario/read-scenario.js'
import { runScenario } from '../../sim/scenario/run.js'

it('a hundred members share five hundred partitions', () => {
  const read = readScenario({
    version: 1,
    name: 'a hundred members',
    cluster: { topics: { orders: { partitions: 500, 'replication-factor': 3 } } },
    clients: { g: { consume: 'orders', group: 'g', members: 100, 'session.timeout.ms': 6000 } },
    steps: [{ kill: 'g-50', at: '20s' }],
    expect: {
      always: ['one-owner-per-generation'],
      end: { 'g.members': 99, 'g.owners': 99, 'g.state': 'Stable', 'g.rebalances': '>= 2' },
    },
    run: { until: '50s' },
  })
  if (!('scenario' in read)) throw new Error(JSON.stringify(read.problems))
  const result = runScenario(read.scenario, { seed: 1 })
  expect(result.failures).toEqual([])
})
