/**
 * What a changed member makes of its group: a new epoch, a new target, a step towards it (the three parts of
 * `GroupMetadataManager.consumerGroupHeartbeat`).
 *
 *     subscriptions or topics changed  → the group epoch grows
 *     the group epoch is ahead         → the target is computed for it
 *     the member is not in its target  → it goes a step on
 *
 * Nothing is changed here: records say what changes.
 */

import type { ShardHost } from '../../coordinator/coordinator-runtime.js'
import type { MetadataImage } from '../../../kraft/metadata/image.js'
import { Errors } from '../../../wire/errors.js'
import type { GroupRecord } from '../group-records.js'
import type { GroupConfig } from '../group-settings.js'
import { type Assignment, NO_PARTITIONS, type TopicPartitions } from './assignment.js'
import type { PartitionAssignor } from './assignor.js'
import { type ConsumerGroup, isHomogeneous } from './consumer-group.js'
import {
  type ConsumerMember,
  currentAssignmentRecord,
  isReconciledTo,
  isSameMember,
  isSameNames,
  memberRecord,
} from './consumer-member.js'
import { groupEpochRecord, partitionMetadataTombstone } from './consumer-records.js'
import type { ConsumerTimers } from './consumer-timers.js'
import { reconcile } from './current-assignment.js'
import type { TopicHashes } from './metadata-hash.js'
import { RANGE_ASSIGNOR } from './range-assignor.js'
import { type Refusal, refusal } from './refusal.js'
import { computeTarget, invert } from './target-assignment.js'
import { UNIFORM_ASSIGNOR } from './uniform-assignor.js'

const ASSIGNORS: readonly PartitionAssignor[] = [UNIFORM_ASSIGNOR, RANGE_ASSIGNOR]

/** How long a hash counts without being asked for again. */
export const METADATA_REFRESH_INTERVAL_MS = 2_147_483_647

export interface MemberChange {
  readonly group: ConsumerGroup
  readonly before: ConsumerMember
  readonly after: ConsumerMember
  /** The group epoch grows in any case. */
  readonly bumpsEpoch: boolean
  /** What the member says to own. */
  readonly owned: readonly TopicPartitions[] | null
}

export class Rebalancer {
  readonly #host: ShardHost<GroupRecord>
  readonly #config: () => GroupConfig
  readonly #image: () => MetadataImage
  readonly #hashes: TopicHashes
  readonly #timers: ConsumerTimers

  constructor(
    host: ShardHost<GroupRecord>,
    config: () => GroupConfig,
    image: () => MetadataImage,
    hashes: TopicHashes,
    timers: ConsumerTimers,
  ) {
    this.#host = host
    this.#config = config
    this.#image = image
    this.#hashes = hashes
    this.#timers = timers
  }

  /** Writes the member down when it changed. True when it subscribes to other names. */
  writeMember(group: ConsumerGroup, before: ConsumerMember, after: ConsumerMember, records: GroupRecord[]): boolean {
    if (isSameMember(before, after)) return false
    records.push(memberRecord(group.groupId, after))
    return !isSameNames(before.topicNames, after.topicNames)
  }

  /** The member after its step. */
  rebalance(change: MemberChange, records: GroupRecord[]): ConsumerMember | Refusal {
    const { group, before, after } = change
    let { groupEpoch, isHomogeneous: homogeneous } = group
    const nowMs = this.#host.env.clock.wallMs()
    if (change.bumpsEpoch || group.needsRefresh(nowMs)) {
      const topics = group.topicCountsWith(before, after)
      const hash = this.#hashes.ofGroup(topics.keys(), this.#image())
      const isReplaced = after.instanceId !== null && group.staticMembers.has(after.instanceId)
      const isNew = !group.members.has(after.memberId) && !isReplaced
      homogeneous = isHomogeneous(group.regexCountsWith(before, after), topics, group.members.size + (isNew ? 1 : 0))
      if (change.bumpsEpoch || hash !== group.metadataHash) {
        groupEpoch++
        records.push(groupEpochRecord(group.groupId, groupEpoch, hash))
      }
      group.setRefreshDeadline(nowMs + METADATA_REFRESH_INTERVAL_MS, groupEpoch)
      if (group.hasPartitionMetadata) records.push(partitionMetadataTombstone(group.groupId))
    }
    const isBehind = groupEpoch > group.assignmentEpoch
    const target = isBehind ? this.#computeTarget(change, groupEpoch, homogeneous, records) : group.targetOf(after)
    if (!(target instanceof Map)) return target as Refusal
    return this.#reconcile(change, isBehind ? groupEpoch : group.assignmentEpoch, target, records)
  }

  #computeTarget(
    { group, before, after }: MemberChange,
    groupEpoch: number,
    homogeneous: boolean,
    records: GroupRecord[],
  ): Assignment | Refusal {
    const wanted = group.preferredAssignor(before, after) ?? this.#config()['group.consumer.assignors'][0]
    const changes = new Map<string, ConsumerMember | undefined>([[after.memberId, after]])
    const holder = after.instanceId === null ? undefined : group.staticMembers.get(after.instanceId)
    if (holder !== undefined && holder !== after.memberId) changes.set(holder, undefined)
    const taken = invert(group.targets)
    const result = computeTarget({
      groupId: group.groupId,
      groupEpoch,
      assignor: ASSIGNORS.find(({ name }) => name === wanted) ?? UNIFORM_ASSIGNOR,
      members: group.members,
      staticMembers: group.staticMembers,
      isHomogeneous: homogeneous,
      targets: group.targets,
      regexes: group.regexes,
      image: this.#image(),
      isAssigned: (topicId, partition) => taken.get(topicId)?.has(partition) === true,
      changes,
    })
    if ('problem' in result) {
      return refusal(Errors.UNKNOWN_SERVER_ERROR, `No target assignment for epoch ${groupEpoch}: ${result.problem}`)
    }
    records.push(...result.records)
    return result.targets.get(after.memberId) ?? NO_PARTITIONS
  }

  #reconcile(
    { group, after, owned }: MemberChange,
    epoch: number,
    assignment: Assignment,
    records: GroupRecord[],
  ): ConsumerMember | Refusal {
    if (isReconciledTo(after, epoch)) return after
    const { groupId } = group
    const partitionEpoch = (topicId: string, partition: number): number => group.partitionEpoch(topicId, partition)
    const next = reconcile(after, { epoch, assignment, partitionEpoch, owned })
    if (next === 'fenced') {
      return refusal(
        Errors.FENCED_MEMBER_EPOCH,
        'The member is in an unknown state. It must give up all its partitions and rejoin.',
      )
    }
    if (isSameMember(next, after)) return next
    records.push(currentAssignmentRecord(groupId, next))
    // Classic members have a join and a sync timer instead.
    if (next.classic === null) {
      const { memberId, memberEpoch, rebalanceTimeoutMs } = next
      if (next.state === 'UNREVOKED_PARTITIONS')
        this.#timers.rebalance(groupId, memberId, memberEpoch, rebalanceTimeoutMs)
      else this.#timers.cancel('rebalance', groupId, memberId)
    }
    return next
  }
}
