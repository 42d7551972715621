/**
 * Fetch, for followers and consumers (Kafka's `KafkaApis.handleFetchRequest`, `ReplicaManager.fetchMessages`,
 * `DelayedFetch`; KIP-227, KIP-320, KIP-392, KIP-516, KIP-595, KIP-951).
 *
 *   answered at once    max wait ≤ 0 · nothing to read · min bytes are there · an error · a diverging epoch
 *   else it waits       until one of its partitions is no longer led or hosted here, has another leader epoch, ends
 *                       before the fetch offset or has a diverging epoch, until min bytes are there, or max wait is
 *                       over; then everything is read again
 *
 * For a follower bytes are there once appended, for a consumer once below the high watermark or the last stable offset.
 * The first partition with records gives at least one batch whatever the limits; after it the rest of the response's
 * limit is shared out in order. Only the first read of a follower's fetch counts as what it has. Every answer that
 * gives a client records is a `fetch.served` event.
 */

import { DiskError, type Env } from '../kernel/env.js'
import type { Bytes, Epoch, NodeId } from '../kernel/units.js'
import { AclOperation } from '../kraft/metadata/acl.js'
import type { MetadataImage } from '../kraft/metadata/image.js'
import type { RequestAuthorizer } from '../kraft/metadata/request-authorizer.js'
import type { PartitionLog } from '../log/partition-log.js'
import { Errors } from '../wire/errors.js'
import type { FetchableTopicResponse, PartitionData } from '../wire/messages/fetch.js'
import type { IncomingRequestOf } from '../wire/request-server.js'
import { ZERO_UUID } from '../wire/uuid.js'
import { type FetchContext, type FetchedPartition, type FetchedPartitions, FetchSessions } from './fetch-session.js'
import type { Partition } from './partition.js'
import { type FetchIsolation, type FetchParams, isDiverging, readBound, readPartition } from './partition-read.js'
import { DelayedOperation } from './purgatory.js'
import type { BrokerReplicationConfig } from './replica-config.js'
import { CollectedLeaders, NO_CURRENT_LEADER } from './replica-leader-hints.js'
import type { ReplicaRegistry } from './replica-registry.js'
import { preferredReadReplica, RACK_AWARE_SELECTOR } from './replica-selector.js'

const CONSUMER: NodeId = -1
/** Consumers of this version on may read from followers. */
const FETCH_FROM_FOLLOWER_VERSION = 11
const TOPIC_IDS_VERSION = 13
const REPLICA_STATE_VERSION = 15
const CURRENT_LEADER_VERSION = 16

const NO_DIVERGING_EPOCH = { epoch: -1, endOffset: -1 }
const NO_SNAPSHOT = { endOffset: -1, epoch: -1 }

export interface FetchHandlerOptions {
  readonly brokerId: NodeId
  readonly config: BrokerReplicationConfig
  readonly registry: ReplicaRegistry
  readonly metadata: () => MetadataImage
  readonly onStorageError: (partition: Partition, error: DiskError) => void
  readonly auth: RequestAuthorizer | undefined
}

/** A fetch that waits for data. */
class DelayedFetch extends DelayedOperation {
  readonly #handler: FetchHandler
  readonly fetch: PendingFetch

  constructor(handler: FetchHandler, fetch: PendingFetch) {
    super()
    this.#handler = handler
    this.fetch = fetch
  }

  /** False when there is still reason to wait. */
  tryComplete(): boolean {
    const { partitions, params } = this.fetch
    let bytes = 0
    for (let i = 0; i < partitions.length; i++) {
      const available = this.#handler.available(partitions[i] as FetchedPartition, params)
      if (available === 'answer') {
        this.complete()
        return true
      }
      bytes += available
    }
    if (bytes >= params.minBytes) this.complete()
    return this.isCompleted
  }

  checkEntry(at: number): void {
    const { partitions, params } = this.fetch
    // What one partition has is enough to know, unless bytes of several must add up.
    if (params.minBytes > 1) {
      this.tryComplete()
      return
    }
    const available = this.#handler.available(partitions[at] as FetchedPartition, params)
    if (available === 'answer' || available >= params.minBytes) this.complete()
  }

  protected onComplete(): void {
    this.#handler.complete(this.fetch)
  }
}

/** One fetch request under way. */
interface PendingFetch {
  readonly request: IncomingRequestOf<'Fetch'>
  readonly context: FetchContext
  readonly params: FetchParams
  /** Those that can be read, in order. */
  readonly partitions: FetchedPartition[]
  /** Those that metadata does not know, in order. */
  readonly unknown: FetchedPartition[]
}

export class FetchHandler {
  readonly sessions: FetchSessions
  readonly #env: Env
  readonly #options: FetchHandlerOptions

  constructor(env: Env, options: FetchHandlerOptions) {
    this.#env = env
    this.#options = options
    this.sessions = new FetchSessions(
      env,
      options.config['max.incremental.fetch.session.cache.slots'],
      options.metadata,
    )
  }

  handle(request: IncomingRequestOf<'Fetch'>): void {
    const params = this.#paramsOf(request)
    const context = this.sessions.begin(request.body, request.version, params.isFollower)
    const fetch: PendingFetch = { request, context, params, partitions: [], unknown: [] }
    if (context.kind === 'error') return this.#respond(fetch)
    const { registry, metadata, auth } = this.#options
    const readable = auth === undefined ? undefined : this.#readable(request, context.partitions, params, auth)
    for (let at = context.partitions.first; at !== undefined; at = at.next) {
      // The topic may have become known since the session began.
      at.topic ??= metadata().topicsById.get(at.topicId)?.name
      if (readable !== undefined && !mayRead(at, readable)) {
        refuse(at, fetch.unknown, Errors.TOPIC_AUTHORIZATION_FAILED)
      } else if (this.#hosted(at) !== undefined) fetch.partitions.push(at)
      else if (at.topic === undefined) refuse(at, fetch.unknown, Errors.UNKNOWN_TOPIC_ID)
      else if (registry.inMetadata(at.topic, at.index)) fetch.partitions.push(at)
      else refuse(at, fetch.unknown, Errors.UNKNOWN_TOPIC_OR_PARTITION)
    }
    if (fetch.partitions.length === 0 || this.#read(fetch, true) || params.maxWaitMs <= 0) return this.#respond(fetch)
    this.#wait(fetch)
  }

  /** Topics that the sender may read; a follower may read all of them, or none. */
  #readable(
    request: IncomingRequestOf<'Fetch'>,
    partitions: FetchedPartitions,
    params: FetchParams,
    auth: RequestAuthorizer,
  ): ReadonlySet<string> | 'all' | 'none' {
    if (params.isFollower) return auth.onCluster(request, AclOperation.CLUSTER_ACTION) ? 'all' : 'none'
    const topics = new Set<string>()
    for (let at = partitions.first; at !== undefined; at = at.next) {
      const topic = at.topic ?? this.#options.metadata().topicsById.get(at.topicId)?.name
      if (topic !== undefined) topics.add(topic)
    }
    return auth.topics(request, AclOperation.READ, topics)
  }

  /** Reads again and answers, with whatever there is. */
  complete(fetch: PendingFetch): void {
    this.#read(fetch, false)
    this.#respond(fetch)
  }

  /** Bytes there are for a waiting fetch in one partition, or that it is to be answered whatever there is. */
  available(asked: FetchedPartition, params: FetchParams): Bytes | 'answer' {
    const partition = this.#hosted(asked)
    if (partition === undefined) return 'answer'
    if (partition.checkLog(asked.currentLeaderEpoch, params.onlyLeader) !== Errors.NONE) return 'answer'
    const log = partition.log as PartitionLog
    const bound = readBound(log, params.isolation)
    const { fetchOffset } = asked
    // The log was cut, or a consumer reads beyond what it may see.
    if (fetchOffset > bound) return 'answer'
    if (isDiverging(log, asked) !== false) return 'answer'
    if (fetchOffset === bound) return 0
    return params.minBytes <= 1 ? Math.min(1, asked.maxBytes) : bytesUpTo(log, asked, bound)
  }

  #wait(fetch: PendingFetch): void {
    if (fetch.params.minBytes > 1) {
      for (const asked of fetch.partitions) asked.waitsAt = asked.hosted?.log?.positionOf(asked.fetchOffset)
    }
    const delayed = new DelayedFetch(this, fetch)
    // With one byte to wait for, the read just made has seen all that could end the wait.
    if (fetch.params.minBytes > 1 && delayed.tryComplete()) return
    const { partitions } = fetch
    for (let i = 0; i < partitions.length; i++) {
      const asked = partitions[i] as FetchedPartition
      const hosted = asked.hosted
      if (hosted === undefined) continue
      // A session has one request under way; another one, over a new connection, brings its own watches.
      if (asked.watch.operation === undefined) delayed.watch(hosted.delayedFetch, i, asked.watch)
      else delayed.watch(hosted.delayedFetch, i)
    }
    delayed.expireAfter(this.#env, fetch.params.maxWaitMs)
  }

  /** Reads all partitions; true when that must be answered at once. */
  #read({ partitions, params }: PendingFetch, isFirst: boolean): boolean {
    const now = this.#env.clock.wallMs()
    let left = params.maxBytes
    let bytes = 0
    let minOneBatch = true
    let mustAnswer = false
    for (let i = 0; i < partitions.length; i++) {
      const asked = partitions[i] as FetchedPartition
      const limit = asked.maxBytes < left ? asked.maxBytes : left
      this.#readOne(asked, params, limit, minOneBatch, isFirst, now)
      const { read } = asked
      // Beyond what it may see, a consumer is not kept waiting either; nor one that should read elsewhere.
      if (read.error !== Errors.NONE || read.divergingEpoch >= 0 || asked.fetchOffset > read.bound) mustAnswer = true
      if (read.preferredReadReplica >= 0) mustAnswer = true
      if (read.sizeInBytes > 0) {
        minOneBatch = false
        bytes += read.sizeInBytes
        left = left > read.sizeInBytes ? left - read.sizeInBytes : 0
      }
    }
    return mustAnswer || bytes >= params.minBytes
  }

  #readOne(
    asked: FetchedPartition,
    params: FetchParams,
    limit: Bytes,
    minOneBatch: boolean,
    updateFollower: boolean,
    now: number,
  ): void {
    const partition = this.#hosted(asked)
    if (partition === undefined) {
      asked.read.fail(this.#options.registry.errorOf(asked.topic ?? '', asked.index))
      return
    }
    try {
      if (params.rack !== '' && this.#readsElsewhere(partition, asked, params, now)) return
      readPartition(partition, asked, params, limit, minOneBatch, updateFollower, now)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      asked.read.fail(Errors.KAFKA_STORAGE_ERROR)
      this.#options.onStorageError(partition, error)
    }
  }

  /** True when a consumer is sent to a replica in its rack: nothing is read then. */
  #readsElsewhere(partition: Partition, asked: FetchedPartition, params: FetchParams, now: number): boolean {
    const { metadata, brokerId } = this.#options
    const isKnown = asked.topicId === partition.topicId || asked.topicId === ZERO_UUID
    if (!partition.isLeader || !isKnown) return false
    const preferred = preferredReadReplica(partition, asked.fetchOffset, params.rack, brokerId, metadata(), now)
    if (preferred < 0) return false
    const { read } = asked
    const error = partition.checkLog(asked.currentLeaderEpoch, false)
    if (error !== Errors.NONE) read.fail(error)
    else {
      const log = partition.log as PartitionLog
      read.reset()
      read.highWatermark = log.highWatermark
      read.lastStableOffset = log.lastStableOffset
      read.logStartOffset = log.logStartOffset
      read.leaderEpoch = partition.leaderEpoch
      read.bound = log.highWatermark
      read.preferredReadReplica = preferred
    }
    return true
  }

  /** The online partition, remembered between the requests of a session. */
  #hosted(asked: FetchedPartition): Partition | undefined {
    const known = asked.hosted
    if (known?.log !== undefined) return known
    return (asked.hosted =
      asked.topic === undefined ? undefined : this.#options.registry.find(asked.topic, asked.index))
  }

  #paramsOf({ body, version }: IncomingRequestOf<'Fetch'>): FetchParams {
    const hasState = version >= REPLICA_STATE_VERSION
    const replicaId = hasState ? body.replicaState.replicaId : body.replicaId
    const isFollower = replicaId >= 0
    const { config } = this.#options
    const maxBytes = Math.min(body.maxBytes, config['fetch.max.bytes'])
    const hasRack = replicaId < 0 && version >= FETCH_FROM_FOLLOWER_VERSION
    return {
      replicaId,
      replicaEpoch: hasState ? body.replicaState.replicaEpoch : -1,
      aliveEpoch: isFollower ? this.#aliveEpoch(replicaId) : undefined,
      isFollower,
      onlyLeader: isFollower || (replicaId === CONSUMER && version < FETCH_FROM_FOLLOWER_VERSION),
      isolation: isolationOf(replicaId, body.isolationLevel),
      maxWaitMs: body.maxWaitMs,
      minBytes: Math.min(body.minBytes, maxBytes),
      maxBytes,
      rack: hasRack && config['replica.selector.class'] === RACK_AWARE_SELECTOR ? body.rackId : '',
    }
  }

  #aliveEpoch(brokerId: NodeId): Epoch | undefined {
    const broker = this.#options.metadata().brokers.get(brokerId)
    return broker === undefined || broker.fenced ? undefined : broker.epoch
  }

  #respond(fetch: PendingFetch): void {
    const { request, context, params, partitions, unknown } = fetch
    const answered = unknown.length === 0 ? partitions : partitions.concat(unknown)
    const outcome = this.sessions.finish(context, answered)
    const leaders = new CollectedLeaders(this.#options.registry, this.#options.metadata)
    const tellsLeader = request.version >= CURRENT_LEADER_VERSION
    const responses: (FetchableTopicResponse & { partitions: PartitionData[] })[] = []
    let last: (typeof responses)[number] | undefined
    for (const asked of outcome.partitions) {
      this.#emit(asked, params, request)
      const topic = asked.topic ?? ''
      if (
        last === undefined ||
        last.topicId !== asked.topicId ||
        (last.topic !== topic && request.version < TOPIC_IDS_VERSION)
      ) {
        last = { topic: request.version < TOPIC_IDS_VERSION ? topic : '', topicId: asked.topicId, partitions: [] }
        responses.push(last)
      }
      const { error } = asked.read
      const isMoved = error === Errors.NOT_LEADER_OR_FOLLOWER || error === Errors.FENCED_LEADER_EPOCH
      const currentLeader = tellsLeader && isMoved ? leaders.leaderOf(topic, asked.index) : NO_CURRENT_LEADER
      last.partitions.push(dataOf(asked, currentLeader))
    }
    request.respond({
      throttleTimeMs: 0,
      errorCode: outcome.error,
      sessionId: outcome.sessionId,
      responses,
      nodeEndpoints: params.isFollower ? [] : leaders.endpoints,
    })
  }

  #emit(asked: FetchedPartition, params: FetchParams, request: IncomingRequestOf<'Fetch'>): void {
    const { read, hosted } = asked
    // Nobody is answered whose connection has ended.
    if (hosted === undefined || !request.connected) return
    if (read.divergingEpoch >= 0) {
      this.#env.emit('fetch.diverging', {
        partition: hosted.name,
        epoch: read.divergingEpoch,
        endOffset: read.divergingEndOffset,
        leader: this.#options.brokerId,
      })
    } else if (read.sizeInBytes > 0 && params.isolation !== 'log-end') {
      this.#env.emit('fetch.served', {
        partition: hosted.name,
        to: request.from,
        from: asked.fetchOffset,
        upTo: read.records[read.records.length - 1]?.nextOffset ?? asked.fetchOffset,
        bound: read.bound,
        isolation: params.isolation === 'committed' ? 'committed' : 'uncommitted',
        leaderEpoch: read.leaderEpoch,
      })
    }
  }
}

/** What metadata does not know is refused for that, unless the sender is no follower and says that it is one. */
function mayRead({ topic }: FetchedPartition, readable: ReadonlySet<string> | 'all' | 'none'): boolean {
  if (readable === 'all' || readable === 'none') return readable === 'all'
  return topic === undefined || readable.has(topic)
}

function refuse(asked: FetchedPartition, list: FetchedPartition[], error: number): void {
  asked.read.fail(error)
  list.push(asked)
}

function isolationOf(replicaId: NodeId, isolationLevel: number): FetchIsolation {
  if (replicaId !== CONSUMER) return 'log-end'
  return isolationLevel === 1 ? 'committed' : 'high-watermark'
}

/** Bytes between where the fetch began to wait and `bound`, as far as the partition's limit. */
function bytesUpTo(log: PartitionLog, asked: FetchedPartition, bound: number): Bytes | 'answer' {
  const from = asked.waitsAt
  const to = log.positionOf(bound)
  if (from === undefined || to === undefined) return 0
  // The segment was closed meanwhile: Kafka does not count across segments.
  if (from.segmentBaseOffset < to.segmentBaseOffset) return 'answer'
  return from.segmentBaseOffset === to.segmentBaseOffset ? Math.min(to.position - from.position, asked.maxBytes) : 0
}

function dataOf(asked: FetchedPartition, currentLeader: PartitionData['currentLeader']): PartitionData {
  const { read } = asked
  return {
    partitionIndex: asked.index,
    errorCode: read.error,
    highWatermark: read.highWatermark,
    lastStableOffset: read.lastStableOffset,
    logStartOffset: read.logStartOffset,
    divergingEpoch:
      read.divergingEpoch >= 0
        ? { epoch: read.divergingEpoch, endOffset: read.divergingEndOffset }
        : NO_DIVERGING_EPOCH,
    currentLeader,
    snapshotId: NO_SNAPSHOT,
    abortedTransactions: read.abortedTransactions,
    preferredReadReplica: read.preferredReadReplica,
    records: read.records,
  }
}
