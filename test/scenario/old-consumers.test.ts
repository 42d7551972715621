/** Old consumers in scenario files: bad input with its place and mend, and runs of them that are the same however they are run. */
import { describe, expect, it } from 'vitest'
import { UsageError } from '../../sim/kernel/errors.js'
import { readYaml } from '../../sim/scenario/load.js'
import type { Scenario } from '../../sim/scenario/scenario.js'
import { runScenario } from '../../sim/scenario/run.js'
import { writeYaml } from '../../sim/scenario/write-yaml.js'

const CLUSTER = '{ mode: zookeeper, topics: { orders: { partitions: 2 } } }'

function yaml(client: string, cluster = CLUSTER): string {
  return `version: 1\nname: x\ncluster: ${cluster}\nclients:\n  g1: { consume: orders, ${client} }\nrun: { until: 20s }\n`
}

/** Problems as `message (mend)`; all of them stand in the client's line. */
function problems(text: string): string[] {
  try {
    readYaml(text, 'x.yaml')
    return []
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return error.problems.map(({ message, mend, place }) => {
      expect(place?.line).toBe(5)
      return `${message}${mend === undefined ? '' : ` (${mend})`}`
    })
  }
}

const OLD = 'group: shop, zookeeper.connect: zookeeper'

describe('a group with zookeeper.connect', () => {
  it.each([
    ['all servers', OLD],
    ['some servers, with their port', 'group: shop, zookeeper.connect: "z1:2181, z3"'],
    ['old settings', `${OLD}, auto.offset.reset: smallest, rebalance.max.retries: 2, members: 3, commit: sync`],
  ])('is one of old consumers: %s', (_what, client) => expect(problems(yaml(client))).toEqual([]))

  it.each([
    [
      'a server that is not there',
      'group: shop, zookeeper.connect: z9',
      'no such server of the ensemble: z9 (write zookeeper for all of the ensemble, or some of z1,z2,z3)',
    ],
    [
      'no server',
      'group: shop, zookeeper.connect: ""',
      'no such server of the ensemble:  (write zookeeper for all of the ensemble, or some of z1,z2,z3)',
    ],
    ['async commits', `${OLD}, commit: async`, 'old consumers commit and wait (write commit: sync)'],
    ['static members', `${OLD}, static: true`, 'old consumers have no static members (leave it out)'],
    [
      'a setting of the new consumer with another name',
      `${OLD}, session.timeout.ms: 6000`,
      "session.timeout.ms belongs to the new consumer (the old one's is zookeeper.session.timeout.ms)",
    ],
    [
      'a setting that only the new consumer has',
      `${OLD}, isolation.level: read_committed`,
      'isolation.level belongs to the new consumer (leave it out: the old one has nothing like it)',
    ],
    [
      'a value of the new consumer',
      `${OLD}, auto.offset.reset: latest`,
      "auto.offset.reset: latest is the new consumer's (write largest)",
    ],
    [
      'a setting with a slip',
      `${OLD}, rebalance.backof.ms: 1`,
      'unknown setting rebalance.backof.ms (did you mean rebalance.backoff.ms?)',
    ],
    [
      'what commit says',
      `${OLD}, auto.commit.enable: false`,
      'auto.commit.enable comes from commit: auto (leave it out)',
    ],
  ])('refuses %s', (_what, client, message) => expect(problems(yaml(client))).toEqual([message]))

  it('needs ZooKeeper mode', () => {
    expect(problems(yaml(OLD, '{ topics: { orders: { partitions: 2 } } }'))).toEqual([
      'old consumers keep their group in ZooKeeper, and KRaft mode has none (set cluster.mode: zookeeper, or leave zookeeper.connect out)',
    ])
  })

  it('is a group', () => {
    expect(problems(yaml('zookeeper.connect: zookeeper'))).toEqual([
      'an old consumer is a member of a group, and no pipeline (write { consume: TOPIC, group: NAME })',
    ])
  })
})

describe('a new consumer', () => {
  it.each([
    [
      'fetch.message.max.bytes: 100',
      'fetch.message.max.bytes belongs to the old consumer (write max.partition.fetch.bytes, or zookeeper.connect: zookeeper for an old consumer)',
    ],
    [
      'rebalance.max.retries: 3',
      'rebalance.max.retries belongs to the old consumer (write zookeeper.connect: zookeeper for an old consumer)',
    ],
  ])('is told what an old setting is: %s', (setting, message) => {
    expect(problems(yaml(`group: shop, ${setting}`))).toEqual([message])
  })
})

describe('a run with old consumers', () => {
  const text = `
version: 1
name: x
cluster: { mode: zookeeper, topics: { orders: { partitions: 3 } }, config: { min.insync.replicas: 2 } }
clients:
  p1: { produce: orders, acks: all, every: 20ms, count: 600 }
  g1: { consume: orders, ${OLD}, members: 2, work: 1ms, auto.offset.reset: smallest, auto.commit.interval.ms: 700 }
steps:
  - { kill: g1-1, at: 5s, for: 10s }
  - { kill: leader(orders-0), at: 8s, for: 3s }
expect: { end: { p1.acked: 600, g1.processed: 600, members(g1): 2 } }
run: { until: 40s }
`
  const scenario: Scenario = readYaml(text, 'x.yaml')
  const first = runScenario(scenario, { seed: 1 })

  it('meets what is expected of it', () => expect(first.failures).toEqual([]))

  it('is the same with every message encoded and decoded', () => {
    const bytes: Scenario = { ...scenario, run: { ...scenario.run, wire: 'bytes' } }
    expect(runScenario(bytes, { seed: 1 }).hash).toBe(first.hash)
  })

  it('is the same when its file is written back and read', () => {
    expect(runScenario(readYaml(writeYaml(scenario), 'y.yaml'), { seed: 1 }).hash).toBe(first.hash)
  })

  it('tells no group to any broker', () => {
    const { trace = [] } = runScenario(scenario, { seed: 1, trace: true })
    const asked = trace.flatMap((event) => (event.type === 'request.send' ? [event.data.api] : []))
    for (const api of ['JoinGroup', 'Heartbeat', 'OffsetCommit', 'OffsetFetch', 'FindCoordinator']) {
      expect(asked).not.toContain(api)
    }
  })
})
