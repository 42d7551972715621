/**
 * DescribeTransactions (key 65). State and partitions of transactions (KIP-664).
 */

import { defineApi } from '../define-api.js'

export interface DescribeTransactionsRequest {
  readonly transactionalIds: readonly string[]
}

export interface DescribeTransactionsResponse {
  readonly throttleTimeMs: number
  readonly transactionStates: readonly TransactionState[]
}

export interface TransactionState {
  readonly errorCode: number
  readonly transactionalId: string
  readonly transactionState: string
  readonly transactionTimeoutMs: number
  readonly transactionStartTimeMs: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly topics: readonly TopicData[]
}

export interface TopicData {
  readonly topic: string
  readonly partitions: readonly number[]
}

export const describeTransactionsApi = defineApi<DescribeTransactionsRequest, DescribeTransactionsResponse>({
  name: 'DescribeTransactions',
  key: 65,
  versions: '0-0',
  flexible: '0+',
  request: `
    transactionalIds: []string
  `,
  response: `
    throttleTimeMs: int32
    transactionStates: []struct
      errorCode: int16
      transactionalId: string
      transactionState: string
      transactionTimeoutMs: int32
      transactionStartTimeMs: int64
      producerId: int64
      producerEpoch: int16
      topics: []struct
        topic: string
        partitions: []int32
  `,
})
