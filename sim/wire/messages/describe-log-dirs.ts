/**
 * DescribeLogDirs (key 35). The log directories of a broker and the sizes of the replicas in them (KIP-113, KIP-827). Null topics are all topics.
 */

import { defineApi } from '../define-api.js'

export interface DescribeLogDirsRequest {
  readonly topics: readonly DescribableLogDirTopic[] | null
}

export interface DescribableLogDirTopic {
  readonly topic: string
  readonly partitions: readonly number[]
}

export interface DescribeLogDirsResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly results: readonly DescribeLogDirsResult[]
}

export interface DescribeLogDirsResult {
  readonly errorCode: number
  readonly logDir: string
  readonly topics: readonly DescribeLogDirsTopic[]
  readonly totalBytes: number
  readonly usableBytes: number
}

export interface DescribeLogDirsTopic {
  readonly name: string
  readonly partitions: readonly DescribeLogDirsPartition[]
}

export interface DescribeLogDirsPartition {
  readonly partitionIndex: number
  readonly partitionSize: number
  readonly offsetLag: number
  readonly isFutureKey: boolean
}

export const describeLogDirsApi = defineApi<DescribeLogDirsRequest, DescribeLogDirsResponse>({
  name: 'DescribeLogDirs',
  key: 35,
  versions: '1-4',
  flexible: '2+',
  request: `
    topics: []struct null
      topic: string
      partitions: []int32
  `,
  response: `
    throttleTimeMs: int32
    errorCode: int16 3+ ignorable
    results: []struct
      errorCode: int16
      logDir: string
      topics: []struct
        name: string
        partitions: []struct
          partitionIndex: int32
          partitionSize: int64
          offsetLag: int64
          isFutureKey: bool
      totalBytes: int64 4+ = -1 ignorable
      usableBytes: int64 4+ = -1 ignorable
  `,
})
