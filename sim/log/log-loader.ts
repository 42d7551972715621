/**
 * Opens the files of a log, and makes them whole after an unclean end.
 *
 *  1. Leftovers: `.deleted` and `.cleaned` files go; `.swap` files of a finished compaction take the place of what they
 *     replace, those of an unfinished one go.
 *  2. Segments are opened in order. One without its offset index, or with a transaction index that lies below it, is
 *     recovered.
 *  3. Without the clean-shutdown marker every segment from the recovery point on is recovered: read batch by batch with
 *     its CRC, indexes, epochs and producer state made anew. At the first batch that does not check the log ends: the
 *     segment is cut there, later ones are deleted.
 *  4. A log that ends below its log start offset is emptied.
 *  5. Leader epochs beyond the end and before the checkpointed start are forgotten; producer state is rebuilt to the
 *     end.
 *
 * With the marker nothing is read in step 3. Takes no virtual time. Source: Kafka's Loader, LogSegment.recover.
 */

import type { Env } from '../kernel/env.js'
import { LONG_MAX, type Bytes, type Offset } from '../kernel/units.js'
import type { RecordBatch } from '../wire/record-batch.js'
import type { LeaderEpochCache } from './leader-epoch-cache.js'
import type { LocalLog } from './local-log.js'
import {
  CLEANED_SUFFIX,
  DELETED_SUFFIX,
  filesIn,
  INDEX_SUFFIX,
  LOG_SUFFIX,
  offsetOfPath,
  segmentPath,
  SWAP_SUFFIX,
  TIME_INDEX_SUFFIX,
  TXN_INDEX_SUFFIX,
} from './log-files.js'
import { LogSegment } from './log-segment.js'
import { ProducerStateManager } from './producer-state-manager.js'
import { rebuildProducerState } from './rebuild-producer-state.js'

/** Snapshots of the metadata log have a `.deleted` of their own. */
const CHECKPOINT_DELETED_SUFFIX = '.checkpoint.deleted'

/** What is known of the log before its files are looked at. */
export interface LogCheckpoint {
  /** The clean-shutdown marker was found. */
  readonly clean: boolean
  /** As checkpointed; 0 when nothing was. */
  readonly logStartOffset: Offset
  readonly recoveryPoint: Offset
}

/** A log being loaded. */
interface Load extends LogCheckpoint {
  readonly env: Env
  readonly log: LocalLog
  readonly epochs: LeaderEpochCache
  readonly producers: ProducerStateManager
}

export interface LoadedOffsets {
  readonly logStartOffset: Offset
  readonly logEndOffset: Offset
  readonly recoveryPoint: Offset
}

/** Fills `log`, `epochs` and `producers` with what is on the disk. @throws DiskError */
export function loadLog(
  env: Env,
  log: LocalLog,
  epochs: LeaderEpochCache,
  producers: ProducerStateManager,
  checkpoint: LogCheckpoint,
): LoadedOffsets {
  const load: Load = { env, log, epochs, producers, ...checkpoint }
  const { segments } = log
  finishSwaps(load, removeTemporaryFiles(load))
  loadSegments(load)
  const { logEndOffset, recoveryPoint } = recoverLog(load)
  epochs.truncateFromEnd(logEndOffset)
  const logStartOffset = Math.max(load.logStartOffset, segments.first.baseOffset)
  epochs.truncateFromStart(load.logStartOffset)
  producers.removeStraySnapshots(segments.all.map((segment) => segment.baseOffset))
  rebuildProducerState(producers, segments, logStartOffset, logEndOffset, env.clock.wallMs(), load.clean)
  return { logStartOffset, logEndOffset, recoveryPoint }
}

// ── leftovers ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Removes what is no longer wanted; returns the `.swap` files that are. */
function removeTemporaryFiles({ env, log: { dir } }: Load): string[] {
  const { disk } = env
  const swaps: string[] = []
  const cleaned: string[] = []
  for (const path of filesIn(disk, dir)) {
    if (path.endsWith(DELETED_SUFFIX) && !path.endsWith(CHECKPOINT_DELETED_SUFFIX)) disk.remove(path)
    else if (path.endsWith(CLEANED_SUFFIX)) cleaned.push(path)
    else if (path.endsWith(SWAP_SUFFIX)) swaps.push(path)
  }
  const unfinished = cleaned.reduce((least, path) => Math.min(least, offsetOfPath(path) ?? LONG_MAX), LONG_MAX)
  const stale = (path: string): boolean => (offsetOfPath(path) ?? 0) >= unfinished
  for (const path of [...swaps.filter(stale), ...cleaned]) disk.remove(path)
  return swaps.filter((path) => !stale(path))
}

/** Removes the segments that the `.swap` files replace, and gives these their names. */
function finishSwaps({ env, log: { dir, config } }: Load, swaps: readonly string[]): void {
  if (swaps.length === 0) return
  const { disk } = env
  let from = LONG_MAX
  let to = -1
  for (const path of swaps) {
    if (!path.endsWith(LOG_SUFFIX + SWAP_SUFFIX)) continue
    const baseOffset = offsetOfPath(path) as Offset
    from = Math.min(from, baseOffset)
    to = Math.max(to, new LogSegment(env, dir, baseOffset, config, 0, SWAP_SUFFIX).readNextOffset())
  }
  for (const path of filesIn(disk, dir)) {
    const offset = offsetOfPath(path)
    if (path.endsWith(SWAP_SUFFIX) || offset === undefined) continue
    if (offset >= from && offset < to) disk.remove(path)
  }
  for (const path of filesIn(disk, dir)) {
    if (path.endsWith(SWAP_SUFFIX)) disk.rename(path, path.slice(0, -SWAP_SUFFIX.length))
  }
}

// ── segments ────────────────────────────────────────────────────────────────────────────────────────────────────────

function loadSegments(load: Load): void {
  const { env, log } = load
  const { dir } = log
  const { disk } = env
  for (const path of filesIn(disk, dir)) {
    const offset = offsetOfPath(path)
    if (offset === undefined) continue
    if ([INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX].some((suffix) => path.endsWith(suffix))) {
      if (!disk.exists(segmentPath(dir, offset, LOG_SUFFIX))) disk.remove(path)
    } else if (path.endsWith(LOG_SUFFIX)) {
      const indexed = disk.exists(segmentPath(dir, offset, INDEX_SUFFIX))
      const segment = log.openSegment(offset)
      if (!indexed || !segment.txnIndex.isSane(offset)) recoverSegment(load, segment)
      log.segments.add(segment)
    }
  }
}

function recoverLog(load: Load): { logEndOffset: Offset; recoveryPoint: Offset } {
  const { clean, log } = load
  const { segments } = log
  if (!clean) recoverUnflushed(load)
  const end = emptyIfBelowStart(load)
  if (segments.size === 0) segments.add(log.openSegment(load.logStartOffset))
  const logEndOffset = end ?? segments.active.readNextOffset()
  if (clean && end !== undefined) return { logEndOffset, recoveryPoint: logEndOffset }
  return { logEndOffset, recoveryPoint: Math.min(load.recoveryPoint, logEndOffset) }
}

function recoverUnflushed(load: Load): void {
  const { env, log } = load
  const { partition, segments } = log
  const unflushed = segments.between(load.recoveryPoint, LONG_MAX)
  for (const [index, segment] of unflushed.entries()) {
    const lost = recoverSegment(load, segment)
    if (lost === undefined) continue
    const later = unflushed.slice(index + 1)
    const from = Math.max(lost, ...later.map((removed) => removed.readNextOffset()))
    remove(load, later)
    const to = segment.readNextOffset()
    if (from > to) env.emit('log.truncate', { partition, from, to, reason: 'recovery' })
    return
  }
}

/** The log's end, unless the log is empty or ends before its start: then its segments go. */
function emptyIfBelowStart(load: Load): Offset | undefined {
  const { epochs, producers } = load
  const { segments } = load.log
  if (segments.size === 0) return undefined
  const end = segments.active.readNextOffset()
  if (end >= load.logStartOffset) return end
  remove(load, segments.all)
  epochs.clearAndFlush()
  producers.truncateFullyAndStartAt(load.logStartOffset)
  return undefined
}

function remove({ log, producers }: Load, segments: readonly LogSegment[]): void {
  const going = segments.slice()
  log.removeSegments(going)
  log.removeSnapshots(going, producers)
}

// ── recovery of one segment ─────────────────────────────────────────────────────────────────────────────────────────

/** Undefined when the whole segment was good; else the offset after the last record known to be lost. */
function recoverSegment(load: Load, segment: LogSegment): Offset | undefined {
  const { env, log } = load
  const { dir, partition, segments } = log
  const producers = new ProducerStateManager(env, dir, load.producers.config, (error) => log.goOffline(error))
  const nowMs = env.clock.wallMs()
  rebuildProducerState(producers, segments, load.logStartOffset, segment.baseOffset, nowMs, false)
  const before = segment.size
  const { validBytes, bad } = readValid(load, segment, producers)
  producers.takeSnapshot()
  if (validBytes === before) return undefined
  const offset = segment.readNextOffset()
  env.emit('log.corrupt', { partition, offset, position: validBytes, found: 'recovery' })
  // A header out of place says nothing about what was there.
  return bad !== undefined && bad.baseOffset === offset ? bad.nextOffset : offset
}

/**
 * Makes the segment's indexes, epochs and producer state anew from its batches, and cuts it after the last good one.
 */
function readValid(
  load: Load,
  segment: LogSegment,
  producers: ProducerStateManager,
): { validBytes: Bytes; bad: RecordBatch | undefined } {
  const { epochs } = load
  let lastIndexed = 0
  let validBytes = 0
  let bad: RecordBatch | undefined
  let ordered = true
  segment.resetIndexes()
  segment.scan((batch, position) => {
    if (!batch.isValid() || !segment.offsetIndex.canAppend(batch.lastOffset)) {
      bad = batch
      return false
    }
    const taken = segment.recoverBatch(batch, position, lastIndexed)
    ordered = taken !== 'out-of-order'
    if (!ordered) return false
    if (taken === 'indexed') lastIndexed = position
    validBytes = position + batch.sizeInBytes
    if (batch.partitionLeaderEpoch > epochs.latestEpoch) epochs.assign(batch.partitionLeaderEpoch, batch.baseOffset)
    replay(batch, segment, producers)
    return true
  })
  if (!ordered) {
    segment.truncateTo(segment.baseOffset)
    return { validBytes: 0, bad: undefined }
  }
  segment.finishRecovery(validBytes)
  return { validBytes, bad }
}

function replay(batch: RecordBatch, segment: LogSegment, producers: ProducerStateManager): void {
  const completed = producers.replay(batch)
  if (completed !== undefined) {
    if (completed.aborted) {
      const { producerId, firstOffset, lastOffset } = completed
      const lastStableOffset = producers.lastStableOffset(completed)
      segment.txnIndex.append({ producerId, firstOffset, lastOffset, lastStableOffset })
    }
    producers.completeTxn(completed)
  }
  producers.mapEndOffset = batch.nextOffset
}
