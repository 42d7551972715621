/** Assignments as Kafka's assignors make them: the cases of RangeAssignorTest, RoundRobinAssignorTest, StickyAssignorTest, CooperativeStickyAssignorTest. */

import { describe, expect, it } from 'vitest'
import {
  type AssignorMember,
  assignorName,
  assignorOf,
  type PartitionCounts,
} from '../../../sim/client/group/assignors.js'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../../sim/client/group/consumer-protocol.js'
import { Random } from '../../../sim/kernel/random.js'

interface Given {
  readonly topics: string
  readonly owned?: string
  readonly generation?: number
  readonly instance?: string
}

function assign(name: string, counts: Record<string, number>, members: Record<string, Given>): Record<string, string> {
  const assignor = assignorOf(name)
  const given = Object.entries(members).map(
    ([memberId, { topics, owned = '', generation = -1, instance }]): AssignorMember => ({
      memberId,
      instanceId: instance,
      topics: topics.split(' ').filter(Boolean),
      owned: owned.split(' ').filter(Boolean),
      generation,
    }),
  )
  const result = assignor?.assign(new Map(Object.entries(counts)), given) ?? new Map<string, string[]>()
  return Object.fromEntries([...result].map(([memberId, partitions]) => [memberId, partitions.join(' ')]))
}

describe('range', () => {
  it.each([
    ['one consumer, no topic', {}, { c1: { topics: '' } }, { c1: '' }],
    ['a topic that does not exist', {}, { c1: { topics: 't1' } }, { c1: '' }],
    ['one consumer, one topic', { t1: 3 }, { c1: { topics: 't1' } }, { c1: 't1-0 t1-1 t1-2' }],
    ['only what is subscribed', { t1: 3, t2: 3 }, { c1: { topics: 't1' } }, { c1: 't1-0 t1-1 t1-2' }],
    ['two topics', { t1: 1, t2: 2 }, { c1: { topics: 't1 t2' } }, { c1: 't1-0 t2-0 t2-1' }],
    ['two consumers, one partition', { t1: 1 }, { c1: { topics: 't1' }, c2: { topics: 't1' } }, { c1: 't1-0', c2: '' }],
    [
      'two consumers, two partitions',
      { t1: 2 },
      { c1: { topics: 't1' }, c2: { topics: 't1' } },
      { c1: 't1-0', c2: 't1-1' },
    ],
    [
      'mixed subscriptions',
      { t1: 3, t2: 2 },
      { c1: { topics: 't1' }, c2: { topics: 't1 t2' }, c3: { topics: 't1' } },
      { c1: 't1-0', c2: 't1-1 t2-0 t2-1', c3: 't1-2' },
    ],
    [
      'two topics with three partitions each',
      { t0: 3, t1: 3 },
      { C0: { topics: 't0 t1' }, C1: { topics: 't0 t1' } },
      { C0: 't0-0 t0-1 t1-0 t1-1', C1: 't0-2 t1-2' },
    ],
    [
      'static members, by their instances',
      { t1: 3 },
      { c9: { topics: 't1', instance: 'i1' }, c1: { topics: 't1', instance: 'i2' } },
      { c9: 't1-0 t1-1', c1: 't1-2' },
    ],
  ])('%s', (_, counts, members, expected) =>
    expect(assign('range', counts as Record<string, number>, members)).toEqual(expected),
  )
})

describe('roundrobin', () => {
  it.each([
    ['one consumer, no topic', {}, { c1: { topics: '' } }, { c1: '' }],
    [
      'two consumers, two topics',
      { t0: 3, t1: 3 },
      { C0: { topics: 't0 t1' }, C1: { topics: 't0 t1' } },
      { C0: 't0-0 t0-2 t1-1', C1: 't0-1 t1-0 t1-2' },
    ],
    [
      'mixed subscriptions',
      { t1: 3, t2: 2 },
      { c1: { topics: 't1' }, c2: { topics: 't1 t2' }, c3: { topics: 't1' } },
      { c1: 't1-0', c2: 't1-1 t2-0 t2-1', c3: 't1-2' },
    ],
    ['two consumers, one partition', { t1: 1 }, { c1: { topics: 't1' }, c2: { topics: 't1' } }, { c1: 't1-0', c2: '' }],
  ])('%s', (_, counts, members, expected) =>
    expect(assign('roundrobin', counts as Record<string, number>, members)).toEqual(expected),
  )
})

describe('sticky', () => {
  it('gives all to one, and half away when another comes', () => {
    expect(assign('sticky', { t: 3 }, { c1: { topics: 't' } })).toEqual({ c1: 't-0 t-1 t-2' })
    const next = assign(
      'sticky',
      { t: 3 },
      { c1: { topics: 't', owned: 't-0 t-1 t-2', generation: 1 }, c2: { topics: 't' } },
    )
    expect(next).toEqual({ c1: 't-0 t-1', c2: 't-2' })
    const alone = assign('sticky', { t: 3 }, { c2: { topics: 't', owned: 't-2', generation: 2 } })
    expect(alone).toEqual({ c2: 't-2 t-0 t-1' })
  })

  it('keeps what everybody has when a topic is added', () => {
    const owned = assign('sticky', { t1: 3 }, { c1: { topics: 't1' }, c2: { topics: 't1' } })
    const next = assign(
      'sticky',
      { t1: 3, t2: 3 },
      { c1: { topics: 't1 t2', owned: owned['c1'] ?? '' }, c2: { topics: 't1 t2', owned: owned['c2'] ?? '' } },
    )
    for (const member of ['c1', 'c2'])
      for (const name of (owned[member] ?? '').split(' ')) expect(next[member]).toContain(name)
  })

  it('gives nobody a partition that two claim in the same generation, but to be assigned anew', () => {
    const next = assign(
      'sticky',
      { t: 3 },
      {
        c1: { topics: 't', owned: 't-0 t-1', generation: 4 },
        c2: { topics: 't', owned: 't-1 t-2', generation: 4 },
        c3: { topics: 't', owned: '', generation: 4 },
      },
    )
    expect(Object.values(next).join(' ').split(' ').sort()).toEqual(['t-0', 't-1', 't-2'])
    expect(next).toEqual({ c1: 't-0', c2: 't-2', c3: 't-1' })
  })

  it('believes the newest generation', () => {
    const next = assign(
      'sticky',
      { t: 2 },
      {
        c1: { topics: 't', owned: 't-0 t-1', generation: 3 },
        c2: { topics: 't', owned: 't-0', generation: 4 },
      },
    )
    expect(next).toEqual({ c1: 't-1', c2: 't-0' })
  })
})

describe('cooperative-sticky', () => {
  it('takes away first, and gives in the next rebalance', () => {
    const first = assign(
      'cooperative-sticky',
      { t: 3 },
      {
        c1: { topics: 't', owned: 't-0 t-1 t-2', generation: 1 },
        c2: { topics: 't' },
      },
    )
    expect(first).toEqual({ c1: 't-0 t-1', c2: '' })
    const second = assign(
      'cooperative-sticky',
      { t: 3 },
      {
        c1: { topics: 't', owned: 't-0 t-1', generation: 2 },
        c2: { topics: 't', generation: 2 },
      },
    )
    expect(second).toEqual({ c1: 't-0 t-1', c2: 't-2' })
  })
})

describe('all assignors', () => {
  it.each(['range', 'roundrobin', 'sticky'])(
    '%s gives each partition to one subscriber, whatever the group',
    (name) => {
      const random = new Random(`assignors/${name}`)
      for (let round = 0; round < 200; round++) {
        const topics = Array.from({ length: random.between(1, 4) }, (_, i) => `t${i}`)
        const counts = new Map(topics.map((topic) => [topic, random.between(1, 7)]))
        const isSame = random.chance(0.5)
        const all = random.sample(topics, random.between(1, topics.length))
        const members = Array.from({ length: random.between(1, 6) }, (_, i): AssignorMember => ({
          memberId: `c${i}`,
          instanceId: undefined,
          topics: isSame ? all : random.sample(topics, random.between(1, topics.length)),
          owned: [],
          generation: 1,
        }))
        check(name, counts, members)
      }
    },
  )

  it('sticky moves no more than it must when a member leaves', () => {
    const members = ['c1', 'c2', 'c3', 'c4'].map((memberId): AssignorMember => ({
      memberId,
      instanceId: undefined,
      topics: ['t'],
      owned: [],
      generation: 1,
    }))
    const before = check('sticky', new Map([['t', 13]]), members)
    const left = members.slice(1).map((member) => ({ ...member, owned: before.get(member.memberId) ?? [] }))
    const after = check('sticky', new Map([['t', 13]]), left)
    for (const { memberId, owned } of left) for (const name of owned) expect(after.get(memberId)).toContain(name)
  })

  it("have Kafka's names", () => {
    expect(assignorName('org.apache.kafka.clients.consumer.CooperativeStickyAssignor')).toBe('cooperative-sticky')
    expect(assignorName('range')).toBe('range')
    expect(assignorName('best')).toBeUndefined()
  })
})

function check(name: string, counts: PartitionCounts, members: readonly AssignorMember[]): Map<string, string[]> {
  const result = assignorOf(name)?.assign(counts, members) ?? new Map<string, string[]>()
  const seen = new Set<string>()
  for (const [memberId, partitions] of result) {
    for (const partition of partitions) {
      expect(seen.has(partition), `${partition} twice`).toBe(false)
      seen.add(partition)
      const topic = partition.slice(0, partition.lastIndexOf('-'))
      expect(members.find((member) => member.memberId === memberId)?.topics).toContain(topic)
    }
  }
  const wanted = [...counts].filter(([topic]) => members.some(({ topics }) => topics.includes(topic)))
  expect(seen.size).toBe(wanted.reduce((sum, [, count]) => sum + count, 0))
  const isSame = members.every(({ topics }) => topics.join() === members[0]?.topics.join())
  if (name === 'sticky' && isSame) {
    const sizes = [...result.values()].map((partitions) => partitions.length)
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
  }
  return result
}

describe('what consumers tell each other', () => {
  it('comes back as it was', () => {
    const subscription = { topics: ['a', 'b'], owned: ['a-0', 'a-2', 'b-1'], generation: 7, rack: 'east' }
    expect(decodeSubscription(encodeSubscription(subscription))).toEqual(subscription)
    expect(decodeAssignment(encodeAssignment(['a-1', 'b-0']))).toEqual(['a-1', 'b-0'])
    expect(decodeAssignment(new Uint8Array(0))).toEqual([])
  })

  it('has the bytes of ConsumerProtocolSubscription version 3', () => {
    const bytes = encodeSubscription({ topics: ['t'], owned: ['t-1'], generation: 2, rack: null })
    expect(Buffer.from(bytes).toString('hex')).toBe(
      '0003' +
        '00000001' +
        '000174' +
        'ffffffff' +
        '00000001' +
        '000174' +
        '00000001' +
        '00000001' +
        '00000002' +
        'ffff',
    )
  })
})
