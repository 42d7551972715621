/**
 * The controller of ZooKeeper mode, as it runs in every broker (`KafkaController` of Kafka 3.9).
 *
 *   standby ──/controller is gone, and its election won──→ active ──/controller is another's, an illegal state──→ standby
 *      ↑ ↑                                                   │
 *      │ └───────────────── session expired ─────────────────┘
 *      └── session begun: the broker registers anew, and runs for the election again
 *
 * Becoming active, in order: features, watches, notifications of before deleted, context loaded (brokers, topics, assignments, states), channels,
 * deletions in progress found, UpdateMetadata to all, replicas started, partitions started (elections), reassignments, deletions, preferred
 * elections; then leaders are balanced every `leader.imbalance.check.interval.seconds`, for the first time after 5 s.
 *
 * Events are processed one by one (controller-events.ts), and do nothing unless this controller believes to be active. It may believe so
 * for too long: a paused process, a session that expired unheard. Its writes are refused then (`ControllerMoved`), and its requests by the brokers.
 */

import type { EnvTimer } from '../../kernel/env.js'
import type { NodeId } from '../../kernel/units.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import { ControllerMoved, isZooKeeperTrouble, KeeperFailure } from '../../zookeeper/kafka/kafka-zk-client.js'
import type { Task } from '../../zookeeper/kafka/task.js'
import { Path, type TopicPartition, topicPartition } from '../../zookeeper/kafka/znodes.js'
import type { Apis } from '../../wire/apis.js'
import { alterPartition, alterPartitionError } from './alter-partition.js'
import { BrokerChanges } from './broker-changes.js'
import type { ControllerChannels } from './controller-channels.js'
import { type ControllerCore, StateChangeFailed } from './controller-core.js'
import { type ControllerEvent, ControllerEvents } from './controller-events.js'
import { ControlledShutdown } from './controlled-shutdown.js'
import { LeaderBalance } from './leader-balance.js'
import { PartitionStateMachine } from './partition-state-machine.js'
import { Reassignments } from './reassignments.js'
import { isBeingReassigned } from './replica-assignment.js'
import { ReplicaStateMachine } from './replica-state-machine.js'
import { TopicChanges } from './topic-changes.js'
import { TopicDeletion } from './topic-deletion.js'
import type { ZooKeeperControllerConfig } from './zk-controller-config.js'

export interface ZkControllerOptions {
  readonly core: ControllerCore
  readonly channels: ControllerChannels
  readonly config: ZooKeeperControllerConfig
  /** Registers the broker anew after its session expired. @throws KeeperFailure */
  readonly registerBroker: () => Task<void>
}

/** When leaders are balanced for the first time. */
const REBALANCE_DELAY_MS = 5_000

export class ZkController {
  readonly partitions: PartitionStateMachine
  readonly replicas: ReplicaStateMachine
  readonly deletion: TopicDeletion
  readonly reassignments: Reassignments
  readonly #core: ControllerCore
  readonly #options: ZkControllerOptions
  readonly #events: ControllerEvents
  readonly #brokers: BrokerChanges
  readonly #topics: TopicChanges
  readonly #balance: LeaderBalance
  readonly #shutdown: ControlledShutdown
  #activeControllerId: NodeId = -1
  #rebalance: EnvTimer | undefined

  constructor(options: ZkControllerOptions) {
    const { core, channels, config } = options
    this.#core = core
    this.#options = options
    this.#events = new ControllerEvents(core.env, (event) => this.#process(event))
    const sendMetadata = (partitions: readonly TopicPartition[], brokers?: readonly NodeId[]): void =>
      this.#sendMetadata(partitions, brokers)
    const partitions = (this.partitions = new PartitionStateMachine(core))
    const replicas = (this.replicas = new ReplicaStateMachine(core))
    const deletion = (this.deletion = new TopicDeletion(core, {
      isEnabled: config['delete.topic.enable'],
      partitions,
      replicas,
      mute: (topic) => this.#topics.unwatch([topic]),
      sendMetadata,
      onQueued: (topic) => this.#topics.announceDeleted(topic),
    }))
    const reassignments = (this.reassignments = new Reassignments(core, {
      partitions,
      replicas,
      deletion,
      sendMetadata,
      isAlterPartitionEnabled: config.isAlterPartitionSupported,
      onIsrChange: (partition) =>
        this.#put('PartitionReassignmentIsrChange', () => reassignments.maybeComplete(partition)),
      onZkReassignment: () =>
        this.#put('ZkPartitionReassignment', function* () {
          yield* reassignments.fromZk()
        }),
    }))
    this.#brokers = new BrokerChanges(core, {
      channels,
      partitions,
      replicas,
      deletion,
      reassignments,
      sendMetadata,
      onModified: (id) => this.#put('BrokerModifications', () => this.#brokers.processModification(id)),
    })
    this.#topics = new TopicChanges(core, {
      isDeletionEnabled: config['delete.topic.enable'],
      partitions,
      replicas,
      deletion,
      sendMetadata,
      reassignments,
      onPartitionsModified: (topic) => this.#put('PartitionModifications', () => this.#topics.processPartitions(topic)),
    })
    this.#balance = new LeaderBalance(core, {
      config,
      partitions,
      deletion,
      onZkElection: () => this.#put('ReplicaLeaderElection', () => this.#balance.fromZk()),
    })
    this.#shutdown = new ControlledShutdown(core, { partitions, replicas, deletion })
  }

  get isActive(): boolean {
    return this.#activeControllerId === this.#core.brokerId
  }

  // ── life ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Runs for the election, now and whenever the office is free. */
  start(): void {
    this.#core.store.zk.registerStateHandler('controller', {
      beforeInitializingSession: (proceed) => {
        this.#events.clearAndPut({ name: 'Expire', onStart: proceed, process: () => this.#expire() })
      },
      afterInitializingSession: () => {
        this.#events.put({ name: 'RegisterBrokerAndReelect', process: () => this.#registerAndReelect() })
      },
    })
    this.#events.put({ name: 'Startup', process: () => this.#startup() })
    this.#events.start()
  }

  /** Ends the thread, then the office. */
  shutdown(done: () => void): void {
    this.#events.close(() => {
      if (this.isActive) this.#core.env.emit('controller.resigned', { epoch: this.#core.context.epoch, reason: 'stop' })
      this.#resign()
      done()
    })
  }

  // ── asked from outside ────────────────────────────────────────────────────────────────────────────────────────────

  /** `done` comes once. */
  alterPartition(
    request: Apis['AlterPartition']['request'],
    version: number,
    done: (response: Apis['AlterPartition']['response']) => void,
  ): void {
    const refuse = (): void => done(alterPartitionError(Errors.NOT_CONTROLLER))
    this.#ask('AlterPartition', refuse, () => this.#alterPartition(request, version, done))
  }

  controlledShutdown(
    broker: NodeId,
    brokerEpoch: number,
    done: (result: { error: ErrorCode; remaining: readonly TopicPartition[] }) => void,
  ): void {
    const refuse = (): void => done({ error: Errors.STALE_CONTROLLER_EPOCH, remaining: [] })
    this.#ask('ControlledShutdown', refuse, () => this.#shutdown.process(broker, brokerEpoch, done))
  }

  /** Something for the controller's thread; `refuse` when it is not active by then, or was emptied. */
  ask(name: string, refuse: () => void, process: () => Task<void>): void {
    this.#ask(name, refuse, process)
  }

  /** Elections asked for by an administrator. */
  get balance(): LeaderBalance {
    return this.#balance
  }

  /** The setting was switched on for all topics, or for one. */
  enableUncleanElection(topic?: string): void {
    const { partitions } = this
    this.#put(topic === undefined ? 'UncleanLeaderElectionEnable' : 'TopicUncleanLeaderElectionEnable', function* () {
      yield* partitions.triggerOnline(topic)
    })
  }

  /** Answers of brokers, from the request batch. */
  readonly listener = {
    onLeaderAndIsr: (response: Apis['LeaderAndIsr']['response'], broker: NodeId): void =>
      this.#put('LeaderAndIsrResponseReceived', () => this.#brokers.onLeaderAndIsrResponse(response, broker)),
    // Errors are told by the broker that has them.
    onUpdateMetadata: (): void => {},
    onStopReplica: (
      response: Apis['StopReplica']['response'],
      replica: NodeId,
      errors: ReadonlyMap<string, { readonly partition: TopicPartition; readonly error: ErrorCode }>,
    ): void => {
      const isFailed = response.errorCode !== Errors.NONE
      const of = (failed: boolean) =>
        [...errors.values()]
          .filter(({ error }) => (isFailed || error !== Errors.NONE) === failed)
          .map(({ partition }) => ({ partition, replica }))
      const { deletion } = this
      this.#put('TopicDeletionStopReplicaResponseReceived', function* () {
        yield* deletion.fail(of(true))
        if (of(false).length > 0) yield* deletion.complete(of(false))
      })
    },
  }

  // ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** An event that means something to the active controller only. */
  #put(name: string, process: () => Task<void>): void {
    this.#ask(name, () => {}, process)
  }

  #ask(name: string, refuse: () => void, process: () => Task<void>): void {
    this.#events.put({ name, preempt: refuse, process: () => this.#whileActive(refuse, process) })
  }

  *#whileActive(refuse: () => void, process: () => Task<void>): Task<void> {
    if (this.isActive) yield* process()
    else refuse()
  }

  *#process(event: ControllerEvent): Task<void> {
    try {
      try {
        yield* event.process()
      } catch (error) {
        if (!(error instanceof ControllerMoved)) throw error
        this.#failed(event.name, error)
        yield* this.#maybeResign()
      }
    } catch (error) {
      if (!isZooKeeperTrouble(error) && !(error instanceof StateChangeFailed)) throw error
      this.#failed(event.name, error)
    }
  }

  #failed(event: string, error: Error): void {
    const reason = error instanceof KeeperFailure ? error.code : error.name
    this.#core.env.emit('zk-controller.failed', { event, reason })
  }

  *#startup(): Task<void> {
    yield* this.#watchController()
    yield* this.#elect()
  }

  *#watchController(): Task<void> {
    const { zk } = this.#core.store
    yield* zk.registerAndCheckExistence(Path.controller, (type) => {
      if (type === 'NodeDeleted') this.#events.put({ name: 'Reelect', process: () => this.#reelect() })
      else this.#events.put({ name: 'ControllerChange', process: () => this.#maybeResign() })
    })
  }

  *#reelect(): Task<void> {
    yield* this.#maybeResign()
    yield* this.#elect()
  }

  *#registerAndReelect(): Task<void> {
    yield* this.#options.registerBroker()
    yield* this.#reelect()
  }

  // oxlint-disable-next-line require-yield
  *#expire(): Task<void> {
    if (this.isActive) this.#told('session-expired')
    this.#activeControllerId = -1
    this.#resign()
  }

  *#alterPartition(
    request: Apis['AlterPartition']['request'],
    version: number,
    done: (response: Apis['AlterPartition']['response']) => void,
  ): Task<void> {
    let succeeded: readonly TopicPartition[] = []
    try {
      const outcome = yield* alterPartition(this.#core, request, version, (changed) => this.#sendMetadata(changed))
      done(outcome.response)
      succeeded = outcome.succeeded
    } catch (error) {
      if (!isZooKeeperTrouble(error)) throw error
      this.#failed('AlterPartition', error)
      done(alterPartitionError(Errors.UNKNOWN_SERVER_ERROR))
    }
    for (const partition of succeeded) yield* this.reassignments.maybeComplete(partition)
  }

  // ── office ────────────────────────────────────────────────────────────────────────────────────────────────────────

  *#elect(): Task<void> {
    const { store, context, brokerId, env } = this.#core
    this.#activeControllerId = yield* store.controllerId()
    if (this.#activeControllerId !== -1) return
    try {
      const { epoch, zkVersion, zxid } = yield* store.elect(brokerId)
      context.epoch = epoch
      context.epochZkVersion = zkVersion
      store.setEpoch(epoch, zkVersion)
      this.#activeControllerId = brokerId
      env.emit('zk-controller.elected', { epoch, zkVersion, zxid })
      env.emit('controller.active', { epoch })
      yield* this.#failover()
    } catch (error) {
      if (error instanceof ControllerMoved) {
        this.#failed('Elect', error)
        return yield* this.#maybeResign()
      }
      if (!isZooKeeperTrouble(error) && !(error instanceof StateChangeFailed)) throw error
      this.#failed('Elect', error)
      yield* this.#triggerMove()
    }
  }

  *#maybeResign(): Task<void> {
    const wasActive = this.isActive
    yield* this.#watchController()
    const now = yield* this.#core.store.controllerId()
    const isDeposed = wasActive && now !== this.#core.brokerId
    if (isDeposed) this.#told('another-controller')
    this.#activeControllerId = now
    if (isDeposed) this.#resign()
  }

  /** Something is wrong with this controller: another one shall try. */
  *#triggerMove(): Task<void> {
    const { store, context } = this.#core
    this.#activeControllerId = yield* store.controllerId()
    if (!this.isActive) return
    const version = context.epochZkVersion
    this.#told('illegal-state')
    this.#activeControllerId = -1
    this.#resign()
    try {
      yield* store.deleteController(version)
    } catch (error) {
      if (!(error instanceof ControllerMoved)) throw error
      this.#failed('TriggerControllerMove', error)
    }
  }

  #told(reason: string): void {
    this.#core.env.emit('controller.resigned', { epoch: this.#core.context.epoch, reason })
  }

  #resign(): void {
    const { store, context, batch } = this.#core
    const { zk } = store
    for (const path of [Path.isrChanges, Path.logDirEvents, Path.topics, Path.deleteTopics, Path.brokerIds]) {
      zk.unregisterChildHandler(path)
    }
    zk.unregisterChangeHandler(Path.reassignPartitions)
    zk.unregisterChangeHandler(Path.preferredElection)
    this.#brokers.unwatch()
    this.#rebalance?.cancel()
    this.reassignments.unwatch()
    this.#topics.unwatch()
    this.#options.channels.shutdown()
    batch.clear()
    context.reset()
  }

  *#failover(): Task<void> {
    const { store, context } = this.#core
    const { config } = this.#options
    yield* store.setUpFeatures(config.isFeatureVersioningSupported)
    yield* this.#watchCluster()
    yield* store.deleteNotifications(Path.logDirEvents)
    yield* store.deleteNotifications(Path.isrChanges)
    yield* this.#loadContext()
    const offline = new Set(
      [...context.allTopics].filter((topic) =>
        context.replicasOfTopic(topic).some(({ replica, partition }) => !context.isReplicaOnline(replica, partition)),
      ),
    )
    for (const { topic } of context.partitionsBeingReassigned.values()) offline.add(topic)
    yield* this.deletion.init(yield* store.topicDeletions(), offline)
    this.#brokers.announceAll()
    // Brokers must know who is alive before they can follow anybody.
    this.#sendMetadata([])
    yield* this.replicas.startup()
    yield* this.partitions.startup()
    yield* this.reassignments.initialize()
    yield* this.deletion.resume()
    yield* this.#balance.pending()
    if (config['auto.leader.rebalance.enable']) this.#scheduleRebalance(REBALANCE_DELAY_MS)
  }

  *#watchCluster(): Task<void> {
    const { zk } = this.#core.store
    zk.registerChildHandler(Path.brokerIds, () => this.#put('BrokerChange', () => this.#brokers.process()))
    zk.registerChildHandler(Path.topics, () => this.#put('TopicChange', () => this.#topics.process()))
    zk.registerChildHandler(Path.deleteTopics, () => this.#put('TopicDeletion', () => this.#topics.processDeletions()))
    zk.registerChildHandler(Path.logDirEvents, () => this.#put('LogDirEventNotification', () => this.#logDirEvents()))
    zk.registerChildHandler(Path.isrChanges, () =>
      this.#put('IsrChangeNotification', () => this.#topics.processIsrChanges()),
    )
    yield* this.#balance.watch()
    yield* this.reassignments.watch()
  }

  *#loadContext(): Task<void> {
    const { store, context } = this.#core
    context.setLiveBrokers(yield* store.brokers())
    context.setAllTopics(yield* store.topics())
    this.#topics.watch([...context.allTopics])
    const znodes = yield* store.topicZnodes([...context.allTopics])
    yield* this.#topics.takeTopicIds(znodes)
    for (const [topic, { assignment }] of znodes) {
      for (const [index, one] of assignment) {
        const partition = topicPartition(topic, index)
        context.updateAssignment(partition, one)
        if (isBeingReassigned(one)) context.partitionsBeingReassigned.set(partition.name, partition)
      }
    }
    context.clearLeaderships()
    context.shuttingDownBrokerIds.clear()
    yield* this.#brokers.watch(context.liveOrShuttingDownBrokerIds())
    for (const { partition, info } of yield* store.states(context.allPartitions())) {
      context.putLeadership(partition, info)
    }
    this.#options.channels.startup(context.liveOrShuttingDownBrokers())
  }

  *#logDirEvents(): Task<void> {
    const { store } = this.#core
    const { names, brokers } = yield* store.logDirEvents()
    yield* this.#brokers.onLogDirFailure(brokers)
    yield* store.deleteNotifications(Path.logDirEvents, names)
  }

  #scheduleRebalance(delayMs: number): void {
    this.#rebalance?.cancel()
    this.#rebalance = this.#core.env.after(delayMs, () => {
      this.#put('AutoPreferredReplicaLeaderElection', () => this.#balanceLeaders())
    })
  }

  *#balanceLeaders(): Task<void> {
    try {
      yield* this.#balance.balance()
    } finally {
      this.#scheduleRebalance(this.#options.config['leader.imbalance.check.interval.seconds'] * 1_000)
    }
  }

  #sendMetadata(
    partitions: readonly TopicPartition[],
    brokers: readonly NodeId[] = this.#core.context.liveOrShuttingDownBrokerIds(),
  ): void {
    const { batch, context } = this.#core
    batch.newBatch()
    batch.addUpdateMetadata(brokers, partitions)
    batch.send(context.epoch)
  }
}
