/**
 * The applications of a scenario: programs that produce and consume, each on a node of its own.
 *
 * A producer hands over one record every `every`, whatever became of the ones before. A consumer polls without end and takes `pause` for
 * what a poll returned; told that it may not read a topic, it tries again a second later. What an application must remember over a crash of its own process (the number of the next
 * record) is kept outside it, as a database would.
 */

import { Consumer } from '../client/consumer.js'
import { parseConsumerConfig } from '../client/consumer-config.js'
import { Producer } from '../client/producer.js'
import { parseProducerConfig } from '../client/producer-config.js'
import type { Boot, Env, Program } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import { MICROS_PER_MS } from '../kernel/units.js'
import type { WireMode } from '../wire/frame.js'
import { keysOf, producerRecord } from './producer-record.js'
import { ERROR_PAUSE_MS, GroupProgram } from './group-workload.js'
import { isOldConsumer, serversOfConnect, ZOOKEEPER_CONNECT } from './old-consumer.js'
import { OldGroupProgram } from './old-group-workload.js'
import { PipelineProgram } from './pipeline-workload.js'
import { TransactionProgram } from './transaction-workload.js'
import type { ClientSpec, ConsumerSpec, ProducerSpec } from './scenario.js'

/** What survives the application's process. */
export interface Memory {
  next: number
}

/** What a client knows of the cluster at first. */
export interface Bootstrap {
  readonly brokers: readonly NodeName[]
  /** Of ZooKeeper mode. */
  readonly ensemble: readonly NodeName[]
}

/** The program of client `name`. */
export function bootWorkload(
  name: string,
  spec: ClientSpec,
  { brokers: bootstrap, ensemble }: Bootstrap,
  partitions: number,
  wire: WireMode,
): Boot {
  const memory: Memory = { next: 0 }
  if (spec.kind === 'produce' && spec.transaction !== undefined) {
    const { transaction } = spec
    return (env) => new TransactionProgram(env, name, spec, transaction, bootstrap, wire, memory)
  }
  if (spec.kind === 'produce') return (env) => new ProducerProgram(env, name, spec, bootstrap, wire, memory)
  if (spec.kind === 'pipeline') return (env) => new PipelineProgram(env, name, spec, bootstrap, wire, memory)
  if (spec.kind === 'group' && isOldConsumer(spec.config)) {
    const servers = serversOfConnect(spec.config[ZOOKEEPER_CONNECT], ensemble)
    return (env) => new OldGroupProgram(env, spec, servers, wire)
  }
  if (spec.kind === 'group') return (env) => new GroupProgram(env, name, spec, bootstrap, wire)
  return (env) => new ConsumerProgram(env, spec, bootstrap, partitions, wire)
}

class ProducerProgram implements Program {
  readonly #env: Env
  readonly #name: string
  readonly #spec: ProducerSpec
  readonly #producer: Producer
  readonly #memory: Memory
  readonly #keys: readonly Uint8Array[]
  #stopping = false

  constructor(
    env: Env,
    name: string,
    spec: ProducerSpec,
    bootstrap: readonly NodeName[],
    wire: WireMode,
    memory: Memory,
  ) {
    this.#env = env
    this.#name = name
    this.#spec = spec
    this.#memory = memory
    this.#producer = new Producer(env, parseProducerConfig(spec.config), bootstrap, { wire })
    this.#keys = keysOf(spec)
    this.#tick()
  }

  stop(done: () => void): void {
    this.#stopping = true
    this.#producer.close(done)
  }

  #tick(): void {
    const { count = Infinity, every } = this.#spec
    if (this.#stopping || this.#memory.next >= count) return
    if (every === 0) {
      while (this.#memory.next < count) this.#send(this.#memory.next++)
      return
    }
    this.#send(this.#memory.next++)
    this.#env.after(every / MICROS_PER_MS, () => this.#tick())
  }

  #send(number: number): void {
    this.#producer.send(producerRecord(this.#name, this.#spec, this.#keys, number), ignore)
  }
}

/** What became of a record stands in the trace; the application does nothing about it. */
function ignore(): void {}

/** How long a poll waits for records before it is done with none. */
const POLL_TIMEOUT_MS = 1_000

class ConsumerProgram implements Program {
  readonly #env: Env
  readonly #spec: ConsumerSpec
  readonly #consumer: Consumer
  #stopping = false

  constructor(env: Env, spec: ConsumerSpec, bootstrap: readonly NodeName[], partitions: number, wire: WireMode) {
    this.#env = env
    this.#spec = spec
    this.#consumer = new Consumer(env, parseConsumerConfig(spec.config), bootstrap, { wire })
    const assigned = spec.partitions ?? Array.from({ length: partitions }, (_, i) => i)
    this.#consumer.assign(assigned.map((index) => ({ topic: spec.topic, index })))
    this.#poll()
  }

  stop(done: () => void): void {
    this.#stopping = true
    this.#consumer.close(done)
  }

  #poll(): void {
    if (this.#stopping) return
    this.#consumer.poll(({ error }) => {
      const pauseMs = Math.max(this.#spec.pause / MICROS_PER_MS, error === undefined ? 0 : ERROR_PAUSE_MS)
      if (pauseMs === 0) this.#poll()
      else this.#env.after(pauseMs, () => this.#poll())
    }, POLL_TIMEOUT_MS)
  }
}
