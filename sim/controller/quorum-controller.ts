/**
 * The KRaft controller (Kafka's `QuorumController`): one of a quorum, active or standby.
 *
 *   standby ── raft leader, all before its epoch applied ──→ active ── another epoch or leader, or an append refused ──→ standby
 *
 * Active: a decision gives records and an answer; the records are appended to the log and applied at once, the answer is sent
 * when they are committed (reads wait for what they may have seen). When leadership is lost, everything uncommitted is taken back and
 * what waits is answered with NOT_CONTROLLER. Standby: records are applied when they are committed.
 *
 * Everything runs to completion in one event, so Kafka's event queue has no counterpart, and no request is ever too late once it
 * has arrived: a deadline in the past is the only one that times out.
 */

import type { Env } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import type { Epoch, NodeId, Offset } from '../kernel/units.js'
import type { LeaderAndEpoch, MetadataLoader } from '../kraft/metadata/metadata-loader.js'
import type { MetadataVersion } from '../kraft/metadata/metadata-version.js'
import { ELR_FEATURE, METADATA_VERSION_FEATURE, metadataVersion } from '../kraft/metadata/metadata-version.js'
import type { MetadataBatch, MetadataRecord, MetadataSnapshot } from '../kraft/metadata/records.js'
import { configRecord, NO_OP_RECORD, RESOURCE_BROKER } from '../kraft/metadata/records.js'
import type { ApiError } from '../wire/error-response.js'
import { Errors } from '../wire/errors.js'
import { Announcements } from './announcements.js'
import { fenceOneStaleBroker } from './broker-transitions.js'
import { MIN_ISR } from './config-control.js'
import type { ControllerResult, Decision } from './controller-result.js'
import { apiError, decided } from './controller-result.js'
import type { Applied, ControllerStateOptions } from './controller-state.js'
import { ControllerState } from './controller-state.js'
import { DeferredEvents } from './deferred-events.js'
import { balanceLeaders, electUncleanLeaders } from './leader-elections.js'
import type { PeriodicTask } from './periodic-tasks.js'
import { PeriodicTasks } from './periodic-tasks.js'

/** What the controller needs of the raft client. */
export interface ControllerRaft {
  readonly leader: LeaderAndEpoch
  /** The offset that the next record gets. */
  readonly logEndOffset: Offset
  /** Appends `records` as one; the offset of the last, or undefined when this node does not lead `epoch`. */
  append(epoch: Epoch, records: readonly MetadataRecord[]): Offset | undefined
  /** Gives up the leadership of `epoch`; does nothing when it is not held. */
  resign(epoch: Epoch): void
}

export interface QuorumControllerOptions extends ControllerStateOptions {
  /** What `kafka-storage format` left for an empty log. */
  readonly bootstrapRecords: readonly MetadataRecord[]
  readonly raft: ControllerRaft
  readonly loader: MetadataLoader
}

/** How a request ends: with its answer, or refused as a whole. */
export type Outcome<T> = { readonly response: T } | { readonly refused: ApiError }

/** Records in one batch at most. */
const MAX_RECORDS_PER_BATCH = 10_000
const STANDBY: Epoch = -1
/** How often sessions are looked at, per session timeout. */
const SESSION_CHECKS = 8

export class QuorumController {
  readonly state: ControllerState
  readonly #env: Env
  readonly #nodeId: NodeId
  readonly #raft: ControllerRaft
  readonly #loader: MetadataLoader
  readonly #bootstrapRecords: readonly MetadataRecord[]
  readonly #deferred = new DeferredEvents()
  readonly #periodic: PeriodicTasks
  readonly #announcements: Announcements
  /** Only what was appended in this process's life is told of by a controller that did not append it. */
  #tellFrom: Offset = -1
  #claimEpoch: Epoch = STANDBY
  #lastCommitted: Offset = -1
  #nextWriteOffset: Offset = -1
  /** -1 outside of metadata transactions. */
  #transactionStart: Offset = -1

  constructor(env: Env, options: QuorumControllerOptions) {
    this.#env = env
    this.#nodeId = options.nodeId
    this.#raft = options.raft
    this.#loader = options.loader
    this.#bootstrapRecords = options.bootstrapRecords
    this.state = new ControllerState(env, options)
    this.#announcements = new Announcements(env, this.state.topics)
    this.#periodic = new PeriodicTasks(env, this.#periodicTasks(options))
  }

  get isActive(): boolean {
    return this.#claimEpoch !== STANDBY
  }

  /** The offset that the next record of the active controller gets. */
  get nextWriteOffset(): Offset {
    return this.#nextWriteOffset
  }

  /** The raft log was opened with this end. */
  opened(logEndOffset: Offset): void {
    this.#tellFrom = logEndOffset
  }

  /**
   * Decides, appends, applies, and answers when committed. `done` comes once. `appended` gets the offset of the last record, or of the
   * last one written when there are none.
   */
  write<T>(decide: () => Decision<T>, done: (outcome: Outcome<T>) => void, appended?: (offset: Offset) => void): void {
    if (!this.isActive) return done({ refused: this.#notController() })
    const decision = decide()
    if ('refused' in decision) return done(decision)
    const { response } = decision
    let offset = this.#deferred.highestPendingOffset
    if (decision.records.length > 0) {
      const last = this.#append(decision)
      if (last === undefined) {
        this.#renounce('append-refused')
        return done({ refused: this.#notController() })
      }
      offset = last
    }
    appended?.(decision.records.length > 0 ? offset : this.#nextWriteOffset - 1)
    // Without records the answer still must not tell of what may never be committed.
    if (offset < 0) return done({ response })
    this.#deferred.add(offset, {
      complete: (outcome) => done(outcome === 'committed' ? { response } : { refused: this.#notController() }),
    })
  }

  // ── the log ───────────────────────────────────────────────────────────────────────────────────────────────────────

  handleCommit(batches: readonly MetadataBatch[]): void {
    for (const batch of batches) {
      this.#loader.handleCommit([batch])
      if (batch.records.length === 0) continue
      if (!this.isActive) this.#applyCommitted(batch)
      this.#lastCommitted = batch.lastOffset
      const stable = this.#lastStable
      this.#announcements.emitUpTo(stable)
      if (this.isActive) this.#deferred.completeUpTo(stable)
    }
  }

  handleLoadSnapshot(snapshot: MetadataSnapshot): void {
    assert(!this.isActive, 'controller: snapshot while active')
    this.#loader.handleLoadSnapshot(snapshot)
    this.#transactionStart = -1
    this.#lastCommitted = snapshot.endOffset - 1
    this.state.reset(this.#loader.image)
  }

  handleLeaderChange(leader: LeaderAndEpoch): void {
    this.#loader.handleLeaderChange(leader)
    const isLeader = leader.leaderId === this.#nodeId
    if (this.isActive) {
      if (!isLeader) return this.#renounce('leader-change')
      this.#claimEpoch = leader.epoch
      this.#env.emit('controller.active', { epoch: leader.epoch })
    } else if (isLeader) this.#claim(leader.epoch)
  }

  beginShutdown(): void {
    if (this.isActive) this.#renounce('shutdown')
    this.#loader.beginShutdown()
  }

  get #lastStable(): Offset {
    return this.#transactionStart < 0 ? this.#lastCommitted : Math.min(this.#transactionStart - 1, this.#lastCommitted)
  }

  /** Undefined when raft says that this node does not lead; what was appended before is left to be taken back. */
  #append(result: ControllerResult<unknown>): Offset | undefined {
    const { records, atomic, reason } = result
    assert(!atomic || records.length <= MAX_RECORDS_PER_BATCH, 'controller: too many records for one batch', { reason })
    let last: Offset | undefined
    for (let start = 0; start < records.length; start += MAX_RECORDS_PER_BATCH) {
      const part =
        records.length <= MAX_RECORDS_PER_BATCH ? records : records.slice(start, start + MAX_RECORDS_PER_BATCH)
      last = this.#raft.append(this.#claimEpoch, part)
      if (last === undefined) return undefined
      const baseOffset = last - part.length + 1
      const applied = this.#replay(part, baseOffset)
      this.#announcements.note(part, applied, baseOffset, reason)
      this.#nextWriteOffset = last + 1
    }
    return last
  }

  #applyCommitted(batch: MetadataBatch): void {
    const applied = this.#replay(batch.records, batch.baseOffset)
    const leads = this.#raft.leader.leaderId === this.#nodeId
    if (leads && this.#tellFrom >= 0 && batch.baseOffset >= this.#tellFrom) {
      this.#announcements.note(batch.records, applied, batch.baseOffset, 'failover')
    }
  }

  #replay(records: readonly MetadataRecord[], baseOffset: Offset): Applied[] {
    const applied: Applied[] = []
    for (let i = 0; i < records.length; i++) {
      const record = records[i] as MetadataRecord
      const offset = baseOffset + i
      if (record.type === 'BeginTransactionRecord') this.#transactionStart = offset
      else if (record.type === 'EndTransactionRecord') this.#transactionStart = -1
      else if (record.type === 'AbortTransactionRecord') {
        this.#transactionStart = -1
        this.state.reset(this.#loader.image)
      }
      applied.push(this.state.replay(record, offset))
    }
    return applied
  }

  // ── leadership ────────────────────────────────────────────────────────────────────────────────────────────────────

  #claim(epoch: Epoch): void {
    this.#claimEpoch = epoch
    this.#nextWriteOffset = this.#raft.logEndOffset
    this.state.cluster.activate()
    this.#env.emit('controller.active', { epoch })
    this.write(
      () => this.#activation(),
      () => {},
      () => this.#periodic.activate(),
    )
  }

  #renounce(reason: string): void {
    const epoch = this.#claimEpoch
    this.#raft.resign(epoch)
    this.#claimEpoch = STANDBY
    this.#nextWriteOffset = -1
    this.#periodic.deactivate()
    this.#announcements.clear()
    this.state.cluster.deactivate()
    this.state.reset(this.#loader.image)
    this.#env.emit('controller.resigned', { epoch, reason })
    this.#deferred.failAll()
  }

  /** The first records of a new active controller (`ActivationRecordsGenerator`): the bootstrap records when the log is empty. */
  #activation(): Decision<null> {
    const known = this.state.features.knownMetadataVersion
    const aborts = this.#transactionStart >= 0
    const abort: MetadataRecord = { type: 'AbortTransactionRecord', version: 0, reason: 'controller failover' }
    if (known !== undefined) return decided('activation', aborts ? [abort] : [], null, true)
    const records: MetadataRecord[] = aborts ? [abort] : []
    const version = this.#bootstrapVersion()
    if (version.transactions) records.push({ type: 'BeginTransactionRecord', version: 0, name: 'bootstrap' })
    records.push(...this.#bootstrapRecords)
    if (this.#bootstrapLevel(ELR_FEATURE) > 0) {
      // With ELR, min.insync.replicas is the cluster's: every node has to see the same.
      records.push(configRecord(RESOURCE_BROKER, '', MIN_ISR, String(this.state.configs.staticMinIsr)))
    }
    if (version.transactions) records.push({ type: 'EndTransactionRecord', version: 0 })
    return decided('bootstrap', records, null, !version.transactions)
  }

  #bootstrapVersion(): MetadataVersion {
    return metadataVersion(this.#bootstrapLevel(METADATA_VERSION_FEATURE))
  }

  #bootstrapLevel(feature: string): number {
    for (const record of this.#bootstrapRecords) {
      if (record.type === 'FeatureLevelRecord' && record.name === feature) return record.featureLevel
    }
    return 0
  }

  #notController(): ApiError {
    const { leaderId } = this.#raft.leader
    return apiError(Errors.NOT_CONTROLLER, leaderId < 0 ? 'no controller is active' : `the controller is ${leaderId}`)
  }

  // ── periodic tasks ────────────────────────────────────────────────────────────────────────────────────────────────

  #periodicTasks({ config }: QuorumControllerOptions): PeriodicTask[] {
    const tasks: PeriodicTask[] = []
    const idleMs = config['metadata.max.idle.interval.ms']
    const noOp = decided('no-op', [NO_OP_RECORD], false)
    if (idleMs > 0) tasks.push(this.#task('writeNoOpRecord', idleMs, () => noOp))
    const sessionMs = config['broker.session.timeout.ms']
    const checkMs = Math.max(1, sessionMs / SESSION_CHECKS)
    tasks.push(this.#task('maybeFenceStaleBroker', checkMs, () => fenceOneStaleBroker(this.state)))
    if (config['auto.leader.rebalance.enable']) {
      const balanceMs = config['leader.imbalance.check.interval.seconds'] * 1_000
      tasks.push(this.#task('electPreferred', balanceMs, () => balanceLeaders(this.state)))
    }
    const uncleanMs = config['unclean.leader.election.interval.ms']
    tasks.push(this.#task('electUnclean', uncleanMs, () => electUncleanLeaders(this.state)))
    return tasks
  }

  #task(name: string, periodMs: number, decide: () => ControllerResult<boolean>): PeriodicTask {
    return {
      name,
      periodMs,
      run: () => {
        let more = false
        const once = (): Decision<null> => {
          const { response, records, reason, atomic } = decide()
          more = response
          return { records, reason, atomic, response: null }
        }
        this.write(once, ignore)
        return more
      },
    }
  }
}

function ignore(): void {}
