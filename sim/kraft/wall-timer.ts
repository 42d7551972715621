/**
 * A deadline on the wall clock, as Kafka's utils.Timer keeps it.
 *
 * It remembers the latest time that it was shown and never goes back: after the clock was set back it stands still until the
 * clock has caught up, and a clock set forward makes it expire. It wakes nobody; whoever polls asks it.
 */

import type { Millis } from '../kernel/units.js'
import { LONG_MAX } from '../kernel/units.js'

export class WallTimer {
  #nowMs: Millis
  #deadlineMs: Millis = 0

  constructor(nowMs: Millis, timeoutMs: Millis) {
    this.#nowMs = nowMs
    this.#set(timeoutMs)
  }

  /** Starts again at `nowMs`. */
  reset(nowMs: Millis, timeoutMs: Millis): void {
    this.#see(nowMs)
    this.#set(timeoutMs)
  }

  /** Milliseconds left, 0 when expired. */
  remainingMs(nowMs: Millis): Millis {
    this.#see(nowMs)
    return this.#deadlineMs === LONG_MAX ? LONG_MAX : Math.max(0, this.#deadlineMs - this.#nowMs)
  }

  isExpired(nowMs: Millis): boolean {
    this.#see(nowMs)
    return this.#nowMs >= this.#deadlineMs
  }

  #see(nowMs: Millis): void {
    if (nowMs > this.#nowMs) this.#nowMs = nowMs
  }

  #set(timeoutMs: Millis): void {
    this.#deadlineMs = timeoutMs >= LONG_MAX - this.#nowMs ? LONG_MAX : this.#nowMs + timeoutMs
  }
}
