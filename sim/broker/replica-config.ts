/**
 * Settings of a broker's data plane, under Kafka's names and with Kafka's defaults (`ReplicationConfigs`,
 * `ServerConfigs`). The broker merges this table into its own.
 */

import { type ConfigOf, int, long, type Settings } from '../kernel/config-def.js'
import type { Problem } from '../kernel/errors.js'
import { REPLICA_SELECTOR } from './replica-selector.js'

export const REPLICATION_SETTINGS = {
  'replica.lag.time.max.ms': long(30_000, 'A follower that has not caught up for this long leaves the ISR'),
  'replica.fetch.wait.max.ms': int(500, 'How long a leader may hold a fetch of a follower that has nothing to read'),
  'replica.fetch.min.bytes': int(1, 'Bytes that a fetch of a follower waits for'),
  'replica.fetch.max.bytes': int(1_048_576, 'Bytes that a follower asks for in each partition; not a hard limit'),
  'replica.fetch.response.max.bytes': int(10_485_760, 'Bytes that a follower asks for in one response'),
  'replica.fetch.backoff.ms': int(1_000, 'How long a fetcher leaves a partition alone after an error'),
  'replica.socket.timeout.ms': int(30_000, 'How long a fetcher tries to connect'),
  'num.replica.fetchers': int(1, 'Fetchers for each source broker', 1),
  'replica.high.watermark.checkpoint.interval.ms': long(5_000, 'How often high watermarks are written to disk'),
  'fetch.max.bytes': int(57_671_680, 'The most bytes that one fetch response carries', 1_024),
  'max.incremental.fetch.session.cache.slots': int(1_000, 'Incremental fetch sessions that the broker keeps'),
  'replica.selector.class': REPLICA_SELECTOR,
} satisfies Settings

export type BrokerReplicationConfig = ConfigOf<typeof REPLICATION_SETTINGS>

/** Rules between settings (`KafkaConfig.validateValues`). */
export function checkReplicationConfig(config: BrokerReplicationConfig, problems: Problem[]): void {
  const wait = config['replica.fetch.wait.max.ms']
  if (wait > config['replica.socket.timeout.ms']) {
    problems.push({ message: 'replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms' })
  }
  if (wait > config['replica.lag.time.max.ms']) {
    problems.push({
      message: 'replica.fetch.wait.max.ms should always be at most replica.lag.time.max.ms',
      mend: 'a follower that waits longer than it may lag leaves the ISR again and again',
    })
  }
}
