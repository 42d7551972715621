/**
 * The sticky assignor: as even as can be, and as much as possible stays where it was (`AbstractStickyAssignor`, KIP-54).
 *
 * Where all members subscribe to the same topics the result is that of Kafka's constrained builder. Where they do not, partitions
 * stay with their owners, the rest go to the subscriber with the fewest, and partitions move from the fullest to the emptiest member that may
 * have them until no move makes it more even: as even as Kafka's general builder, though it may choose other partitions.
 */

import { partitionName, parsePartition } from '../../kernel/names.js'
import type { AssignorMember, Assignments, PartitionCounts } from './assignors.js'
import { byCodeUnit } from './consumer-protocol.js'

export function assignSticky(counts: PartitionCounts, members: readonly AssignorMember[]): Assignments {
  if (members.length === 0) return new Map()
  const owned = ownedPartitions(counts, members)
  const [first] = members
  const isConstrained = members.every(({ topics }) => isSameSet(topics, first?.topics ?? []))
  return isConstrained ? constrained(counts, members, owned) : general(counts, members, owned)
}

/** For the cooperative protocol: what somebody else still has is given only once that one has let go of it. */
export function withoutTransfers(assignments: Assignments, members: readonly AssignorMember[]): Assignments {
  const owners = new Map<string, string>()
  for (const { memberId, owned } of members) for (const partition of owned) owners.set(partition, memberId)
  for (const [memberId, partitions] of assignments) {
    const kept = partitions.filter((partition) => (owners.get(partition) ?? memberId) === memberId)
    assignments.set(memberId, kept)
  }
  return assignments
}

/** What each member owns and may keep. Of several that claim one, the newest generation has it; in the same generation nobody. */
function ownedPartitions(counts: PartitionCounts, members: readonly AssignorMember[]): Map<string, string[]> {
  const claims = new Map<string, { memberId: string | undefined; generation: number }>()
  const newest = Math.max(-1, ...members.map(({ generation }) => generation))
  for (const { memberId, owned, generation, topics } of members) {
    // Somebody who has missed a generation has lost its partitions; one that never tells its generation is believed.
    if (generation >= 0 && generation < newest) continue
    for (const partition of owned) {
      const parsed = parsePartition(partition)
      if (parsed === undefined || !topics.includes(parsed.topic)) continue
      if (parsed.index >= (counts.get(parsed.topic) ?? 0)) continue
      const other = claims.get(partition)
      if (other === undefined || other.generation < generation) claims.set(partition, { memberId, generation })
      else if (other.generation === generation) claims.set(partition, { memberId: undefined, generation })
    }
  }
  const owned = new Map<string, string[]>(members.map(({ memberId }) => [memberId, []]))
  for (const [partition, { memberId }] of claims) if (memberId !== undefined) owned.get(memberId)?.push(partition)
  return owned
}

function constrained(
  counts: PartitionCounts,
  members: readonly AssignorMember[],
  owned: ReadonlyMap<string, readonly string[]>,
): Assignments {
  const all = allPartitions(counts, members[0]?.topics ?? [])
  const least = Math.floor(all.length / members.length)
  const most = Math.ceil(all.length / members.length)
  const allowedMost = all.length % members.length
  let withMost = 0
  const assignments: Assignments = new Map(members.map(({ memberId }) => [memberId, []]))
  const taken = new Set<string>()
  const below: string[] = []
  let atLeast: string[] = []
  const give = (memberId: string, partitions: readonly string[]): number => {
    const assignment = assignments.get(memberId) as string[]
    for (const partition of partitions) {
      assignment.push(partition)
      taken.add(partition)
    }
    return assignment.length
  }
  for (const { memberId } of members) {
    const kept = [...(owned.get(memberId) ?? [])].sort(byIndexThenTopic)
    if (kept.length < least) {
      give(memberId, kept)
      below.push(memberId)
    } else if (kept.length >= most && withMost < allowedMost) {
      if (++withMost === allowedMost) atLeast = []
      give(memberId, kept.slice(0, most))
    } else {
      give(memberId, kept.slice(0, least))
      if (withMost < allowedMost) atLeast.push(memberId)
    }
  }
  below.sort(byCodeUnit)
  atLeast.sort(byCodeUnit)
  let turn = 0
  for (const partition of all) {
    if (taken.has(partition)) continue
    if (turn >= below.length) turn = 0
    const memberId = below.length > 0 ? (below[turn] as string) : (atLeast.shift() as string)
    const count = give(memberId, [partition])
    const isBelow = below.length > 0
    if (count === least && isBelow) {
      below.splice(turn, 1)
      if (withMost < allowedMost) atLeast.push(memberId)
    } else if (count === most) {
      withMost++
      if (isBelow) below.splice(turn, 1)
      if (withMost === allowedMost) atLeast = []
    } else if (isBelow) turn++
  }
  return assignments
}

function general(
  counts: PartitionCounts,
  members: readonly AssignorMember[],
  owned: ReadonlyMap<string, readonly string[]>,
): Assignments {
  const assignments: Assignments = new Map(members.map(({ memberId }) => [memberId, [...(owned.get(memberId) ?? [])]]))
  const owners = new Map<string, string>()
  for (const [memberId, partitions] of assignments) for (const partition of partitions) owners.set(partition, memberId)
  const sizeOf = (memberId: string): number => assignments.get(memberId)?.length ?? 0
  const subscribers = (topic: string): string[] =>
    members.filter(({ topics }) => topics.includes(topic)).map(({ memberId }) => memberId)
  const emptiest = (topic: string): string | undefined =>
    subscribers(topic).sort((a, b) => sizeOf(a) - sizeOf(b) || byCodeUnit(a, b))[0]
  const topics = [...new Set(members.flatMap((member) => member.topics))].sort(byCodeUnit)
  // The fewer may have a partition, the sooner it is given.
  const all = allPartitions(counts, topics).sort((a, b) => {
    const [one, other] = [topicOf(a), topicOf(b)]
    return subscribers(one).length - subscribers(other).length || byCodeUnit(one, other) || indexOf(a) - indexOf(b)
  })
  for (const partition of all) {
    if (owners.has(partition)) continue
    const memberId = emptiest(topicOf(partition))
    if (memberId === undefined) continue
    assignments.get(memberId)?.push(partition)
    owners.set(partition, memberId)
  }
  for (let isMoving = true; isMoving;) {
    isMoving = false
    for (const partition of all) {
      const from = owners.get(partition)
      const to = emptiest(topicOf(partition))
      if (from === undefined || to === undefined || sizeOf(from) <= sizeOf(to) + 1) continue
      assignments.set(
        from,
        (assignments.get(from) ?? []).filter((other) => other !== partition),
      )
      assignments.get(to)?.push(partition)
      owners.set(partition, to)
      isMoving = true
    }
  }
  return assignments
}

function allPartitions(counts: PartitionCounts, topics: readonly string[]): string[] {
  return [...topics]
    .sort(byCodeUnit)
    .flatMap((topic) => Array.from({ length: counts.get(topic) ?? 0 }, (_, index) => partitionName(topic, index)))
}

function topicOf(partition: string): string {
  return parsePartition(partition)?.topic ?? partition
}

function indexOf(partition: string): number {
  return parsePartition(partition)?.index ?? 0
}

function byIndexThenTopic(a: string, b: string): number {
  return indexOf(a) - indexOf(b) || byCodeUnit(topicOf(a), topicOf(b))
}

function isSameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item) => b.includes(item))
}
