/**
 * The leader's first step: checks a write against what will be, and makes the transaction that says what is to be done.
 *
 * Every write becomes a transaction, also one that is refused (`error`), and takes the next zxid. Checks in ZooKeeper's order: session and owner,
 * path, ACL of what must be there, existence, versions, children. Source: `PrepRequestProcessor`.
 *
 *   operation    checked
 *   create       session · path · ACL given · parent exists (NONODE) · CREATE on it · not there (NODEEXISTS) · parent not ephemeral
 *   delete       session · not ZooKeeper's own · parent, DELETE on it · exists · version · no children (NOTEMPTY)
 *   setData      session · path · exists · WRITE · version
 *   setAcl       session · path · ACL given · exists · ADMIN · aversion
 *   check        session · path · exists · READ · version
 *   multi        each in turn against what the ones before it will leave; the first that fails undoes them all
 */

import { unreachable } from '../../kernel/errors.js'
import type { Env } from '../../kernel/env.js'
import {
  NO_SESSION,
  OPEN_ACL,
  PERMS,
  type Acl,
  type CreateMode,
  type Data,
  type Op,
  type SessionId,
  type ZooKeeperError,
  type Zxid,
} from '../api.js'
import { TxnEntry, type Txn } from '../storage/txn.js'
import { allows, resolveAcl, type Identities } from '../tree/acl.js'
import { isValidPath, parentOf, ROOT, SPECIAL_PATHS } from '../tree/path.js'
import type { OutstandingChanges } from './outstanding-changes.js'
import type { Owner, Request } from './request.js'
import type { LeaderSessionTracker } from './session-tracker.js'

type Prepared = Txn | { readonly refused: ZooKeeperError }

export class PrepProcessor {
  readonly #env: Env
  readonly #changes: OutstandingChanges
  readonly #sessions: LeaderSessionTracker
  #zxid: Zxid

  /** Transactions are numbered from `zxid` + 1. */
  constructor(env: Env, changes: OutstandingChanges, sessions: LeaderSessionTracker, zxid: Zxid) {
    this.#env = env
    this.#changes = changes
    this.#sessions = sessions
    this.#zxid = zxid
  }

  /** The zxid of the last transaction made. */
  get zxid(): Zxid {
    return this.#zxid
  }

  /** Gives a write its transaction; a read of a session that may not be served here its error. */
  prepare(request: Request): void {
    if (!request.isWrite) {
      if (request.operation.type !== 'auth') request.error = this.#sessions.check(request.session, request.owner)
      return
    }
    const zxid = ++this.#zxid
    const prepared = this.#prepare(request, zxid)
    const txn: Txn = 'refused' in prepared ? { type: 'error', error: prepared.refused } : prepared
    const { session, cxid } = request
    request.entry = TxnEntry.of({ session, cxid, zxid, time: this.#env.clock.wallMs() }, txn)
  }

  #prepare(request: Request, zxid: Zxid): Prepared {
    const { operation, session } = request
    switch (operation.type) {
      case 'createSession':
        this.#sessions.track(session, operation.timeoutMs)
        this.#sessions.setOwner(session, request.owner)
        return { type: 'createSession', timeoutMs: operation.timeoutMs }
      case 'closeSession': {
        const paths = this.#changes.ephemeralsOf(session)
        for (const path of paths) this.#deleted(path, zxid)
        this.#sessions.setClosing(session)
        return { type: 'closeSession', paths }
      }
      case 'multi':
        return this.#multi(operation.ops, request, zxid)
      case 'create': {
        const { path, data, acl, mode } = operation
        return this.#checked(session, request.owner) ?? this.#create(path, data, acl, mode, request, zxid)
      }
      case 'delete':
      case 'setData':
      case 'setAcl':
      case 'check':
        return this.#checked(session, request.owner) ?? this.#change(operation, request.identities, zxid)
      case 'exists':
      case 'getData':
      case 'getChildren':
      case 'getAcl':
      case 'sync':
      case 'setWatches':
      case 'auth':
      case 'ping':
        return { refused: 'UNIMPLEMENTED' }
      default:
        return unreachable(operation, 'prepare')
    }
  }

  #checked(session: SessionId, owner: Owner | undefined): Prepared | undefined {
    const refused = this.#sessions.check(session, owner)
    return refused === undefined ? undefined : { refused }
  }

  #multi(ops: readonly Op[], request: Request, zxid: Zxid): Prepared {
    let failed = false
    const txns = ops.map((op): Txn => {
      if (failed) return { type: 'error', error: 'RUNTIMEINCONSISTENCY' }
      const prepared = this.#checked(request.session, request.owner) ?? this.#operation(op, request, zxid)
      if (!('refused' in prepared)) return prepared
      failed = true
      this.#changes.rollBack(zxid)
      return { type: 'error', error: prepared.refused }
    })
    return { type: 'multi', txns }
  }

  #operation(op: Op, request: Request, zxid: Zxid): Prepared {
    switch (op.op) {
      case 'create':
        return this.#create(op.path, op.data, op.acl ?? OPEN_ACL, op.mode, request, zxid)
      case 'setData':
        return this.#setData(op.path, op.data, op.version, request.identities, zxid)
      case 'delete':
        return this.#delete(op.path, op.version, request.identities, zxid)
      case 'check':
        return this.#check(op.path, op.version, request.identities)
      default:
        return unreachable(op, 'operation')
    }
  }

  #change(
    operation:
      | { readonly type: 'delete' | 'check'; readonly path: string; readonly version: number }
      | { readonly type: 'setData'; readonly path: string; readonly data: Data; readonly version: number }
      | { readonly type: 'setAcl'; readonly path: string; readonly acl: readonly Acl[]; readonly version: number },
    identities: Identities,
    zxid: Zxid,
  ): Prepared {
    switch (operation.type) {
      case 'delete':
        return this.#delete(operation.path, operation.version, identities, zxid)
      case 'setData':
        return this.#setData(operation.path, operation.data, operation.version, identities, zxid)
      case 'setAcl':
        return this.#setAcl(operation.path, operation.acl, operation.version, identities, zxid)
      case 'check':
        return this.#check(operation.path, operation.version, identities)
      default:
        return unreachable(operation, 'change')
    }
  }

  #create(
    asked: string,
    data: Data,
    acl: readonly Acl[],
    mode: CreateMode,
    { session, identities }: Request,
    zxid: Zxid,
  ): Prepared {
    const parentPath = parentOf(asked)
    if (parentPath === undefined) return { refused: 'BADARGUMENTS' }
    const resolved = resolveAcl(acl, identities)
    if (resolved === undefined) return { refused: 'INVALIDACL' }
    const parent = this.#changes.get(parentPath)
    if (parent === undefined) return { refused: 'NONODE' }
    if (!allows(parent.acl, PERMS.CREATE, identities)) return { refused: 'NOAUTH' }
    const isSequential = mode === 'PERSISTENT_SEQUENTIAL' || mode === 'EPHEMERAL_SEQUENTIAL'
    const path = isSequential ? `${asked}${String(parent.cversion).padStart(10, '0')}` : asked
    if (!isValidPath(path)) return { refused: 'BADARGUMENTS' }
    if (this.#changes.get(path) !== undefined) return { refused: 'NODEEXISTS' }
    if (parent.ephemeralOwner !== NO_SESSION) return { refused: 'NOCHILDRENFOREPHEMERALS' }
    const ephemeral = mode === 'EPHEMERAL' || mode === 'EPHEMERAL_SEQUENTIAL'
    const parentCVersion = parent.cversion + 1
    this.#changes.put({ ...parent, zxid, childCount: parent.childCount + 1, cversion: parentCVersion })
    const ephemeralOwner = ephemeral ? session : NO_SESSION
    const versions = { version: 0, cversion: 0, aversion: 0 }
    this.#changes.put({ zxid, path, exists: true, ...versions, ephemeralOwner, childCount: 0, acl: resolved })
    return { type: 'create', path, data, acl: resolved, ephemeral, parentCVersion }
  }

  #delete(path: string, version: number, identities: Identities, zxid: Zxid): Prepared {
    const parentPath = parentOf(path)
    if (parentPath === undefined || SPECIAL_PATHS.includes(path)) return { refused: 'BADARGUMENTS' }
    const parent = this.#changes.get(parentPath)
    if (parent === undefined) return { refused: 'NONODE' }
    if (!allows(parent.acl, PERMS.DELETE, identities)) return { refused: 'NOAUTH' }
    const node = this.#changes.get(path)
    if (node === undefined) return { refused: 'NONODE' }
    if (!fits(node.version, version)) return { refused: 'BADVERSION' }
    if (node.childCount > 0) return { refused: 'NOTEMPTY' }
    this.#deleted(path, zxid)
    return { type: 'delete', path }
  }

  #setData(path: string, data: Data, version: number, identities: Identities, zxid: Zxid): Prepared {
    if (!isValidPath(path)) return { refused: 'BADARGUMENTS' }
    const node = this.#changes.get(path)
    if (node === undefined) return { refused: 'NONODE' }
    if (!allows(node.acl, PERMS.WRITE, identities)) return { refused: 'NOAUTH' }
    if (!fits(node.version, version)) return { refused: 'BADVERSION' }
    this.#changes.put({ ...node, zxid, version: node.version + 1 })
    return { type: 'setData', path, data, version: node.version + 1 }
  }

  #setAcl(path: string, acl: readonly Acl[], version: number, identities: Identities, zxid: Zxid): Prepared {
    if (!isValidPath(path)) return { refused: 'BADARGUMENTS' }
    const resolved = resolveAcl(acl, identities)
    if (resolved === undefined) return { refused: 'INVALIDACL' }
    const node = this.#changes.get(path)
    if (node === undefined) return { refused: 'NONODE' }
    if (!allows(node.acl, PERMS.ADMIN, identities)) return { refused: 'NOAUTH' }
    if (!fits(node.aversion, version)) return { refused: 'BADVERSION' }
    this.#changes.put({ ...node, zxid, aversion: node.aversion + 1, acl: resolved })
    return { type: 'setAcl', path, acl: resolved, version: node.aversion + 1 }
  }

  #check(path: string, version: number, identities: Identities): Prepared {
    if (!isValidPath(path)) return { refused: 'BADARGUMENTS' }
    const node = this.#changes.get(path)
    if (node === undefined) return { refused: 'NONODE' }
    if (!allows(node.acl, PERMS.READ, identities)) return { refused: 'NOAUTH' }
    if (!fits(node.version, version)) return { refused: 'BADVERSION' }
    return { type: 'check', path, version: node.version + 1 }
  }

  #deleted(path: string, zxid: Zxid): void {
    const parent = this.#changes.get(parentOf(path) ?? ROOT)
    if (parent !== undefined) this.#changes.put({ ...parent, zxid, childCount: parent.childCount - 1 })
    this.#changes.delete(zxid, path)
  }
}

function fits(version: number, expected: number): boolean {
  return expected === -1 || expected === version
}
