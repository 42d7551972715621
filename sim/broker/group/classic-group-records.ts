/** A classic group as a record of `__consumer_offsets`, and back (`GroupCoordinatorRecordHelpers`, `ClassicGroup` when loaded). */

import { ClassicGroup } from './classic-group.js'
import type { GroupMetadataValue, GroupRecord } from './group-records.js'

/** The group as it is now, with the assignments given or those it has. */
export function groupRecord(group: ClassicGroup, assigned?: ReadonlyMap<string, Uint8Array>): GroupRecord {
  return {
    type: 'GroupMetadata',
    key: { group: group.groupId },
    value: {
      protocolType: group.protocolType ?? '',
      generation: group.generation,
      protocol: group.protocolName ?? null,
      leader: group.members.size === 0 ? null : (group.leaderId ?? null),
      currentStateTimestamp: group.stateTimestamp,
      members:
        group.protocolName === undefined
          ? []
          : [...group.members.values()].map((member) => ({
              memberId: member.memberId,
              groupInstanceId: member.instanceId ?? null,
              clientId: member.clientId,
              clientHost: member.clientHost,
              rebalanceTimeout: member.rebalanceTimeoutMs,
              sessionTimeout: member.sessionTimeoutMs,
              subscription: group.metadataOf(member),
              assignment: assigned?.get(member.memberId) ?? member.assignment,
            })),
    },
  }
}

/** A group that was made just now, so that it is known to whoever loads the log. */
export function newGroupRecord(group: ClassicGroup): GroupRecord {
  return {
    type: 'GroupMetadata',
    key: { group: group.groupId },
    value: {
      protocolType: '',
      generation: 0,
      protocol: null,
      leader: null,
      currentStateTimestamp: group.stateTimestamp,
      members: [],
    },
  }
}

export function groupTombstone(groupId: string): GroupRecord {
  return { type: 'GroupMetadata', key: { group: groupId }, value: null }
}

/** A group as it was when its record was written: Stable with members, Empty without. */
export function groupFrom(groupId: string, value: GroupMetadataValue): ClassicGroup {
  const group = new ClassicGroup(groupId)
  group.stateTimestamp = value.currentStateTimestamp
  for (const member of value.members) {
    group.add({
      memberId: member.memberId,
      instanceId: member.groupInstanceId ?? undefined,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs: member.rebalanceTimeout < 0 ? member.sessionTimeout : member.rebalanceTimeout,
      sessionTimeoutMs: member.sessionTimeout,
      protocolType: value.protocolType,
      protocols: [{ name: value.protocol ?? '', metadata: member.subscription }],
      assignment: member.assignment,
      isNew: false,
      awaitingJoin: undefined,
      awaitingSync: undefined,
    })
  }
  group.generation = value.generation
  group.protocolName = value.protocol ?? undefined
  group.protocolType = value.protocolType === '' ? undefined : value.protocolType
  group.leaderId = value.leader ?? group.leaderId
  group.state = group.members.size === 0 ? 'Empty' : 'Stable'
  group.subscribedTopics = group.computeSubscribedTopics()
  return group
}
