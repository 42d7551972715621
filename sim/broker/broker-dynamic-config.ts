/**
 * The configuration of a running broker (`DynamicBrokerConfig`, KIP-226): what it started with, and what the metadata log says
 * over it.
 *
 * Strongest first: the settings of this broker (`broker:1`), the cluster-wide defaults (`broker:`), server.properties, Kafka's
 * defaults. A stronger value also replaces the synonyms of its name (`log.retention.ms` the static `log.retention.hours`). Only the
 * settings of DYNAMIC take part; others, and values that do not parse, are left out when applied and refused when validated.
 * Topics take their defaults from here, so a change reaches every log at once.
 */

import { type ConfigValue, parseConfig, type Setting } from '../kernel/config-def.js'
import type { Problem } from '../kernel/errors.js'
import { LONG_MAX, type NodeId } from '../kernel/units.js'
import type { MetadataImage } from '../kraft/metadata/image.js'
import { type LogConfig, logConfig, topicDefaults, TOPIC_CONFIG_SYNONYMS } from '../log/log-config.js'
import {
  BROKER_SETTINGS,
  type BrokerConfig,
  configText,
  isBrokerSetting,
  isKnownBrokerSetting,
  type ParsedBrokerConfig,
} from './broker-config.js'

/** `DynamicBrokerConfig.AllDynamicConfigs`, without those of listeners and remote storage. */
const DYNAMIC: ReadonlySet<string> = new Set([
  ...Object.values(TOPIC_CONFIG_SYNONYMS).map((synonyms) => synonyms[0] as string),
  'compression.gzip.level',
  'compression.lz4.level',
  'compression.zstd.level',
  'log.local.retention.ms',
  'log.local.retention.bytes',
  'log.cleaner.threads',
  'log.cleaner.dedupe.buffer.size',
  'log.cleaner.io.buffer.load.factor',
  'log.cleaner.io.buffer.size',
  'log.cleaner.io.max.bytes.per.second',
  'log.cleaner.backoff.ms',
  'num.io.threads',
  'num.replica.fetchers',
  'num.recovery.threads.per.data.dir',
  'background.threads',
  'num.network.threads',
  'metric.reporters',
  'max.connections',
  'max.connections.per.ip',
  'max.connections.per.ip.overrides',
  'max.connection.creation.rate',
  'producer.id.expiration.ms',
  'transaction.partition.verification.enable',
])

/** Settings that say the same, strongest first (`brokerConfigSynonyms`). */
const SYNONYMS: readonly (readonly string[])[] = [
  ['log.roll.ms', 'log.roll.hours'],
  ['log.roll.jitter.ms', 'log.roll.jitter.hours'],
  ['log.retention.ms', 'log.retention.minutes', 'log.retention.hours'],
]

/** `DescribeConfigsResponse.ConfigSource`. */
export const ConfigSource = {
  TOPIC_CONFIG: 1,
  DYNAMIC_BROKER_CONFIG: 2,
  DYNAMIC_DEFAULT_BROKER_CONFIG: 3,
  STATIC_BROKER_CONFIG: 4,
  DEFAULT_CONFIG: 5,
} as const

export interface ConfigSynonym {
  readonly name: string
  readonly value: string | null
  readonly source: number
}

type Texts = ReadonlyMap<string, string>

const NO_TEXTS: Texts = new Map()

export class BrokerDynamicConfig {
  readonly #brokerId: NodeId
  readonly #given: Texts
  #dynamicDefault: Texts = NO_TEXTS
  #dynamicBroker: Texts = NO_TEXTS
  #current: BrokerConfig
  #topicDefaults: LogConfig
  #image: MetadataImage | undefined
  readonly #topics = new Map<string, { readonly own: Texts | undefined; readonly config: LogConfig }>()

  constructor(brokerId: NodeId, parsed: ParsedBrokerConfig) {
    this.#brokerId = brokerId
    this.#given = parsed.given
    this.#current = parsed.config
    this.#topicDefaults = topicDefaults(parsed.config)
  }

  get current(): BrokerConfig {
    return this.#current
  }

  /** What topics have where they say nothing themselves. */
  get topicDefaults(): LogConfig {
    return this.#topicDefaults
  }

  /** Settings of the cluster-wide default that apply. */
  get dynamicDefaults(): Texts {
    return this.#dynamicDefault
  }

  /** Takes the broker settings of `image`. True when the configuration changed. */
  apply(image: MetadataImage): boolean {
    const before = this.#image
    this.#image = image
    const asDefault = image.configs.get('broker:')
    const asBroker = image.configs.get(`broker:${this.#brokerId}`)
    if (asDefault === before?.configs.get('broker:') && asBroker === before?.configs.get(`broker:${this.#brokerId}`)) {
      return false
    }
    this.#dynamicDefault = applicable(asDefault ?? NO_TEXTS)
    this.#dynamicBroker = applicable(asBroker ?? NO_TEXTS)
    this.#current = merged([this.#given, this.#dynamicDefault, this.#dynamicBroker], [])
    this.#topicDefaults = topicDefaults(this.#current)
    this.#topics.clear()
    return true
  }

  /** What a topic itself says in the newest image. */
  topicSettings(topic: string): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#image?.configs.get(`topic:${topic}`) ?? NO_TEXTS)
  }

  /** The configuration of a topic as the newest image has it. */
  topicConfig(topic: string): LogConfig {
    const own = this.#image?.configs.get(`topic:${topic}`)
    const known = this.#topics.get(topic)
    if (known !== undefined && known.own === own) return known.config
    const config = own === undefined ? this.#topicDefaults : logConfig(this.#topicDefaults, this.topicSettings(topic))
    this.#topics.set(topic, { own, config })
    return config
  }

  /** What is wrong with setting exactly `values` on this broker (`perBroker`) or on all; undefined when nothing is. */
  validate(values: Texts, perBroker: boolean): string | undefined {
    const fixed = [...values.keys()].filter((name) => isKnownBrokerSetting(name) && !DYNAMIC.has(name))
    if (fixed.length > 0) return `can't be changed while the broker runs: ${fixed.join(', ')}`
    for (const [name, value] of values) {
      const wrong = isBrokerSetting(name) ? mistake(name, value) : undefined
      if (wrong !== undefined) return `${name}: ${wrong}, got ${value}`
    }
    const layers = perBroker ? [this.#dynamicDefault, values] : [values, this.#dynamicBroker]
    const wanted = merged([this.#given, ...layers], [])
    for (const name of ['num.replica.fetchers', 'log.cleaner.threads'] as const) {
      const before = this.#current[name]
      if (wanted[name] < Math.floor(before / 2) || wanted[name] > before * 2)
        return `${name} can be halved or doubled at most`
    }
    return wanted['log.cleaner.threads'] < 1 ? 'log.cleaner.threads must be at least 1' : undefined
  }

  /** Where a broker setting has its value from, strongest first. */
  synonyms(name: string): readonly ConfigSynonym[] {
    const names = SYNONYMS.find((list) => list.includes(name)) ?? flushSynonyms(name)
    const found: ConfigSynonym[] = []
    const collect = (layer: Texts, source: number): void => {
      for (const synonym of names) {
        const value = layer.get(synonym)
        if (value !== undefined) found.push({ name: synonym, value, source })
      }
    }
    collect(this.#dynamicBroker, ConfigSource.DYNAMIC_BROKER_CONFIG)
    collect(this.#dynamicDefault, ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG)
    collect(this.#given, ConfigSource.STATIC_BROKER_CONFIG)
    for (const synonym of names) {
      if (!isBrokerSetting(synonym)) continue
      const value = configText(BROKER_SETTINGS[synonym].default)
      if (value !== null) found.push({ name: synonym, value, source: ConfigSource.DEFAULT_CONFIG })
    }
    const first = found.findIndex((synonym) => synonym.name === name)
    return first < 0 ? [] : found.slice(first)
  }
}

/** Whether the setting can be changed while the broker runs. */
export function isDynamicSetting(name: string): boolean {
  return DYNAMIC.has(name)
}

/** `DescribeConfigsResponse.ConfigType` of a setting. */
export function configTypeOf(setting: Setting<ConfigValue>): number {
  if (typeof setting.default === 'boolean') return 1
  if (Array.isArray(setting.default)) return 7
  if (parsesToNumber(setting, 0.5)) return 6
  if (parsesToNumber(setting, LONG_MAX)) return 5
  return typeof setting.default === 'number' || parsesToNumber(setting, 1_000_000) ? 3 : 2
}

function parsesToNumber(setting: Setting<ConfigValue>, probe: number): boolean {
  const parsed = setting.parse(probe)
  return 'value' in parsed && typeof parsed.value === 'number'
}

function flushSynonyms(name: string): readonly string[] {
  return name === 'log.flush.interval.ms' ? [name, 'log.flush.scheduler.interval.ms'] : [name]
}

function mistake(name: keyof BrokerConfig & string, value: string): string | undefined {
  const parsed = BROKER_SETTINGS[name].parse(value)
  return 'wrong' in parsed ? parsed.wrong : undefined
}

/** The settings that may be changed dynamically and whose values parse. */
function applicable(values: Texts): Texts {
  const kept = new Map<string, string>()
  for (const [name, value] of values) {
    if (!DYNAMIC.has(name)) continue
    if (isBrokerSetting(name) && mistake(name, value) !== undefined) continue
    kept.set(name, value)
  }
  return kept
}

/** Layers from the weakest to the strongest; each replaces the synonyms of what it names. */
function merged(layers: readonly Texts[], problems: Problem[]): BrokerConfig {
  const values = new Map<string, string>()
  for (const layer of layers) {
    for (const [name, value] of layer) {
      for (const synonym of SYNONYMS.find((list) => list.includes(name)) ?? flushSynonyms(name)) values.delete(synonym)
      if (isBrokerSetting(name)) values.set(name, value)
    }
  }
  return parseConfig(BROKER_SETTINGS, Object.fromEntries(values), problems)
}
