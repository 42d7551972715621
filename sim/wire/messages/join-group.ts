/**
 * JoinGroup (key 11). A member joins a classic group, or joins again in a rebalance.
 *
 * Answered once the rebalance has everybody; the leader gets all members' subscriptions (KIP-394, KIP-345, KIP-800).
 */

import { defineApi } from '../define-api.js'

export interface JoinGroupRequest {
  readonly groupId: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly protocolType: string
  readonly protocols: readonly JoinGroupRequestProtocol[]
  readonly reason: string | null
}

export interface JoinGroupRequestProtocol {
  readonly name: string
  readonly metadata: Uint8Array
}

export interface JoinGroupResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly generationId: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leader: string
  readonly skipAssignment: boolean
  readonly memberId: string
  readonly members: readonly JoinGroupResponseMember[]
}

export interface JoinGroupResponseMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly metadata: Uint8Array
}

export const joinGroupApi = defineApi<JoinGroupRequest, JoinGroupResponse>({
  name: 'JoinGroup',
  key: 11,
  versions: '0-9',
  flexible: '6+',
  request: `
    groupId: string
    sessionTimeoutMs: int32
    rebalanceTimeoutMs: int32 1+ = -1 ignorable
    memberId: string
    groupInstanceId: string 5+ null = null
    protocolType: string
    protocols: []struct
      name: string
      metadata: bytes
    reason: string 8+ null = null ignorable
  `,
  response: `
    throttleTimeMs: int32 2+ ignorable
    errorCode: int16
    generationId: int32 = -1
    protocolType: string 7+ null = null ignorable
    protocolName: string null 7+
    leader: string
    skipAssignment: bool 9+
    memberId: string
    members: []struct
      memberId: string
      groupInstanceId: string 5+ null = null ignorable
      metadata: bytes
  `,
})
