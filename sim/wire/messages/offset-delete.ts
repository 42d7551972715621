/**
 * OffsetDelete (key 47). Deletes committed offsets of topics that the group does not subscribe to (KIP-496).
 */

import { defineApi } from '../define-api.js'

export interface OffsetDeleteRequest {
  readonly groupId: string
  readonly topics: readonly OffsetDeleteRequestTopic[]
}

export interface OffsetDeleteRequestTopic {
  readonly name: string
  readonly partitions: readonly OffsetDeleteRequestPartition[]
}

export interface OffsetDeleteRequestPartition {
  readonly partitionIndex: number
}

export interface OffsetDeleteResponse {
  readonly errorCode: number
  readonly throttleTimeMs: number
  readonly topics: readonly OffsetDeleteResponseTopic[]
}

export interface OffsetDeleteResponseTopic {
  readonly name: string
  readonly partitions: readonly OffsetDeleteResponsePartition[]
}

export interface OffsetDeleteResponsePartition {
  readonly partitionIndex: number
  readonly errorCode: number
}

export const offsetDeleteApi = defineApi<OffsetDeleteRequest, OffsetDeleteResponse>({
  name: 'OffsetDelete',
  key: 47,
  versions: '0-0',
  request: `
    groupId: string
    topics: []struct
      name: string
      partitions: []struct
        partitionIndex: int32
  `,
  response: `
    errorCode: int16
    throttleTimeMs: int32 ignorable
    topics: []struct
      name: string
      partitions: []struct
        partitionIndex: int32
        errorCode: int16
  `,
})
