/** Batches and sequences of transactions: cases of Kafka's TransactionManagerTest and SenderTest on a broker that checks sequences. */

import { describe, expect, it } from 'vitest'
import { Errors } from '../../sim/wire/errors.js'
import { idsIn } from './applications.js'
import { answerProduce, must, produceAnswer, type Lab } from './lab.js'
import { begun, identities, transactions } from './transactional.js'

/** `epoch:first-last` of every batch that was sent to a partition. */
const sentBatches = (lab: Lab, partition = 0): string[] =>
  lab
    .sent('Produce')
    .flatMap(({ body }) =>
      body.topicData.flatMap((topic) => topic.partitionData.filter(({ index }) => index === partition)),
    )
    .map(({ records }) => must(must(records)[0]))
    .map((batch) => `${batch.producerEpoch}:${batch.baseSequence}-${batch.lastSequence}`)

const ids = (lab: Lab, partition = 0): string[] => idsIn(lab.partition(`orders-${partition}`))

describe('a batch that is refused', () => {
  it('gives its sequences to those after it, which still go out', () => {
    const { lab, app } = begun({ version: 0 })
    lab.next('Produce', (request) => answerProduce(request, Errors.INVALID_RECORD))
    app.send()
    lab.after(10)
    expect(app.outcomes).toEqual(['INVALID_RECORD'])
    app.abort()
    lab.after(500)
    app.begin()
    app.send()
    app.commit()
    lab.after(500)
    // Nothing of the first epoch was written; under the raised epoch all begins anew.
    expect(sentBatches(lab)).toEqual(['0:0-0', '1:0-0'])
    expect(ids(lab)).toEqual(['p1/1'])
  })

  it('before others in flight has them sent again in its place, though the transaction can only be aborted', () => {
    const { lab, app } = begun()
    app.send()
    lab.after(50)
    lab.next('Produce', (request) => answerProduce(request, Errors.INVALID_RECORD))
    app.send()
    lab.after(0.2)
    app.send()
    lab.after(0.2)
    app.send()
    lab.after(1_000)
    expect(app.outcomes).toEqual(['orders-0@0', 'INVALID_RECORD', 'orders-0@1', 'orders-0@2'])
    expect(sentBatches(lab)).toEqual(['0:0-0', '0:1-1', '0:2-2', '0:3-3', '0:1-1', '0:2-2'])
    expect(ids(lab)).toEqual(['p1/0', 'p1/2', 'p1/3'])
    app.abort()
    lab.after(500)
    expect(transactions(lab)).toEqual(['begin 1', 'ending 1 abort', 'ended 1 aborted'])
  })

  it('fails those that were not sent yet with its error', () => {
    const { lab, app } = begun({ config: { 'max.in.flight.requests.per.connection': 1 } })
    lab.next('Produce', (request) => lab.later(50, () => answerProduce(request, Errors.INVALID_RECORD)))
    app.send()
    lab.after(10)
    app.send()
    lab.after(200)
    expect(app.outcomes).toEqual(['INVALID_RECORD', 'INVALID_RECORD'])
    expect(lab.sent('Produce')).toHaveLength(1)
  })

  it('leaves batches of other partitions that are in retry to be sent again', () => {
    const { lab, app } = begun({ partitions: 2 })
    lab.next('Produce', (request) =>
      request.respond({
        responses: [
          {
            name: 'orders',
            topicId: must(request.body.topicData[0]).topicId,
            partitionResponses: [
              produceAnswer(0, Errors.INVALID_RECORD, -1),
              produceAnswer(1, Errors.NOT_ENOUGH_REPLICAS, -1),
            ],
          },
        ],
        throttleTimeMs: 0,
        nodeEndpoints: [],
      }),
    )
    app.send({ partition: 0 })
    app.send({ partition: 1 })
    lab.after(500)
    expect(app.outcomes).toEqual(['INVALID_RECORD', 'orders-1@0'])
    app.abort()
    lab.after(500)
    expect(app.told).toEqual(['abort ok'])
  })

  it('twice is refused once', () => {
    const { lab, app } = begun({ config: { 'delivery.timeout.ms': 1_000, 'request.timeout.ms': 900 } })
    lab.next('Produce', (request) => lab.later(500, () => answerProduce(request, Errors.NOT_ENOUGH_REPLICAS)))
    lab.next('Produce', (request) => lab.later(600, () => answerProduce(request, Errors.NOT_ENOUGH_REPLICAS)))
    app.send()
    lab.after(3_000)
    expect(app.outcomes).toHaveLength(1)
    app.abort()
    lab.after(1_000)
    app.begin()
    app.send()
    app.commit()
    lab.after(1_000)
    expect(app.told).toEqual(['abort ok', 'begin ok', 'commit ok'])
  })
})

describe('a batch that expires', () => {
  const timeouts = { 'delivery.timeout.ms': 1_500, 'request.timeout.ms': 1_000 }

  it('unsent makes the transaction abortable', () => {
    const { lab, app } = begun({ config: timeouts })
    app.send()
    lab.after(50)
    lab.world.kill('b1')
    lab.after(10)
    app.send()
    lab.after(2_500)
    expect(app.outcomes).toEqual(['orders-0@0', 'REQUEST_TIMED_OUT'])
    app.commit()
    lab.after(100)
    expect(app.told).toEqual(['commit TRANSACTION_ABORTABLE abortable'])
  })

  it('while the commit waits drops the commit', () => {
    const { lab, app } = begun({ config: timeouts })
    lab.next('Produce', () => {}, 10)
    app.send()
    app.commit()
    lab.after(2_000)
    expect(app.outcomes).toEqual(['REQUEST_TIMED_OUT?'])
    expect(app.told).toEqual(['commit UNRESOLVED_SEQUENCES abortable'])
    expect(lab.sent('EndTxn')).toHaveLength(0)
  })

  it.each([0, 2] as const)('after it was sent is no trouble to the next transaction, under version %s', (version) => {
    const { lab, app } = begun({ version, config: timeouts })
    let refuses = true
    lab.next(
      'Produce',
      (request) => (refuses ? answerProduce(request, Errors.NOT_ENOUGH_REPLICAS) : lab.answer(request)),
      100,
    )
    app.send()
    lab.after(2_000)
    expect(app.outcomes).toEqual(['REQUEST_TIMED_OUT'])
    refuses = false
    app.abort()
    lab.after(2_000)
    app.begin()
    app.send()
    app.commit()
    lab.after(1_000)
    expect(app.told).toEqual(['abort ok', 'begin ok', 'commit ok'])
    expect(identities(lab)[1]).toBe(version === 0 ? '1000/1 epoch bump' : '1000/1 transaction ended')
    expect(sentBatches(lab).at(-1)).toBe('1:0-0')
  })
})

describe('OUT_OF_ORDER_SEQUENCE_NUMBER', () => {
  it('for a batch that is not the next is tried again', () => {
    const { lab, app } = begun()
    lab.next('Produce', (request) => answerProduce(request, Errors.NOT_ENOUGH_REPLICAS))
    app.send()
    lab.after(0.2)
    app.send()
    lab.after(1_000)
    expect(app.outcomes).toEqual(['orders-0@0', 'orders-0@1'])
    app.commit()
    lab.after(100)
    expect(app.told).toEqual(['commit ok'])
  })

  it('for the next batch means that something was lost: the transaction must be aborted', () => {
    const { lab, app } = begun()
    app.send()
    lab.after(50)
    lab.next('Produce', (request) => answerProduce(request, Errors.OUT_OF_ORDER_SEQUENCE_NUMBER))
    app.send()
    lab.after(500)
    app.commit()
    lab.after(100)
    expect(app.outcomes).toEqual(['orders-0@0', 'OUT_OF_ORDER_SEQUENCE_NUMBER'])
    expect(app.told).toEqual(['commit OUT_OF_ORDER_SEQUENCE_NUMBER abortable'])
  })
})

describe('UNKNOWN_PRODUCER_ID', () => {
  it('after retention took what was written is tried again from sequence 0, in the same transaction', () => {
    const { lab, app } = begun()
    app.send()
    lab.after(50)
    lab.next('Produce', (request) => {
      const orders = lab.partition('orders-0')
      orders.producers.clear()
      answerProduce(request, Errors.UNKNOWN_PRODUCER_ID, { logStartOffset: 10 })
    })
    app.send()
    lab.after(500)
    app.commit()
    lab.after(100)
    expect(sentBatches(lab)).toEqual(['0:0-0', '0:1-1', '0:0-0'])
    expect(app.told).toEqual(['commit ok'])
  })

  it('without retention to blame makes the transaction abortable', () => {
    const { lab, app } = begun({ version: 0 })
    app.send()
    lab.after(50)
    lab.next('Produce', (request) => answerProduce(request, Errors.UNKNOWN_PRODUCER_ID, { logStartOffset: 0 }))
    app.send()
    lab.after(500)
    app.commit()
    lab.after(100)
    expect(app.told).toEqual(['commit UNKNOWN_PRODUCER_ID abortable'])
    app.abort()
    lab.after(500)
    expect(identities(lab)).toEqual(['1000/0 init', '1000/1 epoch bump'])
  })

  it('without a log start offset is only tried again', () => {
    const { lab, app } = begun()
    lab.next('Produce', (request) => answerProduce(request, Errors.UNKNOWN_PRODUCER_ID, { logStartOffset: -1 }))
    app.send()
    app.commit()
    lab.after(1_000)
    expect(sentBatches(lab)).toEqual(['0:0-0', '0:0-0'])
    expect(app.told).toEqual(['commit ok'])
  })
})

describe('a split batch', () => {
  it('stays part of the transaction', () => {
    const { lab, app } = begun({ config: { 'linger.ms': 5, 'batch.size': 600 } })
    app.send()
    lab.after(50)
    lab.next('Produce', (request) => answerProduce(request, Errors.MESSAGE_TOO_LARGE))
    for (let i = 1; i < 6; i++) app.send({ value: new TextEncoder().encode(`p1/${i} `.padEnd(100, '.')) })
    app.commit()
    lab.after(1_000)
    expect(app.told).toEqual(['commit ok'])
    expect(ids(lab)).toEqual(['p1/0', 'p1/1', 'p1/2', 'p1/3', 'p1/4', 'p1/5'])
    expect(lab.partition('orders-0').log.every((batch) => batch.isTransactional)).toBe(true)
  })
})

describe('a raised epoch', () => {
  it('begins sequences anew in every partition', () => {
    const { lab, app } = begun({ version: 0, partitions: 2 })
    app.send({ partition: 0 })
    app.send({ partition: 1 })
    lab.after(100)
    lab.next('Produce', (request) => answerProduce(request, Errors.INVALID_RECORD))
    app.send({ partition: 0 })
    lab.after(100)
    app.abort()
    lab.after(500)
    app.begin()
    app.send({ partition: 0 })
    app.send({ partition: 1 })
    app.commit()
    lab.after(500)
    expect(sentBatches(lab, 0)).toEqual(['0:0-0', '0:1-1', '1:0-0'])
    expect(sentBatches(lab, 1)).toEqual(['0:0-0', '1:0-0'])
    expect(app.told).toEqual(['abort ok', 'begin ok', 'commit ok'])
  })

  it('is asked for after EndTxn, with the identity to be raised', () => {
    const { lab, app } = begun({ version: 0 })
    app.send()
    lab.after(50)
    lab.next('Produce', (request) => answerProduce(request, Errors.INVALID_RECORD))
    app.send()
    lab.after(50)
    app.abort()
    lab.after(500)
    const order = lab
      .of('request.send')
      .map(({ data }) => data.api)
      .filter((api) => api === 'EndTxn' || api === 'InitProducerId')
    expect(order).toEqual(['InitProducerId', 'EndTxn', 'InitProducerId'])
    expect(must(lab.sent('InitProducerId')[1]).body).toMatchObject({
      transactionalId: 'tx',
      producerId: 1_000,
      producerEpoch: 0,
    })
  })
})
