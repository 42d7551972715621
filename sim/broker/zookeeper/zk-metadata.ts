/**
 * What a broker knows of the cluster in ZooKeeper mode (`ZkMetadataCache`): what UpdateMetadata told it, and the settings that it read itself, as the
 * same image that a KRaft broker makes from the metadata log.
 *
 * Live brokers and the controller are replaced by every request; partitions are added, changed, or (leader -2: the topic is being deleted) removed.
 * A partition's epoch is the version of its state znode. Broker epochs are not told. A replica that the controller says is offline has the
 * lost directory, so that it is told as offline.
 */

import type { NodeId } from '../../kernel/units.js'
import {
  type BrokerImage,
  EMPTY_IMAGE,
  type MetadataImage,
  type PartitionImage,
  type TopicImage,
} from '../../kraft/metadata/image.js'
import { METADATA_VERSION_FEATURE, parseMetadataVersion } from '../../kraft/metadata/metadata-version.js'
import { LOST_DIRECTORY, UNASSIGNED_DIRECTORY, ZERO_UUID } from '../../kraft/metadata/records.js'
import type { UpdateMetadataPartitionState, UpdateMetadataRequest } from '../../wire/messages/update-metadata.js'
import { LEADER_DURING_DELETE } from '../../zookeeper/kafka/znodes.js'
import { UNTOLD_BROKER_EPOCH } from '../replica.js'

/** The protocol that brokers of Kafka 3.9 speak among themselves. */
const PROTOCOL = parseMetadataVersion('3.9').featureLevel

export interface MetadataUpdate {
  readonly image: MetadataImage
  /** Topics of which something was told. */
  readonly topics: ReadonlySet<string>
  /** Topics that are gone. */
  readonly deletedTopics: ReadonlySet<string>
}

export class ZkMetadata {
  #image: MetadataImage = { ...EMPTY_IMAGE, features: new Map([[METADATA_VERSION_FEATURE, PROTOCOL]]) }
  #controllerId: NodeId = -1

  get image(): MetadataImage {
    return this.#image
  }

  /** As UpdateMetadata said last; -1: nobody has said. */
  get controllerId(): NodeId {
    return this.#controllerId
  }

  update(request: UpdateMetadataRequest): MetadataUpdate {
    const before = this.#image
    this.#controllerId = request.controllerId
    const byName = new Map(before.topicsByName)
    const byId = new Map(before.topicsById)
    const deletedTopics = new Set<string>()
    for (const { topicName, topicId, partitionStates } of request.topicStates) {
      const known = byName.get(topicName)
      const partitions = new Map(known !== undefined && known.id === topicId ? known.partitions : [])
      for (const state of partitionStates) {
        if (state.leader === LEADER_DURING_DELETE) partitions.delete(state.partitionIndex)
        else partitions.set(state.partitionIndex, partitionImage(state))
      }
      if (known !== undefined) byId.delete(known.id)
      if (partitions.size === 0) {
        if (byName.delete(topicName)) deletedTopics.add(topicName)
        continue
      }
      const topic: TopicImage = { name: topicName, id: topicId, partitions: ascending(partitions) }
      byName.set(topicName, topic)
      byId.set(topicId, topic)
    }
    this.#image = {
      ...before,
      offset: before.offset + 1,
      epoch: request.controllerEpoch,
      topicsByName: byName,
      topicsById: byId,
      brokers: new Map(request.liveBrokers.map((broker) => [broker.id, brokerImage(broker)])),
    }
    const topics = new Set(request.topicStates.map(({ topicName }) => topicName))
    return { image: this.#image, topics, deletedTopics }
  }

  /** Settings of a resource (`topic:orders`, `broker:1`, `broker:`), all of them. */
  setConfig(resource: string, settings: ReadonlyMap<string, string>): MetadataImage {
    const configs = new Map(this.#image.configs)
    if (settings.size === 0) configs.delete(resource)
    else configs.set(resource, settings)
    this.#image = { ...this.#image, configs }
    return this.#image
  }
}

function partitionImage(state: UpdateMetadataPartitionState): PartitionImage {
  return {
    replicas: state.replicas,
    isr: state.isr,
    elr: [],
    lastKnownElr: [],
    removingReplicas: [],
    addingReplicas: [],
    leader: state.leader,
    leaderEpoch: state.leaderEpoch,
    partitionEpoch: state.zkVersion,
    leaderRecoveryState: 0,
    directories: state.replicas.map((id) =>
      state.offlineReplicas.includes(id) ? LOST_DIRECTORY : UNASSIGNED_DIRECTORY,
    ),
  }
}

function brokerImage({ id, endpoints, rack }: UpdateMetadataRequest['liveBrokers'][number]): BrokerImage {
  return {
    id,
    epoch: UNTOLD_BROKER_EPOCH,
    incarnationId: ZERO_UUID,
    host: endpoints[0]?.host ?? '',
    port: endpoints[0]?.port ?? -1,
    fenced: false,
    inControlledShutdown: false,
    rack,
    endPoints: [],
    features: [],
    logDirs: [],
  }
}

function ascending<V>(map: ReadonlyMap<number, V>): ReadonlyMap<number, V> {
  return new Map([...map].sort(([a], [b]) => a - b))
}
