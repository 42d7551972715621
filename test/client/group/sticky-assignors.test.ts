/** The cases of Kafka's AbstractStickyAssignorTest, StickyAssignorTest and CooperativeStickyAssignorTest. */

import { describe, expect, it } from 'vitest'
import {
  CooperativeStickyAssignor,
  decodeStickyUserData,
  encodeStickyUserData,
  StickyAssignor,
} from '../../../sim/client/group/sticky-assignor.js'
import { Random } from '../../../sim/kernel/random.js'
import { ByteWriter } from '../../../sim/wire/primitives.js'
import {
  ALL_RACKS,
  assign,
  assignByRack,
  expectValidAndBalanced,
  isFullyBalanced,
  owning,
  partitions,
  settle,
  sizes,
  topics,
  type Member,
  type Members,
} from './assignor-lab.js'

const ASSIGNORS = [
  ['sticky', () => new StickyAssignor()],
  ['cooperative-sticky', () => new CooperativeStickyAssignor()],
] as const

function set(names: string | undefined): Set<string> {
  return new Set((names ?? '').split(' ').filter((name) => name !== ''))
}

describe.each(ASSIGNORS)('%s', (_name, make) => {
  it.each([
    ['gives nothing to who wants nothing', {}, { c: { topics: '' } }, { c: '' }],
    ['leaves topics that do not exist', {}, { c: { topics: 'topic' } }, { c: '' }],
    ['gives one consumer all of one topic', { t: 3 }, { c: { topics: 't' } }, { c: 't-0 t-1 t-2' }],
    [
      'takes what is not subscribed any more',
      { t: 2 },
      { c: { topics: 't', owned: 't-0 t-1 other-0 other-1', generation: 1 } },
      { c: 't-0 t-1' },
    ],
    ['gives several topics', { t1: 1, t2: 2 }, { c: { topics: 't1 t2' } }, { c: 't1-0 t2-0 t2-1' }],
    ['gives one each', { t: 2 }, { c1: { topics: 't' }, c2: { topics: 't' } }, { c1: 't-0', c2: 't-1' }],
    [
      'evens out mixed topics',
      { t1: 3, t2: 2 },
      { c1: { topics: 't1' }, c2: { topics: 't1 t2' }, c3: { topics: 't1' } },
      { c1: 't1-0 t1-2', c2: 't2-0 t2-1', c3: 't1-1' },
    ],
    [
      'goes round over all topics',
      { t1: 3, t2: 3 },
      { c1: { topics: 't1 t2' }, c2: { topics: 't1 t2' } },
      { c1: 't1-0 t1-2 t2-1', c2: 't1-1 t2-0 t2-2' },
    ],
    [
      'gives one more to who has the least that is due',
      { t1: 2, t2: 3 },
      {
        c1: { topics: 't1 t2', owned: 't1-0 t2-1', generation: 1 },
        c2: { topics: 't1 t2', owned: 't1-1 t2-2', generation: 1 },
      },
      { c1: 't1-0 t2-1 t2-0', c2: 't1-1 t2-2' },
    ],
    [
      'fills members that have too few first',
      { t1: 2, t2: 3 },
      {
        c1: { topics: 't1 t2', owned: 't1-0', generation: 1 },
        c2: { topics: 't1 t2', owned: 't1-1', generation: 1 },
        c3: { topics: 't1 t2', generation: 1 },
      },
      { c1: 't1-0 t2-1', c2: 't1-1 t2-2', c3: 't2-0' },
    ],
    [
      'knows when everybody has what is due',
      { t: 4 },
      {
        c1: { topics: 't', owned: 't-0 t-1', generation: 1 },
        c2: { topics: 't', owned: 't-2', generation: 1 },
        c3: { topics: 't', generation: 1 },
      },
      { c1: 't-0 t-1', c2: 't-2', c3: 't-3' },
    ],
  ] as const)('%s', (_, counts, members, expected) => {
    const given = assign(make(), topics(counts), members as Members)
    expect(given).toEqual(expected)
    expectValidAndBalanced(members as Members, given)
  })

  it('takes only what makes it even when members with the most are too many', () => {
    // The names decide which of the two keeps one more: Kafka walks a hash map.
    const perTopic = topics({ topic1: 2, topic2: 2 })
    const given = settle(make(), perTopic, {
      consumer1: { topics: 'topic1 topic2', owned: 'topic1-0 topic2-0', generation: 1 },
      consumer2: { topics: 'topic1 topic2', owned: 'topic1-1 topic2-1', generation: 1 },
      consumer3: { topics: 'topic1 topic2', generation: 1 },
    })
    expect(given).toEqual({ consumer1: 'topic1-0', consumer2: 'topic1-1 topic2-1', consumer3: 'topic2-0' })
  })

  it('gives half away when another member comes, and takes it back when one goes', () => {
    const assignor = make()
    const perTopic = topics({ topic: 3 })
    const two: Members = { consumer1: { topics: 'topic' }, consumer2: { topics: 'topic' } }
    const alone = assign(assignor, perTopic, { consumer1: { topics: 'topic' } })
    expect(alone).toEqual({ consumer1: 'topic-0 topic-1 topic-2' })
    const shared = settle(assignor, perTopic, owning(two, alone))
    expect(shared).toEqual({ consumer1: 'topic-0 topic-1', consumer2: 'topic-2' })
    const left = settle(assignor, perTopic, owning({ consumer2: { topics: 'topic' } }, shared))
    expect(set(left['consumer2'])).toEqual(new Set(['topic-0', 'topic-1', 'topic-2']))
  })

  it('keeps each topic even after a reassignment', () => {
    const assignor = make()
    const perTopic = topics({ topic1: 12, topic2: 12 })
    const members = (ids: readonly string[]): Members =>
      Object.fromEntries(ids.map((id) => [id, { topics: 'topic1 topic2' }]))
    const perMember = (given: Record<string, string>): number[][] =>
      Object.values(given).map((names) =>
        ['topic1', 'topic2'].map((topic) => partitions(names).filter((each) => each.topic === topic).length),
      )
    const one = settle(assignor, perTopic, members(['consumer1']))
    expect(perMember(one)).toEqual([[12, 12]])
    const two = settle(assignor, perTopic, owning(members(['consumer1', 'consumer2']), one))
    expect(perMember(two)).toEqual(Array(2).fill([6, 6]))
    const four = settle(assignor, perTopic, owning(members(['consumer1', 'consumer2', 'consumer3', 'consumer4']), two))
    expect(perMember(four)).toEqual(Array(4).fill([3, 3]))
    const last = settle(assignor, perTopic, owning(members(['consumer3', 'consumer4']), four))
    expect(perMember(last)).toEqual(Array(2).fill([6, 6]))
  })

  it('lets four members have what two had, and two what four had', () => {
    const assignor = make()
    const perTopic = topics({ topic1: 3, topic2: 4 })
    const members = (...ids: string[]): Members =>
      Object.fromEntries(ids.map((id) => [id, { topics: 'topic1 topic2' }]))
    const two = assign(assignor, perTopic, members('consumer1', 'consumer2'))
    expect(two).toEqual({
      consumer1: 'topic1-0 topic1-2 topic2-1 topic2-3',
      consumer2: 'topic1-1 topic2-0 topic2-2',
    })
    const four = settle(assignor, perTopic, owning(members('consumer1', 'consumer2', 'consumer3', 'consumer4'), two))
    expect(set(four['consumer1'])).toEqual(set('topic1-0 topic2-1'))
    expect(set(four['consumer2'])).toEqual(set('topic2-0 topic1-1'))
    expect(set(four['consumer3'])).toEqual(set('topic1-2 topic2-3'))
    expect(set(four['consumer4'])).toEqual(set('topic2-2'))
    const left = settle(assignor, perTopic, owning(members('consumer3', 'consumer4'), four))
    expect(set(left['consumer3'])).toEqual(set('topic1-2 topic2-3 topic1-0 topic2-1'))
    expect(set(left['consumer4'])).toEqual(set('topic2-2 topic1-1 topic2-0'))
  })

  it('is even where a round robin would not be', () => {
    const counts = { topic1: 2, topic2: 1, topic3: 2, topic4: 1, topic5: 2 }
    const all = 'topic1 topic2 topic3 topic4 topic5'
    const some = 'topic1 topic3 topic5'
    settle(make(), topics(counts), {
      consumer1: { topics: all },
      consumer2: { topics: some },
      consumer3: { topics: some },
      consumer4: { topics: all },
    })
  })

  it('keeps what members have when topics come and go', () => {
    const assignor = make()
    const members = (names: string): Members => ({ consumer1: { topics: names }, consumer2: { topics: names } })
    const one = settle(assignor, topics({ topic: 3 }), members('topic'))
    const two = settle(assignor, topics({ topic: 3, topic2: 3 }), owning(members('topic topic2'), one))
    expect(sizes(two)).toEqual([3, 3])
    for (const id of ['consumer1', 'consumer2']) {
      for (const name of set(one[id])) expect(set(two[id])).toContain(name)
    }
    const three = settle(assignor, topics({ topic2: 3 }), owning(members('topic2'), two))
    for (const id of ['consumer1', 'consumer2']) for (const name of set(three[id])) expect(set(two[id])).toContain(name)
  })

  it('believes the newest generation', () => {
    const perTopic = topics({ topic: 3, topic2: 3 })
    for (const generation of [9, -1]) {
      const given = settle(make(), perTopic, {
        consumer1: { topics: 'topic topic2', owned: 'topic-0 topic-2 topic2-1', generation: 10 },
        consumer2: { topics: 'topic topic2', owned: 'topic-0 topic-2 topic2-1', generation },
      })
      expect(set(given['consumer1'])).toEqual(set('topic-0 topic-2 topic2-1'))
      expect(set(given['consumer2'])).toEqual(set('topic-1 topic2-0 topic2-2'))
    }
  })

  it('lets members of older generations keep what nobody newer has', () => {
    const all = 'topic topic2 topic3'
    const given = settle(make(), topics({ topic: 3, topic2: 3, topic3: 3 }), {
      consumer1: { topics: all, owned: 'topic-0 topic2-0 topic3-0', generation: 10 },
      consumer2: { topics: all, owned: 'topic-1 topic2-1 topic3-1', generation: 9 },
      consumer3: { topics: all, owned: 'topic2-1 topic3-0 topic3-2', generation: 8 },
    })
    expect(set(given['consumer1'])).toEqual(set('topic-0 topic2-0 topic3-0'))
    expect(set(given['consumer2'])).toEqual(set('topic-1 topic2-1 topic3-1'))
    expect(set(given['consumer3'])).toEqual(set('topic-2 topic2-2 topic3-2'))
    const mixed = settle(make(), topics({ topic: 3, topic2: 3 }), {
      consumer1: { topics: 'topic topic2', owned: 'topic-0 topic2-1 topic-1', generation: 10 },
      consumer2: { topics: 'topic topic2', owned: 'topic-0 topic2-1 topic2-2', generation: 8 },
    })
    expect(set(mixed['consumer1'])).toEqual(set('topic-0 topic2-1 topic-1'))
    expect(set(mixed['consumer2'])).toEqual(set('topic-2 topic2-2 topic2-0'))
  })

  it('moves nothing between present members when one comes', () => {
    const all = 'topic topic2 topic3 topic1'
    const given = settle(make(), topics({ topic: 3, topic1: 3, topic2: 3, topic3: 3 }), {
      consumer1: { topics: all, generation: -1 },
      consumer2: { topics: all, owned: 'topic-0 topic2-0 topic1-0', generation: 9 },
      consumer3: { topics: all, owned: 'topic3-2 topic2-2 topic1-1', generation: 8 },
      consumer4: { topics: all, owned: 'topic3-1 topic-1 topic-2', generation: 7 },
    })
    expect(set(given['consumer1'])).toEqual(set('topic1-2 topic2-1 topic3-0'))
  })

  it('is valid when three generations claim the same, whatever their order', () => {
    for (const [a, b, c] of [
      [1, 2, 3],
      [1, 3, 2],
      [2, 1, 3],
      [2, 3, 1],
      [3, 1, 2],
      [3, 2, 1],
    ] as const) {
      const given = assign(make(), topics({ topic: 6, topic1: 1 }), {
        consumer1: { topics: 'topic', owned: 'topic-0 topic-2', generation: a },
        consumer2: { topics: 'topic', owned: 'topic-1 topic-2 topic-3', generation: b },
        consumer3: { topics: 'topic', owned: 'topic-2 topic-4 topic-5', generation: c },
        consumer4: { topics: 'topic1', owned: 'topic1-0', generation: 2 },
      })
      const all = Object.values(given).flatMap((names) => [...set(names)])
      expect(new Set(all).size).toBe(all.length)
      for (const size of sizes(given)) expect([1, 2]).toContain(size)
    }
  })

  it('moves what is owned when that is the only way to be even', () => {
    settle(make(), topics({ topic1: 1, topic2: 1, topic3: 1, topic4: 1, topic5: 1, topic6: 1 }), {
      consumer1: { topics: 'topic1 topic2', owned: 'topic1-0', generation: 1 },
      consumer2: { topics: 'topic1 topic2 topic3 topic4', owned: 'topic2-0 topic3-0', generation: 1 },
      consumer3: {
        topics: 'topic2 topic3 topic4 topic5 topic6',
        owned: 'topic4-0 topic5-0 topic6-0',
        generation: 1,
      },
    })
  })

  it('goes on when the only topic is gone', () => {
    expect(assign(make(), topics({}), { c: { topics: 't', owned: 't-0 t-1', generation: 1 } })).toEqual({ c: '' })
  })

  it('stays valid, even and sticky with random subscriptions that change, in racks and out of them', () => {
    for (let round = 0; round < 12; round++) {
      const random = new Random(`sticky/${round}`)
      const counts = Object.fromEntries(
        Array.from({ length: random.between(5, 12) }, (_, i) => [`t${String(i).padStart(2, '0')}`, i + 1]),
      )
      const racks = round % 3 === 0 ? [null] : round % 3 === 1 ? ALL_RACKS.slice(0, 3) : ALL_RACKS
      const perTopic = topics(counts, 2, racks)
      const some = (): string => {
        const names = Object.keys(counts)
        return random.sample(names, random.between(1, names.length)).sort().join(' ')
      }
      const ids = Array.from({ length: random.between(6, 14) }, (_, i) => `c${String(i).padStart(2, '0')}`)
      const members = (): Members =>
        Object.fromEntries(
          ids.map((id, i) => [id, { topics: some(), rack: round % 2 === 0 ? null : (ALL_RACKS[i % 3] ?? null) }]),
        )
      const assignor = make()
      const before = settle(assignor, perTopic, members())
      const next = owning(members(), before)
      delete next[random.pick(ids)]
      settle(assignor, perTopic, next)
    }
  })

  it('moves no more than it must when members with equal subscriptions go', () => {
    for (let round = 0; round < 30; round++) {
      const random = new Random(`leave/${round}`)
      const perTopic = topics({ t1: random.between(1, 9), t2: random.between(1, 9) })
      const ids = Array.from({ length: random.between(2, 7) }, (_, i) => `c${i}`)
      const members: Members = Object.fromEntries(ids.map((id) => [id, { topics: 't1 t2' }]))
      const assignor = make()
      const before = settle(assignor, perTopic, members)
      const stay = owning(members, before)
      delete stay[random.pick(ids)]
      const after = settle(assignor, perTopic, stay)
      expect(isFullyBalanced(after)).toBe(true)
      for (const [id, { owned = '' }] of Object.entries(stay)) {
        for (const name of set(owned)) expect(set(after[id])).toContain(name)
      }
    }
  })
})

describe.each(ASSIGNORS)('%s, where racks matter', (name, make) => {
  const racks = (count: number): string[] => ALL_RACKS.slice(0, count)
  const nulls = [null, null, null]
  const counts = { t1: 6, t2: 7, t3: 2 }
  const all = 't1 t2 t3'

  function expectTwice(
    factor: number,
    brokerRacks: readonly (string | null)[],
    consumerRacks: readonly (string | null)[],
    wanted: readonly string[],
    assignment: readonly string[],
    mismatched: number | undefined,
  ): void {
    for (const owned of [[], assignment]) {
      const result = assignByRack(make(), counts, factor, brokerRacks, consumerRacks, wanted, owned)
      expect(result.assignment).toEqual(assignment)
      if (mismatched !== undefined) expect(result.mismatched).toBe(mismatched)
    }
  }

  it('matches racks of uniform subscriptions', () => {
    const wanted = [all, all, all]
    const plain = ['t1-0, t1-3, t2-0, t2-3, t2-6', 't1-1, t1-4, t2-1, t2-4, t3-0', 't1-2, t1-5, t2-2, t2-5, t3-1']
    expectTwice(3, nulls, racks(3), wanted, plain, undefined)
    expectTwice(3, racks(3), nulls, wanted, plain, undefined)
    expectTwice(3, racks(3), racks(3), wanted, plain, 0)
    expectTwice(4, racks(4), racks(3), wanted, plain, 0)
    expectTwice(3, racks(3), ['d', 'e', 'f'], wanted, plain, undefined)
    expectTwice(3, racks(3), [null, 'e', 'f'], wanted, plain, undefined)
    expectTwice(1, racks(3), racks(3), wanted, plain, 0)
    expectTwice(2, racks(3), racks(3), wanted, plain, 0)
    expectTwice(3, racks(2), racks(3), wanted, plain, 5)
    const owned = ['t1-0, t1-1, t1-2, t1-3, t1-4', 't1-5, t2-0, t2-1, t2-2, t2-3', 't2-4, t2-5, t2-6, t3-0, t3-1']
    const result = assignByRack(make(), counts, 1, racks(3), racks(3), wanted, owned)
    const kept = ['t1-0, t1-3', 't2-1', 't2-5, t3-1']
    expect(result).toEqual({ assignment: name === 'sticky' ? plain : kept, mismatched: 0 })
  })

  it('matches racks of other subscriptions', () => {
    const wanted = [all, all, 't1 t3']
    const plain = ['t1-5, t2-0, t2-2, t2-4, t2-6', 't1-3, t2-1, t2-3, t2-5, t3-0', 't1-0, t1-1, t1-2, t1-4, t3-1']
    expectTwice(3, nulls, racks(3), wanted, plain, undefined)
    expectTwice(3, racks(3), nulls, wanted, plain, undefined)
    expectTwice(3, racks(3), racks(3), wanted, plain, 0)
    expectTwice(4, racks(4), racks(3), wanted, plain, 0)
    expectTwice(3, racks(3), ['d', 'e', 'f'], wanted, plain, undefined)
    expectTwice(3, racks(3), [null, 'e', 'f'], wanted, plain, undefined)
    const byOne = ['t1-3, t2-0, t2-2, t2-3, t2-6', 't1-4, t2-1, t2-4, t2-5, t3-0', 't1-0, t1-1, t1-2, t1-5, t3-1']
    expectTwice(1, racks(3), racks(3), wanted, byOne, 4)
    const byTwo = ['t1-3, t2-0, t2-2, t2-5, t2-6', 't1-0, t2-1, t2-3, t2-4, t3-0', 't1-1, t1-2, t1-4, t1-5, t3-1']
    expectTwice(2, racks(3), racks(3), wanted, byTwo, 0)
    expectTwice(3, racks(2), racks(3), wanted, plain, 5)
    const owned = ['t1-0, t1-1, t1-2, t1-3, t1-4', 't1-5, t2-0, t2-1, t2-2, t2-3', 't2-4, t2-5, t2-6, t3-0, t3-1']
    const by = (factor: number, owns: readonly string[]): unknown =>
      assignByRack(make(), counts, factor, racks(3), racks(3), wanted, owns)
    if (name === 'sticky') {
      expect(by(1, owned)).toEqual({ assignment: byOne, mismatched: 4 })
      expect(by(3, owned)).toEqual({ assignment: plain, mismatched: 0 })
      return
    }
    const between = ['t1-3', 't2-1', 't3-1']
    expect(by(1, owned)).toEqual({ assignment: between, mismatched: 0 })
    expect(by(1, between)).toEqual({ assignment: byOne, mismatched: 4 })
    const kept = ['t1-2, t1-3, t1-4', 't2-0, t2-1, t2-2, t2-3', 't3-0, t3-1']
    expect(by(3, owned)).toEqual({ assignment: kept, mismatched: 0 })
    expect(by(3, kept)).toEqual({
      assignment: ['t1-2, t1-3, t1-4, t2-4, t2-5', 't2-0, t2-1, t2-2, t2-3, t2-6', 't1-0, t1-1, t1-5, t3-0, t3-1'],
      mismatched: 0,
    })
  })
})

describe('a partition that two claim in the same generation', () => {
  const three = (owned1: string, owned2: string): Members => ({
    consumer1: { topics: 'topic', owned: owned1, generation: 1 },
    consumer2: { topics: 'topic', owned: owned2, generation: 1 },
    consumer3: { topics: 'topic', generation: 1 },
  })

  it('goes to somebody else with sticky, at once', () => {
    const claimed = three('topic-0 topic-1', 'topic-0 topic-2')
    expect(assign(new StickyAssignor(), topics({ topic: 3 }), claimed)).toEqual({
      consumer1: 'topic-1',
      consumer2: 'topic-2',
      consumer3: 'topic-0',
    })
    expect(assign(new StickyAssignor(), topics({ topic: 4 }), claimed)).toEqual({
      consumer1: 'topic-1 topic-3',
      consumer2: 'topic-2',
      consumer3: 'topic-0',
    })
  })

  it('goes to nobody with cooperative-sticky, until the next rebalance', () => {
    const claimed = three('topic-0 topic-1', 'topic-0 topic-2')
    expect(assign(new CooperativeStickyAssignor(), topics({ topic: 3 }), claimed)).toEqual({
      consumer1: 'topic-1',
      consumer2: 'topic-2',
      consumer3: '',
    })
    expect(assign(new CooperativeStickyAssignor(), topics({ topic: 4 }), claimed)).toEqual({
      consumer1: 'topic-1 topic-3',
      consumer2: 'topic-2',
      consumer3: '',
    })
  })

  it('moves where racks do not match, once it was given up', () => {
    const perTopic = topics({ topic1: 4 }, 1, ['a', 'b'])
    const members: Members = {
      c0: { topics: 'topic1', owned: 'topic1-0 topic1-1', generation: 1, rack: 'a' },
      c1: { topics: 'topic1', owned: 'topic1-2 topic1-3', generation: 1, rack: 'b' },
    }
    // Both that change racks are held back.
    expect(assign(new CooperativeStickyAssignor(), perTopic, members)).toEqual({ c0: 'topic1-0', c1: 'topic1-3' })
  })
})

describe('sticky over several generations', () => {
  it.each([true, false])('keeps what it can (equal subscriptions: %s)', (isEqual) => {
    const assignor = new StickyAssignor()
    const perTopic = topics({ topic: 6, topic2: 6 })
    const all = 'topic topic2'
    const members: Members = {
      consumer1: { topics: all },
      consumer2: { topics: isEqual ? all : 'topic' },
      consumer3: { topics: all },
    }
    const first = settle(assignor, perTopic, members)
    expect(sizes(first)).toEqual([4, 4, 4])
    const { consumer3, ...two } = owning(members, first)
    const second = settle(assignor, perTopic, two)
    expect(sizes(second)).toEqual([6, 6])
    for (const name of set(first['consumer2'])) expect(set(second['consumer2'])).toContain(name)
    expect([...set(second['consumer2'])].some((name) => set(first['consumer3']).has(name))).toBe(true)
    const third = settle(assignor, perTopic, {
      consumer2: { ...(members['consumer2'] as Member), owned: second['consumer2'] ?? '', generation: 2 },
      consumer3: { ...(consumer3 as Member), generation: 1 },
    })
    expect(sizes(third)).toEqual([6, 6])
  })

  it.each([true, false])('sorts out conflicting claims (equal subscriptions: %s)', (isEqual) => {
    const all = 'topic topic2 topic3'
    const owned1 = isEqual ? 'topic-0 topic-1 topic-2 topic2-2 topic2-3 topic3-0' : 'topic-0 topic-1 topic-2 topic-3'
    const owned2 = 'topic-0 topic-1 topic2-0 topic2-1 topic2-2 topic2-3'
    const owned3 = 'topic-2 topic-3 topic3-0 topic3-1 topic3-2 topic3-3'
    const given = settle(new StickyAssignor(), topics({ topic: 4, topic2: 4, topic3: 4 }), {
      consumer1: { topics: isEqual ? all : 'topic', owned: owned1, generation: 1 },
      consumer2: { topics: isEqual ? all : 'topic topic2', owned: owned2, generation: 2 },
      consumer3: { topics: all, owned: owned3, generation: 2 },
    })
    expect(sizes(given)).toEqual([4, 4, 4])
    for (const name of set(given['consumer2'])) expect(set(owned2)).toContain(name)
    for (const name of set(given['consumer3'])) expect(set(owned3)).toContain(name)
  })
})

describe('what sticky members tell the leader', () => {
  it('is what they were given, and when', () => {
    const assignor = new StickyAssignor()
    expect(assignor.userData()).toBeNull()
    assignor.onAssignment(partitions('a-1 b-0 a-2'), 7)
    const userData = assignor.userData() as Uint8Array
    expect(Buffer.from(userData).toString('hex')).toBe(
      '00000002' + '000161' + '00000002' + '00000001' + '00000002' + '000162' + '00000001' + '00000000' + '00000007',
    )
    expect(decodeStickyUserData(userData)).toEqual({ partitions: partitions('a-1 a-2 b-0'), generation: 7 })
  })

  it('was without a generation in the oldest version', () => {
    const bytes = encodeStickyUserData(partitions('a-1'), 3)
    const old = bytes.subarray(0, bytes.length - 4)
    expect(decodeStickyUserData(old)).toEqual({ partitions: partitions('a-1'), generation: undefined })
    expect(decodeStickyUserData(null)).toEqual({ partitions: [], generation: undefined })
    expect(decodeStickyUserData(Uint8Array.of(0, 0, 0, 9, 1))).toEqual({ partitions: [], generation: -1 })
  })

  it('comes before what the subscription says; old and new versions go together', () => {
    const old = encodeStickyUserData(partitions('topic-1'), 1).subarray(0, -4)
    const given = assign(new StickyAssignor(), topics({ topic: 3 }), {
      consumer1: { topics: 'topic', owned: 'topic-0 topic-2', generation: 1 },
      consumer2: { topics: 'topic', userData: old },
      consumer3: { topics: 'topic' },
    })
    expect(sizes(given)).toEqual([1, 1, 1])
    expect(given['consumer2']).toBe('topic-1')
    expect(['topic-0', 'topic-2']).toContain(given['consumer1'])
  })

  it('is the generation only with cooperative-sticky', () => {
    const assignor = new CooperativeStickyAssignor()
    expect([...assignor.userData()]).toEqual([255, 255, 255, 255])
    assignor.onAssignment([], 10)
    expect([...assignor.userData()]).toEqual([0, 0, 0, 10])
  })

  it('counts with cooperative-sticky where the subscription has no generation', () => {
    const writer = new ByteWriter(4)
    writer.int32(5)
    const given = assign(new CooperativeStickyAssignor(), topics({ topic: 2 }), {
      consumer1: { topics: 'topic', owned: 'topic-0 topic-1', userData: writer.finish() },
      consumer2: { topics: 'topic' },
    })
    expect(given).toEqual({ consumer1: 'topic-0', consumer2: '' })
  })
})
