/**
 * The old ("high-level") consumer of Kafka up to 1.1: a member of a group that is kept in ZooKeeper (`ZookeeperConsumerConnector`).
 *
 * No broker knows of the group. Membership, ownership and offsets are znodes (group-znodes.ts); members rebalance by themselves
 * (rebalancer.ts). The application takes records from streams (message-stream.ts), one for each thread that it has, and they come from
 * fetchers of the partitions' leaders (consumer-fetchers.ts).
 *
 * Reading goes on without ZooKeeper. What needs it (commits, rebalances, looking for leaders, the shutdown) waits for a connection, however
 * long that takes. When the session has expired, nobody tells the consumer before it is connected again: until then it reads what others may own.
 */

import type { Env } from '../../kernel/env.js'
import type { NodeName } from '../../kernel/names.js'
import type { WireMode } from '../../wire/frame.js'
import { runTask, type Task } from '../../zookeeper/kafka/task.js'
import { Path } from '../../zookeeper/kafka/znodes.js'
import { ConsumerOffsets } from './consumer-offsets.js'
import { ConsumerIdZnode, GroupPath, type TopicCount } from './group-znodes.js'
import { MessageStream } from './message-stream.js'
import { Rebalancer } from './rebalancer.js'
import { sleep, Thread } from './thread.js'
import { isTrouble, ZkClient } from './zk-client.js'
import type { ZookeeperConsumerConfig } from './zookeeper-consumer-config.js'

export interface ConnectorOptions {
  readonly wire?: WireMode
  /** Default: the group, the host, the time and eight hexadecimal digits. */
  readonly consumerId?: string
}

/** Why there are no streams: no connection to ZooKeeper in time, or what creating them threw. */
export type StreamsError = 'ZK_TIMEOUT' | 'REGISTRATION_FAILED' | 'CONSUMER_REBALANCE_FAILED'

/** Topic → its streams. */
export type Streams = ReadonlyMap<string, readonly MessageStream[]>

export class ZookeeperConsumerConnector {
  readonly consumerId: string
  readonly #env: Env
  readonly #config: ZookeeperConsumerConfig
  readonly #zk: ZkClient
  readonly #offsets: ConsumerOffsets
  readonly #rebalancer: Rebalancer
  #committer: Thread | undefined
  #isShuttingDown = false

  /** @param servers of the ensemble */
  constructor(env: Env, config: ZookeeperConsumerConfig, servers: readonly NodeName[], options: ConnectorOptions = {}) {
    this.#env = env
    this.#config = config
    const group = config['group.id']
    this.consumerId = options.consumerId ?? newConsumerId(env, group)
    this.#zk = new ZkClient(env, servers, config['zookeeper.session.timeout.ms'])
    this.#offsets = new ConsumerOffsets(env, this.#zk, group, this.consumerId)
    this.#rebalancer = new Rebalancer(env, config, {
      zk: this.#zk,
      offsets: this.#offsets,
      consumerId: this.consumerId,
      channel: {
        clientId: config['client.id'],
        socketTimeoutMs: config['socket.timeout.ms'],
        ...(options.wire !== undefined && { wire: options.wire }),
      },
    })
  }

  /**
   * Connects, registers, and takes part in the group: once. `done` comes when the first rebalance is over. After an error the
   * consumer is good for nothing but `shutdown`, though it goes on as a member until then.
   */
  createMessageStreams(topics: TopicCount, done: (result: Streams | StreamsError) => void): void {
    runTask(this.#create(topics), (result) => {
      if (!this.#isShuttingDown) done(result)
    })
  }

  /** Commits what was handed over. `done` once it is in ZooKeeper, whenever that is. */
  commitOffsets(done: () => void): void {
    runTask(untroubled(this.#offsets.commit(this.#rebalancer.owned, 'sync')), done)
  }

  /** Commits if it is to, and ends the session. Streams end. Waits for a rebalance under way, and for ZooKeeper. */
  shutdown(done: () => void): void {
    this.#isShuttingDown = true
    this.#rebalancer.beginShutdown()
    runTask(
      this.#rebalancer.lock.during(() => this.#shutdown()),
      () => this.#zk.close(done),
    )
  }

  *#create(topics: TopicCount): Task<Streams | StreamsError> {
    if (!(yield* this.#zk.waitUntilConnected(this.#config['zookeeper.connection.timeout.ms']))) return 'ZK_TIMEOUT'
    if (this.#config['auto.commit.enable']) this.#committer = new Thread(this.#autoCommit())
    const capacity = this.#config['queued.max.message.chunks']
    for (const [topic, count] of topics) {
      const streams = Array.from({ length: count }, () => new MessageStream(this.#env, capacity))
      this.#rebalancer.addStreams(topic, streams)
    }
    let step: StreamsError = 'REGISTRATION_FAILED'
    try {
      yield* this.#register(topics)
      this.#zk.subscribeStateChanges(() => this.#newSession(topics))
      const rebalance = (): Task<void> => this.#rebalancer.watched()
      yield* this.#zk.subscribeChildChanges(GroupPath.ids(this.#config['group.id']), rebalance)
      for (const topic of topics.keys()) {
        yield* this.#zk.subscribeDataChanges(Path.topic(topic), { changed: rebalance, deleted: nothing })
      }
      step = 'CONSUMER_REBALANCE_FAILED'
      yield* this.#rebalancer.syncedRebalance('registered')
      return this.#rebalancer.streams
    } catch (error) {
      if (!isTrouble(error)) throw error
      return step
    }
  }

  /** Ephemerals are gone with the session before, and with them all that this consumer owned. */
  *#newSession(topics: TopicCount): Task<void> {
    this.#rebalancer.resetState()
    yield* this.#register(topics)
    yield* this.#rebalancer.syncedRebalance('session')
  }

  *#register(topics: TopicCount): Task<void> {
    const path = GroupPath.id(this.#config['group.id'], this.consumerId)
    yield* this.#zk.createCheckedEphemeral(path, ConsumerIdZnode.encode(topics, this.#env.clock.wallMs()))
  }

  /** At a fixed rate; one that is held up is made up for. */
  *#autoCommit(): Task<void> {
    const intervalMs = this.#config['auto.commit.interval.ms']
    for (let dueMs = this.#env.clock.monotonicMs() + intervalMs; ; dueMs += intervalMs) {
      yield* sleep(this.#env, Math.max(dueMs - this.#env.clock.monotonicMs(), 0))
      if (this.#isShuttingDown) return
      yield* untroubled(this.#offsets.commit(this.#rebalancer.owned, 'auto'))
    }
  }

  *#shutdown(): Task<void> {
    this.#rebalancer.stopFetchers()
    for (const streams of this.#rebalancer.streams.values()) for (const stream of streams) stream.shutdown()
    // One under way is waited for by the last one.
    if (this.#committer !== undefined) yield* untroubled(this.#offsets.commit(this.#rebalancer.owned, 'auto'))
    this.#rebalancer.closed()
  }
}

function newConsumerId(env: Env, group: string): string {
  let digits = ''
  for (let i = 0; i < 8; i++) digits += env.random.int(16).toString(16)
  return `${group}_${env.node}-${env.clock.wallMs()}-${digits}`
}

function* nothing(): Task<void> {}

/** What it throws is logged, and no more. */
function* untroubled(task: Task<void>): Task<void> {
  try {
    yield* task
  } catch (error) {
    if (!isTrouble(error)) throw error
  }
}
