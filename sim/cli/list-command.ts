/**
 * `samsa list`: the scenarios that there are, or the words that scenarios are made of.
 */

import { STEP_KINDS } from '../faults/kinds.js'
import { PATTERNS } from '../faults/patterns.js'
import { JEPSEN_NAMES, ORACLES } from '../oracle/oracle-names.js'
import { MEASURES } from '../scenario/measures.js'
import { ExitCode } from './exit-code.js'
import { selectScenarios } from './select.js'
import { print, remark } from './terminal.js'

interface Word {
  readonly name: string
  readonly doc: string
}

/** What can be listed besides files. */
const WORDS: Readonly<Record<string, () => readonly Word[]>> = {
  faults: () => stepKinds('fault'),
  operations: () => stepKinds('operation'),
  events: () =>
    Object.entries(PATTERNS).map(([name, { doc, subject, conditions }]) => ({
      name: `${name}: ${subject}`,
      doc: withConditions(doc, conditions),
    })),
  measures: () =>
    Object.entries(MEASURES).map(([name, { subject, doc }]) => ({ name: measureForm(name, subject), doc })),
  oracles: () => Object.entries(ORACLES).map(([name, doc]) => ({ name, doc: withJepsen(name, doc) })),
}

/** Names of the same thing that a reader may know. */
function withJepsen(oracle: string, doc: string): string {
  const names = Object.entries(JEPSEN_NAMES).flatMap(([name, same]) => (same === oracle ? [name] : []))
  return names.length === 0 ? doc : `${doc} (Jepsen: ${names.join(', ')})`
}

export async function listCommand(paths: readonly string[], options: { readonly json?: boolean }): Promise<ExitCode> {
  const [what] = paths
  const words = paths.length === 1 && what !== undefined ? WORDS[what] : undefined
  if (words !== undefined) {
    table(words(), options.json ?? false)
    return ExitCode.pass
  }
  const loaded = await selectScenarios(paths)
  if (loaded.length === 0) {
    remark('nothing matched: no scenario files')
    return ExitCode.nothing
  }
  if (options.json) {
    for (const { scenario, file } of loaded)
      print(JSON.stringify({ file, name: scenario.name, description: scenario.description, seeds: scenario.run.seeds }))
  } else
    table(
      loaded.map(({ scenario, file }) => ({ name: file, doc: scenario.name })),
      false,
    )
  return ExitCode.pass
}

function stepKinds(type: 'fault' | 'operation'): Word[] {
  return Object.entries(STEP_KINDS).flatMap(([name, kind]) => (kind.type === type ? [{ name, doc: kind.doc }] : []))
}

function withConditions(doc: string, conditions: readonly string[]): string {
  return conditions.length === 0 ? doc : `${doc} (${conditions.join(', ')})`
}

function measureForm(name: string, subject: string): string {
  if (subject === 'none') return name
  return subject === 'producer' || subject === 'consumer' || subject === 'client'
    ? `${subject}.${name}`
    : `${name}(${subject})`
}

function table(words: readonly Word[], json: boolean): void {
  const width = Math.max(...words.map(({ name }) => name.length))
  for (const { name, doc } of words)
    print(json ? JSON.stringify({ name, doc }) : `${name.padEnd(width)}  ${doc}`.trimEnd())
}
