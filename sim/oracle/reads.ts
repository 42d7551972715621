/**
 * What consumers see: `reads-below-high-watermark`, `offsets-consistent`, `positions-consistent`.
 *
 * A broker serves clients nothing at or above its high watermark. An offset holds one record: every acknowledgement and every read
 * of it agree (Jepsen's inconsistent-offsets). A consumer's position neither skips records nor goes back unless it was set
 * (Jepsen's poll-skip and nonmonotonic-poll).
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import { parsePartition, type NodeName } from '../kernel/names.js'
import type { Epoch, Offset } from '../kernel/units.js'
import type { CompactionModel } from './compaction-model.js'
import { Findings } from './findings.js'
import { indexOf, type LogModel } from './log-model.js'
import type { Oracle, OracleReport } from './oracle.js'
import type { PromiseKeeper } from './promises.js'

/** What is known of each offset, in parallel arrays: a run has millions. */
interface Holders {
  readonly ids: (string | undefined)[]
  readonly seqs: number[]
  /** -1 while it was only acknowledged: answers can come long after. */
  readonly epochs: Epoch[]
  /** Only acknowledged with acks=1 so far: nobody read it, and it may go. */
  readonly isWeak: boolean[]
}

interface Position {
  next: Offset
  seq: number
}

export class Reads implements Oracle {
  readonly name = 'reads-below-high-watermark'
  readonly watches: readonly EventType[] = [
    'fetch.served',
    'produce.acked',
    'consume.polled',
    'consume.position',
    'node.start',
  ]
  readonly offsets = new Findings('offsets-consistent')
  readonly positions = new Findings('positions-consistent')
  readonly #served = new Findings(this.name)
  readonly #holders = new Map<string, Holders>()
  /** Client → partition → the offset that comes next. */
  readonly #positions = new Map<NodeName, Map<string, Position>>()
  readonly #logs: LogModel
  readonly #promises: PromiseKeeper
  readonly #compaction: CompactionModel

  constructor(logs: LogModel, promises: PromiseKeeper, compaction: CompactionModel) {
    this.#logs = logs
    this.#promises = promises
    this.#compaction = compaction
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'fetch.served':
        this.#serves(event)
        break
      case 'produce.acked':
        if (event.data.offset >= 0) this.#acked(event)
        break
      case 'consume.polled':
        this.#polled(event)
        break
      case 'consume.position':
        this.#positionsOf(event.node).set(event.data.partition, { next: event.data.to, seq: event.seq })
        break
      case 'node.start':
        this.#positions.delete(event.node)
        break
      default:
        break
    }
  }

  forgetTopic(topic: string): void {
    for (const name of [...this.#holders.keys()]) if (parsePartition(name)?.topic === topic) this.#holders.delete(name)
  }

  /** The consumer stands in a topic that exists no more; where it goes on is not known. */
  forgetPosition(client: NodeName, partition: string): void {
    this.#positions.get(client)?.delete(partition)
  }

  finish(): OracleReport {
    return this.#served.report()
  }

  #serves(event: EventOf<'fetch.served'>): void {
    const { partition, upTo, bound, to } = event.data
    this.#served.checks++
    const { highWatermark } = this.#logs.log(event.node, partition)
    if (upTo <= bound && bound <= highWatermark) return
    const limit = upTo > highWatermark ? highWatermark : bound
    const message = `${partition}: ${event.node} served ${to} up to ${upTo}, its high watermark is ${highWatermark}`
    this.#served.add(`${partition}@${limit}`, message, event.time, [event.cause, event.seq])
  }

  // ── positions ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #polled(event: EventOf<'consume.polled'>): void {
    const { partition, offsets, ids, leaderEpochs } = event.data
    const positions = this.#positionsOf(event.node)
    let position = positions.get(partition)
    if (position === undefined) {
      const first = offsets[0]
      if (first === undefined) return
      positions.set(partition, (position = { next: first, seq: event.seq }))
    }
    const holders = this.#holdersOf(partition)
    for (let i = 0; i < offsets.length; i++) {
      const offset = offsets[i] as Offset
      this.positions.checks++
      if (offset !== position.next) this.#moves(position, offset, leaderEpochs[i] ?? -1, event)
      position.next = offset + 1
      const id = ids[i] ?? ''
      // Records of no workload say nothing, unless one of a workload was known to be there.
      if (id !== '' || holders.ids[offset] !== undefined) {
        this.#holds(holders, partition, offset, id, leaderEpochs[i] ?? -1, false, event)
      }
    }
    position.seq = event.seq
  }

  #moves(position: Position, offset: Offset, epoch: Epoch, event: EventOf<'consume.polled'>): void {
    const { partition } = event.data
    const { next } = position
    const subject = `${partition}@${offset < next ? offset : next}`
    const evidence = [position.seq, event.seq]
    if (offset < next) {
      const message = `${event.node} read ${partition}@${offset} after having read up to ${next - 1}`
      this.positions.add(subject, message, event.time, evidence)
    } else if (this.#skipsRecords(partition, next, offset, epoch)) {
      this.#compaction.unread(event, partition, next, offset, evidence)
      const message = `${event.node} read ${partition}@${offset} next after ${next - 1}: ${offset - next} skipped`
      this.positions.add(subject, message, event.time, evidence)
    }
  }

  /** Control batches are no records, those of a transaction may be aborted, others compacted: a gap of nothing else is none. */
  #skipsRecords(partition: string, from: Offset, to: Offset, epoch: Epoch): boolean {
    const compacted = this.#compaction.of(partition)
    const logs = [...this.#logs.logsOf(partition)]
    // A deposed leader's may have something else there: better one that holds what was read.
    const read = logs.filter((log) => log.find(to)?.epoch === epoch)
    for (const log of read.length > 0 ? read : logs) {
      if (log.logEnd < to) continue
      for (let at = indexOf(log.entries, from); at < log.entries.length; at++) {
        const entry = log.entries[at]
        if (entry === undefined || entry.baseOffset >= to) return false
        if (compacted?.mayLackWithin(entry, from, to) === true) continue
        if (!entry.batch.isControl && !entry.batch.isTransactional && entry.lastOffset >= log.logStart) return true
      }
      return false
    }
    return true
  }

  #positionsOf(client: NodeName): Map<string, Position> {
    let positions = this.#positions.get(client)
    if (positions === undefined) this.#positions.set(client, (positions = new Map()))
    return positions
  }

  // ── offsets ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #acked(event: EventOf<'produce.acked'>): void {
    const { partition, offset, id, acks } = event.data
    this.#holds(this.#holdersOf(partition), partition, offset, id, -1, acks === 1, event)
  }

  #holds(
    holders: Holders,
    partition: string,
    offset: Offset,
    id: string,
    epoch: Epoch,
    isWeak: boolean,
    event: TraceEvent,
  ): void {
    this.offsets.checks++
    const known = holders.ids[offset]
    if (known === id) {
      // Read: it was committed, whatever its producer asked for.
      if (!isWeak) holders.isWeak[offset] = false
      if (epoch > (holders.epochs[offset] as Epoch)) holders.epochs[offset] = epoch
      return
    }
    if (known !== undefined) this.#disagree(holders, partition, offset, id, epoch, isWeak, event)
    holders.ids[offset] = id
    holders.seqs[offset] = event.seq
    holders.epochs[offset] = epoch
    holders.isWeak[offset] = isWeak
  }

  #disagree(
    holders: Holders,
    partition: string,
    offset: Offset,
    id: string,
    epoch: Epoch,
    isWeak: boolean,
    event: TraceEvent,
  ): void {
    const subject = `${partition}@${offset}`
    const before = holders.seqs[offset] as number
    const isAcksOne = isWeak || holders.isWeak[offset] === true
    const message = `${subject} is ${holders.ids[offset] || 'no record of a client'} for one and ${id || 'none'} for another`
    // Either may be the one that an election took away: a deposed leader's clients can be late.
    const excuse = isAcksOne
      ? 'acks=1'
      : (this.#promises.excuse(partition, before, holders.epochs[offset] as Epoch) ??
        this.#promises.excuse(partition, event.seq, epoch))
    this.offsets.add(subject, message, event.time, [before, event.seq], excuse)
  }

  #holdersOf(partition: string): Holders {
    let holders = this.#holders.get(partition)
    if (holders === undefined) {
      holders = { ids: [], seqs: [], epochs: [], isWeak: [] }
      this.#holders.set(partition, holders)
    }
    return holders
  }
}
