/**
 * Holds a rate on average: whoever moved bytes is told how long to sleep.
 *
 * Looks at the rate when more than 300 ms have passed; when it was too high the sleep makes up for it. Source: Kafka's
 * Throttler.
 */

import type { Bytes, Millis } from '../kernel/units.js'

const CHECK_INTERVAL_MS: Millis = 300

export class Throttler {
  bytesPerSecond: number
  #periodStart: Millis
  #moved: Bytes = 0

  constructor(bytesPerSecond: number, nowMs: Millis) {
    this.bytesPerSecond = bytesPerSecond
    this.#periodStart = nowMs
  }

  /** `bytes` were moved until `nowMs` (monotonic): how long to sleep now. */
  sleepMs(bytes: Bytes, nowMs: Millis): Millis {
    this.#moved += bytes
    const elapsed = nowMs - this.#periodStart
    if (elapsed <= CHECK_INTERVAL_MS || this.#moved === 0) return 0
    const wanted = Math.round((this.#moved / this.bytesPerSecond) * 1_000)
    const sleep = Math.max(0, wanted - elapsed)
    this.#periodStart = nowMs + sleep
    this.#moved = 0
    return sleep
  }
}
