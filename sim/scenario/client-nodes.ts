/** The nodes of a client: itself, or one for each member of a group. */

import type { NodeName } from '../kernel/names.js'
import type { ClientSpec } from './scenario.js'

/** `g1` for one member; `g1-1`, `g1-2`, … for more. */
export function nodesOfClient(name: string, members: number): readonly NodeName[] {
  return members === 1 ? [name] : Array.from({ length: members }, (_, at) => `${name}-${at + 1}`)
}

export function nodesOfSpec(name: string, spec: ClientSpec): readonly NodeName[] {
  return nodesOfClient(name, 'members' in spec ? spec.members : 1)
}
