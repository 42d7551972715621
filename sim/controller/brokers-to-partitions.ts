/**
 * Which partitions a broker is in the ISR or ELR of (Kafka's `BrokersToIsrs` and `BrokersToElrs`).
 *
 * An index over the registered partitions, so that fencing one broker costs what that broker holds. Partitions without a leader are
 * listed under NO_LEADER. Order: topics, then partitions, as they came in for that broker.
 */

import type { NodeId } from '../kernel/units.js'
import type { Uuid } from '../kraft/metadata/records.js'
import { NO_LEADER } from '../kraft/metadata/records.js'

export interface TopicIdPartition {
  readonly topicId: Uuid
  readonly partition: number
}

/** Partition index → whether the broker leads it. */
type Partitions = Map<number, boolean>

const NOBODY: readonly NodeId[] = []

export class BrokersToPartitions {
  readonly #brokers = new Map<NodeId, Map<Uuid, Partitions>>()

  /**
   * A partition's members changed. `before` is undefined for a new partition. Leaders are NO_LEADER where there is none; pass
   * `undefined` for them where leadership does not matter (an ELR).
   */
  update(
    topicId: Uuid,
    partition: number,
    before: readonly NodeId[] | undefined,
    after: readonly NodeId[],
    leaderBefore?: NodeId,
    leaderAfter?: NodeId,
  ): void {
    for (const broker of before ?? NOBODY) if (!after.includes(broker)) this.#remove(broker, topicId, partition)
    if (before !== undefined && leaderBefore === NO_LEADER && leaderAfter !== NO_LEADER) {
      this.#remove(NO_LEADER, topicId, partition)
    }
    for (const broker of after) this.#put(broker, topicId, partition, broker === leaderAfter)
    if (leaderAfter === NO_LEADER) this.#put(NO_LEADER, topicId, partition, false)
  }

  removeTopic(topicId: Uuid, broker: NodeId): void {
    const topics = this.#brokers.get(broker)
    if (topics === undefined) return
    topics.delete(topicId)
    if (topics.size === 0) this.#brokers.delete(broker)
  }

  /** Partitions with this broker as a member, as an array that later changes do not touch. */
  partitionsOf(broker: NodeId): TopicIdPartition[] {
    const result: TopicIdPartition[] = []
    const topics = this.#brokers.get(broker)
    if (topics === undefined) return result
    for (const [topicId, partitions] of topics) {
      for (const partition of partitions.keys()) result.push({ topicId, partition })
    }
    return result
  }

  /** Partitions without a leader. */
  leaderless(): TopicIdPartition[] {
    return this.partitionsOf(NO_LEADER)
  }

  hasLeaderships(broker: NodeId): boolean {
    const topics = this.#brokers.get(broker)
    if (topics === undefined) return false
    for (const partitions of topics.values()) {
      for (const leads of partitions.values()) if (leads) return true
    }
    return false
  }

  #put(broker: NodeId, topicId: Uuid, partition: number, leads: boolean): void {
    let topics = this.#brokers.get(broker)
    if (topics === undefined) this.#brokers.set(broker, (topics = new Map()))
    let partitions = topics.get(topicId)
    if (partitions === undefined) topics.set(topicId, (partitions = new Map()))
    partitions.set(partition, leads)
  }

  #remove(broker: NodeId, topicId: Uuid, partition: number): void {
    const topics = this.#brokers.get(broker)
    const partitions = topics?.get(topicId)
    if (topics === undefined || partitions === undefined) return
    partitions.delete(partition)
    if (partitions.size === 0) this.removeTopic(topicId, broker)
  }
}
