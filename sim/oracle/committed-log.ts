/**
 * What is below the high watermark: `log-matching`, `isr-has-committed`, `high-watermark-monotonic`, and the order of records in it
 * (`no-duplicates`, `no-reordering`, `offsets-dense`).
 *
 * The committed log of a partition is what its leaders advanced their high watermark over. It is written down once, by whichever replica
 * gets there first; every replica that advances its own high watermark must hold the same batches (log matching), every
 * member of the ISR must hold it up to the leader's high watermark, and every new leader must hold all of it.
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import { nodeName, type NodeName } from '../kernel/names.js'
import type { Epoch, NodeId, Offset } from '../kernel/units.js'
import { Findings } from './findings.js'
import type { Entry, LogModel, ReplicaLog } from './log-model.js'
import type { Oracle, OracleReport } from './oracle.js'
import type { PromiseKeeper } from './promises.js'
import { RecordOrder } from './record-order.js'
import type { Serving } from './serving.js'

interface Committed {
  readonly entries: Entry[]
  /** Exclusive end of what is committed; the first offset ever committed is entries[0].baseOffset. */
  end: Offset
  /** Sequence of the event that moved `end` last. */
  seq: number
  /** Node → how far (exclusive) its log was found equal to the committed one, and the truncations seen then. */
  readonly matched: Map<NodeName, { upTo: Offset; truncations: number }>
  isr: readonly NodeId[]
  /** Highest epoch in which a replica took up leadership. */
  ledEpoch: Epoch
  leader: NodeName | undefined
  /** The leader of this epoch was found to hold what it must. */
  judged: boolean
  /** The acting leader's last high watermark and epoch. */
  readonly leaderHw: Map<NodeName, { hw: Offset; epoch: Epoch }>
}

export class CommittedLog implements Oracle {
  readonly name = 'log-matching'
  readonly watches: readonly EventType[] = [
    'hw.advance',
    'hw.set',
    'quorum.hw',
    'replica.leader',
    'replica.follower',
    'isr.committed',
    'quorum.state',
    'broker.state',
    'controller.topic',
  ]
  readonly highWatermark = new Findings('high-watermark-monotonic')
  readonly isrHasCommitted = new Findings('isr-has-committed')
  readonly order: RecordOrder
  readonly #matching = new Findings(this.name)
  readonly #partitions = new Map<string, Committed>()
  readonly #logs: LogModel
  readonly #promises: PromiseKeeper
  readonly #serving: Serving

  constructor(logs: LogModel, promises: PromiseKeeper, serving: Serving) {
    this.#logs = logs
    this.#serving = serving
    this.#promises = promises
    this.order = new RecordOrder(promises)
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'hw.advance':
        if (event.data.role === 'leader') this.#leaderAdvanced(event)
        this.#advanced(event.node, event.data.partition, event.data.to, event)
        break
      case 'quorum.hw':
        this.#advanced(event.node, QUORUM_PARTITION, event.data.to, event)
        break
      case 'isr.committed':
        this.#state(event.data.partition).isr = event.data.isr
        break
      case 'replica.follower': {
        const state = this.#state(event.data.partition)
        if (state.leader === event.node) state.leader = undefined
        break
      }
      case 'replica.leader':
        this.#takesUp(event)
        break
      case 'broker.state':
        for (const [partition, state] of this.#partitions)
          if (state.leader === event.node) this.#judge(state, partition, event)
        break
      case 'quorum.state':
        if (event.data.to === 'leader') this.#leads(event.node, QUORUM_PARTITION, event)
        break
      case 'controller.topic':
        if (event.data.change === 'deleted') this.#forget(event.data.topic)
        break
      default:
        break
    }
  }

  finish(): OracleReport {
    return this.#matching.report()
  }

  #leaderAdvanced(event: EventOf<'hw.advance'>): void {
    const { partition, from, to, leaderEpoch } = event.data
    const state = this.#state(partition)
    const last = state.leaderHw.get(event.node)
    this.highWatermark.checks++
    if (to <= from || (last !== undefined && last.epoch === leaderEpoch && from < last.hw)) {
      const message = `${partition}: high watermark went from ${last?.hw ?? from} to ${to} on ${event.node} in epoch ${leaderEpoch}`
      this.highWatermark.add(`${partition}@${to}`, message, event.time, [event.seq])
    }
    state.leaderHw.set(event.node, { hw: to, epoch: leaderEpoch })
    for (const id of state.isr) this.#checkMember(nodeName(id), partition, to, event)
  }

  #checkMember(node: NodeName, partition: string, to: Offset, event: TraceEvent): void {
    this.isrHasCommitted.checks++
    const log = this.#logs.log(node, partition)
    if (log.logEnd >= to) return
    const message = `${partition}: high watermark ${to} on ${event.node}, but ISR member ${node} holds only up to ${log.logEnd}`
    const excuse = this.#promises.lostData(node) ? `accepted data lost on ${node}` : this.#promises.excuse(partition)
    this.isrHasCommitted.add(`${partition}@${log.logEnd}`, message, event.time, [event.cause, event.seq], excuse)
  }

  /** A replica holds everything up to `to` as committed: compare with the committed log, and extend it. */
  #advanced(node: NodeName, partition: string, to: Offset, event: TraceEvent): void {
    const state = this.#state(partition)
    const log = this.#logs.log(node, partition)
    const from = this.#matchedUpTo(state, log)
    this.#compare(state, log, from, Math.min(to, state.end), event)
    if (to > state.end && log.logEnd >= to) this.#extend(state, log, to, event)
    state.matched.set(node, { upTo: Math.max(from, Math.min(to, log.logEnd)), truncations: log.truncations })
  }

  /** Judged once the broker serves: a process that is back from a crash may be deposed before it ever does. */
  #takesUp(event: EventOf<'replica.leader'>): void {
    const { partition, leaderEpoch, isr } = event.data
    const state = this.#state(partition)
    state.isr = isr
    if (leaderEpoch <= state.ledEpoch) return
    state.ledEpoch = leaderEpoch
    state.leader = event.node
    state.judged = false
    this.#judge(state, partition, event)
  }

  #judge(state: Committed, partition: string, event: TraceEvent): void {
    if (state.judged || state.leader === undefined || !this.#serving.has(state.leader)) return
    state.judged = true
    this.#leads(state.leader, partition, event)
  }

  /** A new leader must hold everything committed. */
  #leads(node: NodeName, partition: string, event: TraceEvent): void {
    const state = this.#state(partition)
    if (state.end === 0) return
    const log = this.#logs.log(node, partition)
    this.#matching.checks++
    if (log.logEnd < state.end) {
      const message = `${partition}: ${node} leads with a log up to ${log.logEnd}, committed was up to ${state.end}`
      this.#matching.add(
        `${partition}@${log.logEnd}`,
        message,
        event.time,
        [state.seq, event.seq],
        this.#promises.excuse(partition),
      )
      this.#shorten(state, log.logEnd)
    }
    const from = this.#matchedUpTo(state, log)
    this.#compare(state, log, from, state.end, event)
    state.matched.set(node, { upTo: state.end, truncations: log.truncations })
  }

  #compare(state: Committed, log: ReplicaLog, from: Offset, to: Offset, event: TraceEvent): void {
    if (from >= to) return
    const start = Math.max(from, log.logStart, state.entries[0]?.baseOffset ?? 0)
    let at = indexOf(state.entries, start)
    let mine = log.indexOf(start)
    while (at < state.entries.length && mine < log.entries.length) {
      const expected = state.entries[at] as Entry
      const found = log.entries[mine] as Entry
      if (expected.baseOffset >= to || found.baseOffset >= to) break
      this.#matching.checks++
      if (expected.crc !== found.crc || expected.epoch !== found.epoch || expected.baseOffset !== found.baseOffset) {
        const subject = `${log.partition}@${found.baseOffset}`
        const message = `${subject} on ${log.node} (epoch ${found.epoch}) is not what was committed (epoch ${expected.epoch})`
        this.#matching.add(
          subject,
          message,
          event.time,
          [expected.seq, found.seq, event.seq],
          this.#promises.excuse(log.partition),
        )
        // From here on this replica's history counts, so that one difference is reported once.
        this.#shorten(state, Math.min(expected.baseOffset, found.baseOffset))
        return
      }
      at++
      mine++
    }
  }

  #extend(state: Committed, log: ReplicaLog, to: Offset, event: TraceEvent): void {
    for (let at = log.indexOf(state.end); at < log.entries.length; at++) {
      const entry = log.entries[at] as Entry
      if (entry.baseOffset >= to) break
      if (entry.lastOffset < state.end) continue
      state.entries.push(entry)
      if (log.partition !== QUORUM_PARTITION) this.order.committed(log.partition, entry, event)
    }
    state.end = to
    state.seq = event.seq
  }

  #matchedUpTo(state: Committed, log: ReplicaLog): Offset {
    const matched = state.matched.get(log.node)
    if (matched === undefined) return log.logStart
    return matched.truncations === log.truncations ? matched.upTo : Math.min(matched.upTo, log.truncatedTo)
  }

  #shorten(state: Committed, to: Offset): void {
    while (state.entries.length > 0 && (state.entries[state.entries.length - 1] as Entry).lastOffset >= to)
      state.entries.pop()
    state.end = Math.min(state.end, to)
    for (const matched of state.matched.values()) matched.upTo = Math.min(matched.upTo, to)
  }

  #forget(topic: string): void {
    for (const name of [...this.#partitions.keys()]) {
      if (name.slice(0, name.lastIndexOf('-')) !== topic) continue
      this.#partitions.delete(name)
      this.order.forget(name)
    }
  }

  #state(partition: string): Committed {
    let state = this.#partitions.get(partition)
    if (state === undefined) {
      state = {
        entries: [],
        end: 0,
        seq: 0,
        matched: new Map(),
        isr: [],
        ledEpoch: -1,
        leader: undefined,
        judged: false,
        leaderHw: new Map(),
      }
      this.#partitions.set(partition, state)
    }
    return state
  }
}

/** The metadata log, as it is named in log events. */
export const QUORUM_PARTITION = '__cluster_metadata-0'

function indexOf(entries: readonly Entry[], offset: Offset): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((entries[middle] as Entry).lastOffset < offset) low = middle + 1
    else high = middle
  }
  return low
}
