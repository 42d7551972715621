/**
 * How a leader is found, chosen and given up: Vote, BeginQuorumEpoch and EndQuorumEpoch, both ways, and the turns of the raft
 * thread while unattached, prospective, candidate or resigned (KIP-595, KIP-996, KIP-853; Kafka's KafkaRaftClient).
 *
 * Vote request, in order: another cluster's is refused whole; last epoch and offset must make sense (a candidate's epoch is
 * above its log's, a pre-vote's at least); a smaller epoch is fenced; a larger one makes us unattached first; meant for another
 * replica key, INVALID_VOTER_KEY; then the answer of quorum-state.ts, with a binding vote on disk before it leaves.
 *
 * EndQuorumEpoch names successors by preference: the first starts an election at once, the one at position p of n after
 * min(max, (max >> (n - 1)) << (p - 1)) ms, anybody else after max, with max = controller.quorum.election.backoff.max.ms.
 */

import type { Millis } from '../kernel/units.js'
import { LONG_MAX } from '../kernel/units.js'
import { Errors } from '../wire/errors.js'
import type { BeginQuorumEpochRequest, BeginQuorumEpochResponse } from '../wire/messages/begin-quorum-epoch.js'
import type { EndQuorumEpochRequest, EndQuorumEpochResponse } from '../wire/messages/end-quorum-epoch.js'
import type { VoteRequest, VoteResponse } from '../wire/messages/vote.js'
import type { Handled } from './leader-discovery.js'
import { followMessage, handleCommon, isMeantForUs, isSameCluster, validateVoterRequest } from './leader-discovery.js'
import type {
  CandidateState,
  OffsetAndEpoch,
  ProspectiveState,
  ResignedState,
  UnattachedState,
} from './quorum-state.js'
import { answerVote, NO_LEADER_ID } from './quorum-state.js'
import type { RaftCore } from './raft-core.js'
import {
  beginQuorumEpochRequest,
  endQuorumEpochRequest,
  fetchRequest,
  onlyPartition,
  quorumEpochResponse,
  voteRequest,
  voteResponse,
} from './raft-messages.js'
import type { Blocking, Step } from './raft-thread.js'
import type { Peer } from './request-manager.js'
import type { ReplicaKey } from './voter-set.js'
import { NO_DIRECTORY_ID } from './voter-set.js'

// ── Vote ────────────────────────────────────────────────────────────────────────────────────────────────────────────

export function* handleVoteRequest<T>(raft: RaftCore<T>, request: VoteRequest): Blocking<VoteResponse> {
  if (!isSameCluster(raft, request.clusterId)) return voteError(Errors.INCONSISTENT_CLUSTER_ID)
  const ask = onlyPartition(request.topics)
  if (ask === undefined) return voteError(Errors.INVALID_REQUEST)
  const { replicaEpoch, lastOffsetEpoch, lastOffset, preVote } = ask
  const isIllegalEpoch = preVote ? lastOffsetEpoch > replicaEpoch : lastOffsetEpoch >= replicaEpoch
  if (lastOffset < 0 || lastOffsetEpoch < 0 || isIllegalEpoch) {
    return voteResponse(Errors.INVALID_REQUEST, raft.knownLeader, false)
  }
  const invalid = validateVoterRequest(raft, ask.replicaId, replicaEpoch)
  if (invalid !== Errors.NONE) return voteResponse(invalid, raft.knownLeader, false)
  if (replicaEpoch > raft.epoch) yield* raft.becomeUnattached(replicaEpoch, NO_LEADER_ID, 'higher-epoch')
  if (!isMeantForUs(raft, { id: request.voterId, directoryId: ask.voterDirectoryId })) {
    return voteResponse(Errors.INVALID_VOTER_KEY, raft.knownLeader, false)
  }
  const { state } = raft
  const key: ReplicaKey = { id: ask.replicaId, directoryId: ask.replicaDirectoryId }
  const upToDate = isAtLeast({ offset: lastOffset, epoch: lastOffsetEpoch }, raft.log.lastOffsetAndEpoch())
  const answer = answerVote(state, key, upToDate, preVote)
  const isNew = (state.name === 'unattached' || state.name === 'prospective') && state.votedKey === null
  if (!preVote && answer.granted && isNew) yield* raft.giveVote(key)
  const { granted, reason } = answer
  raft.env.emit('quorum.vote', { epoch: replicaEpoch, candidate: key.id, granted, preVote, reason })
  return voteResponse(Errors.NONE, raft.knownLeader, granted)
}

export function voteError(errorCode: number): VoteResponse {
  return { errorCode, topics: [], nodeEndpoints: [] }
}

/** Order of logs: by last epoch, then by end offset. */
function isAtLeast(a: OffsetAndEpoch, b: OffsetAndEpoch): boolean {
  return a.epoch !== b.epoch ? a.epoch > b.epoch : a.offset >= b.offset
}

export function* handleVoteResponse<T>(raft: RaftCore<T>, peer: Peer, response: VoteResponse): Blocking<Handled> {
  if (response.errorCode !== Errors.NONE) return 'backoff'
  const answer = onlyPartition(response.topics)
  if (answer === undefined) return 'backoff'
  const step = handleCommon(raft, answer.errorCode, answer.leaderId, answer.leaderEpoch)
  const handled = typeof step === 'object' ? yield* step : step
  if (handled !== undefined) return handled
  if (answer.errorCode !== Errors.NONE) return 'backoff'
  const { state } = raft
  if (state.name === 'prospective') yield* countPreVote(raft, state, peer, answer.voteGranted)
  else if (state.name === 'candidate') {
    state.election.record(peer.id, answer.voteGranted)
    // A lost candidate waits for its election timeout to end.
    if (state.election.isGranted) yield* raft.becomeLeader(state)
  }
  return 'ready'
}

function* countPreVote<T>(raft: RaftCore<T>, state: ProspectiveState, peer: Peer, granted: boolean): Blocking {
  state.election.record(peer.id, granted)
  if (state.election.isGranted) yield* raft.becomeCandidate('pre-vote-won')
  else if (state.election.isRejected) yield* losePreVote(raft, state, 'pre-vote-lost')
}

/** Back to the leader that it knew, or to none. */
function* losePreVote<T>(raft: RaftCore<T>, state: ProspectiveState, reason: string): Blocking {
  if (state.leaderId >= 0 && raft.knownLeader.node !== undefined)
    yield* raft.becomeFollower(raft.epoch, state.leaderId, reason)
  else yield* raft.becomeUnattached(raft.epoch, state.leaderId, reason)
}

// ── BeginQuorumEpoch ────────────────────────────────────────────────────────────────────────────────────────────────

export function* handleBeginQuorumEpochRequest<T>(
  raft: RaftCore<T>,
  request: BeginQuorumEpochRequest,
): Blocking<BeginQuorumEpochResponse> {
  if (!isSameCluster(raft, request.clusterId)) return quorumEpochError(Errors.INCONSISTENT_CLUSTER_ID)
  const told = onlyPartition(request.topics)
  if (told === undefined) return quorumEpochError(Errors.INVALID_REQUEST)
  const invalid = validateVoterRequest(raft, told.leaderId, told.leaderEpoch)
  if (invalid !== Errors.NONE) return quorumEpochResponse(invalid, raft.knownLeader)
  const following = followMessage(raft, told.leaderId, told.leaderEpoch)
  if (following !== undefined) yield* following
  const meant = isMeantForUs(raft, { id: request.voterId, directoryId: told.voterDirectoryId })
  return quorumEpochResponse(meant ? Errors.NONE : Errors.INVALID_VOTER_KEY, raft.knownLeader)
}

export function* handleBeginQuorumEpochResponse<T>(
  raft: RaftCore<T>,
  peer: Peer,
  response: BeginQuorumEpochResponse,
): Blocking<Handled> {
  const handled = yield* handleEpochAnswer(raft, response)
  if (handled !== undefined) return handled
  if (raft.state.name === 'leader') raft.state.leadership.acknowledge(peer.id)
  return 'ready'
}

/** Tells all other voters of this epoch, when it is time to. */
export function sendBeginQuorumEpoch<T>(raft: RaftCore<T>, nowMs: Millis): Millis {
  const { state } = raft
  if (state.name !== 'leader') return LONG_MAX
  const { beginQuorumEpochTimer } = state.leadership
  const untilMs = beginQuorumEpochTimer.remainingMs(nowMs)
  if (untilMs > 0) return untilMs
  let waitMs: Millis = LONG_MAX
  for (const voter of raft.voters.voters) {
    if (voter.id === raft.local.id) continue
    const request = (): BeginQuorumEpochRequest =>
      beginQuorumEpochRequest(raft.clusterId, raft.epoch, raft.local.id, raft.env.node, voter)
    waitMs = Math.min(waitMs, raft.send(nowMs, raft.voterPeer(voter.id), 'BeginQuorumEpoch', request))
  }
  beginQuorumEpochTimer.reset(nowMs, Math.floor(raft.fetchTimeoutMs / 2))
  return waitMs
}

// ── EndQuorumEpoch ──────────────────────────────────────────────────────────────────────────────────────────────────

export function* handleEndQuorumEpochRequest<T>(
  raft: RaftCore<T>,
  request: EndQuorumEpochRequest,
): Blocking<EndQuorumEpochResponse> {
  if (!isSameCluster(raft, request.clusterId)) return quorumEpochError(Errors.INCONSISTENT_CLUSTER_ID)
  const told = onlyPartition(request.topics)
  if (told === undefined) return quorumEpochError(Errors.INVALID_REQUEST)
  const invalid = validateVoterRequest(raft, told.leaderId, told.leaderEpoch)
  if (invalid !== Errors.NONE) return quorumEpochResponse(invalid, raft.knownLeader)
  const nowMs = raft.nowMs()
  const following = followMessage(raft, told.leaderId, told.leaderEpoch)
  if (following !== undefined) yield* following
  const { state } = raft
  if (state.name === 'follower' && state.leaderId === told.leaderId) {
    const candidates = told.preferredCandidates
    const position = candidates.findIndex(
      ({ candidateId, candidateDirectoryId: directory }) =>
        candidateId === raft.local.id && (directory === NO_DIRECTORY_ID || directory === raft.local.directoryId),
    )
    const maxMs = raft.config['controller.quorum.election.backoff.max.ms']
    const at = position < 0 ? candidates.length : position
    state.fetchTimer.reset(nowMs, successorBackoffMs(at, candidates.length, maxMs))
  }
  return quorumEpochResponse(Errors.NONE, raft.knownLeader)
}

/** How long the successor at `position` of `count` waits before its election; `count` or more: not named. */
export function successorBackoffMs(position: number, count: number, maxMs: Millis): Millis {
  if (position === 0) return 0
  if (position >= count) return maxMs
  // Shifts of 32 bits, as Java's are.
  return Math.min(maxMs, (maxMs >> (count - 1)) << (position - 1))
}

export function* handleEndQuorumEpochResponse<T>(
  raft: RaftCore<T>,
  peer: Peer,
  response: EndQuorumEpochResponse,
): Blocking<Handled> {
  const handled = yield* handleEpochAnswer(raft, response)
  if (handled !== undefined) return handled
  if (raft.state.name === 'resigned') raft.state.unackedVoters.delete(peer.id)
  return 'ready'
}

function* handleEpochAnswer<T>(
  raft: RaftCore<T>,
  response: BeginQuorumEpochResponse | EndQuorumEpochResponse,
): Blocking<Handled | undefined> {
  if (response.errorCode !== Errors.NONE) return 'backoff'
  const answer = onlyPartition(response.topics)
  if (answer === undefined) return 'backoff'
  const step = handleCommon(raft, answer.errorCode, answer.leaderId, answer.leaderEpoch)
  const handled = typeof step === 'object' ? yield* step : step
  if (handled !== undefined) return handled
  return answer.errorCode === Errors.NONE ? undefined : 'backoff'
}

export function quorumEpochError(errorCode: number): BeginQuorumEpochResponse & EndQuorumEpochResponse {
  return { errorCode, topics: [], nodeEndpoints: [] }
}

// ── turns of the thread ─────────────────────────────────────────────────────────────────────────────────────────────

export function pollUnattached<T>(raft: RaftCore<T>, state: UnattachedState, nowMs: Millis): Step<Millis> {
  if (raft.isVoter) {
    if (raft.isShuttingDown) return LONG_MAX
    if (state.electionTimer.isExpired(nowMs)) return askForPreVotes(raft, 'election-timeout')
  }
  return Math.min(fetchFromBootstrap(raft, nowMs), state.electionTimer.remainingMs(nowMs))
}

/** The turn in which a voter that misses a leader begins to ask for pre-votes. */
export function* askForPreVotes<T>(raft: RaftCore<T>, reason: string): Blocking<Millis> {
  yield* raft.becomeProspective(reason)
  return 0
}

export function* pollProspective<T>(raft: RaftCore<T>, state: ProspectiveState, nowMs: Millis): Blocking<Millis> {
  if (raft.isShuttingDown) return sendVotes(raft, state, nowMs)
  if (state.electionTimer.isExpired(nowMs)) {
    yield* losePreVote(raft, state, 'election-timeout')
    return 0
  }
  return Math.min(sendVotes(raft, state, nowMs), state.electionTimer.remainingMs(nowMs))
}

export function* pollCandidate<T>(raft: RaftCore<T>, state: CandidateState, nowMs: Millis): Blocking<Millis> {
  // While shutting down it goes on: it may be elected, and then resign in order.
  if (raft.isShuttingDown) return sendVotes(raft, state, nowMs)
  if (state.electionTimer.isExpired(nowMs)) {
    yield* raft.becomeProspective('election-timeout')
    return 0
  }
  return Math.min(sendVotes(raft, state, nowMs), state.electionTimer.remainingMs(nowMs))
}

function sendVotes<T>(raft: RaftCore<T>, state: CandidateState | ProspectiveState, nowMs: Millis): Millis {
  if (state.election.isRejected) return LONG_MAX
  let waitMs: Millis = LONG_MAX
  for (const voter of state.election.unrecorded()) {
    const request = (): VoteRequest =>
      voteRequest(
        raft.clusterId,
        raft.epoch,
        raft.local,
        voter,
        raft.log.lastOffsetAndEpoch(),
        state.name === 'prospective',
      )
    waitMs = Math.min(waitMs, raft.send(nowMs, raft.voterPeer(voter.id), 'Vote', request))
  }
  return waitMs
}

export function* pollResigned<T>(raft: RaftCore<T>, state: ResignedState, nowMs: Millis): Blocking<Millis> {
  let waitMs: Millis = LONG_MAX
  for (const voterId of state.unackedVoters) {
    const request = (): EndQuorumEpochRequest =>
      endQuorumEpochRequest(raft.clusterId, state.epoch, raft.local.id, state.preferredSuccessors)
    waitMs = Math.min(waitMs, raft.send(nowMs, raft.voterPeer(voterId), 'EndQuorumEpoch', request))
  }
  if (raft.isShuttingDown) return waitMs
  if (state.electionTimer.isExpired(nowMs)) {
    // A larger epoch, so that no fetch is answered with this replica as the leader, nor does it follow itself.
    yield* raft.becomeUnattached(state.epoch + 1, NO_LEADER_ID, 'resignation-over')
    return 0
  }
  return Math.min(waitMs, state.electionTimer.remainingMs(nowMs))
}

/** Asks some voter for records, and so for the leader. */
export function fetchFromBootstrap<T>(raft: RaftCore<T>, nowMs: Millis): Millis {
  const peer = raft.manager.readyBootstrap(nowMs)
  if (peer === undefined) return raft.manager.backoffBeforeBootstrap(nowMs)
  return raft.send(nowMs, peer, 'Fetch', () => ownFetchRequest(raft))
}

export function ownFetchRequest<T>(raft: RaftCore<T>): ReturnType<typeof fetchRequest> {
  const { offset, epoch } = raft.log.lastOffsetAndEpoch()
  return fetchRequest(raft.clusterId, raft.local, {
    currentLeaderEpoch: raft.epoch,
    fetchOffset: offset,
    lastFetchedEpoch: epoch,
    highWatermark: raft.highWatermark,
  })
}
