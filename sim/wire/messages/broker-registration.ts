/**
 * BrokerRegistration (key 62). A broker registers with the active controller (KIP-631) and gets its broker epoch.
 */

import { defineApi } from '../define-api.js'

export interface BrokerRegistrationRequest {
  readonly brokerId: number
  readonly clusterId: string
  readonly incarnationId: string
  readonly listeners: readonly Listener[]
  readonly features: readonly Feature[]
  readonly rack: string | null
  readonly isMigratingZkBroker: boolean
  readonly logDirs: readonly string[]
  readonly previousBrokerEpoch: number
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

export interface BrokerRegistrationResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly brokerEpoch: number
}

export const brokerRegistrationApi = defineApi<BrokerRegistrationRequest, BrokerRegistrationResponse>({
  name: 'BrokerRegistration',
  key: 62,
  versions: '0-4',
  flexible: '0+',
  request: `
    brokerId: int32
    clusterId: string
    incarnationId: uuid
    listeners: []struct
      name: string
      host: string
      port: uint16
      securityProtocol: int16
    features: []struct
      name: string
      minSupportedVersion: int16
      maxSupportedVersion: int16
    rack: string null
    isMigratingZkBroker: bool 1+
    logDirs: []uuid 2+ ignorable
    previousBrokerEpoch: int64 3+ = -1 ignorable
  `,
  response: `
    throttleTimeMs: int32
    errorCode: int16
    brokerEpoch: int64 = -1
  `,
})
