/** Cases of Kafka's FetcherTest, FetchRequestManagerTest and OffsetFetcherTest. */

import { describe, expect, it } from 'vitest'
import { encode } from '../../sim/client/workload-record.js'
import { UsageError } from '../../sim/kernel/errors.js'
import { Errors } from '../../sim/wire/errors.js'
import { RecordBatch } from '../../sim/wire/record-batch.js'
import { consuming, everyPartition, fill, indexOf, labWithOrders, positions } from './applications.js'
import { must } from './lab.js'

describe('a consumer without a position', () => {
  it('starts at the end by default', () => {
    const it = labWithOrders()
    fill(it.partition('orders-0'), 3)
    const app = consuming(it)
    it.until(100)
    fill(it.partition('orders-0'), 2)
    it.until(1_000)
    expect(app.got).toEqual(['orders-0@3=p0/3', 'orders-0@4=p0/4'])
    expect(positions(it)).toEqual(['orders-0 -1→3 reset'])
  })

  it('starts at the beginning when told so', () => {
    const it = labWithOrders()
    fill(it.partition('orders-0'), 3)
    it.partition('orders-0').logStart = 1
    const app = consuming(it, { 'auto.offset.reset': 'earliest' })
    it.until(100)
    expect(app.got).toEqual(['orders-0@1=p0/1', 'orders-0@2=p0/2'])
  })

  it('tells the application when there is no policy', () => {
    const it = labWithOrders()
    const app = consuming(it, { 'auto.offset.reset': 'none' })
    it.until(50)
    expect(app.errors).toEqual(['orders-0 NO_OFFSET_FOR_PARTITION'])
    expect(it.sent('ListOffsets')).toHaveLength(0)
  })

  it('starts where the assignment says', () => {
    const it = labWithOrders()
    fill(it.partition('orders-0'), 3)
    const app = consuming(it, {}, [{ topic: 'orders', index: 0, offset: 2 }])
    it.until(100)
    expect(app.got).toEqual(['orders-0@2=p0/2'])
    expect(positions(it)).toEqual(['orders-0 -1→2 assigned'])
    expect(it.sent('ListOffsets')).toHaveLength(0)
  })

  it.each([
    'NOT_LEADER_OR_FOLLOWER',
    'REPLICA_NOT_AVAILABLE',
    'OFFSET_NOT_AVAILABLE',
    'FENCED_LEADER_EPOCH',
    'UNKNOWN_LEADER_EPOCH',
    'UNKNOWN_TOPIC_OR_PARTITION',
  ] as const)('asks again after %s, with new metadata', (name) => {
    const it = labWithOrders()
    const partitions = [{ partitionIndex: 0, errorCode: Errors[name], timestamp: -1, offset: -1, leaderEpoch: -1 }]
    it.next('ListOffsets', (request) =>
      request.respond({ throttleTimeMs: 0, topics: [{ name: 'orders', partitions }] }),
    )
    const app = consuming(it)
    const metadataBefore = 1
    it.until(1_000)
    expect(app.consumer.position('orders-0')).toBe(0)
    expect(it.sent('ListOffsets')).toHaveLength(2)
    expect(it.sent('Metadata').length).toBeGreaterThan(metadataBefore)
  })

  it('asks again after a lost connection', () => {
    const it = labWithOrders()
    it.next('ListOffsets', (request) => request.closeConnection())
    const app = consuming(it)
    it.until(1_000)
    expect(app.consumer.position('orders-0')).toBe(0)
  })

  it('asks at the leader epoch that it knows, and as read_committed if it is', () => {
    const it = labWithOrders()
    it.partition('orders-0').leaderEpoch = 7
    consuming(it, { 'isolation.level': 'read_committed' })
    it.until(50)
    const body = must(it.sent('ListOffsets')[0]).body
    expect([body.isolationLevel, body.replicaId, must(body.topics[0]).partitions[0]]).toEqual([
      1,
      -1,
      { partitionIndex: 0, currentLeaderEpoch: 7, timestamp: -1 },
    ])
  })
})

describe('seek', () => {
  it('changes what comes next; what was fetched already is dropped', () => {
    const it = labWithOrders()
    fill(it.partition('orders-0'), 5)
    const app = consuming(it, { 'auto.offset.reset': 'earliest', 'max.poll.records': 2 })
    it.until(20)
    app.consumer.seek('orders-0', 3)
    it.until(1_500)
    expect(app.got.slice(-2)).toEqual(['orders-0@3=p0/3', 'orders-0@4=p0/4'])
    expect(positions(it).at(-1)).toBe('orders-0 5→3 seek')
  })

  it('while a reset is under way wins', () => {
    const it = labWithOrders()
    fill(it.partition('orders-0'), 5)
    it.next('ListOffsets', (request) => it.later(100, () => it.answer(request)))
    const app = consuming(it)
    it.until(50)
    app.consumer.seek('orders-0', 4)
    it.until(500)
    expect(app.got).toEqual(['orders-0@4=p0/4'])
  })

  it('to the end, while the beginning is looked up, goes to the end', () => {
    const it = labWithOrders()
    fill(it.partition('orders-0'), 5)
    it.next('ListOffsets', (request) => it.later(100, () => it.answer(request)))
    const app = consuming(it, { 'auto.offset.reset': 'earliest' })
    it.until(50)
    app.consumer.seekToEnd()
    it.until(1_000)
    expect(app.got).toEqual([])
    expect(app.consumer.position('orders-0')).toBe(5)
  })

  it('to the beginning or the end asks the leader', () => {
    const it = labWithOrders()
    fill(it.partition('orders-0'), 5)
    const app = consuming(it)
    it.until(50)
    app.consumer.seekToBeginning()
    it.until(700)
    expect(app.got).toHaveLength(5)
    app.consumer.seekToEnd(['orders-0'])
    it.until(1_500)
    expect(positions(it).slice(1)).toEqual(['orders-0 5→0 seek', 'orders-0 5→5 seek'])
  })

  it('is for assigned partitions, and offsets that are not negative', () => {
    const it = labWithOrders()
    const app = consuming(it)
    it.until(20)
    expect(() => app.consumer.seek('orders-9', 0)).toThrow(UsageError)
    expect(() => app.consumer.seek('orders-0', -1)).toThrow(UsageError)
  })
})

describe('a poll', () => {
  it('hands over at most max.poll.records, and fetches nothing of that broker before they are taken', () => {
    const it = labWithOrders()
    fill(it.partition('orders-0'), 5)
    const app = consuming(it, { 'auto.offset.reset': 'earliest', 'max.poll.records': 2 })
    it.until(100)
    expect(it.of('consume.polled').map(({ data }) => data.offsets)).toEqual([[0, 1], [2, 3], [4]])
    expect(it.sent('Fetch').map(({ body }) => body.topics[0]?.partitions[0]?.fetchOffset)).toEqual([0, 5])
    expect(app.got).toHaveLength(5)
  })

  it('returns with nothing after its timeout', () => {
    const it = labWithOrders()
    const app = consuming(it)
    it.until(20)
    app.stop()
    it.until(1_500)
    const answered: number[] = []
    app.consumer.poll(({ records }) => answered.push(records.length), 200)
    it.after(199)
    expect(answered).toEqual([])
    it.after(2)
    expect(answered).toEqual([0])
  })

  it('starts in the middle of a batch when the position is there', () => {
    const it = labWithOrders()
    fill(it.partition('orders-0'), 5)
    const app = consuming(it, {}, [{ topic: 'orders', index: 0, offset: 3 }])
    it.until(50)
    expect(app.got).toEqual(['orders-0@3=p0/3', 'orders-0@4=p0/4'])
  })

  it('tells epochs, offsets and ids of what it hands over', () => {
    const it = labWithOrders()
    fill(it.partition('orders-0'), 1, { epoch: 2 })
    fill(it.partition('orders-0'), 1, { epoch: 4 })
    it.partition('orders-0').leaderEpoch = 4
    consuming(it, { 'auto.offset.reset': 'earliest' })
    it.until(50)
    expect(must(it.of('consume.polled')[0]).data).toEqual({
      partition: 'orders-0',
      offsets: [0, 1],
      ids: ['p0/0', 'p0/1'],
      leaderEpochs: [2, 4],
    })
  })

  it('passes offsets that compaction took', () => {
    const it = labWithOrders()
    const record = (offsetDelta: number) => ({
      timestamp: 1,
      key: null,
      value: encode(`p0/${offsetDelta}`),
      offsetDelta,
    })
    it.partition('orders-0').log.push(
      RecordBatch.build({ partitionLeaderEpoch: 0, lastOffsetDelta: 9 }, [record(2), record(5)]),
    )
    const app = consuming(it, { 'auto.offset.reset': 'earliest' })
    it.until(50)
    expect(app.got).toEqual(['orders-0@2=p0/2', 'orders-0@5=p0/5'])
    expect(app.consumer.position('orders-0')).toBe(10)
  })

  it('needs an assignment, and an open consumer', () => {
    const it = labWithOrders()
    const app = consuming(it)
    app.stop()
    it.until(1_100)
    app.consumer.assign([])
    expect(() => app.consumer.poll(() => {}, 0)).toThrow(UsageError)
    app.consumer.close(() => {})
    expect(() => app.consumer.poll(() => {}, 0)).toThrow(UsageError)
  })
})

describe('several partitions', () => {
  it('of one broker are fetched together, of several from each', () => {
    const it = labWithOrders(4, 2, [1, 2, 1, 2])
    for (let i = 0; i < 4; i++) fill(it.partition(`orders-${i}`), 1)
    const app = consuming(it, { 'auto.offset.reset': 'earliest' }, everyPartition(4))
    it.until(1_500)
    expect(app.got.map((line) => line.split('@')[0]).sort()).toEqual(['orders-0', 'orders-1', 'orders-2', 'orders-3'])
    const first = ['b1', 'b2'].map((broker) => must(it.sent('Fetch').find(({ to }) => to === broker)).body)
    expect(first.map((body) => must(body.topics[0]).partitions.map((p) => p.partition))).toEqual([
      [0, 2],
      [1, 3],
    ])
  })

  it('of a broker are not fetched while something of one of them waits, so that its session keeps them all', () => {
    const it = labWithOrders(2)
    consuming(it, { 'auto.offset.reset': 'earliest', 'max.poll.records': 1 }, everyPartition(2))
    it.until(600)
    fill(it.partition('orders-0'), 3)
    it.until(1_400)
    const fetches = it.of('request.send').filter(({ data }) => data.api === 'Fetch')
    const polled = it.of('consume.polled').map(({ seq }) => seq)
    expect(polled).toHaveLength(3)
    const between = fetches.filter(({ seq }) => seq > Math.min(...polled) && seq < Math.max(...polled))
    expect(between).toEqual([])
    expect(fetches.length).toBeGreaterThan(2)
    expect(it.sent('Fetch').flatMap(({ body }) => body.forgottenTopicsData)).toEqual([])
  })

  it('take turns', () => {
    const it = labWithOrders(2)
    fill(it.partition('orders-0'), 2)
    fill(it.partition('orders-1'), 2)
    const app = consuming(it, { 'auto.offset.reset': 'earliest' }, everyPartition(2))
    it.until(100)
    fill(it.partition('orders-0'), 2)
    fill(it.partition('orders-1'), 2)
    it.until(1_500)
    expect(app.got).toHaveLength(8)
    for (const index of [0, 1]) {
      expect(app.got.filter((line) => indexOf(must(line.split('@')[0])) === index)).toEqual(
        [0, 1, 2, 3].map((o) => `orders-${index}@${o}=p0/${o}`),
      )
    }
  })

  it('of which one is paused go on without it, and nothing of it is lost', () => {
    const it = labWithOrders(2)
    const app = consuming(it, { 'auto.offset.reset': 'earliest' }, everyPartition(2))
    it.until(50)
    app.consumer.pause(['orders-1'])
    expect(app.consumer.paused()).toEqual(['orders-1'])
    fill(it.partition('orders-0'), 1)
    fill(it.partition('orders-1'), 2)
    it.until(2_000)
    expect(app.got).toEqual(['orders-0@0=p0/0'])
    app.consumer.resume(['orders-1'])
    it.until(4_000)
    expect(app.got.slice(1)).toEqual(['orders-1@0=p0/0', 'orders-1@1=p0/1'])
  })

  it('that are taken away are not handed over any more', () => {
    const it = labWithOrders(2)
    fill(it.partition('orders-0'), 3)
    fill(it.partition('orders-1'), 3)
    const app = consuming(it, { 'auto.offset.reset': 'earliest', 'max.poll.records': 1 }, everyPartition(2))
    it.until(4)
    app.consumer.assign([{ topic: 'orders', index: 1 }])
    it.until(2_000)
    expect(app.got.filter((line) => line.startsWith('orders-0')).length).toBeLessThan(3)
    expect(app.got.filter((line) => line.startsWith('orders-1'))).toHaveLength(3)
    expect(app.consumer.assignment()).toEqual(['orders-1'])
  })
})

describe('close', () => {
  it('closes the fetch sessions first', () => {
    const it = labWithOrders()
    const app = consuming(it)
    it.until(600)
    app.stop()
    let closed = false
    app.consumer.close(() => (closed = true))
    it.until(1_500)
    expect(closed).toBe(true)
    expect(must(it.sent('Fetch').at(-1)).body).toMatchObject({ sessionId: 1, sessionEpoch: -1, topics: [] })
  })

  it('does not wait longer than it is told for a broker that does not answer', () => {
    const it = labWithOrders()
    const app = consuming(it)
    it.until(600)
    it.next('Fetch', () => {}, 10)
    it.world.pause('b1')
    let closed = false
    app.consumer.close(() => (closed = true), 300)
    it.until(899)
    expect(closed).toBe(false)
    it.until(901)
    expect(closed).toBe(true)
  })

  it('leaves nothing behind that wakes up', () => {
    const it = labWithOrders()
    const app = consuming(it)
    it.until(600)
    app.consumer.close(() => {})
    it.until(5_000)
    const fired = it.engine.fired
    it.until(3_600_000)
    expect(it.engine.fired - fired).toBeLessThan(5)
  })
})
