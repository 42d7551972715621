/**
 * One direction between two hosts: how long a segment takes, and what the faults of the moment say about it.
 *
 * Latencies and losses are drawn from streams of the link's own (`net/b1->b2`), so traffic elsewhere moves nothing here, and
 * a fault moves no latency. A bandwidth limit is shared by all connections over the link.
 */

import type { Frame } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import type { Quantiles, Random } from '../kernel/random.js'
import { MICROS_PER_SECOND, type Micros } from '../kernel/units.js'
import { CLEAR, judgeLink, type LinkRule, type LinkVerdict } from './fault-rule.js'

/** Within a data centre: 0.15 to 0.5 ms, with a tail to 1.5 (one way, in microseconds; every 5 %). */
export const DATA_CENTRE_MICROS: Quantiles = [
  150, 165, 178, 190, 201, 212, 223, 234, 245, 256, 267, 279, 292, 306, 322, 340, 362, 390, 430, 500, 1_500,
]
/** A host with itself, through the loopback device. */
export const LOOPBACK_MICROS: Quantiles = [15, 20, 25, 30, 40, 80]

/** The rules in force; `generation` changes with them. */
export interface RuleBook {
  readonly linkRules: readonly LinkRule[]
  readonly generation: number
}

export class Link {
  readonly from: NodeName
  readonly to: NodeName
  latencyMicros: Quantiles
  readonly #random: Random
  readonly #faultRandom: Random
  readonly #rules: RuleBook
  #verdict: LinkVerdict = CLEAR
  #judgedAt = 0
  #busyUntil: Micros = 0

  constructor(from: NodeName, to: NodeName, latencyMicros: Quantiles, random: Random, rules: RuleBook) {
    this.from = from
    this.to = to
    this.latencyMicros = latencyMicros
    this.#random = random
    this.#faultRandom = random.fork('faults')
    this.#rules = rules
  }

  /** The latency of one segment. */
  latency(): Micros {
    return Math.round(this.#random.quantile(this.latencyMicros))
  }

  get verdict(): LinkVerdict {
    if (this.#judgedAt !== this.#rules.generation) {
      this.#judgedAt = this.#rules.generation
      this.#verdict = judgeLink(this.#rules.linkRules, this.from, this.to)
    }
    return this.#verdict
  }

  /** Whether the next segment is lost; draws only where segments can be. */
  loses(): boolean {
    const probability = this.verdict.lossProbability
    return probability > 0 && this.#faultRandom.chance(probability)
  }

  /** What the faults add to the latency of one segment. */
  extraLatency(): Micros {
    const verdict = this.verdict
    let extra = verdict.fixedMicros
    for (const table of verdict.extraMicros) extra += Math.round(this.#faultRandom.quantile(table))
    return extra
  }

  /** How long from now until the last bit of `frame` is on the wire, behind what is being sent. */
  serialise(frame: Frame, now: Micros): Micros {
    const rate = this.verdict.bytesPerSecond
    if (rate === Infinity) return 0
    const took = Math.ceil((frame.byteSize() * MICROS_PER_SECOND) / rate)
    this.#busyUntil = Math.max(this.#busyUntil, now) + took
    return this.#busyUntil - now
  }
}
