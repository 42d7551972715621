/**
 * The metadata log: one PartitionLog without retention of its own, and the snapshots beside it (Kafka's KafkaMetadataLog and
 * ReplicatedLog; KIP-595, KIP-630).
 *
 * The log's start is covered by a snapshot: it moves forward to a snapshot's end offset only, and what lies before goes.
 * A fetch position (offset, epoch of the record before it) is valid, or it diverges (with the end of the largest epoch that
 * both may share), or it lies before the oldest snapshot (with the id of the latest). Epoch 0 has no leader and no records.
 *
 * Opened as after a crash every time, as Kafka does: all segments are checked. A snapshot beyond the log's end, downloaded just
 * before a crash, replaces the log. Appends and truncations take no virtual time; `flush` blocks until the disk has it.
 */

import { defaultsOf } from '../kernel/config-def.js'
import type { DiskError, Env } from '../kernel/env.js'
import type { Bytes, Epoch, Millis, Offset } from '../kernel/units.js'
import { LOG_SETTINGS, type LogConfig } from '../log/log-config.js'
import { readBytes } from '../log/slices.js'
import type { ReadResult } from '../log/local-log.js'
import { PartitionLog } from '../log/partition-log.js'
import { Errors } from '../wire/errors.js'
import type { RecordBatch, Records } from '../wire/record-batch.js'
import type { RecordCodec } from './batch-accumulator.js'
import { holdsVoters } from './control-records.js'
import type { QuorumConfig } from './quorum-config.js'
import { METADATA_PARTITION, METADATA_TOPIC_ID, QUORUM_CONSTANTS } from './quorum-config.js'
import type { OffsetAndEpoch } from './quorum-state.js'
import { RaftFault } from './raft-fault.js'
import type { LoadedSnapshot } from './raft-listener.js'
import type { Blocking } from './raft-thread.js'
import {
  compareSnapshots,
  decodeSnapshot,
  deletedSnapshotPath,
  isBootstrapSnapshot,
  parseSnapshotPath,
  readSnapshotPiece,
  readSnapshotTimestamp,
  snapshotPath,
} from './snapshot-file.js'

/** Where a fetch position stands to a log. */
export type Position =
  | { readonly kind: 'valid' }
  /** `id`: the largest position that may be shared. */
  | { readonly kind: 'diverging'; readonly id: OffsetAndEpoch }
  /** `id`: the latest snapshot. */
  | { readonly kind: 'snapshot'; readonly id: OffsetAndEpoch }

const VALID: Position = { kind: 'valid' }
const MAX_READ_BYTES: Bytes = QUORUM_CONSTANTS.maxBatchBytes

export class RaftLog {
  readonly log: PartitionLog
  readonly #env: Env
  readonly #config: QuorumConfig
  /** Ids of whole snapshots, ascending. */
  #snapshots: OffsetAndEpoch[]

  /** Opens the log in its folder, creating or recovering it. @throws DiskError RaftFault */
  static open(env: Env, config: QuorumConfig): RaftLog {
    return new RaftLog(env, config)
  }

  private constructor(env: Env, config: QuorumConfig) {
    this.#env = env
    this.#config = config
    this.log = PartitionLog.open(env, {
      partition: METADATA_PARTITION,
      config: metadataLogConfig(config),
      topicId: METADATA_TOPIC_ID,
      clean: false,
      role: 'quorum',
    })
    this.#snapshots = recoverSnapshots(env, this.log.logStartOffset)
    this.truncateToLatestSnapshot()
  }

  // ── extent ────────────────────────────────────────────────────────────────────────────────────────────────────────

  get startOffset(): Offset {
    return this.log.logStartOffset
  }

  get endOffset(): Offset {
    return this.log.logEndOffset
  }

  /** The end offset, and the epoch of the last record: that of the snapshot when the log is empty, 0 when there is nothing. */
  lastOffsetAndEpoch(): OffsetAndEpoch {
    return { offset: this.endOffset, epoch: this.#lastEpoch() }
  }

  #lastEpoch(): Epoch {
    const { latestEpoch } = this.log
    if (latestEpoch >= 0) return latestEpoch
    const latest = this.latestSnapshotId
    if (latest === undefined) return 0
    if (latest.offset === this.startOffset && latest.offset === this.endOffset) return latest.epoch
    throw new RaftFault(
      `no epoch in a log of [${this.startOffset}, ${this.endOffset}) with a snapshot at ${latest.offset}`,
    )
  }

  /** The largest epoch at or below `epoch`, and where it ends here. */
  endOffsetForEpoch(epoch: Epoch): OffsetAndEpoch {
    const found = this.log.endOffsetForEpoch(epoch)
    if (found.endOffset < 0) return this.lastOffsetAndEpoch()
    const earliest = this.earliestSnapshotId
    // Below all epochs of the log: what is known is the snapshot at its start.
    if (earliest !== undefined && found.endOffset === earliest.offset && found.epoch === epoch) return earliest
    return { offset: found.endOffset, epoch: found.epoch }
  }

  /** Where (`offset`, epoch of the record before it) stands. */
  validate(offset: Offset, epoch: Epoch): Position {
    const { startOffset } = this
    if (startOffset === 0 && offset === 0) return VALID
    const earliest = this.earliestSnapshotId
    const latest = this.latestSnapshotId
    if (earliest !== undefined && latest !== undefined) {
      const before =
        offset < startOffset || (offset === startOffset && epoch !== earliest.epoch) || epoch < earliest.epoch
      if (before) return { kind: 'snapshot', id: latest }
    }
    const end = this.endOffsetForEpoch(epoch)
    return end.epoch !== epoch || end.offset < offset ? { kind: 'diverging', id: end } : VALID
  }

  // ── records ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** From now on records are of `epoch`. @throws DiskError */
  initializeLeaderEpoch(epoch: Epoch): void {
    this.log.assignEpochStartOffset(epoch, this.endOffset)
  }

  /** @throws DiskError RaftFault */
  appendAsLeader(batch: RecordBatch, epoch: Epoch): void {
    if (batch.baseOffset !== this.endOffset)
      throw new RaftFault(`append at ${batch.baseOffset}, log ends at ${this.endOffset}`)
    const result = this.log.appendAsLeader([batch], epoch, { origin: 'raft-leader' })
    if ('message' in result) throw new RaftFault(`append as leader: ${result.message}`)
  }

  /** Corrupt batches are dropped, as Kafka does: they are fetched again. @throws DiskError RaftFault */
  appendAsFollower(records: Records, epoch: Epoch): void {
    const result = this.log.appendAsFollower(records, epoch)
    if (!('message' in result)) return
    if (result.error === Errors.CORRUPT_MESSAGE || result.error === Errors.INVALID_RECORD) return
    throw new RaftFault(`append as follower: ${result.message}`)
  }

  *flush(): Blocking {
    yield (done) => this.log.flush(this.endOffset, done)
  }

  /** Records from `offset`, committed or not. @throws DiskError RaftFault */
  read(offset: Offset): Records {
    return found(this.log.read(offset, MAX_READ_BYTES, this.endOffset, true))
  }

  /** Records from `offset` up to the high watermark. @throws DiskError RaftFault */
  readCommitted(offset: Offset): Records {
    return found(this.log.read(offset, MAX_READ_BYTES, this.highWatermark, true))
  }

  /** Cuts the log to what it may share with a leader whose log ends `end.epoch` at `end.offset`. @throws DiskError RaftFault */
  truncateToEndOffset(end: OffsetAndEpoch): void {
    let offset = Math.min(end.offset, this.endOffset)
    if (end.epoch !== 0) {
      const own = this.endOffsetForEpoch(end.epoch)
      offset = own.epoch === end.epoch ? Math.min(own.offset, end.offset) : own.offset
    }
    if (offset < this.highWatermark)
      throw new RaftFault(`truncate to ${offset}, below the high watermark ${this.highWatermark}`)
    this.log.truncateTo(offset, 'diverging')
  }

  get highWatermark(): Offset {
    return this.log.highWatermark
  }

  updateHighWatermark(offset: Offset): void {
    this.log.setHighWatermark(offset)
  }

  /** Where the log or its snapshots hold the voters; -1 for nowhere but in the bootstrap snapshot, or nowhere at all. */
  get votersOffset(): Offset {
    const latest = this.latestSnapshotId
    if (latest !== undefined && !isBootstrapSnapshot(latest)) return latest.offset - 1
    for (let offset = this.startOffset; offset < this.endOffset;) {
      const batches = this.read(offset)
      const holder = batches.find(holdsVoters)
      if (holder !== undefined) return holder.baseOffset
      offset = (batches[batches.length - 1] as RecordBatch).nextOffset
    }
    return -1
  }

  close(done?: (error?: DiskError) => void): void {
    this.log.close(done)
  }

  // ── snapshots ─────────────────────────────────────────────────────────────────────────────────────────────────────

  get earliestSnapshotId(): OffsetAndEpoch | undefined {
    return this.#snapshots[0]
  }

  get latestSnapshotId(): OffsetAndEpoch | undefined {
    return this.#snapshots[this.#snapshots.length - 1]
  }

  hasSnapshot(id: OffsetAndEpoch): boolean {
    return this.#snapshots.some((known) => compareSnapshots(known, id) === 0)
  }

  /** A snapshot file is whole. */
  addSnapshot(id: OffsetAndEpoch): void {
    if (this.hasSnapshot(id)) return
    this.#snapshots.push(id)
    this.#snapshots.sort(compareSnapshots)
  }

  /** The latest snapshot's content. @throws DiskError RaftFault */
  latestSnapshot<T>(codec: RecordCodec<T>): LoadedSnapshot<T> | undefined {
    const id = this.latestSnapshotId
    if (id === undefined) return undefined
    const file = this.#env.disk.open(snapshotPath(id))
    return decodeSnapshot(id, readBytes(file, 0, file.size), codec)
  }

  /** A piece of a snapshot's file, and the file's size; undefined when there is no such snapshot. @throws DiskError */
  readSnapshotPiece(
    id: OffsetAndEpoch,
    position: Bytes,
    maxBytes: Bytes,
  ): { size: Bytes; bytes: Uint8Array } | undefined {
    return this.hasSnapshot(id) ? readSnapshotPiece(this.#env.disk, id, position, maxBytes) : undefined
  }

  /**
   * Whether a snapshot that ends at `id` may be made: undefined when it exists or lies before the log; otherwise
   * a sentence on what is wrong, or ''.
   */
  checkNewSnapshot(id: OffsetAndEpoch): string | undefined {
    if (id.offset < this.startOffset || this.hasSnapshot(id)) return undefined
    if (id.offset > this.highWatermark)
      return `snapshot at ${id.offset}, beyond the high watermark ${this.highWatermark}`
    if (this.validate(id.offset, id.epoch).kind !== 'valid')
      return `snapshot ${id.offset}-${id.epoch} does not fit the log`
    // Followers go on from it, so it must end with a batch.
    const next = id.offset < this.endOffset ? this.read(id.offset)[0] : undefined
    return next === undefined || next.baseOffset === id.offset ? '' : `snapshot at ${id.offset}, within a batch`
  }

  /** Empties the log and starts it at the latest snapshot, when that lies beyond its end. @throws DiskError */
  truncateToLatestSnapshot(): boolean {
    const latest = this.latestSnapshotId
    if (latest === undefined) return false
    const latestEpoch = Math.max(this.log.latestEpoch, 0)
    const beyond = latest.epoch > latestEpoch || (latest.epoch === latestEpoch && latest.offset > this.endOffset)
    if (!beyond) return false
    this.log.truncateFullyAndStartAt(latest.offset, 'snapshot')
    this.#forgetBefore(latest)
    return true
  }

  /** Deletes old snapshots, and the log before the next one, by size and by age. @throws DiskError RaftFault */
  clean(nowMs: Millis): void {
    if (this.#snapshots.length < 2) return
    const maxBytes = this.#config['metadata.max.retention.bytes']
    if (maxBytes >= 0) {
      let snapshotBytes = 0
      for (const id of this.#snapshots) snapshotBytes += this.#snapshotSize(id)
      this.#cleanWhile((id) => {
        if (this.log.sizeInBytes + snapshotBytes <= maxBytes) return false
        snapshotBytes -= this.#snapshotSize(id)
        return true
      })
    }
    const maxMs = this.#config['metadata.max.retention.ms']
    if (maxMs >= 0) this.#cleanWhile((id) => nowMs - readSnapshotTimestamp(this.#env.disk, id) > maxMs)
  }

  #snapshotSize(id: OffsetAndEpoch): Bytes {
    return this.#env.disk.open(snapshotPath(id)).size
  }

  /** From the oldest on, while `isOld` holds and another follows. */
  #cleanWhile(isOld: (id: OffsetAndEpoch) => boolean): void {
    const ids = this.#snapshots.slice()
    for (let i = 0; i + 1 < ids.length; i++) {
      if (!isOld(ids[i] as OffsetAndEpoch) || !this.#deleteBefore(ids[i + 1] as OffsetAndEpoch)) return
    }
  }

  #deleteBefore(id: OffsetAndEpoch): boolean {
    if (this.startOffset >= id.offset || this.log.advanceLogStartOffset(id.offset, 'snapshot') !== Errors.NONE)
      return false
    const segments = this.log.deleteOldSegments(this.#env.clock.wallMs())
    return this.#forgetBefore(id) > 0 || segments > 0
  }

  /** Renames the files now and removes them a minute later. */
  #forgetBefore(id: OffsetAndEpoch): number {
    const { disk } = this.#env
    const old = this.#snapshots.filter((known) => compareSnapshots(known, id) < 0)
    if (old.length === 0) return 0
    this.#snapshots = this.#snapshots.slice(old.length)
    for (const known of old) disk.rename(snapshotPath(known), deletedSnapshotPath(known))
    this.#env.after(QUORUM_CONSTANTS.fileDeleteDelayMs, () => {
      for (const known of old) if (disk.exists(deletedSnapshotPath(known))) disk.remove(deletedSnapshotPath(known))
    })
    return old.length
  }
}

function found(result: ReadResult): Records {
  if ('batches' in result) return result.batches
  throw new RaftFault(`metadata log: ${result.message}`)
}

/** Segments as configured; retention is by snapshots only. */
function metadataLogConfig(config: QuorumConfig): LogConfig {
  return {
    ...defaultsOf(LOG_SETTINGS),
    'segment.bytes': config['metadata.log.segment.bytes'],
    'segment.ms': config['metadata.log.segment.ms'],
    'max.message.bytes': QUORUM_CONSTANTS.maxBatchBytes,
    'retention.ms': -1,
    'retention.bytes': -1,
  }
}

/** The snapshots to keep, ascending; others are removed. @throws DiskError RaftFault */
function recoverSnapshots(env: Env, logStartOffset: Offset): OffsetAndEpoch[] {
  const kept: OffsetAndEpoch[] = []
  const removed: string[] = []
  for (const path of env.disk.list(`${METADATA_PARTITION}/`)) {
    const parsed = parseSnapshotPath(path)
    if (parsed === undefined) continue
    if (parsed.whole && parsed.id.offset >= logStartOffset) kept.push(parsed.id)
    else removed.push(path)
  }
  kept.sort(compareSnapshots)
  const latest = kept[kept.length - 1]
  if (logStartOffset > 0 && latest === undefined)
    throw new RaftFault(`log starts at ${logStartOffset} without a snapshot`)
  for (const path of removed) env.disk.remove(path)
  return kept
}
