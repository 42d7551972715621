/**
 * Where a follower cuts its log when its leader says that their histories part (KIP-101, KIP-279, KIP-595; Kafka's
 * `AbstractFetcherThread.getOffsetTruncationState`).
 *
 * The leader names the largest epoch of its own that is not above the follower's last one, and where it ends. Both logs
 * agree up to the smaller of the two ends of that epoch. A follower that never had the epoch cuts to the end of its own
 * next smaller one and asks again: the leader then answers for that.
 *
 *   leader says                     follower has                         cut to
 *   no end                          anything                             where it began to fetch (its high watermark)
 *   no epoch                        anything                             min(leader's end, log end)
 *   epoch e, end                    e                                    min(leader's end, own end of e, log end)
 *   epoch e, end                    not e, but smaller ones              min(end of the largest of them, log end)
 *   epoch e, end                    nothing as small as e                min(leader's end, log end)
 */

import type { Epoch, Offset } from '../kernel/units.js'

/** UNDEFINED_EPOCH and UNDEFINED_EPOCH_OFFSET. */
export const UNDEFINED = -1

export interface EpochEnd {
  readonly epoch: Epoch
  readonly endOffset: Offset
}

/** What of a log the decision needs. */
export interface EpochLog {
  readonly logEndOffset: Offset
  /** The largest epoch not above `epoch`, and its end; -1, -1 when there is none. */
  endOffsetForEpoch(epoch: Epoch): EpochEnd
}

/** The offset to cut to: the first one that goes. */
export function truncationOffset(leader: EpochEnd, log: EpochLog, fetchOffset: Offset): Offset {
  if (leader.endOffset === UNDEFINED) return fetchOffset
  const logEnd = log.logEndOffset
  if (leader.epoch === UNDEFINED) return Math.min(leader.endOffset, logEnd)
  const own = log.endOffsetForEpoch(leader.epoch)
  if (own.endOffset === UNDEFINED) return Math.min(leader.endOffset, logEnd)
  if (own.epoch !== leader.epoch) return Math.min(own.endOffset, logEnd)
  return Math.min(own.endOffset, leader.endOffset, logEnd)
}
