/**
 * The segments of a log on this disk: reading across them, rolling, truncating, removing.
 *
 * Knows nothing of epochs, producers and the high watermark. Files that leave the log are marked `.deleted` and removed
 * after `file.delete.delay.ms`. The first DiskError takes the log offline for good. Source: Kafka's LocalLog.
 */

import { DiskError, type Env } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import type { Bytes, Offset } from '../kernel/units.js'
import { Errors } from '../wire/errors.js'
import type { RecordBatch, Records } from '../wire/record-batch.js'
import type { Refusal } from './append-result.js'
import type { LogConfig } from './log-config.js'
import {
  CLEANED_SUFFIX,
  DELETED_SUFFIX,
  filesIn,
  INDEX_SUFFIX,
  LOG_SUFFIX,
  segmentPath,
  SWAP_SUFFIX,
  TIME_INDEX_SUFFIX,
  TXN_INDEX_SUFFIX,
} from './log-files.js'
import { LogFlusher } from './log-flusher.js'
import { LogSegment, NOTHING_READ, type ReadFound } from './log-segment.js'
import { LogSegments } from './log-segments.js'
import type { ProducerStateManager } from './producer-state-manager.js'
import type { AbortedTxn } from './transaction-index.js'

export type ReadResult = Refusal | ReadFound

/** A place in the log's files, to count bytes between offsets of one segment. */
export interface LogPosition {
  readonly segmentBaseOffset: Offset
  readonly position: Bytes
}

const SEGMENT_SUFFIXES = [LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX]

export class LocalLog {
  readonly partition: string
  readonly segments = new LogSegments()
  readonly flusher: LogFlusher
  config: LogConfig
  /** Offset that the next record will have. */
  logEndOffset: Offset = 0
  readonly #env: Env
  readonly #onOffline: (error: DiskError) => void
  #dir: string
  #offline = false

  constructor(env: Env, partition: string, dir: string, config: LogConfig, onOffline: (error: DiskError) => void) {
    this.#env = env
    this.partition = partition
    this.#dir = dir
    this.config = config
    this.#onOffline = onOffline
    this.flusher = new LogFlusher(env, partition, this.segments, (error) => this.goOffline(error))
  }

  get dir(): string {
    return this.#dir
  }

  get isOffline(): boolean {
    return this.#offline
  }

  // ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** From the segment of `from` or, where it ends before, the next one. Never more than one segment's. */
  read(from: Offset, maxBytes: Bytes, upTo: Offset, minOneBatch: boolean): ReadResult {
    for (let segment = this.segments.floor(from); segment !== undefined;) {
      const found = segment.read(from, maxBytes, upTo, minOneBatch)
      if (found !== undefined && 'position' in found) return this.#corrupt(found.offset, found.position)
      if (found !== undefined) return found
      segment = this.segments.higher(segment.baseOffset)
    }
    return NOTHING_READ
  }

  /** Where `offset` lies; undefined outside of the log. */
  positionOf(offset: Offset): LogPosition | undefined {
    if (offset > this.logEndOffset) return undefined
    const segment = offset === this.logEndOffset ? this.segments.active : this.segments.floor(offset)
    if (segment === undefined) return undefined
    const position = offset === this.logEndOffset ? segment.size : (segment.positionOf(offset) ?? segment.size)
    return { segmentBaseOffset: segment.baseOffset, position }
  }

  /** The aborted transactions that touch what a read of `size` bytes at `from` found. */
  abortedTransactionsOf(from: Offset, found: ReadFound): AbortedTxn[] {
    const first = found.batches[0]
    const segment = first === undefined ? undefined : this.segments.floor(first.baseOffset)
    if (segment === undefined) return []
    const end = this.segments.higher(segment.baseOffset)?.baseOffset ?? this.logEndOffset
    return this.collectAbortedTransactions(from, segment.upperBoundOffset(from, found.sizeInBytes) ?? end)
  }

  /** The aborted transactions that have records in [from, upTo): those of the segment of `from` and of later ones. */
  collectAbortedTransactions(from: Offset, upTo: Offset): AbortedTxn[] {
    const found: AbortedTxn[] = []
    for (let segment = this.segments.floor(from); segment !== undefined;) {
      if (segment.txnIndex.collect(from, upTo, found)) break
      segment = this.segments.higher(segment.baseOffset)
    }
    return found
  }

  #corrupt(offset: Offset, position: Bytes): Refusal {
    this.#env.emit('log.corrupt', { partition: this.partition, offset, position, found: 'fetch' })
    return { error: Errors.CORRUPT_MESSAGE, message: `no record batch at offset ${offset}, position ${position}` }
  }

  // ── changing ──────────────────────────────────────────────────────────────────────────────────────────────────────

  append(segment: LogSegment, batches: Records): void {
    for (let i = 0; i < batches.length; i++) segment.append(batches[i] as RecordBatch)
    this.logEndOffset = (batches[batches.length - 1] as RecordBatch).nextOffset
  }

  /** Closes the active segment and begins another one at `firstOffset` or the log end, whichever is later. */
  roll(firstOffset: Offset): LogSegment {
    const baseOffset = Math.max(firstOffset, this.logEndOffset)
    const active = this.segments.active
    if (active.baseOffset === baseOffset && active.size === 0) {
      // An index that is full from the start (segment.index.bytes too small) makes Kafka replace the empty segment.
      this.#replace(active, baseOffset)
    } else {
      assert(baseOffset > active.baseOffset, 'roll: base offset', { baseOffset, active: active.baseOffset })
      for (const suffix of SEGMENT_SUFFIXES) this.#removeFile(segmentPath(this.#dir, baseOffset, suffix))
      active.onBecomeInactive()
      this.segments.add(this.openSegment(baseOffset))
    }
    this.#env.emit('log.roll', { partition: this.partition, baseOffset })
    return this.segments.active
  }

  /**
   * Cuts the log at `offset`, which must not lie below the first segment. A batch is cut as a whole: `firstLost` may
   * lie below. Returns the segments that went.
   */
  truncateTo(offset: Offset): { removed: readonly LogSegment[]; firstLost: Offset } {
    const removed = this.segments.all.filter((segment) => segment.baseOffset > offset)
    this.removeSegments(removed)
    const active = this.segments.active
    const position = active.positionOf(offset)
    const cut = position === undefined ? undefined : active.baseOffsetAt(position)
    active.truncateTo(offset)
    this.logEndOffset = offset
    this.flusher.truncateTo(offset)
    return { removed, firstLost: Math.min(offset, cut ?? offset) }
  }

  /** Removes all segments and begins a new one at `offset`. */
  truncateFullyAndStartAt(offset: Offset): void {
    this.removeSegments(this.segments.all.slice(0, -1))
    this.#replace(this.segments.active, offset)
    this.logEndOffset = offset
    this.flusher.truncateTo(offset)
  }

  openSegment(baseOffset: Offset): LogSegment {
    const jitter = this.config['segment.jitter.ms']
    const most = Math.min(jitter, this.config['segment.ms'])
    const random = jitter === 0 ? undefined : this.#env.random.fork(`segment-jitter/${this.partition}/${baseOffset}`)
    return new LogSegment(this.#env, this.#dir, baseOffset, this.config, random?.int(most))
  }

  /** Takes segments out of the log. Their files are marked now and removed later. */
  removeSegments(segments: readonly LogSegment[]): void {
    if (segments.length === 0) return
    const going = segments.slice()
    for (const segment of going) {
      this.segments.remove(segment)
      segment.changeSuffix('', DELETED_SUFFIX)
    }
    this.#later(() => going.forEach((segment) => segment.remove()))
  }

  /** An empty segment under `.cleaned`; leftovers of its name go. */
  createCleaned(baseOffset: Offset): LogSegment {
    for (const suffix of SEGMENT_SUFFIXES) this.#removeFile(segmentPath(this.#dir, baseOffset, suffix + CLEANED_SUFFIX))
    return new LogSegment(this.#env, this.#dir, baseOffset, this.config, 0, CLEANED_SUFFIX)
  }

  /** Puts `cleaned` in the place of those of `old` that are still there, which it returns. See CleanableLog. */
  replaceSegments(cleaned: LogSegment, old: readonly LogSegment[]): readonly LogSegment[] {
    const going = old.filter((segment) => this.segments.has(segment.baseOffset))
    cleaned.changeSuffix(CLEANED_SUFFIX, SWAP_SUFFIX)
    this.segments.add(cleaned)
    this.removeSegments(going)
    cleaned.changeSuffix(SWAP_SUFFIX, '')
    return going
  }

  /** Takes the producer snapshots of removed segments out as well. */
  removeSnapshots(segments: readonly LogSegment[], producers: ProducerStateManager): void {
    const paths = segments.map((segment) => producers.markSnapshotDeleted(segment.baseOffset))
    const going = paths.filter((path) => path !== undefined)
    if (going.length > 0) this.#later(() => going.forEach((path) => this.#removeFile(path)))
  }

  /** Moves the whole log to another directory. */
  renameTo(dir: string): void {
    const { disk } = this.#env
    for (const path of filesIn(disk, this.#dir)) disk.rename(path, dir + path.slice(this.#dir.length))
    this.#dir = dir
  }

  #replace(segment: LogSegment, baseOffset: Offset): void {
    this.removeSegments([segment])
    this.segments.add(this.openSegment(baseOffset))
  }

  #removeFile(path: string): void {
    if (this.#env.disk.exists(path)) this.#env.disk.remove(path)
  }

  /** Runs a removal after `file.delete.delay.ms`. Once the whole log is renamed its files go with the directory. */
  #later(remove: () => void): void {
    const dir = this.#dir
    this.#env.after(this.config['file.delete.delay.ms'], () => {
      if (!this.#offline && this.#dir === dir) this.attempt(remove)
    })
  }

  // ── failing ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Does what may fail; a DiskError takes the log offline and goes on to the caller. */
  attempt<T>(act: () => T): T {
    try {
      return act()
    } catch (error) {
      throw this.failed(error)
    }
  }

  /** Notes a DiskError on its way to the caller. */
  failed(error: unknown): unknown {
    if (error instanceof DiskError) this.goOffline(error)
    return error
  }

  goOffline(error: DiskError): void {
    if (this.#offline) return
    this.#offline = true
    this.#onOffline(error)
  }
}
