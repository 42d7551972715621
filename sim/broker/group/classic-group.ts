/**
 * One classic group: its members and where its rebalance stands (`ClassicGroup`, `ClassicGroupMember`).
 *
 *     Empty ──join──→ PreparingRebalance ──all have joined, or the time is up──→ CompletingRebalance
 *       ↑                 ↑   ↑                                                       │ the leader's assignment is written
 *       │ everybody left  │   └────────── join, leave, member expired ────────────────┤
 *       │                 └────────────── join, leave, member expired ──────────── Stable
 *       └──────── (from PreparingRebalance with nobody left)
 *     any ──deleted, or empty and without offsets──→ Dead
 *
 * Invariants: the generation grows with every completed join; a member that waits in JoinGroup or SyncGroup does not expire; only static
 * members outlive a rebalance that they do not join; the leader is a member.
 */

import { assert } from '../../kernel/errors.js'
import type { Millis } from '../../kernel/units.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import type { JoinGroupResponse } from '../../wire/messages/join-group.js'
import type { SyncGroupRequest, SyncGroupResponse } from '../../wire/messages/sync-group.js'
import { inStringOrder } from './consumer/java-order.js'
import { subscribedTopics } from './consumer-protocol.js'

export type ClassicGroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'

const PREVIOUS: Readonly<Record<ClassicGroupState, readonly ClassicGroupState[]>> = {
  Empty: ['PreparingRebalance'],
  PreparingRebalance: ['Stable', 'CompletingRebalance', 'Empty'],
  CompletingRebalance: ['PreparingRebalance'],
  Stable: ['CompletingRebalance'],
  Dead: ['Stable', 'PreparingRebalance', 'CompletingRebalance', 'Empty', 'Dead'],
}

export interface GroupProtocol {
  readonly name: string
  readonly metadata: Uint8Array
}

export interface Member {
  memberId: string
  readonly instanceId: string | undefined
  clientId: string
  clientHost: string
  rebalanceTimeoutMs: Millis
  sessionTimeoutMs: Millis
  readonly protocolType: string
  protocols: readonly GroupProtocol[]
  assignment: Uint8Array
  /** It has not completed a join yet. */
  isNew: boolean
  awaitingJoin: ((response: JoinGroupResponse) => void) | undefined
  awaitingSync: ((response: SyncGroupResponse) => void) | undefined
}

export const NO_BYTES = new Uint8Array(0)
export const NO_LEADER = ''

export class ClassicGroup {
  readonly groupId: string
  state: ClassicGroupState = 'Empty'
  previousState: ClassicGroupState = 'Empty'
  generation = 0
  leaderId: string | undefined
  protocolType: string | undefined
  protocolName: string | undefined
  /** Wall clock of the last change of state; -1 when there was none. */
  stateTimestamp: Millis = -1
  /** Topics that the members of a group of consumers subscribed to when the generation began; undefined when they are not known. */
  subscribedTopics: ReadonlySet<string> | undefined
  /** A member joined since the initial delay was last extended. */
  newMemberAdded = false
  /** In the order of joining. */
  readonly members = new Map<string, Member>()
  /** group.instance.id → member id. */
  readonly staticMembers = new Map<string, string>()
  /** Member ids that were given out, whose owners have not joined with them yet (KIP-394). */
  readonly pendingJoins = new Set<string>()
  /** Members that have not sent SyncGroup in this generation. */
  readonly pendingSyncs = new Set<string>()

  constructor(groupId: string) {
    this.groupId = groupId
  }

  transition(to: ClassicGroupState, nowMs: Millis): void {
    assert(PREVIOUS[to].includes(this.state), 'classic group: transition', {
      group: this.groupId,
      from: this.state,
      to,
    })
    this.previousState = this.state
    this.state = to
    this.stateTimestamp = nowMs
  }

  is(...states: readonly ClassicGroupState[]): boolean {
    return states.includes(this.state)
  }

  /** A group of consumers, as against offsets without members. */
  get usesConsumerProtocol(): boolean {
    return this.protocolType === 'consumer'
  }

  /** Nothing but offsets: it has no record of its own. */
  get isSimple(): boolean {
    return this.protocolType === undefined && this.is('Empty') && this.pendingJoins.size === 0
  }

  // ── members ───────────────────────────────────────────────────────────────────────────────────────────────────────

  add(member: Member): void {
    if (this.members.size === 0) this.protocolType = member.protocolType
    this.leaderId ??= member.memberId
    this.members.set(member.memberId, member)
    if (member.instanceId !== undefined) this.staticMembers.set(member.instanceId, member.memberId)
    this.pendingJoins.delete(member.memberId)
  }

  remove(memberId: string): void {
    const member = this.members.get(memberId)
    if (member === undefined) return
    this.members.delete(memberId)
    if (member.instanceId !== undefined) this.staticMembers.delete(member.instanceId)
    if (this.leaderId === memberId) this.leaderId = this.members.keys().next().value
    this.pendingJoins.delete(memberId)
    this.pendingSyncs.delete(memberId)
  }

  /** Gives the place of a static member to the instance that came back with another id. */
  replaceStatic(instanceId: string, oldId: string, newId: string): Member {
    const member = this.members.get(oldId)
    assert(member !== undefined, 'classic group: static member', { instanceId, oldId })
    member.awaitingJoin?.(joinError(oldId, Errors.FENCED_INSTANCE_ID))
    member.awaitingJoin = undefined
    member.awaitingSync?.(syncError(Errors.FENCED_INSTANCE_ID))
    member.awaitingSync = undefined
    // It keeps its place in the order of members.
    const others = [...this.members.values()]
    member.memberId = newId
    this.members.clear()
    for (const other of others) this.members.set(other.memberId, other)
    this.staticMembers.set(instanceId, newId)
    if (this.leaderId === oldId) this.leaderId = newId
    member.isNew = false
    return member
  }

  /** Answers the join that the member waits for. */
  answerJoin(member: Member, response: JoinGroupResponse): void {
    const answer = member.awaitingJoin
    member.awaitingJoin = undefined
    answer?.(response)
  }

  /** Answers whoever waits. */
  answerAll(error: ErrorCode): void {
    for (const member of this.members.values()) {
      member.awaitingJoin?.(joinError(member.memberId, error))
      member.awaitingJoin = undefined
      member.awaitingSync?.(syncError(error))
      member.awaitingSync = undefined
    }
  }

  /** What is wrong with a request of this member, if anything. */
  check(memberId: string, instanceId: string | null): ErrorCode {
    if (instanceId !== null) {
      const known = this.staticMembers.get(instanceId)
      if (known === undefined) return Errors.UNKNOWN_MEMBER_ID
      if (known !== memberId) return Errors.FENCED_INSTANCE_ID
    }
    return this.members.has(memberId) ? Errors.NONE : Errors.UNKNOWN_MEMBER_ID
  }

  get awaitingJoinCount(): number {
    let count = 0
    for (const member of this.members.values()) if (member.awaitingJoin !== undefined) count++
    return count
  }

  get haveAllJoined(): boolean {
    return this.members.size === this.awaitingJoinCount && this.pendingJoins.size === 0
  }

  /** The longest time that a member gives a rebalance. */
  get rebalanceTimeoutMs(): Millis {
    let longest = 0
    for (const member of this.members.values()) longest = Math.max(longest, member.rebalanceTimeoutMs)
    return longest
  }

  /** Makes somebody who has joined the leader, if the leader has not. False when nobody has. */
  electJoinedLeader(): boolean {
    const leader = this.leaderId === undefined ? undefined : this.members.get(this.leaderId)
    if (leader?.awaitingJoin !== undefined) return true
    for (const member of this.members.values()) {
      if (member.awaitingJoin === undefined) continue
      this.leaderId = member.memberId
      return true
    }
    return false
  }

  // ── protocols ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Whether a member with these protocols can be part of the group. */
  supports(protocolType: string, protocols: readonly GroupProtocol[]): boolean {
    if (this.is('Empty')) return protocolType !== '' && protocols.length > 0
    return protocolType === this.protocolType && protocols.some(({ name }) => this.#isCommon(name))
  }

  #isCommon(name: string): boolean {
    for (const member of this.members.values()) if (!member.protocols.some((own) => own.name === name)) return false
    return true
  }

  /** Each member votes for the first of its protocols that everybody has; most votes win. */
  selectProtocol(): string {
    const votes = new Map<string, number>()
    for (const member of this.members.values()) {
      const vote = member.protocols.find(({ name }) => this.#isCommon(name))
      assert(vote !== undefined, 'classic group: no common protocol', { group: this.groupId })
      votes.set(vote.name, (votes.get(vote.name) ?? 0) + 1)
    }
    let winner = ''
    for (const name of inStringOrder(votes.keys())) {
      if (winner === '' || (votes.get(name) ?? 0) > (votes.get(winner) ?? 0)) winner = name
    }
    return winner
  }

  initNextGeneration(nowMs: Millis): void {
    this.generation++
    const isEmpty = this.members.size === 0
    this.protocolName = isEmpty ? undefined : this.selectProtocol()
    this.subscribedTopics = this.computeSubscribedTopics()
    this.transition(isEmpty ? 'Empty' : 'CompletingRebalance', nowMs)
    this.pendingSyncs.clear()
  }

  /** What members subscribe to; undefined when the group is not one of consumers, or what they say cannot be read. */
  computeSubscribedTopics(): ReadonlySet<string> | undefined {
    if (!this.usesConsumerProtocol || (this.members.size > 0 && this.protocolName === undefined)) return undefined
    const topics = new Set<string>()
    for (const member of this.members.values()) {
      const own = subscribedTopics(this.metadataOf(member))
      if (own === undefined) return undefined
      for (const topic of own) topics.add(topic)
    }
    return topics
  }

  /** Consumers of which nobody knows what they subscribe to may subscribe to anything. */
  isSubscribedTo(topic: string): boolean {
    return this.subscribedTopics?.has(topic) ?? this.usesConsumerProtocol
  }

  metadataOf(member: Member): Uint8Array {
    return member.protocols.find(({ name }) => name === this.protocolName)?.metadata ?? NO_BYTES
  }

  // ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Whether there is room for this member, of `most` in all. */
  accepts(memberId: string, most: number): boolean {
    switch (this.state) {
      case 'PreparingRebalance':
        // Members that wait have their place; others only while there is room.
        return this.members.get(memberId)?.awaitingJoin !== undefined || this.awaitingJoinCount < most
      case 'CompletingRebalance':
      case 'Stable':
        return this.members.has(memberId) || this.members.size < most
      default:
        return true
    }
  }

  /** What is wrong with this SyncGroup, if anything. */
  checkSync(request: SyncGroupRequest): ErrorCode {
    if (this.is('Dead')) return Errors.COORDINATOR_NOT_AVAILABLE
    const error = this.check(request.memberId, request.groupInstanceId)
    if (error !== Errors.NONE) return error
    if (request.generationId !== this.generation) return Errors.ILLEGAL_GENERATION
    const { protocolType, protocolName } = request
    if (
      (protocolType !== null && protocolType !== this.protocolType) ||
      (protocolName !== null && this.protocolName !== undefined && protocolName !== this.protocolName)
    ) {
      return Errors.INCONSISTENT_GROUP_PROTOCOL
    }
    if (this.is('Empty')) return Errors.UNKNOWN_MEMBER_ID
    return this.is('PreparingRebalance') ? Errors.REBALANCE_IN_PROGRESS : Errors.NONE
  }

  /** The answer to a join that succeeded. */
  joined({ memberId }: Member, withMembers: boolean): JoinGroupResponse {
    return {
      throttleTimeMs: 0,
      errorCode: Errors.NONE,
      generationId: this.generation,
      protocolType: this.protocolType ?? null,
      protocolName: this.protocolName ?? null,
      leader: this.leaderId ?? '',
      skipAssignment: false,
      memberId,
      members: withMembers ? this.memberList() : [],
    }
  }

  synced(member: Member): SyncGroupResponse {
    return {
      throttleTimeMs: 0,
      errorCode: Errors.NONE,
      protocolType: this.protocolType ?? null,
      protocolName: this.protocolName ?? null,
      assignment: member.assignment,
    }
  }

  /** What the leader is told of the members. */
  memberList(): JoinGroupResponse['members'] {
    return [...this.members.values()].map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId ?? null,
      metadata: this.metadataOf(member),
    }))
  }
}

export function isSameProtocols(a: readonly GroupProtocol[], b: readonly GroupProtocol[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ name, metadata }, at) => name === b[at]?.name && isSameBytes(metadata, b[at].metadata))
  )
}

function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at])
}

export function joinError(memberId: string, errorCode: ErrorCode): JoinGroupResponse {
  return {
    throttleTimeMs: 0,
    errorCode,
    generationId: -1,
    protocolType: null,
    protocolName: null,
    leader: NO_LEADER,
    skipAssignment: false,
    memberId,
    members: [],
  }
}

export function syncError(errorCode: ErrorCode): SyncGroupResponse {
  return { throttleTimeMs: 0, errorCode, protocolType: null, protocolName: null, assignment: NO_BYTES }
}
