/**
 * What becomes of partitions when a broker comes, goes or stops (heartbeats, fencing, controlled shutdown; part of Kafka's
 * `ReplicationControlManager`).
 *
 *   event                    record first or last      partitions touched              in the new state the broker is
 *   fenced                   registration change last  those with it in the ISR        out of ISR, never elected
 *   unfenced                 registration change first those without a leader          acceptable as leader
 *   controlled shutdown      registration change first those with it in the ISR        out of ISR, never elected
 *   back after unclean stop  registration last         ISR, then ELR members           out of ISR and ELR
 *   back after clean stop    registration last         those with it in the ISR        out of ISR (it may be in the ELR)
 *   unregistered             unregistration last       ISR, then ELR members           out of ISR, never elected
 */

import type { NodeId, Offset } from '../kernel/units.js'
import { assert } from '../kernel/errors.js'
import type { BrokerRegistrationChangeRecord, MetadataRecord, Uuid } from '../kraft/metadata/records.js'
import { Errors } from '../wire/errors.js'
import type { BrokerHeartbeatRequest } from '../wire/messages/broker-heartbeat.js'
import type { BrokerControlState } from './broker-heartbeats.js'
import type { TopicIdPartition } from './brokers-to-partitions.js'
import type { ControllerResult, Decision } from './controller-result.js'
import { decided, refused } from './controller-result.js'
import type { ReplicationContext } from './replication-context.js'
import { changePartition, electionOf } from './replication-context.js'

export interface HeartbeatReply {
  readonly isCaughtUp: boolean
  readonly isFenced: boolean
  readonly inControlledShutdown: boolean
  readonly shouldShutDown: boolean
}

const HEARTBEAT_REASONS: Readonly<Record<BrokerControlState, string>> = {
  FENCED: 'broker-fenced',
  UNFENCED: 'unfenced',
  CONTROLLED_SHUTDOWN: 'controlled-shutdown',
  SHUTDOWN_NOW: 'controlled-shutdown',
}

export function processBrokerHeartbeat(
  context: ReplicationContext,
  request: BrokerHeartbeatRequest,
  registrationOffset: Offset,
): Decision<HeartbeatReply> {
  const { brokerId, brokerEpoch, currentMetadataOffset } = request
  const { cluster, topics } = context
  const stale = cluster.checkBrokerEpoch(brokerId, brokerEpoch)
  if (stale !== undefined) return { refused: stale }
  const heartbeats = cluster.heartbeats
  const current = heartbeats.currentState(brokerId)
  const next = heartbeats.nextState(brokerId, request, registrationOffset, (broker) =>
    topics.isrs.hasLeaderships(broker),
  )
  const records: MetadataRecord[] = []
  if (current !== next) {
    if (next === 'UNFENCED') brokerUnfenced(context, brokerId, brokerEpoch, records)
    else if (next === 'CONTROLLED_SHUTDOWN') brokerInControlledShutdown(context, brokerId, brokerEpoch, records)
    else brokerFenced(context, brokerId, records)
  }
  const isFenced = next === 'FENCED' || next === 'SHUTDOWN_NOW'
  heartbeats.touch(brokerId, isFenced, currentMetadataOffset)
  if (request.offlineLogDirs.length > 0) directoriesOffline(context, request, records)
  return decided(HEARTBEAT_REASONS[next], records, {
    isCaughtUp: currentMetadataOffset >= registrationOffset,
    isFenced,
    inControlledShutdown: next === 'CONTROLLED_SHUTDOWN',
    shouldShutDown: next === 'SHUTDOWN_NOW',
  })
}

/** Fences one broker whose session has expired. The response is true when there may be more. */
export function fenceOneStaleBroker(context: ReplicationContext): ControllerResult<boolean> {
  const { cluster } = context
  const expired = cluster.heartbeats.removeExpired()
  const records: MetadataRecord[] = []
  if (expired === undefined) return decided('broker-fenced', records, false)
  const registration = cluster.brokers.get(expired.id)
  if (registration === undefined) cluster.heartbeats.remove(expired.id)
  // A session of an earlier epoch ended; the broker has another one now.
  else if (registration.epoch === expired.epoch) {
    brokerFenced(context, expired.id, records)
    cluster.heartbeats.fence(expired.id)
  }
  return decided('broker-fenced', records, true)
}

export function unregisterBroker(context: ReplicationContext, broker: NodeId): Decision<null> {
  const registration = context.cluster.brokers.get(broker)
  if (registration === undefined) {
    return refused(Errors.BROKER_ID_NOT_REGISTERED, `broker ${broker} is not registered`)
  }
  const records: MetadataRecord[] = []
  const remove = { remove: broker }
  changeLeadersAndIsrs(context, context.topics.isrs.partitionsOf(broker), remove, records)
  changeLeadersAndIsrs(context, context.topics.elrs.partitionsOf(broker), remove, records)
  records.push({ type: 'UnregisterBrokerRecord', version: 0, brokerId: broker, brokerEpoch: registration.epoch })
  return decided('unregistered', records, null)
}

/** The records by which a new incarnation's predecessor leaves its partitions. */
export function brokerShutdown(
  context: ReplicationContext,
  broker: NodeId,
  clean: boolean,
  records: MetadataRecord[],
): void {
  const { topics, features } = context
  if (!features.elrEnabled || clean) {
    changeLeadersAndIsrs(context, topics.isrs.partitionsOf(broker), { remove: broker }, records)
    return
  }
  const change = { uncleanShutdown: broker }
  changeLeadersAndIsrs(context, topics.isrs.partitionsOf(broker), change, records)
  changeLeadersAndIsrs(context, topics.elrs.partitionsOf(broker), change, records)
}

function brokerFenced(context: ReplicationContext, broker: NodeId, records: MetadataRecord[]): void {
  const registration = context.cluster.brokers.get(broker)
  assert(registration, 'controller: fencing an unknown broker', { broker })
  changeLeadersAndIsrs(context, context.topics.isrs.partitionsOf(broker), { remove: broker }, records)
  records.push(registrationChange(broker, registration.epoch, 0, { fenced: 1 }))
}

function brokerUnfenced(context: ReplicationContext, broker: NodeId, epoch: number, records: MetadataRecord[]): void {
  records.push(registrationChange(broker, epoch, 0, { fenced: -1 }))
  changeLeadersAndIsrs(context, context.topics.isrs.leaderless(), { add: broker }, records)
}

function brokerInControlledShutdown(
  context: ReplicationContext,
  broker: NodeId,
  epoch: number,
  records: MetadataRecord[],
): void {
  if (!context.cluster.brokers.get(broker)?.inControlledShutdown) {
    records.push(registrationChange(broker, epoch, 1, { inControlledShutdown: 1 }))
  }
  changeLeadersAndIsrs(context, context.topics.isrs.partitionsOf(broker), { remove: broker }, records)
}

/** A broker reports directories that went offline; replicas there leave their ISRs (KIP-858). */
function directoriesOffline(
  context: ReplicationContext,
  request: BrokerHeartbeatRequest,
  records: MetadataRecord[],
): void {
  if (!context.features.metadataVersion.directoryAssignment) return
  const { brokerId, brokerEpoch, offlineLogDirs } = request
  const online = context.cluster.brokers.get(brokerId)?.logDirs ?? []
  const lost = online.filter((directory) => offlineLogDirs.includes(directory))
  if (lost.length === 0) return
  for (const directory of lost) {
    const partitions = partitionsIn(context, brokerId, directory)
    changeLeadersAndIsrs(context, partitions, { remove: brokerId }, records)
  }
  const logDirs = online.filter((directory) => !offlineLogDirs.includes(directory))
  records.push(registrationChange(brokerId, brokerEpoch, 2, { logDirs }))
}

function partitionsIn(context: ReplicationContext, broker: NodeId, directory: Uuid): TopicIdPartition[] {
  const found: TopicIdPartition[] = []
  for (const topic of context.topics.byId.values()) {
    for (const [index, partition] of topic.partitions) {
      const at = partition.replicas.indexOf(broker)
      if (at >= 0 && partition.directories[at] === directory) found.push({ topicId: topic.id, partition: index })
    }
  }
  return found
}

/**
 * ISR, ELR and leader changes of these partitions (`generateLeaderAndIsrUpdates`). The state still shows the broker as it was, so the
 * removed one is never acceptable here, and the added one always is.
 */
function changeLeadersAndIsrs(
  context: ReplicationContext,
  partitions: readonly TopicIdPartition[],
  change: { readonly remove?: NodeId; readonly add?: NodeId; readonly uncleanShutdown?: NodeId },
  records: MetadataRecord[],
): void {
  const { remove, add, uncleanShutdown } = change
  const isLive = (broker: NodeId): boolean =>
    broker !== remove && broker !== uncleanShutdown && (broker === add || context.cluster.isActive(broker))
  for (const { topicId, partition: index } of partitions) {
    const topic = context.topics.byId.get(topicId)
    const partition = topic?.partitions.get(index)
    assert(topic && partition, 'controller: index of a partition that is not there', { topicId, index })
    const record = changePartition(context, topic, index, {
      isLive,
      election: electionOf(context, topic),
      isr: partition.isr.filter((member) => member !== remove && member !== uncleanShutdown),
      ...(uncleanShutdown !== undefined && { uncleanShutdownReplicas: [uncleanShutdown] }),
    })
    if (record !== undefined) records.push(record)
  }
}

function registrationChange(
  brokerId: NodeId,
  brokerEpoch: number,
  version: number,
  change: Partial<Pick<BrokerRegistrationChangeRecord, 'fenced' | 'inControlledShutdown' | 'logDirs'>>,
): BrokerRegistrationChangeRecord {
  return {
    type: 'BrokerRegistrationChangeRecord',
    version,
    brokerId,
    brokerEpoch,
    fenced: change.fenced ?? 0,
    inControlledShutdown: change.inControlledShutdown ?? 0,
    logDirs: change.logDirs ?? [],
  }
}
