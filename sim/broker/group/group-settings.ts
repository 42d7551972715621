/** Settings of a broker about groups, with the names and defaults of Kafka 4.1 (`GroupCoordinatorConfig`). */

import { type ConfigOf, int, list, long, oneOf, type Settings } from '../../kernel/config-def.js'
import type { Problem } from '../../kernel/errors.js'
import { INT_MAX, type Millis } from '../../kernel/units.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'

export const GROUP_SETTINGS = {
  'group.min.session.timeout.ms': int(6_000, 'Shortest session of a member of a classic group'),
  'group.max.session.timeout.ms': int(1_800_000, 'Longest session of a member of a classic group'),
  'group.initial.rebalance.delay.ms': int(3_000, 'How long an empty group waits for more members to join'),
  'group.max.size': int(2_147_483_647, 'Members of a classic group at most', 1),
  'group.coordinator.rebalance.protocols': list(
    ['classic', 'consumer', 'streams'],
    'Protocols of groups that are served; classic always is',
    ['classic', 'consumer', 'share', 'streams'],
  ),
  'group.consumer.session.timeout.ms': int(45_000, 'Session of a member of a KIP-848 group', 1),
  'group.consumer.min.session.timeout.ms': int(45_000, 'Shortest session of a member of a KIP-848 group', 1),
  'group.consumer.max.session.timeout.ms': int(60_000, 'Longest session of a member of a KIP-848 group', 1),
  'group.consumer.heartbeat.interval.ms': int(5_000, 'How often a member of a KIP-848 group is to send heartbeats', 1),
  'group.consumer.min.heartbeat.interval.ms': int(5_000, 'Shortest interval of heartbeats in KIP-848 groups', 1),
  'group.consumer.max.heartbeat.interval.ms': int(15_000, 'Longest interval of heartbeats in KIP-848 groups', 1),
  'group.consumer.max.size': int(INT_MAX, 'Members of a KIP-848 group at most', 1),
  'group.consumer.assignors': list(
    ['uniform', 'range'],
    'Assignors of KIP-848 groups; the first one is used where no member asks for another',
    ['uniform', 'range'],
  ),
  'group.consumer.migration.policy': oneOf(
    'bidirectional',
    ['bidirectional', 'upgrade', 'downgrade', 'disabled'],
    'Which groups with members may change between the classic and the KIP-848 protocol',
  ),
  'group.consumer.regex.refresh.interval.ms': int(
    600_000,
    'How often the topics of subscribed regular expressions are looked up again',
    10_000,
  ),
  'offset.metadata.max.bytes': int(4_096, 'Size of the metadata of a committed offset at most'),
  'offsets.topic.num.partitions': int(50, 'Partitions of __consumer_offsets', 1),
  'offsets.topic.replication.factor': int(3, 'Replicas of __consumer_offsets', 1),
  'offsets.topic.segment.bytes': int(104_857_600, 'Segment size of __consumer_offsets', 1),
  'offsets.load.buffer.size': int(5_242_880, 'Bytes read at once when a coordinator loads', 1),
  'offsets.retention.minutes': int(10_080, 'How long offsets of an empty group are kept', 1),
  'offsets.retention.check.interval.ms': long(600_000, 'How often offsets are checked for expiry', 1),
  'offsets.commit.timeout.ms': int(5_000, 'How long a commit may wait for replication', 1),
} satisfies Settings

export type GroupConfig = ConfigOf<typeof GROUP_SETTINGS>

/** How long a new member may wait in its first rebalance (`CLASSIC_GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS`). */
export const NEW_MEMBER_JOIN_TIMEOUT_MS = 300_000

/** Whether a member of a classic group may have a session of that length (`GroupCoordinatorService.joinGroup`). */
export function checkSessionTimeout(
  { sessionTimeoutMs }: { sessionTimeoutMs: Millis },
  config: GroupConfig,
): ErrorCode {
  const isAllowed =
    sessionTimeoutMs >= config['group.min.session.timeout.ms'] &&
    sessionTimeoutMs <= config['group.max.session.timeout.ms']
  return isAllowed ? Errors.NONE : Errors.INVALID_SESSION_TIMEOUT
}

/** Settings that do not go together (`GroupCoordinatorConfig`, `KafkaConfig`). */
export function checkGroupConfig(config: GroupConfig, problems: Problem[]): void {
  const inOrder = (...names: (keyof GroupConfig & string)[]): void => {
    for (let at = 1; at < names.length; at++) {
      const [less, more] = [names[at - 1], names[at]] as [keyof GroupConfig & string, keyof GroupConfig & string]
      if (config[less] <= config[more]) continue
      problems.push({ message: `${less} (${String(config[less])}) is greater than ${more} (${String(config[more])})` })
    }
  }
  inOrder(
    'group.consumer.min.heartbeat.interval.ms',
    'group.consumer.heartbeat.interval.ms',
    'group.consumer.max.heartbeat.interval.ms',
  )
  inOrder(
    'group.consumer.min.session.timeout.ms',
    'group.consumer.session.timeout.ms',
    'group.consumer.max.session.timeout.ms',
  )
  if (config['group.consumer.heartbeat.interval.ms'] >= config['group.consumer.session.timeout.ms']) {
    problems.push({
      message: 'group.consumer.heartbeat.interval.ms must be less than group.consumer.session.timeout.ms',
    })
  }
  if (!config['group.coordinator.rebalance.protocols'].includes('classic')) {
    problems.push({ message: 'group.coordinator.rebalance.protocols must include classic' })
  }
}
