/**
 * A broker's life as the controller quorum sees it (`BrokerLifecycleManager`, KIP-631): registration, heartbeats, fencing and
 * controlled shutdown. It owns the broker's state and its broker epoch, and never more than one request is in flight.
 *
 *   NOT_RUNNING ─start─→ STARTING ─caught up─→ RECOVERY ─unfenced─→ RUNNING ─stop─→ PENDING_CONTROLLED_SHUTDOWN
 *        └────────────────────┴─────────────────────┴────────────────────┴───────────────┴─────→ SHUTTING_DOWN
 *
 * Registration is repeated until it succeeds, one `broker.heartbeat.interval.ms` after each failure; when it has not succeeded
 * after `initial.broker.registration.timeout.ms` the broker shuts down. From then on there is a heartbeat every interval, sooner
 * at four places: right after registration, 10 ms after an answer in STARTING, when the broker becomes ready to be unfenced, and
 * when controlled shutdown begins (and again 50 ms after its first answer). Errors of heartbeats (a stale broker epoch among
 * them) change nothing: the broker tries again. A broker that is fenced while RUNNING stays RUNNING.
 */

import type { Env, EnvTimer } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import { type NodeName } from '../kernel/names.js'
import type { Millis, NodeId, Offset } from '../kernel/units.js'
import type { Apis } from '../wire/apis.js'
import { Errors } from '../wire/errors.js'
import type { ChannelResult, ControllerSender } from './controller-channel.js'

/** Kafka's `BrokerState`. */
export type BrokerState =
  'NOT_RUNNING' | 'STARTING' | 'RECOVERY' | 'RUNNING' | 'PENDING_CONTROLLED_SHUTDOWN' | 'SHUTTING_DOWN'

const TRANSITIONS: Readonly<Record<BrokerState, readonly BrokerState[]>> = {
  NOT_RUNNING: ['STARTING', 'SHUTTING_DOWN'],
  STARTING: ['RECOVERY', 'SHUTTING_DOWN'],
  RECOVERY: ['RUNNING', 'SHUTTING_DOWN'],
  RUNNING: ['PENDING_CONTROLLED_SHUTDOWN', 'SHUTTING_DOWN'],
  PENDING_CONTROLLED_SHUTDOWN: ['SHUTTING_DOWN'],
  SHUTTING_DOWN: [],
}

/** What the broker is told; each comes at most once. */
export interface LifecycleListener {
  /** The controller acknowledged that this broker has caught up with its own registration. */
  onCaughtUp(): void
  /** The controller unfenced the broker for the first time. */
  onUnfenced(): void
  /** SHUTTING_DOWN was reached: approved by the controller, asked for, or given up (`reason`). */
  onShuttingDown(reason: ShutdownReason): void
}

export type ShutdownReason = 'approved' | 'asked' | 'registration-timeout'

export interface BrokerLifecycleOptions {
  readonly brokerId: NodeId
  readonly clusterId: string
  readonly host: NodeName
  readonly port: number
  readonly rack: string | null
  /** Kafka's `Uuid` of this run of the broker. */
  readonly incarnationId: string
  /** The ids of the log directories. */
  readonly logDirs: readonly string[]
  /** Feature levels that this broker supports. */
  readonly features: ReadonlyMap<string, { readonly min: number; readonly max: number }>
  /** The epoch in the clean shutdown file of the previous run, or -1 (KIP-966). */
  readonly previousBrokerEpoch: number
  readonly heartbeatIntervalMs: Millis
  readonly initialRegistrationTimeoutMs: Millis
  /** The offset of the last metadata record that was applied; -1 for none. */
  readonly highestMetadataOffset: () => Offset
  /** A channel of the lifecycle's own; shut down with it. */
  readonly channel: ControllerSender
  readonly listener: LifecycleListener
}

const STARTING_HEARTBEAT_MS: Millis = 10
const FIRST_SHUTDOWN_HEARTBEAT_MS: Millis = 50

export class BrokerLifecycle {
  readonly #env: Env
  readonly #options: BrokerLifecycleOptions
  #state: BrokerState = 'NOT_RUNNING'
  #brokerEpoch = -1
  #registered = false
  #everRegistered = false
  #readyToUnfence = false
  #gotControlledShutdownResponse = false
  #inFlight = false
  /** Something asked for an immediate request while one was in flight. */
  #hurry = false
  #communication: EnvTimer | undefined
  #registrationTimeout: EnvTimer | undefined

  constructor(env: Env, options: BrokerLifecycleOptions) {
    this.#env = env
    this.#options = options
  }

  get state(): BrokerState {
    return this.#state
  }

  /** The broker epoch of the registration, or -1 before there is one. */
  get brokerEpoch(): number {
    return this.#brokerEpoch
  }

  /** Registers, and keeps the registration alive. */
  start(): void {
    this.#become('STARTING', 'start')
    const timeout = this.#options.initialRegistrationTimeoutMs
    this.#registrationTimeout = this.#env.after(timeout, () => {
      if (!this.#everRegistered) this.#shutDown('registration-timeout')
    })
    this.#sendRegistration()
  }

  /** From now on heartbeats ask to be unfenced. */
  setReadyToUnfence(): void {
    if (this.#state === 'SHUTTING_DOWN') return
    this.#readyToUnfence = true
    this.#schedule(0)
  }

  /** Registers once more, with the same incarnation (the metadata version made directories known). */
  resendRegistration(): void {
    if (this.#state === 'SHUTTING_DOWN') return
    this.#registered = false
    this.#schedule(0)
  }

  /** Asks the controller to move leadership away; in any state but RUNNING this is `beginShutdown`. */
  beginControlledShutdown(): void {
    if (this.#state === 'PENDING_CONTROLLED_SHUTDOWN') return
    if (this.#state !== 'RUNNING') return this.beginShutdown()
    this.#become('PENDING_CONTROLLED_SHUTDOWN', 'stop')
    this.#schedule(0)
  }

  /** Ends heartbeats at once. */
  beginShutdown(): void {
    this.#shutDown('asked')
  }

  #shutDown(reason: ShutdownReason): void {
    if (this.#state === 'SHUTTING_DOWN') return
    this.#become('SHUTTING_DOWN', reason)
    this.#communication?.cancel()
    this.#registrationTimeout?.cancel()
    this.#options.channel.shutdown()
    this.#options.listener.onShuttingDown(reason)
  }

  #become(state: BrokerState, reason: string): void {
    assert(TRANSITIONS[this.#state].includes(state), 'broker lifecycle: transition', { from: this.#state, to: state })
    const from = this.#state
    this.#state = state
    this.#env.emit('broker.state', { from, to: state, brokerEpoch: this.#brokerEpoch, reason })
  }

  #schedule(delayMs: Millis): void {
    const delay = this.#hurry ? 0 : delayMs
    this.#hurry = false
    this.#communication?.cancel()
    this.#communication = this.#env.after(delay, () => this.#communicate())
  }

  #scheduleAfterFailure(): void {
    this.#hurry = false
    this.#schedule(this.#options.heartbeatIntervalMs)
  }

  #communicate(): void {
    if (this.#inFlight) this.#hurry = true
    else if (this.#registered) this.#sendHeartbeat()
    else this.#sendRegistration()
  }

  #sendRegistration(): void {
    const { brokerId, clusterId, incarnationId, host, port, rack, features, logDirs, previousBrokerEpoch, channel } =
      this.#options
    this.#inFlight = true
    const body: Apis['BrokerRegistration']['request'] = {
      brokerId,
      clusterId,
      incarnationId,
      listeners: [{ name: 'PLAINTEXT', host, port, securityProtocol: 0 }],
      features: [...features].map(([name, range]) => ({
        name,
        minSupportedVersion: range.min,
        maxSupportedVersion: range.max,
      })),
      rack,
      isMigratingZkBroker: false,
      logDirs,
      previousBrokerEpoch,
    }
    channel.send('BrokerRegistration', body, (result) => this.#onRegistration(result))
  }

  #onRegistration(result: ChannelResult<'BrokerRegistration'>): void {
    this.#inFlight = false
    if (!result.ok || result.response.errorCode !== Errors.NONE) return this.#scheduleAfterFailure()
    this.#brokerEpoch = result.response.brokerEpoch
    this.#registered = true
    this.#everRegistered = true
    this.#schedule(0)
  }

  #sendHeartbeat(): void {
    this.#inFlight = true
    const body: Apis['BrokerHeartbeat']['request'] = {
      brokerId: this.#options.brokerId,
      brokerEpoch: this.#brokerEpoch,
      currentMetadataOffset: this.#options.highestMetadataOffset(),
      wantFence: !this.#readyToUnfence,
      wantShutDown: this.#state === 'PENDING_CONTROLLED_SHUTDOWN',
      // A broker here has one log directory, and halts when it fails.
      offlineLogDirs: [],
    }
    this.#options.channel.send('BrokerHeartbeat', body, (result) => this.#onHeartbeat(result))
  }

  #onHeartbeat(result: ChannelResult<'BrokerHeartbeat'>): void {
    this.#inFlight = false
    if (!result.ok || result.response.errorCode !== Errors.NONE) return this.#scheduleAfterFailure()
    const { isCaughtUp, isFenced, shouldShutDown } = result.response
    const { heartbeatIntervalMs, listener } = this.#options
    switch (this.#state) {
      case 'STARTING':
        if (isCaughtUp) this.#become('RECOVERY', 'caught-up')
        this.#schedule(STARTING_HEARTBEAT_MS)
        if (isCaughtUp) listener.onCaughtUp()
        break
      case 'RECOVERY':
        if (!isFenced) this.#become('RUNNING', 'unfenced')
        this.#schedule(heartbeatIntervalMs)
        if (!isFenced) listener.onUnfenced()
        break
      case 'PENDING_CONTROLLED_SHUTDOWN': {
        const first = !this.#gotControlledShutdownResponse
        this.#gotControlledShutdownResponse = true
        if (shouldShutDown) this.#shutDown('approved')
        else this.#schedule(first ? FIRST_SHUTDOWN_HEARTBEAT_MS : heartbeatIntervalMs)
        break
      }
      default:
        this.#schedule(heartbeatIntervalMs)
    }
  }
}
