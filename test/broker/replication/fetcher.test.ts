import { describe, expect, it } from 'vitest'
import { Errors } from '../../../sim/wire/errors.js'
import { RecordBatch } from '../../../sim/wire/record-batch.js'
import { epochsOf, TOPIC, valuesOf } from './harness.js'
import { record, ScriptedLeader } from './scripted-leader.js'

const BACKOFF_MS = 1_000

function failed(leader: ScriptedLeader): string[] {
  return [...leader.cluster.broker(2).replicas.fetchers.failedPartitions]
}

describe('a fetcher', () => {
  // AbstractFetcherThreadTest.testSimpleFetch
  it('appends what it is given and goes on from there, in one session', () => {
    const leader = new ScriptedLeader()
    expect(leader.fetch.body).toMatchObject({ sessionId: 0, sessionEpoch: 0, maxWaitMs: 500, minBytes: 1 })
    expect(leader.asked).toEqual(['0@0 0/-1'])
    leader.answer({ records: [record(0, 0), record(1, 0)], highWatermark: 1 })
    expect(valuesOf(leader.cluster.log(2))).toEqual(['0:v0', '1:v1'])
    expect(leader.cluster.offsets(2)).toEqual({ hw: 1, end: 2 })
    expect(leader.fetch.body).toMatchObject({ sessionId: 1, sessionEpoch: 1 })
    expect(leader.asked).toEqual(['0@2 0/0'])
    leader.answer({ highWatermark: 2 })
    expect(leader.fetch.body).toMatchObject({ sessionId: 1, sessionEpoch: 2 })
    expect(leader.asked).toEqual([])
    expect(leader.cluster.offsets(2)).toEqual({ hw: 2, end: 2 })
  })

  it('never takes a high watermark beyond its log end', () => {
    const leader = new ScriptedLeader()
    leader.answer({ records: [record(0, 0)], highWatermark: 100 })
    expect(leader.cluster.offsets(2)).toEqual({ hw: 1, end: 1 })
  })

  it('follows a new leader that knows less down to its high watermark', () => {
    const leader = new ScriptedLeader()
    leader.answer({ records: [record(0, 0), record(1, 0)], highWatermark: 2 })
    leader.answer({ highWatermark: 1 })
    expect(leader.cluster.offsets(2)).toEqual({ hw: 1, end: 2 })
    expect(leader.cluster.of('hw.set', 'b2').map((event) => event.data)).toContainEqual({
      partition: 'orders-0',
      from: 2,
      to: 1,
      reason: 'leader',
    })
  })

  it('moves its log start with the leader’s', () => {
    const leader = new ScriptedLeader()
    leader.answer({ records: [record(0, 0), record(1, 0)], highWatermark: 2, logStartOffset: 1 })
    expect(leader.cluster.log(2).logStartOffset).toBe(1)
    leader.answer({})
    expect(leader.fetches[1]?.body.topics[0]?.partitions[0]?.logStartOffset).toBe(1)
  })

  it('sends its broker epoch, and the fetch version of the metadata version', () => {
    const leader = new ScriptedLeader()
    expect(leader.fetch.version).toBe(18)
    expect(leader.fetch.body.replicaState).toEqual({ replicaId: 2, replicaEpoch: leader.cluster.broker(2).epoch })
  })

  it.each([
    'NOT_LEADER_OR_FOLLOWER',
    'UNKNOWN_LEADER_EPOCH',
    'UNKNOWN_TOPIC_OR_PARTITION',
    'UNKNOWN_TOPIC_ID',
    'INCONSISTENT_TOPIC_ID',
    'UNKNOWN_SERVER_ERROR',
    'KAFKA_STORAGE_ERROR',
  ] as const)('leaves a partition alone for the backoff after %s', (error) => {
    const leader = new ScriptedLeader()
    leader.answer({ errorCode: Errors[error] })
    // It is no longer wanted, and forgotten in the session at once.
    expect(leader.fetches).toHaveLength(2)
    expect(leader.fetch.body.forgottenTopicsData).toMatchObject([{ partitions: [0] }])
    leader.fetch.respond({ throttleTimeMs: 0, errorCode: 0, sessionId: 0, responses: [], nodeEndpoints: [] })
    leader.cluster.pass(BACKOFF_MS - 50)
    expect(leader.fetches).toHaveLength(2)
    leader.cluster.pass(100)
    expect(leader.asked).toEqual(['0@0 0/-1'])
    expect(leader.fetch.body.sessionEpoch).toBe(0)
  })

  // testCorruptMessage
  it('leaves a partition alone for the backoff after a batch that does not check', () => {
    const leader = new ScriptedLeader()
    const bytes = record(0, 0).toBytes().slice()
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 0xff
    leader.answer({ records: [RecordBatch.parse(bytes) as RecordBatch] })
    expect(leader.cluster.log(2).logEndOffset).toBe(0)
    expect(failed(leader)).toEqual([])
    leader.fetch.respond({ throttleTimeMs: 0, errorCode: 0, sessionId: 0, responses: [], nodeEndpoints: [] })
    leader.cluster.pass(BACKOFF_MS + 50)
    leader.answer({ records: [record(0, 0)] })
    expect(leader.cluster.log(2).logEndOffset).toBe(1)
  })

  it('measures the backoff by the wall clock', () => {
    const leader = new ScriptedLeader()
    leader.answer({ errorCode: Errors.NOT_LEADER_OR_FOLLOWER })
    leader.fetch.respond({ throttleTimeMs: 0, errorCode: 0, sessionId: 0, responses: [], nodeEndpoints: [] })
    leader.cluster.world.node('b2').clock.jump(-5_000)
    leader.cluster.pass(BACKOFF_MS * 5)
    expect(leader.fetches).toHaveLength(2)
    leader.cluster.pass(BACKOFF_MS * 2)
    expect(leader.fetches).toHaveLength(3)
  })

  // testFencedFetch
  it('gives a partition up when it is fenced, until metadata brings another leader epoch', () => {
    const leader = new ScriptedLeader()
    leader.answer({ errorCode: Errors.FENCED_LEADER_EPOCH })
    expect(failed(leader)).toEqual(['orders-0'])
    leader.fetch.respond({ throttleTimeMs: 0, errorCode: 0, sessionId: 0, responses: [], nodeEndpoints: [] })
    leader.cluster.pass(10_000)
    expect(leader.fetches).toHaveLength(2)
    leader.cluster.controller.change(TOPIC, 0, { leader: 1 })
    leader.cluster.pass(20)
    expect(failed(leader)).toEqual([])
    expect(leader.asked).toEqual(['0@0 1/-1'])
  })

  // testUnknownLeaderEpochWhileFetching; the answer is of a request with the old epoch
  it('is not fenced by an answer to a request of its former epoch', () => {
    const leader = new ScriptedLeader()
    leader.cluster.controller.change(TOPIC, 0, { leader: 1 })
    leader.cluster.pass(10)
    leader.answer({ errorCode: Errors.FENCED_LEADER_EPOCH })
    expect(failed(leader)).toEqual([])
    expect(leader.asked).toEqual(['0@0 1/-1'])
  })

  // testIgnoreFetchResponseWhenLeaderEpochChanged
  it('ignores records that it asked for with another leader epoch', () => {
    const leader = new ScriptedLeader()
    leader.replicate(0)
    leader.cluster.controller.change(TOPIC, 0, { leader: 1 })
    leader.cluster.pass(10)
    leader.answer({ records: [record(1, 0)], highWatermark: 1 })
    expect(leader.cluster.offsets(2)).toEqual({ hw: 0, end: 1 })
    expect(leader.asked).toEqual(['0@1 1/0'])
  })

  it('ignores an answer for a partition that is no longer fetched', () => {
    const leader = new ScriptedLeader()
    leader.cluster.controller.deleteTopic(TOPIC)
    leader.cluster.pass(10)
    leader.answer({ records: [record(0, 0)] })
    expect(leader.cluster.broker(2).replicas.partition(TOPIC, 0)).toBeUndefined()
    expect(leader.cluster.of('log.append', 'b2')).toEqual([])
  })

  // testReplicateBatchesUpToLeaderEpoch
  it('takes no batch of a later epoch than that of its request', () => {
    const leader = new ScriptedLeader()
    leader.answer({ records: [record(0, 0), record(1, 1)], highWatermark: 2 })
    expect(leader.cluster.log(2).logEndOffset).toBe(1)
    expect(epochsOf(leader.cluster.log(2))).toEqual(['0@0'])
    expect(leader.asked).toEqual(['0@1 0/0'])
  })

  it('gives a partition up whose records do not continue the log', () => {
    const leader = new ScriptedLeader()
    leader.replicate(0, 0)
    leader.answer({ records: [record(1, 0)] })
    expect(failed(leader)).toEqual(['orders-0'])
  })

  it('starts over with a full request when no answer comes, after the backoff', () => {
    const leader = new ScriptedLeader()
    leader.replicate(0)
    leader.cluster.world.kill('b1')
    leader.cluster.pass(5)
    leader.cluster.world.start('b1')
    leader.cluster.pass(BACKOFF_MS + 50)
    expect(leader.fetch.body).toMatchObject({ sessionId: 1, sessionEpoch: 0 })
    expect(leader.asked).toEqual(['0@1 0/0'])
  })

  it('starts over at once when the leader does not know its session', () => {
    const leader = new ScriptedLeader()
    leader.replicate(0)
    const { FETCH_SESSION_ID_NOT_FOUND } = Errors
    leader.fetch.respond({
      throttleTimeMs: 0,
      errorCode: FETCH_SESSION_ID_NOT_FOUND,
      sessionId: 0,
      responses: [],
      nodeEndpoints: [],
    })
    leader.cluster.pass(5)
    expect(leader.fetch.body).toMatchObject({ sessionId: 0, sessionEpoch: 0 })
    expect(leader.asked).toEqual(['0@1 0/0'])
  })
})

describe('a fetcher whose log has parted from the leader’s', () => {
  // testDivergingEpochs: follower epochs 0, 2, 4 and leader 0, 2, 5 at offsets 0 to 2
  it('asks with 2 after the first round, and with 5 then', () => {
    const leader = new ScriptedLeader()
    for (let epoch = 1; epoch <= 5; epoch++) leader.cluster.controller.change(TOPIC, 0, { leader: 1 })
    leader.cluster.pass(10)
    leader.answer({})
    leader.replicate(0, 2, 4)
    expect(leader.asked).toEqual(['0@3 5/4'])
    leader.answer({ divergingEpoch: { epoch: 2, endOffset: 2 }, highWatermark: 3 })
    expect(leader.asked).toEqual(['0@2 5/2'])
    leader.answer({ records: [record(2, 5)], highWatermark: 3 })
    expect(leader.asked).toEqual(['0@3 5/5'])
    expect(epochsOf(leader.cluster.log(2))).toEqual(['0@0', '2@1', '5@2'])
  })

  // testTruncateOnFetchDoesNotUpdateHighWatermark
  it('takes no high watermark and no records with a diverging epoch', () => {
    const leader = new ScriptedLeader()
    leader.replicate(0, 0, 0)
    leader.answer({ divergingEpoch: { epoch: 0, endOffset: 2 }, highWatermark: 3, records: [record(3, 0)] })
    expect(leader.cluster.offsets(2)).toEqual({ hw: 0, end: 2 })
  })

  // shouldTruncateIfLeaderRepliesWithDivergingEpochNotKnownToFollower
  it('cuts to the end of its own smaller epoch when it never had the leader’s, and asks again', () => {
    const leader = new ScriptedLeader()
    for (let epoch = 1; epoch <= 5; epoch++) leader.cluster.controller.change(TOPIC, 0, { leader: 1 })
    leader.cluster.pass(10)
    leader.answer({})
    leader.replicate(2, 2, 4, 4, 5)
    leader.answer({ divergingEpoch: { epoch: 3, endOffset: 4 } })
    expect(leader.asked).toEqual(['0@2 5/2'])
    leader.answer({ divergingEpoch: { epoch: 2, endOffset: 1 } })
    expect(leader.asked).toEqual(['0@1 5/2'])
    expect(leader.cluster.of('fetch.diverging', 'b2')).toHaveLength(2)
  })

  it('has a lower high watermark when it is cut below', () => {
    const leader = new ScriptedLeader()
    leader.answer({ records: [record(0, 0), record(1, 0), record(2, 0)], highWatermark: 3 })
    leader.answer({ divergingEpoch: { epoch: 0, endOffset: 1 } })
    expect(leader.cluster.offsets(2)).toEqual({ hw: 1, end: 1 })
    expect(leader.cluster.lines('hw.set').at(-1)).toContain('from=3 to=1 reason=truncate')
  })
})

describe('a fetcher whose offset the leader does not have', () => {
  function outOfRange(): ScriptedLeader {
    const leader = new ScriptedLeader()
    leader.replicate(0, 0, 0)
    leader.answer({ errorCode: Errors.OFFSET_OUT_OF_RANGE })
    return leader
  }

  it('asks the leader for its end first, with its leader epoch', () => {
    const leader = outOfRange()
    expect(leader.lists).toHaveLength(1)
    expect(leader.lists[0]?.body).toMatchObject({
      replicaId: 2,
      topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, currentLeaderEpoch: 0, timestamp: -1 }] }],
    })
  })

  // testFollowerFetchOutOfRangeHigh
  it('cuts its log to the leader’s end when that is smaller', () => {
    const leader = outOfRange()
    leader.list(1)
    expect(leader.cluster.log(2).logEndOffset).toBe(1)
    expect(leader.asked).toEqual(['0@1 0/0'])
  })

  // testFollowerFetchOutOfRangeLow
  it('drops its log and begins where the leader’s begins, when that is beyond its end', () => {
    const leader = outOfRange()
    leader.list(20)
    expect(leader.lists[1]?.body.topics[0]?.partitions[0]?.timestamp).toBe(-2)
    leader.list(10)
    const log = leader.cluster.log(2)
    expect([log.logStartOffset, log.logEndOffset, log.highWatermark]).toEqual([10, 10, 10])
    expect(leader.asked).toEqual(['0@10 0/-1'])
    leader.answer({ records: [record(10, 0)], highWatermark: 11, logStartOffset: 10 })
    expect(valuesOf(log)).toEqual(['10:v10'])
  })

  it('keeps its log when the leader’s has it', () => {
    const leader = outOfRange()
    leader.list(20)
    leader.list(0)
    expect(leader.asked).toEqual([])
    expect(leader.cluster.log(2).logEndOffset).toBe(3)
    expect(leader.fetches).toHaveLength(3)
  })

  // testFencedOffsetResetAfterOutOfRange
  it('gives the partition up when it is fenced meanwhile', () => {
    const leader = outOfRange()
    leader.list(-1, Errors.FENCED_LEADER_EPOCH)
    expect(failed(leader)).toEqual(['orders-0'])
  })

  // testRetryAfterUnknownLeaderEpochInLatestOffsetFetch
  it('tries again after the backoff when the leader does not know its epoch yet', () => {
    const leader = outOfRange()
    leader.list(-1, Errors.UNKNOWN_LEADER_EPOCH)
    expect(leader.fetch.body.forgottenTopicsData).toHaveLength(1)
    leader.fetch.respond({ throttleTimeMs: 0, errorCode: 0, sessionId: 0, responses: [], nodeEndpoints: [] })
    leader.cluster.pass(BACKOFF_MS + 50)
    expect(leader.asked).toEqual(['0@3 0/0'])
  })

  it('forgets about it when metadata has another leader meanwhile', () => {
    const leader = outOfRange()
    leader.cluster.controller.change(TOPIC, 0, { leader: 2 })
    leader.cluster.pass(10)
    leader.list(1)
    expect(leader.cluster.log(2).logEndOffset).toBe(3)
  })

  it('starts its log with a batch that begins before the leader’s log', () => {
    const leader = outOfRange()
    leader.list(20)
    leader.list(11)
    // DeleteRecords cut within this batch of three.
    const three = RecordBatch.build(
      {},
      [1, 2, 3].map(() => ({ timestamp: 0, key: null, value: null })),
    )
    leader.answer({ records: [three.withOffsets(10, 0)], highWatermark: 13, logStartOffset: 11 })
    const log = leader.cluster.log(2)
    expect([log.logStartOffset, log.logEndOffset, log.highWatermark]).toEqual([11, 13, 13])
    expect(failed(leader)).toEqual([])
  })
})
