/**
 * Numbers that must not mix.
 *
 * A unit is a "flavour": a plain number literal is accepted, another flavour is not. Every 64-bit quantity of Kafka's
 * protocol (offsets, producer ids, timestamps) is a JavaScript number and stays below 2^53; the codecs assert it.
 */

declare const unit: unique symbol

type Flavour<Name extends string> = number & { readonly [unit]?: Name }

/** Microseconds of virtual time since the start of the run (integer). */
export type Micros = Flavour<'Micros'>
/** Milliseconds, as Kafka's configuration and clocks count them (integer unless said otherwise). */
export type Millis = Flavour<'Millis'>
/** A record's position in a partition's log. */
export type Offset = Flavour<'Offset'>
/** A leader epoch, partition epoch, controller epoch or quorum epoch. */
export type Epoch = Flavour<'Epoch'>
/** A broker's or controller's numeric id (`node.id`). */
export type NodeId = Flavour<'NodeId'>
/** A count of bytes. */
export type Bytes = Flavour<'Bytes'>

export const MICROS_PER_MS = 1_000
export const MICROS_PER_SECOND = 1_000_000

/** Kafka's Long.MAX_VALUE where it means "never" or "no limit": the largest number that stays exact here. */
export const LONG_MAX = Number.MAX_SAFE_INTEGER
/** Kafka's Integer.MAX_VALUE. */
export const INT_MAX = 2_147_483_647

export function millis(ms: number): Micros {
  return Math.round(ms * MICROS_PER_MS)
}

export function seconds(s: number): Micros {
  return Math.round(s * MICROS_PER_SECOND)
}

/** Virtual time for people: `2.640`, seconds with milliseconds. */
export function formatSeconds(time: Micros): string {
  return (time / MICROS_PER_SECOND).toFixed(3)
}
