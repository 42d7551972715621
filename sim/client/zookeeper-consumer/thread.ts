/**
 * Threads and locks of the old consumer, which is written with blocking calls (see zookeeper/kafka/task.ts for the shape).
 *
 * A thread that is interrupted never goes on from where it waits: whatever it had begun calls back in vain. So locks and queues that die
 * with their threads need not be given back; those that live longer are never held by a thread that may be interrupted.
 */

import type { Env } from '../../kernel/env.js'
import type { Millis } from '../../kernel/units.js'
import { runTask, wait, type Task, type Wait } from '../../zookeeper/kafka/task.js'

export class Thread {
  #isAlive = true

  /** Begins at once; `task` must catch what it throws. */
  constructor(task: Task<void>) {
    runTask(this.#guard(task), () => {
      this.#isAlive = false
    })
  }

  interrupt(): void {
    this.#isAlive = false
  }

  *#guard(task: Task<void>): Task<void> {
    let step = task.next()
    while (step.done !== true) {
      const start: Wait<unknown> = step.value
      const value = yield* wait<unknown>((resume) =>
        start((answer) => {
          if (this.#isAlive) resume(answer)
        }),
      )
      step = task.next(value)
    }
  }
}

/** One holder at a time; who waits is served in order. */
export class Mutex {
  #isHeld = false
  #waiting: (() => void)[] = []

  unlock(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#isHeld = false
    else next()
  }

  *lock(): Task<void> {
    if (this.#isHeld) yield* wait<undefined>((resume) => this.#waiting.push(() => resume(undefined)))
    this.#isHeld = true
  }

  /** Gives the lock back whatever happens. */
  *during<T>(task: () => Task<T>): Task<T> {
    yield* this.lock()
    try {
      return yield* task()
    } finally {
      this.unlock()
    }
  }
}

/** `Condition`: whoever waits is woken by the next signal. */
export class Signal {
  #waiting: (() => void)[] = []

  all(): void {
    for (const resume of this.#waiting.splice(0)) resume()
  }

  *wait(): Task<void> {
    yield* wait<undefined>((resume) => this.#waiting.push(() => resume(undefined)))
  }
}

/** `Thread.sleep`. */
export function* sleep(env: Env, ms: Millis): Task<void> {
  yield* wait<undefined>((resume) => env.after(ms, () => resume(undefined)))
}
