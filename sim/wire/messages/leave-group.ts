/**
 * LeaveGroup (key 13). Members leave a classic group; several at once from version 3 (KIP-345), with reasons from 5 (KIP-800).
 */

import { defineApi } from '../define-api.js'

export interface LeaveGroupRequest {
  readonly groupId: string
  readonly memberId: string
  readonly members: readonly MemberIdentity[]
}

export interface MemberIdentity {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly reason: string | null
}

export interface LeaveGroupResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly members: readonly MemberResponse[]
}

export interface MemberResponse {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly errorCode: number
}

export const leaveGroupApi = defineApi<LeaveGroupRequest, LeaveGroupResponse>({
  name: 'LeaveGroup',
  key: 13,
  versions: '0-5',
  flexible: '4+',
  request: `
    groupId: string
    memberId: string 0-2
    members: []struct 3+
      memberId: string 3+
      groupInstanceId: string 3+ null = null
      reason: string 5+ null = null ignorable
  `,
  response: `
    throttleTimeMs: int32 1+ ignorable
    errorCode: int16
    members: []struct 3+
      memberId: string 3+
      groupInstanceId: string 3+ null
      errorCode: int16 3+
  `,
})
