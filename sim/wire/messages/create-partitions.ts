/**
 * CreatePartitions (key 37). Raises the number of partitions of topics (KIP-195); `count` is the number wanted in the end.
 */

import { defineApi } from '../define-api.js'

export interface CreatePartitionsRequest {
  readonly topics: readonly CreatePartitionsTopic[]
  readonly timeoutMs: number
  readonly validateOnly: boolean
}

export interface CreatePartitionsTopic {
  readonly name: string
  readonly count: number
  readonly assignments: readonly CreatePartitionsAssignment[] | null
}

export interface CreatePartitionsAssignment {
  readonly brokerIds: readonly number[]
}

export interface CreatePartitionsResponse {
  readonly throttleTimeMs: number
  readonly results: readonly CreatePartitionsTopicResult[]
}

export interface CreatePartitionsTopicResult {
  readonly name: string
  readonly errorCode: number
  readonly errorMessage: string | null
}

export const createPartitionsApi = defineApi<CreatePartitionsRequest, CreatePartitionsResponse>({
  name: 'CreatePartitions',
  key: 37,
  versions: '0-3',
  flexible: '2+',
  request: `
    topics: []struct
      name: string
      count: int32
      assignments: []struct null
        brokerIds: []int32
    timeoutMs: int32
    validateOnly: bool
  `,
  response: `
    throttleTimeMs: int32
    results: []struct
      name: string
      errorCode: int16
      errorMessage: string null = null
  `,
})
