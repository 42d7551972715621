/**
 * The metadata image: everything that the metadata log says at one offset, immutable.
 *
 * A persistent structure. A new image shares every topic, broker and configuration that the delta between the two did
 * not touch, so it can be held as long as anybody likes (a snapshot being written, a fetch being answered), and may be
 * shared between the nodes of a simulation. Kafka's `MetadataImage`, `TopicImage`, `PartitionRegistration` and
 * `BrokerRegistration` in one file; metadata-delta.ts makes the next image, image-records.ts writes one as records.
 */

import type { NodeName } from '../../kernel/names.js'
import type { Epoch, NodeId, Offset } from '../../kernel/units.js'
import type { Acl } from './acl.js'
import type {
  AccessControlEntryRecord,
  BrokerRegistrationChangeRecord,
  LeaderRecoveryState,
  PartitionChangeRecord,
  PartitionRecord,
  RecordEndpoint,
  RecordFeature,
  RegisterBrokerRecord,
  RegisterControllerRecord,
  Uuid,
} from './records.js'
import { MIGRATING_DIRECTORY, NO_LEADER, NO_LEADER_CHANGE, NO_RECOVERY_CHANGE, RESOURCE_TOPIC } from './records.js'
import type { MetadataVersion } from './metadata-version.js'
import { ELR_FEATURE, METADATA_VERSION_FEATURE, metadataVersion, MINIMUM_METADATA_VERSION } from './metadata-version.js'

export interface PartitionImage {
  readonly replicas: readonly NodeId[]
  readonly isr: readonly NodeId[]
  readonly elr: readonly NodeId[]
  readonly lastKnownElr: readonly NodeId[]
  readonly removingReplicas: readonly NodeId[]
  readonly addingReplicas: readonly NodeId[]
  /** -1: none. */
  readonly leader: NodeId
  readonly leaderEpoch: Epoch
  readonly partitionEpoch: Epoch
  readonly leaderRecoveryState: LeaderRecoveryState
  /** One for each replica, in their order. */
  readonly directories: readonly Uuid[]
}

export interface TopicImage {
  readonly name: string
  readonly id: Uuid
  /** By index, in order of creation (ascending). */
  readonly partitions: ReadonlyMap<number, PartitionImage>
}

export interface BrokerImage {
  readonly id: NodeId
  /** Offset of the registration record. */
  readonly epoch: number
  readonly incarnationId: Uuid
  /** Of the first listener. */
  readonly host: NodeName
  readonly port: number
  readonly fenced: boolean
  readonly inControlledShutdown: boolean
  readonly rack: string | null
  readonly endPoints: readonly RecordEndpoint[]
  readonly features: readonly RecordFeature[]
  /** Online log directories, sorted. */
  readonly logDirs: readonly Uuid[]
}

/** A controller's registration (KIP-919). */
export interface ControllerImage {
  readonly id: NodeId
  readonly incarnationId: Uuid
  readonly zkMigrationReady: boolean
  readonly endPoints: readonly RecordEndpoint[]
  readonly features: readonly RecordFeature[]
}

export interface MetadataImage {
  /** Offset of the last record contained; -1 for the empty image. */
  readonly offset: Offset
  readonly epoch: Epoch
  readonly topicsByName: ReadonlyMap<string, TopicImage>
  readonly topicsById: ReadonlyMap<Uuid, TopicImage>
  readonly brokers: ReadonlyMap<NodeId, BrokerImage>
  readonly controllers: ReadonlyMap<NodeId, ControllerImage>
  /** By resource: `topic:orders`, `broker:1`, `broker:` (the default of all brokers). */
  readonly configs: ReadonlyMap<string, ReadonlyMap<string, string>>
  /** Finalised feature levels, `metadata.version` among them. */
  readonly features: ReadonlyMap<string, number>
  /** First id of the next block of producer ids; 0 before the first block. */
  readonly nextProducerId: number
  readonly acls: ReadonlyMap<Uuid, Acl>
}

export const EMPTY_IMAGE: MetadataImage = {
  offset: -1,
  epoch: -1,
  topicsByName: new Map(),
  topicsById: new Map(),
  brokers: new Map(),
  controllers: new Map(),
  configs: new Map(),
  features: new Map(),
  nextProducerId: 0,
  acls: new Map(),
}

/** Key of `configs`; undefined for types that are not modelled. */
export function configKey(resourceType: number, resourceName: string): string {
  return resourceType === RESOURCE_TOPIC ? `topic:${resourceName}` : `broker:${resourceName}`
}

/** The finalised metadata version; the oldest that is supported while none is known. */
export function imageMetadataVersion(image: MetadataImage): MetadataVersion {
  const level = image.features.get(METADATA_VERSION_FEATURE)
  return level === undefined ? MINIMUM_METADATA_VERSION : metadataVersion(level)
}

/** Eligible leader replicas (KIP-966) are switched on. */
export function isElrEnabled(image: MetadataImage): boolean {
  return (image.features.get(ELR_FEATURE) ?? 0) >= 1
}

export function hasLeader(partition: PartitionImage): boolean {
  return partition.leader !== NO_LEADER
}

/** The first replica, or -1. */
export function preferredReplica(partition: PartitionImage): NodeId {
  return partition.replicas[0] ?? NO_LEADER
}

export function isReassigning(partition: PartitionImage): boolean {
  return partition.removingReplicas.length > 0 || partition.addingReplicas.length > 0
}

/** Active: neither fenced nor in controlled shutdown. */
export function isActive(broker: BrokerImage): boolean {
  return !broker.fenced && !broker.inControlledShutdown
}

/** What an ACL record says, without its id. */
export function aclFromRecord(record: AccessControlEntryRecord): Acl {
  const { resourceType, resourceName, patternType, principal, host, operation, permissionType } = record
  return { resourceType, resourceName, patternType, principal, host, operation, permissionType }
}

export function partitionFromRecord(record: PartitionRecord): PartitionImage {
  return {
    replicas: record.replicas,
    isr: record.isr,
    elr: record.eligibleLeaderReplicas ?? NONE,
    lastKnownElr: record.lastKnownElr ?? NONE,
    removingReplicas: record.removingReplicas,
    addingReplicas: record.addingReplicas,
    leader: record.leader,
    leaderEpoch: record.leaderEpoch,
    partitionEpoch: record.partitionEpoch,
    leaderRecoveryState: record.leaderRecoveryState,
    directories: knownDirectories(record.directories, record.replicas.length),
  }
}

/**
 * The partition after a change (`PartitionRegistration.merge`): the partition epoch grows by one always, the leader epoch
 * whenever the record names a leader, the same one included.
 */
export function mergePartition(partition: PartitionImage, change: PartitionChangeRecord): PartitionImage {
  const replicas = change.replicas ?? partition.replicas
  const keepsLeader = change.leader === NO_LEADER_CHANGE
  return {
    replicas,
    isr: change.isr ?? partition.isr,
    elr: change.eligibleLeaderReplicas ?? partition.elr,
    lastKnownElr: change.lastKnownElr ?? partition.lastKnownElr,
    removingReplicas: change.removingReplicas ?? partition.removingReplicas,
    addingReplicas: change.addingReplicas ?? partition.addingReplicas,
    leader: keepsLeader ? partition.leader : change.leader,
    leaderEpoch: keepsLeader ? partition.leaderEpoch : partition.leaderEpoch + 1,
    partitionEpoch: partition.partitionEpoch + 1,
    leaderRecoveryState:
      change.leaderRecoveryState === NO_RECOVERY_CHANGE ? partition.leaderRecoveryState : change.leaderRecoveryState,
    directories: knownDirectories(change.directories ?? partition.directories, replicas.length),
  }
}

/** The partition after a ClearElrRecord; the same object when it had no ELR. */
export function clearElr(partition: PartitionImage): PartitionImage {
  if (partition.elr.length === 0 && partition.lastKnownElr.length === 0) return partition
  return { ...partition, elr: NONE, lastKnownElr: NONE, partitionEpoch: partition.partitionEpoch + 1 }
}

export function brokerFromRecord(record: RegisterBrokerRecord): BrokerImage {
  const listener = record.endPoints[0]
  return {
    id: record.brokerId,
    epoch: record.brokerEpoch,
    incarnationId: record.incarnationId,
    host: listener?.host ?? '',
    port: listener?.port ?? -1,
    fenced: record.fenced,
    inControlledShutdown: record.inControlledShutdown,
    rack: record.rack,
    endPoints: record.endPoints,
    features: record.features,
    logDirs: record.logDirs.slice().sort(compareText),
  }
}

export function controllerFromRecord(record: RegisterControllerRecord): ControllerImage {
  return {
    id: record.controllerId,
    incarnationId: record.incarnationId,
    zkMigrationReady: record.zkMigrationReady,
    endPoints: record.endPoints,
    features: record.features,
  }
}

/** The broker after a change; the same object when nothing changed. */
export function mergeBroker(
  broker: BrokerImage,
  change: Pick<BrokerRegistrationChangeRecord, 'fenced' | 'inControlledShutdown' | 'logDirs'>,
): BrokerImage {
  const fenced = change.fenced === 0 ? broker.fenced : change.fenced === 1
  const inControlledShutdown = broker.inControlledShutdown || change.inControlledShutdown === 1
  const logDirs = change.logDirs.length === 0 ? broker.logDirs : change.logDirs.slice().sort(compareText)
  if (
    fenced === broker.fenced &&
    inControlledShutdown === broker.inControlledShutdown &&
    sameItems(logDirs, broker.logDirs)
  ) {
    return broker
  }
  return { ...broker, fenced, inControlledShutdown, logDirs }
}

/** Same items in the same order. */
export function sameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

const NONE: readonly NodeId[] = []

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Directories that say nothing (a version without them) become MIGRATING, one for each replica. */
function knownDirectories(directories: readonly Uuid[], replicas: number): readonly Uuid[] {
  for (let i = 0; i < directories.length; i++) if (directories[i] !== MIGRATING_DIRECTORY) return directories
  if (directories.length === replicas) return directories
  return Array.from({ length: replicas }, () => MIGRATING_DIRECTORY)
}
