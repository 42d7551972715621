/**
 * Where output goes, and how it may look.
 *
 * Machine output goes to stdout only; progress and remarks go to stderr. Colour is used on a terminal unless NO_COLOR or CI says
 * otherwise (FORCE_COLOR turns it on), and nothing is said by colour alone.
 */

import { formatProblems } from '../../reports/problems.js'
import type { Look } from '../../reports/reporter.js'
import type { UsageError } from '../kernel/errors.js'

const NARROWEST = 60
const WIDEST = 200
const WIDTH_WITHOUT_TERMINAL = 100

export function lookOf(options: { readonly ascii?: boolean }): Look {
  const columns = process.stdout.columns ?? (Number(process.env['COLUMNS']) || WIDTH_WITHOUT_TERMINAL)
  return {
    width: Math.max(NARROWEST, Math.min(WIDEST, columns)),
    color: wantsColor(),
    ascii: options.ascii ?? process.env['TERM'] === 'dumb',
  }
}

function wantsColor(): boolean {
  const { NO_COLOR, FORCE_COLOR, CI, TERM } = process.env
  if (NO_COLOR !== undefined && NO_COLOR !== '') return false
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '0') return true
  return process.stdout.isTTY === true && CI === undefined && TERM !== 'dumb'
}

export function print(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
}

/** For people, beside machine output: progress, remarks, errors. */
export function remark(text: string): void {
  process.stderr.write(text.endsWith('\n') ? text : `${text}\n`)
}

/** A line that replaces itself while work goes on; silent where stderr is no terminal. */
export class ProgressLine {
  readonly #live = process.stderr.isTTY === true && process.env['CI'] === undefined
  #shown = false

  show(text: string): void {
    if (!this.#live) return
    process.stderr.write(`\r\x1b[2K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`)
    this.#shown = true
  }

  clear(): void {
    if (this.#shown) process.stderr.write('\r\x1b[2K')
    this.#shown = false
  }
}

/** Tells a user's mistakes, each with place, cause and mend. */
export function tellProblems(error: UsageError): void {
  remark(formatProblems(error.problems))
}
