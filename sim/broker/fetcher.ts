/**
 * Replicates partitions from one leader broker (Kafka's `AbstractFetcherThread`, `ReplicaFetcherThread` and
 * `RemoteLeaderEndPoint`; KIP-227, KIP-595's diverging epochs).
 *
 * A thread's loop as a machine of events, with one request in flight at most:
 *
 *   idle      ──partitions added, or the backoff over──→ builds a fetch of all that are ready
 *   building  ──nothing ready, nothing to forget───────→ idle; replica.fetch.backoff.ms while partitions are delayed
 *   building  ──something──────────────────────────────→ fetching
 *   fetching  ──no answer──────────────────────────────→ every partition delayed, building
 *   fetching  ──an answer──────────────────────────────→ applied to the logs, behind the gate of the disk; building, or
 *   fetching  ──OFFSET_OUT_OF_RANGE for some───────────→ asks for the leader's offsets, one by one; building
 *   any       ──shutdown───────────────────────────────→ stopped
 *
 * What happens to a partition is fetcher-state.ts's table. The high watermark and the log start of a response are
 * applied after its records, and not at all with a diverging epoch: the log is cut first, and the next response brings
 * them again.
 */

import { DiskError, type Env, type EnvTimer } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import type { Epoch, Millis, NodeId, Offset } from '../kernel/units.js'
import { imageMetadataVersion, type MetadataImage } from '../kraft/metadata/image.js'
import type { PartitionLog } from '../log/partition-log.js'
import { type ErrorCode, errorName, Errors } from '../wire/errors.js'
import type { FetchRequest, PartitionData } from '../wire/messages/fetch.js'
import type { ListOffsetsResponse } from '../wire/messages/list-offsets.js'
import type { RequestClient, RpcResult } from '../wire/request-client.js'
import { FetchSessionHandler, type SessionAnswer, type SessionPartition } from './fetch-session-handler.js'
import { FetcherState, NO_LAG } from './fetcher-state.js'
import { truncationOffset } from './fetcher-truncation.js'
import type { Partition } from './partition.js'
import type { BrokerReplicationConfig } from './replica-config.js'

/** Timestamps that ask ListOffsets for an end of the log. */
const LATEST_TIMESTAMP = -1
const EARLIEST_TIMESTAMP = -2
/** From here on a follower tells its broker epoch with its id (KIP-903). */
const REPLICA_STATE_VERSION = 15
const STORAGE: Stop = { why: 'storage' }
const FENCED: Stop = { why: 'fenced' }
const NO_LOG: Stop = { why: 'no log' }
const APPENDED = { error: Errors.NONE }
const NO_REPLICA_STATE = { replicaId: -1, replicaEpoch: -1 }

export interface FetcherOptions {
  readonly brokerId: NodeId
  readonly brokerEpoch: () => Epoch
  readonly config: BrokerReplicationConfig
  readonly leader: NodeId
  readonly leaderNode: NodeName
  readonly requests: RequestClient
  readonly metadata: () => MetadataImage
  /** Partitions that wait for another leader epoch, by name; shared by all fetchers of the broker. */
  readonly failed: Set<string>
  readonly onStorageError: (partition: Partition, error: DiskError) => void
}

/** Where to begin with a partition. */
export interface InitialFetchState {
  readonly partition: Partition
  readonly leaderEpoch: Epoch
  readonly offset: Offset
}

/** What became of one partition's share of an answer. */
type Outcome = 'done' | 'delay' | 'out-of-range' | 'diverging' | Stop

/** The partition is given up until metadata bring another leader epoch. */
interface Stop {
  readonly why: string
}

export class ReplicaFetcher {
  readonly leader: NodeId
  readonly leaderNode: NodeName
  readonly #env: Env
  readonly #options: FetcherOptions
  readonly #session = new FetchSessionHandler()
  readonly #backoffMs: Millis
  readonly #fetchBytes: number
  /** By name; who got records last comes last. */
  readonly #states = new Map<string, FetcherState>()
  #phase: 'idle' | 'waking' | 'busy' | 'stopped' = 'idle'
  #wakeUp: EnvTimer | undefined
  /** Logs whose latest append waits for the disk. */
  #flushing: PartitionLog[] = []

  constructor(env: Env, options: FetcherOptions) {
    this.#env = env
    this.#options = options
    this.leader = options.leader
    this.leaderNode = options.leaderNode
    this.#backoffMs = options.config['replica.fetch.backoff.ms']
    this.#fetchBytes = options.config['replica.fetch.max.bytes']
  }

  /** Partitions that it fetches. */
  get size(): number {
    return this.#states.size
  }

  state(name: string): FetcherState | undefined {
    return this.#states.get(name)
  }

  add(partitions: readonly InitialFetchState[]): void {
    for (const { partition, leaderEpoch, offset } of partitions) {
      this.#options.failed.delete(partition.name)
      const current = this.#states.get(partition.name)
      const state =
        current !== undefined && current.currentLeaderEpoch === leaderEpoch && current.partition === partition
          ? current
          : new FetcherState(partition, leaderEpoch, offset, partition.log?.latestEpoch ?? -1)
      this.#moveToEnd(state)
    }
    this.#wake()
  }

  remove(name: string): void {
    this.#states.delete(name)
  }

  shutdown(): void {
    this.#phase = 'stopped'
    this.#wakeUp?.cancel()
    this.#wakeUp = undefined
    this.#states.clear()
    this.#options.requests.close()
  }

  /** Ends an idle wait, in a task of its own: the thread is another one. */
  #wake(): void {
    if (this.#phase !== 'idle') return
    this.#phase = 'waking'
    this.#wakeUp?.cancel()
    this.#wakeUp = undefined
    this.#env.soon(() => this.#work())
  }

  #work(): void {
    if (this.#phase === 'stopped') return
    const now = this.#env.clock.wallMs()
    this.#truncateNew(now)
    const version = imageMetadataVersion(this.#options.metadata()).fetchRequestVersion
    const request = this.#buildFetch(now, version)
    if (request !== undefined) {
      this.#phase = 'busy'
      this.#options.requests.send(this.leaderNode, 'Fetch', request, this.#onFetch, { version })
      return
    }
    this.#phase = 'idle'
    if (this.#states.size > 0) {
      this.#wakeUp = this.#env.after(this.#backoffMs, () => {
        this.#wakeUp = undefined
        this.#work()
      })
    }
  }

  #buildFetch(now: Millis, version: number): FetchRequest | undefined {
    const { config, brokerId, brokerEpoch } = this.#options
    const session = this.#session
    session.begin()
    for (const state of this.#states.values()) {
      if (!state.isReady(now)) continue
      const { partition } = state
      const log = partition.log
      if (log === undefined) {
        state.delay(now + this.#backoffMs)
        continue
      }
      session.add(
        partition.name,
        partition.topic,
        state.topicId,
        partition.index,
        state.fetchOffset,
        log.logStartOffset,
        this.#fetchBytes,
        state.currentLeaderEpoch,
        state.lastFetchedEpoch,
      )
    }
    const { sessionId, sessionEpoch, topics, forgottenTopicsData, size } = session.build()
    if (size === 0 && forgottenTopicsData.length === 0) return undefined
    const hasState = version >= REPLICA_STATE_VERSION
    return {
      clusterId: null,
      replicaId: hasState ? -1 : brokerId,
      replicaState: hasState ? { replicaId: brokerId, replicaEpoch: brokerEpoch() } : NO_REPLICA_STATE,
      maxWaitMs: config['replica.fetch.wait.max.ms'],
      minBytes: config['replica.fetch.min.bytes'],
      maxBytes: config['replica.fetch.response.max.bytes'],
      isolationLevel: 0,
      sessionId,
      sessionEpoch,
      topics,
      forgottenTopicsData,
      rackId: '',
    }
  }

  readonly #onFetch = (result: RpcResult<'Fetch'>): void => {
    if (this.#phase === 'stopped') return
    if (!result.ok) {
      this.#session.handleError()
      this.#delayAll()
      return this.#work()
    }
    const verdict = this.#session.handleResponse(result.response)
    if (typeof verdict === 'string') {
      if (verdict === 'topic-ids') this.#delayAll()
      return this.#work()
    }
    if (verdict.some(touchesDisk)) this.#env.disk.access(() => this.#apply(verdict))
    else this.#apply(verdict)
  }

  #apply(answers: readonly SessionAnswer[]): void {
    if (this.#phase === 'stopped') return
    const now = this.#env.clock.wallMs()
    const diverging: { state: FetcherState; data: PartitionData }[] = []
    const delayed: FetcherState[] = []
    const outOfRange: FetcherState[] = []
    const advanced: Partition[] = []
    for (const { asked, data } of answers) {
      const state = this.#states.get(asked.name)
      if (state === undefined || !isCurrent(state, asked, now)) continue
      const outcome = this.#applyPartition(state, asked, data, advanced)
      switch (outcome) {
        case 'delay':
          delayed.push(state)
          break
        case 'out-of-range':
          outOfRange.push(state)
          break
        case 'diverging':
          diverging.push({ state, data })
          break
        case 'done':
          break
        default:
          this.#stop(state, outcome.why)
      }
    }
    for (const { state, data } of diverging) this.#truncateDiverging(state, data)
    for (const state of delayed) this.#delay(state)
    // Consumers may read from followers (KIP-392).
    for (const partition of advanced) partition.delayedFetch.check()
    this.#afterFlush(() => {
      if (this.#phase === 'stopped') return
      if (outOfRange.length > 0) this.#resetOffsets(outOfRange)
      else this.#work()
    })
  }

  /** The next fetch tells the leader what is here: with `flush.messages` it must be on the disk by then. */
  #afterFlush(proceed: () => void): void {
    const logs = this.#flushing
    if (logs.length === 0) return proceed()
    this.#flushing = []
    let left = logs.length
    for (const log of logs) {
      log.afterFlush(() => {
        if (--left === 0) proceed()
      })
    }
  }

  #applyPartition(state: FetcherState, asked: SessionPartition, data: PartitionData, advanced: Partition[]): Outcome {
    switch (data.errorCode) {
      case Errors.NONE:
        return data.divergingEpoch.epoch >= 0 ? 'diverging' : this.#append(state, data, advanced)
      case Errors.OFFSET_OUT_OF_RANGE:
        return 'out-of-range'
      case Errors.FENCED_LEADER_EPOCH:
        return fencedOutcome(state, asked.currentLeaderEpoch)
      default:
        return 'delay'
    }
  }

  #append(state: FetcherState, data: PartitionData, advanced: Partition[]): Outcome {
    const { partition } = state
    const log = partition.log
    // The log is not where this fetcher believes it to be: Kafka's IllegalStateException.
    if (log === undefined || log.logEndOffset !== state.fetchOffset) return { why: 'log moved' }
    try {
      const { error, message } = this.#appendRecords(state, log, data)
      if (error === Errors.CORRUPT_MESSAGE || error === Errors.INVALID_RECORD) return 'delay'
      if (error !== Errors.NONE) return { why: message ?? errorName(error) }
      if (partition.followHighWatermark(data.highWatermark)) advanced.push(partition)
      if (data.logStartOffset > log.logStartOffset) {
        if (data.logStartOffset > log.highWatermark) return { why: 'log start beyond the high watermark' }
        log.advanceLogStartOffset(data.logStartOffset, 'leader')
      }
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      this.#options.onStorageError(partition, error)
      return STORAGE
    }
    const next = log.logEndOffset
    if (next !== state.fetchOffset || state.lag === NO_LAG) {
      state.lag = Math.max(0, data.highWatermark - next)
      const hasGrown = next !== state.fetchOffset
      state.fetchFrom(next, hasGrown ? log.latestEpoch : state.lastFetchedEpoch)
      this.#moveToEnd(state)
    }
    return 'done'
  }

  /** @throws DiskError */
  #appendRecords(state: FetcherState, log: PartitionLog, data: PartitionData): { error: ErrorCode; message?: string } {
    const { records } = data
    if (records === null || records.length === 0) return APPENDED
    let result = log.appendAsFollower(records, state.currentLeaderEpoch)
    if (!('flushing' in result) && result.kind === 'unexpected-offset') {
      const { firstOffset = -1, lastOffset = -1 } = result
      const end = log.logEndOffset
      // The leader's log begins within a batch, by DeleteRecords: our very first batch begins before it.
      if (end === log.logStartOffset && firstOffset < end && lastOffset >= end) {
        state.partition.truncateFullyAndStartAt(firstOffset, 'unaligned-start')
        result = log.appendAsFollower(records, state.currentLeaderEpoch)
      }
    }
    if ('flushing' in result && result.flushing) this.#flushing.push(log)
    return result
  }

  // ── truncation ────────────────────────────────────────────────────────────────────────────────────────────────────

  #truncateDiverging(state: FetcherState, data: PartitionData): void {
    const { partition } = state
    // Removed while the answers of other partitions were applied.
    if (this.#states.get(partition.name) !== state) return
    const log = partition.log
    if (log === undefined) return this.#stop(state, NO_LOG.why)
    const { epoch, endOffset } = data.divergingEpoch
    this.#env.emit('fetch.diverging', { partition: partition.name, epoch, endOffset, leader: this.leader })
    this.#truncate(state, log, truncationOffset(data.divergingEpoch, log, state.fetchOffset), 'diverging')
  }

  /** Partitions without an epoch in their log have nothing to compare: they begin at the high watermark. */
  #truncateNew(now: Millis): void {
    for (const state of this.#states.values()) {
      if (state.phase !== 'truncating' || state.isDelayed(now)) continue
      const log = state.partition.log
      if (log === undefined) this.#stop(state, NO_LOG.why)
      else this.#truncate(state, log, state.fetchOffset, 'no-epoch')
    }
  }

  /** False when the partition failed. */
  #truncate(state: FetcherState, log: PartitionLog, offset: Offset, reason: string): boolean {
    try {
      state.partition.truncateTo(offset, reason)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      this.#options.onStorageError(state.partition, error)
      this.#stop(state, STORAGE.why)
      return false
    }
    state.fetchFrom(offset, log.latestEpoch, true)
    return true
  }

  // ── offsets out of range ──────────────────────────────────────────────────────────────────────────────────────────

  /** As Kafka's thread does, blocking: one partition after the other, nothing is fetched meanwhile. */
  #resetOffsets(states: readonly FetcherState[], at = 0): void {
    const state = states[at]
    if (state === undefined) return this.#work()
    const next = (): void => this.#resetOffsets(states, at + 1)
    if (this.#states.get(state.partition.name) !== state) return next()
    this.#askOffset(state, LATEST_TIMESTAMP, next, (leaderEnd) => {
      const log = state.partition.log
      if (log === undefined) return next()
      if (leaderEnd >= log.logEndOffset) return this.#resetToEarliest(state, leaderEnd, next)
      // The leader was elected uncleanly and has less.
      this.#env.disk.access(() => {
        const isHere = this.#states.get(state.partition.name) === state
        if (isHere && this.#truncate(state, log, leaderEnd, 'out-of-range')) {
          state.lag = 0
          this.#moveToEnd(state)
        }
        next()
      })
    })
  }

  /** The leader has more: its log may begin after ours ends. */
  #resetToEarliest(state: FetcherState, leaderEnd: Offset, next: () => void): void {
    this.#askOffset(state, EARLIEST_TIMESTAMP, next, (leaderStart) => {
      this.#env.disk.access(() => {
        this.#startAt(state, leaderStart, leaderEnd)
        next()
      })
    })
  }

  #startAt(state: FetcherState, leaderStart: Offset, leaderEnd: Offset): void {
    const { partition } = state
    const log = partition.log
    if (log === undefined || this.#states.get(partition.name) !== state) return
    const offset = Math.max(leaderStart, log.logEndOffset)
    if (leaderStart > log.logEndOffset) {
      try {
        partition.truncateFullyAndStartAt(leaderStart, 'out-of-range')
      } catch (error) {
        if (!(error instanceof DiskError)) throw error
        this.#options.onStorageError(partition, error)
        return this.#stop(state, STORAGE.why)
      }
    }
    state.fetchFrom(offset, log.latestEpoch)
    state.lag = Math.max(0, leaderEnd - offset)
    this.#moveToEnd(state)
  }

  #askOffset(state: FetcherState, timestamp: number, failed: () => void, found: (offset: Offset) => void): void {
    const { partition, currentLeaderEpoch } = state
    const request = {
      replicaId: this.#options.brokerId,
      isolationLevel: 0,
      topics: [
        {
          name: partition.topic,
          partitions: [{ partitionIndex: partition.index, currentLeaderEpoch, timestamp }],
        },
      ],
      timeoutMs: 0,
    }
    const version = imageMetadataVersion(this.#options.metadata()).listOffsetsRequestVersion
    const done = (result: RpcResult<'ListOffsets'>): void => {
      if (this.#phase === 'stopped') return
      if (this.#states.get(partition.name) !== state) return failed()
      const answer = result.ok ? partitionOf(result.response) : undefined
      if (answer !== undefined && answer.errorCode === Errors.NONE) return found(answer.offset)
      if (answer?.errorCode === Errors.FENCED_LEADER_EPOCH) this.#stop(state, FENCED.why)
      else this.#delay(state)
      failed()
    }
    this.#options.requests.send(this.leaderNode, 'ListOffsets', request, done, { version })
  }

  // ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #stop(state: FetcherState, reason: string): void {
    const { name } = state.partition
    this.#options.failed.add(name)
    const { leader } = this
    this.#env.emit('fetch.stopped', { partition: name, leader, leaderEpoch: state.currentLeaderEpoch, reason })
    if (this.#states.get(name) === state) this.#states.delete(name)
  }

  #delayAll(): void {
    for (const state of [...this.#states.values()]) this.#delay(state)
  }

  #delay(state: FetcherState): void {
    const now = this.#env.clock.wallMs()
    if (this.#states.get(state.partition.name) !== state || state.isDelayed(now)) return
    state.delay(now + this.#backoffMs)
    this.#moveToEnd(state)
  }

  #moveToEnd(state: FetcherState): void {
    const { name } = state.partition
    if (this.#states.size === 1 && this.#states.get(name) === state) return
    this.#states.delete(name)
    this.#states.set(name, state)
  }
}

/** Still what the request was about. */
function isCurrent(state: FetcherState, asked: SessionPartition, now: Millis): boolean {
  return (
    asked.fetchOffset === state.fetchOffset &&
    asked.currentLeaderEpoch === state.currentLeaderEpoch &&
    state.isReady(now)
  )
}

/** Fenced with the epoch that it still has: metadata must bring another one. */
function fencedOutcome(state: FetcherState, requestEpoch: Epoch): Outcome {
  return requestEpoch === state.currentLeaderEpoch ? FENCED : 'delay'
}

function partitionOf(response: ListOffsetsResponse): { errorCode: ErrorCode; offset: Offset } | undefined {
  return response.topics[0]?.partitions[0]
}

/** Records to append, or a log to cut: what a hanging disk would block. */
function touchesDisk({ data }: SessionAnswer): boolean {
  return data.divergingEpoch.epoch >= 0 || (data.records !== null && data.records.length > 0)
}
