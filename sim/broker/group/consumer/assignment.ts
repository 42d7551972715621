/** Partitions by topic id, as the coordinator of a KIP-848 group keeps them. Immutable; a topic without partitions is not in it. */

import { inIntOrder, inUuidOrder } from './java-order.js'

export type Assignment = ReadonlyMap<string, ReadonlySet<number>>

/** As requests, answers and records have them. */
export interface TopicPartitions {
  readonly topicId: string
  readonly partitions: readonly number[]
}

export const NO_PARTITIONS: Assignment = new Map()

export function isSameAssignment(a: Assignment, b: Assignment): boolean {
  if (a === b) return true
  if (a.size !== b.size) return false
  for (const [topicId, partitions] of a) {
    const others = b.get(topicId)
    if (others === undefined || others.size !== partitions.size) return false
    for (const partition of partitions) if (!others.has(partition)) return false
  }
  return true
}

export function hasPartition(assignment: Assignment, topicId: string, partition: number): boolean {
  return assignment.get(topicId)?.has(partition) === true
}

/** Whether `assignment` has all of `partitions`. */
export function contains(assignment: Assignment, partitions: readonly TopicPartitions[]): boolean {
  return partitions.every(({ topicId, partitions: indexes }) => {
    const known = assignment.get(topicId)
    return known !== undefined && indexes.every((index) => known.has(index))
  })
}

/** Whether `assignment` has any of `partitions`. */
export function intersects(assignment: Assignment, partitions: readonly TopicPartitions[]): boolean {
  return partitions.some(({ topicId, partitions: indexes }) =>
    indexes.some((index) => hasPartition(assignment, topicId, index)),
  )
}

export function sizeOf(assignment: Assignment): number {
  let size = 0
  for (const partitions of assignment.values()) size += partitions.size
  return size
}

/** In the order in which Java's maps and sets hand them out. */
export function toTopicPartitions(assignment: Assignment): TopicPartitions[] {
  return inUuidOrder(assignment.keys()).map((topicId) => ({
    topicId,
    partitions: inIntOrder(assignment.get(topicId) ?? []),
  }))
}

export function fromTopicPartitions(topics: readonly TopicPartitions[]): Assignment {
  return new Map(topics.map(({ topicId, partitions }) => [topicId, new Set(partitions)]))
}
