/**
 * What an idempotent producer knows of one partition: which sequence comes next, what was acknowledged, and which batches
 * with a sequence have no final answer yet (Kafka's TxnPartitionEntry).
 *
 * Batches are kept in order of (producer id, epoch, first sequence), so that retries go out in sequence whatever the order
 * of the answers was.
 */

import { assert } from '../kernel/errors.js'
import type { Epoch, Offset } from '../kernel/units.js'
import { incrementSequence, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE } from '../wire/record-batch.js'
import type { ProducerBatch } from './producer-batch.js'

/** Nothing acknowledged yet. */
export const NO_ACKED_SEQUENCE = -1

export class SequenceState {
  readonly partition: string
  producerId: number = NO_PRODUCER_ID
  producerEpoch: Epoch = NO_PRODUCER_EPOCH
  nextSequence = 0
  lastAckedSequence: number = NO_ACKED_SEQUENCE
  /** Offset of the last record acknowledged; -1 for none. */
  lastAckedOffset: Offset = -1
  /** Batches with a sequence and without a final answer. */
  inFlight: ProducerBatch[] = []

  constructor(partition: string) {
    this.partition = partition
  }

  get hasInFlight(): boolean {
    return this.inFlight.length > 0
  }

  get firstInFlightSequence(): number {
    return this.inFlight[0]?.baseSequence ?? NO_SEQUENCE
  }

  /** True when `sequence` directly follows what was acknowledged. */
  isNext(sequence: number): boolean {
    return sequence - this.lastAckedSequence === 1
  }

  advance(count: number): void {
    this.nextSequence = incrementSequence(this.nextSequence, count)
  }

  add(batch: ProducerBatch): void {
    assert(batch.hasSequence, 'sequence state: batch without a sequence', { partition: this.partition })
    let at = this.inFlight.length
    while (at > 0 && precedes(batch, this.inFlight[at - 1] as ProducerBatch)) at--
    this.inFlight.splice(at, 0, batch)
  }

  remove(batch: ProducerBatch): void {
    const at = this.inFlight.indexOf(batch)
    if (at >= 0) this.inFlight.splice(at, 1)
  }

  acked(batch: ProducerBatch, baseOffset: Offset): void {
    // After a reset the answers to batches from before say nothing about what comes next.
    if (this.producerId !== NO_PRODUCER_ID) {
      this.lastAckedSequence = Math.max(this.lastAckedSequence, batch.lastSequence)
    }
    if (baseOffset >= 0) this.lastAckedOffset = Math.max(this.lastAckedOffset, baseOffset + batch.recordCount - 1)
  }

  /** A new identity: batches in flight are numbered again from 0, in their order. */
  startAtBeginning(producerId: number, producerEpoch: Epoch): void {
    let sequence = 0
    for (const batch of this.inFlight) {
      batch.resetProducerState(producerId, producerEpoch, sequence)
      sequence = incrementSequence(sequence, batch.recordCount)
    }
    this.producerId = producerId
    this.producerEpoch = producerEpoch
    this.nextSequence = sequence
    this.lastAckedSequence = NO_ACKED_SEQUENCE
  }

  /** A batch was refused, so that its sequences are free: those after it move up. */
  closeGap(failed: ProducerBatch): void {
    const next = this.nextSequence - failed.recordCount
    // Not numbered since the producer got another identity.
    if (next < 0) return
    this.nextSequence = next
    for (const batch of this.inFlight) {
      if (batch.baseSequence < failed.baseSequence) continue
      const { producerId, producerEpoch, baseSequence } = batch
      batch.resetProducerState(producerId, producerEpoch, baseSequence - failed.recordCount)
    }
  }

  /** Forgets everything but that the partition exists. */
  reset(): void {
    this.producerId = NO_PRODUCER_ID
    this.producerEpoch = NO_PRODUCER_EPOCH
    this.nextSequence = 0
    this.lastAckedSequence = NO_ACKED_SEQUENCE
    this.lastAckedOffset = -1
    this.inFlight = []
  }
}

function precedes(a: ProducerBatch, b: ProducerBatch): boolean {
  if (a.producerId !== b.producerId) return a.producerId < b.producerId
  if (a.producerEpoch !== b.producerEpoch) return a.producerEpoch < b.producerEpoch
  return a.baseSequence < b.baseSequence
}
