/** Settings of a consumer, under Kafka's names and with Kafka's defaults (ConsumerConfig of 4.x). */

import { bool, int, list, oneOf, parseConfig, text, type ConfigOf, type Setting } from '../kernel/config-def.js'
import { UsageError, type Problem } from '../kernel/errors.js'
import { settingsWithEffect } from './client-known-settings.js'
import { conflict, CONNECTION_CONFIG, withReconnectBackoff } from './connection-config.js'
import { ASSIGNOR_NAMES, assignorName, makeAssignor, type AssignorName } from './group/assignors.js'
import type { ResetStrategy } from './subscription-state.js'

const GROUP_CONFIG = {
  'auto.commit.interval.ms': int(5_000, 'how often positions are committed with enable.auto.commit'),
  'enable.auto.commit': bool(true, 'commit positions now and then, within polls'),
  'group.id': text('', 'the group of this consumer; without one it can only assign partitions to itself'),
  'group.instance.id': text('', 'makes this consumer a static member of its group (KIP-345)'),
  'group.protocol': oneOf('classic', ['classic', 'consumer'], 'how the group rebalances (KIP-848)'),
  'group.remote.assignor': text('', "the coordinator's assignor to use, with group.protocol=consumer"),
  'heartbeat.interval.ms': int(3_000, 'time between heartbeats', 1),
  'max.poll.interval.ms': int(300_000, 'a member that does not poll for this long leaves its group', 1),
  'partition.assignment.strategy': list(
    ['range', 'cooperative-sticky'],
    'assignors to choose from, the favourite first',
  ),
  'session.timeout.ms': int(45_000, 'a member is taken for dead after this long without a heartbeat', 1),
} as const

export const CONSUMER_CONFIG = {
  ...CONNECTION_CONFIG,
  ...GROUP_CONFIG,
  'allow.auto.create.topics': bool(true, 'let the brokers create topics that are asked for'),
  'auto.offset.reset': resetStrategy('latest', 'where to start without a valid position'),
  'check.crcs': bool(true, 'check the CRC of every batch'),
  'client.rack': text('', 'rack of this consumer, for fetching from the closest replica (KIP-392)'),
  'default.api.timeout.ms': int(60_000, 'how long calls without a timeout of their own may take'),
  'exclude.internal.topics': bool(true, 'a pattern does not match internal topics'),
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

/** Settings that belong to one group protocol only (CLASSIC_PROTOCOL_UNSUPPORTED_CONFIGS, CONSUMER_…). */
const UNSUPPORTED = {
  classic: ['group.remote.assignor'],
  consumer: ['partition.assignment.strategy', 'heartbeat.interval.ms', 'session.timeout.ms'],
} as const

/** Values under Kafka's names → the resolved configuration. @throws UsageError with every mistake */
export function parseConsumerConfig(given: Readonly<Record<string, unknown>> = {}): ConsumerConfig {
  const problems: Problem[] = []
  const config = parseConfig(CONSUMER_CONFIG, settingsWithEffect(given), problems)
  const protocol = config['group.protocol']
  for (const name of UNSUPPORTED[protocol]) {
    if ((given[name] ?? '') === '') continue
    conflict(problems, `${name} cannot be set with group.protocol=${protocol}`, 'leave it out')
  }
  const { 'heartbeat.interval.ms': heartbeatMs, 'session.timeout.ms': sessionMs } = config
  if (protocol === 'classic' && heartbeatMs >= sessionMs) {
    const message = `heartbeat.interval.ms (${heartbeatMs}) must be lower than session.timeout.ms (${sessionMs})`
    conflict(problems, message, 'a third of it is usual')
  }
  checkAssignors(config, problems)
  const hasGroup = config['group.id'] !== ''
  if (!hasGroup && given['enable.auto.commit'] !== undefined && config['enable.auto.commit']) {
    conflict(problems, 'enable.auto.commit cannot be true without a group.id', 'give it a group.id')
  }
  if (problems.length > 0) throw new UsageError(problems)
  return withReconnectBackoff({ ...config, 'enable.auto.commit': config['enable.auto.commit'] && hasGroup }, given)
}

/** The assignors of a configuration that was parsed. */
export function assignorsOf(config: ConsumerConfig): AssignorName[] {
  return config['partition.assignment.strategy'].map((given) => assignorName(given) as AssignorName)
}

/** The policy that `auto.offset.reset` says; undefined for `none`. */
export function resetStrategyOf(config: ConsumerConfig): ResetStrategy | undefined {
  return parseResetStrategy(config['auto.offset.reset']) ?? undefined
}

function checkAssignors(config: ConsumerConfig, problems: Problem[]): void {
  const names: AssignorName[] = []
  for (const given of config['partition.assignment.strategy']) {
    const name = assignorName(given)
    if (name !== undefined) names.push(name)
    else {
      const mend = `known are ${ASSIGNOR_NAMES.join(', ')}, and Kafka's classes of them`
      conflict(problems, `partition.assignment.strategy: unknown assignor ${given}`, mend)
    }
  }
  const protocols = names.map((name) => makeAssignor(name).protocols as readonly string[])
  if (names.length > 0 && !['cooperative', 'eager'].some((one) => protocols.every((some) => some.includes(one)))) {
    conflict(problems, `partition.assignment.strategy: ${names.join(', ')} have no protocol in common`, 'choose one')
  }
}

function resetStrategy(defaultValue: string, doc: string): Setting<string> {
  return {
    default: defaultValue,
    doc,
    parse: (raw) =>
      parseResetStrategy(String(raw)) === undefined
        ? { wrong: 'expected latest, earliest, none or by_duration:PnDTnHnMn.nS' }
        : { value: String(raw) },
  }
}

/** Null for `none`, undefined for what is no policy. */
function parseResetStrategy(text: string): ResetStrategy | null | undefined {
  if (text === 'latest' || text === 'earliest') return text
  if (text === 'none') return null
  if (!text.startsWith('by_duration:')) return undefined
  const byDurationMs = parseDuration(text.slice('by_duration:'.length))
  return byDurationMs === undefined ? undefined : { byDurationMs }
}

const DURATION = /^P(?:(\d+)D)?(T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d{0,9})?)S)?)?$/i

/** ISO 8601 durations of days and less, as java.time.Duration reads them; in whole milliseconds. */
function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text)
  if (match === null || /[PT]$/i.test(text)) return undefined
  const [, days = 0, , hours = 0, minutes = 0, seconds = 0] = match
  const wholeMinutes = (Number(days) * 24 + Number(hours)) * 60 + Number(minutes)
  return wholeMinutes * 60_000 + Math.floor(Number(seconds) * 1_000)
}
