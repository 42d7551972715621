/**
 * What consumers see: `reads-below-high-watermark`, `offsets-consistent`, `positions-consistent`.
 *
 * A broker serves clients nothing at or above its high watermark. An offset holds one record: every acknowledgement and every read
 * of it agree (Jepsen's inconsistent-offsets). A consumer's position neither skips records nor goes back unless it was set
 * (Jepsen's poll-skip and nonmonotonic-poll).
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import type { Offset } from '../kernel/units.js'
import { Findings } from './findings.js'
import type { LogModel } from './log-model.js'
import type { Oracle, OracleReport } from './oracle.js'
import type { PromiseKeeper } from './promises.js'

interface Holder {
  readonly id: string
  readonly seq: number
}

export class Reads implements Oracle {
  readonly name = 'reads-below-high-watermark'
  readonly watches: readonly EventType[] = [
    'hw.advance',
    'hw.set',
    'fetch.served',
    'produce.acked',
    'consume.polled',
    'consume.position',
    'controller.topic',
    'node.start',
  ]
  readonly offsets = new Findings('offsets-consistent')
  readonly positions = new Findings('positions-consistent')
  readonly #served = new Findings(this.name)
  /** `b1 orders-0` → that replica's high watermark. */
  readonly #highWatermarks = new Map<string, Offset>()
  readonly #holders = new Map<string, Map<Offset, Holder>>()
  readonly #acks = new Map<string, number>()
  /** `c1 orders-0` → the offset that comes next. */
  readonly #positions = new Map<string, { next: Offset; seq: number }>()
  readonly #logs: LogModel
  readonly #promises: PromiseKeeper

  constructor(logs: LogModel, promises: PromiseKeeper) {
    this.#logs = logs
    this.#promises = promises
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'hw.advance':
      case 'hw.set':
        this.#highWatermarks.set(`${event.node} ${event.data.partition}`, event.data.to)
        break
      case 'fetch.served':
        this.#serves(event)
        break
      case 'produce.acked':
        if (event.data.offset >= 0)
          this.#holds(event.data.partition, event.data.offset, event.data.id, event, event.data.acks)
        break
      case 'consume.polled':
        this.#polled(event)
        break
      case 'consume.position':
        this.#positions.set(`${event.node} ${event.data.partition}`, { next: event.data.to, seq: event.seq })
        break
      case 'node.start':
        for (const key of [...this.#positions.keys()]) if (key.startsWith(`${event.node} `)) this.#positions.delete(key)
        break
      case 'controller.topic':
        if (event.data.change === 'deleted') {
          for (const name of [...this.#holders.keys()])
            if (name.slice(0, name.lastIndexOf('-')) === event.data.topic) this.#holders.delete(name)
        }
        break
      default:
        break
    }
  }

  finish(): OracleReport {
    return this.#served.report()
  }

  #serves(event: EventOf<'fetch.served'>): void {
    const { partition, upTo, bound, to } = event.data
    this.#served.checks++
    const known = this.#highWatermarks.get(`${event.node} ${partition}`) ?? 0
    if (upTo > bound || bound > known) {
      const message = `${partition}: ${event.node} served ${to} up to ${upTo}, its high watermark is ${known}`
      this.#served.add(`${partition}@${upTo - 1}`, message, event.time, [event.cause, event.seq])
    }
  }

  #polled(event: EventOf<'consume.polled'>): void {
    const { partition, offsets, ids } = event.data
    const key = `${event.node} ${partition}`
    let position = this.#positions.get(key)
    for (let i = 0; i < offsets.length; i++) {
      const offset = offsets[i] as Offset
      this.positions.checks++
      if (position !== undefined && offset < position.next) {
        const message = `${event.node} read ${partition}@${offset} after having read up to ${position.next - 1}`
        this.positions.add(`${partition}@${offset}`, message, event.time, [position.seq, event.seq])
      } else if (
        position !== undefined &&
        offset > position.next &&
        this.#skipsRecords(partition, position.next, offset)
      ) {
        const message = `${event.node} read ${partition}@${offset} next after ${position.next - 1}: ${offset - position.next} skipped`
        this.positions.add(
          `${partition}@${position.next}`,
          message,
          event.time,
          [position.seq, event.seq],
          this.#promises.excuse(partition),
        )
      }
      position = { next: offset + 1, seq: event.seq }
      const id = ids[i]
      if (id !== undefined && id !== '') this.#holds(partition, offset, id, event, undefined)
    }
    if (position !== undefined) this.#positions.set(key, position)
  }

  /** Control batches are no records: a gap of nothing else is none. */
  #skipsRecords(partition: string, from: Offset, to: Offset): boolean {
    for (const log of this.#logs.logsOf(partition)) {
      if (log.logEnd < to) continue
      for (let at = log.indexOf(from); at < log.entries.length; at++) {
        const entry = log.entries[at]
        if (entry === undefined || entry.baseOffset >= to) break
        if (!entry.batch.isControl && entry.baseOffset >= log.logStart) return true
      }
      return false
    }
    return true
  }

  #holds(partition: string, offset: Offset, id: string, event: TraceEvent, acks: number | undefined): void {
    this.offsets.checks++
    let holders = this.#holders.get(partition)
    if (holders === undefined) this.#holders.set(partition, (holders = new Map()))
    const known = holders.get(offset)
    if (acks !== undefined) this.#acks.set(`${partition}@${offset} ${id}`, acks)
    if (known === undefined) {
      holders.set(offset, { id, seq: event.seq })
      return
    }
    if (known.id === id) return
    const subject = `${partition}@${offset}`
    const weakest = Math.min(this.#ackOf(subject, known.id), this.#ackOf(subject, id))
    const excuse = weakest === 1 ? this.#promises.excuseAcked(partition, 1) : this.#promises.excuse(partition)
    this.offsets.add(
      subject,
      `${subject} is ${known.id} for one and ${id} for another`,
      event.time,
      [known.seq, event.seq],
      excuse,
    )
    holders.set(offset, { id, seq: event.seq })
  }

  /** How the record was acknowledged; 2 (stronger than acks=1) when it was all, or only read. */
  #ackOf(subject: string, id: string): number {
    return this.#acks.get(`${subject} ${id}`) === 1 ? 1 : 2
  }
}
