/**
 * The look at what is to be appended before anything is done: Kafka's UnifiedLog.analyzeAndValidateRecords.
 *
 *     raft leader, batch of another epoch             INVALID_RECORD
 *     client, base offset not 0                       INVALID_RECORD
 *     replica, batch of an epoch above the replica's  it and all after it are left out (KAFKA-18723)
 *     not from a replica, above max.message.bytes     MESSAGE_TOO_LARGE
 *     CRC does not match                              CORRUPT_MESSAGE
 *     replica, batch without an epoch                 UNKNOWN_SERVER_ERROR (an exception without a code in Kafka)
 *     offsets given by the sender do not increase     `out-of-order`
 */

import type { Bytes, Epoch, Millis, Offset } from '../kernel/units.js'
import { Errors } from '../wire/errors.js'
import { NO_TIMESTAMP, type RecordBatch, type Records } from '../wire/record-batch.js'
import type { AppendRefusal } from './append-result.js'
import type { AppendOrigin } from './producer-state.js'

export interface Analysis {
  readonly error: 0
  /** Those to be appended. */
  readonly batches: Records
  /** -1 when there are none; likewise `lastOffset`. */
  readonly firstOffset: Offset
  readonly lastOffset: Offset
  readonly maxTimestamp: Millis
  readonly sizeInBytes: Bytes
}

/** A refusal of the batches; `corrupt` is the one whose CRC does not match. */
export interface AnalysisRefusal extends AppendRefusal {
  readonly corrupt?: RecordBatch
}

export function analyzeAppend(
  batches: Records,
  origin: AppendOrigin,
  leaderEpoch: Epoch,
  maxMessageBytes: Bytes,
): Analysis | AnalysisRefusal {
  const placed = origin === 'replication' || origin === 'raft-leader'
  let lastOffset = -1
  let maxTimestamp = NO_TIMESTAMP
  let sizeInBytes = 0
  let count = 0
  for (let i = 0; i < batches.length; i++) {
    const batch = batches[i] as RecordBatch
    if (origin === 'raft-leader' && batch.partitionLeaderEpoch !== leaderEpoch) {
      return invalid(`batch of epoch ${batch.partitionLeaderEpoch} from the leader of ${leaderEpoch}`)
    }
    if (origin === 'client' && batch.baseOffset !== 0) {
      return invalid(`base offset of the batch should be 0, but it is ${batch.baseOffset}`)
    }
    if (origin === 'replication') {
      if (batch.partitionLeaderEpoch > leaderEpoch) break
      if (batch.partitionLeaderEpoch < 0) return invalidEpoch(batch)
    }
    if (placed && batch.lastOffset <= lastOffset) {
      const firstOffset = (batches[0] as RecordBatch).baseOffset
      const message = `offsets do not increase: ${batch.lastOffset} after ${lastOffset}`
      return {
        error: Errors.UNKNOWN_SERVER_ERROR,
        kind: 'out-of-order',
        message,
        firstOffset,
        lastOffset: batch.lastOffset,
      }
    }
    lastOffset = batch.lastOffset
    const size = batch.sizeInBytes
    if (origin !== 'replication' && size > maxMessageBytes) {
      return {
        error: Errors.MESSAGE_TOO_LARGE,
        message: `batch of ${size} bytes, at most ${maxMessageBytes} are allowed`,
      }
    }
    if (!batch.isValid()) {
      return { error: Errors.CORRUPT_MESSAGE, message: `CRC ${batch.crc} does not match`, corrupt: batch }
    }
    if (batch.maxTimestamp > maxTimestamp) maxTimestamp = batch.maxTimestamp
    sizeInBytes += size
    count++
  }
  return {
    error: 0,
    batches: count === batches.length ? batches : batches.slice(0, count),
    firstOffset: count === 0 ? -1 : (batches[0] as RecordBatch).baseOffset,
    lastOffset,
    maxTimestamp,
    sizeInBytes,
  }
}

function invalid(message: string): AppendRefusal {
  return { error: Errors.INVALID_RECORD, message }
}

function invalidEpoch(batch: RecordBatch): AppendRefusal {
  return {
    error: Errors.UNKNOWN_SERVER_ERROR,
    message: `leader epoch ${batch.partitionLeaderEpoch} in a replicated batch`,
  }
}
