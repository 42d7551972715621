/**
 * One cleaning of one log: Kafka's Cleaner.
 *
 *     1  The offset map: keys of the dirty part, each with its last offset, until the map is full. Records of aborted
 *        transactions are left out. Where it stops, the cleaning ends.
 *     2  The segments from the log's beginning to there are taken in groups, each no larger than one segment may be.
 *     3  Each group is copied into one new segment under `.cleaned`, without
 *          - records below a later one of the same key, and records without a key
 *          - tombstones whose delete horizon has passed
 *          - records of aborted transactions, and markers of transactions that have no records left, once their horizon
 *            has passed
 *        but always with the last batch of each active producer and the last batch of the round, empty if need be.
 *     4  The new segment is synced and swapped in (cleanable-log.ts).
 *
 * Nothing at or above the first uncleanable offset is read or touched; what is kept keeps its offset.
 *
 * A cleaning is a sequence of steps: each thing that takes time is yielded, and done by whoever drives it. It may end at any
 * of them: `return` throws what was written away; dropped (the process dies) it leaves `.cleaned` files, which the
 * loader removes. Source: Cleaner, KIP-98, KIP-534.
 */

import type { Bytes, Millis, Offset } from '../kernel/units.js'
import type { Record, RecordBatch } from '../wire/record-batch.js'
import { filterBatch, type BatchFilter, type BatchRule } from './batch-filter.js'
import { CleanedTransactions } from './cleaned-transactions.js'
import type { CleanableLog, LastRecord } from './cleanable-log.js'
import { groupSegments } from './group-segments.js'
import { segmentBytes } from './log-config.js'
import type { LogSegment } from './log-segment.js'
import type { LogToClean } from './log-to-clean.js'
import type { OffsetMap } from './offset-map.js'

/** What takes time: bytes to move from or to the disk, or a segment to sync. */
export type CleanerStep = { readonly bytes: Bytes } | { readonly sync: LogSegment }

/** The steps of a cleaning. It gives the offset up to which the log is clean. */
export type Cleaning = Generator<CleanerStep, Offset, void>

/** The log can not be cleaned, whatever is tried. */
export class Uncleanable extends Error {}

/** There is something in the log that is no record batch. */
export class UnreadableLog extends Uncleanable {
  constructor(segment: LogSegment, position: Bytes) {
    super(`no record batch at position ${position} of segment ${segment.baseOffset}`)
    this.name = 'UnreadableLog'
  }
}

/** Segments that were to become one have more index entries together than they had each: `segment.index.bytes` is too small. */
export class FullIndex extends Uncleanable {
  constructor(segment: LogSegment) {
    super(`the index of the cleaned segment ${segment.baseOffset} is full`)
    this.name = 'FullIndex'
  }
}

export interface CleanerOptions {
  readonly map: OffsetMap
  /** Most that is read in one step. */
  readonly bufferBytes: Bytes
  /** Share of the map that may be filled. */
  readonly loadFactor: number
}

/** What one round goes by. */
interface Round {
  readonly log: CleanableLog
  readonly nowMs: Millis
  readonly bound: Offset
  readonly transactions: CleanedTransactions
}

export class Cleaner {
  readonly #options: CleanerOptions

  constructor(options: CleanerOptions) {
    this.#options = options
  }

  /** @throws by its steps: DiskError, MalformedBytes, Uncleanable */
  *clean({ log, firstDirty, firstUncleanable }: LogToClean, nowMs: Millis): Cleaning {
    yield* this.#fillMap(log, firstDirty, firstUncleanable)
    const end = this.#options.map.latestOffset + 1
    const round: Round = { log, nowMs, bound: firstUncleanable, transactions: new CleanedTransactions() }
    const { config } = log
    const indexBytes = config['segment.index.bytes']
    for (const group of groupSegments(log.segments(0, end), segmentBytes(config), indexBytes, firstUncleanable)) {
      yield* this.#cleanGroup(round, group)
    }
    return end
  }

  // ── the offset map ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Until the map is full, or everything in [start, end) is in it. */
  *#fillMap(log: CleanableLog, start: Offset, end: Offset): Generator<CleanerStep, void, void> {
    const { map } = this.#options
    map.clear()
    const dirty = log.segments(start, end)
    const transactions = new CleanedTransactions()
    transactions.addAborted(log.abortedTransactions(start, end))
    for (const [index, segment] of dirty.entries()) {
      const nextStart = dirty[index + 1]?.baseOffset ?? end
      const full = yield* this.#mapSegment(segment, start, transactions)
      if (full) return
      // Offsets may be missing at its end.
      map.latestOffset = nextStart - 1
    }
  }

  *#mapSegment(
    segment: LogSegment,
    start: Offset,
    transactions: CleanedTransactions,
  ): Generator<CleanerStep, boolean, void> {
    let position = segment.offsetIndex.lookup(start)
    while (position < segment.size) {
      const { batches, next } = this.#read(segment, position)
      yield { bytes: next - position }
      for (const batch of batches) if (this.#mapBatch(batch, start, transactions)) return true
      position = next
    }
    return false
  }

  /** True when the map is full. */
  #mapBatch(batch: RecordBatch, start: Offset, transactions: CleanedTransactions): boolean {
    const { map, loadFactor } = this.#options
    const discarded = transactions.met(batch)
    if (!batch.isControl && !discarded) {
      for (const { key, offsetDelta } of batch.records()) {
        const offset = batch.baseOffset + offsetDelta
        if (key === null || offset < start) continue
        if (map.size >= Math.floor(map.slots * loadFactor)) return true
        map.put(key, offset)
      }
    }
    if (batch.lastOffset >= start) map.latestOffset = batch.lastOffset
    return false
  }

  // ── one group of segments ─────────────────────────────────────────────────────────────────────────────────────────

  *#cleanGroup(round: Round, group: readonly LogSegment[]): Generator<CleanerStep, void, void> {
    const { log, bound } = round
    const first = group[0] as LogSegment
    const last = group[group.length - 1] as LogSegment
    const cleaned = log.createCleaned(first.baseOffset)
    const batches: RecordBatch[] = []
    let isOver = false
    try {
      round.transactions.cleanedIndex = cleaned.txnIndex
      const filter = this.#filter(round)
      for (const [index, segment] of group.entries()) {
        const upTo = group[index + 1]?.baseOffset ?? segment.readNextOffset()
        round.transactions.addAborted(log.abortedTransactions(segment.baseOffset, upTo))
        yield* this.#copy(log, segment, cleaned, filter, batches)
      }
      cleaned.onBecomeInactive()
      yield { sync: cleaned }
      cleaned.lastModifiedMs = last.lastModifiedMs
      const bytesBefore = group.reduce((sum, segment) => sum + segment.size, 0)
      isOver = true
      const [from, to] = [first.baseOffset, last.readNextOffset()]
      log.replace(cleaned, group, { from, to, bound, bytesBefore, wallMs: round.nowMs, batches })
    } catch (error) {
      isOver = true
      throw log.failed(error)
    } finally {
      if (!isOver) cleaned.remove()
    }
    // The folder is synced, with that the names.
    yield { sync: cleaned }
  }

  *#copy(
    log: CleanableLog,
    segment: LogSegment,
    cleaned: LogSegment,
    filter: BatchFilter,
    into: RecordBatch[],
  ): Generator<CleanerStep, void, void> {
    for (let position = 0; position < segment.size;) {
      const { batches, next } = this.#read(segment, position)
      yield { bytes: next - position }
      const kept: RecordBatch[] = []
      let bytes = 0
      for (const batch of batches) {
        const left = filterBatch(batch, filter)
        if (left === undefined) continue
        kept.push(left)
        bytes += left.sizeInBytes
      }
      if (bytes > 0) yield { bytes }
      for (const batch of kept) {
        if (!cleaned.hasIndexRoom) throw new FullIndex(cleaned)
        log.append(cleaned, batch)
        into.push(batch)
      }
      position = next
    }
  }

  #filter({ log, nowMs, bound, transactions }: Round): BatchFilter {
    const { map } = this.#options
    const lastRecords = log.lastRecordsOfActiveProducers()
    /** Of the batch at hand: all its records go. */
    let discards = false
    return {
      nowMs,
      deleteRetentionMs: log.config['delete.retention.ms'],
      ruleOf: (batch): BatchRule => {
        const mayGo = transactions.met(batch)
        discards = mayGo && (!batch.isControl || (batch.deleteHorizonMs ?? Infinity) <= nowMs)
        const mustStay = isLastOfProducer(batch, lastRecords.get(batch.producerId)) || batch.nextOffset === bound
        const retention = mustStay ? 'retain-empty' : discards ? 'delete' : 'delete-empty'
        return { retention, marksEmptyTransaction: mayGo && batch.isControl }
      },
      keeps: (batch, record) => {
        if (discards) return false
        return batch.isControl || keepsRecord(map, batch, record, nowMs)
      },
    }
  }

  /** The next batches of a segment. */
  #read(segment: LogSegment, position: Bytes): ReturnType<LogSegment['batchesAt']> {
    const found = segment.batchesAt(position, this.#options.bufferBytes)
    if (found.batches.length === 0) throw new UnreadableLog(segment, position)
    return found
  }
}

function isLastOfProducer(batch: RecordBatch, last: LastRecord | undefined): boolean {
  if (last === undefined || !batch.hasProducerId) return false
  if (last.lastDataOffset !== undefined) return batch.lastOffset === last.lastDataOffset
  return batch.isControl && batch.producerEpoch === last.producerEpoch
}

function keepsRecord(map: OffsetMap, batch: RecordBatch, record: Record, nowMs: Millis): boolean {
  const offset = batch.baseOffset + record.offsetDelta
  if (offset > map.latestOffset) return true
  if (record.key === null || offset < map.get(record.key)) return false
  return record.value !== null || batch.deleteHorizonMs === undefined || nowMs < batch.deleteHorizonMs
}
