/** ZooKeeper in memory, without servers: one tree, sessions with ephemerals and one-shot watches, every answer by a later event. */

import type { Env } from '../../../sim/kernel/env.js'
import type {
  CreateMode,
  Data,
  Done,
  ErrorName,
  MultiDone,
  Op,
  OpResult,
  SessionClient,
  SessionListener,
  SessionState,
  Stat,
  WatchEventType,
  ZooKeeperError,
} from '../../../sim/zookeeper/api.js'

interface Znode {
  data: Data
  stat: Stat
  sequence: number
}

/** No story needs so many: somebody goes round in circles. */
const CALLS_MAX = 3_000
const PERSISTENT = '0x0000000000000000'

export class FakeEnsemble {
  readonly znodes = new Map<string, Znode>([['/', znode(null, 0, PERSISTENT)]])
  readonly sessions: FakeSession[] = []
  /** Calls that took effect or were refused, in order: `setData /controller_epoch OK`. */
  readonly calls: string[] = []
  /** Asked before each call: an error that it is to get. */
  fault: (op: string, path: string) => ZooKeeperError | undefined = () => undefined
  /** Called before each write is applied. */
  before: (op: Op) => void = () => {}
  /** Hears of every call when it is answered; `ops` are those of a write. */
  onCall: (node: string, op: string, path: string, outcome: string, ops: readonly Op[]) => void = () => {}
  /** The clock that znodes are stamped with. */
  wallMs: () => number = () => 0
  zxid = 0

  connect(env: Env, listener: SessionListener): FakeSession {
    const session = new FakeSession(this, env, listener, `0x${String(this.sessions.length + 1).padStart(16, '0')}`)
    this.sessions.push(session)
    env.soon(() => session.open())
    return session
  }

  text(path: string): string | undefined {
    const data = this.znodes.get(path)?.data
    return data === undefined || data === null ? undefined : new TextDecoder().decode(data)
  }

  json(path: string): Record<string, unknown> | undefined {
    const text = this.text(path)
    return text === undefined ? undefined : (JSON.parse(text) as Record<string, unknown>)
  }

  /** Writes behind everybody's back, with parents. */
  put(path: string, value: unknown, mode: CreateMode = 'PERSISTENT'): void {
    const data =
      value === null ? null : new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))
    const parent = path.slice(0, path.lastIndexOf('/')) || '/'
    if (!this.znodes.has(parent)) this.put(parent, null)
    if (this.znodes.has(path)) this.apply({ op: 'setData', path, data, version: -1 }, PERSISTENT)
    else this.apply({ op: 'create', path, data, mode }, PERSISTENT)
  }

  remove(path: string): void {
    for (const child of this.children(path)) this.remove(`${path}/${child}`)
    this.apply({ op: 'delete', path, version: -1 }, PERSISTENT)
  }

  children(path: string): string[] {
    const prefix = path === '/' ? '/' : `${path}/`
    return [...this.znodes.keys()]
      .filter((other) => other.startsWith(prefix) && other !== '/' && !other.slice(prefix.length).includes('/'))
      .map((other) => other.slice(prefix.length))
      .sort()
  }

  check(op: Op): ErrorName {
    const node = this.znodes.get(op.path)
    if (op.op === 'create') {
      const parent = op.path.slice(0, op.path.lastIndexOf('/')) || '/'
      if (!this.znodes.has(parent)) return 'NONODE'
      return node !== undefined && !op.mode.endsWith('SEQUENTIAL') ? 'NODEEXISTS' : 'OK'
    }
    if (node === undefined) return 'NONODE'
    if (op.version !== -1 && op.version !== node.stat.version) return 'BADVERSION'
    return op.op === 'delete' && this.children(op.path).length > 0 ? 'NOTEMPTY' : 'OK'
  }

  apply(op: Op, owner: string): OpResult {
    if (op.op === 'check') return { op: 'check' }
    this.zxid++
    const parent = op.path.slice(0, op.path.lastIndexOf('/')) || '/'
    if (op.op === 'create') {
      const above = this.znodes.get(parent) as Znode
      const path = op.mode.endsWith('SEQUENTIAL') ? `${op.path}${String(above.sequence++).padStart(10, '0')}` : op.path
      const made = znode(op.data, this.zxid, op.mode.startsWith('EPHEMERAL') ? owner : PERSISTENT, this.wallMs())
      this.znodes.set(path, made)
      this.#fire('NodeCreated', path)
      this.#fire('NodeChildrenChanged', parent)
      return { op: 'create', path, stat: made.stat }
    }
    if (op.op === 'delete') {
      this.znodes.delete(op.path)
      this.#fire('NodeDeleted', op.path)
      this.#fire('NodeChildrenChanged', parent)
      return { op: 'delete' }
    }
    const node = this.znodes.get(op.path) as Znode
    node.data = op.data
    node.stat = { ...node.stat, version: node.stat.version + 1, mzxid: this.zxid }
    this.#fire('NodeDataChanged', op.path)
    return { op: 'setData', stat: node.stat }
  }

  /** A child came and went: who watches the children is told. */
  touchChildren(path: string): void {
    this.#fire('NodeChildrenChanged', path)
  }

  #fire(type: WatchEventType, path: string): void {
    for (const session of this.sessions) session.fire(type, path)
  }
}

function znode(data: Data, zxid: number, owner: string, now = 0): Znode {
  const times = { ctime: now, mtime: now }
  const rest = { version: 0, cversion: 0, aversion: 0, dataLength: 0, numChildren: 0, pzxid: 0 }
  return { data, sequence: 0, stat: { czxid: zxid, mzxid: zxid, ephemeralOwner: owner, ...times, ...rest } }
}

export class FakeSession implements SessionClient {
  readonly negotiatedTimeoutMs = 18_000
  readonly sessionId: string
  state: SessionState = 'CONNECTING'
  readonly #ensemble: FakeEnsemble
  readonly #env: Env
  readonly #listener: SessionListener
  readonly #dataWatches = new Set<string>()
  readonly #childWatches = new Set<string>()
  #isEnded = false

  constructor(ensemble: FakeEnsemble, env: Env, listener: SessionListener, sessionId: string) {
    this.#ensemble = ensemble
    this.#env = env
    this.#listener = listener
    this.sessionId = sessionId
  }

  open(): void {
    this.state = 'CONNECTED'
    this.#listener.onConnected()
  }

  disconnect(): void {
    this.state = 'CONNECTING'
    this.#listener.onDisconnected()
  }

  /** The ensemble drops the session; the client hears of it when `tell`. */
  expire(tell = true): void {
    this.#end()
    if (tell) this.tellExpired()
  }

  tellExpired(): void {
    this.state = 'CLOSED'
    this.#env.soon(() => this.#listener.onExpired())
  }

  close(done: () => void): void {
    this.#end()
    this.state = 'CLOSED'
    this.#env.soon(done)
  }

  #end(): void {
    this.#isEnded = true
    this.#dataWatches.clear()
    this.#childWatches.clear()
    const own = [...this.#ensemble.znodes].filter(([, { stat }]) => stat.ephemeralOwner === this.sessionId)
    for (const [path] of own) this.#ensemble.remove(path)
  }

  fire(type: WatchEventType, path: string): void {
    const watches = type === 'NodeChildrenChanged' ? this.#childWatches : this.#dataWatches
    if (watches.delete(path)) this.#env.soon(() => this.#listener.onWatch({ type, path }))
  }

  #answer(
    op: string,
    path: string,
    run: () => object | ZooKeeperError,
    done: (result: never) => void,
    ops: readonly Op[] = [],
  ): void {
    if (this.#ensemble.calls.length > CALLS_MAX)
      throw new Error(`endless: ${this.#ensemble.calls.slice(-20).join('\n')}`)
    this.#env.soon(() => {
      const error = this.#isEnded
        ? 'SESSIONEXPIRED'
        : this.state === 'CONNECTED'
          ? this.#ensemble.fault(op, path)
          : 'CONNECTIONLOSS'
      const outcome = error ?? run()
      const { zxid } = this.#ensemble
      if (typeof outcome === 'string') {
        this.#ensemble.calls.push(`${op} ${path} ${outcome}`)
        this.#ensemble.onCall(this.#env.node, op, path, outcome, ops)
        return done({ ok: false, error: outcome, zxid, results: [] } as never)
      }
      this.#ensemble.calls.push(`${op} ${path} OK`)
      const refused = (outcome as { ok?: boolean; error?: string }).ok === false
      this.#ensemble.onCall(
        this.#env.node,
        op,
        path,
        refused ? String((outcome as { error?: string }).error) : 'OK',
        ops,
      )
      done({ ok: true, zxid, ...outcome } as never)
    })
  }

  #write(op: Op, done: (result: never) => void): void {
    this.#answer(
      op.op,
      op.path,
      () => {
        this.#ensemble.before(op)
        const error = this.#ensemble.check(op)
        return error === 'OK' ? this.#ensemble.apply(op, this.sessionId) : error
      },
      done,
      [op],
    )
  }

  create(path: string, data: Data, mode: CreateMode, done: Done<{ path: string; stat: Stat }>): void {
    this.#write({ op: 'create', path, data, mode }, done)
  }

  delete(path: string, version: number, done: Done<unknown>): void {
    this.#write({ op: 'delete', path, version }, done)
  }

  setData(path: string, data: Data, version: number, done: Done<{ stat: Stat }>): void {
    this.#write({ op: 'setData', path, data, version }, done)
  }

  getData(path: string, watch: boolean, done: Done<{ data: Data; stat: Stat }>): void {
    this.#answer(
      'getData',
      path,
      () => {
        const node = this.#ensemble.znodes.get(path)
        if (node === undefined) return 'NONODE'
        if (watch) this.#dataWatches.add(path)
        return { data: node.data, stat: node.stat }
      },
      done,
    )
  }

  exists(path: string, watch: boolean, done: Done<{ stat: Stat }>): void {
    this.#answer(
      'exists',
      path,
      () => {
        if (watch) this.#dataWatches.add(path)
        const node = this.#ensemble.znodes.get(path)
        return node === undefined ? 'NONODE' : { stat: node.stat }
      },
      done,
    )
  }

  getChildren(path: string, watch: boolean, done: Done<{ children: readonly string[]; stat: Stat }>): void {
    this.#answer(
      'getChildren',
      path,
      () => {
        const node = this.#ensemble.znodes.get(path)
        if (node === undefined) return 'NONODE'
        if (watch) this.#childWatches.add(path)
        return { children: this.#ensemble.children(path), stat: node.stat }
      },
      done,
    )
  }

  multi(ops: readonly Op[], done: MultiDone): void {
    const path = ops.map((op) => op.path).join(' ')
    this.#answer(
      'multi',
      path,
      () => {
        for (const op of ops) this.#ensemble.before(op)
        const results: OpResult[] = []
        const made = new Set<string>()
        let failed: ErrorName = 'OK'
        for (const op of ops) {
          // What an earlier operation makes is there for a later one.
          const error = made.has(op.path) ? 'OK' : this.#ensemble.check(op)
          if (op.op === 'create') made.add(op.path)
          if (failed === 'OK') failed = error
          results.push({ op: 'error', error: failed === 'OK' || error !== 'OK' ? error : 'RUNTIMEINCONSISTENCY' })
        }
        if (failed !== 'OK') return { ok: false, error: failed, results }
        return { results: ops.map((op) => this.#ensemble.apply(op, this.sessionId)) }
      },
      done as (result: never) => void,
      ops,
    )
  }

  sync(path: string, done: Done<{ path: string }>): void {
    this.#answer('sync', path, () => ({ path }), done)
  }

  getAcl(): void {}
  setAcl(): void {}
  addAuth(): void {}
}
