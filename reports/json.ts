/**
 * Machine output as NDJSON: one object a line, each with `v` (format version), `type` and `seq`.
 *
 * `samsa run --json`: a `result` for each run, then one `summary`. `samsa replay --json`: an `event` for each event of the trace. Times are
 * microseconds of virtual time; `t` counts from the moment the cluster was ready.
 */

import type { TraceEvent } from '../sim/kernel/events.js'
import type { RunResult } from '../sim/scenario/result.js'
import type { ScenarioReport, SweepReport } from './reporter.js'

const FORMAT = 1

export function jsonLines(reports: readonly ScenarioReport[], sweep: SweepReport): string {
  const lines: object[] = []
  for (const { results, unmetSometimes, scenario, file } of reports) {
    for (const result of results)
      lines.push({ v: FORMAT, type: 'result', seq: lines.length + 1, ...plainResult(result) })
    for (const { measure, comparison } of unmetSometimes) {
      lines.push({
        v: FORMAT,
        type: 'unmet',
        seq: lines.length + 1,
        scenario: scenario.name,
        file,
        measure,
        comparison,
      })
    }
  }
  const count = (verdict: string): number => sweep.results.filter((result) => result.verdict === verdict).length
  lines.push({
    v: FORMAT,
    type: 'summary',
    seq: lines.length + 1,
    planned: sweep.planned,
    done: sweep.results.length,
    passed: count('pass'),
    failed: count('fail'),
    undecided: count('unknown'),
    interrupted: sweep.interrupted,
    tookMs: Math.round(sweep.tookMs),
  })
  return lines.map((line) => JSON.stringify(line)).join('\n')
}

/** One event of a trace. What is not plain data (batches, messages) is described by its hashed fields only. */
export function eventLine(event: TraceEvent, readyAt: number): string {
  const { seq, time, node, cause, type, data } = event
  const plain = Object.fromEntries(
    Object.entries(data).filter(([key]) => key !== 'batch' && key !== 'body' && key !== 'records'),
  )
  return JSON.stringify({ v: FORMAT, type: 'event', seq, t: time - readyAt, node, cause, event: type, data: plain })
}

function plainResult(result: RunResult): object {
  const { scenario, file, seed, token, verdict, failures, oracles, measures, hash, events, readyAt, endedAt, tookMs } =
    result
  return {
    scenario: scenario.name,
    file,
    seed,
    token,
    verdict,
    failures,
    oracles: oracles.map(({ name, verdict: judged, violationCount, losses, checks }) => ({
      name,
      verdict: judged,
      violations: violationCount,
      losses: losses.map(({ reason, count }) => ({ reason, count })),
      checks,
    })),
    measures,
    hash,
    events,
    simulatedMicros: endedAt - readyAt,
    tookMs: Math.round(tookMs * 10) / 10,
  }
}
