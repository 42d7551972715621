/**
 * ListGroups (key 16). The groups that this broker coordinates, by state (KIP-518) and type (KIP-848).
 */

import { defineApi } from '../define-api.js'

export interface ListGroupsRequest {
  readonly statesFilter: readonly string[]
  readonly typesFilter: readonly string[]
}

export interface ListGroupsResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly groups: readonly ListedGroup[]
}

export interface ListedGroup {
  readonly groupId: string
  readonly protocolType: string
  readonly groupState: string
  readonly groupType: string
}

export const listGroupsApi = defineApi<ListGroupsRequest, ListGroupsResponse>({
  name: 'ListGroups',
  key: 16,
  versions: '0-5',
  flexible: '3+',
  request: `
    statesFilter: []string 4+
    typesFilter: []string 5+
  `,
  response: `
    throttleTimeMs: int32 1+ ignorable
    errorCode: int16
    groups: []struct
      groupId: string
      protocolType: string
      groupState: string 4+ ignorable
      groupType: string 5+ ignorable
  `,
})
