/**
 * CreateTopics, CreatePartitions and DeleteTopics (part of Kafka's `ReplicationControlManager`).
 *
 * A request is one atomic result; topics fail one by one. A new partition's ISR is its active replicas, its leader the first of them, its
 * epochs zero. Records of a topic: TopicRecord, its ConfigRecords, then its PartitionRecords.
 */

import type { NodeId } from '../kernel/units.js'
import type { PartitionImage } from '../kraft/metadata/image.js'
import { partitionToRecord } from '../kraft/metadata/image-records.js'
import type { MetadataRecord, Uuid } from '../kraft/metadata/records.js'
import { RECOVERED, topicRecord } from '../kraft/metadata/records.js'
import { type ApiError, failedTopic } from '../wire/error-response.js'
import type { ErrorCode } from '../wire/errors.js'
import { Errors } from '../wire/errors.js'
import type { CreatePartitionsTopic, CreatePartitionsTopicResult } from '../wire/messages/create-partitions.js'
import type {
  CreatableTopic,
  CreatableTopicResult,
  CreateTopicsRequest,
  CreateTopicsResponse,
} from '../wire/messages/create-topics.js'
import { OP_SET } from './config-control.js'
import type { ControllerResult, Decision } from './controller-result.js'
import { apiError, decided, NO_ERROR, refused } from './controller-result.js'
import { placeReplicas } from './replica-placer.js'
import type { ReplicationContext } from './replication-context.js'
import { defaultDirectory } from './replication-context.js'
import type { Topic } from './topic-state.js'
import { topicNameProblem } from './topic-names.js'

const MAX_PARTITIONS_PER_REQUEST = 10_000
/** A batch of records may not be longer; user operations are one batch. */
const MAX_RECORDS_PER_USER_OPERATION = 10_000

export function createTopics(
  context: ReplicationContext,
  request: CreateTopicsRequest,
): Decision<CreateTopicsResponse> {
  if (totalPartitions(request, context.defaultPartitions) > MAX_PARTITIONS_PER_REQUEST) {
    return refused(Errors.POLICY_VIOLATION, `more than ${MAX_PARTITIONS_PER_REQUEST} partitions in one request`)
  }
  const records: MetadataRecord[] = []
  const topics = request.topics.map((topic) => {
    const error = checkName(context, topic.name) ?? checkConfigs(topic)
    if (error !== undefined) return failedTopic(topic.name, error)
    const operations = topic.configs.map(({ name, value }) => ({ name, operation: OP_SET, value }))
    const configs = operations.length === 0 ? { records: [] } : context.configs.newTopicRecords(topic.name, operations)
    if ('error' in configs) return failedTopic(topic.name, configs)
    const partitions = planPartitions(context, topic)
    if ('error' in partitions) return failedTopic(topic.name, partitions)
    const id = newTopicId(context)
    records.push(topicRecord(topic.name, id), ...configs.records)
    for (const [index, partition] of partitions.planned) records.push(partitionRecord(context, id, index, partition))
    return createdTopic(context, topic, id, partitions.planned)
  })
  if (records.length > MAX_RECORDS_PER_USER_OPERATION) return tooLarge()
  return decided('create', request.validateOnly ? [] : records, { throttleTimeMs: 0, topics }, true)
}

export function createPartitions(
  context: ReplicationContext,
  topics: readonly CreatePartitionsTopic[],
  validateOnly: boolean,
): Decision<CreatePartitionsTopicResult[]> {
  const records: MetadataRecord[] = []
  const results = topics.map((topic) => {
    const { error, message } = addPartitions(context, topic, records)
    return { name: topic.name, errorCode: error, errorMessage: message }
  })
  if (records.length > MAX_RECORDS_PER_USER_OPERATION) return tooLarge()
  return decided('create', validateOnly ? [] : records, results, true)
}

export function deleteTopics(
  context: ReplicationContext,
  ids: readonly Uuid[],
): ControllerResult<ReadonlyMap<Uuid, ApiError>> {
  const records: MetadataRecord[] = []
  const results = new Map<Uuid, ApiError>()
  for (const id of ids) {
    if (!context.topics.byId.has(id)) {
      results.set(id, apiError(Errors.UNKNOWN_TOPIC_ID))
      continue
    }
    records.push({ type: 'RemoveTopicRecord', version: 0, topicId: id })
    results.set(id, NO_ERROR)
  }
  return decided('delete', records, results, true)
}

/** What is wrong with a replica list that a user made; undefined when nothing is. `size` is the replication factor it must have. */
export function checkManualAssignment(
  context: ReplicationContext,
  replicas: readonly NodeId[],
  size?: number,
): ApiError | undefined {
  const invalid = (message: string): ApiError => apiError(Errors.INVALID_REPLICA_ASSIGNMENT, message)
  if (replicas.length === 0) return invalid('a partition without replicas')
  const sorted = replicas.slice().sort((a, b) => a - b)
  for (let i = 0; i < sorted.length; i++) {
    const broker = sorted[i] as NodeId
    if (!context.cluster.brokers.has(broker)) return invalid(`broker ${broker} is not registered`)
    if (i > 0 && sorted[i - 1] === broker) return invalid(`broker ${broker} twice in one partition`)
  }
  if (size === undefined || replicas.length === size) return undefined
  return invalid(`${replicas.length} replicas, where other partitions of the topic have ${size}`)
}

function totalPartitions(request: CreateTopicsRequest, defaultPartitions: number): number {
  let total = 0
  for (const topic of request.topics) {
    if (topic.assignments.length > 0) total += topic.assignments.length
    else if (topic.numPartitions === -1) total += defaultPartitions
    else if (topic.numPartitions > 0) total += topic.numPartitions
  }
  return total
}

function checkName(context: ReplicationContext, name: string): ApiError | undefined {
  if (context.topics.byName.has(name)) return apiError(Errors.TOPIC_ALREADY_EXISTS, `topic ${name} exists`)
  const colliding = context.topics.collidingTopic(name)
  if (colliding !== undefined) {
    return apiError(
      Errors.INVALID_TOPIC_EXCEPTION,
      `${name} differs from topic ${colliding} in dots and underscores only`,
    )
  }
  const problem = topicNameProblem(name)
  return problem === undefined ? undefined : apiError(Errors.INVALID_TOPIC_EXCEPTION, problem)
}

function checkConfigs(topic: CreatableTopic): ApiError | undefined {
  const nulls = topic.configs.filter((config) => config.value === null).map((config) => config.name)
  if (nulls.length === 0) return undefined
  return apiError(Errors.INVALID_CONFIG, `a new topic cannot have null for ${nulls.join(',')}`)
}

type Planned = { readonly planned: ReadonlyMap<number, PartitionImage> }

function planPartitions(context: ReplicationContext, topic: CreatableTopic): ApiError | Planned {
  if (topic.assignments.length > 0) return planManually(context, topic)
  const { numPartitions, replicationFactor } = topic
  if (replicationFactor < -1 || replicationFactor === 0) {
    return apiError(Errors.INVALID_REPLICATION_FACTOR, 'the replication factor is positive, or -1 for the default')
  }
  if (numPartitions < -1 || numPartitions === 0) {
    return apiError(Errors.INVALID_PARTITIONS, 'the number of partitions is positive, or -1 for the default')
  }
  const count = numPartitions === -1 ? context.defaultPartitions : numPartitions
  const factor = replicationFactor === -1 ? context.defaultReplicationFactor : replicationFactor
  const unable = (why: string): ApiError => apiError(Errors.INVALID_REPLICATION_FACTOR, `no ${factor} replicas: ${why}`)
  const placement = placeReplicas(context.cluster.usableBrokers(), count, factor, context.random)
  if ('impossible' in placement) return unable(placement.impossible)
  const planned = new Map<number, PartitionImage>()
  for (const [index, replicas] of placement.assignments.entries()) {
    const partition = newPartition(context, replicas)
    if (partition === undefined) return unable('every chosen broker is fenced or shutting down')
    planned.set(index, partition)
  }
  return { planned }
}

function planManually(context: ReplicationContext, topic: CreatableTopic): ApiError | Planned {
  if (topic.replicationFactor !== -1) {
    return apiError(Errors.INVALID_REQUEST, 'with an assignment, the replication factor is -1')
  }
  if (topic.numPartitions !== -1)
    return apiError(Errors.INVALID_REQUEST, 'with an assignment, the number of partitions is -1')
  const invalid = (message: string): ApiError => apiError(Errors.INVALID_REPLICA_ASSIGNMENT, message)
  const planned = new Map<number, PartitionImage>()
  let size: number | undefined
  for (const { partitionIndex, brokerIds } of topic.assignments) {
    if (planned.has(partitionIndex)) {
      return invalid(`partition ${partitionIndex} is assigned twice`)
    }
    const error = checkManualAssignment(context, brokerIds, size)
    if (error !== undefined) return error
    size = brokerIds.length
    const partition = newPartition(context, brokerIds)
    if (partition === undefined) return invalid(allFenced(partitionIndex))
    planned.set(partitionIndex, partition)
  }
  for (let index = 0; index < planned.size; index++) {
    if (!planned.has(index)) return invalid('partitions are numbered from 0 without gaps')
  }
  return { planned: new Map([...planned].sort(([a], [b]) => a - b)) }
}

function addPartitions(context: ReplicationContext, asked: CreatePartitionsTopic, records: MetadataRecord[]): ApiError {
  const topic = context.topics.byName.get(asked.name)
  if (topic === undefined) return apiError(Errors.UNKNOWN_TOPIC_OR_PARTITION)
  const existing = topic.partitions.size
  if (asked.count === existing) {
    return apiError(Errors.INVALID_PARTITIONS, `the topic has ${existing} partitions already`)
  }
  if (asked.count < existing) {
    return apiError(Errors.INVALID_PARTITIONS, `the topic has ${existing} partitions; ${asked.count} would be fewer`)
  }
  const additional = asked.count - existing
  if (asked.assignments !== null && asked.assignments.length !== additional) {
    return apiError(
      Errors.INVALID_REPLICA_ASSIGNMENT,
      `${additional} partitions to add, ${asked.assignments.length} assignments`,
    )
  }
  const assignments = chooseAssignments(context, topic, asked, additional)
  if ('error' in assignments) return assignments
  const added: MetadataRecord[] = []
  for (const [i, replicas] of assignments.entries()) {
    const partition = newPartition(context, replicas)
    if (partition === undefined) {
      const factor = replicationFactorOf(topic)
      return apiError(
        Errors.INVALID_REPLICATION_FACTOR,
        `no ${factor} replicas: every chosen broker is fenced or shutting down`,
      )
    }
    added.push(partitionRecord(context, topic.id, existing + i, partition))
  }
  records.push(...added)
  return NO_ERROR
}

function chooseAssignments(
  context: ReplicationContext,
  topic: Topic,
  asked: CreatePartitionsTopic,
  additional: number,
): ApiError | readonly (readonly NodeId[])[] {
  const factor = replicationFactorOf(topic)
  if (asked.assignments === null) {
    const placement = placeReplicas(context.cluster.usableBrokers(), additional, factor, context.random)
    if ('impossible' in placement) return apiError(Errors.INVALID_REPLICATION_FACTOR, placement.impossible)
    return placement.assignments
  }
  for (const [i, { brokerIds }] of asked.assignments.entries()) {
    const error = checkManualAssignment(context, brokerIds, factor)
    if (error !== undefined) return error
    if (!brokerIds.some((broker) => context.cluster.isActive(broker))) {
      return apiError(Errors.INVALID_REPLICA_ASSIGNMENT, allFenced(topic.partitions.size + i))
    }
  }
  return asked.assignments.map(({ brokerIds }) => brokerIds)
}

function replicationFactorOf(topic: Topic): number {
  return topic.partitions.get(0)?.replicas.length ?? 0
}

function allFenced(index: number): string {
  return `every broker of partition ${index} is fenced or shutting down`
}

/** Undefined when no replica is on an active broker. */
function newPartition(context: ReplicationContext, replicas: readonly NodeId[]): PartitionImage | undefined {
  const isr = replicas.filter((broker) => context.cluster.isActive(broker))
  const leader = isr[0]
  if (leader === undefined) return undefined
  return {
    replicas,
    isr,
    elr: [],
    lastKnownElr: [],
    removingReplicas: [],
    addingReplicas: [],
    leader,
    leaderEpoch: 0,
    partitionEpoch: 0,
    leaderRecoveryState: RECOVERED,
    directories: replicas.map((broker) => defaultDirectory(context, broker)),
  }
}

function partitionRecord(
  context: ReplicationContext,
  topicId: Uuid,
  index: number,
  partition: PartitionImage,
): MetadataRecord {
  const { metadataVersion, elrEnabled } = context.features
  return partitionToRecord(topicId, index, partition, metadataVersion, elrEnabled)
}

/** As `Uuid.randomUuid`: neither reserved nor starting with a dash. */
function newTopicId(context: ReplicationContext): Uuid {
  for (;;) {
    const id = context.random.uuid()
    if (!id.startsWith('-') && !id.startsWith('A'.repeat(20))) return id
  }
}

function createdTopic(
  context: ReplicationContext,
  topic: CreatableTopic,
  topicId: Uuid,
  partitions: ReadonlyMap<number, PartitionImage>,
): CreatableTopicResult {
  const own = new Map(topic.configs.map(({ name, value }) => [name, value ?? '']))
  return {
    name: topic.name,
    topicId,
    errorCode: Errors.NONE,
    errorMessage: null,
    topicConfigErrorCode: Errors.NONE,
    numPartitions: partitions.size,
    replicationFactor: partitions.get(0)?.replicas.length ?? -1,
    configs: context.configs.effectiveTopicConfigs(own).map(({ name, value, source }) => ({
      name,
      value,
      readOnly: false,
      configSource: source,
      isSensitive: false,
    })),
  }
}

function tooLarge(): { readonly refused: ApiError } {
  const error: ErrorCode = Errors.POLICY_VIOLATION
  return refused(error, 'the request makes too many records')
}
