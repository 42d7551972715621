/**
 * The one thread of the ZooKeeper-mode controller (`ControllerEventManager`): events in order, each processed to its end, whatever it waits for.
 *
 * `clearAndPut` throws away what waits (each is told by its `preempt`) and queues one event alone: the end of a session does so. An event that is
 * being processed is never interrupted; when its session is over its calls fail, and it ends by that.
 */

import type { Env } from '../../kernel/env.js'
import { runTask, type Task } from '../../zookeeper/kafka/task.js'

export interface ControllerEvent {
  /** Kafka's name of it: `BrokerChange`. */
  readonly name: string
  readonly process: () => Task<void>
  /** It will never be processed. */
  readonly preempt?: () => void
  /** It begins to be processed. */
  readonly onStart?: () => void
}

export class ControllerEvents {
  readonly #env: Env
  readonly #process: (event: ControllerEvent) => Task<void>
  #queue: ControllerEvent[] = []
  #isBusy = false
  #isStarted = false
  #isClosed = false
  #closed: (() => void) | undefined

  /** `process` catches what an event throws. */
  constructor(env: Env, process: (event: ControllerEvent) => Task<void>) {
    this.#env = env
    this.#process = process
  }

  get size(): number {
    return this.#queue.length
  }

  start(): void {
    this.#isStarted = true
    this.#pump()
  }

  put(event: ControllerEvent): void {
    if (this.#isClosed) {
      event.preempt?.()
      event.onStart?.()
      return
    }
    this.#queue.push(event)
    this.#pump()
  }

  clearAndPut(event: ControllerEvent): void {
    this.#preemptAll()
    this.put(event)
  }

  /** What waits is thrown away; `done` once the event at hand is processed. */
  close(done: () => void): void {
    this.#isClosed = true
    this.#preemptAll()
    if (this.#isBusy) this.#closed = done
    else done()
  }

  #preemptAll(): void {
    const waiting = this.#queue
    this.#queue = []
    for (const event of waiting) event.preempt?.()
  }

  #pump(): void {
    const event = this.#queue[0]
    if (!this.#isStarted || this.#isBusy || event === undefined) return
    this.#queue.shift()
    this.#isBusy = true
    // Another thread than the one that put it.
    this.#env.soon(() => {
      event.onStart?.()
      runTask(this.#process(event), () => {
        this.#isBusy = false
        if (this.#closed !== undefined) this.#closed()
        else this.#pump()
      })
    })
  }
}
