/**
 * A timeout on the wall clock, as Kafka's clients measure it (Timer): when the clock goes back time stands still, when it jumps forward the
 * timeout is over.
 */

import type { Env } from '../kernel/env.js'
import type { Millis } from '../kernel/units.js'

export class Deadline {
  readonly #env: Env
  #nowMs: Millis = 0
  #atMs: Millis

  constructor(env: Env, timeoutMs: Millis) {
    this.#env = env
    this.#atMs = this.nowMs + timeoutMs
  }

  get nowMs(): Millis {
    this.#nowMs = Math.max(this.#nowMs, this.#env.clock.wallMs())
    return this.#nowMs
  }

  /** When it is over, by the wall clock. */
  get atMs(): Millis {
    return this.#atMs
  }

  get isOver(): boolean {
    return this.nowMs >= this.#atMs
  }

  get remainingMs(): Millis {
    return Math.max(0, this.#atMs - this.nowMs)
  }

  /** Begins anew. */
  reset(timeoutMs: Millis): void {
    this.#atMs = this.nowMs + timeoutMs
  }
}
