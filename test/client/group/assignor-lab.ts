/** Groups as the cases of Kafka's assignor tests describe them. */

import { expect } from 'vitest'
import type {
  AssignablePartition,
  Assignments,
  Assignor,
  MemberSubscription,
  PartitionsPerTopic,
} from '../../../sim/client/group/assignor.js'
import { encodeStickyUserData } from '../../../sim/client/group/sticky-assignor.js'
import type { TopicPartition } from '../../../sim/client/subscription-state.js'
import { parsePartition } from '../../../sim/kernel/names.js'

export const ALL_RACKS = ['a', 'b', 'c', 'd', 'e']

export interface Member {
  readonly topics: string
  readonly owned?: string
  readonly generation?: number
  readonly instance?: string
  readonly rack?: string | null
  readonly userData?: Uint8Array | null
}

/** `t1-0 t1-1` → partitions. */
export function partitions(names: string): TopicPartition[] {
  return names
    .split(/,? /)
    .filter((name) => name !== '')
    .map((name) => parsePartition(name) as TopicPartition)
}

export function subscription(assignor: Assignor, member: Member): MemberSubscription {
  const { owned = '', generation = -1, rack = null, instance = null, userData } = member
  const isSticky = assignor.name === 'sticky' && owned !== ''
  return {
    topics: member.topics.split(' ').filter((topic) => topic !== ''),
    userData: userData ?? (isSticky ? encodeStickyUserData(partitions(owned), generation) : null),
    owned: partitions(owned),
    generation,
    rack,
    instanceId: instance,
  }
}

/** Topics with this many partitions; replicas of partition i lie on brokers i, i + 1, … of the racks given. */
export function topics(
  counts: Readonly<Record<string, number>>,
  replicationFactor = 3,
  brokerRacks: readonly (string | null)[] = [null],
): PartitionsPerTopic {
  const result = new Map<string, AssignablePartition[]>()
  let next = 0
  for (const [topic, count] of Object.entries(counts)) {
    const first = next
    result.set(
      topic,
      Array.from({ length: count }, (_, index) => {
        const racks = new Set<string>()
        for (let replica = 0; replica < replicationFactor; replica++) {
          const rack = brokerRacks[(index + replica + first) % brokerRacks.length]
          if (rack !== null && rack !== undefined) racks.add(rack)
        }
        return { topic, index, racks: [...racks] }
      }),
    )
    next += count
  }
  return result
}

export function assign(
  assignor: Assignor,
  partitionsPerTopic: PartitionsPerTopic,
  members: Readonly<Record<string, Member>>,
): Record<string, string> {
  const group = new Map(Object.entries(members).map(([id, member]) => [id, subscription(assignor, member)]))
  return shown(assignor.assign(partitionsPerTopic, group))
}

function shown(assignments: Assignments): Record<string, string> {
  return Object.fromEntries([...assignments].map(([memberId, names]) => [memberId, names.join(' ')]))
}

/** The case of verifyRackAssignment: consumers 0, 1, … with their racks, topics and what they own. */
export function assignByRack(
  assignor: Assignor,
  counts: Readonly<Record<string, number>>,
  replicationFactor: number,
  brokerRacks: readonly (string | null)[],
  consumerRacks: readonly (string | null)[],
  consumerTopics: readonly string[],
  owned: readonly string[] = [],
): { assignment: string[]; mismatched: number } {
  const perTopic = topics(counts, replicationFactor, brokerRacks)
  const group = new Map(
    consumerTopics.map((names, i): [string, MemberSubscription] => [
      `consumer${i}`,
      {
        topics: names.split(' '),
        userData: null,
        owned: partitions(owned[i] ?? ''),
        generation: -1,
        rack: consumerRacks[i] ?? null,
        instanceId: null,
      },
    ]),
  )
  const given = assignor.assign(perTopic, group)
  let mismatched = 0
  const assignment = consumerTopics.map((_, i) => {
    const names = given.get(`consumer${i}`) ?? []
    const rack = consumerRacks[i] ?? null
    for (const { topic, index } of partitions(names.join(' '))) {
      if (rack !== null && !perTopic.get(topic)?.[index]?.racks.includes(rack)) mismatched++
    }
    return [...names].sort().join(', ')
  })
  return { assignment, mismatched }
}

/** What every assignment keeps to (verifyValidityAndBalance): nobody gets what it does not want, nothing is given twice, no move helps. */
export function expectValidAndBalanced(
  members: Readonly<Record<string, Member>>,
  assignment: Readonly<Record<string, string>>,
): void {
  expect(Object.keys(assignment).sort()).toEqual(Object.keys(members).sort())
  const seen = new Set<string>()
  const given = Object.entries(assignment).map(([memberId, names]) => {
    const own = partitions(names)
    const wanted = (members[memberId] as Member).topics.split(' ')
    for (const { topic, index } of own) {
      expect(wanted).toContain(topic)
      expect(seen.has(`${topic}-${index}`)).toBe(false)
      seen.add(`${topic}-${index}`)
    }
    return { own, topics: new Set(own.map(({ topic }) => topic)) }
  })
  for (const more of given) {
    for (const less of given) {
      if (more.own.length - less.own.length <= 1) continue
      for (const topic of more.topics) expect(less.topics.has(topic)).toBe(false)
    }
  }
}

export function sizes(assignment: Readonly<Record<string, string>>): number[] {
  return Object.values(assignment).map((names) => partitions(names).length)
}

export function isFullyBalanced(assignment: Readonly<Record<string, string>>): boolean {
  const all = sizes(assignment)
  return Math.max(...all) - Math.min(...all) <= 1
}

export type Members = Record<string, Member>

const GENERATION = 1

/** Goes on rebalancing as long as partitions change hands: a cooperative group needs several rounds. */
export function settle(assignor: Assignor, perTopic: PartitionsPerTopic, members: Members): Record<string, string> {
  let current = members
  for (let round = 0; round < 5; round++) {
    const given = assign(assignor, perTopic, current)
    const isRevoking = Object.entries(current).some(([id, { owned = '' }]) =>
      partitions(owned).some(({ topic, index }) => !given[id]?.split(' ').includes(`${topic}-${index}`)),
    )
    if (assignor.name === 'sticky' || !isRevoking) {
      expectValidAndBalanced(members, given)
      return given
    }
    expectNoTransfers(current, given)
    current = owning(current, given)
  }
  throw new Error('does not settle')
}

/** What one member gives up nobody else is given in the same round. */
function expectNoTransfers(members: Members, given: Record<string, string>): void {
  const revoked = new Set<string>()
  for (const [id, { owned = '' }] of Object.entries(members)) {
    for (const name of owned.split(' ')) if (!given[id]?.split(' ').includes(name)) revoked.add(name)
  }
  for (const [id, names] of Object.entries(given)) {
    const owned = (members[id]?.owned ?? '').split(' ')
    for (const name of names.split(' ')) if (name !== '' && !owned.includes(name)) expect(revoked).not.toContain(name)
  }
}

/** The members, owning what they were given. */
export function owning(members: Members, given: Record<string, string>, generation = GENERATION): Members {
  return Object.fromEntries(
    Object.entries(members).map(([id, member]) => [id, { ...member, owned: given[id] ?? '', generation }]),
  )
}
