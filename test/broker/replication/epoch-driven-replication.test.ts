/** Kafka's EpochDrivenReplicationProtocolAcceptanceTest, and the stories of KIP-101 and KIP-279. */

import { describe, expect, it } from 'vitest'
import type { NodeId } from '../../../sim/kernel/units.js'
import { epochsOf, makeCluster, produced, TOPIC, valuesOf, type ClusterOptions, type TestCluster } from './harness.js'

function makePair(options: ClusterOptions = {}): TestCluster {
  return makeCluster({ brokers: 2, replicas: [[1, 2]], ...options })
}

/** Base offset, epoch and value of every batch. */
function batches(cluster: TestCluster, id: NodeId): string[] {
  const log = cluster.log(id)
  const found: string[] = []
  for (let at = log.logStartOffset; at < log.logEndOffset;) {
    const read = log.read(at, 1_000_000, log.logEndOffset, true)
    if (!('batches' in read)) throw new Error('unreadable')
    for (const batch of read.batches) {
      found.push(`${batch.baseOffset} in ${batch.partitionLeaderEpoch}`)
      at = batch.nextOffset
    }
  }
  return found
}

function expectSame(cluster: TestCluster, ids: readonly NodeId[]): void {
  const [first, ...others] = ids
  for (const id of others) {
    expect(valuesOf(cluster.log(id))).toEqual(valuesOf(cluster.log(first as NodeId)))
    expect(batches(cluster, id)).toEqual(batches(cluster, first as NodeId))
  }
}

function write(cluster: TestCluster, leader: NodeId, value: string, acks = 1): number {
  for (let attempt = 0; attempt < 5; attempt++) {
    const call = cluster.produce(leader, [value], { acks })
    cluster.pass(30)
    // The connection was to an earlier life of the broker: nothing was written.
    if (call.failed === undefined) return produced(call).errorCode
    cluster.pass(200)
  }
  throw new Error(`b${leader} is out of reach`)
}

/** Kills a broker; the controller notices. */
function stop(cluster: TestCluster, id: NodeId): void {
  cluster.kill(id)
  cluster.controller.lose(id)
  cluster.pass(20)
}

/** Starts a broker that the controller makes leader, whatever its log holds. */
function startAsLeader(cluster: TestCluster, id: NodeId): void {
  cluster.start(id)
  cluster.controller.change(TOPIC, 0, { leader: id, isr: [id] })
  cluster.pass(30)
}

describe('replication by leader epochs', () => {
  // shouldFollowLeaderEpochBasicWorkflow
  it('gives every leadership an epoch of its own in all logs', () => {
    const cluster = makePair()
    write(cluster, 1, 'a')
    expect(epochsOf(cluster.log(2))).toEqual(['0@0'])
    stop(cluster, 1)
    cluster.start(1)
    cluster.pass(1_500)
    write(cluster, 2, 'b')
    for (const id of [1, 2]) expect(epochsOf(cluster.log(id))).toEqual(['0@0', '1@1'])
    stop(cluster, 2)
    cluster.start(2)
    cluster.pass(1_500)
    write(cluster, 1, 'c')
    for (const id of [1, 2]) expect(epochsOf(cluster.log(id))).toEqual(['0@0', '1@1', '2@2'])
    expectSame(cluster, [1, 2])
    expect(batches(cluster, 1)).toEqual(['0 in 0', '1 in 1', '2 in 2'])
  })

  // shouldNotAllowDivergentLogs (KIP-101, scenario 2)
  it('does not let logs part when both brokers go down and the one with less comes back first', () => {
    const cluster = makePair()
    for (let i = 0; i < 5; i++) write(cluster, 1, `kept${i}`)
    cluster.log(1).flush(5)
    cluster.pass(20)
    for (let i = 5; i < 10; i++) write(cluster, 1, `lost${i}`)
    expect(cluster.log(2).logEndOffset).toBe(10)
    cluster.powerLoss(1)
    cluster.kill(2)
    cluster.controller.fence(1, true)
    cluster.controller.fence(2, true)
    startAsLeader(cluster, 1)
    const left = cluster.log(1).logEndOffset
    expect(left).toBeGreaterThanOrEqual(5)
    for (let i = 0; i < 6; i++) write(cluster, 1, `new${i}`)
    cluster.start(2)
    cluster.pass(2_000)
    expect(cluster.log(1).logEndOffset).toBe(left + 6)
    expectSame(cluster, [1, 2])
    expect(cluster.of('log.truncate', 'b2').map((event) => event.data.to)).toEqual(left === 10 ? [] : [left])
  })

  // shouldSurviveFastLeaderChange
  it('survives one leadership after the other without a common follower', () => {
    const cluster = makePair()
    write(cluster, 1, 'both')
    stop(cluster, 2)
    let leader: NodeId = 1
    for (let round = 0; round < 5; round++) {
      write(cluster, leader, `b${leader} in round ${round}`)
      stop(cluster, leader)
      leader = 3 - leader
      startAsLeader(cluster, leader)
      write(cluster, leader, `b${leader} after round ${round}`)
    }
    cluster.start(3 - leader)
    cluster.pass(3_000)
    expectSame(cluster, [1, 2])
    write(cluster, leader, 'end')
    expectSame(cluster, [1, 2])
    expect(valuesOf(cluster.log(1))[0]).toBe('0:both')
  })

  // logsShouldNotDivergeOnUncleanLeaderElections
  it('gives equal logs after unclean elections, whoever had how much', () => {
    const cluster = makePair()
    for (let i = 0; i < 3; i++) write(cluster, 1, `first${i}`)
    stop(cluster, 2)
    for (let i = 0; i < 2; i++) write(cluster, 1, `alone on b1 ${i}`)
    stop(cluster, 1)
    startAsLeader(cluster, 2)
    write(cluster, 2, 'alone on b2')
    stop(cluster, 2)
    startAsLeader(cluster, 1)
    for (let i = 0; i < 3; i++) write(cluster, 1, `again on b1 ${i}`)
    stop(cluster, 1)
    startAsLeader(cluster, 2)
    for (let i = 0; i < 5; i++) write(cluster, 2, `again on b2 ${i}`)
    cluster.start(1)
    cluster.pass(3_000)
    expectSame(cluster, [1, 2])
    expect(batches(cluster, 1)).toEqual(batches(cluster, 2))
    expect(valuesOf(cluster.log(1)).map((value) => value.replace(/^\d+:/, ''))).toEqual([
      'first0',
      'first1',
      'first2',
      'alone on b2',
      ...[0, 1, 2, 3, 4].map((i) => `again on b2 ${i}`),
    ])
  })

  // offsetsShouldNotGoBackwards
  it('never has offsets that go backwards', () => {
    const cluster = makePair()
    for (let round = 0; round < 4; round++) {
      const leader = cluster.controller.partition(TOPIC).leader
      for (let i = 0; i < 5; i++) write(cluster, leader, `r${round}v${i}`)
      cluster.powerLoss(leader)
      cluster.controller.lose(leader)
      cluster.pass(20)
      cluster.start(leader)
      cluster.pass(2_500)
    }
    for (const id of [1, 2]) {
      const offsets = valuesOf(cluster.log(id)).map((value) => Number(value.split(':')[0]))
      expect(offsets).toEqual(offsets.map((_, at) => at))
    }
    expectSame(cluster, [1, 2])
  })
})

describe('KIP-101', () => {
  it('scenario 1: a follower that does not know of its last committed record keeps it, and leads with it', () => {
    const cluster = makePair({ minIsr: 2 })
    write(cluster, 1, 'm1', -1)
    cluster.pass(600)
    const call = cluster.produce(1, ['m2'])
    cluster.pass(3)
    expect(produced(call).errorCode).toBe(0)
    // b2 has m2, but has not heard that it is committed. It restarts, and its leader dies before it could ask.
    expect(cluster.offsets(2)).toEqual({ hw: 1, end: 2 })
    cluster.kill(2)
    cluster.start(2)
    cluster.kill(1)
    cluster.controller.lose(1)
    cluster.pass(50)
    expect(cluster.partition(2).isLeader).toBe(true)
    expect(valuesOf(cluster.log(2))).toEqual(['0:m1', '1:m2'])
    cluster.start(1)
    cluster.pass(2_000)
    expectSame(cluster, [1, 2])
    expect(cluster.of('log.truncate')).toEqual([])
  })
})

describe('KIP-279', () => {
  it('does not let three logs part when leadership goes round quickly', () => {
    const cluster = makeCluster()
    write(cluster, 1, 'all')
    // Each leads alone for one record, in its own epoch, as the others see nothing of it.
    for (const id of [1, 2, 3]) {
      for (const other of [1, 2, 3]) if (cluster.brokers.has(other)) cluster.kill(other)
      cluster.start(id)
      cluster.controller.change(TOPIC, 0, { leader: id, isr: [id] })
      cluster.pass(30)
      write(cluster, id, `alone on b${id}`)
    }
    expect(valuesOf(cluster.log(3))).toEqual(['0:all', '1:alone on b3'])
    cluster.start(1)
    cluster.start(2)
    cluster.pass(3_000)
    expectSame(cluster, [3, 1, 2])
    const epochs = [1, 2, 3].map((id) => epochsOf(cluster.log(id)))
    expect(epochs[0]).toEqual(epochs[2])
    expect(epochs[1]).toEqual(epochs[2])
  })

  it('asks again and again when the epochs of both interleave', () => {
    const cluster = makePair()
    write(cluster, 1, 'both')
    stop(cluster, 2)
    // Epochs of b1 alone and b2 alone in turn, several records each.
    for (let round = 0; round < 3; round++) {
      for (const id of [1, 2]) {
        for (const other of [1, 2]) if (cluster.brokers.has(other)) stop(cluster, other)
        startAsLeader(cluster, id)
        for (let i = 0; i <= round; i++) write(cluster, id, `b${id} ${round} ${i}`)
      }
    }
    cluster.start(1)
    cluster.pass(3_000)
    expectSame(cluster, [1, 2])
    const { length } = cluster.of('fetch.diverging', 'b1')
    expect(length).toBeGreaterThan(1)
  })
})

describe('acks=all through a change of leaders', () => {
  it('loses nothing that was acknowledged', () => {
    const cluster = makeCluster({ minIsr: 2 })
    const acknowledged: string[] = []
    let leader: NodeId = 1
    for (let round = 0; round < 6; round++) {
      const calls = [0, 1, 2].map((i) => ({
        value: `r${round}v${i}`,
        call: cluster.produce(leader, [`r${round}v${i}`]),
      }))
      // Not enough for all of them to be done.
      cluster.pass(3)
      const next = (leader % 3) + 1
      cluster.controller.change(TOPIC, 0, { leader: next })
      cluster.pass(100)
      for (const { value, call } of calls) {
        if (call.response?.responses[0]?.partitionResponses[0]?.errorCode === 0) acknowledged.push(value)
      }
      leader = next
      cluster.pass(1_500)
    }
    expect(acknowledged.length).toBeGreaterThan(3)
    const kept = new Set(valuesOf(cluster.log(leader)).map((value) => value.replace(/^\d+:/, '')))
    expect(acknowledged.filter((value) => !kept.has(value))).toEqual([])
    expectSame(cluster, [1, 2, 3])
  })
})
