/**
 * What a leader of the metadata quorum knows of its voters and observers (Kafka's LeaderState).
 *
 * High watermark: of the voters' end offsets in descending order, the one at index N/2 (the leader's own counts), once it
 * is above the start of this leader's epoch; it never goes back. An end offset is what a fetch asked for: the follower
 * flushed everything before it. Check quorum: within 1.5 fetch timeouts a majority (with the leader) must fetch, or the
 * leader resigns. Voters are told of the new epoch at once and every half fetch timeout.
 */

import type { Epoch, Millis, NodeId, Offset } from '../kernel/units.js'
import { LONG_MAX } from '../kernel/units.js'
import { QUORUM_CONSTANTS } from './quorum-config.js'
import { RaftFault } from './raft-fault.js'
import type { ReplicaKey, VoterSet } from './voter-set.js'
import { compareKeys, matchesKey } from './voter-set.js'
import { WallTimer } from './wall-timer.js'

/** Progress of one replica as its leader sees it; -1 is unknown everywhere. */
export interface ReplicaProgress {
  readonly key: ReplicaKey
  endOffset: Offset
  lastFetchMs: Millis
  /** The leader's end offset at the last fetch. */
  lastFetchLeaderEndOffset: Offset
  lastCaughtUpMs: Millis
  hasAcknowledgedLeader: boolean
}

export interface LeaderOptions {
  readonly local: ReplicaKey
  readonly epoch: Epoch
  readonly epochStartOffset: Offset
  readonly voters: VoterSet
  readonly grantingVoters: readonly NodeId[]
  readonly fetchTimeoutMs: Millis
  readonly nowMs: Millis
}

export class LeaderState {
  readonly epoch: Epoch
  readonly epochStartOffset: Offset
  /** Ids of the voters that elected this leader, ascending. */
  readonly grantingVoters: readonly NodeId[]
  /** -1 until a record of this epoch is committed. */
  highWatermark: Offset = -1
  resignRequested = false
  /** Expires when the voters are to be told of this epoch. */
  readonly beginQuorumEpochTimer: WallTimer
  readonly #local: ReplicaKey
  readonly #own: ReplicaProgress
  /** By id. */
  readonly #voters: readonly ReplicaProgress[]
  /** In order of their first fetch. */
  #observers: ReplicaProgress[] = []
  /** Voters that fetched since the check-quorum timer started. */
  readonly #fetchedVoters = new Set<NodeId>()
  readonly #checkQuorumTimer: WallTimer
  readonly #checkQuorumTimeoutMs: Millis

  constructor(options: LeaderOptions) {
    this.epoch = options.epoch
    this.epochStartOffset = options.epochStartOffset
    this.grantingVoters = options.grantingVoters
    this.#local = options.local
    this.#voters = options.voters.voters.map((voter) => newProgress(voter, voter.id === options.local.id))
    this.#own = this.#voter(options.local) ?? newProgress(options.local, true)
    this.#checkQuorumTimeoutMs = Math.floor(options.fetchTimeoutMs * QUORUM_CONSTANTS.checkQuorumFactor)
    this.#checkQuorumTimer = new WallTimer(options.nowMs, this.#checkQuorumTimeoutMs)
    this.beginQuorumEpochTimer = new WallTimer(options.nowMs, 0)
  }

  /** Time left for a majority to fetch (ms); the only voter is always a majority. */
  untilCheckQuorumExpires(nowMs: Millis): Millis {
    return this.#voters.length === 1 ? LONG_MAX : this.#checkQuorumTimer.remainingMs(nowMs)
  }

  /** A fetch or snapshot fetch of `key` came. @throws RaftFault when it is the leader's own. */
  sawFetch(key: ReplicaKey, nowMs: Millis): void {
    if (key.id === this.#local.id) throw new RaftFault('a fetch from the leader itself')
    if (this.#voter(key) !== undefined) this.#sawVoter(key.id, nowMs)
  }

  #sawVoter(id: NodeId, nowMs: Millis): void {
    this.#fetchedVoters.add(id)
    const followersOfMajority = Math.floor(this.#voters.length / 2)
    if (this.#fetchedVoters.size < followersOfMajority) return
    this.#fetchedVoters.clear()
    this.#checkQuorumTimer.reset(nowMs, this.#checkQuorumTimeoutMs)
  }

  /** The leader's own log grew. True when the high watermark moved. @throws RaftFault when it shrank. */
  updateLocal(endOffset: Offset): boolean {
    const own = this.#own
    if (own.endOffset > endOffset) throw new RaftFault(`leader's end offset fell from ${own.endOffset} to ${endOffset}`)
    own.endOffset = endOffset
    return this.#advanceHighWatermark()
  }

  /** A replica fetched from `fetchOffset`. True when the high watermark moved. */
  updateReplica(key: ReplicaKey, nowMs: Millis, fetchOffset: Offset): boolean {
    if (key.id < 0) return false
    if (key.id === this.#local.id) throw new RaftFault('a fetch from the leader itself')
    const voter = this.#voter(key)
    const replica = voter ?? this.#observer(key)
    const leaderEndOffset = this.#own.endOffset
    if (leaderEndOffset >= 0) {
      // The previous fetch's time counts when the replica has by now what the leader had then.
      if (fetchOffset >= leaderEndOffset) replica.lastCaughtUpMs = Math.max(replica.lastCaughtUpMs, nowMs)
      else if (replica.lastFetchLeaderEndOffset > 0 && fetchOffset >= replica.lastFetchLeaderEndOffset) {
        replica.lastCaughtUpMs = Math.max(replica.lastCaughtUpMs, replica.lastFetchMs)
      }
      replica.lastFetchLeaderEndOffset = leaderEndOffset
    }
    replica.lastFetchMs = Math.max(replica.lastFetchMs, nowMs)
    replica.endOffset = fetchOffset
    replica.hasAcknowledgedLeader = true
    if (voter === undefined) return false
    this.#sawVoter(key.id, nowMs)
    return this.#advanceHighWatermark()
  }

  /** A voter answered BeginQuorumEpoch. */
  acknowledge(id: NodeId): void {
    const voter = this.#voters.find((candidate) => candidate.key.id === id)
    if (voter === undefined) throw new RaftFault(`acknowledgement from ${id}, no voter`)
    voter.hasAcknowledgedLeader = true
  }

  /** The other voters, the most caught up first. */
  successors(): readonly ReplicaKey[] {
    return this.#voters
      .filter((voter) => !matchesKey(voter.key, this.#local))
      .sort((a, b) => b.endOffset - a.endOffset || compareKeys(a.key, b.key))
      .map((voter) => ({ id: voter.key.id, directoryId: voter.key.directoryId }))
  }

  /** All voters by id. */
  voterProgress(): readonly ReplicaProgress[] {
    return this.#voters
  }

  /** Observers that fetched within five minutes, in order of their first fetch. */
  observerProgress(nowMs: Millis): readonly ReplicaProgress[] {
    const isCurrent = ({ lastFetchMs }: ReplicaProgress): boolean =>
      nowMs - lastFetchMs < QUORUM_CONSTANTS.observerSessionTimeoutMs
    this.#observers = this.#observers.filter(isCurrent)
    return this.#observers.slice()
  }

  #advanceHighWatermark(): boolean {
    const endOffset = this.#majorityEndOffset()
    if (endOffset <= this.epochStartOffset || endOffset <= this.highWatermark) return false
    this.highWatermark = endOffset
    return true
  }

  /** The largest offset that more than half of the voters have reached; the same as sorting them, without a list. */
  #majorityEndOffset(): Offset {
    let largest: Offset = -1
    for (let i = 0; i < this.#voters.length; i++) {
      const { endOffset } = this.#voters[i] as ReplicaProgress
      if (endOffset > largest && this.#countAt(endOffset) * 2 > this.#voters.length) largest = endOffset
    }
    return largest
  }

  #countAt(offset: Offset): number {
    let count = 0
    for (let i = 0; i < this.#voters.length; i++) if ((this.#voters[i] as ReplicaProgress).endOffset >= offset) count++
    return count
  }

  #voter(key: ReplicaKey): ReplicaProgress | undefined {
    for (let i = 0; i < this.#voters.length; i++) {
      const voter = this.#voters[i] as ReplicaProgress
      if (matchesKey(voter.key, key)) return voter
    }
    return undefined
  }

  #observer(key: ReplicaKey): ReplicaProgress {
    for (let i = 0; i < this.#observers.length; i++) {
      const known = this.#observers[i] as ReplicaProgress
      if (known.key.id === key.id && known.key.directoryId === key.directoryId) return known
    }
    const observer = newProgress(key, false)
    this.#observers.push(observer)
    return observer
  }
}

function newProgress(key: ReplicaKey, hasAcknowledgedLeader: boolean): ReplicaProgress {
  return {
    key: { id: key.id, directoryId: key.directoryId },
    endOffset: -1,
    lastFetchMs: -1,
    lastFetchLeaderEndOffset: -1,
    lastCaughtUpMs: -1,
    hasAcknowledgedLeader,
  }
}
