/**
 * One partition of the accumulator: its batches in the order in which they are sent, and what idempotence knows about it.
 */

import { partitionName } from '../kernel/names.js'
import type { ProducerBatch } from './producer-batch.js'
import { SequenceState } from './sequence-state.js'

export class PartitionQueue {
  readonly topic: string
  readonly index: number
  /** `orders-0`. */
  readonly name: string
  /** Not yet drained, or drained and come back; ordered by sequence where there is one. */
  readonly batches: ProducerBatch[] = []
  /** On their way to a broker, oldest first. */
  readonly inFlight: ProducerBatch[] = []
  readonly sequences: SequenceState
  /** Nothing is drained until the batch in flight is answered: the order guarantee of one request in flight. */
  muted = false

  constructor(topic: string, index: number) {
    this.topic = topic
    this.index = index
    this.name = partitionName(topic, index)
    this.sequences = new SequenceState(this.name)
  }
}
