/**
 * DescribeGroups (key 15). State, protocol and members of classic groups.
 */

import { defineApi } from '../define-api.js'

export interface DescribeGroupsRequest {
  readonly groups: readonly string[]
  readonly includeAuthorizedOperations: boolean
}

export interface DescribeGroupsResponse {
  readonly throttleTimeMs: number
  readonly groups: readonly DescribedGroup[]
}

export interface DescribedGroup {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly groupId: string
  readonly groupState: string
  readonly protocolType: string
  readonly protocolData: string
  readonly members: readonly DescribedGroupMember[]
  readonly authorizedOperations: number
}

export interface DescribedGroupMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly memberMetadata: Uint8Array
  readonly memberAssignment: Uint8Array
}

export const describeGroupsApi = defineApi<DescribeGroupsRequest, DescribeGroupsResponse>({
  name: 'DescribeGroups',
  key: 15,
  versions: '0-6',
  flexible: '5+',
  request: `
    groups: []string
    includeAuthorizedOperations: bool 3+
  `,
  response: `
    throttleTimeMs: int32 1+ ignorable
    groups: []struct
      errorCode: int16
      errorMessage: string 6+ null = null
      groupId: string
      groupState: string
      protocolType: string
      protocolData: string
      members: []struct
        memberId: string
        groupInstanceId: string 4+ null = null ignorable
        clientId: string
        clientHost: string
        memberMetadata: bytes
        memberAssignment: bytes
      authorizedOperations: int32 3+ = -2147483648
  `,
})
