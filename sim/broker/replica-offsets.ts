/**
 * ListOffsets, OffsetForLeaderEpoch and DeleteRecords (Kafka's `ReplicaManager.fetchOffset`,
 * `lastOffsetForLeaderEpoch`, `deleteRecords` with `DelayedDeleteRecords`; KIP-207, KIP-320, KIP-107).
 *
 * Only the leader answers; the leader epoch of the request is checked first. ListOffsets gives a follower the log end,
 * a consumer the high watermark or last stable offset as the end. After an election, while the high watermark is still
 * below the start of the leader's epoch, a consumer gets OFFSET_NOT_AVAILABLE for the end and for times beyond it: an
 * older leader may have told it more. DeleteRecords moves the log start of the leader at once, and answers when that of
 * every live replica has followed, or its time is up.
 */

import { DiskError, type Env } from '../kernel/env.js'
import type { Epoch, NodeId, Offset } from '../kernel/units.js'
import { AclOperation } from '../kraft/metadata/acl.js'
import type { Operation, Requester, RequestAuthorizer } from '../kraft/metadata/request-authorizer.js'
import type { PartitionLog } from '../log/partition-log.js'
import { type ErrorCode, Errors } from '../wire/errors.js'
import type { DeleteRecordsPartitionResult } from '../wire/messages/delete-records.js'
import type { ListOffsetsPartition, ListOffsetsPartitionResponse } from '../wire/messages/list-offsets.js'
import type { EpochEndOffset, OffsetForLeaderPartition } from '../wire/messages/offset-for-leader-epoch.js'
import type { IncomingRequestOf } from '../wire/request-server.js'
import type { Partition } from './partition.js'
import { DelayedOperation } from './purgatory.js'
import type { ReplicaRegistry } from './replica-registry.js'
import { isInternalTopic } from './topic-names.js'

const CONSUMER: NodeId = -1
const DEBUGGING_CONSUMER: NodeId = -2
const READ_COMMITTED = 1
/** DeleteRecords: to the high watermark. */
const HIGH_WATERMARK: Offset = -1
const UNKNOWN = -1

const LATEST = -1
const EARLIEST = -2
const EARLIEST_LOCAL = -4
/** Times with a meaning of their own, and the version that brought them. */
const TIMESTAMP_VERSIONS: ReadonlyMap<number, number> = new Map([
  [EARLIEST, 1],
  [LATEST, 1],
  [-3, 7],
  [EARLIEST_LOCAL, 8],
  [-5, 9],
])

export interface OffsetsOptions {
  readonly registry: ReplicaRegistry
  readonly onStorageError: (partition: Partition, error: DiskError) => void
  readonly auth: RequestAuthorizer | undefined
}

interface Deletion {
  readonly topic: string
  readonly index: number
  partition: Partition | undefined
  requestedOffset: Offset
  lowWatermark: Offset
  error: ErrorCode
  isPending: boolean
}

class DelayedDeleteRecords extends DelayedOperation {
  readonly #deletions: readonly Deletion[]
  readonly #check: (deletion: Deletion) => void
  readonly #done: () => void

  constructor(deletions: readonly Deletion[], check: (deletion: Deletion) => void, done: () => void) {
    super()
    this.#deletions = deletions
    this.#check = check
    this.#done = done
    for (const deletion of deletions) {
      if (deletion.error !== Errors.NONE) continue
      deletion.isPending = true
      deletion.error = Errors.REQUEST_TIMED_OUT
    }
  }

  tryComplete(): boolean {
    for (const deletion of this.#deletions) if (deletion.isPending) this.#check(deletion)
    if (!this.#deletions.some((deletion) => deletion.isPending)) this.complete()
    return this.isCompleted
  }

  checkEntry(): void {
    this.tryComplete()
  }

  protected onComplete(): void {
    this.#done()
  }
}

export class OffsetsHandler {
  readonly #env: Env
  readonly #options: OffsetsOptions

  constructor(env: Env, options: OffsetsOptions) {
    this.#env = env
    this.#options = options
  }

  // ── ListOffsets ───────────────────────────────────────────────────────────────────────────────────────────────────

  handleListOffsets(request: IncomingRequestOf<'ListOffsets'>): void {
    const { topics } = request.body
    const repeated = repeatedPartitions(topics)
    const permitted = this.#permitted(request, AclOperation.DESCRIBE, topics)
    request.respond({
      throttleTimeMs: 0,
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map((asked) => {
          if (permitted?.has(name) === false) return listed(asked, Errors.TOPIC_AUTHORIZATION_FAILED)
          if (repeated.has(`${name}-${asked.partitionIndex}`)) return listed(asked, Errors.INVALID_REQUEST)
          return this.#list(request, name, asked)
        }),
      })),
    })
  }

  /** Names of topics on which the sender may do that; undefined when nobody decides. */
  #permitted(
    request: Requester,
    operation: Operation,
    topics: readonly { readonly name: string }[],
  ): ReadonlySet<string> | undefined {
    const { auth } = this.#options
    return auth?.topics(
      request,
      operation,
      topics.map(({ name }) => name),
    )
  }

  #list(
    request: IncomingRequestOf<'ListOffsets'>,
    topic: string,
    asked: ListOffsetsPartition,
  ): ListOffsetsPartitionResponse {
    if (asked.timestamp < 0 && request.version < (TIMESTAMP_VERSIONS.get(asked.timestamp) ?? Infinity)) {
      return listed(asked, Errors.UNSUPPORTED_VERSION)
    }
    const partition = this.#options.registry.find(topic, asked.partitionIndex)
    if (partition === undefined) return listed(asked, this.#options.registry.errorOf(topic, asked.partitionIndex))
    const { replicaId, isolationLevel } = request.body
    const error = partition.checkLog(asked.currentLeaderEpoch, replicaId !== DEBUGGING_CONSUMER)
    if (error !== Errors.NONE) return listed(asked, error)
    const log = partition.log as PartitionLog
    const isClient = replicaId === CONSUMER
    const end = !isClient
      ? log.logEndOffset
      : isolationLevel === READ_COMMITTED
        ? log.lastStableOffset
        : log.highWatermark
    const isBehind = isClient && partition.leaderEpochStartOffset > log.highWatermark
    const notAvailable = request.version >= 5 ? Errors.OFFSET_NOT_AVAILABLE : Errors.LEADER_NOT_AVAILABLE
    const tellsEpoch = request.version >= 4
    const { timestamp } = asked
    if (timestamp === LATEST) {
      if (isBehind) return listed(asked, notAvailable)
      return listed(asked, Errors.NONE, UNKNOWN, end, tellsEpoch ? partition.leaderEpoch : UNKNOWN)
    }
    try {
      const found = log.offsetForTimestamp(timestamp)
      const isFixed = timestamp === EARLIEST || timestamp === EARLIEST_LOCAL
      if (found === undefined || (!isFixed && found.offset >= end)) {
        return listed(asked, isBehind ? notAvailable : Errors.NONE)
      }
      return listed(asked, Errors.NONE, found.timestamp, found.offset, tellsEpoch ? found.leaderEpoch : UNKNOWN)
    } catch (thrown) {
      if (!(thrown instanceof DiskError)) throw thrown
      this.#options.onStorageError(partition, thrown)
      return listed(asked, Errors.KAFKA_STORAGE_ERROR)
    }
  }

  // ── OffsetForLeaderEpoch ──────────────────────────────────────────────────────────────────────────────────────────

  handleOffsetForLeaderEpoch(request: IncomingRequestOf<'OffsetForLeaderEpoch'>): void {
    const { topics } = request.body
    // Brokers may ask about everything, clients about what they may see (KIP-320).
    const permitted =
      this.#options.auth?.onCluster(request, AclOperation.CLUSTER_ACTION, 'quietly') === false
        ? this.#permitted(
            request,
            AclOperation.DESCRIBE,
            topics.map(({ topic }) => ({ name: topic })),
          )
        : undefined
    request.respond({
      throttleTimeMs: 0,
      topics: topics.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map((asked) =>
          permitted?.has(topic) === false
            ? epochEnd(asked.partition, Errors.TOPIC_AUTHORIZATION_FAILED)
            : this.#epochEnd(topic, asked),
        ),
      })),
    })
  }

  #epochEnd(topic: string, asked: OffsetForLeaderPartition): EpochEndOffset {
    const index = asked.partition
    const partition = this.#options.registry.find(topic, index)
    if (partition === undefined) return epochEnd(index, this.#options.registry.errorOf(topic, index))
    const error = partition.checkLog(asked.currentLeaderEpoch, true)
    if (error !== Errors.NONE) return epochEnd(index, error)
    const end = (partition.log as PartitionLog).endOffsetForEpoch(asked.leaderEpoch)
    return epochEnd(index, Errors.NONE, end.epoch, end.endOffset)
  }

  // ── DeleteRecords ─────────────────────────────────────────────────────────────────────────────────────────────────

  handleDeleteRecords(request: IncomingRequestOf<'DeleteRecords'>): void {
    const deletions: Deletion[] = []
    const permitted = this.#permitted(request, AclOperation.DELETE, request.body.topics)
    for (const { name, partitions } of request.body.topics) {
      for (const { partitionIndex, offset } of partitions) {
        const deletion = newDeletion(name, partitionIndex, offset)
        if (permitted?.has(name) === false) deletion.error = Errors.TOPIC_AUTHORIZATION_FAILED
        else if (!this.#options.registry.inMetadata(name, partitionIndex))
          deletion.error = Errors.UNKNOWN_TOPIC_OR_PARTITION
        deletions.push(deletion)
      }
    }
    const known = deletions.filter((deletion) => deletion.error === Errors.NONE)
    const respond = (): void => respondDeleted(request, deletions)
    if (known.length === 0) return respond()
    this.#env.disk.access(() => this.#delete(known, request.body.timeoutMs, respond))
  }

  #delete(deletions: readonly Deletion[], timeoutMs: number, respond: () => void): void {
    for (const deletion of deletions) deletion.error = this.#deleteOne(deletion)
    const mustWait = deletions.some(
      ({ error, lowWatermark, requestedOffset }) => error === Errors.NONE && lowWatermark < requestedOffset,
    )
    if (!mustWait) return respond()
    const delayed = new DelayedDeleteRecords(deletions, (deletion) => this.#checkDeletion(deletion), respond)
    if (delayed.tryComplete()) return
    for (const [i, { partition, isPending }] of deletions.entries()) {
      if (isPending && partition !== undefined) delayed.watch(partition.delayedDeleteRecords, i)
    }
    delayed.expireAfter(this.#env, timeoutMs)
  }

  #deleteOne(deletion: Deletion): ErrorCode {
    const { topic, index } = deletion
    if (isInternalTopic(topic)) return Errors.INVALID_TOPIC_EXCEPTION
    const partition = this.#options.registry.find(topic, index)
    if (partition === undefined) return this.#options.registry.errorOf(topic, index)
    const log = partition.leaderLog
    if (log === undefined) return Errors.NOT_LEADER_OR_FOLLOWER
    if (!log.config['cleanup.policy'].includes('delete')) return Errors.POLICY_VIOLATION
    const offset = deletion.requestedOffset === HIGH_WATERMARK ? log.highWatermark : deletion.requestedOffset
    if (offset < 0) return Errors.OFFSET_OUT_OF_RANGE
    try {
      const error = log.advanceLogStartOffset(offset, 'delete-records')
      if (error !== Errors.NONE) return error
    } catch (thrown) {
      if (!(thrown instanceof DiskError)) throw thrown
      this.#options.onStorageError(partition, thrown)
      return Errors.KAFKA_STORAGE_ERROR
    }
    deletion.partition = partition
    deletion.requestedOffset = offset
    deletion.lowWatermark = partition.lowWatermark
    return Errors.NONE
  }

  #checkDeletion(deletion: Deletion): void {
    const { registry } = this.#options
    const partition = registry.find(deletion.topic, deletion.index)
    if (partition?.leaderLog !== undefined) {
      const low = partition.lowWatermark
      if (low < deletion.requestedOffset) return
      deletion.error = Errors.NONE
      deletion.lowWatermark = low
    } else {
      deletion.error =
        partition !== undefined ? Errors.NOT_LEADER_OR_FOLLOWER : registry.errorOf(deletion.topic, deletion.index)
      deletion.lowWatermark = UNKNOWN
    }
    deletion.isPending = false
  }
}

function repeatedPartitions(
  topics: readonly { readonly name: string; readonly partitions: readonly ListOffsetsPartition[] }[],
): ReadonlySet<string> {
  const seen = new Set<string>()
  const repeated = new Set<string>()
  for (const { name, partitions } of topics) {
    for (const { partitionIndex } of partitions) {
      const key = `${name}-${partitionIndex}`
      if (seen.has(key)) repeated.add(key)
      seen.add(key)
    }
  }
  return repeated
}

function listed(
  asked: ListOffsetsPartition,
  errorCode: ErrorCode,
  timestamp: number = UNKNOWN,
  offset: Offset = UNKNOWN,
  leaderEpoch: Epoch = UNKNOWN,
): ListOffsetsPartitionResponse {
  return { partitionIndex: asked.partitionIndex, errorCode, timestamp, offset, leaderEpoch }
}

function epochEnd(
  partition: number,
  errorCode: ErrorCode,
  leaderEpoch: Epoch = UNKNOWN,
  endOffset: Offset = UNKNOWN,
): EpochEndOffset {
  return { partition, errorCode, leaderEpoch, endOffset }
}

function newDeletion(topic: string, index: number, requestedOffset: Offset): Deletion {
  return {
    topic,
    index,
    partition: undefined,
    requestedOffset,
    lowWatermark: UNKNOWN,
    error: Errors.NONE,
    isPending: false,
  }
}

function respondDeleted(request: IncomingRequestOf<'DeleteRecords'>, deletions: readonly Deletion[]): void {
  let at = 0
  request.respond({
    throttleTimeMs: 0,
    topics: request.body.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }): DeleteRecordsPartitionResult => {
        const { lowWatermark, error } = deletions[at++] as Deletion
        return { partitionIndex, lowWatermark, errorCode: error }
      }),
    })),
  })
}
