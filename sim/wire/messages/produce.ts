/**
 * Produce (key 0). A producer (or a coordinator) hands record batches to the leaders of partitions.
 *
 * With `acks` 0 there is no response; with 1 the leader alone has the records; with -1 all of the in-sync replicas have them.
 * Topics go by name up to version 12 and by id from 13 (KIP-516). A response points at new leaders in `currentLeader` (KIP-951).
 */

import { defineApi } from '../define-api.js'
import type { Records } from '../record-batch.js'

export interface ProduceRequest {
  readonly transactionalId: string | null
  readonly acks: number
  readonly timeoutMs: number
  readonly topicData: readonly TopicProduceData[]
}

export interface TopicProduceData {
  readonly name: string
  readonly topicId: string
  readonly partitionData: readonly PartitionProduceData[]
}

export interface PartitionProduceData {
  readonly index: number
  readonly records: Records | null
}

export interface ProduceResponse {
  readonly responses: readonly TopicProduceResponse[]
  readonly throttleTimeMs: number
  readonly nodeEndpoints: readonly NodeEndpoint[]
}

export interface TopicProduceResponse {
  readonly name: string
  readonly topicId: string
  readonly partitionResponses: readonly PartitionProduceResponse[]
}

export interface PartitionProduceResponse {
  readonly index: number
  readonly errorCode: number
  readonly baseOffset: number
  readonly logAppendTimeMs: number
  readonly logStartOffset: number
  readonly recordErrors: readonly BatchIndexAndErrorMessage[]
  readonly errorMessage: string | null
  readonly currentLeader: LeaderIdAndEpoch
}

export interface BatchIndexAndErrorMessage {
  readonly batchIndex: number
  readonly batchIndexErrorMessage: string | null
}

export interface LeaderIdAndEpoch {
  readonly leaderId: number
  readonly leaderEpoch: number
}

export interface NodeEndpoint {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

export const produceApi = defineApi<ProduceRequest, ProduceResponse>({
  name: 'Produce',
  key: 0,
  versions: '3-13',
  flexible: '9+',
  request: `
    transactionalId: string 3+ null = null
    acks: int16
    timeoutMs: int32
    topicData: []struct
      name: string 0-12 ignorable
      topicId: uuid 13+ ignorable
      partitionData: []struct
        index: int32
        records: records null
  `,
  response: `
    responses: []struct
      name: string 0-12 ignorable
      topicId: uuid 13+ ignorable
      partitionResponses: []struct
        index: int32
        errorCode: int16
        baseOffset: int64
        logAppendTimeMs: int64 2+ = -1 ignorable
        logStartOffset: int64 5+ = -1 ignorable
        recordErrors: []struct 8+ ignorable
          batchIndex: int32 8+
          batchIndexErrorMessage: string 8+ null = null
        errorMessage: string 8+ null = null ignorable
        currentLeader: struct 10+ tag 0
          leaderId: int32 10+ = -1
          leaderEpoch: int32 10+ = -1
    throttleTimeMs: int32 1+ ignorable
    nodeEndpoints: []struct 10+ tag 0
      nodeId: int32 10+
      host: string 10+
      port: int32 10+
      rack: string 10+ null = null
  `,
})
