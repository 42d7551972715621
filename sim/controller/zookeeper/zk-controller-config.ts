/**
 * What the controller of ZooKeeper mode reads of server.properties, and the protocol generation that `inter.broker.protocol.version` picks.
 *
 *   from 2.7   leaders change ISRs by AlterPartition (KIP-497); features are versioned in /feature (KIP-584)
 *   before     leaders write the state znode themselves, and the controller hears of it by /isr_change_notification
 */

import { bool, type ConfigOf, int, parseConfig, type Settings } from '../../kernel/config-def.js'
import type { Problem } from '../../kernel/errors.js'
import { LOG_BROKER_SETTINGS } from '../../log/log-config.js'
import { isAtLeast, ZOOKEEPER_MODE_SETTINGS } from '../../zookeeper/kafka/zookeeper-settings.js'

export const ZOOKEEPER_CONTROLLER_SETTINGS = {
  ...LOG_BROKER_SETTINGS,
  ...ZOOKEEPER_MODE_SETTINGS,
  'auto.leader.rebalance.enable': bool(true, 'Give leadership back to preferred replicas from time to time'),
  'leader.imbalance.check.interval.seconds': int(300, 'How often preferred leaders are elected', 1),
  'delete.topic.enable': bool(true, 'Topics may be deleted'),
  'num.partitions': int(1, 'Partitions of a topic that is created without a number', 1),
  'default.replication.factor': int(1, 'Replicas of a topic that is created without a number', 1),
  'request.timeout.ms': int(30_000, 'How long to wait for the answer of a broker'),
} satisfies Settings

type Parsed = ConfigOf<typeof ZOOKEEPER_CONTROLLER_SETTINGS>

export interface ZooKeeperControllerConfig extends Parsed {
  readonly isAlterPartitionSupported: boolean
  readonly isFeatureVersioningSupported: boolean
}

/** Names that this controller does not read are the broker's. */
export function parseZooKeeperControllerConfig(
  raw: Readonly<Record<string, unknown>>,
  problems: Problem[],
): ZooKeeperControllerConfig {
  const own = Object.entries(raw).filter(([name]) => Object.hasOwn(ZOOKEEPER_CONTROLLER_SETTINGS, name))
  const parsed = parseConfig(ZOOKEEPER_CONTROLLER_SETTINGS, Object.fromEntries(own), problems)
  const isNew = isAtLeast(parsed['inter.broker.protocol.version'], '2.7')
  return { ...parsed, isAlterPartitionSupported: isNew, isFeatureVersioningSupported: isNew }
}
