/**
 * TxnOffsetCommit (key 28). Commits offsets as part of a transaction (KIP-98, KIP-447).
 */

import { defineApi } from '../define-api.js'

export interface TxnOffsetCommitRequest {
  readonly transactionalId: string
  readonly groupId: string
  readonly producerId: number
  readonly producerEpoch: number
  readonly generationId: number
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly topics: readonly TxnOffsetCommitRequestTopic[]
}

export interface TxnOffsetCommitRequestTopic {
  readonly name: string
  readonly partitions: readonly TxnOffsetCommitRequestPartition[]
}

export interface TxnOffsetCommitRequestPartition {
  readonly partitionIndex: number
  readonly committedOffset: number
  readonly committedLeaderEpoch: number
  readonly committedMetadata: string | null
}

export interface TxnOffsetCommitResponse {
  readonly throttleTimeMs: number
  readonly topics: readonly TxnOffsetCommitResponseTopic[]
}

export interface TxnOffsetCommitResponseTopic {
  readonly name: string
  readonly partitions: readonly TxnOffsetCommitResponsePartition[]
}

export interface TxnOffsetCommitResponsePartition {
  readonly partitionIndex: number
  readonly errorCode: number
}

export const txnOffsetCommitApi = defineApi<TxnOffsetCommitRequest, TxnOffsetCommitResponse>({
  name: 'TxnOffsetCommit',
  key: 28,
  versions: '0-5',
  flexible: '3+',
  request: `
    transactionalId: string
    groupId: string
    producerId: int64
    producerEpoch: int16
    generationId: int32 3+ = -1
    memberId: string 3+
    groupInstanceId: string 3+ null = null
    topics: []struct
      name: string
      partitions: []struct
        partitionIndex: int32
        committedOffset: int64
        committedLeaderEpoch: int32 2+ = -1 ignorable
        committedMetadata: string null
  `,
  response: `
    throttleTimeMs: int32
    topics: []struct
      name: string
      partitions: []struct
        partitionIndex: int32
        errorCode: int16
  `,
})
