/**
 * One side of a TCP connection, and the host whose kernel keeps it.
 *
 * A side has two lives: the socket in the kernel (`dead` when gone) and what the program knows of it (`phase`). While the process
 * is paused the kernel goes on to open, take data and notice resets; the program learns it in order at resume.
 *
 *   phase        connecting ──(open)──→ established ──(close, or the end is learned)──→ over
 *
 *   end of the process   kill, halt      in flight arrives up to a drawn point, then a reset
 *                        stop            everything sent arrives, then the peer sees `closed`
 *                        power loss      in flight arrives up to a drawn point, then silence
 *
 * A reset is one segment that nobody sends twice: where it can't pass, the peer stays in the belief that the connection is there,
 * until something it sends is answered by another reset.
 */

import type { Engine } from '../kernel/engine.js'
import { assert } from '../kernel/errors.js'
import type { CloseReason, Connection, ConnectionHandler, Frame } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import type { Link } from './link.js'
import type { Process } from './process.js'
import { NO_FRAME, type Segment, type Stream, type StreamEnd } from './stream.js'

/** Whoever accepts connections on a host: a process that listens. */
export interface Listener {
  readonly process: Process
  accept(connection: Connection): ConnectionHandler
}

/** A machine as the network sees it. */
export class Host {
  readonly name: NodeName
  /** Who its programs are to others: what the certificate of the host says. */
  readonly principal: string
  /** Off: it answers nothing. */
  powered = true
  listener: Listener | undefined
  /** Sockets that the kernel keeps, those that only have to deliver what was sent included. */
  readonly endpoints = new Set<Endpoint>()
  readonly links = new Map<NodeName, Link>()

  constructor(name: NodeName, principal: string) {
    this.name = name
    this.principal = principal
  }
}

export type ConnectionPhase = 'connecting' | 'established' | 'over'

interface Early {
  readonly frame: Frame
  readonly cause: number
}

export class Endpoint implements Connection, StreamEnd {
  readonly id: number
  readonly peer: NodeName
  readonly host: Host
  readonly process: Process
  /** This side asked for the connection. */
  readonly initiator: boolean
  dead = false
  #phase: ConnectionPhase = 'connecting'
  #handler: ConnectionHandler | undefined
  #out: Stream | undefined
  #other: Endpoint | undefined
  #early: Early[] | undefined
  readonly #engine: Engine

  constructor(id: number, peer: NodeName, host: Host, process: Process, handler: ConnectionHandler | undefined) {
    this.id = id
    this.peer = peer
    this.host = host
    this.process = process
    this.initiator = handler !== undefined
    this.#handler = handler
    this.#engine = process.engine
    host.endpoints.add(this)
  }

  get principal(): string {
    return this.initiator ? this.host.principal : (this.#other as Endpoint).host.principal
  }

  get phase(): ConnectionPhase {
    return this.#phase
  }

  /** Frames that were sent and have not arrived. */
  get unsent(): number {
    return this.#out === undefined ? 0 : this.#out.inFlight + this.#out.held
  }

  get held(): number {
    return this.#out === undefined ? 0 : this.#out.held
  }

  // ── what the program does ─────────────────────────────────────────────────────────────────────────────────────────

  send(frame: Frame): void {
    if (this.dead) return
    const cause = this.#takeCause()
    if (this.#phase === 'established') (this.#out as Stream).push('data', frame, cause)
    else if (this.#phase === 'connecting') (this.#early ??= []).push({ frame, cause })
  }

  close(): void {
    if (this.#phase === 'over') return
    const established = this.#phase === 'established'
    this.#phase = 'over'
    if (this.dead) return
    this.dead = true
    if (established) (this.#out as Stream).push('fin', NO_FRAME, this.#engine.trace.cause)
    else this.finish()
  }

  /** A request or response was emitted just before: it is the cause of its frame, and of nothing else. */
  #takeCause(): number {
    const process = this.process
    if (process.sendEvent !== this.#engine.fired) return this.#engine.trace.cause
    process.sendEvent = -1
    return process.sendCause
  }

  // ── the handshake ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** The two sides know each other; `out` carries what this one sends. */
  join(other: Endpoint, out: Stream): void {
    this.#other = other
    this.#out = out
  }

  get other(): Endpoint | undefined {
    return this.#other
  }

  /** The answer to the connection request came. */
  opened(): void {
    ;(this.#out as Stream).push('accept', NO_FRAME, this.#engine.trace.cause)
    this.process.deliver(learnOpen, this)
  }

  learnOpen(): void {
    if (this.#phase !== 'connecting') return
    this.#phase = 'established'
    const trace = this.#engine.trace
    trace.cause = trace.emit(this.host.name, 'net.open', { connection: this.id, to: this.peer })
    const early = this.#early
    this.#early = undefined
    if (early !== undefined && !this.dead) {
      for (const { frame, cause } of early) (this.#out as Stream).push('data', frame, cause)
    }
    ;(this.#handler as ConnectionHandler).onOpen?.()
  }

  learnAccept(): void {
    if (this.#phase !== 'connecting') return
    const listener = this.host.listener
    assert(listener?.process === this.process, 'connection: listener', { node: this.host.name })
    this.#phase = 'established'
    this.#handler = listener.accept(this)
  }

  // ── what comes in ─────────────────────────────────────────────────────────────────────────────────────────────────

  arrive(segment: Segment): void {
    switch (segment.kind) {
      case 'data':
        this.process.deliver(learnFrame, segment)
        return
      case 'accept':
        this.process.deliver(learnAccept, this)
        return
      case 'fin':
        this.#other?.finish()
        this.end('closed')
    }
  }

  learnFrame(frame: Frame): void {
    if (this.#phase === 'established') (this.#handler as ConnectionHandler).onFrame(frame)
  }

  resetArrived(): void {
    if (!this.dead) this.end('reset')
    else this.finish()
  }

  gaveUp(): void {
    if (!this.dead) this.end('timeout')
    else this.finish()
  }

  /** The kernel knows that it is over; the program learns it in its turn. */
  end(reason: CloseReason): void {
    this.finish()
    this.process.deliver(learnEnd, { endpoint: this, reason })
  }

  learnEnd(reason: CloseReason): void {
    const heard = this.#handler !== undefined && this.#phase !== 'over'
    this.#phase = 'over'
    if (!heard) return
    const trace = this.#engine.trace
    trace.cause = trace.emit(this.host.name, 'net.close', { connection: this.id, peer: this.peer, reason })
    ;(this.#handler as ConnectionHandler).onClose(reason)
  }

  // ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The kernel forgets this side: nothing more will be sent. */
  finish(): void {
    this.dead = true
    this.#out?.drop()
    this.host.endpoints.delete(this)
  }

  /** The process died, or the host went off with all that it still had to send. */
  abort(answersReset: boolean): void {
    const out = this.#out
    const lingering = this.dead
    this.dead = true
    this.#phase = 'over'
    this.host.endpoints.delete(this)
    if (out === undefined) return
    if (!out.empty) {
      const random = this.#engine.random.fork(`net/cut/${this.id}/${this.host.name}`)
      out.cut(random.int(out.inFlight + 1))
    }
    if (answersReset && !lingering) this.#sendReset(out)
  }

  #sendReset(out: Stream): void {
    const link = this.host.links.get(this.peer) as Link
    if (link.verdict.blocked) return
    const at = Math.max(this.#engine.now + link.latency(), out.lastArrival)
    this.#engine.schedule(at, resetLands, this)
  }

  /** A reset that was sent from here reaches the other host. */
  resetLands(): void {
    const link = this.host.links.get(this.peer) as Link
    const other = this.#other as Endpoint
    if (!link.verdict.blocked && other.host.powered) other.resetArrived()
  }
}

function resetLands(endpoint: Endpoint): void {
  endpoint.resetLands()
}

function learnOpen(endpoint: Endpoint): void {
  endpoint.learnOpen()
}

function learnAccept(endpoint: Endpoint): void {
  endpoint.learnAccept()
}

function learnFrame(segment: Segment): void {
  ;((segment.stream as Stream).to as Endpoint).learnFrame(segment.frame)
}

function learnEnd(ending: { endpoint: Endpoint; reason: CloseReason }): void {
  ending.endpoint.learnEnd(ending.reason)
}
