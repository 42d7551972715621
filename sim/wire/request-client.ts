/**
 * The sending side of requests: Kafka's `NetworkClient` (with the queue of `InterBrokerSendThread`) over the node's network.
 *
 * One connection for each destination, made on demand; responses come in the order of requests. Per destination:
 *
 *     disconnected ─ send, once the reconnect backoff is over ─→ connecting ─ open ─→ ready
 *          ↑                                                        │                  │
 *          └──── refused, reset, connection setup timeout ──────────┘                  │
 *          └──── closed, reset, request timeout, disconnect() ─────────────────────────┘
 *
 * - A request given while connecting, or beyond `maxInFlight`, waits. It fails as `disconnected` when the connection fails, or when
 *   its timeout passes before it was sent.
 * - A request given during the reconnect backoff fails as `disconnected` by the next event: whoever asks decides when again.
 * - A request unanswered for its timeout closes the connection. As in Kafka, all that is in flight there fails as `timeout`, for
 *   nobody can tell which of them the other side is stuck on; what was not yet sent fails as `disconnected`.
 * - The backoff doubles with every disconnect in a row, from 50 ms to 1 s, ±20 %; the connection setup timeout doubles with
 *   every failed attempt, from 10 to 30 s, ±20 %. A connection that opens resets both (`ClusterConnectionStates`).
 *
 * `done` is called exactly once, by a later event; never after `close` nor after the death of the process. Not modelled:
 * negotiation of versions on connect, idle connections being closed, throttling, authentication.
 */

import { assert } from '../kernel/errors.js'
import type { Connection, ConnectionHandler, Env, EnvTimer, Frame } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import type { Random } from '../kernel/random.js'
import type { Millis } from '../kernel/units.js'
import { apiOf, type ApiName, type Apis } from './apis.js'
import { errorName } from './errors.js'
import { CORRELATION_LIMIT, exchangeId, inMode, openResponse, RequestFrame, type WireMode } from './frame.js'
import { MalformedBytes } from './primitives.js'

export type { WireMode } from './frame.js'

export interface RequestClientOptions {
  readonly clientId: string
  /** Kafka's request.timeout.ms, unless a request has its own. */
  readonly requestTimeoutMs: Millis
  /** Default 50. */
  readonly reconnectBackoffMs?: Millis
  /** Default 1,000. */
  readonly reconnectBackoffMaxMs?: Millis
  /** Unanswered requests per connection; more wait. Default: no limit. */
  readonly maxInFlight?: number
  /** Default 10,000. */
  readonly connectionSetupTimeoutMs?: Millis
  /** Default 30,000. */
  readonly connectionSetupTimeoutMaxMs?: Millis
  /** Default `reference`. */
  readonly wire?: WireMode
  /** Told when a connection becomes ready, and when it is lost or could not be made (after all that waited on it failed). */
  readonly onConnection?: (to: NodeName, state: 'ready' | 'disconnected') => void
}

export interface SendOptions {
  readonly timeoutMs?: Millis
  /** False where the server answers nothing (Produce with acks=0): done with a response of defaults once it is sent. */
  readonly expectResponse?: boolean
  /** Default: the newest version of the API. */
  readonly version?: number
}

export type RpcFailure = { readonly ok: false; readonly reason: 'disconnected' | 'timeout' }
export type RpcResult<A extends ApiName> = { readonly ok: true; readonly response: Apis[A]['response'] } | RpcFailure

const DISCONNECTED: RpcFailure = { ok: false, reason: 'disconnected' }
const TIMEOUT: RpcFailure = { ok: false, reason: 'timeout' }

const BACKOFF_JITTER = 0.2

/** A request from `send` until `done`. */
interface Pending {
  readonly frame: RequestFrame
  readonly timeoutMs: Millis
  readonly expectResponse: boolean
  readonly done: (result: RpcResult<ApiName>) => void
  /** On the monotonic clock; counts anew from when it is sent. */
  deadline: Millis
}

export class RequestClient {
  readonly env: Env
  readonly options: RequestClientOptions
  /** For jitter; a stream of its own, so that nothing else moves with it. */
  readonly random: Random
  readonly #clientId: string
  readonly #destinations = new Map<NodeName, Destination>()
  #nextCorrelation = 0
  #closed = false

  constructor(env: Env, options: RequestClientOptions) {
    this.env = env
    this.options = options
    this.random = env.random.fork(`requests/${options.clientId}`)
    this.#clientId = options.clientId
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Sends in order per destination. `body` must not change afterwards. */
  send<A extends ApiName>(
    to: NodeName,
    api: A,
    body: Apis[A]['request'],
    done: (result: RpcResult<A>) => void,
    options?: SendOptions,
  ): void {
    if (this.#closed) return
    const correlation = this.#nextCorrelation
    this.#nextCorrelation = correlation + 1 === CORRELATION_LIMIT ? 0 : correlation + 1
    const version = options?.version ?? apiOf(api).maxVersion
    const pending: Pending = {
      frame: new RequestFrame(api, version, correlation, this.#clientId, body),
      timeoutMs: options?.timeoutMs ?? this.options.requestTimeoutMs,
      expectResponse: options?.expectResponse ?? true,
      done: done as (result: RpcResult<ApiName>) => void,
      deadline: 0,
    }
    const destination = this.#destination(to)
    const channel = destination.channel ?? destination.connect()
    if (channel === undefined) this.env.soon(() => this.fail(pending, DISCONNECTED))
    else channel.enqueue(pending)
  }

  /** Requests sent to `to` and not yet answered. */
  inFlight(to: NodeName): number {
    return this.#destinations.get(to)?.channel?.inFlight.length ?? 0
  }

  isConnected(to: NodeName): boolean {
    return this.#destinations.get(to)?.channel?.open === true
  }

  /** True when a request would be sent at once. */
  canSend(to: NodeName): boolean {
    const channel = this.#destinations.get(to)?.channel
    return channel !== undefined && channel.open && channel.inFlight.length < channel.maxInFlight
  }

  /** As `canSend`, but begins to connect where there is no connection and the backoff is over. */
  ready(to: NodeName): boolean {
    if (this.#closed) return false
    const destination = this.#destination(to)
    if (destination.channel === undefined) destination.connect()
    return this.canSend(to)
  }

  /** True when the last connection to `to` failed or was lost, and no new one was begun. */
  connectionFailed(to: NodeName): boolean {
    const destination = this.#destinations.get(to)
    return destination !== undefined && destination.channel === undefined
  }

  /** How long until `ready(to)` may begin to connect; 0 when it may now or is connecting or connected. */
  connectionDelayMs(to: NodeName): Millis {
    const destination = this.#destinations.get(to)
    return destination === undefined || destination.channel !== undefined ? 0 : destination.backoffLeft()
  }

  /** Closes the connection; what is in flight or waiting there fails as `disconnected`, by the next event. */
  disconnect(to: NodeName): void {
    const channel = this.#destinations.get(to)?.channel
    if (channel === undefined) return
    channel.connection.close()
    channel.detach()
    this.env.soon(() => channel.failAll(DISCONNECTED))
  }

  /** Closes all connections. No callback comes any more. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const destination of this.#destinations.values()) {
      const channel = destination.channel
      if (channel === undefined) continue
      channel.connection.close()
      channel.detach()
    }
  }

  /** Gives up a request that was never sent. */
  fail(pending: Pending, failure: RpcFailure): void {
    if (!this.#closed) pending.done(failure)
  }

  #destination(to: NodeName): Destination {
    let destination = this.#destinations.get(to)
    if (destination === undefined) {
      destination = new Destination(this, to)
      this.#destinations.set(to, destination)
    }
    return destination
  }
}

/** What outlives the connections to one node: when the next may be tried. */
class Destination {
  readonly client: RequestClient
  readonly node: NodeName
  /** Undefined while disconnected. */
  channel: Channel | undefined
  #failedAttempts = 0
  #failedConnectAttempts = 0
  #disconnectedAtMs: Millis = -Infinity
  #reconnectBackoffMs: Millis = 0

  constructor(client: RequestClient, node: NodeName) {
    this.client = client
    this.node = node
  }

  /** Begins to connect, unless the backoff forbids it. */
  connect(): Channel | undefined {
    if (this.backoffLeft() > 0) return undefined
    const { env, options } = this.client
    const setupTimeoutMs = this.#exponential(
      options.connectionSetupTimeoutMs ?? 10_000,
      options.connectionSetupTimeoutMaxMs ?? 30_000,
      this.#failedConnectAttempts,
    )
    const channel = new Channel(this, setupTimeoutMs)
    this.channel = channel
    channel.connection = env.network.connect(this.node, channel)
    channel.arm(channel.setupDeadline)
    return channel
  }

  backoffLeft(): Millis {
    const waited = this.client.env.clock.monotonicMs() - this.#disconnectedAtMs
    return Math.max(this.#reconnectBackoffMs - waited, 0)
  }

  opened(): void {
    this.#failedAttempts = 0
    this.#failedConnectAttempts = 0
  }

  disconnected(wasOpen: boolean): void {
    const { env, options } = this.client
    this.channel = undefined
    this.#disconnectedAtMs = env.clock.monotonicMs()
    this.#reconnectBackoffMs = this.#exponential(
      options.reconnectBackoffMs ?? 50,
      options.reconnectBackoffMaxMs ?? 1_000,
      this.#failedAttempts,
    )
    this.#failedAttempts++
    this.#failedConnectAttempts = wasOpen ? 0 : this.#failedConnectAttempts + 1
  }

  /** Kafka's ExponentialBackoff: min(initial · 2^attempts, max), ±20 %, and never above max. */
  #exponential(initial: Millis, max: Millis, attempts: number): Millis {
    if (max <= initial) return Math.min(initial, max)
    let term = initial
    for (let i = 0; i < attempts && term < max; i++) term *= 2
    const factor = 1 - BACKOFF_JITTER + 2 * BACKOFF_JITTER * this.client.random.float()
    return Math.min(Math.floor(Math.min(term, max) * factor), max)
  }
}

/** One connection, from the attempt to its end. */
class Channel implements ConnectionHandler {
  connection!: Connection
  open = false
  readonly inFlight: Pending[] = []
  readonly maxInFlight: number
  /** When connecting has taken too long; Infinity once it is open. */
  setupDeadline: Millis
  readonly #destination: Destination
  readonly #client: RequestClient
  readonly #env: Env
  readonly #mode: WireMode
  #unsent: Pending[] = []
  #detached = false
  /** One timer for the earliest deadline; it may fire for one that was met, and then looks for the next. */
  #timer: EnvTimer | undefined
  #timerAt: Millis = Infinity

  constructor(destination: Destination, setupTimeoutMs: Millis) {
    this.#destination = destination
    this.#client = destination.client
    this.#env = destination.client.env
    this.#mode = destination.client.options.wire ?? 'reference'
    this.maxInFlight = destination.client.options.maxInFlight ?? Infinity
    this.setupDeadline = this.#env.clock.monotonicMs() + setupTimeoutMs
  }

  enqueue(pending: Pending): void {
    if (this.open && this.#unsent.length === 0 && this.inFlight.length < this.maxInFlight) {
      this.#transmit(pending)
      return
    }
    pending.deadline = this.#env.clock.monotonicMs() + pending.timeoutMs
    this.#unsent.push(pending)
    this.arm(pending.deadline)
  }

  onOpen(): void {
    if (this.#detached) return
    this.open = true
    this.setupDeadline = Infinity
    this.#destination.opened()
    this.#flush()
    this.#client.options.onConnection?.(this.#destination.node, 'ready')
  }

  onFrame(frame: Frame): void {
    if (this.#detached) return
    const pending = this.inFlight[0]
    assert(pending !== undefined, 'request client: response to nothing', { from: this.#destination.node })
    const request = pending.frame
    const response = this.#open(frame, request)
    if (response === undefined) return
    assert(response.correlationId === request.correlationId, 'request client: correlation', {
      expected: request.correlationId,
      got: response.correlationId,
    })
    this.inFlight.shift()
    this.#env.emit('response.receive', {
      id: exchangeId(this.connection.id, request.correlationId),
      api: request.api,
      from: this.#destination.node,
      correlation: request.correlationId,
      error: this.#errorOf(request.api, response.error, response.message),
      body: response.message,
    })
    if (this.#unsent.length > 0) this.#flush()
    pending.done({ ok: true, response: response.message as never })
  }

  onClose(): void {
    if (this.#detached) return
    this.detach()
    this.failAll(DISCONNECTED)
  }

  /** Makes sure that something looks at `deadline`. */
  arm(deadline: Millis): void {
    if (deadline >= this.#timerAt || deadline === Infinity) return
    this.#timer?.cancel()
    this.#timerAt = deadline
    this.#timer = this.#env.after(Math.max(deadline - this.#env.clock.monotonicMs(), 0), this.#onTimer)
  }

  /** The destination forgets this connection and begins its backoff. */
  detach(): void {
    this.#detached = true
    this.#timer?.cancel()
    this.#destination.disconnected(this.open)
    this.open = false
  }

  /** Fails everything that was given to this connection. What is in flight takes `failure`, what waited is `disconnected`. */
  failAll(failure: RpcFailure): void {
    const inFlight = this.inFlight.splice(0)
    const unsent = this.#unsent
    this.#unsent = []
    for (const pending of inFlight) {
      if (this.#client.closed) return
      const { api, correlationId } = pending.frame
      this.#env.emit('request.failed', {
        id: exchangeId(this.connection.id, correlationId),
        api,
        to: this.#destination.node,
        correlation: correlationId,
        reason: failure.reason,
      })
      pending.done(failure)
    }
    for (const pending of unsent) this.#client.fail(pending, DISCONNECTED)
    if (!this.#client.closed) this.#client.options.onConnection?.(this.#destination.node, 'disconnected')
  }

  #flush(): void {
    while (this.#unsent.length > 0 && this.inFlight.length < this.maxInFlight) {
      this.#transmit(this.#unsent.shift() as Pending)
    }
  }

  #transmit(pending: Pending): void {
    const frame = pending.frame
    this.#env.emit('request.send', {
      id: exchangeId(this.connection.id, frame.correlationId),
      api: frame.api,
      version: frame.version,
      to: this.#destination.node,
      correlation: frame.correlationId,
      body: frame.message,
    })
    if (pending.expectResponse) {
      pending.deadline = this.#env.clock.monotonicMs() + pending.timeoutMs
      this.inFlight.push(pending)
      this.arm(pending.deadline)
    } else {
      const response = apiOf(frame.api).response.defaults
      this.#env.soon(() => {
        if (!this.#client.closed) pending.done({ ok: true, response })
      })
    }
    this.connection.send(inMode(frame, this.#mode))
  }

  readonly #onTimer = (): void => {
    if (this.#detached) return
    this.#timer = undefined
    this.#timerAt = Infinity
    const now = this.#env.clock.monotonicMs()
    if (now >= this.setupDeadline || this.inFlight.some((pending) => now >= pending.deadline)) {
      this.connection.close()
      this.detach()
      this.failAll(TIMEOUT)
      return
    }
    this.#failExpired(now)
    if (this.#detached) return
    let next = this.setupDeadline
    for (const pending of this.inFlight) next = Math.min(next, pending.deadline)
    for (const pending of this.#unsent) next = Math.min(next, pending.deadline)
    this.arm(next)
  }

  /** Requests that waited too long to be sent; the connection itself is not to blame. */
  #failExpired(now: Millis): void {
    const expired = this.#unsent.filter((pending) => now >= pending.deadline)
    if (expired.length === 0) return
    this.#unsent = this.#unsent.filter((pending) => now < pending.deadline)
    for (const pending of expired) this.#client.fail(pending, DISCONNECTED)
  }

  /** The response, or undefined when it does not parse: then the connection is given up, as Kafka's client does. */
  #open(frame: Frame, request: RequestFrame): ReturnType<typeof openResponse> | undefined {
    try {
      return openResponse(frame, request.api, request.version)
    } catch (error) {
      if (!(error instanceof MalformedBytes)) throw error
      this.connection.close()
      this.detach()
      this.failAll(DISCONNECTED)
      return undefined
    }
  }

  /** Not hashed here, so worked out only for those who look. */
  #errorOf(api: ApiName, known: string, message: unknown): string {
    if (known !== '' || this.#mode === 'reference' || !this.#env.watched('response.receive')) return known
    const code = apiOf(api).response.firstError(message as never)
    return code === 0 ? '' : errorName(code)
  }
}
