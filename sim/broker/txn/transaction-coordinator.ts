/**
 * The transaction coordinator of a broker: a shard for each partition of `__transaction_state` that it leads (`TransactionCoordinator`).
 */

import type { Env } from '../../kernel/env.js'
import type { Epoch, NodeId } from '../../kernel/units.js'
import type { MetadataImage } from '../../kraft/metadata/image.js'
import type { MetadataDelta } from '../../kraft/metadata/metadata-delta.js'
import { TRANSACTION_FEATURE } from '../../kraft/metadata/metadata-version.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import type { RequestClient } from '../../wire/request-client.js'
import { coordinatorError } from '../coordinator/coordinator-errors.js'
import { CoordinatorRuntime, type Outcome } from '../coordinator/coordinator-runtime.js'
import { coordinatorPartition } from '../coordinator/internal-topics.js'
import type { ProducerIdManager } from '../producer-id-manager.js'
import type { ReplicaManager } from '../replica-manager.js'
import { TRANSACTION_STATE_TOPIC } from '../topic-names.js'
import { TxnMarkers } from './txn-markers.js'
import { type TxnRecord, txnRecordCodec } from './txn-records.js'
import type { TxnConfig } from './txn-settings.js'
import { TxnShard } from './txn-shard.js'

export interface TransactionCoordinatorOptions {
  readonly brokerId: NodeId
  readonly replicas: ReplicaManager
  readonly metadata: () => MetadataImage
  readonly config: () => TxnConfig
  readonly producerIds: ProducerIdManager
  readonly requests: RequestClient
}

export class TransactionCoordinator {
  readonly #options: TransactionCoordinatorOptions
  readonly #runtime: CoordinatorRuntime<TxnRecord, TxnShard>
  readonly #markers: TxnMarkers
  /** Partition → leader epoch, of those led here. */
  readonly #epochs = new Map<number, Epoch>()

  constructor(env: Env, options: TransactionCoordinatorOptions) {
    const { config, replicas, metadata, requests, producerIds } = options
    this.#options = options
    this.#markers = new TxnMarkers(env, {
      metadata,
      requests,
      coordinatorEpoch: (index) => this.#epochs.get(index),
      written: (index, id, partition) => {
        const found = this.#runtime.find(index)
        if ('shard' in found) found.shard.markerWritten(id, partition)
      },
      complete: (index, id, done) => this.#complete(index, id, done),
    })
    const transactionVersion = (): number => metadata().features.get(TRANSACTION_FEATURE) ?? 0
    const nameOf = (index: number): string => `${TRANSACTION_STATE_TOPIC}-${index}`
    this.#runtime = new CoordinatorRuntime(env, {
      topic: TRANSACTION_STATE_TOPIC,
      replicas,
      codec: txnRecordCodec(transactionVersion),
      writeTimeoutMs: () => config()['request.timeout.ms'],
      loadBytes: () => config()['transaction.state.log.load.buffer.size'],
      needsMinIsr: true,
      makeShard: (host) =>
        new TxnShard(host, {
          config,
          transactionVersion,
          newProducerId: () => {
            const generated = producerIds.generate()
            return 'producerId' in generated ? { producerId: generated.producerId } : { error: generated.error }
          },
          writeMarkers: (index, markers) => this.#markers.write(index, markers),
        }),
      onLoaded: (index, shard) => env.emit('txn.loaded', { partition: nameOf(index), transactions: shard.count }),
      onUnloaded: (index) => env.emit('txn.unloaded', { partition: nameOf(index) }),
    })
  }

  onMetadata(delta: MetadataDelta): void {
    const { electedLeaders, followers, deletes } = delta.localChanges(this.#options.brokerId)
    for (const { topic, partition, image } of electedLeaders) this.onElection(topic, partition, image.leaderEpoch)
    for (const { topic, partition } of [...followers, ...deletes]) this.onResignation(topic, partition)
  }

  /** Also for a new epoch of a partition that it leads already: all is loaded anew, and markers go out in the new epoch. */
  onElection(topic: string, partition: number, leaderEpoch: Epoch): void {
    if (topic !== TRANSACTION_STATE_TOPIC) return
    const known = this.#epochs.get(partition)
    if (known !== undefined && known >= leaderEpoch) return
    if (known !== undefined) this.#runtime.resign(partition)
    this.#epochs.set(partition, leaderEpoch)
    this.#runtime.elect(partition, leaderEpoch)
  }

  onResignation(topic: string, partition: number): void {
    if (topic !== TRANSACTION_STATE_TOPIC) return
    this.#epochs.delete(partition)
    this.#runtime.resign(partition)
  }

  /** The partition of a transactional id; undefined while the topic does not exist. */
  partitionOf(transactionalId: string): number | undefined {
    const topic = this.#options.metadata().topicsByName.get(TRANSACTION_STATE_TOPIC)
    return topic === undefined ? undefined : coordinatorPartition(transactionalId, topic.partitions.size)
  }

  /**
   * Asks the shard of this id, which answers by itself. `refused` comes at most once, when it was not asked or its write failed without
   * a word of its own.
   */
  ask(
    transactionalId: string,
    operate: (shard: TxnShard) => Outcome<TxnRecord, undefined>,
    refused: (error: ErrorCode) => void,
  ): void {
    const index = this.partitionOf(transactionalId)
    if (index === undefined) return refused(Errors.NOT_COORDINATOR)
    this.#runtime.write(index, operate, (answer) => {
      if (!('response' in answer)) refused(coordinatorError(answer.error))
    })
  }

  /** Reads the shard of this id. */
  read<T>(
    transactionalId: string,
    query: (shard: TxnShard) => T,
  ): { readonly response: T } | { readonly error: ErrorCode } {
    const index = this.partitionOf(transactionalId)
    if (index === undefined) return { error: Errors.NOT_COORDINATOR }
    const found = this.#runtime.find(index)
    return 'error' in found ? { error: found.error } : { response: query(found.shard) }
  }

  /** A partition that it leads is not loaded yet. */
  get isLoading(): boolean {
    return this.#runtime.isLoading
  }

  shards(): readonly TxnShard[] {
    return [...this.#runtime.active()].map(({ shard }) => shard)
  }

  #complete(index: number, transactionalId: string, done: (isOver: boolean) => void): void {
    let isAnswered = false
    const answer = (isOver: boolean): void => {
      if (isAnswered) return
      isAnswered = true
      done(isOver)
    }
    this.#runtime.write(
      index,
      (shard) => shard.complete(transactionalId, answer),
      // Whoever leads the partition now goes on with it.
      (result) => answer('response' in result || result.error === Errors.NOT_COORDINATOR),
    )
  }
}
