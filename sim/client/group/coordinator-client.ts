/**
 * A client's way to a coordinator: finds it, talks to it over a connection of its own, and forgets it when it is found to be somewhere else
 * (`AbstractCoordinator`, the parts that look up).
 *
 *     unknown ──lookup──→ finding ──answered──→ known ──NOT_COORDINATOR, connection lost, session without heartbeats──→ unknown
 */

import type { Env } from '../../kernel/env.js'
import type { NodeName } from '../../kernel/names.js'
import type { Millis } from '../../kernel/units.js'
import type { ApiName, Apis } from '../../wire/apis.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import type { WireMode } from '../../wire/frame.js'
import { RequestClient, type RpcResult } from '../../wire/request-client.js'
import type { ConnectionConfig } from '../connection-config.js'

export interface CoordinatorClientOptions {
  /** 0 for a group, 1 for a transactional id. */
  readonly keyType: number
  readonly key: string
  /** Whom to ask. */
  readonly brokers: () => readonly NodeName[]
  readonly onChange: () => void
  /** What asking again will not mend. */
  readonly onFatal: (error: ErrorCode) => void
  readonly wire?: WireMode
}

export class CoordinatorClient {
  readonly #env: Env
  readonly #options: CoordinatorClientOptions
  readonly #requests: RequestClient
  readonly #backoffMs: Millis
  #coordinator: NodeName | undefined
  #isFinding = false
  #isClosed = false

  constructor(env: Env, config: ConnectionConfig, options: CoordinatorClientOptions) {
    this.#env = env
    this.#options = options
    this.#backoffMs = config['retry.backoff.ms']
    this.#requests = new RequestClient(env, {
      clientId: config['client.id'] === '' ? env.node : config['client.id'],
      requestTimeoutMs: config['request.timeout.ms'],
      reconnectBackoffMs: config['reconnect.backoff.ms'],
      reconnectBackoffMaxMs: config['reconnect.backoff.max.ms'],
      connectionSetupTimeoutMs: config['socket.connection.setup.timeout.ms'],
      connectionSetupTimeoutMaxMs: config['socket.connection.setup.timeout.max.ms'],
      ...(options.wire !== undefined && { wire: options.wire }),
    })
  }

  get coordinator(): NodeName | undefined {
    return this.#coordinator
  }

  /** Begins to look for the coordinator, unless it is known or being looked for. */
  find(): void {
    if (this.#coordinator !== undefined || this.#isFinding || this.#isClosed) return
    const brokers = this.#options.brokers()
    if (brokers.length === 0) return
    this.#isFinding = true
    const broker = brokers[this.#env.random.int(brokers.length)] as NodeName
    const { key, keyType } = this.#options
    this.#requests.send(broker, 'FindCoordinator', { key: '', keyType, coordinatorKeys: [key] }, (result) => {
      const found = result.ok ? result.response.coordinators[0] : undefined
      if (found?.errorCode === Errors.NONE) {
        this.#isFinding = false
        this.#coordinator = found.host
        this.#options.onChange()
        return
      }
      const error = found?.errorCode ?? Errors.COORDINATOR_NOT_AVAILABLE
      if (error === Errors.GROUP_AUTHORIZATION_FAILED || error === Errors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED) {
        this.#isFinding = false
        this.#options.onFatal(error)
        return
      }
      this.#env.after(this.#backoffMs, () => {
        this.#isFinding = false
        if (!this.#isClosed) this.find()
      })
    })
  }

  /** Somebody else may be the coordinator. */
  forget(): void {
    this.#coordinator = undefined
    if (!this.#isClosed) this.find()
  }

  /** Sends to the coordinator; fails at once, by a later event, when it is not known. A lost connection makes it unknown. */
  send<A extends ApiName>(
    api: A,
    body: Apis[A]['request'],
    done: (result: RpcResult<A>) => void,
    options: { readonly timeoutMs?: Millis; readonly version?: number } = {},
  ): void {
    const to = this.#coordinator
    if (to === undefined) {
      this.find()
      this.#env.soon(() => done({ ok: false, reason: 'disconnected' }))
      return
    }
    this.#requests.send(
      to,
      api,
      body,
      (result) => {
        if (!result.ok && this.#coordinator === to) this.forget()
        done(result)
      },
      options,
    )
  }

  close(): void {
    this.#isClosed = true
    this.#requests.close()
  }
}
