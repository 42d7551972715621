/**
 * Tells the trace what the active controller decided, once it is committed.
 *
 * What a record did is noted when it is applied, and emitted when the log is stable beyond it; what is never committed is never told. A
 * controller that has just been elected tells what its predecessor had appended and not yet committed (`failover`), so that nothing
 * goes untold; a change may be told twice that way, with the same epochs.
 */

import type { Env } from '../kernel/env.js'
import type { Events } from '../kernel/events.js'
import { partitionName } from '../kernel/names.js'
import type { NodeId, Offset } from '../kernel/units.js'
import type { PartitionImage } from '../kraft/metadata/image.js'
import { configKey } from '../kraft/metadata/image.js'
import type { MetadataRecord } from '../kraft/metadata/records.js'
import { RECOVERING } from '../kraft/metadata/records.js'
import type { Applied } from './controller-state.js'
import type { Topic, TopicState } from './topic-state.js'

type Told = 'controller.topic' | 'controller.partition' | 'controller.broker' | 'controller.config'

type Announcement = { [K in Told]: { readonly offset: Offset; readonly type: K; readonly data: Events[K] } }[Told]

export class Announcements {
  readonly #env: Env
  readonly #topics: TopicState
  #pending: Announcement[] = []

  constructor(env: Env, topics: TopicState) {
    this.#env = env
    this.#topics = topics
  }

  /** Notes what `records` did; they were applied in order, the first at `baseOffset`. */
  note(records: readonly MetadataRecord[], applied: readonly Applied[], baseOffset: Offset, reason: string): void {
    // Whose creation, or growth, is told of already. What is said of the topic is as it stands after all these records.
    const told = new Set<string>()
    for (let i = 0; i < records.length; i++) {
      const record = records[i] as MetadataRecord
      const offset = baseOffset + i
      if ((record.type === 'TopicRecord' || record.type === 'PartitionRecord') && !told.has(record.topicId)) {
        told.add(record.topicId)
        const change = record.type === 'TopicRecord' ? 'created' : 'partitions'
        this.#noteTopic(this.#topics.byId.get(record.topicId), change, offset)
      }
      this.#noteRecord(record, offset, reason)
      const what = applied[i]
      if (what !== undefined) this.#noteApplied(record, what, offset, reason)
    }
  }

  /** Emits what stands at or below `offset`. */
  emitUpTo(offset: Offset): void {
    let count = 0
    while (count < this.#pending.length && (this.#pending[count]?.offset ?? Infinity) <= offset) count++
    if (count === 0) return
    for (const { type, data } of this.#pending.splice(0, count)) this.#env.emit(type, data)
  }

  /** Forgets what was never committed. */
  clear(): void {
    this.#pending = []
  }

  #add<K extends Told>(offset: Offset, type: K, data: Events[K]): void {
    this.#pending.push({ offset, type, data } as Announcement)
  }

  #noteRecord(record: MetadataRecord, offset: Offset, reason: string): void {
    switch (record.type) {
      case 'RegisterBrokerRecord':
        return this.#noteBroker(offset, record.brokerId, record.brokerEpoch, 'registered', reason)
      case 'UnregisterBrokerRecord':
        return this.#noteBroker(offset, record.brokerId, record.brokerEpoch, 'unregistered', reason)
      case 'FenceBrokerRecord':
        return this.#noteBroker(offset, record.id, record.epoch, 'fenced', reason)
      case 'UnfenceBrokerRecord':
        return this.#noteBroker(offset, record.id, record.epoch, 'unfenced', reason)
      case 'ConfigRecord': {
        const { resourceType, resourceName, name, value } = record
        return this.#add(offset, 'controller.config', { resource: configKey(resourceType, resourceName), name, value })
      }
      default:
        return
    }
  }

  #noteApplied(record: MetadataRecord, what: NonNullable<Applied>, offset: Offset, reason: string): void {
    switch (what.kind) {
      case 'partition': {
        const recovering = record.type === 'PartitionChangeRecord' && record.leaderRecoveryState === RECOVERING
        const unclean = what.before !== undefined && isUnclean(what.before, what.after, recovering)
        return this.#notePartition(offset, what.topic, what.index, what.after, unclean, reason)
      }
      case 'broker': {
        // Fencing a fenced broker is a record in the log, and nothing that happened.
        const { before, after } = what
        const { id, epoch } = after
        if (after.fenced !== before.fenced) {
          this.#noteBroker(offset, id, epoch, after.fenced ? 'fenced' : 'unfenced', reason)
        }
        if (after.inControlledShutdown !== before.inControlledShutdown) {
          this.#noteBroker(offset, id, epoch, 'shutting-down', reason)
        }
        return
      }
      case 'topic-deleted':
        return this.#noteTopic(what.topic, 'deleted', offset)
      case 'elr-cleared':
        for (const { topic, index, after } of what.partitions) {
          this.#notePartition(offset, topic, index, after, false, 'elr-cleared')
        }
    }
  }

  #notePartition(
    offset: Offset,
    topic: Topic,
    index: number,
    partition: PartitionImage,
    unclean: boolean,
    reason: string,
  ): void {
    this.#add(offset, 'controller.partition', {
      partition: partitionName(topic.name, index),
      leader: partition.leader,
      leaderEpoch: partition.leaderEpoch,
      partitionEpoch: partition.partitionEpoch,
      isr: partition.isr,
      elr: partition.elr,
      replicas: partition.replicas,
      adding: partition.addingReplicas,
      removing: partition.removingReplicas,
      unclean,
      reason,
    })
  }

  #noteTopic(topic: Topic | undefined, change: Events['controller.topic']['change'], offset: Offset): void {
    // A topic that is gone again by now was told of as deleted.
    if (topic === undefined) return
    this.#add(offset, 'controller.topic', {
      topic: topic.name,
      id: topic.id,
      change,
      partitions: topic.partitions.size,
      replicationFactor: topic.partitions.get(0)?.replicas.length ?? 0,
    })
  }

  #noteBroker(
    offset: Offset,
    broker: NodeId,
    brokerEpoch: number,
    change: Events['controller.broker']['change'],
    reason: string,
  ): void {
    this.#add(offset, 'controller.broker', { broker, brokerEpoch, change, reason })
  }
}

/** The leader came from outside ISR and ELR. */
function isUnclean(before: PartitionImage, after: PartitionImage, recovering: boolean): boolean {
  if (after.leader < 0 || after.leader === before.leader) return false
  if (recovering) return true
  // The change that completes a reassignment may bring its leader into the ISR as well.
  const { leader } = after
  if (before.addingReplicas.includes(leader) && !after.addingReplicas.includes(leader)) return false
  return !before.isr.includes(leader) && !before.elr.includes(leader)
}
