/**
 * The pending events of a run, in order of (time, sequence): events of one instant fire in the order they were pushed.
 *
 * A 4-ary heap over parallel arrays. Cancelling marks the entry and drops what it holds; a cancelled entry leaves the
 * heap when it reaches the top, or when more than half of the heap is cancelled.
 */

import type { Micros } from './units.js'

/** What the queue holds. `fire` is called with `argument` once, unless the event is cancelled first. */
export interface ScheduledEvent {
  readonly time: Micros
  /** Trace sequence of the event being handled when this one was scheduled; 0 when none was. */
  readonly cause: number
  fire: ((argument: unknown) => void) | undefined
  argument: unknown
}

const FIRST_CAPACITY = 1_024
/** Below this size, cancelled entries are left to surface by themselves. */
const SWEEP_FLOOR = 256

export class EventQueue {
  #times = new Float64Array(FIRST_CAPACITY)
  #sequences = new Float64Array(FIRST_CAPACITY)
  #entries: (ScheduledEvent | undefined)[] = []
  #size = 0
  #cancelled = 0
  #nextSequence = 0

  /** Live events pending. */
  get size(): number {
    return this.#size - this.#cancelled
  }

  push(entry: ScheduledEvent): void {
    const at = this.#size++
    if (at >= this.#times.length) this.#grow()
    this.#siftUp(at, entry.time, this.#nextSequence++, entry)
  }

  /** Cancels `entry` if it has not fired. */
  cancel(entry: ScheduledEvent): void {
    if (entry.fire === undefined) return
    entry.fire = undefined
    entry.argument = undefined
    this.#cancelled++
    if (this.#cancelled > SWEEP_FLOOR && this.#cancelled * 2 > this.#size) this.#sweep()
  }

  /** Time of the earliest live event, or Infinity. */
  nextTime(): Micros {
    this.#dropCancelled()
    return this.#size === 0 ? Infinity : (this.#times[0] as number)
  }

  /** Removes and returns the earliest live event not later than `until`. */
  pop(until: Micros = Infinity): ScheduledEvent | undefined {
    this.#dropCancelled()
    if (this.#size === 0 || (this.#times[0] as number) > until) return undefined
    return this.#removeTop()
  }

  #dropCancelled(): void {
    while (this.#size > 0 && (this.#entries[0] as ScheduledEvent).fire === undefined) {
      this.#removeTop()
      this.#cancelled--
    }
  }

  #removeTop(): ScheduledEvent {
    const top = this.#entries[0] as ScheduledEvent
    const last = --this.#size
    const moved = this.#entries[last] as ScheduledEvent
    this.#entries[last] = undefined
    if (last > 0) this.#siftDown(this.#times[last] as number, this.#sequences[last] as number, moved)
    return top
  }

  #siftUp(start: number, time: number, sequence: number, entry: ScheduledEvent): void {
    const times = this.#times
    const sequences = this.#sequences
    const entries = this.#entries
    let at = start
    while (at > 0) {
      const parent = (at - 1) >> 2
      const parentTime = times[parent] as number
      if (parentTime < time || (parentTime === time && (sequences[parent] as number) < sequence)) break
      times[at] = parentTime
      sequences[at] = sequences[parent] as number
      entries[at] = entries[parent]
      at = parent
    }
    times[at] = time
    sequences[at] = sequence
    entries[at] = entry
  }

  #siftDown(time: number, sequence: number, entry: ScheduledEvent): void {
    const times = this.#times
    const sequences = this.#sequences
    const entries = this.#entries
    const size = this.#size
    let at = 0
    for (;;) {
      const first = (at << 2) + 1
      if (first >= size) break
      const end = first + 4 < size ? first + 4 : size
      let best = first
      let bestTime = times[first] as number
      for (let child = first + 1; child < end; child++) {
        const childTime = times[child] as number
        if (
          childTime < bestTime ||
          (childTime === bestTime && (sequences[child] as number) < (sequences[best] as number))
        ) {
          best = child
          bestTime = childTime
        }
      }
      if (bestTime > time || (bestTime === time && (sequences[best] as number) > sequence)) break
      times[at] = bestTime
      sequences[at] = sequences[best] as number
      entries[at] = entries[best]
      at = best
    }
    times[at] = time
    sequences[at] = sequence
    entries[at] = entry
  }

  /** Rebuilds the heap without the cancelled entries; their order of (time, sequence) is kept. */
  #sweep(): void {
    const size = this.#size
    let kept = 0
    for (let at = 0; at < size; at++) {
      const entry = this.#entries[at] as ScheduledEvent
      if (entry.fire === undefined) continue
      // `kept` never overtakes `at`, so nothing unread is overwritten.
      this.#siftUp(kept++, this.#times[at] as number, this.#sequences[at] as number, entry)
    }
    this.#entries.length = kept
    this.#size = kept
    this.#cancelled = 0
  }

  #grow(): void {
    const times = new Float64Array(this.#times.length * 2)
    const sequences = new Float64Array(this.#times.length * 2)
    times.set(this.#times)
    sequences.set(this.#sequences)
    this.#times = times
    this.#sequences = sequences
  }
}
