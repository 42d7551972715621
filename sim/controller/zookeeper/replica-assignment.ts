/**
 * Assignments and leaderships as values, and how they become the next ones (`ReplicaAssignment`, `LeaderAndIsr` of Kafka 3.9).
 *
 * A reassignment lists its target first, in the wanted order, then what is to be removed; the order of what it replaced is lost (KIP-455).
 * Every change of a leadership but one of the ISR alone takes the next leader epoch.
 */

import type { NodeId } from '../../kernel/units.js'
import {
  INITIAL_LEADER_EPOCH,
  INITIAL_PARTITION_EPOCH,
  type LeaderAndIsr,
  type ReplicaAssignment,
} from '../../zookeeper/kafka/znodes.js'

export const NO_ASSIGNMENT: ReplicaAssignment = { replicas: [], adding: [], removing: [] }

export function assignmentOf(replicas: readonly NodeId[]): ReplicaAssignment {
  return { replicas, adding: [], removing: [] }
}

export function without(list: readonly NodeId[], taken: readonly NodeId[]): NodeId[] {
  return list.filter((id) => !taken.includes(id))
}

export function isBeingReassigned({ adding, removing }: ReplicaAssignment): boolean {
  return adding.length > 0 || removing.length > 0
}

/** What cancelling goes back to. */
export function originReplicas({ replicas, adding }: ReplicaAssignment): NodeId[] {
  return without(replicas, adding)
}

export function targetReplicas({ replicas, removing }: ReplicaAssignment): NodeId[] {
  return without(replicas, removing)
}

export function reassignTo(assignment: ReplicaAssignment, target: readonly NodeId[]): ReplicaAssignment {
  const origin = originReplicas(assignment)
  const replicas = [...new Set([...target, ...origin])]
  return { replicas, adding: without(replicas, origin), removing: without(replicas, target) }
}

export function removeReplica({ replicas, adding, removing }: ReplicaAssignment, id: NodeId): ReplicaAssignment {
  return { replicas: without(replicas, [id]), adding: without(adding, [id]), removing: without(removing, [id]) }
}

export function sameAssignment(a: ReplicaAssignment, b: ReplicaAssignment): boolean {
  return sameIds(a.replicas, b.replicas) && sameIds(a.adding, b.adding) && sameIds(a.removing, b.removing)
}

export function sameIds(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  return a.length === b.length && a.every((id, at) => b[at] === id)
}

// ── leaderships ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** Of a new partition. */
export function firstLeadership(leader: NodeId, isr: readonly NodeId[]): LeaderAndIsr {
  return {
    leader,
    leaderEpoch: INITIAL_LEADER_EPOCH,
    isr,
    leaderRecoveryState: 0,
    partitionEpoch: INITIAL_PARTITION_EPOCH,
  }
}

export function newLeaderAndIsr(before: LeaderAndIsr, leader: NodeId, isr: readonly NodeId[]): LeaderAndIsr {
  return { ...before, leader, leaderEpoch: before.leaderEpoch + 1, isr }
}

/** Elected from outside the ISR. */
export function newRecoveringLeaderAndIsr(before: LeaderAndIsr, leader: NodeId, isr: readonly NodeId[]): LeaderAndIsr {
  return { ...newLeaderAndIsr(before, leader, isr), leaderRecoveryState: 1 }
}

/** The same leader in the next epoch. */
export function newEpoch(before: LeaderAndIsr): LeaderAndIsr {
  return { ...before, leaderEpoch: before.leaderEpoch + 1 }
}

/** `wanted` is what there is already, whatever partition epoch it was asked with (`equalsAllowStalePartitionEpoch`). */
export function isAlready(wanted: LeaderAndIsr, current: LeaderAndIsr): boolean {
  return (
    wanted.leader === current.leader &&
    wanted.leaderEpoch === current.leaderEpoch &&
    sameIds(wanted.isr, current.isr) &&
    wanted.leaderRecoveryState === current.leaderRecoveryState &&
    wanted.partitionEpoch <= current.partitionEpoch
  )
}
