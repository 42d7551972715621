/**
 * The partitions that this broker hosts (Kafka's `allPartitions` and `HostedPartition`).
 *
 *   none     ──metadata assigns it─────────→ online
 *   online   ──deleted, or moved away──────→ none
 *   online   ──its log directory fails─────→ offline
 *   offline  ──deleted─────────────────────→ stays: what is on the failed directory is not known
 *   offline  ──another topic of that name──→ online
 *
 * What is not online answers with why: KAFKA_STORAGE_ERROR when offline, NOT_LEADER_OR_FOLLOWER when metadata has the
 * partition elsewhere, UNKNOWN_TOPIC_OR_PARTITION when it has none of that name.
 */

import type { MetadataImage } from '../kraft/metadata/image.js'
import { type ErrorCode, Errors } from '../wire/errors.js'
import type { Partition } from './partition.js'

interface Hosted {
  readonly partition: Partition
  isOnline: boolean
}

export class ReplicaRegistry {
  readonly #metadata: () => MetadataImage
  readonly #topics = new Map<string, (Hosted | undefined)[]>()

  constructor(metadata: () => MetadataImage) {
    this.#metadata = metadata
  }

  /** The partition, when it is online. */
  find(topic: string, index: number): Partition | undefined {
    const hosted = this.#topics.get(topic)?.[index]
    return hosted?.isOnline === true ? hosted.partition : undefined
  }

  /** The topic id of an offline partition; undefined when it is not offline. */
  offlineTopicId(topic: string, index: number): string | undefined {
    const hosted = this.#topics.get(topic)?.[index]
    return hosted === undefined || hosted.isOnline ? undefined : hosted.partition.topicId
  }

  /** Why `find` gives nothing. */
  errorOf(topic: string, index: number): ErrorCode {
    const hosted = this.#topics.get(topic)?.[index]
    if (hosted?.isOnline === false) return Errors.KAFKA_STORAGE_ERROR
    return this.inMetadata(topic, index) ? Errors.NOT_LEADER_OR_FOLLOWER : Errors.UNKNOWN_TOPIC_OR_PARTITION
  }

  inMetadata(topic: string, index: number): boolean {
    return this.#metadata().topicsByName.get(topic)?.partitions.has(index) === true
  }

  /** Hosts `partition`, online. */
  add(partition: Partition): void {
    let topic = this.#topics.get(partition.topic)
    if (topic === undefined) this.#topics.set(partition.topic, (topic = []))
    topic[partition.index] = { partition, isOnline: true }
  }

  markOffline(partition: Partition): void {
    const hosted = this.#topics.get(partition.topic)?.[partition.index]
    if (hosted?.partition === partition) hosted.isOnline = false
  }

  /** Forgets an online partition. */
  remove(partition: Partition): void {
    const topic = this.#topics.get(partition.topic)
    if (topic?.[partition.index]?.partition === partition) topic[partition.index] = undefined
  }

  /** Online partitions: topics in the order in which they came, then by index. */
  *online(): Generator<Partition> {
    for (const topic of this.#topics.values()) {
      for (const hosted of topic) if (hosted?.isOnline === true) yield hosted.partition
    }
  }
}
