/**
 * A broker asks to be relieved before it stops (`KafkaController.doControlledShutdown`).
 *
 * From the request on the broker counts as shutting down: it is no candidate in elections. What it leads, with other replicas, is elected anew
 * among the rest of the ISR; what it follows is stopped there and leaves the ISR. The answer names what it still leads, and the broker asks again.
 */

import type { NodeId } from '../../kernel/units.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import { isZooKeeperTrouble } from '../../zookeeper/kafka/kafka-zk-client.js'
import type { Task } from '../../zookeeper/kafka/task.js'
import type { TopicPartition } from '../../zookeeper/kafka/znodes.js'
import type { ControllerCore } from './controller-core.js'
import type { PartitionStateMachine } from './partition-state-machine.js'
import type { ReplicaStateMachine } from './replica-state-machine.js'
import type { TopicDeletion } from './topic-deletion.js'

export interface ControlledShutdownResult {
  readonly error: ErrorCode
  /** What the broker still leads. */
  readonly remaining: readonly TopicPartition[]
}

export interface ControlledShutdownOptions {
  readonly partitions: PartitionStateMachine
  readonly replicas: ReplicaStateMachine
  readonly deletion: TopicDeletion
}

export class ControlledShutdown {
  readonly #core: ControllerCore
  readonly #options: ControlledShutdownOptions

  constructor(core: ControllerCore, options: ControlledShutdownOptions) {
    this.#core = core
    this.#options = options
  }

  /** `brokerEpoch` -1: not given. `done` comes once. */
  *process(id: NodeId, brokerEpoch: number, done: (result: ControlledShutdownResult) => void): Task<void> {
    const { context, env } = this.#core
    const known = context.brokerEpoch(id)
    if (known === undefined) return done({ error: Errors.BROKER_NOT_AVAILABLE, remaining: [] })
    if (brokerEpoch !== -1 && brokerEpoch < known) return done({ error: Errors.STALE_BROKER_EPOCH, remaining: [] })
    if (!context.shuttingDownBrokerIds.has(id)) {
      context.shuttingDownBrokerIds.add(id)
      env.emit('controller.broker', { broker: id, brokerEpoch: known, change: 'shutting-down', reason: 'asked' })
    }
    try {
      yield* this.#relieve(id)
    } catch (error) {
      if (isZooKeeperTrouble(error)) done({ error: Errors.UNKNOWN_SERVER_ERROR, remaining: [] })
      throw error
    }
    done({ error: Errors.NONE, remaining: context.partitionLeadersOnBroker(id) })
  }

  *#relieve(id: NodeId): Task<void> {
    const { context, batch } = this.#core
    const { partitions, replicas, deletion } = this.#options
    const all = context
      .partitionsOnBroker(id)
      .filter(
        (partition) =>
          context.replicas(partition).length > 1 &&
          context.leadership(partition) !== undefined &&
          !deletion.isQueued(partition.topic),
      )
    const led = all.filter((partition) => context.leadership(partition)?.leaderAndIsr.leader === id)
    const followed = all.filter((partition) => !led.includes(partition))
    yield* partitions.handle(led, 'Online', { kind: 'controlled-shutdown' })
    batch.newBatch()
    for (const partition of followed) batch.addStopReplica([id], partition, false)
    batch.send(context.epoch)
    yield* replicas.handle(
      followed.map((partition) => ({ partition, replica: id })),
      'Offline',
    )
  }
}
