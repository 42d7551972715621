/**
 * A connection between leader and learner whose other side must not fall silent for longer than a timeout (`SO_TIMEOUT`).
 *
 * `lost` is called once: when the connection ended, or nothing came for that long. After `close` nothing is called any more.
 */

import type { Connection, Env, EnvTimer, Frame } from '../../kernel/env.js'
import type { Millis } from '../../kernel/units.js'
import { ZooKeeperFrame, type QuorumPacket } from '../messages.js'

export interface LinkListener {
  packet(packet: QuorumPacket): void
  lost(reason: string): void
}

export class QuorumLink {
  readonly #env: Env
  readonly #connection: Connection
  readonly #listener: LinkListener
  #timeoutMs: Millis
  #lastHeardMs: Millis
  #timer: EnvTimer | undefined
  #isOpen = true

  constructor(env: Env, connection: Connection, timeoutMs: Millis, listener: LinkListener) {
    this.#env = env
    this.#connection = connection
    this.#listener = listener
    this.#timeoutMs = timeoutMs
    this.#lastHeardMs = env.clock.monotonicMs()
    this.#watch()
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  send(packet: QuorumPacket): void {
    if (this.#isOpen) this.#connection.send(new ZooKeeperFrame(packet))
  }

  received(frame: Frame): void {
    if (!this.#isOpen) return
    this.#lastHeardMs = this.#env.clock.monotonicMs()
    this.#listener.packet(frame.body as QuorumPacket)
  }

  ended(reason: string): void {
    if (!this.#isOpen) return
    this.#end()
    this.#listener.lost(reason)
  }

  /** From now on the other side may be silent for so long. */
  setTimeout(timeoutMs: Millis): void {
    this.#timeoutMs = timeoutMs
    this.#lastHeardMs = this.#env.clock.monotonicMs()
    if (this.#isOpen) this.#watch()
  }

  close(): void {
    if (!this.#isOpen) return
    this.#end()
    this.#connection.close()
  }

  #end(): void {
    this.#isOpen = false
    this.#timer?.cancel()
  }

  #watch(): void {
    this.#timer?.cancel()
    const left = this.#lastHeardMs + this.#timeoutMs - this.#env.clock.monotonicMs()
    this.#timer = this.#env.after(Math.max(left, 1), () => {
      if (this.#env.clock.monotonicMs() - this.#lastHeardMs < this.#timeoutMs) return this.#watch()
      this.close()
      this.#listener.lost('read timed out')
    })
  }
}
