/**
 * Which brokers serve: a process that is back from a crash may believe in an old or even a new leadership, but takes no requests
 * before the controller has registered and unfenced this very incarnation.
 */

import type { EventType, TraceEvent } from '../kernel/events.js'
import type { NodeName } from '../kernel/names.js'

export const SERVING_EVENTS: readonly EventType[] = ['node.down', 'broker.state']

export class Serving {
  readonly #serving = new Set<NodeName>()

  /** The process of this broker runs and was unfenced. */
  has(broker: NodeName): boolean {
    return this.#serving.has(broker)
  }

  observe(event: TraceEvent): void {
    if (event.type === 'node.down') this.#serving.delete(event.node)
    else if (event.type === 'broker.state' && event.data.to === 'RUNNING') this.#serving.add(event.node)
  }
}
