/**
 * Brings one member a step nearer to its target (`CurrentAssignmentBuilder`).
 *
 *     STABLE                 another target epoch → next
 *     UNREVOKED_PARTITIONS   the member says that it owns none of what it is to give up → next, an epoch further
 *     UNRELEASED_PARTITIONS  → next
 *     UNKNOWN                the member says that it owns nothing → next, in the target's epoch; else it is fenced
 *
 *     next   it has partitions that it is not to have, and has not given them up  → UNREVOKED_PARTITIONS, in its epoch
 *            partitions that it is to have are somebody's still                   → UNRELEASED_PARTITIONS, in the target's epoch
 *            else                                                                 → STABLE, in the target's epoch
 *
 * Invariant: a partition is assigned to a member only when it is nobody's.
 */

import type { Assignment, TopicPartitions } from './assignment.js'
import { intersects, NO_PARTITIONS } from './assignment.js'
import { type ConsumerMember, inEpoch } from './consumer-member.js'

export interface Target {
  readonly epoch: number
  readonly assignment: Assignment
  /** The member epoch of the partition's owner; -1 when it is nobody's. */
  partitionEpoch(topicId: string, partition: number): number
  /** What the member says to own; null when it does not say. */
  readonly owned: readonly TopicPartitions[] | null
}

/** The member after the step, the same when there is none to take; 'fenced' when it must come back without partitions. */
export function reconcile(member: ConsumerMember, target: Target): ConsumerMember | 'fenced' {
  switch (member.state) {
    case 'STABLE':
      return member.memberEpoch === target.epoch ? member : next(member, member.memberEpoch, target)
    case 'UNREVOKED_PARTITIONS':
      if (ownsAny(member.revoking, target)) return member
      return next(member, member.memberEpoch + 1, target)
    case 'UNRELEASED_PARTITIONS':
      return next(member, member.memberEpoch, target)
    case 'UNKNOWN':
      if (target.owned === null || target.owned.length > 0) return 'fenced'
      return next(member, target.epoch, target)
  }
}

/** A member that does not say may own all that it had. */
function ownsAny(partitions: Assignment, { owned }: Target): boolean {
  return owned === null || intersects(partitions, owned)
}

function next(member: ConsumerMember, epoch: number, target: Target): ConsumerMember {
  const assigned = new Map<string, Set<number>>()
  const revoking = new Map<string, Set<number>>()
  const added = new Map<string, Set<number>>()
  let hasUnreleased = false
  for (const topicId of new Set([...target.assignment.keys(), ...member.assigned.keys()])) {
    const wanted = target.assignment.get(topicId) ?? new Set()
    const current = member.assigned.get(topicId) ?? new Set()
    for (const partition of current) put(wanted.has(partition) ? assigned : revoking, topicId, partition)
    for (const partition of wanted) {
      if (current.has(partition)) continue
      if (target.partitionEpoch(topicId, partition) === -1) put(added, topicId, partition)
      else hasUnreleased = true
    }
  }
  if (revoking.size > 0 && ownsAny(revoking, target)) {
    return { ...inEpoch(member, epoch), state: 'UNREVOKED_PARTITIONS', assigned, revoking }
  }
  for (const [topicId, partitions] of added) for (const partition of partitions) put(assigned, topicId, partition)
  return {
    ...inEpoch(member, target.epoch),
    state: hasUnreleased ? 'UNRELEASED_PARTITIONS' : 'STABLE',
    assigned,
    revoking: NO_PARTITIONS,
  }
}

function put(assignment: Map<string, Set<number>>, topicId: string, partition: number): void {
  const partitions = assignment.get(topicId)
  if (partitions === undefined) assignment.set(topicId, new Set([partition]))
  else partitions.add(partition)
}
