/** Settings of a broker about groups, with the names and defaults of Kafka 4.1 (`GroupCoordinatorConfig`). */

import { type ConfigOf, int, long, type Settings } from '../../kernel/config-def.js'

export const GROUP_SETTINGS = {
  'group.min.session.timeout.ms': int(6_000, 'Shortest session of a member of a classic group'),
  'group.max.session.timeout.ms': int(1_800_000, 'Longest session of a member of a classic group'),
  'group.initial.rebalance.delay.ms': int(3_000, 'How long an empty group waits for more members to join'),
  'group.max.size': int(2_147_483_647, 'Members of a classic group at most', 1),
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
