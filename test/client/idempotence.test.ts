/** The idempotent cases of Kafka's SenderTest and TransactionManagerTest, on a broker that checks sequences. */

import { describe, expect, it } from 'vitest'
import { Errors } from '../../sim/wire/errors.js'
import { decrementSequence, incrementSequence } from '../../sim/wire/record-batch.js'
import { fill, idsIn, producing } from './applications.js'
import { answerProduce, Lab, produceAnswer, must } from './lab.js'

/** A lab with topic `orders`, and an idempotent producer whose first records (one a partition) are written. */
function idempotent(config: Record<string, unknown> = {}, brokers = 1, partitions = 1) {
  const lab = new Lab(brokers)
  lab.topic('orders', partitions)
  const app = producing(lab, { 'linger.ms': 0, ...config })
  for (let i = 0; i < partitions; i++) app.send({ partition: i })
  lab.until(50)
  expect(app.outcomes()).not.toContain('open')
  lab.conversation()
  return {
    lab,
    app,
    log: (index = 0) => must(must(lab.topics.get('orders')).partitions[index]).log,
    ids: (index = 0) => idsIn(must(must(lab.topics.get('orders')).partitions[index])),
  }
}

const identities = (lab: Lab): string[] =>
  lab.of('producer.identity').map(({ data }) => `${data.producerId}/${data.producerEpoch} ${data.reason}`)

/** `epoch:first-last` of every batch that was sent to a partition after the first. */
const sentBatches = (lab: Lab, partition = 0): string[] =>
  lab
    .sent('Produce')
    .flatMap(({ body }) =>
      body.topicData.flatMap((topic) => topic.partitionData.filter(({ index }) => index === partition)),
    )
    .map(({ records }) => must(must(records)[0]))
    .map((batch) => `${batch.producerEpoch}:${batch.baseSequence}-${batch.lastSequence}`)
    .slice(1)

describe('a producer id', () => {
  it('is fetched before anything is sent', () => {
    const lab = new Lab()
    lab.topic('orders', 1)
    lab.next('InitProducerId', (request) => lab.later(500, () => lab.answer(request)))
    const app = producing(lab, { 'linger.ms': 0 })
    app.send()
    lab.until(400)
    expect(lab.sent('Produce')).toHaveLength(0)
    lab.until(600)
    expect(app.outcome(0)).toBe('orders-0@0')
    expect(identities(lab)).toEqual(['1000/0 init'])
    expect(must(lab.sent('InitProducerId')[0]).body).toMatchObject({
      transactionalId: null,
      transactionTimeoutMs: 2_147_483_647,
      producerId: -1,
    })
  })

  it.each(['COORDINATOR_LOAD_IN_PROGRESS', 'NOT_COORDINATOR', 'REQUEST_TIMED_OUT'] as const)(
    'is asked for again after %s',
    (name) => {
      const lab = new Lab()
      lab.topic('orders', 1)
      lab.next(
        'InitProducerId',
        (request) => request.respond({ throttleTimeMs: 0, errorCode: Errors[name], producerId: -1, producerEpoch: -1 }),
        3,
      )
      const app = producing(lab, { 'linger.ms': 0 })
      app.send()
      lab.until(1_000)
      expect(lab.sent('InitProducerId')).toHaveLength(4)
      expect(app.outcome(0)).toBe('orders-0@0')
    },
  )

  it('is asked for again after a lost connection', () => {
    const lab = new Lab()
    lab.topic('orders', 1)
    lab.next('InitProducerId', (request) => request.closeConnection())
    const app = producing(lab, { 'linger.ms': 0 })
    app.send()
    lab.until(1_000)
    expect(app.outcome(0)).toBe('orders-0@0')
  })

  it('that is refused for want of authorisation fails what waits, and is asked for again', () => {
    const lab = new Lab()
    lab.topic('orders', 1)
    lab.next('InitProducerId', (request) =>
      request.respond({
        throttleTimeMs: 0,
        errorCode: Errors.CLUSTER_AUTHORIZATION_FAILED,
        producerId: -1,
        producerEpoch: -1,
      }),
    )
    const app = producing(lab)
    app.send()
    lab.until(500)
    app.send()
    lab.until(600)
    expect(app.outcomes()).toEqual(['CLUSTER_AUTHORIZATION_FAILED', 'orders-0@0'])
    expect(identities(lab)).toEqual(['1000/0 init'])
  })

  it('that is refused for another reason fails what waits, and all that comes', () => {
    const lab = new Lab()
    lab.topic('orders', 1)
    lab.next('InitProducerId', (request) =>
      request.respond({ throttleTimeMs: 0, errorCode: Errors.INVALID_REQUEST, producerId: -1, producerEpoch: -1 }),
    )
    const app = producing(lab)
    app.send()
    lab.until(500)
    app.send()
    lab.until(600)
    expect(app.outcomes()).toEqual(['INVALID_REQUEST', 'INVALID_REQUEST'])
  })
})

describe('sequences', () => {
  it('count the records of each partition', () => {
    const { lab, app } = idempotent({ 'linger.ms': 5 }, 1, 2)
    for (const [partition, count] of [
      [0, 3],
      [1, 2],
      [0, 1],
    ] as const) {
      for (let i = 0; i < count; i++) app.send({ partition })
      lab.after(20)
    }
    expect(sentBatches(lab, 0)).toEqual(['0:1-3', '0:4-4'])
    expect(sentBatches(lab, 1)).toEqual(['0:1-2'])
  })

  it('wrap from the largest integer to 0', () => {
    expect(incrementSequence(2_147_483_647, 1)).toBe(0)
    expect(incrementSequence(2_147_483_642, 10)).toBe(4)
    expect(decrementSequence(0, 1)).toBe(2_147_483_647)
  })

  it('stay as they are when a batch is retried, so that it is written once', () => {
    const { lab, app, ids } = idempotent()
    lab.next('Produce', (request) => {
      lab.write(request)
      request.closeConnection()
    })
    app.send()
    lab.after(1_000)
    expect(sentBatches(lab)).toEqual(['0:1-1', '0:1-1'])
    expect(ids()).toEqual(['p1/0', 'p1/1'])
    expect(app.outcome(1)).toBe('orders-0@1')
  })
})

describe('several batches in flight', () => {
  it('of which the first is refused are all written in order', () => {
    const { lab, app, ids } = idempotent()
    lab.next('Produce', (request) => answerProduce(request, Errors.NOT_ENOUGH_REPLICAS))
    for (let i = 0; i < 4; i++) {
      app.send()
      lab.after(0.2)
    }
    lab.after(2_000)
    expect(ids()).toEqual(['p1/0', 'p1/1', 'p1/2', 'p1/3', 'p1/4'])
    expect(identities(lab)).toEqual(['1000/0 init'])
  })

  it('go one at a time while they are retried', () => {
    const { lab, app } = idempotent()
    lab.next('Produce', (request) => answerProduce(request, Errors.NOT_ENOUGH_REPLICAS))
    for (let i = 0; i < 3; i++) {
      app.send()
      lab.after(0.2)
    }
    lab.after(2_000)
    const sends = lab
      .sent('Produce')
      .slice(4)
      .map(({ time }) => time)
    expect(sends).toHaveLength(3)
    sends.slice(1).forEach((time, i) => expect(time - must(sends[i])).toBeGreaterThanOrEqual(1_000))
  })

  it('of which the second succeeds leave the first to be retried', () => {
    // The first one times out at the broker after it was written: the second is in order then.
    const { lab, app, ids } = idempotent()
    lab.next('Produce', (request) => {
      lab.write(request)
      answerProduce(request, Errors.REQUEST_TIMED_OUT)
    })
    app.send()
    lab.after(0.2)
    app.send()
    lab.after(1_000)
    expect(app.outcomes()).toEqual(['orders-0@0', 'orders-0@1', 'orders-0@2'])
    expect(ids()).toEqual(['p1/0', 'p1/1', 'p1/2'])
    expect(identities(lab)).toHaveLength(1)
  })

  it('of which the first fails for good are numbered again under a new epoch', () => {
    const { lab, app, ids } = idempotent()
    lab.next('Produce', (request) => answerProduce(request, Errors.INVALID_RECORD))
    app.send()
    lab.after(0.2)
    app.send()
    lab.after(1_000)
    expect(app.outcomes()).toEqual(['orders-0@0', 'INVALID_RECORD', 'orders-0@1'])
    expect(ids()).toEqual(['p1/0', 'p1/2'])
    expect(identities(lab)).toEqual(['1000/0 init', '1000/1 epoch bump'])
    expect(sentBatches(lab)).toEqual(['0:1-1', '0:2-2', '1:0-0'])
  })
})

describe('OUT_OF_ORDER_SEQUENCE_NUMBER', () => {
  it('for the batch after the last acknowledged one means a gap: the epoch is raised and the batch sent again', () => {
    const { lab, app, log } = idempotent()
    lab.next('Produce', (request) => answerProduce(request, Errors.OUT_OF_ORDER_SEQUENCE_NUMBER))
    app.send()
    app.send()
    lab.after(1_000)
    expect(identities(lab)).toEqual(['1000/0 init', '1000/1 epoch bump'])
    expect(sentBatches(lab)).toEqual(['0:1-2', '1:0-1'])
    expect(log().map((batch) => batch.producerEpoch)).toEqual([0, 1])
    expect(app.outcomes()).toEqual(['orders-0@0', 'orders-0@1', 'orders-0@2'])
  })

  it('leaves other partitions with their old epoch until nothing of theirs is in flight', () => {
    const { lab, app } = idempotent({}, 1, 2)
    lab.next('Produce', (request) =>
      request.respond({
        responses: [
          {
            name: 'orders',
            topicId: must(request.body.topicData[0]).topicId,
            partitionResponses: must(request.body.topicData[0]).partitionData.map(({ index }) =>
              produceAnswer(
                index,
                index === 0 ? Errors.OUT_OF_ORDER_SEQUENCE_NUMBER : Errors.NOT_LEADER_OR_FOLLOWER,
                -1,
              ),
            ),
          },
        ],
        throttleTimeMs: 0,
        nodeEndpoints: [],
      }),
    )
    app.send({ partition: 0 })
    app.send({ partition: 1 })
    lab.after(1_000)
    app.send({ partition: 1 })
    lab.after(100)
    expect(sentBatches(lab, 0)).toEqual(['0:1-1', '1:0-0'])
    expect(sentBatches(lab, 1)).toEqual(['0:1-1', '0:1-1', '1:0-0'])
    expect(app.outcomes()).not.toContain('open')
  })
})

describe('UNKNOWN_PRODUCER_ID', () => {
  it('raises the epoch and is tried again, however far the log start went', () => {
    for (const logStartOffset of [0, 10]) {
      const { lab, app } = idempotent()
      lab.next('Produce', (request) => answerProduce(request, Errors.UNKNOWN_PRODUCER_ID, { logStartOffset }))
      app.send()
      lab.after(1_000)
      expect(sentBatches(lab)).toEqual(['0:1-1', '1:0-0'])
      expect(app.outcome(1)).toBe('orders-0@1')
    }
  })

  it('without a log start offset is only tried again', () => {
    const { lab, app } = idempotent()
    lab.next('Produce', (request) => answerProduce(request, Errors.UNKNOWN_PRODUCER_ID, { logStartOffset: -1 }))
    app.send()
    lab.after(1_000)
    expect(sentBatches(lab)).toEqual(['0:1-1', '0:1-1'])
    expect(identities(lab)).toHaveLength(1)
  })

  it('for several batches in flight raises the epoch once', () => {
    const { lab, app, ids } = idempotent()
    lab.next('Produce', (request) => answerProduce(request, Errors.UNKNOWN_PRODUCER_ID, { logStartOffset: 5 }), 2)
    app.send()
    lab.after(0.2)
    app.send()
    lab.after(2_000)
    expect(identities(lab)).toEqual(['1000/0 init', '1000/1 epoch bump'])
    expect(ids()).toEqual(['p1/0', 'p1/1', 'p1/2'])
    expect(sentBatches(lab)).toEqual(['0:1-1', '0:2-2', '1:0-0', '1:1-1'])
  })
})

describe('DUPLICATE_SEQUENCE_NUMBER', () => {
  it('is a success without an offset', () => {
    const { lab, app } = idempotent()
    lab.next('Produce', (request) => answerProduce(request, Errors.DUPLICATE_SEQUENCE_NUMBER))
    app.send()
    lab.after(100)
    expect(app.outcome(1)).toBe('orders-0@-1')
  })
})

describe('a batch that expires', () => {
  const timeouts = { 'delivery.timeout.ms': 1_500, 'request.timeout.ms': 1_000 }

  it('unsent leaves the sequences as they are', () => {
    const { lab, app } = idempotent(timeouts)
    lab.world.kill('b1')
    lab.after(10)
    app.send()
    lab.after(2_000)
    expect(app.outcome(1)).toBe('REQUEST_TIMED_OUT')
    lab.world.start('b1')
    app.send()
    lab.after(2_000)
    expect(app.outcome(2)).toBe('orders-0@1')
    expect(identities(lab)).toHaveLength(1)
  })

  it('in retry with nothing else in flight leaves a gap: the epoch is raised', () => {
    const { lab, app } = idempotent(timeouts)
    lab.next('Produce', (request) => answerProduce(request, Errors.NOT_ENOUGH_REPLICAS), 30)
    app.send()
    lab.after(2_000)
    expect(app.outcome(1)).toBe('REQUEST_TIMED_OUT')
    expect(identities(lab)).toEqual(['1000/0 init', '1000/1 epoch bump'])
  })

  it('in retry, while a later batch succeeds, was written after all: nothing is raised', () => {
    const { lab, app, ids } = idempotent({ ...timeouts, 'request.timeout.ms': 1_450 })
    lab.next('Produce', (request) => {
      lab.write(request)
      answerProduce(request, Errors.REQUEST_TIMED_OUT)
    })
    lab.next('Produce', () => {})
    app.send()
    lab.after(300)
    app.send()
    lab.after(1_205)
    // The first one is given up; until it is known whether it was written, nothing new goes out.
    expect(app.outcomes()).toEqual(['orders-0@0', 'REQUEST_TIMED_OUT?', 'open'])
    app.send()
    lab.after(10)
    expect(sentBatches(lab)).toEqual(['0:1-1', '0:1-1', '0:2-2'])
    lab.after(2_000)
    expect(app.outcomes()).toEqual(['orders-0@0', 'REQUEST_TIMED_OUT?', 'orders-0@2', 'orders-0@3'])
    expect(ids()).toEqual(['p1/0', 'p1/1', 'p1/2', 'p1/3'])
    expect(identities(lab)).toEqual(['1000/0 init'])
  })

  it('in retry, while a later batch is out of order, was not written: the epoch is raised for the later ones', () => {
    const { lab, app, ids } = idempotent({ ...timeouts, 'request.timeout.ms': 1_400 })
    lab.next('Produce', (request) => answerProduce(request, Errors.NOT_ENOUGH_REPLICAS))
    lab.next('Produce', () => {})
    app.send()
    lab.after(700)
    app.send()
    lab.after(805)
    app.send()
    lab.after(2_000)
    expect(app.outcomes()).toEqual(['orders-0@0', 'REQUEST_TIMED_OUT?', 'orders-0@1', 'orders-0@2'])
    expect(ids()).toEqual(['p1/0', 'p1/2', 'p1/3'])
    expect(identities(lab)).toEqual(['1000/0 init', '1000/1 epoch bump'])
  })

  it('in flight may be written, and its late success is not lost on the sequences', () => {
    const { lab, app, ids } = idempotent({ 'delivery.timeout.ms': 1_100, 'request.timeout.ms': 1_000 })
    lab.next('Produce', () => {})
    lab.next('Produce', (request) => lab.later(600, () => lab.answer(request)))
    app.send()
    lab.after(1_300)
    expect(app.outcome(1)).toBe('REQUEST_TIMED_OUT?')
    lab.after(3_000)
    app.send()
    lab.after(1_000)
    expect(app.outcome(2)).toMatch(/^orders-0@/)
    expect(ids().filter((id) => id === 'p1/2')).toHaveLength(1)
  })
})

describe('a split batch', () => {
  it('keeps its sequences, part by part', () => {
    const { lab, app, ids } = idempotent({ 'linger.ms': 5, 'batch.size': 600 })
    lab.next('Produce', (request) => answerProduce(request, Errors.MESSAGE_TOO_LARGE))
    for (let i = 1; i <= 5; i++) app.send({ value: new TextEncoder().encode(`p1/${i} `.padEnd(100, '.')) })
    lab.after(300)
    expect(ids()).toEqual(['p1/0', 'p1/1', 'p1/2', 'p1/3', 'p1/4', 'p1/5'])
    expect(sentBatches(lab)[0]).toMatch(/^0:1-/)
    expect(identities(lab)).toHaveLength(1)
  })
})

describe('what is assigned to records', () => {
  it('is told once for each, in the order of sends, whatever is retried', () => {
    const { lab, app } = idempotent()
    lab.next('Produce', (request) => answerProduce(request, Errors.NOT_ENOUGH_REPLICAS), 2)
    for (let i = 0; i < 3; i++) {
      app.send()
      lab.after(0.2)
    }
    lab.after(3_000)
    expect(lab.of('produce.assigned').map(({ data }) => `${data.id} ${data.sequence}`)).toEqual([
      'p1/0 0',
      'p1/1 1',
      'p1/2 2',
      'p1/3 3',
    ])
  })
})

describe('a leader that another producer wrote to', () => {
  it('gives offsets that account for it', () => {
    const { lab, app } = idempotent()
    fill(lab.partition('orders-0'), 3)
    app.send()
    lab.after(100)
    expect(app.outcome(1)).toBe('orders-0@4')
  })
})
