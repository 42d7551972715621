/** Who becomes leader: the cases of Kafka 3.9's PartitionLeaderElectionAlgorithmsTest and of Election. */

import { describe, expect, it } from 'vitest'
import { ControllerContext } from '../../../sim/controller/zookeeper/controller-context.js'
import {
  controlledShutdownLeader,
  electLeader,
  type ElectionStrategy,
  offlineLeader,
  preferredLeader,
  reassignLeader,
} from '../../../sim/controller/zookeeper/leader-election.js'
import { assignmentOf } from '../../../sim/controller/zookeeper/replica-assignment.js'
import { topicPartition } from '../../../sim/zookeeper/kafka/znodes.js'

describe('without a live leader', () => {
  it('the first live replica of the ISR leads, in the order of the assignment', () => {
    expect(offlineLeader([2, 4], [2, 4], [4], false)).toBe(4)
    expect(offlineLeader([2, 4], [4, 2], [2, 4], false)).toBe(2)
  })

  it('nobody leads when nobody of the ISR is alive', () =>
    expect(offlineLeader([2, 4], [2], [4], false)).toBeUndefined())

  it('somebody else leads when unclean elections are allowed', () =>
    expect(offlineLeader([2, 4], [2], [4], true)).toBe(4))

  it('an unclean election takes a live member of the ISR all the same', () => {
    expect(offlineLeader([2, 4], [4], [2, 4], true)).toBe(4)
  })
})

describe('at the end of a reassignment', () => {
  it('the first live replica of the target that is in the ISR leads', () => {
    expect(reassignLeader([2, 4], [2, 4], [4])).toBe(4)
  })

  it.each([
    ['none of the target is alive', [2], []],
    ['none of the target is in the ISR', [], [2]],
  ])('nobody leads when %s', (_, isr, live) => expect(reassignLeader([2, 4], isr, live)).toBeUndefined())
})

describe('a preferred leader', () => {
  it('is the first replica', () => expect(preferredLeader([2, 4], [2, 4], [2, 4])).toBe(2))
  it('must be in the ISR', () => expect(preferredLeader([2, 4], [4], [2, 4])).toBeUndefined())
  it('must be alive', () => expect(preferredLeader([2, 4], [2, 4], [4])).toBeUndefined())
})

describe('when brokers shut down', () => {
  it('the first of the ISR that is not shutting down leads', () => {
    expect(controlledShutdownLeader([2, 4], [2, 4], [2, 4], new Set([2]))).toBe(4)
  })

  it.each([
    ['the only member of the ISR is shutting down', [2], [2, 4], [2]],
    ['all members of the ISR are shutting down', [2, 4], [2, 4], [2, 4]],
  ])('nobody leads when %s', (_, isr, live, shuttingDown) => {
    expect(controlledShutdownLeader([2, 4], isr, live, new Set(shuttingDown))).toBeUndefined()
  })
})

describe('the next leadership', () => {
  const partition = topicPartition('t', 0)
  const context = (live: readonly number[], shuttingDown: readonly number[] = []): ControllerContext => {
    const made = new ControllerContext()
    made.addLiveBrokers(live.map((id) => ({ id, epoch: id, host: `b${id}`, port: 9092, rack: null })))
    for (const id of shuttingDown) made.shuttingDownBrokerIds.add(id)
    made.updateAssignment(partition, assignmentOf([1, 2, 3]))
    return made
  }
  const current = { leader: 1, leaderEpoch: 4, isr: [1, 2], leaderRecoveryState: 0, partitionEpoch: 7 } as const
  const elect = (made: ControllerContext, strategy: ElectionStrategy, unclean = false) =>
    electLeader(made, partition, current, strategy, unclean)

  it('takes the next leader epoch, keeps the version it is written over, and drops the dead from the ISR', () => {
    expect(elect(context([2, 3]), { kind: 'offline', allowUnclean: false })).toEqual({
      partition,
      leaderAndIsr: { leader: 2, leaderEpoch: 5, isr: [2], leaderRecoveryState: 0, partitionEpoch: 7 },
      recipients: [2, 3],
    })
  })

  it('is recovering, with an ISR of one, after an unclean election', () => {
    const { leaderAndIsr } = elect(context([3]), { kind: 'offline', allowUnclean: false }, true)
    expect(leaderAndIsr).toEqual({ leader: 3, leaderEpoch: 5, isr: [3], leaderRecoveryState: 1, partitionEpoch: 7 })
  })

  it('leaves those who shut down out of the ISR', () => {
    const { leaderAndIsr, recipients } = elect(context([1, 2, 3], [1]), { kind: 'controlled-shutdown' })
    expect(leaderAndIsr).toMatchObject({ leader: 2, isr: [2] })
    expect(recipients).toEqual([1, 2, 3])
  })

  it('keeps the ISR for a preferred leader, and tells all replicas', () => {
    const { leaderAndIsr, recipients } = elect(context([1, 2]), { kind: 'preferred' })
    expect(leaderAndIsr).toMatchObject({ leader: 1, isr: [1, 2], leaderEpoch: 5 })
    expect(recipients).toEqual([1, 2, 3])
  })
})
