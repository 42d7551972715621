/**
 * An application that writes in transactions: begins one, sends its records at the given pace, and commits it, or aborts every so manieth.
 *
 * It goes on as Kafka's documentation tells: after an error that can be aborted it aborts and goes on with new records; after a fatal
 * one the producer is closed and another one begins, with the same transactional id, unless it was fenced: then somebody else
 * has taken its place, and it stops. Records of a transaction that was not committed are not sent again.
 */

import { Producer } from '../client/producer.js'
import { parseProducerConfig, type ProducerConfig } from '../client/producer-config.js'
import { keysOf, producerRecord } from './producer-record.js'
import type { Env, Program } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import { MICROS_PER_MS, type Millis } from '../kernel/units.js'
import type { WireMode } from '../wire/frame.js'
import type { ProducerSpec, TransactionSpec } from './scenario.js'
import type { Memory } from './workload.js'

const RESTART_DELAY_MS: Millis = 1_000
const FENCED: readonly string[] = ['PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH']

export class TransactionProgram implements Program {
  readonly #env: Env
  readonly #name: string
  readonly #spec: ProducerSpec
  readonly #transaction: TransactionSpec
  readonly #config: ProducerConfig
  readonly #bootstrap: readonly NodeName[]
  readonly #wire: WireMode
  readonly #memory: Memory
  readonly #keys: readonly Uint8Array[]
  #producer: Producer
  #count = 0
  #stopping = false

  constructor(
    env: Env,
    name: string,
    spec: ProducerSpec,
    transaction: TransactionSpec,
    bootstrap: readonly NodeName[],
    wire: WireMode,
    memory: Memory,
  ) {
    this.#env = env
    this.#name = name
    this.#spec = spec
    this.#transaction = transaction
    this.#config = parseProducerConfig(spec.config)
    this.#bootstrap = bootstrap
    this.#wire = wire
    this.#memory = memory
    this.#keys = keysOf(spec)
    this.#producer = this.#open()
  }

  stop(done: () => void): void {
    this.#stopping = true
    this.#producer.close(done)
  }

  #open(): Producer {
    const producer = new Producer(this.#env, this.#config, this.#bootstrap, { wire: this.#wire })
    this.#producer = producer
    producer.initTransactions((error) => {
      if (this.#isOver(producer)) return
      if (error === undefined) this.#begin(producer)
      else this.#reopen(producer, error)
    })
    return producer
  }

  /** A producer that cannot go on makes place for another one. */
  #reopen(producer: Producer, error: string): void {
    producer.close(() => undefined, 0)
    if (FENCED.includes(error)) {
      this.#stopping = true
      return
    }
    this.#env.after(RESTART_DELAY_MS, () => {
      if (!this.#stopping) this.#open()
    })
  }

  #isOver(producer: Producer): boolean {
    return this.#stopping || producer !== this.#producer
  }

  #begin(producer: Producer): void {
    const { count = Infinity } = this.#spec
    if (this.#isOver(producer) || this.#memory.next >= count) return
    const error = producer.beginTransaction()
    if (error !== undefined) return this.#reopen(producer, error)
    this.#count++
    this.#sendOne(producer, Math.min(this.#transaction.records, count - this.#memory.next))
  }

  #sendOne(producer: Producer, left: number): void {
    if (this.#isOver(producer)) return
    if (left === 0) {
      this.#env.after(Math.max(this.#transaction.pause / MICROS_PER_MS, 0), () => this.#end(producer))
      return
    }
    const { every } = this.#spec
    producer.send(producerRecord(this.#name, this.#spec, this.#keys, this.#memory.next), ignore)
    this.#memory.next++
    if (every === 0) this.#sendOne(producer, left - 1)
    else this.#env.after(every / MICROS_PER_MS, () => this.#sendOne(producer, left - 1))
  }

  #end(producer: Producer): void {
    if (this.#isOver(producer)) return
    const { abortEvery } = this.#transaction
    if (abortEvery !== undefined && this.#count % abortEvery === 0) return this.#abort(producer)
    producer.commitTransaction((error, kind) => {
      if (this.#isOver(producer)) return
      if (error === undefined) this.#begin(producer)
      else if (kind === 'retriable') this.#end(producer)
      else if (kind === 'abortable') this.#abort(producer)
      else this.#reopen(producer, error)
    })
  }

  #abort(producer: Producer): void {
    producer.abortTransaction((error, kind) => {
      if (this.#isOver(producer)) return
      if (error === undefined) this.#begin(producer)
      else if (kind === 'retriable') this.#abort(producer)
      else this.#reopen(producer, error)
    })
  }
}

/** What became of a record stands in the trace; the transaction's end tells the application. */
function ignore(): void {}
