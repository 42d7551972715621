/**
 * What a run leaves: verdicts, measures, the hash, and, when somebody watched, the trace.
 *
 * Reports and the explorer are functions of this. Serialisable without `trace`.
 */

import type { TraceEvent } from '../kernel/events.js'
import type { Micros } from '../kernel/units.js'
import type { OracleReport } from '../oracle/oracle.js'
import type { MeasureValue, Scenario } from './scenario.js'

export interface RunResult {
  readonly scenario: Scenario
  /** Path of the scenario file as the user named it. */
  readonly file: string
  readonly seed: number
  readonly token: string
  readonly verdict: 'pass' | 'fail' | 'unknown'
  /** Everything that failed the run, most important first. Empty on pass. */
  readonly failures: readonly Failure[]
  readonly oracles: readonly OracleReport[]
  readonly measures: Readonly<Record<string, MeasureValue>>
  readonly hash: string
  readonly events: number
  /** Virtual time at which the cluster was ready; times for people count from here. */
  readonly readyAt: Micros
  readonly endedAt: Micros
  /** Real milliseconds; not part of what is compared. */
  readonly tookMs: number
  /** Present when the run was watched. */
  readonly trace?: readonly TraceEvent[]
}

export interface Failure {
  /** `oracle`: a promise was broken; `expectation`: the scenario expected otherwise; `liveness`: it did not settle; `error`: samsa's defect. */
  readonly kind: 'oracle' | 'expectation' | 'liveness' | 'error'
  /** Oracle or measure. */
  readonly name: string
  readonly message: string
  /** Sequences of the events that show it, the decisive one last. */
  readonly evidence: readonly number[]
  readonly time?: Micros
}
