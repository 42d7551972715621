/**
 * Fetch (key 1). Consumers, followers and the members of the quorum read record batches; a follower's fetch offset is also its
 * acknowledgement.
 *
 * Topics go by name up to version 12 and by id from 13 (KIP-516). Sessions (KIP-227) leave out what has not changed.
 * `lastFetchedEpoch` lets the leader answer with a `divergingEpoch` (KIP-595, KIP-320); `replicaState.replicaEpoch` is the broker epoch
 * (KIP-903); `replicaDirectoryId` is the fetcher's directory in the quorum (KIP-853); `highWatermark` KIP-1166.
 */

import { defineApi } from '../define-api.js'
import type { Records } from '../record-batch.js'

export interface FetchRequest {
  readonly clusterId: string | null
  readonly replicaId: number
  readonly replicaState: ReplicaState
  readonly maxWaitMs: number
  readonly minBytes: number
  readonly maxBytes: number
  readonly isolationLevel: number
  readonly sessionId: number
  readonly sessionEpoch: number
  readonly topics: readonly FetchTopic[]
  readonly forgottenTopicsData: readonly ForgottenTopic[]
  readonly rackId: string
}

export interface ReplicaState {
  readonly replicaId: number
  readonly replicaEpoch: number
}

export interface FetchTopic {
  readonly topic: string
  readonly topicId: string
  readonly partitions: readonly FetchPartition[]
}

export interface FetchPartition {
  readonly partition: number
  readonly currentLeaderEpoch: number
  readonly fetchOffset: number
  readonly lastFetchedEpoch: number
  readonly logStartOffset: number
  readonly partitionMaxBytes: number
  readonly replicaDirectoryId: string
  readonly highWatermark: number
}

export interface ForgottenTopic {
  readonly topic: string
  readonly topicId: string
  readonly partitions: readonly number[]
}

export interface FetchResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly sessionId: number
  readonly responses: readonly FetchableTopicResponse[]
  readonly nodeEndpoints: readonly NodeEndpoint[]
}

export interface FetchableTopicResponse {
  readonly topic: string
  readonly topicId: string
  readonly partitions: readonly PartitionData[]
}

export interface PartitionData {
  readonly partitionIndex: number
  readonly errorCode: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStartOffset: number
  readonly divergingEpoch: EpochEndOffset
  readonly currentLeader: LeaderIdAndEpoch
  readonly snapshotId: SnapshotId
  readonly abortedTransactions: readonly AbortedTransaction[] | null
  readonly preferredReadReplica: number
  readonly records: Records | null
}

export interface EpochEndOffset {
  readonly epoch: number
  readonly endOffset: number
}

export interface LeaderIdAndEpoch {
  readonly leaderId: number
  readonly leaderEpoch: number
}

export interface SnapshotId {
  readonly endOffset: number
  readonly epoch: number
}

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

export interface NodeEndpoint {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

export const fetchApi = defineApi<FetchRequest, FetchResponse>({
  name: 'Fetch',
  key: 1,
  versions: '4-18',
  flexible: '12+',
  request: `
    clusterId: string 12+ null tag 0 = null ignorable
    replicaId: int32 0-14 = -1
    replicaState: struct 15+ tag 1
      replicaId: int32 15+ = -1
      replicaEpoch: int64 15+ = -1
    maxWaitMs: int32
    minBytes: int32
    maxBytes: int32 3+ = 2147483647 ignorable
    isolationLevel: int8 4+ ignorable
    sessionId: int32 7+ ignorable
    sessionEpoch: int32 7+ = -1 ignorable
    topics: []struct
      topic: string 0-12 ignorable
      topicId: uuid 13+ ignorable
      partitions: []struct
        partition: int32
        currentLeaderEpoch: int32 9+ = -1 ignorable
        fetchOffset: int64
        lastFetchedEpoch: int32 12+ = -1
        logStartOffset: int64 5+ = -1 ignorable
        partitionMaxBytes: int32
        replicaDirectoryId: uuid 17+ tag 0 ignorable
        highWatermark: int64 18+ tag 1 = 9223372036854775807 ignorable
    forgottenTopicsData: []struct 7+
      topic: string 7-12 ignorable
      topicId: uuid 13+ ignorable
      partitions: []int32 7+
    rackId: string 11+ ignorable
  `,
  response: `
    throttleTimeMs: int32 1+ ignorable
    errorCode: int16 7+ ignorable
    sessionId: int32 7+
    responses: []struct
      topic: string 0-12 ignorable
      topicId: uuid 13+ ignorable
      partitions: []struct
        partitionIndex: int32
        errorCode: int16
        highWatermark: int64
        lastStableOffset: int64 4+ = -1 ignorable
        logStartOffset: int64 5+ = -1 ignorable
        divergingEpoch: struct 12+ tag 0
          epoch: int32 12+ = -1
          endOffset: int64 12+ = -1
        currentLeader: struct 12+ tag 1
          leaderId: int32 12+ = -1
          leaderEpoch: int32 12+ = -1
        snapshotId: struct 12+ tag 2
          endOffset: int64 = -1
          epoch: int32 = -1
        abortedTransactions: []struct 4+ null ignorable
          producerId: int64 4+
          firstOffset: int64 4+
        preferredReadReplica: int32 11+ = -1
        records: records null
    nodeEndpoints: []struct 16+ tag 0
      nodeId: int32 16+
      host: string 16+
      port: int32 16+
      rack: string 16+ null = null
  `,
})
