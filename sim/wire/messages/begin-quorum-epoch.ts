/**
 * BeginQuorumEpoch (key 53). The new leader of the quorum tells the voters that it has been elected (KIP-595, endpoints KIP-853).
 */

import { defineApi } from '../define-api.js'

export interface BeginQuorumEpochRequest {
  readonly clusterId: string | null
  readonly voterId: number
  readonly topics: readonly BeginQuorumEpochRequestTopicData[]
  readonly leaderEndpoints: readonly LeaderEndpoint[]
}

export interface BeginQuorumEpochRequestTopicData {
  readonly topicName: string
  readonly partitions: readonly BeginQuorumEpochRequestPartitionData[]
}

export interface BeginQuorumEpochRequestPartitionData {
  readonly partitionIndex: number
  readonly voterDirectoryId: string
  readonly leaderId: number
  readonly leaderEpoch: number
}

export interface LeaderEndpoint {
  readonly name: string
  readonly host: string
  readonly port: number
}

export interface BeginQuorumEpochResponse {
  readonly errorCode: number
  readonly topics: readonly BeginQuorumEpochResponseTopicData[]
  readonly nodeEndpoints: readonly NodeEndpoint[]
}

export interface BeginQuorumEpochResponseTopicData {
  readonly topicName: string
  readonly partitions: readonly BeginQuorumEpochResponsePartitionData[]
}

export interface BeginQuorumEpochResponsePartitionData {
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

export const beginQuorumEpochApi = defineApi<BeginQuorumEpochRequest, BeginQuorumEpochResponse>({
  name: 'BeginQuorumEpoch',
  key: 53,
  versions: '0-1',
  flexible: '1+',
  request: `
    clusterId: string null = null
    voterId: int32 1+ = -1 ignorable
    topics: []struct
      topicName: string
      partitions: []struct
        partitionIndex: int32
        voterDirectoryId: uuid 1+ ignorable
        leaderId: int32
        leaderEpoch: int32
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
