/**
 * From the targets of an argument to nodes, for the kinds of faults.
 */

import type { NodeName } from '../kernel/names.js'
import type { StepContext } from './kind.js'
import { resolveTarget, sortNodes, type Target } from './target.js'

/** The union of all targets in a fixed order, or why they mean nobody. */
export function resolveTargets(
  targets: readonly Target[],
  context: StepContext,
): readonly NodeName[] | { skipped: string } {
  const found = new Set<NodeName>()
  for (const target of targets) {
    const nodes = resolveTarget(target, context)
    if ('nobody' in nodes) return { skipped: nodes.nobody }
    for (const node of nodes) found.add(node)
  }
  return found.size === 0 ? { skipped: 'there is nobody to act on' } : sortNodes([...found])
}

/** Several sides, resolved in order; `rest` in a side means whoever the sides before it did not name. */
export function resolveSides(
  sides: readonly (readonly Target[])[],
  context: StepContext,
): readonly (readonly NodeName[])[] | { skipped: string } {
  const taken = new Set<NodeName>()
  const result: (readonly NodeName[])[] = []
  for (const side of sides) {
    const nodes = resolveTargets(side, { ...context, taken })
    if ('skipped' in nodes) return nodes
    const twice = nodes.find((node) => taken.has(node))
    if (twice !== undefined) return { skipped: `${twice} would stand on two sides` }
    for (const node of nodes) taken.add(node)
    result.push(nodes)
  }
  return result
}
