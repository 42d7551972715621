/**
 * A consumer: of partitions that it is given by hand, or of those that its group gives it (Kafka's KafkaConsumer).
 *
 * As in Kafka everything that the application notices happens while it polls. A poll goes round and round:
 *
 *     group        what there is to do for the group: join, give up and take partitions, commit
 *     positions    committed ones, then those of the reset policy; those of a new leader are checked
 *     records      what is buffered is handed over; else fetches go out, and whatever happens next begins another round
 *
 * Between polls at most one fetch per broker is under way, sent when the last records were handed over. While a listener of the application
 * works on a change of partitions the poll waits, however long that takes.
 *
 * `poll` is answered by a later event, with records as soon as there are any, with nothing after its timeout, or with an
 * error that the application must do something about (seek, assign otherwise, begin anew).
 */

import type { Env, EnvTimer } from '../kernel/env.js'
import { assert, UsageError } from '../kernel/errors.js'
import type { RecordId } from '../kernel/events.js'
import { parsePartition, partitionName, type NodeName } from '../kernel/names.js'
import type { Epoch, Millis, Offset } from '../kernel/units.js'
import { errorName, Errors } from '../wire/errors.js'
import type { WireMode } from '../wire/frame.js'
import { ClientMetadata } from './client-metadata.js'
import { ClusterClient } from './cluster-client.js'
import type { ConsumedRecord } from './completed-fetch.js'
import { resetStrategyOf, type ConsumerConfig } from './consumer-config.js'
import { ConsumerTopics } from './consumer-topics.js'
import { Deadline } from './deadline.js'
import { Fetcher, type Collected, type ConsumerError } from './fetcher.js'
import { ClassicCoordinator } from './group/classic-coordinator.js'
import { ConsumerCoordinator } from './group/consumer-coordinator.js'
import { CoordinatorChannel } from './group/coordinator-channel.js'
import type { CommitDone, Committed, GroupCoordinator } from './group/group-types.js'
import { MetadataUpdater } from './metadata-updater.js'
import { OffsetResolver } from './offset-resolver.js'
import { SubscriptionState, unknownEpoch, type AssignedPartition, type TopicPartition } from './subscription-state.js'
import type { RebalanceListener } from './subscription.js'
import { idOfRecord } from './workload-record.js'
import type { GroupMetadata, Offsets } from './group/offset-commits.js'

export interface Polled {
  readonly records: readonly ConsumedRecord[]
  /** With an empty partition it is the group's. */
  readonly error?: ConsumerError
}

export interface Assignment extends TopicPartition {
  /** Where to start; the committed offset or the reset policy decides when left out. */
  readonly offset?: Offset
  /** Epoch of the record before `offset`, if known: the position is then checked. */
  readonly leaderEpoch?: Epoch
}

/** Topics by name, by a pattern that this client matches, or by one that the coordinator does (SubscriptionPattern, KIP-848). */
export type Wanted = readonly string[] | { readonly pattern: string } | { readonly subscriptionPattern: string }

export interface ConsumerOptions {
  /** The workload id that a record carries; default: as workload-record.ts writes it. */
  readonly idOf?: (record: ConsumedRecord) => RecordId
  readonly wire?: WireMode
}

interface Poll {
  readonly done: (polled: Polled) => void
  readonly deadline: Deadline
  readonly maxRecords: number
  /** It has sent its fetches, and waits for records. */
  isFetching: boolean
}

/** KafkaConsumer.DEFAULT_CLOSE_TIMEOUT_MS. */
const CLOSE_TIMEOUT_MS = 30_000

export class Consumer {
  readonly #env: Env
  readonly #config: ConsumerConfig
  readonly #subscriptions: SubscriptionState
  readonly #metadata: ClientMetadata
  readonly #updater: MetadataUpdater
  readonly #cluster: ClusterClient
  readonly #fetcher: Fetcher
  readonly #resolver: OffsetResolver
  readonly #group: GroupCoordinator | undefined
  readonly #idOf: (record: ConsumedRecord) => RecordId
  #poll: Poll | undefined
  #timer: EnvTimer | undefined
  #isWaking = false
  #isWakeupAsked = false
  #state: 'open' | 'closing' | 'closed' = 'open'

  /** @param config as `parseConsumerConfig` gives it */
  constructor(env: Env, config: ConsumerConfig, bootstrap: readonly NodeName[], options: ConsumerOptions = {}) {
    this.#env = env
    this.#config = config
    this.#idOf = options.idOf ?? idOfRecord
    this.#subscriptions = new SubscriptionState(resetStrategyOf(config))
    this.#metadata = new ClientMetadata(
      bootstrap,
      new ConsumerTopics(
        this.#subscriptions.subscription,
        config['allow.auto.create.topics'],
        config['exclude.internal.topics'],
      ),
      {
        retryBackoffMs: config['retry.backoff.ms'],
        retryBackoffMaxMs: config['retry.backoff.max.ms'],
        maxAgeMs: config['metadata.max.age.ms'],
      },
      env.random,
    )
    this.#updater = new MetadataUpdater(env, this.#metadata, config)
    const wire = options.wire === undefined ? {} : { wire: options.wire }
    this.#cluster = new ClusterClient(env, config, this.#updater, {
      maxInFlight: 100,
      onWake: () => this.#step(),
      ...wire,
    })
    this.#fetcher = new Fetcher(env, config, this.#subscriptions, this.#metadata, this.#cluster)
    this.#resolver = new OffsetResolver(env, config, this.#subscriptions, this.#metadata, this.#cluster)
    this.#group = config['group.id'] === '' ? undefined : this.#makeGroup(wire)
  }

  // ── what to consume ───────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes part in the group; what it gives comes with the polls that follow. No topics: as `unsubscribe`. */
  subscribe(wanted: Wanted, listener: RebalanceListener = {}): void {
    const group = this.#groupFor('subscribe')
    const { subscription } = this.#subscriptions
    if ('subscriptionPattern' in wanted) {
      if (this.#config['group.protocol'] === 'classic') {
        throw new UsageError({
          message:
            'subscribe: a subscription pattern is matched by the coordinator, which takes group.protocol=consumer',
          mend: 'give a pattern instead, which this client matches',
        })
      }
      subscription.subscribeRegex(wanted.subscriptionPattern, listener)
    } else if ('pattern' in wanted) {
      subscription.subscribePattern(wanted.pattern, listener)
      this.#metadata.requestUpdateForNewTopics()
    } else if (wanted.length === 0) {
      this.unsubscribe(() => undefined)
      return
    } else {
      this.#fetcher.dropUnassigned(({ topic }) => wanted.includes(topic))
      if (subscription.subscribe(wanted, listener)) this.#metadata.requestUpdateForNewTopics()
    }
    group.subscriptionChanged()
    this.#wake()
  }

  /** Gives everything up, and leaves the group. `done` once the listener is done and the coordinator was told. */
  unsubscribe(done: () => void): void {
    this.#ensureOpen('unsubscribe')
    this.#fetcher.dropUnassigned(() => false)
    if (this.#group !== undefined) this.#group.unsubscribe(() => this.#env.soon(done))
    else {
      this.#subscriptions.subscription.unsubscribe()
      this.#subscriptions.assign([])
      this.#env.soon(done)
    }
  }

  /** Replaces the assignment. Partitions that stay keep their position unless another is given. */
  assign(partitions: readonly Assignment[]): void {
    if (partitions.length === 0) {
      this.unsubscribe(() => undefined)
      return
    }
    const isNew = this.#subscriptions.subscription.assign(new Set(partitions.map(({ topic }) => topic)))
    this.#group?.assigned()
    this.#subscriptions.assign(partitions)
    this.#fetcher.dropUnassigned()
    if (isNew) this.#metadata.requestUpdateForNewTopics()
    for (const { topic, index, offset, leaderEpoch } of partitions) {
      if (offset === undefined) continue
      this.#seek(this.#assigned(partitionName(topic, index)), offset, leaderEpoch ?? -1, 'assigned')
    }
    this.#wake()
  }

  /** Names of the assigned partitions. */
  assignment(): string[] {
    return [...this.#subscriptions.assigned()].map((partition) => partition.name)
  }

  /** Topics that are subscribed by name, or were found for the pattern; sorted. */
  subscription(): string[] {
    return [...this.#subscriptions.subscription.subscribed].sort((a, b) => (a < b ? -1 : 1))
  }

  groupMetadata(): GroupMetadata {
    return this.#groupFor('groupMetadata').metadata
  }

  // ── positions ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The next record to be handed over is the one at `offset`. With an epoch the position is checked first. */
  seek(partition: string, offset: Offset, leaderEpoch: Epoch = -1): void {
    if (offset < 0) throw new UsageError('seek: the offset must not be negative')
    this.#seek(this.#assigned(partition), offset, leaderEpoch, 'seek')
    this.#wake()
  }

  /** All partitions when none is named. */
  seekToBeginning(partitions: readonly string[] = []): void {
    for (const partition of this.#named(partitions)) partition.reset('earliest', true)
    this.#wake()
  }

  /** All partitions when none is named. */
  seekToEnd(partitions: readonly string[] = []): void {
    for (const partition of this.#named(partitions)) partition.reset('latest', true)
    this.#wake()
  }

  /** Offset of the next record, or undefined while it is not known or not checked. */
  position(partition: string): Offset | undefined {
    const assigned = this.#assigned(partition)
    return assigned.hasValidPosition ? assigned.position?.offset : undefined
  }

  pause(partitions: readonly string[]): void {
    for (const partition of this.#named(partitions)) partition.paused = true
  }

  resume(partitions: readonly string[]): void {
    for (const partition of this.#named(partitions)) partition.paused = false
    this.#wake()
  }

  paused(): string[] {
    return [...this.#subscriptions.assigned()]
      .filter((partition) => partition.paused)
      .map((partition) => partition.name)
  }

  // ── commits ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Commits positions, or the offsets given; tries until it works, cannot work, or the time is over (REQUEST_TIMED_OUT). COMMIT_FAILED:
   * the group has gone on without this member. REBALANCE_IN_PROGRESS: poll first, then commit again.
   */
  commitSync(
    offsets: Offsets | undefined,
    done: CommitDone,
    timeoutMs: Millis = this.#config['default.api.timeout.ms'],
  ): void {
    const group = this.#groupFor('commitSync')
    if (offsets !== undefined) this.#sawEpochs(offsets)
    group.commitSync(offsets, done, timeoutMs)
  }

  /** Commits once, without waiting. `done` is called within a later call of poll or commit. */
  commitAsync(offsets?: Offsets, done?: CommitDone): void {
    const group = this.#groupFor('commitAsync')
    if (offsets !== undefined) this.#sawEpochs(offsets)
    group.commitAsync(offsets, done)
  }

  /** What the group has committed; null where nothing was. */
  committed(
    partitions: readonly string[],
    done: (error: string | undefined, committed: Committed) => void,
    timeoutMs: Millis = this.#config['default.api.timeout.ms'],
  ): void {
    const found = (error: string | undefined, committed: Committed): void => {
      this.#sawEpochs(committed)
      done(error, committed)
    }
    this.#groupFor('committed').committed(partitions, found, timeoutMs)
  }

  // ── poll ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Asks for records; one poll at a time. `done` comes once, by a later event, unless the consumer is closed. */
  poll(done: (polled: Polled) => void, timeoutMs: Millis, maxRecords = this.#config['max.poll.records']): void {
    assert(this.#poll === undefined, 'consumer: poll within a poll')
    this.#ensureOpen('poll')
    if (this.#subscriptions.subscription.kind === 'none') {
      throw new UsageError('poll: no partitions are assigned, and no topics subscribed')
    }
    this.#poll = { done, deadline: new Deadline(this.#env, timeoutMs), maxRecords, isFetching: false }
    this.#env.soon(this.#onPoll)
  }

  /** The poll under way, or the next one, ends with WAKEUP. */
  wakeup(): void {
    this.#isWakeupAsked = true
    this.#wake()
  }

  /** Commits if it is to, leaves the group, closes fetch sessions and connections. A poll under way is not answered any more. */
  close(done: () => void, timeoutMs: Millis = CLOSE_TIMEOUT_MS): void {
    if (this.#state !== 'open') {
      this.#env.soon(done)
      return
    }
    this.#state = 'closing'
    this.#poll = undefined
    this.#timer?.cancel()
    const deadline = new Deadline(this.#env, timeoutMs)
    const requestTimeoutMs = this.#config['request.timeout.ms']
    const finish = (): void => {
      if (this.#state === 'closed') return
      this.#state = 'closed'
      this.#timer?.cancel()
      this.#cluster.close()
      this.#env.soon(done)
    }
    const closeSessions = (): void => {
      this.#timer = this.#env.after(Math.min(deadline.remainingMs, requestTimeoutMs), finish)
      this.#fetcher.closeSessions(finish)
    }
    if (this.#group === undefined) closeSessions()
    else this.#group.close(closeSessions, Math.min(timeoutMs, requestTimeoutMs))
  }

  readonly #onEvent = (): void => {
    this.#isWaking = false
    this.#step()
  }

  readonly #onPoll = (): void => {
    this.#group?.beginPoll()
    this.#step()
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined
    this.#step()
  }

  /** Something changed while the application polls. */
  #wake(): void {
    // One round for all that happened: some of what it does must not be done twice.
    if (this.#poll === undefined || this.#isWaking) return
    this.#isWaking = true
    this.#env.soon(this.#onEvent)
  }

  /** Goes on with the poll under way, as far as it can. */
  #step(): void {
    const poll = this.#poll
    if (poll === undefined || this.#state !== 'open') return
    const refusal = this.#metadata.takeError()
    if (refusal !== Errors.NONE) return this.#finish(poll, [], { partition: '', error: errorName(refusal) })
    if (poll.isFetching) {
      if (this.#collect(poll)) return
      if (poll.deadline.isOver) return this.#finish(poll, [], undefined)
      poll.isFetching = false
    }
    if (this.#isWakeupAsked) {
      this.#isWakeupAsked = false
      return this.#finish(poll, [], { partition: '', error: 'WAKEUP' })
    }
    const group = this.#group?.step() ?? 'ready'
    if (this.#poll !== poll || group === 'blocked') return this.#updateMetadata(Infinity)
    if (typeof group === 'object') return this.#finish(poll, [], { partition: '', error: group.error })
    if (group === 'waiting' && !poll.deadline.isOver) return this.#await(poll, Infinity)
    const positions = group === 'ready' ? this.#findPositions(poll) : 'skip'
    if (positions === 'ended') return
    if (positions === 'waiting') return this.#await(poll, Infinity)
    if (this.#collect(poll)) return
    // What was just collected may have cost a partition its position.
    if (positions === 'ready' && this.#findPositions(poll) === 'ended') return
    this.#fetch(poll)
  }

  /** Sends what can be fetched, and waits for records. */
  #fetch(poll: Poll): void {
    // Metadata that is due goes before what depends on it.
    this.#updater.maybeUpdate(this.#cluster, this.#env.clock.wallMs())
    this.#sendFetches()
    if (poll.deadline.isOver) {
      this.#updater.maybeUpdate(this.#cluster, this.#env.clock.wallMs())
      this.#finish(poll, [], undefined)
      return
    }
    poll.isFetching = true
    let waitMs = this.#group?.timeToNextPollMs() ?? Infinity
    if (!this.#subscriptions.hasAllPositions()) waitMs = Math.min(waitMs, this.#config['retry.backoff.ms'])
    this.#await(poll, waitMs)
  }

  /** Waits for an event, at most this long. */
  #await(poll: Poll, waitMs: Millis): void {
    let atMostMs = Math.min(waitMs, poll.deadline.remainingMs)
    // Lookups back off, and where nothing is under way nothing will wake us.
    if (this.#cluster.inFlight + (this.#group?.inFlight ?? 0) === 0) {
      atMostMs = Math.min(atMostMs, this.#config['retry.backoff.ms'])
    }
    this.#updateMetadata(atMostMs)
  }

  #updateMetadata(atMostMs: Millis): void {
    const metadataMs = this.#updater.maybeUpdate(this.#cluster, this.#env.clock.wallMs())
    const waitMs = Math.min(atMostMs, metadataMs)
    this.#timer?.cancel()
    this.#timer = waitMs === Infinity ? undefined : this.#env.after(Math.max(waitMs, 1), this.#onTimer)
  }

  /** Goes on finding positions: `skip` when the group's are not known and there is no time left. */
  #findPositions(poll: Poll): 'ready' | 'skip' | 'waiting' | 'ended' {
    let failure = this.#resolver.validate()
    if (failure === undefined && !this.#subscriptions.hasAllPositions()) {
      const committed = this.#group?.initPositions() ?? 'ready'
      if (committed === 'ready') failure = this.#resolver.reset()
      else if (typeof committed === 'object') failure = { partition: '', error: committed.error }
      else return poll.deadline.isOver ? 'skip' : 'waiting'
    }
    if (failure === undefined) return 'ready'
    this.#finish(poll, [], failure)
    return 'ended'
  }

  #sendFetches(): void {
    this.#resolver.validateOnMetadataChange()
    this.#fetcher.sendFetches()
  }

  /** True when the poll is over, with what was buffered. */
  #collect(poll: Poll): boolean {
    const collected = this.#fetcher.collect(poll.maxRecords)
    if (collected.error === undefined && !collected.advanced && collected.records.length === 0) return false
    this.#handOver(poll, collected)
    return true
  }

  #handOver(poll: Poll, collected: Collected): void {
    // The next fetch is under way while the application works.
    if (collected.error === undefined) this.#sendFetches()
    this.#emitPolled(collected.records)
    this.#finish(poll, collected.records, collected.error)
  }

  #finish(poll: Poll, records: readonly ConsumedRecord[], error: ConsumerError | undefined): void {
    this.#poll = undefined
    this.#group?.endPoll()
    this.#timer?.cancel()
    this.#timer = undefined
    if (error === undefined) {
      poll.done({ records })
      return
    }
    if (error.error !== 'WAKEUP') this.#env.emit('consume.failed', { partition: error.partition, error: error.error })
    poll.done({ records, error })
  }

  /** One event for each run of records of one partition. */
  #emitPolled(records: readonly ConsumedRecord[]): void {
    for (let start = 0, end = 0; start < records.length; start = end) {
      const first = records[start] as ConsumedRecord
      const offsets: Offset[] = []
      const ids: RecordId[] = []
      const leaderEpochs: Epoch[] = []
      for (; end < records.length; end++) {
        const record = records[end] as ConsumedRecord
        if (record.index !== first.index || record.topic !== first.topic) break
        offsets.push(record.offset)
        ids.push(this.#idOf(record))
        leaderEpochs.push(record.leaderEpoch)
      }
      this.#env.emit('consume.polled', {
        partition: partitionName(first.topic, first.index),
        offsets,
        ids,
        leaderEpochs,
      })
    }
  }

  // ── parts ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #makeGroup(wire: { readonly wire?: WireMode }): GroupCoordinator {
    const config = this.#config
    const wake = (): void => this.#wake()
    const isClassic = config['group.protocol'] === 'classic'
    const channel = new CoordinatorChannel(this.#env, config, {
      groupId: config['group.id'],
      cluster: this.#cluster,
      updater: this.#updater,
      // What goes to the coordinator of a new group is none of the application's business.
      onWake: isClassic ? wake : () => undefined,
      ...wire,
    })
    const parts = {
      subscriptions: this.#subscriptions,
      metadata: this.#metadata,
      channel,
      isPolling: () => this.#poll !== undefined,
      setPositions: (committed: Committed) => this.#setPositions(committed),
      dropUnassigned: () => this.#fetcher.dropUnassigned(),
      wake,
    }
    return isClassic
      ? new ClassicCoordinator(this.#env, config, parts)
      : new ConsumerCoordinator(this.#env, config, parts)
  }

  #setPositions(committed: Committed): void {
    for (const [name, position] of committed) {
      const partition = this.#subscriptions.get(name)
      if (position === null || partition === undefined) continue
      this.#seek(partition, position.offset, position.leaderEpoch ?? -1, 'assigned')
    }
  }

  #seek(partition: AssignedPartition, offset: Offset, leaderEpoch: Epoch, reason: 'assigned' | 'seek'): void {
    const from = partition.position?.offset ?? -1
    const leader = this.#metadata.currentLeader(partition.topic, partition.index)
    if (leaderEpoch >= 0) this.#metadata.sawLeaderEpoch(partition.name, leaderEpoch)
    partition.seekUnvalidated({ ...unknownEpoch(offset, leader), offsetEpoch: leaderEpoch })
    this.#env.emit('consume.position', { partition: partition.name, from, to: offset, reason })
  }

  #sawEpochs(offsets: Committed): void {
    for (const [name, position] of offsets) {
      const epoch = position?.leaderEpoch ?? -1
      if (epoch >= 0) this.#metadata.sawLeaderEpoch(name, epoch)
    }
  }

  #ensureOpen(call: string): void {
    if (this.#state !== 'open') throw new UsageError(`${call}: the consumer is closed`)
  }

  #groupFor(call: string): GroupCoordinator {
    this.#ensureOpen(call)
    if (this.#group !== undefined) return this.#group
    throw new UsageError({ message: `${call}: the consumer is in no group`, mend: 'give it a group.id' })
  }

  #named(partitions: readonly string[]): AssignedPartition[] {
    return partitions.length === 0
      ? [...this.#subscriptions.assigned()]
      : partitions.map((name) => this.#assigned(name))
  }

  #assigned(name: string): AssignedPartition {
    const partition = this.#subscriptions.get(name)
    if (partition === undefined) {
      const hint = parsePartition(name) === undefined ? { mend: 'write it as orders-0' } : {}
      throw new UsageError({ message: `${name} is not assigned to this consumer`, ...hint })
    }
    return partition
  }
}
