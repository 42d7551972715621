/**
 * BrokerHeartbeat (key 63). A registered broker says that it is alive, how far it has replayed, and whether it wants to be fenced or to shut down (KIP-631).
 */

import { defineApi } from '../define-api.js'

export interface BrokerHeartbeatRequest {
  readonly brokerId: number
  readonly brokerEpoch: number
  readonly currentMetadataOffset: number
  readonly wantFence: boolean
  readonly wantShutDown: boolean
  readonly offlineLogDirs: readonly string[]
}

export interface BrokerHeartbeatResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly isCaughtUp: boolean
  readonly isFenced: boolean
  readonly shouldShutDown: boolean
}

export const brokerHeartbeatApi = defineApi<BrokerHeartbeatRequest, BrokerHeartbeatResponse>({
  name: 'BrokerHeartbeat',
  key: 63,
  versions: '0-1',
  flexible: '0+',
  request: `
    brokerId: int32
    brokerEpoch: int64 = -1
    currentMetadataOffset: int64
    wantFence: bool
    wantShutDown: bool
    offlineLogDirs: []uuid 1+ tag 0
  `,
  response: `
    throttleTimeMs: int32
    errorCode: int16
    isCaughtUp: bool
    isFenced: bool = true
    shouldShutDown: bool
  `,
})
