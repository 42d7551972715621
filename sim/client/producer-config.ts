/**
 * Settings of a producer, under Kafka's names and with Kafka's defaults (ProducerConfig of 4.x), and the conflicts that
 * KafkaProducer refuses: idempotence asked for with acks ≠ all, without retries or with more than five requests in flight; a
 * transactional id without idempotence; a delivery timeout below linger plus request timeout. What the user did not ask for
 * gives way instead, as in Kafka.
 */

import { bool, int, long, oneOf, parseConfig, text, type ConfigOf } from '../kernel/config-def.js'
import { UsageError, type Problem } from '../kernel/errors.js'
import { INT_MAX } from '../kernel/units.js'
import { settingsWithEffect } from './client-known-settings.js'
import { conflict, CONNECTION_CONFIG, withReconnectBackoff } from './connection-config.js'

/** A broker remembers this many batches of a producer (ProducerStateEntry.NUM_BATCHES_TO_RETAIN). */
const MAX_IN_FLIGHT_FOR_IDEMPOTENCE = 5

export const PRODUCER_CONFIG = {
  ...CONNECTION_CONFIG,
  acks: oneOf('all', ['all', '-1', '0', '1'], 'who must have a record before it is acknowledged'),
  'batch.size': int(16_384, 'bytes of a batch; 0 puts every record into a batch of its own'),
  'buffer.memory': long(33_554_432, 'bytes of batches that may wait; sends beyond it block'),
  'compression.type': oneOf('none', ['none', 'gzip', 'snappy', 'lz4', 'zstd'], 'codec; records are sent as they are'),
  'delivery.timeout.ms': int(120_000, 'upper bound from send to success or failure'),
  'enable.idempotence': bool(true, 'number batches so that a retry is not written twice'),
  'linger.ms': long(5, 'how long a batch waits for more records'),
  'max.block.ms': long(60_000, 'how long a send may wait for metadata or memory'),
  'max.in.flight.requests.per.connection': int(5, 'unanswered requests per broker', 1),
  'max.request.size': int(1_048_576, 'bytes of one request, and of one record'),
  'metadata.max.idle.ms': long(300_000, 'a topic not sent to for this long is forgotten', 5_000),
  'partitioner.adaptive.partitioning.enable': bool(true, 'prefer partitions with short queues for records without key'),
  'partitioner.availability.timeout.ms': long(
    0,
    'avoid partitions whose broker takes no requests for this long; 0 never',
  ),
  'partitioner.ignore.keys': bool(false, 'choose partitions as if records had no key'),
  retries: int(INT_MAX, 'how often a failed batch is sent again'),
  'transaction.timeout.ms': int(60_000, 'the coordinator aborts a transaction that is open for longer'),
  'transactional.id': text('', 'makes the producer transactional; one producer at a time may use it'),
} as const

export type ProducerConfig = ConfigOf<typeof PRODUCER_CONFIG>

/** Values under Kafka's names → the resolved configuration. @throws UsageError with every mistake */
export function parseProducerConfig(given: Readonly<Record<string, unknown>> = {}): ProducerConfig {
  const problems: Problem[] = []
  let config = parseConfig(PRODUCER_CONFIG, settingsWithEffect(given), problems)
  config = withReconnectBackoff(config, given)
  config = withIdempotence(config, given, problems)
  if (config['transactional.id'] !== '' && !config['enable.idempotence']) {
    conflict(problems, 'transactional.id needs idempotence', 'leave enable.idempotence, acks and retries alone')
  }
  config = withDeliveryTimeout(config, given, problems)
  if (config['batch.size'] > config['buffer.memory']) {
    conflict(problems, 'batch.size is larger than buffer.memory', 'lower batch.size or raise buffer.memory')
  }
  if (problems.length > 0) throw new UsageError(problems)
  return config
}

/** Kafka's number for `acks`: -1 for all. */
export function acksOf(config: ProducerConfig): -1 | 0 | 1 {
  const acks = config.acks
  return acks === '0' ? 0 : acks === '1' ? 1 : -1
}

function withIdempotence(
  config: ProducerConfig,
  given: Readonly<Record<string, unknown>>,
  problems: Problem[],
): ProducerConfig {
  if (!config['enable.idempotence']) return config
  const asked = given['enable.idempotence'] !== undefined
  let disable = false
  if (config.retries === 0) {
    if (asked)
      conflict(problems, 'enable.idempotence needs retries above 0', 'set retries, or enable.idempotence: false')
    disable = true
  }
  if (acksOf(config) !== -1) {
    if (asked) conflict(problems, 'enable.idempotence needs acks: all', 'set acks: all, or enable.idempotence: false')
    disable = true
  }
  if (config['max.in.flight.requests.per.connection'] > MAX_IN_FLIGHT_FOR_IDEMPOTENCE) {
    conflict(
      problems,
      'an idempotent producer takes at most 5 as max.in.flight.requests.per.connection',
      'set it to 5 or less, or enable.idempotence: false',
    )
  }
  return disable ? { ...config, 'enable.idempotence': false } : config
}

function withDeliveryTimeout(
  config: ProducerConfig,
  given: Readonly<Record<string, unknown>>,
  problems: Problem[],
): ProducerConfig {
  const least = Math.min(Math.min(config['linger.ms'], INT_MAX) + config['request.timeout.ms'], INT_MAX)
  if (config['delivery.timeout.ms'] >= least) return config
  if (given['delivery.timeout.ms'] === undefined) return { ...config, 'delivery.timeout.ms': least }
  conflict(
    problems,
    `delivery.timeout.ms must be at least linger.ms + request.timeout.ms, which is ${least}`,
    'raise delivery.timeout.ms or lower request.timeout.ms',
  )
  return config
}
