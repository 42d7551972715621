/**
 * AddOffsetsToTxn (key 25). Adds a group's partition of the offsets topic to a transaction (KIP-98).
 */

import { defineApi } from '../define-api.js'

export interface AddOffsetsToTxnRequest {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
  readonly groupId: string
}

export interface AddOffsetsToTxnResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
}

export const addOffsetsToTxnApi = defineApi<AddOffsetsToTxnRequest, AddOffsetsToTxnResponse>({
  name: 'AddOffsetsToTxn',
  key: 25,
  versions: '0-4',
  flexible: '3+',
  request: `
    transactionalId: string
    producerId: int64
    producerEpoch: int16
    groupId: string
  `,
  response: `
    throttleTimeMs: int32
    errorCode: int16
  `,
})
