/**
 * AlterConfigs (key 33). Replaces the whole configuration of topics and brokers (KIP-133); superseded by IncrementalAlterConfigs.
 */

import { defineApi } from '../define-api.js'

export interface AlterConfigsRequest {
  readonly resources: readonly AlterConfigsResource[]
  readonly validateOnly: boolean
}

export interface AlterConfigsResource {
  readonly resourceType: number
  readonly resourceName: string
  readonly configs: readonly AlterableConfig[]
}

export interface AlterableConfig {
  readonly name: string
  readonly value: string | null
}

export interface AlterConfigsResponse {
  readonly throttleTimeMs: number
  readonly responses: readonly AlterConfigsResourceResponse[]
}

export interface AlterConfigsResourceResponse {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly resourceType: number
  readonly resourceName: string
}

export const alterConfigsApi = defineApi<AlterConfigsRequest, AlterConfigsResponse>({
  name: 'AlterConfigs',
  key: 33,
  versions: '0-2',
  flexible: '2+',
  request: `
    resources: []struct
      resourceType: int8
      resourceName: string
      configs: []struct
        name: string
        value: string null
    validateOnly: bool
  `,
  response: `
    throttleTimeMs: int32
    responses: []struct
      errorCode: int16
      errorMessage: string null
      resourceType: int8
      resourceName: string
  `,
})
