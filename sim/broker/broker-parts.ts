/**
 * The parts of a broker, made and connected as `BrokerServer.startup` does it. Nothing runs yet.
 */

import type { Env } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import type { NodeId } from '../kernel/units.js'
import { readMetaProperties } from '../kraft/format-storage.js'
import type { RequestAuthorizer } from '../kraft/metadata/request-authorizer.js'
import type { Voter } from '../kraft/voter-set.js'
import { LogManager } from '../log/log-manager.js'
import type { WireMode } from '../wire/frame.js'
import { RequestClient, type RequestClientOptions } from '../wire/request-client.js'
import type { ApiContext } from './api-context.js'
import type { ParsedBrokerConfig } from './broker-config.js'
import { BrokerDynamicConfig } from './broker-dynamic-config.js'
import { internalTopic } from './coordinator/internal-topics.js'
import { GroupCoordinator } from './group/group-coordinator.js'
import type { Membership, MembershipHost } from './membership.js'
import { MetadataCache } from './metadata-cache.js'
import { ProducerIdManager } from './producer-id-manager.js'
import { QuorumMembership } from './quorum-membership.js'
import { ReplicaManager } from './replica-manager.js'
import { TopicAutoCreation } from './topic-auto-creation.js'
import { TransactionCoordinator } from './txn/transaction-coordinator.js'
import { TransactionVerifier } from './txn/verification.js'
import type { MakeLocalController } from './zookeeper/local-controller.js'
import { parseZooKeeperBrokerConfig } from './zookeeper/zk-broker-config.js'
import { type Connect, ZkMembership } from './zookeeper/zk-membership.js'

interface CommonOptions {
  readonly brokerId: NodeId
  readonly clusterId: string
  /** Over `broker.rack`. */
  readonly rack?: string
  /** Names and values of server.properties. */
  readonly config: Readonly<Record<string, unknown>>
  readonly wire?: WireMode
}

/** The voters of the metadata quorum, the controllers; or the way to the ensemble, and the controller of this process. */
export type BrokerOptions = CommonOptions &
  (
    | { readonly voters: readonly Voter[] }
    | { readonly zookeeper: { readonly connect: Connect; readonly makeController: MakeLocalController } }
  )

/** The port that brokers advertise; routing goes by host. */
const BROKER_PORT = 9092

export class BrokerParts {
  readonly config: BrokerDynamicConfig
  readonly auth: RequestAuthorizer
  readonly metadata: MetadataCache
  readonly membership: Membership
  readonly logs: LogManager
  readonly replicas: ReplicaManager
  readonly groups: GroupCoordinator
  readonly transactions: TransactionCoordinator
  readonly context: ApiContext
  readonly #env: Env
  readonly #options: BrokerOptions
  readonly #producerIds: ProducerIdManager
  readonly #verifier: TransactionVerifier
  /** To other brokers: markers, and questions about transactions. */
  readonly #interBroker: RequestClient

  constructor(env: Env, options: BrokerOptions, parsed: ParsedBrokerConfig, host: MembershipHost) {
    this.#env = env
    this.#options = options
    this.config = new BrokerDynamicConfig(options.brokerId, parsed)
    this.membership = this.#makeMembership(host)
    this.auth = this.membership.auth
    this.metadata = new MetadataCache(env.random.fork('controller-id'), this.membership.controllerId)
    this.logs = new LogManager(env, {
      config: this.config.current,
      topicConfig: (topic) => this.config.topicSettings(topic),
    })
    this.#interBroker = this.#requests({
      clientId: `broker-${options.brokerId}-txn`,
      requestTimeoutMs: this.config.current['request.timeout.ms'],
      reconnectBackoffMs: 50,
      reconnectBackoffMaxMs: 1_000,
      maxInFlight: 5,
    })
    this.#verifier = new TransactionVerifier(() => this.metadata.image, this.#interBroker)
    this.#producerIds = new ProducerIdManager(
      options.brokerId,
      () => this.membership.brokerEpoch,
      env.clock,
      this.membership.controller,
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

  /** Ends the channel to other brokers. */
  closeChannels(): void {
    this.#interBroker.close()
  }

  #makeMembership(host: MembershipHost): Membership {
    const { brokerId, clusterId, rack, wire } = this.#options
    const config = this.config.current
    const common = {
      brokerId,
      clusterId,
      rack: rack ?? config['broker.rack'],
      port: BROKER_PORT,
      config,
      requests: (options: RequestClientOptions) => this.#requests(options),
      host,
    }
    if ('zookeeper' in this.#options) {
      const { zookeeper } = parseZooKeeperBrokerConfig(this.#options.config, [])
      const topicDefaults = (): BrokerDynamicConfig['topicDefaults'] => this.config.topicDefaults
      return new ZkMembership(this.#env, { ...common, ...this.#options.zookeeper, zookeeper, topicDefaults })
    }
    const { voters } = this.#options
    const storage = readMetaProperties(this.#env.disk)
    assert(storage?.clusterId === clusterId && storage.nodeId === brokerId, 'broker: storage', { storage })
    const quorum = { ...common, voters, directoryId: storage.directoryId, ...(wire !== undefined && { wire }) }
    return new QuorumMembership(this.#env, quorum)
  }

  #makeReplicas(): ReplicaManager {
    const { brokerId } = this.#options
    const config = this.config.current
    const brokerEpoch = (): number => this.membership.brokerEpoch
    return new ReplicaManager(this.#env, {
      brokerId,
      brokerEpoch,
      config,
      logManager: this.logs,
      alterPartition: this.membership.isrChanges,
      // One connection of BrokerBlockingSender for each fetcher: it tries again when the fetcher does.
      requests: () =>
        this.#requests({
          clientId: `broker-${brokerId}-fetcher`,
          requestTimeoutMs: config['replica.socket.timeout.ms'],
          reconnectBackoffMs: 0,
          reconnectBackoffMaxMs: 0,
        }),
      metadata: () => this.metadata.image,
      verification: {
        verifier: this.#verifier,
        isEnabled: () => this.config.current['transaction.partition.verification.enable'],
        retryBackoffMs: config['add.partitions.to.txn.retry.backoff.ms'],
        retryForMs: Math.min(config['add.partitions.to.txn.retry.backoff.max.ms'], config['request.timeout.ms']),
      },
      ...(this.auth.isEnabled && { auth: this.auth }),
    })
  }

  #makeContext(): ApiContext {
    const { brokerId, clusterId } = this.#options
    const forwarding = this.membership.administration
    const current = (): BrokerDynamicConfig['current'] => this.config.current
    return {
      env: this.#env,
      brokerId,
      auth: this.auth,
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
      kraftVersion: () => this.membership.kraftVersion,
    }
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
