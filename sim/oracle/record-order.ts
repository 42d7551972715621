/**
 * The order of records in the committed log: `no-duplicates`, `no-reordering`, `offsets-dense`.
 *
 * An idempotent producer's records stand in the log at most once and, within one producer id, in the order in which they were sent. For other
 * producers the same is counted and reported as what idempotence would have prevented. Offsets of committed batches follow on
 * one another without a gap.
 */

import type { TraceEvent } from '../kernel/events.js'
import { Findings } from './findings.js'
import type { Entry } from './log-model.js'
import type { PromiseKeeper } from './promises.js'

interface Client {
  /** Numbers of this client's records that were committed. */
  readonly seen: Set<number>
  /** Producer id → number of the last record committed. */
  readonly last: Map<number, number>
}

interface PartitionOrder {
  nextOffset: number
  readonly clients: Map<string, Client>
}

export class RecordOrder {
  readonly duplicates = new Findings('no-duplicates')
  readonly reordering = new Findings('no-reordering')
  readonly dense = new Findings('offsets-dense')
  readonly #partitions = new Map<string, PartitionOrder>()
  readonly #promises: PromiseKeeper

  constructor(promises: PromiseKeeper) {
    this.#promises = promises
  }

  forget(partition: string): void {
    this.#partitions.delete(partition)
  }

  /** A batch became part of the committed log, in order. */
  committed(partition: string, entry: Entry, event: TraceEvent): void {
    let state = this.#partitions.get(partition)
    if (state === undefined)
      this.#partitions.set(partition, (state = { nextOffset: entry.baseOffset, clients: new Map() }))
    this.dense.checks++
    if (entry.baseOffset > state.nextOffset) {
      const message = `${partition}: no record at offsets ${state.nextOffset} to ${entry.baseOffset - 1}`
      this.dense.add(
        `${partition}@${state.nextOffset}`,
        message,
        event.time,
        [entry.seq, event.seq],
        this.#promises.excuse(partition),
      )
    }
    state.nextOffset = entry.lastOffset + 1
    if (entry.batch.isControl) return
    for (const record of entry.batch.records()) {
      const id = recordId(record.value)
      if (id !== undefined) this.#record(partition, state, entry, entry.baseOffset + record.offsetDelta, id, event)
    }
  }

  #record(
    partition: string,
    state: PartitionOrder,
    entry: Entry,
    offset: number,
    id: { client: string; number: number },
    event: TraceEvent,
  ): void {
    let client = state.clients.get(id.client)
    if (client === undefined) state.clients.set(id.client, (client = { seen: new Set(), last: new Map() }))
    const { producerId } = entry.batch
    const subject = `${partition}@${offset}`
    const evidence = [entry.seq, event.seq]
    const excuse = producerId < 0 ? 'enable.idempotence=false' : this.#promises.excuse(partition)
    this.duplicates.checks++
    if (client.seen.has(id.number)) {
      this.duplicates.add(subject, `${subject} holds ${id.client}/${id.number} once more`, event.time, evidence, excuse)
      return
    }
    client.seen.add(id.number)
    const last = client.last.get(producerId)
    this.reordering.checks++
    if (last !== undefined && id.number < last) {
      const message = `${subject} holds ${id.client}/${id.number} after ${id.client}/${last}`
      this.reordering.add(subject, message, event.time, evidence, excuse)
    } else client.last.set(producerId, id.number)
  }
}

/** `p1/41 …` → client p1, number 41; undefined for records of no workload. */
export function recordId(value: Uint8Array | null): { client: string; number: number } | undefined {
  if (value === null) return undefined
  let slash = -1
  let end = 0
  for (; end < value.length && value[end] !== 0x20; end++) {
    if (value[end] === 0x2f) slash = end
    else if (slash >= 0 && !isDigit(value[end] as number)) return undefined
  }
  if (slash <= 0 || slash === end - 1) return undefined
  let client = ''
  for (let at = 0; at < slash; at++) client += String.fromCharCode(value[at] as number)
  let number = 0
  for (let at = slash + 1; at < end; at++) number = number * 10 + (value[at] as number) - 0x30
  return { client, number }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}
