/**
 * What a state machine sees of the metadata log, and how far each one has come (Kafka's RaftClient.Listener and
 * ListenerContext).
 *
 * Each listener gets every committed batch once, in order; a new one, or one that fell behind the log's start, gets the
 * latest snapshot first. A control batch comes with no records, so that offsets have no gaps. The leader itself hears of its
 * leadership only once it has handled everything before its epoch; everybody else hears of every newer leader or epoch.
 */

import type { Epoch, NodeId, Offset } from '../kernel/units.js'
import type { Record, RecordBatch } from '../wire/record-batch.js'
import type { RecordCodec } from './batch-accumulator.js'
import { NO_LEADER_ID } from './quorum-state.js'
import { RaftFault } from './raft-fault.js'

export interface CommittedBatch<T> {
  readonly baseOffset: Offset
  readonly lastOffset: Offset
  readonly epoch: Epoch
  /** Wall time of the leader when it appended (ms). */
  readonly appendTimestamp: number
  /** Empty for control batches. */
  readonly records: readonly T[]
}

export interface LoadedSnapshot<T> {
  /** Exclusive. */
  readonly endOffset: Offset
  readonly epoch: Epoch
  readonly records: readonly T[]
  /** Append time of the last record that it covers (ms). */
  readonly lastContainedLogTimestamp: number
}

export interface LeaderAndEpoch {
  /** -1 for none. */
  readonly leaderId: NodeId
  readonly epoch: Epoch
}

/** Calls come from the raft thread, in order. They must not block and may call the raft client. */
export interface RaftListener<T> {
  handleCommit(batches: readonly CommittedBatch<T>[]): void
  handleLoadSnapshot(snapshot: LoadedSnapshot<T>): void
  handleLeaderChange(leader: LeaderAndEpoch): void
  beginShutdown(): void
}

/** No offset yet: the listener is new. */
export const STARTING_OFFSET: Offset = -1

export class ListenerContext<T> {
  readonly listener: RaftListener<T>
  /** The next offset to hand over. */
  nextOffset: Offset = STARTING_OFFSET
  #told: LeaderAndEpoch = { leaderId: NO_LEADER_ID, epoch: 0 }

  constructor(listener: RaftListener<T>) {
    this.listener = listener
  }

  commit(batches: readonly CommittedBatch<T>[]): void {
    const last = batches[batches.length - 1]
    if (last === undefined) return
    this.nextOffset = last.lastOffset + 1
    this.listener.handleCommit(batches)
  }

  load(snapshot: LoadedSnapshot<T>): void {
    this.nextOffset = snapshot.endOffset
    this.listener.handleLoadSnapshot(snapshot)
  }

  /** Tells of `leader` when it is news; of its own leadership when past `epochStartOffset`. */
  tellLeader(leader: LeaderAndEpoch, epochStartOffset?: Offset): void {
    const isNews =
      leader.epoch > this.#told.epoch ||
      (leader.epoch === this.#told.epoch && leader.leaderId !== NO_LEADER_ID && this.#told.leaderId === NO_LEADER_ID)
    if (!isNews) return
    if (epochStartOffset !== undefined && this.nextOffset <= epochStartOffset) return
    this.#told = leader
    this.listener.handleLeaderChange(leader)
  }
}

/** Decoded once for all replicas that share a batch's body. A cache only: what it holds is a function of its key. */
const decoded = new WeakMap<readonly Record[], readonly unknown[]>()

/** Whoever made a batch of `values` spares the others the decoding. */
export function rememberDecoded(batch: RecordBatch, values: readonly unknown[]): void {
  decoded.set(batch.records(), values)
}

/** The records of a batch read from a log or a snapshot. @throws RaftFault when its bytes were corrupted */
export function decodeBatch<T>(batch: RecordBatch, codec: RecordCodec<T>): readonly T[] {
  if (!batch.isValid()) throw new RaftFault(`corrupt batch at offset ${batch.baseOffset}`)
  if (batch.isControl) return []
  const records = batch.records()
  let values = decoded.get(records) as readonly T[] | undefined
  if (values === undefined) {
    values = records.map((record) => codec.decode(record.value ?? new Uint8Array(0)))
    decoded.set(records, values)
  }
  return values
}

/** A batch read from the log, as its listeners get it. */
export function committedBatch<T>(batch: RecordBatch, codec: RecordCodec<T>): CommittedBatch<T> {
  return {
    baseOffset: batch.baseOffset,
    lastOffset: batch.lastOffset,
    epoch: batch.partitionLeaderEpoch,
    appendTimestamp: batch.maxTimestamp,
    records: decodeBatch(batch, codec),
  }
}
