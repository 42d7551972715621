/**
 * Coordinators whose state is a partition of a topic: one shard for each partition that this broker leads (`CoordinatorRuntime`).
 *
 *     none ──elect──→ loading ──the log is replayed──→ active
 *       ↑                │                              │
 *       └───────────── resign, partition lost ──────────┘
 *
 * A shard is brought up by replaying the log to its end. A write asks the shard for records, appends them, replays them into the
 * shard at once, and is answered when they are committed: when the high watermark has passed them. A write without records is answered when
 * everything before it is committed. When leadership is lost, whatever waits is answered NOT_COORDINATOR and the state is dropped:
 * the next coordinator has it from the log. While loading, requests are answered COORDINATOR_LOAD_IN_PROGRESS.
 *
 * Records are appended one write at a time (Kafka's `append.linger.ms` of 0).
 */

import type { Env, EnvTimer } from '../../kernel/env.js'
import { partitionName } from '../../kernel/names.js'
import type { Epoch, Millis, Offset } from '../../kernel/units.js'
import type { VerificationState } from '../../log/producer-state.js'
import { parseControlRecord } from '../../wire/control-record.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import { type NewRecord, type Record, RecordBatch } from '../../wire/record-batch.js'
import { ZERO_UUID } from '../../wire/uuid.js'
import type { Partition } from '../partition.js'
import type { ReplicaManager } from '../replica-manager.js'
import { ProduceEntry } from '../replica-produce.js'

/** A producer whose transaction the records are part of. */
export interface TransactionalProducer {
  readonly producerId: number
  readonly producerEpoch: Epoch
}

export interface Shard<R> {
  /** A record that is in the log now, in order. */
  replay(record: R, offset: Offset, producer: TransactionalProducer | undefined): void
  /** A transaction of this producer ended; its marker is at `offset`. */
  endTransaction(producer: TransactionalProducer, isCommit: boolean, offset: Offset): void
  /** Everything below `end` is committed. */
  committed(end: Offset): void
  /** The whole log was replayed; requests come from now on. */
  loaded(): void
  /** It leads no more: whatever waits within the shard is answered. */
  unloaded(): void
}

/** What a write comes to. */
export interface Outcome<R, T> {
  readonly records: readonly R[]
  readonly response: T
  /** The records are part of this producer's transaction. */
  readonly producer?: TransactionalProducer
  /** The transaction's coordinator has agreed to the append (KIP-890). */
  readonly verification?: VerificationState | undefined
  /** The shard's own state has taken the records over already; they are for those who load the log. */
  readonly isApplied?: boolean
  /** How long it may wait for its commit; the runtime's `writeTimeoutMs` when it does not say. */
  readonly timeoutMs?: Millis
  /** Called once when the records are committed, or with why they are not. */
  readonly settled?: (error: ErrorCode) => void
  /** Called when the records could not be appended: takes back what the shard's own state has taken over already. */
  readonly reverted?: () => void
}

export interface RecordCodec<R> {
  encode(record: R, nowMs: Millis): NewRecord
  /** Undefined for a record of a kind that is not known here: it is passed over. */
  decode(record: Record): R | undefined
}

/** What a shard is given to work with. */
export interface ShardHost<R> {
  readonly env: Env
  readonly index: number
  /**
   * Runs `operate` as a write of its own after `delayMs`, unless the key is cancelled or set again before. With `retryMs`, a write that fails
   * is tried again after so long, until it is done or the coordinator is gone (`CoordinatorTimer`).
   */
  schedule(key: string, delayMs: Millis, operate: () => Outcome<R, unknown>, retryMs?: Millis): void
  cancel(key: string): void
  isScheduled(key: string): boolean
}

/** For shards that write several batches at one time. */
export interface WritingShardHost<R> extends ShardHost<R> {
  /** A write of its own, now. */
  write(outcome: Outcome<R, unknown>): void
  /** The largest batch that the log takes. */
  readonly maxBatchBytes: number
}

export interface RuntimeOptions<R, S extends Shard<R>> {
  readonly topic: string
  readonly replicas: ReplicaManager
  readonly codec: RecordCodec<R>
  /** How long a write may wait for its commit. */
  readonly writeTimeoutMs: () => Millis
  readonly loadBytes: () => number
  /** Nothing is written while fewer than min.insync.replicas are in sync. */
  readonly needsMinIsr?: boolean
  makeShard(host: WritingShardHost<R>): S
  onLoaded?(index: number, shard: S): void
  onUnloaded?(index: number): void
}

export type Answer<T> = { readonly error: typeof Errors.NONE; readonly response: T } | { readonly error: ErrorCode }

interface Deferred {
  readonly end: Offset
  readonly settle: (error: ErrorCode) => void
}

interface Slot<S> {
  readonly index: number
  epoch: Epoch
  state: 'loading' | 'active' | 'closed'
  readonly shard: S
  readonly partition: Partition
  /** End of what this coordinator has written or replayed. */
  written: Offset
  committed: Offset
  readonly deferred: Deferred[]
  readonly timers: Map<string, EnvTimer>
}

/** The commit is waited for by the high watermark. */
const APPEND = { requiredAcks: 1, timeoutMs: 0, origin: 'coordinator', internalTopicsAllowed: true } as const

export class CoordinatorRuntime<R, S extends Shard<R>> {
  readonly #env: Env
  readonly #options: RuntimeOptions<R, S>
  readonly #slots = new Map<number, Slot<S>>()

  constructor(env: Env, options: RuntimeOptions<R, S>) {
    this.#env = env
    this.#options = options
  }

  // ── leadership ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** This broker leads partition `index` from `epoch` on: loads it, unless it is here already. */
  elect(index: number, epoch: Epoch): void {
    const known = this.#slots.get(index)
    if (known !== undefined) {
      known.epoch = Math.max(known.epoch, epoch)
      return
    }
    const { topic, replicas } = this.#options
    const partition = replicas.partition(topic, index)
    if (partition?.leaderLog === undefined) return
    const host: WritingShardHost<R> = {
      env: this.#env,
      index,
      schedule: (key, delayMs, operate, retryMs) => this.#schedule(slot, key, delayMs, operate, retryMs),
      cancel: (key) => {
        slot.timers.get(key)?.cancel()
        slot.timers.delete(key)
      },
      isScheduled: (key) => slot.timers.has(key),
      write: (outcome) => this.#apply(slot, outcome, () => undefined),
      get maxBatchBytes() {
        return slot.partition.leaderLog?.config['max.message.bytes'] ?? Infinity
      },
    }
    const slot: Slot<S> = {
      index,
      epoch,
      state: 'loading',
      shard: this.#options.makeShard(host),
      partition,
      written: partition.leaderLog.logStartOffset,
      committed: partition.leaderLog.logStartOffset,
      deferred: [],
      timers: new Map(),
    }
    this.#slots.set(index, slot)
    this.#env.disk.access(() => this.#load(slot))
  }

  /** It leads partition `index` no more. */
  resign(index: number): void {
    const slot = this.#slots.get(index)
    if (slot !== undefined) this.#close(slot)
  }

  #load(slot: Slot<S>): void {
    if (slot.state !== 'loading') return
    const log = slot.partition.leaderLog
    if (log === undefined) return this.#close(slot)
    const read = log.read(slot.written, this.#options.loadBytes(), log.logEndOffset, true)
    if (!('batches' in read)) return this.#close(slot)
    for (const batch of read.batches) this.#replayBatch(slot, batch)
    if (read.batches.length > 0 && slot.written < log.logEndOffset) {
      this.#env.soon(() => this.#env.disk.access(() => this.#load(slot)))
      return
    }
    slot.written = log.logEndOffset
    slot.state = 'active'
    slot.partition.addListener({
      // By an event of its own, as on Kafka's coordinator thread: what is answered now may write again.
      onHighWatermarkUpdated: (offset) => this.#env.soon(() => this.#commit(slot, offset)),
      onBecomingFollower: () => this.#close(slot),
      onFailed: () => this.#close(slot),
      onDeleted: () => this.#close(slot),
    })
    this.#commit(slot, log.highWatermark)
    slot.shard.loaded()
    this.#options.onLoaded?.(slot.index, slot.shard)
  }

  #replayBatch(slot: Slot<S>, batch: RecordBatch): void {
    if (batch.nextOffset <= slot.written) return
    const { producerId, producerEpoch, baseOffset } = batch
    const producer = batch.isTransactional ? { producerId, producerEpoch } : undefined
    for (const record of batch.records()) {
      const offset = baseOffset + record.offsetDelta
      if (batch.isControl) {
        const marker = parseControlRecord(record)
        if (marker?.type !== 'COMMIT' && marker?.type !== 'ABORT') continue
        slot.shard.endTransaction({ producerId, producerEpoch }, marker.type === 'COMMIT', offset)
      } else {
        const known = this.#options.codec.decode(record)
        if (known !== undefined) slot.shard.replay(known, offset, producer)
      }
    }
    slot.written = batch.nextOffset
  }

  #close(slot: Slot<S>): void {
    if (slot.state === 'closed') return
    const wasActive = slot.state === 'active'
    slot.state = 'closed'
    this.#slots.delete(slot.index)
    for (const timer of slot.timers.values()) timer.cancel()
    slot.timers.clear()
    for (const { settle } of slot.deferred.splice(0)) settle(Errors.NOT_COORDINATOR)
    slot.shard.unloaded()
    if (wasActive) this.#options.onUnloaded?.(slot.index)
  }

  #commit(slot: Slot<S>, highWatermark: Offset): void {
    if (highWatermark <= slot.committed || slot.state === 'closed') return
    slot.committed = highWatermark
    slot.shard.committed(highWatermark)
    while (slot.deferred.length > 0 && (slot.deferred[0] as Deferred).end <= highWatermark) {
      slot.deferred.shift()?.settle(Errors.NONE)
    }
  }

  // ── operations ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The shard of partition `index`, or why there is none. */
  find(index: number): { readonly shard: S; readonly committed: Offset } | { readonly error: ErrorCode } {
    const slot = this.#slots.get(index)
    if (slot === undefined) return { error: Errors.NOT_COORDINATOR }
    if (slot.state === 'loading') return { error: Errors.COORDINATOR_LOAD_IN_PROGRESS }
    return slot
  }

  /** Every active shard, by the number of its partition. */
  *active(): Iterable<{ readonly index: number; readonly shard: S; readonly committed: Offset }> {
    for (const slot of this.#slots.values()) if (slot.state === 'active') yield slot
  }

  /** Whether a partition is being loaded still. */
  get isLoading(): boolean {
    for (const slot of this.#slots.values()) if (slot.state === 'loading') return true
    return false
  }

  /** Changes a shard. `done` comes once: with the response when all is committed, or with an error. */
  write<T>(index: number, operate: (shard: S) => Outcome<R, T>, done: (answer: Answer<T>) => void): void {
    const found = this.find(index)
    if ('error' in found) return done({ error: found.error })
    this.#env.disk.access(() => {
      const slot = this.#slots.get(index)
      if (slot?.state !== 'active') return done({ error: Errors.NOT_COORDINATOR })
      const outcome = operate(slot.shard)
      this.#apply(slot, outcome, (error) => {
        done(error === Errors.NONE ? { error: Errors.NONE, response: outcome.response } : { error })
      })
    })
  }

  #apply<T>(slot: Slot<S>, outcome: Outcome<R, T>, done: (error: ErrorCode) => void): void {
    let isSettled = false
    let timer: EnvTimer | undefined
    const settle = (error: ErrorCode): void => {
      if (isSettled) return
      isSettled = true
      timer?.cancel()
      outcome.settled?.(error)
      done(error)
    }
    if (outcome.records.length > 0) {
      const error = this.#append(slot, outcome)
      if (error !== Errors.NONE) {
        outcome.reverted?.()
        return settle(error)
      }
    }
    if (slot.written <= slot.committed) return settle(Errors.NONE)
    slot.deferred.push({ end: slot.written, settle })
    timer = this.#env.after(outcome.timeoutMs ?? this.#options.writeTimeoutMs(), () => settle(Errors.REQUEST_TIMED_OUT))
  }

  #append<T>(slot: Slot<S>, outcome: Outcome<R, T>): ErrorCode {
    const { topic, replicas, codec, needsMinIsr } = this.#options
    if (needsMinIsr === true && slot.partition.isUnderMinIsr) return Errors.NOT_ENOUGH_REPLICAS
    const { records, producer, verification } = outcome
    const nowMs = this.#env.clock.wallMs()
    const options = producer === undefined ? {} : { ...producer, isTransactional: true }
    const batch = RecordBatch.build(
      options,
      records.map((record) => codec.encode(record, nowMs)),
    )
    const entry = new ProduceEntry(topic, ZERO_UUID, slot.index, [batch])
    entry.verification = verification
    replicas.append([entry], APPEND, () => undefined)
    if (entry.error === Errors.NONE) {
      if (outcome.isApplied !== true) {
        records.forEach((record, at) => slot.shard.replay(record, entry.baseOffset + at, producer))
      }
      slot.written = entry.baseOffset + records.length
    }
    const { leaderLog } = slot.partition
    if (leaderLog !== undefined && slot.state === 'active') this.#commit(slot, leaderLog.highWatermark)
    return entry.error
  }

  /** Writes the marker that ends a producer's transaction in partition `index`; `done` when it is committed. */
  writeMarker(index: number, batch: RecordBatch, isCommit: boolean, done: (error: ErrorCode) => void): void {
    const found = this.find(index)
    if ('error' in found) return done(found.error)
    this.#env.disk.access(() => {
      const slot = this.#slots.get(index)
      if (slot?.state !== 'active') return done(Errors.NOT_COORDINATOR)
      const { topic, replicas } = this.#options
      const entry = new ProduceEntry(topic, ZERO_UUID, index, [batch])
      replicas.append([entry], APPEND, () => undefined)
      if (entry.error !== Errors.NONE) return done(entry.error)
      const { producerId, producerEpoch } = batch
      slot.shard.endTransaction({ producerId, producerEpoch }, isCommit, entry.baseOffset)
      slot.written = entry.baseOffset + 1
      if (slot.partition.leaderLog !== undefined) this.#commit(slot, slot.partition.leaderLog.highWatermark)
      this.#apply(slot, { records: [], response: undefined }, done)
    })
  }

  #schedule(
    slot: Slot<S>,
    key: string,
    delayMs: Millis,
    operate: () => Outcome<R, unknown>,
    retryMs: Millis | undefined,
  ): void {
    slot.timers.get(key)?.cancel()
    const timer = this.#env.after(Math.max(1, delayMs), () => {
      if (slot.timers.get(key) === timer) slot.timers.delete(key)
      this.#env.disk.access(() => {
        // Set again, or cancelled, while the disk held it up: the new one counts.
        if (slot.state !== 'active' || slot.timers.has(key)) return
        this.#apply(slot, operate(), (error) => {
          if (error === Errors.NONE || retryMs === undefined || slot.state !== 'active') return
          this.#schedule(slot, key, retryMs, operate, retryMs)
        })
      })
    })
    slot.timers.set(key, timer)
  }

  /** `__consumer_offsets-7`. */
  nameOf(index: number): string {
    return partitionName(this.#options.topic, index)
  }
}
