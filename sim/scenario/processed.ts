/** The application is done with records that a poll gave it: what oracles and measures know of its work. */

import type { ConsumedRecord } from '../client/completed-fetch.js'
import { idOfRecord } from '../client/workload-record.js'
import type { Env } from '../kernel/env.js'
import { partitionName } from '../kernel/names.js'

/** One event for each run of records of one partition. */
export function emitProcessed(env: Env, records: readonly ConsumedRecord[]): void {
  for (let start = 0, end = 0; start < records.length; start = end) {
    const first = records[start] as ConsumedRecord
    const offsets: number[] = []
    const ids: string[] = []
    for (; end < records.length; end++) {
      const record = records[end] as ConsumedRecord
      if (record.topic !== first.topic || record.index !== first.index) break
      offsets.push(record.offset)
      ids.push(idOfRecord(record))
    }
    env.emit('consume.processed', { partition: partitionName(first.topic, first.index), offsets, ids })
  }
}
