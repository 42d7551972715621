/**
 * Topic by topic, neighbouring partitions to members in order; the first members get one more where it does not divide
 * (RangeAssignor).
 *
 * Where racks matter (KIP-881), members first get partitions with a replica in their rack, up to what is theirs by number. Topics with the same
 * members and as many partitions are matched together, so that partition n of all of them goes to one member.
 */

import {
  byCodeUnit,
  membersInOrder,
  nameOf,
  racksOfMembers,
  shouldMatchRacks,
  type AssignablePartition,
  type Assignments,
  type Assignor,
  type GroupSubscription,
  type PartitionsPerTopic,
} from './assignor.js'
import { byTopicAndIndex } from '../subscription-state.js'
import { inJavaHashOrder } from './java-hash-order.js'

type Given = Map<string, AssignablePartition[]>

export class RangeAssignor implements Assignor {
  readonly name = 'range'
  readonly protocols = ['eager'] as const

  userData(): null {
    return null
  }

  onAssignment(): void {}

  assign(partitions: PartitionsPerTopic, group: GroupSubscription): Assignments {
    const memberRacks = racksOfMembers(group)
    const topics = inJavaHashOrder(partitions.keys())
      .map((topic) => ({ topic, partitions: partitions.get(topic) ?? [] }))
      .filter(({ partitions }) => partitions.length > 0)
      .map(({ topic, partitions }) => new TopicRange(topic, partitions, group, memberRacks))
    const given: Given = new Map([...group.keys()].map((memberId) => [memberId, []]))
    const isRackAware = topics.some((topic) => topic.matchesRacks)
    if (isRackAware) matchRacks(topics, given)
    for (const topic of topics) topic.assignRanges(() => true, given)
    const assignments: Assignments = new Map()
    for (const [memberId, list] of given) {
      if (isRackAware) list.sort(byTopicAndIndex)
      assignments.set(memberId, list.map(nameOf))
    }
    return assignments
  }
}

/** What is left to give of one topic. */
class TopicRange {
  readonly topic: string
  readonly members: readonly string[]
  readonly partitions: readonly AssignablePartition[]
  readonly matchesRacks: boolean
  readonly #memberRacks: ReadonlyMap<string, string>
  readonly #racks: readonly ReadonlySet<string>[]
  readonly #counts = new Map<string, number>()
  readonly #each: number
  #left: AssignablePartition[]
  #withOneMore: number

  constructor(
    topic: string,
    partitions: readonly AssignablePartition[],
    group: GroupSubscription,
    memberRacks: ReadonlyMap<string, string>,
  ) {
    this.topic = topic
    this.partitions = partitions
    this.#left = [...partitions]
    const subscribed = [...group.keys()].filter((memberId) => group.get(memberId)?.topics.includes(topic))
    this.members = membersInOrder(subscribed, group)
    const count = this.members.length
    this.#each = count === 0 ? 0 : Math.floor(partitions.length / count)
    this.#withOneMore = count === 0 ? 0 : partitions.length % count
    this.#memberRacks = memberRacks
    const racksHere = new Set(this.members.flatMap((memberId) => memberRacks.get(memberId) ?? []))
    this.#racks = racksHere.size === 0 ? [] : partitions.map(({ racks }) => new Set(racks))
    this.matchesRacks = shouldMatchRacks(racksHere, new Set(this.#racks.flatMap((racks) => [...racks])), this.#racks)
  }

  /** How many partitions the racks are known of: topics are matched together by it. */
  get rackCount(): number {
    return this.#racks.length
  }

  racksMatch(memberId: string, at: number): boolean {
    const rack = this.#memberRacks.get(memberId)
    return rack === undefined || (this.#racks[at]?.has(rack) ?? false)
  }

  mayTake(memberId: string): number {
    const most = this.#each + (this.#withOneMore > 0 ? 1 : 0)
    return Math.max(0, most - (this.#counts.get(memberId) ?? 0))
  }

  assignRanges(mayAssign: (memberId: string, at: number) => boolean, given: Given): void {
    for (const memberId of this.members) {
      if (this.#left.length === 0) return
      const fitting = this.#left.filter((partition) => mayAssign(memberId, this.partitions.indexOf(partition)))
      this.give(memberId, fitting.slice(0, this.mayTake(memberId)), given)
    }
  }

  give(memberId: string, partitions: readonly AssignablePartition[], given: Given): void {
    if (partitions.length === 0) return
    given.get(memberId)?.push(...partitions)
    const count = (this.#counts.get(memberId) ?? 0) + partitions.length
    this.#counts.set(memberId, count)
    if (count > this.#each) this.#withOneMore--
    this.#left = this.#left.filter((partition) => !partitions.includes(partition))
  }
}

function matchRacks(topics: readonly TopicRange[], given: Given): void {
  const groups = new Map<string, TopicRange[]>()
  for (const topic of topics) {
    const key = `${topic.rackCount} ${topic.members.join(' ')}`
    const alike = groups.get(key)
    if (alike === undefined) groups.set(key, [topic])
    else alike.push(topic)
  }
  for (const [, alike] of [...groups].sort(([a], [b]) => byCodeUnit(a, b))) {
    const first = alike[0] as TopicRange
    if (alike.length > 1) matchTogether(alike, first, given)
    else if (first.matchesRacks) first.assignRanges((memberId, at) => first.racksMatch(memberId, at), given)
  }
}

function matchTogether(topics: readonly TopicRange[], first: TopicRange, given: Given): void {
  const members = new Set(first.members)
  for (let at = 0; at < first.rackCount; at++) {
    let match: string | undefined
    for (const memberId of members) {
      if (!topics.every((topic) => topic.racksMatch(memberId, at) && topic.mayTake(memberId) > 0)) continue
      match = memberId
      break
    }
    if (match === undefined) continue
    const memberId = match
    for (const topic of topics) topic.give(memberId, topic.partitions.slice(at, at + 1), given)
    if (topics.some((topic) => topic.mayTake(memberId) > 0)) continue
    members.delete(memberId)
    if (members.size === 0) return
  }
}
