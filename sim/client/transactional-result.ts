/**
 * What a transactional call comes to, and those who wait for it (Kafka's TransactionalRequestResult).
 *
 * It completes once. Whoever waits is woken by an event of its own, as another thread would be. Until somebody has seen the
 * outcome the call counts as pending: the same call made again waits for the same result.
 */

import type { Env } from '../kernel/env.js'
import type { Millis } from '../kernel/units.js'

/** How the wait for a result ended; `error` is Kafka's name, undefined for success. */
export type ResultOutcome = { readonly is: 'timeout' } | { readonly is: 'done'; readonly error: string | undefined }

export class TransactionalResult {
  #isCompleted = false
  #error: string | undefined
  #isAcked = false
  #waiting: (() => void)[] = []

  get isCompleted(): boolean {
    return this.#isCompleted
  }

  /** Somebody was told. */
  get isAcked(): boolean {
    return this.#isAcked
  }

  get error(): string | undefined {
    return this.#error
  }

  succeed(): void {
    this.#complete()
  }

  fail(error: string): void {
    this.#error = error
    this.#complete()
  }

  /** `done` comes once, by a later event. */
  await(env: Env, timeoutMs: Millis, done: (outcome: ResultOutcome) => void): void {
    let over = false
    const timer = env.after(timeoutMs, () => {
      if (over) return
      over = true
      done({ is: 'timeout' })
    })
    const tell = (): void => {
      if (over) return
      over = true
      timer.cancel()
      this.#isAcked = true
      done({ is: 'done', error: this.#error })
    }
    if (this.#isCompleted) env.soon(tell)
    else this.#waiting.push(() => env.soon(tell))
  }

  #complete(): void {
    if (this.#isCompleted) return
    this.#isCompleted = true
    for (const wake of this.#waiting.splice(0)) wake()
  }
}
