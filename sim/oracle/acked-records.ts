/**
 * `acked-records-survive` (Jepsen's lost-write): a record whose producer was told that it is written stays in the log of every later
 * leader.
 *
 * Judged when a replica that serves takes up leadership (everything acknowledged must be in its log), when an acknowledgement arrives,
 * when a leader truncates, and at the end. Each log is compared with the acknowledgements once; what was verified is looked at again only
 * below a truncation. Records that were deleted on purpose, or for which compaction keeps a later one, are not lost. `acks=1` promises the log of the leader that
 * answered, while it leads and its disk keeps what it took.
 *
 * Evidence: the acknowledgement, the append on the leader that answered (if it was seen), and what took the record away.
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import { parsePartition, type NodeName } from '../kernel/names.js'
import type { Epoch, Micros, Offset } from '../kernel/units.js'
import type { CompactionModel } from './compaction-model.js'
import { Findings } from './findings.js'
import type { Entry, LogModel, ReplicaLog } from './log-model.js'
import type { Oracle, OracleReport, RunEnd } from './oracle.js'
import type { PromiseKeeper } from './promises.js'
import type { RunClock } from './run-clock.js'
import type { Serving } from './serving.js'

interface Acked {
  readonly id: string
  readonly offset: Offset
  readonly crc: number
  readonly acks: number
  readonly seq: number
  readonly time: Micros
  readonly client: NodeName
  /** The append on `appendedOn`, when it was found as the acknowledgement came; its epoch is -1 else. */
  readonly appendedAt: number
  readonly appendedOn: NodeName | undefined
  readonly epoch: Epoch
  lost: boolean
}

interface PartitionState {
  /** In order of offset. */
  readonly acked: Acked[]
  leader: NodeName | undefined
  epoch: Epoch
  /** Sequence of the event by which the leader took up its role, or began to serve in it. */
  since: number
}

export class AckedRecords implements Oracle {
  readonly name = 'acked-records-survive'
  readonly watches: readonly EventType[] = [
    'produce.acked',
    'replica.leader',
    'replica.follower',
    'log.truncate',
    'broker.state',
    'node.down',
  ]
  readonly #findings = new Findings(this.name)
  readonly #partitions = new Map<string, PartitionState>()
  readonly #logs: LogModel
  readonly #promises: PromiseKeeper
  readonly #serving: Serving
  readonly #clock: RunClock
  readonly #compaction: CompactionModel

  constructor(logs: LogModel, promises: PromiseKeeper, serving: Serving, clock: RunClock, compaction: CompactionModel) {
    this.#compaction = compaction
    this.#logs = logs
    this.#promises = promises
    this.#serving = serving
    this.#clock = clock
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'produce.acked':
        // acks=0: nobody said where it is. A duplicate of a batch long gone has no offset either.
        if (event.data.offset >= 0) this.#acked(event)
        break
      case 'replica.leader':
        this.#leads(event)
        break
      case 'replica.follower': {
        const state = this.#partitions.get(event.data.partition)
        if (state?.leader === event.node) state.leader = undefined
        break
      }
      case 'log.truncate': {
        const state = this.#partitions.get(event.data.partition)
        if (state?.leader === event.node) this.#verify(event.data.partition, state, event.time)
        break
      }
      case 'broker.state':
        if (event.data.to === 'RUNNING') this.#serves(event)
        break
      case 'node.down':
        for (const state of this.#partitions.values()) if (state.leader === event.node) state.leader = undefined
        break
      default:
        break
    }
  }

  forgetTopic(topic: string): void {
    for (const name of [...this.#partitions.keys()]) {
      if (parsePartition(name)?.topic === topic) this.#partitions.delete(name)
    }
  }

  finish(end: RunEnd): OracleReport {
    for (const [partition, state] of this.#partitions) this.#verify(partition, state, end.time)
    return this.#findings.report()
  }

  #acked(event: EventOf<'produce.acked'>): void {
    const { id, partition, offset, crc, acks } = event.data
    const state = this.#state(partition)
    const holder = this.#holder(partition, offset, crc, state.leader)
    const entry = holder?.find(offset)
    const record: Acked = {
      id,
      offset,
      crc,
      acks,
      seq: event.seq,
      time: event.time,
      client: event.node,
      appendedAt: entry?.seq ?? 0,
      appendedOn: holder?.node,
      epoch: entry?.epoch ?? -1,
      lost: false,
    }
    const isNewest = insert(state.acked, record)
    if (isNewest && holder !== undefined && holder.node === state.leader && this.#serving.has(holder.node)) {
      // It is where it must be. What was not verified yet stays behind `acksTo`.
      this.#findings.checks++
      if (holder.acksTo >= (state.acked[state.acked.length - 2]?.offset ?? -1) + 1) holder.acksTo = offset + 1
      return
    }
    for (const log of this.#logs.logsOf(partition)) log.acksTo = Math.min(log.acksTo, offset)
    this.#verify(partition, state, event.time)
  }

  /** A replica that holds the record: the leader, else any. */
  #holder(partition: string, offset: Offset, crc: number, leader: NodeName | undefined): ReplicaLog | undefined {
    if (leader !== undefined) {
      const log = this.#logs.log(leader, partition)
      if (log.find(offset)?.crc === crc) return log
    }
    let holder: ReplicaLog | undefined
    let first: Entry | undefined
    for (const log of this.#logs.logsOf(partition)) {
      const entry = log.find(offset)
      if (entry?.crc !== crc || (first !== undefined && first.seq < entry.seq)) continue
      holder = log
      first = entry
    }
    return holder
  }

  #leads(event: EventOf<'replica.leader'>): void {
    const { partition, leaderEpoch } = event.data
    const state = this.#state(partition)
    if (leaderEpoch < state.epoch) return // a deposed leader that has not heard
    state.leader = event.node
    state.epoch = leaderEpoch
    state.since = event.seq
    this.#verify(partition, state, event.time)
  }

  /** A process that is back from a crash may lead already, but served nobody so far. */
  #serves(event: EventOf<'broker.state'>): void {
    for (const [partition, state] of this.#partitions) {
      if (state.leader !== event.node) continue
      state.since = event.seq
      this.#verify(partition, state, event.time)
    }
  }

  /** Compares what the leader's log holds with what was acknowledged, from where it was last known to agree. */
  #verify(partition: string, state: PartitionState, time: Micros): void {
    const { leader, acked } = state
    const newest = acked[acked.length - 1]
    if (leader === undefined || newest === undefined || !this.#serving.has(leader)) return
    const log = this.#logs.log(leader, partition)
    if (log.acksTo > newest.offset) return
    const deleted = this.#logs.deletedTo(partition)
    for (let at = firstAtOrAfter(acked, log.acksTo); at < acked.length; at++) {
      const record = acked[at] as Acked
      this.#findings.checks++
      if (record.lost || record.offset < deleted || log.find(record.offset)?.crc === record.crc) continue
      if (this.#compaction.of(partition)?.accountsFor(log, record.offset, record.crc) === true) continue
      record.lost = true
      this.#report(partition, record, state, log, time)
    }
    log.acksTo = newest.offset + 1
  }

  #report(partition: string, record: Acked, state: PartitionState, log: ReplicaLog, time: Micros): void {
    const subject = `${partition}@${record.offset}`
    const isPast = record.offset >= log.logEnd || record.offset < log.logStart
    const missing = isPast ? `missing on ${log.node}` : `another record in its place on ${log.node}`
    const acked = `${subject} (${record.id}) acked to ${record.client} at ${this.#clock.text(record.time)}`
    const message = `${acked}, ${missing} at ${this.#clock.text(time)}`
    // The log that held it was cut, or this one never had it and became the one that counts.
    const decisive = record.appendedOn === log.node && log.cutAt > record.appendedAt ? log.cutAt : state.since
    const evidence = [record.seq, record.appendedAt, decisive]
    this.#findings.add(subject, message, time, evidence, this.#excuse(partition, record, state, log))
  }

  #excuse(partition: string, record: Acked, state: PartitionState, log: ReplicaLog): string | undefined {
    if (record.acks === 1) {
      const isKept = record.appendedOn === log.node && record.epoch === state.epoch && log.openedAt < record.appendedAt
      if (!isKept) return 'acks=1'
    }
    return this.#promises.excuse(partition, record.seq, record.epoch)
  }

  #state(partition: string): PartitionState {
    let state = this.#partitions.get(partition)
    if (state === undefined) {
      state = { acked: [], leader: undefined, epoch: -1, since: 0 }
      this.#partitions.set(partition, state)
    }
    return state
  }
}

/** Inserts in order of offset; acknowledgements come almost in order. True when it became the last. */
function insert(acked: Acked[], record: Acked): boolean {
  let at = acked.length
  while (at > 0 && (acked[at - 1] as Acked).offset > record.offset) at--
  if (at === acked.length) {
    acked.push(record)
    return true
  }
  acked.splice(at, 0, record)
  return false
}

function firstAtOrAfter(acked: readonly Acked[], offset: Offset): number {
  let low = 0
  let high = acked.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((acked[middle] as Acked).offset < offset) low = middle + 1
    else high = middle
  }
  return low
}
