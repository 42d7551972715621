/**
 * The identity of an idempotent producer and the sequences of its partitions (the idempotent part of Kafka's
 * TransactionManager; KIP-98, KIP-360).
 *
 *     uninitialized ── InitProducerId sent ──► initializing ── answered ──► ready
 *           ▲                                      │                          │
 *           └───────── epoch used up ──────────────┼──────────────────────────┘
 *                                                  └── refused for good ──► fatal
 *
 * When a partition's sequence has a gap that can no longer be filled, the epoch is raised here, without asking a broker: the
 * batches in flight of the partitions that asked for it are numbered again from 0, other partitions take the new epoch
 * once nothing of theirs is in flight. Transactions will add their states here; nothing but this file knows how an
 * identity comes to be.
 */

import type { Env } from '../kernel/env.js'
import type { Epoch, Offset } from '../kernel/units.js'
import { Errors, errorName, isRetriable, type ErrorCode } from '../wire/errors.js'
import { NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, incrementSequence } from '../wire/record-batch.js'
import type { PartitionQueue } from './partition-queue.js'
import type { ProducerBatch } from './producer-batch.js'

/** Short.MAX_VALUE: the last epoch of a producer id. */
const LAST_EPOCH = 32_767

export type IdentityState = 'uninitialized' | 'initializing' | 'ready' | 'fatal'

/** What a produce response says that matters for retrying. */
export interface ProduceError {
  readonly errorCode: ErrorCode
  /** -1: not known. */
  readonly logStartOffset: Offset
}

export class Idempotence {
  readonly #env: Env
  #state: IdentityState = 'uninitialized'
  #producerId: number = NO_PRODUCER_ID
  #producerEpoch: Epoch = NO_PRODUCER_EPOCH
  #fatalError: string | undefined
  #bumpRequired = false
  readonly #toRewrite = new Set<PartitionQueue>()
  /** Partition → the sequence after the batch that expired without an answer. */
  readonly #unresolved = new Map<PartitionQueue, number>()

  constructor(env: Env) {
    this.#env = env
  }

  get state(): IdentityState {
    return this.#state
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

  /** Kafka's name of the error after which nothing more is sent. */
  get fatalError(): string | undefined {
    return this.#fatalError
  }

  /** Raises the epoch if that was asked for. Returns true when an identity must be fetched now. */
  prepare(): boolean {
    if (this.#bumpRequired) this.#bumpEpoch()
    if (this.#state !== 'uninitialized') return false
    this.#state = 'initializing'
    return true
  }

  /** The answer to InitProducerId. Returns false when it must be sent again. */
  initialized(error: ErrorCode, producerId: number, producerEpoch: Epoch): boolean {
    if (error === Errors.NONE) {
      this.#state = 'ready'
      this.#setIdentity(producerId, producerEpoch, 'init')
      return true
    }
    if (isRetriable(error)) return false
    this.#fail(errorName(error))
    return true
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
    if (FATAL_ERRORS.has(error)) this.#fail(error)
    batch.queue.sequences.remove(batch)
    if (this.#state === 'fatal') return
    if (error === 'OUT_OF_ORDER_SEQUENCE_NUMBER') {
      this.#requestBump(batch.queue)
    } else if (error === 'UNKNOWN_PRODUCER_ID') {
      batch.queue.sequences.reset()
      this.#unresolved.delete(batch.queue)
    } else if (adjust) {
      this.#requestBump(batch.queue)
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

  /** Partitions with nothing left in flight: either later batches were written, so the expired one was too, or not. */
  resolveSequences(): void {
    for (const queue of this.#unresolved.keys()) {
      const sequences = queue.sequences
      if (sequences.hasInFlight) continue
      if (!sequences.isNext(sequences.nextSequence)) this.#requestBump(queue)
      this.#unresolved.delete(queue)
    }
  }

  /** Whether a batch with this error may be sent again; may ask for another epoch on the way. */
  canRetry(batch: ProducerBatch, response: ProduceError): boolean {
    const queue = batch.queue
    if (response.errorCode === Errors.UNKNOWN_PRODUCER_ID) {
      if (response.logStartOffset === -1 || batch.sequenceHasBeenReset) return true
      this.#requestBump(queue)
      return true
    }
    if (response.errorCode === Errors.OUT_OF_ORDER_SEQUENCE_NUMBER) {
      const next = this.#unresolved.get(queue)
      if (next === undefined && (batch.sequenceHasBeenReset || !queue.sequences.isNext(batch.baseSequence))) return true
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

  #bumpEpoch(): void {
    if (this.#producerEpoch === LAST_EPOCH) {
      this.#state = 'uninitialized'
      this.#setIdentity(NO_PRODUCER_ID, NO_PRODUCER_EPOCH, 'epochs used up')
    } else {
      this.#setIdentity(this.#producerId, this.#producerEpoch + 1, 'epoch bump')
    }
    for (const queue of this.#toRewrite) {
      queue.sequences.startAtBeginning(this.#producerId, this.#producerEpoch)
      this.#unresolved.delete(queue)
    }
    this.#toRewrite.clear()
    this.#bumpRequired = false
  }

  #setIdentity(producerId: number, producerEpoch: Epoch, reason: string): void {
    this.#producerId = producerId
    this.#producerEpoch = producerEpoch
    this.#env.emit('producer.identity', { producerId, producerEpoch, reason })
  }

  #fail(error: string): void {
    this.#state = 'fatal'
    this.#fatalError = error
  }
}

/** TransactionManager.maybeTransitionToErrorState. */
const FATAL_ERRORS: ReadonlySet<string> = new Set([
  'CLUSTER_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  'PRODUCER_FENCED',
  'UNSUPPORTED_VERSION',
  'INVALID_PRODUCER_ID_MAPPING',
])
