/** Records of `__consumer_offsets` in words. */

import { readAssignment, readSubscription } from '../../../sim/broker/group/consumer-protocol.js'
import type { TopicPartitions } from '../../../sim/broker/group/consumer/assignment.js'
import type { ConsumerGroupRecord } from '../../../sim/broker/group/consumer/consumer-records.js'
import type { GroupMetadataValue, GroupRecord, OffsetCommitValue } from '../../../sim/broker/group/group-records.js'
import { ZERO_UUID } from '../../../sim/wire/uuid.js'
import { listText, nameOf } from './consumer/assignment-text.js'

const STATES: Readonly<Record<number, string>> = { 0: 'STABLE', 1: 'UNREVOKED_PARTITIONS', 2: 'UNRELEASED_PARTITIONS' }

export function recordText(record: GroupRecord, nowMs: number): string {
  switch (record.type) {
    case 'OffsetCommit': {
      const { group, topic, partition } = record.key
      return `offset ${group} ${topic}-${partition}${record.value === null ? ' gone' : offsetText(record.value, nowMs)}`
    }
    case 'GroupMetadata':
      return `group ${record.key.group}${record.value === null ? ' gone' : groupText(record.value)}`
    default:
      return consumerText(record)
  }
}

function offsetText(value: OffsetCommitValue, nowMs: number): string {
  const { offset, leaderEpoch, metadata, expireTimestamp, topicId } = value
  const words = [` = ${offset}`]
  if (leaderEpoch !== -1) words.push(`leader epoch ${leaderEpoch}`)
  if (metadata !== '') words.push(`"${metadata}"`)
  if (topicId !== ZERO_UUID) words.push(`of topic ${nameOf(topicId)}`)
  if (expireTimestamp >= 0) words.push(`expires in ${expireTimestamp - nowMs} ms`)
  return words.join(', ')
}

function groupText({ protocolType, generation, protocol, leader, members }: GroupMetadataValue): string {
  const told = members.map(({ memberId, groupInstanceId, subscription, assignment }) => {
    const who = groupInstanceId === null ? memberId : `${memberId}/${groupInstanceId}`
    return `${who}(${subscriptionText(subscription)} → ${assignmentText(assignment)})`
  })
  const words = [`generation ${generation}`, `${protocolType || 'no'}/${protocol ?? 'none'}`]
  if (leader !== null) words.push(`leader ${leader}`)
  return ` = ${[...words, told.length === 0 ? 'no members' : told.join(' ')].join(', ')}`
}

function consumerText({ type, key, value }: ConsumerGroupRecord): string {
  const { groupId } = key
  const of = 'memberId' in key ? `${groupId}/${key.memberId}` : groupId
  switch (type) {
    case 'ConsumerGroupMetadata':
      return `epoch ${of}${value === null ? ' gone' : ` = ${value.epoch}`}`
    case 'ConsumerGroupPartitionMetadata':
      return `partition metadata ${of}${value === null ? ' gone' : ''}`
    case 'ConsumerGroupMemberMetadata': {
      if (value === null) return `member ${of} gone`
      const words = [`subscribes to ${value.subscribedTopicNames.join(' ') || 'nothing'}`]
      if (value.subscribedTopicRegex) words.push(`to /${value.subscribedTopicRegex}/`)
      if (value.instanceId !== null) words.push(`instance ${value.instanceId}`)
      if (value.rackId !== null) words.push(`rack ${value.rackId}`)
      if (value.serverAssignor !== null) words.push(`assignor ${value.serverAssignor}`)
      words.push(`rebalance timeout ${value.rebalanceTimeoutMs}`)
      const { classicMemberMetadata: classic } = value
      if (classic !== null) words.push(`classic ${classic.supportedProtocols.map(({ name }) => name).join(' ')}`)
      return `member ${of} = ${words.join(', ')}`
    }
    case 'ConsumerGroupTargetAssignmentMetadata':
      return `target epoch ${of}${value === null ? ' gone' : ` = ${value.assignmentEpoch}`}`
    case 'ConsumerGroupTargetAssignmentMember':
      return `target ${of}${value === null ? ' gone' : ` = ${partitionsText(value.topicPartitions)}`}`
    case 'ConsumerGroupCurrentMemberAssignment': {
      if (value === null) return `current ${of} gone`
      const taken = partitionsText(value.partitionsPendingRevocation)
      const epochs = `epoch ${value.memberEpoch} after ${value.previousMemberEpoch}`
      const revoking = taken === '-' ? '' : `, gives up ${taken}`
      return `current ${of} = ${STATES[value.state]} ${epochs}, ${partitionsText(value.assignedPartitions)}${revoking}`
    }
    case 'ConsumerGroupRegularExpression':
      return `regex ${groupId} /${key.regularExpression}/${value === null ? ' gone' : ` = ${value.topics.join(' ') || 'no topic'}`}`
  }
}

export function partitionsText(partitions: readonly TopicPartitions[]): string {
  return listText(partitions) || '-'
}

/** Topics, and what is owned of them; what cannot be read as it is. */
export function subscriptionText(bytes: Uint8Array): string {
  const subscription = readSubscription(bytes)
  if (subscription === undefined) return JSON.stringify(Buffer.from(bytes).toString())
  const owned = subscription.owned.map(({ topic, partitions }) => `${topic}:${partitions.join(',')}`)
  return [...subscription.topics, ...(owned.length > 0 ? [`owning ${owned.join(' ')}`] : [])].join(' ')
}

export function assignmentText(bytes: Uint8Array): string {
  if (bytes.length === 0) return '-'
  const assignment = readAssignment(bytes)
  if (assignment === undefined) return JSON.stringify(Buffer.from(bytes).toString())
  return assignment.assigned.map(({ topic, partitions }) => `${topic}:${partitions.join(',')}`).join(' ') || 'nothing'
}
