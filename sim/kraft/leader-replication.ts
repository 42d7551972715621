/**
 * How a leader serves its log: Fetch, FetchSnapshot and DescribeQuorum requests, and the leader's turn of the raft thread
 * (KIP-595, KIP-630, KIP-836; Kafka's KafkaRaftClient).
 *
 * Fetch request, in order: another cluster's is refused whole; the offsets and epochs must make sense; a smaller epoch is fenced,
 * a larger one unknown, and only a leader answers. A fetch at 0 gets the latest snapshot's id when there is one; a fetch that
 * does not fit the log gets a snapshot id or the point where the logs part; else records up to the end of the log, committed
 * or not, and the fetch offset counts as the replica's end offset. What would be empty waits up to 500 ms for the log or the
 * high watermark to move.
 *
 * Appending: the batches are written, then parked fetches get them, then the leader flushes, and the thread blocks on that.
 * So followers write while the leader does; no fetch is handled before the leader's own records are durable.
 */

import { DiskError } from '../kernel/env.js'
import type { Millis } from '../kernel/units.js'
import { LONG_MAX } from '../kernel/units.js'
import type { ErrorCode } from '../wire/errors.js'
import { Errors } from '../wire/errors.js'
import type { DescribeQuorumRequest, DescribeQuorumResponse, ReplicaState } from '../wire/messages/describe-quorum.js'
import type { FetchPartition } from '../wire/messages/fetch.js'
import type { FetchSnapshotRequest, FetchSnapshotResponse } from '../wire/messages/fetch-snapshot.js'
import type { Records } from '../wire/record-batch.js'
import type { IncomingRequestOf } from '../wire/request-server.js'
import type { BatchAccumulator } from './batch-accumulator.js'
import { sendBeginQuorumEpoch } from './elections.js'
import { isSameCluster, validateLeaderRequest } from './leader-discovery.js'
import type { WaitingFetch } from './fetch-purgatory.js'
import type { LeaderState, ReplicaProgress } from './leader-state.js'
import {
  CONTROLLER_LISTENER,
  CONTROLLER_PORT,
  METADATA_PARTITION,
  METADATA_TOPIC,
  METADATA_TOPIC_ID,
} from './quorum-config.js'
import type { LeaderEpochState, OffsetAndEpoch } from './quorum-state.js'
import type { RaftCore } from './raft-core.js'
import { RaftFault } from './raft-fault.js'
import type { RaftLog } from './raft-log.js'
import type { FetchResult, KnownLeader } from './raft-messages.js'
import {
  fetchError,
  fetchResponse,
  fetchSnapshotError,
  fetchSnapshotResponse,
  onlyElement,
  onlyPartition,
} from './raft-messages.js'
import type { Blocking, Step } from './raft-thread.js'
import { isBootstrapSnapshot } from './snapshot-file.js'
import type { ReplicaKey } from './voter-set.js'

const NO_RECORDS: Records = []

// ── Fetch ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Answers now, or later. */
export function handleFetchRequest<T>(raft: RaftCore<T>, request: IncomingRequestOf<'Fetch'>): void {
  const { body } = request
  if (!isSameCluster(raft, body.clusterId)) return request.respond(fetchError(Errors.INCONSISTENT_CLUSTER_ID))
  const topic = onlyElement(body.topics)
  const fetch = topic && onlyElement(topic.partitions)
  if (topic?.topicId !== METADATA_TOPIC_ID || fetch?.partition !== 0) {
    return request.respond(fetchError(Errors.INVALID_REQUEST))
  }
  if (
    body.maxWaitMs < 0 ||
    fetch.fetchOffset < 0 ||
    fetch.lastFetchedEpoch < 0 ||
    fetch.lastFetchedEpoch > fetch.currentLeaderEpoch
  ) {
    return request.respond(fetchResponse(raft.knownLeader, failedFetch(raft, Errors.INVALID_REQUEST)))
  }
  const id = body.replicaId !== -1 ? body.replicaId : body.replicaState.replicaId
  const key: ReplicaKey = { id, directoryId: fetch.replicaDirectoryId }
  const result = readForFetch(raft, key, fetch)
  if (body.maxWaitMs === 0 || hasNews(result, fetch)) request.respond(fetchResponse(raft.knownLeader, result))
  else raft.fetches.await(fetch.fetchOffset, body.maxWaitMs, new ParkedFetch(raft, request, key, fetch, result))
}

class ParkedFetch<T> implements WaitingFetch {
  readonly #raft: RaftCore<T>
  readonly #request: IncomingRequestOf<'Fetch'>
  readonly #key: ReplicaKey
  readonly #fetch: FetchPartition
  /** What there was when it was parked. */
  readonly #result: FetchResult
  readonly #leader: KnownLeader

  constructor(
    raft: RaftCore<T>,
    request: IncomingRequestOf<'Fetch'>,
    key: ReplicaKey,
    fetch: FetchPartition,
    result: FetchResult,
  ) {
    this.#raft = raft
    this.#request = request
    this.#key = key
    this.#fetch = fetch
    this.#result = result
    this.#leader = raft.knownLeader
  }

  complete(): void {
    const latest = readForFetch(this.#raft, this.#key, this.#fetch)
    this.#request.respond(fetchResponse(this.#raft.knownLeader, latest))
  }

  expire(): void {
    this.#request.respond(fetchResponse(this.#leader, this.#result))
  }

  fail(error: ErrorCode): void {
    this.#request.respond(fetchResponse(this.#raft.knownLeader, failedFetch(this.#raft, error)))
  }
}

function hasNews(result: FetchResult, fetch: FetchPartition): boolean {
  return (
    result.errorCode !== Errors.NONE ||
    result.records.length > 0 ||
    result.diverging !== undefined ||
    result.snapshot !== undefined ||
    fetch.highWatermark < result.highWatermark
  )
}

function failedFetch<T>(raft: RaftCore<T>, errorCode: ErrorCode): FetchResult {
  const logStartOffset = raft.log.startOffset
  const diverging = undefined
  return { errorCode, records: NO_RECORDS, logStartOffset, highWatermark: -1, diverging, snapshot: undefined }
}

function readForFetch<T>(raft: RaftCore<T>, key: ReplicaKey, fetch: FetchPartition): FetchResult {
  const invalid = validateLeaderRequest(raft, fetch.currentLeaderEpoch)
  const { state } = raft
  if (invalid !== Errors.NONE || state.name !== 'leader') return failedFetch(raft, invalid)
  try {
    return readAsLeader(raft, state.leadership, key, fetch)
  } catch (fault) {
    if (fault instanceof RaftFault || fault instanceof DiskError) return failedFetch(raft, Errors.UNKNOWN_SERVER_ERROR)
    throw fault
  }
}

function readAsLeader<T>(
  raft: RaftCore<T>,
  leadership: LeaderState,
  key: ReplicaKey,
  fetch: FetchPartition,
): FetchResult {
  const { log } = raft
  const { fetchOffset } = fetch
  const latest = log.latestSnapshotId
  // With nothing yet, a snapshot is always the shorter way.
  if (fetchOffset === 0 && latest !== undefined && !isBootstrapSnapshot(latest)) {
    return found(log, leadership, NO_RECORDS, undefined, latest)
  }
  const position = log.validate(fetchOffset, fetch.lastFetchedEpoch)
  if (position.kind === 'snapshot') return found(log, leadership, NO_RECORDS, undefined, position.id)
  if (position.kind === 'diverging') {
    const { epoch, offset: endOffset } = position.id
    raft.env.emit('fetch.diverging', { partition: METADATA_PARTITION, epoch, endOffset, leader: raft.local.id })
    return found(log, leadership, NO_RECORDS, position.id)
  }
  const records = log.read(fetchOffset)
  const before = leadership.highWatermark
  if (leadership.updateReplica(key, raft.nowMs(), fetchOffset)) raft.onLeaderHighWatermark(leadership, before)
  return found(log, leadership, records)
}

function found(
  log: RaftLog,
  { highWatermark }: LeaderState,
  records: Records,
  diverging?: OffsetAndEpoch,
  snapshot?: OffsetAndEpoch,
): FetchResult {
  return { errorCode: Errors.NONE, records, logStartOffset: log.startOffset, highWatermark, diverging, snapshot }
}

// ── FetchSnapshot ───────────────────────────────────────────────────────────────────────────────────────────────────

export function handleFetchSnapshotRequest<T>(raft: RaftCore<T>, request: FetchSnapshotRequest): FetchSnapshotResponse {
  if (!isSameCluster(raft, request.clusterId)) return fetchSnapshotError(Errors.INCONSISTENT_CLUSTER_ID)
  const topic = onlyElement(request.topics)
  const fetch = topic && onlyElement(topic.partitions)
  if (topic === undefined || fetch === undefined) return fetchSnapshotError(Errors.INVALID_REQUEST)
  const leader = raft.knownLeader
  if (topic.name !== METADATA_TOPIC || fetch.partition !== 0) {
    return fetchSnapshotResponse(leader, Errors.UNKNOWN_TOPIC_OR_PARTITION, undefined)
  }
  const invalid = validateLeaderRequest(raft, fetch.currentLeaderEpoch)
  if (invalid !== Errors.NONE) return fetchSnapshotResponse(leader, invalid, undefined)
  const id = { offset: fetch.snapshotId.endOffset, epoch: fetch.snapshotId.epoch }
  const piece = isBootstrapSnapshot(id) ? undefined : raft.log.readSnapshotPiece(id, fetch.position, request.maxBytes)
  if (piece === undefined) return fetchSnapshotResponse(leader, Errors.SNAPSHOT_NOT_FOUND, undefined)
  if (fetch.position < 0 || fetch.position >= piece.size) {
    return fetchSnapshotResponse(leader, Errors.POSITION_OUT_OF_RANGE, undefined)
  }
  if (raft.state.name === 'leader') {
    const key: ReplicaKey = { id: request.replicaId, directoryId: fetch.replicaDirectoryId }
    raft.state.leadership.sawFetch(key, raft.nowMs())
  }
  return fetchSnapshotResponse(leader, Errors.NONE, {
    id,
    size: piece.size,
    position: fetch.position,
    bytes: piece.bytes,
  })
}

// ── DescribeQuorum ──────────────────────────────────────────────────────────────────────────────────────────────────

export function handleDescribeQuorumRequest<T>(
  raft: RaftCore<T>,
  request: DescribeQuorumRequest,
): DescribeQuorumResponse {
  if (onlyPartition(request.topics) === undefined) return unknownPartitions(request)
  const { state } = raft
  if (state.name !== 'leader') return describeError(Errors.NOT_LEADER_OR_FOLLOWER)
  const { leadership } = state
  const nowMs = raft.nowMs()
  const describe = (replica: ReplicaProgress): ReplicaState => {
    const isLeader = replica.key.id === raft.local.id
    return {
      replicaId: replica.key.id,
      replicaDirectoryId: replica.key.directoryId,
      logEndOffset: replica.endOffset,
      lastFetchTimestamp: isLeader ? nowMs : replica.lastFetchMs,
      lastCaughtUpTimestamp: isLeader ? nowMs : replica.lastCaughtUpMs,
    }
  }
  const partition = {
    partitionIndex: 0,
    errorCode: Errors.NONE,
    errorMessage: null,
    leaderId: raft.local.id,
    leaderEpoch: state.epoch,
    highWatermark: leadership.highWatermark,
    currentVoters: leadership.voterProgress().map(describe),
    observers: leadership.observerProgress(nowMs).map(describe),
  }
  return {
    errorCode: Errors.NONE,
    errorMessage: null,
    topics: [{ topicName: METADATA_TOPIC, partitions: [partition] }],
    nodes: raft.voters.voters.map((voter) => ({
      nodeId: voter.id,
      listeners: [{ name: CONTROLLER_LISTENER, host: voter.node, port: CONTROLLER_PORT }],
    })),
  }
}

export function describeError(errorCode: ErrorCode): DescribeQuorumResponse {
  return {
    errorCode: Errors.NONE,
    errorMessage: null,
    topics: [{ topicName: METADATA_TOPIC, partitions: [failedPartition(0, errorCode)] }],
    nodes: [],
  }
}

function unknownPartitions(request: DescribeQuorumRequest): DescribeQuorumResponse {
  const topics = request.topics.map((topic) => ({
    topicName: topic.topicName,
    partitions: topic.partitions.map((partition) =>
      failedPartition(partition.partitionIndex, Errors.UNKNOWN_TOPIC_OR_PARTITION),
    ),
  }))
  return { errorCode: Errors.NONE, errorMessage: null, topics, nodes: [] }
}

function failedPartition(
  partitionIndex: number,
  errorCode: ErrorCode,
): DescribeQuorumResponse['topics'][number]['partitions'][number] {
  return {
    partitionIndex,
    errorCode,
    errorMessage: null,
    leaderId: 0,
    leaderEpoch: 0,
    highWatermark: 0,
    currentVoters: [],
    observers: [],
  }
}

// ── the leader's turn ───────────────────────────────────────────────────────────────────────────────────────────────

export function pollLeader<T>(raft: RaftCore<T>, state: LeaderEpochState, nowMs: Millis): Step<Millis> {
  raft.tellListeners()
  const { leadership } = state
  const untilCheckQuorumMs = leadership.untilCheckQuorumExpires(nowMs)
  if (raft.isShuttingDown || leadership.resignRequested || untilCheckQuorumMs === 0) {
    const reason = raft.isShuttingDown ? 'shutdown' : leadership.resignRequested ? 'asked-to-resign' : 'check-quorum'
    return resign(raft, leadership, reason)
  }
  const { accumulator } = raft
  const untilDrainMs = accumulator?.untilDrain(nowMs) ?? LONG_MAX
  if (accumulator !== undefined && untilDrainMs <= 0) return appendBatches(raft, state, accumulator, nowMs)
  return Math.min(untilDrainMs, sendBeginQuorumEpoch(raft, nowMs), untilCheckQuorumMs)
}

function* resign<T>(raft: RaftCore<T>, leadership: LeaderState, reason: string): Blocking<Millis> {
  yield* raft.becomeResigned(leadership.successors(), reason)
  return 0
}

function* appendBatches<T>(
  raft: RaftCore<T>,
  { epoch, leadership }: LeaderEpochState,
  accumulator: BatchAccumulator<T>,
  nowMs: Millis,
): Blocking<Millis> {
  const untilCheckQuorumMs = leadership.untilCheckQuorumExpires(nowMs)
  for (const completed of accumulator.drain()) {
    yield (done) => raft.env.disk.access(done)
    raft.log.appendAsLeader(completed.batch, epoch)
    raft.awaitCommit(completed.batch.lastOffset + 1, completed)
  }
  raft.onLeaderEndOffset(leadership)
  yield* raft.log.flush()
  return Math.min(accumulator.untilDrain(nowMs), sendBeginQuorumEpoch(raft, nowMs), untilCheckQuorumMs)
}
