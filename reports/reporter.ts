/**
 * What a reporter is: it is told of each scenario when its seeds are done, and of the end.
 *
 * Texts come from pure functions of results (one file a format); a reporter only decides where they go. Machine formats own stdout when
 * no file is named.
 */

import { writeFileSync } from 'node:fs'
import type { RunResult } from '../sim/scenario/result.js'
import type { MeasureExpectation, Scenario } from '../sim/scenario/scenario.js'
import { jsonLines } from './json.js'
import { junitXml } from './junit.js'
import { scenarioText, sweepText } from './terminal.js'

/** How text may look. */
export interface Look {
  /** Columns to fill, 60 to 200. */
  readonly width: number
  readonly color: boolean
  readonly ascii: boolean
}

/** One scenario with the results of its seeds, in order of seed. */
export interface ScenarioReport {
  readonly scenario: Scenario
  readonly file: string
  readonly results: readonly RunResult[]
  /** What should hold in at least one seed and holds in none. */
  readonly unmetSometimes: readonly MeasureExpectation[]
  /** The run whose timeline is shown, with its trace: the first that failed, or the first. */
  readonly shown?: RunResult
}

export interface SweepReport {
  readonly results: readonly RunResult[]
  readonly tookMs: number
  readonly planned: number
  readonly interrupted: boolean
}

export interface Reporter {
  scenario(report: ScenarioReport): void
  end(report: SweepReport): void
}

export interface ReporterRequest {
  readonly name: 'terminal' | 'json' | 'junit'
  readonly file?: string
}

interface Output {
  readonly look: Look
  print(text: string): void
}

export function createReporters(requests: readonly ReporterRequest[], output: Output): Reporter[] {
  return requests.map((request) => {
    switch (request.name) {
      case 'terminal':
        return {
          scenario: (report) => output.print(scenarioText(report, output.look)),
          end: (report) => output.print(sweepText(report, output.look)),
        }
      case 'json':
        return collecting(request, output, jsonLines)
      case 'junit':
        return collecting(request, output, junitXml)
    }
  })
}

function collecting(
  { file }: ReporterRequest,
  output: Output,
  format: (reports: readonly ScenarioReport[], sweep: SweepReport) => string,
): Reporter {
  const reports: ScenarioReport[] = []
  return {
    scenario: (report) => void reports.push(report),
    end: (sweep) => {
      const text = format(reports, sweep)
      if (file === undefined) output.print(text)
      else writeFileSync(file, text)
    },
  }
}
