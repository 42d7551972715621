/**
 * Fetches ahead of the application (Kafka's Fetcher, AbstractFetch, FetchCollector, FetchBuffer).
 *
 * - One request per broker at a time, for all its partitions that are fetchable and of which nothing is buffered; none
 *   while something of that broker is buffered, so that its fetch session keeps all its partitions.
 * - What comes is buffered and handed out partition by partition, up to `max.poll.records`. An answer whose offset is not
 *   the position any more is dropped.
 * - Errors of a partition are dealt with when their turn comes: stale metadata asks for new, an offset out of range is
 *   reset by policy. What the application must know is raised once nothing else is to be handed out.
 */

import type { Env } from '../kernel/env.js'
import { partitionName } from '../kernel/names.js'
import type { Bytes, Millis, NodeId } from '../kernel/units.js'
import type { Apis } from '../wire/apis.js'
import { Errors, errorName, type ErrorCode } from '../wire/errors.js'
import { ZERO_UUID } from '../wire/uuid.js'
import type { ClientMetadata, NewLeader } from './client-metadata.js'
import type { ClusterClient } from './cluster-client.js'
import { CompletedFetch, type ConsumedRecord, type ReadRules } from './completed-fetch.js'
import type { ConsumerConfig } from './consumer-config.js'
import { FetchSession, type SessionPartition, type SessionRequest } from './fetch-session.js'
import type { ClusterNode } from './metadata-snapshot.js'
import type { AssignedPartition, FetchPosition, SubscriptionState } from './subscription-state.js'

type FetchRequest = Apis['Fetch']['request']
type FetchResponse = Apis['Fetch']['response']

/** What stops a consumer until the application does something about it. */
export interface ConsumerError {
  readonly partition: string
  /** Kafka's error name, or NO_OFFSET_FOR_PARTITION, LOG_TRUNCATION. */
  readonly error: string
}

export interface Collected {
  readonly records: ConsumedRecord[]
  /** Some position moved, maybe past records that are not for the application. */
  advanced: boolean
  error: ConsumerError | undefined
}

/** What to ask one broker for. */
interface Wanted {
  readonly node: ClusterNode
  readonly partitions: SessionPartition[]
}

export class Fetcher {
  readonly #env: Env
  readonly #config: ConsumerConfig
  readonly #subscriptions: SubscriptionState
  readonly #metadata: ClientMetadata
  readonly #cluster: ClusterClient
  readonly #rules: ReadRules
  readonly #maxBytesPerPartition: Bytes
  readonly #sessions = new Map<NodeId, FetchSession>()
  /** Brokers that have not answered yet. */
  readonly #pending = new Set<NodeId>()
  #completed: CompletedFetch[] = []
  #nextInLine: CompletedFetch | undefined

  constructor(
    env: Env,
    config: ConsumerConfig,
    subscriptions: SubscriptionState,
    metadata: ClientMetadata,
    cluster: ClusterClient,
  ) {
    this.#env = env
    this.#config = config
    this.#subscriptions = subscriptions
    this.#metadata = metadata
    this.#cluster = cluster
    this.#maxBytesPerPartition = config['max.partition.fetch.bytes']
    this.#rules = { readCommitted: config['isolation.level'] === 'read_committed', checkCrcs: config['check.crcs'] }
  }

  /** Something buffered can be handed out. */
  get hasAvailable(): boolean {
    if (this.#nextInLine !== undefined && !this.#nextInLine.isConsumed && this.#isFetchable(this.#nextInLine))
      return true
    return this.#completed.some((fetch) => this.#isFetchable(fetch))
  }

  /** Sends what can be fetched. Returns how many requests went out. */
  sendFetches(): number {
    const nowMs = this.#env.clock.wallMs()
    const wanted = this.#wantedByNode(nowMs)
    for (const { node, partitions } of wanted.values()) {
      let session = this.#sessions.get(node.id)
      if (session === undefined) {
        session = new FetchSession()
        this.#sessions.set(node.id, session)
      }
      this.#send(node, session, session.next(partitions))
    }
    return wanted.size
  }

  /** Hands out up to `max` records, in the order in which they were fetched. */
  collect(max: number): Collected {
    const collected: Collected = { records: [], advanced: false, error: undefined }
    const paused: CompletedFetch[] = []
    let left = max
    while (left > 0) {
      const next = this.#nextInLine
      if (next === undefined || next.isConsumed) {
        const completed = this.#completed[0]
        if (completed === undefined) break
        const failure = completed.isInitialized ? undefined : this.#initialize(completed)
        if (failure !== undefined) {
          // What was collected goes first; the error is met again by the next poll.
          if (collected.records.length > 0 || collected.advanced) break
          if (completed.isEmpty) this.#completed.shift()
          collected.error = failure
          break
        }
        this.#nextInLine = completed.isInitialized ? completed : undefined
        this.#completed.shift()
      } else if (next.partition.paused) {
        paused.push(next)
        this.#nextInLine = undefined
      } else {
        const failure = this.#take(next, left, collected)
        if (failure !== undefined) {
          if (collected.records.length === 0 && !collected.advanced) collected.error = failure
          break
        }
        left = max - collected.records.length
      }
    }
    this.#completed.push(...paused)
    return collected
  }

  /** Drops what is buffered of partitions that are not assigned any more, or not wanted. */
  dropUnassigned(isWanted: (partition: AssignedPartition) => boolean = () => true): void {
    const stays = (fetch: CompletedFetch): boolean => this.#isAssigned(fetch) && isWanted(fetch.partition)
    this.#completed = this.#completed.filter(stays)
    if (this.#nextInLine !== undefined && !stays(this.#nextInLine)) this.#nextInLine = undefined
  }

  /** Closes the sessions that can be reached; `done` once the brokers know. */
  closeSessions(done: () => void): void {
    const closing: [ClusterNode, SessionRequest][] = []
    for (const [id, session] of this.#sessions) {
      const node = this.#metadata.snapshot.nodes.get(id)
      const request = session.closing()
      if (node !== undefined && request !== undefined && this.#cluster.isReady(node)) closing.push([node, request])
    }
    let left = closing.length
    if (left === 0) done()
    for (const [node, request] of closing) {
      this.#cluster.sendWhenReady(node, 'Fetch', this.#request(request), () => {
        left--
        if (left === 0) done()
      })
    }
  }

  // ── sending ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #wantedByNode(nowMs: Millis): Map<NodeId, Wanted> {
    const buffered = this.#buffered()
    const bufferedNodes = new Set<NodeId>()
    for (const partition of buffered) {
      const node = this.#subscriptions.isFetchable(partition) ? this.#nodeFor(partition, nowMs) : undefined
      if (node !== undefined) bufferedNodes.add(node.id)
    }
    const wanted = new Map<NodeId, Wanted>()
    for (const partition of this.#subscriptions.assigned()) {
      if (!this.#subscriptions.isFetchable(partition) || buffered.has(partition)) continue
      const node = this.#nodeFor(partition, nowMs)
      if (node === undefined || this.#cluster.isUnavailable(node)) continue
      if (this.#pending.has(node.id) || bufferedNodes.has(node.id)) continue
      const ofNode = wanted.get(node.id)
      const asked = this.#asked(partition)
      if (ofNode === undefined) wanted.set(node.id, { node, partitions: [asked] })
      else ofNode.partitions.push(asked)
    }
    return wanted
  }

  #asked(partition: AssignedPartition): SessionPartition {
    const position = partition.position as FetchPosition
    return {
      topic: partition.topic,
      index: partition.index,
      name: partition.name,
      topicId: this.#metadata.snapshot.topicIds.get(partition.topic) ?? ZERO_UUID,
      fetchOffset: position.offset,
      currentLeaderEpoch: position.leader.epoch,
      maxBytes: this.#maxBytesPerPartition,
    }
  }

  #buffered(): Set<AssignedPartition> {
    const buffered = new Set<AssignedPartition>()
    if (this.#nextInLine !== undefined && !this.#nextInLine.isConsumed) buffered.add(this.#nextInLine.partition)
    for (const fetch of this.#completed) buffered.add(fetch.partition)
    return buffered
  }

  /** The leader, or the replica that it sent us to (KIP-392). */
  #nodeFor(partition: AssignedPartition, nowMs: Millis): ClusterNode | undefined {
    const leader = (partition.position as FetchPosition).leader.leader
    if (leader === undefined) {
      this.#metadata.requestUpdate()
      return undefined
    }
    const snapshot = this.#metadata.snapshot
    const preferred = partition.preferredReplica(nowMs)
    if (preferred === undefined) return snapshot.nodes.get(leader.id) ?? leader
    const node = snapshot.nodes.get(preferred)
    if (node !== undefined && !snapshot.partition(partition.topic, partition.index)?.offline.includes(preferred))
      return node
    this.#askForMetadata(partition)
    return snapshot.nodes.get(leader.id) ?? leader
  }

  #send(node: ClusterNode, session: FetchSession, request: SessionRequest): void {
    this.#pending.add(node.id)
    this.#cluster.sendWhenReady(node, 'Fetch', this.#request(request), (result) => {
      this.#pending.delete(node.id)
      if (result.ok) {
        this.#answered(session, request, result.response)
        return
      }
      session.failed()
      for (const name of session.partitions.keys()) this.#subscriptions.get(name)?.clearPreferredReplica()
    })
  }

  #request(request: SessionRequest): FetchRequest {
    const config = this.#config
    return {
      clusterId: null,
      replicaId: -1,
      replicaState: NO_REPLICA,
      maxWaitMs: config['fetch.max.wait.ms'],
      minBytes: config['fetch.min.bytes'],
      maxBytes: config['fetch.max.bytes'],
      isolationLevel: this.#rules.readCommitted ? 1 : 0,
      sessionId: request.sessionId,
      sessionEpoch: request.sessionEpoch,
      topics: request.topics,
      forgottenTopicsData: request.forgottenTopicsData,
      rackId: config['client.rack'],
    }
  }

  #answered(session: FetchSession, request: SessionRequest, response: FetchResponse): void {
    if (!session.answered(response)) {
      if (response.errorCode === Errors.FETCH_SESSION_TOPIC_ID_ERROR) this.#metadata.requestUpdate()
      return
    }
    const leaders: NewLeader[] = []
    for (const topic of response.responses) {
      for (const answer of topic.partitions) {
        const asked = session.partitionOf(topic, answer.partitionIndex)
        const sent = asked === undefined ? undefined : request.partitions.get(asked.name)
        const partition = asked === undefined ? undefined : this.#subscriptions.get(asked.name)
        if (sent === undefined || partition === undefined) continue
        const { leaderId, leaderEpoch } = answer.currentLeader
        if (isStaleLeader(answer.errorCode) && leaderId !== -1 && leaderEpoch !== -1) {
          leaders.push({ topic: partition.topic, index: partition.index, leaderId, leaderEpoch })
        }
        this.#completed.push(new CompletedFetch(partition, answer, sent.fetchOffset))
      }
    }
    if (leaders.length === 0) return
    for (const { topic, index } of this.#metadata.updateLeaders(leaders, response.nodeEndpoints)) {
      this.#subscriptions.get(partitionName(topic, index))?.maybeValidate(this.#metadata.currentLeader(topic, index))
    }
  }

  // ── handing out ───────────────────────────────────────────────────────────────────────────────────────────────────

  #take(next: CompletedFetch, max: number, collected: Collected): ConsumerError | undefined {
    const partition = next.partition
    const position = partition.position
    if (!this.#isFetchable(next) || position === undefined || position.offset !== next.nextOffset) {
      next.drain()
      return undefined
    }
    const taken = next.take(max, this.#rules, collected.records)
    if (next.nextOffset > position.offset) {
      partition.advance({ offset: next.nextOffset, offsetEpoch: next.lastEpoch, leader: position.leader })
      collected.advanced = true
    }
    if (next.isConsumed && next.anyTaken) this.#subscriptions.moveToEnd(partition)
    return next.isCorrupt && taken === 0 ? { partition: partition.name, error: 'CORRUPT_MESSAGE' } : undefined
  }

  /** Looks at an answer for the first time; leaves it uninitialized when there is nothing to take. */
  #initialize(fetch: CompletedFetch): ConsumerError | undefined {
    const { partition, answer } = fetch
    if (!this.#isAssigned(fetch) || !partition.hasValidPosition) return undefined
    if (answer.errorCode !== Errors.NONE) {
      const failure = this.#failed(fetch, answer.errorCode)
      this.#subscriptions.moveToEnd(partition)
      return failure
    }
    if (partition.position?.offset !== fetch.nextOffset) return undefined
    if (answer.highWatermark >= 0) partition.highWatermark = answer.highWatermark
    if (answer.logStartOffset >= 0) partition.logStartOffset = answer.logStartOffset
    if (answer.lastStableOffset >= 0) partition.lastStableOffset = answer.lastStableOffset
    if (answer.preferredReadReplica !== -1) {
      partition.prefer(answer.preferredReadReplica, this.#env.clock.wallMs() + this.#metadata.maxAgeMs)
    }
    fetch.isInitialized = true
    return undefined
  }

  #failed(fetch: CompletedFetch, error: ErrorCode): ConsumerError | undefined {
    const { partition } = fetch
    if (METADATA_ERRORS.has(error)) {
      this.#askForMetadata(partition)
      return undefined
    }
    if (error === Errors.UNKNOWN_LEADER_EPOCH || error === Errors.UNKNOWN_SERVER_ERROR) return undefined
    if (error === Errors.OFFSET_OUT_OF_RANGE) {
      // From a follower it may only be behind: the leader decides.
      if (partition.clearPreferredReplica() || partition.position?.offset !== fetch.nextOffset) return undefined
      const strategy = this.#subscriptions.defaultReset
      if (strategy === undefined) return { partition: partition.name, error: errorName(error) }
      partition.reset(strategy)
      return undefined
    }
    return { partition: partition.name, error: errorName(error) }
  }

  #askForMetadata(partition: AssignedPartition): void {
    this.#metadata.requestUpdate()
    partition.clearPreferredReplica()
  }

  #isAssigned(fetch: CompletedFetch): boolean {
    return this.#subscriptions.get(fetch.partition.name) === fetch.partition
  }

  #isFetchable(fetch: CompletedFetch): boolean {
    return this.#isAssigned(fetch) && this.#subscriptions.isFetchable(fetch.partition)
  }
}

const NO_REPLICA: FetchRequest['replicaState'] = { replicaId: -1, replicaEpoch: -1 }

/** Errors after which new metadata tells where to fetch. */
const METADATA_ERRORS: ReadonlySet<ErrorCode> = new Set([
  Errors.NOT_LEADER_OR_FOLLOWER,
  Errors.REPLICA_NOT_AVAILABLE,
  Errors.KAFKA_STORAGE_ERROR,
  Errors.FENCED_LEADER_EPOCH,
  Errors.OFFSET_NOT_AVAILABLE,
  Errors.UNKNOWN_TOPIC_OR_PARTITION,
  Errors.UNKNOWN_TOPIC_ID,
  Errors.INCONSISTENT_TOPIC_ID,
])

function isStaleLeader(error: ErrorCode): boolean {
  return error === Errors.NOT_LEADER_OR_FOLLOWER || error === Errors.FENCED_LEADER_EPOCH
}
