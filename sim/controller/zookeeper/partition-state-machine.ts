/**
 * The life of partitions as the controller steers it (`ZkPartitionStateMachine`; its states are in controller-context.ts).
 *
 *   to           does
 *   New          nothing but to remember it
 *   Online       from New: the first live replica leads, live replicas are the ISR, the state znode is created
 *                from Online or Offline: an election by a strategy (leader-election.ts), written over the version that was read;
 *                when somebody wrote meanwhile, it is read and elected again
 *   Offline      nothing but to remember it: no leader is alive
 *   NonExistent  likewise: the topic is being deleted
 *
 * A partition whose election fails stays in its state; the others go on. What the brokers must know goes out as one batch. When another controller
 * was elected meanwhile, the batch is dropped and `ControllerMoved` passes on.
 */

import type { Epoch } from '../../kernel/units.js'
import { KeeperFailure, type WriteOutcome } from '../../zookeeper/kafka/kafka-zk-client.js'
import type { Task } from '../../zookeeper/kafka/task.js'
import type { LeaderAndIsr, LeadershipInfo, TopicPartition } from '../../zookeeper/kafka/znodes.js'
import { type PartitionState, PARTITION_STATES } from './controller-context.js'
import { announce, type ControllerCore, StateChangeFailed } from './controller-core.js'
import type { WantedState } from './controller-store.js'
import { electLeader, type ElectionResult, type ElectionStrategy } from './leader-election.js'
import { firstLeadership } from './replica-assignment.js'

export type ElectionOutcome = { readonly leaderAndIsr: LeaderAndIsr } | { readonly failed: Error }
export type ElectionOutcomes = Map<string, ElectionOutcome>

interface Round {
  readonly finished: ElectionOutcomes
  readonly retry: readonly TopicPartition[]
}

/** By which the trace tells elections. */
const REASONS: Readonly<Record<ElectionStrategy['kind'], string>> = {
  offline: 'offline-leader',
  reassign: 'reassignment',
  preferred: 'preferred-election',
  'controlled-shutdown': 'controlled-shutdown',
}

export class PartitionStateMachine {
  readonly #core: ControllerCore

  constructor(core: ControllerCore) {
    this.#core = core
  }

  /** Initial states from what ZooKeeper says, then elections where a leader is missing. */
  *startup(): Task<void> {
    const { context } = this.#core
    for (const partition of context.allPartitions()) {
      const info = context.leadership(partition)
      const state =
        info === undefined ? 'New' : context.isReplicaOnline(info.leaderAndIsr.leader, partition) ? 'Online' : 'Offline'
      context.putPartitionState(partition, state)
    }
    yield* this.triggerOnline()
  }

  /** Tries to find leaders for all partitions that are new or offline, or for those of `topic`. */
  *triggerOnline(topic?: string): Task<ElectionOutcomes> {
    const { context } = this.#core
    const partitions = context
      .partitionsInStates(['Offline', 'New'], topic)
      .filter((partition) => !context.topicsToBeDeleted.has(partition.topic))
    return yield* this.handle(partitions, 'Online', { kind: 'offline', allowUnclean: false })
  }

  /** Outcomes of elections, by name of partition. @throws ControllerMoved */
  *handle(
    partitions: readonly TopicPartition[],
    target: PartitionState,
    strategy?: ElectionStrategy,
  ): Task<ElectionOutcomes> {
    if (partitions.length === 0) return new Map()
    const { batch, context } = this.#core
    batch.newBatch()
    try {
      const outcomes = yield* this.#handle(partitions, target, strategy)
      batch.send(context.epoch)
      return outcomes
    } catch (error) {
      batch.clear()
      if (!(error instanceof KeeperFailure)) throw error
      return new Map(partitions.map(({ name }) => [name, { failed: error }]))
    }
  }

  *#handle(
    partitions: readonly TopicPartition[],
    target: PartitionState,
    strategy: ElectionStrategy | undefined,
  ): Task<ElectionOutcomes> {
    const { context } = this.#core
    const valid = partitions.filter((partition) => {
      const state = context.partitionState(partition) ?? 'NonExistent'
      if (context.partitionState(partition) === undefined) context.putPartitionState(partition, state)
      return PARTITION_STATES[target].includes(state)
    })
    if (target !== 'Online') {
      for (const partition of valid) context.putPartitionState(partition, target)
      return new Map()
    }
    const fresh = valid.filter((partition) => context.partitionState(partition) === 'New')
    const others = valid.filter((partition) => !fresh.includes(partition))
    for (const partition of yield* this.#initialize(fresh)) context.putPartitionState(partition, 'Online')
    if (others.length === 0 || strategy === undefined) return new Map()
    const outcomes = yield* this.#elect(others, strategy)
    for (const partition of others) {
      const outcome = outcomes.get(partition.name)
      if (outcome !== undefined && 'leaderAndIsr' in outcome) context.putPartitionState(partition, 'Online')
    }
    return outcomes
  }

  /** Gives new partitions their first leader; those for which it worked. */
  *#initialize(partitions: readonly TopicPartition[]): Task<TopicPartition[]> {
    const { context, store, batch } = this.#core
    const wanted = partitions.flatMap((partition): { partition: TopicPartition; info: LeadershipInfo }[] => {
      const live = context.replicas(partition).filter((id) => context.isReplicaOnline(id, partition))
      const [leader] = live
      if (leader === undefined) return []
      const info = { leaderAndIsr: firstLeadership(leader, live), controllerEpoch: context.epoch }
      return [{ partition, info }]
    })
    if (wanted.length === 0) return []
    let outcomes: WriteOutcome[]
    try {
      outcomes = yield* store.createStates(wanted)
    } catch (error) {
      if (error instanceof KeeperFailure) return []
      throw error
    }
    return wanted.flatMap(({ partition, info }, at) => {
      if (outcomes[at]?.ok !== true) return []
      context.putLeadership(partition, info)
      batch.addLeaderAndIsr(info.leaderAndIsr.isr, partition, info, context.assignment(partition), true)
      announce(this.#core, partition, 'new-partition')
      return [partition]
    })
  }

  *#elect(partitions: readonly TopicPartition[], strategy: ElectionStrategy): Task<ElectionOutcomes> {
    const outcomes: ElectionOutcomes = new Map()
    let remaining = partitions
    while (remaining.length > 0) {
      const { finished, retry } = yield* this.#electOnce(remaining, strategy)
      for (const [name, outcome] of finished) outcomes.set(name, outcome)
      remaining = retry
    }
    return outcomes
  }

  *#electOnce(partitions: readonly TopicPartition[], strategy: ElectionStrategy): Task<Round> {
    const { context, store } = this.#core
    const finished: ElectionOutcomes = new Map()
    const fail = ({ name }: TopicPartition, error: Error): unknown => finished.set(name, { failed: error })
    const current: WantedState[] = []
    for (const read of yield* store.readStates(partitions)) {
      const { partition } = read
      if ('trouble' in read) fail(partition, new StateChangeFailed(`${partition.name}: the state cannot be read`))
      else if (read.info === undefined) fail(partition, new StateChangeFailed(`${partition.name} has no state`))
      else if (read.info.controllerEpoch > context.epoch) fail(partition, writtenByAnother(partition, read.info))
      else current.push({ partition, leaderAndIsr: read.info.leaderAndIsr })
    }
    const unclean = yield* this.#uncleanAllowed(current, strategy, fail)
    const results = current
      .filter(({ partition }) => !finished.has(partition.name))
      .map(({ partition, leaderAndIsr }) => ({
        before: leaderAndIsr,
        ...electLeader(context, partition, leaderAndIsr, strategy, unclean.has(partition.name)),
      }))
    for (const { partition, leaderAndIsr } of results) {
      if (leaderAndIsr === undefined) fail(partition, new StateChangeFailed(`nobody may lead ${partition.name}`))
    }
    const retry = yield* this.#write(results, strategy, finished)
    return { finished, retry }
  }

  *#write(
    results: readonly (ElectionResult & { readonly before: LeaderAndIsr })[],
    strategy: ElectionStrategy,
    finished: ElectionOutcomes,
  ): Task<readonly TopicPartition[]> {
    const { context, store, batch } = this.#core
    const wanted = results.flatMap(({ partition, leaderAndIsr }): WantedState[] =>
      leaderAndIsr === undefined ? [] : [{ partition, leaderAndIsr }],
    )
    const { updated, failed, retry } = yield* store.updateStates(wanted, context.epoch)
    for (const { partition, leaderAndIsr } of updated) {
      const result = results.find((one) => one.partition.name === partition.name)
      const info = { leaderAndIsr, controllerEpoch: context.epoch }
      context.putLeadership(partition, info)
      batch.addLeaderAndIsr(result?.recipients ?? [], partition, info, context.assignment(partition), false)
      const isUnclean = result !== undefined && !result.before.isr.includes(leaderAndIsr.leader)
      announce(this.#core, partition, isUnclean ? 'unclean-election' : REASONS[strategy.kind], isUnclean)
      finished.set(partition.name, { leaderAndIsr })
    }
    for (const { partition } of failed) {
      finished.set(partition.name, { failed: new StateChangeFailed(`${partition.name}: the state cannot be written`) })
    }
    return retry
  }

  /** Names of partitions without a live member of the ISR that may be led by somebody else. */
  *#uncleanAllowed(
    current: readonly WantedState[],
    strategy: ElectionStrategy,
    fail: (partition: TopicPartition, error: Error) => void,
  ): Task<ReadonlySet<string>> {
    const { context, store, logConfig } = this.#core
    if (strategy.kind !== 'offline') return new Set()
    const hopeless = current.filter(
      ({ partition, leaderAndIsr }) => !leaderAndIsr.isr.some((id) => context.isReplicaOnline(id, partition)),
    )
    if (strategy.allowUnclean) return new Set(hopeless.map(({ partition }) => partition.name))
    if (hopeless.length === 0) return new Set()
    const configs = yield* store.topicConfigs([...new Set(hopeless.map(({ partition }) => partition.topic))])
    const allowed = new Set<string>()
    for (const { partition } of hopeless) {
      const own = configs.get(partition.topic)
      if (own === undefined) fail(partition, new StateChangeFailed(`the settings of ${partition.topic} cannot be read`))
      else if (logConfig(own)['unclean.leader.election.enable']) allowed.add(partition.name)
    }
    return allowed
  }
}

/** The state znode carries the epoch of a later controller: this one went through a soft failure. */
export function writtenByAnother(partition: TopicPartition, { controllerEpoch }: { controllerEpoch: Epoch }): Error {
  return new StateChangeFailed(`${partition.name} was written by the controller of epoch ${controllerEpoch}`)
}
