/**
 * Has the markers of decided transactions written by the leaders of their partitions (`TransactionMarkerChannelManager`).
 *
 * A request goes to each leader; partitions whose leader is unknown or refuses for a reason that passes are tried again, wherever they are
 * led then. A partition that is gone needs no marker. One that has seen a newer coordinator or producer epoch ends the attempt: another
 * coordinator is at it. When nothing is left, the transaction is completed, which is tried until it works or this is the coordinator no more.
 */

import type { Env } from '../../kernel/env.js'
import { type NodeName, parsePartition } from '../../kernel/names.js'
import type { Epoch, Millis } from '../../kernel/units.js'
import type { MetadataImage } from '../../kraft/metadata/image.js'
import type { Apis } from '../../wire/apis.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import type { RequestClient } from '../../wire/request-client.js'
import type { MarkersToWrite } from './txn-shard.js'

export interface TxnMarkersOptions {
  readonly metadata: () => MetadataImage
  readonly requests: RequestClient
  /** Leader epoch of partition `index` of `__transaction_state`; undefined when it is not led here. */
  readonly coordinatorEpoch: (index: number) => Epoch | undefined
  /** Writes the end of the transaction; `isOver` false when it is to be tried again. */
  readonly complete: (index: number, markers: MarkersToWrite, done: (isOver: boolean) => void) => void
}

const RETRY_MS: Millis = 100

interface Job {
  readonly index: number
  readonly markers: MarkersToWrite
  readonly left: Set<string>
  isRetrying: boolean
}

export class TxnMarkers {
  readonly #env: Env
  readonly #options: TxnMarkersOptions

  constructor(env: Env, options: TxnMarkersOptions) {
    this.#env = env
    this.#options = options
  }

  write(index: number, markers: MarkersToWrite): void {
    this.#send({ index, markers, left: new Set(markers.partitions), isRetrying: false })
  }

  #send(job: Job): void {
    const epoch = this.#options.coordinatorEpoch(job.index)
    if (epoch === undefined) return
    const image = this.#options.metadata()
    const byLeader = new Map<NodeName, string[]>()
    for (const name of [...job.left]) {
      const parsed = parsePartition(name)
      const partition = image.topicsByName.get(parsed?.topic ?? '')?.partitions.get(parsed?.index ?? -1)
      if (partition === undefined) {
        job.left.delete(name)
        continue
      }
      const leader = image.brokers.get(partition.leader)?.host
      if (leader === undefined) {
        this.#again(job)
        continue
      }
      const names = byLeader.get(leader)
      if (names === undefined) byLeader.set(leader, [name])
      else names.push(name)
    }
    if (job.left.size === 0) return this.#complete(job)
    for (const [leader, names] of byLeader) this.#ask(job, leader, names, epoch)
  }

  #ask(job: Job, leader: NodeName, names: readonly string[], coordinatorEpoch: Epoch): void {
    const { producerId, producerEpoch, isCommit } = job.markers
    const topics = new Map<string, number[]>()
    for (const name of names) {
      const { topic, index } = parsePartition(name) ?? { topic: name, index: 0 }
      const indexes = topics.get(topic)
      if (indexes === undefined) topics.set(topic, [index])
      else indexes.push(index)
    }
    const body: Apis['WriteTxnMarkers']['request'] = {
      markers: [
        {
          producerId,
          producerEpoch,
          transactionResult: isCommit,
          topics: [...topics].map(([name, partitionIndexes]) => ({ name, partitionIndexes })),
          coordinatorEpoch,
        },
      ],
    }
    this.#options.requests.send(leader, 'WriteTxnMarkers', body, (result) => {
      if (result.ok) this.#answered(job, result.response)
      else this.#again(job)
    })
  }

  #answered(job: Job, response: Apis['WriteTxnMarkers']['response']): void {
    for (const { name, partitions } of response.markers[0]?.topics ?? []) {
      for (const { partitionIndex, errorCode } of partitions) {
        if (errorCode === Errors.NONE) job.left.delete(`${name}-${partitionIndex}`)
        else if (isFencing(errorCode)) return
        else this.#again(job)
      }
    }
    if (job.left.size === 0) this.#complete(job)
  }

  #again(job: Job): void {
    if (job.isRetrying) return
    job.isRetrying = true
    this.#env.after(RETRY_MS, () => {
      job.isRetrying = false
      this.#send(job)
    })
  }

  #complete(job: Job): void {
    this.#options.complete(job.index, job.markers, (isOver) => {
      if (!isOver) this.#again(job)
    })
  }
}

function isFencing(error: ErrorCode): boolean {
  return error === Errors.INVALID_PRODUCER_EPOCH || error === Errors.TRANSACTION_COORDINATOR_FENCED
}
