/**
 * An image as the records of a snapshot, in Kafka's order (`MetadataImage.write`): features first with metadata.version
 * foremost, brokers, controllers, topics each followed by its partitions, configurations, producer ids, ACLs.
 *
 * Replaying these onto the empty image gives the same image again.
 */

import type { NodeId } from '../../kernel/units.js'
import type { BrokerImage, ControllerImage, MetadataImage, PartitionImage } from './image.js'
import { imageMetadataVersion, isElrEnabled } from './image.js'
import type { MetadataVersion } from './metadata-version.js'
import { METADATA_VERSION_FEATURE } from './metadata-version.js'
import type {
  MetadataRecord,
  PartitionRecord,
  RegisterBrokerRecord,
  RegisterControllerRecord,
  Uuid,
} from './records.js'
import { aclRecord, configRecord, featureLevelRecord, RESOURCE_BROKER, RESOURCE_TOPIC, topicRecord } from './records.js'

export function imageToRecords(image: MetadataImage): MetadataRecord[] {
  const version = imageMetadataVersion(image)
  const elr = isElrEnabled(image)
  const records: MetadataRecord[] = [featureLevelRecord(METADATA_VERSION_FEATURE, version.featureLevel)]
  for (const [name, level] of image.features) {
    if (name !== METADATA_VERSION_FEATURE) records.push(featureLevelRecord(name, level))
  }
  for (const broker of image.brokers.values()) records.push(brokerToRecord(broker, version))
  for (const controller of image.controllers.values()) records.push(controllerToRecord(controller))
  for (const topic of image.topicsById.values()) {
    records.push(topicRecord(topic.name, topic.id))
    for (const [index, partition] of topic.partitions) {
      records.push(partitionToRecord(topic.id, index, partition, version, elr))
    }
  }
  for (const [key, settings] of image.configs) {
    const colon = key.indexOf(':')
    const type = key.slice(0, colon) === 'topic' ? RESOURCE_TOPIC : RESOURCE_BROKER
    for (const [name, value] of settings) records.push(configRecord(type, key.slice(colon + 1), name, value))
  }
  if (image.nextProducerId > 0) {
    records.push({
      type: 'ProducerIdsRecord',
      version: 0,
      brokerId: -1,
      brokerEpoch: -1,
      nextProducerId: image.nextProducerId,
    })
  }
  for (const [id, acl] of image.acls) records.push(aclRecord(id, acl))
  return records
}

/** A partition as one record; ELR fields only where there is something in them and the feature is on. */
export function partitionToRecord(
  topicId: Uuid,
  partitionId: number,
  partition: PartitionImage,
  version: MetadataVersion,
  elrEnabled: boolean,
): PartitionRecord {
  return {
    type: 'PartitionRecord',
    version: version.partitionRecordVersion,
    partitionId,
    topicId,
    replicas: partition.replicas,
    isr: partition.isr,
    removingReplicas: partition.removingReplicas,
    addingReplicas: partition.addingReplicas,
    leader: partition.leader,
    leaderRecoveryState: partition.leaderRecoveryState,
    leaderEpoch: partition.leaderEpoch,
    partitionEpoch: partition.partitionEpoch,
    directories: version.directoryAssignment ? partition.directories : [],
    eligibleLeaderReplicas: elrEnabled ? orNull(partition.elr) : null,
    lastKnownElr: elrEnabled ? orNull(partition.lastKnownElr) : null,
  }
}

function brokerToRecord(broker: BrokerImage, version: MetadataVersion): RegisterBrokerRecord {
  return {
    type: 'RegisterBrokerRecord',
    version: version.registerBrokerRecordVersion,
    brokerId: broker.id,
    isMigratingZkBroker: false,
    incarnationId: broker.incarnationId,
    brokerEpoch: broker.epoch,
    endPoints: broker.endPoints,
    features: broker.features,
    rack: broker.rack,
    fenced: broker.fenced,
    inControlledShutdown: broker.inControlledShutdown,
    logDirs: version.directoryAssignment ? broker.logDirs : [],
  }
}

function controllerToRecord(controller: ControllerImage): RegisterControllerRecord {
  return {
    type: 'RegisterControllerRecord',
    version: 0,
    controllerId: controller.id,
    incarnationId: controller.incarnationId,
    zkMigrationReady: controller.zkMigrationReady,
    endPoints: controller.endPoints,
    features: controller.features,
  }
}

function orNull(replicas: readonly NodeId[]): readonly NodeId[] | null {
  return replicas.length > 0 ? replicas : null
}
