/**
 * What the leader's own clients, and requests from learners, go through: prep → proposal and sync → commit → final.
 *
 * Source: `LeaderZooKeeperServer`, `ProposalRequestProcessor`, `AckRequestProcessor`, `ToBeAppliedRequestProcessor`.
 */

import type { Millis } from '../../kernel/units.js'
import type { SessionId, Zxid } from '../api.js'
import type { ServerId } from '../messages.js'
import { ActiveServer, type ServerParts } from '../server/active-server.js'
import type { ServerConnection } from '../server/client-connections.js'
import { OutstandingChanges } from '../server/outstanding-changes.js'
import { PrepProcessor } from '../server/prep-processor.js'
import { LOCAL, Request, type Owner } from '../server/request.js'
import { LeaderSessionTracker } from '../server/session-tracker.js'
import { SyncProcessor } from '../server/sync-processor.js'
import type { TxnEntry } from '../storage/txn.js'

export interface LeaderServerListener {
  propose(request: Request): void
  /** Its own log has it. */
  logged(zxid: Zxid): void
  applied(zxid: Zxid): void
  failed(reason: string): void
}

export class LeaderServer extends ActiveServer {
  protected readonly sessions: LeaderSessionTracker
  readonly #listener: LeaderServerListener
  readonly #changes: OutstandingChanges
  readonly #prep: PrepProcessor
  readonly #sync: SyncProcessor
  #isShutDown = false

  constructor(parts: ServerParts, epochZxid: Zxid, listener: LeaderServerListener) {
    super(parts, false)
    this.#listener = listener
    const { env, sid, config, database } = parts
    this.sessions = new LeaderSessionTracker(env, sid, config.tickTime, database.sessions, (session) =>
      this.submitFromLearner(new Request(session, 0, { type: 'closeSession' }, [], undefined, undefined)),
    )
    this.#changes = new OutstandingChanges(database.tree)
    this.#prep = new PrepProcessor(env, this.#changes, this.sessions, epochZxid)
    this.#sync = new SyncProcessor(env, database, config.snapCount, {
      logged: (entry) => {
        if (!this.#isShutDown) listener.logged(entry.zxid)
      },
      failed: (error) => listener.failed(error.message),
    })
  }

  reopenSession(connection: ServerConnection): void {
    const isValid = this.revalidate(connection.session, connection.timeoutMs, LOCAL, this.parts.sid)
    connection.established(isValid)
  }

  /** The session goes on at `owner`, at server `sid`. False when it is over. */
  revalidate(session: SessionId, timeoutMs: Millis, owner: Owner, sid: ServerId): boolean {
    if (!this.sessions.touch(session, timeoutMs)) return false
    this.sessions.setOwner(session, owner)
    this.parts.env.emit('zk.moved', { session, server: sid })
    return true
  }

  submitFromLearner(request: Request): void {
    if (this.#isShutDown) return
    this.#prep.prepare(request)
    this.commitProcessor.process(request)
    if (request.entry === undefined) return
    this.#listener.propose(request)
    this.#sync.process(request.entry)
  }

  commit(entry: TxnEntry): void {
    this.commitProcessor.commit(entry)
  }

  /** Ends the service, and calls `done` once all that it was to log is on disk, and known to the database. */
  shutDown(done: () => void): void {
    this.#isShutDown = true
    this.endService()
    this.#sync.drain(done)
  }

  protected override take(request: Request): void {
    this.submitFromLearner(request)
  }

  protected override afterApply(zxid: Zxid): void {
    this.#changes.applied(zxid)
    this.#listener.applied(zxid)
  }
}
