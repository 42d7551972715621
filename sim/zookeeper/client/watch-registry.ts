/**
 * The watches that a session has set: what to tell its user of, and what to set again at the next server.
 *
 * A watch is known once the answer to the request that sets it is here: `data` for getData, and exists of what is there; `exist` for exists of
 * what is not; `child` for getChildren. Source: `ZKWatchManager`, `ZooKeeper.WatchRegistration`.
 */

import type { WatchEvent } from '../api.js'
import type { Operation } from '../messages.js'

export class WatchRegistry {
  readonly data = new Set<string>()
  readonly exist = new Set<string>()
  readonly child = new Set<string>()

  get isEmpty(): boolean {
    return this.data.size === 0 && this.exist.size === 0 && this.child.size === 0
  }

  /** The answer to `operation` is here. */
  answered(operation: Operation, error: string): void {
    if (!('watch' in operation) || !operation.watch) return
    const { type, path } = operation
    if (type === 'exists' && error === 'NONODE') this.exist.add(path)
    else if (error === 'OK') (type === 'getChildren' ? this.child : this.data).add(path)
  }

  /** Takes away what the event ends; false when nobody waits for it. */
  fired({ type, path }: WatchEvent): boolean {
    const tables =
      type === 'NodeChildrenChanged'
        ? [this.child]
        : type === 'NodeDeleted'
          ? [this.data, this.exist, this.child]
          : [this.data, this.exist]
    let found = false
    for (const table of tables) if (table.delete(path)) found = true
    return found
  }
}
