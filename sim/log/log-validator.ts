/**
 * Checks a client's or coordinator's batch and gives it its place in the log.
 *
 * The checks, in Kafka's order (LogValidator): one batch only; for clients the offset range and the count agree, no
 * control records, a sequence where there is a producer id; then each record: a key where the log is compacted, a
 * timestamp within `message.timestamp.before/after.max.ms` of the broker's clock, no LogAppendTime from a producer.
 * Offsets, leader epoch and, where the topic asks for it, the broker's time are set on a new header (and body, for the
 * time).
 */

import { LONG_MAX, type Epoch, type Millis, type Offset } from '../kernel/units.js'
import { Errors, type ErrorCode } from '../wire/errors.js'
import { MalformedBytes } from '../wire/primitives.js'
import { NO_TIMESTAMP, type RecordBatch, type Records } from '../wire/record-batch.js'
import type { AppendRefusal, RecordError } from './append-result.js'
import { isCompacted, type LogConfig } from './log-config.js'
import type { AppendOrigin } from './producer-state.js'

export type Validated =
  | AppendRefusal
  | { readonly error: 0; readonly batch: RecordBatch; readonly maxTimestamp: Millis; readonly logAppendTime: Millis }

/** The batch as it goes into the log at `offset`, or why it does not. */
export function validateAndAssign(
  batches: Records,
  offset: Offset,
  leaderEpoch: Epoch,
  origin: AppendOrigin,
  config: LogConfig,
  nowMs: Millis,
): Validated {
  const batch = batches[0] as RecordBatch
  if (batches.length > 1) return invalid('more than one record batch')
  if (origin === 'client') {
    const wrong = wrongBatch(batch)
    if (wrong !== undefined) return invalid(wrong)
  }
  const appendTime = config['message.timestamp.type'] === 'LogAppendTime'
  const refused = checkRecords(batch, appendTime, config, nowMs)
  if (refused !== undefined) return refused
  const placed = batch.withOffsets(offset, leaderEpoch)
  if (!appendTime) {
    return { error: 0, batch: placed, maxTimestamp: batch.maxTimestamp, logAppendTime: NO_TIMESTAMP }
  }
  return { error: 0, batch: placed.withLogAppendTime(nowMs), maxTimestamp: nowMs, logAppendTime: nowMs }
}

function wrongBatch(batch: RecordBatch): string | undefined {
  if (batch.lastOffset < batch.baseOffset) return `offset range [${batch.baseOffset}, ${batch.lastOffset}]`
  if (batch.count <= 0) return `count of records ${batch.count}`
  if (batch.lastOffsetDelta + 1 !== batch.count) {
    return `offset range [${batch.baseOffset}, ${batch.lastOffset}] with ${batch.count} records`
  }
  if (batch.isControl) return 'clients may not write control records'
  if (batch.hasProducerId && batch.baseSequence < 0) return `sequence ${batch.baseSequence} with a producer id`
  return undefined
}

function checkRecords(
  batch: RecordBatch,
  appendTime: boolean,
  config: LogConfig,
  nowMs: Millis,
): AppendRefusal | undefined {
  const before = config['message.timestamp.before.max.ms']
  const after = config['message.timestamp.after.max.ms']
  const keyed = isCompacted(config)
  // The header has the greatest timestamp: without a lower bound and keys to check no record need be seen.
  const aheadOfTime = !appendTime && batch.maxTimestamp - nowMs > after
  const stamped = batch.timestampType === 'LogAppendTime'
  if (!keyed && !aheadOfTime && !stamped && (appendTime || before === LONG_MAX)) return undefined

  const errors: RecordError[] = []
  let error: ErrorCode = Errors.INVALID_RECORD
  try {
    batch.records().forEach((record, batchIndex) => {
      if (keyed && record.key === null) {
        errors.push({ batchIndex, message: 'compacted topic cannot accept a record without key' })
        return
      }
      const checked = !appendTime && record.timestamp !== NO_TIMESTAMP
      const ahead = record.timestamp - nowMs
      const wrong = checked
        ? -ahead > before || ahead > after
          ? `timestamp ${record.timestamp} is out of [${nowMs - before}, ${nowMs + after}]`
          : undefined
        : stamped
          ? 'producers may not set timestamp type LogAppendTime'
          : undefined
      if (wrong === undefined) return
      error = Errors.INVALID_TIMESTAMP
      errors.push({ batchIndex, message: wrong })
    })
  } catch (cause) {
    if (!(cause instanceof MalformedBytes)) throw cause
    return invalid(cause.message)
  }
  if (errors.length === 0) return undefined
  return { error, message: `${errors.length} records refused: ${errors[0]?.message}`, recordErrors: errors }
}

function invalid(message: string): AppendRefusal {
  return { error: Errors.INVALID_RECORD, message }
}
