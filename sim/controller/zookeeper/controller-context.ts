/**
 * What the active controller knows of the cluster: its cache of ZooKeeper and the states of its two machines (`ControllerContext`).
 *
 * It is filled at failover and emptied at resignation; in between only the controller's one thread changes it. A broker is live when it is
 * registered and not shutting down. A replica is online when its broker is live and its log directory has not failed.
 *
 * States, and the states from which each may be entered (a change from elsewhere is refused, and told to nobody):
 *
 *   partition     from                          replica      from
 *   NonExistent   Offline                       NonExistent  DeletionSuccessful
 *   New           NonExistent                   New          NonExistent
 *   Online        New Online Offline            Online       New Online Offline DeletionIneligible
 *   Offline       New Online Offline            Offline      New Online Offline DeletionIneligible
 *                                               DeletionStarted     Offline
 *                                               DeletionSuccessful  DeletionStarted
 *                                               DeletionIneligible  Offline DeletionStarted
 */

import { assert } from '../../kernel/errors.js'
import type { Epoch, NodeId } from '../../kernel/units.js'
import {
  type BrokerZnode,
  EPOCH_DURING_DELETE,
  type LeadershipInfo,
  NO_EPOCH,
  type ReplicaAssignment,
  type TopicPartition,
} from '../../zookeeper/kafka/znodes.js'
import { NO_ASSIGNMENT } from './replica-assignment.js'

export type PartitionState = 'NonExistent' | 'New' | 'Online' | 'Offline'
export type ReplicaState =
  'NonExistent' | 'New' | 'Online' | 'Offline' | 'DeletionStarted' | 'DeletionSuccessful' | 'DeletionIneligible'

export const PARTITION_STATES: Readonly<Record<PartitionState, readonly PartitionState[]>> = {
  NonExistent: ['Offline'],
  New: ['NonExistent'],
  Online: ['New', 'Online', 'Offline'],
  Offline: ['New', 'Online', 'Offline'],
}

export const REPLICA_STATES: Readonly<Record<ReplicaState, readonly ReplicaState[]>> = {
  NonExistent: ['DeletionSuccessful'],
  New: ['NonExistent'],
  Online: ['New', 'Online', 'Offline', 'DeletionIneligible'],
  Offline: ['New', 'Online', 'Offline', 'DeletionIneligible'],
  DeletionStarted: ['Offline'],
  DeletionSuccessful: ['DeletionStarted'],
  DeletionIneligible: ['Offline', 'DeletionStarted'],
}

export interface PartitionAndReplica {
  readonly partition: TopicPartition
  readonly replica: NodeId
}

export interface LiveBroker extends BrokerZnode {
  readonly id: NodeId
  /** czxid of its registration (KIP-380). */
  readonly epoch: number
}

interface PartitionEntry {
  readonly partition: TopicPartition
  assignment: ReplicaAssignment
}

export class ControllerContext {
  /** Of /controller_epoch, and the version of that znode; every write checks it. */
  epoch: Epoch = 0
  epochZkVersion = 0
  readonly shuttingDownBrokerIds = new Set<NodeId>()
  readonly allTopics = new Set<string>()
  readonly topicIds = new Map<string, string>()
  readonly topicNames = new Map<string, string>()
  readonly partitionsBeingReassigned = new Map<string, TopicPartition>()
  /** Broker → names of partitions whose replica there has a failed log directory. */
  readonly replicasOnOfflineDirs = new Map<NodeId, ReadonlySet<string>>()
  readonly topicsToBeDeleted = new Set<string>()
  readonly topicsWithDeletionStarted = new Set<string>()
  readonly topicsIneligibleForDeletion = new Set<string>()
  readonly #brokers = new Map<NodeId, LiveBroker>()
  readonly #topics = new Map<string, Map<number, PartitionEntry>>()
  readonly #leaderships = new Map<string, { readonly partition: TopicPartition; readonly info: LeadershipInfo }>()
  readonly #partitionStates = new Map<string, { readonly partition: TopicPartition; state: PartitionState }>()
  readonly #replicaStates = new Map<string, ReplicaState>()

  // ── brokers ───────────────────────────────────────────────────────────────────────────────────────────────────────

  setLiveBrokers(brokers: readonly LiveBroker[]): void {
    this.#brokers.clear()
    this.addLiveBrokers(brokers)
  }

  addLiveBrokers(brokers: readonly LiveBroker[]): void {
    for (const broker of brokers) this.#brokers.set(broker.id, broker)
  }

  removeLiveBrokers(ids: readonly NodeId[]): void {
    for (const id of ids) this.#brokers.delete(id)
  }

  isLiveBroker(id: NodeId): boolean {
    return this.#brokers.has(id) && !this.shuttingDownBrokerIds.has(id)
  }

  /** Ascending. */
  liveBrokerIds(): NodeId[] {
    return this.liveOrShuttingDownBrokerIds().filter((id) => !this.shuttingDownBrokerIds.has(id))
  }

  /** Ascending. */
  liveOrShuttingDownBrokerIds(): NodeId[] {
    return [...this.#brokers.keys()].sort((a, b) => a - b)
  }

  liveOrShuttingDownBrokers(): LiveBroker[] {
    return [...this.#brokers.values()].sort((a, b) => a.id - b.id)
  }

  liveOrShuttingDownBroker(id: NodeId): LiveBroker | undefined {
    return this.#brokers.get(id)
  }

  brokerEpoch(id: NodeId): number | undefined {
    return this.#brokers.get(id)?.epoch
  }

  isReplicaOnline(id: NodeId, { name }: TopicPartition, includeShuttingDown = false): boolean {
    const isBrokerOnline = includeShuttingDown ? this.#brokers.has(id) : this.isLiveBroker(id)
    return isBrokerOnline && this.replicasOnOfflineDirs.get(id)?.has(name) !== true
  }

  // ── topics and assignments ────────────────────────────────────────────────────────────────────────────────────────

  setAllTopics(topics: readonly string[]): void {
    this.allTopics.clear()
    for (const topic of topics) this.allTopics.add(topic)
  }

  addTopicId(topic: string, id: string): void {
    this.topicIds.set(topic, id)
    this.topicNames.set(id, topic)
  }

  removeTopic(topic: string): void {
    this.topicsToBeDeleted.delete(topic)
    this.topicsWithDeletionStarted.delete(topic)
    this.allTopics.delete(topic)
    const id = this.topicIds.get(topic)
    if (id !== undefined) this.topicNames.delete(id)
    this.topicIds.delete(topic)
    for (const { partition } of this.#topics.get(topic)?.values() ?? []) this.#leaderships.delete(partition.name)
    this.#topics.delete(topic)
  }

  updateAssignment(partition: TopicPartition, assignment: ReplicaAssignment): void {
    let topic = this.#topics.get(partition.topic)
    if (topic === undefined) this.#topics.set(partition.topic, (topic = new Map()))
    topic.set(partition.index, { partition, assignment })
  }

  /** Empty when the partition is not known. */
  assignment({ topic, index }: TopicPartition): ReplicaAssignment {
    return this.#topics.get(topic)?.get(index)?.assignment ?? NO_ASSIGNMENT
  }

  replicas(partition: TopicPartition): readonly NodeId[] {
    return this.assignment(partition).replicas
  }

  assignmentsOf(topic: string): ReadonlyMap<number, ReplicaAssignment> {
    const entries = [...(this.#topics.get(topic) ?? [])].sort(([a], [b]) => a - b)
    return new Map(entries.map(([index, { assignment }]) => [index, assignment]))
  }

  partitionsOf(topic: string): TopicPartition[] {
    return [...(this.#topics.get(topic)?.values() ?? [])].map(({ partition }) => partition)
  }

  allPartitions(): TopicPartition[] {
    return [...this.#topics.keys()].flatMap((topic) => this.partitionsOf(topic))
  }

  hasPartition({ topic, index }: TopicPartition): boolean {
    return this.#topics.get(topic)?.has(index) === true
  }

  partitionsOnBroker(id: NodeId): TopicPartition[] {
    return this.allPartitions().filter((partition) => this.replicas(partition).includes(id))
  }

  replicasOnBrokers(ids: readonly NodeId[]): PartitionAndReplica[] {
    return ids.flatMap((replica) => this.partitionsOnBroker(replica).map((partition) => ({ partition, replica })))
  }

  replicasOf(partitions: readonly TopicPartition[]): PartitionAndReplica[] {
    return partitions.flatMap((partition) => this.replicas(partition).map((replica) => ({ partition, replica })))
  }

  replicasOfTopic(topic: string): PartitionAndReplica[] {
    return this.replicasOf(this.partitionsOf(topic))
  }

  // ── leaderships ───────────────────────────────────────────────────────────────────────────────────────────────────

  leadership({ name }: TopicPartition): LeadershipInfo | undefined {
    return this.#leaderships.get(name)?.info
  }

  putLeadership(partition: TopicPartition, info: LeadershipInfo): void {
    this.#leaderships.set(partition.name, { partition, info })
  }

  clearLeaderships(): void {
    this.#leaderships.clear()
  }

  /** What StopReplica names: a value of its own while the topic is being deleted, whose leader epoch does not grow. */
  leaderEpoch(partition: TopicPartition): Epoch {
    if (this.topicsToBeDeleted.has(partition.topic)) return EPOCH_DURING_DELETE
    return this.leadership(partition)?.leaderAndIsr.leaderEpoch ?? NO_EPOCH
  }

  partitionsWithLeaders(): TopicPartition[] {
    return [...this.#leaderships.values()]
      .map(({ partition }) => partition)
      .filter(({ topic }) => !this.topicsToBeDeleted.has(topic))
  }

  partitionsWithOfflineLeader(): TopicPartition[] {
    return [...this.#leaderships.values()]
      .filter(
        ({ partition, info }) =>
          !this.isReplicaOnline(info.leaderAndIsr.leader, partition) && !this.topicsToBeDeleted.has(partition.topic),
      )
      .map(({ partition }) => partition)
  }

  /** Partitions of several replicas that the broker leads. */
  partitionLeadersOnBroker(id: NodeId): TopicPartition[] {
    return [...this.#leaderships.values()]
      .filter(
        ({ partition, info }) =>
          !this.topicsToBeDeleted.has(partition.topic) &&
          info.leaderAndIsr.leader === id &&
          this.replicas(partition).length > 1,
      )
      .map(({ partition }) => partition)
  }

  // ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

  partitionState({ name }: TopicPartition): PartitionState | undefined {
    return this.#partitionStates.get(name)?.state
  }

  putPartitionState(partition: TopicPartition, state: PartitionState): void {
    this.#partitionStates.set(partition.name, { partition, state })
  }

  partitionsInStates(states: readonly PartitionState[], topic?: string): TopicPartition[] {
    return [...this.#partitionStates.values()]
      .filter(({ partition, state }) => states.includes(state) && (topic === undefined || partition.topic === topic))
      .map(({ partition }) => partition)
  }

  replicaState({ partition, replica }: PartitionAndReplica): ReplicaState | undefined {
    return this.#replicaStates.get(replicaKey(partition, replica))
  }

  putReplicaState({ partition, replica }: PartitionAndReplica, state: ReplicaState): void {
    this.#replicaStates.set(replicaKey(partition, replica), state)
  }

  removeReplicaState({ partition, replica }: PartitionAndReplica): void {
    this.#replicaStates.delete(replicaKey(partition, replica))
  }

  replicasInState(topic: string, state: ReplicaState): PartitionAndReplica[] {
    return this.replicasOfTopic(topic).filter((replica) => this.#stateOf(replica) === state)
  }

  areAllReplicasInState(topic: string, state: ReplicaState): boolean {
    return this.replicasOfTopic(topic).every((replica) => this.#stateOf(replica) === state)
  }

  isAnyReplicaInState(topic: string, state: ReplicaState): boolean {
    return this.replicasOfTopic(topic).some((replica) => this.#stateOf(replica) === state)
  }

  #stateOf(replica: PartitionAndReplica): ReplicaState {
    const state = this.replicaState(replica)
    assert(state !== undefined, 'controller context: replica without a state', { replica })
    return state
  }

  // ── life ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Queues topics for deletion. */
  queueTopicDeletion(topics: readonly string[]): void {
    for (const topic of topics) this.topicsToBeDeleted.add(topic)
  }

  reset(): void {
    this.topicsToBeDeleted.clear()
    this.topicsWithDeletionStarted.clear()
    this.topicsIneligibleForDeletion.clear()
    this.shuttingDownBrokerIds.clear()
    this.epoch = 0
    this.epochZkVersion = 0
    this.allTopics.clear()
    this.topicIds.clear()
    this.topicNames.clear()
    this.#topics.clear()
    this.#leaderships.clear()
    this.partitionsBeingReassigned.clear()
    this.replicasOnOfflineDirs.clear()
    this.#partitionStates.clear()
    this.#replicaStates.clear()
    this.#brokers.clear()
  }
}

/** Ids of a set of replicas of the same partition, `orders-0/2`. */
export function replicaKey({ name }: TopicPartition, replica: NodeId): string {
  return `${name}/${replica}`
}

/** Partitions by name, each once. */
export function distinctPartitions(partitions: Iterable<TopicPartition>): TopicPartition[] {
  const byName = new Map<string, TopicPartition>()
  for (const partition of partitions) byName.set(partition.name, partition)
  return [...byName.values()]
}
