/** High watermark, check quorum and successors. Cases of Kafka's LeaderStateTest. */

import { describe, expect, it } from 'vitest'
import { LONG_MAX } from '../../sim/kernel/units.js'
import { LeaderState } from '../../sim/kraft/leader-state.js'
import type { ReplicaKey } from '../../sim/kraft/voter-set.js'
import { VoterSet } from '../../sim/kraft/voter-set.js'

function key(id: number): ReplicaKey {
  return { id, directoryId: `directory-${id}` }
}

function lead(voters: number, epochStartOffset: number): LeaderState {
  const ids = Array.from({ length: voters }, (_, i) => i)
  return new LeaderState({
    local: key(0),
    epoch: 5,
    epochStartOffset,
    voters: new VoterSet(ids.map((id) => ({ ...key(id), node: `c${id}` }))),
    grantingVoters: [],
    fetchTimeoutMs: 2_000,
    nowMs: 0,
  })
}

describe('the high watermark of a leader', () => {
  it('of one voter is its own end, once a record of its epoch is there', () => {
    const state = lead(1, 15)
    expect(state.updateLocal(15)).toBe(false)
    expect(state.highWatermark).toBe(-1)
    expect(state.updateLocal(16)).toBe(true)
    expect(state.highWatermark).toBe(16)
  })

  it('of two voters needs both', () => {
    const state = lead(2, 10)
    state.updateLocal(13)
    expect(state.highWatermark).toBe(-1)
    expect(state.updateReplica(key(1), 0, 10)).toBe(false)
    expect(state.updateReplica(key(1), 0, 11)).toBe(true)
    expect(state.highWatermark).toBe(11)
  })

  it('of three voters is the second highest end, above the epoch start', () => {
    const state = lead(3, 10)
    state.updateLocal(15)
    expect(state.updateReplica(key(1), 0, 10)).toBe(false)
    expect(state.updateReplica(key(2), 0, 10)).toBe(false)
    expect(state.highWatermark).toBe(-1)
    expect(state.updateReplica(key(2), 0, 15)).toBe(true)
    expect(state.highWatermark).toBe(15)
    expect(state.updateLocal(20)).toBe(false)
    expect(state.highWatermark).toBe(15)
    expect(state.updateReplica(key(1), 0, 20)).toBe(true)
    expect(state.highWatermark).toBe(20)
    expect(state.updateReplica(key(2), 0, 20)).toBe(false)
    expect(state.highWatermark).toBe(20)
  })

  it('does not fall when a follower loses what it had', () => {
    const state = lead(3, 0)
    state.updateLocal(10)
    state.updateReplica(key(1), 0, 10)
    expect(state.highWatermark).toBe(10)
    expect(state.updateReplica(key(1), 0, 2)).toBe(false)
    expect(state.highWatermark).toBe(10)
  })

  it('is not moved by observers, nor by a voter id with another directory', () => {
    const state = lead(3, 0)
    state.updateLocal(10)
    expect(state.updateReplica(key(7), 0, 10)).toBe(false)
    expect(state.updateReplica({ id: 1, directoryId: 'directory-other' }, 0, 10)).toBe(false)
    expect(state.highWatermark).toBe(-1)
    expect(state.observerProgress(0).map((observer) => observer.key.id)).toEqual([7, 1])
  })

  it('is not moved by a fetch without a replica', () => {
    const state = lead(3, 0)
    state.updateLocal(10)
    expect(state.updateReplica({ id: -1, directoryId: 'x' }, 0, 10)).toBe(false)
    expect(state.observerProgress(0)).toEqual([])
  })

  it('stops at a local log that shrinks or a fetch of its own', () => {
    const state = lead(3, 0)
    state.updateLocal(10)
    expect(() => state.updateLocal(9)).toThrow('fell')
    expect(() => state.updateReplica(key(0), 0, 10)).toThrow('leader itself')
  })
})

describe('check quorum', () => {
  it('expires 1.5 fetch timeouts after a majority has fetched', () => {
    const state = lead(5, 0)
    expect(state.untilCheckQuorumExpires(0)).toBe(3_000)
    state.sawFetch(key(1), 1_000)
    expect(state.untilCheckQuorumExpires(1_000)).toBe(2_000)
    state.sawFetch(key(1), 1_500)
    state.sawFetch(key(2), 2_000)
    expect(state.untilCheckQuorumExpires(2_000)).toBe(3_000)
    state.sawFetch(key(7), 4_000)
    expect(state.untilCheckQuorumExpires(5_000)).toBe(0)
  })

  it('never expires for the only voter', () => {
    expect(lead(1, 0).untilCheckQuorumExpires(1e9)).toBe(LONG_MAX)
  })
})

describe('progress of replicas', () => {
  it('is caught up at the time of the previous fetch once it has what the leader had then', () => {
    const state = lead(3, 0)
    state.updateLocal(10)
    const voter = (): { lastCaughtUpMs: number; lastFetchMs: number } | undefined => state.voterProgress()[1]
    state.updateReplica(key(1), 100, 5)
    expect(voter()).toMatchObject({ lastCaughtUpMs: -1, lastFetchMs: 100 })
    state.updateLocal(20)
    state.updateReplica(key(1), 200, 10)
    expect(voter()).toMatchObject({ lastCaughtUpMs: 100, lastFetchMs: 200 })
    state.updateReplica(key(1), 300, 20)
    expect(voter()).toMatchObject({ lastCaughtUpMs: 300, lastFetchMs: 300 })
  })

  it('forgets observers that did not fetch for five minutes', () => {
    const state = lead(3, 0)
    state.updateLocal(10)
    state.updateReplica(key(7), 0, 5)
    state.updateReplica(key(8), 1, 5)
    expect(state.observerProgress(299_999)).toHaveLength(2)
    expect(state.observerProgress(300_000).map((observer) => observer.key.id)).toEqual([8])
  })

  it('orders successors by end offset, then by id', () => {
    const state = lead(5, 0)
    state.updateLocal(20)
    state.updateReplica(key(4), 0, 12)
    state.updateReplica(key(2), 0, 17)
    state.updateReplica(key(3), 0, 12)
    expect(state.successors().map((successor) => successor.id)).toEqual([2, 3, 4, 1])
  })
})
