/**
 * All oracles together: one reader of the trace that gives one report per promise.
 *
 * Models (times, who serves, elections, promises, logs) see an event before the oracles do, which judge the state that it leads to. What
 * brokers and clients still do to a topic that was deleted is kept from all of them, for another of that name may exist.
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import { parsePartition } from '../kernel/names.js'
import type { Trace } from '../kernel/trace.js'
import { AckedRecords } from './acked-records.js'
import { Authorisation } from './authorisation.js'
import { Cleaning } from './cleaning.js'
import { CommittedLog } from './committed-log.js'
import { CompactionModel } from './compaction-model.js'
import { ELECTION_EVENTS, Elections } from './elections.js'
import { Groups } from './groups.js'
import { Leadership } from './leadership.js'
import { Recovers } from './liveness.js'
import { LOG_MODEL_EVENTS, LogModel } from './log-model.js'
import { MetadataConsistent } from './metadata.js'
import { ORACLE_NAMES } from './oracle-names.js'
import type { Findings } from './findings.js'
import type { Oracle, OracleReport, Promises, RunEnd } from './oracle.js'
import { Pipelines } from './pipelines.js'
import { PROMISE_EVENTS, PromiseKeeper } from './promises.js'
import { Reads } from './reads.js'
import { Transactions } from './transactions.js'
import { RUN_CLOCK_EVENTS, RunClock } from './run-clock.js'
import { Serving, SERVING_EVENTS } from './serving.js'
import { ZooKeeperController } from './zookeeper-controller.js'
import { ZooKeeperHistory } from './zookeeper.js'
import { ZooKeeperSessions } from './zookeeper-sessions.js'

interface Reader {
  observe(event: TraceEvent): void
}

export class Oracles {
  readonly #logs: LogModel
  readonly #elections: Elections
  readonly #promises: PromiseKeeper
  readonly #reads: Reads
  readonly #recovers: Recovers
  readonly #oracles: readonly Oracle[]
  /** Who reads events of a type, in order. */
  readonly #readers = new Map<EventType, Reader[]>()
  /** Promises that are judged by the way. */
  readonly #others: readonly Findings[]
  /** Ids of topics whose deletion was told: it may be told again. */
  readonly #deletedIds = new Set<string>()
  readonly #deletedTopics = new Set<string>()

  constructor(promises: Promises) {
    const clock = new RunClock()
    const serving = new Serving()
    const logs = new LogModel(serving)
    this.#logs = logs
    this.#elections = new Elections(promises)
    const keeper = new PromiseKeeper(promises, logs, serving, this.#elections)
    this.#promises = keeper
    const compaction = new CompactionModel()
    const acked = new AckedRecords(logs, keeper, serving, clock, compaction)
    const committed = new CommittedLog(logs, keeper, serving, compaction)
    const leadership = new Leadership(logs, keeper)
    this.#reads = new Reads(logs, keeper, compaction)
    this.#recovers = new Recovers(promises.settle, clock, keeper, logs)
    const cleaning = new Cleaning(promises, logs, keeper, serving, compaction)
    const groups = new Groups(promises, logs, compaction)
    const transactions = new Transactions(promises, keeper, logs, compaction)
    const ensemble = new ZooKeeperHistory()
    const sessions = new ZooKeeperSessions()
    const controllers = new ZooKeeperController()
    this.#oracles = [
      acked,
      committed,
      leadership,
      controllers,
      new MetadataConsistent(keeper),
      this.#reads,
      cleaning,
      groups,
      transactions,
      new Authorisation(promises.access),
      new Pipelines(promises, keeper, logs, compaction),
      ensemble,
      sessions,
      this.#recovers,
    ]
    // What a log held before it is opened counts for promises.
    this.#add(serving, SERVING_EVENTS)
    this.#add(clock, RUN_CLOCK_EVENTS)
    this.#add(this.#elections, ELECTION_EVENTS)
    this.#add(keeper, PROMISE_EVENTS)
    this.#add(logs, LOG_MODEL_EVENTS)
    for (const oracle of this.#oracles) this.#add(oracle, oracle.watches)
    const { duplicates, reordering, dense } = committed.order
    this.#others = [
      leadership.quorum,
      controllers.deposed,
      this.#reads.offsets,
      duplicates,
      reordering,
      dense,
      committed.isrHasCommitted,
      committed.highWatermark,
      leadership.epochs,
      leadership.elections,
      this.#reads.positions,
      cleaning.retention,
      groups.owners,
      groups.offsets,
      groups.settled,
      transactions.ends,
      transactions.atomic,
      ensemble.survive,
      ensemble.leaders,
      sessions.fired,
      sessions.liveOut,
    ]
  }

  /** Follows a run from its first event. */
  attach(trace: Trace): void {
    // First, so that everybody reads the events that follow in the light of it.
    trace.watch(['controller.topic'], (event) => {
      if (event.type === 'controller.topic') this.#topic(event)
    })
    for (const [type, readers] of this.#readers) trace.watch([type], (event) => this.#pass(event, readers))
  }

  /** Reports in the order of ORACLE_NAMES. */
  finish(end: RunEnd): readonly OracleReport[] {
    const reports = [
      ...this.#oracles.map((oracle) => oracle.finish(end)),
      ...this.#others.map((findings) => findings.report()),
    ]
    return reports.sort(
      (a, b) => ORACLE_NAMES.indexOf(a.name) - ORACLE_NAMES.indexOf(b.name) || (a.name < b.name ? -1 : 1),
    )
  }

  #add(reader: Reader, types: readonly EventType[]): void {
    for (const type of new Set(types)) {
      const list = this.#readers.get(type)
      if (list === undefined) this.#readers.set(type, [reader])
      else list.push(reader)
    }
  }

  #pass(event: TraceEvent, readers: readonly Reader[]): void {
    if (this.#deletedTopics.size > 0 && this.#isOfDeletedTopic(event)) return
    for (let i = 0; i < readers.length; i++) (readers[i] as Reader).observe(event)
  }

  #topic({ data: { change, topic, id } }: EventOf<'controller.topic'>): void {
    if (change !== 'deleted' || this.#deletedIds.has(id)) return
    this.#deletedIds.add(id)
    this.#deletedTopics.add(topic)
    this.#logs.forgetTopic(topic)
    this.#elections.forgetTopic(topic)
    this.#promises.forgetTopic(topic)
    for (const oracle of this.#oracles) oracle.forgetTopic?.(topic)
  }

  /** Brokers and clients go on with a deleted topic for a while; another of that name may exist already. */
  #isOfDeletedTopic(event: TraceEvent): boolean {
    switch (event.type) {
      case 'log.deleted':
        if (!this.#logs.isStale(event.node, event.data.partition)) return false
        this.#logs.staleDeleted(event.node, event.data.partition)
        return true
      case 'log.open':
      case 'log.append':
      case 'log.truncate':
      case 'log.start-offset':
      case 'log.cleaned':
      case 'log.segment-deleted':
      case 'hw.advance':
      case 'hw.set':
      case 'replica.leader':
      case 'replica.follower':
      case 'isr.proposed':
      case 'isr.committed':
      case 'fetch.served':
        return this.#logs.isStale(event.node, event.data.partition)
      case 'produce.acked': {
        const { partition, offset, crc } = event.data
        if (!this.#wasDeleted(partition) || this.#logs.holds(partition, offset, crc)) return false
        this.#recovers.observe(event)
        return true
      }
      case 'consume.polled': {
        const { partition, offsets, ids } = event.data
        if (!this.#wasDeleted(partition) || this.#logs.holdsRecord(partition, offsets[0] ?? -1, ids[0] ?? ''))
          return false
        this.#reads.forgetPosition(event.node, partition)
        return true
      }
      default:
        return false
    }
  }

  #wasDeleted(partition: string): boolean {
    return this.#deletedTopics.has(parsePartition(partition)?.topic ?? partition)
  }
}
