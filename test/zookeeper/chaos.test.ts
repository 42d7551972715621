/** An ensemble under random faults: nothing that was committed is lost, and it settles when they are over. */

import { describe, expect, it } from 'vitest'
import { chaos } from './chaos.js'

const CONFIG = { snapCount: 60, commitLogCount: 20 }
const THREE = { servers: 3, observers: 0, clients: 3, faultsMs: 8_000, config: CONFIG }

describe('an ensemble under random faults', () => {
  it.each(Array.from({ length: 14 }, (_, i) => `suite-${i}`))('of three keeps its promises (%s)', (seed) => {
    expect(chaos(seed, THREE).problems).toEqual([])
  })

  it.each(Array.from({ length: 6 }, (_, i) => `suite-${i}`))('of five and an observer too (%s)', (seed) => {
    expect(chaos(seed, { ...THREE, servers: 5, observers: 1, faultsMs: 6_000 }).problems).toEqual([])
  })

  it('is the same run again with the same seed', () => {
    expect(chaos('again', THREE).hash).toBe(chaos('again', THREE).hash)
  })
})
