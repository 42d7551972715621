/**
 * Exponential backoff with jitter (KIP-580; Kafka's ExponentialBackoff).
 *
 * Attempt n waits initial · 2ⁿ, never more than the maximum, times a factor drawn from [0.8, 1.2). With a maximum that is not
 * above the initial wait there is neither growth nor jitter. Every call draws once from the stream it was given.
 */

import type { Random } from '../kernel/random.js'
import type { Millis } from '../kernel/units.js'

/** CommonClientConfigs.RETRY_BACKOFF_JITTER. */
const JITTER = 0.2

export class ExponentialBackoff {
  readonly #initialMs: Millis
  readonly #maxMs: Millis
  readonly #random: Random

  constructor(initialMs: Millis, maxMs: Millis, random: Random) {
    this.#initialMs = Math.min(initialMs, maxMs)
    this.#maxMs = maxMs
    this.#random = random
  }

  /** Whole milliseconds to wait before attempt `attempts` + 1; `attempts` counts from 0. */
  backoff(attempts: number): Millis {
    if (this.#maxMs <= Math.max(this.#initialMs, 1)) return this.#initialMs
    let term = this.#initialMs
    for (let i = 0; i < attempts && term < this.#maxMs && term > 0; i++) term *= 2
    const jittered = Math.floor(Math.min(term, this.#maxMs) * (1 - JITTER + 2 * JITTER * this.#random.float()))
    return Math.min(jittered, this.#maxMs)
  }
}
