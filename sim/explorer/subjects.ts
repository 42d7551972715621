/** What there is to look at in a branch: its nodes and its partitions, in the order in which people list them. */

import { nodeId, type NodeName } from '../kernel/names.js'
import type { Branch } from './branch.js'

/** Controllers, brokers, clients. Brokers that a step adds come with their first event. */
export function nodesOf(branch: Branch): readonly NodeName[] {
  const { brokers, controllers, zookeeper } = branch.recording.run.cluster
  return [...zookeeper, ...controllers, ...brokers, ...branch.recording.run.names.clients]
}

/** Partitions that exist at event `seq`; Kafka's own last. */
export function partitionsOf(branch: Branch, seq: number): readonly string[] {
  const names: string[] = []
  for (const fact of branch.states.at(seq).keys()) {
    const match = /^part\/(.+)\/leader$/.exec(fact)
    if (match?.[1] !== undefined) names.push(match[1])
  }
  return names.sort((a, b) => Number(a.startsWith('__')) - Number(b.startsWith('__')) || byName(a, b))
}

/** `orders-2` before `orders-10`. */
function byName(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}

/** `b2` before `b10`. */
export function byNumber(a: NodeName, b: NodeName): number {
  return (nodeId(a) ?? 0) - (nodeId(b) ?? 0)
}
