/**
 * AlterPartition (key 56). The leader of a partition asks the controller for another ISR (KIP-497), with the epochs of its members (KIP-903).
 */

import { defineApi } from '../define-api.js'

export interface AlterPartitionRequest {
  readonly brokerId: number
  readonly brokerEpoch: number
  readonly topics: readonly AlterPartitionRequestTopicData[]
}

export interface AlterPartitionRequestTopicData {
  readonly topicId: string
  readonly partitions: readonly AlterPartitionRequestPartitionData[]
}

export interface AlterPartitionRequestPartitionData {
  readonly partitionIndex: number
  readonly leaderEpoch: number
  readonly newIsr: readonly number[]
  readonly newIsrWithEpochs: readonly BrokerState[]
  readonly leaderRecoveryState: number
  readonly partitionEpoch: number
}

export interface BrokerState {
  readonly brokerId: number
  readonly brokerEpoch: number
}

export interface AlterPartitionResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly topics: readonly AlterPartitionResponseTopicData[]
}

export interface AlterPartitionResponseTopicData {
  readonly topicId: string
  readonly partitions: readonly AlterPartitionResponsePartitionData[]
}

export interface AlterPartitionResponsePartitionData {
  readonly partitionIndex: number
  readonly errorCode: number
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly isr: readonly number[]
  readonly leaderRecoveryState: number
  readonly partitionEpoch: number
}

export const alterPartitionApi = defineApi<AlterPartitionRequest, AlterPartitionResponse>({
  name: 'AlterPartition',
  key: 56,
  versions: '2-3',
  flexible: '0+',
  request: `
    brokerId: int32
    brokerEpoch: int64 = -1
    topics: []struct
      topicId: uuid 2+ ignorable
      partitions: []struct
        partitionIndex: int32
        leaderEpoch: int32
        newIsr: []int32 0-2
        newIsrWithEpochs: []struct 3+
          brokerId: int32 3+
          brokerEpoch: int64 3+ = -1
        leaderRecoveryState: int8 1+
        partitionEpoch: int32
  `,
  response: `
    throttleTimeMs: int32
    errorCode: int16
    topics: []struct
      topicId: uuid 2+ ignorable
      partitions: []struct
        partitionIndex: int32
        errorCode: int16
        leaderId: int32
        leaderEpoch: int32
        isr: []int32
        leaderRecoveryState: int8 1+ ignorable
        partitionEpoch: int32
  `,
})
