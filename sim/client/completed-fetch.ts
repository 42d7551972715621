/**
 * What a broker answered for one partition, as the application takes it: record by record (Kafka's CompletedFetch).
 *
 * Records before the position are skipped, control batches too. With read_committed so are the batches of transactions that
 * the answer lists as aborted: from the transaction's first offset until its abort marker. A batch whose CRC is wrong
 * stops the partition there.
 */

import type { Epoch, Millis, Offset } from '../kernel/units.js'
import { controlType } from '../wire/control-record.js'
import { MalformedBytes } from '../wire/primitives.js'
import type { Record, RecordBatch, RecordHeader, Records } from '../wire/record-batch.js'
import type { FetchedPartition } from './fetch-session.js'
import type { AssignedPartition } from './subscription-state.js'

/** A record as the application gets it. */
export interface ConsumedRecord {
  readonly topic: string
  readonly index: number
  readonly offset: Offset
  /** -1: not known. */
  readonly leaderEpoch: Epoch
  readonly timestamp: Millis
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly RecordHeader[]
}

export interface ReadRules {
  readonly readCommitted: boolean
  readonly checkCrcs: boolean
}

const NO_RECORDS: Records = []

export class CompletedFetch {
  readonly partition: AssignedPartition
  readonly answer: FetchedPartition
  readonly #batches: Records
  readonly #aborted: readonly { readonly producerId: number; readonly firstOffset: Offset }[]
  readonly #abortedProducers = new Set<number>()
  #nextAborted = 0
  #nextBatch = 0
  #batch: RecordBatch | undefined
  #records: readonly Record[] | undefined
  #nextRecord = 0
  /** Where to fetch next once everything here was taken. */
  nextOffset: Offset
  /** Epoch of the batch last looked into; -1: none. */
  lastEpoch: Epoch = -1
  /** It was looked at before the first record was taken. */
  isInitialized = false
  isConsumed = false
  /** A batch that does not check was met. */
  isCorrupt = false
  #anyTaken = false

  constructor(partition: AssignedPartition, answer: FetchedPartition, fetchOffset: Offset) {
    this.partition = partition
    this.answer = answer
    this.nextOffset = fetchOffset
    this.#batches = answer.records ?? NO_RECORDS
    const aborted = answer.abortedTransactions ?? []
    this.#aborted =
      aborted.length < 2
        ? aborted
        : [...aborted].sort((a, b) => a.firstOffset - b.firstOffset || a.producerId - b.producerId)
  }

  get isEmpty(): boolean {
    return this.#batches.length === 0
  }

  /** True when some record was handed out, so that others should come first next time. */
  get anyTaken(): boolean {
    return this.#anyTaken
  }

  /** Appends up to `max` records to `into`. Returns how many. */
  take(max: number, rules: ReadRules, into: ConsumedRecord[]): number {
    let taken = 0
    while (taken < max && !this.isConsumed && !this.isCorrupt) {
      const record = this.#next(rules)
      if (record === undefined) break
      const batch = this.#batch as RecordBatch
      const offset = batch.baseOffset + record.offsetDelta
      into.push({
        topic: this.partition.topic,
        index: this.partition.index,
        offset,
        leaderEpoch: batch.partitionLeaderEpoch,
        timestamp: record.timestamp,
        key: record.key,
        value: record.value,
        headers: record.headers,
      })
      this.nextOffset = offset + 1
      this.#anyTaken = true
      taken++
    }
    return taken
  }

  drain(): void {
    this.isConsumed = true
  }

  #next(rules: ReadRules): Record | undefined {
    for (;;) {
      const record = this.#records?.[this.#nextRecord]
      if (record === undefined) {
        if (!this.#openNextBatch(rules)) return undefined
        continue
      }
      this.#nextRecord++
      const batch = this.#batch as RecordBatch
      const offset = batch.baseOffset + record.offsetDelta
      if (offset < this.nextOffset) continue
      if (!batch.isControl) return record
      this.nextOffset = offset + 1
    }
  }

  /** False at the end, and at a corrupt batch. */
  #openNextBatch(rules: ReadRules): boolean {
    const batch = this.#batches[this.#nextBatch]
    if (batch === undefined) {
      // Compaction may have taken a batch's last record; its offset is still passed.
      if (this.#batch !== undefined) this.nextOffset = Math.max(this.nextOffset, this.#batch.nextOffset)
      this.drain()
      return false
    }
    this.lastEpoch = batch.partitionLeaderEpoch
    if (rules.checkCrcs && !batch.isValid()) {
      this.isCorrupt = true
      return false
    }
    this.#nextBatch++
    this.#batch = batch
    this.#records = undefined
    this.#nextRecord = 0
    try {
      if (rules.readCommitted && batch.producerId >= 0 && this.#isAborted(batch)) this.nextOffset = batch.nextOffset
      else this.#records = batch.records()
      return true
    } catch (error) {
      if (!(error instanceof MalformedBytes)) throw error
      this.isCorrupt = true
      return false
    }
  }

  #isAborted(batch: RecordBatch): boolean {
    for (let next = this.#aborted[this.#nextAborted]; next !== undefined; next = this.#aborted[this.#nextAborted]) {
      if (next.firstOffset > batch.lastOffset) break
      this.#abortedProducers.add(next.producerId)
      this.#nextAborted++
    }
    if (batch.isControl) {
      const first = batch.records()[0]
      if (first !== undefined && controlType(first.key) === 'ABORT') this.#abortedProducers.delete(batch.producerId)
      return false
    }
    return batch.isTransactional && this.#abortedProducers.has(batch.producerId)
  }
}
