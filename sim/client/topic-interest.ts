/**
 * Which topics a producer wants metadata of (Kafka's ProducerMetadata): what it sends to, until it has not sent there for
 * `metadata.max.idle.ms`. A topic that is new is asked for alone and at once.
 */

import type { Millis } from '../kernel/units.js'
import type { ErrorCode } from '../wire/errors.js'
import type { TopicInterest } from './client-metadata.js'

export class ProducerTopics implements TopicInterest {
  readonly allowAutoTopicCreation = true
  readonly #maxIdleMs: Millis
  /** Topic → when it may be forgotten. */
  readonly #expiries = new Map<string, Millis>()
  readonly #new = new Set<string>()
  #errors: ReadonlyMap<string, ErrorCode> = new Map()

  constructor(maxIdleMs: Millis) {
    this.#maxIdleMs = maxIdleMs
  }

  /** The topic is in use; true when it was not known before. */
  use(topic: string, nowMs: Millis): boolean {
    const isNew = !this.#expiries.has(topic)
    this.#expiries.set(topic, nowMs + this.#maxIdleMs)
    if (isNew) this.#new.add(topic)
    return isNew
  }

  /** No answer about the topic came yet. */
  isNew(topic: string): boolean {
    return this.#new.has(topic)
  }

  /** The topic's error in the last answer, or 0. */
  errorOf(topic: string): ErrorCode {
    return this.#errors.get(topic) ?? 0
  }

  topics(): readonly string[] {
    return [...this.#expiries.keys()]
  }

  newTopics(): readonly string[] {
    return [...this.#new]
  }

  retains(topic: string, _isInternal: boolean, nowMs: Millis): boolean {
    const expiry = this.#expiries.get(topic)
    if (expiry === undefined) return false
    if (this.#new.has(topic) || expiry > nowMs) return true
    this.#expiries.delete(topic)
    return false
  }

  updated(topics: readonly string[], errors: ReadonlyMap<string, ErrorCode>): void {
    this.#errors = errors
    for (const topic of topics) this.#new.delete(topic)
  }
}
