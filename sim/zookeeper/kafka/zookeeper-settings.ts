/**
 * Settings of a broker that exist in ZooKeeper mode only, under Kafka 3.9's names and with its defaults.
 */

import { int, oneOf, type Settings } from '../../kernel/config-def.js'

/** Values of `inter.broker.protocol.version`, by release; what brokers speak and write differs at 2.7 (KIP-497). */
const RELEASES = [
  '2.4',
  '2.5',
  '2.6',
  '2.7',
  '2.8',
  '3.0',
  '3.1',
  '3.2',
  '3.3',
  '3.4',
  '3.5',
  '3.6',
  '3.7',
  '3.8',
  '3.9',
] as const

export type Release = (typeof RELEASES)[number]

export const ZOOKEEPER_MODE_SETTINGS = {
  'inter.broker.protocol.version': oneOf<Release>('3.9', RELEASES, 'The protocol generation of all brokers'),
  'zookeeper.session.timeout.ms': int(
    18_000,
    'How long the ensemble keeps the session of a broker that it does not hear of',
    1,
  ),
  'zookeeper.connection.timeout.ms': int(18_000, 'How long a broker that starts waits for the ensemble', 1),
  'controlled.shutdown.max.retries': int(3, 'How often controlled shutdown is tried'),
  'controlled.shutdown.retry.backoff.ms': int(5_000, 'How long to wait before it is tried again'),
  'leader.imbalance.per.broker.percentage': int(
    10,
    'Share of partitions led by others at which preferred leaders are elected',
    0,
  ),
} satisfies Settings

/** Whether `release` is `other` or later. */
export function isAtLeast(release: Release, other: Release): boolean {
  return RELEASES.indexOf(release) >= RELEASES.indexOf(other)
}
