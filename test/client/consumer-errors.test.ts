/** What a consumer makes of errors, other leaders and transactions: cases of Kafka's FetcherTest and OffsetFetcherTest. */

import { describe, expect, it } from 'vitest'
import { encode } from '../../sim/client/workload-record.js'
import { endTransactionMarkerBatch } from '../../sim/wire/control-record.js'
import { Errors } from '../../sim/wire/errors.js'
import { RecordBatch } from '../../sim/wire/record-batch.js'
import { consuming, everyPartition, fill, labWithOrders, positions } from './applications.js'
import { answerFetch, fetchAnswer, must, type FakePartition, type Lab } from './lab.js'

describe('an error of a fetch', () => {
  it.each([
    'NOT_LEADER_OR_FOLLOWER',
    'REPLICA_NOT_AVAILABLE',
    'KAFKA_STORAGE_ERROR',
    'FENCED_LEADER_EPOCH',
    'OFFSET_NOT_AVAILABLE',
    'UNKNOWN_TOPIC_OR_PARTITION',
    'UNKNOWN_TOPIC_ID',
    'INCONSISTENT_TOPIC_ID',
  ] as const)('%s asks for new metadata and goes on', (name) => {
    const it = labWithOrders()
    fill(it.partition('orders-0'), 1)
    it.next('Fetch', (request) => answerFetch(request, 0, { errorCode: Errors[name] }))
    const app = consuming(it, { 'auto.offset.reset': 'earliest' })
    it.until(2_000)
    expect(app.got).toEqual(['orders-0@0=p0/0'])
    expect(app.errors).toEqual([])
    expect(it.sent('Metadata').length).toBeGreaterThan(1)
  })

  it.each(['UNKNOWN_LEADER_EPOCH', 'UNKNOWN_SERVER_ERROR'] as const)('%s is tried again', (name) => {
    const it = labWithOrders()
    fill(it.partition('orders-0'), 1)
    it.next('Fetch', (request) => answerFetch(request, 0, { errorCode: Errors[name] }))
    const app = consuming(it, { 'auto.offset.reset': 'earliest' })
    it.until(2_000)
    expect([app.got, app.errors]).toEqual([['orders-0@0=p0/0'], []])
  })

  it('CORRUPT_MESSAGE and others are for the application', () => {
    for (const name of ['CORRUPT_MESSAGE', 'TOPIC_AUTHORIZATION_FAILED'] as const) {
      const it = labWithOrders()
      it.next('Fetch', (request) => answerFetch(request, 0, { errorCode: Errors[name] }))
      const app = consuming(it)
      it.until(50)
      expect(app.errors).toEqual([`orders-0 ${name}`])
      expect(it.of('consume.failed')).toHaveLength(1)
    }
  })

  it('a lost connection is followed by another, with a full request', () => {
    const it = labWithOrders()
    fill(it.partition('orders-0'), 1)
    it.next('Fetch', (request) => request.closeConnection())
    const app = consuming(it, { 'auto.offset.reset': 'earliest' })
    it.until(2_000)
    expect(app.got).toEqual(['orders-0@0=p0/0'])
    expect(
      it
        .sent('Fetch')
        .slice(0, 2)
        .map(({ body }) => body.sessionEpoch),
    ).toEqual([0, 0])
  })

  it('in one partition leaves the others alone', () => {
    const it = labWithOrders(2)
    fill(it.partition('orders-1'), 1)
    it.next('Fetch', (request) =>
      request.respond({
        throttleTimeMs: 0,
        errorCode: 0,
        sessionId: 0,
        responses: [
          {
            topic: 'orders',
            topicId: must(it.topics.get('orders')).id,
            partitions: [
              fetchAnswer(0, { errorCode: Errors.KAFKA_STORAGE_ERROR }),
              fetchAnswer(1, { highWatermark: 1, records: it.partition('orders-1').log }),
            ],
          },
        ],
        nodeEndpoints: [],
      }),
    )
    const app = consuming(it, { 'auto.offset.reset': 'earliest' }, everyPartition(2))
    it.until(50)
    expect(app.got).toEqual(['orders-1@0=p0/0'])
  })
})

describe('an error that the application must know', () => {
  it('comes after the records of other partitions, in a poll of its own', () => {
    const it = labWithOrders(2)
    fill(it.partition('orders-0'), 1)
    it.next('Fetch', (request) =>
      request.respond({
        throttleTimeMs: 0,
        errorCode: 0,
        sessionId: 0,
        responses: [
          {
            topic: 'orders',
            topicId: must(it.topics.get('orders')).id,
            partitions: [
              fetchAnswer(0, { highWatermark: 1, records: it.partition('orders-0').log }),
              fetchAnswer(1, { errorCode: Errors.CORRUPT_MESSAGE }),
            ],
          },
        ],
        nodeEndpoints: [],
      }),
    )
    const app = consuming(it, { 'auto.offset.reset': 'earliest' }, everyPartition(2))
    it.until(50)
    expect([app.got, app.errors]).toEqual([['orders-0@0=p0/0'], ['orders-1 CORRUPT_MESSAGE']])
  })
})

describe('OFFSET_OUT_OF_RANGE', () => {
  it('resets by policy', () => {
    const it = labWithOrders()
    fill(it.partition('orders-0'), 3)
    const app = consuming(it, { 'auto.offset.reset': 'earliest' }, [{ topic: 'orders', index: 0, offset: 100 }])
    it.until(100)
    expect(positions(it)).toEqual(['orders-0 -1→100 assigned', 'orders-0 100→0 reset'])
    expect(app.got).toHaveLength(3)
  })

  it('is for the application without a policy, again and again until it seeks', () => {
    const it = labWithOrders()
    fill(it.partition('orders-0'), 1)
    const app = consuming(it, { 'auto.offset.reset': 'none' }, [{ topic: 'orders', index: 0, offset: 100 }])
    it.until(250)
    expect(new Set(app.errors)).toEqual(new Set(['orders-0 OFFSET_OUT_OF_RANGE']))
    expect(app.errors.length).toBeGreaterThan(1)
    app.consumer.seek('orders-0', 0)
    it.until(1_000)
    expect(app.got).toEqual(['orders-0@0=p0/0'])
  })

  it('for an offset that was left meanwhile is dropped', () => {
    const it = labWithOrders()
    fill(it.partition('orders-0'), 3)
    it.next('Fetch', (request) => it.later(100, () => it.answer(request)))
    const app = consuming(it, { 'auto.offset.reset': 'earliest' }, [{ topic: 'orders', index: 0, offset: 100 }])
    it.until(50)
    app.consumer.seek('orders-0', 2)
    it.until(500)
    expect(app.got).toEqual(['orders-0@2=p0/2'])
    expect(positions(it).at(-1)).toBe('orders-0 100→2 seek')
  })
})

describe('another leader', () => {
  it('is found through metadata after NOT_LEADER_OR_FOLLOWER', () => {
    const it = labWithOrders(1, 2)
    fill(it.partition('orders-0'), 1)
    const app = consuming(it, { 'auto.offset.reset': 'earliest' })
    it.until(100)
    it.moveLeader('orders-0', 2)
    fill(it.partition('orders-0'), 1)
    it.until(2_000)
    expect(app.got).toEqual(['orders-0@0=p0/0', 'orders-0@1=p0/1'])
    expect(it.sent('OffsetForLeaderEpoch').map(({ to }) => to)).toEqual(['b2'])
  })

  it('that the error names is used at once (KIP-951), after checking the position', () => {
    const it = labWithOrders(1, 2)
    fill(it.partition('orders-0'), 1)
    const app = consuming(it, { 'auto.offset.reset': 'earliest' })
    it.until(100)
    const metadataBefore = it.sent('Metadata').length
    it.next('Fetch', (request) =>
      request.respond({
        throttleTimeMs: 0,
        errorCode: 0,
        sessionId: request.body.sessionId,
        responses: [
          {
            topic: 'orders',
            topicId: must(it.topics.get('orders')).id,
            partitions: [
              fetchAnswer(0, {
                errorCode: Errors.NOT_LEADER_OR_FOLLOWER,
                currentLeader: { leaderId: 2, leaderEpoch: 1 },
              }),
            ],
          },
        ],
        nodeEndpoints: [{ nodeId: 2, host: 'b2', port: 9092, rack: null }],
      }),
    )
    it.moveLeader('orders-0', 2)
    fill(it.partition('orders-0'), 1)
    it.until(1_000)
    expect(app.got).toEqual(['orders-0@0=p0/0', 'orders-0@1=p0/1'])
    expect(must(must(it.sent('OffsetForLeaderEpoch')[0]).body.topics[0]).partitions[0]).toEqual({
      partition: 0,
      currentLeaderEpoch: 1,
      leaderEpoch: 0,
    })
    expect(it.sent('Metadata').length - metadataBefore).toBeLessThanOrEqual(1)
  })

  it('whose log is shorter shows a truncation, which the trace tells', () => {
    const it = labWithOrders(1, 2)
    const partition = it.partition('orders-0')
    fill(partition, 2)
    fill(partition, 3)
    const app = consuming(it, { 'auto.offset.reset': 'earliest' })
    it.until(100)
    expect(app.got).toHaveLength(5)
    truncate(partition, 2)
    it.moveLeader('orders-0', 2)
    fill(partition, 2, { from: 10 })
    it.until(2_000)
    expect(positions(it).slice(1)).toEqual(['orders-0 5→2 truncated'])
    expect(app.got.slice(5)).toEqual(['orders-0@2=p0/10', 'orders-0@3=p0/11'])
  })

  it('whose log is shorter is for the application without a reset policy', () => {
    const it = labWithOrders(1, 2)
    const partition = it.partition('orders-0')
    fill(partition, 5)
    const app = consuming(it, { 'auto.offset.reset': 'none' }, [{ topic: 'orders', index: 0, offset: 0 }])
    it.until(100)
    partition.log.length = 0
    fill(partition, 2)
    it.moveLeader('orders-0', 2)
    it.until(2_000)
    expect(app.errors[0]).toBe('orders-0 LOG_TRUNCATION')
  })

  it.each(['FENCED_LEADER_EPOCH', 'UNKNOWN_LEADER_EPOCH', 'NOT_LEADER_OR_FOLLOWER'] as const)(
    'that answers the check with %s is asked again',
    (name) => {
      const it = labWithOrders(1, 2)
      fill(it.partition('orders-0'), 1)
      const app = consuming(it, { 'auto.offset.reset': 'earliest' })
      it.until(100)
      it.next('OffsetForLeaderEpoch', (request) =>
        request.respond({
          throttleTimeMs: 0,
          topics: [
            {
              topic: 'orders',
              partitions: [{ errorCode: Errors[name], partition: 0, leaderEpoch: -1, endOffset: -1 }],
            },
          ],
        }),
      )
      it.moveLeader('orders-0', 2)
      fill(it.partition('orders-0'), 1)
      it.until(2_000)
      expect(app.got).toHaveLength(2)
      expect(it.sent('OffsetForLeaderEpoch')).toHaveLength(2)
    },
  )
})

describe('a batch whose CRC is wrong', () => {
  const corrupted = (batch: RecordBatch): RecordBatch => {
    const bytes = batch.toBytes().slice()
    bytes[bytes.length - 2] = must(bytes[bytes.length - 2]) ^ 0xff
    return must(RecordBatch.parse(bytes))
  }

  it('stops the partition there, after the records before it', () => {
    const it = labWithOrders()
    const partition = it.partition('orders-0')
    fill(partition, 2)
    partition.log.push(corrupted(fill(partition, 1)))
    partition.log.splice(1, 1)
    const app = consuming(it, { 'auto.offset.reset': 'earliest' })
    it.until(500)
    expect(app.got).toEqual(['orders-0@0=p0/0', 'orders-0@1=p0/1'])
    expect(new Set(app.errors)).toEqual(new Set(['orders-0 CORRUPT_MESSAGE']))
    app.consumer.seek('orders-0', 3)
    fill(partition, 1)
    it.until(2_000)
    expect(app.got.slice(2)).toEqual(['orders-0@3=p0/3'])
  })

  it('is not noticed without check.crcs', () => {
    const it = labWithOrders()
    const partition = it.partition('orders-0')
    partition.log.push(corrupted(fill(partition, 1)))
    partition.log.shift()
    const app = consuming(it, { 'auto.offset.reset': 'earliest', 'check.crcs': false })
    it.until(200)
    expect([app.got.length, app.errors]).toEqual([1, []])
  })
})

describe('transactions', () => {
  /** Batches of producers 1 and 2, the first aborted: data 0–1 (1), 2 (2), abort 3 (1), data 4 (1), commit 5 (2), commit 6 (1). */
  function transactions(partition: FakePartition): void {
    let offset = 0
    const data = (producerId: number, count: number): void => {
      const records = Array.from({ length: count }, (_, i) => ({
        timestamp: 1,
        key: null,
        value: encode(`t${producerId}/${offset + i}`),
      }))
      const batch = RecordBatch.build(
        {
          baseOffset: offset,
          partitionLeaderEpoch: 0,
          producerId,
          producerEpoch: 0,
          baseSequence: 0,
          isTransactional: true,
        },
        records,
      )
      partition.log.push(batch)
      offset += count
    }
    const marker = (producerId: number, commit: boolean): void => {
      partition.log.push(
        endTransactionMarkerBatch({
          timestamp: 1,
          producerId,
          producerEpoch: 0,
          coordinatorEpoch: 0,
          commit,
        }).withOffsets(offset, 0),
      )
      offset++
    }
    data(1, 2)
    data(2, 1)
    marker(1, false)
    data(1, 1)
    marker(2, true)
    marker(1, true)
  }

  function read(isolation: string): { it: Lab; app: ReturnType<typeof consuming> } {
    const it = labWithOrders()
    transactions(it.partition('orders-0'))
    it.next('Fetch', (request) =>
      answerFetch(request, 0, {
        highWatermark: 7,
        lastStableOffset: 7,
        records: it.partition('orders-0').log,
        abortedTransactions: isolation === 'read_committed' ? [{ producerId: 1, firstOffset: 0 }] : null,
      }),
    )
    const app = consuming(it, { 'auto.offset.reset': 'earliest', 'isolation.level': isolation })
    it.until(200)
    return { it, app }
  }

  it('that were aborted are skipped by read_committed, up to their marker', () => {
    const { app } = read('read_committed')
    expect(app.got).toEqual(['orders-0@2=t2/2', 'orders-0@4=t1/4'])
    expect(app.consumer.position('orders-0')).toBe(7)
  })

  it('are all read by read_uncommitted, without the markers', () => {
    const { app } = read('read_uncommitted')
    expect(app.got.map((line) => line.split('=')[1])).toEqual(['t1/0', 't1/1', 't2/2', 't1/4'])
    expect(app.consumer.position('orders-0')).toBe(7)
  })

  it('aborted later do not take what their producer wrote before', () => {
    const it = labWithOrders()
    transactions(it.partition('orders-0'))
    const abortedTransactions = [{ producerId: 1, firstOffset: 4 }]
    it.next('Fetch', (request) =>
      answerFetch(request, 0, {
        highWatermark: 6,
        records: it.partition('orders-0').log.slice(0, 2),
        abortedTransactions,
      }),
    )
    const app = consuming(it, { 'auto.offset.reset': 'earliest', 'isolation.level': 'read_committed' })
    it.until(100)
    expect(app.got.slice(0, 3).map((line) => line.split('=')[1])).toEqual(['t1/0', 't1/1', 't2/2'])
  })

  it('ask for their isolation level', () => {
    const { it } = read('read_committed')
    expect(must(it.sent('Fetch')[0]).body.isolationLevel).toBe(1)
  })
})

describe('a preferred replica (KIP-392)', () => {
  it('is fetched from, until it is out of range', () => {
    const it = labWithOrders(1, 2)
    fill(it.partition('orders-0'), 1)
    it.next('Fetch', (request) => answerFetch(request, 0, { highWatermark: 1, preferredReadReplica: 2 }), 1, 'b1')
    it.next('Fetch', (request) => answerFetch(request, 0, { errorCode: Errors.OFFSET_OUT_OF_RANGE }), 1, 'b2')
    const app = consuming(it, { 'auto.offset.reset': 'earliest', 'client.rack': 'r2' })
    it.until(500)
    expect(
      it
        .sent('Fetch')
        .slice(0, 3)
        .map(({ to }) => to),
    ).toEqual(['b1', 'b2', 'b1'])
    expect(must(it.sent('Fetch')[0]).body.rackId).toBe('r2')
    expect(app.got).toEqual(['orders-0@0=p0/0'])
  })
})

function truncate(partition: FakePartition, to: number): void {
  partition.log = partition.log.filter((batch) => batch.nextOffset <= to)
}
