/** What a broker reads of server.properties in ZooKeeper mode only, and what it must not find there. */

import { type ConfigOf, parseConfig } from '../../kernel/config-def.js'
import type { Problem } from '../../kernel/errors.js'
import { ACL_AUTHORIZER, STANDARD_AUTHORIZER } from '../../kraft/metadata/authorizer-config.js'
import { QUORUM_SETTINGS } from '../../kraft/quorum-config.js'
import { ZOOKEEPER_MODE_SETTINGS } from '../../zookeeper/kafka/zookeeper-settings.js'

export type ZooKeeperBrokerConfig = ConfigOf<typeof ZOOKEEPER_MODE_SETTINGS>

/** Settings of KRaft that mean nothing without a quorum. */
const KRAFT_ONLY: ReadonlySet<string> = new Set([
  ...Object.keys(QUORUM_SETTINGS),
  'broker.heartbeat.interval.ms',
  'broker.session.timeout.ms',
  'initial.broker.registration.timeout.ms',
  'unclean.leader.election.interval.ms',
])

/** Splits a server.properties: what this mode alone reads, and what is left for the broker. */
export function parseZooKeeperBrokerConfig(
  raw: Readonly<Record<string, unknown>>,
  problems: Problem[],
): { readonly zookeeper: ZooKeeperBrokerConfig; readonly rest: Readonly<Record<string, unknown>> } {
  const own: Record<string, unknown> = {}
  const rest: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(raw)) {
    if (Object.hasOwn(ZOOKEEPER_MODE_SETTINGS, name)) own[name] = value
    else if (KRAFT_ONLY.has(name)) {
      problems.push({ message: `${name} is a setting of KRaft mode`, mend: 'leave it out, or set cluster.mode: kraft' })
    } else if (name === 'authorizer.class.name' && value === STANDARD_AUTHORIZER) {
      const message = `${value} keeps its ACLs in the metadata log, which ZooKeeper mode has not`
      problems.push({ message, mend: `write ${ACL_AUTHORIZER}` })
    } else rest[name] = value
  }
  return { zookeeper: parseConfig(ZOOKEEPER_MODE_SETTINGS, own, problems), rest }
}
