/**
 * A broker of a KRaft cluster (`BrokerServer`, the part that knows of the quorum).
 *
 * Raft observer and metadata loader → registration, heartbeats → caught up with the metadata: the logs are opened and recovered, replicas made
 * leaders and followers → ready to be unfenced → unfenced: only now does the broker serve.
 *
 * Three parts have a channel to the controller of their own, as in Kafka: `heartbeat` (lifecycle), `forwarding` (envelopes and producer ids) and
 * `alter-partition`.
 */

import type { Env } from '../kernel/env.js'
import { LONG_MAX, type Millis, type NodeId, type Offset } from '../kernel/units.js'
import { makeAuthorizer } from '../kraft/metadata/authorizer-config.js'
import { imageMetadataVersion, type MetadataImage } from '../kraft/metadata/image.js'
import type { MetadataDelta } from '../kraft/metadata/metadata-delta.js'
import { KRAFT_FEATURE, METADATA_VERSION_FEATURE, SUPPORTED_FEATURES } from '../kraft/metadata/metadata-version.js'
import { RequestAuthorizer } from '../kraft/metadata/request-authorizer.js'
import type { StandardAuthorizer } from '../kraft/metadata/standard-authorizer.js'
import type { Voter } from '../kraft/voter-set.js'
import { readCleanShutdownEpoch } from '../log/log-manager.js'
import type { WireMode } from '../wire/frame.js'
import type { RequestClient, RequestClientOptions } from '../wire/request-client.js'
import { AlterPartitionManager, type IsrChanges } from './alter-partition-manager.js'
import type { ApiHandlers } from './api-context.js'
import type { BrokerConfig } from './broker-config.js'
import { BrokerLifecycle, type BrokerState, type LifecycleListener, type ShutdownReason } from './broker-lifecycle.js'
import { BrokerRaft } from './broker-raft.js'
import { ControllerChannel } from './controller-channel.js'
import { Forwarding } from './forwarding.js'
import type { Membership, MembershipHost } from './membership.js'
import { BrokerMetadataPublisher, type MetadataFollower } from './metadata-publisher.js'

export interface QuorumMembershipOptions {
  readonly brokerId: NodeId
  readonly clusterId: string
  readonly directoryId: string
  /** The voters of the metadata quorum: the controllers. */
  readonly voters: readonly Voter[]
  readonly rack: string | null
  readonly port: number
  /** As it was at start. */
  readonly config: BrokerConfig
  readonly requests: (options: RequestClientOptions) => RequestClient
  readonly wire?: WireMode
  readonly host: MembershipHost
}

/** How long a forwarded request may wait for a controller. */
const FORWARDING_RETRY_MS: Millis = 60_000

export class QuorumMembership implements Membership, MetadataFollower, LifecycleListener {
  readonly incarnationId: string
  readonly administration: Forwarding
  readonly auth: RequestAuthorizer
  readonly controller: ControllerChannel
  readonly isrChanges: IsrChanges
  readonly handlers: ApiHandlers = {}
  readonly controllerId = undefined
  /** The quorum keeps its voters in the log: the newest level of kraft.version. */
  readonly kraftVersion = SUPPORTED_FEATURES.get(KRAFT_FEATURE)?.max ?? 0
  readonly #env: Env
  readonly #options: QuorumMembershipOptions
  readonly #authorizer: StandardAuthorizer | undefined
  readonly #raft: BrokerRaft
  readonly #publisher: BrokerMetadataPublisher
  readonly #lifecycle: BrokerLifecycle
  readonly #alterPartition: ControllerChannel
  #isCaughtUp = false
  #isPublished = false

  constructor(env: Env, options: QuorumMembershipOptions) {
    const { brokerId, directoryId, clusterId, voters, config, wire } = options
    this.#env = env
    this.#options = options
    this.#authorizer = makeAuthorizer(config)
    this.auth = new RequestAuthorizer(env, this.#authorizer)
    this.incarnationId = env.random.fork('incarnation').uuid()
    this.#publisher = new BrokerMetadataPublisher(this)
    const connectionSetupTimeoutMs = config['socket.connection.setup.timeout.ms']
    const raft = { brokerId, directoryId, clusterId, voters, config, connectionSetupTimeoutMs }
    this.#raft = new BrokerRaft(env, { ...raft, ...(wire !== undefined && { wire }) })
    this.controller = this.#channel(FORWARDING_RETRY_MS)
    this.#alterPartition = this.#channel(LONG_MAX)
    this.#lifecycle = this.#makeLifecycle()
    this.administration = new Forwarding(this.controller)
    this.isrChanges = new AlterPartitionManager(env, {
      brokerId,
      brokerEpoch: () => this.brokerEpoch,
      send: (body, done) => this.#alterPartition.send('AlterPartition', body, done),
    })
  }

  get state(): BrokerState {
    return this.#lifecycle.state
  }

  get brokerEpoch(): number {
    return this.#lifecycle.brokerEpoch
  }

  get metadataOffset(): Offset {
    return this.#publisher.lastAppliedOffset
  }

  start(): void {
    this.#raft.start()
    this.#lifecycle.start()
    this.#raft.loader.install(this.#publisher)
  }

  beginControlledShutdown(): void {
    this.#lifecycle.beginControlledShutdown()
  }

  beginShutdown(): void {
    this.#lifecycle.beginShutdown()
  }

  detach(): void {
    this.#raft.loader.remove(this.#publisher)
    this.#publisher.close()
  }

  close(done: () => void): void {
    this.#alterPartition.shutdown()
    this.controller.shutdown()
    this.#raft.client.shutdown(done)
  }

  // ── metadata ──────────────────────────────────────────────────────────────────────────────────────────────────────

  setImage(image: MetadataImage): void {
    this.#authorizer?.setAcls(image.acls)
    this.#options.host.setImage(image)
  }

  startManagers(image: MetadataImage, done: () => void): void {
    this.#options.host.startManagers(image, true, done)
  }

  applyDelta(delta: MetadataDelta, image: MetadataImage): void {
    const { brokerId, host } = this.#options
    host.applyDelta(delta, image)
    const mayNeedRefresh = delta.changedFeatures.has(METADATA_VERSION_FEATURE) || delta.changedBrokers.has(brokerId)
    // BrokerRegistrationTracker: a registration from before directories were known is made again.
    const directories = image.brokers.get(brokerId)?.logDirs
    if (mayNeedRefresh && directories?.length === 0 && imageMetadataVersion(image).directoryAssignment) {
      this.#lifecycle.resendRegistration()
    }
  }

  onFirstPublish(): void {
    this.#isPublished = true
    this.#maybeReady()
  }

  // ── life ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  onCaughtUp(): void {
    this.#isCaughtUp = true
    this.#maybeReady()
  }

  onUnfenced(): void {
    this.#options.host.startServing()
  }

  onShuttingDown(reason: ShutdownReason): void {
    this.#options.host.onShuttingDown(reason)
  }

  #maybeReady(): void {
    if (this.#isCaughtUp && this.#isPublished) this.#lifecycle.setReadyToUnfence()
  }

  #makeLifecycle(): BrokerLifecycle {
    const { brokerId, clusterId, rack, port, config, directoryId } = this.#options
    const heartbeatIntervalMs = config['broker.heartbeat.interval.ms']
    return new BrokerLifecycle(this.#env, {
      brokerId,
      clusterId,
      host: this.#env.node,
      port,
      rack,
      incarnationId: this.incarnationId,
      logDirs: [directoryId],
      features: SUPPORTED_FEATURES,
      previousBrokerEpoch: readCleanShutdownEpoch(this.#env.disk) ?? -1,
      heartbeatIntervalMs,
      initialRegistrationTimeoutMs: config['initial.broker.registration.timeout.ms'],
      highestMetadataOffset: () => this.metadataOffset,
      channel: this.#channel(heartbeatIntervalMs),
      listener: this,
    })
  }

  #channel(retryTimeoutMs: Millis): ControllerChannel {
    const { brokerId, config, requests } = this.#options
    const socketTimeoutMs = config['controller.socket.timeout.ms']
    return new ControllerChannel(this.#env, {
      retryTimeoutMs,
      socketTimeoutMs,
      controller: () => this.#raft.controller(),
      requests: requests({
        clientId: String(brokerId),
        requestTimeoutMs: Math.min(socketTimeoutMs, retryTimeoutMs),
        reconnectBackoffMs: 50,
        reconnectBackoffMaxMs: 50,
      }),
    })
  }
}
