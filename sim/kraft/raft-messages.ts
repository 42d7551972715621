/**
 * The requests and responses of the metadata quorum, made from their essential values (Kafka's RaftUtil).
 *
 * All of them speak of one partition, the metadata log's. `onlyPartition` takes it out of a message, or undefined when the
 * message does not speak of exactly that one. Endpoints carry the host name; the port is there because the schema has one.
 */

import type { NodeName } from '../kernel/names.js'
import type { Epoch, NodeId, Offset } from '../kernel/units.js'
import type { ErrorCode } from '../wire/errors.js'
import { Errors } from '../wire/errors.js'
import type { BeginQuorumEpochRequest, BeginQuorumEpochResponse } from '../wire/messages/begin-quorum-epoch.js'
import type { EndQuorumEpochRequest, EndQuorumEpochResponse } from '../wire/messages/end-quorum-epoch.js'
import type { FetchRequest, FetchResponse, PartitionData } from '../wire/messages/fetch.js'
import type {
  FetchSnapshotRequest,
  FetchSnapshotResponse,
  FetchSnapshotResponsePartitionSnapshot,
} from '../wire/messages/fetch-snapshot.js'
import type { VoteRequest, VoteResponse } from '../wire/messages/vote.js'
import type { Records } from '../wire/record-batch.js'
import type { IncomingRequestOf } from '../wire/request-server.js'
import {
  CONTROLLER_LISTENER,
  CONTROLLER_PORT,
  METADATA_TOPIC,
  METADATA_TOPIC_ID,
  QUORUM_CONSTANTS,
} from './quorum-config.js'
import type { OffsetAndEpoch } from './quorum-state.js'
import type { ReplicaKey } from './voter-set.js'

/** The requests that the raft client answers. */
export type RaftRequest =
  | IncomingRequestOf<'Vote'>
  | IncomingRequestOf<'BeginQuorumEpoch'>
  | IncomingRequestOf<'EndQuorumEpoch'>
  | IncomingRequestOf<'Fetch'>
  | IncomingRequestOf<'FetchSnapshot'>
  | IncomingRequestOf<'DescribeQuorum'>

/** What the answering replica knows of the leader; every response carries it. */
export interface KnownLeader {
  /** -1 for none. */
  readonly leaderId: NodeId
  readonly epoch: Epoch
  /** Undefined when its address is not known. */
  readonly node: NodeName | undefined
}

/** The one element of a list of one. */
export function onlyElement<T>(list: readonly T[]): T | undefined {
  return list.length === 1 ? list[0] : undefined
}

interface NamedTopic<P> {
  readonly topicName: string
  readonly partitions: readonly P[]
}

/** The metadata partition of a Vote, BeginQuorumEpoch, EndQuorumEpoch or DescribeQuorum message. */
export function onlyPartition<P extends { readonly partitionIndex: number }>(
  topics: readonly NamedTopic<P>[],
): P | undefined {
  const topic = onlyElement(topics)
  const partition = topic && onlyElement(topic.partitions)
  return topic?.topicName === METADATA_TOPIC && partition?.partitionIndex === 0 ? partition : undefined
}

function topicsWith<P>(partition: P): readonly NamedTopic<P>[] {
  return [{ topicName: METADATA_TOPIC, partitions: [partition] }]
}

function nodeEndpoints(leader: KnownLeader): { nodeId: NodeId; host: string; port: number }[] {
  if (leader.leaderId < 0 || leader.node === undefined) return []
  return [{ nodeId: leader.leaderId, host: leader.node, port: CONTROLLER_PORT }]
}

// ── Vote ────────────────────────────────────────────────────────────────────────────────────────────────────────────

export function voteRequest(
  clusterId: string,
  epoch: Epoch,
  replica: ReplicaKey,
  voter: ReplicaKey,
  logEnd: OffsetAndEpoch,
  preVote: boolean,
): VoteRequest {
  const partition = {
    partitionIndex: 0,
    replicaEpoch: epoch,
    replicaId: replica.id,
    replicaDirectoryId: replica.directoryId,
    voterDirectoryId: voter.directoryId,
    lastOffsetEpoch: logEnd.epoch,
    lastOffset: logEnd.offset,
    preVote,
  }
  return { clusterId, voterId: voter.id, topics: topicsWith(partition) }
}

export function voteResponse(errorCode: ErrorCode, leader: KnownLeader, voteGranted: boolean): VoteResponse {
  const partition = { partitionIndex: 0, errorCode, leaderId: leader.leaderId, leaderEpoch: leader.epoch, voteGranted }
  return { errorCode: Errors.NONE, topics: topicsWith(partition), nodeEndpoints: nodeEndpoints(leader) }
}

// ── BeginQuorumEpoch, EndQuorumEpoch ────────────────────────────────────────────────────────────────────────────────

export function beginQuorumEpochRequest(
  clusterId: string,
  epoch: Epoch,
  leaderId: NodeId,
  leaderNode: NodeName,
  voter: ReplicaKey,
): BeginQuorumEpochRequest {
  const partition = { partitionIndex: 0, voterDirectoryId: voter.directoryId, leaderId, leaderEpoch: epoch }
  return {
    clusterId,
    voterId: voter.id,
    topics: topicsWith(partition),
    leaderEndpoints: [{ name: CONTROLLER_LISTENER, host: leaderNode, port: CONTROLLER_PORT }],
  }
}

/** The successors go by preference; leader endpoints are left out, as Kafka does. */
export function endQuorumEpochRequest(
  clusterId: string,
  epoch: Epoch,
  leaderId: NodeId,
  successors: readonly ReplicaKey[],
): EndQuorumEpochRequest {
  const partition = {
    partitionIndex: 0,
    leaderId,
    leaderEpoch: epoch,
    preferredSuccessors: successors.map((key) => key.id),
    preferredCandidates: successors.map((key) => ({ candidateId: key.id, candidateDirectoryId: key.directoryId })),
  }
  return { clusterId, topics: topicsWith(partition), leaderEndpoints: [] }
}

/** The answer to both. */
export function quorumEpochResponse(
  errorCode: ErrorCode,
  leader: KnownLeader,
): BeginQuorumEpochResponse & EndQuorumEpochResponse {
  const partition = { partitionIndex: 0, errorCode, leaderId: leader.leaderId, leaderEpoch: leader.epoch }
  return { errorCode: Errors.NONE, topics: topicsWith(partition), nodeEndpoints: nodeEndpoints(leader) }
}

// ── Fetch ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface FetchPosition {
  readonly currentLeaderEpoch: Epoch
  readonly fetchOffset: Offset
  readonly lastFetchedEpoch: Epoch
  /** -1 unknown. */
  readonly highWatermark: Offset
}

export function fetchRequest(clusterId: string, replica: ReplicaKey, position: FetchPosition): FetchRequest {
  const partition = {
    partition: 0,
    currentLeaderEpoch: position.currentLeaderEpoch,
    fetchOffset: position.fetchOffset,
    lastFetchedEpoch: position.lastFetchedEpoch,
    logStartOffset: -1,
    partitionMaxBytes: 0,
    replicaDirectoryId: replica.directoryId,
    highWatermark: position.highWatermark,
  }
  return {
    clusterId,
    replicaId: -1,
    replicaState: { replicaId: replica.id, replicaEpoch: -1 },
    maxWaitMs: QUORUM_CONSTANTS.fetchMaxWaitMs,
    minBytes: 0,
    maxBytes: QUORUM_CONSTANTS.maxBatchBytes,
    isolationLevel: 0,
    sessionId: 0,
    sessionEpoch: -1,
    topics: [{ topic: METADATA_TOPIC, topicId: METADATA_TOPIC_ID, partitions: [partition] }],
    forgottenTopicsData: [],
    rackId: '',
  }
}

/** What a fetch found. `diverging` and `snapshot` exclude records. */
export interface FetchResult {
  readonly errorCode: ErrorCode
  readonly records: Records
  readonly logStartOffset: Offset
  /** -1 unknown. */
  readonly highWatermark: Offset
  readonly diverging: OffsetAndEpoch | undefined
  readonly snapshot: OffsetAndEpoch | undefined
}

const NOWHERE = { epoch: -1, endOffset: -1 }

export function fetchResponse(leader: KnownLeader, result: FetchResult): FetchResponse {
  const { diverging, snapshot } = result
  const partition: PartitionData = {
    partitionIndex: 0,
    errorCode: result.errorCode,
    highWatermark: result.highWatermark,
    lastStableOffset: -1,
    logStartOffset: result.logStartOffset,
    divergingEpoch: diverging === undefined ? NOWHERE : { epoch: diverging.epoch, endOffset: diverging.offset },
    currentLeader: { leaderId: leader.leaderId, leaderEpoch: leader.epoch },
    snapshotId: snapshot === undefined ? NOWHERE : { epoch: snapshot.epoch, endOffset: snapshot.offset },
    abortedTransactions: [],
    preferredReadReplica: -1,
    records: result.records,
  }
  return {
    throttleTimeMs: 0,
    errorCode: Errors.NONE,
    sessionId: 0,
    responses: [{ topic: METADATA_TOPIC, topicId: METADATA_TOPIC_ID, partitions: [partition] }],
    nodeEndpoints: fetchEndpoints(leader),
  }
}

function fetchEndpoints({ leaderId, node }: KnownLeader): FetchResponse['nodeEndpoints'] {
  return leaderId < 0 || node === undefined ? [] : [{ nodeId: leaderId, host: node, port: CONTROLLER_PORT, rack: null }]
}

export function fetchError(errorCode: ErrorCode): FetchResponse {
  return { throttleTimeMs: 0, errorCode, sessionId: 0, responses: [], nodeEndpoints: [] }
}

// ── FetchSnapshot ───────────────────────────────────────────────────────────────────────────────────────────────────

export function fetchSnapshotRequest(
  clusterId: string,
  replica: ReplicaKey,
  epoch: Epoch,
  id: OffsetAndEpoch,
  position: number,
): FetchSnapshotRequest {
  const partition = {
    partition: 0,
    currentLeaderEpoch: epoch,
    snapshotId: { endOffset: id.offset, epoch: id.epoch },
    position,
    replicaDirectoryId: replica.directoryId,
  }
  return {
    clusterId,
    replicaId: replica.id,
    maxBytes: QUORUM_CONSTANTS.maxBatchBytes,
    topics: [{ name: METADATA_TOPIC, partitions: [partition] }],
  }
}

/** A piece of a snapshot file. */
export interface SnapshotPiece {
  readonly id: OffsetAndEpoch
  readonly size: number
  readonly position: number
  readonly bytes: Uint8Array
}

const NO_BYTES = new Uint8Array(0)

export function fetchSnapshotResponse(
  leader: KnownLeader,
  errorCode: ErrorCode,
  piece: SnapshotPiece | undefined,
): FetchSnapshotResponse {
  const partition: FetchSnapshotResponsePartitionSnapshot = {
    index: 0,
    errorCode,
    snapshotId: { endOffset: piece?.id.offset ?? 0, epoch: piece?.id.epoch ?? 0 },
    currentLeader: { leaderId: leader.leaderId, leaderEpoch: leader.epoch },
    size: piece?.size ?? 0,
    position: piece?.position ?? 0,
    unalignedRecords: piece?.bytes ?? NO_BYTES,
  }
  return {
    throttleTimeMs: 0,
    errorCode: Errors.NONE,
    topics: [{ name: METADATA_TOPIC, partitions: [partition] }],
    nodeEndpoints: nodeEndpoints(leader),
  }
}

export function fetchSnapshotError(errorCode: ErrorCode): FetchSnapshotResponse {
  return { throttleTimeMs: 0, errorCode, topics: [], nodeEndpoints: [] }
}
