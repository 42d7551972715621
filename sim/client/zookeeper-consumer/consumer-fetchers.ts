/**
 * Fetchers of the partitions that an old consumer owns, from when they are owned until they are given up (`ConsumerFetcherManager`).
 *
 *     without leader ── the leader finder asks brokers for metadata ──► a fetcher of that leader
 *           ▲                                                                │
 *           └────────── an error of the partition, or of the request ────────┘
 *
 * The leader finder asks one broker after the other, in an order drawn anew each time, and rests `refresh.leader.backoff.ms` after each round. It hands
 * partitions over to a fetcher under that one's lock: a fetcher that waits for room in a queue holds it up. Made by `startConnections`,
 * and gone with `stopConnections`: what is under way is interrupted.
 */

import type { Env } from '../../kernel/env.js'
import type { Apis } from '../../wire/apis.js'
import { ZERO_UUID } from '../../wire/uuid.js'
import type { Task } from '../../zookeeper/kafka/task.js'
import { javaHash } from '../group/java-hash-order.js'
import { BlockingChannel, type ChannelOptions } from './blocking-channel.js'
import { ConsumerFetcher } from './consumer-fetcher.js'
import { brokersInCluster, type BrokerEndPoint } from './group-znodes.js'
import type { PartitionTopicInfo } from './message-stream.js'
import type { ZookeeperConsumerConfig } from './zookeeper-consumer-config.js'
import { Mutex, Signal, sleep, Thread } from './thread.js'
import { ConsumerTrouble, isTrouble, type ZkClient } from './zk-client.js'

type MetadataResponse = Apis['Metadata']['response']

/** What old consumers speak (`TopicMetadataRequest.CurrentVersion`). */
const METADATA_VERSION = 0

export class ConsumerFetchers {
  readonly #env: Env
  readonly #config: ZookeeperConsumerConfig
  readonly #zk: ZkClient
  readonly #channel: ChannelOptions
  readonly #partitions: ReadonlyMap<string, PartitionTopicInfo>
  readonly #withoutLeader: Set<string>
  readonly #lock = new Mutex()
  readonly #more = new Signal()
  /** `broker fetcher` → the fetcher. */
  readonly #fetchers = new Map<string, ConsumerFetcher>()
  readonly #finder: Thread
  #asking: BlockingChannel | undefined

  constructor(
    env: Env,
    config: ZookeeperConsumerConfig,
    zk: ZkClient,
    channel: ChannelOptions,
    partitions: readonly PartitionTopicInfo[],
  ) {
    this.#env = env
    this.#config = config
    this.#zk = zk
    this.#channel = channel
    this.#partitions = new Map(partitions.map((info) => [info.name, info]))
    this.#withoutLeader = new Set(this.#partitions.keys())
    this.#finder = new Thread(this.#findLeaders())
  }

  /** Interrupts everything. */
  stop(): void {
    this.#finder.interrupt()
    this.#asking?.close()
    for (const fetcher of this.#fetchers.values()) fetcher.stop()
    this.#fetchers.clear()
  }

  // ── leaders ───────────────────────────────────────────────────────────────────────────────────────────────────────

  *#findLeaders(): Task<void> {
    for (;;) {
      yield* this.#lock.lock()
      let found = new Map<PartitionTopicInfo, BrokerEndPoint>()
      try {
        while (this.#withoutLeader.size === 0) {
          this.#lock.unlock()
          yield* this.#more.wait()
          yield* this.#lock.lock()
        }
        found = this.#leadersIn(yield* this.#metadata())
      } catch (error) {
        if (!isTrouble(error)) throw error
      }
      this.#lock.unlock()
      try {
        yield* this.#addFetchers(found)
      } catch (error) {
        if (!isTrouble(error)) throw error
        yield* this.#lock.lock()
        for (const { name } of found.keys()) this.#withoutLeader.add(name)
        this.#lock.unlock()
      }
      yield* this.#stopIdleFetchers()
      yield* sleep(this.#env, this.#config['refresh.leader.backoff.ms'])
    }
  }

  /** From the first broker that answers. @throws ConsumerTrouble when none does */
  *#metadata(): Task<MetadataResponse> {
    const topics = new Set<string>()
    for (const name of this.#withoutLeader) topics.add((this.#partitions.get(name) as PartitionTopicInfo).topic)
    const body: Apis['Metadata']['request'] = {
      topics: [...topics].map((name) => ({ topicId: ZERO_UUID, name })),
      allowAutoTopicCreation: true,
      includeClusterAuthorizedOperations: false,
      includeTopicAuthorizedOperations: false,
    }
    const brokers = yield* brokersInCluster(this.#zk)
    for (const { host } of this.#env.random.shuffle(brokers)) {
      const channel = new BlockingChannel(this.#env, host, this.#channel)
      this.#asking = channel
      try {
        return yield* channel.request('Metadata', METADATA_VERSION, body, 1)
      } catch (error) {
        if (!isTrouble(error)) throw error
      } finally {
        channel.close()
        this.#asking = undefined
      }
    }
    throw new ConsumerTrouble('no broker tells where the leaders are')
  }

  #leadersIn({ topics, brokers }: MetadataResponse): Map<PartitionTopicInfo, BrokerEndPoint> {
    const hosts = new Map(brokers.map(({ nodeId, host }) => [nodeId, host]))
    const found = new Map<PartitionTopicInfo, BrokerEndPoint>()
    for (const topic of topics) {
      for (const { partitionIndex, leaderId } of topic.partitions) {
        const name = `${topic.name ?? ''}-${partitionIndex}`
        const host = hosts.get(leaderId)
        const info = this.#partitions.get(name)
        if (host === undefined || info === undefined || !this.#withoutLeader.delete(name)) continue
        found.set(info, { id: leaderId, host })
      }
    }
    return found
  }

  // ── fetchers ──────────────────────────────────────────────────────────────────────────────────────────────────────

  *#addFetchers(leaders: ReadonlyMap<PartitionTopicInfo, BrokerEndPoint>): Task<void> {
    const ofFetcher = new Map<string, { readonly broker: BrokerEndPoint; readonly partitions: PartitionTopicInfo[] }>()
    for (const [info, broker] of leaders) {
      const key = `${broker.id} ${this.#fetcherId(info)}`
      const group = ofFetcher.get(key)
      if (group === undefined) ofFetcher.set(key, { broker, partitions: [info] })
      else group.partitions.push(info)
    }
    for (const [key, { broker, partitions }] of ofFetcher) {
      let fetcher = this.#fetchers.get(key)
      if (fetcher === undefined) {
        fetcher = new ConsumerFetcher(this.#env, this.#config, broker.host, this.#channel, (failed) =>
          this.#leaderless(failed),
        )
        this.#fetchers.set(key, fetcher)
      }
      yield* fetcher.addPartitions(partitions)
    }
  }

  #fetcherId({ topic, index }: PartitionTopicInfo): number {
    const hash = (Math.imul(31, javaHash(topic)) + index) | 0
    return (hash & 0x7fffffff) % this.#config['num.consumer.fetchers']
  }

  *#leaderless(partitions: readonly PartitionTopicInfo[]): Task<void> {
    yield* this.#lock.lock()
    for (const { name } of partitions) this.#withoutLeader.add(name)
    this.#lock.unlock()
    this.#more.all()
  }

  *#stopIdleFetchers(): Task<void> {
    for (const [key, fetcher] of this.#fetchers) {
      if (!(yield* fetcher.isIdle())) continue
      fetcher.stop()
      this.#fetchers.delete(key)
    }
  }
}
