/**
 * Vote (key 52). A candidate of the quorum asks for a vote (KIP-595), or, where `preVote` is set, whether it would get one (KIP-996).
 */

import { defineApi } from '../define-api.js'

export interface VoteRequest {
  readonly clusterId: string | null
  readonly voterId: number
  readonly topics: readonly VoteRequestTopicData[]
}

export interface VoteRequestTopicData {
  readonly topicName: string
  readonly partitions: readonly VoteRequestPartitionData[]
}

export interface VoteRequestPartitionData {
  readonly partitionIndex: number
  readonly replicaEpoch: number
  readonly replicaId: number
  readonly replicaDirectoryId: string
  readonly voterDirectoryId: string
  readonly lastOffsetEpoch: number
  readonly lastOffset: number
  readonly preVote: boolean
}

export interface VoteResponse {
  readonly errorCode: number
  readonly topics: readonly VoteResponseTopicData[]
  readonly nodeEndpoints: readonly NodeEndpoint[]
}

export interface VoteResponseTopicData {
  readonly topicName: string
  readonly partitions: readonly VoteResponsePartitionData[]
}

export interface VoteResponsePartitionData {
  readonly partitionIndex: number
  readonly errorCode: number
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly voteGranted: boolean
}

export interface NodeEndpoint {
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

export const voteApi = defineApi<VoteRequest, VoteResponse>({
  name: 'Vote',
  key: 52,
  versions: '0-2',
  flexible: '0+',
  request: `
    clusterId: string null = null
    voterId: int32 1+ = -1 ignorable
    topics: []struct
      topicName: string
      partitions: []struct
        partitionIndex: int32
        replicaEpoch: int32
        replicaId: int32
        replicaDirectoryId: uuid 1+ ignorable
        voterDirectoryId: uuid 1+ ignorable
        lastOffsetEpoch: int32
        lastOffset: int64
        preVote: bool 2+
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
        voteGranted: bool
    nodeEndpoints: []struct 1+ tag 0
      nodeId: int32 1+
      host: string 1+
      port: uint16 1+
  `,
})
