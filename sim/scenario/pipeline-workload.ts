/**
 * An application that consumes, transforms and produces: one record out of each that it reads.
 *
 *     exactly_once_v2   each poll is a transaction: its records' outputs and the offsets behind them are committed together. What cannot be
 *                       committed is aborted, and the same records are read again
 *     at_least_once     the outputs are flushed, then the offsets are committed; after a failed one everything begins anew from what was
 *                       committed
 *
 * The transactional id is the member's name: who takes its place fences it. After a fatal error, or one that the consumer cannot get
 * over, both clients are closed and made anew after a second, as a supervisor would. Numbers of outputs go on over a crash.
 */

import type { ConsumedRecord } from '../client/completed-fetch.js'
import { Consumer } from '../client/consumer.js'
import { parseConsumerConfig, type ConsumerConfig } from '../client/consumer-config.js'
import type { OffsetAndMetadata } from '../client/group/offset-commits.js'
import { Producer } from '../client/producer.js'
import { parseProducerConfig, type ProducerConfig } from '../client/producer-config.js'
import { encode, idOfRecord } from '../client/workload-record.js'
import type { Env, Program } from '../kernel/env.js'
import { partitionName, type NodeName } from '../kernel/names.js'
import { MICROS_PER_MS, type Millis } from '../kernel/units.js'
import type { WireMode } from '../wire/frame.js'
import { ERROR_PAUSE_MS } from './group-workload.js'
import { emitProcessed } from './processed.js'
import type { PipelineSpec } from './scenario.js'
import type { Memory } from './workload.js'

const POLL_TIMEOUT_MS: Millis = 1_000
const RESTART_DELAY_MS: Millis = 1_000

/** Both clients of one life of the application. */
interface Clients {
  readonly consumer: Consumer
  readonly producer: Producer
}

export class PipelineProgram implements Program {
  readonly #env: Env
  readonly #name: string
  readonly #spec: PipelineSpec
  readonly #bootstrap: readonly NodeName[]
  readonly #wire: WireMode
  readonly #memory: Memory
  readonly #consumerConfig: ConsumerConfig
  readonly #producerConfig: ProducerConfig
  readonly #workMs: Millis
  readonly #isExact: boolean
  #clients: Clients
  #stopping = false

  constructor(
    env: Env,
    name: string,
    spec: PipelineSpec,
    bootstrap: readonly NodeName[],
    wire: WireMode,
    memory: Memory,
  ) {
    this.#env = env
    this.#name = name
    this.#spec = spec
    this.#bootstrap = bootstrap
    this.#wire = wire
    this.#memory = memory
    this.#workMs = spec.work / MICROS_PER_MS
    this.#isExact = spec.guarantee === 'exactly_once_v2'
    this.#consumerConfig = parseConsumerConfig({
      ...spec.config,
      'group.id': spec.group,
      'enable.auto.commit': false,
      ...(spec.isStatic && { 'group.instance.id': name }),
    })
    this.#producerConfig = parseProducerConfig({
      ...spec.producerConfig,
      ...(this.#isExact && { 'transactional.id': name }),
    })
    this.#clients = this.#open()
  }

  stop(done: () => void): void {
    this.#stopping = true
    const { consumer, producer } = this.#clients
    // An open transaction is aborted before another member may read its records.
    producer.close(() => consumer.close(done))
  }

  #open(): Clients {
    const clients: Clients = {
      consumer: new Consumer(this.#env, this.#consumerConfig, this.#bootstrap, { wire: this.#wire }),
      producer: new Producer(this.#env, this.#producerConfig, this.#bootstrap, { wire: this.#wire }),
    }
    this.#clients = clients
    clients.consumer.subscribe(this.#spec.topics)
    if (!this.#isExact) {
      this.#poll(clients)
      return clients
    }
    clients.producer.initTransactions((error) => {
      if (this.#isOver(clients)) return
      if (error === undefined) this.#poll(clients)
      else this.#reopen(clients)
    })
    return clients
  }

  #reopen(clients: Clients): void {
    clients.producer.close(() => undefined, 0)
    clients.consumer.close(() => {
      this.#env.after(RESTART_DELAY_MS, () => {
        if (!this.#isOver(clients)) this.#open()
      })
    })
  }

  #isOver(clients: Clients): boolean {
    return this.#stopping || clients !== this.#clients
  }

  #poll(clients: Clients): void {
    if (this.#isOver(clients)) return
    clients.consumer.poll(({ records, error }) => {
      if (this.#isOver(clients)) return
      if (error?.partition === '') this.#reopen(clients)
      else if (records.length > 0) this.#transform(clients, records)
      else if (error === undefined) this.#poll(clients)
      else this.#env.after(ERROR_PAUSE_MS, () => this.#poll(clients))
    }, POLL_TIMEOUT_MS)
  }

  #transform(clients: Clients, records: readonly ConsumedRecord[]): void {
    if (this.#isExact && clients.producer.beginTransaction() !== undefined) {
      this.#reopen(clients)
      return
    }
    const work = (): void => {
      if (this.#isOver(clients)) return
      let isWritten = true
      for (const record of records) this.#send(clients.producer, record, () => (isWritten = false))
      emitProcessed(this.#env, records)
      if (this.#isExact) this.#endTransaction(clients, records)
      else clients.producer.flush(() => this.#commit(clients, isWritten))
    }
    if (this.#workMs === 0) work()
    else this.#env.after(this.#workMs * records.length, work)
  }

  #send(producer: Producer, record: ConsumedRecord, onFailed: () => void): void {
    const id = `${this.#name}/${this.#memory.next++}`
    const { to, bytes } = this.#spec
    producer.send({ topic: to, id, key: record.key, value: encode(id, bytes, idOfRecord(record)) }, (outcome) => {
      if (!outcome.ok) onFailed()
    })
  }

  // ── at_least_once ─────────────────────────────────────────────────────────────────────────────────────────────────

  #commit(clients: Clients, isWritten: boolean): void {
    if (this.#isOver(clients)) return
    if (!isWritten) {
      this.#reopen(clients)
      return
    }
    // Who was fenced or rebalanced learns it by the next poll.
    clients.consumer.commitSync(undefined, () => this.#poll(clients))
  }

  // ── exactly_once_v2 ───────────────────────────────────────────────────────────────────────────────────────────────

  #endTransaction(clients: Clients, records: readonly ConsumedRecord[]): void {
    const { producer, consumer } = clients
    const offsets = new Map<string, OffsetAndMetadata>()
    for (const { topic, index, offset, leaderEpoch } of records) {
      offsets.set(partitionName(topic, index), { offset: offset + 1, leaderEpoch })
    }
    producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata(), (error, kind) => {
      if (this.#isOver(clients)) return
      if (error === undefined) this.#commitTransaction(clients, records)
      else if (kind === 'fatal') this.#reopen(clients)
      else this.#abort(clients, records)
    })
  }

  #commitTransaction(clients: Clients, records: readonly ConsumedRecord[]): void {
    clients.producer.commitTransaction((error, kind) => {
      if (this.#isOver(clients)) return
      if (error === undefined) this.#poll(clients)
      else if (kind === 'retriable') this.#commitTransaction(clients, records)
      else if (kind === 'abortable') this.#abort(clients, records)
      else this.#reopen(clients)
    })
  }

  #abort(clients: Clients, records: readonly ConsumedRecord[]): void {
    clients.producer.abortTransaction((error, kind) => {
      if (this.#isOver(clients)) return
      if (error === undefined) {
        rewind(clients.consumer, records)
        this.#poll(clients)
      } else if (kind === 'retriable') this.#abort(clients, records)
      else this.#reopen(clients)
    })
  }
}

/** Back to where the poll began, where the partition is still this member's. */
function rewind(consumer: Consumer, records: readonly ConsumedRecord[]): void {
  const assigned = new Set(consumer.assignment())
  for (const { topic, index, offset } of records) {
    const name = partitionName(topic, index)
    // The first record of each partition.
    if (assigned.delete(name)) consumer.seek(name, offset)
  }
}
