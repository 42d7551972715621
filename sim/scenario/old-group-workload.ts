/**
 * An application that reads with the old consumer, whose group is kept in ZooKeeper: one thread for each of its streams takes records and works on
 * them one by one.
 *
 *     commit: auto     the consumer commits by its interval what was handed over, the record in work among it
 *     commit: sync     after the work on what a fetch has brought of a partition; the thread waits until it is in ZooKeeper
 *     commit: none     never
 *
 * With `hands-off` a thread gives records to a worker of its own and takes the next ones at once. When the consumer cannot begin (no ensemble,
 * no success in rebalancing), or meets a record that is rotten, it is shut down and begun anew after a second, as a supervisor would.
 */

import type { ConsumedRecord } from '../client/completed-fetch.js'
import type { MessageStream } from '../client/zookeeper-consumer/message-stream.js'
import { parseZookeeperConsumerConfig } from '../client/zookeeper-consumer/zookeeper-consumer-config.js'
import { ZookeeperConsumerConnector, type Streams } from '../client/zookeeper-consumer/zookeeper-consumer-connector.js'
import type { Env, Program } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import { MICROS_PER_MS, type Millis } from '../kernel/units.js'
import type { WireMode } from '../wire/frame.js'
import { oldConsumerSettings } from './old-consumer.js'
import { emitProcessed } from './processed.js'
import type { GroupSpec } from './scenario.js'

const RESTART_DELAY_MS = 1_000

export class OldGroupProgram implements Program {
  readonly #env: Env
  readonly #spec: GroupSpec
  readonly #boot: () => ZookeeperConsumerConnector
  readonly #workMs: Millis
  #connector: ZookeeperConsumerConnector
  #state: 'running' | 'restarting' | 'stopping' = 'running'
  /** The worker is busy until then. */
  #busyUntilMs: Millis = 0
  /** Threads that work on a record. */
  #working = 0
  #onIdle: (() => void) | undefined

  constructor(env: Env, spec: GroupSpec, servers: readonly NodeName[], wire: WireMode) {
    this.#env = env
    this.#spec = spec
    this.#workMs = spec.work / MICROS_PER_MS
    const config = parseZookeeperConsumerConfig(oldConsumerSettings(spec.config, spec.group, spec.commit))
    this.#boot = () => new ZookeeperConsumerConnector(env, config, servers, { wire })
    this.#connector = this.#begin()
  }

  stop(done: () => void): void {
    this.#state = 'stopping'
    this.#whenIdle(() => this.#connector.shutdown(done))
  }

  #begin(): ZookeeperConsumerConnector {
    this.#state = 'running'
    const connector = this.#boot()
    this.#connector = connector
    connector.createMessageStreams(new Map(this.#spec.topics.map((topic) => [topic, 1])), (result) => {
      if (typeof result === 'string') this.#failed('', result)
      else this.#readFrom(result)
    })
    return connector
  }

  #readFrom(streams: Streams): void {
    for (const ofTopic of streams.values()) for (const stream of ofTopic) this.#take(stream)
  }

  /** The end of a thread's loop: takes what is there, or waits for it. */
  #take(stream: MessageStream): void {
    if (this.#state !== 'running') return
    const taken = stream.take(this.#workMs > 0 && !this.#spec.handsOff ? 1 : Infinity)
    if (taken.type === 'nothing') stream.onMore(() => this.#take(stream))
    else if (taken.type === 'failed') this.#failed(taken.partition, 'CORRUPT_MESSAGE')
    else if (taken.type === 'records') {
      if (this.#spec.handsOff) this.#handOff(stream, taken.records)
      else this.#work(stream, taken.records)
    }
  }

  #work(stream: MessageStream, records: readonly ConsumedRecord[]): void {
    if (this.#workMs === 0) return this.#worked(stream, records)
    this.#working++
    this.#env.after(this.#workMs * records.length, () => {
      this.#working--
      this.#worked(stream, records)
    })
  }

  #worked(stream: MessageStream, records: readonly ConsumedRecord[]): void {
    emitProcessed(this.#env, records)
    if (this.#working === 0 && this.#onIdle !== undefined) this.#onIdle()
    else this.#commit(stream)
  }

  /** The worker takes its time; the thread does not wait for it. */
  #handOff(stream: MessageStream, records: readonly ConsumedRecord[]): void {
    const nowMs = this.#env.clock.monotonicMs()
    this.#busyUntilMs = Math.max(nowMs, this.#busyUntilMs) + this.#workMs * records.length
    this.#env.after(this.#busyUntilMs - nowMs, () => emitProcessed(this.#env, records))
    this.#commit(stream)
  }

  #commit(stream: MessageStream): void {
    const goOn = (): void => this.#env.soon(() => this.#take(stream))
    if (this.#spec.commit === 'sync' && stream.isBetweenChunks) this.#connector.commitOffsets(goOn)
    else goOn()
  }

  #failed(partition: string, error: string): void {
    if (this.#state !== 'running') return
    this.#env.emit('consume.failed', { partition, error })
    this.#state = 'restarting'
    this.#connector.shutdown(() => this.#env.after(RESTART_DELAY_MS, () => this.#restart()))
  }

  #restart(): void {
    if (this.#state === 'restarting') this.#begin()
  }

  /** What was begun is finished first. */
  #whenIdle(then: () => void): void {
    if (this.#working === 0) then()
    else this.#onIdle = then
  }
}
