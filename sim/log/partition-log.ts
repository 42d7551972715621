/**
 * The log of one partition: what Kafka calls UnifiedLog.
 *
 * Holds record batches in segments on the disk, from the log start offset to the log end offset. Promises: offsets
 * increase; a batch is appended whole or refused with Kafka's code and no trace; what was appended is read back as the
 * same objects; after `flush` it survives a power loss; `open` finds exactly what survived. Keeps the high watermark
 * and the last stable offset, but does not decide them. Emits every `log.*` event of its partition, once each.
 *
 * Calls are synchronous and take no virtual time; a caller that must wait for a slow disk goes through `Disk.access`
 * first. Where Kafka would block in fsync (`flush.messages`), the result says `flushing`: hold the response until
 * `afterFlush`. A DiskError takes the log offline and goes on to the caller; from then on every call answers
 * KAFKA_STORAGE_ERROR.
 *
 * The same log serves the metadata quorum (role `quorum`). Source: UnifiedLog, LocalLog.
 */

import { DiskError, type Env, type EnvTimer } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import type { Bytes, Epoch, Millis, Offset } from '../kernel/units.js'
import { Errors, type ErrorCode } from '../wire/errors.js'
import { NO_TIMESTAMP, type RecordBatch, type Records } from '../wire/record-batch.js'
import { CleanableLog } from './cleanable-log.js'
import { analyzeAppend, type Analysis } from './analyze-append.js'
import { isRefused, type AppendRefusal, type AppendResult, type Appended, type Refusal } from './append-result.js'
import { LeaderEpochCache, type EpochEndOffset } from './leader-epoch-cache.js'
import { LocalLog, type LogPosition, type ReadResult } from './local-log.js'
import { segmentBytes, type LogConfig } from './log-config.js'
import { loadLog } from './log-loader.js'
import { deleteOldSegments } from './log-retention.js'
import { NOTHING_READ, type LogSegment, type ReadFound, type TimestampedOffset } from './log-segment.js'
import { validateAndAssign } from './log-validator.js'
import { offsetForTimestamp } from './offset-for-timestamp.js'
import { DEFAULT_PRODUCER_STATE, type LeaderAppendOptions, type PartitionLogOptions } from './partition-log-options.js'
import { PartitionMetadata } from './partition-metadata.js'
import type { AppendOrigin, VerificationState } from './producer-state.js'
import { ProducerStateManager, type ProducerChanges } from './producer-state-manager.js'
import { rebuildProducerState } from './rebuild-producer-state.js'
import type { AbortedTxn } from './transaction-index.js'

const CLIENT: LeaderAppendOptions = { origin: 'client' }
const NOTHING_APPENDED: Appended = {
  error: 0,
  firstOffset: -1,
  lastOffset: -1,
  maxTimestamp: NO_TIMESTAMP,
  logAppendTime: NO_TIMESTAMP,
  sizeInBytes: 0,
  flushing: false,
}
/** Of batches without a producer id. */
const NO_CHANGES: ProducerChanges = { appends: [], completed: [] }
const OFFLINE: Refusal = { error: Errors.KAFKA_STORAGE_ERROR, message: 'the log directory is offline' }

export class PartitionLog {
  readonly partition: string
  readonly #env: Env
  readonly #role: 'replica' | 'quorum'
  readonly #local: LocalLog
  readonly #epochs: LeaderEpochCache
  readonly #producers: ProducerStateManager
  readonly #metadata: PartitionMetadata
  #logStart: Offset
  #highWatermark: Offset
  /** First offset that read_committed may not see, if below the high watermark; -1 when there is none. */
  #firstUnstable: Offset = -1
  #closed = false
  #expiry: EnvTimer | undefined
  #cleanable: CleanableLog | undefined

  /** Opens the log in its directory, creating or recovering it. @throws DiskError */
  static open(env: Env, options: PartitionLogOptions): PartitionLog {
    try {
      return new PartitionLog(env, options)
    } catch (error) {
      if (error instanceof DiskError) options.onOffline?.(error)
      throw error
    }
  }

  private constructor(env: Env, options: PartitionLogOptions) {
    const { partition, config, clean } = options
    this.#env = env
    this.partition = partition
    this.#role = options.role ?? 'replica'
    this.#local = new LocalLog(env, partition, partition, config, (error) => {
      this.#stop()
      options.onOffline?.(error)
    })
    const offline = (error: DiskError): void => this.#local.goOffline(error)
    this.#epochs = new LeaderEpochCache(env, partition, offline)
    this.#producers = new ProducerStateManager(env, partition, options.producers ?? DEFAULT_PRODUCER_STATE, offline)
    const loaded = loadLog(env, this.#local, this.#epochs, this.#producers, {
      clean,
      logStartOffset: options.logStartOffset ?? 0,
      recoveryPoint: options.recoveryPoint ?? 0,
    })
    this.#logStart = loaded.logStartOffset
    this.#highWatermark = loaded.logStartOffset
    this.#local.logEndOffset = loaded.logEndOffset
    this.#local.flusher.raiseTo(Math.max(loaded.recoveryPoint, loaded.logStartOffset))
    this.#updateFirstUnstable()
    this.#metadata = new PartitionMetadata(env, partition, offline)
    if (options.topicId !== undefined) this.assignTopicId(options.topicId)
    if (this.#role === 'replica') this.#scheduleExpiry()
    const epochs = this.#epochs.entries.flatMap((entry) => [entry.epoch, entry.startOffset])
    const { logStartOffset: logStart, logEndOffset: logEnd } = loaded
    env.emit('log.open', { partition, logStart, logEnd, recoveryPoint: this.recoveryPoint, clean, epochs })
  }

  // ── what it is ────────────────────────────────────────────────────────────────────────────────────────────────────

  get config(): LogConfig {
    return this.#local.config
  }

  updateConfig(config: LogConfig): void {
    this.#local.config = config
  }

  /** Directory under the log directory. */
  get dir(): string {
    return this.#local.dir
  }

  /** Undefined until it is assigned. */
  get topicId(): string | undefined {
    return this.#metadata.topicId
  }

  get isOffline(): boolean {
    return this.#local.isOffline
  }

  get logStartOffset(): Offset {
    return this.#logStart
  }

  get logEndOffset(): Offset {
    return this.#local.logEndOffset
  }

  get highWatermark(): Offset {
    return this.#highWatermark
  }

  /** Everything below is decided and replicated: what read_committed may see. */
  get lastStableOffset(): Offset {
    const unstable = this.#firstUnstable
    return unstable >= 0 && unstable < this.#highWatermark ? unstable : this.#highWatermark
  }

  /** Everything below survives a power loss. */
  get recoveryPoint(): Offset {
    return this.#local.flusher.recoveryPoint
  }

  /** Wall time of the last flush, or of the opening. */
  get lastFlushMs(): Millis {
    return this.#local.flusher.lastFlushMs
  }

  /** -1 when there is none. */
  get latestEpoch(): Epoch {
    return this.#epochs.latestEpoch
  }

  get epochs(): LeaderEpochCache {
    return this.#epochs
  }

  get sizeInBytes(): Bytes {
    return this.#local.segments.sizeInBytes
  }

  get segments(): readonly LogSegment[] {
    return this.#local.segments.all
  }

  /** Where an offset lies, the log end included; undefined outside of the log. */
  positionOf(offset: Offset): LogPosition | undefined {
    return this.#local.positionOf(offset)
  }

  /** INCONSISTENT_TOPIC_ID when the log has another one. */
  assignTopicId(topicId: string): ErrorCode {
    const error = this.#metadata.assign(topicId)
    if (this.#metadata.dirty) this.#background(() => this.#metadata.flush())
    return error
  }

  // ── appending ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Appends as the leader of `leaderEpoch`. Client and coordinator batches are checked, and get their offsets, epoch
   * and time here; those of a raft leader carry offsets and epoch already. @throws DiskError
   */
  appendAsLeader(batches: Records, leaderEpoch: Epoch, options: LeaderAppendOptions = CLIENT): AppendResult {
    return this.#append(batches, leaderEpoch, options.origin, options.verification)
  }

  /**
   * Appends what a leader sent, as it is. Batches of an epoch above `leaderEpoch` are left out with all that follow. A
   * batch below the log end is refused as `unexpected-offset`; one above is taken, as compaction leaves gaps. @throws
   * DiskError
   */
  appendAsFollower(batches: Records, leaderEpoch: Epoch): AppendResult {
    return this.#append(batches, leaderEpoch, 'replication', undefined)
  }

  #append(
    batches: Records,
    leaderEpoch: Epoch,
    origin: AppendOrigin,
    verification: VerificationState | undefined,
  ): AppendResult {
    if (this.isOffline) return OFFLINE
    try {
      if (this.#metadata.dirty) this.#metadata.flush()
      const analysis = analyzeAppend(batches, origin, leaderEpoch, this.config['max.message.bytes'])
      if (!isRefused(analysis)) return this.#appendAnalyzed(analysis, leaderEpoch, origin, verification)
      const { corrupt, ...refusal } = analysis
      if (corrupt !== undefined) this.#emitCorrupt(corrupt)
      return refusal
    } catch (error) {
      throw this.#local.failed(error)
    }
  }

  #appendAnalyzed(
    analysis: Analysis,
    leaderEpoch: Epoch,
    origin: AppendOrigin,
    verification: VerificationState | undefined,
  ): AppendResult {
    let { batches, firstOffset, lastOffset, maxTimestamp } = analysis
    const { sizeInBytes } = analysis
    let logAppendTime = NO_TIMESTAMP
    if (batches.length === 0) return NOTHING_APPENDED
    const nowMs = this.#env.clock.wallMs()
    if (origin === 'client' || origin === 'coordinator') {
      const valid = validateAndAssign(batches, this.logEndOffset, leaderEpoch, origin, this.config, nowMs)
      if (isRefused(valid)) return valid
      batches = [valid.batch]
      firstOffset = this.logEndOffset
      lastOffset = valid.batch.lastOffset
      maxTimestamp = valid.maxTimestamp
      logAppendTime = valid.logAppendTime
    } else if (firstOffset < this.logEndOffset) {
      return this.#unexpectedOffset(firstOffset, lastOffset)
    }
    for (let i = 0; i < batches.length; i++) {
      const batch = batches[i] as RecordBatch
      this.#epochs.assign(batch.partitionLeaderEpoch, batch.baseOffset)
    }
    const limit = segmentBytes(this.config)
    if (sizeInBytes > limit) {
      return { error: Errors.RECORD_LIST_TOO_LARGE, message: `${sizeInBytes} bytes at once, a segment holds ${limit}` }
    }
    const active = this.#local.segments.active
    const rolls = active.shouldRoll(this.config, sizeInBytes, maxTimestamp, lastOffset, nowMs)
    const segment = rolls ? this.#roll(firstOffset) : active

    const changes = batches.some(hasProducer) ? { appends: [], completed: [] } : NO_CHANGES
    const held = this.#producers.admit(batches, origin, verification, changes)
    if (held !== undefined) {
      if (isRefused(held)) return held
      const firstOffset = held.lastOffset - held.offsetDelta
      const { lastOffset, timestamp } = held
      const result = { firstOffset, lastOffset, maxTimestamp, logAppendTime: timestamp, sizeInBytes }
      return { error: 0, ...result, duplicate: true, flushing: false }
    }
    this.#write(segment, batches, origin, changes)
    return { error: 0, firstOffset, lastOffset, maxTimestamp, logAppendTime, sizeInBytes, flushing: this.#flushIfDue() }
  }

  #unexpectedOffset(firstOffset: Offset, lastOffset: Offset): AppendRefusal {
    const message = `first offset ${firstOffset} is below the log end ${this.logEndOffset}, log start ${this.#logStart}`
    return { error: Errors.UNKNOWN_SERVER_ERROR, kind: 'unexpected-offset', message, firstOffset, lastOffset }
  }

  #write(segment: LogSegment, batches: Records, origin: AppendOrigin, changes: ProducerChanges): void {
    this.#local.append(segment, batches)
    for (const append of changes.appends) this.#producers.update(append)
    for (const completed of changes.completed) {
      if (completed.aborted) {
        const { producerId, firstOffset, lastOffset } = completed
        const lastStableOffset = this.#producers.lastStableOffset(completed)
        segment.txnIndex.append({ producerId, firstOffset, lastOffset, lastStableOffset })
      }
      this.#producers.completeTxn(completed)
    }
    this.#producers.mapEndOffset = this.logEndOffset
    if (changes.appends.length > 0) this.#updateFirstUnstable()
    const role = this.#role === 'quorum' ? 'quorum' : origin === 'replication' ? 'follower' : 'leader'
    for (let i = 0; i < batches.length; i++) {
      const batch = batches[i] as RecordBatch
      this.#env.emit('log.append', {
        partition: this.partition,
        baseOffset: batch.baseOffset,
        lastOffset: batch.lastOffset,
        leaderEpoch: batch.partitionLeaderEpoch,
        crc: batch.crc,
        role,
        batch,
      })
    }
  }

  #emitCorrupt(batch: RecordBatch): void {
    const position = this.#local.segments.active.size
    this.#env.emit('log.corrupt', { partition: this.partition, offset: batch.baseOffset, position, found: 'append' })
  }

  #flushIfDue(): boolean {
    const { flusher } = this.#local
    if (this.logEndOffset - flusher.requested < this.config['flush.messages']) return false
    flusher.flush(this.logEndOffset)
    return flusher.isFlushing
  }

  // ── rolling ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Closes the active segment and begins another one at the log end. @throws DiskError */
  roll(): void {
    this.#local.attempt(() => this.#roll(this.logEndOffset))
  }

  #roll(firstOffset: Offset): LogSegment {
    const segment = this.#local.roll(firstOffset)
    const { baseOffset } = segment
    this.#producers.mapEndOffset = baseOffset
    const snapshot = this.#producers.takeSnapshot(false)
    this.#background(() => {
      const flush = (error?: DiskError): void => {
        if (error !== undefined) this.#local.goOffline(error)
        else this.#local.flusher.flush(baseOffset)
      }
      if (snapshot === undefined) flush()
      else snapshot.sync(flush)
    })
    return segment
  }

  // ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Whole batches from the one that holds `from`, below `upTo` (exclusive: high watermark, last stable offset or log
   * end) and of at most `maxBytes`; with `minOneBatch` the first may be larger. One read never goes beyond a segment.
   * @throws DiskError
   */
  read(from: Offset, maxBytes: Bytes, upTo: Offset, minOneBatch: boolean): ReadResult {
    if (this.isOffline) return OFFLINE
    if (from < this.#logStart || from > this.logEndOffset) {
      const message = `offset ${from} is not in [${this.#logStart}, ${this.logEndOffset}]`
      return { error: Errors.OFFSET_OUT_OF_RANGE, message }
    }
    if (from >= upTo) return NOTHING_READ
    try {
      return this.#local.read(from, maxBytes, upTo, minOneBatch)
    } catch (error) {
      throw this.#local.failed(error)
    }
  }

  /** As `read` up to the last stable offset, with the aborted transactions that the reader must leave out. */
  readCommitted(
    from: Offset,
    maxBytes: Bytes,
    minOneBatch: boolean,
  ): Refusal | (ReadFound & { readonly abortedTransactions: readonly AbortedTxn[] }) {
    const found = this.read(from, maxBytes, this.lastStableOffset, minOneBatch)
    if (isRefused(found)) return found
    return { ...found, abortedTransactions: this.#local.abortedTransactionsOf(from, found) }
  }

  /** The aborted transactions that have records in [from, upTo): those of the segment of `from` and of later ones. */
  collectAbortedTransactions(from: Offset, upTo: Offset): AbortedTxn[] {
    return this.#local.collectAbortedTransactions(from, upTo)
  }

  /**
   * The first record at or after the log start whose timestamp is at least `timestamp`; the negative timestamps of
   * ListOffsets have their own meaning. Undefined when there is none. @throws DiskError
   */
  offsetForTimestamp(timestamp: Millis): TimestampedOffset | undefined {
    return offsetForTimestamp(this, timestamp)
  }

  // ── leader epochs ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** A new leader begins at `startOffset`. @throws DiskError */
  assignEpochStartOffset(epoch: Epoch, startOffset: Offset): void {
    this.#local.attempt(() => this.#epochs.assign(epoch, startOffset))
  }

  /** Where `epoch` ends here, with the greatest epoch known at or below it; (-1, -1) when that can't be said. */
  endOffsetForEpoch(epoch: Epoch): EpochEndOffset {
    return this.#epochs.endOffsetFor(epoch, this.logEndOffset)
  }

  // ── high watermark ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Sets the high watermark within [log start, log end], also backwards; returns what it is now. */
  setHighWatermark(offset: Offset): Offset {
    const next = offset < this.#logStart ? this.#logStart : offset > this.logEndOffset ? this.logEndOffset : offset
    this.#highWatermark = next
    this.#producers.onHighWatermark(next)
    this.#updateFirstUnstable()
    return next
  }

  /** Moves the high watermark forward to `offset` (at most the log end); false when it is there already. */
  maybeIncrementHighWatermark(offset: Offset): boolean {
    assert(offset <= this.logEndOffset, 'high watermark beyond the log end', { offset, logEnd: this.logEndOffset })
    if (offset <= this.#highWatermark) return false
    this.setHighWatermark(offset)
    return true
  }

  #updateFirstUnstable(): void {
    const unstable = this.#producers.firstUnstableOffset
    this.#firstUnstable = unstable < 0 ? -1 : Math.max(unstable, this.#logStart)
  }

  // ── truncating ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Removes every record at and beyond `offset`; false when there is none. @throws DiskError */
  truncateTo(offset: Offset, reason: string): boolean {
    assert(offset >= 0, 'truncate: offset', { offset })
    if (offset >= this.logEndOffset) {
      this.#epochs.truncateFromEnd(this.logEndOffset)
      return false
    }
    const fully = offset < this.#local.segments.first.baseOffset
    this.#local.attempt(() => (fully ? this.#truncateFully(offset, offset, reason) : this.#truncate(offset, reason)))
    return true
  }

  /** Removes everything; the log is empty and begins at `offset`. @throws DiskError */
  truncateFullyAndStartAt(offset: Offset, reason: string, logStartOffset: Offset = offset): void {
    this.#local.attempt(() => this.#truncateFully(offset, logStartOffset, reason))
  }

  #truncate(offset: Offset, reason: string): void {
    const from = this.logEndOffset
    const start = this.#logStart
    const { removed, firstLost } = this.#local.truncateTo(offset)
    this.#local.removeSnapshots(removed, this.#producers)
    this.#epochs.truncateFromEnd(offset)
    this.#logStart = Math.min(offset, start)
    this.#rebuildProducers()
    if (this.#highWatermark >= offset) this.setHighWatermark(offset)
    this.#env.emit('log.truncate', { partition: this.partition, from, to: firstLost, reason })
    if (this.#logStart < start) this.#emitStart(start, reason)
  }

  #truncateFully(offset: Offset, logStartOffset: Offset, reason: string): void {
    const from = this.logEndOffset
    const start = this.#logStart
    this.#local.truncateFullyAndStartAt(offset)
    this.#epochs.clearAndFlush()
    this.#producers.truncateFullyAndStartAt(offset)
    this.#logStart = logStartOffset
    this.#rebuildProducers()
    this.setHighWatermark(offset)
    if (from > start) this.#env.emit('log.truncate', { partition: this.partition, from, to: start, reason })
    if (logStartOffset !== start) this.#emitStart(start, reason)
  }

  #rebuildProducers(): void {
    const { segments, logEndOffset } = this.#local
    rebuildProducerState(this.#producers, segments, this.#logStart, logEndOffset, this.#env.clock.wallMs(), false)
    this.#updateFirstUnstable()
  }

  // ── retention ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Moves the log start forward (DeleteRecords, a snapshot, what the leader says). OFFSET_OUT_OF_RANGE beyond the high
   * watermark. Segments below go with the next `deleteOldSegments`. @throws DiskError
   */
  advanceLogStartOffset(offset: Offset, reason: string): ErrorCode {
    if (offset > this.#highWatermark) return Errors.OFFSET_OUT_OF_RANGE
    if (offset <= this.#logStart) return Errors.NONE
    const from = this.#logStart
    this.#logStart = offset
    this.#local.flusher.raiseTo(offset)
    this.#epochs.truncateFromStart(offset)
    this.#producers.onLogStartOffset(offset)
    this.#updateFirstUnstable()
    this.#emitStart(from, reason)
    return Errors.NONE
  }

  /** Deletes segments by the rules of retention; returns how many. @throws DiskError */
  deleteOldSegments(nowMs: Millis = this.#env.clock.wallMs()): number {
    return this.#local.attempt(() => deleteOldSegments(this.#env, this, nowMs, (old, rule) => this.#delete(old, rule)))
  }

  #delete(old: readonly LogSegment[], reason: string): void {
    if (old.length === this.#local.segments.size) this.#roll(this.logEndOffset)
    const next = this.#local.segments.higher((old[old.length - 1] as LogSegment).baseOffset) as LogSegment
    this.advanceLogStartOffset(next.baseOffset, reason)
    this.#local.removeSegments(old)
    this.#local.removeSnapshots(old, this.#producers)
  }

  /** The log as its cleaner sees it. */
  get cleanable(): CleanableLog {
    return (this.#cleanable ??= new CleanableLog(this.#env, this, this.#local, this.#producers))
  }

  #emitStart(from: Offset, reason: string): void {
    this.#env.emit('log.start-offset', { partition: this.partition, from, to: this.#logStart, reason })
  }

  // ── flushing ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Makes everything below `upTo` (exclusive) last; `done` comes at once when it does already. */
  flush(upTo: Offset = this.logEndOffset, done?: (error?: DiskError) => void): void {
    this.#local.flusher.flush(upTo, done)
  }

  /** As `flush` of everything, an empty active segment included: before the log is closed. */
  flushAll(done?: (error?: DiskError) => void): void {
    this.#local.flusher.flush(this.logEndOffset, done, true)
  }

  /** Calls `done` when the flush begun last is over; at once when none is under way. */
  afterFlush(done: (error?: DiskError) => void): void {
    this.#local.flusher.afterFlush(done)
  }

  // ── producers ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Producers and transactions; to be asked, not changed. */
  get producers(): ProducerStateManager {
    return this.#producers
  }

  /**
   * Before the first batch of a transaction (KIP-890): what to hand to `appendAsLeader` once the coordinator agrees;
   * undefined when the transaction is under way here and needs no asking; INVALID_PRODUCER_EPOCH below the known epoch.
   */
  startTransactionVerification(
    producerId: number,
    sequence: number,
    epoch: number,
    supportsEpochBump: boolean,
  ): VerificationState | Refusal | undefined {
    return this.#producers.startVerification(producerId, sequence, epoch, supportsEpochBump)
  }

  #scheduleExpiry(): void {
    this.#expiry = this.#env.after(this.#producers.config.expirationCheckIntervalMs, () => {
      this.#producers.removeExpired(this.#env.clock.wallMs())
      this.#scheduleExpiry()
    })
  }

  // ── closing ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Writes the producer state and completes the time indexes; `done` when the snapshot will last. @throws DiskError */
  close(done?: (error?: DiskError) => void): void {
    this.#stop()
    if (this.isOffline) return done?.()
    this.#local.attempt(() => {
      this.#metadata.flush()
      for (const segment of this.segments) segment.close()
      this.#producers.takeSnapshot(true, done)
    })
  }

  /** Moves the log to a directory where it waits for its removal. It must not be used afterwards. @throws DiskError */
  renameForRemoval(dir: string): void {
    this.#stop()
    this.#local.attempt(() => {
      this.#metadata.flush()
      this.#epochs.detach()
      this.#local.renameTo(dir)
    })
    this.#env.emit('log.deleted', { partition: this.partition })
  }

  #stop(): void {
    this.#closed = true
    this.#expiry?.cancel()
    this.#expiry = undefined
  }

  #background(run: () => void): void {
    this.#env.soon(() => {
      if (!this.isOffline && !this.#closed) this.#local.attempt(run)
    })
  }
}

function hasProducer(batch: RecordBatch): boolean {
  return batch.hasProducerId
}
