/** Why a request about a KIP-848 group is not done: a Kafka error with its message (`ApiException`). */

import { type ErrorCode, Errors } from '../../../wire/errors.js'
import type { ConsumerGroupHeartbeatRequest } from '../../../wire/messages/consumer-group-heartbeat.js'
import { LEAVE_EPOCH, LEAVE_STATIC_EPOCH } from './consumer-member.js'

export interface Refusal {
  readonly error: ErrorCode
  readonly message: string
}

export function refusal(error: ErrorCode, message: string): Refusal {
  return { error, message }
}

export function isRefusal(value: object): value is Refusal {
  return 'error' in value
}

/** From here on members make their ids themselves. */
const OWN_MEMBER_ID_VERSION = 1

/** What is wrong with the request by itself (`GroupCoordinatorService.throwIfConsumerGroupHeartbeatRequestIsInvalid`). */
export function checkHeartbeat(
  request: ConsumerGroupHeartbeatRequest,
  version: number,
  assignors: readonly string[],
): Refusal | undefined {
  const { memberEpoch } = request
  const invalid = (message: string): Refusal => refusal(Errors.INVALID_REQUEST, message)
  const isEmpty = (value: string | null): boolean => value !== null && value.trim() === ''
  const needsId = version >= OWN_MEMBER_ID_VERSION || memberEpoch > 0 || memberEpoch === LEAVE_EPOCH
  if (needsId && isEmpty(request.memberId)) return invalid('MemberId cannot be empty.')
  if (isEmpty(request.groupId)) return invalid('GroupId cannot be empty.')
  if (isEmpty(request.instanceId)) return invalid('InstanceId cannot be empty.')
  if (isEmpty(request.rackId)) return invalid('RackId cannot be empty.')
  if (memberEpoch === 0) {
    if (request.rebalanceTimeoutMs === -1) return invalid('A member that joins must tell RebalanceTimeoutMs.')
    if (request.topicPartitions === null || request.topicPartitions.length > 0) {
      return invalid('A member that joins must own no TopicPartitions.')
    }
    if (request.subscribedTopicNames === null && request.subscribedTopicRegex === null) {
      return invalid('A member that joins must tell SubscribedTopicNames or SubscribedTopicRegex.')
    }
  } else if (memberEpoch === LEAVE_STATIC_EPOCH) {
    if (request.instanceId === null) return invalid('InstanceId cannot be null.')
  } else if (memberEpoch < LEAVE_STATIC_EPOCH) return invalid('MemberEpoch is invalid.')
  const { serverAssignor } = request
  if (serverAssignor !== null && !assignors.includes(serverAssignor)) {
    const message = `ServerAssignor ${serverAssignor} is not supported. Supported: ${assignors.join(', ')}.`
    return refusal(Errors.UNSUPPORTED_ASSIGNOR, message)
  }
  return undefined
}
