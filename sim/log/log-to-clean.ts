/**
 * How much of a compacted log may be cleaned, and how urgent that is.
 *
 *     |  clean  |        dirty, cleanable        |  not cleanable yet  |
 *     0         first dirty offset               first uncleanable offset: the first of
 *                                                  the last stable offset (never above the high watermark)
 *                                                  the active segment
 *                                                  a segment with records younger than min.compaction.lag.ms
 *
 * The first dirty offset is the checkpointed one; outside of [log start, log end] it says nothing, and all counts as dirty.
 * Bytes are those of whole segments. A log is due when its dirty share is above `min.cleanable.dirty.ratio`, or when its
 * first dirty segment is older than `max.compaction.lag.ms`. Source: LogCleanerManager.cleanableOffsets, LogToClean.
 */

import type { Bytes, Millis, Offset } from '../kernel/units.js'
import type { CleanableLog } from './cleanable-log.js'

export interface OffsetsToClean {
  readonly firstDirty: Offset
  readonly firstUncleanable: Offset
  /** The checkpoint says nothing about this log: it is to be written anew. */
  readonly resetsCheckpoint: boolean
}

export interface LogToClean {
  readonly log: CleanableLog
  readonly firstDirty: Offset
  /** Base offset of the first segment that is left alone. */
  readonly firstUncleanable: Offset
  readonly cleanBytes: Bytes
  readonly cleanableBytes: Bytes
  /** Share of the bytes that is dirty; of a log without bytes 0. */
  readonly ratio: number
  /** Its records have been dirty for longer than max.compaction.lag.ms. */
  readonly isOverdue: boolean
}

/** @param checkpoint where the last cleaning ended; undefined when there was none */
export function cleanableOffsets(log: CleanableLog, checkpoint: Offset | undefined, nowMs: Millis): OffsetsToClean {
  const { logStartOffset, logEndOffset, lastStableOffset } = log.bounds
  const known = checkpoint ?? logStartOffset
  const resetsCheckpoint = known < logStartOffset || known > logEndOffset
  const firstDirty = resetsCheckpoint ? logStartOffset : known
  const bound = Math.min(lastStableOffset, log.activeSegment.baseOffset, firstTooYoung(log, firstDirty, nowMs))
  return { firstDirty, firstUncleanable: Math.max(firstDirty, bound), resetsCheckpoint }
}

/** See LogToClean. @throws DiskError */
export function logToClean(
  log: CleanableLog,
  { firstDirty, firstUncleanable }: OffsetsToClean,
  nowMs: Millis,
): LogToClean {
  const bound = (log.closedSegmentsFrom(firstUncleanable)[0] ?? log.activeSegment).baseOffset
  const cleanBytes = bytesOf(log, -1, firstDirty)
  const cleanableBytes = bytesOf(log, Math.min(firstDirty, bound), bound)
  const total = cleanBytes + cleanableBytes
  return {
    log,
    firstDirty,
    firstUncleanable: bound,
    cleanBytes,
    cleanableBytes,
    ratio: total === 0 ? 0 : cleanableBytes / total,
    isOverdue: overdueMs(log, firstDirty, nowMs) > 0,
  }
}

function bytesOf(log: CleanableLog, from: Offset, to: Offset): Bytes {
  let bytes = 0
  for (const segment of log.segments(from, to)) bytes += segment.size
  return bytes
}

/** Where records begin that are younger than min.compaction.lag.ms; Infinity when there are none, or no such lag. */
function firstTooYoung(log: CleanableLog, firstDirty: Offset, nowMs: Millis): Offset {
  const lag = log.config['min.compaction.lag.ms']
  if (lag <= 0) return Infinity
  const young = log.closedSegmentsFrom(firstDirty).find((segment) => segment.largestTimestamp > nowMs - lag)
  return young?.baseOffset ?? Infinity
}

/** How long ago the oldest dirty segment should have been cleaned; 0 when it is not due. */
function overdueMs(log: CleanableLog, firstDirty: Offset, nowMs: Millis): Millis {
  const until = nowMs - log.config['max.compaction.lag.ms']
  let earliest = Infinity
  for (const segment of log.closedSegmentsFrom(firstDirty)) {
    const first = segment.firstBatchTimestamp
    if (first > 0 && first < earliest) earliest = first
  }
  return earliest < until ? until - earliest : 0
}
