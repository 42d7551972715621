/**
 * The old consumer in the language of scenarios: a group with `zookeeper.connect` among its settings is one of old consumers, as it was
 * in Kafka up to 1.1. Checked here: that there is an ensemble to keep the group, and that what is written is meant for an old consumer.
 */

import { CONSUMER_CONFIG } from '../client/consumer-config.js'
import {
  OLD_NAMES,
  parseZookeeperConsumerConfig,
  ZOOKEEPER_CONSUMER_CONFIG,
} from '../client/zookeeper-consumer/zookeeper-consumer-config.js'
import type { RawConfig } from '../cluster/cluster-spec.js'
import { UsageError } from '../kernel/errors.js'
import { zookeeperName, type NodeName } from '../kernel/names.js'
import type { GroupSpec } from './scenario.js'
import type { ScenarioProblem } from './strict.js'

/** What makes a consumer an old one. */
export const ZOOKEEPER_CONNECT = 'zookeeper.connect'

/** All servers of the ensemble. */
const WHOLE_ENSEMBLE = 'zookeeper'

export function isOldConsumer(config: Readonly<Record<string, unknown>>): boolean {
  return ZOOKEEPER_CONNECT in config
}

/** The servers that an old consumer knows. */
export function serversOfConnect(connect: unknown, ensemble: readonly NodeName[]): readonly NodeName[] {
  return connect === WHOLE_ENSEMBLE ? ensemble : listed(connect)
}

/** Settings of one member, with those that a scenario has words of its own for. */
export function oldConsumerSettings(config: RawConfig, group: string, commit: GroupSpec['commit']): RawConfig {
  return { ...config, 'group.id': group, 'auto.commit.enable': commit === 'auto' }
}

/** What of a group of old consumers its own keys say. */
export interface OldGroupKeys {
  readonly group: string
  readonly commit: GroupSpec['commit']
  readonly static: boolean
  readonly mode: 'kraft' | 'zookeeper'
  readonly servers: number
}

type Scalars = Readonly<Record<string, string | number | boolean>>

/** Everything that is wrong with the settings of a group of old consumers. */
export function checkOldGroup(config: RawConfig, path: readonly string[], keys: OldGroupKeys): ScenarioProblem[] {
  const problems: ScenarioProblem[] = []
  const wrong = (key: string, message: string, mend: string): void => {
    problems.push({ path: [...path, key], message, mend, atKey: true })
  }
  if (keys.mode !== 'zookeeper') {
    const mend = 'set cluster.mode: zookeeper, or leave zookeeper.connect out'
    wrong(ZOOKEEPER_CONNECT, 'old consumers keep their group in ZooKeeper, and KRaft mode has none', mend)
  } else {
    const ensemble = Array.from({ length: keys.servers }, (_, i) => zookeeperName(i + 1))
    const connect = config[ZOOKEEPER_CONNECT]
    const servers = serversOfConnect(connect, ensemble)
    const stranger = servers.find((server) => !ensemble.includes(server))
    if (stranger !== undefined || servers.length === 0) {
      const mend = `write zookeeper for all of the ensemble, or some of ${ensemble.join(',')}`
      wrong(ZOOKEEPER_CONNECT, `no such server of the ensemble: ${stranger ?? String(connect)}`, mend)
    }
  }
  if (keys.commit === 'async') wrong('commit', 'old consumers commit and wait', 'write commit: sync')
  if (keys.static) wrong('static', 'old consumers have no static members', 'leave it out')
  if ('group.id' in config) wrong('group.id', 'group.id comes from group: NAME', 'leave it out')
  if ('auto.commit.enable' in config) {
    wrong('auto.commit.enable', 'auto.commit.enable comes from commit: auto', 'leave it out')
  }
  problems.push(...settingsProblems(oldConsumerSettings(config, keys.group, keys.commit), config, path))
  return problems
}

function settingsProblems(config: RawConfig, own: RawConfig, path: readonly string[]): ScenarioProblem[] {
  try {
    parseZookeeperConsumerConfig(config, new Set(Object.keys(CONSUMER_CONFIG)))
    return []
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return error.problems.map(({ message, mend }) => {
      const setting = /[a-z0-9]+(?:\.[a-z0-9]+)+/.exec(message)?.[0]
      const key = setting !== undefined && setting in own ? [setting] : []
      return { path: [...path, ...key], message, atKey: true, ...(mend !== undefined && { mend }) }
    })
  }
}

/** Settings of a new consumer without those that only old ones have, which are told with what to write instead. */
export function takeOldSettings(
  config: Scalars,
  path: readonly string[],
  problems: ScenarioProblem[],
): Record<string, Scalars[string]> {
  const meant: Record<string, Scalars[string]> = {}
  for (const [name, value] of Object.entries(config)) {
    const isOld = Object.hasOwn(ZOOKEEPER_CONSUMER_CONFIG, name) && !Object.hasOwn(CONSUMER_CONFIG, name)
    if (!isOld) meant[name] = value
    else if (name === ZOOKEEPER_CONNECT) {
      const message = 'an old consumer is a member of a group, and no pipeline'
      problems.push({ path: [...path, name], message, mend: 'write { consume: TOPIC, group: NAME }', atKey: true })
    } else {
      const mend = `write ${newNameOf(name)}zookeeper.connect: zookeeper for an old consumer`
      problems.push({ path: [...path, name], message: `${name} belongs to the old consumer`, mend, atKey: true })
    }
  }
  return meant
}

function newNameOf(name: string): string {
  const newName = Object.keys(OLD_NAMES).find((key) => OLD_NAMES[key] === name)
  return newName === undefined || !Object.hasOwn(CONSUMER_CONFIG, newName) ? '' : `${newName}, or `
}

/** `z1,z2:2181`: without ports. */
function listed(connect: unknown): readonly NodeName[] {
  return String(connect)
    .split(',')
    .map((server) => server.trim().replace(/:2181$/, ''))
    .filter((server) => server !== '')
}
