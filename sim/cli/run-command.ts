/**
 * `samsa run`: every seed of every selected scenario, a verdict each, and the timeline of what failed.
 *
 * Seeds are spread over worker threads, which keep no trace; a seed whose timeline is wanted is simply run again here with
 * somebody watching. Ctrl-C ends the sweep: what was done is told and kept.
 */

import { createReporters, type Reporter, type ReporterRequest } from '../../reports/reporter.js'
import { UsageError } from '../kernel/errors.js'
import type { LoadedScenario } from '../scenario/load.js'
import type { Mode } from '../scenario/modes.js'
import type { RunResult } from '../scenario/result.js'
import { runScenario } from '../scenario/run.js'
import { meetsSometimes } from '../scenario/judge.js'
import { describeDefect, type RunAnswer, type RunOrder } from '../search/run-worker.js'
import { runAll } from '../search/worker-pool.js'
import { ExitCode } from './exit-code.js'
import { FAILURES, saveFailure, savedFailures } from './failure-store.js'
import { Progress } from './progress.js'
import { selectScenarios, selectSeeds } from './select.js'
import { lookOf, print, remark } from './terminal.js'

export interface RunCommandOptions {
  readonly seed?: number
  readonly seeds?: number
  readonly jobs?: number
  readonly shard?: { readonly index: number; readonly of: number }
  readonly grep?: string
  readonly mode?: Mode
  readonly lastFailed?: boolean
  readonly exitFirst?: boolean
  readonly timeline?: boolean
  readonly reporter: readonly string[]
  readonly json?: boolean
  readonly verifyDeterminism?: boolean
  readonly profile?: boolean
  readonly ascii?: boolean
}

/** Below this many runs, starting threads costs more than it saves. */
const THREADS_FROM = 4

export async function runCommand(paths: readonly string[], options: RunCommandOptions): Promise<ExitCode> {
  const scenarios = await selected(paths, options)
  const orders = scenarios.flatMap((loaded) => selectSeeds(loaded, options).map((seed) => orderOf(loaded, seed)))
  orders.forEach((order, index) => Object.assign(order, { order: index }))
  if (orders.length === 0) {
    remark(
      options.lastFailed ? `no failures under ${FAILURES}` : 'nothing matched: no scenario, or no seed in this shard',
    )
    return ExitCode.nothing
  }
  const sweep = new Sweep(scenarios, orders, options)
  return sweep.run()
}

async function selected(paths: readonly string[], options: RunCommandOptions): Promise<LoadedScenario[]> {
  if (!options.lastFailed) return selectScenarios(paths, options)
  const failures = savedFailures()
  return failures.length === 0 ? [] : selectScenarios(failures, options)
}

function orderOf({ scenario, file }: LoadedScenario, seed: number): RunOrder {
  return { order: 0, scenario, file, seed }
}

class Sweep {
  readonly #scenarios: readonly LoadedScenario[]
  readonly #orders: readonly RunOrder[]
  readonly #options: RunCommandOptions
  readonly #reporters: readonly Reporter[]
  readonly #progress: Progress
  readonly #results: (RunResult | undefined)[]
  readonly #defects: { readonly order: RunOrder; readonly defect: string }[] = []
  readonly #abort = new AbortController()
  #interrupted = false
  #nondeterministic = 0

  constructor(scenarios: readonly LoadedScenario[], orders: readonly RunOrder[], options: RunCommandOptions) {
    this.#scenarios = scenarios
    this.#orders = orders
    this.#options = options
    this.#reporters = createReporters(reportersOf(options), { look: lookOf(options), print })
    this.#progress = new Progress(orders.length)
    this.#results = Array.from({ length: orders.length })
  }

  async run(): Promise<ExitCode> {
    const interrupt = (): void => {
      this.#interrupted = true
      this.#abort.abort()
    }
    process.once('SIGINT', interrupt)
    const began = performance.now()
    try {
      if (this.#inProcess) this.#runHere()
      else
        await runAll(this.#orders, {
          ...(this.#options.jobs !== undefined && { jobs: this.#options.jobs }),
          onAnswer: (answer, order) => this.#answer(answer, order),
          signal: this.#abort.signal,
        })
      if (this.#options.verifyDeterminism) this.#verify()
    } finally {
      process.removeListener('SIGINT', interrupt)
      this.#progress.clear()
    }
    this.#report(performance.now() - began)
    return this.#exitCode()
  }

  get #inProcess(): boolean {
    return this.#options.jobs === undefined && this.#orders.length < THREADS_FROM && !this.#options.verifyDeterminism
  }

  #runHere(): void {
    for (const order of this.#orders) {
      const { scenario, file, seed } = order
      let answer: RunAnswer
      try {
        answer = { order: order.order, result: runScenario(scenario, { seed, file, clock: () => performance.now() }) }
      } catch (error) {
        answer = { order: order.order, defect: describeDefect(error) }
      }
      if (!this.#answer(answer, order)) return
    }
  }

  /** Takes one answer; false ends the sweep. */
  #answer(answer: RunAnswer, order: RunOrder): boolean {
    if ('defect' in answer) {
      this.#defects.push({ order, defect: answer.defect })
      this.#progress.add('fail')
      return !this.#options.exitFirst
    }
    this.#results[answer.order] = answer.result
    this.#progress.add(answer.result.verdict)
    return !(this.#options.exitFirst && answer.result.verdict === 'fail')
  }

  /** The same seeds again, in this thread and after all the others: the hashes must be the same. */
  #verify(): void {
    for (const result of this.#results) {
      if (result === undefined || this.#interrupted) continue
      const again = runScenario(result.scenario, { seed: result.seed, file: result.file })
      if (again.hash === result.hash) continue
      this.#nondeterministic++
      remark(`not deterministic: ${result.file} seed ${result.seed} gave ${result.hash} and then ${again.hash}`)
    }
    if (this.#nondeterministic === 0 && !this.#interrupted) remark(`every run gave the same hash twice`)
  }

  #report(tookMs: number): void {
    const done = this.#results.filter((result) => result !== undefined)
    for (const { scenario, file } of this.#scenarios) {
      const results = done.filter(
        (result) => result.scenario === scenario || (result.file === file && result.scenario.name === scenario.name),
      )
      if (results.length === 0) continue
      const unmet = scenario.expect.sometimes.filter(
        (expectation) => !results.some((result) => meetsSometimes(result.measures, expectation)),
      )
      const failed = results.find((result) => result.verdict === 'fail')
      const shown = failed ?? (this.#options.timeline ? results[0] : undefined)
      const watched = shown && runScenario(shown.scenario, { seed: shown.seed, file, trace: true })
      if (failed !== undefined) saveFailure(failed)
      const report = {
        scenario,
        file,
        results,
        unmetSometimes: unmet,
        ...(watched && { shown: { ...watched, tookMs: shown.tookMs } }),
      }
      for (const reporter of this.#reporters) reporter.scenario(report)
    }
    const left = this.#orders.length - done.length - this.#defects.length
    const interrupted = this.#interrupted || left > 0
    for (const reporter of this.#reporters)
      reporter.end({ results: done, tookMs, planned: this.#orders.length, interrupted })
    for (const { order, defect } of this.#defects) {
      remark(
        `samsa failed on ${order.file} seed ${order.seed}, and this is a defect of it. Again: samsa run ${order.file} --seed ${order.seed}\n${defect}`,
      )
    }
    if (this.#interrupted)
      remark(`interrupted: ${done.length} of ${this.#orders.length} runs were done and are told above`)
    if (this.#options.profile) remark(profileOf(done, tookMs))
  }

  #exitCode(): ExitCode {
    const done = this.#results.filter((result) => result !== undefined)
    if (this.#defects.length > 0 || this.#nondeterministic > 0) return ExitCode.internal
    if (this.#interrupted) return ExitCode.interrupted
    if (done.some((result) => result.verdict === 'fail')) return ExitCode.fail
    const unmet = this.#scenarios.some(({ scenario }) =>
      scenario.expect.sometimes.some(
        (expectation) =>
          !done.some(
            (result) => result.scenario.name === scenario.name && meetsSometimes(result.measures, expectation),
          ),
      ),
    )
    // One seed alone cannot show what only some seeds do.
    if (unmet && this.#options.seed === undefined) return ExitCode.fail
    return done.some((result) => result.verdict === 'unknown') ? ExitCode.undecided : ExitCode.pass
  }
}

function reportersOf(options: RunCommandOptions): ReporterRequest[] {
  const names = options.json ? [...options.reporter, 'json'] : options.reporter
  return (names.length > 0 ? names : ['terminal']).map((text) => {
    const colon = text.indexOf(':')
    const name = colon < 0 ? text : text.slice(0, colon)
    if (name !== 'terminal' && name !== 'json' && name !== 'junit') {
      throw new UsageError({ message: `unknown reporter ${name}`, mend: 'known are terminal, json, junit' })
    }
    return { name, ...(colon >= 0 && { file: text.slice(colon + 1) }) }
  })
}

function profileOf(results: readonly RunResult[], tookMs: number): string {
  const events = results.reduce((sum, result) => sum + result.events, 0)
  const simulated = results.reduce((sum, result) => sum + result.endedAt, 0) / 1_000_000
  const busy = results.reduce((sum, result) => sum + result.tookMs, 0)
  const slowest = [...results].sort((a, b) => b.tookMs - a.tookMs || a.seed - b.seed).slice(0, 5)
  return [
    `${results.length} runs in ${(tookMs / 1_000).toFixed(2)} s: ${events} events, ${simulated.toFixed(0)} s simulated`,
    `${Math.round(events / (busy / 1_000))} events/s and ${Math.round(simulated / (busy / 1_000))} simulated s/s in a thread`,
    ...slowest.map(
      (result) =>
        `  ${result.tookMs.toFixed(0).padStart(6)} ms  ${result.events} events  ${result.file} seed ${result.seed}`,
    ),
  ].join('\n')
}
