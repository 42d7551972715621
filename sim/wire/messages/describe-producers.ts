/**
 * DescribeProducers (key 61). The producers with state in partitions, and their open transactions (KIP-664).
 */

import { defineApi } from '../define-api.js'

export interface DescribeProducersRequest {
  readonly topics: readonly TopicRequest[]
}

export interface TopicRequest {
  readonly name: string
  readonly partitionIndexes: readonly number[]
}

export interface DescribeProducersResponse {
  readonly throttleTimeMs: number
  readonly topics: readonly TopicResponse[]
}

export interface TopicResponse {
  readonly name: string
  readonly partitions: readonly PartitionResponse[]
}

export interface PartitionResponse {
  readonly partitionIndex: number
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly activeProducers: readonly ProducerState[]
}

export interface ProducerState {
  readonly producerId: number
  readonly producerEpoch: number
  readonly lastSequence: number
  readonly lastTimestamp: number
  readonly coordinatorEpoch: number
  readonly currentTxnStartOffset: number
}

export const describeProducersApi = defineApi<DescribeProducersRequest, DescribeProducersResponse>({
  name: 'DescribeProducers',
  key: 61,
  versions: '0-0',
  flexible: '0+',
  request: `
    topics: []struct
      name: string
      partitionIndexes: []int32
  `,
  response: `
    throttleTimeMs: int32
    topics: []struct
      name: string
      partitions: []struct
        partitionIndex: int32
        errorCode: int16
        errorMessage: string null = null
        activeProducers: []struct
          producerId: int64
          producerEpoch: int32
          lastSequence: int32 = -1
          lastTimestamp: int64 = -1
          coordinatorEpoch: int32
          currentTxnStartOffset: int64 = -1
  `,
})
