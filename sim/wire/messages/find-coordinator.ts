/**
 * FindCoordinator (key 10). Which broker coordinates a group (key type 0), a transactional id (1) or a share group's state (2).
 *
 * From version 4 several keys at once (KIP-699).
 */

import { defineApi } from '../define-api.js'

export interface FindCoordinatorRequest {
  readonly key: string
  readonly keyType: number
  readonly coordinatorKeys: readonly string[]
}

export interface FindCoordinatorResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly coordinators: readonly Coordinator[]
}

export interface Coordinator {
  readonly key: string
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly errorCode: number
  readonly errorMessage: string | null
}

export const findCoordinatorApi = defineApi<FindCoordinatorRequest, FindCoordinatorResponse>({
  name: 'FindCoordinator',
  key: 10,
  versions: '0-6',
  flexible: '3+',
  request: `
    key: string 0-3
    keyType: int8 1+
    coordinatorKeys: []string 4+
  `,
  response: `
    throttleTimeMs: int32 1+ ignorable
    errorCode: int16 0-3
    errorMessage: string 1-3 null ignorable
    nodeId: int32 0-3
    host: string 0-3
    port: int32 0-3
    coordinators: []struct 4+
      key: string 4+
      nodeId: int32 4+
      host: string 4+
      port: int32 4+
      errorCode: int16 4+
      errorMessage: string 4+ null ignorable
  `,
})
