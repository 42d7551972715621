/**
 * Where an oracle puts what it finds: counts everything, keeps the first few with their evidence.
 */

import type { Micros } from '../kernel/units.js'
import type { Loss, OracleReport, Violation } from './oracle.js'

const KEPT_MAX = 20

export class Findings {
  readonly #name: string
  readonly #violations: Violation[] = []
  readonly #losses = new Map<string, { count: number; first: Violation }>()
  #violationCount = 0
  #unknown = false
  checks = 0

  constructor(name: string) {
    this.#name = name
  }

  get clean(): boolean {
    return this.#violationCount === 0
  }

  /** `evidence`: sequences of events, the decisive one last. With an `excuse` it is a reported loss, not a violation. */
  add(subject: string, message: string, time: Micros, evidence: readonly number[], excuse?: string): void {
    const violation: Violation = { message, time, evidence: evidence.filter((seq) => seq > 0), subject }
    if (excuse !== undefined) {
      const loss = this.#losses.get(excuse)
      if (loss === undefined) this.#losses.set(excuse, { count: 1, first: violation })
      else loss.count++
      return
    }
    this.#violationCount++
    if (this.#violations.length < KEPT_MAX) this.#violations.push(violation)
  }

  /** The run ended before it could be judged. */
  undecided(): void {
    this.#unknown = true
  }

  report(): OracleReport {
    const losses: Loss[] = [...this.#losses].map(([reason, { count, first }]) => ({ reason, count, first }))
    return {
      name: this.#name,
      verdict: this.#violationCount > 0 ? 'fail' : this.#unknown ? 'unknown' : 'pass',
      violations: this.#violations,
      violationCount: this.#violationCount,
      losses,
      checks: this.checks,
    }
  }
}
