/**
 * Expectations: read from the file, checked against what exists, and compared with what happened.
 */

import { nearest } from '../kernel/config-def.js'
import type { TargetNames } from '../faults/target.js'
import { JEPSEN_NAMES, ORACLE_NAMES } from '../oracle/oracle-names.js'
import { MEASURES, parseMeasure } from './measures.js'
import type { Comparison, EventualExpectation, Expectations, MeasureExpectation, MeasureValue } from './scenario.js'
import type { ScenarioSurface } from './schema.js'
import type { ScenarioProblem } from './strict.js'

const OPERATORS = ['!=', '<=', '>=', '<', '>', '='] as const

/** Reads `expect`; adds a problem for every oracle, measure or subject that does not exist. */
export function checkExpectations(
  surface: ScenarioSurface,
  names: TargetNames,
  problems: ScenarioProblem[],
): Expectations {
  const { eventually, end, sometimes } = surface.expect
  const always = readOracles(surface.expect.always, ['expect', 'always'], problems)
  const violated = readOracles(surface.expect.violated, ['expect', 'violated'], problems)
  for (const name of always) {
    if (violated.includes(name))
      problems.push({
        path: ['expect', 'violated'],
        message: `${name} cannot be expected to hold always and to be violated`,
      })
  }
  const context = { surface, names, problems }
  surface.run.show.forEach((measure, index) => {
    const wrong = checkMeasure(measure, context)
    if (wrong !== undefined) problems.push({ path: ['run', 'show', index], ...wrong })
  })
  const list = Array.isArray(eventually) ? eventually : [eventually]
  return {
    always,
    violated,
    eventually: list.flatMap((entry, index) =>
      readEventual(
        entry,
        Array.isArray(eventually) ? ['expect', 'eventually', index] : ['expect', 'eventually'],
        context,
      ),
    ),
    end: readMeasures(end, ['expect', 'end'], context),
    sometimes: readMeasures(sometimes, ['expect', 'sometimes'], context),
  }
}

/** Whether `value` is what the comparison wants. Lists are equal when they hold the same names in any order. */
export function holds(value: MeasureValue, { operator, value: wanted }: Comparison): boolean {
  if (operator === '=' || operator === '!=') return same(value, wanted) === (operator === '=')
  const left = Number(value)
  const right = Number(wanted)
  if (operator === '<') return left < right
  if (operator === '<=') return left <= right
  return operator === '>' ? left > right : left >= right
}

/** `p1.acked = 400`, for people. */
export function describeComparison(measure: string, { operator, value }: Comparison): string {
  return `${measure} ${operator} ${describeValue(value)}`
}

export function describeValue(value: MeasureValue): string {
  return Array.isArray(value) ? `[${value.join(', ')}]` : String(value)
}

function same(value: MeasureValue, wanted: MeasureValue): boolean {
  const left = listOf(value)
  const right = listOf(wanted)
  return left.length === right.length && left.every((item) => count(left, item) === count(right, item))
}

function listOf(value: MeasureValue): readonly string[] {
  return typeof value === 'object' ? value : [String(value)]
}

function count(list: readonly string[], item: string): number {
  let found = 0
  for (const other of list) if (other === item) found++
  return found
}

/** Our names of the oracles; they may be given by Jepsen's. */
function readOracles(
  given: readonly string[],
  path: readonly PropertyKey[],
  problems: ScenarioProblem[],
): readonly string[] {
  return given.map((name, index) => {
    if (ORACLE_NAMES.includes(name)) return name
    const same = Object.hasOwn(JEPSEN_NAMES, name) ? JEPSEN_NAMES[name] : undefined
    if (same !== undefined) return same
    const near = nearest(name, [...ORACLE_NAMES, ...Object.keys(JEPSEN_NAMES)])
    problems.push({
      path: [...path, index],
      message: `unknown oracle ${name}`,
      mend: near ? `did you mean ${near}?` : 'samsa list oracles names them',
    })
    return name
  })
}

interface Context {
  readonly surface: ScenarioSurface
  readonly names: TargetNames
  readonly problems: ScenarioProblem[]
}

function readEventual(
  entry: { readonly within: number; readonly [key: string]: unknown },
  path: readonly PropertyKey[],
  context: Context,
): EventualExpectation[] {
  const { within, ...measures } = entry
  if (Object.keys(measures).length === 0) {
    context.problems.push({
      path,
      message: 'nothing is expected here',
      mend: 'add a measure, such as isr(orders-0): [b1, b2, b3]',
    })
  }
  return readMeasures(measures, path, context).map((expectation) => ({ ...expectation, within }))
}

function readMeasures(
  given: Readonly<Record<string, unknown>>,
  path: readonly PropertyKey[],
  context: Context,
): MeasureExpectation[] {
  return Object.entries(given).flatMap(([text, raw]) => {
    const wrong = checkMeasure(text, context)
    if (wrong !== undefined) {
      context.problems.push({ path: [...path, text], ...wrong, atKey: true })
      return []
    }
    const comparison = readComparison(raw)
    if (comparison !== undefined) return [{ measure: text, comparison }]
    context.problems.push({
      path: [...path, text],
      message: `expected a value or a comparison such as ">= 1", got ${JSON.stringify(raw)}`,
    })
    return []
  })
}

/** Partitions that come into being when somebody asks for a coordinator. */
const KAFKAS_OWN = /^__(?:consumer_offsets|transaction_state)-\d+$/

function checkMeasure(text: string, { surface, names }: Context): { message: string; mend?: string } | undefined {
  const name = parseMeasure(text)
  const measure = name && Object.hasOwn(MEASURES, name.measure) ? MEASURES[name.measure] : undefined
  if (name === undefined || measure === undefined) {
    const near = nearest(name?.measure ?? text, Object.keys(MEASURES))
    return {
      message: `unknown measure ${text}`,
      mend: near ? `did you mean ${near}?` : `known are ${Object.keys(MEASURES).join(', ')}`,
    }
  }
  const clients = Object.entries(surface.clients)
  const candidates = {
    none: [''],
    client: clients.map(([client]) => client),
    producer: clients.filter(([, client]) => 'produce' in client).map(([client]) => client),
    consumer: clients.filter(([, client]) => 'consume' in client).map(([client]) => client),
    group: clients.filter(([, client]) => 'group' in client).map(([client]) => client),
    partition: names.partitions,
    node: [...names.brokers, ...names.controllers, ...(names.zookeeper ?? []), ...names.clients],
  }[measure.subject]
  if (candidates.includes(name.subject)) return undefined
  if (measure.subject === 'partition' && KAFKAS_OWN.test(name.subject)) return undefined
  if (measure.subject === 'none')
    return { message: `${name.measure} is about the whole run`, mend: `write ${name.measure}` }
  const near = nearest(name.subject, candidates)
  const what =
    name.subject === '' ? `${name.measure} needs a ${measure.subject}` : `no such ${measure.subject} ${name.subject}`
  return { message: what, mend: near ? `did you mean ${near}?` : `known are ${candidates.join(', ') || 'none'}` }
}

function readComparison(raw: unknown): Comparison | undefined {
  if (Array.isArray(raw)) return { operator: '=', value: raw.map(String) }
  if (typeof raw === 'number' || typeof raw === 'boolean') return { operator: '=', value: raw }
  if (typeof raw !== 'string') return undefined
  const operator = OPERATORS.find((candidate) => raw.startsWith(candidate))
  if (operator === undefined) return { operator: '=', value: raw }
  const rest = raw.slice(operator.length).trim()
  if (rest === '') return undefined
  const number = Number(rest)
  if (Number.isNaN(number) && operator !== '=' && operator !== '!=') return undefined
  return { operator, value: Number.isNaN(number) ? rest : number }
}
