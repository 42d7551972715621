/**
 * DescribeTopicPartitions (key 75). The partitions of topics, page by page, with their eligible leader replicas (KIP-966).
 */

import { defineApi } from '../define-api.js'

export interface DescribeTopicPartitionsRequest {
  readonly topics: readonly TopicRequest[]
  readonly responsePartitionLimit: number
  readonly cursor: DescribeTopicPartitionsRequestCursor | null
}

export interface TopicRequest {
  readonly name: string
}

export interface DescribeTopicPartitionsRequestCursor {
  readonly topicName: string
  readonly partitionIndex: number
}

export interface DescribeTopicPartitionsResponse {
  readonly throttleTimeMs: number
  readonly topics: readonly DescribeTopicPartitionsResponseTopic[]
  readonly nextCursor: DescribeTopicPartitionsResponseCursor | null
}

export interface DescribeTopicPartitionsResponseTopic {
  readonly errorCode: number
  readonly name: string | null
  readonly topicId: string
  readonly isInternal: boolean
  readonly partitions: readonly DescribeTopicPartitionsResponsePartition[]
  readonly topicAuthorizedOperations: number
}

export interface DescribeTopicPartitionsResponsePartition {
  readonly errorCode: number
  readonly partitionIndex: number
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly replicaNodes: readonly number[]
  readonly isrNodes: readonly number[]
  readonly eligibleLeaderReplicas: readonly number[] | null
  readonly lastKnownElr: readonly number[] | null
  readonly offlineReplicas: readonly number[]
}

export interface DescribeTopicPartitionsResponseCursor {
  readonly topicName: string
  readonly partitionIndex: number
}

export const describeTopicPartitionsApi = defineApi<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse>({
  name: 'DescribeTopicPartitions',
  key: 75,
  versions: '0-0',
  flexible: '0+',
  request: `
    topics: []struct
      name: string
    responsePartitionLimit: int32 = 2000
    cursor: struct null = null
      topicName: string
      partitionIndex: int32
  `,
  response: `
    throttleTimeMs: int32 ignorable
    topics: []struct
      errorCode: int16
      name: string null
      topicId: uuid ignorable
      isInternal: bool ignorable
      partitions: []struct
        errorCode: int16
        partitionIndex: int32
        leaderId: int32
        leaderEpoch: int32 = -1 ignorable
        replicaNodes: []int32
        isrNodes: []int32
        eligibleLeaderReplicas: []int32 null = null
        lastKnownElr: []int32 null = null
        offlineReplicas: []int32 ignorable
      topicAuthorizedOperations: int32 = -2147483648
    nextCursor: struct null = null
      topicName: string
      partitionIndex: int32
  `,
})
