/**
 * Requests that wait: for replication, for data, for replicas to delete (Kafka's `DelayedOperation` and
 * `DelayedOperationPurgatory`).
 *
 * A partition has one watch list for each kind of operation. Whoever changes the partition checks its list, and an
 * operation whose condition holds completes there and then; otherwise it completes when its time is up. It completes
 * exactly once, and with that leaves every list and cancels its timer. Watching, leaving and a check that completes
 * nothing cost constant work for each (operation, partition); there are no scans, no reaper and nothing is purged
 * later.
 *
 *   waiting ──(condition of the kind, on a change of a watched partition)──→ completed
 *   waiting ──(time is up)───────────────────────────────────────────────→ completed
 */

import type { Env, EnvTimer } from '../kernel/env.js'
import type { Millis } from '../kernel/units.js'

/** An operation's place in one watch list. Reusable once the operation has completed. */
export class Watch {
  operation: DelayedOperation | undefined
  /** Which of the operation's partitions this is. */
  entry = 0
  list: WatchList | undefined
  previous: Watch | undefined
  /** Kept after the watch has left its list, so that a walk that stands on it finds its way on. */
  next: Watch | undefined
}

/** The operations of one kind that wait on one partition, in order of arrival. */
export class WatchList {
  #first: Watch | undefined
  #last: Watch | undefined

  get isEmpty(): boolean {
    return this.#first === undefined
  }

  add(watch: Watch): void {
    watch.list = this
    watch.previous = this.#last
    watch.next = undefined
    if (this.#last === undefined) this.#first = watch
    else this.#last.next = watch
    this.#last = watch
  }

  remove(watch: Watch): void {
    const { previous, next } = watch
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    watch.list = undefined
    watch.previous = undefined
  }

  /** Something about the partition changed: completes what can now complete, in order of arrival. */
  check(): void {
    let watch = this.#first
    while (watch !== undefined) {
      const operation = watch.operation
      if (watch.list === this && operation !== undefined) operation.checkEntry(watch.entry)
      watch = watch.next
    }
  }
}

export abstract class DelayedOperation {
  #timer: EnvTimer | undefined
  #watches: Watch[] = []
  #completed = false

  get isCompleted(): boolean {
    return this.#completed
  }

  /** Watches `list` for this operation's partition number `entry`. */
  watch(list: WatchList, entry: number, watch: Watch = new Watch()): void {
    watch.operation = this
    watch.entry = entry
    list.add(watch)
    this.#watches.push(watch)
  }

  /** Gives up after `timeoutMs`. */
  expireAfter(env: Env, timeoutMs: Millis): void {
    this.#timer = env.after(timeoutMs, () => {
      this.#timer = undefined
      this.complete()
    })
  }

  /** Completes now, unless it has completed. */
  complete(): void {
    if (this.#completed) return
    this.#completed = true
    this.#timer?.cancel()
    this.#timer = undefined
    const watches = this.#watches
    for (let i = 0; i < watches.length; i++) {
      const watch = watches[i] as Watch
      watch.list?.remove(watch)
      watch.operation = undefined
    }
    this.onComplete()
  }

  /** The partition number `entry` changed: completes when that is enough. */
  abstract checkEntry(entry: number): void

  /** Answers, with what there is. Called once. */
  protected abstract onComplete(): void
}
