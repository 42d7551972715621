/**
 * Failures kept under `.samsa/failures`: each a whole scenario file with its seed, named after its token.
 */

import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RunResult } from '../scenario/result.js'
import { writeYaml } from '../scenario/write-yaml.js'

export const FAILURES = join('.samsa', 'failures')

/** Saves the scenario of a failed run. Returns the path. */
export function saveFailure(result: RunResult): string {
  mkdirSync(FAILURES, { recursive: true })
  const { scenario, seed, token, file, failures } = result
  const path = join(FAILURES, `${token}.yaml`)
  const remarks = [
    `${failures[0]?.name ?? 'failed'}: ${failures[0]?.message ?? ''}`,
    `replay: samsa replay ${token}   from ${file}, seed ${seed}`,
  ]
  writeFileSync(path, writeYaml({ ...scenario, run: { ...scenario.run, seed } }, remarks))
  return path
}

/** Paths of all saved failures, sorted. */
export function savedFailures(): string[] {
  if (!existsSync(FAILURES)) return []
  return readdirSync(FAILURES)
    .filter((name) => name.endsWith('.yaml'))
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
    .map((name) => join(FAILURES, name))
}
