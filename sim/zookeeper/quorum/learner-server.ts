/**
 * What a follower's or observer's clients go through: writes to the leader and back, reads from here; and the log of proposals.
 *
 * A follower acknowledges a proposal once it is on its disk, and applies it when the leader says that it is committed; an observer is told of committed
 * transactions only, and logs them without being asked for it. Source: `FollowerZooKeeperServer`, `FollowerRequestProcessor`,
 * `ObserverZooKeeperServer`, `SendAckRequestProcessor`.
 */

import { assert } from '../../kernel/errors.js'
import type { SessionId, Zxid } from '../api.js'
import type { QuorumPacket, Touched } from '../messages.js'
import { ActiveServer, type ServerParts } from '../server/active-server.js'
import type { ServerConnection } from '../server/client-connections.js'
import type { Request } from '../server/request.js'
import { LearnerSessionTracker } from '../server/session-tracker.js'
import { SyncProcessor } from '../server/sync-processor.js'
import type { TxnEntry } from '../storage/txn.js'

export interface LearnerServerListener {
  send(packet: QuorumPacket): void
  failed(reason: string): void
}

export class LearnerServer extends ActiveServer {
  protected readonly sessions: LearnerSessionTracker
  readonly #listener: LearnerServerListener
  readonly #sync: SyncProcessor
  readonly #revalidating = new Map<SessionId, ServerConnection>()
  #pendingSyncs: Request[] = []
  /** Logged or being logged, not committed. */
  #pendingTxns: TxnEntry[] = []
  #isShutDown = false

  constructor(parts: ServerParts, isObserver: boolean, listener: LearnerServerListener) {
    super(parts, true)
    this.#listener = listener
    const { env, sid, config, database } = parts
    this.sessions = new LearnerSessionTracker(env, sid)
    this.#sync = new SyncProcessor(env, database, config.snapCount, {
      logged: ({ zxid }) => {
        if (!isObserver && !this.#isShutDown) listener.send({ type: 'ACK', zxid })
      },
      failed: (error) => listener.failed(error.message),
    })
  }

  // ── from the leader ───────────────────────────────────────────────────────────────────────────────────────────────

  /** A proposal: to be logged, acknowledged and kept until its commit. */
  log(entry: TxnEntry): void {
    this.#pendingTxns.push(entry)
    this.#sync.process(entry)
  }

  /** A proposal that is on disk already. */
  keep(entry: TxnEntry): void {
    this.#pendingTxns.push(entry)
  }

  /** A transaction that was committed before this server was up to date. */
  apply(entry: TxnEntry): void {
    this.final.apply(entry)
  }

  commit(zxid: Zxid): void {
    const entry = this.#pendingTxns.shift()
    if (entry === undefined) return
    assert(entry.zxid === zxid, 'learner: commit out of order', { zxid, next: entry.zxid })
    this.commitProcessor.commit(entry)
  }

  /** A transaction that is committed already (observers). */
  inform(entry: TxnEntry): void {
    this.#sync.process(entry)
    this.commitProcessor.commit(entry)
  }

  synced(): void {
    const request = this.#pendingSyncs.shift()
    if (request !== undefined) this.commitProcessor.synced(request)
  }

  revalidated(session: SessionId, isValid: boolean): void {
    const connection = this.#revalidating.get(session)
    this.#revalidating.delete(session)
    connection?.established(isValid)
  }

  takeTouched(): Touched {
    return this.sessions.takeTouched()
  }

  /** Ends the service, and calls `done` once all that it was to log is on disk. */
  shutDown(done: () => void): void {
    this.#isShutDown = true
    this.endService()
    this.#sync.drain(done)
  }

  // ── from clients ──────────────────────────────────────────────────────────────────────────────────────────────────

  reopenSession(connection: ServerConnection): void {
    const { session, timeoutMs } = connection
    this.#revalidating.set(session, connection)
    this.#listener.send({ type: 'REVALIDATE', session, timeoutMs, valid: false })
  }

  protected override take(request: Request): void {
    if (this.#isShutDown) return
    const { session, cxid, operation, identities } = request
    this.commitProcessor.process(request)
    if (operation.type === 'sync') this.#pendingSyncs.push(request)
    else if (!request.isWrite) return
    this.#listener.send({ type: 'REQUEST', session, cxid, operation, identities })
  }
}
