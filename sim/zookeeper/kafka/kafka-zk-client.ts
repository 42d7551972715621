/**
 * A broker's way to ZooKeeper (`KafkaZkClient` on `ZooKeeperClient` of Kafka 3.9): one session after another, watches for those who want to
 * know, and calls that block until they are answered.
 *
 *   session    CONNECTIONLOSS is tried again as soon as there is a connection; every other error is the caller's
 *              expired: each state handler hears of it first (and may hold it up), then a new session is made, then each hears of that
 *   watches    a handler is registered for a path; the next `exists` or `getData` of that path (for children: `getChildren`) sets the watch.
 *              Watches fire once: whoever was told must read again. They are gone with their session, registrations stay
 *   guarded    a write of the controller is a `multi` that checks the version of /controller_epoch; when the check fails another controller was
 *              elected, and `ControllerMoved` ends whatever the caller was doing
 *
 * Calls are tasks (task.ts). What Kafka throws is thrown here: `KeeperFailure` with ZooKeeper's code, `ControllerMoved`.
 */

import type { Millis } from '../../kernel/units.js'
import {
  ANY_VERSION,
  type CreateMode,
  type Data,
  NO_SESSION,
  type Op,
  type OpResult,
  type SessionClient,
  type SessionId,
  type SessionListener,
  type Stat,
  type WatchEvent,
  type WatchEventType,
  type ZooKeeperError,
  type Zxid,
} from '../api.js'
import { type Task, wait, waitForAll } from './task.js'
import { Path } from './znodes.js'

/** A call that ZooKeeper refused, or whose session is over. */
export class KeeperFailure extends Error {
  readonly code: ZooKeeperError

  constructor(code: ZooKeeperError, what: string) {
    super(`${code}: ${what}`)
    this.name = 'KeeperFailure'
    this.code = code
  }
}

/** Another controller has been elected. */
export class ControllerMoved extends Error {
  constructor(why: string) {
    super(why)
    this.name = 'ControllerMoved'
  }
}

/** Both are outcomes of a blocking call, not defects. */
export function isZooKeeperTrouble(error: unknown): error is KeeperFailure | ControllerMoved {
  return error instanceof KeeperFailure || error instanceof ControllerMoved
}

/** What happens to a session. */
export interface StateHandler {
  /** The session is over; the next one is made once `proceed` is called. */
  beforeInitializingSession?(proceed: () => void): void
  /** Another session was begun; it may not be connected yet. */
  afterInitializingSession?(): void
}

export type Found = { readonly data: Data; readonly stat: Stat }
/** Of one write among several: its new stat where it has one, or ZooKeeper's error. */
export type WriteOutcome =
  | { readonly ok: true; readonly stat: Stat | undefined; readonly zxid: Zxid }
  | { readonly ok: false; readonly error: ZooKeeperError }
export type Read = ({ readonly ok: true } & Found) | { readonly ok: false; readonly error: ZooKeeperError }

type Answer = { readonly ok: boolean; readonly error?: ZooKeeperError }
type Call<R extends Answer> = (session: SessionClient, done: (answer: R) => void) => void

export interface KafkaZkClientOptions {
  /** Makes and begins a session. */
  readonly connect: (listener: SessionListener) => SessionClient
}

export class KafkaZkClient {
  readonly #options: KafkaZkClientOptions
  readonly #changeHandlers = new Map<string, (type: WatchEventType) => void>()
  readonly #childHandlers = new Map<string, () => void>()
  readonly #stateHandlers = new Map<string, StateHandler>()
  #session: SessionClient
  #waiting: (() => void)[] = []
  #isClosed = false
  /** The session that registered the broker: its ephemeral may outlive it (KAFKA-7165). */
  #registeredSession: SessionId = NO_SESSION

  constructor(options: KafkaZkClientOptions) {
    this.#options = options
    this.#session = this.#connect()
  }

  get sessionId(): SessionId {
    return this.#session.sessionId
  }

  get isConnected(): boolean {
    return this.#session.state === 'CONNECTED'
  }

  get sessionTimeoutMs(): Millis {
    return this.#session.negotiatedTimeoutMs
  }

  // ── sessions and watches ──────────────────────────────────────────────────────────────────────────────────────────

  registerStateHandler(name: string, handler: StateHandler): void {
    this.#stateHandlers.set(name, handler)
  }

  unregisterStateHandler(name: string): void {
    this.#stateHandlers.delete(name)
  }

  registerChangeHandler(path: string, handler: (type: WatchEventType) => void): void {
    this.#changeHandlers.set(path, handler)
  }

  unregisterChangeHandler(path: string): void {
    this.#changeHandlers.delete(path)
  }

  registerChildHandler(path: string, handler: () => void): void {
    this.#childHandlers.set(path, handler)
  }

  unregisterChildHandler(path: string): void {
    this.#childHandlers.delete(path)
  }

  /** Registers, and sets the watch at once; whether the znode is there. */
  *registerAndCheckExistence(path: string, handler: (type: WatchEventType) => void): Task<boolean> {
    this.registerChangeHandler(path, handler)
    return yield* this.exists(path)
  }

  /** Ends the session: its ephemerals go. */
  close(done: () => void): void {
    this.#isClosed = true
    this.#stateHandlers.clear()
    this.#changeHandlers.clear()
    this.#childHandlers.clear()
    this.#waiting = []
    this.#session.close(done)
  }

  #connect(): SessionClient {
    const listener: SessionListener = {
      onConnected: () => this.#wake(),
      onDisconnected: () => {},
      onExpired: () => this.#expired(),
      onWatch: (event) => this.#fired(event),
    }
    return this.#options.connect(listener)
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resume of waiting) resume()
  }

  #fired({ type, path }: WatchEvent): void {
    if (type === 'NodeChildrenChanged') this.#childHandlers.get(path)?.()
    else this.#changeHandlers.get(path)?.(type)
  }

  #expired(): void {
    if (this.#isClosed) return
    this.#wake()
    const handlers = [...this.#stateHandlers.values()]
    let missing = 1
    const proceed = (): void => {
      if (--missing > 0 || this.#isClosed) return
      this.#session = this.#connect()
      for (const handler of [...this.#stateHandlers.values()]) handler.afterInitializingSession?.()
    }
    for (const handler of handlers) {
      if (handler.beforeInitializingSession === undefined) continue
      missing++
      handler.beforeInitializingSession(proceed)
    }
    proceed()
  }

  // ── calls ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Sends all at once; those that lose their connection are sent again. */
  *#all<R extends Answer>(calls: readonly Call<R>[]): Task<R[]> {
    const answers: R[] = []
    let remaining = calls.map((call, at) => ({ call, at }))
    while (remaining.length > 0) {
      const round = yield* waitForAll<R>(
        remaining.map(
          ({ call }) =>
            (resume) =>
              call(this.#session, resume),
        ),
      )
      remaining = remaining.filter(({ at }, index) => {
        const answer = round[index] as R
        if (!answer.ok && answer.error === 'CONNECTIONLOSS') return true
        answers[at] = answer
        return false
      })
      if (remaining.length > 0) yield* this.#untilConnected()
    }
    return answers
  }

  *#one<R extends Answer>(call: Call<R>): Task<R> {
    return (yield* this.#all([call]))[0] as R
  }

  *#untilConnected(): Task<void> {
    while (this.#session.state === 'CONNECTING') {
      yield* wait<undefined>((resume) => this.#waiting.push(() => resume(undefined)))
    }
    if (this.#session.state === 'CLOSED') throw new KeeperFailure('SESSIONEXPIRED', 'while waiting for a connection')
  }

  /** Blocks until the first connection, at most as long as `giveUp` waits; false when it gave up. */
  *waitForConnection(giveUp: (resume: () => void) => { cancel(): void }): Task<boolean> {
    while (this.#session.state === 'CONNECTING') {
      const connected = yield* wait<boolean>((resume) => {
        let isOver = false
        const answer = (value: boolean): void => {
          if (isOver) return
          isOver = true
          timer.cancel()
          resume(value)
        }
        const timer = giveUp(() => answer(false))
        this.#waiting.push(() => answer(true))
      })
      if (!connected) return false
    }
    return this.#session.state === 'CONNECTED'
  }

  *exists(path: string): Task<boolean> {
    const watch = this.#changeHandlers.has(path)
    const answer = yield* this.#one<Answer>((session, done) => session.exists(path, watch, done))
    if (answer.ok) return true
    if (answer.error === 'NONODE') return false
    throw new KeeperFailure(answer.error as ZooKeeperError, path)
  }

  /** Undefined: there is no such znode. */
  *getData(path: string): Task<Found | undefined> {
    const [read] = yield* this.getDataOfAll([path])
    if (read?.ok === true) return read
    if (read?.error === 'NONODE') return undefined
    throw new KeeperFailure(read?.error ?? 'SYSTEMERROR', path)
  }

  /** Each answer for itself. */
  *getDataOfAll(paths: readonly string[]): Task<Read[]> {
    return yield* this.#all<Read>(
      paths.map((path) => (session, done) => session.getData(path, this.#changeHandlers.has(path), done)),
    )
  }

  /** Names; none when there is no such znode. `watch` where a handler is registered. */
  *getChildren(path: string, watch = true): Task<readonly string[]> {
    type Children = { ok: true; children: readonly string[] } | { ok: false; error: ZooKeeperError }
    const answer = yield* this.#one<Children>((session, done) =>
      session.getChildren(path, watch && this.#childHandlers.has(path), done),
    )
    if (answer.ok) return answer.children
    if (answer.error === 'NONODE') return []
    throw new KeeperFailure(answer.error, path)
  }

  /** The path with its number. @throws KeeperFailure */
  *create(path: string, data: Data, mode: CreateMode): Task<{ path: string; stat: Stat }> {
    type Created = { ok: true; path: string; stat: Stat } | { ok: false; error: ZooKeeperError }
    const answer = yield* this.#one<Created>((session, done) => session.create(path, data, mode, done))
    if (answer.ok) return answer
    throw new KeeperFailure(answer.error, path)
  }

  /** Persistent, with its parents. @throws KeeperFailure NODEEXISTS unless `mayExist` */
  *createRecursive(path: string, data: Data, mayExist: boolean): Task<void> {
    try {
      yield* this.create(path, data, 'PERSISTENT')
    } catch (error) {
      if (!(error instanceof KeeperFailure)) throw error
      if (error.code === 'NODEEXISTS' && mayExist) return
      if (error.code !== 'NONODE') throw error
      yield* this.createRecursive(path.slice(0, path.lastIndexOf('/')), null, true)
      yield* this.createRecursive(path, data, mayExist)
    }
  }

  /** The new stat. @throws KeeperFailure */
  *setData(path: string, data: Data, version: number): Task<Stat> {
    type Written = { ok: true; stat: Stat } | { ok: false; error: ZooKeeperError }
    const answer = yield* this.#one<Written>((session, done) => session.setData(path, data, version, done))
    if (answer.ok) return answer.stat
    throw new KeeperFailure(answer.error, path)
  }

  /** The new version, or undefined when the znode is gone or has another version (`conditionalUpdatePath`). */
  *conditionalUpdate(path: string, data: Data, version: number): Task<number | undefined> {
    try {
      return (yield* this.setData(path, data, version)).version
    } catch (error) {
      if (error instanceof KeeperFailure && (error.code === 'BADVERSION' || error.code === 'NONODE')) return undefined
      throw error
    }
  }

  /** False when there was none. */
  *delete(path: string, version = ANY_VERSION): Task<boolean> {
    const answer = yield* this.#one<Answer>((session, done) => session.delete(path, version, done))
    if (answer.ok) return true
    if (answer.error === 'NONODE') return false
    throw new KeeperFailure(answer.error as ZooKeeperError, path)
  }

  /** The results of all, or how it failed. */
  *multi(ops: readonly Op[]): Task<MultiOutcome> {
    return yield* this.#one<MultiOutcome>((session, done) => session.multi(ops, done))
  }

  // ── writes of the controller ──────────────────────────────────────────────────────────────────────────────────────

  /** Each write in a transaction of its own that checks /controller_epoch. @throws ControllerMoved */
  *guarded(ops: readonly Op[], epochVersion: number): Task<WriteOutcome[]> {
    const check: Op = { op: 'check', path: Path.controllerEpoch, version: epochVersion }
    const answers = yield* this.#all<MultiOutcome>(ops.map((op) => (session, done) => session.multi([check, op], done)))
    return answers.map((answer) => unwrapped(answer, epochVersion))
  }

  /** One guarded write. @throws ControllerMoved */
  *guardedOne(op: Op, epochVersion: number): Task<WriteOutcome> {
    return (yield* this.guarded([op], epochVersion))[0] as WriteOutcome
  }

  /** Children first. @throws ControllerMoved KeeperFailure */
  *deleteRecursive(path: string, epochVersion: number): Task<void> {
    for (const child of yield* this.getChildren(path)) yield* this.deleteRecursive(`${path}/${child}`, epochVersion)
    const outcome = yield* this.guardedOne({ op: 'delete', path, version: ANY_VERSION }, epochVersion)
    if (!outcome.ok && outcome.error !== 'NONODE') throw new KeeperFailure(outcome.error, path)
  }

  // ── the broker's own znode ────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Creates an ephemeral of this session (`CheckedEphemeral`): one that is left of an earlier session of this process is replaced, one of
   * this session is taken as it is. @throws KeeperFailure NODEEXISTS when it belongs to somebody else
   */
  *createCheckedEphemeral(path: string, data: Data): Task<Stat> {
    for (;;) {
      const created = yield* this.multi([
        { op: 'create', path, data: null, mode: 'EPHEMERAL' },
        { op: 'setData', path, data, version: 0 },
      ])
      if (created.ok) {
        this.#registeredSession = this.sessionId
        const written = created.results[1]
        if (written?.op !== 'setData') throw new KeeperFailure('SYSTEMERROR', path)
        return written.stat
      }
      if (created.error !== 'NODEEXISTS') throw new KeeperFailure(created.error, path)
      const found = yield* this.getData(path)
      // It went away meanwhile: once more.
      if (found === undefined) continue
      const owner = found.stat.ephemeralOwner
      if (owner === this.#registeredSession && this.sessionId !== this.#registeredSession) yield* this.delete(path)
      else if (owner !== this.sessionId) throw new KeeperFailure('NODEEXISTS', path)
      else {
        this.#registeredSession = this.sessionId
        return found.stat
      }
    }
  }
}

export type MultiOutcome =
  | { readonly ok: true; readonly zxid: Zxid; readonly results: readonly OpResult[] }
  | { readonly ok: false; readonly error: ZooKeeperError; readonly zxid: Zxid; readonly results: readonly OpResult[] }

function unwrapped(answer: MultiOutcome, epochVersion: number): WriteOutcome {
  const [check, write] = answer.results
  if (answer.ok) {
    const stat = write?.op === 'create' || write?.op === 'setData' ? write.stat : undefined
    return { ok: true, stat, zxid: answer.zxid }
  }
  if (check === undefined || write === undefined) throw new KeeperFailure(answer.error, 'multi')
  if (check.op === 'error' && check.error === 'BADVERSION') {
    throw new ControllerMoved(`the version of ${Path.controllerEpoch} is no longer ${epochVersion}`)
  }
  if (check.op === 'error' && check.error !== 'OK') throw new KeeperFailure(check.error, Path.controllerEpoch)
  return { ok: false, error: write.op === 'error' && write.error !== 'OK' ? write.error : answer.error }
}
