/**
 * Who gets which partition, as every old consumer works it out for itself (`RangeAssignor` and `RoundRobinAssignor` of kafka.consumer).
 *
 * Partitions go to threads (streams) of consumers, named `group_host-…-0`. Members in the same place come to the same result; those who
 * read ZooKeeper at different moments may not, and meet at the owners' znodes. Threads are ordered by their names as text: the tenth
 * comes before the second.
 */

import { partitionName } from '../../kernel/names.js'
import { javaHash } from '../group/java-hash-order.js'
import { ConsumerTrouble } from './zk-client.js'

export interface ThreadId {
  readonly consumer: string
  readonly thread: number
  /** `consumer-thread`; what stands in the owner's znode. */
  readonly name: string
}

export function threadId(consumer: string, thread: number): ThreadId {
  return { consumer, thread, name: `${consumer}-${thread}` }
}

/** What a consumer has read of its group. */
export interface AssignmentContext {
  readonly consumerId: string
  /** Topics of this consumer. */
  readonly myTopics: readonly string[]
  /** Topic → the threads that want it, in order; of all members. */
  readonly threadsOfTopic: ReadonlyMap<string, readonly ThreadId[]>
  /** Topic → its partitions, in order; none for a topic that is not there. */
  readonly partitionsOfTopic: ReadonlyMap<string, readonly number[]>
}

export interface OwnedPartition {
  readonly topic: string
  readonly index: number
  /** `orders-0`. */
  readonly name: string
  readonly thread: ThreadId
}

export const PARTITION_ASSIGNORS = { range: assignRanges, roundrobin: assignRoundRobin } as const

export type PartitionAssignorName = keyof typeof PARTITION_ASSIGNORS

/** Topic by topic: neighbouring partitions to threads in order, one more each to the first ones where it does not divide. */
export function assignRanges({ myTopics, threadsOfTopic, partitionsOfTopic }: AssignmentContext): OwnedPartition[] {
  const owned: OwnedPartition[] = []
  for (const topic of myTopics) {
    const threads = threadsOfTopic.get(topic)
    const partitions = partitionsOfTopic.get(topic)
    if (threads === undefined || partitions === undefined) throw new ConsumerTrouble(`nobody consumes ${topic}`)
    const each = Math.floor(partitions.length / threads.length)
    const withOneMore = partitions.length % threads.length
    threads.forEach((thread, position) => {
      const start = each * position + Math.min(position, withOneMore)
      const count = each + (position + 1 > withOneMore ? 0 : 1)
      for (const index of partitions.slice(start, start + count)) owned.push(ownedPartition(topic, index, thread))
    })
  }
  return owned
}

/** All partitions in the order of their names' hashes, each to the next thread in turn that wants its topic. */
export function assignRoundRobin({ threadsOfTopic, partitionsOfTopic }: AssignmentContext): OwnedPartition[] {
  const threads = new Map<string, ThreadId>()
  for (const ofTopic of threadsOfTopic.values()) for (const thread of ofTopic) threads.set(thread.name, thread)
  const circle = [...threads.values()].sort((a, b) => byText(a.name, b.name))
  const wanting = new Map([...threadsOfTopic].map(([topic, ofTopic]) => [topic, new Set(ofTopic.map(nameOf))]))
  const partitions = [...partitionsOfTopic].flatMap(([topic, indexes]) =>
    indexes.map((index) => ({ topic, index, hash: javaHash(partitionName(topic, index)) })),
  )
  partitions.sort((a, b) => a.hash - b.hash || byText(a.topic, b.topic) || a.index - b.index)
  let turn = 0
  return partitions.map(({ topic, index }) => {
    let thread = circle[turn++ % circle.length] as ThreadId
    while (wanting.get(topic)?.has(thread.name) !== true) thread = circle[turn++ % circle.length] as ThreadId
    return ownedPartition(topic, index, thread)
  })
}

function ownedPartition(topic: string, index: number, thread: ThreadId): OwnedPartition {
  return { topic, index, name: partitionName(topic, index), thread }
}

function nameOf({ name }: ThreadId): string {
  return name
}

/** As Java compares strings. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
