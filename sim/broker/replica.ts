/**
 * What a leader knows of one follower of one partition (Kafka's `Replica` and `ReplicaState`).
 *
 * All of it comes from the follower's fetches. `lastCaughtUpTimeMs` is the largest time t for which the offset of the
 * latest fetch is at least the leader's log end at t: this fetch's time when the offset has reached the log end of now,
 * the previous fetch's time when it has reached the log end of then. So a follower counts as caught up even where the
 * log end runs ahead of it all the time. Times are the leader's wall clock, as in Kafka, and may jump with it.
 */

import type { Epoch, Millis, NodeId, Offset } from '../kernel/units.js'

/** No fetch has told the follower's broker epoch yet. */
export const NO_BROKER_EPOCH = -2
/** A fetch of a version that does not carry the broker epoch: never checked. */
export const UNCHECKED_BROKER_EPOCH = -1
/** What metadata says of a broker's epoch where it tells none (ZooKeeper mode). */
export const UNTOLD_BROKER_EPOCH = -1
/** The follower's offset is not known. */
export const UNKNOWN_OFFSET: Offset = -1

export class Replica {
  readonly brokerId: NodeId
  logStartOffset: Offset = UNKNOWN_OFFSET
  logEndOffset: Offset = UNKNOWN_OFFSET
  /** The leader's log end at the follower's latest fetch. */
  lastFetchLeaderLogEndOffset: Offset = 0
  lastFetchTimeMs: Millis = 0
  lastCaughtUpTimeMs: Millis = 0
  /** Broker epoch of the latest fetch. */
  brokerEpoch: Epoch = NO_BROKER_EPOCH

  constructor(brokerId: NodeId) {
    this.brokerId = brokerId
  }

  /** Takes a fetch into account, of a broker epoch that is not an old one. */
  updateFetchState(
    fetchOffset: Offset,
    logStartOffset: Offset,
    fetchTimeMs: Millis,
    leaderEndOffset: Offset,
    brokerEpoch: Epoch,
  ): void {
    if (fetchOffset >= leaderEndOffset) {
      if (fetchTimeMs > this.lastCaughtUpTimeMs) this.lastCaughtUpTimeMs = fetchTimeMs
    } else if (fetchOffset >= this.lastFetchLeaderLogEndOffset) {
      if (this.lastFetchTimeMs > this.lastCaughtUpTimeMs) this.lastCaughtUpTimeMs = this.lastFetchTimeMs
    }
    this.logStartOffset = logStartOffset
    this.logEndOffset = fetchOffset
    if (leaderEndOffset > this.lastFetchLeaderLogEndOffset) this.lastFetchLeaderLogEndOffset = leaderEndOffset
    this.lastFetchTimeMs = fetchTimeMs
    this.brokerEpoch = brokerEpoch
  }

  /**
   * The leader was elected, or elected again (`isNewLeader` false). A follower of the ISR gets the benefit of now, so
   * that it is not dropped before it could fetch; another one must not hold the high watermark back.
   */
  reset(nowMs: Millis, leaderEndOffset: Offset, isNewLeader: boolean, isInSync: boolean): void {
    this.lastCaughtUpTimeMs = isInSync ? nowMs : 0
    if (isNewLeader) {
      this.logStartOffset = UNKNOWN_OFFSET
      this.logEndOffset = UNKNOWN_OFFSET
      this.lastFetchLeaderLogEndOffset = UNKNOWN_OFFSET
      this.lastFetchTimeMs = 0
      this.brokerEpoch = NO_BROKER_EPOCH
    } else {
      this.lastFetchLeaderLogEndOffset = leaderEndOffset
      this.lastFetchTimeMs = isInSync ? nowMs : 0
    }
  }

  isCaughtUp(leaderEndOffset: Offset, nowMs: Millis, maxLagMs: Millis): boolean {
    return leaderEndOffset === this.logEndOffset || nowMs - this.lastCaughtUpTimeMs <= maxLagMs
  }
}
