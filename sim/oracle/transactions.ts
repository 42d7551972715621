/**
 * Transactions: `read-committed` (Jepsen's G1a and precommitted-read) and `transactions-end`.
 *
 * A consumer with isolation.level=read_committed is never given a record of a transaction that was aborted. And no transaction stays open
 * for ever: once its timeout, the coordinator's look for timeouts and the bound of recovery are over, every partition has its marker, or
 * consumers would wait behind it (the last stable offset stands).
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import type { NodeName } from '../kernel/names.js'
import type { Micros } from '../kernel/units.js'
import { Findings } from './findings.js'
import type { LogModel } from './log-model.js'
import type { Oracle, OracleReport, Promises, RunEnd } from './oracle.js'

interface Txn {
  readonly name: string
  aborted: boolean
  endedSeq: number
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
    'consume.polled',
    'log.append',
    'replica.leader',
  ]
  readonly ends = new Findings('transactions-end')
  readonly #readCommitted = new Findings(this.name)
  readonly #promises: Promises
  readonly #logs: LogModel
  /** Node → the transaction that it is in. */
  readonly #current = new Map<NodeName, Txn>()
  readonly #txnOf = new Map<string, Txn>()
  readonly #polled: Polled[] = []
  /** Partition → producer id → when it last wrote there. */
  readonly #written = new Map<string, Map<number, Micros>>()
  readonly #leaders = new Map<string, NodeName>()

  constructor(promises: Promises, logs: LogModel) {
    this.#promises = promises
    this.#logs = logs
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'txn.begin': {
        const name = `${event.data.transactionalId}#${event.data.txn}`
        this.#current.set(event.node, { name, aborted: false, endedSeq: 0 })
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
    for (const name of [...this.#written.keys()]) if (name.startsWith(`${topic}-`)) this.#written.delete(name)
  }

  #ended(event: EventOf<'txn.ended'>): void {
    const txn = this.#current.get(event.node)
    if (txn === undefined) return
    this.#current.delete(event.node)
    txn.aborted = event.data.outcome === 'aborted' && event.data.certain
    txn.endedSeq = event.seq
  }

  #reads(event: EventOf<'consume.polled'>): void {
    if (this.#promises.readCommitted?.has(event.node) !== true) return
    const { partition, ids } = event.data
    for (const id of ids) {
      const txn = this.#txnOf.get(id)
      if (txn === undefined) continue
      this.#readCommitted.checks++
      // It may be aborted later, which is no better.
      this.#polled.push({ txn, id, partition, node: event.node, seq: event.seq, time: event.time })
    }
  }

  #writes({ time, data }: EventOf<'log.append'>): void {
    let producers = this.#written.get(data.partition)
    if (producers === undefined) this.#written.set(data.partition, (producers = new Map()))
    if (data.batch.isControl) producers.delete(data.batch.producerId)
    else producers.set(data.batch.producerId, time)
  }

  finish(end: RunEnd): OracleReport {
    for (const { txn, id, partition, node, seq, time } of this.#polled) {
      if (!txn.aborted) continue
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
    return this.#readCommitted.report()
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
