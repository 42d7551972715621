/**
 * DescribeCluster (key 60). The brokers or controllers of a cluster, and which one is the controller (KIP-700, KIP-919).
 */

import { defineApi } from '../define-api.js'

export interface DescribeClusterRequest {
  readonly includeClusterAuthorizedOperations: boolean
  readonly endpointType: number
  readonly includeFencedBrokers: boolean
}

export interface DescribeClusterResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly endpointType: number
  readonly clusterId: string
  readonly controllerId: number
  readonly brokers: readonly DescribeClusterBroker[]
  readonly clusterAuthorizedOperations: number
}

export interface DescribeClusterBroker {
  readonly brokerId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
  readonly isFenced: boolean
}

export const describeClusterApi = defineApi<DescribeClusterRequest, DescribeClusterResponse>({
  name: 'DescribeCluster',
  key: 60,
  versions: '0-2',
  flexible: '0+',
  request: `
    includeClusterAuthorizedOperations: bool
    endpointType: int8 1+ = 1
    includeFencedBrokers: bool 2+
  `,
  response: `
    throttleTimeMs: int32
    errorCode: int16
    errorMessage: string null = null
    endpointType: int8 1+ = 1
    clusterId: string
    controllerId: int32 = -1
    brokers: []struct
      brokerId: int32
      host: string
      port: int32
      rack: string null = null
      isFenced: bool 2+
    clusterAuthorizedOperations: int32 = -2147483648
  `,
})
