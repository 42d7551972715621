/** Settings of a consumer in a group, under Kafka's names and with Kafka's defaults (`ConsumerConfig` of 4.x). */

import { bool, int, list, parseConfig, text, type ConfigOf } from '../../kernel/config-def.js'
import { UsageError, type Problem } from '../../kernel/errors.js'
import { withReconnectBackoff } from '../connection-config.js'
import { CONSUMER_CONFIG } from '../consumer-config.js'
import { assignorName, ASSIGNOR_NAMES } from './assignors.js'

const GROUP_CONFIG = {
  'group.id': text('', 'the group of this consumer'),
  'group.instance.id': text('', 'makes it a static member (KIP-345)'),
  'session.timeout.ms': int(45_000, 'without a heartbeat for this long it is taken for dead', 1),
  'heartbeat.interval.ms': int(3_000, 'time between heartbeats', 1),
  'max.poll.interval.ms': int(300_000, 'time between polls at most, or it leaves the group', 1),
  'enable.auto.commit': bool(true, 'commit positions now and then'),
  'auto.commit.interval.ms': int(5_000, 'how often, when polling'),
  'partition.assignment.strategy': list(['range', 'cooperative-sticky'], 'assignors, the favourite first'),
} as const

export const GROUP_CONSUMER_CONFIG = { ...CONSUMER_CONFIG, ...GROUP_CONFIG } as const

export type GroupConsumerConfig = ConfigOf<typeof GROUP_CONSUMER_CONFIG>

/** Values under Kafka's names → the resolved configuration. @throws UsageError with every mistake */
export function parseGroupConsumerConfig(given: Readonly<Record<string, unknown>> = {}): GroupConsumerConfig {
  const problems: Problem[] = []
  const config = parseConfig(GROUP_CONSUMER_CONFIG, given, problems)
  if (config['group.id'] === '') problems.push({ message: 'group.id: a consumer that subscribes needs a group' })
  const strategies: string[] = []
  for (const given of config['partition.assignment.strategy']) {
    const name = assignorName(given)
    if (name !== undefined) strategies.push(name)
    else {
      const mend = `known are ${ASSIGNOR_NAMES.join(', ')}, and Kafka's classes of them`
      problems.push({ message: `partition.assignment.strategy: unknown assignor ${given}`, mend })
    }
  }
  const { 'heartbeat.interval.ms': heartbeat, 'session.timeout.ms': session } = config
  if (heartbeat >= session) {
    problems.push({
      message: `heartbeat.interval.ms (${heartbeat}) must be lower than session.timeout.ms (${session})`,
      mend: 'a third of it is usual',
    })
  }
  if (problems.length > 0) throw new UsageError(problems)
  return withReconnectBackoff({ ...config, 'partition.assignment.strategy': strategies }, given)
}
