/**
 * The requests of administrators: topics, elections, reassignments, settings, features (the part of Kafka's `ControllerApis` that
 * brokers forward).
 *
 * What is wrong with a request's form is answered item by item before anybody decides; a request that has nothing left is answered by any
 * controller.
 */

import { AclOperation } from '../kraft/metadata/acl.js'
import type { MetadataImage } from '../kraft/metadata/image.js'
import { RESOURCE_BROKER, RESOURCE_TOPIC } from '../kraft/metadata/records.js'
import type { Requester, RequestAuthorizer } from '../kraft/metadata/request-authorizer.js'
import { errorResponse, failedTopic } from '../wire/error-response.js'
import { errorName, Errors } from '../wire/errors.js'
import type { CreatePartitionsTopicResult } from '../wire/messages/create-partitions.js'
import type { CreatableTopicResult } from '../wire/messages/create-topics.js'
import { aclHandlers } from './acl-apis.js'
import { unregisterBroker } from './broker-transitions.js'
import type { ConfigOperation, ConfigResource, ResourceResult } from './config-control.js'
import type { ControllerConfig } from './controller-config.js'
import type { Asked, Handlers } from './controller-request.js'
import { answerDecision } from './controller-request.js'
import { apiError } from './controller-result.js'
import { findTopicsToDelete } from './delete-topics.js'
import { electLeaders } from './leader-elections.js'
import type { QuorumController } from './quorum-controller.js'
import { alterPartitionReassignments, listPartitionReassignments } from './reassignment-control.js'
import { createPartitions, createTopics, deleteTopics } from './topic-creation.js'
import { CLUSTER_METADATA_TOPIC } from './topic-names.js'

export interface AdminApisOptions {
  readonly controller: QuorumController
  readonly config: ControllerConfig
  /** Committed metadata. */
  readonly image: () => MetadataImage
  readonly auth: RequestAuthorizer
}

const throttleTimeMs = 0
const TOPIC_DENIED = apiError(Errors.TOPIC_AUTHORIZATION_FAILED, 'the sender may not create it')
/** `ConfigResource.Type`, those that are not modelled in metadata. */
const RESOURCE_CLIENT_METRICS = 16
const RESOURCE_GROUP = 32

export function adminHandlers(options: AdminApisOptions): Handlers {
  const { controller, auth } = options
  return {
    ...aclHandlers(controller, auth),
    CreateTopics: (asked) => handleCreateTopics(options, asked),
    DeleteTopics: (asked) => handleDeleteTopics(options, asked),
    CreatePartitions: (asked) => handleCreatePartitions(options, asked),
    ElectLeaders: (asked) => handleElectLeaders(controller, asked),
    IncrementalAlterConfigs: (asked) => handleIncrementalAlterConfigs(options, asked),
    AlterConfigs: (asked) => handleAlterConfigs(options, asked),
    AlterPartitionReassignments: (asked) => handleAlterReassignments(controller, asked),
    ListPartitionReassignments: (asked) => asked.respond(listPartitionReassignments(options.image(), asked.body)),
    UpdateFeatures: (asked) => handleUpdateFeatures(controller, asked),
    UnregisterBroker: (asked) => handleUnregisterBroker(controller, asked),
  }
}

// ── topics ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function handleCreateTopics({ controller, auth }: AdminApisOptions, asked: Asked<'CreateTopics'>): void {
  const { body } = asked
  const { single, doubles } = byName(body.topics)
  const forUsers = single.filter(({ name }) => name !== CLUSTER_METADATA_TOPIC)
  const rest = doubles.map((name) => failedTopic(name, apiError(Errors.INVALID_REQUEST, TWICE)))
  if (forUsers.length < single.length) {
    const error = apiError(Errors.INVALID_REQUEST, `${CLUSTER_METADATA_TOPIC} is not for users`)
    rest.push(failedTopic(CLUSTER_METADATA_TOPIC, error))
  }
  const names = forUsers.map(({ name }) => name)
  const mayCreateAny = auth.onCluster(asked, AclOperation.CREATE, 'quietly')
  const creatable = mayCreateAny ? new Set(names) : auth.topics(asked, AclOperation.CREATE, names)
  const topics = forUsers.filter(({ name }) => creatable.has(name))
  for (const name of names) if (!creatable.has(name)) rest.push(failedTopic(name, TOPIC_DENIED))
  if (topics.length === 0) return asked.respond({ throttleTimeMs, topics: rest })
  const mayShow = (name: string): boolean => auth.onTopic(asked, AclOperation.DESCRIBE_CONFIGS, name, 'quietly')
  answerDecision(
    controller,
    'CreateTopics',
    asked,
    () => createTopics(controller.state, { ...body, topics }),
    (response) => ({
      throttleTimeMs,
      topics: [...response.topics.map((topic) => (mayShow(topic.name) ? topic : withoutConfigs(topic))), ...rest],
    }),
  )
}

/** What a creator is told who may not see the topic's settings. */
function withoutConfigs(topic: CreatableTopicResult): CreatableTopicResult {
  if (topic.errorCode !== Errors.NONE) return topic
  const topicConfigErrorCode = Errors.TOPIC_AUTHORIZATION_FAILED
  return { ...topic, topicConfigErrorCode, numPartitions: -1, replicationFactor: -1, configs: [] }
}

function handleDeleteTopics(options: AdminApisOptions, asked: Asked<'DeleteTopics'>): void {
  const { controller, config, image, auth } = options
  if (!config['delete.topic.enable']) {
    return asked.respond(errorResponse('DeleteTopics', asked.body, apiError(Errors.TOPIC_DELETION_DISABLED)))
  }
  const { refused: responses, found } = findTopicsToDelete(image(), asked.body, (names) => {
    if (auth.onCluster(asked, AclOperation.DELETE, 'quietly')) return { describable: names, deletable: names }
    const describable = auth.topics(asked, AclOperation.DESCRIBE, names)
    return { describable, deletable: auth.topics(asked, AclOperation.DELETE, names) }
  })
  if (found.size === 0) return asked.respond({ throttleTimeMs, responses })
  answerDecision(
    controller,
    'DeleteTopics',
    asked,
    () => deleteTopics(controller.state, [...found.keys()]),
    (results) => ({
      throttleTimeMs,
      responses: [
        ...responses,
        ...[...results].map(([topicId, { error, message }]) => ({
          name: found.get(topicId) ?? null,
          topicId,
          errorCode: error,
          errorMessage: message,
        })),
      ],
    }),
  )
}

function handleCreatePartitions({ controller, auth }: AdminApisOptions, asked: Asked<'CreatePartitions'>): void {
  const { topics, validateOnly } = asked.body
  const named = byName(topics)
  const rest: CreatePartitionsTopicResult[] = named.doubles.map((name) => ({
    name,
    errorCode: Errors.INVALID_REQUEST,
    errorMessage: TWICE,
  }))
  const single = named.single.filter(({ name }) => {
    if (auth.onTopic(asked, AclOperation.ALTER, name)) return true
    rest.push({ name, errorCode: Errors.TOPIC_AUTHORIZATION_FAILED, errorMessage: null })
    return false
  })
  if (single.length === 0) return asked.respond({ throttleTimeMs, results: rest })
  answerDecision(
    controller,
    'CreatePartitions',
    asked,
    () => createPartitions(controller.state, single, validateOnly),
    (results) => ({ throttleTimeMs, results: [...rest, ...results] }),
  )
}

// ── leaders and replicas ────────────────────────────────────────────────────────────────────────────────────────────

function handleElectLeaders(controller: QuorumController, asked: Asked<'ElectLeaders'>): void {
  if (asked.body.topicPartitions?.length === 0) {
    return asked.respond({ throttleTimeMs, errorCode: Errors.NONE, replicaElectionResults: [] })
  }
  answerDecision(controller, 'ElectLeaders', asked, () => electLeaders(controller.state, asked.body), identity)
}

function handleAlterReassignments(controller: QuorumController, asked: Asked<'AlterPartitionReassignments'>): void {
  const { topics, allowReplicationFactorChange } = asked.body
  if (topics.length === 0) {
    const empty = { throttleTimeMs, allowReplicationFactorChange, errorCode: Errors.NONE, errorMessage: null }
    return asked.respond({ ...empty, responses: [] })
  }
  answerDecision(
    controller,
    'AlterPartitionReassignments',
    asked,
    () => alterPartitionReassignments(controller.state, asked.body),
    identity,
  )
}

function handleUnregisterBroker(controller: QuorumController, asked: Asked<'UnregisterBroker'>): void {
  answerDecision(
    controller,
    'UnregisterBroker',
    asked,
    () => unregisterBroker(controller.state, asked.body.brokerId),
    () => ({ throttleTimeMs, errorCode: Errors.NONE, errorMessage: null }),
  )
}

// ── settings and features ───────────────────────────────────────────────────────────────────────────────────────────

function handleIncrementalAlterConfigs(options: AdminApisOptions, asked: Asked<'IncrementalAlterConfigs'>): void {
  const { controller } = options
  const { resources, validateOnly } = asked.body
  const { unique, responses } = alterableResources(options.auth, asked, resources)
  const changes = unique.map(({ resource, configs }) => ({ resource, operations: lastOfEachName(configs) }))
  if (changes.length === 0) return asked.respond({ throttleTimeMs, responses })
  answerDecision(
    controller,
    'IncrementalAlterConfigs',
    asked,
    () => withoutRecords(controller.state.configs.incrementalAlterConfigs(changes), validateOnly),
    (results) => ({ throttleTimeMs, responses: [...responses, ...results.map(resourceResponse)] }),
  )
}

function handleAlterConfigs(options: AdminApisOptions, asked: Asked<'AlterConfigs'>): void {
  const { controller } = options
  const { resources, validateOnly } = asked.body
  const { unique, responses } = alterableResources(options.auth, asked, resources)
  const changes = unique.map(({ resource, configs }) => ({
    resource,
    configs: new Map(configs.map(({ name, value }) => [name, value] as const)),
  }))
  if (changes.length === 0) return asked.respond({ throttleTimeMs, responses })
  answerDecision(
    controller,
    'AlterConfigs',
    asked,
    () => withoutRecords(controller.state.configs.legacyAlterConfigs(changes), validateOnly),
    (results) => ({ throttleTimeMs, responses: [...responses, ...results.map(resourceResponse)] }),
  )
}

function handleUpdateFeatures(controller: QuorumController, asked: Asked<'UpdateFeatures'>): void {
  const { featureUpdates, validateOnly } = asked.body
  const updates = featureUpdates.map(({ feature, maxVersionLevel, upgradeType }) => ({
    feature,
    level: maxVersionLevel,
    upgradeType,
  }))
  answerDecision(
    controller,
    'UpdateFeatures',
    asked,
    () => controller.state.configs.updateFeatures(updates, validateOnly, controller.state.support),
    ({ error, message }) => ({
      throttleTimeMs,
      errorCode: error,
      errorMessage: error === Errors.NONE ? null : `nothing was changed: ${message ?? errorName(error)}`,
      // Since version 2 features succeed or fail together.
      results:
        error === Errors.NONE && asked.version <= 1
          ? updates.map(({ feature }) => ({ feature, errorCode: error, errorMessage: null }))
          : [],
    }),
  )
}

// ── form ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const TWICE = 'named twice in one request'

/** Items whose name is given once, and the names that are given more often. */
function byName<T extends { readonly name: string }>(items: readonly T[]): { single: T[]; doubles: string[] } {
  const counts = new Map<string, number>()
  for (const { name } of items) counts.set(name, (counts.get(name) ?? 0) + 1)
  return {
    single: items.filter(({ name }) => counts.get(name) === 1),
    doubles: [...counts].filter(([, count]) => count > 1).map(([name]) => name),
  }
}

interface ResourceResponse {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly resourceType: number
  readonly resourceName: string
}

interface AskedResource<C> {
  readonly resourceType: number
  readonly resourceName: string
  readonly configs: readonly C[]
}

/** Resources named once; those named more often are answered at once. */
function uniqueResources<C>(resources: readonly AskedResource<C>[]): {
  unique: { resource: ConfigResource; configs: readonly C[] }[]
  responses: ResourceResponse[]
} {
  const named = resources.map((each) => ({ ...each, name: `${each.resourceType}:${each.resourceName}` }))
  const { single, doubles } = byName(named)
  const responses = doubles.map((double) => {
    const { resourceType, resourceName } = named.find(({ name }) => name === double) as AskedResource<C>
    return { errorCode: Errors.INVALID_REQUEST, errorMessage: TWICE, resourceType, resourceName }
  })
  const unique = single.map(({ resourceType, resourceName, configs }) => ({
    resource: { type: resourceType, name: resourceName },
    configs,
  }))
  return { unique, responses }
}

/** Of those, the ones whose settings the sender may change; the others are answered at once. */
function alterableResources<C>(
  auth: RequestAuthorizer,
  asked: Requester,
  resources: readonly AskedResource<C>[],
): ReturnType<typeof uniqueResources<C>> {
  const { unique, responses } = uniqueResources(resources)
  const alterable = unique.filter(({ resource }) => {
    const error = alterError(auth, asked, resource)
    if (error === Errors.NONE) return true
    responses.push({
      errorCode: error,
      errorMessage: null,
      resourceType: resource.type,
      resourceName: resource.name,
    })
    return false
  })
  return { unique: alterable, responses }
}

function alterError(auth: RequestAuthorizer, asked: Requester, { type, name }: ConfigResource): number {
  const { ALTER_CONFIGS } = AclOperation
  switch (type) {
    case RESOURCE_TOPIC:
      return auth.onTopic(asked, ALTER_CONFIGS, name) ? Errors.NONE : Errors.TOPIC_AUTHORIZATION_FAILED
    case RESOURCE_GROUP:
      return auth.onGroup(asked, ALTER_CONFIGS, name) ? Errors.NONE : Errors.GROUP_AUTHORIZATION_FAILED
    case RESOURCE_BROKER:
    case RESOURCE_CLIENT_METRICS:
      return auth.onCluster(asked, ALTER_CONFIGS) ? Errors.NONE : Errors.CLUSTER_AUTHORIZATION_FAILED
    default:
      // What is no resource at all is told by whoever would change it.
      return Errors.NONE
  }
}

function lastOfEachName(
  configs: readonly { readonly name: string; readonly configOperation: number; readonly value: string | null }[],
): ConfigOperation[] {
  const operations = new Map<string, ConfigOperation>()
  for (const { name, configOperation, value } of configs) {
    operations.set(name, { name, operation: configOperation, value })
  }
  return [...operations.values()]
}

function resourceResponse({ resource, error }: ResourceResult): ResourceResponse {
  return {
    errorCode: error.error,
    errorMessage: error.message,
    resourceType: resource.type,
    resourceName: resource.name,
  }
}

function withoutRecords<T extends { readonly records: readonly unknown[] }>(result: T, validateOnly: boolean): T {
  return validateOnly ? { ...result, records: [] } : result
}

function identity<T>(response: T): T {
  return response
}
