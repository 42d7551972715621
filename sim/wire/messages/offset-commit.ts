/**
 * OffsetCommit (key 8). A member of a group (or a consumer of its own) commits offsets to the group's coordinator.
 *
 * `generationIdOrMemberEpoch` is -1 for a consumer that assigns itself. Topics go by name up to version 9 and by id from 10.
 */

import { defineApi } from '../define-api.js'

export interface OffsetCommitRequest {
  readonly groupId: string
  readonly generationIdOrMemberEpoch: number
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly retentionTimeMs: number
  readonly topics: readonly OffsetCommitRequestTopic[]
}

export interface OffsetCommitRequestTopic {
  readonly name: string
  readonly topicId: string
  readonly partitions: readonly OffsetCommitRequestPartition[]
}

export interface OffsetCommitRequestPartition {
  readonly partitionIndex: number
  readonly committedOffset: number
  readonly committedLeaderEpoch: number
  readonly committedMetadata: string | null
}

export interface OffsetCommitResponse {
  readonly throttleTimeMs: number
  readonly topics: readonly OffsetCommitResponseTopic[]
}

export interface OffsetCommitResponseTopic {
  readonly name: string
  readonly topicId: string
  readonly partitions: readonly OffsetCommitResponsePartition[]
}

export interface OffsetCommitResponsePartition {
  readonly partitionIndex: number
  readonly errorCode: number
}

export const offsetCommitApi = defineApi<OffsetCommitRequest, OffsetCommitResponse>({
  name: 'OffsetCommit',
  key: 8,
  versions: '2-10',
  flexible: '8+',
  request: `
    groupId: string
    generationIdOrMemberEpoch: int32 1+ = -1 ignorable
    memberId: string 1+ ignorable
    groupInstanceId: string 7+ null = null
    retentionTimeMs: int64 2-4 = -1 ignorable
    topics: []struct
      name: string 0-9 ignorable
      topicId: uuid 10+ ignorable
      partitions: []struct
        partitionIndex: int32
        committedOffset: int64
        committedLeaderEpoch: int32 6+ = -1 ignorable
        committedMetadata: string null
  `,
  response: `
    throttleTimeMs: int32 3+ ignorable
    topics: []struct
      name: string 0-9 ignorable
      topicId: uuid 10+ ignorable
      partitions: []struct
        partitionIndex: int32
        errorCode: int16
  `,
})
