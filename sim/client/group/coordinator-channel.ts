/**
 * A client's way to its group's coordinator: who it is, and a connection of its own to it (AbstractCoordinator, CoordinatorRequestManager).
 *
 *     unknown ── FindCoordinator answered ──► known ── NOT_COORDINATOR and its kin, connection lost, session over ──► unknown
 *
 * Any broker is asked over the connections that all else uses; what is meant for the coordinator has one to itself, for there a JoinGroup keeps
 * everything behind it waiting.
 */

import type { Env } from '../../kernel/env.js'
import type { ApiName, Apis } from '../../wire/apis.js'
import { Errors, type ErrorCode } from '../../wire/errors.js'
import type { RpcResult, SendOptions } from '../../wire/request-client.js'
import { ClusterClient, type ClusterClientOptions } from '../cluster-client.js'
import type { ConnectionConfig } from '../connection-config.js'
import type { ClusterNode } from '../metadata-snapshot.js'
import type { MetadataUpdater } from '../metadata-updater.js'

const GROUP_COORDINATOR = 0
/** As Kafka's: what counts is that they are retried. */
const MAX_IN_FLIGHT = 100

export interface CoordinatorChannelOptions extends Pick<ClusterClientOptions, 'onWake' | 'wire'> {
  readonly groupId: string
  /** For what any broker can answer. */
  readonly cluster: ClusterClient
  readonly updater: MetadataUpdater
}

export class CoordinatorChannel {
  readonly #env: Env
  readonly #groupId: string
  readonly #cluster: ClusterClient
  readonly #connection: ClusterClient
  #node: ClusterNode | undefined
  /** Called when a coordinator was found, and when it is known no more. */
  onChange: () => void = () => undefined

  constructor(env: Env, config: ConnectionConfig, options: CoordinatorChannelOptions) {
    this.#env = env
    this.#groupId = options.groupId
    this.#cluster = options.cluster
    const { updater, wire } = options
    const source = {
      nodes: [],
      isUpdateDue: () => false,
      connectionLost: (nowMs: number) => updater.connectionLost(nowMs),
    }
    this.#connection = new ClusterClient(env, config, source, {
      maxInFlight: MAX_IN_FLIGHT,
      onWake: options.onWake,
      ...(wire !== undefined && { wire }),
    })
  }

  /** The coordinator; a lost connection makes it unknown. */
  get node(): ClusterNode | undefined {
    if (this.#node !== undefined && this.#connection.isUnavailable(this.#node)) this.forget()
    return this.#node
  }

  get isKnown(): boolean {
    return this.node !== undefined
  }

  /** Requests to the coordinator without an answer. */
  get inFlight(): number {
    return this.#connection.inFlight
  }

  /** Asks a broker; false when none can be asked. `done` comes once, with no error when the coordinator is known now. */
  find(done: (error: ErrorCode) => void): boolean {
    const { node } = this.#cluster.leastLoaded()
    if (node === undefined) return false
    const key = this.#groupId
    const body = { key: '', keyType: GROUP_COORDINATOR, coordinatorKeys: [key] }
    this.#cluster.sendWhenReady(node, 'FindCoordinator', body, (result) => {
      const found = result.ok ? result.response.coordinators.find((each) => each.key === key) : undefined
      if (found === undefined) return done(result.ok ? Errors.UNKNOWN_SERVER_ERROR : Errors.NETWORK_EXCEPTION)
      if (found.errorCode !== Errors.NONE) return done(found.errorCode)
      this.#node = { id: found.nodeId, host: found.host }
      this.#connection.connect(this.#node, this.#env.clock.wallMs())
      this.onChange()
      done(Errors.NONE)
    })
    return true
  }

  /** Somebody else may be the coordinator; what waits for an answer there fails, when the connection is closed. */
  forget(closeConnection = false): void {
    const node = this.#node
    if (node === undefined) return
    this.#node = undefined
    this.onChange()
    if (closeConnection) this.#env.soon(() => this.#connection.disconnect(node))
  }

  /** Sends to the coordinator, which must be known. A lost connection makes it unknown. */
  send<A extends ApiName>(
    api: A,
    body: Apis[A]['request'],
    done: (result: RpcResult<A>) => void,
    options?: SendOptions,
  ): void {
    const node = this.#node
    if (node === undefined) {
      this.#env.soon(() => done({ ok: false, reason: 'disconnected' }))
      return
    }
    this.#connection.sendWhenReady(
      node,
      api,
      body,
      (result) => {
        if (!result.ok && this.#node === node) this.forget()
        done(result)
      },
      options,
    )
  }

  close(): void {
    this.#connection.close()
  }
}
