/**
 * The controller as its broker holds it: requests of clients and brokers in, answers out (`KafkaApis` of Kafka 3.9, the parts that need the
 * controller or the admin manager).
 *
 *   CreateTopics, DeleteTopics, CreatePartitions     only where the controller is active (NOT_CONTROLLER elsewhere); written to ZooKeeper by the
 *                                                    admin manager; answered when this broker's metadata shows the result, or REQUEST_TIMED_OUT
 *   topics created on behalf of clients              written by whichever broker was asked
 *   ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments
 *                                                    events of the controller
 *   AlterConfigs, IncrementalAlterConfigs            written by whichever broker was asked
 *   UpdateFeatures                                   no feature exists to be finalised: refused one by one
 *   UnregisterBroker, DescribeQuorum                 KRaft only: the connection is closed
 *
 * What a client may not do is refused as it is: what needs the cluster before the office is looked at, what needs topics afterwards.
 */

import type { Env, EnvTimer } from '../../kernel/env.js'
import type { Millis, NodeId } from '../../kernel/units.js'
import { AclOperation } from '../../kraft/metadata/acl.js'
import type { MetadataImage } from '../../kraft/metadata/image.js'
import { RESOURCE_BROKER, RESOURCE_TOPIC } from '../../kraft/metadata/records.js'
import type { Operation, Requester, RequestAuthorizer } from '../../kraft/metadata/request-authorizer.js'
import { type LogConfig, logConfig } from '../../log/log-config.js'
import type { ApiName, Apis, ForwardableApi } from '../../wire/apis.js'
import { type ApiError, errorResponse, failedTopic } from '../../wire/error-response.js'
import { Errors } from '../../wire/errors.js'
import type { RequestClient } from '../../wire/request-client.js'
import { ZERO_UUID } from '../../wire/uuid.js'
import { isZooKeeperTrouble, type KafkaZkClient } from '../../zookeeper/kafka/kafka-zk-client.js'
import { runTask, type Task } from '../../zookeeper/kafka/task.js'
import { NO_LEADER, topicPartition } from '../../zookeeper/kafka/znodes.js'
import { apiError, NO_ERROR } from '../controller-result.js'
import { findTopicsToDelete } from '../delete-topics.js'
import { CLUSTER_METADATA_TOPIC } from '../topic-names.js'
import { ControllerChannels } from './controller-channels.js'
import { ControllerContext } from './controller-context.js'
import type { ControllerCore } from './controller-core.js'
import { ControllerStore } from './controller-store.js'
import { electionResponse, listResponse, partitionsOf, reassignmentResponse } from './controller-responses.js'
import type { ElectionAnswers } from './leader-balance.js'
import { RequestBatch } from './request-batch.js'
import { ZkAdmin, type TopicOutcome } from './zk-admin.js'
import { ZkController } from './zk-controller.js'
import type { ZooKeeperControllerConfig } from './zk-controller-config.js'

/** What the controller needs of the broker in whose process it lives. */
export interface ControllerHost {
  readonly env: Env
  readonly brokerId: NodeId
  readonly zk: KafkaZkClient
  /** Who may do what. */
  readonly auth: RequestAuthorizer
  /** What the broker knows of the cluster. */
  readonly image: () => MetadataImage
  readonly topicDefaults: () => LogConfig
  /** A client for the channel to one broker. */
  readonly requests: () => RequestClient
  /** Registers the broker after its session expired. @throws KeeperFailure */
  readonly registerBroker: () => Task<void>
}

type Answer<A extends ApiName> = (response: Apis[A]['response'] | undefined) => void
type Handler<A extends ApiName> = (body: Apis[A]['request'], done: Answer<A>, client: Requester | undefined) => void

/** An answer that waits for the broker's metadata. */
interface Delayed {
  readonly isComplete: () => boolean
  readonly complete: () => void
  readonly timer: EnvTimer
}

const throttleTimeMs = 0
const PREFERRED = 0
const { ALTER, ALTER_CONFIGS, CREATE, DELETE, DESCRIBE, DESCRIBE_CONFIGS } = AclOperation
const DENIED = apiError(Errors.CLUSTER_AUTHORIZATION_FAILED)
const TOPIC_DENIED = apiError(Errors.TOPIC_AUTHORIZATION_FAILED)

export class ZkControllerServer {
  readonly controller: ZkController
  readonly admin: ZkAdmin
  readonly #host: ControllerHost
  readonly #core: ControllerCore
  readonly #config: ZooKeeperControllerConfig
  readonly #handlers: { readonly [A in ForwardableApi]?: Handler<A> }
  #delayed: Delayed[] = []

  constructor(host: ControllerHost, config: ZooKeeperControllerConfig) {
    const { env, brokerId, zk, topicDefaults } = host
    this.#host = host
    this.#config = config
    const context = new ControllerContext()
    const channels = new ControllerChannels(env, host.requests)
    const listener = {
      onLeaderAndIsr: (response: Apis['LeaderAndIsr']['response'], broker: NodeId) =>
        this.controller.listener.onLeaderAndIsr(response, broker),
      onUpdateMetadata: () => this.controller.listener.onUpdateMetadata(),
      onStopReplica: (...answer: Parameters<ZkController['listener']['onStopReplica']>) =>
        this.controller.listener.onStopReplica(...answer),
    }
    const core: ControllerCore = {
      env,
      brokerId,
      context,
      store: new ControllerStore(env, zk),
      batch: new RequestBatch(brokerId, context, channels, listener),
      logConfig: (own) => logConfig(topicDefaults(), Object.fromEntries(own)),
    }
    this.#core = core
    this.controller = new ZkController({ core, channels, config, registerBroker: host.registerBroker })
    this.admin = new ZkAdmin(env, { zk, brokerId, config, image: host.image, topicDefaults })
    this.#handlers = {
      CreateTopics: (body, done, client) => this.#createTopics(body, done, client),
      DeleteTopics: (body, done, client) => this.#deleteTopics(body, done, client),
      CreatePartitions: (body, done, client) => this.#createPartitions(body, done, client),
      ElectLeaders: this.#ifAllowed('ElectLeaders', ALTER, (body, done) => this.#electLeaders(body, done)),
      AlterConfigs: (body, done, client) => this.#alterConfigs(body, false, done, client),
      IncrementalAlterConfigs: (body, done, client) => this.#alterConfigs(body, true, done, client),
      AlterPartitionReassignments: this.#ifAllowed('AlterPartitionReassignments', ALTER, (body, done) =>
        this.#alterReassignments(body, done),
      ),
      ListPartitionReassignments: this.#ifAllowed('ListPartitionReassignments', DESCRIBE, (body, done) =>
        this.#listReassignments(body, done),
      ),
      UpdateFeatures: this.#ifAllowed('UpdateFeatures', ALTER, (body, done) => this.#updateFeatures(body, done)),
    }
  }

  // ── life ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  start(): void {
    this.controller.start()
  }

  shutdown(done: () => void): void {
    for (const { timer } of this.#delayed) timer.cancel()
    this.#delayed = []
    this.controller.shutdown(done)
  }

  get isActive(): boolean {
    return this.controller.isActive
  }

  /** The broker's metadata changed: what waited for it is answered. */
  onMetadata(): void {
    const complete = this.#delayed.filter((delayed) => delayed.isComplete())
    if (complete.length === 0) return
    this.#delayed = this.#delayed.filter((delayed) => !complete.includes(delayed))
    for (const delayed of complete) {
      delayed.timer.cancel()
      delayed.complete()
    }
  }

  enableUncleanElection(topic?: string): void {
    this.controller.enableUncleanElection(topic)
  }

  // ── brokers ───────────────────────────────────────────────────────────────────────────────────────────────────────

  alterPartition(
    body: Apis['AlterPartition']['request'],
    version: number,
    done: (response: Apis['AlterPartition']['response']) => void,
  ): void {
    this.controller.alterPartition(body, version, done)
  }

  controlledShutdown(
    { brokerId, brokerEpoch }: Apis['ControlledShutdown']['request'],
    done: (response: Apis['ControlledShutdown']['response']) => void,
  ): void {
    this.controller.controlledShutdown(brokerId, brokerEpoch, ({ error, remaining }) =>
      done({
        errorCode: error,
        remainingPartitions: remaining.map(({ topic, index }) => ({ topicName: topic, partitionIndex: index })),
      }),
    )
  }

  allocateProducerIds(
    body: Apis['AllocateProducerIds']['request'],
    done: (response: Apis['AllocateProducerIds']['response']) => void,
  ): void {
    const { context, store } = this.#core
    const refuse = (error: number): void => done(errorResponse('AllocateProducerIds', body, apiError(error)))
    this.controller.ask(
      'AllocateProducerIds',
      () => refuse(Errors.NOT_CONTROLLER),
      function* () {
        const epoch = context.brokerEpoch(body.brokerId)
        if (epoch === undefined) return refuse(Errors.BROKER_ID_NOT_REGISTERED)
        if (epoch !== body.brokerEpoch) return refuse(Errors.STALE_BROKER_EPOCH)
        try {
          const { first, last } = yield* store.nextProducerIdBlock(body.brokerId)
          const block = { producerIdStart: first, producerIdLen: last - first + 1 }
          done({ throttleTimeMs, errorCode: Errors.NONE, ...block })
        } catch (error) {
          if (!isZooKeeperTrouble(error)) throw error
          refuse(Errors.UNKNOWN_SERVER_ERROR)
        }
      },
    )
  }

  // ── administrators ────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * `client`: who sent the request, when it is not made on somebody's behalf; that one must be allowed it. `undefined` as the answer: close the
   * connection.
   */
  handle<A extends ForwardableApi>(
    api: A,
    body: Apis[A]['request'],
    client: Requester | undefined,
    done: Answer<A>,
  ): void {
    const handler = this.#handlers[api] as Handler<A> | undefined
    if (handler === undefined) done(undefined)
    else handler(body, done, client)
  }

  #ifAllowed<A extends ForwardableApi>(api: A, operation: Operation, handler: Handler<A>): Handler<A> {
    return (body, done, client) => {
      if (client === undefined || this.#host.auth.onCluster(client, operation)) handler(body, done, client)
      else done(errorResponse(api, body, DENIED))
    }
  }

  /** Of these topics, those on which the operation is allowed. */
  #permitted(client: Requester | undefined, operation: Operation, names: Iterable<string>): ReadonlySet<string> {
    return client === undefined ? new Set(names) : this.#host.auth.topics(client, operation, names)
  }

  #createTopics(
    body: Apis['CreateTopics']['request'],
    done: Answer<'CreateTopics'>,
    client: Requester | undefined,
  ): void {
    const isClient = client !== undefined
    if (isClient && !this.isActive) return done(errorResponse('CreateTopics', body, apiError(Errors.NOT_CONTROLLER)))
    const { admin } = this
    const { auth } = this.#host
    const { single, refused } = onceNamed(body.topics, ({ name }) => name)
    const forUsers = single.filter(({ name }) => name !== CLUSTER_METADATA_TOPIC)
    const rest = refused.map((name) => failedTopic(name, apiError(Errors.INVALID_REQUEST, 'named twice')))
    if (forUsers.length < single.length) {
      rest.push(failedTopic(CLUSTER_METADATA_TOPIC, apiError(Errors.INVALID_REQUEST)))
    }
    const mayCreateAny = isClient && auth.onCluster(client, CREATE, 'quietly')
    const names = forUsers.map(({ name }) => name)
    const creatable = this.#permitted(mayCreateAny ? undefined : client, CREATE, names)
    const topics = forUsers.filter(({ name }) => creatable.has(name))
    for (const name of names) if (!creatable.has(name)) rest.push(failedTopic(name, TOPIC_DENIED))
    const mayShow = (name: string): boolean => !isClient || auth.onTopic(client, DESCRIBE_CONFIGS, name, 'quietly')
    const create = function* (): Task<TopicOutcome[]> {
      const outcomes: TopicOutcome[] = []
      for (const topic of topics) outcomes.push(yield* admin.createTopic(topic, body.validateOnly))
      return outcomes
    }
    runTask(create(), (outcomes) => {
      this.#whenLed(outcomes, body.validateOnly, body.timeoutMs, (errors) => {
        const results = outcomes.map((outcome, at) => createdTopic(outcome, errors[at] ?? NO_ERROR, mayShow))
        done({ throttleTimeMs, topics: [...results, ...rest] })
      })
    })
  }

  #createPartitions(
    body: Apis['CreatePartitions']['request'],
    done: Answer<'CreatePartitions'>,
    client: Requester | undefined,
  ): void {
    if (!this.isActive) return done(errorResponse('CreatePartitions', body, apiError(Errors.NOT_CONTROLLER)))
    const { admin } = this
    const { deletion } = this.controller
    const { single: named, refused } = onceNamed(body.topics, ({ name }) => name)
    const alterable = this.#permitted(
      client,
      ALTER,
      named.map(({ name }) => name),
    )
    const single = named.filter(({ name }) => alterable.has(name))
    const rest: Apis['CreatePartitions']['response']['results'][number][] = [
      ...refused.map((name) => ({ name, errorCode: Errors.INVALID_REQUEST, errorMessage: 'named twice' })),
      ...named
        .filter(({ name }) => !alterable.has(name))
        .map(({ name }) => ({ name, errorCode: TOPIC_DENIED.error, errorMessage: null })),
    ]
    const create = function* (): Task<TopicOutcome[]> {
      const outcomes: TopicOutcome[] = []
      for (const topic of single) {
        // A topic that is being deleted has no more partitions.
        if (deletion.isQueued(topic.name)) {
          const error = apiError(Errors.INVALID_TOPIC_EXCEPTION, 'the topic is being deleted')
          outcomes.push({ topic: topic.name, error, partitions: [] })
        } else outcomes.push(yield* admin.createPartitions(topic, body.validateOnly))
      }
      return outcomes
    }
    runTask(create(), (outcomes) => {
      this.#whenLed(outcomes, body.validateOnly, body.timeoutMs, (errors) => {
        const results = outcomes.map(({ topic }, at) => {
          const { error, message } = errors[at] ?? NO_ERROR
          return { name: topic, errorCode: error, errorMessage: message }
        })
        done({ throttleTimeMs, results: [...rest, ...results] })
      })
    })
  }

  #deleteTopics(
    body: Apis['DeleteTopics']['request'],
    done: Answer<'DeleteTopics'>,
    client: Requester | undefined,
  ): void {
    if (!this.isActive) return done(errorResponse('DeleteTopics', body, apiError(Errors.NOT_CONTROLLER)))
    if (!this.#config['delete.topic.enable']) {
      return done(errorResponse('DeleteTopics', body, apiError(Errors.TOPIC_DELETION_DISABLED)))
    }
    const { admin } = this
    let deletable: ReadonlySet<string> = new Set()
    const { refused: unfit, found } = findTopicsToDelete(this.#host.image(), body, (names) => {
      const describable = this.#permitted(client, DESCRIBE, names)
      return { describable, deletable: (deletable = this.#permitted(client, DELETE, names)) }
    })
    // Who may not delete a topic is not told that it is none.
    const refused = unfit.map((one) =>
      one.errorCode === Errors.UNKNOWN_TOPIC_OR_PARTITION && !deletable.has(one.name ?? '')
        ? { ...one, errorCode: TOPIC_DENIED.error, errorMessage: null }
        : one,
    )
    const remove = function* (): Task<{ id: string; name: string; error: ApiError }[]> {
      const outcomes: { id: string; name: string; error: ApiError }[] = []
      for (const [id, name] of found) outcomes.push({ id, name, error: yield* admin.deleteTopic(name) })
      return outcomes
    }
    runTask(remove(), (outcomes) => {
      const isGone = (name: string): boolean => !this.#host.image().topicsByName.has(name)
      const accepted = outcomes.filter(({ error }) => error.error === Errors.NONE)
      this.#when(
        () => accepted.every(({ name }) => isGone(name)),
        body.timeoutMs,
        accepted.length > 0,
        () => {
          const responses = outcomes.map(({ id, name, error }) => {
            const isLate = error.error === Errors.NONE && !isGone(name)
            const errorCode = isLate ? Errors.REQUEST_TIMED_OUT : error.error
            return { name, topicId: id, errorCode, errorMessage: error.message }
          })
          done({ throttleTimeMs, responses: [...refused, ...responses] })
        },
      )
    })
  }

  #electLeaders(body: Apis['ElectLeaders']['request'], done: Answer<'ElectLeaders'>): void {
    const wanted = partitionsOf(body.topicPartitions, this.#host.image())
    const refuse = (): void => {
      const answer = { error: Errors.NOT_CONTROLLER, message: null }
      const answers: ElectionAnswers = new Map(wanted.map((partition) => [partition.name, { partition, answer }]))
      done(electionResponse(answers, false))
    }
    const { balance } = this.controller
    const type = body.electionType === PREFERRED ? 'preferred' : 'unclean'
    this.controller.ask('ReplicaLeaderElection', refuse, () => this.#elect(balance.elect(wanted, type), body, done))
  }

  *#elect(
    election: Task<ElectionAnswers>,
    body: Apis['ElectLeaders']['request'],
    done: Answer<'ElectLeaders'>,
  ): Task<void> {
    const answers = yield* election
    const elected = [...answers.values()].filter(({ answer }) => 'leader' in answer)
    const isSeen = ({ partition, answer }: (typeof elected)[number]): boolean => {
      const seen = this.#host.image().topicsByName.get(partition.topic)?.partitions.get(partition.index)
      return 'leader' in answer && seen?.leader === answer.leader
    }
    this.#when(
      () => elected.every(isSeen),
      body.timeoutMs,
      elected.length > 0,
      () => {
        for (const one of elected) {
          if (isSeen(one)) continue
          const answer = { error: Errors.REQUEST_TIMED_OUT, message: null }
          answers.set(one.partition.name, { partition: one.partition, answer })
        }
        done(electionResponse(answers, body.topicPartitions === null))
      },
    )
  }

  #alterConfigs(
    body: Apis['AlterConfigs']['request'] | Apis['IncrementalAlterConfigs']['request'],
    isIncremental: boolean,
    done: Answer<'AlterConfigs'> & Answer<'IncrementalAlterConfigs'>,
    client: Requester | undefined,
  ): void {
    const { admin } = this
    const { auth } = this.#host
    const refusalOf = (type: number, name: string): ApiError | undefined => {
      if (client === undefined) return undefined
      if (type === RESOURCE_BROKER) return auth.onCluster(client, ALTER_CONFIGS) ? undefined : DENIED
      return type !== RESOURCE_TOPIC || auth.onTopic(client, ALTER_CONFIGS, name) ? undefined : TOPIC_DENIED
    }
    const alter = function* (): Task<Apis['AlterConfigs']['response']['responses']> {
      const responses: Apis['AlterConfigs']['response']['responses'][number][] = []
      for (const { resourceType, resourceName, configs } of body.resources) {
        const changes = configs.map((config) => ({
          name: config.name,
          value: config.value,
          operation: 'configOperation' in config ? config.configOperation : 0,
        }))
        const change = { resourceType, resourceName, changes, replaces: !isIncremental }
        const refusal = refusalOf(resourceType, resourceName)
        const { error, message } = refusal ?? (yield* admin.alterConfigs(change, body.validateOnly))
        responses.push({ errorCode: error, errorMessage: message, resourceType, resourceName })
      }
      return responses
    }
    runTask(alter(), (responses) => done({ throttleTimeMs, responses }))
  }

  #alterReassignments(
    body: Apis['AlterPartitionReassignments']['request'],
    done: Answer<'AlterPartitionReassignments'>,
  ): void {
    const { reassignments } = this.controller
    const refuse = (): void => done(errorResponse('AlterPartitionReassignments', body, apiError(Errors.NOT_CONTROLLER)))
    const wanted = body.topics.flatMap(({ name, partitions }) =>
      partitions.map(({ partitionIndex, replicas }) => ({
        partition: topicPartition(name, partitionIndex),
        target: replicas,
      })),
    )
    // A controller that is deposed meanwhile answers nobody: the client waits until its request times out, as in Kafka.
    this.controller.ask('ApiPartitionReassignment', refuse, function* () {
      done(reassignmentResponse(body, yield* reassignments.alter(wanted)))
    })
  }

  #listReassignments(
    body: Apis['ListPartitionReassignments']['request'],
    done: Answer<'ListPartitionReassignments'>,
  ): void {
    const { context } = this.#core
    const refuse = (): void => done(errorResponse('ListPartitionReassignments', body, apiError(Errors.NOT_CONTROLLER)))
    // oxlint-disable-next-line require-yield
    this.controller.ask('ListPartitionReassignments', refuse, function* () {
      done(listResponse(body, context))
    })
  }

  #updateFeatures(body: Apis['UpdateFeatures']['request'], done: Answer<'UpdateFeatures'>): void {
    if (!this.isActive) return done(errorResponse('UpdateFeatures', body, apiError(Errors.NOT_CONTROLLER)))
    const results = body.featureUpdates.map(({ feature }) => ({
      feature,
      errorCode: Errors.INVALID_REQUEST,
      errorMessage: 'this feature is not supported in ZooKeeper mode',
    }))
    done({ throttleTimeMs, errorCode: Errors.NONE, errorMessage: null, results })
  }

  // ── waiting for metadata ──────────────────────────────────────────────────────────────────────────────────────────

  /** Errors of topics once all that were made have leaders, or the time is up (`DelayedCreatePartitions`). */
  #whenLed(
    outcomes: readonly TopicOutcome[],
    validateOnly: boolean,
    timeoutMs: Millis,
    done: (errors: readonly ApiError[]) => void,
  ): void {
    const isLed = ({ topic, partitions }: TopicOutcome): boolean => {
      const known = this.#host.image().topicsByName.get(topic)
      return partitions.every((index) => (known?.partitions.get(index)?.leader ?? NO_LEADER) !== NO_LEADER)
    }
    const made = outcomes.filter(({ error }) => error.error === Errors.NONE)
    this.#when(
      () => made.every(isLed),
      timeoutMs,
      !validateOnly && made.length > 0,
      () => {
        done(
          outcomes.map((outcome) => {
            if (validateOnly || outcome.error.error !== Errors.NONE || isLed(outcome)) return outcome.error
            return apiError(Errors.REQUEST_TIMED_OUT)
          }),
        )
      },
    )
  }

  #when(isComplete: () => boolean, timeoutMs: Millis, isWaiting: boolean, complete: () => void): void {
    if (!isWaiting || timeoutMs <= 0 || isComplete()) return complete()
    const timer = this.#host.env.after(timeoutMs, () => {
      this.#delayed = this.#delayed.filter((other) => other !== delayed)
      complete()
    })
    const delayed: Delayed = { isComplete, complete, timer }
    this.#delayed.push(delayed)
  }
}

/** Who may not see the settings of a topic is not told its size either. */
function createdTopic(
  outcome: TopicOutcome,
  error: ApiError,
  mayShow: (name: string) => boolean,
): Apis['CreateTopics']['response']['topics'][number] {
  if (error.error !== Errors.NONE) return failedTopic(outcome.topic, error)
  const isShown = mayShow(outcome.topic)
  return {
    name: outcome.topic,
    topicId: outcome.topicId ?? ZERO_UUID,
    errorCode: Errors.NONE,
    errorMessage: null,
    topicConfigErrorCode: isShown ? Errors.NONE : TOPIC_DENIED.error,
    numPartitions: isShown ? outcome.partitions.length : -1,
    replicationFactor: isShown ? (outcome.replicationFactor ?? -1) : -1,
    configs: [],
  }
}

/** Items named once, and the names that are given more often. */
function onceNamed<T>(items: readonly T[], nameOf: (item: T) => string): { single: T[]; refused: string[] } {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(nameOf(item), (counts.get(nameOf(item)) ?? 0) + 1)
  return {
    single: items.filter((item) => counts.get(nameOf(item)) === 1),
    refused: [...counts].filter(([, count]) => count > 1).map(([name]) => name),
  }
}
