/**
 * The ISR as its leader sees it: committed by the controller, or with one change on its way (`PartitionState` of
 * Kafka's Partition.scala; KIP-497, KIP-841, KIP-966).
 *
 *   from             event                                             to
 *   committed        follower caught up and eligible                   pending-expand   AlterPartition sent
 *   committed        follower of the ISR lags                          pending-shrink   AlterPartition sent
 *   any              metadata: same or newer partition epoch           committed        as the metadata says
 *   pending-*        answer, same leader epoch, epoch not older        committed        as the answer says
 *   pending-*        answer of an older leader or partition epoch      pending-*        until metadata comes
 *   pending-*        INELIGIBLE_REPLICA, OPERATION_NOT_ATTEMPTED       committed        what it was: surely not applied
 *   pending-*        FENCED_LEADER_EPOCH, INVALID_UPDATE_VERSION, …    pending-*        until metadata comes
 *   pending-*        any other error                                   pending-*        the same request again
 *   another state    answer to a proposal that is no longer pending    unchanged
 *
 * `isr` is what is committed, and counts for min.insync.replicas. `maximalIsr` is the larger of what was committed and
 * what is asked for, and bounds the high watermark: whichever of the two the controller has in fact, nothing that
 * one of its members lacks is ever called committed. States are immutable; a proposal is recognised by identity.
 */

import type { Epoch, NodeId } from '../kernel/units.js'
import { type ErrorCode, Errors } from '../wire/errors.js'

/** 1 while the leader was elected uncleanly and has not yet recovered (KIP-704). */
export type LeaderRecoveryState = 0 | 1

/** A member with the broker epoch it was last heard with; -1: not checked (KIP-903). */
export interface IsrMember {
  readonly brokerId: NodeId
  readonly brokerEpoch: Epoch
}

/** What a leader asks of the controller (Kafka's `LeaderAndIsr`). */
export interface LeaderAndIsr {
  readonly leader: NodeId
  readonly leaderEpoch: Epoch
  readonly isr: readonly IsrMember[]
  readonly leaderRecoveryState: LeaderRecoveryState
  readonly partitionEpoch: Epoch
}

/** What the controller made of it. */
export type AlterPartitionResult =
  | {
      readonly ok: true
      readonly leader: NodeId
      readonly leaderEpoch: Epoch
      readonly isr: readonly NodeId[]
      readonly leaderRecoveryState: LeaderRecoveryState
      readonly partitionEpoch: Epoch
    }
  | { readonly ok: false; readonly error: ErrorCode }

export interface CommittedIsr {
  readonly kind: 'committed'
  readonly isr: readonly NodeId[]
  readonly maximalIsr: readonly NodeId[]
  readonly leaderRecoveryState: LeaderRecoveryState
}

export interface PendingIsr {
  readonly kind: 'pending-expand' | 'pending-shrink'
  readonly isr: readonly NodeId[]
  readonly maximalIsr: readonly NodeId[]
  readonly sent: LeaderAndIsr
  readonly lastCommitted: CommittedIsr
}

export type IsrState = CommittedIsr | PendingIsr

export const NO_ISR: CommittedIsr = { kind: 'committed', isr: [], maximalIsr: [], leaderRecoveryState: 0 }

export function committedIsr(isr: readonly NodeId[], leaderRecoveryState: LeaderRecoveryState): CommittedIsr {
  return { kind: 'committed', isr, maximalIsr: isr, leaderRecoveryState }
}

/** The new member counts at once: an expansion only makes the high watermark stricter. */
export function pendingExpand(state: CommittedIsr, newMember: NodeId, sent: LeaderAndIsr): PendingIsr {
  return { kind: 'pending-expand', isr: state.isr, maximalIsr: [...state.isr, newMember], sent, lastCommitted: state }
}

/** Those who are to leave count until the controller agrees: the request may fail. */
export function pendingShrink(state: CommittedIsr, sent: LeaderAndIsr): PendingIsr {
  return { kind: 'pending-shrink', isr: state.isr, maximalIsr: state.isr, sent, lastCommitted: state }
}

/** What an answer does to the proposal it answers. */
export type IsrVerdict = 'commit' | 'revert' | 'wait' | 'retry'

/** The table above for an answer; `leaderEpoch` and `partitionEpoch` are the leader's own of now. */
export function judgeAlterPartition(
  result: AlterPartitionResult,
  leaderEpoch: Epoch,
  partitionEpoch: Epoch,
): IsrVerdict {
  if (result.ok) {
    return result.leaderEpoch === leaderEpoch && result.partitionEpoch >= partitionEpoch ? 'commit' : 'wait'
  }
  switch (result.error) {
    case Errors.OPERATION_NOT_ATTEMPTED:
    case Errors.INELIGIBLE_REPLICA:
      return 'revert'
    case Errors.UNKNOWN_TOPIC_OR_PARTITION:
    case Errors.UNKNOWN_TOPIC_ID:
    case Errors.FENCED_LEADER_EPOCH:
    case Errors.INVALID_UPDATE_VERSION:
    case Errors.INVALID_REQUEST:
    case Errors.NEW_LEADER_ELECTED:
      return 'wait'
    default:
      return 'retry'
  }
}
