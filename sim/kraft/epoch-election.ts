/**
 * The count of one election's votes: each voter has granted, rejected or not answered (Kafka's EpochElection).
 *
 * Granted with a majority of grants; rejected once so many rejected that a majority can no longer be had.
 */

import { assert } from '../kernel/errors.js'
import type { NodeId } from '../kernel/units.js'
import type { Voter, VoterSet } from './voter-set.js'

export class EpochElection {
  readonly #voters: readonly Voter[]
  readonly #votes = new Map<NodeId, boolean>()
  #granted = 0

  constructor(voters: VoterSet) {
    this.#voters = voters.voters
  }

  /** The latest answer of a voter counts. */
  record(voterId: NodeId, granted: boolean): void {
    assert(
      this.#voters.some((voter) => voter.id === voterId),
      'election: vote of a stranger',
      { voterId },
    )
    if (this.#votes.get(voterId) === true) this.#granted--
    this.#votes.set(voterId, granted)
    if (granted) this.#granted++
  }

  vote(voterId: NodeId): boolean | undefined {
    return this.#votes.get(voterId)
  }

  get isGranted(): boolean {
    return this.#granted >= this.#majority
  }

  get isRejected(): boolean {
    return this.#granted + this.#voters.length - this.#votes.size < this.#majority
  }

  /** Voters that have not answered, by id. */
  unrecorded(): readonly Voter[] {
    return this.#voters.filter((voter) => !this.#votes.has(voter.id))
  }

  /** Ids that granted, ascending. */
  granting(): readonly NodeId[] {
    return this.#voters.filter((voter) => this.#votes.get(voter.id) === true).map((voter) => voter.id)
  }

  get #majority(): number {
    return Math.floor(this.#voters.length / 2) + 1
  }
}
