/**
 * The configuration of a broker, under Kafka's names.
 *
 * Composed from the tables of the rooms that read them (log, quorum, data plane) and the settings of the shell below. A raw map
 * of server.properties gives the configuration, the names that are Kafka's but without effect here, and every mistake: an
 * unknown name is one, with a suggestion, where Kafka would only warn.
 */

import {
  bool,
  type ConfigOf,
  type ConfigValue,
  int,
  long,
  parseConfig,
  type Setting,
  type Settings,
} from '../kernel/config-def.js'
import type { Problem } from '../kernel/errors.js'
import { AUTHORIZER_SETTINGS } from '../kraft/metadata/authorizer-config.js'
import { QUORUM_SETTINGS } from '../kraft/quorum-config.js'
import { checkCleanerConfig, LOG_BROKER_SETTINGS } from '../log/log-config.js'
import { isSettingWithoutEffect } from './broker-known-settings.js'
import { checkGroupConfig, GROUP_SETTINGS } from './group/group-settings.js'
import { TXN_SETTINGS } from './txn/txn-settings.js'
import { checkReplicationConfig, REPLICATION_SETTINGS } from './replica-config.js'

/** `broker.rack`: any text, null when unset. */
const RACK: Setting<string | null> = {
  default: null,
  doc: 'The rack that the broker stands in',
  parse: (raw) => (raw === null || typeof raw === 'string' ? { value: raw } : { wrong: 'expected text' }),
}

/** What the shell reads itself. */
const SHELL_SETTINGS = {
  'broker.rack': RACK,
  'broker.heartbeat.interval.ms': int(2_000, 'Time between heartbeats to the controller', 1),
  'initial.broker.registration.timeout.ms': int(60_000, 'How long to try to register before the broker gives up'),
  'controlled.shutdown.enable': bool(true, 'Hand leadership over before stopping'),
  'controller.socket.timeout.ms': int(30_000, 'How long to wait for an answer of the controller'),
  'request.timeout.ms': int(30_000, 'Time that the controller gets to create a topic that a client asked for'),
  'socket.connection.setup.timeout.ms': long(10_000, 'How long to wait for a connection'),
  'auto.create.topics.enable': bool(true, 'Create topics that clients ask for'),
  'num.partitions': int(1, 'Partitions of a topic that is created without a number', 1),
  'default.replication.factor': int(1, 'Replicas of a topic that is created without a number', 1),
  'max.request.partition.size.limit': int(2_000, 'Partitions that one DescribeTopicPartitions answers at most', 1),
} satisfies Settings

export const BROKER_SETTINGS = {
  ...LOG_BROKER_SETTINGS,
  ...QUORUM_SETTINGS,
  ...REPLICATION_SETTINGS,
  ...GROUP_SETTINGS,
  ...TXN_SETTINGS,
  ...AUTHORIZER_SETTINGS,
  ...SHELL_SETTINGS,
} satisfies Settings

/** Every setting of a broker; it is also the log's, the quorum's and the data plane's configuration. */
export type BrokerConfig = ConfigOf<typeof BROKER_SETTINGS>

export interface ParsedBrokerConfig {
  readonly config: BrokerConfig
  /** What was given and is read here, as text: Kafka's static broker configuration. */
  readonly given: ReadonlyMap<string, string>
  /** Given settings of Kafka's that have no effect on a broker here. */
  readonly ignored: readonly string[]
  readonly problems: readonly Problem[]
}

/** The names and values of a server.properties → a broker's configuration. */
export function parseBrokerConfig(raw: Readonly<Record<string, unknown>>): ParsedBrokerConfig {
  const problems: Problem[] = []
  const ignored: string[] = []
  const effective: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(raw)) {
    if (!isBrokerSetting(name) && isSettingWithoutEffect(name)) ignored.push(name)
    else effective[name] = value
  }
  const config = parseConfig(BROKER_SETTINGS, effective, problems)
  checkReplicationConfig(config, problems)
  checkCleanerConfig(config, problems)
  checkGroupConfig(config, problems)
  const given = new Map<string, string>()
  for (const name of Object.keys(effective)) {
    const text = isBrokerSetting(name) ? configText(config[name]) : null
    if (text !== null) given.set(name, text)
  }
  return { config, given, ignored, problems }
}

/** Whether a broker here reads the setting. */
export function isBrokerSetting(name: string): name is keyof BrokerConfig & string {
  return Object.hasOwn(BROKER_SETTINGS, name)
}

/** Whether Kafka 4.1 knows the setting, with or without effect here. */
export function isKnownBrokerSetting(name: string): boolean {
  return isBrokerSetting(name) || isSettingWithoutEffect(name)
}

/** A value as Kafka writes it in answers (`ConfigDef.convertToString`). */
export function configText(value: ConfigValue): string | null {
  if (value === null) return null
  return Array.isArray(value) ? value.join(',') : String(value)
}
