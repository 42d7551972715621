/** Transactions are asked about before their first append: the cases of Kafka's ReplicaManagerTest. */

import { describe, expect, it } from 'vitest'
import type { TransactionVerifier } from '../../../sim/broker/txn/verification.js'
import { type ErrorCode, errorName, Errors } from '../../../sim/wire/errors.js'
import { makeCluster, produced, TOPIC } from './harness.js'

const PARTITION = `${TOPIC}-0`

type Asked = Parameters<TransactionVerifier['verify']>

/** A broker whose questions are written down, and answered by hand. */
class Lab {
  readonly asked: Asked[] = []
  isEnabled = true
  readonly cluster = makeCluster({
    replicas: [[1]],
    verification: {
      verifier: { verify: (...asked: Asked) => void this.asked.push(asked) } as unknown as TransactionVerifier,
      isEnabled: () => this.isEnabled,
      retryBackoffMs: 20,
      retryForMs: 100,
    },
  })

  produce(sequence = 0, { version = 12, epoch = 0, isTransactional = true, producerId = 24 } = {}) {
    const batch = { producerId, producerEpoch: epoch, baseSequence: sequence, isTransactional }
    const call = this.cluster.produce(1, ['a'], {
      version,
      batch,
      ...(isTransactional && { transactionalId: 't' }),
    })
    this.cluster.pass(5)
    return call
  }

  /** The oldest question is answered; partitions that are not named are fine. */
  answer(error: ErrorCode = Errors.NONE): void {
    const done = this.asked.shift()?.[4]
    done?.(new Map(error === Errors.NONE ? [] : [[PARTITION, error]]))
    this.cluster.pass(5)
  }

  get end(): number {
    return this.cluster.log(1).logEndOffset
  }
}

const errorOf = (call: ReturnType<Lab['produce']>): string => {
  const { errorCode } = produced(call)
  return errorCode === Errors.NONE ? 'NONE' : errorName(errorCode)
}

describe('a transactional batch', () => {
  it.each([11, 12])('is held back until the coordinator has agreed; later ones are not (version %i)', (version) => {
    const lab = new Lab()
    const first = lab.produce(0, { version })
    expect(first.response).toBeUndefined()
    expect(lab.end).toBe(0)
    expect(lab.asked[0]?.slice(0, 4)).toEqual(['t', { producerId: 24, producerEpoch: 0 }, [PARTITION], version === 12])
    lab.answer()
    expect(errorOf(first)).toBe('NONE')
    expect(errorOf(lab.produce(1, { version }))).toBe('NONE')
    expect(lab.asked).toEqual([])
    expect(lab.end).toBe(2)
  })

  it('is asked about again after a refusal, with the sequence that it began with', () => {
    const lab = new Lab()
    const refused = lab.produce(6, { version: 11 })
    lab.answer(Errors.INVALID_TXN_STATE)
    expect(errorOf(refused)).toBe('INVALID_TXN_STATE')
    // A later one does not overtake it: it is verified, and out of order.
    const later = lab.produce(7, { version: 11 })
    lab.answer()
    expect(errorOf(later)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(lab.end).toBe(0)
    const again = lab.produce(6, { version: 11 })
    lab.answer()
    expect(errorOf(again)).toBe('NONE')
  })

  it('of a lower epoch than the one that is known is refused before anybody is asked', () => {
    const lab = new Lab()
    const first = lab.produce(0, { epoch: 5 })
    lab.answer()
    expect(errorOf(first)).toBe('NONE')
    expect(errorOf(lab.produce(1, { epoch: 4 }))).toBe('INVALID_PRODUCER_EPOCH')
    expect(lab.asked).toEqual([])
  })

  it.each([
    Errors.NOT_COORDINATOR,
    Errors.NETWORK_EXCEPTION,
    Errors.COORDINATOR_LOAD_IN_PROGRESS,
    Errors.COORDINATOR_NOT_AVAILABLE,
  ])('that cannot be verified (error %i) is to be sent again', (error) => {
    for (const version of [11, 12]) {
      const lab = new Lab()
      const call = lab.produce(0, { version })
      lab.answer(error)
      expect(errorOf(call)).toBe('NOT_ENOUGH_REPLICAS')
      expect(lab.end).toBe(0)
    }
  })

  it('while the transaction before ends is to be sent again by clients of version 11', () => {
    const lab = new Lab()
    const call = lab.produce(0, { version: 11 })
    lab.answer(Errors.CONCURRENT_TRANSACTIONS)
    expect(errorOf(call)).toBe('NOT_ENOUGH_REPLICAS')
  })

  it('while the transaction before ends is asked about again 20 ms later, for others, until it is over', () => {
    const lab = new Lab()
    const call = lab.produce()
    lab.answer(Errors.CONCURRENT_TRANSACTIONS)
    expect(lab.asked).toEqual([])
    lab.cluster.pass(20)
    expect(lab.asked).toHaveLength(1)
    lab.answer()
    expect(errorOf(call)).toBe('NONE')
  })

  it('is given back after 100 ms of it', () => {
    const lab = new Lab()
    const call = lab.produce()
    for (let i = 0; i < 5; i++) {
      lab.answer(Errors.CONCURRENT_TRANSACTIONS)
      lab.cluster.pass(20)
    }
    expect(errorOf(call)).toBe('CONCURRENT_TRANSACTIONS')
    expect(lab.end).toBe(0)
  })

  it.each([Errors.INVALID_PRODUCER_EPOCH, Errors.INVALID_PRODUCER_ID_MAPPING, Errors.TRANSACTION_ABORTABLE])(
    'hears other errors (%i) as they are',
    (error) => {
      const lab = new Lab()
      const call = lab.produce()
      lab.answer(error)
      expect(errorOf(call)).toBe(errorName(error))
    },
  )

  it('is not asked about where transaction.partition.verification.enable is off, unless the client leaves the adding to brokers', () => {
    const lab = new Lab()
    lab.isEnabled = false
    // The log itself still wants it verified here.
    expect(errorOf(lab.produce(0, { version: 11 }))).toBe('INVALID_TXN_STATE')
    expect(lab.asked).toEqual([])
    const call = lab.produce()
    expect(lab.asked).toHaveLength(1)
    lab.answer()
    expect(errorOf(call)).toBe('NONE')
  })
})

describe('a batch of no transaction', () => {
  it('is not asked about', () => {
    const lab = new Lab()
    expect(errorOf(lab.produce(0, { isTransactional: false }))).toBe('NONE')
    expect(lab.asked).toEqual([])
  })
})
