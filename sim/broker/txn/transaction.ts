/**
 * One transactional id: who its producer is, and where its transaction stands (`TransactionMetadata`).
 *
 *     to                  from                                                    by
 *     Empty               Empty, CompleteCommit, CompleteAbort                    InitProducerId
 *     Ongoing             Ongoing, Empty, CompleteCommit, CompleteAbort           AddPartitionsToTxn, AddOffsetsToTxn, an implicit add
 *     PrepareCommit       Ongoing                                                 EndTxn
 *     PrepareAbort        Ongoing, PrepareEpochFence; under transaction           EndTxn, a fence, a timeout
 *                         version 2 also Empty and Complete*
 *     CompleteCommit      PrepareCommit                                           all markers are written
 *     CompleteAbort       PrepareAbort                                            all markers are written
 *     PrepareEpochFence   Ongoing                                                 InitProducerId, a timeout; never written
 *     Dead                Empty, Complete*                                        expiry
 *
 * A transition is prepared first (`pending`), written, and taken when its record is committed; until then requests that would change
 * the state are answered CONCURRENT_TRANSACTIONS. The end of a prepared transaction is pending from the moment that its markers are to be
 * written: partitions leave one by one as theirs are there. Under transaction version 2 (KIP-890) the epoch is raised with every prepare.
 */

import { assert } from '../../kernel/errors.js'
import type { Epoch, Millis } from '../../kernel/units.js'
import type { ErrorCode } from '../../wire/errors.js'
import { Errors } from '../../wire/errors.js'

/** Kafka's ids and names of the states. */
export const TXN_STATES = [
  'Empty',
  'Ongoing',
  'PrepareCommit',
  'PrepareAbort',
  'CompleteCommit',
  'CompleteAbort',
  'Dead',
  'PrepareEpochFence',
] as const
export type TxnState = (typeof TXN_STATES)[number]

const PREVIOUS: Readonly<Record<TxnState, readonly TxnState[]>> = {
  Empty: ['Empty', 'CompleteCommit', 'CompleteAbort'],
  Ongoing: ['Ongoing', 'Empty', 'CompleteCommit', 'CompleteAbort'],
  PrepareCommit: ['Ongoing'],
  PrepareAbort: ['Ongoing', 'PrepareEpochFence', 'Empty', 'CompleteCommit', 'CompleteAbort'],
  CompleteCommit: ['PrepareCommit'],
  CompleteAbort: ['PrepareAbort'],
  Dead: ['Empty', 'CompleteAbort', 'CompleteCommit'],
  PrepareEpochFence: ['Ongoing'],
}

export const NO_PRODUCER_ID = -1
export const NO_EPOCH = -1
const LAST_EPOCH = 32_767

/** The facts of a transactional id; those that its records hold, and `lastProducerEpoch`, which is known to this coordinator only. */
export interface TxnFacts {
  readonly producerId: number
  readonly previousProducerId: number
  readonly nextProducerId: number
  readonly producerEpoch: Epoch
  readonly lastProducerEpoch: Epoch
  readonly timeoutMs: Millis
  readonly state: TxnState
  /** `orders-0`, … */
  readonly partitions: ReadonlySet<string>
  readonly startMs: Millis
  readonly updateMs: Millis
  /** 0 or 2, as the client spoke. */
  readonly clientVersion: number
}

const NO_PARTITIONS: ReadonlySet<string> = new Set()

export class Transaction {
  readonly id: string
  #facts: TxnFacts
  pending: TxnState | undefined
  /** What the transaction becomes once all markers are written. */
  completion: TxnFacts | undefined
  /** A fence was not written: its raised epoch must not be raised again. */
  hasFailedFence = false

  constructor(id: string, facts: TxnFacts) {
    this.id = id
    this.#facts = facts
  }

  static unused(id: string, producerId: number, timeoutMs: Millis, nowMs: Millis): Transaction {
    return new Transaction(id, {
      producerId,
      previousProducerId: NO_PRODUCER_ID,
      nextProducerId: NO_PRODUCER_ID,
      producerEpoch: NO_EPOCH,
      lastProducerEpoch: NO_EPOCH,
      timeoutMs,
      state: 'Empty',
      partitions: NO_PARTITIONS,
      startMs: -1,
      updateMs: nowMs,
      clientVersion: 0,
    })
  }

  get facts(): TxnFacts {
    return this.#facts
  }

  get isEpochExhausted(): boolean {
    return isExhausted(this.#facts.producerEpoch)
  }

  /** Takes a prepared transition: its record is committed. */
  take(facts: TxnFacts): void {
    assert(this.pending === facts.state, 'transaction: transition', {
      id: this.id,
      pending: this.pending,
      to: facts.state,
    })
    this.#facts = facts
    this.pending = undefined
    this.completion = undefined
  }

  /** The marker of this partition is written. */
  removePartition(partition: string): void {
    const { state, partitions } = this.#facts
    assert(isPrepared(state), 'transaction: marker', { id: this.id, state, partition })
    this.#facts = { ...this.#facts, partitions: new Set([...partitions].filter((name) => name !== partition)) }
  }

  #prepare(state: TxnState, changes: Partial<TxnFacts>): TxnFacts {
    const from = this.#facts.state
    assert(this.pending === undefined, 'transaction: already pending', {
      id: this.id,
      pending: this.pending,
      to: state,
    })
    assert(PREVIOUS[state].includes(from), 'transaction: transition', { id: this.id, from, to: state })
    this.pending = state
    return { ...this.#facts, previousProducerId: this.#facts.producerId, ...changes, state }
  }

  /** The next epoch of a producer that begins anew; PRODUCER_FENCED when it is not the one that it says. */
  incrementEpoch(
    timeoutMs: Millis,
    expected: Epoch | undefined,
    nowMs: Millis,
  ): TxnFacts | { readonly error: ErrorCode } {
    const { producerEpoch: epoch, lastProducerEpoch: last } = this.#facts
    let next: [Epoch, Epoch]
    if (expected === undefined) next = [epoch + 1, NO_EPOCH]
    else if (epoch === NO_EPOCH || expected === epoch) next = [epoch + 1, epoch]
    // It asked before, and did not hear the answer.
    else if (expected === last) next = [epoch, last]
    else return { error: Errors.PRODUCER_FENCED }
    const [producerEpoch, lastProducerEpoch] = next
    return this.#prepare('Empty', {
      producerEpoch,
      lastProducerEpoch,
      timeoutMs,
      partitions: NO_PARTITIONS,
      startMs: -1,
      updateMs: nowMs,
    })
  }

  /** Another producer id, when the epochs are used up. */
  rotate(producerId: number, timeoutMs: Millis, nowMs: Millis, keepsLastEpoch: boolean): TxnFacts {
    return this.#prepare('Empty', {
      producerId,
      producerEpoch: 0,
      lastProducerEpoch: keepsLastEpoch ? this.#facts.producerEpoch : NO_EPOCH,
      timeoutMs,
      partitions: NO_PARTITIONS,
      startMs: -1,
      updateMs: nowMs,
    })
  }

  addPartitions(added: Iterable<string>, clientVersion: number, nowMs: Millis): TxnFacts {
    const { state, partitions, startMs } = this.#facts
    return this.#prepare('Ongoing', {
      partitions: new Set([...partitions, ...added]),
      startMs: state === 'Ongoing' ? startMs : nowMs,
      updateMs: nowMs,
      clientVersion,
    })
  }

  /** The epoch that fences the producer, whose transaction is then aborted. */
  fence(): { readonly producerId: number; readonly producerEpoch: Epoch } {
    const { producerEpoch, producerId, state } = this.#facts
    assert(producerEpoch < LAST_EPOCH, 'transaction: epoch', { id: this.id, producerEpoch })
    assert(this.pending === undefined && PREVIOUS.PrepareEpochFence.includes(state), 'transaction: fence', {
      id: this.id,
      from: state,
      pending: this.pending,
    })
    const bumped = this.hasFailedFence ? producerEpoch : producerEpoch + 1
    this.pending = 'PrepareEpochFence'
    return { producerId, producerEpoch: bumped }
  }

  /** A fence becomes an abort with the raised epoch (transaction versions below 2). */
  takeFence(producerEpoch: Epoch): void {
    this.pending = undefined
    this.#facts = { ...this.#facts, producerEpoch, lastProducerEpoch: NO_EPOCH }
  }

  end(commit: boolean, clientVersion: number, nextProducerId: number, nowMs: Millis, isEmpty: boolean): TxnFacts {
    const { producerEpoch, lastProducerEpoch, startMs } = this.#facts
    const bumps = clientVersion >= 2
    return this.#prepare(commit ? 'PrepareCommit' : 'PrepareAbort', {
      nextProducerId,
      producerEpoch: bumps ? producerEpoch + 1 : producerEpoch,
      lastProducerEpoch: bumps ? producerEpoch : lastProducerEpoch,
      startMs: isEmpty ? nowMs : startMs,
      updateMs: nowMs,
      clientVersion,
    })
  }

  /** Its markers are to be written; the end is prepared with them. */
  prepareCompletion(nowMs: Millis): void {
    const { state, clientVersion, nextProducerId, producerId, producerEpoch } = this.#facts
    this.hasFailedFence = false
    const rotates = clientVersion >= 2 && nextProducerId !== NO_PRODUCER_ID
    this.completion = this.#prepare(state === 'PrepareCommit' ? 'CompleteCommit' : 'CompleteAbort', {
      producerId: rotates ? nextProducerId : producerId,
      nextProducerId: NO_PRODUCER_ID,
      producerEpoch: rotates ? 0 : producerEpoch,
      partitions: NO_PARTITIONS,
      updateMs: nowMs,
    })
  }

  /** Its end will not be written here. */
  abandonCompletion(): void {
    this.pending = undefined
    this.completion = undefined
  }

  /** It is to be removed for not being used. */
  prepareRemoval(): void {
    this.#prepare('Dead', { partitions: NO_PARTITIONS })
  }
}

export function isPrepared(state: TxnState): boolean {
  return state === 'PrepareCommit' || state === 'PrepareAbort'
}

/** The last epoch but one may still be used; the last one is for fencing. */
export function isExhausted(epoch: Epoch): boolean {
  return epoch >= LAST_EPOCH - 1
}
