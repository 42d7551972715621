/**
 * Durations and sizes as people write them: `50ms`, `1.5s`, `2 min`, `7d`; `64KiB`, `10MB`, `512`.
 *
 * Binary and decimal units are what they say (KiB = 1024, KB = 1000). Nothing is guessed: a duration needs its unit.
 */

import type { Bytes, Micros } from './units.js'

const DURATIONS: Readonly<Record<string, number>> = {
  us: 1,
  µs: 1,
  ms: 1_000,
  s: 1_000_000,
  min: 60_000_000,
  m: 60_000_000,
  h: 3_600_000_000,
  d: 86_400_000_000,
}

const SIZES: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1_000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  KiB: 1_024,
  MiB: 1_048_576,
  GiB: 1_073_741_824,
}

/** Microseconds, or undefined when the text is no duration. */
export function parseDuration(text: string): Micros | undefined {
  const match = /^([0-9]+(?:\.[0-9]+)?)\s*([a-zµ]+)$/.exec(text.trim())
  const unit = match && ownValue(DURATIONS, match[2] as string)
  return match && unit ? Math.round(Number(match[1]) * unit) : undefined
}

/** Bytes, or undefined when the text is no size. A bare number counts bytes. */
export function parseBytes(text: string): Bytes | undefined {
  const match = /^([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)$/.exec(text.trim())
  const unit = match && ownValue(SIZES, match[2] === '' ? 'B' : (match[2] as string))
  return match && unit ? Math.round(Number(match[1]) * unit) : undefined
}

/** The shortest exact way to write a duration: `1050ms`, `2s`, `7d`. */
export function formatDuration(time: Micros): string {
  for (const unit of ['d', 'h', 'min', 's', 'ms'] as const) {
    const size = DURATIONS[unit] as number
    if (time >= size && time % size === 0) return `${time / size}${unit}`
  }
  return time === 0 ? '0s' : `${time}us`
}

/** Text of a user must not reach what every object inherits (`constructor`). */
function ownValue(units: Readonly<Record<string, number>>, name: string): number | undefined {
  return Object.hasOwn(units, name) ? units[name] : undefined
}
