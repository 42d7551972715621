/** Reading from the closest replica (KIP-392): ReplicaManagerTest, RackAwareReplicaSelectorTest. */

import { describe, expect, it } from 'vitest'
import { RACK_AWARE_SELECTOR } from '../../../sim/broker/replica-selector.js'
import { Errors } from '../../../sim/wire/errors.js'
import { fetched, makeCluster, type ClusterOptions, type FetchOptions, type TestCluster } from './harness.js'

/** b1 leads, b2 and b3 are played by the test; each in a rack of its own, unless said otherwise. */
function inRacks(
  racks: Record<number, string> = { 1: 'a', 2: 'b', 3: 'c' },
  options: ClusterOptions = {},
): TestCluster {
  const cluster = makeCluster({
    running: [1],
    racks,
    config: { 'replica.selector.class': RACK_AWARE_SELECTOR },
    ...options,
  })
  for (const value of ['v0', 'v1', 'v2']) cluster.produce(1, [value], { acks: 1 })
  cluster.pass(10)
  return cluster
}

function has(cluster: TestCluster, broker: number, offset: number): void {
  cluster.fetch(1, offset, { replicaId: broker, leaderEpoch: 0 })
  cluster.pass(10)
}

function read(cluster: TestCluster, offset: number, options: FetchOptions): ReturnType<typeof fetched> {
  const call = cluster.fetch(1, offset, options)
  cluster.pass(10)
  return fetched(call)
}

describe('a leader with a rack-aware selector', () => {
  it('sends a consumer to the replica of its rack, with no records, at once', () => {
    const cluster = inRacks()
    for (const broker of [2, 3]) has(cluster, broker, 3)
    expect(read(cluster, 1, { rack: 'b', maxWaitMs: 10_000 })).toMatchObject({
      errorCode: 0,
      preferredReadReplica: 2,
      records: [],
      highWatermark: 3,
      lastStableOffset: 3,
      logStartOffset: 0,
    })
  })

  it('answers itself in its own rack, without a rack, and where nobody stands', () => {
    const cluster = inRacks()
    for (const broker of [2, 3]) has(cluster, broker, 3)
    for (const rack of ['a', '', 'z']) {
      const data = read(cluster, 0, { rack })
      expect([data.preferredReadReplica, data.records?.length]).toEqual([-1, 3])
    }
  })

  it('prefers itself where another replica shares its rack', () => {
    const cluster = inRacks({ 1: 'a', 2: 'a', 3: 'b' })
    for (const broker of [2, 3]) has(cluster, broker, 3)
    expect(read(cluster, 0, { rack: 'a' }).preferredReadReplica).toBe(-1)
  })

  it('takes the replica that has most, and of equal ones the one caught up last', () => {
    const cluster = inRacks({ 1: 'a', 2: 'b', 3: 'b' })
    has(cluster, 2, 3)
    has(cluster, 3, 2)
    expect(read(cluster, 1, { rack: 'b' }).preferredReadReplica).toBe(2)
    has(cluster, 3, 3)
    expect(read(cluster, 1, { rack: 'b' }).preferredReadReplica).toBe(3)
    has(cluster, 2, 3)
    expect(read(cluster, 1, { rack: 'b' }).preferredReadReplica).toBe(2)
  })

  it('sends nobody to a replica that does not have the offset', () => {
    const cluster = inRacks()
    has(cluster, 2, 1)
    has(cluster, 3, 3)
    expect(read(cluster, 1, { rack: 'b' }).preferredReadReplica).toBe(2)
    expect(read(cluster, 2, { rack: 'b' }).preferredReadReplica).toBe(-1)
  })

  it('sends nobody to a replica out of the ISR, nor to one whose broker is fenced', () => {
    const cluster = inRacks()
    for (const broker of [2, 3]) has(cluster, broker, 3)
    cluster.controller.change('orders', 0, { isr: [1, 3] })
    cluster.pass(10)
    expect(read(cluster, 0, { rack: 'b' }).preferredReadReplica).toBe(-1)
    expect(read(cluster, 0, { rack: 'c' }).preferredReadReplica).toBe(3)
    cluster.controller.fence(3, true)
    cluster.pass(10)
    expect(read(cluster, 0, { rack: 'c' }).preferredReadReplica).toBe(-1)
  })

  it('checks the leader epoch first', () => {
    const cluster = inRacks()
    for (const broker of [2, 3]) has(cluster, broker, 3)
    expect(read(cluster, 0, { rack: 'b', leaderEpoch: 7 }).errorCode).toBe(Errors.UNKNOWN_LEADER_EPOCH)
  })

  it('sends no follower anywhere, and no consumer of before version 11', () => {
    const cluster = inRacks()
    for (const broker of [2, 3]) has(cluster, broker, 3)
    expect(read(cluster, 3, { rack: 'b', replicaId: 3, leaderEpoch: 0 }).preferredReadReplica).toBe(-1)
    expect(read(cluster, 0, { rack: 'b', version: 10 }).preferredReadReplica).toBe(-1)
  })

  it('is what replica.selector.class says; by default everybody reads from the leader', () => {
    const cluster = inRacks({ 1: 'a', 2: 'b', 3: 'c' }, { config: {} })
    for (const broker of [2, 3]) has(cluster, broker, 3)
    expect(read(cluster, 0, { rack: 'b' })).toMatchObject({ preferredReadReplica: -1 })
  })
})

describe('a follower', () => {
  it('answers consumers up to the high watermark that it knows', () => {
    const cluster = makeCluster({ racks: { 1: 'a', 2: 'b', 3: 'c' } })
    for (const value of ['v0', 'v1']) cluster.produce(1, [value])
    cluster.pass(2_000)
    const call = cluster.fetch(2, 0, { rack: 'b' })
    cluster.pass(10)
    expect(fetched(call)).toMatchObject({ errorCode: 0, highWatermark: 2, preferredReadReplica: -1 })
    expect(fetched(call).records).toHaveLength(2)
    const beyond = cluster.fetch(2, 9, { rack: 'b' })
    cluster.pass(10)
    expect(fetched(beyond).errorCode).toBe(Errors.OFFSET_OUT_OF_RANGE)
  })
})
