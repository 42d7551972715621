/**
 * Who becomes leader (`Election`, `PartitionLeaderElectionAlgorithms`). Pure.
 *
 *   strategy             leader: the first of                                        new ISR
 *   offline              live replicas in the ISR; unclean: live replicas at all     live members; unclean: the leader alone, recovering
 *   reassign             the target's live replicas in the ISR                       as before
 *   preferred            the first replica, when live and in the ISR                 as before
 *   controlled-shutdown  live (or shutting down) replicas in the ISR that            members that are not shutting down
 *                        are not shutting down
 *
 * Replicas are asked in the order of the assignment. `recipients` are told by LeaderAndIsr.
 */

import type { NodeId } from '../../kernel/units.js'
import type { LeaderAndIsr, TopicPartition } from '../../zookeeper/kafka/znodes.js'
import type { ControllerContext } from './controller-context.js'
import { newLeaderAndIsr, newRecoveringLeaderAndIsr, targetReplicas } from './replica-assignment.js'

export type ElectionStrategy =
  /** `allowUnclean`: asked for by an operator, whatever the topic is set to. */
  | { readonly kind: 'offline'; readonly allowUnclean: boolean }
  | { readonly kind: 'reassign' }
  | { readonly kind: 'preferred' }
  | { readonly kind: 'controlled-shutdown' }

export interface ElectionResult {
  readonly partition: TopicPartition
  /** Undefined: nobody may lead. */
  readonly leaderAndIsr: LeaderAndIsr | undefined
  readonly recipients: readonly NodeId[]
}

type Ids = readonly NodeId[]

export function offlineLeader(assignment: Ids, isr: Ids, live: Ids, allowUnclean: boolean): NodeId | undefined {
  const clean = assignment.find((id) => live.includes(id) && isr.includes(id))
  return clean ?? (allowUnclean ? assignment.find((id) => live.includes(id)) : undefined)
}

export function reassignLeader(target: Ids, isr: Ids, live: Ids): NodeId | undefined {
  return target.find((id) => live.includes(id) && isr.includes(id))
}

export function preferredLeader(assignment: Ids, isr: Ids, live: Ids): NodeId | undefined {
  const preferred = assignment[0]
  return preferred !== undefined && live.includes(preferred) && isr.includes(preferred) ? preferred : undefined
}

export function controlledShutdownLeader(
  assignment: Ids,
  isr: Ids,
  live: Ids,
  shuttingDown: ReadonlySet<NodeId>,
): NodeId | undefined {
  return assignment.find((id) => live.includes(id) && isr.includes(id) && !shuttingDown.has(id))
}

/** `isUncleanAllowed` matters to the strategy `offline` only. */
export function electLeader(
  context: ControllerContext,
  partition: TopicPartition,
  current: LeaderAndIsr,
  strategy: ElectionStrategy,
  isUncleanAllowed: boolean,
): ElectionResult {
  const { replicas, isr } = { replicas: context.replicas(partition), isr: current.isr }
  const isOnline = (id: NodeId): boolean => context.isReplicaOnline(id, partition)
  switch (strategy.kind) {
    case 'offline': {
      const live = replicas.filter(isOnline)
      const leader = offlineLeader(replicas, isr, live, isUncleanAllowed)
      if (leader === undefined) return { partition, leaderAndIsr: undefined, recipients: live }
      const leaderAndIsr = isr.includes(leader)
        ? newLeaderAndIsr(current, leader, isr.filter(isOnline))
        : newRecoveringLeaderAndIsr(current, leader, [leader])
      return { partition, leaderAndIsr, recipients: live }
    }
    case 'reassign': {
      const target = targetReplicas(context.assignment(partition))
      const leader = reassignLeader(target, isr, target.filter(isOnline))
      return { partition, leaderAndIsr: ledBy(current, leader, isr), recipients: target }
    }
    case 'preferred': {
      const leader = preferredLeader(replicas, isr, replicas.filter(isOnline))
      return { partition, leaderAndIsr: ledBy(current, leader, isr), recipients: replicas }
    }
    case 'controlled-shutdown': {
      const shuttingDown = context.shuttingDownBrokerIds
      const live = replicas.filter((id) => context.isReplicaOnline(id, partition, true))
      const leader = controlledShutdownLeader(replicas, isr, live, shuttingDown)
      const rest = isr.filter((id) => !shuttingDown.has(id))
      return { partition, leaderAndIsr: ledBy(current, leader, rest), recipients: live }
    }
  }
}

function ledBy(current: LeaderAndIsr, leader: NodeId | undefined, isr: Ids): LeaderAndIsr | undefined {
  return leader === undefined ? undefined : newLeaderAndIsr(current, leader, isr)
}
