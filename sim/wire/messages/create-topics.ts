/**
 * CreateTopics (key 19). Makes topics, with a number of partitions and a replication factor, or with assignments given by hand. -1 stands for the default.
 */

import { defineApi } from '../define-api.js'

export interface CreateTopicsRequest {
  readonly topics: readonly CreatableTopic[]
  readonly timeoutMs: number
  readonly validateOnly: boolean
}

export interface CreatableTopic {
  readonly name: string
  readonly numPartitions: number
  readonly replicationFactor: number
  readonly assignments: readonly CreatableReplicaAssignment[]
  readonly configs: readonly CreatableTopicConfig[]
}

export interface CreatableReplicaAssignment {
  readonly partitionIndex: number
  readonly brokerIds: readonly number[]
}

export interface CreatableTopicConfig {
  readonly name: string
  readonly value: string | null
}

export interface CreateTopicsResponse {
  readonly throttleTimeMs: number
  readonly topics: readonly CreatableTopicResult[]
}

export interface CreatableTopicResult {
  readonly name: string
  readonly topicId: string
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly topicConfigErrorCode: number
  readonly numPartitions: number
  readonly replicationFactor: number
  readonly configs: readonly CreatableTopicConfigs[] | null
}

export interface CreatableTopicConfigs {
  readonly name: string
  readonly value: string | null
  readonly readOnly: boolean
  readonly configSource: number
  readonly isSensitive: boolean
}

export const createTopicsApi = defineApi<CreateTopicsRequest, CreateTopicsResponse>({
  name: 'CreateTopics',
  key: 19,
  versions: '2-7',
  flexible: '5+',
  request: `
    topics: []struct
      name: string
      numPartitions: int32
      replicationFactor: int16
      assignments: []struct
        partitionIndex: int32
        brokerIds: []int32
      configs: []struct
        name: string
        value: string null
    timeoutMs: int32 = 60000
    validateOnly: bool 1+
  `,
  response: `
    throttleTimeMs: int32 2+ ignorable
    topics: []struct
      name: string
      topicId: uuid 7+ ignorable
      errorCode: int16
      errorMessage: string 1+ null 0+ ignorable
      topicConfigErrorCode: int16 5+ tag 0 ignorable
      numPartitions: int32 5+ = -1 ignorable
      replicationFactor: int16 5+ = -1 ignorable
      configs: []struct 5+ null ignorable
        name: string 5+
        value: string 5+ null
        readOnly: bool 5+
        configSource: int8 5+ = -1 ignorable
        isSensitive: bool 5+
  `,
})
