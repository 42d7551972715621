/**
 * A broker: Kafka's `BrokerServer` as a program.
 *
 * Starting up, as Kafka does: raft observer and metadata loader → registration, heartbeats → caught up with the metadata: the
 * logs are opened and recovered, replicas made leaders and followers → ready to be unfenced → unfenced: only now does it
 * listen for connections. A broker that cannot register in time stops in order, then ends with a failure.
 *
 * Stopping (SIGTERM): controlled shutdown, for at most 5 minutes, until the controller approves; then connections, metadata,
 * replicas with their logs (flushed, clean shutdown file), channels and raft, in this order. Before startup is over SIGTERM ends the
 * process at once, without any of this, as Kafka's shutdown hook does. The only log directory failing ends the process.
 *
 *   starting ──unfenced──→ started ──stop──→ stopping ──→ (process ends)
 *      │                                        ↑
 *      ├── registration timed out ──────────────┘
 *      └── stop ──→ (process ends)
 */

import type { Boot, Env, EnvTimer, Program } from '../kernel/env.js'
import { assert, UsageError } from '../kernel/errors.js'
import { parsePartition } from '../kernel/names.js'
import type { Epoch, Millis, NodeId, Offset } from '../kernel/units.js'
import { imageMetadataVersion, type MetadataImage } from '../kraft/metadata/image.js'
import type { MetadataDelta } from '../kraft/metadata/metadata-delta.js'
import { METADATA_VERSION_FEATURE } from '../kraft/metadata/metadata-version.js'
import type { PartitionLog } from '../log/partition-log.js'
import { type RequestServer, serve } from '../wire/request-server.js'
import type { ApiHandlers } from './api-context.js'
import { brokerHandlers, dispatch } from './api-handlers.js'
import { type ParsedBrokerConfig, parseBrokerConfig } from './broker-config.js'
import type { BrokerState, LifecycleListener, ShutdownReason } from './broker-lifecycle.js'
import { type BrokerOptions, BrokerParts } from './broker-parts.js'
import type { MetadataFollower } from './metadata-publisher.js'

export type { BrokerOptions } from './broker-parts.js'

/** How long controlled shutdown may take (`KafkaBroker.shutdown`). */
const SHUTDOWN_TIMEOUT_MS: Millis = 300_000

/** The program of a broker whose disk was formatted. @throws UsageError when the configuration is wrong */
export function bootBroker(options: BrokerOptions): Boot {
  const parsed = parseBrokerConfig(options.config)
  if (parsed.problems.length > 0) throw new UsageError(parsed.problems)
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

export class BrokerServer implements Program, MetadataFollower, LifecycleListener {
  readonly #env: Env
  readonly #options: BrokerOptions
  readonly #parts: BrokerParts
  readonly #handlers: ApiHandlers
  #server: RequestServer | undefined
  #status: Status = 'starting'
  #isCaughtUp = false
  #isPublished = false
  #shutdownTimer: EnvTimer | undefined
  #ended: () => void

  constructor(env: Env, options: BrokerOptions, parsed: ParsedBrokerConfig) {
    this.#env = env
    this.#options = options
    this.#ended = () => env.halt('registration-timeout')
    this.#parts = new BrokerParts(env, options, parsed, this, this)
    this.#handlers = brokerHandlers(this.#parts.context)
    this.#parts.raft.start()
    this.#parts.lifecycle.start()
    this.#parts.raft.loader.install(this.#parts.publisher)
  }

  // ── starting up ───────────────────────────────────────────────────────────────────────────────────────────────────

  setImage(image: MetadataImage): void {
    this.#parts.metadata.setImage(image)
    const { config, logs, auth } = this.#parts
    auth.authorizer?.setAcls(image.acls)
    if (config.apply(image)) logs.updateBrokerConfig(config.current)
  }

  startManagers(image: MetadataImage, done: () => void): void {
    this.#env.disk.access(() => {
      this.#parts.logs.startup((log) => isStray(this.#options.brokerId, image, log))
      this.#parts.replicas.startup()
      done()
    })
  }

  applyDelta(delta: MetadataDelta, image: MetadataImage): void {
    const { brokerId } = this.#options
    this.#parts.replicas.applyDelta(delta, image)
    this.#parts.groups.onMetadata(delta)
    this.#parts.transactions.onMetadata(delta)
    const mayNeedRefresh = delta.changedFeatures.has(METADATA_VERSION_FEATURE) || delta.changedBrokers.has(brokerId)
    // BrokerRegistrationTracker: a registration from before directories were known is made again.
    const directories = image.brokers.get(brokerId)?.logDirs
    if (mayNeedRefresh && directories?.length === 0 && imageMetadataVersion(image).directoryAssignment) {
      this.#parts.lifecycle.resendRegistration()
    }
  }

  onFirstPublish(): void {
    this.#isPublished = true
    this.#maybeReady()
  }

  onCaughtUp(): void {
    this.#isCaughtUp = true
    this.#maybeReady()
  }

  onUnfenced(): void {
    this.#status = 'started'
    const { wire } = this.#options
    this.#server = serve(this.#env, (request) => dispatch(this.#handlers, request), wire === undefined ? {} : { wire })
    this.#server.onDisconnect((connectionId) => this.#parts.replicas.onDisconnect(connectionId))
  }

  #maybeReady(): void {
    if (this.#isCaughtUp && this.#isPublished) this.#parts.lifecycle.setReadyToUnfence()
  }

  // ── stopping ──────────────────────────────────────────────────────────────────────────────────────────────────────

  stop(done: () => void): void {
    if (this.#status === 'starting') return done()
    // It is on its way down already: the first to ask is told, and the process ends.
    if (this.#status === 'stopping') return
    this.#status = 'stopping'
    this.#ended = done
    const { lifecycle, replicas, config } = this.#parts
    if (!config.current['controlled.shutdown.enable']) return lifecycle.beginShutdown()
    replicas.beginControlledShutdown()
    this.#shutdownTimer = this.#env.after(SHUTDOWN_TIMEOUT_MS, () => lifecycle.beginShutdown())
    lifecycle.beginControlledShutdown()
  }

  onShuttingDown(_reason: ShutdownReason): void {
    this.#status = 'stopping'
    this.#shutdownTimer?.cancel()
    const { raft, publisher, replicas } = this.#parts
    this.#server?.close()
    raft.loader.remove(publisher)
    publisher.close()
    replicas.shutdown(() => {
      this.#parts.closeChannels()
      raft.client.shutdown(() => this.#ended())
    })
  }

  // ── inspection ────────────────────────────────────────────────────────────────────────────────────────────────────

  inspect(): BrokerView {
    const { lifecycle, publisher, replicas, incarnationId } = this.#parts
    return {
      brokerId: this.#options.brokerId,
      state: lifecycle.state,
      brokerEpoch: lifecycle.brokerEpoch,
      incarnationId,
      metadataOffset: publisher.lastAppliedOffset,
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
