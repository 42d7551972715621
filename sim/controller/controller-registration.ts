/**
 * Makes the controllers of a quorum known to one another (KIP-919; Kafka's `ControllerRegistrationManager`).
 *
 * Every controller registers each of its runs with the active controller, over the network even when it is that itself, as soon as the
 * metadata version knows registrations and until it finds its own in the metadata. A request that was not answered in time,
 * or answered with an error, is sent again after a backoff that doubles from 100 ms to 2 min (±2 %).
 */

import type { Env, EnvTimer } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import type { Random } from '../kernel/random.js'
import type { Millis, NodeId } from '../kernel/units.js'
import type { MetadataImage } from '../kraft/metadata/image.js'
import { imageMetadataVersion } from '../kraft/metadata/image.js'
import type { MetadataDelta } from '../kraft/metadata/metadata-delta.js'
import type { MetadataPublisher } from '../kraft/metadata/metadata-loader.js'
import { METADATA_VERSION_FEATURE, SUPPORTED_FEATURES } from '../kraft/metadata/metadata-version.js'
import type { Uuid } from '../kraft/metadata/records.js'
import { CONTROLLER_LISTENER, CONTROLLER_PORT } from '../kraft/quorum-config.js'
import { Errors } from '../wire/errors.js'
import type { RequestClient } from '../wire/request-client.js'

export interface ControllerRegistrationOptions {
  readonly nodeId: NodeId
  /** Of this run. */
  readonly incarnationId: Uuid
  /** The active controller as the raft client knows it. */
  readonly activeController: () => NodeName | undefined
  readonly requests: RequestClient
}

/** How often a missing controller is looked for. */
const LOOKUP_MS: Millis = 100
/** How long one registration may wait for its answer, with all its attempts. */
const RETRY_TIMEOUT_MS: Millis = 5_000
const BACKOFF_MS: Millis = 100
const BACKOFF_MAX_MS: Millis = 120_000
const BACKOFF_JITTER = 0.02

export class ControllerRegistration implements MetadataPublisher {
  readonly name = 'ControllerRegistration'
  readonly #env: Env
  readonly #options: ControllerRegistrationOptions
  readonly #random: Random
  #supported = false
  #registered = false
  #pending = false
  #closed = false
  #failures = 0
  #timer: EnvTimer | undefined

  constructor(env: Env, options: ControllerRegistrationOptions) {
    this.#env = env
    this.#options = options
    this.#random = env.random.fork('controller-registration')
  }

  onMetadataUpdate(delta: MetadataDelta, image: MetadataImage): void {
    const { nodeId, incarnationId } = this.#options
    const changed = delta.changedControllers.has(nodeId)
    if (!changed && delta.changedFeatures.size === 0) return
    const known = image.features.has(METADATA_VERSION_FEATURE)
    this.#supported = known && imageMetadataVersion(image).controllerRegistration
    if (changed) this.#registered = image.controllers.get(nodeId)?.incarnationId === incarnationId
    this.#maybeRegister()
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#options.requests.close()
  }

  #maybeRegister(): void {
    if (this.#closed || this.#registered || !this.#supported || this.#pending) return
    this.#pending = true
    this.#send(this.#env.clock.wallMs() + RETRY_TIMEOUT_MS)
  }

  /** Tries until the deadline: no controller, a broken connection and NOT_CONTROLLER lead to another attempt. */
  #send(deadlineMs: Millis): void {
    if (this.#closed) return
    if (this.#env.clock.wallMs() > deadlineMs) return this.#failed()
    const to = this.#options.activeController()
    const again = (): void => {
      this.#timer = this.#env.after(LOOKUP_MS, () => this.#send(deadlineMs))
    }
    if (to === undefined) return again()
    this.#options.requests.send(to, 'ControllerRegistration', this.#request(), (result) => {
      if (this.#closed) return
      if (!result.ok) return again()
      const { errorCode } = result.response
      if (errorCode === Errors.NOT_CONTROLLER) return again()
      if (errorCode !== Errors.NONE) return this.#failed()
      this.#pending = false
      this.#failures = 0
    })
  }

  #failed(): void {
    this.#pending = false
    const backoff = Math.min(BACKOFF_MS * 2 ** Math.min(this.#failures, 20), BACKOFF_MAX_MS)
    this.#failures++
    const jitter = 1 + BACKOFF_JITTER * (2 * this.#random.float() - 1)
    this.#timer?.cancel()
    this.#timer = this.#env.after(Math.floor(backoff * jitter), () => this.#maybeRegister())
  }

  #request() {
    return {
      controllerId: this.#options.nodeId,
      incarnationId: this.#options.incarnationId,
      zkMigrationReady: false,
      listeners: [{ name: CONTROLLER_LISTENER, host: this.#env.node, port: CONTROLLER_PORT, securityProtocol: 0 }],
      features: [...SUPPORTED_FEATURES].map(([name, { min, max }]) => ({
        name,
        minSupportedVersion: min,
        maxSupportedVersion: max,
      })),
    }
  }
}
