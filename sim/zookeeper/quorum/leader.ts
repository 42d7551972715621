/**
 * A leader: from being elected to its end.
 *
 *   phase            it waits for, at most initLimit ticks each        then
 *   discovery        a quorum of learners that tell what epoch         epoch = the greatest + 1, accepted on disk; LEADERINFO
 *                    they have accepted
 *   epoch            a quorum of ACKEPOCH, none with a newer history   currentEpoch = epoch on disk; learners are synchronised
 *   synchronisation  a quorum of ACKs of NEWLEADER                     all of its history is committed; it serves
 *   broadcast        —                                                 ends when no quorum of learners is heard of for a tick
 *
 * Invariants: a proposal is committed when a quorum has it on disk (its own disk counts like any other) and the one before it is committed;
 * proposals and commits are sent to every learner in order. The counter's last value forces a new election. Source: ZooKeeper's `Leader`.
 */

import type { Connection, ConnectionHandler, Env, EnvTimer } from '../../kernel/env.js'
import type { Epoch, Millis } from '../../kernel/units.js'
import type { SessionId, Zxid } from '../api.js'
import type { QuorumPacket, ServerId } from '../messages.js'
import type { ServerParts } from '../server/active-server.js'
import { Request } from '../server/request.js'
import type { EpochFiles } from '../storage/epoch-files.js'
import type { TxnEntry } from '../storage/txn.js'
import { counterOf, LAST_COUNTER, makeZxid } from '../zxid.js'
import { Barrier } from './barrier.js'
import { LeaderServer } from './leader-server.js'
import { LearnerHandler, type Limits } from './learner-handler.js'
import { planSync, type SyncPlan } from './sync-plan.js'

export interface LeaderOptions {
  readonly parts: ServerParts
  readonly epochs: EpochFiles
  readonly voters: readonly ServerId[]
  /** It serves: clients are welcome. */
  active(server: LeaderServer, epoch: Epoch): void
  /** It is over. The leader has stopped; nothing comes after. `wipeMemory`: what is in memory may not be on disk. */
  ended(reason: string, wipeMemory: boolean): void
}

interface Proposal {
  readonly entry: TxnEntry
  readonly acks: Set<ServerId>
}

interface PendingSync {
  readonly zxid: Zxid
  readonly answer: () => void
}

export class Leader {
  readonly limits: Limits
  readonly initialDeadlineTicks: number
  readonly deadlineTicks: number
  readonly #options: LeaderOptions
  readonly #env: Env
  readonly #sid: ServerId
  readonly #epochBarrier: Barrier
  readonly #ackEpochBarrier: Barrier
  readonly #newLeaderBarrier: Barrier
  readonly #learners = new Set<LearnerHandler>()
  readonly #followers = new Set<LearnerHandler>()
  readonly #observers = new Set<LearnerHandler>()
  /** Ascending by zxid. */
  readonly #outstanding = new Map<Zxid, Proposal>()
  /** Committed, and on the way through the processors. */
  #toBeApplied: TxnEntry[] = []
  #pendingSyncs: PendingSync[] = []
  readonly #whenAccepted: (() => void)[] = []
  #whenActive: (() => void)[] = []
  #server: LeaderServer | undefined
  readonly #history: { readonly currentEpoch: Epoch; readonly lastZxid: Zxid }
  #lastProposed: Zxid = 0
  #lastCommitted: Zxid = 0
  #timer: EnvTimer | undefined
  #isAccepted = false
  #isSecondHalf = false
  #isEnded = false
  epoch: Epoch = -1
  tick = 0

  constructor(options: LeaderOptions) {
    this.#options = options
    const { parts, voters, epochs } = options
    const { env, sid, config } = parts
    this.#env = env
    this.#sid = sid
    this.limits = { initMs: config.initLimit * config.tickTime, syncMs: config.syncLimit * config.tickTime }
    this.initialDeadlineTicks = config.initLimit + config.syncLimit
    this.deadlineTicks = config.syncLimit
    const isQuorum = (arrived: ReadonlySet<ServerId>): boolean => arrived.has(sid) && arrived.size > voters.length / 2
    const barrier = (): Barrier => new Barrier(env, this.limits.initMs, isQuorum)
    this.#epochBarrier = barrier()
    this.#ackEpochBarrier = barrier()
    this.#newLeaderBarrier = barrier()
    this.#history = { currentEpoch: epochs.current, lastZxid: parts.database.lastZxid }
  }

  /** Steps through the phases as a member of its own quorum. */
  lead(): void {
    const { epochs } = this.#options
    const giveUp = (phase: string) => () => this.end(`timed out in ${phase}`)
    this.epochProposed(
      this.#sid,
      epochs.accepted,
      () => {
        const { currentEpoch, lastZxid } = this.#history
        this.epochAcked(this.#sid, currentEpoch, lastZxid, () => this.#becomeCurrent(giveUp), giveUp('discovery'))
      },
      giveUp('discovery'),
    )
  }

  #becomeCurrent(giveUp: (phase: string) => () => void): void {
    const zxid = makeZxid(this.epoch, 0)
    this.#options.epochs.makeCurrent(this.epoch, (error) => {
      if (this.#isEnded) return
      if (error !== undefined) return this.end(error.message)
      this.#env.emit('zk.epoch', { kind: 'current', epoch: this.epoch })
      this.newLeaderAcked(this.#sid, zxid, () => this.#activate(), giveUp('synchronisation'))
    })
  }

  #activate(): void {
    const { parts } = this.#options
    const zxid = makeZxid(this.epoch, 0)
    this.#env.emit('zk.leading', {
      epoch: this.epoch,
      zxid: this.#history.lastZxid,
      synced: this.#newLeaderBarrier.arrived,
    })
    parts.database.beginEpoch(zxid)
    this.#lastCommitted = zxid
    this.#server = new LeaderServer(parts, zxid, {
      propose: (request) => this.#propose(request),
      logged: (logged) => this.acked(this.#sid, logged),
      applied: (applied) => this.#applied(applied),
      failed: (reason) => this.end(reason, true),
    })
    // A clean snapshot to begin with, in the background.
    parts.database.takeSnapshot(false, () => undefined)
    this.#options.active(this.#server, this.epoch)
    this.#halfTick()
    const waiting = this.#whenActive
    this.#whenActive = []
    for (const active of waiting) active()
  }

  // ── learners on their way in ──────────────────────────────────────────────────────────────────────────────────────

  /** Takes a connection over whose first message came from a learner. */
  accept(
    connection: Connection,
    first: QuorumPacket & { type: 'FOLLOWERINFO' | 'OBSERVERINFO' },
  ): ConnectionHandler | undefined {
    if (this.#isEnded) return undefined
    const info = { sid: first.sid, isObserver: first.type === 'OBSERVERINFO' }
    const handler = new LearnerHandler(this.#env, this, connection, info)
    this.#learners.add(handler)
    handler.begin(first.zxid)
    return {
      onFrame: (frame) => handler.link.received(frame),
      onClose: (reason) => handler.link.ended(reason),
    }
  }

  removeLearner(handler: LearnerHandler): void {
    this.#learners.delete(handler)
    this.#followers.delete(handler)
    this.#observers.delete(handler)
  }

  epochProposed(sid: ServerId, accepted: Epoch, passed: () => void, timedOut: () => void): void {
    const barrier = this.#epochBarrier
    if (!barrier.isOpen && accepted >= this.epoch) this.epoch = accepted + 1
    const isLast = barrier.arrive(sid, this.#isVoter(sid))
    if (!isLast) {
      // The quorum may be there while the epoch is not on disk yet.
      if (barrier.isOpen && !this.#isAccepted) this.#whenAccepted.push(passed)
      else barrier.wait(passed, timedOut)
      return
    }
    this.#env.emit('zk.epoch', { kind: 'accepted', epoch: this.epoch })
    this.#options.epochs.accept(this.epoch, (error) => {
      if (this.#isEnded) return
      if (error !== undefined) return this.end(error.message)
      this.#isAccepted = true
      this.#lastProposed = makeZxid(this.epoch, 0)
      passed()
      for (const waiter of this.#whenAccepted.splice(0)) waiter()
      barrier.release()
    })
  }

  /** False: this learner has a newer history than the leader, and must not be led by it. */
  epochAcked(sid: ServerId, current: Epoch, lastZxid: Zxid, passed: () => void, timedOut: () => void): boolean {
    const barrier = this.#ackEpochBarrier
    if (barrier.isOpen) {
      passed()
      return true
    }
    const { currentEpoch, lastZxid: ownZxid } = this.#history
    // -1: it had accepted this epoch before, and does not count again.
    if (current !== -1) {
      if (current > currentEpoch || (current === currentEpoch && lastZxid > ownZxid)) return false
      if (barrier.arrive(sid, this.#isVoter(sid))) {
        passed()
        barrier.release()
        return true
      }
    }
    barrier.wait(passed, timedOut)
    return true
  }

  newLeaderAcked(sid: ServerId, zxid: Zxid, passed: () => void, timedOut: () => void): void {
    const barrier = this.#newLeaderBarrier
    if (!barrier.isOpen && zxid !== makeZxid(this.epoch, 0)) return passed()
    if (!barrier.arrive(sid, this.#isVoter(sid))) return barrier.wait(passed, timedOut)
    // The leader itself comes first: learners are up to date once it is active.
    barrier.release()
    passed()
  }

  planSync(peer: Zxid): SyncPlan {
    return planSync(this.#options.parts.database, peer)
  }

  image(): Uint8Array {
    return this.#options.parts.database.image()
  }

  /** Sends the learner everything after `lastZxid` that is not applied yet, and from now on all there is. */
  startForwarding(handler: LearnerHandler, lastZxid: Zxid): void {
    for (const entry of this.#toBeApplied) {
      if (entry.zxid <= lastZxid) continue
      handler.propose({ type: 'PROPOSAL', entry })
      handler.link.send({ type: 'COMMIT', zxid: entry.zxid })
    }
    if (handler.isObserver) {
      this.#observers.add(handler)
      return
    }
    for (const { entry } of this.#outstanding.values()) {
      if (entry.zxid > lastZxid) handler.propose({ type: 'PROPOSAL', entry })
    }
    this.#followers.add(handler)
  }

  whenActive(active: () => void): void {
    if (this.#server === undefined) this.#whenActive.push(active)
    else active()
  }

  // ── broadcast ─────────────────────────────────────────────────────────────────────────────────────────────────────

  request(handler: LearnerHandler, packet: QuorumPacket & { type: 'REQUEST' }): void {
    if (this.#server === undefined) return
    if (packet.operation.type === 'sync') return this.#sync(() => handler.link.send({ type: 'SYNC' }))
    const { session, cxid, operation, identities } = packet
    this.#server.submitFromLearner(new Request(session, cxid, operation, identities, handler, undefined))
  }

  touched(session: SessionId, timeoutMs: Millis): void {
    this.#server?.touch(session, timeoutMs)
  }

  revalidate(session: SessionId, timeoutMs: Millis, handler: LearnerHandler): boolean {
    return this.#server?.revalidate(session, timeoutMs, handler, handler.sid) ?? false
  }

  #propose(request: Request): void {
    const entry = request.entry as TxnEntry
    if (counterOf(entry.zxid) === LAST_COUNTER) return this.end('the counter of transactions has run out')
    this.#lastProposed = entry.zxid
    this.#outstanding.set(entry.zxid, { entry, acks: new Set() })
    this.#env.emit('zk.propose', { zxid: entry.zxid, checksum: entry.checksum, type: entry.txn.type })
    const packet = { type: 'PROPOSAL', entry } as const
    for (const follower of this.#followers) follower.propose(packet)
  }

  acked(sid: ServerId, zxid: Zxid): void {
    // The ACK of UPTODATE, and what was committed without this one.
    if (this.#isEnded || counterOf(zxid) === 0 || zxid <= this.#lastCommitted) return
    const proposal = this.#outstanding.get(zxid)
    if (proposal === undefined || !this.#isVoter(sid)) return
    proposal.acks.add(sid)
    for (const next of this.#outstanding.values()) if (!this.#tryToCommit(next)) return
  }

  #tryToCommit({ entry, acks }: Proposal): boolean {
    if (acks.size <= this.#options.voters.length / 2) return false
    const { zxid } = entry
    this.#outstanding.delete(zxid)
    this.#lastCommitted = zxid
    this.#env.emit('zk.commit', { zxid, acks: [...acks].sort((a, b) => a - b) })
    this.#toBeApplied.push(entry)
    for (const follower of this.#followers) follower.link.send({ type: 'COMMIT', zxid })
    for (const observer of this.#observers) observer.link.send({ type: 'INFORM', entry })
    this.#server?.commit(entry)
    while (this.#pendingSyncs[0] !== undefined && this.#pendingSyncs[0].zxid <= zxid)
      this.#pendingSyncs.shift()?.answer()
    return !this.#isEnded
  }

  #applied(zxid: Zxid): void {
    if (this.#toBeApplied[0]?.zxid === zxid) this.#toBeApplied.shift()
  }

  /** Answers once all that is proposed now is committed. */
  #sync(answer: () => void): void {
    if (this.#outstanding.size === 0) answer()
    else this.#pendingSyncs.push({ zxid: this.#lastProposed, answer })
  }

  // ── its end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Twice a tick it pings; once a tick it asks whether a quorum still follows. */
  #halfTick(): void {
    this.#timer = this.#env.after(this.#options.parts.config.tickTime / 2, () => {
      if (this.#isSecondHalf) {
        this.tick++
        if (!this.#hasQuorum()) return this.end('not sufficient followers synced')
      }
      this.#isSecondHalf = !this.#isSecondHalf
      for (const handler of [...this.#learners]) handler.ping(this.#lastProposed)
      this.#halfTick()
    })
  }

  #hasQuorum(): boolean {
    const synced = new Set([this.#sid])
    for (const handler of this.#learners) {
      if (this.#isVoter(handler.sid) && handler.isSynced(this.tick)) synced.add(handler.sid)
    }
    return synced.size > this.#options.voters.length / 2
  }

  end(reason: string, wipeMemory = false): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#timer?.cancel()
    for (const barrier of [this.#epochBarrier, this.#ackEpochBarrier, this.#newLeaderBarrier]) barrier.end()
    for (const handler of [...this.#learners]) handler.close()
    if (this.#server === undefined) this.#options.ended(reason, wipeMemory)
    else this.#server.shutDown(() => this.#options.ended(reason, wipeMemory))
  }

  #isVoter(sid: ServerId): boolean {
    return this.#options.voters.includes(sid)
  }
}
