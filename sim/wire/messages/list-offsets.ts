/**
 * ListOffsets (key 2). The offset of a timestamp, or of one of the special ones: -1 latest, -2 earliest, -3 maximum timestamp (KIP-734),
 * -4 earliest local and -5 latest tiered (KIP-405).
 */

import { defineApi } from '../define-api.js'

export interface ListOffsetsRequest {
  readonly replicaId: number
  readonly isolationLevel: number
  readonly topics: readonly ListOffsetsTopic[]
  readonly timeoutMs: number
}

export interface ListOffsetsTopic {
  readonly name: string
  readonly partitions: readonly ListOffsetsPartition[]
}

export interface ListOffsetsPartition {
  readonly partitionIndex: number
  readonly currentLeaderEpoch: number
  readonly timestamp: number
}

export interface ListOffsetsResponse {
  readonly throttleTimeMs: number
  readonly topics: readonly ListOffsetsTopicResponse[]
}

export interface ListOffsetsTopicResponse {
  readonly name: string
  readonly partitions: readonly ListOffsetsPartitionResponse[]
}

export interface ListOffsetsPartitionResponse {
  readonly partitionIndex: number
  readonly errorCode: number
  readonly timestamp: number
  readonly offset: number
  readonly leaderEpoch: number
}

export const listOffsetsApi = defineApi<ListOffsetsRequest, ListOffsetsResponse>({
  name: 'ListOffsets',
  key: 2,
  versions: '1-10',
  flexible: '6+',
  request: `
    replicaId: int32
    isolationLevel: int8 2+
    topics: []struct
      name: string
      partitions: []struct
        partitionIndex: int32
        currentLeaderEpoch: int32 4+ = -1 ignorable
        timestamp: int64
    timeoutMs: int32 10+ ignorable
  `,
  response: `
    throttleTimeMs: int32 2+ ignorable
    topics: []struct
      name: string
      partitions: []struct
        partitionIndex: int32
        errorCode: int16
        timestamp: int64 1+ = -1
        offset: int64 1+ = -1
        leaderEpoch: int32 4+ = -1
  `,
})
