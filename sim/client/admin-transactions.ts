/**
 * Transactions and producers in the hands of an administrator (KIP-664; the transaction part of Kafka's KafkaAdminClient).
 *
 * Coordinators answer for transactional ids, leaders for what producers left in partitions. `abort` writes a marker past the coordinator,
 * for a transaction that it has forgotten; `fence` takes a transactional id away from its producer, whose transaction is aborted.
 */

import { nodeId, partitionName } from '../kernel/names.js'
import type { Epoch, Millis, NodeId, Offset } from '../kernel/units.js'
import { Errors, type ErrorCode } from '../wire/errors.js'
import type { AdminContext, Done } from './admin-context.js'
import { askAllBrokers } from './all-brokers-operation.js'
import { CoordinatorOperation, type CoordinatorRequest } from './coordinator-operation.js'
import { PartitionLeaderOperation } from './partition-leader-operation.js'
import { partitionsByTopic } from './partitions-by-topic.js'
import type { ApiName } from '../wire/apis.js'
import type { AdminOperation } from './admin-operation.js'

export interface TransactionFilter {
  /** Kafka's names: `Ongoing`, … */
  readonly states?: readonly string[]
  readonly producerIds?: readonly number[]
  /** Open for longer than this. */
  readonly durationMs?: Millis
  /** A regular expression for transactional ids. */
  readonly pattern?: string
}

export interface TransactionListing {
  readonly producerId: number
  readonly state: string
}

export interface TransactionDescription {
  readonly coordinator: NodeId
  readonly state: string
  readonly producerId: number
  readonly producerEpoch: Epoch
  readonly timeoutMs: Millis
  /** Undefined when none is open. */
  readonly startMs?: Millis
  readonly partitions: readonly string[]
}

export interface ActiveProducer {
  readonly producerId: number
  readonly producerEpoch: Epoch
  readonly lastSequence: number
  readonly lastTimestamp: Millis
  readonly coordinatorEpoch?: Epoch
  /** First offset of its open transaction. */
  readonly transactionStart?: Offset
}

/** What `describeProducers` says of a transaction that hangs. */
export interface AbortSpec {
  readonly partition: string
  readonly producerId: number
  readonly producerEpoch: Epoch
  readonly coordinatorEpoch: Epoch
}

export class AdminTransactions {
  readonly #context: AdminContext

  constructor(context: AdminContext) {
    this.#context = context
  }

  /** Values are named by transactional id, errors by broker. */
  list(filter: TransactionFilter, done: Done<TransactionListing>): void {
    const operation = this.#context.begin<TransactionListing>('list-transactions', [], done)
    askAllBrokers(this.#context, operation, {
      api: 'ListTransactions',
      body: {
        stateFilters: filter.states ?? [],
        producerIdFilters: filter.producerIds ?? [],
        durationFilter: filter.durationMs ?? -1,
        transactionalIdPattern: filter.pattern ?? null,
      },
      retries: LOADING,
      error: (response) => response.errorCode,
      take: ({ transactionStates }) => {
        for (const { transactionalId, producerId, transactionState } of transactionStates)
          operation.answered(transactionalId, Errors.NONE, { producerId, state: transactionState })
      },
    })
  }

  describe(transactionalIds: readonly string[], done: Done<TransactionDescription>): void {
    const operation = this.#context.begin('describe-transaction', transactionalIds, done)
    this.#ask(operation, transactionalIds, {
      api: 'DescribeTransactions',
      request: (keys) => ({ transactionalIds: keys }),
      answers: ({ transactionStates }, _keys, coordinator) =>
        transactionStates.map((state) => ({
          key: state.transactionalId,
          error: state.errorCode,
          done: () =>
            operation.succeed(state.transactionalId, {
              coordinator,
              state: state.transactionState,
              producerId: state.producerId,
              producerEpoch: state.producerEpoch,
              timeoutMs: state.transactionTimeoutMs,
              ...(state.transactionStartTimeMs >= 0 && { startMs: state.transactionStartTimeMs }),
              partitions: state.topics.flatMap(({ topic, partitions }) =>
                partitions.map((index) => partitionName(topic, index)),
              ),
            }),
        })),
    })
  }

  /** Raises the epoch of transactional ids, so that their producers are fenced and open transactions aborted. */
  fence(
    transactionalIds: readonly string[],
    done: Done<{ readonly producerId: number; readonly producerEpoch: Epoch }>,
  ): void {
    const operation = this.#context.begin('fence-producers', transactionalIds, done)
    this.#ask(operation, transactionalIds, {
      api: 'InitProducerId',
      single: true,
      request: ([transactionalId]) => ({
        transactionalId: transactionalId as string,
        transactionTimeoutMs: this.#context.requestTimeoutMs,
        producerId: -1,
        producerEpoch: -1,
      }),
      answers: ({ errorCode, producerId, producerEpoch }, [key]) => [
        {
          key: key as string,
          error: errorCode,
          done: () => operation.succeed(key as string, { producerId, producerEpoch }),
        },
      ],
      retries: CONCURRENT,
    })
  }

  /** Writes an abort marker into a partition, whatever the coordinator knows. */
  abort(spec: AbortSpec, done: Done<void>): void {
    const operation = this.#context.begin('abort-transaction', [spec.partition], done)
    const { producerId, producerEpoch, coordinatorEpoch } = spec
    new PartitionLeaderOperation(this.#context.calls, operation, this.#context.deadline(), {
      api: 'WriteTxnMarkers',
      request: (partitions) => ({
        markers: [
          {
            producerId,
            producerEpoch,
            transactionResult: false,
            topics: partitionsByTopic(partitions).map(([name, partitionIndexes]) => ({ name, partitionIndexes })),
            coordinatorEpoch,
          },
        ],
      }),
      answers: ({ markers }) =>
        markers
          .flatMap(({ topics }) => topics)
          .flatMap(({ name, partitions }) =>
            partitions.map(({ partitionIndex, errorCode }) => ({
              partition: partitionName(name, partitionIndex),
              error: errorCode,
              value: undefined,
            })),
          ),
      isUnmapped: (error) => LEADER_LOST.has(error),
      isRetried: () => false,
    }).start()
  }

  /** The producers with state in partitions: at their leaders, or at the broker named. */
  describeProducers(partitions: readonly string[], done: Done<readonly ActiveProducer[]>, broker?: string): void {
    const operation = this.#context.begin('describe-producers', partitions, done)
    const at = broker === undefined ? undefined : (nodeId(broker) ?? -1)
    const request = new PartitionLeaderOperation(this.#context.calls, operation, this.#context.deadline(), {
      api: 'DescribeProducers',
      request: (keys) => ({
        topics: partitionsByTopic(keys).map(([name, partitionIndexes]) => ({ name, partitionIndexes })),
      }),
      answers: ({ topics }) =>
        topics.flatMap(({ name, partitions: answers }) =>
          answers.map(({ partitionIndex, errorCode, activeProducers }) => ({
            partition: partitionName(name, partitionIndex),
            error: errorCode,
            value: activeProducers.map(activeProducer),
          })),
        ),
      isUnmapped: (error) => at === undefined && error === Errors.NOT_LEADER_OR_FOLLOWER,
      isRetried: (error) => error === Errors.UNKNOWN_TOPIC_OR_PARTITION,
    })
    if (at === undefined) request.start()
    else request.startAt(at)
  }

  #ask<A extends ApiName, T>(
    operation: AdminOperation<T>,
    transactionalIds: readonly string[],
    request: Omit<CoordinatorRequest<A>, 'kind' | 'failed' | 'settled'>,
  ): void {
    new CoordinatorOperation<A>(this.#context, {
      ...request,
      kind: 'transaction',
      failed: (id, error) => operation.fail(id, error),
      settled: () => operation.finishIfComplete(),
    }).start(transactionalIds)
  }
}

function activeProducer(state: {
  readonly producerId: number
  readonly producerEpoch: number
  readonly lastSequence: number
  readonly lastTimestamp: number
  readonly coordinatorEpoch: number
  readonly currentTxnStartOffset: number
}): ActiveProducer {
  const { producerId, producerEpoch, lastSequence, lastTimestamp, coordinatorEpoch, currentTxnStartOffset } = state
  return {
    producerId,
    producerEpoch,
    lastSequence,
    lastTimestamp,
    ...(coordinatorEpoch >= 0 && { coordinatorEpoch }),
    ...(currentTxnStartOffset >= 0 && { transactionStart: currentTxnStartOffset }),
  }
}

const LOADING: ReadonlySet<ErrorCode> = new Set([Errors.COORDINATOR_LOAD_IN_PROGRESS])

const CONCURRENT: ReadonlySet<ErrorCode> = new Set([Errors.CONCURRENT_TRANSACTIONS])

const LEADER_LOST: ReadonlySet<ErrorCode> = new Set([
  Errors.NOT_LEADER_OR_FOLLOWER,
  Errors.REPLICA_NOT_AVAILABLE,
  Errors.BROKER_NOT_AVAILABLE,
  Errors.UNKNOWN_TOPIC_OR_PARTITION,
])
