/**
 * Snapshots of the metadata log (KIP-630): files of record batches beside the log's segments.
 *
 *   %020d-%010d.checkpoint            end offset (exclusive) and epoch of the last record covered
 *   %020d-%010d.checkpoint.deleted    waits for its removal
 *
 * A control batch with header, KRaft version and voters, batches of records, a control batch with the footer. Under its final
 * name a file is whole and durable (Kafka writes a partial file, syncs and renames it; here that is one call of the disk,
 * and a download is kept in memory until it is whole). 0-0 is the bootstrap snapshot, which only tells the first voters of
 * each other; it is never sent.
 */

import type { Disk, DiskError } from '../kernel/env.js'
import type { Bytes, Millis } from '../kernel/units.js'
import { joinSlices, readBytes } from '../log/slices.js'
import type { NewRecord, Records } from '../wire/record-batch.js'
import { BATCH_OVERHEAD, parseRecords, RecordBatch, recordSizeInBytes } from '../wire/record-batch.js'
import type { RecordCodec } from './batch-accumulator.js'
import { snapshotFooterRecords, snapshotHeaderRecords, snapshotTimestamp } from './control-records.js'
import { METADATA_PARTITION, QUORUM_CONSTANTS } from './quorum-config.js'
import type { OffsetAndEpoch } from './quorum-state.js'
import { RaftFault } from './raft-fault.js'
import type { LoadedSnapshot } from './raft-listener.js'
import { decodeBatch } from './raft-listener.js'
import type { Blocking } from './raft-thread.js'
import type { VoterSet } from './voter-set.js'

export const BOOTSTRAP_SNAPSHOT: OffsetAndEpoch = { offset: 0, epoch: 0 }

const SUFFIX = '.checkpoint'
const DELETED = '.checkpoint.deleted'

export function compareSnapshots(a: OffsetAndEpoch, b: OffsetAndEpoch): number {
  return a.epoch !== b.epoch ? a.epoch - b.epoch : a.offset - b.offset
}

export function isBootstrapSnapshot(id: OffsetAndEpoch): boolean {
  return compareSnapshots(id, BOOTSTRAP_SNAPSHOT) === 0
}

export function snapshotPath(id: OffsetAndEpoch): string {
  return stem(id) + SUFFIX
}

export function deletedSnapshotPath(id: OffsetAndEpoch): string {
  return stem(id) + DELETED
}

function stem(id: OffsetAndEpoch): string {
  return `${METADATA_PARTITION}/${String(id.offset).padStart(20, '0')}-${String(id.epoch).padStart(10, '0')}`
}

/** What a path in the metadata log's folder says; undefined when it is no snapshot's. */
export function parseSnapshotPath(path: string): { id: OffsetAndEpoch; whole: boolean } | undefined {
  const match = /\/([0-9]{20})-([0-9]{10})(\.checkpoint(?:\.deleted)?)$/.exec(path)
  if (match === null) return undefined
  return { id: { offset: Number(match[1]), epoch: Number(match[2]) }, whole: match[3] === SUFFIX }
}

export interface SnapshotOptions<T> {
  readonly id: OffsetAndEpoch
  /** Append time of the last record that it covers (ms). */
  readonly lastContainedLogTimestamp: Millis
  /** Written to the header; the bootstrap records' file has none. */
  readonly voters: VoterSet | undefined
  readonly codec: RecordCodec<T>
  readonly nowMs: Millis
}

/** The bytes of a snapshot of `records`. */
export function encodeSnapshot<T>(options: SnapshotOptions<T>, records: readonly T[]): Uint8Array {
  const { id, voters, codec, nowMs, lastContainedLogTimestamp } = options
  const batches: RecordBatch[] = []
  let nextOffset = 0
  const add = (batch: readonly NewRecord[], isControl: boolean): void => {
    if (batch.length === 0) return
    batches.push(RecordBatch.build({ baseOffset: nextOffset, partitionLeaderEpoch: id.epoch, isControl }, batch))
    nextOffset += batch.length
  }
  add(snapshotHeaderRecords(voters, lastContainedLogTimestamp, nowMs), true)
  let filling: NewRecord[] = []
  let size = BATCH_OVERHEAD
  for (const record of records) {
    const encoded: NewRecord = { timestamp: nowMs, key: null, value: codec.encode(record) }
    const added = recordSizeInBytes(encoded, filling.length, nowMs)
    if (size + added > QUORUM_CONSTANTS.maxBatchBytes) {
      add(filling, false)
      filling = []
      size = BATCH_OVERHEAD
    }
    filling.push(encoded)
    size += added
  }
  add(filling, false)
  add(snapshotFooterRecords(nowMs), true)
  return joinSlices(batches)
}

/** Decoded once for all nodes that hold the same bytes. A cache only. */
const parsed = new WeakMap<Uint8Array, Records>()

/** @throws RaftFault when the bytes are no snapshot */
export function decodeSnapshot<T>(id: OffsetAndEpoch, bytes: Uint8Array, codec: RecordCodec<T>): LoadedSnapshot<T> {
  let batches = parsed.get(bytes)
  if (batches === undefined) {
    batches = parseRecords(bytes)
    parsed.set(bytes, batches)
  }
  const timestamp = snapshotTimestamp(batches[0])
  if (timestamp === undefined) throw new RaftFault(`${snapshotPath(id)} does not begin as a snapshot`)
  const records: T[] = []
  for (const batch of batches) for (const record of decodeBatch(batch, codec)) records.push(record)
  return { endOffset: id.offset, epoch: id.epoch, records, lastContainedLogTimestamp: timestamp }
}

/** Writes a snapshot; `done` comes when it is durable. */
export function writeSnapshot(
  disk: Disk,
  id: OffsetAndEpoch,
  bytes: Uint8Array,
  done: (error?: DiskError) => void,
): void {
  disk.replaceFile(snapshotPath(id), bytes, done)
}

/** The timestamp in a snapshot's header. @throws DiskError RaftFault */
export function readSnapshotTimestamp(disk: Disk, id: OffsetAndEpoch): Millis {
  const file = disk.open(snapshotPath(id))
  const timestamp = snapshotTimestamp(parseRecords(readBytes(file, 0, file.size))[0])
  if (timestamp === undefined) throw new RaftFault(`${snapshotPath(id)} does not begin as a snapshot`)
  return timestamp
}

/** A piece of a snapshot file, clipped at its end, and the size of the file; undefined when it is gone. @throws DiskError */
export function readSnapshotPiece(
  disk: Disk,
  id: OffsetAndEpoch,
  position: Bytes,
  maxBytes: Bytes,
): { size: Bytes; bytes: Uint8Array } | undefined {
  if (!disk.exists(snapshotPath(id))) return undefined
  const file = disk.open(snapshotPath(id))
  return { size: file.size, bytes: readBytes(file, position, Math.min(maxBytes, file.size)) }
}

/** A snapshot on its way from the leader, piece by piece. */
export class SnapshotDownload {
  readonly id: OffsetAndEpoch
  readonly #pieces: Uint8Array[] = []
  #size: Bytes = 0

  constructor(id: OffsetAndEpoch) {
    this.id = id
  }

  get size(): Bytes {
    return this.#size
  }

  append(bytes: Uint8Array): void {
    this.#pieces.push(bytes)
    this.#size += bytes.length
  }

  /** Blocks until the file is durable under its name. */
  *freeze(disk: Disk): Blocking {
    const bytes = this.#pieces.length === 1 ? (this.#pieces[0] as Uint8Array) : joinBytes(this.#pieces, this.#size)
    yield (done) => writeSnapshot(disk, this.id, bytes, done)
  }
}

function joinBytes(pieces: readonly Uint8Array[], size: Bytes): Uint8Array {
  const bytes = new Uint8Array(size)
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}
