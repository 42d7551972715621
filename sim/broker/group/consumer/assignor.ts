/** What a server-side assignor is told and what it answers (`ConsumerGroupPartitionAssignor`, `GroupSpec`). */

import type { Assignment } from './assignment.js'

export interface MemberSpec {
  readonly memberId: string
  readonly instanceId: string | null
  /** Ids of subscribed topics that exist, without repetition. */
  readonly topics: readonly string[]
  /** How many topic names it subscribes to; those that do not exist count. */
  readonly topicNames: number
  /** What it was to have so far. */
  readonly assignment: Assignment
}

export interface GroupSpec {
  /** In the order in which Kafka's map of them hands them out. */
  readonly members: readonly MemberSpec[]
  /** All members subscribe to the same topics. */
  readonly isHomogeneous: boolean
  /** Whether the partition was anybody's so far. */
  isAssigned(topicId: string, partition: number): boolean
  /** -1 for a topic that does not exist. */
  partitionCount(topicId: string): number
}

/** Member → what it is to have. Members without an entry get nothing. A sentence when it cannot be done. */
export type Assigned = ReadonlyMap<string, Assignment> | { readonly problem: string }

export type MutableAssignment = Map<string, Set<number>>

export interface PartitionAssignor {
  readonly name: string
  assign(spec: GroupSpec): Assigned
}

export function copyOf(assignment: Assignment): MutableAssignment {
  return new Map([...assignment].map(([topicId, partitions]) => [topicId, new Set(partitions)]))
}

/** Adds a partition; the topic comes with its first. */
export function addTo(assignment: MutableAssignment, topicId: string, partition: number): void {
  const partitions = assignment.get(topicId)
  if (partitions === undefined) assignment.set(topicId, new Set([partition]))
  else partitions.add(partition)
}

/** Takes a partition away; the topic goes with its last. */
export function removeFrom(assignment: MutableAssignment, topicId: string, partition: number): void {
  const partitions = assignment.get(topicId)
  if (partitions === undefined) return
  partitions.delete(partition)
  if (partitions.size === 0) assignment.delete(topicId)
}

export function unknownTopic(topicId: string): { readonly problem: string } {
  return { problem: `members subscribe to topic ${topicId}, which does not exist` }
}
