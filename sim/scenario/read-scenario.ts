/**
 * From the surface of a scenario file to a checked Scenario, or every problem at once.
 *
 * Checked here: shapes and unknown keys (schema.ts), topologies that cannot be, Kafka settings, targets and partitions that
 * do not exist, triggers without or with contradictory times, expectations on what does not exist. Nothing runs
 * before all of it holds.
 */

import type { z } from 'zod'
import { nearest } from '../kernel/config-def.js'
import { partitionName, type NodeName, zookeeperName } from '../kernel/names.js'
import type { Micros } from '../kernel/units.js'
import { STEP_KINDS } from '../faults/kinds.js'
import type { StepKind } from '../faults/kind.js'
import { PATTERNS } from '../faults/patterns.js'
import type { TargetNames } from '../faults/target.js'
import { checkExpectations } from './expectations.js'
import { readClients, readCluster, serversOf } from './read-cluster.js'
import type { Scenario, Step, Trigger } from './scenario.js'
import { nodesOfClient } from './client-nodes.js'
import { SCENARIO_SURFACE, TRIGGER_KEYS, type ScenarioSurface } from './schema.js'
import { problemsOf, type ScenarioProblem } from './strict.js'

type Surface = z.output<typeof SCENARIO_SURFACE>
type SurfaceStep = Surface['steps'][number]

/** What reading gave: a scenario, or all that is wrong with it. */
export type ReadResult = { readonly scenario: Scenario } | { readonly problems: readonly ScenarioProblem[] }

/**
 * Checks and resolves the plain object of a scenario file.
 * @param lines 1-based source line of each step, when known.
 */
export function readScenario(plain: unknown, lines: readonly number[] = []): ReadResult {
  const parsed = SCENARIO_SURFACE.safeParse(plain)
  if (!parsed.success) return { problems: problemsOf(parsed.error) }
  const surface = parsed.data
  const problems: ScenarioProblem[] = []
  const cluster = readCluster(surface, problems)
  const clients = readClients(surface, problems)
  const names = namesOf(surface, problems)
  const steps = surface.steps.map((step, index) =>
    readStep(step, index, names, surface.run.until, lines[index], problems),
  )
  const expect = checkExpectations(surface, names, problems)
  if (problems.length > 0) return { problems }
  return {
    scenario: {
      version: 1,
      name: surface.name,
      description: surface.description ?? '',
      cluster,
      clients,
      steps: steps.filter((step) => step !== undefined),
      expect,
      run: surface.run,
    },
  }
}

/** Every name that targets and expectations may use, with those that steps bring in later. */
export function namesOf(surface: ScenarioSurface, problems: ScenarioProblem[] = []): TargetNames {
  let brokers = surface.cluster.brokers
  const partitions: string[] = []
  for (const [name, topic] of Object.entries(surface.cluster.topics)) {
    const count = topic.replicas?.length ?? topic.partitions ?? 1
    for (let index = 0; index < count; index++) partitions.push(partitionName(name, index))
  }
  const early: TargetNames = { brokers: [], controllers: [], clients: [], partitions }
  surface.steps.forEach((step, index) => {
    for (const [key, value] of Object.entries(step)) {
      const kind = STEP_KINDS[key]
      if (kind?.type !== 'operation' || kind.introduces === undefined) continue
      const argument = kind.schema(early).safeParse(value)
      if (!argument.success) continue // reported when the step itself is read
      const brings = kind.introduces(argument.data)
      brokers += brings.brokers ?? 0
      for (const partition of brings.partitions ?? []) {
        if (partitions.includes(partition))
          problems.push({ path: ['steps', index, key], message: `${partition} exists already` })
        else partitions.push(partition)
      }
    }
  })
  const members = Object.entries(surface.clients).map(([name, client]): [string, readonly NodeName[]] => [
    name,
    nodesOfClient(name, client !== undefined && 'members' in client ? Number(client.members) : 1),
  ])
  const { controllers, zookeeper } = serversOf(surface.cluster)
  return {
    brokers: Array.from({ length: brokers }, (_, i) => `b${i + 1}`),
    controllers: Array.from({ length: controllers }, (_, i) => `c${i + 1}`),
    zookeeper: Array.from({ length: zookeeper.servers }, (_, i) => zookeeperName(i + 1)),
    clients: members.flatMap(([, nodes]) => nodes),
    partitions,
    groups: [...new Set(Object.values(surface.clients).flatMap((client) => groupOf(client) ?? []))],
    members: new Map(members.filter(([name]) => groupOf(surface.clients[name]) !== undefined)),
  }
}

function groupOf(client: ScenarioSurface['clients'][string] | undefined): string | undefined {
  return client !== undefined && 'group' in client && typeof client.group === 'string' ? client.group : undefined
}

function readStep(
  step: SurfaceStep,
  index: number,
  names: TargetNames,
  until: Micros,
  line: number | undefined,
  problems: ScenarioProblem[],
): Step | undefined {
  const path = ['steps', index]
  const kinds = Object.keys(step).filter((key) => !TRIGGER_KEYS.includes(key))
  const [name] = kinds
  if (name === undefined || kinds.length > 1) {
    problems.push(kindsWrong(kinds, path))
    return undefined
  }
  const kind = Object.hasOwn(STEP_KINDS, name) ? STEP_KINDS[name] : undefined
  if (kind === undefined) {
    problems.push(unknownKind(name, path))
    return undefined
  }
  const argument = kind.schema(names).safeParse(step[name])
  if (!argument.success) problems.push(...problemsOf(argument.error, [...path, name]))
  const trigger = readTrigger(step, path, names, until, problems)
  checkDuration(step, name, kind, path, problems)
  if (trigger === undefined || !argument.success) return undefined
  return {
    kind: name,
    argument: step[name],
    trigger,
    ...(step.for !== undefined && { lasts: step.for }),
    ...(line !== undefined && { line }),
  }
}

function kindsWrong(kinds: readonly string[], path: readonly PropertyKey[]): ScenarioProblem {
  if (kinds.length === 0) {
    return { path, message: 'a step needs a fault or an operation', mend: 'add one, such as kill: leader(orders-0)' }
  }
  const stranger = kinds.find((name) => !Object.hasOwn(STEP_KINDS, name))
  if (stranger !== undefined) return unknownKind(stranger, path)
  return {
    path,
    message: `a step has one fault or operation, this one has ${kinds.join(' and ')}`,
    mend: 'make two steps of it',
  }
}

function unknownKind(name: string, path: readonly PropertyKey[]): ScenarioProblem {
  const near = nearest(name, [...Object.keys(STEP_KINDS), ...TRIGGER_KEYS])
  return {
    path: [...path, name],
    message: `unknown fault or operation ${name}`,
    mend: near ? `did you mean ${near}?` : `known are ${Object.keys(STEP_KINDS).join(', ')}`,
    atKey: true,
  }
}

function checkDuration(
  step: SurfaceStep,
  name: string,
  kind: StepKind,
  path: readonly PropertyKey[],
  problems: ScenarioProblem[],
): void {
  if (step.for === undefined) return
  if (kind.type === 'operation' || kind.lasts === 'never') {
    problems.push({
      path: [...path, 'for'],
      message: `${name} is over at once and takes no for`,
      mend: 'leave it out',
      atKey: true,
    })
  } else if (step.for === 0) {
    problems.push({ path: [...path, 'for'], message: 'a fault that lasts 0s does nothing' })
  } else if (step.every !== undefined && step.for >= step.every) {
    problems.push({
      path: [...path, 'for'],
      message: 'it would begin again before it ended',
      mend: 'make for shorter than every',
    })
  }
}

function readTrigger(
  step: SurfaceStep,
  path: readonly PropertyKey[],
  names: TargetNames,
  until: Micros,
  problems: ScenarioProblem[],
): Trigger | undefined {
  const given = (['at', 'between', 'every', 'when'] as const).filter((key) => step[key] !== undefined)
  const wrong = (key: string, message: string, mend?: string): undefined => {
    problems.push({ path: [...path, key], message, ...(mend && { mend }) })
    return undefined
  }
  if (given.length !== 1) {
    const message =
      given.length === 0 ? 'a step needs a time' : `a step has one trigger, this one has ${given.join(' and ')}`
    problems.push({ path, message, mend: 'give one of at, between, every, when' })
    return undefined
  }
  if (step.after !== undefined && step.when === undefined) return wrong('after', 'after goes with when')
  if ((step.from !== undefined || step.times !== undefined) && step.every === undefined) {
    return wrong(step.from !== undefined ? 'from' : 'times', 'from and times go with every')
  }
  if (step.at !== undefined) {
    return step.at > until
      ? wrong('at', 'this is after the run has ended', 'make run.until longer')
      : { type: 'at', time: step.at }
  }
  if (step.between !== undefined) {
    const [from, to] = step.between
    if (from >= to) return wrong('between', 'it ends before it begins', `write between: [${'earlier'}, ${'later'}]`)
    return to > until
      ? wrong('between', 'this reaches beyond the end of the run', 'make run.until longer')
      : { type: 'between', from, to }
  }
  if (step.every !== undefined) {
    if (step.every === 0) return wrong('every', 'a period of 0s never ends')
    const from = step.from ?? step.every
    return { type: 'every', period: step.every, from, ...(step.times !== undefined && { times: step.times }) }
  }
  return readPattern(step.when ?? {}, step.after ?? 0, [...path, 'when'], names, problems)
}

function readPattern(
  when: Readonly<Record<string, string | number | boolean>>,
  after: Micros,
  path: readonly PropertyKey[],
  names: TargetNames,
  problems: ScenarioProblem[],
): Trigger | undefined {
  const found = Object.keys(when).filter((key) => Object.hasOwn(PATTERNS, key))
  const [name] = found
  const pattern = name === undefined ? undefined : PATTERNS[name]
  if (name === undefined || pattern === undefined) {
    const first = Object.keys(when)[0] ?? ''
    const near = nearest(first, Object.keys(PATTERNS))
    problems.push({
      path,
      message: first === '' ? 'when needs an event' : `unknown event ${first}`,
      mend: near ? `did you mean ${near}?` : `known are ${Object.keys(PATTERNS).join(', ')}`,
    })
    return undefined
  }
  const subject = String(when[name])
  const known = {
    partition: names.partitions,
    client: names.clients,
    broker: names.brokers,
    api: undefined,
    any: undefined,
  }
  const candidates =
    pattern.subject === 'node'
      ? [...names.brokers, ...names.controllers, ...(names.zookeeper ?? []), ...names.clients]
      : known[pattern.subject]
  if (candidates !== undefined && !candidates.includes(subject)) {
    const near = nearest(subject, candidates)
    problems.push({
      path: [...path, name],
      message: `no such ${pattern.subject} ${subject}`,
      mend: near ? `did you mean ${near}?` : `known are ${candidates.join(', ')}`,
    })
    return undefined
  }
  const conditions: Record<string, string | number | boolean> = {}
  for (const [key, value] of Object.entries(when)) {
    if (key === name) continue
    if (key === 'nth' || pattern.conditions.includes(key)) conditions[key] = value
    else {
      const near = nearest(key, [...pattern.conditions, 'nth'])
      problems.push({
        path: [...path, key],
        message: `${name} has no condition ${key}`,
        mend: near ? `did you mean ${near}?` : `it knows ${[...pattern.conditions, 'nth'].join(', ')}`,
        atKey: true,
      })
    }
  }
  return { type: 'when', pattern: { name, subject, conditions }, after }
}
