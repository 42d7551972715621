/**
 * The sticky assignment of members with equal subscriptions (AbstractStickyAssignor.ConstrainedAssignmentBuilder, KIP-54).
 *
 * With P partitions and M members everybody gets ⌊P/M⌋ partitions, and P mod M of them one more. Members keep what they own up to that; what
 * is left goes round the members that have too few, then to those that may have one more.
 */

import { InvariantError } from '../../kernel/errors.js'
import { byTopicAndIndex } from '../subscription-state.js'
import { byCodeUnit, type PartitionsPerTopic } from './assignor.js'
import type { OwnedPartition, PartitionTable, StickyMembers } from './sticky-members.js'
import type { StickyRacks } from './sticky-racks.js'

export class ConstrainedAssignment {
  readonly #partitions: PartitionsPerTopic
  readonly #table: PartitionTable
  readonly #racks: StickyRacks
  readonly #members: StickyMembers
  readonly #given: Map<string, OwnedPartition[]>
  /** Partition → who owned it, and may not have kept it. */
  readonly #released = new Map<OwnedPartition, string>()
  readonly #least: number
  readonly #most: number
  readonly #mayHaveMost: number
  #haveMost = 0
  #tooFew: string[] = []
  #atLeast: string[] = []
  /** Partition → new owner, of those that somebody else still has. */
  readonly transferred = new Map<OwnedPartition, string>()

  constructor(partitions: PartitionsPerTopic, table: PartitionTable, racks: StickyRacks, members: StickyMembers) {
    this.#partitions = partitions
    this.#table = table
    this.#racks = racks
    this.#members = members
    this.#given = new Map([...members.owned.keys()].map((memberId) => [memberId, []]))
    let total = 0
    for (const ofTopic of partitions.values()) total += ofTopic.length
    const count = members.owned.size
    this.#least = Math.floor(total / count)
    this.#most = Math.ceil(total / count)
    this.#mayHaveMost = total % count
  }

  build(): Map<string, OwnedPartition[]> {
    const kept = this.#keepOwned()
    let left = this.#unassigned(kept)
    this.#tooFew.sort(byCodeUnit)
    this.#atLeast.sort(byCodeUnit)
    left = this.#racks.sorted(left)
    if (this.#racks.matter) left = this.#assignByRack(left)
    this.#assignInTurn(left)
    for (const memberId of this.#tooFew) {
      const complete = this.#haveMost === this.#mayHaveMost && this.#given.get(memberId)?.length === this.#least
      if (!complete) throw new InvariantError('sticky assignor: a member has too few partitions', { memberId })
    }
    return this.#given
  }

  #keepOwned(): ReadonlySet<OwnedPartition> {
    const kept = new Set<OwnedPartition>()
    for (const [memberId, claimed] of this.#members.owned) {
      const owned: OwnedPartition[] = []
      for (const partition of claimed) {
        if (this.#racks.mismatch(memberId, partition)) this.#released.set(partition, memberId)
        else if (!this.#members.claimedTwice.has(partition)) owned.push(partition)
      }
      owned.sort((a, b) => a.index - b.index || byCodeUnit(a.topic, b.topic))
      const keeps = this.#quota(memberId, owned.length)
      const given = this.#given.get(memberId)
      owned.forEach((partition, at) => {
        if (at < keeps) {
          given?.push(partition)
          kept.add(partition)
        } else this.#released.set(partition, memberId)
      })
    }
    return kept
  }

  /** How much of what it owns the member keeps; and whether it gets more. */
  #quota(memberId: string, owned: number): number {
    if (owned < this.#least) {
      this.#tooFew.push(memberId)
      return owned
    }
    if (owned >= this.#most && this.#haveMost < this.#mayHaveMost) {
      if (++this.#haveMost === this.#mayHaveMost) this.#atLeast = []
      return this.#most
    }
    if (this.#haveMost < this.#mayHaveMost) this.#atLeast.push(memberId)
    return this.#least
  }

  #unassigned(kept: ReadonlySet<OwnedPartition>): OwnedPartition[] {
    const left: OwnedPartition[] = []
    // Compared in step, as Kafka does: an owned partition that does not exist any more hides those kept after it.
    const keptInOrder = [...kept].sort(byTopicAndIndex)
    let next = 0
    for (const topic of [...this.#partitions.keys()].sort(byCodeUnit)) {
      for (const each of this.#partitions.get(topic) ?? []) {
        const partition = this.#table.get(each)
        if (keptInOrder[next] === partition) next++
        else left.push(partition)
      }
    }
    return left
  }

  #assignByRack(partitions: readonly OwnedPartition[]): OwnedPartition[] {
    const left: OwnedPartition[] = []
    let start = 0
    for (const partition of partitions) {
      let memberId: string | undefined
      let at = this.#racks.nextMember(partition, this.#tooFew, start)
      if (at >= 0) {
        memberId = this.#tooFew[at] as string
        const count = (this.#given.get(memberId)?.length ?? 0) + 1
        if (count >= this.#least) {
          this.#tooFew.splice(at, 1)
          if (count < this.#most && this.#haveMost < this.#mayHaveMost) this.#atLeast.push(memberId)
        } else at++
        start = this.#tooFew.length === 0 ? 0 : at % this.#tooFew.length
      } else {
        at = this.#racks.nextMember(partition, this.#atLeast, 0)
        memberId = this.#atLeast[at]
        if (memberId !== undefined && (this.#given.get(memberId)?.length ?? 0) + 1 === this.#most) {
          this.#atLeast.splice(at, 1)
          if (++this.#haveMost === this.#mayHaveMost) this.#atLeast = []
        }
      }
      if (memberId === undefined) left.push(partition)
      else this.#give(partition, memberId)
    }
    return left
  }

  #assignInTurn(partitions: readonly OwnedPartition[]): void {
    let turn = 0
    for (const partition of partitions) {
      let memberId: string | undefined
      if (turn >= this.#tooFew.length) turn = 0
      if (this.#tooFew.length > 0) memberId = this.#tooFew[turn++]
      else memberId = this.#atLeast.shift()
      if (memberId === undefined) throw new InvariantError('sticky assignor: every member is full', { partition })
      const count = this.#give(partition, memberId)
      if (count === this.#least) {
        this.#tooFew.splice(--turn, 1)
        this.#atLeast.push(memberId)
      } else if (count === this.#most) this.#haveMost++
    }
  }

  #give(partition: OwnedPartition, memberId: string): number {
    const given = this.#given.get(memberId) as OwnedPartition[]
    given.push(partition)
    const before = this.#released.get(partition)
    if ((before !== undefined && before !== memberId) || this.#members.claimedTwice.has(partition)) {
      this.transferred.set(partition, memberId)
    }
    return given.length
  }
}
