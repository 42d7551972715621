/**
 * The values that arguments of faults and operations are made of, as zod schemas with messages for people.
 *
 * Targets are checked against the names of the scenario, so an unknown one is found before anything runs; durations and
 * sizes come out as microseconds and bytes.
 */

import { z } from 'zod'
import { parseBytes, parseDuration } from '../kernel/quantity.js'
import { nearest } from '../kernel/config-def.js'
import { parseTarget, type Target, type TargetNames } from './target.js'

/** `50ms` → microseconds. */
export const duration = z.union([z.string(), z.number()]).transform((raw, context) => {
  const micros = typeof raw === 'string' ? parseDuration(raw) : undefined
  if (micros !== undefined) return micros
  context.addIssue({
    code: 'custom',
    message: `expected a duration with its unit, such as 50ms or 2s, got ${JSON.stringify(raw)}`,
  })
  return z.NEVER
})

/** `-3s` or `50ms` → microseconds of either sign. */
export const signedDuration = z.union([z.string(), z.number()]).transform((raw, context) => {
  const text = typeof raw === 'string' ? raw.trim() : ''
  const micros = parseDuration(text.replace(/^[+-]/, ''))
  if (micros !== undefined) return text.startsWith('-') ? -micros : micros
  context.addIssue({
    code: 'custom',
    message: `expected a duration with its unit, such as 50ms or -2s, got ${JSON.stringify(raw)}`,
  })
  return z.NEVER
})

/** `64KiB` or a number → bytes. */
export const size = z.union([z.string(), z.number()]).transform((raw, context) => {
  const bytes = parseBytes(String(raw))
  if (bytes !== undefined) return bytes
  context.addIssue({ code: 'custom', message: `expected a size, such as 512 or 64KiB, got ${JSON.stringify(raw)}` })
  return z.NEVER
})

/** `30%` or 0.3 → 0.3. */
export const share = z.union([z.string(), z.number()]).transform((raw, context) => {
  const value =
    typeof raw === 'number' ? raw : /^[0-9.]+\s*%$/.test(raw.trim()) ? Number.parseFloat(raw) / 100 : Number.NaN
  if (value >= 0 && value <= 1) return value
  context.addIssue({ code: 'custom', message: `expected a share, such as 30% or 0.3, got ${JSON.stringify(raw)}` })
  return z.NEVER
})

/** One target or a list of targets; together they mean the union of their nodes. */
export function targets(names: TargetNames): z.ZodType<readonly Target[]> {
  return z.union([z.string(), z.array(z.string()).min(1)]).transform((raw, context) => {
    const found: Target[] = []
    for (const text of typeof raw === 'string' ? [raw] : raw) {
      const parsed = parseTarget(text, names)
      if ('target' in parsed) found.push(parsed.target)
      else context.addIssue({ code: 'custom', message: parsed.wrong, params: { mend: parsed.mend } })
    }
    return found
  })
}

/** A partition that the scenario declares. */
export function partition(names: TargetNames): z.ZodType<string> {
  return z.string().superRefine((raw, context) => {
    if (names.partitions.includes(raw)) return
    const near = nearest(raw, names.partitions)
    context.addIssue({
      code: 'custom',
      message: `no such partition ${raw}`,
      params: { mend: near ? `did you mean ${near}?` : 'declare its topic under cluster.topics' },
    })
  })
}

/** A topic name by Kafka's own rules. */
export const topicName = z
  .string()
  .regex(/^[a-zA-Z0-9._-]{1,249}$/, 'a topic name has 1 to 249 of the characters a-z A-Z 0-9 . _ -')
  .refine((name) => name !== '.' && name !== '..', 'a topic cannot be named . or ..')

/** `b1` → 1. */
export const brokerId = z.union([z.string(), z.number()]).transform((raw, context) => {
  const match = /^b?([1-9][0-9]*)$/.exec(String(raw))
  if (match) return Number(match[1])
  context.addIssue({ code: 'custom', message: `expected a broker, such as b1, got ${JSON.stringify(raw)}` })
  return z.NEVER
})
