/**
 * Fetches a producer id for an idempotent producer (the InitProducerId part of Kafka's Sender and TransactionManager).
 *
 * The request goes to the least loaded node. While it is under way the producer sends nothing else. A refusal that may pass,
 * a lost connection or a node that cannot be reached is followed by `retry.backoff.ms` and another try, for ever.
 */

import type { Env } from '../kernel/env.js'
import { INT_MAX, type Millis } from '../kernel/units.js'
import { Errors } from '../wire/errors.js'
import type { ClientMetadata } from './client-metadata.js'
import { NEVER, type ClusterClient } from './cluster-client.js'
import type { Idempotence } from './idempotence.js'
import type { ClusterNode } from './metadata-snapshot.js'

type FetchState =
  | { readonly is: 'idle' }
  | { readonly is: 'backing off'; readonly untilMs: Millis }
  | { readonly is: 'connecting'; readonly node: ClusterNode }
  | { readonly is: 'waiting' }

export class IdentityFetcher {
  readonly #env: Env
  readonly #idempotence: Idempotence
  readonly #cluster: ClusterClient
  readonly #metadata: ClientMetadata
  readonly #retryBackoffMs: Millis
  #state: FetchState = { is: 'idle' }

  constructor(
    env: Env,
    idempotence: Idempotence,
    cluster: ClusterClient,
    metadata: ClientMetadata,
    retryBackoffMs: Millis,
  ) {
    this.#env = env
    this.#idempotence = idempotence
    this.#cluster = cluster
    this.#metadata = metadata
    this.#retryBackoffMs = retryBackoffMs
  }

  /** An identity is being fetched. */
  get isBusy(): boolean {
    return this.#state.is !== 'idle'
  }

  /** Goes on as far as it can. Returns when to look again. */
  poll(nowMs: Millis): Millis {
    if (this.#state.is === 'idle') {
      if (!this.#idempotence.prepare()) return NEVER
      this.#state = { is: 'backing off', untilMs: nowMs }
    }
    if (this.#state.is === 'backing off') {
      if (nowMs < this.#state.untilMs) return this.#state.untilMs - nowMs
      const node = this.#cluster.leastLoaded().node
      if (node === undefined) return this.#backOff(nowMs)
      this.#state = { is: 'connecting', node }
    }
    if (this.#state.is === 'connecting') {
      const node = this.#state.node
      if (this.#cluster.ready(node, nowMs)) this.#send(node)
      else if (this.#cluster.isUnavailable(node)) {
        this.#metadata.requestUpdate()
        return this.#backOff(nowMs)
      }
    }
    return NEVER
  }

  #backOff(nowMs: Millis): Millis {
    this.#state = { is: 'backing off', untilMs: nowMs + this.#retryBackoffMs }
    return this.#retryBackoffMs
  }

  #send(node: ClusterNode): void {
    this.#state = { is: 'waiting' }
    const body = {
      transactionalId: null,
      transactionTimeoutMs: INT_MAX,
      producerId: -1,
      producerEpoch: -1,
    }
    this.#cluster.send(node, 'InitProducerId', body, (result) => {
      const answer = result.ok
        ? result.response
        : { errorCode: Errors.NETWORK_EXCEPTION, producerId: -1, producerEpoch: -1 }
      if (this.#idempotence.initialized(answer.errorCode, answer.producerId, answer.producerEpoch))
        this.#state = { is: 'idle' }
      else this.#backOff(this.#env.clock.wallMs())
    })
  }
}
