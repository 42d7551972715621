/**
 * What one step of the controller tells the brokers, gathered and sent together (`ControllerBrokerRequestBatch`).
 *
 * Each broker gets at most one LeaderAndIsr, then one UpdateMetadata, then one StopReplica; the last word on a partition in a batch is the
 * one that is sent, except that what was new stays new and what was to be deleted stays so. Whoever is told of a partition's leadership,
 * every broker is told its metadata. Requests carry the controller's epoch and the receiver's broker epoch (KIP-380), and go only to brokers
 * that are registered.
 *
 *   empty ──newBatch──→ open ──add…──→ open ──send / clear──→ empty
 *
 * A batch that is begun while another is open is a defect of the controller, which resigns in Kafka; here it is an invariant.
 */

import { assert } from '../../kernel/errors.js'
import type { Epoch, NodeId } from '../../kernel/units.js'
import { ZERO_UUID } from '../../wire/uuid.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import type { LeaderAndIsrPartitionState, LeaderAndIsrResponse } from '../../wire/messages/leader-and-isr.js'
import type { StopReplicaPartitionState, StopReplicaResponse } from '../../wire/messages/stop-replica.js'
import type { UpdateMetadataPartitionState, UpdateMetadataResponse } from '../../wire/messages/update-metadata.js'
import {
  type LeadershipInfo,
  LEADER_DURING_DELETE,
  INITIAL_LEADER_EPOCH,
  INITIAL_PARTITION_EPOCH,
  type ReplicaAssignment,
  type TopicPartition,
} from '../../zookeeper/kafka/znodes.js'
import type { ControllerChannels } from './controller-channels.js'
import type { ControllerContext } from './controller-context.js'

/** Answers, as events of the controller. */
export interface BatchListener {
  onLeaderAndIsr(response: LeaderAndIsrResponse, broker: NodeId): void
  onUpdateMetadata(response: UpdateMetadataResponse, broker: NodeId): void
  /** Errors of partitions that were to be deleted, by name. */
  onStopReplica(response: StopReplicaResponse, broker: NodeId, errors: ReadonlyMap<string, DeletionOutcome>): void
}

export interface DeletionOutcome {
  readonly partition: TopicPartition
  readonly error: ErrorCode
}

interface Stated<S> {
  readonly partition: TopicPartition
  readonly state: S
}

type States<S> = Map<string, Stated<S>>

const PLAINTEXT = 0

export class RequestBatch {
  readonly #controllerId: NodeId
  readonly #context: ControllerContext
  readonly #channels: Pick<ControllerChannels, 'send'>
  readonly #listener: BatchListener
  readonly #leaderAndIsr = new Map<NodeId, States<LeaderAndIsrPartitionState>>()
  readonly #stopReplica = new Map<NodeId, States<StopReplicaPartitionState>>()
  readonly #updateMetadataBrokers = new Set<NodeId>()
  readonly #updateMetadata: States<UpdateMetadataPartitionState> = new Map()

  constructor(
    controllerId: NodeId,
    context: ControllerContext,
    channels: Pick<ControllerChannels, 'send'>,
    listener: BatchListener,
  ) {
    this.#controllerId = controllerId
    this.#context = context
    this.#channels = channels
    this.#listener = listener
  }

  newBatch(): void {
    const isEmpty =
      this.#leaderAndIsr.size === 0 && this.#stopReplica.size === 0 && this.#updateMetadataBrokers.size === 0
    assert(isEmpty, 'request batch: the last one was not sent')
  }

  clear(): void {
    this.#leaderAndIsr.clear()
    this.#stopReplica.clear()
    this.#updateMetadataBrokers.clear()
    this.#updateMetadata.clear()
  }

  // ── gathering ─────────────────────────────────────────────────────────────────────────────────────────────────────

  addLeaderAndIsr(
    brokers: readonly NodeId[],
    partition: TopicPartition,
    { leaderAndIsr, controllerEpoch }: LeadershipInfo,
    assignment: ReplicaAssignment,
    isNew: boolean,
  ): void {
    for (const broker of brokers) {
      if (broker < 0) continue
      const states = statesOf(this.#leaderAndIsr, broker)
      states.set(partition.name, {
        partition,
        state: {
          partitionIndex: partition.index,
          controllerEpoch,
          leader: leaderAndIsr.leader,
          leaderEpoch: leaderAndIsr.leaderEpoch,
          isr: leaderAndIsr.isr,
          partitionEpoch: leaderAndIsr.partitionEpoch,
          replicas: assignment.replicas,
          addingReplicas: assignment.adding,
          removingReplicas: assignment.removing,
          isNew: isNew || states.get(partition.name)?.state.isNew === true,
          leaderRecoveryState: leaderAndIsr.leaderRecoveryState,
        },
      })
    }
    this.addUpdateMetadata(this.#context.liveOrShuttingDownBrokerIds(), [partition])
  }

  addStopReplica(brokers: readonly NodeId[], partition: TopicPartition, deletePartition: boolean): void {
    const leaderEpoch = this.#context.leaderEpoch(partition)
    for (const broker of brokers) {
      if (broker < 0) continue
      const states = statesOf(this.#stopReplica, broker)
      const isDeleting = deletePartition || states.get(partition.name)?.state.deletePartition === true
      states.set(partition.name, {
        partition,
        state: { partitionIndex: partition.index, leaderEpoch, deletePartition: isDeleting },
      })
    }
  }

  /** Partitions without a leadership are left out. */
  addUpdateMetadata(brokers: readonly NodeId[], partitions: Iterable<TopicPartition>): void {
    const context = this.#context
    for (const broker of brokers) if (broker >= 0) this.#updateMetadataBrokers.add(broker)
    for (const partition of partitions) {
      const info = context.leadership(partition)
      if (info === undefined) continue
      const { leaderAndIsr, controllerEpoch } = info
      const replicas = context.replicas(partition)
      const isBeingDeleted = context.topicsToBeDeleted.has(partition.topic)
      this.#updateMetadata.set(partition.name, {
        partition,
        state: {
          partitionIndex: partition.index,
          controllerEpoch,
          leader: isBeingDeleted ? LEADER_DURING_DELETE : leaderAndIsr.leader,
          // Of a topic that is being deleted no more is told than who was in sync (`LeaderAndIsr.duringDelete`).
          leaderEpoch: isBeingDeleted ? INITIAL_LEADER_EPOCH : leaderAndIsr.leaderEpoch,
          isr: leaderAndIsr.isr,
          zkVersion: isBeingDeleted ? INITIAL_PARTITION_EPOCH : leaderAndIsr.partitionEpoch,
          replicas,
          offlineReplicas: replicas.filter((id) => !context.isReplicaOnline(id, partition)),
        },
      })
    }
  }

  // ── sending ───────────────────────────────────────────────────────────────────────────────────────────────────────

  send(controllerEpoch: Epoch): void {
    this.#sendLeaderAndIsr(controllerEpoch)
    this.#sendUpdateMetadata(controllerEpoch)
    this.#sendStopReplica(controllerEpoch)
    this.clear()
  }

  #header(
    broker: NodeId,
    controllerEpoch: Epoch,
  ): { controllerId: NodeId; isKRaftController: false; controllerEpoch: Epoch; brokerEpoch: number } | undefined {
    const brokerEpoch = this.#context.brokerEpoch(broker)
    if (brokerEpoch === undefined) return undefined
    return { controllerId: this.#controllerId, isKRaftController: false, controllerEpoch, brokerEpoch }
  }

  #sendLeaderAndIsr(controllerEpoch: Epoch): void {
    for (const [broker, states] of this.#leaderAndIsr) {
      const header = this.#header(broker, controllerEpoch)
      if (header === undefined) continue
      const leaders = new Set([...states.values()].map(({ state }) => state.leader))
      const liveLeaders = this.#context
        .liveOrShuttingDownBrokers()
        .filter(({ id }) => leaders.has(id))
        .map(({ id, host, port }) => ({ brokerId: id, hostName: host, port }))
      const topicStates = byTopic(states).map(([topicName, partitionStates]) => ({
        topicName,
        topicId: this.#context.topicIds.get(topicName) ?? ZERO_UUID,
        partitionStates,
      }))
      const body = { ...header, type: 0, topicStates, liveLeaders }
      this.#channels.send(broker, 'LeaderAndIsr', body, (response) => this.#listener.onLeaderAndIsr(response, broker))
    }
  }

  #sendUpdateMetadata(controllerEpoch: Epoch): void {
    const liveBrokers = this.#context.liveOrShuttingDownBrokers().map(({ id, host, port, rack }) => ({
      id,
      endpoints: [{ port, host, listener: 'PLAINTEXT', securityProtocol: PLAINTEXT }],
      rack,
    }))
    const topicStates = byTopic(this.#updateMetadata).map(([topicName, partitionStates]) => ({
      topicName,
      topicId: this.#context.topicIds.get(topicName) ?? ZERO_UUID,
      partitionStates,
    }))
    for (const broker of [...this.#updateMetadataBrokers].sort((a, b) => a - b)) {
      const header = this.#header(broker, controllerEpoch)
      if (header === undefined) continue
      const body = { ...header, type: 0, topicStates, liveBrokers }
      const done = (response: UpdateMetadataResponse): void => this.#listener.onUpdateMetadata(response, broker)
      this.#channels.send(broker, 'UpdateMetadata', body, done)
    }
  }

  #sendStopReplica(controllerEpoch: Epoch): void {
    for (const [broker, states] of this.#stopReplica) {
      const header = this.#header(broker, controllerEpoch)
      if (header === undefined) continue
      const topicStates = byTopic(states).map(([topicName, partitionStates]) => ({ topicName, partitionStates }))
      this.#channels.send(broker, 'StopReplica', { ...header, topicStates }, (response) =>
        this.#stopped(response, broker, states),
      )
    }
  }

  #stopped(response: StopReplicaResponse, broker: NodeId, states: States<StopReplicaPartitionState>): void {
    const errors = new Map<string, DeletionOutcome>()
    for (const { topicName, partitionIndex, errorCode } of response.partitionErrors) {
      const stated = states.get(`${topicName}-${partitionIndex}`)
      if (stated === undefined || !stated.state.deletePartition) continue
      if (!this.#context.topicsWithDeletionStarted.has(topicName)) continue
      errors.set(stated.partition.name, { partition: stated.partition, error: errorCode })
    }
    if (errors.size > 0) this.#listener.onStopReplica(response, broker, errors)
  }
}

/** Whether a whole request was refused. */
export function isRefused(response: { readonly errorCode: ErrorCode }): boolean {
  return response.errorCode !== Errors.NONE
}

function statesOf<S>(map: Map<NodeId, States<S>>, broker: NodeId): States<S> {
  let states = map.get(broker)
  if (states === undefined) map.set(broker, (states = new Map()))
  return states
}

function byTopic<S>(states: States<S>): [string, S[]][] {
  const topics = new Map<string, S[]>()
  for (const { partition, state } of states.values()) {
    const list = topics.get(partition.topic)
    if (list === undefined) topics.set(partition.topic, [state])
    else list.push(state)
  }
  return [...topics]
}
