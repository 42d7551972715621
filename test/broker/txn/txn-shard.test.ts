/** Transactional ids, case by case: those of Kafka's TransactionCoordinatorTest and TransactionStateManagerTest. */

import { describe, expect, it } from 'vitest'
import { Errors } from '../../../sim/wire/errors.js'
import { ID, LAST, TxnBench } from './txn-bench.js'

const VERSIONS = [0, 2]
const ongoing = (version: number, producerEpoch = 5): TxnBench =>
  TxnBench.with(version, { state: 'Ongoing', producerEpoch, partitions: new Set(['orders-0']) })

describe('InitProducerId', () => {
  it('gives a new id a producer id, with epoch 0', () => {
    const bench = new TxnBench()
    expect(bench.init()).toBe('1000/0')
    expect(bench.log).toHaveLength(1)
  })

  it('gives another one where the producer had one, and the coordinator knows of none', () => {
    expect(new TxnBench().init('10/5')).toBe('1000/0')
  })

  it('refuses timeouts of nothing, and longer than transaction.max.timeout.ms', () => {
    expect(new TxnBench().init(undefined, 0)).toBe('INVALID_TRANSACTION_TIMEOUT')
    expect(new TxnBench().init(undefined, 900_001)).toBe('INVALID_TRANSACTION_TIMEOUT')
  })

  it.each(['Empty', 'CompleteCommit', 'CompleteAbort'] as const)(
    'raises the epoch of a transaction that is %s',
    (state) => {
      for (const version of VERSIONS) expect(TxnBench.with(version, { state }).init()).toBe('10/6')
    },
  )

  it.each(['PrepareCommit', 'PrepareAbort'] as const)('waits while a transaction is %s', (state) => {
    for (const version of VERSIONS) expect(TxnBench.with(version, { state }).init()).toBe('CONCURRENT_TRANSACTIONS')
  })

  it.each(VERSIONS)(
    'aborts an open transaction, fences its producer, and has the client ask again (version %i)',
    (version) => {
      const bench = ongoing(version)
      expect(bench.init()).toBe('CONCURRENT_TRANSACTIONS')
      expect(bench.is).toBe('PrepareAbort 10/6 orders-0')
      expect(bench.markers).toMatchObject([{ producerId: 10, producerEpoch: 6, isCommit: false }])
      expect(bench.init()).toBe('CONCURRENT_TRANSACTIONS')
      expect(bench.complete()).toBe(true)
      expect(bench.init()).toBe('10/7')
      expect(bench.end('10/5', true)).toBe('PRODUCER_FENCED')
    },
  )

  it('waits while another change is written', () => {
    const bench = new TxnBench()
    bench.holds = true
    expect(bench.init()).toBe('waits')
    expect(bench.init()).toBe('CONCURRENT_TRANSACTIONS')
    bench.settle()
    bench.holds = false
    expect(bench.init()).toBe('1000/1')
  })

  it('does not raise the epoch again when the fence could not be written (version 0)', () => {
    const bench = ongoing(0)
    bench.failNext(Errors.NOT_ENOUGH_REPLICAS, Errors.NOT_ENOUGH_REPLICAS)
    expect(bench.init()).toBe('NOT_ENOUGH_REPLICAS')
    expect(bench.is).toBe('Ongoing 10/6 orders-0')
    expect(bench.init()).toBe('NOT_ENOUGH_REPLICAS')
    expect(bench.is).toBe('Ongoing 10/6 orders-0')
    expect(bench.init()).toBe('CONCURRENT_TRANSACTIONS')
    expect(bench.is).toBe('PrepareAbort 10/6 orders-0')
  })

  it('tries the same epoch again when the fence could not be written (version 2)', () => {
    const bench = ongoing(2, 1)
    bench.failNext(Errors.COORDINATOR_NOT_AVAILABLE)
    expect(bench.init()).toBe('COORDINATOR_NOT_AVAILABLE')
    expect(bench.is).toBe('Ongoing 10/1 orders-0')
    expect(bench.init()).toBe('CONCURRENT_TRANSACTIONS')
    expect(bench.is).toBe('PrepareAbort 10/2 orders-0')
    bench.complete()
    expect(bench.init()).toBe('10/3')
  })

  describe('with the identity of the producer', () => {
    it('raises the epoch, and gives it again to who did not hear of it', () => {
      const bench = TxnBench.with(0, { state: 'Empty' })
      expect(bench.init('10/5')).toBe('10/6')
      expect(bench.init('10/5')).toBe('10/6')
      expect(bench.init('10/6')).toBe('10/7')
      expect(bench.init('10/5')).toBe('PRODUCER_FENCED')
    })

    it('cannot tell a retry once another coordinator has taken over', () => {
      const bench = TxnBench.with(0, { state: 'Empty' })
      expect(bench.init('10/5')).toBe('10/6')
      expect(bench.takeOver().init('10/5')).toBe('PRODUCER_FENCED')
    })

    it('fences who has another producer id', () => {
      expect(TxnBench.with(0, { state: 'Empty' }).init('11/5')).toBe('PRODUCER_FENCED')
    })

    it('replaces a producer id whose epochs are used up, and knows the retry', () => {
      const bench = TxnBench.with(0, { state: 'Empty', producerEpoch: LAST - 1 })
      expect(bench.init(`10/${LAST - 1}`)).toBe('1000/0')
      expect(bench.init(`10/${LAST - 1}`)).toBe('1000/0')
      expect(bench.init(`10/${LAST - 2}`)).toBe('PRODUCER_FENCED')
    })
  })

  it('takes another producer id when the epochs are used up', () => {
    for (const version of VERSIONS) {
      expect(TxnBench.with(version, { state: 'CompleteCommit', producerEpoch: LAST - 1 }).init()).toBe('1000/0')
    }
  })

  it.each(VERSIONS)('fences with the very last epoch where there is no other (version %i)', (version) => {
    const bench = ongoing(version, LAST - 1)
    expect(bench.init()).toBe('CONCURRENT_TRANSACTIONS')
    expect(bench.is).toBe(`PrepareAbort 10/${LAST} orders-0`)
    bench.complete()
    expect(bench.init()).toBe('1000/0')
  })
})

describe('AddPartitionsToTxn', () => {
  it('knows its producers', () => {
    expect(new TxnBench().add('10/5')).toBe('INVALID_PRODUCER_ID_MAPPING')
    expect(TxnBench.with(2, { state: 'Empty' }).add('11/5')).toBe('INVALID_PRODUCER_ID_MAPPING')
    expect(TxnBench.with(2, { state: 'Empty' }).add('10/4')).toBe('PRODUCER_FENCED')
    expect(TxnBench.with(2, { state: 'Empty' }).add('10/6')).toBe('PRODUCER_FENCED')
  })

  it.each(['Empty', 'Ongoing', 'CompleteCommit', 'CompleteAbort'] as const)('goes on from %s', (state) => {
    const bench = TxnBench.with(2, { state })
    expect(bench.add('10/5', ['orders-1', 'orders-2'])).toBe('NONE')
    expect(bench.is).toBe('Ongoing 10/5 orders-1 orders-2')
  })

  it.each(['PrepareCommit', 'PrepareAbort'] as const)('waits while the transaction before is %s', (state) => {
    expect(TxnBench.with(2, { state }).add('10/5')).toBe('CONCURRENT_TRANSACTIONS')
  })

  it('writes nothing for partitions that it has', () => {
    const bench = ongoing(2)
    expect(bench.add('10/5', ['orders-0'])).toBe('NONE')
    expect(bench.log).toHaveLength(1)
  })

  it('counts the timeout from the first partition', () => {
    const bench = TxnBench.with(2, { state: 'CompleteCommit', startMs: 5 })
    bench.add('10/5')
    expect(bench.txn.startMs).toBe(bench.nowMs)
    bench.pass(100)
    bench.add('10/5', ['orders-1'])
    expect(bench.txn.startMs).toBe(bench.nowMs - 100)
  })
})

describe('a verification', () => {
  it('says which partitions are part of the transaction', () => {
    expect(ongoing(2).verify('10/5', ['orders-0', 'orders-1'])).toEqual(['NONE', 'TRANSACTION_ABORTABLE'])
  })

  it('knows its producers, and does not write', () => {
    const bench = ongoing(2)
    expect(bench.verify('11/5', ['orders-0'])).toEqual(['INVALID_PRODUCER_ID_MAPPING'])
    expect(bench.verify('10/4', ['orders-0'])).toEqual(['PRODUCER_FENCED'])
    expect(TxnBench.with(2, { state: 'PrepareCommit' }).verify('10/5', ['orders-0'])).toEqual([
      'CONCURRENT_TRANSACTIONS',
    ])
    expect(bench.log).toHaveLength(1)
  })
})

describe('EndTxn', () => {
  it('knows its producers', () => {
    for (const version of VERSIONS) {
      expect(new TxnBench(version).end('10/5', true)).toBe('INVALID_PRODUCER_ID_MAPPING')
      expect(ongoing(version).end('11/5', true)).toBe('INVALID_PRODUCER_ID_MAPPING')
      expect(ongoing(version).end('10/4', true)).toBe('PRODUCER_FENCED')
      expect(ongoing(version).end('10/6', true)).toBe('PRODUCER_FENCED')
    }
  })

  it.each([true, false])('ends a transaction: its markers, then its end (commit: %s)', (isCommit) => {
    const bench = ongoing(0)
    expect(bench.end('10/5', isCommit)).toBe('10/5')
    expect(bench.is).toBe(`${isCommit ? 'PrepareCommit' : 'PrepareAbort'} 10/5 orders-0`)
    expect(bench.markers).toMatchObject([{ producerId: 10, producerEpoch: 5, isCommit }])
    expect(bench.complete()).toBe(true)
    expect(bench.is).toBe(`${isCommit ? 'CompleteCommit' : 'CompleteAbort'} 10/5`)
  })

  it.each([true, false])('raises the epoch under transaction version 2 (commit: %s)', (isCommit) => {
    const bench = ongoing(2)
    expect(bench.end('10/5', isCommit)).toBe('10/6')
    expect(bench.markers).toMatchObject([{ producerId: 10, producerEpoch: 6, isCommit }])
    bench.complete()
    expect(bench.is).toBe(`${isCommit ? 'CompleteCommit' : 'CompleteAbort'} 10/6`)
  })

  it('is asked again while the transaction is ending', () => {
    for (const version of VERSIONS) {
      const bench = ongoing(version)
      bench.end('10/5', true)
      expect(bench.end('10/5', true)).toBe('CONCURRENT_TRANSACTIONS')
    }
  })

  // Version, state, epoch that the client has, commit or abort: the answer.
  it.each([
    [0, 'Empty', 5, true, 'INVALID_TXN_STATE'],
    [0, 'Empty', 5, false, 'INVALID_TXN_STATE'],
    [0, 'CompleteCommit', 5, true, '10/5'],
    [0, 'CompleteCommit', 4, true, 'PRODUCER_FENCED'],
    [0, 'CompleteCommit', 5, false, 'INVALID_TXN_STATE'],
    [0, 'CompleteCommit', 4, false, 'PRODUCER_FENCED'],
    [0, 'CompleteAbort', 5, false, '10/5'],
    [0, 'CompleteAbort', 4, false, 'PRODUCER_FENCED'],
    [0, 'CompleteAbort', 5, true, 'INVALID_TXN_STATE'],
    [2, 'Empty', 5, true, 'INVALID_TXN_STATE'],
    [2, 'Empty', 4, true, 'PRODUCER_FENCED'],
    [2, 'Empty', 5, false, '10/6'],
    [2, 'Empty', 4, false, 'PRODUCER_FENCED'],
    [2, 'CompleteAbort', 4, false, '10/5'],
    [2, 'CompleteAbort', 5, false, '10/6'],
    [2, 'CompleteAbort', 4, true, 'INVALID_TXN_STATE'],
    [2, 'CompleteAbort', 5, true, 'INVALID_TXN_STATE'],
    [2, 'CompleteCommit', 4, true, '10/5'],
    [2, 'CompleteCommit', 5, true, 'INVALID_TXN_STATE'],
    [2, 'CompleteCommit', 4, false, 'INVALID_TXN_STATE'],
    [2, 'CompleteCommit', 5, false, '10/6'],
  ] as const)('version %i, %s, client at epoch %i, commit %s: %s', (version, state, epoch, isCommit, answer) => {
    expect(TxnBench.with(version, { state }).end(`10/${epoch}`, isCommit)).toBe(answer)
  })

  it('goes over to another producer id after the last epoch, and knows the retry (version 2)', () => {
    const bench = ongoing(2, LAST - 1)
    expect(bench.end(`10/${LAST - 1}`, true)).toBe('1000/0')
    expect(bench.markers).toMatchObject([{ producerId: 10, producerEpoch: LAST }])
    expect(bench.end(`10/${LAST - 1}`, true)).toBe('CONCURRENT_TRANSACTIONS')
    // The new identity may be in use already.
    expect(bench.add('1000/0')).not.toBe('NONE')
    bench.complete()
    expect(bench.is).toBe('CompleteCommit 1000/0')
    expect(bench.end(`10/${LAST - 1}`, true)).toBe('1000/0')
    expect(bench.add('1000/0')).toBe('NONE')
  })

  it('leaves the transaction open when its end cannot be written', () => {
    for (const version of VERSIONS) {
      const bench = ongoing(version)
      bench.failNext(Errors.NOT_ENOUGH_REPLICAS_AFTER_APPEND)
      expect(bench.end('10/5', true)).toBe('NOT_ENOUGH_REPLICAS_AFTER_APPEND')
      expect(bench.is).toBe('Ongoing 10/5 orders-0')
      expect(bench.markers).toEqual([])
      expect(bench.end('10/5', true)).toBe(version === 2 ? '10/6' : '10/5')
    }
  })
})

describe('a transaction that takes too long', () => {
  it.each(VERSIONS)('is aborted with a raised epoch, at the next look (version %i)', (version) => {
    const bench = ongoing(version)
    bench.pass(59_000)
    expect(bench.is).toBe('Ongoing 10/5 orders-0')
    bench.pass(11_000)
    expect(bench.is).toBe('PrepareAbort 10/6 orders-0')
    expect(bench.add('10/5')).not.toBe('NONE')
    bench.complete()
    expect(bench.end('10/5', true)).toBe(version === 2 ? 'INVALID_TXN_STATE' : 'PRODUCER_FENCED')
  })

  it('is left alone while a change of it is written', () => {
    const bench = ongoing(2)
    bench.holds = true
    expect(bench.add('10/5', ['orders-1'])).toBe('waits')
    bench.pass(70_000)
    expect(bench.markers).toEqual([])
    bench.settle()
    bench.holds = false
    bench.pass(10_000)
    expect(bench.is).toBe('PrepareAbort 10/6 orders-0 orders-1')
  })

  it('keeps its epoch when the abort cannot be written', () => {
    const bench = ongoing(0)
    bench.failNext(Errors.NOT_ENOUGH_REPLICAS)
    bench.pass(70_000)
    expect(bench.is).toBe('Ongoing 10/6 orders-0')
    bench.pass(10_000)
    expect(bench.is).toBe('PrepareAbort 10/6 orders-0')
  })

  it('uses the last epoch once (version 2)', () => {
    const bench = ongoing(2, LAST - 1)
    bench.pass(70_000)
    expect(bench.is).toBe(`PrepareAbort 10/${LAST} orders-0`)
  })
})

describe('a coordinator that takes over', () => {
  it('goes on with what was decided', () => {
    for (const isCommit of [true, false]) {
      const bench = ongoing(2)
      bench.end('10/5', isCommit)
      const next = bench.takeOver()
      expect(next.markers).toMatchObject([{ producerId: 10, producerEpoch: 6, isCommit }])
      expect([...(next.markers[0]?.partitions ?? [])]).toEqual(['orders-0'])
      expect(next.complete()).toBe(true)
      expect(next.end('10/5', isCommit)).toBe('10/6')
    }
  })

  it('finds open transactions, with their timeouts', () => {
    const next = ongoing(2).takeOver()
    expect(next.is).toBe('Ongoing 10/5 orders-0')
    expect(next.markers).toEqual([])
    next.pass(70_000)
    expect(next.is).toBe('PrepareAbort 10/6 orders-0')
  })

  it('knows the retry over a change of producer id', () => {
    const bench = ongoing(2, LAST - 1)
    bench.end(`10/${LAST - 1}`, true)
    const next = bench.takeOver()
    next.complete()
    expect(next.end(`10/${LAST - 1}`, true)).toBe('1000/0')
  })

  it('is not confused by markers of a transaction that is over', () => {
    const bench = ongoing(2)
    bench.end('10/5', true)
    expect(bench.complete()).toBe(true)
    expect(bench.complete()).toBe(true)
    expect(bench.is).toBe('CompleteCommit 10/6')
  })
})

describe('an id that is not used', () => {
  const WEEK_MS = 7 * 24 * 3_600_000

  it.each(['Empty', 'CompleteCommit', 'CompleteAbort'] as const)('is removed after a week when it is %s', (state) => {
    const bench = TxnBench.with(2, { state })
    bench.pass(WEEK_MS - 1)
    expect(bench.shard.find(ID)).toBeDefined()
    bench.pass(3_600_001)
    expect(bench.shard.find(ID)).toBeUndefined()
    expect(bench.log.at(-1)).toEqual({ transactionalId: ID, facts: null })
    expect(bench.takeOver().shard.count).toBe(0)
  })

  it('stays when it is prepared to end, or its removal cannot be written', () => {
    const prepared = TxnBench.with(2, { state: 'PrepareCommit' })
    prepared.pass(WEEK_MS + 3_600_001)
    expect(prepared.shard.count).toBe(1)
    const bench = TxnBench.with(2, { state: 'Empty' })
    bench.pass(WEEK_MS - 1)
    bench.failNext(Errors.NOT_ENOUGH_REPLICAS)
    bench.pass(1)
    expect(bench.shard.count).toBe(1)
    bench.pass(3_600_001)
    expect(bench.shard.count).toBe(0)
  })
})
