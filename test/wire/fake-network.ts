/**
 * A small network for tests of the request layer: every frame takes `latencyMs`, a silent node swallows what it is sent, a
 * dead one refuses or resets. Runs on the real engine and trace, so that hashes mean something.
 */

import { Engine } from '../../sim/kernel/engine.js'
import { ANONYMOUS } from '../../sim/kernel/env.js'
import type { CloseReason, Connection, ConnectionHandler, Disk, Env, Frame } from '../../sim/kernel/env.js'
import type { NodeName } from '../../sim/kernel/names.js'
import { millis } from '../../sim/kernel/units.js'

type Accept = (connection: Connection) => ConnectionHandler

export class FakeNetwork {
  readonly engine: Engine
  latencyMs = 1
  /** Nodes that nothing reaches. */
  readonly silent = new Set<NodeName>()
  /** Frames sent, with their size on the wire. */
  readonly frames: { from: NodeName; to: NodeName; size: number; bytes: boolean }[] = []
  /** When each connect began, in ms, by `from->to`. */
  readonly connects: { at: number; to: NodeName }[] = []
  readonly #listeners = new Map<NodeName, Accept>()
  readonly #ends: End[] = []
  #nextConnection = 1

  constructor(seed = 'test') {
    this.engine = new Engine(seed)
  }

  get nowMs(): number {
    return this.engine.now / 1000
  }

  env(node: NodeName): Env {
    const engine = this.engine
    const later = (ms: number, fire: () => void) => {
      const timer = engine.schedule(engine.now + millis(ms), fire, undefined)
      return { cancel: () => engine.cancel(timer) }
    }
    return {
      node,
      clock: {
        wallMs: () => Math.floor(this.nowMs),
        monotonicMs: () => Math.floor(this.nowMs),
      },
      random: engine.random.fork(node),
      disk: undefined as unknown as Disk,
      network: {
        listen: (accept) => void this.#listeners.set(node, accept),
        connect: (to, handler) => this.#connect(node, to, handler),
      },
      after: later,
      atWall: later,
      soon: (fire) => void later(0, fire),
      emit: (type, data) => engine.trace.emit(node, type, data),
      watched: (type) => engine.trace.watched(type),
      halt: () => undefined,
    }
  }

  /** Runs for `ms` of virtual time. */
  run(ms: number): void {
    this.engine.run(this.engine.now + millis(ms))
  }

  /** The node's process dies: it refuses from now on, and its connections reset. */
  kill(node: NodeName): void {
    this.#listeners.delete(node)
    for (const end of this.#ends) if (end.node === node) end.finish('reset')
  }

  deliver(from: NodeName, to: NodeName, fire: () => void): void {
    if (this.silent.has(from) || this.silent.has(to)) return
    this.engine.schedule(this.engine.now + millis(this.latencyMs), fire, undefined)
  }

  #connect(from: NodeName, to: NodeName, handler: ConnectionHandler): Connection {
    const id = this.#nextConnection++
    this.connects.push({ at: this.nowMs, to })
    const near = new End(this, id, from, to)
    const far = new End(this, id, to, from)
    near.other = far
    far.other = near
    near.handler = handler
    this.#ends.push(near, far)
    this.deliver(from, to, () => {
      const accept = this.#listeners.get(to)
      if (accept === undefined) {
        this.deliver(to, from, () => near.end('refused'))
        return
      }
      far.handler = accept(far)
      this.deliver(to, from, () => near.open())
    })
    return near
  }
}

class End implements Connection {
  readonly id: number
  readonly node: NodeName
  readonly peer: NodeName
  readonly principal = ANONYMOUS
  other!: End
  handler: ConnectionHandler | undefined
  #network: FakeNetwork
  #opened = false
  #over = false
  #waiting: Frame[] = []

  constructor(network: FakeNetwork, id: number, node: NodeName, peer: NodeName) {
    this.#network = network
    this.id = id
    this.node = node
    this.peer = peer
  }

  open(): void {
    if (this.#over) return
    this.#opened = true
    for (const frame of this.#waiting.splice(0)) this.send(frame)
    this.handler?.onOpen?.()
  }

  send(frame: Frame): void {
    if (this.#over) return
    if (this.other.handler === undefined && !this.#opened) {
      this.#waiting.push(frame)
      return
    }
    this.#network.frames.push({
      from: this.node,
      to: this.peer,
      size: frame.byteSize(),
      bytes: frame.body instanceof Uint8Array,
    })
    this.#network.deliver(this.node, this.peer, () => {
      if (!this.other.#over) this.other.handler?.onFrame(frame)
    })
  }

  close(): void {
    this.finish('closed')
  }

  /** This side is over; the other learns why. */
  finish(reason: CloseReason): void {
    if (this.#over) return
    this.#over = true
    this.#network.deliver(this.node, this.peer, () => this.other.end(reason))
  }

  end(reason: CloseReason): void {
    if (this.#over) return
    this.#over = true
    this.handler?.onClose(reason)
  }
}
