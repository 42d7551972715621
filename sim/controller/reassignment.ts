/**
 * The arithmetic of partition reassignments (KIP-455; Kafka's `PartitionReassignmentReplicas` and
 * `PartitionReassignmentRevert`). Pure.
 *
 * While a reassignment runs, replicas = target + removing. It completes as soon as the ISR without the removing replicas holds
 * every target replica. Cancelling takes the adding replicas out again.
 */

import { assert } from '../kernel/errors.js'
import type { NodeId } from '../kernel/units.js'
import type { PartitionImage } from '../kraft/metadata/image.js'

export interface Reassignment {
  /** Ascending. */
  readonly removing: readonly NodeId[]
  /** Ascending. */
  readonly adding: readonly NodeId[]
  /** The target in its order, then the removing ones. */
  readonly replicas: readonly NodeId[]
}

export function planReassignment(current: readonly NodeId[], target: readonly NodeId[]): Reassignment {
  const removing = difference(current, target)
  return { removing, adding: difference(target, current), replicas: [...target, ...removing] }
}

/** What the partition becomes when this ISR completes the reassignment; undefined when it does not, or none is running. */
export function completeReassignment(
  reassignment: Reassignment,
  isr: readonly NodeId[],
): { readonly replicas: readonly NodeId[]; readonly isr: readonly NodeId[] } | undefined {
  const { removing, adding, replicas } = reassignment
  if (removing.length === 0 && adding.length === 0) return undefined
  const newIsr = isr.filter((replica) => !removing.includes(replica))
  const newReplicas = replicas.filter((replica) => !removing.includes(replica))
  if (removing.length > 0 && (newIsr.length === 0 || newReplicas.length === 0)) return undefined
  if (!newReplicas.every((replica) => newIsr.includes(replica))) return undefined
  return { replicas: newReplicas, isr: newIsr }
}

/**
 * Back to before. When every in-sync replica was an adding one, the first original replica becomes the ISR: `unclean`, and
 * allowed only where unclean elections are.
 */
export function revertReassignment(partition: PartitionImage): {
  readonly replicas: readonly NodeId[]
  readonly isr: readonly NodeId[]
  readonly unclean: boolean
} {
  const adding = partition.addingReplicas
  const replicas = partition.replicas.filter((replica) => !adding.includes(replica))
  const isr = partition.isr.filter((replica) => !adding.includes(replica))
  if (isr.length > 0) return { replicas, isr, unclean: false }
  assert(replicas.length > 0, 'reassignment: every replica is an adding one', { partition })
  return { replicas, isr: [replicas[0] as NodeId], unclean: true }
}

function difference(from: readonly NodeId[], without: readonly NodeId[]): NodeId[] {
  return [...new Set(from)].filter((replica) => !without.includes(replica)).sort((a, b) => a - b)
}
