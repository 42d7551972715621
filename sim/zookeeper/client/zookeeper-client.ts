/**
 * The session client: one session over one connection after another.
 *
 *   state        event                                     then
 *   CONNECTING   connected, with a session                 CONNECTED: identities are shown and watches set again, then what waits is sent
 *                connected, but the session has expired    CLOSED: everything fails with SESSIONEXPIRED
 *                refused, or no answer for timeout/servers everything fails with CONNECTIONLOSS; the next server, after up to a second (after
 *                                                          all servers were tried: another second)
 *   CONNECTED    closed, or silent for 2/3 of the timeout  CONNECTING: everything fails with CONNECTIONLOSS
 *                idle for 1/3 of the timeout (10 s)        a ping
 *   any          close                                     CLOSED, once the answer is here or the connection is gone
 *
 * Answers come in the order of requests; another xid than the oldest one's would be a defect. Source: `ClientCnxn`, `StaticHostProvider`.
 */

import { assert } from '../../kernel/errors.js'
import type { Connection, Env, EnvTimer } from '../../kernel/env.js'
import type { NodeName } from '../../kernel/names.js'
import type { Millis } from '../../kernel/units.js'
import {
  NO_SESSION,
  OPEN_ACL,
  type Acl,
  type CreateMode,
  type Data,
  type Done,
  type Failure,
  type MultiDone,
  type Op,
  type SessionClient,
  type SessionId,
  type SessionListener,
  type SessionOptions,
  type SessionState,
  type Stat,
  type ZooKeeperError,
  type Zxid,
} from '../api.js'
import {
  AUTH_XID,
  PING_XID,
  SET_WATCHES_XID,
  ZooKeeperFrame,
  type Answer,
  type ClientMessage,
  type Operation,
} from '../messages.js'
import { WatchRegistry } from './watch-registry.js'

type Reply = ClientMessage & { type: 'reply' }

interface Call {
  readonly operation: Operation
  xid: number
  answered(reply: Reply): void
  failed(failure: Failure): void
}

const RECONNECT_DELAY_MS_MAX = 1_000
const ROUND_DELAY_MS = 1_000
const PING_INTERVAL_MS_MAX = 10_000

export class ZooKeeperClient implements SessionClient {
  readonly #env: Env
  readonly #listener: SessionListener
  readonly #servers: readonly NodeName[]
  readonly #askedTimeoutMs: Millis
  readonly #watches = new WatchRegistry()
  readonly #identities: { user: string; password: string }[] = []
  #state: SessionState = 'CONNECTING'
  #sessionId: SessionId = NO_SESSION
  #timeoutMs: Millis = 0
  #serverIndex = 0
  /** The server at which a round of attempts began. */
  #roundIndex = -1
  #connection: Connection | undefined
  /** Sent and not answered, in order. */
  #inFlight: Call[] = []
  /** Not sent yet. */
  #waiting: Call[] = []
  #nextXid = 1
  #lastZxid: Zxid = 0
  #lastHeardMs: Millis = 0
  #lastSentMs: Millis = 0
  #timer: EnvTimer | undefined
  /** Who waits for the end of the session; undefined while nobody has asked for it. */
  #closing: (() => void)[] | undefined

  constructor(env: Env, options: SessionOptions, listener: SessionListener) {
    assert(options.servers.length > 0, 'zookeeper client: servers')
    this.#env = env
    this.#listener = listener
    this.#servers = env.random.fork('zookeeper-servers').shuffle(options.servers)
    this.#askedTimeoutMs = options.sessionTimeoutMs
    env.soon(() => this.#connect())
  }

  get sessionId(): SessionId {
    return this.#sessionId
  }

  get state(): SessionState {
    return this.#state
  }

  get negotiatedTimeoutMs(): Millis {
    return this.#timeoutMs
  }

  // ── calls ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  create(
    path: string,
    data: Data,
    mode: CreateMode,
    done: Done<{ path: string; stat: Stat }>,
    acl: readonly Acl[] = OPEN_ACL,
  ): void {
    this.#call({ type: 'create', path, data, acl, mode }, done, (answer) => ({
      path: answer.path as string,
      stat: answer.stat as Stat,
    }))
  }

  delete(path: string, version: number, done: Done<unknown>): void {
    this.#call({ type: 'delete', path, version }, done, () => ({}))
  }

  setData(path: string, data: Data, version: number, done: Done<{ stat: Stat }>): void {
    this.#call({ type: 'setData', path, data, version }, done, statOf)
  }

  getData(path: string, watch: boolean, done: Done<{ data: Data; stat: Stat }>): void {
    this.#call({ type: 'getData', path, watch }, done, (answer) => ({ data: answer.data ?? null, ...statOf(answer) }))
  }

  exists(path: string, watch: boolean, done: Done<{ stat: Stat }>): void {
    this.#call({ type: 'exists', path, watch }, done, statOf)
  }

  getChildren(path: string, watch: boolean, done: Done<{ children: readonly string[]; stat: Stat }>): void {
    this.#call({ type: 'getChildren', path, watch }, done, (answer) => ({
      children: [...(answer.children ?? [])].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)),
      ...statOf(answer),
    }))
  }

  sync(path: string, done: Done<{ path: string }>): void {
    this.#call({ type: 'sync', path }, done, () => ({ path }))
  }

  getAcl(path: string, done: Done<{ acl: readonly Acl[]; stat: Stat }>): void {
    this.#call({ type: 'getAcl', path }, done, (answer) => ({ acl: answer.acl ?? [], ...statOf(answer) }))
  }

  setAcl(path: string, acl: readonly Acl[], version: number, done: Done<{ stat: Stat }>): void {
    this.#call({ type: 'setAcl', path, acl, version }, done, statOf)
  }

  multi(ops: readonly Op[], done: MultiDone): void {
    this.#submit({
      operation: { type: 'multi', ops },
      xid: 0,
      answered: ({ error, answer, zxid }) => {
        const results = answer.results ?? []
        const failed = results.find((result) => result.op === 'error' && result.error !== 'OK')
        const code = failed?.op === 'error' ? failed.error : error
        if (code === 'OK') done({ ok: true, zxid, results })
        else done({ ok: false, error: code, zxid, results })
      },
      failed: (failure) => done({ ...failure, results: [] }),
    })
  }

  addAuth(user: string, password: string): void {
    this.#identities.push({ user, password })
    if (this.#state === 'CONNECTED') this.#send(AUTH_XID, { type: 'auth', user, password })
  }

  close(done: () => void): void {
    if (this.#state === 'CLOSED' || this.#state === 'CONNECTING') {
      // Without a connection nobody can be told: the session will expire.
      if (this.#state === 'CONNECTING') this.#end('closed', 'SESSIONEXPIRED')
      this.#env.soon(done)
      return
    }
    if (this.#closing !== undefined) {
      this.#closing.push(done)
      return
    }
    this.#closing = [done]
    this.#submit({
      operation: { type: 'closeSession' },
      xid: 0,
      answered: () => this.#end('closed', 'SESSIONEXPIRED'),
      failed: () => undefined,
    })
  }

  #call<T>(operation: Operation, done: Done<T>, read: (answer: Answer) => T): void {
    this.#submit({
      operation,
      xid: 0,
      answered: ({ error, answer, zxid }) => {
        if (error === 'OK') done({ ok: true, zxid, ...read(answer) })
        else done({ ok: false, error, zxid })
      },
      failed: done,
    })
  }

  #submit(call: Call): void {
    if (this.#state === 'CLOSED') {
      this.#env.soon(() => call.failed({ ok: false, error: 'SESSIONEXPIRED', zxid: 0 }))
      return
    }
    if (this.#state === 'CONNECTED') this.#dispatch(call)
    else this.#waiting.push(call)
  }

  #dispatch(call: Call): void {
    call.xid = this.#nextXid++
    this.#inFlight.push(call)
    this.#send(call.xid, call.operation)
  }

  #send(xid: number, operation: Operation): void {
    this.#lastSentMs = this.#env.clock.monotonicMs()
    this.#connection?.send(new ZooKeeperFrame({ type: 'request', xid, operation }))
  }

  // ── connections ───────────────────────────────────────────────────────────────────────────────────────────────────

  #connect(): void {
    if (this.#state === 'CLOSED') return
    const server = this.#servers[this.#serverIndex] as NodeName
    const connection = this.#env.network.connect(server, {
      onOpen: () => {
        if (this.#connection !== connection) return
        const message = { type: 'connect', lastZxidSeen: this.#lastZxid } as const
        const session = { timeoutMs: this.#askedTimeoutMs, session: this.#sessionId }
        connection.send(new ZooKeeperFrame({ ...message, ...session }))
      },
      onFrame: (frame) => {
        if (this.#connection === connection) this.#received(frame.body as ClientMessage, server)
      },
      onClose: () => {
        if (this.#connection === connection) this.#lost(server)
      },
    })
    this.#connection = connection
    this.#lastHeardMs = this.#env.clock.monotonicMs()
    this.#lastSentMs = this.#lastHeardMs
    this.#watchTime(server)
  }

  #received(message: ClientMessage, server: NodeName): void {
    this.#lastHeardMs = this.#env.clock.monotonicMs()
    switch (message.type) {
      case 'connected':
        if (message.timeoutMs === 0) this.#end('expired', 'SESSIONEXPIRED')
        else this.#established(message.session, message.timeoutMs, server)
        return
      case 'event':
        if (!this.#watches.fired(message.event)) return
        this.#env.emit('zk.client-watch', { session: this.#sessionId, ...message.event })
        if (this.#closing === undefined) this.#listener.onWatch(message.event)
        return
      case 'reply':
        return this.#replied(message)
      case 'connect':
      case 'request':
        return
    }
  }

  #established(session: SessionId, timeoutMs: Millis, server: NodeName): void {
    this.#sessionId = session
    this.#timeoutMs = timeoutMs
    this.#state = 'CONNECTED'
    this.#roundIndex = this.#serverIndex
    this.#watchTime(server)
    this.#env.emit('zk.client', { session, to: 'connected', server })
    for (const identity of this.#identities) this.#send(AUTH_XID, { type: 'auth', ...identity })
    if (!this.#watches.isEmpty) {
      const { data, exist, child } = this.#watches
      const paths = { data: [...data], exist: [...exist], child: [...child] }
      this.#send(SET_WATCHES_XID, { type: 'setWatches', relativeZxid: this.#lastZxid, ...paths })
    }
    for (const call of this.#waiting.splice(0)) this.#dispatch(call)
    this.#listener.onConnected()
  }

  #replied(reply: Reply): void {
    if (reply.xid === PING_XID || reply.xid === AUTH_XID || reply.xid === SET_WATCHES_XID) return
    const call = this.#inFlight.shift()
    assert(call !== undefined && call.xid === reply.xid, 'zookeeper client: xid', { got: reply.xid, want: call?.xid })
    if (reply.zxid > this.#lastZxid) this.#lastZxid = reply.zxid
    this.#watches.answered(call.operation, reply.error)
    call.answered(reply)
  }

  #lost(server: NodeName): void {
    const wasConnected = this.#state === 'CONNECTED'
    if (this.#closing !== undefined) return this.#end('closed', 'SESSIONEXPIRED')
    this.#state = 'CONNECTING'
    this.#leave()
    if (wasConnected) this.#env.emit('zk.client', { session: this.#sessionId, to: 'disconnected', server })
    this.#reconnect()
    this.#failAll('CONNECTIONLOSS')
    if (wasConnected) this.#listener.onDisconnected()
  }

  #reconnect(): void {
    this.#serverIndex = (this.#serverIndex + 1) % this.#servers.length
    let delayMs = this.#env.random.int(RECONNECT_DELAY_MS_MAX)
    if (this.#serverIndex === this.#roundIndex) delayMs += ROUND_DELAY_MS
    else if (this.#roundIndex === -1) this.#roundIndex = 0
    this.#timer = this.#env.after(delayMs, () => this.#connect())
  }

  /** So long may the server be silent. */
  get #silenceMs(): Millis {
    if (this.#state === 'CONNECTED') return Math.floor((this.#timeoutMs * 2) / 3)
    return Math.floor((this.#timeoutMs || this.#askedTimeoutMs) / this.#servers.length)
  }

  /** So long may this client be silent. */
  get #pingMs(): Millis {
    return this.#state === 'CONNECTED' ? Math.min(Math.floor(this.#timeoutMs / 3), PING_INTERVAL_MS_MAX) : Infinity
  }

  /** Gives the server up when it is silent for too long; says something before it would think so of this client. */
  #watchTime(server: NodeName): void {
    this.#timer?.cancel()
    const wakeAt = Math.min(this.#lastHeardMs + this.#silenceMs, this.#lastSentMs + this.#pingMs)
    this.#timer = this.#env.after(Math.max(wakeAt - this.#env.clock.monotonicMs(), 1), () => {
      const now = this.#env.clock.monotonicMs()
      if (now - this.#lastHeardMs >= this.#silenceMs) return this.#lost(server)
      if (now - this.#lastSentMs >= this.#pingMs) this.#send(PING_XID, { type: 'ping' })
      this.#watchTime(server)
    })
  }

  #leave(): void {
    this.#timer?.cancel()
    this.#connection?.close()
    this.#connection = undefined
  }

  #failAll(error: ZooKeeperError): void {
    const calls = [...this.#inFlight.splice(0), ...this.#waiting.splice(0)]
    for (const call of calls) call.failed({ ok: false, error, zxid: 0 })
  }

  #end(how: 'expired' | 'closed', error: ZooKeeperError): void {
    const closing = this.#closing
    this.#closing = undefined
    this.#state = 'CLOSED'
    this.#leave()
    this.#env.emit('zk.client', { session: this.#sessionId, to: how, server: '' })
    this.#failAll(error)
    if (how === 'expired' && closing === undefined) this.#listener.onExpired()
    for (const done of closing ?? []) done()
  }
}

function statOf(answer: Answer): { stat: Stat } {
  return { stat: answer.stat as Stat }
}
