import { describe, expect, it } from 'vitest'
import { INT_MAX } from '../../sim/kernel/units.js'
import type { AppendOrigin } from '../../sim/log/producer-state.js'
import {
  ProducerStateManager,
  type ProducerChanges,
  type ProducerStateConfig,
} from '../../sim/log/producer-state-manager.js'
import { DEFAULT_PRODUCER_STATE } from '../../sim/log/partition-log-options.js'
import { Errors, errorName } from '../../sim/wire/errors.js'
import { decrementSequence, incrementSequence, type RecordBatch } from '../../sim/wire/record-batch.js'
import { LogHost, marker, sequenced } from './harness.js'

const DIR = 'orders-0'
const PID = 1
const EPOCH = 0

class State {
  readonly host: LogHost
  readonly manager: ProducerStateManager
  end = 0

  constructor(config: Partial<ProducerStateConfig> = {}, host = new LogHost()) {
    this.host = host
    this.manager = new ProducerStateManager(host.env, DIR, { ...DEFAULT_PRODUCER_STATE, ...config }, (error) => {
      throw error
    })
  }

  /** The name of Kafka's error, or `ok`. */
  take(batch: RecordBatch, offset = this.end, origin: AppendOrigin = 'client'): string {
    const changes: ProducerChanges = { appends: [], completed: [] }
    const refusal = this.manager.prepare(batch.withOffsets(offset, 0), origin, changes)
    if (refusal !== undefined) return errorName(refusal.error)
    for (const append of changes.appends) this.manager.update(append)
    for (const completed of changes.completed) this.manager.completeTxn(completed)
    this.end = offset + batch.lastOffsetDelta + 1
    this.manager.mapEndOffset = this.end
    return 'ok'
  }

  client(
    sequence: number,
    epoch = EPOCH,
    options: { txn?: boolean; pid?: number; at?: number; count?: number; ts?: number } = {},
  ): string {
    const { txn = false, pid = PID, at, count = 1, ts = this.host.wallMs } = options
    return this.take(sequenced(pid, epoch, sequence, count, { isTransactional: txn }, ts), at)
  }

  end_(commit: boolean, epoch = EPOCH, coordinatorEpoch = 0, at?: number, pid = PID): string {
    return this.take(marker(pid, epoch, commit, coordinatorEpoch, this.host.wallMs), at, 'coordinator')
  }

  last(pid = PID): [epoch: number, lastSequence: number] | undefined {
    const entry = this.manager.entry(pid)
    return entry && [entry.producerEpoch, entry.lastSequence]
  }

  /** Another manager over the same files. */
  reloaded(logStart: number, logEnd: number, config: Partial<ProducerStateConfig> = {}): State {
    const other = new State(config, this.host)
    other.manager.truncateAndReload(logStart, logEnd, this.host.wallMs)
    return other
  }
}

const OUT_OF_ORDER = 'OUT_OF_ORDER_SEQUENCE_NUMBER'
const OLD_EPOCH = 'INVALID_PRODUCER_EPOCH'

describe('sequences', () => {
  it('wrap from Integer.MAX_VALUE to 0, both ways', () => {
    expect(incrementSequence(INT_MAX, 1)).toBe(0)
    expect(incrementSequence(INT_MAX - 5, 10)).toBe(4)
    expect(decrementSequence(0, 1)).toBe(INT_MAX)
  })

  it('of one producer follow each other, and a new epoch begins at 0', () => {
    const state = new State()
    expect(state.client(0)).toBe('ok')
    expect(state.client(1)).toBe('ok')
    expect(state.client(0)).toBe(OUT_OF_ORDER)
    expect(state.client(5)).toBe(OUT_OF_ORDER)
    expect(state.client(0, 1)).toBe('ok')
    expect(state.client(0, 0)).toBe(OLD_EPOCH)
    expect(state.client(3, 2)).toBe(OUT_OF_ORDER)
  })

  it('of a producer that is not known begin anywhere', () => {
    const state = new State()
    expect(state.client(5)).toBe('ok')
    expect(state.client(6)).toBe('ok')
    expect(state.client(8)).toBe(OUT_OF_ORDER)
  })

  it('go on at 0 after Integer.MAX_VALUE, and only there', () => {
    const state = new State()
    state.take(sequenced(PID, EPOCH, INT_MAX), 0, 'replication')
    expect(state.client(1)).toBe(OUT_OF_ORDER)
    expect(state.client(0)).toBe('ok')
    expect(state.last()).toEqual([EPOCH, 0])
  })

  it('wrap within a batch', () => {
    const state = new State()
    state.take(sequenced(PID, EPOCH, INT_MAX - 10, 21), 0, 'replication')
    const entry = state.manager.entry(PID)
    expect([entry?.firstSequence, entry?.lastSequence]).toEqual([INT_MAX - 10, 9])
    expect(entry?.lastDataOffset).toBe(20)
    expect(state.client(10)).toBe('ok')
  })

  it('are not checked on replicas, nor their epochs', () => {
    const state = new State()
    const replica = (sequence: number, epoch: number) =>
      state.take(sequenced(PID, epoch, sequence), undefined, 'replication')
    expect(replica(0, 0)).toBe('ok')
    expect(replica(2, 0)).toBe('ok')
    expect(replica(7, 5)).toBe('ok')
    expect(state.last()).toEqual([5, 7])
    expect(replica(0, 3)).toBe('ok')
    expect(state.last()).toEqual([3, 0])
  })

  it('are not checked for coordinators, but epochs are', () => {
    const state = new State()
    const coordinator = (sequence: number, epoch: number) =>
      state.take(sequenced(PID, epoch, sequence), undefined, 'coordinator')
    expect(coordinator(5, 1)).toBe('ok')
    expect(coordinator(17, 1)).toBe('ok')
    expect(coordinator(18, 0)).toBe(OLD_EPOCH)
  })

  it('begin anew at 0 after a marker with a higher epoch', () => {
    const state = new State()
    expect(state.client(0)).toBe('ok')
    expect(state.end_(false, 1)).toBe('ok')
    expect(state.last()).toEqual([1, -1])
    expect(state.client(17, 1)).toBe(OUT_OF_ORDER)
    expect(state.client(0, 0)).toBe(OLD_EPOCH)
    expect(state.client(0, 1)).toBe('ok')
  })

  it('begin at 0 after a marker of the same epoch only where nothing else is known', () => {
    const state = new State()
    expect(state.client(0, 0, { txn: true })).toBe('ok')
    expect(state.end_(true, 0)).toBe('ok')
    expect(state.client(1, 0)).toBe('ok')
  })
})

describe('duplicates', () => {
  it('are known by exact sequences and epoch, five batches back', () => {
    const state = new State()
    for (let sequence = 0; sequence < 12; sequence += 2) state.client(sequence, EPOCH, { count: 2, at: sequence })
    const entry = state.manager.entry(PID)
    expect(entry?.findDuplicate(EPOCH, 0, 1)).toBeUndefined()
    expect(entry?.findDuplicate(EPOCH, 2, 3)).toMatchObject({ lastOffset: 3, offsetDelta: 1 })
    expect(entry?.findDuplicate(EPOCH, 10, 11)).toMatchObject({ lastOffset: 11 })
    expect(entry?.findDuplicate(EPOCH, 10, 10)).toBeUndefined()
    expect(entry?.findDuplicate(EPOCH + 1, 10, 11)).toBeUndefined()
  })

  it('are forgotten with the epoch', () => {
    const state = new State()
    state.client(0)
    state.client(0, 1)
    expect(state.manager.entry(PID)?.batches.length).toBe(1)
  })
})

describe('verification before the first append (KIP-890)', () => {
  it('keeps the lowest sequence seen, and begins anew with a higher epoch', () => {
    const { manager } = new State()
    const first = manager.startVerification(PID, 3, 0, false)
    expect(manager.startVerification(PID, 1, 0, false)).toBe(first)
    expect(first).toMatchObject({ lowestSequence: 1, epoch: 0 })
    manager.startVerification(PID, 5, 0, false)
    expect(first).toMatchObject({ lowestSequence: 1 })
    manager.startVerification(PID, 4, 1, false)
    expect(first).toMatchObject({ lowestSequence: 4, epoch: 1 })
    manager.startVerification(PID, 0, 0, false)
    expect(first).toMatchObject({ lowestSequence: 4, epoch: 1 })
  })

  it('refuses a sequence above the lowest seen', () => {
    const state = new State()
    state.manager.startVerification(PID, 0, EPOCH, false)
    expect(state.client(4, EPOCH, { txn: true })).toBe(OUT_OF_ORDER)
    expect(state.client(0, EPOCH, { txn: true })).toBe('ok')
  })

  it('wants sequence 0 of a producer that is not known, with transaction version 2', () => {
    const v2 = new State()
    v2.manager.startVerification(PID, 5, EPOCH, true)
    expect(v2.client(5, EPOCH, { txn: true })).toBe(OUT_OF_ORDER)
    const v1 = new State()
    v1.manager.startVerification(PID, 5, EPOCH, false)
    expect(v1.client(5, EPOCH, { txn: true })).toBe('ok')
  })

  it('ends with a transactional batch; with version 2 not by the marker of the epoch before', () => {
    const state = new State()
    state.manager.startVerification(PID, 0, EPOCH, false)
    state.client(0, EPOCH, { txn: true })
    expect(state.manager.startVerification(PID, 1, EPOCH, false)).toBeUndefined()

    const other = new State()
    const begun = other.manager.startVerification(PID, 0, 1, true)
    other.end_(true, 1)
    expect(other.manager.startVerification(PID, 0, 1, true)).toBe(begun)
  })

  it('refuses an epoch below the known one', () => {
    const state = new State()
    state.client(0, 3)
    expect(state.manager.startVerification(PID, 0, 2, false)).toMatchObject({ error: Errors.INVALID_PRODUCER_EPOCH })
  })
})

describe('transactions', () => {
  it('make the offset of the first open one unstable until its marker is replicated', () => {
    const state = new State()
    state.client(0, EPOCH, { txn: true, at: 99 })
    expect(state.manager.firstUnstableOffset).toBe(99)
    state.client(1, EPOCH, { txn: true, at: 105 })
    state.take(sequenced(2, 0, 0, 1, { isTransactional: true }), 106)
    expect(state.end_(true, EPOCH, 0, 109)).toBe('ok')
    expect(state.manager.firstUndecidedOffset).toBe(106)
    expect(state.manager.firstUnstableOffset).toBe(99)
    state.manager.onHighWatermark(109)
    expect(state.manager.firstUnstableOffset).toBe(99)
    state.manager.onHighWatermark(110)
    expect(state.manager.firstUnstableOffset).toBe(106)
  })

  it('that are empty leave no trace in what is unstable', () => {
    const state = new State()
    state.end_(true, 1, 3, 10)
    expect(state.manager.firstUnstableOffset).toBe(-1)
    expect(state.manager.entry(PID)).toMatchObject({ producerEpoch: 1, coordinatorEpoch: 3, currentTxnFirstOffset: -1 })
  })

  it('refuse a batch outside of them while one is open', () => {
    const state = new State()
    state.client(0, EPOCH, { txn: true })
    expect(state.client(1)).toBe('INVALID_TXN_STATE')
  })

  it('that complete give the last stable offset by those of other producers', () => {
    const state = new State()
    const of = (producerId: number, lastOffset: number) =>
      state.manager.lastStableOffset({ producerId, firstOffset: 0, lastOffset, aborted: false })
    state.client(0, EPOCH, { txn: true, pid: 1, at: 0 })
    state.client(0, EPOCH, { txn: true, pid: 2, at: 5 })
    state.client(0, EPOCH, { txn: true, pid: 3, at: 9 })
    expect(of(1, 20)).toBe(5)
    state.end_(true, EPOCH, 0, 20, 1)
    expect(of(2, 21)).toBe(9)
    state.end_(true, EPOCH, 0, 21, 2)
    expect(of(3, 22)).toBe(23)
  })

  it('fence coordinators of older epochs, also after a reload', () => {
    const state = new State()
    expect(state.end_(false, EPOCH, 1)).toBe('ok')
    expect(state.end_(true, EPOCH, 1)).toBe('ok')
    expect(state.end_(true, EPOCH, 0)).toBe('TRANSACTION_COORDINATOR_FENCED')
    state.client(0, EPOCH, { txn: true })
    state.manager.takeSnapshot()
    const again = state.reloaded(0, state.end)
    expect(again.end_(true, EPOCH, 0, 9)).toBe('TRANSACTION_COORDINATOR_FENCED')
    expect(again.end_(true, EPOCH, 2, 9)).toBe('ok')
  })

  it('refuse markers of an older producer epoch', () => {
    const state = new State()
    state.client(0, 5)
    expect(state.end_(true, 4)).toBe(OLD_EPOCH)
    expect(state.end_(true, 5)).toBe('ok')
  })

  it('are late five minutes after the longest timeout', () => {
    const state = new State({ maxTransactionTimeoutMs: 1_000 })
    state.client(0, EPOCH, { txn: true, ts: 10_000 })
    expect(state.manager.hasLateTransaction(10_000 + 1_000 + 300_000)).toBe(false)
    expect(state.manager.hasLateTransaction(10_000 + 1_000 + 300_001)).toBe(true)
    state.end_(false)
    expect(state.manager.hasLateTransaction(10_000_000)).toBe(false)
  })
})

describe('expiry', () => {
  const config = { expirationMs: 1_000 }

  it('forgets producers that were idle for producer.id.expiration.ms', () => {
    const state = new State(config)
    state.client(5)
    state.client(6)
    state.host.run(999)
    state.manager.removeExpired(state.host.wallMs)
    expect(state.client(3)).toBe(OUT_OF_ORDER)
    state.host.run(1)
    state.manager.removeExpired(state.host.wallMs)
    expect(state.client(2)).toBe('ok')
  })

  it('spares producers with an open transaction, whatever their age', () => {
    const state = new State(config)
    state.client(0, EPOCH, { txn: true })
    state.client(0, EPOCH, { pid: 2 })
    state.host.run(5_000)
    state.manager.removeExpired(state.host.wallMs)
    expect([...state.manager.producers.keys()]).toEqual([PID])
    state.end_(true)
    state.host.run(5_000)
    state.manager.removeExpired(state.host.wallMs)
    expect(state.manager.isEmpty).toBe(false)
    state.manager.onHighWatermark(99)
    expect(state.manager.isEmpty).toBe(true)
  })

  it('applies to what is loaded from a snapshot', () => {
    const state = new State(config)
    state.client(0)
    state.client(0, EPOCH, { pid: 2, ts: state.host.wallMs + 900 })
    state.manager.takeSnapshot()
    state.host.run(1_500)
    expect([...state.reloaded(0, 2, config).manager.producers.keys()]).toEqual([2])
  })
})

describe('snapshots', () => {
  it('bring back each producer with its last batch, and open transactions', () => {
    const state = new State()
    state.client(0)
    state.client(1, EPOCH, { txn: true })
    state.client(0, 7, { pid: 9, count: 3 })
    state.manager.takeSnapshot()
    const again = state.reloaded(0, state.end)
    expect(again.manager.mapEndOffset).toBe(5)
    expect(again.manager.entry(PID)).toMatchObject({ producerEpoch: 0, lastSequence: 1, currentTxnFirstOffset: 1 })
    expect(again.manager.entry(9)).toMatchObject({
      producerEpoch: 7,
      firstSequence: 0,
      lastSequence: 2,
      lastDataOffset: 4,
    })
    expect(again.manager.firstUnstableOffset).toBe(1)
    expect(again.client(2, EPOCH, { txn: true })).toBe('ok')
    expect(again.client(2, EPOCH, { txn: true })).toBe(OUT_OF_ORDER)
  })

  it('are not written twice for one offset', () => {
    const state = new State()
    state.client(0)
    expect(state.manager.takeSnapshot()).toBeDefined()
    expect(state.manager.takeSnapshot()).toBeUndefined()
    state.client(1)
    state.manager.takeSnapshot()
    expect(state.host.files()).toEqual(['00000000000000000001.snapshot', '00000000000000000002.snapshot'])
  })

  it('outside of the log are removed at a reload', () => {
    const state = new State()
    for (let sequence = 0; sequence < 5; sequence++) {
      state.client(sequence)
      state.manager.takeSnapshot()
    }
    state.manager.truncateAndReload(1, 3, state.host.wallMs)
    expect(state.host.files()).toEqual(['00000000000000000002.snapshot', '00000000000000000003.snapshot'])
    expect(state.manager.mapEndOffset).toBe(3)
    expect(state.last()).toEqual([EPOCH, 2])
  })

  it.each(['empty', 'truncated', 'corrupt'])('that are %s are removed, and the one before is used', (how) => {
    const state = new State()
    state.client(0)
    state.manager.takeSnapshot()
    state.client(1)
    state.manager.takeSnapshot()
    const path = `${DIR}/00000000000000000002.snapshot`
    const bytes = (state.host.disk.readFile(path) as Uint8Array).slice()
    if (how === 'corrupt') bytes[20] = (bytes[20] as number) ^ 1
    state.host.write(path, how === 'empty' ? new Uint8Array(0) : how === 'truncated' ? bytes.slice(0, 30) : bytes)
    const again = state.reloaded(0, 2)
    expect(again.manager.mapEndOffset).toBe(1)
    expect(again.last()).toEqual([EPOCH, 0])
    expect(state.host.files()).toEqual(['00000000000000000001.snapshot'])
  })

  it('of no segment are removed, but the latest beyond the last segment', () => {
    const state = new State()
    for (const offset of ['02', '05', '42']) state.host.write(`${DIR}/000000000000000000${offset}.snapshot`, 'x')
    state.manager.removeStraySnapshots([5])
    expect(state.manager.snapshots).toEqual([5, 42])
    state.manager.removeStraySnapshots([42])
    expect(state.manager.snapshots).toEqual([42])
    expect(state.host.files()).toEqual(['00000000000000000042.snapshot'])
  })

  it('are marked and forgotten when their segment goes', () => {
    const state = new State()
    state.client(0)
    state.manager.takeSnapshot()
    expect(state.manager.markSnapshotDeleted(1)).toBe(`${DIR}/00000000000000000001.snapshot.deleted`)
    expect(state.manager.markSnapshotDeleted(1)).toBeUndefined()
    expect(state.manager.snapshots).toEqual([])
    expect(state.host.files()).toEqual(['00000000000000000001.snapshot.deleted'])
  })
})
