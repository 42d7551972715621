/**
 * A leader that answers as a test says: b1 of a cluster in which only b2 is real.
 *
 * Every request that b2 sends waits in `waiting` until the test answers it; `fetches` has all of them.
 */

import type { PartitionData } from '../../../sim/wire/messages/fetch.js'
import { type IncomingRequest, type IncomingRequestOf, serve } from '../../../sim/wire/request-server.js'
import type { RecordBatch } from '../../../sim/wire/record-batch.js'
import { batch, type ClusterOptions, makeCluster, type TestCluster, TOPIC_ID } from './harness.js'

export class ScriptedLeader {
  readonly cluster: TestCluster
  readonly fetches: IncomingRequestOf<'Fetch'>[] = []
  readonly lists: IncomingRequestOf<'ListOffsets'>[] = []
  #sessionId = 0

  constructor(options: ClusterOptions = {}) {
    this.cluster = makeCluster({ brokers: 2, running: [2], replicas: [[1, 2]], ...options })
    this.cluster.world.setBoot('b1', (env) => {
      serve(env, (request) => this.#take(request))
      return { stop: (done) => done() }
    })
    this.cluster.world.start('b1')
    // The first attempt found nobody; the fetcher tries again after its backoff.
    this.cluster.pass(1_100)
  }

  get fetch(): IncomingRequestOf<'Fetch'> {
    const last = this.fetches[this.fetches.length - 1]
    if (last === undefined) throw new Error('no fetch came')
    return last
  }

  /** Partitions named in the latest fetch: `index@offset epoch/lastFetchedEpoch`. */
  get asked(): string[] {
    return this.fetch.body.topics.flatMap((topic) =>
      topic.partitions.map((p) => `${p.partition}@${p.fetchOffset} ${p.currentLeaderEpoch}/${p.lastFetchedEpoch}`),
    )
  }

  /** Answers the latest fetch with something for partition 0, in a session, and lets 10 ms pass. */
  answer(data: Partial<PartitionData>, passMs = 10): void {
    const { sessionEpoch, sessionId } = this.fetch.body
    if (sessionEpoch === 0) this.#sessionId++
    const responses = [{ topic: '', topicId: TOPIC_ID, partitions: [{ ...NOTHING, ...data }] }]
    this.fetch.respond({
      throttleTimeMs: 0,
      errorCode: 0,
      sessionId: sessionEpoch === 0 ? this.#sessionId : sessionId,
      responses,
      nodeEndpoints: [],
    })
    this.cluster.pass(passMs)
  }

  /** Answers the latest ListOffsets. */
  list(offset: number, errorCode = 0): void {
    const request = this.lists[this.lists.length - 1]
    const partitions = [{ partitionIndex: 0, errorCode, timestamp: -1, offset, leaderEpoch: 0 }]
    request?.respond({ throttleTimeMs: 0, topics: [{ name: 'orders', partitions }] })
    this.cluster.pass(10)
  }

  /** Gives b2 records of these epochs, one each, from offset 0 on. */
  replicate(...epochs: number[]): void {
    const records = epochs.map((epoch, offset) => record(offset, epoch))
    this.answer({ records, highWatermark: 0 })
  }

  #take(request: IncomingRequest): void {
    if (request.api === 'Fetch') this.fetches.push(request)
    else if (request.api === 'ListOffsets') this.lists.push(request)
  }
}

/** One record at `offset`, of `epoch`. */
export function record(offset: number, epoch: number): RecordBatch {
  return batch([`v${offset}`]).withOffsets(offset, epoch)
}

const NOTHING: PartitionData = {
  partitionIndex: 0,
  errorCode: 0,
  highWatermark: 0,
  lastStableOffset: 0,
  logStartOffset: 0,
  divergingEpoch: { epoch: -1, endOffset: -1 },
  currentLeader: { leaderId: -1, leaderEpoch: -1 },
  snapshotId: { endOffset: -1, epoch: -1 },
  abortedTransactions: null,
  preferredReadReplica: -1,
  records: [],
}
