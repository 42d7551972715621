/**
 * Which scenarios and seeds a command means.
 */

import { existsSync } from 'node:fs'
import { UsageError, type Problem } from '../kernel/errors.js'
import type { Mode } from '../scenario/modes.js'
import { remark } from './terminal.js'
import { findScenarioFiles, loadScenarios, type LoadedScenario } from '../scenario/load.js'

export interface Selection {
  readonly grep?: string
  /** Run everything in this mode; what cannot be is left out, and told. */
  readonly mode?: Mode
}

const DEFAULT_FOLDER = 'scenarios'

/** Loads every scenario under `paths` that matches. Problems of all files come at once. @throws UsageError */
export async function selectScenarios(
  paths: readonly string[],
  { grep, mode }: Selection = {},
): Promise<LoadedScenario[]> {
  if (paths.length === 0 && !existsSync(DEFAULT_FOLDER)) {
    throw new UsageError({
      message: 'no scenarios given, and there is no folder scenarios/ here',
      mend: 'name a file or a folder',
    })
  }
  const pattern = patternOf(grep)
  const problems: Problem[] = []
  const loaded: LoadedScenario[] = []
  for (const file of findScenarioFiles(paths.length > 0 ? paths : [DEFAULT_FOLDER])) {
    try {
      loaded.push(...(await loadScenarios(file, mode)))
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      if (mode !== undefined && (await isSound(file))) {
        remark(`${file}: not in this mode: ${error.problems[0]?.message ?? ''}`)
        continue
      }
      problems.push(...error.problems)
    }
  }
  if (problems.length > 0) throw new UsageError(problems)
  return loaded.filter(
    ({ scenario, file }) => pattern === undefined || pattern.test(scenario.name) || pattern.test(file),
  )
}

/** As the file itself says, nothing is wrong with it. */
async function isSound(file: string): Promise<boolean> {
  return loadScenarios(file).then(
    () => true,
    () => false,
  )
}

/** The seeds of one scenario: `seed`, or 1 to `seeds`, or what the scenario says; of them the shard's part. */
export function selectSeeds(
  { scenario }: LoadedScenario,
  options: {
    readonly seed?: number
    readonly seeds?: number
    readonly shard?: { readonly index: number; readonly of: number }
  },
): number[] {
  if (options.seed !== undefined) return [options.seed]
  if (options.seeds === undefined && scenario.run.seed !== undefined) return [scenario.run.seed]
  const count = options.seeds ?? scenario.run.seeds
  const all = Array.from({ length: count }, (_, i) => i + 1)
  const { shard } = options
  return shard === undefined ? all : all.filter((seed) => seed % shard.of === shard.index % shard.of)
}

function patternOf(grep: string | undefined): RegExp | undefined {
  if (grep === undefined) return undefined
  try {
    return new RegExp(grep, 'i')
  } catch {
    throw new UsageError(`--grep: ${grep} is no regular expression`)
  }
}
