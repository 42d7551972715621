/**
 * What of a log is known to last: flushes, and the recovery point that they move.
 *
 * A flush syncs, one after the other, the segments from the recovery point up to an offset; when all are done the
 * recovery point is that offset. In Kafka a thread blocks meanwhile; here the answer comes by a later event, and
 * several flushes may be under way. One that began before a truncation does not vouch for what was written after it.
 * Source: LocalLog.flush, markFlushed.
 */

import type { DiskError, Env } from '../kernel/env.js'
import type { Millis, Offset } from '../kernel/units.js'
import type { LogSegments } from './log-segments.js'

interface Flush {
  /** Exclusive; lowered by a truncation. */
  upTo: Offset
  readonly waiting: ((error?: DiskError) => void)[]
}

export class LogFlusher {
  readonly #env: Env
  readonly #partition: string
  readonly #segments: LogSegments
  readonly #onDiskError: (error: DiskError) => void
  #recoveryPoint: Offset = 0
  #lastFlushMs: Millis
  #underWay: Flush[] = []

  constructor(env: Env, partition: string, segments: LogSegments, onDiskError: (error: DiskError) => void) {
    this.#env = env
    this.#partition = partition
    this.#segments = segments
    this.#lastFlushMs = env.clock.wallMs()
    this.#onDiskError = onDiskError
  }

  /** Everything below is on disk. */
  get recoveryPoint(): Offset {
    return this.#recoveryPoint
  }

  get lastFlushMs(): Millis {
    return this.#lastFlushMs
  }

  /** Where the log will be flushed to by what is under way. */
  get requested(): Offset {
    return this.#underWay.reduce((most, flush) => Math.max(most, flush.upTo), this.#recoveryPoint)
  }

  get isFlushing(): boolean {
    return this.#underWay.length > 0
  }

  /**
   * Flushes up to `upTo` (exclusive). `done` comes at once when nothing is left to flush. `withEmpty` takes an empty
   * active segment that begins at `upTo` along.
   */
  flush(upTo: Offset, done?: (error?: DiskError) => void, withEmpty = false): void {
    const end = withEmpty ? upTo + 1 : upTo
    if (end <= this.#recoveryPoint) return done?.()
    const segments = this.#segments.between(this.#recoveryPoint, end)
    const flush: Flush = { upTo, waiting: done === undefined ? [] : [done] }
    this.#underWay.push(flush)
    let next = 0
    const proceed = (error?: DiskError): void => {
      const segment = error === undefined ? segments[next++] : undefined
      if (segment === undefined) this.#finish(flush, error)
      else segment.sync(proceed)
    }
    proceed()
  }

  /** Calls `done` when the flush begun last is over; at once when none is under way. */
  afterFlush(done: (error?: DiskError) => void): void {
    const last = this.#underWay[this.#underWay.length - 1]
    if (last === undefined) done()
    else last.waiting.push(done)
  }

  /** The log starts at `offset` now: what lies below needs no recovery. */
  raiseTo(offset: Offset): void {
    if (this.#recoveryPoint < offset) this.#recoveryPoint = offset
  }

  /** The log ends at `offset` now. */
  truncateTo(offset: Offset): void {
    if (this.#recoveryPoint > offset) this.#recoveryPoint = offset
    for (const flush of this.#underWay) if (flush.upTo > offset) flush.upTo = offset
  }

  #finish(flush: Flush, error: DiskError | undefined): void {
    this.#underWay = this.#underWay.filter((other) => other !== flush)
    if (error !== undefined) {
      this.#onDiskError(error)
    } else if (flush.upTo > this.#recoveryPoint) {
      this.#recoveryPoint = flush.upTo
      this.#lastFlushMs = this.#env.clock.wallMs()
      this.#env.emit('log.flush', { partition: this.#partition, upTo: flush.upTo })
    }
    for (const done of flush.waiting) done(error)
  }
}
