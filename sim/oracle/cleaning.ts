/**
 * Cleaning of logs: `compaction-keeps-last` and `retention-not-early`.
 *
 * Compaction may only take away what a reader from the beginning can do without: after each cleaning, the records that are left are
 * those that were there, at their offsets, and each one that is gone had a later one of its key below the bound of that cleaning,
 * belonged to an aborted transaction, had no key, or was a tombstone or a marker whose delete horizon had passed. The bound is not above
 * the high watermark; a horizon is not nearer than delete.retention.ms when it is set. In the end the leader holds the last record
 * of every key. Only topics whose policy says so are compacted.
 *
 * Retention may only delete whole segments below the high watermark: by time when their newest record is older than retention.ms, by
 * size when retention.bytes are left without them, by the log start when that lies behind them. Settings are the weakest that
 * ever held.
 */

import type { BatchView, EventOf, EventType, TraceEvent } from '../kernel/events.js'
import { parsePartition, type NodeName } from '../kernel/names.js'
import type { Offset } from '../kernel/units.js'
import { type CompactionModel, isSameBatch, type Keyed, lackedBy, LastOfKeys, recordAt } from './compaction-model.js'
import { Findings } from './findings.js'
import { LogSettings } from './log-settings.js'
import type { Entry, LogModel, ReplicaLog } from './log-model.js'
import type { Oracle, OracleReport, Promises, RunEnd } from './oracle.js'
import type { PromiseKeeper } from './promises.js'
import type { Serving } from './serving.js'

/** What a replica held below the bound of a cleaning; the groups of one cleaning share it. */
interface Before {
  readonly bound: Offset
  readonly wallMs: number
  readonly keys: LastOfKeys
}

export class Cleaning implements Oracle {
  readonly name = 'compaction-keeps-last'
  readonly watches: readonly EventType[] = [
    'log.cleaned',
    'log.segment-deleted',
    'controller.config',
    'replica.leader',
    'node.down',
  ]
  readonly retention = new Findings('retention-not-early')
  readonly #findings: Findings
  readonly #settings: LogSettings
  readonly #logs: LogModel
  readonly #promises: PromiseKeeper
  readonly #serving: Serving
  readonly #compaction: CompactionModel
  readonly #before = new Map<ReplicaLog, Before>()
  readonly #leaders = new Map<string, NodeName>()

  constructor(
    promises: Promises,
    logs: LogModel,
    keeper: PromiseKeeper,
    serving: Serving,
    compaction: CompactionModel,
  ) {
    this.#settings = new LogSettings(promises)
    this.#logs = logs
    this.#promises = keeper
    this.#serving = serving
    this.#compaction = compaction
    this.#findings = compaction.keepsLast
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'log.cleaned':
        this.#cleaned(event)
        break
      case 'log.segment-deleted':
        this.#deleted(event)
        break
      case 'controller.config':
        this.#settings.configured(event.data)
        break
      case 'replica.leader':
        this.#leaders.set(event.data.partition, event.node)
        break
      case 'node.down':
        for (const [partition, leader] of this.#leaders) if (leader === event.node) this.#leaders.delete(partition)
        break
      default:
        break
    }
  }

  forgetTopic(topic: string): void {
    this.#settings.forget(topic)
    for (const name of [...this.#leaders.keys()]) if (parsePartition(name)?.topic === topic) this.#leaders.delete(name)
  }

  // ── compaction ────────────────────────────────────────────────────────────────────────────────────────────────────

  #cleaned(event: EventOf<'log.cleaned'>): void {
    const { partition, from, to, bound, batches } = event.data
    const log = this.#logs.log(event.node, partition)
    this.#findings.checks++
    if (!this.#settings.mayCompact(partition)) this.#wrong(event, from, 'was compacted, which its policy forbids')
    if (to > bound || bound > log.highWatermark) {
      this.#wrong(event, to, `was compacted up to ${to} (bound ${bound}), the high watermark is ${log.highWatermark}`)
    }
    const held = log.entries.slice(log.indexOf(from), log.indexOf(to))
    const model = this.#compaction.cleaned(partition, to)
    // What a crash undid is there again: then only the committed log knows what it was.
    const originals = log.matchedTo >= to ? model.within(from, to) : held
    const keys = this.#keysBelow(event, log, originals === held ? log.entries : model.within(log.logStart, bound))
    const after: Entry[] = []
    let next = 0
    for (const original of originals) {
      const own = held.find((entry) => entry.baseOffset === original.baseOffset)
      const batch = batches[next]
      const left = batch?.baseOffset === original.baseOffset ? entryOf(batch, own ?? original) : undefined
      if (left !== undefined) {
        next++
        after.push(left)
        this.#checkHorizon(event, left, own)
      }
      this.#compare(event, original, own, left, keys)
    }
    if (next < batches.length) this.#wrong(event, batches[next]?.baseOffset ?? from, 'was not there before')
    this.#logs.compacted(log, from, to, after)
  }

  /** Last offsets of keys below the bound. */
  #keysBelow({ data }: EventOf<'log.cleaned'>, log: ReplicaLog, entries: readonly Entry[]): LastOfKeys {
    const { bound, wallMs } = data
    const known = this.#before.get(log)
    if (known?.bound === bound && known.wallMs === wallMs) return known.keys
    const keys = new LastOfKeys()
    for (const entry of entries) if (entry.baseOffset < bound) keys.add(entry)
    this.#before.set(log, { bound, wallMs, keys })
    return keys
  }

  #compare(
    event: EventOf<'log.cleaned'>,
    original: Entry,
    own: Entry | undefined,
    left: Entry | undefined,
    keys: LastOfKeys,
  ): void {
    if (left?.crc === original.crc) return
    const lacked =
      left === undefined ? original.batch.records() : isSameBatch(left, original) ? lackedBy(left, original) : undefined
    if (lacked === undefined) {
      this.#wrong(event, original.baseOffset, 'is not what it was before', original)
      return
    }
    for (const record of lacked) {
      this.#findings.checks++
      const offset = original.baseOffset + record.offsetDelta
      if (!this.#mayGo(event, original, own, record, offset, keys)) {
        this.#wrong(event, offset, reasonOf(original, record), original)
      }
    }
  }

  #mayGo(
    { data }: EventOf<'log.cleaned'>,
    original: Entry,
    own: Entry | undefined,
    record: Keyed,
    offset: Offset,
    keys: LastOfKeys,
  ): boolean {
    const { isControl } = original.batch
    if (!isControl) {
      if (record.key === null || keys.isAborted(original) || keys.get(record.key) > offset) return true
      if (record.value !== null) return false
    }
    const model = this.#compaction.cleaned(data.partition, 0)
    // Gone already, here or where this replica has its records from.
    if (model.wasRemoved(offset) && (own === undefined || recordAt(own, offset) === undefined)) return true
    if ((own?.batch.deleteHorizonMs ?? Infinity) > data.wallMs) return false
    model.allow(offset)
    return true
  }

  #checkHorizon(event: EventOf<'log.cleaned'>, left: Entry, own: Entry | undefined): void {
    const { partition, wallMs } = event.data
    const horizon = left.batch.deleteHorizonMs
    const before = own?.batch.deleteHorizonMs
    if (horizon === undefined || horizon === before) return
    const earliest = wallMs + this.#settings.of(partition).deleteRetentionMs
    if (horizon >= earliest) return
    this.#wrong(event, left.baseOffset, `may lose its tombstones at ${horizon}, ${earliest - horizon} ms early`, left)
  }

  #wrong(event: EventOf<'log.cleaned'>, offset: Offset, what: string, entry?: Entry): void {
    const subject = `${event.data.partition}@${offset}`
    const message = `${subject} on ${event.node} ${what}`
    this.#findings.add(subject, message, event.time, [entry?.seq ?? 0, event.seq])
  }

  // ── retention ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #deleted(event: EventOf<'log.segment-deleted'>): void {
    const { partition, baseOffset, nextOffset, reason } = event.data
    const log = this.#logs.log(event.node, partition)
    this.retention.checks++
    const wrong =
      nextOffset > log.highWatermark
        ? `reaches up to ${nextOffset}, beyond the high watermark ${log.highWatermark}`
        : this.#tooEarly(event, log)
    if (wrong === undefined) return
    const subject = `${partition}@${baseOffset}`
    const message = `${subject} on ${event.node} was deleted (${reason}), but ${wrong}`
    this.retention.add(subject, message, event.time, [event.cause, event.seq])
  }

  #tooEarly({ data }: EventOf<'log.segment-deleted'>, log: ReplicaLog): string | undefined {
    const { partition, baseOffset, nextOffset, wallMs, reason } = data
    if (reason === 'log-start') {
      return nextOffset <= log.logStart ? undefined : `the log begins at ${log.logStart}`
    }
    const { retentionMs, retentionBytes } = this.#settings.of(partition)
    if (!this.#settings.mayDelete(partition)) return 'its policy forbids that'
    if (reason === 'retention-size') {
      let left = 0
      for (let at = log.indexOf(nextOffset); at < log.entries.length; at++)
        left += (log.entries[at] as Entry).batch.sizeInBytes
      return retentionBytes >= 0 && left >= retentionBytes
        ? undefined
        : `${left} bytes are left, retention.bytes is ${retentionBytes}`
    }
    let newest = data.largestTimestamp
    for (let at = log.indexOf(baseOffset); at < log.entries.length; at++) {
      const { batch, baseOffset: base } = log.entries[at] as Entry
      if (base >= nextOffset) break
      newest = Math.max(newest, batch.maxTimestamp)
    }
    return retentionMs >= 0 && wallMs - newest > retentionMs
      ? undefined
      : `its newest record is ${wallMs - newest} ms old, retention.ms is ${retentionMs}`
  }

  // ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  finish(end: RunEnd): OracleReport {
    for (const [partition, leader] of this.#leaders) {
      if (this.#serving.has(leader)) this.#holdsLast(partition, this.#logs.log(leader, partition), end)
    }
    return this.#findings.report()
  }

  /** A reader from the beginning would be given the last record of every key. */
  #holdsLast(partition: string, log: ReplicaLog, end: RunEnd): void {
    const model = this.#compaction.of(partition)
    if (model === undefined) return
    const from = Math.max(log.logStart, this.#logs.deletedTo(partition))
    for (const [offset, original] of model.lasts()) {
      this.#findings.checks++
      if (offset < from || model.wasRemoved(offset)) continue
      const entry = log.find(offset)
      if (entry !== undefined && recordAt(entry, offset) !== undefined) continue
      const subject = `${partition}@${offset}`
      const message = `${subject}, the last record of its key, is not on ${log.node}, which leads`
      const excuse = this.#promises.excuse(partition, original.seq, original.epoch)
      this.#findings.add(subject, message, end.time, [original.seq], excuse)
    }
  }
}

function entryOf(batch: BatchView, was: Entry): Entry {
  const { baseOffset, lastOffset, partitionLeaderEpoch: epoch, crc } = batch
  return { baseOffset, lastOffset, epoch, crc, batch, seq: was.seq, isEarly: was.isEarly }
}

function reasonOf({ batch }: Entry, { value }: Keyed): string {
  if (batch.isControl) return 'is a marker, and was compacted away before its time'
  if (value === null) return 'is a tombstone, and was compacted away before its time'
  return 'was the last record of its key, and was compacted away'
}
