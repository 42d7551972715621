/**
 * One member of a KIP-848 group, as of some record (`ConsumerGroupMember`, `MemberState`). Immutable.
 *
 *     STABLE                 the member has its assignment of this epoch
 *     UNREVOKED_PARTITIONS   it is to give up partitions first; its epoch stands still until it has
 *     UNRELEASED_PARTITIONS  it waits for partitions that others have not given up yet
 *     UNKNOWN                a state that a newer coordinator wrote
 */

import {
  type Assignment,
  fromTopicPartitions,
  isSameAssignment,
  NO_PARTITIONS,
  toTopicPartitions,
} from './assignment.js'
import type { ConsumerGroupRecord, CurrentAssignmentValue, MemberMetadataValue } from './consumer-records.js'

export type MemberState = 'STABLE' | 'UNREVOKED_PARTITIONS' | 'UNRELEASED_PARTITIONS' | 'UNKNOWN'

const STATE_VALUES: Readonly<Record<MemberState, number>> = {
  STABLE: 0,
  UNREVOKED_PARTITIONS: 1,
  UNRELEASED_PARTITIONS: 2,
  UNKNOWN: 127,
}

/** A dynamic member leaves, or is gone. */
export const LEAVE_EPOCH = -1
/** A static member leaves and means to come back. */
export const LEAVE_STATIC_EPOCH = -2

/** What a member that speaks the classic protocol has told. */
export interface ClassicMember {
  readonly sessionTimeoutMs: number
  readonly supportedProtocols: readonly { readonly name: string; readonly metadata: Uint8Array }[]
}

export interface ConsumerMember {
  readonly memberId: string
  readonly memberEpoch: number
  /** Accepted from a member whose answer with the newer epoch may have been lost. */
  readonly previousMemberEpoch: number
  readonly state: MemberState
  readonly instanceId: string | null
  readonly rackId: string | null
  readonly rebalanceTimeoutMs: number
  readonly clientId: string
  readonly clientHost: string
  /** Sorted. */
  readonly topicNames: readonly string[]
  /** Empty or null: none. */
  readonly topicRegex: string | null
  readonly serverAssignor: string | null
  readonly assigned: Assignment
  /** To be given up, and nobody else's until then. */
  readonly revoking: Assignment
  /** Null for a member that speaks the consumer protocol. */
  readonly classic: ClassicMember | null
}

export function newMember(memberId: string): ConsumerMember {
  return {
    memberId,
    memberEpoch: 0,
    previousMemberEpoch: -1,
    state: 'STABLE',
    instanceId: null,
    rackId: null,
    rebalanceTimeoutMs: -1,
    clientId: '',
    clientHost: '',
    topicNames: [],
    topicRegex: '',
    serverAssignor: null,
    assigned: NO_PARTITIONS,
    revoking: NO_PARTITIONS,
    classic: null,
  }
}

/** The member in its next epoch, which may be the one that it is in. */
export function inEpoch(member: ConsumerMember, memberEpoch: number): ConsumerMember {
  return { ...member, memberEpoch, previousMemberEpoch: member.memberEpoch }
}

export function isReconciledTo(member: ConsumerMember, epoch: number): boolean {
  return member.state === 'STABLE' && member.memberEpoch === epoch
}

/** Its regular expression; undefined for none. */
export function regexOf(member: ConsumerMember | undefined): string | undefined {
  const regex = member?.topicRegex
  return regex === null || regex === '' ? undefined : regex
}

export function sortedNames(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort(byCodeUnit)
}

/** As Java compares strings. */
export function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

export function isSameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, at) => name === b[at])
}

export function isSameMember(a: ConsumerMember, b: ConsumerMember): boolean {
  return (
    a === b ||
    (a.memberId === b.memberId &&
      a.memberEpoch === b.memberEpoch &&
      a.previousMemberEpoch === b.previousMemberEpoch &&
      a.state === b.state &&
      a.instanceId === b.instanceId &&
      a.rackId === b.rackId &&
      a.rebalanceTimeoutMs === b.rebalanceTimeoutMs &&
      a.clientId === b.clientId &&
      a.clientHost === b.clientHost &&
      a.topicRegex === b.topicRegex &&
      a.serverAssignor === b.serverAssignor &&
      isSameNames(a.topicNames, b.topicNames) &&
      isSameAssignment(a.assigned, b.assigned) &&
      isSameAssignment(a.revoking, b.revoking) &&
      isSameClassic(a.classic, b.classic))
  )
}

function isSameClassic(a: ClassicMember | null, b: ClassicMember | null): boolean {
  if (a === null || b === null) return a === b
  return (
    a.sessionTimeoutMs === b.sessionTimeoutMs &&
    a.supportedProtocols.length === b.supportedProtocols.length &&
    a.supportedProtocols.every((protocol, at) => {
      const other = b.supportedProtocols[at]
      return (
        other !== undefined &&
        protocol.name === other.name &&
        protocol.metadata.length === other.metadata.length &&
        protocol.metadata.every((byte, index) => byte === other.metadata[index])
      )
    })
  )
}

// ── records ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export function withMetadata(member: ConsumerMember, value: MemberMetadataValue): ConsumerMember {
  return {
    ...member,
    instanceId: value.instanceId,
    rackId: value.rackId,
    clientId: value.clientId,
    clientHost: value.clientHost,
    topicNames: sortedNames(value.subscribedTopicNames),
    topicRegex: value.subscribedTopicRegex,
    rebalanceTimeoutMs: value.rebalanceTimeoutMs,
    serverAssignor: value.serverAssignor,
    classic: value.classicMemberMetadata,
  }
}

export function withCurrentAssignment(member: ConsumerMember, value: CurrentAssignmentValue): ConsumerMember {
  const known = Object.entries(STATE_VALUES).find(([, code]) => code === value.state)
  return {
    ...member,
    memberEpoch: value.memberEpoch,
    previousMemberEpoch: value.previousMemberEpoch,
    state: (known?.[0] ?? 'UNKNOWN') as MemberState,
    assigned: fromTopicPartitions(value.assignedPartitions),
    revoking: fromTopicPartitions(value.partitionsPendingRevocation),
  }
}

export function memberRecord(groupId: string, member: ConsumerMember): ConsumerGroupRecord {
  return {
    type: 'ConsumerGroupMemberMetadata',
    key: { groupId, memberId: member.memberId },
    value: {
      instanceId: member.instanceId,
      rackId: member.rackId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      subscribedTopicNames: member.topicNames,
      subscribedTopicRegex: member.topicRegex,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      serverAssignor: member.serverAssignor,
      classicMemberMetadata: member.classic,
    },
  }
}

export function currentAssignmentRecord(groupId: string, member: ConsumerMember): ConsumerGroupRecord {
  return {
    type: 'ConsumerGroupCurrentMemberAssignment',
    key: { groupId, memberId: member.memberId },
    value: {
      memberEpoch: member.memberEpoch,
      previousMemberEpoch: member.previousMemberEpoch,
      state: STATE_VALUES[member.state],
      assignedPartitions: toTopicPartitions(member.assigned),
      partitionsPendingRevocation: toTopicPartitions(member.revoking),
    },
  }
}
