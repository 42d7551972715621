/**
 * A batch of records on its way to one partition (Kafka's ProducerBatch).
 *
 *     open ── full, or drained ──► closed ── acknowledged ──► succeeded
 *                                    │ ▲  └─ refused, expired ──► failed
 *                              retry └─┘
 *
 * The record batch is made when it is first drained; a new identity (an epoch bump) or another sequence makes it again.
 * `certain` turns false for good once an attempt may have been written without our knowing.
 */

import { assert } from '../kernel/errors.js'
import type { RecordId } from '../kernel/events.js'
import type { Bytes, Epoch, Millis, Offset } from '../kernel/units.js'
import {
  BATCH_OVERHEAD,
  incrementSequence,
  NO_PRODUCER_EPOCH,
  NO_PRODUCER_ID,
  NO_SEQUENCE,
  RecordBatch,
  recordSizeInBytes,
  type NewRecord,
} from '../wire/record-batch.js'
import { sizeOfVarint, utf8Size } from '../wire/primitives.js'
import type { PartitionQueue } from './partition-queue.js'
import type { SendCallback, SendReporter } from './send-reporter.js'

/** Somebody who waits for batches to be done. */
export interface BatchWaiter {
  pending: number
  readonly done: () => void
}

/** DefaultRecord.MAX_RECORD_OVERHEAD. */
const MAX_RECORD_OVERHEAD = 21

export class ProducerBatch {
  readonly queue: PartitionQueue
  readonly createdMs: Millis
  /** Bytes of buffer.memory held; 0 for the parts of a batch that was split. */
  readonly allocated: Bytes
  readonly records: NewRecord[] = []
  readonly ids: RecordId[] = []
  readonly callbacks: SendCallback[] = []
  readonly #writeLimit: Bytes
  sizeInBytes: Bytes = BATCH_OVERHEAD
  attempts = 0
  /** Some attempt failed and the batch went back into its queue. */
  inRetry = false
  /** The wait before the next attempt, drawn when the last one failed. */
  retryBackoffMs: Millis = 0
  #lastAttemptMs: Millis
  #lastAppendMs: Millis
  #closedForAppends = false
  isDone = false
  certain = true
  /** On its way to a broker. */
  inFlight = false
  drainedBefore = false
  producerId: number = NO_PRODUCER_ID
  producerEpoch: Epoch = NO_PRODUCER_EPOCH
  baseSequence: number = NO_SEQUENCE
  /** Part of a transaction. Set before the identity. */
  isTransactional = false
  /** The sequence was changed after the batch had been sent. */
  sequenceHasBeenReset = false
  #leaderEpoch: Epoch = -1
  #attemptsWhenLeaderChanged = 0
  #built: RecordBatch | undefined
  /** Of the record batch last sent. */
  #crc = 0
  waiters: BatchWaiter[] | undefined

  constructor(queue: PartitionQueue, createdMs: Millis, writeLimit: Bytes, allocated: Bytes) {
    this.queue = queue
    this.createdMs = createdMs
    this.allocated = allocated
    this.#writeLimit = writeLimit
    this.#lastAttemptMs = createdMs
    this.#lastAppendMs = createdMs
  }

  get recordCount(): number {
    return this.records.length
  }

  /** No more records fit, or none may come. */
  get isFull(): boolean {
    return this.#closedForAppends || (this.records.length > 0 && this.#writeLimit <= this.sizeInBytes)
  }

  get hasSequence(): boolean {
    return this.baseSequence !== NO_SEQUENCE
  }

  get lastSequence(): number {
    return incrementSequence(this.baseSequence, this.records.length - 1)
  }

  /** Adds a record where there is room; the first one always has. False when there is none. */
  tryAppend(record: NewRecord, id: RecordId, callback: SendCallback, nowMs: Millis): boolean {
    const count = this.records.length
    if (this.isFull) return false
    const size = recordSizeInBytes(
      record,
      count,
      count === 0 ? record.timestamp : (this.records[0] as NewRecord).timestamp,
    )
    if (count > 0 && this.#writeLimit < this.sizeInBytes + size) return false
    this.records.push(record)
    this.ids.push(id)
    this.callbacks.push(callback)
    this.sizeInBytes += size
    this.#lastAppendMs = nowMs
    return true
  }

  closeForAppends(): void {
    this.#closedForAppends = true
  }

  setProducerState(producerId: number, producerEpoch: Epoch, baseSequence: number): void {
    this.producerId = producerId
    this.producerEpoch = producerEpoch
    this.baseSequence = baseSequence
    this.#built = undefined
  }

  /** Gives a batch that was sent before another identity or sequence. */
  resetProducerState(producerId: number, producerEpoch: Epoch, baseSequence: number): void {
    this.setProducerState(producerId, producerEpoch, baseSequence)
    this.sequenceHasBeenReset = true
  }

  /** The record batch to send; closes this one for appends. */
  close(): RecordBatch {
    this.#closedForAppends = true
    this.sequenceHasBeenReset = false
    if (this.#built === undefined) {
      const { producerId, producerEpoch, baseSequence, isTransactional } = this
      this.#built = RecordBatch.build({ producerId, producerEpoch, baseSequence, isTransactional }, this.records)
      this.#crc = this.#built.crc
      this.sizeInBytes = this.#built.sizeInBytes
    }
    return this.#built
  }

  reenqueued(nowMs: Millis): void {
    this.attempts++
    this.#lastAttemptMs = Math.max(this.#lastAppendMs, nowMs)
    this.#lastAppendMs = Math.max(this.#lastAppendMs, nowMs)
    this.inRetry = true
  }

  waitedMs(nowMs: Millis): Millis {
    return Math.max(0, nowMs - this.#lastAttemptMs)
  }

  hasReachedDeliveryTimeout(timeoutMs: Millis, nowMs: Millis): boolean {
    return timeoutMs <= nowMs - this.createdMs
  }

  sawLeaderEpoch(epoch: Epoch): void {
    if (epoch <= this.#leaderEpoch) return
    this.#attemptsWhenLeaderChanged = this.attempts
    this.#leaderEpoch = epoch
  }

  /** A retry need not wait when there is a new leader since the last attempt (KIP-951). */
  backsOff(nowMs: Millis): boolean {
    if (this.attempts === 0 || this.attempts === this.#attemptsWhenLeaderChanged) return false
    return this.waitedMs(nowMs) < this.retryBackoffMs
  }

  /** Success. `baseOffset` is -1 where the broker did not say. False when the batch had been done before. */
  complete(baseOffset: Offset, reporter: SendReporter): boolean {
    if (this.isDone) return false
    this.isDone = true
    for (let i = 0; i < this.callbacks.length; i++) {
      const offset = baseOffset < 0 ? -1 : baseOffset + i
      reporter.acked(this.ids[i] as RecordId, this.queue.name, offset, this.#crc, this.callbacks[i] as SendCallback)
    }
    this.#release()
    return true
  }

  /** Failure; `errorOf` names each record's error. False when the batch had been done before. */
  fail(errorOf: (index: number) => string, reporter: SendReporter): boolean {
    if (this.isDone) return false
    this.isDone = true
    for (let i = 0; i < this.callbacks.length; i++) {
      reporter.failed(
        this.ids[i] as RecordId,
        this.queue.name,
        errorOf(i),
        this.certain,
        this.callbacks[i] as SendCallback,
      )
    }
    this.#release()
    return true
  }

  /**
   * The same records in batches of at most `batchSize` bytes, with the sequences that they have. What waited for this
   * batch waits for all of them.
   */
  split(batchSize: Bytes): ProducerBatch[] {
    const parts: ProducerBatch[] = []
    let part: ProducerBatch | undefined
    for (let i = 0; i < this.records.length; i++) {
      const record = this.records[i] as NewRecord
      const id = this.ids[i] as RecordId
      const callback = this.callbacks[i] as SendCallback
      if (part === undefined || !part.tryAppend(record, id, callback, this.createdMs)) {
        part?.closeForAppends()
        part = new ProducerBatch(this.queue, this.createdMs, Math.max(batchSize, sizeUpperBound(record)), 0)
        part.drainedBefore = this.drainedBefore
        part.certain = this.certain
        const first = part.tryAppend(record, id, callback, this.createdMs)
        assert(first, 'producer batch: an empty batch takes any record')
        parts.push(part)
      }
    }
    part?.closeForAppends()
    let sequence = this.baseSequence
    for (const each of parts) {
      if (!this.hasSequence) break
      each.isTransactional = this.isTransactional
      each.setProducerState(this.producerId, this.producerEpoch, sequence)
      sequence = incrementSequence(sequence, each.recordCount)
    }
    this.isDone = true
    for (const waiter of this.waiters ?? []) {
      waiter.pending += parts.length - 1
      for (const each of parts) (each.waiters ??= []).push(waiter)
    }
    this.waiters = undefined
    return parts
  }

  #release(): void {
    const waiters = this.waiters
    if (waiters === undefined) return
    this.waiters = undefined
    for (const waiter of waiters) if (--waiter.pending === 0) waiter.done()
  }
}

/** Kafka's upper bound for a batch of this record alone (AbstractRecords.estimateSizeInBytesUpperBound). */
export function sizeUpperBound(record: NewRecord): Bytes {
  const headers = record.headers
  let size = BATCH_OVERHEAD + MAX_RECORD_OVERHEAD + sizeOfField(record.key) + sizeOfField(record.value)
  if (headers === undefined) return size + 1
  size += sizeOfVarint(headers.length)
  for (const header of headers) {
    const keySize = utf8Size(header.key)
    size += sizeOfVarint(keySize) + keySize + sizeOfField(header.value)
  }
  return size
}

function sizeOfField(bytes: Uint8Array | null): Bytes {
  return bytes === null ? 1 : sizeOfVarint(bytes.length) + bytes.length
}
