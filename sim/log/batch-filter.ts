/**
 * One record batch as compaction leaves it: whole, with fewer records, empty, or not at all.
 *
 *     rule            some records kept                        no record kept
 *     delete          –                                        batch goes, its records are not looked at
 *     delete-empty    batch with the records kept              batch goes
 *     retain-empty    batch with the records kept              header alone, without records
 *
 * A batch of which every record is kept is the very object that it was. A new one keeps base offset, last offset, leader
 * epoch, sequence and producer; only records, and with them base timestamp and size, change. The first time that a kept
 * tombstone (or the marker of a transaction without records) is met, the batch gets its delete horizon: now +
 * delete.retention.ms, in place of the base timestamp (KIP-534). Source: MemoryRecords.filterTo.
 */

import type { Millis } from '../kernel/units.js'
import { RecordBatch, type BatchOptions, type Record } from '../wire/record-batch.js'

export type BatchRetention = 'delete' | 'delete-empty' | 'retain-empty'

export interface BatchRule {
  readonly retention: BatchRetention
  /** A control batch whose transaction has no records left. */
  readonly marksEmptyTransaction: boolean
}

export interface BatchFilter {
  readonly nowMs: Millis
  readonly deleteRetentionMs: Millis
  ruleOf(batch: RecordBatch): BatchRule
  keeps(batch: RecordBatch, record: Record): boolean
}

/** What is left of `batch`; undefined when nothing is. @throws MalformedBytes when its records do not parse */
export function filterBatch(batch: RecordBatch, filter: BatchFilter): RecordBatch | undefined {
  const { retention, marksEmptyTransaction } = filter.ruleOf(batch)
  if (retention === 'delete') return undefined
  const records = batch.records()
  const kept: Record[] = []
  let hasTombstone = false
  for (let i = 0; i < records.length; i++) {
    const record = records[i] as Record
    if (!filter.keeps(batch, record)) continue
    kept.push(record)
    if (record.value === null) hasTombstone = true
  }
  if (kept.length === 0) return retention === 'retain-empty' ? emptied(batch) : undefined
  const needsHorizon = (hasTombstone || marksEmptyTransaction) && batch.deleteHorizonMs === undefined
  if (kept.length === records.length && !needsHorizon) return batch
  return reduced(batch, kept, needsHorizon ? filter.nowMs + filter.deleteRetentionMs : batch.deleteHorizonMs)
}

function emptied(batch: RecordBatch): RecordBatch {
  return RecordBatch.build({ ...identityOf(batch), maxTimestamp: batch.maxTimestamp }, [])
}

function reduced(batch: RecordBatch, kept: readonly Record[], deleteHorizonMs: Millis | undefined): RecordBatch {
  const horizon = deleteHorizonMs === undefined ? {} : { deleteHorizonMs }
  return RecordBatch.build({ ...identityOf(batch), ...horizon }, kept)
}

function identityOf(batch: RecordBatch): BatchOptions {
  return {
    baseOffset: batch.baseOffset,
    partitionLeaderEpoch: batch.partitionLeaderEpoch,
    lastOffsetDelta: batch.lastOffsetDelta,
    producerId: batch.producerId,
    producerEpoch: batch.producerEpoch,
    baseSequence: batch.baseSequence,
    isTransactional: batch.isTransactional,
    isControl: batch.isControl,
    ...(batch.timestampType === 'LogAppendTime' && { logAppendTime: batch.maxTimestamp }),
  }
}
