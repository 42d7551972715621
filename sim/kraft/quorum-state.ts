/**
 * The state of one replica of the metadata quorum, and every transition that it may take (Kafka's QuorumState and the
 * EpochState classes; KIP-595, KIP-996 for Prospective, KIP-853 for vote keys). Pure: no disk, no network.
 *
 *   from \ to     unattached  prospective  candidate  leader  follower  resigned     `>` at a larger epoch
 *   unattached        >=           =           .         .       >=        .         `=` at the same epoch
 *   prospective       >=           =           >         .       >=        .         `.` never
 *   candidate         >            =           .         =       >=        .
 *   leader            >            .           .         .       >         =
 *   follower          >            =           .         .       >         .
 *   resigned          >            =           .         .       >         .
 *
 *   unattached  → unattached   a larger epoch was seen, or (=) a vote was given; → prospective: the election timeout ended
 *   prospective → candidate    a majority granted the pre-vote; → prospective (=): it gave a binding vote
 *               → follower, unattached (=)   the pre-vote was lost, back to the leader it knew or to none
 *   candidate   → leader       a majority granted the vote; → prospective: the election timeout ended
 *   follower    → prospective  no successful fetch for the fetch timeout
 *   leader      → resigned     shutdown, resignation, or no majority fetched for 1.5 fetch timeouts
 *   resigned    → unattached   the election timeout ended (at its epoch + 1)
 *   resigned    → prospective  only at start, by the only voter
 *   Observers (not in the voter set) are unattached or follower and never time out.
 *
 * Invariants. The epoch never goes down. A voter gives at most one vote an epoch: epoch, vote and leader are on disk before
 * anybody hears of them, and a vote survives every transition within its epoch. An epoch has at most one leader.
 * A replica that led an epoch restarts as resigned, and neither votes nor leads in that epoch again: so (offset, epoch)
 * names one record even when unflushed records were lost. The high watermark travels along, except to a leader, which
 * must commit a record of its own epoch first.
 */

import { assert } from '../kernel/errors.js'
import type { Epoch, Millis, NodeId, Offset } from '../kernel/units.js'
import { LONG_MAX } from '../kernel/units.js'
import { EpochElection } from './epoch-election.js'
import type { LeaderState } from './leader-state.js'
import { RaftFault } from './raft-fault.js'
import type { SnapshotDownload } from './snapshot-file.js'
import type { ReplicaKey, VoterSet } from './voter-set.js'
import { matchesKey } from './voter-set.js'
import { WallTimer } from './wall-timer.js'

export const NO_LEADER_ID: NodeId = -1
/** The high watermark is not known. */
export const NO_HIGH_WATERMARK: Offset = -1

export interface OffsetAndEpoch {
  readonly offset: Offset
  readonly epoch: Epoch
}

/** What is on disk: enough to keep a replica's promises after a crash. */
export interface ElectionState {
  readonly epoch: Epoch
  readonly leaderId: NodeId
  readonly votedKey: ReplicaKey | null
}

export interface UnattachedState {
  readonly name: 'unattached'
  readonly epoch: Epoch
  /** Known after a lost pre-vote, when the leader's address is not. */
  readonly leaderId: NodeId
  readonly votedKey: ReplicaKey | null
  readonly highWatermark: Offset
  readonly electionTimer: WallTimer
}

export interface ProspectiveState {
  readonly name: 'prospective'
  readonly epoch: Epoch
  /** The leader that it lost touch with. */
  readonly leaderId: NodeId
  readonly votedKey: ReplicaKey | null
  readonly highWatermark: Offset
  readonly electionTimer: WallTimer
  readonly election: EpochElection
}

export interface CandidateState {
  readonly name: 'candidate'
  readonly epoch: Epoch
  readonly highWatermark: Offset
  readonly electionTimer: WallTimer
  readonly election: EpochElection
}

export interface LeaderEpochState {
  readonly name: 'leader'
  readonly epoch: Epoch
  readonly leadership: LeaderState
}

export interface FollowerState {
  readonly name: 'follower'
  readonly epoch: Epoch
  readonly leaderId: NodeId
  readonly votedKey: ReplicaKey | null
  readonly fetchTimer: WallTimer
  highWatermark: Offset
  /** It may grant pre-votes until its first successful fetch from this leader. */
  hasFetchedFromLeader: boolean
  fetchingSnapshot: SnapshotDownload | undefined
}

export interface ResignedState {
  readonly name: 'resigned'
  readonly epoch: Epoch
  readonly electionTimer: WallTimer
  /** Voters that have not acknowledged the resignation. */
  readonly unackedVoters: Set<NodeId>
  /** By descending end offset. */
  readonly preferredSuccessors: readonly ReplicaKey[]
}

export type EpochState =
  UnattachedState | ProspectiveState | CandidateState | LeaderEpochState | FollowerState | ResignedState

/** What transitions draw on. */
export interface QuorumContext {
  readonly local: ReplicaKey
  readonly voters: VoterSet
  readonly fetchTimeoutMs: Millis
  nowMs(): Millis
  /** Election timeout plus a random part as long. */
  randomElectionTimeoutMs(): Millis
}

type Rule = '=' | '>' | '>='

const TRANSITIONS: Readonly<Record<EpochState['name'], Partial<Record<EpochState['name'], Rule>>>> = {
  unattached: { unattached: '>=', prospective: '=', follower: '>=' },
  prospective: { unattached: '>=', prospective: '=', candidate: '>', follower: '>=' },
  candidate: { unattached: '>', prospective: '=', leader: '=', follower: '>=' },
  leader: { unattached: '>', follower: '>', resigned: '=' },
  follower: { unattached: '>', prospective: '=', follower: '>' },
  resigned: { unattached: '>', prospective: '=', follower: '>' },
}

/** Every transition passes here. */
function allowed<S extends EpochState>(context: QuorumContext, from: EpochState, to: S): S {
  const rule = TRANSITIONS[from.name][to.name]
  const fits = rule === '=' ? to.epoch === from.epoch : rule === '>' ? to.epoch > from.epoch : to.epoch >= from.epoch
  assert(rule !== undefined && fits, 'quorum: transition', {
    from: from.name,
    at: from.epoch,
    to: to.name,
    epoch: to.epoch,
  })
  assert(isVoter(context) || to.name === 'unattached' || to.name === 'follower', 'quorum: observer', { to: to.name })
  return to
}

function isVoter(context: QuorumContext): boolean {
  return context.voters.has(context.local)
}

/** The state to start in, from what is on disk and where the log ends. */
export function initialState(
  context: QuorumContext,
  stored: ElectionState | undefined,
  logEnd: OffsetAndEpoch,
): EpochState {
  const election = stored ?? { epoch: 0, leaderId: NO_LEADER_ID, votedKey: null }
  if (election.epoch < logEnd.epoch) return unattached(context, logEnd.epoch, NO_LEADER_ID, null)
  if (election.leaderId === context.local.id) return resigned(context, election.epoch, [])
  if (election.votedKey !== null && matchesKey(election.votedKey, context.local) && isVoter(context)) {
    return candidate(context, election.epoch, NO_HIGH_WATERMARK)
  }
  if (election.leaderId === NO_LEADER_ID || context.voters.byId(election.leaderId) === undefined) {
    return unattached(context, election.epoch, election.leaderId, election.votedKey)
  }
  return follower(context, election.epoch, election.leaderId, election.votedKey, NO_HIGH_WATERMARK)
}

/** A larger epoch was seen, or a pre-vote was lost with no leader to go back to. */
export function toUnattached(
  context: QuorumContext,
  from: EpochState,
  epoch: Epoch,
  leaderId: NodeId,
): UnattachedState {
  assert(epoch > from.epoch || from.name === 'prospective', 'quorum: unattached in the same epoch', {
    from: from.name,
    epoch,
  })
  const votedKey = epoch === from.epoch ? electionOf(from, context.local).votedKey : null
  const timeoutMs = remainingElectionMs(context, from)
  return allowed(context, from, unattached(context, epoch, leaderId, votedKey, highWatermarkOf(from), timeoutMs))
}

/** The time that the replica still had goes on; it starts anew for those that had none. */
function remainingElectionMs(context: QuorumContext, from: EpochState): Millis {
  const remains =
    from.name === 'candidate' ||
    from.name === 'unattached' ||
    from.name === 'resigned' ||
    (from.name === 'prospective' && !from.election.isRejected)
  return remains ? from.electionTimer.remainingMs(context.nowMs()) : context.randomElectionTimeoutMs()
}

/** A binding vote, given while unattached or prospective; the election timeout starts again. */
export function withVote(
  context: QuorumContext,
  from: UnattachedState | ProspectiveState,
  votedKey: ReplicaKey,
): UnattachedState | ProspectiveState {
  assert(votedKey.id !== context.local.id, 'quorum: granted its own request', { votedKey })
  assert(from.votedKey === null, 'quorum: voted twice', { epoch: from.epoch, votedKey })
  const electionTimer = electionTimeout(context)
  if (from.name === 'unattached') return allowed(context, from, { ...from, votedKey, electionTimer })
  return allowed(context, from, { ...from, votedKey, electionTimer, election: ownElection(context) })
}

export function toProspective(context: QuorumContext, from: EpochState): ProspectiveState {
  const { leaderId, votedKey } = electionOf(from, context.local)
  return allowed(context, from, {
    name: 'prospective',
    epoch: from.epoch,
    leaderId,
    votedKey,
    highWatermark: highWatermarkOf(from),
    electionTimer: electionTimeout(context),
    election: ownElection(context),
  })
}

export function toCandidate(context: QuorumContext, from: EpochState): CandidateState {
  return allowed(context, from, candidate(context, from.epoch + 1, highWatermarkOf(from)))
}

export function toLeader(context: QuorumContext, from: CandidateState, leadership: LeaderState): LeaderEpochState {
  assert(from.election.isGranted, 'quorum: leader without a majority', { epoch: from.epoch })
  return allowed(context, from, { name: 'leader', epoch: from.epoch, leadership })
}

/** @throws RaftFault when the leader is said to be this replica. */
export function toFollower(context: QuorumContext, from: EpochState, epoch: Epoch, leaderId: NodeId): FollowerState {
  if (leaderId === context.local.id) throw new RaftFault(`cannot follow itself at epoch ${epoch}`)
  const votedKey = epoch === from.epoch ? electionOf(from, context.local).votedKey : null
  return allowed(context, from, follower(context, epoch, leaderId, votedKey, highWatermarkOf(from)))
}

export function toResigned(
  context: QuorumContext,
  from: LeaderEpochState,
  preferredSuccessors: readonly ReplicaKey[],
): ResignedState {
  return allowed(context, from, resigned(context, from.epoch, preferredSuccessors))
}

/** What goes to disk, and what leader and epoch others are told. */
export function electionOf(state: EpochState, local: ReplicaKey): ElectionState {
  const { epoch } = state
  switch (state.name) {
    case 'unattached':
    case 'prospective':
    case 'follower':
      return { epoch, leaderId: state.leaderId, votedKey: state.votedKey }
    case 'candidate':
      return { epoch, leaderId: NO_LEADER_ID, votedKey: { id: local.id, directoryId: local.directoryId } }
    case 'leader':
    case 'resigned':
      return { epoch, leaderId: local.id, votedKey: null }
  }
}

/** NO_HIGH_WATERMARK when unknown. */
export function highWatermarkOf(state: EpochState): Offset {
  if (state.name === 'leader') return state.leadership.highWatermark
  return state.name === 'resigned' ? NO_HIGH_WATERMARK : state.highWatermark
}

export type VoteAnswer = { readonly granted: boolean; readonly reason: string }

/** Whether this replica grants a vote, or a pre-vote, to `key`; `upToDate`: its log is at least as long as ours. */
export function answerVote(state: EpochState, key: ReplicaKey, upToDate: boolean, preVote: boolean): VoteAnswer {
  switch (state.name) {
    case 'unattached':
    case 'prospective':
      if (preVote) return upToDate ? granted : denied('log-behind')
      if (state.votedKey !== null) return matchesKey(state.votedKey, key) ? again : denied('voted-for-another')
      if (state.leaderId !== NO_LEADER_ID) return denied('knows-leader')
      return upToDate ? granted : denied('log-behind')
    case 'follower':
      if (!preVote) return denied('knows-leader')
      if (state.hasFetchedFromLeader) return denied('fetches-from-leader')
      return upToDate ? granted : denied('log-behind')
    case 'candidate':
    case 'resigned':
      if (!preVote) return denied(state.name)
      return upToDate ? granted : denied('log-behind')
    case 'leader':
      return denied('leader')
  }
}

const granted: VoteAnswer = { granted: true, reason: 'up-to-date' }
const again: VoteAnswer = { granted: true, reason: 'voted-before' }

function denied(reason: string): VoteAnswer {
  return { granted: false, reason }
}

// ── the states as they begin ────────────────────────────────────────────────────────────────────────────────────────

function unattached(
  context: QuorumContext,
  epoch: Epoch,
  leaderId: NodeId,
  votedKey: ReplicaKey | null,
  highWatermark: Offset = NO_HIGH_WATERMARK,
  timeoutMs: Millis = context.randomElectionTimeoutMs(),
): UnattachedState {
  const electionTimer = new WallTimer(context.nowMs(), isVoter(context) ? timeoutMs : LONG_MAX)
  return { name: 'unattached', epoch, leaderId, votedKey, highWatermark, electionTimer }
}

function candidate(context: QuorumContext, epoch: Epoch, highWatermark: Offset): CandidateState {
  return {
    name: 'candidate',
    epoch,
    highWatermark,
    electionTimer: electionTimeout(context),
    election: ownElection(context),
  }
}

function follower(
  context: QuorumContext,
  epoch: Epoch,
  leaderId: NodeId,
  votedKey: ReplicaKey | null,
  highWatermark: Offset,
): FollowerState {
  return {
    name: 'follower',
    epoch,
    leaderId,
    votedKey,
    highWatermark,
    fetchTimer: new WallTimer(context.nowMs(), context.fetchTimeoutMs),
    hasFetchedFromLeader: false,
    fetchingSnapshot: undefined,
  }
}

function resigned(context: QuorumContext, epoch: Epoch, preferredSuccessors: readonly ReplicaKey[]): ResignedState {
  const others = context.voters.voters.filter((voter) => voter.id !== context.local.id)
  return {
    name: 'resigned',
    epoch,
    electionTimer: electionTimeout(context),
    unackedVoters: new Set(others.map((voter) => voter.id)),
    preferredSuccessors,
  }
}

function electionTimeout(context: QuorumContext): WallTimer {
  return new WallTimer(context.nowMs(), context.randomElectionTimeoutMs())
}

function ownElection(context: QuorumContext): EpochElection {
  const election = new EpochElection(context.voters)
  election.record(context.local.id, true)
  return election
}
