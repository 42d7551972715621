/**
 * Which segments become one when a log is cleaned.
 *
 * In order, as many as fit: together no larger than `maxBytes`, their offset and time indexes no larger than `maxIndexBytes`,
 * and no offset further from the first base offset than an index entry can say. How far a segment reaches is bounded by
 * the base offset of the next one, or by the first uncleanable offset. An empty segment always fits by its offsets.
 * Sizes are those before cleaning. Source: Cleaner.groupSegmentsBySize.
 */

import { INT_MAX, type Bytes, type Offset } from '../kernel/units.js'
import type { LogSegment } from './log-segment.js'
import { OFFSET_INDEX_ENTRY_BYTES } from './offset-index.js'
import { TIME_INDEX_ENTRY_BYTES } from './time-index.js'

export function groupSegments(
  segments: readonly LogSegment[],
  maxBytes: Bytes,
  maxIndexBytes: Bytes,
  firstUncleanable: Offset,
): LogSegment[][] {
  const groups: LogSegment[][] = []
  let group: LogSegment[] | undefined
  let size = 0
  let indexSize = 0
  let timeIndexSize = 0
  for (const [index, segment] of segments.entries()) {
    size += segment.size
    indexSize += offsetIndexBytes(segment)
    timeIndexSize += timeIndexBytes(segment)
    const end = segments[index + 1]?.baseOffset ?? firstUncleanable
    const fits =
      group !== undefined &&
      size <= maxBytes &&
      indexSize <= maxIndexBytes &&
      timeIndexSize <= maxIndexBytes &&
      (segment.size === 0 || end - 1 - (group[0] as LogSegment).baseOffset <= INT_MAX)
    if (fits) group?.push(segment)
    else {
      groups.push((group = [segment]))
      size = segment.size
      indexSize = offsetIndexBytes(segment)
      timeIndexSize = timeIndexBytes(segment)
    }
  }
  return groups
}

function offsetIndexBytes(segment: LogSegment): Bytes {
  return segment.offsetIndex.entries * OFFSET_INDEX_ENTRY_BYTES
}

function timeIndexBytes(segment: LogSegment): Bytes {
  return segment.timeIndex.entries * TIME_INDEX_ENTRY_BYTES
}
