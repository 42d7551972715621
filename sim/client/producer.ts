/**
 * A producer (Kafka's KafkaProducer).
 *
 * `send` never blocks, for nothing can in the simulation. A send that would block, because its topic's metadata or memory
 * is missing, waits in line with those behind it; it fails `max.block.ms` after its own call. Everything else is the
 * accumulator's and the sender's. Callbacks come by later events, except where a record is refused for what it is.
 *
 * With a transactional id it is a transactional producer: `initTransactions` once, then transactions one after the other. Their
 * calls wait behind sends that wait, as the application's thread would, and then `max.block.ms` at most.
 *
 * Errors carry Kafka's names. REQUEST_TIMED_OUT stands for every timeout, BUFFER_EXHAUSTED for memory that did not come in time,
 * PRODUCER_CLOSED for a record that was given up, ILLEGAL_STATE for a call that the state of the transaction forbids.
 */

import type { Env, EnvTimer } from '../kernel/env.js'
import type { RecordId } from '../kernel/events.js'
import { partitionName, type NodeName } from '../kernel/names.js'
import type { Bytes, Millis } from '../kernel/units.js'
import { errorName, Errors } from '../wire/errors.js'
import type { WireMode } from '../wire/frame.js'
import { partitionForKey } from '../wire/murmur2.js'
import type { NewRecord, RecordHeader } from '../wire/record-batch.js'
import { ClientMetadata } from './client-metadata.js'
import { sizeUpperBound } from './producer-batch.js'
import { acksOf, type ProducerConfig } from './producer-config.js'
import { ANY_PARTITION, RecordAccumulator } from './record-accumulator.js'
import { SendReporter, type SendCallback } from './send-reporter.js'
import { Sender } from './sender.js'
import { ProducerTopics } from './topic-interest.js'
import { TransactionManager, type ErrorKind, type Refusal } from './transaction-manager.js'
import type { GroupMetadata, OffsetAndMetadata } from './group/offset-commits.js'
import { TransactionalResult } from './transactional-result.js'

export interface ProducerRecord {
  readonly topic: string
  /** Chosen by key, or by the sticky partitioner, when left out. */
  readonly partition?: number
  readonly key?: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: readonly RecordHeader[]
  /** The time of the send when left out. */
  readonly timestamp?: Millis
  readonly id: RecordId
}

/**
 * What a transactional call came to: no error, or Kafka's name of it. After an `abortable` one the transaction can only be aborted,
 * after a `fatal` one the producer can only be closed; after a `retriable` one the same call may be made again, and nothing else.
 */
export type TransactionCallback = (error: string | undefined, kind?: ErrorKind) => void

/** A send, a flush or a transactional call that waits for its turn. */
type Waiting =
  | { readonly is: 'call'; readonly run: () => void }
  | { readonly is: 'send'; readonly record: ProducerRecord; readonly done: SendCallback; readonly deadlineMs: Millis }
  | { readonly is: 'flush'; readonly done: () => void }

/** Whether a send went through, or what it waits for. */
type Admission = 'done' | 'metadata' | 'memory'

export interface ProducerOptions {
  readonly wire?: WireMode
}

export class Producer {
  readonly #env: Env
  readonly #metadata: ClientMetadata
  readonly #topics: ProducerTopics
  readonly #transactions: TransactionManager | undefined
  /** The same, with a transactional id only. */
  readonly #transactional: TransactionManager | undefined
  readonly #accumulator: RecordAccumulator
  readonly #reporter: SendReporter
  readonly #sender: Sender
  readonly #maxBlockMs: Millis
  readonly #maxRequestBytes: Bytes
  readonly #bufferBytes: Bytes
  readonly #ignoreKeys: boolean
  readonly #waiting: Waiting[] = []
  /** Metadata's version when the first in line began to wait for a newer one. */
  #waitsSince: number | undefined
  #blockTimer: EnvTimer | undefined
  #closeTimer: EnvTimer | undefined
  #closed = false
  readonly #onClosed: (() => void)[] = []
  #isShutDown = false

  /** @param config as `parseProducerConfig` gives it */
  constructor(env: Env, config: ProducerConfig, bootstrap: readonly NodeName[], options: ProducerOptions = {}) {
    this.#env = env
    this.#maxBlockMs = config['max.block.ms']
    this.#maxRequestBytes = config['max.request.size']
    this.#bufferBytes = config['buffer.memory']
    this.#ignoreKeys = config['partitioner.ignore.keys']
    const idempotent = config['enable.idempotence']
    const transactionalId = config['transactional.id'] === '' ? undefined : config['transactional.id']
    this.#transactions = idempotent
      ? new TransactionManager(env, transactionalId, config['transaction.timeout.ms'])
      : undefined
    this.#transactional = transactionalId === undefined ? undefined : this.#transactions
    this.#topics = new ProducerTopics(config['metadata.max.idle.ms'])
    this.#metadata = new ClientMetadata(
      bootstrap,
      this.#topics,
      {
        retryBackoffMs: config['retry.backoff.ms'],
        retryBackoffMaxMs: config['retry.backoff.max.ms'],
        maxAgeMs: config['metadata.max.age.ms'],
      },
      env.random,
    )
    this.#accumulator = new RecordAccumulator(config, env.random, this.#transactions)
    this.#reporter = new SendReporter(env, acksOf(config), idempotent)
    this.#sender = new Sender(env, config, {
      metadata: this.#metadata,
      topics: this.#topics,
      accumulator: this.#accumulator,
      transactions: this.#transactions,
      reporter: this.#reporter,
      admit: () => this.#admit(),
      closed: () => this.#shutDown(),
      ...(options.wire === undefined ? {} : { wire: options.wire }),
    })
    this.#sender.wakeup()
  }

  /** Sends a record; `done` comes once. */
  send(record: ProducerRecord, done: SendCallback): void {
    this.#reporter.invoked(record.id, record.topic)
    if (this.#closed) {
      this.#refuse(record, 'PRODUCER_CLOSED', done)
      return
    }
    const refusal = this.#transactional?.sendRefusal()
    if (refusal !== undefined) {
      this.#refuse(record, refusal.error, done)
      return
    }
    const admission = this.#waiting.length > 0 ? 'metadata' : this.#tryAppend(record, done)
    if (admission === 'done') return
    this.#waiting.push({ is: 'send', record, done, deadlineMs: this.#env.clock.wallMs() + this.#maxBlockMs })
    if (this.#waiting.length > 1) return
    this.#accumulator.exhausted = admission === 'memory'
    this.#armBlockTimer()
    this.#sender.wakeup()
  }

  /** Sends everything without lingering; `done` once all that was sent before is answered. */
  flush(done: () => void): void {
    if (this.#waiting.length > 0) {
      this.#waiting.push({ is: 'flush', done })
      return
    }
    this.#accumulator.flush(done)
    this.#sender.wakeup()
  }

  /** Gets an identity for the transactional id; transactions of its last owner are completed first. Once, before all others. */
  initTransactions(done: TransactionCallback): void {
    this.#call(
      (manager) => manager.initTransactions(),
      (error, kind) => {
        if (error === undefined) this.#transactional?.learnVersion(true)
        done(error, kind)
      },
    )
  }

  /** Records sent from now on are part of a transaction. Returns Kafka's name of the error that forbids it. */
  beginTransaction(): string | undefined {
    if (this.#closed) return 'PRODUCER_CLOSED'
    return this.#transactional === undefined ? 'ILLEGAL_STATE' : this.#transactional.beginTransaction()?.error
  }

  /** Commits offsets of a consumer's group as part of the transaction. */
  sendOffsetsToTransaction(
    offsets: ReadonlyMap<string, OffsetAndMetadata>,
    group: GroupMetadata,
    done: TransactionCallback,
  ): void {
    if (group.generation > 0 && group.memberId === '') this.#env.soon(() => done('ILLEGAL_ARGUMENT', 'fatal'))
    else if (offsets.size === 0 && this.#transactional !== undefined) this.#env.soon(() => done(undefined))
    else this.#call((manager) => manager.sendOffsets(offsets, group), done)
  }

  /** Sends all that there is, and commits once every record is acknowledged. */
  commitTransaction(done: TransactionCallback): void {
    this.#call((manager) => manager.beginCommit(), done)
  }

  /** Gives up what was not sent, and aborts. */
  abortTransaction(done: TransactionCallback): void {
    this.#call((manager) => manager.beginAbort(), done)
  }

  /** Sends what there is and closes; after `timeoutMs` the rest is given up. No sends any more. An open transaction is aborted. */
  close(done: () => void, timeoutMs: Millis = Infinity): void {
    if (this.#isShutDown) {
      this.#env.soon(done)
      return
    }
    this.#onClosed.push(done)
    this.#closed = true
    for (const waiting of this.#waiting.splice(0)) {
      if (waiting.is === 'send') this.#refuse(waiting.record, 'PRODUCER_CLOSED', waiting.done)
      else if (waiting.is === 'flush') this.#accumulator.flush(waiting.done)
      else waiting.run()
    }
    if (timeoutMs <= 0) {
      this.#sender.forceClose()
      return
    }
    this.#sender.close()
    if (timeoutMs !== Infinity) this.#closeTimer = this.#env.after(timeoutMs, () => this.#sender.forceClose())
  }

  /** Lets those waiting go on, in order, as far as they can; fails those that waited too long. */
  #admit(): void {
    if (this.#waiting.length === 0) return
    const nowMs = this.#env.clock.wallMs()
    this.#accumulator.exhausted = false
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (first.is === 'flush') {
        this.#accumulator.flush(first.done)
      } else if (first.is === 'call') {
        first.run()
      } else {
        const admission = this.#tryAppend(first.record, first.done)
        if (admission !== 'done') {
          if (nowMs < first.deadlineMs) {
            this.#accumulator.exhausted = admission === 'memory'
            break
          }
          this.#waitsSince = undefined
          this.#refuseForGood(
            first.record,
            admission === 'memory' ? 'BUFFER_EXHAUSTED' : 'REQUEST_TIMED_OUT',
            first.done,
          )
        }
      }
      this.#waiting.shift()
    }
    this.#armBlockTimer()
  }

  /** A transactional call blocks the application for at most `max.block.ms`, after the sends before it. */
  #call(begin: (manager: TransactionManager) => TransactionalResult | Refusal, done: TransactionCallback): void {
    if (this.#waiting.length > 0) this.#waiting.push({ is: 'call', run: () => this.#begin(begin, done) })
    else this.#begin(begin, done)
  }

  #begin(begin: (manager: TransactionManager) => TransactionalResult | Refusal, done: TransactionCallback): void {
    const manager = this.#transactional
    const begun: TransactionalResult | Refusal =
      manager === undefined
        ? { error: 'ILLEGAL_STATE', kind: 'fatal' }
        : this.#closed
          ? { error: 'PRODUCER_CLOSED', kind: 'fatal' }
          : begin(manager)
    if (manager === undefined || !(begun instanceof TransactionalResult)) {
      const { error, kind } = begun as Refusal
      this.#env.soon(() => done(error, kind))
      return
    }
    begun.await(this.#env, this.#maxBlockMs, (outcome) => {
      if (outcome.is === 'timeout') done('REQUEST_TIMED_OUT', 'retriable')
      else if (outcome.error === undefined) done(undefined)
      else done(outcome.error, manager.errorKind)
    })
    this.#sender.wakeup()
  }

  #tryAppend(record: ProducerRecord, done: SendCallback): Admission {
    const nowMs = this.#env.clock.wallMs()
    const refusal = this.#transactional?.sendRefusal()
    if (refusal !== undefined) return this.#refuse(record, refusal.error, done)
    const { topic, value } = record
    const key = record.key ?? null
    const snapshot = this.#metadata.snapshot
    if (snapshot.invalidTopics.has(topic)) return this.#refuseForGood(record, 'INVALID_TOPIC_EXCEPTION', done)
    if (this.#topics.use(topic, nowMs)) this.#metadata.requestUpdateForNewTopics()
    const partitions = snapshot.partitionsOf(topic).length
    if (partitions === 0 || (record.partition !== undefined && record.partition >= partitions)) {
      const { updateVersion } = this.#metadata
      if (this.#waitsSince !== undefined && updateVersion > this.#waitsSince) {
        this.#waitsSince = undefined
        const error = this.#metadata.takeErrorOf(topic)
        if (error !== Errors.NONE) return this.#refuseForGood(record, errorName(error), done)
      }
      this.#waitsSince ??= updateVersion
      this.#askForTopic(topic)
      return 'metadata'
    }
    this.#waitsSince = undefined
    const appended: NewRecord =
      record.headers === undefined
        ? { timestamp: record.timestamp ?? nowMs, key, value }
        : { timestamp: record.timestamp ?? nowMs, key, value, headers: record.headers }
    const size = sizeUpperBound(appended)
    if (size > this.#maxRequestBytes || size > this.#bufferBytes) {
      return this.#refuseForGood(record, 'MESSAGE_TOO_LARGE', done)
    }
    const partition =
      record.partition ?? (key !== null && !this.#ignoreKeys ? partitionForKey(key, partitions) : ANY_PARTITION)
    const wake = this.#accumulator.append(topic, partition, appended, record.id, done, snapshot, nowMs)
    if (wake === undefined) return 'memory'
    if (wake) this.#sender.wakeup()
    return 'done'
  }

  /** Metadata of this topic is missing, or knows too few partitions. */
  #askForTopic(topic: string): void {
    if (this.#topics.isNew(topic)) this.#metadata.requestUpdateForNewTopics()
    else this.#metadata.requestUpdate()
  }

  /** The record failed for what it is, or for a wait that was too long: its transaction can no longer be committed. */
  #refuseForGood(record: ProducerRecord, error: string, done: SendCallback): Admission {
    this.#transactional?.sendFailed(error)
    return this.#refuse(record, error, done)
  }

  #refuse(record: ProducerRecord, error: string, done: SendCallback): Admission {
    const partition = record.partition === undefined ? '' : partitionName(record.topic, record.partition)
    this.#reporter.failed(record.id, partition, error, true, done)
    return 'done'
  }

  /** One timer, for the send that waits longest. */
  #armBlockTimer(): void {
    this.#blockTimer?.cancel()
    this.#blockTimer = undefined
    const first = this.#waiting.find((waiting) => waiting.is === 'send')
    if (first?.is !== 'send') return
    const delay = Math.max(first.deadlineMs - this.#env.clock.wallMs(), 1)
    this.#blockTimer = this.#env.after(delay, () => this.#sender.wakeup())
  }

  #shutDown(): void {
    this.#isShutDown = true
    this.#blockTimer?.cancel()
    this.#closeTimer?.cancel()
    for (const done of this.#onClosed.splice(0)) this.#env.soon(done)
  }
}
