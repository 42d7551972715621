/**
 * Breaks one rule of the real cluster for the length of a run.
 *
 * `sabotaged` puts another method (or getter) in the place of one of a class, runs, and puts the old one back, whatever happens. `run`
 * runs a small scenario and gives the oracles' reports by name. The unbroken twin of every run is in `sound`.
 */

import { expect } from 'vitest'
import type { OracleReport } from '../../sim/oracle/oracle.js'
import { readYaml } from '../../sim/scenario/load.js'
import { runScenario } from '../../sim/scenario/run.js'

export type Reports = Readonly<Record<string, OracleReport>>

export function run(yaml: string, seed = 1): Reports {
  const result = runScenario(readYaml(yaml, 'sabotage.yaml'), { seed })
  return Object.fromEntries(result.oracles.map((report) => [report.name, report]))
}

/** The oracle has failed, with evidence; one of its violations says `message`. */
export function expectViolated(reports: Reports, name: string, message = /./): void {
  const report = reports[name]
  expect(report?.verdict, name).toBe('fail')
  const [first] = report?.violations ?? []
  expect(first?.evidence.length, `evidence of ${name}`).toBeGreaterThan(0)
  expect(report?.violations.map((violation) => violation.message).join('\n')).toMatch(message)
}

/** Runs `body` while `Owner.prototype[name]` is what `make` makes of it. */
export function sabotaged<Owner extends object, Name extends keyof Owner & string, Result>(
  owner: { readonly prototype: Owner },
  name: Name,
  make: (original: Owner[Name]) => Owner[Name],
  body: () => Result,
): Result {
  const { prototype } = owner
  const before = Object.getOwnPropertyDescriptor(prototype, name)
  if (before === undefined) throw new Error(`nothing to sabotage: ${name}`)
  Object.defineProperty(prototype, name, { ...before, value: make(prototype[name]) })
  try {
    return body()
  } finally {
    Object.defineProperty(prototype, name, before)
  }
}

/** The same for a getter; `make` gets what it would have answered. */
export function sabotagedGetter<Owner extends object, Name extends keyof Owner & string, Result>(
  owner: { readonly prototype: Owner },
  name: Name,
  make: (self: Owner, honest: Owner[Name]) => Owner[Name],
  body: () => Result,
): Result {
  const { prototype } = owner
  const before = Object.getOwnPropertyDescriptor(prototype, name)
  const get = before?.get
  if (before === undefined || get === undefined) throw new Error(`nothing to sabotage: ${name}`)
  Object.defineProperty(prototype, name, {
    ...before,
    get(this: Owner) {
      return make(this, get.call(this) as Owner[Name])
    },
  })
  try {
    return body()
  } finally {
    Object.defineProperty(prototype, name, before)
  }
}
