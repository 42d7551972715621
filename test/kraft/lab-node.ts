/** A node that does nothing by itself: its Env, for tests of parts. */

import { Engine } from '../../sim/kernel/engine.js'
import type { Env } from '../../sim/kernel/env.js'
import { assert } from '../../sim/kernel/errors.js'
import { millis } from '../../sim/kernel/units.js'
import { World } from '../../sim/world/world.js'

export class LabNode {
  readonly engine = new Engine('lab')
  readonly world = new World(this.engine)
  #env: Env | undefined

  constructor() {
    this.world.addNode('c1', (env) => {
      this.#env = env
      return { stop: (done) => done() }
    })
    this.world.start('c1')
    this.run(0)
  }

  get env(): Env {
    assert(this.#env !== undefined, 'lab: no process')
    return this.#env
  }

  run(ms: number): void {
    this.engine.run(this.engine.now + millis(ms))
  }

  restart(how: 'kill' | 'power-loss' = 'kill'): void {
    if (how === 'kill') this.world.kill('c1')
    else this.world.powerLoss('c1')
    this.world.start('c1')
    this.run(0)
  }

  /** Runs what a raft thread would block on, to its end. */
  block(steps: Generator<(done: (error?: Error) => void) => void, void, void>): void {
    for (let step = steps.next(); !step.done; step = steps.next()) {
      let finished = false
      step.value(() => (finished = true))
      for (let i = 0; i < 1_000 && !finished; i++) this.run(1)
      assert(finished, 'lab: blocked for ever')
    }
  }
}
