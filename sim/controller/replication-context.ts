/**
 * What decisions about topics and partitions look at: the state of the controller, read-only in spirit.
 *
 * Each decision is a function of this context and a request, in a file of its own; together they are Kafka's
 * `ReplicationControlManager`. Only replayed records change the state.
 */

import { assert } from '../kernel/errors.js'
import type { Random } from '../kernel/random.js'
import type { NodeId } from '../kernel/units.js'
import type { PartitionImage } from '../kraft/metadata/image.js'
import type { PartitionChangeRecord, Uuid } from '../kraft/metadata/records.js'
import { MIGRATING_DIRECTORY } from '../kraft/metadata/records.js'
import type { ClusterControl } from './cluster-control.js'
import type { ConfigControl } from './config-control.js'
import type { FeatureControl } from './feature-control.js'
import type { PartitionChange } from './partition-change-builder.js'
import { buildPartitionChange } from './partition-change-builder.js'
import type { Topic, TopicState } from './topic-state.js'
import { effectiveMinIsr } from './topic-state.js'

export interface ReplicationContext {
  readonly topics: TopicState
  readonly cluster: ClusterControl
  readonly configs: ConfigControl
  readonly features: FeatureControl
  /** For topic ids and the placement of replicas. */
  readonly random: Random
  /** `num.partitions` */
  readonly defaultPartitions: number
  /** `default.replication.factor` */
  readonly defaultReplicationFactor: number
}

/** Targets of a change; the rest comes from the context. */
export type ChangeTargets = Partial<
  Pick<
    PartitionChange,
    | 'election'
    | 'isr'
    | 'replicas'
    | 'removing'
    | 'adding'
    | 'leaderRecoveryState'
    | 'uncleanShutdownReplicas'
    | 'directory'
  >
> & {
  /** Instead of: registered, neither fenced nor shutting down. */
  readonly isLive?: (broker: NodeId) => boolean
}

/** The record that changes one partition, as the state stands; undefined when nothing would change. */
export function changePartition(
  context: ReplicationContext,
  topic: Topic,
  index: number,
  targets: ChangeTargets,
): PartitionChangeRecord | undefined {
  const { cluster, features } = context
  const partition = topic.partitions.get(index)
  assert(partition, 'controller: no such partition', { topic: topic.name, index })
  const { isLive, ...rest } = targets
  return buildPartitionChange(partition, {
    ...rest,
    topicId: topic.id,
    partitionId: index,
    isAcceptableLeader: (broker) => {
      const live = isLive === undefined ? cluster.isActive(broker) : isLive(broker)
      return live && cluster.hasOnlineDirectory(broker, directoryOf(partition, broker))
    },
    metadataVersion: features.metadataVersion,
    minIsr: effectiveMinIsr(topic, context.configs.minIsr(topic.name)),
    elrEnabled: features.elrEnabled,
    defaultDirectory: (broker) => defaultDirectory(context, broker),
  })
}

/** UNCLEAN where the topic allows it. */
export function electionOf(context: ReplicationContext, topic: Topic): 'UNCLEAN' | 'ONLINE' {
  return context.configs.uncleanElectionEnabled(topic.name) ? 'UNCLEAN' : 'ONLINE'
}

export function defaultDirectory(context: ReplicationContext, broker: NodeId): Uuid {
  return context.features.metadataVersion.directoryAssignment
    ? context.cluster.defaultDirectory(broker)
    : MIGRATING_DIRECTORY
}

function directoryOf(partition: PartitionImage, broker: NodeId): Uuid {
  return partition.directories[partition.replicas.indexOf(broker)] ?? MIGRATING_DIRECTORY
}
