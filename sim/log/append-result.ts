/**
 * What an append comes to. Kafka's exceptions are codes here; two of them have none and carry a `kind` instead, for the
 * follower that has to decide on them (OffsetsOutOfOrderException, UnexpectedAppendOffsetException). Source:
 * LogAppendInfo.
 */

import type { Bytes, Millis, Offset } from '../kernel/units.js'
import type { ErrorCode } from '../wire/errors.js'

/** Kafka's code, and the cause for people. */
export interface Refusal {
  readonly error: ErrorCode
  readonly message: string
}

/** A record that was not taken, by its index in the batch. */
export interface RecordError {
  readonly batchIndex: number
  readonly message: string
}

export interface AppendRefusal extends Refusal {
  /** Which records, where the error is theirs. */
  readonly recordErrors?: readonly RecordError[]
  readonly kind?: 'out-of-order' | 'unexpected-offset'
  /** Offsets of the batches refused, with a `kind`. */
  readonly firstOffset?: Offset
  readonly lastOffset?: Offset
}

export interface Appended {
  readonly error: 0
  /** -1 when there was nothing to append; likewise `lastOffset`. */
  readonly firstOffset: Offset
  readonly lastOffset: Offset
  readonly maxTimestamp: Millis
  /** -1 unless the topic stamps records with the broker's time. */
  readonly logAppendTime: Millis
  readonly sizeInBytes: Bytes
  /** A retry of a batch that is in the log already; the offsets are those it has. */
  readonly duplicate?: true
  /** Kafka would block here until the disk has it: wait for `afterFlush`. */
  readonly flushing: boolean
}

export type AppendResult = AppendRefusal | Appended

export function isRefused(result: object): result is Refusal {
  return 'message' in result
}
