/**
 * ElectLeaders (key 43). Asks the controller to elect leaders (KIP-460): type 0 the preferred ones, 1 unclean. Null partitions are all partitions.
 */

import { defineApi } from '../define-api.js'

export interface ElectLeadersRequest {
  readonly electionType: number
  readonly topicPartitions: readonly TopicPartitions[] | null
  readonly timeoutMs: number
}

export interface TopicPartitions {
  readonly topic: string
  readonly partitions: readonly number[]
}

export interface ElectLeadersResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly replicaElectionResults: readonly ReplicaElectionResult[]
}

export interface ReplicaElectionResult {
  readonly topic: string
  readonly partitionResult: readonly PartitionResult[]
}

export interface PartitionResult {
  readonly partitionId: number
  readonly errorCode: number
  readonly errorMessage: string | null
}

export const electLeadersApi = defineApi<ElectLeadersRequest, ElectLeadersResponse>({
  name: 'ElectLeaders',
  key: 43,
  versions: '0-2',
  flexible: '2+',
  request: `
    electionType: int8 1+
    topicPartitions: []struct null
      topic: string
      partitions: []int32
    timeoutMs: int32 = 60000
  `,
  response: `
    throttleTimeMs: int32
    errorCode: int16 1+
    replicaElectionResults: []struct
      topic: string
      partitionResult: []struct
        partitionId: int32
        errorCode: int16
        errorMessage: string null
  `,
})
