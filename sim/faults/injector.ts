/**
 * Makes the steps of a scenario happen: waits for each trigger, acts, and ends what has an end.
 *
 * A step acts as an event of its own, never inside a handler. It draws from a stream named after what the step is, not after its
 * place in the list, so adding or removing a step leaves everything before it, and every other step's draws, as they were.
 */

import type { Cluster } from '../cluster/cluster.js'
import type { Engine } from '../kernel/engine.js'
import { assert } from '../kernel/errors.js'
import type { TraceEvent } from '../kernel/events.js'
import type { NodeName } from '../kernel/names.js'
import type { Random } from '../kernel/random.js'
import type { Micros } from '../kernel/units.js'
import type { StepContext } from './kind.js'
import { STEP_KINDS } from './kinds.js'
import { PATTERNS, type Conditions } from './patterns.js'
import type { TargetNames } from './target.js'

/** The events of steps are emitted in this name. */
export const SCENARIO_NODE: NodeName = 'scenario'

/** A step as the injector needs it; scenario/ has the same shape with more. */
export interface InjectedStep {
  readonly kind: string
  readonly argument: unknown
  readonly trigger:
    | { readonly type: 'at'; readonly time: Micros }
    | { readonly type: 'between'; readonly from: Micros; readonly to: Micros }
    | { readonly type: 'every'; readonly period: Micros; readonly from: Micros; readonly times?: number }
    | { readonly type: 'when'; readonly pattern: InjectedPattern; readonly after: Micros }
  readonly lasts?: Micros
}

interface InjectedPattern {
  readonly name: string
  readonly subject: string
  readonly conditions: Conditions
}

export class Injector {
  readonly #engine: Engine
  readonly #cluster: Cluster
  readonly #names: TargetNames
  readonly #steps: readonly InjectedStep[]
  /** Faults that act now and will not end by themselves. */
  #endless = 0
  #active = 0
  #lastEnd: Micros = 0
  #waiting = 0
  #began: Micros = 0

  constructor(cluster: Cluster, steps: readonly InjectedStep[], names: TargetNames) {
    this.#engine = cluster.engine
    this.#cluster = cluster
    this.#names = names
    this.#steps = steps
  }

  /** Virtual time at which the last fault ended; Infinity while one acts or will act at a known time. */
  get lastFaultEnd(): Micros {
    return this.#active + this.#endless + this.#waiting > 0 ? Infinity : this.#lastEnd
  }

  /** Arms every step; their times count from now. */
  start(): void {
    this.#began = this.#engine.now
    const seen = new Map<string, number>()
    this.#steps.forEach((step, index) => {
      const identity = JSON.stringify([step.kind, step.argument, step.trigger])
      const copy = seen.get(identity) ?? 0
      seen.set(identity, copy + 1)
      this.#arm(step, index + 1, this.#engine.random.fork(`step/${identity}/${copy}`))
    })
  }

  #arm(step: InjectedStep, number: number, random: Random): void {
    const { trigger } = step
    switch (trigger.type) {
      case 'at':
        this.#actAt(this.#began + trigger.time, step, number, random)
        break
      case 'between':
        this.#actAt(this.#began + random.between(trigger.from, trigger.to), step, number, random)
        break
      case 'every':
        this.#repeat(step, number, random, this.#began + trigger.from, trigger.period, trigger.times ?? Infinity)
        break
      case 'when':
        this.#await(step, number, random, trigger.pattern, trigger.after)
        break
    }
  }

  #actAt(time: Micros, step: InjectedStep, number: number, random: Random): void {
    this.#waiting++
    this.#engine.schedule(
      time,
      () => {
        this.#waiting--
        this.#act(step, number, random)
      },
      undefined,
    )
  }

  #repeat(step: InjectedStep, number: number, random: Random, time: Micros, period: Micros, left: number): void {
    if (left <= 0) return
    this.#engine.schedule(
      time,
      () => {
        this.#act(step, number, random)
        this.#repeat(step, number, random, time + period, period, left - 1)
      },
      undefined,
    )
  }

  #await(step: InjectedStep, number: number, random: Random, pattern: InjectedPattern, after: Micros): void {
    const matcher = PATTERNS[pattern.name]
    assert(matcher !== undefined, 'step: unknown pattern', { pattern: pattern.name })
    let left = Number(pattern.conditions['nth'] ?? 1)
    const unwatch = this.#engine.trace.watch(matcher.watches, (event: TraceEvent) => {
      if (left <= 0 || !matcher.matches(event, pattern.subject, pattern.conditions) || --left > 0) return
      const { trace } = this.#engine
      const cause = trace.cause
      trace.cause = event.seq
      this.#actAt(this.#engine.now + after, step, number, random)
      // Ended by an event of its own: the list of readers is being walked right now.
      this.#engine.schedule(this.#engine.now, unwatch, undefined)
      trace.cause = cause
    })
  }

  #act(step: InjectedStep, number: number, random: Random): void {
    const kind = STEP_KINDS[step.kind]
    assert(kind !== undefined, 'step: unknown kind', { kind: step.kind })
    const { trace } = this.#engine
    const argument: unknown = kind.schema(this.#names).parse(step.argument)
    const context: StepContext = { cluster: this.#cluster, names: this.#names, view: this.#cluster.view, random }
    const text = `${step.kind} ${describe(step.argument)}`
    if (kind.type === 'operation') {
      trace.cause = trace.emit(SCENARIO_NODE, 'operation.start', { step: number, kind: step.kind, text })
      kind.start(argument, context, (outcome) => {
        trace.emit(SCENARIO_NODE, 'operation.end', { step: number, kind: step.kind, outcome })
      })
      return
    }
    // The event comes before its effects, so that they carry it as their cause; its targets are known only by acting.
    const before = trace.cause
    const planned = kind.plan(argument, context)
    if ('skipped' in planned) {
      trace.emit(SCENARIO_NODE, 'fault.skipped', { step: number, kind: step.kind, reason: planned.skipped })
      return
    }
    const { targets } = planned
    trace.cause = trace.emit(SCENARIO_NODE, 'fault.start', { step: number, kind: step.kind, targets, text })
    const end = planned.act()
    if (kind.lasts === 'never') {
      this.#lastEnd = this.#engine.now
    } else if (step.lasts === undefined) {
      this.#endless++
    } else {
      this.#active++
      this.#engine.schedule(this.#engine.now + step.lasts, () => this.#end(step, number, targets, text, end), undefined)
    }
    trace.cause = before
  }

  #end(
    step: InjectedStep,
    number: number,
    targets: readonly NodeName[],
    text: string,
    end: (() => void) | undefined,
  ): void {
    const { trace } = this.#engine
    trace.cause = trace.emit(SCENARIO_NODE, 'fault.end', { step: number, kind: step.kind, targets, text })
    this.#active--
    this.#lastEnd = this.#engine.now
    end?.()
  }
}

/** An argument in one line, as the user wrote it. */
function describe(argument: unknown): string {
  if (typeof argument === 'string' || typeof argument === 'number') return String(argument)
  if (Array.isArray(argument))
    return argument.map((side) => (Array.isArray(side) ? side.join(' ') : String(side))).join(' | ')
  if (typeof argument !== 'object' || argument === null) return ''
  return Object.entries(argument)
    .map(([key, value]) => `${key}=${Array.isArray(value) ? value.join(' ') : String(value)}`)
    .join(' ')
}
