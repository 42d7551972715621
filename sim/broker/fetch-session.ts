/**
 * Incremental fetch sessions, the broker's side (KIP-227, KIP-516; Kafka's `FetchManager`, `FetchSession`,
 * `FetchContext`).
 *
 * A session remembers what a fetcher wants and what it was last told, so that a request names only what changed and a
 * response only what is new: partitions with records, an error or a diverging epoch, or whose high watermark or log
 * start is not what was sent last. A partition that got records goes to the end of the order, so that none starves.
 *
 *   request (session, epoch)     means                                  answered with
 *   (any, 0)                     close it, start one                    a new session id, or 0 when there is no room
 *   (any, -1)                    close it, start none                   0
 *   (id, its next epoch)         continue                               id; 0 when no partition is left: closed
 *   (id, another epoch)          lost or repeated                       INVALID_FETCH_SESSION_EPOCH
 *   (unknown id, > 0)            evicted, or a broker of another life   FETCH_SESSION_ID_NOT_FOUND
 *
 * A session knows its topics by id or by name, as its first request did; the other kind gets
 * FETCH_SESSION_TOPIC_ID_ERROR.
 */

import type { Env } from '../kernel/env.js'
import type { Bytes, Epoch, NodeId, Offset } from '../kernel/units.js'
import { INT_MAX } from '../kernel/units.js'
import type { MetadataImage } from '../kraft/metadata/image.js'
import type { PartitionLog } from '../log/partition-log.js'
import { type ErrorCode, Errors } from '../wire/errors.js'
import type { FetchPartition, FetchRequest } from '../wire/messages/fetch.js'
import type { Records } from '../wire/record-batch.js'
import { ZERO_UUID } from '../wire/uuid.js'
import { FetchSessionCache } from './fetch-session-cache.js'
import type { Partition } from './partition.js'
import { Watch } from './purgatory.js'

/** No session. */
export const INVALID_SESSION_ID = 0
/** Asks for a session. */
export const INITIAL_EPOCH = 0
/** Closes the session. */
export const FINAL_EPOCH = -1

const TOPIC_IDS_VERSION = 13

/** The epoch after `epoch`; never INITIAL_EPOCH again. */
export function nextSessionEpoch(epoch: number): number {
  if (epoch < 0) return FINAL_EPOCH
  return epoch === INT_MAX ? 1 : epoch + 1
}

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: Offset
}

const NO_RECORDS: Records = []

/** What reading one partition for a fetch gave. Overwritten by each read; used within the event that read. */
export class PartitionRead {
  error: ErrorCode = Errors.NONE
  highWatermark: Offset = -1
  lastStableOffset: Offset = -1
  logStartOffset: Offset = -1
  records: Records = NO_RECORDS
  sizeInBytes: Bytes = 0
  /** null: not asked for. */
  abortedTransactions: readonly AbortedTransaction[] | null = null
  /** -1: not diverging. */
  divergingEpoch: Epoch = -1
  divergingEndOffset: Offset = -1
  /** Where a consumer should read instead; -1: here. */
  preferredReadReplica: NodeId = -1
  /** Exclusive end of what the reader may see. */
  bound: Offset = -1
  leaderEpoch: Epoch = -1

  reset(): void {
    this.error = Errors.NONE
    this.highWatermark = -1
    this.lastStableOffset = -1
    this.logStartOffset = -1
    this.records = NO_RECORDS
    this.sizeInBytes = 0
    this.abortedTransactions = null
    this.divergingEpoch = -1
    this.divergingEndOffset = -1
    this.preferredReadReplica = -1
  }

  fail(error: ErrorCode): void {
    this.reset()
    this.error = error
  }
}

/** One partition of a fetch: what is asked, what was last sent (Kafka's `CachedPartition`). */
export class FetchedPartition {
  /** undefined while metadata does not know the id. */
  topic: string | undefined
  readonly topicId: string
  readonly index: number
  maxBytes: Bytes = -1
  fetchOffset: Offset = -1
  /** -1: not given. */
  currentLeaderEpoch: Epoch = -1
  /** Where the fetcher's own log starts; -1 for consumers. */
  logStartOffset: Offset = -1
  /** -1: not given. */
  lastFetchedEpoch: Epoch = -1
  sentHighWatermark: Offset = -1
  sentLogStartOffset: Offset = -1
  previous: FetchedPartition | undefined
  next: FetchedPartition | undefined
  /** What this broker hosts of it, when last looked up. */
  hosted: Partition | undefined
  /** Where in the log a fetch began to wait; only where bytes must be counted. */
  waitsAt: ReturnType<PartitionLog['positionOf']>
  readonly read = new PartitionRead()
  readonly watch = new Watch()

  constructor(topic: string | undefined, topicId: string, index: number) {
    this.topic = topic
    this.topicId = topicId
    this.index = index
  }

  ask(request: FetchPartition): void {
    this.maxBytes = request.partitionMaxBytes
    this.fetchOffset = request.fetchOffset
    this.currentLeaderEpoch = request.currentLeaderEpoch
    this.logStartOffset = request.logStartOffset
    this.lastFetchedEpoch = request.lastFetchedEpoch
  }

  /** Whether an incremental response must name the partition after this read; remembers it as sent. */
  isNews(): boolean {
    const read = this.read
    let news = read.sizeInBytes > 0 || read.divergingEpoch >= 0 || read.preferredReadReplica >= 0
    if (this.sentHighWatermark !== read.highWatermark) {
      this.sentHighWatermark = read.highWatermark
      news = true
    }
    if (this.sentLogStartOffset !== read.logStartOffset) {
      this.sentLogStartOffset = read.logStartOffset
      news = true
    }
    if (read.error !== Errors.NONE) {
      // So that the partition is sent again once the error is gone.
      this.sentHighWatermark = -1
      news = true
    }
    return news
  }
}

/** The partitions of a fetch: found by topic and index, walked in order. */
export class FetchedPartitions {
  first: FetchedPartition | undefined
  #last: FetchedPartition | undefined
  #size = 0
  readonly #byTopic = new Map<string, (FetchedPartition | undefined)[]>()

  get size(): number {
    return this.#size
  }

  find(topic: string | undefined, topicId: string, index: number): FetchedPartition | undefined {
    return this.#byTopic.get(topicId === ZERO_UUID ? (topic ?? '') : topicId)?.[index]
  }

  add(partition: FetchedPartition): void {
    const key = partition.topicId === ZERO_UUID ? (partition.topic ?? '') : partition.topicId
    const known = this.#byTopic.get(key)
    if (known === undefined) {
      const list: (FetchedPartition | undefined)[] = []
      list[partition.index] = partition
      this.#byTopic.set(key, list)
    } else known[partition.index] = partition
    this.#append(partition)
    this.#size++
  }

  remove(partition: FetchedPartition): void {
    const key = partition.topicId === ZERO_UUID ? (partition.topic ?? '') : partition.topicId
    const list = this.#byTopic.get(key)
    if (list === undefined || list[partition.index] !== partition) return
    list[partition.index] = undefined
    this.#unlink(partition)
    this.#size--
  }

  moveToEnd(partition: FetchedPartition): void {
    if (this.#last === partition) return
    this.#unlink(partition)
    this.#append(partition)
  }

  #append(partition: FetchedPartition): void {
    partition.previous = this.#last
    partition.next = undefined
    if (this.#last === undefined) this.first = partition
    else this.#last.next = partition
    this.#last = partition
  }

  #unlink(partition: FetchedPartition): void {
    const { previous, next } = partition
    if (previous === undefined) this.first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
  }
}

export interface FetchSession {
  readonly id: number
  /** A follower's. */
  readonly privileged: boolean
  readonly partitions: FetchedPartitions
  readonly usesTopicIds: boolean
  /** What the next request must carry. */
  epoch: number
}

/** How one fetch request relates to sessions. */
export type FetchContext =
  | { readonly kind: 'error'; readonly error: ErrorCode }
  | { readonly kind: 'sessionless'; readonly partitions: FetchedPartitions }
  | {
      readonly kind: 'full'
      readonly partitions: FetchedPartitions
      readonly isFollower: boolean
      readonly usesTopicIds: boolean
    }
  | {
      readonly kind: 'incremental'
      readonly partitions: FetchedPartitions
      readonly session: FetchSession
      readonly nextEpoch: number
    }

/** What to answer: the partitions to name, under which session. */
export interface FetchOutcome {
  readonly error: ErrorCode
  readonly sessionId: number
  readonly partitions: readonly FetchedPartition[]
}

export class FetchSessions {
  readonly #env: Env
  readonly #metadata: () => MetadataImage
  readonly #cache: FetchSessionCache

  constructor(env: Env, slots: number, metadata: () => MetadataImage) {
    this.#env = env
    this.#metadata = metadata
    this.#cache = new FetchSessionCache(env.random.fork('fetch-sessions'), slots)
  }

  /** Sessions now held. */
  get size(): number {
    return this.#cache.size
  }

  /** Opens, continues or closes what `request` names. */
  begin(request: FetchRequest, version: number, isFollower: boolean): FetchContext {
    const { sessionId, sessionEpoch } = request
    if (sessionEpoch === INITIAL_EPOCH || sessionEpoch === FINAL_EPOCH) {
      if (sessionId !== INVALID_SESSION_ID) this.#cache.remove(sessionId)
      const partitions = new FetchedPartitions()
      this.#update(partitions, request, version)
      if (sessionEpoch === FINAL_EPOCH) return { kind: 'sessionless', partitions }
      return { kind: 'full', partitions, isFollower, usesTopicIds: version >= TOPIC_IDS_VERSION }
    }
    const session = this.#cache.get(sessionId)
    if (session === undefined) return { kind: 'error', error: Errors.FETCH_SESSION_ID_NOT_FOUND }
    if (session.epoch !== sessionEpoch) return { kind: 'error', error: Errors.INVALID_FETCH_SESSION_EPOCH }
    if (session.usesTopicIds !== version >= TOPIC_IDS_VERSION) {
      return { kind: 'error', error: Errors.FETCH_SESSION_TOPIC_ID_ERROR }
    }
    const partitions = session.partitions
    this.#update(partitions, request, version)
    this.#forget(partitions, request, version)
    if (partitions.size === 0) {
      this.#cache.remove(sessionId)
      return { kind: 'sessionless', partitions }
    }
    this.#cache.touch(session, this.#env.clock.wallMs())
    session.epoch = nextSessionEpoch(session.epoch)
    return { kind: 'incremental', partitions, session, nextEpoch: session.epoch }
  }

  /** What of `answered` (all partitions of the fetch, each just read) goes into the response. */
  finish(context: FetchContext, answered: readonly FetchedPartition[]): FetchOutcome {
    switch (context.kind) {
      case 'error':
        return { error: context.error, sessionId: INVALID_SESSION_ID, partitions: [] }
      case 'sessionless':
        return { error: Errors.NONE, sessionId: INVALID_SESSION_ID, partitions: answered }
      case 'full':
        return { error: Errors.NONE, sessionId: this.#open(context, answered), partitions: answered }
      case 'incremental':
        return finishIncremental(context.session, context.nextEpoch, answered)
    }
  }

  #open(context: Extract<FetchContext, { kind: 'full' }>, answered: readonly FetchedPartition[]): number {
    const { partitions, isFollower, usesTopicIds } = context
    const now = this.#env.clock.wallMs()
    const session = this.#cache.create(now, isFollower, answered.length, usesTopicIds, partitions)
    if (session === undefined) return INVALID_SESSION_ID
    for (const partition of answered) {
      partition.sentHighWatermark = partition.read.highWatermark
      partition.sentLogStartOffset = partition.read.logStartOffset
      partitions.moveToEnd(partition)
    }
    return session.id
  }

  #update(partitions: FetchedPartitions, request: FetchRequest, version: number): void {
    for (const topic of request.topics) {
      const name = version >= TOPIC_IDS_VERSION ? this.#metadata().topicsById.get(topic.topicId)?.name : topic.topic
      const id = version >= TOPIC_IDS_VERSION ? topic.topicId : ZERO_UUID
      for (const asked of topic.partitions) {
        let partition = partitions.find(name, id, asked.partition)
        if (partition === undefined) {
          partition = new FetchedPartition(name, id, asked.partition)
          partitions.add(partition)
        }
        partition.ask(asked)
      }
    }
  }

  #forget(partitions: FetchedPartitions, request: FetchRequest, version: number): void {
    for (const topic of request.forgottenTopicsData) {
      const id = version >= TOPIC_IDS_VERSION ? topic.topicId : ZERO_UUID
      for (const index of topic.partitions) {
        const partition = partitions.find(topic.topic, id, index)
        if (partition !== undefined) partitions.remove(partition)
      }
    }
  }
}

function finishIncremental(
  session: FetchSession,
  expectedEpoch: number,
  answered: readonly FetchedPartition[],
): FetchOutcome {
  if (session.epoch !== expectedEpoch) {
    return { error: Errors.INVALID_FETCH_SESSION_EPOCH, sessionId: session.id, partitions: [] }
  }
  const news: FetchedPartition[] = []
  for (let i = 0; i < answered.length; i++) {
    const partition = answered[i] as FetchedPartition
    if (!partition.isNews()) continue
    news.push(partition)
    if (partition.read.sizeInBytes > 0) session.partitions.moveToEnd(partition)
  }
  return { error: Errors.NONE, sessionId: session.id, partitions: news }
}
