/**
 * Committed offsets of a consumer with group.protocol=consumer (Kafka's CommitRequestManager).
 *
 * Requests wait for a coordinator, each with a backoff and a deadline of its own. commitSync and the commit before a rebalance are tried again, with
 * the member epoch of that time; commitAsync and the commit by the interval are not.
 */

import type { Env } from '../../kernel/env.js'
import type { Millis } from '../../kernel/units.js'
import { Errors, errorName, isRetriable, type ErrorCode } from '../../wire/errors.js'
import type { RpcResult } from '../../wire/request-client.js'
import type { ConsumerConfig } from '../consumer-config.js'
import { Deadline } from '../deadline.js'
import type { SubscriptionState } from '../subscription-state.js'
import { CommitReporter } from './commit-reporter.js'
import type { CoordinatorChannel } from './coordinator-channel.js'
import type { CommitDone, CommitHow, Committed } from './group-types.js'
import {
  commitErrors,
  offsetCommitRequest,
  offsetFetchRequest,
  OFFSETS_VERSION,
  readOffsetFetch,
} from './offset-requests.js'
import { RequestState } from './request-state.js'
import type { Offsets } from './offset-commits.js'

/** An attempt's error. `stale`: the member epoch was an old one. */
interface Failure {
  readonly error: string
  readonly retriable: boolean
  readonly isStale: boolean
}

/** A request until it was answered for good. */
interface Waiting {
  readonly state: RequestState
  readonly deadline: Deadline | undefined
  send(): void
  fail(failure: Failure): void
}

const TIMED_OUT = errorName(Errors.REQUEST_TIMED_OUT)
const COMMIT_FAILED: Failure = { error: 'COMMIT_FAILED', retriable: false, isStale: false }
const NOTHING: Committed = new Map()

export class ConsumerOffsets {
  readonly #env: Env
  readonly #config: ConsumerConfig
  readonly #groupId: string
  readonly #instanceId: string | null
  readonly #channel: CoordinatorChannel
  readonly #subscriptions: SubscriptionState
  readonly #reporter: CommitReporter
  readonly #changed: () => void
  readonly #nextAutoCommit: Deadline
  readonly #autoCommits: boolean
  #isAutoCommitting = false
  #member: { readonly memberId: string; readonly epoch: number | undefined } = { memberId: '', epoch: undefined }
  #waiting: Waiting[] = []
  /** Callbacks of asynchronous commits, for the application's next call. */
  #completed: (() => void)[] = []
  #isClosed = false

  /** @param changed requests may be due */
  constructor(
    env: Env,
    config: ConsumerConfig,
    channel: CoordinatorChannel,
    subscriptions: SubscriptionState,
    changed: () => void,
  ) {
    this.#env = env
    this.#config = config
    this.#groupId = config['group.id']
    this.#instanceId = config['group.instance.id'] === '' ? null : config['group.instance.id']
    this.#channel = channel
    this.#subscriptions = subscriptions
    this.#changed = changed
    this.#reporter = new CommitReporter(env, this.#groupId)
    this.#nextAutoCommit = new Deadline(env, config['auto.commit.interval.ms'])
    this.#autoCommits = config['enable.auto.commit']
  }

  /** How long the application may wait for records without looking at commits. */
  get applicationWaitMs(): Millis {
    return this.#autoCommits ? this.#nextAutoCommit.remainingMs : Infinity
  }

  epochChanged(epoch: number | undefined, memberId: string): void {
    this.#member = { memberId, epoch }
  }

  resetAutoCommitTimer(): void {
    this.#nextAutoCommit.reset(this.#config['auto.commit.interval.ms'])
  }

  /** Sends what can be sent. Returns when to look again, by itself. */
  run(): Millis {
    if (!this.#channel.isKnown) return Infinity
    let waitMs = Infinity
    for (const request of [...this.#waiting]) {
      if (request.state.isInFlight) continue
      if (request.state.attempts > 0 && request.deadline?.isOver === true) {
        this.#remove(request)
        request.fail({ error: TIMED_OUT, retriable: false, isStale: false })
      } else if (request.state.canSend) {
        request.state.sent()
        request.send()
      } else waitMs = Math.min(waitMs, request.state.remainingBackoffMs)
    }
    return waitMs
  }

  /** The coordinator will not have us: what waits fails. */
  failAll(error: ErrorCode): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const request of waiting) request.fail({ error: errorName(error), retriable: false, isStale: false })
  }

  invokeCallbacks(): void {
    const callbacks = this.#completed
    this.#completed = []
    for (const callback of callbacks) callback()
  }

  // ── commit ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The application polls: time for a commit? */
  autoCommit(): void {
    if (!this.#autoCommits || !this.#nextAutoCommit.isOver || this.#isAutoCommitting) return
    const offsets = this.#subscriptions.allConsumed()
    this.resetAutoCommitTimer()
    if (offsets.size === 0) return
    this.#isAutoCommitting = true
    const report = this.#reporter.asked('auto', offsets)
    this.#attempt(offsets, undefined, undefined, (failure) => {
      this.#isAutoCommitting = false
      report(failure?.error)
      if (failure?.retriable === true) this.#nextAutoCommit.reset(this.#config['retry.backoff.ms'])
    })
  }

  /** Tries for max.poll.interval.ms at most; `done` whatever came of it. */
  commitBeforeRebalance(done: () => void): void {
    if (!this.#autoCommits) return done()
    const first = this.#subscriptions.allConsumed()
    if (first.size === 0) return done()
    const deadline = new Deadline(this.#env, this.#config['max.poll.interval.ms'])
    const report = this.#reporter.asked('auto', first)
    const finish = (error: string | undefined): void => {
      this.#isAutoCommitting = false
      report(error)
      done()
    }
    const attempt = (offsets: Offsets, state: RequestState | undefined): void => {
      this.#isAutoCommitting = true
      const tried = this.#attempt(offsets, deadline, state, (failure) => {
        if (failure === undefined) return finish(undefined)
        const mayRetry = failure.retriable || (failure.isStale && this.#member.epoch !== undefined)
        const isMissing = failure.error === errorName(Errors.UNKNOWN_TOPIC_OR_PARTITION)
        if (!mayRetry || isMissing) return finish(failure.error)
        if (deadline.isOver) return finish(TIMED_OUT)
        attempt(this.#subscriptions.allConsumed(), tried)
      })
    }
    attempt(first, undefined)
  }

  commitAsync(offsets: Offsets, done: CommitDone | undefined): void {
    this.invokeCallbacks()
    const report = this.#reporter.asked('async', offsets)
    if (offsets.size === 0) {
      this.#completed.push(() => done?.(undefined))
      return
    }
    this.#attempt(offsets, undefined, undefined, (failure) => {
      report(failure?.error)
      this.#completed.push(() => done?.(failure?.error))
    })
  }

  /** Attempts until it works, cannot work, or the time is over. */
  commitSync(offsets: Offsets, how: CommitHow, done: CommitDone, timeoutMs: Millis): void {
    this.invokeCallbacks()
    const report = this.#reporter.asked(how, offsets)
    const deadline = new Deadline(this.#env, timeoutMs)
    let isOver = false
    const finish = (error: string | undefined): void => {
      if (isOver) return
      isOver = true
      timer.cancel()
      report(error)
      this.#env.soon(() => {
        if (this.#isClosed) return
        this.invokeCallbacks()
        done(error)
      })
    }
    const timer = this.#env.atWall(deadline.atMs, () => finish(TIMED_OUT))
    if (offsets.size === 0) return finish(undefined)
    const attempt = (state: RequestState | undefined): void => {
      const tried = this.#attempt(offsets, deadline, state, (failure) => {
        if (failure === undefined) return finish(undefined)
        if (!failure.retriable) return finish(failure.isStale ? COMMIT_FAILED.error : failure.error)
        if (deadline.isOver) return finish(TIMED_OUT)
        attempt(tried)
      })
    }
    attempt(undefined)
  }

  /** One attempt, once the coordinator is known and the backoff of earlier ones is over. */
  #attempt(
    offsets: Offsets,
    deadline: Deadline | undefined,
    earlier: RequestState | undefined,
    done: (failure: Failure | undefined) => void,
  ): RequestState {
    const state = earlier ?? new RequestState(this.#env, this.#config)
    const request: Waiting = {
      state,
      deadline,
      fail: done,
      send: () => {
        const { memberId, epoch } = this.#member
        const identity = { memberId, epoch: epoch ?? -1, instanceId: this.#instanceId }
        const body = offsetCommitRequest(this.#groupId, identity, offsets)
        const answered = (result: RpcResult<'OffsetCommit'>): void => {
          if (this.#isClosed) return
          this.#remove(request)
          const failure = this.#commitFailure(result)
          if (failure === undefined) state.succeeded()
          else state.failed()
          done(failure)
          this.#changed()
        }
        this.#channel.send('OffsetCommit', body, answered, { version: OFFSETS_VERSION })
      },
    }
    this.#waiting.push(request)
    this.#changed()
    return state
  }

  #commitFailure(result: RpcResult<'OffsetCommit'>): Failure | undefined {
    if (!result.ok) return failureOf(Errors.NETWORK_EXCEPTION)
    let failure: Failure | undefined
    for (const error of commitErrors(result.response)) {
      failure = this.#refused(error)
      if (error !== Errors.TOPIC_AUTHORIZATION_FAILED) break
    }
    return failure
  }

  #refused(error: ErrorCode): Failure {
    switch (error) {
      case Errors.COORDINATOR_NOT_AVAILABLE:
      case Errors.NOT_COORDINATOR:
      case Errors.REQUEST_TIMED_OUT:
        this.#channel.forget()
        return failureOf(error)
      case Errors.COORDINATOR_LOAD_IN_PROGRESS:
      case Errors.UNKNOWN_TOPIC_OR_PARTITION:
        return failureOf(error)
      case Errors.UNKNOWN_MEMBER_ID:
        return COMMIT_FAILED
      case Errors.STALE_MEMBER_EPOCH:
        return { error: errorName(error), retriable: false, isStale: true }
      default:
        return { error: errorName(error), retriable: false, isStale: false }
    }
  }

  // ── fetch ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Asks what is committed, until it is known, cannot be, or the time is over. */
  fetch(
    partitions: readonly string[],
    done: (error: string | undefined, found: Committed) => void,
    timeoutMs: Millis,
  ): void {
    if (partitions.length === 0) return done(undefined, NOTHING)
    const deadline = new Deadline(this.#env, timeoutMs)
    const state = new RequestState(this.#env, this.#config)
    const request: Waiting = {
      state,
      deadline,
      fail: ({ error }) => done(error, NOTHING),
      send: () => {
        const { memberId, epoch } = this.#member
        const member = { memberId: epoch === undefined ? null : memberId, memberEpoch: epoch ?? -1 }
        const body = offsetFetchRequest(this.#groupId, member, partitions)
        const answered = (result: RpcResult<'OffsetFetch'>): void => {
          if (this.#isClosed) return
          const read = result.ok ? readOffsetFetch(result.response, this.#groupId) : LOST
          if ('found' in read) {
            this.#remove(request)
            state.succeeded()
            done(undefined, read.found)
          } else {
            state.failed()
            this.#fetchFailed(request, read.error, read.isOfGroup, done)
          }
          this.#changed()
        }
        this.#channel.send('OffsetFetch', body, answered, { version: OFFSETS_VERSION })
      },
    }
    this.#waiting.push(request)
    this.#changed()
  }

  #fetchFailed(
    request: Waiting,
    error: ErrorCode,
    isOfGroup: boolean,
    done: (error: string | undefined, found: Committed) => void,
  ): void {
    if (error === Errors.NOT_COORDINATOR || error === Errors.COORDINATOR_NOT_AVAILABLE) this.#channel.forget()
    const isStale = error === Errors.STALE_MEMBER_EPOCH && this.#member.epoch !== undefined
    const mayRetry = isStale || (isOfGroup ? isRetriable(error) : error === Errors.UNSTABLE_OFFSET_COMMIT)
    if (mayRetry && request.deadline?.isOver !== true) return
    this.#remove(request)
    done(mayRetry ? TIMED_OUT : errorName(error), NOTHING)
  }

  close(): void {
    this.#isClosed = true
    this.#waiting = []
  }

  #remove(request: Waiting): void {
    this.#waiting = this.#waiting.filter((other) => other !== request)
  }
}

const LOST = { error: Errors.NETWORK_EXCEPTION, isOfGroup: true } as const

function failureOf(error: ErrorCode): Failure {
  return { error: errorName(error), retriable: isRetriable(error), isStale: false }
}
