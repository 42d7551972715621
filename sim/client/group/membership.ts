/**
 * A consumer's place in a classic group (`AbstractCoordinator`, `ConsumerCoordinator`, `Heartbeat`).
 *
 *     unjoined ──JoinGroup sent──→ preparing ──answered──→ completing ──SyncGroup answered──→ stable
 *        ↑                            │                       │                                │
 *        └── error, unknown member, illegal generation, left ──┴────────── rejoin is needed ────┘
 *
 * What the application must see (revoked, assigned, lost) happens within its polls only: `poll` is called by each and calls the host, which may
 * take its time. Heartbeats go on by themselves, as from Kafka's own thread, and stop when the application has not polled for
 * max.poll.interval.ms: then the member leaves (a static one only falls silent).
 *
 * Invariants: one JoinGroup or SyncGroup under way at most; heartbeats only in a generation; an answer to an older generation
 * changes nothing.
 */

import type { Env, EnvTimer } from '../../kernel/env.js'
import type { Millis } from '../../kernel/units.js'
import type { Apis } from '../../wire/apis.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import type { AssignorMember, PartitionCounts } from './assignors.js'
import { type Assignor, assignorOf } from './assignors.js'
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './consumer-protocol.js'
import type { CoordinatorClient } from './coordinator-client.js'
import type { GroupConsumerConfig } from './group-config.js'
import type { GroupMetadata } from './offset-commits.js'

export type MemberState = 'unjoined' | 'preparing' | 'completing' | 'stable'

/** What the membership asks of the consumer, always within a poll. */
export interface MembershipHost {
  /** Before joining: `isLost` when the member's place is gone already. Calls `done` when partitions are given up. */
  prepareJoin(isLost: boolean, isCooperative: boolean, done: () => void): void
  /** The group has given these; `done` when the application knows. True is answered when it must join again, to give up others. */
  assigned(partitions: readonly string[], isCooperative: boolean, done: (rejoins: boolean) => void): void
  /** Topics of the subscription and, for those that exist, their partitions. */
  readonly topics: readonly string[]
  partitionCount(topic: string): number | undefined
  readonly owned: readonly string[]
  /** Something happened that a poll should look at. */
  wake(): void
  /** The application must know: this consumer cannot go on. */
  failed(error: ErrorCode): void
}

const NO_GENERATION = -1

export class Membership {
  readonly #env: Env
  readonly #config: GroupConsumerConfig
  readonly #coordinator: CoordinatorClient
  readonly #host: MembershipHost
  readonly #assignors: readonly Assignor[]
  #state: MemberState = 'unjoined'
  #generation = NO_GENERATION
  #memberId = ''
  #protocol = ''
  #needsRejoin = true
  /** Partitions were not given up yet for the join to come. */
  #needsPrepare = true
  #isPreparing = false
  #isJoining = false
  /** What SyncGroup answered, until a poll takes it. */
  #received: Uint8Array | undefined
  #isTaking = false
  /** Partition counts that the leader assigned by. */
  #assignedBy: ReadonlyMap<string, number> | undefined
  #joinedTopics = ''
  #lastPollMs: Millis
  #lastHeartbeatAnswerMs: Millis = 0
  #isHeartbeating = false
  #heartbeatTimer: EnvTimer | undefined
  #retryAtMs: Millis = 0
  #isClosed = false

  constructor(env: Env, config: GroupConsumerConfig, coordinator: CoordinatorClient, host: MembershipHost) {
    this.#env = env
    this.#config = config
    this.#coordinator = coordinator
    this.#host = host
    this.#lastPollMs = this.#nowMs()
    this.#assignors = config['partition.assignment.strategy'].map((name) => assignorOf(name) as Assignor)
  }

  get state(): MemberState {
    return this.#state
  }

  /** Cooperative only when every assignor is: a group of both kinds rebalances the eager way. */
  get isCooperative(): boolean {
    return this.#assignors.every((assignor) => assignor.isCooperative)
  }

  /** The member's identity in a stable group; undefined in between. */
  get identity(): GroupMetadata | undefined {
    return this.#state === 'stable' ? this.metadata : undefined
  }

  get metadata(): GroupMetadata {
    return {
      groupId: this.#config['group.id'],
      generation: this.#generation,
      memberId: this.#memberId,
      groupInstanceId: this.#instanceId,
    }
  }

  get #instanceId(): string | null {
    const id = this.#config['group.instance.id']
    return id === '' ? null : id
  }

  // ── within polls ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** The application polls. False while it must wait: partitions are being given up or handed over. */
  poll(isNewPoll: boolean): boolean {
    if (isNewPoll) this.#lastPollMs = this.#nowMs()
    if (this.#isPreparing || this.#isTaking) return false
    if (this.#coordinator.coordinator === undefined) this.#coordinator.find()
    if (this.#received !== undefined) return this.#take(this.#received)
    this.#checkTopics()
    if (!this.#needsRejoin || this.#isJoining) return true
    if (this.#coordinator.coordinator === undefined || this.#nowMs() < this.#retryAtMs) return true
    if (!this.#needsPrepare) {
      this.#join()
      return true
    }
    this.#isPreparing = true
    let isDone = false
    const isLost = this.#generation === NO_GENERATION
    this.#host.prepareJoin(isLost, this.isCooperative, () => {
      this.#isPreparing = false
      this.#needsPrepare = false
      isDone = true
      this.#host.wake()
    })
    // Nothing to wait for: go on at once.
    return isDone ? this.poll(false) : false
  }

  /** When a poll should look again by itself; Infinity when an event will tell. */
  get retryDelayMs(): Millis {
    if (!this.#needsRejoin || this.#isJoining) return Infinity
    return Math.max(this.#retryAtMs - this.#nowMs(), 1)
  }

  #take(bytes: Uint8Array): boolean {
    this.#received = undefined
    this.#isTaking = true
    let isDone = false
    this.#host.assigned(decodeAssignment(bytes), this.isCooperative, (rejoins) => {
      this.#isTaking = false
      isDone = true
      if (rejoins) this.#requestRejoin('gives up partitions')
      this.#host.wake()
    })
    return isDone
  }

  /** The leader watches the partitions of what is subscribed; everybody their own subscription. */
  #checkTopics(): void {
    if (this.#state !== 'stable' || this.#needsRejoin) return
    if (this.#joinedTopics !== subscriptionKey(this.#host.topics)) {
      this.#requestRejoin('another subscription')
      return
    }
    if (this.#assignedBy === undefined) return
    for (const [topic, count] of this.#assignedBy) {
      const now = this.#host.partitionCount(topic)
      if (now !== undefined && now !== count) {
        this.#requestRejoin('partitions changed')
        return
      }
    }
  }

  // ── joining ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #join(): void {
    this.#isJoining = true
    this.#to('preparing', 'joins')
    const { owned, topics } = this.#host
    this.#joinedTopics = subscriptionKey(topics)
    const subscription = encodeSubscription({
      topics,
      owned: this.isCooperative ? owned : [],
      generation: this.#generation,
      rack: this.#config['client.rack'] === '' ? null : this.#config['client.rack'],
    })
    const rebalanceTimeoutMs = this.#config['max.poll.interval.ms']
    const body: Apis['JoinGroup']['request'] = {
      groupId: this.#config['group.id'],
      sessionTimeoutMs: this.#config['session.timeout.ms'],
      rebalanceTimeoutMs,
      memberId: this.#memberId,
      groupInstanceId: this.#instanceId,
      protocolType: 'consumer',
      protocols: this.#assignors.map(({ name }) => ({ name, metadata: subscription })),
      reason: '',
    }
    const timeoutMs = Math.max(this.#config['request.timeout.ms'], rebalanceTimeoutMs + 5_000)
    this.#coordinator.send(
      'JoinGroup',
      body,
      (result) => {
        if (this.#isClosed) return
        if (result.ok) this.#joined(result.response)
        else this.#rejoinLater('no answer to JoinGroup')
      },
      { timeoutMs },
    )
  }

  #joined(response: Apis['JoinGroup']['response']): void {
    switch (response.errorCode) {
      case Errors.NONE:
        break
      case Errors.MEMBER_ID_REQUIRED:
        this.#memberId = response.memberId
        this.#isJoining = false
        this.#to('unjoined', 'was given its id')
        this.#host.wake()
        return
      case Errors.COORDINATOR_LOAD_IN_PROGRESS:
      case Errors.REBALANCE_IN_PROGRESS:
        return this.#rejoinLater('the coordinator is not ready')
      case Errors.NOT_COORDINATOR:
      case Errors.COORDINATOR_NOT_AVAILABLE:
        this.#coordinator.forget()
        return this.#rejoinLater('another coordinator')
      case Errors.UNKNOWN_MEMBER_ID:
        this.#forgetGeneration('unknown member')
        return this.#rejoinLater('unknown member')
      default:
        return this.#fail(response.errorCode)
    }
    // It left meanwhile.
    if (this.#state !== 'preparing') return this.#rejoinLater('left meanwhile')
    this.#generation = response.generationId
    this.#memberId = response.memberId
    this.#protocol = response.protocolName ?? ''
    this.#to('completing', 'joined')
    this.#beginHeartbeats()
    const isLeader = response.leader === response.memberId
    if (!isLeader) this.#assignedBy = undefined
    this.#sync(isLeader && !response.skipAssignment ? this.#assign(response) : [])
  }

  /** The leader works out who gets what. */
  #assign(response: Apis['JoinGroup']['response']): Apis['SyncGroup']['request']['assignments'] {
    const assignor = assignorOf(this.#protocol) as Assignor
    const members = response.members.map(({ memberId, groupInstanceId, metadata }): AssignorMember => {
      const { topics, owned, generation } = decodeSubscription(metadata)
      return { memberId, instanceId: groupInstanceId ?? undefined, topics, owned, generation }
    })
    const counts = new Map<string, number>()
    for (const { topics } of members) {
      for (const topic of topics) {
        const count = this.#host.partitionCount(topic)
        if (count !== undefined) counts.set(topic, count)
      }
    }
    // A topic that is not known yet: to be looked at again once it is.
    this.#assignedBy = new Map(members.flatMap(({ topics }) => topics.map((topic) => [topic, counts.get(topic) ?? 0])))
    const assignments = assignor.assign(counts as PartitionCounts, members)
    return [...assignments].map(([memberId, partitions]) => ({ memberId, assignment: encodeAssignment(partitions) }))
  }

  #sync(assignments: Apis['SyncGroup']['request']['assignments']): void {
    const generation = this.#generation
    const body: Apis['SyncGroup']['request'] = {
      groupId: this.#config['group.id'],
      generationId: generation,
      memberId: this.#memberId,
      groupInstanceId: this.#instanceId,
      protocolType: 'consumer',
      protocolName: this.#protocol,
      assignments,
    }
    this.#coordinator.send('SyncGroup', body, (result) => {
      if (this.#isClosed) return
      if (result.ok) this.#synced(result.response, generation)
      else this.#rejoinLater('no answer to SyncGroup')
    })
  }

  #synced(response: Apis['SyncGroup']['response'], generation: number): void {
    const isCurrent = this.#state === 'completing' && this.#generation === generation
    switch (response.errorCode) {
      case Errors.NONE:
        if (!isCurrent) return this.#rejoinLater('left meanwhile')
        this.#isJoining = false
        this.#needsRejoin = false
        this.#needsPrepare = true
        this.#received = response.assignment
        this.#to('stable', 'assigned')
        this.#host.wake()
        return
      case Errors.REBALANCE_IN_PROGRESS:
        return this.#rejoinLater('the group rebalances', 0)
      case Errors.NOT_COORDINATOR:
      case Errors.COORDINATOR_NOT_AVAILABLE:
        this.#coordinator.forget()
        return this.#rejoinLater('another coordinator')
      case Errors.UNKNOWN_MEMBER_ID:
      case Errors.ILLEGAL_GENERATION:
        if (isCurrent) this.#forgetGeneration('unknown to the coordinator')
        return this.#rejoinLater('unknown to the coordinator')
      case Errors.COORDINATOR_LOAD_IN_PROGRESS:
        return this.#rejoinLater('the coordinator loads')
      default:
        return this.#fail(response.errorCode)
    }
  }

  #rejoinLater(reason: string, backoffMs = this.#config['retry.backoff.ms']): void {
    this.#isJoining = false
    this.#needsRejoin = true
    this.#to('unjoined', reason)
    this.#retryAtMs = this.#nowMs() + backoffMs
    this.#host.wake()
  }

  #requestRejoin(reason: string): void {
    if (this.#needsRejoin) return
    this.#needsRejoin = true
    this.#env.emit('consumer.member', this.#event(this.#state, reason))
    this.#host.wake()
  }

  #fail(error: ErrorCode): void {
    this.#isJoining = false
    this.#forgetGeneration('refused')
    this.#host.failed(error)
  }

  /** The place in the group is gone. */
  #forgetGeneration(reason: string): void {
    this.#generation = NO_GENERATION
    // A static member is known by its instance; its id was somebody else's then.
    this.#memberId = ''
    this.#received = undefined
    this.#needsRejoin = true
    this.#needsPrepare = true
    this.#to('unjoined', reason)
    this.#stopHeartbeats()
  }

  /** The coordinator refused a commit for who the member is. */
  refused(error: ErrorCode, identity: GroupMetadata): void {
    if (identity.generation !== this.#generation || identity.memberId !== this.#memberId) return
    if (error === Errors.FENCED_INSTANCE_ID) this.#fail(error)
    else if (error === Errors.REBALANCE_IN_PROGRESS) this.#requestRejoin('the group rebalances')
    else {
      this.#forgetGeneration('unknown to the coordinator')
      this.#host.wake()
    }
  }

  // ── heartbeats ────────────────────────────────────────────────────────────────────────────────────────────────────

  #beginHeartbeats(): void {
    this.#lastHeartbeatAnswerMs = this.#nowMs()
    if (this.#heartbeatTimer !== undefined) return
    this.#scheduleHeartbeat(this.#config['heartbeat.interval.ms'])
  }

  #scheduleHeartbeat(delayMs: Millis): void {
    const untilLeaveMs = this.#lastPollMs + this.#config['max.poll.interval.ms'] - this.#nowMs()
    this.#heartbeatTimer = this.#env.after(Math.max(1, Math.min(delayMs, untilLeaveMs)), () => {
      this.#heartbeatTimer = undefined
      this.#beat()
    })
  }

  #stopHeartbeats(): void {
    this.#heartbeatTimer?.cancel()
    this.#heartbeatTimer = undefined
  }

  #beat(): void {
    if (this.#isClosed || this.#generation === NO_GENERATION) return
    const nowMs = this.#nowMs()
    if (nowMs - this.#lastPollMs >= this.#config['max.poll.interval.ms']) {
      this.leave('max.poll.interval.ms without a poll')
      return
    }
    const intervalMs = this.#config['heartbeat.interval.ms']
    if (nowMs - this.#lastHeartbeatAnswerMs >= this.#config['session.timeout.ms']) {
      this.#lastHeartbeatAnswerMs = nowMs
      this.#coordinator.forget()
    }
    if (!this.#isHeartbeating && this.#coordinator.coordinator !== undefined && this.#state !== 'unjoined')
      this.#sendHeartbeat()
    if (this.#heartbeatTimer === undefined && this.#generation !== NO_GENERATION) this.#scheduleHeartbeat(intervalMs)
  }

  #sendHeartbeat(): void {
    this.#isHeartbeating = true
    const { groupId, generation, memberId, groupInstanceId } = this.metadata
    const timeoutMs = Math.min(this.#config['request.timeout.ms'], this.#config['session.timeout.ms'])
    this.#coordinator.send(
      'Heartbeat',
      { groupId, generationId: generation, memberId, groupInstanceId },
      (result) => {
        this.#isHeartbeating = false
        if (this.#isClosed || !result.ok) return
        // An answer about a place that it has no more.
        if (generation !== this.#generation || memberId !== this.#memberId) return
        this.#heartbeatAnswered(result.response.errorCode)
      },
      { timeoutMs },
    )
  }

  #heartbeatAnswered(error: ErrorCode): void {
    switch (error) {
      case Errors.NONE:
        this.#lastHeartbeatAnswerMs = this.#nowMs()
        return
      case Errors.COORDINATOR_NOT_AVAILABLE:
      case Errors.NOT_COORDINATOR:
        this.#coordinator.forget()
        return
      case Errors.REBALANCE_IN_PROGRESS:
        this.#lastHeartbeatAnswerMs = this.#nowMs()
        if (this.#state === 'stable') this.#requestRejoin('the group rebalances')
        return
      case Errors.ILLEGAL_GENERATION:
      case Errors.UNKNOWN_MEMBER_ID:
        this.#forgetGeneration('unknown to the coordinator')
        this.#host.wake()
        return
      default:
        this.#fail(error)
    }
  }

  // ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Leaves the group; a static member keeps its place, for when it comes back. */
  leave(reason: string, done: () => void = () => undefined): void {
    const { groupId, memberId, groupInstanceId } = this.metadata
    const isKnown = this.#coordinator.coordinator !== undefined && memberId !== '' && groupInstanceId === null
    this.#isJoining = false
    this.#forgetGeneration(reason)
    if (!isKnown) {
      this.#env.soon(done)
      return
    }
    const members = [{ memberId, groupInstanceId, reason }]
    this.#coordinator.send('LeaveGroup', { groupId, memberId: '', members }, () => done())
  }

  close(): void {
    this.#isClosed = true
    this.#stopHeartbeats()
  }

  #to(state: MemberState, reason: string): void {
    if (state === this.#state) return
    const from = this.#state
    this.#state = state
    this.#env.emit('consumer.member', this.#event(from, reason))
  }

  #event(from: string, reason: string) {
    return {
      group: this.#config['group.id'],
      member: this.#memberId,
      from,
      to: this.#state,
      generation: this.#generation,
      reason,
    }
  }

  #nowMs(): Millis {
    return this.#env.clock.monotonicMs()
  }
}

function subscriptionKey(topics: readonly string[]): string {
  return [...topics].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)).join(' ')
}
