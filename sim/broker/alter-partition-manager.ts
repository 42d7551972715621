/**
 * Carries ISR changes to the controller (Kafka's `DefaultAlterPartitionManager`, KIP-497).
 *
 * At most one change for each partition, and one request for the broker, are on their way. What comes meanwhile goes
 * with the next request. A change stays queued until an answer names its partition: a top-level error, a failed
 * exchange or an answer without the partition sends it again.
 *
 *   idle      ──submit──────────────────────────────→ in flight (everything queued, in order of submission)
 *   in flight ──answer──────────────────────────────→ idle, or in flight again at once when something is queued
 *   in flight ──top-level error or failed exchange──→ idle for 50 ms, then in flight again
 *
 * The current broker epoch goes into every request, so a request that was refused for a stale one is right the next
 * time.
 */

import type { Env } from '../kernel/env.js'
import type { Epoch, Millis, NodeId } from '../kernel/units.js'
import { Errors } from '../wire/errors.js'
import type { AlterPartitionRequest, AlterPartitionResponse } from '../wire/messages/alter-partition.js'
import type { AlterPartitionResult, LeaderAndIsr, LeaderRecoveryState } from './isr-state.js'

export interface TopicIdPartition {
  readonly topicId: string
  readonly topic: string
  readonly index: number
}

/** How an exchange with the active controller ended. */
export type AlterPartitionExchange =
  { readonly ok: true; readonly response: AlterPartitionResponse } | { readonly ok: false; readonly reason: string }

export interface AlterPartitionOptions {
  readonly brokerId: NodeId
  readonly brokerEpoch: () => Epoch
  /** The broker's channel to the active controller. `done` comes at most once. */
  readonly send: (body: AlterPartitionRequest, done: (result: AlterPartitionExchange) => void) => void
}

type Done = (result: AlterPartitionResult) => void

/** Who carries ISR changes to where they are decided. */
export interface IsrChanges {
  /**
   * Asks for a new ISR. `done` comes once: at once with OPERATION_NOT_ATTEMPTED while another change of the partition is under way, else
   * with the decision.
   */
  submit(partition: TopicIdPartition, leaderAndIsr: LeaderAndIsr, done: Done): void
}

interface Item {
  readonly partition: TopicIdPartition
  readonly leaderAndIsr: LeaderAndIsr
  readonly done: Done
}

const RETRY_MS: Millis = 50

export class AlterPartitionManager implements IsrChanges {
  readonly #env: Env
  readonly #options: AlterPartitionOptions
  readonly #queued = new Map<string, Item>()
  #inFlight = false

  constructor(env: Env, options: AlterPartitionOptions) {
    this.#env = env
    this.#options = options
  }

  submit(partition: TopicIdPartition, leaderAndIsr: LeaderAndIsr, done: Done): void {
    const key = keyOf(partition.topicId, partition.index)
    if (this.#queued.has(key)) return done({ ok: false, error: Errors.OPERATION_NOT_ATTEMPTED })
    this.#queued.set(key, { partition, leaderAndIsr, done })
    this.#propagate()
  }

  #propagate(): void {
    if (this.#inFlight || this.#queued.size === 0) return
    this.#inFlight = true
    const items = [...this.#queued.values()]
    this.#options.send(this.#request(items), (result) => this.#complete(items, result))
  }

  #complete(items: readonly Item[], result: AlterPartitionExchange): void {
    if (result.ok && result.response.errorCode === Errors.NONE) {
      // Still in flight meanwhile: what the callbacks submit goes out together.
      this.#dispatch(items, result.response)
      this.#inFlight = false
      this.#propagate()
    } else {
      this.#inFlight = false
      this.#env.after(RETRY_MS, () => this.#propagate())
    }
  }

  #dispatch(items: readonly Item[], response: AlterPartitionResponse): void {
    const results = new Map<string, AlterPartitionResult>()
    for (const topic of response.topics) {
      for (const partition of topic.partitions) {
        const key = keyOf(topic.topicId, partition.partitionIndex)
        if (partition.errorCode !== Errors.NONE) results.set(key, { ok: false, error: partition.errorCode })
        else if (isRecoveryState(partition.leaderRecoveryState)) {
          results.set(key, {
            ok: true,
            leader: partition.leaderId,
            leaderEpoch: partition.leaderEpoch,
            isr: partition.isr,
            leaderRecoveryState: partition.leaderRecoveryState,
            partitionEpoch: partition.partitionEpoch,
          })
        } else results.set(key, { ok: false, error: Errors.UNKNOWN_SERVER_ERROR })
      }
    }
    for (const item of items) {
      const key = keyOf(item.partition.topicId, item.partition.index)
      const result = results.get(key)
      if (result === undefined) continue
      // Before the callback, which may submit the next change.
      this.#queued.delete(key)
      item.done(result)
    }
  }

  #request(items: readonly Item[]): AlterPartitionRequest {
    const topics = new Map<string, Item[]>()
    for (const item of items) {
      const group = topics.get(item.partition.topicId)
      if (group === undefined) topics.set(item.partition.topicId, [item])
      else group.push(item)
    }
    return {
      brokerId: this.#options.brokerId,
      brokerEpoch: this.#options.brokerEpoch(),
      topics: [...topics].map(([topicId, group]) => ({
        topicId,
        partitions: group.map(({ partition, leaderAndIsr }) => ({
          partitionIndex: partition.index,
          leaderEpoch: leaderAndIsr.leaderEpoch,
          newIsr: [],
          newIsrWithEpochs: leaderAndIsr.isr,
          leaderRecoveryState: leaderAndIsr.leaderRecoveryState,
          partitionEpoch: leaderAndIsr.partitionEpoch,
        })),
      })),
    }
  }
}

function keyOf(topicId: string, index: number): string {
  return `${topicId}/${index}`
}

function isRecoveryState(value: number): value is LeaderRecoveryState {
  return value === 0 || value === 1
}
