/**
 * The classic protocol: requests about the classic groups of one shard (`GroupMetadataManager`, its classic parts). How they rebalance, and their
 * timers, are in classic-rebalances.ts.
 *
 * Requests that wait are answered by callback: a join when the rebalance has everybody, a sync when the leader's assignment is written.
 * Each entry point gives the records to write; a group's own state has changed already (`isApplied`), as in Kafka.
 */

import type { Random } from '../../kernel/random.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import type { HeartbeatRequest } from '../../wire/messages/heartbeat.js'
import type { JoinGroupRequest, JoinGroupResponse } from '../../wire/messages/join-group.js'
import type { LeaveGroupRequest, LeaveGroupResponse } from '../../wire/messages/leave-group.js'
import type { SyncGroupRequest, SyncGroupResponse } from '../../wire/messages/sync-group.js'
import { coordinatorError } from '../coordinator/coordinator-errors.js'
import type { Outcome, ShardHost } from '../coordinator/coordinator-runtime.js'
import { ClassicGroup, isSameProtocols, joinError, type Member, NO_BYTES, syncError } from './classic-group.js'
import { groupFrom, groupRecord, newGroupRecord } from './classic-group-records.js'
import { ClassicRebalances, NOTHING, type Writes } from './classic-rebalances.js'
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

/** From here on a member is given an id first (KIP-394). */
export const MEMBER_ID_REQUIRED_VERSION = 4
/** From here on a static leader that comes back is told to leave the assignment as it is (KIP-814). */
const SKIP_ASSIGNMENT_VERSION = 9

type Respond = (response: JoinGroupResponse) => void

export class ClassicGroups {
  readonly #config: () => GroupConfig
  readonly #groups: Map<string, ClassicGroup>
  readonly #rebalances: ClassicRebalances
  /** Draws member ids: another stream for every life of the coordinator. */
  readonly #ids: Random
  /** Why tombstones of groups are being written, for the trace; undefined when the group goes on as one of the other protocol. */
  removing: 'deleted' | 'nothing left' | undefined

  constructor(host: ShardHost<GroupRecord>, config: () => GroupConfig, groups: Map<string, ClassicGroup>) {
    this.#config = config
    this.#groups = groups
    this.#rebalances = new ClassicRebalances(host, config, groups)
    const { env, index } = host
    this.#ids = env.random.fork(`members/${index}/${env.clock.monotonicMs()}`)
  }

  // ── JoinGroup ─────────────────────────────────────────────────────────────────────────────────────────────────────

  join(request: JoinGroupRequest, caller: Caller, respond: Respond): Writes {
    const { groupId, memberId } = request
    const known = this.#groups.get(groupId)
    if (known !== undefined) return this.#joinGroup(known, request, caller, respond)
    if (memberId !== '') return refused(memberId, Errors.UNKNOWN_MEMBER_ID, respond)
    const group = new ClassicGroup(groupId)
    this.#groups.set(groupId, group)
    this.#rebalances.emit(group, 'none', 'created')
    const writes = this.#joinGroup(group, request, caller, respond)
    if (writes.records.length > 0) return writes
    // So that the group is known to whoever loads this log; and that there is none when it cannot be.
    return {
      records: [newGroupRecord(group)],
      response: undefined,
      isApplied: true,
      settled: (error) => {
        if (error !== Errors.NONE) respond(joinError('', coordinatorError(error)))
      },
      reverted: () => this.forget(group),
    }
  }

  #joinGroup(group: ClassicGroup, request: JoinGroupRequest, caller: Caller, respond: Respond): Writes {
    const { memberId } = request
    if (!group.accepts(memberId, this.#config()['group.max.size'])) {
      const member = group.members.get(memberId)
      if (member !== undefined) {
        group.remove(memberId)
        this.#rebalances.emitMember(group, memberId, member.instanceId ?? null, 'left')
      }
      group.pendingJoins.delete(memberId)
      return refused('', Errors.GROUP_MAX_SIZE_REACHED, respond)
    }
    return memberId === ''
      ? this.#joinNew(group, request, caller, respond)
      : this.#joinKnown(group, request, caller, respond)
  }

  #joinNew(group: ClassicGroup, request: JoinGroupRequest, caller: Caller, respond: Respond): Writes {
    const { groupInstanceId: instanceId } = request
    if (!group.supports(request.protocolType, request.protocols)) {
      return refused('', Errors.INCONSISTENT_GROUP_PROTOCOL, respond)
    }
    const newId = `${instanceId ?? caller.clientId}-${this.#ids.uuid()}`
    if (instanceId !== null) {
      const oldId = group.staticMembers.get(instanceId)
      if (oldId !== undefined) return this.#replaceStatic(group, oldId, newId, request, caller, respond)
      return this.#addMember(group, newId, request, caller, respond)
    }
    if (caller.version >= MEMBER_ID_REQUIRED_VERSION) {
      group.pendingJoins.add(newId)
      this.#rebalances.heartbeat(group, newId, request.sessionTimeoutMs)
      return refused(newId, Errors.MEMBER_ID_REQUIRED, respond)
    }
    return this.#addMember(group, newId, request, caller, respond)
  }

  #joinKnown(group: ClassicGroup, request: JoinGroupRequest, caller: Caller, respond: Respond): Writes {
    const { memberId, groupInstanceId: instanceId } = request
    const refuse = (error: ErrorCode): Writes => refused(memberId, error, respond)
    if (!group.supports(request.protocolType, request.protocols)) return refuse(Errors.INCONSISTENT_GROUP_PROTOCOL)
    if (group.pendingJoins.has(memberId)) {
      // Static members are not given their ids first: Kafka fails here.
      if (instanceId !== null) return refused('', Errors.UNKNOWN_SERVER_ERROR, respond)
      return this.#addMember(group, memberId, request, caller, respond)
    }
    const error = group.check(memberId, instanceId)
    if (error !== Errors.NONE) return refuse(error)
    const member = group.members.get(memberId) as Member
    const isSame = isSameProtocols(member.protocols, request.protocols)
    const isLeader = memberId === group.leaderId
    switch (group.state) {
      case 'PreparingRebalance':
        return this.#updateMember(group, member, request, respond, `member ${memberId} joins again`)
      case 'CompletingRebalance':
        if (!isSame) return this.#updateMember(group, member, request, respond, 'another subscription')
        // Its answer got lost: the same again.
        respond(group.joined(member, isLeader))
        return NOTHING
      case 'Stable':
        if (isLeader) return this.#updateMember(group, member, request, respond, 'the leader joins again')
        if (!isSame) return this.#updateMember(group, member, request, respond, 'another subscription')
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
    respond: Respond,
  ): Writes {
    if (group.is('PreparingRebalance') && group.previousState === 'Empty') group.newMemberAdded = true
    group.add({
      memberId,
      instanceId: request.groupInstanceId ?? undefined,
      clientId: caller.clientId,
      clientHost: caller.host,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs,
      sessionTimeoutMs: request.sessionTimeoutMs,
      protocolType: request.protocolType,
      protocols: request.protocols,
      assignment: NO_BYTES,
      isNew: true,
      awaitingJoin: respond,
      awaitingSync: undefined,
    })
    this.#rebalances.emitMember(group, memberId, request.groupInstanceId, 'joined')
    // A new member waits for its first rebalance longer than a session.
    this.#rebalances.heartbeat(group, memberId, NEW_MEMBER_JOIN_TIMEOUT_MS)
    return this.#rebalances.prepareOrComplete(group, 'a member joined')
  }

  #updateMember(
    group: ClassicGroup,
    member: Member,
    request: JoinGroupRequest,
    respond: Respond,
    reason: string,
  ): Writes {
    update(member, request, respond)
    return this.#rebalances.prepareOrComplete(group, reason)
  }

  /** A static member comes back without its id: it takes its old place, where it can without a rebalance (KIP-345). */
  #replaceStatic(
    group: ClassicGroup,
    oldId: string,
    newId: string,
    request: JoinGroupRequest,
    caller: Caller,
    respond: Respond,
  ): Writes {
    const leaderBefore = group.leaderId ?? ''
    const member = group.replaceStatic(request.groupInstanceId as string, oldId, newId)
    this.#rebalances.emitMember(group, newId, request.groupInstanceId, 'replaced')
    // The heartbeat of the old id finds nobody when it is due.
    this.#rebalances.heartbeat(group, newId, member.sessionTimeoutMs)
    const before = { ...member }
    update(member, request, respond)
    switch (group.state) {
      case 'Stable':
        if (group.selectProtocol() !== group.protocolName) {
          return this.#rebalances.prepare(group, 'a static member came back with other protocols')
        }
        return {
          records: [groupRecord(group)],
          response: undefined,
          isApplied: true,
          settled: (error) => {
            if (error === Errors.NONE) this.#answerReplaced(group, member, leaderBefore, caller)
            else this.#takeBack(group, member, { ...before, oldId, newId, leaderBefore, error }, respond)
          },
        }
      case 'CompletingRebalance':
        // The leader may have assigned to the old id already.
        return this.#rebalances.prepare(group, 'a static member came back')
      default:
        return this.#rebalances.completeIfAllJoined(group)
    }
  }

  #answerReplaced(group: ClassicGroup, member: Member, leaderBefore: string, { version }: Caller): void {
    if (version < SKIP_ASSIGNMENT_VERSION) {
      return group.answerJoin(member, { ...group.joined(member, false), leader: leaderBefore })
    }
    const isLeader = member.memberId === group.leaderId
    group.answerJoin(member, { ...group.joined(member, isLeader), skipAssignment: isLeader })
  }

  /** The new id could not be written: the old one counts again, unless the member was replaced once more. */
  #takeBack(group: ClassicGroup, member: Member, before: Replaced, respond: Respond): void {
    const { oldId, newId, leaderBefore, error } = before
    if (member.memberId === newId && member.instanceId !== undefined && group.members.has(newId)) {
      update(member, before, undefined)
      group.replaceStatic(member.instanceId, newId, oldId)
      this.#rebalances.heartbeat(group, oldId, member.sessionTimeoutMs)
      this.#rebalances.emitMember(group, oldId, member.instanceId, 'replaced')
    }
    const response = { ...group.joined(member, false), memberId: '', leader: leaderBefore }
    respond({ ...response, errorCode: coordinatorError(error) })
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
      this.#rebalances.synced(group, memberId)
      respond(group.synced(member))
      return NOTHING
    }
    member.awaitingSync = respond
    this.#rebalances.synced(group, memberId)
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
    if (error === Errors.NONE) return this.#rebalances.assign(group, assigned)
    // Nobody has an assignment: all over again. There is nothing to write for it, members are there.
    this.#rebalances.failSyncs(group, coordinatorError(error))
    this.#rebalances.prepare(group, 'the assignment could not be written')
  }

  // ── Heartbeat and LeaveGroup ──────────────────────────────────────────────────────────────────────────────────────

  heartbeat(request: HeartbeatRequest): ErrorCode {
    const group = this.#groups.get(request.groupId)
    if (group === undefined) return Errors.UNKNOWN_MEMBER_ID
    const error = group.check(request.memberId, request.groupInstanceId)
    if (error !== Errors.NONE) return error
    if (request.generationId !== group.generation) return Errors.ILLEGAL_GENERATION
    if (group.is('Empty')) return Errors.UNKNOWN_MEMBER_ID
    const member = group.members.get(request.memberId) as Member
    this.#rebalances.heartbeat(group, member.memberId, member.sessionTimeoutMs)
    return group.is('PreparingRebalance') ? Errors.REBALANCE_IN_PROGRESS : Errors.NONE
  }

  leave(request: LeaveGroupRequest): Outcome<GroupRecord, LeaveGroupResponse> {
    const group = this.#groups.get(request.groupId)
    let left = 0
    const members = request.members.map(({ memberId, groupInstanceId }) => {
      const errorCode = group === undefined ? Errors.UNKNOWN_MEMBER_ID : this.#leaves(group, memberId, groupInstanceId)
      if (errorCode === Errors.NONE) left++
      return { memberId, groupInstanceId, errorCode }
    })
    let writes = NOTHING
    if (group !== undefined && left > 0 && !group.is('Empty')) {
      writes = this.#rebalances.prepareOrComplete(group, 'a member left')
    }
    return { ...writes, response: { throttleTimeMs: 0, errorCode: Errors.NONE, members } }
  }

  /** An administrator names static members by their instance only. */
  #leaves(group: ClassicGroup, memberId: string, instanceId: string | null): ErrorCode {
    if (group.pendingJoins.delete(memberId)) {
      this.#rebalances.forgetHeartbeat(group, memberId)
      return Errors.NONE
    }
    const id = memberId === '' && instanceId !== null ? (group.staticMembers.get(instanceId) ?? '') : memberId
    const error = group.check(id, instanceId)
    if (error !== Errors.NONE) return error
    this.#rebalances.remove(group, group.members.get(id) as Member, 'left')
    return Errors.NONE
  }

  /** A commit shows that the member is alive, too. */
  touch(group: ClassicGroup, memberId: string): void {
    const member = group.members.get(memberId)
    if (member !== undefined && group.is('Stable', 'PreparingRebalance')) {
      this.#rebalances.heartbeat(group, memberId, member.sessionTimeoutMs)
    }
  }

  // ── records and life ──────────────────────────────────────────────────────────────────────────────────────────────

  replay(groupId: string, value: GroupMetadataValue | null): void {
    if (value !== null) return void this.#groups.set(groupId, groupFrom(groupId, value))
    const group = this.#groups.get(groupId)
    if (group === undefined) return
    if (this.removing !== undefined) this.#rebalances.to(group, 'Dead', this.removing)
    this.#groups.delete(groupId)
  }

  /** Gives every member of the loaded groups a session's time to show up. Groups that are larger than is allowed by now shrink by a rebalance. */
  loaded(): void {
    for (const group of this.#groups.values()) {
      for (const { memberId, sessionTimeoutMs } of group.members.values())
        this.#rebalances.heartbeat(group, memberId, sessionTimeoutMs)
      this.#rebalances.emit(group, 'none', 'loaded')
      if (group.members.size > this.#config()['group.max.size']) this.#rebalances.prepare(group, 'over capacity')
    }
  }

  /** Answers whoever waits: the coordinator is somebody else. */
  unloaded(): void {
    for (const group of this.#groups.values()) group.answerAll(Errors.NOT_COORDINATOR)
  }

  /** A KIP-848 group has become this one. */
  adopt(group: ClassicGroup, from: string, rebalances: boolean): void {
    this.#groups.set(group.groupId, group)
    this.#rebalances.emit(group, from, 'downgraded')
    for (const { memberId, sessionTimeoutMs } of group.members.values())
      this.#rebalances.heartbeat(group, memberId, sessionTimeoutMs)
    if (rebalances) this.#rebalances.prepare(group, 'downgraded')
  }

  /** The group could not be written: there is none. */
  forget(group: ClassicGroup): void {
    if (this.#groups.get(group.groupId) !== group) return
    this.#rebalances.to(group, 'Dead', 'not written')
    this.#groups.delete(group.groupId)
  }
}

type GroupProtocols = Pick<Member, 'protocols' | 'rebalanceTimeoutMs' | 'sessionTimeoutMs'>

interface Replaced extends GroupProtocols {
  readonly oldId: string
  readonly newId: string
  readonly leaderBefore: string
  readonly error: ErrorCode
}

/** What a member may tell anew; who it is stays as it was. */
function update(member: Member, told: GroupProtocols, respond: Respond | undefined): void {
  member.protocols = told.protocols
  member.rebalanceTimeoutMs = told.rebalanceTimeoutMs
  member.sessionTimeoutMs = told.sessionTimeoutMs
  member.awaitingJoin = respond
}

function refused(memberId: string, error: ErrorCode, respond: Respond): Writes {
  respond(joinError(memberId, error))
  return NOTHING
}
