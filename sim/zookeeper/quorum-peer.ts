/**
 * A member of an ensemble: looks for a leader, then leads or learns until that ends, and looks again.
 *
 *   state      leaves when                                to
 *   looking    an election gave a leader                  leading (it is itself), following or observing
 *   leading    no quorum follows, or it cannot start      looking
 *   following  the leader is lost, or its disk failed     looking
 *   observing  the leader is lost                         looking, 200 ms later
 *
 * What it has logged and not applied when it stops leading or following is applied to the tree before it looks for a leader: its vote names the
 * last transaction that it has on disk. Source: ZooKeeper's `QuorumPeer`.
 */

import { DiskError, type Connection, type ConnectionHandler, type Frame } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import type { Epoch, Millis } from '../kernel/units.js'
import { ElectionConnections } from './election/election-connections.js'
import { FastLeaderElection, type Vote } from './election/fast-leader-election.js'
import type { Message, PeerState, ServerId } from './messages.js'
import { Leader } from './quorum/leader.js'
import { Learner } from './quorum/learner.js'
import type { ServerParts } from './server/active-server.js'
import type { ClientService } from './server/client-connections.js'
import { DatabaseError } from './storage/database.js'
import type { EpochFiles } from './storage/epoch-files.js'
import { CorruptLogError } from './storage/txn-log.js'

export interface EnsembleMember {
  readonly sid: ServerId
  readonly node: NodeName
  readonly role: 'participant' | 'observer'
}

const OBSERVER_ELECTION_DELAY_MS = 200
/** A server whose disk can't be read goes on trying. */
const DISK_RETRY_MS = 1_000

export class QuorumPeer {
  readonly #parts: ServerParts
  readonly #epochs: EpochFiles
  readonly #members: readonly EnsembleMember[]
  readonly #voters: readonly ServerId[]
  readonly #isObserver: boolean
  readonly #electionConnections: ElectionConnections
  readonly #election: FastLeaderElection
  #state: PeerState = 'looking'
  #vote: Vote
  #leader: Leader | undefined
  #learner: Learner | undefined
  #service: ClientService | undefined
  #whenStopped: (() => void) | undefined

  constructor(parts: ServerParts, epochs: EpochFiles, members: readonly EnsembleMember[]) {
    this.#parts = parts
    this.#epochs = epochs
    this.#members = members
    const { env, sid, config, database } = parts
    this.#voters = members.filter((member) => member.role === 'participant').map((member) => member.sid)
    this.#isObserver = !this.#voters.includes(sid)
    this.#vote = { leader: sid, zxid: database.lastZxid, electionEpoch: 0, peerEpoch: epochs.current }
    this.#electionConnections = new ElectionConnections(env, sid, members, config.cnxTimeout, (from, notification) =>
      this.#election.receive(from, notification),
    )
    const options = {
      sid,
      voters: this.#voters,
      isObserver: this.#isObserver,
      minIntervalMs: config.minNotificationInterval,
      maxIntervalMs: config.maxNotificationInterval,
    }
    this.#election = new FastLeaderElection(env, options, this.#electionConnections, () => ({
      state: this.#state,
      vote: this.#vote,
    }))
  }

  get state(): PeerState {
    return this.#state
  }

  /** Who serves clients; nobody while there is no quorum. */
  get service(): ClientService | undefined {
    return this.#service
  }

  start(): void {
    this.#look()
  }

  /** Leaves in order; `done` when what it was logging is on disk. */
  stop(done: () => void): void {
    this.#whenStopped = done
    this.#election.stop()
    if (this.#leader !== undefined) this.#leader.end('shutdown')
    else if (this.#learner !== undefined) this.#learner.end('shutdown')
    else done()
  }

  /** Takes a connection over by the first message that came on it. */
  accept(connection: Connection, first: Message): ConnectionHandler | undefined {
    if (first.type === 'hello') return this.#electionConnections.accept(connection, first.sid)
    if (first.type === 'connect') {
      const handler = this.#parts.clients.accept(connection)
      handler.onFrame({ body: first, byteSize: () => 0 } satisfies Frame)
      return handler
    }
    if (first.type === 'FOLLOWERINFO' || first.type === 'OBSERVERINFO') {
      // Only a leader listens on the quorum's port.
      if (this.#leader !== undefined) return this.#leader.accept(connection, first)
    }
    return undefined
  }

  #look(): void {
    const { database, sid } = this.#parts
    const own = { leader: sid, zxid: database.lastZxid, peerEpoch: this.#epochs.current }
    this.#election.lookForLeader(own, (vote) => this.#found(vote))
  }

  #found(vote: Vote): void {
    this.#vote = vote
    if (vote.leader === this.#parts.sid) this.#lead()
    else this.#learn(vote.leader)
  }

  #lead(): void {
    this.#enter('leading', 'elected')
    this.#leader = new Leader({
      parts: this.#parts,
      epochs: this.#epochs,
      voters: this.#voters,
      active: (server, epoch) => {
        this.#newEpoch(epoch)
        if (this.#parts.config.leaderServes) this.#service = server
      },
      ended: (reason, wipeMemory) => {
        this.#leader = undefined
        this.#lookAgain(reason, wipeMemory)
      },
    })
    this.#leader.lead()
  }

  #learn(leader: ServerId): void {
    this.#enter(this.#isObserver ? 'observing' : 'following', `leader ${leader}`)
    const member = this.#members.find(({ sid }) => sid === leader) as EnsembleMember
    this.#learner = new Learner({
      parts: this.#parts,
      epochs: this.#epochs,
      leader: member.node,
      isObserver: this.#isObserver,
      active: (server, epoch) => {
        this.#newEpoch(epoch)
        this.#parts.env.emit('zk.serving', { epoch, leader, zxid: this.#parts.database.lastZxid })
        this.#service = server
      },
      ended: (reason, wipeMemory) => {
        this.#learner = undefined
        this.#lookAgain(reason, wipeMemory)
      },
    })
    this.#learner.follow()
  }

  /** Those who look for a leader are told the epoch that it leads in, not the one that it was elected with. */
  #newEpoch(epoch: Epoch): void {
    this.#vote = { ...this.#vote, peerEpoch: epoch }
  }

  #lookAgain(reason: string, wipeMemory: boolean): void {
    this.#service = undefined
    this.#parts.clients.closeAll()
    if (this.#whenStopped !== undefined) return this.#whenStopped()
    const delayMs = this.#state === 'observing' ? OBSERVER_ELECTION_DELAY_MS : 0
    this.#enter('looking', reason)
    if (wipeMemory) this.#parts.database.clear()
    this.#lookAfter(delayMs)
  }

  #lookAfter(delayMs: Millis): void {
    if (delayMs > 0) {
      this.#parts.env.after(delayMs, () => this.#lookAfter(0))
      return
    }
    if (this.#whenStopped !== undefined) return
    const caughtUp = this.#catchUpWithDisk()
    if (caughtUp === 'done') this.#look()
    else if (caughtUp === 'later') this.#lookAfter(DISK_RETRY_MS)
  }

  #catchUpWithDisk(): 'done' | 'later' | 'never' {
    const { database, env } = this.#parts
    try {
      if (database.isLoaded) database.catchUp()
      else database.load()
      return 'done'
    } catch (error) {
      database.clear()
      if (error instanceof DiskError) return 'later'
      if (!(error instanceof DatabaseError || error instanceof CorruptLogError)) throw error
      env.halt(`unable to load the database: ${error.message}`)
      return 'never'
    }
  }

  #enter(state: PeerState, reason: string): void {
    const from = this.#state
    this.#state = state
    this.#parts.env.emit('zk.state', { from, to: state, epoch: this.#epochs.current, reason })
  }
}
