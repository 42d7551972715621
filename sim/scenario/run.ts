/**
 * One run: a pure function of scenario and seed.
 *
 * Builds the cluster, waits until it is ready, starts clients and steps, and lets virtual time pass. Oracles and measures read
 * the trace as it comes, so nothing need be kept; `trace: true` keeps every event. Neither changes the run or its hash.
 */

import { principalOf } from '../cluster/acl-text.js'
import { Cluster } from '../cluster/cluster.js'
import { Injector } from '../faults/injector.js'
import type { TargetNames } from '../faults/target.js'
import { Engine } from '../kernel/engine.js'
import type { TraceEvent } from '../kernel/events.js'
import { parsePartition, type NodeName } from '../kernel/names.js'
import type { Micros } from '../kernel/units.js'
import { Oracles } from '../oracle/oracles.js'
import { nodesOfSpec } from './client-nodes.js'
import { Judge } from './judge.js'
import { Measures } from './measures.js'
import { promisesOf } from './promises.js'
import type { RunResult } from './result.js'
import type { Scenario } from './scenario.js'
import { fingerprintOf, formatToken } from './token.js'
import { bootWorkload } from './workload.js'

/** A cluster that takes longer than this to get ready never will. */
const READY_LIMIT: Micros = 120_000_000
/** How often expectations are looked at while time passes. */
const LOOK_EVERY: Micros = 100_000

export interface RunOptions {
  readonly seed: number
  readonly file?: string
  /** Token of this run, when it is not simply that of scenario and seed. */
  readonly token?: string
  /** Keep every event. */
  readonly trace?: boolean
  /** Real milliseconds, for `tookMs`; not seen by the simulation. */
  readonly clock?: () => number
}

/** A run in progress, for those who look on or step through it. */
export class Run {
  readonly scenario: Scenario
  readonly engine: Engine
  readonly cluster: Cluster
  readonly measures: Measures
  readonly names: TargetNames
  readonly events: TraceEvent[] = []
  readyAt: Micros = 0
  readonly #options: RunOptions
  readonly #oracles: Oracles
  readonly #judge: Judge
  readonly #injector: Injector
  #notReady: string | undefined

  constructor(scenario: Scenario, options: RunOptions) {
    this.scenario = scenario
    this.#options = options
    this.engine = new Engine(`samsa/${options.seed}`)
    const { trace } = this.engine
    if (options.trace) trace.watch('all', (event) => this.events.push(event))
    this.#oracles = new Oracles(promisesOf(scenario))
    this.#oracles.attach(trace)
    this.cluster = new Cluster(this.engine, scenario.cluster, scenario.run.wire)
    this.measures = new Measures(trace, this.cluster.view, clientOfNode(scenario))
    this.#judge = new Judge(scenario, this.measures)
    const members = Object.entries(scenario.clients).map(([name, spec]): [string, readonly NodeName[]] => [
      name,
      nodesOfSpec(name, spec),
    ])
    this.names = {
      brokers: this.cluster.brokers,
      controllers: this.cluster.controllers,
      zookeeper: this.cluster.zookeeper,
      clients: members.flatMap(([, nodes]) => nodes),
      groups: [...new Set(Object.values(scenario.clients).flatMap((spec) => ('group' in spec ? [spec.group] : [])))],
      members: new Map(members.filter(([name]) => 'group' in (scenario.clients[name] ?? {}))),
      partitions: this.#judge.partitions,
    }
    this.#injector = new Injector(this.cluster, scenario.steps, this.names)
  }

  /** From power-on to ready. False when the cluster never got there. */
  prepare(): boolean {
    const { engine, cluster, scenario } = this
    engine.trace.emit('scenario', 'run.start', { scenario: scenario.name, seed: String(this.#options.seed) })
    cluster.startAll()
    cluster.admin.prepare(scenario.cluster)
    while (!this.#isReady()) {
      if (engine.now >= READY_LIMIT) {
        this.#notReady = cluster.admin.trouble ?? 'its topics were not led by a full ISR after 120 s'
        return false
      }
      engine.run(engine.now + LOOK_EVERY / 10)
    }
    this.readyAt = engine.now
    engine.trace.emit('scenario', 'run.ready', {})
    this.measures.markReady()
    this.#startClients()
    this.#injector.start()
    return true
  }

  /** Lets time pass up to `time` (absolute), looking at expectations on the way. */
  advance(time: Micros): void {
    while (this.engine.now < time) {
      this.engine.run(Math.min(time, this.engine.now + LOOK_EVERY))
      this.#judge.look(this.engine.now, this.#injector.lastFaultEnd, this.readyAt)
    }
  }

  /** Ends the run and judges it. */
  finish(tookMs: number): RunResult {
    const { engine } = this
    engine.trace.emit('scenario', 'run.end', { reason: 'until' })
    const lastFaultEnd = Math.max(this.#injector.lastFaultEnd, this.readyAt)
    const oracles = this.#oracles.finish({ time: engine.now, lastSequence: engine.trace.sequence, lastFaultEnd })
    this.measures.addOracles(oracles)
    const { verdict, failures } = this.#judge.finish(oracles, engine.now, this.#notReady)
    const { seed, file = '' } = this.#options
    return {
      scenario: this.scenario,
      file,
      seed,
      token: this.#options.token ?? formatToken({ fingerprint: fingerprintOf(this.scenario), seed }),
      verdict,
      failures,
      oracles,
      measures: this.#judge.measured(engine.now),
      hash: engine.trace.hash,
      events: engine.trace.sequence,
      readyAt: this.readyAt,
      endedAt: engine.now,
      tookMs,
      ...(this.#options.trace && { trace: this.events }),
    }
  }

  #isReady(): boolean {
    const { view, admin, brokers } = this.cluster
    // Brokers of ZooKeeper mode read ACLs one after the other, when they are told of them.
    const isMissingAcls = (broker: NodeName): boolean => view.knownAcls(broker) < admin.aclCount
    if (this.scenario.cluster.mode === 'zookeeper' && brokers.some(isMissingAcls)) return false
    return (
      admin.done &&
      this.#judge.partitions.every((partition) => {
        const state = view.partition(partition)
        // Partitions that a later step brings are not there yet.
        if (state === undefined) return !this.#judge.isInitial(partition)
        return state.leader >= 0 && state.isr.length === state.replicas.length
      })
    )
  }

  #startClients(): void {
    const bootstrap = { brokers: this.cluster.brokers.slice(), ensemble: this.cluster.zookeeper }
    for (const [name, spec] of Object.entries(this.scenario.clients)) {
      const partitions = this.#judge.partitions.filter(
        (partition) => 'topic' in spec && parsePartition(partition)?.topic === spec.topic,
      ).length
      for (const node of nodesOfSpec(name, spec)) {
        const boot = bootWorkload(node, spec, bootstrap, partitions, this.scenario.run.wire)
        this.cluster.addClient(node, boot, spec.principal === undefined ? undefined : principalOf(spec.principal))
        this.engine.schedule(this.readyAt + spec.start, (client: string) => this.cluster.start(client), node)
      }
    }
  }
}

/** Node → the client that it is a member of. */
function clientOfNode({ clients }: Scenario): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(clients).flatMap(([name, spec]) =>
      nodesOfSpec(name, spec).map((node): [string, string] => [node, name]),
    ),
  )
}

/** Runs `scenario` with one seed from beginning to end. */
export function runScenario(scenario: Scenario, options: RunOptions): RunResult {
  const clock = options.clock ?? (() => 0)
  const began = clock()
  const run = new Run(scenario, options)
  if (run.prepare()) run.advance(run.readyAt + scenario.run.until)
  return run.finish(clock() - began)
}
