/**
 * How an old consumer takes part in its group: every member works out for itself who gets what, gives up what it has, and claims what is
 * its own with ephemeral znodes (`ZKRebalancerListener`).
 *
 *   state        event                                             then
 *   new          registered in /consumers/G/ids                    rebalancing
 *   rebalancing  everything claimed                                consuming
 *                no broker is registered                           consuming what it did, until one is
 *                a claim of somebody else is there, or a znode     all claims given back; rebalancing once more after rebalance.backoff.ms,
 *                that was to be read is gone                       rebalance.max.retries times in all, then
 *                                                                  failed: owns nothing, or what it does not fetch
 *   consuming,   a member came or went, partitions were added      rebalancing
 *   failed       the session is another one                        registered anew, and rebalancing
 *   any          shutdown                                          closed
 *
 * One rebalance: fetchers stop and their queues are emptied; what counts as consumed is committed (auto.commit.enable); claims are
 * released; the group is read and partitions assigned; their offsets are read; they are claimed, all or none; fetchers start.
 *
 * Offsets are read before the claims. The owner before may commit in between: its successor then begins earlier, and reads twice.
 */

import type { Env } from '../../kernel/env.js'
import type { Offset } from '../../kernel/units.js'
import type { Task } from '../../zookeeper/kafka/task.js'
import { Path } from '../../zookeeper/kafka/znodes.js'
import type { ChannelOptions } from './blocking-channel.js'
import { ConsumerFetchers } from './consumer-fetchers.js'
import type { ConsumerOffsets } from './consumer-offsets.js'
import { brokersInCluster, claim, GroupPath, readAssignmentContext, readCluster, topicCountOf } from './group-znodes.js'
import { PartitionTopicInfo, type MessageStream } from './message-stream.js'
import { PARTITION_ASSIGNORS, byText, type OwnedPartition } from './partition-assignors.js'
import { Mutex, Signal, sleep, Thread } from './thread.js'
import { ConsumerTrouble, isTrouble, type ZkClient } from './zk-client.js'
import type { ZookeeperConsumerConfig } from './zookeeper-consumer-config.js'

export interface RebalancerParts {
  readonly zk: ZkClient
  readonly offsets: ConsumerOffsets
  readonly consumerId: string
  readonly channel: ChannelOptions
}

export type MemberState = 'new' | 'rebalancing' | 'consuming' | 'failed' | 'closed'

export class Rebalancer {
  readonly #env: Env
  readonly #config: ZookeeperConsumerConfig
  readonly #parts: RebalancerParts
  /** Held by a rebalance, and by the shutdown. */
  readonly lock = new Mutex()
  /** Topic → its streams, by thread. */
  readonly #streams = new Map<string, readonly MessageStream[]>()
  /** What this consumer owns, as it believes (`topicRegistry`). */
  #registry = new Map<string, PartitionTopicInfo>()
  /** What the trace was told that it owns. */
  #told: readonly string[] = []
  /** Partition → where this process has been in it. */
  readonly #lastInfos = new Map<string, PartitionTopicInfo>()
  #fetchers: ConsumerFetchers | undefined
  readonly #trigger = new Signal()
  #isTriggered = false
  #isShuttingDown = false
  #state: MemberState = 'new'

  constructor(env: Env, config: ZookeeperConsumerConfig, parts: RebalancerParts) {
    this.#env = env
    this.#config = config
    this.#parts = parts
    new Thread(this.#onWatches())
  }

  get owned(): Iterable<PartitionTopicInfo> {
    return this.#registry.values()
  }

  get streams(): ReadonlyMap<string, readonly MessageStream[]> {
    return this.#streams
  }

  addStreams(topic: string, streams: readonly MessageStream[]): void {
    this.#streams.set(topic, streams)
  }

  /** A watch fired: the thread for it rebalances, once for all that fired meanwhile. */
  triggered(): void {
    this.#isTriggered = true
    this.#trigger.all()
  }

  /** The session that owned everything is over. */
  resetState(): void {
    this.#tellRevoked('lost')
    this.#registry.clear()
  }

  beginShutdown(): void {
    this.#isShuttingDown = true
    this.#trigger.all()
  }

  stopFetchers(): void {
    this.#fetchers?.stop()
    this.#fetchers = undefined
  }

  closed(): void {
    this.#tellRevoked('revoked')
    this.#registry.clear()
    this.#enter('closed', 'shutdown')
  }

  /** @throws ConsumerTrouble after rebalance.max.retries */
  *syncedRebalance(reason: string): Task<void> {
    yield* this.lock.during(() => this.#tryToRebalance(reason))
  }

  *#onWatches(): Task<void> {
    for (;;) {
      while (!this.#isTriggered && !this.#isShuttingDown) yield* this.#trigger.wait()
      if (this.#isShuttingDown) return
      this.#isTriggered = false
      try {
        yield* this.syncedRebalance('watch')
      } catch (error) {
        if (!isTrouble(error)) throw error
      }
    }
  }

  *#tryToRebalance(reason: string): Task<void> {
    let why = reason
    for (let attempt = 0; attempt < this.#config['rebalance.max.retries']; attempt++) {
      if (this.#isShuttingDown) return
      this.#enter('rebalancing', why)
      try {
        yield* readCluster(this.#parts.zk)
        const conflict = yield* this.#rebalance()
        if (conflict === undefined) return this.#enter('consuming', 'claimed')
        why = conflict
      } catch (error) {
        if (!isTrouble(error)) throw error
        why = error.message
      }
      yield* this.#closeFetchers()
      yield* sleep(this.#env, this.#config['rebalance.backoff.ms'])
    }
    if (this.#isShuttingDown) return
    this.#enter('failed', why)
    throw new ConsumerTrouble(`${this.#parts.consumerId} cannot rebalance`)
  }

  /** Undefined: done. Else what stood against it. @throws KeeperFailure ConsumerTrouble */
  *#rebalance(): Task<string | undefined> {
    const { zk, offsets, consumerId } = this.#parts
    const group = this.#config['group.id']
    yield* topicCountOf(zk, group, consumerId)
    if ((yield* brokersInCluster(zk)).length === 0) {
      yield* zk.subscribeChildChanges(Path.brokerIds, () => this.watched())
      return undefined
    }
    // First of all: while fetchers run the application would be given what may be another's already.
    yield* this.#closeFetchers()
    yield* this.#release()
    const context = yield* readAssignmentContext(zk, group, consumerId)
    const assigned = PARTITION_ASSIGNORS[this.#config['partition.assignment.strategy']](context)
    const mine = assigned.filter(({ thread }) => thread.consumer === consumerId).sort(byPartition)
    const begins: Offset[] = []
    for (const partition of mine) begins.push(yield* offsets.read(partition))
    if (this.#isShuttingDown) return 'shutdown'
    const registry = new Map<string, PartitionTopicInfo>()
    mine.forEach((partition, at) => {
      const offset = begins[at] as Offset
      registry.set(partition.name, new PartitionTopicInfo(partition, this.#streamOf(partition), offset))
      offsets.begins(partition.name, offset)
    })
    const conflict = yield* this.#claim(mine)
    if (conflict !== undefined) return conflict
    this.#registry = registry
    this.#tellAssigned()
    this.#fetchers = new ConsumerFetchers(this.#env, this.#config, zk, this.#parts.channel, [...registry.values()])
    return undefined
  }

  /** What a listener of ZooKeeper does. */
  watched(): Task<void> {
    this.triggered()
    return nothing()
  }

  #streamOf({ topic, thread }: OwnedPartition): MessageStream {
    const stream = this.#streams.get(topic)?.[thread.thread]
    if (stream === undefined) throw new ConsumerTrouble(`${thread.name} has no stream of ${topic}`)
    return stream
  }

  /** Nothing more is handed over; what was is committed. */
  *#closeFetchers(): Task<void> {
    this.stopFetchers()
    for (const streams of this.#streams.values()) for (const stream of streams) stream.clear()
    if (this.#config['auto.commit.enable']) yield* this.#parts.offsets.commit(this.#registry.values(), 'auto')
  }

  /** Whoever the owners' znodes belong to by now. */
  *#release(): Task<void> {
    this.#tellRevoked('revoked')
    const registry = this.#registry
    for (const [name, { topic, index }] of registry) {
      yield* this.#parts.zk.delete(GroupPath.owner(this.#config['group.id'], topic, index))
      registry.delete(name)
    }
  }

  /** All or none; what stood against it. */
  *#claim(partitions: readonly OwnedPartition[]): Task<string | undefined> {
    const { zk } = this.#parts
    const pathOf = ({ topic, index }: OwnedPartition): string => GroupPath.owner(this.#config['group.id'], topic, index)
    const claimed: OwnedPartition[] = []
    let conflict: OwnedPartition | undefined
    for (const partition of partitions) {
      if (yield* claim(zk, pathOf(partition), partition.thread)) claimed.push(partition)
      else conflict ??= partition
    }
    if (conflict === undefined) return undefined
    for (const partition of claimed) yield* zk.delete(pathOf(partition))
    return `${conflict.name} has another owner`
  }

  // ── what the trace is told ────────────────────────────────────────────────────────────────────────────────────────

  #tellAssigned(): void {
    const owned = [...this.#registry.keys()].sort(byText)
    this.#told = owned
    const { consumerId: member } = this.#parts
    this.#env.emit('consumer.assigned', {
      group: this.#config['group.id'],
      member,
      generation: -1,
      partitions: owned,
      owned,
    })
    for (const [partition, info] of this.#registry) {
      const from = this.#lastInfos.get(partition)?.consumedOffset ?? -1
      this.#lastInfos.set(partition, info)
      if (info.consumedOffset < 0) continue
      this.#env.emit('consume.position', { partition, from, to: info.consumedOffset, reason: 'assigned' })
    }
  }

  #tellRevoked(how: 'revoked' | 'lost'): void {
    const partitions = this.#told
    this.#told = []
    if (partitions.length === 0) return
    const { consumerId: member } = this.#parts
    this.#env.emit('consumer.revoked', { group: this.#config['group.id'], member, generation: -1, partitions, how })
  }

  #enter(to: MemberState, reason: string): void {
    const from = this.#state
    if (from === 'closed') return
    this.#state = to
    const { consumerId: member } = this.#parts
    this.#env.emit('consumer.member', { group: this.#config['group.id'], member, from, to, generation: -1, reason })
  }
}

function byPartition(a: OwnedPartition, b: OwnedPartition): number {
  return byText(a.topic, b.topic) || a.index - b.index
}

function* nothing(): Task<void> {}
