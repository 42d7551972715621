/**
 * ApiVersions (key 18). The versions of each API and the feature levels that the node asked supports (KIP-511, KIP-584).
 *
 * The response's header is always version 0, so that any client can read it.
 */

import { defineApi } from '../define-api.js'

export interface ApiVersionsRequest {
  readonly clientSoftwareName: string
  readonly clientSoftwareVersion: string
}

export interface ApiVersionsResponse {
  readonly errorCode: number
  readonly apiKeys: readonly ApiVersion[]
  readonly throttleTimeMs: number
  readonly supportedFeatures: readonly SupportedFeatureKey[]
  readonly finalizedFeaturesEpoch: number
  readonly finalizedFeatures: readonly FinalizedFeatureKey[]
  readonly zkMigrationReady: boolean
}

export interface ApiVersion {
  readonly apiKey: number
  readonly minVersion: number
  readonly maxVersion: number
}

export interface SupportedFeatureKey {
  readonly name: string
  readonly minVersion: number
  readonly maxVersion: number
}

export interface FinalizedFeatureKey {
  readonly name: string
  readonly maxVersionLevel: number
  readonly minVersionLevel: number
}

export const apiVersionsApi = defineApi<ApiVersionsRequest, ApiVersionsResponse>({
  name: 'ApiVersions',
  key: 18,
  versions: '0-4',
  flexible: '3+',
  request: `
    clientSoftwareName: string 3+ ignorable
    clientSoftwareVersion: string 3+ ignorable
  `,
  response: `
    errorCode: int16
    apiKeys: []struct
      apiKey: int16
      minVersion: int16
      maxVersion: int16
    throttleTimeMs: int32 1+ ignorable
    supportedFeatures: []struct 3+ tag 0 ignorable
      name: string 3+
      minVersion: int16 3+
      maxVersion: int16 3+
    finalizedFeaturesEpoch: int64 3+ tag 1 = -1 ignorable
    finalizedFeatures: []struct 3+ tag 2 ignorable
      name: string 3+
      maxVersionLevel: int16 3+
      minVersionLevel: int16 3+
    zkMigrationReady: bool 3+ tag 3 ignorable
  `,
})
