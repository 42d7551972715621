/**
 * A broker's replica of the metadata log (`SharedServer`): the raft client as observer, the loader that replays what is
 * committed, and the generator of snapshots. Here a broker also learns who the active controller is.
 */

import type { Env } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import type { Millis, NodeId } from '../kernel/units.js'
import { imageToRecords } from '../kraft/metadata/image-records.js'
import type { MetadataImage } from '../kraft/metadata/image.js'
import { MetadataLoader } from '../kraft/metadata/metadata-loader.js'
import { METADATA_RECORD_CODEC } from '../kraft/metadata/record-codec.js'
import { SnapshotGenerator } from '../kraft/metadata/snapshot-generator.js'
import type { QuorumConfig } from '../kraft/quorum-config.js'
import { RaftClient } from '../kraft/raft-client.js'
import type { Voter } from '../kraft/voter-set.js'
import type { WireMode } from '../wire/frame.js'
import { RequestClient } from '../wire/request-client.js'

export interface BrokerRaftOptions {
  readonly brokerId: NodeId
  readonly directoryId: string
  readonly clusterId: string
  readonly voters: readonly Voter[]
  readonly config: QuorumConfig
  readonly connectionSetupTimeoutMs: Millis
  readonly wire?: WireMode
}

export class BrokerRaft {
  readonly client: RaftClient
  readonly loader: MetadataLoader

  constructor(env: Env, options: BrokerRaftOptions) {
    const { brokerId, directoryId, clusterId, voters, config, wire } = options
    // Kafka keeps the connections to bootstrap servers apart, so that a long poll on one holds up no search for the leader.
    const channel = (clientId: string): RequestClient =>
      new RequestClient(env, {
        clientId,
        requestTimeoutMs: config['controller.quorum.request.timeout.ms'],
        reconnectBackoffMs: 50,
        reconnectBackoffMaxMs: 500,
        connectionSetupTimeoutMs: options.connectionSetupTimeoutMs,
        maxInFlight: 1,
        ...(wire !== undefined && { wire }),
      })
    this.client = new RaftClient(env, {
      nodeId: brokerId,
      directoryId,
      clusterId,
      voters,
      config,
      codec: METADATA_RECORD_CODEC,
      requests: channel(`raft-client-${brokerId}`),
      bootstrapRequests: channel(`raft-bootstrap-${brokerId}`),
    })
    this.loader = new MetadataLoader(env, () => this.client.highWatermark)
    const snapshots = new SnapshotGenerator(env, {
      maxBytes: config['metadata.log.max.record.bytes.between.snapshots'],
      maxIntervalMs: config['metadata.log.max.snapshot.interval.ms'],
      write: (image, timestamp) => this.#writeSnapshot(image, timestamp),
    })
    this.loader.install(snapshots)
  }

  start(): void {
    this.client.start()
    this.client.register(this.loader)
  }

  /** The node of the active controller as raft knows it. */
  controller(): NodeName | undefined {
    return this.client.voterNode(this.client.leader.leaderId)
  }

  #writeSnapshot(image: MetadataImage, lastContainedLogTimestamp: Millis): void {
    const id = { offset: image.offset + 1, epoch: image.epoch, lastContainedLogTimestamp }
    this.client.createSnapshot(id, imageToRecords(image))
  }
}
