/**
 * What a server that leads, follows or observes has in common: its tree with watches, its sessions, the last two processors.
 *
 * The leader's chain: prep → proposal (→ sync) → commit → final. A learner's: forward to the leader → commit → final, and proposals → sync → ack.
 * Source: `ZooKeeperServer`, `QuorumZooKeeperServer`.
 */

import type { Env } from '../../kernel/env.js'
import type { Millis } from '../../kernel/units.js'
import type { SessionId, Zxid } from '../api.js'
import type { Operation, ServerId } from '../messages.js'
import type { Database } from '../storage/database.js'
import type { TxnEntry } from '../storage/txn.js'
import { Watches } from '../tree/watches.js'
import { maxSessionTimeoutOf, minSessionTimeoutOf, type ZooKeeperConfig } from '../zookeeper-config.js'
import type { ClientConnections, ClientService, ServerConnection } from './client-connections.js'
import { CommitProcessor } from './commit-processor.js'
import { FinalProcessor } from './final-processor.js'
import { LOCAL, Request } from './request.js'
import type { SessionTracker } from './session-tracker.js'

/** What every role is made of. */
export interface ServerParts {
  readonly env: Env
  readonly sid: ServerId
  readonly config: ZooKeeperConfig
  readonly database: Database
  readonly clients: ClientConnections
}

export abstract class ActiveServer implements ClientService {
  protected readonly parts: ServerParts
  protected readonly commitProcessor: CommitProcessor
  protected readonly final: FinalProcessor
  readonly #watches = new Watches()
  readonly timeouts: { readonly min: Millis; readonly max: Millis }

  constructor(parts: ServerParts, matchSyncs: boolean) {
    this.parts = parts
    const { env, config, database } = parts
    this.timeouts = { min: minSessionTimeoutOf(config), max: maxSessionTimeoutOf(config) }
    this.final = new FinalProcessor(env, database, this.#watches, {
      applied: (entry) => this.#applied(entry),
      sessionClosed: (session) => parts.clients.closeSession(session),
    })
    this.commitProcessor = new CommitProcessor((request) => this.finish(request), matchSyncs)
    this.observeTree()
  }

  protected abstract readonly sessions: SessionTracker

  abstract reopenSession(connection: ServerConnection): void

  /** Takes a request of a client of this server. */
  protected abstract take(request: Request): void

  /** The last step, with what a role does around it. */
  protected finish(request: Request): void {
    this.final.process(request)
  }

  /** A transaction was applied. */
  protected afterApply(_zxid: Zxid): void {}

  get lastZxid(): Zxid {
    return this.parts.database.lastZxid
  }

  openSession(connection: ServerConnection): void {
    connection.session = this.sessions.newSession(connection.timeoutMs)
    const operation = { type: 'createSession', timeoutMs: connection.timeoutMs } as const
    this.take(new Request(connection.session, 0, operation, [], LOCAL, connection))
  }

  touch(session: SessionId, timeoutMs: Millis): boolean {
    return this.sessions.touch(session, timeoutMs)
  }

  submit(connection: ServerConnection, xid: number, operation: Operation): void {
    this.take(new Request(connection.session, xid, operation, connection.identities, LOCAL, connection))
  }

  disconnected(connection: ServerConnection): void {
    this.#watches.remove(connection)
  }

  /** Tells of the tree's changes from now on; to be called again after the tree was replaced. */
  protected observeTree(): void {
    const { env, database } = this.parts
    database.tree.observer = {
      changed: (change, path, zxid, node) => {
        const { version, ephemeralOwner } = node
        env.emit('zk.znode', { change, path, zxid, version, owner: ephemeralOwner, dataBytes: node.data?.length ?? 0 })
      },
      watch: (kinds, path, type, zxid) => this.#watches.trigger(kinds, path, type, zxid),
    }
  }

  #applied(entry: TxnEntry): void {
    if (entry.txn.type === 'closeSession') this.sessions.remove(entry.header.session)
    this.afterApply(entry.zxid)
  }

  /** Ends the service: no client, no timer, no observer of the tree is left. */
  protected endService(): void {
    this.parts.database.tree.observer = undefined
    this.sessions.stop()
    this.parts.clients.closeAll()
  }
}
