/** Transitions, votes and the state after a restart. Cases of Kafka's QuorumStateTest and of the tests of each EpochState. */

import { describe, expect, it } from 'vitest'
import { LeaderState } from '../../sim/kraft/leader-state.js'
import type { CandidateState, EpochState, QuorumContext } from '../../sim/kraft/quorum-state.js'
import {
  answerVote,
  electionOf,
  highWatermarkOf,
  initialState,
  toCandidate,
  toFollower,
  toLeader,
  toProspective,
  toResigned,
  toUnattached,
  withVote,
} from '../../sim/kraft/quorum-state.js'
import type { ReplicaKey, Voter } from '../../sim/kraft/voter-set.js'
import { NO_DIRECTORY_ID, VoterSet } from '../../sim/kraft/voter-set.js'

const VOTERS: readonly Voter[] = [1, 2, 3].map((id) => ({ id, node: `c${id}`, directoryId: `directory-${id}` }))
const EMPTY = { offset: 0, epoch: 0 }

class Context implements QuorumContext {
  readonly local: ReplicaKey
  readonly voters = new VoterSet(VOTERS)
  readonly fetchTimeoutMs = 2_000
  now = 0
  timeout = 1_500

  constructor(id = 1, directoryId = `directory-${id}`) {
    this.local = { id, directoryId }
  }

  nowMs(): number {
    return this.now
  }

  randomElectionTimeoutMs(): number {
    return this.timeout
  }
}

function key(id: number): ReplicaKey {
  return { id, directoryId: `directory-${id}` }
}

function unattached(context: Context, epoch = 5): EpochState {
  return initialState(context, { epoch, leaderId: -1, votedKey: null }, EMPTY)
}

function candidate(context: Context): CandidateState {
  return toCandidate(context, toProspective(context, unattached(context)))
}

function leader(context: Context): EpochState & { name: 'leader' } {
  const from = candidate(context)
  from.election.record(2, true)
  const { epoch } = from
  const { local, voters, fetchTimeoutMs } = context
  const grantingVoters = from.election.granting()
  return toLeader(
    context,
    from,
    new LeaderState({ local, epoch, epochStartOffset: 0, voters, grantingVoters, fetchTimeoutMs, nowMs: 0 }),
  )
}

describe('the state after a restart', () => {
  it('is unattached at epoch 0 without a file', () => {
    expect(initialState(new Context(), undefined, EMPTY)).toMatchObject({
      name: 'unattached',
      epoch: 0,
      leaderId: -1,
      votedKey: null,
    })
  })

  it('is unattached at the epoch of the log when the file is older', () => {
    const stored = { epoch: 3, leaderId: 2, votedKey: key(1) }
    expect(initialState(new Context(), stored, { offset: 10, epoch: 4 })).toMatchObject({
      name: 'unattached',
      epoch: 4,
      votedKey: null,
    })
  })

  it('is resigned when it led that epoch, and stays its leader for others', () => {
    const context = new Context()
    const state = initialState(context, { epoch: 5, leaderId: 1, votedKey: null }, EMPTY)
    expect(state.name).toBe('resigned')
    expect(electionOf(state, context.local)).toEqual({ epoch: 5, leaderId: 1, votedKey: null })
    expect(state).toMatchObject({ unackedVoters: new Set([2, 3]), preferredSuccessors: [] })
  })

  it('is candidate when it had voted for itself', () => {
    const state = initialState(new Context(), { epoch: 5, leaderId: -1, votedKey: key(1) }, EMPTY)
    expect(state).toMatchObject({ name: 'candidate', epoch: 5 })
  })

  it('is candidate even when it followed another in that epoch: the vote is looked at first', () => {
    const state = initialState(new Context(), { epoch: 5, leaderId: 2, votedKey: key(1) }, EMPTY)
    expect(state).toMatchObject({ name: 'candidate', epoch: 5 })
  })

  it('is not candidate by a vote for its id with another directory', () => {
    const context = new Context(1, 'directory-new')
    const state = initialState(context, { epoch: 5, leaderId: -1, votedKey: key(1) }, EMPTY)
    expect(state).toMatchObject({ name: 'unattached', epoch: 5, votedKey: key(1) })
  })

  it('is follower of the leader that it knew, and keeps its vote', () => {
    const state = initialState(new Context(), { epoch: 5, leaderId: 2, votedKey: key(3) }, EMPTY)
    expect(state).toMatchObject({ name: 'follower', epoch: 5, leaderId: 2, votedKey: key(3), highWatermark: -1 })
  })

  it('is unattached with its vote when it knew no leader', () => {
    const state = initialState(new Context(), { epoch: 5, leaderId: -1, votedKey: key(3) }, EMPTY)
    expect(state).toMatchObject({ name: 'unattached', epoch: 5, votedKey: key(3) })
  })

  it('never times out for an observer', () => {
    const context = new Context(9)
    const state = initialState(context, undefined, EMPTY)
    context.now = 1e12
    expect(state.name === 'unattached' && state.electionTimer.isExpired(context.now)).toBe(false)
  })
})

describe('transitions', () => {
  it('keep the vote within an epoch and forget it in the next', () => {
    const context = new Context()
    const voted = withVote(context, unattached(context) as never, key(2))
    expect(toProspective(context, voted)).toMatchObject({ epoch: 5, votedKey: key(2) })
    expect(toFollower(context, voted, 5, 3)).toMatchObject({ epoch: 5, votedKey: key(2), leaderId: 3 })
    expect(toFollower(context, voted, 6, 3)).toMatchObject({ epoch: 6, votedKey: null })
    expect(toUnattached(context, voted, 6, -1)).toMatchObject({ epoch: 6, votedKey: null })
  })

  it('carry the time that is left of an election timeout to the next epoch, but start it anew with a vote', () => {
    const context = new Context()
    const state = unattached(context)
    context.now = 1_000
    const next = toUnattached(context, state, 6, -1)
    expect(next.electionTimer.remainingMs(context.now)).toBe(500)
    expect(withVote(context, next, key(2)).electionTimer.remainingMs(context.now)).toBe(1_500)
  })

  it('start the timeout anew for who was follower, leader, or lost its pre-vote', () => {
    const context = new Context()
    const prospective = toProspective(context, unattached(context))
    context.now = 1_000
    const timedOut = toUnattached(context, prospective, 5, -1)
    expect(timedOut.electionTimer.remainingMs(context.now)).toBe(500)
    prospective.election.record(2, false)
    prospective.election.record(3, false)
    expect(toUnattached(context, prospective, 5, -1).electionTimer.remainingMs(context.now)).toBe(1_500)
    const follower = toFollower(context, unattached(context), 5, 2)
    expect(toUnattached(context, follower, 6, -1).electionTimer.remainingMs(context.now)).toBe(1_500)
  })

  it('raise the epoch for a candidate only', () => {
    const context = new Context()
    const follower = toFollower(context, unattached(context), 5, 2)
    const prospective = toProspective(context, follower)
    expect(prospective).toMatchObject({ epoch: 5, leaderId: 2 })
    const next = toCandidate(context, prospective)
    expect(next.epoch).toBe(6)
    expect(electionOf(next, context.local)).toEqual({ epoch: 6, leaderId: -1, votedKey: key(1) })
  })

  it('keep the high watermark, but not for a leader nor after a resignation', () => {
    const context = new Context()
    const follower = toFollower(context, unattached(context), 5, 2)
    follower.highWatermark = 7
    expect(highWatermarkOf(toCandidate(context, toProspective(context, follower)))).toBe(7)
    expect(highWatermarkOf(toUnattached(context, follower, 6, -1))).toBe(7)
    const led = leader(context)
    expect(highWatermarkOf(led)).toBe(-1)
    expect(highWatermarkOf(toUnattached(context, toResigned(context, led, []), 7, -1))).toBe(-1)
  })

  it('that the table does not allow are refused', () => {
    const context = new Context()
    const follower = toFollower(context, unattached(context), 5, 2)
    expect(() => toCandidate(context, follower)).toThrow('transition')
    expect(() => toFollower(context, follower, 5, 3)).toThrow('transition')
    expect(() => toFollower(context, follower, 4, 3)).toThrow('transition')
    expect(() => toUnattached(context, follower, 5, -1)).toThrow('same epoch')
    expect(() => toProspective(context, leader(context))).toThrow('transition')
    expect(() => toFollower(context, leader(context), 6, 2)).toThrow('transition')
    expect(() => toLeader(context, candidate(context), undefined as never)).toThrow('majority')
    expect(() => toProspective(new Context(9), unattached(new Context(9)))).toThrow('stranger')
  })

  it('never make a replica its own follower', () => {
    const context = new Context()
    expect(() => toFollower(context, unattached(context), 6, 1)).toThrow('cannot follow itself')
  })

  it('give no second vote, and none to itself', () => {
    const context = new Context()
    const voted = withVote(context, unattached(context) as never, key(2))
    expect(() => withVote(context, voted, key(3))).toThrow('twice')
    expect(() => withVote(context, unattached(context) as never, key(1))).toThrow('own request')
  })
})

describe('a vote', () => {
  const context = new Context()
  const free = unattached(context)
  const voted = withVote(context, free as never, key(2))
  const follower = toFollower(context, free, 5, 2)
  const prospective = toProspective(context, follower)

  it('goes to an up-to-date log when there is no vote and no leader', () => {
    expect(answerVote(free, key(2), true, false).granted).toBe(true)
    expect(answerVote(free, key(2), false, false)).toEqual({ granted: false, reason: 'log-behind' })
    expect(answerVote(toProspective(context, free), key(2), true, false).granted).toBe(true)
  })

  it('is given again to the same replica, whatever its log, and to no other', () => {
    expect(answerVote(voted, key(2), false, false).granted).toBe(true)
    expect(answerVote(voted, key(3), true, false)).toEqual({ granted: false, reason: 'voted-for-another' })
    expect(answerVote(voted, { id: 2, directoryId: 'directory-other' }, true, false).granted).toBe(false)
  })

  it('for an id of unknown directory is a vote for every directory of that id', () => {
    const old = withVote(context, free as never, { id: 2, directoryId: NO_DIRECTORY_ID })
    expect(answerVote(old, key(2), true, false).granted).toBe(true)
  })

  it('is denied by whoever knows a leader of the epoch, leads, is candidate or has resigned', () => {
    expect(answerVote(follower, key(3), true, false)).toEqual({ granted: false, reason: 'knows-leader' })
    expect(answerVote(prospective, key(3), true, false)).toEqual({ granted: false, reason: 'knows-leader' })
    expect(answerVote(leader(context), key(3), true, false).granted).toBe(false)
    expect(answerVote(candidate(context), key(3), true, false).granted).toBe(false)
    expect(answerVote(toResigned(context, leader(context), []), key(3), true, false).granted).toBe(false)
  })
})

describe('a pre-vote', () => {
  const context = new Context()
  const free = unattached(context)

  it('needs an up-to-date log only, also of who has voted, is candidate, has resigned or lost its leader', () => {
    const voted = withVote(context, free as never, key(2))
    const prospective = toProspective(context, toFollower(context, free, 5, 2))
    for (const state of [free, voted, prospective, candidate(context), toResigned(context, leader(context), [])]) {
      expect(answerVote(state, key(3), true, true).granted, state.name).toBe(true)
      expect(answerVote(state, key(3), false, true).granted, state.name).toBe(false)
    }
  })

  it('is denied by a leader', () => {
    expect(answerVote(leader(context), key(3), true, true)).toEqual({ granted: false, reason: 'leader' })
  })

  it('is granted by a follower until it has fetched from its leader', () => {
    const follower = toFollower(context, free, 5, 2)
    expect(answerVote(follower, key(3), true, true).granted).toBe(true)
    expect(answerVote(follower, key(3), false, true).granted).toBe(false)
    follower.hasFetchedFromLeader = true
    expect(answerVote(follower, key(3), true, true)).toEqual({ granted: false, reason: 'fetches-from-leader' })
  })
})

describe('an election', () => {
  it('is granted by a majority with its own vote, and rejected when no majority is left', () => {
    const { election } = candidate(new Context())
    expect([election.isGranted, election.isRejected]).toEqual([false, false])
    election.record(2, false)
    expect([election.isGranted, election.isRejected]).toEqual([false, false])
    expect(election.unrecorded().map((voter) => voter.id)).toEqual([3])
    election.record(3, false)
    expect([election.isGranted, election.isRejected]).toEqual([false, true])
    election.record(3, true)
    expect([election.isGranted, election.isRejected, election.granting()]).toEqual([true, false, [1, 3]])
  })
})
