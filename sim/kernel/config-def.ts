/**
 * Configuration under Kafka's own names.
 *
 * Each room declares the settings that it reads, with Kafka's defaults and bounds, as one table; code reads
 * `config['replica.lag.time.max.ms']`, so that a name means the same here, in server.properties and in a scenario. `parseConfig`
 * collects every mistake: unknown names with a suggestion, wrong types, values out of bounds.
 */

import type { Problem } from './errors.js'
import { INT_MAX, LONG_MAX } from './units.js'

export type ConfigValue = string | number | boolean | readonly string[] | null

/** One setting. `parse` returns the value or a sentence on what is wrong. */
export interface Setting<T extends ConfigValue> {
  readonly default: T
  readonly doc: string
  parse(raw: unknown): { value: T } | { wrong: string }
}

export type Settings = Readonly<Record<string, Setting<ConfigValue>>>

/** The typed values of a table of settings. */
export type ConfigOf<S extends Settings> = {
  readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never
}

/** A whole number in [min, max]. Accepts digits as text. */
export function int(defaultValue: number, doc: string, min = 0, max = INT_MAX): Setting<number> {
  return number(defaultValue, doc, min, max, true)
}

/** As `int`, with Kafka's long range. */
export function long(defaultValue: number, doc: string, min = 0): Setting<number> {
  return number(defaultValue, doc, min, LONG_MAX, true)
}

export function double(defaultValue: number, doc: string, min = 0, max = 1): Setting<number> {
  return number(defaultValue, doc, min, max, false)
}

export function bool(defaultValue: boolean, doc: string): Setting<boolean> {
  return {
    default: defaultValue,
    doc,
    parse: (raw) => {
      if (raw === true || raw === 'true') return { value: true }
      if (raw === false || raw === 'false') return { value: false }
      return { wrong: 'expected true or false' }
    },
  }
}

export function oneOf<T extends string>(defaultValue: T, values: readonly T[], doc: string): Setting<T> {
  return {
    default: defaultValue,
    doc,
    parse: (raw) => {
      const found = values.find((value) => value === String(raw))
      return found === undefined ? { wrong: `expected one of ${values.join(', ')}` } : { value: found }
    },
  }
}

export function text(defaultValue: string, doc: string): Setting<string> {
  return {
    default: defaultValue,
    doc,
    parse: (raw) =>
      typeof raw === 'string' || typeof raw === 'number' ? { value: String(raw) } : { wrong: 'expected text' },
  }
}

/** A comma-separated list, or a YAML list. */
export function list(
  defaultValue: readonly string[],
  doc: string,
  values?: readonly string[],
): Setting<readonly string[]> {
  return {
    default: defaultValue,
    doc,
    parse: (raw) => {
      const items = Array.isArray(raw)
        ? raw.map(String)
        : typeof raw === 'string'
          ? raw.split(',').map((s) => s.trim())
          : undefined
      if (items === undefined) return { wrong: 'expected a list' }
      const stranger = values && items.find((item) => !values.includes(item))
      return stranger === undefined ? { value: items } : { wrong: `expected a list of ${values?.join(', ')}` }
    },
  }
}

/** Values given under their names → the full configuration, defaults filled in; problems are added to `problems`. */
export function parseConfig<S extends Settings>(
  settings: S,
  given: Readonly<Record<string, unknown>>,
  problems: Problem[],
): ConfigOf<S> {
  const config: Record<string, ConfigValue> = {}
  for (const [name, setting] of Object.entries(settings)) config[name] = setting.default
  for (const [name, raw] of Object.entries(given)) {
    const setting = Object.hasOwn(settings, name) ? settings[name] : undefined
    if (setting === undefined) {
      const near = nearest(name, Object.keys(settings))
      problems.push({ message: `unknown setting ${name}`, ...(near && { mend: `did you mean ${near}?` }) })
      continue
    }
    const parsed = setting.parse(raw)
    if ('wrong' in parsed) problems.push({ message: `${name}: ${parsed.wrong}, got ${JSON.stringify(raw)}` })
    else config[name] = parsed.value
  }
  return config as ConfigOf<S>
}

/** The defaults of a table of settings. */
export function defaultsOf<S extends Settings>(settings: S): ConfigOf<S> {
  return parseConfig(settings, {}, [])
}

/** The candidate closest to `word` by edit distance, when it is close enough to be what was meant. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

function number(defaultValue: number, doc: string, min: number, max: number, whole: boolean): Setting<number> {
  return {
    default: defaultValue,
    doc,
    parse: (raw) => {
      const value = typeof raw === 'number' ? raw : typeof raw === 'string' && raw.trim() !== '' ? Number(raw) : NaN
      if (!Number.isFinite(value) || (whole && !Number.isInteger(value))) {
        return { wrong: whole ? 'expected a whole number' : 'expected a number' }
      }
      if (value > LONG_MAX && max === LONG_MAX) return { value: LONG_MAX }
      if (value < min || value > max) return { wrong: `must be between ${min} and ${max}` }
      return { value }
    },
  }
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const swap = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min(swap, (previous[j] as number) + 1, (current[j - 1] as number) + 1))
    }
    previous = current
  }
  return previous[b.length] as number
}
