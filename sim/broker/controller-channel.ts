/**
 * A broker's channel to the active controller (`NodeToControllerChannelManager` and its request thread).
 *
 * Requests go out one at a time, in order, to the controller that the raft client names as leader. The address is kept until the
 * connection fails or an answer says NOT_CONTROLLER; then the request goes back to the head of the queue, the connection is
 * closed, and the leader is looked up again: at once, after the reconnect backoff when it is the same one, and every 100 ms while
 * none is known. A request that has been queued
 * for `retryTimeoutMs` of the wall clock is given up as a timeout, whenever the queue is next looked at. `done` comes
 * exactly once, and never after `shutdown`. A channel with nothing queued schedules nothing.
 */

import type { Env, EnvTimer } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import type { Millis } from '../kernel/units.js'
import type { ApiName, Apis } from '../wire/apis.js'
import { type ErrorCode, Errors } from '../wire/errors.js'
import type { RequestClient, RpcResult } from '../wire/request-client.js'

export type ChannelResult<A extends ApiName> =
  { readonly ok: true; readonly response: Apis[A]['response'] } | { readonly ok: false; readonly reason: 'timeout' }

/** What the parts of a broker need of the channel. */
export interface ControllerSender {
  send<A extends ApiName>(api: A, body: Apis[A]['request'], done: (result: ChannelResult<A>) => void): void
  shutdown(): void
}

export interface ControllerChannelOptions {
  /** How long a request may wait for an answer before it is given up. */
  readonly retryTimeoutMs: Millis
  /** `controller.socket.timeout.ms`; the wait for one answer is the smaller of the two. */
  readonly socketTimeoutMs: Millis
  /** The active controller as the raft client knows it. */
  readonly controller: () => NodeName | undefined
  /** A client of this channel's own. */
  readonly requests: RequestClient
}

/** How often a channel without a controller looks for one. */
const LOOKUP_BACKOFF_MS: Millis = 100

interface QueueItem {
  readonly api: ApiName
  readonly body: never
  readonly createdMs: Millis
  readonly done: (result: ChannelResult<ApiName>) => void
}

export class ControllerChannel implements ControllerSender {
  readonly #env: Env
  readonly #options: ControllerChannelOptions
  readonly #timeoutMs: Millis
  #queue: QueueItem[] = []
  #busy = false
  #closed = false
  #controller: NodeName | undefined
  #lookup: EnvTimer | undefined

  constructor(env: Env, options: ControllerChannelOptions) {
    this.#env = env
    this.#options = options
    this.#timeoutMs = Math.min(options.socketTimeoutMs, options.retryTimeoutMs)
  }

  /** The controller that requests go to now; undefined while none is known. */
  get activeController(): NodeName | undefined {
    return this.#controller
  }

  /** Requests waiting, the one in flight not counted. */
  get queueSize(): number {
    return this.#queue.length
  }

  send<A extends ApiName>(api: A, body: Apis[A]['request'], done: (result: ChannelResult<A>) => void): void {
    if (this.#closed) return
    this.#queue.push({
      api,
      body: body as never,
      createdMs: this.#env.clock.wallMs(),
      done: done as (result: ChannelResult<ApiName>) => void,
    })
    this.#pump()
  }

  shutdown(): void {
    if (this.#closed) return
    this.#closed = true
    this.#queue = []
    this.#lookup?.cancel()
    this.#lookup = undefined
    this.#options.requests.close()
  }

  #pump(): void {
    while (!this.#closed && !this.#busy) {
      const item = this.#queue[0]
      if (item === undefined) return
      if (this.#env.clock.wallMs() - item.createdMs >= this.#options.retryTimeoutMs) {
        this.#queue.shift()
        item.done({ ok: false, reason: 'timeout' })
        continue
      }
      this.#controller ??= this.#options.controller()
      if (this.#controller === undefined) {
        this.#waitToLookUp(LOOKUP_BACKOFF_MS)
        return
      }
      const delayMs = this.#options.requests.connectionDelayMs(this.#controller)
      if (delayMs > 0) {
        this.#controller = undefined
        this.#waitToLookUp(delayMs)
        return
      }
      this.#queue.shift()
      this.#transmit(item, this.#controller)
    }
  }

  #waitToLookUp(delayMs: Millis): void {
    this.#lookup ??= this.#env.after(delayMs, () => {
      this.#lookup = undefined
      this.#pump()
    })
  }

  #transmit(item: QueueItem, controller: NodeName): void {
    this.#busy = true
    const done = (result: RpcResult<ApiName>): void => this.#complete(item, controller, result)
    this.#options.requests.send(controller, item.api, item.body, done, { timeoutMs: this.#timeoutMs })
  }

  #complete(item: QueueItem, controller: NodeName, result: RpcResult<ApiName>): void {
    if (this.#closed) return
    this.#busy = false
    if (!result.ok) {
      this.#controller = undefined
      this.#queue.unshift(item)
    } else if (saysNotController(item.api, result.response)) {
      this.#options.requests.disconnect(controller)
      this.#controller = undefined
      this.#queue.unshift(item)
    } else {
      item.done({ ok: true, response: result.response })
    }
    this.#pump()
  }
}

type Coded = { readonly errorCode: ErrorCode }

/** Whether NOT_CONTROLLER is among the error codes of a controller's answer (Kafka's `errorCounts`). */
function saysNotController(api: ApiName, response: Apis[ApiName]['response']): boolean {
  if ((response as Partial<Coded>).errorCode === Errors.NOT_CONTROLLER) return true
  if (api === 'AlterPartition') {
    const { topics } = response as Apis['AlterPartition']['response']
    return topics.some((topic) => topic.partitions.some((partition) => partition.errorCode === Errors.NOT_CONTROLLER))
  }
  if (api === 'CreateTopics') {
    const { topics } = response as Apis['CreateTopics']['response']
    return topics.some((topic) => topic.errorCode === Errors.NOT_CONTROLLER)
  }
  return false
}
