/**
 * A broker of a cluster in ZooKeeper mode (`KafkaServer` of Kafka 3.9).
 *
 * Starting: session → top-level znodes → cluster id, meta.properties → settings → logs opened and recovered → registered (an ephemeral znode; its
 * czxid is the broker epoch) → controller runs for election → the authorizer, if there is to be one, has a session of its own and reads its
 * ACLs → changes of settings are heard of → serving. A broker that finds no ensemble in time,
 * or its znode still there from a session of another process, ends, as Kafka does; whoever started it may start it again.
 *
 *   NOT_RUNNING → STARTING ─settings known→ RECOVERY ─serving→ RUNNING ─stop→ PENDING_CONTROLLED_SHUTDOWN → SHUTTING_DOWN
 *
 * When its session expires the broker goes on: it leads and serves what it did, until the controller, which has seen its znode go, is heard again. It
 * registers anew with the next session, under a new broker epoch.
 *
 * Stopping: ControlledShutdown is sent to the controller until it says that nothing is led here, `controlled.shutdown.max.retries` times at most; then the
 * logs, the controller, and the session last of all: its end takes the znode away.
 */

import { DiskError, type Env } from '../../kernel/env.js'
import { assert } from '../../kernel/errors.js'
import type { NodeName } from '../../kernel/names.js'
import { LONG_MAX, type Millis, type NodeId, type Offset } from '../../kernel/units.js'
import { AclOperation } from '../../kraft/metadata/acl.js'
import { authorizerOptions } from '../../kraft/metadata/authorizer-config.js'
import { type Requester, RequestAuthorizer } from '../../kraft/metadata/request-authorizer.js'
import type { LogConfig } from '../../log/log-config.js'
import type { ApiName, Apis, ForwardableApi } from '../../wire/apis.js'
import { errorResponse } from '../../wire/error-response.js'
import { Errors } from '../../wire/errors.js'
import type { RequestClient, RequestClientOptions, RpcResult } from '../../wire/request-client.js'
import type { SessionClient, SessionListener } from '../../zookeeper/api.js'
import { isZooKeeperTrouble, KafkaZkClient, KeeperFailure } from '../../zookeeper/kafka/kafka-zk-client.js'
import { runTask, type Task, wait } from '../../zookeeper/kafka/task.js'
import { BrokerIdZnode, ClusterIdZnode, Path, PERSISTENT_PATHS } from '../../zookeeper/kafka/znodes.js'
import { isAtLeast } from '../../zookeeper/kafka/zookeeper-settings.js'
import { AlterPartitionManager, type IsrChanges } from '../alter-partition-manager.js'
import type { ApiHandlers } from '../api-context.js'
import type { BrokerConfig } from '../broker-config.js'
import type { BrokerState, ShutdownReason } from '../broker-lifecycle.js'
import { ControllerChannel } from '../controller-channel.js'
import type { RequestOrigin } from '../forwarding.js'
import type { ClusterAdministration, Membership, MembershipHost } from '../membership.js'
import { AclAuthorizer } from './acl-authorizer.js'
import { ControlRequests } from './control-requests.js'
import type { LocalController, MakeLocalController } from './local-controller.js'
import { ZkAclApis } from './zk-acl-apis.js'
import { ZkConfigs } from './zk-configs.js'
import { ZkIsrChanges } from './zk-isr-changes.js'
import { ZkMetadata } from './zk-metadata.js'
import type { ZooKeeperBrokerConfig } from './zk-broker-config.js'

/** Begins a session with the ensemble. */
export type Connect = (env: Env, listener: SessionListener, sessionTimeoutMs: Millis) => SessionClient

export interface ZkMembershipOptions {
  readonly brokerId: NodeId
  readonly clusterId: string
  readonly rack: string | null
  readonly port: number
  /** As they were at start. */
  readonly config: BrokerConfig
  readonly zookeeper: ZooKeeperBrokerConfig
  readonly topicDefaults: () => LogConfig
  readonly requests: (options: RequestClientOptions) => RequestClient
  readonly connect: Connect
  readonly makeController: MakeLocalController
  readonly host: MembershipHost
}

/** Why a process ends that could not join; whoever runs it starts it again. */
export const NO_ENSEMBLE = 'zookeeper-connection-timeout'
export const ZNODE_EXISTS = 'broker-znode-exists'
export const LOST_SESSION = 'zookeeper-session-lost'

const UNCLEAN = 'unclean.leader.election.enable'
const META_PROPERTIES_PATH = 'meta.properties'

export class ZkMembership implements Membership, ClusterAdministration {
  readonly incarnationId = ''
  readonly kraftVersion = 0
  readonly administration: ClusterAdministration = this
  readonly auth: RequestAuthorizer
  readonly controller: ControllerChannel
  readonly isrChanges: IsrChanges
  readonly handlers: ApiHandlers
  readonly controllerId = (): NodeId => this.#metadata.controllerId
  readonly #env: Env
  readonly #options: ZkMembershipOptions
  readonly #zk: KafkaZkClient
  readonly #authorizer: AclAuthorizer | undefined
  readonly #aclApis: ZkAclApis
  readonly #metadata = new ZkMetadata()
  readonly #control: ControlRequests
  readonly #configs: ZkConfigs
  readonly #local: LocalController
  readonly #alterPartition: ControllerChannel
  readonly #shutdownRequests: RequestClient
  #state: BrokerState = 'NOT_RUNNING'
  #brokerEpoch = -1
  #isClosed = false

  constructor(env: Env, options: ZkMembershipOptions) {
    const { brokerId, config, zookeeper, requests, host, makeController, topicDefaults } = options
    this.#env = env
    this.#options = options
    this.#zk = this.#connect()
    const access = authorizerOptions(config)
    this.#authorizer = access && new AclAuthorizer(env, { ...access, connect: () => this.#connect() })
    this.auth = new RequestAuthorizer(env, this.#authorizer)
    this.#aclApis = new ZkAclApis(this.auth, this.#authorizer)
    this.#configs = new ZkConfigs(env, {
      zk: this.#zk,
      brokerId,
      apply: (resource, settings, isChange) => this.#applyConfig(resource, settings, isChange),
    })
    this.#control = new ControlRequests(env, {
      brokerId,
      brokerEpoch: () => this.#brokerEpoch,
      host,
      metadata: this.#metadata,
      readTopicConfigs: (topics) => this.#configs.readTopics(topics),
      onMetadata: () => this.#local.onMetadata(),
    })
    this.#local = makeController({
      env,
      brokerId,
      zk: this.#zk,
      auth: this.auth,
      image: () => this.#metadata.image,
      topicDefaults,
      requests: () => requests(this.#connectionTo(config['request.timeout.ms'])),
      registerBroker: () => this.#register(),
    })
    this.controller = this.#channel(config['request.timeout.ms'])
    this.#alterPartition = this.#channel(LONG_MAX)
    this.#shutdownRequests = requests(this.#connectionTo(config['request.timeout.ms']))
    this.isrChanges = isAtLeast(zookeeper['inter.broker.protocol.version'], '2.7')
      ? new AlterPartitionManager(env, {
          brokerId,
          brokerEpoch: () => this.#brokerEpoch,
          send: (body, done) => this.#alterPartition.send('AlterPartition', body, done),
        })
      : new ZkIsrChanges(env, { zk: this.#zk, decidedBy: (partition) => this.#control.decidedBy(partition) })
    this.handlers = this.#forClusterMembers({ ...this.#control.handlers, ...this.#controllerHandlers() })
  }

  #connect(): KafkaZkClient {
    const { connect, zookeeper } = this.#options
    return new KafkaZkClient({
      connect: (listener) => connect(this.#env, listener, zookeeper['zookeeper.session.timeout.ms']),
    })
  }

  get state(): BrokerState {
    return this.#state
  }

  get brokerEpoch(): number {
    return this.#brokerEpoch
  }

  get metadataOffset(): Offset {
    return this.#metadata.image.offset
  }

  // ── starting ──────────────────────────────────────────────────────────────────────────────────────────────────────

  start(): void {
    this.#become('STARTING', 'start')
    runTask(this.#guarded(this.#startup()), () => {})
  }

  /** A start that ZooKeeper refuses ends the process. */
  *#guarded(startup: Task<void>): Task<void> {
    try {
      yield* startup
    } catch (error) {
      if (!isZooKeeperTrouble(error)) throw error
      const isThere = error instanceof KeeperFailure && error.code === 'NODEEXISTS'
      this.#env.halt(isThere ? ZNODE_EXISTS : LOST_SESSION)
    }
  }

  *#startup(): Task<void> {
    const timeoutMs = this.#options.zookeeper['zookeeper.connection.timeout.ms']
    const isConnected = yield* this.#zk.waitForConnection((giveUp) => this.#env.after(timeoutMs, giveUp))
    if (!isConnected) return this.#env.halt(NO_ENSEMBLE)
    for (const path of PERSISTENT_PATHS) yield* this.#zk.createRecursive(path, null, true)
    yield* this.#checkClusterId()
    yield* this.#configs.load()
    const { host } = this.#options
    host.setImage(this.#metadata.image)
    this.#become('RECOVERY', 'settings-known')
    yield* wait<undefined>((resume) => {
      host.startManagers(this.#metadata.image, false, () => resume(undefined))
    })
    yield* this.#register()
    this.#local.start()
    if (this.#authorizer !== undefined && !(yield* this.#authorizer.configure(timeoutMs))) {
      return this.#env.halt(NO_ENSEMBLE)
    }
    this.#configs.startup()
    this.#become('RUNNING', 'started')
    host.startServing()
  }

  /** The first broker names the cluster; a disk of another cluster is not used. */
  *#checkClusterId(): Task<void> {
    const { clusterId, brokerId } = this.#options
    try {
      yield* this.#zk.createRecursive(Path.clusterId, ClusterIdZnode.encode(clusterId), false)
    } catch (error) {
      if (!(error instanceof KeeperFailure) || error.code !== 'NODEEXISTS') throw error
    }
    const found = yield* this.#zk.getData(Path.clusterId)
    const id = ClusterIdZnode.decode(found?.data ?? null)
    const text = `#\nversion=0\nbroker.id=${brokerId}\ncluster.id=${id}\n`
    try {
      const { disk } = this.#env
      const stored = disk.readFile(META_PROPERTIES_PATH)
      if (stored === undefined) disk.replaceFile(META_PROPERTIES_PATH, new TextEncoder().encode(text))
      else if (new TextDecoder().decode(stored) !== text) this.#env.halt('storage of another cluster')
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      this.#env.halt('log-directory-failed')
    }
  }

  *#register(): Task<void> {
    const { brokerId, port, rack } = this.#options
    const data = BrokerIdZnode.encode({ host: this.#env.node, port, rack }, this.#env.clock.wallMs())
    const stat = yield* this.#zk.createCheckedEphemeral(Path.brokerId(brokerId), data)
    this.#brokerEpoch = stat.czxid
  }

  #become(state: BrokerState, reason: string): void {
    const from = this.#state
    this.#state = state
    this.#env.emit('broker.state', { from, to: state, brokerEpoch: this.#brokerEpoch, reason })
  }

  // ── stopping ──────────────────────────────────────────────────────────────────────────────────────────────────────

  beginControlledShutdown(): void {
    assert(this.#state === 'RUNNING', 'zk membership: controlled shutdown', { state: this.#state })
    this.#become('PENDING_CONTROLLED_SHUTDOWN', 'stop')
    this.#askForShutdown(this.#options.zookeeper['controlled.shutdown.max.retries'])
  }

  beginShutdown(): void {
    this.#shutDown('asked')
  }

  #askForShutdown(retries: number): void {
    if (this.#state !== 'PENDING_CONTROLLED_SHUTDOWN') return
    if (retries <= 0) return this.#shutDown('asked')
    const again = (): void => {
      // The last failure is not waited for.
      if (retries <= 1) return this.#askForShutdown(0)
      const backoffMs = this.#options.zookeeper['controlled.shutdown.retry.backoff.ms']
      this.#env.after(backoffMs, () => this.#askForShutdown(retries - 1))
    }
    const controller = this.#controllerNode()
    if (controller === undefined) return again()
    const body = { brokerId: this.#options.brokerId, brokerEpoch: this.#brokerEpoch }
    this.#shutdownRequests.send(controller, 'ControlledShutdown', body, (result) => {
      if (isApproved(result)) this.#shutDown('approved')
      else again()
    })
  }

  #shutDown(reason: ShutdownReason): void {
    if (this.#state === 'SHUTTING_DOWN') return
    this.#become('SHUTTING_DOWN', reason)
    this.#options.host.onShuttingDown(reason)
  }

  detach(): void {
    this.#configs.close()
    this.#control.close()
    this.#authorizer?.close()
  }

  close(done: () => void): void {
    this.#isClosed = true
    this.#alterPartition.shutdown()
    this.controller.shutdown()
    this.#shutdownRequests.close()
    if (this.isrChanges instanceof ZkIsrChanges) this.isrChanges.close()
    this.#local.shutdown(() => this.#zk.close(done))
  }

  // ── settings ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #applyConfig(resource: string, settings: ReadonlyMap<string, string>, isChange: boolean): void {
    const { host, topicDefaults } = this.#options
    const isTopic = resource.startsWith('topic:')
    const wasUnclean = topicDefaults()[UNCLEAN]
    host.setImage(this.#metadata.setConfig(resource, settings))
    if (!isChange) return
    const topic = resource.slice('topic:'.length)
    if (isTopic) host.onTopicConfigChanged(topic)
    if (isTopic && settings.get(UNCLEAN) === 'true') this.#local.enableUncleanElection(topic)
    if (!isTopic && !wasUnclean && topicDefaults()[UNCLEAN]) this.#local.enableUncleanElection()
  }

  // ── the controller ────────────────────────────────────────────────────────────────────────────────────────────────

  forward<A extends ForwardableApi>(
    api: A,
    body: Apis[A]['request'],
    origin: RequestOrigin,
    done: (response: Apis[A]['response'] | undefined) => void,
  ): void {
    const answer = (response: Apis[A]['response'] | undefined): void => {
      if (!this.#isClosed) done(response)
    }
    if (api === 'CreateAcls' || api === 'DeleteAcls') {
      return this.#aclApis.handle(api, body as never, origin, answer as (response: object) => void)
    }
    this.#local.handle(api, body, origin.api === api ? origin : undefined, answer)
  }

  send<A extends ForwardableApi>(api: A, body: Apis[A]['request'], done: () => void): void {
    this.#local.handle(api, body, undefined, () => {
      if (!this.#isClosed) done()
    })
  }

  /** What only brokers may ask of one another. */
  #forClusterMembers(handlers: ApiHandlers): ApiHandlers {
    const denied = { error: Errors.CLUSTER_AUTHORIZATION_FAILED, message: null }
    const guarded = Object.entries(handlers).map(([api, handle]) => [
      api,
      (request: Requester & { readonly body: object; respond(body: object): void }) => {
        if (this.auth.onCluster(request, AclOperation.CLUSTER_ACTION)) return handle(request as never)
        request.respond(errorResponse(api as ApiName, request.body as never, denied))
      },
    ])
    return Object.fromEntries(guarded) as ApiHandlers
  }

  #controllerHandlers(): ApiHandlers {
    return {
      AlterPartition: (request) => {
        this.#local.alterPartition(request.body, request.version, (response) => request.respond(response))
      },
      ControlledShutdown: (request) => {
        this.#local.controlledShutdown(request.body, (response) => request.respond(response))
      },
      AllocateProducerIds: (request) => {
        this.#local.allocateProducerIds(request.body, (response) => request.respond(response))
      },
    }
  }

  /** As UpdateMetadata said last. */
  #controllerNode(): NodeName | undefined {
    return this.#metadata.image.brokers.get(this.#metadata.controllerId)?.host
  }

  #channel(retryTimeoutMs: Millis): ControllerChannel {
    const socketTimeoutMs = this.#options.config['controller.socket.timeout.ms']
    return new ControllerChannel(this.#env, {
      retryTimeoutMs,
      socketTimeoutMs,
      controller: () => this.#controllerNode(),
      requests: this.#options.requests(this.#connectionTo(Math.min(socketTimeoutMs, retryTimeoutMs))),
    })
  }

  #connectionTo(requestTimeoutMs: Millis): RequestClientOptions {
    return {
      clientId: String(this.#options.brokerId),
      requestTimeoutMs,
      reconnectBackoffMs: 50,
      reconnectBackoffMaxMs: 50,
    }
  }
}

function isApproved(result: RpcResult<'ControlledShutdown'>): boolean {
  return result.ok && result.response.errorCode === Errors.NONE && result.response.remainingPartitions.length === 0
}
