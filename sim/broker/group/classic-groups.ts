/**
 * The classic protocol: requests about the classic groups of one shard, with all timers (`GroupMetadataManager`, its classic parts).
 *
 * Requests that wait are answered by callback: a join when the rebalance has everybody, a sync when the leader's assignment is written.
 * Each entry point gives the records to write; a group's own state has changed already (`isApplied`), as in Kafka.
 *
 *     timer             set by                            does when it runs out
 *     join              a rebalance begins                the join is completed with those who are there
 *     sync              a join is completed               members that did not sync are removed, the group rebalances
 *     heartbeat/MEMBER  join, sync, heartbeat, commit     the member is removed, the group rebalances
 */

import type { Random } from '../../kernel/random.js'
import type { Millis } from '../../kernel/units.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import type { HeartbeatRequest } from '../../wire/messages/heartbeat.js'
import type { JoinGroupRequest, JoinGroupResponse } from '../../wire/messages/join-group.js'
import type { LeaveGroupRequest, LeaveGroupResponse } from '../../wire/messages/leave-group.js'
import type { SyncGroupRequest, SyncGroupResponse } from '../../wire/messages/sync-group.js'
import { coordinatorError } from '../coordinator/coordinator-errors.js'
import type { Outcome, ShardHost } from '../coordinator/coordinator-runtime.js'
import {
  ClassicGroup,
  type ClassicGroupState,
  isSameProtocols,
  joinError,
  type Member,
  NO_BYTES,
  syncError,
} from './classic-group.js'
import { groupFrom, groupRecord } from './classic-group-records.js'
import { heartbeatKey, joinKey, syncKey } from './classic-group-timers.js'
import type { GroupMetadataValue, GroupRecord } from './group-records.js'
import { type GroupConfig, NEW_MEMBER_JOIN_TIMEOUT_MS } from './group-settings.js'

/** Who sent a request. */
export interface Caller {
  readonly clientId: string
  readonly host: string
  readonly version: number
  /** Those of the topics that the client may know of; without it, all. */
  readonly maySee?: (topics: readonly string[]) => ReadonlySet<string>
}

type Writes = Outcome<GroupRecord, undefined>

const NOTHING: Writes = { records: [], response: undefined, isApplied: true }
/** From here on a member is given an id first (KIP-394). */
export const MEMBER_ID_REQUIRED_VERSION = 4
/** From here on a static leader that comes back is told to leave the assignment as it is (KIP-814). */
const SKIP_ASSIGNMENT_VERSION = 9

export class ClassicGroups {
  readonly #host: ShardHost<GroupRecord>
  readonly #config: () => GroupConfig
  readonly #groups: Map<string, ClassicGroup>
  /** Draws member ids: another stream for every life of the coordinator. */
  readonly #ids: Random

  constructor(host: ShardHost<GroupRecord>, config: () => GroupConfig, groups: Map<string, ClassicGroup>) {
    this.#host = host
    this.#config = config
    this.#groups = groups
    const { env, index } = host
    this.#ids = env.random.fork(`members/${index}/${env.clock.monotonicMs()}`)
  }

  // ── JoinGroup ─────────────────────────────────────────────────────────────────────────────────────────────────────

  join(request: JoinGroupRequest, caller: Caller, respond: (response: JoinGroupResponse) => void): Writes {
    const { groupId, memberId, sessionTimeoutMs } = request
    const config = this.#config()
    const refuse = (error: ErrorCode): Writes => {
      respond(joinError(memberId, error))
      return NOTHING
    }
    if (
      sessionTimeoutMs < config['group.min.session.timeout.ms'] ||
      sessionTimeoutMs > config['group.max.session.timeout.ms']
    ) {
      return refuse(Errors.INVALID_SESSION_TIMEOUT)
    }
    let group = this.#groups.get(groupId)
    const isNewGroup = group === undefined
    if (group === undefined) {
      if (memberId !== '') return refuse(Errors.UNKNOWN_MEMBER_ID)
      group = new ClassicGroup(groupId, this.#nowMs())
      this.#groups.set(groupId, group)
      this.#emit(group, 'none', 'created')
    }
    if (!group.accepts(memberId, config['group.max.size'])) return refuse(Errors.GROUP_MAX_SIZE_REACHED)
    const writes =
      memberId === ''
        ? this.#joinNew(group, request, caller, respond)
        : this.#joinKnown(group, request, caller, respond)
    if (!isNewGroup || writes.records.length > 0) return writes
    // So that the group is known to whoever loads this log.
    return { records: [groupRecord(group)], response: undefined, isApplied: true }
  }

  #joinNew(
    group: ClassicGroup,
    request: JoinGroupRequest,
    caller: Caller,
    respond: (response: JoinGroupResponse) => void,
  ): Writes {
    const { groupInstanceId: instanceId } = request
    if (group.is('Dead')) {
      respond(joinError('', Errors.COORDINATOR_NOT_AVAILABLE))
      return NOTHING
    }
    if (!group.supports(request.protocolType, request.protocols)) {
      respond(joinError('', Errors.INCONSISTENT_GROUP_PROTOCOL))
      return NOTHING
    }
    const newId = `${instanceId ?? caller.clientId}-${this.#ids.uuid()}`
    if (instanceId !== null) {
      const oldId = group.staticMembers.get(instanceId)
      if (oldId !== undefined) return this.#replaceStatic(group, oldId, newId, request, caller, respond)
      return this.#addMember(group, newId, request, caller, respond)
    }
    if (caller.version >= MEMBER_ID_REQUIRED_VERSION) {
      group.pendingJoins.add(newId)
      this.#heartbeat(group, newId, request.sessionTimeoutMs)
      respond(joinError(newId, Errors.MEMBER_ID_REQUIRED))
      return NOTHING
    }
    return this.#addMember(group, newId, request, caller, respond)
  }

  #joinKnown(
    group: ClassicGroup,
    request: JoinGroupRequest,
    caller: Caller,
    respond: (response: JoinGroupResponse) => void,
  ): Writes {
    const { memberId, groupInstanceId: instanceId } = request
    const refuse = (error: ErrorCode): Writes => {
      respond(joinError(memberId, error))
      return NOTHING
    }
    if (group.is('Dead')) return refuse(Errors.COORDINATOR_NOT_AVAILABLE)
    if (!group.supports(request.protocolType, request.protocols)) return refuse(Errors.INCONSISTENT_GROUP_PROTOCOL)
    if (group.pendingJoins.has(memberId)) return this.#addMember(group, memberId, request, caller, respond)
    const error = group.check(memberId, instanceId)
    if (error !== Errors.NONE) return refuse(error)
    const member = group.members.get(memberId) as Member
    const isSame = isSameProtocols(member.protocols, request.protocols)
    switch (group.state) {
      case 'PreparingRebalance':
        return this.#updateMember(group, member, request, caller, respond, `member ${memberId} joins again`)
      case 'CompletingRebalance':
        if (!isSame) return this.#updateMember(group, member, request, caller, respond, 'another subscription')
        // Its answer got lost: the same again.
        respond(group.joined(member, member.memberId === group.leaderId))
        return NOTHING
      case 'Stable':
        if (memberId === group.leaderId)
          return this.#updateMember(group, member, request, caller, respond, 'the leader joins again')
        if (!isSame) return this.#updateMember(group, member, request, caller, respond, 'another subscription')
        respond(group.joined(member, false))
        return NOTHING
      default:
        return refuse(Errors.UNKNOWN_MEMBER_ID)
    }
  }

  #addMember(
    group: ClassicGroup,
    memberId: string,
    request: JoinGroupRequest,
    caller: Caller,
    respond: (response: JoinGroupResponse) => void,
  ): Writes {
    group.add({
      memberId,
      instanceId: request.groupInstanceId ?? undefined,
      clientId: caller.clientId,
      clientHost: caller.host,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs < 0 ? request.sessionTimeoutMs : request.rebalanceTimeoutMs,
      sessionTimeoutMs: request.sessionTimeoutMs,
      protocolType: request.protocolType,
      protocols: request.protocols,
      assignment: NO_BYTES,
      isNew: true,
      awaitingJoin: respond,
      awaitingSync: undefined,
    })
    if (group.is('PreparingRebalance') && group.previousState === 'Empty') group.newMemberAdded = true
    this.#emitMember(group, memberId, request.groupInstanceId, 'joined')
    // A new member waits for its first rebalance longer than a session.
    this.#heartbeat(group, memberId, NEW_MEMBER_JOIN_TIMEOUT_MS)
    return this.#prepareOrComplete(group, 'a member joined')
  }

  #updateMember(
    group: ClassicGroup,
    member: Member,
    request: JoinGroupRequest,
    caller: Caller,
    respond: (response: JoinGroupResponse) => void,
    reason: string,
  ): Writes {
    member.protocols = request.protocols
    member.rebalanceTimeoutMs = request.rebalanceTimeoutMs
    member.sessionTimeoutMs = request.sessionTimeoutMs
    member.clientId = caller.clientId
    member.clientHost = caller.host
    member.awaitingJoin = respond
    return this.#prepareOrComplete(group, reason)
  }

  /** A static member comes back without its id: it takes its old place, where it can without a rebalance (KIP-345). */
  #replaceStatic(
    group: ClassicGroup,
    oldId: string,
    newId: string,
    request: JoinGroupRequest,
    caller: Caller,
    respond: (response: JoinGroupResponse) => void,
  ): Writes {
    const leaderBefore = group.leaderId
    this.#host.cancel(heartbeatKey(group, oldId))
    const member = group.replaceStatic(request.groupInstanceId as string, oldId, newId)
    this.#emitMember(group, newId, request.groupInstanceId, 'replaced')
    const before = member.protocols
    member.protocols = request.protocols
    member.rebalanceTimeoutMs = request.rebalanceTimeoutMs
    member.sessionTimeoutMs = request.sessionTimeoutMs
    member.clientId = caller.clientId
    member.clientHost = caller.host
    this.#heartbeat(group, newId, member.sessionTimeoutMs)
    switch (group.state) {
      case 'Stable': {
        if (group.selectProtocol() !== group.protocolName) {
          member.awaitingJoin = respond
          return this.#prepare(group, 'a static member came back with other protocols')
        }
        const isLeader = leaderBefore === oldId
        const generation = group.generation
        return {
          records: [groupRecord(group)],
          response: undefined,
          isApplied: true,
          settled: (error) => {
            if (error !== Errors.NONE) {
              member.protocols = before
              respond(joinError(newId, coordinatorError(error)))
              return
            }
            const skips = caller.version >= SKIP_ASSIGNMENT_VERSION
            respond({
              ...group.joined(member, isLeader && skips),
              generationId: generation,
              leader: isLeader && !skips ? oldId : (group.leaderId ?? ''),
              skipAssignment: isLeader && skips,
            })
          },
        }
      }
      case 'CompletingRebalance':
        member.awaitingJoin = respond
        return this.#prepare(group, 'a static member came back')
      default:
        member.awaitingJoin = respond
        return group.is('PreparingRebalance')
          ? this.#completeIfAllJoined(group)
          : this.#prepare(group, 'a static member')
    }
  }

  // ── rebalances ────────────────────────────────────────────────────────────────────────────────────────────────────

  #prepareOrComplete(group: ClassicGroup, reason: string): Writes {
    if (group.is('Empty', 'Stable', 'CompletingRebalance')) return this.#prepare(group, reason)
    if (group.is('PreparingRebalance')) return this.#completeIfAllJoined(group)
    return NOTHING
  }

  #prepare(group: ClassicGroup, reason: string): Writes {
    if (group.is('CompletingRebalance')) this.#failSyncs(group, Errors.REBALANCE_IN_PROGRESS)
    this.#host.cancel(syncKey(group))
    const isInitial = group.is('Empty')
    this.#to(group, 'PreparingRebalance', reason)
    if (isInitial) {
      const delayMs = this.#config()['group.initial.rebalance.delay.ms']
      const remainingMs = Math.max(group.rebalanceTimeoutMs - delayMs, 0)
      group.newMemberAdded = false
      if (delayMs === 0) return this.#completeJoin(group)
      this.#host.schedule(joinKey(group), delayMs, () => this.#extendOrComplete(group, delayMs, remainingMs))
      return NOTHING
    }
    if (group.haveAllJoined) return this.#completeJoin(group)
    this.#host.schedule(joinKey(group), group.rebalanceTimeoutMs, () => this.#completeJoin(group))
    return NOTHING
  }

  /** The first rebalance waits on while members keep coming, for a rebalance timeout at most. */
  #extendOrComplete(group: ClassicGroup, delayMs: Millis, remainingMs: Millis): Writes {
    if (!group.newMemberAdded || remainingMs === 0) return this.#completeJoin(group)
    group.newMemberAdded = false
    const nextMs = Math.min(this.#config()['group.initial.rebalance.delay.ms'], remainingMs)
    const leftMs = Math.max(remainingMs - delayMs, 0)
    this.#host.schedule(joinKey(group), nextMs, () => this.#extendOrComplete(group, nextMs, leftMs))
    return NOTHING
  }

  #completeIfAllJoined(group: ClassicGroup): Writes {
    // The first rebalance of an empty group waits out its delay.
    if (group.previousState === 'Empty') return NOTHING
    return group.haveAllJoined ? this.#completeJoin(group) : NOTHING
  }

  #completeJoin(group: ClassicGroup): Writes {
    this.#host.cancel(joinKey(group))
    if (group.is('Dead')) return NOTHING
    for (const member of [...group.members.values()]) {
      if (member.awaitingJoin !== undefined || member.instanceId !== undefined) continue
      this.#remove(group, member, 'expired')
    }
    if (group.members.size > 0 && !group.electJoinedLeader()) {
      // Only static members, none of whom is back: they keep their places.
      this.#host.schedule(joinKey(group), group.rebalanceTimeoutMs, () => this.#completeJoin(group))
      return NOTHING
    }
    const from = group.state
    group.initNextGeneration(this.#nowMs())
    this.#emit(group, from, 'all joined')
    if (group.is('Empty')) return { records: [groupRecord(group)], response: undefined, isApplied: true }
    for (const member of [...group.members.values()]) {
      const answer = member.awaitingJoin
      member.awaitingJoin = undefined
      member.isNew = false
      this.#heartbeat(group, member.memberId, member.sessionTimeoutMs)
      group.pendingSyncs.add(member.memberId)
      answer?.(group.joined(member, member.memberId === group.leaderId))
    }
    const { generation } = group
    this.#host.schedule(syncKey(group), group.rebalanceTimeoutMs, () => this.#expireSyncs(group, generation))
    return NOTHING
  }

  #expireSyncs(group: ClassicGroup, generation: number): Writes {
    if (generation !== group.generation || !group.is('CompletingRebalance', 'Stable')) return NOTHING
    if (group.pendingSyncs.size === 0) return NOTHING
    for (const memberId of [...group.pendingSyncs]) {
      const member = group.members.get(memberId)
      if (member !== undefined) this.#remove(group, member, 'expired')
    }
    return this.#prepare(group, 'members did not sync')
  }

  // ── SyncGroup ─────────────────────────────────────────────────────────────────────────────────────────────────────

  sync(request: SyncGroupRequest, respond: (response: SyncGroupResponse) => void): Writes {
    const group = this.#groups.get(request.groupId)
    const { memberId } = request
    const error = group === undefined ? Errors.UNKNOWN_MEMBER_ID : group.checkSync(request)
    if (group === undefined || error !== Errors.NONE) {
      respond(syncError(error))
      return NOTHING
    }
    const member = group.members.get(memberId) as Member
    if (group.is('Stable')) {
      group.pendingSyncs.delete(memberId)
      this.#heartbeat(group, memberId, member.sessionTimeoutMs)
      respond(group.synced(member))
      return NOTHING
    }
    member.awaitingSync = respond
    group.pendingSyncs.delete(memberId)
    if (memberId !== group.leaderId) return NOTHING
    const { generation } = group
    const given = new Map(request.assignments.map(({ memberId: id, assignment }) => [id, assignment]))
    const assigned = new Map([...group.members.keys()].map((id) => [id, given.get(id) ?? NO_BYTES]))
    return {
      records: [groupRecord(group, assigned)],
      response: undefined,
      isApplied: true,
      settled: (failure) => this.#assigned(group, generation, assigned, failure),
    }
  }

  /** The leader's assignment is written, or it is not. */
  #assigned(
    group: ClassicGroup,
    generation: number,
    assigned: ReadonlyMap<string, Uint8Array>,
    error: ErrorCode,
  ): void {
    if (!group.is('CompletingRebalance') || group.generation !== generation) return
    if (error !== Errors.NONE) {
      this.#failSyncs(group, coordinatorError(error))
      // Nobody has an assignment: all over again, by a write of its own.
      this.#host.schedule(`rebalance/${group.groupId}`, 1, () =>
        group.is('CompletingRebalance') && group.generation === generation
          ? this.#prepare(group, 'the assignment could not be written')
          : NOTHING,
      )
      return
    }
    for (const member of group.members.values()) member.assignment = assigned.get(member.memberId) ?? NO_BYTES
    this.#to(group, 'Stable', 'assignment written')
    for (const member of group.members.values()) {
      const answer = member.awaitingSync
      if (answer === undefined) continue
      member.awaitingSync = undefined
      this.#heartbeat(group, member.memberId, member.sessionTimeoutMs)
      answer(group.synced(member))
    }
    if (group.pendingSyncs.size === 0) this.#host.cancel(syncKey(group))
  }

  #failSyncs(group: ClassicGroup, error: ErrorCode): void {
    for (const member of group.members.values()) {
      member.assignment = NO_BYTES
      const answer = member.awaitingSync
      if (answer === undefined) continue
      member.awaitingSync = undefined
      this.#heartbeat(group, member.memberId, member.sessionTimeoutMs)
      answer(syncError(error))
    }
  }

  // ── Heartbeat and LeaveGroup ──────────────────────────────────────────────────────────────────────────────────────

  heartbeat(request: HeartbeatRequest): ErrorCode {
    const group = this.#groups.get(request.groupId)
    if (group === undefined) return Errors.UNKNOWN_MEMBER_ID
    if (group.is('Dead')) return Errors.COORDINATOR_NOT_AVAILABLE
    const error = group.check(request.memberId, request.groupInstanceId)
    if (error !== Errors.NONE) return error
    if (request.generationId !== group.generation) return Errors.ILLEGAL_GENERATION
    if (group.is('Empty')) return Errors.UNKNOWN_MEMBER_ID
    const member = group.members.get(request.memberId) as Member
    this.#heartbeat(group, member.memberId, member.sessionTimeoutMs)
    return group.is('PreparingRebalance') ? Errors.REBALANCE_IN_PROGRESS : Errors.NONE
  }

  leave(request: LeaveGroupRequest): Outcome<GroupRecord, LeaveGroupResponse> {
    const group = this.#groups.get(request.groupId)
    const answer = (
      members: LeaveGroupResponse['members'],
      errorCode: ErrorCode = Errors.NONE,
    ): LeaveGroupResponse => ({
      throttleTimeMs: 0,
      errorCode,
      members,
    })
    if (group === undefined || group.is('Dead')) {
      const error = group === undefined ? Errors.UNKNOWN_MEMBER_ID : Errors.COORDINATOR_NOT_AVAILABLE
      const members = request.members.map(({ memberId, groupInstanceId }) => ({
        memberId,
        groupInstanceId,
        errorCode: error,
      }))
      return { records: [], response: group === undefined ? answer(members) : answer([], error), isApplied: true }
    }
    const gone: string[] = []
    const members = request.members.map(({ memberId, groupInstanceId }) => {
      const errorCode = this.#leaves(group, memberId, groupInstanceId)
      if (errorCode === Errors.NONE) gone.push(memberId)
      return { memberId, groupInstanceId, errorCode }
    })
    const writes = gone.length === 0 ? NOTHING : this.#afterRemoval(group, 'a member left')
    return { ...writes, response: answer(members) }
  }

  #leaves(group: ClassicGroup, memberId: string, instanceId: string | null): ErrorCode {
    let id = memberId
    if (instanceId !== null) {
      const known = group.staticMembers.get(instanceId)
      if (known === undefined) return Errors.UNKNOWN_MEMBER_ID
      if (memberId !== '' && memberId !== known) return Errors.FENCED_INSTANCE_ID
      id = known
    }
    if (group.pendingJoins.delete(id)) {
      this.#host.cancel(heartbeatKey(group, id))
      return Errors.NONE
    }
    const member = group.members.get(id)
    if (member === undefined) return Errors.UNKNOWN_MEMBER_ID
    this.#remove(group, member, 'left')
    return Errors.NONE
  }

  /** A commit shows that the member is alive, too. */
  touch(group: ClassicGroup, memberId: string): void {
    const member = group.members.get(memberId)
    if (member !== undefined && group.is('Stable', 'PreparingRebalance')) {
      this.#heartbeat(group, memberId, member.sessionTimeoutMs)
    }
  }

  #heartbeat(group: ClassicGroup, memberId: string, sessionMs: Millis): void {
    this.#host.schedule(heartbeatKey(group, memberId), sessionMs, () => this.#expire(group, memberId))
  }

  #expire(group: ClassicGroup, memberId: string): Writes {
    if (group.is('Dead')) return NOTHING
    if (group.pendingJoins.delete(memberId)) {
      return group.is('PreparingRebalance') ? this.#completeIfAllJoined(group) : NOTHING
    }
    const member = group.members.get(memberId)
    if (member === undefined) return NOTHING
    const waits = !member.isNew && (member.awaitingJoin !== undefined || member.awaitingSync !== undefined)
    if (waits) return NOTHING
    this.#remove(group, member, 'expired')
    return this.#afterRemoval(group, `member ${memberId} expired`)
  }

  #afterRemoval(group: ClassicGroup, reason: string): Writes {
    if (group.is('Stable', 'CompletingRebalance')) return this.#prepare(group, reason)
    if (group.is('PreparingRebalance')) return this.#completeIfAllJoined(group)
    return NOTHING
  }

  #remove(group: ClassicGroup, member: Member, change: 'left' | 'expired'): void {
    member.awaitingJoin?.(joinError('', Errors.UNKNOWN_MEMBER_ID))
    member.awaitingJoin = undefined
    member.awaitingSync?.(syncError(Errors.UNKNOWN_MEMBER_ID))
    member.awaitingSync = undefined
    this.#host.cancel(heartbeatKey(group, member.memberId))
    group.remove(member.memberId)
    this.#emitMember(group, member.memberId, member.instanceId ?? null, change)
  }

  // ── records and life ──────────────────────────────────────────────────────────────────────────────────────────────

  /** Replays a record of the log while it is loaded. */
  replay(groupId: string, value: GroupMetadataValue | null): void {
    if (value !== null) return void this.#groups.set(groupId, groupFrom(groupId, value))
    // Timers that are still set find nothing to do.
    this.#groups.get(groupId)?.transition('Dead', this.#nowMs())
    this.#groups.delete(groupId)
  }

  /** Gives every member of the loaded groups a session's time to show up. */
  loaded(): void {
    for (const group of this.#groups.values()) {
      for (const { memberId, sessionTimeoutMs } of group.members.values())
        this.#heartbeat(group, memberId, sessionTimeoutMs)
      this.#emit(group, 'none', 'loaded')
    }
  }

  /** Answers whoever waits: the coordinator is somebody else. */
  unloaded(): void {
    for (const group of this.#groups.values()) group.answerAll(Errors.NOT_COORDINATOR)
  }

  /** A KIP-848 group has become this one. */
  adopt(group: ClassicGroup, from: string, rebalances: boolean): void {
    this.#groups.set(group.groupId, group)
    this.#emit(group, from, 'downgraded')
    for (const { memberId, sessionTimeoutMs } of group.members.values())
      this.#heartbeat(group, memberId, sessionTimeoutMs)
    if (rebalances) this.#prepare(group, 'downgraded')
  }

  /** Nothing is left of the group. */
  forget(group: ClassicGroup, reason: string): void {
    this.#host.cancel(joinKey(group))
    this.#host.cancel(syncKey(group))
    this.#to(group, 'Dead', reason)
    this.#groups.delete(group.groupId)
  }

  #to(group: ClassicGroup, state: ClassicGroupState, reason: string): void {
    const from = group.state
    group.transition(state, this.#nowMs())
    this.#emit(group, from, reason)
  }

  #emit(group: ClassicGroup, from: string, reason: string): void {
    this.#host.env.emit('group.state', {
      group: group.groupId,
      protocol: 'classic',
      from,
      to: group.state,
      generation: group.generation,
      members: group.members.size,
      reason,
    })
  }

  #emitMember(
    group: ClassicGroup,
    member: string,
    instance: string | null,
    change: 'joined' | 'left' | 'expired' | 'replaced',
  ): void {
    const { groupId, generation } = group
    this.#host.env.emit('group.member', { group: groupId, member, instance: instance ?? '', change, generation })
  }

  #nowMs(): Millis {
    return this.#host.env.clock.wallMs()
  }
}
