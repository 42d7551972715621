/**
 * Elections that somebody asked for, and the periodic ones (part of Kafka's `ReplicationControlManager`).
 *
 * ElectLeaders (KIP-460): PREFERRED 0, UNCLEAN 1. Periodically, partitions that are not led by their preferred replica get it back,
 * and partitions without a leader get one uncleanly where the topic allows it; at most MAX_ELECTIONS at a time.
 */

import type { MetadataRecord } from '../kraft/metadata/records.js'
import { hasLeader, preferredReplica } from '../kraft/metadata/image.js'
import type { ApiError } from '../wire/error-response.js'
import { Errors } from '../wire/errors.js'
import type { ElectLeadersRequest, ElectLeadersResponse, PartitionResult } from '../wire/messages/elect-leaders.js'
import type { ControllerResult, Decision } from './controller-result.js'
import { apiError, decided, NO_ERROR, refused } from './controller-result.js'
import type { ReplicationContext } from './replication-context.js'
import { changePartition } from './replication-context.js'

export const ELECTION_PREFERRED = 0
export const ELECTION_UNCLEAN = 1

const MAX_ELECTIONS = 1_000

export function electLeaders(
  context: ReplicationContext,
  request: ElectLeadersRequest,
): Decision<ElectLeadersResponse> {
  const { electionType, topicPartitions } = request
  if (electionType !== ELECTION_PREFERRED && electionType !== ELECTION_UNCLEAN) {
    return refused(Errors.INVALID_REQUEST, `election type ${electionType} is unknown`)
  }
  const records: MetadataRecord[] = []
  const asked =
    topicPartitions ??
    [...context.topics.byName.values()].map(({ name, partitions }) => ({
      topic: name,
      partitions: [...partitions.keys()],
    }))
  const results = asked.map(({ topic, partitions }) => {
    const partitionResult: PartitionResult[] = []
    for (const partitionId of partitions) {
      const { error, message } = electLeader(context, topic, partitionId, electionType, records)
      // Who asked for all partitions is not told of those that need nothing.
      if (topicPartitions === null && error === Errors.ELECTION_NOT_NEEDED) continue
      partitionResult.push({ partitionId, errorCode: error, errorMessage: message })
    }
    return { topic, partitionResult }
  })
  return decided('elect-leaders', records, {
    throttleTimeMs: 0,
    errorCode: Errors.NONE,
    replicaElectionResults: results,
  })
}

/** Gives partitions back to their preferred leaders. The response is true when there may be more. */
export function balanceLeaders(context: ReplicationContext): ControllerResult<boolean> {
  const records: MetadataRecord[] = []
  for (const { topicId, partition } of context.topics.imbalanced) {
    if (records.length >= MAX_ELECTIONS) break
    const topic = context.topics.byId.get(topicId)
    const record = topic && changePartition(context, topic, partition, { election: 'PREFERRED' })
    if (record !== undefined) records.push(record)
  }
  return decided('preferred-leader', records, records.length >= MAX_ELECTIONS)
}

/** Elects leaders uncleanly where there is none and the topic allows it. The response is true when there may be more. */
export function electUncleanLeaders(context: ReplicationContext): ControllerResult<boolean> {
  const records: MetadataRecord[] = []
  for (const { topicId, partition } of context.topics.isrs.leaderless()) {
    if (records.length >= MAX_ELECTIONS) break
    const topic = context.topics.byId.get(topicId)
    if (topic === undefined || !context.configs.uncleanElectionEnabled(topic.name)) continue
    electLeader(context, topic.name, partition, ELECTION_UNCLEAN, records)
  }
  return decided('unclean-election', records, records.length >= MAX_ELECTIONS)
}

function electLeader(
  context: ReplicationContext,
  name: string,
  index: number,
  electionType: number,
  records: MetadataRecord[],
): ApiError {
  const topic = context.topics.byName.get(name)
  if (topic === undefined) return apiError(Errors.UNKNOWN_TOPIC_OR_PARTITION, `there is no topic ${name}`)
  const partition = topic.partitions.get(index)
  if (partition === undefined) {
    return apiError(Errors.UNKNOWN_TOPIC_OR_PARTITION, `there is no partition ${name}-${index}`)
  }
  const unclean = electionType === ELECTION_UNCLEAN
  if (unclean ? hasLeader(partition) : partition.leader === preferredReplica(partition)) {
    return apiError(Errors.ELECTION_NOT_NEEDED, 'the partition has the leader that it should have')
  }
  const record = changePartition(context, topic, index, { election: unclean ? 'UNCLEAN' : 'PREFERRED' })
  if (record === undefined) {
    return unclean
      ? apiError(Errors.ELIGIBLE_LEADERS_NOT_AVAILABLE, 'no replica is alive')
      : apiError(Errors.PREFERRED_LEADER_NOT_AVAILABLE, 'the preferred replica is not alive and in sync')
  }
  records.push(record)
  return NO_ERROR
}
