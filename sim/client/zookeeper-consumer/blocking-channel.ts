/**
 * A connection to one broker that carries one request at a time (`BlockingChannel` as `SimpleConsumer` uses it): made when first needed; what fails is
 * tried once more on a new one, then it is the caller's trouble.
 */

import type { Env } from '../../kernel/env.js'
import type { NodeName } from '../../kernel/names.js'
import type { Millis } from '../../kernel/units.js'
import type { ApiName, Apis } from '../../wire/apis.js'
import type { WireMode } from '../../wire/frame.js'
import { RequestClient, type RpcResult } from '../../wire/request-client.js'
import { wait, type Task } from '../../zookeeper/kafka/task.js'
import { ConsumerTrouble } from './zk-client.js'

export interface ChannelOptions {
  readonly clientId: string
  /** How long a connection may take, and an answer. */
  readonly socketTimeoutMs: Millis
  readonly wire?: WireMode
}

const ATTEMPTS = 2

export class BlockingChannel {
  readonly #host: NodeName
  readonly #requests: RequestClient

  constructor(env: Env, host: NodeName, { clientId, socketTimeoutMs, wire }: ChannelOptions) {
    this.#host = host
    this.#requests = new RequestClient(env, {
      clientId,
      requestTimeoutMs: socketTimeoutMs,
      connectionSetupTimeoutMs: socketTimeoutMs,
      connectionSetupTimeoutMaxMs: socketTimeoutMs,
      // Who waits, and for how long, is the caller's decision.
      reconnectBackoffMs: 0,
      reconnectBackoffMaxMs: 0,
      maxInFlight: 1,
      ...(wire !== undefined && { wire }),
    })
  }

  /** @throws ConsumerTrouble when the broker cannot be reached, or does not answer */
  *request<A extends ApiName>(
    api: A,
    version: number,
    body: Apis[A]['request'],
    attempts = ATTEMPTS,
  ): Task<Apis[A]['response']> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const result = yield* wait<RpcResult<A>>((resume) =>
        this.#requests.send(this.#host, api, body, resume, { version }),
      )
      if (result.ok) return result.response
      this.#requests.disconnect(this.#host)
    }
    throw new ConsumerTrouble(`${api}: no answer of ${this.#host}`)
  }

  close(): void {
    this.#requests.close()
  }
}
