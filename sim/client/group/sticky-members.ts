/**
 * What members say they own, as the sticky assignors take it (AbstractStickyAssignor.allSubscriptionsEqual).
 *
 * Of several members that claim a partition the one of the highest generation owns it; when they are of the same generation, nobody.
 */

import { partitionName } from '../../kernel/names.js'
import type { TopicPartition } from '../subscription-state.js'
import type { GroupSubscription, PartitionsPerTopic } from './assignor.js'
import { inJavaHashOrder } from './java-hash-order.js'

export const DEFAULT_GENERATION = -1

/** A partition that is the same object wherever it is met within one assignment. */
export interface OwnedPartition extends TopicPartition {
  readonly name: string
}

/** What a member's subscription says of its last assignment. */
export interface MemberData {
  readonly partitions: readonly TopicPartition[]
  /** Undefined when it did not tell. */
  readonly generation: number | undefined
}

export class PartitionTable {
  readonly #partitions = new Map<string, OwnedPartition>()

  get({ topic, index }: TopicPartition): OwnedPartition {
    const name = partitionName(topic, index)
    let partition = this.#partitions.get(name)
    if (partition === undefined) {
      partition = { topic, index, name }
      this.#partitions.set(name, partition)
    }
    return partition
  }
}

export interface StickyMembers {
  /** All members, in the order in which Kafka goes through them; with what they own. */
  readonly owned: Map<string, OwnedPartition[]>
  readonly claimedTwice: ReadonlySet<OwnedPartition>
  readonly haveEqualSubscriptions: boolean
  readonly highestGeneration: number
}

export function stickyMembers(
  partitions: PartitionsPerTopic,
  group: GroupSubscription,
  memberData: (memberId: string) => MemberData,
  table: PartitionTable,
): StickyMembers {
  const ids = inJavaHashOrder(group.keys())
  const owned = new Map<string, OwnedPartition[]>(ids.map((memberId) => [memberId, []]))
  const claimedTwice = new Set<OwnedPartition>()
  const owners = new Map<OwnedPartition, string>()
  let highestGeneration = DEFAULT_GENERATION
  for (const memberId of ids) {
    const { partitions: claimed, generation = DEFAULT_GENERATION } = memberData(memberId)
    highestGeneration = Math.max(highestGeneration, generation)
    for (const each of claimed) {
      if (!partitions.has(each.topic)) continue
      const partition = table.get(each)
      const other = owners.get(partition)
      if (other === undefined) owned.get(memberId)?.push(partition)
      else {
        const otherGeneration = group.get(other)?.generation ?? DEFAULT_GENERATION
        if (generation < otherGeneration) continue
        const kept = (owned.get(other) ?? []).filter((others) => others !== partition)
        owned.set(other, kept)
        if (generation === otherGeneration) claimedTwice.add(partition)
        else owned.get(memberId)?.push(partition)
      }
      owners.set(partition, memberId)
    }
  }
  return { owned, claimedTwice, haveEqualSubscriptions: areEqual(ids, group), highestGeneration }
}

function areEqual(ids: readonly string[], group: GroupSubscription): boolean {
  let first: ReadonlySet<string> | undefined
  for (const memberId of ids) {
    const topics = group.get(memberId)?.topics ?? []
    if (first === undefined || first.size === 0) first = new Set(topics)
    else if (topics.length !== first.size || !topics.every((topic) => first?.has(topic))) return false
  }
  return true
}
