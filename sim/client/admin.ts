/**
 * An admin client (Kafka's KafkaAdminClient): one method an operation, each answered once, by a later event.
 *
 * What an operation asks for in several parts (topics, partitions, resources) succeeds or fails part by part. Retriable
 * errors are sent again until `default.api.timeout.ms` is over. The trace gets `admin.invoked` with a line like
 * `create-topic orders`, and `admin.completed` with `ok` or the first error.
 */

import type { Env } from '../kernel/env.js'
import { nodeId, partitionName, type NodeName } from '../kernel/names.js'
import type { Millis, NodeId, Offset } from '../kernel/units.js'
import type { Apis } from '../wire/apis.js'
import { Errors, isInvalidMetadata } from '../wire/errors.js'
import type { WireMode } from '../wire/frame.js'
import { ZERO_UUID } from '../wire/uuid.js'
import { AdminAcls } from './admin-acls.js'
import type { CallTarget } from './admin-calls.js'
import type { AdminConfig } from './admin-config.js'
import { AdminContext, type Done } from './admin-context.js'
import { AdminGroups } from './admin-groups.js'
import { AdminTransactions } from './admin-transactions.js'
import { metadataRequest } from './client-metadata.js'
import type { PartitionMetadata } from './metadata-snapshot.js'
import { PartitionLeaderOperation } from './partition-leader-operation.js'
import { partitionsByTopic } from './partitions-by-topic.js'

export interface NewTopic {
  readonly name: string
  /** The broker's default when left out, or given by `assignments`. */
  readonly partitions?: number
  readonly replicationFactor?: number
  /** Replicas of each partition. */
  readonly assignments?: readonly (readonly NodeId[])[]
  readonly configs?: Readonly<Record<string, string>>
}

export interface CreatedTopic {
  readonly topicId: string
  readonly partitions: number
  readonly replicationFactor: number
}

export interface NewPartitions {
  /** Partitions that the topic shall have. */
  readonly count: number
  /** Replicas of each partition that is added. */
  readonly assignments?: readonly (readonly NodeId[])[]
}

export interface Reassignment {
  readonly replicas: readonly NodeId[]
  readonly adding: readonly NodeId[]
  readonly removing: readonly NodeId[]
}

export interface ConfigResource {
  readonly type: 'topic' | 'broker'
  /** A topic, a broker such as b1 or 1, or '' for the default of all brokers. */
  readonly name: string
}

export interface ConfigChange extends ConfigResource {
  readonly changes: readonly {
    readonly name: string
    readonly op: keyof typeof CONFIG_OPERATIONS
    readonly value?: string
  }[]
}

export interface ListedOffset {
  readonly offset: Offset
  readonly timestamp: Millis
  /** -1: not known. */
  readonly leaderEpoch: number
}

/** A timestamp in milliseconds, or one of those with a meaning. */
export type OffsetSpec = 'earliest' | 'latest' | 'max-timestamp' | Millis

export interface ClusterDescription {
  readonly clusterId: string
  readonly controller: NodeId
  readonly brokers: readonly { readonly id: NodeId; readonly host: NodeName; readonly isFenced: boolean }[]
}

export interface TopicDescription {
  readonly topicId: string
  readonly partitions: readonly Pick<PartitionMetadata, 'index' | 'leader' | 'replicas' | 'isr'>[]
}

const RESOURCE_TYPES = { topic: 2, broker: 4 } as const
const CONFIG_OPERATIONS = { set: 0, delete: 1, append: 2, subtract: 3 } as const
const OFFSET_SPECS = { latest: -1, earliest: -2, 'max-timestamp': -3 } as const

export class Admin {
  /** Consumer groups and their offsets. */
  readonly groups: AdminGroups
  /** Transactions and producers. */
  readonly transactions: AdminTransactions
  /** Access control. */
  readonly acls: AdminAcls
  readonly #context: AdminContext

  /** @param config as `parseAdminConfig` gives it */
  constructor(
    env: Env,
    config: AdminConfig,
    bootstrap: readonly NodeName[],
    options: { readonly wire?: WireMode } = {},
  ) {
    this.#context = new AdminContext(env, config, bootstrap, options.wire)
    this.groups = new AdminGroups(this.#context)
    this.transactions = new AdminTransactions(this.#context)
    this.acls = new AdminAcls(this.#context)
  }

  // ── topics ────────────────────────────────────────────────────────────────────────────────────────────────────────

  createTopics(topics: readonly NewTopic[], done: Done<CreatedTopic>): void {
    const operation = this.#context.begin(
      'create-topic',
      topics.map((topic) => topic.name),
      done,
    )
    this.#context.controllerCall(operation, {
      api: 'CreateTopics',
      request: (timeoutMs) => ({ topics: topics.map(creatableTopic), timeoutMs, validateOnly: false }),
      take: (response) =>
        each(response.topics, (topic) => {
          const { topicId, numPartitions, replicationFactor } = topic
          operation.answered(topic.name, topic.errorCode, { topicId, partitions: numPartitions, replicationFactor })
        }),
      errors: (response) => response.topics.map((topic) => topic.errorCode),
    })
  }

  deleteTopics(topics: readonly string[], done: Done<void>): void {
    const operation = this.#context.begin('delete-topic', topics, done)
    this.#context.controllerCall(operation, {
      api: 'DeleteTopics',
      request: (timeoutMs) => ({
        topics: topics.map((name) => ({ name, topicId: ZERO_UUID })),
        topicNames: [],
        timeoutMs,
      }),
      take: (response) =>
        each(response.responses, (topic) => operation.answered(topic.name ?? '', topic.errorCode, undefined)),
      errors: (response) => response.responses.map((topic) => topic.errorCode),
    })
  }

  createPartitions(topics: Readonly<Record<string, NewPartitions>>, done: Done<void>): void {
    const operation = this.#context.begin('create-partitions', Object.keys(topics), done)
    this.#context.controllerCall(operation, {
      api: 'CreatePartitions',
      request: (timeoutMs) => ({
        topics: Object.entries(topics).map(([name, { count, assignments }]) => ({
          name,
          count,
          assignments: assignments === undefined ? null : assignments.map((brokerIds) => ({ brokerIds })),
        })),
        timeoutMs,
        validateOnly: false,
      }),
      take: (response) => each(response.results, (topic) => operation.answered(topic.name, topic.errorCode, undefined)),
      errors: (response) => response.results.map((topic) => topic.errorCode),
    })
  }

  describeTopics(topics: readonly string[], done: Done<TopicDescription>): void {
    const operation = this.#context.begin('describe-topic', topics, done)
    this.#context.call(
      operation,
      'Metadata',
      'least loaded',
      () => metadataRequest(topics, false),
      (response) => {
        for (const topic of response.topics) {
          const partitions = topic.partitions.map(({ partitionIndex, leaderId, replicaNodes, isrNodes }) => ({
            index: partitionIndex,
            leader: leaderId,
            replicas: replicaNodes,
            isr: isrNodes,
          }))
          operation.answered(topic.name ?? '', topic.errorCode, { topicId: topic.topicId, partitions })
        }
        return undefined
      },
    )
  }

  // ── partitions ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** All partitions when none is named; the result then names those with an outcome. */
  electLeaders(kind: 'preferred' | 'unclean', partitions: readonly string[] | undefined, done: Done<void>): void {
    const operation = this.#context.begin<void>(`elect-leaders ${kind}`, partitions ?? [], done)
    const topicPartitions =
      partitions === undefined
        ? null
        : partitionsByTopic(partitions).map(([topic, indexes]) => ({ topic, partitions: indexes }))
    const electionType = kind === 'preferred' ? 0 : 1
    this.#context.call(
      operation,
      'ElectLeaders',
      'controller',
      (timeoutMs) => ({ electionType, topicPartitions, timeoutMs }),
      (response) => {
        if (response.errorCode !== Errors.NONE) return response.errorCode
        for (const { topic, partitionResult } of response.replicaElectionResults) {
          for (const result of partitionResult)
            operation.answered(partitionName(topic, result.partitionId), result.errorCode, undefined)
        }
        return undefined
      },
    )
  }

  /** Target replicas of each partition; null cancels its reassignment. */
  alterPartitionReassignments(targets: Readonly<Record<string, readonly NodeId[] | null>>, done: Done<void>): void {
    const operation = this.#context.begin('reassign', Object.keys(targets), done)
    const topics = partitionsByTopic(Object.keys(targets)).map(([name, indexes]) => ({
      name,
      partitions: indexes.map((index) => ({
        partitionIndex: index,
        replicas: targets[partitionName(name, index)] ?? null,
      })),
    }))
    this.#context.call(
      operation,
      'AlterPartitionReassignments',
      'controller',
      (timeoutMs) => ({ timeoutMs, allowReplicationFactorChange: true, topics }),
      (response) => {
        if (response.errorCode !== Errors.NONE) return response.errorCode
        for (const { name, partitions } of response.responses) {
          for (const answer of partitions)
            operation.answered(partitionName(name, answer.partitionIndex), answer.errorCode, undefined)
        }
        return undefined
      },
    )
  }

  /** All reassignments under way, or those of the named partitions. */
  listPartitionReassignments(partitions: readonly string[] | undefined, done: Done<Reassignment>): void {
    const operation = this.#context.begin<Reassignment>('list-reassignments', [], done)
    const topics =
      partitions === undefined
        ? null
        : partitionsByTopic(partitions).map(([name, indexes]) => ({ name, partitionIndexes: indexes }))
    this.#context.call(
      operation,
      'ListPartitionReassignments',
      'controller',
      (timeoutMs) => ({ timeoutMs, topics }),
      (response) => {
        if (response.errorCode !== Errors.NONE) return response.errorCode
        for (const topic of response.topics) {
          for (const { partitionIndex, replicas, addingReplicas, removingReplicas } of topic.partitions) {
            const value = { replicas, adding: addingReplicas, removing: removingReplicas }
            operation.answered(partitionName(topic.name, partitionIndex), Errors.NONE, value)
          }
        }
        return undefined
      },
    )
  }

  /** Deletes the records before each partition's offset (-1: the high watermark). Values are the new log start offsets. */
  deleteRecords(before: Readonly<Record<string, Offset>>, done: Done<Offset>): void {
    const operation = this.#context.begin('delete-records', Object.keys(before), done)
    new PartitionLeaderOperation(this.#context.calls, operation, this.#context.deadline(), {
      api: 'DeleteRecords',
      request: (partitions, timeoutMs) => ({
        topics: partitionsByTopic(partitions).map(([name, indexes]) => ({
          name,
          partitions: indexes.map((index) => ({
            partitionIndex: index,
            offset: before[partitionName(name, index)] as Offset,
          })),
        })),
        timeoutMs,
      }),
      answers: (response) =>
        response.topics.flatMap(({ name, partitions }) =>
          partitions.map(({ partitionIndex, errorCode, lowWatermark }) => ({
            partition: partitionName(name, partitionIndex),
            error: errorCode,
            value: lowWatermark,
          })),
        ),
      isUnmapped: isInvalidMetadata,
    }).start()
  }

  listOffsets(specs: Readonly<Record<string, OffsetSpec>>, done: Done<ListedOffset>, readCommitted = false): void {
    const operation = this.#context.begin('list-offsets', Object.keys(specs), done)
    new PartitionLeaderOperation(this.#context.calls, operation, this.#context.deadline(), {
      api: 'ListOffsets',
      request: (partitions, timeoutMs) => ({
        replicaId: -1,
        isolationLevel: readCommitted ? 1 : 0,
        topics: partitionsByTopic(partitions).map(([name, indexes]) => ({
          name,
          partitions: indexes.map((index) => ({
            partitionIndex: index,
            currentLeaderEpoch: -1,
            timestamp: timestampOf(specs[partitionName(name, index)] as OffsetSpec),
          })),
        })),
        timeoutMs,
      }),
      answers: (response) =>
        response.topics.flatMap(({ name, partitions }) =>
          partitions.map(({ partitionIndex, errorCode, offset, timestamp, leaderEpoch }) => ({
            partition: partitionName(name, partitionIndex),
            error: errorCode,
            value: { offset, timestamp, leaderEpoch },
          })),
        ),
      isUnmapped: (error) => error === Errors.NOT_LEADER_OR_FOLLOWER || error === Errors.LEADER_NOT_AVAILABLE,
    }).start()
  }

  // ── configuration and cluster ─────────────────────────────────────────────────────────────────────────────────────

  /** Resources are named `topic:orders`, `broker:1`, `broker:` in the result. */
  incrementalAlterConfigs(resources: readonly ConfigChange[], done: Done<void>): void {
    const operation = this.#context.begin<void>('alter-config', resources.map(resourceName), done)
    for (const [to, group] of byTarget(resources)) {
      this.#context.call(
        operation,
        'IncrementalAlterConfigs',
        to,
        () => ({ resources: group.map(alterConfigsResource), validateOnly: false }),
        (response) => {
          if (response.responses.some((answer) => answer.errorCode === Errors.NOT_CONTROLLER))
            return Errors.NOT_CONTROLLER
          for (const answer of response.responses)
            operation.answered(answeredResource(answer), answer.errorCode, undefined)
          return undefined
        },
        group.map(resourceName),
      )
    }
  }

  describeConfigs(resources: readonly ConfigResource[], done: Done<ReadonlyMap<string, string | null>>): void {
    const operation = this.#context.begin('describe-config', resources.map(resourceName), done)
    for (const [to, group] of byTarget(resources)) {
      this.#context.call(
        operation,
        'DescribeConfigs',
        to,
        () => ({
          resources: group.map((resource) => ({ ...resourceKey(resource), configurationKeys: null })),
          includeSynonyms: false,
          includeDocumentation: false,
        }),
        (response) => {
          for (const answer of response.results) {
            const configs = new Map(answer.configs.map((config) => [config.name, config.value]))
            operation.answered(answeredResource(answer), answer.errorCode, configs)
          }
          return undefined
        },
        group.map(resourceName),
      )
    }
  }

  /** The result's only value is named `cluster`. */
  describeCluster(done: Done<ClusterDescription>): void {
    const operation = this.#context.begin('describe-cluster', ['cluster'], done)
    this.#context.call(
      operation,
      'DescribeCluster',
      'least loaded',
      () => ({ includeClusterAuthorizedOperations: false, endpointType: 1, includeFencedBrokers: false }),
      (response) => {
        const brokers = response.brokers.map(({ brokerId, host, isFenced }) => ({ id: brokerId, host, isFenced }))
        const { clusterId, controllerId } = response
        operation.answered('cluster', response.errorCode, { clusterId, controller: controllerId, brokers })
        return undefined
      },
    )
  }

  /** Lets operations finish until `timeoutMs` is over, then fails them. */
  close(done: () => void, timeoutMs: Millis = Infinity): void {
    this.#context.calls.close(done, timeoutMs)
  }
}

function each<T>(items: readonly T[], visit: (item: T) => void): void {
  for (const item of items) visit(item)
}

function creatableTopic(topic: NewTopic): Apis['CreateTopics']['request']['topics'][number] {
  const assignments = topic.assignments ?? []
  return {
    name: topic.name,
    numPartitions: assignments.length > 0 ? -1 : (topic.partitions ?? -1),
    replicationFactor: assignments.length > 0 ? -1 : (topic.replicationFactor ?? -1),
    assignments: assignments.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds })),
    configs: Object.entries(topic.configs ?? {}).map(([name, value]) => ({ name, value })),
  }
}

function alterConfigsResource(resource: ConfigChange): Apis['IncrementalAlterConfigs']['request']['resources'][number] {
  const configs = resource.changes.map(({ name, op, value }) => ({
    name,
    configOperation: CONFIG_OPERATIONS[op],
    value: value ?? null,
  }))
  return { ...resourceKey(resource), configs }
}

/** A single broker's resource goes to that broker, each alone; all others together to anybody. */
function byTarget<R extends ConfigResource>(resources: readonly R[]): [CallTarget, R[]][] {
  const targets: [CallTarget, R[]][] = []
  const others: R[] = []
  for (const resource of resources) {
    if (resource.type === 'broker' && resource.name !== '') targets.push([brokerId(resource.name), [resource]])
    else others.push(resource)
  }
  if (others.length > 0) targets.push(['least loaded', others])
  return targets
}

function brokerId(name: string): NodeId {
  return /^[0-9]+$/.test(name) ? Number(name) : (nodeId(name) ?? -1)
}

function resourceKey(resource: ConfigResource): { resourceType: number; resourceName: string } {
  const isBroker = resource.type === 'broker' && resource.name !== ''
  return {
    resourceType: RESOURCE_TYPES[resource.type],
    resourceName: isBroker ? String(brokerId(resource.name)) : resource.name,
  }
}

function resourceName(resource: ConfigResource): string {
  return `${resource.type}:${resourceKey(resource).resourceName}`
}

function answeredResource(answer: { readonly resourceType: number; readonly resourceName: string }): string {
  return `${answer.resourceType === RESOURCE_TYPES.broker ? 'broker' : 'topic'}:${answer.resourceName}`
}

function timestampOf(spec: OffsetSpec): number {
  return typeof spec === 'number' ? spec : OFFSET_SPECS[spec]
}
