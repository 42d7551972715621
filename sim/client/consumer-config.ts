/**
 * Settings of a consumer, under Kafka's names and with Kafka's defaults (ConsumerConfig of 4.x). Those of groups are not
 * here: assignment comes from the application.
 */

import { bool, int, oneOf, parseConfig, text, type ConfigOf } from '../kernel/config-def.js'
import { UsageError, type Problem } from '../kernel/errors.js'
import { CONNECTION_CONFIG, withReconnectBackoff } from './connection-config.js'

export const CONSUMER_CONFIG = {
  ...CONNECTION_CONFIG,
  'allow.auto.create.topics': bool(true, 'let the brokers create topics that are asked for'),
  'auto.offset.reset': oneOf('latest', ['latest', 'earliest', 'none'], 'where to start without a valid position'),
  'check.crcs': bool(true, 'check the CRC of every batch'),
  'client.rack': text('', 'rack of this consumer, for fetching from the closest replica (KIP-392)'),
  'default.api.timeout.ms': int(60_000, 'how long calls without a timeout of their own may take'),
  'fetch.max.bytes': int(52_428_800, 'bytes of one response'),
  'fetch.max.wait.ms': int(500, 'how long a broker may wait for fetch.min.bytes'),
  'fetch.min.bytes': int(1, 'a response waits for this many bytes'),
  'isolation.level': oneOf(
    'read_uncommitted',
    ['read_committed', 'read_uncommitted'],
    'whether aborted transactions are read',
  ),
  'max.partition.fetch.bytes': int(1_048_576, 'bytes of one partition in a response'),
  'max.poll.records': int(500, 'records handed over by one poll', 1),
} as const

export type ConsumerConfig = ConfigOf<typeof CONSUMER_CONFIG>

/** Values under Kafka's names → the resolved configuration. @throws UsageError with every mistake */
export function parseConsumerConfig(given: Readonly<Record<string, unknown>> = {}): ConsumerConfig {
  const problems: Problem[] = []
  const config = parseConfig(CONSUMER_CONFIG, given, problems)
  if (problems.length > 0) throw new UsageError(problems)
  return withReconnectBackoff(config, given)
}
