/**
 * The two clocks of a host: wall and monotonic.
 *
 * Both run at the rate (1 + partsPerMillion / 10^6) of virtual time; the wall clock can also be set, either way. They belong to the
 * host and survive its processes and power losses. All arithmetic is on integers of microseconds and exact: a clock is an anchor
 * (true time, reading) and a rate, and changing the rate moves the anchor. Reading never draws and never emits.
 *
 * At virtual time 0 the wall clock of a host shows WALL_EPOCH_MS and the monotonic clock UPTIME_MS (System.nanoTime counts
 * from some boot long before Kafka's start).
 */

import { assert } from '../kernel/errors.js'
import type { Clock } from '../kernel/env.js'
import type { Engine } from '../kernel/engine.js'
import type { NodeName } from '../kernel/names.js'
import { MICROS_PER_MS, type Micros, type Millis } from '../kernel/units.js'

/** 2026-01-01T00:00:00Z. */
export const WALL_EPOCH_MS: Millis = 1_767_225_600_000
/** How long a host had been up when the run began. */
export const UPTIME_MS: Millis = 3_600_000
/** Half speed to one and a half: beyond that no oscillator goes. */
export const DRIFT_MAX_PARTS_PER_MILLION = 500_000

const MILLION = 1_000_000

export class HostClock implements Clock {
  readonly #engine: Engine
  readonly #node: NodeName
  #anchorTrue: Micros = 0
  #anchorMonotonic: Micros = UPTIME_MS * MICROS_PER_MS
  #anchorWall: Micros = WALL_EPOCH_MS * MICROS_PER_MS
  #partsPerMillion = 0
  #listener: (() => void) | undefined

  constructor(engine: Engine, node: NodeName) {
    this.#engine = engine
    this.#node = node
  }

  wallMs(): Millis {
    return Math.floor((this.#anchorWall + this.#elapsed(this.#engine.now)) / MICROS_PER_MS)
  }

  monotonicMs(): Millis {
    return Math.floor(this.monotonicMicros() / MICROS_PER_MS)
  }

  monotonicMicros(): Micros {
    return this.#anchorMonotonic + this.#elapsed(this.#engine.now)
  }

  /** How far the wall clock is ahead of true time. */
  get offsetMs(): Millis {
    return this.wallMs() - WALL_EPOCH_MS - Math.floor(this.#engine.now / MICROS_PER_MS)
  }

  get partsPerMillion(): number {
    return this.#partsPerMillion
  }

  /** Virtual time at which the monotonic clock first shows `reading`; now when it already does. */
  whenMonotonic(reading: Micros): Micros {
    return this.#whenElapsed(reading - this.#anchorMonotonic)
  }

  /** Virtual time at which the wall clock first shows `wallMs`, as it runs now; now when it already does. */
  whenWall(wallMs: Millis): Micros {
    return this.#whenElapsed(Math.ceil(wallMs) * MICROS_PER_MS - this.#anchorWall)
  }

  /** Sets the wall clock forward or back (integer milliseconds). */
  jump(byMs: Millis): void {
    assert(Number.isInteger(byMs), 'clock: jump', { byMs })
    this.#anchor()
    this.#anchorWall += byMs * MICROS_PER_MS
    this.#changed(byMs)
  }

  /** Sets the wall clock to a constant distance from true time. */
  skew(offsetMs: Millis): void {
    this.jump(offsetMs - this.offsetMs)
  }

  /** Sets the rate of both clocks: this many microseconds gained in a second (0 = true). */
  drift(partsPerMillion: number): void {
    assert(
      Number.isInteger(partsPerMillion) && Math.abs(partsPerMillion) <= DRIFT_MAX_PARTS_PER_MILLION,
      'clock: drift',
      { partsPerMillion },
    )
    this.#anchor()
    this.#partsPerMillion = partsPerMillion
    this.#changed(0)
  }

  /** Calls `listener` after every change: the process's timers. One at a time. */
  onChange(listener: (() => void) | undefined): void {
    this.#listener = listener
  }

  #changed(byMs: Millis): void {
    const trace = this.#engine.trace
    const before = trace.cause
    trace.cause = trace.emit(this.#node, 'clock.change', { byMs, partsPerMillion: this.#partsPerMillion })
    this.#listener?.()
    trace.cause = before
  }

  #anchor(): void {
    const now = this.#engine.now
    const elapsed = this.#elapsed(now)
    this.#anchorTrue = now
    this.#anchorMonotonic += elapsed
    this.#anchorWall += elapsed
  }

  /** Microseconds that the clock counted since the anchor. Split, as the product would not stay exact. */
  #elapsed(now: Micros): Micros {
    const passed = now - this.#anchorTrue
    const rate = this.#partsPerMillion
    if (rate === 0) return passed
    const whole = Math.floor(passed / MILLION)
    const rest = passed - whole * MILLION
    return passed + whole * rate + Math.floor((rest * rate) / MILLION)
  }

  /** The first instant, not before now, at which `elapsed` microseconds have been counted since the anchor. */
  #whenElapsed(elapsed: Micros): Micros {
    const now = this.#engine.now
    if (elapsed <= this.#elapsed(now)) return now
    if (this.#partsPerMillion === 0) return this.#anchorTrue + elapsed
    // The division may be off by rounding; the loops make it exact.
    let at = this.#anchorTrue + Math.ceil(elapsed / (1 + this.#partsPerMillion / MILLION))
    while (at < Number.MAX_SAFE_INTEGER && this.#elapsed(at) < elapsed) at++
    while (at > now && this.#elapsed(at - 1) >= elapsed) at--
    return at
  }
}
