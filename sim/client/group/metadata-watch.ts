/**
 * Whether the topics of a group changed since its leader assigned them (ConsumerCoordinator.MetadataSnapshot): another number of partitions, a
 * topic that came or went, and for members in a rack, replicas in other racks.
 */

import type { MetadataSnapshot, PartitionMetadata } from '../metadata-snapshot.js'
import { byCodeUnit, type AssignablePartition, type PartitionsPerTopic } from './assignor.js'

/** Topic → its partitions, as far as an assignment depends on them. Equal when the texts are. */
export class WatchedTopics {
  readonly version: number
  readonly #topics: string

  constructor(snapshot: MetadataSnapshot, version: number, topics: Iterable<string>, rack: string) {
    this.version = version
    const watched: string[] = []
    for (const topic of [...topics].sort(byCodeUnit)) {
      const partitions = snapshot.partitionsOf(topic)
      if (partitions.length === 0) continue
      const racks = partitions.map((partition) => (rack === '' ? '' : racksOf(snapshot, partition).join(',')))
      watched.push(JSON.stringify([topic, racks]))
    }
    this.#topics = watched.join(' ')
  }

  matches(other: WatchedTopics): boolean {
    return this.version === other.version || this.#topics === other.#topics
  }
}

/** The topics of a group as its assignor gets them; those without partitions are left out. */
export function assignablePartitions(snapshot: MetadataSnapshot, topics: Iterable<string>): PartitionsPerTopic {
  const assignable = new Map<string, readonly AssignablePartition[]>()
  for (const topic of topics) {
    const partitions = snapshot.partitionsOf(topic)
    if (partitions.length === 0) continue
    assignable.set(
      topic,
      partitions.map((partition) => ({ topic, index: partition.index, racks: racksOf(snapshot, partition) })),
    )
  }
  return assignable
}

function racksOf(snapshot: MetadataSnapshot, { replicas }: PartitionMetadata): string[] {
  const racks = new Set<string>()
  for (const id of replicas) {
    const rack = snapshot.nodes.get(id)?.rack ?? null
    if (rack !== null) racks.add(rack)
  }
  return [...racks].sort(byCodeUnit)
}
