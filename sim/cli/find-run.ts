/**
 * Which run a token or a file means.
 *
 * A token's scenario is found by its fingerprint, among saved failures first. When nothing has it, the scenario or the simulation changed
 * since: that is said, and nothing is run.
 */

import { existsSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { UsageError } from '../kernel/errors.js'
import { findScenarioFiles, loadScenarios, type LoadedScenario } from '../scenario/load.js'
import { MODES } from '../scenario/modes.js'
import { fingerprintOf, parseToken, type Token } from '../scenario/token.js'
import { FAILURES } from './failure-store.js'

export interface FoundRun {
  readonly loaded: LoadedScenario
  /** Missing when a file was named instead. */
  readonly token?: Token
  readonly seed: number
}

/** @throws UsageError when there is no such run */
export async function findRun(text: string, paths: readonly string[]): Promise<FoundRun> {
  const token = parseToken(text)
  if (token === undefined) return findFile(text)
  const saved = join(FAILURES, `${text}.yaml`)
  const places = [
    ...paths,
    ...(existsSync(saved) ? [saved] : []),
    ...['scenarios'].filter((folder) => paths.length === 0 && existsSync(folder)),
  ]
  for (const file of findScenarioFiles(places)) {
    // As the file says, or as `--mode` had it.
    for (const mode of [undefined, ...MODES]) {
      const found = await loadScenarios(file, mode).catch((error: unknown) => {
        if (error instanceof UsageError) return []
        throw error
      })
      const loaded = found.find(({ scenario }) => fingerprintOf(scenario) === token.fingerprint)
      if (loaded !== undefined) return { loaded, token, seed: token.seed }
    }
  }
  throw new UsageError({
    message: `${text}: no scenario has this fingerprint in ${places.join(', ') || 'any folder'}; it, or samsa, has changed since`,
    mend: 'name the file or folder of the scenario after the token',
  })
}

async function findFile(path: string): Promise<FoundRun> {
  if (!existsSync(path)) {
    throw new UsageError({ message: `${path} is neither a token nor a file`, mend: 'a token looks like s1-k3f9a-17' })
  }
  if (statSync(path).isDirectory()) {
    throw new UsageError({ message: `${path} is a folder`, mend: 'name one of its files; samsa list shows them' })
  }
  const [loaded, other] = await loadScenarios(path)
  if (loaded === undefined || other !== undefined) {
    throw new UsageError({ message: `${path} stands for several scenarios`, mend: 'name one by the token of a run' })
  }
  const seed = loaded.scenario.run.seed ?? parseToken(basename(path).replace(/\.ya?ml$/, ''))?.seed ?? 1
  return { loaded, seed }
}
