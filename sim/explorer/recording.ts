/**
 * One run, recorded event by event, in slices short enough that a terminal stays quick.
 *
 * The recording grows while `advance` is called and never changes behind its end: what was seen stays. A live recording has no end of
 * its own. A branch is a recording of another scenario, which has one step more; everything before that step is the same run.
 */

import type { TraceEvent } from '../kernel/events.js'
import type { Micros } from '../kernel/units.js'
import type { RunResult } from '../scenario/result.js'
import { Run } from '../scenario/run.js'
import type { Scenario } from '../scenario/scenario.js'

export interface RecordingOptions {
  readonly seed: number
  readonly file: string
  /** Goes on without an end. */
  readonly live?: boolean
}

/** Virtual time simulated between two looks at the clock on the wall. */
const STRIDE: Micros = 20_000

export class Recording {
  readonly scenario: Scenario
  readonly options: RecordingOptions
  readonly run: Run
  result: RunResult | undefined
  #isPrepared = false

  constructor(scenario: Scenario, options: RecordingOptions) {
    this.scenario = scenario
    this.options = options
    this.run = new Run(scenario, { seed: options.seed, file: options.file, trace: true })
  }

  get events(): readonly TraceEvent[] {
    return this.run.events
  }

  get readyAt(): Micros {
    return this.run.readyAt
  }

  /** Virtual time up to which everything is recorded. */
  get now(): Micros {
    return this.run.engine.now
  }

  get isEnded(): boolean {
    return this.result !== undefined
  }

  get isLive(): boolean {
    return this.options.live === true
  }

  /** Where the run will end, or has got to if it has no end. */
  get end(): Micros {
    if (this.result !== undefined) return this.result.endedAt
    return this.isLive ? this.now : Math.max(this.now, this.readyAt + this.scenario.run.until)
  }

  /**
   * Simulates until `upTo` (virtual), or until `isTimeUp` says so, whichever comes first.
   *
   * @returns true while there is more to come
   */
  advance(isTimeUp: () => boolean, upTo: Micros = Infinity): boolean {
    if (this.isEnded) return false
    if (!this.#isPrepared) {
      this.#isPrepared = true
      if (!this.run.prepare()) {
        this.result = this.run.finish(0)
        return false
      }
      if (isTimeUp()) return true
    }
    const end = Math.min(upTo, this.isLive ? Infinity : this.readyAt + this.scenario.run.until)
    while (this.now < end) {
      this.run.advance(Math.min(end, this.now + STRIDE))
      if (isTimeUp()) return true
    }
    if (this.isLive || this.now < this.readyAt + this.scenario.run.until) return true
    this.result = this.run.finish(0)
    return false
  }
}
