/**
 * Producer ids for idempotent producers (`RPCProducerIdManager`, KIP-730).
 *
 * Ids come from blocks of 1000 that the controller hands out (AllocateProducerIds) and records in the metadata log, so no id is
 * ever given twice. The next block is asked for when 90 % of the current one is used; without one, the caller is told
 * COORDINATOR_LOAD_IN_PROGRESS and retries. A failed request is repeated by the next caller, 50 ms later at the earliest.
 */

import type { Clock } from '../kernel/env.js'
import { LONG_MAX, type Millis, type NodeId } from '../kernel/units.js'
import type { Apis } from '../wire/apis.js'
import { type ErrorCode, Errors } from '../wire/errors.js'
import type { ControllerSender } from './controller-channel.js'

const RETRY_BACKOFF_MS: Millis = 50
const PREFETCH_THRESHOLD = 0.9
const NO_RETRY = -1

/** Ids in [first, first + size); `next` is handed out next. */
interface Block {
  readonly first: number
  readonly size: number
  next: number
}

export type ProducerIdResult =
  { readonly error: typeof Errors.NONE; readonly producerId: number } | { readonly error: ErrorCode }

export class ProducerIdManager {
  readonly #brokerId: NodeId
  readonly #brokerEpoch: () => number
  readonly #clock: Clock
  readonly #channel: ControllerSender
  #current: Block = { first: 0, size: 0, next: 0 }
  #next: Block | undefined
  #requestInFlight = false
  #backoffDeadlineMs = NO_RETRY

  constructor(brokerId: NodeId, brokerEpoch: () => number, clock: Clock, channel: ControllerSender) {
    this.#brokerId = brokerId
    this.#brokerEpoch = brokerEpoch
    this.#clock = clock
    this.#channel = channel
  }

  /** A producer id never given before, or COORDINATOR_LOAD_IN_PROGRESS. */
  generate(): ProducerIdResult {
    for (;;) {
      const block = this.#current
      if (block.next < block.first + block.size) {
        const producerId = block.next++
        if (producerId === block.first + Math.floor(block.size * PREFETCH_THRESHOLD)) this.#maybeRequestBlock()
        return { error: Errors.NONE, producerId }
      }
      if (this.#next === undefined) {
        this.#maybeRequestBlock()
        return { error: Errors.COORDINATOR_LOAD_IN_PROGRESS }
      }
      this.#current = this.#next
      this.#next = undefined
      this.#requestInFlight = false
    }
  }

  #maybeRequestBlock(): void {
    if (this.#backoffDeadlineMs !== NO_RETRY && this.#clock.wallMs() < this.#backoffDeadlineMs) return
    if (this.#next !== undefined || this.#requestInFlight) return
    this.#requestInFlight = true
    this.#backoffDeadlineMs = NO_RETRY
    const body = { brokerId: this.#brokerId, brokerEpoch: this.#brokerEpoch() }
    this.#channel.send('AllocateProducerIds', body, (result) => {
      if (result.ok) this.#onResponse(result.response)
      else this.#requestInFlight = false
    })
  }

  #onResponse(response: Apis['AllocateProducerIds']['response']): void {
    const { errorCode, producerIdStart, producerIdLen } = response
    const sane =
      producerIdStart >= this.#current.first + this.#current.size - 1 &&
      producerIdStart >= 0 &&
      producerIdLen >= 0 &&
      producerIdStart <= LONG_MAX - producerIdLen
    if (errorCode === Errors.NONE && sane) {
      this.#next = { first: producerIdStart, size: producerIdLen, next: producerIdStart }
      return
    }
    this.#backoffDeadlineMs = this.#clock.wallMs() + RETRY_BACKOFF_MS
    this.#requestInFlight = false
  }
}
