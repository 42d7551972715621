/**
 * How each API says that a request failed as a whole (`AbstractRequest.getErrorResponse`): everywhere that the API has an error.
 */

import { ZERO_UUID } from '../kraft/metadata/records.js'
import { apiOf, type ApiName, type Apis } from '../wire/apis.js'
import type { ApiError } from './controller-result.js'
import { failedTopic } from './topic-creation.js'

/** The APIs that the controller decides on. */
export type ControllerApi =
  | 'CreateTopics'
  | 'DeleteTopics'
  | 'CreatePartitions'
  | 'ElectLeaders'
  | 'AlterConfigs'
  | 'IncrementalAlterConfigs'
  | 'AlterPartitionReassignments'
  | 'ListPartitionReassignments'
  | 'AlterPartition'
  | 'UpdateFeatures'
  | 'BrokerRegistration'
  | 'BrokerHeartbeat'
  | 'UnregisterBroker'
  | 'AllocateProducerIds'
  | 'ControllerRegistration'
  | 'CreateAcls'
  | 'DeleteAcls'

type Responses = {
  readonly [A in ControllerApi & ApiName]: (body: Apis[A]['request'], error: ApiError) => Apis[A]['response']
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
  ListPartitionReassignments: (_body, { error, message }) => ({
    throttleTimeMs,
    errorCode: error,
    errorMessage: message,
    topics: [],
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
}

/** The same for any API: those that the controller does not decide on have one error for all. */
export function anyErrorResponse<A extends ApiName>(
  api: A,
  body: Apis[A]['request'],
  error: ApiError,
): Apis[A]['response'] {
  if (Object.hasOwn(RESPONSES, api)) return errorResponse(api as never, body as never, error) as Apis[A]['response']
  return { ...(apiOf(api).response.defaults as object), errorCode: error.error } as Apis[A]['response']
}

export function errorResponse<A extends ControllerApi>(
  api: A,
  body: Apis[A]['request'],
  error: ApiError,
): Apis[A]['response'] {
  const make = RESPONSES[api] as (body: Apis[A]['request'], error: ApiError) => Apis[A]['response']
  return make(body, error)
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
