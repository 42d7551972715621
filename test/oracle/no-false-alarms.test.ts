import { describe, expect, it } from 'vitest'
import { ORACLE_NAMES } from '../../sim/oracle/oracle-names.js'
import { ModelCluster, type ModelOptions } from './model-cluster.js'

/** What a random stop in the middle of everything says nothing about. */
const JUDGED = ORACLE_NAMES.filter((name) => name !== 'recovers')
const SEEDS = 150
const STEPS = 400

const MODELS: Readonly<Record<string, ModelOptions>> = {
  'min.insync.replicas=2, ELR': { minIsr: 2, unclean: false, powerLosses: false, elr: true },
  'min.insync.replicas=2, no ELR': { minIsr: 2, unclean: false, powerLosses: false, elr: false },
  'min.insync.replicas=1': { minIsr: 1, unclean: false, powerLosses: false, elr: false },
  'power losses, ELR': { minIsr: 2, unclean: false, powerLosses: true, elr: true },
  'power losses, no ELR': { minIsr: 2, unclean: false, powerLosses: true, elr: false },
  'unclean elections': { minIsr: 1, unclean: true, powerLosses: true, elr: false },
}

describe('over random interleavings of a correct cluster', () => {
  it.each(Object.entries(MODELS))('no oracle raises an alarm: %s', (_, options) => {
    const checked = new Set<string>()
    for (let seed = 1; seed <= SEEDS; seed++) {
      const cluster = new ModelCluster(seed, options)
      for (const { name, violations, checks } of cluster.run(STEPS).reports()) {
        if (!JUDGED.includes(name)) continue
        expect(violations, `seed ${seed}: ${name}`).toEqual([])
        if (checks > 0) checked.add(name)
      }
    }
    expect([...checked]).toContain('acked-records-survive')
    expect([...checked]).toContain('log-matching')
    expect([...checked]).toContain('positions-consistent')
  })

  it('nothing is lost without a fault of a disk or an unclean election', () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const reports = new ModelCluster(seed, { minIsr: 2, unclean: false, powerLosses: false, elr: true })
        .run(STEPS)
        .reports()
      const losses = reports.filter(({ name }) => name !== 'elections-as-configured').flatMap((report) => report.losses)
      expect(losses, `seed ${seed}`).toEqual([])
    }
  })

  it('some of the losses that were not promised away do happen', () => {
    let losses = 0
    for (let seed = 1; seed <= SEEDS; seed++) {
      const reports = new ModelCluster(seed, { minIsr: 1, unclean: true, powerLosses: true, elr: false })
        .run(STEPS)
        .reports()
      losses += reports.find(({ name }) => name === 'acked-records-survive')?.losses.length ?? 0
    }
    expect(losses).toBeGreaterThan(0)
  })
})
