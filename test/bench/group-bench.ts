/**
 * What a rebalance costs: requests of its members from the moment it begins until everybody has its assignment, per member, for groups of
 * different sizes. The same number for all of them says that messages grow with the members and not faster.
 */

import { readScenario } from '../../sim/scenario/read-scenario.js'
import { Run } from '../../sim/scenario/run.js'
import { busySeconds, type Figure } from './measure.js'

const SECOND = 1_000_000
const SIZES = [10, 50, 100]
const REBALANCE_APIS: ReadonlySet<string> = new Set(['JoinGroup', 'SyncGroup', 'LeaveGroup', 'Heartbeat'])

export function groupBench(): Figure[] {
  return SIZES.flatMap((members) => {
    const { requests, rebalances, seconds } = rebalance(members)
    const name = `rebalance of ${members} members on ${members * 5} partitions`
    return [
      { name: `${name}: requests`, value: requests / rebalances / members, unit: 'per member' },
      { name: `${name}: group's first 60 s`, value: seconds * 1e3, unit: 'ms CPU' },
    ]
  })
}

/** A group that forms; then one member dies and comes back, which makes two more rebalances. */
function rebalance(members: number): { requests: number; rebalances: number; seconds: number } {
  const read = readScenario({
    version: 1,
    name: 'rebalances',
    cluster: {
      config: { 'offsets.topic.num.partitions': 1 },
      topics: { orders: { partitions: members * 5, 'replication-factor': 3 } },
    },
    clients: { g: { consume: 'orders', group: 'g', members, 'session.timeout.ms': 6_000 } },
    steps: [{ kill: 'g-1', at: '20s', for: '12s' }],
    run: { until: '60s' },
  })
  if (!('scenario' in read)) throw new Error(JSON.stringify(read.problems))
  const run = new Run(read.scenario, { seed: 1 })
  let requests = 0
  let rebalances = 0
  let isRebalancing = false
  run.engine.trace.watch(['group.state', 'request.send'], (event) => {
    if (event.type === 'group.state') {
      if (event.data.to === 'Stable') rebalances++
      isRebalancing = event.data.to !== 'Stable'
    } else if (event.type === 'request.send' && isRebalancing && REBALANCE_APIS.has(event.data.api)) requests++
  })
  run.prepare()
  const seconds = busySeconds(() => run.advance(run.readyAt + 60 * SECOND))
  return { requests, rebalances, seconds }
}
