/**
 * Metadata (key 3). Brokers, topics, partitions and their leaders, as the broker asked knows them. A null `topics` asks for all.
 *
 * From version 10 a topic may be asked for by id (KIP-516).
 */

import { defineApi } from '../define-api.js'

export interface MetadataRequest {
  readonly topics: readonly MetadataRequestTopic[] | null
  readonly allowAutoTopicCreation: boolean
  readonly includeClusterAuthorizedOperations: boolean
  readonly includeTopicAuthorizedOperations: boolean
}

export interface MetadataRequestTopic {
  readonly topicId: string
  readonly name: string | null
}

export interface MetadataResponse {
  readonly throttleTimeMs: number
  readonly brokers: readonly MetadataResponseBroker[]
  readonly clusterId: string | null
  readonly controllerId: number
  readonly topics: readonly MetadataResponseTopic[]
  readonly clusterAuthorizedOperations: number
  readonly errorCode: number
}

export interface MetadataResponseBroker {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

export interface MetadataResponseTopic {
  readonly errorCode: number
  readonly name: string | null
  readonly topicId: string
  readonly isInternal: boolean
  readonly partitions: readonly MetadataResponsePartition[]
  readonly topicAuthorizedOperations: number
}

export interface MetadataResponsePartition {
  readonly errorCode: number
  readonly partitionIndex: number
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly replicaNodes: readonly number[]
  readonly isrNodes: readonly number[]
  readonly offlineReplicas: readonly number[]
}

export const metadataApi = defineApi<MetadataRequest, MetadataResponse>({
  name: 'Metadata',
  key: 3,
  versions: '0-13',
  flexible: '9+',
  request: `
    topics: []struct null 1+
      topicId: uuid 10+ ignorable
      name: string null 10+
    allowAutoTopicCreation: bool 4+ = true
    includeClusterAuthorizedOperations: bool 8-10
    includeTopicAuthorizedOperations: bool 8+
  `,
  response: `
    throttleTimeMs: int32 3+ ignorable
    brokers: []struct
      nodeId: int32
      host: string
      port: int32
      rack: string 1+ null = null ignorable
    clusterId: string 2+ null = null ignorable
    controllerId: int32 1+ = -1 ignorable
    topics: []struct
      errorCode: int16
      name: string null 12+
      topicId: uuid 10+ ignorable
      isInternal: bool 1+ ignorable
      partitions: []struct
        errorCode: int16
        partitionIndex: int32
        leaderId: int32
        leaderEpoch: int32 7+ = -1 ignorable
        replicaNodes: []int32
        isrNodes: []int32
        offlineReplicas: []int32 5+ ignorable
      topicAuthorizedOperations: int32 8+ = -2147483648
    clusterAuthorizedOperations: int32 8-10 = -2147483648
    errorCode: int16 13+ ignorable
  `,
})
