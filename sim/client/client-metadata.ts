/**
 * A client's metadata: what is known, when to ask again, and what of an answer to believe (Kafka's Metadata).
 *
 * - An answer with a leader epoch below the last seen one is not believed: the partition keeps what was known (KIP-320).
 *   A topic id that changed lets the epoch start again (KIP-516).
 * - An update that was asked for comes after a backoff counted from the last attempt; failures and answers that bring no
 *   newer epoch make it grow. Without being asked, metadata is renewed when it is older than `metadata.max.age.ms`.
 * - Topics that may not be known of, or whose name is refused, are an error for the application: the next call that looks takes it, and
 *   another answer brings it back.
 * - Which topics are asked for and kept is the decision of a `TopicInterest` (ProducerMetadata, ConsumerMetadata).
 *
 * Times are wall-clock milliseconds. Nothing here sends: ClusterClient does.
 */

import type { NodeName } from '../kernel/names.js'
import { partitionName } from '../kernel/names.js'
import type { Random } from '../kernel/random.js'
import type { Epoch, Millis, NodeId } from '../kernel/units.js'
import type { Apis } from '../wire/apis.js'
import { Errors, isInvalidMetadata, type ErrorCode } from '../wire/errors.js'
import { ZERO_UUID } from '../wire/uuid.js'
import { ExponentialBackoff } from './exponential-backoff.js'
import { MetadataSnapshot, type ClusterNode, type PartitionMetadata } from './metadata-snapshot.js'

type MetadataRequest = Apis['Metadata']['request']
type MetadataResponse = Apis['Metadata']['response']
type ResponsePartition = MetadataResponse['topics'][number]['partitions'][number]

/** Which topics a client wants to know about. */
export interface TopicInterest {
  readonly allowAutoTopicCreation: boolean
  /** Topics of a full update; null for all that there are. */
  topics(): readonly string[] | null
  /** Asked for by id instead, where it is there and not undefined. */
  topicIds?(): readonly string[] | undefined
  /** Topics that nothing is known of yet, for a partial update; undefined when this client makes full updates only. */
  newTopics(): readonly string[] | undefined
  /** Whether what is known of the topic stays known. */
  retains(topic: string, isInternal: boolean, nowMs: Millis, topicId?: string): boolean
  /** An answer came, with the errors of its topics. */
  updated(topics: readonly string[], errors: ReadonlyMap<string, ErrorCode>): void
}

export interface LeaderAndEpoch {
  readonly leader: ClusterNode | undefined
  /** -1: not known. */
  readonly epoch: Epoch
}

export const NO_LEADER: LeaderAndEpoch = { leader: undefined, epoch: -1 }

/** A metadata request with what is needed to apply its answer. */
export interface PreparedRequest {
  readonly body: MetadataRequest
  readonly requestVersion: number
  readonly isPartial: boolean
}

/** A leader named in the error of a produce or fetch response (KIP-951). */
export interface NewLeader {
  readonly topic: string
  readonly index: number
  readonly leaderId: NodeId
  readonly leaderEpoch: Epoch
}

export interface MetadataTimes {
  readonly retryBackoffMs: Millis
  readonly retryBackoffMaxMs: Millis
  readonly maxAgeMs: Millis
}

export class ClientMetadata {
  readonly #backoff: ExponentialBackoff
  readonly #maxAgeMs: Millis
  readonly #interest: TopicInterest
  readonly #bootstrapServers: readonly NodeName[]
  #snapshot: MetadataSnapshot
  #updateVersion = 0
  #requestVersion = 0
  #lastRefreshMs: Millis = 0
  #lastSuccessfulRefreshMs: Millis = 0
  #attempts = 0
  #equivalentResponses = 0
  #needFullUpdate = false
  #needPartialUpdate = false
  /** Drawn when first needed after each attempt. */
  #attemptBackoffMs: Millis | undefined
  #equivalentBackoffMs: Millis | undefined
  readonly #longestBackoffMs: Millis
  readonly #lastSeenLeaderEpochs = new Map<string, Epoch>()
  /** The latest answer's errors about topics were not taken yet. */
  #hasTopicErrors = false

  constructor(servers: readonly NodeName[], interest: TopicInterest, times: MetadataTimes, random: Random) {
    this.#bootstrapServers = servers
    this.#interest = interest
    this.#maxAgeMs = times.maxAgeMs
    this.#backoff = new ExponentialBackoff(times.retryBackoffMs, times.retryBackoffMaxMs, random)
    this.#longestBackoffMs = Math.max(times.retryBackoffMs, times.retryBackoffMaxMs)
    this.#snapshot = MetadataSnapshot.bootstrap(servers)
    this.rebootstrap()
  }

  get snapshot(): MetadataSnapshot {
    return this.#snapshot
  }

  /** Grows with every update. */
  get updateVersion(): number {
    return this.#updateVersion
  }

  get updateRequested(): boolean {
    return this.#needFullUpdate || this.#needPartialUpdate
  }

  get maxAgeMs(): Millis {
    return this.#maxAgeMs
  }

  /** Forgets everything but the bootstrap servers (KIP-899). */
  rebootstrap(): void {
    this.#needFullUpdate = true
    this.#updateVersion++
    this.#snapshot = MetadataSnapshot.bootstrap(this.#bootstrapServers)
  }

  /** Asks for a full update; `progress` forgives earlier answers that brought nothing new. */
  requestUpdate(progress = false): void {
    this.#needFullUpdate = true
    if (progress) this.#equivalentResponses = 0
  }

  /** Asks for an update without waiting for the backoff, because there are topics never asked for. */
  requestUpdateForNewTopics(): void {
    this.#lastRefreshMs = 0
    this.#needPartialUpdate = true
    this.#equivalentResponses = 0
    this.#requestVersion++
  }

  /** Milliseconds until the next update is due; 0 when it is. */
  timeToNextUpdate(nowMs: Millis): Millis {
    const toExpire = this.updateRequested ? 0 : Math.max(this.#lastSuccessfulRefreshMs + this.#maxAgeMs - nowMs, 0)
    if (toExpire > this.#longestBackoffMs) return toExpire
    return Math.max(toExpire, this.timeToAllowUpdate(nowMs))
  }

  /** The request that is due now: of new topics only where nothing else is needed. */
  prepareRequest(nowMs: Millis): PreparedRequest {
    let topics: readonly string[] | undefined
    if (!this.#needFullUpdate && this.#lastSuccessfulRefreshMs + this.#maxAgeMs > nowMs)
      topics = this.#interest.newTopics()
    const isPartial = topics !== undefined
    const ids = topics === undefined ? this.#interest.topicIds?.() : undefined
    const { allowAutoTopicCreation } = this.#interest
    return {
      body:
        ids === undefined
          ? metadataRequest(topics ?? this.#interest.topics(), allowAutoTopicCreation)
          : { ...metadataRequest([], false), topics: ids.map((topicId) => ({ topicId, name: null })) },
      requestVersion: this.#requestVersion,
      isPartial,
    }
  }

  /** No answer came, or none of use. */
  failedUpdate(nowMs: Millis): void {
    this.#lastRefreshMs = nowMs
    this.#attempts++
    this.#equivalentResponses = 0
    this.#attemptBackoffMs = undefined
  }

  /** Takes an answer in. `request` is what `prepareRequest` gave. */
  update(request: PreparedRequest, response: MetadataResponse, nowMs: Millis): void {
    this.#needPartialUpdate = request.requestVersion < this.#requestVersion
    this.#lastRefreshMs = nowMs
    this.#attempts = 0
    this.#attemptBackoffMs = undefined
    this.#updateVersion++
    if (!request.isPartial) {
      this.#needFullUpdate = false
      this.#lastSuccessfulRefreshMs = nowMs
    }
    this.#equivalentResponses++
    this.#equivalentBackoffMs = undefined
    this.#snapshot = this.#applied(response, request.isPartial, nowMs)
    this.#hasTopicErrors = this.#snapshot.unauthorizedTopics.size + this.#snapshot.invalidTopics.size > 0
    this.#forgetEpochsOfUnwantedTopics(nowMs)
    const errors = new Map<string, ErrorCode>()
    const names: string[] = []
    for (const topic of response.topics) {
      if (topic.name === null) continue
      names.push(topic.name)
      if (topic.errorCode !== Errors.NONE) errors.set(topic.name, topic.errorCode)
    }
    this.#interest.updated(names, errors)
  }

  /** What the latest answer refused, once (`maybeThrowAnyException`); 0 for nothing. */
  takeError(): ErrorCode {
    if (!this.#hasTopicErrors) return Errors.NONE
    this.#hasTopicErrors = false
    const isDenied = this.#snapshot.unauthorizedTopics.size > 0
    return isDenied ? Errors.TOPIC_AUTHORIZATION_FAILED : Errors.INVALID_TOPIC_EXCEPTION
  }

  /** The same for one topic (`maybeThrowExceptionForTopic`); what was refused of others is forgotten. */
  takeErrorOf(topic: string): ErrorCode {
    if (!this.#hasTopicErrors) return Errors.NONE
    this.#hasTopicErrors = false
    if (this.#snapshot.unauthorizedTopics.has(topic)) return Errors.TOPIC_AUTHORIZATION_FAILED
    return this.#snapshot.invalidTopics.has(topic) ? Errors.INVALID_TOPIC_EXCEPTION : Errors.NONE
  }

  /** The leader to use for a partition, where what is known is as new as the newest epoch seen. */
  currentLeader(topic: string, index: number): LeaderAndEpoch {
    const partition = this.#snapshot.partition(topic, index)
    const seen = this.#lastSeenLeaderEpochs.get(partition?.name ?? partitionName(topic, index))
    if (partition === undefined || (seen !== undefined && partition.leaderEpoch !== seen)) {
      return { leader: undefined, epoch: seen ?? -1 }
    }
    return { leader: this.#snapshot.leaderOf(partition), epoch: partition.leaderEpoch }
  }

  /** -1: never seen. */
  lastSeenLeaderEpoch(partition: string): Epoch {
    return this.#lastSeenLeaderEpochs.get(partition) ?? -1
  }

  /** A newer epoch was seen elsewhere; what is known of the partition is out of date. */
  sawLeaderEpoch(partition: string, epoch: Epoch): void {
    const seen = this.#lastSeenLeaderEpochs.get(partition)
    if (seen === undefined || epoch <= seen) return
    this.#lastSeenLeaderEpochs.set(partition, epoch)
    this.#needFullUpdate = true
  }

  /**
   * Takes in leaders that came with errors (KIP-951). Older ones, and those without a known address, are left alone.
   * Returns the partitions that changed.
   */
  updateLeaders(
    leaders: readonly NewLeader[],
    endpoints: readonly { nodeId: NodeId; host: NodeName }[],
  ): readonly NewLeader[] {
    const nodes = new Map<NodeId, ClusterNode>()
    for (const endpoint of endpoints) nodes.set(endpoint.nodeId, { id: endpoint.nodeId, host: endpoint.host })
    for (const node of this.#snapshot.nodeList) if (!nodes.has(node.id)) nodes.set(node.id, node)
    const topics = new Map(this.#snapshot.topics)
    const changed: NewLeader[] = []
    for (const leader of leaders) {
      const known = this.currentLeader(leader.topic, leader.index).epoch
      const partition = this.#snapshot.partition(leader.topic, leader.index)
      if (known >= leader.leaderEpoch || !nodes.has(leader.leaderId) || partition === undefined) continue
      const renewed = { ...partition, leader: leader.leaderId, leaderEpoch: leader.leaderEpoch }
      const partitions = topics.get(leader.topic) as readonly PartitionMetadata[]
      topics.set(
        leader.topic,
        partitions.map((other) => (other.index === leader.index ? renewed : other)),
      )
      this.#lastSeenLeaderEpochs.set(partition.name, leader.leaderEpoch)
      changed.push(leader)
    }
    if (changed.length > 0) {
      const { clusterId, topicIds, controllerId, invalidTopics, unauthorizedTopics } = this.#snapshot
      const same = { clusterId, topicIds, controllerId, invalidTopics, unauthorizedTopics }
      this.#snapshot = new MetadataSnapshot({ ...same, nodes, topics })
    }
    return changed
  }

  /** Milliseconds until the backoff after the last attempt is over. */
  timeToAllowUpdate(nowMs: Millis): Millis {
    if (this.#lastSuccessfulRefreshMs + this.#maxAgeMs <= nowMs) this.#equivalentResponses = 0
    // One draw for each attempt: how often somebody asks must not matter.
    this.#attemptBackoffMs ??= this.#backoff.backoff(Math.max(this.#attempts - 1, 0))
    let backoff = this.#attemptBackoffMs
    if (this.#equivalentResponses > 0) {
      this.#equivalentBackoffMs ??= this.#backoff.backoff(this.#equivalentResponses - 1)
      backoff = Math.max(backoff, this.#equivalentBackoffMs)
    }
    return Math.max(this.#lastRefreshMs + backoff - nowMs, 0)
  }

  #applied(response: MetadataResponse, isPartial: boolean, nowMs: Millis): MetadataSnapshot {
    const before = this.#snapshot
    const topics = new Map<string, readonly PartitionMetadata[]>()
    const topicIds = new Map<string, string>()
    const invalidTopics = new Set<string>()
    const unauthorizedTopics = new Set<string>()
    const answered = new Set<string>()
    for (const topic of response.topics) {
      if (topic.name === null) continue
      answered.add(topic.name)
      const hasId = topic.topicId !== ZERO_UUID
      if (hasId) topicIds.set(topic.name, topic.topicId)
      if (!this.#interest.retains(topic.name, topic.isInternal, nowMs, topic.topicId)) continue
      if (topic.errorCode === Errors.NONE) {
        const recreated = hasId && topic.topicId !== before.topicIds.get(topic.name)
        const partitions = this.#partitionsOf(topic.name, topic.partitions, recreated)
        if (partitions.length > 0) topics.set(topic.name, partitions)
      } else {
        if (isInvalidMetadata(topic.errorCode)) this.requestUpdate()
        if (topic.errorCode === Errors.INVALID_TOPIC_EXCEPTION) invalidTopics.add(topic.name)
        else if (topic.errorCode === Errors.TOPIC_AUTHORIZATION_FAILED) unauthorizedTopics.add(topic.name)
      }
    }
    if (isPartial) {
      const stays = (name: string): boolean => !answered.has(name) && this.#interest.retains(name, false, nowMs)
      for (const [name, partitions] of before.topics) if (stays(name)) topics.set(name, partitions)
      for (const [name, id] of before.topicIds) if (stays(name)) topicIds.set(name, id)
      for (const name of before.invalidTopics) if (stays(name)) invalidTopics.add(name)
      for (const name of before.unauthorizedTopics) if (stays(name)) unauthorizedTopics.add(name)
    }
    const nodes = new Map<NodeId, ClusterNode>()
    for (const { nodeId: id, host, rack } of response.brokers) {
      nodes.set(id, rack === null ? { id, host } : { id, host, rack })
    }
    const { clusterId, controllerId } = response
    return new MetadataSnapshot({ clusterId, nodes, topics, topicIds, controllerId, invalidTopics, unauthorizedTopics })
  }

  #partitionsOf(
    topic: string,
    answered: readonly ResponsePartition[],
    recreated: boolean,
  ): readonly PartitionMetadata[] {
    const partitions: PartitionMetadata[] = []
    for (const answer of answered) {
      const believed = this.#believed(topic, answer, recreated)
      if (believed !== undefined) partitions.push(believed)
      if (isInvalidMetadata(answer.errorCode)) this.requestUpdate()
    }
    return partitions.sort((a, b) => a.index - b.index)
  }

  #believed(topic: string, answer: ResponsePartition, recreated: boolean): PartitionMetadata | undefined {
    const name = partitionName(topic, answer.partitionIndex)
    const seen = this.#lastSeenLeaderEpochs.get(name)
    if (answer.leaderEpoch < 0) {
      this.#lastSeenLeaderEpochs.delete(name)
      this.#equivalentResponses = 0
    } else if (seen === undefined || recreated || answer.leaderEpoch >= seen) {
      this.#lastSeenLeaderEpochs.set(name, answer.leaderEpoch)
      if (answer.leaderEpoch !== seen || recreated) this.#equivalentResponses = 0
    } else {
      return this.#snapshot.partition(topic, answer.partitionIndex)
    }
    return {
      topic,
      index: answer.partitionIndex,
      name,
      error: answer.errorCode,
      leader: answer.leaderId,
      leaderEpoch: answer.leaderEpoch,
      replicas: answer.replicaNodes,
      isr: answer.isrNodes,
      offline: answer.offlineReplicas,
    }
  }

  #forgetEpochsOfUnwantedTopics(nowMs: Millis): void {
    for (const name of this.#lastSeenLeaderEpochs.keys()) {
      const topic = name.slice(0, name.lastIndexOf('-'))
      if (!this.#interest.retains(topic, false, nowMs)) this.#lastSeenLeaderEpochs.delete(name)
    }
  }
}

/** A request for metadata of the named topics. */
export function metadataRequest(topics: readonly string[] | null, allowAutoTopicCreation: boolean): MetadataRequest {
  return {
    topics: topics === null ? null : topics.map((name) => ({ topicId: ZERO_UUID, name })),
    allowAutoTopicCreation,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  }
}
