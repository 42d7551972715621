/**
 * Deleting topics (`TopicDeletionManager`): slow, resumable, and never while it could go wrong.
 *
 * A topic waits as a child of /admin/delete_topics. It is eligible when nothing of it is being reassigned and no replica failed to be
 * deleted. Its partitions go Offline and NonExistent, everybody is told that they have no leader, and every live replica goes Offline and
 * DeletionStarted (StopReplica with deletion). Once all of them have been deleted its znodes go: topic, settings, and the wish. A replica whose
 * broker is down makes the topic ineligible until the broker is back.
 *
 *   queued ──eligible──→ started ──all replicas deleted──→ gone
 *      └─reassignment, replica down, deletion failed─→ ineligible ──broker back, reassignment done──→ queued
 */

import type { Task } from '../../zookeeper/kafka/task.js'
import type { TopicPartition } from '../../zookeeper/kafka/znodes.js'
import type { PartitionAndReplica } from './controller-context.js'
import type { ControllerCore } from './controller-core.js'
import type { PartitionStateMachine } from './partition-state-machine.js'
import type { ReplicaStateMachine } from './replica-state-machine.js'

export interface TopicDeletionOptions {
  /** `delete.topic.enable`. */
  readonly isEnabled: boolean
  readonly partitions: PartitionStateMachine
  readonly replicas: ReplicaStateMachine
  /** No changes of this topic's partitions are listened to any more. */
  readonly mute: (topic: string) => void
  readonly sendMetadata: (partitions: readonly TopicPartition[]) => void
  /** The topic will be deleted: from now on it is nobody's any more, whatever is still told of it. */
  readonly onQueued: (topic: string) => void
}

export class TopicDeletion {
  readonly #core: ControllerCore
  readonly #options: TopicDeletionOptions

  constructor(core: ControllerCore, options: TopicDeletionOptions) {
    this.#core = core
    this.#options = options
  }

  *init(toBeDeleted: readonly string[], ineligible: ReadonlySet<string>): Task<void> {
    const { context, store } = this.#core
    if (!this.#options.isEnabled) return yield* store.deleteTopicDeletions(toBeDeleted)
    this.#queue(toBeDeleted)
    for (const topic of toBeDeleted) if (ineligible.has(topic)) context.topicsIneligibleForDeletion.add(topic)
  }

  #queue(topics: readonly string[]): void {
    const { context } = this.#core
    for (const topic of topics) if (!context.topicsToBeDeleted.has(topic)) this.#options.onQueued(topic)
    context.queueTopicDeletion(topics)
  }

  isQueued(topic: string): boolean {
    return this.#options.isEnabled && this.#core.context.topicsToBeDeleted.has(topic)
  }

  *resume(): Task<void> {
    if (this.#options.isEnabled) yield* this.#resume()
  }

  *enqueue(topics: readonly string[]): Task<void> {
    if (!this.#options.isEnabled) return
    this.#queue(topics)
    yield* this.#resume()
  }

  /** What held these up is over. */
  *resumeFor(topics: Iterable<string>): Task<void> {
    const { context } = this.#core
    const waiting = [...new Set(topics)].filter((topic) => this.isQueued(topic))
    if (waiting.length === 0) return
    for (const topic of waiting) context.topicsIneligibleForDeletion.delete(topic)
    yield* this.#resume()
  }

  markIneligible(topics: Iterable<string>): void {
    const { context } = this.#core
    for (const topic of topics) if (this.isQueued(topic)) context.topicsIneligibleForDeletion.add(topic)
  }

  /** These could not be deleted: their brokers went down, or said so. */
  *fail(replicas: readonly PartitionAndReplica[]): Task<void> {
    const failed = replicas.filter(({ partition }) => this.isQueued(partition.topic))
    if (failed.length === 0) return
    yield* this.#options.replicas.handle(failed, 'DeletionIneligible')
    this.markIneligible(failed.map(({ partition }) => partition.topic))
    yield* this.#resume()
  }

  *complete(replicas: readonly PartitionAndReplica[]): Task<void> {
    const deleted = replicas.filter(({ partition }) => this.isQueued(partition.topic))
    yield* this.#options.replicas.handle(deleted, 'DeletionSuccessful')
    yield* this.#resume()
  }

  *#resume(): Task<void> {
    const { context } = this.#core
    const retry: string[] = []
    const eligible: string[] = []
    for (const topic of [...context.topicsToBeDeleted]) {
      if (context.areAllReplicasInState(topic, 'DeletionSuccessful')) yield* this.#finish(topic)
      else if (
        !context.isAnyReplicaInState(topic, 'DeletionStarted') &&
        context.isAnyReplicaInState(topic, 'DeletionIneligible')
      ) {
        retry.push(topic)
      }
      if (this.#isEligible(topic)) eligible.push(topic)
    }
    const failed = retry.flatMap((topic) => context.replicasInState(topic, 'DeletionIneligible'))
    yield* this.#options.replicas.handle(failed, 'Offline')
    if (eligible.length > 0) yield* this.#start(eligible)
  }

  #isEligible(topic: string): boolean {
    const { context } = this.#core
    return (
      context.topicsToBeDeleted.has(topic) &&
      !context.isAnyReplicaInState(topic, 'DeletionStarted') &&
      !context.topicsIneligibleForDeletion.has(topic)
    )
  }

  *#start(topics: readonly string[]): Task<void> {
    const { context } = this.#core
    const { partitions, sendMetadata } = this.#options
    const unseen = topics.filter((topic) => !context.topicsWithDeletionStarted.has(topic))
    const gone = unseen.flatMap((topic) => context.partitionsOf(topic))
    yield* partitions.handle(gone, 'Offline')
    yield* partitions.handle(gone, 'NonExistent')
    for (const topic of unseen) context.topicsWithDeletionStarted.add(topic)
    // So that brokers stop serving what is being deleted.
    sendMetadata(topics.flatMap((topic) => context.partitionsOf(topic)))
    yield* this.#deleteReplicas(topics)
  }

  *#deleteReplicas(topics: readonly string[]): Task<void> {
    const { context } = this.#core
    const { replicas } = this.#options
    const dead: PartitionAndReplica[] = []
    const alive: PartitionAndReplica[] = []
    const ineligible: string[] = []
    for (const topic of topics) {
      const before = dead.length
      for (const one of context.replicasOfTopic(topic)) {
        if (!context.isReplicaOnline(one.replica, one.partition)) dead.push(one)
        else if (context.replicaState(one) !== 'DeletionSuccessful') alive.push(one)
      }
      if (dead.length > before) ineligible.push(topic)
    }
    yield* replicas.handle(dead, 'DeletionIneligible')
    yield* replicas.handle(alive, 'Offline')
    yield* replicas.handle(alive, 'DeletionStarted')
    this.markIneligible(ineligible)
  }

  *#finish(topic: string): Task<void> {
    const { context, store } = this.#core
    const { mute, replicas } = this.#options
    // Lest a change of partitions is heard before the change of topics when it is created again.
    mute(topic)
    yield* replicas.handle(context.replicasInState(topic, 'DeletionSuccessful'), 'NonExistent')
    yield* store.deleteTopic(topic)
    context.removeTopic(topic)
  }
}
