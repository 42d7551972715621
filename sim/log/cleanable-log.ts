/**
 * A log as its cleaner sees it: the segments that are closed, what of the producers must stay, and the swap.
 *
 * `replace` puts one cleaned segment in the place of several old ones, in an order that survives a crash anywhere in it:
 *
 *     1  the cleaned files are on disk under `.cleaned`            crash: they are thrown away
 *     2  `.cleaned` → `.swap`, the log first                       crash: thrown away while any `.cleaned` is left
 *     3  the old files → `.deleted`, removed after a while         crash: `.swap` is whole, the loader ends the swap
 *     4  `.swap` → the names of the segment
 *
 * Readers see the old segments before it and the new one after it; offsets and their order are the same. Source:
 * LocalLog.replaceSegments, UnifiedLog.lastRecordsOfActiveProducers.
 */

import type { Env } from '../kernel/env.js'
import type { Bytes, Millis, Offset } from '../kernel/units.js'
import type { RecordBatch, Records } from '../wire/record-batch.js'
import type { LocalLog } from './local-log.js'
import type { LogConfig } from './log-config.js'
import type { LogSegment } from './log-segment.js'
import type { ProducerStateManager } from './producer-state-manager.js'
import type { AbortedTxn } from './transaction-index.js'

/** What the log itself says. */
export interface LogBounds {
  readonly partition: string
  readonly config: LogConfig
  readonly isOffline: boolean
  readonly logStartOffset: Offset
  readonly logEndOffset: Offset
  readonly lastStableOffset: Offset
}

/** What of an active producer must stay in the log: its last batch, or the marker that has its epoch. */
export interface LastRecord {
  readonly lastDataOffset: Offset | undefined
  readonly producerEpoch: number
}

/** What a cleaning did to the segments of [from, to). */
export interface CleanedRange {
  readonly from: Offset
  readonly to: Offset
  /** First offset that this round of cleaning may not touch. */
  readonly bound: Offset
  readonly bytesBefore: Bytes
  /** Wall time that the cleaning goes by: that of its beginning. */
  readonly wallMs: Millis
  /** All that the cleaned segment holds. */
  readonly batches: Records
}

export class CleanableLog {
  readonly bounds: LogBounds
  readonly #env: Env
  readonly #local: LocalLog
  readonly #producers: ProducerStateManager

  constructor(env: Env, bounds: LogBounds, local: LocalLog, producers: ProducerStateManager) {
    this.#env = env
    this.bounds = bounds
    this.#local = local
    this.#producers = producers
  }

  get partition(): string {
    return this.bounds.partition
  }

  get config(): LogConfig {
    return this.bounds.config
  }

  get activeSegment(): LogSegment {
    return this.#local.segments.active
  }

  get segmentCount(): number {
    return this.#local.segments.size
  }

  /** The segments that hold offsets of [from, to). */
  segments(from: Offset, to: Offset): readonly LogSegment[] {
    return this.#local.segments.between(from, to)
  }

  /** The closed segments from the one that holds `from` on. */
  closedSegmentsFrom(from: Offset): readonly LogSegment[] {
    return this.#local.segments.between(from, this.activeSegment.baseOffset)
  }

  abortedTransactions(from: Offset, upTo: Offset): AbortedTxn[] {
    return this.#local.collectAbortedTransactions(from, upTo)
  }

  /** By producer id. */
  lastRecordsOfActiveProducers(): ReadonlyMap<number, LastRecord> {
    const found = new Map<number, LastRecord>()
    for (const [producerId, entry] of this.#producers.producers) {
      const lastDataOffset = entry.lastDataOffset >= 0 ? entry.lastDataOffset : undefined
      found.set(producerId, { lastDataOffset, producerEpoch: entry.producerEpoch })
    }
    return found
  }

  /** A new segment under `.cleaned`; leftovers of its name go. @throws DiskError */
  createCleaned(baseOffset: Offset): LogSegment {
    return this.#local.attempt(() => this.#local.createCleaned(baseOffset))
  }

  append(cleaned: LogSegment, batch: RecordBatch): void {
    this.#local.attempt(() => cleaned.append(batch))
  }

  /** Swaps `cleaned`, which is on disk, for `old`; snapshots of segments that are no more go. @throws DiskError */
  replace(cleaned: LogSegment, old: readonly LogSegment[], range: CleanedRange): void {
    this.#local.attempt(() => {
      const gone = this.#local.replaceSegments(cleaned, old)
      this.#local.removeSnapshots(
        gone.filter((segment) => segment.baseOffset !== cleaned.baseOffset),
        this.#producers,
      )
    })
    const { from, to, bound, bytesBefore, wallMs, batches } = range
    const { partition } = this
    const bytesAfter = cleaned.size
    this.#env.emit('log.cleaned', { partition, from, to, bound, bytesBefore, bytesAfter, wallMs, batches })
  }

  /** Notes a DiskError on its way. */
  failed(error: unknown): unknown {
    return this.#local.failed(error)
  }
}
