/**
 * The segments of one log, in order of their base offsets. Source: Kafka's LogSegments.
 */

import { assert } from '../kernel/errors.js'
import type { Bytes, Offset } from '../kernel/units.js'
import type { LogSegment } from './log-segment.js'

export class LogSegments {
  #segments: LogSegment[] = []

  get all(): readonly LogSegment[] {
    return this.#segments
  }

  get size(): number {
    return this.#segments.length
  }

  get first(): LogSegment {
    assert(this.#segments.length > 0, 'log segments: none')
    return this.#segments[0] as LogSegment
  }

  /** The last one: the only one that is appended to. */
  get active(): LogSegment {
    assert(this.#segments.length > 0, 'log segments: none')
    return this.#segments[this.#segments.length - 1] as LogSegment
  }

  get sizeInBytes(): Bytes {
    let size = 0
    for (const segment of this.#segments) size += segment.size
    return size
  }

  /** Adds a segment; one with the same base offset is replaced. */
  add(segment: LogSegment): void {
    let at = this.#segments.length
    while (at > 0 && (this.#segments[at - 1] as LogSegment).baseOffset >= segment.baseOffset) at--
    const replaced = this.#segments[at]?.baseOffset === segment.baseOffset ? 1 : 0
    this.#segments.splice(at, replaced, segment)
  }

  remove(segment: LogSegment): void {
    this.#segments = this.#segments.filter((known) => known !== segment)
  }

  clear(): void {
    this.#segments = []
  }

  has(baseOffset: Offset): boolean {
    return this.floor(baseOffset)?.baseOffset === baseOffset
  }

  /** The segment that holds `offset`: the last one that begins at or before it. */
  floor(offset: Offset): LogSegment | undefined {
    return this.#segments[this.#slotAbove(offset) - 1]
  }

  /** The first segment that begins after `offset`. */
  higher(offset: Offset): LogSegment | undefined {
    return this.#segments[this.#slotAbove(offset)]
  }

  /** The segments that hold offsets of [from, to). */
  between(from: Offset, to: Offset): readonly LogSegment[] {
    if (from >= to) return []
    const start = Math.max(0, this.#slotAbove(from) - 1)
    let end = start
    while (end < this.#segments.length && (this.#segments[end] as LogSegment).baseOffset < to) end++
    return this.#segments.slice(start, end)
  }

  #slotAbove(offset: Offset): number {
    const segments = this.#segments
    let high = segments.length
    // Nearly every look-up is for the active segment.
    if (high > 0 && (segments[high - 1] as LogSegment).baseOffset <= offset) return high
    let low = 0
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((segments[middle] as LogSegment).baseOffset > offset) high = middle
      else low = middle + 1
    }
    return low
  }
}
