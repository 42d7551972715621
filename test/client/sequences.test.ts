/** What idempotence decides, without a broker: cases of Kafka's TransactionManagerTest and TxnPartitionMapTest. */

import { describe, expect, it } from 'vitest'
import { Idempotence } from '../../sim/client/idempotence.js'
import { PartitionQueue } from '../../sim/client/partition-queue.js'
import { ProducerBatch } from '../../sim/client/producer-batch.js'
import { SendReporter } from '../../sim/client/send-reporter.js'
import { TransactionManager } from '../../sim/client/transaction-manager.js'
import type { Env } from '../../sim/kernel/env.js'
import { Errors } from '../../sim/wire/errors.js'

const silent = { emit: () => 0 } as unknown as Env
const RECORD = { timestamp: 1, key: null, value: new Uint8Array(3) }

/** An identity 7/0, and a queue. */
function identified(): { idempotence: Idempotence; queue: PartitionQueue } {
  const idempotence = new Idempotence(silent)
  idempotence.setIdentity(7, 0, 'init')
  return { idempotence, queue: new PartitionQueue('orders', 0) }
}

function batch(queue: PartitionQueue, count = 1): ProducerBatch {
  const made = new ProducerBatch(queue, 0, 1_000, 0)
  for (let i = 0; i < count; i++) made.tryAppend(RECORD, '', () => {}, 0)
  return made
}

/** Batches with sequences, as after a drain. */
function drained(idempotence: Idempotence, queue: PartitionQueue, ...counts: number[]): ProducerBatch[] {
  return counts.map((count) => {
    const made = batch(queue, count)
    idempotence.assign(made)
    made.close()
    return made
  })
}

const numbers = (batches: readonly ProducerBatch[]): string[] =>
  batches.map((each) => `${each.producerEpoch}:${each.baseSequence}-${each.lastSequence}`)
const answer = (errorCode: number, logStartOffset = -1) => ({ errorCode, logStartOffset })

describe('sequences', () => {
  it('are given in the order of draining', () => {
    const { idempotence, queue } = identified()
    expect(numbers(drained(idempotence, queue, 2, 3, 1))).toEqual(['0:0-1', '0:2-4', '0:5-5'])
  })

  it('order batches in flight whatever order they come back in', () => {
    const { idempotence, queue } = identified()
    const [first, second, third] = drained(idempotence, queue, 1, 1, 1) as [ProducerBatch, ProducerBatch, ProducerBatch]
    for (const each of [first, second, third]) queue.sequences.remove(each)
    for (const each of [third, first, second]) queue.sequences.add(each)
    expect(queue.sequences.inFlight).toEqual([first, second, third])
  })

  it('let a retry go only when it is the first without an answer', () => {
    const { idempotence, queue } = identified()
    const [first, second] = drained(idempotence, queue, 1, 1) as [ProducerBatch, ProducerBatch]
    expect([idempotence.holdsBack(queue, first), idempotence.holdsBack(queue, second)]).toEqual([false, true])
    idempotence.completed(first, 10)
    expect(idempotence.holdsBack(queue, second)).toBe(false)
  })
})

describe('a batch that is split', () => {
  it('gives its records and sequences to its parts, in order', () => {
    const { idempotence, queue } = identified()
    drained(idempotence, queue, 3)
    const [big] = drained(idempotence, queue, 10) as [ProducerBatch]
    const parts = big.split(100)
    expect(parts.length).toBeGreaterThan(1)
    expect(parts.reduce((count, part) => count + part.recordCount, 0)).toBe(10)
    let next = 3
    for (const part of parts) {
      expect(part.baseSequence).toBe(next)
      next = part.lastSequence + 1
    }
    expect(big.isDone).toBe(true)
  })

  it('is waited for until all its parts are done', () => {
    const { idempotence, queue } = identified()
    const [big] = drained(idempotence, queue, 10) as [ProducerBatch]
    let done = 0
    big.waiters = [{ pending: 1, done: () => done++ }]
    const parts = big.split(100)
    const reporter = new SendReporter(silent, -1, true)
    for (const part of parts) {
      expect(done).toBe(0)
      part.complete(0, reporter)
    }
    expect(done).toBe(1)
  })
})

describe('a raised epoch', () => {
  it('numbers the batches in flight of its partition again, and no others', () => {
    const { idempotence, queue } = identified()
    const other = new PartitionQueue('orders', 1)
    const mine = drained(idempotence, queue, 1, 2, 2)
    const others = drained(idempotence, other, 1, 1)
    idempotence.completed(mine[0] as ProducerBatch, 500)
    idempotence.completed(others[0] as ProducerBatch, 500)
    expect(idempotence.canRetry(mine[1] as ProducerBatch, answer(Errors.UNKNOWN_PRODUCER_ID, 500))).toBe(true)
    idempotence.raiseEpoch()
    expect(numbers(mine.slice(1))).toEqual(['1:0-1', '1:2-3'])
    expect(mine.slice(1).every((each) => each.sequenceHasBeenReset)).toBe(true)
    expect(numbers(others.slice(1))).toEqual(['0:1-1'])
  })

  it('keeps new batches of other partitions back until those of the old epoch are answered', () => {
    const { idempotence, queue } = identified()
    const other = new PartitionQueue('orders', 1)
    const [mine] = drained(idempotence, queue, 1) as [ProducerBatch]
    const [old] = drained(idempotence, other, 1) as [ProducerBatch]
    idempotence.failed(mine, 'INVALID_RECORD', true)
    idempotence.raiseEpoch()
    const fresh = batch(other)
    expect([idempotence.holdsBack(other, old), idempotence.holdsBack(other, fresh)]).toEqual([false, true])
    idempotence.completed(old, 0)
    expect(idempotence.holdsBack(other, fresh)).toBe(false)
    idempotence.assign(fresh)
    expect(numbers([fresh])).toEqual(['1:0-0'])
  })

  it('after the last one of an id needs another id', () => {
    const idempotence = new Idempotence(silent)
    idempotence.setIdentity(7, 32_767, 'init')
    const queue = new PartitionQueue('orders', 0)
    const [only] = drained(idempotence, queue, 1) as [ProducerBatch]
    idempotence.failed(only, 'INVALID_RECORD', true)
    idempotence.raiseEpoch()
    expect(idempotence.hasIdentity).toBe(false)
  })
})

describe('an expired batch', () => {
  /** Batches 0 and 1, of which 0 expired, and 2. */
  function expired() {
    const { idempotence, queue } = identified()
    const [first, second, third] = drained(idempotence, queue, 1, 1, 1) as [ProducerBatch, ProducerBatch, ProducerBatch]
    idempotence.failed(first, 'REQUEST_TIMED_OUT', false)
    idempotence.markUnresolved(first)
    return { idempotence, queue, second, third }
  }

  it('keeps new batches back', () => {
    const { idempotence, queue } = expired()
    expect(idempotence.holdsBack(queue, batch(queue))).toBe(true)
  })

  it('followed by one out of order left a gap; by one later than that nothing is known', () => {
    const { idempotence, queue, second, third } = expired()
    expect(idempotence.canRetry(third, answer(Errors.OUT_OF_ORDER_SEQUENCE_NUMBER))).toBe(true)
    idempotence.raiseEpoch()
    expect([idempotence.producerEpoch, idempotence.isUnresolved(queue)]).toEqual([0, true])
    expect(idempotence.canRetry(second, answer(Errors.OUT_OF_ORDER_SEQUENCE_NUMBER))).toBe(true)
    idempotence.raiseEpoch()
    expect([idempotence.producerEpoch, idempotence.isUnresolved(queue)]).toEqual([1, false])
    expect(numbers([second, third])).toEqual(['1:0-0', '1:1-1'])
  })

  it('was written when those after it were', () => {
    const { idempotence, queue, second, third } = expired()
    idempotence.completed(second, 1)
    idempotence.resolveSequences()
    expect(idempotence.isUnresolved(queue)).toBe(true)
    idempotence.completed(third, 2)
    idempotence.resolveSequences()
    idempotence.raiseEpoch()
    expect([idempotence.isUnresolved(queue), idempotence.producerEpoch]).toEqual([false, 0])
  })

  it('was lost when those after it were given up too', () => {
    const { idempotence, queue, second, third } = expired()
    for (const each of [second, third]) {
      idempotence.failed(each, 'REQUEST_TIMED_OUT', false)
      idempotence.markUnresolved(each)
    }
    idempotence.resolveSequences()
    idempotence.raiseEpoch()
    expect([idempotence.isUnresolved(queue), idempotence.producerEpoch]).toEqual([false, 1])
  })
})

describe('a fatal error', () => {
  it('is remembered, and nothing more is numbered again', () => {
    const manager = new TransactionManager(silent, undefined, 60_000)
    manager.prepareIdentity()
    manager.initialized(7, 0, false)
    const queue = new PartitionQueue('orders', 0)
    const only = batch(queue)
    manager.assign(only)
    manager.failed(only, 'PRODUCER_FENCED', true)
    manager.prepareIdentity()
    expect([manager.fatalError, manager.producerEpoch]).toEqual(['PRODUCER_FENCED', 0])
    expect(manager.holdsBack(queue, batch(queue))).toBe(true)
  })
})
