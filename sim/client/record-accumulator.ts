/**
 * Where records wait to be sent: a queue of batches for each partition (Kafka's RecordAccumulator).
 *
 * - A record joins the last batch of its partition, or begins a new one where it does not fit. Batches take their memory from
 *   `buffer.memory`; without memory the record is not taken.
 * - A node is ready when a partition that it leads has a batch that is full, has waited `linger.ms`, or must go for another
 *   reason (memory is short, flush, close, the end of a transaction); a batch that failed before waits for its backoff instead.
 * - Draining takes the first batch of each partition of a node, going round, up to the size of a request, and gives it its
 *   sequence. A partition that idempotence holds back ends the round, as in Kafka.
 * - A batch older than `delivery.timeout.ms` expires, wherever it is.
 */

import { assert } from '../kernel/errors.js'
import type { RecordId } from '../kernel/events.js'
import type { Random } from '../kernel/random.js'
import type { Bytes, Millis, NodeId } from '../kernel/units.js'
import type { NewRecord } from '../wire/record-batch.js'
import { ExponentialBackoff } from './exponential-backoff.js'
import type { ClusterNode, MetadataSnapshot, PartitionMetadata } from './metadata-snapshot.js'
import { PartitionQueue } from './partition-queue.js'
import { partitionLoad, StickyPartitioner } from './partitioner.js'
import { ProducerBatch, sizeUpperBound, type BatchWaiter } from './producer-batch.js'
import type { ProducerConfig } from './producer-config.js'
import type { SendCallback } from './send-reporter.js'
import type { TransactionManager } from './transaction-manager.js'

/** Any partition will do. */
export const ANY_PARTITION = -1

interface TopicQueues {
  readonly topic: string
  readonly partitioner: StickyPartitioner
  readonly queues: Map<number, PartitionQueue>
}

export interface ReadyCheck {
  readonly nodes: Set<ClusterNode>
  /** Milliseconds until something else may be ready; Infinity for none. */
  nextCheckMs: Millis
  /** Topics with batches that nobody leads. */
  readonly leaderless: Set<string>
}

interface NodeLatency {
  readyMs: Millis
  drainMs: Millis
}

export class RecordAccumulator {
  readonly #random: Random
  readonly #transactions: TransactionManager | undefined
  /** The same, of a transactional producer only. */
  readonly #transactional: TransactionManager | undefined
  readonly #batchSize: Bytes
  readonly #lingerMs: Millis
  readonly #deliveryTimeoutMs: Millis
  readonly #adaptive: boolean
  readonly #availabilityTimeoutMs: Millis
  readonly #retryBackoff: ExponentialBackoff
  readonly #topics = new Map<string, TopicQueues>()
  readonly #incomplete = new Set<ProducerBatch>()
  readonly #drainIndex = new Map<NodeId, number>()
  readonly #latencies = new Map<NodeId, NodeLatency>()
  #available: Bytes
  #flushes = 0
  /** Wall-clock time at which the next batch expires. */
  #nextExpiryMs: Millis = Infinity
  closed = false
  /** Somebody waits for memory: everything there is should go. */
  exhausted = false

  /** @param transactions undefined without idempotence */
  constructor(config: ProducerConfig, random: Random, transactions: TransactionManager | undefined) {
    this.#random = random
    this.#transactions = transactions
    this.#transactional = transactions?.isTransactional === true ? transactions : undefined
    this.#batchSize = Math.max(1, config['batch.size'])
    this.#lingerMs = config['linger.ms']
    this.#deliveryTimeoutMs = config['delivery.timeout.ms']
    this.#adaptive = config['partitioner.adaptive.partitioning.enable']
    this.#availabilityTimeoutMs = config['partitioner.availability.timeout.ms']
    this.#retryBackoff = new ExponentialBackoff(config['retry.backoff.ms'], config['retry.backoff.max.ms'], random)
    this.#available = config['buffer.memory']
  }

  get availableMemory(): Bytes {
    return this.#available
  }

  get deliveryTimeoutMs(): Millis {
    return this.#deliveryTimeoutMs
  }

  get nextExpiryMs(): Millis {
    return this.#nextExpiryMs
  }

  /** Some batch has not been answered for good. */
  get hasIncomplete(): boolean {
    return this.#incomplete.size > 0
  }

  /** Some batch waits in a queue. */
  get hasUndrained(): boolean {
    for (const topic of this.#topics.values())
      for (const queue of topic.queues.values()) if (queue.batches.length > 0) return true
    return false
  }

  /**
   * Takes a record for `partition`, or ANY_PARTITION. Returns whether the sender has something new to look at, or undefined
   * when there is no memory for it.
   */
  append(
    topicName: string,
    partition: number,
    record: NewRecord,
    id: RecordId,
    callback: SendCallback,
    metadata: MetadataSnapshot,
    nowMs: Millis,
  ): boolean | undefined {
    const topic = this.#topicOf(topicName)
    const sticky = partition === ANY_PARTITION
    let queue = this.#queueOf(topic, sticky ? topic.partitioner.current(metadata) : partition)
    // A switch may have been put off until all batches here were full.
    while (sticky && allFull(queue) && topic.partitioner.produced(0, metadata, true)) {
      queue = this.#queueOf(topic, topic.partitioner.current(metadata))
    }
    let batch = queue.batches[queue.batches.length - 1]
    const sizeBefore = batch?.sizeInBytes ?? 0
    let isNew = false
    let appendedBytes: Bytes
    if (batch !== undefined && batch.tryAppend(record, id, callback, nowMs)) {
      appendedBytes = batch.sizeInBytes - sizeBefore
    } else {
      batch?.closeForAppends()
      const size = Math.max(this.#batchSize, sizeUpperBound(record))
      if (size > this.#available) return undefined
      this.#available -= size
      batch = new ProducerBatch(queue, nowMs, size, size)
      const appended = batch.tryAppend(record, id, callback, nowMs)
      assert(appended, 'accumulator: an empty batch takes any record')
      queue.batches.push(batch)
      this.#incomplete.add(batch)
      isNew = true
      appendedBytes = batch.sizeInBytes
    }
    if (sticky) topic.partitioner.produced(appendedBytes, metadata, allFull(queue))
    if (this.#transactional !== undefined) this.#transactional.addPartition(queue.name)
    return isNew || queue.batches.length > 1 || batch.isFull
  }

  /** Which nodes have something to be sent. */
  ready(metadata: MetadataSnapshot, nowMs: Millis): ReadyCheck {
    const check: ReadyCheck = { nodes: new Set(), nextCheckMs: Infinity, leaderless: new Set() }
    for (const topic of this.#topics.values()) this.#checkTopic(topic, metadata, nowMs, check)
    return check
  }

  /** Notes that a node with something to send could (`drained`) or could not be sent to. */
  sawNode(node: NodeId, nowMs: Millis, drained: boolean): void {
    if (this.#availabilityTimeoutMs <= 0) return
    const latency = this.#latencies.get(node) ?? { readyMs: nowMs, drainMs: nowMs }
    if (drained) latency.drainMs = nowMs
    latency.readyMs = nowMs
    this.#latencies.set(node, latency)
  }

  /** Takes what should go to `node` in one request of at most `maxBytes`, and gives it its sequences. */
  drain(metadata: MetadataSnapshot, node: ClusterNode, maxBytes: Bytes, nowMs: Millis): ProducerBatch[] {
    const drained: ProducerBatch[] = []
    const partitions = metadata.ledBy(node.id)
    if (partitions.length === 0) return drained
    let size = 0
    const start = (this.#drainIndex.get(node.id) ?? 0) % partitions.length
    for (let i = 0; i < partitions.length; i++) {
      const index = (start + i) % partitions.length
      const partition = partitions[index] as PartitionMetadata
      this.#drainIndex.set(node.id, index)
      const queue = this.#topics.get(partition.topic)?.queues.get(partition.index)
      if (queue === undefined || queue.muted) continue
      const first = queue.batches[0]
      if (first === undefined) continue
      first.sawLeaderEpoch(partition.leaderEpoch)
      if (first.backsOff(nowMs)) continue
      if (size + first.sizeInBytes > maxBytes && drained.length > 0) break
      if (this.#transactions?.holdsBack(queue, first) === true) break
      queue.batches.shift()
      if (this.#transactions !== undefined && !first.hasSequence) this.#transactions.assign(first)
      size += first.close().sizeInBytes
      drained.push(first)
    }
    return drained
  }

  /** Removes what is too old from the queues. Call `resetExpiry` before. */
  expired(nowMs: Millis): ProducerBatch[] {
    const expired: ProducerBatch[] = []
    for (const topic of this.#topics.values()) {
      for (const queue of topic.queues.values()) {
        for (let first = queue.batches[0]; first !== undefined; first = queue.batches[0]) {
          if (!first.hasReachedDeliveryTimeout(this.#deliveryTimeoutMs, nowMs)) {
            this.noteExpiry(first)
            break
          }
          queue.batches.shift()
          expired.push(first)
        }
      }
    }
    return expired
  }

  resetExpiry(): void {
    this.#nextExpiryMs = Infinity
  }

  noteExpiry(batch: ProducerBatch): void {
    this.#nextExpiryMs = Math.min(this.#nextExpiryMs, batch.createdMs + this.#deliveryTimeoutMs)
  }

  /** Puts a batch that failed back, to be tried again after its backoff. */
  reenqueue(batch: ProducerBatch, nowMs: Millis): void {
    batch.reenqueued(nowMs)
    batch.retryBackoffMs = this.#retryBackoff.backoff(batch.attempts - 1)
    this.#putBack(batch)
  }

  /** Replaces a batch that was too large for the broker by smaller ones at the head of its queue. */
  splitAndReenqueue(batch: ProducerBatch): void {
    const parts = batch.split(this.#batchSize)
    for (const part of parts.reverse()) {
      this.#incomplete.add(part)
      if (this.#transactions !== undefined) part.queue.sequences.add(part)
      this.#putBack(part)
    }
  }

  /** Gives back the memory of a batch that is done. */
  deallocate(batch: ProducerBatch): void {
    if (this.#incomplete.delete(batch)) this.#available += batch.allocated
  }

  /** Everything there is becomes ready; `done` once all of it is answered. */
  flush(done: () => void): void {
    this.#flushes++
    const waiter: BatchWaiter = {
      pending: this.#incomplete.size,
      done: () => {
        this.#flushes--
        done()
      },
    }
    for (const batch of this.#incomplete) (batch.waiters ??= []).push(waiter)
    if (waiter.pending === 0) waiter.done()
  }

  /** Every batch without an answer, out of its queue; the caller fails them. */
  abandon(): ProducerBatch[] {
    for (const topic of this.#topics.values()) for (const queue of topic.queues.values()) queue.batches.length = 0
    return [...this.#incomplete]
  }

  /** Every batch that was never drained, out of its queue; the caller fails them. */
  abandonUndrained(): ProducerBatch[] {
    const undrained = [...this.#incomplete].filter((batch) => !batch.hasSequence)
    for (const { queue } of undrained) {
      const kept = queue.batches.filter((batch) => batch.hasSequence)
      queue.batches.length = 0
      queue.batches.push(...kept)
    }
    return undrained
  }

  /** Every partition that was ever sent to. */
  *queues(): Generator<PartitionQueue> {
    for (const topic of this.#topics.values()) yield* topic.queues.values()
  }

  #topicOf(name: string): TopicQueues {
    let topic = this.#topics.get(name)
    if (topic === undefined) {
      topic = {
        topic: name,
        partitioner: new StickyPartitioner(name, this.#batchSize, this.#random),
        queues: new Map(),
      }
      this.#topics.set(name, topic)
    }
    return topic
  }

  #queueOf(topic: TopicQueues, index: number): PartitionQueue {
    let queue = topic.queues.get(index)
    if (queue === undefined) {
      queue = new PartitionQueue(topic.topic, index)
      topic.queues.set(index, queue)
    }
    return queue
  }

  #checkTopic(topic: TopicQueues, metadata: MetadataSnapshot, nowMs: Millis, check: ReadyCheck): void {
    // Shares make sense only when every partition has a queue.
    const weigh =
      this.#adaptive && topic.queues.size > 1 && topic.queues.size >= metadata.partitionsOf(topic.topic).length
    const lengths: number[] = weigh ? [] : NOTHING
    const indexes: number[] = weigh ? [] : NOTHING
    for (const queue of topic.queues.values()) {
      const partition = metadata.partition(topic.topic, queue.index)
      const leader = partition === undefined ? undefined : metadata.leaderOf(partition)
      const first = queue.batches[0]
      if (weigh && leader !== undefined && (first === undefined || !this.#isSlow(leader.id))) {
        lengths.push(queue.batches.length)
        indexes.push(queue.index)
      }
      if (first === undefined) continue
      if (partition !== undefined) first.sawLeaderEpoch(partition.leaderEpoch)
      if (leader === undefined) check.leaderless.add(topic.topic)
      else this.#checkQueue(queue, first, leader, nowMs, check)
    }
    topic.partitioner.updateLoad(weigh ? partitionLoad(lengths, indexes, topic.queues.size) : undefined)
  }

  #checkQueue(
    queue: PartitionQueue,
    first: ProducerBatch,
    leader: ClusterNode,
    nowMs: Millis,
    check: ReadyCheck,
  ): void {
    if (queue.muted) return
    const backingOff = first.backsOff(nowMs)
    const waitMs = backingOff ? first.retryBackoffMs : this.#lingerMs
    const waitedMs = first.waitedMs(nowMs)
    const sendable =
      queue.batches.length > 1 ||
      first.isFull ||
      waitedMs >= waitMs ||
      this.exhausted ||
      this.closed ||
      this.#flushes > 0 ||
      this.#transactional?.isCompleting === true
    if (sendable && !backingOff) check.nodes.add(leader)
    else check.nextCheckMs = Math.min(check.nextCheckMs, Math.max(waitMs - waitedMs, 0))
  }

  /** The node has taken nothing for too long (KIP-794). */
  #isSlow(node: NodeId): boolean {
    if (this.#availabilityTimeoutMs <= 0) return false
    const latency = this.#latencies.get(node)
    return latency !== undefined && latency.readyMs - latency.drainMs > this.#availabilityTimeoutMs
  }

  /** A batch with a sequence goes before the first one with a higher sequence, or with none. */
  #putBack(batch: ProducerBatch): void {
    const batches = batch.queue.batches
    let at = 0
    if (this.#transactions !== undefined) {
      assert(batch.hasSequence, 'accumulator: a batch that was sent has a sequence', { partition: batch.queue.name })
      for (; at < batches.length; at++) {
        const other = batches[at] as ProducerBatch
        if (!other.hasSequence || other.baseSequence >= batch.baseSequence) break
      }
    }
    batches.splice(at, 0, batch)
  }
}

/** Never written to. */
const NOTHING: number[] = []

function allFull(queue: PartitionQueue): boolean {
  const last = queue.batches[queue.batches.length - 1]
  return last === undefined || last.isFull
}
