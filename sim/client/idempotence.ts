/**
 * The identity of a producer and the sequences of its partitions (the part of Kafka's TransactionManager and TxnPartitionMap that
 * idempotent and transactional producers share; KIP-98, KIP-360).
 *
 * Where a partition's sequence has a gap that can no longer be filled, the two part ways. An idempotent producer raises its epoch
 * here, without asking a broker: the batches in flight of the partitions that asked for it are numbered again from 0, other
 * partitions take the new epoch once nothing of theirs is in flight. A transactional producer gives its transaction up, and goes
 * on with the identity that the coordinator gives it for the next one.
 *
 * How an identity comes to be, and what an error means for a transaction, is the transaction manager's.
 */

import type { Env } from '../kernel/env.js'
import type { Epoch, Offset } from '../kernel/units.js'
import { Errors, isRetriable, type ErrorCode } from '../wire/errors.js'
import { NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, incrementSequence } from '../wire/record-batch.js'
import type { PartitionQueue } from './partition-queue.js'
import type { ProducerBatch } from './producer-batch.js'

/** Short.MAX_VALUE: the last epoch of a producer id. */
const LAST_EPOCH = 32_767

/** What a produce response says that matters for retrying. */
export interface ProduceError {
  readonly errorCode: ErrorCode
  /** -1: not known. */
  readonly logStartOffset: Offset
}

export class Idempotence {
  readonly #env: Env
  readonly #isTransactional: boolean
  #producerId: number = NO_PRODUCER_ID
  #producerEpoch: Epoch = NO_PRODUCER_EPOCH
  #bumpRequired = false
  readonly #toRewrite = new Set<PartitionQueue>()
  /** Partition → the sequence after the batch that expired without an answer. */
  readonly #unresolved = new Map<PartitionQueue, number>()
  /** Partitions with sequences, of a transactional producer. */
  readonly #numbered = new Set<PartitionQueue>()

  constructor(env: Env, isTransactional = false) {
    this.#env = env
    this.#isTransactional = isTransactional
  }

  get producerId(): number {
    return this.#producerId
  }

  get producerEpoch(): Epoch {
    return this.#producerEpoch
  }

  get hasIdentity(): boolean {
    return this.#producerId !== NO_PRODUCER_ID
  }

  setIdentity(producerId: number, producerEpoch: Epoch, reason: string): void {
    this.#producerId = producerId
    this.#producerEpoch = producerEpoch
    this.#env.emit('producer.identity', { producerId, producerEpoch, reason })
  }

  /** Raises the epoch if that was asked for. After the last epoch there is no identity until another one is set. */
  raiseEpoch(): void {
    if (!this.#bumpRequired) return
    if (this.#producerEpoch === LAST_EPOCH) this.setIdentity(NO_PRODUCER_ID, NO_PRODUCER_EPOCH, 'epochs used up')
    else this.setIdentity(this.#producerId, this.#producerEpoch + 1, 'epoch bump')
    for (const queue of this.#toRewrite) {
      queue.sequences.startAtBeginning(this.#producerId, this.#producerEpoch)
      this.#unresolved.delete(queue)
    }
    this.#toRewrite.clear()
    this.#bumpRequired = false
  }

  /** Under a new identity of a transactional producer every partition begins anew. */
  forgetSequences(): void {
    for (const queue of this.#numbered) queue.sequences.reset()
    this.#numbered.clear()
    this.#unresolved.clear()
  }

  /** Where the partition stands lets no batch out now. `first` is the one at the head of its queue. */
  holdsBack(queue: PartitionQueue, first: ProducerBatch): boolean {
    if (!this.hasIdentity) return true
    const sequences = queue.sequences
    if (!first.hasSequence) {
      // A batch of a new epoch, numbered from 0, must not overtake batches of the old one.
      if (sequences.hasInFlight && this.#isStale(queue)) return true
      if (this.#unresolved.has(queue)) return true
      return false
    }
    // A batch with a sequence is a retry: until the first one has its answer, nothing else goes.
    const next = sequences.firstInFlightSequence
    return next !== NO_SEQUENCE && first.baseSequence !== next
  }

  /** Gives a batch that has none its identity and sequence. */
  assign(batch: ProducerBatch): void {
    const sequences = batch.queue.sequences
    if (this.#isStale(batch.queue) && !sequences.hasInFlight) {
      sequences.startAtBeginning(this.#producerId, this.#producerEpoch)
    }
    if (this.#isTransactional) {
      this.#numbered.add(batch.queue)
      batch.isTransactional = true
    }
    batch.setProducerState(this.#producerId, this.#producerEpoch, sequences.nextSequence)
    sequences.advance(batch.recordCount)
    sequences.add(batch)
  }

  completed(batch: ProducerBatch, baseOffset: Offset): void {
    const sequences = batch.queue.sequences
    sequences.acked(batch, baseOffset)
    sequences.remove(batch)
  }

  /** A batch failed for good. `adjust`: the broker is known not to have written it, so its sequences are free. */
  failed(batch: ProducerBatch, error: string, adjust: boolean): void {
    const queue = batch.queue
    queue.sequences.remove(batch)
    if (error === 'OUT_OF_ORDER_SEQUENCE_NUMBER' && !this.#isTransactional) {
      this.#requestBump(queue)
    } else if (error === 'UNKNOWN_PRODUCER_ID') {
      queue.sequences.reset()
      this.#unresolved.delete(queue)
    } else if (adjust) {
      if (this.#isTransactional) queue.sequences.closeGap(batch)
      else this.#requestBump(queue)
    }
  }

  /** A batch that was sent expired: whether it was written is not known, so nor is which sequence comes next. */
  markUnresolved(batch: ProducerBatch): void {
    const next = incrementSequence(batch.lastSequence, 1)
    this.#unresolved.set(batch.queue, Math.max(this.#unresolved.get(batch.queue) ?? 0, next))
  }

  isUnresolved(queue: PartitionQueue): boolean {
    return this.#unresolved.has(queue)
  }

  /**
   * Partitions with nothing left in flight: either later batches were written, so the expired one was too, or not. Returns
   * true when a transactional producer is left with a gap.
   */
  resolveSequences(): boolean {
    let gap = false
    for (const queue of this.#unresolved.keys()) {
      const sequences = queue.sequences
      if (sequences.hasInFlight) continue
      if (!sequences.isNext(sequences.nextSequence)) {
        if (this.#isTransactional) gap = true
        else this.#requestBump(queue)
      }
      this.#unresolved.delete(queue)
    }
    return gap
  }

  /** Whether a batch with this error may be sent again; an idempotent producer may ask for another epoch on the way. */
  canRetry(batch: ProducerBatch, response: ProduceError): boolean {
    const queue = batch.queue
    if (response.errorCode === Errors.UNKNOWN_PRODUCER_ID) {
      if (response.logStartOffset === -1 || batch.sequenceHasBeenReset) return true
      if (!this.#isTransactional) {
        this.#requestBump(queue)
        return true
      }
      if (queue.sequences.lastAckedOffset >= response.logStartOffset) return false
      // Retention took what the producer had written, and the broker's memory of it: no need to give the transaction up.
      queue.sequences.startAtBeginning(this.#producerId, this.#producerEpoch)
      return true
    }
    if (response.errorCode === Errors.OUT_OF_ORDER_SEQUENCE_NUMBER) {
      const next = this.#unresolved.get(queue)
      if (next === undefined && (batch.sequenceHasBeenReset || !queue.sequences.isNext(batch.baseSequence))) return true
      if (this.#isTransactional) return false
      if (next === undefined || next === batch.baseSequence) this.#requestBump(queue)
      return true
    }
    return isRetriable(response.errorCode)
  }

  removeInFlight(batch: ProducerBatch): void {
    batch.queue.sequences.remove(batch)
  }

  #isStale(queue: PartitionQueue): boolean {
    return queue.sequences.producerId !== this.#producerId || queue.sequences.producerEpoch !== this.#producerEpoch
  }

  #requestBump(queue: PartitionQueue): void {
    this.#bumpRequired = true
    this.#toRewrite.add(queue)
  }
}
