/**
 * AlterPartition: a leader asks for another ISR (KIP-497, KIP-841, KIP-903; `ReplicationControlManager.alterPartition`).
 *
 * Checks in Kafka's order: broker epoch → STALE_BROKER_EPOCH (the whole request) · topic → UNKNOWN_TOPIC_ID · partition →
 * UNKNOWN_TOPIC_OR_PARTITION · newer leader or partition epoch → NOT_CONTROLLER · older leader epoch → FENCED_LEADER_EPOCH · not the
 * leader → INVALID_REQUEST · older partition epoch → INVALID_UPDATE_VERSION · ISR within the replicas, without doubles, with the
 * leader; RECOVERING with an ISR of one only, never from RECOVERED → INVALID_REQUEST · a member not registered, shutting down,
 * fenced or of another broker epoch → INELIGIBLE_REPLICA.
 */

import type { NodeId } from '../kernel/units.js'
import type { PartitionImage } from '../kraft/metadata/image.js'
import { mergePartition } from '../kraft/metadata/image.js'
import type { LeaderRecoveryState, MetadataRecord } from '../kraft/metadata/records.js'
import { NO_LEADER_CHANGE, RECOVERED, RECOVERING } from '../kraft/metadata/records.js'
import type { ErrorCode } from '../wire/errors.js'
import { Errors } from '../wire/errors.js'
import type {
  AlterPartitionRequest,
  AlterPartitionRequestPartitionData,
  AlterPartitionResponse,
  AlterPartitionResponsePartitionData,
  AlterPartitionResponseTopicData,
  BrokerState,
} from '../wire/messages/alter-partition.js'
import type { Decision } from './controller-result.js'
import { decided } from './controller-result.js'
import type { ReplicationContext } from './replication-context.js'
import { changePartition, electionOf } from './replication-context.js'
import type { Topic } from './topic-state.js'

/** Before this version the members of the ISR come without broker epochs. */
const FIRST_VERSION_WITH_EPOCHS = 3

export function alterPartition(
  context: ReplicationContext,
  request: AlterPartitionRequest,
  version: number,
): Decision<AlterPartitionResponse> {
  const stale = context.cluster.checkBrokerEpoch(request.brokerId, request.brokerEpoch)
  if (stale !== undefined) return { refused: stale }
  const records: MetadataRecord[] = []
  const topics: AlterPartitionResponseTopicData[] = []
  for (const { topicId, partitions } of request.topics) {
    const topic = context.topics.byId.get(topicId)
    topics.push({
      topicId,
      partitions: partitions.map((asked) =>
        topic === undefined
          ? failed(asked.partitionIndex, Errors.UNKNOWN_TOPIC_ID)
          : alterOne(context, request.brokerId, topic, asked, version, records),
      ),
    })
  }
  return decided('alter-partition', records, { throttleTimeMs: 0, errorCode: Errors.NONE, topics })
}

function alterOne(
  context: ReplicationContext,
  broker: NodeId,
  topic: Topic,
  asked: AlterPartitionRequestPartitionData,
  version: number,
  records: MetadataRecord[],
): AlterPartitionResponsePartitionData {
  const index = asked.partitionIndex
  const isr: readonly BrokerState[] =
    version < FIRST_VERSION_WITH_EPOCHS
      ? asked.newIsr.map((brokerId) => ({ brokerId, brokerEpoch: -1 }))
      : asked.newIsrWithEpochs
  const partition = topic.partitions.get(index)
  const error = validate(context, broker, partition, asked, isr)
  if (error !== Errors.NONE || partition === undefined) return failed(index, error)
  const change = changePartition(context, topic, index, {
    election: electionOf(context, topic),
    isr: isr.map((member) => member.brokerId),
    leaderRecoveryState: asked.leaderRecoveryState as LeaderRecoveryState,
  })
  if (change === undefined) return succeeded(index, partition)
  records.push(change)
  // Normally a leader's request cannot move the leadership, but it may complete a reassignment that does. The leader then
  // has to wait for the metadata, although its request was carried out.
  if (change.leader !== broker && change.leader !== NO_LEADER_CHANGE) return failed(index, Errors.NEW_LEADER_ELECTED)
  return succeeded(index, mergePartition(partition, change))
}

function validate(
  context: ReplicationContext,
  broker: NodeId,
  partition: PartitionImage | undefined,
  asked: AlterPartitionRequestPartitionData,
  isr: readonly BrokerState[],
): ErrorCode {
  if (partition === undefined) return Errors.UNKNOWN_TOPIC_OR_PARTITION
  if (asked.leaderEpoch > partition.leaderEpoch) return Errors.NOT_CONTROLLER
  if (asked.partitionEpoch > partition.partitionEpoch) return Errors.NOT_CONTROLLER
  if (asked.leaderEpoch < partition.leaderEpoch) return Errors.FENCED_LEADER_EPOCH
  if (broker !== partition.leader) return Errors.INVALID_REQUEST
  if (asked.partitionEpoch < partition.partitionEpoch) return Errors.INVALID_UPDATE_VERSION
  const members = isr.map((member) => member.brokerId)
  if (!isValidIsr(partition.replicas, members)) return Errors.INVALID_REQUEST
  if (!members.includes(partition.leader)) return Errors.INVALID_REQUEST
  if (asked.leaderRecoveryState === RECOVERING && members.length > 1) return Errors.INVALID_REQUEST
  if (partition.leaderRecoveryState === RECOVERED && asked.leaderRecoveryState === RECOVERING) {
    return Errors.INVALID_REQUEST
  }
  return isr.every((member) => isEligible(context, member)) ? Errors.NONE : Errors.INELIGIBLE_REPLICA
}

/** Broker epoch -1 leaves the epoch unchecked. */
function isEligible(context: ReplicationContext, { brokerId, brokerEpoch }: BrokerState): boolean {
  const registration = context.cluster.brokers.get(brokerId)
  if (registration === undefined || registration.inControlledShutdown || registration.fenced) return false
  return brokerEpoch === -1 || brokerEpoch === registration.epoch
}

function isValidIsr(replicas: readonly NodeId[], isr: readonly NodeId[]): boolean {
  return new Set(isr).size === isr.length && isr.every((member) => member >= 0 && replicas.includes(member))
}

function failed(partitionIndex: number, errorCode: ErrorCode): AlterPartitionResponsePartitionData {
  return { partitionIndex, errorCode, leaderId: 0, leaderEpoch: 0, isr: [], leaderRecoveryState: 0, partitionEpoch: 0 }
}

function succeeded(partitionIndex: number, partition: PartitionImage): AlterPartitionResponsePartitionData {
  return {
    partitionIndex,
    errorCode: Errors.NONE,
    leaderId: partition.leader,
    leaderEpoch: partition.leaderEpoch,
    isr: partition.isr,
    leaderRecoveryState: partition.leaderRecoveryState,
    partitionEpoch: partition.partitionEpoch,
  }
}
