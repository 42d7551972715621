/**
 * A place in a KIP-848 group (Kafka's AbstractMembershipManager, ConsumerMembershipManager).
 *
 *     from \ to         joining  reconciling  acknowledging  stable  fenced  prepare leaving  leaving  unsubscribed  stale  fatal
 *     unsubscribed         ×                                               ×                                              ×
 *     joining                        ×                          ×       ×         ×                                         ×
 *     reconciling                    ×              ×           ×       ×         ×                                         ×
 *     acknowledging                  ×                          ×       ×         ×                                         ×
 *     stable                         ×                                  ×         ×                                         ×
 *     fenced               ×                                                                         ×
 *     prepare leaving                                                   ×                    ×       ×                      ×
 *     leaving                                                           ×                            ×         ×            ×
 *     stale                ×
 *
 * Reconciling: positions are committed, partitions given up, new ones taken; then the coordinator is told with the next heartbeat. Partitions
 * of topics whose names are not known yet are left for later. One reconciliation at a time; it ends early when the member was fenced meanwhile.
 * Listeners of the application are called by its polls, so that each step may take its time.
 */

import type { Env } from '../../kernel/env.js'
import { assert } from '../../kernel/errors.js'
import { parsePartition } from '../../kernel/names.js'
import type { Apis } from '../../wire/apis.js'
import type { ClientMetadata } from '../client-metadata.js'
import type { ConsumerConfig } from '../consumer-config.js'
import { byTopicAndIndex, type SubscriptionState, type TopicPartition } from '../subscription-state.js'
import { nameOf } from './assignor.js'
import { LocalAssignment } from './local-assignment.js'

export type MemberState =
  | 'unsubscribed'
  | 'joining'
  | 'reconciling'
  | 'acknowledging'
  | 'stable'
  | 'fenced'
  | 'prepare leaving'
  | 'leaving'
  | 'fatal'
  | 'stale'

const BEFORE: Readonly<Record<MemberState, readonly MemberState[]>> = {
  stable: ['joining', 'acknowledging', 'reconciling'],
  reconciling: ['stable', 'joining', 'acknowledging', 'reconciling'],
  acknowledging: ['reconciling'],
  fatal: ['joining', 'stable', 'reconciling', 'acknowledging', 'prepare leaving', 'leaving', 'unsubscribed'],
  fenced: ['joining', 'stable', 'reconciling', 'acknowledging', 'prepare leaving', 'leaving'],
  joining: ['fenced', 'unsubscribed', 'stale'],
  'prepare leaving': ['joining', 'stable', 'reconciling', 'acknowledging', 'unsubscribed'],
  leaving: ['prepare leaving'],
  unsubscribed: ['prepare leaving', 'leaving', 'fenced'],
  stale: ['leaving'],
}

const JOIN_EPOCH = 0
const LEAVE_EPOCH = -1
const LEAVE_STATIC_EPOCH = -2

export interface ConsumerMembershipHooks {
  /** Commits before partitions are given up; `done` whatever came of it. Called at once when nothing is to be committed. */
  readonly commitBeforeRebalance: (done: () => void) => void
  readonly resetAutoCommitTimer: () => void
  /** The application is told within its polls, then `done`. At once when it does not listen. */
  readonly revoked: (partitions: readonly string[], done: () => void) => void
  readonly lost: (partitions: readonly string[], done: () => void) => void
  readonly assigned: (partitions: readonly string[], owned: readonly string[], done: () => void) => void
  /** The epoch to be committed with; undefined outside the group. */
  readonly epochChanged: (epoch: number | undefined, memberId: string) => void
  readonly dropUnassigned: () => void
  /** The state changed: requests may be due. */
  readonly changed: () => void
}

export class ConsumerMembership {
  readonly #env: Env
  readonly #groupId: string
  readonly #autoCommits: boolean
  readonly #subscriptions: SubscriptionState
  readonly #metadata: ClientMetadata
  readonly #hooks: ConsumerMembershipHooks
  readonly memberId: string
  readonly instanceId: string | null
  #state: MemberState = 'unsubscribed'
  #epoch = JOIN_EPOCH
  /** What the coordinator wants. */
  #target = LocalAssignment.NONE
  /** What this member has. */
  #current = LocalAssignment.NONE
  /** Names of topics that were assigned, for when metadata does not know them any more. */
  readonly #topicNames = new Map<string, string>()
  #isReconciling = false
  #rejoinedMeanwhile = false
  #subscriptionUpdated = false
  #leaving: (() => void)[] | undefined
  #isPollTimerOver = false
  /** A stale member has not yet given up its partitions. */
  #isReleasing = false
  #joinsOnceReleased = false

  constructor(
    env: Env,
    config: ConsumerConfig,
    subscriptions: SubscriptionState,
    metadata: ClientMetadata,
    hooks: ConsumerMembershipHooks,
  ) {
    this.#env = env
    this.#groupId = config['group.id']
    this.#autoCommits = config['enable.auto.commit']
    this.#subscriptions = subscriptions
    this.#metadata = metadata
    this.#hooks = hooks
    this.memberId = env.random.uuid()
    this.instanceId = config['group.instance.id'] === '' ? null : config['group.instance.id']
  }

  get state(): MemberState {
    return this.#state
  }

  get epoch(): number {
    return this.#epoch
  }

  get current(): LocalAssignment {
    return this.#current
  }

  get isLeaving(): boolean {
    return this.#state === 'prepare leaving' || this.#state === 'leaving'
  }

  /** Nothing is to be told to the coordinator. */
  get skipsHeartbeat(): boolean {
    return ['unsubscribed', 'fatal', 'stale', 'fenced'].includes(this.#state)
  }

  /** Something is to be told at once. */
  get heartbeatsNow(): boolean {
    return this.#state === 'acknowledging' || this.#state === 'leaving' || this.#state === 'joining'
  }

  // ── the application ───────────────────────────────────────────────────────────────────────────────────────────────

  subscriptionUpdated(): void {
    this.#subscriptionUpdated = true
  }

  polled(): void {
    if (!this.#subscriptionUpdated) return
    this.#subscriptionUpdated = false
    if (this.#state === 'unsubscribed') this.#toJoining('subscribed')
  }

  /** The application polls again, after it had not for too long. */
  rejoinIfStale(): void {
    this.#isPollTimerOver = false
    if (this.#state !== 'stale') return
    if (this.#isReleasing) this.#joinsOnceReleased = true
    else this.#toJoining('polls again')
  }

  /** `done` once the coordinator was told, or cannot be. */
  leave(runsCallbacks: boolean, done: () => void): void {
    if (this.#isNotInGroup) {
      if (this.#state === 'fenced') {
        this.#clearAssignment()
        this.#to('unsubscribed', 'unsubscribed')
      }
      this.#unsubscribe()
      return done()
    }
    if (this.#leaving !== undefined) {
      this.#leaving.push(done)
      return
    }
    this.#to('prepare leaving', 'unsubscribed')
    this.#leaving = [done]
    const leave = (): void => {
      if (this.#state !== 'prepare leaving') return
      this.#unsubscribe()
      this.#clearAssignment()
      this.sendLeave(false)
    }
    const owned = this.#subscriptions.names()
    if (!runsCallbacks || owned.length === 0) leave()
    else if (this.#epoch > 0) this.#revoke(owned, leave)
    else this.#hooks.lost(owned, leave)
  }

  get #isNotInGroup(): boolean {
    return ['unsubscribed', 'fenced', 'fatal', 'stale'].includes(this.#state)
  }

  // ── heartbeats ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The next heartbeat leaves the group. */
  sendLeave(isPollTimerOver: boolean): void {
    if (this.#state === 'fatal' || this.#state === 'unsubscribed') return
    if (isPollTimerOver) {
      this.#isPollTimerOver = true
      this.#to('prepare leaving', 'consumer poll timeout has expired.')
    }
    this.#setEpoch(this.instanceId === null ? LEAVE_EPOCH : LEAVE_STATIC_EPOCH)
    this.#current = LocalAssignment.NONE
    this.#to('leaving', 'leaves')
  }

  heartbeatSent(): void {
    if (this.#state === 'acknowledging') {
      if (this.#isReconciled) this.#to('stable', 'assigned')
      else this.#to('reconciling', 'more is assigned')
    } else if (this.#state === 'leaving') {
      if (this.#isPollTimerOver) this.#toStale()
      else this.#to('unsubscribed', 'left')
    }
  }

  /** No heartbeat could be sent, for nobody is there to get it. */
  heartbeatSkipped(): void {
    if (this.#state !== 'leaving') return
    this.#to('unsubscribed', 'left without a word')
    this.#completeLeave()
  }

  answered(response: Apis['ConsumerGroupHeartbeat']['response']): void {
    if (this.#state === 'leaving') return
    if (this.#state === 'unsubscribed' && response.memberEpoch < 0 && this.#completeLeave()) return
    if (this.#isNotInGroup) return
    if (response.memberEpoch < 0) {
      this.#completeLeave()
      return
    }
    this.#setEpoch(response.memberEpoch)
    const { assignment } = response
    if (assignment === null || !BEFORE.reconciling.includes(this.#state)) return
    this.#received(new Map(assignment.topicPartitions.map(({ topicId, partitions }) => [topicId, partitions])))
  }

  heartbeatFailed(): void {
    if (this.#state === 'unsubscribed') this.#completeLeave()
  }

  /** The coordinator does not know the member, or not in this epoch. */
  fenced(reason: string): void {
    if (this.#state === 'prepare leaving') {
      this.sendLeave(false)
      this.#to('unsubscribed', reason)
      this.#completeLeave()
      return
    }
    if (this.#state === 'leaving') {
      this.#to('unsubscribed', reason)
      this.#completeLeave()
      return
    }
    // Told already, or told again by an answer that was on its way.
    if (!BEFORE.fenced.includes(this.#state)) return
    this.#to('fenced', reason)
    this.#setEpoch(JOIN_EPOCH)
    this.#hooks.lost(this.#subscriptions.names(), () => {
      this.#clearAssignment()
      if (this.#state === 'fenced') this.#toJoining('fenced')
    })
  }

  /** There is no way on. */
  failed(reason: string): void {
    const before = this.#state
    if (!BEFORE.fatal.includes(before)) return
    this.#to('fatal', reason)
    this.#hooks.epochChanged(undefined, this.memberId)
    if (before === 'unsubscribed' && this.#completeLeave()) return
    if (before === 'leaving' || before === 'prepare leaving') {
      this.#completeLeave()
      return
    }
    this.#hooks.lost(this.#subscriptions.names(), () => this.#clearAssignment())
  }

  #toJoining(reason: string): void {
    if (this.#state === 'fatal') return
    if (this.#isReconciling) this.#rejoinedMeanwhile = true
    this.#setEpoch(JOIN_EPOCH)
    this.#to('joining', reason)
    this.#forgetTarget()
  }

  #toStale(): void {
    this.#to('stale', 'did not poll')
    this.#isReleasing = true
    this.#hooks.lost(this.#subscriptions.names(), () => {
      this.#isReleasing = false
      this.#clearAssignment()
      if (!this.#joinsOnceReleased) return
      this.#joinsOnceReleased = false
      this.#toJoining('polls again')
    })
  }

  #completeLeave(): boolean {
    const waiting = this.#leaving
    this.#leaving = undefined
    for (const done of waiting ?? []) done()
    return waiting !== undefined
  }

  // ── reconciliation ────────────────────────────────────────────────────────────────────────────────────────────────

  get #isReconciled(): boolean {
    return this.#current.equals(this.#target)
  }

  #received(topics: ReadonlyMap<string, readonly number[]>): void {
    this.#target = this.#target.updatedWith(topics)
    this.#subscriptions.subscription.assignedTopicIds = new Set(this.#target.topics.keys())
    if (!this.#isReconciled) this.#to('reconciling', 'another assignment')
    else if (this.#state === 'reconciling' || this.#state === 'joining') this.#to('stable', 'assigned')
  }

  /** @param mayCommit positions may be committed: the application has handled what it was given */
  reconcile(mayCommit: boolean): void {
    if (this.#state !== 'reconciling' || this.#isReconciled || this.#isReconciling) return
    const resolved = this.#resolve()
    if (!this.#current.isNone && resolved.hasSamePartitions(this.#current)) {
      this.#current = resolved
      this.#to('acknowledging', 'nothing to do')
      return
    }
    if (this.#autoCommits && !mayCommit) return
    this.#isReconciling = true
    this.#rejoinedMeanwhile = false
    const given = resolved
      .names((id) => this.#topicNames.get(id))
      .map(partitionOf)
      .sort(byTopicAndIndex)
      .map(nameOf)
    const owned = this.#subscriptions.names()
    const added = given.filter((name) => !owned.includes(name))
    const taken = owned.filter((name) => !given.includes(name))
    this.#stopFetching(taken)
    this.#hooks.commitBeforeRebalance(() => {
      if (this.#isAborted()) return
      this.#revoke(taken, () => {
        if (!this.#isAborted()) this.#assign(resolved, given, added)
      })
    })
  }

  #assign(resolved: LocalAssignment, given: readonly string[], added: readonly string[]): void {
    this.#subscriptions.assign(given.map(partitionOf))
    for (const name of added) this.#setPendingCallback(name, true)
    this.#hooks.dropUnassigned()
    const topics = new Set(given.map((name) => partitionOf(name).topic))
    for (const [id, topic] of this.#topicNames) if (!topics.has(topic)) this.#topicNames.delete(id)
    this.#hooks.assigned(added, given, () => {
      for (const name of given) this.#setPendingCallback(name, false)
      if (!this.#isReconciling || this.#isAborted()) return
      this.#current = resolved
      this.#hooks.resetAutoCommitTimer()
      this.#isReconciling = false
      this.#to('acknowledging', 'reconciled')
    })
  }

  /** What of the target can be told by name. */
  #resolve(): LocalAssignment {
    const { snapshot } = this.#metadata
    const known = new Map<string, readonly number[]>()
    for (const [id, indexes] of this.#target.topics) {
      const name = snapshot.topicName(id) ?? this.#topicNames.get(id)
      if (name === undefined) continue
      this.#topicNames.set(id, name)
      known.set(id, indexes)
    }
    if (known.size < this.#target.topics.size) this.#metadata.requestUpdate(true)
    return new LocalAssignment(this.#target.epoch, known)
  }

  #isAborted(): boolean {
    const aborts = this.#state !== 'reconciling' || this.#rejoinedMeanwhile
    if (aborts) {
      this.#isReconciling = false
      this.#rejoinedMeanwhile = false
    }
    return aborts
  }

  #revoke(partitions: readonly string[], done: () => void): void {
    const owned = this.#subscriptions.names()
    const taken = partitions.filter((name) => owned.includes(name))
    if (taken.length === 0) return done()
    this.#stopFetching(taken)
    this.#hooks.revoked(taken, done)
  }

  #stopFetching(partitions: readonly string[]): void {
    for (const name of partitions) {
      const partition = this.#subscriptions.get(name)
      if (partition !== undefined) partition.isPendingRevocation = true
    }
  }

  #setPendingCallback(name: string, isPending: boolean): void {
    const partition = this.#subscriptions.get(name)
    if (partition !== undefined) partition.isPendingCallback = isPending
  }

  // ── state ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #unsubscribe(): void {
    this.#subscriptions.subscription.unsubscribe()
    this.#subscriptions.assign([])
    this.#hooks.dropUnassigned()
  }

  #clearAssignment(): void {
    if (this.#subscriptions.subscription.isAutomatic) {
      this.#subscriptions.assign([])
      this.#hooks.dropUnassigned()
    }
    this.#current = LocalAssignment.NONE
    this.#forgetTarget()
  }

  #forgetTarget(): void {
    this.#target = LocalAssignment.NONE
    this.#topicNames.clear()
  }

  #setEpoch(epoch: number): void {
    if (this.#epoch === epoch) return
    this.#epoch = epoch
    this.#hooks.epochChanged(epoch > 0 ? epoch : undefined, this.memberId)
  }

  #to(state: MemberState, reason: string): void {
    const from = this.#state
    assert(from === state || BEFORE[state].includes(from), 'consumer membership: transition', { from, to: state })
    this.#state = state
    const { memberId: member } = this
    if (from !== state) {
      const generation = this.#epoch
      this.#env.emit('consumer.member', { group: this.#groupId, member, from, to: state, generation, reason })
    }
    this.#hooks.changed()
  }
}

function partitionOf(name: string): TopicPartition {
  return parsePartition(name) as TopicPartition
}
