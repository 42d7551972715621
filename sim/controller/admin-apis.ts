/**
 * The requests of administrators: topics, elections, reassignments, settings, features (the part of Kafka's `ControllerApis` that
 * brokers forward).
 *
 * What is wrong with a request's form is answered item by item before anybody decides; a request that has nothing left is answered by any
 * controller.
 */

import type { MetadataImage } from '../kraft/metadata/image.js'
import { errorName, Errors } from '../wire/errors.js'
import { unregisterBroker } from './broker-transitions.js'
import type { ConfigOperation, ConfigResource, ResourceResult } from './config-control.js'
import type { ControllerConfig } from './controller-config.js'
import type { Asked, Handlers } from './controller-request.js'
import { answerDecision } from './controller-request.js'
import { apiError } from './controller-result.js'
import { findTopicsToDelete } from './delete-topics.js'
import { errorResponse } from './error-responses.js'
import { electLeaders } from './leader-elections.js'
import type { QuorumController } from './quorum-controller.js'
import { alterPartitionReassignments, listPartitionReassignments } from './reassignment-control.js'
import { createPartitions, createTopics, deleteTopics, failedTopic } from './topic-creation.js'
import { CLUSTER_METADATA_TOPIC } from './topic-names.js'

export interface AdminApisOptions {
  readonly controller: QuorumController
  readonly config: ControllerConfig
  /** Committed metadata. */
  readonly image: () => MetadataImage
}

const throttleTimeMs = 0

export function adminHandlers(options: AdminApisOptions): Handlers {
  const { controller } = options
  return {
    CreateTopics: (asked) => handleCreateTopics(controller, asked),
    DeleteTopics: (asked) => handleDeleteTopics(options, asked),
    CreatePartitions: (asked) => handleCreatePartitions(controller, asked),
    ElectLeaders: (asked) => handleElectLeaders(controller, asked),
    IncrementalAlterConfigs: (asked) => handleIncrementalAlterConfigs(controller, asked),
    AlterConfigs: (asked) => handleAlterConfigs(controller, asked),
    AlterPartitionReassignments: (asked) => handleAlterReassignments(controller, asked),
    ListPartitionReassignments: (asked) => asked.respond(listPartitionReassignments(options.image(), asked.body)),
    UpdateFeatures: (asked) => handleUpdateFeatures(controller, asked),
    UnregisterBroker: (asked) => handleUnregisterBroker(controller, asked),
  }
}

// ── topics ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function handleCreateTopics(controller: QuorumController, asked: Asked<'CreateTopics'>): void {
  const { body } = asked
  const { single, doubles } = byName(body.topics)
  const topics = single.filter(({ name }) => name !== CLUSTER_METADATA_TOPIC)
  const rest = doubles.map((name) => failedTopic(name, apiError(Errors.INVALID_REQUEST, TWICE)))
  if (topics.length < single.length) {
    const error = apiError(Errors.INVALID_REQUEST, `${CLUSTER_METADATA_TOPIC} is not for users`)
    rest.push(failedTopic(CLUSTER_METADATA_TOPIC, error))
  }
  if (topics.length === 0) return asked.respond({ throttleTimeMs, topics: rest })
  answerDecision(
    controller,
    'CreateTopics',
    asked,
    () => createTopics(controller.state, { ...body, topics }),
    (response) => ({ throttleTimeMs, topics: [...response.topics, ...rest] }),
  )
}

function handleDeleteTopics(options: AdminApisOptions, asked: Asked<'DeleteTopics'>): void {
  const { controller, config, image } = options
  if (!config['delete.topic.enable']) {
    return asked.respond(errorResponse('DeleteTopics', asked.body, apiError(Errors.TOPIC_DELETION_DISABLED)))
  }
  const { refused: responses, found } = findTopicsToDelete(image(), asked.body)
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

function handleCreatePartitions(controller: QuorumController, asked: Asked<'CreatePartitions'>): void {
  const { topics, validateOnly } = asked.body
  const { single, doubles } = byName(topics)
  const rest = doubles.map((name) => ({ name, errorCode: Errors.INVALID_REQUEST, errorMessage: TWICE }))
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

function handleIncrementalAlterConfigs(controller: QuorumController, asked: Asked<'IncrementalAlterConfigs'>): void {
  const { resources, validateOnly } = asked.body
  const { unique, responses } = uniqueResources(resources)
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

function handleAlterConfigs(controller: QuorumController, asked: Asked<'AlterConfigs'>): void {
  const { resources, validateOnly } = asked.body
  const { unique, responses } = uniqueResources(resources)
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
