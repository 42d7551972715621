/**
 * How a follower copies its leader's log: Fetch and FetchSnapshot responses, and the follower's turn of the raft thread
 * (KIP-595, KIP-630; Kafka's KafkaRaftClient).
 *
 * A fetch response does one of three things: truncates to where the logs part, starts the download of a snapshot, or appends
 * records and takes over the high watermark, in this order. What a voter appended is flushed before its next fetch: the
 * fetch offset tells the leader what is durable. Observers do not flush, unless they may become voters (controllers).
 * A whole snapshot replaces the log. Below the high watermark nothing is ever truncated: a leader that asks for it is a
 * RaftFault.
 *
 * The fetch timeout starts again with every successful response of the leader. After a failed request, or one without answer, a
 * follower asks any voter, in case there is another leader.
 */

import type { Epoch, Millis, NodeId, Offset } from '../kernel/units.js'
import type { FetchResponse, PartitionData } from '../wire/messages/fetch.js'
import type { FetchSnapshotResponse, FetchSnapshotResponsePartitionSnapshot } from '../wire/messages/fetch-snapshot.js'
import type { Records } from '../wire/record-batch.js'
import type { ErrorCode } from '../wire/errors.js'
import { Errors } from '../wire/errors.js'
import { askForPreVotes, fetchFromBootstrap, ownFetchRequest } from './elections.js'
import type { Handled } from './leader-discovery.js'
import { handleCommon } from './leader-discovery.js'
import { METADATA_TOPIC, METADATA_TOPIC_ID } from './quorum-config.js'
import type { FollowerState, OffsetAndEpoch } from './quorum-state.js'
import type { RaftCore } from './raft-core.js'
import { RaftFault } from './raft-fault.js'
import { fetchSnapshotRequest, onlyElement } from './raft-messages.js'
import type { Blocking, Step } from './raft-thread.js'
import { SnapshotDownload } from './snapshot-file.js'

const NO_RECORDS: Records = []

// ── Fetch ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export function handleFetchResponse<T>(raft: RaftCore<T>, response: FetchResponse, nowMs: Millis): Step<Handled> {
  if (response.errorCode !== Errors.NONE) return 'backoff'
  const topic = onlyElement(response.responses)
  const fetched = topic && onlyElement(topic.partitions)
  if (topic?.topicId !== METADATA_TOPIC_ID || fetched?.partitionIndex !== 0) return 'backoff'
  const { leaderId, leaderEpoch } = fetched.currentLeader
  const step = handleAnswer(raft, fetched.errorCode, leaderId, leaderEpoch)
  if (typeof step === 'object') return takeFetchedAfter(raft, step, fetched, nowMs)
  return step ?? takeFetched(raft, fetched, nowMs)
}

function* takeFetchedAfter<T>(
  raft: RaftCore<T>,
  step: Blocking<Handled | undefined>,
  fetched: PartitionData,
  nowMs: Millis,
): Blocking<Handled> {
  const handled = yield* step
  if (handled !== undefined) return handled
  const taken = takeFetched(raft, fetched, nowMs)
  return typeof taken === 'object' ? yield* taken : taken
}

function takeFetched<T>(raft: RaftCore<T>, fetched: PartitionData, nowMs: Millis): Step<Handled> {
  const { state } = raft
  if (state.name !== 'follower') throw new RaftFault(`a fetch was answered to a ${state.name}`)
  if (fetched.errorCode !== Errors.NONE) return 'backoff'
  const { divergingEpoch, snapshotId } = fetched
  if (divergingEpoch.epoch >= 0) {
    truncate(raft, state, { offset: divergingEpoch.endOffset, epoch: divergingEpoch.epoch })
  } else if (snapshotId.epoch >= 0 || snapshotId.endOffset >= 0) {
    if (snapshotId.epoch < 0 || snapshotId.endOffset < 0) return 'backoff'
    const id: OffsetAndEpoch = { offset: snapshotId.endOffset, epoch: snapshotId.epoch }
    // One that is stored already is not fetched again.
    state.fetchingSnapshot = raft.log.hasSnapshot(id) ? undefined : new SnapshotDownload(id)
  } else {
    const records = fetched.records ?? NO_RECORDS
    if (records.length > 0) return append(raft, state, records, fetched.highWatermark, nowMs)
    raft.updateFollowerHighWatermark(fetched.highWatermark)
  }
  fetchSucceeded(raft, state, nowMs)
  return 'ready'
}

function* append<T>(
  raft: RaftCore<T>,
  state: FollowerState,
  records: Records,
  highWatermark: Offset,
  nowMs: Millis,
): Blocking<Handled> {
  yield (done) => raft.env.disk.access(done)
  raft.log.appendAsFollower(records, raft.epoch)
  if (raft.isVoter || raft.alwaysFlush) yield* raft.log.flush()
  raft.updateFollowerHighWatermark(highWatermark)
  fetchSucceeded(raft, state, nowMs)
  return 'ready'
}

/** A node that does not lead and knows nothing new is asked again after the backoff; Kafka asks it again at once. */
function handleAnswer<T>(
  raft: RaftCore<T>,
  error: ErrorCode,
  leaderId: NodeId,
  epoch: Epoch,
): Step<Handled | undefined> {
  const step = handleCommon(raft, error, leaderId, epoch)
  // What blocks is a change of state.
  return step === 'ready' && error === Errors.NOT_LEADER_OR_FOLLOWER ? 'backoff' : step
}

function truncate<T>(raft: RaftCore<T>, state: FollowerState, diverging: OffsetAndEpoch): void {
  if (diverging.offset < state.highWatermark) {
    throw new RaftFault(
      `leader asks to truncate to ${diverging.offset}, below the high watermark ${state.highWatermark}`,
    )
  }
  raft.log.truncateToEndOffset(diverging)
}

function fetchSucceeded<T>(raft: RaftCore<T>, state: FollowerState, nowMs: Millis): void {
  state.fetchTimer.reset(nowMs, raft.fetchTimeoutMs)
  state.hasFetchedFromLeader = true
}

// ── FetchSnapshot ───────────────────────────────────────────────────────────────────────────────────────────────────

export function* handleFetchSnapshotResponse<T>(
  raft: RaftCore<T>,
  response: FetchSnapshotResponse,
  nowMs: Millis,
): Blocking<Handled> {
  if (response.errorCode !== Errors.NONE) return 'backoff'
  const topic = onlyElement(response.topics)
  const piece = topic && onlyElement(topic.partitions)
  if (topic?.name !== METADATA_TOPIC || piece?.index !== 0) return 'backoff'
  const { leaderId, leaderEpoch } = piece.currentLeader
  const step = handleAnswer(raft, piece.errorCode, leaderId, leaderEpoch)
  const handled = typeof step === 'object' ? yield* step : step
  if (handled !== undefined) return handled
  const { state } = raft
  if (state.name !== 'follower') throw new RaftFault(`a snapshot fetch was answered to a ${state.name}`)
  if (piece.errorCode === Errors.SNAPSHOT_NOT_FOUND || piece.snapshotId.endOffset < 0 || piece.snapshotId.epoch < 0) {
    // The leader deleted it meanwhile: the next fetch tells of a newer one.
    state.fetchingSnapshot = undefined
  } else if (piece.errorCode !== Errors.NONE) return 'backoff'
  else yield* takePiece(raft, state, piece)
  fetchSucceeded(raft, state, nowMs)
  return 'ready'
}

function* takePiece<T>(
  raft: RaftCore<T>,
  state: FollowerState,
  piece: FetchSnapshotResponsePartitionSnapshot,
): Blocking {
  const { log } = raft
  const download = state.fetchingSnapshot
  const { endOffset, epoch } = piece.snapshotId
  if (download?.id.offset !== endOffset || download.id.epoch !== epoch || download.size !== piece.position) {
    throw new RaftFault(`a piece of snapshot ${endOffset}-${epoch} at ${piece.position} that was not asked for`)
  }
  download.append(piece.unalignedRecords)
  if (download.size !== piece.size) return
  yield* download.freeze(raft.env.disk)
  log.addSnapshot(download.id)
  raft.env.emit('quorum.snapshot', { endOffset, epoch, how: 'fetched' })
  state.fetchingSnapshot = undefined
  if (!log.truncateToLatestSnapshot()) throw new RaftFault(`snapshot ${endOffset}-${epoch} is older than the log`)
  raft.updateFollowerHighWatermark(log.highWatermark)
}

// ── the follower's turn ─────────────────────────────────────────────────────────────────────────────────────────────

export function pollFollower<T>(raft: RaftCore<T>, state: FollowerState, nowMs: Millis): Step<Millis> {
  if (!raft.isVoter) {
    return state.fetchTimer.isExpired(nowMs) ? fetchFromBootstrap(raft, nowMs) : fetchFromBest(raft, state, nowMs)
  }
  // A follower may go at once; it must not become a candidate on its way out.
  if (raft.isShuttingDown) return 0
  if (state.fetchTimer.isExpired(nowMs)) return askForPreVotes(raft, 'fetch-timeout')
  return fetchFromBest(raft, state, nowMs)
}

function fetchFromBest<T>(raft: RaftCore<T>, state: FollowerState, nowMs: Millis): Millis {
  const { manager } = raft
  const leader = raft.voterPeer(state.leaderId)
  let waitMs: Millis
  if (manager.hasTimedOut(leader, nowMs)) {
    manager.reset(leader)
    waitMs = fetchFromBootstrap(raft, nowMs)
  } else if (manager.isBackingOff(leader, nowMs)) waitMs = fetchFromBootstrap(raft, nowMs)
  else if (manager.hasAnyInFlight(nowMs)) waitMs = manager.backoffBeforeBootstrap(nowMs)
  else waitMs = fetchFromLeader(raft, state, nowMs)
  return Math.min(waitMs, state.fetchTimer.remainingMs(nowMs))
}

function fetchFromLeader<T>(raft: RaftCore<T>, state: FollowerState, nowMs: Millis): Millis {
  const leader = raft.voterPeer(state.leaderId)
  const download = state.fetchingSnapshot
  if (download === undefined) return raft.send(nowMs, leader, 'Fetch', () => ownFetchRequest(raft))
  return raft.send(nowMs, leader, 'FetchSnapshot', () =>
    fetchSnapshotRequest(raft.clusterId, raft.local, raft.epoch, download.id, download.size),
  )
}
