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
    const model = this.#compaction.cleaned(partition, to)
    const keys = this.#keysBelow(event, log)
    const after: Entry[] = []
    const held = log.entries.slice(log.indexOf(from), log.indexOf(to))
    let at = 0
    for (const batch of batches) {
      for (; (held[at]?.baseOffset ?? Infinity) < batch.baseOffset; at++) {
        this.#judge(event, held[at] as Entry, undefined, keys)
      }
      const own = held[at]?.baseOffset === batch.baseOffset ? held[at++] : undefined
      // What a crash took back was judged before, and is not in the model any more: only the committed log knows it.
      const original = own !== undefined && !gains(batch, own) ? own : model.find(batch.baseOffset)
      if (original === undefined) {
        this.#wrong(event, batch.baseOffset, 'was not there before')
        continue
      }
      const left = entryOf(batch, original)
      after.push(left)
      this.#checkHorizon(event, left, own)
      this.#judge(event, original, left, keys, original === own)
    }
    for (; at < held.length; at++) this.#judge(event, held[at] as Entry, undefined, keys)
    this.#logs.compacted(log, from, to, after)
  }

  /** Last offsets of keys below the bound. */
  #keysBelow({ data }: EventOf<'log.cleaned'>, log: ReplicaLog): LastOfKeys {
    const { bound, wallMs } = data
    const known = this.#before.get(log)
    if (known?.bound === bound && known.wallMs === wallMs) return known.keys
    const keys = new LastOfKeys()
    // Transactions that reach below the bound may be decided beyond it; after a restart beyond the high watermark, too: it stands
    // where it was last noted, and the producer's snapshot knows only that the transaction is over.
    for (const entry of log.entries) if (entry.baseOffset < bound || entry.batch.isControl) keys.add(entry)
    this.#before.set(log, { bound, wallMs, keys })
    return keys
  }

  /** `left` is what is left of `original`, which this replica held (`isOwn`) or once held. */
  #judge(
    event: EventOf<'log.cleaned'>,
    original: Entry,
    left: Entry | undefined,
    keys: LastOfKeys,
    isOwn = true,
  ): void {
    if (left?.crc === original.crc) return
    const lacked =
      left === undefined ? original.batch.records() : isSameBatch(left, original) ? lackedBy(left, original) : undefined
    if (lacked === undefined) {
      this.#wrong(event, original.baseOffset, 'is not what it was before', original)
      return
    }
    const { logStart } = this.#logs.log(event.node, event.data.partition)
    for (const record of lacked) {
      this.#findings.checks++
      const offset = original.baseOffset + record.offsetDelta
      // The log start may pass a round of cleaning: what lies below it nobody can read.
      if (offset >= logStart && !this.#mayGo(event, original, record, offset, keys, isOwn)) {
        this.#wrong(event, offset, reasonOf(original, record), original)
      }
    }
  }

  #mayGo(
    { data }: EventOf<'log.cleaned'>,
    original: Entry,
    record: Keyed,
    offset: Offset,
    keys: LastOfKeys,
    isOwn: boolean,
  ): boolean {
    const { isControl, deleteHorizonMs = Infinity } = original.batch
    if (!isControl) {
      if (record.key === null || keys.isAborted(original) || keys.get(record.key) > offset) return true
      if (record.value !== null) return false
    }
    const model = this.#compaction.cleaned(data.partition, 0)
    if (deleteHorizonMs > data.wallMs) return !isOwn && model.wasRemoved(offset)
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
    const { partition } = event.data
    const subject = `${partition}@${offset}`
    const message = `${subject} on ${event.node} ${what}`
    // The cleaner does not check a batch's CRC: what rotted on the disk it writes anew, with a CRC that is right.
    const excuse = this.#promises.excuseReplica(partition, event.node)
    this.#findings.add(subject, message, event.time, [entry?.seq ?? 0, event.seq], excuse)
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

/** The batch has a record that `was` had not. */
function gains(batch: BatchView, was: Entry): boolean {
  return (
    batch.crc !== was.crc && isSameBatch(entryOf(batch, was), was) && lackedBy(entryOf(batch, was), was) === undefined
  )
}

function reasonOf({ batch }: Entry, { value }: Keyed): string {
  if (batch.isControl) return 'is a marker, and was compacted away before its time'
  if (value === null) return 'is a tombstone, and was compacted away before its time'
  return 'was the last record of its key, and was compacted away'
}
