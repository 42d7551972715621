/**
 * DeleteAcls (key 31). Deletes the access control entries that match filters (KIP-140).
 */

import { defineApi } from '../define-api.js'

export interface DeleteAclsRequest {
  readonly filters: readonly DeleteAclsFilter[]
}

export interface DeleteAclsFilter {
  readonly resourceTypeFilter: number
  readonly resourceNameFilter: string | null
  readonly patternTypeFilter: number
  readonly principalFilter: string | null
  readonly hostFilter: string | null
  readonly operation: number
  readonly permissionType: number
}

export interface DeleteAclsResponse {
  readonly throttleTimeMs: number
  readonly filterResults: readonly DeleteAclsFilterResult[]
}

export interface DeleteAclsFilterResult {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly matchingAcls: readonly DeleteAclsMatchingAcl[]
}

export interface DeleteAclsMatchingAcl {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly resourceType: number
  readonly resourceName: string
  readonly patternType: number
  readonly principal: string
  readonly host: string
  readonly operation: number
  readonly permissionType: number
}

export const deleteAclsApi = defineApi<DeleteAclsRequest, DeleteAclsResponse>({
  name: 'DeleteAcls',
  key: 31,
  versions: '1-3',
  flexible: '2+',
  request: `
    filters: []struct
      resourceTypeFilter: int8
      resourceNameFilter: string null
      patternTypeFilter: int8 1+ = 3
      principalFilter: string null
      hostFilter: string null
      operation: int8
      permissionType: int8
  `,
  response: `
    throttleTimeMs: int32
    filterResults: []struct
      errorCode: int16
      errorMessage: string null
      matchingAcls: []struct
        errorCode: int16
        errorMessage: string null
        resourceType: int8
        resourceName: string
        patternType: int8 1+ = 3
        principal: string
        host: string
        operation: int8
        permissionType: int8
  `,
})
