/**
 * The requests that a controller answers (Kafka's `ControllerApis`).
 *
 * Requests of the quorum go to the raft client. Decisions go to the active controller; elsewhere they are answered with
 * NOT_CONTROLLER, except what only reads committed metadata. An Envelope holds a client's request that a broker passes on, as bytes;
 * its answer comes back the same way, and NOT_CONTROLLER as the envelope's own error, so that the broker looks for
 * the controller again. A request whose timeout is over when it arrives is answered with REQUEST_TIMED_OUT.
 */

import { nodeName } from '../kernel/names.js'
import type { NodeId } from '../kernel/units.js'
import type { MetadataImage } from '../kraft/metadata/image.js'
import { imageMetadataVersion } from '../kraft/metadata/image.js'
import { KRAFT_FEATURE, SUPPORTED_FEATURES } from '../kraft/metadata/metadata-version.js'
import type { ApiName, Apis } from '../wire/apis.js'
import { API_TABLE, apiOf } from '../wire/apis.js'
import { errorName, Errors } from '../wire/errors.js'
import { BytesFrame, openRequest, ResponseFrame, type RequestFrame } from '../wire/frame.js'
import { MalformedBytes } from '../wire/primitives.js'
import type { IncomingRequest, IncomingRequestOf } from '../wire/request-server.js'
import { alterPartition } from './alter-partition.js'
import { processBrokerHeartbeat, unregisterBroker, brokerShutdown } from './broker-transitions.js'
import type { ConfigOperation, ConfigResource, ResourceResult } from './config-control.js'
import type { ControllerConfig } from './controller-config.js'
import type { ApiError, Decision } from './controller-result.js'
import { apiError, refused } from './controller-result.js'
import { PRODUCER_ID_BLOCK_SIZE } from './controller-state.js'
import { findTopicsToDelete } from './delete-topics.js'
import type { ControllerApi } from './error-responses.js'
import { errorResponse } from './error-responses.js'
import { electLeaders } from './leader-elections.js'
import type { Outcome, QuorumController } from './quorum-controller.js'
import { alterPartitionReassignments, listPartitionReassignments } from './reassignment-control.js'
import { createPartitions, createTopics, deleteTopics, failedTopic } from './topic-creation.js'
import { CLUSTER_METADATA_TOPIC } from './topic-names.js'

/** Requests that the raft client answers. */
export type RaftApiRequest = Extract<
  IncomingRequest,
  { api: 'Vote' | 'BeginQuorumEpoch' | 'EndQuorumEpoch' | 'Fetch' | 'FetchSnapshot' | 'DescribeQuorum' }
>

export interface ControllerApisOptions {
  readonly controller: QuorumController
  readonly clusterId: string
  readonly config: ControllerConfig
  /** Committed metadata. */
  readonly image: () => MetadataImage
  /** -1 for none. */
  readonly leaderId: () => NodeId
  readonly raft: (request: RaftApiRequest) => void
}

/** What a handler needs of a request: one that came by itself, or one out of an envelope. */
interface Asked<A extends ApiName> {
  readonly version: number
  readonly body: Apis[A]['request']
  respond(body: Apis[A]['response']): void
}

const throttleTimeMs = 0
/** Since this version a registration tells how the broker's previous run ended (KIP-966). */
const FIRST_REGISTRATION_WITH_PREVIOUS_EPOCH = 3
const ENDPOINT_CONTROLLERS = 2
const NO_AUTHORIZED_OPERATIONS = -2_147_483_648

export class ControllerApis {
  readonly #options: ControllerApisOptions
  readonly #controller: QuorumController

  constructor(options: ControllerApisOptions) {
    this.#options = options
    this.#controller = options.controller
  }

  readonly handle = (request: IncomingRequest): void => {
    switch (request.api) {
      case 'Vote':
      case 'BeginQuorumEpoch':
      case 'EndQuorumEpoch':
      case 'Fetch':
      case 'FetchSnapshot':
      case 'DescribeQuorum':
        return this.#options.raft(request)
      case 'Envelope':
        return this.#envelope(request)
      default:
        if (!this.#answer(request)) request.closeConnection()
    }
  }

  /** False when the API is not one of the controller's. */
  #answer(request: IncomingRequest): boolean {
    switch (request.api) {
      case 'BrokerHeartbeat':
        this.#heartbeat(request)
        return true
      case 'AlterPartition':
        this.#alterPartition(request)
        return true
      case 'BrokerRegistration':
        this.#registerBroker(request)
        return true
      case 'AllocateProducerIds':
        this.#allocateProducerIds(request)
        return true
      case 'ControllerRegistration':
        this.#decide('ControllerRegistration', request, () => this.#state.cluster.registerController(request.body), () => ({
          throttleTimeMs,
          errorCode: Errors.NONE,
          errorMessage: null,
        }))
        return true
      case 'ApiVersions':
        this.#apiVersions(request)
        return true
      case 'DescribeCluster':
        this.#describeCluster(request)
        return true
      default:
        return this.#answerAdmin(request)
    }
  }

  #answerAdmin(request: IncomingRequest): boolean {
    switch (request.api) {
      case 'CreateTopics':
        this.#createTopics(request)
        return true
      case 'DeleteTopics':
        this.#deleteTopics(request)
        return true
      case 'CreatePartitions':
        this.#createPartitions(request)
        return true
      case 'ElectLeaders':
        this.#electLeaders(request)
        return true
      case 'IncrementalAlterConfigs':
        this.#incrementalAlterConfigs(request)
        return true
      case 'AlterConfigs':
        this.#alterConfigs(request)
        return true
      case 'AlterPartitionReassignments':
        this.#alterReassignments(request)
        return true
      case 'ListPartitionReassignments':
        request.respond(listPartitionReassignments(this.#options.image(), request.body))
        return true
      case 'UpdateFeatures':
        this.#updateFeatures(request)
        return true
      case 'UnregisterBroker':
        this.#decide(
          'UnregisterBroker',
          request,
          () => unregisterBroker(this.#state, request.body.brokerId),
          () => ({ throttleTimeMs, errorCode: Errors.NONE, errorMessage: null }),
        )
        return true
      default:
        return false
    }
  }

  get #state(): QuorumController['state'] {
    return this.#controller.state
  }

  /** Lets the active controller decide, and answers with what it gives, or with its refusal. */
  #decide<A extends ControllerApi, T>(
    api: A,
    asked: Asked<A>,
    decide: () => Decision<T>,
    answer: (response: T) => Apis[A]['response'],
    appended?: (offset: number) => void,
  ): void {
    const done = (outcome: Outcome<T>): void => {
      asked.respond('refused' in outcome ? errorResponse(api, asked.body, outcome.refused) : answer(outcome.response))
    }
    const timeoutMs = (asked.body as { readonly timeoutMs?: number }).timeoutMs
    if (timeoutMs !== undefined && timeoutMs <= 0 && HAS_DEADLINE.has(api)) {
      return done(refused(Errors.REQUEST_TIMED_OUT))
    }
    this.#controller.write(decide, done, appended)
  }

  // ── brokers ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #heartbeat(asked: Asked<'BrokerHeartbeat'>): void {
    const { body } = asked
    const { brokerId, brokerEpoch } = body
    const { cluster } = this.#state
    cluster.trackHeartbeat(brokerId, brokerEpoch)
    let inControlledShutdown = false
    this.#decide(
      'BrokerHeartbeat',
      asked,
      () => {
        const registrationOffset = cluster.registrationOffset(brokerId)
        if (registrationOffset < 0) return refused(Errors.STALE_BROKER_EPOCH, `broker ${brokerId} is not registered`)
        const decision = processBrokerHeartbeat(this.#state, body, registrationOffset)
        if ('response' in decision) inControlledShutdown = decision.response.inControlledShutdown
        return decision
      },
      ({ isCaughtUp, isFenced, shouldShutDown }) => ({
        throttleTimeMs,
        errorCode: Errors.NONE,
        isCaughtUp,
        isFenced,
        shouldShutDown,
      }),
      (offset) => {
        if (inControlledShutdown) cluster.heartbeats.setControlledShutdownOffset(brokerId, offset)
      },
    )
  }

  #registerBroker(asked: Asked<'BrokerRegistration'>): void {
    this.#decide(
      'BrokerRegistration',
      asked,
      () =>
        this.#state.cluster.registerBroker(
          asked.body,
          this.#controller.nextWriteOffset,
          asked.version >= FIRST_REGISTRATION_WITH_PREVIOUS_EPOCH,
          (broker, clean, records) => brokerShutdown(this.#state, broker, clean, records),
        ),
      (brokerEpoch) => ({ throttleTimeMs, errorCode: Errors.NONE, brokerEpoch }),
    )
  }

  #alterPartition(asked: Asked<'AlterPartition'>): void {
    if (asked.body.topics.length === 0) {
      return asked.respond({ throttleTimeMs, errorCode: Errors.NONE, topics: [] })
    }
    this.#decide('AlterPartition', asked, () => alterPartition(this.#state, asked.body, asked.version), identity)
  }

  #allocateProducerIds(asked: Asked<'AllocateProducerIds'>): void {
    this.#decide(
      'AllocateProducerIds',
      asked,
      () => this.#state.allocateProducerIds(asked.body),
      (producerIdStart) => ({
        throttleTimeMs,
        errorCode: Errors.NONE,
        producerIdStart,
        producerIdLen: PRODUCER_ID_BLOCK_SIZE,
      }),
    )
  }

  // ── administration ────────────────────────────────────────────────────────────────────────────────────────────────

  #createTopics(asked: Asked<'CreateTopics'>): void {
    const { body } = asked
    const counts = new Map<string, number>()
    for (const { name } of body.topics) counts.set(name, (counts.get(name) ?? 0) + 1)
    const topics = body.topics.filter(({ name }) => counts.get(name) === 1 && name !== CLUSTER_METADATA_TOPIC)
    const rest = [...counts].flatMap(([name, count]) => {
      if (count > 1) return [failedTopic(name, apiError(Errors.INVALID_REQUEST, 'a topic name twice'))]
      if (name !== CLUSTER_METADATA_TOPIC) return []
      return [failedTopic(name, apiError(Errors.INVALID_REQUEST, `${name} is not for users`))]
    })
    if (topics.length === 0) return asked.respond({ throttleTimeMs, topics: rest })
    this.#decide(
      'CreateTopics',
      asked,
      () => createTopics(this.#state, { ...body, topics }),
      (response) => ({ throttleTimeMs, topics: [...response.topics, ...rest] }),
    )
  }

  #deleteTopics(asked: Asked<'DeleteTopics'>): void {
    if (!this.#options.config['delete.topic.enable']) {
      const error = apiError(Errors.TOPIC_DELETION_DISABLED)
      return asked.respond(errorResponse('DeleteTopics', asked.body, error))
    }
    const { refused: responses, found } = findTopicsToDelete(this.#options.image(), asked.body)
    if (found.size === 0) return asked.respond({ throttleTimeMs, responses })
    this.#decide(
      'DeleteTopics',
      asked,
      () => deleteTopics(this.#state, [...found.keys()]),
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

  #createPartitions(asked: Asked<'CreatePartitions'>): void {
    const { topics, validateOnly } = asked.body
    const counts = new Map<string, number>()
    for (const { name } of topics) counts.set(name, (counts.get(name) ?? 0) + 1)
    const single = topics.filter(({ name }) => counts.get(name) === 1)
    const doubles = [...counts]
      .filter(([, count]) => count > 1)
      .map(([name]) => ({ name, errorCode: Errors.INVALID_REQUEST, errorMessage: 'a topic name twice' }))
    if (single.length === 0) return asked.respond({ throttleTimeMs, results: doubles })
    this.#decide(
      'CreatePartitions',
      asked,
      () => createPartitions(this.#state, single, validateOnly),
      (results) => ({ throttleTimeMs, results: [...doubles, ...results] }),
    )
  }

  #electLeaders(asked: Asked<'ElectLeaders'>): void {
    if (asked.body.topicPartitions?.length === 0) {
      return asked.respond({ throttleTimeMs, errorCode: Errors.NONE, replicaElectionResults: [] })
    }
    this.#decide('ElectLeaders', asked, () => electLeaders(this.#state, asked.body), identity)
  }

  #alterReassignments(asked: Asked<'AlterPartitionReassignments'>): void {
    const { topics, allowReplicationFactorChange } = asked.body
    if (topics.length === 0) {
      const empty = { throttleTimeMs, allowReplicationFactorChange, errorCode: Errors.NONE, errorMessage: null }
      return asked.respond({ ...empty, responses: [] })
    }
    this.#decide(
      'AlterPartitionReassignments',
      asked,
      () => alterPartitionReassignments(this.#state, asked.body),
      identity,
    )
  }

  #incrementalAlterConfigs(asked: Asked<'IncrementalAlterConfigs'>): void {
    const { resources, validateOnly } = asked.body
    const { unique, responses } = uniqueResources(resources)
    const changes = unique.map(({ resource, configs }) => ({ resource, operations: lastOfEachName(configs) }))
    if (changes.length === 0) return asked.respond({ throttleTimeMs, responses })
    this.#decide(
      'IncrementalAlterConfigs',
      asked,
      () => withoutRecords(this.#state.configs.incrementalAlterConfigs(changes), validateOnly),
      (results) => ({ throttleTimeMs, responses: [...responses, ...results.map(resourceResponse)] }),
    )
  }

  #alterConfigs(asked: Asked<'AlterConfigs'>): void {
    const { resources, validateOnly } = asked.body
    const { unique, responses } = uniqueResources(resources)
    const changes = unique.map(({ resource, configs }) => ({
      resource,
      configs: new Map(configs.map(({ name, value }) => [name, value] as const)),
    }))
    if (changes.length === 0) return asked.respond({ throttleTimeMs, responses })
    this.#decide(
      'AlterConfigs',
      asked,
      () => withoutRecords(this.#state.configs.legacyAlterConfigs(changes), validateOnly),
      (results) => ({ throttleTimeMs, responses: [...responses, ...results.map(resourceResponse)] }),
    )
  }

  #updateFeatures(asked: Asked<'UpdateFeatures'>): void {
    const { featureUpdates, validateOnly } = asked.body
    const updates = featureUpdates.map(({ feature, maxVersionLevel, upgradeType }) => ({
      feature,
      level: maxVersionLevel,
      upgradeType,
    }))
    this.#decide(
      'UpdateFeatures',
      asked,
      () => this.#state.configs.updateFeatures(updates, validateOnly, this.#state.support),
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

  // ── descriptions ──────────────────────────────────────────────────────────────────────────────────────────────────

  #apiVersions(asked: Asked<'ApiVersions'>): void {
    const image = this.#options.image()
    const finalized = new Map(image.features)
    if (this.#state.features.kraftVersion > 0) finalized.set(KRAFT_FEATURE, this.#state.features.kraftVersion)
    asked.respond({
      errorCode: Errors.NONE,
      apiKeys: SERVED.map((api) => {
        const { key, minVersion, maxVersion } = API_TABLE[api]
        return { apiKey: key, minVersion, maxVersion }
      }),
      throttleTimeMs,
      supportedFeatures: [...SUPPORTED_FEATURES]
        .filter(([, range]) => asked.version >= 4 || range.min > 0)
        .map(([name, range]) => ({ name, minVersion: range.min, maxVersion: range.max })),
      finalizedFeaturesEpoch: image.offset,
      finalizedFeatures: [...finalized].map(([name, level]) => ({
        name,
        maxVersionLevel: level,
        minVersionLevel: level,
      })),
      zkMigrationReady: false,
    })
  }

  #describeCluster(asked: Asked<'DescribeCluster'>): void {
    const image = this.#options.image()
    const base = {
      throttleTimeMs,
      errorCode: Errors.NONE,
      errorMessage: null,
      endpointType: ENDPOINT_CONTROLLERS,
      clusterId: this.#options.clusterId,
      controllerId: this.#options.leaderId(),
      brokers: [],
      clusterAuthorizedOperations: NO_AUTHORIZED_OPERATIONS,
    }
    if (!imageMetadataVersion(image).controllerRegistration) {
      return asked.respond({ ...base, errorCode: Errors.UNSUPPORTED_VERSION })
    }
    if (asked.body.endpointType !== ENDPOINT_CONTROLLERS) {
      return asked.respond({
        ...base,
        errorCode: Errors.MISMATCHED_ENDPOINT_TYPE,
        errorMessage: 'this is a controller',
      })
    }
    const brokers = [...image.controllers.values()].map(({ id, endPoints }) => ({
      brokerId: id,
      host: endPoints[0]?.host ?? nodeName(id),
      port: endPoints[0]?.port ?? -1,
      rack: null,
      isFenced: false,
    }))
    asked.respond({ ...base, brokers })
  }

  // ── forwarded requests ────────────────────────────────────────────────────────────────────────────────────────────

  #envelope(envelope: IncomingRequestOf<'Envelope'>): void {
    let inner: RequestFrame
    try {
      inner = openRequest(new BytesFrame(envelope.body.requestData))
    } catch (error) {
      if (!(error instanceof MalformedBytes)) throw error
      return envelope.respond({ responseData: null, errorCode: Errors.UNSUPPORTED_VERSION })
    }
    const { api, version, correlationId } = inner
    const respond = (body: unknown): void => {
      const error = apiOf(api).response.firstError(body as never)
      if (error === Errors.NOT_CONTROLLER) return envelope.respond({ responseData: null, errorCode: error })
      const frame = new ResponseFrame(api, version, correlationId, body, error === Errors.NONE ? '' : errorName(error))
      envelope.respond({ responseData: frame.encode(), errorCode: Errors.NONE })
    }
    const forwarded = {
      api,
      version,
      correlationId,
      clientId: inner.clientId,
      from: envelope.from,
      connectionId: envelope.connectionId,
      body: inner.message,
      connected: envelope.connected,
      respond,
      respondNothing: () => envelope.respondNothing(),
      closeConnection: () => envelope.closeConnection(),
    } as unknown as IncomingRequest
    if (forwarded.api === 'DescribeQuorum') return this.#options.raft(forwarded)
    if (!this.#answerAdmin(forwarded)) envelope.respond({ responseData: null, errorCode: Errors.INVALID_REQUEST })
  }
}

/** APIs whose timeout bounds the wait in the controller's queue. */
const HAS_DEADLINE: ReadonlySet<ControllerApi> = new Set<ControllerApi>([
  'CreateTopics',
  'DeleteTopics',
  'CreatePartitions',
  'ElectLeaders',
  'AlterPartitionReassignments',
])

const SERVED: readonly ApiName[] = [
  'Fetch',
  'ApiVersions',
  'CreateTopics',
  'DeleteTopics',
  'AlterConfigs',
  'CreatePartitions',
  'ElectLeaders',
  'IncrementalAlterConfigs',
  'AlterPartitionReassignments',
  'ListPartitionReassignments',
  'Vote',
  'BeginQuorumEpoch',
  'EndQuorumEpoch',
  'DescribeQuorum',
  'AlterPartition',
  'UpdateFeatures',
  'Envelope',
  'FetchSnapshot',
  'DescribeCluster',
  'BrokerRegistration',
  'BrokerHeartbeat',
  'UnregisterBroker',
  'AllocateProducerIds',
  'ControllerRegistration',
]

interface ResourceResponse {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly resourceType: number
  readonly resourceName: string
}

/** Resources named once; those named more often are answered at once. */
function uniqueResources<C>(
  resources: readonly { readonly resourceType: number; readonly resourceName: string; readonly configs: readonly C[] }[],
): { unique: { resource: ConfigResource; configs: readonly C[] }[]; responses: ResourceResponse[] } {
  const counts = new Map<string, number>()
  const keyOf = (each: { resourceType: number; resourceName: string }): string => `${each.resourceType}:${each.resourceName}`
  for (const each of resources) counts.set(keyOf(each), (counts.get(keyOf(each)) ?? 0) + 1)
  const unique: { resource: ConfigResource; configs: readonly C[] }[] = []
  const responses: ResourceResponse[] = []
  for (const each of resources) {
    const { resourceType, resourceName, configs } = each
    const count = counts.get(keyOf(each))
    if (count === 1) unique.push({ resource: { type: resourceType, name: resourceName }, configs })
    else if (count !== undefined) {
      counts.delete(keyOf(each))
      responses.push({
        errorCode: Errors.INVALID_REQUEST,
        errorMessage: 'a resource twice',
        resourceType,
        resourceName,
      })
    }
  }
  return { unique, responses }
}

function lastOfEachName(
  configs: readonly { readonly name: string; readonly configOperation: number; readonly value: string | null }[],
): ConfigOperation[] {
  const byName = new Map<string, ConfigOperation>()
  for (const { name, configOperation, value } of configs) byName.set(name, { name, operation: configOperation, value })
  return [...byName.values()]
}

function resourceResponse({ resource, error }: ResourceResult): ResourceResponse {
  const { error: errorCode, message: errorMessage }: ApiError = error
  return { errorCode, errorMessage, resourceType: resource.type, resourceName: resource.name }
}

function withoutRecords<T extends { readonly records: readonly unknown[] }>(result: T, validateOnly: boolean): T {
  return validateOnly ? { ...result, records: [] } : result
}

function identity<T>(response: T): T {
  return response
}
