/**
 * The producers of one log, its open transactions, and their snapshots on disk.
 *
 * The state belongs to an offset of the log, the map end offset: everything below it is taken into account. Snapshots
 * of it are written when a segment is rolled, when the log is truncated or loaded, and when it is closed; at most two
 * survive a load. A transaction is
 *
 *     ongoing        from its first record until its marker is appended
 *     unreplicated   until the high watermark passes the marker
 *
 * and the first of either bounds the last stable offset. Source: Kafka's ProducerStateManager.
 */

import type { Disk, DiskError, DiskFile, Env } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import type { Millis, Offset } from '../kernel/units.js'
import { parseControlRecord } from '../wire/control-record.js'
import { Errors } from '../wire/errors.js'
import type { RecordBatch, Records } from '../wire/record-batch.js'
import type { Refusal } from './append-result.js'
import { DELETED_SUFFIX, filesIn, offsetOfPath, segmentPath, SNAPSHOT_SUFFIX } from './log-files.js'
import { encodeSnapshot, parseSnapshot } from './producer-snapshot.js'
import {
  ProducerAppend,
  VerificationState,
  type AppendOrigin,
  type CompletedTxn,
  type BatchMetadata,
  type ProducerStateEntry,
  type TxnMetadata,
} from './producer-state.js'

/** A transaction may be this much older than the longest timeout before it counts as hanging. */
const LATE_TRANSACTION_BUFFER_MS = 5 * 60_000

export interface ProducerStateConfig {
  readonly expirationMs: Millis
  readonly expirationCheckIntervalMs: Millis
  readonly maxTransactionTimeoutMs: Millis
  readonly transactionVerification: boolean
}

/** The changes that a list of batches would make; nothing is done until `apply`. */
export interface ProducerChanges {
  readonly appends: ProducerAppend[]
  readonly completed: CompletedTxn[]
}

export class ProducerStateManager {
  readonly config: ProducerStateConfig
  readonly #env: Env
  readonly #disk: Disk
  readonly #onDiskError: (error: DiskError) => void
  #dir: string
  readonly #producers = new Map<number, ProducerStateEntry>()
  readonly #verifications = new Map<number, VerificationState>()
  /** In order of first offsets. */
  #ongoing: TxnMetadata[] = []
  #unreplicated: TxnMetadata[] = []
  /** Offsets of the snapshot files, ascending. */
  #snapshots: Offset[]
  #mapEnd: Offset = 0
  #snapEnd: Offset = 0

  /** @throws DiskError */
  constructor(env: Env, dir: string, config: ProducerStateConfig, onDiskError: (error: DiskError) => void) {
    this.#env = env
    this.#disk = env.disk
    this.#dir = dir
    this.config = config
    this.#onDiskError = onDiskError
    this.#snapshots = this.#listSnapshots()
  }

  /** By producer id. */
  get producers(): ReadonlyMap<number, ProducerStateEntry> {
    return this.#producers
  }

  get isEmpty(): boolean {
    return this.#producers.size === 0 && this.#unreplicated.length === 0
  }

  get mapEndOffset(): Offset {
    return this.#mapEnd
  }

  set mapEndOffset(offset: Offset) {
    this.#mapEnd = offset
  }

  get snapshots(): readonly Offset[] {
    return this.#snapshots
  }

  /** -1 when there is none. */
  get latestSnapshotOffset(): Offset {
    return this.#snapshots[this.#snapshots.length - 1] ?? -1
  }

  /**
   * The first offset of the earliest transaction that is open, or whose marker is not replicated; -1 when there is
   * none.
   */
  get firstUnstableOffset(): Offset {
    const ongoing = this.#ongoing[0]?.firstOffset ?? -1
    const unreplicated = this.#unreplicated[0]?.firstOffset ?? -1
    if (unreplicated < 0) return ongoing
    return ongoing < 0 ? unreplicated : Math.min(ongoing, unreplicated)
  }

  /** The first offset of the earliest open transaction; -1 when there is none. */
  get firstUndecidedOffset(): Offset {
    return this.#ongoing[0]?.firstOffset ?? -1
  }

  entry(producerId: number): ProducerStateEntry | undefined {
    return this.#producers.get(producerId)
  }

  /** True when a transaction is open for longer than any timeout allows. */
  hasLateTransaction(nowMs: Millis): boolean {
    const oldest = this.#ongoing[0]
    const last = oldest === undefined ? -1 : (this.#producers.get(oldest.producerId)?.lastTimestamp ?? -1)
    return last > 0 && nowMs - last > this.config.maxTransactionTimeoutMs + LATE_TRANSACTION_BUFFER_MS
  }

  // ── appends ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Collects what `batches` would change: nothing in the way, a refusal, or the earlier batch that one of them repeats.
   */
  admit(
    batches: Records,
    origin: AppendOrigin,
    verification: VerificationState | undefined,
    changes: ProducerChanges,
  ): Refusal | BatchMetadata | undefined {
    for (let i = 0; i < batches.length; i++) {
      const batch = batches[i] as RecordBatch
      if (!batch.hasProducerId) continue
      if (origin === 'client') {
        const entry = this.#producers.get(batch.producerId)
        const duplicate = entry?.findDuplicate(batch.producerEpoch, batch.baseSequence, batch.lastSequence)
        if (duplicate !== undefined) return duplicate
      }
      const replicated = origin === 'replication' || origin === 'raft-leader'
      if (!replicated && batch.isTransactional && this.#lacksVerification(batch, verification)) {
        return { error: Errors.INVALID_TXN_STATE, message: 'record was not part of an ongoing transaction' }
      }
      const refusal = this.prepare(batch, origin, changes)
      if (refusal !== undefined) return refusal
    }
    return undefined
  }

  hasOngoingTransaction(producerId: number, producerEpoch: number): boolean {
    const entry = this.#producers.get(producerId)
    return entry !== undefined && entry.currentTxnFirstOffset >= 0 && entry.producerEpoch === producerEpoch
  }

  /** Adds what `batch` would change to `changes`; a refusal when it may not be appended. */
  prepare(batch: RecordBatch, origin: AppendOrigin, changes: ProducerChanges): Refusal | undefined {
    const producerId = batch.producerId
    let append = changes.appends.find((known) => known.producerId === producerId)
    if (append === undefined) {
      append = new ProducerAppend(
        producerId,
        this.#producers.get(producerId),
        origin,
        this.#verifications.get(producerId),
      )
      changes.appends.push(append)
    }
    if (batch.isControl) {
      const record = batch.records()[0]
      const marker = record === undefined ? undefined : parseControlRecord(record)
      if (record !== undefined && (marker?.type === 'ABORT' || marker?.type === 'COMMIT')) {
        const end = { aborted: marker.type === 'ABORT', coordinatorEpoch: marker.coordinatorEpoch }
        const done = append.appendMarker(end, batch.producerEpoch, batch.baseOffset, record.timestamp)
        if (done !== undefined && 'error' in done) return done
        if (done !== undefined) changes.completed.push(done)
      }
    } else {
      const refusal = append.appendData(
        batch.producerEpoch,
        batch.baseSequence,
        batch.lastSequence,
        batch.maxTimestamp,
        batch.baseOffset,
        batch.lastOffset,
        batch.isTransactional,
      )
      if (refusal !== undefined) return refusal
    }
    if (batch.isTransactional) this.#endVerification(batch)
    return undefined
  }

  /** Takes over a batch that is in the log already; the transaction that it ended, if it ended one. */
  replay(batch: RecordBatch): CompletedTxn | undefined {
    if (!batch.hasProducerId) return undefined
    const changes: ProducerChanges = { appends: [], completed: [] }
    this.prepare(batch, 'replication', changes)
    for (const append of changes.appends) this.update(append)
    return changes.completed[0]
  }

  update(append: ProducerAppend): void {
    const known = this.#producers.get(append.producerId)
    if (known === undefined) this.#producers.set(append.producerId, append.updated)
    else known.update(append.updated)
    for (const txn of append.started) insertByFirstOffset(this.#ongoing, txn)
  }

  /** A marker was appended: its transaction waits for the high watermark. */
  completeTxn(completed: CompletedTxn): void {
    const at = this.#ongoing.findIndex((txn) => txn.firstOffset === completed.firstOffset)
    assert(at >= 0, 'producer state: completes a transaction that was not open', { completed })
    const [txn] = this.#ongoing.splice(at, 1) as [TxnMetadata]
    txn.lastOffset = completed.lastOffset
    insertByFirstOffset(this.#unreplicated, txn)
  }

  /** The last stable offset once `completed` is decided and replicated, by the transactions open now. */
  lastStableOffset(completed: CompletedTxn): Offset {
    for (const txn of this.#ongoing) if (txn.producerId !== completed.producerId) return txn.firstOffset
    return completed.lastOffset + 1
  }

  onHighWatermark(offset: Offset): void {
    if (this.#unreplicated.length > 0) this.#dropReplicated(offset)
  }

  onLogStartOffset(offset: Offset): void {
    this.#dropReplicated(offset)
    if (this.#mapEnd < offset) this.#mapEnd = offset
    this.#snapEnd = this.latestSnapshotOffset >= 0 ? this.latestSnapshotOffset : offset
  }

  removeExpired(nowMs: Millis): void {
    for (const [producerId, entry] of this.#producers) {
      if (this.#isExpired(nowMs, entry)) this.#producers.delete(producerId)
    }
    for (const [producerId, verification] of this.#verifications) {
      if (nowMs - verification.timestamp >= this.config.expirationMs) this.#verifications.delete(producerId)
    }
  }

  // ── verification (KIP-890) ────────────────────────────────────────────────────────────────────────────────────────

  /** See PartitionLog.startTransactionVerification. */
  startVerification(
    producerId: number,
    sequence: number,
    epoch: number,
    supportsEpochBump: boolean,
  ): VerificationState | Refusal | undefined {
    const entry = this.#producers.get(producerId)
    if (entry !== undefined && epoch < entry.producerEpoch) {
      const message = `epoch ${epoch} of producer ${producerId} is below the last seen ${entry.producerEpoch}`
      return { error: Errors.INVALID_PRODUCER_EPOCH, message }
    }
    if (this.hasOngoingTransaction(producerId, epoch)) return undefined
    let state = this.#verifications.get(producerId)
    if (state === undefined) {
      state = new VerificationState(this.#env.clock.wallMs(), sequence, epoch, supportsEpochBump)
      this.#verifications.set(producerId, state)
    }
    state.lower(sequence, epoch)
    return state
  }

  #lacksVerification(batch: RecordBatch, given: VerificationState | undefined): boolean {
    if (!this.config.transactionVerification || batch.isControl) return false
    if (this.hasOngoingTransaction(batch.producerId, batch.producerEpoch)) return false
    return given === undefined || this.#verifications.get(batch.producerId) !== given
  }

  #endVerification(batch: RecordBatch): void {
    const state = this.#verifications.get(batch.producerId)
    if (state === undefined) return
    // With the epoch bumped at every commit, a marker may come after the next transaction was begun.
    const nextBegun = state.supportsEpochBump && batch.isControl && batch.producerEpoch === state.epoch
    if (!nextBegun) this.#verifications.delete(batch.producerId)
  }

  // ── snapshots ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Writes the state at the map end offset, unless a snapshot is there already. With `sync` it is made to last as well;
   * otherwise the file comes back for the caller to sync. @throws DiskError
   */
  takeSnapshot(sync = true, done?: (error?: DiskError) => void): DiskFile | undefined {
    if (this.#mapEnd <= this.#snapEnd) {
      done?.()
      return undefined
    }
    const path = this.#path(this.#mapEnd)
    if (this.#disk.exists(path)) this.#disk.remove(path)
    const file = this.#disk.open(path)
    file.append(encodeSnapshot(this.#producers.values()))
    if (this.latestSnapshotOffset < this.#mapEnd) this.#snapshots.push(this.#mapEnd)
    else if (!this.#snapshots.includes(this.#mapEnd)) {
      this.#snapshots.push(this.#mapEnd)
      this.#snapshots.sort((a, b) => a - b)
    }
    this.#snapEnd = this.#mapEnd
    if (sync) {
      file.sync((error) => {
        if (error !== undefined) this.#onDiskError(error)
        done?.(error)
      })
    }
    return file
  }

  /** Starts from the best snapshot for [logStart, logEnd]; afterwards the map end offset says how far it goes. */
  truncateAndReload(logStart: Offset, logEnd: Offset, nowMs: Millis): void {
    for (const offset of this.#snapshots.slice())
      if (offset > logEnd || offset <= logStart) this.#removeSnapshot(offset)
    if (logEnd === this.#mapEnd) {
      this.onLogStartOffset(logStart)
      return
    }
    this.#clear()
    this.#loadFromSnapshot(logStart, nowMs)
  }

  truncateFullyAndStartAt(offset: Offset): void {
    this.#clear()
    for (const snapshot of this.#snapshots.slice()) this.#removeSnapshot(snapshot)
    this.#snapEnd = 0
    this.#mapEnd = offset
  }

  /** Removes snapshots that belong to no segment, but the latest if it lies beyond the last segment's base offset. */
  removeStraySnapshots(baseOffsets: readonly Offset[]): void {
    this.#snapshots = this.#listSnapshots()
    const bases = new Set(baseOffsets)
    const strays = this.#snapshots.filter((offset) => !bases.has(offset))
    const latest = strays.pop()
    for (const offset of strays) this.#removeSnapshot(offset)
    const lastBase = baseOffsets[baseOffsets.length - 1]
    if (latest !== undefined && lastBase !== undefined && latest < lastBase) this.#removeSnapshot(latest)
  }

  /** Forgets the snapshot at `offset` and marks its file as deleted; the path to remove later, if there was one. */
  markSnapshotDeleted(offset: Offset): string | undefined {
    const at = this.#snapshots.indexOf(offset)
    if (at < 0) return undefined
    this.#snapshots.splice(at, 1)
    const path = this.#path(offset)
    if (!this.#disk.exists(path)) return undefined
    this.#disk.rename(path, path + DELETED_SUFFIX)
    return path + DELETED_SUFFIX
  }

  /** The log's directory was renamed. */
  moveTo(dir: string): void {
    this.#dir = dir
  }

  #loadFromSnapshot(logStart: Offset, nowMs: Millis): void {
    for (let offset = this.latestSnapshotOffset; offset >= 0; offset = this.latestSnapshotOffset) {
      const bytes = this.#disk.readFile(this.#path(offset))
      const entries = bytes === undefined ? undefined : parseSnapshot(bytes)
      if (entries === undefined) {
        this.#removeSnapshot(offset)
        continue
      }
      for (const entry of entries) if (!this.#isExpired(nowMs, entry)) this.#load(entry)
      this.#snapEnd = offset
      this.#mapEnd = offset
      return
    }
    this.#snapEnd = logStart
    this.#mapEnd = logStart
  }

  #load(entry: ProducerStateEntry): void {
    this.#producers.set(entry.producerId, entry)
    const firstOffset = entry.currentTxnFirstOffset
    if (firstOffset < 0) return
    insertByFirstOffset(this.#ongoing, { producerId: entry.producerId, firstOffset, lastOffset: undefined })
  }

  #isExpired(nowMs: Millis, entry: ProducerStateEntry): boolean {
    return entry.currentTxnFirstOffset < 0 && nowMs - entry.lastTimestamp >= this.config.expirationMs
  }

  #dropReplicated(offset: Offset): void {
    this.#unreplicated = this.#unreplicated.filter((txn) => txn.lastOffset === undefined || txn.lastOffset >= offset)
  }

  #clear(): void {
    this.#producers.clear()
    this.#ongoing = []
    this.#unreplicated = []
  }

  #listSnapshots(): Offset[] {
    const offsets: Offset[] = []
    for (const path of filesIn(this.#disk, this.#dir)) {
      const offset = path.endsWith(SNAPSHOT_SUFFIX) ? offsetOfPath(path) : undefined
      if (offset !== undefined) offsets.push(offset)
    }
    return offsets.sort((a, b) => a - b)
  }

  #removeSnapshot(offset: Offset): void {
    const at = this.#snapshots.indexOf(offset)
    if (at >= 0) this.#snapshots.splice(at, 1)
    const path = this.#path(offset)
    if (this.#disk.exists(path)) this.#disk.remove(path)
  }

  #path(offset: Offset): string {
    return segmentPath(this.#dir, offset, SNAPSHOT_SUFFIX)
  }
}

/** Keeps the list in order of first offsets; a transaction with the same first offset is replaced. */
function insertByFirstOffset(list: TxnMetadata[], txn: TxnMetadata): void {
  let at = list.length
  while (at > 0 && (list[at - 1] as TxnMetadata).firstOffset >= txn.firstOffset) at--
  const replaced = list[at]?.firstOffset === txn.firstOffset ? 1 : 0
  list.splice(at, replaced, txn)
}
