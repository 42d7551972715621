import { describe, expect, it } from 'vitest'
import { Replica, UNKNOWN_OFFSET } from '../../../sim/broker/replica.js'

const LAG = 30_000

/** A follower of a leader that became one at time 1000 with its log ending at 10. */
function follower(isInSync = true): Replica {
  const replica = new Replica(2)
  replica.reset(1_000, 10, true, isInSync)
  return replica
}

// ReplicaTest
describe('what a leader knows of a follower', () => {
  it('is nothing but the benefit of the doubt after an election', () => {
    const replica = follower()
    expect(replica.logEndOffset).toBe(UNKNOWN_OFFSET)
    expect(replica.lastCaughtUpTimeMs).toBe(1_000)
    expect(replica.isCaughtUp(10, 1_000 + LAG, LAG)).toBe(true)
    expect(replica.isCaughtUp(10, 1_001 + LAG, LAG)).toBe(false)
  })

  it('gives a follower outside of the ISR no benefit', () => {
    expect(follower(false).lastCaughtUpTimeMs).toBe(0)
    expect(follower(false).isCaughtUp(10, 40_000, LAG)).toBe(false)
  })

  it('is caught up now when the fetch reaches the log end of now', () => {
    const replica = follower()
    replica.updateFetchState(5, 0, 2_000, 10, 1)
    expect(replica.lastCaughtUpTimeMs).toBe(1_000)
    replica.updateFetchState(10, 0, 3_000, 10, 1)
    expect(replica.lastCaughtUpTimeMs).toBe(3_000)
  })

  it('was caught up at the previous fetch when this one reaches the log end of then', () => {
    const replica = follower()
    replica.updateFetchState(5, 0, 2_000, 10, 1)
    replica.updateFetchState(10, 0, 3_000, 20, 1)
    expect(replica.lastCaughtUpTimeMs).toBe(2_000)
    replica.updateFetchState(15, 0, 4_000, 30, 1)
    expect(replica.lastCaughtUpTimeMs).toBe(2_000)
  })

  it('never goes back in time', () => {
    const replica = follower()
    replica.updateFetchState(10, 0, 500, 10, 1)
    expect(replica.lastCaughtUpTimeMs).toBe(1_000)
  })

  it('stays where the follower is when the same leader is elected again', () => {
    const replica = follower()
    replica.updateFetchState(10, 0, 3_000, 10, 7)
    replica.reset(5_000, 12, false, true)
    expect(replica.logEndOffset).toBe(10)
    expect(replica.brokerEpoch).toBe(7)
    expect(replica.lastFetchLeaderLogEndOffset).toBe(12)
    expect(replica.lastCaughtUpTimeMs).toBe(5_000)
    replica.reset(6_000, 12, false, false)
    expect(replica.lastCaughtUpTimeMs).toBe(0)
    expect(replica.lastFetchTimeMs).toBe(0)
  })

  it('is caught up at the log end, however long ago the last fetch was', () => {
    const replica = follower()
    replica.updateFetchState(10, 0, 2_000, 10, 1)
    expect(replica.isCaughtUp(10, 10_000_000, LAG)).toBe(true)
    expect(replica.isCaughtUp(11, 10_000_000, LAG)).toBe(false)
  })
})
