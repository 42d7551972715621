/**
 * The requests of a transactional producer, and what each answer means (the TxnRequestHandlers of Kafka's TransactionManager).
 *
 *     priority   request                            asked of
 *     0          FindCoordinator                    anybody
 *     1          InitProducerId                     transaction coordinator (anybody without a transactional id)
 *     2          AddPartitionsToTxn, AddOffsetsToTxn  transaction coordinator
 *     2          TxnOffsetCommit                    group coordinator
 *     3          EndTxn                             transaction coordinator, once nothing is unanswered
 *     4          InitProducerId to raise the epoch  transaction coordinator
 *
 * An error is met by one of these reactions; each request has a table of those that differ from the rule.
 *
 *     rediscover   look the coordinator up, and ask again
 *     retry        ask again after a backoff
 *     fenced       fatal, as PRODUCER_FENCED
 *     fatal        nothing works any more
 *     abortable    the transaction must be aborted
 *     bump         abortable, and the epoch is raised afterwards
 */

import type { Epoch, Millis } from '../kernel/units.js'
import { partitionName } from '../kernel/names.js'
import type { ApiName, Apis } from '../wire/apis.js'
import { Errors, errorName, isRetriable, type ErrorCode } from '../wire/errors.js'
import type { GroupMetadata, OffsetAndMetadata } from './group/offset-commits.js'
import type { ClusterNode } from './metadata-snapshot.js'
import { partitionsByTopic } from './partitions-by-topic.js'
import type { TransactionReporter } from './transaction-reporter.js'
import { TransactionalResult } from './transactional-result.js'

export type CoordinatorKind = 'group' | 'transaction'

/** FindCoordinator's key types. */
const KEY_TYPES = { group: 0, transaction: 1 } as const

export type Priority = 0 | 1 | 2 | 3 | 4

/** The newest versions that mean transaction version 1 and below (KIP-890). */
const END_TXN_V1 = 4
const TXN_OFFSET_COMMIT_V1 = 4
const ADD_PARTITIONS_CLIENT = 3

/** The wait before AddPartitionsToTxn is tried again while the last transaction is still being completed. */
const CONCURRENT_TRANSACTIONS_BACKOFF_MS = 20

/** Who sends. */
export interface ProducerIdentity {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: Epoch
}

/** What the answers do to the transaction manager. */
export interface TransactionActions {
  /** Forgets the coordinator and asks for it before anything else. */
  lookUp(kind: CoordinatorKind, key: string): void
  discovered(kind: CoordinatorKind, node: ClusterNode): void
  enqueue(request: TransactionRequest<ApiName>): void
  retry(request: TransactionRequest<ApiName>): void
  fatal(error: string): void
  abortable(error: string): void
  /** Abortable; the epoch must be raised when the transaction is over, unless the coordinator does that anyway. */
  abortableWithBump(error: string): void
  initialized(producerId: number, producerEpoch: Epoch, isEpochBump: boolean): void
  /** `producerId` is -1 where the coordinator leaves the identity as it is. */
  ended(producerId: number, producerEpoch: Epoch): void
  partitionsAnswered(partitions: readonly string[], added: boolean): void
  readonly hasPartitions: boolean
  /** Offsets of the transaction without an answer yet. */
  readonly pendingOffsets: Map<string, OffsetAndMetadata>
  /** The group's partition is part of the transaction. */
  offsetsAdded(): void
  readonly reporter: TransactionReporter
}

type Reaction = 'rediscover' | 'retry' | 'fenced' | 'fatal' | 'abortable' | 'bump'
type Reactions = ReadonlyMap<ErrorCode, Reaction>

const RULE: Reactions = new Map([
  [Errors.COORDINATOR_NOT_AVAILABLE, 'rediscover'],
  [Errors.NOT_COORDINATOR, 'rediscover'],
  [Errors.INVALID_PRODUCER_EPOCH, 'fenced'],
  [Errors.PRODUCER_FENCED, 'fenced'],
  [Errors.TRANSACTION_ABORTABLE, 'abortable'],
])

/** A request in the queue of the transaction manager. */
export abstract class TransactionRequest<A extends ApiName> {
  abstract readonly api: A
  abstract readonly body: Apis[A]['request']
  abstract readonly priority: Priority
  /** Undefined: the newest. */
  readonly version: number | undefined = undefined
  /** Undefined: anybody will do. */
  readonly coordinator: CoordinatorKind | undefined = undefined
  readonly coordinatorKey: string = ''
  readonly isEndTxn: boolean = false
  readonly result: TransactionalResult
  /** It was put back; it waits for its backoff before it is sent. */
  isRetry = false
  /** A backoff of its own. */
  retryBackoffMs: Millis = Infinity
  protected readonly actions: TransactionActions
  protected readonly reactions: Reactions = new Map()

  constructor(actions: TransactionActions, result = new TransactionalResult()) {
    this.actions = actions
    this.result = result
  }

  abstract answered(response: Apis[A]['response']): void

  /** It goes to the node now. */
  sent(): void {}

  /** The connection was lost. */
  disconnected(): void {
    if (this.coordinator !== undefined) this.actions.lookUp(this.coordinator, this.coordinatorKey)
    this.actions.retry(this)
  }

  fail(error: string): void {
    this.result.fail(error)
  }

  protected reactionTo(error: ErrorCode): Reaction {
    return this.reactions.get(error) ?? RULE.get(error) ?? (isRetriable(error) ? 'retry' : 'fatal')
  }

  protected react(error: ErrorCode): void {
    const reaction = this.reactionTo(error)
    const actions = this.actions
    if (reaction === 'rediscover' || reaction === 'retry') {
      if (reaction === 'rediscover') actions.lookUp('transaction', this.coordinatorKey)
      actions.retry(this)
      return
    }
    const name = reaction === 'fenced' ? 'PRODUCER_FENCED' : errorName(error)
    this.result.fail(name)
    if (reaction === 'abortable') actions.abortable(name)
    else if (reaction === 'bump') actions.abortableWithBump(name)
    else actions.fatal(name)
  }
}

export class FindCoordinator extends TransactionRequest<'FindCoordinator'> {
  readonly api = 'FindCoordinator'
  readonly body: Apis['FindCoordinator']['request']
  readonly priority = 0
  readonly #kind: CoordinatorKind
  protected override readonly reactions: Reactions = new Map([
    [Errors.COORDINATOR_NOT_AVAILABLE, 'retry'],
    [Errors.NOT_COORDINATOR, 'retry'],
    [Errors.INVALID_PRODUCER_EPOCH, 'fatal'],
    [Errors.PRODUCER_FENCED, 'fatal'],
    [Errors.GROUP_AUTHORIZATION_FAILED, 'abortable'],
  ])

  constructor(actions: TransactionActions, kind: CoordinatorKind, key: string) {
    super(actions)
    this.#kind = kind
    this.body = { key: '', keyType: KEY_TYPES[kind], coordinatorKeys: [key] }
  }

  answered(response: Apis['FindCoordinator']['response']): void {
    const coordinator = response.coordinators[0]
    const error = coordinator === undefined ? Errors.UNKNOWN_SERVER_ERROR : coordinator.errorCode
    if (coordinator === undefined || error !== Errors.NONE) return this.react(error)
    this.actions.discovered(this.#kind, { id: coordinator.nodeId, host: coordinator.host })
    this.result.succeed()
  }
}

export class InitProducerId extends TransactionRequest<'InitProducerId'> {
  readonly api = 'InitProducerId'
  readonly body: Apis['InitProducerId']['request']
  readonly priority: Priority
  override readonly coordinator: CoordinatorKind | undefined
  override readonly coordinatorKey: string
  readonly #isEpochBump: boolean
  protected override readonly reactions: Reactions

  constructor(actions: TransactionActions, body: Apis['InitProducerId']['request'], isEpochBump: boolean) {
    super(actions)
    this.body = body
    this.priority = isEpochBump ? 4 : 1
    this.#isEpochBump = isEpochBump
    const { transactionalId } = body
    this.coordinator = transactionalId === null ? undefined : 'transaction'
    this.coordinatorKey = transactionalId ?? ''
    this.reactions = transactionalId === null ? INIT_WITHOUT_COORDINATOR : INIT
  }

  answered({ errorCode, producerId, producerEpoch }: Apis['InitProducerId']['response']): void {
    if (errorCode !== Errors.NONE) return this.react(errorCode)
    this.actions.initialized(producerId, producerEpoch, this.#isEpochBump)
    this.result.succeed()
  }
}

const INIT: Reactions = new Map([
  [Errors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 'abortable'],
  [Errors.CLUSTER_AUTHORIZATION_FAILED, 'abortable'],
])

const INIT_WITHOUT_COORDINATOR: Reactions = new Map([
  ...INIT,
  [Errors.COORDINATOR_NOT_AVAILABLE, 'retry'],
  [Errors.NOT_COORDINATOR, 'retry'],
])

export class AddPartitions extends TransactionRequest<'AddPartitionsToTxn'> {
  readonly api = 'AddPartitionsToTxn'
  readonly body: Apis['AddPartitionsToTxn']['request']
  readonly priority = 2
  override readonly version = ADD_PARTITIONS_CLIENT
  override readonly coordinator = 'transaction'
  override readonly coordinatorKey: string
  protected override readonly reactions: Reactions = new Map([[Errors.UNKNOWN_PRODUCER_ID, 'bump']])

  constructor(actions: TransactionActions, identity: ProducerIdentity, partitions: Iterable<string>) {
    super(actions)
    this.coordinatorKey = identity.transactionalId
    this.body = {
      transactions: [],
      v3AndBelowTransactionalId: identity.transactionalId,
      v3AndBelowProducerId: identity.producerId,
      v3AndBelowProducerEpoch: identity.producerEpoch,
      v3AndBelowTopics: partitionsByTopic(partitions).map(([name, indexes]) => ({ name, partitions: indexes })),
    }
  }

  answered(response: Apis['AddPartitionsToTxn']['response']): void {
    this.retryBackoffMs = Infinity
    const partitions: string[] = []
    let trouble: string | undefined
    for (const { name, resultsByPartition } of response.resultsByTopicV3AndBelow) {
      for (const { partitionIndex, partitionErrorCode: error } of resultsByPartition) {
        partitions.push(partitionName(name, partitionIndex))
        if (error === Errors.NONE) continue
        if (this.#concernsAll(error)) {
          if (error === Errors.CONCURRENT_TRANSACTIONS && !this.actions.hasPartitions) {
            this.retryBackoffMs = CONCURRENT_TRANSACTIONS_BACKOFF_MS
          }
          return this.react(error)
        }
        // What was not attempted was not because of another one, whose error says more.
        if (trouble === undefined || error === Errors.TOPIC_AUTHORIZATION_FAILED || trouble === NOT_ATTEMPTED) {
          trouble = errorName(error)
        }
      }
    }
    this.actions.partitionsAnswered(partitions, trouble === undefined)
    if (trouble === undefined) return this.result.succeed()
    this.result.fail(trouble)
    this.actions.abortable(trouble)
  }

  /** The error is the producer's or the coordinator's, not one of this partition. */
  #concernsAll(error: ErrorCode): boolean {
    return this.reactionTo(error) !== 'fatal' || FATAL_IN_TRANSACTION.has(error)
  }
}

const NOT_ATTEMPTED = 'OPERATION_NOT_ATTEMPTED'

const FATAL_IN_TRANSACTION: ReadonlySet<ErrorCode> = new Set([
  Errors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
  Errors.INVALID_TXN_STATE,
  Errors.INVALID_PRODUCER_ID_MAPPING,
])

export class AddOffsets extends TransactionRequest<'AddOffsetsToTxn'> {
  readonly api = 'AddOffsetsToTxn'
  readonly body: Apis['AddOffsetsToTxn']['request']
  readonly priority = 2
  override readonly coordinator = 'transaction'
  override readonly coordinatorKey: string
  readonly #commit: (result: TransactionalResult) => TxnOffsetCommit
  protected override readonly reactions: Reactions = new Map([
    [Errors.UNKNOWN_PRODUCER_ID, 'bump'],
    [Errors.GROUP_AUTHORIZATION_FAILED, 'abortable'],
  ])

  /** @param commit makes the request that follows; the result is done with that one's answer */
  constructor(
    actions: TransactionActions,
    identity: ProducerIdentity,
    groupId: string,
    commit: (result: TransactionalResult) => TxnOffsetCommit,
  ) {
    super(actions)
    this.coordinatorKey = identity.transactionalId
    this.body = { ...identity, groupId }
    this.#commit = commit
  }

  answered({ errorCode }: Apis['AddOffsetsToTxn']['response']): void {
    if (errorCode !== Errors.NONE) return this.react(errorCode)
    this.actions.enqueue(this.#commit(this.result))
    this.actions.offsetsAdded()
  }
}

export class TxnOffsetCommit extends TransactionRequest<'TxnOffsetCommit'> {
  readonly api = 'TxnOffsetCommit'
  readonly body: Apis['TxnOffsetCommit']['request']
  readonly priority = 2
  override readonly version: number | undefined
  override readonly coordinator = 'group'
  override readonly coordinatorKey: string
  protected override readonly reactions: Reactions = new Map([
    [Errors.REQUEST_TIMED_OUT, 'rediscover'],
    [Errors.GROUP_AUTHORIZATION_FAILED, 'abortable'],
    [Errors.FENCED_INSTANCE_ID, 'abortable'],
    [Errors.UNKNOWN_MEMBER_ID, 'abortable'],
    [Errors.ILLEGAL_GENERATION, 'abortable'],
  ])

  constructor(
    actions: TransactionActions,
    identity: ProducerIdentity,
    group: GroupMetadata,
    isV2: boolean,
    result?: TransactionalResult,
  ) {
    super(actions, result)
    this.version = isV2 ? undefined : TXN_OFFSET_COMMIT_V1
    this.coordinatorKey = group.groupId
    const offsets = actions.pendingOffsets
    this.body = {
      ...identity,
      groupId: group.groupId,
      generationId: group.generation,
      memberId: group.memberId,
      groupInstanceId: group.groupInstanceId,
      topics: partitionsByTopic(offsets.keys()).map(([name, indexes]) => ({
        name,
        partitions: indexes.map((index) =>
          committed(index, offsets.get(partitionName(name, index)) as OffsetAndMetadata),
        ),
      })),
    }
  }

  answered(response: Apis['TxnOffsetCommit']['response']): void {
    const pending = this.actions.pendingOffsets
    this.#take(response)
    if (this.result.isCompleted) pending.clear()
    else if (pending.size === 0) this.result.succeed()
    else this.actions.retry(this)
  }

  /** Up to the first error that ends it. */
  #take(response: Apis['TxnOffsetCommit']['response']): void {
    let rediscovered = false
    for (const { name, partitions } of response.topics) {
      for (const { partitionIndex, errorCode } of partitions) {
        if (errorCode === Errors.NONE) {
          this.actions.pendingOffsets.delete(partitionName(name, partitionIndex))
          continue
        }
        const reaction = this.reactionTo(errorCode)
        if (reaction === 'rediscover') {
          if (!rediscovered) this.actions.lookUp('group', this.coordinatorKey)
          rediscovered = true
        } else if (reaction !== 'retry') {
          return this.react(errorCode)
        }
      }
    }
  }
}

export class EndTxn extends TransactionRequest<'EndTxn'> {
  readonly api = 'EndTxn'
  readonly body: Apis['EndTxn']['request']
  readonly priority = 3
  override readonly version: number | undefined
  override readonly coordinator = 'transaction'
  override readonly coordinatorKey: string
  override readonly isEndTxn = true
  protected override readonly reactions: Reactions

  constructor(actions: TransactionActions, identity: ProducerIdentity, commit: boolean, isV2: boolean) {
    super(actions)
    this.version = isV2 ? undefined : END_TXN_V1
    this.coordinatorKey = identity.transactionalId
    this.body = { ...identity, committed: commit }
    // To abort once more because an abort is refused would never end.
    this.reactions = commit ? END_TXN : END_TXN_ABORT
  }

  override sent(): void {
    if (this.body.committed) this.actions.reporter.commitSent()
  }

  answered({ errorCode, producerId, producerEpoch }: Apis['EndTxn']['response']): void {
    if (this.body.committed && NOT_BEGUN.has(errorCode)) this.actions.reporter.commitRefused()
    if (errorCode !== Errors.NONE) return this.react(errorCode)
    this.actions.ended(producerId, producerEpoch)
    this.result.succeed()
  }
}

const END_TXN: Reactions = new Map([[Errors.UNKNOWN_PRODUCER_ID, 'bump']])
const END_TXN_ABORT: Reactions = new Map([...END_TXN, [Errors.TRANSACTION_ABORTABLE, 'fatal']])

/** Answers to EndTxn that come before the coordinator decides anything. */
const NOT_BEGUN: ReadonlySet<ErrorCode> = new Set([
  Errors.COORDINATOR_LOAD_IN_PROGRESS,
  Errors.CONCURRENT_TRANSACTIONS,
  Errors.INVALID_PRODUCER_EPOCH,
  Errors.PRODUCER_FENCED,
  Errors.INVALID_PRODUCER_ID_MAPPING,
  Errors.INVALID_TXN_STATE,
  Errors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
  Errors.TRANSACTION_ABORTABLE,
  Errors.UNKNOWN_PRODUCER_ID,
])

function committed(
  partitionIndex: number,
  { offset, leaderEpoch, metadata }: OffsetAndMetadata,
): Apis['TxnOffsetCommit']['request']['topics'][number]['partitions'][number] {
  return {
    partitionIndex,
    committedOffset: offset,
    committedLeaderEpoch: leaderEpoch ?? -1,
    committedMetadata: metadata ?? '',
  }
}
