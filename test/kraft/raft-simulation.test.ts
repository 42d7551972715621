/** Random runs under faults; see raft-simulation.ts for what is watched. */

import { describe, expect, it } from 'vitest'
import { runSimulation } from './raft-simulation.js'

const RUNS = 100

describe('a quorum under random faults', () => {
  it(`keeps its invariants and recovers over ${RUNS} seeds`, () => {
    const totals = { leaders: 0, committed: 0, truncations: 0, powerLosses: 0, knownHalts: 0 }
    for (let i = 0; i < RUNS; i++) {
      const result = runSimulation({ seed: `suite-${i}`, voters: i % 2 === 0 ? 3 : 5, observers: i % 3, steps: 8 })
      totals.leaders += result.leaders
      totals.committed += result.committed
      totals.truncations += result.truncations
      totals.powerLosses += result.powerLosses
      totals.knownHalts += result.knownHalts
    }
    // Enough must happen for the invariants to mean anything.
    expect(totals.leaders).toBeGreaterThan(1.2 * RUNS)
    expect(totals.committed).toBeGreaterThan(20 * RUNS)
    expect(totals.truncations).toBeGreaterThan(5)
    expect(totals.powerLosses).toBeGreaterThan(RUNS / 4)
    expect(totals.knownHalts).toBe(0)
  })

  it('is the same run again with the same seed, and with messages as bytes', () => {
    const options = { seed: 'twice', voters: 3, observers: 1, steps: 15 }
    const { hash } = runSimulation(options)
    expect(runSimulation(options).hash).toBe(hash)
    expect(runSimulation({ ...options, wire: 'bytes' }).hash).toBe(hash)
    expect(runSimulation({ ...options, seed: 'other' }).hash).not.toBe(hash)
  })
})
