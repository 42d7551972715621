/**
 * The controller's state as a whole: its managers, how records change them, and how they are rebuilt.
 *
 * A record is applied exactly once, with its offset, by whoever is entitled to: the active controller when it appends, a standby when
 * the record is committed. What was applied and never committed is taken back by `reset` to the committed image; the managers are
 * functions of it (soft state about heartbeats aside).
 */

import type { Env } from '../kernel/env.js'
import { unreachable } from '../kernel/errors.js'
import type { NodeId, Offset } from '../kernel/units.js'
import type { BrokerImage, MetadataImage, PartitionImage } from '../kraft/metadata/image.js'
import type { MetadataRecord } from '../kraft/metadata/records.js'
import { RESOURCE_BROKER, RESOURCE_TOPIC } from '../kraft/metadata/records.js'
import type { ApiError } from '../wire/error-response.js'
import { Errors } from '../wire/errors.js'
import type { AllocateProducerIdsRequest } from '../wire/messages/allocate-producer-ids.js'
import { AclControl } from './acl-control.js'
import { ClusterControl } from './cluster-control.js'
import type { ConfigResource } from './config-control.js'
import { ConfigControl } from './config-control.js'
import type { ControllerConfig } from './controller-config.js'
import type { Decision } from './controller-result.js'
import { apiError, decided } from './controller-result.js'
import type { FeatureSupport } from './feature-control.js'
import { FeatureControl } from './feature-control.js'
import type { ReplicationContext } from './replication-context.js'
import type { Topic } from './topic-state.js'
import { TopicState } from './topic-state.js'

/** Producer ids are given to brokers in blocks of so many (KIP-730). */
export const PRODUCER_ID_BLOCK_SIZE = 1_000

/** What a record did, for whoever tells about it. */
export type Applied =
  | {
      readonly kind: 'partition'
      readonly topic: Topic
      readonly index: number
      readonly before?: PartitionImage
      readonly after: PartitionImage
    }
  | { readonly kind: 'broker'; readonly before: BrokerImage; readonly after: BrokerImage }
  | { readonly kind: 'topic-deleted'; readonly topic: Topic }
  | {
      readonly kind: 'elr-cleared'
      readonly partitions: readonly { readonly topic: Topic; readonly index: number; readonly after: PartitionImage }[]
    }
  | undefined

/** Records that `replay` says something about. */
type TellingRecord =
  | 'PartitionChangeRecord'
  | 'PartitionRecord'
  | 'TopicRecord'
  | 'RemoveTopicRecord'
  | 'ClearElrRecord'
  | 'BrokerRegistrationChangeRecord'

export interface ControllerStateOptions {
  readonly nodeId: NodeId
  readonly clusterId: string
  /** Ids of the voters. */
  readonly quorum: readonly NodeId[]
  readonly config: ControllerConfig
  /** What of `config` was given, as text. */
  readonly given: ReadonlyMap<string, string>
}

export class ControllerState implements ReplicationContext {
  readonly features = new FeatureControl()
  readonly topics = new TopicState()
  readonly cluster: ClusterControl
  readonly configs: ConfigControl
  readonly acls: AclControl
  readonly random: ReplicationContext['random']
  readonly defaultPartitions: number
  readonly defaultReplicationFactor: number
  readonly #options: ControllerStateOptions
  #nextProducerId = 0

  constructor(env: Pick<Env, 'clock' | 'random'>, options: ControllerStateOptions) {
    const { nodeId, clusterId, config, given } = options
    this.#options = options
    this.random = env.random.fork('controller')
    this.cluster = new ClusterControl(clusterId, env.clock, config['broker.session.timeout.ms'], this.features)
    this.configs = new ConfigControl(nodeId, this.features, config, given, (resource) => this.#missing(resource))
    this.acls = new AclControl(this.random.fork('acls'))
    this.defaultPartitions = config['num.partitions']
    this.defaultReplicationFactor = config['default.replication.factor']
  }

  /** Who must support a new feature level. */
  get support(): FeatureSupport {
    const { nodeId, quorum } = this.#options
    return { nodeId, quorum, brokers: this.cluster.brokers, controllers: this.cluster.controllers }
  }

  allocateProducerIds(request: AllocateProducerIdsRequest): Decision<number> {
    const { brokerId, brokerEpoch } = request
    const stale = this.cluster.checkBrokerEpoch(brokerId, brokerEpoch)
    if (stale !== undefined) return { refused: stale }
    const first = this.#nextProducerId
    const record: MetadataRecord = {
      type: 'ProducerIdsRecord',
      version: 0,
      brokerId,
      brokerEpoch,
      nextProducerId: first + PRODUCER_ID_BLOCK_SIZE,
    }
    return decided('producer-ids', [record], first)
  }

  replay(record: MetadataRecord, offset: Offset): Applied {
    switch (record.type) {
      case 'PartitionChangeRecord': {
        const { before, after } = this.topics.replayChange(record)
        return { kind: 'partition', topic: this.#topic(record.topicId), index: record.partitionId, before, after }
      }
      case 'PartitionRecord': {
        this.topics.replayPartition(record)
        const topic = this.#topic(record.topicId)
        const after = topic.partitions.get(record.partitionId) as PartitionImage
        return { kind: 'partition', topic, index: record.partitionId, after }
      }
      case 'TopicRecord':
        this.topics.replayTopic(record)
        return undefined
      case 'RemoveTopicRecord': {
        const topic = this.topics.replayRemoveTopic(record)
        this.configs.deleteTopicConfigs(topic.name)
        return { kind: 'topic-deleted', topic }
      }
      case 'ClearElrRecord': {
        const partitions = this.topics.replayClearElr(record).map(({ topicId, partition: index }) => {
          const topic = this.#topic(topicId)
          return { topic, index, after: topic.partitions.get(index) as PartitionImage }
        })
        return { kind: 'elr-cleared', partitions }
      }
      case 'BrokerRegistrationChangeRecord':
        return { kind: 'broker', ...this.cluster.replayRegistrationChange(record) }
      default:
        this.#replayOther(record, offset)
        return undefined
    }
  }

  /** Takes everything back to `image`. */
  reset(image: MetadataImage): void {
    this.features.reset(image.features)
    this.cluster.reset(image)
    this.configs.reset(image.configs)
    this.topics.reset(image)
    this.acls.reset(image.acls)
    this.#nextProducerId = image.nextProducerId
  }

  #replayOther(record: Exclude<MetadataRecord, { type: TellingRecord }>, offset: Offset): void {
    switch (record.type) {
      case 'RegisterBrokerRecord':
        return this.cluster.replayRegisterBroker(record, offset)
      case 'UnregisterBrokerRecord':
        return this.cluster.replayUnregisterBroker(record)
      case 'FenceBrokerRecord':
        return this.cluster.replayFenceBroker(record)
      case 'UnfenceBrokerRecord':
        return this.cluster.replayUnfenceBroker(record)
      case 'RegisterControllerRecord':
        return this.cluster.replayRegisterController(record)
      case 'ConfigRecord':
        return this.configs.replay(record)
      case 'FeatureLevelRecord':
        return this.features.replay(record)
      case 'ProducerIdsRecord':
        this.#nextProducerId = record.nextProducerId
        return
      case 'AccessControlEntryRecord':
        return this.acls.replay(record)
      case 'RemoveAccessControlEntryRecord':
        return this.acls.replayRemove(record.id)
      case 'NoOpRecord':
      case 'BeginTransactionRecord':
      case 'EndTransactionRecord':
      case 'AbortTransactionRecord':
        return
      default:
        return unreachable(record, 'metadata record')
    }
  }

  #topic(id: string): Topic {
    return this.topics.byId.get(id) as Topic
  }

  #missing(resource: ConfigResource): ApiError | undefined {
    if (resource.type === RESOURCE_TOPIC) {
      if (this.topics.byName.has(resource.name)) return undefined
      return apiError(Errors.UNKNOWN_TOPIC_OR_PARTITION, `there is no topic ${resource.name}`)
    }
    if (resource.type !== RESOURCE_BROKER || resource.name === '') return undefined
    const id = Number(resource.name)
    if (this.cluster.brokers.has(id) || this.#options.quorum.includes(id)) return undefined
    return apiError(Errors.BROKER_ID_NOT_REGISTERED, `there is no node ${resource.name}`)
  }
}
