/**
 * Envelope (key 58). A broker forwards a client's request to the controller, as bytes, and gets the response back (KIP-590).
 */

import { defineApi } from '../define-api.js'

export interface EnvelopeRequest {
  readonly requestData: Uint8Array
  readonly requestPrincipal: Uint8Array | null
  readonly clientHostAddress: Uint8Array
}

export interface EnvelopeResponse {
  readonly responseData: Uint8Array | null
  readonly errorCode: number
}

export const envelopeApi = defineApi<EnvelopeRequest, EnvelopeResponse>({
  name: 'Envelope',
  key: 58,
  versions: '0-0',
  flexible: '0+',
  request: `
    requestData: bytes
    requestPrincipal: bytes null
    clientHostAddress: bytes
  `,
  response: `
    responseData: bytes null = null
    errorCode: int16
  `,
})
