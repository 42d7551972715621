/** What a producer without idempotence makes of errors: cases of Kafka's SenderTest and RecordAccumulatorTest. */

import { describe, expect, it } from 'vitest'
import { Errors } from '../../sim/wire/errors.js'
import { idsIn, plain } from './applications.js'
import { answerProduce, must } from './lab.js'

describe('an error of the broker', () => {
  it.each([
    'NOT_LEADER_OR_FOLLOWER',
    'NOT_ENOUGH_REPLICAS',
    'REQUEST_TIMED_OUT',
    'UNKNOWN_TOPIC_OR_PARTITION',
    'KAFKA_STORAGE_ERROR',
  ] as const)('%s is tried again', (name) => {
    const { lab, app } = plain()
    lab.next('Produce', (request) => answerProduce(request, Errors[name]))
    app.send()
    lab.after(400)
    expect(app.outcome(1)).toBe('orders-0@1')
    expect(lab.sent('Produce')).toHaveLength(3)
  })

  it.each(['INVALID_RECORD', 'INVALID_TIMESTAMP', 'RECORD_LIST_TOO_LARGE', 'INVALID_REQUIRED_ACKS'] as const)(
    '%s is final, and certain',
    (name) => {
      const { lab, app } = plain()
      lab.next('Produce', (request) => answerProduce(request, Errors[name]))
      app.send()
      lab.after(400)
      expect(app.outcome(1)).toBe(name)
    },
  )

  it('is final once the retries are used up', () => {
    const { lab, app } = plain({ retries: 2 })
    lab.next('Produce', (request) => answerProduce(request, Errors.NOT_ENOUGH_REPLICAS), 3)
    app.send()
    lab.after(2_000)
    expect(app.outcome(1)).toBe('NOT_ENOUGH_REPLICAS')
    expect(lab.sent('Produce')).toHaveLength(4)
  })

  it('after the append leaves open whether the record is written', () => {
    const { lab, app } = plain({ retries: 0 })
    lab.next('Produce', (request) => answerProduce(request, Errors.NOT_ENOUGH_REPLICAS_AFTER_APPEND))
    app.send()
    lab.after(100)
    expect(app.outcome(1)).toBe('NOT_ENOUGH_REPLICAS_AFTER_APPEND?')
  })

  it('NOT_LEADER_OR_FOLLOWER ends the wait for replicas too, so it is certain with acks=1 only', () => {
    for (const [acks, outcome] of [
      ['all', 'NOT_LEADER_OR_FOLLOWER?'],
      ['1', 'NOT_LEADER_OR_FOLLOWER'],
    ] as const) {
      const { lab, app } = plain({ acks, retries: 0 })
      lab.next('Produce', (request) => answerProduce(request, Errors.NOT_LEADER_OR_FOLLOWER))
      app.send()
      lab.after(100)
      expect(app.outcome(1)).toBe(outcome)
    }
  })

  it('of an earlier attempt is not forgotten: a record that may be written stays so', () => {
    const { lab, app } = plain({ retries: 1 })
    lab.next('Produce', (request) => answerProduce(request, Errors.REQUEST_TIMED_OUT))
    lab.next('Produce', (request) => answerProduce(request, Errors.NOT_ENOUGH_REPLICAS))
    app.send()
    lab.after(1_000)
    expect(app.outcome(1)).toBe('NOT_ENOUGH_REPLICAS?')
  })

  it('naming a record blames it, and the rest of its batch for its company', () => {
    const { lab, app } = plain({ 'linger.ms': 5 })
    const recordErrors = [{ batchIndex: 1, batchIndexErrorMessage: null }]
    lab.next('Produce', (request) => answerProduce(request, Errors.INVALID_TIMESTAMP, { recordErrors }))
    for (let i = 0; i < 3; i++) app.send()
    lab.after(100)
    expect(app.outcomes().slice(1)).toEqual(['INVALID_RECORD_IN_BATCH', 'INVALID_TIMESTAMP', 'INVALID_RECORD_IN_BATCH'])
  })
})

describe('a retry', () => {
  it('waits 100 ms, then 200, 400, 800, 1000, give or take a fifth', () => {
    const { lab, app } = plain()
    lab.next('Produce', (request) => answerProduce(request, Errors.NOT_ENOUGH_REPLICAS), 6)
    app.send()
    lab.after(10_000)
    const times = lab
      .sent('Produce')
      .slice(1)
      .map(({ time }) => time / 1_000)
    const expected = [100, 200, 400, 800, 1_000, 1_000]
    times.slice(1).forEach((time, i) => {
      const gap = time - must(times[i]) - 1
      expect(gap).toBeGreaterThanOrEqual(must(expected[i]) * 0.8 - 1)
      expect(gap).toBeLessThanOrEqual(must(expected[i]) * 1.2 + 1)
    })
    expect(app.outcome(1)).toBe('orders-0@1')
  })

  it('does not wait when there is a new leader (KIP-951)', () => {
    const { lab, app, orders } = plain({}, 2)
    lab.partition('orders-0').leader = 2
    lab.partition('orders-0').leaderEpoch = 1
    lab.next('Produce', (request) =>
      request.respond({
        responses: [
          {
            name: 'orders',
            topicId: orders.id,
            partitionResponses: [
              {
                ...answered(must(must(request.body.topicData[0]).partitionData[0]).index),
                currentLeader: { leaderId: 2, leaderEpoch: 1 },
              },
            ],
          },
        ],
        throttleTimeMs: 0,
        nodeEndpoints: [{ nodeId: 2, host: 'b2', port: 9092, rack: null }],
      }),
    )
    app.send()
    lab.after(10)
    expect(app.outcome(1)).toBe('orders-0@1')
    expect(lab.sent('Produce').map(({ to }) => to)).toEqual(['b1', 'b1', 'b2'])
  })

  it('goes to the leader that new metadata names', () => {
    const { lab, app } = plain({}, 2)
    lab.moveLeader('orders-0', 2)
    app.send()
    lab.after(1_000)
    expect(app.outcome(1)).toBe('orders-0@1')
    expect(lab.sent('Produce').map(({ to }) => to)).toEqual(['b1', 'b1', 'b2'])
  })

  it('does not believe metadata older than what it knows', () => {
    const { lab, app } = plain({}, 2)
    lab.moveLeader('orders-0', 2)
    app.send()
    lab.after(1_000)
    // A broker that lags still names b1 at epoch 0.
    const partition = lab.partition('orders-0')
    lab.next('Metadata', (request) => {
      partition.leader = 1
      partition.leaderEpoch = 0
      const stale = lab.metadata(request.body)
      partition.leader = 2
      partition.leaderEpoch = 1
      request.respond(stale)
    })
    lab.next('Produce', (request) => answerProduce(request, Errors.NOT_LEADER_OR_FOLLOWER), 1, 'b2')
    app.send()
    lab.after(1_000)
    expect(app.outcome(2)).toBe('orders-0@2')
    expect(
      lab
        .sent('Produce')
        .slice(3)
        .map(({ to }) => to),
    ).toEqual(['b2', 'b2'])
  })

  it('after a lost connection may write the record twice, without idempotence', () => {
    const { lab, app } = plain()
    lab.next('Produce', (request) => {
      // Written, but the answer gets lost.
      lab.write(request)
      request.closeConnection()
    })
    app.send()
    lab.after(1_000)
    expect(idsIn(lab.partition('orders-0'))).toEqual(['p1/0', 'p1/1', 'p1/1'])
    expect(app.outcome(1)).toBe('orders-0@2')
  })
})

describe('with one request in flight', () => {
  it('a batch waits for the answer to the one before', () => {
    const { lab, app } = plain({ 'max.in.flight.requests.per.connection': 1 })
    lab.next('Produce', (request) => lab.later(100, () => lab.answer(request)))
    app.send()
    lab.after(10)
    app.send()
    lab.after(50)
    expect(lab.sent('Produce')).toHaveLength(2)
    lab.after(100)
    expect(app.outcomes().slice(1)).toEqual(['orders-0@1', 'orders-0@2'])
  })

  it('a batch waits even when the leader is another by now', () => {
    const { lab, app } = plain({ 'max.in.flight.requests.per.connection': 1 }, 2, 2)
    lab.next('Produce', (request) => lab.later(500, () => lab.answer(request)), 1, 'b1')
    app.send({ partition: 0 })
    lab.after(10)
    lab.moveLeader('orders-0', 2)
    // An error elsewhere makes the producer ask for metadata.
    lab.next('Produce', (request) => answerProduce(request, Errors.NOT_LEADER_OR_FOLLOWER), 1, 'b2')
    app.send({ partition: 1 })
    lab.after(300)
    const before = lab.sent('Produce').length
    app.send({ partition: 0 })
    lab.after(100)
    expect(lab.sent('Produce')).toHaveLength(before)
    lab.after(1_000)
    expect(app.outcomes()).not.toContain('open')
  })

  it('a retry keeps the order', () => {
    const { lab, app } = plain({ 'max.in.flight.requests.per.connection': 1 })
    lab.next('Produce', (request) => answerProduce(request, Errors.NOT_ENOUGH_REPLICAS))
    app.send()
    lab.after(5)
    app.send()
    lab.after(1_000)
    expect(idsIn(lab.partition('orders-0'))).toEqual(['p1/0', 'p1/1', 'p1/2'])
  })

  it('more of them may swap batches when the first is retried', () => {
    const { lab, app } = plain({ 'max.in.flight.requests.per.connection': 5 })
    lab.next('Produce', (request) => answerProduce(request, Errors.NOT_ENOUGH_REPLICAS))
    app.send()
    lab.after(0.2)
    app.send()
    lab.after(1_000)
    expect(idsIn(lab.partition('orders-0'))).toEqual(['p1/0', 'p1/2', 'p1/1'])
  })
})

describe('a batch too large for the broker', () => {
  it('is split, and its parts keep the order', () => {
    const { lab, app } = plain({ 'linger.ms': 5, 'batch.size': 600 })
    lab.next('Produce', (request) => answerProduce(request, Errors.MESSAGE_TOO_LARGE))
    for (let i = 1; i <= 6; i++) app.send({ value: new TextEncoder().encode(`p1/${i} `.padEnd(80, '.')) })
    lab.after(200)
    expect(idsIn(lab.partition('orders-0'))).toEqual(['p1/0', 'p1/1', 'p1/2', 'p1/3', 'p1/4', 'p1/5', 'p1/6'])
    expect(app.outcomes()).toEqual([0, 1, 2, 3, 4, 5, 6].map((offset) => `orders-0@${offset}`))
  })

  it('of one record fails', () => {
    const { lab, app } = plain()
    lab.next('Produce', (request) => answerProduce(request, Errors.MESSAGE_TOO_LARGE))
    app.send()
    lab.after(200)
    expect(app.outcome(1)).toBe('MESSAGE_TOO_LARGE')
  })
})

describe('the delivery timeout', () => {
  const timeouts = { 'delivery.timeout.ms': 1_500, 'request.timeout.ms': 1_000, 'linger.ms': 0 }

  it('fails a batch that could not be sent, for certain', () => {
    const { lab, app } = plain(timeouts)
    lab.world.kill('b1')
    lab.after(10)
    app.send()
    lab.after(1_400)
    expect(app.outcome(1)).toBe('open')
    lab.after(200)
    expect(app.outcome(1)).toBe('REQUEST_TIMED_OUT')
  })

  it('fails a batch in flight, which may be written', () => {
    const { lab, app } = plain(timeouts)
    lab.next('Produce', () => {}, 10)
    app.send()
    lab.after(1_499)
    expect(app.outcome(1)).toBe('open')
    lab.after(3)
    expect(app.outcome(1)).toBe('REQUEST_TIMED_OUT?')
  })

  it('counts from the send, not from the last attempt', () => {
    const { lab, app } = plain(timeouts)
    lab.next('Produce', (request) => answerProduce(request, Errors.NOT_ENOUGH_REPLICAS), 100)
    app.send()
    lab.after(1_450)
    expect(app.outcome(1)).toBe('open')
    lab.after(600)
    expect(app.outcome(1)).toBe('REQUEST_TIMED_OUT')
    expect(lab.sent('Produce').length).toBeGreaterThan(3)
  })

  it('an answer that comes after it changes nothing', () => {
    const { lab, app } = plain({ 'delivery.timeout.ms': 500, 'request.timeout.ms': 400 })
    lab.next('Produce', () => {})
    lab.next('Produce', (request) => lab.later(300, () => lab.answer(request)))
    app.send()
    lab.after(2_000)
    expect(app.outcome(1)).toBe('REQUEST_TIMED_OUT?')
  })
})

describe('a request without an answer', () => {
  it('is given up after request.timeout.ms with its connection, and tried again', () => {
    const { lab, app } = plain({ 'request.timeout.ms': 1_000 })
    lab.next('Produce', () => {})
    app.send()
    lab.after(999)
    expect(lab.of('request.failed')).toHaveLength(0)
    lab.after(500)
    expect(lab.of('request.failed').map((event) => event.data.reason)).toEqual(['timeout'])
    expect(app.outcome(1)).toBe('orders-0@1')
  })
})

function answered(index: number) {
  return {
    index,
    errorCode: Errors.NOT_LEADER_OR_FOLLOWER,
    baseOffset: -1,
    logAppendTimeMs: -1,
    logStartOffset: -1,
    recordErrors: [],
    errorMessage: null,
  }
}
