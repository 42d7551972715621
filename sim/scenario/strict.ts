/**
 * Objects whose unknown keys are errors with a suggestion, and problems that know where they are.
 */

import { z } from 'zod'
import { nearest } from '../kernel/config-def.js'

/** A mistake in a scenario: `path` leads to it from the root of the file. */
export interface ScenarioProblem {
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly mend?: string
  /** The key itself is wrong, not its value. */
  readonly atKey?: boolean
}

/** An object with exactly these keys. Unknown ones are reported at the key, with the nearest known one. */
export function strict<Shape extends z.ZodRawShape>(shape: Shape, also: readonly string[] = []) {
  const known = Object.keys(shape)
  return z.looseObject(shape).superRefine(
    (value, context) => {
      for (const key of Object.keys(value)) {
        if (known.includes(key) || also.includes(key)) continue
        const near = nearest(key, [...known, ...also])
        context.addIssue({
          code: 'custom',
          path: [key],
          message: `unknown key ${key}`,
          params: { mend: near ? `did you mean ${near}?` : `known keys are ${known.join(', ')}`, atKey: true },
        })
      }
    },
    // Even where other keys are wrong: all mistakes are told at once.
    { when: ({ value }) => typeof value === 'object' && value !== null },
  )
}

/** zod's issues as problems; a union reports the branch that came furthest. */
export function problemsOf(error: z.ZodError, base: readonly PropertyKey[] = []): ScenarioProblem[] {
  return error.issues.flatMap((issue) => problemsOfIssue(issue, base))
}

function problemsOfIssue(issue: z.core.$ZodIssue, base: readonly PropertyKey[]): ScenarioProblem[] {
  const path = [...base, ...issue.path]
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const branches = issue.errors.map((issues) => issues.flatMap((inner) => problemsOfIssue(inner, path)))
    const deepest = branches.reduce((best, branch) => (depth(branch) > depth(best) ? branch : best))
    if (depth(deepest) > path.length) return deepest
    return [
      {
        path,
        message: `expected ${[...new Set(branches.flat().map((p) => p.message.replace(/^expected /, '')))].join(', or ')}`,
      },
    ]
  }
  if (issue.code === 'invalid_type') {
    const missing = issue.input === undefined && issue.message.includes('undefined')
    return [
      { path, message: missing ? `missing ${String(path.at(-1) ?? 'value')}` : `expected ${article(issue.expected)}` },
    ]
  }
  const params = issue.code === 'custom' ? (issue.params as { mend?: string; atKey?: boolean } | undefined) : undefined
  return [
    { path, message: issue.message, ...(params?.mend && { mend: params.mend }), ...(params?.atKey && { atKey: true }) },
  ]
}

function depth(problems: readonly ScenarioProblem[]): number {
  return problems.reduce((most, problem) => Math.max(most, problem.path.length), 0)
}

function article(expected: string): string {
  const names: Record<string, string> = {
    record: 'a mapping',
    object: 'a mapping',
    array: 'a list',
    string: 'text',
    number: 'a number',
    boolean: 'true or false',
  }
  return names[expected] ?? `a ${expected}`
}
