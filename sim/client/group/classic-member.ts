/**
 * A place in a classic group: the protocol between member and coordinator (Kafka's AbstractCoordinator).
 *
 *     unjoined ── JoinGroup sent ──► preparing rebalance ── answered ──► completing rebalance ── SyncGroup answered ──► stable
 *        ▲                                  ▲  │                               │                                         │
 *        │                                  └──┼───── failed, rejoin ──────────┴──────── JoinGroup sent ─────────────────┤
 *        └── unknown member, illegal generation, fenced, left ───────────────────────────────────────────────────────────┘
 *
 * - Joining goes on within the application's polls only; heartbeats by themselves. An answer to a JoinGroup that comes while neither the
 *   application waits nor the heartbeat thread runs lies where it is until somebody looks.
 * - One JoinGroup or SyncGroup at a time. What the answer said is kept until a poll takes it.
 * - An answer to a request of another generation than the present one changes nothing.
 */

import type { Env } from '../../kernel/env.js'
import { assert } from '../../kernel/errors.js'
import type { Apis } from '../../wire/apis.js'
import { Errors, errorName, isRetriable, type ErrorCode } from '../../wire/errors.js'
import type { ConsumerConfig } from '../consumer-config.js'
import type { CoordinatorChannel } from './coordinator-channel.js'
import type { CoordinatorLookup } from './coordinator-lookup.js'
import { Heartbeat } from './heartbeat.js'
import { HeartbeatThread } from './heartbeat-thread.js'

export type ClassicState = 'unjoined' | 'preparing rebalance' | 'completing rebalance' | 'stable'

const TRANSITIONS: Readonly<Record<ClassicState, readonly ClassicState[]>> = {
  unjoined: ['preparing rebalance'],
  'preparing rebalance': ['completing rebalance', 'unjoined'],
  'completing rebalance': ['stable', 'preparing rebalance', 'unjoined'],
  stable: ['preparing rebalance', 'unjoined'],
}

type JoinRequest = Apis['JoinGroup']['request']
type JoinResponse = Apis['JoinGroup']['response']
type SyncRequest = Apis['SyncGroup']['request']
type SyncResponse = Apis['SyncGroup']['response']

/** Immutable: requests remember the one that they were sent in. */
export interface Generation {
  /** -1: none. */
  readonly id: number
  readonly memberId: string
  readonly protocol: string | null
}

export const NO_GENERATION: Generation = { id: -1, memberId: '', protocol: null }

/** What a rebalance came to. `retriable` and `rejoins` tell errors that a poll deals with from those for the application. */
export type JoinOutcome =
  | { readonly ok: true; readonly assignment: Uint8Array }
  | { readonly ok: false; readonly error: string; readonly retriable: boolean; readonly rejoins: boolean }

export interface ClassicMemberHooks {
  /** Somebody waits for answers: the application within a call, or the heartbeat thread. */
  readonly isDriven: () => boolean
  /** What is said for the next JoinGroup. */
  readonly protocols: () => JoinRequest['protocols']
  /** This member leads the group: gives the assignments, now or later. */
  readonly lead: (response: JoinResponse, done: (assignments: SyncRequest['assignments']) => void) => void
  readonly wake: () => void
}

/** How long a JoinGroup may take beyond max.poll.interval.ms. */
const JOIN_GROUP_TIMEOUT_LAPSE_MS = 5_000
const MAX_REASON_LENGTH = 255
const PROTOCOL_TYPE = 'consumer'
/** After these a member joins again at once. */
const REJOINS: ReadonlySet<ErrorCode> = new Set([
  Errors.UNKNOWN_MEMBER_ID,
  Errors.ILLEGAL_GENERATION,
  Errors.REBALANCE_IN_PROGRESS,
  Errors.MEMBER_ID_REQUIRED,
])

export class ClassicMember {
  readonly #env: Env
  readonly #config: ConsumerConfig
  readonly #channel: CoordinatorChannel
  readonly #lookup: CoordinatorLookup
  readonly #hooks: ClassicMemberHooks
  readonly heartbeat: Heartbeat
  #thread: HeartbeatThread | undefined
  #state: ClassicState = 'unjoined'
  #generation = NO_GENERATION
  #rejoinReason = ''
  rejoinNeeded = true
  /** Partitions must be given up before the next JoinGroup. */
  needsJoinPrepare = true
  #join: 'none' | 'under way' | JoinOutcome = 'none'
  /** Counts joins: answers to one that was given up change nothing. */
  #attempt = 0
  /** An answer that nobody has looked at. */
  #unread: (() => void) | undefined
  #isClosed = false

  constructor(
    env: Env,
    config: ConsumerConfig,
    channel: CoordinatorChannel,
    lookup: CoordinatorLookup,
    hooks: ClassicMemberHooks,
  ) {
    this.#env = env
    this.#config = config
    this.#channel = channel
    this.#lookup = lookup
    this.#hooks = hooks
    this.heartbeat = new Heartbeat(env, config)
    channel.onChange = () => {
      if (channel.isKnown) this.heartbeat.resetSession()
      this.#thread?.look()
    }
  }

  get state(): ClassicState {
    return this.#state
  }

  get generation(): Generation {
    return this.#generation
  }

  /** Of a stable group only: nothing can be committed in between. */
  get stableGeneration(): Generation | undefined {
    return this.#state === 'stable' ? this.#generation : undefined
  }

  get isRebalancing(): boolean {
    return this.#state === 'preparing rebalance' || this.#state === 'completing rebalance'
  }

  get hasNotJoined(): boolean {
    return this.#state === 'unjoined' || this.#state === 'preparing rebalance'
  }

  get isJoinPending(): boolean {
    return this.#join !== 'none'
  }

  get outcome(): JoinOutcome | undefined {
    return this.#join === 'none' || this.#join === 'under way' ? undefined : this.#join
  }

  /** The heartbeat thread reads answers as they come. */
  get isHeartbeating(): boolean {
    return this.#thread?.isEnabled === true && !this.hasNotJoined
  }

  get instanceId(): string | null {
    const id = this.#config['group.instance.id']
    return id === '' ? null : id
  }

  /** The application polls. What ended the heartbeats is told once. */
  polled(): ErrorCode | undefined {
    const thread = this.#thread
    if (thread === undefined) return undefined
    if (thread.failure !== undefined) {
      this.#thread = undefined
      return thread.failure
    }
    this.heartbeat.polled()
    return undefined
  }

  /** Looks at an answer that came while nobody did. */
  drive(): void {
    const unread = this.#unread
    this.#unread = undefined
    unread?.()
  }

  requestRejoin(reason: string): void {
    this.#rejoinReason = reason
    this.rejoinNeeded = true
  }

  requestRejoinIfNecessary(reason: string): void {
    if (!this.rejoinNeeded) this.requestRejoin(reason)
  }

  // ── joining ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Heartbeats begin with the first answer to a JoinGroup. */
  startThread(): void {
    if (this.#thread !== undefined) return
    const actions = {
      hasJoined: () => !this.hasNotJoined,
      isCoordinatorKnown: () => this.#channel.isKnown,
      findCoordinator: () => this.#lookup.fromHeartbeat(),
      dropCoordinator: () => this.#channel.forget(true),
      leave: () => this.leave('consumer poll timeout has expired.'),
      send: () => this.#sendHeartbeat(),
    }
    this.#thread = new HeartbeatThread(this.#env, this.heartbeat, actions, this.#config['retry.backoff.ms'])
  }

  /** Sends a JoinGroup, unless one is under way or its outcome was not taken. */
  initiateJoin(): void {
    if (this.#join !== 'none') return
    this.#join = 'under way'
    this.#attempt++
    this.#to('preparing rebalance', this.#rejoinReason === '' ? 'joins' : this.#rejoinReason)
    if (!this.#channel.isKnown) {
      this.#failed(Errors.COORDINATOR_NOT_AVAILABLE)
      return
    }
    const rebalanceTimeoutMs = this.#config['max.poll.interval.ms']
    const body: JoinRequest = {
      groupId: this.#config['group.id'],
      sessionTimeoutMs: this.#config['session.timeout.ms'],
      rebalanceTimeoutMs,
      memberId: this.#generation.memberId,
      groupInstanceId: this.instanceId,
      protocolType: PROTOCOL_TYPE,
      protocols: this.#hooks.protocols(),
      reason: this.#rejoinReason.slice(0, MAX_REASON_LENGTH),
    }
    const sent = this.#generation
    const timeoutMs = Math.max(this.#config['request.timeout.ms'], rebalanceTimeoutMs + JOIN_GROUP_TIMEOUT_LAPSE_MS)
    this.#channel.send(
      'JoinGroup',
      body,
      (result) => {
        const look = (): void =>
          result.ok ? this.#joined(result.response, sent) : this.#failed(Errors.NETWORK_EXCEPTION)
        if (this.#hooks.isDriven()) look()
        else this.#unread = look
      },
      { timeoutMs },
    )
  }

  /** The outcome of a join was dealt with. */
  takeOutcome(): void {
    this.#join = 'none'
  }

  #joined(response: JoinResponse, sent: Generation): void {
    if (this.#isClosed) return
    const { errorCode: error } = response
    switch (error) {
      case Errors.NONE:
        break
      case Errors.UNKNOWN_MEMBER_ID:
        if (this.#generation === sent) this.#resetOnError('JoinGroup', error)
        return this.#failed(error)
      case Errors.COORDINATOR_NOT_AVAILABLE:
      case Errors.NOT_COORDINATOR:
        this.#channel.forget(true)
        return this.#failed(error)
      case Errors.MEMBER_ID_REQUIRED:
        this.#generation = { id: -1, memberId: response.memberId, protocol: null }
        this.requestRejoin('need to re-join with the given member-id')
        return this.#failed(error)
      default:
        return this.#failed(error)
    }
    if (response.protocolType !== null && response.protocolType !== PROTOCOL_TYPE) {
      return this.#failed(Errors.INCONSISTENT_GROUP_PROTOCOL)
    }
    // It left meanwhile: UnjoinedGroupException.
    if (this.#state !== 'preparing rebalance') return this.#finish(failure('UNJOINED_GROUP', true, false))
    const { generationId: id, memberId, protocolName: protocol } = response
    this.#generation = { id, memberId, protocol }
    this.#to('completing rebalance', 'joined')
    this.#thread?.enable()
    const attempt = this.#attempt
    if (response.leader !== memberId) this.#sync([])
    else {
      this.#hooks.lead(response, (assignments) => {
        if (attempt === this.#attempt && this.#join === 'under way') this.#sync(assignments)
      })
    }
  }

  #sync(assignments: SyncRequest['assignments']): void {
    if (!this.#channel.isKnown) {
      this.#failed(Errors.COORDINATOR_NOT_AVAILABLE)
      return
    }
    const sent = this.#generation
    const body: SyncRequest = {
      groupId: this.#config['group.id'],
      generationId: sent.id,
      memberId: sent.memberId,
      groupInstanceId: this.instanceId,
      protocolType: PROTOCOL_TYPE,
      protocolName: sent.protocol,
      assignments,
    }
    this.#channel.send('SyncGroup', body, (result) => {
      if (result.ok) this.#synced(result.response, sent)
      else this.#failed(Errors.NETWORK_EXCEPTION)
    })
  }

  #synced(response: SyncResponse, sent: Generation): void {
    if (this.#isClosed) return
    const { errorCode: error, protocolName } = response
    switch (error) {
      case Errors.NONE:
        if (this.#state !== 'completing rebalance') return this.#failed(Errors.ILLEGAL_GENERATION)
        if (response.protocolType !== null && response.protocolType !== PROTOCOL_TYPE) {
          return this.#failed(Errors.INCONSISTENT_GROUP_PROTOCOL)
        }
        if (protocolName !== null && protocolName !== this.#generation.protocol) {
          return this.#failed(Errors.INCONSISTENT_GROUP_PROTOCOL)
        }
        this.#to('stable', 'assigned')
        this.#rejoinReason = ''
        this.rejoinNeeded = false
        return this.#finish({ ok: true, assignment: response.assignment })
      case Errors.UNKNOWN_MEMBER_ID:
      case Errors.ILLEGAL_GENERATION:
        if (this.#generation === sent) this.#resetOnError('SyncGroup', error)
        return this.#failed(error)
      case Errors.COORDINATOR_NOT_AVAILABLE:
      case Errors.NOT_COORDINATOR:
        this.#channel.forget(true)
        return this.#failed(error)
      case Errors.GROUP_AUTHORIZATION_FAILED:
      case Errors.REBALANCE_IN_PROGRESS:
      case Errors.FENCED_INSTANCE_ID:
        return this.#failed(error)
      default:
        // KafkaException: for the application, whatever it is.
        return this.#finish(failure(errorName(error), false, false))
    }
  }

  #failed(error: ErrorCode): void {
    this.#finish(failure(errorName(error), isRetriable(error), REJOINS.has(error)))
  }

  #finish(outcome: JoinOutcome): void {
    if (this.#isClosed) return
    this.#join = outcome
    this.#hooks.wake()
  }

  // ── leaving ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Forgets its place, and tells the coordinator unless it is a static member. `done` when the coordinator has answered. */
  leave(reason: string, done: () => void = () => undefined): void {
    const { memberId } = this.#generation
    const tells = this.#channel.isKnown && this.#state !== 'unjoined' && memberId !== '' && this.instanceId === null
    if (tells) {
      const members = [{ memberId, groupInstanceId: null, reason: reason.slice(0, MAX_REASON_LENGTH) }]
      this.#channel.send('LeaveGroup', { groupId: this.#config['group.id'], memberId: '', members }, done)
    }
    this.resetGeneration('consumer pro-actively leaving the group', true)
    if (!tells) done()
  }

  /** The place in the group is gone; the next poll joins anew. */
  resetGeneration(reason: string, resetsMemberId: boolean): void {
    this.#generation = resetsMemberId ? NO_GENERATION : { ...NO_GENERATION, memberId: this.#generation.memberId }
    if (this.#state !== 'unjoined') this.#to('unjoined', reason)
    this.requestRejoin(reason)
    this.needsJoinPrepare = true
  }

  resetOnCommitError(error: ErrorCode): void {
    this.#resetOnError('OffsetCommit', error)
  }

  /** With an illegal generation the member is still known by its id. */
  #resetOnError(api: string, error: ErrorCode): void {
    const reason = `encountered ${errorName(error)} from ${api} response`
    this.resetGeneration(reason, error !== Errors.ILLEGAL_GENERATION)
  }

  stopThread(): void {
    this.#thread?.close()
    this.#thread = undefined
  }

  close(): void {
    this.#isClosed = true
    this.stopThread()
  }

  // ── heartbeats ────────────────────────────────────────────────────────────────────────────────────────────────────

  #sendHeartbeat(): void {
    const sent = this.#generation
    const thread = this.#thread
    const body: Apis['Heartbeat']['request'] = {
      groupId: this.#config['group.id'],
      generationId: sent.id,
      memberId: sent.memberId,
      groupInstanceId: this.instanceId,
    }
    this.#channel.send('Heartbeat', body, (result) => {
      if (this.#isClosed) return
      const isAlive = result.ok && this.#heartbeatAnswered(result.response.errorCode, sent, thread)
      if (isAlive) this.heartbeat.answered()
      else {
        this.heartbeat.failed()
        thread?.look()
      }
    })
  }

  /** False when another heartbeat should follow after a backoff. */
  #heartbeatAnswered(error: ErrorCode, sent: Generation, thread: HeartbeatThread | undefined): boolean {
    switch (error) {
      case Errors.NONE:
        return true
      case Errors.COORDINATOR_NOT_AVAILABLE:
      case Errors.NOT_COORDINATOR:
        this.#channel.forget(true)
        return false
      case Errors.REBALANCE_IN_PROGRESS:
        if (this.#state === 'stable') {
          this.requestRejoin('group is already rebalancing')
          this.#emit(this.#state, this.#state, 'group is already rebalancing')
          this.#hooks.wake()
        }
        return true
      case Errors.ILLEGAL_GENERATION:
      case Errors.UNKNOWN_MEMBER_ID:
      case Errors.FENCED_INSTANCE_ID:
        if (this.#generation !== sent) return true
        this.#resetOnError('Heartbeat', error)
        if (error === Errors.FENCED_INSTANCE_ID) thread?.fail(error)
        this.#hooks.wake()
        return false
      default:
        return false
    }
  }

  #to(state: ClassicState, reason: string): void {
    const from = this.#state
    if (from === state) return
    assert(TRANSITIONS[from].includes(state), 'classic member: transition', { from, to: state })
    this.#state = state
    this.#emit(from, state, reason)
  }

  #emit(from: ClassicState, to: ClassicState, reason: string): void {
    const { id: generation, memberId: member } = this.#generation
    this.#env.emit('consumer.member', { group: this.#config['group.id'], member, from, to, generation, reason })
  }
}

function failure(error: string, retriable: boolean, rejoins: boolean): JoinOutcome {
  return { ok: false, error, retriable, rejoins }
}
