/**
 * SyncGroup (key 14). The leader of a classic group hands in the assignment, every member asks for its own.
 */

import { defineApi } from '../define-api.js'

export interface SyncGroupRequest {
  readonly groupId: string
  readonly generationId: number
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignments: readonly SyncGroupRequestAssignment[]
}

export interface SyncGroupRequestAssignment {
  readonly memberId: string
  readonly assignment: Uint8Array
}

export interface SyncGroupResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignment: Uint8Array
}

export const syncGroupApi = defineApi<SyncGroupRequest, SyncGroupResponse>({
  name: 'SyncGroup',
  key: 14,
  versions: '0-5',
  flexible: '4+',
  request: `
    groupId: string
    generationId: int32
    memberId: string
    groupInstanceId: string 3+ null = null
    protocolType: string 5+ null = null ignorable
    protocolName: string 5+ null = null ignorable
    assignments: []struct
      memberId: string
      assignment: bytes
  `,
  response: `
    throttleTimeMs: int32 1+ ignorable
    errorCode: int16
    protocolType: string 5+ null = null ignorable
    protocolName: string 5+ null = null ignorable
    assignment: bytes
  `,
})
