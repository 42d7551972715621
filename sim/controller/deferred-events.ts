/**
 * Answers that wait for the metadata log (Kafka's `DeferredEventQueue`): by offset, in the order in which they were decided.
 */

import { assert } from '../kernel/errors.js'
import type { Offset } from '../kernel/units.js'

export interface DeferredEvent {
  /** The log is stable up to the event's offset; or it never will be, under this controller. */
  complete(outcome: 'committed' | 'failed'): void
}

export class DeferredEvents {
  #queue: { readonly offset: Offset; readonly event: DeferredEvent }[] = []

  /** -1 when nothing waits. */
  get highestPendingOffset(): Offset {
    return this.#queue[this.#queue.length - 1]?.offset ?? -1
  }

  add(offset: Offset, event: DeferredEvent): void {
    assert(offset >= this.highestPendingOffset, 'deferred events: order', { offset })
    this.#queue.push({ offset, event })
  }

  completeUpTo(offset: Offset): void {
    let count = 0
    while (count < this.#queue.length && (this.#queue[count]?.offset ?? Infinity) <= offset) count++
    if (count === 0) return
    for (const { event } of this.#queue.splice(0, count)) event.complete('committed')
  }

  failAll(): void {
    const failed = this.#queue
    this.#queue = []
    for (const { event } of failed) event.complete('failed')
  }
}
