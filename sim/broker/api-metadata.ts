/**
 * Questions about the cluster, answered from the broker's metadata cache: Metadata, DescribeCluster and
 * DescribeTopicPartitions (`KafkaApis`, `DescribeTopicPartitionsRequestHandler`). Who may not describe a topic is told
 * TOPIC_AUTHORIZATION_FAILED whether it exists or not, or nothing when all topics were asked for. Who may describe but not create one
 * that is missing is told the same.
 */

import { AclOperation, CLUSTER_NAME, ResourceType } from '../kraft/metadata/acl.js'
import { ZERO_UUID } from '../kraft/metadata/records.js'
import { describeAcls } from '../kraft/metadata/describe-acls.js'
import type { Requester } from '../kraft/metadata/request-authorizer.js'
import type { Apis } from '../wire/apis.js'
import { type ErrorCode, Errors } from '../wire/errors.js'
import type { IncomingRequestOf } from '../wire/request-server.js'
import type { ApiContext, ApiHandlers } from './api-context.js'
import { type MetadataTopic, NO_AUTHORIZED_OPERATIONS, unknownTopicError } from './metadata-cache.js'
import { isInternalTopic } from './topic-names.js'

/** `EndpointType` in DescribeCluster. */
const BROKERS = 1
const CONTROLLERS = 2

export function metadataHandlers(context: ApiContext): ApiHandlers {
  return {
    Metadata: (request) => handleMetadata(context, request),
    DescribeCluster: (request) => request.respond(describeCluster(context, request)),
    DescribeTopicPartitions: (request) => request.respond(describeTopicPartitions(context, request)),
    DescribeAcls: (request) => request.respond(describeAclsFor(context, request)),
  }
}

function handleMetadata(context: ApiContext, request: IncomingRequestOf<'Metadata'>): void {
  const { metadata, auth } = context
  const { body } = request
  const unknownIds: MetadataTopic[] = []
  const names = new Set<string>()
  let byId = false
  if (body.topics === null) {
    for (const name of metadata.allTopics()) names.add(name)
  } else {
    byId = body.topics.some((topic) => topic.topicId !== ZERO_UUID)
    for (const topic of body.topics) {
      // Once one topic is asked for by id, the others' names are not looked at.
      const name = byId ? metadata.topicName(topic.topicId) : topic.name
      if (name !== undefined && name !== null) names.add(name)
      else if (topic.topicId !== ZERO_UUID) unknownIds.push(unknownTopicId(topic.topicId))
    }
  }
  const describable = auth.topics(request, AclOperation.DESCRIBE, names, body.topics === null ? 'quietly' : 'told')
  const denied =
    body.topics === null
      ? []
      : [...names].filter((name) => !describable.has(name)).map((name) => deniedTopic(context, name, byId))
  const { described, uncreatable } = describeByName(context, request, describable)
  const withOperations = body.includeTopicAuthorizedOperations
  const topics = withOperations
    ? described.map((topic) => withAuthorizedOperations(context, request, topic))
    : described
  request.respond({
    throttleTimeMs: 0,
    brokers: metadata
      .aliveBrokers()
      .map((broker) => ({ nodeId: broker.id, host: broker.host, port: broker.port, rack: broker.rack })),
    clusterId: context.clusterId,
    controllerId: metadata.controllerId(),
    topics: [...unknownIds, ...topics, ...uncreatable, ...denied],
    clusterAuthorizedOperations: NO_AUTHORIZED_OPERATIONS,
    errorCode: Errors.NONE,
  })
}

/** The topic is not to be known of: the id of one that was asked for by id is no secret, its name is. */
function deniedTopic({ metadata }: ApiContext, name: string, byId: boolean): MetadataTopic {
  const id = byId ? metadata.image.topicsByName.get(name)?.id : undefined
  return {
    errorCode: Errors.TOPIC_AUTHORIZATION_FAILED,
    name: byId ? null : name,
    topicId: id ?? ZERO_UUID,
    isInternal: false,
    partitions: [],
    topicAuthorizedOperations: NO_AUTHORIZED_OPERATIONS,
  }
}

function withAuthorizedOperations({ auth }: ApiContext, request: Requester, topic: MetadataTopic): MetadataTopic {
  return { ...topic, topicAuthorizedOperations: auth.operations(request, ResourceType.TOPIC, topic.name ?? '') }
}

/** Known topics, then those that are not: created when the broker, the request and the sender's permissions allow it. */
function describeByName(
  context: ApiContext,
  request: IncomingRequestOf<'Metadata'>,
  names: ReadonlySet<string>,
): { readonly described: readonly MetadataTopic[]; readonly uncreatable: readonly MetadataTopic[] } {
  const { metadata, config, autoCreation, auth } = context
  const { body } = request
  const known: MetadataTopic[] = []
  const missing: string[] = []
  for (const name of names) {
    const topic = metadata.topicMetadata(name)
    if (topic === undefined) missing.push(name)
    else known.push(topic)
  }
  if (missing.length === 0 || body.topics === null) return { described: known, uncreatable: [] }
  if (!body.allowAutoTopicCreation || !config.current['auto.create.topics.enable']) {
    return { described: [...known, ...missing.map(unknownTopicName)], uncreatable: [] }
  }
  const { CREATE } = AclOperation
  const creatable = auth.onCluster(request, CREATE, 'quietly')
    ? new Set(missing)
    : auth.topics(request, CREATE, missing)
  const created = creatable.size === 0 ? [] : autoCreation.create([...creatable], request)
  const uncreatable = missing
    .filter((name) => !creatable.has(name))
    .map((name) => missingTopic(name, ZERO_UUID, Errors.TOPIC_AUTHORIZATION_FAILED))
  return { described: [...known, ...created], uncreatable }
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
  request: IncomingRequestOf<'DescribeCluster'>,
): Apis['DescribeCluster']['response'] {
  const { metadata, auth } = context
  const { body } = request
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
    clusterAuthorizedOperations: !body.includeClusterAuthorizedOperations
      ? NO_AUTHORIZED_OPERATIONS
      : auth.onCluster(request, AclOperation.DESCRIBE)
        ? auth.operations(request, ResourceType.CLUSTER, CLUSTER_NAME)
        : 0,
  }
}

function describeAclsFor(
  { auth }: ApiContext,
  request: IncomingRequestOf<'DescribeAcls'>,
): Apis['DescribeAcls']['response'] {
  if (auth.onCluster(request, AclOperation.DESCRIBE)) return describeAcls(auth, request.body)
  return { throttleTimeMs: 0, errorCode: Errors.CLUSTER_AUTHORIZATION_FAILED, errorMessage: null, resources: [] }
}

/** Topics are answered in the order of their names, from the cursor on. */
function describeTopicPartitions(
  context: ApiContext,
  request: IncomingRequestOf<'DescribeTopicPartitions'>,
): Apis['DescribeTopicPartitions']['response'] {
  const { metadata, config, auth } = context
  const { body } = request
  const { cursor } = body
  const all = body.topics.length === 0
  const first = cursor?.topicName ?? ''
  const asked = all ? metadata.allTopics() : body.topics.map((topic) => topic.name)
  const names = [...new Set(asked)].filter((name) => name >= first).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const badCursor = cursor !== null && (cursor.partitionIndex < 0 || (!all && !names.includes(cursor.topicName)))
  if (badCursor) {
    const topics = body.topics.map(({ name }) => undescribed(name, Errors.INVALID_REQUEST))
    return { throttleTimeMs: 0, topics, nextCursor: null }
  }
  const describable = auth.topics(request, AclOperation.DESCRIBE, names)
  const denied = all
    ? []
    : names.filter((name) => !describable.has(name)).map((name) => undescribed(name, Errors.TOPIC_AUTHORIZATION_FAILED))
  const limit = Math.max(1, Math.min(config.current['max.request.partition.size.limit'], body.responsePartitionLimit))
  const start = (topic: string): number => (cursor !== null && topic === cursor.topicName ? cursor.partitionIndex : 0)
  const { topics, nextCursor } = metadata.describeTopics([...describable], start, limit, all)
  const withOperations = topics.map((topic) => ({
    ...topic,
    topicAuthorizedOperations: auth.operations(request, ResourceType.TOPIC, topic.name ?? ''),
  }))
  return { throttleTimeMs: 0, topics: [...withOperations, ...denied], nextCursor }
}

function undescribed(
  name: string,
  errorCode: ErrorCode,
): Apis['DescribeTopicPartitions']['response']['topics'][number] {
  return {
    errorCode,
    name,
    topicId: ZERO_UUID,
    isInternal: false,
    partitions: [],
    topicAuthorizedOperations: NO_AUTHORIZED_OPERATIONS,
  }
}
