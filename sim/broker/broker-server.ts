/**
 * A broker: Kafka's `BrokerServer` as a program.
 *
 * How it joins the cluster is its membership's (membership.ts): the quorum's or ZooKeeper's. Either way the logs are opened and recovered before it is
 * let in, and only then does it listen for connections. A broker that cannot register in time stops in order, then ends with a failure.
 *
 * Stopping (SIGTERM): controlled shutdown, for at most 5 minutes, until the controller approves; then connections, metadata,
 * replicas with their logs (flushed, clean shutdown file), channels and membership, in this order. Before startup is over SIGTERM ends the
 * process at once, without any of this, as Kafka's shutdown hook does. The only log directory failing ends the process.
 *
 *   starting ──let in────→ started ──stop──→ stopping ──→ (process ends)
 *      │                                        ↑
 *      ├── registration timed out ──────────────┘
 *      └── stop ──→ (process ends)
 */

import type { Boot, Env, EnvTimer, Program } from '../kernel/env.js'
import { assert, type Problem, UsageError } from '../kernel/errors.js'
import { parsePartition } from '../kernel/names.js'
import type { Epoch, Millis, NodeId, Offset } from '../kernel/units.js'
import type { MetadataImage } from '../kraft/metadata/image.js'
import type { LocalPartition, MetadataDelta } from '../kraft/metadata/metadata-delta.js'
import type { PartitionLog } from '../log/partition-log.js'
import { type RequestServer, serve } from '../wire/request-server.js'
import type { ApiHandlers } from './api-context.js'
import { brokerHandlers, dispatch } from './api-handlers.js'
import { type ParsedBrokerConfig, parseBrokerConfig } from './broker-config.js'
import type { BrokerState, ShutdownReason } from './broker-lifecycle.js'
import { type BrokerOptions, BrokerParts } from './broker-parts.js'
import type { Hosted, MembershipHost, ReplicaToStop } from './membership.js'
import { parseZooKeeperBrokerConfig } from './zookeeper/zk-broker-config.js'

export type { BrokerOptions } from './broker-parts.js'

/** How long controlled shutdown may take (`KafkaBroker.shutdown`). */
const SHUTDOWN_TIMEOUT_MS: Millis = 300_000

/** The program of a broker whose disk was formatted. @throws UsageError when the configuration is wrong */
export function bootBroker(options: BrokerOptions): Boot {
  const problems: Problem[] = []
  const mode = 'zookeeper' in options ? parseZooKeeperBrokerConfig(options.config, problems) : undefined
  const parsed = parseBrokerConfig(mode?.rest ?? options.config)
  problems.push(...parsed.problems)
  if (problems.length > 0) throw new UsageError(problems)
  return (env) => new BrokerServer(env, options, parsed)
}

/** A running broker as an explorer sees it. */
export interface BrokerView {
  readonly brokerId: NodeId
  readonly state: BrokerState
  readonly brokerEpoch: number
  readonly incarnationId: string
  /** Offset of the newest metadata that is applied; -1 for none. */
  readonly metadataOffset: Offset
  /** Whether clients can connect. */
  readonly isServing: boolean
  readonly partitions: readonly PartitionView[]
}

export interface PartitionView {
  readonly partition: string
  /** -1 for none. */
  readonly leader: NodeId
  readonly leaderEpoch: Epoch
  readonly partitionEpoch: Epoch
  readonly isr: readonly NodeId[]
  readonly logStartOffset: Offset
  readonly highWatermark: Offset
  readonly logEndOffset: Offset
}

type Status = 'starting' | 'started' | 'stopping'

export class BrokerServer implements Program, MembershipHost {
  readonly #env: Env
  readonly #options: BrokerOptions
  readonly #parts: BrokerParts
  readonly #handlers: ApiHandlers
  #server: RequestServer | undefined
  #status: Status = 'starting'
  #shutdownTimer: EnvTimer | undefined
  #ended: () => void

  constructor(env: Env, options: BrokerOptions, parsed: ParsedBrokerConfig) {
    this.#env = env
    this.#options = options
    this.#ended = () => env.halt('registration-timeout')
    this.#parts = new BrokerParts(env, options, parsed, this)
    this.#handlers = brokerHandlers(this.#parts.context, this.#parts.membership.handlers)
    this.#parts.membership.start()
  }

  // ── starting up ───────────────────────────────────────────────────────────────────────────────────────────────────

  setImage(image: MetadataImage): void {
    this.#parts.metadata.setImage(image)
    const { config, logs } = this.#parts
    if (config.apply(image)) logs.updateBrokerConfig(config.current)
  }

  startManagers(image: MetadataImage, findStrays: boolean, done: () => void): void {
    this.#env.disk.access(() => {
      this.#parts.logs.startup((log) => findStrays && isStray(this.#options.brokerId, image, log))
      this.#parts.replicas.startup()
      done()
    })
  }

  startServing(): void {
    this.#status = 'started'
    const { wire } = this.#options
    this.#server = serve(this.#env, (request) => dispatch(this.#handlers, request), wire === undefined ? {} : { wire })
    this.#server.onDisconnect((connectionId) => this.#parts.replicas.onDisconnect(connectionId))
  }

  // ── roles ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  applyDelta(delta: MetadataDelta, image: MetadataImage): void {
    this.#parts.replicas.applyDelta(delta, image)
    this.#parts.groups.onMetadata(delta)
    this.#parts.transactions.onMetadata(delta)
  }

  hosted(topic: string, index: number): Hosted {
    const { replicas } = this.#parts
    if (replicas.isOffline(topic, index)) return { kind: 'offline' }
    const partition = replicas.partition(topic, index)
    if (partition === undefined) return { kind: 'none' }
    return { kind: 'online', topicId: partition.topicId, leaderEpoch: partition.leaderEpoch }
  }

  changeRoles(
    leaders: readonly LocalPartition[],
    followers: readonly LocalPartition[],
    image: MetadataImage,
  ): ReadonlySet<string> {
    const { replicas, groups, transactions } = this.#parts
    const { newLeaders, newFollowers, failed } = replicas.changeRoles(leaders, followers, image)
    for (const { topic, index, leaderEpoch } of newLeaders) {
      groups.onElection(topic, index, leaderEpoch)
      transactions.onElection(topic, index, leaderEpoch)
    }
    for (const { topic, index } of newFollowers) {
      groups.onResignation(topic, index)
      transactions.onResignation(topic, index)
    }
    return failed
  }

  stopReplicas(stopped: readonly ReplicaToStop[]): void {
    const { replicas, groups, transactions } = this.#parts
    for (const { topic, index, isDeleted } of stopped) {
      replicas.stop(topic, index, isDeleted)
      if (!isDeleted) continue
      groups.onResignation(topic, index)
      transactions.onResignation(topic, index)
    }
    replicas.fetchers.closeIdle()
  }

  onTopicsDeleted(topics: ReadonlySet<string>): void {
    this.#parts.groups.onTopicsDeleted(topics)
  }

  onTopicConfigChanged(topic: string): void {
    this.#parts.logs.topicConfigChanged(topic)
  }

  // ── stopping ──────────────────────────────────────────────────────────────────────────────────────────────────────

  stop(done: () => void): void {
    if (this.#status === 'starting') return done()
    // It is on its way down already: the first to ask is told, and the process ends.
    if (this.#status === 'stopping') return
    this.#status = 'stopping'
    this.#ended = done
    const { membership, replicas, config } = this.#parts
    if (!config.current['controlled.shutdown.enable']) return membership.beginShutdown()
    replicas.beginControlledShutdown()
    this.#shutdownTimer = this.#env.after(SHUTDOWN_TIMEOUT_MS, () => membership.beginShutdown())
    membership.beginControlledShutdown()
  }

  onShuttingDown(_reason: ShutdownReason): void {
    this.#status = 'stopping'
    this.#shutdownTimer?.cancel()
    const { membership, replicas } = this.#parts
    this.#server?.close()
    membership.detach()
    replicas.shutdown(() => {
      this.#parts.closeChannels()
      membership.close(() => this.#ended())
    })
  }

  // ── inspection ────────────────────────────────────────────────────────────────────────────────────────────────────

  inspect(): BrokerView {
    const { membership, replicas } = this.#parts
    return {
      brokerId: this.#options.brokerId,
      state: membership.state,
      brokerEpoch: membership.brokerEpoch,
      incarnationId: membership.incarnationId,
      metadataOffset: membership.metadataOffset,
      isServing: this.#server !== undefined && this.#status === 'started',
      partitions: [...replicas.partitions()].map((partition) => ({
        partition: partition.name,
        leader: partition.leader,
        leaderEpoch: partition.leaderEpoch,
        partitionEpoch: partition.partitionEpoch,
        isr: partition.isrState.isr,
        logStartOffset: partition.log?.logStartOffset ?? 0,
        highWatermark: partition.log?.highWatermark ?? 0,
        logEndOffset: partition.log?.logEndOffset ?? 0,
      })),
    }
  }
}

/** The metadata does not place this log here (`LogManager.isStrayKraftReplica`). */
function isStray(brokerId: NodeId, image: MetadataImage, log: PartitionLog): boolean {
  if (log.topicId === undefined) return true
  const name = parsePartition(log.partition)
  assert(name !== undefined, 'stray log: partition', { partition: log.partition })
  const partition = image.topicsById.get(log.topicId)?.partitions.get(name.index)
  return partition === undefined || !partition.replicas.includes(brokerId)
}
