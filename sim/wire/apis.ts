/**
 * The table of Kafka's APIs that are spoken here, in the order of their keys.
 *
 * One line an API; everything about it stands in its file under messages/. Versions are those of Kafka 4.1 (a version that Kafka
 * marks as unstable is left out).
 */

import type { ApiDefinition } from './define-api.js'
import { addOffsetsToTxnApi } from './messages/add-offsets-to-txn.js'
import { addPartitionsToTxnApi } from './messages/add-partitions-to-txn.js'
import { allocateProducerIdsApi } from './messages/allocate-producer-ids.js'
import { alterConfigsApi } from './messages/alter-configs.js'
import { alterPartitionApi } from './messages/alter-partition.js'
import { alterPartitionReassignmentsApi } from './messages/alter-partition-reassignments.js'
import { apiVersionsApi } from './messages/api-versions.js'
import { beginQuorumEpochApi } from './messages/begin-quorum-epoch.js'
import { brokerHeartbeatApi } from './messages/broker-heartbeat.js'
import { brokerRegistrationApi } from './messages/broker-registration.js'
import { consumerGroupDescribeApi } from './messages/consumer-group-describe.js'
import { consumerGroupHeartbeatApi } from './messages/consumer-group-heartbeat.js'
import { controlledShutdownApi } from './messages/controlled-shutdown.js'
import { controllerRegistrationApi } from './messages/controller-registration.js'
import { createAclsApi } from './messages/create-acls.js'
import { createPartitionsApi } from './messages/create-partitions.js'
import { createTopicsApi } from './messages/create-topics.js'
import { deleteAclsApi } from './messages/delete-acls.js'
import { deleteGroupsApi } from './messages/delete-groups.js'
import { deleteRecordsApi } from './messages/delete-records.js'
import { deleteTopicsApi } from './messages/delete-topics.js'
import { describeAclsApi } from './messages/describe-acls.js'
import { describeClusterApi } from './messages/describe-cluster.js'
import { describeConfigsApi } from './messages/describe-configs.js'
import { describeGroupsApi } from './messages/describe-groups.js'
import { describeLogDirsApi } from './messages/describe-log-dirs.js'
import { describeProducersApi } from './messages/describe-producers.js'
import { describeQuorumApi } from './messages/describe-quorum.js'
import { describeTopicPartitionsApi } from './messages/describe-topic-partitions.js'
import { describeTransactionsApi } from './messages/describe-transactions.js'
import { electLeadersApi } from './messages/elect-leaders.js'
import { endQuorumEpochApi } from './messages/end-quorum-epoch.js'
import { endTxnApi } from './messages/end-txn.js'
import { envelopeApi } from './messages/envelope.js'
import { fetchApi } from './messages/fetch.js'
import { fetchSnapshotApi } from './messages/fetch-snapshot.js'
import { findCoordinatorApi } from './messages/find-coordinator.js'
import { heartbeatApi } from './messages/heartbeat.js'
import { incrementalAlterConfigsApi } from './messages/incremental-alter-configs.js'
import { initProducerIdApi } from './messages/init-producer-id.js'
import { joinGroupApi } from './messages/join-group.js'
import { leaderAndIsrApi } from './messages/leader-and-isr.js'
import { leaveGroupApi } from './messages/leave-group.js'
import { listGroupsApi } from './messages/list-groups.js'
import { listOffsetsApi } from './messages/list-offsets.js'
import { listPartitionReassignmentsApi } from './messages/list-partition-reassignments.js'
import { listTransactionsApi } from './messages/list-transactions.js'
import { metadataApi } from './messages/metadata.js'
import { offsetCommitApi } from './messages/offset-commit.js'
import { offsetDeleteApi } from './messages/offset-delete.js'
import { offsetFetchApi } from './messages/offset-fetch.js'
import { offsetForLeaderEpochApi } from './messages/offset-for-leader-epoch.js'
import { produceApi } from './messages/produce.js'
import { stopReplicaApi } from './messages/stop-replica.js'
import { syncGroupApi } from './messages/sync-group.js'
import { txnOffsetCommitApi } from './messages/txn-offset-commit.js'
import { unregisterBrokerApi } from './messages/unregister-broker.js'
import { updateFeaturesApi } from './messages/update-features.js'
import { updateMetadataApi } from './messages/update-metadata.js'
import { voteApi } from './messages/vote.js'
import { writeTxnMarkersApi } from './messages/write-txn-markers.js'

export const API_TABLE = {
  Produce: produceApi,
  Fetch: fetchApi,
  ListOffsets: listOffsetsApi,
  Metadata: metadataApi,
  LeaderAndIsr: leaderAndIsrApi,
  StopReplica: stopReplicaApi,
  UpdateMetadata: updateMetadataApi,
  ControlledShutdown: controlledShutdownApi,
  OffsetCommit: offsetCommitApi,
  OffsetFetch: offsetFetchApi,
  FindCoordinator: findCoordinatorApi,
  JoinGroup: joinGroupApi,
  Heartbeat: heartbeatApi,
  LeaveGroup: leaveGroupApi,
  SyncGroup: syncGroupApi,
  DescribeGroups: describeGroupsApi,
  ListGroups: listGroupsApi,
  ApiVersions: apiVersionsApi,
  CreateTopics: createTopicsApi,
  DeleteTopics: deleteTopicsApi,
  DeleteRecords: deleteRecordsApi,
  InitProducerId: initProducerIdApi,
  OffsetForLeaderEpoch: offsetForLeaderEpochApi,
  AddPartitionsToTxn: addPartitionsToTxnApi,
  AddOffsetsToTxn: addOffsetsToTxnApi,
  EndTxn: endTxnApi,
  WriteTxnMarkers: writeTxnMarkersApi,
  TxnOffsetCommit: txnOffsetCommitApi,
  DescribeAcls: describeAclsApi,
  CreateAcls: createAclsApi,
  DeleteAcls: deleteAclsApi,
  DescribeConfigs: describeConfigsApi,
  AlterConfigs: alterConfigsApi,
  DescribeLogDirs: describeLogDirsApi,
  CreatePartitions: createPartitionsApi,
  DeleteGroups: deleteGroupsApi,
  ElectLeaders: electLeadersApi,
  IncrementalAlterConfigs: incrementalAlterConfigsApi,
  AlterPartitionReassignments: alterPartitionReassignmentsApi,
  ListPartitionReassignments: listPartitionReassignmentsApi,
  OffsetDelete: offsetDeleteApi,
  Vote: voteApi,
  BeginQuorumEpoch: beginQuorumEpochApi,
  EndQuorumEpoch: endQuorumEpochApi,
  DescribeQuorum: describeQuorumApi,
  AlterPartition: alterPartitionApi,
  UpdateFeatures: updateFeaturesApi,
  Envelope: envelopeApi,
  FetchSnapshot: fetchSnapshotApi,
  DescribeCluster: describeClusterApi,
  DescribeProducers: describeProducersApi,
  BrokerRegistration: brokerRegistrationApi,
  BrokerHeartbeat: brokerHeartbeatApi,
  UnregisterBroker: unregisterBrokerApi,
  DescribeTransactions: describeTransactionsApi,
  ListTransactions: listTransactionsApi,
  AllocateProducerIds: allocateProducerIdsApi,
  ConsumerGroupHeartbeat: consumerGroupHeartbeatApi,
  ConsumerGroupDescribe: consumerGroupDescribeApi,
  ControllerRegistration: controllerRegistrationApi,
  DescribeTopicPartitions: describeTopicPartitionsApi,
} as const

export type ApiName = keyof typeof API_TABLE

/** Request and response of each API, by its name. */
export type Apis = {
  readonly [A in ApiName]: (typeof API_TABLE)[A] extends ApiDefinition<infer Request, infer Response>
    ? { readonly request: Request; readonly response: Response }
    : never
}

/** What a broker passes on to the active controller (`ApiKeys.forwardable`). */
export type ForwardableApi =
  | 'CreateTopics'
  | 'DeleteTopics'
  | 'CreatePartitions'
  | 'ElectLeaders'
  | 'AlterConfigs'
  | 'IncrementalAlterConfigs'
  | 'AlterPartitionReassignments'
  | 'ListPartitionReassignments'
  | 'UpdateFeatures'
  | 'UnregisterBroker'
  | 'DescribeQuorum'
  | 'CreateAcls'
  | 'DeleteAcls'

/** The definition of an API whose name is known only at run time. */
export function apiOf<A extends ApiName>(api: A): ApiDefinition<Apis[A]['request'], Apis[A]['response']> {
  return API_TABLE[api] as unknown as ApiDefinition<Apis[A]['request'], Apis[A]['response']>
}

const NAMES: ReadonlyMap<number, ApiName> = new Map(
  (Object.keys(API_TABLE) as ApiName[]).map((api) => [API_TABLE[api].key, api]),
)

/** The API of a key in a request header; undefined when it is not spoken here. */
export function apiByKey(key: number): ApiName | undefined {
  return NAMES.get(key)
}

/** The newest version spoken here. */
export function maxVersion(api: ApiName): number {
  return API_TABLE[api].maxVersion
}
