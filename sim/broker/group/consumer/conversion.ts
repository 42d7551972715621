/**
 * A group with members changes its protocol while it works (KIP-848; `ConsumerGroup.fromClassicGroup`, `ClassicGroup.fromConsumerGroup`).
 *
 *     classic ──a member of the consumer protocol joins──→ consumer ──the last one of them is gone──→ classic
 *
 * Upgrade: every member keeps what the classic leader gave it, in an epoch that is the generation. Downgrade: every member keeps what it was to have, in a
 * generation that is the group epoch, and is told to join again. `group.consumer.migration.policy` says which of the two may happen; a group without
 * members is converted in any case.
 */

import type { Millis } from '../../../kernel/units.js'
import type { MetadataImage } from '../../../kraft/metadata/image.js'
import { Errors } from '../../../wire/errors.js'
import { ClassicGroup, type Member } from '../classic-group.js'
import { groupRecord, groupTombstone } from '../classic-group-records.js'
import { readAssignment, readSubscription, writeAssignment } from '../consumer-protocol.js'
import type { GroupRecord } from '../group-records.js'
import type { GroupConfig } from '../group-settings.js'
import { type Assignment, NO_PARTITIONS, toTopicPartitions } from './assignment.js'
import { ConsumerGroup } from './consumer-group.js'
import {
  type ConsumerMember,
  currentAssignmentRecord,
  memberRecord,
  newMember,
  sortedNames,
} from './consumer-member.js'
import { groupEpochRecord, groupTombstones, targetEpochRecord, targetRecord } from './consumer-records.js'
import type { TopicHashes } from './metadata-hash.js'
import { type Refusal, refusal } from './refusal.js'

const CONSUMER_PROTOCOL = 'consumer'
/** A group that was only computed, never written. */
const NOT_WRITTEN = -1

// ── upgrade ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Why the group cannot become a KIP-848 group; undefined when it can. */
export function checkUpgrade(group: ClassicGroup, config: GroupConfig): string | undefined {
  const cannot = `Cannot upgrade classic group ${group.groupId} to consumer group because`
  const policy = config['group.consumer.migration.policy']
  if (policy !== 'bidirectional' && policy !== 'upgrade') return `${cannot} online upgrade is disabled.`
  if (!group.usesConsumerProtocol) return `${cannot} the group does not use the consumer embedded protocol.`
  if (group.members.size > config['group.consumer.max.size']) {
    return `${cannot} the group size exceeds the consumer group maximum size.`
  }
  return undefined
}

/** The group as a KIP-848 group, and the records that make it one. */
export function upgrade(
  classic: ClassicGroup,
  image: MetadataImage,
  hashes: TopicHashes,
): { readonly group: ConsumerGroup; readonly records: readonly GroupRecord[] } | Refusal {
  const { groupId, generation } = classic
  const cannot = (why: string): Refusal =>
    refusal(Errors.GROUP_ID_NOT_FOUND, `Cannot upgrade classic group ${groupId} to consumer group because ${why}.`)
  if (classic.protocolName === undefined) {
    // As in Kafka: a group in its first rebalance has no protocol yet.
    return refusal(Errors.UNKNOWN_SERVER_ERROR, `Classic group ${groupId} has no protocol yet.`)
  }
  const members: ConsumerMember[] = []
  for (const member of classic.members.values()) {
    const subscription = readSubscription(classic.metadataOf(member))
    const assignment = member.assignment.length === 0 ? NOTHING_ASSIGNED : readAssignment(member.assignment)
    if (subscription === undefined || assignment === undefined)
      return cannot('the embedded consumer protocol is malformed')
    if (assignment.hasUserData) return cannot('an unsupported custom assignor is in use')
    members.push({
      ...newMember(member.memberId),
      memberEpoch: generation,
      previousMemberEpoch: generation,
      instanceId: member.instanceId ?? null,
      rackId: subscription.rack === '' ? null : subscription.rack,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      clientId: member.clientId,
      clientHost: member.clientHost,
      topicNames: sortedNames(subscription.topics),
      assigned: byTopicId(assignment.assigned, image),
      classic: { sessionTimeoutMs: member.sessionTimeoutMs, supportedProtocols: member.protocols },
    })
  }
  const group = new ConsumerGroup(groupId)
  group.setGroupEpoch(generation, 0n, NOT_WRITTEN)
  group.setAssignmentEpoch(generation, NOT_WRITTEN)
  for (const member of members) {
    group.setTarget(member.memberId, member.assigned, NOT_WRITTEN)
    group.update(member, NOT_WRITTEN)
  }
  group.setGroupEpoch(generation, hashes.ofGroup(group.topicCounts.keys(), image), NOT_WRITTEN)
  const records: GroupRecord[] = [
    groupTombstone(groupId),
    ...members.map((member) => memberRecord(groupId, member)),
    groupEpochRecord(groupId, generation, group.metadataHash),
    ...members.map(({ memberId, assigned }) => targetRecord(groupId, memberId, assigned)),
    targetEpochRecord(groupId, generation),
    ...members.map((member) => currentAssignmentRecord(groupId, member)),
  ]
  return { group, records }
}

const NOTHING_ASSIGNED = { assigned: [], hasUserData: false }

/** Topics that are gone are left out. */
export function byTopicId(
  assigned: readonly { readonly topic: string; readonly partitions: readonly number[] }[],
  image: MetadataImage,
): Assignment {
  const assignment = new Map<string, ReadonlySet<number>>()
  for (const { topic, partitions } of assigned) {
    const id = image.topicsByName.get(topic)?.id
    if (id !== undefined) assignment.set(id, new Set(partitions))
  }
  return assignment
}

// ── downgrade ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Whether the group becomes a classic one when these members go. */
export function canDowngrade(group: ConsumerGroup, leaving: readonly ConsumerMember[], config: GroupConfig): boolean {
  const left = group.members.size - leaving.length
  return group.isClassicWithout(leaving) && left > 0 && mayDowngrade(config, left)
}

/** Whether it does when a static member of the consumer protocol is replaced by one of the classic protocol. */
export function canDowngradeReplacing(group: ConsumerGroup, replaced: ConsumerMember, config: GroupConfig): boolean {
  const isLast = group.classicMembers === group.members.size - 1 && replaced.classic === null
  return isLast && mayDowngrade(config, group.members.size)
}

function mayDowngrade(config: GroupConfig, members: number): boolean {
  const policy = config['group.consumer.migration.policy']
  return (policy === 'bidirectional' || policy === 'downgrade') && members <= config['group.max.size']
}

/** The group as a classic one, and the records that make it one. `joining` takes the place of the member of its instance. */
export function downgrade(
  group: ConsumerGroup,
  leaving: readonly ConsumerMember[],
  joining: ConsumerMember | undefined,
  image: MetadataImage,
  nowMs: Millis,
): { readonly classic: ClassicGroup; readonly records: readonly GroupRecord[] } {
  const { groupId } = group
  const replacedId = joining?.instanceId == null ? undefined : group.staticMembers.get(joining.instanceId)
  const classic = new ClassicGroup(groupId)
  classic.stateTimestamp = nowMs
  classic.generation = group.groupEpoch
  const staying = [...group.members.values()].filter(
    (member) => !leaving.includes(member) && member.memberId !== replacedId,
  )
  for (const member of joining === undefined ? staying : [...staying, joining]) classic.add(classicMember(member))
  classic.protocolName = classic.selectProtocol()
  classic.subscribedTopics = classic.computeSubscribedTopics()
  classic.state = 'Stable'
  for (const member of classic.members.values()) {
    const from = member.memberId === joining?.memberId ? (replacedId ?? '') : member.memberId
    const version = readSubscription(classic.metadataOf(member))?.version ?? 0
    member.assignment = writeAssignment(byTopicName(group.targets.get(from) ?? NO_PARTITIONS, image), version)
  }
  // What was written for the member that joins in this same write goes, too.
  const written = [...group.members.keys()].map((memberId) =>
    joining !== undefined && memberId === replacedId ? joining.memberId : memberId,
  )
  return { classic, records: [...groupTombstones(groupId, written, group.regexes.keys()), groupRecord(classic)] }
}

function classicMember(member: ConsumerMember): Member {
  return {
    memberId: member.memberId,
    instanceId: member.instanceId ?? undefined,
    clientId: member.clientId,
    clientHost: member.clientHost,
    rebalanceTimeoutMs: member.rebalanceTimeoutMs,
    sessionTimeoutMs: member.classic?.sessionTimeoutMs ?? 0,
    protocolType: CONSUMER_PROTOCOL,
    protocols: member.classic?.supportedProtocols ?? [],
    assignment: new Uint8Array(0),
    isNew: false,
    awaitingJoin: undefined,
    awaitingSync: undefined,
  }
}

/** Topics that are gone are left out. */
export function byTopicName(
  assignment: Assignment,
  image: MetadataImage,
): { readonly topic: string; readonly partitions: readonly number[] }[] {
  return toTopicPartitions(assignment).flatMap(({ topicId, partitions }) => {
    const topic = image.topicsById.get(topicId)?.name
    return topic === undefined ? [] : [{ topic, partitions }]
  })
}
