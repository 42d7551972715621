/**
 * The protocol generations of a KRaft cluster, picked in one place from the finalised `metadata.version`.
 *
 * One row for every feature level from 3.3-IV3 to the newest production version of Kafka 4.1 (`MetadataVersion`). Code
 * asks for a rule by name (`leaderEpochBumpOnIsrShrink`), never for a number.
 */

import { nearest } from '../../kernel/config-def.js'
import { assert, UsageError } from '../../kernel/errors.js'

export const METADATA_VERSION_FEATURE = 'metadata.version'
export const ELR_FEATURE = 'eligible.leader.replicas.version'
export const GROUP_FEATURE = 'group.version'
export const TRANSACTION_FEATURE = 'transaction.version'
export const KRAFT_FEATURE = 'kraft.version'

/** The rules that a metadata version decides. */
export interface MetadataVersion {
  readonly featureLevel: number
  /** `4.1-IV1`. */
  readonly name: string
  /** The release that it belongs to: `4.1`. */
  readonly release: string
  /** Going below this version would lose metadata. */
  readonly metadataChanged: boolean
  /** Until 3.6-IV0 (KAFKA-15021) the controller bumps the leader epoch whenever the ISR shrinks. */
  readonly leaderEpochBumpOnIsrShrink: boolean
  /** Metadata transactions (KIP-868), from 3.6-IV1. */
  readonly transactions: boolean
  /** Controllers register themselves (KIP-919), from 3.7-IV0. */
  readonly controllerRegistration: boolean
  /** Log directories in partition and broker records (KIP-858), from 3.7-IV2. */
  readonly directoryAssignment: boolean
  /** ELR fields in partition records (KIP-966), from 4.0-IV1; the feature itself is ELR_FEATURE. */
  readonly elr: boolean
  readonly registerBrokerRecordVersion: number
  readonly partitionRecordVersion: number
  readonly partitionChangeRecordVersion: number
  readonly brokerRegistrationChangeRecordVersion: number
  readonly fetchRequestVersion: number
  readonly listOffsetsRequestVersion: number
}

const NAMES: readonly (readonly [level: number, name: string, changed: boolean])[] = [
  [7, '3.3-IV3', true],
  [8, '3.4-IV0', true],
  [9, '3.5-IV0', false],
  [10, '3.5-IV1', false],
  [11, '3.5-IV2', true],
  [12, '3.6-IV0', false],
  [13, '3.6-IV1', true],
  [14, '3.6-IV2', true],
  [15, '3.7-IV0', true],
  [16, '3.7-IV1', false],
  [17, '3.7-IV2', true],
  [18, '3.7-IV3', false],
  [19, '3.7-IV4', false],
  [20, '3.8-IV0', false],
  [21, '3.9-IV0', false],
  [22, '4.0-IV0', false],
  [23, '4.0-IV1', true],
  [24, '4.0-IV2', false],
  [25, '4.0-IV3', false],
  [26, '4.1-IV0', false],
  [27, '4.1-IV1', false],
]

export const METADATA_VERSIONS: readonly MetadataVersion[] = NAMES.map(([level, name, changed]) => ({
  featureLevel: level,
  name,
  release: name.slice(0, name.indexOf('-')),
  metadataChanged: changed,
  leaderEpochBumpOnIsrShrink: level < 12,
  transactions: level >= 13,
  controllerRegistration: level >= 15,
  directoryAssignment: level >= 17,
  elr: level >= 23,
  registerBrokerRecordVersion: level >= 17 ? 3 : level >= 8 ? 2 : 1,
  partitionRecordVersion: level >= 23 ? 2 : level >= 17 ? 1 : 0,
  partitionChangeRecordVersion: level >= 23 ? 2 : level >= 17 ? 1 : 0,
  brokerRegistrationChangeRecordVersion: level >= 17 ? 2 : 1,
  fetchRequestVersion: level >= 27 ? 18 : level >= 21 ? 17 : level >= 19 ? 16 : level >= 10 ? 15 : level >= 9 ? 14 : 13,
  listOffsetsRequestVersion: level >= 25 ? 10 : level >= 21 ? 9 : level >= 9 ? 8 : 7,
}))

export const MINIMUM_METADATA_VERSION = METADATA_VERSIONS[0] as MetadataVersion
export const LATEST_METADATA_VERSION = METADATA_VERSIONS[METADATA_VERSIONS.length - 1] as MetadataVersion

/** By feature level; the level must be one that this build knows. */
export function metadataVersion(featureLevel: number): MetadataVersion {
  const found = METADATA_VERSIONS[featureLevel - MINIMUM_METADATA_VERSION.featureLevel]
  assert(found !== undefined, 'metadata version: feature level', { featureLevel })
  return found
}

/** `4.1` (the newest of that release), `4.1.0` or `4.1-IV1`. @throws UsageError for anything else. */
export function parseMetadataVersion(text: string): MetadataVersion {
  const key = text.split('.').slice(0, 2).join('.')
  for (let i = METADATA_VERSIONS.length - 1; i >= 0; i--) {
    const version = METADATA_VERSIONS[i] as MetadataVersion
    if (version.name === key || version.release === key) return version
  }
  const mend = nearest(key, [...new Set(METADATA_VERSIONS.map((version) => version.release))])
  throw new UsageError({
    message: `unknown metadata version ${text}: this build knows ${MINIMUM_METADATA_VERSION.name} to ${LATEST_METADATA_VERSION.name}`,
    ...(mend !== undefined && { mend: `did you mean ${mend}?` }),
  })
}

/**
 * The feature levels that `kafka-storage format` gives a new cluster of this release (`Feature.defaultLevel`): a feature is on
 * from the metadata version on that first made it the default. kraft.version lives in control records, not here.
 */
export function defaultFeatureLevels(version: MetadataVersion): ReadonlyMap<string, number> {
  const levels = new Map<string, number>([[METADATA_VERSION_FEATURE, version.featureLevel]])
  if (version.featureLevel >= 26) levels.set(ELR_FEATURE, 1)
  if (version.featureLevel >= 22) levels.set(GROUP_FEATURE, 1)
  if (version.featureLevel >= 24) levels.set(TRANSACTION_FEATURE, 2)
  return levels
}

/** Levels that this build supports, for registrations and UpdateFeatures. */
export const SUPPORTED_FEATURES: ReadonlyMap<string, { readonly min: number; readonly max: number }> = new Map([
  [METADATA_VERSION_FEATURE, { min: MINIMUM_METADATA_VERSION.featureLevel, max: LATEST_METADATA_VERSION.featureLevel }],
  [ELR_FEATURE, { min: 0, max: 1 }],
  [GROUP_FEATURE, { min: 0, max: 1 }],
  [KRAFT_FEATURE, { min: 0, max: 1 }],
  [TRANSACTION_FEATURE, { min: 0, max: 2 }],
])
