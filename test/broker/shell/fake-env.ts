/** An Env without network or disk over the real engine, for parts of a broker that need timers and clocks only. */

import { Engine } from '../../../sim/kernel/engine.js'
import type { Env, EnvTimer } from '../../../sim/kernel/env.js'
import { InvariantError } from '../../../sim/kernel/errors.js'
import type { TraceEvent } from '../../../sim/kernel/events.js'
import { millis } from '../../../sim/kernel/units.js'

/** Wall clocks begin here: some time in 2023. */
const WALL_START_MS = 1_700_000_000_000

export class FakeNode {
  readonly engine = new Engine('fake')
  readonly events: TraceEvent[] = []
  readonly env: Env
  /** Added to the wall clock. */
  wallOffsetMs = 0

  constructor(node = 'b1') {
    const { engine } = this
    engine.trace.watch('all', (event) => this.events.push(event))
    const monotonicMs = (): number => Math.floor(engine.now / 1_000)
    const absent = (what: string): never => {
      throw new InvariantError(`fake env: no ${what}`)
    }
    this.env = {
      node,
      clock: { monotonicMs, wallMs: () => WALL_START_MS + monotonicMs() + this.wallOffsetMs },
      random: engine.random.fork(node),
      get network() {
        return absent('network')
      },
      get disk() {
        return absent('disk')
      },
      after: (delay, fire) => this.#timer(engine.now + millis(delay), fire),
      atWall: (wallMs, fire) => this.#timer(millis(wallMs - WALL_START_MS - this.wallOffsetMs), fire),
      soon: (fire) => void engine.schedule(engine.now, fire, undefined),
      emit: (type, data) => engine.trace.emit(node, type, data),
      watched: (type) => engine.trace.watched(type),
      halt: (reason) => absent(`halt: ${reason}`),
    }
  }

  /** Runs for `ms` of virtual time. */
  run(ms: number): void {
    this.engine.run(this.engine.now + millis(ms))
  }

  get nowMs(): number {
    return this.engine.now / 1_000
  }

  #timer(time: number, fire: () => void): EnvTimer {
    const timer = this.engine.schedule(time, () => fire(), undefined)
    return { cancel: () => this.engine.cancel(timer) }
  }
}
