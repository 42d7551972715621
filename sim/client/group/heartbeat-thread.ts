/**
 * What Kafka's heartbeat thread does while the application is busy (AbstractCoordinator.HeartbeatThread).
 *
 *     disabled ── a JoinGroup was answered ──► enabled ── not joined any more, failed ──► disabled
 *
 * Enabled, it sends heartbeats, looks for a coordinator that was lost, drops one that does not answer within the session, and makes the
 * member leave when the application does not poll. It wakes when one of these is due, not every retry.backoff.ms as Kafka's does.
 */

import type { Env, EnvTimer } from '../../kernel/env.js'
import type { Millis } from '../../kernel/units.js'
import type { ErrorCode } from '../../wire/errors.js'
import type { Heartbeat } from './heartbeat.js'

export interface HeartbeatActions {
  /** The member waits for no answer to a JoinGroup. */
  readonly hasJoined: () => boolean
  readonly isCoordinatorKnown: () => boolean
  readonly findCoordinator: () => void
  readonly dropCoordinator: () => void
  readonly leave: () => void
  readonly send: () => void
}

export class HeartbeatThread {
  readonly #env: Env
  readonly #heartbeat: Heartbeat
  readonly #actions: HeartbeatActions
  readonly #retryBackoffMs: Millis
  #isEnabled = false
  #isClosed = false
  #timer: EnvTimer | undefined
  /** What ended it; the application's next poll is told. */
  failure: ErrorCode | undefined

  constructor(env: Env, heartbeat: Heartbeat, actions: HeartbeatActions, retryBackoffMs: Millis) {
    this.#env = env
    this.#heartbeat = heartbeat
    this.#actions = actions
    this.#retryBackoffMs = retryBackoffMs
  }

  get isEnabled(): boolean {
    return this.#isEnabled
  }

  enable(): void {
    this.#isEnabled = true
    this.#heartbeat.reset()
    this.look()
  }

  /** Something changed that may be due sooner than what it waits for. */
  look(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#isClosed || !this.#isEnabled) return
    if (!this.#actions.isCoordinatorKnown()) this.#timer = this.#env.after(this.#retryBackoffMs, this.#run)
    else this.#timer = this.#env.atWall(this.#heartbeat.nextAtMs, this.#run)
  }

  fail(error: ErrorCode): void {
    this.failure = error
    this.close()
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#timer = undefined
  }

  readonly #run = (): void => {
    this.#timer = undefined
    while (!this.#isClosed) {
      if (!this.#actions.hasJoined()) {
        this.#isEnabled = false
        return
      }
      if (!this.#actions.isCoordinatorKnown()) {
        this.#actions.findCoordinator()
        break
      }
      if (this.#heartbeat.isSessionOver) this.#actions.dropCoordinator()
      else if (this.#heartbeat.isPollOverdue) this.#actions.leave()
      else if (this.#heartbeat.isDue) {
        this.#heartbeat.sent()
        this.#actions.send()
      } else break
    }
    this.look()
  }
}
