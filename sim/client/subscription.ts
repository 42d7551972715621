/**
 * What a consumer wants, as far as it does not assign itself (the first half of Kafka's SubscriptionState).
 *
 *     none ── subscribe(topics) ──► topics        names
 *          ── subscribe(pattern) ─► pattern       every topic that matches, found out by this client
 *          ── subscribe(regex) ───► regex         every topic that matches, found out by the coordinator (KIP-848)
 *          ── assign ─────────────► manual
 *     any  ── unsubscribe ────────► none
 *
 * One kind cannot be changed into another one without `unsubscribe`. While this client leads a classic group it wants metadata of the whole
 * group's topics.
 */

import { UsageError } from '../kernel/errors.js'

export type SubscriptionKind = 'none' | 'topics' | 'pattern' | 'regex' | 'manual'

/** What the application does when partitions come and go; always within its polls, `unsubscribe` or `close`. */
export interface RebalanceListener {
  readonly onAssigned?: (partitions: readonly string[]) => void
  /** The call that led here goes on once `done` was called. */
  readonly onRevoked?: (partitions: readonly string[], done: () => void) => void
  /** They are somebody else's already. */
  readonly onLost?: (partitions: readonly string[]) => void
}

const NO_TOPICS: ReadonlySet<string> = new Set()

export class Subscription {
  kind: SubscriptionKind = 'none'
  listener: RebalanceListener = {}
  /** Of `topics`, `pattern` and `manual`: the topics in question. */
  topics: ReadonlySet<string> = NO_TOPICS
  #group: ReadonlySet<string> = NO_TOPICS
  #pattern: RegExp | undefined
  /** Of `regex`: RE2/J, as the coordinator gets it. */
  regex: string | undefined
  /** Of `regex`: topics that the coordinator gave. */
  assignedTopicIds: ReadonlySet<string> = NO_TOPICS

  /** Somebody else decides on the partitions. */
  get isAutomatic(): boolean {
    return this.kind === 'topics' || this.kind === 'pattern' || this.kind === 'regex'
  }

  /** Topics subscribed by name or found by the pattern; none with `assign`. */
  get subscribed(): ReadonlySet<string> {
    return this.isAutomatic ? this.topics : NO_TOPICS
  }

  /** True when there are other topics than before. */
  subscribe(topics: readonly string[], listener: RebalanceListener): boolean {
    this.#begin('topics')
    this.listener = listener
    return this.#change(new Set(topics))
  }

  subscribePattern(pattern: string, listener: RebalanceListener): void {
    this.#begin('pattern')
    this.listener = listener
    this.#pattern = compile(pattern)
  }

  subscribeRegex(regex: string, listener: RebalanceListener): void {
    this.#begin('regex')
    this.listener = listener
    this.regex = regex
  }

  /** True when there are other topics than before. */
  assign(topics: ReadonlySet<string>): boolean {
    this.#begin('manual')
    return this.#change(topics)
  }

  unsubscribe(): void {
    this.kind = 'none'
    this.topics = NO_TOPICS
    this.#group = NO_TOPICS
    this.#pattern = undefined
    this.assignedTopicIds = NO_TOPICS
  }

  /** Topics found for the pattern; true when they are others than before. */
  found(topics: ReadonlySet<string>): boolean {
    return this.#change(topics)
  }

  matchesPattern(topic: string): boolean {
    return this.kind === 'pattern' && this.#pattern !== undefined && this.#pattern.test(topic)
  }

  /** Whether a member with this subscription may be given the topic. */
  mayBeAssigned(topic: string): boolean {
    return this.#pattern === undefined ? this.topics.has(topic) : this.#pattern.test(topic)
  }

  /** This client leads the group: true when it must learn of topics that it did not subscribe to. */
  lead(topics: ReadonlySet<string>): boolean {
    this.#group = topics
    for (const topic of topics) if (!this.topics.has(topic)) return true
    return false
  }

  leadNoMore(): void {
    this.#group = NO_TOPICS
  }

  metadataTopics(): ReadonlySet<string> {
    return this.#group.size === 0 ? this.topics : new Set([...this.#group, ...this.topics])
  }

  needsMetadata(topic: string): boolean {
    return this.topics.has(topic) || this.#group.has(topic)
  }

  #begin(kind: SubscriptionKind): void {
    if (this.kind !== 'none' && this.kind !== kind) {
      throw new UsageError('subscription to topics, partitions and patterns are mutually exclusive: unsubscribe first')
    }
    this.kind = kind
  }

  #change(topics: ReadonlySet<string>): boolean {
    const before = this.topics
    this.topics = topics
    if (before.size !== topics.size) return true
    for (const topic of topics) if (!before.has(topic)) return true
    return false
  }
}

function compile(pattern: string): RegExp {
  try {
    return new RegExp(`^(?:${pattern})$`, 'u')
  } catch {
    throw new UsageError(`subscribe: not a regular expression: ${pattern}`)
  }
}
