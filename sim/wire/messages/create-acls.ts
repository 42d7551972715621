/**
 * CreateAcls (key 30). Adds access control entries (KIP-140).
 */

import { defineApi } from '../define-api.js'

export interface CreateAclsRequest {
  readonly creations: readonly AclCreation[]
}

export interface AclCreation {
  readonly resourceType: number
  readonly resourceName: string
  readonly resourcePatternType: number
  readonly principal: string
  readonly host: string
  readonly operation: number
  readonly permissionType: number
}

export interface CreateAclsResponse {
  readonly throttleTimeMs: number
  readonly results: readonly AclCreationResult[]
}

export interface AclCreationResult {
  readonly errorCode: number
  readonly errorMessage: string | null
}

export const createAclsApi = defineApi<CreateAclsRequest, CreateAclsResponse>({
  name: 'CreateAcls',
  key: 30,
  versions: '1-3',
  flexible: '2+',
  request: `
    creations: []struct
      resourceType: int8
      resourceName: string
      resourcePatternType: int8 1+ = 3
      principal: string
      host: string
      operation: int8
      permissionType: int8
  `,
  response: `
    throttleTimeMs: int32
    results: []struct
      errorCode: int16
      errorMessage: string null
  `,
})
