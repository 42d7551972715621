/**
 * Heartbeat (key 12). A member of a classic group is alive; the answer tells it of rebalances.
 */

import { defineApi } from '../define-api.js'

export interface HeartbeatRequest {
  readonly groupId: string
  readonly generationId: number
  readonly memberId: string
  readonly groupInstanceId: string | null
}

export interface HeartbeatResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
}

export const heartbeatApi = defineApi<HeartbeatRequest, HeartbeatResponse>({
  name: 'Heartbeat',
  key: 12,
  versions: '0-4',
  flexible: '4+',
  request: `
    groupId: string
    generationId: int32
    memberId: string
    groupInstanceId: string 3+ null = null
  `,
  response: `
    throttleTimeMs: int32 1+ ignorable
    errorCode: int16
  `,
})
