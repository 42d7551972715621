/**
 * UpdateFeatures (key 57). Raises or lowers finalized feature levels (KIP-584). Upgrade types: 1 upgrade, 2 safe downgrade, 3 unsafe downgrade.
 */

import { defineApi } from '../define-api.js'

export interface UpdateFeaturesRequest {
  readonly timeoutMs: number
  readonly featureUpdates: readonly FeatureUpdateKey[]
  readonly validateOnly: boolean
}

export interface FeatureUpdateKey {
  readonly feature: string
  readonly maxVersionLevel: number
  readonly allowDowngrade: boolean
  readonly upgradeType: number
}

export interface UpdateFeaturesResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly results: readonly UpdatableFeatureResult[]
}

export interface UpdatableFeatureResult {
  readonly feature: string
  readonly errorCode: number
  readonly errorMessage: string | null
}

export const updateFeaturesApi = defineApi<UpdateFeaturesRequest, UpdateFeaturesResponse>({
  name: 'UpdateFeatures',
  key: 57,
  versions: '0-2',
  flexible: '0+',
  request: `
    timeoutMs: int32 = 60000
    featureUpdates: []struct
      feature: string
      maxVersionLevel: int16
      allowDowngrade: bool 0
      upgradeType: int8 1+ = 1
    validateOnly: bool 1+
  `,
  response: `
    throttleTimeMs: int32
    errorCode: int16
    errorMessage: string null
    results: []struct 0-1 ignorable
      feature: string
      errorCode: int16
      errorMessage: string null
  `,
})
