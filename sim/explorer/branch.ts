/**
 * One line of history: a recording, the way it is looked at, and where it parted from another.
 */

import { parse } from 'yaml'
import { formatDuration } from '../kernel/quantity.js'
import type { Micros } from '../kernel/units.js'
import { readScenario } from '../scenario/read-scenario.js'
import type { Scenario } from '../scenario/scenario.js'
import { plainOf, writeYaml } from '../scenario/write-yaml.js'
import { findingsOf } from './findings.js'
import { Outline } from './outline.js'
import { Position } from './position.js'
import { Recording, type RecordingOptions } from './recording.js'
import { StateAt } from './state-at.js'

export interface Fork {
  readonly from: Branch
  /** Since ready. */
  readonly at: Micros
  /** The step that was added, as it was typed. */
  readonly step: string
}

export class Branch {
  name: string
  readonly recording: Recording
  readonly outline: Outline
  readonly states: StateAt
  readonly position: Position
  readonly fork: Fork | undefined
  savedAs: string | undefined
  #marked = false
  #cursor: number

  constructor(name: string, scenario: Scenario, options: RecordingOptions, fork?: Fork) {
    this.name = name
    this.recording = new Recording(scenario, options)
    this.outline = new Outline(this.recording.events)
    this.states = new StateAt(this.recording.events)
    this.position = new Position(this.recording)
    this.fork = fork
    this.#cursor = fork?.from.cursor ?? 0
  }

  /** Sequence of the event that is looked at; 0 before the first. Of a young branch the newest one, until it has got to where it forks. */
  get cursor(): number {
    return Math.min(this.#cursor, this.recording.events.length)
  }

  set cursor(seq: number) {
    this.#cursor = seq
  }

  /** Nobody has chosen an event yet. */
  get isUntouched(): boolean {
    return this.#cursor === 0
  }

  /** Records on for a while. True while there is more to come. */
  advance(isTimeUp: () => boolean, upTo?: Micros): boolean {
    const goesOn = this.recording.advance(isTimeUp, upTo)
    const { result } = this.recording
    if (result !== undefined && !this.#marked) {
      this.#marked = true
      this.outline.mark(findingsOf(result).flatMap(({ evidence }) => evidence))
    }
    return goesOn
  }

  /** Time of the event at the cursor, since ready. */
  get time(): Micros {
    const event = this.recording.events[this.cursor - 1]
    return (event?.time ?? this.recording.readyAt) - this.recording.readyAt
  }

  /** This branch as a scenario file that gives the same run. */
  toYaml(): string {
    const { scenario, options } = this.recording
    const remarks =
      this.fork === undefined
        ? []
        : [`${this.fork.step} added at ${formatDuration(this.fork.at)}; branch ${this.name} of ${options.file}`]
    return writeYaml({ ...scenario, run: { ...scenario.run, seed: options.seed } }, remarks)
  }
}

/**
 * The scenario with one step more, right behind the time `at` (since ready).
 *
 * @param text as typed: `kill b1 for 2s`, `partition [[b1], [b2, b3]] for 3s`
 * @returns the scenario, or what is wrong with the step
 */
export function withStep(scenario: Scenario, text: string, at: Micros): { scenario: Scenario } | { wrong: string } {
  const match = /^\s*([a-z-]+)\s*:?\s*(.*?)(?:\s+for\s+(\S+))?\s*$/s.exec(text)
  if (match === null) return { wrong: 'write it as: kill b1 for 2s' }
  const [, kind = '', argument = '', lasts] = match
  let value: unknown
  try {
    value = parse(argument)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { wrong: message.split('\n')[0] ?? 'the argument cannot be read' }
  }
  const step = { [kind]: value, at: formatDuration(at), ...(lasts !== undefined && { for: lasts }) }
  const plain = plainOf(scenario)
  const steps = [...((plain['steps'] as unknown[] | undefined) ?? []), step]
  const until = formatDuration(scenario.run.until)
  const read = readScenario({ ...plain, steps, run: { ...(plain['run'] as object), until } })
  if ('scenario' in read) return { scenario: { ...read.scenario, description: scenario.description } }
  const [problem] = read.problems
  return { wrong: problem === undefined ? 'not a step' : [problem.message, problem.mend].filter(Boolean).join('; ') }
}
