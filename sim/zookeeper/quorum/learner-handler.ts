/**
 * One learner, as its leader sees it.
 *
 *   state        it is waiting for                          then
 *   discovery    FOLLOWERINFO or OBSERVERINFO came:         LEADERINFO with the new epoch
 *                a quorum for the new epoch
 *   epoch        ACKEPOCH with the learner's history,       DIFF, TRUNC or SNAP, what is missing, NEWLEADER
 *                a quorum of them
 *   sync         ACK of NEWLEADER, a quorum of them         UPTODATE, once the leader is active
 *   broadcast    ACKs, REQUESTs, answers to PINGs           —
 *   closed
 *
 * From the moment it is synchronised it is sent every proposal and commit (`forwarding`). It is given up when it is silent for initLimit (later
 * syncLimit) ticks, or a proposal is not acknowledged for syncLimit ticks. Source: `LearnerHandler`.
 */

import type { Connection, Env } from '../../kernel/env.js'
import type { Millis } from '../../kernel/units.js'
import type { Zxid } from '../api.js'
import type { QuorumPacket, ServerId } from '../messages.js'
import { epochOf, makeZxid } from '../zxid.js'
import type { Leader } from './leader.js'
import { QuorumLink } from './quorum-link.js'
import { SyncLimitCheck } from './sync-limit.js'

type HandlerState = 'discovery' | 'epoch' | 'sync' | 'broadcast' | 'closed'

export class LearnerHandler {
  readonly sid: ServerId
  readonly isObserver: boolean
  readonly link: QuorumLink
  readonly #env: Env
  readonly #leader: Leader
  readonly #syncLimit: SyncLimitCheck
  #state: HandlerState = 'discovery'
  /** The ACK of NEWLEADER has come. */
  #hasSynced = false
  /** The tick after which it does not count for the quorum any more. */
  #deadlineTick: number
  /** It is sent pings. */
  #isSending = false

  constructor(env: Env, leader: Leader, connection: Connection, info: { sid: ServerId; isObserver: boolean }) {
    this.#env = env
    this.#leader = leader
    this.sid = info.sid
    this.isObserver = info.isObserver
    const { initMs, syncMs } = leader.limits
    this.link = new QuorumLink(env, connection, initMs, {
      packet: (packet) => this.#packet(packet),
      lost: () => this.close(),
    })
    this.#syncLimit = new SyncLimitCheck(syncMs)
    this.#deadlineTick = leader.tick + leader.initialDeadlineTicks
  }

  /** It is up to date enough to count for the quorum. */
  isSynced(tick: number): boolean {
    return this.#state !== 'closed' && tick <= this.#deadlineTick
  }

  /** Begins with what the learner said of the newest epoch that it has accepted. */
  begin(acceptedEpochZxid: Zxid): void {
    this.#leader.epochProposed(
      this.sid,
      epochOf(acceptedEpochZxid),
      () => {
        if (this.#state !== 'discovery') return
        this.#state = 'epoch'
        this.link.send({ type: 'LEADERINFO', zxid: makeZxid(this.#leader.epoch, 0) })
      },
      this.#giveUp,
    )
  }

  propose(packet: QuorumPacket & { type: 'PROPOSAL' }): void {
    this.#syncLimit.proposed(packet.entry.zxid, this.#env.clock.monotonicMs())
    this.link.send(packet)
  }

  ping(lastProposed: Zxid): void {
    if (!this.#isSending) return
    if (!this.#syncLimit.isWithinLimit(this.#env.clock.monotonicMs())) return this.close()
    this.link.send({ type: 'PING', zxid: lastProposed, touched: [] })
  }

  close(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.link.close()
    this.#leader.removeLearner(this)
  }

  readonly #giveUp = (): void => this.close()

  #packet(packet: QuorumPacket): void {
    switch (this.#state) {
      case 'epoch':
        if (packet.type === 'ACKEPOCH') this.#epochAcked(packet.epoch, packet.zxid)
        else this.close()
        return
      case 'sync':
        if (packet.type === 'ACK' && !this.#hasSynced) this.#synced(packet.zxid)
        else if (!this.#hasSynced) this.close()
        else this.#broadcast(packet)
        return
      case 'broadcast':
        return this.#broadcast(packet)
      case 'discovery':
      case 'closed':
        return
    }
  }

  #epochAcked(currentEpoch: number, lastZxid: Zxid): void {
    const proceed = (): void => {
      if (this.#state === 'epoch') this.#synchronise(lastZxid)
    }
    if (!this.#leader.epochAcked(this.sid, currentEpoch, lastZxid, proceed, this.#giveUp)) this.close()
  }

  #synchronise(peerZxid: Zxid): void {
    this.#state = 'sync'
    const plan = this.#leader.planSync(peerZxid)
    const { mode, zxid, entries, lastZxid } = plan
    this.#env.emit('zk.sync', {
      server: this.sid,
      mode,
      peer: peerZxid,
      zxid,
      entries: entries.length,
      epoch: this.#leader.epoch,
    })
    if (mode === 'SNAP') this.link.send({ type: 'SNAP', zxid, image: this.#leader.image() })
    else this.link.send({ type: mode, zxid })
    for (const entry of entries) {
      this.link.send({ type: 'PROPOSAL', entry })
      this.link.send({ type: 'COMMIT', zxid: entry.zxid })
    }
    this.#leader.startForwarding(this, lastZxid)
    this.link.send({ type: 'NEWLEADER', zxid: makeZxid(this.#leader.epoch, 0) })
    this.#isSending = true
  }

  #synced(zxid: Zxid): void {
    this.#hasSynced = true
    const upToDate = (): void => {
      if (this.#state !== 'sync') return
      this.#state = 'broadcast'
      this.#syncLimit.start()
      this.link.setTimeout(this.#leader.limits.syncMs)
      this.#leader.whenActive(() => this.link.send({ type: 'UPTODATE' }))
    }
    this.#leader.newLeaderAcked(this.sid, zxid, upToDate, this.#giveUp)
  }

  #broadcast(packet: QuorumPacket): void {
    this.#deadlineTick = this.#leader.tick + this.#leader.deadlineTicks
    switch (packet.type) {
      case 'ACK':
        this.#syncLimit.acknowledged(packet.zxid)
        return this.#leader.acked(this.sid, packet.zxid)
      case 'PING':
        for (const [session, timeoutMs] of packet.touched) this.#leader.touched(session, timeoutMs)
        return
      case 'REVALIDATE': {
        const valid = this.#leader.revalidate(packet.session, packet.timeoutMs, this)
        return this.link.send({ ...packet, valid })
      }
      case 'REQUEST':
        return this.#leader.request(this, packet)
      default:
        return
    }
  }
}

export interface Limits {
  readonly initMs: Millis
  readonly syncMs: Millis
}
