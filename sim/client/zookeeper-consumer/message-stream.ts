/**
 * What a consumer's fetchers bring to one thread of the application, and how that takes it (`PartitionTopicInfo`, `FetchedDataChunk`, `KafkaStream`,
 * `ConsumerIterator`).
 *
 * A stream's queue takes `queued.max.message.chunks` chunks, each what one fetch has brought of one partition; a fetcher that brings more waits.
 * The offset of a partition counts as consumed with the record that is handed over, before the application has worked on it. Chunks that
 * were queued before a position was reset are handed over all the same, as far as they are not below it.
 */

import type { Env } from '../../kernel/env.js'
import type { Offset } from '../../kernel/units.js'
import type { Records } from '../../wire/record-batch.js'
import type { Task } from '../../zookeeper/kafka/task.js'
import type { ConsumedRecord } from '../completed-fetch.js'
import { idOfRecord } from '../workload-record.js'
import type { OwnedPartition } from './partition-assignors.js'
import { Signal } from './thread.js'

/** A partition that is owned: where its fetcher and its application are. -1: not known yet. */
export class PartitionTopicInfo {
  readonly topic: string
  readonly index: number
  readonly name: string
  readonly stream: MessageStream
  consumedOffset: Offset
  fetchedOffset: Offset
  /** The position was set anew, and chunks that were queued before may come yet. */
  wasReset = false

  constructor({ topic, index, name }: OwnedPartition, stream: MessageStream, offset: Offset) {
    this.topic = topic
    this.index = index
    this.name = name
    this.stream = stream
    this.consumedOffset = offset
    this.fetchedOffset = offset
  }

  /** Waits while the queue is full. */
  *enqueue(batches: Records): Task<void> {
    const last = batches[batches.length - 1]
    if (last === undefined) return
    if (batches.some((batch) => !batch.isControl)) {
      yield* this.stream.put({ info: this, batches, fetchOffset: this.fetchedOffset })
    }
    this.fetchedOffset = last.nextOffset
  }
}

interface Chunk {
  readonly info: PartitionTopicInfo
  readonly batches: Records
  readonly fetchOffset: Offset
}

/** The records of a chunk, up to a batch that does not check. */
interface Opened {
  readonly info: PartitionTopicInfo
  readonly records: readonly ConsumedRecord[]
  next: number
  readonly isCorrupt: boolean
}

/** What the iterator gives: records, nothing at the moment, the end, or a failure for good. */
export type Taken =
  | { readonly type: 'records'; readonly records: readonly ConsumedRecord[] }
  | { readonly type: 'nothing' | 'end' }
  | { readonly type: 'failed'; readonly partition: string }

const NOTHING: Taken = { type: 'nothing' }
const END: Taken = { type: 'end' }

export class MessageStream {
  readonly #env: Env
  readonly #capacity: number
  #queue: Chunk[] = []
  readonly #hasRoom = new Signal()
  #current: Opened | undefined
  #isOver = false
  /** The application waits, and wants to know when there is something to take. */
  #onMore: (() => void) | undefined

  constructor(env: Env, capacity: number) {
    this.#env = env
    this.#capacity = capacity
  }

  /** Calls once, by a later event, when there may be something to take. */
  onMore(listener: () => void): void {
    this.#onMore = listener
    if (this.#queue.length > 0 || this.#isOver) this.#tell()
  }

  /** All records of the chunk that was begun were handed over. */
  get isBetweenChunks(): boolean {
    return this.#current === undefined || this.#current.next >= this.#current.records.length
  }

  /** Up to `max` records of one chunk, as that many calls of the iterator would give them without waiting. */
  take(max: number): Taken {
    if (this.#isOver) return END
    const opened = this.#opened()
    if (opened === undefined) return NOTHING
    const { info } = opened
    const records: ConsumedRecord[] = []
    for (let record = this.#nextOf(opened); record !== undefined; record = this.#nextOf(opened)) {
      records.push(record)
      if (records.length >= max) break
    }
    if (records.length === 0) return { type: 'failed', partition: info.name }
    this.#env.emit('consume.polled', {
      partition: info.name,
      offsets: records.map(({ offset }) => offset),
      ids: records.map(idOfRecord),
      leaderEpochs: records.map(({ leaderEpoch }) => leaderEpoch),
    })
    return { type: 'records', records }
  }

  /** Waits while the queue is full. */
  *put(chunk: Chunk): Task<void> {
    while (this.#queue.length >= this.#capacity) yield* this.#hasRoom.wait()
    this.#queue.push(chunk)
    this.#tell()
  }

  /** Drops what is queued, and the rest of the chunk that the application is at. */
  clear(): void {
    this.#queue = []
    this.#current = undefined
    this.#hasRoom.all()
  }

  /** The application is told that nothing comes any more. */
  shutdown(): void {
    this.#queue = []
    this.#isOver = true
    this.#tell()
  }

  #tell(): void {
    const listener = this.#onMore
    if (listener === undefined) return
    this.#onMore = undefined
    this.#env.soon(listener)
  }

  /** The chunk at hand while it has records, else the next one that has any. */
  #opened(): Opened | undefined {
    const current = this.#current
    if (current !== undefined && (current.next < current.records.length || current.isCorrupt)) return current
    this.#current = undefined
    for (let chunk = this.#queue.shift(); chunk !== undefined; chunk = this.#queue.shift()) {
      this.#hasRoom.all()
      const { info, fetchOffset } = chunk
      if (info.consumedOffset < fetchOffset) {
        if (info.wasReset) this.#moved(info, fetchOffset)
        info.consumedOffset = fetchOffset
      }
      const { records, isCorrupt } = recordsOf(chunk)
      if (records.length === 0 && !isCorrupt) continue
      this.#current = { info, records, isCorrupt, next: 0 }
      return this.#current
    }
    return undefined
  }

  /** The last record of a chunk is never below what counts as consumed: it is handed over whatever it is. */
  #nextOf(opened: Opened): ConsumedRecord | undefined {
    const { info, records } = opened
    let record = records[opened.next]
    if (record === undefined) return undefined
    opened.next++
    while (record.offset < info.consumedOffset && opened.next < records.length) {
      record = records[opened.next++] as ConsumedRecord
    }
    if (record.offset < info.consumedOffset && info.wasReset) this.#moved(info, record.offset)
    info.consumedOffset = record.offset + 1
    return record
  }

  /** It goes on elsewhere than where it was reset to. */
  #moved(info: PartitionTopicInfo, to: Offset): void {
    const { name: partition, consumedOffset: from } = info
    this.#env.emit('consume.position', { partition, from, to, reason: 'reset' })
  }
}

/** Those from the offset on that was asked for: brokers left others out where they converted batches for old consumers. */
function recordsOf({ info, batches, fetchOffset }: Chunk): { records: ConsumedRecord[]; isCorrupt: boolean } {
  const records: ConsumedRecord[] = []
  for (const batch of batches) {
    if (batch.isControl) continue
    if (!batch.isValid()) return { records, isCorrupt: true }
    for (const { offsetDelta, timestamp, key, value, headers } of batch.records()) {
      const { topic, index } = info
      const offset = batch.baseOffset + offsetDelta
      if (offset < fetchOffset) continue
      records.push({ topic, index, offset, leaderEpoch: batch.partitionLeaderEpoch, timestamp, key, value, headers })
    }
  }
  return { records, isCorrupt: false }
}
