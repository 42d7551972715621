/**
 * A member of a KIP-848 group, as its consumer sees it (the group side of Kafka's AsyncKafkaConsumer and its network thread).
 *
 * What goes to the coordinator is sent in the background, whether the application polls or not: finding it, heartbeats, commits. Whatever the
 * application must be told waits for its next round of the poll loop: listeners, errors, callbacks of commits. A round also starts what only an
 * application may start: joining, reconciling with commits, committing by the interval.
 */

import type { Env, EnvTimer } from '../../kernel/env.js'
import type { Millis } from '../../kernel/units.js'
import { Errors, errorName, isRetriable, type ErrorCode } from '../../wire/errors.js'
import type { ClientMetadata } from '../client-metadata.js'
import type { ConsumerConfig } from '../consumer-config.js'
import { Deadline } from '../deadline.js'
import type { AssignedPartition, SubscriptionState } from '../subscription-state.js'
import { ConsumerHeartbeats } from './consumer-heartbeats.js'
import { ConsumerMembership } from './consumer-membership.js'
import { ConsumerOffsets } from './consumer-offsets.js'
import type { CoordinatorChannel } from './coordinator-channel.js'
import type { CommitDone, Committed, GroupCoordinator, PollStep } from './group-types.js'
import { RebalanceCallbacks } from './rebalance-callbacks.js'
import { RequestState } from './request-state.js'
import type { GroupMetadata, Offsets } from './offset-commits.js'

export interface ConsumerCoordinatorParts {
  readonly subscriptions: SubscriptionState
  readonly metadata: ClientMetadata
  readonly channel: CoordinatorChannel
  /** Positions are to be set to what is committed. */
  readonly setPositions: (found: Committed) => void
  readonly dropUnassigned: () => void
  /** The application's poll should look. */
  readonly wake: () => void
}

/** What a round of the poll loop has to tell the application. */
type Told = { readonly run: (done: () => void) => void } | { readonly error: ErrorCode }

export class ConsumerCoordinator implements GroupCoordinator {
  readonly #env: Env
  readonly #config: ConsumerConfig
  readonly #parts: ConsumerCoordinatorParts
  readonly #subscriptions: SubscriptionState
  readonly #metadata: ClientMetadata
  readonly #channel: CoordinatorChannel
  readonly #membership: ConsumerMembership
  readonly #heartbeats: ConsumerHeartbeats
  readonly #offsets: ConsumerOffsets
  readonly #callbacks: RebalanceCallbacks
  readonly #finding: RequestState
  #identity: GroupMetadata
  #toTell: Told[] = []
  #fatal: ErrorCode | undefined
  #matchedVersion = -1
  /** Committed offsets that were asked for, for these partitions. */
  #fetching: { readonly of: readonly AssignedPartition[]; error: string | undefined; isDone: boolean } | undefined
  /** The poll loop would spin: it is woken by whatever happens in the background. */
  #isSpinning = false
  #timer: EnvTimer | undefined
  #isScheduled = false
  #finds = true
  #isClosed = false

  constructor(env: Env, config: ConsumerConfig, parts: ConsumerCoordinatorParts) {
    this.#env = env
    this.#config = config
    this.#parts = parts
    this.#subscriptions = parts.subscriptions
    this.#metadata = parts.metadata
    this.#channel = parts.channel
    this.#finding = new RequestState(env, config)
    const changed = (): void => this.#schedule()
    this.#offsets = new ConsumerOffsets(env, config, parts.channel, parts.subscriptions, changed)
    this.#callbacks = new RebalanceCallbacks(env, parts.subscriptions, () => this.#present, parts.wake)
    this.#membership = new ConsumerMembership(env, config, parts.subscriptions, parts.metadata, {
      commitBeforeRebalance: (done) => this.#offsets.commitBeforeRebalance(done),
      resetAutoCommitTimer: () => this.#offsets.resetAutoCommitTimer(),
      revoked: (names, done) => this.#tell((then) => this.#callbacks.revoked(names, then), done),
      lost: (names, done) => this.#tell((then) => this.#lost(names, then), done, names.length > 0),
      assigned: (added, owned, done) => this.#tell((then) => this.#assigned(added, owned, then), done),
      epochChanged: (epoch, memberId) => this.#epochChanged(epoch, memberId),
      dropUnassigned: parts.dropUnassigned,
      changed,
    })
    const raise = (error: ErrorCode): void => void this.#toTell.push({ error })
    const { subscription } = parts.subscriptions
    this.#heartbeats = new ConsumerHeartbeats(env, config, parts.channel, subscription, this.#membership, {
      raise,
      changed,
    })
    const { instanceId: groupInstanceId } = this.#membership
    this.#identity = { groupId: config['group.id'], memberId: '', generation: -1, groupInstanceId }
    parts.channel.onChange = changed
    this.#schedule()
  }

  get metadata(): GroupMetadata {
    return this.#identity
  }

  get inFlight(): number {
    return this.#channel.inFlight
  }

  get #present(): GroupMetadata {
    const { memberId, epoch: generation } = this.#membership
    return { ...this.#identity, memberId, generation }
  }

  // ── the poll loop ─────────────────────────────────────────────────────────────────────────────────────────────────

  beginPoll(): void {}

  endPoll(): void {
    this.#isSpinning = false
  }

  step(): PollStep {
    this.#isSpinning = false
    if (this.#callbacks.isRunning) return 'blocked'
    this.#membership.reconcile(true)
    this.#offsets.autoCommit()
    this.#membership.polled()
    this.#heartbeats.polled()
    this.#background()
    this.#offsets.invokeCallbacks()
    this.#matchPattern()
    const error = this.#tellAll()
    if (error !== undefined) return { error: errorName(error) }
    return this.#callbacks.isRunning ? 'blocked' : 'ready'
  }

  timeToNextPollMs(): Millis {
    const waitMs = Math.min(this.#heartbeats.applicationWaitMs, this.#offsets.applicationWaitMs)
    this.#isSpinning = waitMs === 0
    return waitMs === 0 ? Infinity : waitMs
  }

  initPositions(): PollStep {
    const of = this.#subscriptions.initializing()
    if (of.length === 0) return 'ready'
    let fetching = this.#fetching
    // A partition that was given up and came back is another one: what was found for it before may be old.
    if (fetching === undefined || !isSame(fetching.of, of)) {
      const asked = { of, error: undefined as string | undefined, isDone: false }
      fetching = asked
      this.#fetching = asked
      const done = (error: string | undefined, found: Committed): void => {
        asked.error = error
        asked.isDone = true
        if (error === undefined) {
          const initializing = new Set(this.#subscriptions.initializing().map(({ name }) => name))
          this.#parts.setPositions(new Map([...found].filter(([name]) => initializing.has(name))))
        }
        this.#parts.wake()
      }
      this.#offsets.fetch(
        of.map(({ name }) => name),
        done,
        this.#config['default.api.timeout.ms'],
      )
    }
    if (!fetching.isDone) return 'waiting'
    this.#fetching = undefined
    return fetching.error === undefined ? 'ready' : { error: fetching.error }
  }

  subscriptionChanged(): void {
    if (this.#subscriptions.subscription.kind === 'pattern') {
      this.#matchedVersion = -1
      this.#matchPattern()
    }
    this.#membership.subscriptionUpdated()
  }

  assigned(): void {
    this.#offsets.autoCommit()
  }

  #matchPattern(): void {
    const { subscription } = this.#subscriptions
    if (subscription.kind !== 'pattern' || this.#matchedVersion >= this.#metadata.updateVersion) return
    this.#matchedVersion = this.#metadata.updateVersion
    const topics = [...this.#metadata.snapshot.topics.keys()].filter((topic) => subscription.matchesPattern(topic))
    if (subscription.found(new Set(topics))) this.#metadata.requestUpdateForNewTopics()
    this.#membership.subscriptionUpdated()
  }

  // ── telling the application ───────────────────────────────────────────────────────────────────────────────────────

  /** What has a listener waits for the application's next round; what has none is done now. */
  #tell(run: (done: () => void) => void, done: () => void, hasNews = true): void {
    const { listener } = this.#subscriptions.subscription
    const hasListener = [listener.onAssigned, listener.onLost, listener.onRevoked].some((each) => each !== undefined)
    if (!hasNews || !hasListener) {
      run(done)
      return
    }
    this.#toTell.push({
      run: (then) =>
        run(() => {
          done()
          then()
        }),
    })
    if (this.#isSpinning) this.#parts.wake()
  }

  #tellAll(): ErrorCode | undefined {
    let error: ErrorCode | undefined
    while (this.#toTell.length > 0 && !this.#callbacks.isRunning) {
      const told = this.#toTell.shift() as Told
      if ('error' in told) error ??= told.error
      else told.run(() => this.#schedule())
    }
    return error
  }

  #lost(names: readonly string[], done: () => void): void {
    this.#callbacks.lost(names)
    done()
  }

  #assigned(added: readonly string[], owned: readonly string[], done: () => void): void {
    this.#callbacks.assigned(added, owned)
    done()
  }

  #epochChanged(epoch: number | undefined, memberId: string): void {
    this.#offsets.epochChanged(epoch, memberId)
    if (epoch !== undefined) this.#identity = { ...this.#identity, memberId, generation: epoch }
  }

  // ── background ────────────────────────────────────────────────────────────────────────────────────────────────────

  #schedule(): void {
    if (this.#isScheduled || this.#isClosed) return
    this.#isScheduled = true
    this.#env.soon(() => {
      this.#isScheduled = false
      this.#background()
      if (this.#isSpinning) this.#parts.wake()
    })
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined
    this.#background()
  }

  #background(): void {
    if (this.#isClosed) return
    this.#timer?.cancel()
    const findMs = this.#findCoordinator()
    const commitMs = this.#offsets.run()
    const heartbeatMs = this.#heartbeats.run()
    this.#membership.reconcile(false)
    const waitMs = Math.min(findMs, commitMs, heartbeatMs)
    this.#timer = waitMs === Infinity ? undefined : this.#env.after(Math.max(waitMs, 1), this.#onTimer)
  }

  #findCoordinator(): Millis {
    if (this.#channel.isKnown || !this.#finds || this.#finding.isInFlight) return Infinity
    if (!this.#finding.canSend) return this.#finding.remainingBackoffMs
    const asked = this.#channel.find((error) => {
      this.#fatal = undefined
      if (error === Errors.NONE) this.#finding.succeeded()
      else {
        this.#finding.failed()
        if (!isRetriable(error)) this.#fatal = error
      }
      this.#schedule()
    })
    if (asked) this.#finding.sent()
    else this.#finding.failed()
    if (this.#fatal !== undefined) {
      this.#offsets.failAll(this.#fatal)
      this.#toTell.push({ error: this.#fatal })
      this.#fatal = undefined
    }
    return asked ? Infinity : this.#finding.remainingBackoffMs
  }

  // ── commits ───────────────────────────────────────────────────────────────────────────────────────────────────────

  commitSync(offsets: Offsets | undefined, done: CommitDone, timeoutMs: Millis): void {
    this.#offsets.commitSync(offsets ?? this.#subscriptions.allConsumed(), 'sync', done, timeoutMs)
  }

  commitAsync(offsets: Offsets | undefined, done: CommitDone | undefined): void {
    this.#offsets.commitAsync(offsets ?? this.#subscriptions.allConsumed(), done)
  }

  committed(
    partitions: readonly string[],
    done: (error: string | undefined, found: Committed) => void,
    timeoutMs: Millis,
  ): void {
    let isOver = false
    const finish = (error: string | undefined, found: Committed): void => {
      if (isOver) return
      isOver = true
      timer.cancel()
      this.#env.soon(() => done(error, found))
    }
    const timedOut = (): void => finish(errorName(Errors.REQUEST_TIMED_OUT), new Map())
    const timer = this.#env.atWall(new Deadline(this.#env, timeoutMs).atMs, timedOut)
    this.#offsets.fetch(partitions, finish, timeoutMs)
  }

  // ── leaving ───────────────────────────────────────────────────────────────────────────────────────────────────────

  unsubscribe(done: () => void): void {
    const { groupId, groupInstanceId } = this.#identity
    const limit = this.#env.after(this.#config['default.api.timeout.ms'], () => end())
    let isOver = false
    const end = (): void => {
      if (isOver) return
      isOver = true
      limit.cancel()
      this.#identity = { groupId, memberId: '', generation: -1, groupInstanceId }
      done()
    }
    this.#membership.leave(true, end)
    // The call itself runs the listeners that are due.
    this.#tellAll()
  }

  close(done: () => void, timeoutMs: Millis): void {
    const deadline = new Deadline(this.#env, timeoutMs)
    let isOver = false
    const end = (): void => {
      if (isOver) return
      isOver = true
      timer.cancel()
      this.shutDown()
      done()
    }
    const timer = this.#env.atWall(deadline.atMs, end)
    const leave = (): void => {
      if (isOver) return
      this.#finds = false
      const owned = this.#subscriptions.subscription.isAutomatic ? this.#subscriptions.names() : []
      const letGo = (): void => this.#membership.leave(false, () => this.#env.soon(end))
      if (owned.length === 0) letGo()
      else if (this.#identity.generation > 0) this.#callbacks.revoked(owned, letGo)
      else {
        this.#callbacks.lost(owned)
        letGo()
      }
    }
    if (!this.#config['enable.auto.commit']) leave()
    else this.#offsets.commitSync(this.#subscriptions.allConsumed(), 'auto', leave, timeoutMs)
  }

  shutDown(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#heartbeats.close()
    this.#offsets.close()
    this.#channel.close()
  }
}

function isSame(some: readonly AssignedPartition[], others: readonly AssignedPartition[]): boolean {
  return some.length === others.length && some.every((partition, at) => partition === others[at])
}
