/**
 * What a log knows of one producer, and the check of its next batches.
 *
 * For each producer id: its epoch, the last five batches (sequences and offsets), the offset at which its open
 * transaction began, and the epoch of the coordinator that wrote its last marker. Rules for a data batch (KIP-98,
 * KIP-360, KIP-890):
 *
 *     epoch below the known one                    INVALID_PRODUCER_EPOCH (replicas take it as it is)
 *     another epoch, first sequence not 0          OUT_OF_ORDER_SEQUENCE_NUMBER, unless no epoch was known
 *     same epoch, not last sequence + 1 (wraps)    OUT_OF_ORDER_SEQUENCE_NUMBER, unless no epoch was known
 *     no transaction in it while one is open       INVALID_TXN_STATE
 *
 * Sequences are checked for clients only. A `ProducerAppend` collects what an append would change; nothing is changed
 * until it is taken over. Source: ProducerStateEntry, BatchMetadata, ProducerAppendInfo, VerificationStateEntry.
 */

import { INT_MAX, type Epoch, type Millis, type Offset } from '../kernel/units.js'
import { Errors } from '../wire/errors.js'
import { decrementSequence, NO_PRODUCER_EPOCH, NO_SEQUENCE, NO_TIMESTAMP } from '../wire/record-batch.js'
import type { Refusal } from './append-result.js'

/** Batches remembered for each producer, to know a retried one again. */
const BATCHES_MAX = 5

export type AppendOrigin = 'client' | 'coordinator' | 'raft-leader' | 'replication'

export interface BatchMetadata {
  readonly lastSequence: number
  readonly lastOffset: Offset
  readonly offsetDelta: number
  readonly timestamp: Millis
}

/** A transaction from its first record on; `lastOffset` is its marker's, once there is one. */
export interface TxnMetadata {
  readonly producerId: number
  readonly firstOffset: Offset
  lastOffset: Offset | undefined
}

export interface CompletedTxn {
  readonly producerId: number
  readonly firstOffset: Offset
  /** Offset of the marker. */
  readonly lastOffset: Offset
  readonly aborted: boolean
}

export class ProducerStateEntry {
  readonly producerId: number
  producerEpoch: number
  coordinatorEpoch: number
  lastTimestamp: Millis
  /** -1 while no transaction is open. */
  currentTxnFirstOffset: Offset
  /** Oldest first. */
  batches: BatchMetadata[]

  constructor(
    producerId: number,
    producerEpoch = NO_PRODUCER_EPOCH,
    coordinatorEpoch = -1,
    lastTimestamp: Millis = NO_TIMESTAMP,
    currentTxnFirstOffset: Offset = -1,
    batch?: BatchMetadata,
  ) {
    this.producerId = producerId
    this.producerEpoch = producerEpoch
    this.coordinatorEpoch = coordinatorEpoch
    this.lastTimestamp = lastTimestamp
    this.currentTxnFirstOffset = currentTxnFirstOffset
    this.batches = batch === undefined ? [] : [batch]
  }

  get isEmpty(): boolean {
    return this.batches.length === 0
  }

  get firstSequence(): number {
    const first = this.batches[0]
    return first === undefined ? NO_SEQUENCE : firstSequenceOf(first)
  }

  get lastSequence(): number {
    return this.batches[this.batches.length - 1]?.lastSequence ?? NO_SEQUENCE
  }

  /** -1 when no batch is known. */
  get lastDataOffset(): Offset {
    return this.batches[this.batches.length - 1]?.lastOffset ?? -1
  }

  get lastOffsetDelta(): number {
    return this.batches[this.batches.length - 1]?.offsetDelta ?? 0
  }

  addBatch(producerEpoch: number, batch: BatchMetadata): void {
    this.#takeEpoch(producerEpoch)
    this.#push(batch)
    this.lastTimestamp = batch.timestamp
  }

  /** A marker ended the open transaction. */
  endTransaction(producerEpoch: number, coordinatorEpoch: Epoch, timestamp: Millis): void {
    this.#takeEpoch(producerEpoch)
    this.coordinatorEpoch = coordinatorEpoch
    this.currentTxnFirstOffset = -1
    this.lastTimestamp = timestamp
  }

  /** Takes over what an append changed. */
  update(next: ProducerStateEntry): void {
    this.#takeEpoch(next.producerEpoch)
    for (const batch of next.batches) this.#push(batch)
    this.coordinatorEpoch = next.coordinatorEpoch
    this.currentTxnFirstOffset = next.currentTxnFirstOffset
    this.lastTimestamp = next.lastTimestamp
  }

  /** The batch that was already appended with exactly these sequences in this epoch. */
  findDuplicate(producerEpoch: number, firstSequence: number, lastSequence: number): BatchMetadata | undefined {
    if (producerEpoch !== this.producerEpoch) return undefined
    for (const batch of this.batches) {
      if (batch.lastSequence === lastSequence && firstSequenceOf(batch) === firstSequence) return batch
    }
    return undefined
  }

  #takeEpoch(producerEpoch: number): void {
    if (this.producerEpoch === producerEpoch) return
    this.batches = []
    this.producerEpoch = producerEpoch
  }

  #push(batch: BatchMetadata): void {
    if (this.batches.length === BATCHES_MAX) this.batches.shift()
    this.batches.push(batch)
  }
}

export function firstSequenceOf(batch: BatchMetadata): number {
  return decrementSequence(batch.lastSequence, batch.offsetDelta)
}

/** A transaction that the coordinator is being asked about before its first append (KIP-890). */
export class VerificationState {
  readonly timestamp: Millis
  readonly supportsEpochBump: boolean
  lowestSequence: number
  epoch: number

  constructor(timestamp: Millis, sequence: number, epoch: number, supportsEpochBump: boolean) {
    this.timestamp = timestamp
    this.lowestSequence = sequence
    this.epoch = epoch
    this.supportsEpochBump = supportsEpochBump
  }

  lower(sequence: number, epoch: number): void {
    if (epoch === this.epoch && sequence < this.lowestSequence) this.lowestSequence = sequence
    if (epoch > this.epoch) {
      this.epoch = epoch
      this.lowestSequence = sequence
    }
  }
}

/** The marker that a control batch holds. */
export interface EndTxnMarker {
  readonly aborted: boolean
  readonly coordinatorEpoch: Epoch
}

/** What one append would change for one producer. */
export class ProducerAppend {
  readonly producerId: number
  /** The state after the append: only new batches, everything else complete. */
  readonly updated: ProducerStateEntry
  readonly started: TxnMetadata[] = []
  readonly #current: ProducerStateEntry
  readonly #origin: AppendOrigin
  readonly #verification: VerificationState | undefined

  constructor(
    producerId: number,
    current: ProducerStateEntry | undefined,
    origin: AppendOrigin,
    verification: VerificationState | undefined,
  ) {
    this.producerId = producerId
    this.#current = current ?? new ProducerStateEntry(producerId)
    this.#origin = origin
    this.#verification = verification
    const { producerEpoch, coordinatorEpoch, lastTimestamp, currentTxnFirstOffset } = this.#current
    this.updated = new ProducerStateEntry(
      producerId,
      producerEpoch,
      coordinatorEpoch,
      lastTimestamp,
      currentTxnFirstOffset,
    )
  }

  appendData(
    epoch: number,
    firstSequence: number,
    lastSequence: number,
    timestamp: Millis,
    firstOffset: Offset,
    lastOffset: Offset,
    isTransactional: boolean,
  ): Refusal | undefined {
    const refusal =
      this.#checkEpoch(epoch, firstOffset) ??
      (this.#origin === 'client' ? this.#checkSequence(epoch, firstSequence, firstOffset) : undefined)
    if (refusal !== undefined) return refusal
    this.updated.addBatch(epoch, { lastSequence, lastOffset, offsetDelta: lastOffset - firstOffset, timestamp })
    const open = this.updated.currentTxnFirstOffset
    if (open >= 0 && !isTransactional) {
      return {
        error: Errors.INVALID_TXN_STATE,
        message: `producer ${this.producerId} has a transaction open since offset ${open}, offset ${firstOffset} is not part of one`,
      }
    }
    if (open < 0 && isTransactional) {
      this.updated.currentTxnFirstOffset = firstOffset
      this.started.push({ producerId: this.producerId, firstOffset, lastOffset: undefined })
    }
    return undefined
  }

  /** The transaction that the marker ends, if one is open. */
  appendMarker(
    marker: EndTxnMarker,
    epoch: number,
    offset: Offset,
    timestamp: Millis,
  ): Refusal | CompletedTxn | undefined {
    const refusal = this.#checkEpoch(epoch, offset) ?? this.#checkCoordinator(marker, offset)
    if (refusal !== undefined) return refusal
    const firstOffset = this.updated.currentTxnFirstOffset
    this.updated.endTransaction(epoch, marker.coordinatorEpoch, timestamp)
    if (firstOffset < 0) return undefined
    return { producerId: this.producerId, firstOffset, lastOffset: offset, aborted: marker.aborted }
  }

  #checkEpoch(epoch: number, offset: Offset): Refusal | undefined {
    if (epoch >= this.updated.producerEpoch || this.#origin === 'replication') return undefined
    return {
      error: Errors.INVALID_PRODUCER_EPOCH,
      message: `epoch ${epoch} of producer ${this.producerId} at offset ${offset} is below the last seen ${this.updated.producerEpoch}`,
    }
  }

  #checkCoordinator(marker: EndTxnMarker, offset: Offset): Refusal | undefined {
    const known = this.updated.coordinatorEpoch
    if (known <= marker.coordinatorEpoch || this.#origin === 'replication') return undefined
    return {
      error: Errors.TRANSACTION_COORDINATOR_FENCED,
      message: `marker of producer ${this.producerId} at offset ${offset}: coordinator epoch ${marker.coordinatorEpoch} is below ${known}`,
    }
  }

  #checkSequence(epoch: number, first: number, offset: Offset): Refusal | undefined {
    const verification = this.#verification
    if (verification !== undefined) {
      if (verification.supportsEpochBump && first !== 0 && this.#current.isEmpty) {
        return this.#outOfOrder(offset, `sequence ${first} where none is known, expected 0`)
      }
      if (first > verification.lowestSequence) {
        return this.#outOfOrder(offset, `sequence ${first}, earliest seen ${verification.lowestSequence}`)
      }
    }
    const known = this.updated.producerEpoch
    if (epoch !== known) {
      if (first === 0 || known === NO_PRODUCER_EPOCH) return undefined
      return this.#outOfOrder(offset, `epoch ${epoch} begins with sequence ${first}, last seen epoch ${known}`)
    }
    const last = this.#lastSequence(epoch)
    if (this.#current.producerEpoch === NO_PRODUCER_EPOCH || follows(last, first)) return undefined
    return this.#outOfOrder(offset, `sequence ${first}, last ${last}`)
  }

  #lastSequence(epoch: number): number {
    if (!this.updated.isEmpty) return this.updated.lastSequence
    return epoch === this.#current.producerEpoch ? this.#current.lastSequence : NO_SEQUENCE
  }

  #outOfOrder(offset: Offset, what: string): Refusal {
    return {
      error: Errors.OUT_OF_ORDER_SEQUENCE_NUMBER,
      message: `producer ${this.producerId} at offset ${offset}: ${what}`,
    }
  }
}

function follows(last: number, next: number): boolean {
  return next === last + 1 || (next === 0 && last === INT_MAX)
}
