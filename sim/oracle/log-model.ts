/**
 * What every replica's log holds, reconstructed from the trace.
 *
 * One model serves all oracles. It follows the `log.*` events and high watermarks and keeps, for each replica, its batches in order of
 * offset. It knows what a crash took only by what the replica reports when it opens its log again, as the real cluster would.
 *
 * A topic may be deleted and made again under its name. Logs of the deleted one are forgotten at the controller's decision, and what
 * brokers still do to them is not passed on: `isStale`. Lookups are two hashes of texts that the trace shares; the events of
 * messages allocate nothing but their entry.
 */

import type { BatchView, EventOf, EventType, TraceEvent } from '../kernel/events.js'
import { parsePartition, type NodeName } from '../kernel/names.js'
import type { Epoch, Offset } from '../kernel/units.js'
import type { Serving } from './serving.js'

export interface Entry {
  readonly baseOffset: Offset
  readonly lastOffset: Offset
  readonly epoch: Epoch
  readonly crc: number
  readonly batch: BatchView
  /** Sequence of the log.append event. */
  readonly seq: number
  /** Appended by a leader whose process was not let in yet: it leads by what it knew before it went down. */
  readonly isEarly: boolean
}

export class ReplicaLog {
  readonly node: NodeName
  readonly partition: string
  logStart: Offset = 0
  logEnd: Offset = 0
  highWatermark: Offset = 0
  /** In offset order; entries wholly below logStart may be gone. */
  readonly entries: Entry[] = []
  /** It is on its node's disk; false before it is made and once it is deleted. */
  exists = false
  /** Sequence of the event by which it was opened last; 0 before. */
  openedAt = 0
  /** Its end when it was opened last: of the producers before it, only their last batches are remembered. */
  openedEnd: Offset = 0
  /** Sequence of the last event that took records off its end; 0 when none did. */
  cutAt = 0
  /** A batch was appended below the log end: what is at fault, until it is judged. */
  overlap: Entry | undefined
  /** Below it the log was found equal to the committed one. Lowered by truncation. */
  matchedTo: Offset = 0
  /** Below it the log was found to hold what was acknowledged. Lowered by truncation. */
  acksTo: Offset = 0

  constructor(node: NodeName, partition: string) {
    this.node = node
    this.partition = partition
  }

  /** The entry that holds `offset`, or undefined. */
  find(offset: Offset): Entry | undefined {
    const { entries } = this
    const last = entries[entries.length - 1]
    // Who asks mostly asks for the newest.
    if (last === undefined || offset > last.lastOffset) return undefined
    if (last.baseOffset <= offset) return last
    const entry = entries[this.indexOf(offset)]
    return entry !== undefined && entry.baseOffset <= offset ? entry : undefined
  }

  /** Index of the first entry whose last offset is at or after `offset`. */
  indexOf(offset: Offset): number {
    return indexOf(this.entries, offset)
  }
}

/** Index of the first entry whose last offset is at or after `offset`. */
export function indexOf(entries: readonly Entry[], offset: Offset): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((entries[middle] as Entry).lastOffset < offset) low = middle + 1
    else high = middle
  }
  return low
}

/** Drops entries from the end until none reaches `offset`; returns those dropped, newest first. */
export function dropFrom(entries: Entry[], offset: Offset): Entry[] {
  const dropped: Entry[] = []
  for (;;) {
    const last = entries[entries.length - 1]
    if (last === undefined || last.lastOffset < offset) return dropped
    dropped.push(last)
    entries.pop()
  }
}

export const LOG_MODEL_EVENTS: readonly EventType[] = [
  'log.open',
  'log.append',
  'log.truncate',
  'log.start-offset',
  'log.deleted',
  'node.wiped',
  'hw.advance',
  'hw.set',
]

/** A follower repeats what its leader decided, or starts over; neither is a deletion of its own. */
const NO_DELETIONS: ReadonlySet<string> = new Set(['leader', 'out-of-range', 'unaligned-start', 'diverging'])

export class LogModel {
  readonly #byPartition = new Map<string, Map<NodeName, ReplicaLog>>()
  /** Partition → nodes that still have a log of a topic that was deleted. */
  readonly #stale = new Map<string, Set<NodeName>>()
  /** Partition → first offset that was not deleted on purpose. */
  readonly #deletedTo = new Map<string, Offset>()
  readonly #serving: Serving

  constructor(serving: Serving) {
    this.#serving = serving
  }

  /** The replica's log; an empty one when nothing was heard of it. */
  log(node: NodeName, partition: string): ReplicaLog {
    let logs = this.#byPartition.get(partition)
    if (logs === undefined) this.#byPartition.set(partition, (logs = new Map()))
    let log = logs.get(node)
    if (log === undefined) logs.set(node, (log = new ReplicaLog(node, partition)))
    return log
  }

  /** Every replica of a partition that was ever heard of. */
  logsOf(partition: string): Iterable<ReplicaLog> {
    return this.#byPartition.get(partition)?.values() ?? []
  }

  /** Every log of a node. */
  *logsOn(node: NodeName): Iterable<ReplicaLog> {
    for (const logs of this.#byPartition.values()) {
      const log = logs.get(node)
      if (log !== undefined) yield log
    }
  }

  /** Below it, records were deleted by retention, by DeleteRecords or into a snapshot. */
  deletedTo(partition: string): Offset {
    return this.#deletedTo.get(partition) ?? 0
  }

  /** Some replica holds this batch. */
  holds(partition: string, offset: Offset, crc: number): boolean {
    for (const log of this.logsOf(partition)) if (log.find(offset)?.crc === crc) return true
    return false
  }

  /** Some replica holds record `id` at `offset`. */
  holdsRecord(partition: string, offset: Offset, id: string): boolean {
    for (const log of this.logsOf(partition)) {
      const entry = log.find(offset)
      const record = entry?.batch.records().find(({ offsetDelta }) => entry.baseOffset + offsetDelta === offset)
      if (record?.value != null && startsWith(record.value, id)) return true
    }
    return false
  }

  /** What this node says of this partition is about a topic that exists no more. */
  isStale(node: NodeName, partition: string): boolean {
    return this.#stale.size > 0 && this.#stale.get(partition)?.has(node) === true
  }

  /** A topic was deleted: its logs are of the past from here on. */
  forgetTopic(topic: string): void {
    for (const [partition, logs] of [...this.#byPartition]) {
      if (parsePartition(partition)?.topic !== topic) continue
      this.#byPartition.delete(partition)
      this.#deletedTo.delete(partition)
      let stale = this.#stale.get(partition)
      if (stale === undefined) this.#stale.set(partition, (stale = new Set()))
      for (const log of logs.values()) if (log.exists) stale.add(log.node)
    }
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'log.append':
        append(
          this.log(event.node, event.data.partition),
          event,
          event.data.role === 'leader' && !this.#serving.has(event.node),
        )
        break
      case 'hw.advance':
      case 'hw.set':
        this.log(event.node, event.data.partition).highWatermark = event.data.to
        break
      case 'log.open':
        open(this.log(event.node, event.data.partition), event)
        break
      case 'log.truncate':
        truncate(this.log(event.node, event.data.partition), event.data.to, event.seq)
        break
      case 'log.start-offset':
        this.#moveStart(event)
        break
      case 'log.deleted':
        clear(this.log(event.node, event.data.partition), event.seq)
        break
      case 'node.wiped':
        for (const log of this.logsOn(event.node)) clear(log, event.seq)
        for (const nodes of this.#stale.values()) nodes.delete(event.node)
        break
      default:
        break
    }
  }

  /** Compaction put `entries` in the place of all that the log held in [from, to). */
  compacted(log: ReplicaLog, from: Offset, to: Offset, entries: readonly Entry[]): void {
    const first = log.indexOf(from)
    log.entries.splice(first, log.indexOf(to) - first, ...entries)
  }

  /** A log of a deleted topic is gone; the next one of that name is another. */
  staleDeleted(node: NodeName, partition: string): void {
    this.#stale.get(partition)?.delete(node)
  }

  #moveStart(event: EventOf<'log.start-offset'>): void {
    const { partition, to, reason } = event.data
    const log = this.log(event.node, partition)
    if (to <= log.logEnd && !NO_DELETIONS.has(reason)) {
      this.#deletedTo.set(partition, Math.max(this.deletedTo(partition), to))
    }
    log.logStart = to
    // A log that starts over, at its leader's log start or at a snapshot.
    if (to > log.logEnd || log.entries.length === 0) {
      log.entries.length = 0
      log.logEnd = to
    }
    dropDeleted(log)
  }
}

function append(log: ReplicaLog, event: EventOf<'log.append'>, isEarly: boolean): void {
  const { baseOffset, lastOffset, leaderEpoch: epoch, crc, batch } = event.data
  const entry: Entry = { baseOffset, lastOffset, epoch, crc, batch, seq: event.seq, isEarly }
  if (baseOffset < log.logEnd) {
    truncate(log, baseOffset, event.seq)
    log.overlap = entry
  }
  log.entries.push(entry)
  log.logEnd = lastOffset + 1
}

function open(log: ReplicaLog, event: EventOf<'log.open'>): void {
  const { logStart, logEnd } = event.data
  log.exists = true
  log.openedAt = event.seq
  if (logEnd < log.logEnd) truncate(log, logEnd, event.seq)
  log.logStart = logStart
  log.logEnd = logEnd
  log.openedEnd = logEnd
}

function clear(log: ReplicaLog, seq: number): void {
  truncate(log, 0, seq)
  log.exists = false
  log.logStart = 0
  log.highWatermark = 0
}

/**
 * A broker that lost its tail leads by old metadata until the controller has taken it in, for a session at most. Clients cannot reach
 * it, but its coordinators write (members that expire), in the old epoch and over offsets that others hold. The epochs being the same,
 * nobody sees later that the logs part, unless the leader's next batch begins below the log's end: then the follower gives up. Undefined
 * when nothing, or not this entry, was written so.
 */
export function wroteEarly(log: ReplicaLog, entry?: Entry): string | undefined {
  const isEarly = entry === undefined ? log.entries.some((one) => one.isEarly) : entry.isEarly
  if (!isEarly || !log.partition.startsWith('__')) return undefined
  return `a coordinator on ${log.node} wrote in its old epoch, having lost its tail, before it was registered again`
}

function truncate(log: ReplicaLog, to: Offset, seq: number): void {
  dropFrom(log.entries, to)
  log.logEnd = to
  log.cutAt = seq
  log.matchedTo = Math.min(log.matchedTo, to)
  log.acksTo = Math.min(log.acksTo, to)
}

/** Frees batches that were deleted, now and then so that each costs once. */
function dropDeleted(log: ReplicaLog): void {
  const count = log.indexOf(log.logStart)
  if (count > 64 && count > log.entries.length / 2) log.entries.splice(0, count)
}

function startsWith(value: Uint8Array, text: string): boolean {
  for (let at = 0; at < text.length; at++) if (value[at] !== text.charCodeAt(at)) return false
  return true
}
