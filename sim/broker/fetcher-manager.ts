/**
 * The fetchers of a broker: `num.replica.fetchers` for each broker that it follows (Kafka's `ReplicaFetcherManager`).
 *
 * A partition is in one fetcher at most: that of its leader, chosen among them by the hash of its name. Fetchers are
 * made when they get their first partition and closed by `closeIdle` when they have none left.
 */

import type { DiskError, Env } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import type { Epoch, NodeId } from '../kernel/units.js'
import type { MetadataImage } from '../kraft/metadata/image.js'
import type { RequestClient } from '../wire/request-client.js'
import { type InitialFetchState, ReplicaFetcher } from './fetcher.js'
import type { FetcherState } from './fetcher-state.js'
import type { Partition } from './partition.js'
import type { BrokerReplicationConfig } from './replica-config.js'

export interface FetcherManagerOptions {
  readonly brokerId: NodeId
  readonly brokerEpoch: () => Epoch
  readonly config: BrokerReplicationConfig
  /** A client of its own for each fetcher. */
  readonly requests: () => RequestClient
  readonly metadata: () => MetadataImage
  readonly onStorageError: (partition: Partition, error: DiskError) => void
}

/** A partition to fetch, and from whom. */
export interface FetchAssignment extends InitialFetchState {
  readonly leader: NodeId
  readonly leaderNode: NodeName
}

export class FetcherManager {
  readonly #env: Env
  readonly #options: FetcherManagerOptions
  readonly #fetchers = new Map<string, ReplicaFetcher>()
  readonly #failed = new Set<string>()

  constructor(env: Env, options: FetcherManagerOptions) {
    this.#env = env
    this.#options = options
  }

  /** Partitions that are no longer fetched because of an error; a new leader epoch takes them up again. */
  get failedPartitions(): ReadonlySet<string> {
    return this.#failed
  }

  get fetcherCount(): number {
    return this.#fetchers.size
  }

  /** Where replication of a partition stands; undefined when it is not fetched. */
  stateOf(name: string): FetcherState | undefined {
    for (const fetcher of this.#fetchers.values()) {
      const state = fetcher.state(name)
      if (state !== undefined) return state
    }
    return undefined
  }

  add(assignments: readonly FetchAssignment[]): void {
    const groups = new Map<string, FetchAssignment[]>()
    for (const assignment of assignments) {
      const key = `${assignment.leader}/${this.#fetcherId(assignment.partition)}`
      const group = groups.get(key)
      if (group === undefined) groups.set(key, [assignment])
      else group.push(assignment)
    }
    for (const [key, group] of groups) this.#fetcher(key, group[0] as FetchAssignment).add(group)
  }

  addFailed(name: string): void {
    this.#failed.add(name)
  }

  remove(names: Iterable<string>): void {
    for (const name of names) {
      for (const fetcher of this.#fetchers.values()) fetcher.remove(name)
      this.#failed.delete(name)
    }
  }

  closeIdle(): void {
    for (const [key, fetcher] of this.#fetchers) {
      if (fetcher.size > 0) continue
      fetcher.shutdown()
      this.#fetchers.delete(key)
    }
  }

  shutdown(): void {
    for (const fetcher of this.#fetchers.values()) fetcher.shutdown()
    this.#fetchers.clear()
  }

  #fetcher(key: string, { leader, leaderNode }: FetchAssignment): ReplicaFetcher {
    const known = this.#fetchers.get(key)
    if (known?.leaderNode === leaderNode) return known
    known?.shutdown()
    const { brokerId, brokerEpoch, config, requests, metadata, onStorageError } = this.#options
    const fetcher = new ReplicaFetcher(this.#env, {
      brokerId,
      brokerEpoch,
      config,
      leader,
      leaderNode,
      requests: requests(),
      metadata,
      failed: this.#failed,
      onStorageError,
    })
    this.#fetchers.set(key, fetcher)
    return fetcher
  }

  #fetcherId(partition: Partition): number {
    const hash = (Math.imul(31, javaHash(partition.topic)) + partition.index) | 0
    return (hash === -0x8000_0000 ? 0 : Math.abs(hash)) % this.#options.config['num.replica.fetchers']
  }
}

/** `String.hashCode`. */
function javaHash(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(31, hash) + text.charCodeAt(i)) | 0
  return hash
}
