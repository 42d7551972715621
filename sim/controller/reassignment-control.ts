/**
 * AlterPartitionReassignments and ListPartitionReassignments (KIP-455, KIP-860; part of Kafka's `ReplicationControlManager`).
 *
 * A change that the present ISR already satisfies completes at once; otherwise the leader's AlterPartition that brings in the last
 * target replica completes it. A new target replaces the running one; null cancels it.
 */

import type { MetadataImage, PartitionImage } from '../kraft/metadata/image.js'
import { isReassigning, sameItems } from '../kraft/metadata/image.js'
import type { MetadataRecord, PartitionChangeRecord } from '../kraft/metadata/records.js'
import type { ApiError } from '../wire/error-response.js'
import { Errors } from '../wire/errors.js'
import type {
  AlterPartitionReassignmentsRequest,
  AlterPartitionReassignmentsResponse,
  ReassignablePartition,
} from '../wire/messages/alter-partition-reassignments.js'
import type {
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponse,
  OngoingPartitionReassignment,
  OngoingTopicReassignment,
} from '../wire/messages/list-partition-reassignments.js'
import type { ControllerResult } from './controller-result.js'
import { apiError, decided } from './controller-result.js'
import { planReassignment, revertReassignment } from './reassignment.js'
import type { ReplicationContext } from './replication-context.js'
import { changePartition, electionOf } from './replication-context.js'
import type { Topic } from './topic-state.js'
import { checkManualAssignment } from './topic-creation.js'

type Change = { readonly record: PartitionChangeRecord | undefined }

export function alterPartitionReassignments(
  context: ReplicationContext,
  request: AlterPartitionReassignmentsRequest,
): ControllerResult<AlterPartitionReassignmentsResponse> {
  const allow = request.allowReplicationFactorChange
  const records: MetadataRecord[] = []
  const responses = request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map((target) => {
      const outcome = alterOne(context, name, target, allow)
      const failure = 'error' in outcome ? outcome : undefined
      if (!('error' in outcome) && outcome.record !== undefined) records.push(outcome.record)
      return {
        partitionIndex: target.partitionIndex,
        errorCode: failure?.error ?? Errors.NONE,
        errorMessage: failure?.message ?? null,
      }
    }),
  }))
  const response = {
    throttleTimeMs: 0,
    allowReplicationFactorChange: allow,
    errorCode: Errors.NONE,
    errorMessage: null,
    responses,
  }
  return decided('reassignment', records, response, true)
}

/** Reads committed metadata, on any controller. */
export function listPartitionReassignments(
  image: MetadataImage,
  request: ListPartitionReassignmentsRequest,
): ListPartitionReassignmentsResponse {
  const asked =
    request.topics ??
    [...image.topicsByName.values()].map(({ name, partitions }) => ({ name, partitionIndexes: [...partitions.keys()] }))
  const topics: OngoingTopicReassignment[] = []
  for (const { name, partitionIndexes } of asked) {
    const topic = image.topicsByName.get(name)
    const partitions: OngoingPartitionReassignment[] = []
    for (const partitionIndex of partitionIndexes) {
      const partition = topic?.partitions.get(partitionIndex)
      if (partition === undefined || !isReassigning(partition)) continue
      const { replicas, addingReplicas, removingReplicas } = partition
      partitions.push({ partitionIndex, replicas, addingReplicas, removingReplicas })
    }
    if (partitions.length > 0) topics.push({ name, partitions })
  }
  return { throttleTimeMs: 0, errorCode: Errors.NONE, errorMessage: null, topics }
}

function alterOne(
  context: ReplicationContext,
  name: string,
  target: ReassignablePartition,
  allowReplicationFactorChange: boolean,
): ApiError | Change {
  const topic = context.topics.byName.get(name)
  if (topic === undefined) {
    return apiError(Errors.UNKNOWN_TOPIC_OR_PARTITION, `there is no topic ${name}`)
  }
  const partition = topic.partitions.get(target.partitionIndex)
  if (partition === undefined) {
    return apiError(Errors.UNKNOWN_TOPIC_OR_PARTITION, `there is no partition ${name}-${target.partitionIndex}`)
  }
  if (target.replicas === null) return cancel(context, topic, target.partitionIndex, partition)
  const error =
    checkManualAssignment(context, target.replicas) ??
    (allowReplicationFactorChange ? undefined : checkReplicationFactor(partition, target.replicas.length))
  if (error !== undefined) return error
  const plan = planReassignment(partition.replicas, target.replicas)
  const record = changePartition(context, topic, target.partitionIndex, {
    ...(!sameItems(plan.replicas, partition.replicas) && { replicas: plan.replicas }),
    ...(plan.removing.length > 0 && { removing: plan.removing }),
    ...(plan.adding.length > 0 && { adding: plan.adding }),
  })
  return { record }
}

function cancel(
  context: ReplicationContext,
  topic: Topic,
  index: number,
  partition: PartitionImage,
): ApiError | Change {
  if (!isReassigning(partition)) {
    return apiError(Errors.NO_REASSIGNMENT_IN_PROGRESS)
  }
  const revert = revertReassignment(partition)
  if (revert.unclean && !context.configs.uncleanElectionEnabled(topic.name)) {
    return apiError(
      Errors.INVALID_REPLICA_ASSIGNMENT,
      `${topic.name}-${index} could go back only by an unclean election`,
    )
  }
  const record = changePartition(context, topic, index, {
    election: electionOf(context, topic),
    isr: revert.isr,
    replicas: revert.replicas,
    removing: [],
    adding: [],
  })
  return { record }
}

function checkReplicationFactor(partition: PartitionImage, size: number): ApiError | undefined {
  const current = new Set([...partition.replicas, ...partition.addingReplicas])
  for (const replica of partition.removingReplicas) current.delete(replica)
  const before = isReassigning(partition) ? current.size : partition.replicas.length
  if (before === size) return undefined
  return apiError(Errors.INVALID_REPLICATION_FACTOR, `the replication factor would change from ${before} to ${size}`)
}
