/**
 * Members of KIP-848 groups that speak the classic protocol still: JoinGroup, SyncGroup, Heartbeat and LeaveGroup are what the others do with
 * heartbeats (`GroupMetadataManager`, the methods `classicGroup…ToConsumerGroup`).
 *
 *     JoinGroup   is answered at once, with the member epoch as the generation: nobody waits for anybody, and there is no leader
 *     SyncGroup   gives what is assigned to the member so far
 *     Heartbeat   REBALANCE_IN_PROGRESS when the member is to join again: the group went on, it has partitions to give up, or others
 *                 have released what it waits for
 *     LeaveGroup  removes the member
 */

import { type ErrorCode, Errors } from '../../../wire/errors.js'
import type { HeartbeatRequest } from '../../../wire/messages/heartbeat.js'
import type { JoinGroupRequest, JoinGroupResponse } from '../../../wire/messages/join-group.js'
import type { LeaveGroupRequest, LeaveGroupResponse } from '../../../wire/messages/leave-group.js'
import type { SyncGroupRequest, SyncGroupResponse } from '../../../wire/messages/sync-group.js'
import { coordinatorError } from '../../coordinator/coordinator-errors.js'
import type { Outcome } from '../../coordinator/coordinator-runtime.js'
import { joinError, NO_LEADER, syncError } from '../classic-group.js'
import { type Caller, MEMBER_ID_REQUIRED_VERSION } from '../classic-groups.js'
import { readSubscription, writeAssignment } from '../consumer-protocol.js'
import type { GroupRecord } from '../group-records.js'
import { byTopicName, canDowngradeReplacing } from './conversion.js'
import type { ConsumerGroup } from './consumer-group.js'
import type { ConsumerGroups } from './consumer-groups.js'
import { type ConsumerMember, sortedNames } from './consumer-member.js'
import { isRefusal, type Refusal, refusal } from './refusal.js'

type Writes = Outcome<GroupRecord, undefined>

const NOTHING: Writes = { records: [], response: undefined, isApplied: true }
const PROTOCOL_TYPE = 'consumer'

export class ClassicMembers {
  readonly #groups: ConsumerGroups

  constructor(groups: ConsumerGroups) {
    this.#groups = groups
  }

  // ── JoinGroup ─────────────────────────────────────────────────────────────────────────────────────────────────────

  join(
    group: ConsumerGroup,
    request: JoinGroupRequest,
    caller: Caller,
    respond: (response: JoinGroupResponse) => void,
  ): Writes {
    const outcome = this.#join(group, request, caller, respond)
    if (!isRefusal(outcome)) return outcome
    respond(joinError('', outcome.error))
    return NOTHING
  }

  #join(
    group: ConsumerGroup,
    request: JoinGroupRequest,
    caller: Caller,
    respond: (response: JoinGroupResponse) => void,
  ): Writes | Refusal {
    const isUnknown = request.memberId === ''
    const memberId = isUnknown ? this.#groups.newMemberId() : request.memberId
    const full = this.#groups.checkSize(group, memberId)
    if (full !== undefined) return full
    const names = request.protocols.map(({ name }) => name)
    const subscription = readSubscription(request.protocols[0]?.metadata ?? new Uint8Array(0))
    if (!group.supportsClassic(request.protocolType, names)) {
      return refusal(Errors.INCONSISTENT_GROUP_PROTOCOL, `Member ${memberId}'s protocols are not supported.`)
    }
    if (isUnknown && request.groupInstanceId === null && caller.version >= MEMBER_ID_REQUIRED_VERSION) {
      respond(joinError(memberId, Errors.MEMBER_ID_REQUIRED))
      return NOTHING
    }
    const records: GroupRecord[] = []
    const before = this.#memberFor(group, memberId, request.groupInstanceId, isUnknown, records)
    if (isRefusal(before)) return before
    if (subscription === undefined) {
      return refusal(
        Errors.UNKNOWN_SERVER_ERROR,
        'Malformed embedded consumer protocol in subscription deserialization.',
      )
    }
    const after: ConsumerMember = {
      ...before,
      instanceId: request.groupInstanceId ?? before.instanceId,
      rackId: subscription.rack === null || subscription.rack === '' ? before.rackId : subscription.rack,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs === -1 ? before.rebalanceTimeoutMs : request.rebalanceTimeoutMs,
      topicNames: sortedNames(subscription.topics),
      clientId: caller.clientId,
      clientHost: caller.host,
      classic: { sessionTimeoutMs: request.sessionTimeoutMs, supportedProtocols: request.protocols },
    }
    const bumpsEpoch = this.#groups.rebalancer.writeMember(group, before, after, records)
    const { topicsByName } = this.#groups.image()
    const owned = subscription.owned.flatMap(({ topic, partitions }) => {
      const topicId = topicsByName.get(topic)?.id
      return topicId === undefined ? [] : [{ topicId, partitions }]
    })
    const next = this.#groups.rebalancer.rebalance({ group, before, after, bumpsEpoch, owned }, records)
    return isRefusal(next) ? next : this.#joined(group, next, request, records, respond)
  }

  #memberFor(
    group: ConsumerGroup,
    memberId: string,
    instanceId: string | null,
    isUnknown: boolean,
    records: GroupRecord[],
  ): ConsumerMember | Refusal {
    this.#groups.store.cause = { removal: 'replaced', reason: 'a classic member joined' }
    if (instanceId === null) return this.#groups.memberOf(group, memberId, true)
    return this.#groups.staticMemberOf(group, memberId, instanceId, { isJoining: isUnknown, isClassic: true }, records)
  }

  #joined(
    group: ConsumerGroup,
    member: ConsumerMember,
    request: JoinGroupRequest,
    records: GroupRecord[],
    respond: (response: JoinGroupResponse) => void,
  ): Writes {
    const { groupId } = group
    const { memberId, memberEpoch } = member
    const { timers, config, store } = this.#groups
    const holder = request.groupInstanceId === null ? undefined : group.staticMember(request.groupInstanceId)
    const isDowngrade = holder !== undefined && canDowngradeReplacing(group, holder, config())
    const converted = isDowngrade ? this.#groups.toClassic(group, [], member, store.cause) : undefined
    return {
      ...converted,
      records: [...records, ...(converted?.records ?? [])],
      response: undefined,
      isApplied: isDowngrade,
      settled: (error) => {
        if (error !== Errors.NONE) return respond(joinError('', coordinatorError(error)))
        timers.cancel('join', groupId, memberId)
        if (!isDowngrade) {
          timers.session(groupId, memberId, request.sessionTimeoutMs)
          timers.sync(groupId, memberId, request.rebalanceTimeoutMs)
        }
        respond({
          throttleTimeMs: 0,
          errorCode: Errors.NONE,
          generationId: memberEpoch,
          protocolType: PROTOCOL_TYPE,
          protocolName: protocolOf(member),
          leader: NO_LEADER,
          skipAssignment: false,
          memberId,
          members: [],
        })
      },
    }
  }

  // ── SyncGroup ─────────────────────────────────────────────────────────────────────────────────────────────────────

  sync(group: ConsumerGroup, request: SyncGroupRequest, respond: (response: SyncGroupResponse) => void): Writes {
    const member = this.#check(group, request.memberId, request.groupInstanceId, request.generationId)
    const error = isRefusal(member) ? member.error : this.#checkSync(group, member, request)
    if (isRefusal(member) || error !== Errors.NONE) {
      respond(syncError(error))
      return NOTHING
    }
    const { groupId } = group
    const { memberId } = member
    return {
      records: [],
      response: undefined,
      isApplied: true,
      settled: (failure) => {
        if (failure !== Errors.NONE) return respond(syncError(coordinatorError(failure)))
        this.#groups.timers.cancel('sync', groupId, memberId)
        this.#groups.timers.session(groupId, memberId, member.classic?.sessionTimeoutMs ?? 0)
        const { protocolType, protocolName } = request
        respond({
          throttleTimeMs: 0,
          errorCode: Errors.NONE,
          protocolType,
          protocolName,
          assignment: this.#assignmentOf(member),
        })
      },
    }
  }

  #checkSync(
    group: ConsumerGroup,
    member: ConsumerMember,
    { protocolType, protocolName }: SyncGroupRequest,
  ): ErrorCode {
    const isOther =
      (protocolType !== null && protocolType !== PROTOCOL_TYPE) ||
      (protocolName !== null && protocolName !== protocolOf(member))
    if (isOther) return Errors.INCONSISTENT_GROUP_PROTOCOL
    // One that gives up partitions has joined already; it is told to join again once it has.
    if (group.groupEpoch <= member.memberEpoch || member.state === 'UNREVOKED_PARTITIONS') return Errors.NONE
    this.#groups.timers.joinIfAbsent(group.groupId, member.memberId, member.rebalanceTimeoutMs)
    return Errors.REBALANCE_IN_PROGRESS
  }

  #assignmentOf(member: ConsumerMember): Uint8Array {
    const metadata = member.classic?.supportedProtocols[0]?.metadata ?? new Uint8Array(0)
    const version = readSubscription(metadata)?.version ?? 0
    return writeAssignment(byTopicName(member.assigned, this.#groups.image()), version)
  }

  // ── Heartbeat and LeaveGroup ──────────────────────────────────────────────────────────────────────────────────────

  heartbeat(group: ConsumerGroup, request: HeartbeatRequest): ErrorCode {
    const member = this.#check(group, request.memberId, request.groupInstanceId, request.generationId)
    if (isRefusal(member)) return member.error
    const { groupId } = group
    const { memberId } = member
    this.#groups.timers.session(groupId, memberId, member.classic?.sessionTimeoutMs ?? 0)
    const isToJoin =
      member.memberEpoch < group.groupEpoch ||
      member.state === 'UNREVOKED_PARTITIONS' ||
      (member.state === 'UNRELEASED_PARTITIONS' && !group.waitsForOthers(member))
    if (!isToJoin) return Errors.NONE
    this.#groups.timers.joinIfAbsent(groupId, memberId, member.rebalanceTimeoutMs)
    return Errors.REBALANCE_IN_PROGRESS
  }

  leave(group: ConsumerGroup, request: LeaveGroupRequest): Outcome<GroupRecord, LeaveGroupResponse> {
    const leaving = new Map<string, ConsumerMember>()
    const members = request.members.map(({ memberId, groupInstanceId }) => {
      const member = this.#leaver(group, memberId, groupInstanceId)
      if (!isRefusal(member)) leaving.set(member.memberId, member)
      return { memberId, groupInstanceId, errorCode: isRefusal(member) ? member.error : Errors.NONE }
    })
    const response = { throttleTimeMs: 0, errorCode: Errors.NONE, members }
    return this.#groups.remove(group, [...leaving.values()], response, { removal: 'left', reason: 'a member left' })
  }

  /** An administrator names static members by their instance only. */
  #leaver(group: ConsumerGroup, memberId: string, instanceId: string | null): ConsumerMember | Refusal {
    if (instanceId === null) return this.#groups.memberOf(group, memberId, false)
    const id = memberId === '' ? (group.staticMember(instanceId)?.memberId ?? '') : memberId
    return this.#groups.staticMemberOf(group, id, instanceId, { isJoining: false, isClassic: true }, [])
  }

  #check(
    group: ConsumerGroup,
    memberId: string,
    instanceId: string | null,
    generation: number,
  ): ConsumerMember | Refusal {
    const member =
      instanceId === null
        ? this.#groups.memberOf(group, memberId, false)
        : this.#groups.staticMemberOf(group, memberId, instanceId, { isJoining: false, isClassic: true }, [])
    if (isRefusal(member)) return member
    if (member.classic === null) {
      return refusal(Errors.UNKNOWN_MEMBER_ID, `Member ${memberId} does not use the classic protocol.`)
    }
    if (member.memberEpoch !== generation) {
      return refusal(Errors.ILLEGAL_GENERATION, `Generation ${generation} is not the epoch of member ${memberId}.`)
    }
    return member
  }
}

function protocolOf({ classic }: ConsumerMember): string | null {
  return classic?.supportedProtocols[0]?.name ?? null
}
