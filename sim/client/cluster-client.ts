/**
 * Whom a client talks to, and when: the part of Kafka's NetworkClient that decides (leastLoadedNode, isReady, discovery of API
 * versions), over wire's RequestClient, which connects and backs off.
 *
 *     disconnected ── connect ──► connecting ── open ──► checking ── ApiVersions answered ──► ready
 *          ▲                          │                     │                                    │
 *          └── refused, reset, timed out, closed ◄──────────┴────────────────────────────────────┘
 *
 * - A lost connection asks for new metadata. While an update is due and none is on its way no node counts as ready, so that
 *   metadata goes first.
 * - A request goes to a ready node only (`send`), or waits until the node is (`sendWhenReady`). So what was never sent is
 *   known not to have been written.
 * - Nodes are told apart by their host: a bootstrap server and the broker it turns out to be share a connection.
 *
 * `onWake` is called after everything that may let its owner go on: an answer, a loss, a connection. Times are wall-clock
 * milliseconds; nothing here sets a timer.
 */

import type { Env } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import type { NodeName } from '../kernel/names.js'
import type { Millis } from '../kernel/units.js'
import type { ApiName, Apis } from '../wire/apis.js'
import { Errors } from '../wire/errors.js'
import type { WireMode } from '../wire/frame.js'
import { RequestClient, type RpcResult, type SendOptions } from '../wire/request-client.js'
import type { ConnectionConfig } from './connection-config.js'
import type { ClusterNode } from './metadata-snapshot.js'

/** Nothing to wait for: an event will tell. */
export const NEVER = Infinity

type NodeState = 'disconnected' | 'connecting' | 'checking' | 'ready'

interface NodeConnection {
  state: NodeState
  lastAttemptMs: Millis
  /** Requests that wait for the connection. */
  waiting: WaitingRequest[]
}

interface WaitingRequest {
  send(): void
  fail(): void
}

/** Where the nodes come from, and what a loss means for them. */
export interface MetadataSource {
  readonly nodes: readonly ClusterNode[]
  /** An update is due and none is on its way. */
  isUpdateDue(nowMs: Millis): boolean
  /** A connection was lost, which may mean that metadata is out of date. */
  connectionLost(nowMs: Millis): void
}

export interface ClusterClientOptions {
  /** Unanswered requests per node; a node with more is not ready. */
  readonly maxInFlight: number
  readonly onWake: () => void
  readonly wire?: WireMode
}

/** Features that the cluster has finalised, by the newest answer to ApiVersions (Kafka's ApiVersions). */
export interface FinalizedFeatures {
  /** Metadata offset of the answer; -1 before any. */
  readonly epoch: number
  readonly levels: Apis['ApiVersions']['response']['finalizedFeatures']
}

export class ClusterClient {
  readonly #env: Env
  readonly #requests: RequestClient
  readonly #metadata: MetadataSource
  readonly #nodes = new Map<NodeName, NodeConnection>()
  readonly #maxInFlight: number
  readonly #onWake: () => void
  #features: FinalizedFeatures = { epoch: -1, levels: [] }
  #inFlight = 0
  #closed = false

  constructor(env: Env, config: ConnectionConfig, metadata: MetadataSource, options: ClusterClientOptions) {
    this.#env = env
    this.#metadata = metadata
    this.#maxInFlight = options.maxInFlight
    this.#onWake = options.onWake
    this.#requests = new RequestClient(env, {
      clientId: config['client.id'] === '' ? env.node : config['client.id'],
      requestTimeoutMs: config['request.timeout.ms'],
      reconnectBackoffMs: config['reconnect.backoff.ms'],
      reconnectBackoffMaxMs: config['reconnect.backoff.max.ms'],
      connectionSetupTimeoutMs: config['socket.connection.setup.timeout.ms'],
      connectionSetupTimeoutMaxMs: config['socket.connection.setup.timeout.max.ms'],
      onConnection: (host, state) => (state === 'ready' ? this.#opened(host) : this.#ended(host)),
      ...(options.wire === undefined ? {} : { wire: options.wire }),
    })
  }

  /** Requests without an answer, to anybody. */
  get inFlight(): number {
    return this.#inFlight
  }

  get features(): FinalizedFeatures {
    return this.#features
  }

  /** True when a request may be sent to the node now. When not, begins to connect where that is allowed. */
  ready(node: ClusterNode, nowMs: Millis): boolean {
    if (this.canSend(node) && !this.#metadata.isUpdateDue(nowMs)) return true
    this.connect(node, nowMs)
    return false
  }

  /** True when a request may go to the node, whatever metadata says. */
  canSend(node: ClusterNode): boolean {
    return this.isReady(node) && this.#requests.inFlight(node.host) < this.#maxInFlight
  }

  isReady(node: ClusterNode): boolean {
    return this.#nodes.get(node.host)?.state === 'ready' && this.#requests.isConnected(node.host)
  }

  isConnecting(node: ClusterNode): boolean {
    const state = this.#nodes.get(node.host)?.state
    return state === 'connecting' || state === 'checking'
  }

  /** Some node of the cluster is being connected to. */
  isAnyConnecting(): boolean {
    return this.#metadata.nodes.some((node) => this.isConnecting(node))
  }

  /** Begins to connect, unless that is under way, done, or too early. */
  connect(node: ClusterNode, nowMs: Millis): void {
    if (this.#closed || !this.#canConnect(node)) return
    const connection = this.#connectionTo(node.host)
    connection.lastAttemptMs = nowMs
    connection.state = 'connecting'
    this.#requests.ready(node.host)
  }

  /** Milliseconds until it is worth looking at the node again. */
  pollDelayMs(node: ClusterNode): Millis {
    return this.#requests.connectionFailed(node.host) ? this.#requests.connectionDelayMs(node.host) : NEVER
  }

  /** The last connection failed and no new one may be tried yet. */
  isUnavailable(node: ClusterNode): boolean {
    return this.#requests.connectionFailed(node.host) && this.#requests.connectionDelayMs(node.host) > 0
  }

  /** Sends to a ready node. `done` comes once, by a later event. */
  send<A extends ApiName>(
    node: ClusterNode,
    api: A,
    body: Apis[A]['request'],
    done: (result: RpcResult<A>) => void,
    options?: SendOptions,
  ): void {
    assert(this.isReady(node), 'cluster client: node is not ready', { node: node.host, api })
    this.#request(node.host, api, body, done, options)
  }

  /** Sends as soon as the node is ready; fails as disconnected when it cannot be reached. */
  sendWhenReady<A extends ApiName>(
    node: ClusterNode,
    api: A,
    body: Apis[A]['request'],
    done: (result: RpcResult<A>) => void,
    options?: SendOptions,
  ): void {
    if (this.isReady(node)) {
      this.#request(node.host, api, body, done, options)
      return
    }
    const request: WaitingRequest = {
      send: () => this.#request(node.host, api, body, done, options),
      fail: () => done({ ok: false, reason: 'disconnected' }),
    }
    this.connect(node, this.#env.clock.wallMs())
    if (this.isConnecting(node)) this.#connectionTo(node.host).waiting.push(request)
    else this.#env.soon(() => this.#failAll([request]))
  }

  /** Drops the connection and everything on it. */
  disconnect(node: ClusterNode): void {
    this.#requests.disconnect(node.host)
  }

  /**
   * The node to ask what anybody can answer: a ready one with the fewest requests in flight, else one being connected to,
   * else the one not tried for longest. `anyReady` tells whether some connection stands.
   */
  leastLoaded(): { node: ClusterNode | undefined; anyReady: boolean } {
    const nodes = this.#metadata.nodes
    let ready: ClusterNode | undefined
    let fewest = Infinity
    let connecting: ClusterNode | undefined
    let connectable: ClusterNode | undefined
    let anyReady = false
    const offset = this.#env.random.int(nodes.length)
    for (let i = 0; i < nodes.length; i++) {
      const node = nodes[(offset + i) % nodes.length] as ClusterNode
      anyReady ||= this.isReady(node)
      if (this.canSend(node)) {
        const inFlight = this.#requests.inFlight(node.host)
        if (inFlight === 0) return { node, anyReady: true }
        if (inFlight < fewest) {
          fewest = inFlight
          ready = node
        }
      } else if (this.isConnecting(node)) {
        connecting = node
      } else if (this.#canConnect(node)) {
        if (connectable === undefined || this.#lastAttemptMs(connectable) > this.#lastAttemptMs(node))
          connectable = node
      }
    }
    return { node: ready ?? connecting ?? connectable, anyReady }
  }

  close(): void {
    this.#closed = true
    this.#requests.close()
  }

  #request<A extends ApiName>(
    host: NodeName,
    api: A,
    body: Apis[A]['request'],
    done: (result: RpcResult<A>) => void,
    options?: SendOptions,
  ): void {
    this.#inFlight++
    this.#requests.send(
      host,
      api,
      body,
      (result) => {
        this.#inFlight--
        // The first failure tells of the loss, so that metadata is asked for before anybody decides to retry.
        if (!result.ok) this.#lost(host)
        done(result)
        if (result.ok) this.#onWake()
      },
      options,
    )
  }

  #opened(host: NodeName): void {
    this.#connectionTo(host).state = 'checking'
    this.#request(host, 'ApiVersions', API_VERSIONS, (result) => {
      if (!result.ok) return
      if (result.response.errorCode !== Errors.NONE) {
        this.#requests.disconnect(host)
        return
      }
      const { finalizedFeaturesEpoch: epoch, finalizedFeatures: levels } = result.response
      if (epoch > this.#features.epoch) this.#features = { epoch, levels }
      const connection = this.#connectionTo(host)
      connection.state = 'ready'
      const waiting = connection.waiting
      connection.waiting = []
      for (const request of waiting) request.send()
    })
  }

  #ended(host: NodeName): void {
    this.#lost(host)
    const connection = this.#connectionTo(host)
    // A request that failed may have begun to connect again already.
    if (connection.state !== 'disconnected') return
    const waiting = connection.waiting
    connection.waiting = []
    this.#failAll(waiting)
  }

  #lost(host: NodeName): void {
    const connection = this.#connectionTo(host)
    if (connection.state === 'disconnected' || !this.#requests.connectionFailed(host)) return
    const nowMs = this.#env.clock.wallMs()
    connection.state = 'disconnected'
    connection.lastAttemptMs = nowMs
    this.#metadata.connectionLost(nowMs)
  }

  #failAll(requests: readonly WaitingRequest[]): void {
    if (this.#closed) return
    for (const request of requests) request.fail()
    this.#onWake()
  }

  #canConnect(node: ClusterNode): boolean {
    const state = this.#nodes.get(node.host)?.state ?? 'disconnected'
    return state === 'disconnected' && this.#requests.connectionDelayMs(node.host) === 0
  }

  #lastAttemptMs(node: ClusterNode): Millis {
    return this.#nodes.get(node.host)?.lastAttemptMs ?? 0
  }

  #connectionTo(host: NodeName): NodeConnection {
    let connection = this.#nodes.get(host)
    if (connection === undefined) {
      connection = { state: 'disconnected', lastAttemptMs: 0, waiting: [] }
      this.#nodes.set(host, connection)
    }
    return connection
  }
}

const API_VERSIONS: Apis['ApiVersions']['request'] = { clientSoftwareName: 'samsa', clientSoftwareVersion: '1' }
