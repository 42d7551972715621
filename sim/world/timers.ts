/**
 * The timers of one process.
 *
 * `after` counts on the host's monotonic clock and follows its drift; `atWall` waits for a reading of the wall clock and is looked
 * at again whenever that clock is changed. All end with the process. A timer that came due while the process was paused fires
 * at resume, in its turn, unless it is cancelled first.
 */

import { assert } from '../kernel/errors.js'
import type { EnvTimer } from '../kernel/env.js'
import type { Engine, Timer } from '../kernel/engine.js'
import { LONG_MAX, MICROS_PER_MS, type Micros, type Millis } from '../kernel/units.js'
import type { HostClock } from './clock.js'
import type { Process } from './process.js'

/** Beyond this a timer can't come due within a run: nothing is scheduled. */
const NEVER: Micros = LONG_MAX / 4

class ProcessTimer implements EnvTimer {
  readonly owner: ProcessTimers
  /** Which clock, and the reading that it waits for: microseconds of the monotonic one, milliseconds of the wall. */
  readonly wall: boolean
  readonly reading: number
  fire: (() => void) | undefined
  event: Timer | undefined
  // A ring through the process's pending timers: the hot path must not pay for a set.
  previous: ProcessTimer | undefined
  next: ProcessTimer | undefined
  linked = false

  constructor(owner: ProcessTimers, wall: boolean, reading: number, fire: () => void) {
    this.owner = owner
    this.wall = wall
    this.reading = reading
    this.fire = fire
  }

  cancel(): void {
    if (this.fire === undefined) return
    this.fire = undefined
    this.owner.release(this)
  }
}

export class ProcessTimers {
  readonly #engine: Engine
  readonly #clock: HostClock
  readonly #process: Process
  #first: ProcessTimer | undefined
  #last: ProcessTimer | undefined
  #count = 0

  constructor(engine: Engine, clock: HostClock, process: Process) {
    this.#engine = engine
    this.#clock = clock
    this.#process = process
    clock.onChange(() => this.#reschedule())
  }

  /** Timers that have not come due. */
  get pending(): number {
    return this.#count
  }

  /** A negative delay counts as none, as in Java's executors. */
  after(delay: Millis, fire: () => void): EnvTimer {
    assert(!Number.isNaN(delay), 'after: delay', { delay })
    const micros = delay > 0 ? Math.round(delay * MICROS_PER_MS) : 0
    return this.#add(new ProcessTimer(this, false, this.#clock.monotonicMicros() + micros, fire))
  }

  atWall(wallMs: Millis, fire: () => void): EnvTimer {
    assert(!Number.isNaN(wallMs), 'atWall: time', { wallMs })
    return this.#add(new ProcessTimer(this, true, wallMs, fire))
  }

  /** The process ended. */
  end(): void {
    for (let timer = this.#first; timer !== undefined; timer = timer.next) {
      timer.fire = undefined
      if (timer.event !== undefined) this.#engine.cancel(timer.event)
    }
    this.#first = undefined
    this.#last = undefined
    this.#count = 0
    this.#clock.onChange(undefined)
  }

  /** Takes a timer out: it was cancelled, or came due. */
  release(timer: ProcessTimer): void {
    if (!timer.linked) return
    timer.linked = false
    this.#count--
    if (timer.event !== undefined) this.#engine.cancel(timer.event)
    if (timer.previous === undefined) this.#first = timer.next
    else timer.previous.next = timer.next
    if (timer.next === undefined) this.#last = timer.previous
    else timer.next.previous = timer.previous
    timer.previous = undefined
    timer.next = undefined
  }

  due(timer: ProcessTimer): void {
    timer.event = undefined
    this.release(timer)
    this.#process.deliver(fireTimer, timer)
  }

  #add(timer: ProcessTimer): EnvTimer {
    if (!this.#process.alive) {
      timer.fire = undefined
      return timer
    }
    timer.linked = true
    timer.previous = this.#last
    if (this.#last === undefined) this.#first = timer
    else this.#last.next = timer
    this.#last = timer
    this.#count++
    this.#schedule(timer)
    return timer
  }

  #schedule(timer: ProcessTimer): void {
    if (timer.reading > (timer.wall ? NEVER / MICROS_PER_MS : NEVER)) return
    const time = timer.wall ? this.#clock.whenWall(timer.reading) : this.#clock.whenMonotonic(timer.reading)
    timer.event = this.#engine.schedule(time, timerDue, timer)
  }

  /** The clock was changed: every pending timer gets the instant that the clock now gives it, and keeps its cause. */
  #reschedule(): void {
    const trace = this.#engine.trace
    const change = trace.cause
    for (let timer = this.#first; timer !== undefined; timer = timer.next) {
      const event = timer.event
      const time = timer.wall ? this.#clock.whenWall(timer.reading) : this.#clock.whenMonotonic(timer.reading)
      if (event === undefined || event.time === time) continue
      this.#engine.cancel(event)
      // What comes due at once comes of the change.
      trace.cause = time === this.#engine.now ? change : event.cause
      timer.event = this.#engine.schedule(time, timerDue, timer)
    }
    trace.cause = change
  }
}

function timerDue(timer: ProcessTimer): void {
  timer.owner.due(timer)
}

function fireTimer(timer: ProcessTimer): void {
  const fire = timer.fire
  if (fire === undefined) return
  timer.fire = undefined
  fire()
}
