/**
 * Which transactions a cleaner is in while it walks a log from its start.
 *
 * Told of every batch in order, it says what may be discarded: batches of aborted transactions, and markers of
 * transactions of which no batch was met any more. A marker stays as long as a batch of its transaction does, be it
 * empty. An abort marker that stays puts its transaction into the transaction index of the cleaned segment. Source:
 * CleanedTransactionMetadata.
 */

import { parseControlRecord } from '../wire/control-record.js'
import type { RecordBatch } from '../wire/record-batch.js'
import type { AbortedTxn, TransactionIndex } from './transaction-index.js'

interface OngoingAborted {
  readonly txn: AbortedTxn
  /** A batch of it was met. */
  met: boolean
}

export class CleanedTransactions {
  readonly #committed = new Set<number>()
  readonly #aborted = new Map<number, OngoingAborted>()
  /** Aborted transactions that begin further on, by their first offsets. */
  #ahead: AbortedTxn[] = []
  /** The index of the segment that is being written. */
  cleanedIndex: TransactionIndex | undefined

  addAborted(txns: readonly AbortedTxn[]): void {
    if (txns.length === 0) return
    this.#ahead = [...this.#ahead, ...txns].sort((a, b) => a.firstOffset - b.firstOffset || a.lastOffset - b.lastOffset)
  }

  /** True when the batch may be discarded. */
  met(batch: RecordBatch): boolean {
    this.#beginUpTo(batch.lastOffset)
    return batch.isControl ? this.#metMarker(batch) : this.#metData(batch)
  }

  #metMarker(batch: RecordBatch): boolean {
    const record = batch.records()[0]
    // Emptied by an earlier cleaning: the whole transaction is gone.
    if (record === undefined) return true
    const { producerId } = batch
    const type = parseControlRecord(record)?.type
    if (type === 'COMMIT') return !this.#committed.delete(producerId)
    if (type !== 'ABORT') return false
    const ongoing = this.#aborted.get(producerId)
    this.#aborted.delete(producerId)
    if (ongoing?.met !== true) return true
    this.cleanedIndex?.append(ongoing.txn)
    return false
  }

  #metData(batch: RecordBatch): boolean {
    if (!batch.isTransactional) return false
    const ongoing = this.#aborted.get(batch.producerId)
    if (ongoing === undefined) {
      this.#committed.add(batch.producerId)
      return false
    }
    ongoing.met = true
    return true
  }

  #beginUpTo(lastOffset: number): void {
    let count = 0
    for (const txn of this.#ahead) {
      if (txn.firstOffset > lastOffset) break
      if (!this.#aborted.has(txn.producerId)) this.#aborted.set(txn.producerId, { txn, met: false })
      count++
    }
    if (count > 0) this.#ahead = this.#ahead.slice(count)
  }
}
