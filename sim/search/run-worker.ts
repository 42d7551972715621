/**
 * A worker thread that runs seeds of scenarios, one at a time, as it is told.
 *
 * Messages in: RunOrder. Messages out: RunAnswer. Scenarios come as data; a result goes back without its trace.
 */

import { parentPort } from 'node:worker_threads'
import { InvariantError } from '../kernel/errors.js'
import { runScenario } from '../scenario/run.js'
import type { RunResult } from '../scenario/result.js'
import type { Scenario } from '../scenario/scenario.js'

export interface RunOrder {
  readonly order: number
  readonly scenario: Scenario
  readonly file: string
  readonly seed: number
}

export type RunAnswer =
  | { readonly order: number; readonly result: RunResult }
  /** The simulation itself failed: a defect of samsa. */
  | { readonly order: number; readonly defect: string }

parentPort?.on('message', ({ order, scenario, file, seed }: RunOrder) => {
  parentPort?.postMessage(answer(order, scenario, file, seed))
})

function answer(order: number, scenario: Scenario, file: string, seed: number): RunAnswer {
  try {
    return { order, result: runScenario(scenario, { seed, file, clock: () => performance.now() }) }
  } catch (error) {
    return { order, defect: describeDefect(error) }
  }
}

/** What is said of an exception that escaped a run. */
export function describeDefect(error: unknown): string {
  if (error instanceof InvariantError) return `${error.message}\n${error.stack ?? ''}`
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
