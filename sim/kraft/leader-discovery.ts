/**
 * What every message of the quorum says about epoch and leader, and what a replica makes of it (Kafka's maybeTransition,
 * maybeHandleCommonResponse and the validations of its request handlers).
 *
 *   message's epoch   with a leader                 without
 *   larger            → follower of that leader     → unattached
 *   ours              → follower, if we have none   nothing
 *   smaller           nothing                       nothing
 *
 * Two leaders of one epoch, or being told that we lead when we do not, cannot happen while votes last: a RaftFault.
 */

import type { Epoch, NodeId } from '../kernel/units.js'
import type { ErrorCode } from '../wire/errors.js'
import { Errors, errorName } from '../wire/errors.js'
import { NO_LEADER_ID } from './quorum-state.js'
import type { RaftCore } from './raft-core.js'
import { RaftFault } from './raft-fault.js'
import type { Blocking, Step } from './raft-thread.js'
import type { ReplicaKey } from './voter-set.js'
import { NO_DIRECTORY_ID } from './voter-set.js'

/** What a response came to: the peer is ready again, or it backs off. */
export type Handled = 'ready' | 'backoff'

/** A request without cluster id passes. */
export function isSameCluster<T>(raft: RaftCore<T>, clusterId: string | null): boolean {
  return clusterId === null || clusterId === raft.clusterId
}

/** For Vote, BeginQuorumEpoch and EndQuorumEpoch: NONE when the request is to be looked at. */
export function validateVoterRequest<T>(raft: RaftCore<T>, remoteId: NodeId, epoch: Epoch): ErrorCode {
  if (epoch < raft.epoch) return Errors.FENCED_LEADER_EPOCH
  return remoteId < 0 ? Errors.INVALID_REQUEST : Errors.NONE
}

/** For what only the leader answers. */
export function validateLeaderRequest<T>(raft: RaftCore<T>, epoch: Epoch): ErrorCode {
  if (epoch < raft.epoch) return Errors.FENCED_LEADER_EPOCH
  if (epoch > raft.epoch) return Errors.UNKNOWN_LEADER_EPOCH
  if (raft.state.name !== 'leader') return Errors.NOT_LEADER_OR_FOLLOWER
  return raft.isShuttingDown ? Errors.BROKER_NOT_AVAILABLE : Errors.NONE
}

/** True when a request meant for `voter` is meant for this replica; an id below 0 means anybody. */
export function isMeantForUs<T>(raft: RaftCore<T>, voter: ReplicaKey): boolean {
  if (voter.id < 0) return true
  if (voter.id !== raft.local.id) return false
  return voter.directoryId === NO_DIRECTORY_ID || voter.directoryId === raft.local.directoryId
}

/** Takes over a larger epoch, or the leader of ours. */
export function followMessage<T>(raft: RaftCore<T>, leaderId: NodeId, epoch: Epoch): Blocking | undefined {
  if (!isConsistent(raft, leaderId, epoch)) {
    throw new RaftFault(
      `leader ${leaderId} at epoch ${epoch} contradicts leader ${raft.leaderId} at epoch ${raft.epoch}`,
    )
  }
  if (epoch > raft.epoch) {
    if (leaderId >= 0) return raft.becomeFollower(epoch, leaderId, 'higher-epoch')
    return raft.becomeUnattached(epoch, NO_LEADER_ID, 'higher-epoch')
  }
  if (leaderId >= 0 && epoch === raft.epoch && raft.leaderId === NO_LEADER_ID) {
    return raft.becomeFollower(epoch, leaderId, 'leader-found')
  }
  return undefined
}

function isConsistent<T>(raft: RaftCore<T>, leaderId: NodeId, epoch: Epoch): boolean {
  if (leaderId === raft.local.id) return raft.state.name === 'leader'
  return epoch !== raft.epoch || leaderId < 0 || raft.leaderId === NO_LEADER_ID || leaderId === raft.leaderId
}

/**
 * The part of a response's handling that all APIs share. Undefined when the API's own part is to follow.
 * @throws RaftFault on INVALID_REQUEST: we never send one
 */
export function handleCommon<T>(
  raft: RaftCore<T>,
  error: ErrorCode,
  leaderId: NodeId,
  epoch: Epoch,
): Step<Handled | undefined> {
  if (epoch < raft.epoch || error === Errors.UNKNOWN_LEADER_EPOCH) return 'ready'
  if (epoch > raft.epoch || error === Errors.FENCED_LEADER_EPOCH || error === Errors.NOT_LEADER_OR_FOLLOWER) {
    const step = followMessage(raft, leaderId, epoch)
    return step === undefined ? 'ready' : afterwards(step, 'ready')
  }
  if (leaderId >= 0 && raft.leaderId === NO_LEADER_ID) {
    // An observer may find its leader and its first records in one response.
    return afterwards(raft.becomeFollower(epoch, leaderId, 'leader-found'), error === Errors.NONE ? undefined : 'ready')
  }
  if (error === Errors.BROKER_NOT_AVAILABLE) return 'backoff'
  if (error === Errors.INVALID_VOTER_KEY) return 'ready'
  if (error === Errors.INVALID_REQUEST) throw new RaftFault(`a request was answered ${errorName(error)}`)
  return undefined
}

function* afterwards(step: Blocking, handled: Handled | undefined): Blocking<Handled | undefined> {
  yield* step
  return handled
}
