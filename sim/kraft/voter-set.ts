/**
 * Who votes: replicas of the metadata quorum, each known by its id and its directory id (KIP-853).
 *
 * A controller that lost its disk comes back with another directory id and is no longer a voter, so that it cannot vote twice.
 * The set is fixed for a run; it is written to the log by the first leader (KRaft version 1), from the bootstrap snapshot.
 */

import { assert } from '../kernel/errors.js'
import type { NodeName } from '../kernel/names.js'
import type { NodeId } from '../kernel/units.js'

/** Kafka's zero Uuid: the directory is not known. */
export const NO_DIRECTORY_ID = 'AAAAAAAAAAAAAAAAAAAAAA'

export interface ReplicaKey {
  readonly id: NodeId
  /** NO_DIRECTORY_ID when unknown. */
  readonly directoryId: string
}

export interface Voter extends ReplicaKey {
  /** Where it listens: its host name. */
  readonly node: NodeName
}

export class VoterSet {
  /** By id. */
  readonly voters: readonly Voter[]

  constructor(voters: readonly Voter[]) {
    this.voters = voters.slice().sort((a, b) => a.id - b.id)
    const ids = new Set(voters.map((voter) => voter.id))
    assert(ids.size === voters.length, 'voter set: an id twice', { voters })
  }

  get size(): number {
    return this.voters.length
  }

  byId(id: NodeId): Voter | undefined {
    return this.voters.find((voter) => voter.id === id)
  }

  has(key: ReplicaKey): boolean {
    const voter = this.byId(key.id)
    return voter !== undefined && matchesKey(voter, key)
  }

  isOnlyVoter(key: ReplicaKey): boolean {
    return this.voters.length === 1 && this.has(key)
  }
}

/** True when `key` names the replica `known`, whose directory may be unknown. */
export function matchesKey(known: ReplicaKey, key: ReplicaKey): boolean {
  return known.id === key.id && (known.directoryId === NO_DIRECTORY_ID || known.directoryId === key.directoryId)
}

/** Order by id, then by directory id. */
export function compareKeys(a: ReplicaKey, b: ReplicaKey): number {
  if (a.id !== b.id) return a.id - b.id
  return a.directoryId < b.directoryId ? -1 : a.directoryId > b.directoryId ? 1 : 0
}
