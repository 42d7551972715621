/**
 * The uniform assignment of members that subscribe to different topics (`UniformHeterogeneousAssignmentBuilder`).
 *
 *     1. members keep what they had of topics that they still subscribe to
 *     2. partitions of nobody go, topic by topic, to the subscribers that have least
 *     3. topic by topic, over and over until a whole round moves nothing (16 rounds at most): partitions move from the subscribers that have
 *        most to those that have least, until the two differ by one at most
 *
 * Topics with many partitions a subscriber come first, then those with few subscribers, then by id. Balance goes before stickiness.
 */

import { toTopicPartitions } from './assignment.js'
import {
  addTo,
  type Assigned,
  copyOf,
  type GroupSpec,
  type MutableAssignment,
  removeFrom,
  unknownTopic,
} from './assignor.js'
import { compareUuids } from './java-order.js'
import { MemberBalancer } from './member-balancer.js'

const MOST_ROUNDS = 16
const NOBODY = -1

export function assignHeterogeneous(spec: GroupSpec): Assigned {
  for (const { topics } of spec.members) {
    for (const topicId of topics) if (spec.partitionCount(topicId) < 0) return unknownTopic(topicId)
  }
  return new Heterogeneous(spec).build()
}

class Heterogeneous {
  readonly #spec: GroupSpec
  /** Topic → its subscribers, as indexes into the members. */
  readonly #subscribers = new Map<string, number[]>()
  readonly #target: MutableAssignment[]
  /** Partitions of each member. */
  readonly #sizes: number[]
  /** Topic → the owner of each partition. */
  readonly #owners = new Map<string, number[]>()
  readonly #balancer: MemberBalancer

  constructor(spec: GroupSpec) {
    this.#spec = spec
    spec.members.forEach(({ topics }, member) => {
      for (const topicId of topics) {
        const subscribers = this.#subscribers.get(topicId)
        if (subscribers === undefined) this.#subscribers.set(topicId, [member])
        else subscribers.push(member)
      }
    })
    for (const topicId of this.#subscribers.keys()) {
      this.#owners.set(
        topicId,
        Array.from({ length: spec.partitionCount(topicId) }, () => NOBODY),
      )
    }
    this.#target = spec.members.map(({ assignment }) => copyOf(assignment))
    this.#sizes = spec.members.map(() => 0)
    this.#balancer = new MemberBalancer(this.#sizes)
  }

  build(): Assigned {
    if (this.#subscribers.size === 0) return new Map()
    this.#keep()
    this.#assignUnassigned()
    const topics = this.#sorted([...this.#subscribers].filter(([, members]) => members.length > 1).map(([id]) => id))
    if (topics.length > 0) this.#balance(topics)
    return new Map(this.#spec.members.map(({ memberId }, at) => [memberId, this.#target[at] as MutableAssignment]))
  }

  #keep(): void {
    this.#spec.members.forEach(({ topics, assignment }, member) => {
      for (const { topicId, partitions } of toTopicPartitions(assignment)) {
        if (!topics.includes(topicId)) {
          this.#target[member]?.delete(topicId)
          continue
        }
        this.#sizes[member] = (this.#sizes[member] as number) + partitions.length
        const owners = this.#owners.get(topicId) as number[]
        for (const partition of partitions) owners[partition] = member
      }
    })
  }

  #assignUnassigned(): void {
    const unassigned = new Map<string, number[]>()
    for (const [topicId, owners] of this.#owners) {
      const free = [...owners.keys()].filter((partition) => owners[partition] === NOBODY)
      if (free.length > 0) unassigned.set(topicId, free)
    }
    for (const topicId of this.#sorted([...unassigned.keys()])) {
      this.#balancer.begin(this.#subscribers.get(topicId) as number[])
      for (const partition of unassigned.get(topicId) as number[])
        this.#assign(topicId, partition, this.#balancer.nextLeast())
    }
  }

  #balance(topics: readonly string[]): void {
    let last = -1
    for (let round = 0; round < MOST_ROUNDS; round++) {
      for (let at = 0; at < topics.length; at++) {
        // All topics had their turn since anything moved.
        if (at === last) return
        const moved = this.#balanceTopic(topics[at] as string)
        if (moved > 0 || last === -1) last = at
      }
    }
  }

  /** Number of partitions moved. */
  #balanceTopic(topicId: string): number {
    const balancer = this.#balancer
    if (balancer.begin(this.#subscribers.get(topicId) as number[]) <= 1) return 0
    const owners = this.#owners.get(topicId) as number[]
    /** Partitions of the topic by owner as of now, the one to give up first at the end. */
    const owned = new Map<number, number[]>()
    owners.forEach((owner, partition) => {
      const partitions = owned.get(owner)
      if (partitions === undefined) owned.set(owner, [partition])
      else partitions.push(partition)
    })
    let moved = 0
    while (!balancer.isBalanced) {
      const most = balancer.nextMost((member) => (owned.get(member)?.length ?? 0) > 0)
      if (most === undefined) break
      const partition = owned.get(most)?.pop() as number
      const least = balancer.nextLeast()
      if (balancer.isBalanced) break
      this.#assign(topicId, partition, least)
      moved++
    }
    return moved
  }

  #assign(topicId: string, partition: number, member: number): void {
    const owners = this.#owners.get(topicId) as number[]
    const before = owners[partition] as number
    if (before !== NOBODY) {
      removeFrom(this.#target[before] as MutableAssignment, topicId, partition)
      this.#sizes[before] = (this.#sizes[before] as number) - 1
    }
    addTo(this.#target[member] as MutableAssignment, topicId, partition)
    this.#sizes[member] = (this.#sizes[member] as number) + 1
    owners[partition] = member
  }

  #sorted(topics: readonly string[]): string[] {
    const subscribers = (topicId: string): number => (this.#subscribers.get(topicId) as number[]).length
    const load = (topicId: string): number => this.#spec.partitionCount(topicId) / subscribers(topicId)
    return [...topics].sort((a, b) => load(b) - load(a) || subscribers(a) - subscribers(b) || compareUuids(a, b))
  }
}
