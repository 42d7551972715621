/**
 * What a cluster is built from: nodes, settings under Kafka's names, topics, network. Plain data.
 */

import type { Micros, NodeId } from '../kernel/units.js'

/** Settings under Kafka's names, as the user wrote them. */
export type RawConfig = Readonly<Record<string, string | number | boolean | readonly string[]>>

export type ClusterMode = 'kraft' | 'zookeeper'

export interface EnsembleSpec {
  readonly servers: number
  /** zoo.cfg names, for every server. */
  readonly config: RawConfig
}

export interface ClusterSpec {
  readonly mode: ClusterMode
  readonly brokers: number
  /** 0 in ZooKeeper mode, where one of the brokers is the controller. */
  readonly controllers: number
  /** Servers of the ensemble; none in KRaft mode. */
  readonly zookeeper: EnsembleSpec
  /** server.properties names, for every broker and controller. */
  readonly config: RawConfig
  /** Settings of single nodes, over `config`: `{ b1: { 'log.segment.bytes': 1024 } }`. */
  readonly nodes: Readonly<Record<string, RawConfig>>
  readonly racks: Readonly<Record<string, string>>
  readonly topics: Readonly<Record<string, TopicSpec>>
  /** Feature levels by name, such as `eligible.leader.replicas.version: 0`; the rest as in a new cluster. */
  readonly features: Readonly<Record<string, number>>
  readonly network: NetworkSpec
  /** ACLs that are there before clients start, as `acl-text.ts` reads them: `allow alice read topic orders`. */
  readonly acls?: readonly string[]
}

export interface TopicSpec {
  /** Manual assignment: one list of broker ids a partition. */
  readonly replicas?: readonly (readonly NodeId[])[]
  readonly partitions?: number
  readonly replicationFactor?: number
  readonly config: RawConfig
}

export interface NetworkSpec {
  /** One-way latency between nodes; the default is that of one data centre. */
  readonly latency?: { readonly from: Micros; readonly to: Micros }
  /** Bytes a second of each link; unlimited when missing. */
  readonly bandwidth?: number
}
