/**
 * The life of replicas as the controller steers it (`ZkReplicaStateMachine`; its states are in controller-context.ts).
 *
 *   to                  does
 *   New                 LeaderAndIsr with the current leadership to the replica, marked as new
 *   Online              from New: nothing but to remember it; from elsewhere: LeaderAndIsr with the current leadership to the replica
 *   Offline             StopReplica without deletion to the replica; out of the ISR, and LeaderAndIsr to the other replicas
 *   DeletionStarted     StopReplica with deletion to the replica
 *   DeletionSuccessful, DeletionIneligible
 *                       nothing but to remember it
 *   NonExistent         out of the assignment in memory
 *
 * Leaving the ISR: a leader that goes leaves no leader (-1); the last member stays, so that an election knows who has everything. The leader epoch
 * grows. A state znode that changed meanwhile is read again.
 */

import type { NodeId } from '../../kernel/units.js'
import { KeeperFailure } from '../../zookeeper/kafka/kafka-zk-client.js'
import type { Task } from '../../zookeeper/kafka/task.js'
import { type LeadershipInfo, NO_LEADER, type TopicPartition } from '../../zookeeper/kafka/znodes.js'
import { type PartitionAndReplica, REPLICA_STATES, type ReplicaState } from './controller-context.js'
import { announce, type ControllerCore } from './controller-core.js'
import type { WantedState } from './controller-store.js'
import { newLeaderAndIsr, removeReplica } from './replica-assignment.js'

export class ReplicaStateMachine {
  readonly #core: ControllerCore

  constructor(core: ControllerCore) {
    this.#core = core
  }

  /** Initial states from who is alive; then everybody alive is told, and everybody else is taken out. */
  *startup(): Task<void> {
    const { context } = this.#core
    const replicas = context.replicasOf(context.allPartitions())
    const isOnline = ({ partition, replica }: PartitionAndReplica): boolean =>
      context.isReplicaOnline(replica, partition)
    // One that is down may be in the middle of its deletion: ineligible is the safer side.
    for (const one of replicas) context.putReplicaState(one, isOnline(one) ? 'Online' : 'DeletionIneligible')
    yield* this.handle(replicas.filter(isOnline), 'Online')
    yield* this.handle(
      replicas.filter((one) => !isOnline(one)),
      'Offline',
    )
  }

  /** @throws ControllerMoved */
  *handle(replicas: readonly PartitionAndReplica[], target: ReplicaState): Task<void> {
    if (replicas.length === 0) return
    const { batch, context } = this.#core
    batch.newBatch()
    try {
      for (const id of [...new Set(replicas.map(({ replica }) => replica))].sort((a, b) => a - b)) {
        yield* this.#handle(
          id,
          replicas.filter(({ replica }) => replica === id),
          target,
        )
      }
      batch.send(context.epoch)
    } catch (error) {
      batch.clear()
      if (!(error instanceof KeeperFailure)) throw error
    }
  }

  *#handle(id: NodeId, replicas: readonly PartitionAndReplica[], target: ReplicaState): Task<void> {
    const { context, batch } = this.#core
    const valid = replicas.filter((replica) => {
      const state = context.replicaState(replica) ?? 'NonExistent'
      if (context.replicaState(replica) === undefined) context.putReplicaState(replica, state)
      return REPLICA_STATES[target].includes(state)
    })
    switch (target) {
      case 'New':
        for (const replica of valid) this.#start(replica)
        break
      case 'Online':
        for (const replica of valid) this.#bringOnline(replica)
        break
      case 'Offline':
        yield* this.#takeOffline(id, valid)
        break
      case 'DeletionStarted':
        for (const replica of valid) {
          context.putReplicaState(replica, target)
          batch.addStopReplica([id], replica.partition, true)
        }
        break
      case 'DeletionSuccessful':
      case 'DeletionIneligible':
        for (const replica of valid) context.putReplicaState(replica, target)
        break
      case 'NonExistent':
        for (const replica of valid) {
          const { partition } = replica
          context.updateAssignment(partition, removeReplica(context.assignment(partition), id))
          context.removeReplicaState(replica)
        }
        break
    }
  }

  #start(replica: PartitionAndReplica): void {
    const { context, batch } = this.#core
    const { partition, replica: id } = replica
    const info = context.leadership(partition)
    // A new replica can only follow.
    if (info?.leaderAndIsr.leader === id) return
    if (info !== undefined) batch.addLeaderAndIsr([id], partition, info, context.assignment(partition), true)
    context.putReplicaState(replica, 'New')
  }

  #bringOnline(replica: PartitionAndReplica): void {
    const { context, batch } = this.#core
    const { partition, replica: id } = replica
    const assignment = context.assignment(partition)
    if (context.replicaState(replica) === 'New') {
      if (!assignment.replicas.includes(id)) {
        context.updateAssignment(partition, { ...assignment, replicas: [...assignment.replicas, id] })
      }
    } else {
      const info = context.leadership(partition)
      if (info !== undefined) batch.addLeaderAndIsr([id], partition, info, assignment, false)
    }
    context.putReplicaState(replica, 'Online')
  }

  *#takeOffline(id: NodeId, replicas: readonly PartitionAndReplica[]): Task<void> {
    const { context, batch } = this.#core
    for (const { partition } of replicas) batch.addStopReplica([id], partition, false)
    const led = replicas.filter(({ partition }) => context.leadership(partition) !== undefined)
    const updated = yield* this.#removeFromIsr(
      id,
      led.map(({ partition }) => partition),
    )
    for (const { partition, info } of updated) {
      if (!context.topicsToBeDeleted.has(partition.topic)) {
        const others = context.replicas(partition).filter((other) => other !== id)
        batch.addLeaderAndIsr(others, partition, info, context.assignment(partition), false)
      }
      context.putReplicaState({ partition, replica: id }, 'Offline')
    }
    for (const replica of replicas) {
      if (led.includes(replica)) continue
      batch.addUpdateMetadata(context.liveOrShuttingDownBrokerIds(), [replica.partition])
      context.putReplicaState(replica, 'Offline')
    }
  }

  /** The leaderships of those for which it worked, changed or not. */
  *#removeFromIsr(
    id: NodeId,
    partitions: readonly TopicPartition[],
  ): Task<{ partition: TopicPartition; info: LeadershipInfo }[]> {
    const done: { partition: TopicPartition; info: LeadershipInfo }[] = []
    let remaining = partitions
    while (remaining.length > 0) remaining = yield* this.#removeFromIsrOnce(id, remaining, done)
    return done
  }

  *#removeFromIsrOnce(
    id: NodeId,
    partitions: readonly TopicPartition[],
    done: { partition: TopicPartition; info: LeadershipInfo }[],
  ): Task<readonly TopicPartition[]> {
    const { context, store } = this.#core
    const controllerEpoch = context.epoch
    const wanted: WantedState[] = []
    const finish = ({ partition, leaderAndIsr }: WantedState): void => {
      const info = { leaderAndIsr, controllerEpoch }
      context.putLeadership(partition, info)
      done.push({ partition, info })
    }
    for (const read of yield* store.readStates(partitions)) {
      if ('trouble' in read || read.info === undefined || read.info.controllerEpoch > controllerEpoch) continue
      const { partition, info } = read
      const { leaderAndIsr } = info
      const { leader, isr } = leaderAndIsr
      if (!isr.includes(id)) finish({ partition, leaderAndIsr })
      else {
        const newIsr = isr.length === 1 ? isr : isr.filter((member) => member !== id)
        const newLeader = leader === id ? NO_LEADER : leader
        wanted.push({ partition, leaderAndIsr: newLeaderAndIsr(leaderAndIsr, newLeader, newIsr) })
      }
    }
    const { updated, retry } = yield* store.updateStates(wanted, controllerEpoch)
    for (const state of updated) {
      finish(state)
      announce(this.#core, state.partition, 'replica-offline')
    }
    return retry
  }
}
