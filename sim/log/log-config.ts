/**
 * The settings of logs: per topic, and the broker settings that give topics their defaults.
 *
 * Names, defaults and bounds are those of Kafka 4.1 (LogConfig, ServerLogConfigs, ServerTopicConfigSynonyms). A topic
 * setting that is not given comes from the first of its broker synonyms that is given, else from Kafka's default.
 * `Long.MAX_VALUE` reads as LONG_MAX. Settings of tiered storage and of replication throttling are not known here.
 */

import {
  bool,
  double,
  int,
  list,
  long,
  oneOf,
  parseConfig,
  type ConfigOf,
  type ConfigValue,
  type Setting,
  type Settings,
} from '../kernel/config-def.js'
import type { Problem } from '../kernel/errors.js'
import { INT_MAX, LONG_MAX, type Millis } from '../kernel/units.js'

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
const DAY_MS = 24 * HOUR_MS
const MIB = 1024 * 1024

const POLICIES = ['compact', 'delete'] as const
const COMPRESSION = ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'] as const
const TIMESTAMP_TYPES = ['CreateTime', 'LogAppendTime'] as const

/** Settings of one topic. */
export const LOG_SETTINGS = {
  'segment.bytes': int(1024 * MIB, 'size at which a segment is closed', MIB),
  'internal.segment.bytes': orNull(int(0, 'overrides segment.bytes without its lower bound, for tests', 1)),
  'segment.ms': long(7 * DAY_MS, 'age at which a segment is closed', 1),
  'segment.jitter.ms': long(0, 'most that is drawn off segment.ms'),
  'segment.index.bytes': int(10 * MIB, 'size of an index at which its segment is closed', 4),
  'flush.messages': long(LONG_MAX, 'unflushed records at which an append flushes', 1),
  'flush.ms': long(LONG_MAX, 'age of unflushed records at which the flusher flushes'),
  'retention.bytes': long(-1, 'size beyond which old segments are deleted; -1 is without limit', -LONG_MAX),
  'retention.ms': long(7 * DAY_MS, 'age beyond which old segments are deleted; -1 is without limit', -1),
  'max.message.bytes': int(MIB + 12, 'largest record batch that is accepted'),
  'index.interval.bytes': int(4_096, 'bytes of log between entries of the offset index'),
  'delete.retention.ms': long(DAY_MS, 'how long a compacted log keeps tombstones'),
  'min.compaction.lag.ms': long(0, 'age before which a record is not compacted'),
  'max.compaction.lag.ms': long(LONG_MAX, 'age at which a record must become ready for compaction', 1),
  'file.delete.delay.ms': long(60_000, 'how long a deleted file waits for its removal'),
  'min.cleanable.dirty.ratio': double(0.5, 'share of dirty bytes at which a log is compacted'),
  'cleanup.policy': list(['delete'], 'delete, compact or both', POLICIES),
  'unclean.leader.election.enable': bool(false, 'elect a replica outside ISR and ELR as a last resort'),
  'min.insync.replicas': int(1, 'in-sync replicas without which acks=all is refused', 1),
  'compression.type': oneOf('producer', COMPRESSION, 'codec on disk; producer keeps what comes'),
  preallocate: bool(false, 'create segment files at full size'),
  'message.timestamp.type': oneOf('CreateTime', TIMESTAMP_TYPES, 'whose clock stamps records'),
  'message.timestamp.before.max.ms': long(LONG_MAX, 'how far behind the broker a record may be'),
  'message.timestamp.after.max.ms': long(HOUR_MS, 'how far ahead of the broker a record may be'),
} satisfies Settings

export type LogConfig = ConfigOf<typeof LOG_SETTINGS>

/** Broker settings of the log: defaults of topics, and the log manager's own. */
export const LOG_BROKER_SETTINGS = {
  'log.segment.bytes': int(1024 * MIB, 'default of segment.bytes', MIB),
  'log.roll.ms': orNull(long(0, 'default of segment.ms')),
  'log.roll.hours': int(168, 'default of segment.ms, in hours', 1),
  'log.roll.jitter.ms': orNull(long(0, 'default of segment.jitter.ms')),
  'log.roll.jitter.hours': int(0, 'default of segment.jitter.ms, in hours'),
  'log.index.size.max.bytes': int(10 * MIB, 'default of segment.index.bytes', 4),
  'log.flush.interval.messages': long(LONG_MAX, 'default of flush.messages', 1),
  'log.flush.interval.ms': orNull(long(0, 'default of flush.ms', -LONG_MAX)),
  'log.flush.scheduler.interval.ms': long(LONG_MAX, 'how often the flusher looks for logs to flush'),
  'log.retention.bytes': long(-1, 'default of retention.bytes', -LONG_MAX),
  'log.retention.ms': orNull(long(0, 'default of retention.ms', -LONG_MAX)),
  'log.retention.minutes': orNull(int(0, 'default of retention.ms, in minutes', -INT_MAX)),
  'log.retention.hours': int(168, 'default of retention.ms, in hours', -INT_MAX),
  'message.max.bytes': int(MIB + 12, 'default of max.message.bytes'),
  'log.index.interval.bytes': int(4_096, 'default of index.interval.bytes'),
  'log.cleaner.delete.retention.ms': long(DAY_MS, 'default of delete.retention.ms'),
  'log.cleaner.min.compaction.lag.ms': long(0, 'default of min.compaction.lag.ms'),
  'log.cleaner.max.compaction.lag.ms': long(LONG_MAX, 'default of max.compaction.lag.ms', 1),
  'log.segment.delete.delay.ms': long(60_000, 'default of file.delete.delay.ms'),
  'log.cleaner.enable': bool(true, 'compact logs; without it compacted topics only grow'),
  'log.cleaner.threads': int(1, 'threads that compact logs'),
  'log.cleaner.io.max.bytes.per.second': double(Number.MAX_VALUE, 'most that cleaners read and write', 0, Infinity),
  'log.cleaner.dedupe.buffer.size': long(128 * MIB, 'memory for the keys of all cleaners'),
  'log.cleaner.io.buffer.size': int(512 * 1024, 'memory for reading and writing of all cleaners'),
  'log.cleaner.io.buffer.load.factor': double(0.9, 'share of the key memory that may be filled', 0, Infinity),
  'log.cleaner.backoff.ms': long(15_000, 'how long a cleaner sleeps when there is nothing to clean'),
  'log.cleaner.min.cleanable.ratio': double(0.5, 'default of min.cleanable.dirty.ratio'),
  'log.cleanup.policy': list(['delete'], 'default of cleanup.policy', POLICIES),
  'unclean.leader.election.enable': LOG_SETTINGS['unclean.leader.election.enable'],
  'min.insync.replicas': LOG_SETTINGS['min.insync.replicas'],
  'compression.type': LOG_SETTINGS['compression.type'],
  'log.preallocate': bool(false, 'default of preallocate'),
  'log.message.timestamp.type': oneOf('CreateTime', TIMESTAMP_TYPES, 'default of message.timestamp.type'),
  'log.message.timestamp.before.max.ms': long(LONG_MAX, 'default of message.timestamp.before.max.ms'),
  'log.message.timestamp.after.max.ms': long(HOUR_MS, 'default of message.timestamp.after.max.ms'),
  'log.retention.check.interval.ms': long(5 * MINUTE_MS, 'how often old segments are looked for', 1),
  'log.flush.offset.checkpoint.interval.ms': int(60_000, 'how often recovery points are written'),
  'log.flush.start.offset.checkpoint.interval.ms': int(60_000, 'how often log start offsets are written'),
  'log.initial.task.delay.ms': long(30_000, 'when the log manager first runs its tasks'),
  'producer.id.expiration.ms': int(86_400_000, 'age at which an idle producer is forgotten', 1),
  'producer.id.expiration.check.interval.ms': int(600_000, 'how often idle producers are looked for', 1),
  'transaction.partition.verification.enable': bool(true, 'ask the coordinator before the first transactional append'),
  'transaction.max.timeout.ms': int(900_000, 'longest timeout that a transaction may have', 1),
} satisfies Settings

export type LogBrokerConfig = ConfigOf<typeof LOG_BROKER_SETTINGS>

/** Kafka refuses to start with less memory for each cleaner. */
export function checkCleanerConfig(config: LogBrokerConfig, problems: Problem[]): void {
  const threads = config['log.cleaner.threads']
  if (threads > 0 && Math.floor(config['log.cleaner.dedupe.buffer.size'] / threads) <= MIB) {
    problems.push({
      message: 'log.cleaner.dedupe.buffer.size must be above 1 MiB for each of log.cleaner.threads',
      mend: `give at least ${(MIB + 1) * threads}`,
    })
  }
}

/** Topic settings and the broker settings behind them, strongest first. */
export const TOPIC_CONFIG_SYNONYMS: Readonly<Record<string, readonly string[]>> = {
  'segment.bytes': ['log.segment.bytes'],
  'segment.ms': ['log.roll.ms', 'log.roll.hours'],
  'segment.jitter.ms': ['log.roll.jitter.ms', 'log.roll.jitter.hours'],
  'segment.index.bytes': ['log.index.size.max.bytes'],
  'flush.messages': ['log.flush.interval.messages'],
  'flush.ms': ['log.flush.interval.ms', 'log.flush.scheduler.interval.ms'],
  'retention.bytes': ['log.retention.bytes'],
  'retention.ms': ['log.retention.ms', 'log.retention.minutes', 'log.retention.hours'],
  'max.message.bytes': ['message.max.bytes'],
  'index.interval.bytes': ['log.index.interval.bytes'],
  'delete.retention.ms': ['log.cleaner.delete.retention.ms'],
  'min.compaction.lag.ms': ['log.cleaner.min.compaction.lag.ms'],
  'max.compaction.lag.ms': ['log.cleaner.max.compaction.lag.ms'],
  'file.delete.delay.ms': ['log.segment.delete.delay.ms'],
  'min.cleanable.dirty.ratio': ['log.cleaner.min.cleanable.ratio'],
  'cleanup.policy': ['log.cleanup.policy'],
  'unclean.leader.election.enable': ['unclean.leader.election.enable'],
  'min.insync.replicas': ['min.insync.replicas'],
  'compression.type': ['compression.type'],
  preallocate: ['log.preallocate'],
  'message.timestamp.type': ['log.message.timestamp.type'],
  'message.timestamp.before.max.ms': ['log.message.timestamp.before.max.ms'],
  'message.timestamp.after.max.ms': ['log.message.timestamp.after.max.ms'],
}

/** What topics of this broker have where they say nothing themselves. */
export function topicDefaults(broker: LogBrokerConfig): LogConfig {
  return {
    'segment.bytes': broker['log.segment.bytes'],
    'internal.segment.bytes': null,
    'segment.ms': broker['log.roll.ms'] ?? broker['log.roll.hours'] * HOUR_MS,
    'segment.jitter.ms': broker['log.roll.jitter.ms'] ?? broker['log.roll.jitter.hours'] * HOUR_MS,
    'segment.index.bytes': broker['log.index.size.max.bytes'],
    'flush.messages': broker['log.flush.interval.messages'],
    'flush.ms': broker['log.flush.interval.ms'] ?? broker['log.flush.scheduler.interval.ms'],
    'retention.bytes': broker['log.retention.bytes'],
    'retention.ms': retentionMs(broker),
    'max.message.bytes': broker['message.max.bytes'],
    'index.interval.bytes': broker['log.index.interval.bytes'],
    'delete.retention.ms': broker['log.cleaner.delete.retention.ms'],
    'min.compaction.lag.ms': broker['log.cleaner.min.compaction.lag.ms'],
    'max.compaction.lag.ms': broker['log.cleaner.max.compaction.lag.ms'],
    'file.delete.delay.ms': broker['log.segment.delete.delay.ms'],
    'min.cleanable.dirty.ratio': broker['log.cleaner.min.cleanable.ratio'],
    'cleanup.policy': broker['log.cleanup.policy'],
    'unclean.leader.election.enable': broker['unclean.leader.election.enable'],
    'min.insync.replicas': broker['min.insync.replicas'],
    'compression.type': broker['compression.type'],
    preallocate: broker['log.preallocate'],
    'message.timestamp.type': broker['log.message.timestamp.type'],
    'message.timestamp.before.max.ms': broker['log.message.timestamp.before.max.ms'],
    'message.timestamp.after.max.ms': broker['log.message.timestamp.after.max.ms'],
  }
}

/** A topic's configuration: `defaults` with the topic's own settings over them. Mistakes are added to `problems`. */
export function logConfig(
  defaults: LogConfig,
  overrides: Readonly<Record<string, unknown>> = {},
  problems: Problem[] = [],
): LogConfig {
  const own = parseConfig(LOG_SETTINGS, overrides, problems) as Readonly<Record<string, ConfigValue>>
  const config: Record<string, ConfigValue> = { ...defaults }
  for (const name of Object.keys(overrides))
    if (Object.hasOwn(LOG_SETTINGS, name)) config[name] = own[name] as ConfigValue
  if ((config['min.compaction.lag.ms'] as number) > (config['max.compaction.lag.ms'] as number)) {
    problems.push({ message: 'min.compaction.lag.ms must not be above max.compaction.lag.ms' })
  }
  return config as LogConfig
}

/** Size at which a segment is closed. */
export function segmentBytes(config: LogConfig): number {
  return config['internal.segment.bytes'] ?? config['segment.bytes']
}

export function isCompacted(config: LogConfig): boolean {
  return config['cleanup.policy'].includes('compact')
}

/** Age at which a segment is closed: a compacted log must also give its records up in time. */
export function maxSegmentMs(config: LogConfig): Millis {
  return isCompacted(config) ? Math.min(config['max.compaction.lag.ms'], config['segment.ms']) : config['segment.ms']
}

function retentionMs(broker: LogBrokerConfig): Millis {
  const minutes = broker['log.retention.minutes']
  const hours = broker['log.retention.hours']
  const ms = broker['log.retention.ms'] ?? (minutes !== null ? minutes * MINUTE_MS : hours * HOUR_MS)
  return ms < 0 ? -1 : ms
}

/** A setting whose default is "not given". */
function orNull<T extends ConfigValue>(setting: Setting<T>): Setting<T | null> {
  return {
    default: null,
    doc: setting.doc,
    parse: (raw) => (raw === null ? { value: null } : setting.parse(raw)),
  }
}
