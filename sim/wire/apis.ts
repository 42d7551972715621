/**
 * The table of Kafka's APIs that are spoken here, in the order of their keys.
 *
 * One line an API; everything about it stands in its file under messages/. Versions are those of Kafka 4.1 (a version that Kafka
 * marks as unstable is left out).
 */

import type { ApiDefinition } from './define-api.js'
import { allocateProducerIdsApi } from './messages/allocate-producer-ids.js'
import { alterConfigsApi } from './messages/alter-configs.js'
import { alterPartitionApi } from './messages/alter-partition.js'
import { alterPartitionReassignmentsApi } from './messages/alter-partition-reassignments.js'
import { apiVersionsApi } from './messages/api-versions.js'
import { beginQuorumEpochApi } from './messages/begin-quorum-epoch.js'
import { brokerHeartbeatApi } from './messages/broker-heartbeat.js'
import { brokerRegistrationApi } from './messages/broker-registration.js'
import { controllerRegistrationApi } from './messages/controller-registration.js'
import { createPartitionsApi } from './messages/create-partitions.js'
import { createTopicsApi } from './messages/create-topics.js'
import { deleteRecordsApi } from './messages/delete-records.js'
import { deleteTopicsApi } from './messages/delete-topics.js'
import { describeClusterApi } from './messages/describe-cluster.js'
import { describeConfigsApi } from './messages/describe-configs.js'
import { describeLogDirsApi } from './messages/describe-log-dirs.js'
import { describeQuorumApi } from './messages/describe-quorum.js'
import { describeTopicPartitionsApi } from './messages/describe-topic-partitions.js'
import { electLeadersApi } from './messages/elect-leaders.js'
import { endQuorumEpochApi } from './messages/end-quorum-epoch.js'
import { envelopeApi } from './messages/envelope.js'
import { fetchApi } from './messages/fetch.js'
import { fetchSnapshotApi } from './messages/fetch-snapshot.js'
import { findCoordinatorApi } from './messages/find-coordinator.js'
import { incrementalAlterConfigsApi } from './messages/incremental-alter-configs.js'
import { initProducerIdApi } from './messages/init-producer-id.js'
import { listOffsetsApi } from './messages/list-offsets.js'
import { listPartitionReassignmentsApi } from './messages/list-partition-reassignments.js'
import { metadataApi } from './messages/metadata.js'
import { offsetForLeaderEpochApi } from './messages/offset-for-leader-epoch.js'
import { produceApi } from './messages/produce.js'
import { unregisterBrokerApi } from './messages/unregister-broker.js'
import { updateFeaturesApi } from './messages/update-features.js'
import { voteApi } from './messages/vote.js'

export const API_TABLE = {
  Produce: produceApi,
  Fetch: fetchApi,
  ListOffsets: listOffsetsApi,
  Metadata: metadataApi,
  FindCoordinator: findCoordinatorApi,
  ApiVersions: apiVersionsApi,
  CreateTopics: createTopicsApi,
  DeleteTopics: deleteTopicsApi,
  DeleteRecords: deleteRecordsApi,
  InitProducerId: initProducerIdApi,
  OffsetForLeaderEpoch: offsetForLeaderEpochApi,
  DescribeConfigs: describeConfigsApi,
  AlterConfigs: alterConfigsApi,
  DescribeLogDirs: describeLogDirsApi,
  CreatePartitions: createPartitionsApi,
  ElectLeaders: electLeadersApi,
  IncrementalAlterConfigs: incrementalAlterConfigsApi,
  AlterPartitionReassignments: alterPartitionReassignmentsApi,
  ListPartitionReassignments: listPartitionReassignmentsApi,
  Vote: voteApi,
  BeginQuorumEpoch: beginQuorumEpochApi,
  EndQuorumEpoch: endQuorumEpochApi,
  DescribeQuorum: describeQuorumApi,
  AlterPartition: alterPartitionApi,
  UpdateFeatures: updateFeaturesApi,
  Envelope: envelopeApi,
  FetchSnapshot: fetchSnapshotApi,
  DescribeCluster: describeClusterApi,
  BrokerRegistration: brokerRegistrationApi,
  BrokerHeartbeat: brokerHeartbeatApi,
  UnregisterBroker: unregisterBrokerApi,
  AllocateProducerIds: allocateProducerIdsApi,
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
