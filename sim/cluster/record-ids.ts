/**
 * The workload's records inside a batch seen in the trace, for triggers and reports.
 */

import { idOfRecord } from '../client/workload-record.js'
import type { BatchView, RecordId } from '../kernel/events.js'
import { RecordBatch } from '../wire/record-batch.js'

/** Ids of the workload records in `batch`, in order; records of no workload are left out. */
export function recordIdsOf(batch: BatchView): readonly RecordId[] {
  if (!(batch instanceof RecordBatch) || batch.isControl) return []
  const ids: RecordId[] = []
  for (const record of batch.records()) {
    const id = idOfRecord(record)
    if (id !== '') ids.push(id)
  }
  return ids
}
