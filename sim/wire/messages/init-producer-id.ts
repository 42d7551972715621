/**
 * InitProducerId (key 22). Gives an idempotent or transactional producer its id and epoch (KIP-98, KIP-360).
 */

import { defineApi } from '../define-api.js'

export interface InitProducerIdRequest {
  readonly transactionalId: string | null
  readonly transactionTimeoutMs: number
  readonly producerId: number
  readonly producerEpoch: number
}

export interface InitProducerIdResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly producerId: number
  readonly producerEpoch: number
}

export const initProducerIdApi = defineApi<InitProducerIdRequest, InitProducerIdResponse>({
  name: 'InitProducerId',
  key: 22,
  versions: '0-5',
  flexible: '2+',
  request: `
    transactionalId: string null
    transactionTimeoutMs: int32
    producerId: int64 3+ = -1
    producerEpoch: int16 3+ = -1
  `,
  response: `
    throttleTimeMs: int32 ignorable
    errorCode: int16
    producerId: int64 = -1
    producerEpoch: int16
  `,
})
