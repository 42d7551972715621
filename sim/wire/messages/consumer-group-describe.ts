/**
 * ConsumerGroupDescribe (key 69). Epochs, members and assignments of KIP-848 groups.
 */

import { defineApi } from '../define-api.js'

export interface ConsumerGroupDescribeRequest {
  readonly groupIds: readonly string[]
  readonly includeAuthorizedOperations: boolean
}

export interface ConsumerGroupDescribeResponse {
  readonly throttleTimeMs: number
  readonly groups: readonly DescribedGroup[]
}

export interface DescribedGroup {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly groupId: string
  readonly groupState: string
  readonly groupEpoch: number
  readonly assignmentEpoch: number
  readonly assignorName: string
  readonly members: readonly Member[]
  readonly authorizedOperations: number
}

export interface Member {
  readonly memberId: string
  readonly instanceId: string | null
  readonly rackId: string | null
  readonly memberEpoch: number
  readonly clientId: string
  readonly clientHost: string
  readonly subscribedTopicNames: readonly string[]
  readonly subscribedTopicRegex: string | null
  readonly assignment: Assignment
  readonly targetAssignment: Assignment
  readonly memberType: number
}

export interface Assignment {
  readonly topicPartitions: readonly TopicPartitions[]
}

export interface TopicPartitions {
  readonly topicId: string
  readonly topicName: string
  readonly partitions: readonly number[]
}

export const consumerGroupDescribeApi = defineApi<ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse>({
  name: 'ConsumerGroupDescribe',
  key: 69,
  versions: '0-1',
  flexible: '0+',
  request: `
    groupIds: []string
    includeAuthorizedOperations: bool
  `,
  response: `
    throttleTimeMs: int32
    groups: []struct
      errorCode: int16
      errorMessage: string null = null
      groupId: string
      groupState: string
      groupEpoch: int32
      assignmentEpoch: int32
      assignorName: string
      members: []struct
        memberId: string
        instanceId: string null = null
        rackId: string null = null
        memberEpoch: int32
        clientId: string
        clientHost: string
        subscribedTopicNames: []string
        subscribedTopicRegex: string null = null
        assignment: struct
          topicPartitions: []struct
            topicId: uuid
            topicName: string
            partitions: []int32
        targetAssignment: struct
          topicPartitions: []struct
            topicId: uuid
            topicName: string
            partitions: []int32
        memberType: int8 1+ = -1 ignorable
      authorizedOperations: int32 = -2147483648
  `,
})
