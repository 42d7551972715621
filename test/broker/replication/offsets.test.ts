import { describe, expect, it } from 'vitest'
import { Errors } from '../../../sim/wire/errors.js'
import { RecordBatch } from '../../../sim/wire/record-batch.js'
import type { Call } from './harness.js'
import { makeCluster, TOPIC, type TestCluster } from './harness.js'

const LATEST = -1
const EARLIEST = -2
const MAX_TIMESTAMP = -3

interface Listed {
  readonly topics: readonly { readonly partitions: readonly object[] }[]
}

function list(
  cluster: TestCluster,
  timestamp: number,
  options: {
    to?: number
    replicaId?: number
    committed?: boolean
    leaderEpoch?: number
    version?: number
    topic?: string
  } = {},
): object | undefined {
  const { to = 1, replicaId = -1, committed = false, leaderEpoch = -1, version = 10, topic = TOPIC } = options
  const partitions = [{ partitionIndex: 0, currentLeaderEpoch: leaderEpoch, timestamp }]
  const body = { replicaId, isolationLevel: committed ? 1 : 0, topics: [{ name: topic, partitions }], timeoutMs: 0 }
  const call: Call<Listed> = cluster.send(to, 'ListOffsets', body, { version })
  cluster.pass(10)
  return call.response?.topics[0]?.partitions[0]
}

/** b1 leads; five records at times 100 to 500, of which three are replicated. */
function filled(): TestCluster {
  const cluster = makeCluster({ running: [1] })
  for (let i = 1; i <= 5; i++) {
    const records = [recordAt(i * 100)]
    cluster.send(1, 'Produce', {
      transactionalId: null,
      acks: 1,
      timeoutMs: 1_000,
      topicData: [{ name: '', topicId: cluster.controller.topicId(TOPIC), partitionData: [{ index: 0, records }] }],
    })
  }
  cluster.pass(20)
  for (const replicaId of [2, 3]) cluster.fetch(1, 3, { replicaId, leaderEpoch: 0 })
  cluster.pass(20)
  return cluster
}

function recordAt(timestamp: number) {
  return RecordBatch.build({}, [{ timestamp, key: null, value: null }])
}

describe('ListOffsets', () => {
  // testListOffsetIsolationLevels, testFetchLatestOffsetIncludesLeaderEpoch
  it('gives the high watermark to consumers and the log end to followers as the end, with the leader epoch', () => {
    const cluster = filled()
    expect(list(cluster, LATEST)).toEqual({ partitionIndex: 0, errorCode: 0, timestamp: -1, offset: 3, leaderEpoch: 0 })
    expect(list(cluster, LATEST, { committed: true })).toMatchObject({ offset: 3 })
    expect(list(cluster, LATEST, { replicaId: 2 })).toMatchObject({ offset: 5 })
  })

  it('gives the log start as the earliest', () => {
    const cluster = filled()
    cluster.log(1).advanceLogStartOffset(2, 'test')
    expect(list(cluster, EARLIEST)).toMatchObject({ errorCode: 0, offset: 2, timestamp: -1 })
  })

  it('gives the first record of at least that time, below what a consumer may see', () => {
    const cluster = filled()
    expect(list(cluster, 150)).toMatchObject({ errorCode: 0, offset: 1, timestamp: 200 })
    expect(list(cluster, 450)).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 })
    expect(list(cluster, 450, { replicaId: 2 })).toMatchObject({ offset: 4, timestamp: 500 })
    expect(list(cluster, 900)).toMatchObject({ errorCode: 0, offset: -1 })
  })

  it('tells leader epochs from version 4 on', () => {
    const cluster = filled()
    for (const timestamp of [LATEST, EARLIEST, 150]) {
      expect(list(cluster, timestamp, { version: 4 })).toMatchObject({ leaderEpoch: 0 })
      expect(list(cluster, timestamp, { version: 3 })).toMatchObject({ errorCode: 0, leaderEpoch: -1 })
    }
  })

  it('knows the meanings of negative times by version', () => {
    const cluster = filled()
    expect(list(cluster, MAX_TIMESTAMP, { version: 6 })).toMatchObject({ errorCode: Errors.UNSUPPORTED_VERSION })
    expect(list(cluster, MAX_TIMESTAMP, { replicaId: 2 })).toMatchObject({ errorCode: 0, offset: 4 })
    expect(list(cluster, -99)).toMatchObject({ errorCode: Errors.UNSUPPORTED_VERSION })
  })

  // testMonotonicOffsetsAfterLeaderChange (KIP-207)
  it('has no end for consumers after an election, before the high watermark reaches the epoch’s start', () => {
    const cluster = filled()
    cluster.controller.change(TOPIC, 0, { leader: 1 })
    cluster.pass(5)
    expect(list(cluster, LATEST)).toMatchObject({ errorCode: Errors.OFFSET_NOT_AVAILABLE, offset: -1 })
    expect(list(cluster, LATEST, { version: 4 })).toMatchObject({ errorCode: Errors.LEADER_NOT_AVAILABLE })
    expect(list(cluster, 450)).toMatchObject({ errorCode: Errors.OFFSET_NOT_AVAILABLE })
    expect(list(cluster, 150)).toMatchObject({ errorCode: 0, offset: 1 })
    expect(list(cluster, EARLIEST)).toMatchObject({ errorCode: 0, offset: 0 })
    expect(list(cluster, LATEST, { replicaId: 2 })).toMatchObject({ errorCode: 0, offset: 5 })
    for (const replicaId of [2, 3]) cluster.fetch(1, 5, { replicaId, leaderEpoch: 1 })
    cluster.pass(10)
    expect(list(cluster, LATEST)).toMatchObject({ errorCode: 0, offset: 5, leaderEpoch: 1 })
  })

  // testFetchOffsetForTimestampEpochValidationForLeader and …ForFollower
  it('checks the leader epoch, then leadership', () => {
    const cluster = filled()
    cluster.controller.change(TOPIC, 0, { leader: 1 })
    cluster.pass(5)
    expect(list(cluster, EARLIEST, { leaderEpoch: 0 })).toMatchObject({ errorCode: Errors.FENCED_LEADER_EPOCH })
    expect(list(cluster, EARLIEST, { leaderEpoch: 1 })).toMatchObject({ errorCode: Errors.NONE })
    expect(list(cluster, EARLIEST, { leaderEpoch: 2 })).toMatchObject({ errorCode: Errors.UNKNOWN_LEADER_EPOCH })
    cluster.controller.change(TOPIC, 0, { leader: 2 })
    cluster.pass(5)
    expect(list(cluster, EARLIEST)).toMatchObject({ errorCode: Errors.NOT_LEADER_OR_FOLLOWER })
    expect(list(cluster, EARLIEST, { leaderEpoch: 2 })).toMatchObject({ errorCode: Errors.NOT_LEADER_OR_FOLLOWER })
    expect(list(cluster, EARLIEST, { replicaId: -2 })).toMatchObject({ errorCode: Errors.NONE })
    expect(list(cluster, EARLIEST, { topic: 'nowhere' })).toMatchObject({
      errorCode: Errors.UNKNOWN_TOPIC_OR_PARTITION,
    })
  })

  it('refuses a partition that is named twice', () => {
    const cluster = filled()
    const partition = { partitionIndex: 0, currentLeaderEpoch: -1, timestamp: EARLIEST }
    const topics = [{ name: TOPIC, partitions: [partition, partition] }]
    const call = cluster.send(1, 'ListOffsets', { replicaId: -1, isolationLevel: 0, topics, timeoutMs: 0 })
    cluster.pass(10)
    const { INVALID_REQUEST } = Errors
    expect(call.response?.topics[0]?.partitions.map(({ errorCode }) => errorCode)).toEqual([
      INVALID_REQUEST,
      INVALID_REQUEST,
    ])
  })
})

describe('OffsetForLeaderEpoch', () => {
  function epochEnd(cluster: TestCluster, leaderEpoch: number, currentLeaderEpoch = -1): object | undefined {
    const partitions = [{ partition: 0, currentLeaderEpoch, leaderEpoch }]
    const call = cluster.send(1, 'OffsetForLeaderEpoch', { replicaId: -1, topics: [{ topic: TOPIC, partitions }] })
    cluster.pass(10)
    return call.response?.topics[0]?.partitions[0]
  }

  it('gives the end of an epoch, or of the largest one below', () => {
    const cluster = filled()
    for (let i = 0; i < 2; i++) cluster.controller.change(TOPIC, 0, { leader: 1 })
    cluster.pass(5)
    cluster.produce(1, ['x'], { acks: 1 })
    cluster.pass(5)
    expect(epochEnd(cluster, 0)).toEqual({ partition: 0, errorCode: 0, leaderEpoch: 0, endOffset: 5 })
    expect(epochEnd(cluster, 2)).toEqual({ partition: 0, errorCode: 0, leaderEpoch: 2, endOffset: 6 })
    expect(epochEnd(cluster, 3)).toEqual({ partition: 0, errorCode: 0, leaderEpoch: -1, endOffset: -1 })
  })

  // testOffsetForLeaderEpochValidationForLeader
  it('checks the current leader epoch', () => {
    const cluster = filled()
    expect(epochEnd(cluster, 0, 0)).toMatchObject({ errorCode: Errors.NONE })
    expect(epochEnd(cluster, 0, 1)).toMatchObject({ errorCode: Errors.UNKNOWN_LEADER_EPOCH })
    cluster.controller.change(TOPIC, 0, { leader: 2 })
    cluster.pass(5)
    expect(epochEnd(cluster, 0, 0)).toMatchObject({ errorCode: Errors.FENCED_LEADER_EPOCH })
    expect(epochEnd(cluster, 0, 1)).toMatchObject({ errorCode: Errors.NOT_LEADER_OR_FOLLOWER })
  })
})

describe('DeleteRecords', () => {
  function remove(cluster: TestCluster, offset: number, topic = TOPIC, timeoutMs = 5_000): Call<Listed> {
    const partitions = [{ partitionIndex: 0, offset }]
    return cluster.send(1, 'DeleteRecords', { topics: [{ name: topic, partitions }], timeoutMs })
  }

  function result(call: Call<Listed>): object | undefined {
    return call.response?.topics[0]?.partitions[0]
  }

  it('moves the log start, and is answered when the replicas have followed', () => {
    const cluster = makeCluster()
    for (const value of ['a', 'b', 'c']) cluster.produce(1, [value])
    cluster.pass(600)
    const call = remove(cluster, 2)
    cluster.pass(5)
    expect(cluster.log(1).logStartOffset).toBe(2)
    expect(result(call)).toBeUndefined()
    cluster.pass(1_500)
    expect(result(call)).toEqual({ partitionIndex: 0, errorCode: 0, lowWatermark: 2 })
    expect([2, 3].map((id) => cluster.log(id).logStartOffset)).toEqual([2, 2])
  })

  it('goes as far as the high watermark with -1, and no further', () => {
    const cluster = makeCluster({ replicas: [[1]] })
    for (const value of ['a', 'b', 'c']) cluster.produce(1, [value])
    cluster.pass(20)
    const beyond = remove(cluster, 4)
    const negative = remove(cluster, -5)
    const all = remove(cluster, -1)
    cluster.pass(20)
    expect(result(beyond)).toMatchObject({ errorCode: Errors.OFFSET_OUT_OF_RANGE, lowWatermark: -1 })
    expect(result(negative)).toMatchObject({ errorCode: Errors.OFFSET_OUT_OF_RANGE })
    expect(result(all)).toEqual({ partitionIndex: 0, errorCode: 0, lowWatermark: 3 })
  })

  it('is answered REQUEST_TIMED_OUT when a live replica does not follow, but does not wait for a fenced one', () => {
    const cluster = makeCluster({ running: [1] })
    cluster.produce(1, ['a'], { acks: 1 })
    cluster.pass(10)
    for (const replicaId of [2, 3]) cluster.fetch(1, 1, { replicaId, leaderEpoch: 0 })
    cluster.pass(10)
    const timedOut = remove(cluster, 1, TOPIC, 200)
    cluster.pass(300)
    expect(result(timedOut)).toMatchObject({ errorCode: Errors.REQUEST_TIMED_OUT })
    for (const id of [2, 3]) cluster.controller.fence(id, true)
    cluster.pass(10)
    const again = remove(cluster, 1)
    cluster.pass(10)
    expect(result(again)).toMatchObject({ errorCode: Errors.NONE, lowWatermark: 1 })
  })

  it('is refused for compacted topics, Kafka’s own, unknown ones, and where the broker does not lead', () => {
    const cluster = makeCluster()
    cluster.controller.createTopic('__consumer_offsets', [[1]], 'offsetsoffsetsoffsetsA')
    cluster.controller.createTopic('compacted', [[1]], 'compactedcompactedcomA')
    cluster.controller.configure('compacted', 'cleanup.policy', 'compact')
    cluster.controller.createTopic('elsewhere', [[2, 1]], 'elsewhereelsewhereelsA')
    cluster.pass(10)
    const errors = ['__consumer_offsets', 'compacted', 'nowhere', 'elsewhere'].map((topic) => remove(cluster, 0, topic))
    cluster.pass(20)
    expect(errors.map((call) => (result(call) as { errorCode: number }).errorCode)).toEqual([
      Errors.INVALID_TOPIC_EXCEPTION,
      Errors.POLICY_VIOLATION,
      Errors.UNKNOWN_TOPIC_OR_PARTITION,
      Errors.NOT_LEADER_OR_FOLLOWER,
    ])
  })
})
