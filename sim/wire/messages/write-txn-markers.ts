/**
 * WriteTxnMarkers (key 27). The transaction coordinator has commit or abort markers written into partitions (KIP-98).
 */

import { defineApi } from '../define-api.js'

export interface WriteTxnMarkersRequest {
  readonly markers: readonly WritableTxnMarker[]
}

export interface WritableTxnMarker {
  readonly producerId: number
  readonly producerEpoch: number
  readonly transactionResult: boolean
  readonly topics: readonly WritableTxnMarkerTopic[]
  readonly coordinatorEpoch: number
}

export interface WritableTxnMarkerTopic {
  readonly name: string
  readonly partitionIndexes: readonly number[]
}

export interface WriteTxnMarkersResponse {
  readonly markers: readonly WritableTxnMarkerResult[]
}

export interface WritableTxnMarkerResult {
  readonly producerId: number
  readonly topics: readonly WritableTxnMarkerTopicResult[]
}

export interface WritableTxnMarkerTopicResult {
  readonly name: string
  readonly partitions: readonly WritableTxnMarkerPartitionResult[]
}

export interface WritableTxnMarkerPartitionResult {
  readonly partitionIndex: number
  readonly errorCode: number
}

export const writeTxnMarkersApi = defineApi<WriteTxnMarkersRequest, WriteTxnMarkersResponse>({
  name: 'WriteTxnMarkers',
  key: 27,
  versions: '1-1',
  flexible: '1+',
  request: `
    markers: []struct
      producerId: int64
      producerEpoch: int16
      transactionResult: bool
      topics: []struct
        name: string
        partitionIndexes: []int32
      coordinatorEpoch: int32
  `,
  response: `
    markers: []struct
      producerId: int64
      topics: []struct
        name: string
        partitions: []struct
          partitionIndex: int32
          errorCode: int16
  `,
})
