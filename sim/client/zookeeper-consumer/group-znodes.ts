/**
 * Where the old consumer keeps its group, and what it reads there (`ZKGroupTopicDirs`, `TopicCount`, and their part of `ZkUtils`).
 *
 *     /consumers/G/ids/C         {version 1, subscription: {topic: streams}, pattern: static, timestamp}   ephemeral: C is a member
 *     /consumers/G/owners/T/P    `C-0`, the thread that owns the partition                                 ephemeral
 *     /consumers/G/offsets/T/P   `42`, the offset of the next record                                       persistent
 */

import type { NodeName } from '../../kernel/names.js'
import type { Millis, NodeId, Offset } from '../../kernel/units.js'
import { KeeperFailure } from '../../zookeeper/kafka/kafka-zk-client.js'
import type { Task } from '../../zookeeper/kafka/task.js'
import { BrokerIdZnode, encodeText, Path, TopicZnode } from '../../zookeeper/kafka/znodes.js'
import { byText, threadId, type AssignmentContext, type ThreadId } from './partition-assignors.js'
import { ConsumerTrouble, parentOf, type ZkClient } from './zk-client.js'

/** Topic → how many streams a member has of it. */
export type TopicCount = ReadonlyMap<string, number>

export const GroupPath = {
  ids: (group: string): string => `/consumers/${group}/ids`,
  id: (group: string, consumer: string): string => `/consumers/${group}/ids/${consumer}`,
  owner: (group: string, topic: string, index: number): string => `/consumers/${group}/owners/${topic}/${index}`,
  offset: (group: string, topic: string, index: number): string => `/consumers/${group}/offsets/${topic}/${index}`,
} as const

export const ConsumerIdZnode = {
  encode: (topics: TopicCount, timestamp: Millis): string =>
    JSON.stringify({
      version: 1,
      subscription: Object.fromEntries(topics),
      pattern: 'static',
      timestamp: String(timestamp),
    }),
  /** @throws ConsumerTrouble when it is no registration */
  decode: (data: string): TopicCount => {
    try {
      const json = JSON.parse(data) as { subscription: Readonly<Record<string, number>> }
      return new Map(Object.entries(json.subscription).sort(([a], [b]) => byText(a, b)))
    } catch {
      throw new ConsumerTrouble(`no registration of a consumer: ${data}`)
    }
  },
} as const

export interface BrokerEndPoint {
  readonly id: NodeId
  readonly host: NodeName
}

/** Brokers that are registered, in the order of their ids' text. One that goes away meanwhile is left out. */
export function* brokersInCluster(zk: ZkClient): Task<BrokerEndPoint[]> {
  const brokers: BrokerEndPoint[] = []
  for (const id of yield* zk.getChildrenParentMayNotExist(Path.brokerIds)) {
    const data = yield* zk.readData(Path.brokerId(Number(id)))
    const broker = data === undefined ? undefined : BrokerIdZnode.decode(encodeText(data))
    if (broker !== undefined) brokers.push({ id: Number(id), host: broker.host })
  }
  return brokers
}

/** Whether all brokers that are registered can be read. @throws KeeperFailure when one went away meanwhile */
export function* readCluster(zk: ZkClient): Task<void> {
  for (const id of yield* zk.getChildrenParentMayNotExist(Path.brokerIds)) {
    yield* readDataOf(zk, Path.brokerId(Number(id)))
  }
}

/** What a member has subscribed to. @throws KeeperFailure NONODE when it is no member any more */
export function* topicCountOf(zk: ZkClient, group: string, consumer: string): Task<TopicCount> {
  return ConsumerIdZnode.decode(yield* readDataOf(zk, GroupPath.id(group, consumer)))
}

/** Reads everything that decides who gets what (`AssignmentContext`), one after the other. @throws KeeperFailure ConsumerTrouble */
export function* readAssignmentContext(zk: ZkClient, group: string, consumerId: string): Task<AssignmentContext> {
  const myTopics = [...(yield* topicCountOf(zk, group, consumerId)).keys()]
  const threadsOfTopic = new Map<string, ThreadId[]>()
  for (const consumer of yield* zk.getChildrenParentMayNotExist(GroupPath.ids(group))) {
    for (const [topic, streams] of yield* topicCountOf(zk, group, consumer)) {
      let threads = threadsOfTopic.get(topic)
      if (threads === undefined) threadsOfTopic.set(topic, (threads = []))
      for (let thread = 0; thread < streams; thread++) threads.push(threadId(consumer, thread))
    }
  }
  for (const threads of threadsOfTopic.values()) threads.sort((a, b) => byText(a.name, b.name))
  const partitionsOfTopic = new Map<string, readonly number[]>()
  for (const topic of threadsOfTopic.keys()) {
    const data = yield* zk.readData(Path.topic(topic))
    const partitions = data === undefined ? [] : [...TopicZnode.decode(encodeText(data)).assignment.keys()]
    partitionsOfTopic.set(topic, partitions)
  }
  // Asked for once more, and no member may have gone with the last one.
  yield* zk.getChildren(GroupPath.ids(group))
  return { consumerId, myTopics, threadsOfTopic, partitionsOfTopic }
}

/** True when the partition is this thread's; false when it is another's, or cannot be seen (`createEphemeralPathExpectConflict`). */
export function* claim(zk: ZkClient, path: string, thread: ThreadId): Task<boolean> {
  try {
    try {
      yield* zk.create(path, thread.name, 'EPHEMERAL')
    } catch (error) {
      if (!(error instanceof KeeperFailure) || error.code !== 'NONODE') throw error
      yield* zk.createPersistent(parentOf(path))
      yield* zk.create(path, thread.name, 'EPHEMERAL')
    }
    return true
  } catch (error) {
    if (!(error instanceof KeeperFailure) || error.code !== 'NODEEXISTS') throw error
    // Ours after all, when an answer was lost with its connection.
    return (yield* zk.readData(path)) === thread.name
  }
}

/** -1: none is stored. */
export function* readOffset(zk: ZkClient, group: string, topic: string, index: number): Task<Offset> {
  const data = yield* zk.readData(GroupPath.offset(group, topic, index))
  return data === undefined ? -1 : Number(data)
}

/** Whatever is there (`updatePersistentPath`). */
export function* writeOffset(zk: ZkClient, group: string, topic: string, index: number, offset: Offset): Task<void> {
  const path = GroupPath.offset(group, topic, index)
  const data = String(offset)
  try {
    yield* zk.writeData(path, data)
    return
  } catch (error) {
    if (!(error instanceof KeeperFailure) || error.code !== 'NONODE') throw error
  }
  yield* zk.createPersistent(parentOf(path))
  try {
    yield* zk.create(path, data, 'PERSISTENT')
  } catch (error) {
    if (!(error instanceof KeeperFailure) || error.code !== 'NODEEXISTS') throw error
    yield* zk.writeData(path, data)
  }
}

function* readDataOf(zk: ZkClient, path: string): Task<string> {
  const data = yield* zk.readData(path)
  if (data === undefined) throw new KeeperFailure('NONODE', path)
  return data
}
