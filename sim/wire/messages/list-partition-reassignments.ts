/**
 * ListPartitionReassignments (key 46). The reassignments under way (KIP-455). Null topics are all topics.
 */

import { defineApi } from '../define-api.js'

export interface ListPartitionReassignmentsRequest {
  readonly timeoutMs: number
  readonly topics: readonly ListPartitionReassignmentsTopics[] | null
}

export interface ListPartitionReassignmentsTopics {
  readonly name: string
  readonly partitionIndexes: readonly number[]
}

export interface ListPartitionReassignmentsResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly topics: readonly OngoingTopicReassignment[]
}

export interface OngoingTopicReassignment {
  readonly name: string
  readonly partitions: readonly OngoingPartitionReassignment[]
}

export interface OngoingPartitionReassignment {
  readonly partitionIndex: number
  readonly replicas: readonly number[]
  readonly addingReplicas: readonly number[]
  readonly removingReplicas: readonly number[]
}

export const listPartitionReassignmentsApi = defineApi<
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponse
>({
  name: 'ListPartitionReassignments',
  key: 46,
  versions: '0-0',
  flexible: '0+',
  request: `
    timeoutMs: int32 = 60000
    topics: []struct null = null
      name: string
      partitionIndexes: []int32
  `,
  response: `
    throttleTimeMs: int32
    errorCode: int16
    errorMessage: string null
    topics: []struct
      name: string
      partitions: []struct
        partitionIndex: int32
        replicas: []int32
        addingReplicas: []int32
        removingReplicas: []int32
  `,
})
