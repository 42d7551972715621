/**
 * The network between all hosts, and what can go wrong on it.
 *
 * Programs see it as `Env.network`; the caller that breaks it uses the rules here, each of which gives back a handle. With no rule in
 * force, a frame pays one branch for them. Every directed pair of hosts is a link with a latency table: within a rack and a data
 * centre by default, another one between racks where given, any other set per pair.
 */

import { assert } from '../kernel/errors.js'
import type { Engine } from '../kernel/engine.js'
import type { Connection, ConnectionHandler, Frame } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import type { Quantiles } from '../kernel/random.js'
import type { Micros } from '../kernel/units.js'
import { Endpoint, Host, type ConnectionPhase } from './connection.js'
import {
  holds,
  type FaultHandle,
  type LinkRule,
  type MessageMatch,
  type MessageRule,
  type NodeSet,
} from './fault-rule.js'
import { Handshake } from './handshake.js'
import { DATA_CENTRE_MICROS, Link, LOOPBACK_MICROS, type RuleBook } from './link.js'
import type { Process } from './process.js'
import type { Stream, StreamContext } from './stream.js'

export interface NetworkOptions {
  /** One way, between hosts of one rack or of none. */
  readonly latencyMicros?: Quantiles
  /** One way, between hosts of different racks; the same as within one by default. */
  readonly rackLatencyMicros?: Quantiles
  /** Of every directed link; unlimited by default. */
  readonly bytesPerSecond?: number
}

/** Which links a rule is about; all, where not given. */
export interface Between {
  readonly from?: Iterable<NodeName> | 'all'
  readonly to?: Iterable<NodeName> | 'all'
}

/** How many matches until a message rule ends by itself; no limit by default. */
export interface MessageLimit {
  readonly times?: number
}

export interface MessageFaultHandle extends FaultHandle {
  /** Messages dropped or delayed so far. */
  readonly matches: number
}

/** One side of a connection, for people. */
export interface ConnectionView {
  readonly id: number
  readonly node: NodeName
  readonly peer: NodeName
  readonly initiator: boolean
  /** `closing`: the program is done with it, the kernel still delivers. */
  readonly state: ConnectionPhase | 'closing'
  /** Frames sent that have not arrived, and how many of them are held back. */
  readonly unsent: number
  readonly held: number
}

export class SimNetwork implements StreamContext, RuleBook {
  readonly engine: Engine
  readonly stalled = new Set<Stream>()
  readonly #options: NetworkOptions
  readonly #hosts = new Map<NodeName, Host>()
  readonly #racks = new Map<NodeName, string>()
  readonly #latencies = new Map<string, Quantiles>()
  #linkRules: LinkRule[] = []
  #messageRules: MessageRule[] = []
  #generation = 1
  #active = false
  #nextConnection = 1

  constructor(engine: Engine, options: NetworkOptions = {}) {
    this.engine = engine
    this.#options = options
    if (options.bytesPerSecond !== undefined) this.bandwidth(options.bytesPerSecond)
  }

  get active(): boolean {
    return this.#active
  }

  get linkRules(): readonly LinkRule[] {
    return this.#linkRules
  }

  get generation(): number {
    return this.#generation
  }

  // ── hosts and links ───────────────────────────────────────────────────────────────────────────────────────────────

  addHost(name: NodeName, rack: string | undefined, principal: string): Host {
    assert(!this.#hosts.has(name), 'network: host exists', { name })
    const host = new Host(name, principal)
    this.#hosts.set(name, host)
    if (rack !== undefined) this.#racks.set(name, rack)
    return host
  }

  /** The latency table of one direction from now on, in microseconds. */
  setLatency(from: NodeName, to: NodeName, latencyMicros: Quantiles): void {
    this.#latencies.set(`${from}->${to}`, latencyMicros)
    const link = this.#hosts.get(from)?.links.get(to)
    if (link !== undefined) link.latencyMicros = latencyMicros
  }

  #link(from: Host, to: NodeName): Link {
    const known = from.links.get(to)
    if (known !== undefined) return known
    const label = `net/${from.name}->${to}`
    const link = new Link(from.name, to, this.#latencyOf(from.name, to), this.engine.random.fork(label), this)
    from.links.set(to, link)
    return link
  }

  #latencyOf(from: NodeName, to: NodeName): Quantiles {
    const own = this.#latencies.get(`${from}->${to}`)
    if (own !== undefined) return own
    if (from === to) return LOOPBACK_MICROS
    const within = this.#options.latencyMicros ?? DATA_CENTRE_MICROS
    return this.#racks.get(from) === this.#racks.get(to) ? within : (this.#options.rackLatencyMicros ?? within)
  }

  // ── connections ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** A process starts to connect. */
  connect(from: Host, process: Process, to: NodeName, handler: ConnectionHandler): Connection {
    const id = this.#nextConnection++
    const endpoint = new Endpoint(id, to, from, process, handler)
    const trace = this.engine.trace
    const before = trace.cause
    trace.cause = trace.emit(from.name, 'net.connect', { connection: id, to })
    const target = this.#hosts.get(to)
    if (target === undefined) {
      // A name that resolves to nothing fails as fast as a refusal does.
      this.engine.schedule(this.engine.now + this.#link(from, to).latency(), refuse, endpoint)
    } else {
      const there = this.#link(from, to)
      new Handshake(this, endpoint, target, there, this.#link(target, from.name)).sendSyn()
    }
    trace.cause = before
    return endpoint
  }

  /** The process on this host ended; its kernel closes, resets or (off) forgets its sockets. */
  processEnded(host: Host, process: Process, how: 'kill' | 'halt' | 'stop' | 'power-loss'): void {
    if (host.listener?.process === process) host.listener = undefined
    for (const endpoint of host.endpoints) {
      if (endpoint.process !== process || endpoint.dead) continue
      if (how === 'stop' && endpoint.phase === 'established') endpoint.close()
      else endpoint.abort(how !== 'power-loss')
    }
  }

  /** The host goes off: silence, also from sockets that only had to deliver what was sent. */
  powerOff(host: Host): void {
    host.powered = false
    for (const endpoint of host.endpoints) endpoint.abort(false)
  }

  // ── rules ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Nodes of different groups can't reach each other. */
  partition(groups: readonly Iterable<NodeName>[]): FaultHandle {
    return this.#addLinkRule({ kind: 'partition', groups: groups.map((group) => new Set(group)) })
  }

  /** These nodes reach each other and nobody else. */
  isolate(nodes: Iterable<NodeName>): FaultHandle {
    return this.#addLinkRule({ kind: 'isolate', nodes: new Set(nodes) })
  }

  /** Nothing gets from the first to the second; the way back is open. */
  oneWay(from: Iterable<NodeName> | 'all', to: Iterable<NodeName> | 'all'): FaultHandle {
    return this.#addLinkRule({ kind: 'one-way', from: nodeSet(from), to: nodeSet(to) })
  }

  /** Every segment takes longer: by `fixedMicros`, and by a draw from `extraMicros` (one way). */
  latency(delay: { fixedMicros?: Micros; extraMicros?: Quantiles }, between: Between = {}): FaultHandle {
    const { fixedMicros = 0, extraMicros = [] } = delay
    return this.#addLinkRule({ kind: 'latency', ...sets(between), fixedMicros, extraMicros })
  }

  /** Every segment is lost with this probability: a delay, as TCP sends it again. */
  loss(probability: number, between: Between = {}): FaultHandle {
    assert(probability >= 0 && probability <= 1, 'loss: probability', { probability })
    return this.#addLinkRule({ kind: 'loss', ...sets(between), probability })
  }

  bandwidth(bytesPerSecond: number, between: Between = {}): FaultHandle {
    assert(bytesPerSecond > 0, 'bandwidth: bytesPerSecond', { bytesPerSecond })
    return this.#addLinkRule({ kind: 'bandwidth', ...sets(between), bytesPerSecond })
  }

  /** Connections open and take data, but deliver nothing until the rule ends. */
  stall(between: Between = {}): FaultHandle {
    return this.#addLinkRule({ kind: 'stall', ...sets(between) })
  }

  /** Ends all connections between the two sets at once, on both sides. Returns how many. */
  reset(some: Iterable<NodeName> | 'all', others: Iterable<NodeName> | 'all'): number {
    const left = nodeSet(some)
    const right = nodeSet(others)
    const resets = new Set<number>()
    for (const host of this.#hosts.values()) {
      for (const endpoint of host.endpoints) {
        if (endpoint.dead) continue
        const there = holds(left, host.name) && holds(right, endpoint.peer)
        const back = holds(left, endpoint.peer) && holds(right, host.name)
        if (there || back) this.engine.schedule(this.engine.now, resetNow, endpoint)
        else continue
        resets.add(endpoint.id)
      }
    }
    return resets.size
  }

  /** Takes matching messages, and all data behind them on their connections, away for good: whoever waits will time out. */
  dropMessages(match: MessageMatch, limit: MessageLimit = {}): MessageFaultHandle {
    return this.#addMessageRule({ match, action: 'drop', left: limit.times ?? Infinity })
  }

  /** Holds matching messages, and all behind them on their connections. */
  delayMessages(match: MessageMatch, delayMicros: Micros, limit: MessageLimit = {}): MessageFaultHandle {
    assert(delayMicros >= 0, 'delayMessages: delay', { delayMicros })
    return this.#addMessageRule({ match, action: { delayMicros }, left: limit.times ?? Infinity })
  }

  judge(frame: Frame, from: NodeName, to: NodeName): 'pass' | 'drop' | Micros {
    let delay = 0
    let delayed = false
    for (const rule of this.#messageRules) {
      if (rule.left <= 0 || !rule.match(frame, from, to)) continue
      rule.left--
      if (rule.action === 'drop') return 'drop'
      delay += rule.action.delayMicros
      delayed = true
    }
    return delayed ? delay : 'pass'
  }

  #addLinkRule(rule: LinkRule): FaultHandle {
    this.#linkRules = [...this.#linkRules, rule]
    this.#rulesChanged()
    return {
      remove: () => {
        if (!this.#linkRules.includes(rule)) return
        this.#linkRules = this.#linkRules.filter((other) => other !== rule)
        this.#rulesChanged()
        // The end of a stall opens the window; all else waits for a retransmission.
        if (rule.kind === 'stall') this.#endStalls()
      },
    }
  }

  #endStalls(): void {
    // Those that another rule still stalls come back into the set, and must not be looked at again.
    const waiting = Array.from(this.stalled)
    for (const stream of waiting) stream.resume()
  }

  #addMessageRule(rule: MessageRule): MessageFaultHandle {
    const limit = rule.left
    let matches = 0
    const counted: MessageRule = {
      action: rule.action,
      left: limit,
      match: (frame, from, to) => {
        const matched = rule.match(frame, from, to)
        if (matched) matches++
        return matched
      },
    }
    this.#messageRules = [...this.#messageRules, counted]
    this.#rulesChanged()
    return {
      get matches() {
        return matches
      },
      remove: () => {
        this.#messageRules = this.#messageRules.filter((other) => other !== counted)
        this.#rulesChanged()
      },
    }
  }

  #rulesChanged(): void {
    this.#generation++
    this.#active = this.#linkRules.length > 0 || this.#messageRules.length > 0
  }

  // ── inspection ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Every socket, by host in order of joining, then by age. */
  connections(): ConnectionView[] {
    const views: ConnectionView[] = []
    for (const host of this.#hosts.values()) {
      for (const endpoint of host.endpoints) {
        views.push({
          id: endpoint.id,
          node: host.name,
          peer: endpoint.peer,
          initiator: endpoint.initiator,
          state: endpoint.phase === 'over' ? 'closing' : endpoint.phase,
          unsent: endpoint.unsent,
          held: endpoint.held,
        })
      }
    }
    return views
  }
}

function sets(between: Between): { from: NodeSet; to: NodeSet } {
  return { from: nodeSet(between.from ?? 'all'), to: nodeSet(between.to ?? 'all') }
}

function nodeSet(nodes: Iterable<NodeName> | 'all'): NodeSet {
  return nodes === 'all' ? 'all' : new Set(nodes)
}

function refuse(endpoint: Endpoint): void {
  if (!endpoint.dead) endpoint.end('refused')
}

function resetNow(endpoint: Endpoint): void {
  endpoint.resetArrived()
}
