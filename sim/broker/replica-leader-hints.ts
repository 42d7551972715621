/**
 * Who leads a partition now, told together with an error that says that it is not this broker, so that the client need
 * not ask for metadata first (KIP-951; Kafka's `KafkaApis.getCurrentLeader`).
 */

import type { Epoch, NodeId } from '../kernel/units.js'
import type { MetadataImage } from '../kraft/metadata/image.js'
import type { ReplicaRegistry } from './replica-registry.js'

export interface LeaderIdAndEpoch {
  readonly leaderId: NodeId
  readonly leaderEpoch: Epoch
}

export interface NodeEndpoint {
  readonly nodeId: NodeId
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

export const NO_CURRENT_LEADER: LeaderIdAndEpoch = { leaderId: -1, leaderEpoch: -1 }

const NO_ENDPOINTS: readonly NodeEndpoint[] = []

/** Collects the leaders named in one response, and where they are. */
export class CollectedLeaders {
  readonly #registry: ReplicaRegistry
  readonly #metadata: () => MetadataImage
  #endpoints: NodeEndpoint[] | undefined

  constructor(registry: ReplicaRegistry, metadata: () => MetadataImage) {
    this.#registry = registry
    this.#metadata = metadata
  }

  /** Brokers that are alive among those named, each once. */
  get endpoints(): readonly NodeEndpoint[] {
    return this.#endpoints ?? NO_ENDPOINTS
  }

  /** As this broker's replica knows it, else as metadata does. */
  leaderOf(topic: string, index: number): LeaderIdAndEpoch {
    const image = this.#metadata()
    const partition = this.#registry.find(topic, index) ?? image.topicsByName.get(topic)?.partitions.get(index)
    if (partition === undefined) return NO_CURRENT_LEADER
    const { leader, leaderEpoch } = partition
    const broker = image.brokers.get(leader)
    if (broker !== undefined && !broker.fenced) {
      const endpoints = (this.#endpoints ??= [])
      if (!endpoints.some((endpoint) => endpoint.nodeId === leader)) {
        endpoints.push({ nodeId: leader, host: broker.host, port: broker.port, rack: broker.rack })
      }
    }
    return { leaderId: leader, leaderEpoch }
  }
}
