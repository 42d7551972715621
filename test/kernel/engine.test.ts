import { describe, expect, it } from 'vitest'
import { Engine } from '../../sim/kernel/engine.js'
import { InvariantError } from '../../sim/kernel/errors.js'

describe('the engine', () => {
  it('moves the clock to each event and then to the end of the run', () => {
    const engine = new Engine('1')
    const seen: number[] = []
    for (const time of [30, 10, 20, 40]) engine.schedule(time, () => seen.push(engine.now), undefined)
    expect(engine.run(35)).toBe(true)
    expect(seen).toEqual([10, 20, 30])
    expect(engine.now).toBe(35)
    expect(engine.pending).toBe(1)
    expect(engine.nextTime()).toBe(40)
  })

  it('fires what an event schedules for the same instant after everything already due', () => {
    const engine = new Engine('1')
    const seen: string[] = []
    engine.schedule(5, () => engine.schedule(5, () => seen.push('scheduled by the first'), undefined), undefined)
    engine.schedule(5, () => seen.push('second'), undefined)
    engine.run(5)
    expect(seen).toEqual(['second', 'scheduled by the first'])
  })

  it('does not go round in a circle for ever', () => {
    const engine = new Engine('1')
    const circle = (): void => void engine.schedule(engine.now, circle, undefined)
    engine.schedule(7, circle, undefined)
    expect(() => engine.run(10)).toThrow(/the clock stands still.*7/s)
    const forward = new Engine('1')
    let left = 1_000
    const slow = (): void => void (left-- > 0 && forward.schedule(forward.now + (left % 2), slow, undefined))
    forward.schedule(0, slow, undefined)
    expect(forward.run(1_000)).toBe(true)
  })

  it('refuses the past', () => {
    const engine = new Engine('1')
    engine.run(100)
    expect(() => engine.schedule(99, () => {}, undefined)).toThrow(InvariantError)
    expect(() => engine.schedule(NaN, () => {}, undefined)).toThrow(InvariantError)
  })

  it('does not fire what was cancelled', () => {
    const engine = new Engine('1')
    let fired = 0
    const timer = engine.schedule(5, () => fired++, undefined)
    engine.schedule(4, () => engine.cancel(timer), undefined)
    engine.run(10)
    expect(fired).toBe(0)
    expect(engine.fired).toBe(1)
  })

  it('stops after the current event, and goes on from there', () => {
    const engine = new Engine('1')
    const seen: number[] = []
    for (const time of [1, 2, 3]) {
      engine.schedule(
        time,
        () => {
          seen.push(time)
          if (time === 2) engine.stop()
        },
        undefined,
      )
    }
    expect(engine.run(10)).toBe(false)
    expect([seen, engine.now]).toEqual([[1, 2], 2])
    expect(engine.run(10)).toBe(true)
    expect([seen, engine.now]).toEqual([[1, 2, 3], 10])
  })

  it('counts events when asked to stop after some', () => {
    const engine = new Engine('1')
    for (const time of [1, 2, 3]) engine.schedule(time, () => {}, undefined)
    expect(engine.run(10, 2)).toBe(false)
    expect(engine.fired).toBe(2)
    expect(engine.run(10, 2)).toBe(true)
  })

  it('restores the cause with every scheduled call', () => {
    const engine = new Engine('1')
    const trace = engine.trace
    const causes: Record<string, number> = {}
    trace.watch('all', (event) => {
      if (event.type === 'operation.start') causes[event.data.text] = event.cause
    })
    const emit = (text: string): number => trace.emit('b1', 'operation.start', { step: 0, kind: '', text })
    const root = emit('root')
    trace.cause = root
    engine.schedule(
      10,
      () => {
        trace.cause = emit('child')
        engine.schedule(20, () => emit('grandchild'), undefined)
      },
      undefined,
    )
    trace.cause = 0
    engine.schedule(15, () => emit('stranger'), undefined)
    engine.run(30)
    expect(causes).toEqual({ root: 0, child: root, stranger: 0, grandchild: 2 })
  })
})
