/**
 * ControllerRegistration (key 70). A controller registers itself, its endpoints and its features with the active controller (KIP-919).
 */

import { defineApi } from '../define-api.js'

export interface ControllerRegistrationRequest {
  readonly controllerId: number
  readonly incarnationId: string
  readonly zkMigrationReady: boolean
  readonly listeners: readonly Listener[]
  readonly features: readonly Feature[]
}

export interface Listener {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly securityProtocol: number
}

export interface Feature {
  readonly name: string
  readonly minSupportedVersion: number
  readonly maxSupportedVersion: number
}

export interface ControllerRegistrationResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly errorMessage: string | null
}

export const controllerRegistrationApi = defineApi<ControllerRegistrationRequest, ControllerRegistrationResponse>({
  name: 'ControllerRegistration',
  key: 70,
  versions: '0-0',
  flexible: '0+',
  request: `
    controllerId: int32
    incarnationId: uuid
    zkMigrationReady: bool
    listeners: []struct
      name: string
      host: string
      port: uint16
      securityProtocol: int16
    features: []struct
      name: string
      minSupportedVersion: int16
      maxSupportedVersion: int16
  `,
  response: `
    throttleTimeMs: int32
    errorCode: int16
    errorMessage: string null
  `,
})
