/** Who gets what among old consumers: cases of Kafka's documentation and tests (PartitionAssignor, ZookeeperConsumerConnectorTest), and Java's orders. */
import { describe, expect, it } from 'vitest'
import {
  assignRanges,
  assignRoundRobin,
  byText,
  threadId,
  type AssignmentContext,
  type OwnedPartition,
} from '../../../sim/client/zookeeper-consumer/partition-assignors.js'

type Streams = Readonly<Record<string, Readonly<Record<string, number>>>>

/** Consumer → topic → streams, and topic → partitions, as `consumerId` sees them. */
function context(streams: Streams, partitions: Readonly<Record<string, number>>, consumerId = 'C1'): AssignmentContext {
  const threadsOfTopic = new Map(
    Object.keys(partitions).map((topic) => [
      topic,
      Object.entries(streams)
        .flatMap(([consumer, topics]) =>
          Array.from({ length: topics[topic] ?? 0 }, (_, thread) => threadId(consumer, thread)),
        )
        .sort((a, b) => byText(a.name, b.name)),
    ]),
  )
  return {
    consumerId,
    myTopics: Object.keys(streams[consumerId] ?? {}),
    threadsOfTopic,
    partitionsOfTopic: new Map(
      Object.entries(partitions).map(([topic, count]) => [topic, Array.from({ length: count }, (_, index) => index)]),
    ),
  }
}

function text(owned: readonly OwnedPartition[]): string[] {
  return owned.map(({ name, thread }) => `${name} → ${thread.name}`)
}

describe('the range assignor of old consumers', () => {
  it('gives neighbouring partitions to threads, one more to the first ones', () => {
    const two = context({ C1: { t: 2 }, C2: { t: 1 } }, { t: 5 })
    expect(text(assignRanges(two))).toEqual(['t-0 → C1-0', 't-1 → C1-0', 't-2 → C1-1', 't-3 → C1-1', 't-4 → C2-0'])
  })

  it('gives each of two consumers one of two partitions, and a third one nothing', () => {
    const members = { group1_consumer1: { t: 1 }, group1_consumer2: { t: 1 } }
    const expected = ['t-0 → group1_consumer1-0', 't-1 → group1_consumer2-0']
    expect(text(assignRanges(context(members, { t: 2 }, 'group1_consumer1')))).toEqual(expected)
    const three = { ...members, group1_consumer3: { t: 1 } }
    expect(text(assignRanges(context(three, { t: 2 }, 'group1_consumer3')))).toEqual(expected)
  })

  it('goes topic by topic: who is first is first everywhere', () => {
    const owned = assignRanges(context({ C1: { t: 1, u: 1 }, C2: { t: 1, u: 1 } }, { t: 3, u: 3 }))
    expect(owned.filter(({ thread }) => thread.consumer === 'C1').map(({ name }) => name)).toEqual([
      't-0',
      't-1',
      'u-0',
      'u-1',
    ])
  })

  it('looks at topics of its own consumer only', () => {
    expect(text(assignRanges(context({ C1: { t: 1 }, C2: { u: 1 } }, { t: 1, u: 1 })))).toEqual(['t-0 → C1-0'])
  })

  it('has threads in the order of their names: the eleventh before the third', () => {
    const owned = assignRanges(context({ C1: { t: 12 } }, { t: 12 }))
    expect(owned.map(({ thread }) => thread.thread)).toEqual([0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it('has nothing to give of a topic that is not there', () => {
    const gone: AssignmentContext = { ...context({ C1: { t: 1 } }, { t: 0 }) }
    expect(assignRanges(gone)).toEqual([])
  })
})

describe('the round-robin assignor of old consumers', () => {
  it('goes by the hashes of partitions: a-10 comes after b-0', () => {
    const owned = assignRoundRobin(context({ C1: { a: 1, b: 1 } }, { b: 1, a: 11 }))
    const singles = Array.from({ length: 10 }, (_, index) => `a-${index}`)
    expect(owned.map(({ name }) => name)).toEqual([...singles, 'b-0', 'a-10'])
  })

  it('gives everybody as much, but for one', () => {
    const streams = Object.fromEntries(['C1', 'C2', 'C3'].map((consumer) => [consumer, { t: 2, u: 2 }]))
    const counts = new Map<string, number>()
    for (const { thread } of assignRoundRobin(context(streams, { t: 7, u: 6 }))) {
      counts.set(thread.name, (counts.get(thread.name) ?? 0) + 1)
    }
    expect([...counts.values()].sort()).toEqual([2, 2, 2, 2, 2, 3])
  })

  it('passes over threads that do not want the topic, without losing the turn of those behind', () => {
    const owned = assignRoundRobin(context({ C1: { t: 1 }, C2: { u: 1 }, C3: { t: 1 } }, { t: 4, u: 1 }))
    expect(text(owned)).toEqual(['t-0 → C1-0', 't-1 → C3-0', 't-2 → C1-0', 't-3 → C3-0', 'u-0 → C2-0'])
  })
})
