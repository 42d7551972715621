/** The cases of Kafka's RangeAssignorTest and RoundRobinAssignorTest, and the names of assignors. */

import { describe, expect, it } from 'vitest'
import { assignorName } from '../../../sim/client/group/assignors.js'
import { inJavaHashOrder, javaHash, JavaHashSet, javaPartitionHash } from '../../../sim/client/group/java-hash-order.js'
import { RangeAssignor } from '../../../sim/client/group/range-assignor.js'
import { RoundRobinAssignor } from '../../../sim/client/group/round-robin-assignor.js'
import { ALL_RACKS, assign, assignByRack, topics, type Member } from './assignor-lab.js'

type Case = readonly [string, Record<string, number>, Record<string, Member>, Record<string, string>]

const RACK_CONFIGS: readonly (readonly [string, readonly (string | null)[], boolean])[] = [
  ['no brokers in racks', [null, null, null], true],
  ['no consumers in racks', ['a', 'b', 'c'], false],
  ['all in racks', ['a', 'b', 'c'], true],
]

function inRacks(members: Record<string, Member>, hasRacks: boolean): Record<string, Member> {
  return Object.fromEntries(
    Object.entries(members).map(([id, member], i) => [
      id,
      hasRacks ? { ...member, rack: 'abc'[i % 3] as string } : member,
    ]),
  )
}

const both = { topics: 'topic1 topic2' }
const first = { topics: 'topic1' }

describe.each(RACK_CONFIGS)('range, %s', (_, racks, hasRacks) => {
  const cases: readonly Case[] = [
    ['gives nothing to who wants nothing', {}, { consumer1: { topics: '' } }, { consumer1: '' }],
    ['leaves topics that do not exist', {}, { consumer1: first }, { consumer1: '' }],
    [
      'gives one consumer all of one topic',
      { topic1: 3 },
      { consumer1: first },
      { consumer1: 'topic1-0 topic1-1 topic1-2' },
    ],
    [
      'gives only what is subscribed',
      { topic1: 3, other: 3 },
      { consumer1: first },
      { consumer1: 'topic1-0 topic1-1 topic1-2' },
    ],
    [
      'gives several topics',
      { topic1: 1, topic2: 2 },
      { consumer1: both },
      { consumer1: 'topic1-0 topic2-0 topic2-1' },
    ],
    [
      'leaves the second without a partition',
      { topic1: 1 },
      { consumer1: first, consumer2: first },
      { consumer1: 'topic1-0', consumer2: '' },
    ],
    [
      'gives one each',
      { topic1: 2 },
      { consumer1: first, consumer2: first },
      { consumer1: 'topic1-0', consumer2: 'topic1-1' },
    ],
    [
      'does mixed topics one by one',
      { topic1: 3, topic2: 2 },
      { consumer1: first, consumer2: both, consumer3: first },
      { consumer1: 'topic1-0', consumer2: 'topic1-1 topic2-0 topic2-1', consumer3: 'topic1-2' },
    ],
    [
      'gives the first one more of each topic',
      { topic1: 3, topic2: 3 },
      { consumer1: both, consumer2: both },
      { consumer1: 'topic1-0 topic1-1 topic2-0 topic2-1', consumer2: 'topic1-2 topic2-2' },
    ],
    [
      'orders static members by their instances',
      { topic1: 3, topic2: 3 },
      { 'consumer-b': { ...both, instance: 'instance1' }, 'consumer-a': { ...both, instance: 'instance2' } },
      { 'consumer-b': 'topic1-0 topic1-1 topic2-0 topic2-1', 'consumer-a': 'topic1-2 topic2-2' },
    ],
    [
      'puts static members first',
      { topic1: 3, topic2: 3 },
      { 'consumer-b': { ...both, instance: 'instance1' }, 'consumer-a': both },
      { 'consumer-b': 'topic1-0 topic1-1 topic2-0 topic2-1', 'consumer-a': 'topic1-2 topic2-2' },
    ],
    [
      'gives static members the same, whoever is the last',
      { topic1: 5, topic2: 4 },
      {
        consumer1: { ...both, instance: 'instance1' },
        consumer2: { ...both, instance: 'instance2' },
        consumer3: { ...both, instance: 'instance3' },
        consumer5: both,
      },
      {
        consumer1: 'topic1-0 topic1-1 topic2-0',
        consumer2: 'topic1-2 topic2-1',
        consumer3: 'topic1-3 topic2-2',
        consumer5: 'topic1-4 topic2-3',
      },
    ],
    [
      'gives static members the same when their member ids change',
      { topic1: 5, topic2: 5 },
      {
        consumer5: { ...both, instance: 'instance2' },
        consumer4: { ...both, instance: 'instance3' },
        consumer1: { ...both, instance: 'instance1' },
      },
      {
        consumer1: 'topic1-0 topic1-1 topic2-0 topic2-1',
        consumer5: 'topic1-2 topic1-3 topic2-2 topic2-3',
        consumer4: 'topic1-4 topic2-4',
      },
    ],
  ]
  it.each(cases)('%s', (_name, counts, members, expected) => {
    // In all racks every partition has a replica: racks do not matter then.
    expect(assign(new RangeAssignor(), topics(counts, 3, racks), inRacks(members, hasRacks))).toEqual(expected)
  })
})

describe('range, where racks matter', () => {
  const racks = (count: number): string[] => ALL_RACKS.slice(0, count)
  const nulls = [null, null, null]

  function expectNotByRack(
    counts: Record<string, number>,
    wanted: readonly string[],
    expected: readonly string[],
  ): void {
    const by = (factor: number, brokers: (string | null)[], consumers: (string | null)[]): string[] =>
      assignByRack(new RangeAssignor(), counts, factor, brokers, consumers, wanted).assignment
    expect(by(3, nulls, racks(3))).toEqual(expected)
    expect(by(3, racks(3), nulls)).toEqual(expected)
    expect(by(3, racks(3), racks(3))).toEqual(expected)
    expect(by(4, racks(4), racks(3))).toEqual(expected)
    expect(by(3, racks(3), ['d', 'e', 'f'])).toEqual(expected)
    expect(by(3, racks(3), [null, 'e', 'f'])).toEqual(expected)
  }

  const all = 't1 t2 t3'

  it.each([
    [
      'uniform subscription',
      { t1: 6, t2: 7, t3: 2 },
      [all, all, all],
      ['t1-0, t1-1, t2-0, t2-1, t2-2, t3-0', 't1-2, t1-3, t2-3, t2-4, t3-1', 't1-4, t1-5, t2-5, t2-6'],
      [
        [1, 3, ['t1-0, t1-3, t2-0, t2-3, t2-6', 't1-1, t1-4, t2-1, t2-4, t3-0', 't1-2, t1-5, t2-2, t2-5, t3-1'], 0],
        [2, 3, ['t1-0, t1-2, t2-0, t2-2, t2-3, t3-1', 't1-1, t1-3, t2-1, t2-4, t3-0', 't1-4, t1-5, t2-5, t2-6'], 1],
        [3, 2, ['t1-0, t1-1, t2-0, t2-1, t2-2, t3-0', 't1-2, t1-3, t2-3, t2-4, t3-1', 't1-4, t1-5, t2-5, t2-6'], 4],
      ],
    ],
    [
      'other subscriptions',
      { t1: 6, t2: 7, t3: 2 },
      [all, all, 't1 t3'],
      ['t1-0, t1-1, t2-0, t2-1, t2-2, t2-3, t3-0', 't1-2, t1-3, t2-4, t2-5, t2-6, t3-1', 't1-4, t1-5'],
      [
        [1, 3, ['t1-0, t1-3, t2-0, t2-2, t2-3, t2-6', 't1-1, t1-4, t2-1, t2-4, t2-5, t3-0', 't1-2, t1-5, t3-1'], 2],
        [2, 3, ['t1-0, t1-2, t2-0, t2-2, t2-3, t2-5, t3-1', 't1-1, t1-3, t2-1, t2-4, t2-6, t3-0', 't1-4, t1-5'], 0],
        [3, 2, ['t1-0, t1-1, t2-0, t2-1, t2-2, t2-3, t3-0', 't1-2, t1-3, t2-4, t2-5, t2-6, t3-1', 't1-4, t1-5'], 2],
      ],
    ],
    [
      'as many partitions of every topic',
      { t1: 5, t2: 5, t3: 5 },
      [all, all, all],
      ['t1-0, t1-1, t2-0, t2-1, t3-0, t3-1', 't1-2, t1-3, t2-2, t2-3, t3-2, t3-3', 't1-4, t2-4, t3-4'],
      [
        [1, 3, ['t1-0, t1-1, t2-0, t2-1, t3-0, t3-1', 't1-2, t1-3, t2-2, t2-3, t3-2, t3-3', 't1-4, t2-4, t3-4'], 10],
        [2, 3, ['t1-0, t1-1, t2-0, t2-1, t3-0, t3-1', 't1-2, t1-3, t2-2, t2-3, t3-2, t3-3', 't1-4, t2-4, t3-4'], 5],
        [3, 2, ['t1-0, t1-1, t2-0, t2-1, t3-0, t3-1', 't1-2, t1-3, t2-2, t2-3, t3-2, t3-3', 't1-4, t2-4, t3-4'], 3],
      ],
    ],
    [
      'as many partitions of every topic, other subscriptions',
      { t1: 5, t2: 5, t3: 5 },
      [all, all, 't1 t3'],
      ['t1-0, t1-1, t2-0, t2-1, t2-2, t3-0, t3-1', 't1-2, t1-3, t2-3, t2-4, t3-2, t3-3', 't1-4, t3-4'],
      [
        [1, 3, ['t1-0, t1-1, t2-0, t2-1, t2-4, t3-0, t3-1', 't1-2, t1-3, t2-2, t2-3, t3-2, t3-3', 't1-4, t3-4'], 9],
        [2, 3, ['t1-2, t2-0, t2-1, t2-3, t3-2', 't1-0, t1-3, t2-2, t2-4, t3-0, t3-3', 't1-1, t1-4, t3-1, t3-4'], 0],
        [3, 2, ['t1-0, t1-1, t2-0, t2-1, t2-2, t3-0, t3-1', 't1-2, t1-3, t2-3, t2-4, t3-2, t3-3', 't1-4, t3-4'], 2],
      ],
    ],
  ] as const)('%s', (_, counts, wanted, plain, byRack) => {
    expectNotByRack(counts, wanted, plain)
    for (const [factor, brokerRacks, assignment, mismatched] of byRack) {
      const result = assignByRack(new RangeAssignor(), counts, factor, racks(brokerRacks), racks(3), wanted)
      expect(result).toEqual({ assignment, mismatched })
    }
  })

  it('keeps partitions of the same number together', () => {
    const counts = { t1: 6, t2: 6, t3: 2, t4: 2 }
    const consumers = ['a', 'b', 'b', 'a']
    const by = (factor: number, brokers: number, wanted: string[]): unknown =>
      assignByRack(new RangeAssignor(), counts, factor, racks(brokers), consumers, wanted)
    const halves = ['t1 t2', 't1 t2', 't3 t4', 't3 t4']
    const plain = [
      't1-0, t1-1, t1-2, t2-0, t2-1, t2-2',
      't1-3, t1-4, t1-5, t2-3, t2-4, t2-5',
      't3-0, t4-0',
      't3-1, t4-1',
    ]
    expect(by(2, 2, halves)).toEqual({ assignment: plain, mismatched: 0 })
    expect(by(1, 2, halves)).toEqual({
      assignment: [
        't1-0, t1-2, t1-4, t2-0, t2-2, t2-4',
        't1-1, t1-3, t1-5, t2-1, t2-3, t2-5',
        't3-1, t4-1',
        't3-0, t4-0',
      ],
      mismatched: 0,
    })
    const everything = Array<string>(4).fill('t1 t2 t3 t4')
    expect(by(1, 2, everything)).toEqual({
      assignment: [
        't1-0, t1-2, t2-0, t2-2, t3-0, t4-0',
        't1-1, t1-3, t2-1, t2-3, t3-1, t4-1',
        't1-5, t2-5',
        't1-4, t2-4',
      ],
      mismatched: 0,
    })
    expect(by(1, 3, everything)).toEqual({
      assignment: [
        't1-0, t1-3, t2-0, t2-3, t3-0, t4-0',
        't1-1, t1-4, t2-1, t2-4, t3-1, t4-1',
        't1-2, t2-2',
        't1-5, t2-5',
      ],
      mismatched: 6,
    })
  })

  it('keeps them together where subscriptions are the same', () => {
    const counts = { t1: 6, t2: 6, t3: 2, t4: 2, t5: 4, t6: 4 }
    const wanted = Array<string>(3).fill('t1 t2 t3 t4 t5 t6 t7 t8 t9')
    expect(assignByRack(new RangeAssignor(), counts, 2, racks(3), racks(3), wanted)).toEqual({
      assignment: [
        't1-0, t1-2, t2-0, t2-2, t3-0, t4-0, t5-1, t6-1',
        't1-1, t1-3, t2-1, t2-3, t3-1, t4-1, t5-2, t6-2',
        't1-4, t1-5, t2-4, t2-5, t5-0, t5-3, t6-0, t6-3',
      ],
      mismatched: 0,
    })
  })
})

describe('roundrobin', () => {
  const cases: readonly Case[] = [
    ['gives nothing to who wants nothing', {}, { consumer: { topics: '' } }, { consumer: '' }],
    ['leaves topics that do not exist', {}, { consumer: first }, { consumer: '' }],
    [
      'gives one consumer all of one topic',
      { topic1: 3 },
      { consumer: first },
      { consumer: 'topic1-0 topic1-1 topic1-2' },
    ],
    ['gives only what is subscribed', { topic1: 3, other: 3 }, { c: first }, { c: 'topic1-0 topic1-1 topic1-2' }],
    ['gives several topics', { topic1: 1, topic2: 2 }, { consumer: both }, { consumer: 'topic1-0 topic2-0 topic2-1' }],
    ['leaves the second without a partition', { topic1: 1 }, { c1: first, c2: first }, { c1: 'topic1-0', c2: '' }],
    ['gives one each', { topic1: 2 }, { c1: first, c2: first }, { c1: 'topic1-0', c2: 'topic1-1' }],
    [
      'passes over members that do not want the topic',
      { topic1: 3, topic2: 2 },
      { consumer1: first, consumer2: both, consumer3: first },
      { consumer1: 'topic1-0', consumer2: 'topic1-1 topic2-0 topic2-1', consumer3: 'topic1-2' },
    ],
    [
      'goes on from topic to topic',
      { topic1: 3, topic2: 3 },
      { consumer1: both, consumer2: both },
      { consumer1: 'topic1-0 topic1-2 topic2-1', consumer2: 'topic1-1 topic2-0 topic2-2' },
    ],
    [
      'orders static members by their instances',
      { topic1: 3, topic2: 3 },
      { 'consumer-b': { ...both, instance: 'instance1' }, 'consumer-a': { ...both, instance: 'instance2' } },
      { 'consumer-b': 'topic1-0 topic1-2 topic2-1', 'consumer-a': 'topic1-1 topic2-0 topic2-2' },
    ],
    [
      'puts static members first',
      { topic1: 3, topic2: 3 },
      { 'consumer-b': { ...both, instance: 'instance1' }, 'consumer-a': both },
      { 'consumer-b': 'topic1-0 topic1-2 topic2-1', 'consumer-a': 'topic1-1 topic2-0 topic2-2' },
    ],
    [
      'gives static members the same, whoever is the last',
      { topic1: 3, topic2: 3 },
      {
        consumer1: { ...both, instance: 'instance1' },
        consumer2: { ...both, instance: 'instance2' },
        consumer3: { ...both, instance: 'instance3' },
        consumer5: both,
      },
      { consumer1: 'topic1-0 topic2-1', consumer2: 'topic1-1 topic2-2', consumer3: 'topic1-2', consumer5: 'topic2-0' },
    ],
    [
      'gives static members the same when their member ids change',
      { topic1: 5, topic2: 5 },
      {
        consumer5: { ...both, instance: 'instance2' },
        consumer4: { ...both, instance: 'instance3' },
        consumer1: { ...both, instance: 'instance1' },
      },
      {
        consumer1: 'topic1-0 topic1-3 topic2-1 topic2-4',
        consumer5: 'topic1-1 topic1-4 topic2-2',
        consumer4: 'topic1-2 topic2-0 topic2-3',
      },
    ],
  ]
  it.each(cases)('%s', (_, counts, members, expected) => {
    expect(assign(new RoundRobinAssignor(), topics(counts), members)).toEqual(expected)
  })
})

describe('the names of assignors', () => {
  it("are short, or those of Kafka's classes", () => {
    expect(assignorName('cooperative-sticky')).toBe('cooperative-sticky')
    expect(assignorName('org.apache.kafka.clients.consumer.CooperativeStickyAssignor')).toBe('cooperative-sticky')
    expect(assignorName('org.apache.kafka.clients.consumer.RoundRobinAssignor')).toBe('roundrobin')
    expect(assignorName('best')).toBeUndefined()
  })
})

describe("the order of Java's hash maps", () => {
  it('has the hashes of String and TopicPartition', () => {
    expect(javaHash('')).toBe(0)
    expect(javaHash('hello')).toBe(99_162_322)
    expect(javaPartitionHash('', 0)).toBe(961)
    expect(javaPartitionHash('a', 3)).toBe(34 * 31 + 97)
  })

  it('walks the buckets, which double beyond three quarters', () => {
    // One letter each: the hash is its code, 'a' = 97 = 6 · 16 + 1.
    expect(inJavaHashOrder(['c', 'b', 'a'])).toEqual(['a', 'b', 'c'])
    expect(inJavaHashOrder(['o', 'p', 'q'])).toEqual(['p', 'q', 'o'])
    const letters = 'abcdefghijklmnopq'.split('')
    // With 32 buckets all letters lie in a row from bucket 1.
    expect(inJavaHashOrder(letters)).toEqual(letters)
  })

  it('knows the first of a set', () => {
    const set = new JavaHashSet<number>((element) => element)
    for (const element of [20, 5, 36]) set.add(element)
    expect(set.first()).toBe(20)
    set.delete(20)
    expect(set.first()).toBe(36)
  })
})
