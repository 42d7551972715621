/**
 * OffsetForLeaderEpoch (key 23). Where a leader epoch ends in the leader's log (KIP-101, KIP-320): the answer is the largest epoch not above the one asked for,
 * and its end offset, exclusive.
 */

import { defineApi } from '../define-api.js'

export interface OffsetForLeaderEpochRequest {
  readonly replicaId: number
  readonly topics: readonly OffsetForLeaderTopic[]
}

export interface OffsetForLeaderTopic {
  readonly topic: string
  readonly partitions: readonly OffsetForLeaderPartition[]
}

export interface OffsetForLeaderPartition {
  readonly partition: number
  readonly currentLeaderEpoch: number
  readonly leaderEpoch: number
}

export interface OffsetForLeaderEpochResponse {
  readonly throttleTimeMs: number
  readonly topics: readonly OffsetForLeaderTopicResult[]
}

export interface OffsetForLeaderTopicResult {
  readonly topic: string
  readonly partitions: readonly EpochEndOffset[]
}

export interface EpochEndOffset {
  readonly errorCode: number
  readonly partition: number
  readonly leaderEpoch: number
  readonly endOffset: number
}

export const offsetForLeaderEpochApi = defineApi<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse>({
  name: 'OffsetForLeaderEpoch',
  key: 23,
  versions: '2-4',
  flexible: '4+',
  request: `
    replicaId: int32 3+ = -2 ignorable
    topics: []struct
      topic: string
      partitions: []struct
        partition: int32
        currentLeaderEpoch: int32 2+ = -1 ignorable
        leaderEpoch: int32
  `,
  response: `
    throttleTimeMs: int32 2+ ignorable
    topics: []struct
      topic: string
      partitions: []struct
        errorCode: int16
        partition: int32
        leaderEpoch: int32 1+ = -1 ignorable
        endOffset: int64 = -1
  `,
})
