/**
 * UpdateMetadata (key 6). The controller of ZooKeeper mode tells brokers about live brokers and partitions, for their metadata caches
 * (KIP-380, KIP-516).
 */

import { defineApi } from '../define-api.js'

export interface UpdateMetadataRequest {
  readonly controllerId: number
  readonly isKRaftController: boolean
  readonly type: number
  readonly controllerEpoch: number
  readonly brokerEpoch: number
  readonly topicStates: readonly UpdateMetadataTopicState[]
  readonly liveBrokers: readonly UpdateMetadataBroker[]
}

export interface UpdateMetadataTopicState {
  readonly topicName: string
  readonly topicId: string
  readonly partitionStates: readonly UpdateMetadataPartitionState[]
}

export interface UpdateMetadataPartitionState {
  readonly partitionIndex: number
  readonly controllerEpoch: number
  /** -2: the topic is being deleted. */
  readonly leader: number
  readonly leaderEpoch: number
  readonly isr: readonly number[]
  readonly zkVersion: number
  readonly replicas: readonly number[]
  readonly offlineReplicas: readonly number[]
}

export interface UpdateMetadataBroker {
  readonly id: number
  readonly endpoints: readonly UpdateMetadataEndpoint[]
  readonly rack: string | null
}

export interface UpdateMetadataEndpoint {
  readonly port: number
  readonly host: string
  readonly listener: string
  readonly securityProtocol: number
}

export interface UpdateMetadataResponse {
  readonly errorCode: number
}

export const updateMetadataApi = defineApi<UpdateMetadataRequest, UpdateMetadataResponse>({
  name: 'UpdateMetadata',
  key: 6,
  versions: '7-8',
  flexible: '6+',
  request: `
    controllerId: int32
    isKRaftController: bool 8+ = false
    type: int8 8+ tag 0
    controllerEpoch: int32
    brokerEpoch: int64 5+ = -1 ignorable
    topicStates: []struct 5+
      topicName: string 5+
      topicId: uuid 7+ ignorable
      partitionStates: []struct 5+
        partitionIndex: int32
        controllerEpoch: int32
        leader: int32
        leaderEpoch: int32
        isr: []int32
        zkVersion: int32
        replicas: []int32
        offlineReplicas: []int32 4+ ignorable
    liveBrokers: []struct
      id: int32
      endpoints: []struct 1+ ignorable
        port: int32 1+
        host: string 1+
        listener: string 3+ ignorable
        securityProtocol: int16 1+
      rack: string 2+ null ignorable
  `,
  response: `
    errorCode: int16
  `,
})
