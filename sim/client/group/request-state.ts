/** When a kind of request may be sent again (RequestState): one at a time, after a backoff that grows with failures in a row. */

import type { Env } from '../../kernel/env.js'
import type { Millis } from '../../kernel/units.js'
import type { ConnectionConfig } from '../connection-config.js'
import { ExponentialBackoff } from '../exponential-backoff.js'

export class RequestState {
  readonly #env: Env
  readonly #backoff: ExponentialBackoff
  #isInFlight = false
  #answeredMs: Millis = -1
  #backoffMs: Millis = 0
  #attempts = 0

  constructor(env: Env, config: ConnectionConfig) {
    this.#env = env
    this.#backoff = new ExponentialBackoff(config['retry.backoff.ms'], config['retry.backoff.max.ms'], env.random)
  }

  get isInFlight(): boolean {
    return this.#isInFlight
  }

  get attempts(): number {
    return this.#attempts
  }

  get remainingBackoffMs(): Millis {
    return Math.max(0, this.#backoffMs - (this.#env.clock.wallMs() - this.#answeredMs))
  }

  get canSend(): boolean {
    return !this.#isInFlight && this.remainingBackoffMs === 0
  }

  sent(): void {
    this.#isInFlight = true
  }

  succeeded(): void {
    this.#isInFlight = false
    this.#answeredMs = this.#env.clock.wallMs()
    this.#backoffMs = this.#backoff.backoff(0)
    this.#attempts = 0
  }

  failed(): void {
    this.#isInFlight = false
    this.#answeredMs = this.#env.clock.wallMs()
    this.#backoffMs = this.#backoff.backoff(this.#attempts++)
  }

  /** As if nothing had ever been sent. */
  reset(): void {
    this.#isInFlight = false
    this.#answeredMs = -1
    this.#backoffMs = this.#backoff.backoff(0)
    this.#attempts = 0
  }
}
