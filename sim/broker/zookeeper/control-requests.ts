/**
 * What the controller tells a broker: LeaderAndIsr, StopReplica, UpdateMetadata (`KafkaApis`, `ReplicaManager.becomeLeaderOrFollower`,
 * `stopReplicas`, `maybeUpdateMetadataCache`).
 *
 * One at a time, whichever controller sent it. Refused, in order:
 *
 *   a broker epoch older than the broker's own           STALE_BROKER_EPOCH: meant for its last life (KIP-380)
 *   a controller epoch older than the newest heard of    STALE_CONTROLLER_EPOCH: sent by a deposed controller
 *   of LeaderAndIsr, for each partition:
 *     its log directory has failed                       KAFKA_STORAGE_ERROR
 *     another topic id than the replica's                INCONSISTENT_TOPIC_ID
 *     leader epoch not newer than the replica's          STALE_CONTROLLER_EPOCH
 *     this broker is no replica                          UNKNOWN_TOPIC_OR_PARTITION
 *   of StopReplica, for each partition:
 *     its log directory has failed                       KAFKA_STORAGE_ERROR
 *     leader epoch older than the replica's, unless the  FENCED_LEADER_EPOCH
 *     topic is being deleted (-2) or it names none (-1)
 *
 * A log that is made takes the topic's settings, which are read from ZooKeeper first: without ZooKeeper the request waits, and everything behind it.
 */

import type { Env } from '../../kernel/env.js'
import type { Epoch, NodeId } from '../../kernel/units.js'
import type { PartitionImage } from '../../kraft/metadata/image.js'
import type { LocalPartition } from '../../kraft/metadata/metadata-delta.js'
import { UNASSIGNED_DIRECTORY } from '../../kraft/metadata/records.js'
import { type ErrorCode, errorName, Errors } from '../../wire/errors.js'
import type {
  LeaderAndIsrPartitionState,
  LeaderAndIsrRequest,
  LeaderAndIsrResponse,
} from '../../wire/messages/leader-and-isr.js'
import type { StopReplicaRequest, StopReplicaResponse } from '../../wire/messages/stop-replica.js'
import type { UpdateMetadataRequest, UpdateMetadataResponse } from '../../wire/messages/update-metadata.js'
import type { IncomingRequestOf } from '../../wire/request-server.js'
import { isZooKeeperTrouble } from '../../zookeeper/kafka/kafka-zk-client.js'
import { type Task, TaskQueue } from '../../zookeeper/kafka/task.js'
import { EPOCH_DURING_DELETE, NO_EPOCH, topicPartition } from '../../zookeeper/kafka/znodes.js'
import type { ApiHandlers } from '../api-context.js'
import type { Hosted, MembershipHost, ReplicaToStop } from '../membership.js'
import type { ZkMetadata } from './zk-metadata.js'

export interface ControlRequestsOptions {
  readonly brokerId: NodeId
  readonly brokerEpoch: () => number
  readonly host: MembershipHost
  readonly metadata: ZkMetadata
  /** Reads the settings of these topics into the metadata. @throws KeeperFailure */
  readonly readTopicConfigs: (topics: readonly string[]) => Task<void>
  /** The metadata changed. */
  readonly onMetadata: () => void
}

type ControlRequest = Pick<LeaderAndIsrRequest, 'controllerId' | 'controllerEpoch' | 'brokerEpoch'>
type ControlApi = 'LeaderAndIsr' | 'StopReplica' | 'UpdateMetadata'

/** No controller has been heard of. */
const UNKNOWN_BROKER_EPOCH = -1

export class ControlRequests {
  readonly handlers: ApiHandlers
  readonly #env: Env
  readonly #options: ControlRequestsOptions
  readonly #queue = new TaskQueue()
  /** Epoch of the controller that decided what is led here, by partition. */
  readonly #decidedBy = new Map<string, Epoch>()
  #controllerEpoch: Epoch = 0
  #isClosed = false

  constructor(env: Env, options: ControlRequestsOptions) {
    this.#env = env
    this.#options = options
    this.handlers = {
      LeaderAndIsr: (request) => this.#take(request, (body) => this.#leaderAndIsr(body)),
      StopReplica: (request) => this.#take(request, (body) => this.#stopReplica(body)),
      UpdateMetadata: (request) => this.#take(request, (body) => this.#updateMetadata(body)),
    }
  }

  /** Epoch of the controller that made this broker the leader of a partition. */
  decidedBy(partition: string): Epoch {
    return this.#decidedBy.get(partition) ?? this.#controllerEpoch
  }

  /** Nothing is taken from now on. */
  close(): void {
    this.#isClosed = true
  }

  #take<A extends ControlApi>(
    request: IncomingRequestOf<A>,
    process: (body: IncomingRequestOf<A>['body']) => Task<Parameters<IncomingRequestOf<A>['respond']>[0]>,
  ): void {
    this.#queue.put(() => this.#answer(request, process))
  }

  *#answer<A extends ControlApi>(
    request: IncomingRequestOf<A>,
    process: (body: IncomingRequestOf<A>['body']) => Task<Parameters<IncomingRequestOf<A>['respond']>[0]>,
  ): Task<void> {
    if (!this.#isClosed) request.respond(yield* process(request.body))
  }

  /** NONE, or why the whole request is refused. */
  #check(api: ControlApi, { controllerId, controllerEpoch, brokerEpoch }: ControlRequest): ErrorCode {
    const isForLastLife = brokerEpoch !== UNKNOWN_BROKER_EPOCH && brokerEpoch < this.#options.brokerEpoch()
    const error = isForLastLife
      ? Errors.STALE_BROKER_EPOCH
      : controllerEpoch < this.#controllerEpoch
        ? Errors.STALE_CONTROLLER_EPOCH
        : Errors.NONE
    if (error === Errors.NONE) this.#controllerEpoch = controllerEpoch
    else this.#refused(api, controllerId, controllerEpoch, error)
    return error
  }

  #refused(api: ControlApi, controller: NodeId, controllerEpoch: Epoch, error: ErrorCode): void {
    this.#env.emit('zk-control.refused', { api, controller, controllerEpoch, error: errorName(error) })
  }

  // ── UpdateMetadata ────────────────────────────────────────────────────────────────────────────────────────────────

  // oxlint-disable-next-line require-yield
  *#updateMetadata(request: UpdateMetadataRequest): Task<UpdateMetadataResponse> {
    const errorCode = this.#check('UpdateMetadata', request)
    if (errorCode !== Errors.NONE) return { errorCode }
    const { host, metadata, onMetadata } = this.#options
    const { image, deletedTopics } = metadata.update(request)
    host.setImage(image)
    if (deletedTopics.size > 0) host.onTopicsDeleted(deletedTopics)
    onMetadata()
    return { errorCode }
  }

  // ── LeaderAndIsr ──────────────────────────────────────────────────────────────────────────────────────────────────

  *#leaderAndIsr(request: LeaderAndIsrRequest): Task<LeaderAndIsrResponse> {
    const errorCode = this.#check('LeaderAndIsr', request)
    if (errorCode !== Errors.NONE) return { errorCode, topics: [] }
    const { host, metadata, readTopicConfigs } = this.#options
    const errors = new Map<string, ErrorCode>()
    const leaders: LocalPartition[] = []
    const followers: LocalPartition[] = []
    const unhosted = new Set<string>()
    for (const { topicName, topicId, partitionStates } of request.topicStates) {
      for (const state of partitionStates) {
        const { name } = topicPartition(topicName, state.partitionIndex)
        const hosted = host.hosted(topicName, state.partitionIndex)
        const error = this.#judge(hosted, topicId, state)
        errors.set(name, error)
        if (error !== Errors.NONE) {
          if (error === Errors.STALE_CONTROLLER_EPOCH) this.#old('LeaderAndIsr', request, error)
          continue
        }
        if (hosted.kind === 'none') unhosted.add(topicName)
        const local = { topic: topicName, topicId, partition: state.partitionIndex, image: imageOf(state) }
        this.#decidedBy.set(name, state.controllerEpoch)
        if (state.leader === this.#options.brokerId) leaders.push(local)
        else followers.push(local)
      }
    }
    try {
      yield* readTopicConfigs([...unhosted])
    } catch (error) {
      if (!isZooKeeperTrouble(error)) throw error
      return { errorCode: Errors.UNKNOWN_SERVER_ERROR, topics: [] }
    }
    for (const name of host.changeRoles(leaders, followers, metadata.image)) {
      errors.set(name, Errors.KAFKA_STORAGE_ERROR)
    }
    return { errorCode, topics: topicErrors(request, errors) }
  }

  #judge(hosted: Hosted, topicId: string, state: LeaderAndIsrPartitionState): ErrorCode {
    if (hosted.kind === 'offline') return Errors.KAFKA_STORAGE_ERROR
    if (hosted.kind === 'online' && hosted.topicId !== topicId) return Errors.INCONSISTENT_TOPIC_ID
    const known = hosted.kind === 'online' ? hosted.leaderEpoch : NO_EPOCH
    if (state.leaderEpoch <= known) return Errors.STALE_CONTROLLER_EPOCH
    return state.replicas.includes(this.#options.brokerId) ? Errors.NONE : Errors.UNKNOWN_TOPIC_OR_PARTITION
  }

  #old(api: ControlApi, { controllerId, controllerEpoch }: ControlRequest, error: ErrorCode): void {
    this.#refused(api, controllerId, controllerEpoch, error)
  }

  // ── StopReplica ───────────────────────────────────────────────────────────────────────────────────────────────────

  // oxlint-disable-next-line require-yield
  *#stopReplica(request: StopReplicaRequest): Task<StopReplicaResponse> {
    const errorCode = this.#check('StopReplica', request)
    if (errorCode !== Errors.NONE) return { errorCode, partitionErrors: [] }
    const { host } = this.#options
    const partitionErrors: StopReplicaResponse['partitionErrors'][number][] = []
    const stopped: ReplicaToStop[] = []
    for (const { topicName, partitionStates } of request.topicStates) {
      for (const { partitionIndex, leaderEpoch, deletePartition } of partitionStates) {
        const hosted = host.hosted(topicName, partitionIndex)
        let error: ErrorCode = Errors.NONE
        if (hosted.kind === 'offline') error = Errors.KAFKA_STORAGE_ERROR
        else if (hosted.kind === 'online' && isOld(leaderEpoch, hosted.leaderEpoch)) error = Errors.FENCED_LEADER_EPOCH
        partitionErrors.push({ topicName, partitionIndex, errorCode: error })
        if (error === Errors.NONE) stopped.push({ topic: topicName, index: partitionIndex, isDeleted: deletePartition })
        else if (error === Errors.FENCED_LEADER_EPOCH) this.#old('StopReplica', request, error)
      }
    }
    host.stopReplicas(stopped)
    return { errorCode, partitionErrors }
  }
}

function isOld(leaderEpoch: Epoch, known: Epoch): boolean {
  return leaderEpoch !== EPOCH_DURING_DELETE && leaderEpoch !== NO_EPOCH && leaderEpoch < known
}

function imageOf(state: LeaderAndIsrPartitionState): PartitionImage {
  return {
    replicas: state.replicas,
    isr: state.isr,
    elr: [],
    lastKnownElr: [],
    removingReplicas: state.removingReplicas,
    addingReplicas: state.addingReplicas,
    leader: state.leader,
    leaderEpoch: state.leaderEpoch,
    partitionEpoch: state.partitionEpoch,
    leaderRecoveryState: state.leaderRecoveryState === 1 ? 1 : 0,
    directories: state.replicas.map(() => UNASSIGNED_DIRECTORY),
  }
}

function topicErrors(
  request: LeaderAndIsrRequest,
  errors: ReadonlyMap<string, ErrorCode>,
): LeaderAndIsrResponse['topics'] {
  return request.topicStates.map(({ topicName, topicId, partitionStates }) => ({
    topicId,
    partitionErrors: partitionStates.map(({ partitionIndex }) => ({
      partitionIndex,
      errorCode: errors.get(topicPartition(topicName, partitionIndex).name) ?? Errors.NONE,
    })),
  }))
}
