/**
 * Offsets of an old consumer's group in ZooKeeper: read before a partition is claimed, written from then on (`commitOffsets`,
 * `fetchOffsets` of `ZookeeperConsumerConnector`).
 *
 * One commit at a time. Only what has changed since it was read or written here is written; whatever somebody else wrote meanwhile is
 * overwritten, for nothing tells who may write: a member whose session is over goes on until it hears of it.
 */

import type { Env } from '../../kernel/env.js'
import type { Offset } from '../../kernel/units.js'
import { KeeperFailure } from '../../zookeeper/kafka/kafka-zk-client.js'
import type { Task } from '../../zookeeper/kafka/task.js'
import { CommitReporter } from '../group/commit-reporter.js'
import type { CommitHow } from '../group/group-types.js'
import { readOffset, writeOffset } from './group-znodes.js'
import type { PartitionTopicInfo } from './message-stream.js'
import type { OwnedPartition } from './partition-assignors.js'
import { Mutex } from './thread.js'
import type { ZkClient } from './zk-client.js'

export class ConsumerOffsets {
  readonly #env: Env
  readonly #zk: ZkClient
  readonly #group: string
  readonly #consumerId: string
  readonly #reporter: CommitReporter
  readonly #lock = new Mutex()
  /** What is in ZooKeeper, as far as this consumer knows. */
  readonly #checkpointed = new Map<string, Offset>()

  constructor(env: Env, zk: ZkClient, group: string, consumerId: string) {
    this.#env = env
    this.#zk = zk
    this.#group = group
    this.#consumerId = consumerId
    this.#reporter = new CommitReporter(env, group)
  }

  /** -1: none is stored. */
  *read({ topic, index }: OwnedPartition): Task<Offset> {
    return yield* readOffset(this.#zk, this.#group, topic, index)
  }

  /** This is where a partition begins. */
  begins(partition: string, offset: Offset): void {
    this.#checkpointed.set(partition, offset)
  }

  /** Writes what counts as consumed now. @throws KeeperFailure when the client was closed meanwhile */
  *commit(infos: Iterable<PartitionTopicInfo>, how: CommitHow): Task<void> {
    const offsets = [...infos].map((info): [PartitionTopicInfo, Offset] => [info, info.consumedOffset])
    yield* this.#lock.during(() => this.#write(offsets, how))
  }

  *#write(offsets: readonly [PartitionTopicInfo, Offset][], how: CommitHow): Task<void> {
    const changed = offsets.filter(([{ name }, offset]) => this.#checkpointed.get(name) !== offset)
    const answered = this.#reporter.asked(how, new Map(changed.map(([{ name }, offset]) => [name, { offset }])))
    try {
      for (const [{ topic, index, name }, offset] of changed) {
        yield* writeOffset(this.#zk, this.#group, topic, index, offset)
        this.#checkpointed.set(name, offset)
        this.#tell(name, offset)
      }
      answered(undefined)
    } catch (error) {
      if (error instanceof KeeperFailure) answered(error.code)
      throw error
    }
  }

  #tell(partition: string, offset: Offset): void {
    this.#env.emit('group.offset', {
      group: this.#group,
      partition,
      offset,
      leaderEpoch: -1,
      member: this.#consumerId,
      generation: -1,
      producerId: -1,
    })
  }
}
