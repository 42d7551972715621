/**
 * Network faults as rules: plain data that each return a verdict on a directed link, or on one message.
 *
 * Link rules (partition, one-way, latency, loss, bandwidth, stall) are composed into one `LinkVerdict` a link, remembered until
 * the rules change. Message rules are asked about each frame once, when it is sent. Rules compose: blocked by any is blocked, delays
 * add up, losses are independent, the narrowest bandwidth counts. Traffic of a host with itself passes no rule.
 */

import type { Frame } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import type { Quantiles } from '../kernel/random.js'
import type { Micros } from '../kernel/units.js'

/** A set of nodes; `all` also means those that join later. */
export type NodeSet = ReadonlySet<NodeName> | 'all'

/** A fault that can be taken back. Taking it back twice does nothing. */
export interface FaultHandle {
  remove(): void
}

export type LinkRule =
  /** Silence between nodes of different groups; nodes of no group are not concerned. */
  | { readonly kind: 'partition'; readonly groups: readonly ReadonlySet<NodeName>[] }
  /** Silence between these nodes and all others. */
  | { readonly kind: 'isolate'; readonly nodes: ReadonlySet<NodeName> }
  /** Silence in one direction only. */
  | { readonly kind: 'one-way'; readonly from: NodeSet; readonly to: NodeSet }
  /** Extra latency of every frame: a fixed part and a draw. */
  | {
      readonly kind: 'latency'
      readonly from: NodeSet
      readonly to: NodeSet
      readonly fixedMicros: Micros
      readonly extraMicros: Quantiles
    }
  /** Each segment is lost with this probability. */
  | { readonly kind: 'loss'; readonly from: NodeSet; readonly to: NodeSet; readonly probability: number }
  | { readonly kind: 'bandwidth'; readonly from: NodeSet; readonly to: NodeSet; readonly bytesPerSecond: number }
  /** What is sent is taken, and not delivered until the rule ends; nothing times out of it, as with a full receive window. */
  | { readonly kind: 'stall'; readonly from: NodeSet; readonly to: NodeSet }

/** Does this rule mean this message? It sees what travels, and must not keep or change it. */
export type MessageMatch = (frame: Frame, from: NodeName, to: NodeName) => boolean

export interface MessageRule {
  readonly match: MessageMatch
  /** Extra delay of the message and of all behind it; `drop` takes it, and all behind it, away for good. */
  readonly action: 'drop' | { readonly delayMicros: Micros }
  /** Matches left before the rule ends by itself. */
  left: number
}

/** What all link rules together say about one directed link. */
export interface LinkVerdict {
  readonly blocked: boolean
  readonly stalled: boolean
  readonly lossProbability: number
  readonly fixedMicros: Micros
  readonly extraMicros: readonly Quantiles[]
  /** Infinity when unlimited. */
  readonly bytesPerSecond: number
}

export const CLEAR: LinkVerdict = {
  blocked: false,
  stalled: false,
  lossProbability: 0,
  fixedMicros: 0,
  extraMicros: [],
  bytesPerSecond: Infinity,
}

export function judgeLink(rules: readonly LinkRule[], from: NodeName, to: NodeName): LinkVerdict {
  if (from === to) return CLEAR
  let blocked = false
  let stalled = false
  let arrives = 1
  let fixedMicros = 0
  let bytesPerSecond = Infinity
  const extraMicros: Quantiles[] = []
  for (const rule of rules) {
    if (!concerns(rule, from, to)) continue
    switch (rule.kind) {
      case 'partition':
      case 'isolate':
      case 'one-way':
        blocked = true
        break
      case 'latency':
        fixedMicros += rule.fixedMicros
        if (rule.extraMicros.length > 0) extraMicros.push(rule.extraMicros)
        break
      case 'loss':
        // Certain loss is silence.
        if (rule.probability >= 1) blocked = true
        arrives *= 1 - rule.probability
        break
      case 'bandwidth':
        bytesPerSecond = Math.min(bytesPerSecond, rule.bytesPerSecond)
        break
      case 'stall':
        stalled = true
    }
  }
  return { blocked, stalled, lossProbability: 1 - arrives, fixedMicros, extraMicros, bytesPerSecond }
}

function concerns(rule: LinkRule, from: NodeName, to: NodeName): boolean {
  if (rule.kind === 'isolate') return rule.nodes.has(from) !== rule.nodes.has(to)
  if (rule.kind === 'partition') {
    const ours = rule.groups.findIndex((group) => group.has(from))
    const theirs = rule.groups.findIndex((group) => group.has(to))
    return ours >= 0 && theirs >= 0 && ours !== theirs
  }
  return holds(rule.from, from) && holds(rule.to, to)
}

export function holds(set: NodeSet, node: NodeName): boolean {
  return set === 'all' || set.has(node)
}
