/**
 * ControlledShutdown (key 7). A broker in ZooKeeper mode asks the controller to move leadership away from it before it stops.
 */

import { defineApi } from '../define-api.js'

export interface ControlledShutdownRequest {
  readonly brokerId: number
  readonly brokerEpoch: number
}

export interface ControlledShutdownResponse {
  readonly errorCode: number
  /** What the broker still leads. */
  readonly remainingPartitions: readonly RemainingPartition[]
}

export interface RemainingPartition {
  readonly topicName: string
  readonly partitionIndex: number
}

export const controlledShutdownApi = defineApi<ControlledShutdownRequest, ControlledShutdownResponse>({
  name: 'ControlledShutdown',
  key: 7,
  versions: '2-3',
  flexible: '3+',
  request: `
    brokerId: int32
    brokerEpoch: int64 2+ = -1 ignorable
  `,
  response: `
    errorCode: int16
    remainingPartitions: []struct
      topicName: string
      partitionIndex: int32
  `,
})
