/**
 * Seeded random streams.
 *
 * Every stream is forked by a label from the run's seed, so a new draw in one place moves nothing elsewhere. The
 * generator is Alea (seedrandom); nothing here uses a transcendental function, whose result may vary between engines.
 */

import alea from 'seedrandom/lib/alea.js'
import { assert } from './errors.js'

/** Values at equally spaced quantiles from 0 to 1; a draw interpolates between neighbours. */
export type Quantiles = readonly number[]

export class Random {
  readonly #path: string
  /** Made with the first draw: many streams are forked and never drawn from. */
  #generator: (() => number) | undefined

  constructor(path: string) {
    this.#path = path
  }

  #next(): number {
    this.#generator ??= alea(this.#path)
    return this.#generator()
  }

  /** An independent stream: same seed and label, same stream, whatever was drawn elsewhere. */
  fork(label: string): Random {
    return new Random(`${this.#path}/${label}`)
  }

  /** A number in [0, 1). */
  float(): number {
    return this.#next()
  }

  /** An integer in [0, bound). */
  int(bound: number): number {
    assert(bound > 0, 'random: bound', { bound })
    return Math.floor(this.#next() * bound)
  }

  /** An integer in [low, high], both included. */
  between(low: number, high: number): number {
    assert(high >= low, 'random: range', { low, high })
    return low + Math.floor(this.#next() * (high - low + 1))
  }

  /** True with probability `p`. */
  chance(p: number): boolean {
    return this.#next() < p
  }

  pick<T>(items: readonly T[]): T {
    assert(items.length > 0, 'random: pick from nothing')
    return items[this.int(items.length)] as T
  }

  /** A new array in random order (Fisher–Yates). */
  shuffle<T>(items: readonly T[]): T[] {
    const result = items.slice()
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.int(i + 1)
      const swap = result[i] as T
      result[i] = result[j] as T
      result[j] = swap
    }
    return result
  }

  /** `count` distinct items, in random order. */
  sample<T>(items: readonly T[], count: number): T[] {
    assert(count <= items.length, 'random: sample', { count, of: items.length })
    return this.shuffle(items).slice(0, count)
  }

  /** One of `[weight, item]`, with probability proportional to its weight. */
  weighted<T>(items: readonly (readonly [weight: number, item: T])[]): T {
    let total = 0
    for (const [weight] of items) total += weight
    let left = this.#next() * total
    for (const [weight, item] of items) {
      left -= weight
      if (left < 0) return item
    }
    const last = items[items.length - 1]
    assert(last, 'random: weighted pick from nothing')
    return last[1]
  }

  /** A draw from a quantile table, linear between its points. */
  quantile(table: Quantiles): number {
    const at = this.#next() * (table.length - 1)
    const low = Math.floor(at)
    const from = table[low] as number
    const to = table[low + 1] ?? from
    return from + (to - from) * (at - low)
  }

  /** A Kafka `Uuid` in its 22-character form. */
  uuid(): string {
    let text = ''
    for (let i = 0; i < 21; i++) text += BASE64_URL[this.int(64)]
    return text + 'AQgw'[this.int(4)]
  }
}

const BASE64_URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
