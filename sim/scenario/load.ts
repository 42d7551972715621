/**
 * Scenario files: found, read and checked. Everything wrong with a file comes at once, as one UsageError.
 *
 * YAML (`.yaml`, `.yml`) and TypeScript or JavaScript modules (`.ts`, `.js`, `.mjs`; the default export) give the same plain
 * object and go through the same checks.
 */

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { createJiti } from 'jiti'
import { UsageError, type Problem } from '../kernel/errors.js'
import { inModes, type Mode } from './modes.js'
import { readScenario } from './read-scenario.js'
import type { Scenario } from './scenario.js'
import type { ScenarioProblem } from './strict.js'
import { YamlSource } from './yaml-source.js'

export interface LoadedScenario {
  readonly scenario: Scenario
  /** As the user would name it, relative to the working folder. */
  readonly file: string
}

const YAML_ENDINGS = ['.yaml', '.yml']
const MODULE_ENDINGS = ['.ts', '.mts', '.js', '.mjs']

/** Scenario files under `paths` (files and folders), sorted within each folder. @throws UsageError for a missing path */
export function findScenarioFiles(paths: readonly string[]): string[] {
  const found: string[] = []
  for (const path of paths) {
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat === undefined) {
      throw new UsageError({
        message: `no such file or folder: ${path}`,
        mend: 'samsa list shows the scenarios that there are',
      })
    }
    if (stat.isDirectory()) found.push(...walk(path))
    else if (isScenarioFile(path)) found.push(path)
    else
      throw new UsageError({
        message: `${path} is no scenario: expected ${[...YAML_ENDINGS, ...MODULE_ENDINGS].join(', ')}`,
      })
  }
  return [...new Set(found)]
}

/** Loads the scenarios of one file: one for each mode that it names, or the one of mode `asked`. @throws UsageError with every problem in it */
export async function loadScenarios(file: string, asked?: Mode): Promise<readonly LoadedScenario[]> {
  const shown = relative(process.cwd(), resolve(file)) || file
  const scenarios = MODULE_ENDINGS.some((ending) => file.endsWith(ending))
    ? await loadModule(file, shown, asked)
    : readYamlModes(readText(file, shown), shown, asked)
  return scenarios.map((scenario) => ({ scenario, file: shown }))
}

/** Reads YAML text of one scenario in one mode. @throws UsageError with every problem in it */
export function readYaml(text: string, file: string): Scenario {
  const [scenario, ...others] = readYamlModes(text, file)
  if (scenario !== undefined && others.length === 0) return scenario
  throw new UsageError({ message: 'expected one mode', place: { file }, mend: 'write mode: kraft or mode: zookeeper' })
}

function readYamlModes(text: string, file: string, asked?: Mode): readonly Scenario[] {
  const source = new YamlSource(file, text)
  if (source.problems.length > 0) throw new UsageError(source.problems)
  const place = (problem: ScenarioProblem): Problem => ({
    message: problem.message,
    place: source.placeOf(problem.path, problem.atKey),
    ...(problem.mend && { mend: problem.mend }),
  })
  return readModes(source.plain, asked, source.stepLines, place)
}

/** Problems of all modes come at once, each once. */
function readModes(
  plain: unknown,
  asked: Mode | undefined,
  stepLines: readonly number[] | undefined,
  place: (problem: ScenarioProblem) => Problem,
): readonly Scenario[] {
  const scenarios: Scenario[] = []
  const problems = new Map<string, Problem>()
  for (const variant of inModes(plain, asked)) {
    const result = readScenario(variant, stepLines)
    if ('scenario' in result) scenarios.push(result.scenario)
    else for (const problem of result.problems.map(place)) problems.set(JSON.stringify(problem), problem)
  }
  if (problems.size > 0) throw new UsageError([...problems.values()])
  return scenarios
}

async function loadModule(file: string, shown: string, asked?: Mode): Promise<readonly Scenario[]> {
  let plain: unknown
  try {
    const module: unknown = await createJiti(import.meta.url, { moduleCache: false }).import(resolve(file))
    plain = (module as { default?: unknown }).default
  } catch (error) {
    throw new UsageError({ message: `the scenario throws when loaded: ${messageOf(error)}`, place: { file: shown } })
  }
  if (plain === undefined) {
    throw new UsageError({
      message: 'no default export',
      place: { file: shown },
      mend: 'write export default scenario(name, { … })',
    })
  }
  return readModes(plain, asked, undefined, (problem) => moduleProblem(problem, shown))
}

function moduleProblem(problem: ScenarioProblem, file: string): Problem {
  const path = problem.path.map(String).join('.')
  return {
    message: path === '' ? problem.message : `${path}: ${problem.message}`,
    place: { file },
    ...(problem.mend && { mend: problem.mend }),
  }
}

function readText(file: string, shown: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new UsageError({ message: `cannot read ${shown}: ${messageOf(error)}` })
  }
}

function walk(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) =>
    a.name < b.name ? -1 : a.name > b.name ? 1 : 0,
  )
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return entry.name.startsWith('.') || entry.name === 'node_modules' ? [] : walk(path)
    return isScenarioFile(path) ? [path] : []
  })
}

function isScenarioFile(path: string): boolean {
  return [...YAML_ENDINGS, ...MODULE_ENDINGS].some((ending) => path.endsWith(ending)) && !path.endsWith('.d.ts')
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
