/**
 * IncrementalAlterConfigs (key 44). Changes single settings of topics and brokers (KIP-339). Operations: 0 set, 1 delete, 2 append, 3 subtract.
 */

import { defineApi } from '../define-api.js'

export interface IncrementalAlterConfigsRequest {
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
  readonly configOperation: number
  readonly value: string | null
}

export interface IncrementalAlterConfigsResponse {
  readonly throttleTimeMs: number
  readonly responses: readonly AlterConfigsResourceResponse[]
}

export interface AlterConfigsResourceResponse {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly resourceType: number
  readonly resourceName: string
}

export const incrementalAlterConfigsApi = defineApi<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>({
  name: 'IncrementalAlterConfigs',
  key: 44,
  versions: '0-1',
  flexible: '1+',
  request: `
    resources: []struct
      resourceType: int8
      resourceName: string
      configs: []struct
        name: string
        configOperation: int8
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
