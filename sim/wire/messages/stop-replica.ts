/**
 * StopReplica (key 5). The controller of ZooKeeper mode tells a broker to stop replicas, and to delete them where it says so (KIP-570).
 */

import { defineApi } from '../define-api.js'

export interface StopReplicaRequest {
  readonly controllerId: number
  readonly isKRaftController: boolean
  readonly controllerEpoch: number
  readonly brokerEpoch: number
  readonly topicStates: readonly StopReplicaTopicState[]
}

export interface StopReplicaTopicState {
  readonly topicName: string
  readonly partitionStates: readonly StopReplicaPartitionState[]
}

export interface StopReplicaPartitionState {
  readonly partitionIndex: number
  /** -2 while the topic is being deleted. */
  readonly leaderEpoch: number
  readonly deletePartition: boolean
}

export interface StopReplicaResponse {
  readonly errorCode: number
  readonly partitionErrors: readonly StopReplicaPartitionError[]
}

export interface StopReplicaPartitionError {
  readonly topicName: string
  readonly partitionIndex: number
  readonly errorCode: number
}

export const stopReplicaApi = defineApi<StopReplicaRequest, StopReplicaResponse>({
  name: 'StopReplica',
  key: 5,
  versions: '3-4',
  flexible: '2+',
  request: `
    controllerId: int32
    isKRaftController: bool 4+ = false
    controllerEpoch: int32
    brokerEpoch: int64 1+ = -1 ignorable
    topicStates: []struct 3+
      topicName: string 3+
      partitionStates: []struct 3+
        partitionIndex: int32 3+
        leaderEpoch: int32 3+ = -1
        deletePartition: bool 3+
  `,
  response: `
    errorCode: int16
    partitionErrors: []struct
      topicName: string
      partitionIndex: int32
      errorCode: int16
  `,
})
