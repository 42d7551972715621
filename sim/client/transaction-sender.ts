/**
 * Sends the requests of the transaction manager, one at a time (the transactional part of Kafka's Sender).
 *
 *     idle ── next request ──► connecting ── ready ──► sending ── answered, lost ──► idle
 *      ▲                         │   │                    ▲
 *      │                         │   └─ a retry ─► sleeping ┘
 *      │                         └── no node, or not reached: the coordinator is looked up first, anybody after a pause
 *      └── pausing ◄─────────────────┘
 *
 * While a request is on its way, or waited for, the producer sends nothing else; answers are still handled. A request that was put
 * back sleeps `retry.backoff.ms` before it goes out, even when it was only put back to look for its coordinator.
 */

import type { Millis } from '../kernel/units.js'
import type { ApiName } from '../wire/apis.js'
import type { ClientMetadata } from './client-metadata.js'
import { NEVER, type ClusterClient } from './cluster-client.js'
import type { ClusterNode } from './metadata-snapshot.js'
import type { TransactionManager } from './transaction-manager.js'
import type { TransactionRequest } from './transaction-requests.js'

type Request = TransactionRequest<ApiName>

type Phase =
  | { readonly is: 'idle' }
  | { readonly is: 'pausing'; readonly untilMs: Millis }
  | { readonly is: 'connecting'; readonly request: Request; readonly node: ClusterNode; readonly deadlineMs: Millis }
  | { readonly is: 'sleeping'; readonly request: Request; readonly node: ClusterNode; readonly untilMs: Millis }
  | { readonly is: 'sending' }

export interface TransactionSenderParts {
  readonly manager: TransactionManager
  readonly cluster: ClusterClient
  readonly metadata: ClientMetadata
  readonly retryBackoffMs: Millis
  readonly requestTimeoutMs: Millis
  /** Some batch has no final answer. */
  readonly hasIncomplete: () => boolean
  /** Fails batches that were not sent. */
  readonly abortUndrained: (error: string) => void
}

const IDLE: Phase = { is: 'idle' }
const SENDING: Phase = { is: 'sending' }

export class TransactionSender {
  readonly #parts: TransactionSenderParts
  #phase: Phase = IDLE

  constructor(parts: TransactionSenderParts) {
    this.#parts = parts
  }

  /** A request is on its way, or waited for. */
  get isBusy(): boolean {
    return this.#phase.is !== 'idle'
  }

  /** Goes on as far as it can. Returns when to look again. */
  poll(nowMs: Millis): Millis {
    for (;;) {
      const phase = this.#phase
      switch (phase.is) {
        case 'idle': {
          const request = this.#next()
          if (request === undefined) return NEVER
          this.#route(request, nowMs)
          break
        }
        case 'pausing':
          if (nowMs < phase.untilMs) return phase.untilMs - nowMs
          this.#phase = IDLE
          break
        case 'connecting':
          if (this.#parts.cluster.ready(phase.node, nowMs)) {
            const backoffMs = Math.min(phase.request.retryBackoffMs, this.#parts.retryBackoffMs)
            const untilMs = phase.request.isRetry ? nowMs + backoffMs : nowMs
            this.#phase = { is: 'sleeping', request: phase.request, node: phase.node, untilMs }
          } else if (this.#parts.cluster.isUnavailable(phase.node) || nowMs >= phase.deadlineMs) {
            this.#notReached(phase.request, nowMs)
          } else {
            return phase.deadlineMs - nowMs
          }
          break
        case 'sleeping':
          if (nowMs < phase.untilMs) return phase.untilMs - nowMs
          if (this.#parts.cluster.canSend(phase.node)) this.#send(phase.request, phase.node)
          else this.#notReached(phase.request, nowMs)
          break
        case 'sending':
          return NEVER
      }
    }
  }

  #next(): Request | undefined {
    const { manager } = this.#parts
    const error = manager.abortableError ?? (manager.isAborting ? 'TRANSACTION_ABORTED' : undefined)
    if (error !== undefined) this.#parts.abortUndrained(error)
    return manager.nextRequest(this.#parts.hasIncomplete())
  }

  #route(request: Request, nowMs: Millis): void {
    const { manager, cluster, requestTimeoutMs } = this.#parts
    const kind = request.coordinator
    const node = kind === undefined ? cluster.leastLoaded().node : manager.coordinator(kind)
    if (node !== undefined) {
      this.#phase = { is: 'connecting', request, node, deadlineMs: nowMs + requestTimeoutMs }
    } else if (kind !== undefined) {
      this.#notReached(request, nowMs)
    } else {
      manager.retry(request)
      this.#pause(nowMs)
    }
  }

  #notReached(request: Request, nowMs: Millis): void {
    const { manager, metadata } = this.#parts
    if (request.coordinator !== undefined) {
      manager.lookUp(request.coordinator, request.coordinatorKey)
      this.#phase = IDLE
    } else {
      metadata.requestUpdate()
      this.#pause(nowMs)
    }
    manager.retry(request)
  }

  #pause(nowMs: Millis): void {
    this.#phase = { is: 'pausing', untilMs: nowMs + this.#parts.retryBackoffMs }
  }

  #send(request: Request, node: ClusterNode): void {
    this.#phase = SENDING
    request.sent()
    const version = request.version === undefined ? {} : { version: request.version }
    this.#parts.cluster.send(
      node,
      request.api,
      request.body,
      (result) => {
        this.#phase = IDLE
        if (result.ok) request.answered(result.response)
        else request.disconnected()
      },
      version,
    )
  }
}
