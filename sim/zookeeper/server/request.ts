/**
 * A request on its way through a server's processors.
 */

import type { Millis } from '../../kernel/units.js'
import type { SessionId, ZooKeeperError, WatchEvent } from '../api.js'
import type { Answer, Operation } from '../messages.js'
import type { TxnEntry } from '../storage/txn.js'
import type { Identities } from '../tree/acl.js'
import type { Watcher } from '../tree/watches.js'

/** Where a session lives, as the leader sees it: the connection to a learner, or LOCAL. */
export type Owner = object

/** Sessions of clients that are connected to the leader itself (`ServerCnxn.me`). */
export const LOCAL: Owner = { name: 'local' }

/** A client's connection, as processors see it. */
export interface ClientConnection extends Watcher {
  readonly session: SessionId
  readonly timeoutMs: Millis
  readonly identities: Identities
  reply(xid: number, error: ZooKeeperError | 'OK', answer: Answer): void
  /** The answer to a connect: the session lives, or it has expired. */
  established(isValid: boolean): void
  notify(event: WatchEvent): void
  /** What was sent still arrives. */
  close(): void
}

export class Request {
  readonly session: SessionId
  /** The client's number of the request; 0 for what concerns the session itself. */
  readonly cxid: number
  readonly operation: Operation
  readonly identities: Identities
  readonly owner: Owner | undefined
  /** Where to answer; undefined for what came from another server, or from the leader itself. */
  readonly connection: ClientConnection | undefined
  /** The transaction that came of it. */
  entry: TxnEntry | undefined
  /** It can't be done: told without a transaction. */
  error: ZooKeeperError | undefined

  constructor(
    session: SessionId,
    cxid: number,
    operation: Operation,
    identities: Identities,
    owner: Owner | undefined,
    connection: ClientConnection | undefined,
  ) {
    this.session = session
    this.cxid = cxid
    this.operation = operation
    this.identities = identities
    this.owner = owner
    this.connection = connection
  }

  /** It is ordered by the leader. */
  get isWrite(): boolean {
    switch (this.operation.type) {
      case 'create':
      case 'delete':
      case 'check':
      case 'setData':
      case 'setAcl':
      case 'multi':
      case 'createSession':
      case 'closeSession':
        return true
      case 'exists':
      case 'getData':
      case 'getChildren':
      case 'getAcl':
      case 'sync':
      case 'setWatches':
      case 'auth':
      case 'ping':
        return false
      default:
        return false
    }
  }
}
