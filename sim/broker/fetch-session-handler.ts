/**
 * Incremental fetch sessions, the fetcher's side (KIP-227; Kafka's `FetchSessionHandler`).
 *
 * One handler for each fetcher and source broker. A request is built by `begin`, one `add` for each partition that is
 * to be fetched, and `build`, which finds what differs from what the session already holds: partitions that are new or
 * asked for something else are named, those that are no longer wanted are forgotten, the rest is implied.
 *
 *   next request    answer                                                   next request then
 *   any             FETCH_SESSION_ID_NOT_FOUND                               full, no session
 *   any             any other error, or none came                            full, closing the session
 *   full            a session id                                             incremental, epoch 1
 *   full            no session id, or not exactly the partitions asked for   full, no session
 *   incremental     partitions that were not asked for                       full, closing the session
 *   incremental     no session id                                            full, no session
 *   incremental     its session id                                           incremental, next epoch
 */

import type { Bytes, Epoch, Offset } from '../kernel/units.js'
import { LONG_MAX } from '../kernel/units.js'
import { Errors } from '../wire/errors.js'
import type {
  FetchPartition,
  FetchResponse,
  FetchTopic,
  ForgottenTopic,
  PartitionData,
} from '../wire/messages/fetch.js'
import { ZERO_UUID } from '../wire/uuid.js'
import { INITIAL_EPOCH, INVALID_SESSION_ID, nextSessionEpoch } from './fetch-session.js'

/** A partition as the session has it: what the leader was last asked for it. */
export class SessionPartition {
  /** `topic-index`. */
  readonly name: string
  readonly topic: string
  topicId: string
  readonly index: number
  fetchOffset: Offset = -1
  logStartOffset: Offset = -1
  maxBytes: Bytes = 0
  currentLeaderEpoch: Epoch = -1
  lastFetchedEpoch: Epoch = -1
  /** The id to forget when the topic behind the name has become another. */
  replacedTopicId: string | undefined
  /** Which build last wanted it, and whether it differs from what the leader knows. */
  build = 0
  isChanged = false

  constructor(name: string, topic: string, topicId: string, index: number) {
    this.name = name
    this.topic = topic
    this.topicId = topicId
    this.index = index
  }
}

/** What of a fetch request the session decides. */
export interface SessionRequest {
  readonly sessionId: number
  readonly sessionEpoch: number
  readonly topics: readonly FetchTopic[]
  readonly forgottenTopicsData: readonly ForgottenTopic[]
  /** Partitions in the session with this request, implied ones included. */
  readonly size: number
}

/** One partition of an answer, with what it was asked. */
export interface SessionAnswer {
  readonly asked: SessionPartition
  readonly data: PartitionData
}

/** `nothing`: the answer holds nothing to process; `topic-ids`: names and ids do not agree. */
export type SessionVerdict = readonly SessionAnswer[] | 'nothing' | 'topic-ids'

export class FetchSessionHandler {
  #sessionId = INVALID_SESSION_ID
  #sessionEpoch = INITIAL_EPOCH
  #build = 0
  /** By name, in the order in which they entered the session. */
  #partitions = new Map<string, SessionPartition>()
  /** By topic id (or name, for a topic without one), then index. */
  #byTopic = new Map<string, (SessionPartition | undefined)[]>()
  #added: SessionPartition[] = []

  begin(): void {
    this.#build++
    this.#added = []
    if (this.#sessionEpoch !== INITIAL_EPOCH) return
    this.#partitions = new Map()
    this.#byTopic = new Map()
  }

  /** Wants partition `name` from `fetchOffset` on. */
  add(
    name: string,
    topic: string,
    topicId: string,
    index: number,
    fetchOffset: Offset,
    logStartOffset: Offset,
    maxBytes: Bytes,
    currentLeaderEpoch: Epoch,
    lastFetchedEpoch: Epoch,
  ): void {
    let partition = this.#partitions.get(name)
    if (partition === undefined) {
      partition = new SessionPartition(name, topic, topicId, index)
      this.#partitions.set(name, partition)
      this.#index(partition)
      this.#added.push(partition)
    } else {
      const isReplaced = partition.topicId !== topicId && partition.topicId !== ZERO_UUID && topicId !== ZERO_UUID
      partition.replacedTopicId = isReplaced ? partition.topicId : undefined
      partition.isChanged =
        isReplaced ||
        partition.fetchOffset !== fetchOffset ||
        partition.logStartOffset !== logStartOffset ||
        partition.currentLeaderEpoch !== currentLeaderEpoch ||
        partition.lastFetchedEpoch !== lastFetchedEpoch ||
        partition.maxBytes !== maxBytes
      if (partition.topicId !== topicId) {
        this.#unindex(partition)
        partition.topicId = topicId
        this.#index(partition)
      }
    }
    partition.build = this.#build
    partition.fetchOffset = fetchOffset
    partition.logStartOffset = logStartOffset
    partition.maxBytes = maxBytes
    partition.currentLeaderEpoch = currentLeaderEpoch
    partition.lastFetchedEpoch = lastFetchedEpoch
  }

  build(): SessionRequest {
    const isFull = this.#sessionEpoch === INITIAL_EPOCH
    const send = this.#added
    const forget: SessionPartition[] = []
    const replaced: SessionPartition[] = []
    if (!isFull) {
      for (const [name, partition] of this.#partitions) {
        if (partition.build !== this.#build) {
          forget.push(partition)
          this.#partitions.delete(name)
          this.#unindex(partition)
        } else if (partition.isChanged) {
          send.push(partition)
          if (partition.replacedTopicId !== undefined) replaced.push(partition)
          partition.isChanged = false
        }
      }
    }
    return {
      sessionId: this.#sessionId,
      sessionEpoch: this.#sessionEpoch,
      topics: topicsOf(send),
      forgottenTopicsData: forgottenOf(forget, replaced),
      size: this.#partitions.size,
    }
  }

  /** Takes in an answer. */
  handleResponse(response: FetchResponse): SessionVerdict {
    if (response.errorCode !== Errors.NONE) {
      if (response.errorCode === Errors.FETCH_SESSION_ID_NOT_FOUND) this.#reset()
      else this.#sessionEpoch = INITIAL_EPOCH
      return response.errorCode === Errors.FETCH_SESSION_TOPIC_ID_ERROR ? 'topic-ids' : 'nothing'
    }
    const isFull = this.#sessionEpoch === INITIAL_EPOCH
    const answers = this.#answers(response)
    if (answers === undefined || (isFull && answers.length !== this.#partitions.size)) {
      if (isFull) this.#reset()
      else this.#sessionEpoch = INITIAL_EPOCH
      return 'nothing'
    }
    if (response.sessionId === INVALID_SESSION_ID) this.#reset()
    else {
      this.#sessionId = response.sessionId
      this.#sessionEpoch = nextSessionEpoch(this.#sessionEpoch)
    }
    return answers
  }

  /** No answer came: the session is closed with the next request. */
  handleError(): void {
    this.#sessionEpoch = INITIAL_EPOCH
  }

  /** undefined when one of them was not asked for. */
  #answers(response: FetchResponse): SessionAnswer[] | undefined {
    const answers: SessionAnswer[] = []
    for (const topic of response.responses) {
      const known = this.#byTopic.get(topic.topicId === ZERO_UUID ? topic.topic : topic.topicId)
      for (const data of topic.partitions) {
        const asked = known?.[data.partitionIndex]
        if (asked === undefined) return undefined
        answers.push({ asked, data })
      }
    }
    return answers
  }

  #index(partition: SessionPartition): void {
    const key = partition.topicId === ZERO_UUID ? partition.topic : partition.topicId
    const known = this.#byTopic.get(key)
    if (known !== undefined) known[partition.index] = partition
    else {
      const list: (SessionPartition | undefined)[] = []
      list[partition.index] = partition
      this.#byTopic.set(key, list)
    }
  }

  #unindex(partition: SessionPartition): void {
    const known = this.#byTopic.get(partition.topicId === ZERO_UUID ? partition.topic : partition.topicId)
    if (known?.[partition.index] === partition) known[partition.index] = undefined
  }

  #reset(): void {
    this.#sessionId = INVALID_SESSION_ID
    this.#sessionEpoch = INITIAL_EPOCH
  }
}

/** Groups neighbours of one topic, in order. */
function topicsOf(partitions: readonly SessionPartition[]): FetchTopic[] {
  const topics: { topic: string; topicId: string; partitions: FetchPartition[] }[] = []
  let last: { topic: string; topicId: string; partitions: FetchPartition[] } | undefined
  for (let i = 0; i < partitions.length; i++) {
    const partition = partitions[i] as SessionPartition
    if (last === undefined || last.topicId !== partition.topicId || last.topic !== partition.topic) {
      last = { topic: partition.topic, topicId: partition.topicId, partitions: [] }
      topics.push(last)
    }
    last.partitions.push({
      partition: partition.index,
      currentLeaderEpoch: partition.currentLeaderEpoch,
      fetchOffset: partition.fetchOffset,
      lastFetchedEpoch: partition.lastFetchedEpoch,
      logStartOffset: partition.logStartOffset,
      partitionMaxBytes: partition.maxBytes,
      replicaDirectoryId: ZERO_UUID,
      highWatermark: LONG_MAX,
    })
  }
  return topics
}

const NOTHING_FORGOTTEN: readonly ForgottenTopic[] = []

function forgottenOf(
  forget: readonly SessionPartition[],
  replaced: readonly SessionPartition[],
): readonly ForgottenTopic[] {
  if (forget.length === 0 && replaced.length === 0) return NOTHING_FORGOTTEN
  const topics = new Map<string, { topic: string; topicId: string; partitions: number[] }>()
  const add = (topic: string, topicId: string, index: number): void => {
    const known = topics.get(topicId)
    if (known === undefined) topics.set(topicId, { topic, topicId, partitions: [index] })
    else known.partitions.push(index)
  }
  for (const partition of forget) add(partition.topic, partition.topicId, partition.index)
  for (const partition of replaced) {
    if (partition.replacedTopicId !== undefined) add(partition.topic, partition.replacedTopicId, partition.index)
  }
  return [...topics.values()]
}
