/**
 * ISR changes before 2.7: the leader writes the partition's state znode itself (`ZkAlterPartitionManager`, `ReplicationUtils`).
 *
 * Compare-and-set on the znode's version, with the epoch of the controller that made it leader. When another version is there, and it says what was to be
 * written, an earlier try has got through; otherwise INVALID_UPDATE_VERSION, and the leader waits for the controller. The controller and the
 * others hear of it by a child of /isr_change_notification: looked at every 2.5 s, once nothing has changed for 5 s, or 60 s after the last time.
 */

import type { Env, EnvTimer } from '../../kernel/env.js'
import type { Epoch, Millis } from '../../kernel/units.js'
import { Errors } from '../../wire/errors.js'
import { isZooKeeperTrouble, type KafkaZkClient } from '../../zookeeper/kafka/kafka-zk-client.js'
import { runTask, type Task } from '../../zookeeper/kafka/task.js'
import {
  type LeaderAndIsr as ZkLeaderAndIsr,
  PartitionsZnode,
  Path,
  StateZnode,
  type TopicPartition,
  topicPartition,
} from '../../zookeeper/kafka/znodes.js'
import type { IsrChanges, TopicIdPartition } from '../alter-partition-manager.js'
import type { AlterPartitionResult, LeaderAndIsr } from '../isr-state.js'

const CHECK_INTERVAL_MS: Millis = 2_500
const LINGER_MS: Millis = 5_000
const MAX_DELAY_MS: Millis = 60_000

export interface ZkIsrChangesOptions {
  readonly zk: KafkaZkClient
  /** Epoch of the controller that made this broker the leader. */
  readonly decidedBy: (partition: string) => Epoch
}

export class ZkIsrChanges implements IsrChanges {
  readonly #env: Env
  readonly #options: ZkIsrChangesOptions
  readonly #startMs: Millis
  #changed = new Map<string, TopicPartition>()
  #lastChangeMs: Millis
  #lastTellMs: Millis
  #check: EnvTimer | undefined
  #isClosed = false

  constructor(env: Env, options: ZkIsrChangesOptions) {
    this.#env = env
    this.#options = options
    this.#startMs = env.clock.monotonicMs()
    this.#lastChangeMs = env.clock.wallMs()
    this.#lastTellMs = this.#lastChangeMs
  }

  submit(partition: TopicIdPartition, wanted: LeaderAndIsr, done: (result: AlterPartitionResult) => void): void {
    runTask(this.#write(partition, wanted), (result) => {
      if (!this.#isClosed) done(result)
    })
  }

  close(): void {
    this.#isClosed = true
    this.#check?.cancel()
  }

  *#write({ topic, index }: TopicIdPartition, wanted: LeaderAndIsr): Task<AlterPartitionResult> {
    const { zk, decidedBy } = this.#options
    const partition = topicPartition(topic, index)
    const leaderAndIsr: ZkLeaderAndIsr = { ...wanted, isr: wanted.isr.map(({ brokerId }) => brokerId) }
    const data = StateZnode.encode({ leaderAndIsr, controllerEpoch: decidedBy(partition.name) })
    const path = Path.state(topic, index)
    try {
      const version = yield* zk.conditionalUpdate(path, data, wanted.partitionEpoch)
      const partitionEpoch = version ?? (yield* this.#written(path, data))
      if (partitionEpoch === undefined) return { ok: false, error: Errors.INVALID_UPDATE_VERSION }
      this.#changes(partition)
      return { ok: true, ...leaderAndIsr, partitionEpoch }
    } catch (error) {
      if (!isZooKeeperTrouble(error)) throw error
      return { ok: false, error: Errors.UNKNOWN_SERVER_ERROR }
    }
  }

  /** The version under which exactly this was written already. */
  *#written(path: string, data: Uint8Array): Task<number | undefined> {
    const found = yield* this.#options.zk.getData(path)
    if (found === undefined || found.data === null || found.data.length !== data.length) return undefined
    for (let i = 0; i < data.length; i++) if (found.data[i] !== data[i]) return undefined
    return found.stat.version
  }

  // ── telling ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #changes(partition: TopicPartition): void {
    this.#changed.set(partition.name, partition)
    this.#lastChangeMs = this.#env.clock.wallMs()
    this.#schedule()
  }

  /** Kafka looks every 2.5 s from the start on; without changes there is nothing to look at. */
  #schedule(): void {
    if (this.#check !== undefined || this.#isClosed) return
    const sinceStart = this.#env.clock.monotonicMs() - this.#startMs
    this.#check = this.#env.after(CHECK_INTERVAL_MS - (sinceStart % CHECK_INTERVAL_MS), () => {
      this.#check = undefined
      this.#maybeTell()
    })
  }

  #maybeTell(): void {
    const now = this.#env.clock.wallMs()
    const isDue = this.#lastChangeMs + LINGER_MS < now || this.#lastTellMs + MAX_DELAY_MS < now
    if (!isDue) return this.#schedule()
    const changed = this.#changed
    this.#changed = new Map()
    this.#lastTellMs = now
    runTask(this.#tell([...changed.values()]), (isTold) => {
      if (isTold) return
      for (const [name, partition] of changed) this.#changed.set(name, partition)
      this.#schedule()
    })
  }

  *#tell(partitions: readonly TopicPartition[]): Task<boolean> {
    try {
      yield* this.#options.zk.create(Path.isrChange, PartitionsZnode.encode(partitions), 'PERSISTENT_SEQUENTIAL')
      return true
    } catch (error) {
      if (!isZooKeeperTrouble(error)) throw error
      return false
    }
  }
}
