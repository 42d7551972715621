/**
 * One KIP-848 group: its members, epochs and target assignment, made by replaying records (`ConsumerGroup`, `ModernGroup`).
 *
 *     Empty         no members
 *     Assigning     the group epoch is ahead of the target's: the target is to be computed
 *     Reconciling   some member is not STABLE in the target's epoch
 *     Stable        all are
 *     Dead          deleted
 *
 * A state follows from members and epochs, so that every change leads to any state. Epochs: the group's grows when members, subscriptions or topics change; the
 * target's is the group's for which it was computed; a member's is the target's that it has reached.
 *
 * Invariant: a partition is assigned to, or being revoked by, one member at most. What others are shown is as of the committed end of the log.
 */

import { assert } from '../../../kernel/errors.js'
import type { Millis, Offset } from '../../../kernel/units.js'
import { TimelineMap } from '../../coordinator/timeline-map.js'
import { type Assignment, NO_PARTITIONS } from './assignment.js'
import { type ConsumerMember, isReconciledTo, regexOf } from './consumer-member.js'
import type { RegexValue } from './consumer-records.js'
import { inStringOrder } from './java-order.js'

export type ConsumerGroupState = 'Empty' | 'Assigning' | 'Reconciling' | 'Stable' | 'Dead'

/** The topics that a regular expression stands for, sorted. */
export type ResolvedRegex = RegexValue

export interface SubscriptionCount {
  readonly byName: number
  readonly byRegex: number
}

export type Counts = Map<string, number>
export type TopicCounts = Map<string, SubscriptionCount>

const NO_EPOCH = -1

export class ConsumerGroup {
  readonly groupId: string
  groupEpoch = 0
  assignmentEpoch = 0
  metadataHash = 0n
  /** There is a record of an older coordinator to remove. */
  hasPartitionMetadata = false
  state: ConsumerGroupState = 'Empty'
  isHomogeneous = true
  /** In the order of joining. */
  readonly members = new Map<string, ConsumerMember>()
  /** group.instance.id → member id. */
  readonly staticMembers = new Map<string, string>()
  readonly targets = new Map<string, Assignment>()
  readonly regexes = new Map<string, ResolvedRegex>()
  /** Members that subscribe to each regular expression. */
  readonly regexCounts: Counts = new Map()
  readonly topicCounts: TopicCounts = new Map()
  readonly #assignorCounts: Counts = new Map()
  readonly #classicProtocols: Counts = new Map()
  classicMembers = 0
  /** Topic id → partition → member epoch of its owner. */
  readonly #partitionEpochs = new Map<string, Map<number, number>>()
  #refreshDeadlineMs: Millis = 0
  #refreshEpoch = 0
  // What was true at earlier offsets.
  readonly #pastMembers = new TimelineMap<ConsumerMember>()
  readonly #pastTargets = new TimelineMap<Assignment>()
  readonly #pastNumbers = new TimelineMap<number>()
  readonly #pastStates = new TimelineMap<ConsumerGroupState>()

  constructor(groupId: string) {
    this.groupId = groupId
  }

  // ── changes ───────────────────────────────────────────────────────────────────────────────────────────────────────

  setGroupEpoch(epoch: number, metadataHash: bigint, at: Offset): void {
    this.groupEpoch = epoch
    this.metadataHash = metadataHash
    this.#pastNumbers.set('group', epoch, at)
    this.#updateState(at)
  }

  setAssignmentEpoch(epoch: number, at: Offset): void {
    this.assignmentEpoch = epoch
    this.#pastNumbers.set('assignment', epoch, at)
    this.#updateState(at)
  }

  setTarget(memberId: string, target: Assignment | undefined, at: Offset): void {
    if (target === undefined) {
      this.targets.delete(memberId)
      this.#pastTargets.delete(memberId, at)
    } else {
      this.targets.set(memberId, target)
      this.#pastTargets.set(memberId, target, at)
    }
  }

  /** Adds a member, or changes it. */
  update(member: ConsumerMember, at: Offset): void {
    const before = this.members.get(member.memberId)
    this.members.set(member.memberId, member)
    this.#pastMembers.set(member.memberId, member, at)
    if (member.instanceId !== null) this.staticMembers.set(member.instanceId, member.memberId)
    this.#replace(before, member, at)
  }

  remove(memberId: string, at: Offset): void {
    const before = this.members.get(memberId)
    if (before === undefined) return
    this.members.delete(memberId)
    this.#pastMembers.delete(memberId, at)
    if (before.instanceId !== null) this.staticMembers.delete(before.instanceId)
    this.#replace(before, undefined, at)
  }

  setRegex(regex: string, resolved: ResolvedRegex | null): void {
    for (const topic of this.regexes.get(regex)?.topics ?? []) countRegex(this.topicCounts, topic, -1)
    this.regexes.delete(regex)
    if (resolved === null) return
    this.regexes.set(regex, resolved)
    for (const topic of resolved.topics) countRegex(this.topicCounts, topic, 1)
  }

  #replace(before: ConsumerMember | undefined, after: ConsumerMember | undefined, at: Offset): void {
    countTopics(this.topicCounts, before, after)
    count(this.#assignorCounts, before?.serverAssignor, after?.serverAssignor)
    if (before !== undefined) {
      this.#release(before.assigned, before.memberEpoch)
      this.#release(before.revoking, before.memberEpoch)
    }
    if (after !== undefined) {
      this.#occupy(after.assigned, after.memberEpoch)
      this.#occupy(after.revoking, after.memberEpoch)
    }
    count(this.regexCounts, regexOf(before), regexOf(after))
    this.#updateState(at)
    this.isHomogeneous = isHomogeneous(this.regexCounts, this.topicCounts, this.members.size)
    this.classicMembers += (after?.classic != null ? 1 : 0) - (before?.classic != null ? 1 : 0)
    for (const { name } of before?.classic?.supportedProtocols ?? []) count(this.#classicProtocols, name, undefined)
    for (const { name } of after?.classic?.supportedProtocols ?? []) count(this.#classicProtocols, undefined, name)
  }

  #updateState(at: Offset): void {
    let state: ConsumerGroupState = 'Stable'
    if (this.members.size === 0) state = 'Empty'
    else if (this.groupEpoch > this.assignmentEpoch) state = 'Assigning'
    else {
      for (const member of this.members.values()) {
        if (!isReconciledTo(member, this.assignmentEpoch)) state = 'Reconciling'
      }
    }
    this.state = state
    this.#pastStates.set('', state, at)
  }

  // ── owners ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The member epoch of the partition's owner; -1 when it is nobody's. */
  partitionEpoch(topicId: string, partition: number): number {
    return this.#partitionEpochs.get(topicId)?.get(partition) ?? NO_EPOCH
  }

  #occupy(assignment: Assignment, epoch: number): void {
    for (const [topicId, partitions] of assignment) {
      let epochs = this.#partitionEpochs.get(topicId)
      if (epochs === undefined) this.#partitionEpochs.set(topicId, (epochs = new Map()))
      for (const partition of partitions) {
        const owner = epochs.get(partition)
        assert(owner === undefined, 'consumer group: two owners', {
          group: this.groupId,
          topicId,
          partition,
          owner,
          epoch,
        })
        epochs.set(partition, epoch)
      }
    }
  }

  #release(assignment: Assignment, epoch: number): void {
    for (const [topicId, partitions] of assignment) {
      const epochs = this.#partitionEpochs.get(topicId)
      for (const partition of partitions) {
        const owner = epochs?.get(partition)
        assert(owner === epoch, 'consumer group: another owner', {
          group: this.groupId,
          topicId,
          partition,
          owner,
          epoch,
        })
        epochs?.delete(partition)
      }
      if (epochs?.size === 0) this.#partitionEpochs.delete(topicId)
    }
  }

  // ── questions ─────────────────────────────────────────────────────────────────────────────────────────────────────

  staticMember(instanceId: string): ConsumerMember | undefined {
    const memberId = this.staticMembers.get(instanceId)
    return memberId === undefined ? undefined : this.members.get(memberId)
  }

  /** What the member, or the static member that it replaces, is to have. */
  targetOf({ memberId, instanceId }: ConsumerMember): Assignment {
    if (instanceId === null) return this.targets.get(memberId) ?? NO_PARTITIONS
    const holder = this.staticMembers.get(instanceId)
    return (holder === undefined ? undefined : this.targets.get(holder)) ?? NO_PARTITIONS
  }

  /** The assignor that most members ask for once `after` stands for `before`; undefined when nobody asks. */
  preferredAssignor(before: ConsumerMember | undefined, after: ConsumerMember | undefined): string | undefined {
    const counts = new Map(this.#assignorCounts)
    count(counts, before?.serverAssignor, after?.serverAssignor)
    return mostWanted(counts)
  }

  topicCountsWith(before: ConsumerMember | undefined, after: ConsumerMember): TopicCounts {
    const counts = new Map(this.topicCounts)
    countTopics(counts, before, after)
    const regex = regexOf(before)
    if (regex !== undefined && regex !== regexOf(after) && this.regexCounts.get(regex) === 1) {
      for (const topic of this.regexes.get(regex)?.topics ?? []) countRegex(counts, topic, -1)
    }
    return counts
  }

  topicCountsWithout(members: readonly ConsumerMember[], regexes: readonly string[]): TopicCounts {
    const counts = new Map(this.topicCounts)
    for (const member of members) countTopics(counts, member, undefined)
    for (const regex of regexes) {
      for (const topic of this.regexes.get(regex)?.topics ?? []) countRegex(counts, topic, -1)
    }
    return counts
  }

  regexCountsWith(before: ConsumerMember | undefined, after: ConsumerMember): Counts {
    const counts = new Map(this.regexCounts)
    if (regexOf(before) !== regexOf(after)) count(counts, regexOf(before), regexOf(after))
    return counts
  }

  /** Wall clock of the last resolution of regular expressions; -Infinity for none. */
  get regexesResolvedMs(): Millis {
    return this.#anyRegex()?.timestamp ?? -Infinity
  }

  /** Offset of the image with which regular expressions were resolved last; 0 for none. */
  get regexesVersion(): Offset {
    return this.#anyRegex()?.version ?? 0
  }

  #anyRegex(): ResolvedRegex | undefined {
    return this.regexes.values().next().value
  }

  isSubscribedTo(topic: string): boolean {
    return this.topicCounts.has(topic)
  }

  /** Whether a member with these classic protocols can be part of the group. */
  supportsClassic(protocolType: string, protocols: readonly string[]): boolean {
    if (protocolType !== 'consumer') return false
    if (this.state === 'Empty') return protocols.length > 0
    return protocols.some((name) => (this.#classicProtocols.get(name) ?? 0) === this.classicMembers)
  }

  /** Whether all members other than these speak the classic protocol. */
  isClassicWithout(members: readonly ConsumerMember[]): boolean {
    const classic = members.filter((member) => member.classic !== null).length
    return this.classicMembers - classic === this.members.size - members.length
  }

  /** Whether the member still waits for partitions of others. */
  waitsForOthers(member: ConsumerMember): boolean {
    if (member.state !== 'UNRELEASED_PARTITIONS') return false
    for (const [topicId, partitions] of this.targets.get(member.memberId) ?? NO_PARTITIONS) {
      for (const partition of partitions) {
        const has = member.assigned.get(topicId)?.has(partition) === true
        if (!has && this.partitionEpoch(topicId, partition) !== NO_EPOCH) return true
      }
    }
    return false
  }

  // ── metadata ──────────────────────────────────────────────────────────────────────────────────────────────────────

  setRefreshDeadline(deadlineMs: Millis, epoch: number): void {
    this.#refreshDeadlineMs = deadlineMs
    this.#refreshEpoch = epoch
  }

  requestRefresh(): void {
    this.setRefreshDeadline(0, 0)
  }

  needsRefresh(nowMs: Millis): boolean {
    // An epoch that was not written after all takes its deadline with it.
    return nowMs >= this.#refreshDeadlineMs || this.groupEpoch < this.#refreshEpoch
  }

  // ── as of the committed end ───────────────────────────────────────────────────────────────────────────────────────

  /** Undefined: there was no such group. */
  stateAt(end: Offset): ConsumerGroupState | undefined {
    return this.#pastStates.getAt('', end)
  }

  groupEpochAt(end: Offset): number {
    return this.#pastNumbers.getAt('group', end) ?? 0
  }

  assignmentEpochAt(end: Offset): number {
    return this.#pastNumbers.getAt('assignment', end) ?? 0
  }

  memberAt(memberId: string, end: Offset): ConsumerMember | undefined {
    return this.#pastMembers.getAt(memberId, end)
  }

  membersAt(end: Offset): ConsumerMember[] {
    const members: ConsumerMember[] = []
    for (const memberId of this.#pastMembers.keys()) {
      const member = this.#pastMembers.getAt(memberId, end)
      if (member !== undefined) members.push(member)
    }
    return members
  }

  targetAt(memberId: string, end: Offset): Assignment {
    return this.#pastTargets.getAt(memberId, end) ?? NO_PARTITIONS
  }

  assignorAt(end: Offset): string | undefined {
    const counts: Counts = new Map()
    for (const member of this.membersAt(end)) count(counts, undefined, member.serverAssignor)
    return mostWanted(counts)
  }

  forgetBelow(end: Offset): void {
    for (const past of [this.#pastMembers, this.#pastTargets, this.#pastNumbers, this.#pastStates])
      past.forgetBelow(end)
  }
}

/** Whether all members subscribe to the same: the same names, or one and the same regular expression (`ConsumerGroup.subscriptionType`). */
export function isHomogeneous(regexes: Counts, topics: TopicCounts, members: number): boolean {
  if (regexes.size === 0) return [...topics.values()].every(({ byName }) => byName === members)
  if (regexes.get(inStringOrder(regexes.keys())[0] as string) !== members) return false
  return [...topics.values()].every(({ byName, byRegex }) => byRegex === 1 && byName === 0)
}

function countTopics(counts: TopicCounts, before: ConsumerMember | undefined, after: ConsumerMember | undefined): void {
  for (const name of before?.topicNames ?? []) bump(counts, name, -1, 0)
  for (const name of after?.topicNames ?? []) bump(counts, name, 1, 0)
}

export function countRegex(counts: TopicCounts, topic: string, by: number): void {
  bump(counts, topic, 0, by)
}

function bump(counts: TopicCounts, topic: string, byName: number, byRegex: number): void {
  const known = counts.get(topic) ?? { byName: 0, byRegex: 0 }
  const next = { byName: known.byName + byName, byRegex: known.byRegex + byRegex }
  if (next.byName <= 0 && next.byRegex <= 0) counts.delete(topic)
  else counts.set(topic, next)
}

function count(counts: Counts, before: string | null | undefined, after: string | null | undefined): void {
  if (before != null) {
    const left = (counts.get(before) ?? 1) - 1
    if (left > 0) counts.set(before, left)
    else counts.delete(before)
  }
  if (after != null) counts.set(after, (counts.get(after) ?? 0) + 1)
}

function mostWanted(counts: Counts): string | undefined {
  let winner: string | undefined
  for (const name of inStringOrder(counts.keys())) {
    if (winner === undefined || (counts.get(name) as number) > (counts.get(winner) as number)) winner = name
  }
  return winner
}
