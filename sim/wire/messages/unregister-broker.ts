/**
 * UnregisterBroker (key 64). Takes the registration of a broker out of the cluster (KIP-631).
 */

import { defineApi } from '../define-api.js'

export interface UnregisterBrokerRequest {
  readonly brokerId: number
}

export interface UnregisterBrokerResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly errorMessage: string | null
}

export const unregisterBrokerApi = defineApi<UnregisterBrokerRequest, UnregisterBrokerResponse>({
  name: 'UnregisterBroker',
  key: 64,
  versions: '0-0',
  flexible: '0+',
  request: `
    brokerId: int32
  `,
  response: `
    throttleTimeMs: int32
    errorCode: int16
    errorMessage: string null
  `,
})
