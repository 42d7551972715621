/** The records of `__transaction_state`, byte for byte (`TransactionLog`, TransactionLogKey and TransactionLogValue). A null value removes an id. */

import { parsePartition, partitionName } from '../../kernel/names.js'
import type { Millis } from '../../kernel/units.js'
import { MessageCodec } from '../../wire/codec.js'
import { ByteReader, ByteWriter } from '../../wire/primitives.js'
import type { NewRecord, Record } from '../../wire/record-batch.js'
import { parseVersions } from '../../wire/schema.js'
import type { RecordCodec } from '../coordinator/coordinator-runtime.js'
import { NO_EPOCH, TXN_STATES, type TxnFacts, type TxnState } from './transaction.js'

export interface TxnRecord {
  readonly transactionalId: string
  readonly facts: TxnFacts | null
}

interface Key {
  readonly transactionalId: string
}

interface Value {
  readonly producerId: number
  readonly previousProducerId: number
  readonly nextProducerId: number
  readonly producerEpoch: number
  readonly nextProducerEpoch: number
  readonly transactionTimeoutMs: number
  readonly transactionStatus: number
  readonly transactionPartitions: readonly { readonly topic: string; readonly partitionIds: readonly number[] }[] | null
  readonly transactionLastUpdateTimestampMs: number
  readonly transactionStartTimestampMs: number
  readonly clientTransactionVersion: number
}

const KEY = new MessageCodec<Key>('TransactionLogKey', parseVersions('0'), undefined, '    transactionalId: string')

const VALUE = new MessageCodec<Value>(
  'TransactionLogValue',
  parseVersions('0-1'),
  parseVersions('1+'),
  `
    producerId: int64
    previousProducerId: int64 1+ tag 0 = -1 ignorable
    nextProducerId: int64 1+ tag 1 = -1 ignorable
    producerEpoch: int16
    nextProducerEpoch: int16 1+ tag 3 = -1 ignorable
    transactionTimeoutMs: int32
    transactionStatus: int8
    transactionPartitions: []struct null
      topic: string
      partitionIds: []int32
    transactionLastUpdateTimestampMs: int64
    transactionStartTimestampMs: int64
    clientTransactionVersion: int16 1+ tag 2 ignorable
  `,
)

/** With the newest fields, which have tags. */
const NEWEST_VALUE = 1

/** `transactionVersion` is the finalised level of transaction.version: below 1, values are written without tagged fields. */
export function txnRecordCodec(transactionVersion: () => number): RecordCodec<TxnRecord> {
  return { ...TXN_RECORD_CODEC, encode: (record, nowMs) => encode(record, nowMs, Math.min(transactionVersion(), 1)) }
}

function encode({ transactionalId, facts }: TxnRecord, nowMs: Millis, version: number): NewRecord {
  return {
    timestamp: nowMs,
    key: versioned(KEY, 0, { transactionalId }),
    value: facts === null ? null : versioned(VALUE, version, valueOf(facts)),
  }
}

export const TXN_RECORD_CODEC: RecordCodec<TxnRecord> = {
  encode: (record, nowMs) => encode(record, nowMs, NEWEST_VALUE),

  decode(record: Record): TxnRecord | undefined {
    if (record.key === null) return undefined
    const key = new ByteReader(record.key)
    if (key.int16() !== 0) return undefined
    const { transactionalId } = KEY.read(key, 0)
    if (record.value === null) return { transactionalId, facts: null }
    const value = new ByteReader(record.value)
    return { transactionalId, facts: factsOf(VALUE.read(value, value.int16())) }
  },
}

function valueOf(facts: TxnFacts): Value {
  const topics = new Map<string, number[]>()
  for (const name of facts.partitions) {
    const parsed = parsePartition(name)
    if (parsed === undefined) continue
    const indexes = topics.get(parsed.topic)
    if (indexes === undefined) topics.set(parsed.topic, [parsed.index])
    else indexes.push(parsed.index)
  }
  return {
    producerId: facts.producerId,
    previousProducerId: facts.previousProducerId,
    nextProducerId: facts.nextProducerId,
    producerEpoch: facts.producerEpoch,
    nextProducerEpoch: NO_EPOCH,
    transactionTimeoutMs: facts.timeoutMs,
    transactionStatus: TXN_STATES.indexOf(facts.state),
    // An empty transaction has none, and says so.
    transactionPartitions:
      facts.state === 'Empty' ? null : [...topics].map(([topic, partitionIds]) => ({ topic, partitionIds })),
    transactionLastUpdateTimestampMs: facts.updateMs,
    transactionStartTimestampMs: facts.startMs,
    clientTransactionVersion: facts.clientVersion,
  }
}

function factsOf(value: Value): TxnFacts {
  return {
    producerId: value.producerId,
    previousProducerId: value.previousProducerId,
    nextProducerId: value.nextProducerId,
    producerEpoch: value.producerEpoch,
    lastProducerEpoch: NO_EPOCH,
    timeoutMs: value.transactionTimeoutMs,
    state: (TXN_STATES[value.transactionStatus] ?? 'Dead') satisfies TxnState,
    partitions: new Set(
      (value.transactionPartitions ?? []).flatMap(({ topic, partitionIds }) =>
        partitionIds.map((index) => partitionName(topic, index)),
      ),
    ),
    startMs: value.transactionStartTimestampMs,
    updateMs: value.transactionLastUpdateTimestampMs,
    clientVersion: value.clientTransactionVersion,
  }
}

function versioned<T>(codec: MessageCodec<T>, version: number, message: T): Uint8Array {
  const writer = new ByteWriter(2 + codec.size(version, message))
  writer.int16(version)
  codec.write(writer, version, message)
  return writer.finish()
}
