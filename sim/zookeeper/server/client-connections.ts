/**
 * The connections of clients to one server: `ServerCnxnFactory` and its `ServerCnxn`s.
 *
 *   opened → (connect) waiting for its session → (createSession committed, or the leader says it lives) established → closed
 *
 * Nothing is read from a connection while it waits. A server that neither leads nor follows closes it at once: without a quorum there is no service,
 * not even for reads. A connection that is silent for its session's timeout is closed; the session itself is the leader's affair.
 * Source: `ZooKeeperServer.processConnectRequest`, `NIOServerCnxn`, `NIOServerCnxnFactory`.
 */

import { assert } from '../../kernel/errors.js'
import type { CloseReason, Connection, ConnectionHandler, Env, EnvTimer, Frame } from '../../kernel/env.js'
import type { Millis } from '../../kernel/units.js'
import { NO_SESSION, type ErrorName, type SessionId, type WatchEvent, type WatchEventType, type Zxid } from '../api.js'
import { AUTH_XID, PING_XID, ZooKeeperFrame, type Answer, type ClientMessage, type Operation } from '../messages.js'
import { digestIdentity, NOBODY, type Identities } from '../tree/acl.js'
import type { ClientConnection } from './request.js'

/** The role that serves clients now. */
export interface ClientService {
  readonly lastZxid: Zxid
  readonly timeouts: { readonly min: Millis; readonly max: Millis }
  openSession(connection: ServerConnection): void
  /** The connection's session is to be continued here. */
  reopenSession(connection: ServerConnection): void
  /** False when the session is over. */
  touch(session: SessionId, timeoutMs: Millis): boolean
  submit(connection: ServerConnection, xid: number, operation: Operation): void
  /** Its watches go. */
  disconnected(connection: ServerConnection): void
}

export class ClientConnections {
  readonly #env: Env
  readonly #service: () => ClientService | undefined
  readonly #connections = new Set<ServerConnection>()
  readonly #bySession = new Map<SessionId, ServerConnection>()

  constructor(env: Env, service: () => ClientService | undefined) {
    this.#env = env
    this.#service = service
  }

  /** Takes a connection over whose first message was a `connect`. */
  accept(connection: Connection): ConnectionHandler {
    const accepted: ServerConnection = new ServerConnection(this.#env, connection, this.#service, {
      registered: () => this.#register(accepted),
      closed: () => this.#forget(accepted),
      takenOver: (session) => this.#bySession.get(session)?.close(),
    })
    this.#connections.add(accepted)
    return accepted
  }

  closeSession(session: SessionId): void {
    this.#bySession.get(session)?.close()
  }

  closeAll(): void {
    for (const connection of this.#connections) connection.close()
  }

  get count(): number {
    return this.#connections.size
  }

  #register(connection: ServerConnection): void {
    this.#bySession.set(connection.session, connection)
  }

  #forget(connection: ServerConnection): void {
    this.#connections.delete(connection)
    if (this.#bySession.get(connection.session) === connection) this.#bySession.delete(connection.session)
  }
}

interface Keeper {
  registered(): void
  closed(): void
  takenOver(session: SessionId): void
}

export class ServerConnection implements ClientConnection, ConnectionHandler {
  readonly #env: Env
  readonly #connection: Connection
  readonly #service: () => ClientService | undefined
  readonly #keeper: Keeper
  session: SessionId = NO_SESSION
  timeoutMs: Millis = 0
  identities: Identities = NOBODY
  #state: 'opened' | 'waiting' | 'established' | 'closed' = 'opened'
  #lastHeardMs: Millis
  #idleTimer: EnvTimer | undefined

  constructor(env: Env, connection: Connection, service: () => ClientService | undefined, keeper: Keeper) {
    this.#env = env
    this.#connection = connection
    this.#service = service
    this.#keeper = keeper
    this.#lastHeardMs = env.clock.monotonicMs()
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  onFrame(frame: Frame): void {
    if (this.#state === 'closed') return
    const message = frame.body as ClientMessage
    this.#lastHeardMs = this.#env.clock.monotonicMs()
    const service = this.#service()
    if (service === undefined) return this.close()
    if (message.type === 'connect') this.#connect(message, service)
    else if (message.type === 'request' && this.#state === 'established') {
      this.#request(message.xid, message.operation, service)
    }
  }

  onClose(_reason: CloseReason): void {
    this.#end()
  }

  // ── what processors do with it ────────────────────────────────────────────────────────────────────────────────────

  established(isValid: boolean): void {
    if (this.#state !== 'waiting') return
    if (!isValid) {
      this.#send({ type: 'connected', timeoutMs: 0, session: NO_SESSION })
      return this.close()
    }
    this.#state = 'established'
    this.#keeper.registered()
    this.#send({ type: 'connected', timeoutMs: this.timeoutMs, session: this.session })
    this.#env.emit('zk.connected', { session: this.session, client: this.#connection.peer, timeout: this.timeoutMs })
    this.#watchIdleness()
  }

  reply(xid: number, error: ErrorName, answer: Answer): void {
    const zxid = this.#service()?.lastZxid ?? 0
    this.#send({ type: 'reply', xid, zxid, error, answer })
  }

  fire(type: WatchEventType, path: string, zxid: Zxid): void {
    if (this.#state === 'closed') return
    this.#env.emit('zk.watch', { session: this.session, client: this.#connection.peer, type, path, zxid })
    this.notify({ type, path })
  }

  notify(event: WatchEvent): void {
    this.#send({ type: 'event', event })
  }

  close(): void {
    if (this.#state === 'closed') return
    this.#connection.close()
    this.#end()
  }

  // ── what the client wants ─────────────────────────────────────────────────────────────────────────────────────────

  #connect(message: ClientMessage & { type: 'connect' }, service: ClientService): void {
    assert(this.#state === 'opened', 'client connection: connect', { state: this.#state })
    // A client must not go back in time: let it find a server that has seen as much.
    if (message.lastZxidSeen > service.lastZxid) return this.close()
    const { min, max } = service.timeouts
    this.timeoutMs = Math.min(Math.max(message.timeoutMs, min), max)
    this.#state = 'waiting'
    if (message.session === NO_SESSION) return service.openSession(this)
    this.#keeper.takenOver(message.session)
    this.session = message.session
    service.reopenSession(this)
  }

  #request(xid: number, operation: Operation, service: ClientService): void {
    // A session that is over: the client will learn it when it connects again.
    if (!service.touch(this.session, this.timeoutMs)) return this.close()
    if (operation.type === 'auth') {
      this.identities = [...this.identities, digestIdentity(operation.user, operation.password)]
      this.#send({ type: 'reply', xid: AUTH_XID, zxid: 0, error: 'OK', answer: {} })
      return
    }
    if (operation.type === 'ping') assert(xid === PING_XID, 'ping: xid')
    service.submit(this, xid, operation)
  }

  #watchIdleness(): void {
    const left = this.#lastHeardMs + this.timeoutMs - this.#env.clock.monotonicMs()
    this.#idleTimer = this.#env.after(Math.max(left, 1), () => {
      if (this.#env.clock.monotonicMs() - this.#lastHeardMs >= this.timeoutMs) this.close()
      else this.#watchIdleness()
    })
  }

  #send(message: ClientMessage): void {
    if (this.#state !== 'closed') this.#connection.send(new ZooKeeperFrame(message))
  }

  #end(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#idleTimer?.cancel()
    this.#keeper.closed()
    this.#service()?.disconnected(this)
  }
}
