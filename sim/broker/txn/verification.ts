/**
 * Asks the coordinator whether partitions are part of a transaction, or adds them to it, before the first append of the transaction
 * to them (`AddPartitionsToTxnManager`, KIP-890).
 *
 * With `mayAdd` (transaction version 2) the coordinator adds them; else it only says. One request at a time goes to a coordinator; what
 * is asked meanwhile waits for the next one, together. There a transactional id has one place:
 *
 *     a newer question     takes the place; the one that waits hears INVALID_PRODUCER_EPOCH
 *     of the same epoch    takes the place; the one that waits hears NETWORK_EXCEPTION: its client asked again
 *     an older one         hears INVALID_PRODUCER_EPOCH at once
 */

import type { NodeName } from '../../kernel/names.js'
import { parsePartition, partitionName } from '../../kernel/names.js'
import type { MetadataImage } from '../../kraft/metadata/image.js'
import type { Apis } from '../../wire/apis.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import type { RequestClient } from '../../wire/request-client.js'
import { coordinatorPartition } from '../coordinator/internal-topics.js'
import { TRANSACTION_STATE_TOPIC } from '../topic-names.js'
import type { ProducerIdentity } from './txn-shard.js'

type AskedTransaction = Apis['AddPartitionsToTxn']['request']['transactions'][number]

interface Question {
  readonly transactionalId: string
  readonly identity: ProducerIdentity
  readonly partitions: readonly string[]
  readonly mayAdd: boolean
  readonly done: (errors: ReadonlyMap<string, ErrorCode>) => void
}

interface Coordinator {
  isAsked: boolean
  /** What the next request will ask, by transactional id. */
  readonly waiting: Map<string, Question>
}

export class TransactionVerifier {
  readonly #metadata: () => MetadataImage
  readonly #requests: Pick<RequestClient, 'send'>
  readonly #coordinators = new Map<NodeName, Coordinator>()

  constructor(metadata: () => MetadataImage, requests: Pick<RequestClient, 'send'>) {
    this.#metadata = metadata
    this.#requests = requests
  }

  /** `done` with what each partition's answer is; one that is not named may be appended to. */
  verify(
    transactionalId: string,
    identity: ProducerIdentity,
    partitions: readonly string[],
    mayAdd: boolean,
    done: (errors: ReadonlyMap<string, ErrorCode>) => void,
  ): void {
    const question: Question = { transactionalId, identity, partitions, mayAdd, done }
    const node = this.#leader(transactionalId)
    if (node === undefined) return answer(question, Errors.COORDINATOR_NOT_AVAILABLE)
    let coordinator = this.#coordinators.get(node)
    if (coordinator === undefined) {
      coordinator = { isAsked: false, waiting: new Map() }
      this.#coordinators.set(node, coordinator)
    }
    const { waiting } = coordinator
    const known = waiting.get(transactionalId)
    if (known !== undefined && known.identity.producerEpoch > identity.producerEpoch) {
      return answer(question, Errors.INVALID_PRODUCER_EPOCH)
    }
    // The newest comes last.
    waiting.delete(transactionalId)
    waiting.set(transactionalId, question)
    if (known !== undefined) {
      const isFenced = known.identity.producerEpoch < identity.producerEpoch
      answer(known, isFenced ? Errors.INVALID_PRODUCER_EPOCH : Errors.NETWORK_EXCEPTION)
    }
    this.#ask(node, coordinator)
  }

  #ask(node: NodeName, coordinator: Coordinator): void {
    if (coordinator.isAsked || coordinator.waiting.size === 0) return
    coordinator.isAsked = true
    const asked = [...coordinator.waiting.values()]
    coordinator.waiting.clear()
    const body: Apis['AddPartitionsToTxn']['request'] = {
      transactions: asked.map(transactionOf),
      v3AndBelowTransactionalId: '',
      v3AndBelowProducerId: 0,
      v3AndBelowProducerEpoch: 0,
      v3AndBelowTopics: [],
    }
    this.#requests.send(node, 'AddPartitionsToTxn', body, (result) => {
      coordinator.isAsked = false
      if (!result.ok) for (const question of asked) answer(question, Errors.NETWORK_EXCEPTION)
      else answerAll(asked, result.response)
      this.#ask(node, coordinator)
    })
  }

  #leader(transactionalId: string): NodeName | undefined {
    const image = this.#metadata()
    const partitions = image.topicsByName.get(TRANSACTION_STATE_TOPIC)?.partitions
    if (partitions === undefined) return undefined
    const leader = partitions.get(coordinatorPartition(transactionalId, partitions.size))?.leader ?? -1
    return image.brokers.get(leader)?.host
  }
}

function transactionOf({ transactionalId, identity, partitions, mayAdd }: Question): AskedTransaction {
  const topics = new Map<string, number[]>()
  for (const name of partitions) {
    const { topic, index } = parsePartition(name) ?? { topic: name, index: 0 }
    const indexes = topics.get(topic)
    if (indexes === undefined) topics.set(topic, [index])
    else indexes.push(index)
  }
  const { producerId, producerEpoch } = identity
  const named = [...topics].map(([name, indexes]) => ({ name, partitions: indexes }))
  return { transactionalId, producerId, producerEpoch, verifyOnly: !mayAdd, topics: named }
}

function answerAll(asked: readonly Question[], response: Apis['AddPartitionsToTxn']['response']): void {
  const { errorCode, resultsByTransaction } = response
  if (errorCode !== Errors.NONE) {
    // A client is not to hear that brokers may not ask one another.
    const error = errorCode === Errors.CLUSTER_AUTHORIZATION_FAILED ? Errors.INVALID_TXN_STATE : errorCode
    for (const question of asked) answer(question, error)
    return
  }
  for (const { transactionalId, topicResults } of resultsByTransaction) {
    const errors = new Map<string, ErrorCode>()
    for (const { name, resultsByPartition } of topicResults) {
      for (const { partitionIndex, partitionErrorCode } of resultsByPartition) {
        if (partitionErrorCode === Errors.NONE) continue
        errors.set(partitionName(name, partitionIndex), told(partitionErrorCode))
      }
    }
    asked.find((question) => question.transactionalId === transactionalId)?.done(errors)
  }
}

function answer({ partitions, done }: Question, error: ErrorCode): void {
  done(new Map(partitions.map((name) => [name, error])))
}

/** Producers know a fenced epoch by this name where they write. */
function told(error: ErrorCode): ErrorCode {
  return error === Errors.PRODUCER_FENCED ? Errors.INVALID_PRODUCER_EPOCH : error
}
