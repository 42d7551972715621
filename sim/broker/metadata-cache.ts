/**
 * What a broker answers about the cluster, from the newest metadata image that it has applied (`KRaftMetadataCache`).
 *
 * Every question is answered from one image. A partition's leader is named whenever its registration is known, fenced or not;
 * otherwise LEADER_NOT_AVAILABLE. A replica is offline when its broker is unregistered, fenced or has lost the directory. Only
 * unfenced brokers are listed, and any of them may be given as "controller", since clients do not talk to the real one (in ZooKeeper mode
 * they do, and the real one is given).
 */

import type { Random } from '../kernel/random.js'
import type { Epoch, NodeId } from '../kernel/units.js'
import { type BrokerImage, EMPTY_IMAGE, type MetadataImage, type PartitionImage } from '../kraft/metadata/image.js'
import { LOST_DIRECTORY, MIGRATING_DIRECTORY, UNASSIGNED_DIRECTORY, ZERO_UUID } from '../kraft/metadata/records.js'
import type { Apis } from '../wire/apis.js'
import { Errors } from '../wire/errors.js'
import { isInternalTopic, isValidTopicName } from './topic-names.js'

export type MetadataTopic = Apis['Metadata']['response']['topics'][number]
type MetadataPartition = MetadataTopic['partitions'][number]
type DescribedTopics = Pick<Apis['DescribeTopicPartitions']['response'], 'topics' | 'nextCursor'>
type DescribedPartition = DescribedTopics['topics'][number]['partitions'][number]

/** Kafka's Integer.MIN_VALUE: authorized operations were not asked for. */
export const NO_AUTHORIZED_OPERATIONS = -2_147_483_648

export class MetadataCache {
  readonly #random: Random
  readonly #controllerId: (() => NodeId) | undefined
  #image: MetadataImage = EMPTY_IMAGE

  /** `random` picks the broker that is named as controller, unless `controllerId` knows it. */
  constructor(random: Random, controllerId?: () => NodeId) {
    this.#random = random
    this.#controllerId = controllerId
  }

  get image(): MetadataImage {
    return this.#image
  }

  setImage(image: MetadataImage): void {
    this.#image = image
  }

  hasTopic(name: string): boolean {
    return this.#image.topicsByName.has(name)
  }

  topicName(id: string): string | undefined {
    return this.#image.topicsById.get(id)?.name
  }

  allTopics(): readonly string[] {
    return [...this.#image.topicsByName.keys()]
  }

  /** Registered brokers by id, the fenced ones included. */
  brokers(): readonly BrokerImage[] {
    return [...this.#image.brokers.values()].sort((a, b) => a.id - b.id)
  }

  aliveBrokers(): readonly BrokerImage[] {
    return this.brokers().filter((broker) => !broker.fenced)
  }

  aliveBroker(id: NodeId): BrokerImage | undefined {
    const broker = this.#image.brokers.get(id)
    return broker === undefined || broker.fenced ? undefined : broker
  }

  /** The broker that clients are told to be the controller, or -1. */
  controllerId(): NodeId {
    if (this.#controllerId === undefined) return this.randomAliveBrokerId()
    const id = this.#controllerId()
    return this.aliveBroker(id) === undefined ? -1 : id
  }

  /** A random unfenced broker, or -1. */
  randomAliveBrokerId(): NodeId {
    const alive = this.aliveBrokers()
    return alive.length === 0 ? -1 : this.#random.pick(alive).id
  }

  /** The entry of a Metadata response, or undefined for an unknown topic. */
  topicMetadata(name: string): MetadataTopic | undefined {
    const topic = this.#image.topicsByName.get(name)
    if (topic === undefined) return undefined
    const partitions: MetadataPartition[] = []
    for (const [partitionIndex, partition] of topic.partitions) {
      partitions.push({
        errorCode: this.#image.brokers.has(partition.leader) ? Errors.NONE : Errors.LEADER_NOT_AVAILABLE,
        partitionIndex,
        ...this.#placement(partition),
      })
    }
    return {
      errorCode: Errors.NONE,
      name,
      topicId: topic.id,
      isInternal: isInternalTopic(name),
      partitions,
      topicAuthorizedOperations: NO_AUTHORIZED_OPERATIONS,
    }
  }

  /**
   * A page of DescribeTopicPartitions: `topics` in order, the first from `firstPartition` on, at most `limit` partitions. With
   * `skipUnknown`, unknown topics are left out instead of being answered with their error.
   */
  describeTopics(
    topics: readonly string[],
    firstPartition: (topic: string) => number,
    limit: number,
    skipUnknown: boolean,
  ): DescribedTopics {
    const described: DescribedTopics['topics'][number][] = []
    let remaining = limit
    for (const name of topics) {
      if (remaining === 0) return { topics: described, nextCursor: { topicName: name, partitionIndex: 0 } }
      const topic = this.#image.topicsByName.get(name)
      if (topic === undefined) {
        if (!skipUnknown) described.push(unknownTopic(name))
        continue
      }
      const start = firstPartition(name)
      const end = Math.min(topic.partitions.size, start + remaining)
      const partitions: DescribedPartition[] = []
      for (let index = start; index < end; index++) {
        const partition = topic.partitions.get(index)
        if (partition !== undefined) partitions.push(this.#describe(index, partition))
      }
      described.push({
        errorCode: Errors.NONE,
        name,
        topicId: topic.id,
        isInternal: isInternalTopic(name),
        partitions,
        topicAuthorizedOperations: NO_AUTHORIZED_OPERATIONS,
      })
      if (end < topic.partitions.size)
        return { topics: described, nextCursor: { topicName: name, partitionIndex: end } }
      remaining -= partitions.length
    }
    return { topics: described, nextCursor: null }
  }

  #describe(partitionIndex: number, partition: PartitionImage): DescribedPartition {
    return {
      errorCode: Errors.NONE,
      partitionIndex,
      ...this.#placement(partition),
      eligibleLeaderReplicas: partition.elr,
      lastKnownElr: partition.lastKnownElr,
    }
  }

  #placement(partition: PartitionImage): Placement {
    return {
      leaderId: this.#image.brokers.has(partition.leader) ? partition.leader : -1,
      leaderEpoch: partition.leaderEpoch,
      replicaNodes: partition.replicas,
      isrNodes: partition.isr,
      offlineReplicas: partition.replicas.filter((id, at) => this.#isOffline(id, partition.directories[at])),
    }
  }

  #isOffline(id: NodeId, directory: string | undefined): boolean {
    const broker = this.#image.brokers.get(id)
    return broker === undefined || broker.fenced || !hasOnlineDirectory(broker, directory)
  }
}

interface Placement {
  readonly leaderId: NodeId
  readonly leaderEpoch: Epoch
  readonly replicaNodes: readonly NodeId[]
  readonly isrNodes: readonly NodeId[]
  readonly offlineReplicas: readonly NodeId[]
}

/** `DirectoryId.isOnline`: special directories first; a broker that names none is taken to have it. */
function hasOnlineDirectory(broker: BrokerImage, directory: string | undefined): boolean {
  if (directory === undefined || directory === UNASSIGNED_DIRECTORY || directory === MIGRATING_DIRECTORY) return true
  if (directory === LOST_DIRECTORY) return false
  return broker.logDirs.length === 0 || broker.logDirs.includes(directory)
}

/** The error for a topic that the image does not hold. */
export function unknownTopicError(name: string): number {
  return isValidTopicName(name) ? Errors.UNKNOWN_TOPIC_OR_PARTITION : Errors.INVALID_TOPIC_EXCEPTION
}

function unknownTopic(name: string): DescribedTopics['topics'][number] {
  return {
    errorCode: unknownTopicError(name),
    name,
    topicId: ZERO_UUID,
    isInternal: isInternalTopic(name),
    partitions: [],
    topicAuthorizedOperations: NO_AUTHORIZED_OPERATIONS,
  }
}
