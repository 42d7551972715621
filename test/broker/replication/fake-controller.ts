/**
 * A controller without a quorum: it keeps the metadata, answers AlterPartition and sends every change to the brokers.
 *
 * The rules of AlterPartition are Kafka's (`ReplicationControlManager.validateAlterPartitionData`), the election is the
 * plainest: the first live member of the ISR. Metadata reaches a broker after `latencyMs`, in order; a broker that is
 * cut off gets it when `connect`ed again.
 */

import type { NodeId } from '../../../sim/kernel/units.js'
import { EMPTY_IMAGE, type MetadataImage, type PartitionImage } from '../../../sim/kraft/metadata/image.js'
import { MetadataDelta } from '../../../sim/kraft/metadata/metadata-delta.js'
import {
  type MetadataRecord,
  NO_LEADER_CHANGE,
  NO_RECOVERY_CHANGE,
  type PartitionChangeRecord,
} from '../../../sim/kraft/metadata/records.js'
import { type ErrorCode, Errors } from '../../../sim/wire/errors.js'
import type { AlterPartitionRequest, AlterPartitionResponse } from '../../../sim/wire/messages/alter-partition.js'

export interface Change {
  readonly leader?: NodeId
  readonly isr?: readonly NodeId[]
  readonly replicas?: readonly NodeId[]
  readonly adding?: readonly NodeId[]
  readonly removing?: readonly NodeId[]
  readonly recoveryState?: 0 | 1
}

type PartitionRequest = AlterPartitionRequest['topics'][number]['partitions'][number]

export class FakeController {
  image: MetadataImage = EMPTY_IMAGE
  /** What to answer to AlterPartition: the rules, one error for every partition, a top-level error, or nothing. */
  answers: 'rules' | 'silence' | { readonly partition: ErrorCode } | { readonly top: ErrorCode } = 'rules'
  readonly requests: AlterPartitionRequest[] = []
  racks: Readonly<Record<number, string>> = {}
  readonly #history: MetadataRecord[] = []
  readonly #publish: (delta: MetadataDelta, image: MetadataImage) => void

  constructor(metadataVersion: number, publish: (delta: MetadataDelta, image: MetadataImage) => void) {
    this.#publish = publish
    this.apply([{ type: 'FeatureLevelRecord', version: 0, name: 'metadata.version', featureLevel: metadataVersion }])
  }

  /** Everything so far as one delta, for a broker that starts. */
  snapshot(): { delta: MetadataDelta; image: MetadataImage } {
    const delta = new MetadataDelta(EMPTY_IMAGE)
    this.#history.forEach((record, offset) => delta.replay(record, offset, 1))
    return { delta, image: delta.apply() }
  }

  apply(records: readonly MetadataRecord[]): void {
    const delta = new MetadataDelta(this.image)
    for (const record of records) {
      delta.replay(record, this.#history.length, 1)
      this.#history.push(record)
    }
    this.image = delta.apply()
    this.#publish(delta, this.image)
  }

  topicId(topic: string): string {
    return this.image.topicsByName.get(topic)?.id ?? ''
  }

  partition(topic: string, index = 0): PartitionImage {
    return this.image.topicsByName.get(topic)?.partitions.get(index) as PartitionImage
  }

  // ── brokers ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Registers a broker, unfenced; its epoch is the record's offset. */
  register(broker: NodeId, host: string, fenced = false): number {
    const brokerEpoch = this.#history.length
    this.apply([
      {
        type: 'RegisterBrokerRecord',
        version: 3,
        brokerId: broker,
        isMigratingZkBroker: false,
        incarnationId: `${String(brokerEpoch).padStart(21, 'A')}A`,
        brokerEpoch,
        endPoints: [{ name: 'PLAINTEXT', host, port: 9092, securityProtocol: 0 }],
        features: [],
        rack: this.racks[broker] ?? null,
        fenced,
        inControlledShutdown: false,
        logDirs: [],
      },
    ])
    return brokerEpoch
  }

  fence(broker: NodeId, fenced: boolean): void {
    this.#changeBroker(broker, fenced ? 1 : -1, 0)
  }

  controlledShutdown(broker: NodeId): void {
    this.#changeBroker(broker, 0, 1)
  }

  /** Fences a broker, takes it out of every ISR that has another member, and elects where it led. */
  lose(broker: NodeId): void {
    this.fence(broker, true)
    this.#eachPartition((topic, index, partition) => {
      const left = partition.isr.filter((id) => id !== broker)
      if (left.length === partition.isr.length) return
      const isr = left.length > 0 ? left : partition.isr
      if (partition.leader !== broker) return this.change(topic, index, { isr })
      this.change(topic, index, { isr, leader: this.#electable(partition, isr) })
    })
  }

  /** A fenced broker is heard of again, in the same life. */
  unfence(broker: NodeId): void {
    this.fence(broker, false)
    this.#electMissing()
  }

  /** A broker is back: partitions without a leader get one. */
  regain(broker: NodeId, host: string): number {
    const epoch = this.register(broker, host)
    this.#electMissing()
    return epoch
  }

  // ── topics ────────────────────────────────────────────────────────────────────────────────────────────────────────

  createTopic(topic: string, assignments: readonly (readonly NodeId[])[], id: string): void {
    const records: MetadataRecord[] = [{ type: 'TopicRecord', version: 0, name: topic, topicId: id }]
    assignments.forEach((replicas, partitionId) =>
      records.push({
        type: 'PartitionRecord',
        version: 1,
        partitionId,
        topicId: id,
        replicas,
        isr: replicas,
        removingReplicas: [],
        addingReplicas: [],
        leader: replicas[0] ?? -1,
        leaderRecoveryState: 0,
        leaderEpoch: 0,
        partitionEpoch: 0,
        directories: [],
        eligibleLeaderReplicas: null,
        lastKnownElr: null,
      }),
    )
    this.apply(records)
  }

  deleteTopic(topic: string): void {
    this.apply([{ type: 'RemoveTopicRecord', version: 0, topicId: this.topicId(topic) }])
  }

  configure(topic: string, name: string, value: string | null): void {
    this.apply([{ type: 'ConfigRecord', version: 0, resourceType: 2, resourceName: topic, name, value }])
  }

  change(topic: string, index: number, change: Change): void {
    const record: PartitionChangeRecord = {
      type: 'PartitionChangeRecord',
      version: 1,
      partitionId: index,
      topicId: this.topicId(topic),
      isr: change.isr ?? null,
      leader: change.leader ?? NO_LEADER_CHANGE,
      replicas: change.replicas ?? null,
      removingReplicas: change.removing ?? null,
      addingReplicas: change.adding ?? null,
      leaderRecoveryState: change.recoveryState ?? NO_RECOVERY_CHANGE,
      directories: null,
      eligibleLeaderReplicas: null,
      lastKnownElr: null,
    }
    this.apply([record])
  }

  // ── AlterPartition ────────────────────────────────────────────────────────────────────────────────────────────────

  /** undefined: no answer. */
  alterPartition(request: AlterPartitionRequest): AlterPartitionResponse | undefined {
    this.requests.push(request)
    const { answers } = this
    if (answers === 'silence') return undefined
    if (answers !== 'rules' && 'top' in answers) return { throttleTimeMs: 0, errorCode: answers.top, topics: [] }
    if (this.image.brokers.get(request.brokerId)?.epoch !== request.brokerEpoch) {
      return { throttleTimeMs: 0, errorCode: Errors.STALE_BROKER_EPOCH, topics: [] }
    }
    return {
      throttleTimeMs: 0,
      errorCode: Errors.NONE,
      topics: request.topics.map(({ topicId, partitions }) => ({
        topicId,
        partitions: partitions.map((partition) => {
          const error = answers === 'rules' ? this.#alter(request.brokerId, topicId, partition) : answers.partition
          const image = this.image.topicsById.get(topicId)?.partitions.get(partition.partitionIndex)
          return {
            partitionIndex: partition.partitionIndex,
            errorCode: error,
            leaderId: error === 0 ? (image?.leader ?? 0) : 0,
            leaderEpoch: error === 0 ? (image?.leaderEpoch ?? 0) : 0,
            isr: error === 0 ? (image?.isr ?? []) : [],
            leaderRecoveryState: 0,
            partitionEpoch: error === 0 ? (image?.partitionEpoch ?? 0) : 0,
          }
        }),
      })),
    }
  }

  #alter(broker: NodeId, topicId: string, request: PartitionRequest): ErrorCode {
    const topic = this.image.topicsById.get(topicId)
    const partition = topic?.partitions.get(request.partitionIndex)
    if (topic === undefined) return Errors.UNKNOWN_TOPIC_ID
    if (partition === undefined) return Errors.UNKNOWN_TOPIC_OR_PARTITION
    if (request.leaderEpoch > partition.leaderEpoch || request.partitionEpoch > partition.partitionEpoch) {
      return Errors.NOT_CONTROLLER
    }
    if (request.leaderEpoch < partition.leaderEpoch) return Errors.FENCED_LEADER_EPOCH
    if (partition.leader !== broker) return Errors.INVALID_REQUEST
    if (request.partitionEpoch < partition.partitionEpoch) return Errors.INVALID_UPDATE_VERSION
    const isr = request.newIsrWithEpochs.map((member) => member.brokerId)
    if (!isr.every((id) => partition.replicas.includes(id)) || !isr.includes(broker)) return Errors.INVALID_REQUEST
    for (const member of request.newIsrWithEpochs) {
      const known = this.image.brokers.get(member.brokerId)
      if (known === undefined || known.fenced || known.inControlledShutdown) return Errors.INELIGIBLE_REPLICA
      if (member.brokerEpoch !== -1 && member.brokerEpoch !== known.epoch) return Errors.INELIGIBLE_REPLICA
    }
    this.change(topic.name, request.partitionIndex, { isr })
    return Errors.NONE
  }

  #electMissing(): void {
    this.#eachPartition((topic, index, partition) => {
      if (partition.leader !== -1) return
      const leader = this.#electable(partition, partition.isr)
      if (leader !== -1) this.change(topic, index, { leader })
    })
  }

  #changeBroker(broker: NodeId, fenced: -1 | 0 | 1, inControlledShutdown: 0 | 1): void {
    const brokerEpoch = this.image.brokers.get(broker)?.epoch ?? -1
    this.apply([
      {
        type: 'BrokerRegistrationChangeRecord',
        version: 1,
        brokerId: broker,
        brokerEpoch,
        fenced,
        inControlledShutdown,
        logDirs: [],
      },
    ])
  }

  #eachPartition(visit: (topic: string, index: number, partition: PartitionImage) => void): void {
    for (const topic of [...this.image.topicsByName.values()]) {
      for (const index of [...topic.partitions.keys()]) visit(topic.name, index, this.partition(topic.name, index))
    }
  }

  #electable(partition: PartitionImage, isr: readonly NodeId[]): NodeId {
    const isLive = (id: NodeId): boolean => this.image.brokers.get(id)?.fenced === false
    return partition.replicas.find((id) => isr.includes(id) && isLive(id)) ?? -1
  }
}
