/** Cases of Kafka's AbstractStickyAssignorTest with many members, in clusters with and without racks. */

import { describe, expect, it } from 'vitest'
import { CooperativeStickyAssignor, StickyAssignor } from '../../../sim/client/group/sticky-assignor.js'
import {
  ALL_RACKS,
  assign,
  expectValidAndBalanced,
  type Member,
  type Members,
  owning,
  settle,
  sizes,
  topics,
} from './assignor-lab.js'

const ASSIGNORS = [
  ['sticky', () => new StickyAssignor()],
  ['cooperative-sticky', () => new CooperativeStickyAssignor()],
] as const

/** Whether brokers, and members, are in racks. */
const RACKS = [
  ['no racks', [null], false],
  ['brokers in racks', ALL_RACKS, false],
  ['all in racks', ALL_RACKS, true],
] as const

const CASES = ASSIGNORS.flatMap(([name, make]) =>
  RACKS.map(([title, racks, inRacks]) => ({ title: `${name}, ${title}`, make, racks, inRacks })),
)

function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${String(i + 1).padStart(2, '0')}`)
}

describe.each(CASES)('$title', ({ make, racks, inRacks }) => {
  const all = (counts: Record<string, number>) => topics(counts, 3, racks)
  const member = (names: readonly string[], at: number): Member => ({
    topics: names.join(' '),
    rack: inRacks ? (ALL_RACKS[at % ALL_RACKS.length] ?? null) : null,
  })

  function expectKept(before: Record<string, string>, after: Record<string, string>): void {
    for (const [id, names] of Object.entries(after)) {
      const now = new Set(names.split(' '))
      for (const name of (before[id] ?? '').split(' ')) if (name !== '') expect([...now], id).toContain(name)
    }
  }

  it('leaves nobody out but who came last, where there is one partition', () => {
    const given = assign(make(), all({ t: 1 }), { c1: member(['t'], 0), c2: member(['t'], 1) })
    expect(sizes(given).sort()).toEqual([0, 1])
  })

  it('is even after one of nineteen with ever more topics has left', () => {
    const names = numbered('t', 19)
    const perTopic = all(Object.fromEntries(names.map((name, at) => [name, at + 1])))
    const members: Members = Object.fromEntries(
      numbered('c', 19).map((id, at) => [id, member(names.slice(0, at + 1), at)]),
    )
    const assignor = make()
    const left = owning(members, settle(assignor, perTopic, members))
    delete left['c10']
    settle(assignor, perTopic, left)
  })

  it('is even after a tenth has come for twenty partitions', () => {
    const perTopic = all({ topic: 20 })
    const members = (count: number): Members =>
      Object.fromEntries(numbered('c', count).map((id, at) => [id, member(['topic'], at)]))
    const assignor = make()
    const nine = settle(assignor, perTopic, members(9))
    const ten = settle(assignor, perTopic, owning(members(10), nine))
    expect(sizes(ten)).toEqual(Array(10).fill(2))
  })

  it('takes nothing from those who stay when one of eight with the same topics leaves', () => {
    const names = numbered('t', 14)
    const perTopic = all(Object.fromEntries(names.map((name, at) => [name, at + 1])))
    const members: Members = Object.fromEntries(numbered('c', 8).map((id, at) => [id, member(names, at)]))
    const assignor = make()
    const before = settle(assignor, perTopic, members)
    const left = owning(members, before)
    delete left['c05']
    const after = settle(assignor, perTopic, left)
    if (!inRacks) expectKept(before, after)
    expect(Object.values(after).flatMap((given) => given.split(' '))).toHaveLength(105)
  })

  it('serves another subscription', () => {
    const perTopic = all({ t1: 1, t2: 1, t3: 1, t4: 1 })
    const members: Members = { c0: member([], 0), c1: member(['t1'], 1), c2: member(['t2', 't3', 't4'], 2) }
    const assignor = make()
    const before = settle(assignor, perTopic, members)
    const more = { ...members, c0: member(['t1'], 0) }
    expectValidAndBalanced(more, assign(assignor, perTopic, owning(more, before)))
  })

  it('gives the partition of the leader who left to the one who had none', () => {
    const perTopic = all({ topic1: 3 })
    const ids = ['c1', 'c2', 'c3', 'c4']
    const members: Members = Object.fromEntries(ids.map((id, at) => [id, member(['topic1'], at)]))
    const assignor = make()
    const before = settle(assignor, perTopic, members)
    expect(sizes(before).sort()).toEqual([0, 1, 1, 1])
    const left = owning(members, before)
    delete left['c1']
    const after = settle(assignor, perTopic, left)
    expect(sizes(after)).toEqual([1, 1, 1])
    expectKept(before, after)
  })

  it('is valid and even for two halves of a large group', () => {
    const names = numbered('t', 20)
    const perTopic = all(Object.fromEntries(names.map((name) => [name, 10])))
    const members: Members = Object.fromEntries(
      numbered('c', 40).map((id, at) => [id, member(at % 4 === 0 ? names.slice(0, 10) : names.slice(10), at)]),
    )
    const assignor = make()
    const before = settle(assignor, perTopic, members)
    expectKept(before, settle(assignor, perTopic, owning(members, before)))
  })
})
