/**
 * ListTransactions (key 66). The transactional ids that this broker coordinates (KIP-664, KIP-994).
 */

import { defineApi } from '../define-api.js'

export interface ListTransactionsRequest {
  readonly stateFilters: readonly string[]
  readonly producerIdFilters: readonly number[]
  readonly durationFilter: number
  readonly transactionalIdPattern: string | null
}

export interface ListTransactionsResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly unknownStateFilters: readonly string[]
  readonly transactionStates: readonly TransactionState[]
}

export interface TransactionState {
  readonly transactionalId: string
  readonly producerId: number
  readonly transactionState: string
}

export const listTransactionsApi = defineApi<ListTransactionsRequest, ListTransactionsResponse>({
  name: 'ListTransactions',
  key: 66,
  versions: '0-2',
  flexible: '0+',
  request: `
    stateFilters: []string
    producerIdFilters: []int64
    durationFilter: int64 1+ = -1
    transactionalIdPattern: string 2+ null = null
  `,
  response: `
    throttleTimeMs: int32
    errorCode: int16
    unknownStateFilters: []string
    transactionStates: []struct
      transactionalId: string
      producerId: int64
      transactionState: string
  `,
})
