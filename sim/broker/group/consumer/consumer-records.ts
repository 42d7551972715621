/**
 * The records of KIP-848 groups in `__consumer_offsets`, byte for byte (the schemas of the group coordinator, `GroupCoordinatorRecordHelpers`).
 *
 *     key 3    ConsumerGroupMetadata                   group → group epoch, hash of the subscribed topics' metadata
 *     key 4    ConsumerGroupPartitionMetadata          group → metadata of the subscribed topics (written before 4.1, removed since)
 *     key 5    ConsumerGroupMemberMetadata             group, member → subscription and client
 *     key 6    ConsumerGroupTargetAssignmentMetadata   group → epoch of the target assignment
 *     key 7    ConsumerGroupTargetAssignmentMember     group, member → what it is to have
 *     key 8    ConsumerGroupCurrentMemberAssignment    group, member → member epoch, state, what it has and is to give up
 *     key 16   ConsumerGroupRegularExpression          group, expression → the topics that it stands for
 *
 * A null value is a tombstone. All values are of version 0.
 */

import { MessageCodec } from '../../../wire/codec.js'
import { parseVersions } from '../../../wire/schema.js'
import { type Assignment, type TopicPartitions, toTopicPartitions } from './assignment.js'
import type { ClassicMember } from './consumer-member.js'

export interface GroupKey {
  readonly groupId: string
}

export interface MemberKey extends GroupKey {
  readonly memberId: string
}

export interface RegexKey extends GroupKey {
  readonly regularExpression: string
}

export interface GroupEpochValue {
  readonly epoch: number
  readonly metadataHash: bigint
}

export interface PartitionMetadataValue {
  readonly topics: readonly {
    readonly topicId: string
    readonly topicName: string
    readonly numPartitions: number
    readonly partitionMetadata: readonly { readonly partition: number; readonly racks: readonly string[] }[]
  }[]
}

export interface MemberMetadataValue {
  readonly instanceId: string | null
  readonly rackId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly subscribedTopicNames: readonly string[]
  readonly subscribedTopicRegex: string | null
  readonly rebalanceTimeoutMs: number
  readonly serverAssignor: string | null
  readonly classicMemberMetadata: ClassicMember | null
}

export interface TargetEpochValue {
  readonly assignmentEpoch: number
}

export interface TargetAssignmentValue {
  readonly topicPartitions: readonly TopicPartitions[]
}

export interface CurrentAssignmentValue {
  readonly memberEpoch: number
  readonly previousMemberEpoch: number
  readonly state: number
  readonly assignedPartitions: readonly TopicPartitions[]
  readonly partitionsPendingRevocation: readonly TopicPartitions[]
}

export interface RegexValue {
  readonly topics: readonly string[]
  /** Offset of the metadata image that it was resolved with. */
  readonly version: number
  readonly timestamp: number
}

interface Shapes {
  ConsumerGroupMetadata: [GroupKey, GroupEpochValue]
  ConsumerGroupPartitionMetadata: [GroupKey, PartitionMetadataValue]
  ConsumerGroupMemberMetadata: [MemberKey, MemberMetadataValue]
  ConsumerGroupTargetAssignmentMetadata: [GroupKey, TargetEpochValue]
  ConsumerGroupTargetAssignmentMember: [MemberKey, TargetAssignmentValue]
  ConsumerGroupCurrentMemberAssignment: [MemberKey, CurrentAssignmentValue]
  ConsumerGroupRegularExpression: [RegexKey, RegexValue]
}

export type ConsumerGroupRecord = {
  [T in keyof Shapes]: { readonly type: T; readonly key: Shapes[T][0]; readonly value: Shapes[T][1] | null }
}[keyof Shapes]

export interface ConsumerRecordCodec {
  /** Stands before the key. */
  readonly apiKey: number
  readonly key: MessageCodec<unknown>
  readonly value: MessageCodec<unknown>
}

export const CONSUMER_VALUE_VERSION = 0

const GROUP_KEY = 'groupId: string'
const MEMBER_KEY = 'groupId: string\nmemberId: string'

export const CONSUMER_RECORDS: Readonly<Record<ConsumerGroupRecord['type'], ConsumerRecordCodec>> = {
  ConsumerGroupMetadata: codec(3, GROUP_KEY, 'epoch: int32\nmetadataHash: bigint64 tag 0'),
  ConsumerGroupPartitionMetadata: codec(
    4,
    GROUP_KEY,
    `
    topics: []struct
      topicId: uuid
      topicName: string
      numPartitions: int32
      partitionMetadata: []struct
        partition: int32
        racks: []string
    `,
  ),
  ConsumerGroupMemberMetadata: codec(
    5,
    MEMBER_KEY,
    `
    instanceId: string null
    rackId: string null
    clientId: string
    clientHost: string
    subscribedTopicNames: []string
    subscribedTopicRegex: string null
    rebalanceTimeoutMs: int32 = -1
    serverAssignor: string null
    classicMemberMetadata: struct null tag 0
      sessionTimeoutMs: int32
      supportedProtocols: []struct
        name: string
        metadata: bytes
    `,
  ),
  ConsumerGroupTargetAssignmentMetadata: codec(6, GROUP_KEY, 'assignmentEpoch: int32'),
  ConsumerGroupTargetAssignmentMember: codec(
    7,
    MEMBER_KEY,
    `
    topicPartitions: []struct
      topicId: uuid
      partitions: []int32
    `,
  ),
  ConsumerGroupCurrentMemberAssignment: codec(
    8,
    MEMBER_KEY,
    `
    memberEpoch: int32
    previousMemberEpoch: int32
    state: int8
    assignedPartitions: []struct
      topicId: uuid
      partitions: []int32
    partitionsPendingRevocation: []struct
      topicId: uuid
      partitions: []int32
    `,
  ),
  ConsumerGroupRegularExpression: codec(
    16,
    'groupId: string\nregularExpression: string',
    'topics: []string\nversion: int64\ntimestamp: int64',
  ),
}

function codec(apiKey: number, key: string, value: string): ConsumerRecordCodec {
  return {
    apiKey,
    key: new MessageCodec(`key ${apiKey}`, parseVersions(String(apiKey)), undefined, key),
    value: new MessageCodec(`value ${apiKey}`, parseVersions('0'), parseVersions('0+'), value),
  }
}

// ── records of groups ─────────────────────────────────────────────────────────────────────────────────────────────────

export function groupEpochRecord(groupId: string, epoch: number, metadataHash: bigint): ConsumerGroupRecord {
  return { type: 'ConsumerGroupMetadata', key: { groupId }, value: { epoch, metadataHash } }
}

export function targetEpochRecord(groupId: string, assignmentEpoch: number): ConsumerGroupRecord {
  return { type: 'ConsumerGroupTargetAssignmentMetadata', key: { groupId }, value: { assignmentEpoch } }
}

export function targetRecord(groupId: string, memberId: string, target: Assignment): ConsumerGroupRecord {
  return {
    type: 'ConsumerGroupTargetAssignmentMember',
    key: { groupId, memberId },
    value: { topicPartitions: toTopicPartitions(target) },
  }
}

export function regexRecord(groupId: string, regularExpression: string, value: RegexValue | null): ConsumerGroupRecord {
  return { type: 'ConsumerGroupRegularExpression', key: { groupId, regularExpression }, value }
}

/** The order matters to whoever replays them. */
export function memberTombstones(groupId: string, memberId: string): ConsumerGroupRecord[] {
  const key = { groupId, memberId }
  return [
    { type: 'ConsumerGroupCurrentMemberAssignment', key, value: null },
    { type: 'ConsumerGroupTargetAssignmentMember', key, value: null },
    { type: 'ConsumerGroupMemberMetadata', key, value: null },
  ]
}

export function partitionMetadataTombstone(groupId: string): ConsumerGroupRecord {
  return { type: 'ConsumerGroupPartitionMetadata', key: { groupId }, value: null }
}

/** Everything of a group, in the order in which it may go. */
export function groupTombstones(
  groupId: string,
  members: readonly string[],
  regexes: Iterable<string>,
): ConsumerGroupRecord[] {
  const of = (
    type:
      'ConsumerGroupCurrentMemberAssignment' | 'ConsumerGroupTargetAssignmentMember' | 'ConsumerGroupMemberMetadata',
  ) => members.map((memberId): ConsumerGroupRecord => ({ type, key: { groupId, memberId }, value: null }))
  return [
    ...of('ConsumerGroupCurrentMemberAssignment'),
    ...of('ConsumerGroupTargetAssignmentMember'),
    { type: 'ConsumerGroupTargetAssignmentMetadata', key: { groupId }, value: null },
    ...of('ConsumerGroupMemberMetadata'),
    ...[...regexes].map((regex) => regexRecord(groupId, regex, null)),
    partitionMetadataTombstone(groupId),
    { type: 'ConsumerGroupMetadata', key: { groupId }, value: null },
  ]
}
