/**
 * The requests that a controller answers (Kafka's `ControllerApis`).
 *
 * Requests of the quorum go to the raft client. Decisions go to the active controller; elsewhere they are answered with
 * NOT_CONTROLLER, except what only reads committed metadata. An Envelope holds a client's request that a broker passes on, as bytes;
 * its answer comes back the same way, and NOT_CONTROLLER as the envelope's own error, so that the broker looks for
 * the controller again. The client of an enveloped request is who the broker says. What a request needs of the cluster as a whole stands
 * in one table; what it needs of topics and groups its handler asks. A request whose timeout is over when it arrives is answered with REQUEST_TIMED_OUT.
 */

import { ANONYMOUS } from '../kernel/env.js'
import { nodeName } from '../kernel/names.js'
import type { NodeId } from '../kernel/units.js'
import { AclOperation, CLUSTER_NAME, ResourceType } from '../kraft/metadata/acl.js'
import { imageMetadataVersion } from '../kraft/metadata/image.js'
import { KRAFT_FEATURE, SUPPORTED_FEATURES } from '../kraft/metadata/metadata-version.js'
import type { Operation } from '../kraft/metadata/request-authorizer.js'
import type { ApiName } from '../wire/apis.js'
import { API_TABLE, apiOf } from '../wire/apis.js'
import { errorResponse } from '../wire/error-response.js'
import { type ErrorCode, errorName, Errors } from '../wire/errors.js'
import { BytesFrame, openRequest, ResponseFrame, type RequestFrame } from '../wire/frame.js'
import { MalformedBytes } from '../wire/primitives.js'
import { decodeAddress, decodePrincipal } from '../wire/principal.js'
import type { IncomingRequest, IncomingRequestOf } from '../wire/request-server.js'
import type { AdminApisOptions } from './admin-apis.js'
import { adminHandlers } from './admin-apis.js'
import { alterPartition } from './alter-partition.js'
import { brokerShutdown, processBrokerHeartbeat } from './broker-transitions.js'
import type { Asked, Handlers } from './controller-request.js'
import { answerDecision, dispatch } from './controller-request.js'
import { apiError, refused } from './controller-result.js'
import { PRODUCER_ID_BLOCK_SIZE } from './controller-state.js'
import type { QuorumController } from './quorum-controller.js'

/** Requests that the raft client answers. */
export type RaftApiRequest = Extract<
  IncomingRequest,
  { api: 'Vote' | 'BeginQuorumEpoch' | 'EndQuorumEpoch' | 'Fetch' | 'FetchSnapshot' | 'DescribeQuorum' }
>

export interface ControllerApisOptions extends AdminApisOptions {
  readonly clusterId: string
  /** -1 for none. */
  readonly leaderId: () => NodeId
  readonly raft: (request: RaftApiRequest) => void
}

const throttleTimeMs = 0
/** Since this version a registration tells how the broker's previous run ended (KIP-966). */
const FIRST_REGISTRATION_WITH_PREVIOUS_EPOCH = 3
const ENDPOINT_CONTROLLERS = 2
const NO_AUTHORIZED_OPERATIONS = -2_147_483_648

const { ALTER, CLUSTER_ACTION, DESCRIBE } = AclOperation

/** What is asked for each API before it is looked at. DescribeCluster looks at the metadata version first. */
const NEEDED_ON_CLUSTER: { readonly [A in ApiName]?: Operation } = {
  Vote: CLUSTER_ACTION,
  BeginQuorumEpoch: CLUSTER_ACTION,
  EndQuorumEpoch: CLUSTER_ACTION,
  Fetch: CLUSTER_ACTION,
  FetchSnapshot: CLUSTER_ACTION,
  DescribeQuorum: DESCRIBE,
  Envelope: CLUSTER_ACTION,
  AlterPartition: CLUSTER_ACTION,
  BrokerHeartbeat: CLUSTER_ACTION,
  BrokerRegistration: CLUSTER_ACTION,
  AllocateProducerIds: CLUSTER_ACTION,
  ControllerRegistration: CLUSTER_ACTION,
  UnregisterBroker: ALTER,
  ElectLeaders: ALTER,
  AlterPartitionReassignments: ALTER,
  ListPartitionReassignments: DESCRIBE,
  UpdateFeatures: ALTER,
  CreateAcls: ALTER,
  DeleteAcls: ALTER,
  DescribeAcls: DESCRIBE,
}

const RAFT_APIS = ['Vote', 'BeginQuorumEpoch', 'EndQuorumEpoch', 'Fetch', 'FetchSnapshot', 'DescribeQuorum'] as const

export class ControllerApis {
  readonly #options: ControllerApisOptions
  readonly #controller: QuorumController
  readonly #admin: Handlers
  readonly #handlers: Handlers

  constructor(options: ControllerApisOptions) {
    this.#options = options
    this.#controller = options.controller
    this.#admin = adminHandlers(options)
    this.#handlers = {
      ...this.#admin,
      BrokerHeartbeat: (asked) => this.#heartbeat(asked),
      AlterPartition: (asked) => this.#alterPartition(asked),
      BrokerRegistration: (asked) => this.#registerBroker(asked),
      AllocateProducerIds: (asked) => this.#allocateProducerIds(asked),
      ControllerRegistration: (asked) => this.#registerController(asked),
      ApiVersions: (asked) => this.#apiVersions(asked),
      DescribeCluster: (asked) => this.#describeCluster(asked),
    }
  }

  readonly handle = (request: IncomingRequest): void => {
    if (this.#refuses(request)) return
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
        if (!dispatch(this.#handlers, request.api, request as Asked<ApiName>)) request.closeConnection()
    }
  }

  /** Answers a request whose sender may not make it. */
  #refuses(request: IncomingRequest): boolean {
    const { auth } = this.#options
    if (auth.authorizer === undefined || request.api === 'ApiVersions') return false
    const needed = NEEDED_ON_CLUSTER[request.api]
    let errorCode: ErrorCode = Errors.NONE
    // Kafka has no code for an authorizer that has not read its ACLs.
    if (!auth.authorizer.canJudge(request.principal)) errorCode = Errors.UNKNOWN_SERVER_ERROR
    else if (needed !== undefined && !auth.onCluster(request, needed)) errorCode = Errors.CLUSTER_AUTHORIZATION_FAILED
    if (errorCode === Errors.NONE) return false
    request.respond(errorResponse(request.api, request.body, apiError(errorCode)) as never)
    return true
  }

  get #state(): QuorumController['state'] {
    return this.#controller.state
  }

  // ── brokers and controllers ───────────────────────────────────────────────────────────────────────────────────────

  #heartbeat(asked: Asked<'BrokerHeartbeat'>): void {
    const { body } = asked
    const { brokerId, brokerEpoch } = body
    const { cluster } = this.#state
    cluster.trackHeartbeat(brokerId, brokerEpoch)
    let inControlledShutdown = false
    answerDecision(
      this.#controller,
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
    answerDecision(
      this.#controller,
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

  #registerController(asked: Asked<'ControllerRegistration'>): void {
    answerDecision(
      this.#controller,
      'ControllerRegistration',
      asked,
      () => this.#state.cluster.registerController(asked.body),
      () => ({ throttleTimeMs, errorCode: Errors.NONE, errorMessage: null }),
    )
  }

  #alterPartition(asked: Asked<'AlterPartition'>): void {
    const { body, version } = asked
    if (body.topics.length === 0) return asked.respond({ throttleTimeMs, errorCode: Errors.NONE, topics: [] })
    const decide = (): ReturnType<typeof alterPartition> => alterPartition(this.#state, body, version)
    answerDecision(this.#controller, 'AlterPartition', asked, decide, (response) => response)
  }

  #allocateProducerIds(asked: Asked<'AllocateProducerIds'>): void {
    answerDecision(
      this.#controller,
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

  // ── descriptions ──────────────────────────────────────────────────────────────────────────────────────────────────

  #apiVersions(asked: Asked<'ApiVersions'>): void {
    const image = this.#options.image()
    const finalized = new Map(image.features)
    if (this.#state.features.kraftVersion > 0) finalized.set(KRAFT_FEATURE, this.#state.features.kraftVersion)
    const served = new Set<ApiName>([...RAFT_APIS, 'Envelope', ...(Object.keys(this.#handlers) as ApiName[])])
    asked.respond({
      errorCode: Errors.NONE,
      apiKeys: Object.values(API_TABLE)
        .filter((api) => served.has(api.name as ApiName))
        .map(({ key, minVersion, maxVersion }) => ({ apiKey: key, minVersion, maxVersion })),
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
    if (!this.#options.auth.onCluster(asked, ALTER)) {
      return asked.respond({ ...base, errorCode: Errors.CLUSTER_AUTHORIZATION_FAILED })
    }
    if (asked.body.endpointType !== ENDPOINT_CONTROLLERS) {
      const errorCode = Errors.MISMATCHED_ENDPOINT_TYPE
      return asked.respond({ ...base, errorCode, errorMessage: 'this is a controller' })
    }
    const brokers = [...image.controllers.values()].map(({ id, endPoints }) => ({
      brokerId: id,
      host: endPoints[0]?.host ?? nodeName(id),
      port: endPoints[0]?.port ?? -1,
      rack: null,
      isFenced: false,
    }))
    const clusterAuthorizedOperations = asked.body.includeClusterAuthorizedOperations
      ? this.#options.auth.operations(asked, ResourceType.CLUSTER, CLUSTER_NAME)
      : NO_AUTHORIZED_OPERATIONS
    asked.respond({ ...base, brokers, clusterAuthorizedOperations })
  }

  // ── forwarded requests ────────────────────────────────────────────────────────────────────────────────────────────

  #envelope(envelope: IncomingRequestOf<'Envelope'>): void {
    let inner: RequestFrame
    let principal: string
    try {
      inner = openRequest(new BytesFrame(envelope.body.requestData))
      principal = envelope.body.requestPrincipal === null ? ANONYMOUS : decodePrincipal(envelope.body.requestPrincipal)
    } catch (error) {
      if (!(error instanceof MalformedBytes)) throw error
      return envelope.respond({ responseData: null, errorCode: Errors.UNSUPPORTED_VERSION })
    }
    const forwarded = unwrapped(envelope, inner, principal)
    if (this.#refuses(forwarded)) return
    if (forwarded.api === 'DescribeQuorum') return this.#options.raft(forwarded)
    if (dispatch(this.#admin, forwarded.api, forwarded as Asked<ApiName>)) return
    envelope.respond({ responseData: null, errorCode: Errors.INVALID_REQUEST })
  }
}

/** The request in an envelope, answered through it. */
function unwrapped(envelope: IncomingRequestOf<'Envelope'>, inner: RequestFrame, principal: string): IncomingRequest {
  const { api, version, correlationId, clientId, message } = inner
  const respond = (body: unknown): void => {
    const error = apiOf(api).response.firstError(body as never)
    if (error === Errors.NOT_CONTROLLER) return envelope.respond({ responseData: null, errorCode: error })
    const frame = new ResponseFrame(api, version, correlationId, body, error === Errors.NONE ? '' : errorName(error))
    envelope.respond({ responseData: frame.encode(), errorCode: Errors.NONE })
  }
  const request = {
    api,
    version,
    correlationId,
    clientId,
    from: decodeAddress(envelope.body.clientHostAddress),
    principal,
    connectionId: envelope.connectionId,
    body: message,
    get connected() {
      return envelope.connected
    },
    respond,
    respondNothing: () => envelope.respondNothing(),
    closeConnection: () => envelope.closeConnection(),
  }
  return request as unknown as IncomingRequest
}
