/**
 * Produce: appends to the partitions that this broker leads and answers when enough replicas have it (Kafka's
 * `KafkaApis.handleProduceRequest`, `ReplicaManager.appendRecords`, `DelayedProduce`).
 *
 * For each partition, in order: the topic is known and the sender may write to it (and use the transactional id); exactly one batch; acks is -1, 0 or 1; no topic of Kafka's own;
 * this broker has the partition, under that id, and leads it; with acks=all, the ISR is not smaller than
 * min.insync.replicas (NOT_ENOUGH_REPLICAS, nothing appended); then the log's own checks. Partitions fail one by one.
 * What touches a log waits behind the gate of the disk.
 *
 *   acks 0     no answer; an error ends the connection
 *   acks 1     answered after the append
 *   acks -1    answered when for each partition the high watermark has passed the append (or
 *              NOT_ENOUGH_REPLICAS_AFTER_APPEND when the ISR has become too small), leadership is lost
 *              (NOT_LEADER_OR_FOLLOWER), or the request's time is up (REQUEST_TIMED_OUT)
 *
 * A batch that the log knows already is answered like the first time, with the old offset.
 */

import { DiskError, type Env } from '../kernel/env.js'
import type { Epoch, Millis, Offset } from '../kernel/units.js'
import { AclOperation } from '../kraft/metadata/acl.js'
import type { MetadataImage } from '../kraft/metadata/image.js'
import type { RequestAuthorizer } from '../kraft/metadata/request-authorizer.js'
import type { VerificationState } from '../log/producer-state.js'
import { type ErrorCode, Errors } from '../wire/errors.js'
import type { PartitionProduceResponse, ProduceResponse, TopicProduceResponse } from '../wire/messages/produce.js'
import { NO_TIMESTAMP, type RecordBatch, type Records } from '../wire/record-batch.js'
import type { IncomingRequestOf } from '../wire/request-server.js'
import { ZERO_UUID } from '../wire/uuid.js'
import type { Partition } from './partition.js'
import { DelayedOperation } from './purgatory.js'
import { CollectedLeaders, NO_CURRENT_LEADER } from './replica-leader-hints.js'
import type { ReplicaRegistry } from './replica-registry.js'
import { isInternalTopic } from './topic-names.js'
import type { TransactionVerifier } from './txn/verification.js'

/** Who may write to Kafka's own topics. */
const ADMIN_CLIENT_ID = '__admin_client'
const TOPIC_IDS_VERSION = 13
/** From here on writing to a partition adds it to the transaction (KIP-890). */
const TRANSACTION_V2_VERSION = 12
/** From here on an answer tells the new leader (KIP-951). */
const CURRENT_LEADER_VERSION = 10

export type AppendOrigin = 'client' | 'coordinator'

/** One partition of an append, and what came of it. */
export class ProduceEntry {
  readonly topic: string
  readonly topicId: string
  readonly index: number
  readonly records: Records
  partition: Partition | undefined
  error: ErrorCode = Errors.NONE
  errorMessage: string | null = null
  recordErrors: PartitionProduceResponse['recordErrors'] = []
  baseOffset: Offset = -1
  logAppendTimeMs: Millis = NO_TIMESTAMP
  logStartOffset: Offset = -1
  /** What the high watermark must reach. */
  requiredOffset: Offset = 0
  isPending = false
  /** The coordinator has agreed to the append. */
  verification: VerificationState | undefined
  /** Appended, but `flush.messages` wants it on the disk first. */
  isFlushing = false

  constructor(topic: string, topicId: string, index: number, records: Records) {
    this.topic = topic
    this.topicId = topicId
    this.index = index
    this.records = records
  }
}

export interface AppendOptions {
  readonly requiredAcks: number
  readonly timeoutMs: Millis
  readonly origin: AppendOrigin
  readonly internalTopicsAllowed: boolean
}

interface AppendRefusal {
  readonly error: ErrorCode
  readonly message?: string
  readonly recordErrors?: readonly { readonly batchIndex: number; readonly message: string }[]
}

/** Waits until every partition of an acks=all append is done. */
class DelayedProduce extends DelayedOperation {
  readonly #registry: ReplicaRegistry
  readonly #entries: readonly ProduceEntry[]
  readonly #done: () => void
  #pending = 0

  constructor(registry: ReplicaRegistry, entries: readonly ProduceEntry[], done: () => void) {
    super()
    this.#registry = registry
    this.#entries = entries
    this.#done = done
    for (const entry of entries) {
      if (entry.error !== Errors.NONE) continue
      entry.isPending = true
      entry.error = Errors.REQUEST_TIMED_OUT
      this.#pending++
    }
  }

  /** Looks at every partition; false when some are still to wait for. */
  tryComplete(): boolean {
    for (const entry of this.#entries) this.#check(entry)
    if (this.#pending === 0) this.complete()
    return this.isCompleted
  }

  checkEntry(at: number): void {
    this.#check(this.#entries[at] as ProduceEntry)
    if (this.#pending === 0) this.complete()
  }

  protected onComplete(): void {
    this.#done()
  }

  #check(entry: ProduceEntry): void {
    if (!entry.isPending) return
    const { partition, topic, index } = entry
    const isHosted = partition?.log !== undefined
    const verdict = isHosted ? partition.acknowledgement(entry.requiredOffset) : this.#registry.errorOf(topic, index)
    if (verdict === undefined) return
    entry.isPending = false
    entry.error = verdict
    this.#pending--
  }
}

/** How transactions are asked about before their first append to a partition (KIP-890). */
export interface TransactionVerification {
  readonly verifier: TransactionVerifier
  /** `transaction.partition.verification.enable`: for clients that add partitions themselves. */
  readonly isEnabled: () => boolean
  /** `add.partitions.to.txn.retry.backoff.ms`, and how long it is tried. */
  readonly retryBackoffMs: Millis
  readonly retryForMs: Millis
}

export interface ProduceOptions {
  readonly registry: ReplicaRegistry
  readonly metadata: () => MetadataImage
  readonly onStorageError: (partition: Partition, error: DiskError) => void
  readonly verification?: TransactionVerification
  readonly auth: RequestAuthorizer | undefined
}

export class ProduceHandler {
  readonly #env: Env
  readonly #options: ProduceOptions

  constructor(env: Env, options: ProduceOptions) {
    this.#env = env
    this.#options = options
  }

  handle(request: IncomingRequestOf<'Produce'>): void {
    const entries: ProduceEntry[] = []
    const valid: ProduceEntry[] = []
    const { auth } = this.#options
    const refusal = hasTransactionalRecords(request) && !mayWriteTransaction(request, auth)
    for (const topic of request.body.topicData) {
      const hasId = request.version >= TOPIC_IDS_VERSION
      const name = hasId ? this.#options.metadata().topicsById.get(topic.topicId)?.name : topic.name
      const isDenied =
        auth !== undefined && !refusal && name !== undefined && !auth.onTopic(request, AclOperation.WRITE, name)
      for (const { index, records } of topic.partitionData) {
        const entry = new ProduceEntry(name ?? '', hasId ? topic.topicId : ZERO_UUID, index, records ?? [])
        entries.push(entry)
        if (refusal) entry.error = Errors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        else if (isDenied) entry.error = Errors.TOPIC_AUTHORIZATION_FAILED
        else if (name === undefined) entry.error = Errors.UNKNOWN_TOPIC_ID
        else if (!this.#options.registry.inMetadata(name, index)) entry.error = Errors.UNKNOWN_TOPIC_OR_PARTITION
        else if (entry.records.length !== 1) entry.error = Errors.INVALID_RECORD
        else valid.push(entry)
      }
    }
    const respond = (): void => this.#respond(request, entries)
    if (valid.length === 0) return respond()
    const { acks, timeoutMs } = request.body
    if (hasSeveralTransactionalProducers(valid)) {
      for (const entry of valid) entry.error = Errors.INVALID_PRODUCER_ID_MAPPING
      return respond()
    }
    const internalTopicsAllowed = request.clientId === ADMIN_CLIENT_ID
    const options: AppendOptions = { requiredAcks: acks, timeoutMs, origin: 'client', internalTopicsAllowed }
    const append = (entries: readonly ProduceEntry[]): void => {
      if (entries.length === 0) respond()
      else this.#env.disk.access(() => this.append(entries, options, respond))
    }
    const first = valid[0]?.records[0]
    const { verification } = this.#options
    const mayAdd = request.version >= TRANSACTION_V2_VERSION
    if (first?.isTransactional !== true || verification === undefined || (!mayAdd && !verification.isEnabled())) {
      append(valid)
    } else this.#verify(verification, request, valid, append, this.#env.clock.monotonicMs())
  }

  /** Before the first append of a transaction to a partition its coordinator is asked (KIP-890). Goes on with those that may be appended. */
  #verify(
    verification: TransactionVerification,
    request: IncomingRequestOf<'Produce'>,
    entries: readonly ProduceEntry[],
    goOn: (entries: readonly ProduceEntry[]) => void,
    begunMs: Millis,
  ): void {
    const asked = new Map<string, ProduceEntry>()
    const mayAdd = request.version >= TRANSACTION_V2_VERSION
    for (const entry of entries) {
      const batch = entry.records[0] as RecordBatch
      const log = this.#options.registry.find(entry.topic, entry.index)?.leaderLog
      if (log === undefined) continue
      const { producerId, baseSequence, producerEpoch } = batch
      const started = log.startTransactionVerification(producerId, baseSequence, producerEpoch, mayAdd)
      if (started === undefined) continue
      if ('error' in started) entry.error = started.error
      else {
        entry.verification = started
        asked.set(`${entry.topic}-${entry.index}`, entry)
      }
    }
    const rest = (): void => goOn(entries.filter(({ error }) => error === Errors.NONE))
    if (asked.size === 0) return rest()
    const [{ producerId, producerEpoch }] = (entries[0] as ProduceEntry).records as readonly [RecordBatch]
    const names = [...asked.keys()]
    const { verifier, retryBackoffMs, retryForMs } = verification
    verifier.verify(request.body.transactionalId ?? '', { producerId, producerEpoch }, names, mayAdd, (errors) => {
      const isEnding = [...errors.values()].includes(Errors.CONCURRENT_TRANSACTIONS)
      if (mayAdd && isEnding && this.#env.clock.monotonicMs() - begunMs < retryForMs) {
        // The transaction before may be over in a moment.
        this.#env.after(retryBackoffMs, () => this.#verify(verification, request, entries, goOn, begunMs))
        return
      }
      for (const [name, entry] of asked) entry.error = verificationError(errors.get(name) ?? Errors.NONE, mayAdd)
      rest()
    })
  }

  /** Appends now; `done` once every entry has its result. */
  append(entries: readonly ProduceEntry[], options: AppendOptions, done: () => void): void {
    const { requiredAcks } = options
    if (requiredAcks !== -1 && requiredAcks !== 0 && requiredAcks !== 1) {
      for (const entry of entries) entry.error = Errors.INVALID_REQUIRED_ACKS
      return done()
    }
    for (const entry of entries) this.#appendEntry(entry, options)
    let flushing = 1
    const flushed = (): void => {
      if (--flushing === 0) this.#appended(entries, options, done)
    }
    for (const { isFlushing, partition } of entries) {
      if (!isFlushing) continue
      flushing++
      partition?.log?.afterFlush(flushed)
    }
    flushed()
  }

  /** Everything is in the logs: the high watermarks may move, the request may be answered, and others woken. */
  #appended(entries: readonly ProduceEntry[], options: AppendOptions, done: () => void): void {
    const advanced = entries.map(
      (entry) => entry.requiredOffset > 0 && entry.partition?.advanceHighWatermark() === true,
    )
    if (options.requiredAcks === -1 && entries.some((entry) => entry.error === Errors.NONE)) {
      this.#await(entries, options, done)
    } else done()
    for (let i = 0; i < entries.length; i++) wake(entries[i] as ProduceEntry, advanced[i] === true)
  }

  #await(entries: readonly ProduceEntry[], { timeoutMs }: AppendOptions, done: () => void): void {
    const delayed = new DelayedProduce(this.#options.registry, entries, done)
    if (delayed.tryComplete()) return
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i] as ProduceEntry
      if (entry.isPending && entry.partition !== undefined) delayed.watch(entry.partition.delayedProduce, i)
    }
    delayed.expireAfter(this.#env, timeoutMs)
  }

  #appendEntry(entry: ProduceEntry, options: AppendOptions): void {
    const { registry } = this.#options
    if (!options.internalTopicsAllowed && isInternalTopic(entry.topic)) {
      entry.error = Errors.INVALID_TOPIC_EXCEPTION
      return
    }
    const partition = registry.find(entry.topic, entry.index)
    if (partition === undefined) {
      entry.error = registry.errorOf(entry.topic, entry.index)
      return
    }
    if (entry.topicId !== ZERO_UUID && entry.topicId !== partition.topicId) {
      entry.error = Errors.UNKNOWN_TOPIC_ID
      return
    }
    const log = partition.leaderLog
    if (log === undefined) {
      entry.error = Errors.NOT_LEADER_OR_FOLLOWER
      return
    }
    entry.partition = partition
    if (options.requiredAcks === -1 && partition.isUnderMinIsr) {
      entry.error = Errors.NOT_ENOUGH_REPLICAS
      entry.logStartOffset = log.logStartOffset
      return
    }
    try {
      const result = log.appendAsLeader(entry.records, partition.leaderEpoch, {
        origin: options.origin,
        verification: entry.verification,
      })
      if (!('flushing' in result)) {
        refuse(entry, result, log.logStartOffset)
        return
      }
      entry.baseOffset = result.firstOffset
      entry.logAppendTimeMs = result.logAppendTime
      entry.logStartOffset = log.logStartOffset
      entry.requiredOffset = result.lastOffset + 1
      entry.isFlushing = result.flushing
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      entry.error = Errors.KAFKA_STORAGE_ERROR
      this.#options.onStorageError(partition, error)
    }
  }

  #respond(request: IncomingRequestOf<'Produce'>, entries: readonly ProduceEntry[]): void {
    const { version } = request
    if (request.body.acks === 0) {
      if (entries.some((entry) => entry.error !== Errors.NONE)) request.closeConnection()
      else request.respondNothing()
      return
    }
    const leaders = new CollectedLeaders(this.#options.registry, this.#options.metadata)
    const hasId = version >= TOPIC_IDS_VERSION
    let at = 0
    const responses: TopicProduceResponse[] = request.body.topicData.map((topic) => ({
      name: hasId ? '' : topic.name,
      topicId: hasId ? topic.topicId : ZERO_UUID,
      partitionResponses: topic.partitionData.map(() => {
        const entry = entries[at++] as ProduceEntry
        const tellsLeader = entry.error === Errors.NOT_LEADER_OR_FOLLOWER && version >= CURRENT_LEADER_VERSION
        return partitionResponse(entry, tellsLeader ? leaders.leaderOf(entry.topic, entry.index) : NO_CURRENT_LEADER)
      }),
    }))
    const response: ProduceResponse = { responses, throttleTimeMs: 0, nodeEndpoints: leaders.endpoints }
    request.respond(response)
  }
}

/** After the answer of the append itself: what waits on its partitions. */
function wake({ partition, requiredOffset }: ProduceEntry, hwAdvanced: boolean): void {
  if (partition === undefined || requiredOffset === 0) return
  if (hwAdvanced) {
    partition.delayedProduce.check()
    partition.delayedFetch.check()
    partition.delayedDeleteRecords.check()
  } else partition.delayedFetch.check()
}

/** Errors of the request's size or bytes say nothing of the log. */
function refuse(entry: ProduceEntry, refusal: AppendRefusal, logStartOffset: Offset): void {
  entry.error = refusal.error
  const { error } = refusal
  if (
    error === Errors.MESSAGE_TOO_LARGE ||
    error === Errors.RECORD_LIST_TOO_LARGE ||
    error === Errors.CORRUPT_MESSAGE
  ) {
    return
  }
  entry.logStartOffset = logStartOffset
  if (refusal.recordErrors === undefined) return
  entry.errorMessage = refusal.message ?? null
  entry.recordErrors = refusal.recordErrors.map(({ batchIndex, message }) => ({
    batchIndex,
    batchIndexErrorMessage: message,
  }))
}

function partitionResponse(
  entry: ProduceEntry,
  currentLeader: PartitionProduceResponse['currentLeader'],
): PartitionProduceResponse {
  return {
    index: entry.index,
    errorCode: entry.error,
    baseOffset: entry.baseOffset,
    logAppendTimeMs: entry.logAppendTimeMs,
    logStartOffset: entry.logStartOffset,
    recordErrors: entry.recordErrors,
    errorMessage: entry.errorMessage,
    currentLeader,
  }
}

function hasTransactionalRecords({ body }: IncomingRequestOf<'Produce'>): boolean {
  for (const { partitionData } of body.topicData) {
    for (const { records } of partitionData) {
      if (records === null) continue
      for (let i = 0; i < records.length; i++) if ((records[i] as RecordBatch).isTransactional) return true
    }
  }
  return false
}

/** Transactional records without a transactional id are refused the same way, whoever sent them. */
function mayWriteTransaction(request: IncomingRequestOf<'Produce'>, auth: RequestAuthorizer | undefined): boolean {
  const { transactionalId } = request.body
  if (transactionalId === null) return false
  return auth === undefined || auth.onTransactionalId(request, AclOperation.WRITE, transactionalId)
}

function hasSeveralTransactionalProducers(entries: readonly ProduceEntry[]): boolean {
  let producerId = -1
  let producerEpoch: Epoch = -1
  for (const { records } of entries) {
    for (const batch of records) {
      if (!batch.isTransactional || batch.producerId < 0) continue
      if (producerId >= 0 && (batch.producerId !== producerId || batch.producerEpoch !== producerEpoch)) return true
      producerId = batch.producerId
      producerEpoch = batch.producerEpoch
    }
  }
  return false
}

/** What a producer hears that could not be verified: something that it tries again, if it does not know the error itself. */
function verificationError(error: ErrorCode, mayAdd: boolean): ErrorCode {
  switch (error) {
    case Errors.NETWORK_EXCEPTION:
    case Errors.COORDINATOR_LOAD_IN_PROGRESS:
    case Errors.COORDINATOR_NOT_AVAILABLE:
    case Errors.NOT_COORDINATOR:
      return Errors.NOT_ENOUGH_REPLICAS
    case Errors.CONCURRENT_TRANSACTIONS:
      return mayAdd ? error : Errors.NOT_ENOUGH_REPLICAS
    default:
      return error
  }
}
