/**
 * What the assignors of classic groups have in common (Kafka's ConsumerPartitionAssignor, AbstractPartitionAssignor).
 *
 * The leader of a group is given everybody's subscription and works out who gets what. An assignor lives as long as its consumer:
 * the sticky ones remember what they were given, and tell the next leader.
 */

import { partitionName } from '../../kernel/names.js'
import type { TopicPartition } from '../subscription-state.js'

/** `eager` members give everything up before they join; `cooperative` ones only what the assignment takes (KIP-429). */
export type RebalanceProtocol = 'eager' | 'cooperative'

/** What a member told the leader. */
export interface MemberSubscription {
  readonly topics: readonly string[]
  readonly userData: Uint8Array | null
  readonly owned: readonly TopicPartition[]
  /** Of the assignment that `owned` comes from; -1: not known. */
  readonly generation: number
  /** client.rack, or null. */
  readonly rack: string | null
  /** group.instance.id, or null. */
  readonly instanceId: string | null
}

/** Member id → subscription. */
export type GroupSubscription = ReadonlyMap<string, MemberSubscription>

export interface AssignablePartition extends TopicPartition {
  /** Racks of its replicas, as far as they are known. */
  readonly racks: readonly string[]
}

/** Topic → its partitions in order; topics that do not exist are missing. */
export type PartitionsPerTopic = ReadonlyMap<string, readonly AssignablePartition[]>

/** Member id → partitions by name, in the order in which the assignor gave them. Every member is there. */
export type Assignments = Map<string, string[]>

export interface Assignor {
  readonly name: string
  readonly protocols: readonly RebalanceProtocol[]
  /** For the next leader, beside the subscription. */
  userData(): Uint8Array | null
  /** This member was given these partitions. */
  onAssignment(partitions: readonly TopicPartition[], generation: number): void
  assign(partitions: PartitionsPerTopic, group: GroupSubscription): Assignments
}

/** Order of Java's String.compareTo. */
export function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Static members by their instance id, before all others by member id (MemberInfo.compareTo). */
export function membersInOrder(memberIds: Iterable<string>, group: GroupSubscription): string[] {
  return [...memberIds].sort((a, b) => {
    const one = group.get(a)?.instanceId ?? null
    const other = group.get(b)?.instanceId ?? null
    if (one !== null && other !== null) return byCodeUnit(one, other) || byCodeUnit(a, b)
    if (one !== null) return -1
    return other !== null ? 1 : byCodeUnit(a, b)
  })
}

/** Member id → rack, of members that have one. */
export function racksOfMembers(group: GroupSubscription): Map<string, string> {
  const racks = new Map<string, string>()
  for (const [memberId, { rack }] of group) if (rack !== null && rack !== '') racks.set(memberId, rack)
  return racks
}

/** Racks matter when members share some with partitions, and not every partition is in all of the racks (KIP-881). */
export function shouldMatchRacks(
  memberRacks: ReadonlySet<string>,
  partitionRacks: ReadonlySet<string>,
  racksPerPartition: Iterable<ReadonlySet<string>>,
): boolean {
  let shared = false
  for (const rack of memberRacks) shared ||= partitionRacks.has(rack)
  if (!shared) return false
  for (const racks of racksPerPartition) if (racks.size !== partitionRacks.size) return true
  return false
}

export function nameOf({ topic, index }: TopicPartition): string {
  return partitionName(topic, index)
}
