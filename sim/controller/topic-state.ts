/**
 * Topics and partitions as the controller holds them, with its indexes (the state of Kafka's `ReplicationControlManager`).
 *
 * Changes come by replaying records only. The indexes are functions of the partitions: who is in which ISR and ELR, which
 * partitions have no leader, which are being reassigned, which are not led by their preferred replica.
 */

import { assert } from '../kernel/errors.js'
import { partitionName } from '../kernel/names.js'
import type { NodeId } from '../kernel/units.js'
import type { MetadataImage, PartitionImage } from '../kraft/metadata/image.js'
import {
  clearElr,
  isReassigning,
  mergePartition,
  partitionFromRecord,
  preferredReplica,
} from '../kraft/metadata/image.js'
import type {
  ClearElrRecord,
  PartitionChangeRecord,
  PartitionRecord,
  RemoveTopicRecord,
  TopicRecord,
  Uuid,
} from '../kraft/metadata/records.js'
import { NO_LEADER } from '../kraft/metadata/records.js'
import type { TopicIdPartition } from './brokers-to-partitions.js'
import { BrokersToPartitions } from './brokers-to-partitions.js'
import { collisionKey } from './topic-names.js'

export interface Topic {
  readonly name: string
  readonly id: Uuid
  readonly partitions: ReadonlyMap<number, PartitionImage>
}

interface MutableTopic extends Topic {
  readonly partitions: Map<number, PartitionImage>
}

export class TopicState {
  readonly #byId = new Map<Uuid, MutableTopic>()
  readonly #byName = new Map<string, MutableTopic>()
  /** Names by what `.` and `_` make them collide in. */
  readonly #collisions = new Map<string, Set<string>>()
  #isrs = new BrokersToPartitions()
  #elrs = new BrokersToPartitions()
  readonly #reassigning = new Map<Uuid, Set<number>>()
  /** Partitions not led by their preferred replica, by name. */
  readonly #imbalanced = new Map<string, TopicIdPartition>()

  get byId(): ReadonlyMap<Uuid, Topic> {
    return this.#byId
  }

  get byName(): ReadonlyMap<string, Topic> {
    return this.#byName
  }

  /** Who is in which ISR, and which partitions have no leader. */
  get isrs(): BrokersToPartitions {
    return this.#isrs
  }

  get elrs(): BrokersToPartitions {
    return this.#elrs
  }

  get imbalanced(): readonly TopicIdPartition[] {
    return [...this.#imbalanced.values()]
  }

  /** Indexes of the topic's partitions that are being reassigned. */
  reassigning(topic: Uuid): readonly number[] {
    return [...(this.#reassigning.get(topic) ?? [])]
  }

  partition(topic: Uuid, index: number): PartitionImage | undefined {
    return this.#byId.get(topic)?.partitions.get(index)
  }

  /** A topic that the name would collide with; undefined when there is none. */
  collidingTopic(name: string): string | undefined {
    const key = collisionKey(name)
    const names = key === undefined ? undefined : this.#collisions.get(key)
    return names?.values().next().value
  }

  // ── replay ────────────────────────────────────────────────────────────────────────────────────────────────────────

  replayTopic(record: TopicRecord): void {
    assert(!this.#byName.has(record.name), 'topics: created twice', { record })
    const topic: MutableTopic = { name: record.name, id: record.topicId, partitions: new Map() }
    this.#byId.set(topic.id, topic)
    this.#byName.set(topic.name, topic)
    const key = collisionKey(topic.name)
    if (key === undefined) return
    let names = this.#collisions.get(key)
    if (names === undefined) this.#collisions.set(key, (names = new Set()))
    names.add(topic.name)
  }

  replayPartition(record: PartitionRecord): void {
    this.#put(this.#topic(record.topicId), record.partitionId, partitionFromRecord(record))
  }

  /** Returns the partition before and after. */
  replayChange(record: PartitionChangeRecord): { readonly before: PartitionImage; readonly after: PartitionImage } {
    const topic = this.#topic(record.topicId)
    const before = topic.partitions.get(record.partitionId)
    assert(before, 'topics: change of an unknown partition', { record })
    const after = mergePartition(before, record)
    this.#put(topic, record.partitionId, after)
    return { before, after }
  }

  /** Returns the topic that is gone. */
  replayRemoveTopic(record: RemoveTopicRecord): Topic {
    const topic = this.#topic(record.topicId)
    this.#byId.delete(topic.id)
    this.#byName.delete(topic.name)
    const key = collisionKey(topic.name)
    const names = key === undefined ? undefined : this.#collisions.get(key)
    if (key !== undefined && names !== undefined) {
      names.delete(topic.name)
      if (names.size === 0) this.#collisions.delete(key)
    }
    this.#reassigning.delete(topic.id)
    for (const [index, partition] of topic.partitions) {
      for (const broker of partition.isr) this.#isrs.removeTopic(topic.id, broker)
      for (const broker of partition.elr) this.#elrs.removeTopic(topic.id, broker)
      this.#imbalanced.delete(partitionName(topic.name, index))
    }
    this.#isrs.removeTopic(topic.id, NO_LEADER)
    return topic
  }

  /** Returns the partitions whose ELR was emptied. */
  replayClearElr(record: ClearElrRecord): readonly TopicIdPartition[] {
    const cleared: TopicIdPartition[] = []
    const topics = record.topicName === '' ? [...this.#byId.values()] : [this.#byName.get(record.topicName)]
    for (const topic of topics) {
      assert(topic, 'topics: ELR of an unknown topic', { record })
      for (const [index, partition] of topic.partitions) {
        const after = clearElr(partition)
        if (after === partition) continue
        this.#put(topic, index, after)
        cleared.push({ topicId: topic.id, partition: index })
      }
    }
    return cleared
  }

  /** Everything as in `image`. */
  reset(image: MetadataImage): void {
    this.#byId.clear()
    this.#byName.clear()
    this.#collisions.clear()
    this.#isrs = new BrokersToPartitions()
    this.#elrs = new BrokersToPartitions()
    this.#reassigning.clear()
    this.#imbalanced.clear()
    for (const { name, id, partitions } of image.topicsById.values()) {
      this.replayTopic({ type: 'TopicRecord', version: 0, name, topicId: id })
      const topic = this.#topic(id)
      for (const [index, partition] of partitions) this.#put(topic, index, partition)
    }
  }

  #topic(id: Uuid): MutableTopic {
    const topic = this.#byId.get(id)
    assert(topic, 'topics: no such topic', { id })
    return topic
  }

  #put(topic: MutableTopic, index: number, after: PartitionImage): void {
    const before = topic.partitions.get(index)
    topic.partitions.set(index, after)
    this.#isrs.update(topic.id, index, before?.isr, after.isr, before?.leader ?? NO_LEADER, after.leader)
    if (after.elr.length > 0 || (before !== undefined && before.elr.length > 0)) {
      this.#elrs.update(topic.id, index, before?.elr, after.elr)
    }
    this.#updateReassigning(topic.id, index, isReassigning(after))
    const name = partitionName(topic.name, index)
    if (after.leader === preferredReplica(after)) this.#imbalanced.delete(name)
    else this.#imbalanced.set(name, { topicId: topic.id, partition: index })
  }

  #updateReassigning(topic: Uuid, index: number, reassigning: boolean): void {
    let indexes = this.#reassigning.get(topic)
    if (reassigning) {
      if (indexes === undefined) this.#reassigning.set(topic, (indexes = new Set()))
      indexes.add(index)
    } else if (indexes?.delete(index) && indexes.size === 0) this.#reassigning.delete(topic)
  }
}

/** min(min.insync.replicas, replication factor of the topic's first partition), as Kafka takes it for elections and the ELR. */
export function effectiveMinIsr(topic: Topic, minIsr: number): number {
  const first: { readonly replicas: readonly NodeId[] } | undefined = topic.partitions.get(0)
  assert(first, 'topics: no partition 0', { topic: topic.name })
  return Math.min(minIsr, first.replicas.length)
}
