/**
 * From oracle reports and measures to a verdict, by what the scenario expects.
 *
 * A broken promise fails the run. A loss that the configuration permits is reported and fails it only where `expect.always` names the
 * oracle. `unknown` is left for runs that ended before they could be judged.
 */

import type { Micros } from '../kernel/units.js'
import { formatDuration } from '../kernel/quantity.js'
import type { OracleReport } from '../oracle/oracle.js'
import { describeComparison, describeValue, holds } from './expectations.js'
import { MEASURES, parseMeasure, type MeasureName, type Measures } from './measures.js'
import { initialPartitions } from './promises.js'
import type { Failure } from './result.js'
import type { EventualExpectation, MeasureExpectation, MeasureValue, Scenario } from './scenario.js'

type Verdict = 'pass' | 'fail' | 'unknown'

interface Eventual {
  readonly expectation: EventualExpectation
  readonly name: MeasureName
  /** Since when it has held without a break; undefined while it does not. */
  since: Micros | undefined
}

/** What every report shows of a client. */
const SHOWN = {
  produce: ['sent', 'acked', 'failed'],
  consume: ['read'],
  group: ['read', 'processed', 'rebalances'],
  pipeline: ['read', 'processed', 'acked'],
} as const

export class Judge {
  /** Every partition of the scenario, with those that steps bring. */
  readonly partitions: readonly string[]
  readonly #scenario: Scenario
  readonly #measures: Measures
  readonly #initial: ReadonlySet<string>
  readonly #eventual: readonly Eventual[]
  #calmSince: Micros | undefined

  constructor(scenario: Scenario, measures: Measures) {
    this.#scenario = scenario
    this.#measures = measures
    const initial = initialPartitions(scenario.cluster)
    this.#initial = new Set(initial)
    this.partitions = [...new Set([...initial, ...subjects(scenario)])]
    this.#eventual = scenario.expect.eventually.map((expectation) => ({
      expectation,
      name: nameOf(expectation.measure),
      since: undefined,
    }))
  }

  /** Whether the cluster begins with this partition. */
  isInitial(partition: string): boolean {
    return this.#initial.has(partition)
  }

  /** Looks at what must come true in the end. Called from time to time after ready. */
  look(now: Micros, lastFaultEnd: Micros, readyAt: Micros): void {
    const calm = lastFaultEnd === Infinity ? undefined : Math.max(lastFaultEnd, readyAt)
    if (calm !== this.#calmSince) {
      this.#calmSince = calm
      for (const eventual of this.#eventual) eventual.since = undefined
    }
    for (const eventual of this.#eventual) {
      if (!holds(this.#measures.value(eventual.name, now), eventual.expectation.comparison)) eventual.since = undefined
      else eventual.since ??= now
    }
  }

  finish(
    oracles: readonly OracleReport[],
    now: Micros,
    notReady: string | undefined,
  ): { verdict: Verdict; failures: Failure[] } {
    if (notReady !== undefined) {
      const failure: Failure = {
        kind: 'liveness',
        name: 'ready',
        message: `the cluster never got ready: ${notReady}`,
        evidence: [],
        time: now,
      }
      return { verdict: 'fail', failures: [failure, ...this.#oracleFailures(oracles)] }
    }
    const failures = [...this.#oracleFailures(oracles), ...this.#endFailures(now)]
    const { late, undecided } = this.#eventualFailures(now)
    failures.push(...late)
    if (failures.length > 0) return { verdict: 'fail', failures }
    const unknown =
      undecided ||
      oracles.some((report) => report.verdict === 'unknown' && this.#scenario.expect.always.includes(report.name))
    return { verdict: unknown ? 'unknown' : 'pass', failures }
  }

  /** Every measure that the scenario speaks of, and those that every report shows. */
  measured(now: Micros): Record<string, MeasureValue> {
    const { expect, clients, run } = this.#scenario
    const names = new Set<string>(['lost', 'duplicated', 'reordered', 'controller-changes'])
    for (const [client, spec] of Object.entries(clients)) {
      for (const measure of SHOWN[spec.kind]) names.add(`${client}.${measure}`)
    }
    for (const { measure } of [...expect.end, ...expect.sometimes, ...expect.eventually]) names.add(measure)
    for (const measure of run.show) names.add(measure)
    return Object.fromEntries([...names].map((name) => [name, this.#measures.value(nameOf(name), now)]))
  }

  #oracleFailures(oracles: readonly OracleReport[]): Failure[] {
    const { always, violated } = this.#scenario.expect
    return oracles.flatMap((report): Failure[] => {
      const losses = report.losses.reduce((sum, loss) => sum + loss.count, 0)
      if (violated.includes(report.name)) {
        if (report.violationCount + losses > 0) return []
        return [
          {
            kind: 'expectation',
            name: report.name,
            message: `expected ${report.name} to be violated, and it held`,
            evidence: [],
          },
        ]
      }
      const [first] = report.violations
      if (report.verdict === 'fail' && first !== undefined) {
        const more = report.violationCount > 1 ? ` (and ${report.violationCount - 1} more)` : ''
        const kind = report.name === 'recovers' ? 'liveness' : 'oracle'
        return [{ kind, name: report.name, message: first.message + more, evidence: first.evidence, time: first.time }]
      }
      const [loss] = report.losses
      if (!always.includes(report.name) || loss === undefined) return []
      const more = losses > 1 ? `, and ${losses - 1} more` : ''
      const message = `${loss.first.message} (not promised: ${loss.reason}${more})`
      return [{ kind: 'oracle', name: report.name, message, evidence: loss.first.evidence, time: loss.first.time }]
    })
  }

  #endFailures(now: Micros): Failure[] {
    return this.#scenario.expect.end.flatMap((expectation) => this.#unmet(expectation, now))
  }

  #unmet({ measure, comparison }: MeasureExpectation, now: Micros): Failure[] {
    const value = this.#measures.value(nameOf(measure), now)
    if (holds(value, comparison)) return []
    const message = `expected ${describeComparison(measure, comparison)}, it is ${describeValue(value)}`
    return [{ kind: 'expectation', name: measure, message, evidence: [], time: now }]
  }

  #eventualFailures(now: Micros): { late: Failure[]; undecided: boolean } {
    const late: Failure[] = []
    let undecided = false
    for (const { expectation, name, since } of this.#eventual) {
      const { measure, comparison, within } = expectation
      if (this.#calmSince === undefined) {
        undecided = true
        continue
      }
      const took = (since ?? Infinity) - this.#calmSince
      if (took <= within) continue
      if (since === undefined && now - this.#calmSince < within) undecided = true
      else {
        const value = describeValue(this.#measures.value(name, now))
        const when =
          since === undefined ? `it is ${value}` : `it took ${formatDuration(Math.round(took / 1_000) * 1_000)}`
        const message = `expected ${describeComparison(measure, comparison)} within ${formatDuration(within)} of the last fault, ${when}`
        late.push({ kind: 'expectation', name: measure, message, evidence: [], time: now })
      }
    }
    return { late, undecided }
  }
}

/** Whether a run met what is expected of at least one of the seeds. */
export function meetsSometimes(
  measures: Readonly<Record<string, MeasureValue>>,
  expectation: MeasureExpectation,
): boolean {
  const value = measures[expectation.measure]
  return value !== undefined && holds(value, expectation.comparison)
}

function nameOf(measure: string): MeasureName {
  return parseMeasure(measure) ?? { measure, subject: '' }
}

/** Partitions that expectations speak of. */
function subjects({ expect }: Scenario): string[] {
  return [...expect.end, ...expect.sometimes, ...expect.eventually]
    .map(({ measure }) => nameOf(measure))
    .filter(({ measure }) => MEASURES[measure]?.subject === 'partition')
    .map(({ subject }) => subject)
}
