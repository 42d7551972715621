/** Metadata images for tests, built from records as a broker's are. */

import type { MetadataImage } from '../../../sim/kraft/metadata/image.js'
import { EMPTY_IMAGE } from '../../../sim/kraft/metadata/image.js'
import { MetadataDelta } from '../../../sim/kraft/metadata/metadata-delta.js'
import type { MetadataRecord } from '../../../sim/kraft/metadata/records.js'

export const ORDERS_ID = 'b8tRS7h4TJ2Vt43Dp85v2A'
export const DIRECTORIES: Readonly<Record<number, string>> = {
  1: 'W_3YLFT3Rfmd8Q8RvQYpgw',
  2: 'iQFMNnZ3RUiJCbQNXcCShg',
  3: '0IbF1sjhSGG6FNvnrPbqQg',
}

export function imageOf(records: readonly MetadataRecord[], image: MetadataImage = EMPTY_IMAGE): MetadataImage {
  const delta = new MetadataDelta(image)
  records.forEach((record, at) => delta.replay(record, image.offset + 1 + at, 1))
  return delta.apply()
}

export function broker(id: number, fenced = false, rack: string | null = null): MetadataRecord {
  return {
    type: 'RegisterBrokerRecord',
    version: 3,
    brokerId: id,
    isMigratingZkBroker: false,
    incarnationId: DIRECTORIES[id] as string,
    brokerEpoch: 100 + id,
    endPoints: [{ name: 'PLAINTEXT', host: `b${id}`, port: 9092, securityProtocol: 0 }],
    features: [],
    rack,
    fenced,
    inControlledShutdown: false,
    logDirs: [DIRECTORIES[id] as string],
  }
}

export function topic(name: string, topicId = ORDERS_ID): MetadataRecord {
  return { type: 'TopicRecord', version: 0, name, topicId }
}

export interface PartitionShape {
  readonly replicas?: readonly number[]
  readonly isr?: readonly number[]
  readonly elr?: readonly number[]
  readonly leader?: number
  readonly leaderEpoch?: number
  readonly directories?: readonly string[]
}

export function partition(index: number, shape: PartitionShape = {}, topicId = ORDERS_ID): MetadataRecord {
  const replicas = shape.replicas ?? [1, 2, 3]
  return {
    type: 'PartitionRecord',
    version: 2,
    partitionId: index,
    topicId,
    replicas,
    isr: shape.isr ?? replicas,
    removingReplicas: [],
    addingReplicas: [],
    leader: shape.leader ?? (replicas[0] as number),
    leaderRecoveryState: 0,
    leaderEpoch: shape.leaderEpoch ?? 5,
    partitionEpoch: 7,
    directories: shape.directories ?? replicas.map((id) => DIRECTORIES[id] as string),
    eligibleLeaderReplicas: shape.elr ?? [],
    lastKnownElr: [],
  }
}
