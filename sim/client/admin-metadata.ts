/**
 * What an admin client knows of the cluster: brokers and controller (Kafka's AdminMetadataManager).
 *
 *     quiet ── asked, or too old ──► requested ── backoff over ──► pending ── answered, or failed ──► quiet
 */

import type { NodeName } from '../kernel/names.js'
import type { Millis, NodeId } from '../kernel/units.js'
import type { Apis } from '../wire/apis.js'
import type { MetadataSource } from './cluster-client.js'
import type { ClusterNode } from './metadata-snapshot.js'

export class AdminMetadata implements MetadataSource {
  readonly #bootstrap: readonly ClusterNode[]
  readonly #refreshBackoffMs: Millis
  readonly #maxAgeMs: Millis
  #state: 'quiet' | 'requested' | 'pending' = 'quiet'
  #nodes: readonly ClusterNode[]
  #controller: NodeId = -1
  /** An answer came since the start. */
  #known = false
  #lastUpdateMs: Millis = 0
  #lastAttemptMs: Millis = 0

  constructor(servers: readonly NodeName[], refreshBackoffMs: Millis, maxAgeMs: Millis) {
    this.#bootstrap = servers.map((host, i) => ({ id: -1 - i, host }))
    this.#nodes = this.#bootstrap
    this.#refreshBackoffMs = refreshBackoffMs
    this.#maxAgeMs = maxAgeMs
  }

  get nodes(): readonly ClusterNode[] {
    return this.#nodes
  }

  /** Calls may be given to nodes. */
  get isReady(): boolean {
    return this.#known
  }

  get controller(): ClusterNode | undefined {
    return this.node(this.#controller)
  }

  node(id: NodeId): ClusterNode | undefined {
    return id < 0 ? undefined : this.#nodes.find((node) => node.id === id)
  }

  /** Metadata never stands in the way of other calls here. */
  isUpdateDue(): boolean {
    return false
  }

  connectionLost(): void {
    this.requestUpdate()
  }

  requestUpdate(): void {
    if (this.#state === 'quiet') this.#state = 'requested'
  }

  clearController(): void {
    this.#controller = -1
  }

  /** Milliseconds until metadata should be fetched; Infinity while it is. */
  fetchDelayMs(nowMs: Millis): Millis {
    const backoff = Math.max(0, this.#lastAttemptMs + this.#refreshBackoffMs - nowMs)
    if (this.#state === 'pending') return Infinity
    if (this.#state === 'requested') return backoff
    return Math.max(backoff, this.#lastUpdateMs + this.#maxAgeMs - nowMs, 0)
  }

  fetching(nowMs: Millis): void {
    this.#state = 'pending'
    this.#lastAttemptMs = nowMs
  }

  failed(): void {
    this.#state = 'quiet'
  }

  /** Nobody could be reached: back to the servers that were configured (KIP-899). */
  rebootstrap(): void {
    this.#nodes = this.#bootstrap
    this.#controller = -1
    this.#known = false
  }

  update(response: Apis['Metadata']['response'], nowMs: Millis): void {
    this.#state = 'quiet'
    this.#lastUpdateMs = nowMs
    if (response.brokers.length === 0) return
    this.#known = true
    this.#nodes = response.brokers.map((broker) => ({ id: broker.nodeId, host: broker.host }))
    this.#controller = response.controllerId
  }
}
