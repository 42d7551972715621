/**
 * AlterPartition: leaders ask for another ISR (KIP-497, KIP-841; `KafkaController.processAlterPartition`).
 *
 * Checks, in order, for the whole request: this is the active controller (NOT_CONTROLLER); the broker is registered with that epoch
 * (STALE_BROKER_EPOCH). For each partition:
 *
 *   topic id not known                                   UNKNOWN_TOPIC_ID
 *   partition not known                                  UNKNOWN_TOPIC_OR_PARTITION
 *   partition epoch or leader epoch beyond ours          NOT_CONTROLLER: this one may be deposed
 *   older leader epoch                                   FENCED_LEADER_EPOCH
 *   it is so already, whatever partition epoch it names  answered as it is
 *   older partition epoch                                INVALID_UPDATE_VERSION
 *   recovering, and an ISR of more than one              INVALID_REQUEST
 *   from recovered back to recovering                    INVALID_REQUEST
 *   a member is not live                                 INELIGIBLE_REPLICA
 *
 * The rest is written over the version in its state znode; a version that is not there any more is INVALID_UPDATE_VERSION. Then every broker is told.
 */

import type { Apis } from '../../wire/apis.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import type { Task } from '../../zookeeper/kafka/task.js'
import type { LeaderAndIsr, TopicPartition } from '../../zookeeper/kafka/znodes.js'
import { topicPartition } from '../../zookeeper/kafka/znodes.js'
import type { ControllerContext } from './controller-context.js'
import { announce, type ControllerCore } from './controller-core.js'
import type { WantedState } from './controller-store.js'
import { isAlready } from './replica-assignment.js'

type Request = Apis['AlterPartition']['request']
type Response = Apis['AlterPartition']['response']
type PartitionResponse = Response['topics'][number]['partitions'][number]
type Verdict = { readonly leaderAndIsr: LeaderAndIsr } | { readonly error: ErrorCode }

/** From this version on members come with their broker epochs. */
const FIRST_WITH_EPOCHS = 3

export interface AlterPartitionOutcome {
  readonly response: Response
  /** Partitions whose ISR is now as asked for. */
  readonly succeeded: readonly TopicPartition[]
}

/** @throws ControllerMoved */
export function* alterPartition(
  core: ControllerCore,
  request: Request,
  version: number,
  sendMetadata: (partitions: readonly TopicPartition[]) => void,
): Task<AlterPartitionOutcome> {
  const { context, store } = core
  if (context.brokerEpoch(request.brokerId) !== request.brokerEpoch) {
    return { response: alterPartitionError(Errors.STALE_BROKER_EPOCH), succeeded: [] }
  }
  const asked = askedStates(context, request, version)
  const verdicts = new Map<string, Verdict>()
  const wanted: WantedState[] = []
  for (const state of asked) {
    const verdict = judge(context, state)
    if (verdict === undefined) wanted.push(state)
    else verdicts.set(state.partition.name, verdict)
  }
  const { updated, failed, retry } = yield* store.updateStates(wanted, context.epoch)
  for (const { partition, leaderAndIsr } of updated) {
    verdicts.set(partition.name, { leaderAndIsr })
    context.putLeadership(partition, { leaderAndIsr, controllerEpoch: context.epoch })
    announce(core, partition, 'alter-partition')
  }
  for (const { partition } of failed) verdicts.set(partition.name, { error: Errors.UNKNOWN_SERVER_ERROR })
  for (const { name } of retry) verdicts.set(name, { error: Errors.INVALID_UPDATE_VERSION })
  sendMetadata(asked.map(({ partition }) => partition))
  const succeeded = asked
    .map(({ partition }) => partition)
    .filter(({ name }) => 'leaderAndIsr' in (verdicts.get(name) as Verdict))
  return { response: responseOf(context, request, verdicts), succeeded }
}

export function alterPartitionError(errorCode: ErrorCode): Response {
  return { throttleTimeMs: 0, errorCode, topics: [] }
}

function askedStates(context: ControllerContext, request: Request, version: number): WantedState[] {
  return request.topics.flatMap(({ topicId, partitions }) => {
    const topic = context.topicNames.get(topicId)
    if (topic === undefined) return []
    return partitions.map((partition): WantedState => ({
      partition: topicPartition(topic, partition.partitionIndex),
      leaderAndIsr: {
        leader: request.brokerId,
        leaderEpoch: partition.leaderEpoch,
        isr:
          version >= FIRST_WITH_EPOCHS ? partition.newIsrWithEpochs.map(({ brokerId }) => brokerId) : partition.newIsr,
        leaderRecoveryState: partition.leaderRecoveryState === 1 ? 1 : 0,
        partitionEpoch: partition.partitionEpoch,
      },
    }))
  })
}

/** Undefined: to be written. */
function judge(context: ControllerContext, { partition, leaderAndIsr: wanted }: WantedState): Verdict | undefined {
  const current = context.leadership(partition)?.leaderAndIsr
  if (current === undefined) return { error: Errors.UNKNOWN_TOPIC_OR_PARTITION }
  if (wanted.partitionEpoch > current.partitionEpoch || wanted.leaderEpoch > current.leaderEpoch) {
    return { error: Errors.NOT_CONTROLLER }
  }
  if (wanted.leaderEpoch < current.leaderEpoch) return { error: Errors.FENCED_LEADER_EPOCH }
  if (isAlready(wanted, current)) return { leaderAndIsr: current }
  if (wanted.partitionEpoch < current.partitionEpoch) return { error: Errors.INVALID_UPDATE_VERSION }
  if (wanted.leaderRecoveryState === 1 && wanted.isr.length > 1) return { error: Errors.INVALID_REQUEST }
  if (current.leaderRecoveryState === 0 && wanted.leaderRecoveryState === 1) return { error: Errors.INVALID_REQUEST }
  if (!wanted.isr.every((id) => context.isLiveBroker(id))) return { error: Errors.INELIGIBLE_REPLICA }
  return undefined
}

function responseOf(context: ControllerContext, request: Request, verdicts: ReadonlyMap<string, Verdict>): Response {
  const topics = request.topics.map(({ topicId, partitions }) => {
    const topic = context.topicNames.get(topicId)
    return {
      topicId,
      partitions: partitions.map(({ partitionIndex }) => {
        const verdict = topic === undefined ? undefined : verdicts.get(topicPartition(topic, partitionIndex).name)
        return partitionResponse(partitionIndex, verdict ?? { error: Errors.UNKNOWN_TOPIC_ID })
      }),
    }
  })
  return { throttleTimeMs: 0, errorCode: Errors.NONE, topics }
}

function partitionResponse(partitionIndex: number, verdict: Verdict): PartitionResponse {
  if ('error' in verdict) {
    const nothing = { leaderId: 0, leaderEpoch: 0, isr: [], leaderRecoveryState: 0, partitionEpoch: 0 }
    return { partitionIndex, errorCode: verdict.error, ...nothing }
  }
  const { leader, leaderEpoch, isr, leaderRecoveryState, partitionEpoch } = verdict.leaderAndIsr
  return {
    partitionIndex,
    errorCode: Errors.NONE,
    leaderId: leader,
    leaderEpoch,
    isr,
    leaderRecoveryState,
    partitionEpoch,
  }
}
