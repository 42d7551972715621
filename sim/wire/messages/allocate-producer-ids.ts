/**
 * AllocateProducerIds (key 67). A broker gets a block of producer ids from the controller (KIP-730).
 */

import { defineApi } from '../define-api.js'

export interface AllocateProducerIdsRequest {
  readonly brokerId: number
  readonly brokerEpoch: number
}

export interface AllocateProducerIdsResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly producerIdStart: number
  readonly producerIdLen: number
}

export const allocateProducerIdsApi = defineApi<AllocateProducerIdsRequest, AllocateProducerIdsResponse>({
  name: 'AllocateProducerIds',
  key: 67,
  versions: '0-0',
  flexible: '0+',
  request: `
    brokerId: int32
    brokerEpoch: int64 = -1
  `,
  response: `
    throttleTimeMs: int32
    errorCode: int16
    producerIdStart: int64
    producerIdLen: int32
  `,
})
