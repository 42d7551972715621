/**
 * FetchSnapshot (key 59). A member of the quorum reads a snapshot of the metadata log, piece by piece (KIP-630).
 *
 * `unalignedRecords` is a piece of the snapshot's file, cut anywhere; so it is bytes and not batches.
 */

import { defineApi } from '../define-api.js'

export interface FetchSnapshotRequest {
  readonly clusterId: string | null
  readonly replicaId: number
  readonly maxBytes: number
  readonly topics: readonly FetchSnapshotRequestTopicSnapshot[]
}

export interface FetchSnapshotRequestTopicSnapshot {
  readonly name: string
  readonly partitions: readonly FetchSnapshotRequestPartitionSnapshot[]
}

export interface FetchSnapshotRequestPartitionSnapshot {
  readonly partition: number
  readonly currentLeaderEpoch: number
  readonly snapshotId: FetchSnapshotRequestSnapshotId
  readonly position: number
  readonly replicaDirectoryId: string
}

export interface FetchSnapshotRequestSnapshotId {
  readonly endOffset: number
  readonly epoch: number
}

export interface FetchSnapshotResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly topics: readonly FetchSnapshotResponseTopicSnapshot[]
  readonly nodeEndpoints: readonly NodeEndpoint[]
}

export interface FetchSnapshotResponseTopicSnapshot {
  readonly name: string
  readonly partitions: readonly FetchSnapshotResponsePartitionSnapshot[]
}

export interface FetchSnapshotResponsePartitionSnapshot {
  readonly index: number
  readonly errorCode: number
  readonly snapshotId: FetchSnapshotResponseSnapshotId
  readonly currentLeader: LeaderIdAndEpoch
  readonly size: number
  readonly position: number
  readonly unalignedRecords: Uint8Array
}

export interface FetchSnapshotResponseSnapshotId {
  readonly endOffset: number
  readonly epoch: number
}

export interface LeaderIdAndEpoch {
  readonly leaderId: number
  readonly leaderEpoch: number
}

export interface NodeEndpoint {
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

export const fetchSnapshotApi = defineApi<FetchSnapshotRequest, FetchSnapshotResponse>({
  name: 'FetchSnapshot',
  key: 59,
  versions: '0-1',
  flexible: '0+',
  request: `
    clusterId: string null tag 0 = null
    replicaId: int32 = -1
    maxBytes: int32 = 2147483647
    topics: []struct
      name: string
      partitions: []struct
        partition: int32
        currentLeaderEpoch: int32
        snapshotId: struct
          endOffset: int64
          epoch: int32
        position: int64
        replicaDirectoryId: uuid 1+ tag 0 ignorable
  `,
  response: `
    throttleTimeMs: int32 ignorable
    errorCode: int16
    topics: []struct
      name: string
      partitions: []struct
        index: int32
        errorCode: int16
        snapshotId: struct
          endOffset: int64
          epoch: int32
        currentLeader: struct tag 0
          leaderId: int32
          leaderEpoch: int32
        size: int64
        position: int64
        unalignedRecords: bytes
    nodeEndpoints: []struct 1+ tag 0
      nodeId: int32 1+
      host: string 1+
      port: uint16 1+
  `,
})
