import { describe, expect, it } from 'vitest'
import {
  committedIsr,
  judgeAlterPartition,
  pendingExpand,
  pendingShrink,
  type LeaderAndIsr,
} from '../../../sim/broker/isr-state.js'
import { Errors } from '../../../sim/wire/errors.js'

const sent: LeaderAndIsr = { leader: 1, leaderEpoch: 5, isr: [], leaderRecoveryState: 0, partitionEpoch: 8 }

function answer(leaderEpoch: number, partitionEpoch: number) {
  return { ok: true, leader: 1, leaderEpoch, isr: [1], leaderRecoveryState: 0, partitionEpoch } as const
}

describe('the ISR with a change on its way', () => {
  it('counts a member that is to join for the high watermark, but not for min.insync.replicas', () => {
    const state = pendingExpand(committedIsr([1, 2], 0), 3, sent)
    expect(state.isr).toEqual([1, 2])
    expect(state.maximalIsr).toEqual([1, 2, 3])
  })

  it('counts members that are to leave until the controller agrees', () => {
    const state = pendingShrink(committedIsr([1, 2, 3], 0), sent)
    expect(state.isr).toEqual([1, 2, 3])
    expect(state.maximalIsr).toEqual([1, 2, 3])
  })
})

describe('an answer to AlterPartition', () => {
  it('is committed with the same leader epoch and a partition epoch that is not older', () => {
    expect(judgeAlterPartition(answer(5, 9), 5, 8)).toBe('commit')
    expect(judgeAlterPartition(answer(5, 8), 5, 8)).toBe('commit')
  })

  it('is not taken when it is of another leader epoch or an older partition epoch', () => {
    expect(judgeAlterPartition(answer(4, 9), 5, 8)).toBe('wait')
    expect(judgeAlterPartition(answer(5, 7), 5, 8)).toBe('wait')
  })

  // Partition.handleAlterPartitionError
  it.each([
    ['OPERATION_NOT_ATTEMPTED', 'revert'],
    ['INELIGIBLE_REPLICA', 'revert'],
    ['UNKNOWN_TOPIC_OR_PARTITION', 'wait'],
    ['UNKNOWN_TOPIC_ID', 'wait'],
    ['FENCED_LEADER_EPOCH', 'wait'],
    ['INVALID_UPDATE_VERSION', 'wait'],
    ['INVALID_REQUEST', 'wait'],
    ['NEW_LEADER_ELECTED', 'wait'],
    ['NOT_CONTROLLER', 'retry'],
    ['UNKNOWN_SERVER_ERROR', 'retry'],
    ['REQUEST_TIMED_OUT', 'retry'],
  ] as const)('%s means %s', (error, verdict) => {
    expect(judgeAlterPartition({ ok: false, error: Errors[error] }, 5, 8)).toBe(verdict)
  })
})
