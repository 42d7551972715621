/**
 * What is below the high watermark: `log-matching`, `isr-has-committed`, `high-watermark-monotonic`, and through record-order.ts
 * the order of records in it.
 *
 * The committed log of a partition is what its leaders advanced their high watermark over. It is written down once, by whichever replica
 * gets there first; every replica that advances its own high watermark must hold the same batches (log matching), and every new
 * leader must hold all of it. Every member of the ISR holds it up to the leader's high watermark, which moves only
 * while min.insync.replicas are in sync (KIP-966), and what is acknowledged with acks=all is below it. Within a leader epoch
 * of one process it never goes back; nor does the quorum's, ever.
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import { nodeName, parsePartition, type NodeName } from '../kernel/names.js'
import type { Epoch, NodeId, Offset } from '../kernel/units.js'
import type { Compacted, CompactionModel } from './compaction-model.js'
import { Findings } from './findings.js'
import { dropFrom, indexOf, type Entry, type LogModel, type ReplicaLog, wroteEarly } from './log-model.js'
import type { Oracle, OracleReport } from './oracle.js'
import type { PromiseKeeper } from './promises.js'
import { RecordOrder } from './record-order.js'
import type { Serving } from './serving.js'

/** The metadata log, as it is named in log events. */
export const QUORUM_PARTITION = '__cluster_metadata-0'

/** A replica in the role of leader, as it sees itself. */
interface Acting {
  readonly log: ReplicaLog
  readonly epoch: Epoch
  /** Members that are replicas: ZooKeeper mode takes a replica away before it takes it out of the ISR, and no leader waits for it meanwhile. */
  isr: readonly ReplicaLog[]
  readonly replicas: readonly NodeId[]
  minIsr: number
  /** Where its high watermark was brought to in this epoch; -1 before it moved. */
  highWatermark: Offset
}

interface Committed {
  readonly partition: string
  readonly entries: Entry[]
  /** Exclusive end of what is committed; the first offset ever committed is entries[0].baseOffset. */
  end: Offset
  /** The furthest that any leader's high watermark got. */
  reached: Offset
  /** Sequence of the event that moved `end` last. */
  seq: number
  /** The one of the highest epoch in which a replica took up leadership. */
  leader: NodeName | undefined
  ledEpoch: Epoch
  /** The leader of this epoch was found to hold what it must. */
  judged: boolean
  /** Everybody who believes to lead, the latest last. */
  readonly acting: Map<NodeName, Acting>
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
    'node.start',
    'node.down',
    'produce.acked',
    'produce.failed',
  ]
  readonly highWatermark = new Findings('high-watermark-monotonic')
  readonly isrHasCommitted = new Findings('isr-has-committed')
  readonly order: RecordOrder
  readonly #matching = new Findings(this.name)
  readonly #partitions = new Map<string, Committed>()
  /** Node → the quorum's high watermark as its process knows it. */
  readonly #quorumHw = new Map<NodeName, { to: Offset; seq: number }>()
  readonly #logs: LogModel
  readonly #promises: PromiseKeeper
  readonly #serving: Serving
  readonly #compaction: CompactionModel

  constructor(logs: LogModel, promises: PromiseKeeper, serving: Serving, compaction: CompactionModel) {
    this.#logs = logs
    this.#compaction = compaction
    this.#promises = promises
    this.#serving = serving
    this.order = new RecordOrder(compaction)
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'hw.advance':
        this.#moved(event)
        break
      case 'hw.set':
        this.#set(event)
        break
      case 'quorum.hw':
        this.#quorumMoved(event)
        break
      case 'isr.committed':
        this.#newIsr(event)
        break
      case 'replica.follower':
        this.#ends(this.#state(event.data.partition), event.node)
        break
      case 'replica.leader':
        this.#takesUp(event)
        break
      case 'broker.state':
        for (const state of this.#partitions.values()) if (state.leader === event.node) this.#judge(state, event)
        break
      case 'quorum.state':
        if (event.data.to === 'leader') this.#leadsQuorum(event)
        break
      case 'node.start':
        this.#quorumHw.delete(event.node)
        break
      case 'node.down':
        for (const state of this.#partitions.values()) this.#ends(state, event.node)
        break
      case 'produce.acked':
        this.#acked(event)
        break
      case 'produce.failed':
        if (!event.data.certain) this.order.gaveUp(event.node, event.data.partition)
        break
      default:
        break
    }
  }

  forgetTopic(topic: string): void {
    for (const name of [...this.#partitions.keys()]) {
      if (parsePartition(name)?.topic !== topic) continue
      this.#partitions.delete(name)
      this.order.forget(name)
      this.#compaction.forget(name)
    }
  }

  finish(): OracleReport {
    return this.#matching.report()
  }

  // ── high watermarks ───────────────────────────────────────────────────────────────────────────────────────────────

  #moved(event: EventOf<'hw.advance'>): void {
    const { partition, to, role } = event.data
    const state = this.#state(partition)
    if (role === 'leader') {
      const acting = state.acting.get(event.node)
      if (acting !== undefined) this.#leaderMoved(state, acting, event)
      if (to > state.reached) state.reached = to
      this.#holdsUpTo(state, acting?.log ?? this.#logs.log(event.node, partition), to, event)
    } else this.#holdsUpTo(state, this.#logs.log(event.node, partition), to, event)
  }

  #leaderMoved(state: Committed, acting: Acting, event: EventOf<'hw.advance'>): void {
    const { from, to } = event.data
    this.highWatermark.checks++
    if (to <= from || from < acting.highWatermark) this.#wentBack(state, acting, from, event)
    acting.highWatermark = to
    if (!this.#serving.has(event.node)) return
    this.isrHasCommitted.checks++
    for (let i = 0; i < acting.isr.length; i++) {
      const member = acting.isr[i] as ReplicaLog
      if (member.logEnd < to) this.#lacks(state, member, to, event)
    }
    if (acting.isr.length < acting.minIsr) this.#underMinIsr(state, acting, event)
  }

  #wentBack(state: Committed, acting: Acting, to: Offset, event: TraceEvent): void {
    const { partition } = state
    const from = Math.max(acting.highWatermark, to)
    const message = `${partition}: high watermark of ${event.node} went back from ${from} to ${to} in leader epoch ${acting.epoch}`
    this.highWatermark.add(`${partition}@${to}`, message, event.time, [event.cause, event.seq])
  }

  #underMinIsr(state: Committed, acting: Acting, event: EventOf<'hw.advance'>): void {
    acting.minIsr = Math.min(this.#promises.minIsr(state.partition), acting.replicas.length)
    const { partition } = state
    if (acting.isr.length >= acting.minIsr) return
    const { to } = event.data
    const message = `${partition}: high watermark ${to} on ${event.node} with ${acting.isr.length} of the ${acting.minIsr} replicas in sync that it needs`
    this.isrHasCommitted.add(`${partition}@${to - 1}`, message, event.time, [event.cause, event.seq])
  }

  #lacks(state: Committed, member: ReplicaLog, to: Offset, event: TraceEvent): void {
    // Deleted by a reassignment of which the leader has not heard, or with its disk.
    if (!member.exists && member.openedAt > 0) return
    const { partition } = state
    const message = `${partition}: high watermark ${to} on ${event.node}, but ISR member ${member.node} holds only up to ${member.logEnd}`
    const excuse = this.#promises.excuseReplica(partition, member.node)
    const evidence = [member.cutAt, event.cause, event.seq]
    this.isrHasCommitted.add(`${partition}@${member.logEnd}`, message, event.time, evidence, excuse)
  }

  #set(event: EventOf<'hw.set'>): void {
    const { partition, to, reason } = event.data
    const state = this.#partitions.get(partition)
    const acting = state?.acting.get(event.node)
    if (state === undefined || acting === undefined) return
    // Another process: its high watermark comes from a checkpoint, and it serves nobody before it is elected again.
    if (reason === 'open') state.acting.delete(event.node)
    else if (to < acting.highWatermark) {
      this.highWatermark.checks++
      this.#wentBack(state, acting, to, event)
      acting.highWatermark = to
    }
  }

  #quorumMoved(event: EventOf<'quorum.hw'>): void {
    const { to } = event.data
    this.highWatermark.checks++
    const last = this.#quorumHw.get(event.node)
    if (last !== undefined && to < last.to) {
      const message = `high watermark of the quorum went back from ${last.to} to ${to} on ${event.node}`
      const excuse = this.#promises.excuseQuorum()
      this.highWatermark.add(`${QUORUM_PARTITION}@${to}`, message, event.time, [last.seq, event.seq], excuse)
    }
    this.#quorumHw.set(event.node, { to, seq: event.seq })
    this.#holdsUpTo(this.#state(QUORUM_PARTITION), this.#logs.log(event.node, QUORUM_PARTITION), to, event)
  }

  // ── the ISR and acknowledgements ──────────────────────────────────────────────────────────────────────────────────

  #newIsr(event: EventOf<'isr.committed'>): void {
    const { partition, isr } = event.data
    const state = this.#state(partition)
    const acting = state.acting.get(event.node)
    if (acting === undefined) return
    acting.isr = this.#members(partition, isr, acting.replicas)
    this.#checkIsr(state, acting, event)
  }

  #checkIsr(state: Committed, acting: Acting, event: TraceEvent): void {
    if (!this.#serving.has(event.node)) return
    const { highWatermark } = acting.log
    this.isrHasCommitted.checks++
    for (const member of acting.isr) if (member.logEnd < highWatermark) this.#lacks(state, member, highWatermark, event)
  }

  #members(partition: string, isr: readonly NodeId[], replicas: readonly NodeId[]): readonly ReplicaLog[] {
    return isr.filter((id) => replicas.includes(id)).map((id) => this.#logs.log(nodeName(id), partition))
  }

  /** acks=all: what was acknowledged had been committed before. */
  #acked(event: EventOf<'produce.acked'>): void {
    const { partition, offset, acks, id } = event.data
    if (acks !== -1 || offset < 0) return
    const state = this.#state(partition)
    this.isrHasCommitted.checks++
    if (offset < state.reached) return
    const subject = `${partition}@${offset}`
    const message = `${subject} (${id}) acked with acks=all, but the high watermark got only to ${state.reached}`
    this.isrHasCommitted.add(subject, message, event.time, [state.seq, event.seq])
  }

  // ── log matching ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** A replica holds everything up to `to` as committed: compare with the committed log, and extend it. */
  #holdsUpTo(state: Committed, log: ReplicaLog, to: Offset, event: TraceEvent): void {
    const matches = this.#compare(state, log, Math.min(to, state.end), event)
    if (to <= state.end || log.logEnd < to) return
    if (matches || log.node === state.leader) this.#extend(state, log, to, event)
  }

  /** Judged once the broker serves: a process that is back from a crash may be deposed before it ever does. */
  #takesUp(event: EventOf<'replica.leader'>): void {
    const { partition, leaderEpoch, isr, replicas } = event.data
    const state = this.#state(partition)
    const acting: Acting = {
      log: this.#logs.log(event.node, partition),
      epoch: leaderEpoch,
      isr: this.#members(partition, isr, replicas),
      replicas,
      minIsr: Math.min(this.#promises.minIsr(partition), replicas.length),
      highWatermark: -1,
    }
    state.acting.set(event.node, acting)
    this.#checkIsr(state, acting, event)
    if (leaderEpoch < state.ledEpoch) return // a deposed leader that has not heard
    state.ledEpoch = leaderEpoch
    state.leader = event.node
    state.judged = false
    this.#judge(state, event)
  }

  /** It leads no more; should its process come back, it must take up the role again. */
  #ends(state: Committed, node: NodeName): void {
    state.acting.delete(node)
    if (state.leader === node) state.leader = undefined
  }

  #judge(state: Committed, event: TraceEvent): void {
    if (state.judged || state.leader === undefined || !this.#serving.has(state.leader)) return
    state.judged = true
    this.#leads(state, this.#logs.log(state.leader, state.partition), event)
  }

  #leadsQuorum(event: EventOf<'quorum.state'>): void {
    const state = this.#state(QUORUM_PARTITION)
    state.leader = event.node
    this.#leads(state, this.#logs.log(event.node, QUORUM_PARTITION), event)
  }

  /** A new leader must hold everything committed. */
  #leads(state: Committed, log: ReplicaLog, event: TraceEvent): void {
    if (state.end === 0) return
    this.#matching.checks++
    if (log.logEnd < state.end) {
      const { partition, end } = state
      const lost = state.entries[indexOf(state.entries, log.logEnd)]
      const message = `${partition}: ${log.node} leads with a log up to ${log.logEnd}, committed was up to ${end}`
      const evidence = [lost?.seq ?? 0, state.seq, event.seq]
      const excuse = this.#excuse(state, lost?.seq ?? state.seq, lost?.epoch ?? -1)
      this.#matching.add(`${partition}@${log.logEnd}`, message, event.time, evidence, excuse)
      this.#shorten(state, log.logEnd)
    }
    this.#compare(state, log, state.end, event)
  }

  /** False when a batch below `to` is not what was committed; the difference is reported. */
  #compare(state: Committed, log: ReplicaLog, to: Offset, event: TraceEvent): boolean {
    const { entries } = state
    const start = Math.max(log.matchedTo, log.logStart, entries[0]?.baseOffset ?? 0)
    if (start >= to) return true
    const compacted = this.#compaction.of(state.partition)
    if (compacted !== undefined) return this.#compareCompacted(state, log, compacted, start, to, event)
    let at = indexOf(entries, start)
    let mine = log.indexOf(start)
    for (; at < entries.length && mine < log.entries.length; at++, mine++) {
      const expected = entries[at] as Entry
      const found = log.entries[mine] as Entry
      if (expected.baseOffset >= to || found.baseOffset >= to) break
      this.#matching.checks++
      if (
        expected === found ||
        (expected.crc === found.crc && expected.epoch === found.epoch && expected.baseOffset === found.baseOffset)
      )
        continue
      this.#differs(state, log, expected, found, event)
      log.matchedTo = log.node === state.leader ? state.end : to
      return false
    }
    log.matchedTo = to
    return true
  }

  /** As `#compare`, where compaction may have taken records away, here or where this replica has its own from. */
  #compareCompacted(
    state: Committed,
    log: ReplicaLog,
    compacted: Compacted,
    start: Offset,
    to: Offset,
    event: TraceEvent,
  ): boolean {
    const { entries } = state
    let mine = log.indexOf(start)
    for (let at = indexOf(entries, start); at < entries.length; at++) {
      const expected = entries[at] as Entry
      const found = log.entries[mine]
      if (expected.baseOffset >= to) break
      this.#matching.checks++
      const isThere = found !== undefined && found.baseOffset <= expected.lastOffset
      if (isThere) mine++
      if (isThere ? expected.crc === found.crc || compacted.isReduced(expected, found) : compacted.mayLackAll(expected))
        continue
      this.#differs(state, log, expected, isThere ? found : undefined, event)
      log.matchedTo = log.node === state.leader ? state.end : to
      return false
    }
    log.matchedTo = to
    return true
  }

  /** `found` is undefined where there is nothing. */
  #differs(state: Committed, log: ReplicaLog, expected: Entry, found: Entry | undefined, event: TraceEvent): void {
    const at = Math.min(expected.baseOffset, found?.baseOffset ?? Infinity)
    const subject = `${log.partition}@${found?.baseOffset ?? at}`
    const what = found === undefined ? 'is missing' : `(epoch ${found.epoch}) is not what was committed`
    const message = `${subject} on ${log.node} ${what} (epoch ${expected.epoch})`
    const excuse =
      this.#excuse(state, expected.seq, expected.epoch) ??
      (found && (this.#excuse(state, found.seq, found.epoch) ?? wroteEarly(log, found)))
    this.#matching.add(subject, message, event.time, [expected.seq, found?.seq ?? 0, event.seq], excuse)
    // A leader's history counts from here on, so that one difference is reported once.
    if (log.node === state.leader) this.#shorten(state, at)
  }

  #excuse(state: Committed, seq: number, epoch: Epoch): string | undefined {
    if (state.partition === QUORUM_PARTITION) return this.#promises.excuseQuorum()
    return this.#promises.excuse(state.partition, seq, epoch)
  }

  #extend(state: Committed, log: ReplicaLog, to: Offset, event: TraceEvent): void {
    const isQuorum = state.partition === QUORUM_PARTITION
    for (let at = log.indexOf(state.end); at < log.entries.length; at++) {
      const entry = log.entries[at] as Entry
      if (entry.baseOffset >= to) break
      state.entries.push(entry)
      if (!isQuorum) this.order.committed(log, entry, event)
    }
    state.end = to
    state.seq = event.seq
    log.matchedTo = to
  }

  #shorten(state: Committed, to: Offset): void {
    const withdrawn = dropFrom(state.entries, to)
    this.#compaction.withdrawn(state.partition)
    const lowest = withdrawn[withdrawn.length - 1]?.baseOffset ?? to
    state.end = Math.min(state.end, to, lowest)
    for (const log of this.#logs.logsOf(state.partition)) log.matchedTo = Math.min(log.matchedTo, state.end)
    if (state.partition !== QUORUM_PARTITION) this.order.withdrawn(state.partition, withdrawn, state.end)
  }

  #state(partition: string): Committed {
    let state = this.#partitions.get(partition)
    if (state === undefined) {
      state = {
        partition,
        entries: [],
        end: 0,
        reached: 0,
        seq: 0,
        leader: undefined,
        ledEpoch: -1,
        judged: false,
        acting: new Map(),
      }
      this.#partitions.set(partition, state)
      this.#compaction.follow(partition, state.entries)
    }
    return state
  }
}
