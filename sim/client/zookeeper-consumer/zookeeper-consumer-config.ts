/**
 * Settings of the old consumer, under the names and with the defaults of Kafka 1.1 (`kafka.consumer.ConsumerConfig`, `ZKConfig`).
 *
 * `zookeeper.connect` is what makes a consumer an old one. Many settings have another name than those of the new consumer mean; whoever
 * writes one of those is told the old name.
 */

import { bool, int, oneOf, parseConfig, text, type ConfigOf } from '../../kernel/config-def.js'
import { UsageError, type Problem } from '../../kernel/errors.js'
import type { PartitionAssignorName } from './partition-assignors.js'

export const ZOOKEEPER_CONSUMER_CONFIG = {
  'zookeeper.connect': text('', 'servers of the ensemble: z1,z2,z3, or zookeeper for all of them'),
  'zookeeper.session.timeout.ms': int(6_000, 'a member that the ensemble does not hear of for this long is dead', 1),
  'zookeeper.connection.timeout.ms': int(0, 'how long to wait for the ensemble at first; default: the session timeout'),
  'zookeeper.sync.time.ms': int(2_000, 'how far a server of the ensemble may be behind'),
  'group.id': text('', 'the group of this consumer'),
  'client.id': text('', 'default: the group'),
  'socket.timeout.ms': int(30_000, 'how long a connection to a broker may take, and an answer', 1),
  'fetch.message.max.bytes': int(1_048_576, 'bytes of one partition in a response', 1),
  'num.consumer.fetchers': int(1, 'fetchers for each broker', 1),
  'auto.commit.enable': bool(true, 'commit now and then what was handed over'),
  'auto.commit.interval.ms': int(60_000, 'how often', 1),
  'queued.max.message.chunks': int(2, 'how many fetched chunks wait for the application', 1),
  'rebalance.max.retries': int(4, 'how often a rebalance is tried', 1),
  'rebalance.backoff.ms': int(0, 'how long to wait in between; default: zookeeper.sync.time.ms'),
  'fetch.min.bytes': int(1, 'a response waits for this many bytes'),
  'fetch.wait.max.ms': int(100, 'how long a broker may wait for fetch.min.bytes'),
  'refresh.leader.backoff.ms': int(200, 'how long to wait before leaders are looked for again'),
  'offsets.storage': oneOf('zookeeper', ['zookeeper', 'kafka'], 'where offsets are committed to'),
  'auto.offset.reset': oneOf('largest', ['smallest', 'largest'], 'where to start without a valid offset'),
  'partition.assignment.strategy': oneOf<PartitionAssignorName>(
    'range',
    ['range', 'roundrobin'],
    'how partitions are given to streams',
  ),
} as const

export type ZookeeperConsumerConfig = ConfigOf<typeof ZOOKEEPER_CONSUMER_CONFIG>

/** Setting of the new consumer → what the old one has for it. */
export const OLD_NAMES: Readonly<Record<string, string>> = {
  'enable.auto.commit': 'auto.commit.enable',
  'session.timeout.ms': 'zookeeper.session.timeout.ms',
  'request.timeout.ms': 'socket.timeout.ms',
  'socket.connection.setup.timeout.ms': 'socket.timeout.ms',
  'max.partition.fetch.bytes': 'fetch.message.max.bytes',
  'fetch.max.wait.ms': 'fetch.wait.max.ms',
  'retry.backoff.ms': 'refresh.leader.backoff.ms',
  'bootstrap.servers': 'zookeeper.connect',
}

/** Values of the new consumer → the old one's. */
const OLD_VALUES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'auto.offset.reset': { earliest: 'smallest', latest: 'largest' },
}

/** What old consumers know, and what is not there, or would change nothing. */
const NOT_SIMULATED: ReadonlySet<string> = new Set([
  'consumer.id',
  'consumer.timeout.ms',
  'dual.commit.enabled',
  'exclude.internal.topics',
  'fetch.max.bytes',
  'offsets.channel.backoff.ms',
  'offsets.channel.socket.timeout.ms',
  'offsets.commit.max.retries',
  'socket.receive.buffer.bytes',
])

/**
 * Values under Kafka's names → the resolved configuration.
 * @param newNames settings of the new consumer, which are not meant here
 * @throws UsageError with every mistake
 */
export function parseZookeeperConsumerConfig(
  given: Readonly<Record<string, unknown>>,
  newNames: ReadonlySet<string> = NO_NAMES,
): ZookeeperConsumerConfig {
  const problems: Problem[] = []
  const known: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(given)) {
    const problem = problemOf(name, value, newNames)
    if (problem === undefined) known[name] = value
    else problems.push(problem)
  }
  const config = parseConfig(ZOOKEEPER_CONSUMER_CONFIG, known, problems)
  const { 'fetch.wait.max.ms': waitMs, 'socket.timeout.ms': socketMs } = config
  if (waitMs > socketMs) {
    const message = `socket.timeout.ms (${socketMs}) must not be below fetch.wait.max.ms (${waitMs})`
    problems.push({ message, mend: 'or every fetch without records would time out' })
  }
  if (problems.length > 0) throw new UsageError(problems)
  return withDefaults(config, known)
}

const NO_NAMES: ReadonlySet<string> = new Set()

/** Those defaults that are other settings. */
function withDefaults(
  config: ZookeeperConsumerConfig,
  given: Readonly<Record<string, unknown>>,
): ZookeeperConsumerConfig {
  return {
    ...config,
    ...(given['zookeeper.connection.timeout.ms'] === undefined && {
      'zookeeper.connection.timeout.ms': config['zookeeper.session.timeout.ms'],
    }),
    ...(given['rebalance.backoff.ms'] === undefined && { 'rebalance.backoff.ms': config['zookeeper.sync.time.ms'] }),
    ...(config['client.id'] === '' && { 'client.id': config['group.id'] }),
  }
}

/** A setting, or a value, that the new consumer has and the old one has not. */
function problemOf(name: string, value: unknown, newNames: ReadonlySet<string>): Problem | undefined {
  if (name === 'offsets.storage' && value === 'kafka') {
    const message = 'offsets.storage: offsets in Kafka are not simulated for old consumers'
    return { message, mend: 'leave it out: offsets are kept in ZooKeeper' }
  }
  if (Object.hasOwn(ZOOKEEPER_CONSUMER_CONFIG, name)) {
    const oldValue = OLD_VALUES[name]?.[String(value)]
    if (oldValue === undefined) return undefined
    return { message: `${name}: ${String(value)} is the new consumer's`, mend: `write ${oldValue}` }
  }
  if (NOT_SIMULATED.has(name)) {
    return { message: `${name} is not simulated for old consumers`, mend: 'leave it out' }
  }
  const oldName = OLD_NAMES[name]
  if (oldName !== undefined) {
    return { message: `${name} belongs to the new consumer`, mend: `the old one's is ${oldName}` }
  }
  if (!newNames.has(name)) return undefined
  return { message: `${name} belongs to the new consumer`, mend: 'leave it out: the old one has nothing like it' }
}
