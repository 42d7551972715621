/**
 * The raft thread's view of its connections (Kafka's RequestManager): at most one request in flight to a peer, a timeout,
 * a backoff after a failure. It compares wall time and sends nothing itself.
 *
 *   ready → awaiting (sent) → ready (answered, or timed out) · awaiting → backing off (failed) → ready
 *
 * Voters are known by id; bootstrap servers by ids from -2 downwards, apart from the voters even where both are one host.
 * `resetAll` forgets everything with every change of state: later answers to forgotten requests are not expected.
 */

import type { NodeName } from '../kernel/names.js'
import type { Random } from '../kernel/random.js'
import type { Millis } from '../kernel/units.js'

export interface Peer {
  /** A voter's id, or a bootstrap server's: -2, -3, …. */
  readonly id: number
  readonly node: NodeName
}

interface Connection {
  readonly peer: Peer
  state: 'awaiting' | 'backing-off'
  /** When the request was sent, or when it failed. */
  sinceMs: Millis
  correlation: number
}

export class RequestManager {
  /** A peer without an entry is ready. */
  readonly #connections = new Map<number, Connection>()
  readonly #bootstrap: readonly Peer[]
  readonly #retryBackoffMs: Millis
  readonly #requestTimeoutMs: Millis
  readonly #random: Random

  constructor(bootstrap: readonly NodeName[], retryBackoffMs: Millis, requestTimeoutMs: Millis, random: Random) {
    this.#bootstrap = bootstrap.map((node, index) => ({ id: -2 - index, node }))
    this.#retryBackoffMs = retryBackoffMs
    this.#requestTimeoutMs = requestTimeoutMs
    this.#random = random
  }

  /** True while a request to anybody is in flight: there may be one fetch only, or records would come twice. */
  hasAnyInFlight(nowMs: Millis): boolean {
    for (const connection of this.#connections.values()) {
      if (this.#isOver(connection, nowMs)) this.#connections.delete(connection.peer.id)
      else if (connection.state === 'awaiting') return true
    }
    return false
  }

  /** A bootstrap server to ask, from a random one on; undefined while any request is in flight or all back off. */
  readyBootstrap(nowMs: Millis): Peer | undefined {
    if (this.hasAnyInFlight(nowMs)) return undefined
    const start = this.#random.int(this.#bootstrap.length)
    for (let i = 0; i < this.#bootstrap.length; i++) {
      const peer = this.#bootstrap[(start + i) % this.#bootstrap.length] as Peer
      if (this.isReady(peer, nowMs)) return peer
    }
    return undefined
  }

  /** How long until a bootstrap server may be asked (ms). */
  backoffBeforeBootstrap(nowMs: Millis): Millis {
    let backoffMs = this.#retryBackoffMs
    for (const connection of this.#connections.values()) {
      if (this.#isOver(connection, nowMs)) this.#connections.delete(connection.peer.id)
      else if (connection.state === 'awaiting') return connection.sinceMs + this.#requestTimeoutMs - nowMs
      else backoffMs = Math.min(backoffMs, connection.sinceMs + this.#retryBackoffMs - nowMs)
    }
    return this.#bootstrap.some((peer) => this.isReady(peer, nowMs)) ? 0 : backoffMs
  }

  hasTimedOut(peer: Peer, nowMs: Millis): boolean {
    const connection = this.#connections.get(peer.id)
    return connection !== undefined && connection.state === 'awaiting' && this.#isOver(connection, nowMs)
  }

  isReady(peer: Peer, nowMs: Millis): boolean {
    const connection = this.#connections.get(peer.id)
    if (connection === undefined) return true
    if (!this.#isOver(connection, nowMs)) return false
    this.#connections.delete(peer.id)
    return true
  }

  isBackingOff(peer: Peer, nowMs: Millis): boolean {
    const connection = this.#connections.get(peer.id)
    return connection !== undefined && connection.state === 'backing-off' && !this.#isOver(connection, nowMs)
  }

  remainingBackoffMs(peer: Peer, nowMs: Millis): Millis {
    const connection = this.#connections.get(peer.id)
    if (connection === undefined || !this.isBackingOff(peer, nowMs)) return 0
    return connection.sinceMs + this.#retryBackoffMs - nowMs
  }

  remainingRequestMs(peer: Peer, nowMs: Millis): Millis {
    const connection = this.#connections.get(peer.id)
    if (connection === undefined || connection.state !== 'awaiting' || this.#isOver(connection, nowMs)) return 0
    return connection.sinceMs + this.#requestTimeoutMs - nowMs
  }

  isExpected(peer: Peer, correlation: number): boolean {
    const connection = this.#connections.get(peer.id)
    return connection !== undefined && connection.state === 'awaiting' && connection.correlation === correlation
  }

  /** The answer was handled: the peer is ready again, or backs off. */
  onResult(peer: Peer, correlation: number, success: boolean, nowMs: Millis): void {
    if (!this.isExpected(peer, correlation)) return
    if (success) this.#connections.delete(peer.id)
    else this.#connections.set(peer.id, { peer, state: 'backing-off', sinceMs: nowMs, correlation: -1 })
  }

  onSent(peer: Peer, correlation: number, nowMs: Millis): void {
    this.#connections.set(peer.id, { peer, state: 'awaiting', sinceMs: nowMs, correlation })
  }

  reset(peer: Peer): void {
    this.#connections.delete(peer.id)
  }

  resetAll(): void {
    this.#connections.clear()
  }

  #isOver(connection: Connection, nowMs: Millis): boolean {
    const limitMs = connection.state === 'awaiting' ? this.#requestTimeoutMs : this.#retryBackoffMs
    return nowMs >= connection.sinceMs + limitMs
  }
}
