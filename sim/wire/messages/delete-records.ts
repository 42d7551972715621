/**
 * DeleteRecords (key 21). Moves the log start offset of partitions forward (KIP-107). Offset -1 stands for the high watermark.
 */

import { defineApi } from '../define-api.js'

export interface DeleteRecordsRequest {
  readonly topics: readonly DeleteRecordsTopic[]
  readonly timeoutMs: number
}

export interface DeleteRecordsTopic {
  readonly name: string
  readonly partitions: readonly DeleteRecordsPartition[]
}

export interface DeleteRecordsPartition {
  readonly partitionIndex: number
  readonly offset: number
}

export interface DeleteRecordsResponse {
  readonly throttleTimeMs: number
  readonly topics: readonly DeleteRecordsTopicResult[]
}

export interface DeleteRecordsTopicResult {
  readonly name: string
  readonly partitions: readonly DeleteRecordsPartitionResult[]
}

export interface DeleteRecordsPartitionResult {
  readonly partitionIndex: number
  readonly lowWatermark: number
  readonly errorCode: number
}

export const deleteRecordsApi = defineApi<DeleteRecordsRequest, DeleteRecordsResponse>({
  name: 'DeleteRecords',
  key: 21,
  versions: '0-2',
  flexible: '2+',
  request: `
    topics: []struct
      name: string
      partitions: []struct
        partitionIndex: int32
        offset: int64
    timeoutMs: int32
  `,
  response: `
    throttleTimeMs: int32
    topics: []struct
      name: string
      partitions: []struct
        partitionIndex: int32
        lowWatermark: int64
        errorCode: int16
  `,
})
