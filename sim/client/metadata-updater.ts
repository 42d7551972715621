/**
 * Fetches metadata when it is due (DefaultMetadataUpdater of Kafka's NetworkClient).
 *
 * One request at a time, to the least loaded node. While a connection is being made somewhere nobody else is connected to.
 * When no known broker can be reached, or nothing was learned for too long, the bootstrap servers are tried again (KIP-899).
 */

import type { Env } from '../kernel/env.js'
import type { Millis } from '../kernel/units.js'
import type { Apis } from '../wire/apis.js'
import { Errors } from '../wire/errors.js'
import type { ClientMetadata, PreparedRequest } from './client-metadata.js'
import { NEVER, type ClusterClient, type MetadataSource } from './cluster-client.js'
import type { ConnectionConfig } from './connection-config.js'
import type { ClusterNode } from './metadata-snapshot.js'

export class MetadataUpdater implements MetadataSource {
  readonly #env: Env
  readonly #metadata: ClientMetadata
  readonly #reconnectBackoffMs: Millis
  readonly #rebootstraps: boolean
  readonly #rebootstrapTriggerMs: Millis
  #inProgress = false
  /** When the attempts that brought nothing yet began. */
  #attemptStartMs: Millis | undefined

  constructor(env: Env, metadata: ClientMetadata, config: ConnectionConfig) {
    this.#env = env
    this.#metadata = metadata
    this.#reconnectBackoffMs = config['reconnect.backoff.ms']
    this.#rebootstraps = config['metadata.recovery.strategy'] === 'rebootstrap'
    this.#rebootstrapTriggerMs = config['metadata.recovery.rebootstrap.trigger.ms']
  }

  get nodes(): readonly ClusterNode[] {
    return this.#metadata.snapshot.nodeList
  }

  isUpdateDue(nowMs: Millis): boolean {
    return !this.#inProgress && this.#metadata.timeToNextUpdate(nowMs) === 0
  }

  connectionLost(nowMs: Millis): void {
    if (this.isUpdateDue(nowMs)) this.#metadata.failedUpdate(nowMs)
    this.#metadata.requestUpdate()
  }

  /** Sends a request if one is due and can be sent. Returns when to look again; NEVER when an event will tell. */
  maybeUpdate(cluster: ClusterClient, nowMs: Millis): Millis {
    if (this.#inProgress) return NEVER
    const wait = this.#metadata.timeToNextUpdate(nowMs)
    if (wait > 0) return wait
    this.#attemptStartMs ??= nowMs
    const { node: found, anyReady } = cluster.leastLoaded()
    let node = found
    if (this.#shouldRebootstrap(node !== undefined || anyReady, nowMs)) {
      this.#metadata.rebootstrap()
      this.#attemptStartMs = nowMs
      node = cluster.leastLoaded().node
    }
    if (node === undefined) return this.#reconnectBackoffMs
    if (cluster.canSend(node)) {
      this.#send(cluster, node, nowMs)
      return NEVER
    }
    if (cluster.isAnyConnecting()) return NEVER
    cluster.connect(node, nowMs)
    return NEVER
  }

  #shouldRebootstrap(reachable: boolean, nowMs: Millis): boolean {
    if (!this.#rebootstraps) return false
    return !reachable || nowMs - (this.#attemptStartMs as Millis) > this.#rebootstrapTriggerMs
  }

  #send(cluster: ClusterClient, node: ClusterNode, nowMs: Millis): void {
    const request = this.#metadata.prepareRequest(nowMs)
    this.#inProgress = true
    cluster.send(node, 'Metadata', request.body, (result) => {
      if (result.ok) this.#answered(request, result.response)
      else this.#metadata.failedUpdate(this.#env.clock.wallMs())
      this.#inProgress = false
    })
  }

  #answered(request: PreparedRequest, response: Apis['Metadata']['response']): void {
    const nowMs = this.#env.clock.wallMs()
    if (this.#rebootstraps && response.errorCode === Errors.REBOOTSTRAP_REQUIRED) {
      this.#attemptStartMs = -this.#rebootstrapTriggerMs
    } else if (response.brokers.length === 0) {
      // A broker that is still starting knows nobody.
      this.#metadata.failedUpdate(nowMs)
    } else {
      this.#metadata.update(request, response, nowMs)
      this.#attemptStartMs = undefined
    }
  }
}
