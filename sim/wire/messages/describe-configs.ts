/**
 * DescribeConfigs (key 32). The configuration of topics, brokers and groups, with where each value comes from (KIP-133, KIP-226).
 *
 * Resource types: 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
 */

import { defineApi } from '../define-api.js'

export interface DescribeConfigsRequest {
  readonly resources: readonly DescribeConfigsResource[]
  readonly includeSynonyms: boolean
  readonly includeDocumentation: boolean
}

export interface DescribeConfigsResource {
  readonly resourceType: number
  readonly resourceName: string
  readonly configurationKeys: readonly string[] | null
}

export interface DescribeConfigsResponse {
  readonly throttleTimeMs: number
  readonly results: readonly DescribeConfigsResult[]
}

export interface DescribeConfigsResult {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly resourceType: number
  readonly resourceName: string
  readonly configs: readonly DescribeConfigsResourceResult[]
}

export interface DescribeConfigsResourceResult {
  readonly name: string
  readonly value: string | null
  readonly readOnly: boolean
  readonly configSource: number
  readonly isSensitive: boolean
  readonly synonyms: readonly DescribeConfigsSynonym[]
  readonly configType: number
  readonly documentation: string | null
}

export interface DescribeConfigsSynonym {
  readonly name: string
  readonly value: string | null
  readonly source: number
}

export const describeConfigsApi = defineApi<DescribeConfigsRequest, DescribeConfigsResponse>({
  name: 'DescribeConfigs',
  key: 32,
  versions: '1-4',
  flexible: '4+',
  request: `
    resources: []struct
      resourceType: int8
      resourceName: string
      configurationKeys: []string null
    includeSynonyms: bool 1+
    includeDocumentation: bool 3+
  `,
  response: `
    throttleTimeMs: int32
    results: []struct
      errorCode: int16
      errorMessage: string null
      resourceType: int8
      resourceName: string
      configs: []struct
        name: string
        value: string null
        readOnly: bool
        configSource: int8 1+ = -1 ignorable
        isSensitive: bool
        synonyms: []struct 1+ ignorable
          name: string 1+
          value: string 1+ null 0+
          source: int8 1+
        configType: int8 3+ ignorable
        documentation: string 3+ null 0+ ignorable
  `,
})
