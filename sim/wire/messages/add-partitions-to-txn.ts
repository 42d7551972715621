/**
 * AddPartitionsToTxn (key 24). Adds partitions to a transaction (KIP-98). From version 4 brokers send it, in batches and to verify only (KIP-890);
 * clients use the `v3AndBelow` fields.
 */

import { defineApi } from '../define-api.js'

export interface AddPartitionsToTxnRequest {
  readonly transactions: readonly AddPartitionsToTxnTransaction[]
  readonly v3AndBelowTransactionalId: string
  readonly v3AndBelowProducerId: number
  readonly v3AndBelowProducerEpoch: number
  readonly v3AndBelowTopics: readonly AddPartitionsToTxnTopic[]
}

export interface AddPartitionsToTxnTransaction {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
  readonly verifyOnly: boolean
  readonly topics: readonly AddPartitionsToTxnTopic[]
}

export interface AddPartitionsToTxnTopic {
  readonly name: string
  readonly partitions: readonly number[]
}

export interface AddPartitionsToTxnResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly resultsByTransaction: readonly AddPartitionsToTxnResult[]
  readonly resultsByTopicV3AndBelow: readonly AddPartitionsToTxnTopicResult[]
}

export interface AddPartitionsToTxnResult {
  readonly transactionalId: string
  readonly topicResults: readonly AddPartitionsToTxnTopicResult[]
}

export interface AddPartitionsToTxnTopicResult {
  readonly name: string
  readonly resultsByPartition: readonly AddPartitionsToTxnPartitionResult[]
}

export interface AddPartitionsToTxnPartitionResult {
  readonly partitionIndex: number
  readonly partitionErrorCode: number
}

export const addPartitionsToTxnApi = defineApi<AddPartitionsToTxnRequest, AddPartitionsToTxnResponse>({
  name: 'AddPartitionsToTxn',
  key: 24,
  versions: '0-5',
  flexible: '3+',
  request: `
    transactions: []struct 4+
      transactionalId: string 4+
      producerId: int64 4+
      producerEpoch: int16 4+
      verifyOnly: bool 4+
      topics: []struct 4+
        name: string
        partitions: []int32
    v3AndBelowTransactionalId: string 0-3
    v3AndBelowProducerId: int64 0-3
    v3AndBelowProducerEpoch: int16 0-3
    v3AndBelowTopics: []struct 0-3
      name: string
      partitions: []int32
  `,
  response: `
    throttleTimeMs: int32
    errorCode: int16 4+ ignorable
    resultsByTransaction: []struct 4+
      transactionalId: string 4+
      topicResults: []struct 4+
        name: string
        resultsByPartition: []struct
          partitionIndex: int32
          partitionErrorCode: int16
    resultsByTopicV3AndBelow: []struct 0-3
      name: string
      resultsByPartition: []struct
        partitionIndex: int32
        partitionErrorCode: int16
  `,
})
