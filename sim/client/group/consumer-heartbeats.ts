/**
 * The heartbeats of a member of a KIP-848 group (Kafka's AbstractHeartbeatRequestManager, ConsumerHeartbeatRequestManager).
 *
 * A joining member says everything of itself, later heartbeats only what changed since the last one that was answered; after a failure everything is
 * said again. The coordinator decides on the interval. A heartbeat goes out at once when the member joins, leaves, or has taken an assignment over.
 * A member whose application does not poll for max.poll.interval.ms leaves.
 */

import type { Env } from '../../kernel/env.js'
import type { Millis } from '../../kernel/units.js'
import type { Apis } from '../../wire/apis.js'
import { Errors, errorName, type ErrorCode } from '../../wire/errors.js'
import type { ConsumerConfig } from '../consumer-config.js'
import { Deadline } from '../deadline.js'
import type { Subscription } from '../subscription.js'
import { byCodeUnit } from './assignor.js'
import type { ConsumerMembership } from './consumer-membership.js'
import type { CoordinatorChannel } from './coordinator-channel.js'
import type { LocalAssignment } from './local-assignment.js'
import { RequestState } from './request-state.js'

type Request = Apis['ConsumerGroupHeartbeat']['request']
type Response = Apis['ConsumerGroupHeartbeat']['response']

/** What the coordinator was told last. */
interface Said {
  rebalanceTimeoutMs: number
  topics: string | undefined
  regex: string | undefined
  assignor: string | undefined
  assignment: LocalAssignment | undefined
}

export class ConsumerHeartbeats {
  readonly #config: ConsumerConfig
  readonly #channel: CoordinatorChannel
  readonly #subscription: Subscription
  readonly #membership: ConsumerMembership
  readonly #raise: (error: ErrorCode) => void
  readonly #changed: () => void
  readonly #state: RequestState
  readonly #timer: Deadline
  readonly #pollTimer: Deadline
  #intervalMs: Millis = 0
  #said = nothingSaid()
  #isClosed = false

  constructor(
    env: Env,
    config: ConsumerConfig,
    channel: CoordinatorChannel,
    subscription: Subscription,
    membership: ConsumerMembership,
    hooks: {
      /** The application must know. */
      readonly raise: (error: ErrorCode) => void
      /** An answer came. */
      readonly changed: () => void
    },
  ) {
    this.#config = config
    this.#channel = channel
    this.#subscription = subscription
    this.#membership = membership
    this.#raise = hooks.raise
    this.#changed = hooks.changed
    this.#state = new RequestState(env, config)
    this.#timer = new Deadline(env, 0)
    this.#pollTimer = new Deadline(env, config['max.poll.interval.ms'])
  }

  /** How long the application may wait for records without looking at the group. */
  get applicationWaitMs(): Millis {
    if (this.#pollTimer.isOver || (this.#membership.heartbeatsNow && !this.#state.isInFlight)) return 0
    return Math.min(Math.floor(this.#pollTimer.remainingMs / 2), this.#timeToNextMs)
  }

  get #timeToNextMs(): Millis {
    return this.#timer.isOver ? this.#state.remainingBackoffMs : this.#timer.remainingMs
  }

  /** The application polled. */
  polled(): void {
    if (this.#pollTimer.isOver) this.#membership.rejoinIfStale()
    this.#pollTimer.reset(this.#config['max.poll.interval.ms'])
  }

  /** Sends what is due. Returns when to look again, by itself. */
  run(): Millis {
    const membership = this.#membership
    if (!this.#channel.isKnown || membership.skipsHeartbeat) {
      membership.heartbeatSkipped()
      return Infinity
    }
    if (this.#pollTimer.isOver && !membership.isLeaving) {
      membership.sendLeave(true)
      this.#send(true)
      this.#state.reset()
      this.#said = nothingSaid()
      return Infinity
    }
    const isNow = membership.state === 'leaving' || (membership.heartbeatsNow && !this.#state.isInFlight)
    if (isNow || (this.#timer.isOver && this.#state.canSend)) this.#send(false)
    const untilPollMs = membership.isLeaving ? Infinity : this.#pollTimer.remainingMs
    return Math.min(this.#state.isInFlight ? Infinity : Math.max(this.#timeToNextMs, 1), untilPollMs)
  }

  close(): void {
    this.#isClosed = true
  }

  #send(ignoresAnswer: boolean): void {
    const body = this.#request()
    this.#state.sent()
    this.#channel.send('ConsumerGroupHeartbeat', body, (result) => {
      if (this.#isClosed || ignoresAnswer) return
      if (!result.ok) {
        this.#state.failed()
        this.#timer.reset(0)
        this.#said = nothingSaid()
        this.#membership.heartbeatFailed()
      } else if (result.response.errorCode === Errors.NONE) this.#succeeded(result.response)
      else this.#refused(result.response.errorCode)
      this.#changed()
    })
    this.#membership.heartbeatSent()
    this.#timer.reset(this.#intervalMs)
  }

  #succeeded(response: Response): void {
    if (this.#intervalMs !== response.heartbeatIntervalMs) {
      this.#intervalMs = response.heartbeatIntervalMs
      this.#timer.reset(this.#intervalMs)
    }
    this.#state.succeeded()
    this.#membership.answered(response)
  }

  #refused(error: ErrorCode): void {
    this.#said = nothingSaid()
    this.#state.failed()
    this.#timer.reset(0)
    switch (error) {
      case Errors.NOT_COORDINATOR:
      case Errors.COORDINATOR_NOT_AVAILABLE:
        this.#channel.forget()
        this.#state.reset()
        break
      case Errors.COORDINATOR_LOAD_IN_PROGRESS:
        break
      case Errors.TOPIC_AUTHORIZATION_FAILED:
        this.#raise(error)
        break
      case Errors.FENCED_MEMBER_EPOCH:
      case Errors.UNKNOWN_MEMBER_ID:
        this.#membership.fenced(errorName(error))
        this.#state.reset()
        break
      default:
        this.#raise(error)
        this.#membership.failed(errorName(error))
    }
    this.#membership.heartbeatFailed()
  }

  #request(): Request {
    const { memberId, epoch, state, instanceId, current } = this.#membership
    const saysAll = state === 'joining'
    const said = this.#said
    const next: Said = {
      rebalanceTimeoutMs: this.#config['max.poll.interval.ms'],
      topics: [...this.#subscription.subscribed].sort(byCodeUnit).join(' '),
      regex: this.#subscription.kind === 'regex' ? this.#subscription.regex : undefined,
      assignor: this.#config['group.remote.assignor'] === '' ? undefined : this.#config['group.remote.assignor'],
      assignment: current,
    }
    const isSameAssignment = said.assignment !== undefined && said.assignment.equals(current)
    const saysRegex = (saysAll && next.regex !== undefined) || next.regex !== said.regex
    const rack = this.#config['client.rack']
    this.#said = next
    return {
      groupId: this.#config['group.id'],
      memberId,
      memberEpoch: epoch,
      instanceId,
      rackId: saysAll && rack !== '' ? rack : null,
      rebalanceTimeoutMs: saysAll || said.rebalanceTimeoutMs !== next.rebalanceTimeoutMs ? next.rebalanceTimeoutMs : -1,
      subscribedTopicNames:
        saysAll || said.topics !== next.topics ? [...this.#subscription.subscribed].sort(byCodeUnit) : null,
      subscribedTopicRegex: saysRegex ? (next.regex ?? '') : null,
      serverAssignor: saysAll || said.assignor !== next.assignor ? (next.assignor ?? null) : null,
      topicPartitions: saysAll || !isSameAssignment ? current.toTopicPartitions() : null,
    }
  }
}

function nothingSaid(): Said {
  return { rebalanceTimeoutMs: -1, topics: undefined, regex: undefined, assignor: undefined, assignment: undefined }
}
