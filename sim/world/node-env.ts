/**
 * The `Env` of one process: all that a program can see and do.
 *
 * Everything here ends with the process. An event that the program emits becomes the cause of what follows in the same handler, so
 * a walk along causes goes from an event to the one before it in its handler, and from the first of a handler to what led to it.
 * Sends are leaves: the event of a request or a response is the cause of its frame alone, and what the handler does next stays
 * caused by what it was doing.
 */

import { assert } from '../kernel/errors.js'
import type { Engine } from '../kernel/engine.js'
import type { Clock, Connection, ConnectionHandler, Disk, Env, EnvTimer, Network } from '../kernel/env.js'
import type { EventType, Events } from '../kernel/events.js'
import type { NodeName } from '../kernel/names.js'
import type { Random } from '../kernel/random.js'
import type { Millis } from '../kernel/units.js'
import type { HostClock } from './clock.js'
import type { Host } from './connection.js'
import type { SimDisk } from './disk.js'
import { DiskMount } from './disk-mount.js'
import type { SimNetwork } from './network.js'
import type { Process } from './process.js'
import { ProcessTimers } from './timers.js'

/** What a process runs on. */
export interface Machine {
  readonly host: Host
  readonly clock: HostClock
  readonly disk: SimDisk
  readonly network: SimNetwork
}

export class NodeEnv implements Env {
  readonly node: NodeName
  readonly clock: Clock
  readonly random: Random
  readonly network: Network
  readonly disk: Disk
  readonly timers: ProcessTimers
  readonly #engine: Engine
  readonly #process: Process
  readonly #onHalt: (reason: string) => void

  constructor(process: Process, machine: Machine, onHalt: (reason: string) => void) {
    const engine = process.engine
    this.node = process.node
    this.clock = machine.clock
    this.random = engine.random.fork(`node/${process.node}/${process.incarnation}`)
    this.network = new ProcessNetwork(process, machine)
    this.disk = new DiskMount(machine.disk, process)
    this.timers = new ProcessTimers(engine, machine.clock, process)
    this.#engine = engine
    this.#process = process
    this.#onHalt = onHalt
  }

  after(delay: Millis, fire: () => void): EnvTimer {
    return this.timers.after(delay, fire)
  }

  atWall(wallMs: Millis, fire: () => void): EnvTimer {
    return this.timers.atWall(wallMs, fire)
  }

  soon(fire: () => void): void {
    if (this.#process.alive) this.#engine.schedule(this.#engine.now, runSoon, { process: this.#process, fire })
  }

  emit<K extends EventType>(type: K, data: Events[K]): number {
    const process = this.#process
    if (!process.alive) return 0
    const trace = this.#engine.trace
    const seq = trace.emit(this.node, type, data)
    if (type === 'request.send' || type === 'response.send') {
      process.sendCause = seq
      process.sendEvent = this.#engine.fired
    } else trace.cause = seq
    return seq
  }

  watched(type: EventType): boolean {
    return this.#engine.trace.watched(type)
  }

  halt(reason: string): void {
    if (!this.#process.alive) return
    this.#onHalt(reason)
    this.#process.unwind()
  }
}

class ProcessNetwork implements Network {
  readonly #process: Process
  readonly #machine: Machine

  constructor(process: Process, machine: Machine) {
    this.#process = process
    this.#machine = machine
  }

  listen(accept: (connection: Connection) => ConnectionHandler): void {
    if (!this.#process.alive) return
    const host = this.#machine.host
    assert(host.listener === undefined, 'listen: once per process', { node: host.name })
    host.listener = { process: this.#process, accept }
  }

  connect(to: NodeName, handler: ConnectionHandler): Connection {
    assert(this.#process.alive, 'connect: dead process', { to })
    return this.#machine.network.connect(this.#machine.host, this.#process, to, handler)
  }
}

function runSoon(task: { process: Process; fire: () => void }): void {
  task.process.deliver(call, task.fire)
}

function call(fire: () => void): void {
  fire()
}
