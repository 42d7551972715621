/** Answers of the group coordinator in words. */

import type { ConsumerGroupHeartbeatResponse } from '../../../sim/wire/messages/consumer-group-heartbeat.js'
import type { JoinGroupResponse } from '../../../sim/wire/messages/join-group.js'
import type { LeaveGroupResponse } from '../../../sim/wire/messages/leave-group.js'
import type { OffsetFetchResponse } from '../../../sim/wire/messages/offset-fetch.js'
import { type ErrorCode, Errors } from '../../../sim/wire/errors.js'
import { ZERO_UUID } from '../../../sim/wire/uuid.js'
import { nameOf as topicOf } from './consumer/assignment-text.js'
import { nameOf } from './group-bench.js'
import { assignmentText, partitionsText, subscriptionText } from './record-text.js'

export interface TopicErrors {
  readonly name: string
  readonly partitions: readonly { readonly partitionIndex: number; readonly errorCode: ErrorCode }[]
}

export interface DescribedClassic {
  readonly errorCode: ErrorCode
  readonly errorMessage: string | null
  readonly groupState: string
  readonly protocolType: string
  readonly protocolData: string
  readonly members: readonly {
    readonly memberId: string
    readonly groupInstanceId: string | null
    readonly memberMetadata: Uint8Array
    readonly memberAssignment: Uint8Array
  }[]
}

export interface DescribedConsumer {
  readonly errorCode: ErrorCode
  readonly errorMessage: string | null
  readonly groupState: string
  readonly groupEpoch: number
  readonly assignmentEpoch: number
  readonly assignorName: string
  readonly members: readonly {
    readonly memberId: string
    readonly instanceId: string | null
    readonly memberEpoch: number
    readonly memberType: number
    readonly assignment: { readonly topicPartitions: readonly DescribedPartitions[] }
    readonly targetAssignment: { readonly topicPartitions: readonly DescribedPartitions[] }
  }[]
}

interface DescribedPartitions {
  readonly topicName: string
  readonly partitions: readonly number[]
}

function who(memberId: string, instanceId: string | null): string {
  return instanceId === null ? memberId : `${memberId}/${instanceId}`
}

export function joinText(response: JoinGroupResponse): string {
  const { errorCode, memberId, generationId, protocolType, protocolName, leader, members, skipAssignment } = response
  if (errorCode !== Errors.NONE) {
    const told = [`${nameOf(errorCode)}, member id ${memberId || 'none'}`]
    if (generationId !== -1) told.push(`generation ${generationId}, ${protocolType}/${protocolName}, leader ${leader}`)
    return told.join(', ')
  }
  const words = [`member id ${memberId}, generation ${generationId}, ${protocolType}/${protocolName}`]
  words.push(`leader ${leader === memberId ? 'itself' : leader || 'none'}`)
  if (skipAssignment) words.push('assignment skipped')
  const told = members.map((one) => `${who(one.memberId, one.groupInstanceId)}(${subscriptionText(one.metadata)})`)
  if (told.length > 0) words.push(`members ${told.join(' ')}`)
  return words.join(', ')
}

export function leaveText({ errorCode, members }: LeaveGroupResponse): string {
  if (errorCode !== Errors.NONE || members.length === 0) return nameOf(errorCode)
  return members.map((one) => `${who(one.memberId, one.groupInstanceId)} ${nameOf(one.errorCode)}`).join(', ')
}

export function beatText({ errorCode, errorMessage, memberEpoch, assignment }: ConsumerGroupHeartbeatResponse): string {
  if (errorCode !== Errors.NONE) return `${nameOf(errorCode)}${errorMessage === null ? '' : ` (${errorMessage})`}`
  return `epoch ${memberEpoch}${assignment === null ? '' : `, ${partitionsText(assignment.topicPartitions)}`}`
}

export function fetchText({ groups }: OffsetFetchResponse, byId: boolean): string {
  const [group] = groups
  if (group === undefined || group.errorCode !== Errors.NONE) return nameOf(group?.errorCode ?? Errors.NONE)
  const each = group.topics.flatMap(({ name, topicId, partitions: found }) =>
    found.map(({ partitionIndex, committedOffset, committedLeaderEpoch, metadata, errorCode }) => {
      const topic = byId && topicId !== ZERO_UUID ? topicOf(topicId) : name
      if (errorCode !== Errors.NONE) return `${topic}-${partitionIndex} ${nameOf(errorCode)}`
      const words = [`${topic}-${partitionIndex} ${committedOffset}`]
      if (committedLeaderEpoch !== -1) words.push(`(leader epoch ${committedLeaderEpoch})`)
      if (metadata) words.push(`"${metadata}"`)
      return words.join(' ')
    }),
  )
  return each.join(', ') || 'nothing'
}

export function describeText({
  errorCode,
  errorMessage,
  groupState,
  protocolType,
  protocolData,
  members,
}: DescribedClassic): string {
  const error = errorCode === Errors.NONE ? '' : `${nameOf(errorCode)} (${errorMessage}), `
  const told = members.map(({ memberId, groupInstanceId, memberMetadata, memberAssignment }) => {
    const subscription = memberMetadata.length === 0 ? '-' : subscriptionText(memberMetadata)
    return `${who(memberId, groupInstanceId)}(${subscription} → ${assignmentText(memberAssignment)})`
  })
  return `${error}${groupState}, ${protocolType || 'no'}/${protocolData || 'none'}${told.length === 0 ? '' : `, ${told.join(' ')}`}`
}

export function describeConsumerText(group: DescribedConsumer): string {
  if (group.errorCode !== Errors.NONE) return `${nameOf(group.errorCode)} (${group.errorMessage})`
  const text = (given: readonly DescribedPartitions[]): string =>
    given.map(({ topicName, partitions: indexes }) => `${topicName}:${indexes.join(',')}`).join(' ') || '-'
  const told = group.members.map(({ memberId, instanceId, memberEpoch, memberType, assignment, targetAssignment }) => {
    const [has, wants] = [text(assignment.topicPartitions), text(targetAssignment.topicPartitions)]
    const kind = memberType === 0 ? ' classic' : ''
    return `${who(memberId, instanceId)}(epoch ${memberEpoch}${kind}, ${has === wants ? has : `${has} → ${wants}`})`
  })
  const { groupState, groupEpoch, assignmentEpoch, assignorName } = group
  const members = told.length === 0 ? 'no members' : told.join(' ')
  return `${groupState}, epoch ${groupEpoch}, target epoch ${assignmentEpoch}, ${assignorName}, ${members}`
}
