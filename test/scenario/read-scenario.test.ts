/** Bad input gets every problem at once, each with its place and its mend; good input survives being written back. */
import { describe, expect, it } from 'vitest'
import { UsageError } from '../../sim/kernel/errors.js'
import { readYaml } from '../../sim/scenario/load.js'
import { fingerprintOf, formatToken, parseToken } from '../../sim/scenario/token.js'
import { writeYaml } from '../../sim/scenario/write-yaml.js'
import { formatProblems } from '../../reports/problems.js'
import { safeSwarm } from '../../sim/search/swarm.js'

const HEAD = 'version: 1\nname: x\ncluster: { topics: { orders: { partitions: 2 } } }\n'

/** Problems as `line: message (mend)`. */
function problems(text: string): string[] {
  try {
    readYaml(text, 'x.yaml')
    return []
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return error.problems.map(({ message, mend, place }) => `${place?.line}: ${message}${mend ? ` (${mend})` : ''}`)
  }
}

describe('a scenario file', () => {
  it('is accepted when it says little', () => expect(problems('version: 1\nname: x\n')).toEqual([]))

  it.each([
    [
      'an unknown key',
      'version: 1\nname: x\ncluster:\n  brokres: 3\n',
      '4: unknown key brokres (did you mean brokers?)',
    ],
    [
      'an unknown setting',
      'version: 1\nname: x\ncluster:\n  config:\n    min.insync.replica: 2\n',
      '5: unknown setting min.insync.replica (did you mean min.insync.replicas?)',
    ],
    [
      'a setting out of bounds',
      'version: 1\nname: x\ncluster:\n  config:\n    min.insync.replicas: 0\n',
      /5: min\.insync\.replicas: must be between 1 and/,
    ],
    [
      'too few brokers for the replicas',
      'version: 1\nname: x\ncluster:\n  brokers: 2\n  topics:\n    orders: { replication-factor: 3 }\n',
      '6: replication factor 3 needs 3 brokers, there are 2',
    ],
    [
      'a replica on a broker that is not there',
      'version: 1\nname: x\ncluster:\n  topics:\n    orders: { replicas: [[b1, b9]] }\n',
      '5: no such broker b9 (brokers are b1 to b3)',
    ],
    ['another mode', 'version: 1\nname: x\ncluster: { mode: paxos }\n', '3: expected kraft or zookeeper'],
    [
      'controllers in ZooKeeper mode',
      'version: 1\nname: x\ncluster: { mode: zookeeper, controllers: 3 }\n',
      '3: in ZooKeeper mode one of the brokers is the controller (write zookeeper: 3 for the ensemble)',
    ],
    [
      'feature levels in ZooKeeper mode',
      'version: 1\nname: x\ncluster: { mode: zookeeper, features: { transaction.version: 2 } }\n',
      '3: feature levels belong to KRaft mode (set inter.broker.protocol.version in cluster.config)',
    ],
    [
      'an ensemble in KRaft mode',
      'version: 1\nname: x\ncluster: { zookeeper: 3 }\n',
      '3: an ensemble belongs to ZooKeeper mode (set mode: zookeeper, or leave it out)',
    ],
    [
      'settings of KRaft in ZooKeeper mode',
      'version: 1\nname: x\ncluster: { mode: zookeeper, config: { broker.session.timeout.ms: 9000 } }\n',
      '3: broker.session.timeout.ms is a setting of KRaft mode (leave it out, or set cluster.mode: kraft)',
    ],
    [
      'settings of ZooKeeper mode in KRaft',
      'version: 1\nname: x\ncluster: { config: { zookeeper.session.timeout.ms: 6000 } }\n',
      '3: zookeeper.session.timeout.ms is a setting of ZooKeeper mode (leave it out, or set cluster.mode: zookeeper)',
    ],
    [
      'a setting of no ZooKeeper server',
      'version: 1\nname: x\ncluster: { mode: zookeeper, zookeeper: { config: { tickTme: 5 } } }\n',
      '3: unknown setting tickTme (did you mean tickTime?)',
    ],
    [
      'a target that the mode does not have',
      'version: 1\nname: x\ncluster: { mode: zookeeper }\nsteps:\n  - { kill: any controller, at: 1s }\n',
      /5: ZooKeeper mode has no controllers of their own/,
    ],
    [
      'a target of the other mode',
      'version: 1\nname: x\nsteps:\n  - { kill: leader(zookeeper), at: 1s }\n',
      /4: KRaft mode has no ZooKeeper servers/,
    ],
    [
      'a step without a time',
      `${HEAD}steps:\n  - kill: b1\n`,
      '5: a step needs a time (give one of at, between, every, when)',
    ],
    [
      'two triggers',
      `${HEAD}steps:\n  - { kill: b1, at: 1s, every: 2s }\n`,
      '5: a step has one trigger, this one has at and every (give one of at, between, every, when)',
    ],
    [
      'a time after the end',
      `${HEAD}steps:\n  - { kill: b1, at: 60s }\nrun: { until: 30s }\n`,
      '5: this is after the run has ended (make run.until longer)',
    ],
    [
      'a range that ends before it begins',
      `${HEAD}steps:\n  - { kill: b1, between: [9s, 3s] }\n`,
      /5: it ends before it begins/,
    ],
    [
      'a fault that begins again before it ended',
      `${HEAD}steps:\n  - { pause: b1, every: 1s, for: 2s }\n`,
      /5: it would begin again before it ended/,
    ],
    ['a duration without a unit', `${HEAD}steps:\n  - { kill: b1, at: 5 }\n`, /5: expected a duration with its unit/],
    [
      'an unknown fault',
      `${HEAD}steps:\n  - { kil: b1, at: 5s }\n`,
      '5: unknown fault or operation kil (did you mean kill?)',
    ],
    [
      'an unknown target',
      `${HEAD}steps:\n  - { kill: leader(order-0), at: 5s }\n`,
      '5: leader(order-0): no such partition (did you mean orders-0?)',
    ],
    ['an unknown node', `${HEAD}steps:\n  - { kill: b7, at: 5s }\n`, /5: unknown target b7/],
    [
      'an unknown API',
      `${HEAD}steps:\n  - { drop: { request: Fetsh }, at: 5s }\n`,
      '5: unknown API Fetsh (did you mean Fetch?)',
    ],
    [
      'an unknown event',
      `${HEAD}steps:\n  - { kill: b1, when: { append: orders-0 } }\n`,
      '5: unknown event append (did you mean appended?)',
    ],
    [
      'an unknown condition',
      `${HEAD}steps:\n  - { kill: b1, when: { appended: orders-0, sequence: 3 } }\n`,
      /5: appended has no condition sequence/,
    ],
    [
      'a for on what is over at once',
      `${HEAD}steps:\n  - { reset: b1, at: 1s, for: 2s }\n`,
      '5: reset is over at once and takes no for (leave it out)',
    ],
    [
      'a client of an unknown topic',
      `${HEAD}clients:\n  p1: { produce: order }\n`,
      '5: no such topic order (did you mean orders?)',
    ],
    [
      'a client setting that Kafka does not have',
      `${HEAD}clients:\n  p1: { produce: orders, linger.m: 5 }\n`,
      /5: unknown setting linger\.m/,
    ],
    [
      'settings that contradict one another',
      `${HEAD}clients:\n  p1: { produce: orders, acks: 1, enable.idempotence: true }\n`,
      /5: enable\.idempotence needs acks/,
    ],
    [
      'an unknown oracle',
      `${HEAD}expect: { always: [acked-record-survive] }\n`,
      '4: unknown oracle acked-record-survive (did you mean acked-records-survive?)',
    ],
    ['an expectation on nobody', `${HEAD}expect: { end: { p1.acked: 3 } }\n`, /4: no such producer p1/],
    ['an unknown measure', `${HEAD}expect: { end: { losst: 0 } }\n`, '4: unknown measure losst (did you mean lost?)'],
    [
      'an oracle that must hold and be violated',
      `${HEAD}expect: { always: [recovers], violated: [recovers] }\n`,
      /4: recovers cannot be expected/,
    ],
    ['a key given twice', 'version: 1\nname: x\nname: y\n', /3: Map keys must be unique/],
    ['another version', 'version: 2\nname: x\n', '1: expected version: 1'],
  ])('names %s', (_what, text, expected) => {
    expect(problems(text)).toEqual([typeof expected === 'string' ? expected : expect.stringMatching(expected)])
  })

  it('gets all its problems at once, with place, source and mend', () => {
    try {
      readYaml(
        `${HEAD}steps:\n  - { kill: b7, at: 5s }\n  - { pause: b1, at: 90s }\nexpect: { always: [none] }\n`,
        'x.yaml',
      )
      expect.unreachable()
    } catch (error) {
      expect(formatProblems((error as UsageError).problems)).toMatchInlineSnapshot(`
        "x.yaml:5:13  unknown target b7
            5 │   - { kill: b7, at: 5s }
              │             ^ did you mean b1?
        x.yaml:6:22  this is after the run has ended
            6 │   - { pause: b1, at: 90s }
              │                      ^ make run.until longer
        x.yaml:7:20  unknown oracle none
            7 │ expect: { always: [none] }
              │                    ^ samsa list oracles names them
        3 problems; nothing was run"
      `)
    }
  })
})

describe('a scenario written back', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('is the same scenario (swarm %i)', (seed) => {
    const scenario = safeSwarm(seed)
    const again = readYaml(writeYaml(scenario), 'again.yaml')
    const bare = ({ steps, ...rest }: typeof scenario): unknown => ({
      ...rest,
      steps: steps.map(({ line: _line, ...step }) => step),
    })
    expect(bare(again)).toEqual(bare(scenario))
    expect(fingerprintOf(again)).toBe(fingerprintOf(scenario))
  })
})

describe('a token', () => {
  it.each([
    { fingerprint: 'k3f9a', seed: 0 },
    { fingerprint: '00000', seed: 4_294_967_295 },
    { fingerprint: 'zzzzz', seed: 17, kept: [0, 2, 40], stop: 3_104_000 },
  ])('is read as it was written: %o', (token) => expect(parseToken(formatToken(token))).toEqual(token))

  it.each(['', 's1-', 's2-k3f9a-1', 'k3f9a-1', 's1-k3f9a', 's1-K3F9A-1'])('%j is none', (text) =>
    expect(parseToken(text)).toBeUndefined(),
  )
})
