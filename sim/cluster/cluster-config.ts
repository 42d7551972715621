/**
 * Settings of a whole cluster, checked: one server.properties for brokers and controllers.
 *
 * A name that neither a broker nor a controller knows is an error with a suggestion; a name that Kafka knows and that has no
 * effect here is accepted and told (see FIDELITY.md).
 */

import { BROKER_SETTINGS, isKnownBrokerSetting, parseBrokerConfig } from '../broker/broker-config.js'
import { parseZooKeeperBrokerConfig } from '../broker/zookeeper/zk-broker-config.js'
import { CONTROLLER_SETTINGS, parseControllerConfig } from '../controller/controller-config.js'
import {
  parseZooKeeperControllerConfig,
  ZOOKEEPER_CONTROLLER_SETTINGS,
} from '../controller/zookeeper/zk-controller-config.js'
import { nearest, parseConfig } from '../kernel/config-def.js'
import type { Problem } from '../kernel/errors.js'
import {
  defaultFeatureLevels,
  LATEST_METADATA_VERSION,
  SUPPORTED_FEATURES,
} from '../kraft/metadata/metadata-version.js'
import { ACL_AUTHORIZER, STANDARD_AUTHORIZER } from '../kraft/metadata/authorizer-config.js'
import { LOG_SETTINGS } from '../log/log-config.js'
import { ZOOKEEPER_MODE_SETTINGS } from '../zookeeper/kafka/zookeeper-settings.js'
import { ZOOKEEPER_SETTINGS } from '../zookeeper/zookeeper-config.js'
import type { ClusterMode, ClusterSpec, RawConfig } from './cluster-spec.js'

/** Everything wrong with settings of brokers and controllers. */
export function checkServerConfig(raw: RawConfig, mode: ClusterMode = 'kraft'): readonly Problem[] {
  return mode === 'kraft' ? checkQuorumConfig(raw) : checkZooKeeperModeConfig(raw)
}

/** Everything wrong with settings of ZooKeeper servers. */
export function checkEnsembleConfig(raw: RawConfig): readonly Problem[] {
  const problems: Problem[] = []
  parseConfig(ZOOKEEPER_SETTINGS, raw, problems)
  return problems
}

function checkZooKeeperModeConfig(raw: RawConfig): readonly Problem[] {
  const problems: Problem[] = []
  const { rest } = parseZooKeeperBrokerConfig(raw, problems)
  const known: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(rest)) {
    if (isKnownBrokerSetting(name)) known[name] = value
    else problems.push(unknown(name, Object.keys(ZOOKEEPER_MODE_SETTINGS)))
  }
  problems.push(...parseBrokerConfig(known).problems)
  parseZooKeeperControllerConfig(known, problems)
  const seen = new Set<string>()
  return problems.filter(({ message }) => !seen.has(message) && seen.add(message))
}

function checkQuorumConfig(raw: RawConfig): readonly Problem[] {
  const problems: Problem[] = []
  const known: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(raw)) {
    if (name === 'authorizer.class.name' && value === ACL_AUTHORIZER) {
      const message = `${value} keeps its ACLs in ZooKeeper, which KRaft mode has not`
      problems.push({ message, mend: `write ${STANDARD_AUTHORIZER}` })
    } else if (isKnownBrokerSetting(name) || Object.hasOwn(CONTROLLER_SETTINGS, name)) known[name] = value
    else if (Object.hasOwn(ZOOKEEPER_MODE_SETTINGS, name)) {
      const mend = 'leave it out, or set cluster.mode: zookeeper'
      problems.push({ message: `${name} is a setting of ZooKeeper mode`, mend })
    } else problems.push(unknown(name))
  }
  const fromBroker = parseBrokerConfig(known).problems.filter(
    (problem) => !problem.message.startsWith('unknown setting'),
  )
  const fromController = parseControllerConfig(known).problems
  const seen = new Set<string>()
  for (const problem of [...fromBroker, ...fromController]) {
    if (seen.has(problem.message)) continue
    seen.add(problem.message)
    problems.push(problem)
  }
  return problems
}

/** Given settings that Kafka knows and that change nothing here. */
export function settingsWithoutEffect(raw: RawConfig): readonly string[] {
  const readElsewhere = { ...CONTROLLER_SETTINGS, ...ZOOKEEPER_CONTROLLER_SETTINGS }
  const ignored = parseBrokerConfig(raw).ignored.filter((name) => !Object.hasOwn(readElsewhere, name))
  return [...ignored, ...valuesWithoutEffect(raw)]
}

/** Settings that are read, with the values that mean something here: nobody compresses, and files grow as they are written. */
const ONLY_WITH: Readonly<Record<string, readonly string[]>> = {
  'compression.type': ['producer', 'uncompressed', 'none'],
  preallocate: ['false'],
  'log.preallocate': ['false'],
}

/** The same of a topic or a producer. */
export function valuesWithoutEffect(raw: RawConfig): readonly string[] {
  return Object.keys(raw).filter((name) => ONLY_WITH[name]?.includes(String(raw[name])) === false)
}

/** Everything wrong with settings of a topic. */
export function checkTopicConfig(raw: RawConfig): readonly Problem[] {
  const problems: Problem[] = []
  parseConfig(LOG_SETTINGS, raw, problems)
  return problems
}

/** Everything wrong with feature levels. */
export function checkFeatures(features: Readonly<Record<string, number>>): readonly Problem[] {
  return Object.entries(features).flatMap(([name, level]) => {
    const range = SUPPORTED_FEATURES.get(name)
    if (range === undefined) {
      const near = nearest(name, SUPPORTED_FEATURES.keys())
      return [
        {
          message: `unknown feature ${name}`,
          mend: near ? `did you mean ${near}?` : `known are ${[...SUPPORTED_FEATURES.keys()].join(', ')}`,
        },
      ]
    }
    if (level >= range.min && level <= range.max) return []
    return [{ message: `${name}: level ${level} is not supported, ${range.min} to ${range.max} are` }]
  })
}

/** What `kafka-storage format` writes into a new cluster: its feature levels. */
export function featureLevels(spec: ClusterSpec): ReadonlyMap<string, number> {
  const levels = new Map(defaultFeatureLevels(LATEST_METADATA_VERSION))
  for (const [name, level] of Object.entries(spec.features)) levels.set(name, level)
  return levels
}

function unknown(name: string, others: readonly string[] = Object.keys(CONTROLLER_SETTINGS)): Problem {
  const near = nearest(name, [...Object.keys(BROKER_SETTINGS), ...others])
  return { message: `unknown setting ${name}`, ...(near && { mend: `did you mean ${near}?` }) }
}
