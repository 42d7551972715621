/**
 * The world: hosts with their processes, clocks and disks, and the network between them. All that can break.
 *
 * Nodes are added with the program that runs on them and driven by operations; each follows the table in process.ts, and answers
 * with an outcome, never an exception. Operations are for the builder and for events of their own: a handler of a node must
 * not call them. A program's exception that is no disk error is a defect of samsa and passes through to whoever runs the engine.
 */

import { assert } from '../kernel/errors.js'
import type { Engine } from '../kernel/engine.js'
import { ANONYMOUS, type Boot, type Disk, type Program } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import type { Millis } from '../kernel/units.js'
import { HostClock } from './clock.js'
import type { Host } from './connection.js'
import { SimDisk, type DiskOptions, type FileView } from './disk.js'
import { DiskMount, NOBODY } from './disk-mount.js'
import { SimNetwork, type ConnectionView, type NetworkOptions } from './network.js'
import { NodeEnv } from './node-env.js'
import {
  DONE,
  NODE_TRANSITIONS,
  Process,
  refused,
  type NodeOperation,
  type NodeState,
  type Outcome,
} from './process.js'

export interface WorldOptions {
  readonly network?: NetworkOptions
  readonly disk?: DiskOptions
}

export interface NodeOptions {
  readonly rack?: string
  /** Who its programs are to the nodes that they connect to; ANONYMOUS by default. */
  readonly principal?: string
  readonly disk?: DiskOptions
}

/** How a process ended. */
export type DownHow = 'kill' | 'power-loss' | 'stop' | 'halt'

/** A snapshot of everything, for the explorer. */
export interface WorldView {
  readonly nodes: readonly NodeView[]
  readonly connections: readonly ConnectionView[]
}

export interface NodeView {
  readonly name: NodeName
  readonly state: NodeState
  readonly incarnation: number
  readonly powered: boolean
  readonly timers: number
  /** Callbacks that wait for resume. */
  readonly waiting: number
  readonly clockOffsetMs: Millis
  readonly driftPartsPerMillion: number
  readonly usedBytes: number
  readonly files: readonly FileView[]
}

export class SimNode {
  readonly name: NodeName
  readonly rack: string | undefined
  readonly host: Host
  readonly clock: HostClock
  readonly disk: SimDisk
  readonly network: SimNetwork
  boot: Boot
  state: NodeState = 'never-started'
  /** Processes started so far; that of the latest one. */
  incarnation = 0
  process: Process | undefined
  env: NodeEnv | undefined
  program: Program | undefined
  /** Where `resume` leads while paused. */
  resumesTo: 'running' | 'stopping' = 'running'

  constructor(
    engine: Engine,
    network: SimNetwork,
    name: NodeName,
    boot: Boot,
    { rack, principal = ANONYMOUS }: NodeOptions,
    disk: DiskOptions,
  ) {
    this.name = name
    this.rack = rack
    this.boot = boot
    this.network = network
    this.host = network.addHost(name, rack, principal)
    this.clock = new HostClock(engine, name)
    this.disk = new SimDisk(engine, name, disk)
  }

  /** The disk for whoever prepares it, outside of any process; call `disk.settle()` when done. */
  mount(): Disk {
    return new DiskMount(this.disk, NOBODY)
  }
}

export class World {
  readonly engine: Engine
  readonly network: SimNetwork
  readonly #diskOptions: DiskOptions
  readonly #nodes = new Map<NodeName, SimNode>()
  readonly #downListeners: ((node: NodeName, how: DownHow) => void)[] = []

  constructor(engine: Engine, options: WorldOptions = {}) {
    this.engine = engine
    this.network = new SimNetwork(engine, options.network)
    this.#diskOptions = options.disk ?? {}
  }

  // ── nodes ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  addNode(name: NodeName, boot: Boot, options: NodeOptions = {}): SimNode {
    assert(!this.#nodes.has(name), 'world: node exists', { name })
    const disk = { ...this.#diskOptions, ...options.disk }
    const node = new SimNode(this.engine, this.network, name, boot, options, disk)
    this.#nodes.set(name, node)
    return node
  }

  has(name: NodeName): boolean {
    return this.#nodes.has(name)
  }

  node(name: NodeName): SimNode {
    const node = this.#nodes.get(name)
    assert(node !== undefined, 'world: no such node', { name })
    return node
  }

  /** All nodes, in order of joining. */
  get nodes(): readonly SimNode[] {
    return [...this.#nodes.values()]
  }

  /** The program of the next start. */
  setBoot(name: NodeName, boot: Boot): void {
    this.node(name).boot = boot
  }

  /** Calls `listener` after a process ended. It may schedule, but not operate nodes at once. */
  onNodeDown(listener: (node: NodeName, how: DownHow) => void): void {
    this.#downListeners.push(listener)
  }

  // ── operations ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Switches the host on if need be and starts a process with nothing but its disk. */
  start(name: NodeName): Outcome {
    return this.#operate(name, 'start', (node) => {
      node.host.powered = true
      const process: Process = new Process(name, ++node.incarnation, this.engine, (error) =>
        this.#end(node, process, 'halt', `disk error: ${error.message}`),
      )
      this.#emitCause(name, 'node.start', { incarnation: node.incarnation })
      const env = new NodeEnv(process, node, (reason) => this.#end(node, process, 'halt', reason))
      node.process = process
      node.env = env
      node.program = undefined
      node.resumesTo = 'running'
      process.deliver((boot: Boot) => void (node.program = boot(env)), node.boot)
    })
  }

  /** SIGKILL: the process is gone, what it wrote is not. */
  kill(name: NodeName, reason = 'kill'): Outcome {
    return this.#operate(name, 'kill', (node) => this.#end(node, node.process as Process, 'kill', reason))
  }

  /** The host goes dark, with its page cache and all that is in flight. `start` switches it on again. */
  powerLoss(name: NodeName, reason = 'power-loss'): Outcome {
    return this.#operate(name, 'power-loss', (node) => {
      if (node.process?.alive === true) this.#end(node, node.process, 'power-loss', reason)
      if (!node.host.powered) return
      this.network.powerOff(node.host)
      node.disk.powerLoss()
    })
  }

  /** SIGSTOP: the kernel goes on, the process does not. */
  pause(name: NodeName): Outcome {
    return this.#operate(name, 'pause', (node, before) => {
      node.resumesTo = before === 'stopping' ? 'stopping' : 'running'
      ;(node.process as Process).pause()
      this.#emitCause(name, 'node.pause', {})
    })
  }

  /** SIGCONT. */
  resume(name: NodeName): Outcome {
    return this.#operate(name, 'resume', (node) => {
      node.state = node.resumesTo
      this.#emitCause(name, 'node.resume', {})
      ;(node.process as Process).resume()
    })
  }

  /** SIGTERM: controlled shutdown; the process ends when the program says so. */
  stop(name: NodeName): Outcome {
    return this.#operate(name, 'stop', (node, before) => {
      if (before === 'paused') {
        if (node.resumesTo === 'stopping') return refused(`${name} is stopping already`)
        node.resumesTo = 'stopping'
      }
      const process = node.process as Process
      this.#emitCause(name, 'node.stopping', {})
      process.deliver((program: Program | undefined) => {
        program?.stop(() => {
          if (process.alive) this.#end(node, process, 'stop', '')
        })
      }, node.program)
      return undefined
    })
  }

  /** Empties the disk of a node that is not running. */
  wipe(name: NodeName): Outcome {
    return this.#operate(name, 'wipe', (node) => {
      this.#emitCause(name, 'node.wiped', { files: node.disk.wipe() })
    })
  }

  #operate(
    name: NodeName,
    operation: NodeOperation,
    act: (node: SimNode, before: NodeState) => Outcome | undefined | void,
  ): Outcome {
    const node = this.#nodes.get(name)
    if (node === undefined) return refused(`there is no node ${name}`)
    const before = node.state
    const next = NODE_TRANSITIONS[before][operation]
    if (next === undefined) return refused(`${name} is ${before}: can't ${operation}`)
    node.state = next
    const trace = this.engine.trace
    const cause = trace.cause
    // What was asked for goes on being the cause of what is asked for next.
    const outcome = act(node, before)
    trace.cause = cause
    return outcome ?? DONE
  }

  #end(node: SimNode, process: Process, how: DownHow, reason: string): void {
    assert(node.process === process && process.alive, 'end: process', { node: node.name, how })
    if (how === 'stop' || how === 'halt') {
      const next = NODE_TRANSITIONS[node.state].end
      assert(next !== undefined, 'end: state', { node: node.name, state: node.state, how })
      node.state = next
    }
    process.end()
    ;(node.env as NodeEnv).timers.end()
    node.program = undefined
    this.#emitCause(node.name, 'node.down', { how, reason })
    this.network.processEnded(node.host, process, how)
    for (const listener of this.#downListeners) listener(node.name, how)
  }

  #emitCause: World['engine']['trace']['emit'] = (node, type, data) => {
    const trace = this.engine.trace
    const seq = trace.emit(node, type, data)
    trace.cause = seq
    return seq
  }

  // ── inspection ────────────────────────────────────────────────────────────────────────────────────────────────────

  describe(): WorldView {
    return {
      nodes: this.nodes.map((node) => ({
        name: node.name,
        state: node.state,
        incarnation: node.incarnation,
        powered: node.host.powered,
        timers: node.env?.timers.pending ?? 0,
        waiting: node.process?.waiting ?? 0,
        clockOffsetMs: node.clock.offsetMs,
        driftPartsPerMillion: node.clock.partsPerMillion,
        usedBytes: node.disk.usedBytes,
        files: node.disk.view(),
      })),
      connections: this.network.connections(),
    }
  }
}
