/**
 * Moving replicas (KIP-455; `KafkaController.onPartitionReassignment`).
 *
 * Asked for by AlterPartitionReassignments or by /admin/reassign_partitions; the later one wins. RS is what is assigned, TRS the target, AR what
 * is added, RR what is removed.
 *
 *   U  update    the topic's znode and then memory: RS = target + origin, AR, RR; replicas that a replaced reassignment was adding are stopped
 *   A  not yet   (TRS not within the ISR) next leader epoch, LeaderAndIsr to RS; AR start as new replicas
 *   B  complete  AR become online; RS = TRS in memory; when the leader is not in TRS or dead, another is elected from TRS, else it takes the next
 *                leader epoch; RR go offline (out of the ISR), are deleted and forgotten; the topic's znode: RS = TRS; metadata to everybody
 *
 * The znode says RS = TRS last of all, so that a controller that dies before has a successor that goes on.
 */

import type { NodeId } from '../../kernel/units.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import { KeeperFailure } from '../../zookeeper/kafka/kafka-zk-client.js'
import type { Task } from '../../zookeeper/kafka/task.js'
import { Path, type ReplicaAssignment, type TopicPartition } from '../../zookeeper/kafka/znodes.js'
import { announce, type ControllerCore, StateChangeFailed } from './controller-core.js'
import type { PartitionStateMachine } from './partition-state-machine.js'
import {
  assignmentOf,
  isBeingReassigned,
  originReplicas,
  reassignTo,
  sameAssignment,
  sameIds,
  targetReplicas,
  without,
} from './replica-assignment.js'
import type { ReplicaStateMachine } from './replica-state-machine.js'
import type { TopicDeletion } from './topic-deletion.js'

/** null: cancel. */
export type Target = readonly NodeId[] | null
export interface Wanted {
  readonly partition: TopicPartition
  readonly target: Target
}
export type ReassignmentErrors = Map<string, { readonly error: ErrorCode; readonly message: string | null }>

export interface ReassignmentsOptions {
  readonly partitions: PartitionStateMachine
  readonly replicas: ReplicaStateMachine
  readonly deletion: TopicDeletion
  readonly sendMetadata: (partitions: readonly TopicPartition[]) => void
  /** Leaders change ISRs by AlterPartition; otherwise the state znode is watched. */
  readonly isAlterPartitionEnabled: boolean
  /** An ISR of a partition that is being reassigned changed in ZooKeeper. */
  readonly onIsrChange: (partition: TopicPartition) => void
  /** /admin/reassign_partitions may have changed. */
  readonly onZkReassignment: () => void
}

const OK = { error: Errors.NONE, message: null } as const

export class Reassignments {
  readonly #core: ControllerCore
  readonly #options: ReassignmentsOptions

  constructor(core: ControllerCore, options: ReassignmentsOptions) {
    this.#core = core
    this.#options = options
  }

  // ── asked for ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A request of an administrator; errors by name of partition. @throws ControllerMoved */
  *alter(wanted: readonly Wanted[]): Task<ReassignmentErrors> {
    const results: ReassignmentErrors = new Map()
    const accepted = new Map<string, { partition: TopicPartition; assignment: ReplicaAssignment }>()
    for (const { partition, target } of wanted) {
      const refused = target === null ? undefined : this.#problemOf(partition, target)
      const assignment = this.#next(partition, target)
      if (refused !== undefined) {
        results.set(partition.name, { error: Errors.INVALID_REPLICA_ASSIGNMENT, message: refused })
      } else if (assignment === undefined) {
        results.set(partition.name, { error: Errors.NO_REASSIGNMENT_IN_PROGRESS, message: null })
      } else accepted.set(partition.name, { partition, assignment })
    }
    yield* this.#removeFromZk((name) => accepted.has(name))
    for (const [name, result] of yield* this.#trigger([...accepted.values()])) results.set(name, result)
    return results
  }

  /** What /admin/reassign_partitions asks for; the partitions that were begun. @throws ControllerMoved */
  *fromZk(): Task<ReadonlySet<string>> {
    if (!(yield* this.watch())) return new Set()
    const results: ReassignmentErrors = new Map()
    const accepted: { partition: TopicPartition; assignment: ReplicaAssignment }[] = []
    for (const { replicas, ...partition } of (yield* this.#core.store.partitionReassignments()).values()) {
      const assignment = this.#next(partition, replicas)
      if (assignment !== undefined) accepted.push({ partition, assignment })
    }
    for (const [name, result] of yield* this.#trigger(accepted)) results.set(name, result)
    const failed = new Set([...results].filter(([, { error }]) => error !== Errors.NONE).map(([name]) => name))
    if (failed.size > 0) yield* this.#removeFromZk((name) => failed.has(name))
    return new Set([...results.keys()].filter((name) => !failed.has(name)))
  }

  /** Whether /admin/reassign_partitions exists; its creation is heard of from now on. */
  *watch(): Task<boolean> {
    return yield* this.#core.store.zk.registerAndCheckExistence(Path.reassignPartitions, (type) => {
      if (type === 'NodeCreated') this.#options.onZkReassignment()
    })
  }

  /** After a failover: those of ZooKeeper first, then those that were under way. @throws ControllerMoved */
  *initialize(): Task<void> {
    const resumed = yield* this.fromZk()
    yield* this.resume((partition) => !resumed.has(partition.name))
  }

  /** @throws ControllerMoved */
  *resume(isWanted: (partition: TopicPartition, assignment: ReplicaAssignment) => boolean): Task<void> {
    const { context } = this.#core
    for (const partition of [...context.partitionsBeingReassigned.values()]) {
      const assignment = context.assignment(partition)
      if (isWanted(partition, assignment)) yield* this.#proceed(partition, assignment)
    }
  }

  /** Its ISR changed. @throws ControllerMoved */
  *maybeComplete(partition: TopicPartition): Task<void> {
    const { context } = this.#core
    if (!context.partitionsBeingReassigned.has(partition.name)) return
    const assignment = context.assignment(partition)
    if (yield* this.#isComplete(partition, assignment)) yield* this.#proceed(partition, assignment)
  }

  /** Watches of state znodes are of no use any more. */
  unwatch(): void {
    if (this.#options.isAlterPartitionEnabled) return
    for (const { topic, index } of this.#core.context.partitionsBeingReassigned.values()) {
      this.#core.store.zk.unregisterChangeHandler(Path.state(topic, index))
    }
  }

  #problemOf(partition: TopicPartition, target: readonly NodeId[]): string | undefined {
    const { context } = this.#core
    if (target.length === 0) return 'the list of replicas is empty'
    if (new Set(target).size < target.length) return 'a replica is named twice'
    if (target.some((id) => id < 0)) return 'a broker id is negative'
    const { adding } = reassignTo(context.assignment(partition), target)
    const dead = adding.filter((id) => !context.isLiveBroker(id))
    return dead.length > 0 ? `not alive: ${dead.join(', ')}` : undefined
  }

  #next(partition: TopicPartition, target: Target): ReplicaAssignment | undefined {
    const current = this.#core.context.assignment(partition)
    if (target !== null) return reassignTo(current, target)
    return isBeingReassigned(current) ? reassignTo(current, originReplicas(current)) : undefined
  }

  *#trigger(
    accepted: readonly { partition: TopicPartition; assignment: ReplicaAssignment }[],
  ): Task<ReassignmentErrors> {
    const unknown = { error: Errors.UNKNOWN_TOPIC_OR_PARTITION, message: 'there is no such partition' }
    const results: ReassignmentErrors = new Map()
    for (const { partition, assignment } of accepted) {
      const { name, topic } = partition
      if (this.#options.deletion.isQueued(topic)) results.set(name, unknown)
      else if (this.#core.context.replicas(partition).length === 0) results.set(name, unknown)
      else {
        try {
          yield* this.#proceed(partition, assignment)
          results.set(name, OK)
        } catch (error) {
          if (!(error instanceof KeeperFailure) && !(error instanceof StateChangeFailed)) throw error
          results.set(name, { error: Errors.UNKNOWN_SERVER_ERROR, message: null })
        }
      }
    }
    return results
  }

  // ── the phases ────────────────────────────────────────────────────────────────────────────────────────────────────

  *#proceed(partition: TopicPartition, assignment: ReplicaAssignment): Task<void> {
    const { context } = this.#core
    const { deletion, replicas, sendMetadata } = this.#options
    deletion.markIneligible([partition.topic])
    yield* this.#update(partition, assignment)
    const replicaOf = (replica: NodeId) => ({ partition, replica })
    if (!(yield* this.#isComplete(partition, assignment))) {
      yield* this.#nextEpoch(partition, assignment)
      for (const id of assignment.adding) yield* replicas.handle([replicaOf(id)], 'New')
      return
    }
    yield* replicas.handle(assignment.adding.map(replicaOf), 'Online')
    const completed = assignmentOf(targetReplicas(assignment))
    context.updateAssignment(partition, completed)
    yield* this.#moveLeader(partition, completed)
    yield* this.#stopRemoved(partition, assignment.removing)
    yield* this.#writeAssignment(partition, completed)
    yield* this.#forget(partition, completed)
    announce(this.#core, partition, 'reassignment')
    sendMetadata([partition])
    yield* deletion.resumeFor([partition.topic])
  }

  *#update(partition: TopicPartition, assignment: ReplicaAssignment): Task<void> {
    const { context, store } = this.#core
    const current = context.assignment(partition)
    if (!sameAssignment(current, assignment)) {
      yield* this.#writeAssignment(partition, assignment)
      context.updateAssignment(partition, assignment)
      announce(this.#core, partition, 'reassignment')
      yield* this.#stopRemoved(partition, without(current.replicas, assignment.replicas))
    }
    if (!this.#options.isAlterPartitionEnabled) {
      const { onIsrChange } = this.#options
      store.zk.registerChangeHandler(Path.state(partition.topic, partition.index), (type) => {
        if (type === 'NodeDataChanged') onIsrChange(partition)
      })
    }
    context.partitionsBeingReassigned.set(partition.name, partition)
  }

  *#isComplete(partition: TopicPartition, assignment: ReplicaAssignment): Task<boolean> {
    if (!isBeingReassigned(assignment)) return true
    const [state] = yield* this.#core.store.states([partition])
    if (state === undefined) return false
    return targetReplicas(assignment).every((id) => state.info.leaderAndIsr.isr.includes(id))
  }

  *#moveLeader(partition: TopicPartition, assignment: ReplicaAssignment): Task<void> {
    const { context } = this.#core
    const leader = context.leadership(partition)?.leaderAndIsr.leader ?? -1
    if (assignment.replicas.includes(leader) && context.isReplicaOnline(leader, partition)) {
      yield* this.#nextEpoch(partition, assignment)
    } else yield* this.#options.partitions.handle([partition], 'Online', { kind: 'reassign' })
  }

  *#stopRemoved(partition: TopicPartition, removed: readonly NodeId[]): Task<void> {
    const stopped = removed.map((replica) => ({ partition, replica }))
    for (const state of ['Offline', 'DeletionStarted', 'DeletionSuccessful', 'NonExistent'] as const) {
      yield* this.#options.replicas.handle(stopped, state)
    }
  }

  /** The same leader in the next epoch, so that it learns of the replicas. */
  *#nextEpoch(partition: TopicPartition, assignment: ReplicaAssignment): Task<void> {
    const { context, batch, store } = this.#core
    for (;;) {
      const [state] = yield* store.states([partition])
      if (state === undefined) throw new StateChangeFailed(`${partition.name} has no state`)
      if (state.info.controllerEpoch > context.epoch) {
        throw new StateChangeFailed(`${partition.name} was written by another controller`)
      }
      const before = state.info.leaderAndIsr
      const wanted = { partition, leaderAndIsr: { ...before, leaderEpoch: before.leaderEpoch + 1 } }
      const { updated, failed } = yield* store.updateStates([wanted], context.epoch)
      if (failed.length > 0) throw new StateChangeFailed(`${partition.name}: the state cannot be written`)
      const [written] = updated
      // Somebody changed it meanwhile: once more.
      if (written === undefined) continue
      const info = { leaderAndIsr: written.leaderAndIsr, controllerEpoch: context.epoch }
      context.putLeadership(partition, info)
      announce(this.#core, partition, 'reassignment')
      batch.newBatch()
      batch.addLeaderAndIsr(originReplicas(assignment), partition, info, assignment, false)
      batch.addLeaderAndIsr(assignment.adding, partition, info, assignment, true)
      batch.send(context.epoch)
      return
    }
  }

  *#writeAssignment(partition: TopicPartition, assignment: ReplicaAssignment): Task<void> {
    const { context, store } = this.#core
    const { topic, index } = partition
    const all = new Map([...context.assignmentsOf(topic), [index, assignment] as const])
    yield* store.setTopicAssignment(topic, context.topicIds.get(topic), all)
  }

  *#forget(partition: TopicPartition, { replicas }: ReplicaAssignment): Task<void> {
    const { context, store } = this.#core
    const { topic, index, name } = partition
    if (!this.#options.isAlterPartitionEnabled) store.zk.unregisterChangeHandler(Path.state(topic, index))
    yield* this.#removeFromZk((other, target) => other === name && sameIds(target, replicas))
    context.partitionsBeingReassigned.delete(name)
  }

  /** Takes partitions out of /admin/reassign_partitions. */
  *#removeFromZk(isRemoved: (name: string, target: readonly NodeId[]) => boolean): Task<void> {
    const { store } = this.#core
    if (!(yield* store.zk.exists(Path.reassignPartitions))) return
    const asked = yield* store.partitionReassignments()
    const rest = new Map([...asked].filter(([name, { replicas }]) => !isRemoved(name, replicas)))
    if (rest.size > 0) return yield* store.setPartitionReassignments(rest)
    yield* store.deletePartitionReassignments()
    // So that the next one is heard of.
    this.#options.onZkReassignment()
  }
}
