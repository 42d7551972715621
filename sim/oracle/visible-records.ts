/**
 * What a consumer with isolation.level=read_committed finds in a log, told from its batches alone.
 *
 * Batches of transactions wait for their marker: COMMIT shows them, ABORT hides them for ever. Values are those of the workload: `p1/41`,
 * and `t1/7 <p1/41` for what was made of another record.
 */

import type { BatchView } from '../kernel/events.js'
import type { Offset } from '../kernel/units.js'
import type { Entry, ReplicaLog } from './log-model.js'

export interface VisibleRecord {
  readonly id: string
  /** Id of the record that it was made of; empty for none. */
  readonly source: string
  readonly offset: Offset
  /** Sequence of the append of its batch, and of its marker's, which is the same outside transactions. */
  readonly seq: number
  readonly shownAt: number
}

/** Records below the high watermark whose transaction was committed, in the order in which they became visible. */
export function visibleRecords(log: ReplicaLog): VisibleRecord[] {
  const visible: VisibleRecord[] = []
  const open = new Map<number, Entry[]>()
  for (const entry of log.entries) {
    if (entry.lastOffset >= log.highWatermark) break
    const { batch } = entry
    if (batch.isControl) {
      const shown = open.get(batch.producerId)
      open.delete(batch.producerId)
      if (isCommit(batch)) for (const one of shown ?? []) show(one, entry.seq, visible)
    } else if (!batch.isTransactional) show(entry, entry.seq, visible)
    else {
      const waiting = open.get(batch.producerId)
      if (waiting === undefined) open.set(batch.producerId, [entry])
      else waiting.push(entry)
    }
  }
  return visible
}

/** The key of a control record: version (2 bytes), type (2 bytes; ABORT 0, COMMIT 1). */
function isCommit(batch: BatchView): boolean {
  return batch.records()[0]?.key?.[3] === 1
}

function show({ baseOffset, batch, seq }: Entry, shownAt: number, into: VisibleRecord[]): void {
  for (const { offsetDelta, value } of batch.records()) {
    const [id = '', second = ''] = value === null ? [] : words(value)
    const source = second.startsWith('<') ? second.slice(1) : ''
    into.push({ id, source, offset: baseOffset + offsetDelta, seq, shownAt })
  }
}

/** The first two words of a text. */
function words(value: Uint8Array): string[] {
  const found: string[] = []
  let word = ''
  for (let at = 0; at < value.length && found.length < 2; at++) {
    const byte = value[at] as number
    if (byte === 0x20) {
      found.push(word)
      word = ''
    } else word += String.fromCharCode(byte)
  }
  if (word !== '') found.push(word)
  return found
}
