/**
 * `samsa replay`: the same run again, to the event.
 *
 * The scenario is found by the token's fingerprint, among saved failures first. When nothing has it, the scenario or the
 * simulation changed since: that is said, and nothing is run. Every replay runs twice and says so if the two differ.
 */

import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { timelineOf } from '../../reports/timeline.js'
import { summaryOf } from '../../reports/terminal.js'
import { eventLine } from '../../reports/json.js'
import { UsageError } from '../kernel/errors.js'
import { loadScenario, findScenarioFiles, type LoadedScenario } from '../scenario/load.js'
import { runScenario } from '../scenario/run.js'
import { applyToken, fingerprintOf, parseToken, type Token } from '../scenario/token.js'
import { ExitCode } from './exit-code.js'
import { FAILURES } from './failure-store.js'
import { lookOf, print, remark } from './terminal.js'

export interface ReplayOptions {
  readonly json?: boolean
  readonly ascii?: boolean
}

export async function replayCommand(text: string, paths: readonly string[], options: ReplayOptions): Promise<ExitCode> {
  const { loaded, token, seed } = await find(text, paths)
  const scenario = token === undefined ? loaded.scenario : applyToken(loaded.scenario, token)
  const request = {
    seed,
    file: loaded.file,
    ...(token !== undefined && { token: text }),
    clock: () => performance.now(),
  }
  const result = runScenario(scenario, { ...request, trace: true })
  const again = runScenario(scenario, request)
  if (options.json) for (const event of result.trace ?? []) print(eventLine(event, result.readyAt))
  else {
    const look = lookOf(options)
    print(summaryOf(result, look))
    print(timelineOf(result, look))
  }
  if (again.hash !== result.hash) {
    remark(`not the same run twice: ${result.hash} and ${again.hash}. This is a defect of samsa.`)
    return ExitCode.internal
  }
  if (!options.json) print(`the same run twice: ${result.hash}, ${result.events} events`)
  return { pass: ExitCode.pass, fail: ExitCode.fail, unknown: ExitCode.undecided }[result.verdict]
}

interface Found {
  readonly loaded: LoadedScenario
  /** Missing when a file was named instead. */
  readonly token?: Token
  readonly seed: number
}

async function find(text: string, paths: readonly string[]): Promise<Found> {
  const token = parseToken(text)
  if (token === undefined) return findFile(text)
  const saved = join(FAILURES, `${text}.yaml`)
  const places = [
    ...paths,
    ...(existsSync(saved) ? [saved] : []),
    ...['scenarios'].filter((folder) => paths.length === 0 && existsSync(folder)),
  ]
  for (const file of findScenarioFiles(places)) {
    const loaded = await loadScenario(file).catch((error: unknown) => {
      if (error instanceof UsageError) return undefined
      throw error
    })
    if (loaded !== undefined && fingerprintOf(loaded.scenario) === token.fingerprint)
      return { loaded, token, seed: token.seed }
  }
  throw new UsageError({
    message: `${text}: no scenario has this fingerprint in ${places.join(', ') || 'any folder'}; it, or samsa, has changed since`,
    mend: 'name the file or folder of the scenario after the token',
  })
}

async function findFile(path: string): Promise<Found> {
  if (!existsSync(path)) {
    throw new UsageError({ message: `${path} is neither a token nor a file`, mend: 'a token looks like s1-k3f9a-17' })
  }
  const loaded = await loadScenario(path)
  const seed = loaded.scenario.run.seed ?? parseToken(basename(path).replace(/\.ya?ml$/, ''))?.seed ?? 1
  return { loaded, seed }
}
