import { describe, expect, it } from 'vitest'
import type { NodeId, Offset } from '../../../sim/kernel/units.js'
import { Errors } from '../../../sim/wire/errors.js'
import {
  epochsOf,
  fetched,
  type FetchOptions,
  makeCluster,
  TOPIC,
  type ClusterOptions,
  type TestCluster,
} from './harness.js'

const LAG_MS = 30_000

/** b1 leads and is real; b2 and b3 are registered, and the tests fetch in their names. */
function leader(options: ClusterOptions = {}): TestCluster {
  return makeCluster({ running: [1], ...options })
}

/** A follower's fetch at `offset`, answered at once. */
function follow(cluster: TestCluster, replicaId: NodeId, offset: Offset, options: FetchOptions = {}) {
  const replicaEpoch = cluster.controller.image.brokers.get(replicaId)?.epoch ?? -1
  const leaderEpoch = cluster.partition(1).leaderEpoch
  const call = cluster.fetch(1, offset, { replicaId, replicaEpoch, leaderEpoch, ...options })
  cluster.pass(5)
  return fetched(call)
}

function append(cluster: TestCluster, count: number): void {
  for (let i = 0; i < count; i++) cluster.produce(1, [`v${i}`], { acks: 1 })
  cluster.pass(5)
}

function isr(cluster: TestCluster): readonly NodeId[] {
  return cluster.partition(1).isrState.isr
}

describe('a leader’s high watermark', () => {
  it('is the smallest log end of the ISR', () => {
    const cluster = leader({ minIsr: 2 })
    append(cluster, 3)
    follow(cluster, 2, 3)
    expect(cluster.offsets(1)).toEqual({ hw: 0, end: 3 })
    follow(cluster, 3, 2)
    expect(cluster.offsets(1).hw).toBe(2)
    follow(cluster, 3, 3)
    expect(cluster.offsets(1).hw).toBe(3)
  })

  it('reaches a follower with its next fetch, not with the one that moved it', () => {
    const cluster = leader()
    append(cluster, 1)
    follow(cluster, 2, 1)
    expect(follow(cluster, 3, 1).highWatermark).toBe(0)
    expect(follow(cluster, 3, 1).highWatermark).toBe(1)
  })

  // testHighWatermarkAdvanceShouldNotAdvanceWhenUnderMinISR
  it('does not move while the ISR is smaller than min.insync.replicas', () => {
    const cluster = leader({ minIsr: 3 })
    cluster.controller.change(TOPIC, 0, { isr: [1, 2] })
    cluster.pass(5)
    append(cluster, 2)
    follow(cluster, 2, 2)
    expect(cluster.offsets(1)).toEqual({ hw: 0, end: 2 })
    // b3 catches up and joins: now it may.
    follow(cluster, 3, 2)
    cluster.pass(10)
    expect(isr(cluster)).toEqual([1, 2, 3])
    expect(cluster.offsets(1).hw).toBe(2)
  })

  it('needs no more replicas than there are', () => {
    const cluster = leader({ minIsr: 2, replicas: [[1]] })
    append(cluster, 2)
    expect(cluster.offsets(1)).toEqual({ hw: 2, end: 2 })
  })

  it('waits for a follower that is caught up and about to join', () => {
    const cluster = leader()
    cluster.controller.change(TOPIC, 0, { isr: [1, 2] })
    cluster.controller.answers = 'silence'
    cluster.pass(5)
    append(cluster, 2)
    follow(cluster, 3, 2)
    append(cluster, 1)
    follow(cluster, 2, 3)
    expect(cluster.offsets(1)).toEqual({ hw: 2, end: 3 })
  })

  it('waits for a follower that counts as caught up, while the joining of another is under way', () => {
    const cluster = leader()
    cluster.controller.change(TOPIC, 0, { isr: [1] })
    cluster.controller.answers = 'silence'
    cluster.pass(5)
    follow(cluster, 2, 0)
    follow(cluster, 3, 0)
    append(cluster, 2)
    follow(cluster, 2, 1)
    expect(cluster.partition(1).isrState.maximalIsr).toEqual([1, 2])
    expect(cluster.offsets(1).hw).toBe(0)
    cluster.pass(LAG_MS)
    follow(cluster, 2, 2)
    expect(cluster.offsets(1).hw).toBe(2)
  })

  it('waits for a follower whose joining is under way, even if that lags by now', () => {
    const cluster = leader()
    cluster.controller.change(TOPIC, 0, { isr: [1, 2] })
    cluster.controller.answers = 'silence'
    cluster.pass(5)
    follow(cluster, 3, 0)
    append(cluster, 1)
    cluster.pass(LAG_MS * 2)
    follow(cluster, 2, 1)
    expect(cluster.partition(1).isrState).toMatchObject({ kind: 'pending-expand' })
    expect(cluster.offsets(1)).toEqual({ hw: 0, end: 1 })
  })

  // testHighWatermarkIncreasesWithFencedOrShutdownFollower
  it.each(['fenced', 'shutting down'])('does not wait for a %s follower that is not in the ISR', (state) => {
    const cluster = leader()
    cluster.controller.change(TOPIC, 0, { isr: [1, 2] })
    if (state === 'fenced') cluster.controller.fence(3, true)
    else cluster.controller.controlledShutdown(3)
    cluster.pass(5)
    append(cluster, 2)
    follow(cluster, 3, 2)
    append(cluster, 1)
    follow(cluster, 2, 3)
    expect(cluster.offsets(1)).toEqual({ hw: 3, end: 3 })
    expect(isr(cluster)).toEqual([1, 2])
  })

  it('moves when the ISR shrinks to those who have more', () => {
    const cluster = leader()
    append(cluster, 2)
    follow(cluster, 2, 2)
    expect(cluster.offsets(1).hw).toBe(0)
    cluster.controller.change(TOPIC, 0, { isr: [1, 2] })
    cluster.pass(LAG_MS + 1)
    cluster.controller.change(TOPIC, 0, { isr: [1, 2] })
    cluster.pass(5)
    expect(cluster.offsets(1).hw).toBe(2)
  })

  // testMonotonicOffsetsAfterLeaderChange
  it('is kept from the time as follower, and is not told as the end before the new epoch is replicated', () => {
    const cluster = leader()
    append(cluster, 5)
    follow(cluster, 2, 3)
    follow(cluster, 3, 3)
    expect(cluster.offsets(1)).toEqual({ hw: 3, end: 5 })
    cluster.controller.change(TOPIC, 0, { leader: 2 })
    cluster.pass(5)
    cluster.controller.change(TOPIC, 0, { leader: 1 })
    cluster.pass(5)
    expect(cluster.offsets(1)).toEqual({ hw: 3, end: 5 })
    expect(cluster.partition(1).leaderEpochStartOffset).toBe(5)
    expect(epochsOf(cluster.log(1))).toEqual(['0@0', '2@5'])
  })
})

describe('who joins the ISR', () => {
  function shrunk(options: ClusterOptions = {}): TestCluster {
    const cluster = leader(options)
    cluster.controller.change(TOPIC, 0, { isr: [1, 2] })
    cluster.pass(5)
    append(cluster, 5)
    follow(cluster, 2, 3)
    expect(cluster.offsets(1)).toEqual({ hw: 3, end: 5 })
    return cluster
  }

  // testIsrExpansion
  it('is who has reached the high watermark, and counts at once for the high watermark', () => {
    const cluster = shrunk()
    cluster.controller.answers = 'silence'
    follow(cluster, 3, 2)
    expect(cluster.partition(1).isrState.kind).toBe('committed')
    follow(cluster, 3, 4)
    expect(cluster.partition(1).isrState).toMatchObject({ kind: 'pending-expand', isr: [1, 2], maximalIsr: [1, 2, 3] })
    follow(cluster, 2, 5)
    expect(cluster.offsets(1).hw).toBe(4)
  })

  it('is committed by the controller’s answer, with its partition epoch', () => {
    const cluster = shrunk()
    follow(cluster, 3, 4)
    cluster.pass(10)
    expect(cluster.partition(1).isrState).toMatchObject({ kind: 'committed', isr: [1, 2, 3] })
    expect(cluster.partition(1).partitionEpoch).toBe(2)
    expect(cluster.lines('isr.proposed', 'isr.committed').map((line) => line.replace(/^\S+ /, ''))).toEqual([
      'b1 isr.committed orders-0 leaderEpoch=0 partitionEpoch=1 isr=[1,2]',
      'b1 isr.proposed orders-0 leaderEpoch=0 partitionEpoch=1 from=[1,2] to=[1,2,3] reason=caught-up',
      'b1 isr.committed orders-0 leaderEpoch=0 partitionEpoch=2 isr=[1,2,3]',
    ])
  })

  it('is named with the broker epochs that fetched', () => {
    const cluster = shrunk()
    follow(cluster, 3, 4)
    const { brokers } = cluster.controller.image
    expect(cluster.controller.requests[0]?.topics[0]?.partitions[0]).toMatchObject({
      leaderEpoch: 0,
      partitionEpoch: 1,
      newIsrWithEpochs: [1, 2, 3].map((id) => ({ brokerId: id, brokerEpoch: brokers.get(id)?.epoch })),
    })
  })

  // testFollowerDoesNotJoinISRUntilCaughtUpToOffsetWithinCurrentLeaderEpoch
  it('has reached the start of the leader’s epoch, not only the high watermark', () => {
    const cluster = shrunk()
    cluster.controller.change(TOPIC, 0, { leader: 2 })
    cluster.pass(5)
    cluster.controller.change(TOPIC, 0, { leader: 1 })
    cluster.pass(5)
    follow(cluster, 3, 4)
    expect(cluster.controller.requests).toEqual([])
    follow(cluster, 3, 5)
    expect(isr(cluster)).toEqual([1, 2, 3])
  })

  // testIsrNotExpandedIfReplicaIsFencedOrShutdown
  it.each(['fenced', 'shutting down'])('is not %s', (state) => {
    const cluster = shrunk()
    if (state === 'fenced') cluster.controller.fence(3, true)
    else cluster.controller.controlledShutdown(3)
    cluster.pass(5)
    follow(cluster, 3, 5)
    expect(cluster.partition(1).isrState.kind).toBe('committed')
    expect(cluster.controller.requests).toEqual([])
  })

  // testIsrCanExpandedIfBrokerEpochsMatchWithKraftMetadataCache
  it('fetches with the broker epoch that metadata knows, or with none', () => {
    const cluster = shrunk()
    const epoch = cluster.controller.image.brokers.get(3)?.epoch ?? 0
    follow(cluster, 3, 5, { replicaEpoch: epoch + 1 })
    expect(cluster.partition(1).isrState.kind).toBe('committed')
    expect(cluster.controller.requests).toEqual([])
    follow(cluster, 3, 5, { replicaEpoch: -1 })
    expect(isr(cluster)).toEqual([1, 2, 3])
  })

  // testFenceFollowerFetchWithStaleBrokerEpoch
  it('is not of an earlier life: such a fetch is refused and counts for nothing', () => {
    const cluster = shrunk()
    const epoch = cluster.controller.image.brokers.get(3)?.epoch ?? 0
    expect(follow(cluster, 3, 5, { replicaEpoch: epoch - 1 }).errorCode).toBe(Errors.NOT_LEADER_OR_FOLLOWER)
    expect(cluster.partition(1).replica(3)?.logEndOffset).not.toBe(5)
  })

  // testIsrNotExpandedIfUpdateFails, testAlterIsrInvalidVersion, testAlterIsrNewLeaderElected, testAlterIsrUnknownTopic
  it.each([
    'INVALID_UPDATE_VERSION',
    'NEW_LEADER_ELECTED',
    'UNKNOWN_TOPIC_OR_PARTITION',
    'FENCED_LEADER_EPOCH',
    'INVALID_REQUEST',
  ] as const)('is pending after %s until metadata comes, and is not asked for again', (error) => {
    const cluster = shrunk()
    cluster.controller.answers = { partition: Errors[error] }
    follow(cluster, 3, 5)
    cluster.pass(10)
    expect(cluster.partition(1).isrState.kind).toBe('pending-expand')
    expect(cluster.lines('isr.rejected').at(-1)).toContain(`error=${error}`)
    follow(cluster, 3, 5)
    cluster.pass(500)
    expect(cluster.controller.requests).toHaveLength(1)
    cluster.controller.answers = 'rules'
    cluster.controller.change(TOPIC, 0, { isr: [1, 2, 3] })
    cluster.pass(5)
    expect(cluster.partition(1).isrState).toMatchObject({ kind: 'committed', isr: [1, 2, 3] })
  })

  // testInvalidAlterPartitionRequestsAreNotRetried
  it('is what it was after INELIGIBLE_REPLICA, and is asked for anew with the next fetch', () => {
    const cluster = shrunk()
    cluster.controller.answers = { partition: Errors.INELIGIBLE_REPLICA }
    follow(cluster, 3, 5)
    cluster.pass(10)
    expect(cluster.partition(1).isrState).toMatchObject({ kind: 'committed', isr: [1, 2], maximalIsr: [1, 2] })
    cluster.controller.answers = 'rules'
    follow(cluster, 3, 5)
    cluster.pass(10)
    expect(isr(cluster)).toEqual([1, 2, 3])
  })

  // testAlterIsrUnexpectedError, testPartitionShouldRetryAlterPartitionRequest
  it('is asked for again and again after an unexpected error', () => {
    const cluster = shrunk()
    cluster.controller.answers = { partition: Errors.UNKNOWN_SERVER_ERROR }
    follow(cluster, 3, 5)
    cluster.pass(20)
    expect(cluster.controller.requests.length).toBeGreaterThan(2)
    cluster.controller.answers = 'rules'
    cluster.pass(20)
    expect(isr(cluster)).toEqual([1, 2, 3])
  })

  // testSingleInFlightAlterIsr
  it('is one at a time', () => {
    const cluster = leader()
    cluster.controller.change(TOPIC, 0, { isr: [1] })
    cluster.pass(5)
    cluster.controller.answers = 'silence'
    follow(cluster, 2, 0)
    follow(cluster, 3, 0)
    expect(cluster.controller.requests).toHaveLength(1)
    expect(cluster.partition(1).isrState.maximalIsr).toEqual([1, 2])
  })

  // testAlterIsrLeaderAndIsrRace
  it('is what newer metadata says, whatever an older request is answered', () => {
    const cluster = shrunk()
    cluster.controller.answers = { partition: Errors.INELIGIBLE_REPLICA }
    const call = cluster.fetch(1, 5, { replicaId: 3, leaderEpoch: 0 })
    cluster.pass(1)
    expect(cluster.partition(1).isrState.kind).toBe('pending-expand')
    cluster.controller.change(TOPIC, 0, { isr: [1] })
    cluster.pass(2.5)
    expect(cluster.partition(1).isrState).toMatchObject({ kind: 'committed', isr: [1] })
    cluster.pass(20)
    expect(cluster.partition(1).isrState).toMatchObject({ kind: 'committed', isr: [1] })
    expect(fetched(call).errorCode).toBe(0)
  })
})

describe('who leaves the ISR', () => {
  // testMaybeShrinkIsr
  it('is who has not caught up for replica.lag.time.max.ms, found every half of it', () => {
    const cluster = leader()
    cluster.pass(1_000)
    append(cluster, 1)
    follow(cluster, 2, 1)
    follow(cluster, 3, 0)
    cluster.until(30_000)
    expect(isr(cluster)).toEqual([1, 2, 3])
    // The benefit of the election at 2 ms is not over at 30 s; the next look is at 45 s.
    cluster.until(45_010)
    expect(isr(cluster)).toEqual([1, 2])
    expect(cluster.offsets(1).hw).toBe(1)
    expect(cluster.lines('isr.proposed')[0]).toBe(
      '45.000 b1 isr.proposed orders-0 leaderEpoch=0 partitionEpoch=0 from=[1,2,3] to=[1,2] reason=lag',
    )
  })

  // testShouldNotShrinkIsrIfFollowerCaughtUpToLogEnd
  it('is nobody while all are at the log end, however long they say nothing', () => {
    const cluster = leader()
    append(cluster, 1)
    follow(cluster, 2, 1)
    follow(cluster, 3, 1)
    cluster.until(200_000)
    expect(isr(cluster)).toEqual([1, 2, 3])
  })

  // testShouldNotShrinkIsrIfPreviousFetchIsCaughtUp
  it('is nobody whose previous fetch reached the log end of its time', () => {
    const cluster = leader({ replicas: [[1, 2]] })
    for (let second = 1; second < 100; second++) {
      cluster.until(second * 1_000)
      append(cluster, 1)
      follow(cluster, 2, second - 1)
    }
    expect(cluster.partition(1).replica(2)?.logEndOffset).toBeLessThan(cluster.log(1).logEndOffset)
    expect(isr(cluster)).toEqual([1, 2])
  })

  it('counts for the high watermark until the controller agrees', () => {
    const cluster = leader()
    cluster.controller.answers = 'silence'
    append(cluster, 1)
    follow(cluster, 2, 1)
    cluster.until(45_010)
    expect(cluster.partition(1).isrState).toMatchObject({ kind: 'pending-shrink', maximalIsr: [1, 2, 3] })
    expect(cluster.offsets(1).hw).toBe(0)
  })

  // testIsrNotShrunkIfUpdateFails
  it('stays when the controller refuses', () => {
    const cluster = leader()
    cluster.controller.answers = { partition: Errors.INELIGIBLE_REPLICA }
    append(cluster, 1)
    follow(cluster, 2, 1)
    cluster.until(45_010)
    expect(cluster.partition(1).isrState).toMatchObject({ kind: 'committed', isr: [1, 2, 3] })
    expect(cluster.offsets(1).hw).toBe(0)
  })

  it('is measured by the wall clock, and can be all when it jumps', () => {
    const cluster = leader()
    append(cluster, 1)
    cluster.world.node('b1').clock.jump(40_000)
    cluster.until(15_010)
    expect(isr(cluster)).toEqual([1])
  })
})

describe('a partition’s epochs', () => {
  // testIgnoreLeaderPartitionStateChangeWithOlderPartitionEpoch and its like for followers
  it('never go back', () => {
    const cluster = leader()
    const partition = cluster.partition(1)
    const before = cluster.controller.partition(TOPIC)
    cluster.controller.change(TOPIC, 0, { isr: [1, 2] })
    cluster.pass(5)
    expect(partition.partitionEpoch).toBe(1)
    expect(partition.makeLeader(before)).toBe(false)
    expect(partition.makeFollower({ ...before, leader: 2, leaderEpoch: 9 })).toBe(false)
    expect([partition.partitionEpoch, partition.leaderEpoch, partition.isLeader]).toEqual([1, 0, true])
  })

  // testDoNotResetReplicaStateIfLeaderEpochIsNotBumped, testDoNotUpdateEpochStartOffsetIfLeaderEpochIsNotBumped
  it('leave followers and the epoch’s start alone while the leader epoch is the same', () => {
    const cluster = leader()
    append(cluster, 2)
    follow(cluster, 2, 2)
    cluster.controller.change(TOPIC, 0, { isr: [1, 2] })
    cluster.pass(5)
    expect(cluster.partition(1).replica(2)?.logEndOffset).toBe(2)
    expect(cluster.partition(1).leaderEpochStartOffset).toBe(0)
    cluster.controller.change(TOPIC, 0, { leader: 1 })
    cluster.pass(5)
    // Elected again: the start is new, what followers have is not forgotten.
    expect(cluster.partition(1).leaderEpochStartOffset).toBe(2)
    expect(cluster.partition(1).replica(2)?.logEndOffset).toBe(2)
    expect(epochsOf(cluster.log(1))).toEqual(['0@0', '1@2'])
  })

  // testFollowerShouldNotHaveAnyRemoteReplicaStates
  it('leave a follower without followers', () => {
    const cluster = leader()
    expect(cluster.partition(1).remoteReplicas).toHaveLength(2)
    cluster.controller.change(TOPIC, 0, { leader: 2 })
    cluster.pass(5)
    expect(cluster.partition(1).remoteReplicas).toEqual([])
    expect(cluster.partition(1).isrState.isr).toEqual([])
  })

  // testUpdateAssignmentAndIsr
  it('bring and drop followers of a reassignment', () => {
    const cluster = leader({ brokers: 4, running: [1] })
    append(cluster, 1)
    follow(cluster, 2, 1)
    cluster.controller.change(TOPIC, 0, { replicas: [1, 2, 3, 4], adding: [4], removing: [3] })
    cluster.pass(5)
    expect(cluster.partition(1).remoteReplicas.map((replica) => replica.brokerId)).toEqual([2, 3, 4])
    expect(cluster.partition(1).replica(2)?.logEndOffset).toBe(1)
    expect(cluster.partition(1).isAddingReplica(4)).toBe(true)
    cluster.controller.change(TOPIC, 0, { replicas: [1, 2, 4], isr: [1, 2, 4], adding: [], removing: [] })
    cluster.pass(5)
    expect(cluster.partition(1).remoteReplicas.map((replica) => replica.brokerId)).toEqual([2, 4])
    expect(follow(cluster, 3, 1).errorCode).toBe(Errors.UNKNOWN_LEADER_EPOCH)
  })

  it('let a leader that was elected uncleanly recover at once', () => {
    const cluster = leader()
    cluster.controller.change(TOPIC, 0, { leader: 1, isr: [1], recoveryState: 1 })
    cluster.pass(5)
    expect(cluster.partition(1).isrState).toMatchObject({ leaderRecoveryState: 0 })
  })
})

describe('a follower’s fetch', () => {
  // testLeaderEpochValidationOnLeader
  it('is fenced with an older leader epoch and unknown with a newer one', () => {
    const cluster = leader()
    cluster.controller.change(TOPIC, 0, { leader: 1 })
    cluster.pass(5)
    expect(follow(cluster, 2, 0, { leaderEpoch: 0 }).errorCode).toBe(Errors.FENCED_LEADER_EPOCH)
    expect(follow(cluster, 2, 0, { leaderEpoch: 2 }).errorCode).toBe(Errors.UNKNOWN_LEADER_EPOCH)
    expect(follow(cluster, 2, 0, { leaderEpoch: 1 }).errorCode).toBe(Errors.NONE)
  })

  // testFetchFromUnrecognizedFollower
  it('of a broker that is no replica is told to try again', () => {
    const cluster = leader({ replicas: [[1, 2]] })
    expect(follow(cluster, 3, 0).errorCode).toBe(Errors.UNKNOWN_LEADER_EPOCH)
    expect(follow(cluster, 3, 0, { leaderEpoch: -1 }).errorCode).toBe(Errors.NOT_LEADER_OR_FOLLOWER)
  })

  it('is refused where this broker does not lead, with the leader that it knows', () => {
    const cluster = leader({ replicas: [[2, 1]] })
    expect(follow(cluster, 3, 0)).toMatchObject({
      errorCode: Errors.NOT_LEADER_OR_FOLLOWER,
      currentLeader: { leaderId: 2, leaderEpoch: 0 },
    })
  })

  // testLastFetchedOffsetValidation, by its table
  it.each([
    // epochs of the leader: 0@0, 3@2, 4@4, 7@6, end 11
    [1, 0, { epoch: 0, endOffset: 2 }],
    [1, 2, { epoch: 0, endOffset: 2 }],
    [2, 2, { epoch: 0, endOffset: 2 }],
    [3, 2, undefined],
    [3, 4, undefined],
    [3, 5, { epoch: 3, endOffset: 4 }],
    [5, 4, { epoch: 4, endOffset: 6 }],
    [6, 6, { epoch: 4, endOffset: 6 }],
    [0, 2, undefined],
    [0, 4, { epoch: 0, endOffset: 2 }],
    [7, 11, undefined],
  ])('with last epoch %i at offset %i parts at %o', (lastFetchedEpoch, offset, expected) => {
    const cluster = leader()
    const log = cluster.log(1)
    const advanceTo = (epoch: number): void => {
      while (cluster.controller.partition(TOPIC).leaderEpoch < epoch) cluster.controller.change(TOPIC, 0, { leader: 1 })
      cluster.pass(5)
    }
    append(cluster, 2)
    for (const epoch of [3, 4, 7]) {
      advanceTo(epoch)
      append(cluster, epoch === 7 ? 5 : 2)
    }
    // The epochs in between have no records, as in Kafka’s test.
    log.epochs.truncateFromEnd(0)
    for (const [epoch, start] of [
      [0, 0],
      [3, 2],
      [4, 4],
      [7, 6],
    ] as const)
      log.assignEpochStartOffset(epoch, start)
    const data = follow(cluster, 2, offset, { lastFetchedEpoch })
    expect(data.errorCode).toBe(Errors.NONE)
    expect(data.divergingEpoch).toEqual(expected ?? { epoch: -1, endOffset: -1 })
    if (expected !== undefined) {
      expect(data.records).toEqual([])
      expect(cluster.partition(1).replica(2)?.logEndOffset).toBe(-1)
    }
  })

  it('is out of range with an epoch that the leader has not had, or an offset below its log', () => {
    const cluster = leader()
    append(cluster, 5)
    follow(cluster, 2, 5)
    follow(cluster, 3, 5)
    expect(follow(cluster, 2, 5, { lastFetchedEpoch: 9 }).errorCode).toBe(Errors.OFFSET_OUT_OF_RANGE)
    expect(follow(cluster, 2, 6).errorCode).toBe(Errors.OFFSET_OUT_OF_RANGE)
    cluster.log(1).advanceLogStartOffset(3, 'test')
    expect(follow(cluster, 2, 2, { lastFetchedEpoch: 0 }).errorCode).toBe(Errors.OFFSET_OUT_OF_RANGE)
    expect(follow(cluster, 2, 3, { lastFetchedEpoch: 0 })).toMatchObject({ errorCode: 0, logStartOffset: 3 })
  })

  it('gets records up to the log end', () => {
    const cluster = leader()
    append(cluster, 3)
    const data = follow(cluster, 2, 1)
    expect(data.records?.map((found) => found.baseOffset)).toEqual([1, 2])
    expect(data.highWatermark).toBe(0)
  })
})

describe('listeners of a partition', () => {
  // testPartitionListenerWhenLogOffsetsChanged, testPartitionListenerWhenPartitionIsDeleted
  it('hear of the high watermark, of becoming follower, and of the end', () => {
    const cluster = leader({ replicas: [[1]] })
    const heard: string[] = []
    const partition = cluster.partition(1)
    expect(
      partition.addListener({
        onHighWatermarkUpdated: (offset) => heard.push(`hw ${offset}`),
        onBecomingFollower: () => heard.push('follower'),
        onDeleted: () => heard.push('deleted'),
      }),
    ).toBe(true)
    append(cluster, 2)
    cluster.controller.change(TOPIC, 0, { leader: -1 })
    cluster.pass(5)
    cluster.controller.deleteTopic(TOPIC)
    cluster.pass(5)
    expect(heard).toEqual(['hw 1', 'hw 2', 'follower', 'deleted'])
    expect(partition.addListener({})).toBe(false)
  })
})
