import { describe, expect, it } from 'vitest'
import { DelayedOperation, WatchList } from '../../../sim/broker/purgatory.js'
import { Engine } from '../../../sim/kernel/engine.js'
import type { Env } from '../../../sim/kernel/env.js'
import { millis } from '../../../sim/kernel/units.js'
import { World } from '../../../sim/world/world.js'

/** Completes once `ready` is set and one of its lists is checked. */
class TestOperation extends DelayedOperation {
  ready = false
  completions = 0
  readonly checked: number[] = []

  checkEntry(entry: number): void {
    this.checked.push(entry)
    if (this.ready) this.complete()
  }

  protected onComplete(): void {
    this.completions++
  }
}

function makeEnv(): { env: Env; engine: Engine } {
  const engine = new Engine('1')
  const world = new World(engine)
  let env: Env | undefined
  world.addNode('b1', (given) => {
    env = given
    return { stop: (done) => done() }
  })
  world.start('b1')
  return { env: env as Env, engine }
}

// DelayedOperationTest
describe('a delayed operation', () => {
  it('completes when it is ready and one of its partitions is checked, and leaves all lists', () => {
    const lists = [new WatchList(), new WatchList()]
    const operation = new TestOperation()
    lists.forEach((list, i) => operation.watch(list, i))
    lists[0]?.check()
    expect(operation.isCompleted).toBe(false)
    operation.ready = true
    lists[1]?.check()
    expect(operation.completions).toBe(1)
    expect(operation.checked).toEqual([0, 1])
    expect(lists.every((list) => list.isEmpty)).toBe(true)
  })

  it('completes when its time is up', () => {
    const { env, engine } = makeEnv()
    const list = new WatchList()
    const operation = new TestOperation()
    operation.watch(list, 0)
    operation.expireAfter(env, 200)
    engine.run(millis(199))
    expect(operation.isCompleted).toBe(false)
    engine.run(millis(200))
    expect(operation.completions).toBe(1)
    expect(list.isEmpty).toBe(true)
  })

  it('cancels its timer when it completes before', () => {
    const { env, engine } = makeEnv()
    const before = engine.pending
    const operation = new TestOperation()
    operation.expireAfter(env, 200)
    expect(engine.pending).toBe(before + 1)
    operation.complete()
    operation.complete()
    expect(engine.pending).toBe(before)
    engine.run(millis(1_000))
    expect(operation.completions).toBe(1)
  })

  it('is checked in order of arrival, also when others complete under the walk', () => {
    const list = new WatchList()
    const seen: string[] = []
    class Chained extends TestOperation {
      readonly name: string
      other: Chained | undefined

      constructor(name: string) {
        super()
        this.name = name
      }

      override checkEntry(): void {
        seen.push(this.name)
        this.other?.complete()
        this.complete()
      }
    }
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => new Chained(name)) as [Chained, Chained, Chained, Chained]
    for (const operation of [a, b, c, d]) operation.watch(list, 0)
    // The next one goes while the walk stands on `a`, and must not stop it.
    a.other = b
    list.check()
    expect(seen).toEqual(['a', 'c', 'd'])
    expect(list.isEmpty).toBe(true)
  })
})
