/**
 * Questions about the cluster, answered from the broker's metadata cache: Metadata, DescribeCluster and
 * DescribeTopicPartitions (`KafkaApis`, `DescribeTopicPartitionsRequestHandler`). Nobody is unauthorized here: there is no
 * authorizer, so authorized operations are all operations.
 */

import { ZERO_UUID } from '../kraft/metadata/records.js'
import type { Apis } from '../wire/apis.js'
import { type ErrorCode, Errors } from '../wire/errors.js'
import type { IncomingRequestOf } from '../wire/request-server.js'
import type { ApiContext, ApiHandlers } from './api-context.js'
import {
  ALL_CLUSTER_OPERATIONS,
  ALL_TOPIC_OPERATIONS,
  type MetadataTopic,
  NO_AUTHORIZED_OPERATIONS,
  unknownTopicError,
} from './metadata-cache.js'
import { isInternalTopic } from './topic-names.js'

/** `EndpointType` in DescribeCluster. */
const BROKERS = 1
const CONTROLLERS = 2

export function metadataHandlers(context: ApiContext): ApiHandlers {
  return {
    Metadata: (request) => handleMetadata(context, request),
    DescribeCluster: (request) => request.respond(describeCluster(context, request.body)),
    DescribeTopicPartitions: (request) => request.respond(describeTopicPartitions(context, request.body)),
  }
}

function handleMetadata(context: ApiContext, request: IncomingRequestOf<'Metadata'>): void {
  const { metadata } = context
  const { body } = request
  const unknownIds: MetadataTopic[] = []
  const names = new Set<string>()
  if (body.topics === null) {
    for (const name of metadata.allTopics()) names.add(name)
  } else {
    const byId = body.topics.some((topic) => topic.topicId !== ZERO_UUID)
    for (const topic of body.topics) {
      // Once one topic is asked for by id, the others' names are not looked at.
      const name = byId ? metadata.topicName(topic.topicId) : topic.name
      if (name !== undefined && name !== null) names.add(name)
      else if (topic.topicId !== ZERO_UUID) unknownIds.push(unknownTopicId(topic.topicId))
    }
  }
  const topics = [...unknownIds, ...describeByName(context, request, names)]
  const withOperations = body.includeTopicAuthorizedOperations
  request.respond({
    throttleTimeMs: 0,
    brokers: metadata
      .aliveBrokers()
      .map((broker) => ({ nodeId: broker.id, host: broker.host, port: broker.port, rack: broker.rack })),
    clusterId: context.clusterId,
    controllerId: metadata.controllerId(),
    topics: withOperations
      ? topics.map((topic) => ({ ...topic, topicAuthorizedOperations: ALL_TOPIC_OPERATIONS }))
      : topics,
    clusterAuthorizedOperations: NO_AUTHORIZED_OPERATIONS,
    errorCode: Errors.NONE,
  })
}

/** Known topics, then those that are not: created when the broker and the request allow it. */
function describeByName(
  context: ApiContext,
  request: IncomingRequestOf<'Metadata'>,
  names: ReadonlySet<string>,
): readonly MetadataTopic[] {
  const { metadata, config, autoCreation } = context
  const { body } = request
  const known: MetadataTopic[] = []
  const missing: string[] = []
  for (const name of names) {
    const topic = metadata.topicMetadata(name)
    if (topic === undefined) missing.push(name)
    else known.push(topic)
  }
  if (missing.length === 0 || body.topics === null) return known
  if (body.allowAutoTopicCreation && config.current['auto.create.topics.enable']) {
    return [...known, ...autoCreation.create(missing, request)]
  }
  return [...known, ...missing.map(unknownTopicName)]
}

function unknownTopicName(name: string): MetadataTopic {
  return missingTopic(name, ZERO_UUID, unknownTopicError(name))
}

function unknownTopicId(id: string): MetadataTopic {
  return missingTopic(null, id, Errors.UNKNOWN_TOPIC_ID)
}

function missingTopic(name: string | null, topicId: string, errorCode: ErrorCode): MetadataTopic {
  return {
    errorCode,
    name,
    topicId,
    isInternal: name !== null && isInternalTopic(name),
    partitions: [],
    topicAuthorizedOperations: NO_AUTHORIZED_OPERATIONS,
  }
}

function describeCluster(
  context: ApiContext,
  body: Apis['DescribeCluster']['request'],
): Apis['DescribeCluster']['response'] {
  const { metadata } = context
  const { endpointType } = body
  const failure = (errorCode: ErrorCode, errorMessage: string): Apis['DescribeCluster']['response'] => ({
    throttleTimeMs: 0,
    errorCode,
    errorMessage,
    endpointType: BROKERS,
    clusterId: '',
    controllerId: -1,
    brokers: [],
    clusterAuthorizedOperations: NO_AUTHORIZED_OPERATIONS,
  })
  if (endpointType === CONTROLLERS) {
    return failure(Errors.MISMATCHED_ENDPOINT_TYPE, 'controllers are asked about, and this is a broker')
  }
  if (endpointType !== BROKERS) {
    return failure(Errors.UNSUPPORTED_ENDPOINT_TYPE, `endpoint type ${endpointType} is not known`)
  }
  return {
    throttleTimeMs: 0,
    errorCode: Errors.NONE,
    errorMessage: null,
    endpointType: BROKERS,
    clusterId: context.clusterId,
    controllerId: metadata.controllerId(),
    brokers: (body.includeFencedBrokers ? metadata.brokers() : metadata.aliveBrokers()).map((broker) => ({
      brokerId: broker.id,
      host: broker.host,
      port: broker.port,
      rack: broker.rack,
      isFenced: broker.fenced,
    })),
    clusterAuthorizedOperations: body.includeClusterAuthorizedOperations
      ? ALL_CLUSTER_OPERATIONS
      : NO_AUTHORIZED_OPERATIONS,
  }
}

/** Topics are answered in the order of their names, from the cursor on. */
function describeTopicPartitions(
  context: ApiContext,
  body: Apis['DescribeTopicPartitions']['request'],
): Apis['DescribeTopicPartitions']['response'] {
  const { metadata, config } = context
  const { cursor } = body
  const all = body.topics.length === 0
  const first = cursor?.topicName ?? ''
  const asked = all ? metadata.allTopics() : body.topics.map((topic) => topic.name)
  const names = [...new Set(asked)].filter((name) => name >= first).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const badCursor = cursor !== null && (cursor.partitionIndex < 0 || (!all && !names.includes(cursor.topicName)))
  if (badCursor) {
    const topics = body.topics.map(({ name }) => ({
      errorCode: Errors.INVALID_REQUEST,
      name,
      topicId: ZERO_UUID,
      isInternal: false,
      partitions: [],
      topicAuthorizedOperations: NO_AUTHORIZED_OPERATIONS,
    }))
    return { throttleTimeMs: 0, topics, nextCursor: null }
  }
  const limit = Math.max(1, Math.min(config.current['max.request.partition.size.limit'], body.responsePartitionLimit))
  const start = (topic: string): number => (cursor !== null && topic === cursor.topicName ? cursor.partitionIndex : 0)
  return { throttleTimeMs: 0, ...metadata.describeTopics(names, start, limit, all) }
}
