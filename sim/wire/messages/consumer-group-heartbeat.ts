/**
 * ConsumerGroupHeartbeat (key 68). The one request of a member of a KIP-848 group: joins (epoch 0), lives, acknowledges, leaves (-1; static -2).
 *
 * What has not changed is null or -1.
 */

import { defineApi } from '../define-api.js'

export interface ConsumerGroupHeartbeatRequest {
  readonly groupId: string
  readonly memberId: string
  readonly memberEpoch: number
  readonly instanceId: string | null
  readonly rackId: string | null
  readonly rebalanceTimeoutMs: number
  readonly subscribedTopicNames: readonly string[] | null
  readonly subscribedTopicRegex: string | null
  readonly serverAssignor: string | null
  readonly topicPartitions: readonly ConsumerGroupHeartbeatRequestTopicPartitions[] | null
}

export interface ConsumerGroupHeartbeatRequestTopicPartitions {
  readonly topicId: string
  readonly partitions: readonly number[]
}

export interface ConsumerGroupHeartbeatResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly memberId: string | null
  readonly memberEpoch: number
  readonly heartbeatIntervalMs: number
  readonly assignment: Assignment | null
}

export interface Assignment {
  readonly topicPartitions: readonly ConsumerGroupHeartbeatResponseTopicPartitions[]
}

export interface ConsumerGroupHeartbeatResponseTopicPartitions {
  readonly topicId: string
  readonly partitions: readonly number[]
}

export const consumerGroupHeartbeatApi = defineApi<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>({
  name: 'ConsumerGroupHeartbeat',
  key: 68,
  versions: '0-1',
  flexible: '0+',
  request: `
    groupId: string
    memberId: string
    memberEpoch: int32
    instanceId: string null = null
    rackId: string null = null
    rebalanceTimeoutMs: int32 = -1
    subscribedTopicNames: []string null = null
    subscribedTopicRegex: string 1+ null = null
    serverAssignor: string null = null
    topicPartitions: []struct null = null
      topicId: uuid
      partitions: []int32
  `,
  response: `
    throttleTimeMs: int32
    errorCode: int16
    errorMessage: string null = null
    memberId: string null = null
    memberEpoch: int32
    heartbeatIntervalMs: int32
    assignment: struct null = null
      topicPartitions: []struct
        topicId: uuid
        partitions: []int32
  `,
})
