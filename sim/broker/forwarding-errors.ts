/**
 * What a client gets when its request could not be forwarded: the error in every place where the API has one
 * (`AbstractRequest.getErrorResponse`).
 */

import { ZERO_UUID } from '../kraft/metadata/records.js'
import type { ApiName, Apis } from '../wire/apis.js'
import type { ErrorCode } from '../wire/errors.js'

/** APIs that a broker passes on to the active controller. */
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

type ErrorResponses = {
  readonly [A in ForwardableApi & ApiName]: (body: Apis[A]['request'], errorCode: ErrorCode) => Apis[A]['response']
}

const throttleTimeMs = 0
const errorMessage = null

const ERROR_RESPONSES: ErrorResponses = {
  CreateTopics: (body, errorCode) => ({
    throttleTimeMs,
    topics: body.topics.map(({ name }) => ({
      name,
      topicId: ZERO_UUID,
      errorCode,
      errorMessage,
      topicConfigErrorCode: 0,
      numPartitions: -1,
      replicationFactor: -1,
      configs: [],
    })),
  }),
  DeleteTopics: (body, errorCode) => ({
    throttleTimeMs,
    responses: [...body.topics, ...body.topicNames.map((name) => ({ name, topicId: ZERO_UUID }))].map(
      ({ name, topicId }) => ({ name, topicId, errorCode, errorMessage }),
    ),
  }),
  CreatePartitions: (body, errorCode) => ({
    throttleTimeMs,
    results: body.topics.map(({ name }) => ({ name, errorCode, errorMessage })),
  }),
  ElectLeaders: (body, errorCode) => ({
    throttleTimeMs,
    errorCode,
    replicaElectionResults: (body.topicPartitions ?? []).map(({ topic, partitions }) => ({
      topic,
      partitionResult: partitions.map((partitionId) => ({ partitionId, errorCode, errorMessage })),
    })),
  }),
  AlterConfigs: (body, errorCode) => ({
    throttleTimeMs,
    responses: body.resources.map(({ resourceType, resourceName }) => ({
      errorCode,
      errorMessage,
      resourceType,
      resourceName,
    })),
  }),
  IncrementalAlterConfigs: (body, errorCode) => ({
    throttleTimeMs,
    responses: body.resources.map(({ resourceType, resourceName }) => ({
      errorCode,
      errorMessage,
      resourceType,
      resourceName,
    })),
  }),
  AlterPartitionReassignments: (body, errorCode) => ({
    throttleTimeMs,
    allowReplicationFactorChange: true,
    errorCode,
    errorMessage,
    responses: body.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode, errorMessage })),
    })),
  }),
  ListPartitionReassignments: (body, errorCode) => ({
    throttleTimeMs,
    errorCode,
    errorMessage,
    topics: (body.topics ?? []).map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => ({
        partitionIndex,
        replicas: [],
        addingReplicas: [],
        removingReplicas: [],
      })),
    })),
  }),
  UpdateFeatures: (_body, errorCode) => ({ throttleTimeMs, errorCode, errorMessage, results: [] }),
  UnregisterBroker: (_body, errorCode) => ({ throttleTimeMs, errorCode, errorMessage }),
  CreateAcls: ({ creations }, errorCode) => ({
    throttleTimeMs,
    results: creations.map(() => ({ errorCode, errorMessage })),
  }),
  DeleteAcls: ({ filters }, errorCode) => ({
    throttleTimeMs,
    filterResults: filters.map(() => ({ errorCode, errorMessage, matchingAcls: [] })),
  }),
  DescribeQuorum: (_body, errorCode) => ({ errorCode, errorMessage, topics: [], nodes: [] }),
}

export function forwardingError<A extends ForwardableApi>(
  api: A,
  body: Apis[A]['request'],
  errorCode: ErrorCode,
): Apis[A]['response'] {
  const make = ERROR_RESPONSES[api] as (body: Apis[A]['request'], errorCode: ErrorCode) => Apis[A]['response']
  return make(body, errorCode)
}
