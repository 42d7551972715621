/**
 * Where a leader gathers records until the raft thread writes them (Kafka's BatchAccumulator).
 *
 * Records appended together stay in one batch, so they are committed together or not at all. A batch is written when the
 * linger time since its first record has passed (wall clock), when a control batch follows, or when it is full. Offsets are
 * given at once: the accumulator belongs to one leader epoch, whose log nobody else appends to. What was not written when
 * the epoch ends is lost.
 */

import { assert } from '../kernel/errors.js'
import type { Bytes, Epoch, Millis, Offset } from '../kernel/units.js'
import { LONG_MAX } from '../kernel/units.js'
import type { NewRecord } from '../wire/record-batch.js'
import { BATCH_OVERHEAD, RecordBatch, recordSizeInBytes } from '../wire/record-batch.js'
import { QUORUM_CONSTANTS } from './quorum-config.js'
import { rememberDecoded } from './raft-listener.js'

/** How records become bytes and back; metadata/record-codec.ts has the one for metadata. */
export interface RecordCodec<T> {
  encode(record: T): Uint8Array
  /** @throws when the bytes are no record */
  decode(bytes: Uint8Array): T
}

export interface CompletedBatch<T> {
  readonly batch: RecordBatch
  /** Undefined for control batches. */
  readonly records: readonly T[] | undefined
}

export interface AccumulatorOptions<T> {
  readonly epoch: Epoch
  readonly baseOffset: Offset
  readonly lingerMs: Millis
  readonly codec: RecordCodec<T>
  readonly wallMs: () => Millis
}

export class BatchAccumulator<T> {
  readonly epoch: Epoch
  readonly #options: AccumulatorOptions<T>
  #nextOffset: Offset
  #completed: CompletedBatch<T>[] = []
  /** The batch that is filling; empty when there is none. */
  #records: T[] = []
  #encoded: NewRecord[] = []
  #sizeInBytes: Bytes = BATCH_OVERHEAD
  #baseOffset: Offset = 0
  #timestamp: Millis = 0
  #lingerDeadlineMs: Millis = LONG_MAX

  constructor(options: AccumulatorOptions<T>) {
    this.epoch = options.epoch
    this.#options = options
    this.#nextOffset = options.baseOffset
  }

  /** Appends `records` as one; returns the offset of the last. */
  append(records: readonly T[]): Offset {
    assert(records.length > 0, 'accumulator: nothing to append')
    assert(this.#completed.length < QUORUM_CONSTANTS.maxBatches, 'accumulator: too many batches wait')
    const nowMs = this.#options.wallMs()
    const values = records.map((record) => this.#options.codec.encode(record))
    const first = this.#encoded.length
    let added = this.#sizeOf(values, first)
    assert(BATCH_OVERHEAD + added <= QUORUM_CONSTANTS.maxBatchBytes, 'accumulator: too large for a batch', { added })
    if (this.#sizeInBytes + added > QUORUM_CONSTANTS.maxBatchBytes) {
      this.#completeCurrent()
      added = this.#sizeOf(values, 0)
    }
    if (this.#encoded.length === 0) {
      this.#baseOffset = this.#nextOffset
      this.#timestamp = nowMs
    }
    for (let i = 0; i < values.length; i++) {
      this.#records.push(records[i] as T)
      this.#encoded.push({ timestamp: this.#timestamp, key: null, value: values[i] as Uint8Array })
    }
    this.#sizeInBytes += added
    this.#nextOffset += values.length
    if (this.#lingerDeadlineMs === LONG_MAX) this.#lingerDeadlineMs = nowMs + this.#options.lingerMs
    return this.#nextOffset - 1
  }

  /** Appends a batch of control records by itself; what was appended before goes before it. */
  appendControl(records: readonly NewRecord[]): void {
    this.#completeCurrent()
    this.#lingerDeadlineMs = LONG_MAX
    const options = { baseOffset: this.#nextOffset, partitionLeaderEpoch: this.epoch, isControl: true }
    this.#completed.push({ batch: RecordBatch.build(options, records), records: undefined })
    this.#nextOffset += records.length
  }

  get isEmpty(): boolean {
    return this.#lingerDeadlineMs === LONG_MAX
  }

  /** Time until there is something to write (ms): 0 for now, LONG_MAX when nothing waits. */
  untilDrain(nowMs: Millis): Millis {
    if (this.#completed.length > 0) return 0
    return this.#lingerDeadlineMs === LONG_MAX ? LONG_MAX : Math.max(0, this.#lingerDeadlineMs - nowMs)
  }

  /** Everything appended so far, as batches. */
  drain(): readonly CompletedBatch<T>[] {
    this.#completeCurrent()
    this.#lingerDeadlineMs = LONG_MAX
    const drained = this.#completed
    this.#completed = []
    return drained
  }

  #sizeOf(values: readonly Uint8Array[], firstDelta: number): Bytes {
    let size = 0
    for (let i = 0; i < values.length; i++) {
      size += recordSizeInBytes({ timestamp: 0, key: null, value: values[i] as Uint8Array }, firstDelta + i, 0)
    }
    return size
  }

  #completeCurrent(): void {
    if (this.#encoded.length === 0) return
    const options = { baseOffset: this.#baseOffset, partitionLeaderEpoch: this.epoch }
    const batch = RecordBatch.build(options, this.#encoded)
    rememberDecoded(batch, this.#records)
    this.#completed.push({ batch, records: this.#records })
    this.#records = []
    this.#encoded = []
    this.#sizeInBytes = BATCH_OVERHEAD
  }
}
