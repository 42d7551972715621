/**
 * The parts of a broker, made and connected as `BrokerServer.startup` does it. Nothing runs yet.
 *
 * Three of them have a channel to the controller of their own, as in Kafka: `heartbeat` (lifecycle), `forwarding` (envelopes and
 * producer ids) and `alter-partition`.
 */

import type { Env } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import { LONG_MAX, type Millis, type NodeId } from '../kernel/units.js'
import { readMetaProperties } from '../kraft/format-storage.js'
import { KRAFT_FEATURE, SUPPORTED_FEATURES } from '../kraft/metadata/metadata-version.js'
import type { Voter } from '../kraft/voter-set.js'
import { LogManager, readCleanShutdownEpoch } from '../log/log-manager.js'
import type { WireMode } from '../wire/frame.js'
import { RequestClient, type RequestClientOptions } from '../wire/request-client.js'
import { AlterPartitionManager } from './alter-partition-manager.js'
import type { ApiContext } from './api-context.js'
import type { ParsedBrokerConfig } from './broker-config.js'
import { BrokerDynamicConfig } from './broker-dynamic-config.js'
import { BrokerLifecycle, type LifecycleListener } from './broker-lifecycle.js'
import { BrokerRaft } from './broker-raft.js'
import { ControllerChannel } from './controller-channel.js'
import { internalTopic } from './coordinator/internal-topics.js'
import { Forwarding } from './forwarding.js'
import { GroupCoordinator } from './group/group-coordinator.js'
import { MetadataCache } from './metadata-cache.js'
import { BrokerMetadataPublisher, type MetadataFollower } from './metadata-publisher.js'
import { ProducerIdManager } from './producer-id-manager.js'
import { ReplicaManager } from './replica-manager.js'
import { TopicAutoCreation } from './topic-auto-creation.js'
import { TransactionCoordinator } from './txn/transaction-coordinator.js'
import { TransactionVerifier } from './txn/verification.js'

export interface BrokerOptions {
  readonly brokerId: NodeId
  readonly clusterId: string
  /** The voters of the metadata quorum: the controllers. */
  readonly voters: readonly Voter[]
  /** Over `broker.rack`. */
  readonly rack?: string
  /** Names and values of server.properties. */
  readonly config: Readonly<Record<string, unknown>>
  readonly wire?: WireMode
}

/** The port that brokers advertise; routing goes by host. */
const BROKER_PORT = 9092
/** How long a forwarded request may wait for a controller. */
const FORWARDING_RETRY_MS: Millis = 60_000
/** The quorum keeps its voters in the log: the newest level of kraft.version. */
const KRAFT_VERSION = SUPPORTED_FEATURES.get(KRAFT_FEATURE)?.max ?? 0

export class BrokerParts {
  readonly incarnationId: string
  readonly config: BrokerDynamicConfig
  readonly raft: BrokerRaft
  readonly metadata: MetadataCache
  readonly publisher: BrokerMetadataPublisher
  readonly logs: LogManager
  readonly replicas: ReplicaManager
  readonly lifecycle: BrokerLifecycle
  readonly groups: GroupCoordinator
  readonly transactions: TransactionCoordinator
  readonly context: ApiContext
  readonly #env: Env
  readonly #options: BrokerOptions
  readonly #forwarding: ControllerChannel
  readonly #alterPartition: ControllerChannel
  readonly #producerIds: ProducerIdManager
  readonly #verifier: TransactionVerifier
  /** To other brokers: markers, and questions about transactions. */
  readonly #interBroker: RequestClient

  constructor(
    env: Env,
    options: BrokerOptions,
    parsed: ParsedBrokerConfig,
    follower: MetadataFollower,
    listener: LifecycleListener,
  ) {
    const storage = readMetaProperties(env.disk)
    assert(storage?.clusterId === options.clusterId && storage.nodeId === options.brokerId, 'broker: storage', {
      storage,
    })
    this.#env = env
    this.#options = options
    this.incarnationId = env.random.fork('incarnation').uuid()
    this.config = new BrokerDynamicConfig(options.brokerId, parsed)
    this.metadata = new MetadataCache(env.random.fork('controller-id'))
    this.publisher = new BrokerMetadataPublisher(follower)
    this.raft = this.#makeRaft(storage.directoryId)
    this.#forwarding = this.#channel(FORWARDING_RETRY_MS)
    this.#alterPartition = this.#channel(LONG_MAX)
    this.logs = new LogManager(env, {
      config: this.config.current,
      topicConfig: (topic) => this.config.topicSettings(topic),
    })
    this.lifecycle = this.#makeLifecycle(storage.directoryId, listener)
    this.#interBroker = this.#requests({
      clientId: `broker-${options.brokerId}-txn`,
      requestTimeoutMs: this.config.current['request.timeout.ms'],
      reconnectBackoffMs: 50,
      reconnectBackoffMaxMs: 1_000,
      maxInFlight: 5,
    })
    this.#verifier = new TransactionVerifier(env, () => this.metadata.image, this.#interBroker)
    this.#producerIds = new ProducerIdManager(
      options.brokerId,
      () => this.lifecycle.brokerEpoch,
      env.clock,
      this.#forwarding,
    )
    this.replicas = this.#makeReplicas()
    this.groups = new GroupCoordinator(env, {
      brokerId: options.brokerId,
      replicas: this.replicas,
      metadata: () => this.metadata.image,
      config: () => this.config.current,
    })
    this.transactions = new TransactionCoordinator(env, {
      brokerId: options.brokerId,
      replicas: this.replicas,
      metadata: () => this.metadata.image,
      config: () => this.config.current,
      producerIds: this.#producerIds,
      requests: this.#interBroker,
    })
    this.context = this.#makeContext()
  }

  /** Ends the channels to the controller; that of the lifecycle ends with it. */
  closeChannels(): void {
    this.#alterPartition.shutdown()
    this.#forwarding.shutdown()
    this.#interBroker.close()
  }

  #makeRaft(directoryId: string): BrokerRaft {
    const { brokerId, clusterId, voters, wire } = this.#options
    const config = this.config.current
    const connectionSetupTimeoutMs = config['socket.connection.setup.timeout.ms']
    const options = { brokerId, directoryId, clusterId, voters, config, connectionSetupTimeoutMs }
    return new BrokerRaft(this.#env, { ...options, ...(wire !== undefined && { wire }) })
  }

  #makeLifecycle(directoryId: string, listener: LifecycleListener): BrokerLifecycle {
    const { brokerId, clusterId, rack } = this.#options
    const config = this.config.current
    const heartbeatIntervalMs = config['broker.heartbeat.interval.ms']
    return new BrokerLifecycle(this.#env, {
      brokerId,
      clusterId,
      host: this.#env.node,
      port: BROKER_PORT,
      rack: rack ?? config['broker.rack'],
      incarnationId: this.incarnationId,
      logDirs: [directoryId],
      features: SUPPORTED_FEATURES,
      previousBrokerEpoch: readCleanShutdownEpoch(this.#env.disk) ?? -1,
      heartbeatIntervalMs,
      initialRegistrationTimeoutMs: config['initial.broker.registration.timeout.ms'],
      highestMetadataOffset: () => this.publisher.lastAppliedOffset,
      channel: this.#channel(heartbeatIntervalMs),
      listener,
    })
  }

  #makeReplicas(): ReplicaManager {
    const { brokerId } = this.#options
    const config = this.config.current
    const brokerEpoch = (): number => this.lifecycle.brokerEpoch
    return new ReplicaManager(this.#env, {
      brokerId,
      brokerEpoch,
      config,
      logManager: this.logs,
      alterPartition: new AlterPartitionManager(this.#env, {
        brokerId,
        brokerEpoch,
        send: (body, done) => this.#alterPartition.send('AlterPartition', body, done),
      }),
      // One connection of BrokerBlockingSender for each fetcher: it tries again when the fetcher does.
      requests: () =>
        this.#requests({
          clientId: `broker-${brokerId}-fetcher`,
          requestTimeoutMs: config['replica.socket.timeout.ms'],
          reconnectBackoffMs: 0,
          reconnectBackoffMaxMs: 0,
        }),
      metadata: () => this.metadata.image,
      ...(config['transaction.partition.verification.enable'] && { verifier: this.#verifier }),
    })
  }

  #makeContext(): ApiContext {
    const { brokerId, clusterId } = this.#options
    const forwarding = new Forwarding(this.#forwarding)
    const current = (): BrokerDynamicConfig['current'] => this.config.current
    return {
      env: this.#env,
      brokerId,
      clusterId,
      config: this.config,
      metadata: this.metadata,
      forwarding,
      autoCreation: new TopicAutoCreation(forwarding, {
        numPartitions: () => current()['num.partitions'],
        defaultReplicationFactor: () => current()['default.replication.factor'],
        requestTimeoutMs: current()['request.timeout.ms'],
        internal: (name) => internalTopic(name, current()),
      }),
      producerIds: this.#producerIds,
      replicas: this.replicas,
      logs: this.logs,
      groups: this.groups,
      transactions: this.transactions,
      verifier: this.#verifier,
      kraftVersion: () => KRAFT_VERSION,
    }
  }

  #channel(retryTimeoutMs: Millis): ControllerChannel {
    const socketTimeoutMs = this.config.current['controller.socket.timeout.ms']
    return new ControllerChannel(this.#env, {
      retryTimeoutMs,
      socketTimeoutMs,
      controller: () => this.raft.controller(),
      requests: this.#requests({
        clientId: String(this.#options.brokerId),
        requestTimeoutMs: Math.min(socketTimeoutMs, retryTimeoutMs),
        reconnectBackoffMs: 50,
        reconnectBackoffMaxMs: 50,
      }),
    })
  }

  #requests(options: RequestClientOptions): RequestClient {
    const { wire } = this.#options
    return new RequestClient(this.#env, {
      connectionSetupTimeoutMs: this.config.current['socket.connection.setup.timeout.ms'],
      maxInFlight: 1,
      ...options,
      ...(wire !== undefined && { wire }),
    })
  }
}
