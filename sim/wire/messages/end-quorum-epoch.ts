/**
 * EndQuorumEpoch (key 54). The leader of the quorum resigns and names whom it would rather see elected (KIP-595, candidates with directories KIP-853).
 */

import { defineApi } from '../define-api.js'

export interface EndQuorumEpochRequest {
  readonly clusterId: string | null
  readonly topics: readonly EndQuorumEpochRequestTopicData[]
  readonly leaderEndpoints: readonly LeaderEndpoint[]
}

export interface EndQuorumEpochRequestTopicData {
  readonly topicName: string
  readonly partitions: readonly EndQuorumEpochRequestPartitionData[]
}

export interface EndQuorumEpochRequestPartitionData {
  readonly partitionIndex: number
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly preferredSuccessors: readonly number[]
  readonly preferredCandidates: readonly ReplicaInfo[]
}

export interface ReplicaInfo {
  readonly candidateId: number
  readonly candidateDirectoryId: string
}

export interface LeaderEndpoint {
  readonly name: string
  readonly host: string
  readonly port: number
}

export interface EndQuorumEpochResponse {
  readonly errorCode: number
  readonly topics: readonly EndQuorumEpochResponseTopicData[]
  readonly nodeEndpoints: readonly NodeEndpoint[]
}

export interface EndQuorumEpochResponseTopicData {
  readonly topicName: string
  readonly partitions: readonly EndQuorumEpochResponsePartitionData[]
}

export interface EndQuorumEpochResponsePartitionData {
  readonly partitionIndex: number
  readonly errorCode: number
  readonly leaderId: number
  readonly leaderEpoch: number
}

export interface NodeEndpoint {
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

export const endQuorumEpochApi = defineApi<EndQuorumEpochRequest, EndQuorumEpochResponse>({
  name: 'EndQuorumEpoch',
  key: 54,
  versions: '0-1',
  flexible: '1+',
  request: `
    clusterId: string null = null
    topics: []struct
      topicName: string
      partitions: []struct
        partitionIndex: int32
        leaderId: int32
        leaderEpoch: int32
        preferredSuccessors: []int32 0 ignorable
        preferredCandidates: []struct 1+ ignorable
          candidateId: int32 1+
          candidateDirectoryId: uuid 1+
    leaderEndpoints: []struct 1+ ignorable
      name: string 1+
      host: string 1+
      port: uint16 1+
  `,
  response: `
    errorCode: int16
    topics: []struct
      topicName: string
      partitions: []struct
        partitionIndex: int32
        errorCode: int16
        leaderId: int32
        leaderEpoch: int32
    nodeEndpoints: []struct 1+ tag 0
      nodeId: int32 1+
      host: string 1+
      port: uint16 1+
  `,
})
