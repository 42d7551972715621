/**
 * When a member of a classic group must be heard and must poll (Kafka's Heartbeat).
 *
 *     heartbeat   due heartbeat.interval.ms after the last one was sent, or a backoff after one that failed
 *     session     over session.timeout.ms after the last good answer: the coordinator is taken for lost
 *     poll        over max.poll.interval.ms after the application's last poll: the member leaves
 */

import type { Env } from '../../kernel/env.js'
import type { Millis } from '../../kernel/units.js'
import type { ConsumerConfig } from '../consumer-config.js'
import { Deadline } from '../deadline.js'
import { ExponentialBackoff } from '../exponential-backoff.js'

export class Heartbeat {
  readonly #intervalMs: Millis
  readonly #sessionTimeoutMs: Millis
  readonly #maxPollIntervalMs: Millis
  readonly #backoff: ExponentialBackoff
  readonly #heartbeat: Deadline
  readonly #session: Deadline
  readonly #poll: Deadline
  #attempts = 0

  constructor(env: Env, config: ConsumerConfig) {
    this.#intervalMs = config['heartbeat.interval.ms']
    this.#sessionTimeoutMs = config['session.timeout.ms']
    this.#maxPollIntervalMs = config['max.poll.interval.ms']
    this.#backoff = new ExponentialBackoff(config['retry.backoff.ms'], config['retry.backoff.max.ms'], env.random)
    this.#heartbeat = new Deadline(env, this.#intervalMs)
    this.#session = new Deadline(env, this.#sessionTimeoutMs)
    this.#poll = new Deadline(env, this.#maxPollIntervalMs)
  }

  get isDue(): boolean {
    return this.#heartbeat.isOver
  }

  get isSessionOver(): boolean {
    return this.#session.isOver
  }

  get isPollOverdue(): boolean {
    return this.#poll.isOver
  }

  get dueInMs(): Millis {
    return this.#heartbeat.remainingMs
  }

  /** When one of the three has to be looked at next, by the wall clock. */
  get nextAtMs(): Millis {
    return Math.min(this.#heartbeat.atMs, this.#session.atMs, this.#poll.atMs)
  }

  /** The application polled. */
  polled(): void {
    this.#poll.reset(this.#maxPollIntervalMs)
  }

  sent(): void {
    this.#heartbeat.reset(this.#intervalMs)
  }

  answered(): void {
    this.#attempts = 0
    this.#session.reset(this.#sessionTimeoutMs)
  }

  failed(): void {
    this.#heartbeat.reset(this.#backoff.backoff(this.#attempts++))
  }

  resetSession(): void {
    this.#session.reset(this.#sessionTimeoutMs)
  }

  reset(): void {
    this.#session.reset(this.#sessionTimeoutMs)
    this.#poll.reset(this.#maxPollIntervalMs)
    this.#heartbeat.reset(this.#intervalMs)
  }
}
