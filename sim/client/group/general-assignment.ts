/**
 * The sticky assignment of members whose subscriptions differ (AbstractStickyAssignor.GeneralAssignmentBuilder, KIP-54).
 *
 * Members keep what they own, the rest goes to the member with the fewest partitions that may have it, topics with few subscribers first. Then
 * partitions move to smaller members, back to a former owner where that helps, until no move makes it more even. When all that moving brought no
 * better balance than there was, nothing moves.
 */

import { byCodeUnit, type GroupSubscription, type PartitionsPerTopic } from './assignor.js'
import { PartitionMovements } from './partition-movements.js'
import { DEFAULT_GENERATION, type MemberData, type OwnedPartition, type PartitionTable } from './sticky-members.js'
import type { StickyRacks } from './sticky-racks.js'

export class GeneralAssignment {
  readonly #partitions: PartitionsPerTopic
  readonly #table: PartitionTable
  readonly #racks: StickyRacks
  /** Member → its partitions now; members whose partitions can't change are taken out while partitions move. */
  readonly #given: Map<string, OwnedPartition[]>
  readonly #owners = new Map<OwnedPartition, string>()
  readonly #subscribers = new Map<string, string[]>()
  readonly #topics = new Map<string, string[]>()
  readonly #total: number
  /** By number of partitions, the fewest first. */
  readonly #sorted: string[] = []
  #all: OwnedPartition[] = []
  readonly #movements = new PartitionMovements()
  readonly #formerOwners = new Map<OwnedPartition, { readonly memberId: string; readonly generation: number }>()
  #mustRevoke = false

  constructor(
    partitions: PartitionsPerTopic,
    table: PartitionTable,
    racks: StickyRacks,
    owned: Map<string, OwnedPartition[]>,
    group: GroupSubscription,
  ) {
    this.#partitions = partitions
    this.#table = table
    this.#racks = racks
    this.#given = new Map([...owned].map(([memberId, list]) => [memberId, [...list]]))
    for (const topic of partitions.keys()) this.#subscribers.set(topic, [])
    for (const memberId of owned.keys()) {
      const topics = (group.get(memberId)?.topics ?? []).filter((topic) => partitions.has(topic))
      this.#topics.set(memberId, topics)
      for (const topic of topics) this.#subscribers.get(topic)?.push(memberId)
    }
    for (const [memberId, list] of owned) for (const partition of list) this.#owners.set(partition, memberId)
    let total = 0
    for (const ofTopic of partitions.values()) total += ofTopic.length
    this.#total = total
    const topics = [...partitions.keys()].sort((a, b) => this.#byInterest(a, b))
    for (const topic of topics) for (const each of partitions.get(topic) ?? []) this.#all.push(table.get(each))
  }

  /** @param highestGeneration of all that members told: what older ones owned may be theirs again */
  build(memberData: (memberId: string) => MemberData, highestGeneration: number): Map<string, OwnedPartition[]> {
    for (const memberId of this.#given.keys()) this.#rememberOwner(memberId, memberData(memberId), highestGeneration)
    const unassigned = this.#unassigned(this.#keepOwned())
    for (const memberId of this.#given.keys()) this.#sort(memberId)
    this.#balance(unassigned)
    return this.#given
  }

  #rememberOwner(memberId: string, { partitions, generation }: MemberData, highestGeneration: number): void {
    if ((generation ?? DEFAULT_GENERATION) >= highestGeneration) return
    for (const each of partitions) {
      const partition = this.#table.get(each)
      const known = this.#formerOwners.get(partition)
      const since = generation ?? DEFAULT_GENERATION
      if (known === undefined || since > known.generation) {
        this.#formerOwners.set(partition, { memberId, generation: since })
      }
    }
  }

  #keepOwned(): OwnedPartition[] {
    const kept: OwnedPartition[] = []
    for (const [memberId, owned] of this.#given) {
      const keeps = owned.filter((partition) => {
        if (this.#topics.get(memberId)?.includes(partition.topic) && !this.#racks.mismatch(memberId, partition)) {
          return true
        }
        this.#mustRevoke = true
        return false
      })
      this.#given.set(memberId, keeps)
      kept.push(...keeps)
    }
    return kept
  }

  #unassigned(kept: OwnedPartition[]): OwnedPartition[] {
    if (kept.length === 0) return [...this.#all]
    kept.sort((a, b) => this.#byInterest(a.topic, b.topic) || a.index - b.index)
    let next = 0
    return this.#all.filter((partition) => {
      if (kept[next] !== partition) return true
      next++
      return false
    })
  }

  // ── balance ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #balance(unassigned: readonly OwnedPartition[]): void {
    const wasEmpty = this.#sizeOf(this.#sorted.at(-1)) === 0
    const notInRack = this.#racks.matter ? unassigned.filter((each) => !this.#assign(each, true)) : unassigned
    for (const partition of notInRack) this.#assign(partition, false)
    const mayMove = ({ topic }: OwnedPartition): boolean => (this.#subscribers.get(topic)?.length ?? 0) >= 2
    this.#all = this.#all.filter(mayMove)
    const fixed = new Map<string, OwnedPartition[]>()
    for (const memberId of this.#topics.keys()) {
      if (this.#mayChange(memberId, mayMove)) continue
      fixed.set(memberId, this.#given.get(memberId) ?? [])
      this.#unsort(memberId)
      this.#given.delete(memberId)
    }
    const before = new Map([...this.#given].map(([memberId, list]) => [memberId, [...list]]))
    // With nothing to revoke the new partitions are tried first, for they belong to nobody yet.
    if (!this.#mustRevoke) this.#reassign(unassigned.filter(mayMove))
    const moved = this.#reassign(this.#all)
    if (!wasEmpty && moved && imbalance(this.#given) >= imbalance(before)) {
      for (const [memberId, list] of before) this.#given.set(memberId, list)
    }
    for (const [memberId, list] of fixed) this.#given.set(memberId, list)
  }

  #assign(partition: OwnedPartition, inRack: boolean): boolean {
    for (const memberId of this.#sorted) {
      if (this.#topics.get(memberId)?.includes(partition.topic) !== true) continue
      if (inRack && this.#racks.mismatch(memberId, partition)) continue
      this.#unsort(memberId)
      this.#given.get(memberId)?.push(partition)
      this.#owners.set(partition, memberId)
      this.#sort(memberId)
      return true
    }
    return false
  }

  #mayChange(memberId: string, mayMove: (partition: OwnedPartition) => boolean): boolean {
    const given = this.#given.get(memberId) ?? []
    return given.length < this.#mostOf(memberId) || given.some(mayMove)
  }

  #mostOf(memberId: string): number {
    const topics = this.#topics.get(memberId) ?? []
    if (topics.length === this.#partitions.size) return this.#total
    let most = 0
    for (const topic of topics) most += this.#partitions.get(topic)?.length ?? 0
    return most
  }

  /** No member could have a partition of another one that has at least two more. */
  #isBalanced(): boolean {
    const last = this.#sorted.at(-1)
    if (this.#sizeOf(this.#sorted[0]) >= this.#sizeOf(last) - 1) return true
    const owners = new Map<OwnedPartition, string>()
    for (const [memberId, list] of this.#given) for (const partition of list) owners.set(partition, memberId)
    for (const memberId of this.#sorted) {
      const size = this.#sizeOf(memberId)
      if (size === this.#mostOf(memberId)) continue
      for (const topic of this.#topics.get(memberId) ?? []) {
        for (const each of this.#partitions.get(topic) ?? []) {
          const owner = owners.get(this.#table.get(each))
          if (owner !== undefined && owner !== memberId && size + 1 < this.#sizeOf(owner)) return false
        }
      }
    }
    return true
  }

  #reassign(partitions: readonly OwnedPartition[]): boolean {
    let moved = false
    let isMoving: boolean
    do {
      isMoving = false
      for (const partition of partitions) {
        if (this.#isBalanced()) break
        if (this.#reassignOne(partition)) {
          isMoving = true
          moved = true
        }
      }
    } while (isMoving)
    return moved
  }

  #reassignOne(partition: OwnedPartition): boolean {
    const owner = this.#owners.get(partition)
    const former = this.#formerOwners.get(partition)?.memberId
    if (former !== undefined && this.#given.has(former) && this.#sizeOf(owner) > this.#sizeOf(former) + 1) {
      this.#moveTo(partition, former)
      return true
    }
    const subscribers = this.#subscribers.get(partition.topic) ?? []
    if (!subscribers.some((memberId) => this.#sizeOf(owner) > this.#sizeOf(memberId) + 1)) return false
    const to = this.#sorted.find((memberId) => this.#topics.get(memberId)?.includes(partition.topic))
    if (to !== undefined) this.#moveTo(partition, to)
    return true
  }

  #moveTo(wanted: OwnedPartition, to: string): void {
    const partition = this.#movements.insteadOf(wanted, this.#owners.get(wanted) ?? '', to)
    const from = this.#owners.get(partition) ?? ''
    this.#unsort(from)
    this.#unsort(to)
    this.#movements.move(partition, from, to)
    const left = (this.#given.get(from) ?? []).filter((other) => other !== partition)
    this.#given.set(from, left)
    this.#given.get(to)?.push(partition)
    this.#owners.set(partition, to)
    this.#sort(to)
    this.#sort(from)
  }

  // ── order ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #byInterest(a: string, b: string): number {
    const one = this.#subscribers.get(a)?.length ?? 0
    const other = this.#subscribers.get(b)?.length ?? 0
    return one - other || byCodeUnit(a, b)
  }

  #sizeOf(memberId: string | undefined): number {
    return memberId === undefined ? 0 : (this.#given.get(memberId)?.length ?? 0)
  }

  #sort(memberId: string): void {
    const size = this.#sizeOf(memberId)
    let at = 0
    let end = this.#sorted.length
    while (at < end) {
      const middle = (at + end) >>> 1
      const other = this.#sorted[middle] as string
      if ((this.#sizeOf(other) - size || byCodeUnit(other, memberId)) < 0) at = middle + 1
      else end = middle
    }
    if (this.#sorted[at] !== memberId) this.#sorted.splice(at, 0, memberId)
  }

  #unsort(memberId: string): void {
    const at = this.#sorted.indexOf(memberId)
    if (at >= 0) this.#sorted.splice(at, 1)
  }
}

/** Sum of the differences in size between all pairs of members. */
function imbalance(given: ReadonlyMap<string, readonly OwnedPartition[]>): number {
  const sizes = [...given.values()].map((list) => list.length)
  let sum = 0
  for (let i = 0; i < sizes.length; i++) {
    for (let j = i + 1; j < sizes.length; j++) sum += Math.abs((sizes[i] as number) - (sizes[j] as number))
  }
  return sum
}
