/**
 * Elections that nobody's death makes necessary: preferred leaders, and what an administrator asks for (`onReplicaElection`,
 * `checkAndTriggerAutoLeaderRebalance`).
 *
 * Balance: for each broker, of the partitions whose first replica it is, those that another leads; when they are more than
 * `leader.imbalance.per.broker.percentage` of them, the ones whose first replica is online and in the ISR are elected. Also asked for by
 * ElectLeaders (preferred or unclean) and by /admin/preferred_replica_election, which is deleted afterwards.
 */

import type { NodeId } from '../../kernel/units.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import { ControllerMoved } from '../../zookeeper/kafka/kafka-zk-client.js'
import type { Task } from '../../zookeeper/kafka/task.js'
import { NO_LEADER, Path, type TopicPartition } from '../../zookeeper/kafka/znodes.js'
import { type ControllerCore, StateChangeFailed } from './controller-core.js'
import { type ElectionStrategy, preferredLeader } from './leader-election.js'
import type { ElectionOutcomes, PartitionStateMachine } from './partition-state-machine.js'
import type { TopicDeletion } from './topic-deletion.js'
import type { ZooKeeperControllerConfig } from './zk-controller-config.js'

export type ElectionType = 'preferred' | 'unclean'
/** Of one partition: its new leader, or why there was no election. */
export type ElectionAnswer =
  { readonly leader: NodeId } | { readonly error: ErrorCode; readonly message: string | null }
export type ElectionAnswers = Map<string, { readonly partition: TopicPartition; readonly answer: ElectionAnswer }>

export interface LeaderBalanceOptions {
  readonly config: ZooKeeperControllerConfig
  readonly partitions: PartitionStateMachine
  readonly deletion: TopicDeletion
  /** /admin/preferred_replica_election may have been created. */
  readonly onZkElection: () => void
}

export class LeaderBalance {
  readonly #core: ControllerCore
  readonly #options: LeaderBalanceOptions

  constructor(core: ControllerCore, options: LeaderBalanceOptions) {
    this.#core = core
    this.#options = options
  }

  /** Whether /admin/preferred_replica_election exists; its creation is heard of from now on. */
  *watch(): Task<boolean> {
    return yield* this.#core.store.zk.registerAndCheckExistence(Path.preferredElection, (type) => {
      if (type === 'NodeCreated') this.#options.onZkElection()
    })
  }

  /** After a failover: preferred elections that were not finished. */
  *pending(): Task<void> {
    const { store, context } = this.#core
    const asked = yield* store.preferredElection()
    const pending = asked.filter((partition) => {
      const [preferred] = context.replicas(partition)
      const leader = context.leadership(partition)?.leaderAndIsr.leader
      return preferred !== undefined && leader !== preferred && !this.#options.deletion.isQueued(partition.topic)
    })
    yield* this.#elect(pending, { kind: 'preferred' }, 'zookeeper')
  }

  *fromZk(): Task<void> {
    if (!(yield* this.watch())) return
    yield* this.#electAsked(yield* this.#core.store.preferredElection(), 'preferred', 'zookeeper')
  }

  /** What an administrator asked for. */
  *elect(partitions: readonly TopicPartition[], type: ElectionType): Task<ElectionAnswers> {
    return yield* this.#electAsked(partitions, type, 'admin')
  }

  *balance(): Task<void> {
    const { context } = this.#core
    const { config, deletion } = this.#options
    const byBroker = new Map<NodeId, TopicPartition[]>()
    for (const partition of context.allPartitions()) {
      const [preferred] = context.replicas(partition)
      if (preferred === undefined || deletion.isQueued(partition.topic)) continue
      const list = byBroker.get(preferred)
      if (list === undefined) byBroker.set(preferred, [partition])
      else list.push(partition)
    }
    for (const [broker, partitions] of [...byBroker].sort(([a], [b]) => a - b)) {
      const led = (partition: TopicPartition): NodeId | undefined => context.leadership(partition)?.leaderAndIsr.leader
      const elsewhere = partitions.filter((partition) => (led(partition) ?? broker) !== broker)
      if (elsewhere.length / partitions.length <= config['leader.imbalance.per.broker.percentage'] / 100) continue
      const candidates = elsewhere.filter((partition) => this.#mayLead(partition))
      yield* this.#elect(candidates, { kind: 'preferred' }, 'balance')
    }
  }

  #mayLead(partition: TopicPartition): boolean {
    const { context } = this.#core
    const replicas = context.replicas(partition)
    const live = replicas.filter((id) => context.isReplicaOnline(id, partition))
    const isr = context.leadership(partition)?.leaderAndIsr.isr ?? []
    return preferredLeader(replicas, isr, live) !== undefined
  }

  *#electAsked(
    asked: readonly TopicPartition[],
    type: ElectionType,
    trigger: 'admin' | 'zookeeper',
  ): Task<ElectionAnswers> {
    const { context } = this.#core
    const answers: ElectionAnswers = new Map()
    const refuse = (partition: TopicPartition, error: ErrorCode, message: string | null = null): unknown =>
      answers.set(partition.name, { partition, answer: { error, message } })
    const electable = asked.filter((partition) => {
      const leader = context.leadership(partition)?.leaderAndIsr.leader ?? NO_LEADER
      const hasValidLeader =
        type === 'preferred'
          ? leader === context.replicas(partition)[0]
          : leader !== NO_LEADER && context.isLiveBroker(leader)
      if (!context.hasPartition(partition)) {
        refuse(partition, Errors.UNKNOWN_TOPIC_OR_PARTITION, 'there is no such partition')
      } else if (this.#options.deletion.isQueued(partition.topic)) {
        refuse(partition, Errors.INVALID_TOPIC_EXCEPTION, 'the topic is being deleted')
      } else if (hasValidLeader) refuse(partition, Errors.ELECTION_NOT_NEEDED)
      else return true
      return false
    })
    const strategy: ElectionStrategy =
      type === 'preferred' ? { kind: 'preferred' } : { kind: 'offline', allowUnclean: trigger === 'admin' }
    const outcomes = yield* this.#elect(electable, strategy, trigger)
    for (const partition of electable) {
      const outcome = outcomes.get(partition.name)
      if (outcome !== undefined && 'leaderAndIsr' in outcome) {
        answers.set(partition.name, { partition, answer: { leader: outcome.leaderAndIsr.leader } })
      } else refuse(partition, errorOf(outcome?.failed, type))
    }
    return answers
  }

  *#elect(
    partitions: readonly TopicPartition[],
    strategy: ElectionStrategy,
    trigger: 'admin' | 'zookeeper' | 'balance',
  ): Task<ElectionOutcomes> {
    try {
      return yield* this.#options.partitions.handle(partitions, 'Online', strategy)
    } finally {
      if (trigger === 'zookeeper') {
        yield* this.#core.store.deletePreferredElection()
        // So that the next one is heard of.
        this.#options.onZkElection()
      }
    }
  }
}

function errorOf(failed: Error | undefined, type: ElectionType): ErrorCode {
  if (failed instanceof ControllerMoved) return Errors.NOT_CONTROLLER
  if (failed !== undefined && !(failed instanceof StateChangeFailed)) return Errors.UNKNOWN_SERVER_ERROR
  return type === 'preferred' ? Errors.PREFERRED_LEADER_NOT_AVAILABLE : Errors.ELIGIBLE_LEADERS_NOT_AVAILABLE
}
