/**
 * Committed offsets of a member of a classic group, or of a consumer that assigns itself (the offsets half of Kafka's ConsumerCoordinator).
 *
 * - commitSync tries again, with backoff, until it works, cannot work, or its time is over. commitAsync and the automatic commit try once.
 * - Callbacks of asynchronous commits are called within the application's next call, in the order in which they were answered.
 * - Offsets are committed in the generation of a stable group only. Refused ones tell what is wrong with the member: it must join again,
 *   or has been replaced by another one for good.
 */

import type { Env, EnvTimer } from '../../kernel/env.js'
import type { Millis } from '../../kernel/units.js'
import { Errors, errorName, isRetriable, type ErrorCode } from '../../wire/errors.js'
import type { ConsumerConfig } from '../consumer-config.js'
import { Deadline } from '../deadline.js'
import { ExponentialBackoff } from '../exponential-backoff.js'
import type { SubscriptionState } from '../subscription-state.js'
import type { ClassicMember, Generation } from './classic-member.js'
import { NO_GENERATION } from './classic-member.js'
import { CommitReporter } from './commit-reporter.js'
import type { CoordinatorChannel } from './coordinator-channel.js'
import type { CoordinatorLookup } from './coordinator-lookup.js'
import type { CommitDone, CommitHow, Committed } from './group-types.js'
import {
  commitErrors,
  NO_IDENTITY,
  offsetCommitRequest,
  offsetFetchRequest,
  OFFSETS_VERSION,
  readOffsetFetch,
} from './offset-requests.js'
import type { Offsets } from './offset-commits.js'

/** What one OffsetCommit or OffsetFetch came to: Kafka's name of the error, and whether another attempt may mend it. */
export interface Failure {
  readonly error: string
  readonly retriable: boolean
}

/** An asynchronous commit, from when it was asked for until its callback. */
export interface AsyncCommit {
  isDone: boolean
  failure: Failure | undefined
}

type FetchOutcome = { readonly found: Committed } | { readonly failure: Failure }

/** OffsetFetch under way, for a set of partitions in a generation. */
interface PendingFetch {
  readonly key: string
  readonly generation: Generation | undefined
  outcome: FetchOutcome | undefined
}

const TIMED_OUT = errorName(Errors.REQUEST_TIMED_OUT)

export class ClassicOffsets {
  readonly #env: Env
  readonly #groupId: string
  readonly #channel: CoordinatorChannel
  readonly #lookup: CoordinatorLookup
  readonly #member: ClassicMember
  readonly #subscriptions: SubscriptionState
  readonly #backoff: ExponentialBackoff
  readonly #reporter: CommitReporter
  readonly #wake: () => void
  #inFlightAsync = 0
  /** Asynchronous commits that wait for a coordinator. */
  #pendingAsync = 0
  #completed: (() => void)[] = []
  #isFenced = false
  #fetch: PendingFetch | undefined
  /** Calls of the application that wait for an answer. */
  #waiting = new Set<() => void>()
  #isClosed = false

  constructor(
    env: Env,
    config: ConsumerConfig,
    channel: CoordinatorChannel,
    lookup: CoordinatorLookup,
    member: ClassicMember,
    subscriptions: SubscriptionState,
    wake: () => void,
  ) {
    this.#env = env
    this.#groupId = config['group.id']
    this.#channel = channel
    this.#lookup = lookup
    this.#member = member
    this.#subscriptions = subscriptions
    this.#wake = wake
    this.#backoff = new ExponentialBackoff(config['retry.backoff.ms'], config['retry.backoff.max.ms'], env.random)
    this.#reporter = new CommitReporter(env, this.#groupId)
  }

  /** The application waits within a call. */
  get hasWaiting(): boolean {
    return this.#waiting.size > 0
  }

  get hasPendingAsync(): boolean {
    return this.#pendingAsync > 0
  }

  /** Something happened: calls that wait look again. */
  look(): void {
    for (const again of [...this.#waiting]) again()
  }

  /** Calls the callbacks of commits that were answered. Another consumer may have taken this one's place for good. */
  invokeCallbacks(): string | undefined {
    if (this.#isFenced) return errorName(Errors.FENCED_INSTANCE_ID)
    while (this.#completed.length > 0) {
      const callbacks = this.#completed
      this.#completed = []
      for (const callback of callbacks) callback()
    }
    return undefined
  }

  // ── commit ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** One attempt. Returns the commit, unless it has to wait for a coordinator first. */
  commitAsync(offsets: Offsets, how: CommitHow, done: (failure: Failure | undefined) => void): AsyncCommit | undefined {
    this.invokeCallbacks()
    const report = this.#reporter.asked(how, offsets)
    const finish = (failure: Failure | undefined): void => {
      report(failure?.error)
      done(failure)
    }
    if (offsets.size === 0 || this.#channel.isKnown) return this.#sendAsync(offsets, finish)
    this.#pendingAsync++
    this.#lookup.once((error) => {
      if (this.#isClosed) return
      this.#pendingAsync--
      if (error === Errors.NONE) this.#sendAsync(offsets, finish)
      else this.#completed.push(() => finish({ error: errorName(error), retriable: true }))
      this.#wake()
    })
    return undefined
  }

  #sendAsync(offsets: Offsets, done: (failure: Failure | undefined) => void): AsyncCommit {
    const commit: AsyncCommit = { isDone: false, failure: undefined }
    this.#inFlightAsync++
    this.#send(offsets, (failure) => {
      this.#inFlightAsync--
      commit.isDone = true
      commit.failure = failure
      this.#completed.push(() => done(failure))
      if (failure?.error === errorName(Errors.FENCED_INSTANCE_ID)) this.#isFenced = true
      this.#wake()
    })
    return commit
  }

  /** Attempts until it works, cannot work, or the time is over. */
  commitSync(offsets: Offsets, how: CommitHow, done: CommitDone, timeoutMs: Millis): void {
    const fenced = this.invokeCallbacks()
    if (fenced !== undefined) {
      this.#env.soon(() => done(fenced))
      return
    }
    const report = this.#reporter.asked(how, offsets)
    const deadline = new Deadline(this.#env, timeoutMs)
    let attempts = 0
    let isSleeping = false
    let isSent = false
    let isOver = false
    const finish = (error: string | undefined): void => {
      isOver = true
      timer.cancel()
      this.#waiting.delete(again)
      const outcome = error ?? this.invokeCallbacks()
      report(outcome)
      this.#env.soon(() => done(outcome))
    }
    const answered = (failure: Failure | undefined): void => {
      if (isOver) return
      isSent = false
      if (failure === undefined) return finish(undefined)
      if (!failure.retriable) return finish(failure.error)
      isSleeping = true
      this.#env.after(this.#backoff.backoff(attempts++), () => {
        isSleeping = false
        again()
      })
    }
    const again = (): void => {
      if (isOver || this.#isClosed || isSent || isSleeping) return
      if (offsets.size === 0) {
        this.invokeCallbacks()
        if (this.#inFlightAsync === 0) finish(undefined)
        return
      }
      const ready = this.#lookup.ensure()
      if (ready === 'waiting') return
      if (ready !== 'ready') return finish(errorName(ready))
      isSent = true
      this.#send(offsets, answered)
    }
    const timer = this.#env.atWall(deadline.atMs, () => {
      if (!isOver) finish(offsets.size === 0 ? undefined : TIMED_OUT)
    })
    this.#waiting.add(again)
    // What lies there unread is read by every call.
    this.#member.drive()
    again()
  }

  /** One OffsetCommit; `done` comes by a later event. */
  #send(offsets: Offsets, done: (failure: Failure | undefined) => void): void {
    const later = (failure: Failure | undefined): void => this.#env.soon(() => !this.#isClosed && done(failure))
    if (offsets.size === 0) return later(undefined)
    if (!this.#channel.isKnown) return later(failureOf(Errors.COORDINATOR_NOT_AVAILABLE))
    const isAutomatic = this.#subscriptions.subscription.isAutomatic
    const generation = isAutomatic ? this.#member.stableGeneration : NO_GENERATION
    if (generation === undefined) {
      return later(this.#member.isRebalancing ? failureOf(Errors.REBALANCE_IN_PROGRESS) : COMMIT_FAILED)
    }
    const { id: epoch, memberId } = generation
    const identity = isAutomatic ? { epoch, memberId, instanceId: this.#member.instanceId } : NO_IDENTITY
    const body = offsetCommitRequest(this.#groupId, identity, offsets)
    this.#channel.send(
      'OffsetCommit',
      body,
      (result) => {
        if (this.#isClosed) return
        if (!result.ok) return done(failureOf(Errors.NETWORK_EXCEPTION))
        let failure: Failure | undefined
        for (const error of commitErrors(result.response)) {
          failure = this.#refused(error, generation)
          if (error !== Errors.TOPIC_AUTHORIZATION_FAILED) break
        }
        done(failure)
      },
      { version: OFFSETS_VERSION },
    )
  }

  /** What the coordinator's refusal means for the member. */
  #refused(error: ErrorCode, sent: Generation): Failure {
    const member = this.#member
    switch (error) {
      case Errors.COORDINATOR_NOT_AVAILABLE:
      case Errors.NOT_COORDINATOR:
      case Errors.REQUEST_TIMED_OUT:
        this.#channel.forget(true)
        return failureOf(error)
      case Errors.FENCED_INSTANCE_ID:
        if (member.generation === sent) return failureOf(error)
        return member.state === 'preparing rebalance' ? failureOf(Errors.REBALANCE_IN_PROGRESS) : COMMIT_FAILED
      case Errors.REBALANCE_IN_PROGRESS:
        member.requestRejoin('offset commit failed since group is already rebalancing')
        return failureOf(error)
      case Errors.UNKNOWN_MEMBER_ID:
      case Errors.ILLEGAL_GENERATION:
        if (member.generation !== sent && member.state === 'preparing rebalance') {
          return failureOf(Errors.REBALANCE_IN_PROGRESS)
        }
        member.resetOnCommitError(error)
        return COMMIT_FAILED
      case Errors.COORDINATOR_LOAD_IN_PROGRESS:
      case Errors.UNKNOWN_TOPIC_OR_PARTITION:
        return failureOf(error)
      default:
        return { error: errorName(error), retriable: false }
    }
  }

  // ── fetch ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** One look at what is committed for the partitions, within a call of the application that comes back until it is known. */
  fetchCommitted(
    partitions: readonly string[],
    attempts: FetchAttempts,
  ): 'waiting' | { error: string } | { found: Committed } {
    const generation = this.#member.stableGeneration
    const key = partitions.join(' ')
    if (this.#fetch !== undefined && (this.#fetch.key !== key || this.#fetch.generation !== generation)) {
      this.#fetch = undefined
    }
    if (attempts.isSleeping) return 'waiting'
    const ready = this.#lookup.ensure()
    if (ready !== 'ready') return ready === 'waiting' ? ready : { error: errorName(ready) }
    const fetch = this.#fetch ?? this.#sendFetch(partitions, key, generation)
    if (fetch.outcome === undefined) return 'waiting'
    this.#fetch = undefined
    if ('found' in fetch.outcome) return fetch.outcome
    const { error, retriable } = fetch.outcome.failure
    if (!retriable) return { error }
    attempts.sleep(this.#backoff)
    return 'waiting'
  }

  #sendFetch(partitions: readonly string[], key: string, generation: Generation | undefined): PendingFetch {
    const fetch: PendingFetch = { key, generation, outcome: undefined }
    this.#fetch = fetch
    const body = offsetFetchRequest(this.#groupId, { memberId: null, memberEpoch: -1 }, partitions)
    this.#channel.send(
      'OffsetFetch',
      body,
      (result) => {
        if (this.#isClosed) return
        fetch.outcome = result.ok
          ? this.#fetched(readOffsetFetch(result.response, this.#groupId))
          : { failure: failureOf(Errors.NETWORK_EXCEPTION) }
        this.#wake()
      },
      { version: OFFSETS_VERSION },
    )
    return fetch
  }

  #fetched(read: ReturnType<typeof readOffsetFetch>): FetchOutcome {
    if ('found' in read) return { found: read.found }
    const { error, isOfGroup } = read
    if (error === Errors.COORDINATOR_NOT_AVAILABLE || error === Errors.NOT_COORDINATOR) this.#channel.forget(true)
    const mayRetry = isOfGroup ? isRetriable(error) : error === Errors.UNSTABLE_OFFSET_COMMIT
    return { failure: { error: errorName(error), retriable: mayRetry } }
  }

  /** The application asks what is committed, until it is known or the time is over. */
  committed(
    partitions: readonly string[],
    done: (error: string | undefined, found: Committed) => void,
    timeoutMs: Millis,
  ): void {
    const attempts = new FetchAttempts(this.#env, () => again())
    let isOver = false
    const finish = (error: string | undefined, found: Committed): void => {
      isOver = true
      timer.cancel()
      attempts.end()
      this.#waiting.delete(again)
      this.#env.soon(() => done(error, found))
    }
    const again = (): void => {
      if (isOver || this.#isClosed) return
      const fetched = partitions.length === 0 ? { found: NOTHING } : this.fetchCommitted(partitions, attempts)
      if (fetched === 'waiting') return
      if ('error' in fetched) finish(fetched.error, NOTHING)
      else finish(undefined, fetched.found)
    }
    const timer = this.#env.atWall(new Deadline(this.#env, timeoutMs).atMs, () => finish(TIMED_OUT, NOTHING))
    this.#waiting.add(again)
    this.#member.drive()
    again()
  }

  close(): void {
    this.#isClosed = true
    this.#waiting.clear()
  }
}

/** The backoff between the attempts of one call. */
export class FetchAttempts {
  readonly #env: Env
  readonly #wake: () => void
  #count = 0
  #timer: EnvTimer | undefined

  constructor(env: Env, wake: () => void) {
    this.#env = env
    this.#wake = wake
  }

  get isSleeping(): boolean {
    return this.#timer !== undefined
  }

  sleep(backoff: ExponentialBackoff): void {
    this.#timer = this.#env.after(backoff.backoff(this.#count++), () => {
      this.#timer = undefined
      this.#wake()
    })
  }

  end(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#count = 0
  }
}

const NOTHING: Committed = new Map()

/** CommitFailedException: the member is not part of the group any more. */
const COMMIT_FAILED: Failure = { error: 'COMMIT_FAILED', retriable: false }

function failureOf(error: ErrorCode): Failure {
  return { error: errorName(error), retriable: isRetriable(error) }
}
