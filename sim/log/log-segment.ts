/**
 * One segment: a `.log` of record batches with its three indexes, all named by its base offset.
 *
 * Appending adds an entry to the offset index (last offset of the batch, position before it) and to the time index once
 * more than `index.interval.bytes` came since the last entry. Reading looks an offset up in the index and goes on batch
 * by batch; where batches begin is kept in memory, so that this costs a binary search and no look at the bytes. The
 * bytes themselves always come from the disk: what is torn or rotten there is found by whoever reads it.
 *
 * Never crosses into another segment. Source: Kafka's LogSegment, FileRecords.
 */

import type { DiskError, DiskFile, Env, Slice } from '../kernel/env.js'
import { LONG_MAX, type Bytes, type Millis, type Offset } from '../kernel/units.js'
import { Errors, type ErrorCode } from '../wire/errors.js'
import { RecordBatch, type Records } from '../wire/record-batch.js'
import { scanBatches } from './batch-scan.js'
import { maxSegmentMs, segmentBytes, type LogConfig } from './log-config.js'
import {
  DELETED_SUFFIX,
  INDEX_SUFFIX,
  LOG_SUFFIX,
  segmentPath,
  TIME_INDEX_SUFFIX,
  TXN_INDEX_SUFFIX,
} from './log-files.js'
import { OffsetIndex } from './offset-index.js'
import { TimeIndex, type TimestampOffset } from './time-index.js'
import { TransactionIndex } from './transaction-index.js'

/** What a read found. */
export interface ReadFound {
  readonly error: 0
  /** Whole batches; where the disk has kept them, the very objects that were appended. */
  readonly batches: Records
  readonly sizeInBytes: Bytes
  /** The first batch is larger than what was asked for, and was not forced. */
  readonly firstEntryIncomplete: boolean
}

/** There is no batch where one should begin. */
export interface CorruptPosition {
  readonly error: ErrorCode
  readonly offset: Offset
  readonly position: Bytes
}

export const NOTHING_READ: ReadFound = { error: 0, batches: [], sizeInBytes: 0, firstEntryIncomplete: false }
const TOO_LARGE: ReadFound = { error: 0, batches: [], sizeInBytes: 0, firstEntryIncomplete: true }

/** A record's timestamp and offset, and the leader epoch of its batch (-1 none). */
export interface TimestampedOffset extends TimestampOffset {
  readonly leaderEpoch: number
}

export class LogSegment {
  readonly baseOffset: Offset
  readonly offsetIndex: OffsetIndex
  readonly timeIndex: TimeIndex
  readonly txnIndex: TransactionIndex
  readonly #env: Env
  readonly #file: DiskFile
  #path: string
  readonly #indexIntervalBytes: Bytes
  readonly #rollJitterMs: Millis
  /** Parallel, one for each batch: its last offset, and the position where it begins. */
  readonly #lastOffsets: number[] = []
  readonly #positions: number[] = []
  /** Slots at whose position there is no batch: rot, or a torn end that a clean start did not look for. */
  #gaps: number[] = []
  /** False until the batches of an existing file have been walked once. */
  #walked: boolean
  #bytesSinceIndexEntry = 0
  /** Undefined until it is read from the time index. */
  #maxTimestamp: TimestampOffset | undefined
  /** maxTimestamp of the first batch; undefined while there is none. */
  #firstTimestamp: Millis | undefined
  #createdMs: Millis
  #lastModifiedMs: Millis
  #removed = false

  /** Opens the segment's files, creating those that are missing. @throws DiskError */
  constructor(env: Env, dir: string, baseOffset: Offset, config: LogConfig, rollJitterMs: Millis = 0, suffix = '') {
    const { disk } = env
    this.#env = env
    this.baseOffset = baseOffset
    this.#path = segmentPath(dir, baseOffset, LOG_SUFFIX + suffix)
    this.#file = disk.open(this.#path)
    const indexBytes = config['segment.index.bytes']
    this.offsetIndex = new OffsetIndex(
      disk,
      segmentPath(dir, baseOffset, INDEX_SUFFIX + suffix),
      baseOffset,
      indexBytes,
    )
    this.timeIndex = new TimeIndex(
      disk,
      segmentPath(dir, baseOffset, TIME_INDEX_SUFFIX + suffix),
      baseOffset,
      indexBytes,
    )
    this.txnIndex = new TransactionIndex(disk, segmentPath(dir, baseOffset, TXN_INDEX_SUFFIX + suffix))
    this.#indexIntervalBytes = config['index.interval.bytes']
    this.#rollJitterMs = rollJitterMs
    this.#walked = this.#file.size === 0
    this.#createdMs = env.clock.wallMs()
    this.#lastModifiedMs = this.#createdMs
  }

  get size(): Bytes {
    return this.#file.size
  }

  /** Its files are gone, or wait under `.deleted` to be removed. */
  get removed(): boolean {
    return this.#removed
  }

  /** The greatest timestamp and the last offset of its batch; timestamp -1 when there is none. */
  get maxTimestamp(): TimestampOffset {
    return (this.#maxTimestamp ??= this.timeIndex.lastEntry)
  }

  /** The greatest timestamp; when the records have none, the time of the last append. */
  get largestTimestamp(): Millis {
    const { timestamp } = this.maxTimestamp
    return timestamp >= 0 ? timestamp : this.#lastModifiedMs
  }

  /** True when `messagesSize` bytes up to `lastOffset` belong into another segment. */
  shouldRoll(config: LogConfig, messagesSize: Bytes, maxTimestamp: Millis, lastOffset: Offset, nowMs: Millis): boolean {
    const size = this.#file.size
    return (
      size > segmentBytes(config) - messagesSize ||
      (size > 0 && this.timeWaitedForRoll(nowMs, maxTimestamp) > maxSegmentMs(config) - this.#rollJitterMs) ||
      this.offsetIndex.isFull ||
      this.timeIndex.isFull ||
      !this.offsetIndex.canAppend(lastOffset)
    )
  }

  /** By the timestamps of the first batch and of the one to come; by the broker's clock when batches have none. */
  timeWaitedForRoll(nowMs: Millis, maxTimestamp: Millis): Millis {
    const first = this.#readFirstTimestamp() ?? -1
    return first >= 0 ? maxTimestamp - first : nowMs - this.#createdMs
  }

  /** maxTimestamp of the first batch; LONG_MAX when that has none, or there is no batch. */
  get firstBatchTimestamp(): Millis {
    const first = this.#readFirstTimestamp() ?? -1
    return first >= 0 ? first : LONG_MAX
  }

  /** Wall time of the last append; compaction hands it on. */
  get lastModifiedMs(): Millis {
    return this.#lastModifiedMs
  }

  set lastModifiedMs(wallMs: Millis) {
    this.#lastModifiedMs = wallMs
  }

  #readFirstTimestamp(): Millis | undefined {
    if (this.#firstTimestamp === undefined && this.#file.size > 0) {
      scanBatches(this.#file, 0, this.#file.size, (batch) => {
        this.#firstTimestamp = batch.maxTimestamp
        return false
      })
    }
    return this.#firstTimestamp
  }

  /** False when the next batch wants an index entry for which there is no room. */
  get hasIndexRoom(): boolean {
    if (this.#bytesSinceIndexEntry <= this.#indexIntervalBytes) return true
    return !this.offsetIndex.isFull && !this.timeIndex.isFull
  }

  /** @throws DiskError */
  append(batch: RecordBatch): void {
    this.#walk()
    const position = this.#file.size
    this.#file.append(batch)
    const lastOffset = batch.lastOffset
    if (position === 0) this.#firstTimestamp = batch.maxTimestamp
    if (batch.maxTimestamp > this.maxTimestamp.timestamp) {
      this.#maxTimestamp = { timestamp: batch.maxTimestamp, offset: lastOffset }
    }
    if (this.#bytesSinceIndexEntry > this.#indexIntervalBytes) {
      this.offsetIndex.append(lastOffset, position)
      this.timeIndex.maybeAppend(this.maxTimestamp.timestamp, this.maxTimestamp.offset)
      this.#bytesSinceIndexEntry = 0
    }
    this.#bytesSinceIndexEntry += batch.sizeInBytes
    this.#lastOffsets.push(lastOffset)
    this.#positions.push(position)
    this.#lastModifiedMs = this.#env.clock.wallMs()
  }

  // ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Whole batches from the one that holds `from` (or the next one after it), of at most `maxBytes`, all below `upTo`.
   * With `minOneBatch` the first may be larger. Undefined when the segment ends before `from`. @throws DiskError
   */
  read(from: Offset, maxBytes: Bytes, upTo: Offset, minOneBatch: boolean): ReadFound | CorruptPosition | undefined {
    this.#walk()
    const indexed = this.offsetIndex.lookup(from)
    const begin = indexed === 0 ? 0 : this.#slotAt(indexed)
    const first = this.#firstAtOrAbove(from, begin)
    if (first === this.#lastOffsets.length) return undefined
    // An index that points between batches is rotten: Kafka would take what is there for a header.
    if (this.#positions[begin] !== indexed) return { error: Errors.CORRUPT_MESSAGE, offset: from, position: indexed }
    const gap = this.#gaps.length === 0 ? undefined : this.#gaps.find((slot) => slot >= begin && slot <= first)
    if (gap !== undefined) {
      const position = this.#positions[gap] as number
      return { error: Errors.CORRUPT_MESSAGE, offset: this.#offsetBefore(gap), position }
    }
    const start = this.#positions[first] as number
    const bound = this.#firstAtOrAbove(upTo, first)
    if (bound === first) return NOTHING_READ
    let end = this.#slotWithin(start + maxBytes, first, bound)
    if (end === first) {
      if (!minOneBatch) return TOO_LARGE
      end = first + 1
    }
    const size = this.#endOf(end - 1) - start
    const slices = this.#file.read(start, size)
    for (let i = 0; i < slices.length; i++) {
      if (!(slices[i] instanceof RecordBatch)) return this.#parse(first, end)
    }
    return { error: 0, batches: slices as readonly Slice[] as Records, sizeInBytes: size, firstEntryIncomplete: false }
  }

  /** Where the batch begins that holds `offset`, or the next one after it; undefined when the segment ends before. */
  positionOf(offset: Offset): Bytes | undefined {
    return this.#positions[this.#slotOf(offset)]
  }

  /** Base offset of the batch at `position`. */
  baseOffsetAt(position: Bytes): Offset | undefined {
    let found: Offset | undefined
    scanBatches(this.#file, position, this.#file.size, (batch) => {
      found = batch.baseOffset
      return false
    })
    return found
  }

  /**
   * Calls `visit` with the batches from the one that holds `from` until `position` (the segment's end when left out).
   */
  forEachBatch(from: Offset, visit: (batch: RecordBatch) => boolean, position: Bytes = this.size): void {
    const start = this.positionOf(from)
    if (start !== undefined && start < position) scanBatches(this.#file, start, position, visit)
  }

  /**
   * The batches that begin at `position` and end within `maxBytes`, but one at least; and where the next one begins.
   * None when there is no batch at `position`. @throws DiskError
   */
  batchesAt(position: Bytes, maxBytes: Bytes): { readonly batches: Records; readonly next: Bytes } {
    this.#walk()
    const first = this.#slotAt(position)
    const end = Math.max(this.#slotWithin(position + maxBytes, first, this.#positions.length), first + 1)
    const batches: RecordBatch[] = []
    const scan = scanBatches(this.#file, position, this.#endOf(end - 1), (batch) => {
      batches.push(batch)
      return true
    })
    return { batches, next: scan.position }
  }

  /** The offset after the last batch that can be read; the base offset when there is none. */
  readNextOffset(): Offset {
    this.#walk()
    const last = this.#lastOffsets[this.#lastOffsets.length - 1]
    return last === undefined ? this.baseOffset : last + 1
  }

  /** An upper bound of what a read of `size` bytes at `from` holds, by the index; undefined when the index has none. */
  upperBoundOffset(from: Offset, size: Bytes): Offset | undefined {
    const start = this.positionOf(from)
    return start === undefined ? undefined : this.offsetIndex.upperBound(start + size)
  }

  /** The first record at or after `from` whose timestamp is at least `timestamp`. */
  findByTimestamp(timestamp: Millis, from: Offset): TimestampedOffset | undefined {
    const start = this.offsetIndex.lookup(Math.max(this.timeIndex.lookup(timestamp).offset, from))
    let found: TimestampedOffset | undefined
    scanBatches(this.#file, start, this.#file.size, (batch) => {
      if (batch.maxTimestamp < timestamp) return true
      for (const record of batch.records()) {
        const offset = batch.baseOffset + record.offsetDelta
        if (record.timestamp < timestamp || offset < from) continue
        found = { timestamp: record.timestamp, offset, leaderEpoch: batch.partitionLeaderEpoch }
        return false
      }
      return true
    })
    return found
  }

  /** The first record with the segment's greatest timestamp. */
  findMaxTimestamp(): TimestampedOffset | undefined {
    const { timestamp, offset } = this.maxTimestamp
    let found: TimestampedOffset | undefined
    scanBatches(this.#file, this.offsetIndex.lookup(offset), this.#file.size, (batch) => {
      if (batch.maxTimestamp !== timestamp) return true
      const record = batch.records().find((candidate) => candidate.timestamp === timestamp)
      if (record !== undefined) {
        found = { timestamp, offset: batch.baseOffset + record.offsetDelta, leaderEpoch: batch.partitionLeaderEpoch }
      }
      return false
    })
    return found
  }

  // ── changing ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Cuts the log before the batch that holds `offset`; returns the position of the cut, or undefined without one. */
  truncateTo(offset: Offset): Bytes | undefined {
    const slot = this.#slotOf(offset)
    const position = this.#positions[slot]
    this.offsetIndex.truncateTo(offset)
    this.timeIndex.truncateTo(offset)
    this.txnIndex.truncateTo(offset)
    if (position !== undefined) this.#cut(slot, position)
    this.#bytesSinceIndexEntry = 0
    if (this.maxTimestamp.timestamp >= 0) this.#maxTimestamp = this.#readLargestTimestamp()
    return position
  }

  /** Begins anew: empties the indexes before a recovery. */
  resetIndexes(): void {
    this.offsetIndex.reset()
    this.timeIndex.reset()
    this.txnIndex.reset()
    this.#maxTimestamp = undefined
    this.#lastOffsets.length = 0
    this.#positions.length = 0
    this.#gaps = []
    this.#walked = true
  }

  /** Takes a batch that recovery found whole at `position`; false when it is out of order. */
  recoverBatch(batch: RecordBatch, position: Bytes, lastIndexed: Bytes): 'ok' | 'indexed' | 'out-of-order' {
    const lastOffset = batch.lastOffset
    if (position === 0) this.#firstTimestamp = batch.maxTimestamp
    if (batch.maxTimestamp > this.maxTimestamp.timestamp) {
      this.#maxTimestamp = { timestamp: batch.maxTimestamp, offset: lastOffset }
    }
    this.#lastOffsets.push(lastOffset)
    this.#positions.push(position)
    if (position - lastIndexed <= this.#indexIntervalBytes) return 'ok'
    if (!this.offsetIndex.append(lastOffset, position)) return 'out-of-order'
    this.timeIndex.maybeAppend(this.maxTimestamp.timestamp, this.maxTimestamp.offset)
    return 'indexed'
  }

  /** Cuts what recovery could not read, and completes the time index. */
  finishRecovery(validBytes: Bytes): void {
    if (validBytes < this.#file.size) this.#file.truncate(validBytes)
    this.timeIndex.maybeAppend(this.maxTimestamp.timestamp, this.maxTimestamp.offset, true)
  }

  /** The walk through the file for recovery. */
  scan(visit: (batch: RecordBatch, position: Bytes) => boolean): ReturnType<typeof scanBatches> {
    return scanBatches(this.#file, 0, this.#file.size, visit)
  }

  /** Another segment takes its place as the active one, or the log is closed. */
  close(): void {
    if (this.#maxTimestamp === undefined) return
    this.timeIndex.maybeAppend(this.#maxTimestamp.timestamp, this.#maxTimestamp.offset, true)
  }

  /** Another segment becomes the active one. */
  onBecomeInactive(): void {
    this.timeIndex.maybeAppend(this.maxTimestamp.timestamp, this.maxTimestamp.offset, true)
  }

  /** fsyncs the log, then its indexes, one after the other. */
  sync(done: (error?: DiskError) => void): void {
    const indexes = [this.offsetIndex, this.timeIndex, this.txnIndex]
    const next = (error?: DiskError): void => {
      const index = this.#removed || error !== undefined ? undefined : indexes.shift()
      if (index === undefined) done(error)
      else index.sync(next)
    }
    if (this.#removed) done()
    else this.#file.sync(next)
  }

  /** Renames its files by another suffix, the log first: '' to `.deleted`, `.cleaned` to `.swap`, `.swap` to ''. */
  changeSuffix(from: string, to: string): void {
    const renamed = (path: string): string => (from === '' ? path : path.slice(0, path.length - from.length)) + to
    const { disk } = this.#env
    disk.rename(this.#path, renamed(this.#path))
    this.#path = renamed(this.#path)
    this.offsetIndex.rename(renamed(this.offsetIndex.path))
    this.timeIndex.rename(renamed(this.timeIndex.path))
    this.txnIndex.rename(renamed(this.txnIndex.path))
    if (to === DELETED_SUFFIX) this.#removed = true
  }

  /** Removes its files from the disk, whatever they are called now. */
  remove(): void {
    this.#removed = true
    const { disk } = this.#env
    if (disk.exists(this.#path)) disk.remove(this.#path)
    this.offsetIndex.remove()
    this.timeIndex.remove()
    this.txnIndex.remove()
  }

  // ── batches ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The slot of the first batch, from the index entry for `offset` on, that ends at or after it. */
  #slotOf(offset: Offset): number {
    this.#walk()
    const position = this.offsetIndex.lookup(offset)
    return this.#firstAtOrAbove(offset, position === 0 ? 0 : this.#slotAt(position))
  }

  /** The first slot ≥ `from` whose batch ends at or after `offset`. */
  #firstAtOrAbove(offset: Offset, from: number): number {
    const offsets = this.#lastOffsets
    let high = offsets.length
    if (high === 0 || (offsets[high - 1] as number) < offset) return high
    let low = from
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((offsets[middle] as number) < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The slot of the batch that begins at `position`, or of the first after it. */
  #slotAt(position: Bytes): number {
    const positions = this.#positions
    let low = 0
    let high = positions.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((positions[middle] as number) < position) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The end (exclusive) of the batches in [first, bound) that end at or before `limit`. */
  #slotWithin(limit: Bytes, first: number, bound: number): number {
    if (this.#endOf(bound - 1) <= limit) return bound
    let low = first
    let high = bound - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#endOf(middle) <= limit) low = middle + 1
      else high = middle
    }
    return low
  }

  #endOf(slot: number): Bytes {
    return this.#positions[slot + 1] ?? this.#file.size
  }

  /** Batches [first, end), some of which are bytes: up to the first that does not parse. */
  #parse(first: number, end: number): ReadFound | CorruptPosition {
    const start = this.#positions[first] as number
    const batches: RecordBatch[] = []
    let slot = first
    scanBatches(this.#file, start, this.#endOf(end - 1), (batch, position) => {
      if (position !== this.#positions[slot] || position + batch.sizeInBytes !== this.#endOf(slot)) return false
      batches.push(batch)
      slot++
      return true
    })
    if (slot === first) return { error: Errors.CORRUPT_MESSAGE, offset: this.#offsetBefore(first), position: start }
    return { error: 0, batches, sizeInBytes: this.#endOf(slot - 1) - start, firstEntryIncomplete: false }
  }

  /** The first offset of the batch in `slot`, by the one before it. */
  #offsetBefore(slot: number): Offset {
    return slot === 0 ? this.baseOffset : (this.#lastOffsets[slot - 1] as number) + 1
  }

  #cut(slot: number, position: Bytes): void {
    this.#file.truncate(position)
    this.#lastOffsets.length = slot
    this.#positions.length = slot
    this.#gaps = this.#gaps.filter((gap) => gap < slot)
    if (position > 0) return
    this.#createdMs = this.#env.clock.wallMs()
    this.#firstTimestamp = undefined
  }

  #readLargestTimestamp(): TimestampOffset {
    let largest = this.timeIndex.lastEntry
    const start = this.offsetIndex.lookup(largest.offset)
    scanBatches(this.#file, start, this.#file.size, (batch) => {
      if (batch.maxTimestamp > largest.timestamp) largest = { timestamp: batch.maxTimestamp, offset: batch.lastOffset }
      return true
    })
    return largest
  }

  /**
   * Learns where the batches of an existing file begin. What does not parse is passed over to the next entry of the
   * offset index, as a reader that comes by the index never sees it; without a next entry the segment ends there.
   */
  #walk(): void {
    if (this.#walked) return
    this.#walked = true
    const size = this.#file.size
    for (let position = 0; position < size;) {
      const scan = scanBatches(this.#file, position, size, (batch, at) => {
        this.#lastOffsets.push(batch.lastOffset)
        this.#positions.push(at)
        return true
      })
      if (scan.end === 'end') return
      const next = this.offsetIndex.positionAfter(scan.position)
      const resumed = next === undefined || next >= size ? undefined : this.baseOffsetAt(next)
      const slot = this.#lastOffsets.length
      this.#gaps.push(slot)
      this.#lastOffsets.push((resumed ?? this.#offsetBefore(slot)) - 1)
      this.#positions.push(scan.position)
      if (resumed === undefined) return
      position = next as Bytes
    }
  }
}
