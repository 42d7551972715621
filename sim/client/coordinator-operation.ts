/**
 * Asks the coordinators of groups or transactional ids (Kafka's AdminApiDriver with CoordinatorStrategy).
 *
 *     lookup ── coordinator known ──► fulfilment ── answered ──► done
 *       ▲                                 │
 *       └── coordinator moved, or lost ◄──┘   still loading, or not answered for: fulfilment again
 *
 * Several keys with the same coordinator go into one request. Both stages are sent again after a backoff until the deadline.
 */

import type { Millis, NodeId } from '../kernel/units.js'
import type { ApiName, Apis } from '../wire/apis.js'
import { Errors, errorName, type ErrorCode } from '../wire/errors.js'
import type { AdminContext } from './admin-context.js'

/** FindCoordinator's key types. */
const KEY_TYPES = { group: 0, transaction: 1 } as const

/** What the coordinator answered for one key. */
export interface KeyAnswer {
  readonly key: string
  readonly error: ErrorCode
  /** Takes what there is when there is no error. */
  done(): void
}

export interface CoordinatorRequest<A extends ApiName> {
  readonly kind: keyof typeof KEY_TYPES
  readonly api: A
  /** Not the newest version. */
  readonly version?: number
  /** Each key is asked for alone. */
  readonly single?: boolean
  request(keys: readonly string[], timeoutMs: Millis): Apis[A]['request']
  answers(response: Apis[A]['response'], keys: readonly string[], coordinator: NodeId): readonly KeyAnswer[]
  /** Errors that pass, besides COORDINATOR_LOAD_IN_PROGRESS. */
  readonly retries?: ReadonlySet<ErrorCode>
  /** `coordinator` is who said so; undefined when none did. */
  failed(key: string, error: string, coordinator: NodeId | undefined): void
  /** Called after every answer. */
  settled(): void
}

export class CoordinatorOperation<A extends ApiName> {
  readonly #context: AdminContext
  readonly #deadlineMs: Millis
  readonly #request: CoordinatorRequest<A>

  constructor(context: AdminContext, request: CoordinatorRequest<A>, deadlineMs = context.deadline()) {
    this.#context = context
    this.#deadlineMs = deadlineMs
    this.#request = request
  }

  start(keys: readonly string[]): void {
    this.#lookUp(keys, 0)
  }

  /** Goes on with keys whose coordinator another request has found, after a backoff. */
  continue(coordinator: NodeId, keys: readonly string[]): void {
    this.#fulfil(coordinator, keys, 1)
  }

  #lookUp(keys: readonly string[], tries: number): void {
    if (keys.length === 0) return this.#request.settled()
    this.#context.calls.call({
      api: 'FindCoordinator',
      to: 'least loaded',
      deadlineMs: this.#deadlineMs,
      tries,
      request: () => ({ key: '', keyType: KEY_TYPES[this.#request.kind], coordinatorKeys: keys }),
      answered: (response) => {
        this.#lookedUp(keys, response, tries)
        return undefined
      },
      disconnected: () => {
        this.#lookUp(keys, tries + 1)
        return true
      },
      failed: (error) => this.#fail(keys, error),
    })
  }

  #lookedUp(keys: readonly string[], response: Apis['FindCoordinator']['response'], tries: number): void {
    const open = new Set(keys)
    const byNode = new Map<NodeId, string[]>()
    for (const { key, nodeId, errorCode } of response.coordinators) {
      if (!open.has(key) || LOOKUP_RETRIES.has(errorCode)) continue
      open.delete(key)
      if (errorCode !== Errors.NONE) {
        this.#request.failed(key, errorName(errorCode), undefined)
        continue
      }
      const coordinated = byNode.get(nodeId)
      if (coordinated === undefined) byNode.set(nodeId, [key])
      else coordinated.push(key)
    }
    for (const [node, coordinated] of byNode) this.#fulfil(node, coordinated, 0)
    if (open.size > 0) this.#lookUp([...open], tries + 1)
    this.#request.settled()
  }

  #fulfil(node: NodeId, keys: readonly string[], tries: number): void {
    if (this.#request.single === true) for (const key of keys) this.#ask(node, [key], tries)
    else this.#ask(node, keys, tries)
  }

  #ask(node: NodeId, keys: readonly string[], tries: number): void {
    const { api, version } = this.#request
    this.#context.calls.call({
      api,
      to: node,
      deadlineMs: this.#deadlineMs,
      tries,
      ...(version === undefined ? {} : { version }),
      request: (timeoutMs) => this.#request.request(keys, timeoutMs),
      answered: (response) => {
        this.#answered(node, keys, this.#request.answers(response, keys, node), tries)
        return undefined
      },
      disconnected: () => {
        this.#lookUp(keys, tries + 1)
        return true
      },
      failed: (error) => this.#fail(keys, error),
    })
  }

  #answered(node: NodeId, keys: readonly string[], answers: readonly KeyAnswer[], tries: number): void {
    const open = new Set(keys)
    const unmapped: string[] = []
    for (const answer of answers) {
      const { key, error } = answer
      if (!open.has(key) || this.#isRetried(error)) continue
      open.delete(key)
      if (error === Errors.NONE) answer.done()
      else if (UNMAPPED.has(error)) unmapped.push(key)
      else this.#request.failed(key, errorName(error), node)
    }
    if (unmapped.length > 0) this.#lookUp(unmapped, tries + 1)
    if (open.size > 0) this.#fulfil(node, [...open], tries + 1)
    this.#request.settled()
  }

  #isRetried(error: ErrorCode): boolean {
    return error === Errors.COORDINATOR_LOAD_IN_PROGRESS || this.#request.retries?.has(error) === true
  }

  #fail(keys: readonly string[], error: string): void {
    for (const key of keys) this.#request.failed(key, error, undefined)
    this.#request.settled()
  }
}

/** Errors of a lookup that pass. */
const LOOKUP_RETRIES: ReadonlySet<ErrorCode> = new Set([
  Errors.COORDINATOR_NOT_AVAILABLE,
  Errors.COORDINATOR_LOAD_IN_PROGRESS,
])

/** The coordinator is another, or nobody: look it up again. */
const UNMAPPED: ReadonlySet<ErrorCode> = new Set([Errors.COORDINATOR_NOT_AVAILABLE, Errors.NOT_COORDINATOR])
