/**
 * Has the markers of decided transactions written by the leaders of their partitions (`TransactionMarkerChannelManager`,
 * `TransactionMarkerRequestCompletionHandler`).
 *
 *     a partition                                    then
 *     is not in the metadata                         it needs no marker
 *     has no leader that is alive                    is looked up again
 *     NONE, UNSUPPORTED_FOR_MESSAGE_FORMAT, …        has its marker, or can have none
 *     has seen a newer producer or coordinator       ends the job: another coordinator is at it
 *     refuses otherwise, or does not answer          is tried again by itself, wherever it is led then
 *
 * When no partition is left, the transaction is completed, which is tried until it works. A job belongs to one epoch of its coordinator:
 * when that is over, whoever loads the transaction next begins a job of its own, and what comes for the old one counts for nothing. No
 * partition is asked twice at one time: under transaction version 0 a second marker could end the transaction after.
 */

import type { Env } from '../../kernel/env.js'
import { type NodeName, parsePartition, partitionName } from '../../kernel/names.js'
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
  /** The marker of this partition is written, or not needed. */
  readonly written: (index: number, transactionalId: string, partition: string) => void
  /** Writes the end of the transaction; `isOver` false when it is to be tried again. */
  readonly complete: (index: number, transactionalId: string, done: (isOver: boolean) => void) => void
}

const RETRY_MS: Millis = 100

interface Job {
  readonly index: number
  readonly coordinatorEpoch: Epoch
  readonly markers: MarkersToWrite
  /** Partitions whose marker is not written. */
  readonly left: Set<string>
  /** Those that are tried again, until they are. */
  readonly again: Set<string>
  isFenced: boolean
}

export class TxnMarkers {
  readonly #env: Env
  readonly #options: TxnMarkersOptions

  constructor(env: Env, options: TxnMarkersOptions) {
    this.#env = env
    this.#options = options
  }

  write(index: number, markers: MarkersToWrite): void {
    const coordinatorEpoch = this.#options.coordinatorEpoch(index)
    if (coordinatorEpoch === undefined) return
    const left = new Set(markers.partitions)
    const job: Job = { index, coordinatorEpoch, markers, left, again: new Set(), isFenced: false }
    this.#send(job, [...left])
    if (left.size === 0) this.#complete(job)
  }

  /** Its coordinator still leads, in the same epoch. */
  #isCurrent(job: Job): boolean {
    return this.#options.coordinatorEpoch(job.index) === job.coordinatorEpoch
  }

  #send(job: Job, partitions: readonly string[]): void {
    const image = this.#options.metadata()
    const byLeader = new Map<NodeName, string[]>()
    for (const name of partitions) {
      const parsed = parsePartition(name)
      const partition = image.topicsByName.get(parsed?.topic ?? '')?.partitions.get(parsed?.index ?? -1)
      if (partition === undefined) {
        this.#written(job, name)
        continue
      }
      const leader = image.brokers.get(partition.leader)?.host
      if (leader === undefined) {
        this.#again(job, [name])
        continue
      }
      const names = byLeader.get(leader)
      if (names === undefined) byLeader.set(leader, [name])
      else names.push(name)
    }
    for (const [leader, names] of byLeader) this.#ask(job, leader, names)
  }

  #ask(job: Job, leader: NodeName, names: readonly string[]): void {
    const { coordinatorEpoch, markers } = job
    const { producerId, producerEpoch, isCommit } = markers
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
      if (!this.#isCurrent(job)) return
      if (result.ok) this.#answered(job, result.response)
      else this.#again(job, names)
    })
  }

  #answered(job: Job, response: Apis['WriteTxnMarkers']['response']): void {
    const again: string[] = []
    let isFenced = false
    for (const { name, partitions } of response.markers[0]?.topics ?? []) {
      for (const { partitionIndex, errorCode } of partitions) {
        const partition = partitionName(name, partitionIndex)
        if (isWritten(errorCode)) this.#written(job, partition)
        else if (isFencing(errorCode)) isFenced = true
        else again.push(partition)
      }
    }
    job.isFenced ||= isFenced
    // What others of this job are asked goes on; it is never completed.
    if (isFenced) return
    if (again.length > 0) this.#again(job, again)
    else if (job.left.size === 0) this.#complete(job)
  }

  #written(job: Job, partition: string): void {
    job.left.delete(partition)
    this.#options.written(job.index, job.markers.transactionalId, partition)
  }

  #again(job: Job, partitions: readonly string[]): void {
    const isWaiting = job.again.size > 0
    for (const partition of partitions) job.again.add(partition)
    if (isWaiting) return
    this.#env.after(RETRY_MS, () => {
      const due = [...job.again]
      job.again.clear()
      if (!this.#isCurrent(job)) return
      this.#send(job, due)
      if (job.left.size === 0) this.#complete(job)
    })
  }

  #complete(job: Job): void {
    if (job.isFenced) return
    this.#options.complete(job.index, job.markers.transactionalId, (isOver) => {
      if (isOver) return
      this.#env.after(RETRY_MS, () => {
        if (this.#isCurrent(job)) this.#complete(job)
      })
    })
  }
}

/** Its marker is there; or it does not know transactions, and has nothing to end. */
function isWritten(error: ErrorCode): boolean {
  return (
    error === Errors.NONE || error === Errors.UNSUPPORTED_FOR_MESSAGE_FORMAT || error === Errors.UNSUPPORTED_VERSION
  )
}

function isFencing(error: ErrorCode): boolean {
  return error === Errors.INVALID_PRODUCER_EPOCH || error === Errors.TRANSACTION_COORDINATOR_FENCED
}
