/**
 * Brokers that come, go and bounce, and what that does to their replicas (`KafkaController.processBrokerChange` and its kin).
 *
 *   new      its channel is opened; the others hear of it, it is told everything; its replicas go online; elections where a leader is missing;
 *            reassignments and deletions that waited for it go on
 *   dead     its channel is closed; partitions that it led go offline and are elected again; its replicas go offline (out of the ISR)
 *   bounced  (registered again with a newer epoch before anybody saw it gone) dead, then new: what was queued for its last life is dropped
 *
 * A replica whose log directory failed (KAFKA_STORAGE_ERROR in the answer to LeaderAndIsr) goes offline as if its broker were dead.
 */

import type { NodeId } from '../../kernel/units.js'
import { Errors } from '../../wire/errors.js'
import type { LeaderAndIsrResponse } from '../../wire/messages/leader-and-isr.js'
import type { Task } from '../../zookeeper/kafka/task.js'
import { Path, type TopicPartition, topicPartition } from '../../zookeeper/kafka/znodes.js'
import type { ControllerChannels } from './controller-channels.js'
import type { LiveBroker, PartitionAndReplica } from './controller-context.js'
import { announce, type ControllerCore } from './controller-core.js'
import type { PartitionStateMachine } from './partition-state-machine.js'
import type { Reassignments } from './reassignments.js'
import { targetReplicas } from './replica-assignment.js'
import type { ReplicaStateMachine } from './replica-state-machine.js'
import { isRefused } from './request-batch.js'
import type { TopicDeletion } from './topic-deletion.js'

export interface BrokerChangesOptions {
  readonly channels: ControllerChannels
  readonly partitions: PartitionStateMachine
  readonly replicas: ReplicaStateMachine
  readonly deletion: TopicDeletion
  readonly reassignments: Reassignments
  readonly sendMetadata: (partitions: readonly TopicPartition[], brokers?: readonly NodeId[]) => void
  /** The data of the broker's znode may have changed. */
  readonly onModified: (id: NodeId) => void
}

export class BrokerChanges {
  readonly #core: ControllerCore
  readonly #options: BrokerChangesOptions
  readonly #watched = new Set<NodeId>()

  constructor(core: ControllerCore, options: BrokerChangesOptions) {
    this.#core = core
    this.#options = options
  }

  /** The children of /brokers/ids changed. @throws ControllerMoved KeeperFailure */
  *process(): Task<void> {
    const { context, store } = this.#core
    const { channels } = this.#options
    const current = yield* store.brokers()
    const known = context.liveOrShuttingDownBrokerIds()
    const isKnown = ({ id }: LiveBroker): boolean => known.includes(id)
    const fresh = current.filter((broker) => !isKnown(broker))
    const bounced = current.filter((one) => isKnown(one) && one.epoch > (context.brokerEpoch(one.id) ?? -1))
    const dead = known.filter((id) => !current.some((broker) => broker.id === id))
    for (const broker of fresh) channels.addBroker(broker)
    for (const { id } of bounced) channels.removeBroker(id)
    for (const broker of bounced) channels.addBroker(broker)
    for (const id of dead) channels.removeBroker(id)
    if (fresh.length > 0) {
      context.addLiveBrokers(fresh)
      yield* this.#onStartup(fresh, 'registered')
    }
    if (bounced.length > 0) {
      const ids = bounced.map(({ id }) => id)
      context.removeLiveBrokers(ids)
      yield* this.#onFailure(ids, 'bounced')
      context.addLiveBrokers(bounced)
      yield* this.#onStartup(bounced, 'bounced')
    }
    if (dead.length > 0) {
      context.removeLiveBrokers(dead)
      yield* this.#onFailure(dead, 'session-ended')
    }
  }

  /** The data of a broker's znode changed. */
  *processModification(id: NodeId): Task<void> {
    const { context, store } = this.#core
    const now = yield* store.broker(id)
    const before = context.liveOrShuttingDownBroker(id)
    if (now === undefined || before === undefined) return
    if (now.host === before.host && now.port === before.port) return
    context.addLiveBrokers([now])
    this.#options.sendMetadata([])
  }

  /** Watches the znodes of these brokers. */
  *watch(ids: readonly NodeId[]): Task<void> {
    for (const id of ids) {
      this.#watched.add(id)
      yield* this.#core.store.zk.registerAndCheckExistence(Path.brokerId(id), (type) => {
        if (type === 'NodeDataChanged') this.#options.onModified(id)
      })
    }
  }

  unwatch(ids: Iterable<NodeId> = this.#watched): void {
    for (const id of [...ids]) {
      this.#watched.delete(id)
      this.#core.store.zk.unregisterChangeHandler(Path.brokerId(id))
    }
  }

  // ── log directories ───────────────────────────────────────────────────────────────────────────────────────────────

  /** Asks these brokers for the state of all their replicas. */
  *onLogDirFailure(ids: readonly NodeId[]): Task<void> {
    yield* this.#options.replicas.handle(this.#core.context.replicasOnBrokers(ids), 'Online')
  }

  *onLeaderAndIsrResponse(response: LeaderAndIsrResponse, id: NodeId): Task<void> {
    if (isRefused(response)) return
    const { context } = this.#core
    const before = context.replicasOnOfflineDirs.get(id) ?? new Set<string>()
    const offline = new Set(before)
    const fresh: TopicPartition[] = []
    for (const { topicId, partitionErrors } of response.topics) {
      const topic = context.topicNames.get(topicId)
      if (topic === undefined) continue
      for (const { partitionIndex, errorCode } of partitionErrors) {
        const partition = topicPartition(topic, partitionIndex)
        if (errorCode === Errors.NONE) offline.delete(partition.name)
        else if (errorCode === Errors.KAFKA_STORAGE_ERROR && !offline.has(partition.name)) {
          offline.add(partition.name)
          if (!before.has(partition.name)) fresh.push(partition)
        }
      }
    }
    context.replicasOnOfflineDirs.set(id, offline)
    if (fresh.length > 0) yield* this.#onOffline(fresh.map((partition) => ({ partition, replica: id })))
  }

  // ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────

  *#onStartup(brokers: readonly LiveBroker[], reason: string): Task<void> {
    const { context, env } = this.#core
    const { replicas, partitions, reassignments, deletion, sendMetadata } = this.#options
    const ids = brokers.map(({ id }) => id)
    for (const { id, epoch } of brokers) {
      context.replicasOnOfflineDirs.delete(id)
      env.emit('controller.broker', { broker: id, brokerEpoch: epoch, change: 'registered', reason })
      env.emit('controller.broker', { broker: id, brokerEpoch: epoch, change: 'unfenced', reason })
    }
    const others = context.liveOrShuttingDownBrokerIds().filter((id) => !ids.includes(id))
    // The others hear of the new brokers, these of everything: leaders are not elected by a controlled start, so it is all known by now.
    sendMetadata([], others)
    sendMetadata(context.partitionsWithLeaders(), ids)
    const onThem = context.replicasOnBrokers(ids)
    yield* replicas.handle(onThem, 'Online')
    yield* partitions.triggerOnline()
    yield* reassignments.resume((_, assignment) => targetReplicas(assignment).some((id) => ids.includes(id)))
    const waiting = onThem.map(({ partition }) => partition.topic).filter((topic) => deletion.isQueued(topic))
    if (waiting.length > 0) yield* deletion.resumeFor(waiting)
    yield* this.watch(ids)
  }

  *#onFailure(ids: readonly NodeId[], reason: string): Task<void> {
    const { context, env } = this.#core
    for (const id of ids) {
      context.replicasOnOfflineDirs.delete(id)
      context.shuttingDownBrokerIds.delete(id)
      env.emit('controller.broker', { broker: id, brokerEpoch: -1, change: 'fenced', reason })
    }
    yield* this.#onOffline(context.replicasOnBrokers(ids))
    this.unwatch(ids)
  }

  *#onOffline(gone: readonly PartitionAndReplica[]): Task<void> {
    const { context } = this.#core
    const { partitions, replicas, deletion, sendMetadata } = this.#options
    const forDeletion = gone.filter(({ partition }) => deletion.isQueued(partition.topic))
    const rest = gone.filter((one) => !forDeletion.includes(one))
    yield* partitions.handle(context.partitionsWithOfflineLeader(), 'Offline')
    const outcomes = yield* partitions.triggerOnline()
    yield* replicas.handle(rest, 'Offline')
    yield* deletion.fail(forDeletion)
    // Otherwise the changes of partitions have told everybody of the brokers too.
    const isTold = rest.length > 0 || [...outcomes.values()].some((outcome) => 'leaderAndIsr' in outcome)
    if (!isTold) sendMetadata([])
  }

  /** Tells the trace of everybody that a new controller finds, and of those whom it misses. */
  announceAll(): void {
    const { context, env } = this.#core
    const reason = 'controller-failover'
    const assigned = new Set(context.allPartitions().flatMap((partition) => context.replicas(partition)))
    for (const { id, epoch } of context.liveOrShuttingDownBrokers()) {
      assigned.delete(id)
      env.emit('controller.broker', { broker: id, brokerEpoch: epoch, change: 'unfenced', reason })
    }
    for (const id of [...assigned].sort((a, b) => a - b)) {
      env.emit('controller.broker', { broker: id, brokerEpoch: -1, change: 'fenced', reason })
    }
    for (const partition of context.allPartitions()) announce(this.#core, partition, reason)
  }
}
