/**
 * Asks the coordinator whether partitions are part of a transaction, or adds them to it, before the first append of the transaction
 * to them (`AddPartitionsToTxnManager`, KIP-890).
 *
 * With `mayAdd` (transaction version 2) the coordinator adds them; else it only says. What cannot be found out now is NOT_ENOUGH_REPLICAS
 * for old clients, which retry, and the error itself where clients know it.
 */

import type { Env } from '../../kernel/env.js'
import type { NodeName } from '../../kernel/names.js'
import { parsePartition } from '../../kernel/names.js'
import type { Millis } from '../../kernel/units.js'
import type { MetadataImage } from '../../kraft/metadata/image.js'
import type { Apis } from '../../wire/apis.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import type { RequestClient } from '../../wire/request-client.js'
import { coordinatorPartition } from '../coordinator/internal-topics.js'
import { TRANSACTION_STATE_TOPIC } from '../topic-names.js'
import type { ProducerIdentity } from './txn-shard.js'

/** A transaction that is just ending may be over in a moment: `add.partitions.to.txn.retry.backoff.ms`, and its bound. */
const RETRY_MS: Millis = 20
const RETRY_FOR_MS: Millis = 100

export class TransactionVerifier {
  readonly #env: Env
  readonly #metadata: () => MetadataImage
  readonly #requests: RequestClient

  constructor(env: Env, metadata: () => MetadataImage, requests: RequestClient) {
    this.#env = env
    this.#metadata = metadata
    this.#requests = requests
  }

  /** `done` with what each partition's answer is. */
  verify(
    transactionalId: string,
    { producerId, producerEpoch }: ProducerIdentity,
    partitions: readonly string[],
    mayAdd: boolean,
    done: (errors: ReadonlyMap<string, ErrorCode>) => void,
    triesLeft = RETRY_FOR_MS / RETRY_MS,
  ): void {
    const all = (error: ErrorCode): void => done(new Map(partitions.map((name) => [name, translated(error, mayAdd)])))
    const coordinator = this.#coordinator(transactionalId)
    if (coordinator === undefined) return all(Errors.COORDINATOR_NOT_AVAILABLE)
    const topics = new Map<string, number[]>()
    for (const name of partitions) {
      const { topic, index } = parsePartition(name) ?? { topic: name, index: 0 }
      topics.set(topic, [...(topics.get(topic) ?? []), index])
    }
    const body: Apis['AddPartitionsToTxn']['request'] = {
      transactions: [
        {
          transactionalId,
          producerId,
          producerEpoch,
          verifyOnly: !mayAdd,
          topics: [...topics].map(([name, indexes]) => ({ name, partitions: indexes })),
        },
      ],
      v3AndBelowTransactionalId: '',
      v3AndBelowProducerId: 0,
      v3AndBelowProducerEpoch: 0,
      v3AndBelowTopics: [],
    }
    this.#requests.send(coordinator, 'AddPartitionsToTxn', body, (result) => {
      if (!result.ok) return all(Errors.NETWORK_EXCEPTION)
      const { errorCode, resultsByTransaction } = result.response
      if (errorCode !== Errors.NONE) return all(errorCode)
      const topicResults = resultsByTransaction[0]?.topicResults ?? []
      const isEnding = topicResults.some(({ resultsByPartition }) =>
        resultsByPartition.some(({ partitionErrorCode }) => partitionErrorCode === Errors.CONCURRENT_TRANSACTIONS),
      )
      if (mayAdd && isEnding && triesLeft > 0) {
        this.#env.after(RETRY_MS, () =>
          this.verify(transactionalId, { producerId, producerEpoch }, partitions, mayAdd, done, triesLeft - 1),
        )
        return
      }
      const errors = new Map<string, ErrorCode>()
      for (const { name, resultsByPartition } of topicResults) {
        for (const { partitionIndex, partitionErrorCode } of resultsByPartition) {
          errors.set(`${name}-${partitionIndex}`, translated(partitionErrorCode, mayAdd))
        }
      }
      done(errors)
    })
  }

  #coordinator(transactionalId: string): NodeName | undefined {
    const image = this.#metadata()
    const partitions = image.topicsByName.get(TRANSACTION_STATE_TOPIC)?.partitions
    if (partitions === undefined) return undefined
    const leader = partitions.get(coordinatorPartition(transactionalId, partitions.size))?.leader ?? -1
    return image.brokers.get(leader)?.host
  }
}

function translated(error: ErrorCode, mayAdd: boolean): ErrorCode {
  switch (error) {
    case Errors.NETWORK_EXCEPTION:
    case Errors.COORDINATOR_LOAD_IN_PROGRESS:
    case Errors.COORDINATOR_NOT_AVAILABLE:
    case Errors.NOT_COORDINATOR:
      return Errors.NOT_ENOUGH_REPLICAS
    case Errors.CONCURRENT_TRANSACTIONS:
      return mayAdd ? error : Errors.NOT_ENOUGH_REPLICAS
    // What is written then cannot be told from a fenced producer's.
    case Errors.PRODUCER_FENCED:
      return Errors.INVALID_PRODUCER_EPOCH
    default:
      return error
  }
}
