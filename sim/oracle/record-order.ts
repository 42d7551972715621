/**
 * The order of records in the committed log: `no-duplicates`, `no-reordering`, `offsets-dense`.
 *
 * An idempotent producer's records stand in the log at most once and, within one producer id, in the order in which they were sent. For
 * other producers the same is counted and reported as what idempotence would have prevented. Offsets of committed batches
 * follow on one another without a gap, but for what compaction took away. What an election took out of the committed log is forgotten: it may be sent again.
 *
 * One duplicate Kafka does not exclude: snapshots of producer state hold the last batch of each producer (`ProducerStateEntry`), so a
 * leader that was restarted does not know the retry of an earlier one; it answers OUT_OF_ORDER_SEQUENCE_NUMBER, and the producer
 * sends it again with a new epoch (KIP-360). That is told as a loss; within one producer epoch there is no excuse.
 */

import type { TraceEvent } from '../kernel/events.js'
import type { Offset } from '../kernel/units.js'
import type { CompactionModel } from './compaction-model.js'
import { Findings } from './findings.js'
import type { Entry, ReplicaLog } from './log-model.js'

interface Client {
  readonly name: string
  /** Numbers of this client's records that were committed → offset. */
  readonly seen: Map<number, Offset>
  /** Producer id → number of the last record committed. */
  readonly last: Map<number, number>
}

interface PartitionOrder {
  nextOffset: Offset
  readonly clients: Map<string, Client>
  /** Whose record was seen last: most often the next one's too. */
  recent: Client | undefined
}

export class RecordOrder {
  readonly duplicates = new Findings('no-duplicates')
  readonly reordering = new Findings('no-reordering')
  readonly dense = new Findings('offsets-dense')
  readonly #partitions = new Map<string, PartitionOrder>()
  readonly #compaction: CompactionModel
  /** `p1 orders-0`: a record of that producer failed, and may be in the log. */
  readonly #gaveUp = new Set<string>()

  constructor(compaction: CompactionModel) {
    this.#compaction = compaction
  }

  forget(partition: string): void {
    this.#partitions.delete(partition)
  }

  /** A batch of `log` became part of the committed log, in order; nothing below its start is asked for. */
  committed(log: ReplicaLog, entry: Entry, event: TraceEvent): void {
    const { partition } = log
    const state = this.#state(partition, entry)
    this.dense.checks++
    const expected = Math.max(state.nextOffset, log.logStart)
    if (entry.baseOffset > expected && entry.baseOffset > this.#compaction.cleanedTo(partition)) {
      const message = `${partition}: no record at offsets ${expected} to ${entry.baseOffset - 1}`
      this.dense.add(`${partition}@${expected}`, message, event.time, [entry.seq, event.seq])
    }
    state.nextOffset = entry.lastOffset + 1
    if (entry.batch.isControl) return
    const records = entry.batch.records()
    for (let i = 0; i < records.length; i++) {
      const { offsetDelta, value, headers } = records[i] as (typeof records)[number]
      const named = value ?? headers?.[0]?.value
      const id = named == null ? undefined : recordId(named, state)
      if (id !== undefined) this.#record(log, id, entry, entry.baseOffset + offsetDelta, event)
    }
  }

  /** A producer gave a record up that may be written: those behind it, which are in flight, are numbered anew. */
  gaveUp(client: string, partition: string): void {
    this.#gaveUp.add(`${client} ${partition}`)
  }

  /** These batches are no longer part of the committed log, which ends at `end`. */
  withdrawn(partition: string, entries: readonly Entry[], end: Offset): void {
    const state = this.#partitions.get(partition)
    if (state === undefined) return
    state.nextOffset = Math.min(state.nextOffset, end)
    for (const entry of entries) {
      if (entry.batch.isControl) continue
      for (const { offsetDelta, value, headers } of entry.batch.records()) {
        const named = value ?? headers?.[0]?.value
        const id = named == null ? undefined : recordId(named, state)
        if (id === undefined || id.client.seen.get(id.number) !== entry.baseOffset + offsetDelta) continue
        id.client.seen.delete(id.number)
        // What came before it is not known any more: the next one begins the order anew.
        id.client.last.delete(entry.batch.producerId)
      }
    }
  }

  #state(partition: string, entry: Entry): PartitionOrder {
    let state = this.#partitions.get(partition)
    if (state === undefined) {
      state = { nextOffset: entry.baseOffset, clients: new Map(), recent: undefined }
      this.#partitions.set(partition, state)
    }
    return state
  }

  #record(log: ReplicaLog, id: Id, entry: Entry, offset: Offset, event: TraceEvent): void {
    const { partition } = log
    const { client, number } = id
    const { producerId } = entry.batch
    this.duplicates.checks++
    const first = client.seen.get(number)
    if (first !== undefined) {
      const subject = `${partition}@${offset}`
      const message = `${subject} holds ${client.name}/${number} once more, it is at ${first} already`
      const reason =
        excuse(producerId) ?? excuseForgotten(log, first, entry) ?? this.#excuseRenumbered(log, first, entry, client)
      this.duplicates.add(subject, message, event.time, [entry.seq, event.seq], reason)
      return
    }
    client.seen.set(number, offset)
    const last = client.last.get(producerId)
    this.reordering.checks++
    if (last !== undefined && number < last) {
      const subject = `${partition}@${offset}`
      const message = `${subject} holds ${client.name}/${number} after ${client.name}/${last}`
      this.reordering.add(subject, message, event.time, [entry.seq, event.seq], excuse(producerId))
    } else client.last.set(producerId, number)
  }

  /** The first copy is of an earlier epoch of the same producer, which had to give up a record before it (`Sender.completeBatch`). */
  #excuseRenumbered(log: ReplicaLog, first: Offset, again: Entry, { name }: Client): string | undefined {
    const before = log.find(first)?.batch
    const { producerId, producerEpoch } = again.batch
    if (before?.producerId !== producerId || before.producerEpoch >= producerEpoch) return undefined
    if (!this.#gaveUp.has(`${name} ${log.partition}`)) return undefined
    return `${name} gave up a batch (delivery.timeout.ms), and numbered those in flight behind it anew, in a new epoch`
  }
}

function excuse(producerId: number): string | undefined {
  return producerId < 0 ? 'enable.idempotence=false' : undefined
}

/** The leader was restarted after the first copy, and the producer has begun a new epoch since. */
function excuseForgotten(log: ReplicaLog, first: Offset, again: Entry): string | undefined {
  const before = log.find(first)?.batch
  const { producerId, producerEpoch } = again.batch
  if (before === undefined || first >= log.openedEnd) return undefined
  if (before.producerId === producerId && before.producerEpoch >= producerEpoch) return undefined
  return `earlier batches of a producer are forgotten by a restarted leader (${log.node}), which makes it begin a new epoch (KIP-360)`
}

interface Id {
  readonly client: Client
  readonly number: number
}

const SPACE = 0x20
const SLASH = 0x2f
const LAST_PRINTABLE = 0x7e

/** `p1/41 …` → client p1, number 41; undefined for records of no workload. */
function recordId(value: Uint8Array, state: PartitionOrder): Id | undefined {
  let slash = -1
  let number = 0
  for (let at = 0; at < value.length; at++) {
    const byte = value[at] as number
    if (byte === SPACE) {
      if (slash <= 0 || slash === at - 1) return undefined
      return { client: clientOf(value, slash, state), number }
    }
    // Names of clients are plain text: what a coordinator writes may have a slash by chance.
    if (byte < SPACE || byte > LAST_PRINTABLE) return undefined
    if (byte === SLASH) {
      slash = at
      number = 0
    } else if (slash >= 0) {
      if (byte < 0x30 || byte > 0x39) return undefined
      number = number * 10 + byte - 0x30
    }
  }
  if (slash <= 0 || slash === value.length - 1) return undefined
  return { client: clientOf(value, slash, state), number }
}

function clientOf(value: Uint8Array, length: number, state: PartitionOrder): Client {
  const { recent } = state
  if (recent !== undefined && isNamed(recent.name, value, length)) return recent
  let name = ''
  for (let at = 0; at < length; at++) name += String.fromCharCode(value[at] as number)
  let client = state.clients.get(name)
  if (client === undefined) state.clients.set(name, (client = { name, seen: new Map(), last: new Map() }))
  state.recent = client
  return client
}

function isNamed(name: string, value: Uint8Array, length: number): boolean {
  if (name.length !== length) return false
  for (let at = 0; at < length; at++) if (name.charCodeAt(at) !== value[at]) return false
  return true
}
