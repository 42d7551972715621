/**
 * One replica of a partition on this broker: leader, follower or neither (Kafka's `Partition`).
 *
 *   role  becomes    by                                    does
 *   any   leader     metadata, partition epoch not older   new leader epoch: its start offset is assigned, and what
 *                                                          followers have is forgotten
 *   any   follower   metadata, partition epoch not older   what followers have is dropped
 *   any   offline    an error of the disk                  nothing any more
 *   any   deleted    metadata                              nothing any more
 *
 * As leader it appends, tracks followers by their fetches, and keeps two things: the ISR (isr-state.ts) and the high
 * watermark, the smallest log end among itself, the maximal ISR and those who are caught up and may join. The high
 * watermark does not move while the ISR is smaller than min(min.insync.replicas, replicas) (KIP-966), and never goes
 * back within a leader epoch. A follower joins the ISR when its log end has reached the high watermark and the start of
 * the leader's epoch, metadata has it unfenced and not shutting down, and its fetch came from the broker epoch that
 * metadata knows.
 *
 * Invariants: log start ≤ high watermark ≤ log end; leader epoch and partition epoch never decrease; `remoteReplicas`
 * is empty unless leader. Errors of the disk pass through to the caller.
 */

import type { Env } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import type { Epoch, Millis, NodeId, Offset } from '../kernel/units.js'
import { partitionName } from '../kernel/names.js'
import type { MetadataImage, PartitionImage } from '../kraft/metadata/image.js'
import type { LogManager } from '../log/log-manager.js'
import type { PartitionLog } from '../log/partition-log.js'
import { type ErrorCode, errorName, Errors } from '../wire/errors.js'
import type { IsrChanges, TopicIdPartition } from './alter-partition-manager.js'
import {
  type AlterPartitionResult,
  type CommittedIsr,
  committedIsr,
  type IsrState,
  judgeAlterPartition,
  type LeaderAndIsr,
  NO_ISR,
  pendingExpand,
  type PendingIsr,
  pendingShrink,
} from './isr-state.js'
import { WatchList } from './purgatory.js'
import { NO_BROKER_EPOCH, Replica, UNCHECKED_BROKER_EPOCH, UNTOLD_BROKER_EPOCH } from './replica.js'

/** No leader, or none known. */
export const NO_LEADER: NodeId = -1
/** No epoch start: not the leader. */
const NO_OFFSET: Offset = -1

/** What all partitions of a broker share. */
export interface PartitionContext {
  readonly env: Env
  readonly brokerId: NodeId
  readonly brokerEpoch: () => Epoch
  readonly maxLagMs: Millis
  readonly metadata: () => MetadataImage
  readonly alterPartition: IsrChanges
  /** The partition's log, made when missing. @throws DiskError */
  readonly openLog: (partition: TopicIdPartition) => PartitionLog
  /** Cuts logs and checkpoints their recovery points with it. @throws DiskError */
  readonly logs: Pick<LogManager, 'truncateTo' | 'truncateFullyAndStartAt'>
  /** The high watermark of the checkpoint of the broker's last life; 0 without one. */
  readonly checkpointedHighWatermark: (name: string) => Offset
}

/** Told of what happens to an online partition (Kafka's `PartitionListener`). It must not change partitions. */
export interface PartitionListener {
  onHighWatermarkUpdated?(offset: Offset): void
  onFailed?(): void
  onDeleted?(): void
  onBecomingFollower?(): void
}

export class Partition implements TopicIdPartition {
  /** `orders-0`. */
  readonly name: string
  readonly topic: string
  readonly index: number
  readonly topicId: string
  /** Produce requests that wait for replication. */
  readonly delayedProduce = new WatchList()
  /** Fetches that wait for data. */
  readonly delayedFetch = new WatchList()
  readonly delayedDeleteRecords = new WatchList()
  readonly #context: PartitionContext
  readonly #listeners = new Set<PartitionListener>()
  #log: PartitionLog | undefined
  #leader: NodeId = NO_LEADER
  #leaderEpoch: Epoch = -1
  #leaderEpochStartOffset: Offset = NO_OFFSET
  #partitionEpoch: Epoch = 0
  #replicas: readonly NodeId[] = []
  #adding: readonly NodeId[] = []
  #isr: IsrState = NO_ISR
  #remoteReplicas: Replica[] = []

  constructor(context: PartitionContext, topic: string, topicId: string, index: number) {
    this.#context = context
    this.topic = topic
    this.topicId = topicId
    this.index = index
    this.name = partitionName(topic, index)
  }

  get log(): PartitionLog | undefined {
    return this.#log
  }

  /** The log while this broker leads. */
  get leaderLog(): PartitionLog | undefined {
    return this.#leader === this.#context.brokerId ? this.#log : undefined
  }

  get isLeader(): boolean {
    return this.#leader === this.#context.brokerId
  }

  /** -1: none known. */
  get leader(): NodeId {
    return this.#leader
  }

  get leaderEpoch(): Epoch {
    return this.#leaderEpoch
  }

  /** Where the log ended when this broker became leader of this epoch; -1 unless it leads. */
  get leaderEpochStartOffset(): Offset {
    return this.#leaderEpochStartOffset
  }

  get partitionEpoch(): Epoch {
    return this.#partitionEpoch
  }

  get isrState(): IsrState {
    return this.#isr
  }

  get replicas(): readonly NodeId[] {
    return this.#replicas
  }

  get remoteReplicas(): readonly Replica[] {
    return this.#remoteReplicas
  }

  isAddingReplica(brokerId: NodeId): boolean {
    return this.#adding.includes(brokerId)
  }

  replica(brokerId: NodeId): Replica | undefined {
    const replicas = this.#remoteReplicas
    for (let i = 0; i < replicas.length; i++) {
      const replica = replicas[i] as Replica
      if (replica.brokerId === brokerId) return replica
    }
    return undefined
  }

  /** min.insync.replicas, but never more than there are replicas. */
  get effectiveMinIsr(): number {
    const log = this.#log
    assert(log, 'partition: min ISR without a log', { partition: this.name })
    return Math.min(log.config['min.insync.replicas'], this.#remoteReplicas.length + 1)
  }

  get isUnderMinIsr(): boolean {
    return this.leaderLog !== undefined && this.#isr.isr.length < this.effectiveMinIsr
  }

  /** False when the partition has failed or is deleted. */
  addListener(listener: PartitionListener): boolean {
    if (this.#log === undefined) return false
    this.#listeners.add(listener)
    return true
  }

  removeListener(listener: PartitionListener): void {
    this.#listeners.delete(listener)
  }

  /** What a request's leader epoch means here; -1 is not given. */
  checkLeaderEpoch(epoch: Epoch): ErrorCode {
    if (epoch < 0 || epoch === this.#leaderEpoch) return Errors.NONE
    return epoch < this.#leaderEpoch ? Errors.FENCED_LEADER_EPOCH : Errors.UNKNOWN_LEADER_EPOCH
  }

  /** Why a request of this epoch may not use the log; NONE when it may. */
  checkLog(epoch: Epoch, requireLeader: boolean): ErrorCode {
    const error = this.checkLeaderEpoch(epoch)
    if (error !== Errors.NONE) return error
    if (this.#log === undefined || (requireLeader && !this.isLeader)) return Errors.NOT_LEADER_OR_FOLLOWER
    return Errors.NONE
  }

  // ── roles ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Leads, as `image` says. False when nothing came of it or it led already. @throws DiskError */
  makeLeader(image: PartitionImage): boolean {
    if (image.partitionEpoch < this.#partitionEpoch) return false
    const { env, brokerId } = this.#context
    const now = env.clock.wallMs()
    const isNewLeader = !this.isLeader
    const isNewLeaderEpoch = image.leaderEpoch > this.#leaderEpoch
    const isNewPartitionEpoch = image.partitionEpoch > this.#partitionEpoch
    this.#assign(image, true)
    this.#isr = committedIsr(image.isr, 0)
    const log = this.#open()
    if (isNewLeaderEpoch) {
      const startOffset = log.logEndOffset
      // Even without a record, so that a follower with entries of an epoch in between finds where to cut.
      log.assignEpochStartOffset(image.leaderEpoch, startOffset)
      for (const replica of this.#remoteReplicas) {
        replica.reset(now, startOffset, isNewLeader, image.isr.includes(replica.brokerId))
      }
      this.#leaderEpoch = image.leaderEpoch
      this.#leaderEpochStartOffset = startOffset
    }
    this.#partitionEpoch = image.partitionEpoch
    this.#leader = brokerId
    if (isNewLeaderEpoch) this.#emitLeader()
    else if (isNewPartitionEpoch) this.#emitCommitted()
    // The ISR may have shrunk to this broker alone.
    if (this.#maybeAdvanceHighWatermark(log, now)) this.completeDelayed()
    return isNewLeader
  }

  /** Follows, as `image` says. True when the leader epoch is new: fetching must start over. @throws DiskError */
  makeFollower(image: PartitionImage): boolean {
    if (image.partitionEpoch < this.#partitionEpoch) return false
    const isNewLeaderEpoch = image.leaderEpoch > this.#leaderEpoch
    this.#leader = image.leader
    this.#leaderEpoch = image.leaderEpoch
    this.#leaderEpochStartOffset = NO_OFFSET
    this.#partitionEpoch = image.partitionEpoch
    this.#assign(image, false)
    this.#isr = committedIsr([], image.leaderRecoveryState)
    const log = this.#open()
    if (isNewLeaderEpoch) {
      this.#context.env.emit('replica.follower', {
        partition: this.name,
        leaderEpoch: this.#leaderEpoch,
        partitionEpoch: this.#partitionEpoch,
        leader: this.#leader,
        logEnd: log.logEndOffset,
      })
    }
    return isNewLeaderEpoch
  }

  /** Opens the log without taking a role. @throws DiskError */
  ensureLog(): true {
    this.#open()
    return true
  }

  becomingFollower(): void {
    for (const listener of [...this.#listeners]) listener.onBecomingFollower?.()
  }

  /** Forgets everything; the log on disk is not touched. */
  markDeleted(): void {
    this.#clear()
    for (const listener of [...this.#listeners]) listener.onDeleted?.()
    this.#listeners.clear()
  }

  markOffline(): void {
    this.#clear()
    for (const listener of [...this.#listeners]) listener.onFailed?.()
    this.#listeners.clear()
  }

  // ── leader ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** May move the high watermark after an append (the ISR may be this broker alone). */
  advanceHighWatermark(): boolean {
    const log = this.leaderLog
    return log !== undefined && this.#maybeAdvanceHighWatermark(log, this.#context.env.clock.wallMs())
  }

  /** Takes a follower's fetch into account: it has all below `fetchOffset`. */
  updateFollower(
    replica: Replica,
    fetchOffset: Offset,
    followerLogStart: Offset,
    leaderEndOffset: Offset,
    brokerEpoch: Epoch,
    now: Millis,
  ): void {
    const watchesLowWatermark = !this.delayedDeleteRecords.isEmpty
    const oldLowWatermark = watchesLowWatermark ? this.lowWatermark : NO_OFFSET
    const oldEndOffset = replica.logEndOffset
    replica.updateFetchState(fetchOffset, followerLogStart, now, leaderEndOffset, brokerEpoch)
    const lowWatermarkMoved = watchesLowWatermark && this.lowWatermark > oldLowWatermark
    this.#maybeExpandIsr(replica)
    const log = this.leaderLog
    const advanced = oldEndOffset !== fetchOffset && log !== undefined && this.#maybeAdvanceHighWatermark(log, now)
    if (advanced || lowWatermarkMoved) this.completeDelayed()
  }

  /** The smallest log start of the live replicas. */
  get lowWatermark(): Offset {
    const log = this.leaderLog
    assert(log, 'partition: low watermark of no leader', { partition: this.name })
    let low = log.logStartOffset
    for (const replica of this.#remoteReplicas) {
      if (replica.logStartOffset < low && this.#aliveBrokerEpoch(replica.brokerId) !== undefined) {
        low = replica.logStartOffset
      }
    }
    return low
  }

  /** Whether an acks=all append up to `requiredOffset` (exclusive) is done: NONE, an error, or undefined: not yet. */
  acknowledgement(requiredOffset: Offset): ErrorCode | undefined {
    const log = this.leaderLog
    if (log === undefined) return Errors.NOT_LEADER_OR_FOLLOWER
    if (log.highWatermark < requiredOffset) return undefined
    return this.effectiveMinIsr <= this.#isr.maximalIsr.length ? Errors.NONE : Errors.NOT_ENOUGH_REPLICAS_AFTER_APPEND
  }

  /** Asks the controller to drop followers that have not caught up for too long. */
  maybeShrinkIsr(): void {
    const log = this.leaderLog
    const state = this.#isr
    if (log === undefined || state.kind !== 'committed') return
    const now = this.#context.env.clock.wallMs()
    const end = log.logEndOffset
    const kept = state.isr.filter((id) => id === this.#context.brokerId || this.#isCaughtUp(id, end, now))
    if (kept.length === state.isr.length) return
    this.#propose(pendingShrink(state, this.#leaderAndIsr(kept, state)), 'lag')
  }

  /** Wakes whatever waits on this partition, after its high or low watermark or its leader changed. */
  completeDelayed(): void {
    this.delayedFetch.check()
    this.delayedProduce.check()
    this.delayedDeleteRecords.check()
  }

  // ── follower ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The leader's high watermark, as far as this log goes; true when it moved, to either side. */
  followHighWatermark(leaderHighWatermark: Offset): boolean {
    const log = this.#log
    assert(log, 'partition: no log', { partition: this.name })
    const from = log.highWatermark
    const to = clamp(leaderHighWatermark, log.logStartOffset, log.logEndOffset)
    if (to === from) return false
    log.setHighWatermark(to)
    const { env } = this.#context
    const partition = this.name
    if (to > from) env.emit('hw.advance', { partition, from, to, role: 'follower', leaderEpoch: this.#leaderEpoch })
    // A new leader may know less than the one before.
    else env.emit('hw.set', { partition, from, to, reason: 'leader' })
    this.#tellHighWatermark(to)
    return true
  }

  /** Cuts the log to `offset`. @throws DiskError */
  truncateTo(offset: Offset, reason: string): void {
    this.#truncating(() => this.#context.logs.truncateTo(this.name, offset, reason))
  }

  /** Drops the whole log; it goes on at `offset`. @throws DiskError */
  truncateFullyAndStartAt(offset: Offset, reason: string): void {
    this.#truncating(() => this.#context.logs.truncateFullyAndStartAt(this.name, offset, reason))
  }

  // ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #assign(image: PartitionImage, isLeader: boolean): void {
    this.#replicas = image.replicas
    this.#adding = image.addingReplicas
    if (!isLeader) {
      this.#remoteReplicas = []
      return
    }
    const self = this.#context.brokerId
    this.#remoteReplicas = image.replicas.filter((id) => id !== self).map((id) => this.replica(id) ?? new Replica(id))
  }

  #open(): PartitionLog {
    if (this.#log !== undefined) return this.#log
    const log = this.#context.openLog(this)
    this.#log = log
    const from = log.highWatermark
    const to = clamp(this.#context.checkpointedHighWatermark(this.name), log.logStartOffset, log.logEndOffset)
    log.setHighWatermark(to)
    this.#context.env.emit('hw.set', { partition: this.name, from, to, reason: 'open' })
    return log
  }

  #truncating(truncate: () => void): void {
    const log = this.#log
    assert(log, 'partition: no log', { partition: this.name })
    const from = log.highWatermark
    truncate()
    const to = log.highWatermark
    if (to === from) return
    this.#context.env.emit('hw.set', { partition: this.name, from, to, reason: 'truncate' })
    this.#tellHighWatermark(to)
  }

  #clear(): void {
    this.#remoteReplicas = []
    this.#replicas = []
    this.#adding = []
    this.#log = undefined
    this.#isr = NO_ISR
    this.#leader = NO_LEADER
    this.#leaderEpochStartOffset = NO_OFFSET
  }

  /** The hot path of a leader: no allocation unless the watermark moves. */
  #maybeAdvanceHighWatermark(log: PartitionLog, now: Millis): boolean {
    const replicas = this.#remoteReplicas
    const { isr, maximalIsr } = this.#isr
    if (isr.length < Math.min(log.config['min.insync.replicas'], replicas.length + 1)) return false
    const end = log.logEndOffset
    let to = end
    for (let i = 0; i < replicas.length; i++) {
      const replica = replicas[i] as Replica
      if (replica.logEndOffset < to && (maximalIsr.includes(replica.brokerId) || this.#mayJoin(replica, end, now))) {
        to = replica.logEndOffset
      }
    }
    const from = log.highWatermark
    if (to <= from) return false
    log.setHighWatermark(to)
    this.#context.env.emit('hw.advance', {
      partition: this.name,
      from,
      to,
      role: 'leader',
      leaderEpoch: this.#leaderEpoch,
    })
    this.#tellHighWatermark(to)
    return true
  }

  /** The high watermark waits for a follower that is about to join, lest it run away from it for ever. */
  #mayJoin(replica: Replica, leaderEnd: Offset, now: Millis): boolean {
    return replica.isCaughtUp(leaderEnd, now, this.#context.maxLagMs) && this.#isEligible(replica)
  }

  #isCaughtUp(id: NodeId, leaderEnd: Offset, now: Millis): boolean {
    return this.replica(id)?.isCaughtUp(leaderEnd, now, this.#context.maxLagMs) ?? false
  }

  /** KIP-841 and KIP-903: unfenced, not shutting down, and the very life of the broker that fetched. */
  #isEligible(replica: Replica): boolean {
    const broker = this.#context.metadata().brokers.get(replica.brokerId)
    if (broker === undefined || broker.fenced || broker.inControlledShutdown) return false
    if (broker.epoch === UNTOLD_BROKER_EPOCH || replica.brokerEpoch === UNCHECKED_BROKER_EPOCH) return true
    return replica.brokerEpoch === broker.epoch
  }

  #aliveBrokerEpoch(id: NodeId): Epoch | undefined {
    const broker = this.#context.metadata().brokers.get(id)
    return broker === undefined || broker.fenced ? undefined : broker.epoch
  }

  #maybeExpandIsr(replica: Replica): void {
    const state = this.#isr
    if (state.kind !== 'committed' || state.isr.includes(replica.brokerId)) return
    const log = this.leaderLog
    if (log === undefined || replica.logEndOffset < log.highWatermark) return
    if (replica.logEndOffset < this.#leaderEpochStartOffset || !this.#isEligible(replica)) return
    const sent = this.#leaderAndIsr([...state.isr, replica.brokerId], state)
    this.#propose(pendingExpand(state, replica.brokerId, sent), 'caught-up')
  }

  #leaderAndIsr(isr: readonly NodeId[], state: CommittedIsr): LeaderAndIsr {
    const { brokerId, brokerEpoch } = this.#context
    return {
      leader: brokerId,
      leaderEpoch: this.#leaderEpoch,
      leaderRecoveryState: state.leaderRecoveryState,
      partitionEpoch: this.#partitionEpoch,
      isr: isr.map((id) => {
        if (id === brokerId) return { brokerId: id, brokerEpoch: brokerEpoch() }
        const known = this.replica(id)?.brokerEpoch ?? NO_BROKER_EPOCH
        // A member that has not fetched from this leader yet. Should it have restarted, the controller has dropped it
        // and the partition epoch says so.
        return { brokerId: id, brokerEpoch: known === NO_BROKER_EPOCH ? UNCHECKED_BROKER_EPOCH : known }
      }),
    }
  }

  #propose(proposal: PendingIsr, reason: string): void {
    this.#isr = proposal
    this.#context.env.emit('isr.proposed', {
      partition: this.name,
      leaderEpoch: this.#leaderEpoch,
      partitionEpoch: this.#partitionEpoch,
      from: proposal.isr,
      to: proposal.sent.isr.map((member) => member.brokerId),
      reason,
    })
    this.#submit(proposal)
  }

  #submit(proposal: PendingIsr): void {
    this.#context.alterPartition.submit(this, proposal.sent, (result) => this.#onAlterPartition(proposal, result))
  }

  #onAlterPartition(proposal: PendingIsr, result: AlterPartitionResult): void {
    // Metadata or a later proposal has taken its place.
    if (this.#isr !== proposal) return
    const verdict = judgeAlterPartition(result, this.#leaderEpoch, this.#partitionEpoch)
    if (verdict === 'retry') return this.#submit(proposal)
    if (!result.ok) {
      if (verdict === 'revert') this.#isr = proposal.lastCommitted
      const error = errorName(result.error)
      this.#context.env.emit('isr.rejected', { partition: this.name, leaderEpoch: this.#leaderEpoch, error })
      return
    }
    if (verdict !== 'commit') return
    this.#isr = committedIsr(result.isr, result.leaderRecoveryState)
    this.#partitionEpoch = result.partitionEpoch
    this.#emitCommitted()
    if (this.advanceHighWatermark()) this.completeDelayed()
  }

  #emitLeader(): void {
    this.#context.env.emit('replica.leader', {
      partition: this.name,
      leaderEpoch: this.#leaderEpoch,
      partitionEpoch: this.#partitionEpoch,
      startOffset: this.#leaderEpochStartOffset,
      isr: this.#isr.isr,
      replicas: this.#replicas,
      minIsr: this.effectiveMinIsr,
    })
  }

  #emitCommitted(): void {
    this.#context.env.emit('isr.committed', {
      partition: this.name,
      leaderEpoch: this.#leaderEpoch,
      partitionEpoch: this.#partitionEpoch,
      isr: this.#isr.isr,
    })
  }

  #tellHighWatermark(offset: Offset): void {
    if (this.#listeners.size === 0) return
    for (const listener of [...this.#listeners]) listener.onHighWatermarkUpdated?.(offset)
  }
}

function clamp(offset: Offset, low: Offset, high: Offset): Offset {
  return offset < low ? low : offset > high ? high : offset
}
