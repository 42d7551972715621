/**
 * DescribeQuorum (key 55). The leader, the voters and the observers of the quorum, and how far each one is (KIP-642, KIP-836, KIP-853).
 */

import { defineApi } from '../define-api.js'

export interface DescribeQuorumRequest {
  readonly topics: readonly DescribeQuorumRequestTopicData[]
}

export interface DescribeQuorumRequestTopicData {
  readonly topicName: string
  readonly partitions: readonly DescribeQuorumRequestPartitionData[]
}

export interface DescribeQuorumRequestPartitionData {
  readonly partitionIndex: number
}

export interface DescribeQuorumResponse {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly topics: readonly DescribeQuorumResponseTopicData[]
  readonly nodes: readonly Node[]
}

export interface DescribeQuorumResponseTopicData {
  readonly topicName: string
  readonly partitions: readonly DescribeQuorumResponsePartitionData[]
}

export interface DescribeQuorumResponsePartitionData {
  readonly partitionIndex: number
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly highWatermark: number
  readonly currentVoters: readonly ReplicaState[]
  readonly observers: readonly ReplicaState[]
}

export interface ReplicaState {
  readonly replicaId: number
  readonly replicaDirectoryId: string
  readonly logEndOffset: number
  readonly lastFetchTimestamp: number
  readonly lastCaughtUpTimestamp: number
}

export interface Node {
  readonly nodeId: number
  readonly listeners: readonly Listener[]
}

export interface Listener {
  readonly name: string
  readonly host: string
  readonly port: number
}

export const describeQuorumApi = defineApi<DescribeQuorumRequest, DescribeQuorumResponse>({
  name: 'DescribeQuorum',
  key: 55,
  versions: '0-2',
  flexible: '0+',
  request: `
    topics: []struct
      topicName: string
      partitions: []struct
        partitionIndex: int32
  `,
  response: `
    errorCode: int16
    errorMessage: string 2+ null ignorable
    topics: []struct
      topicName: string
      partitions: []struct
        partitionIndex: int32
        errorCode: int16
        errorMessage: string 2+ null ignorable
        leaderId: int32
        leaderEpoch: int32
        highWatermark: int64
        currentVoters: []struct
          replicaId: int32
          replicaDirectoryId: uuid 2+
          logEndOffset: int64
          lastFetchTimestamp: int64 1+ = -1 ignorable
          lastCaughtUpTimestamp: int64 1+ = -1 ignorable
        observers: []struct
          replicaId: int32
          replicaDirectoryId: uuid 2+
          logEndOffset: int64
          lastFetchTimestamp: int64 1+ = -1 ignorable
          lastCaughtUpTimestamp: int64 1+ = -1 ignorable
    nodes: []struct 2+
      nodeId: int32 2+
      listeners: []struct 2+
        name: string 2+
        host: string 2+
        port: uint16 2+
  `,
})
