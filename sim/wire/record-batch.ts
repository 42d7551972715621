/**
 * The record batch, version 2 (KIP-98): the unit of Kafka's log, of Produce and of Fetch.
 *
 *     0 baseOffset i64 · 8 batchLength i32 · 12 partitionLeaderEpoch i32 · 16 magic i8 = 2 · 17 crc u32
 *    21 attributes i16 · 23 lastOffsetDelta i32 · 27 baseTimestamp i64 · 35 maxTimestamp i64 · 43 producerId i64
 *    51 producerEpoch i16 · 53 baseSequence i32 · 57 count i32 · 61 records
 *
 * All big-endian; batchLength counts the bytes after it. The CRC-32C covers attributes to the end, and this part is the
 * body here. Base offset and leader epoch lie before it, so a leader gives them by making another header over the same
 * body: nothing is copied, and all replicas of a batch share one body.
 *
 *     attributes: bits 0–2 codec · 3 timestamp type (1 = LogAppendTime) · 4 transactional · 5 control · 6 delete horizon
 *     record:     length varint · attributes i8 · timestampDelta varlong · offsetDelta varint · key · value · headers
 *
 * A batch is immutable. Records are decoded when first asked for, once per body. Only uncompressed records can be read.
 */

import { assert, UsageError } from '../kernel/errors.js'
import type { BatchView } from '../kernel/events.js'
import type { Slice } from '../kernel/env.js'
import { INT_MAX, type Bytes, type Epoch, type Millis, type Offset } from '../kernel/units.js'
import { crc32c } from './crc32c.js'
import {
  ByteReader,
  MalformedBytes,
  readInt32,
  readInt64,
  sizeOfVarint,
  sizeOfVarlong,
  utf8Size,
  writeInt32,
  writeInt64,
  writeText,
  writeVarint,
  writeVarlong,
} from './primitives.js'

/** Bytes of the header up to and including the count. */
export const BATCH_OVERHEAD = 61
/** Bytes before batchLength ends: what must be read to know a batch's size. */
export const LOG_OVERHEAD = 12
export const NO_PRODUCER_ID = -1
export const NO_PRODUCER_EPOCH = -1
export const NO_SEQUENCE = -1
export const NO_TIMESTAMP: Millis = -1

/** Where the body starts: everything from here on is covered by the CRC. */
const BODY = 21
/** Bytes of a body before its records. */
const BODY_OVERHEAD = BATCH_OVERHEAD - BODY
const MAGIC = 2
const CODEC_MASK = 0x07
const LOG_APPEND_TIME = 0x08
const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const DELETE_HORIZON = 0x40

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type CompressionType = (typeof CODECS)[number]
export type TimestampType = 'CreateTime' | 'LogAppendTime'

export interface RecordHeader {
  readonly key: string
  readonly value: Uint8Array | null
}

/** One record; its offset is the batch's base offset + `offsetDelta`. */
export interface Record {
  readonly offsetDelta: number
  readonly timestamp: Millis
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly RecordHeader[]
}

/** A record to be put into a batch. Its offset delta is its index unless given (compaction leaves gaps). */
export interface NewRecord {
  readonly timestamp: Millis
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: readonly RecordHeader[]
  readonly offsetDelta?: number
}

export interface BatchOptions {
  /** 0 until a leader gives another. */
  readonly baseOffset?: Offset
  /** -1 until a leader gives another. */
  readonly partitionLeaderEpoch?: Epoch
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly isTransactional?: boolean
  readonly isControl?: boolean
  /** Makes the timestamp type LogAppendTime with this time. */
  readonly logAppendTime?: Millis
  /** When tombstones and markers of this batch may go (KIP-534); takes the place of the base timestamp. */
  readonly deleteHorizonMs?: Millis
  /** The last record's delta unless given; compaction keeps it when it takes the last record. */
  readonly lastOffsetDelta?: number
  /** The records' greatest timestamp unless given; compaction keeps it when it takes all records. */
  readonly maxTimestamp?: Millis
}

/** The batches of one partition in a message. */
export type Records = readonly RecordBatch[]

const NO_HEADERS: readonly RecordHeader[] = []

/** What all headers over one batch share: `bytes[start, end)` is attributes to the end. */
interface Body {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  readonly crc: number
  readonly attributes: number
  readonly lastOffsetDelta: number
  readonly baseTimestamp: Millis
  readonly maxTimestamp: Millis
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly count: number
  /** Undefined until somebody asks. */
  valid: boolean | undefined
  /** What it was built from, until somebody asks for `records`. */
  given: readonly NewRecord[] | undefined
  records: readonly Record[] | undefined
}

export class RecordBatch implements Slice, BatchView {
  readonly baseOffset: Offset
  readonly partitionLeaderEpoch: Epoch
  private readonly body: Body
  private bytes: Uint8Array | undefined

  private constructor(baseOffset: Offset, partitionLeaderEpoch: Epoch, body: Body) {
    this.baseOffset = baseOffset
    this.partitionLeaderEpoch = partitionLeaderEpoch
    this.body = body
    this.bytes = undefined
  }

  /** A batch of `records`, which must not change afterwards. The records come back from `records()` as they are. */
  static build(options: BatchOptions, records: readonly NewRecord[]): RecordBatch {
    return new RecordBatch(options.baseOffset ?? 0, options.partitionLeaderEpoch ?? -1, buildBody(options, records))
  }

  /**
   * The batch at `position`, or undefined when the bytes there are too few for it or no v2 header. Shares the bytes,
   * which must not change afterwards. Does not check the CRC: `isValid` does.
   */
  static parse(bytes: Uint8Array, position = 0): RecordBatch | undefined {
    if (bytes.length - position < BATCH_OVERHEAD || bytes[position + 16] !== MAGIC) return undefined
    const size = readInt32(bytes, position + 8) + LOG_OVERHEAD
    if (size < BATCH_OVERHEAD || size > bytes.length - position) return undefined
    const at = position + BODY
    try {
      const body: Body = {
        bytes,
        start: at,
        end: position + size,
        crc: readInt32(bytes, position + 17) >>> 0,
        attributes: (((bytes[at] as number) << 24) >> 16) | (bytes[at + 1] as number),
        lastOffsetDelta: readInt32(bytes, at + 2),
        baseTimestamp: readInt64(bytes, at + 6),
        maxTimestamp: readInt64(bytes, at + 14),
        producerId: readInt64(bytes, at + 22),
        producerEpoch: (((bytes[at + 30] as number) << 24) >> 16) | (bytes[at + 31] as number),
        baseSequence: readInt32(bytes, at + 32),
        count: readInt32(bytes, at + 36),
        valid: undefined,
        given: undefined,
        records: undefined,
      }
      return new RecordBatch(readInt64(bytes, position), readInt32(bytes, position + 12), body)
    } catch (error) {
      // A 64-bit field beyond 2^53: no header of ours, so garbage.
      if (error instanceof MalformedBytes) return undefined
      throw error
    }
  }

  get lastOffset(): Offset {
    return this.baseOffset + this.body.lastOffsetDelta
  }

  get nextOffset(): Offset {
    return this.baseOffset + this.body.lastOffsetDelta + 1
  }

  get lastOffsetDelta(): number {
    return this.body.lastOffsetDelta
  }

  /** Bytes of the whole batch. */
  get sizeInBytes(): Bytes {
    return this.body.end - this.body.start + BODY
  }

  /** As `sizeInBytes`. */
  get length(): Bytes {
    return this.body.end - this.body.start + BODY
  }

  /** The CRC that the header states, unsigned. */
  get crc(): number {
    return this.body.crc
  }

  get attributes(): number {
    return this.body.attributes
  }

  get baseTimestamp(): Millis {
    return this.body.baseTimestamp
  }

  get maxTimestamp(): Millis {
    return this.body.maxTimestamp
  }

  get producerId(): number {
    return this.body.producerId
  }

  get producerEpoch(): number {
    return this.body.producerEpoch
  }

  /** -1 without idempotence. */
  get baseSequence(): number {
    return this.body.baseSequence
  }

  /** -1 without idempotence. */
  get lastSequence(): number {
    const base = this.body.baseSequence
    return base === NO_SEQUENCE ? NO_SEQUENCE : incrementSequence(base, this.body.lastOffsetDelta)
  }

  get hasProducerId(): boolean {
    return this.body.producerId > NO_PRODUCER_ID
  }

  /** Records held; fewer than the offsets covered once compacted. */
  get count(): number {
    return this.body.count
  }

  get isTransactional(): boolean {
    return (this.body.attributes & TRANSACTIONAL) !== 0
  }

  get isControl(): boolean {
    return (this.body.attributes & CONTROL) !== 0
  }

  get compression(): CompressionType | 'unknown' {
    return CODECS[this.body.attributes & CODEC_MASK] ?? 'unknown'
  }

  get timestampType(): TimestampType {
    return (this.body.attributes & LOG_APPEND_TIME) !== 0 ? 'LogAppendTime' : 'CreateTime'
  }

  /** When its tombstones and markers may go; undefined when compaction has not said so yet. */
  get deleteHorizonMs(): Millis | undefined {
    return (this.body.attributes & DELETE_HORIZON) !== 0 ? this.body.baseTimestamp : undefined
  }

  /** The same batch elsewhere in a log: shares the body. */
  withOffsets(baseOffset: Offset, partitionLeaderEpoch: Epoch): RecordBatch {
    if (baseOffset === this.baseOffset && partitionLeaderEpoch === this.partitionLeaderEpoch) return this
    return new RecordBatch(baseOffset, partitionLeaderEpoch, this.body)
  }

  /** The same records with the leader's time instead of the producer's. Copies the body, as its CRC is another. */
  withLogAppendTime(timestamp: Millis): RecordBatch {
    const old = this.body
    const bytes = old.bytes.slice(old.start, old.end)
    const attributes = old.attributes | LOG_APPEND_TIME
    bytes[1] = attributes
    writeInt64(bytes, 14, timestamp)
    const body: Body = {
      ...old,
      bytes,
      start: 0,
      end: bytes.length,
      crc: crc32c(bytes),
      attributes,
      maxTimestamp: timestamp,
      valid: true,
      records: undefined,
    }
    return new RecordBatch(this.baseOffset, this.partitionLeaderEpoch, body)
  }

  /**
   * The records, in order of offsets.
   * @throws MalformedBytes when they do not parse (check `isValid` first) · UsageError when they are compressed
   */
  records(): readonly Record[] {
    const body = this.body
    if (body.records === undefined) {
      if ((body.attributes & CODEC_MASK) !== 0) {
        throw new UsageError({
          message: `record batch compressed with ${this.compression}`,
          mend: 'use compression.type=none',
        })
      }
      body.records = body.given === undefined ? decodeRecords(body) : takeRecords(body, body.given)
      body.given = undefined
    }
    return body.records
  }

  /** True when the CRC stated is the CRC of the bytes. */
  isValid(): boolean {
    const body = this.body
    body.valid ??= crc32c(body.bytes, body.start, body.end) === body.crc
    return body.valid
  }

  /** The whole batch, header and body. Must not be written to. */
  toBytes(): Uint8Array {
    if (this.bytes === undefined) {
      const bytes = new Uint8Array(this.sizeInBytes)
      this.writeTo(bytes, 0)
      this.bytes = bytes
    }
    return this.bytes
  }

  /** Writes the whole batch at `position` and returns the position after it. */
  writeTo(bytes: Uint8Array, position: number): number {
    const body = this.body
    writeInt64(bytes, position, this.baseOffset)
    writeInt32(bytes, position + 8, this.sizeInBytes - LOG_OVERHEAD)
    writeInt32(bytes, position + 12, this.partitionLeaderEpoch)
    bytes[position + 16] = MAGIC
    writeInt32(bytes, position + 17, body.crc | 0)
    bytes.set(body.bytes.subarray(body.start, body.end), position + BODY)
    return position + this.sizeInBytes
  }
}

/** The sequence `increment` records after `sequence`: after Integer.MAX_VALUE comes 0. */
export function incrementSequence(sequence: number, increment: number): number {
  return sequence > INT_MAX - increment ? increment - (INT_MAX - sequence) - 1 : sequence + increment
}

/** The sequence `decrement` records before `sequence`: before 0 comes Integer.MAX_VALUE. */
export function decrementSequence(sequence: number, decrement: number): number {
  return sequence < decrement ? INT_MAX - (decrement - sequence) + 1 : sequence - decrement
}

/** Bytes of all batches. */
export function sizeOfRecords(records: Records): Bytes {
  let size = 0
  for (let i = 0; i < records.length; i++) size += (records[i] as RecordBatch).sizeInBytes
  return size
}

/** The batches in `bytes`, one after the other, up to the first that is not whole. */
export function parseRecords(bytes: Uint8Array): Records {
  const records: RecordBatch[] = []
  for (let position = 0; position < bytes.length;) {
    const batch = RecordBatch.parse(bytes, position)
    if (batch === undefined) break
    records.push(batch)
    position += batch.sizeInBytes
  }
  return records
}

// ── building ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Small bodies are cut from slabs: an array buffer for each would cost more than filling it. */
const SLAB_BYTES = 65_536
const SLAB_SHARE_MAX = SLAB_BYTES / 8
let slab = new Uint8Array(SLAB_BYTES)
let slabUsed = 0

/** Sizes of the records being built, from the measuring pass to the writing pass. */
let recordSizes = new Int32Array(64)

function buildBody(options: BatchOptions, records: readonly NewRecord[]): Body {
  const count = records.length
  const first = records[0]
  const baseTimestamp = options.deleteHorizonMs ?? (first === undefined ? NO_TIMESTAMP : first.timestamp)
  const size = BODY_OVERHEAD + measureRecords(records, baseTimestamp)
  const last = records[count - 1]
  const lastOffsetDelta = options.lastOffsetDelta ?? (last === undefined ? -1 : (last.offsetDelta ?? count - 1))
  assert(lastOffsetDelta >= 0, 'batch: an empty batch needs lastOffsetDelta')
  const attributes =
    (options.logAppendTime === undefined ? 0 : LOG_APPEND_TIME) |
    (options.isTransactional === true ? TRANSACTIONAL : 0) |
    (options.isControl === true ? CONTROL : 0) |
    (options.deleteHorizonMs === undefined ? 0 : DELETE_HORIZON)
  const maxTimestamp = options.logAppendTime ?? options.maxTimestamp ?? maxTimestampOf(records)
  const producerId = options.producerId ?? NO_PRODUCER_ID
  const producerEpoch = options.producerEpoch ?? NO_PRODUCER_EPOCH
  const baseSequence = options.baseSequence ?? NO_SEQUENCE

  const bytes = size > SLAB_SHARE_MAX ? new Uint8Array(size) : slabWith(size)
  const start = bytes === slab ? slabUsed : 0
  if (bytes === slab) slabUsed += size
  const end = start + size
  bytes[start] = 0
  bytes[start + 1] = attributes
  writeInt32(bytes, start + 2, lastOffsetDelta)
  writeInt64(bytes, start + 6, baseTimestamp)
  writeInt64(bytes, start + 14, maxTimestamp)
  writeInt64(bytes, start + 22, producerId)
  bytes[start + 30] = producerEpoch >> 8
  bytes[start + 31] = producerEpoch
  writeInt32(bytes, start + 32, baseSequence)
  writeInt32(bytes, start + 36, count)
  writeRecords(bytes, start + BODY_OVERHEAD, records, baseTimestamp)
  const crc = crc32c(bytes, start, end)
  return {
    bytes,
    start,
    end,
    crc,
    attributes,
    lastOffsetDelta,
    baseTimestamp,
    maxTimestamp,
    producerId,
    producerEpoch,
    baseSequence,
    count,
    valid: true,
    given: records,
    records: undefined,
  }
}

function slabWith(size: number): Uint8Array {
  if (slabUsed + size > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES)
    slabUsed = 0
  }
  return slab
}

function maxTimestampOf(records: readonly NewRecord[]): Millis {
  let max = NO_TIMESTAMP
  for (let i = 0; i < records.length; i++) {
    const timestamp = (records[i] as NewRecord).timestamp
    if (timestamp > max) max = timestamp
  }
  return max
}

/** Bytes of all records with their lengths; leaves each record's own size in `recordSizes`. */
function measureRecords(records: readonly NewRecord[], baseTimestamp: Millis): Bytes {
  if (records.length > recordSizes.length) recordSizes = new Int32Array(records.length * 2)
  let total = 0
  for (let i = 0; i < records.length; i++) {
    const record = records[i] as NewRecord
    const size = sizeOfRecord(record, record.offsetDelta ?? i, baseTimestamp)
    recordSizes[i] = size
    total += sizeOfVarint(size) + size
  }
  return total
}

/** Bytes that one more record would add to a batch, its length included. */
export function recordSizeInBytes(record: NewRecord, offsetDelta: number, baseTimestamp: Millis): Bytes {
  const size = sizeOfRecord(record, offsetDelta, baseTimestamp)
  return sizeOfVarint(size) + size
}

function sizeOfRecord(record: NewRecord, offsetDelta: number, baseTimestamp: Millis): Bytes {
  const headers = record.headers ?? NO_HEADERS
  let size =
    1 +
    sizeOfVarlong(record.timestamp - baseTimestamp) +
    sizeOfVarint(offsetDelta) +
    sizeOfField(record.key) +
    sizeOfField(record.value) +
    sizeOfVarint(headers.length)
  for (let i = 0; i < headers.length; i++) {
    const header = headers[i] as RecordHeader
    const keySize = utf8Size(header.key)
    size += sizeOfVarint(keySize) + keySize + sizeOfField(header.value)
  }
  return size
}

function sizeOfField(bytes: Uint8Array | null): Bytes {
  return bytes === null ? 1 : sizeOfVarint(bytes.length) + bytes.length
}

function writeRecords(bytes: Uint8Array, at: number, records: readonly NewRecord[], baseTimestamp: Millis): void {
  for (let i = 0; i < records.length; i++) {
    const record = records[i] as NewRecord
    const headers = record.headers ?? NO_HEADERS
    at = writeVarint(bytes, at, recordSizes[i] as number)
    bytes[at++] = 0
    at = writeVarlong(bytes, at, record.timestamp - baseTimestamp)
    at = writeVarint(bytes, at, record.offsetDelta ?? i)
    at = writeField(bytes, at, record.key)
    at = writeField(bytes, at, record.value)
    at = writeVarint(bytes, at, headers.length)
    for (let j = 0; j < headers.length; j++) {
      const header = headers[j] as RecordHeader
      const keySize = utf8Size(header.key)
      at = writeVarint(bytes, at, keySize)
      writeText(bytes, at, header.key, keySize)
      at = writeField(bytes, at + keySize, header.value)
    }
  }
}

function writeField(bytes: Uint8Array, at: number, value: Uint8Array | null): number {
  if (value === null) return writeVarint(bytes, at, -1)
  at = writeVarint(bytes, at, value.length)
  const length = value.length
  // Below this a loop beats the call into the platform.
  if (length < 24) for (let i = 0; i < length; i++) bytes[at + i] = value[i] as number
  else bytes.set(value, at)
  return at + length
}

// ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function takeRecords(body: Body, given: readonly NewRecord[]): readonly Record[] {
  const logAppendTime = (body.attributes & LOG_APPEND_TIME) !== 0
  return given.map((record, index) => ({
    offsetDelta: record.offsetDelta ?? index,
    timestamp: logAppendTime ? body.maxTimestamp : record.timestamp,
    key: record.key,
    value: record.value,
    headers: record.headers ?? NO_HEADERS,
  }))
}

function decodeRecords(body: Body): readonly Record[] {
  const reader = new ByteReader(body.bytes, body.start + BODY_OVERHEAD, body.end)
  const logAppendTime = (body.attributes & LOG_APPEND_TIME) !== 0
  const count = body.count
  if (count < 0 || count > reader.remaining) throw new MalformedBytes(`record batch: count ${count}`)
  const records: Record[] = []
  for (let i = 0; i < count; i++) {
    const size = reader.varint()
    const start = reader.position
    reader.int8()
    const timestamp = body.baseTimestamp + reader.varlong()
    const offsetDelta = reader.varint()
    const key = decodeField(reader)
    const value = decodeField(reader)
    const headers = decodeHeaders(reader)
    if (reader.position - start !== size)
      throw new MalformedBytes(`record: ${size} bytes stated, ${reader.position - start} read`)
    records.push({ offsetDelta, timestamp: logAppendTime ? body.maxTimestamp : timestamp, key, value, headers })
  }
  if (reader.remaining > 0) throw new MalformedBytes(`record batch: ${reader.remaining} bytes after the last record`)
  return records
}

function decodeField(reader: ByteReader): Uint8Array | null {
  const size = reader.varint()
  return size < 0 ? null : reader.raw(size)
}

function decodeHeaders(reader: ByteReader): readonly RecordHeader[] {
  const count = reader.varint()
  if (count === 0) return NO_HEADERS
  if (count < 0 || count > reader.remaining) throw new MalformedBytes(`record: ${count} headers`)
  const headers: RecordHeader[] = []
  for (let i = 0; i < count; i++) {
    const size = reader.varint()
    if (size < 0) throw new MalformedBytes('record: header without a key')
    headers.push({ key: reader.text(size), value: decodeField(reader) })
  }
  return headers
}
