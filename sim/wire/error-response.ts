/**
 * How each API says that a request failed as a whole: its error everywhere that the API has one
 * (`AbstractRequest.getErrorResponse`), for the APIs that a controller decides on.
 */

import { apiOf, type ApiName, type Apis } from './apis.js'
import type { ErrorCode } from './errors.js'
import { ZERO_UUID } from './uuid.js'

/** A code and, where Kafka has one, a message. */
export interface ApiError {
  readonly error: ErrorCode
  readonly message: string | null
}

type Responses = {
  readonly [A in ApiName]?: (body: Apis[A]['request'], error: ApiError) => Apis[A]['response']
}

const throttleTimeMs = 0

const RESPONSES: Responses = {
  CreateTopics: (body, error) => ({ throttleTimeMs, topics: body.topics.map(({ name }) => failedTopic(name, error)) }),
  DeleteTopics: (body, { error, message }) => ({
    throttleTimeMs,
    responses: [...body.topics, ...body.topicNames.map((name) => ({ name, topicId: ZERO_UUID }))].map(
      ({ name, topicId }) => ({ name, topicId, errorCode: error, errorMessage: message }),
    ),
  }),
  CreatePartitions: (body, { error, message }) => ({
    throttleTimeMs,
    results: body.topics.map(({ name }) => ({ name, errorCode: error, errorMessage: message })),
  }),
  ElectLeaders: (body, { error, message }) => ({
    throttleTimeMs,
    errorCode: error,
    replicaElectionResults: (body.topicPartitions ?? []).map(({ topic, partitions }) => ({
      topic,
      partitionResult: partitions.map((partitionId) => ({ partitionId, errorCode: error, errorMessage: message })),
    })),
  }),
  AlterConfigs: (body, error) => ({ throttleTimeMs, responses: failedResources(body.resources, error) }),
  IncrementalAlterConfigs: (body, error) => ({ throttleTimeMs, responses: failedResources(body.resources, error) }),
  AlterPartitionReassignments: (body, { error, message }) => ({
    throttleTimeMs,
    allowReplicationFactorChange: true,
    errorCode: error,
    errorMessage: message,
    responses: body.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: error, errorMessage: message })),
    })),
  }),
  ListPartitionReassignments: (body, { error, message }) => ({
    throttleTimeMs,
    errorCode: error,
    errorMessage: message,
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
  AlterPartition: (_body, { error }) => ({ throttleTimeMs, errorCode: error, topics: [] }),
  UpdateFeatures: (_body, { error, message }) => ({
    throttleTimeMs,
    errorCode: error,
    errorMessage: message,
    results: [],
  }),
  BrokerRegistration: (_body, { error }) => ({ throttleTimeMs, errorCode: error, brokerEpoch: -1 }),
  BrokerHeartbeat: (_body, { error }) => ({
    throttleTimeMs,
    errorCode: error,
    isCaughtUp: false,
    isFenced: true,
    shouldShutDown: false,
  }),
  UnregisterBroker: (_body, { error, message }) => ({ throttleTimeMs, errorCode: error, errorMessage: message }),
  AllocateProducerIds: (_body, { error }) => ({
    throttleTimeMs,
    errorCode: error,
    producerIdStart: 0,
    producerIdLen: 0,
  }),
  ControllerRegistration: (_body, { error, message }) => ({ throttleTimeMs, errorCode: error, errorMessage: message }),
  CreateAcls: ({ creations }, { error, message }) => ({
    throttleTimeMs,
    results: creations.map(() => ({ errorCode: error, errorMessage: message })),
  }),
  DeleteAcls: ({ filters }, { error, message }) => ({
    throttleTimeMs,
    filterResults: filters.map(() => ({ errorCode: error, errorMessage: message, matchingAcls: [] })),
  }),
  DescribeQuorum: (_body, { error, message }) => ({ errorCode: error, errorMessage: message, topics: [], nodes: [] }),
}

/** Any API: those that are not in the table have one error for all. */
export function errorResponse<A extends ApiName>(
  api: A,
  body: Apis[A]['request'],
  error: ApiError,
): Apis[A]['response'] {
  const make = RESPONSES[api]
  if (make !== undefined) return make(body, error)
  return { ...(apiOf(api).response.defaults as object), errorCode: error.error } as Apis[A]['response']
}

/** A topic that could not be created. */
export function failedTopic(
  name: string,
  { error, message }: ApiError,
): Apis['CreateTopics']['response']['topics'][number] {
  return {
    name,
    topicId: ZERO_UUID,
    errorCode: error,
    errorMessage: message,
    topicConfigErrorCode: 0,
    numPartitions: -1,
    replicationFactor: -1,
    configs: [],
  }
}

function failedResources(
  resources: readonly { readonly resourceType: number; readonly resourceName: string }[],
  { error, message }: ApiError,
): { errorCode: number; errorMessage: string | null; resourceType: number; resourceName: string }[] {
  return resources.map(({ resourceType, resourceName }) => ({
    errorCode: error,
    errorMessage: message,
    resourceType,
    resourceName,
  }))
}
