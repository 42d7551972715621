/**
 * The ZooKeeper client of the old consumer (`ZkClient` of zkclient 0.10, as Kafka up to 1.1 uses it).
 *
 *   calls      block until there is an answer: CONNECTIONLOSS and SESSIONEXPIRED wait for a connection and try again, in whatever session that
 *              is then. So a call that was begun in one session may take effect in the next one
 *   session    expired: another one is begun at once; state listeners hear of it, then every listener is told that its znode may have changed
 *   watches    fire once; before a listener is told they are set again, by reading
 *   events     listeners run one after the other in a thread of their own. One that blocks holds up all that follow
 *
 * What is refused is thrown as `KeeperFailure`. After `close` every call fails.
 */

import type { Env } from '../../kernel/env.js'
import type { NodeName } from '../../kernel/names.js'
import type { Millis } from '../../kernel/units.js'
import {
  ANY_VERSION,
  type CreateMode,
  type Data,
  type Done,
  type Result,
  type SessionClient,
  type SessionId,
  type Stat,
  type WatchEvent,
  type ZooKeeperError,
} from '../../zookeeper/api.js'
import { ZooKeeperClient } from '../../zookeeper/client/zookeeper-client.js'
import { KeeperFailure } from '../../zookeeper/kafka/kafka-zk-client.js'
import { type Task, TaskQueue, wait } from '../../zookeeper/kafka/task.js'
import { decodeText, encodeText } from '../../zookeeper/kafka/znodes.js'

export interface DataListener {
  changed(): Task<void>
  deleted(): Task<void>
}

export class ZkClient {
  readonly #env: Env
  readonly #servers: readonly NodeName[]
  readonly #sessionTimeoutMs: Millis
  readonly #childListeners = new Map<string, () => Task<void>>()
  readonly #dataListeners = new Map<string, DataListener>()
  readonly #events = new TaskQueue()
  #onNewSession: (() => Task<void>) | undefined
  #session: SessionClient
  #isClosed = false
  #waiting: (() => void)[] = []

  constructor(env: Env, servers: readonly NodeName[], sessionTimeoutMs: Millis) {
    this.#env = env
    this.#servers = servers
    this.#sessionTimeoutMs = sessionTimeoutMs
    this.#session = this.#connect()
  }

  get sessionId(): SessionId {
    return this.#session.sessionId
  }

  // ── sessions and listeners ────────────────────────────────────────────────────────────────────────────────────────

  /** False when there is no connection within that time (`ZkTimeoutException`). */
  *waitUntilConnected(timeoutMs: Millis): Task<boolean> {
    return yield* wait<boolean>((resume) => {
      if (this.#session.state === 'CONNECTED') return resume(true)
      let isOver = false
      const over = (isConnected: boolean): void => {
        if (isOver) return
        isOver = true
        timer.cancel()
        resume(isConnected)
      }
      const timer = this.#env.after(timeoutMs, () => over(false))
      this.#waiting.push(() => over(this.#session.state === 'CONNECTED'))
    })
  }

  subscribeStateChanges(onNewSession: () => Task<void>): void {
    this.#onNewSession = onNewSession
  }

  *subscribeChildChanges(path: string, listener: () => Task<void>): Task<void> {
    this.#childListeners.set(path, listener)
    yield* this.exists(path)
    yield* this.#childrenOf(path)
  }

  *subscribeDataChanges(path: string, listener: DataListener): Task<void> {
    this.#dataListeners.set(path, listener)
    yield* this.exists(path)
  }

  /** Ends the session: its ephemerals go. Who waits for an answer gets none but a failure. */
  close(done: () => void): void {
    this.#isClosed = true
    this.#childListeners.clear()
    this.#dataListeners.clear()
    this.#onNewSession = undefined
    this.#session.close(done)
    this.#wake()
  }

  #connect(): SessionClient {
    return new ZooKeeperClient(
      this.#env,
      { servers: this.#servers, sessionTimeoutMs: this.#sessionTimeoutMs },
      {
        onConnected: () => this.#wake(),
        onDisconnected: () => undefined,
        onExpired: () => this.#expired(),
        onWatch: (event) => this.#fired(event),
      },
    )
  }

  #wake(): void {
    for (const resume of this.#waiting.splice(0)) resume()
  }

  #expired(): void {
    if (this.#isClosed) return
    this.#session = this.#connect()
    this.#put(() => this.#newSession())
    // What happened meanwhile nobody will tell.
    for (const path of this.#childListeners.keys()) this.#put(() => this.#tellChildren(path))
    for (const path of this.#dataListeners.keys()) this.#put(() => this.#tellData(path))
  }

  #fired({ type, path }: WatchEvent): void {
    if (this.#isClosed) return
    if (type !== 'NodeDataChanged' && this.#childListeners.has(path)) this.#put(() => this.#tellChildren(path))
    if (type !== 'NodeChildrenChanged' && this.#dataListeners.has(path)) this.#put(() => this.#tellData(path))
  }

  #put(event: () => Task<void>): void {
    this.#events.put(() => untroubled(event))
  }

  *#newSession(): Task<void> {
    yield* this.#onNewSession?.() ?? nothing()
  }

  *#tellChildren(path: string): Task<void> {
    yield* this.exists(path)
    yield* this.#childrenOf(path)
    yield* this.#childListeners.get(path)?.() ?? nothing()
  }

  *#tellData(path: string): Task<void> {
    yield* this.exists(path)
    const found = yield* this.readData(path)
    const listener = this.#dataListeners.get(path)
    if (listener === undefined) return
    yield* found === undefined ? listener.deleted() : listener.changed()
  }

  // ── calls ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  *exists(path: string): Task<boolean> {
    const watch = this.#isWatched(path)
    const answer = yield* this.#call<{ stat: Stat }>((session, done) => session.exists(path, watch, done))
    return answer.ok || this.#refuse(answer.error, path, 'NONODE')
  }

  /** Undefined: there is no such znode. */
  *readData(path: string): Task<string | undefined> {
    const watch = this.#isWatched(path)
    type Found = { data: Data; stat: Stat }
    const answer = yield* this.#call<Found>((session, done) => session.getData(path, watch, done))
    if (!answer.ok) this.#refuse(answer.error, path, 'NONODE')
    return answer.ok ? decodeText(answer.data ?? new Uint8Array()) : undefined
  }

  /** @throws KeeperFailure NONODE */
  *getChildren(path: string): Task<readonly string[]> {
    const children = yield* this.#childrenOf(path)
    if (children === undefined) throw new KeeperFailure('NONODE', path)
    return children
  }

  *getChildrenParentMayNotExist(path: string): Task<readonly string[]> {
    return (yield* this.#childrenOf(path)) ?? []
  }

  /** @throws KeeperFailure NODEEXISTS, NONODE of the parent */
  *create(path: string, data: string | null, mode: CreateMode): Task<void> {
    const bytes = data === null ? null : encodeText(data)
    const answer = yield* this.#call<unknown>((session, done) => session.create(path, bytes, mode, done))
    if (!answer.ok) throw new KeeperFailure(answer.error, path)
  }

  /** With its parents; it may be there. */
  *createPersistent(path: string): Task<void> {
    try {
      yield* this.create(path, null, 'PERSISTENT')
    } catch (error) {
      if (!(error instanceof KeeperFailure)) throw error
      if (error.code === 'NODEEXISTS') return
      if (error.code !== 'NONODE') throw error
      yield* this.createPersistent(parentOf(path))
      yield* this.createPersistent(path)
    }
  }

  /** @throws KeeperFailure NONODE */
  *writeData(path: string, data: string): Task<void> {
    const bytes = encodeText(data)
    const answer = yield* this.#call<unknown>((session, done) => session.setData(path, bytes, ANY_VERSION, done))
    if (!answer.ok) throw new KeeperFailure(answer.error, path)
  }

  /** False when there was none. */
  *delete(path: string): Task<boolean> {
    const answer = yield* this.#call<unknown>((session, done) => session.delete(path, ANY_VERSION, done))
    return answer.ok || this.#refuse(answer.error, path, 'NONODE')
  }

  /**
   * An ephemeral of this session, with its parents (`ZKCheckedEphemeral`): unlike other calls it is over when the session is.
   * @throws KeeperFailure NODEEXISTS when it is another session's
   */
  *createCheckedEphemeral(path: string, data: string): Task<void> {
    const session = this.#session
    for (let end = path.indexOf('/', 1); end !== -1; end = path.indexOf('/', end + 1)) {
      const parent = path.slice(0, end)
      yield* this.#inSession<unknown>((done) => session.create(parent, new Uint8Array(), 'PERSISTENT', done))
    }
    for (;;) {
      const created = yield* this.#inSession<unknown>((done) =>
        session.create(path, encodeText(data), 'EPHEMERAL', done),
      )
      if (created.ok) return
      if (created.error !== 'NODEEXISTS') throw new KeeperFailure(created.error, path)
      const found = yield* this.#inSession<{ stat: Stat }>((done) => session.getData(path, false, done))
      if (found.ok && found.stat.ephemeralOwner === session.sessionId) return
      if (found.ok) throw new KeeperFailure('NODEEXISTS', path)
      if (found.error !== 'NONODE') throw new KeeperFailure(found.error, path)
    }
  }

  /** Tries again after CONNECTIONLOSS only. */
  *#inSession<T>(call: (done: Done<T>) => void): Task<Result<T>> {
    for (;;) {
      const answer = yield* wait<Result<T>>(call)
      if (answer.ok || answer.error !== 'CONNECTIONLOSS') return answer
    }
  }

  /** `retryUntilConnected`. */
  *#call<T>(call: (session: SessionClient, done: Done<T>) => void): Task<Result<T>> {
    for (;;) {
      if (this.#isClosed) throw new KeeperFailure('SESSIONEXPIRED', 'the client is closed')
      const session = this.#session
      const answer = yield* wait<Result<T>>((resume) => call(session, resume))
      if (answer.ok || (answer.error !== 'CONNECTIONLOSS' && answer.error !== 'SESSIONEXPIRED')) return answer
      while (!this.#isClosed && this.#session.state !== 'CONNECTED') {
        yield* wait<undefined>((resume) => this.#waiting.push(() => resume(undefined)))
      }
    }
  }

  *#childrenOf(path: string): Task<readonly string[] | undefined> {
    const watch = this.#isWatched(path)
    type Children = { children: readonly string[]; stat: Stat }
    const answer = yield* this.#call<Children>((session, done) => session.getChildren(path, watch, done))
    if (!answer.ok) this.#refuse(answer.error, path, 'NONODE')
    return answer.ok ? answer.children : undefined
  }

  #isWatched(path: string): boolean {
    return this.#childListeners.has(path) || this.#dataListeners.has(path)
  }

  /** False for the error that is an answer. */
  #refuse(error: ZooKeeperError, path: string, answer: ZooKeeperError): false {
    if (error !== answer) throw new KeeperFailure(error, path)
    return false
  }
}

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

function* nothing(): Task<void> {}

/** The thread of events logs what its listeners throw, and goes on (`ZkEventThread`). */
function* untroubled(event: () => Task<void>): Task<void> {
  try {
    yield* event()
  } catch (error) {
    if (!isTrouble(error)) throw error
  }
}

/** What the old consumer throws and catches within itself: a call that was refused, or what it makes of answers. */
export class ConsumerTrouble extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ConsumerTrouble'
  }
}

export function isTrouble(error: unknown): error is KeeperFailure | ConsumerTrouble {
  return error instanceof KeeperFailure || error instanceof ConsumerTrouble
}
