/**
 * The active controller's channel to each broker: a queue, one request at a time, sent until it is answered (`ControllerChannelManager`,
 * `RequestSendThread`).
 *
 * A request that fails (no connection, no answer in `request.timeout.ms`) is sent again after 100 ms, for as long as the broker is registered:
 * nothing overtakes it. A broker that is removed takes its queue with it. Answers go to the callback of their request.
 */

import type { Env, EnvTimer } from '../../kernel/env.js'
import type { NodeName } from '../../kernel/names.js'
import type { Millis, NodeId } from '../../kernel/units.js'
import type { Apis } from '../../wire/apis.js'
import type { RequestClient, RpcResult } from '../../wire/request-client.js'
import type { LiveBroker } from './controller-context.js'

export type ControlApi = 'LeaderAndIsr' | 'StopReplica' | 'UpdateMetadata'

/** How long to wait before a request is sent again. */
const BACKOFF_MS: Millis = 100

interface Item {
  readonly api: ControlApi
  readonly body: never
  readonly done: (response: never) => void
}

export class ControllerChannels {
  readonly #env: Env
  readonly #connect: () => RequestClient
  readonly #channels = new Map<NodeId, Channel>()

  /** `connect` makes a client for one broker. */
  constructor(env: Env, connect: () => RequestClient) {
    this.#env = env
    this.#connect = connect
  }

  startup(brokers: readonly LiveBroker[]): void {
    for (const broker of brokers) this.addBroker(broker)
  }

  addBroker({ id, host }: LiveBroker): void {
    if (!this.#channels.has(id)) this.#channels.set(id, new Channel(this.#env, host, this.#connect()))
  }

  removeBroker(id: NodeId): void {
    this.#channels.get(id)?.close()
    this.#channels.delete(id)
  }

  shutdown(): void {
    for (const channel of this.#channels.values()) channel.close()
    this.#channels.clear()
  }

  /** Queued, or dropped when the broker is not there. `done` comes at most once. */
  send<A extends ControlApi>(
    id: NodeId,
    api: A,
    body: Apis[A]['request'],
    done: (response: Apis[A]['response']) => void,
  ): void {
    this.#channels.get(id)?.send({ api, body: body as never, done })
  }
}

class Channel {
  readonly #env: Env
  readonly #to: NodeName
  readonly #requests: RequestClient
  #queue: Item[] = []
  #isBusy = false
  #isClosed = false
  #backoff: EnvTimer | undefined

  constructor(env: Env, to: NodeName, requests: RequestClient) {
    this.#env = env
    this.#to = to
    this.#requests = requests
  }

  send(item: Item): void {
    this.#queue.push(item)
    this.#pump()
  }

  close(): void {
    this.#isClosed = true
    this.#queue = []
    this.#backoff?.cancel()
    this.#requests.close()
  }

  #pump(): void {
    const item = this.#queue[0]
    if (this.#isBusy || this.#isClosed || item === undefined) return
    this.#isBusy = true
    this.#requests.send(this.#to, item.api, item.body, (result) => this.#complete(item, result))
  }

  #complete(item: Item, result: RpcResult<ControlApi>): void {
    if (this.#isClosed) return
    if (!result.ok) {
      this.#requests.disconnect(this.#to)
      this.#backoff = this.#env.after(BACKOFF_MS, () => {
        this.#isBusy = false
        this.#pump()
      })
      return
    }
    this.#queue.shift()
    this.#isBusy = false
    item.done(result.response as never)
    this.#pump()
  }
}
