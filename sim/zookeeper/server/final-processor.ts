/**
 * The last step: applies transactions to the tree, answers requests, serves reads.
 *
 * Reads are answered from this server's tree as it is now, which may be behind the leader's; the zxid of an answer says how far it is. A watch is
 * set by the read that asks for it, and fires before any answer that would show the change, on the same connection. Errors that concern
 * the session as a whole (SESSIONMOVED) end the connection. Source: `FinalRequestProcessor`.
 */

import { unreachable } from '../../kernel/errors.js'
import type { Env } from '../../kernel/env.js'
import { PERMS, type ErrorName, type OpResult, type SessionId, type ZooKeeperError } from '../api.js'
import type { Answer, Operation } from '../messages.js'
import type { Database } from '../storage/database.js'
import type { TxnEntry } from '../storage/txn.js'
import { allows, concealed } from '../tree/acl.js'
import type { TxnResult, ZNode } from '../tree/data-tree.js'
import type { Watches } from '../tree/watches.js'
import type { ClientConnection, Request } from './request.js'

export interface FinalListener {
  /** A transaction was applied. */
  applied(entry: TxnEntry): void
  /** A session is over: its connection here, if any, ends. */
  sessionClosed(session: SessionId): void
}

type ReadOperation = Extract<Operation, { watch: boolean }> | Extract<Operation, { type: 'getAcl' }>
type SetWatches = Extract<Operation, { type: 'setWatches' }>
type Outcome = { readonly error: ErrorName; readonly answer: Answer }

const NOTHING: Answer = {}

export class FinalProcessor {
  readonly #env: Env
  readonly #database: Database
  readonly #watches: Watches
  readonly #listener: FinalListener

  constructor(env: Env, database: Database, watches: Watches, listener: FinalListener) {
    this.#env = env
    this.#database = database
    this.#watches = watches
    this.#listener = listener
  }

  process(request: Request): void {
    const { entry, connection } = request
    const result = entry === undefined ? undefined : this.apply(entry)
    if (connection === undefined) {
      if (entry?.txn.type === 'closeSession') this.#listener.sessionClosed(request.session)
      return
    }
    const error = request.error ?? (result?.type === 'error' ? result.error : undefined)
    if (error === 'SESSIONMOVED' || (result?.multi?.some((each) => each.error === 'SESSIONMOVED') ?? false)) {
      connection.close()
      return
    }
    if (request.operation.type === 'createSession') {
      connection.established(true)
      return
    }
    if (error !== undefined) connection.reply(request.cxid, error, NOTHING)
    else if (result !== undefined) connection.reply(request.cxid, result.error, answerOf(result))
    else this.#read(request, connection)
    if (request.operation.type === 'closeSession') this.#listener.sessionClosed(request.session)
  }

  /** Applies a committed transaction. */
  apply(entry: TxnEntry): TxnResult {
    const { header, txn, checksum } = entry
    const { zxid, session } = header
    this.#env.emit('zk.apply', { zxid, checksum, type: txn.type, session })
    const result = this.#database.apply(entry)
    this.#database.remember(entry)
    if (txn.type === 'createSession') {
      this.#env.emit('zk.session', { session, change: 'created', zxid, timeout: txn.timeoutMs })
    } else if (txn.type === 'closeSession')
      this.#env.emit('zk.session', { session, change: 'closed', zxid, timeout: 0 })
    this.#listener.applied(entry)
    return result
  }

  #read(request: Request, connection: ClientConnection): void {
    const { operation, cxid } = request
    switch (operation.type) {
      case 'ping':
        return connection.reply(cxid, 'OK', NOTHING)
      case 'sync':
        return connection.reply(cxid, 'OK', { path: operation.path })
      case 'setWatches':
        this.#setWatches(operation, connection)
        return connection.reply(cxid, 'OK', NOTHING)
      case 'exists':
      case 'getData':
      case 'getChildren':
      case 'getAcl': {
        const { error, answer } = this.#readNode(operation, connection)
        return connection.reply(cxid, error, answer)
      }
      case 'auth':
      case 'create':
      case 'delete':
      case 'check':
      case 'setData':
      case 'setAcl':
      case 'multi':
      case 'createSession':
      case 'closeSession':
        return connection.reply(cxid, 'UNIMPLEMENTED', NOTHING)
      default:
        return unreachable(operation, 'read')
    }
  }

  #readNode(operation: ReadOperation, connection: ClientConnection): Outcome {
    const { path, type } = operation
    const node = this.#database.tree.node(path)
    if (node === undefined) {
      // The watch of an `exists` on what is not there waits for its creation.
      if (type === 'exists' && operation.watch) this.#watch('data', path, connection)
      return { error: 'NONODE', answer: NOTHING }
    }
    const { identities } = connection
    const acl = this.#database.tree.aclOf(node)
    const permission = type === 'getAcl' ? PERMS.READ | PERMS.ADMIN : PERMS.READ
    if (!allows(acl, permission, identities)) return { error: 'NOAUTH', answer: NOTHING }
    if (type !== 'getAcl' && operation.watch) this.#watch(type === 'getChildren' ? 'child' : 'data', path, connection)
    const stat = node.stat()
    switch (type) {
      case 'exists':
        return { error: 'OK', answer: { stat } }
      case 'getData':
        return { error: 'OK', answer: { data: node.data, stat } }
      case 'getChildren':
        return { error: 'OK', answer: { children: [...node.children], stat } }
      case 'getAcl': {
        const isAdmin = allows(acl, PERMS.ADMIN, identities)
        return { error: 'OK', answer: { acl: isAdmin ? acl : concealed(acl), stat } }
      }
      default:
        return unreachable(operation, 'read')
    }
  }

  /** After a reconnect: what changed meanwhile fires at once. */
  #setWatches({ relativeZxid, data, exist, child }: SetWatches, connection: ClientConnection): void {
    const { tree } = this.#database
    const { lastZxid } = this.#database
    for (const path of data) {
      const node = tree.node(path)
      this.#watch('data', path, connection, node !== undefined && node.mzxid <= relativeZxid)
      if (node === undefined) connection.fire('NodeDeleted', path, lastZxid)
      else if (node.mzxid > relativeZxid) connection.fire('NodeDataChanged', path, lastZxid)
    }
    for (const path of exist) {
      const node = tree.node(path)
      this.#watch('data', path, connection, node === undefined)
      if (node !== undefined) connection.fire('NodeCreated', path, lastZxid)
    }
    for (const path of child) {
      const node: ZNode | undefined = tree.node(path)
      this.#watch('child', path, connection, node !== undefined && node.pzxid <= relativeZxid)
      if (node === undefined) connection.fire('NodeDeleted', path, lastZxid)
      else if (node.pzxid > relativeZxid) connection.fire('NodeChildrenChanged', path, lastZxid)
    }
  }

  /** `isKept`: false when it fires at once. */
  #watch(kind: 'data' | 'child', path: string, connection: ClientConnection, isKept = true): void {
    this.#env.emit('zk.watch-set', { session: connection.session, kind, path })
    if (isKept) this.#watches.add(kind, path, connection)
  }
}

function answerOf(result: TxnResult): Answer {
  if (result.multi !== undefined) return { results: result.multi.map(opResultOf) }
  return {
    ...(result.path !== undefined && result.type === 'create' && { path: result.path }),
    ...(result.stat !== undefined && { stat: result.stat }),
  }
}

function opResultOf({ type, error, path, stat }: TxnResult): OpResult {
  if (type === 'error' || error !== 'OK') return { op: 'error', error: error satisfies ZooKeeperError | 'OK' }
  if (type === 'create' && path !== undefined && stat !== undefined) return { op: 'create', path, stat }
  if (type === 'setData' && stat !== undefined) return { op: 'setData', stat }
  return type === 'delete' ? { op: 'delete' } : { op: 'check' }
}
