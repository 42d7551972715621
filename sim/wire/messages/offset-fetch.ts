/**
 * OffsetFetch (key 9). The committed offsets of groups; from version 8 several groups at once (KIP-709).
 *
 * Null `topics` asks for all. With `requireStable` offsets of an open transaction are answered UNSTABLE_OFFSET_COMMIT (KIP-447).
 */

import { defineApi } from '../define-api.js'

export interface OffsetFetchRequest {
  readonly groupId: string
  readonly topics: readonly OffsetFetchRequestTopic[] | null
  readonly groups: readonly OffsetFetchRequestGroup[]
  readonly requireStable: boolean
}

export interface OffsetFetchRequestTopic {
  readonly name: string
  readonly partitionIndexes: readonly number[]
}

export interface OffsetFetchRequestGroup {
  readonly groupId: string
  readonly memberId: string | null
  readonly memberEpoch: number
  readonly topics: readonly OffsetFetchRequestTopics[] | null
}

export interface OffsetFetchRequestTopics {
  readonly name: string
  readonly topicId: string
  readonly partitionIndexes: readonly number[]
}

export interface OffsetFetchResponse {
  readonly throttleTimeMs: number
  readonly topics: readonly OffsetFetchResponseTopic[]
  readonly errorCode: number
  readonly groups: readonly OffsetFetchResponseGroup[]
}

export interface OffsetFetchResponseTopic {
  readonly name: string
  readonly partitions: readonly OffsetFetchResponsePartition[]
}

export interface OffsetFetchResponsePartition {
  readonly partitionIndex: number
  readonly committedOffset: number
  readonly committedLeaderEpoch: number
  readonly metadata: string | null
  readonly errorCode: number
}

export interface OffsetFetchResponseGroup {
  readonly groupId: string
  readonly topics: readonly OffsetFetchResponseTopics[]
  readonly errorCode: number
}

export interface OffsetFetchResponseTopics {
  readonly name: string
  readonly topicId: string
  readonly partitions: readonly OffsetFetchResponsePartitions[]
}

export interface OffsetFetchResponsePartitions {
  readonly partitionIndex: number
  readonly committedOffset: number
  readonly committedLeaderEpoch: number
  readonly metadata: string | null
  readonly errorCode: number
}

export const offsetFetchApi = defineApi<OffsetFetchRequest, OffsetFetchResponse>({
  name: 'OffsetFetch',
  key: 9,
  versions: '1-10',
  flexible: '6+',
  request: `
    groupId: string 0-7
    topics: []struct 0-7 null 2-7
      name: string 0-7
      partitionIndexes: []int32 0-7
    groups: []struct 8+
      groupId: string 8+
      memberId: string 9+ null = null ignorable
      memberEpoch: int32 9+ = -1 ignorable
      topics: []struct 8+ null
        name: string 8-9 ignorable
        topicId: uuid 10+ ignorable
        partitionIndexes: []int32 8+
    requireStable: bool 7+
  `,
  response: `
    throttleTimeMs: int32 3+ ignorable
    topics: []struct 0-7
      name: string 0-7
      partitions: []struct 0-7
        partitionIndex: int32 0-7
        committedOffset: int64 0-7
        committedLeaderEpoch: int32 5-7 = -1 ignorable
        metadata: string 0-7 null
        errorCode: int16 0-7
    errorCode: int16 2-7 ignorable
    groups: []struct 8+
      groupId: string 8+
      topics: []struct 8+
        name: string 8-9 ignorable
        topicId: uuid 10+ ignorable
        partitions: []struct 8+
          partitionIndex: int32 8+
          committedOffset: int64 8+
          committedLeaderEpoch: int32 8+ = -1 ignorable
          metadata: string 8+ null
          errorCode: int16 8+
      errorCode: int16 8+
  `,
})
