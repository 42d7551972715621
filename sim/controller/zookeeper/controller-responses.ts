/** How the controller's answers to administrators are written: grouped by topic, in the order of the request. */

import type { MetadataImage } from '../../kraft/metadata/image.js'
import type { Apis } from '../../wire/apis.js'
import { Errors } from '../../wire/errors.js'
import { type TopicPartition, topicPartition } from '../../zookeeper/kafka/znodes.js'
import type { ControllerContext } from './controller-context.js'
import type { ElectionAnswers } from './leader-balance.js'
import type { ReassignmentErrors } from './reassignments.js'
import { isBeingReassigned } from './replica-assignment.js'

const throttleTimeMs = 0

/** The partitions that were named; all of them where none were. */
export function partitionsOf(
  named: Apis['ElectLeaders']['request']['topicPartitions'],
  image: MetadataImage,
): TopicPartition[] {
  if (named !== null) {
    return named.flatMap(({ topic, partitions }) => partitions.map((index) => topicPartition(topic, index)))
  }
  return [...image.topicsByName.values()].flatMap(({ name, partitions }) =>
    [...partitions.keys()].map((index) => topicPartition(name, index)),
  )
}

/** `withoutNeedless`: asked about all partitions, only those are told for which there was something to do. */
export function electionResponse(answers: ElectionAnswers, withoutNeedless: boolean): Apis['ElectLeaders']['response'] {
  type Result = Apis['ElectLeaders']['response']['replicaElectionResults'][number]['partitionResult'][number]
  const topics = new Map<string, Result[]>()
  for (const { partition, answer } of answers.values()) {
    const error = 'leader' in answer ? { error: Errors.NONE, message: null } : answer
    if (withoutNeedless && error.error === Errors.ELECTION_NOT_NEEDED) continue
    const results = topics.get(partition.topic) ?? []
    topics.set(partition.topic, results)
    results.push({ partitionId: partition.index, errorCode: error.error, errorMessage: error.message })
  }
  const replicaElectionResults = [...topics].map(([topic, partitionResult]) => ({ topic, partitionResult }))
  return { throttleTimeMs, errorCode: Errors.NONE, replicaElectionResults }
}

export function reassignmentResponse(
  body: Apis['AlterPartitionReassignments']['request'],
  errors: ReassignmentErrors,
): Apis['AlterPartitionReassignments']['response'] {
  const responses = body.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex }) => {
      const error = errors.get(topicPartition(name, partitionIndex).name)
      return {
        partitionIndex,
        errorCode: error?.error ?? Errors.UNKNOWN_SERVER_ERROR,
        errorMessage: error?.message ?? null,
      }
    }),
  }))
  const { allowReplicationFactorChange } = body
  return { throttleTimeMs, allowReplicationFactorChange, errorCode: Errors.NONE, errorMessage: null, responses }
}

export function listResponse(
  body: Apis['ListPartitionReassignments']['request'],
  context: ControllerContext,
): Apis['ListPartitionReassignments']['response'] {
  const asked = body.topics?.flatMap(({ name, partitionIndexes }) =>
    partitionIndexes.map((index) => topicPartition(name, index)),
  ) ?? [...context.partitionsBeingReassigned.values()]
  type Partition = Apis['ListPartitionReassignments']['response']['topics'][number]['partitions'][number]
  const topics = new Map<string, Partition[]>()
  for (const { topic, index, name } of asked) {
    const assignment = context.assignment({ topic, index, name })
    if (!isBeingReassigned(assignment)) continue
    const list = topics.get(topic) ?? []
    topics.set(topic, list)
    list.push({
      partitionIndex: index,
      replicas: assignment.replicas,
      addingReplicas: assignment.adding,
      removingReplicas: assignment.removing,
    })
  }
  return {
    throttleTimeMs,
    errorCode: Errors.NONE,
    errorMessage: null,
    topics: [...topics].map(([name, partitions]) => ({ name, partitions })),
  }
}
