/**
 * Settings of a ZooKeeper server under the names of zoo.cfg (and of its system properties where it has no other), with ZooKeeper's defaults.
 *
 * `tickTime`, `initLimit` and `syncLimit` have no default in ZooKeeper for an ensemble: those of its sample configuration stand here.
 */

import { INT_MAX } from '../kernel/units.js'
import { bool, double, int, type ConfigOf } from '../kernel/config-def.js'

export const ZOOKEEPER_SETTINGS = {
  tickTime: int(2_000, 'the unit of all timeouts, in milliseconds; sessions expire in buckets of it', 1),
  initLimit: int(10, 'ticks that learners may take to connect to a leader and to synchronise with it', 1),
  syncLimit: int(5, 'ticks that a learner may be behind or silent', 1),
  connectToLearnerMasterLimit: int(0, 'ticks that a learner may take to connect to a leader; 0: initLimit'),
  minSessionTimeout: int(-1, 'the least session timeout that is granted; -1: two ticks', -1),
  maxSessionTimeout: int(-1, 'the greatest session timeout that is granted; -1: twenty ticks', -1),
  snapCount: int(
    100_000,
    'a snapshot is taken after half of so many transactions, and a random part of the other half',
    2,
  ),
  commitLogCount: int(500, 'committed transactions kept in memory for learners that are behind', 1),
  snapshotSizeFactor: double(
    0.33,
    'learners are sent transactions from the log on disk while these are smaller than this part of a snapshot; negative: never',
    -1,
    INT_MAX,
  ),
  cnxTimeout: int(5_000, 'how long a connection between servers for an election may take to open, in milliseconds', 1),
  minNotificationInterval: int(
    200,
    'the first wait of an election, in milliseconds; it doubles (fastleader.minNotificationInterval)',
    1,
  ),
  maxNotificationInterval: int(60_000, 'the longest wait of an election (fastleader.maxNotificationInterval)', 1),
  leaderServes: bool(true, 'whether the leader accepts clients'),
} as const

export type ZooKeeperConfig = ConfigOf<typeof ZOOKEEPER_SETTINGS>

export function minSessionTimeoutOf(config: ZooKeeperConfig): number {
  return config.minSessionTimeout === -1 ? 2 * config.tickTime : config.minSessionTimeout
}

export function maxSessionTimeoutOf(config: ZooKeeperConfig): number {
  return config.maxSessionTimeout === -1 ? 20 * config.tickTime : config.maxSessionTimeout
}
