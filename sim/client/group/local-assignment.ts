/** Partitions by topic id, as coordinator and member of a KIP-848 group speak of them (AbstractMembershipManager.LocalAssignment). */

import { partitionName } from '../../kernel/names.js'
import type { Apis } from '../../wire/apis.js'
import { byCodeUnit } from './assignor.js'

type TopicPartitions = NonNullable<Apis['ConsumerGroupHeartbeat']['request']['topicPartitions']>

const NONE_EPOCH = -1

export class LocalAssignment {
  static readonly NONE = new LocalAssignment(NONE_EPOCH, new Map())
  /** Grows with every change of what the coordinator wants. */
  readonly epoch: number
  /** Topic id → indexes, in order. */
  readonly topics: ReadonlyMap<string, readonly number[]>
  readonly #text: string

  constructor(epoch: number, topics: ReadonlyMap<string, readonly number[]>) {
    this.epoch = epoch
    const sorted = [...topics].sort(([a], [b]) => byCodeUnit(a, b))
    this.topics = new Map(sorted.map(([id, indexes]) => [id, [...indexes].sort((a, b) => a - b)]))
    this.#text = [...this.topics].map(([id, indexes]) => `${id}:${indexes.join(',')}`).join(' ')
  }

  get isNone(): boolean {
    return this.epoch === NONE_EPOCH
  }

  hasSamePartitions(other: LocalAssignment): boolean {
    return this.#text === other.#text
  }

  equals(other: LocalAssignment): boolean {
    return this.epoch === other.epoch && this.hasSamePartitions(other)
  }

  /** What the coordinator wants now; the same object when that is no change. */
  updatedWith(topics: ReadonlyMap<string, readonly number[]>): LocalAssignment {
    const next = new LocalAssignment(this.epoch + 1, topics)
    return !this.isNone && next.hasSamePartitions(this) ? this : next
  }

  toTopicPartitions(): TopicPartitions {
    return [...this.topics].map(([topicId, partitions]) => ({ topicId, partitions }))
  }

  /** Names of the partitions whose topic has a known name. */
  names(nameOfTopic: (id: string) => string | undefined): string[] {
    const names: string[] = []
    for (const [id, indexes] of this.topics) {
      const topic = nameOfTopic(id)
      if (topic !== undefined) for (const index of indexes) names.push(partitionName(topic, index))
    }
    return names
  }
}
