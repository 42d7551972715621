/**
 * Fetches that wait at the leader for something new (Kafka's ThresholdPurgatory over its ExpirationService).
 *
 * A fetch waits for the log end offset to pass its fetch offset, for any move of the high watermark, or for its time to end
 * (monotonic clock, even while the raft thread is blocked). Each ends exactly once. Order: by fetch offset, then by arrival.
 */

import type { Env, EnvTimer } from '../kernel/env.js'
import type { Millis, Offset } from '../kernel/units.js'
import type { ErrorCode } from '../wire/errors.js'

/** One parked fetch. */
export interface WaitingFetch {
  /** Something is new: answer from the present state. */
  complete(): void
  /** Nothing is new: give the answer that was due when it was parked. */
  expire(): void
  fail(error: ErrorCode): void
}

interface Entry {
  readonly threshold: Offset
  readonly fetch: WaitingFetch
  timer: EnvTimer | undefined
}

export class FetchPurgatory {
  readonly #env: Env
  /** Ascending by threshold; equal thresholds by arrival. */
  readonly #entries: Entry[] = []

  constructor(env: Env) {
    this.#env = env
  }

  get size(): number {
    return this.#entries.length
  }

  await(threshold: Offset, maxWaitMs: Millis, fetch: WaitingFetch): void {
    const entry: Entry = { threshold, fetch, timer: undefined }
    let at = this.#entries.length
    while (at > 0 && (this.#entries[at - 1] as Entry).threshold > threshold) at--
    this.#entries.splice(at, 0, entry)
    entry.timer = this.#env.after(maxWaitMs, () => {
      this.#entries.splice(this.#entries.indexOf(entry), 1)
      fetch.expire()
    })
  }

  /** Ends the fetches at or below `endOffset`. */
  completeUpTo(endOffset: Offset): void {
    // One at a time: a completed fetch may move the high watermark, which completes all the others.
    for (let entry = this.#entries[0]; entry !== undefined && entry.threshold <= endOffset; entry = this.#entries[0]) {
      this.#take().complete()
    }
  }

  completeAll(): void {
    while (this.#entries.length > 0) this.#take().complete()
  }

  failAll(error: ErrorCode): void {
    while (this.#entries.length > 0) this.#take().fail(error)
  }

  #take(): WaitingFetch {
    const entry = this.#entries.shift() as Entry
    entry.timer?.cancel()
    return entry.fetch
  }
}
