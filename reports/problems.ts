/**
 * A user's mistakes, each with place, source line and mend.
 *
 *     scenarios/x.yaml:12:5  unknown key brokres
 *        12 │   brokres: 3
 *           │   ^ did you mean brokers?
 */

import type { Problem } from '../sim/kernel/errors.js'

export function formatProblems(problems: readonly Problem[]): string {
  const texts = problems.map(formatProblem)
  const count = problems.length > 1 ? [`${problems.length} problems; nothing was run`] : []
  return [...texts, ...count].join('\n')
}

function formatProblem({ message, place, mend }: Problem): string {
  if (place === undefined) return mend === undefined ? `error: ${message}` : `error: ${message}\n  ${mend}`
  const { file = '', line, column, source } = place
  const where = line === undefined ? file : `${file}:${line}:${column ?? 1}`
  if (source === undefined || line === undefined)
    return mend === undefined ? `${where}  ${message}` : `${where}  ${message}\n  ${mend}`
  const number = String(line).padStart(5)
  const caret = `${' '.repeat(Math.max(0, (column ?? 1) - 1))}^${mend === undefined ? '' : ` ${mend}`}`
  return [`${where}  ${message}`, `${number} │ ${source}`, `${' '.repeat(5)} │ ${caret}`].join('\n')
}
