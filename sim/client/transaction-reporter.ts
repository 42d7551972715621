/**
 * Tells the trace about a producer's transactions.
 *
 * A transaction is open from its begin until the producer knows its end: its coordinator's answer, a fatal error, or the
 * producer's own close. `txn.ending` may come twice, as a commit that fails may be followed by an abort; `txn.ended` comes once.
 * Its end is certain unless a commit went out of which nothing definite was heard.
 */

import type { Env } from '../kernel/env.js'
import type { GroupMetadata, OffsetAndMetadata } from './group/offset-commits.js'

export class TransactionReporter {
  readonly #env: Env
  readonly #transactionalId: string
  /** Counts transactions. */
  #txn = 0
  #isOpen = false
  #mayBeCommitted = false
  #wasMaybeCommitted = false

  constructor(env: Env, transactionalId: string) {
    this.#env = env
    this.#transactionalId = transactionalId
  }

  begun(): void {
    this.#txn++
    this.#isOpen = true
    this.#mayBeCommitted = false
    this.#env.emit('txn.begin', { transactionalId: this.#transactionalId, txn: this.#txn })
  }

  offsets(offsets: ReadonlyMap<string, OffsetAndMetadata>, group: GroupMetadata): void {
    this.#env.emit('txn.offsets', {
      transactionalId: this.#transactionalId,
      txn: this.#txn,
      group: group.groupId,
      partitions: [...offsets.keys()],
      offsets: [...offsets.values()].map(({ offset }) => offset),
    })
  }

  ending(commit: boolean): void {
    this.#env.emit('txn.ending', { transactionalId: this.#transactionalId, txn: this.#txn, commit })
  }

  commitSent(): void {
    this.#wasMaybeCommitted = this.#mayBeCommitted
    this.#mayBeCommitted = true
  }

  /** The answer to the last commit sent says that it was not begun. */
  commitRefused(): void {
    this.#mayBeCommitted = this.#wasMaybeCommitted
  }

  /** `outcome` is `committed`, `aborted` or Kafka's name of an error. Only the first end counts. */
  ended(outcome: string): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    const certain = outcome === 'committed' || !this.#mayBeCommitted
    this.#env.emit('txn.ended', { transactionalId: this.#transactionalId, txn: this.#txn, outcome, certain })
  }
}
