/**
 * `acked-records-survive` (Jepsen's lost-write): a record whose producer was told that it is written stays in the log of every later leader.
 *
 * Judged when a replica that serves takes up leadership (everything acknowledged must be in its log), when an acknowledgement arrives after leadership
 * moved on, when a leader truncates, and at the end. Each replica's log is compared with the acknowledgements once; what was
 * verified is looked at again only below a truncation. Records below the log start were deleted on purpose and are not lost.
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import type { NodeName } from '../kernel/names.js'
import { formatSeconds, type Epoch, type Offset } from '../kernel/units.js'
import { Findings } from './findings.js'
import type { LogModel, ReplicaLog } from './log-model.js'
import type { Oracle, OracleReport } from './oracle.js'
import type { PromiseKeeper } from './promises.js'
import type { Serving } from './serving.js'

interface Acked {
  readonly id: string
  readonly offset: Offset
  readonly crc: number
  readonly acks: number
  readonly seq: number
  readonly time: number
  readonly client: NodeName
  lost: boolean
}

interface PartitionState {
  /** In order of offset. */
  readonly acked: Acked[]
  leader: NodeName | undefined
  epoch: Epoch
  /** Sequence of the event by which the leader took up its role. */
  since: number
  /** Node → acknowledgements (by index in `acked`) that its log was found to hold, and the truncations seen then. */
  readonly verified: Map<NodeName, { upTo: number; truncations: number }>
}

export class AckedRecords implements Oracle {
  readonly name = 'acked-records-survive'
  readonly watches: readonly EventType[] = [
    'produce.acked',
    'replica.leader',
    'replica.follower',
    'log.truncate',
    'broker.state',
  ]
  readonly #findings = new Findings(this.name)
  readonly #partitions = new Map<string, PartitionState>()
  readonly #logs: LogModel
  readonly #promises: PromiseKeeper
  readonly #serving: Serving

  constructor(logs: LogModel, promises: PromiseKeeper, serving: Serving) {
    this.#logs = logs
    this.#serving = serving
    this.#promises = promises
  }

  observe(event: TraceEvent): void {
    if (event.type === 'produce.acked') this.#acked(event)
    else if (event.type === 'replica.leader') this.#leads(event)
    else if (event.type === 'replica.follower') {
      const state = this.#partitions.get(event.data.partition)
      if (state?.leader === event.node) state.leader = undefined
    } else if (event.type === 'log.truncate') {
      const state = this.#partitions.get(event.data.partition)
      if (state?.leader === event.node) this.#verify(event.data.partition, state, event.seq, event.time)
    } else if (event.type === 'broker.state' && event.data.to === 'RUNNING') {
      for (const [partition, state] of this.#partitions) {
        if (state.leader === event.node) this.#verify(partition, state, event.seq, event.time)
      }
    }
  }

  finish(end: { time: number; lastSequence: number }): OracleReport {
    for (const [partition, state] of this.#partitions) {
      if (state.leader !== undefined) this.#verify(partition, state, end.lastSequence, end.time)
    }
    return this.#findings.report()
  }

  #acked(event: EventOf<'produce.acked'>): void {
    const { id, partition, offset, crc, acks } = event.data
    if (offset < 0) return // acks=0: nobody said where it is
    const state = this.#state(partition)
    const record: Acked = { id, offset, crc, acks, seq: event.seq, time: event.time, client: event.node, lost: false }
    const at = insert(state.acked, record)
    for (const verified of state.verified.values()) verified.upTo = Math.min(verified.upTo, at)
    if (state.leader !== undefined) this.#verify(partition, state, state.since, event.time)
  }

  #leads(event: EventOf<'replica.leader'>): void {
    const state = this.#state(event.data.partition)
    if (event.data.leaderEpoch < state.epoch) return // a deposed leader that has not heard
    state.leader = event.node
    state.epoch = event.data.leaderEpoch
    state.since = event.seq
    this.#verify(event.data.partition, state, event.seq, event.time)
  }

  /** Compares what the leader's log holds with what was acknowledged, from where it was last known to agree. */
  #verify(partition: string, state: PartitionState, decisive: number, time: number): void {
    const leader = state.leader as NodeName
    if (!this.#serving.has(leader)) return
    const log = this.#logs.log(leader, partition)
    let verified = state.verified.get(leader)
    if (verified === undefined) state.verified.set(leader, (verified = { upTo: 0, truncations: log.truncations }))
    if (verified.truncations !== log.truncations) {
      verified.upTo = Math.min(verified.upTo, firstAtOrAfter(state.acked, log.truncatedTo))
      verified.truncations = log.truncations
    }
    for (; verified.upTo < state.acked.length; verified.upTo++) {
      const record = state.acked[verified.upTo] as Acked
      this.#findings.checks++
      if (record.lost || record.offset < log.logStart || holds(log, record)) continue
      record.lost = true
      this.#report(partition, record, log, decisive, time)
    }
  }

  #report(partition: string, record: Acked, log: ReplicaLog, decisive: number, time: number): void {
    const subject = `${partition}@${record.offset}`
    const missing =
      record.offset >= log.logEnd ? `missing on ${log.node}` : `another record in its place on ${log.node}`
    const message = `${subject} (${record.id}) acked to ${record.client} at ${formatSeconds(record.time)} s, ${missing}, which leads`
    this.#findings.add(
      subject,
      message,
      time,
      [record.seq, decisive],
      this.#promises.excuseAcked(partition, record.acks),
    )
  }

  #state(partition: string): PartitionState {
    let state = this.#partitions.get(partition)
    if (state === undefined) {
      state = { acked: [], leader: undefined, epoch: -1, since: 0, verified: new Map() }
      this.#partitions.set(partition, state)
    }
    return state
  }
}

function holds(log: ReplicaLog, record: Acked): boolean {
  return record.offset < log.logEnd && log.find(record.offset)?.crc === record.crc
}

/** Inserts in order of offset; acknowledgements come almost in order. Returns the place. */
function insert(acked: Acked[], record: Acked): number {
  let at = acked.length
  while (at > 0 && (acked[at - 1] as Acked).offset > record.offset) at--
  acked.splice(at, 0, record)
  return at
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
