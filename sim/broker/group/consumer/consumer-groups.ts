/**
 * KIP-848 groups of one shard: ConsumerGroupHeartbeat, removal of members, and what else happens to them (`GroupMetadataManager`, the parts of
 * consumer groups).
 *
 *     member epoch   a heartbeat with it
 *     0              joins, or joins again with nothing in hand; a classic group of that id is converted
 *     > 0            lives: must be the member's epoch, or the one before while it owns nothing that is not assigned to it
 *     -1             leaves
 *     -2             a static member leaves and means to come back: its assignment is kept for its session
 *
 * Members that speak the classic protocol are served by classic-members.ts; conversions are in conversion.ts.
 */

import type { Random } from '../../../kernel/random.js'
import type { MetadataImage } from '../../../kraft/metadata/image.js'
import type { MetadataDelta } from '../../../kraft/metadata/metadata-delta.js'
import { type ErrorCode, Errors } from '../../../wire/errors.js'
import type { DescribedGroup } from '../../../wire/messages/consumer-group-describe.js'
import type {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
} from '../../../wire/messages/consumer-group-heartbeat.js'
import type { Offset } from '../../../kernel/units.js'
import type { Outcome, ShardHost } from '../../coordinator/coordinator-runtime.js'
import { groupTombstone } from '../classic-group-records.js'
import type { Caller, ClassicGroups } from '../classic-groups.js'
import type { ClassicGroup } from '../classic-group.js'
import type { GroupRecord } from '../group-records.js'
import type { GroupConfig } from '../group-settings.js'
import { contains, isSameAssignment, NO_PARTITIONS, toTopicPartitions, type TopicPartitions } from './assignment.js'
import { ConsumerGroup } from './consumer-group.js'
import { type Cause, ConsumerGroupStore } from './consumer-group-store.js'
import {
  type ConsumerMember,
  currentAssignmentRecord,
  LEAVE_EPOCH,
  LEAVE_STATIC_EPOCH,
  memberRecord,
  newMember,
  regexOf,
  sortedNames,
} from './consumer-member.js'
import {
  type ConsumerGroupRecord,
  groupEpochRecord,
  memberTombstones,
  regexRecord,
  targetRecord,
} from './consumer-records.js'
import { ConsumerTimers } from './consumer-timers.js'
import { canDowngrade, checkUpgrade, downgrade, upgrade } from './conversion.js'
import { describeGroup } from './describe.js'
import { TopicHashes } from './metadata-hash.js'
import { Rebalancer } from './rebalancer.js'
import { isRefusal, type Refusal, refusal } from './refusal.js'
import { Regexes } from './regexes.js'

type Response = ConsumerGroupHeartbeatResponse

export interface ConsumerGroupsOptions {
  readonly host: ShardHost<GroupRecord>
  readonly config: () => GroupConfig
  readonly image: () => MetadataImage
  readonly classic: ClassicGroups
  readonly classicGroups: Map<string, ClassicGroup>
}

export class ConsumerGroups {
  readonly store: ConsumerGroupStore
  readonly timers: ConsumerTimers
  readonly rebalancer: Rebalancer
  readonly host: ShardHost<GroupRecord>
  readonly config: () => GroupConfig
  readonly image: () => MetadataImage
  readonly hashes = new TopicHashes()
  readonly #classic: ClassicGroups
  readonly #classicGroups: Map<string, ClassicGroup>
  readonly #regexes: Regexes
  /** Draws ids of members that bring none. */
  readonly #ids: Random

  constructor({ host, config, image, classic, classicGroups }: ConsumerGroupsOptions) {
    this.host = host
    this.config = config
    this.image = image
    this.#classic = classic
    this.#classicGroups = classicGroups
    this.store = new ConsumerGroupStore(host.env, classicGroups)
    this.timers = new ConsumerTimers(host, (...expired) => this.#expire(...expired))
    this.rebalancer = new Rebalancer(host, config, image, this.hashes, this.timers)
    this.#regexes = new Regexes(host, config, image, this.store, this.hashes)
    this.#ids = host.env.random.fork(`consumer-members/${host.index}/${host.env.clock.monotonicMs()}`)
  }

  newMemberId(): string {
    return this.#ids.uuid()
  }

  // ── heartbeats ────────────────────────────────────────────────────────────────────────────────────────────────────

  heartbeat(request: ConsumerGroupHeartbeatRequest, caller: Caller): Outcome<GroupRecord, Response> {
    const { memberEpoch } = request
    const isLeaving = memberEpoch === LEAVE_EPOCH || memberEpoch === LEAVE_STATIC_EPOCH
    const outcome = isLeaving ? this.#leave(request) : this.#live(request, caller)
    return isRefusal(outcome) ? { records: [], response: heartbeatError(outcome) } : outcome
  }

  #live(request: ConsumerGroupHeartbeatRequest, caller: Caller): Outcome<GroupRecord, Response> | Refusal {
    const { groupId, instanceId, memberEpoch, topicPartitions: owned } = request
    const records: GroupRecord[] = []
    const isJoining = memberEpoch === 0
    this.store.cause = {
      removal: 'replaced',
      reason: isJoining ? 'a member joined' : 'subscriptions or topics changed',
    }
    const group = this.#groupFor(groupId, isJoining, records)
    if (isRefusal(group)) return group
    const full = this.checkSize(group, request.memberId)
    if (full !== undefined) return full
    const memberId = request.memberId === '' ? this.newMemberId() : request.memberId
    const before =
      instanceId === null
        ? this.memberOf(group, memberId, isJoining)
        : this.staticMemberOf(group, memberId, instanceId, { isJoining, isClassic: false }, records)
    if (isRefusal(before)) return before
    const stale = isJoining && instanceId !== null ? undefined : checkEpoch(before, memberEpoch, owned)
    if (stale !== undefined) return stale
    const after = updated(before, request, caller)
    // A group that is being made must leave epoch 0.
    let bumpsEpoch = group.groupEpoch === 0
    if (this.rebalancer.writeMember(group, before, after, records)) bumpsEpoch = true
    const byRegex = this.#regexes.update(group, before, after, caller, records)
    if (typeof byRegex !== 'boolean') return byRegex
    const next = this.rebalancer.rebalance({ group, before, after, bumpsEpoch: bumpsEpoch || byRegex, owned }, records)
    if (isRefusal(next)) return next
    this.timers.session(groupId, memberId, this.config()['group.consumer.session.timeout.ms'])
    // A request that says everything asks for everything.
    const saysAll =
      request.rebalanceTimeoutMs !== -1 &&
      (request.subscribedTopicNames !== null || request.subscribedTopicRegex !== null) &&
      owned !== null
    const tells = isJoining || saysAll || !isSameAssignment(before.assigned, next.assigned)
    const response: Response = {
      throttleTimeMs: 0,
      errorCode: Errors.NONE,
      errorMessage: null,
      memberId: next.memberId,
      memberEpoch: next.memberEpoch,
      heartbeatIntervalMs: this.config()['group.consumer.heartbeat.interval.ms'],
      assignment: tells ? { topicPartitions: toTopicPartitions(next.assigned) } : null,
    }
    return { records, response }
  }

  /** The group, or one to be made by the records: a new one, or a classic one converted. */
  #groupFor(groupId: string, creates: boolean, records: GroupRecord[]): ConsumerGroup | Refusal {
    const known = this.store.find(groupId)
    if (known !== undefined) return known
    const notFound = (message: string): Refusal => refusal(Errors.GROUP_ID_NOT_FOUND, message)
    const classic = this.#classicGroups.get(groupId)
    if (classic === undefined) {
      return creates ? new ConsumerGroup(groupId) : notFound(`Consumer group ${groupId} not found.`)
    }
    if (!creates) return notFound(`Group ${groupId} is not a consumer group.`)
    if (classic.is('Empty')) {
      this.#classic.removing = undefined
      records.push(groupTombstone(groupId))
      return new ConsumerGroup(groupId)
    }
    const cannot = checkUpgrade(classic, this.config())
    if (cannot !== undefined) return notFound(cannot)
    // Whoever waits for the rebalance of the classic group is to join again.
    classic.answerAll(Errors.REBALANCE_IN_PROGRESS)
    const converted = upgrade(classic, this.image(), this.hashes)
    if (isRefusal(converted)) return converted
    this.#classic.removing = undefined
    records.push(...converted.records)
    for (const { memberId, classic: told } of converted.group.members.values()) {
      this.timers.session(groupId, memberId, told?.sessionTimeoutMs ?? 0)
    }
    return converted.group
  }

  // ── members ───────────────────────────────────────────────────────────────────────────────────────────────────────

  checkSize(group: ConsumerGroup, memberId: string): Refusal | undefined {
    const most = this.config()['group.consumer.max.size']
    if (group.members.size < most || group.members.has(memberId)) return undefined
    const message = `The consumer group has reached its maximum capacity of ${most} members.`
    return refusal(Errors.GROUP_MAX_SIZE_REACHED, message)
  }

  memberOf(group: ConsumerGroup, memberId: string, creates: boolean): ConsumerMember | Refusal {
    const known = group.members.get(memberId)
    if (known !== undefined) return known
    if (creates) return newMember(memberId)
    return refusal(Errors.UNKNOWN_MEMBER_ID, `Member ${memberId} is not a member of group ${group.groupId}.`)
  }

  /** The member of that instance; one that joins takes the place of the one before it (KIP-345). */
  staticMemberOf(
    group: ConsumerGroup,
    memberId: string,
    instanceId: string,
    { isJoining, isClassic }: { readonly isJoining: boolean; readonly isClassic: boolean },
    records: GroupRecord[],
  ): ConsumerMember | Refusal {
    const holder = group.staticMember(instanceId)
    if (!isJoining) {
      if (holder === undefined) return refusal(Errors.UNKNOWN_MEMBER_ID, `Instance id ${instanceId} is unknown.`)
      return fencedInstance(holder, memberId, instanceId) ?? holder
    }
    if (holder === undefined) return group.members.get(memberId) ?? newMember(memberId)
    if (!isClassic && holder.classic === null && holder.memberEpoch !== LEAVE_STATIC_EPOCH) {
      const message = `Static member ${memberId} with instance id ${instanceId} cannot join: ${holder.memberId} has it.`
      return refusal(Errors.UNRELEASED_INSTANCE_ID, message)
    }
    const member = { ...holder, memberId, memberEpoch: 0, previousMemberEpoch: 0 }
    const { groupId } = group
    records.push(
      ...memberTombstones(groupId, holder.memberId),
      memberRecord(groupId, member),
      targetRecord(groupId, memberId, group.targets.get(holder.memberId) ?? NO_PARTITIONS),
      currentAssignmentRecord(groupId, member),
    )
    return member
  }

  // ── removal ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #leave(request: ConsumerGroupHeartbeatRequest): Outcome<GroupRecord, Response> | Refusal {
    const { groupId, memberId, memberEpoch, instanceId } = request
    const group = this.store.find(groupId)
    if (group === undefined) return refusal(Errors.GROUP_ID_NOT_FOUND, `Group ${groupId} not found.`)
    const member =
      instanceId === null
        ? this.memberOf(group, memberId, false)
        : this.staticMemberOf(group, memberId, instanceId, { isJoining: false, isClassic: false }, [])
    if (isRefusal(member)) return member
    const response = { ...heartbeatError({ error: Errors.NONE, message: null }), memberId, memberEpoch }
    if (instanceId === null || memberEpoch !== LEAVE_STATIC_EPOCH) {
      return this.remove(group, [member], response, { removal: 'left', reason: 'a member left' })
    }
    const absent = { ...member, memberEpoch: LEAVE_STATIC_EPOCH, revoking: NO_PARTITIONS }
    return { records: [currentAssignmentRecord(groupId, absent)], response }
  }

  /** Removes members; a group of which only members of the classic protocol are left becomes a classic one. */
  remove<T>(
    group: ConsumerGroup,
    members: readonly ConsumerMember[],
    response: T,
    cause: Cause,
  ): Outcome<GroupRecord, T> {
    if (members.length === 0) return { records: [], response }
    this.store.cause = cause
    if (canDowngrade(group, members, this.config())) {
      return { ...this.toClassic(group, members, undefined, cause), response, isApplied: true }
    }
    const { groupId } = group
    const records: ConsumerGroupRecord[] = members.flatMap(({ memberId }) => memberTombstones(groupId, memberId))
    const unused = this.#unusedRegexes(group, members)
    for (const regex of unused) records.push(regexRecord(groupId, regex, null))
    const hash = this.hashes.ofGroup(group.topicCountsWithout(members, unused).keys(), this.image())
    records.push(groupEpochRecord(groupId, group.groupEpoch + 1, hash))
    for (const { memberId } of members) this.timers.cancelAll(groupId, memberId)
    return { records, response }
  }

  /** Makes the group a classic one at once; the records are for those who load the log. Its timers find no group of theirs when they run out. */
  toClassic(
    group: ConsumerGroup,
    leaving: readonly ConsumerMember[],
    joining: ConsumerMember | undefined,
    { removal }: Cause,
  ): Pick<Outcome<GroupRecord, undefined>, 'records' | 'settled' | 'reverted'> {
    const { classic, records } = downgrade(group, leaving, joining, this.image(), this.host.env.clock.wallMs())
    const { groupId, state } = group
    this.store.remove(groupId)
    const settled = (error: ErrorCode): void => {
      if (error !== Errors.NONE) return
      for (const { memberId, instanceId } of leaving) {
        const instance = instanceId ?? ''
        const data = { group: groupId, member: memberId, instance, change: removal, generation: group.groupEpoch }
        this.host.env.emit('group.member', data)
      }
    }
    this.#classic.adopt(classic, state, joining === undefined)
    const reverted = (): void => {
      this.#classic.forget(classic)
      this.store.restore(group)
    }
    return { records, settled, reverted }
  }

  #unusedRegexes(group: ConsumerGroup, members: readonly ConsumerMember[]): string[] {
    const leaving = new Map<string, number>()
    for (const member of members) {
      const regex = regexOf(member)
      if (regex !== undefined) leaving.set(regex, (leaving.get(regex) ?? 0) + 1)
    }
    return [...leaving].filter(([regex, count]) => group.regexCounts.get(regex) === count).map(([regex]) => regex)
  }

  #expire(groupId: string, memberId: string, reason: string, ifInEpoch?: number): Outcome<GroupRecord, undefined> {
    const group = this.store.find(groupId)
    const member = group?.members.get(memberId)
    if (group === undefined || member === undefined || (ifInEpoch !== undefined && member.memberEpoch !== ifInEpoch)) {
      return { records: [], response: undefined }
    }
    return this.remove(group, [member], undefined, { removal: ifInEpoch === undefined ? 'expired' : 'fenced', reason })
  }

  // ── the shard ─────────────────────────────────────────────────────────────────────────────────────────────────────

  loaded(): void {
    this.#regexes.onImage(this.image().offset, false)
    for (const group of this.store.all()) {
      for (const { memberId, state, memberEpoch, rebalanceTimeoutMs } of group.members.values()) {
        this.timers.session(group.groupId, memberId, this.config()['group.consumer.session.timeout.ms'])
        if (state === 'UNREVOKED_PARTITIONS') {
          this.timers.rebalance(group.groupId, memberId, memberEpoch, rebalanceTimeoutMs)
        }
      }
    }
    this.store.loaded()
  }

  /** Groups that subscribe to topics that changed look at them again with the next heartbeat. */
  onMetadata(delta: MetadataDelta, image: MetadataImage): void {
    const topics = new Set(delta.changedTopics.keys())
    for (const id of delta.deletedTopicIds) topics.add(delta.image.topicsById.get(id)?.name ?? '')
    if (topics.size === 0) return
    const isNew = [...delta.changedTopics.values()].some(({ id }) => !delta.image.topicsById.has(id))
    this.#regexes.onImage(image.offset, isNew)
    for (const topic of topics) this.hashes.forget(topic)
    for (const group of this.store.all()) {
      for (const topic of topics) if (group.isSubscribedTo(topic)) group.requestRefresh()
    }
  }

  describe(groupId: string, end: Offset): DescribedGroup {
    const defaultAssignor = this.config()['group.consumer.assignors'][0] ?? ''
    return describeGroup(groupId, this.store.find(groupId), this.#classicGroups.has(groupId), end, {
      defaultAssignor,
      image: this.image(),
    })
  }
}

/** What is wrong with the member's epoch: the one before is accepted while the member owns only what is assigned to it. */
function checkEpoch(
  member: ConsumerMember,
  epoch: number,
  owned: readonly TopicPartitions[] | null,
): Refusal | undefined {
  const fenced = (than: string): Refusal =>
    refusal(
      Errors.FENCED_MEMBER_EPOCH,
      `The member has a ${than} epoch (${epoch}) than the coordinator (${member.memberEpoch}). It must give up all its partitions and rejoin.`,
    )
  if (epoch > member.memberEpoch) return fenced('greater')
  if (epoch === member.memberEpoch) return undefined
  const mayBeLate = epoch === member.previousMemberEpoch && owned !== null && contains(member.assigned, owned)
  return mayBeLate ? undefined : fenced('smaller')
}

function fencedInstance(holder: ConsumerMember, memberId: string, instanceId: string): Refusal | undefined {
  if (holder.memberId === memberId) return undefined
  const message = `Static member ${memberId} with instance id ${instanceId} was fenced by ${holder.memberId}.`
  return refusal(Errors.FENCED_INSTANCE_ID, message)
}

/** The member as the request tells it; what the request does not say stays. */
function updated(member: ConsumerMember, request: ConsumerGroupHeartbeatRequest, caller: Caller): ConsumerMember {
  const { subscribedTopicNames: names, rebalanceTimeoutMs } = request
  return {
    ...member,
    instanceId: request.instanceId ?? member.instanceId,
    rackId: request.rackId ?? member.rackId,
    rebalanceTimeoutMs: rebalanceTimeoutMs === -1 ? member.rebalanceTimeoutMs : rebalanceTimeoutMs,
    serverAssignor: request.serverAssignor ?? member.serverAssignor,
    topicNames: names === null ? member.topicNames : sortedNames(names),
    topicRegex: request.subscribedTopicRegex ?? member.topicRegex,
    clientId: caller.clientId,
    clientHost: caller.host,
    classic: null,
  }
}

export function heartbeatError({ error, message }: { error: ErrorCode; message: string | null }): Response {
  return {
    throttleTimeMs: 0,
    errorCode: error,
    errorMessage: message,
    memberId: null,
    memberEpoch: 0,
    heartbeatIntervalMs: 0,
    assignment: null,
  }
}
