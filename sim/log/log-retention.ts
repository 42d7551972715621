/**
 * Which segments are old enough to go.
 *
 * From the oldest on, as long as the rule holds: a segment must lie wholly below the high watermark, and an empty
 * active segment stays. In this order: segments below the log start offset (always); with `cleanup.policy=delete` those
 * beyond `retention.bytes` and those whose largest timestamp is older than `retention.ms`. Source:
 * UnifiedLog.deletableSegments, deleteOldSegments.
 */

import type { Env } from '../kernel/env.js'
import type { Bytes, Millis, Offset } from '../kernel/units.js'
import type { LogConfig } from './log-config.js'
import type { LogSegment } from './log-segment.js'

export interface Retained {
  readonly partition: string
  readonly segments: readonly LogSegment[]
  readonly sizeInBytes: Bytes
  readonly logStartOffset: Offset
  readonly logEndOffset: Offset
  readonly highWatermark: Offset
  readonly config: LogConfig
}

export type RetentionRule = 'log-start-offset' | 'retention-bytes' | 'retention-ms'

const RETENTION_RULES: readonly RetentionRule[] = ['log-start-offset', 'retention-bytes', 'retention-ms']

/** What events call a rule. */
const REASONS = {
  'log-start-offset': 'log-start',
  'retention-bytes': 'retention-size',
  'retention-ms': 'retention-time',
} as const

/** Calls `remove` for each rule that has segments to delete, and tells of each segment before. Returns how many go. */
export function deleteOldSegments(
  env: Env,
  log: Retained,
  nowMs: Millis,
  remove: (segments: readonly LogSegment[], rule: RetentionRule) => void,
): number {
  let count = 0
  for (const rule of RETENTION_RULES) {
    const old = deletableSegments(log, rule, nowMs)
    if (old.length === 0) continue
    count += old.length
    tell(env, log, old, rule, nowMs)
    remove(old, rule)
  }
  return count
}

function tell(env: Env, log: Retained, old: readonly LogSegment[], rule: RetentionRule, nowMs: Millis): void {
  for (const [index, segment] of old.entries()) {
    env.emit('log.segment-deleted', {
      partition: log.partition,
      baseOffset: segment.baseOffset,
      nextOffset: old[index + 1]?.baseOffset ?? log.segments[old.length]?.baseOffset ?? log.logEndOffset,
      largestTimestamp: segment.largestTimestamp,
      bytes: segment.size,
      wallMs: nowMs,
      reason: REASONS[rule],
    })
  }
}

/** The segments that go by `rule`, oldest first; the active one may be among them when it holds records. */
function deletableSegments(log: Retained, rule: RetentionRule, nowMs: Millis): LogSegment[] {
  if (rule !== 'log-start-offset' && !log.config['cleanup.policy'].includes('delete')) return []
  switch (rule) {
    case 'log-start-offset':
      return oldest(log, (_segment, next) => next !== undefined && next.baseOffset <= log.logStartOffset)
    case 'retention-bytes': {
      const limit = log.config['retention.bytes']
      let excess = log.sizeInBytes - limit
      if (limit < 0 || excess < 0) return []
      return oldest(log, (segment) => {
        if (excess - segment.size < 0) return false
        excess -= segment.size
        return true
      })
    }
    case 'retention-ms': {
      const limit = log.config['retention.ms']
      return limit < 0 ? [] : oldest(log, (segment) => nowMs - segment.largestTimestamp > limit)
    }
  }
}

function oldest(log: Retained, goes: (segment: LogSegment, next: LogSegment | undefined) => boolean): LogSegment[] {
  const found: LogSegment[] = []
  for (const [index, segment] of log.segments.entries()) {
    const next = log.segments[index + 1]
    const end = next?.baseOffset ?? log.logEndOffset
    if (log.highWatermark < end || !goes(segment, next)) break
    if (next === undefined && segment.size === 0) break
    found.push(segment)
  }
  return found
}
