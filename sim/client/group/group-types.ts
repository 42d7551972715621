/** What a consumer and the two ways of being a member of a group (classic, KIP-848) have in common. */

import type { Millis } from '../../kernel/units.js'
import type { GroupMetadata, OffsetAndMetadata, Offsets } from './offset-commits.js'

export type CommitHow = 'auto' | 'sync' | 'async'

/** Kafka's name of what went wrong, or undefined. */
export type CommitDone = (error: string | undefined) => void

/** Partition → what was committed for it; null where nothing was. */
export type Committed = ReadonlyMap<string, OffsetAndMetadata | null>

/**
 * How far a round of the poll loop got.
 *
 *     ready     positions may be looked up, records fetched
 *     skip      positions are left as they are, but what is fetched already is handed over
 *     waiting   nothing more, until something happened or the poll's time is over
 *     blocked   nothing more, however long it takes: a listener of the application is at work
 */
export type PollStep = 'ready' | 'skip' | 'waiting' | 'blocked' | { readonly error: string }

/** The part of a consumer that knows its group. */
export interface GroupCoordinator {
  readonly metadata: GroupMetadata
  /** Requests to the coordinator without an answer. */
  readonly inFlight: number
  /** The application calls poll. */
  beginPoll(): void
  /** One round of the poll loop. */
  step(): PollStep
  /** The application's poll is over. */
  endPoll(): void
  /** When a poll that waits for records should go on by itself. */
  timeToNextPollMs(): Millis
  /** Gives partitions without a position the one that the group committed. */
  initPositions(): PollStep
  subscriptionChanged(): void
  /** The user assigned partitions by hand. */
  assigned(): void
  commitSync(offsets: Offsets | undefined, done: CommitDone, timeoutMs: Millis): void
  commitAsync(offsets: Offsets | undefined, done: CommitDone | undefined): void
  committed(
    partitions: readonly string[],
    done: (error: string | undefined, found: Committed) => void,
    timeoutMs: Millis,
  ): void
  unsubscribe(done: () => void): void
  /** Commits if it is to, gives partitions up, leaves. */
  close(done: () => void, timeoutMs: Millis): void
  /** Ends all at once. */
  shutDown(): void
}
