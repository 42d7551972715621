/**
 * DeleteGroups (key 42). Deletes empty groups with their offsets (KIP-229).
 */

import { defineApi } from '../define-api.js'

export interface DeleteGroupsRequest {
  readonly groupsNames: readonly string[]
}

export interface DeleteGroupsResponse {
  readonly throttleTimeMs: number
  readonly results: readonly DeletableGroupResult[]
}

export interface DeletableGroupResult {
  readonly groupId: string
  readonly errorCode: number
}

export const deleteGroupsApi = defineApi<DeleteGroupsRequest, DeleteGroupsResponse>({
  name: 'DeleteGroups',
  key: 42,
  versions: '0-2',
  flexible: '2+',
  request: `
    groupsNames: []string
  `,
  response: `
    throttleTimeMs: int32
    results: []struct
      groupId: string
      errorCode: int16
  `,
})
