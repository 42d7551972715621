/**
 * What an observer knows of sessions with an ensemble: facts as in state-at.ts. What a server of it has is asked of itself.
 *
 *     zk-client/b1     connected to z2, session 0x0100000000000a01
 */

import type { TraceEvent } from '../kernel/events.js'
import type { Fact } from './state-at.js'

export function foldZooKeeper(facts: { set(fact: string, value: Fact): void }, event: TraceEvent): void {
  const { node } = event
  if (event.type === 'zk.client') {
    const { to, server, session } = event.data
    facts.set(`zk-client/${node}`, `${to}${to === 'connected' ? ` to ${server}` : ''}, session ${session}`)
  }
}
