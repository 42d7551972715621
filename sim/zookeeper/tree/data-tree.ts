/**
 * The znodes, and how transactions change them.
 *
 * Applying is deterministic and idempotent, because a fuzzy snapshot already holds some of what is replayed over it: a create of what is
 * there fails and is ignored, except that the parent's cversion and pzxid are brought up to date; a delete of what is not there likewise.
 *
 *   czxid, ctime     by the create                pzxid     by the latest create or delete of a child
 *   mzxid, mtime     by the latest setData        cversion  counts creates of children only
 *   version          as the transaction says      aversion  as the transaction says
 *
 * Source: ZooKeeper's `DataTree` (`processTxn`, `createNode`, `deleteNode`), `DataNode`, `ReferenceCountedACLCache`.
 */

import { assert, unreachable } from '../../kernel/errors.js'
import type { Millis } from '../../kernel/units.js'
import {
  NO_SESSION,
  OPEN_ACL,
  type Acl,
  type Data,
  type ErrorName,
  type SessionId,
  type Stat,
  type WatchEventType,
  type ZooKeeperError,
  type Zxid,
} from '../api.js'
import type { Txn, TxnHeader } from '../storage/txn.js'
import { AclTable } from './acl-table.js'
import { childPath, nameOf, parentOf, ROOT, SPECIAL_PATHS } from './path.js'

export class ZNode {
  data: Data
  aclId: number
  readonly czxid: Zxid
  readonly ctime: Millis
  readonly ephemeralOwner: SessionId
  mzxid: Zxid
  mtime: Millis
  pzxid: Zxid
  version = 0
  cversion = 0
  aversion = 0
  readonly children = new Set<string>()

  constructor(data: Data, aclId: number, czxid: Zxid, ctime: Millis, ephemeralOwner: SessionId) {
    this.data = data
    this.aclId = aclId
    this.czxid = czxid
    this.ctime = ctime
    this.ephemeralOwner = ephemeralOwner
    this.mzxid = czxid
    this.mtime = ctime
    this.pzxid = czxid
  }

  get isEphemeral(): boolean {
    return this.ephemeralOwner !== NO_SESSION
  }

  stat(): Stat {
    const { czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeralOwner, pzxid, data, children } = this
    return {
      czxid,
      mzxid,
      ctime,
      mtime,
      version,
      cversion,
      aversion,
      ephemeralOwner,
      dataLength: data === null ? 0 : data.length,
      numChildren: children.size,
      pzxid,
    }
  }
}

/** What applying a transaction gave. `multi` holds one for each operation. */
export interface TxnResult {
  readonly type: Txn['type']
  readonly error: ErrorName
  readonly path?: string
  readonly stat?: Stat
  readonly multi?: readonly TxnResult[]
}

export type TreeChange = 'created' | 'deleted' | 'data' | 'acl'

/** Sees what committed transactions change; nobody sees a replay. */
export interface TreeObserver {
  changed(change: TreeChange, path: string, zxid: Zxid, node: ZNode): void
  /** `onlyOnce`: whoever was told of it under the one kind of watch is not told again under the other. */
  watch(kinds: 'data' | 'child' | 'both', path: string, type: WatchEventType, zxid: Zxid): void
}

export class DataTree {
  readonly nodes = new Map<string, ZNode>()
  readonly acls = new AclTable()
  readonly ephemerals = new Map<SessionId, Set<string>>()
  /** The last transaction applied, or (epoch, 0) where an epoch began after it. */
  lastProcessedZxid: Zxid = 0
  observer: TreeObserver | undefined

  constructor() {
    for (const path of SPECIAL_PATHS) this.#plant(path)
  }

  node(path: string): ZNode | undefined {
    return this.nodes.get(path)
  }

  aclOf(node: ZNode): readonly Acl[] {
    return this.acls.get(node.aclId)
  }

  ephemeralsOf(session: SessionId): readonly string[] {
    return [...(this.ephemerals.get(session) ?? [])]
  }

  apply(header: TxnHeader, txn: Txn): TxnResult {
    const result = this.#apply(header, txn)
    if (header.zxid > this.lastProcessedZxid) this.lastProcessedZxid = header.zxid
    return result
  }

  /** Puts back a znode of a snapshot. */
  restore(path: string, node: ZNode): void {
    this.nodes.set(path, node)
    const parent = path === ROOT ? undefined : this.nodes.get(parentOf(path) as string)
    parent?.children.add(nameOf(path))
    if (node.isEphemeral) this.#own(node.ephemeralOwner, path)
  }

  #plant(path: string): void {
    this.restore(path, new ZNode(null, this.acls.idOf(OPEN_ACL), 0, 0, NO_SESSION))
  }

  #apply(header: TxnHeader, txn: Txn): TxnResult {
    const { type } = txn
    switch (type) {
      case 'create':
        return this.#create(header, txn)
      case 'delete':
        return { type, path: txn.path, error: this.#delete(txn.path, header.zxid) ?? 'OK' }
      case 'setData': {
        const node = this.nodes.get(txn.path)
        if (node === undefined) return { type, path: txn.path, error: 'NONODE' }
        node.data = txn.data
        node.version = txn.version
        node.mzxid = header.zxid
        node.mtime = header.time
        this.observer?.changed('data', txn.path, header.zxid, node)
        this.observer?.watch('data', txn.path, 'NodeDataChanged', header.zxid)
        return { type, path: txn.path, error: 'OK', stat: node.stat() }
      }
      case 'setAcl': {
        const node = this.nodes.get(txn.path)
        if (node === undefined) return { type, path: txn.path, error: 'NONODE' }
        node.aclId = this.acls.idOf(txn.acl)
        node.aversion = txn.version
        this.observer?.changed('acl', txn.path, header.zxid, node)
        return { type, path: txn.path, error: 'OK', stat: node.stat() }
      }
      case 'closeSession':
        this.#closeSession(header, txn.paths)
        return { type, error: 'OK' }
      case 'error':
        return { type, error: txn.error }
      case 'check':
        return { type, path: txn.path, error: 'OK' }
      case 'createSession':
        return { type, error: 'OK' }
      case 'multi':
        return this.#multi(header, txn.txns)
      default:
        return unreachable(type, 'apply')
    }
  }

  #create(header: TxnHeader, txn: Txn & { type: 'create' }): TxnResult {
    const { type, path } = txn
    const parentPath = parentOf(path)
    const parent = parentPath === undefined ? undefined : this.nodes.get(parentPath)
    if (parent === undefined) return { type, path, error: 'NONODE' }
    // Before anything else, so that numbers of ACLs are given out in the same order when it is replayed over a fuzzy snapshot.
    const aclId = this.acls.idOf(txn.acl)
    // Not whether there is such a znode: while a log is replayed over a fuzzy snapshot, one may be left of a parent that was deleted.
    const there = parent.children.has(nameOf(path))
    if (txn.parentCVersion > parent.cversion) {
      parent.cversion = txn.parentCVersion
      parent.pzxid = header.zxid
    }
    if (there) return { type, path, error: 'NODEEXISTS' }
    const owner = txn.ephemeral ? header.session : NO_SESSION
    const node = new ZNode(txn.data, aclId, header.zxid, header.time, owner)
    this.nodes.set(path, node)
    parent.children.add(nameOf(path))
    if (txn.ephemeral) this.#own(owner, path)
    this.observer?.changed('created', path, header.zxid, node)
    this.observer?.watch('data', path, 'NodeCreated', header.zxid)
    this.observer?.watch('child', parentPath as string, 'NodeChildrenChanged', header.zxid)
    return { type, path, error: 'OK', stat: node.stat() }
  }

  #delete(path: string, zxid: Zxid): ZooKeeperError | undefined {
    const parentPath = parentOf(path)
    const parent = parentPath === undefined ? undefined : this.nodes.get(parentPath)
    if (parent === undefined || parentPath === undefined) return 'NONODE'
    parent.children.delete(nameOf(path))
    if (zxid > parent.pzxid) parent.pzxid = zxid
    const node = this.nodes.get(path)
    if (node === undefined) return 'NONODE'
    this.nodes.delete(path)
    if (node.isEphemeral) this.#disown(node.ephemeralOwner, path)
    this.observer?.changed('deleted', path, zxid, node)
    this.observer?.watch('both', path, 'NodeDeleted', zxid)
    this.observer?.watch('child', parentPath, 'NodeChildrenChanged', zxid)
    return undefined
  }

  /** Deletes what the transaction names, then what else the session owns here. */
  #closeSession(header: TxnHeader, paths: readonly string[]): void {
    const { session, zxid } = header
    const owned = this.ephemeralsOf(session)
    this.ephemerals.delete(session)
    for (const path of paths) this.#delete(path, zxid)
    for (const path of owned) if (!paths.includes(path)) this.#delete(path, zxid)
  }

  /** Where one operation is an error, none takes effect: those before it are answered OK, those after it RUNTIMEINCONSISTENCY. */
  #multi(header: TxnHeader, txns: readonly Txn[]): TxnResult {
    const failed = txns.some((txn) => txn.type === 'error')
    let error: ErrorName = 'OK'
    const multi = txns.map((txn): TxnResult => {
      assert(txn.type !== 'multi', 'multi within multi')
      const result: TxnResult =
        failed && txn.type !== 'error' ? { type: 'error', error: 'OK' } : this.#apply(header, txn)
      if (error === 'OK') error = result.error
      return result
    })
    return { type: 'multi', error, multi }
  }

  #own(session: SessionId, path: string): void {
    const paths = this.ephemerals.get(session)
    if (paths === undefined) this.ephemerals.set(session, new Set([path]))
    else paths.add(path)
  }

  #disown(session: SessionId, path: string): void {
    const paths = this.ephemerals.get(session)
    if (paths?.delete(path) === true && paths.size === 0) this.ephemerals.delete(session)
  }
}

/** Paths from `path` down, parents before children, children in the order of their creation here. */
export function childPaths(path: string, node: ZNode): string[] {
  return [...node.children].map((name) => childPath(path, name))
}
