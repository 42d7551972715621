/**
 * The replicas of a broker: what it leads, what it follows, and the requests about them (Kafka's `ReplicaManager`).
 *
 * Metadata decides the roles. `applyDelta` takes one step of the metadata log, in Kafka's order: partitions that went
 * away, those that this broker leads, those that it follows, then configurations. What it does for each:
 *
 *   deleted, or moved away       stop fetching, fail what waits, delete the log
 *   leader                       stop fetching, become leader (partition.ts)
 *   follower, new leader epoch   become follower, fetch from the leader if there is one, fail what waits
 *   follower, same leader epoch  only the partition epoch moves
 *
 * In ZooKeeper mode the controller says the same by LeaderAndIsr (`changeRoles`) and StopReplica (`stop`): every change of roles has a new leader
 * epoch there, and a follower whose leader is not known to be alive stays what it was.
 *
 * A DiskError takes the partition offline and, as with Kafka's only log directory, all others and the process after it.
 * Requests are answered by the handlers of replica-produce.ts, replica-fetch.ts and replica-offsets.ts.
 */

import { DiskError, type Env } from '../kernel/env.js'
import { partitionName } from '../kernel/names.js'
import type { Epoch, NodeId, Offset } from '../kernel/units.js'
import type { MetadataImage } from '../kraft/metadata/image.js'
import type { RequestAuthorizer } from '../kraft/metadata/request-authorizer.js'
import type { LocalPartition, LocalReplicaChanges, MetadataDelta } from '../kraft/metadata/metadata-delta.js'
import type { LogManager } from '../log/log-manager.js'
import type { PartitionLog } from '../log/partition-log.js'
import type { RequestClient } from '../wire/request-client.js'
import type { IncomingRequestOf } from '../wire/request-server.js'
import type { IsrChanges, TopicIdPartition } from './alter-partition-manager.js'
import { type FetchAssignment, FetcherManager } from './fetcher-manager.js'
import { HighWatermarkCheckpoint } from './high-watermark-checkpoint.js'
import { NO_LEADER, Partition, type PartitionContext } from './partition.js'
import type { BrokerReplicationConfig } from './replica-config.js'
import { FetchHandler } from './replica-fetch.js'
import { OffsetsHandler } from './replica-offsets.js'
import {
  type AppendOptions,
  type ProduceEntry,
  ProduceHandler,
  type TransactionVerification,
} from './replica-produce.js'
import { ReplicaRegistry } from './replica-registry.js'

export interface ReplicaManagerOptions {
  readonly brokerId: NodeId
  readonly brokerEpoch: () => Epoch
  readonly config: BrokerReplicationConfig
  readonly logManager: LogManager
  readonly alterPartition: IsrChanges
  /** A new client for each fetcher. */
  readonly requests: () => RequestClient
  /** The image of now; it is the new one already when `applyDelta` is called. */
  readonly metadata: () => MetadataImage
  /** Asks about transactions before their first append (KIP-890); without one they are believed. */
  readonly verification?: TransactionVerification
  /** Says who may do what to topics; without one everybody may do everything. */
  readonly auth?: RequestAuthorizer
}

/** What came of new roles in ZooKeeper mode. */
export interface RoleChanges {
  /** Led here since now. */
  readonly newLeaders: readonly Partition[]
  /** Followed in a new leader epoch. */
  readonly newFollowers: readonly Partition[]
  /** Names of those whose log directory failed. */
  readonly failed: ReadonlySet<string>
}

export class ReplicaManager {
  readonly #env: Env
  readonly #options: ReplicaManagerOptions
  readonly #registry: ReplicaRegistry
  readonly #fetchers: FetcherManager
  readonly #produce: ProduceHandler
  readonly #fetch: FetchHandler
  readonly #offsets: OffsetsHandler
  readonly #highWatermarks: HighWatermarkCheckpoint
  readonly #context: PartitionContext
  #isShuttingDown = false
  #hasFailed = false

  constructor(env: Env, options: ReplicaManagerOptions) {
    const { brokerId, brokerEpoch, config, metadata, alterPartition, requests } = options
    this.#env = env
    this.#options = options
    const registry = new ReplicaRegistry(metadata)
    const onStorageError = (partition: Partition, error: DiskError): void => this.#onStorageError(partition, error)
    this.#registry = registry
    this.#fetchers = new FetcherManager(env, { brokerId, brokerEpoch, config, requests, metadata, onStorageError })
    const { verification } = options
    const common = { registry, onStorageError, auth: options.auth }
    this.#produce = new ProduceHandler(env, { ...common, metadata, ...(verification && { verification }) })
    this.#fetch = new FetchHandler(env, { ...common, brokerId, config, metadata })
    this.#offsets = new OffsetsHandler(env, common)
    const interval = config['replica.high.watermark.checkpoint.interval.ms']
    this.#highWatermarks = new HighWatermarkCheckpoint(env, interval, () => registry.online())
    this.#context = {
      env,
      brokerId,
      brokerEpoch,
      maxLagMs: config['replica.lag.time.max.ms'],
      metadata,
      alterPartition,
      openLog: (partition) => this.#openLog(partition),
      logs: options.logManager,
      checkpointedHighWatermark: (name): Offset => this.#highWatermarks.get(name),
    }
  }

  // ── life ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  startup(): void {
    this.#scheduleShrink()
  }

  /** From now on a replica that is out of the ISR, or has no leader, stops fetching as soon as metadata says so. */
  beginControlledShutdown(): void {
    this.#isShuttingDown = true
  }

  /** Stops replication, writes the high watermarks and closes the logs. */
  shutdown(done: () => void): void {
    this.#fetchers.shutdown()
    this.#env.disk.access(() => {
      this.#highWatermarks.write()
      this.#options.logManager.shutdown(this.#options.brokerEpoch(), done)
    })
  }

  // ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────

  handleProduce(request: IncomingRequestOf<'Produce'>): void {
    this.#produce.handle(request)
  }

  handleFetch(request: IncomingRequestOf<'Fetch'>): void {
    this.#fetch.handle(request)
  }

  handleListOffsets(request: IncomingRequestOf<'ListOffsets'>): void {
    this.#offsets.handleListOffsets(request)
  }

  handleOffsetForLeaderEpoch(request: IncomingRequestOf<'OffsetForLeaderEpoch'>): void {
    this.#offsets.handleOffsetForLeaderEpoch(request)
  }

  handleDeleteRecords(request: IncomingRequestOf<'DeleteRecords'>): void {
    this.#offsets.handleDeleteRecords(request)
  }

  /** As in Kafka, nothing here belongs to a connection: sessions outlive it, and what waits goes on waiting. */
  onDisconnect(_connectionId: number): void {}

  /** Appends for a coordinator, now; `done` once every entry has its result. The caller minds the disk's gate. */
  append(entries: readonly ProduceEntry[], options: AppendOptions, done: () => void): void {
    this.#produce.append(entries, options, done)
  }

  // ── what there is ─────────────────────────────────────────────────────────────────────────────────────────────────

  leaderCount(): number {
    let count = 0
    for (const partition of this.#registry.online()) if (partition.leaderLog !== undefined) count++
    return count
  }

  /** Online partitions. */
  partitions(): Iterable<Partition> {
    return this.#registry.online()
  }

  /** A partition, when it is online. */
  partition(topic: string, index: number): Partition | undefined {
    return this.#registry.find(topic, index)
  }

  get fetchers(): FetcherManager {
    return this.#fetchers
  }

  // ── metadata ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes over what `delta` changed for this broker; `image` is the metadata after it. */
  applyDelta(delta: MetadataDelta, image: MetadataImage): void {
    const changes = delta.localChanges(this.#options.brokerId)
    this.#delete(changes.deletes)
    if (changes.leaders.length > 0 || changes.followers.length > 0) {
      this.#lead(changes.leaders)
      this.#follow(changes.followers, image)
      this.#fetchers.closeIdle()
    }
    this.#reconfigure(delta)
    this.#highWatermarks.start()
  }

  /** Partitions with a new leader epoch (`makeLeaders`, `makeFollowers`). */
  changeRoles(
    leaders: readonly LocalPartition[],
    followers: readonly LocalPartition[],
    image: MetadataImage,
  ): RoleChanges {
    const newLeaders: Partition[] = []
    const newFollowers: Partition[] = []
    const failed = new Set<string>()
    const attempt = <T>(local: LocalPartition, change: (partition: Partition) => T): T | undefined => {
      const partition = this.#getOrCreate(local)
      const outcome = partition && this.#guard(partition, () => change(partition))
      if (outcome === undefined) failed.add(partitionName(local.topic, local.partition))
      return outcome
    }
    this.#fetchers.remove(leaders.map(({ topic, partition }) => partitionName(topic, partition)))
    for (const local of leaders) {
      attempt(local, (partition) => {
        const isNew = partition.makeLeader(local.image)
        if (isNew) newLeaders.push(partition)
        return isNew
      })
    }
    for (const local of followers) {
      attempt(local, (partition) => {
        // Without a leader only the log is made, so that its high watermark is kept (KAFKA-1647).
        if (!image.brokers.has(local.image.leader)) return partition.ensureLog()
        const isNew = partition.makeFollower(local.image)
        if (isNew) newFollowers.push(partition)
        return isNew
      })
    }
    for (const partition of newFollowers) partition.becomingFollower()
    if (this.#isShuttingDown) this.#fetchers.remove(newFollowers.map((partition) => partition.name))
    else this.#startFetching(newFollowers, image)
    for (const partition of newFollowers) completeAfterLeadership(partition)
    this.#fetchers.closeIdle()
    this.#highWatermarks.start()
    return { newLeaders, newFollowers, failed }
  }

  /** Stops a replica: it fetches no more, and with `isDeleted` it and its log are gone (`stopPartitions`). */
  stop(topic: string, index: number, isDeleted: boolean): void {
    const partition = this.#registry.find(topic, index)
    if (partition === undefined) {
      // Deleted while the broker was down: the log is there, and nobody hosts it.
      if (isDeleted) this.#options.logManager.asyncDelete([partitionName(topic, index)])
    } else if (isDeleted) this.#remove(partition)
    else {
      this.#fetchers.remove([partition.name])
      completeAfterLeadership(partition)
      this.#env.emit('replica.stopped', { partition: partition.name, deleted: false })
    }
  }

  isOffline(topic: string, index: number): boolean {
    return this.#registry.offlineTopicId(topic, index) !== undefined
  }

  #delete(deletes: LocalReplicaChanges['deletes']): void {
    for (const { topic, topicId, partition: index } of deletes) {
      const partition = this.#registry.find(topic, index)
      if (partition?.topicId === topicId) this.#remove(partition)
    }
  }

  #remove(partition: Partition): void {
    this.#fetchers.remove([partition.name])
    this.#registry.remove(partition)
    partition.markDeleted()
    completeAfterLeadership(partition)
    this.#env.emit('replica.stopped', { partition: partition.name, deleted: true })
    this.#options.logManager.asyncDelete([partition.name])
  }

  #lead(leaders: readonly LocalPartition[]): void {
    this.#fetchers.remove(leaders.map(({ topic, partition }) => `${topic}-${partition}`))
    for (const local of leaders) {
      const partition = this.#getOrCreate(local)
      if (partition !== undefined) this.#guard(partition, () => partition.makeLeader(local.image))
    }
  }

  #follow(followers: readonly LocalPartition[], image: MetadataImage): void {
    const start: Partition[] = []
    const stop: Partition[] = []
    for (const local of followers) {
      const partition = this.#getOrCreate(local)
      if (partition === undefined) continue
      const isNewEpoch = this.#guard(partition, () => partition.makeFollower(local.image))
      if (isNewEpoch === undefined) {
        this.#fetchers.addFailed(partition.name)
        continue
      }
      const isWanted = local.image.leader !== NO_LEADER && local.image.isr.includes(this.#options.brokerId)
      if (this.#isShuttingDown && !isWanted) stop.push(partition)
      else if (isNewEpoch) {
        partition.becomingFollower()
        start.push(partition)
      }
    }
    this.#startFetching(start, image)
    for (const partition of stop) {
      this.#fetchers.remove([partition.name])
      completeAfterLeadership(partition)
      this.#env.emit('replica.stopped', { partition: partition.name, deleted: false })
    }
  }

  #startFetching(partitions: readonly Partition[], image: MetadataImage): void {
    if (partitions.length === 0) return
    this.#fetchers.remove(partitions.map((partition) => partition.name))
    const assignments: FetchAssignment[] = []
    for (const partition of partitions) {
      const { leader, leaderEpoch, log } = partition
      const leaderNode = image.brokers.get(leader)?.host
      if (leaderNode === undefined || log === undefined) continue
      // Without an epoch there is nothing to compare with the leader: what is above the high watermark goes.
      const offset = log.latestEpoch >= 0 ? log.logEndOffset : log.highWatermark
      assignments.push({ partition, leader, leaderNode, leaderEpoch, offset })
    }
    this.#fetchers.add(assignments)
    for (const partition of partitions) completeAfterLeadership(partition)
  }

  /** undefined: it is on a failed directory. */
  #getOrCreate({ topic, topicId, partition: index }: LocalPartition): Partition | undefined {
    const online = this.#registry.find(topic, index)
    if (online !== undefined) return online
    if (this.#registry.offlineTopicId(topic, index) === topicId) return undefined
    const partition = new Partition(this.#context, topic, topicId, index)
    this.#registry.add(partition)
    return partition
  }

  #openLog({ topic, topicId, index }: TopicIdPartition): PartitionLog {
    const log = this.#options.logManager.getOrCreate(topic, index, topicId)
    if ('error' in log) throw new DiskError('io', `${topic}-${index}`)
    return log
  }

  #reconfigure(delta: MetadataDelta): void {
    if (delta.changedConfigs.size === 0) return
    const { logManager } = this.#options
    // Those of brokers reach the log manager by another way.
    for (const resource of delta.changedConfigs.keys()) {
      if (resource.startsWith('topic:')) logManager.topicConfigChanged(resource.slice('topic:'.length))
    }
  }

  // ── trouble ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Runs a change of roles; undefined when the disk failed under it. */
  #guard<T>(partition: Partition, change: () => T): T | undefined {
    try {
      return change()
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      this.#onStorageError(partition, error)
      return undefined
    }
  }

  #onStorageError(partition: Partition, error: DiskError): void {
    this.#markOffline(partition, error.kind)
    if (this.#hasFailed) return
    this.#hasFailed = true
    // Kafka's handler of failed directories is a thread of its own: the request at hand is still answered.
    this.#env.soon(() => {
      for (const other of [...this.#registry.online()]) this.#markOffline(other, error.kind)
      this.#env.halt('log-directory-failed')
    })
  }

  #markOffline(partition: Partition, reason: string): void {
    if (this.#registry.find(partition.topic, partition.index) !== partition) return
    this.#fetchers.remove([partition.name])
    this.#registry.markOffline(partition)
    partition.markOffline()
    this.#env.emit('replica.offline', { partition: partition.name, reason })
  }

  #scheduleShrink(): void {
    const periodMs = Math.floor(this.#options.config['replica.lag.time.max.ms'] / 2)
    this.#env.after(Math.max(1, periodMs), () => {
      this.#scheduleShrink()
      for (const partition of this.#registry.online()) partition.maybeShrinkIsr()
    })
  }
}

/** What waits for this broker as leader is told now, instead of when its time is up. */
function completeAfterLeadership(partition: Partition): void {
  partition.delayedProduce.check()
  partition.delayedFetch.check()
}
