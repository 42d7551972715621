/** A record batch in words: `0–2: a b! c, producer 7/0 seq 0–2, in a transaction`. */

import { parseControlRecord } from '../../sim/wire/control-record.js'
import type { RecordBatch } from '../../sim/wire/record-batch.js'
import { NOW } from './cleaning-lab.js'

const decoder = new TextDecoder()

export function batchWords(batch: RecordBatch): string {
  const { baseOffset, lastOffset, producerId, producerEpoch, baseSequence, lastSequence, deleteHorizonMs } = batch
  const words = batch
    .records()
    .map((record) => {
      const { offsetDelta, key, value } = record
      if (batch.isControl) return parseControlRecord(record)?.type ?? 'control'
      const name = key === null ? '-' : decoder.decode(key)
      // Offsets are told where they do not follow one another.
      const isWhole = batch.records().length === lastOffset - baseOffset + 1
      return `${isWhole ? '' : `${baseOffset + offsetDelta}=`}${name}${value === null ? '!' : ''}`
    })
    .join(' ')
  return [
    `${baseOffset === lastOffset ? baseOffset : `${baseOffset}–${lastOffset}`}: ${words || 'empty'}`,
    ...(producerId < 0 ? [] : [`producer ${producerId}/${producerEpoch}`]),
    ...(baseSequence < 0 ? [] : [`seq ${baseSequence}–${lastSequence}`]),
    ...(batch.isTransactional && !batch.isControl ? ['in a transaction'] : []),
    ...(batch.isControl && words === '' ? ['control'] : []),
    ...(deleteHorizonMs === undefined ? [] : [`horizon ${(deleteHorizonMs - NOW) / 1_000}s`]),
  ].join(', ')
}
