/**
 * The KIP-848 groups of one shard, as their records make them, and what is told of them once it is committed (the `replay` methods of
 * `GroupMetadataManager`).
 *
 * A group begins with its first record and ends with the tombstone of its epoch. One that only offsets made, without members or records of its own,
 * gives way to it. A tombstone of what is not there says nothing. Members that come and go, and states of groups, are told when their records are
 * committed: then nobody can take them back. Several writes that are committed at once are told as one.
 */

import type { Env } from '../../../kernel/env.js'
import { assert } from '../../../kernel/errors.js'
import type { Events } from '../../../kernel/events.js'
import type { Offset } from '../../../kernel/units.js'
import type { ClassicGroup } from '../classic-group.js'
import { fromTopicPartitions, NO_PARTITIONS } from './assignment.js'
import { ConsumerGroup } from './consumer-group.js'
import { type ConsumerMember, LEAVE_EPOCH, newMember, withCurrentAssignment, withMetadata } from './consumer-member.js'
import type { ConsumerGroupRecord } from './consumer-records.js'

type Change = Events['group.member']['change']

/** Why records are written, for the trace. */
export interface Cause {
  /** How members that go, went. */
  readonly removal: Change
  readonly reason: string
}

const NO_CAUSE: Cause = { removal: 'left', reason: '' }

/** What was told of a group last. */
interface Told {
  readonly state: string
  readonly epoch: number
  readonly members: number
}

interface Due {
  readonly at: Offset
  emit(): void
}

export class ConsumerGroupStore {
  readonly #env: Env
  readonly #classic: Map<string, ClassicGroup>
  readonly #groups = new Map<string, ConsumerGroup>()
  /** Groups with changes that are not committed, and the last of them. */
  readonly #unsettled = new Map<ConsumerGroup, Offset>()
  readonly #told = new Map<string, Told>()
  readonly #reasons = new Map<string, string>()
  readonly #due: Due[] = []
  /** While a log is loaded nothing is told: it was told by those who wrote it. */
  #isLoading = true
  cause = NO_CAUSE

  constructor(env: Env, classic: Map<string, ClassicGroup>) {
    this.#env = env
    this.#classic = classic
  }

  // ── questions ─────────────────────────────────────────────────────────────────────────────────────────────────────

  find(groupId: string): ConsumerGroup | undefined {
    return this.#groups.get(groupId)
  }

  all(): Iterable<ConsumerGroup> {
    return this.#groups.values()
  }

  get size(): number {
    return this.#groups.size
  }

  // ── records ───────────────────────────────────────────────────────────────────────────────────────────────────────

  replay(record: ConsumerGroupRecord, at: Offset): void {
    const { groupId } = record.key
    const group = record.value === null ? this.#groups.get(groupId) : this.#persisted(groupId)
    if (group === undefined) return
    this.#unsettled.set(group, at)
    switch (record.type) {
      case 'ConsumerGroupMetadata':
        if (record.value === null) this.#delete(group, at)
        else {
          if (record.value.epoch !== group.groupEpoch) this.#reasons.set(groupId, this.cause.reason)
          group.setGroupEpoch(record.value.epoch, record.value.metadataHash, at)
        }
        break
      case 'ConsumerGroupPartitionMetadata':
        group.hasPartitionMetadata = record.value !== null
        break
      case 'ConsumerGroupMemberMetadata':
        this.#replayMember(group, record, at)
        break
      case 'ConsumerGroupTargetAssignmentMetadata':
        assert(record.value !== null || group.targets.size === 0, 'consumer group: targets left', { groupId })
        group.setAssignmentEpoch(record.value?.assignmentEpoch ?? -1, at)
        break
      case 'ConsumerGroupTargetAssignmentMember': {
        const target = record.value === null ? undefined : fromTopicPartitions(record.value.topicPartitions)
        group.setTarget(record.key.memberId, target, at)
        break
      }
      case 'ConsumerGroupCurrentMemberAssignment':
        this.#replayAssignment(group, record, at)
        break
      case 'ConsumerGroupRegularExpression':
        group.setRegex(record.key.regularExpression, record.value)
        break
    }
  }

  #replayMember(
    group: ConsumerGroup,
    { key, value }: Extract<ConsumerGroupRecord, { type: 'ConsumerGroupMemberMetadata' }>,
    at: Offset,
  ): void {
    const { memberId } = key
    const before = group.members.get(memberId)
    if (value !== null) {
      const member = withMetadata(before ?? newMember(memberId), value)
      group.update(member, at)
      if (before === undefined) this.#tellMember(group, member, 'joined', at)
      return
    }
    if (before === undefined) return
    const { groupId } = group
    assert(before.memberEpoch === LEAVE_EPOCH, 'consumer group: a member goes with its assignment', {
      groupId,
      memberId,
    })
    assert(!group.targets.has(memberId), 'consumer group: a member goes with its target', { groupId, memberId })
    group.remove(memberId, at)
    this.#tellMember(group, before, this.cause.removal, at)
  }

  #replayAssignment(
    group: ConsumerGroup,
    { key, value }: Extract<ConsumerGroupRecord, { type: 'ConsumerGroupCurrentMemberAssignment' }>,
    at: Offset,
  ): void {
    const before = group.members.get(key.memberId)
    if (value !== null) group.update(withCurrentAssignment(before ?? newMember(key.memberId), value), at)
    else if (before !== undefined) {
      const gone = {
        memberEpoch: LEAVE_EPOCH,
        previousMemberEpoch: LEAVE_EPOCH,
        assigned: NO_PARTITIONS,
        revoking: NO_PARTITIONS,
      }
      group.update({ ...before, ...gone }, at)
    }
  }

  #persisted(groupId: string): ConsumerGroup {
    let group = this.#groups.get(groupId)
    if (group !== undefined) return group
    const classic = this.#classic.get(groupId)
    assert(classic === undefined || classic.isSimple, 'consumer group: a classic group has that id', { groupId })
    this.#classic.delete(groupId)
    this.#groups.set(groupId, (group = new ConsumerGroup(groupId)))
    return group
  }

  #delete(group: ConsumerGroup, at: Offset): void {
    const { groupId, groupEpoch } = group
    assert(group.members.size === 0 && group.targets.size === 0, 'consumer group: deleted with members', { groupId })
    assert(group.assignmentEpoch === -1, 'consumer group: deleted with a target', { groupId })
    const from = this.#told.get(groupId)?.state ?? 'none'
    const { reason } = this.cause
    this.remove(groupId)
    if (this.#isLoading) return
    this.#due.push({
      at,
      emit: () => this.#emit(groupId, from, { state: 'Dead', epoch: groupEpoch, members: 0 }, reason),
    })
  }

  /** The group is one no more. */
  remove(groupId: string): void {
    const group = this.#groups.get(groupId)
    if (group === undefined) return
    this.#groups.delete(groupId)
    this.#unsettled.delete(group)
    this.#told.delete(groupId)
    this.#reasons.delete(groupId)
  }

  /** The group is one after all: what was to replace it could not be written. */
  restore(group: ConsumerGroup): void {
    const { groupId, state, groupEpoch: epoch, members } = group
    const told: Told = { state, epoch, members: members.size }
    this.#groups.set(groupId, group)
    this.#told.set(groupId, told)
    this.#emit(groupId, 'Dead', told, 'not written')
  }

  // ── what is told ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** A classic group becomes this one. */
  convertedFrom(groupId: string, state: string): void {
    this.#told.set(groupId, { state, epoch: -1, members: -1 })
  }

  /** Everything below `end` is committed. */
  committed(end: Offset): void {
    while (this.#due.length > 0 && (this.#due[0] as Due).at < end) this.#due.shift()?.emit()
    for (const [group, last] of [...this.#unsettled]) {
      if (!this.#isLoading) this.#tell(group, end)
      group.forgetBelow(end)
      if (last < end) this.#unsettled.delete(group)
    }
  }

  /** Tells who is there: members first, then the group. */
  loaded(): void {
    this.#isLoading = false
    for (const group of this.#groups.values()) {
      const { groupId, groupEpoch } = group
      for (const member of group.members.values()) this.#emitMember(group, member, 'loaded', groupEpoch)
      const told: Told = { state: group.state, epoch: groupEpoch, members: group.members.size }
      this.#told.set(groupId, told)
      this.#emit(groupId, 'none', told, 'loaded')
    }
  }

  #tell(group: ConsumerGroup, end: Offset): void {
    const { groupId } = group
    const state = group.stateAt(end)
    if (state === undefined) return
    const before = this.#told.get(groupId)
    const now: Told = { state, epoch: group.groupEpochAt(end), members: group.membersAt(end).length }
    if (before?.state === now.state && before.epoch === now.epoch && before.members === now.members) return
    this.#told.set(groupId, now)
    const isSettled = now.state === 'Stable' && before?.epoch === now.epoch
    const reason = isSettled ? 'all are reconciled' : (this.#reasons.get(groupId) ?? 'members reconcile')
    this.#reasons.delete(groupId)
    this.#emit(groupId, before?.state ?? 'none', now, reason)
  }

  #emit(group: string, from: string, { state, epoch, members }: Told, reason: string): void {
    this.#env.emit('group.state', { group, protocol: 'consumer', from, to: state, generation: epoch, members, reason })
  }

  #tellMember(group: ConsumerGroup, member: ConsumerMember, change: Change, at: Offset): void {
    if (this.#isLoading) return
    const { groupEpoch } = group
    this.#due.push({ at, emit: () => this.#emitMember(group, member, change, groupEpoch) })
  }

  #emitMember(
    { groupId }: ConsumerGroup,
    { memberId, instanceId }: ConsumerMember,
    change: Change,
    epoch: number,
  ): void {
    const data = { group: groupId, member: memberId, instance: instanceId ?? '', change, generation: epoch }
    this.#env.emit('group.member', data)
  }
}
