/**
 * The configuration of a controller, under Kafka's names and with Kafka's defaults.
 *
 * A controller reads its own settings, those of the metadata quorum, and those that give topics their defaults (it resolves
 * `min.insync.replicas` and `unclean.leader.election.enable` itself). One server.properties serves brokers and controllers: names
 * that a controller does not read are handed back, not judged.
 */

import type { ConfigOf, ConfigValue, Settings } from '../kernel/config-def.js'
import { bool, int, long, parseConfig } from '../kernel/config-def.js'
import type { Problem } from '../kernel/errors.js'
import { AUTHORIZER_SETTINGS } from '../kraft/metadata/authorizer-config.js'
import { QUORUM_SETTINGS } from '../kraft/quorum-config.js'
import { LOG_BROKER_SETTINGS } from '../log/log-config.js'

export const CONTROLLER_ONLY_SETTINGS = {
  'broker.heartbeat.interval.ms': int(
    2_000,
    'Time between heartbeats of brokers; one that waits half of it is timed out',
    1,
  ),
  'broker.session.timeout.ms': int(9_000, 'A broker that was not heard of for so long is fenced', 1),
  'auto.leader.rebalance.enable': bool(true, 'Give leadership back to preferred replicas from time to time'),
  'leader.imbalance.check.interval.seconds': long(300, 'How often preferred leaders are elected', 1),
  'unclean.leader.election.interval.ms': long(
    300_000,
    'How often partitions without a leader are looked at for an unclean election',
    1,
  ),
  'delete.topic.enable': bool(true, 'Topics may be deleted'),
  'num.partitions': int(1, 'Partitions of a topic that is created without a number', 1),
  'default.replication.factor': int(1, 'Replicas of a topic that is created without a number', 1),
} satisfies Settings

export const CONTROLLER_SETTINGS = {
  ...LOG_BROKER_SETTINGS,
  ...QUORUM_SETTINGS,
  ...AUTHORIZER_SETTINGS,
  ...CONTROLLER_ONLY_SETTINGS,
} satisfies Settings

/** Every setting of a controller; it is also the quorum's configuration. */
export type ControllerConfig = ConfigOf<typeof CONTROLLER_SETTINGS>

export interface ParsedControllerConfig {
  readonly config: ControllerConfig
  /** What was given and is read here, as text: Kafka's static configuration. */
  readonly given: ReadonlyMap<string, string>
  /** Given names that no controller reads. */
  readonly ignored: readonly string[]
  readonly problems: readonly Problem[]
}

/** The names and values of a server.properties → a controller's configuration. */
export function parseControllerConfig(raw: Readonly<Record<string, unknown>>): ParsedControllerConfig {
  const problems: Problem[] = []
  const ignored: string[] = []
  const effective: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(raw)) {
    if (isControllerSetting(name)) effective[name] = value
    else ignored.push(name)
  }
  const config = parseConfig(CONTROLLER_SETTINGS, effective, problems)
  const given = new Map<string, string>()
  for (const name of Object.keys(effective)) {
    const text = configText(config[name as keyof ControllerConfig])
    if (text !== null) given.set(name, text)
  }
  return { config, given, ignored, problems }
}

export function isControllerSetting(name: string): name is keyof ControllerConfig {
  return Object.hasOwn(CONTROLLER_SETTINGS, name)
}

/** A value as Kafka writes it (`ConfigDef.convertToString`). */
export function configText(value: ConfigValue): string | null {
  if (value === null) return null
  return Array.isArray(value) ? value.join(',') : String(value)
}
