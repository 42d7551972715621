/**
 * The queue of calls of an admin client (the I/O thread of Kafka's KafkaAdminClient).
 *
 *     pending ── a node is chosen ──► assigned ── node ready ──► in flight ── answered ──► done
 *        ▲                               │                          │
 *        └── node lost, new metadata ◄───┘                          │
 *        └──────── retriable error, lost connection, after a backoff ◄┘
 *
 * One call at a time per node. A call fails with REQUEST_TIMED_OUT at its deadline, wherever it is. NOT_CONTROLLER forgets the
 * controller and asks for new metadata before the next try.
 */

import type { Env, EnvTimer } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import type { Millis, NodeId } from '../kernel/units.js'
import type { ApiName, Apis } from '../wire/apis.js'
import { Errors, errorName, isRetriable, type ErrorCode } from '../wire/errors.js'
import type { WireMode } from '../wire/frame.js'
import type { RpcResult } from '../wire/request-client.js'
import type { AdminConfig } from './admin-config.js'
import { AdminMetadata } from './admin-metadata.js'
import { metadataRequest } from './client-metadata.js'
import { ClusterClient } from './cluster-client.js'
import { ExponentialBackoff } from './exponential-backoff.js'
import type { ClusterNode } from './metadata-snapshot.js'

export type CallTarget = 'controller' | 'least loaded' | NodeId

/** One request of an operation. */
export interface CallOptions<A extends ApiName> {
  readonly api: A
  readonly to: CallTarget
  /** Wall-clock time at which the call fails. */
  readonly deadlineMs: Millis
  request(timeoutMs: Millis): Apis[A]['request']
  /** Takes the answer. Returns an error to be retried, or to fail with; undefined when the call is done. */
  answered(response: Apis[A]['response']): ErrorCode | undefined
  failed(error: string): void
  /** Takes a lost connection into its own hands; false to have the call sent again. */
  disconnected?(): boolean
  /** Failures so far, when this call takes up another one. */
  readonly tries?: number
  /** Not the newest version. */
  readonly version?: number
}

interface Call {
  readonly to: CallTarget
  readonly deadlineMs: Millis
  readonly isInternal: boolean
  tries: number
  nextTryMs: Millis
  send(node: ClusterNode, timeoutMs: Millis, done: (outcome: CallOutcome) => void): void
  failed(error: string): void
  disconnected(): boolean
}

type CallOutcome =
  { readonly is: 'done' } | { readonly is: 'error'; readonly error: ErrorCode } | { readonly is: 'disconnected' }

export class AdminCalls {
  readonly #env: Env
  readonly #metadata: AdminMetadata
  readonly #cluster: ClusterClient
  readonly #backoff: ExponentialBackoff
  readonly #retryBackoffMs: Millis
  readonly #requestTimeoutMs: Millis
  readonly #retries: number
  readonly #rebootstraps: boolean
  #pending: Call[] = []
  readonly #assigned = new Map<NodeId, { readonly node: ClusterNode; readonly calls: Call[] }>()
  readonly #inFlight = new Map<NodeId, { readonly node: ClusterNode; readonly call: Call }>()
  /** By when a node with assigned calls must have become ready. */
  readonly #readyDeadlines = new Map<NodeId, Millis>()
  #timer: EnvTimer | undefined
  #soon = false
  #closing: { readonly done: () => void; readonly deadlineMs: Millis } | undefined
  #closed = false

  constructor(env: Env, config: AdminConfig, servers: readonly NodeName[], wire?: WireMode) {
    this.#env = env
    this.#metadata = new AdminMetadata(servers, config['retry.backoff.ms'], config['metadata.max.age.ms'])
    this.#backoff = new ExponentialBackoff(config['retry.backoff.ms'], config['retry.backoff.max.ms'], env.random)
    this.#retryBackoffMs = config['retry.backoff.ms']
    this.#requestTimeoutMs = config['request.timeout.ms']
    this.#retries = config.retries
    this.#rebootstraps = config['metadata.recovery.strategy'] === 'rebootstrap'
    this.#cluster = new ClusterClient(env, config, this.#metadata, {
      maxInFlight: 1,
      onWake: () => this.#wake(),
      ...(wire === undefined ? {} : { wire }),
    })
  }

  get isClosing(): boolean {
    return this.#closing !== undefined || this.#closed
  }

  call<A extends ApiName>(options: CallOptions<A>): void {
    this.#add(options, false)
    this.#wake()
  }

  /** The wait before try number `tries` + 1. */
  backoff(tries: number): Millis {
    return this.#backoff.backoff(tries)
  }

  /** Lets calls finish until `timeoutMs` is over, then fails them. */
  close(done: () => void, timeoutMs: Millis): void {
    if (this.#closed) {
      this.#env.soon(done)
      return
    }
    this.#closing = { done, deadlineMs: this.#env.clock.wallMs() + timeoutMs }
    this.#wake()
  }

  #add<A extends ApiName>(options: CallOptions<A>, isInternal: boolean): void {
    const tries = options.tries ?? 0
    const nowMs = this.#env.clock.wallMs()
    this.#pending.push({
      to: options.to,
      deadlineMs: options.deadlineMs,
      isInternal,
      tries,
      nextTryMs: tries === 0 ? 0 : nowMs + this.backoff(tries - 1),
      send: (node, timeoutMs, done) => {
        const taken = (result: RpcResult<A>): void => {
          if (!result.ok) return done({ is: 'disconnected' })
          const error = options.answered(result.response)
          done(error === undefined ? { is: 'done' } : { is: 'error', error })
        }
        const version = options.version === undefined ? {} : { version: options.version }
        this.#cluster.send(node, options.api, options.request(timeoutMs), taken, { timeoutMs, ...version })
      },
      failed: (error) => options.failed(error),
      disconnected: () => options.disconnected?.() ?? false,
    })
  }

  #wake(): void {
    if (this.#soon || this.#closed) return
    this.#soon = true
    this.#env.soon(this.#onEvent)
  }

  readonly #onEvent = (): void => {
    this.#soon = false
    this.#process()
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined
    this.#process()
  }

  #process(): void {
    if (this.#closed) return
    const nowMs = this.#env.clock.wallMs()
    this.#unassign((node) => this.#cluster.isUnavailable(node))
    let waitMs = this.#expire(nowMs)
    if (this.#finishIfDone(nowMs)) return
    waitMs = Math.min(waitMs, this.#assignPending(nowMs))
    waitMs = Math.min(waitMs, this.#fetchMetadata(nowMs))
    waitMs = Math.min(waitMs, this.#sendAssigned(nowMs))
    if (this.#pending.length > 0) waitMs = Math.min(waitMs, this.#retryBackoffMs)
    if (this.#closing !== undefined) waitMs = Math.min(waitMs, this.#closing.deadlineMs - nowMs)
    this.#timer?.cancel()
    // An admin client without calls renews nothing: whoever calls next will have it done.
    const idle =
      this.#pending.length === 0 &&
      this.#assigned.size === 0 &&
      this.#inFlight.size === 0 &&
      this.#closing === undefined
    this.#timer = idle || waitMs === Infinity ? undefined : this.#env.after(Math.max(waitMs, 1), this.#onTimer)
  }

  #finishIfDone(nowMs: Millis): boolean {
    const closing = this.#closing
    if (closing === undefined) return false
    const assigned = [...this.#assigned.values()].flatMap(({ calls }) => calls)
    const open = [...this.#pending, ...assigned, ...[...this.#inFlight.values()].map(({ call }) => call)]
    if (nowMs < closing.deadlineMs && open.some((call) => !call.isInternal)) return false
    this.#closed = true
    this.#timer?.cancel()
    this.#cluster.close()
    for (const call of open) call.failed('REQUEST_TIMED_OUT')
    this.#env.soon(closing.done)
    return true
  }

  /** Fails what is past its deadline. Returns when to look again. */
  #expire(nowMs: Millis): Millis {
    let next = Infinity
    const expired: Call[] = []
    const stays = (call: Call): boolean => {
      if (nowMs >= call.deadlineMs) {
        expired.push(call)
        return false
      }
      next = Math.min(next, call.deadlineMs - nowMs)
      return true
    }
    this.#pending = this.#pending.filter(stays)
    for (const [id, { node, calls }] of this.#assigned) this.#assigned.set(id, { node, calls: calls.filter(stays) })
    for (const { node, call } of this.#inFlight.values()) {
      // Its failure comes with the loss of the connection.
      if (nowMs >= call.deadlineMs) this.#cluster.disconnect(node)
      else next = Math.min(next, call.deadlineMs - nowMs)
    }
    // Last, for the application may call again from here.
    for (const call of expired) call.failed('REQUEST_TIMED_OUT')
    return next
  }

  #assignPending(nowMs: Millis): Millis {
    let next = Infinity
    this.#pending = this.#pending.filter((call) => {
      if (nowMs < call.nextTryMs) {
        next = Math.min(next, call.nextTryMs - nowMs)
        return true
      }
      return !this.#assign(call)
    })
    return next
  }

  #assign(call: Call): boolean {
    const node = this.#nodeFor(call)
    if (node === undefined) return false
    const assigned = this.#assigned.get(node.id)
    if (assigned === undefined) this.#assigned.set(node.id, { node, calls: [call] })
    else assigned.calls.push(call)
    return true
  }

  #nodeFor(call: Call): ClusterNode | undefined {
    const metadata = this.#metadata
    if (call.isInternal) {
      const { node, anyReady } = this.#cluster.leastLoaded()
      if (node !== undefined || anyReady || !this.#rebootstraps) return node
      metadata.rebootstrap()
      return this.#cluster.leastLoaded().node
    }
    let node: ClusterNode | undefined
    if (metadata.isReady) {
      if (call.to === 'least loaded') return this.#cluster.leastLoaded().node
      node = call.to === 'controller' ? metadata.controller : metadata.node(call.to)
    }
    if (node === undefined) metadata.requestUpdate()
    return node
  }

  #fetchMetadata(nowMs: Millis): Millis {
    const delayMs = this.#metadata.fetchDelayMs(nowMs)
    if (delayMs > 0) return delayMs
    this.#metadata.fetching(nowMs)
    this.#add(
      {
        api: 'Metadata',
        to: 'least loaded',
        deadlineMs: nowMs + this.#requestTimeoutMs,
        request: () => metadataRequest([], true),
        answered: (response) => {
          this.#metadata.update(response, this.#env.clock.wallMs())
          // What is not sent yet may have a better place to go.
          this.#unassign(() => true)
          return undefined
        },
        failed: () => this.#metadata.failed(),
      },
      true,
    )
    const call = this.#pending.pop() as Call
    if (!this.#assign(call)) this.#pending.push(call)
    return Infinity
  }

  #sendAssigned(nowMs: Millis): Millis {
    let next = Infinity
    for (const [id, { node, calls }] of this.#assigned) {
      const call = calls[0]
      if (call === undefined) {
        this.#assigned.delete(id)
        continue
      }
      if (this.#inFlight.has(id)) {
        this.#readyDeadlines.delete(id)
        continue
      }
      if (!this.#cluster.ready(node, nowMs)) {
        next = Math.min(next, this.#awaitReady(node, nowMs))
        continue
      }
      const readyDeadline = this.#readyDeadlines.get(id) ?? nowMs + this.#requestTimeoutMs
      this.#readyDeadlines.delete(id)
      calls.shift()
      this.#inFlight.set(id, { node, call })
      const timeoutMs = Math.max(Math.min(readyDeadline - nowMs, call.deadlineMs - nowMs), 0)
      call.send(node, timeoutMs, (outcome) => this.#ended(id, call, outcome))
    }
    return next
  }

  #awaitReady(node: ClusterNode, nowMs: Millis): Millis {
    const deadline = this.#readyDeadlines.get(node.id)
    if (deadline === undefined) {
      this.#readyDeadlines.set(node.id, nowMs + this.#requestTimeoutMs)
    } else if (nowMs >= deadline) {
      this.#unassign((other) => other.id === node.id)
      this.#cluster.disconnect(node)
      return 1
    }
    return Math.min(this.#cluster.pollDelayMs(node), (this.#readyDeadlines.get(node.id) as Millis) - nowMs)
  }

  #ended(id: NodeId, call: Call, outcome: CallOutcome): void {
    this.#inFlight.delete(id)
    if (outcome.is === 'done') return
    if (outcome.is === 'disconnected') {
      if (!call.disconnected()) this.#retry(call, Errors.NETWORK_EXCEPTION)
      return
    }
    if (outcome.error === Errors.NOT_CONTROLLER) {
      this.#metadata.clearController()
      this.#metadata.requestUpdate()
    }
    this.#retry(call, outcome.error)
  }

  #retry(call: Call, error: ErrorCode): void {
    const nowMs = this.#env.clock.wallMs()
    call.nextTryMs = nowMs + this.backoff(call.tries++)
    if (nowMs >= call.deadlineMs) call.failed('REQUEST_TIMED_OUT')
    else if (!isRetriable(error)) call.failed(errorName(error))
    else if (call.tries > this.#retries) call.failed('REQUEST_TIMED_OUT')
    else this.#pending.push(call)
  }

  #unassign(from: (node: ClusterNode) => boolean): void {
    for (const [id, { node, calls }] of this.#assigned) {
      if (!from(node)) continue
      this.#readyDeadlines.delete(id)
      this.#assigned.delete(id)
      this.#pending.push(...calls)
    }
  }
}
