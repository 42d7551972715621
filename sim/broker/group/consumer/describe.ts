/** What an administrator is told of a KIP-848 group, as of the committed end of the log (`ConsumerGroup.asDescribedGroup`). */

import type { Offset } from '../../../kernel/units.js'
import type { MetadataImage } from '../../../kraft/metadata/image.js'
import { Errors } from '../../../wire/errors.js'
import type {
  Assignment as DescribedAssignment,
  DescribedGroup,
  Member,
} from '../../../wire/messages/consumer-group-describe.js'
import { type Assignment, toTopicPartitions } from './assignment.js'
import type { ConsumerGroup } from './consumer-group.js'
import type { ConsumerMember } from './consumer-member.js'

/** Nobody asked which operations are allowed. */
const OPERATIONS_UNKNOWN = -2147483648
const CLASSIC_MEMBER = 0
const CONSUMER_MEMBER = 1

export function describeGroup(
  groupId: string,
  group: ConsumerGroup | undefined,
  isClassic: boolean,
  end: Offset,
  { defaultAssignor, image }: { readonly defaultAssignor: string; readonly image: MetadataImage },
): DescribedGroup {
  const state = group?.stateAt(end)
  if (group === undefined || state === undefined) {
    const message = isClassic ? `Group ${groupId} is not a consumer group.` : `Group ${groupId} not found.`
    return describeError(groupId, Errors.GROUP_ID_NOT_FOUND, message)
  }
  return {
    errorCode: Errors.NONE,
    errorMessage: null,
    groupId,
    groupState: state,
    groupEpoch: group.groupEpochAt(end),
    assignmentEpoch: group.assignmentEpochAt(end),
    assignorName: group.assignorAt(end) ?? defaultAssignor,
    members: group.membersAt(end).map((member) => describeMember(member, group.targetAt(member.memberId, end), image)),
    authorizedOperations: OPERATIONS_UNKNOWN,
  }
}

export function describeError(groupId: string, errorCode: number, errorMessage: string | null): DescribedGroup {
  return {
    errorCode,
    errorMessage,
    groupId,
    groupState: '',
    groupEpoch: 0,
    assignmentEpoch: 0,
    assignorName: '',
    members: [],
    authorizedOperations: OPERATIONS_UNKNOWN,
  }
}

function describeMember(member: ConsumerMember, target: Assignment, image: MetadataImage): Member {
  return {
    memberId: member.memberId,
    instanceId: member.instanceId,
    rackId: member.rackId,
    memberEpoch: member.memberEpoch,
    clientId: member.clientId,
    clientHost: member.clientHost,
    subscribedTopicNames: member.topicNames,
    subscribedTopicRegex: member.topicRegex,
    assignment: describeAssignment(member.assigned, image),
    targetAssignment: describeAssignment(target, image),
    memberType: member.classic === null ? CONSUMER_MEMBER : CLASSIC_MEMBER,
  }
}

/** Topics that are gone are left out. */
function describeAssignment(assignment: Assignment, image: MetadataImage): DescribedAssignment {
  return {
    topicPartitions: toTopicPartitions(assignment).flatMap(({ topicId, partitions }) => {
      const topic = image.topicsById.get(topicId)
      return topic === undefined ? [] : [{ topicId, topicName: topic.name, partitions }]
    }),
  }
}
