/**
 * The receiving side of requests: Kafka's `SocketServer`.
 *
 * Each connection has one request at a time: it is muted from the moment a request is handed over until that is answered,
 * so responses leave in the order of requests. What came meanwhile waits and is handed over by an event of its own.
 * Whatever belongs to a dead connection is dropped: waiting requests are not handed over, answers are not sent. Bytes that are no
 * request close their connection.
 */

import { assert } from '../kernel/errors.js'
import type { Connection, ConnectionHandler, Env, Frame } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import { apiOf, type ApiName, type Apis } from './apis.js'
import { errorName } from './errors.js'
import { exchangeId, inMode, openRequest, ResponseFrame, type RequestFrame, type WireMode } from './frame.js'
import { MalformedBytes } from './primitives.js'

export interface IncomingRequestOf<A extends ApiName> {
  readonly api: A
  readonly version: number
  readonly correlationId: number
  readonly clientId: string
  readonly from: NodeName
  /** Whose request it is: of the connection, or, in an envelope, of the client that it is passed on for. */
  readonly principal: string
  readonly connectionId: number
  readonly body: Apis[A]['request']
  /** False once the connection has ended: nobody will read the answer. */
  readonly connected: boolean
  /** Answers, once. Does nothing on a dead connection. */
  respond(body: Apis[A]['response']): void
  /** Done, without an answer: Produce with acks=0. */
  respondNothing(): void
  /** Ends the connection instead of answering: how a broker tells an error where no answer is expected. */
  closeConnection(): void
}

/** A request of any API, discriminated by `api`. */
export type IncomingRequest = { [A in ApiName]: IncomingRequestOf<A> }[ApiName]

export interface RequestServerOptions {
  /** Default `reference`. */
  readonly wire?: WireMode
}

/** Listens for this process and hands requests to `handle`. Once per process. */
export function serve(
  env: Env,
  handle: (request: IncomingRequest) => void,
  options: RequestServerOptions = {},
): RequestServer {
  return new RequestServer(env, handle, options.wire ?? 'reference')
}

export class RequestServer {
  readonly env: Env
  readonly handle: (request: IncomingRequest) => void
  readonly mode: WireMode
  readonly #channels = new Set<Channel>()
  readonly #listeners: ((connectionId: number) => void)[] = []
  #closed = false

  constructor(env: Env, handle: (request: IncomingRequest) => void, mode: WireMode) {
    this.env = env
    this.handle = handle
    this.mode = mode
    env.network.listen((connection) => this.#accept(connection))
  }

  /** Connections open now. */
  get connections(): number {
    return this.#channels.size
  }

  /** Calls `listener` with the id of every connection that ends. */
  onDisconnect(listener: (connectionId: number) => void): void {
    this.#listeners.push(listener)
  }

  /** Closes all connections and accepts none any more. */
  close(): void {
    this.#closed = true
    for (const channel of this.#channels) channel.close()
  }

  /** A channel's connection has ended. */
  ended(channel: Channel): void {
    this.#channels.delete(channel)
    for (const listener of this.#listeners) listener(channel.connection.id)
  }

  #accept(connection: Connection): ConnectionHandler {
    const channel = new Channel(this, connection)
    if (this.#closed) {
      channel.open = false
      connection.close()
    } else {
      this.#channels.add(channel)
    }
    return channel
  }
}

class Channel implements ConnectionHandler {
  readonly connection: Connection
  open = true
  readonly #server: RequestServer
  /** Handed over and not yet answered: the channel is muted. */
  #current: Incoming | undefined
  /** What came while muted, or before an earlier one of these was handed over. */
  #waiting: Frame[] = []

  constructor(server: RequestServer, connection: Connection) {
    this.#server = server
    this.connection = connection
  }

  onFrame(frame: Frame): void {
    if (!this.open) return
    if (this.#current !== undefined || this.#waiting.length > 0) this.#waiting.push(frame)
    else this.#dispatch(frame)
  }

  onClose(): void {
    if (!this.open) return
    this.open = false
    this.#waiting = []
    this.#server.ended(this)
  }

  close(): void {
    if (!this.open) return
    this.connection.close()
    this.onClose()
  }

  answer(request: Incoming, body: unknown): void {
    assert(this.#current === request, 'request server: answered twice', { api: request.api })
    this.#current = undefined
    if (!this.open) return
    const { api, version, correlationId } = request
    const code = apiOf(api).response.firstError(body as never)
    const error = code === 0 ? '' : errorName(code)
    this.#server.env.emit('response.send', {
      id: exchangeId(this.connection.id, correlationId),
      api,
      to: this.connection.peer,
      correlation: correlationId,
      error,
      body,
    })
    this.connection.send(inMode(new ResponseFrame(api, version, correlationId, body, error), this.#server.mode))
    this.#unmute()
  }

  skip(request: Incoming): void {
    assert(this.#current === request, 'request server: answered twice', { api: request.api })
    this.#current = undefined
    if (this.open) this.#unmute()
  }

  #unmute(): void {
    if (this.#waiting.length > 0) this.#server.env.soon(this.#next)
  }

  readonly #next = (): void => {
    if (this.#current !== undefined) return
    const frame = this.#waiting.shift()
    if (frame !== undefined) this.#dispatch(frame)
  }

  #dispatch(frame: Frame): void {
    let request: RequestFrame
    try {
      request = openRequest(frame)
    } catch (error) {
      if (!(error instanceof MalformedBytes)) throw error
      this.close()
      return
    }
    this.#server.env.emit('request.receive', {
      id: exchangeId(this.connection.id, request.correlationId),
      api: request.api,
      version: request.version,
      from: this.connection.peer,
      correlation: request.correlationId,
      body: request.message,
    })
    const incoming = new Incoming(this, request)
    this.#current = incoming
    this.#server.handle(incoming as unknown as IncomingRequest)
  }
}

/** Implements IncomingRequestOf for whatever API the request is of. */
class Incoming {
  readonly #channel: Channel
  readonly #frame: RequestFrame

  constructor(channel: Channel, frame: RequestFrame) {
    this.#channel = channel
    this.#frame = frame
  }

  get api(): ApiName {
    return this.#frame.api
  }

  get version(): number {
    return this.#frame.version
  }

  get correlationId(): number {
    return this.#frame.correlationId
  }

  get clientId(): string {
    return this.#frame.clientId
  }

  get from(): NodeName {
    return this.#channel.connection.peer
  }

  get principal(): string {
    return this.#channel.connection.principal
  }

  get connectionId(): number {
    return this.#channel.connection.id
  }

  get body(): unknown {
    return this.#frame.message
  }

  get connected(): boolean {
    return this.#channel.open
  }

  respond(body: unknown): void {
    this.#channel.answer(this, body)
  }

  respondNothing(): void {
    this.#channel.skip(this)
  }

  closeConnection(): void {
    this.#channel.close()
  }
}
