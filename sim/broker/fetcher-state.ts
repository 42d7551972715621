/**
 * Where a fetcher stands with one partition (Kafka's `PartitionFetchState`).
 *
 *   from                  event                                              to
 *   (added)               the log has an epoch                               fetching
 *   (added)               it has none                                        truncating, to the high watermark
 *   truncating            its turn                                           fetching
 *   fetching              records, or an empty answer                        fetching, from the new log end
 *   fetching              diverging epoch                                    fetching, from where the log was cut
 *   fetching              OFFSET_OUT_OF_RANGE, leader's offsets known        fetching, from where they allow
 *   fetching, truncating  CORRUPT_MESSAGE, NOT_LEADER_OR_FOLLOWER,           delayed for replica.fetch.backoff.ms,
 *                         UNKNOWN_LEADER_EPOCH, no answer, any other error   then as before
 *   fetching              FENCED_LEADER_EPOCH of a request with this epoch   failed
 *   fetching, truncating  storage error, an answer that does not fit the log failed
 *   failed                metadata with another leader epoch                 (added)
 *
 * An answer counts only when the partition is still fetched from the offset and with the leader epoch of the request. A
 * delay ends by the wall clock, as in Kafka, and moves with its jumps.
 */

import type { Epoch, Millis, Offset } from '../kernel/units.js'
import type { Partition } from './partition.js'

/** No lag is known: nothing has been fetched since the partition was added. */
export const NO_LAG = -1
const NOT_DELAYED = -1

export class FetcherState {
  readonly partition: Partition
  readonly topicId: string
  readonly currentLeaderEpoch: Epoch
  phase: 'truncating' | 'fetching'
  fetchOffset: Offset
  /** Epoch of the last record; -1 for none. */
  lastFetchedEpoch: Epoch
  lag = NO_LAG
  /** Wall clock at which the delay ends. */
  #dueMs: Millis = NOT_DELAYED

  constructor(partition: Partition, currentLeaderEpoch: Epoch, fetchOffset: Offset, lastFetchedEpoch: Epoch) {
    this.partition = partition
    this.topicId = partition.topicId
    this.currentLeaderEpoch = currentLeaderEpoch
    this.fetchOffset = fetchOffset
    this.lastFetchedEpoch = lastFetchedEpoch
    this.phase = lastFetchedEpoch >= 0 ? 'fetching' : 'truncating'
  }

  isDelayed(nowMs: Millis): boolean {
    return this.#dueMs > nowMs
  }

  isReady(nowMs: Millis): boolean {
    return this.phase === 'fetching' && this.#dueMs <= nowMs
  }

  delay(untilMs: Millis): void {
    this.#dueMs = untilMs
  }

  /** Goes on from `offset`. Ends a delay when `keepDelay` is not set. */
  fetchFrom(offset: Offset, lastFetchedEpoch: Epoch, keepDelay = false): void {
    this.phase = 'fetching'
    this.fetchOffset = offset
    this.lastFetchedEpoch = lastFetchedEpoch
    if (!keepDelay) this.#dueMs = NOT_DELAYED
  }
}
