/**
 * Where a leader and its learners wait for a quorum of them to arrive; each waits for so long and not longer.
 *
 * Source: `Leader.getEpochToPropose`, `waitForEpochAck`, `waitForNewLeaderAck`, which are this three times.
 */

import type { Env, EnvTimer } from '../../kernel/env.js'
import type { Millis } from '../../kernel/units.js'
import type { ServerId } from '../messages.js'

interface Waiter {
  readonly passed: () => void
  readonly timer: EnvTimer
}

export class Barrier {
  readonly #env: Env
  readonly #timeoutMs: Millis
  /** Whether these servers are enough. */
  readonly #isQuorum: (arrived: ReadonlySet<ServerId>) => boolean
  readonly #arrived = new Set<ServerId>()
  #waiters: Waiter[] = []
  #isOpen = false

  constructor(env: Env, timeoutMs: Millis, isQuorum: (arrived: ReadonlySet<ServerId>) => boolean) {
    this.#env = env
    this.#timeoutMs = timeoutMs
    this.#isQuorum = isQuorum
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  get arrived(): readonly ServerId[] {
    return [...this.#arrived].sort((a, b) => a - b)
  }

  /** `counts`: a server that only waits along does not make the quorum. Opens the barrier when it is the last that was needed. */
  arrive(sid: ServerId, counts: boolean): boolean {
    if (this.#isOpen) return false
    if (counts) this.#arrived.add(sid)
    if (!this.#isQuorum(this.#arrived)) return false
    this.#isOpen = true
    return true
  }

  /** Calls `passed` when the barrier is open, at once if it is; `timedOut` instead when that takes too long. */
  wait(passed: () => void, timedOut: () => void): void {
    if (this.#isOpen) return passed()
    const waiter: Waiter = {
      passed,
      timer: this.#env.after(this.#timeoutMs, () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter)
        timedOut()
      }),
    }
    this.#waiters.push(waiter)
  }

  /** Lets through who waits, in order. */
  release(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const { passed, timer } of waiters) {
      timer.cancel()
      passed()
    }
  }

  /** Nobody waits any more. */
  end(): void {
    for (const { timer } of this.#waiters) timer.cancel()
    this.#waiters = []
  }
}
