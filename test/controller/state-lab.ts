/**
 * The controller's state without a quorum, for tests: every decision is applied at once, as if its records had been committed.
 *
 * Brokers are numbers, partitions are written `foo-0`. `decide` applies records and gives the answer, or the error of a refusal.
 */

import { assert } from '../../sim/kernel/errors.js'
import { parsePartition } from '../../sim/kernel/names.js'
import { Random } from '../../sim/kernel/random.js'
import type { PartitionImage } from '../../sim/kraft/metadata/image.js'
import { EMPTY_IMAGE } from '../../sim/kraft/metadata/image.js'
import { MetadataDelta } from '../../sim/kraft/metadata/metadata-delta.js'
import type { MetadataImage } from '../../sim/kraft/metadata/image.js'
import {
  defaultFeatureLevels,
  LATEST_METADATA_VERSION,
  parseMetadataVersion,
  SUPPORTED_FEATURES,
} from '../../sim/kraft/metadata/metadata-version.js'
import type { MetadataRecord } from '../../sim/kraft/metadata/records.js'
import { configRecord, featureLevelRecord, RESOURCE_BROKER } from '../../sim/kraft/metadata/records.js'
import { errorName } from '../../sim/wire/errors.js'
import type { AlterPartitionRequestPartitionData } from '../../sim/wire/messages/alter-partition.js'
import type { CreatableTopic } from '../../sim/wire/messages/create-topics.js'
import { alterPartition } from '../../sim/controller/alter-partition.js'
import type { HeartbeatReply } from '../../sim/controller/broker-transitions.js'
import { brokerShutdown, processBrokerHeartbeat } from '../../sim/controller/broker-transitions.js'
import { parseControllerConfig } from '../../sim/controller/controller-config.js'
import type { Decision } from '../../sim/controller/controller-result.js'
import { ControllerState } from '../../sim/controller/controller-state.js'
import { electLeaders } from '../../sim/controller/leader-elections.js'
import { alterPartitionReassignments } from '../../sim/controller/reassignment-control.js'
import { createTopics } from '../../sim/controller/topic-creation.js'

export const CLUSTER_ID = 'Sj7yjkQ2SJuMBNDJ0iYbyg'
export const CONTROLLER_ID = 3001

export interface LabOptions {
  /** Default true. */
  readonly elr?: boolean
  /** `3.5`; default the newest. */
  readonly version?: string
  readonly config?: Readonly<Record<string, unknown>>
  readonly seed?: string
}

export class StateLab {
  readonly state: ControllerState
  readonly #incarnations = new Random('incarnations')
  /** What a node that replays the log knows: must always agree with the state. */
  image: MetadataImage = EMPTY_IMAGE
  nowMs = 0
  nextOffset = 0
  /** Records of the latest decision. */
  records: readonly MetadataRecord[] = []

  constructor(options: LabOptions = {}) {
    const clock = { wallMs: () => this.nowMs, monotonicMs: () => this.nowMs }
    const { config, given, problems } = parseControllerConfig(options.config ?? {})
    assert(problems.length === 0, 'lab: config', { problems })
    this.state = new ControllerState(
      { clock, random: new Random(options.seed ?? 'lab') },
      { nodeId: CONTROLLER_ID, clusterId: CLUSTER_ID, quorum: [CONTROLLER_ID], config, given },
    )
    const version = options.version === undefined ? LATEST_METADATA_VERSION : parseMetadataVersion(options.version)
    const features = [...defaultFeatureLevels(version)].map(([name, level]) => featureLevelRecord(name, level))
    const elr = (options.elr ?? true) && version.featureLevel >= 26
    this.apply(features.filter((record) => elr || record.name !== 'eligible.leader.replicas.version'))
    this.apply([configRecord(RESOURCE_BROKER, '', 'min.insync.replicas', String(this.state.configs.staticMinIsr))])
    this.state.cluster.activate()
  }

  apply(records: readonly MetadataRecord[]): void {
    const delta = new MetadataDelta(this.image)
    for (const record of records) {
      delta.replay(record, this.nextOffset, 1)
      this.state.replay(record, this.nextOffset++)
    }
    this.image = delta.apply()
  }

  /** Applies the decision; its answer, or the name of the error that refuses it. */
  decide<T>(decision: Decision<T>): T | string {
    if ('refused' in decision) {
      this.records = []
      return errorName(decision.refused.error)
    }
    this.records = decision.records
    this.apply(decision.records)
    return decision.response
  }

  // ── brokers ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Registers a broker; its epoch, or the error. */
  register(
    broker: number,
    options: { incarnation?: string; previousEpoch?: number; rack?: string; logDirs?: string[] } = {},
  ): number | string {
    return this.decide(
      this.state.cluster.registerBroker(
        {
          brokerId: broker,
          clusterId: CLUSTER_ID,
          incarnationId: options.incarnation ?? this.#incarnations.uuid(),
          listeners: [{ name: 'PLAINTEXT', host: `b${broker}`, port: 9092, securityProtocol: 0 }],
          features: [...SUPPORTED_FEATURES].map(([name, { min, max }]) => ({
            name,
            minSupportedVersion: min,
            maxSupportedVersion: max,
          })),
          rack: options.rack ?? null,
          isMigratingZkBroker: false,
          logDirs: options.logDirs ?? [directoryOf(broker)],
          previousBrokerEpoch: options.previousEpoch ?? -1,
        },
        this.nextOffset,
        true,
        (id, clean, records) => brokerShutdown(this.state, id, clean, records),
      ),
    )
  }

  /** Another run of a registered broker, after the old session has ended. */
  restart(broker: number, how: 'clean' | 'unclean'): number | string {
    this.nowMs += 10_000
    return this.register(broker, how === 'clean' ? { previousEpoch: this.epoch(broker) } : {})
  }

  epoch(broker: number): number {
    const registration = this.state.cluster.brokers.get(broker)
    assert(registration, 'lab: broker is not registered', { broker })
    return registration.epoch
  }

  heartbeat(
    broker: number,
    wish: { wantFence?: boolean; wantShutDown?: boolean; offset?: number; offlineLogDirs?: string[] } = {},
  ): HeartbeatReply | string {
    const { cluster } = this.state
    const brokerEpoch = this.epoch(broker)
    cluster.trackHeartbeat(broker, brokerEpoch)
    const reply = this.decide(
      processBrokerHeartbeat(
        this.state,
        {
          brokerId: broker,
          brokerEpoch,
          currentMetadataOffset: wish.offset ?? this.nextOffset - 1,
          wantFence: wish.wantFence ?? false,
          wantShutDown: wish.wantShutDown ?? false,
          offlineLogDirs: wish.offlineLogDirs ?? [],
        },
        cluster.registrationOffset(broker),
      ),
    )
    if (typeof reply !== 'string' && reply.inControlledShutdown) {
      cluster.heartbeats.setControlledShutdownOffset(broker, this.nextOffset - 1)
    }
    return reply
  }

  unfence(...brokers: number[]): void {
    for (const broker of brokers) this.heartbeat(broker)
  }

  fence(...brokers: number[]): void {
    for (const broker of brokers) this.heartbeat(broker, { wantFence: true })
  }

  /** Registers brokers and unfences them. */
  start(...brokers: number[]): void {
    for (const broker of brokers) this.register(broker)
    this.unfence(...brokers)
  }

  // ── topics ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Creates a topic with these replicas a partition; the error's name, or NONE. */
  create(
    name: string,
    assignments: readonly (readonly number[])[],
    configs: Readonly<Record<string, string>> = {},
  ): string {
    return this.createTopic({
      name,
      numPartitions: -1,
      replicationFactor: -1,
      assignments: assignments.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds })),
      configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
    })
  }

  createTopic(topic: CreatableTopic): string {
    const response = this.decide(createTopics(this.state, { topics: [topic], timeoutMs: 1_000, validateOnly: false }))
    return typeof response === 'string' ? response : errorName(response.topics[0]?.errorCode ?? -1)
  }

  topicId(name: string): string {
    const topic = this.state.topics.byName.get(name)
    assert(topic, 'lab: no such topic', { name })
    return topic.id
  }

  partition(name: string): PartitionImage {
    const { topic, index } = parsePartition(name) ?? { topic: name, index: 0 }
    const partition = this.state.topics.byName.get(topic)?.partitions.get(index)
    assert(partition, 'lab: no such partition', { name })
    return partition
  }

  /** Leader, ISR and ELR as one line: `leader 1 isr 1,2 elr 3`. */
  show(name: string): string {
    const { leader, isr, elr, lastKnownElr, leaderRecoveryState, addingReplicas, removingReplicas } =
      this.partition(name)
    const parts = [`leader ${leader < 0 ? 'none' : leader}`, `isr ${isr.join(',') || 'none'}`]
    if (elr.length > 0) parts.push(`elr ${elr.join(',')}`)
    if (lastKnownElr.length > 0) parts.push(`last ${lastKnownElr.join(',')}`)
    if (addingReplicas.length > 0) parts.push(`adding ${addingReplicas.join(',')}`)
    if (removingReplicas.length > 0) parts.push(`removing ${removingReplicas.join(',')}`)
    if (leaderRecoveryState === 1) parts.push('recovering')
    return parts.join(' ')
  }

  // ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** AlterPartition of one partition by its leader (unless told otherwise), with the epochs as they are; the error's name. */
  alterIsr(
    name: string,
    isr: readonly number[],
    options: {
      from?: number
      version?: number
      epochOf?: (broker: number) => number
    } & Partial<AlterPartitionRequestPartitionData> = {},
  ): string {
    const { topic, index } = parsePartition(name) ?? { topic: name, index: 0 }
    const partition = this.partition(name)
    const from = options.from ?? partition.leader
    const { from: _from, version, epochOf, ...fields } = options
    const response = this.decide(
      alterPartition(
        this.state,
        {
          brokerId: from,
          brokerEpoch: this.epoch(from),
          topics: [
            {
              topicId: this.topicId(topic),
              partitions: [
                {
                  partitionIndex: index,
                  leaderEpoch: partition.leaderEpoch,
                  newIsr: isr,
                  newIsrWithEpochs: isr.map((brokerId) => ({ brokerId, brokerEpoch: epochOf?.(brokerId) ?? -1 })),
                  leaderRecoveryState: partition.leaderRecoveryState,
                  partitionEpoch: partition.partitionEpoch,
                  ...fields,
                },
              ],
            },
          ],
        },
        version ?? 3,
      ),
    )
    if (typeof response === 'string') return response
    return errorName(response.topics[0]?.partitions[0]?.errorCode ?? -1)
  }

  elect(type: 'preferred' | 'unclean', name: string): string {
    const { topic, index } = parsePartition(name) ?? { topic: name, index: 0 }
    const response = this.decide(
      electLeaders(this.state, {
        electionType: type === 'preferred' ? 0 : 1,
        topicPartitions: [{ topic, partitions: [index] }],
        timeoutMs: 1_000,
      }),
    )
    if (typeof response === 'string') return response
    return errorName(response.replicaElectionResults[0]?.partitionResult[0]?.errorCode ?? -1)
  }

  /** null cancels. */
  reassign(name: string, replicas: readonly number[] | null, allowReplicationFactorChange = true): string {
    const { topic, index } = parsePartition(name) ?? { topic: name, index: 0 }
    const response = this.decide(
      alterPartitionReassignments(this.state, {
        timeoutMs: 1_000,
        allowReplicationFactorChange,
        topics: [{ name: topic, partitions: [{ partitionIndex: index, replicas }] }],
      }),
    )
    if (typeof response === 'string') return response
    return errorName(response.responses[0]?.partitions[0]?.errorCode ?? -1)
  }

  setConfig(type: number, name: string, setting: string, value: string | null): string {
    const result = this.decide(
      this.state.configs.incrementalAlterConfigs([
        { resource: { type, name }, operations: [{ name: setting, operation: value === null ? 1 : 0, value }] },
      ]),
    )
    return typeof result === 'string' ? result : errorName(result[0]?.error.error ?? -1)
  }
}

/** A directory id of each broker's own: not a reserved one. */
export function directoryOf(broker: number): string {
  return `TESTBROKER${String(broker).padStart(5, '0')}DIRAAAA`
}
