/** What oracles and expectations found in a run, in the order of time: what failed it, and what its configuration did not promise. */

import type { Micros } from '../kernel/units.js'
import type { RunResult } from '../scenario/result.js'

export interface Finding {
  readonly name: string
  readonly message: string
  readonly evidence: readonly number[]
  readonly time: Micros | undefined
  /** A loss breaks no promise: the scenario's settings, or what it expects, allow for it. */
  readonly isLoss: boolean
}

const known = new WeakMap<RunResult, readonly Finding[]>()

export function findingsOf(result: RunResult | undefined): readonly Finding[] {
  if (result === undefined) return []
  const before = known.get(result)
  if (before !== undefined) return before
  const findings: Finding[] = result.failures.map(({ name, message, evidence, time }) => ({
    name,
    message,
    evidence,
    time,
    isLoss: false,
  }))
  for (const { name, violations, losses } of result.oracles) {
    if (findings.some((finding) => finding.name === name)) continue
    for (const { message, evidence, time } of violations) findings.push({ name, message, evidence, time, isLoss: true })
    for (const { reason, count, first } of losses) {
      const message = `${first.message}; ${count} not promised: ${reason}`
      findings.push({ name, message, evidence: first.evidence, time: first.time, isLoss: true })
    }
  }
  findings.sort((a, b) => (a.time ?? Infinity) - (b.time ?? Infinity))
  known.set(result, findings)
  return findings
}

/** The event that shows it: the decisive one stands last. */
export function decisive(finding: Finding): number | undefined {
  return finding.evidence.at(-1)
}
