/**
 * DescribeAcls (key 29). The access control entries that match a filter (KIP-140, patterns KIP-290).
 */

import { defineApi } from '../define-api.js'

export interface DescribeAclsRequest {
  readonly resourceTypeFilter: number
  readonly resourceNameFilter: string | null
  readonly patternTypeFilter: number
  readonly principalFilter: string | null
  readonly hostFilter: string | null
  readonly operation: number
  readonly permissionType: number
}

export interface DescribeAclsResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly resources: readonly DescribeAclsResource[]
}

export interface DescribeAclsResource {
  readonly resourceType: number
  readonly resourceName: string
  readonly patternType: number
  readonly acls: readonly AclDescription[]
}

export interface AclDescription {
  readonly principal: string
  readonly host: string
  readonly operation: number
  readonly permissionType: number
}

export const describeAclsApi = defineApi<DescribeAclsRequest, DescribeAclsResponse>({
  name: 'DescribeAcls',
  key: 29,
  versions: '1-3',
  flexible: '2+',
  request: `
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
    errorCode: int16
    errorMessage: string null
    resources: []struct
      resourceType: int8
      resourceName: string
      patternType: int8 1+ = 3
      acls: []struct
        principal: string
        host: string
        operation: int8
        permissionType: int8
  `,
})
