/**
 * Where Kafka keeps what in ZooKeeper, and how it writes it (`ZkData` of Kafka 3.9).
 *
 *     /controller                               {version 2, brokerid, timestamp, kraftControllerEpoch}   ephemeral
 *     /controller_epoch                         a number as text; every write of a controller checks its version
 *     /brokers/ids/1                            {version 5, host, port, endpoints, …}   ephemeral; czxid is the broker epoch (KIP-380)
 *     /brokers/topics/T                         {version 3, topic_id, partitions, adding_replicas, removing_replicas}
 *     /brokers/topics/T/partitions/0/state      {version 1, leader, leader_epoch, controller_epoch, isr, leader_recovery_state}
 *     /brokers/seqid                            its version counts generated broker ids
 *     /isr_change_notification/isr_change_N     {version 1, partitions}   from brokers that change the ISR themselves
 *     /log_dir_event_notification/log_dir_event_N  {version 1, broker, event 1}
 *     /admin/reassign_partitions                {version 1, partitions: [{topic, partition, replicas}]}
 *     /admin/preferred_replica_election         {version 1, partitions: [{topic, partition}]}
 *     /admin/delete_topics/T                    exists while T is being deleted
 *     /config/topics/T, /config/brokers/1, /config/brokers/<default>   {version 1, config}
 *     /config/changes/config_change_N           {version 2, entity_path}   tells brokers to read again; purged after 15 minutes
 *     /latest_producer_id_block                 {version 1, broker, block_start, block_end}
 *     /cluster/id                               {version 1, id}
 *     /feature                                  {version 2, status, features}
 *
 * Bodies are JSON in UTF-8. Reading gives undefined for what is no JSON, as Kafka does; fields that an older version lacks have their defaults.
 */

import { partitionName } from '../../kernel/names.js'
import type { Epoch, Millis, NodeId } from '../../kernel/units.js'
import type { Stat } from '../api.js'

/** No leader, and none wanted: the topic is being deleted. */
export const NO_LEADER: NodeId = -1
export const LEADER_DURING_DELETE: NodeId = -2
export const NO_EPOCH: Epoch = -1
/** Instead of a leader epoch, which does not grow when a topic is deleted. */
export const EPOCH_DURING_DELETE: Epoch = -2
export const INITIAL_LEADER_EPOCH: Epoch = 0
/** Version of a partition's state znode before anything was written over it. */
export const INITIAL_PARTITION_EPOCH = 0

export const Path = {
  controller: '/controller',
  controllerEpoch: '/controller_epoch',
  brokerIds: '/brokers/ids',
  brokerId: (id: NodeId): string => `/brokers/ids/${id}`,
  topics: '/brokers/topics',
  topic: (topic: string): string => `/brokers/topics/${topic}`,
  partitions: (topic: string): string => `/brokers/topics/${topic}/partitions`,
  partition: (topic: string, index: number): string => `/brokers/topics/${topic}/partitions/${index}`,
  state: (topic: string, index: number): string => `/brokers/topics/${topic}/partitions/${index}/state`,
  isrChanges: '/isr_change_notification',
  isrChange: '/isr_change_notification/isr_change_',
  logDirEvents: '/log_dir_event_notification',
  logDirEvent: '/log_dir_event_notification/log_dir_event_',
  reassignPartitions: '/admin/reassign_partitions',
  preferredElection: '/admin/preferred_replica_election',
  deleteTopics: '/admin/delete_topics',
  deleteTopic: (topic: string): string => `/admin/delete_topics/${topic}`,
  configs: (type: ConfigEntity): string => `/config/${type}`,
  config: (type: ConfigEntity, name: string): string => `/config/${type}/${name}`,
  configChanges: '/config/changes',
  configChange: '/config/changes/config_change_',
  producerIdBlock: '/latest_producer_id_block',
  clusterId: '/cluster/id',
  feature: '/feature',
} as const

/** Made by every broker that starts (`ZkData.PersistentZkPaths`). */
export const PERSISTENT_PATHS: readonly string[] = [
  '/consumers',
  Path.brokerIds,
  Path.topics,
  Path.configChanges,
  Path.deleteTopics,
  '/brokers/seqid',
  Path.isrChanges,
  Path.producerIdBlock,
  Path.logDirEvents,
  Path.configs('topics'),
  Path.configs('clients'),
  Path.configs('users'),
  Path.configs('brokers'),
  Path.configs('ips'),
]

export type ConfigEntity = 'topics' | 'brokers' | 'clients' | 'users' | 'ips'
/** The settings of all brokers. */
export const DEFAULT_ENTITY = '<default>'

/** A partition, with its name `orders-0` at hand. */
export interface TopicPartition {
  readonly topic: string
  readonly index: number
  readonly name: string
}

export function topicPartition(topic: string, index: number): TopicPartition {
  return { topic, index, name: partitionName(topic, index) }
}

/** 1: elected uncleanly, and not recovered yet (KIP-704). */
export type LeaderRecoveryState = 0 | 1

/** What a partition's state znode says, with the znode's version as partition epoch. */
export interface LeaderAndIsr {
  readonly leader: NodeId
  readonly leaderEpoch: Epoch
  readonly isr: readonly NodeId[]
  readonly leaderRecoveryState: LeaderRecoveryState
  readonly partitionEpoch: number
}

/** With the epoch of the controller that decided it. */
export interface LeadershipInfo {
  readonly leaderAndIsr: LeaderAndIsr
  readonly controllerEpoch: Epoch
}

/** Replicas of a partition; while it is reassigned they are target + removing (KIP-455). */
export interface ReplicaAssignment {
  readonly replicas: readonly NodeId[]
  readonly adding: readonly NodeId[]
  readonly removing: readonly NodeId[]
}

export interface TopicZnode {
  readonly topicId: string | undefined
  readonly assignment: ReadonlyMap<number, ReplicaAssignment>
}

export interface BrokerZnode {
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

export interface ProducerIdBlock {
  readonly broker: NodeId
  readonly first: number
  readonly last: number
}

export type PartitionReplicas = ReadonlyMap<string, TopicPartition & { readonly replicas: readonly NodeId[] }>

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function encodeText(text: string): Uint8Array {
  return encoder.encode(text)
}

export function decodeText(data: Uint8Array): string {
  return decoder.decode(data)
}

function encode(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value))
}

type Json = Readonly<Record<string, unknown>>

function decode(data: Uint8Array | null): Json | undefined {
  if (data === null) return undefined
  try {
    const value: unknown = JSON.parse(decoder.decode(data))
    return typeof value === 'object' && value !== null ? (value as Json) : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

export const ControllerZnode = {
  encode: (brokerId: NodeId, timestamp: Millis): Uint8Array =>
    encode({ version: 2, brokerid: brokerId, timestamp: String(timestamp), kraftControllerEpoch: -1 }),
  decode: (data: Uint8Array | null): NodeId | undefined => decode(data)?.['brokerid'] as NodeId | undefined,
} as const

export const BrokerIdZnode = {
  encode: (broker: BrokerZnode, timestamp: Millis): Uint8Array =>
    encode({
      version: 5,
      host: broker.host,
      port: broker.port,
      endpoints: [`PLAINTEXT://${broker.host}:${broker.port}`],
      jmx_port: -1,
      timestamp: String(timestamp),
      ...(broker.rack !== null && { rack: broker.rack }),
      listener_security_protocol_map: { PLAINTEXT: 'PLAINTEXT' },
      features: {},
    }),
  decode: (data: Uint8Array | null): BrokerZnode | undefined => {
    const json = decode(data)
    if (json === undefined) return undefined
    return { host: json['host'] as string, port: json['port'] as number, rack: (json['rack'] as string) ?? null }
  },
} as const

export const TopicZnode = {
  encode: (topic: TopicZnode): Uint8Array => {
    const lists = (pick: (assignment: ReplicaAssignment) => readonly NodeId[], always: boolean): Json => {
      const entries = [...topic.assignment].map(([index, one]) => [String(index), pick(one)] as const)
      return Object.fromEntries(entries.filter(([, list]) => always || list.length > 0))
    }
    return encode({
      version: 3,
      ...(topic.topicId !== undefined && { topic_id: topic.topicId }),
      partitions: lists((one) => one.replicas, true),
      adding_replicas: lists((one) => one.adding, false),
      removing_replicas: lists((one) => one.removing, false),
    })
  },
  decode: (data: Uint8Array | null): TopicZnode => {
    const json = decode(data)
    const adding = (json?.['adding_replicas'] ?? {}) as Readonly<Record<string, readonly NodeId[]>>
    const removing = (json?.['removing_replicas'] ?? {}) as Readonly<Record<string, readonly NodeId[]>>
    const partitions = Object.entries((json?.['partitions'] ?? {}) as Readonly<Record<string, readonly NodeId[]>>)
    const assignment = partitions
      .map(([index, replicas]): [number, ReplicaAssignment] => [
        Number(index),
        { replicas, adding: adding[index] ?? [], removing: removing[index] ?? [] },
      ])
      .sort(([a], [b]) => a - b)
    return { topicId: json?.['topic_id'] as string | undefined, assignment: new Map(assignment) }
  },
} as const

export const StateZnode = {
  encode: ({ leaderAndIsr, controllerEpoch }: LeadershipInfo): Uint8Array =>
    encode({
      version: 1,
      leader: leaderAndIsr.leader,
      leader_epoch: leaderAndIsr.leaderEpoch,
      controller_epoch: controllerEpoch,
      isr: leaderAndIsr.isr,
      ...(leaderAndIsr.leaderRecoveryState !== 0 && { leader_recovery_state: leaderAndIsr.leaderRecoveryState }),
    }),
  decode: (data: Uint8Array | null, stat: Stat): LeadershipInfo | undefined => {
    const json = decode(data)
    if (json === undefined) return undefined
    return {
      leaderAndIsr: {
        leader: json['leader'] as NodeId,
        leaderEpoch: json['leader_epoch'] as Epoch,
        isr: json['isr'] as readonly NodeId[],
        leaderRecoveryState: json['leader_recovery_state'] === 1 ? 1 : 0,
        partitionEpoch: stat.version,
      },
      controllerEpoch: json['controller_epoch'] as Epoch,
    }
  },
} as const

export const ConfigZnode = {
  encode: (config: ReadonlyMap<string, string>): Uint8Array =>
    encode({ version: 1, config: Object.fromEntries([...config].sort(byName)) }),
  decode: (data: Uint8Array | null): ReadonlyMap<string, string> =>
    new Map(Object.entries((decode(data)?.['config'] ?? {}) as Readonly<Record<string, string>>)),
} as const

export const ConfigChangeZnode = {
  /** `topics/orders`, `brokers/1`. */
  encode: (entityPath: string): Uint8Array => encode({ version: 2, entity_path: entityPath }),
  decode: (data: Uint8Array | null): string | undefined => decode(data)?.['entity_path'] as string | undefined,
} as const

/** Partitions without more: ISR changes, preferred elections. */
export const PartitionsZnode = {
  encode: (partitions: Iterable<TopicPartition>): Uint8Array =>
    encode({ version: 1, partitions: [...partitions].map(({ topic, index }) => ({ topic, partition: index })) }),
  decode: (data: Uint8Array | null): readonly TopicPartition[] => {
    const list = (decode(data)?.['partitions'] ?? []) as readonly { topic: string; partition: number }[]
    return list.map(({ topic, partition }) => topicPartition(topic, partition))
  },
} as const

export const ReassignmentZnode = {
  encode: (reassignments: PartitionReplicas): Uint8Array => {
    const partitions = [...reassignments.values()].map(({ topic, index, replicas }) => ({
      topic,
      partition: index,
      replicas,
    }))
    return encode({ version: 1, partitions })
  },
  decode: (data: Uint8Array | null): PartitionReplicas => {
    type Entry = { topic: string; partition: number; replicas: readonly NodeId[] }
    const list = (decode(data)?.['partitions'] ?? []) as readonly Entry[]
    return new Map(
      list.map(({ topic, partition, replicas }) => [
        partitionName(topic, partition),
        { ...topicPartition(topic, partition), replicas },
      ]),
    )
  },
} as const

export const LogDirEventZnode = {
  encode: (broker: NodeId): Uint8Array => encode({ version: 1, broker, event: 1 }),
  decode: (data: Uint8Array | null): NodeId | undefined => decode(data)?.['broker'] as NodeId | undefined,
} as const

export const ProducerIdBlockZnode = {
  encode: ({ broker, first, last }: ProducerIdBlock): Uint8Array =>
    encode({ version: 1, broker, block_start: String(first), block_end: String(last) }),
  decode: (data: Uint8Array | null): ProducerIdBlock | undefined => {
    const json = decode(data)
    if (json === undefined) return undefined
    return {
      broker: json['broker'] as NodeId,
      first: Number(json['block_start'] as string),
      last: Number(json['block_end'] as string),
    }
  },
} as const

export const ClusterIdZnode = {
  encode: (id: string): Uint8Array => encode({ version: '1', id }),
  decode: (data: Uint8Array | null): string | undefined => decode(data)?.['id'] as string | undefined,
} as const

export const FeatureZnode = {
  /** Kafka 3.9 finalises no features in ZooKeeper mode. `status` 0: feature versioning is off (before 2.7), 1: on. */
  encode: (status: 0 | 1): Uint8Array => encode({ version: 2, status, features: {} }),
  decodeStatus: (data: Uint8Array | null): 0 | 1 => (decode(data)?.['status'] === 1 ? 1 : 0),
} as const

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : a > b ? 1 : 0
}
