/**
 * Looks offsets up by time, as ListOffsets asks for them. Source: UnifiedLog.fetchOffsetByTimestamp.
 */

import type { Millis, Offset } from '../kernel/units.js'
import { NO_TIMESTAMP } from '../wire/record-batch.js'
import type { LeaderEpochCache } from './leader-epoch-cache.js'
import type { LogSegment, TimestampedOffset } from './log-segment.js'

/** Timestamps with a meaning of their own in ListOffsets. */
export const LATEST_TIMESTAMP = -1
export const EARLIEST_TIMESTAMP = -2
export const MAX_TIMESTAMP = -3
export const EARLIEST_LOCAL_TIMESTAMP = -4
export const LATEST_TIERED_TIMESTAMP = -5

interface TimedLog {
  readonly segments: readonly LogSegment[]
  readonly epochs: LeaderEpochCache
  readonly logStartOffset: Offset
  readonly logEndOffset: Offset
}

/** See PartitionLog.offsetForTimestamp. There is no tiered storage: its latest offset is -1. */
export function offsetForTimestamp(log: TimedLog, timestamp: Millis): TimestampedOffset | undefined {
  const { segments, epochs, logStartOffset } = log
  switch (timestamp) {
    case EARLIEST_TIMESTAMP:
    case EARLIEST_LOCAL_TIMESTAMP: {
      const earliest = epochs.earliest
      const known = earliest !== undefined && earliest.startOffset <= logStartOffset
      return { timestamp: NO_TIMESTAMP, offset: logStartOffset, leaderEpoch: known ? earliest.epoch : -1 }
    }
    case LATEST_TIMESTAMP:
      return { timestamp: NO_TIMESTAMP, offset: log.logEndOffset, leaderEpoch: epochs.latestEpoch }
    case LATEST_TIERED_TIMESTAMP:
      return { timestamp: NO_TIMESTAMP, offset: -1, leaderEpoch: -1 }
    case MAX_TIMESTAMP:
      return segments.reduce((a, b) => (b.maxTimestamp.timestamp > a.maxTimestamp.timestamp ? b : a)).findMaxTimestamp()
    default:
      return segments
        .find((segment) => segment.largestTimestamp >= timestamp)
        ?.findByTimestamp(timestamp, logStartOffset)
  }
}
