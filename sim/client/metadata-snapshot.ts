/**
 * What a client knows of the cluster at one moment: brokers, topics, partitions and their leaders (Kafka's MetadataSnapshot
 * and Cluster). Immutable; views that need work are made when first asked for.
 *
 * Before the first metadata response it holds the bootstrap servers, under the ids -1, -2, … in the order given.
 */

import type { NodeName } from '../kernel/names.js'
import type { Epoch, NodeId } from '../kernel/units.js'
import type { ErrorCode } from '../wire/errors.js'

export interface ClusterNode {
  readonly id: NodeId
  /** Host name, which is the node's name. */
  readonly host: NodeName
  /** broker.rack, where it is known. */
  readonly rack?: string | null
}

export interface PartitionMetadata {
  readonly topic: string
  readonly index: number
  /** `orders-0`. */
  readonly name: string
  readonly error: ErrorCode
  /** -1: none. */
  readonly leader: NodeId
  /** -1: not known. */
  readonly leaderEpoch: Epoch
  readonly replicas: readonly NodeId[]
  readonly isr: readonly NodeId[]
  readonly offline: readonly NodeId[]
}

const NO_TOPICS: ReadonlySet<string> = new Set()
const NO_PARTITIONS: readonly PartitionMetadata[] = []

export class MetadataSnapshot {
  readonly clusterId: string | null
  readonly nodes: ReadonlyMap<NodeId, ClusterNode>
  /** Partitions of each topic, by index. A topic without partitions is not here. */
  readonly topics: ReadonlyMap<string, readonly PartitionMetadata[]>
  readonly topicIds: ReadonlyMap<string, string>
  readonly controllerId: NodeId
  /** Topics whose name the brokers refused. */
  readonly invalidTopics: ReadonlySet<string>
  /** Topics that the client may not know of. */
  readonly unauthorizedTopics: ReadonlySet<string>
  /** True until the first metadata response. */
  readonly isBootstrap: boolean
  readonly nodeList: readonly ClusterNode[]
  #byLeader: Map<NodeId, PartitionMetadata[]> | undefined
  #available: Map<string, readonly PartitionMetadata[]> | undefined
  #topicNames: Map<string, string> | undefined

  constructor(fields: {
    clusterId: string | null
    nodes: ReadonlyMap<NodeId, ClusterNode>
    topics: ReadonlyMap<string, readonly PartitionMetadata[]>
    topicIds: ReadonlyMap<string, string>
    controllerId: NodeId
    invalidTopics: ReadonlySet<string>
    unauthorizedTopics?: ReadonlySet<string>
    isBootstrap?: boolean
  }) {
    this.clusterId = fields.clusterId
    this.nodes = fields.nodes
    this.topics = fields.topics
    this.topicIds = fields.topicIds
    this.controllerId = fields.controllerId
    this.invalidTopics = fields.invalidTopics
    this.unauthorizedTopics = fields.unauthorizedTopics ?? NO_TOPICS
    this.isBootstrap = fields.isBootstrap ?? false
    this.nodeList = [...fields.nodes.values()]
  }

  /** The snapshot of a client that knows its bootstrap servers only. */
  static bootstrap(servers: readonly NodeName[]): MetadataSnapshot {
    const nodes = new Map<NodeId, ClusterNode>()
    servers.forEach((host, i) => nodes.set(-1 - i, { id: -1 - i, host }))
    return new MetadataSnapshot({
      clusterId: null,
      nodes,
      topics: new Map(),
      topicIds: new Map(),
      controllerId: -1,
      invalidTopics: new Set(),
      isBootstrap: true,
    })
  }

  partitionsOf(topic: string): readonly PartitionMetadata[] {
    return this.topics.get(topic) ?? NO_PARTITIONS
  }

  partition(topic: string, index: number): PartitionMetadata | undefined {
    const partitions = this.topics.get(topic)
    if (partitions === undefined) return undefined
    const here = partitions[index]
    return here?.index === index ? here : partitions.find((partition) => partition.index === index)
  }

  /** The leader's node, when there is a leader and its address is known. */
  leaderOf(partition: PartitionMetadata): ClusterNode | undefined {
    return partition.leader < 0 ? undefined : this.nodes.get(partition.leader)
  }

  /** Partitions led by `node`, in the order of the metadata. */
  ledBy(node: NodeId): readonly PartitionMetadata[] {
    if (this.#byLeader === undefined) {
      this.#byLeader = new Map()
      for (const partitions of this.topics.values()) {
        for (const partition of partitions) {
          if (this.leaderOf(partition) === undefined) continue
          const led = this.#byLeader.get(partition.leader)
          if (led === undefined) this.#byLeader.set(partition.leader, [partition])
          else led.push(partition)
        }
      }
    }
    return this.#byLeader.get(node) ?? NO_PARTITIONS
  }

  /** Partitions of `topic` that have a leader. */
  availableOf(topic: string): readonly PartitionMetadata[] {
    this.#available ??= new Map()
    let available = this.#available.get(topic)
    if (available === undefined) {
      available = this.partitionsOf(topic).filter((partition) => this.leaderOf(partition) !== undefined)
      this.#available.set(topic, available)
    }
    return available
  }

  /** The topic's name by its id. */
  topicName(id: string): string | undefined {
    if (this.#topicNames === undefined) {
      this.#topicNames = new Map()
      for (const [name, topicId] of this.topicIds) this.#topicNames.set(topicId, name)
    }
    return this.#topicNames.get(id)
  }
}
