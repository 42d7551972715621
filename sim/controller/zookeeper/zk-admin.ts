/**
 * What administrators do to topics and settings in ZooKeeper mode (`ZkAdminManager`, `AdminZkClient`). Any broker may do it; nothing here asks
 * the controller, which sees it in ZooKeeper. None of it is atomic: settings of a new topic are written before the topic, and two writers of
 * the same settings overwrite one another.
 *
 * Each item is answered for itself. Errors are values: code and words.
 */

import type { Env } from '../../kernel/env.js'
import type { Problem } from '../../kernel/errors.js'
import type { Random } from '../../kernel/random.js'
import type { NodeId } from '../../kernel/units.js'
import type { MetadataImage } from '../../kraft/metadata/image.js'
import { LOG_BROKER_SETTINGS, LOG_SETTINGS, logConfig, type LogConfig } from '../../log/log-config.js'
import type { Apis } from '../../wire/apis.js'
import type { ApiError } from '../../wire/error-response.js'
import { Errors } from '../../wire/errors.js'
import { ANY_VERSION, type Op } from '../../zookeeper/api.js'
import { isZooKeeperTrouble, type KafkaZkClient, KeeperFailure } from '../../zookeeper/kafka/kafka-zk-client.js'
import type { Task } from '../../zookeeper/kafka/task.js'
import {
  ConfigChangeZnode,
  type ConfigEntity,
  ConfigZnode,
  DEFAULT_ENTITY,
  Path,
  type ReplicaAssignment,
  TopicZnode,
} from '../../zookeeper/kafka/znodes.js'
import { apiError, NO_ERROR } from '../controller-result.js'
import { collisionKey, topicNameProblem } from '../topic-names.js'
import { assignmentOf, isBeingReassigned } from './replica-assignment.js'
import { placeReplicas } from './replica-placement.js'
import type { ZooKeeperControllerConfig } from './zk-controller-config.js'

type CreatableTopic = Apis['CreateTopics']['request']['topics'][number]
type CreatePartitionsTopic = Apis['CreatePartitions']['request']['topics'][number]
type Assignments = ReadonlyMap<number, readonly NodeId[]>

/** What was made of a topic: its partitions, or why nothing. */
export interface TopicOutcome {
  readonly topic: string
  readonly error: ApiError
  readonly partitions: readonly number[]
  readonly topicId?: string
  readonly replicationFactor?: number
}

export interface ConfigChange {
  readonly resourceType: number
  readonly resourceName: string
  readonly changes: readonly { readonly name: string; readonly operation: number; readonly value: string | null }[]
  /** Everything that is not named goes (AlterConfigs). */
  readonly replaces: boolean
}

export interface ZkAdminOptions {
  readonly zk: KafkaZkClient
  readonly brokerId: NodeId
  readonly config: ZooKeeperControllerConfig
  /** What this broker knows of the cluster. */
  readonly image: () => MetadataImage
  readonly topicDefaults: () => LogConfig
}

const OP = { SET: 0, DELETE: 1, APPEND: 2, SUBTRACT: 3 } as const
const RESOURCE = { TOPIC: 2, BROKER: 4 } as const
/** Kafka's numbers for "as the broker is set". */
const UNSET = -1

export class ZkAdmin {
  readonly #env: Env
  readonly #options: ZkAdminOptions
  readonly #topicIds: Random
  readonly #placement: Random

  constructor(env: Env, options: ZkAdminOptions) {
    this.#env = env
    this.#options = options
    this.#topicIds = env.random.fork('topic-ids')
    this.#placement = env.random.fork('replica-placement')
  }

  // ── topics ────────────────────────────────────────────────────────────────────────────────────────────────────────

  *createTopic(topic: CreatableTopic, validateOnly: boolean): Task<TopicOutcome> {
    const { name } = topic
    const configs = new Map(topic.configs.map((entry) => [entry.name, entry.value ?? '']))
    try {
      const refused = this.#refusalOf(topic)
      if (refused !== undefined) return failed(name, refused)
      const assignment = this.#assign(topic)
      if ('error' in assignment) return failed(name, assignment)
      const invalid = yield* this.#validate(name, assignment, configs)
      if (invalid !== undefined) return failed(name, invalid)
      const partitions = [...assignment.keys()]
      const replicationFactor = assignment.get(0)?.length ?? 0
      if (validateOnly) return { topic: name, error: NO_ERROR, partitions, replicationFactor }
      const topicId = this.#topicIds.uuid()
      yield* this.#writeConfig('topics', name, configs)
      for (const [key, value] of configs) this.#tell(`topic:${name}`, key, value)
      const replicas = new Map([...assignment].map(([index, ids]) => [index, assignmentOf(ids)] as const))
      yield* this.#options.zk.create(
        Path.topic(name),
        TopicZnode.encode({ topicId, assignment: replicas }),
        'PERSISTENT',
      )
      return { topic: name, error: NO_ERROR, partitions, topicId, replicationFactor }
    } catch (error) {
      return failed(name, errorOf(error, Errors.TOPIC_ALREADY_EXISTS))
    }
  }

  *deleteTopic(topic: string): Task<ApiError> {
    const { zk } = this.#options
    try {
      if (!(yield* zk.exists(Path.topic(topic)))) return apiError(Errors.UNKNOWN_TOPIC_OR_PARTITION)
      yield* zk.create(Path.deleteTopic(topic), null, 'PERSISTENT')
      return NO_ERROR
    } catch (error) {
      // It is marked for deletion already: that will do.
      return error instanceof KeeperFailure && error.code === 'NODEEXISTS' ? NO_ERROR : errorOf(error)
    }
  }

  *createPartitions({ name, count, assignments }: CreatePartitionsTopic, validateOnly: boolean): Task<TopicOutcome> {
    const { zk } = this.#options
    try {
      const found = yield* zk.getData(Path.topic(name))
      const topic = TopicZnode.decode(found?.data ?? null)
      const existing = topic.assignment
      if ([...existing.values()].some(isBeingReassigned)) return failed(name, apiError(Errors.REASSIGNMENT_IN_PROGRESS))
      if (existing.size === 0) return failed(name, apiError(Errors.UNKNOWN_TOPIC_OR_PARTITION))
      if (count <= existing.size) {
        return failed(name, apiError(Errors.INVALID_PARTITIONS, `${name} has ${existing.size} partitions already`))
      }
      const added = this.#moreReplicas(existing, count, assignments?.map(({ brokerIds }) => brokerIds) ?? null)
      if ('error' in added) return failed(name, added)
      const all = new Map([...existing, ...[...added].map(([index, ids]) => [index, assignmentOf(ids)] as const)])
      if (!validateOnly) {
        yield* zk.setData(Path.topic(name), TopicZnode.encode({ ...topic, assignment: all }), ANY_VERSION)
      }
      return { topic: name, error: NO_ERROR, partitions: [...all.keys()] }
    } catch (error) {
      return failed(name, errorOf(error))
    }
  }

  #refusalOf(topic: CreatableTopic): ApiError | undefined {
    if (this.#options.image().topicsByName.has(topic.name)) return apiError(Errors.TOPIC_ALREADY_EXISTS)
    if (topic.configs.some(({ value }) => value === null))
      return apiError(Errors.INVALID_CONFIG, 'a setting without a value')
    const isCounted = topic.numPartitions !== UNSET || topic.replicationFactor !== UNSET
    if (isCounted && topic.assignments.length > 0) {
      return apiError(Errors.INVALID_REQUEST, 'either numbers or an assignment, not both')
    }
    return undefined
  }

  #assign(topic: CreatableTopic): Assignments | ApiError {
    if (topic.assignments.length > 0) {
      return new Map(topic.assignments.map(({ partitionIndex, brokerIds }) => [partitionIndex, brokerIds]))
    }
    const { config } = this.#options
    const partitions = topic.numPartitions === UNSET ? config['num.partitions'] : topic.numPartitions
    const replicationFactor =
      topic.replicationFactor === UNSET ? config['default.replication.factor'] : topic.replicationFactor
    const placed = this.#place({ partitions, replicationFactor })
    return 'error' in placed ? placed : new Map(placed.map((ids, index) => [index, ids]))
  }

  #place(options: {
    partitions: number
    replicationFactor: number
    startIndex?: number
    firstPartition?: number
  }): NodeId[][] | ApiError {
    const { partitions, replicationFactor } = options
    const brokers = [...this.#options.image().brokers.values()].sort((a, b) => a.id - b.id)
    if (partitions <= 0) return apiError(Errors.INVALID_PARTITIONS, 'the number of partitions is not positive')
    if (replicationFactor <= 0) return apiError(Errors.INVALID_REPLICATION_FACTOR, 'it is not positive')
    if (replicationFactor > brokers.length) {
      const message = `${replicationFactor} replicas were asked for, ${brokers.length} brokers are alive`
      return apiError(Errors.INVALID_REPLICATION_FACTOR, message)
    }
    const placed = placeReplicas(brokers, options, this.#placement)
    return 'impossible' in placed ? apiError(Errors.UNKNOWN_SERVER_ERROR, placed.impossible) : placed
  }

  #moreReplicas(
    existing: ReadonlyMap<number, ReplicaAssignment>,
    count: number,
    given: readonly (readonly NodeId[])[] | null,
  ): Assignments | ApiError {
    const alive = [...this.#options.image().brokers.keys()].sort((a, b) => a - b)
    const first = existing.get(0)?.replicas ?? []
    const invalid = (message: string): ApiError => apiError(Errors.INVALID_REPLICA_ASSIGNMENT, message)
    if (given === null) {
      const startIndex = Math.max(
        0,
        alive.findIndex((id) => id >= (first[0] ?? 0)),
      )
      const options = { partitions: count - existing.size, replicationFactor: first.length }
      const placed = this.#place({ ...options, startIndex, firstPartition: existing.size })
      return 'error' in placed ? placed : new Map(placed.map((ids, at) => [existing.size + at, ids]))
    }
    if (given.flat().some((id) => !alive.includes(id))) return invalid('a broker that is not alive')
    if (given.length !== count - existing.size) return invalid(`${count - existing.size} assignments are needed`)
    for (const ids of given) {
      if (ids.length === 0) return invalid('a partition without replicas')
      if (new Set(ids).size < ids.length) return invalid('a replica is named twice')
      if (ids.length !== first.length) return invalid(`every partition has ${first.length} replicas`)
    }
    return new Map(given.map((ids, at) => [existing.size + at, ids]))
  }

  *#validate(name: string, assignment: Assignments, configs: ReadonlyMap<string, string>): Task<ApiError | undefined> {
    const { zk } = this.#options
    const wrongName = topicNameProblem(name)
    if (wrongName !== undefined) return apiError(Errors.INVALID_TOPIC_EXCEPTION, wrongName)
    if (yield* zk.exists(Path.deleteTopic(name))) return apiError(Errors.TOPIC_ALREADY_EXISTS, 'it is being deleted')
    if (yield* zk.exists(Path.topic(name))) return apiError(Errors.TOPIC_ALREADY_EXISTS)
    const key = collisionKey(name)
    if (key !== undefined) {
      const others = yield* zk.getChildren(Path.topics)
      if (others.includes(name)) return apiError(Errors.TOPIC_ALREADY_EXISTS)
      const collides = others.find((other) => collisionKey(other) === key)
      if (collides !== undefined) return apiError(Errors.INVALID_TOPIC_EXCEPTION, `it collides with ${collides}`)
    }
    const lists = [...assignment.values()]
    const invalid = (message: string): ApiError => apiError(Errors.INVALID_REPLICA_ASSIGNMENT, message)
    if (new Set(lists.map((ids) => ids.length)).size !== 1) return invalid('partitions of different size')
    if (lists.some((ids) => new Set(ids).size < ids.length)) return invalid('a replica is named twice')
    for (let index = 0; index < assignment.size; index++) {
      if (!assignment.has(index)) return invalid('partitions are not numbered from 0 on')
    }
    return this.#invalidTopicConfig(configs)
  }

  #invalidTopicConfig(configs: ReadonlyMap<string, string>): ApiError | undefined {
    const problems: Problem[] = []
    logConfig(this.#options.topicDefaults(), Object.fromEntries(configs), problems)
    const [first] = problems
    return first && apiError(Errors.INVALID_CONFIG, first.message)
  }

  // ── settings ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Broker settings have been validated by the broker that asks. */
  *alterConfigs(change: ConfigChange, validateOnly: boolean): Task<ApiError> {
    const { resourceType, resourceName } = change
    try {
      if (resourceType === RESOURCE.TOPIC) {
        if (resourceName === '') return apiError(Errors.INVALID_REQUEST, 'topics have no default resource')
        if (!this.#options.image().topicsByName.has(resourceName)) return apiError(Errors.UNKNOWN_TOPIC_OR_PARTITION)
        return yield* this.#alter('topics', resourceName, change, validateOnly)
      }
      if (resourceType !== RESOURCE.BROKER) {
        return apiError(Errors.INVALID_REQUEST, `resource type ${resourceType} has no settings here`)
      }
      const entity = resourceName === '' ? DEFAULT_ENTITY : resourceName
      return yield* this.#alter('brokers', entity, change, validateOnly)
    } catch (error) {
      return errorOf(error)
    }
  }

  *#alter(type: ConfigEntity, entity: string, change: ConfigChange, validateOnly: boolean): Task<ApiError> {
    const found = yield* this.#options.zk.getData(Path.config(type, entity))
    const before = ConfigZnode.decode(found?.data ?? null)
    const after = new Map(change.replaces ? [] : before)
    for (const { name, operation, value } of change.changes) {
      if (operation === OP.SET) {
        if (value !== null) after.set(name, value)
      } else if (operation === OP.DELETE) after.delete(name)
      else {
        const items = listOf(type, name, after.get(name))
        if (items === undefined) return apiError(Errors.INVALID_CONFIG, `${name} is no list`)
        const given = (value ?? '').split(',')
        const combined =
          operation === OP.APPEND
            ? [...items, ...given.filter((item) => !items.includes(item))]
            : items.filter((item) => !given.includes(item))
        after.set(name, combined.join(','))
      }
    }
    const invalid = type === 'topics' ? this.#invalidTopicConfig(after) : undefined
    if (invalid !== undefined) return invalid
    if (validateOnly) return NO_ERROR
    yield* this.#writeConfig(type, entity, after)
    yield* this.#options.zk.create(
      Path.configChange,
      ConfigChangeZnode.encode(`${type}/${entity}`),
      'PERSISTENT_SEQUENTIAL',
    )
    const resource = type === 'topics' ? `topic:${entity}` : `broker:${entity === DEFAULT_ENTITY ? '' : entity}`
    for (const [name, value] of after) if (before.get(name) !== value) this.#tell(resource, name, value)
    for (const name of before.keys()) if (!after.has(name)) this.#tell(resource, name, null)
    return NO_ERROR
  }

  /** Over the znode as long as /controller is the one that was read: brokers do not write settings while there is none (KIP-866). */
  *#writeConfig(type: ConfigEntity, entity: string, config: ReadonlyMap<string, string>): Task<void> {
    const { zk } = this.#options
    const path = Path.config(type, entity)
    const data = ConfigZnode.encode(config)
    const controller = yield* zk.getData(Path.controller)
    if (controller === undefined) throw new KeeperFailure('NONODE', Path.controller)
    const ops: readonly Op[] = [
      { op: 'check', path: Path.controller, version: controller.stat.version },
      { op: 'setData', path, data, version: ANY_VERSION },
    ]
    const written = yield* zk.multi(ops)
    if (written.ok) return
    const [check, set] = written.results
    if (check?.op === 'error' && check.error !== 'OK') throw new KeeperFailure(check.error, Path.controller)
    if (set?.op !== 'error' || set.error !== 'NONODE') throw new KeeperFailure(written.error, path)
    try {
      yield* zk.createRecursive(path, data, false)
    } catch (error) {
      if (!(error instanceof KeeperFailure) || error.code !== 'NODEEXISTS') throw error
      const again = yield* zk.multi(ops)
      if (!again.ok) throw new KeeperFailure(again.error, path)
    }
  }

  #tell(resource: string, name: string, value: string | null): void {
    this.#env.emit('controller.config', { resource, name, value })
  }
}

function failed(topic: string, error: ApiError): TopicOutcome {
  return { topic, error, partitions: [] }
}

/** `exists`: what NODEEXISTS means here. */
function errorOf(error: unknown, exists: number = Errors.UNKNOWN_SERVER_ERROR): ApiError {
  if (!isZooKeeperTrouble(error)) throw error
  const isThere = error instanceof KeeperFailure && error.code === 'NODEEXISTS'
  return isThere ? apiError(exists) : apiError(Errors.UNKNOWN_SERVER_ERROR, error.message)
}

/** Items of a list setting; undefined when it is none. */
function listOf(type: ConfigEntity, name: string, value: string | undefined): string[] | undefined {
  const table: Readonly<Record<string, { readonly default: unknown }>> =
    type === 'topics' ? LOG_SETTINGS : LOG_BROKER_SETTINGS
  const byDefault = Object.hasOwn(table, name) ? table[name]?.default : undefined
  if (!Array.isArray(byDefault)) return undefined
  return (value ?? byDefault.join(',')).split(',').filter((item) => item !== '')
}
