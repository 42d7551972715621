/**
 * The opening of a connection, as Linux does it.
 *
 *   SYN ──→ nobody listens: refused, after one round trip
 *       ──→ somebody listens: SYN-ACK ──→ the initiator is open; its last step travels ahead of its data
 *       ──→ silence (partition, loss, host off): again after 1, 2, 4, … s; given up 127 s after the first (`tcp_syn_retries` 6)
 *
 * The kernel of a paused process answers too: its program learns of the connection at resume.
 */

import type { Engine, Timer } from '../kernel/engine.js'
import { seconds, type Micros } from '../kernel/units.js'
import { Endpoint, type Host } from './connection.js'
import type { Link } from './link.js'
import { Stream, type StreamContext } from './stream.js'

export const SYN_RETRY_MICROS: Micros = seconds(1)
/** Linux `tcp_syn_retries`. */
export const SYN_RETRIES = 6

export class Handshake {
  readonly #context: StreamContext
  readonly #engine: Engine
  readonly #initiator: Endpoint
  readonly #target: Host
  readonly #there: Link
  readonly #back: Link
  readonly #startedAt: Micros
  #attempt = 0
  #held = false
  #retry: Timer | undefined

  constructor(context: StreamContext, initiator: Endpoint, target: Host, there: Link, back: Link) {
    this.#context = context
    this.#engine = context.engine
    this.#initiator = initiator
    this.#target = target
    this.#there = there
    this.#back = back
    this.#startedAt = context.engine.now
  }

  sendSyn(): void {
    this.#retry = undefined
    if (this.#initiator.dead) return this.#forget()
    if (this.#attempt > SYN_RETRIES) return this.#initiator.end('timeout')
    this.#attempt++
    this.#leave(this.#there, synArrives)
  }

  synArrived(): void {
    if (this.#initiator.dead) return
    if (!this.#target.powered) return this.#again('unreachable')
    if (this.#there.verdict.blocked) return this.#again('partition')
    const listener = this.#target.listener
    if (listener === undefined) return this.#leave(this.#back, refusalArrives)
    const other = this.#initiator.other
    if (other === undefined || other.process !== listener.process) this.#join(listener.process)
    this.#leave(this.#back, synAckArrives)
  }

  refusalArrived(): void {
    if (this.#initiator.dead) return
    if (this.#back.verdict.blocked) return this.#again('partition')
    this.#initiator.end('refused')
  }

  synAckArrived(): void {
    if (this.#initiator.dead) return this.#forget()
    if (this.#back.verdict.blocked) return this.#again('partition')
    this.#initiator.opened()
  }

  /** The initiator is gone: what the listener's kernel prepared ends, and its program never saw it. */
  #forget(): void {
    const other = this.#initiator.other
    if (other?.phase === 'connecting') other.finish()
  }

  /** The far side of the connection; its program knows nothing of it yet. */
  #join(process: Endpoint['process']): void {
    const initiator = this.#initiator
    const other = new Endpoint(initiator.id, initiator.host.name, this.#target, process, undefined)
    initiator.join(other, new Stream(this.#context, this.#there, this.#back, initiator, other))
    other.join(initiator, new Stream(this.#context, this.#back, this.#there, other, initiator))
  }

  #leave(link: Link, arrive: (handshake: Handshake) => void): void {
    if (link.verdict.blocked) return this.#again('partition')
    if (link.loses()) return this.#again('loss')
    this.#engine.schedule(this.#engine.now + link.latency() + link.extraLatency(), arrive, this)
  }

  /** This attempt comes to nothing: the next one follows at its time. */
  #again(reason: string): void {
    if (this.#retry !== undefined) return
    if (!this.#held) {
      this.#held = true
      this.#engine.trace.emit(this.#initiator.host.name, 'net.held', {
        connection: this.#initiator.id,
        to: this.#target.name,
        reason,
      })
    }
    const at = this.#startedAt + (2 ** this.#attempt - 1) * SYN_RETRY_MICROS
    this.#retry = this.#engine.schedule(Math.max(at, this.#engine.now), sendSyn, this)
  }
}

function sendSyn(handshake: Handshake): void {
  handshake.sendSyn()
}

function synArrives(handshake: Handshake): void {
  handshake.synArrived()
}

function refusalArrives(handshake: Handshake): void {
  handshake.refusalArrived()
}

function synAckArrives(handshake: Handshake): void {
  handshake.synAckArrived()
}
