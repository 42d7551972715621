/**
 * Reading a partition for a fetch (Kafka's `Partition.fetchRecords` and `ReplicaManager.readFromLog`; KIP-320,
 * KIP-595).
 *
 * Checks, in order: topic id, leader epoch (smaller: FENCED_LEADER_EPOCH, larger: UNKNOWN_LEADER_EPOCH), leadership,
 * whether the follower is one of the replicas, where its last epoch ends here (nowhere: OFFSET_OUT_OF_RANGE; with a
 * smaller epoch or before its offset: diverging, and no records), the offset. Then come the records: up to the log end
 * for followers, the high watermark for consumers, the last stable offset for those who read committed only. Offsets in
 * the answer are those of before the read, and of before this very fetch moved them.
 */

import type { Bytes, Epoch, Millis, NodeId, Offset } from '../kernel/units.js'
import type { PartitionLog } from '../log/partition-log.js'
import { type ErrorCode, Errors } from '../wire/errors.js'
import { ZERO_UUID } from '../wire/uuid.js'
import type { AbortedTransaction, FetchedPartition } from './fetch-session.js'
import type { Partition } from './partition.js'
import { UNCHECKED_BROKER_EPOCH } from './replica.js'

const NONE_ABORTED: readonly AbortedTransaction[] = []

/** How far a fetch reads. */
export type FetchIsolation = 'log-end' | 'high-watermark' | 'committed'

/** What one fetch request says of all its partitions. */
export interface FetchParams {
  /** -1: a consumer; -2: a consumer of Kafka's own tools. */
  readonly replicaId: NodeId
  /** -1: not given. */
  readonly replicaEpoch: Epoch
  /** The broker epoch of the replica as metadata has it; undefined when it is fenced or unknown. */
  readonly aliveEpoch: Epoch | undefined
  readonly isFollower: boolean
  readonly onlyLeader: boolean
  readonly isolation: FetchIsolation
  readonly maxWaitMs: Millis
  readonly minBytes: Bytes
  readonly maxBytes: Bytes
  /** Of a consumer that may be sent to a replica of its rack; empty: none. */
  readonly rack: string
}

/** The exclusive end of what `isolation` may see. */
export function readBound(log: PartitionLog, isolation: FetchIsolation): Offset {
  switch (isolation) {
    case 'log-end':
      return log.logEndOffset
    case 'high-watermark':
      return log.highWatermark
    case 'committed':
      return log.lastStableOffset
  }
}

/**
 * Reads `asked` into `asked.read`: at most `maxBytes`, but one whole batch with `minOneBatch`. With `updateFollower`
 * the offset counts as what the follower has. @throws DiskError
 */
export function readPartition(
  partition: Partition,
  asked: FetchedPartition,
  params: FetchParams,
  maxBytes: Bytes,
  minOneBatch: boolean,
  updateFollower: boolean,
  now: Millis,
): void {
  const read = asked.read
  if (asked.topicId !== partition.topicId && asked.topicId !== ZERO_UUID) {
    return read.fail(Errors.INCONSISTENT_TOPIC_ID)
  }
  const error = partition.checkLog(asked.currentLeaderEpoch, params.onlyLeader)
  if (error !== Errors.NONE) return read.fail(error)
  const log = partition.log as PartitionLog
  if (!params.isFollower) {
    const refused = readLog(partition, log, asked, params.isolation, maxBytes, minOneBatch)
    if (refused !== Errors.NONE) read.fail(refused)
    return
  }
  const replica = partition.replica(params.replicaId)
  // Metadata of this broker may be behind: with an epoch, the follower is to try again.
  if (replica === undefined) {
    return read.fail(asked.currentLeaderEpoch >= 0 ? Errors.UNKNOWN_LEADER_EPOCH : Errors.NOT_LEADER_OR_FOLLOWER)
  }
  const endOffset = log.logEndOffset
  const refused = readLog(partition, log, asked, params.isolation, maxBytes, minOneBatch)
  if (refused !== Errors.NONE) return read.fail(refused)
  if (!updateFollower || read.divergingEpoch >= 0) return
  // A fetch of an earlier life of the broker says nothing about this one.
  const { replicaEpoch, aliveEpoch } = params
  if (replicaEpoch !== UNCHECKED_BROKER_EPOCH && aliveEpoch !== undefined && aliveEpoch > replicaEpoch) {
    return read.fail(Errors.NOT_LEADER_OR_FOLLOWER)
  }
  partition.updateFollower(replica, asked.fetchOffset, asked.logStartOffset, endOffset, replicaEpoch, now)
}

/** Whether the fetcher's last epoch ends here with a smaller epoch, or before its offset; undefined: not known here. */
export function isDiverging(log: PartitionLog, asked: FetchedPartition): boolean | undefined {
  const { lastFetchedEpoch } = asked
  if (lastFetchedEpoch < 0) return false
  if (lastFetchedEpoch === log.latestEpoch) return log.logEndOffset < asked.fetchOffset
  const end = log.endOffsetForEpoch(lastFetchedEpoch)
  if (end.epoch < 0 || end.endOffset < 0) return undefined
  return end.epoch < lastFetchedEpoch || end.endOffset < asked.fetchOffset
}

function readLog(
  partition: Partition,
  log: PartitionLog,
  asked: FetchedPartition,
  isolation: FetchIsolation,
  maxBytes: Bytes,
  minOneBatch: boolean,
): ErrorCode {
  const { read, fetchOffset, lastFetchedEpoch } = asked
  const logStart = log.logStartOffset
  const logEnd = log.logEndOffset
  read.reset()
  read.highWatermark = log.highWatermark
  read.lastStableOffset = log.lastStableOffset
  read.logStartOffset = logStart
  read.leaderEpoch = partition.leaderEpoch
  // The fetcher of the latest epoch, the usual case, has diverged only where it is beyond the end.
  if (lastFetchedEpoch >= 0 && (lastFetchedEpoch !== log.latestEpoch || fetchOffset > logEnd)) {
    const end = log.endOffsetForEpoch(lastFetchedEpoch)
    if (end.epoch < 0 || end.endOffset < 0 || fetchOffset < logStart) return Errors.OFFSET_OUT_OF_RANGE
    if (end.epoch < lastFetchedEpoch || end.endOffset < fetchOffset) {
      read.divergingEpoch = end.epoch
      read.divergingEndOffset = end.endOffset
      return Errors.NONE
    }
  }
  if (fetchOffset < logStart || fetchOffset > logEnd) return Errors.OFFSET_OUT_OF_RANGE
  const bound = readBound(log, isolation)
  read.bound = bound
  if (isolation === 'committed') return readCommitted(log, asked, maxBytes, minOneBatch)
  if (fetchOffset >= bound) return Errors.NONE
  const result = log.read(fetchOffset, maxBytes, bound, minOneBatch)
  if (!('batches' in result)) return result.error
  read.records = result.batches
  read.sizeInBytes = result.sizeInBytes
  return Errors.NONE
}

function readCommitted(log: PartitionLog, asked: FetchedPartition, maxBytes: Bytes, minOneBatch: boolean): ErrorCode {
  const { read } = asked
  read.abortedTransactions = NONE_ABORTED
  if (asked.fetchOffset >= read.bound) return Errors.NONE
  const result = log.readCommitted(asked.fetchOffset, maxBytes, minOneBatch)
  if (!('batches' in result)) return result.error
  read.records = result.batches
  read.sizeInBytes = result.sizeInBytes
  const aborted = result.abortedTransactions ?? []
  if (aborted.length > 0) {
    read.abortedTransactions = aborted.map(({ producerId, firstOffset }) => ({ producerId, firstOffset }))
  }
  return Errors.NONE
}
