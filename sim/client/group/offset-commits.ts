/** What is committed, and who commits it. */

import type { Epoch, Offset } from '../../kernel/units.js'

/** A position as it is committed. */
export interface OffsetAndMetadata {
  readonly offset: Offset
  /** Of the last record before the offset; -1 or left out: not known. */
  readonly leaderEpoch?: Epoch
  readonly metadata?: string
}

/** Partition → position to be committed. */
export type Offsets = ReadonlyMap<string, OffsetAndMetadata>

/** A member's identity, as a transaction that commits offsets for it needs it. */
export interface GroupMetadata {
  readonly groupId: string
  /** Empty while it is not a member. */
  readonly memberId: string
  /** The member epoch under KIP-848; -1 while it is not a member. */
  readonly generation: number
  readonly groupInstanceId: string | null
}
