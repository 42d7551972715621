/**
 * Transactions: `read-committed` (Jepsen's G1a and precommitted-read), `transactions-atomic` and `transactions-end`.
 *
 * A consumer with isolation.level=read_committed is never given a record of a transaction that was aborted, nor one whose partition has no
 * marker yet. At the end all acknowledged records of a transaction are to be seen, or none, as its producer was told. And no
 * transaction stays open for ever: once its timeout, the coordinator's look for timeouts and the bound of recovery are over, every
 * partition has its marker, or consumers would wait behind it (the last stable offset stands).
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import { parsePartition, type NodeName } from '../kernel/names.js'
import type { Micros, Offset } from '../kernel/units.js'
import type { CompactionModel } from './compaction-model.js'
import { Findings } from './findings.js'
import type { LogModel } from './log-model.js'
import type { Oracle, OracleReport, Promises, RunEnd } from './oracle.js'
import type { PromiseKeeper } from './promises.js'
import { visibleRecords } from './visible-records.js'

interface Txn {
  readonly name: string
  outcome: 'open' | 'committed' | 'aborted' | 'uncertain'
  /** Time and sequence of the last that was heard of it. */
  time: Micros
  endedSeq: number
  readonly acked: Acked[]
}

interface Acked {
  readonly id: string
  readonly partition: string
  readonly offset: Offset
  readonly seq: number
}

interface Polled {
  readonly txn: Txn
  readonly id: string
  readonly partition: string
  readonly node: NodeName
  readonly seq: number
  readonly time: Micros
}

/** `transaction.abort.timed.out.transaction.cleanup.interval.ms` by default. */
const ABORT_SCAN: Micros = 10_000_000

export class Transactions implements Oracle {
  readonly name = 'read-committed'
  readonly watches: readonly EventType[] = [
    'txn.begin',
    'txn.ended',
    'produce.invoked',
    'produce.acked',
    'consume.polled',
    'txn.marker',
    'log.append',
    'replica.leader',
  ]
  readonly ends = new Findings('transactions-end')
  readonly atomic = new Findings('transactions-atomic')
  readonly #readCommitted = new Findings(this.name)
  readonly #promises: Promises
  readonly #logs: LogModel
  readonly #keeper: PromiseKeeper
  readonly #compaction: CompactionModel
  /** Node → the transaction that it is in. */
  readonly #current = new Map<NodeName, Txn>()
  readonly #txnOf = new Map<string, Txn>()
  readonly #txns: Txn[] = []
  /** Partition → producer id → offset of its last marker. */
  readonly #markers = new Map<string, Map<number, Offset>>()
  readonly #polled: Polled[] = []
  /** Partition → producer id → when it last wrote there. */
  readonly #written = new Map<string, Map<number, Micros>>()
  readonly #leaders = new Map<string, NodeName>()

  constructor(promises: Promises, keeper: PromiseKeeper, logs: LogModel, compaction: CompactionModel) {
    this.#compaction = compaction
    this.#promises = promises
    this.#keeper = keeper
    this.#logs = logs
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'txn.begin': {
        const name = `${event.data.transactionalId}#${event.data.txn}`
        const txn: Txn = { name, outcome: 'open', time: event.time, endedSeq: event.seq, acked: [] }
        this.#current.set(event.node, txn)
        this.#txns.push(txn)
        break
      }
      case 'txn.ended':
        this.#ended(event)
        break
      case 'produce.invoked': {
        const txn = this.#current.get(event.node)
        if (txn !== undefined) this.#txnOf.set(event.data.id, txn)
        break
      }
      case 'produce.acked': {
        const { id, partition, offset } = event.data
        if (offset >= 0) this.#txnOf.get(id)?.acked.push({ id, partition, offset, seq: event.seq })
        break
      }
      case 'txn.marker': {
        const { partition, producerId, offset } = event.data
        const markers = this.#markers.get(partition)
        if (markers === undefined) this.#markers.set(partition, new Map([[producerId, offset]]))
        else markers.set(producerId, offset)
        break
      }
      case 'consume.polled':
        this.#reads(event)
        break
      case 'replica.leader':
        this.#leaders.set(event.data.partition, event.node)
        break
      case 'log.append':
        if (event.data.role === 'leader' && event.data.batch.isTransactional) this.#writes(event)
        break
      default:
        break
    }
  }

  forgetTopic(topic: string): void {
    const isGone = (partition: string): boolean => parsePartition(partition)?.topic === topic
    for (const map of [this.#written, this.#markers]) {
      for (const name of [...map.keys()]) if (isGone(name)) map.delete(name)
    }
    for (const { acked } of this.#txns) {
      const kept = acked.filter(({ partition }) => !isGone(partition))
      if (kept.length < acked.length) acked.splice(0, acked.length, ...kept)
    }
  }

  #ended(event: EventOf<'txn.ended'>): void {
    const txn = this.#current.get(event.node)
    if (txn === undefined) return
    this.#current.delete(event.node)
    const { outcome, certain } = event.data
    txn.outcome = outcome === 'committed' ? outcome : outcome === 'aborted' && certain ? outcome : 'uncertain'
    txn.time = event.time
    txn.endedSeq = event.seq
  }

  #reads(event: EventOf<'consume.polled'>): void {
    if (this.#promises.readCommitted?.has(event.node) !== true) return
    const { partition, ids, offsets } = event.data
    for (const [at, id] of ids.entries()) {
      const txn = this.#txnOf.get(id)
      if (txn === undefined) continue
      this.#readCommitted.checks++
      this.#checkMarker(event, partition, offsets[at] as Offset, id)
      // It may be aborted later, which is no better.
      this.#polled.push({ txn, id, partition, node: event.node, seq: event.seq, time: event.time })
    }
  }

  /** Jepsen's precommitted-read. */
  #checkMarker({ node, seq, time }: TraceEvent, partition: string, offset: Offset, id: string): void {
    const leader = this.#leaders.get(partition)
    const batch = leader === undefined ? undefined : this.#logs.log(leader, partition).find(offset)?.batch
    if (batch === undefined || !batch.isTransactional) return
    const marker = this.#markers.get(partition)?.get(batch.producerId) ?? -1
    if (marker > offset) return
    const message = `${node} read ${id} (${partition}@${offset}) before its transaction had ended there`
    this.#readCommitted.add(partition, message, time, [seq], this.#keeper.excuse(partition, seq, Infinity))
  }

  #writes({ time, data }: EventOf<'log.append'>): void {
    let producers = this.#written.get(data.partition)
    if (producers === undefined) this.#written.set(data.partition, (producers = new Map()))
    if (data.batch.isControl) producers.delete(data.batch.producerId)
    else producers.set(data.batch.producerId, time)
  }

  finish(end: RunEnd): OracleReport {
    for (const { txn, id, partition, node, seq, time } of this.#polled) {
      if (txn.outcome !== 'aborted') continue
      const message = `${node} read ${id} of ${partition}, which belongs to transaction ${txn.name}, and that was aborted`
      this.#readCommitted.add(partition, message, time, [txn.endedSeq, seq])
    }
    const patience = (this.#promises.transactionTimeout ?? 0) + ABORT_SCAN + this.#promises.settle
    for (const [partition, producers] of this.#written) {
      for (const [producerId, time] of producers) {
        this.ends.checks++
        if (end.time - Math.max(time, end.lastFaultEnd) < patience || !this.#isOpen(partition, producerId)) continue
        const message = `${partition}: a transaction of producer ${producerId} is open since ${(time / 1e6).toFixed(3)} s, without a marker`
        this.ends.add(partition, message, end.time, [this.#lastOf(partition, producerId)])
      }
    }
    this.#judgeAtomic(end, patience)
    return this.#readCommitted.report()
  }

  #judgeAtomic(end: RunEnd, patience: Micros): void {
    const visible = new Set<string>()
    for (const partition of this.#written.keys()) {
      const leader = this.#leaders.get(partition)
      if (leader === undefined) continue
      for (const { id } of visibleRecords(this.#logs.log(leader, partition))) visible.add(id)
    }
    for (const txn of this.#txns) {
      // What was deleted or compacted since tells nothing.
      const acked = txn.acked.filter(
        ({ partition, offset }) =>
          offset >= this.#logs.deletedTo(partition) && offset >= this.#compaction.cleanedTo(partition),
      )
      const isSettled = end.time - Math.max(txn.time, end.lastFaultEnd) >= patience
      if (acked.length === 0 || !isSettled) continue
      this.atomic.checks++
      const seen = acked.filter(({ id }) => visible.has(id))
      const wanted = txn.outcome === 'committed' ? acked.length : txn.outcome === 'aborted' ? 0 : undefined
      if (wanted === undefined ? seen.length === 0 || seen.length === acked.length : seen.length === wanted) continue
      this.#tellTorn(txn, acked, seen, end)
    }
  }

  #tellTorn(txn: Txn, acked: readonly Acked[], seen: readonly Acked[], end: RunEnd): void {
    const isAbort = txn.outcome === 'aborted'
    const odd = (isAbort ? seen[0] : acked.find((record) => !seen.includes(record))) as Acked
    const rest = isAbort ? 'can be seen all the same' : 'cannot be seen'
    const message = `transaction ${txn.name} (${txn.outcome}): ${odd.id} (${odd.partition}@${odd.offset}) ${rest}, ${seen.length} of ${acked.length} records can`
    const excuse = acked
      .map(({ partition, seq }) => this.#keeper.excuse(partition, seq, Infinity))
      .find((reason) => reason !== undefined)
    this.atomic.add(odd.partition, message, end.time, [odd.seq, txn.endedSeq], excuse)
  }

  /** Whether the log of the leader holds a batch of this producer behind its last marker. */
  #isOpen(partition: string, producerId: number): boolean {
    return this.#lastOf(partition, producerId) > 0
  }

  /** Sequence of the append of the producer's last batch, if it is no marker; 0 otherwise. */
  #lastOf(partition: string, producerId: number): number {
    const leader = this.#leaders.get(partition)
    if (leader === undefined) return 0
    const { entries } = this.#logs.log(leader, partition)
    const last = entries.findLast(({ batch }) => batch.producerId === producerId && batch.isTransactional)
    return last === undefined || last.batch.isControl ? 0 : last.seq
  }
}
