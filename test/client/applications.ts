/**
 * Applications for the lab: they send numbered records or poll without end, and keep what they were told.
 */

import { Consumer, type Assignment, type Polled } from '../../sim/client/consumer.js'
import { parseConsumerConfig } from '../../sim/client/consumer-config.js'
import { Producer, type ProducerRecord } from '../../sim/client/producer.js'
import { parseProducerConfig } from '../../sim/client/producer-config.js'
import { encode, idOf } from '../../sim/client/workload-record.js'
import { assert } from '../../sim/kernel/errors.js'
import { parsePartition } from '../../sim/kernel/names.js'
import { RecordBatch } from '../../sim/wire/record-batch.js'
import { endOffset, Lab, type FakePartition, type FakeTopic } from './lab.js'

export interface ProducingApp {
  readonly producer: Producer
  /** Sends the next record; returns its number. */
  send(record?: Partial<ProducerRecord>): number
  /** What record `number` came to: `orders-0@3`, `MESSAGE_TOO_LARGE`, `REQUEST_TIMED_OUT?` (maybe written), or `open`. */
  outcome(number: number): string
  outcomes(): string[]
}

export function producing(
  lab: Lab,
  config: Record<string, unknown> = {},
  name = 'p1',
  bootstrap = lab.brokers,
): ProducingApp {
  const outcomes: string[] = []
  const producer = lab.client(name, (env) => new Producer(env, parseProducerConfig(config), bootstrap))
  return {
    producer,
    send(record = {}) {
      const number = outcomes.length
      outcomes.push('open')
      const id = `${name}/${number}`
      producer.send({ topic: 'orders', partition: 0, value: encode(id), id, ...record }, (result) => {
        if (outcomes[number] !== 'open') throw new Error(`${id} was answered twice`)
        outcomes[number] = result.ok
          ? `${result.partition}@${result.offset}`
          : `${result.error}${result.certain ? '' : '?'}`
      })
      return number
    },
    outcome: (number) => outcomes[number] as string,
    outcomes: () => [...outcomes],
  }
}

/** A lab with topic `orders`, and a producer without idempotence that has written a record to each partition. */
export function plain(
  config: Record<string, unknown> = {},
  brokers = 1,
  partitions = 1,
): { lab: Lab; app: ProducingApp; orders: FakeTopic } {
  const lab = new Lab(brokers)
  const orders = lab.topic('orders', partitions)
  const app = producing(lab, { 'enable.idempotence': false, 'linger.ms': 0, ...config })
  for (let i = 0; i < partitions; i++) app.send({ partition: i })
  app.producer.flush(() => {})
  lab.until(50)
  for (let i = 0; i < partitions; i++)
    assert(app.outcome(i) === `orders-${i}@0`, 'plain: first record', { outcome: app.outcome(i) })
  lab.conversation()
  return { lab, app, orders }
}

/** A lab with topic `orders`, its partitions led by b1 unless said otherwise. */
export function labWithOrders(
  partitions = 1,
  brokers = 1,
  leaders: readonly number[] = Array(partitions).fill(1),
): Lab {
  const lab = new Lab(brokers)
  lab.topic('orders', partitions, leaders)
  return lab
}

/** All partitions of `orders`. */
export function everyPartition(partitions: number): Assignment[] {
  return Array.from({ length: partitions }, (_, index) => ({ topic: 'orders', index }))
}

/** What consumers told of their positions, as `orders-0 5→2 truncated`. */
export function positions(lab: Lab): string[] {
  return lab.of('consume.position').map(({ data }) => `${data.partition} ${data.from}→${data.to} ${data.reason}`)
}

export interface ConsumingApp {
  readonly consumer: Consumer
  /** `orders-0@3=p1/3`, in the order in which they were handed over. */
  readonly got: string[]
  readonly errors: string[]
  /** Stops polling. */
  stop(): void
}

export function consuming(
  lab: Lab,
  config: Record<string, unknown> = {},
  assigned: readonly Assignment[] = [{ topic: 'orders', index: 0 }],
  name = 'g1',
): ConsumingApp {
  const got: string[] = []
  const errors: string[] = []
  let stopped = false
  const consumer = lab.client(name, (env) => {
    const made = new Consumer(env, parseConsumerConfig(config), lab.brokers)
    made.assign(assigned)
    const poll = (): void => {
      if (!stopped) made.poll(take, 1_000)
    }
    const take = ({ records, error }: Polled): void => {
      assert(error === undefined || records.length === 0, 'consuming: an error comes alone')
      for (const { topic, index, offset, value } of records) got.push(`${topic}-${index}@${offset}=${idOf(value)}`)
      if (error !== undefined) errors.push(`${error.partition} ${error.error}`)
      // An error comes back with the next poll; an application would wait a little.
      if (error === undefined) poll()
      else env.after(100, poll)
    }
    poll()
    return made
  })
  return { consumer, got, errors, stop: () => void (stopped = true) }
}

/** Puts records `p0/from` … into a partition's log, one batch of `count`. */
export function fill(
  partition: FakePartition,
  count: number,
  options: { epoch?: number; from?: number } = {},
): RecordBatch {
  const base = endOffset(partition)
  const from = options.from ?? base
  const records = Array.from({ length: count }, (_, i) => ({
    timestamp: 1_000 + i,
    key: null,
    value: encode(`p0/${from + i}`),
  }))
  const batch = RecordBatch.build(
    { baseOffset: base, partitionLeaderEpoch: options.epoch ?? partition.leaderEpoch },
    records,
  )
  partition.log.push(batch)
  return batch
}

/** The ids of all records in a log, in order. */
export function idsIn(partition: FakePartition): string[] {
  return partition.log.flatMap((batch) => batch.records().map((record) => idOf(record.value)))
}

export function indexOf(partition: string): number {
  return parsePartition(partition)?.index ?? -1
}
