/**
 * A partition of `__transaction_state` that is a list of batches, and the metadata around it: what a transaction coordinator needs of a
 * broker. Appends may be refused, and commits held up; every record is told in words, read back from its bytes.
 */

import type { Partition } from '../../../sim/broker/partition.js'
import type { ReplicaManager } from '../../../sim/broker/replica-manager.js'
import type { ProduceEntry } from '../../../sim/broker/replica-produce.js'
import type { TxnFacts } from '../../../sim/broker/txn/transaction.js'
import { TXN_RECORD_CODEC } from '../../../sim/broker/txn/txn-records.js'
import { partitionName, parsePartition } from '../../../sim/kernel/names.js'
import type { Offset } from '../../../sim/kernel/units.js'
import type { MetadataImage } from '../../../sim/kraft/metadata/image.js'
import { Errors } from '../../../sim/wire/errors.js'
import { type NewRecord, type Record, RecordBatch } from '../../../sim/wire/record-batch.js'

/** Partition → id of its leader; −1 while it has none. */
export type Leaders = Map<string, number>

interface Listener {
  onHighWatermarkUpdated(offset: Offset): void
}

export class StateLog {
  readonly #index: number
  readonly #beganMs: number
  readonly #say: (line: string) => void
  readonly #batches: RecordBatch[] = []
  readonly #listeners: Listener[] = []
  readonly #fates: number[] = []
  #isReplicated = true
  epoch = 0
  highWatermark = 0
  isUnderMinIsr = false
  maxBatchBytes = 1_048_588

  constructor(index: number, beganMs: number, say: (line: string) => void) {
    this.#index = index
    this.#beganMs = beganMs
    this.#say = say
  }

  static replicas(logs: readonly StateLog[]): ReplicaManager {
    const partitions = logs.map((log) => log.#partition())
    const replicas = {
      partition: (_topic: string, index: number) => partitions[index],
      append: (entries: readonly ProduceEntry[]) => {
        for (const entry of entries) logs[entry.index]?.append(entry)
      },
    }
    return replicas as unknown as ReplicaManager
  }

  get logStartOffset(): Offset {
    return 0
  }

  get logEndOffset(): Offset {
    return this.#batches.at(-1)?.nextOffset ?? 0
  }

  get config(): { readonly 'max.message.bytes': number } {
    return { 'max.message.bytes': this.maxBatchBytes }
  }

  read(from: Offset): { readonly batches: readonly RecordBatch[] } {
    return { batches: this.#batches.filter(({ nextOffset }) => nextOffset > from).slice(0, 1) }
  }

  /** What an earlier coordinator has left. */
  seed(transactionalId: string, what: TxnFacts | 'tombstone' | 'unknown'): void {
    const facts = typeof what === 'string' ? null : what
    const known = TXN_RECORD_CODEC.encode({ transactionalId, facts }, this.#beganMs)
    // A key of a version that nobody knows.
    const record: NewRecord = what === 'unknown' ? { ...known, key: new Uint8Array([0, 9, 1]) } : known
    this.#push(RecordBatch.build({}, [record]))
    this.highWatermark = this.logEndOffset
  }

  fail(error: string, times: number): void {
    for (let i = 0; i < times; i++) this.#fates.push(Errors[error as keyof typeof Errors])
  }

  replicates(isReplicated: boolean): void {
    this.#isReplicated = isReplicated
    if (isReplicated) this.#commit()
  }

  append(entry: ProduceEntry): void {
    const [batch] = entry.records
    if (batch === undefined) return
    const fate = batch.sizeInBytes > this.maxBatchBytes ? Errors.MESSAGE_TOO_LARGE : this.#fates.shift()
    if (fate !== undefined) {
      entry.error = fate
      return this.#say(`the append of ${batch.count} fails`)
    }
    entry.baseOffset = this.logEndOffset
    this.#push(batch)
    // One line for one batch.
    this.#say(
      `writes ${batch
        .records()
        .map((record) => this.#words(record))
        .join('; ')}`,
    )
    if (this.#isReplicated) this.#commit()
  }

  #push(batch: RecordBatch): void {
    this.#batches.push(batch.withOffsets(this.logEndOffset, this.epoch))
  }

  #commit(): void {
    this.highWatermark = this.logEndOffset
    for (const listener of this.#listeners) listener.onHighWatermarkUpdated(this.highWatermark)
  }

  #partition(): Partition {
    const partition = {
      leaderLog: this,
      log: this,
      index: this.#index,
      isUnderMinIsr: false,
      addListener: (listener: Listener) => void this.#listeners.push(listener),
    }
    Object.defineProperty(partition, 'isUnderMinIsr', { get: () => this.isUnderMinIsr })
    return partition as unknown as Partition
  }

  /** `payments: Ongoing 10/5 [orders-0], started 0s, updated 0s, version 2`. */
  #words(record: Record): string {
    const { transactionalId = '?', facts } = TXN_RECORD_CODEC.decode(record) ?? {}
    if (facts === null || facts === undefined) return `${transactionalId}: removed`
    const { producerId, producerEpoch, previousProducerId, nextProducerId, partitions, clientVersion } = facts
    const at = (ms: number): string => (ms < 0 ? 'never' : `${(ms - this.#beganMs) / 1_000}s`)
    return [
      `${transactionalId}: ${facts.state} ${producerId}/${producerEpoch} [${[...partitions].join(' ')}]`,
      ...(previousProducerId < 0 || previousProducerId === producerId ? [] : [`was ${previousProducerId}`]),
      ...(nextProducerId < 0 ? [] : [`next ${nextProducerId}`]),
      `started ${at(facts.startMs)}`,
      `updated ${at(facts.updateMs)}`,
      `timeout ${facts.timeoutMs / 1_000}s`,
      `version ${clientVersion}`,
    ].join(', ')
  }
}

/** What the coordinator reads of the metadata. */
export function stateImage(
  version: number,
  leaders: Leaders,
  brokers: ReadonlyMap<number, string>,
  statePartitions: number,
): MetadataImage {
  const topics = new Map<string, { name: string; partitions: Map<number, { leader: number }> }>()
  const all = new Map(leaders)
  for (let i = 0; i < statePartitions; i++) all.set(partitionName('__transaction_state', i), 1)
  for (const [name, leader] of all) {
    const { topic, index } = parsePartition(name) ?? { topic: name, index: 0 }
    const known = topics.get(topic) ?? { name: topic, partitions: new Map<number, { leader: number }>() }
    known.partitions.set(index, { leader })
    topics.set(topic, known)
  }
  return {
    topicsByName: topics,
    brokers: new Map([...brokers].map(([id, host]) => [id, { id, host }])),
    features: new Map([['transaction.version', version]]),
  } as unknown as MetadataImage
}
