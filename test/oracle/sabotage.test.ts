/**
 * The real cluster with one of its rules broken: the oracle that guards the rule fails, and says which event it was. Unbroken, the same
 * stories pass every oracle.
 */

import { describe, expect, it } from 'vitest'
import { Partition } from '../../sim/broker/partition.js'
import { Replica } from '../../sim/broker/replica.js'
import { CompletedFetch } from '../../sim/client/completed-fetch.js'
import { Idempotence } from '../../sim/client/idempotence.js'
import { RecordAccumulator } from '../../sim/client/record-accumulator.js'
import { PartitionChangeBuilder } from '../../sim/controller/partition-change-builder.js'
import { EpochElection } from '../../sim/kraft/epoch-election.js'
import { MetadataLoader } from '../../sim/kraft/metadata/metadata-loader.js'
import type { MetadataBatch } from '../../sim/kraft/metadata/records.js'
import { StandardAuthorizer } from '../../sim/kraft/metadata/standard-authorizer.js'
import { PartitionLog } from '../../sim/log/partition-log.js'
import { ProducerStateManager } from '../../sim/log/producer-state-manager.js'
import { ORACLE_NAMES } from '../../sim/oracle/oracle-names.js'
import { expectViolated, run, sabotaged, sabotagedGetter, type Reports } from './saboteur.js'

const story = (steps: string, { acks = 'all', until = '60s', client = '' } = {}): string => `
version: 1
name: sabotage
cluster:
  config: { min.insync.replicas: 2 }
  topics: { orders: { replicas: [[b1, b2, b3]] } }
clients:
  p1: { produce: orders, acks: ${acks}, every: 10ms, count: 400${client} }
  r1: { consume: orders, auto.offset.reset: earliest }
steps: [${steps}]
run: { until: ${until}, settle: 30s }
`

const QUIET = story('', { until: '6s' })
const CUT_OFF_AND_KILLED = story('{ partition: [[b1], [b2, b3]], at: 1s, for: 3s }, { kill: b1, at: 2s, for: 15s }')
const LEADER_KILLED = story('{ kill: b1, at: 2s, for: 12s }')
const BUSY = LEADER_KILLED.replace('every: 10ms, count: 400', 'every: 1ms, count: 3000')
const ACKS_1 = story('{ partition: [[b1], [b2, b3]], at: 1s, for: 3s }, { kill: b1, at: 2s, for: 15s }', {
  acks: '1',
  client: ', batch.size: 1',
})
const LOST_ANSWER = story('{ drop: { response: Produce, from: b1, times: 1 }, at: 1s, for: 5s }', {
  client: ', request.timeout.ms: 2000',
})
const CONTROLLERS_APART = story('{ partition: [[c1], [c2], [c3]], at: 1s, for: 15s }')
const FOLLOWER_BEHIND = story('{ isolate: b3, at: 0.5s, for: 30s }, { kill: b1, at: 14s, for: 40s }')
/** Answers under way for so long that appends go on meanwhile. */
const LONG_WAYS = BUSY.replace(
  'clients:',
  `  network: { latency: 5ms }
clients:
  p2: { produce: orders, acks: all, every: 3ms, count: 1000 }
  p3: { produce: orders, acks: all, every: 2ms, count: 1000 }`,
)
/** One may read and write, the other may do neither. */
const TWO_PRINCIPALS = `
version: 1
name: sabotage
cluster:
  config:
    min.insync.replicas: 2
    authorizer.class.name: org.apache.kafka.metadata.authorizer.StandardAuthorizer
  topics: { orders: { replicas: [[b1, b2, b3]] } }
  acls: ['allow alice read,write topic orders']
clients:
  p1: { produce: orders, every: 10ms, count: 100, principal: alice }
  r1: { consume: orders, auto.offset.reset: earliest, principal: alice }
  p2: { produce: orders, every: 50ms, count: 20, principal: bob }
  r2: { consume: orders, auto.offset.reset: earliest, principal: bob }
run: { until: 6s, settle: 30s }
`

const STORIES = {
  LONG_WAYS,
  QUIET,
  CUT_OFF_AND_KILLED,
  BUSY,
  LEADER_KILLED,
  ACKS_1,
  LOST_ANSWER,
  CONTROLLERS_APART,
  FOLLOWER_BEHIND,
  TWO_PRINCIPALS,
}

function withoutPartitionChanges<B extends MetadataBatch>(batch: B): B {
  return { ...batch, records: batch.records.filter((record) => record.type !== 'PartitionChangeRecord') }
}

describe('the sound cluster', () => {
  it.each(Object.entries(STORIES))('breaks no promise: %s', (_, yaml) => {
    const reports = run(yaml)
    expect(ORACLE_NAMES.filter((name) => reports[name]?.verdict !== 'pass')).toEqual([])
  })
})

describe('a broken cluster is found out', () => {
  it('acks=all answered before replication', () => {
    const reports = sabotaged(
      Partition,
      'acknowledgement',
      () => () => 0,
      () => run(CUT_OFF_AND_KILLED),
    )
    expectViolated(reports, 'acked-records-survive')
    expectViolated(reports, 'isr-has-committed')
    const [first] = reports['acked-records-survive']?.violations ?? []
    expect(first?.message).toMatch(/^orders-0@\d+ \(p1\/\d+\) acked to p1 at \d\.\d{3} s, missing on b[23] at /)
    expect(first?.evidence).toHaveLength(3)
  })

  it('every replica leads', () => {
    const reports = sabotaged(
      Partition,
      'makeFollower',
      () =>
        function (this: Partition, image) {
          return this.makeLeader(image)
        },
      () => run(QUIET),
    )
    expectViolated(reports, 'one-leader-per-epoch')
  })

  it('a candidate that needs no majority', () => {
    const reports = sabotagedGetter(
      EpochElection,
      'isGranted',
      () => true,
      () => run(CONTROLLERS_APART),
    )
    expectViolated(reports, 'one-quorum-leader-per-epoch')
  })

  it('reads up to the log end', () => {
    const reports = sabotagedGetter(
      PartitionLog,
      'highWatermark',
      (log, honest) => (log.partition === 'orders-0' ? log.logEndOffset : honest),
      () => run(CUT_OFF_AND_KILLED),
    )
    expectViolated(reports, 'reads-below-high-watermark')
  })

  it('no memory of producers', () => {
    const reports = sabotaged(
      ProducerStateManager,
      'admit',
      () => () => undefined,
      () => run(LOST_ANSWER),
    )
    expectViolated(reports, 'no-duplicates')
  })

  it('retries that go out of order', () => {
    const reorder = (): Reports =>
      sabotaged(
        RecordAccumulator,
        'reenqueue',
        (original) =>
          function (this: RecordAccumulator, batch, nowMs) {
            original.call(this, batch, nowMs)
            batch.queue.batches.reverse()
          },
        () => run(LOST_ANSWER),
      )
    const reports = sabotaged(
      ProducerStateManager,
      'admit',
      () => () => undefined,
      () => sabotaged(Idempotence, 'holdsBack', () => () => false, reorder),
    )
    expectViolated(reports, 'no-reordering')
  })

  it('a replay that skips a batch', () => {
    let commits = 0
    const reports = sabotaged(
      MetadataLoader,
      'handleCommit',
      (original) =>
        function (this: MetadataLoader, batches) {
          if (++commits % 40 !== 0) original.call(this, batches)
        },
      () => run(QUIET),
    )
    expectViolated(reports, 'metadata-consistent')
  })

  it('a consumer that skips a record', () => {
    const reports = sabotaged(
      CompletedFetch,
      'take',
      (original) =>
        function (this: CompletedFetch, max, rules, into) {
          const taken = original.call(this, max, rules, into)
          if (taken > 0 && (into.at(-1)?.offset ?? 0) % 50 === 49) into.pop()
          return taken
        },
      () => run(QUIET),
    )
    expectViolated(reports, 'positions-consistent')
  })

  it('a consumer that gets another record than was written', () => {
    const reports = sabotaged(
      CompletedFetch,
      'take',
      (original) =>
        function (this: CompletedFetch, max, rules, into) {
          const taken = original.call(this, max, rules, into)
          const last = into.at(-1)
          if (last?.offset === 50) into[into.length - 1] = { ...last, value: new TextEncoder().encode('p1/999') }
          return taken
        },
      () => run(QUIET),
    )
    expectViolated(reports, 'offsets-consistent')
  })

  it('batches stamped with an older epoch', () => {
    const reports = sabotaged(
      PartitionLog,
      'appendAsLeader',
      (original) =>
        function (this: PartitionLog, batches, epoch, options) {
          const isOld = this.partition === 'orders-0' && epoch > 0 && this.logEndOffset % 2 === 1
          return original.call(this, batches, isOld ? epoch - 1 : epoch, options)
        },
      () => run(LEADER_KILLED),
    )
    expectViolated(reports, 'epochs-monotonic')
  })

  it('a follower counted for more than it has', () => {
    const reports = sabotaged(
      Replica,
      'updateFetchState',
      (original) =>
        function (this: Replica, offset, logStart, now, leaderEnd, brokerEpoch) {
          original.call(this, offset, logStart, now, leaderEnd, brokerEpoch)
          this.logEndOffset = leaderEnd
        },
      () => run(LONG_WAYS),
    )
    expectViolated(reports, 'isr-has-committed')
  })

  it('a leader that does not see where logs part', () => {
    const reports = sabotaged(
      PartitionLog,
      'endOffsetForEpoch',
      (original) =>
        function (this: PartitionLog, epoch) {
          return this.partition === 'orders-0' ? { epoch, endOffset: this.logEndOffset } : original.call(this, epoch)
        },
      () => run(ACKS_1),
    )
    expectViolated(reports, 'log-matching')
  })

  it('a high watermark that goes back', () => {
    let moves = 0
    const reports = sabotaged(
      PartitionLog,
      'setHighWatermark',
      (original) =>
        function (this: PartitionLog, offset) {
          const isBack = this.partition === 'orders-0' && ++moves % 7 === 0 && offset > 50
          return original.call(this, isBack ? offset - 3 : offset)
        },
      () => run(LONG_WAYS),
    )
    expectViolated(reports, 'high-watermark-monotonic')
  })

  it('a replay that skips one record', () => {
    const loaders: MetadataLoader[] = []
    const reports = sabotaged(
      MetadataLoader,
      'handleCommit',
      (original) =>
        function (this: MetadataLoader, batches) {
          if (!loaders.includes(this)) loaders.push(this)
          if (this !== loaders[1]) original.call(this, batches)
          else original.call(this, batches.map(withoutPartitionChanges))
        },
      () => run(LEADER_KILLED),
    )
    expectViolated(reports, 'metadata-consistent')
  })

  it('a leader that is not in the ISR', () => {
    const reports = sabotaged(
      PartitionChangeBuilder,
      'electLeader',
      (original) =>
        function (this: PartitionChangeBuilder) {
          const elected = original.call(this)
          return elected.leader < 0 ? elected : { ...elected, leader: 3 }
        },
      () => run(FOLLOWER_BEHIND.replace('min.insync.replicas: 2', 'replica.lag.time.max.ms: 5000')),
    )
    expectViolated(reports, 'elections-as-configured')
  })

  it('an authorizer that allows everything', () => {
    const reports = sabotaged(
      StandardAuthorizer,
      'operations',
      () => () => 0xffff,
      () => run(TWO_PRINCIPALS),
    )
    expectViolated(reports, 'access-as-granted')
    const messages = reports['access-as-granted']?.violations.map(({ message }) => message).join('\n')
    expect(messages).toContain('to r2, who may not read it')
    expect(messages).toContain('for somebody who may not write there')
  })

  it('an authorizer that refuses too much', () => {
    const reports = sabotaged(
      StandardAuthorizer,
      'operations',
      (original) =>
        function (this: StandardAuthorizer, principal, host, type, name) {
          return principal === 'User:alice' ? 0 : original.call(this, principal, host, type, name)
        },
      () => run(TWO_PRINCIPALS),
    )
    expectViolated(reports, 'access-as-granted')
  })

  it('a broker that does not hear of new ACLs', () => {
    const steps = 'steps: [{ revoke: alice any topic orders, at: 500ms }]\nrun:'
    const reports = sabotaged(
      StandardAuthorizer,
      'setAcls',
      (original) =>
        function (this: StandardAuthorizer, acls) {
          if (acls.size > 0) original.call(this, acls)
        },
      () => run(TWO_PRINCIPALS.replace('run:', steps)),
    )
    expectViolated(reports, 'access-as-granted')
  })

  it('followers that are never heard', () => {
    const reports = sabotaged(
      Partition,
      'updateFollower',
      () => () => undefined,
      () => run(story('', { until: '60s' })),
    )
    expectViolated(reports, 'recovers')
  })
})
