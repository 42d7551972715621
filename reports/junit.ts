/**
 * JUnit XML in the flavour that Jenkins and its kin read: a suite a file, a case a seed.
 *
 * `classname`, `name`, `file` and `time` always stand; the seed and the token are properties; the timeline of a failure is in system-out.
 */

import type { RunResult } from '../sim/scenario/result.js'
import type { ScenarioReport, SweepReport } from './reporter.js'
import { timelineOf } from './timeline.js'

const TIMELINE_LOOK = { width: 120, color: false, ascii: false }

export function junitXml(reports: readonly ScenarioReport[], sweep: SweepReport): string {
  const failures = sweep.results.filter((result) => result.verdict === 'fail').length
  const head = `<testsuites name="samsa" tests="${sweep.results.length}" failures="${failures}" time="${seconds(sweep.tookMs)}">`
  return ['<?xml version="1.0" encoding="UTF-8"?>', head, ...reports.map(suite), '</testsuites>', ''].join('\n')
}

function suite({ scenario, file, results, shown }: ScenarioReport): string {
  const failed = results.filter((result) => result.verdict === 'fail').length
  const skipped = results.filter((result) => result.verdict === 'unknown').length
  const took = results.reduce((sum, result) => sum + result.tookMs, 0)
  const head = `  <testsuite name="${escape(scenario.name)}" file="${escape(file)}" tests="${results.length}" failures="${failed}" skipped="${skipped}" time="${seconds(took)}">`
  return [head, ...results.map((result) => testCase(result, shown)), '  </testsuite>'].join('\n')
}

function testCase(result: RunResult, shown: RunResult | undefined): string {
  const { scenario, file, seed, token, verdict, failures } = result
  const name = `${scenario.name} (seed ${seed})`
  const lines = [
    `    <testcase classname="${escape(classOf(file))}" name="${escape(name)}" file="${escape(file)}" time="${seconds(result.tookMs)}">`,
    `      <properties><property name="seed" value="${seed}"/><property name="token" value="${token}"/></properties>`,
  ]
  if (verdict === 'fail') {
    const [first] = failures
    const text = failures.map((failure) => `${failure.name}: ${failure.message}`).join('\n')
    lines.push(
      `      <failure type="${escape(first?.name ?? 'fail')}" message="${escape(first?.message ?? '')}">${escape(`${text}\nreplay: samsa replay ${token}`)}</failure>`,
    )
  } else if (verdict === 'unknown') {
    lines.push('      <skipped message="undecided: the run ended before it could be judged"/>')
  }
  if (shown !== undefined && shown.seed === seed && verdict === 'fail') {
    lines.push(`      <system-out>${escape(timelineOf(shown, TIMELINE_LOOK))}</system-out>`)
  }
  lines.push('    </testcase>')
  return lines.join('\n')
}

function classOf(file: string): string {
  return file.replace(/\.[a-z]+$/, '').replace(/[\\/]/g, '.')
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(3)
}

function escape(text: string): string {
  // Control characters have no place in XML 1.0, not even escaped.
  const legal = text.replace(/[^\t\n\x20-\uffff]/g, '')
  return legal.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;')
}
