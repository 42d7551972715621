import { describe, expect, it } from 'vitest'
import { Errors } from '../../../sim/wire/errors.js'
import { endTransactionMarkerBatch } from '../../../sim/wire/control-record.js'
import { batch, fetched, makeCluster, TOPIC, type TestCluster } from './harness.js'

function append(cluster: TestCluster, ...values: string[]): void {
  for (const value of values) cluster.produce(1, [value], { acks: 1 })
  cluster.pass(10)
}

/** Tells b1 that its followers have all below `offset`. */
function replicate(cluster: TestCluster, offset: number): void {
  for (const replicaId of [2, 3]) cluster.fetch(1, offset, { replicaId, leaderEpoch: 0 })
  cluster.pass(10)
}

function offsets(data: ReturnType<typeof fetched>): number[] {
  return (data.records ?? []).map((found) => found.baseOffset)
}

describe('a consumer’s fetch', () => {
  it('sees what is below the high watermark', () => {
    const cluster = makeCluster({ running: [1] })
    append(cluster, 'a', 'b', 'c')
    replicate(cluster, 2)
    const call = cluster.fetch(1, 0)
    cluster.pass(10)
    expect(offsets(fetched(call))).toEqual([0, 1])
    expect(fetched(call)).toMatchObject({
      highWatermark: 2,
      lastStableOffset: 2,
      logStartOffset: 0,
      abortedTransactions: null,
    })
  })

  it('is an event, with the bound that limited it', () => {
    const cluster = makeCluster({ running: [1] })
    append(cluster, 'a', 'b', 'c')
    replicate(cluster, 2)
    cluster.fetch(1, 1)
    cluster.pass(10)
    expect(cluster.of('fetch.served', 'b1').map((event) => event.data)).toEqual([
      { partition: 'orders-0', to: 't1', from: 1, upTo: 2, bound: 2, isolation: 'uncommitted', leaderEpoch: 0 },
    ])
  })

  it('waits for data until max wait is over', () => {
    const cluster = makeCluster()
    const call = cluster.fetch(1, 0, { maxWaitMs: 300 })
    cluster.pass(298)
    expect(call.response).toBeUndefined()
    cluster.pass(10)
    expect(fetched(call)).toMatchObject({ errorCode: 0, records: [] })
  })

  it('is woken by the high watermark, not by the append', () => {
    const cluster = makeCluster({ running: [1] })
    const call = cluster.fetch(1, 0, { maxWaitMs: 10_000 })
    cluster.pass(5)
    append(cluster, 'a')
    expect(call.response).toBeUndefined()
    const second = cluster.partition(1)
    for (const [i, id] of [2, 3].entries()) {
      const replica = second.replica(id)
      if (replica === undefined) throw new Error('no replica')
      second.updateFollower(replica, 1, 0, 1, -1, 0)
      cluster.pass(5)
      expect(call.response !== undefined).toBe(i === 1)
    }
    expect(offsets(fetched(call))).toEqual([0])
  })

  it('beyond the high watermark is answered at once, with nothing', () => {
    const cluster = makeCluster({ running: [1] })
    append(cluster, 'a', 'b')
    const call = cluster.fetch(1, 1, { maxWaitMs: 10_000 })
    cluster.pass(10)
    expect(fetched(call)).toMatchObject({ errorCode: 0, records: [], highWatermark: 0 })
  })

  it('outside of the log is out of range', () => {
    const cluster = makeCluster()
    append(cluster, 'a', 'b')
    cluster.pass(1_000)
    cluster.log(1).advanceLogStartOffset(1, 'test')
    const calls = [0, 1, 3].map((offset) => cluster.fetch(1, offset))
    cluster.pass(20)
    expect(calls.map((call) => fetched(call).errorCode)).toEqual([
      Errors.OFFSET_OUT_OF_RANGE,
      0,
      Errors.OFFSET_OUT_OF_RANGE,
    ])
    expect(fetched(calls[0] as never)).toMatchObject({ highWatermark: -1, logStartOffset: -1, records: [] })
  })

  // DelayedFetchTest.testFetchWithFencedEpoch, testNotLeaderOrFollower
  it('that waits with a leader epoch is answered when there is another one', () => {
    const cluster = makeCluster()
    const call = cluster.fetch(1, 0, { maxWaitMs: 10_000, leaderEpoch: 0 })
    cluster.pass(10)
    cluster.controller.change(TOPIC, 0, { leader: 2 })
    cluster.pass(10)
    expect(fetched(call)).toMatchObject({
      errorCode: Errors.FENCED_LEADER_EPOCH,
      currentLeader: { leaderId: 2, leaderEpoch: 1 },
    })
    expect(call.response?.nodeEndpoints).toEqual([{ nodeId: 2, host: 'b2', port: 9092, rack: null }])
  })

  it('that waits for a topic that is deleted is answered', () => {
    const cluster = makeCluster()
    const call = cluster.fetch(1, 0, { maxWaitMs: 10_000 })
    cluster.pass(10)
    cluster.controller.deleteTopic(TOPIC)
    cluster.pass(10)
    expect(fetched(call).errorCode).toBe(Errors.UNKNOWN_TOPIC_OR_PARTITION)
  })

  it('may read from a follower from version 11 on, up to what that knows as committed', () => {
    const cluster = makeCluster()
    append(cluster, 'a')
    cluster.pass(1_000)
    append(cluster, 'b')
    const [older, newer] = [10, 12].map((version) => cluster.fetch(2, 0, { version }))
    cluster.pass(10)
    expect(fetched(older as never).errorCode).toBe(Errors.NOT_LEADER_OR_FOLLOWER)
    expect(offsets(fetched(newer as never))).toEqual([0])
  })

  it('at a follower is woken when that hears of a new high watermark', () => {
    const cluster = makeCluster()
    const call = cluster.fetch(2, 0, { maxWaitMs: 10_000 })
    cluster.pass(10)
    append(cluster, 'a')
    expect(call.response).toBeUndefined()
    cluster.pass(600)
    expect(offsets(fetched(call))).toEqual([0])
  })

  it('is told when a topic, its id or a partition is not known', () => {
    const cluster = makeCluster({ replicas: [[1, 2]] })
    const name = cluster.fetch(1, 0, { version: 12, topic: 'nowhere' })
    const id = cluster.fetch(1, 0, { topicId: 'nowherenowherenowhereA' })
    const partition = cluster.fetch(1, 0, { index: 5 })
    const elsewhere = cluster.fetch(3, 0)
    cluster.pass(20)
    expect(fetched(name).errorCode).toBe(Errors.UNKNOWN_TOPIC_OR_PARTITION)
    expect(fetched(id).errorCode).toBe(Errors.UNKNOWN_TOPIC_ID)
    expect(fetched(partition).errorCode).toBe(Errors.UNKNOWN_TOPIC_OR_PARTITION)
    expect(fetched(elsewhere)).toMatchObject({
      errorCode: Errors.NOT_LEADER_OR_FOLLOWER,
      currentLeader: { leaderId: 1, leaderEpoch: 0 },
    })
  })

  it('is told INCONSISTENT_TOPIC_ID while the broker still has a deleted topic of that name', () => {
    const cluster = makeCluster()
    cluster.fetch(1, 0)
    cluster.pass(10)
    // A session holds the old id under the name; the broker has the new topic already.
    const session = cluster.send(1, 'Fetch', {
      ...FULL,
      topics: [{ topic: '', topicId: cluster.controller.topicId(TOPIC), partitions: [ASKED] }],
    })
    cluster.pass(10)
    cluster.controller.deleteTopic(TOPIC)
    cluster.controller.createTopic(TOPIC, [[1, 2, 3]], 'ordersordersordersordQ')
    cluster.pass(10)
    const sessionId = session.response?.sessionId ?? 0
    const again = cluster.send(1, 'Fetch', { ...FULL, sessionId, sessionEpoch: 1 })
    cluster.pass(10)
    expect(fetched(again).errorCode).toBe(Errors.INCONSISTENT_TOPIC_ID)
  })
})

const ASKED = {
  partition: 0,
  currentLeaderEpoch: -1,
  fetchOffset: 0,
  lastFetchedEpoch: -1,
  logStartOffset: -1,
  partitionMaxBytes: 1_000_000,
  replicaDirectoryId: 'AAAAAAAAAAAAAAAAAAAAAA',
  highWatermark: Number.MAX_SAFE_INTEGER,
}
const FULL = {
  clusterId: null,
  replicaId: -1,
  replicaState: { replicaId: -1, replicaEpoch: -1 },
  maxWaitMs: 0,
  minBytes: 1,
  maxBytes: 1_000_000,
  isolationLevel: 0,
  sessionId: 0,
  sessionEpoch: 0,
  topics: [],
  forgottenTopicsData: [],
  rackId: '',
}

describe('limits of a fetch', () => {
  const size = batch(['x'.repeat(100)]).sizeInBytes

  function filled(): TestCluster {
    const cluster = makeCluster({ replicas: [[1], [1]] })
    for (const index of [0, 1]) {
      for (let i = 0; i < 4; i++) cluster.produce(1, ['x'.repeat(100)], { acks: 1, index })
    }
    cluster.pass(50)
    return cluster
  }

  it('are whole batches within the partition’s limit, and one batch at least', () => {
    const cluster = filled()
    const calls = [1, size, 2 * size + 5, 100 * size].map((partitionMaxBytes) =>
      cluster.fetch(1, 0, { partitionMaxBytes }),
    )
    cluster.pass(20)
    expect(calls.map((call) => offsets(fetched(call)))).toEqual([[0], [0], [0, 1], [0, 1, 2, 3]])
  })

  it('are shared by the partitions in order: after the first with records there is no batch for nothing', () => {
    const cluster = filled()
    const topicId = cluster.controller.topicId(TOPIC)
    const fetch = (maxBytes: number) =>
      cluster.send(1, 'Fetch', {
        ...FULL,
        maxBytes,
        sessionEpoch: -1,
        topics: [{ topic: '', topicId, partitions: [ASKED, { ...ASKED, partition: 1 }] }],
      })
    const calls = [1, size, 3 * size, 5 * size].map(fetch)
    cluster.pass(20)
    const counts = calls.map((call) => call.response?.responses[0]?.partitions.map((data) => data.records?.length))
    expect(counts).toEqual([
      [1, 0],
      [1, 0],
      [3, 0],
      [4, 1],
    ])
  })

  it('of the least bytes are waited for', () => {
    const cluster = makeCluster({ replicas: [[1]] })
    const call = cluster.fetch(1, 0, { minBytes: 2 * size, maxWaitMs: 5_000 })
    cluster.pass(5)
    append(cluster, 'x'.repeat(100))
    expect(call.response).toBeUndefined()
    append(cluster, 'x'.repeat(100))
    expect(offsets(fetched(call))).toEqual([0, 1])
  })

  it('of the least bytes do not count beyond the partition’s limit, nor across a closed segment', () => {
    const cluster = makeCluster({ replicas: [[1]] })
    const limited = cluster.fetch(1, 0, { minBytes: 2 * size, partitionMaxBytes: size, maxWaitMs: 1_000 })
    cluster.pass(5)
    append(cluster, 'x'.repeat(100), 'x'.repeat(100), 'x'.repeat(100))
    expect(limited.response).toBeUndefined()
    cluster.pass(1_000)
    expect(offsets(fetched(limited))).toEqual([0])
    const across = cluster.fetch(1, 3, { minBytes: 10 * size, maxWaitMs: 60_000 })
    cluster.pass(5)
    cluster.log(1).roll()
    append(cluster, 'x')
    expect(offsets(fetched(across))).toEqual([3])
  })
})

describe('read committed', () => {
  it('ends at the first open transaction, and names those that were aborted', () => {
    const cluster = makeCluster({ replicas: [[1]] })
    const log = cluster.log(1)
    const write = (producerId: number, value: string): void => {
      const verification = log.startTransactionVerification(producerId, 0, 0, false)
      const options = verification !== undefined && !('error' in verification) ? { verification } : {}
      const records = batch([value], { producerId, producerEpoch: 0, baseSequence: 0, isTransactional: true })
      expect(log.appendAsLeader([records], 0, { origin: 'client', ...options }).error).toBe(0)
    }
    write(1, 'a')
    write(2, 'b')
    const marker = { producerId: 1, producerEpoch: 0, coordinatorEpoch: 0, commit: false, timestamp: 0 }
    log.appendAsLeader([endTransactionMarkerBatch(marker)], 0, { origin: 'coordinator' })
    cluster.partition(1).advanceHighWatermark()
    const [committed, uncommitted] = [true, false].map((only) => cluster.fetch(1, 0, { committed: only }))
    cluster.pass(10)
    expect(offsets(fetched(uncommitted as never))).toEqual([0, 1, 2])
    expect(fetched(committed as never)).toMatchObject({ lastStableOffset: 1, highWatermark: 3 })
    expect(offsets(fetched(committed as never))).toEqual([0])
    expect(fetched(committed as never).abortedTransactions).toEqual([{ producerId: 1, firstOffset: 0 }])
    expect(cluster.of('fetch.served', 'b1').map(({ data }) => [data.isolation, data.bound])).toEqual([
      ['committed', 1],
      ['uncommitted', 3],
    ])
  })
})

describe('a follower’s long poll', () => {
  // DelayedFetchTest.testDivergingEpoch
  it('is ended by an append, and by a log that was cut', () => {
    const cluster = makeCluster({ running: [1] })
    append(cluster, 'a', 'b')
    const call = cluster.fetch(1, 2, { replicaId: 2, leaderEpoch: 0, lastFetchedEpoch: 0, maxWaitMs: 10_000 })
    cluster.pass(10)
    expect(call.response).toBeUndefined()
    cluster.log(1).truncateTo(1, 'test')
    cluster.partition(1).delayedFetch.check()
    cluster.pass(10)
    expect(fetched(call)).toMatchObject({ divergingEpoch: { epoch: 0, endOffset: 1 } })
    expect(cluster.of('fetch.diverging', 'b1').map((event) => event.data)).toEqual([
      { partition: 'orders-0', epoch: 0, endOffset: 1, leader: 1 },
    ])
  })

  it('counts once as what the follower has, not again when it ends', () => {
    const cluster = makeCluster({ running: [1] })
    const call = cluster.fetch(1, 0, { replicaId: 2, leaderEpoch: 0, maxWaitMs: 500 })
    cluster.pass(10)
    const first = cluster.partition(1).replica(2)?.lastFetchTimeMs
    cluster.pass(600)
    expect(fetched(call).errorCode).toBe(0)
    expect(cluster.partition(1).replica(2)?.lastFetchTimeMs).toBe(first)
  })
})
