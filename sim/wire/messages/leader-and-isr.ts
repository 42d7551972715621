/**
 * LeaderAndIsr (key 4). The controller of ZooKeeper mode tells a broker which partitions it leads and follows (KIP-380, KIP-516, KIP-704).
 */

import { defineApi } from '../define-api.js'

export interface LeaderAndIsrRequest {
  readonly controllerId: number
  readonly isKRaftController: boolean
  readonly controllerEpoch: number
  readonly brokerEpoch: number
  readonly type: number
  readonly topicStates: readonly LeaderAndIsrTopicState[]
  readonly liveLeaders: readonly LeaderAndIsrLiveLeader[]
}

export interface LeaderAndIsrTopicState {
  readonly topicName: string
  readonly topicId: string
  readonly partitionStates: readonly LeaderAndIsrPartitionState[]
}

export interface LeaderAndIsrPartitionState {
  readonly partitionIndex: number
  readonly controllerEpoch: number
  readonly leader: number
  readonly leaderEpoch: number
  readonly isr: readonly number[]
  /** Version of the partition's state znode. */
  readonly partitionEpoch: number
  readonly replicas: readonly number[]
  readonly addingReplicas: readonly number[]
  readonly removingReplicas: readonly number[]
  readonly isNew: boolean
  readonly leaderRecoveryState: number
}

export interface LeaderAndIsrLiveLeader {
  readonly brokerId: number
  readonly hostName: string
  readonly port: number
}

export interface LeaderAndIsrResponse {
  readonly errorCode: number
  readonly topics: readonly LeaderAndIsrTopicError[]
}

export interface LeaderAndIsrTopicError {
  readonly topicId: string
  readonly partitionErrors: readonly LeaderAndIsrPartitionError[]
}

export interface LeaderAndIsrPartitionError {
  readonly partitionIndex: number
  readonly errorCode: number
}

export const leaderAndIsrApi = defineApi<LeaderAndIsrRequest, LeaderAndIsrResponse>({
  name: 'LeaderAndIsr',
  key: 4,
  versions: '5-7',
  flexible: '4+',
  request: `
    controllerId: int32
    isKRaftController: bool 7+ = false
    controllerEpoch: int32
    brokerEpoch: int64 2+ = -1 ignorable
    type: int8 5+
    topicStates: []struct 2+
      topicName: string 2+
      topicId: uuid 5+ ignorable
      partitionStates: []struct 2+
        partitionIndex: int32
        controllerEpoch: int32
        leader: int32
        leaderEpoch: int32
        isr: []int32
        partitionEpoch: int32
        replicas: []int32
        addingReplicas: []int32 3+ ignorable
        removingReplicas: []int32 3+ ignorable
        isNew: bool 1+ = false ignorable
        leaderRecoveryState: int8 6+ = 0
    liveLeaders: []struct
      brokerId: int32
      hostName: string
      port: int32
  `,
  response: `
    errorCode: int16
    topics: []struct 5+
      topicId: uuid 5+
      partitionErrors: []struct 5+
        partitionIndex: int32
        errorCode: int16
  `,
})
