/**
 * Looking for the coordinator as Kafka's classic consumer does (AbstractCoordinator.ensureCoordinatorReady): within the application's calls,
 * which wait for it, and now and then by the heartbeat thread.
 *
 * A lookup that may succeed later is made again after a backoff and new metadata; what cannot be mended is told to the call that waits,
 * or to the next one.
 */

import type { Env, EnvTimer } from '../../kernel/env.js'
import { Errors, isRetriable, type ErrorCode } from '../../wire/errors.js'
import type { ClientMetadata } from '../client-metadata.js'
import type { ExponentialBackoff } from '../exponential-backoff.js'
import type { CoordinatorChannel } from './coordinator-channel.js'

/** One FindCoordinator, until its outcome is looked at. */
interface Lookup {
  error: ErrorCode | undefined
  readonly listeners: ((error: ErrorCode) => void)[]
}

/** After a failure: first the backoff, then metadata newer than this version. */
type Pause = { readonly timer: EnvTimer } | { readonly version: number }

export class CoordinatorLookup {
  readonly #env: Env
  readonly #channel: CoordinatorChannel
  readonly #metadata: ClientMetadata
  readonly #backoff: ExponentialBackoff
  readonly #wake: () => void
  #lookup: Lookup | undefined
  #pause: Pause | undefined
  #attempts = 0
  #fatal: ErrorCode | undefined

  constructor(
    env: Env,
    channel: CoordinatorChannel,
    metadata: ClientMetadata,
    backoff: ExponentialBackoff,
    wake: () => void,
  ) {
    this.#env = env
    this.#channel = channel
    this.#metadata = metadata
    this.#backoff = backoff
    this.#wake = wake
  }

  /** `ready`, `waiting`, or what the application must be told. Called again whenever something happened. */
  ensure(): 'ready' | 'waiting' | ErrorCode {
    if (this.#channel.isKnown) {
      this.endCall()
      return 'ready'
    }
    if (this.#isPausing()) return 'waiting'
    if (this.#fatal !== undefined) {
      const error = this.#fatal
      this.#fatal = undefined
      return error
    }
    const { error } = this.#begin()
    if (error === undefined) return 'waiting'
    this.#lookup = undefined
    if (error !== Errors.NONE && !isRetriable(error)) {
      this.#fatal = undefined
      return error
    }
    const timer = this.#env.after(this.#backoff.backoff(this.#attempts++), () => {
      // After a lookup that succeeded the coordinator itself could not be reached: metadata does not help.
      this.#pause = error === Errors.NONE ? undefined : { version: this.#metadata.updateVersion }
      if (error !== Errors.NONE) this.#metadata.requestUpdate()
      this.#wake()
    })
    this.#pause = { timer }
    return 'waiting'
  }

  /** The call that waited is over: the next one begins anew. */
  endCall(): void {
    if (this.#pause !== undefined && 'timer' in this.#pause) this.#pause.timer.cancel()
    this.#pause = undefined
    this.#attempts = 0
  }

  /** Looks once, unless that is under way; `done` with the outcome. */
  once(done: (error: ErrorCode) => void): void {
    const lookup = this.#begin()
    if (lookup.error === undefined) lookup.listeners.push(done)
    else {
      const { error } = lookup
      this.#env.soon(() => done(error))
    }
  }

  /** Every other time: what is under way is given up first. */
  fromHeartbeat(): void {
    if (this.#lookup === undefined) this.#begin()
    else this.#lookup = undefined
  }

  #isPausing(): boolean {
    if (this.#pause === undefined) return false
    if ('version' in this.#pause && this.#metadata.updateVersion > this.#pause.version) this.#pause = undefined
    return this.#pause !== undefined
  }

  #begin(): Lookup {
    if (this.#lookup !== undefined) return this.#lookup
    const lookup: Lookup = { error: undefined, listeners: [] }
    const asked = this.#channel.find((error) => {
      lookup.error = error
      if (error !== Errors.NONE && !isRetriable(error)) this.#fatal = error
      for (const listener of lookup.listeners) listener(error)
      this.#wake()
    })
    if (asked) this.#lookup = lookup
    // NoAvailableBrokersException.
    else lookup.error = Errors.LEADER_NOT_AVAILABLE
    return lookup
  }
}
