/**
 * What the active controller does from time to time (Kafka's `PeriodicTaskControlManager`).
 *
 * A task runs one period after activation or after its last run, on the monotonic clock; 10 ms after a run that left work to do. On
 * standby nothing is scheduled.
 */

import type { Env, EnvTimer } from '../kernel/env.js'
import type { Millis } from '../kernel/units.js'

export interface PeriodicTask {
  readonly name: string
  readonly periodMs: Millis
  /** Returns true when there is more to do at once. */
  run(): boolean
}

const IMMEDIATE_MS: Millis = 10

export class PeriodicTasks {
  readonly #env: Env
  readonly #tasks: readonly PeriodicTask[]
  readonly #timers = new Map<PeriodicTask, EnvTimer>()
  #active = false

  constructor(env: Env, tasks: readonly PeriodicTask[]) {
    this.#env = env
    this.#tasks = tasks
  }

  activate(): void {
    this.#active = true
    for (const task of this.#tasks) this.#schedule(task, task.periodMs)
  }

  deactivate(): void {
    this.#active = false
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
  }

  #schedule(task: PeriodicTask, delayMs: Millis): void {
    const fire = (): void => {
      const more = task.run()
      if (this.#active) this.#schedule(task, more ? IMMEDIATE_MS : task.periodMs)
    }
    this.#timers.set(task, this.#env.after(delayMs, fire))
  }
}
