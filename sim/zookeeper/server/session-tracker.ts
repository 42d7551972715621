/**
 * Sessions: the leader's knowledge of who lives, and a learner's list of who has been heard of.
 *
 * The leader puts each session into the bucket of the tick in which it expires: `(now + timeout) / tickTime`, rounded up to the next tick. A touch
 * moves it to a later bucket; a bucket whose tick has come is emptied, and its sessions are closed by a transaction. So a session
 * lives for its timeout at least, and for one tick more at most. A new leader gives every session its whole timeout anew. Learners report whom they
 * have heard of with every ping. Source: `SessionTrackerImpl`, `ExpiryQueue`, `LearnerSessionTracker`.
 *
 *   state of a session at the leader: tracked → closing (expired, or asked to close) → gone (its closeSession is applied)
 */

import type { Env, EnvTimer } from '../../kernel/env.js'
import type { Millis } from '../../kernel/units.js'
import type { SessionId, ZooKeeperError } from '../api.js'
import type { ServerId, Touched } from '../messages.js'
import type { Sessions } from '../storage/snapshot-file.js'
import type { Owner } from './request.js'

/** What a server asks its tracker, whatever its role. */
export interface SessionTracker {
  /** The id for a new session. */
  newSession(timeoutMs: Millis): SessionId
  /** A client was heard of. False when its session is over. */
  touch(session: SessionId, timeoutMs: Millis): boolean
  /** A closeSession was applied. */
  remove(session: SessionId): void
  stop(): void
}

/** Ids of new sessions: the server in the top byte, then 40 bits of its clock at start, then a counter. */
class SessionIds {
  readonly #prefix: string
  #next: number

  constructor(sid: ServerId, clockMs: Millis) {
    this.#prefix = `0x${sid.toString(16).padStart(2, '0')}`
    this.#next = (clockMs % 2 ** 36) * 0x1_0000
  }

  next(): SessionId {
    return `${this.#prefix}${(this.#next++).toString(16).padStart(14, '0')}`
  }
}

interface Session {
  readonly id: SessionId
  readonly timeoutMs: Millis
  owner: Owner | undefined
  isClosing: boolean
  /** The bucket that it is in: a multiple of the tick. */
  expiryMs: Millis
}

export class LeaderSessionTracker implements SessionTracker {
  readonly #env: Env
  readonly #tickTime: Millis
  readonly #expire: (session: SessionId) => void
  readonly #ids: SessionIds
  readonly #sessions = new Map<SessionId, Session>()
  readonly #buckets = new Map<Millis, Set<Session>>()
  #timer: EnvTimer | undefined
  #isStopped = false

  /** `expire` is called for each session whose time is up. */
  constructor(env: Env, sid: ServerId, tickTime: Millis, known: Sessions, expire: (session: SessionId) => void) {
    this.#env = env
    this.#tickTime = tickTime
    this.#expire = expire
    this.#ids = new SessionIds(sid, env.clock.monotonicMs())
    for (const [session, timeoutMs] of known) this.track(session, timeoutMs)
  }

  newSession(timeoutMs: Millis): SessionId {
    const id = this.#ids.next()
    this.track(id, timeoutMs)
    return id
  }

  track(id: SessionId, timeoutMs: Millis): void {
    let session = this.#sessions.get(id)
    if (session === undefined) {
      session = { id, timeoutMs, owner: undefined, isClosing: false, expiryMs: 0 }
      this.#sessions.set(id, session)
    }
    this.#schedule(session, timeoutMs)
  }

  touch(id: SessionId, timeoutMs: Millis): boolean {
    const session = this.#sessions.get(id)
    if (session === undefined || session.isClosing) return false
    this.#schedule(session, timeoutMs)
    return true
  }

  setClosing(id: SessionId): void {
    const session = this.#sessions.get(id)
    if (session !== undefined) session.isClosing = true
  }

  remove(id: SessionId): void {
    const session = this.#sessions.get(id)
    if (session === undefined) return
    this.#sessions.delete(id)
    this.#leaveBucket(session)
  }

  /** Whether `owner` may act for the session now; the first to do so becomes its owner. */
  check(id: SessionId, owner: Owner | undefined): ZooKeeperError | undefined {
    const session = this.#sessions.get(id)
    if (session === undefined || session.isClosing) return 'SESSIONEXPIRED'
    if (session.owner === undefined) session.owner = owner
    else if (session.owner !== owner) return 'SESSIONMOVED'
    return undefined
  }

  /** The session lives at `owner` from now on. */
  setOwner(id: SessionId, owner: Owner | undefined): void {
    const session = this.#sessions.get(id)
    if (session !== undefined && !session.isClosing) session.owner = owner
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }

  #schedule(session: Session, timeoutMs: Millis): void {
    const expiryMs = nextTick(this.#env.clock.monotonicMs() + timeoutMs, this.#tickTime)
    if (expiryMs === session.expiryMs) return
    this.#leaveBucket(session)
    session.expiryMs = expiryMs
    const bucket = this.#buckets.get(expiryMs)
    if (bucket === undefined) this.#buckets.set(expiryMs, new Set([session]))
    else bucket.add(session)
    this.#env.emit('zk.touched', { session: session.id, timeout: timeoutMs })
    this.#wakeUp()
  }

  #leaveBucket(session: Session): void {
    const bucket = this.#buckets.get(session.expiryMs)
    if (bucket?.delete(session) === true && bucket.size === 0) this.#buckets.delete(session.expiryMs)
  }

  /** One timer, for the next tick, and only while there are sessions. */
  #wakeUp(): void {
    if (this.#timer !== undefined || this.#isStopped || this.#buckets.size === 0) return
    const now = this.#env.clock.monotonicMs()
    this.#timer = this.#env.after(nextTick(now, this.#tickTime) - now, () => {
      this.#timer = undefined
      this.#expireDue()
      this.#wakeUp()
    })
  }

  #expireDue(): void {
    const now = this.#env.clock.monotonicMs()
    const due = [...this.#buckets.keys()].filter((expiryMs) => expiryMs <= now).sort((a, b) => a - b)
    for (const expiryMs of due) {
      const bucket = this.#buckets.get(expiryMs)
      this.#buckets.delete(expiryMs)
      for (const session of bucket ?? []) {
        session.isClosing = true
        this.#env.emit('zk.expired', { session: session.id, timeout: session.timeoutMs })
        this.#expire(session.id)
      }
    }
  }
}

export class LearnerSessionTracker implements SessionTracker {
  readonly #ids: SessionIds
  #touched = new Map<SessionId, Millis>()

  constructor(env: Env, sid: ServerId) {
    this.#ids = new SessionIds(sid, env.clock.monotonicMs())
  }

  newSession(timeoutMs: Millis): SessionId {
    const id = this.#ids.next()
    this.#touched.set(id, timeoutMs)
    return id
  }

  touch(session: SessionId, timeoutMs: Millis): boolean {
    this.#touched.set(session, timeoutMs)
    return true
  }

  remove(session: SessionId): void {
    this.#touched.delete(session)
  }

  /** Who was heard of since the last call. */
  takeTouched(): Touched {
    const touched = [...this.#touched]
    this.#touched = new Map()
    return touched
  }

  stop(): void {
    this.#touched.clear()
  }
}

/** The first tick after `timeMs`. */
function nextTick(timeMs: Millis, tickTime: Millis): Millis {
  return (Math.floor(timeMs / tickTime) + 1) * tickTime
}
