/**
 * FastLeaderElection: every server votes for the best candidate that it has heard of, until a quorum votes alike.
 *
 * A vote names a leader with its (currentEpoch, last zxid, id), and is larger by that order. Rounds are numbered (`electionEpoch`):
 *
 *   from a server that is looking, in
 *     a later round      take over its round, forget all votes, vote for the better of its candidate and oneself, tell everybody
 *     an earlier round   ignore it (and answer it with one's own vote)
 *     this round         if its candidate is better, vote for it and tell everybody; note the vote. Once a quorum votes as this server does, wait
 *                        200 ms (finalizeWait) for something better; then the leader is found
 *   from one that leads or follows
 *     in this round      note it; a quorum for its leader, which itself says that it leads, ends the search
 *     else               note it apart: so a server joins an ensemble that has a leader
 *
 * Without news the vote is told again after 200 ms, then twice as long each time, up to a minute. Observers look for a leader but their votes do
 * not count. Source: ZooKeeper's `FastLeaderElection`.
 */

import type { Env, EnvTimer } from '../../kernel/env.js'
import type { Epoch, Millis } from '../../kernel/units.js'
import type { Zxid } from '../api.js'
import type { Notification, PeerState, ServerId } from '../messages.js'
import type { ElectionConnections } from './election-connections.js'

export interface Vote {
  readonly leader: ServerId
  readonly zxid: Zxid
  readonly electionEpoch: number
  readonly peerEpoch: Epoch
}

interface NotedVote extends Vote {
  readonly state: PeerState
}

/** What a server would propose itself with. Observers propose nobody. */
export interface Candidacy {
  readonly leader: ServerId
  readonly zxid: Zxid
  readonly peerEpoch: Epoch
}

const NOT_A_CANDIDATE: Candidacy = { leader: -1, zxid: -1, peerEpoch: -1 }
const FINALIZE_WAIT_MS: Millis = 200

export interface ElectionOptions {
  readonly sid: ServerId
  /** Servers whose votes count. */
  readonly voters: readonly ServerId[]
  readonly isObserver: boolean
  readonly minIntervalMs: Millis
  readonly maxIntervalMs: Millis
}

export class FastLeaderElection {
  readonly #env: Env
  readonly #options: ElectionOptions
  readonly #connections: ElectionConnections
  /** What a server that has a leader answers those who look for one. */
  readonly #settled: () => { readonly state: PeerState; readonly vote: Vote }
  #round = 0
  #own: Candidacy = NOT_A_CANDIDATE
  #proposed: Candidacy = NOT_A_CANDIDATE
  #votes = new Map<ServerId, NotedVote>()
  #elsewhere = new Map<ServerId, NotedVote>()
  #found: ((vote: Vote) => void) | undefined
  #intervalMs: Millis = 0
  #timer: EnvTimer | undefined
  /** A quorum agrees; only something better counts now. */
  #isFinalizing = false

  constructor(
    env: Env,
    options: ElectionOptions,
    connections: ElectionConnections,
    settled: () => { readonly state: PeerState; readonly vote: Vote },
  ) {
    this.#env = env
    this.#options = options
    this.#connections = connections
    this.#settled = settled
  }

  get isLooking(): boolean {
    return this.#found !== undefined
  }

  /** Begins a new round. `found` is called once, with the vote that won. */
  lookForLeader(own: Candidacy, found: (vote: Vote) => void): void {
    this.#found = found
    this.#round++
    this.#own = this.#options.isObserver ? NOT_A_CANDIDATE : own
    this.#proposed = this.#own
    this.#votes = new Map()
    this.#elsewhere = new Map()
    this.#isFinalizing = false
    this.#intervalMs = this.#options.minIntervalMs
    this.#tellEverybody()
    this.#waitForNews()
  }

  stop(): void {
    this.#found = undefined
    this.#timer?.cancel()
  }

  receive(from: ServerId, notification: Notification): void {
    if (!this.isLooking) {
      if (notification.state === 'looking') this.#answerSettled(from)
      return
    }
    // A stranger (an observer) is told this server's vote; its own does not count.
    if (!this.#options.voters.includes(from)) return this.#tell(from)
    const isOutdated = notification.state === 'looking' && notification.electionEpoch < this.#round
    this.#consider(from, notification)
    if (isOutdated && this.isLooking) this.#tell(from)
  }

  #consider(from: ServerId, notification: Notification): void {
    if (this.#isFinalizing) {
      if (!isBetter(notification, this.#proposed)) return this.#waitToFinalize()
      this.#isFinalizing = false
    }
    if (this.#options.voters.includes(notification.leader)) {
      if (notification.state === 'looking') this.#heardLooking(from, notification)
      else if (notification.state !== 'observing') this.#heardSettled(from, notification)
    }
    if (this.isLooking && !this.#isFinalizing) this.#waitForNews()
  }

  #heardLooking(from: ServerId, notification: Notification): void {
    if (notification.electionEpoch < this.#round) return
    if (notification.electionEpoch > this.#round) {
      this.#round = notification.electionEpoch
      this.#votes = new Map()
      this.#proposed = isBetter(notification, this.#own) ? candidacyOf(notification) : this.#own
      this.#tellEverybody()
    } else if (isBetter(notification, this.#proposed)) {
      this.#proposed = candidacyOf(notification)
      this.#tellEverybody()
    }
    this.#votes.set(from, { ...voteOf(notification), state: 'looking' })
    if (!this.#hasQuorum(this.#votes, { ...this.#proposed, electionEpoch: this.#round, state: 'looking' })) return
    this.#isFinalizing = true
    this.#waitToFinalize()
  }

  #heardSettled(from: ServerId, notification: Notification): void {
    const vote = voteOf(notification)
    const noted = { ...vote, state: notification.state }
    if (notification.electionEpoch === this.#round) {
      this.#votes.set(from, noted)
      if (this.#hasQuorum(this.#votes, noted) && this.#leads(this.#votes, vote)) return this.#end(vote)
    }
    this.#elsewhere.set(from, noted)
    if (!this.#hasQuorum(this.#elsewhere, noted) || !this.#leads(this.#elsewhere, vote)) return
    this.#round = notification.electionEpoch
    this.#end(vote)
  }

  #hasQuorum(votes: ReadonlyMap<ServerId, NotedVote>, vote: NotedVote): boolean {
    let count = 0
    for (const noted of votes.values()) if (isSame(noted, vote)) count++
    return count > this.#options.voters.length / 2
  }

  /** A leader has to say itself that it leads, unless it is this server, in this round. */
  #leads(votes: ReadonlyMap<ServerId, NotedVote>, vote: Vote): boolean {
    if (vote.leader === this.#options.sid) return vote.electionEpoch === this.#round
    return votes.get(vote.leader)?.state === 'leading'
  }

  #waitForNews(): void {
    this.#timer?.cancel()
    this.#timer = this.#env.after(this.#intervalMs, () => {
      if (this.#connections.hasDelivered) this.#tellEverybody()
      else this.#connections.connectAll()
      this.#intervalMs = Math.min(this.#intervalMs * 2, this.#options.maxIntervalMs)
      this.#waitForNews()
    })
  }

  #waitToFinalize(): void {
    this.#timer?.cancel()
    this.#timer = this.#env.after(FINALIZE_WAIT_MS, () => this.#end({ ...this.#proposed, electionEpoch: this.#round }))
  }

  #end(vote: Vote): void {
    const found = this.#found
    this.#found = undefined
    this.#timer?.cancel()
    this.#env.emit('zk.elected', {
      leader: vote.leader,
      zxid: vote.zxid,
      epoch: vote.peerEpoch,
      round: vote.electionEpoch,
    })
    found?.(vote)
  }

  #tellEverybody(): void {
    for (const sid of this.#options.voters) this.#tell(sid)
  }

  #tell(to: ServerId): void {
    const { leader, zxid, peerEpoch } = this.#proposed
    const electionEpoch = this.#round
    this.#connections.send(to, { type: 'notification', state: 'looking', leader, zxid, electionEpoch, peerEpoch })
  }

  #answerSettled(to: ServerId): void {
    const { state, vote } = this.#settled()
    this.#connections.send(to, { type: 'notification', state, ...vote })
  }
}

function isBetter(a: Candidacy, b: Candidacy): boolean {
  if (a.peerEpoch !== b.peerEpoch) return a.peerEpoch > b.peerEpoch
  if (a.zxid !== b.zxid) return a.zxid > b.zxid
  return a.leader > b.leader
}

/** Votes of settled servers are the same when leader and epoch are: they joined in different rounds. */
function isSame(a: NotedVote, b: NotedVote): boolean {
  if (a.leader !== b.leader || a.peerEpoch !== b.peerEpoch) return false
  if (a.state !== 'looking' && b.state !== 'looking') return true
  return a.zxid === b.zxid && a.electionEpoch === b.electionEpoch
}

function candidacyOf({ leader, zxid, peerEpoch }: Notification): Candidacy {
  return { leader, zxid, peerEpoch }
}

function voteOf({ leader, zxid, electionEpoch, peerEpoch }: Notification): Vote {
  return { leader, zxid, electionEpoch, peerEpoch }
}
