/**
 * The discrete-event engine: one virtual clock, one queue, one trace.
 *
 * `run` takes the earliest event, moves the clock to it and calls it; handlers run to completion and everything they
 * start comes back as a later event. Nothing ticks. The engine knows no node: owners (processes, connections, disks)
 * decide in their own callbacks whether they still want what they scheduled.
 *
 * When a million events in a row have the same time, something goes round in a circle: that is told, instead of going on for ever.
 */

import { assert, InvariantError } from './errors.js'
import { EventQueue, type ScheduledEvent } from './event-queue.js'
import { Random } from './random.js'
import { Trace } from './trace.js'
import type { Micros } from './units.js'

/** So many events in a row at one time are a circle. */
const AT_ONCE_MAX = 1_000_000

/** What `schedule` returns; hold it to cancel. */
export type Timer = ScheduledEvent

export class Engine {
  readonly random: Random
  readonly trace: Trace
  readonly #queue = new EventQueue()
  #now: Micros = 0
  #fired = 0
  /** Events in a row at this time. */
  #atOnce = 0
  #stopped = false

  constructor(seed: string) {
    this.random = new Random(seed)
    this.trace = new Trace(() => this.#now)
  }

  /** Virtual time. */
  get now(): Micros {
    return this.#now
  }

  /** Events fired so far. */
  get fired(): number {
    return this.#fired
  }

  /** Live events pending. */
  get pending(): number {
    return this.#queue.size
  }

  /** Calls `fire(argument)` at `time`, after everything already due then. The current cause is inherited. */
  schedule<T>(time: Micros, fire: (argument: T) => void, argument: T): Timer {
    if (!(time >= this.#now)) throw new InvariantError('schedule: time', { time, now: this.#now })
    const entry: ScheduledEvent = {
      time,
      cause: this.trace.cause,
      fire: fire as (argument: unknown) => void,
      argument,
    }
    this.#queue.push(entry)
    return entry
  }

  cancel(timer: Timer): void {
    this.#queue.cancel(timer)
  }

  /** Time of the next event, or Infinity when nothing is pending. */
  nextTime(): Micros {
    return this.#queue.nextTime()
  }

  /** Fires one event not later than `until`; false when there is none. @throws InvariantError when the clock stands still. */
  step(until: Micros = Infinity): boolean {
    const entry = this.#queue.pop(until)
    if (entry === undefined) return false
    const fire = entry.fire
    assert(fire !== undefined, 'step: cancelled event')
    entry.fire = undefined
    if (entry.time > this.#now) this.#atOnce = 0
    else if (++this.#atOnce > AT_ONCE_MAX) throw new InvariantError('step: the clock stands still', { now: this.#now })
    this.#now = entry.time
    this.#fired++
    this.trace.cause = entry.cause
    fire(entry.argument)
    return true
  }

  /**
   * Fires everything up to and including `until`, then stands at `until`. Stops early, where it is, when `stop` was
   * called or `maxEvents` have fired. Returns true when it reached `until`.
   */
  run(until: Micros, maxEvents: number = Infinity): boolean {
    this.#stopped = false
    let left = maxEvents
    while (!this.#stopped) {
      if (left-- <= 0) return false
      if (this.step(until)) continue
      assert(until >= this.#now, 'run: until', { until, now: this.#now })
      if (until !== Infinity) this.#now = until
      this.trace.cause = 0
      return true
    }
    return false
  }

  /** Makes `run` return after the current event. */
  stop(): void {
    this.#stopped = true
  }
}
