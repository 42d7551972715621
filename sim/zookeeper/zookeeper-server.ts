/**
 * A ZooKeeper server as a program: boots from its disk, joins its ensemble, serves clients.
 *
 * It is given its place in the ensemble by its node name (zN has id N, which `myid` on its disk repeats) and the list of members, as zoo.cfg's
 * `server.N` lines do. It serves nobody before the database is loaded, and nobody while it has no leader. A disk with a damaged log or without a valid
 * snapshot ends the process, as in ZooKeeper; the operator has to empty it. Source: `QuorumPeerMain`, `QuorumPeer.start`.
 */

import { parseConfig } from '../kernel/config-def.js'
import { DiskError, type Boot, type Connection, type ConnectionHandler, type Env, type Program } from '../kernel/env.js'
import { assert, type Problem } from '../kernel/errors.js'
import type { Message } from './messages.js'
import { QuorumPeer, type EnsembleMember } from './quorum-peer.js'
import { ClientConnections } from './server/client-connections.js'
import { Database, DatabaseError } from './storage/database.js'
import { EpochFiles, readMyId } from './storage/epoch-files.js'
import { CorruptLogError } from './storage/txn-log.js'
import { ZOOKEEPER_SETTINGS, type ZooKeeperConfig } from './zookeeper-config.js'
import { epochOf } from './zxid.js'

export interface ZooKeeperServerOptions {
  /** Settings under zoo.cfg's names; checked by whoever read them. */
  readonly config: Readonly<Record<string, unknown>>
  readonly members: readonly EnsembleMember[]
}

/** A server as an observer sees it. */
export interface ZooKeeperView {
  readonly state: string
  /** The last transaction that was applied. */
  readonly lastZxid: number
  readonly sessions: readonly { readonly session: string; readonly timeoutMs: number }[]
  readonly znodes: readonly {
    readonly path: string
    readonly version: number
    /** The session of an ephemeral; sixteen zeros for none. */
    readonly owner: string
    readonly dataBytes: number
  }[]
}

/** The program of a ZooKeeper server. Its disk holds `myid`, written by `writeMyId`. */
export function bootZooKeeper(options: ZooKeeperServerOptions): Boot {
  return (env) => new ZooKeeperServer(env, options)
}

export class ZooKeeperServer implements Program {
  readonly #env: Env
  readonly #options: ZooKeeperServerOptions
  readonly #config: ZooKeeperConfig
  #peer: QuorumPeer | undefined
  #database: Database | undefined

  constructor(env: Env, options: ZooKeeperServerOptions) {
    this.#env = env
    this.#options = options
    const problems: Problem[] = []
    this.#config = parseConfig(ZOOKEEPER_SETTINGS, options.config, problems)
    assert(problems.length === 0, 'zookeeper: settings', { problems })
    env.disk.access(() => this.#boot())
  }

  stop(done: () => void): void {
    if (this.#peer === undefined) done()
    else this.#peer.stop(done)
  }

  /** What the server has in memory: what its clients would read. */
  inspect(): ZooKeeperView {
    const { tree, sessions } = this.#database ?? { tree: undefined, sessions: undefined }
    return {
      state: this.#peer?.state ?? 'starting',
      lastZxid: tree?.lastProcessedZxid ?? 0,
      sessions: [...(sessions ?? [])].map(([session, timeoutMs]) => ({ session, timeoutMs })),
      znodes: [...(tree?.nodes ?? [])].map(([path, znode]) => ({
        path,
        version: znode.version,
        owner: znode.ephemeralOwner,
        dataBytes: znode.data?.length ?? 0,
      })),
    }
  }

  #boot(): void {
    const sid = readMyId(this.#env.disk)
    const member = this.#options.members.find((each) => each.node === this.#env.node)
    if (sid === undefined || member?.sid !== sid) return this.#env.halt('myid is missing or not in the list of servers')
    const database = new Database(this.#env, this.#config)
    this.#database = database
    try {
      database.load()
    } catch (error) {
      if (error instanceof DiskError || error instanceof CorruptLogError || error instanceof DatabaseError) {
        return this.#env.halt(`unable to load the database: ${error.message}`)
      }
      throw error
    }
    const settled = (error?: DiskError): void => {
      if (error !== undefined) this.#env.halt(`unable to write to the disk: ${error.message}`)
      else this.#join(sid, database)
    }
    if (database.hasLogGap) database.restartLog(settled)
    else if (!database.log.syncNewest(settled)) this.#join(sid, database)
  }

  #join(sid: number, database: Database): void {
    const env = this.#env
    const epochs = new EpochFiles(env.disk, epochOf(database.lastZxid))
    const clients: ClientConnections = new ClientConnections(env, () => this.#peer?.service)
    const peer = new QuorumPeer({ env, sid, config: this.#config, database, clients }, epochs, this.#options.members)
    this.#peer = peer
    env.network.listen((connection) => firstMessage(connection, (message) => peer.accept(connection, message)))
    peer.start()
  }
}

/** Hands a connection to whomever its first message is for. */
function firstMessage(
  connection: Connection,
  accept: (message: Message) => ConnectionHandler | undefined,
): ConnectionHandler {
  let handler: ConnectionHandler | undefined
  let isOver = false
  return {
    onFrame: (frame) => {
      if (isOver) return
      if (handler !== undefined) return handler.onFrame(frame)
      handler = accept(frame.body as Message)
      if (handler !== undefined) return
      isOver = true
      connection.close()
    },
    onClose: (reason) => handler?.onClose(reason),
  }
}
