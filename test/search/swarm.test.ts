/** The swarm over a safe configuration: no violation, no stuck cluster. The big sweeps run outside; these seeds stay. */
import { describe, expect, it } from 'vitest'
import { seconds } from '../../sim/kernel/units.js'
import { runScenario } from '../../sim/scenario/run.js'
import type { Scenario } from '../../sim/scenario/scenario.js'
import { groupSwarm, safeSwarm, zookeeperSwarm } from '../../sim/search/swarm.js'

/** What these seeds are kept for is over half a minute after the last fault. */
function endsEarly(scenario: Scenario): Scenario {
  const ends = scenario.steps.map(({ trigger, lasts = 0 }) => (trigger.type === 'at' ? trigger.time : 0) + lasts)
  const settle = seconds(30)
  return { ...scenario, run: { ...scenario.run, until: Math.max(...ends) + settle, settle } }
}

describe('the safe swarm', () => {
  it('gives the same scenario for the same seed', () => expect(safeSwarm(9)).toEqual(safeSwarm(9)))

  it.each([
    [2, 'a wiped broker that was in the ISR'],
    [42, 'the last known leader is elected, as ISR and ELR were empty'],
    [51, 'a controlled shutdown that outlasts its step'],
    [102, 'a crashed broker is made leader before the controller knows of the crash'],
    [204, 'a corrupt tail is cut in recovery while the broker is still in the ISR'],
    [228, 'nobody is left to be elected'],
    [311, 'compaction of a log that rotted'],
    [466, 'the only one left in the ISR lost its disk'],
    [534, 'a retry that is refused until its delivery timeout'],
    [606, 'the log start passes a round of compaction'],
    [819, 'a wiped last known leader, elected in the record that empties the ELR'],
  ])('seed %i holds: %s', (seed) => {
    const result = runScenario(endsEarly(safeSwarm(seed)), { seed })
    expect(result.failures).toEqual([])
    expect(result.verdict).toBe('pass')
  })
})

describe('the swarm of groups', () => {
  it.each([
    [21, 'a static member of a KIP-848 group that left for a while and came back in the same epoch'],
    [42, 'a commit that is delayed behind a heartbeat, on a connection that its member has closed'],
    [44, 'an offset whose time of commit looks like the end of a name'],
    [68, 'a consumer before a corrupt batch'],
    [316, 'a pipeline before a corrupt batch'],
    [414, 'a disk that lied has lost the compacted middle of a log'],
  ])('seed %i holds: %s', (seed) => {
    const result = runScenario(endsEarly(groupSwarm(seed)), { seed })
    expect(result.failures).toEqual([])
    expect(result.verdict).toBe('pass')
  })
})

describe('the swarm of ZooKeeper mode', () => {
  it.each([
    [81, 'an old consumer that reads on when its session is over'],
    [96, 'a commit of an old consumer that was held up until its next session'],
  ])('seed %i holds: %s', (seed) => {
    const scenario = zookeeperSwarm(seed)
    expect(scenario.clients).toHaveProperty('g1')
    const result = runScenario(scenario, { seed })
    expect(result.failures).toEqual([])
    expect(result.verdict).toBe('pass')
    const owners = result.oracles.find(({ name }) => name === 'one-owner-per-generation')
    expect(owners?.losses.length).toBeGreaterThan(0)
  })
})
