/**
 * Which logs are being cleaned, which may be, and up to where each one is clean.
 *
 *     none ──grab──→ in progress ──done──→ none
 *     none ──pause──→ paused(1) ⇄ paused(n) ──resume──→ none
 *     in progress ──pause──→ paused(1)      the cleaning is dropped at once
 *
 * Kafka's aborted state lies between the last two, for as long as the cleaner's thread takes to notice. `pause` comes before a
 * truncation or a deletion; every pause needs its resume. A log whose cleaning failed is uncleanable until the broker is
 * started again. Where a cleaning ended stands in `cleaner-offset-checkpoint`; it is written when a cleaning ends, when what
 * it says is out of the log, and when a log goes. Source: LogCleanerManager.
 */

import type { DiskError, Env } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import type { Millis, Offset } from '../kernel/units.js'
import { OffsetCheckpoint } from './checkpoint-file.js'
import type { CleanableLog } from './cleanable-log.js'
import { isCompacted } from './log-config.js'
import { CLEANER_OFFSET_FILE } from './log-files.js'
import { cleanableOffsets, logToClean, type LogToClean } from './log-to-clean.js'
import type { PartitionLog } from './partition-log.js'

/** `in-progress`, or how often it was paused. */
export type CleaningState = 'in-progress' | number

export class LogCleanerManager {
  readonly #env: Env
  readonly #logs: ReadonlyMap<string, PartitionLog>
  readonly #file: OffsetCheckpoint
  readonly #onDiskError: (error: DiskError) => void
  readonly #states = new Map<string, CleaningState>()
  readonly #uncleanable = new Set<string>()
  #checkpoints: ReadonlyMap<string, Offset>

  /** @throws DiskError */
  constructor(env: Env, logs: ReadonlyMap<string, PartitionLog>, onDiskError: (error: DiskError) => void) {
    this.#env = env
    this.#logs = logs
    this.#onDiskError = onDiskError
    this.#file = new OffsetCheckpoint(env.disk, CLEANER_OFFSET_FILE)
    // As with the other checkpoints: one that can't be read counts for nothing.
    this.#checkpoints = this.#file.read() ?? new Map<string, Offset>()
  }

  /** By partition, in the file's order. */
  get checkpoints(): ReadonlyMap<string, Offset> {
    return this.#checkpoints
  }

  get uncleanable(): ReadonlySet<string> {
    return this.#uncleanable
  }

  stateOf(partition: string): CleaningState | undefined {
    return this.#states.get(partition)
  }

  /** Some log's policy is to be compacted. */
  get hasCompacted(): boolean {
    for (const log of this.#logs.values()) if (isCompacted(log.config)) return true
    return false
  }

  // ── choosing ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The log with the greatest dirty share among those that are due; it is in progress from now on. @throws DiskError */
  grabFilthiest(nowMs: Millis): LogToClean | undefined {
    let filthiest: LogToClean | undefined
    for (const log of this.#free()) {
      const found = this.#judge(log.cleanable, nowMs)
      if (found === undefined) continue
      const isDue =
        (found.isOverdue && found.cleanableBytes > 0) || found.ratio > log.config['min.cleanable.dirty.ratio']
      if (isDue && (filthiest === undefined || found.ratio > filthiest.ratio)) filthiest = found
    }
    if (filthiest !== undefined) this.#states.set(filthiest.log.partition, 'in-progress')
    return filthiest
  }

  /** Undefined when there is nothing in it but its active segment. */
  #judge(log: CleanableLog, nowMs: Millis): LogToClean | undefined {
    const checkpoint = this.#checkpoints.get(log.partition)
    // Most logs of Kafka's own topics are like this for ever.
    if (log.segmentCount === 1 && (checkpoint === undefined || isWithin(log, checkpoint))) return undefined
    const offsets = cleanableOffsets(log, checkpoint, nowMs)
    if (offsets.resetsCheckpoint) this.#update(log.partition, offsets.firstDirty)
    const found = logToClean(log, offsets, nowMs)
    return found.cleanBytes + found.cleanableBytes > 0 ? found : undefined
  }

  /** The compacted logs that nobody works on: for the rules of retention that apply to them. */
  deletable(): PartitionLog[] {
    return [...this.#free()]
  }

  *#free(): Iterable<PartitionLog> {
    for (const log of this.#logs.values()) {
      const { partition } = log
      if (!isCompacted(log.config) || log.isOffline) continue
      if (!this.#states.has(partition) && !this.#uncleanable.has(partition)) yield log
    }
  }

  // ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The cleaning ended at `end`, which is where it began when nothing came of it. */
  done(partition: string, end: Offset): void {
    assert(this.#states.get(partition) === 'in-progress', 'cleaner: done with what was not in progress', { partition })
    this.#states.delete(partition)
    this.#update(partition, end)
  }

  /** True when a cleaning is in progress: the caller drops it. */
  pause(partition: string): boolean {
    const state = this.#states.get(partition)
    this.#states.set(partition, typeof state === 'number' ? state + 1 : 1)
    return state === 'in-progress'
  }

  resume(partition: string): void {
    const state = this.#states.get(partition)
    assert(typeof state === 'number', 'cleaner: resumes what was not paused', { partition })
    if (state > 1) this.#states.set(partition, state - 1)
    else this.#states.delete(partition)
  }

  /** It is not tried again. */
  markUncleanable(partition: string, reason: string): void {
    this.#uncleanable.add(partition)
    this.#env.emit('log.uncleanable', { partition, reason })
  }

  // ── checkpoints ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** The log was cut: it is dirty from `offset` on at the latest. */
  truncateCheckpoint(log: PartitionLog, offset: Offset): void {
    if (!isCompacted(log.config)) return
    if ((this.#checkpoints.get(log.partition) ?? 0) > offset) this.#update(log.partition, offset)
  }

  /** The log is no more. */
  forget(partition: string): void {
    this.#uncleanable.delete(partition)
    if (this.#checkpoints.has(partition)) this.#update(partition, undefined)
  }

  #update(partition: string, offset: Offset | undefined): void {
    const next = new Map<string, Offset>()
    for (const [name, known] of this.#checkpoints) if (this.#logs.has(name)) next.set(name, known)
    if (offset === undefined) next.delete(partition)
    else next.set(partition, offset)
    this.#checkpoints = next
    this.#file.write(next, (error) => {
      if (error !== undefined) this.#onDiskError(error)
    })
  }
}

function isWithin({ bounds }: CleanableLog, offset: Offset): boolean {
  return bounds.logStartOffset <= offset && offset <= bounds.logEndOffset
}
