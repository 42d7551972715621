import { describe, expect, it } from 'vitest'
import { isRefused } from '../../sim/log/append-result.js'
import { DEFAULT_PRODUCER_STATE } from '../../sim/log/partition-log-options.js'
import type { PartitionLog } from '../../sim/log/partition-log.js'
import type { VerificationState } from '../../sim/log/producer-state.js'
import { errorName } from '../../sim/wire/errors.js'
import { append, appended, batch, config, LogHost, marker, refusal, sequenced } from './harness.js'

const UNVERIFIED = { ...DEFAULT_PRODUCER_STATE, transactionVerification: false }

/** A log that is written by transactions, in the shorthand of Kafka's own tests. */
class Txns {
  readonly host: LogHost
  log: PartitionLog
  readonly #sequences = new Map<number, number>()

  constructor(overrides: Record<string, unknown> = {}) {
    this.host = new LogHost()
    this.log = this.host.open({ config: config(overrides), producers: UNVERIFIED })
  }

  /** `count` records of the producer's transaction. */
  txn(producerId: number, count: number, epoch = 0): [number, number] {
    const sequence = this.#sequences.get(producerId) ?? 0
    this.#sequences.set(producerId, sequence + count)
    return append(this.log, sequenced(producerId, epoch, sequence, count, { isTransactional: true }, this.host.wallMs))
  }

  plain(count: number): [number, number] {
    return append(this.log, batch(count))
  }

  end(producerId: number, commit: boolean, coordinatorEpoch = 0, epoch = 0): string {
    const given = marker(producerId, epoch, commit, coordinatorEpoch, this.host.wallMs)
    return errorName(this.log.appendAsLeader([given], 0, { origin: 'coordinator' }).error)
  }

  aborted(from = 0, upTo = this.log.logEndOffset): number[][] {
    return this.log
      .collectAbortedTransactions(from, upTo)
      .map((txn) => [txn.producerId, txn.firstOffset, txn.lastOffset, txn.lastStableOffset])
  }

  /** The first offset that read_committed can't see, with everything replicated. */
  unstable(highWatermark = this.log.logEndOffset): number | undefined {
    this.log.setHighWatermark(highWatermark)
    const { lastStableOffset } = this.log
    return lastStableOffset < highWatermark ? lastStableOffset : undefined
  }

  /** The schedule of UnifiedLogTest.testTransactionIndexUpdated. */
  interleaved(): this {
    this.txn(1, 5) // next offset: 5
    this.plain(3) // 8
    this.txn(2, 2) // 10
    this.txn(1, 4) // 14
    this.txn(3, 3) // 17
    this.plain(2) // 19
    this.txn(1, 10) // 29
    this.end(1, false) // 30
    this.txn(2, 6) // 36
    this.txn(4, 3) // 39
    this.plain(10) // 49
    this.txn(3, 9) // 58
    this.end(3, true) // 59
    this.txn(4, 8) // 67
    this.txn(2, 7) // 74
    this.end(2, false) // 75
    this.plain(10) // 85
    this.txn(4, 4) // 89
    this.end(4, true) // 90
    return this
  }
}

const INTERLEAVED = [
  [1, 0, 29, 8],
  [2, 8, 74, 36],
]

describe('the last stable offset', () => {
  it('is the high watermark without transactions', () => {
    const txns = new Txns()
    txns.plain(3)
    expect(txns.unstable()).toBeUndefined()
    expect(txns.log.lastStableOffset).toBe(3)
  })

  it('is the first offset of an open transaction, until its marker is below the high watermark', () => {
    const txns = new Txns()
    txns.txn(137, 3)
    expect(txns.unstable()).toBe(0)
    txns.txn(137, 1)
    txns.end(137, true)
    expect(txns.unstable(4)).toBe(0)
    expect(txns.unstable(5)).toBeUndefined()
  })

  it('goes from one open transaction to the next', () => {
    const txns = new Txns()
    txns.txn(137, 3)
    txns.plain(3)
    txns.txn(983, 3)
    expect(txns.unstable()).toBe(0)
    txns.end(137, false)
    expect(txns.unstable()).toBe(6)
    txns.end(983, true)
    expect(txns.unstable()).toBeUndefined()
  })

  it('is never below the log start offset', () => {
    const txns = new Txns()
    txns.txn(1, 5)
    txns.plain(3)
    txns.log.roll()
    txns.txn(1, 5)
    expect(txns.unstable()).toBe(0)
    txns.log.advanceLogStartOffset(5, 'delete-records')
    expect(txns.unstable()).toBe(5)
    txns.log.advanceLogStartOffset(8, 'delete-records')
    txns.log.deleteOldSegments()
    expect([txns.log.segments.length, txns.unstable()]).toEqual([1, 8])
    txns.end(1, false)
    expect(txns.unstable()).toBeUndefined()
  })

  it('is found again after a truncation below it, and after a restart', () => {
    const txns = new Txns()
    txns.plain(3)
    txns.txn(7, 2)
    txns.txn(8, 2)
    txns.log.truncateTo(5, 'test')
    expect(txns.unstable()).toBe(3)
    txns.log.truncateTo(3, 'test')
    expect(txns.unstable()).toBeUndefined()
    txns.log.truncateFullyAndStartAt(20, 'test')
    append(txns.log, sequenced(9, 0, 0, 2, { isTransactional: true }, txns.host.wallMs))
    expect(txns.unstable()).toBe(20)
    txns.host.reboot()
    txns.log = txns.host.open({ clean: false, producers: UNVERIFIED })
    expect(txns.unstable()).toBe(20)
  })
})

describe('aborted transactions', () => {
  it('are written with the last stable offset after them', () => {
    const txns = new Txns().interleaved()
    expect(txns.log.logEndOffset).toBe(90)
    expect(txns.aborted()).toEqual(INTERLEAVED)
    expect([30, 75, 90].map((highWatermark) => txns.unstable(highWatermark))).toEqual([8, 36, undefined])
  })

  it('come to replicas by the same batches', () => {
    const txns = new Txns().interleaved()
    const follower = new Txns()
    for (const event of txns.host.events) {
      if (event.type === 'log.append') appended(follower.log.appendAsFollower([event.data.batch as never], 0))
    }
    expect(follower.aborted()).toEqual(INTERLEAVED)
    expect([30, 75, 90].map((highWatermark) => follower.unstable(highWatermark))).toEqual([8, 36, undefined])
  })

  it.each([
    ['every segment', 0],
    ['the last segment', 1],
  ])('are found again when %s lost its indexes', (_what, only) => {
    const txns = new Txns({ 'internal.segment.bytes': 640 }).interleaved()
    expect(txns.log.segments.length).toBeGreaterThan(2)
    const last = txns.log.segments[txns.log.segments.length - 1]?.baseOffset as number
    const gone = txns.host
      .files()
      .filter((file) => /\.(index|txnindex)$/.test(file) && (only === 0 || Number(file.slice(0, 20)) === last))
    txns.log.close()
    txns.host.run()
    for (const file of gone) txns.host.disk.remove(`orders-0/${file}`)
    txns.host.reboot()
    txns.log = txns.host.open({ clean: false, recoveryPoint: only === 0 ? 0 : last, producers: UNVERIFIED })
    expect(txns.aborted()).toEqual(INTERLEAVED)
  })

  it('over several segments are told to a reader of the first', () => {
    const txns = new Txns({ 'internal.segment.bytes': 150 })
    txns.txn(137, 3)
    txns.txn(137, 3)
    expect(txns.log.segments.length).toBe(2)
    txns.end(137, false)
    expect(txns.unstable()).toBeUndefined()
    const found = txns.log.readCommitted(0, 2_048, true)
    if (isRefused(found)) throw new Error(found.message)
    expect(found.batches.length).toBe(1)
    expect(found.abortedTransactions).toMatchObject([{ producerId: 137, firstOffset: 0 }])
  })

  it('go with a truncation below their marker', () => {
    const txns = new Txns().interleaved()
    txns.log.truncateTo(74, 'test')
    expect(txns.aborted()).toEqual(INTERLEAVED.slice(0, 1))
    expect(txns.log.producers.firstUndecidedOffset).toBe(8)
  })
})

describe('coordinators', () => {
  it('of an older epoch are fenced', () => {
    const txns = new Txns()
    txns.txn(1, 10)
    expect(txns.end(1, false, 1)).toBe('NONE')
    txns.txn(1, 5)
    expect(txns.end(1, true, 2)).toBe('NONE')
    expect(txns.end(1, false, 1)).toBe('TRANSACTION_COORDINATOR_FENCED')
  })

  it('are fenced also by markers of empty transactions', () => {
    const txns = new Txns()
    expect(txns.end(1, false, 1)).toBe('NONE')
    expect(txns.end(1, true, 0)).toBe('TRANSACTION_COORDINATOR_FENCED')
  })

  it('may not end a transaction of an older producer epoch', () => {
    const txns = new Txns()
    txns.end(1, true, 1, 3)
    expect(txns.end(1, true, 1, 2)).toBe('INVALID_PRODUCER_EPOCH')
  })

  it('whose epochs went back in the log, as after an expiry, do not disturb recovery', () => {
    const txns = new Txns()
    txns.end(1, false, 5)
    txns.host.run(86_400_000)
    expect(txns.log.producers.entry(1)).toBeUndefined()
    const later = txns.host.wallMs
    expect(txns.end(1, false, 4)).toBe('NONE')
    txns.log.close()
    txns.host.reboot()
    const again = txns.host.open({ clean: false, producers: UNVERIFIED })
    expect(again.producers.entry(1)?.lastTimestamp).toBe(later)
  })
})

describe('verification before the first append (KIP-890)', () => {
  const data = (sequence: number) => sequenced(23, 1, sequence, 2, { isTransactional: true })

  function started(log: PartitionLog, sequence = 0, v2 = false): VerificationState {
    const state = log.startTransactionVerification(23, sequence, 1, v2)
    if (state === undefined || 'error' in state) throw new Error('no verification')
    return state
  }

  it('is needed for the first batch only', () => {
    const log = new LogHost().open()
    const given = [data(0)]
    expect(errorName(refusal(log.appendAsLeader(given, 0)).error)).toBe('INVALID_TXN_STATE')
    const verification = started(log)
    appended(log.appendAsLeader(given, 0, { origin: 'client', verification }))
    expect(log.producers.hasOngoingTransaction(23, 1)).toBe(true)
    expect(log.startTransactionVerification(23, 2, 1, false)).toBeUndefined()
    appended(log.appendAsLeader([data(2)], 0))
  })

  it('is over after the marker, and the one before it does not count any more', () => {
    const log = new LogHost().open()
    const verification = started(log)
    appended(log.appendAsLeader([data(0)], 0, { origin: 'client', verification }))
    appended(log.appendAsLeader([marker(23, 1, true)], 0, { origin: 'coordinator' }))
    expect(errorName(refusal(log.appendAsLeader([data(2)], 0, { origin: 'client', verification })).error)).toBe(
      'INVALID_TXN_STATE',
    )
    const next = started(log, 2)
    appended(log.appendAsLeader([data(2)], 0, { origin: 'client', verification: next }))
  })

  it('begun for the next transaction survives the marker of the one before, with version 2', () => {
    const log = new LogHost().open()
    const verification = started(log, 0, true)
    appended(log.appendAsLeader([marker(23, 1, true)], 0, { origin: 'coordinator' }))
    appended(log.appendAsLeader([data(0)], 0, { origin: 'client', verification }))
  })

  it('wants sequence 0 of a producer that is not known, with version 2', () => {
    const log = new LogHost().open()
    const verification = started(log, 3, true)
    expect(errorName(refusal(log.appendAsLeader([data(3)], 0, { origin: 'client', verification })).error)).toBe(
      'OUT_OF_ORDER_SEQUENCE_NUMBER',
    )
  })

  it('is not asked for where transaction.partition.verification.enable is off', () => {
    const log = new LogHost().open({ producers: UNVERIFIED })
    appended(log.appendAsLeader([data(3)], 0))
  })
})
