/**
 * Which records of a compacted partition may be missing, told by the committed log alone.
 *
 * A partition counts as compacted from the first time on that a replica says so (`log.cleaned`); until then nothing here excuses
 * anything. A committed record may be missing on a replica when
 *
 *     a later record of its key is committed (in a transaction: once that is committed)
 *     it belongs to a transaction that was aborted
 *     it has no key
 *     it is a tombstone, or a marker, and some replica took it away when its delete horizon had passed
 *
 * The committed log holds batches as they were first appended, so a replica's batch is compared with what it was made from. Built
 * when first asked for; amortised constant work for each committed record.
 */

import type { EventOf } from '../kernel/events.js'
import type { Offset } from '../kernel/units.js'
import { Findings } from './findings.js'
import { type Entry, indexOf, type ReplicaLog } from './log-model.js'

type Records = ReturnType<Entry['batch']['records']>
export type Keyed = Records[number]

export class CompactionModel {
  readonly keepsLast = new Findings('compaction-keeps-last')
  /** Partition → its committed log. */
  readonly #committed = new Map<string, readonly Entry[]>()
  readonly #compacted = new Map<string, Compacted>()

  /** `entries` is and stays the committed log of `partition`. */
  follow(partition: string, entries: readonly Entry[]): void {
    this.#committed.set(partition, entries)
  }

  forget(partition: string): void {
    this.#committed.delete(partition)
    this.#compacted.delete(partition)
  }

  /** Batches were taken out of the committed log: an election lost them. */
  withdrawn(partition: string): void {
    this.#compacted.get(partition)?.reset()
  }

  /** Undefined while nobody has compacted it. */
  of(partition: string): Compacted | undefined {
    return this.#compacted.size === 0 ? undefined : this.#compacted.get(partition)
  }

  /** Exclusive end of what some replica compacted; 0 when none did. */
  cleanedTo(partition: string): Offset {
    return this.of(partition)?.to ?? 0
  }

  /** A replica compacted it up to `to`. */
  cleaned(partition: string, to: Offset): Compacted {
    let compacted = this.#compacted.get(partition)
    if (compacted === undefined) {
      compacted = new Compacted(this.#committed.get(partition) ?? [])
      this.#compacted.set(partition, compacted)
    }
    compacted.to = Math.max(compacted.to, to)
    return compacted
  }

  /** A reader was not given what it should have been: the last record of a key, where there is compaction. */
  unread(
    { node, time }: EventOf<'consume.polled'>,
    partition: string,
    from: Offset,
    to: Offset,
    evidence: readonly number[],
  ): void {
    const offset = this.of(partition)?.firstLastWithin(from, to)
    if (offset === undefined) return
    const message = `${node} was not given ${partition}@${offset}, the last record of its key`
    this.keepsLast.add(`${partition}@${offset}`, message, time, evidence)
  }
}

/** One compacted partition. */
export class Compacted {
  /** Exclusive end of what some replica compacted. */
  to: Offset = 0
  readonly #entries: readonly Entry[]
  readonly #keys = new LastOfKeys()
  /** Tombstones and markers that some replica took away in time. */
  readonly #removed = new Set<Offset>()
  #indexed = 0

  constructor(entries: readonly Entry[]) {
    this.#entries = entries
  }

  reset(): void {
    this.#indexed = 0
    this.#keys.clear()
  }

  /** A tombstone or a marker was taken away when it was time. */
  allow(offset: Offset): void {
    this.#removed.add(offset)
  }

  wasRemoved(offset: Offset): boolean {
    return this.#removed.has(offset)
  }

  /** The committed batch that held `offset`. */
  find(offset: Offset): Entry | undefined {
    const entry = this.#entries[indexOf(this.#entries, offset)]
    return entry !== undefined && entry.baseOffset <= offset ? entry : undefined
  }

  /** The committed batches that hold offsets of [from, to). */
  within(from: Offset, to: Offset): readonly Entry[] {
    const start = indexOf(this.#entries, from)
    let end = start
    while (end < this.#entries.length && (this.#entries[end] as Entry).baseOffset < to) end++
    return this.#entries.slice(start, end)
  }

  /** This record of a committed batch may be missing. */
  mayLack(entry: Entry, record: Keyed): boolean {
    const offset = entry.baseOffset + record.offsetDelta
    if (this.#removed.has(offset)) return true
    if (entry.batch.isControl) return false
    return record.key === null || this.#isAborted(entry) || this.#lastOf(record.key) > offset
  }

  /** A batch may be missing as a whole. */
  mayLackAll(entry: Entry): boolean {
    return entry.batch.records().every((record) => this.mayLack(entry, record))
  }

  /** Of a batch that some replica holds, all records in [from, to) may be missing. */
  mayLackWithin(entry: Entry, from: Offset, to: Offset): boolean {
    const committed = this.find(entry.baseOffset)
    if (committed?.baseOffset !== entry.baseOffset) return false
    return entry.batch.records().every((record) => {
      const offset = entry.baseOffset + record.offsetDelta
      return offset < from || offset >= to || this.mayLack(committed, record)
    })
  }

  /** `found` is `expected` without records that may be missing. */
  isReduced(expected: Entry, found: Entry): boolean {
    if (!isSameBatch(expected, found)) return false
    return lackedBy(found, expected)?.every((record) => this.mayLack(expected, record)) ?? false
  }

  /** What was acknowledged at `offset` is in the log, or may be missing. */
  accountsFor(log: ReplicaLog, offset: Offset, crc: number): boolean {
    const expected = this.find(offset)
    if (expected === undefined || expected.crc !== crc) return false
    const record = recordAt(expected, offset)
    const found = log.find(offset)
    if (record === undefined) return false
    if (found !== undefined && !isSameBatch(expected, found)) return false
    return (found !== undefined && recordAt(found, offset) !== undefined) || this.mayLack(expected, record)
  }

  /** Some replica compacted what was acknowledged at `offset`, and need not have kept it. */
  mayBeGone(offset: Offset, crc: number): boolean {
    const expected = this.find(offset)
    const record = expected?.crc === crc ? recordAt(expected, offset) : undefined
    return expected !== undefined && record !== undefined && offset < this.to && this.mayLack(expected, record)
  }

  /** The last committed record of each key, with its batch. */
  *lasts(): Iterable<readonly [Offset, Entry]> {
    this.#index()
    for (const offset of this.#keys.offsets()) {
      const entry = this.find(offset)
      if (entry !== undefined) yield [offset, entry]
    }
  }

  /** The first offset of [from, to) whose record is the last of its key. */
  firstLastWithin(from: Offset, to: Offset): Offset | undefined {
    for (const entry of this.within(from, to)) {
      if (entry.batch.isControl) continue
      for (const record of entry.batch.records()) {
        const offset = entry.baseOffset + record.offsetDelta
        if (offset >= from && offset < to && !this.mayLack(entry, record)) return offset
      }
    }
    return undefined
  }

  #isAborted(entry: Entry): boolean {
    this.#index()
    return this.#keys.isAborted(entry)
  }

  #lastOf(key: Uint8Array): Offset {
    this.#index()
    return this.#keys.get(key)
  }

  #index(): void {
    while (this.#indexed < this.#entries.length) this.#keys.add(this.#entries[this.#indexed++] as Entry)
  }
}

/** The last offset of each key among batches that come in order; those of transactions count once they are committed. */
export class LastOfKeys {
  readonly #offsets = new Map<string, Offset>()
  /** Producer id → batches of its open transaction. */
  readonly #open = new Map<number, Entry[]>()
  readonly #aborted = new Set<Offset>()

  clear(): void {
    this.#offsets.clear()
    this.#open.clear()
    this.#aborted.clear()
  }

  /** -1 when there is none. */
  get(key: Uint8Array): Offset {
    return this.#offsets.get(textOf(key)) ?? -1
  }

  offsets(): Iterable<Offset> {
    return this.#offsets.values()
  }

  isAborted(entry: Entry): boolean {
    return this.#aborted.has(entry.baseOffset)
  }

  add(entry: Entry): void {
    const { isControl, isTransactional, producerId } = entry.batch
    if (isControl) this.#end(entry)
    else if (!isTransactional) this.#take(entry)
    else {
      const open = this.#open.get(producerId)
      if (open === undefined) this.#open.set(producerId, [entry])
      else open.push(entry)
    }
  }

  #end({ batch }: Entry): void {
    const open = this.#open.get(batch.producerId) ?? []
    const type = markerType(batch.records()[0]?.key)
    if (type === undefined) return
    this.#open.delete(batch.producerId)
    for (const entry of open) {
      if (type === COMMIT) this.#take(entry)
      else this.#aborted.add(entry.baseOffset)
    }
  }

  #take(entry: Entry): void {
    for (const { key, offsetDelta } of entry.batch.records()) {
      if (key === null) continue
      const text = textOf(key)
      const offset = entry.baseOffset + offsetDelta
      if (offset > (this.#offsets.get(text) ?? -1)) this.#offsets.set(text, offset)
    }
  }
}

const ABORT = 0
const COMMIT = 1

/** Key of a control record: version i16, type i16. */
function markerType(key: Uint8Array | null | undefined): number | undefined {
  if (key == null || key.length < 4) return undefined
  const type = ((key[2] as number) << 8) | (key[3] as number)
  return type === ABORT || type === COMMIT ? type : undefined
}

function textOf(key: Uint8Array): string {
  return String.fromCharCode(...key)
}

export function isSameBatch(a: Entry, b: Entry): boolean {
  return a.baseOffset === b.baseOffset && a.lastOffset === b.lastOffset && a.epoch === b.epoch
}

export function recordAt(entry: Entry, offset: Offset): Keyed | undefined {
  return entry.batch.records().find(({ offsetDelta }) => entry.baseOffset + offsetDelta === offset)
}

/** The records of `whole` that `part` has not; undefined when `part` has one that is not in `whole`. */
export function lackedBy(part: Entry, whole: Entry): Keyed[] | undefined {
  const lacked: Keyed[] = []
  const kept = part.batch.records()
  let next = 0
  for (const record of whole.batch.records()) {
    const mine = kept[next]
    if (mine?.offsetDelta !== record.offsetDelta) lacked.push(record)
    else if (isSame(mine.key, record.key) && isSame(mine.value, record.value)) next++
    else return undefined
  }
  return next === kept.length ? lacked : undefined
}

function isSame(a: Uint8Array | null, b: Uint8Array | null): boolean {
  if (a === b) return true
  if (a === null || b === null || a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
