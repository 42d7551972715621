/**
 * EndTxn (key 26). Commits or aborts a transaction. From version 5 the answer has the producer id and epoch to go on with (KIP-890).
 */

import { defineApi } from '../define-api.js'

export interface EndTxnRequest {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
  readonly committed: boolean
}

export interface EndTxnResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly producerId: number
  readonly producerEpoch: number
}

export const endTxnApi = defineApi<EndTxnRequest, EndTxnResponse>({
  name: 'EndTxn',
  key: 26,
  versions: '0-5',
  flexible: '3+',
  request: `
    transactionalId: string
    producerId: int64
    producerEpoch: int16
    committed: bool
  `,
  response: `
    throttleTimeMs: int32
    errorCode: int16
    producerId: int64 5+ = -1 ignorable
    producerEpoch: int16 5+ = -1 ignorable
  `,
})
