/**
 * A consumer with assigned partitions (Kafka's KafkaConsumer after `assign`).
 *
 * As in Kafka everything happens while the application polls: positions are found and checked, metadata is renewed, fetches go
 * out; between polls at most one fetch per broker is under way, sent when the last records were handed over. What decides which
 * partitions are assigned stays outside: a group will call `assign` too.
 *
 * `poll` is answered by a later event, with records as soon as there are any, with nothing after its timeout, or with an
 * error that the application must do something about (seek, or assign otherwise).
 */

import type { Env, EnvTimer } from '../kernel/env.js'
import { assert, UsageError } from '../kernel/errors.js'
import type { RecordId } from '../kernel/events.js'
import { parsePartition, partitionName, type NodeName } from '../kernel/names.js'
import type { Epoch, Millis, Offset } from '../kernel/units.js'
import type { WireMode } from '../wire/frame.js'
import { ClientMetadata } from './client-metadata.js'
import { ClusterClient } from './cluster-client.js'
import type { ConsumedRecord } from './completed-fetch.js'
import type { ConsumerConfig } from './consumer-config.js'
import { Fetcher, type Collected, type ConsumerError } from './fetcher.js'
import { MetadataUpdater } from './metadata-updater.js'
import { OffsetResolver } from './offset-resolver.js'
import { SubscriptionState, unknownEpoch, type AssignedPartition, type TopicPartition } from './subscription-state.js'
import { ListedTopics } from './topic-interest.js'
import { idOf } from './workload-record.js'

export interface Polled {
  readonly records: readonly ConsumedRecord[]
  readonly error?: ConsumerError
}

export interface Assignment extends TopicPartition {
  /** Where to start; the reset policy decides when left out. */
  readonly offset?: Offset
  /** Epoch of the record before `offset`, if known: the position is then checked. */
  readonly leaderEpoch?: Epoch
}

export interface ConsumerOptions {
  /** The workload id that a record carries; default: as workload-record.ts writes it. */
  readonly idOf?: (record: ConsumedRecord) => RecordId
  readonly wire?: WireMode
  /** A group decides what is assigned: it may be nothing for a while. */
  readonly isManaged?: boolean
  /** Metadata changed, or a connection did: called by later events, within polls and between them. */
  readonly onWake?: () => void
}

interface Poll {
  readonly done: (polled: Polled) => void
  readonly deadlineMs: Millis
  readonly maxRecords: number
}

/** KafkaConsumer.DEFAULT_CLOSE_TIMEOUT_MS. */
const CLOSE_TIMEOUT_MS = 30_000

export class Consumer {
  readonly #env: Env
  readonly #subscriptions: SubscriptionState
  readonly #topics: ListedTopics
  readonly #metadata: ClientMetadata
  readonly #updater: MetadataUpdater
  readonly #cluster: ClusterClient
  readonly #fetcher: Fetcher
  readonly #resolver: OffsetResolver
  readonly #idOf: (record: ConsumedRecord) => RecordId
  readonly #retryBackoffMs: Millis
  readonly #requestTimeoutMs: Millis
  readonly #maxPollRecords: number
  readonly #isManaged: boolean
  /** Topics that a group is interested in, beside those assigned. */
  #watched: readonly string[] = []
  #poll: Poll | undefined
  #timer: EnvTimer | undefined
  #state: 'open' | 'closing' | 'closed' = 'open'

  /** @param config as `parseConsumerConfig` gives it */
  constructor(env: Env, config: ConsumerConfig, bootstrap: readonly NodeName[], options: ConsumerOptions = {}) {
    this.#env = env
    this.#idOf = options.idOf ?? ((record) => idOf(record.value))
    this.#retryBackoffMs = config['retry.backoff.ms']
    this.#requestTimeoutMs = config['request.timeout.ms']
    this.#maxPollRecords = config['max.poll.records']
    this.#isManaged = options.isManaged ?? false
    const reset = config['auto.offset.reset']
    this.#subscriptions = new SubscriptionState(reset === 'none' ? undefined : reset)
    this.#topics = new ListedTopics(config['allow.auto.create.topics'])
    this.#metadata = new ClientMetadata(
      bootstrap,
      this.#topics,
      {
        retryBackoffMs: config['retry.backoff.ms'],
        retryBackoffMaxMs: config['retry.backoff.max.ms'],
        maxAgeMs: config['metadata.max.age.ms'],
      },
      env.random,
    )
    this.#updater = new MetadataUpdater(env, this.#metadata, config)
    this.#cluster = new ClusterClient(env, config, this.#updater, {
      maxInFlight: 100,
      onWake: () => {
        options.onWake?.()
        this.#step()
      },
      ...(options.wire === undefined ? {} : { wire: options.wire }),
    })
    this.#fetcher = new Fetcher(env, config, this.#subscriptions, this.#metadata, this.#cluster)
    this.#resolver = new OffsetResolver(env, config, this.#subscriptions, this.#metadata, this.#cluster)
  }

  /** Replaces the assignment. Partitions that stay keep their position unless another is given. */
  assign(partitions: readonly Assignment[]): void {
    this.#subscriptions.assign(partitions)
    this.#fetcher.dropUnassigned()
    this.#updateTopics()
    for (const { topic, index, offset, leaderEpoch } of partitions) {
      if (offset === undefined) continue
      this.#seek(this.#assigned(partitionName(topic, index)), offset, leaderEpoch ?? -1, 'assigned')
    }
    this.#wake()
  }

  /** Keeps metadata of these topics, whatever is assigned. */
  watch(topics: readonly string[]): void {
    this.#watched = topics
    this.#updateTopics()
    this.#wake()
  }

  /** Partitions of a topic, as far as metadata tells; undefined when it does not. */
  partitionCount(topic: string): number | undefined {
    const count = this.#metadata.snapshot.partitionsOf(topic).length
    return count === 0 ? undefined : count
  }

  /** Every broker that is known, to ask for a coordinator. */
  brokers(): readonly NodeName[] {
    return this.#metadata.snapshot.nodeList.map(({ host }) => host)
  }

  /** The poll under way is not answered; records that were not handed over stay. */
  cancelPoll(): void {
    this.#poll = undefined
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** Names of the assigned partitions. */
  assignment(): string[] {
    return [...this.#subscriptions.assigned()].map((partition) => partition.name)
  }

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

  /** Leader epoch of the last record before the position; -1 when it is not known. */
  positionEpoch(partition: string): Epoch {
    return this.#assigned(partition).position?.offsetEpoch ?? -1
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

  /** Asks for records; one poll at a time. `done` comes once, by a later event, unless the consumer is closed. */
  poll(done: (polled: Polled) => void, timeoutMs: Millis, maxRecords: number = this.#maxPollRecords): void {
    assert(this.#poll === undefined, 'consumer: poll within a poll')
    if (this.#state !== 'open') throw new UsageError('poll: the consumer is closed')
    if (this.#subscriptions.isEmpty && !this.#isManaged) throw new UsageError('poll: no partitions are assigned')
    this.#poll = { done, deadlineMs: this.#env.clock.wallMs() + timeoutMs, maxRecords }
    this.#env.soon(this.#onPoll)
  }

  /** Closes the fetch sessions and the connections. A poll under way is not answered any more. */
  close(done: () => void, timeoutMs: Millis = CLOSE_TIMEOUT_MS): void {
    if (this.#state !== 'open') {
      this.#env.soon(done)
      return
    }
    this.#state = 'closing'
    this.#poll = undefined
    this.#timer?.cancel()
    const finish = (): void => {
      if (this.#state === 'closed') return
      this.#state = 'closed'
      this.#timer?.cancel()
      this.#cluster.close()
      this.#env.soon(done)
    }
    this.#timer = this.#env.after(Math.min(timeoutMs, this.#requestTimeoutMs), finish)
    this.#fetcher.closeSessions(finish)
  }

  #updateTopics(): void {
    const topics = new Set([...this.#subscriptions.topics(), ...this.#watched])
    if (this.#topics.set(topics)) this.#metadata.requestUpdateForNewTopics()
  }

  readonly #onEvent = (): void => this.#step()

  readonly #onPoll = (): void => {
    if (this.#resolve()) this.#step()
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined
    this.#step()
  }

  /** The application changed something while it polls. */
  #wake(): void {
    if (this.#poll !== undefined) this.#env.soon(this.#onEvent)
  }

  /** Goes on with the poll under way, as far as it can. */
  #step(): void {
    const poll = this.#poll
    if (poll === undefined) return
    const nowMs = this.#env.clock.wallMs()
    const collected = this.#fetcher.collect(poll.maxRecords)
    if (collected.error !== undefined || collected.advanced || collected.records.length > 0) {
      this.#handOver(poll, collected)
      return
    }
    // What was just collected may have cost a partition its position.
    if (!this.#resolve()) return
    // Metadata that is due goes before what depends on it.
    this.#updater.maybeUpdate(this.#cluster, nowMs)
    this.#sendFetches()
    const metadataWaitMs = this.#updater.maybeUpdate(this.#cluster, nowMs)
    if (nowMs >= poll.deadlineMs) {
      this.#finish(poll, [], undefined)
      return
    }
    let waitMs = Math.min(poll.deadlineMs - nowMs, metadataWaitMs)
    // Lookups back off, and where nothing is under way nothing will wake us.
    if (!this.#subscriptions.hasAllPositions() || this.#cluster.inFlight === 0)
      waitMs = Math.min(waitMs, this.#retryBackoffMs)
    this.#timer?.cancel()
    this.#timer = this.#env.after(Math.max(waitMs, 1), this.#onTimer)
  }

  /** Goes on finding positions. False when the poll ended with an error. */
  #resolve(): boolean {
    const poll = this.#poll
    if (poll === undefined) return false
    const failure = this.#resolver.resolve()
    if (failure === undefined) return true
    this.#finish(poll, [], failure)
    return false
  }

  #sendFetches(): void {
    this.#resolver.validateOnMetadataChange()
    this.#fetcher.sendFetches()
  }

  #handOver(poll: Poll, collected: Collected): void {
    // The next fetch is under way while the application works.
    if (collected.error === undefined) this.#sendFetches()
    this.#emitPolled(collected.records)
    this.#finish(poll, collected.records, collected.error)
  }

  #finish(poll: Poll, records: readonly ConsumedRecord[], error: ConsumerError | undefined): void {
    this.#poll = undefined
    this.#timer?.cancel()
    this.#timer = undefined
    if (error === undefined) {
      poll.done({ records })
      return
    }
    this.#env.emit('consume.failed', { partition: error.partition, error: error.error })
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

  #seek(partition: AssignedPartition, offset: Offset, leaderEpoch: Epoch, reason: 'assigned' | 'seek'): void {
    const from = partition.position?.offset ?? -1
    const leader = this.#metadata.currentLeader(partition.topic, partition.index)
    if (leaderEpoch >= 0) this.#metadata.sawLeaderEpoch(partition.name, leaderEpoch)
    partition.seekUnvalidated({ ...unknownEpoch(offset, leader), offsetEpoch: leaderEpoch })
    this.#env.emit('consume.position', { partition: partition.name, from, to: offset, reason })
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
