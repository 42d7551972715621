/**
 * The producer's I/O thread: sends what is ready, and decides what becomes of each batch (Kafka's Sender).
 *
 * One pass: settle sequences and identity; find nodes that are ready; drain them; expire what is too old; send one Produce request
 * to each node; fetch metadata that is due. A pass runs when the application or an answer wakes it, and by one timer
 * at the next moment at which something may be ready.
 *
 * An answer to a batch:
 *
 *     none                                  acknowledged
 *     MESSAGE_TOO_LARGE, several records    split, and sent again
 *     DUPLICATE_SEQUENCE_NUMBER             acknowledged, without an offset
 *     retriable, in time, retries left      back into the queue (idempotence has more to say on sequences)
 *     else                                  failed
 *
 * An answer about stale metadata asks for new metadata, and may bring the new leader along (KIP-951).
 */

import type { Env, EnvTimer } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import type { RecordId } from '../kernel/events.js'
import type { Bytes, Millis, Offset } from '../kernel/units.js'
import type { Apis } from '../wire/apis.js'
import { Errors, errorName, isInvalidMetadata, isRetriable, type ErrorCode } from '../wire/errors.js'
import type { WireMode } from '../wire/frame.js'
import { incrementSequence, NO_SEQUENCE, type RecordBatch } from '../wire/record-batch.js'
import type { RpcResult } from '../wire/request-client.js'
import { ZERO_UUID } from '../wire/uuid.js'
import type { ClientMetadata, NewLeader } from './client-metadata.js'
import { ClusterClient, NEVER } from './cluster-client.js'
import type { ClusterNode } from './metadata-snapshot.js'
import { MetadataUpdater } from './metadata-updater.js'
import type { PartitionQueue } from './partition-queue.js'
import type { ProducerBatch } from './producer-batch.js'
import { acksOf, type ProducerConfig } from './producer-config.js'
import type { RecordAccumulator } from './record-accumulator.js'
import type { SendReporter } from './send-reporter.js'
import type { ProducerTopics } from './topic-interest.js'
import type { TransactionManager } from './transaction-manager.js'
import { TransactionSender } from './transaction-sender.js'
import { TransactionalResult } from './transactional-result.js'

type ProduceRequest = Apis['Produce']['request']
type ProduceResponse = Apis['Produce']['response']
type PartitionResponse = ProduceResponse['responses'][number]['partitionResponses'][number]

/** What a batch was answered; local failures look like errors of the broker, as in Kafka. */
type Answer = Pick<PartitionResponse, 'errorCode' | 'baseOffset' | 'logStartOffset' | 'recordErrors'>

/** Records of one topic in a request. */
interface TopicData {
  readonly name: string
  readonly topicId: string
  readonly partitionData: { readonly index: number; readonly records: readonly RecordBatch[] }[]
}

/** The newest version of Produce that means transaction version 1 and below (KIP-890). */
const PRODUCE_V1 = 11

/** More passes than this at one instant mean that nothing moves. */
const PASSES_MAX = 1_000

export interface SenderParts {
  readonly metadata: ClientMetadata
  readonly topics: ProducerTopics
  readonly accumulator: RecordAccumulator
  /** Undefined without idempotence. */
  readonly transactions: TransactionManager | undefined
  readonly reporter: SendReporter
  /** Called before each pass: sends that waited for metadata or memory may go on. */
  readonly admit: () => void
  /** Called when the sender has nothing left to do after `close`. */
  readonly closed: () => void
  readonly wire?: WireMode
}

export class Sender {
  readonly #env: Env
  readonly #parts: SenderParts
  readonly #metadata: ClientMetadata
  readonly #accumulator: RecordAccumulator
  readonly #transactions: TransactionManager | undefined
  readonly #reporter: SendReporter
  readonly #cluster: ClusterClient
  readonly #updater: MetadataUpdater
  readonly #transactionSender: TransactionSender | undefined
  readonly #transactionalId: string | null = null
  readonly #acks: -1 | 0 | 1
  readonly #retries: number
  readonly #requestTimeoutMs: Millis
  readonly #maxRequestBytes: Bytes
  /** One request in flight and no more: the next batch of a partition waits for the answer to the last. */
  readonly #guaranteesOrder: boolean
  /** Partitions with batches in flight, for expiry. */
  readonly #inFlight = new Set<PartitionQueue>()
  #state: 'running' | 'closing' | 'closed' = 'running'
  #produceWaitMs: Millis = NEVER
  #wakeupPending = false
  #running = false
  #runAgain = false
  #timer: EnvTimer | undefined

  constructor(env: Env, config: ProducerConfig, parts: SenderParts) {
    this.#env = env
    this.#parts = parts
    this.#metadata = parts.metadata
    this.#accumulator = parts.accumulator
    this.#transactions = parts.transactions
    this.#reporter = parts.reporter
    this.#acks = acksOf(config)
    this.#retries = config.retries
    this.#requestTimeoutMs = config['request.timeout.ms']
    this.#maxRequestBytes = config['max.request.size']
    const maxInFlight = config['max.in.flight.requests.per.connection']
    this.#guaranteesOrder = maxInFlight === 1
    this.#updater = new MetadataUpdater(env, parts.metadata, config)
    this.#cluster = new ClusterClient(env, config, this.#updater, {
      maxInFlight,
      onWake: () => this.#run(),
      ...(parts.wire === undefined ? {} : { wire: parts.wire }),
    })
    const transactions = parts.transactions
    if (transactions === undefined) return
    transactions.features = () => this.#cluster.features
    this.#transactionalId = transactions.transactionalId ?? null
    this.#transactionSender = new TransactionSender({
      manager: transactions,
      cluster: this.#cluster,
      metadata: parts.metadata,
      retryBackoffMs: config['retry.backoff.ms'],
      requestTimeoutMs: this.#requestTimeoutMs,
      hasIncomplete: () => this.#accumulator.hasIncomplete,
      abortUndrained: (error) => this.#abort(this.#accumulator.abandonUndrained(), error),
    })
  }

  /** Makes a pass as an event of its own, at this instant; several calls make one. */
  wakeup(): void {
    if (this.#wakeupPending || this.#state === 'closed') return
    this.#wakeupPending = true
    this.#env.soon(this.#onWakeup)
  }

  /** Sends what there is and waits for the answers, then closes. */
  close(): void {
    if (this.#state !== 'running') return
    this.#state = 'closing'
    this.#accumulator.closed = true
    this.wakeup()
  }

  /** Gives up whatever is not answered. */
  forceClose(): void {
    if (this.#state === 'closed') return
    this.#accumulator.closed = true
    this.#transactions?.close()
    this.#finish()
  }

  readonly #onWakeup = (): void => {
    this.#wakeupPending = false
    this.#run()
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined
    this.#run()
  }

  #run(): void {
    // Callbacks of the application run within a pass and may wake it.
    if (this.#running) {
      this.#runAgain = true
      return
    }
    this.#running = true
    let waitMs: Millis
    do {
      this.#runAgain = false
      waitMs = this.#state === 'closed' ? NEVER : this.#passes()
    } while (this.#runAgain)
    this.#running = false
    this.#sleep(waitMs)
  }

  #sleep(waitMs: Millis): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#state === 'closing' && this.#isQuiet()) this.#finish()
    if (this.#state === 'closed' || waitMs === NEVER) return
    this.#timer = this.#env.after(Math.max(waitMs, 1), this.#onTimer)
  }

  /** Closing may end: all is answered, and the transaction is over. One that is still open is aborted. */
  #isQuiet(): boolean {
    const manager = this.#transactions
    const isOngoing = manager?.hasOngoingTransaction === true
    if (this.#accumulator.hasUndrained || this.#cluster.inFlight > 0) return false
    if (manager === undefined || !isOngoing) return true
    if (manager.hasPendingRequests || this.#transactionSender?.isBusy === true || manager.isCompleting) return false
    // Refused where the outcome of another call is open: then there is nothing to wait for.
    if (!(manager.beginAbort() instanceof TransactionalResult)) {
      manager.close()
      return true
    }
    this.wakeup()
    return false
  }

  #finish(): void {
    this.#state = 'closed'
    this.#timer?.cancel()
    this.#cluster.close()
    this.#abort(this.#accumulator.abandon(), 'PRODUCER_CLOSED')
    this.#parts.closed()
  }

  /** Passes until nothing more can be sent. Returns when to look again. */
  #passes(): Millis {
    this.#parts.admit()
    const nowMs = this.#env.clock.wallMs()
    this.#transactions?.resolveSequences()
    for (let pass = 0; pass < PASSES_MAX; pass++) {
      let waitMs = this.#pollTransactions(nowMs)
      let sent = false
      if (this.#mayProduce()) {
        sent = this.#produce(nowMs)
        waitMs = Math.min(waitMs, this.#produceWaitMs)
      }
      const wasDue = this.#updater.isUpdateDue(nowMs)
      waitMs = Math.min(waitMs, this.#updater.maybeUpdate(this.#cluster, nowMs))
      const updated = wasDue && !this.#updater.isUpdateDue(nowMs)
      if (!sent && !updated) return waitMs
    }
    return 1
  }

  #pollTransactions(nowMs: Millis): Millis {
    const manager = this.#transactions
    if (manager === undefined || this.#transactionSender === undefined) return NEVER
    const fatal = manager.fatalError
    if (fatal !== undefined) {
      this.#abort(this.#accumulator.abandon(), fatal)
      return NEVER
    }
    if (manager.mayStartOver) {
      const error = manager.abortableError as string
      this.#abort(this.#accumulator.abandon(), error)
      manager.startOver()
    }
    manager.prepareIdentity()
    return this.#transactionSender.poll(nowMs)
  }

  /** While a request of the transaction manager is on its way no records are sent, but metadata is kept fresh. */
  #mayProduce(): boolean {
    if (this.#transactions === undefined || this.#transactionSender === undefined) return true
    return this.#transactions.fatalError === undefined && !this.#transactionSender.isBusy
  }

  /** One round over the nodes that are ready. Returns whether anything was sent; sets when to look again. */
  #produce(nowMs: Millis): boolean {
    const snapshot = this.#metadata.snapshot
    const accumulator = this.#accumulator
    const check = accumulator.ready(snapshot, nowMs)
    if (check.leaderless.size > 0) {
      for (const topic of check.leaderless)
        if (this.#parts.topics.use(topic, nowMs)) this.#metadata.requestUpdateForNewTopics()
      this.#metadata.requestUpdate()
    }
    let waitMs = check.nextCheckMs
    const sends: [ClusterNode, ProducerBatch[]][] = []
    for (const node of check.nodes) {
      const ready = this.#cluster.ready(node, nowMs)
      accumulator.sawNode(node.id, nowMs, ready)
      if (!ready) {
        waitMs = Math.min(waitMs, this.#cluster.pollDelayMs(node))
        continue
      }
      const batches = accumulator.drain(snapshot, node, this.#maxRequestBytes, nowMs)
      if (batches.length > 0) sends.push([node, batches])
    }
    for (const [, batches] of sends) for (const batch of batches) this.#drained(batch)
    this.#expire(nowMs)
    for (const [node, batches] of sends) this.#send(node, batches)
    this.#produceWaitMs = Math.min(waitMs, Math.max(accumulator.nextExpiryMs - nowMs, 0))
    return sends.length > 0
  }

  #drained(batch: ProducerBatch): void {
    const queue = batch.queue
    batch.inFlight = true
    queue.inFlight.push(batch)
    this.#inFlight.add(queue)
    if (this.#guaranteesOrder) queue.muted = true
    if (batch.drainedBefore) return
    batch.drainedBefore = true
    const { producerId, producerEpoch, baseSequence } = batch
    for (let i = 0; i < batch.ids.length; i++) {
      const sequence = baseSequence === NO_SEQUENCE ? NO_SEQUENCE : incrementSequence(baseSequence, i)
      this.#reporter.assigned(batch.ids[i] as RecordId, queue.name, producerId, producerEpoch, sequence)
    }
  }

  /** Fails batches older than the delivery timeout, in the queues and in flight. */
  #expire(nowMs: Millis): void {
    const accumulator = this.#accumulator
    accumulator.resetExpiry()
    const expiredInFlight: ProducerBatch[] = []
    for (const queue of this.#inFlight) {
      for (let first = queue.inFlight[0]; first !== undefined; first = queue.inFlight[0]) {
        if (!first.hasReachedDeliveryTimeout(accumulator.deliveryTimeoutMs, nowMs)) {
          accumulator.noteExpiry(first)
          break
        }
        queue.inFlight.shift()
        expiredInFlight.push(first)
      }
      if (queue.inFlight.length === 0) this.#inFlight.delete(queue)
    }
    for (const batch of accumulator.expired(nowMs)) this.#expired(batch)
    for (const batch of expiredInFlight) {
      batch.certain = false
      this.#expired(batch)
    }
  }

  #expired(batch: ProducerBatch): void {
    this.#fail(batch, 'REQUEST_TIMED_OUT', false)
    // It may be written: until the others in flight have told, nobody knows which sequence comes next.
    if (batch.inRetry) this.#transactions?.markUnresolved(batch)
    this.#runAgain = true
  }

  #send(node: ClusterNode, batches: readonly ProducerBatch[]): void {
    const request: ProduceRequest = {
      transactionalId: this.#transactionalId,
      acks: this.#acks,
      timeoutMs: this.#requestTimeoutMs,
      topicData: this.#topicData(batches),
    }
    const expectResponse = this.#acks !== 0
    this.#cluster.send(node, 'Produce', request, (result) => this.#answered(batches, request, result), {
      expectResponse,
      ...(this.#transactionalId !== null && this.#transactions?.isV2 === false && { version: PRODUCE_V1 }),
    })
  }

  #topicData(batches: readonly ProducerBatch[]): TopicData[] {
    const topicIds = this.#metadata.snapshot.topicIds
    const topicData: TopicData[] = []
    let last: TopicData | undefined
    for (const batch of batches) {
      const { topic, index } = batch.queue
      if (last?.name !== topic) last = topicData.find((data) => data.name === topic)
      if (last === undefined) {
        last = { name: topic, topicId: topicIds.get(topic) ?? ZERO_UUID, partitionData: [] }
        topicData.push(last)
      }
      last.partitionData.push({ index, records: [batch.close()] })
    }
    return topicData
  }

  #answered(batches: readonly ProducerBatch[], request: ProduceRequest, result: RpcResult<'Produce'>): void {
    const nowMs = this.#env.clock.wallMs()
    if (!result.ok) {
      const answer = localAnswer(result.reason === 'timeout' ? Errors.REQUEST_TIMED_OUT : Errors.NETWORK_EXCEPTION)
      for (const batch of batches) this.#complete(batch, answer, nowMs)
    } else if (this.#acks === 0) {
      for (const batch of batches) this.#complete(batch, DONE, nowMs)
    } else {
      this.#answeredByBroker(batches, request, result.response, nowMs)
    }
  }

  #answeredByBroker(
    batches: readonly ProducerBatch[],
    request: ProduceRequest,
    response: ProduceResponse,
    nowMs: Millis,
  ): void {
    const leaders: NewLeader[] = []
    // Answers mostly come in the order of the request.
    let next = 0
    for (const topic of response.responses) {
      // By id, as the topic may have another one by now (KIP-516).
      const byId =
        topic.topicId === ZERO_UUID ? undefined : request.topicData.find((data) => data.topicId === topic.topicId)
      const name = byId?.name ?? topic.name
      for (const answer of topic.partitionResponses) {
        const hint = batches[next++]
        const batch =
          hint !== undefined && isOf(hint, name, answer.index) ? hint : batches.find((b) => isOf(b, name, answer.index))
        assert(batch, 'sender: answer for a batch that was not sent', { topic: name, index: answer.index })
        this.#complete(batch, answer, nowMs)
        const { leaderId, leaderEpoch } = answer.currentLeader
        if (leaderId !== -1 && leaderEpoch !== -1 && isStaleLeader(answer.errorCode)) {
          leaders.push({ topic: name, index: answer.index, leaderId, leaderEpoch })
        }
      }
    }
    if (leaders.length > 0) this.#metadata.updateLeaders(leaders, response.nodeEndpoints)
  }

  /** Decides what becomes of a batch. See the table above. */
  #complete(batch: ProducerBatch, answer: Answer, nowMs: Millis): void {
    const error = answer.errorCode
    batch.inFlight = false
    if (mayBeWritten(error, this.#acks)) batch.certain = false
    if (error === Errors.NONE) {
      this.#succeed(batch, answer.baseOffset)
    } else if (error === Errors.MESSAGE_TOO_LARGE && batch.recordCount > 1 && !batch.isDone) {
      this.#transactions?.removeInFlight(batch)
      this.#accumulator.splitAndReenqueue(batch)
      this.#forget(batch)
    } else if (this.#canRetry(batch, answer, nowMs)) {
      this.#accumulator.reenqueue(batch, nowMs)
      removeFrom(batch.queue.inFlight, batch)
    } else if (error === Errors.DUPLICATE_SEQUENCE_NUMBER) {
      this.#succeed(batch, answer.baseOffset)
    } else {
      // With its retries used up a batch may have been written by an earlier attempt, so its sequences stay taken.
      this.#fail(batch, errorName(error), batch.attempts < this.#retries, answer.recordErrors)
    }
    if (isInvalidMetadata(error)) this.#metadata.requestUpdate()
    if (this.#guaranteesOrder) batch.queue.muted = false
  }

  #canRetry(batch: ProducerBatch, answer: Answer, nowMs: Millis): boolean {
    if (batch.isDone || batch.attempts >= this.#retries) return false
    if (batch.hasReachedDeliveryTimeout(this.#accumulator.deliveryTimeoutMs, nowMs)) return false
    return this.#transactions === undefined ? isRetriable(answer.errorCode) : this.#transactions.canRetry(batch, answer)
  }

  #succeed(batch: ProducerBatch, baseOffset: Offset): void {
    this.#transactions?.completed(batch, baseOffset)
    if (batch.complete(baseOffset, this.#reporter)) this.#forget(batch)
  }

  #fail(
    batch: ProducerBatch,
    error: string,
    adjustSequences: boolean,
    recordErrors: Answer['recordErrors'] = [],
  ): void {
    if (!batch.fail(errorsOf(error, recordErrors), this.#reporter)) return
    this.#transactions?.failed(batch, error, adjustSequences)
    this.#forget(batch)
  }

  #forget(batch: ProducerBatch): void {
    removeFrom(batch.queue.inFlight, batch)
    this.#accumulator.deallocate(batch)
    if (this.#accumulator.exhausted) this.#runAgain = true
  }

  /** Fails batches that were taken out of their queues. */
  #abort(batches: readonly ProducerBatch[], error: string): void {
    for (const batch of batches) {
      if (batch.inFlight) batch.certain = false
      batch.fail(() => error, this.#reporter)
      this.#accumulator.deallocate(batch)
    }
  }
}

function localAnswer(errorCode: ErrorCode): Answer {
  return { errorCode, baseOffset: -1, logStartOffset: -1, recordErrors: [] }
}

/** What acks=0 takes for an answer. */
const DONE = localAnswer(Errors.NONE)

function isOf({ queue }: ProducerBatch, topic: string, index: number): boolean {
  return queue.index === index && queue.topic === topic
}

function isStaleLeader(error: ErrorCode): boolean {
  return error === Errors.NOT_LEADER_OR_FOLLOWER || error === Errors.FENCED_LEADER_EPOCH
}

/**
 * Each record's error. Where the broker names the records at fault, the one at fault has the batch's error, several have
 * INVALID_RECORD, and the others failed because of them.
 */
function errorsOf(error: string, recordErrors: Answer['recordErrors']): (index: number) => string {
  if (recordErrors.length === 0) return () => error
  const atFault = new Set(recordErrors.map((each) => each.batchIndex))
  const errorAtFault = atFault.size === 1 ? error : 'INVALID_RECORD'
  return (index) => (atFault.has(index) ? errorAtFault : 'INVALID_RECORD_IN_BATCH')
}

function removeFrom(batches: ProducerBatch[], batch: ProducerBatch): void {
  const at = batches.indexOf(batch)
  if (at >= 0) batches.splice(at, 1)
}

/** Whether a batch that was answered with this may be in a log all the same. */
export function mayBeWritten(error: ErrorCode, acks: -1 | 0 | 1): boolean {
  if (error === Errors.NONE || CERTAIN_ERRORS.has(error)) return false
  // With acks=all these also end the wait for the other replicas, after the leader has written.
  return acks === -1 || !CERTAIN_UNLESS_ALL.has(error)
}

/** Refusals that come before anything is written. */
const CERTAIN_ERRORS: ReadonlySet<ErrorCode> = new Set([
  Errors.CORRUPT_MESSAGE,
  Errors.MESSAGE_TOO_LARGE,
  Errors.INVALID_TOPIC_EXCEPTION,
  Errors.RECORD_LIST_TOO_LARGE,
  Errors.NOT_ENOUGH_REPLICAS,
  Errors.INVALID_REQUIRED_ACKS,
  Errors.TOPIC_AUTHORIZATION_FAILED,
  Errors.CLUSTER_AUTHORIZATION_FAILED,
  Errors.INVALID_TIMESTAMP,
  Errors.UNSUPPORTED_VERSION,
  Errors.UNSUPPORTED_FOR_MESSAGE_FORMAT,
  Errors.POLICY_VIOLATION,
  Errors.OUT_OF_ORDER_SEQUENCE_NUMBER,
  Errors.INVALID_PRODUCER_EPOCH,
  Errors.INVALID_TXN_STATE,
  Errors.INVALID_PRODUCER_ID_MAPPING,
  Errors.UNKNOWN_PRODUCER_ID,
  Errors.UNSUPPORTED_COMPRESSION_TYPE,
  Errors.INVALID_RECORD,
  Errors.PRODUCER_FENCED,
  Errors.UNKNOWN_TOPIC_ID,
  Errors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
  Errors.CONCURRENT_TRANSACTIONS,
  Errors.TRANSACTION_ABORTABLE,
])

const CERTAIN_UNLESS_ALL: ReadonlySet<ErrorCode> = new Set([
  Errors.UNKNOWN_TOPIC_OR_PARTITION,
  Errors.LEADER_NOT_AVAILABLE,
  Errors.NOT_LEADER_OR_FOLLOWER,
  Errors.FENCED_LEADER_EPOCH,
])
