/**
 * A member of a classic group, as its consumer sees it (Kafka's ConsumerCoordinator; KIP-62, KIP-345, KIP-429).
 *
 * Everything that the application notices happens in the rounds of its poll loop:
 *
 *     find the coordinator → commit if that is due before giving up → give up partitions (listener) → join → take the assignment
 *     over (listener) → commit by the interval
 *
 * - With the eager protocol all partitions are given up before joining, with the cooperative one only those that the assignment takes; then
 *   the member joins once more, so that somebody else gets them. It is cooperative only when all its assignors are.
 * - A member whose generation is gone has lost its partitions: they are not committed any more.
 * - The leader joins anew when the partitions of the group's topics change, everybody when their own subscription does.
 */

import type { Env } from '../../kernel/env.js'
import { parsePartition } from '../../kernel/names.js'
import type { Millis } from '../../kernel/units.js'
import type { Apis } from '../../wire/apis.js'
import { errorName } from '../../wire/errors.js'
import type { ClientMetadata } from '../client-metadata.js'
import { assignorsOf, type ConsumerConfig } from '../consumer-config.js'
import { Deadline } from '../deadline.js'
import { ExponentialBackoff } from '../exponential-backoff.js'
import { byTopicAndIndex, type SubscriptionState, type TopicPartition } from '../subscription-state.js'
import { nameOf, type Assignor, type MemberSubscription } from './assignor.js'
import { makeAssignor } from './assignors.js'
import { ClassicMember } from './classic-member.js'
import { type AsyncCommit, ClassicOffsets, FetchAttempts } from './classic-offsets.js'
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './consumer-protocol.js'
import type { CoordinatorChannel } from './coordinator-channel.js'
import { CoordinatorLookup } from './coordinator-lookup.js'
import type { CommitDone, Committed, GroupCoordinator, PollStep } from './group-types.js'
import { assignablePartitions, WatchedTopics } from './metadata-watch.js'
import { RebalanceCallbacks } from './rebalance-callbacks.js'
import type { GroupMetadata, Offsets } from './offset-commits.js'

type JoinRequest = Apis['JoinGroup']['request']
type JoinResponse = Apis['JoinGroup']['response']
type SyncAssignments = Apis['SyncGroup']['request']['assignments']

export interface ClassicCoordinatorParts {
  readonly subscriptions: SubscriptionState
  readonly metadata: ClientMetadata
  readonly channel: CoordinatorChannel
  /** The application waits within poll, and not for a listener. */
  readonly isPolling: () => boolean
  /** A position was set to what is committed. */
  readonly setPositions: (found: Committed) => void
  readonly dropUnassigned: () => void
  /** Something happened that a poll should look at. */
  readonly wake: () => void
}

export class ClassicCoordinator implements GroupCoordinator {
  readonly #env: Env
  readonly #config: ConsumerConfig
  readonly #parts: ClassicCoordinatorParts
  readonly #subscriptions: SubscriptionState
  readonly #metadata: ClientMetadata
  readonly #channel: CoordinatorChannel
  readonly #lookup: CoordinatorLookup
  readonly #member: ClassicMember
  readonly #offsets: ClassicOffsets
  readonly #callbacks: RebalanceCallbacks
  readonly #assignors: readonly Assignor[]
  readonly #isCooperative: boolean
  readonly #fetchAttempts: FetchAttempts
  readonly #nextAutoCommit: Deadline
  readonly #autoCommits: boolean
  #identity: GroupMetadata
  #isLeader = false
  /** Topics of the subscription that was told with the last JoinGroup. */
  #joinedTopics: ReadonlySet<string> | undefined
  #watched: WatchedTopics
  /** What the leader assigned by. */
  #assignedBy: WatchedTopics | undefined
  /** Metadata newer than this version is waited for. */
  #awaited: { readonly version: number; readonly resume: (() => void) | undefined } | undefined
  #joinPrepare: Deadline | undefined
  /** The commit before partitions are given up. */
  #prepareCommit: AsyncCommit | undefined
  #isClosing = false

  constructor(env: Env, config: ConsumerConfig, parts: ClassicCoordinatorParts) {
    this.#env = env
    this.#config = config
    this.#parts = parts
    this.#subscriptions = parts.subscriptions
    this.#metadata = parts.metadata
    this.#channel = parts.channel
    const backoff = new ExponentialBackoff(config['retry.backoff.ms'], config['retry.backoff.max.ms'], env.random)
    const wake = (): void => this.#wake()
    this.#lookup = new CoordinatorLookup(env, parts.channel, parts.metadata, backoff, wake)
    this.#member = new ClassicMember(env, config, parts.channel, this.#lookup, {
      isDriven: () => parts.isPolling() || this.#offsets.hasWaiting || this.#isClosing || this.#member.isHeartbeating,
      protocols: () => this.#protocols(),
      lead: (response, done) => this.#lead(response, done),
      wake,
    })
    this.#offsets = new ClassicOffsets(
      env,
      config,
      parts.channel,
      this.#lookup,
      this.#member,
      parts.subscriptions,
      wake,
    )
    this.#callbacks = new RebalanceCallbacks(env, parts.subscriptions, () => this.#present, wake)
    this.#assignors = assignorsOf(config).map(makeAssignor)
    this.#isCooperative = this.#assignors.every(({ protocols }) => protocols.includes('cooperative'))
    this.#fetchAttempts = new FetchAttempts(env, wake)
    this.#nextAutoCommit = new Deadline(env, config['auto.commit.interval.ms'])
    this.#autoCommits = config['enable.auto.commit']
    this.#identity = this.#present
    this.#watched = this.#watch()
    this.#metadata.requestUpdate(true)
  }

  /** Of the assignment that was taken over last. */
  get metadata(): GroupMetadata {
    return this.#identity
  }

  get inFlight(): number {
    return this.#channel.inFlight
  }

  get #present(): GroupMetadata {
    const { id: generation, memberId } = this.#member.generation
    return { groupId: this.#config['group.id'], memberId, generation, groupInstanceId: this.#member.instanceId }
  }

  get #rejoinNeededOrPending(): boolean {
    const { subscription } = this.#subscriptions
    if (!subscription.isAutomatic) return false
    if (this.#assignedBy !== undefined && !this.#assignedBy.matches(this.#watched)) {
      this.#member.requestRejoinIfNecessary('cached metadata has changed')
      return true
    }
    if (this.#joinedTopics !== undefined && !isSameSet(this.#joinedTopics, subscription.subscribed)) {
      this.#member.requestRejoinIfNecessary('subscription has changed')
      return true
    }
    return this.#member.rejoinNeeded || this.#member.isJoinPending
  }

  // ── the poll loop ─────────────────────────────────────────────────────────────────────────────────────────────────

  beginPoll(): void {
    this.#member.drive()
  }

  endPoll(): void {
    this.#lookup.endCall()
    this.#fetchAttempts.end()
    if (this.#awaited?.resume === undefined) this.#awaited = undefined
  }

  step(): PollStep {
    if (this.#callbacks.isRunning || this.#isLeading()) return 'blocked'
    this.#updateWatched()
    const fenced = this.#offsets.invokeCallbacks()
    if (fenced !== undefined) return { error: fenced }
    if (this.#subscriptions.subscription.isAutomatic) {
      const joined = this.#stepGroup()
      if (joined !== 'ready') return joined
    }
    this.#autoCommit()
    return 'ready'
  }

  timeToNextPollMs(): Millis {
    const heartbeatMs = this.#member.hasNotJoined ? Infinity : this.#member.heartbeat.dueInMs
    return this.#autoCommits ? Math.min(this.#nextAutoCommit.remainingMs, heartbeatMs) : heartbeatMs
  }

  initPositions(): PollStep {
    const partitions = this.#subscriptions.initializing().map(({ name }) => name)
    if (partitions.length === 0) return 'ready'
    const fetched = this.#offsets.fetchCommitted(partitions, this.#fetchAttempts)
    if (fetched === 'waiting') return 'waiting'
    if ('error' in fetched) return fetched
    this.#fetchAttempts.end()
    this.#parts.setPositions(fetched.found)
    return 'ready'
  }

  #stepGroup(): PollStep {
    const failure = this.#member.polled()
    if (failure !== undefined) return { error: errorName(failure) }
    const ready = this.#lookup.ensure()
    if (ready !== 'ready') return ready === 'waiting' ? ready : { error: errorName(ready) }
    if (!this.#rejoinNeededOrPending) return 'ready'
    if (this.#subscriptions.subscription.kind === 'pattern' && !this.#hasFreshMetadata()) return 'waiting'
    this.#member.startThread()
    return this.#join()
  }

  /** A pattern is matched against the newest topics before each join. */
  #hasFreshMetadata(): boolean {
    if (this.#awaited === undefined) {
      if (this.#metadata.timeToAllowUpdate(this.#env.clock.wallMs()) === 0) this.#metadata.requestUpdate(true)
      if (this.#isMetadataFresh()) return true
      this.#awaited = { version: this.#metadata.updateVersion, resume: undefined }
    }
    if (this.#metadata.updateVersion <= this.#awaited.version) {
      this.#metadata.requestUpdate()
      return false
    }
    this.#awaited = undefined
    this.#updateWatched()
    return true
  }

  #isMetadataFresh(): boolean {
    return !this.#metadata.updateRequested && this.#metadata.timeToNextUpdate(this.#env.clock.wallMs()) > 0
  }

  /** ensureActiveGroup: goes on joining as far as that is possible without waiting. */
  #join(): PollStep {
    while (this.#rejoinNeededOrPending) {
      if (!this.#channel.isKnown) {
        const ready = this.#lookup.ensure()
        return ready === 'ready' || ready === 'waiting' ? 'skip' : { error: errorName(ready) }
      }
      if (this.#member.needsJoinPrepare) {
        this.#member.needsJoinPrepare = false
        if (!this.#prepareJoin()) {
          if (this.#callbacks.isRunning) return 'blocked'
          this.#member.needsJoinPrepare = true
          return 'skip'
        }
      }
      this.#member.initiateJoin()
      if (this.#isLeading()) return 'blocked'
      const outcome = this.#member.outcome
      if (outcome === undefined) return 'skip'
      if (outcome.ok) {
        if (!this.#complete(outcome.assignment))
          return this.#callbacks.isRunning ? 'blocked' : { error: 'ILLEGAL_STATE' }
        continue
      }
      this.#member.takeOutcome()
      if (outcome.error !== 'MEMBER_ID_REQUIRED') this.#member.requestRejoin(`rebalance failed due to ${outcome.error}`)
      if (outcome.rejoins) continue
      return outcome.retriable ? 'skip' : { error: outcome.error }
    }
    return 'ready'
  }

  // ── giving up ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Commits, then gives up what must be before joining. False while that takes time. */
  #prepareJoin(): boolean {
    this.#joinPrepare ??= new Deadline(this.#env, this.#config['max.poll.interval.ms'])
    if (this.#autoCommits && this.#prepareCommit === undefined) {
      if (!this.#isCooperative) for (const each of this.#subscriptions.assigned()) each.isPendingRevocation = true
      this.#prepareCommit = this.#commitAutomatically()
    }
    if (this.#prepareCommit !== undefined && !this.#joinPrepare.isOver) {
      const { isDone, failure } = this.#prepareCommit
      if (isDone) this.#prepareCommit = undefined
      if (!isDone || failure?.retriable === true) return false
    }
    let isDone = false
    this.#giveUp(() => {
      this.#isLeader = false
      this.#subscriptions.subscription.leadNoMore()
      this.#joinPrepare = undefined
      this.#prepareCommit = undefined
      isDone = true
    })
    return isDone
  }

  #giveUp(done: () => void): void {
    const owned = this.#subscriptions.names()
    const { id, memberId } = this.#member.generation
    if (id === -1 || memberId === '') {
      this.#callbacks.lost(owned)
      if (owned.length > 0) this.#own([])
      return done()
    }
    const subscribed = this.#subscriptions.subscription.subscribed
    const leaving = this.#isCooperative ? owned.filter((name) => !subscribed.has(topicOf(name))) : owned
    this.#callbacks.revoked(leaving, () => {
      this.#own(owned.filter((name) => !leaving.includes(name)))
      done()
    })
  }

  // ── joining ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #protocols(): JoinRequest['protocols'] {
    const { subscription } = this.#subscriptions
    this.#joinedTopics = new Set(subscription.subscribed)
    const owned = [...this.#subscriptions.assigned()]
    const rack = this.#config['client.rack'] === '' ? null : this.#config['client.rack']
    const topics = [...this.#joinedTopics]
    const { id: generation } = this.#member.generation
    return this.#assignors.map((assignor) => ({
      name: assignor.name,
      metadata: encodeSubscription({ topics, userData: assignor.userData(), owned, generation, rack }),
    }))
  }

  /** The leader learns of all topics of the group, and works out who gets what. */
  #lead(response: JoinResponse, done: (assignments: SyncAssignments) => void): void {
    const group = new Map<string, MemberSubscription>()
    const topics = new Set<string>()
    for (const { memberId, groupInstanceId, metadata } of response.members) {
      const subscription = decodeSubscription(metadata, groupInstanceId)
      group.set(memberId, subscription)
      for (const topic of subscription.topics) topics.add(topic)
    }
    if (this.#subscriptions.subscription.lead(topics)) this.#metadata.requestUpdateForNewTopics()
    const assign = (): void => {
      this.#updateWatched()
      this.#isLeader = true
      this.#assignedBy = this.#watched
      // A static leader that came back: everybody keeps what they have (KIP-814).
      if (response.skipAssignment) return done([])
      const assignor = this.#assignors.find(({ name }) => name === response.protocolName)
      const partitions = assignablePartitions(this.#metadata.snapshot, topics)
      const assignments = assignor?.assign(partitions, group) ?? new Map<string, string[]>()
      done(
        [...assignments].map(([memberId, names]) => ({
          memberId,
          assignment: encodeAssignment(names),
        })),
      )
    }
    if (this.#isMetadataFresh()) return assign()
    this.#metadata.requestUpdate()
    this.#awaited = { version: this.#metadata.updateVersion, resume: assign }
  }

  /** True while the leader waits for metadata of the group's topics. */
  #isLeading(): boolean {
    const awaited = this.#awaited
    if (awaited?.resume === undefined) return false
    if (this.#metadata.updateVersion <= awaited.version) return true
    this.#awaited = undefined
    awaited.resume()
    return false
  }

  /** Takes an assignment over. False while the application works on it, or when there is none. */
  #complete(bytes: Uint8Array): boolean {
    const { state, generation } = this.#member
    if (state !== 'stable') {
      this.#member.resetGeneration('rebalance failed since the generation was modified by the heartbeat thread', true)
      this.#member.takeOutcome()
      return true
    }
    if (!this.#isLeader) this.#assignedBy = undefined
    this.#identity = this.#present
    const finish = (): void => {
      this.#member.takeOutcome()
      this.#member.needsJoinPrepare = true
    }
    if (bytes.length < 2) {
      finish()
      return false
    }
    const partitions = decodeAssignment(bytes).map(partitionOf).sort(byTopicAndIndex)
    const { subscription } = this.#subscriptions
    if (!partitions.every(({ topic }) => subscription.mayBeAssigned(topic))) {
      this.#member.requestRejoin('received assignment does not match the current subscription')
      finish()
      return true
    }
    const owned = this.#subscriptions.names()
    const given = partitions.map(nameOf)
    const takeOver = (): void => {
      this.#joinAssigned(partitions)
      this.#assignors.find(({ name }) => name === generation.protocol)?.onAssignment(partitions, generation.id)
      this.#nextAutoCommit.reset(this.#config['auto.commit.interval.ms'])
      this.#own(given)
      const added = given.filter((name) => !owned.includes(name))
      this.#callbacks.assigned(added, given)
      finish()
    }
    const taken = this.#isCooperative ? owned.filter((name) => !given.includes(name)) : []
    if (taken.length === 0) takeOver()
    else {
      let isDone = false
      this.#callbacks.revoked(taken, () => {
        this.#member.requestRejoin('need to revoke partitions and re-join')
        takeOver()
        isDone = true
      })
      return isDone
    }
    return true
  }

  /** With a pattern: topics that were assigned, but are not known here yet. */
  #joinAssigned(partitions: readonly TopicPartition[]): void {
    const { subscription } = this.#subscriptions
    const joined = this.#joinedTopics
    if (subscription.kind !== 'pattern' || joined === undefined) return
    const added = partitions.filter(({ topic }) => !joined.has(topic)).map(({ topic }) => topic)
    if (added.length === 0) return
    this.#joinedTopics = new Set([...joined, ...added])
    if (subscription.found(new Set([...subscription.topics, ...added]))) this.#metadata.requestUpdateForNewTopics()
  }

  #own(names: readonly string[]): void {
    this.#subscriptions.assign(names.map(partitionOf))
    this.#parts.dropUnassigned()
  }

  // ── metadata ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #updateWatched(): void {
    if (this.#metadata.updateVersion <= this.#watched.version) return
    this.#matchPattern()
    this.#watched = this.#watch()
  }

  #watch(): WatchedTopics {
    const { snapshot, updateVersion } = this.#metadata
    const topics = this.#subscriptions.subscription.metadataTopics()
    return new WatchedTopics(snapshot, updateVersion, topics, this.#config['client.rack'])
  }

  #matchPattern(): void {
    const { subscription } = this.#subscriptions
    if (subscription.kind !== 'pattern') return
    const topics = [...this.#metadata.snapshot.topics.keys()].filter((topic) => subscription.matchesPattern(topic))
    if (subscription.found(new Set(topics))) this.#metadata.requestUpdateForNewTopics()
  }

  subscriptionChanged(): void {
    this.#matchPattern()
  }

  assigned(): void {
    this.#autoCommit()
  }

  #wake(): void {
    this.#offsets.look()
    this.#parts.wake()
  }

  // ── commits ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #autoCommit(): void {
    if (!this.#autoCommits || !this.#nextAutoCommit.isOver) return
    this.#nextAutoCommit.reset(this.#config['auto.commit.interval.ms'])
    this.#commitAutomatically()
  }

  #commitAutomatically(): AsyncCommit | undefined {
    return this.#offsets.commitAsync(this.#subscriptions.allConsumed(), 'auto', (failure) => {
      if (failure?.retriable === true) this.#nextAutoCommit.reset(this.#config['retry.backoff.ms'])
    })
  }

  commitSync(offsets: Offsets | undefined, done: CommitDone, timeoutMs: Millis): void {
    this.#offsets.commitSync(offsets ?? this.#subscriptions.allConsumed(), 'sync', done, timeoutMs)
  }

  commitAsync(offsets: Offsets | undefined, done: CommitDone | undefined): void {
    this.#member.drive()
    this.#offsets.commitAsync(offsets ?? this.#subscriptions.allConsumed(), 'async', (failure) =>
      done?.(failure?.error),
    )
  }

  committed(
    partitions: readonly string[],
    done: (error: string | undefined, found: Committed) => void,
    timeoutMs: Millis,
  ): void {
    this.#offsets.committed(partitions, done, timeoutMs)
  }

  // ── leaving ───────────────────────────────────────────────────────────────────────────────────────────────────────

  unsubscribe(done: () => void): void {
    this.#letGo(() => {
      this.#member.leave('the consumer unsubscribed from all topics')
      this.#subscriptions.subscription.unsubscribe()
      this.#own([])
      done()
    })
  }

  close(done: () => void, timeoutMs: Millis): void {
    this.#isClosing = true
    const deadline = new Deadline(this.#env, timeoutMs)
    let isOver = false
    const end = (): void => {
      if (isOver) return
      isOver = true
      timer?.cancel()
      this.shutDown()
      done()
    }
    const leave = (): void => {
      this.#member.stopThread()
      this.#letGo(() => {
        timer = this.#env.atWall(deadline.atMs, end)
        this.#member.leave('the consumer is being closed', end)
      })
    }
    let timer: ReturnType<Env['atWall']> | undefined
    if (this.#autoCommits) this.#offsets.commitSync(this.#subscriptions.allConsumed(), 'auto', leave, timeoutMs)
    else leave()
  }

  shutDown(): void {
    this.endPoll()
    this.#member.close()
    this.#offsets.close()
    this.#channel.close()
  }

  /** Gives all partitions up, on the way out. */
  #letGo(done: () => void): void {
    const owned = this.#subscriptions.names()
    if (!this.#subscriptions.subscription.isAutomatic || owned.length === 0) return done()
    const { id, memberId } = this.#member.generation
    const finish = (): void => {
      this.#own([])
      done()
    }
    if (id === -1 || memberId === '' || this.#member.isRebalancing) {
      this.#callbacks.lost(owned)
      finish()
    } else this.#callbacks.revoked(owned, finish)
  }
}

function isSameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  if (a.size !== b.size) return false
  for (const item of a) if (!b.has(item)) return false
  return true
}

function partitionOf(name: string): TopicPartition {
  return parsePartition(name) as TopicPartition
}

function topicOf(name: string): string {
  return partitionOf(name).topic
}
