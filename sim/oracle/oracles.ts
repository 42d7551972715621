/**
 * All oracles together: one reader of the trace that gives one report per promise.
 */

import type { EventType, TraceEvent } from '../kernel/events.js'
import type { Trace } from '../kernel/trace.js'
import { AckedRecords } from './acked-records.js'
import { CommittedLog } from './committed-log.js'
import { Leadership } from './leadership.js'
import { Recovers } from './liveness.js'
import { LOG_MODEL_EVENTS, LogModel } from './log-model.js'
import { MetadataConsistent } from './metadata.js'
import type { Oracle, OracleReport, Promises, RunEnd } from './oracle.js'
import { PROMISE_EVENTS, PromiseKeeper } from './promises.js'
import { Reads } from './reads.js'
import { Serving, SERVING_EVENTS } from './serving.js'

/** Every promise that is judged, in order of importance. */
export const ORACLE_NAMES: readonly string[] = [
  'acked-records-survive',
  'log-matching',
  'one-leader-per-epoch',
  'one-quorum-leader-per-epoch',
  'metadata-consistent',
  'reads-below-high-watermark',
  'offsets-consistent',
  'no-duplicates',
  'no-reordering',
  'offsets-dense',
  'isr-has-committed',
  'high-watermark-monotonic',
  'epochs-monotonic',
  'elections-as-configured',
  'positions-consistent',
  'recovers',
]

export class Oracles {
  readonly #oracles: readonly Oracle[]
  readonly #byType = new Map<EventType, Oracle[]>()
  readonly #logs = new LogModel()
  readonly #serving = new Serving()
  readonly #promises: PromiseKeeper
  readonly #reports: (end: RunEnd) => OracleReport[]

  constructor(promises: Promises) {
    const keeper = new PromiseKeeper(promises)
    this.#promises = keeper
    const acked = new AckedRecords(this.#logs, keeper, this.#serving)
    const committed = new CommittedLog(this.#logs, keeper, this.#serving)
    const leadership = new Leadership(keeper)
    const metadata = new MetadataConsistent()
    const reads = new Reads(this.#logs, keeper)
    const recovers = new Recovers(promises.settle)
    this.#oracles = [acked, committed, leadership, metadata, reads, recovers]
    const { duplicates, reordering, dense } = committed.order
    const others = [
      leadership.quorum,
      reads.offsets,
      duplicates,
      reordering,
      dense,
      committed.isrHasCommitted,
      committed.highWatermark,
      leadership.epochs,
      leadership.elections,
      reads.positions,
    ]
    this.#reports = (end) => [
      ...this.#oracles.map((oracle) => oracle.finish(end)),
      ...others.map((findings) => findings.report()),
    ]
    for (const oracle of this.#oracles) {
      for (const type of oracle.watches) {
        const list = this.#byType.get(type)
        if (list === undefined) this.#byType.set(type, [oracle])
        else list.push(oracle)
      }
    }
  }

  /** Follows a run from its first event. */
  attach(trace: Trace): void {
    const types = new Set<EventType>([
      ...LOG_MODEL_EVENTS,
      ...PROMISE_EVENTS,
      ...SERVING_EVENTS,
      ...this.#byType.keys(),
    ])
    trace.watch([...types], (event) => this.#observe(event))
  }

  /** Reports in the order of ORACLE_NAMES. */
  finish(end: RunEnd): readonly OracleReport[] {
    const reports = this.#reports(end)
    return reports.sort(
      (a, b) => ORACLE_NAMES.indexOf(a.name) - ORACLE_NAMES.indexOf(b.name) || (a.name < b.name ? -1 : 1),
    )
  }

  #observe(event: TraceEvent): void {
    // The models first: oracles judge the state that the event leads to.
    this.#promises.observe(event)
    this.#serving.observe(event)
    this.#logs.observe(event)
    const oracles = this.#byType.get(event.type)
    if (oracles !== undefined) for (let i = 0; i < oracles.length; i++) (oracles[i] as Oracle).observe(event)
  }
}
