/**
 * AlterPartitionReassignments (key 45). Begins reassignments of partitions, or cancels them where `replicas` is null (KIP-455).
 */

import { defineApi } from '../define-api.js'

export interface AlterPartitionReassignmentsRequest {
  readonly timeoutMs: number
  readonly allowReplicationFactorChange: boolean
  readonly topics: readonly ReassignableTopic[]
}

export interface ReassignableTopic {
  readonly name: string
  readonly partitions: readonly ReassignablePartition[]
}

export interface ReassignablePartition {
  readonly partitionIndex: number
  readonly replicas: readonly number[] | null
}

export interface AlterPartitionReassignmentsResponse {
  readonly throttleTimeMs: number
  readonly allowReplicationFactorChange: boolean
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly responses: readonly ReassignableTopicResponse[]
}

export interface ReassignableTopicResponse {
  readonly name: string
  readonly partitions: readonly ReassignablePartitionResponse[]
}

export interface ReassignablePartitionResponse {
  readonly partitionIndex: number
  readonly errorCode: number
  readonly errorMessage: string | null
}

export const alterPartitionReassignmentsApi = defineApi<
  AlterPartitionReassignmentsRequest,
  AlterPartitionReassignmentsResponse
>({
  name: 'AlterPartitionReassignments',
  key: 45,
  versions: '0-1',
  flexible: '0+',
  request: `
    timeoutMs: int32 = 60000
    allowReplicationFactorChange: bool 1+ = true
    topics: []struct
      name: string
      partitions: []struct
        partitionIndex: int32
        replicas: []int32 null = null
  `,
  response: `
    throttleTimeMs: int32
    allowReplicationFactorChange: bool 1+ = true ignorable
    errorCode: int16
    errorMessage: string null
    responses: []struct
      name: string
      partitions: []struct
        partitionIndex: int32
        errorCode: int16
        errorMessage: string null
  `,
})
