/**
 * Brings a log's producer state to an offset: from the best snapshot at or before it, then from the log itself.
 *
 * After a clean shutdown without any snapshot (a log from before there were producers) no batch is read: empty
 * snapshots are written instead, so that the next unclean start has something to begin with. Source:
 * UnifiedLog.rebuildProducerState.
 */

import type { Millis, Offset } from '../kernel/units.js'
import type { LogSegments } from './log-segments.js'
import type { ProducerStateManager } from './producer-state-manager.js'

/** @throws DiskError */
export function rebuildProducerState(
  producers: ProducerStateManager,
  segments: LogSegments,
  logStartOffset: Offset,
  lastOffset: Offset,
  nowMs: Millis,
  cleanShutdown: boolean,
): void {
  // The last two segments and the end: enough for any truncation that replication asks for.
  const bases = segments.all.slice(-2).map((segment) => segment.baseOffset)
  if (producers.latestSnapshotOffset < 0 && cleanShutdown) {
    for (const offset of [...bases, lastOffset]) {
      producers.mapEndOffset = offset
      producers.takeSnapshot()
    }
    return
  }
  const wasEmpty = producers.isEmpty && producers.mapEndOffset >= lastOffset
  producers.truncateAndReload(logStartOffset, lastOffset, nowMs)
  if (lastOffset > producers.mapEndOffset && !wasEmpty) {
    const lastSegment = segments.floor(lastOffset)
    for (const segment of segments.between(producers.mapEndOffset, lastOffset)) {
      const start = Math.max(segment.baseOffset, producers.mapEndOffset, logStartOffset)
      producers.mapEndOffset = start
      if (bases.includes(segment.baseOffset)) producers.takeSnapshot()
      const end = segment === lastSegment ? (segment.positionOf(lastOffset) ?? segment.size) : segment.size
      segment.forEachBatch(
        start,
        (batch) => {
          const completed = producers.replay(batch)
          if (completed !== undefined) producers.completeTxn(completed)
          return true
        },
        end,
      )
    }
  }
  producers.mapEndOffset = lastOffset
  producers.takeSnapshot()
}
