/**
 * The transactional ids of one partition of `__transaction_state`, and what each request does to them (`TransactionCoordinator`,
 * `TransactionStateManager`).
 *
 * Every change is prepared, written, and taken when it is committed. A transaction that is prepared to end is handed to `markers`, which has
 * the markers written by the leaders of its partitions, and then completed. A coordinator that takes over goes on with those that it
 * finds prepared.
 *
 *     timer    does
 *     abort    every 10 s: fences and aborts transactions that are open for longer than their timeout
 *     expire   every hour: removes ids that were not used for 7 days
 */

import type { Epoch, Millis, Offset } from '../../kernel/units.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import { coordinatorError } from '../coordinator/coordinator-errors.js'
import type { Outcome, Shard, WritingShardHost } from '../coordinator/coordinator-runtime.js'
import { isExhausted, isPrepared, NO_EPOCH, NO_PRODUCER_ID, Transaction, type TxnFacts } from './transaction.js'
import { BATCH_OVERHEAD, recordSizeInBytes } from '../../wire/record-batch.js'
import { TXN_RECORD_CODEC, type TxnRecord } from './txn-records.js'
import type { TxnConfig } from './txn-settings.js'

/** A transaction whose markers are to be written. */
export interface MarkersToWrite {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: Epoch
  readonly isCommit: boolean
  readonly partitions: ReadonlySet<string>
}

export interface ProducerIdentity {
  readonly producerId: number
  readonly producerEpoch: Epoch
}

export interface TxnShardOptions {
  readonly config: () => TxnConfig
  /** The finalised level of transaction.version. */
  readonly transactionVersion: () => number
  readonly newProducerId: () => { readonly producerId: number } | { readonly error: ErrorCode }
  /** The end is decided and committed: have the markers written. */
  readonly writeMarkers: (index: number, markers: MarkersToWrite) => void
}

type Result = ErrorCode | ProducerIdentity
type Writes<T> = Outcome<TxnRecord, T>

const NOTHING: Writes<undefined> = { records: [], response: undefined, isApplied: true }

export class TxnShard implements Shard<TxnRecord> {
  readonly #host: WritingShardHost<TxnRecord>
  readonly #options: TxnShardOptions
  readonly #transactions = new Map<string, Transaction>()

  constructor(host: WritingShardHost<TxnRecord>, options: TxnShardOptions) {
    this.#host = host
    this.#options = options
  }

  // ── the log ───────────────────────────────────────────────────────────────────────────────────────────────────────

  replay({ transactionalId, facts }: TxnRecord, _offset: Offset): void {
    if (facts === null) this.#transactions.delete(transactionalId)
    else this.#transactions.set(transactionalId, new Transaction(transactionalId, facts))
  }

  endTransaction(): void {}

  committed(): void {}

  loaded(): void {
    for (const txn of this.#transactions.values()) if (isPrepared(txn.facts.state)) this.#sendMarkers(txn)
    this.#every('abort', 'transaction.abort.timed.out.transaction.cleanup.interval.ms', () => this.#abortTimedOut())
    this.#every('expire', 'transaction.remove.expired.transaction.cleanup.interval.ms', () => this.#removeExpired())
  }

  unloaded(): void {}

  get count(): number {
    return this.#transactions.size
  }

  get transactions(): Iterable<Transaction> {
    return this.#transactions.values()
  }

  find(transactionalId: string): Transaction | undefined {
    return this.#transactions.get(transactionalId)
  }

  // ── InitProducerId ────────────────────────────────────────────────────────────────────────────────────────────────

  initProducerId(
    id: string,
    timeoutMs: Millis,
    expected: ProducerIdentity | undefined,
    done: (result: Result) => void,
  ): Writes<undefined> {
    const refuse = (error: ErrorCode): Writes<undefined> => {
      done(error)
      return NOTHING
    }
    if (timeoutMs <= 0 || timeoutMs > this.#options.config()['transaction.max.timeout.ms']) {
      return refuse(Errors.INVALID_TRANSACTION_TIMEOUT)
    }
    let txn = this.#transactions.get(id)
    if (txn === undefined) {
      const generated = this.#options.newProducerId()
      if ('error' in generated) return refuse(generated.error)
      txn = Transaction.unused(id, generated.producerId, timeoutMs, this.#nowMs())
      this.#transactions.set(id, txn)
    }
    const { facts } = txn
    if (txn.pending !== undefined) return refuse(Errors.CONCURRENT_TRANSACTIONS)
    if (expected !== undefined && !isProducer(facts, expected)) return refuse(Errors.PRODUCER_FENCED)
    switch (facts.state) {
      case 'PrepareAbort':
      case 'PrepareCommit':
        return refuse(Errors.CONCURRENT_TRANSACTIONS)
      case 'Ongoing': {
        const fence = txn.fence()
        const version = this.#options.transactionVersion()
        return this.end(id, fence, false, version, { isFromClient: false }, (result) =>
          done(typeof result === 'number' ? result : Errors.CONCURRENT_TRANSACTIONS),
        )
      }
      case 'Empty':
      case 'CompleteCommit':
      case 'CompleteAbort':
        return this.#renew(txn, timeoutMs, expected, done)
      default:
        return refuse(Errors.UNKNOWN_SERVER_ERROR)
    }
  }

  #renew(
    txn: Transaction,
    timeoutMs: Millis,
    expected: ProducerIdentity | undefined,
    done: (result: Result) => void,
  ): Writes<undefined> {
    const nowMs = this.#nowMs()
    let facts: TxnFacts
    if (txn.isEpochExhausted && (expected === undefined || expected.producerEpoch === txn.facts.producerEpoch)) {
      const generated = this.#options.newProducerId()
      if ('error' in generated) {
        done(generated.error)
        return NOTHING
      }
      facts = txn.rotate(generated.producerId, timeoutMs, nowMs, expected !== undefined)
    } else {
      const next = txn.incrementEpoch(timeoutMs, expected?.producerEpoch, nowMs)
      if ('error' in next) {
        done(next.error)
        return NOTHING
      }
      facts = next
    }
    return this.#write(txn, facts, 'InitProducerId', (error) =>
      done(error === Errors.NONE ? { producerId: facts.producerId, producerEpoch: facts.producerEpoch } : error),
    )
  }

  // ── partitions ────────────────────────────────────────────────────────────────────────────────────────────────────

  addPartitions(
    id: string,
    { producerId, producerEpoch }: ProducerIdentity,
    partitions: readonly string[],
    clientVersion: number,
    done: (error: ErrorCode) => void,
  ): Writes<undefined> {
    const txn = this.#transactions.get(id)
    const refuse = (error: ErrorCode): Writes<undefined> => {
      done(error)
      return NOTHING
    }
    if (txn === undefined) return refuse(Errors.INVALID_PRODUCER_ID_MAPPING)
    const { facts } = txn
    if (txn.pending !== undefined) return refuse(Errors.CONCURRENT_TRANSACTIONS)
    if (facts.producerId !== producerId) return refuse(Errors.INVALID_PRODUCER_ID_MAPPING)
    if (facts.producerEpoch !== producerEpoch) return refuse(Errors.PRODUCER_FENCED)
    if (isPrepared(facts.state)) return refuse(Errors.CONCURRENT_TRANSACTIONS)
    if (facts.state === 'Ongoing' && partitions.every((name) => facts.partitions.has(name))) return refuse(Errors.NONE)
    const next = txn.addPartitions(partitions, clientVersion, this.#nowMs())
    return this.#write(txn, next, 'partitions added', done)
  }

  /** Whether each partition is in the transaction (KIP-890). */
  verify(id: string, { producerId, producerEpoch }: ProducerIdentity, partitions: readonly string[]): ErrorCode[] {
    const txn = this.#transactions.get(id)
    const all = (error: ErrorCode): ErrorCode[] => partitions.map(() => error)
    if (txn === undefined || txn.facts.producerId !== producerId) return all(Errors.INVALID_PRODUCER_ID_MAPPING)
    const { facts } = txn
    if (facts.producerEpoch !== producerEpoch) return all(Errors.PRODUCER_FENCED)
    if (facts.state === 'PrepareCommit' || facts.state === 'PrepareAbort') return all(Errors.CONCURRENT_TRANSACTIONS)
    return partitions.map((name) => (facts.partitions.has(name) ? Errors.NONE : Errors.TRANSACTION_ABORTABLE))
  }

  // ── EndTxn ────────────────────────────────────────────────────────────────────────────────────────────────────────

  end(
    id: string,
    identity: ProducerIdentity,
    isCommit: boolean,
    clientVersion: number,
    { isFromClient }: { readonly isFromClient: boolean },
    done: (result: Result) => void,
  ): Writes<undefined> {
    const txn = this.#transactions.get(id)
    const refuse = (result: Result): Writes<undefined> => {
      done(result)
      return NOTHING
    }
    if (txn === undefined) return refuse(Errors.INVALID_PRODUCER_ID_MAPPING)
    const prepared =
      clientVersion >= 2
        ? this.#prepareEndBumping(txn, identity, isCommit, clientVersion, isFromClient)
        : this.#prepareEnd(txn, identity, isCommit, isFromClient)
    if (!isFacts(prepared)) return refuse(prepared)
    const isFence = !isFromClient
    return this.#write(txn, prepared, isFence ? 'fenced' : 'EndTxn', (error) => {
      if (error !== Errors.NONE) {
        // Under version 2 the epoch is raised by the record itself, which is not there.
        if (isFence && clientVersion < 2) txn.hasFailedFence = true
        return done(error)
      }
      done(answerTo(txn.facts))
      this.#sendMarkers(txn)
    })
  }

  /** Transaction versions 0 and 1. */
  #prepareEnd(
    txn: Transaction,
    identity: ProducerIdentity,
    isCommit: boolean,
    isFromClient: boolean,
  ): Result | TxnFacts {
    const { facts } = txn
    if (facts.producerId !== identity.producerId) return Errors.INVALID_PRODUCER_ID_MAPPING
    const isOther = isFromClient && identity.producerEpoch !== facts.producerEpoch
    if (isOther || identity.producerEpoch < facts.producerEpoch) return Errors.PRODUCER_FENCED
    if (isUnderWay(txn)) return Errors.CONCURRENT_TRANSACTIONS
    switch (facts.state) {
      case 'Ongoing':
        if (!isCommit && txn.pending === 'PrepareEpochFence') txn.takeFence(identity.producerEpoch)
        return txn.end(isCommit, 0, NO_PRODUCER_ID, this.#nowMs(), false)
      case 'CompleteCommit':
        return isCommit ? answerTo(facts) : Errors.INVALID_TXN_STATE
      case 'CompleteAbort':
        return isCommit ? Errors.INVALID_TXN_STATE : answerTo(facts)
      case 'PrepareCommit':
        return isCommit ? Errors.CONCURRENT_TRANSACTIONS : Errors.INVALID_TXN_STATE
      case 'PrepareAbort':
        return isCommit ? Errors.INVALID_TXN_STATE : Errors.CONCURRENT_TRANSACTIONS
      default:
        return Errors.INVALID_TXN_STATE
    }
  }

  /** Transaction version 2: the epoch is raised, and a retry is known by the epoch before (KIP-890). */
  #prepareEndBumping(
    txn: Transaction,
    { producerId, producerEpoch }: ProducerIdentity,
    isCommit: boolean,
    clientVersion: number,
    isFromClient: boolean,
  ): Result | TxnFacts {
    const { facts } = txn
    const isFence = txn.pending === 'PrepareEpochFence'
    // After the last epoch comes another producer id with epoch 0.
    const isRetryOverflow =
      !isFence && facts.previousProducerId === producerId && isExhausted(producerEpoch) && facts.producerEpoch === 0
    const isRetryBump = !isFence && facts.producerEpoch === producerEpoch + 1
    const isRetry = isRetryBump || isRetryOverflow
    if (isUnderWay(txn)) return Errors.CONCURRENT_TRANSACTIONS
    if (facts.producerId !== producerId && !isRetryOverflow) return Errors.INVALID_PRODUCER_ID_MAPPING
    if (!isValidEpoch(facts, producerEpoch, isFence, isFromClient, isRetryBump, isRetryOverflow)) {
      return Errors.PRODUCER_FENCED
    }
    const end = (isEmpty: boolean, commits: boolean): Result | TxnFacts => {
      let nextProducerId = NO_PRODUCER_ID
      if (!isFence && txn.isEpochExhausted) {
        const generated = this.#options.newProducerId()
        if ('error' in generated) return generated.error
        nextProducerId = generated.producerId
      }
      if (!commits && isFence) txn.pending = undefined
      return txn.end(commits, clientVersion, nextProducerId, this.#nowMs(), isEmpty)
    }
    switch (facts.state) {
      case 'Ongoing':
        return end(false, isCommit)
      case 'CompleteCommit':
        if (isCommit) return isRetry ? answerTo(facts) : Errors.INVALID_TXN_STATE
        return isRetry ? Errors.INVALID_TXN_STATE : end(true, false)
      case 'CompleteAbort':
        if (isCommit) return Errors.INVALID_TXN_STATE
        return isRetry ? answerTo(facts) : end(true, false)
      case 'PrepareCommit':
        return isCommit ? Errors.CONCURRENT_TRANSACTIONS : Errors.INVALID_TXN_STATE
      case 'PrepareAbort':
        return isCommit ? Errors.INVALID_TXN_STATE : Errors.CONCURRENT_TRANSACTIONS
      case 'Empty':
        return isCommit ? Errors.INVALID_TXN_STATE : end(true, false)
      default:
        return Errors.UNKNOWN_SERVER_ERROR
    }
  }

  #sendMarkers(txn: Transaction): void {
    const { producerId, producerEpoch, partitions, state } = txn.facts
    const isCommit = state === 'PrepareCommit'
    txn.prepareCompletion(this.#nowMs())
    const { index } = this.#host
    this.#options.writeMarkers(index, { transactionalId: txn.id, producerId, producerEpoch, isCommit, partitions })
  }

  /** The marker of this partition is written, or not needed. */
  markerWritten(id: string, partition: string): void {
    const txn = this.#transactions.get(id)
    if (txn?.completion !== undefined) txn.removePartition(partition)
  }

  /** All markers are written: the transaction is over. False in `done` when it is to be tried again. */
  complete(id: string, done: (isOver: boolean) => void): Writes<undefined> {
    const txn = this.#transactions.get(id)
    if (txn?.completion === undefined) {
      done(true)
      return NOTHING
    }
    const { completion } = txn
    return {
      records: [{ transactionalId: id, facts: completion }],
      response: undefined,
      isApplied: true,
      timeoutMs: completion.timeoutMs,
      settled: (error) => {
        const isLater = coordinatorError(error) === Errors.COORDINATOR_NOT_AVAILABLE
        if (error === Errors.NONE) this.#take(txn, completion, 'markers written')
        // Whoever leads next goes on with it. Until it can be written here it stays pending.
        else if (!isLater) txn.abandonCompletion()
        done(!isLater)
      },
    }
  }

  // ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #every(key: string, interval: keyof TxnConfig, act: () => Writes<undefined>): void {
    this.#host.schedule(key, this.#options.config()[interval], () => {
      this.#every(key, interval, act)
      return act()
    })
  }

  #abortTimedOut(): Writes<undefined> {
    const nowMs = this.#nowMs()
    const isTimedOut = ({ facts, pending }: Transaction): boolean =>
      facts.state === 'Ongoing' && pending === undefined && facts.startMs + facts.timeoutMs < nowMs
    for (const txn of [...this.#transactions.values()].filter(isTimedOut)) {
      const version = this.#options.transactionVersion()
      this.#host.write(this.end(txn.id, txn.fence(), false, version, { isFromClient: false }, () => undefined))
    }
    return NOTHING
  }

  /** In batches as large as the log takes. */
  #removeExpired(): Writes<undefined> {
    const nowMs = this.#nowMs()
    const oldest = nowMs - this.#options.config()['transactional.id.expiration.ms']
    const batch: Transaction[] = []
    let bytes = BATCH_OVERHEAD
    for (const txn of [...this.#transactions.values()]) {
      const { id, pending, facts } = txn
      const isIdle = facts.state === 'Empty' || facts.state === 'CompleteCommit' || facts.state === 'CompleteAbort'
      if (!isIdle || pending !== undefined || facts.updateMs > oldest) continue
      const tombstone = TXN_RECORD_CODEC.encode({ transactionalId: id, facts: null }, nowMs)
      if (batch.length > 0 && bytes + recordSizeInBytes(tombstone, batch.length, nowMs) > this.#host.maxBatchBytes) {
        this.#host.write(this.#remove(batch.splice(0)))
        bytes = BATCH_OVERHEAD
      }
      txn.prepareRemoval()
      bytes += recordSizeInBytes(tombstone, batch.length, nowMs)
      batch.push(txn)
    }
    if (batch.length > 0) this.#host.write(this.#remove(batch))
    return NOTHING
  }

  #remove(transactions: readonly Transaction[]): Writes<undefined> {
    return {
      records: transactions.map(({ id }) => ({ transactionalId: id, facts: null })),
      response: undefined,
      isApplied: true,
      settled: (error) => {
        for (const txn of transactions) {
          if (error === Errors.NONE) this.#transactions.delete(txn.id)
          else txn.pending = undefined
        }
      },
    }
  }

  #write(txn: Transaction, facts: TxnFacts, reason: string, done: (error: ErrorCode) => void): Writes<undefined> {
    return {
      records: [{ transactionalId: txn.id, facts }],
      response: undefined,
      isApplied: true,
      timeoutMs: facts.timeoutMs,
      settled: (error) => {
        if (error === Errors.NONE) this.#take(txn, facts, reason)
        else txn.pending = undefined
        done(error)
      },
    }
  }

  #take(txn: Transaction, facts: TxnFacts, reason: string): void {
    const from = txn.facts.state
    txn.take(facts)
    this.#emit(txn, from, reason)
  }

  #emit({ id, facts }: Transaction, from: string, reason: string): void {
    this.#host.env.emit('txn.state', {
      transactionalId: id,
      producerId: facts.producerId,
      producerEpoch: facts.producerEpoch,
      from,
      to: facts.state,
      partitions: [...facts.partitions],
      reason,
    })
  }

  #nowMs(): Millis {
    return this.#host.env.clock.wallMs()
  }
}

function isFacts(prepared: Result | TxnFacts): prepared is TxnFacts {
  return typeof prepared === 'object' && 'state' in prepared
}

/** A change is being written, or markers are: whoever asks is to ask again. A fence makes way for its own abort. */
function isUnderWay({ pending }: Transaction): boolean {
  return pending !== undefined && pending !== 'PrepareEpochFence'
}

/** Who may begin anew: the producer itself, or the one whose id was replaced when its epochs were used up. */
function isProducer(facts: TxnFacts, expected: ProducerIdentity): boolean {
  return (
    facts.producerEpoch === NO_EPOCH ||
    expected.producerId === facts.producerId ||
    (expected.producerId === facts.previousProducerId && isExhausted(expected.producerEpoch))
  )
}

function isValidEpoch(
  facts: TxnFacts,
  epoch: Epoch,
  isFence: boolean,
  isFromClient: boolean,
  isRetryBump: boolean,
  isRetryOverflow: boolean,
): boolean {
  if (isFence) return (!isFromClient || epoch === facts.producerEpoch) && epoch >= facts.producerEpoch
  switch (facts.state) {
    case 'PrepareCommit':
    case 'PrepareAbort':
      return isRetryBump
    case 'CompleteCommit':
    case 'CompleteAbort':
      return isRetryBump || isRetryOverflow || epoch === facts.producerEpoch
    default:
      return epoch === facts.producerEpoch
  }
}

/** Who the producer is from here on: what EndTxn answers (KIP-890). */
function answerTo({ producerId, producerEpoch, nextProducerId, clientVersion, state }: TxnFacts): ProducerIdentity {
  const rotates = clientVersion >= 2 && nextProducerId !== NO_PRODUCER_ID && state.startsWith('Prepare')
  return rotates ? { producerId: nextProducerId, producerEpoch: 0 } : { producerId, producerEpoch }
}
