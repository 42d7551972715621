/**
 * Which topics a consumer wants metadata of (Kafka's ConsumerMetadata): all of them to match a pattern, those that the coordinator gave
 * by their ids for a regular expression of its own, else those of the subscription.
 */

import type { ErrorCode } from '../wire/errors.js'
import type { TopicInterest } from './client-metadata.js'
import type { Subscription } from './subscription.js'

export class ConsumerTopics implements TopicInterest {
  readonly allowAutoTopicCreation: boolean
  readonly #excludesInternal: boolean
  readonly #subscription: Subscription
  #errors: ReadonlyMap<string, ErrorCode> = new Map()

  constructor(subscription: Subscription, allowAutoTopicCreation: boolean, excludesInternal: boolean) {
    this.#subscription = subscription
    this.allowAutoTopicCreation = allowAutoTopicCreation
    this.#excludesInternal = excludesInternal
  }

  /** Topics with their errors in the last answer. */
  get errors(): ReadonlyMap<string, ErrorCode> {
    return this.#errors
  }

  topics(): readonly string[] | null {
    return this.#subscription.kind === 'pattern' ? null : [...this.#subscription.metadataTopics()]
  }

  topicIds(): readonly string[] | undefined {
    return this.#subscription.kind === 'regex' ? [...this.#subscription.assignedTopicIds] : undefined
  }

  newTopics(): undefined {
    return undefined
  }

  retains(topic: string, isInternal: boolean, _nowMs: number, topicId?: string): boolean {
    const subscription = this.#subscription
    if (subscription.needsMetadata(topic)) return true
    if (topicId !== undefined && subscription.kind === 'regex' && subscription.assignedTopicIds.has(topicId))
      return true
    return !(isInternal && this.#excludesInternal) && subscription.matchesPattern(topic)
  }

  updated(_topics: readonly string[], errors: ReadonlyMap<string, ErrorCode>): void {
    this.#errors = errors
  }
}
