/** The queue under the hold model: take the earliest of 1,000 pending events, put one back. */

import { EventQueue } from '../../sim/kernel/event-queue.js'
import { busySeconds, median, type Figure } from './measure.js'

const PENDING = 1_000
const HOLDS = 1_000_000

export function kernelBench(): Figure[] {
  let state = 12_345
  const delay = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return state % 10_000
  }
  const fire = (): void => undefined
  const queue = new EventQueue()
  for (let i = 0; i < PENDING; i++) queue.push({ time: delay(), cause: 0, fire, argument: 0 })
  const value = median(7, () => {
    const seconds = busySeconds(() => {
      for (let i = 0; i < HOLDS; i++) {
        const entry = queue.pop()
        if (entry !== undefined) queue.push({ time: entry.time + delay(), cause: 0, fire, argument: 0 })
      }
    })
    return HOLDS / seconds
  })
  return [{ name: 'queue hold at 1,000 pending', value, unit: 'operations/s' }]
}
