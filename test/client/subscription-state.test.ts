/** Cases of Kafka's SubscriptionStateTest. */

import { describe, expect, it } from 'vitest'
import type { LeaderAndEpoch } from '../../sim/client/client-metadata.js'
import {
  SubscriptionState,
  unknownEpoch,
  type AssignedPartition,
  type FetchPosition,
} from '../../sim/client/subscription-state.js'
import { must } from './lab.js'

const BROKER = { id: 1, host: 'b1' }
const leader = (epoch: number, node = BROKER): LeaderAndEpoch => ({ leader: node, epoch })
const at = (offset: number, offsetEpoch: number, leaderEpoch: number): FetchPosition => ({
  offset,
  offsetEpoch,
  leader: leader(leaderEpoch),
})

function assigned(reset: 'earliest' | 'none' = 'earliest'): { state: SubscriptionState; partition: AssignedPartition } {
  const state = new SubscriptionState(reset === 'none' ? undefined : reset)
  state.assign([{ topic: 't', index: 0 }])
  return { state, partition: must(state.get('t-0')) }
}

describe('an assigned partition', () => {
  it('is fetched once it has a position, and while it is not paused', () => {
    const { partition } = assigned()
    expect(partition.isFetchable).toBe(false)
    partition.seekValidated(unknownEpoch(0))
    expect(partition.isFetchable).toBe(true)
    partition.paused = true
    expect(partition.isFetchable).toBe(false)
  })

  it('keeps its position over another assignment that has it too', () => {
    const { state, partition } = assigned()
    partition.seekValidated(unknownEpoch(7))
    state.assign([
      { topic: 't', index: 1 },
      { topic: 't', index: 0 },
    ])
    expect(state.get('t-0')?.position?.offset).toBe(7)
    state.assign([{ topic: 't', index: 1 }])
    expect(state.get('t-0')).toBeUndefined()
  })

  it('has no position while it is reset', () => {
    const { partition } = assigned()
    partition.seekValidated(unknownEpoch(5))
    partition.reset('latest')
    expect([partition.position, partition.hasValidPosition, partition.resetFrom]).toEqual([undefined, false, 5])
  })

  it('is not validated while it is reset', () => {
    const { partition } = assigned()
    partition.reset('latest')
    expect(partition.maybeValidate(leader(3))).toBe(false)
    expect(partition.state).toBe('await reset')
  })
})

describe('a position', () => {
  it('without an epoch needs no check', () => {
    const { partition } = assigned()
    partition.seekUnvalidated({ offset: 0, offsetEpoch: -1, leader: leader(5) })
    expect(partition.state).toBe('fetching')
  })

  it('with an epoch is checked first, against a leader with an epoch', () => {
    const { partition } = assigned()
    partition.seekUnvalidated(at(0, 3, 5))
    expect([partition.state, partition.hasValidPosition]).toEqual(['await validation', false])
    partition.seekUnvalidated({ offset: 0, offsetEpoch: 3, leader: leader(-1) })
    expect(partition.state).toBe('fetching')
  })

  it('is checked again when there is another leader or epoch', () => {
    const { partition } = assigned()
    partition.seekValidated(at(10, 4, 4))
    expect(partition.maybeValidate(leader(4))).toBe(false)
    expect(partition.maybeValidate({ leader: undefined, epoch: 9 })).toBe(false)
    expect(partition.maybeValidate(leader(5))).toBe(true)
    expect(partition.position).toEqual(at(10, 4, 5))
    partition.completeValidation()
    expect(partition.state).toBe('fetching')
    expect(partition.maybeValidate(leader(5, { id: 2, host: 'b2' }))).toBe(true)
  })

  it('given by the application ends the check', () => {
    const { partition } = assigned()
    partition.seekUnvalidated(at(10, 4, 5))
    partition.seekValidated(unknownEpoch(8))
    expect(partition.state).toBe('fetching')
  })
})

describe('the answer to a check', () => {
  const END = (endOffset: number, leaderEpoch: number) => ({ endOffset, leaderEpoch })

  it('beyond the position says that it is good', () => {
    const { state, partition } = assigned()
    partition.seekUnvalidated(at(20, 5, 15))
    expect(state.completeValidation(partition, at(20, 5, 15), END(30, 5))).toBe('valid')
    expect([partition.state, partition.position]).toEqual(['fetching', at(20, 5, 15)])
  })

  it('before the position is a truncation: to where the logs part', () => {
    const { state, partition } = assigned()
    partition.seekUnvalidated(at(20, 5, 15))
    expect(state.completeValidation(partition, at(20, 5, 15), END(10, 7))).toBe('truncated')
    expect([partition.state, partition.position]).toEqual(['fetching', at(10, 7, 15)])
  })

  it('before the position is told to the application when there is no reset policy', () => {
    const { state, partition } = assigned('none')
    partition.seekUnvalidated(at(20, 5, 15))
    expect(state.completeValidation(partition, at(20, 5, 15), END(10, 7))).toEqual({ partition, divergentOffset: 10 })
    expect([partition.state, partition.position?.offset]).toEqual(['await validation', 20])
  })

  it('without an end is a truncation to nobody knows where: reset by policy, or told', () => {
    const { state, partition } = assigned()
    partition.seekUnvalidated(at(20, 5, 15))
    expect(state.completeValidation(partition, at(20, 5, 15), END(-1, -1))).toBe('reset')
    expect([partition.state, partition.resetStrategy]).toEqual(['await reset', 'earliest'])
    const without = assigned('none')
    without.partition.seekUnvalidated(at(20, 5, 15))
    expect(without.state.completeValidation(without.partition, at(20, 5, 15), END(-1, -1))).toEqual({
      partition: without.partition,
      divergentOffset: undefined,
    })
  })

  it('about a position that was left meanwhile changes nothing', () => {
    const { state, partition } = assigned()
    partition.seekUnvalidated(at(20, 5, 15))
    partition.seekUnvalidated(at(40, 6, 15))
    expect(state.completeValidation(partition, at(20, 5, 15), END(10, 7))).toBe('stale')
    expect(partition.position).toEqual(at(40, 6, 15))
    partition.reset('latest')
    expect(state.completeValidation(partition, at(40, 6, 15), END(10, 7))).toBe('stale')
    expect(partition.state).toBe('await reset')
  })
})

describe('a preferred replica', () => {
  it('is used until its time is over', () => {
    const { partition } = assigned()
    partition.prefer(42, 10)
    expect([partition.preferredReplica(9), partition.preferredReplica(10), partition.preferredReplica(11)]).toEqual([
      42,
      42,
      undefined,
    ])
  })

  it('is forgotten when the leader changes', () => {
    const { partition } = assigned()
    partition.seekValidated(at(10, 4, 4))
    partition.prefer(42, 10)
    partition.maybeValidate(leader(5))
    expect(partition.preferredReplica(0)).toBeUndefined()
  })
})
