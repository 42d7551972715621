/**
 * Znodes as they will be once everything proposed is applied: what the leader checks the next request against.
 *
 * A proposal adds one record for each znode that it changes; applying the transaction removes them. The newest record of a path counts; without one
 * the tree itself does. Source: `ZooKeeperServer.outstandingChanges`, `PrepRequestProcessor` (`ChangeRecord`).
 */

import { NO_SESSION, type Acl, type SessionId, type Zxid } from '../api.js'
import type { DataTree } from '../tree/data-tree.js'

export interface Change {
  readonly zxid: Zxid
  readonly path: string
  /** False: it will be deleted. */
  readonly exists: boolean
  readonly version: number
  readonly cversion: number
  readonly aversion: number
  readonly ephemeralOwner: SessionId
  readonly childCount: number
  readonly acl: readonly Acl[]
}

export class OutstandingChanges {
  readonly #tree: DataTree
  #changes: Change[] = []
  #applied = 0
  readonly #latest = new Map<string, Change>()

  constructor(tree: DataTree) {
    this.#tree = tree
  }

  /** The znode as it will be; undefined when there will be none. */
  get(path: string): Change | undefined {
    const latest = this.#latest.get(path)
    if (latest !== undefined) return latest.exists ? latest : undefined
    const node = this.#tree.node(path)
    if (node === undefined) return undefined
    const { version, cversion, aversion, ephemeralOwner, children } = node
    const acl = this.#tree.aclOf(node)
    return {
      zxid: -1,
      path,
      exists: true,
      version,
      cversion,
      aversion,
      ephemeralOwner,
      childCount: children.size,
      acl,
    }
  }

  put(change: Change): void {
    this.#changes.push(change)
    this.#latest.set(change.path, change)
  }

  delete(zxid: Zxid, path: string): void {
    const gone = { version: 0, cversion: 0, aversion: 0, ephemeralOwner: NO_SESSION, childCount: 0, acl: [] }
    this.put({ zxid, path, exists: false, ...gone })
  }

  /** Ephemerals that the session will own. */
  ephemeralsOf(session: SessionId): readonly string[] {
    const paths = new Set(this.#tree.ephemeralsOf(session))
    for (let i = this.#applied; i < this.#changes.length; i++) {
      const change = this.#changes[i] as Change
      if (!change.exists) paths.delete(change.path)
      else if (change.ephemeralOwner === session) paths.add(change.path)
    }
    return [...paths]
  }

  /** Takes back what the operations of a failed multi had added. */
  rollBack(zxid: Zxid): void {
    while (this.#changes.length > this.#applied && this.#changes.at(-1)?.zxid === zxid) {
      const { path } = this.#changes.pop() as Change
      const before = this.#changes.findLast((change, i) => i >= this.#applied && change.path === path)
      if (before === undefined) this.#latest.delete(path)
      else this.#latest.set(path, before)
    }
  }

  /** The tree has caught up with `zxid`. */
  applied(zxid: Zxid): void {
    for (; this.#applied < this.#changes.length; this.#applied++) {
      const change = this.#changes[this.#applied] as Change
      if (change.zxid > zxid) break
      if (this.#latest.get(change.path) === change) this.#latest.delete(change.path)
    }
    if (this.#applied * 2 > this.#changes.length) {
      this.#changes = this.#changes.slice(this.#applied)
      this.#applied = 0
    }
  }
}
