/**
 * Finds positions: by reset policy through ListOffsets, and checks them against a new leader through OffsetForLeaderEpoch
 * (Kafka's OffsetFetcher, OffsetFetcherUtils; KIP-320).
 *
 * One lookup per broker for all partitions that need it; a partition is asked about again `retry.backoff.ms` after a failure. A
 * position whose epoch the leader does not know, or which lies beyond where that epoch ends there, was truncated: it is
 * reset by policy, or to where the logs part; without a policy the application is told.
 */

import type { Env } from '../kernel/env.js'
import type { Millis, Offset } from '../kernel/units.js'
import type { Apis } from '../wire/apis.js'
import { Errors, errorName } from '../wire/errors.js'
import type { ClientMetadata } from './client-metadata.js'
import type { ClusterClient } from './cluster-client.js'
import type { ConsumerConfig } from './consumer-config.js'
import type { ConsumerError } from './fetcher.js'
import type { ClusterNode } from './metadata-snapshot.js'
import {
  unknownEpoch,
  type AssignedPartition,
  type FetchPosition,
  type ResetStrategy,
  type SubscriptionState,
} from './subscription-state.js'

type ListOffsetsResponse = Apis['ListOffsets']['response']
type EpochResponse = Apis['OffsetForLeaderEpoch']['response']

/** ListOffsets' timestamps with a meaning. */
const LATEST_TIMESTAMP = -1
const EARLIEST_TIMESTAMP = -2

interface Reset {
  readonly partition: AssignedPartition
  readonly strategy: ResetStrategy
}

interface Validation {
  readonly partition: AssignedPartition
  readonly position: FetchPosition
}

export class OffsetResolver {
  readonly #env: Env
  readonly #subscriptions: SubscriptionState
  readonly #metadata: ClientMetadata
  readonly #cluster: ClusterClient
  readonly #requestTimeoutMs: Millis
  readonly #retryBackoffMs: Millis
  readonly #isolationLevel: 0 | 1
  #checkedVersion = -1
  #error: ConsumerError | undefined

  constructor(
    env: Env,
    config: ConsumerConfig,
    subscriptions: SubscriptionState,
    metadata: ClientMetadata,
    cluster: ClusterClient,
  ) {
    this.#env = env
    this.#subscriptions = subscriptions
    this.#metadata = metadata
    this.#cluster = cluster
    this.#requestTimeoutMs = config['request.timeout.ms']
    this.#retryBackoffMs = config['retry.backoff.ms']
    this.#isolationLevel = config['isolation.level'] === 'read_committed' ? 1 : 0
  }

  /** Checks every position against its leader, once for each new state of the metadata. */
  validateOnMetadataChange(): void {
    if (this.#checkedVersion === this.#metadata.updateVersion) return
    this.#checkedVersion = this.#metadata.updateVersion
    for (const partition of this.#subscriptions.assigned()) {
      partition.maybeValidate(this.#metadata.currentLeader(partition.topic, partition.index))
    }
  }

  /** Goes on checking positions. Returns what the application must be told, once. */
  validate(): ConsumerError | undefined {
    const raised = this.#error
    this.#error = undefined
    if (raised !== undefined) return raised
    this.validateOnMetadataChange()
    this.#validate(this.#env.clock.wallMs())
    return undefined
  }

  /** Goes on finding positions where there are none. Returns what the application must be told. */
  reset(): ConsumerError | undefined {
    if (this.#subscriptions.hasAllPositions()) return undefined
    const missing = this.#resetInitializing()
    if (missing !== undefined) return missing
    this.#reset(this.#env.clock.wallMs())
    return undefined
  }

  // ── reset ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #resetInitializing(): ConsumerError | undefined {
    const strategy = this.#subscriptions.defaultReset
    for (const partition of this.#subscriptions.assigned()) {
      if (partition.state !== 'initializing') continue
      if (strategy === undefined) return { partition: partition.name, error: 'NO_OFFSET_FOR_PARTITION' }
      partition.reset(strategy)
    }
    return undefined
  }

  #reset(nowMs: Millis): void {
    const byNode = new Map<ClusterNode, Reset[]>()
    for (const partition of this.#subscriptions.assigned()) {
      if (!partition.mayLookUp('await reset', nowMs)) continue
      const leader = this.#metadata.currentLeader(partition.topic, partition.index).leader
      if (leader === undefined) {
        this.#metadata.requestUpdate(true)
        continue
      }
      if (this.#cluster.isUnavailable(leader)) continue
      addTo(byNode, leader, { partition, strategy: partition.resetStrategy as ResetStrategy })
    }
    for (const [node, resets] of byNode) this.#listOffsets(node, resets, nowMs)
  }

  #listOffsets(node: ClusterNode, resets: readonly Reset[], nowMs: Millis): void {
    for (const { partition } of resets) partition.nextRetryMs = nowMs + this.#requestTimeoutMs
    const topics = groupByTopic(resets).map(([name, ofTopic]) => ({
      name,
      partitions: ofTopic.map(({ partition, strategy }) => ({
        partitionIndex: partition.index,
        currentLeaderEpoch: this.#metadata.currentLeader(partition.topic, partition.index).epoch,
        timestamp: timestampOf(strategy, nowMs),
      })),
    }))
    const request = { replicaId: -1, isolationLevel: this.#isolationLevel, topics, timeoutMs: this.#requestTimeoutMs }
    this.#cluster.sendWhenReady(node, 'ListOffsets', request, (result) => {
      if (result.ok) this.#offsetsListed(resets, result.response)
      else this.#retryLater(resets)
    })
  }

  #offsetsListed(resets: readonly Reset[], response: ListOffsetsResponse): void {
    const retry: Reset[] = []
    for (const topic of response.topics) {
      for (const answer of topic.partitions) {
        const reset = resets.find(
          ({ partition }) => partition.topic === topic.name && partition.index === answer.partitionIndex,
        )
        if (reset === undefined) continue
        if (answer.errorCode === Errors.NONE) {
          if (answer.offset !== -1) this.#resetTo(reset, answer.offset, answer.leaderEpoch)
        } else if (answer.errorCode === Errors.TOPIC_AUTHORIZATION_FAILED) {
          this.#error ??= { partition: reset.partition.name, error: errorName(answer.errorCode) }
        } else if (answer.errorCode !== Errors.UNSUPPORTED_FOR_MESSAGE_FORMAT) {
          retry.push(reset)
        }
      }
    }
    if (retry.length > 0) this.#retryLater(retry)
  }

  #resetTo({ partition, strategy }: Reset, offset: Offset, leaderEpoch: number): void {
    const position = unknownEpoch(offset, this.#metadata.currentLeader(partition.topic, partition.index))
    if (leaderEpoch >= 0) this.#metadata.sawLeaderEpoch(partition.name, leaderEpoch)
    if (this.#subscriptions.get(partition.name) !== partition || partition.state !== 'await reset') return
    if (partition.resetStrategy !== strategy) return
    const from = partition.resetFrom
    partition.seekUnvalidated(position)
    const reason = partition.resetIsSeek ? 'seek' : 'reset'
    this.#env.emit('consume.position', { partition: partition.name, from, to: offset, reason })
  }

  // ── validation ────────────────────────────────────────────────────────────────────────────────────────────────────

  #validate(nowMs: Millis): void {
    const byNode = new Map<ClusterNode, Validation[]>()
    for (const partition of this.#subscriptions.assigned()) {
      if (!partition.mayLookUp('await validation', nowMs)) continue
      const position = partition.position as FetchPosition
      const leader = position.leader.leader
      if (leader !== undefined) addTo(byNode, leader, { partition, position })
    }
    for (const [node, validations] of byNode) {
      if (this.#cluster.isReady(node)) this.#askForEpochs(node, validations, nowMs)
      else this.#cluster.connect(node, nowMs)
    }
  }

  #askForEpochs(node: ClusterNode, validations: readonly Validation[], nowMs: Millis): void {
    for (const { partition } of validations) partition.nextRetryMs = nowMs + this.#requestTimeoutMs
    const topics = groupByTopic(validations).map(([topic, ofTopic]) => ({
      topic,
      partitions: ofTopic.map(({ partition, position }) => ({
        partition: partition.index,
        currentLeaderEpoch: position.leader.epoch,
        leaderEpoch: position.offsetEpoch,
      })),
    }))
    this.#cluster.sendWhenReady(node, 'OffsetForLeaderEpoch', { replicaId: -1, topics }, (result) => {
      if (result.ok) this.#epochsAnswered(validations, result.response)
      else this.#retryLater(validations)
    })
  }

  #epochsAnswered(validations: readonly Validation[], response: EpochResponse): void {
    const open = new Set(validations)
    for (const topic of response.topics) {
      for (const answer of topic.partitions) {
        const asked = validations.find(
          ({ partition }) => partition.topic === topic.topic && partition.index === answer.partition,
        )
        if (asked === undefined) continue
        if (answer.errorCode === Errors.NONE) {
          open.delete(asked)
          this.#validated(asked, answer)
        } else if (answer.errorCode === Errors.TOPIC_AUTHORIZATION_FAILED) {
          open.delete(asked)
          this.#error ??= { partition: asked.partition.name, error: errorName(answer.errorCode) }
        }
      }
    }
    if (open.size > 0) this.#retryLater([...open])
  }

  #validated(
    { partition, position }: Validation,
    end: { readonly leaderEpoch: number; readonly endOffset: Offset },
  ): void {
    const outcome = this.#subscriptions.completeValidation(partition, position, end)
    if (outcome === 'truncated') {
      const to = end.endOffset
      this.#env.emit('consume.position', { partition: partition.name, from: position.offset, to, reason: 'truncated' })
    } else if (typeof outcome === 'object') {
      this.#error ??= { partition: partition.name, error: 'LOG_TRUNCATION' }
    }
  }

  #retryLater(lookups: readonly { readonly partition: AssignedPartition }[]): void {
    const nextRetryMs = this.#env.clock.wallMs() + this.#retryBackoffMs
    for (const { partition } of lookups) partition.nextRetryMs = nextRetryMs
    this.#metadata.requestUpdate()
  }
}

function timestampOf(strategy: ResetStrategy, nowMs: Millis): number {
  if (strategy === 'latest') return LATEST_TIMESTAMP
  return strategy === 'earliest' ? EARLIEST_TIMESTAMP : nowMs - strategy.byDurationMs
}

function addTo<T>(byNode: Map<ClusterNode, T[]>, node: ClusterNode, item: T): void {
  for (const [known, items] of byNode) {
    if (known.id === node.id) {
      items.push(item)
      return
    }
  }
  byNode.set(node, [item])
}

function groupByTopic<T extends { readonly partition: AssignedPartition }>(items: readonly T[]): [string, T[]][] {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(item.partition.topic)
    if (group === undefined) groups.set(item.partition.topic, [item])
    else group.push(item)
  }
  return [...groups]
}
