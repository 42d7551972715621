/**
 * The consumer's side of a fetch session with one broker (KIP-227; Kafka's FetchSessionHandler).
 *
 *     session id 0, epoch 0      full request that asks for a session
 *     session id n, epoch 1, 2…  incremental: what was added or changed, and what is to be forgotten
 *     session id n, epoch 0      closes session n, and asks for another
 *     session id n, epoch -1     closes session n
 *
 * The broker remembers every partition of the session and answers for those that have news. After an error, or an answer
 * that does not fit, the next request is full.
 */

import { partitionName } from '../kernel/names.js'
import { INT_MAX, LONG_MAX, type Bytes, type Epoch, type Offset } from '../kernel/units.js'
import type { Apis } from '../wire/apis.js'
import { Errors } from '../wire/errors.js'
import { ZERO_UUID } from '../wire/uuid.js'
import type { TopicPartition } from './subscription-state.js'

type FetchRequest = Apis['Fetch']['request']
type FetchResponse = Apis['Fetch']['response']
export type FetchedPartition = FetchResponse['responses'][number]['partitions'][number]

/** What is asked for one partition. */
export interface SessionPartition extends TopicPartition {
  readonly name: string
  readonly topicId: string
  readonly fetchOffset: Offset
  readonly currentLeaderEpoch: Epoch
  readonly maxBytes: Bytes
}

/** The parts of a Fetch request that the session decides. */
export interface SessionRequest {
  readonly sessionId: number
  readonly sessionEpoch: number
  readonly topics: FetchRequest['topics']
  readonly forgottenTopicsData: FetchRequest['forgottenTopicsData']
  /** Every partition of the session as of this request. */
  readonly partitions: ReadonlyMap<string, SessionPartition>
}

const INITIAL_EPOCH = 0
const FINAL_EPOCH = -1

export class FetchSession {
  #sessionId = 0
  #epoch = INITIAL_EPOCH
  #partitions = new Map<string, SessionPartition>()
  /** Of the topics in the session, by id. */
  readonly #topicNames = new Map<string, string>()

  get sessionId(): number {
    return this.#sessionId
  }

  get partitions(): ReadonlyMap<string, SessionPartition> {
    return this.#partitions
  }

  /** The request after which the session holds exactly `wanted`. */
  next(wanted: readonly SessionPartition[]): SessionRequest {
    this.#topicNames.clear()
    for (const partition of wanted) this.#topicNames.set(partition.topicId, partition.topic)
    if (this.#epoch === INITIAL_EPOCH || this.#epoch === FINAL_EPOCH) {
      this.#partitions = new Map(wanted.map((partition) => [partition.name, partition]))
      return this.#request(wanted, [])
    }
    const byName = new Map(wanted.map((partition) => [partition.name, partition]))
    const changed: SessionPartition[] = []
    const forgotten: SessionPartition[] = []
    const kept = new Map<string, SessionPartition>()
    for (const [name, before] of this.#partitions) {
      const now = byName.get(name)
      byName.delete(name)
      if (now === undefined) {
        forgotten.push(before)
        continue
      }
      kept.set(name, now)
      // A topic of the same name under another id is another topic.
      if (now.topicId !== before.topicId) forgotten.push(before)
      if (!isSame(before, now)) changed.push(now)
    }
    for (const [name, added] of byName) {
      kept.set(name, added)
      changed.push(added)
    }
    this.#partitions = kept
    return this.#request(changed, forgotten)
  }

  /** The request that closes the session, or undefined when there is none. */
  closing(): SessionRequest | undefined {
    if (this.#sessionId === 0) return undefined
    this.#epoch = FINAL_EPOCH
    this.#partitions = new Map()
    return this.#request([], [])
  }

  /** Takes an answer in; false when its content must not be used. */
  answered(response: FetchResponse): boolean {
    if (response.errorCode !== Errors.NONE) {
      if (response.errorCode === Errors.FETCH_SESSION_ID_NOT_FOUND) this.#begin(0)
      else this.#epoch = INITIAL_EPOCH
      return false
    }
    const wasFull = this.#epoch === INITIAL_EPOCH
    if (!this.#fits(response, wasFull)) {
      if (wasFull) this.#begin(0)
      else this.#epoch = INITIAL_EPOCH
      return false
    }
    if (response.sessionId === 0) this.#begin(0)
    else if (wasFull) {
      this.#sessionId = response.sessionId
      this.#epoch = 1
    } else this.#epoch = this.#epoch === INT_MAX ? 1 : this.#epoch + 1
    return true
  }

  /** No answer came: the broker may or may not have taken the request in. */
  failed(): void {
    this.#epoch = INITIAL_EPOCH
  }

  /** The session's partition that an answer is about. */
  partitionOf(topic: FetchResponse['responses'][number], index: number): SessionPartition | undefined {
    const name = topic.topicId === ZERO_UUID ? topic.topic : this.#topicNames.get(topic.topicId)
    return name === undefined ? undefined : this.#partitions.get(partitionName(name, index))
  }

  #begin(sessionId: number): void {
    this.#sessionId = sessionId
    this.#epoch = INITIAL_EPOCH
  }

  /** A full answer names exactly the partitions of the session, an incremental one none besides. */
  #fits(response: FetchResponse, wasFull: boolean): boolean {
    let answered = 0
    for (const topic of response.responses) {
      for (const partition of topic.partitions) {
        if (this.partitionOf(topic, partition.partitionIndex) === undefined) return false
        answered++
      }
    }
    return !wasFull || answered === this.#partitions.size
  }

  #request(send: readonly SessionPartition[], forget: readonly SessionPartition[]): SessionRequest {
    return {
      sessionId: this.#sessionId,
      sessionEpoch: this.#epoch,
      topics: byTopic(send).map(([first, partitions]) => ({
        topic: first.topic,
        topicId: first.topicId,
        partitions: partitions.map(fetchPartition),
      })),
      forgottenTopicsData: byTopic(forget).map(([first, partitions]) => ({
        topic: first.topic,
        topicId: first.topicId,
        partitions: partitions.map((partition) => partition.index),
      })),
      partitions: this.#partitions,
    }
  }
}

function fetchPartition(partition: SessionPartition): FetchRequest['topics'][number]['partitions'][number] {
  return {
    partition: partition.index,
    currentLeaderEpoch: partition.currentLeaderEpoch,
    fetchOffset: partition.fetchOffset,
    lastFetchedEpoch: -1,
    logStartOffset: -1,
    partitionMaxBytes: partition.maxBytes,
    replicaDirectoryId: ZERO_UUID,
    highWatermark: LONG_MAX,
  }
}

/** Neighbours of one topic together, as Kafka's builder puts them into a request. */
function byTopic(partitions: readonly SessionPartition[]): [SessionPartition, SessionPartition[]][] {
  const groups: [SessionPartition, SessionPartition[]][] = []
  for (const partition of partitions) {
    const last = groups[groups.length - 1]
    if (last !== undefined && last[0].topic === partition.topic && last[0].topicId === partition.topicId)
      last[1].push(partition)
    else groups.push([partition, [partition]])
  }
  return groups
}

function isSame(a: SessionPartition, b: SessionPartition): boolean {
  return (
    a.topicId === b.topicId &&
    a.fetchOffset === b.fetchOffset &&
    a.currentLeaderEpoch === b.currentLeaderEpoch &&
    a.maxBytes === b.maxBytes
  )
}
