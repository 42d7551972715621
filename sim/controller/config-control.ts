/**
 * Dynamic configuration of topics and brokers (Kafka's `ConfigurationControlManager` with its validator).
 *
 * An effective topic setting comes from the first that says something: the topic, this controller as a broker-level resource, the
 * cluster default, this controller's server.properties, Kafka's default. A resource changes as a whole or not at all.
 *
 * With ELR on, min.insync.replicas has one home: the cluster default, which cannot be removed; a broker-level value is refused,
 * and every change of it is followed by a ClearElrRecord for the topic or for all.
 */

import type { ConfigValue } from '../kernel/config-def.js'
import type { Problem } from '../kernel/errors.js'
import type { NodeId } from '../kernel/units.js'
import { configKey } from '../kraft/metadata/image.js'
import { ELR_FEATURE } from '../kraft/metadata/metadata-version.js'
import type { ConfigRecord, MetadataRecord } from '../kraft/metadata/records.js'
import { configRecord, RESOURCE_BROKER, RESOURCE_TOPIC } from '../kraft/metadata/records.js'
import type { LogConfig } from '../log/log-config.js'
import {
  LOG_BROKER_SETTINGS,
  LOG_SETTINGS,
  logConfig,
  TOPIC_CONFIG_SYNONYMS,
  topicDefaults,
} from '../log/log-config.js'
import type { ApiError } from '../wire/error-response.js'
import { Errors } from '../wire/errors.js'
import type { ControllerConfig } from './controller-config.js'
import { configText } from './controller-config.js'
import type { ControllerResult } from './controller-result.js'
import { apiError, decided, NO_ERROR } from './controller-result.js'
import type { FeatureControl, FeatureSupport, FeatureUpdate } from './feature-control.js'
import { topicNameProblem } from './topic-names.js'

export const MIN_ISR = 'min.insync.replicas'
export const UNCLEAN_ELECTION = 'unclean.leader.election.enable'

/** `AlterConfigOp.OpType` codes. */
export const OP_SET = 0
export const OP_DELETE = 1
export const OP_APPEND = 2
export const OP_SUBTRACT = 3

export interface ConfigOperation {
  readonly name: string
  readonly operation: number
  readonly value: string | null
}

export interface ConfigResource {
  readonly type: number
  readonly name: string
}

export interface ResourceResult {
  readonly resource: ConfigResource
  readonly error: ApiError
}

/** `DescribeConfigsResponse.ConfigSource` codes. */
export const SOURCE_TOPIC = 1
export const SOURCE_DYNAMIC_BROKER = 2
export const SOURCE_DYNAMIC_DEFAULT = 3
export const SOURCE_STATIC = 4
export const SOURCE_DEFAULT = 5

export interface EffectiveSetting {
  readonly name: string
  readonly value: string | null
  readonly source: number
}

/** Undefined when the resource exists, else why not. */
export type ExistenceCheck = (resource: ConfigResource) => ApiError | undefined

const VALUE_LENGTH_MAX = 32_767
const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
const EMPTY: ReadonlyMap<string, string> = new Map()

export class ConfigControl {
  readonly #nodeKey: string
  readonly #features: FeatureControl
  readonly #static: ReadonlyMap<string, string>
  readonly #defaults: LogConfig
  readonly #exists: ExistenceCheck
  readonly #configs = new Map<string, Map<string, string>>()

  /** @param given this controller's server.properties, as text. */
  constructor(
    nodeId: NodeId,
    features: FeatureControl,
    config: ControllerConfig,
    given: ReadonlyMap<string, string>,
    exists: ExistenceCheck,
  ) {
    this.#nodeKey = configKey(RESOURCE_BROKER, String(nodeId))
    this.#features = features
    this.#static = given
    this.#defaults = topicDefaults(config)
    this.#exists = exists
  }

  // ── values ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Dynamic settings of a resource. */
  of(resource: ConfigResource): ReadonlyMap<string, string> {
    return this.#configs.get(configKey(resource.type, resource.name)) ?? EMPTY
  }

  uncleanElectionEnabled(topic: string): boolean {
    return this.#effective(`topic:${topic}`, UNCLEAN_ELECTION).value === 'true'
  }

  minIsr(topic: string): number {
    return Number(this.#effective(`topic:${topic}`, MIN_ISR).value)
  }

  /** min.insync.replicas of this controller's server.properties, or Kafka's default. */
  get staticMinIsr(): number {
    return this.#defaults[MIN_ISR]
  }

  /** Every public setting of a topic that is created with `own`, by name. */
  effectiveTopicConfigs(own: ReadonlyMap<string, string>): EffectiveSetting[] {
    const names = Object.keys(LOG_SETTINGS).filter((name) => !name.startsWith('internal.') || own.has(name))
    return names.sort(compareText).map((name) => this.#resolve(name, own))
  }

  // ── decisions ─────────────────────────────────────────────────────────────────────────────────────────────────────

  incrementalAlterConfigs(
    changes: readonly { readonly resource: ConfigResource; readonly operations: readonly ConfigOperation[] }[],
  ): ControllerResult<ResourceResult[]> {
    const records: MetadataRecord[] = []
    const results: ResourceResult[] = []
    for (const { resource, operations } of changes) {
      const outcome = this.#incrementalRecords(resource, operations, false)
      results.push({ resource, error: 'error' in outcome ? outcome : NO_ERROR })
      if (!('error' in outcome)) records.push(...outcome.records)
    }
    return decided('alter-configs', [...records, ...this.#clearElrRecords(records)], results, true)
  }

  /** The settings of a topic that is being created; validated as a whole. */
  newTopicRecords(
    topic: string,
    operations: readonly ConfigOperation[],
  ): ApiError | { readonly records: readonly MetadataRecord[] } {
    const outcome = this.#incrementalRecords({ type: RESOURCE_TOPIC, name: topic }, operations, true)
    if ('error' in outcome) return outcome
    return { records: [...outcome.records, ...this.#clearElrRecords(outcome.records)] }
  }

  /** AlterConfigs of old: what is not named goes back to its default. */
  legacyAlterConfigs(
    changes: readonly { readonly resource: ConfigResource; readonly configs: ReadonlyMap<string, string | null> }[],
  ): ControllerResult<ResourceResult[]> {
    const records: MetadataRecord[] = []
    const results: ResourceResult[] = []
    for (const { resource, configs } of changes) {
      const current = this.of(resource)
      const altered: ConfigRecord[] = []
      for (const [name, value] of configs) {
        if ((current.get(name) ?? null) !== value || resource.type === RESOURCE_BROKER) {
          altered.push(configRecord(resource.type, resource.name, name, value))
        }
      }
      const deleted: ConfigRecord[] = []
      for (const name of current.keys()) {
        if (!configs.has(name)) deleted.push(configRecord(resource.type, resource.name, name, null))
      }
      const error = this.#validate(resource, altered, deleted, false)
      results.push({ resource, error: error ?? NO_ERROR })
      if (error === undefined) records.push(...altered, ...deleted)
    }
    return decided('alter-configs', [...records, ...this.#clearElrRecords(records)], results, true)
  }

  /** UpdateFeatures, with what makes it safe to switch ELR on. */
  updateFeatures(
    updates: readonly FeatureUpdate[],
    validateOnly: boolean,
    support: FeatureSupport,
  ): ControllerResult<ApiError> {
    const result = this.#features.updateFeatures(updates, validateOnly, support)
    const enablesElr = updates.some((update) => update.feature === ELR_FEATURE && update.level > 0)
    if (result.response.error !== Errors.NONE || validateOnly || !enablesElr) return result
    return { ...result, records: [...this.#elrSafetyRecords(), ...result.records] }
  }

  // ── replay ────────────────────────────────────────────────────────────────────────────────────────────────────────

  replay(record: ConfigRecord): void {
    const key = configKey(record.resourceType, record.resourceName)
    let settings = this.#configs.get(key)
    if (settings === undefined) this.#configs.set(key, (settings = new Map()))
    if (record.value === null) settings.delete(record.name)
    else settings.set(record.name, record.value)
    if (settings.size === 0) this.#configs.delete(key)
  }

  deleteTopicConfigs(topic: string): void {
    this.#configs.delete(`topic:${topic}`)
  }

  reset(configs: ReadonlyMap<string, ReadonlyMap<string, string>>): void {
    this.#configs.clear()
    for (const [key, settings] of configs) this.#configs.set(key, new Map(settings))
  }

  // ── helpers ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #effective(key: string, name: string): EffectiveSetting {
    return this.#resolve(name, this.#configs.get(key) ?? EMPTY)
  }

  #resolve(name: string, own: ReadonlyMap<string, string>): EffectiveSetting {
    const value = own.get(name)
    if (value !== undefined) return { name, value, source: SOURCE_TOPIC }
    const layers = [
      [this.#configs.get(this.#nodeKey) ?? EMPTY, SOURCE_DYNAMIC_BROKER],
      [this.#configs.get('broker:') ?? EMPTY, SOURCE_DYNAMIC_DEFAULT],
      [this.#static, SOURCE_STATIC],
    ] as const
    const synonyms = TOPIC_CONFIG_SYNONYMS[name] ?? []
    for (const [settings, source] of layers) {
      for (const synonym of synonyms) {
        const found = settings.get(synonym)
        if (found !== undefined) return { name, value: converted(synonym, found), source }
      }
    }
    const setting = LOG_SETTINGS[name as keyof LogConfig] as { readonly default: ConfigValue }
    return { name, value: configText(setting.default), source: SOURCE_DEFAULT }
  }

  #incrementalRecords(
    resource: ConfigResource,
    operations: readonly ConfigOperation[],
    isNew: boolean,
  ): ApiError | { readonly records: ConfigRecord[] } {
    const current = this.of(resource)
    const records: ConfigRecord[] = []
    for (const { name, operation, value } of operations) {
      const before = current.get(name) ?? null
      let after = before
      if (operation === OP_SET) after = value
      else if (operation === OP_DELETE) after = null
      else {
        const parts = this.#listParts(resource, name, before)
        if (parts === undefined) {
          return apiError(Errors.INVALID_CONFIG, `${name} is no list`)
        }
        after = combined(parts, (value ?? '').split(','), operation === OP_APPEND).join(',')
      }
      // Brokers reload even an unchanged setting when it is written again (KAFKA-14136).
      if (before !== after || resource.type === RESOURCE_BROKER) {
        records.push(configRecord(resource.type, resource.name, name, after))
      }
    }
    return this.#validate(resource, records, [], isNew) ?? { records }
  }

  /** Items of a list setting; undefined when it is none. */
  #listParts(resource: ConfigResource, name: string, value: string | null): string[] | undefined {
    const table: Readonly<Record<string, { readonly default: ConfigValue }>> =
      resource.type === RESOURCE_TOPIC ? LOG_SETTINGS : LOG_BROKER_SETTINGS
    const setting = Object.hasOwn(table, name) ? table[name] : undefined
    if (setting === undefined || !Array.isArray(setting.default)) return undefined
    const text = value ?? configText(setting.default) ?? ''
    return text.split(',').filter((item) => item !== '')
  }

  #validate(
    resource: ConfigResource,
    altered: readonly ConfigRecord[],
    deleted: readonly ConfigRecord[],
    isNew: boolean,
  ): ApiError | undefined {
    const all = new Map(this.of(resource))
    for (const record of [...altered, ...deleted]) {
      const refusal = this.#minIsrRefusal(record)
      if (refusal !== undefined) return refusal
      if (record.value === null) all.delete(record.name)
      else if (record.value.length > VALUE_LENGTH_MAX) {
        return apiError(Errors.INVALID_CONFIG, `the value of ${record.name} is longer than ${VALUE_LENGTH_MAX}`)
      } else all.set(record.name, record.value)
    }
    return this.#validateResource(resource, all) ?? (isNew ? undefined : this.#exists(resource))
  }

  #minIsrRefusal(record: ConfigRecord): ApiError | undefined {
    if (record.name !== MIN_ISR || record.resourceType !== RESOURCE_BROKER || !this.#features.elrEnabled)
      return undefined
    if (record.resourceName !== '') {
      return apiError(Errors.INVALID_CONFIG, `with ELR, ${MIN_ISR} has no broker level`)
    }
    if (record.value !== null) return undefined
    return apiError(Errors.INVALID_CONFIG, `with ELR, the cluster default of ${MIN_ISR} must stay`)
  }

  #validateResource(resource: ConfigResource, settings: ReadonlyMap<string, string>): ApiError | undefined {
    if (resource.type === RESOURCE_TOPIC) {
      if (resource.name === '') return apiError(Errors.INVALID_REQUEST, 'topics have no default resource')
      const wrongName = topicNameProblem(resource.name)
      if (wrongName !== undefined) return apiError(Errors.INVALID_TOPIC_EXCEPTION, wrongName)
      const problems: Problem[] = []
      logConfig(this.#defaults, Object.fromEntries(settings), problems)
      const first = problems[0]
      return first && apiError(Errors.INVALID_CONFIG, first.message)
    }
    if (resource.type !== RESOURCE_BROKER) {
      return apiError(Errors.INVALID_REQUEST, `resource type ${resource.type} has no settings here`)
    }
    if (resource.name === '') return undefined
    if (!/^[+-]?[0-9]+$/.test(resource.name)) {
      return apiError(Errors.INVALID_REQUEST, `${resource.name} is no broker id`)
    }
    return Number(resource.name) < 0 ? apiError(Errors.INVALID_REQUEST, `${resource.name} is no broker id`) : undefined
  }

  #clearElrRecords(records: readonly MetadataRecord[]): MetadataRecord[] {
    if (!this.#features.elrEnabled) return []
    const result: MetadataRecord[] = []
    for (const record of records) {
      if (record.type !== 'ConfigRecord' || record.name !== MIN_ISR) continue
      const topicName = record.resourceType === RESOURCE_TOPIC ? record.resourceName : ''
      result.push({ type: 'ClearElrRecord', version: 0, topicName })
    }
    return result
  }

  #elrSafetyRecords(): MetadataRecord[] {
    const records: MetadataRecord[] = []
    if (!this.#configs.get('broker:')?.has(MIN_ISR)) {
      records.push(configRecord(RESOURCE_BROKER, '', MIN_ISR, String(this.staticMinIsr)))
    }
    for (const [key, settings] of this.#configs) {
      if (!key.startsWith('broker:') || key === 'broker:' || !settings.has(MIN_ISR)) continue
      records.push(configRecord(RESOURCE_BROKER, key.slice('broker:'.length), MIN_ISR, null))
    }
    return records
  }
}

function combined(items: readonly string[], given: readonly string[], append: boolean): string[] {
  if (append) return [...items, ...given.filter((item, i) => !items.includes(item) && given.indexOf(item) === i)]
  const left = items.slice()
  for (const item of given) {
    const at = left.indexOf(item)
    if (at >= 0) left.splice(at, 1)
  }
  return left
}

/** A broker setting's value in the unit of the topic setting that it stands for. */
function converted(synonym: string, value: string): string {
  if (synonym.endsWith('.hours')) return String(Number(value) * HOUR_MS)
  return synonym.endsWith('.minutes') ? String(Number(value) * MINUTE_MS) : value
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
