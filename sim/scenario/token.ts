/**
 * Tokens: one short word that replays a run, `s1-k3f9a-17`.
 *
 *     s1 - FINGERPRINT - SEED [ - kSTEPS ] [ - tSTOP ]
 *
 * The fingerprint (five letters) binds the token to the scenario's content and to the version of the simulation; seed and stop time
 * (milliseconds after ready) are in base 36; `kSTEPS` is a bit mask, in hexadecimal, of the steps that are kept.
 */

import { MICROS_PER_MS, type Micros } from '../kernel/units.js'
import type { Scenario } from './scenario.js'

/** Changes whenever the same scenario and seed no longer give the same run. */
export const SIMULATION_VERSION = 1

export interface Token {
  readonly fingerprint: string
  readonly seed: number
  /** Indexes of the steps that are kept; all when missing. */
  readonly kept?: readonly number[]
  /** The run ends here, after ready. */
  readonly stop?: Micros
}

export function formatToken({ fingerprint, seed, kept, stop }: Token): string {
  const parts = ['s1', fingerprint, seed.toString(36)]
  if (kept !== undefined) parts.push(`k${maskOf(kept)}`)
  if (stop !== undefined) parts.push(`t${Math.ceil(stop / MICROS_PER_MS).toString(36)}`)
  return parts.join('-')
}

/** The parts of a token, or undefined when the text is none. */
export function parseToken(text: string): Token | undefined {
  const match = /^s1-([a-z0-9]{5})-([0-9a-z]{1,7})(?:-k([0-9a-f]+))?(?:-t([0-9a-z]+))?$/.exec(text.trim())
  if (!match) return undefined
  const seed = Number.parseInt(match[2] as string, 36)
  const kept = match[3] === undefined ? undefined : stepsOf(match[3])
  const stop = match[4] === undefined ? undefined : Number.parseInt(match[4], 36) * MICROS_PER_MS
  return { fingerprint: match[1] as string, seed, ...(kept && { kept }), ...(stop !== undefined && { stop }) }
}

/** Five letters that stand for everything in the scenario that decides a run. */
export function fingerprintOf(scenario: Scenario): string {
  const { cluster, clients, run } = scenario
  const steps = scenario.steps.map(({ kind, argument, trigger, lasts }) => [kind, argument, trigger, lasts ?? null])
  const text = JSON.stringify([SIMULATION_VERSION, cluster, clients, steps, run.until])
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  // Avalanche, as FNV's low bits see little of the last characters.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = (hash ^ (hash >>> 13)) >>> 0
  return hash.toString(36).padStart(7, '0').slice(-5)
}

/** The scenario with only the steps and up to the time that the token keeps. */
export function applyToken(scenario: Scenario, { kept, stop }: Token): Scenario {
  const steps = kept === undefined ? scenario.steps : scenario.steps.filter((_, index) => kept.includes(index))
  const until = stop === undefined ? scenario.run.until : Math.min(stop, scenario.run.until)
  return { ...scenario, steps, run: { ...scenario.run, until } }
}

function maskOf(kept: readonly number[]): string {
  let mask = 0n
  for (const index of kept) mask |= 1n << BigInt(index)
  return mask.toString(16)
}

function stepsOf(hex: string): number[] {
  const steps: number[] = []
  const mask = BigInt(`0x${hex}`)
  for (let index = 0; mask >> BigInt(index) > 0n; index++) if ((mask >> BigInt(index)) & 1n) steps.push(index)
  return steps
}
