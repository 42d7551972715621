/**
 * The state of a producer's transactions, and how an idempotent or transactional producer comes by its identity (Kafka's
 * TransactionManager; KIP-98, KIP-360, KIP-447, KIP-890).
 *
 *     from                      to
 *     UNINITIALIZED             INITIALIZING               initTransactions; first need of a producer id
 *     INITIALIZING              READY                      InitProducerId answered
 *                               ABORTABLE_ERROR            not authorised
 *     READY                     IN_TRANSACTION             beginTransaction
 *                               UNINITIALIZED              epochs used up, of an idempotent producer
 *     IN_TRANSACTION            COMMITTING_TRANSACTION     commitTransaction
 *                               ABORTING_TRANSACTION       abortTransaction, close
 *                               ABORTABLE_ERROR            a batch or a request failed
 *     COMMITTING_TRANSACTION    READY                      EndTxn answered
 *                               INITIALIZING               EndTxn answered, and the epoch must be raised
 *                               ABORTABLE_ERROR            a batch or a request failed
 *     ABORTING_TRANSACTION      READY, INITIALIZING        as above
 *     ABORTABLE_ERROR           ABORTING_TRANSACTION       abortTransaction, close
 *                               UNINITIALIZED              not authorised: initTransactions may be called again
 *                               ABORTABLE_ERROR
 *     any                       FATAL_ERROR                fenced, not authorised, unexpected; there is no way out
 *
 * What the application asks for in the wrong state is refused and changes nothing; a wrong transition in the sender's own work is
 * fatal (KAFKA-14831).
 *
 * Under transaction version 2 partitions are added by writing to them and EndTxn brings the next epoch. Below it partitions
 * are added by request before anything is written to them, and after an error that leaves sequences in doubt the epoch is raised
 * by InitProducerId. The version is learned from the finalised features when transactions are initialised and when one ends.
 *
 * One request at a time; the queue is ordered by priority, then age. Who sends them is the transaction sender.
 */

import type { Env } from '../kernel/env.js'
import { INT_MAX, type Epoch, type Millis, type Offset } from '../kernel/units.js'
import type { ApiName } from '../wire/apis.js'
import { Errors, isRetriable, type ErrorName } from '../wire/errors.js'
import type { FinalizedFeatures } from './cluster-client.js'
import type { GroupMetadata, OffsetAndMetadata } from './group/offset-commits.js'
import { Idempotence, type ProduceError } from './idempotence.js'
import type { ClusterNode } from './metadata-snapshot.js'
import type { PartitionQueue } from './partition-queue.js'
import type { ProducerBatch } from './producer-batch.js'
import { TransactionReporter } from './transaction-reporter.js'
import {
  AddOffsets,
  AddPartitions,
  EndTxn,
  FindCoordinator,
  InitProducerId,
  TxnOffsetCommit,
  type CoordinatorKind,
  type ProducerIdentity,
  type TransactionActions,
  type TransactionRequest,
} from './transaction-requests.js'
import { TransactionalResult } from './transactional-result.js'

type StateName =
  | 'UNINITIALIZED'
  | 'INITIALIZING'
  | 'READY'
  | 'IN_TRANSACTION'
  | 'COMMITTING_TRANSACTION'
  | 'ABORTING_TRANSACTION'
  | ErrorState

type ErrorState = 'ABORTABLE_ERROR' | 'FATAL_ERROR'

type State =
  | { readonly is: Exclude<StateName, ErrorState> }
  | { readonly is: ErrorState; /** Kafka's name of it. */ readonly error: string }

const TRANSITIONS: Readonly<Record<StateName, readonly StateName[]>> = {
  UNINITIALIZED: ['INITIALIZING'],
  INITIALIZING: ['READY', 'ABORTABLE_ERROR'],
  READY: ['UNINITIALIZED', 'IN_TRANSACTION'],
  IN_TRANSACTION: ['COMMITTING_TRANSACTION', 'ABORTING_TRANSACTION', 'ABORTABLE_ERROR'],
  COMMITTING_TRANSACTION: ['READY', 'INITIALIZING', 'ABORTABLE_ERROR'],
  ABORTING_TRANSACTION: ['READY', 'INITIALIZING'],
  ABORTABLE_ERROR: ['ABORTING_TRANSACTION', 'UNINITIALIZED', 'ABORTABLE_ERROR'],
  FATAL_ERROR: [],
}

/** What may be done about an error: nothing, abort, or make the same call again. */
export type ErrorKind = 'fatal' | 'abortable' | 'retriable'

/** A call that was refused at once. */
export interface Refusal {
  readonly error: string
  readonly kind: ErrorKind
}

/** A call in the wrong state (IllegalStateException): a mistake of the application. */
const ILLEGAL_STATE: Refusal = { error: 'ILLEGAL_STATE', kind: 'fatal' }

/** The feature whose level 2 is KIP-890's protocol. */
const TRANSACTION_FEATURE = 'transaction.version'

/** A call whose outcome nobody has seen yet: until then only the same call may be made. */
interface PendingCall {
  readonly result: TransactionalResult
  readonly state: StateName
}

export class TransactionManager implements TransactionActions {
  readonly #transactionalId: string | undefined
  readonly #timeoutMs: Millis
  readonly #idempotence: Idempotence
  readonly reporter: TransactionReporter
  readonly #coordinators: Record<CoordinatorKind, ClusterNode | undefined> = {
    group: undefined,
    transaction: undefined,
  }
  /** In the order in which they are sent. */
  readonly #requests: TransactionRequest<ApiName>[] = []
  #state: State = { is: 'UNINITIALIZED' }
  #pendingCall: PendingCall | undefined
  /** Partitions to be added by request, being added, and part of the transaction. */
  readonly #newPartitions = new Set<string>()
  readonly #pendingPartitions = new Set<string>()
  readonly #partitions = new Set<string>()
  readonly pendingOffsets = new Map<string, OffsetAndMetadata>()
  /** The coordinator knows of the transaction. */
  #started = false
  #bumpRequired = false
  #features: () => FinalizedFeatures = () => ({ epoch: -1, levels: [] })
  #featuresEpoch = -1
  #isV2 = false

  /** @param transactionalId undefined for a producer that is idempotent only */
  constructor(env: Env, transactionalId: string | undefined, timeoutMs: Millis) {
    this.#transactionalId = transactionalId
    this.#timeoutMs = timeoutMs
    this.#idempotence = new Idempotence(env, transactionalId !== undefined)
    this.reporter = new TransactionReporter(env, transactionalId ?? '')
  }

  /** Where finalised features are learned from. */
  set features(features: () => FinalizedFeatures) {
    this.#features = features
  }

  get state(): StateName {
    return this.#state.is
  }

  get transactionalId(): string | undefined {
    return this.#transactionalId
  }

  get isTransactional(): boolean {
    return this.#transactionalId !== undefined
  }

  /** Transaction version 2. */
  get isV2(): boolean {
    return this.#isV2
  }

  get producerId(): number {
    return this.#idempotence.producerId
  }

  get producerEpoch(): Epoch {
    return this.#idempotence.producerEpoch
  }

  /** Kafka's name of the error after which nothing more is sent. */
  get fatalError(): string | undefined {
    return this.#state.is === 'FATAL_ERROR' ? this.#state.error : undefined
  }

  get abortableError(): string | undefined {
    return this.#state.is === 'ABORTABLE_ERROR' ? this.#state.error : undefined
  }

  get isCompleting(): boolean {
    return this.#state.is === 'COMMITTING_TRANSACTION' || this.#state.is === 'ABORTING_TRANSACTION'
  }

  get isAborting(): boolean {
    return this.#state.is === 'ABORTING_TRANSACTION'
  }

  get hasOngoingTransaction(): boolean {
    return this.#state.is === 'IN_TRANSACTION' || this.isCompleting || this.#state.is === 'ABORTABLE_ERROR'
  }

  get hasPendingRequests(): boolean {
    return this.#requests.length > 0
  }

  get hasPartitions(): boolean {
    return this.#partitions.size > 0
  }

  // ── calls of the application ──────────────────────────────────────────────────────────────────────────────────────

  initTransactions(): TransactionalResult | Refusal {
    const error = this.#errorRefusal()
    if (error !== undefined) return error
    return this.#cached('INITIALIZING', () => {
      if (!this.#to('INITIALIZING')) return ILLEGAL_STATE
      return this.#enqueueInit(-1, -1, false)
    })
  }

  beginTransaction(): Refusal | undefined {
    const refusal = this.#refusal()
    if (refusal !== undefined) return refusal
    if (!this.#to('IN_TRANSACTION')) return ILLEGAL_STATE
    this.reporter.begun()
    return undefined
  }

  sendOffsets(offsets: ReadonlyMap<string, OffsetAndMetadata>, group: GroupMetadata): TransactionalResult | Refusal {
    const refusal = this.#refusal()
    if (refusal !== undefined) return refusal
    if (this.#state.is !== 'IN_TRANSACTION') return ILLEGAL_STATE
    this.reporter.offsets(offsets, group)
    const commit = (result?: TransactionalResult): TxnOffsetCommit => {
      for (const [partition, offset] of offsets) this.pendingOffsets.set(partition, offset)
      return new TxnOffsetCommit(this, this.#identity, group, this.#isV2, result)
    }
    if (this.#isV2) this.#started = true
    const request = this.#isV2 ? commit() : new AddOffsets(this, this.#identity, group.groupId, commit)
    this.enqueue(request)
    return request.result
  }

  beginCommit(): TransactionalResult | Refusal {
    return this.#cached('COMMITTING_TRANSACTION', () => {
      const error = this.#errorRefusal()
      if (error !== undefined) return error
      if (!this.#to('COMMITTING_TRANSACTION')) return ILLEGAL_STATE
      return this.#beginCompleting(true)
    })
  }

  beginAbort(): TransactionalResult | Refusal {
    return this.#cached('ABORTING_TRANSACTION', () => {
      const error = this.#state.is === 'ABORTABLE_ERROR' ? undefined : this.#errorRefusal()
      if (error !== undefined) return error
      if (!this.#to('ABORTING_TRANSACTION')) return ILLEGAL_STATE
      this.#newPartitions.clear()
      return this.#beginCompleting(false)
    })
  }

  /** What a send is refused with now, if it is. Transactional producers only. */
  sendRefusal(): Refusal | undefined {
    return this.#refusal() ?? (this.#state.is === 'IN_TRANSACTION' ? undefined : ILLEGAL_STATE)
  }

  /** A record was put into a batch of the partition. */
  addPartition(partition: string): void {
    if (this.#isV2) {
      this.#partitions.add(partition)
      this.#started = true
    } else if (!this.#partitions.has(partition) && !this.#pendingPartitions.has(partition)) {
      this.#newPartitions.add(partition)
    }
  }

  /** What may be done about the error that the application is told of now. */
  get errorKind(): ErrorKind {
    if (this.#state.is === 'FATAL_ERROR') return 'fatal'
    return this.#state.is === 'ABORTABLE_ERROR' ? 'abortable' : 'retriable'
  }

  /** Takes the transaction version over where the finalised features are newer than those last looked at. */
  learnVersion(isInitial: boolean): void {
    const { epoch, levels } = this.#features()
    if (this.#featuresEpoch >= epoch) return
    this.#featuresEpoch = epoch
    const was = this.#isV2
    this.#isV2 = (levels.find(({ name }) => name === TRANSACTION_FEATURE)?.maxVersionLevel ?? 0) >= 2
    // Partitions of the last transaction, added by request, must not count as part of the next one.
    if (!isInitial && !was && this.#isV2) this.#bumpRequired = true
  }

  // ── work of the sender ────────────────────────────────────────────────────────────────────────────────────────────

  /** Settles sequences after batches that expired. */
  resolveSequences(): void {
    if (this.#idempotence.resolveSequences()) this.abortableWithBump(UNRESOLVED)
  }

  /** Without a transactional id: raises the epoch if that was asked for, and asks for an identity when there is none. */
  prepareIdentity(): void {
    if (this.isTransactional) return
    this.#idempotence.raiseEpoch()
    if (this.#idempotence.hasIdentity || this.#state.is === 'INITIALIZING') return
    if (this.#state.is === 'READY') this.#become('UNINITIALIZED')
    this.#become('INITIALIZING')
    this.#enqueueInit(-1, -1, false)
  }

  /** Takes the next request out of the queue, if one may be sent now. */
  nextRequest(hasIncomplete: boolean): TransactionRequest<ApiName> | undefined {
    if (this.#newPartitions.size > 0) this.enqueue(this.#addPartitions())
    for (;;) {
      const next = this.#requests[0]
      if (next === undefined || (next.isEndTxn && hasIncomplete)) return undefined
      this.#requests.shift()
      if (this.#isTerminated(next)) continue
      if (!next.isEndTxn || this.#started) return next
      // Nobody knows of the transaction: there is nothing to end.
      next.result.succeed()
      this.#reset()
      // What follows is the request that raises the epoch.
      return this.#requests.shift()
    }
  }

  coordinator(kind: CoordinatorKind): ClusterNode | undefined {
    return this.#coordinators[kind]
  }

  /** The error is one that makes the producer start over without being made anew, once the application has been told. */
  get mayStartOver(): boolean {
    return this.#state.is === 'ABORTABLE_ERROR' && STARTS_OVER.has(this.#state.error)
  }

  startOver(): void {
    if (this.#state.is !== 'ABORTABLE_ERROR') return
    const { error } = this.#state
    for (const request of this.#requests) request.fail(error)
    this.#become('UNINITIALIZED')
    this.#pendingCall?.result.fail(error)
  }

  /** Gives everything up. */
  close(): void {
    for (const request of this.#requests.splice(0)) request.fail(CLOSED)
    this.reporter.ended(CLOSED)
    this.#state = { is: 'FATAL_ERROR', error: CLOSED }
    this.#pendingCall?.result.fail(CLOSED)
  }

  // ── batches ───────────────────────────────────────────────────────────────────────────────────────────────────────

  holdsBack(queue: PartitionQueue, first: ProducerBatch): boolean {
    if (this.#state.is === 'FATAL_ERROR') return true
    if (this.#transactionalId !== undefined && !this.#partitions.has(queue.name)) return true
    return this.#idempotence.holdsBack(queue, first)
  }

  assign(batch: ProducerBatch): void {
    this.#idempotence.assign(batch)
  }

  completed(batch: ProducerBatch, baseOffset: Offset): void {
    this.#idempotence.completed(batch, baseOffset)
  }

  failed(batch: ProducerBatch, error: string, adjust: boolean): void {
    this.sendFailed(error)
    if (this.#state.is === 'FATAL_ERROR') this.#idempotence.removeInFlight(batch)
    else this.#idempotence.failed(batch, error, adjust)
  }

  /** A record, or a batch, failed for good with Kafka's name of the error. */
  sendFailed(error: string): void {
    if (FATAL_ERRORS.has(error)) return this.fatal(error)
    if (!this.isTransactional) return
    if (!this.#isV2 && !this.isCompleting) this.#bumpRequired = true
    // That retries were used up must not look as if the application could go on trying.
    this.abortable(isWorthRetrying(error) || error === 'INVALID_TXN_STATE' ? 'TRANSACTION_ABORTABLE' : error)
  }

  markUnresolved(batch: ProducerBatch): void {
    this.#idempotence.markUnresolved(batch)
  }

  canRetry(batch: ProducerBatch, response: ProduceError): boolean {
    return this.#idempotence.canRetry(batch, response)
  }

  removeInFlight(batch: ProducerBatch): void {
    this.#idempotence.removeInFlight(batch)
  }

  // ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────

  lookUp(kind: CoordinatorKind, key: string): void {
    this.#coordinators[kind] = undefined
    this.enqueue(new FindCoordinator(this, kind, key))
  }

  discovered(kind: CoordinatorKind, node: ClusterNode): void {
    this.#coordinators[kind] = node
  }

  enqueue(request: TransactionRequest<ApiName>): void {
    let at = this.#requests.length
    while (at > 0 && (this.#requests[at - 1] as TransactionRequest<ApiName>).priority > request.priority) at--
    this.#requests.splice(at, 0, request)
  }

  retry(request: TransactionRequest<ApiName>): void {
    request.isRetry = true
    this.enqueue(request)
  }

  fatal(error: string): void {
    this.#become('FATAL_ERROR', error)
    this.#pendingCall?.result.fail(error)
  }

  abortable(error: string): void {
    if (this.#state.is !== 'ABORTING_TRANSACTION') this.#become('ABORTABLE_ERROR', error)
  }

  abortableWithBump(error: string): void {
    if (!this.#isV2) this.#bumpRequired = true
    this.abortable(error)
  }

  initialized(producerId: number, producerEpoch: Epoch, isEpochBump: boolean): void {
    this.#idempotence.setIdentity(producerId, producerEpoch, isEpochBump ? 'epoch bump' : 'init')
    this.#become('READY')
    if (isEpochBump) this.#idempotence.forgetSequences()
  }

  ended(producerId: number, producerEpoch: Epoch): void {
    if (producerId !== -1) {
      this.#idempotence.setIdentity(producerId, producerEpoch, 'transaction ended')
      this.#idempotence.forgetSequences()
    }
    this.#reset()
  }

  partitionsAnswered(partitions: readonly string[], added: boolean): void {
    // Even when they were refused: batches in retry of other partitions must be able to go on.
    for (const partition of partitions) {
      this.#pendingPartitions.delete(partition)
      if (added) this.#partitions.add(partition)
    }
    if (added) this.#started = true
  }

  offsetsAdded(): void {
    this.#started = true
  }

  // ── state ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  get #id(): string {
    return this.#transactionalId ?? ''
  }

  get #identity(): ProducerIdentity {
    return { transactionalId: this.#id, producerId: this.producerId, producerEpoch: this.producerEpoch }
  }

  /** Runs a call that changes the state, or gives the result of the same call made before. */
  #cached(state: StateName, run: () => TransactionalResult | Refusal): TransactionalResult | Refusal {
    if (!this.isTransactional) return ILLEGAL_STATE
    const pending = this.#pendingCall
    if (pending !== undefined && !pending.result.isAcked)
      return pending.state === state ? pending.result : ILLEGAL_STATE
    this.#pendingCall = undefined
    const result = run()
    if (result instanceof TransactionalResult) this.#pendingCall = { result, state }
    return result
  }

  /** What every other call is refused with now, if it is. */
  #refusal(): Refusal | undefined {
    if (!this.isTransactional) return ILLEGAL_STATE
    if (this.#pendingCall !== undefined) {
      if (!this.#pendingCall.result.isAcked) return ILLEGAL_STATE
      this.#pendingCall = undefined
    }
    return this.#errorRefusal()
  }

  #errorRefusal(): Refusal | undefined {
    const state = this.#state
    return 'error' in state ? { error: state.error, kind: this.errorKind } : undefined
  }

  #beginCompleting(commit: boolean): TransactionalResult {
    this.reporter.ending(commit)
    if (this.#newPartitions.size > 0) this.enqueue(this.#addPartitions())
    // The transaction ends under the version under which it began.
    const end = new EndTxn(this, this.#identity, commit, this.#isV2)
    this.learnVersion(false)
    this.enqueue(end)
    if (!this.#bumpRequired) return end.result
    return this.#enqueueInit(this.producerId, this.producerEpoch, true)
  }

  #enqueueInit(producerId: number, producerEpoch: Epoch, isEpochBump: boolean): TransactionalResult {
    const transactionTimeoutMs = this.isTransactional ? this.#timeoutMs : INT_MAX
    const transactionalId = this.#transactionalId ?? null
    const body = { transactionalId, transactionTimeoutMs, producerId, producerEpoch }
    const request = new InitProducerId(this, body, isEpochBump)
    this.enqueue(request)
    return request.result
  }

  #addPartitions(): AddPartitions {
    for (const partition of this.#newPartitions) this.#pendingPartitions.add(partition)
    this.#newPartitions.clear()
    return new AddPartitions(this, this.#identity, this.#pendingPartitions)
  }

  /** After an error nothing is sent; only a coordinator may be looked for, as an abort will want it. */
  #isTerminated(request: TransactionRequest<ApiName>): boolean {
    const state = this.#state
    if (!('error' in state)) return false
    if (state.is === 'ABORTABLE_ERROR' && request instanceof FindCoordinator) return false
    request.fail(state.error)
    return true
  }

  /** The transaction is over. */
  #reset(): void {
    const outcome = this.#state.is === 'COMMITTING_TRANSACTION' ? 'committed' : 'aborted'
    this.#become(this.#bumpRequired ? 'INITIALIZING' : 'READY')
    this.reporter.ended(outcome)
    this.#bumpRequired = false
    this.#started = false
    this.#newPartitions.clear()
    this.#pendingPartitions.clear()
    this.#partitions.clear()
  }

  /** A transition that the application asks for; false, and nothing else, when it may not. */
  #to(state: Exclude<StateName, ErrorState>): boolean {
    if (!TRANSITIONS[this.#state.is].includes(state)) return false
    this.#state = { is: state }
    return true
  }

  /** A transition of the sender's; one that may not be is fatal. */
  #become(state: StateName, error = ''): void {
    const isAllowed = state === 'FATAL_ERROR' || TRANSITIONS[this.#state.is].includes(state)
    if (!isAllowed) this.#state = { is: 'FATAL_ERROR', error: ILLEGAL_STATE.error }
    else if (state === 'FATAL_ERROR' || state === 'ABORTABLE_ERROR') this.#state = { is: state, error }
    else this.#state = { is: state }
    if (this.#state.is === 'FATAL_ERROR') this.reporter.ended(this.#state.error)
  }
}

/** Records were sent that nobody acknowledged and that can no longer be sent again. */
const UNRESOLVED = 'UNRESOLVED_SEQUENCES'

const CLOSED = 'PRODUCER_CLOSED'

/** TransactionManager.maybeTransitionToErrorState. */
const FATAL_ERRORS: ReadonlySet<string> = new Set([
  'CLUSTER_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  'PRODUCER_FENCED',
  'UNSUPPORTED_VERSION',
  'INVALID_PRODUCER_ID_MAPPING',
])

/** Sender.shouldHandleAuthorizationError. */
const STARTS_OVER: ReadonlySet<string> = new Set([
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
])

function isWorthRetrying(error: string): boolean {
  // Kafka's BufferExhaustedException is a TimeoutException.
  return error === 'BUFFER_EXHAUSTED' || isRetriable(Errors[error as ErrorName] ?? Errors.NONE)
}
