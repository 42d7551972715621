/**
 * `samsa replay`: the same run again, to the event.
 *
 * Every replay runs twice and says so if the two differ.
 */

import { timelineOf } from '../../reports/timeline.js'
import { summaryOf } from '../../reports/terminal.js'
import { eventLine } from '../../reports/json.js'
import { runScenario } from '../scenario/run.js'
import { applyToken } from '../scenario/token.js'
import { ExitCode } from './exit-code.js'
import { findRun } from './find-run.js'
import { lookOf, print, remark } from './terminal.js'

export interface ReplayOptions {
  readonly json?: boolean
  readonly ascii?: boolean
}

export async function replayCommand(text: string, paths: readonly string[], options: ReplayOptions): Promise<ExitCode> {
  const { loaded, token, seed } = await findRun(text, paths)
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
