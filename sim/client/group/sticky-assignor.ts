/**
 * The sticky assignors: as even as can be, and as much as possible stays where it was (StickyAssignor, CooperativeStickyAssignor; KIP-54, KIP-429).
 *
 * `sticky` members tell the leader what they were given by user data, `cooperative-sticky` ones by the partitions they own. The latter's
 * assignment leaves out what somebody else still owns: that is given by the next rebalance, once it was let go.
 *
 *     user data of sticky               previous_assignment [{topic string, partitions [i32]}] · generation i32 (not in the oldest version)
 *     user data of cooperative-sticky   generation i32
 */

import { MalformedBytes, ByteReader, ByteWriter } from '../../wire/primitives.js'
import type { TopicPartition } from '../subscription-state.js'
import type { Assignments, Assignor, GroupSubscription, MemberSubscription, PartitionsPerTopic } from './assignor.js'
import { ConstrainedAssignment } from './constrained-assignment.js'
import { readPartitions, writePartitions } from './consumer-protocol.js'
import { GeneralAssignment } from './general-assignment.js'
import {
  DEFAULT_GENERATION,
  PartitionTable,
  stickyMembers,
  type MemberData,
  type OwnedPartition,
} from './sticky-members.js'
import { StickyRacks } from './sticky-racks.js'

interface StickyAssignment {
  readonly given: ReadonlyMap<string, readonly OwnedPartition[]>
  /** Partition → new owner, of those that somebody else still has. */
  readonly transferred: ReadonlyMap<OwnedPartition, string>
}

export class StickyAssignor implements Assignor {
  readonly name = 'sticky'
  readonly protocols = ['eager'] as const
  readonly #core = new StickyCore()
  #given: readonly TopicPartition[] | undefined
  #generation = DEFAULT_GENERATION

  userData(): Uint8Array | null {
    return this.#given === undefined ? null : encodeStickyUserData(this.#given, this.#generation)
  }

  onAssignment(partitions: readonly TopicPartition[], generation: number): void {
    this.#given = partitions
    this.#generation = generation
  }

  assign(partitions: PartitionsPerTopic, group: GroupSubscription): Assignments {
    const { given } = this.#core.assign(partitions, group, ({ userData }) => decodeStickyUserData(userData))
    return new Map([...given].map(([memberId, list]) => [memberId, list.map(({ name }) => name)]))
  }
}

export class CooperativeStickyAssignor implements Assignor {
  readonly name = 'cooperative-sticky'
  readonly protocols = ['cooperative', 'eager'] as const
  readonly #core = new StickyCore()
  #generation = DEFAULT_GENERATION

  userData(): Uint8Array {
    const writer = new ByteWriter(4)
    writer.int32(this.#generation)
    return writer.finish()
  }

  onAssignment(_partitions: readonly TopicPartition[], generation: number): void {
    this.#generation = generation
  }

  assign(partitions: PartitionsPerTopic, group: GroupSubscription): Assignments {
    const { given, transferred } = this.#core.assign(partitions, group, cooperativeMemberData)
    const assignments: Assignments = new Map()
    for (const [memberId, list] of given) {
      const kept = list.filter((partition) => transferred.get(partition) !== memberId)
      assignments.set(
        memberId,
        kept.map(({ name }) => name),
      )
    }
    return assignments
  }
}

/** AbstractStickyAssignor. */
class StickyCore {
  /** Ever met. */
  #highestGeneration = DEFAULT_GENERATION

  assign(
    partitions: PartitionsPerTopic,
    group: GroupSubscription,
    memberDataOf: (subscription: MemberSubscription) => MemberData,
  ): StickyAssignment {
    const table = new PartitionTable()
    const memberData = (memberId: string): MemberData => memberDataOf(group.get(memberId) as MemberSubscription)
    const members = stickyMembers(partitions, group, memberData, table)
    this.#highestGeneration = Math.max(this.#highestGeneration, members.highestGeneration)
    const racks = new StickyRacks(partitions, group)
    if (members.haveEqualSubscriptions) {
      const constrained = new ConstrainedAssignment(partitions, table, racks, members)
      return { given: constrained.build(), transferred: constrained.transferred }
    }
    const general = new GeneralAssignment(partitions, table, racks, members.owned, group)
    const given = general.build(memberData, this.#highestGeneration)
    return { given, transferred: transfers(given, group, table) }
  }
}

/** What one member is given and another one, that owned it, is not. */
function transfers(
  given: ReadonlyMap<string, readonly OwnedPartition[]>,
  group: GroupSubscription,
  table: PartitionTable,
): ReadonlyMap<OwnedPartition, string> {
  const added = new Map<OwnedPartition, string>()
  const revoked = new Set<OwnedPartition>()
  for (const [memberId, list] of given) {
    const owned = (group.get(memberId)?.owned ?? []).map((partition) => table.get(partition))
    for (const partition of list) if (!owned.includes(partition)) added.set(partition, memberId)
    for (const partition of owned) if (!list.includes(partition)) revoked.add(partition)
  }
  return new Map([...added].filter(([partition]) => revoked.has(partition)))
}

// ── user data ───────────────────────────────────────────────────────────────────────────────────────────────────────

export function encodeStickyUserData(
  partitions: readonly TopicPartition[],
  generation: number | undefined,
): Uint8Array {
  const writer = new ByteWriter(64)
  writePartitions(writer, partitions)
  writer.int32(generation ?? DEFAULT_GENERATION)
  return writer.finish()
}

export function decodeStickyUserData(userData: Uint8Array | null): MemberData {
  if (userData === null || userData.length === 0) return { partitions: [], generation: undefined }
  try {
    const reader = new ByteReader(userData)
    const partitions = readPartitions(reader)
    return { partitions, generation: reader.remaining >= 4 ? reader.int32() : undefined }
  } catch (error) {
    if (!(error instanceof MalformedBytes)) throw error
    return { partitions: [], generation: DEFAULT_GENERATION }
  }
}

function cooperativeMemberData({ owned, generation, userData }: MemberSubscription): MemberData {
  if (generation !== DEFAULT_GENERATION) return { partitions: owned, generation }
  if (userData === null) return { partitions: owned, generation: undefined }
  const encoded = userData.length >= 4 ? new ByteReader(userData).int32() : DEFAULT_GENERATION
  return { partitions: owned, generation: encoded }
}
