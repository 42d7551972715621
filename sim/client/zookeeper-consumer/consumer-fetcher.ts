/**
 * Fetches from one broker for an old consumer: one request after the other, with all its partitions (`ConsumerFetcherThread` on the
 * `AbstractFetcherThread` of Kafka 1.1).
 *
 *   answer                      then
 *   records                     queued; the fetcher waits, under its lock, while the queue is full
 *   OFFSET_OUT_OF_RANGE         the position is reset as auto.offset.reset says, by asking the same broker
 *   another error               the partition goes back to the leader finder
 *   none (after a second try)   all partitions go back, after refresh.leader.backoff.ms
 *   records that another        the fetcher ends, with whatever it has
 *   fetcher has brought
 *
 * A partition without a stored offset is reset before its first fetch.
 */

import type { Env } from '../../kernel/env.js'
import type { NodeName } from '../../kernel/names.js'
import { INT_MAX, LONG_MAX, type Offset } from '../../kernel/units.js'
import type { Apis } from '../../wire/apis.js'
import { errorName, Errors } from '../../wire/errors.js'
import { ZERO_UUID } from '../../wire/uuid.js'
import type { Task } from '../../zookeeper/kafka/task.js'
import { BlockingChannel, type ChannelOptions } from './blocking-channel.js'
import type { PartitionTopicInfo } from './message-stream.js'
import { Mutex, Signal, sleep, Thread } from './thread.js'
import { ConsumerTrouble, isTrouble } from './zk-client.js'
import type { ZookeeperConsumerConfig } from './zookeeper-consumer-config.js'

type FetchRequest = Apis['Fetch']['request']
type Answer = Apis['Fetch']['response']['responses'][number]['partitions'][number]

/** The oldest that brokers of 4.1 speak; old consumers spoke 3. Both know neither sessions nor leader epochs. */
const FETCH_VERSION = 4
/** Old consumers spoke 0; with the epoch of this one left out it asks the same. */
const LIST_OFFSETS_VERSION = 4
const LATEST = -1
const EARLIEST = -2

export class ConsumerFetcher {
  readonly #env: Env
  readonly #config: ZookeeperConsumerConfig
  readonly #channel: BlockingChannel
  readonly #failed: (partitions: readonly PartitionTopicInfo[]) => Task<void>
  /** Where to fetch next; who was given records goes to the end. */
  readonly #partitions = new Map<PartitionTopicInfo, Offset>()
  readonly #lock = new Mutex()
  readonly #added = new Signal()
  readonly #thread: Thread

  constructor(
    env: Env,
    config: ZookeeperConsumerConfig,
    host: NodeName,
    channel: ChannelOptions,
    failed: (partitions: readonly PartitionTopicInfo[]) => Task<void>,
  ) {
    this.#env = env
    this.#config = config
    this.#channel = new BlockingChannel(env, host, channel)
    this.#failed = failed
    this.#thread = new Thread(this.#run())
  }

  stop(): void {
    this.#thread.interrupt()
    this.#channel.close()
  }

  *isIdle(): Task<boolean> {
    yield* this.#lock.lock()
    const isIdle = this.#partitions.size === 0
    this.#lock.unlock()
    return isIdle
  }

  /** Those that are there already stay where they are. @throws ConsumerTrouble when a position cannot be found */
  *addPartitions(partitions: readonly PartitionTopicInfo[]): Task<void> {
    yield* this.#lock.during(() => this.#add(partitions))
    this.#added.all()
  }

  *#add(partitions: readonly PartitionTopicInfo[]): Task<void> {
    const added: [PartitionTopicInfo, Offset][] = []
    for (const info of partitions) {
      if (this.#partitions.has(info)) continue
      added.push([info, info.fetchedOffset < 0 ? yield* this.#reset(info) : info.fetchedOffset])
    }
    for (const [info, offset] of added) this.#partitions.set(info, offset)
  }

  *#run(): Task<void> {
    for (;;) {
      while (this.#partitions.size === 0) yield* this.#added.wait()
      yield* this.#lock.lock()
      const asked = new Map(this.#partitions)
      this.#lock.unlock()
      if (asked.size > 0) yield* this.#fetch(asked)
    }
  }

  *#fetch(asked: ReadonlyMap<PartitionTopicInfo, Offset>): Task<void> {
    const failed = new Set<PartitionTopicInfo>()
    let answers: Map<PartitionTopicInfo, Answer> | undefined
    try {
      const response = yield* this.#channel.request('Fetch', FETCH_VERSION, this.#request(asked))
      answers = answersIn(response, asked)
    } catch (error) {
      if (!isTrouble(error)) throw error
      yield* this.#lock.lock()
      for (const info of this.#partitions.keys()) failed.add(info)
      this.#lock.unlock()
      yield* sleep(this.#env, this.#config['refresh.leader.backoff.ms'])
    }
    if (answers !== undefined && answers.size > 0) {
      yield* this.#lock.lock()
      for (const [info, answer] of answers) {
        // It may have been taken away meanwhile.
        if (this.#partitions.get(info) !== asked.get(info)) continue
        if (answer.errorCode === Errors.NONE && info.fetchedOffset !== asked.get(info)) return this.#die()
        if (!(yield* this.#answered(info, answer))) failed.add(info)
      }
      this.#lock.unlock()
    }
    if (failed.size === 0) return
    for (const info of failed) this.#partitions.delete(info)
    yield* this.#failed([...failed])
  }

  /** Another fetcher is at the same partition: Kafka's thread ends with an exception, and its partitions stay where they are. */
  #die(): void {
    this.#lock.unlock()
    this.stop()
  }

  /** False when the partition has to look for its leader. */
  *#answered(info: PartitionTopicInfo, { errorCode, records }: Answer): Task<boolean> {
    if (errorCode === Errors.NONE) {
      const last = records?.[records.length - 1]
      if (records === null || last === undefined) return true
      yield* info.enqueue(records)
      this.#moveToEnd(info, last.nextOffset)
      return true
    }
    if (errorCode !== Errors.OFFSET_OUT_OF_RANGE) return false
    try {
      this.#moveToEnd(info, yield* this.#reset(info))
      return true
    } catch (error) {
      if (!isTrouble(error)) throw error
      return false
    }
  }

  #moveToEnd(info: PartitionTopicInfo, offset: Offset): void {
    this.#partitions.delete(info)
    this.#partitions.set(info, offset)
  }

  /** As auto.offset.reset says. @throws ConsumerTrouble */
  *#reset(info: PartitionTopicInfo): Task<Offset> {
    const timestamp = this.#config['auto.offset.reset'] === 'smallest' ? EARLIEST : LATEST
    const { topic, index } = info
    const partitions = [{ partitionIndex: index, currentLeaderEpoch: -1, timestamp }]
    const body = { replicaId: -1, isolationLevel: 0, topics: [{ name: topic, partitions }], timeoutMs: 0 }
    const { topics } = yield* this.#channel.request('ListOffsets', LIST_OFFSETS_VERSION, body)
    const answer = topics[0]?.partitions[0]
    if (answer === undefined || answer.errorCode !== Errors.NONE) {
      throw new ConsumerTrouble(
        `offset of ${info.name}: ${errorName(answer?.errorCode ?? Errors.UNKNOWN_SERVER_ERROR)}`,
      )
    }
    const from = info.consumedOffset
    info.fetchedOffset = answer.offset
    info.consumedOffset = answer.offset
    info.wasReset = from >= 0
    this.#env.emit('consume.position', { partition: info.name, from, to: answer.offset, reason: 'reset' })
    return answer.offset
  }

  #request(asked: ReadonlyMap<PartitionTopicInfo, Offset>): FetchRequest {
    const topics = new Map<string, FetchRequest['topics'][number]['partitions'][number][]>()
    for (const [{ topic, index }, fetchOffset] of asked) {
      const partition = {
        partition: index,
        currentLeaderEpoch: -1,
        fetchOffset,
        lastFetchedEpoch: -1,
        logStartOffset: -1,
        partitionMaxBytes: this.#config['fetch.message.max.bytes'],
        replicaDirectoryId: ZERO_UUID,
        highWatermark: LONG_MAX,
      }
      const partitions = topics.get(topic)
      if (partitions === undefined) topics.set(topic, [partition])
      else partitions.push(partition)
    }
    return {
      clusterId: null,
      replicaId: -1,
      replicaState: { replicaId: -1, replicaEpoch: -1 },
      maxWaitMs: this.#config['fetch.wait.max.ms'],
      minBytes: this.#config['fetch.min.bytes'],
      maxBytes: INT_MAX,
      isolationLevel: 0,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [...topics].map(([topic, partitions]) => ({ topic, topicId: ZERO_UUID, partitions })),
      forgottenTopicsData: [],
      rackId: '',
    }
  }
}

function answersIn(
  { responses }: Apis['Fetch']['response'],
  asked: ReadonlyMap<PartitionTopicInfo, Offset>,
): Map<PartitionTopicInfo, Answer> {
  const byName = new Map([...asked.keys()].map((info) => [info.name, info]))
  const answers = new Map<PartitionTopicInfo, Answer>()
  for (const { topic, partitions } of responses) {
    for (const answer of partitions) {
      const info = byName.get(`${topic}-${answer.partitionIndex}`)
      if (info !== undefined) answers.set(info, answer)
    }
  }
  return answers
}
