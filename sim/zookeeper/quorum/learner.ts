/**
 * A follower or observer: from having found its leader to losing it.
 *
 *   phase            it waits for                     then
 *   connecting       the leader to accept it          FOLLOWERINFO (OBSERVERINFO) with its acceptedEpoch; five attempts, 100 ms apart
 *   discovery        LEADERINFO                       a newer epoch is accepted on disk; ACKEPOCH with its currentEpoch and last zxid.
 *                                                     An older one: it leaves
 *   synchronisation  DIFF, TRUNC or SNAP; what is     TRUNC and SNAP are carried out at once, and committed transactions that follow are applied;
 *                    missing; NEWLEADER               what is not committed, and after DIFF everything, is logged. With all of that on disk:
 *                                                     currentEpoch = epoch, ACK of NEWLEADER
 *   activation       UPTODATE                         commits that came meanwhile are applied; it serves
 *   broadcast        —                                proposals are logged and acknowledged, commits applied, requests forwarded
 *
 * Invariant: what it has acknowledged is on its disk, in the leader's order. Packets are taken one at a time: one whose handling waits for the disk
 * keeps the others waiting. It ends when the connection does, when the leader is silent for initLimit (after NEWLEADER syncLimit) ticks, or when
 * its disk fails. Source: `Learner`, `Follower`, `Observer`; the order of log, epoch and ACK is that of ZOOKEEPER-4643 and -4646.
 */

import type { Connection, DiskError, EnvTimer } from '../../kernel/env.js'
import type { NodeName } from '../../kernel/names.js'
import type { Epoch } from '../../kernel/units.js'
import type { Zxid } from '../api.js'
import { ZooKeeperFrame, type QuorumPacket } from '../messages.js'
import type { ServerParts } from '../server/active-server.js'
import { DatabaseError } from '../storage/database.js'
import type { EpochFiles } from '../storage/epoch-files.js'
import type { TxnEntry } from '../storage/txn.js'
import { CorruptLogError } from '../storage/txn-log.js'
import { epochOf, makeZxid } from '../zxid.js'
import { LearnerServer } from './learner-server.js'
import { QuorumLink } from './quorum-link.js'

export interface LearnerOptions {
  readonly parts: ServerParts
  readonly epochs: EpochFiles
  readonly leader: NodeName
  readonly isObserver: boolean
  /** It serves: clients are welcome. */
  active(server: LearnerServer, epoch: Epoch): void
  /** It is over. `wipeMemory`: what is in memory is not what is on disk. */
  ended(reason: string, wipeMemory: boolean): void
}

type Phase = 'connecting' | 'discovery' | 'synchronisation' | 'activation' | 'broadcast' | 'ended'

const CONNECT_ATTEMPTS_MAX = 5
const CONNECT_DELAY_MS = 100

export class Learner {
  readonly #options: LearnerOptions
  readonly #parts: ServerParts
  #phase: Phase = 'connecting'
  #link: QuorumLink | undefined
  #server: LearnerServer | undefined
  #epoch: Epoch = -1
  #attempts = 0
  #timer: EnvTimer | undefined
  /** Packets wait while one is being handled. */
  #isBusy = false
  readonly #inbox: QuorumPacket[] = []
  /** How it is being synchronised. */
  #mode: 'DIFF' | 'TRUNC' | 'SNAP' | undefined
  /** Proposed, and not committed or not to be applied yet. */
  #notCommitted: TxnEntry[] = []
  #committed: Zxid[] = []
  /** The tree in memory is the leader's, and not on disk. */
  #isTreeAhead = false

  constructor(options: LearnerOptions) {
    this.#options = options
    this.#parts = options.parts
  }

  // ── connecting ────────────────────────────────────────────────────────────────────────────────────────────────────

  follow(): void {
    const { env, config } = this.#parts
    const limit = config.connectToLearnerMasterLimit > 0 ? config.connectToLearnerMasterLimit : config.initLimit
    this.#timer = env.after(limit * config.tickTime, () => {
      if (this.#phase === 'connecting') this.end('the leader cannot be reached')
    })
    this.#connect()
  }

  #connect(): void {
    const { env, config } = this.#parts
    this.#attempts++
    let link: QuorumLink | undefined
    const connection: Connection = env.network.connect(this.#options.leader, {
      onOpen: () => {
        if (this.#phase !== 'connecting') return connection.close()
        link = new QuorumLink(env, connection, config.initLimit * config.tickTime, {
          packet: (packet) => this.#received(packet),
          lost: (reason) => this.#lost(reason),
        })
        this.#link = link
        this.#register(connection)
      },
      onFrame: (frame) => link?.received(frame),
      onClose: (reason) => {
        if (link === undefined) this.#refused()
        else link.ended(reason)
      },
    })
  }

  #register(connection: Connection): void {
    const { isObserver, epochs } = this.#options
    const zxid = makeZxid(epochs.accepted, 0)
    const type = isObserver ? 'OBSERVERINFO' : 'FOLLOWERINFO'
    connection.send(new ZooKeeperFrame({ type, zxid, sid: this.#parts.sid }))
  }

  /** Nobody listens there, or whoever does is no leader yet. */
  #refused(): void {
    if (this.#phase !== 'connecting') return
    if (this.#attempts >= CONNECT_ATTEMPTS_MAX) return this.end('the leader does not accept learners')
    this.#parts.env.after(CONNECT_DELAY_MS, () => {
      if (this.#phase === 'connecting') this.#connect()
    })
  }

  #lost(reason: string): void {
    if (this.#phase === 'connecting') this.#refused()
    else this.end(reason)
  }

  // ── packets, one at a time ────────────────────────────────────────────────────────────────────────────────────────

  #received(packet: QuorumPacket): void {
    if (this.#phase === 'ended') return
    if (this.#isBusy) this.#inbox.push(packet)
    else this.#handle(packet)
  }

  #handle(packet: QuorumPacket): void {
    switch (this.#phase) {
      case 'connecting':
      case 'discovery':
        if (packet.type === 'LEADERINFO') this.#leaderInfo(epochOf(packet.zxid))
        else this.end(`unexpected ${packet.type}`)
        return
      case 'synchronisation':
        return this.#synchronise(packet)
      case 'activation':
        return this.#beforeUpToDate(packet)
      case 'broadcast':
        return this.#broadcast(packet)
      case 'ended':
        return
    }
  }

  /** Goes on with `next` once the disk has answered; packets wait until then. */
  #blocked(start: (done: (error?: DiskError) => void) => void, next: () => void): void {
    this.#isBusy = true
    start((error) => {
      if (this.#phase === 'ended') return
      if (error !== undefined) return this.end(error.message)
      this.#isBusy = false
      next()
      while (!this.#isBusy && this.#inbox.length > 0) this.#handle(this.#inbox.shift() as QuorumPacket)
    })
  }

  // ── discovery ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #leaderInfo(epoch: Epoch): void {
    const { epochs } = this.#options
    this.#timer?.cancel()
    if (epoch < epochs.accepted) return this.end(`epoch ${epoch} of the leader is below ${epochs.accepted}`)
    this.#epoch = epoch
    this.#phase = 'synchronisation'
    if (epoch === epochs.accepted) return this.#ackEpoch(-1)
    this.#parts.env.emit('zk.epoch', { kind: 'accepted', epoch })
    const current = epochs.current
    this.#blocked(
      (done) => epochs.accept(epoch, done),
      () => this.#ackEpoch(current),
    )
  }

  #ackEpoch(epoch: Epoch): void {
    this.#link?.send({ type: 'ACKEPOCH', zxid: this.#parts.database.lastZxid, epoch })
  }

  // ── synchronisation ───────────────────────────────────────────────────────────────────────────────────────────────

  #synchronise(packet: QuorumPacket): void {
    switch (packet.type) {
      case 'DIFF':
        return this.#begin('DIFF', () => undefined)
      case 'TRUNC':
        return this.#begin('TRUNC', () => this.#truncate(packet.zxid))
      case 'SNAP':
        return this.#begin('SNAP', () => this.#parts.database.install(packet.image, packet.zxid))
      case 'PROPOSAL':
        this.#notCommitted.push(packet.entry)
        return
      case 'INFORM':
        this.#notCommitted.push(packet.entry)
        return this.#committedInSync(packet.entry.zxid)
      case 'COMMIT':
        return this.#committedInSync(packet.zxid)
      case 'NEWLEADER':
        return this.#newLeader()
      default:
        return this.end(`unexpected ${packet.type}`)
    }
  }

  #begin(mode: 'DIFF' | 'TRUNC' | 'SNAP', prepare: () => void): void {
    this.#mode = mode
    // What is applied after this is on disk with the next snapshot only.
    this.#isTreeAhead = mode !== 'DIFF'
    prepare()
    this.#server = new LearnerServer(this.#parts, this.#options.isObserver, {
      send: (packet) => this.#link?.send(packet),
      failed: (reason) => {
        // Committed transactions may have been applied that are not on disk.
        this.#isTreeAhead = true
        this.end(reason)
      },
    })
  }

  #truncate(zxid: Zxid): void {
    const { database, env } = this.#parts
    try {
      if (!database.truncate(zxid)) this.end('nothing to truncate')
    } catch (error) {
      if (!(error instanceof CorruptLogError || error instanceof DatabaseError)) throw error
      env.halt(`not able to truncate the log: ${error.message}`)
    }
  }

  /** After a DIFF everything goes through the log; otherwise a snapshot will hold it. */
  #committedInSync(zxid: Zxid): void {
    const first = this.#notCommitted[0]
    if (this.#mode === 'DIFF' || first?.zxid !== zxid) {
      this.#committed.push(zxid)
      return
    }
    this.#notCommitted.shift()
    this.#server?.apply(first)
  }

  #newLeader(): void {
    const { database } = this.#parts
    this.#phase = 'activation'
    if (this.#mode === 'DIFF') return this.#logSynced()
    this.#blocked(
      (done) => database.restartLog(done),
      () => {
        this.#isTreeAhead = false
        this.#logSynced()
      },
    )
  }

  /** Everything that it has been sent has to be on disk before it says so. */
  #logSynced(): void {
    const { database } = this.#parts
    const entries = [...this.#notCommitted]
    if (entries.length === 0) return this.#makeCurrent()
    try {
      for (const entry of entries) database.log.append(entry)
    } catch (error) {
      return this.end((error as DiskError).message)
    }
    this.#blocked(
      (done) => database.log.commit(done),
      () => {
        for (const { zxid, checksum } of entries) this.#parts.env.emit('zk.logged', { zxid, checksum })
        this.#makeCurrent()
      },
    )
  }

  #makeCurrent(): void {
    const { epochs, isObserver } = this.#options
    const { env, config } = this.#parts
    this.#blocked(
      (done) => epochs.makeCurrent(this.#epoch, done),
      () => {
        env.emit('zk.epoch', { kind: 'current', epoch: this.#epoch })
        this.#link?.setTimeout(config.syncLimit * config.tickTime)
        this.#link?.send({ type: 'ACK', zxid: makeZxid(this.#epoch, 0) })
        for (const entry of this.#notCommitted) {
          this.#server?.keep(entry)
          // What the leader has proposed itself already counts it among those that have it.
          if (!isObserver) this.#link?.send({ type: 'ACK', zxid: entry.zxid })
        }
        this.#notCommitted = []
      },
    )
  }

  #beforeUpToDate(packet: QuorumPacket): void {
    const server = this.#server
    if (server === undefined) return this.end(`unexpected ${packet.type}`)
    switch (packet.type) {
      case 'PROPOSAL':
        return server.log(packet.entry)
      case 'COMMIT':
        this.#committed.push(packet.zxid)
        return
      case 'INFORM':
        server.log(packet.entry)
        this.#committed.push(packet.entry.zxid)
        return
      case 'PING':
        return this.#answerPing(packet.zxid)
      case 'UPTODATE':
        this.#phase = 'broadcast'
        for (const zxid of this.#committed) server.commit(zxid)
        this.#committed = []
        this.#options.active(server, this.#epoch)
        return
      default:
        return this.end(`unexpected ${packet.type}`)
    }
  }

  // ── broadcast ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #broadcast(packet: QuorumPacket): void {
    const server = this.#server as LearnerServer
    switch (packet.type) {
      case 'PING':
        return this.#answerPing(packet.zxid)
      case 'PROPOSAL':
        return server.log(packet.entry)
      case 'COMMIT':
        return server.commit(packet.zxid)
      case 'INFORM':
        return server.inform(packet.entry)
      case 'SYNC':
        return server.synced()
      case 'REVALIDATE':
        return server.revalidated(packet.session, packet.valid)
      default:
        return
    }
  }

  #answerPing(zxid: Zxid): void {
    this.#link?.send({ type: 'PING', zxid, touched: this.#server?.takeTouched() ?? [] })
  }

  end(reason: string): void {
    if (this.#phase === 'ended') return
    this.#phase = 'ended'
    this.#timer?.cancel()
    this.#link?.close()
    const ended = (): void => this.#options.ended(reason, this.#isTreeAhead)
    if (this.#server === undefined) ended()
    else this.#server.shutDown(ended)
  }
}
