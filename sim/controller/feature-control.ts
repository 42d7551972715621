/**
 * The finalised feature levels, and their changes (Kafka's `FeatureControlManager`).
 *
 * Holds the metadata version, which decides every protocol generation, and whether ELR is on. An update must be supported by
 * this controller, every registered broker and every other controller of the quorum; a downgrade needs to say so, and
 * must lose no metadata. kraft.version cannot be changed here: the voters are fixed for a run.
 */

import type { NodeId } from '../kernel/units.js'
import type { BrokerImage, ControllerImage } from '../kraft/metadata/image.js'
import type { MetadataVersion } from '../kraft/metadata/metadata-version.js'
import {
  ELR_FEATURE,
  KRAFT_FEATURE,
  LATEST_METADATA_VERSION,
  METADATA_VERSION_FEATURE,
  METADATA_VERSIONS,
  metadataVersion,
  MINIMUM_METADATA_VERSION,
  SUPPORTED_FEATURES,
} from '../kraft/metadata/metadata-version.js'
import type { FeatureLevelRecord, MetadataRecord, RecordFeature } from '../kraft/metadata/records.js'
import { featureLevelRecord, NO_OP_RECORD } from '../kraft/metadata/records.js'
import type { ApiError } from '../wire/error-response.js'
import { Errors } from '../wire/errors.js'
import type { ControllerResult } from './controller-result.js'
import { apiError, decided, NO_ERROR } from './controller-result.js'

/** `FeatureUpdate.UpgradeType` codes. */
export const UPGRADE = 1
export const SAFE_DOWNGRADE = 2
export const UNSAFE_DOWNGRADE = 3

export interface FeatureUpdate {
  readonly feature: string
  readonly level: number
  readonly upgradeType: number
}

/** Who has to support a new level. */
export interface FeatureSupport {
  readonly nodeId: NodeId
  readonly quorum: readonly NodeId[]
  readonly brokers: ReadonlyMap<NodeId, BrokerImage>
  readonly controllers: ReadonlyMap<NodeId, ControllerImage>
}

export class FeatureControl {
  readonly #levels = new Map<string, number>()
  #metadataVersion: MetadataVersion | undefined
  #elrEnabled = false
  /** What the quorum runs; registrations of brokers must support it. */
  kraftVersion = 1

  /** Unknown while the log is empty. */
  get knownMetadataVersion(): MetadataVersion | undefined {
    return this.#metadataVersion
  }

  get metadataVersion(): MetadataVersion {
    return this.#metadataVersion ?? MINIMUM_METADATA_VERSION
  }

  /** Eligible leader replicas (KIP-966) are on. */
  get elrEnabled(): boolean {
    return this.#elrEnabled
  }

  /** Finalised levels, metadata.version among them. */
  get levels(): ReadonlyMap<string, number> {
    return this.#levels
  }

  replay(record: FeatureLevelRecord): void {
    if (record.name === KRAFT_FEATURE) return
    if (record.featureLevel === 0) this.#levels.delete(record.name)
    else this.#levels.set(record.name, record.featureLevel)
    if (record.name === METADATA_VERSION_FEATURE) this.#metadataVersion = metadataVersion(record.featureLevel)
    if (record.name === ELR_FEATURE) this.#elrEnabled = record.featureLevel >= 1
  }

  reset(levels: ReadonlyMap<string, number>): void {
    this.#levels.clear()
    this.#metadataVersion = undefined
    this.#elrEnabled = false
    for (const [name, level] of levels) this.replay(featureLevelRecord(name, level))
  }

  updateFeatures(
    updates: readonly FeatureUpdate[],
    validateOnly: boolean,
    support: FeatureSupport,
  ): ControllerResult<ApiError> {
    const proposed = new Map(this.#levels)
    for (const update of updates) proposed.set(update.feature, update.level)
    const records: MetadataRecord[] = []
    for (const update of updates) {
      const result = this.#updateFeature(update, proposed, support)
      if ('error' in result) return decided('update-features', [], result)
      if (result.record !== undefined) records.push(result.record)
    }
    return decided('update-features', validateOnly ? [] : records, NO_ERROR, true)
  }

  #updateFeature(
    update: FeatureUpdate,
    proposed: ReadonlyMap<string, number>,
    support: FeatureSupport,
  ): ApiError | { readonly record: MetadataRecord | undefined } {
    const { feature, level, upgradeType } = update
    const invalid = (message: string): ApiError =>
      apiError(Errors.INVALID_UPDATE_VERSION, `${feature} cannot go to ${level}: ${message}`)
    if (upgradeType < UPGRADE || upgradeType > UNSAFE_DOWNGRADE) {
      return invalid('unknown upgrade type')
    }
    const current = feature === KRAFT_FEATURE ? this.kraftVersion : (this.#levels.get(feature) ?? 0)
    if (level < 0) return invalid('a level is not negative')
    const unsupported = this.#reasonNotSupported(feature, level, support)
    if (unsupported !== undefined) return invalid(unsupported)
    if (level < current && upgradeType === UPGRADE) {
      return invalid('a downgrade has to be asked for as one')
    }
    if (level > current && upgradeType !== UPGRADE) return invalid('a downgrade cannot go up')
    if (feature === METADATA_VERSION_FEATURE)
      return this.#updateMetadataVersion(level, upgradeType === UNSAFE_DOWNGRADE)
    if (feature === KRAFT_FEATURE) {
      if (upgradeType === UPGRADE && level === current) return { record: NO_OP_RECORD }
      return level === current ? { record: undefined } : invalid('this feature has no other level here')
    }
    const wanted = feature === ELR_FEATURE && level >= 1 ? METADATA_VERSIONS.find((version) => version.elr) : undefined
    const planned = proposed.get(METADATA_VERSION_FEATURE) ?? 0
    if (wanted !== undefined && planned < wanted.featureLevel) {
      return invalid(`it needs ${METADATA_VERSION_FEATURE} ${wanted.featureLevel}`)
    }
    return { record: featureLevelRecord(feature, level) }
  }

  #updateMetadataVersion(level: number, unsafe: boolean): ApiError | { readonly record: MetadataRecord } {
    const invalid = (message: string): ApiError =>
      apiError(Errors.INVALID_UPDATE_VERSION, `metadata.version cannot go to ${level}: ${message}`)
    if (!METADATA_VERSIONS.some((version) => version.featureLevel === level)) {
      const range = `${MINIMUM_METADATA_VERSION.featureLevel} to ${LATEST_METADATA_VERSION.featureLevel}`
      return invalid(`this build knows ${range}`)
    }
    const current = this.metadataVersion.featureLevel
    const loses = METADATA_VERSIONS.some(
      (version) => version.metadataChanged && version.featureLevel > level && version.featureLevel <= current,
    )
    if (loses) {
      return invalid(unsafe ? 'unsafe downgrades are not supported' : 'metadata would be lost')
    }
    return { record: featureLevelRecord(METADATA_VERSION_FEATURE, level) }
  }

  #reasonNotSupported(feature: string, level: number, support: FeatureSupport): string | undefined {
    const local = SUPPORTED_FEATURES.get(feature)
    const localReason = rangeReason(`controller ${support.nodeId}`, level, local?.min ?? 0, local?.max ?? 0)
    if (localReason !== undefined) return localReason
    for (const broker of support.brokers.values()) {
      const reason = featureReason(`broker ${broker.id}`, feature, level, broker.features)
      if (reason !== undefined) return reason
    }
    if (!this.metadataVersion.controllerRegistration) return undefined
    for (const controller of support.controllers.values()) {
      if (controller.id === support.nodeId) continue
      const reason = featureReason(`controller ${controller.id}`, feature, level, controller.features)
      if (reason !== undefined) return reason
    }
    for (const id of support.quorum) {
      if (id !== support.nodeId && !support.controllers.has(id)) {
        return `controller ${id} has not told what it supports`
      }
    }
    return undefined
  }
}

function featureReason(
  who: string,
  feature: string,
  level: number,
  features: readonly RecordFeature[],
): string | undefined {
  const found = features.find((each) => each.name === feature)
  return rangeReason(who, level, found?.minSupportedVersion ?? 0, found?.maxSupportedVersion ?? 0)
}

function rangeReason(who: string, level: number, min: number, max: number): string | undefined {
  if (level >= min && level <= max) return undefined
  if (max === 0) return `${who} does not know the feature`
  return `${who} supports ${min === max ? min : `${min} to ${max}`}`
}
