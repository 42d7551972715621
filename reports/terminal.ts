/**
 * Verdicts for people: a line for each scenario, what failed under it, what was lost and why, and the timeline of the run that shows it.
 */

import { describeComparison } from '../sim/scenario/expectations.js'
import type { RunResult } from '../sim/scenario/result.js'
import { paint, type Style } from './paint.js'
import type { Look, ScenarioReport, SweepReport } from './reporter.js'
import { spreadLines } from './spread.js'
import { timelineOf } from './timeline.js'

const MARKS = {
  pass: { mark: '✓', ascii: 'ok', style: 'green' },
  fail: { mark: '✗', ascii: 'FAIL', style: 'red' },
  unknown: { mark: '?', ascii: '?', style: 'yellow' },
} as const satisfies Record<string, { mark: string; ascii: string; style: Style }>

type Verdict = RunResult['verdict']

/** One scenario with all its seeds. */
export function scenarioText(report: ScenarioReport, look: Look): string {
  const { results, shown, unmetSometimes } = report
  const [only] = results
  const lines: string[] = []
  if (results.length === 1 && only !== undefined) lines.push(summaryOf(only, look))
  else lines.push(seedsLine(report, look))
  for (const { measure, comparison } of unmetSometimes) {
    lines.push(
      `  ${paint('sometimes', 'yellow', look)}: in none of ${results.length} seeds ${describeComparison(measure, comparison)}`,
    )
  }
  if (shown !== undefined) {
    if (results.length > 1) lines.push(summaryOf(shown, look))
    lines.push('', timelineOf(shown, look), '')
  }
  return lines.join('\n')
}

/** One run: verdict, token, time, everything that failed it and every loss that was not promised away. */
export function summaryOf(result: RunResult, look: Look): string {
  const { verdict, scenario, token, readyAt, endedAt, tookMs, failures } = result
  const took = tookMs > 0 ? ` in ${tookMs < 10 ? tookMs.toFixed(1) : tookMs.toFixed(0)} ms` : ''
  const head = `${mark(verdict, look)} ${paint(scenario.name, 'bold', look)}   ${token}   ${((endedAt - readyAt) / 1_000_000).toFixed(2)} s simulated${took}`
  const lines = [head]
  for (const { name, message } of failures) lines.push(`  ${paint(name, 'red', look)}: ${message}`)
  if (verdict === 'unknown') lines.push('  undecided: the run ended before it could be judged')
  for (const line of [...lossLines([result]), ...spreadLines([result])]) lines.push(`  ${line}`)
  return lines.join('\n')
}

/** The last line of a sweep. */
export function sweepText({ results, tookMs, planned, interrupted }: SweepReport, look: Look): string {
  const count = (verdict: Verdict): number => results.filter((result) => result.verdict === verdict).length
  const parts = [
    paint(`${count('pass')} passed`, 'green', look),
    ...(count('fail') > 0 ? [paint(`${count('fail')} failed`, 'red', look)] : []),
    ...(count('unknown') > 0 ? [paint(`${count('unknown')} undecided`, 'yellow', look)] : []),
    ...(interrupted ? [`${planned - results.length} not run`] : []),
  ]
  const simulated = results.reduce((sum, result) => sum + result.endedAt, 0) / 1_000_000
  const speed =
    tookMs > 0 ? ` (${Math.round(simulated / (tookMs / 1_000)).toLocaleString('en-US')} times real time)` : ''
  return `${parts.join(', ')}; ${simulated.toFixed(0)} s simulated in ${(tookMs / 1_000).toFixed(2)} s${speed}`
}

function seedsLine({ scenario, results }: ScenarioReport, look: Look): string {
  const failed = results.filter((result) => result.verdict === 'fail')
  const unknown = results.some((result) => result.verdict === 'unknown')
  const verdict: Verdict = failed.length > 0 ? 'fail' : unknown ? 'unknown' : 'pass'
  const simulated = results.reduce((sum, result) => sum + result.endedAt - result.readyAt, 0) / 1_000_000
  const seeds = failed.length > 0 ? `${failed.length} of ${results.length} seeds failed` : `${results.length} seeds`
  const lines = [
    `${mark(verdict, look)} ${paint(scenario.name, 'bold', look)}   ${seeds}   ${simulated.toFixed(1)} s simulated`,
  ]
  for (const line of [...lossLines(results), ...spreadLines(results)]) lines.push(`  ${line}`)
  for (const line of failedSeeds(failed)) lines.push(`  ${line}`)
  return lines.join('\n')
}

const LISTED_MAX = 5

function failedSeeds(failed: readonly RunResult[]): string[] {
  const lines = failed
    .slice(0, LISTED_MAX)
    .map(({ seed, token, failures }) => `seed ${seed}: ${failures[0]?.name ?? ''}   samsa replay ${token}`)
  return failed.length > LISTED_MAX ? [...lines, `and ${failed.length - LISTED_MAX} more`] : lines
}

/** Losses that the configuration permits: never hidden, whatever the verdict. */
function lossLines(results: readonly RunResult[]): string[] {
  const losses = new Map<string, { count: number; runs: number; example: string }>()
  for (const { oracles } of results) {
    for (const { name, losses: found } of oracles) {
      for (const { reason, count, first } of found) {
        const key = `${name} (${reason})`
        const known = losses.get(key)
        if (known !== undefined) {
          known.count += count
          known.runs++
        } else losses.set(key, { count, runs: 1, example: first.message })
      }
    }
  }
  return [...losses].map(([key, { count, runs, example }]) => {
    const where = results.length > 1 ? ` in ${runs} of ${results.length} seeds` : ''
    return `not promised: ${count} × ${key}${where}; ${example}`
  })
}

function mark(verdict: Verdict, look: Look): string {
  const { mark: sign, ascii, style } = MARKS[verdict]
  return paint(look.ascii ? ascii : sign, style, look)
}
