/**
 * Kafka's raft thread: one thread that polls, handles one message at a time, and blocks where Kafka's blocks.
 *
 * Its program is a generator. It yields a `Wait` wherever Kafka's thread would block on the disk; until the disk answers, messages and
 * timers wait in order, for as long as the disk takes. Between two polls the thread sleeps until a message, a wakeup or
 * its timeout; the timeout runs on the monotonic clock (as in LinkedBlockingQueue), while the program compares wall time.
 * A RaftFault or DiskError that the program lets through ends the process.
 */

import type { Env, EnvTimer } from '../kernel/env.js'
import { DiskError } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import type { Millis } from '../kernel/units.js'
import { LONG_MAX } from '../kernel/units.js'
import { RaftFault } from './raft-fault.js'

/** Starts something and calls `done` once, now or by a later event. */
export type Wait = (done: (error?: Error) => void) => void

/** A step of the thread's program that may block. */
export type Blocking<T = void> = Generator<Wait, T, void>

/** A step that seldom blocks: its result at once, or a generator (`yield*`) when there may be something to wait for. */
export type Step<T extends string | number | undefined> = T | Blocking<T>

/** What the thread runs. */
export interface RaftProgram<M> {
  /** One turn before sleeping. Returns how long to wait for a message (ms), or 'stop'. */
  poll(): Step<Millis | 'stop'>
  /** A message came. */
  handleMessage(message: M): Blocking | undefined
  /** After each message, or wait without one. */
  finish(): void
}

/** What the body yields to sleep until a message, a wakeup or its deadline; never called. */
const sleep: Wait = () => undefined

/** More empty turns in a row than any real state needs: the program would spin for ever. */
const MAX_IDLE_TURNS = 10_000

export class RaftThread<M> {
  readonly #env: Env
  readonly #queue: M[] = []
  #body: Blocking | undefined
  #running = false
  #wakeups = 0
  #soon = false
  #asleep = false
  /** The monotonic time of the sleep's end. */
  #deadlineMs: Millis = LONG_MAX
  #timer: EnvTimer | undefined
  #timerDueMs: Millis = LONG_MAX

  constructor(env: Env) {
    this.#env = env
  }

  /** Runs `before`, then `program` until it stops. */
  start(before: Blocking, program: RaftProgram<M>): void {
    assert(this.#body === undefined, 'raft thread: started twice')
    this.#body = this.#main(before, program)
    this.#advance()
  }

  /** Hands the thread a message; it is handled at once when the thread sleeps. */
  add(message: M): void {
    this.#queue.push(message)
    this.#wake()
  }

  /** Makes the thread take a turn without a message, by an event of its own. */
  wakeup(): void {
    this.#wakeups = 1
    if (!this.#asleep || this.#soon) return
    this.#soon = true
    this.#env.soon(() => {
      this.#soon = false
      if (this.#wakeups > 0) this.#wake()
    })
  }

  get isStopped(): boolean {
    return this.#body === undefined
  }

  *#main(before: Blocking, program: RaftProgram<M>): Blocking {
    yield* before
    let idleTurns = 0
    for (;;) {
      const turn = program.poll()
      const timeoutMs = typeof turn === 'object' ? yield* turn : turn
      if (timeoutMs === 'stop') return
      if (this.#queue.length === 0 && this.#wakeups === 0 && timeoutMs > 0) {
        this.#deadlineMs = timeoutMs === LONG_MAX ? LONG_MAX : this.#env.clock.monotonicMs() + timeoutMs
        yield sleep
      }
      const message = this.#queue.shift()
      if (message !== undefined) {
        idleTurns = 0
        const step = program.handleMessage(message)
        if (step !== undefined) yield* step
      } else {
        if (timeoutMs === 0) assert(++idleTurns < MAX_IDLE_TURNS, 'raft thread: spins')
        else idleTurns = 0
        this.#wakeups = 0
      }
      program.finish()
    }
  }

  /** An earlier timer is left alone: it looks at the deadline when it fires, which spares a timer for every message. */
  #arm(): void {
    this.#timer?.cancel()
    const nowMs = this.#env.clock.monotonicMs()
    this.#timerDueMs = this.#deadlineMs
    this.#timer = this.#env.after(Math.max(0, this.#deadlineMs - nowMs), this.#onTimer)
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined
    this.#timerDueMs = LONG_MAX
    if (!this.#asleep || this.#deadlineMs === LONG_MAX) return
    if (this.#env.clock.monotonicMs() >= this.#deadlineMs) this.#wake()
    else this.#arm()
  }

  #wake(): void {
    if (!this.#asleep) return
    this.#asleep = false
    this.#advance()
  }

  /** Runs the body until it sleeps or blocks; what completes at once does not block. */
  #advance(failure?: Error): void {
    const body = this.#body
    if (body === undefined) return
    assert(!this.#running, 'raft thread: entered twice')
    this.#running = true
    let error = failure
    try {
      for (;;) {
        const step = error === undefined ? body.next() : body.throw(error)
        if (step.done) {
          this.#body = undefined
          this.#timer?.cancel()
          return
        }
        error = undefined
        if (step.value === sleep) {
          this.#asleep = true
          if (this.#deadlineMs < this.#timerDueMs) this.#arm()
          return
        }
        let now = true
        let completed = false
        step.value((result) => {
          assert(!completed, 'raft thread: completed twice')
          completed = true
          error = result
          if (!now) this.#advance(result)
        })
        now = false
        if (!completed) return
      }
    } catch (fault) {
      this.#body = undefined
      this.#timer?.cancel()
      if (!(fault instanceof RaftFault) && !(fault instanceof DiskError)) throw fault
      this.#env.halt(`raft: ${fault.message}`)
    } finally {
      this.#running = false
    }
  }
}
