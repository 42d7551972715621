/**
 * A KRaft controller as a program (Kafka's `ControllerServer` with its share of `SharedServer`).
 *
 * Boots from a formatted disk: raft client as a voter, metadata loader with the snapshot generator and the controller's own
 * registration, controller, and the listener. A process whose disk was not formatted for this node does not start. SIGTERM stops serving,
 * lets the raft client resign in order, and ends.
 */

import type { Boot, Env, Program } from '../kernel/env.js'
import { assert, UsageError } from '../kernel/errors.js'
import type { NodeName } from '../kernel/names.js'
import { nodeName } from '../kernel/names.js'
import type { NodeId } from '../kernel/units.js'
import { readBootstrapRecords, readMetaProperties } from '../kraft/format-storage.js'
import { makeAuthorizer } from '../kraft/metadata/authorizer-config.js'
import { imageToRecords } from '../kraft/metadata/image-records.js'
import { MetadataLoader, type MetadataPublisher } from '../kraft/metadata/metadata-loader.js'
import { METADATA_RECORD_CODEC } from '../kraft/metadata/record-codec.js'
import type { MetadataRecord } from '../kraft/metadata/records.js'
import { RequestAuthorizer } from '../kraft/metadata/request-authorizer.js'
import { SnapshotGenerator } from '../kraft/metadata/snapshot-generator.js'
import type { StandardAuthorizer } from '../kraft/metadata/standard-authorizer.js'
import { NOT_LEADER, RaftClient } from '../kraft/raft-client.js'
import { RaftFault } from '../kraft/raft-fault.js'
import type { Voter } from '../kraft/voter-set.js'
import type { WireMode } from '../wire/frame.js'
import { RequestClient } from '../wire/request-client.js'
import type { RequestServer } from '../wire/request-server.js'
import { serve } from '../wire/request-server.js'
import { ControllerApis } from './controller-apis.js'
import type { ControllerConfig } from './controller-config.js'
import { parseControllerConfig } from './controller-config.js'
import { ControllerRegistration } from './controller-registration.js'
import { QuorumController } from './quorum-controller.js'

export interface ControllerOptions {
  readonly nodeId: NodeId
  readonly clusterId: string
  readonly voters: readonly Voter[]
  /** server.properties: names and values; those that a controller does not read are ignored. */
  readonly config: Readonly<Record<string, unknown>>
  readonly wire?: WireMode
}

/** Kafka's raft channel reconnects after 50 to 500 ms and sends one request at a time to each node. */
const RAFT_RECONNECT_MS = 50
const RAFT_RECONNECT_MAX_MS = 500
/** How long a controller waits for the answer to its own registration. */
const REGISTRATION_TIMEOUT_MS = 5_000

/** @throws UsageError when the configuration is wrong. */
export function bootController(options: ControllerOptions): Boot {
  const { config, given, problems } = parseControllerConfig(options.config)
  if (problems.length > 0) throw new UsageError(problems)
  return (env) => new ControllerServer(env, options, config, given)
}

class ControllerServer implements Program {
  readonly #raft: RaftClient<MetadataRecord>
  readonly #registration: ControllerRegistration
  readonly #server: RequestServer

  constructor(env: Env, options: ControllerOptions, config: ControllerConfig, given: ReadonlyMap<string, string>) {
    const { nodeId, clusterId, voters, wire } = options
    const { directoryId, bootstrapRecords } = readStorage(env, options)
    const channel = (clientId: string, requestTimeoutMs: number): RequestClient =>
      new RequestClient(env, {
        clientId,
        requestTimeoutMs,
        reconnectBackoffMs: RAFT_RECONNECT_MS,
        reconnectBackoffMaxMs: RAFT_RECONNECT_MAX_MS,
        maxInFlight: 1,
        ...(wire !== undefined && { wire }),
      })
    const raftTimeoutMs = config['controller.quorum.request.timeout.ms']
    const raft = (this.#raft = new RaftClient(env, {
      nodeId,
      directoryId,
      clusterId,
      voters,
      config,
      codec: METADATA_RECORD_CODEC,
      requests: channel(`raft-client-${nodeId}`, raftTimeoutMs),
      bootstrapRequests: channel(`raft-bootstrap-${nodeId}`, raftTimeoutMs),
      alwaysFlush: true,
    }))
    const loader = new MetadataLoader(env, () => raft.highWatermark)
    const controller = new QuorumController(env, {
      nodeId,
      clusterId,
      quorum: voters.map((voter) => voter.id),
      config,
      given,
      bootstrapRecords,
      raft: raftOf(raft),
      loader,
    })
    const authorizer = makeAuthorizer(config)
    const apis = new ControllerApis({
      controller,
      clusterId,
      config,
      auth: new RequestAuthorizer(env, authorizer),
      image: () => loader.image,
      leaderId: () => raft.leader.leaderId,
      raft: (request) => raft.handle(request),
    })
    this.#registration = new ControllerRegistration(env, {
      nodeId,
      incarnationId: env.random.fork('incarnation').uuid(),
      activeController: () => leaderNode(raft),
      requests: channel(`controller-registration-${nodeId}`, REGISTRATION_TIMEOUT_MS),
    })
    loader.install(snapshotGenerator(env, raft, config), this.#registration)
    if (authorizer !== undefined) loader.install(aclPublisher(authorizer))
    raft.register(controller)
    raft.start()
    controller.opened(raft.logEndOffset)
    this.#server = serve(env, apis.handle, wire === undefined ? {} : { wire })
  }

  stop(done: () => void): void {
    this.#server.close()
    this.#registration.close()
    this.#raft.shutdown(() => done())
  }
}

/** What the disk says of this node; ends the process when it was not formatted for it, as Kafka does not start. */
function readStorage(env: Env, { nodeId, clusterId }: ControllerOptions) {
  const properties = readMetaProperties(env.disk)
  if (properties?.nodeId !== nodeId || properties.clusterId !== clusterId)
    env.halt('storage of another node, or of none')
  assert(properties !== undefined, 'controller: storage', { nodeId })
  try {
    return { directoryId: properties.directoryId, bootstrapRecords: readBootstrapRecords(env.disk) ?? [] }
  } catch (fault) {
    if (fault instanceof RaftFault) env.halt(`bootstrap records: ${fault.message}`)
    throw fault
  }
}

function raftOf(raft: RaftClient<MetadataRecord>) {
  return {
    get leader() {
      return raft.leader
    },
    get logEndOffset() {
      return raft.logEndOffset
    },
    append: (epoch: number, records: readonly MetadataRecord[]) => {
      const last = raft.scheduleAppend(epoch, records)
      return last === NOT_LEADER ? undefined : last
    },
    resign: (epoch: number) => raft.resign(epoch),
  }
}

function leaderNode(raft: RaftClient<MetadataRecord>): NodeName | undefined {
  const { leaderId } = raft.leader
  return leaderId < 0 ? undefined : nodeName(leaderId)
}

/** Committed ACLs count from when they are replayed (Kafka's `AclPublisher`). */
function aclPublisher(authorizer: StandardAuthorizer): MetadataPublisher {
  return { name: 'AclPublisher', onMetadataUpdate: (_delta, image) => authorizer.setAcls(image.acls) }
}

function snapshotGenerator(env: Env, raft: RaftClient<MetadataRecord>, config: ControllerConfig): SnapshotGenerator {
  return new SnapshotGenerator(env, {
    maxBytes: config['metadata.log.max.record.bytes.between.snapshots'],
    maxIntervalMs: config['metadata.log.max.snapshot.interval.ms'],
    write: (image, timestamp) => {
      const id = { offset: image.offset + 1, epoch: image.epoch, lastContainedLogTimestamp: timestamp }
      raft.createSnapshot(id, imageToRecords(image))
    },
  })
}
