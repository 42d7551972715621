/**
 * Topics and partitions that appear in ZooKeeper or go, and ISRs that leaders changed there (`KafkaController.processTopicChange` and its kin).
 *
 *   children of /brokers/topics           new topics: assignments read, ids given where there are none, partitions New and Online
 *   data of /brokers/topics/T             new partitions likewise; while T is being deleted the old assignment is put back
 *   children of /admin/delete_topics      deletions begin; a topic that does not exist is forgotten
 *   children of /isr_change_notification  the states named there are read again, and everybody is told
 */

import type { Random } from '../../kernel/random.js'
import { type TopicPartition, type TopicZnode, Path, topicPartition } from '../../zookeeper/kafka/znodes.js'
import type { Task } from '../../zookeeper/kafka/task.js'
import { announce, type ControllerCore } from './controller-core.js'
import type { PartitionStateMachine } from './partition-state-machine.js'
import type { Reassignments } from './reassignments.js'
import type { ReplicaStateMachine } from './replica-state-machine.js'
import type { TopicDeletion } from './topic-deletion.js'

export interface TopicChangesOptions {
  /** `delete.topic.enable`. */
  readonly isDeletionEnabled: boolean
  readonly partitions: PartitionStateMachine
  readonly replicas: ReplicaStateMachine
  readonly deletion: TopicDeletion
  readonly reassignments: Reassignments
  readonly sendMetadata: (partitions: readonly TopicPartition[]) => void
  /** The data of a topic's znode changed. */
  readonly onPartitionsModified: (topic: string) => void
}

export class TopicChanges {
  readonly #core: ControllerCore
  readonly #options: TopicChangesOptions
  readonly #watched = new Set<string>()
  readonly #ids: Random

  constructor(core: ControllerCore, options: TopicChangesOptions) {
    this.#ids = core.env.random.fork('topic-ids-of-old')
    this.#core = core
    this.#options = options
  }

  /** Listens to changes of these topics; the watch is set when their znodes are read. */
  watch(topics: readonly string[]): void {
    for (const topic of topics) {
      this.#watched.add(topic)
      this.#core.store.zk.registerChangeHandler(Path.topic(topic), (type) => {
        if (type === 'NodeDataChanged') this.#options.onPartitionsModified(topic)
      })
    }
  }

  unwatch(topics: Iterable<string> = this.#watched): void {
    for (const topic of [...topics]) {
      this.#watched.delete(topic)
      this.#core.store.zk.unregisterChangeHandler(Path.topic(topic))
    }
  }

  *process(): Task<void> {
    const { context, store } = this.#core
    const topics = yield* store.topics()
    const fresh = topics.filter((topic) => !context.allTopics.has(topic))
    const gone = [...context.allTopics].filter((topic) => !topics.includes(topic))
    context.setAllTopics(topics)
    this.watch(fresh)
    const znodes = yield* store.topicZnodes(fresh)
    for (const topic of gone) context.removeTopic(topic)
    yield* this.takeTopicIds(znodes)
    const partitions: TopicPartition[] = []
    for (const [topic, znode] of znodes) {
      for (const [index, assignment] of znode.assignment) {
        const partition = topicPartition(topic, index)
        context.updateAssignment(partition, assignment)
        partitions.push(partition)
      }
      this.#announce(topic, 'created')
    }
    yield* this.#onNewPartitions(partitions)
  }

  /** Topics without an id get one. */
  *takeTopicIds(znodes: ReadonlyMap<string, TopicZnode>): Task<void> {
    const { context, store } = this.#core
    const without = new Map<string, TopicZnode>()
    for (const [topic, znode] of znodes) {
      const id = znode.topicId ?? this.#ids.uuid()
      context.addTopicId(topic, id)
      if (znode.topicId === undefined && znode.assignment.size > 0) without.set(topic, { ...znode, topicId: id })
    }
    if (without.size > 0) yield* store.setTopicIds(without)
  }

  /** The data of a topic's znode changed. */
  *processPartitions(topic: string): Task<void> {
    const { context, store } = this.#core
    const znode = (yield* store.topicZnodes([topic])).get(topic)
    const added = [...(znode?.assignment ?? [])].filter(
      ([index]) => !context.hasPartition(topicPartition(topic, index)),
    )
    if (added.length === 0) return
    if (this.#options.deletion.isQueued(topic)) return yield* this.#restore(topic)
    const partitions = added.map(([index, assignment]) => {
      const partition = topicPartition(topic, index)
      context.updateAssignment(partition, assignment)
      return partition
    })
    this.#announce(topic, 'partitions')
    yield* this.#onNewPartitions(partitions)
  }

  *processDeletions(): Task<void> {
    const { context, store } = this.#core
    const { deletion, isDeletionEnabled } = this.#options
    const wanted = yield* store.topicDeletions()
    const unknown = wanted.filter((topic) => !context.allTopics.has(topic))
    if (unknown.length > 0) yield* store.deleteTopicDeletions(unknown)
    const topics = wanted.filter((topic) => context.allTopics.has(topic))
    if (!isDeletionEnabled) return yield* store.deleteTopicDeletions(topics)
    if (topics.length === 0) return
    const moving = new Set([...context.partitionsBeingReassigned.values()].map(({ topic }) => topic))
    // As in Kafka, this comes before they are queued: it marks only those that were already.
    deletion.markIneligible(topics.filter((topic) => moving.has(topic)))
    yield* deletion.enqueue(topics)
  }

  *processIsrChanges(): Task<void> {
    const { context, store } = this.#core
    const { names, partitions } = yield* store.isrChanges()
    try {
      if (partitions.length > 0) {
        for (const { partition, info } of yield* store.states(partitions)) {
          context.putLeadership(partition, info)
          announce(this.#core, partition, 'isr-change')
        }
        this.#options.sendMetadata(partitions)
        for (const partition of partitions) yield* this.#options.reassignments.maybeComplete(partition)
      }
    } finally {
      yield* store.deleteNotifications(Path.isrChanges, names)
    }
  }

  announceDeleted(topic: string): void {
    const { context, env } = this.#core
    const id = context.topicIds.get(topic)
    // Its znodes are gone already: an earlier controller has told it.
    if (id === undefined) return
    env.emit('controller.topic', {
      topic,
      id,
      change: 'deleted',
      partitions: 0,
      replicationFactor: 0,
    })
  }

  *#restore(topic: string): Task<void> {
    const { context, store } = this.#core
    const existing = new Set((yield* store.zk.getChildren(Path.partitions(topic))).map(Number))
    const kept = [...context.assignmentsOf(topic)].filter(([index]) => existing.has(index))
    yield* store.setTopicAssignment(topic, context.topicIds.get(topic), new Map(kept))
  }

  *#onNewPartitions(fresh: readonly TopicPartition[]): Task<void> {
    const { context } = this.#core
    const { partitions, replicas } = this.#options
    yield* partitions.handle(fresh, 'New')
    yield* replicas.handle(context.replicasOf(fresh), 'New')
    yield* partitions.handle(fresh, 'Online', { kind: 'offline', allowUnclean: false })
    yield* replicas.handle(context.replicasOf(fresh), 'Online')
  }

  #announce(topic: string, change: 'created' | 'partitions'): void {
    const { context, env } = this.#core
    const partitions = context.partitionsOf(topic)
    const [first] = partitions
    env.emit('controller.topic', {
      topic,
      id: context.topicIds.get(topic) ?? '',
      change,
      partitions: partitions.length,
      replicationFactor: first === undefined ? 0 : context.replicas(first).length,
    })
  }
}
