import { describe, expect, it } from 'vitest'
import { EventQueue, type ScheduledEvent } from '../../sim/kernel/event-queue.js'
import { Random } from '../../sim/kernel/random.js'

function entry(time: number): ScheduledEvent {
  return { time, cause: 0, fire: () => {}, argument: undefined }
}

describe('the event queue', () => {
  it('gives events of one instant in the order in which they were pushed', () => {
    const queue = new EventQueue()
    const pushed = Array.from({ length: 100 }, () => entry(7))
    for (const one of pushed) queue.push(one)
    expect(pushed.every((one) => queue.pop() === one)).toBe(true)
    expect(queue.pop()).toBeUndefined()
  })

  it('gives nothing later than asked for', () => {
    const queue = new EventQueue()
    const late = entry(10)
    queue.push(late)
    expect(queue.pop(9)).toBeUndefined()
    expect(queue.nextTime()).toBe(10)
    expect(queue.pop(10)).toBe(late)
    expect(queue.nextTime()).toBe(Infinity)
  })

  it('forgets what a cancelled event held, and cancelling twice or after firing does nothing', () => {
    const queue = new EventQueue()
    const one = { ...entry(1), argument: 'held' }
    const two = entry(2)
    queue.push(one)
    queue.push(two)
    queue.cancel(one)
    queue.cancel(one)
    expect(one.argument).toBeUndefined()
    expect(queue.size).toBe(1)
    expect(queue.pop()).toBe(two)
    two.fire = undefined
    queue.cancel(two)
    expect(queue.size).toBe(0)
  })

  it.each(['1', '2', '3', '4', '5', '6'])('agrees with a sorted list under random use (seed %s)', (seed) => {
    const random = new Random(seed)
    const queue = new EventQueue()
    const model: { time: number; order: number; entry: ScheduledEvent }[] = []
    // Some seeds cancel most of what they push, so that the queue sweeps.
    const cancelShare = random.pick([0.1, 0.45, 0.7])
    let order = 0
    let popped = 0
    for (let i = 0; i < 8_000; i++) {
      if (random.chance(0.55)) {
        const one = entry(random.int(random.pick([3, 1_000, 1_000_000])))
        queue.push(one)
        model.push({ time: one.time, order: order++, entry: one })
      } else if (model.length > 0 && random.chance(cancelShare)) {
        const [gone] = model.splice(random.int(model.length), 1)
        if (gone !== undefined) queue.cancel(gone.entry)
      } else {
        const first = model.reduce<(typeof model)[number] | undefined>(
          (best, one) =>
            best === undefined || one.time < best.time || (one.time === best.time && one.order < best.order)
              ? one
              : best,
          undefined,
        )
        const got = queue.pop()
        expect(got).toBe(first?.entry)
        if (first !== undefined) model.splice(model.indexOf(first), 1)
        popped++
      }
      if (i % 97 === 0) expect(queue.size).toBe(model.length)
      // The list is searched through at every pop; keep it short.
      if (model.length > 600) for (const gone of model.splice(0, 300)) queue.cancel(gone.entry)
    }
    expect(popped).toBeGreaterThan(500)
    model.sort((a, b) => a.time - b.time || a.order - b.order)
    for (const { entry: next } of model) expect(queue.pop()).toBe(next)
    expect(queue.size).toBe(0)
  })
})
