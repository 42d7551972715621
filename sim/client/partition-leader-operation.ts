/**
 * Asks the leaders of partitions (Kafka's AdminApiDriver with PartitionLeaderStrategy).
 *
 *     lookup ── leader known ──► fulfilment ── answered ──► done
 *       ▲                            │
 *       └── leader moved, broker lost ◄┘   other retriable errors: fulfilment again
 *
 * Both stages are sent again after a backoff until the deadline.
 */

import { parsePartition, partitionName } from '../kernel/names.js'
import type { Millis, NodeId } from '../kernel/units.js'
import type { ApiName, Apis } from '../wire/apis.js'
import { Errors, errorName, isRetriable, type ErrorCode } from '../wire/errors.js'
import type { AdminCalls } from './admin-calls.js'
import type { AdminOperation } from './admin-operation.js'
import { metadataRequest } from './client-metadata.js'

/** What the leader answered for one partition. */
export interface PartitionAnswer<T> {
  readonly partition: string
  readonly error: ErrorCode
  readonly value: T
}

export interface LeaderRequest<A extends ApiName, T> {
  readonly api: A
  readonly request: (partitions: readonly string[], timeoutMs: Millis) => Apis[A]['request']
  readonly answers: (response: Apis[A]['response']) => readonly PartitionAnswer<T>[]
  /** The leader is another, or nobody: look it up again. */
  isUnmapped(error: ErrorCode): boolean
  /** Errors after which the same leader is asked again; those that are retriable unless given. */
  isRetried?(error: ErrorCode): boolean
}

/** Errors of a lookup that pass. */
const LOOKUP_RETRIES: ReadonlySet<ErrorCode> = new Set([
  Errors.UNKNOWN_TOPIC_OR_PARTITION,
  Errors.LEADER_NOT_AVAILABLE,
  Errors.BROKER_NOT_AVAILABLE,
  Errors.KAFKA_STORAGE_ERROR,
])

export class PartitionLeaderOperation<A extends ApiName, T> {
  readonly #calls: AdminCalls
  readonly #operation: AdminOperation<T>
  readonly #leaderRequest: LeaderRequest<A, T>
  readonly #deadlineMs: Millis

  constructor(calls: AdminCalls, operation: AdminOperation<T>, deadlineMs: Millis, request: LeaderRequest<A, T>) {
    this.#calls = calls
    this.#operation = operation
    this.#deadlineMs = deadlineMs
    this.#leaderRequest = request
  }

  start(): void {
    this.#lookUp(this.#operation.open, 0)
  }

  /** Asks this broker, whoever leads. */
  startAt(broker: NodeId): void {
    this.#fulfil(broker, this.#operation.open, 0)
  }

  #lookUp(partitions: readonly string[], tries: number): void {
    if (partitions.length === 0) return this.#operation.finishIfComplete()
    const topics = new Set(partitions.map((partition) => parsePartition(partition)?.topic ?? partition))
    this.#calls.call({
      api: 'Metadata',
      to: 'least loaded',
      deadlineMs: this.#deadlineMs,
      tries,
      request: () => metadataRequest([...topics], false),
      answered: (response) => {
        this.#lookedUp(partitions, response, tries)
        return undefined
      },
      failed: (error) => this.#fail(partitions, error),
    })
  }

  #lookedUp(partitions: readonly string[], response: Apis['Metadata']['response'], tries: number): void {
    const retry: string[] = []
    const byLeader = new Map<NodeId, string[]>()
    for (const partition of partitions) {
      const found = leaderOf(partition, response)
      if (found.error !== Errors.NONE && !LOOKUP_RETRIES.has(found.error)) {
        this.#operation.fail(partition, errorName(found.error))
      } else if (found.error !== Errors.NONE || found.leader < 0) {
        retry.push(partition)
      } else {
        const led = byLeader.get(found.leader)
        if (led === undefined) byLeader.set(found.leader, [partition])
        else led.push(partition)
      }
    }
    for (const [leader, led] of byLeader) this.#fulfil(leader, led, 0)
    if (retry.length > 0) this.#lookUp(retry, tries + 1)
    this.#operation.finishIfComplete()
  }

  #fulfil(leader: NodeId, partitions: readonly string[], tries: number): void {
    const { api, request, answers } = this.#leaderRequest
    this.#calls.call({
      api,
      to: leader,
      deadlineMs: this.#deadlineMs,
      tries,
      request: (timeoutMs) => request(partitions, timeoutMs),
      answered: (response) => {
        this.#answered(leader, partitions, answers(response), tries)
        return undefined
      },
      disconnected: () => {
        // The leader may be another by now.
        this.#lookUp(partitions, tries + 1)
        return true
      },
      failed: (error) => this.#fail(partitions, error),
    })
  }

  #answered(
    leader: NodeId,
    partitions: readonly string[],
    answers: readonly PartitionAnswer<T>[],
    tries: number,
  ): void {
    const unmapped: string[] = []
    const retry: string[] = []
    const answered = new Set<string>()
    for (const { partition, error, value } of answers) {
      answered.add(partition)
      if (error === Errors.NONE) this.#operation.succeed(partition, value)
      else if (this.#leaderRequest.isUnmapped(error)) unmapped.push(partition)
      else if (this.#isRetried(error)) retry.push(partition)
      else this.#operation.fail(partition, errorName(error))
    }
    for (const partition of partitions)
      if (!answered.has(partition)) this.#operation.fail(partition, 'UNKNOWN_SERVER_ERROR')
    if (unmapped.length > 0) this.#lookUp(unmapped, tries + 1)
    if (retry.length > 0) this.#fulfil(leader, retry, tries + 1)
    this.#operation.finishIfComplete()
  }

  #isRetried(error: ErrorCode): boolean {
    return this.#leaderRequest.isRetried?.(error) ?? isRetriable(error)
  }

  #fail(partitions: readonly string[], error: string): void {
    for (const partition of partitions) this.#operation.fail(partition, error)
    this.#operation.finishIfComplete()
  }
}

function leaderOf(partition: string, response: Apis['Metadata']['response']): { error: ErrorCode; leader: NodeId } {
  for (const topic of response.topics) {
    for (const each of topic.partitions) {
      if (partitionName(topic.name ?? '', each.partitionIndex) === partition) {
        return { error: each.errorCode, leader: each.leaderId }
      }
    }
    if (topic.errorCode !== Errors.NONE && parsePartition(partition)?.topic === topic.name) {
      return { error: topic.errorCode, leader: -1 }
    }
  }
  return { error: Errors.UNKNOWN_TOPIC_OR_PARTITION, leader: -1 }
}
