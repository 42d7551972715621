/** Cases of Kafka's SenderTest, RecordAccumulatorTest and KafkaProducerTest that need no idempotence. */

import { describe, expect, it } from 'vitest'
import type { RecordBatch } from '../../sim/wire/record-batch.js'
import { Errors } from '../../sim/wire/errors.js'
import { idsIn, plain, producing } from './applications.js'
import { answerProduce, Lab, must } from './lab.js'

const batchesOf = (lab: Lab): RecordBatch[] =>
  lab
    .sent('Produce')
    .flatMap(({ body }) => body.topicData.flatMap((topic) => topic.partitionData.map((p) => must(must(p.records)[0]))))

describe('a send', () => {
  it('is acknowledged with its own offset and the CRC of its batch', () => {
    const { lab, app } = plain({ 'linger.ms': 5 })
    for (let i = 0; i < 3; i++) app.send()
    lab.after(50)
    expect(app.outcomes()).toEqual(['orders-0@0', 'orders-0@1', 'orders-0@2', 'orders-0@3'])
    const crcs = lab.of('produce.acked').map((event) => event.data.crc)
    expect(crcs.slice(1)).toEqual(Array(3).fill(must(lab.partition('orders-0').log[1]).crc))
    expect(must(lab.partition('orders-0').log[1]).isValid()).toBe(true)
  })

  it('tells of every record in order: invoked, assigned, acknowledged', () => {
    const { lab, app } = plain({ 'linger.ms': 5 })
    app.send()
    app.send()
    lab.after(50)
    const told = lab.events.filter((event) => event.type.startsWith('produce.')).slice(3)
    expect(told.map((event) => `${event.type} ${(event.data as { id: string }).id}`)).toEqual([
      'produce.invoked p1/1',
      'produce.invoked p1/2',
      'produce.assigned p1/1',
      'produce.assigned p1/2',
      'produce.acked p1/1',
      'produce.acked p1/2',
    ])
  })

  it('waits for linger.ms, so that records travel together', () => {
    const { lab, app } = plain({ 'linger.ms': 20 })
    app.send()
    lab.after(15)
    app.send()
    lab.after(4)
    expect(lab.sent('Produce')).toHaveLength(1)
    lab.after(1.5)
    expect(batchesOf(lab).map((batch) => batch.count)).toEqual([1, 2])
  })

  it('goes at once when its batch is full', () => {
    const { lab, app } = plain({ 'linger.ms': 1_000, 'batch.size': 400 })
    for (let i = 0; i < 4; i++) app.send({ value: new Uint8Array(100) })
    lab.after(0.1)
    expect(batchesOf(lab).map((batch) => batch.count)).toEqual([1, 3])
    expect(must(batchesOf(lab)[1]).sizeInBytes).toBeLessThanOrEqual(400)
  })

  it('has a batch of its own when batch.size is 0', () => {
    const { lab, app } = plain({ 'batch.size': 0, 'linger.ms': 10 })
    for (let i = 0; i < 3; i++) app.send({ value: new Uint8Array(100) })
    lab.after(50)
    expect(batchesOf(lab).map((batch) => batch.count)).toEqual([1, 1, 1, 1])
  })

  it('larger than max.request.size is refused, for certain', () => {
    const { lab, app } = plain({ 'max.request.size': 1_000 })
    app.send({ value: new Uint8Array(1_000) })
    expect(app.outcome(1)).toBe('MESSAGE_TOO_LARGE')
    lab.after(50)
    expect(lab.sent('Produce')).toHaveLength(1)
  })

  it('with acks=0 is done when it is sent, without an offset', () => {
    const lab = new Lab()
    lab.topic('orders', 1)
    const app = producing(lab, { acks: 0, 'linger.ms': 0 })
    lab.next('Produce', (request) => request.respondNothing())
    app.send()
    lab.until(50)
    expect(app.outcome(0)).toBe('orders-0@-1')
  })
})

describe('a send to a topic not yet known', () => {
  it('waits until the topic is there', () => {
    const lab = new Lab()
    const app = producing(lab, { 'linger.ms': 0 })
    app.send()
    lab.until(400)
    expect(app.outcome(0)).toBe('open')
    lab.topic('orders', 1)
    lab.until(1_500)
    expect(app.outcome(0)).toBe('orders-0@0')
  })

  it('fails after max.block.ms, and those behind it in their turn', () => {
    const lab = new Lab()
    const app = producing(lab, { 'max.block.ms': 1_000 })
    app.send()
    lab.until(500)
    app.send({ topic: 'payments' })
    lab.until(999)
    expect(app.outcomes()).toEqual(['open', 'open'])
    lab.until(1_001)
    expect(app.outcomes()).toEqual(['REQUEST_TIMED_OUT', 'open'])
    lab.until(1_501)
    expect(app.outcomes()).toEqual(['REQUEST_TIMED_OUT', 'REQUEST_TIMED_OUT'])
  })

  it('asks again after a backoff that grows', () => {
    const lab = new Lab()
    const app = producing(lab, { 'enable.idempotence': false })
    app.send()
    lab.until(5_000)
    const times = lab.sent('Metadata').map(({ time }) => time / 1_000)
    const gaps = times.slice(1).map((time, i) => time - must(times[i]))
    const last = gaps.slice(-2)
    for (const gap of last) expect(gap).toBeGreaterThanOrEqual(800)
    expect(times.length).toBeLessThan(12)
    expect(app.outcome(0)).toBe('open')
  })

  it('is refused when the brokers refuse its name', () => {
    const lab = new Lab()
    const refuse = (request: Parameters<Lab['metadata']>[0]) => ({
      ...lab.metadata({ ...request, topics: [] }),
      topics: [{ ...must(lab.metadata(request).topics[0]), errorCode: Errors.INVALID_TOPIC_EXCEPTION }],
    })
    lab.next('Metadata', (request) => request.respond(refuse(request.body)), 100)
    const app = producing(lab)
    app.send({ topic: 'a/b' })
    lab.until(1_000)
    expect(app.outcome(0)).toBe('INVALID_TOPIC_EXCEPTION')
  })

  it('for a partition that does not exist yet waits for it', () => {
    const { lab, app } = plain()
    app.send({ partition: 1 })
    lab.after(300)
    expect(app.outcome(1)).toBe('open')
    lab.topic('orders', 2)
    lab.after(3_000)
    expect(app.outcome(1)).toBe('orders-1@0')
  })
})

describe('memory', () => {
  it('that is used up makes sends wait, in order, until batches are answered', () => {
    const { lab, app } = plain({ 'buffer.memory': 2_000, 'batch.size': 1_000, 'linger.ms': 10_000 })
    for (let i = 0; i < 6; i++) app.send({ value: new TextEncoder().encode(`p1/${i + 1} `.padEnd(600, '.')) })
    lab.after(100)
    // What keeps the others waiting does not linger.
    expect(app.outcomes().slice(0, 5)).toEqual([0, 1, 2, 3, 4].map((offset) => `orders-0@${offset}`))
    lab.after(12_000)
    expect(app.outcomes().every((outcome) => outcome.startsWith('orders-0@'))).toBe(true)
    expect(idsIn(lab.partition('orders-0'))).toEqual(['p1/0', 'p1/1', 'p1/2', 'p1/3', 'p1/4', 'p1/5', 'p1/6'])
  })

  it('that somebody waits for sends what lingers', () => {
    const { lab, app } = plain({ 'buffer.memory': 2_000, 'batch.size': 1_000, 'linger.ms': 10_000 }, 1, 3)
    for (let partition = 0; partition < 3; partition++) app.send({ partition })
    lab.after(10)
    expect(app.outcomes().slice(3)).toEqual(['orders-0@1', 'orders-1@1', 'open'])
  })

  it('that does not come within max.block.ms fails the send', () => {
    const { lab, app } = plain({ 'buffer.memory': 1_000, 'batch.size': 1_000, 'max.block.ms': 200 })
    lab.next('Produce', () => {})
    app.send()
    lab.after(5)
    app.send({ value: new Uint8Array(600) })
    lab.after(250)
    expect(app.outcomes().slice(1)).toEqual(['open', 'BUFFER_EXHAUSTED'])
  })

  it('is given back for every batch, whatever became of it', () => {
    const { lab, app } = plain({ 'buffer.memory': 4_000, 'batch.size': 1_000 })
    for (let round = 0; round < 20; round++) {
      if (round % 3 === 0) lab.next('Produce', (request) => answerProduce(request, Errors.INVALID_RECORD))
      app.send()
      lab.after(20)
    }
    expect(app.outcomes().filter((outcome) => outcome === 'open' || outcome === 'BUFFER_EXHAUSTED')).toEqual([])
  })
})

describe('the partitions of a broker', () => {
  it('take turns where a request cannot hold all of them', () => {
    const { lab, app } = plain({ 'max.request.size': 450, 'linger.ms': 5 }, 1, 4)
    for (let round = 0; round < 2; round++) {
      for (let partition = 0; partition < 4; partition++) app.send({ partition, value: new Uint8Array(100) })
      lab.after(50)
    }
    const requests = lab.sent('Produce').slice(1)
    expect(requests.every(({ body }) => must(body.topicData[0]).partitionData.length === 2)).toBe(true)
    expect(app.outcomes()).not.toContain('open')
  })

  it('are sent together in one request', () => {
    const { lab, app } = plain({ 'linger.ms': 5 }, 1, 4)
    for (let partition = 0; partition < 4; partition++) app.send({ partition })
    lab.after(50)
    expect(lab.sent('Produce')).toHaveLength(2)
  })
})

describe('the requests in flight to a broker', () => {
  it('are at most max.in.flight.requests.per.connection', () => {
    const { lab, app } = plain({ 'max.in.flight.requests.per.connection': 3 })
    lab.next('Produce', (request) => lab.later(100, () => lab.answer(request)))
    for (let i = 0; i < 6; i++) {
      app.send()
      lab.after(2)
    }
    expect(lab.sent('Produce')).toHaveLength(1 + 3)
    lab.after(200)
    expect(app.outcomes()).not.toContain('open')
  })
})

describe('flush', () => {
  it('sends what lingers and is done when all of it is answered', () => {
    const { lab, app } = plain({ 'linger.ms': 10_000 }, 1, 2)
    let flushed = false
    app.send({ partition: 0 })
    app.send({ partition: 1 })
    app.producer.flush(() => (flushed = true))
    expect(flushed).toBe(false)
    lab.after(5)
    expect(flushed).toBe(true)
    expect(app.outcomes()).not.toContain('open')
  })

  it('is done at once when there is nothing', () => {
    const { app } = plain()
    let flushed = false
    app.producer.flush(() => (flushed = true))
    expect(flushed).toBe(true)
  })

  it('waits for sends that wait for metadata', () => {
    const lab = new Lab()
    const app = producing(lab)
    let flushed = false
    app.send()
    app.producer.flush(() => (flushed = true))
    lab.until(300)
    expect(flushed).toBe(false)
    lab.topic('orders', 1)
    lab.until(3_000)
    expect([flushed, app.outcome(0)]).toEqual([true, 'orders-0@0'])
  })
})

describe('close', () => {
  it('sends what there is first, and refuses what comes later', () => {
    const { lab, app } = plain({ 'linger.ms': 10_000 })
    let closed = false
    app.send()
    app.producer.close(() => (closed = true))
    app.send()
    expect(app.outcome(2)).toBe('PRODUCER_CLOSED')
    lab.after(50)
    expect([app.outcome(1), closed]).toEqual(['orders-0@1', true])
  })

  it('gives up after its timeout, and says what may be written', () => {
    const { lab, app } = plain({ 'max.in.flight.requests.per.connection': 1 })
    lab.next('Produce', () => {})
    app.send()
    lab.after(5)
    app.send()
    let closed = false
    app.producer.close(() => (closed = true), 200)
    lab.after(199)
    expect(closed).toBe(false)
    lab.after(5)
    expect([app.outcome(1), app.outcome(2), closed]).toEqual(['PRODUCER_CLOSED?', 'PRODUCER_CLOSED', true])
  })

  it('leaves nothing behind that wakes up', () => {
    const { lab, app } = plain()
    app.send()
    app.producer.close(() => {})
    lab.after(1_000)
    const fired = lab.engine.fired
    lab.after(3_600_000)
    expect(lab.engine.fired - fired).toBeLessThan(5)
  })
})

describe('a producer with nothing to do', () => {
  it('renews its metadata every five minutes and forgets a topic not sent to', () => {
    const { lab } = plain()
    const before = lab.sent('Metadata').length
    lab.until(660_000)
    const later = lab.sent('Metadata').slice(before)
    expect(later.map(({ time }) => Math.round(time / 60_000_000))).toEqual([5, 10])
    expect(must(later.at(-1)).body.topics).toEqual([])
  })
})
