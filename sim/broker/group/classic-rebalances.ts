/**
 * How classic groups rebalance, and what their timers do (`GroupMetadataManager`, the private parts about classic groups).
 *
 *     timer             set by                            does when it runs out
 *     join              a rebalance begins                the join is completed with those who are there
 *     sync              a join is completed               members that did not sync are removed, the group rebalances
 *     heartbeat/MEMBER  join, sync, heartbeat, commit     the member is removed, the group rebalances
 *
 * Timers know a group by its id: one that is gone, or belongs to the other protocol by now, is left alone. They have changed the group before anything
 * is written, so that a write that fails is not tried again.
 */

import type { Millis } from '../../kernel/units.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import type { Outcome, ShardHost } from '../coordinator/coordinator-runtime.js'
import {
  type ClassicGroup,
  type ClassicGroupState,
  joinError,
  type Member,
  NO_BYTES,
  syncError,
} from './classic-group.js'
import { groupRecord } from './classic-group-records.js'
import type { GroupRecord } from './group-records.js'
import type { GroupConfig } from './group-settings.js'

export type Writes = Outcome<GroupRecord, undefined>

export const NOTHING: Writes = { records: [], response: undefined, isApplied: true }

export class ClassicRebalances {
  readonly #host: ShardHost<GroupRecord>
  readonly #config: () => GroupConfig
  readonly #groups: ReadonlyMap<string, ClassicGroup>

  constructor(host: ShardHost<GroupRecord>, config: () => GroupConfig, groups: ReadonlyMap<string, ClassicGroup>) {
    this.#host = host
    this.#config = config
    this.#groups = groups
  }

  // ── joining ───────────────────────────────────────────────────────────────────────────────────────────────────────

  prepareOrComplete(group: ClassicGroup, reason: string): Writes {
    if (group.is('Empty', 'Stable', 'CompletingRebalance')) return this.prepare(group, reason)
    return this.completeIfAllJoined(group)
  }

  prepare(group: ClassicGroup, reason: string): Writes {
    if (group.is('CompletingRebalance')) this.failSyncs(group, Errors.REBALANCE_IN_PROGRESS)
    group.pendingSyncs.clear()
    this.#host.cancel(syncKey(group))
    const isInitial = group.is('Empty')
    this.to(group, 'PreparingRebalance', reason)
    if (isInitial) {
      const delayMs = this.#config()['group.initial.rebalance.delay.ms']
      this.#scheduleInitial(group, delayMs, Math.max(group.rebalanceTimeoutMs - delayMs, 0))
      return NOTHING
    }
    if (group.haveAllJoined) return this.#completeJoin(group)
    this.#scheduleJoin(group)
    return NOTHING
  }

  /** The first rebalance of an empty group waits out its delay. */
  completeIfAllJoined(group: ClassicGroup): Writes {
    if (!group.is('PreparingRebalance') || group.previousState === 'Empty') return NOTHING
    return group.haveAllJoined ? this.#completeJoin(group) : NOTHING
  }

  #scheduleJoin(group: ClassicGroup): void {
    this.#schedule(joinKey(group), group.rebalanceTimeoutMs, group, (now) => this.#completeJoin(now))
  }

  #scheduleInitial(group: ClassicGroup, delayMs: Millis, remainingMs: Millis): void {
    this.#schedule(joinKey(group), delayMs, group, (now) => this.#extendOrComplete(now, delayMs, remainingMs))
  }

  /** The first rebalance waits on while members keep coming, for a rebalance timeout at most. */
  #extendOrComplete(group: ClassicGroup, delayMs: Millis, remainingMs: Millis): Writes {
    if (!group.newMemberAdded || remainingMs === 0) return this.#completeJoin(group)
    group.newMemberAdded = false
    const nextMs = Math.min(this.#config()['group.initial.rebalance.delay.ms'], remainingMs)
    this.#scheduleInitial(group, nextMs, Math.max(remainingMs - delayMs, 0))
    return NOTHING
  }

  #completeJoin(group: ClassicGroup): Writes {
    this.#host.cancel(joinKey(group))
    for (const member of [...group.members.values()]) {
      if (member.awaitingJoin === undefined && member.instanceId === undefined) this.remove(group, member, 'expired')
    }
    if (group.members.size > 0 && !group.electJoinedLeader()) {
      // Only static members, none of whom is back: they keep their places.
      this.#scheduleJoin(group)
      return NOTHING
    }
    const from = group.state
    group.initNextGeneration(this.#nowMs())
    this.emit(group, from, 'all joined')
    if (group.is('Empty')) return { records: [groupRecord(group)], response: undefined, isApplied: true }
    for (const member of [...group.members.values()]) {
      group.answerJoin(member, group.joined(member, member.memberId === group.leaderId))
      this.heartbeat(group, member.memberId, member.sessionTimeoutMs)
      member.isNew = false
      group.pendingSyncs.add(member.memberId)
    }
    const { generation } = group
    this.#schedule(syncKey(group), group.rebalanceTimeoutMs, group, (now) => this.#expireSyncs(now, generation))
    return NOTHING
  }

  // ── syncing ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The member has sent its SyncGroup. */
  synced(group: ClassicGroup, memberId: string): void {
    group.pendingSyncs.delete(memberId)
    if (group.pendingSyncs.size === 0) this.#host.cancel(syncKey(group))
  }

  #expireSyncs(group: ClassicGroup, generation: number): Writes {
    if (generation !== group.generation || !group.is('CompletingRebalance', 'Stable')) return NOTHING
    if (group.pendingSyncs.size === 0) return NOTHING
    for (const memberId of [...group.pendingSyncs]) {
      const member = group.members.get(memberId)
      if (member !== undefined) this.remove(group, member, 'expired')
    }
    return this.prepare(group, 'members did not sync')
  }

  /** The assignment is written: everybody is told of his own. */
  assign(group: ClassicGroup, assigned: ReadonlyMap<string, Uint8Array>): void {
    for (const member of group.members.values()) member.assignment = assigned.get(member.memberId) ?? NO_BYTES
    this.to(group, 'Stable', 'assignment written')
    for (const member of group.members.values()) {
      const answer = member.awaitingSync
      if (answer === undefined) continue
      member.awaitingSync = undefined
      this.heartbeat(group, member.memberId, member.sessionTimeoutMs)
      answer(group.synced(member))
    }
  }

  failSyncs(group: ClassicGroup, error: ErrorCode): void {
    for (const member of group.members.values()) {
      member.assignment = NO_BYTES
      const answer = member.awaitingSync
      if (answer === undefined) continue
      member.awaitingSync = undefined
      this.heartbeat(group, member.memberId, member.sessionTimeoutMs)
      answer(syncError(error))
    }
  }

  // ── members ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The member, or whoever was given that id, has `sessionMs` from now on to be heard of. */
  heartbeat(group: ClassicGroup, memberId: string, sessionMs: Millis): void {
    this.#schedule(heartbeatKey(group, memberId), sessionMs, group, (now) => this.#expire(now, memberId))
  }

  forgetHeartbeat(group: ClassicGroup, memberId: string): void {
    this.#host.cancel(heartbeatKey(group, memberId))
  }

  #expire(group: ClassicGroup, memberId: string): Writes {
    if (group.pendingJoins.delete(memberId)) return this.#afterExpiry(group)
    const member = group.members.get(memberId)
    if (member === undefined) return NOTHING
    const waits = !member.isNew && (member.awaitingJoin !== undefined || member.awaitingSync !== undefined)
    if (waits) return NOTHING
    this.remove(group, member, 'expired')
    if (group.is('Stable', 'CompletingRebalance')) return this.prepare(group, `member ${memberId} expired`)
    return this.#afterExpiry(group)
  }

  /** Unlike one who leaves, one who expires does not let the first rebalance wait out its delay. */
  #afterExpiry(group: ClassicGroup): Writes {
    return group.is('PreparingRebalance') && group.haveAllJoined ? this.#completeJoin(group) : NOTHING
  }

  /** A join that waits is answered; a sync is not, as in Kafka. */
  remove(group: ClassicGroup, member: Member, change: 'left' | 'expired'): void {
    group.answerJoin(member, joinError('', Errors.UNKNOWN_MEMBER_ID))
    this.forgetHeartbeat(group, member.memberId)
    group.remove(member.memberId)
    this.emitMember(group, member.memberId, member.instanceId ?? null, change)
  }

  // ── timers and events ─────────────────────────────────────────────────────────────────────────────────────────────

  #schedule(key: string, delayMs: Millis, { groupId }: ClassicGroup, operate: (group: ClassicGroup) => Writes): void {
    this.#host.schedule(key, delayMs, () => {
      const now = this.#groups.get(groupId)
      return now === undefined ? NOTHING : operate(now)
    })
  }

  to(group: ClassicGroup, state: ClassicGroupState, reason: string): void {
    const from = group.state
    group.transition(state, this.#nowMs())
    this.emit(group, from, reason)
  }

  emit(group: ClassicGroup, from: string, reason: string): void {
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

  emitMember(
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

function joinKey({ groupId }: ClassicGroup): string {
  return `join/${groupId}`
}

function syncKey({ groupId }: ClassicGroup): string {
  return `sync/${groupId}`
}

function heartbeatKey({ groupId }: ClassicGroup, memberId: string): string {
  return `heartbeat/${groupId}/${memberId}`
}
