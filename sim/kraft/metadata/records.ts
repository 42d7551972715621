/**
 * The records of the cluster metadata log: one type per record of Kafka's metadata module, tagged by `type`.
 *
 * Field names, defaults and the meaning of -1, -2 and null are those of Kafka's record schemas (KIP-631 and later:
 * KIP-841 controlled shutdown, KIP-866 transactions, KIP-919 controllers, KIP-858 directories, KIP-966 ELR). Every
 * record carries the schema `version` that it is written with; record-codec.ts gives its bytes. Records are deeply
 * read-only and travel by reference. Not modelled: quotas, SCRAM, delegation tokens, the ZooKeeper migration.
 *
 *   id  record                 id  record                  id  record
 *    0  RegisterBroker          7  FenceBroker             17  BrokerRegistrationChange
 *    1  UnregisterBroker        8  UnfenceBroker           20  NoOp
 *    2  Topic                   9  RemoveTopic             23  BeginTransaction
 *    3  Partition              12  FeatureLevel            24  EndTransaction
 *    4  Config                 15  ProducerIds             25  AbortTransaction
 *    5  PartitionChange        27  RegisterController      28  ClearElr
 *   18  AccessControlEntry     19  RemoveAccessControlEntry
 */

import type { Epoch, NodeId, Offset } from '../../kernel/units.js'
import type { Acl } from './acl.js'

/** Kafka's `Uuid` in its 22 characters of base64url. */
export type Uuid = string

export const ZERO_UUID: Uuid = 'AAAAAAAAAAAAAAAAAAAAAA'
/** `DirectoryId.MIGRATING`: the replica comes from a version without directories. */
export const MIGRATING_DIRECTORY: Uuid = ZERO_UUID
/** `DirectoryId.UNASSIGNED`: the broker picks the directory. */
export const UNASSIGNED_DIRECTORY: Uuid = 'AAAAAAAAAAAAAAAAAAAAAQ'
/** `DirectoryId.LOST`: the replica's directory is offline. */
export const LOST_DIRECTORY: Uuid = 'AAAAAAAAAAAAAAAAAAAAAg'

/** No leader (a PartitionRecord's or PartitionChangeRecord's `leader`). */
export const NO_LEADER: NodeId = -1
/** The leader did not change (a PartitionChangeRecord's `leader`). */
export const NO_LEADER_CHANGE: NodeId = -2

/** 0 recovered; 1 recovering from an unclean election. */
export type LeaderRecoveryState = 0 | 1
export const RECOVERED: LeaderRecoveryState = 0
export const RECOVERING: LeaderRecoveryState = 1
/** The recovery state did not change (a PartitionChangeRecord's `leaderRecoveryState`). */
export const NO_RECOVERY_CHANGE = -1

/** `ConfigResource.Type`. */
export const RESOURCE_TOPIC = 2
export const RESOURCE_BROKER = 4

export interface RecordEndpoint {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly securityProtocol: number
}

export interface RecordFeature {
  readonly name: string
  readonly minSupportedVersion: number
  readonly maxSupportedVersion: number
}

export interface RegisterBrokerRecord {
  readonly type: 'RegisterBrokerRecord'
  readonly version: number
  readonly brokerId: NodeId
  readonly isMigratingZkBroker: boolean
  readonly incarnationId: Uuid
  readonly brokerEpoch: number
  readonly endPoints: readonly RecordEndpoint[]
  readonly features: readonly RecordFeature[]
  readonly rack: string | null
  readonly fenced: boolean
  readonly inControlledShutdown: boolean
  readonly logDirs: readonly Uuid[]
}

export interface UnregisterBrokerRecord {
  readonly type: 'UnregisterBrokerRecord'
  readonly version: number
  readonly brokerId: NodeId
  readonly brokerEpoch: number
}

export interface TopicRecord {
  readonly type: 'TopicRecord'
  readonly version: number
  readonly name: string
  readonly topicId: Uuid
}

export interface PartitionRecord {
  readonly type: 'PartitionRecord'
  readonly version: number
  readonly partitionId: number
  readonly topicId: Uuid
  readonly replicas: readonly NodeId[]
  readonly isr: readonly NodeId[]
  readonly removingReplicas: readonly NodeId[]
  readonly addingReplicas: readonly NodeId[]
  readonly leader: NodeId
  readonly leaderRecoveryState: LeaderRecoveryState
  readonly leaderEpoch: Epoch
  readonly partitionEpoch: Epoch
  /** One for each replica, in their order; empty below version 1. */
  readonly directories: readonly Uuid[]
  readonly eligibleLeaderReplicas: readonly NodeId[] | null
  readonly lastKnownElr: readonly NodeId[] | null
}

export interface ConfigRecord {
  readonly type: 'ConfigRecord'
  readonly version: number
  readonly resourceType: number
  readonly resourceName: string
  readonly name: string
  /** null deletes the setting. */
  readonly value: string | null
}

/** null, -1 (`leaderRecoveryState`) and -2 (`leader`) mean: as it was. */
export interface PartitionChangeRecord {
  readonly type: 'PartitionChangeRecord'
  readonly version: number
  readonly partitionId: number
  readonly topicId: Uuid
  readonly isr: readonly NodeId[] | null
  readonly leader: NodeId
  readonly replicas: readonly NodeId[] | null
  readonly removingReplicas: readonly NodeId[] | null
  readonly addingReplicas: readonly NodeId[] | null
  readonly leaderRecoveryState: -1 | LeaderRecoveryState
  readonly directories: readonly Uuid[] | null
  readonly eligibleLeaderReplicas: readonly NodeId[] | null
  readonly lastKnownElr: readonly NodeId[] | null
}

export interface FenceBrokerRecord {
  readonly type: 'FenceBrokerRecord'
  readonly version: number
  readonly id: NodeId
  readonly epoch: number
}

export interface UnfenceBrokerRecord {
  readonly type: 'UnfenceBrokerRecord'
  readonly version: number
  readonly id: NodeId
  readonly epoch: number
}

export interface RemoveTopicRecord {
  readonly type: 'RemoveTopicRecord'
  readonly version: number
  readonly topicId: Uuid
}

export interface FeatureLevelRecord {
  readonly type: 'FeatureLevelRecord'
  readonly version: number
  readonly name: string
  /** 0: the feature is no longer finalised. */
  readonly featureLevel: number
}

export interface ProducerIdsRecord {
  readonly type: 'ProducerIdsRecord'
  readonly version: number
  readonly brokerId: NodeId
  readonly brokerEpoch: number
  readonly nextProducerId: number
}

export interface BrokerRegistrationChangeRecord {
  readonly type: 'BrokerRegistrationChangeRecord'
  readonly version: number
  readonly brokerId: NodeId
  readonly brokerEpoch: number
  /** -1 unfenced, 0 no change, 1 fenced. */
  readonly fenced: -1 | 0 | 1
  /** 0 no change, 1 in controlled shutdown. */
  readonly inControlledShutdown: 0 | 1
  /** Empty: no change. */
  readonly logDirs: readonly Uuid[]
}

export interface NoOpRecord {
  readonly type: 'NoOpRecord'
  readonly version: number
}

export interface BeginTransactionRecord {
  readonly type: 'BeginTransactionRecord'
  readonly version: number
  readonly name: string | null
}

export interface EndTransactionRecord {
  readonly type: 'EndTransactionRecord'
  readonly version: number
}

export interface AbortTransactionRecord {
  readonly type: 'AbortTransactionRecord'
  readonly version: number
  readonly reason: string | null
}

export interface RegisterControllerRecord {
  readonly type: 'RegisterControllerRecord'
  readonly version: number
  readonly controllerId: NodeId
  readonly incarnationId: Uuid
  readonly zkMigrationReady: boolean
  readonly endPoints: readonly RecordEndpoint[]
  readonly features: readonly RecordFeature[]
}

/** Empties ELR and last known ELR of one topic, or of all when `topicName` is empty. */
export interface ClearElrRecord {
  readonly type: 'ClearElrRecord'
  readonly version: number
  readonly topicName: string
}

/** One ACL (KIP-801). Codes are those of acl.ts. */
export interface AccessControlEntryRecord extends Acl {
  readonly type: 'AccessControlEntryRecord'
  readonly version: number
  readonly id: Uuid
}

export interface RemoveAccessControlEntryRecord {
  readonly type: 'RemoveAccessControlEntryRecord'
  readonly version: number
  readonly id: Uuid
}

export type MetadataRecord =
  | RegisterBrokerRecord
  | UnregisterBrokerRecord
  | TopicRecord
  | PartitionRecord
  | ConfigRecord
  | PartitionChangeRecord
  | FenceBrokerRecord
  | UnfenceBrokerRecord
  | RemoveTopicRecord
  | FeatureLevelRecord
  | ProducerIdsRecord
  | BrokerRegistrationChangeRecord
  | NoOpRecord
  | BeginTransactionRecord
  | EndTransactionRecord
  | AbortTransactionRecord
  | RegisterControllerRecord
  | ClearElrRecord
  | AccessControlEntryRecord
  | RemoveAccessControlEntryRecord

export type MetadataRecordType = MetadataRecord['type']

/** A committed batch of metadata records, as a raft listener gets it. */
export interface MetadataBatch {
  readonly baseOffset: Offset
  readonly lastOffset: Offset
  readonly epoch: Epoch
  /** Wall time of the leader when it appended (ms). */
  readonly appendTimestamp: number
  readonly records: readonly MetadataRecord[]
}

/** A whole snapshot: what the log says in [0, `endOffset`). */
export interface MetadataSnapshot {
  /** Exclusive. */
  readonly endOffset: Offset
  readonly epoch: Epoch
  readonly records: readonly MetadataRecord[]
  /** Append time of the last record that it covers (ms). */
  readonly lastContainedLogTimestamp: number
}

export const NO_OP_RECORD: NoOpRecord = { type: 'NoOpRecord', version: 0 }

export function topicRecord(name: string, topicId: Uuid): TopicRecord {
  return { type: 'TopicRecord', version: 0, name, topicId }
}

export function featureLevelRecord(name: string, featureLevel: number): FeatureLevelRecord {
  return { type: 'FeatureLevelRecord', version: 0, name, featureLevel }
}

export function configRecord(
  resourceType: number,
  resourceName: string,
  name: string,
  value: string | null,
): ConfigRecord {
  return { type: 'ConfigRecord', version: 0, resourceType, resourceName, name, value }
}

export function aclRecord(id: Uuid, acl: Acl): AccessControlEntryRecord {
  const { resourceType, resourceName, patternType, principal, host, operation, permissionType } = acl
  return {
    type: 'AccessControlEntryRecord',
    version: 0,
    id,
    resourceType,
    resourceName,
    patternType,
    principal,
    host,
    operation,
    permissionType,
  }
}

/** A PartitionChangeRecord that changes nothing but what is given. */
export function partitionChange(
  topicId: Uuid,
  partitionId: number,
  version: number,
  changes: Partial<Omit<PartitionChangeRecord, 'type' | 'version' | 'topicId' | 'partitionId'>>,
): PartitionChangeRecord {
  return {
    type: 'PartitionChangeRecord',
    version,
    partitionId,
    topicId,
    isr: changes.isr ?? null,
    leader: changes.leader ?? NO_LEADER_CHANGE,
    replicas: changes.replicas ?? null,
    removingReplicas: changes.removingReplicas ?? null,
    addingReplicas: changes.addingReplicas ?? null,
    leaderRecoveryState: changes.leaderRecoveryState ?? NO_RECOVERY_CHANGE,
    directories: changes.directories ?? null,
    eligibleLeaderReplicas: changes.eligibleLeaderReplicas ?? null,
    lastKnownElr: changes.lastKnownElr ?? null,
  }
}
