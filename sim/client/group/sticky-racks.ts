/** What the sticky assignors know of racks (AbstractStickyAssignor.RackInfo, KIP-881). */

import {
  nameOf,
  racksOfMembers,
  shouldMatchRacks,
  type GroupSubscription,
  type PartitionsPerTopic,
} from './assignor.js'
import type { OwnedPartition } from './sticky-members.js'

export class StickyRacks {
  /** Member id → rack; empty when racks do not matter. */
  readonly members: ReadonlyMap<string, string>
  /** Partition → racks of its replicas; empty when racks do not matter. */
  readonly #partitions: ReadonlyMap<string, ReadonlySet<string>>
  /** Partition → how many members are in a rack of its replicas; known even where racks do not matter. */
  readonly #memberCounts = new Map<string, number>()

  constructor(partitions: PartitionsPerTopic, group: GroupSubscription) {
    const members = racksOfMembers(group)
    const inRack = new Map<string, number>()
    for (const rack of members.values()) inRack.set(rack, (inRack.get(rack) ?? 0) + 1)
    const racks = new Map<string, ReadonlySet<string>>()
    if (members.size > 0) {
      for (const ofTopic of partitions.values()) {
        for (const partition of ofTopic) racks.set(nameOf(partition), new Set(partition.racks))
      }
    }
    for (const [name, ofPartition] of racks) {
      let count = 0
      for (const rack of ofPartition) count += inRack.get(rack) ?? 0
      this.#memberCounts.set(name, count)
    }
    const all = new Set([...racks.values()].flatMap((ofPartition) => [...ofPartition]))
    const matter = shouldMatchRacks(new Set(inRack.keys()), all, racks.values())
    this.members = matter ? members : new Map()
    this.#partitions = matter ? racks : new Map()
  }

  get matter(): boolean {
    return this.members.size > 0
  }

  mismatch(memberId: string, partition: OwnedPartition): boolean {
    const rack = this.members.get(memberId)
    return rack !== undefined && !(this.#partitions.get(partition.name)?.has(rack) ?? false)
  }

  match(memberId: string, partition: OwnedPartition): boolean {
    const rack = this.members.get(memberId)
    return rack !== undefined && (this.#partitions.get(partition.name)?.has(rack) ?? false)
  }

  /** Partitions that few can have in their rack first. */
  sorted(partitions: readonly OwnedPartition[]): OwnedPartition[] {
    const count = ({ name }: OwnedPartition): number => this.#memberCounts.get(name) ?? 0
    return [...partitions].sort((a, b) => count(a) - count(b))
  }

  /** The first member from `start` on, going round, that is in a rack of the partition; -1: none. */
  nextMember(partition: OwnedPartition, members: readonly string[], start: number): number {
    for (let i = 0; i < members.length; i++) {
      const at = (start + i) % members.length
      if (this.match(members[at] as string, partition)) return at
    }
    return -1
  }
}
