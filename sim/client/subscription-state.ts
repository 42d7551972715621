/**
 * What a consumer knows of each partition assigned to it (Kafka's SubscriptionState).
 *
 *     from \ to             fetching   await reset   await validation
 *     initializing             ×            ×               ×
 *     fetching                 ×            ×               ×
 *     await reset              ×            ×
 *     await validation         ×            ×               ×
 *
 * A transition that is not in the table changes nothing. Only `fetching` has a valid position; `await reset` has none.
 *
 * A position carries the epoch of the last batch read, and the leader that it was checked against. When there is another
 * leader, the position is checked again (KIP-320): has that leader, at the end of our epoch, as much as we have read?
 */

import { assert } from '../kernel/errors.js'
import { partitionName } from '../kernel/names.js'
import type { Epoch, Millis, NodeId, Offset } from '../kernel/units.js'
import { NO_LEADER, type LeaderAndEpoch } from './client-metadata.js'
import type { OffsetAndMetadata } from './group/offset-commits.js'
import { Subscription } from './subscription.js'

export interface TopicPartition {
  readonly topic: string
  readonly index: number
}

export type FetchState = 'initializing' | 'fetching' | 'await reset' | 'await validation'
/** `by duration`: the first record not older than that (KIP-1106). */
export type ResetStrategy = 'earliest' | 'latest' | { readonly byDurationMs: Millis }

const TRANSITIONS: Readonly<Record<FetchState, readonly FetchState[]>> = {
  initializing: ['fetching', 'await reset', 'await validation'],
  fetching: ['fetching', 'await reset', 'await validation'],
  'await reset': ['fetching', 'await reset'],
  'await validation': ['fetching', 'await reset', 'await validation'],
}

export interface FetchPosition {
  readonly offset: Offset
  /** Epoch of the batch before the offset; -1: not known. */
  readonly offsetEpoch: Epoch
  readonly leader: LeaderAndEpoch
}

/** What a broker's log has less than the consumer read. */
export interface Truncation {
  readonly partition: AssignedPartition
  /** Where the logs part; undefined when the broker does not know the epoch. */
  readonly divergentOffset: Offset | undefined
}

export class AssignedPartition implements TopicPartition {
  readonly topic: string
  readonly index: number
  /** `orders-0`. */
  readonly name: string
  state: FetchState = 'initializing'
  position: FetchPosition | undefined
  resetStrategy: ResetStrategy | undefined
  /** Where the reset that is under way started; -1: nowhere. */
  resetFrom: Offset = -1
  /** The application asked for it. */
  resetIsSeek = false
  paused = false
  /** It is about to be taken away: nothing more of it is handed over. */
  isPendingRevocation = false
  /** The application has not been told yet that it has the partition. */
  isPendingCallback = false
  /** A lookup is under way, or failed a moment ago: not again before this wall-clock time. */
  nextRetryMs: Millis = 0
  highWatermark: Offset | undefined
  lastStableOffset: Offset | undefined
  logStartOffset: Offset | undefined
  #preferredReplica: NodeId | undefined
  #preferredUntilMs: Millis = 0

  constructor(partition: TopicPartition) {
    this.topic = partition.topic
    this.index = partition.index
    this.name = partitionName(partition.topic, partition.index)
  }

  get hasValidPosition(): boolean {
    return this.state === 'fetching'
  }

  get isFetchable(): boolean {
    return this.state === 'fetching' && !this.paused && !this.isPendingRevocation && !this.isPendingCallback
  }

  mayLookUp(state: FetchState, nowMs: Millis): boolean {
    return this.state === state && nowMs >= this.nextRetryMs
  }

  /** Asks for a new position. */
  reset(strategy: ResetStrategy, isSeek = false): void {
    if (!this.#to('await reset')) return
    if (this.position !== undefined) this.resetFrom = this.position.offset
    this.resetIsSeek = isSeek
    this.position = undefined
    this.resetStrategy = strategy
    this.nextRetryMs = 0
  }

  /** Goes to a position that needs no checking. */
  seekValidated(position: FetchPosition): void {
    if (!this.#to('fetching')) return
    this.position = position
    this.resetStrategy = undefined
    this.nextRetryMs = 0
  }

  /** Goes to a position that is checked first when its epoch is known. */
  seekUnvalidated(position: FetchPosition): void {
    this.seekValidated(position)
    this.#validate(position)
  }

  /** Reads on. */
  advance(position: FetchPosition): void {
    assert(this.hasValidPosition, 'subscription: position without a valid one', { partition: this.name })
    this.position = position
  }

  /** Another leader: the position must be checked against it. Returns true while it must. */
  maybeValidate(leader: LeaderAndEpoch): boolean {
    if (this.state === 'await reset' || leader.leader === undefined) return false
    if (this.position !== undefined && !isSameLeader(this.position.leader, leader)) {
      this.#validate({ ...this.position, leader })
      this.#preferredReplica = undefined
    }
    return this.state === 'await validation'
  }

  completeValidation(): void {
    if (this.position !== undefined && this.#to('fetching')) this.nextRetryMs = 0
  }

  preferredReplica(nowMs: Millis): NodeId | undefined {
    if (this.#preferredReplica !== undefined && nowMs > this.#preferredUntilMs) this.#preferredReplica = undefined
    return this.#preferredReplica
  }

  prefer(replica: NodeId, untilMs: Millis): void {
    if (this.#preferredReplica === replica) return
    this.#preferredReplica = replica
    this.#preferredUntilMs = untilMs
  }

  /** Fetches from the leader again; true when that is a change. */
  clearPreferredReplica(): boolean {
    const had = this.#preferredReplica !== undefined
    this.#preferredReplica = undefined
    return had
  }

  #validate(position: FetchPosition): void {
    const needed = position.offsetEpoch >= 0 && position.leader.epoch >= 0
    if (!this.#to(needed ? 'await validation' : 'fetching')) return
    this.position = position
    this.nextRetryMs = 0
  }

  #to(state: FetchState): boolean {
    if (!TRANSITIONS[this.state].includes(state)) return false
    this.state = state
    return true
  }
}

export class SubscriptionState {
  readonly subscription = new Subscription()
  readonly #defaultReset: ResetStrategy | undefined
  /** In the order in which they are fetched. */
  #assigned = new Map<string, AssignedPartition>()

  /** @param defaultReset undefined for `none` */
  constructor(defaultReset: ResetStrategy | undefined) {
    this.#defaultReset = defaultReset
  }

  get defaultReset(): ResetStrategy | undefined {
    return this.#defaultReset
  }

  get isEmpty(): boolean {
    return this.#assigned.size === 0
  }

  /** Replaces the assignment; partitions that stay keep their position. */
  assign(partitions: readonly TopicPartition[]): void {
    const assigned = new Map<string, AssignedPartition>()
    for (const partition of partitions) {
      const name = partitionName(partition.topic, partition.index)
      assigned.set(name, this.#assigned.get(name) ?? new AssignedPartition(partition))
    }
    this.#assigned = assigned
  }

  assigned(): IterableIterator<AssignedPartition> {
    return this.#assigned.values()
  }

  /** Records of it may be fetched and handed over. */
  isFetchable(partition: AssignedPartition): boolean {
    const { kind, topics } = this.subscription
    return partition.isFetchable && (kind !== 'topics' || topics.has(partition.topic))
  }

  /** The partition, while it is assigned. */
  get(partition: string): AssignedPartition | undefined {
    return this.#assigned.get(partition)
  }

  topics(): Set<string> {
    const topics = new Set<string>()
    for (const partition of this.#assigned.values()) topics.add(partition.topic)
    return topics
  }

  /** Names of the partitions, sorted by topic and index. */
  names(): string[] {
    return [...this.#assigned.values()].sort(byTopicAndIndex).map(({ name }) => name)
  }

  /** Partitions that were never given a position. */
  initializing(): AssignedPartition[] {
    return [...this.#assigned.values()].filter((partition) => partition.state === 'initializing')
  }

  /** Positions of all partitions that have a valid one, sorted: what was handed over lies before them. */
  allConsumed(): Map<string, OffsetAndMetadata> {
    const consumed = new Map<string, OffsetAndMetadata>()
    for (const { name, hasValidPosition, position } of [...this.#assigned.values()].sort(byTopicAndIndex)) {
      if (!hasValidPosition || position === undefined) continue
      const { offset, offsetEpoch: leaderEpoch } = position
      consumed.set(name, { offset, leaderEpoch, metadata: '' })
    }
    return consumed
  }

  hasAllPositions(): boolean {
    for (const partition of this.#assigned.values()) if (!partition.hasValidPosition) return false
    return true
  }

  /** Fetches from it after all others, so that none is starved. */
  moveToEnd(partition: AssignedPartition): void {
    if (this.#assigned.get(partition.name) !== partition) return
    this.#assigned.delete(partition.name)
    this.#assigned.set(partition.name, partition)
  }

  /**
   * The answer of the leader that a position is checked against: the end of our epoch there. Without a reset policy a
   * truncation is for the application. Returns it, or what was done about it.
   */
  completeValidation(
    partition: AssignedPartition,
    requested: FetchPosition,
    end: { readonly leaderEpoch: Epoch; readonly endOffset: Offset },
  ): Truncation | 'reset' | 'truncated' | 'valid' | 'stale' {
    if (this.get(partition.name) !== partition || partition.state !== 'await validation') return 'stale'
    const current = partition.position
    if (current === undefined || !isSamePosition(current, requested)) return 'stale'
    if (end.endOffset === -1 || end.leaderEpoch === -1) {
      if (this.#defaultReset === undefined) return { partition, divergentOffset: undefined }
      partition.reset(this.#defaultReset)
      return 'reset'
    }
    if (end.endOffset < current.offset) {
      if (this.#defaultReset === undefined) return { partition, divergentOffset: end.endOffset }
      partition.seekValidated({ offset: end.endOffset, offsetEpoch: end.leaderEpoch, leader: current.leader })
      return 'truncated'
    }
    partition.completeValidation()
    return 'valid'
  }
}

/** A position that the application gives: its epoch is not known. */
export function unknownEpoch(offset: Offset, leader: LeaderAndEpoch = NO_LEADER): FetchPosition {
  return { offset, offsetEpoch: -1, leader }
}

/** TopicPartitionComparator. */
export function byTopicAndIndex(a: TopicPartition, b: TopicPartition): number {
  return (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : 0) || a.index - b.index
}

function isSameLeader(a: LeaderAndEpoch, b: LeaderAndEpoch): boolean {
  return a.epoch === b.epoch && a.leader?.id === b.leader?.id && a.leader?.host === b.leader?.host
}

function isSamePosition(a: FetchPosition, b: FetchPosition): boolean {
  return a.offset === b.offset && a.offsetEpoch === b.offsetEpoch && isSameLeader(a.leader, b.leader)
}
