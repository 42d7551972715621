import { describe, expect, it } from 'vitest'
import { UsageError } from '../../sim/kernel/errors.js'
import { Random } from '../../sim/kernel/random.js'
import { INT_MAX } from '../../sim/kernel/units.js'
import {
  controlBatch,
  controlType,
  endTransactionMarkerBatch,
  parseControlRecord,
} from '../../sim/wire/control-record.js'
import { crc32c } from '../../sim/wire/crc32c.js'
import { MalformedBytes } from '../../sim/wire/primitives.js'
import {
  BATCH_OVERHEAD,
  decrementSequence,
  incrementSequence,
  parseRecords,
  RecordBatch,
  recordSizeInBytes,
  type NewRecord,
} from '../../sim/wire/record-batch.js'
import { hex, unhex, utf8 } from './bytes.js'
import { randomRecords } from './random-message.js'

/** Two records of Kafka's own test, and the batch that Kafka makes of them. */
const RECORDS: readonly NewRecord[] = [
  { timestamp: 283843, key: utf8('key1'), value: utf8('value1') },
  { timestamp: 1234, key: utf8('key2'), value: utf8('value2') },
]
const BATCH =
  '000000000000000000000055ffffffff02e58cf1ff00000000000100000000000454c300000000000454c3ffffffffffffffffffffffffffff0000000220000000086b6579310c76616c756531002400e1bf2202086b6579320c76616c75653200'
const CRC = 3851219455

function changed(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice()
  copy[at] = value
  return copy
}

describe('a record batch', () => {
  it('is built to the bytes and the CRC of Kafka', () => {
    const batch = RecordBatch.build({}, RECORDS)
    expect(hex(batch.toBytes())).toBe(BATCH)
    expect(batch.crc).toBe(CRC)
    expect(batch.sizeInBytes).toBe(BATCH.length / 2)
    expect(batch.length).toBe(BATCH.length / 2)
  })

  it('is parsed from them', () => {
    const batch = RecordBatch.parse(unhex(BATCH)) as RecordBatch
    expect(batch).toMatchObject({
      baseOffset: 0,
      lastOffset: 1,
      nextOffset: 2,
      partitionLeaderEpoch: -1,
      crc: CRC,
      count: 2,
      baseTimestamp: 283843,
      maxTimestamp: 283843,
      producerId: -1,
      producerEpoch: -1,
      baseSequence: -1,
      lastSequence: -1,
      hasProducerId: false,
      isTransactional: false,
      isControl: false,
      compression: 'none',
      timestampType: 'CreateTime',
      deleteHorizonMs: undefined,
    })
    expect(batch.isValid()).toBe(true)
    expect(batch.records()).toEqual(RECORDS.map((record, offsetDelta) => ({ offsetDelta, headers: [], ...record })))
  })

  it('gives back the records that it was built from, without decoding', () => {
    const records = RecordBatch.build({}, RECORDS).records()
    expect(records[1]?.value).toBe(RECORDS[1]?.value)
    expect(records[1]?.offsetDelta).toBe(1)
  })

  it('is the same body under other offsets', () => {
    const batch = RecordBatch.build({ producerId: 5, producerEpoch: 1, baseSequence: 7 }, RECORDS)
    const records = batch.records()
    const moved = batch.withOffsets(100, 6)
    expect(moved).toMatchObject({
      baseOffset: 100,
      lastOffset: 101,
      partitionLeaderEpoch: 6,
      crc: batch.crc,
      baseSequence: 7,
    })
    expect(moved.records()).toBe(records)
    expect(moved.isValid()).toBe(true)
    expect(batch).toMatchObject({ baseOffset: 0, partitionLeaderEpoch: -1 })
    const bytes = moved.toBytes()
    expect(hex(bytes.subarray(0, 8))).toBe('0000000000000064')
    expect(hex(bytes.subarray(12, 16))).toBe('00000006')
    expect(hex(bytes.subarray(16))).toBe(hex(batch.toBytes().subarray(16)))
    expect(moved.withOffsets(100, 6)).toBe(moved)
  })

  it('carries producer state, flags and sequences that wrap', () => {
    const batch = RecordBatch.build(
      { producerId: 4_294_967_296, producerEpoch: 32767, baseSequence: INT_MAX, isTransactional: true },
      RECORDS,
    )
    const parsed = RecordBatch.parse(batch.toBytes()) as RecordBatch
    for (const each of [batch, parsed]) {
      expect(each).toMatchObject({
        producerId: 4_294_967_296,
        producerEpoch: 32767,
        baseSequence: INT_MAX,
        lastSequence: 0,
        hasProducerId: true,
        isTransactional: true,
        attributes: 0x10,
      })
    }
  })

  it("with the leader's time has another CRC, and that time in all its records", () => {
    const batch = RecordBatch.build({ baseOffset: 3 }, RECORDS)
    const stamped = batch.withLogAppendTime(777_777)
    expect(stamped).toMatchObject({
      baseOffset: 3,
      timestampType: 'LogAppendTime',
      maxTimestamp: 777_777,
      baseTimestamp: 283843,
    })
    expect(stamped.crc).not.toBe(batch.crc)
    expect(stamped.crc).toBe(crc32c(stamped.toBytes(), 21))
    expect(batch).toMatchObject({ timestampType: 'CreateTime', maxTimestamp: 283843, crc: CRC })
    const parsed = RecordBatch.parse(stamped.toBytes()) as RecordBatch
    for (const each of [stamped, parsed]) {
      expect(each.records().map((record) => record.timestamp)).toEqual([777_777, 777_777])
      expect(each.records().map((record) => hex(record.key as Uint8Array))).toEqual([
        hex(utf8('key1')),
        hex(utf8('key2')),
      ])
    }
  })

  it('after compaction keeps its last offset, its gaps and its delete horizon', () => {
    const batch = RecordBatch.build({ baseOffset: 20, lastOffsetDelta: 9, deleteHorizonMs: 5_000 }, [
      { timestamp: 4_000, key: utf8('a'), value: null, offsetDelta: 2 },
      { timestamp: 6_000, key: utf8('b'), value: utf8('x'), offsetDelta: 7 },
    ])
    const parsed = RecordBatch.parse(batch.toBytes()) as RecordBatch
    for (const each of [batch, parsed]) {
      expect(each).toMatchObject({
        baseOffset: 20,
        lastOffset: 29,
        count: 2,
        deleteHorizonMs: 5_000,
        maxTimestamp: 6_000,
        attributes: 0x40,
      })
      expect(each.records().map((record) => [record.offsetDelta, record.timestamp])).toEqual([
        [2, 4_000],
        [7, 6_000],
      ])
    }
  })

  it('may be empty, when it still stands for offsets', () => {
    const batch = RecordBatch.build(
      { baseOffset: 20, lastOffsetDelta: 4, producerId: 1, producerEpoch: 0, baseSequence: 3 },
      [],
    )
    expect(batch).toMatchObject({
      sizeInBytes: BATCH_OVERHEAD,
      count: 0,
      lastOffset: 24,
      lastSequence: 7,
      maxTimestamp: -1,
    })
    expect((RecordBatch.parse(batch.toBytes()) as RecordBatch).records()).toEqual([])
  })

  it('of any records comes back from its bytes', () => {
    const random = new Random('batches')
    for (let i = 0; i < 100; i++) {
      const batches = randomRecords(random)
      const bytes = Buffer.concat(batches.map((batch) => batch.toBytes()))
      const parsed = parseRecords(new Uint8Array(bytes))
      expect(parsed.map((batch) => batch.records())).toEqual(batches.map((batch) => batch.records()))
      expect(parsed.every((batch) => batch.isValid())).toBe(true)
    }
  })

  it('is as long as its overhead and its records, computed beforehand', () => {
    const sizes = RECORDS.map((record, index) => recordSizeInBytes(record, index, 283843))
    expect(RecordBatch.build({}, RECORDS).sizeInBytes).toBe(
      BATCH_OVERHEAD + (sizes[0] as number) + (sizes[1] as number),
    )
  })

  it('larger than a slab, and after it, is built just so', () => {
    const value = new Uint8Array(100_000).fill(9)
    const large = RecordBatch.build({}, [{ timestamp: 1, key: null, value }])
    const small = RecordBatch.build({}, RECORDS)
    expect((RecordBatch.parse(large.toBytes()) as RecordBatch).records()[0]?.value).toEqual(value)
    expect(large.isValid() && crc32c(large.toBytes(), 21) === large.crc).toBe(true)
    expect(hex(small.toBytes())).toBe(BATCH)
  })
})

describe('bytes that are no batch', () => {
  const bytes = unhex(BATCH)

  it('are undefined when they are torn or have no v2 header', () => {
    expect(RecordBatch.parse(new Uint8Array(0))).toBe(undefined)
    expect(RecordBatch.parse(bytes.subarray(0, 60))).toBe(undefined)
    expect(RecordBatch.parse(bytes.subarray(0, bytes.length - 1))).toBe(undefined)
    expect(RecordBatch.parse(changed(bytes, 16, 1))).toBe(undefined)
    expect(RecordBatch.parse(changed(bytes, 8, 0xff))).toBe(undefined)
    expect(RecordBatch.parse(changed(bytes, 11, 20))).toBe(undefined)
    expect(RecordBatch.parse(new Uint8Array(200))).toBe(undefined)
    expect(RecordBatch.parse(changed(bytes, 0, 0x7f))).toBe(undefined)
    expect(RecordBatch.parse(bytes, 1)).toBe(undefined)
  })

  it('end a run of batches', () => {
    const two = new Uint8Array([...bytes, ...bytes.subarray(0, 80)])
    expect(parseRecords(two)).toHaveLength(1)
  })

  it('fail the CRC wherever a bit is flipped behind it, and in it', () => {
    for (let at = 17; at < bytes.length; at++) {
      const batch = RecordBatch.parse(changed(bytes, at, (bytes[at] as number) ^ 1))
      expect(batch?.isValid() ?? false).toBe(false)
    }
  })

  it('throw when records are asked of a body that does not parse', () => {
    expect(() => RecordBatch.parse(changed(bytes, 60, 3))?.records()).toThrow(MalformedBytes)
    expect(() => RecordBatch.parse(changed(bytes, 60, 1))?.records()).toThrow(MalformedBytes)
    expect(() => RecordBatch.parse(changed(bytes, 61, 0x22))?.records()).toThrow(MalformedBytes)
  })

  it('tell of a codec that is not spoken here', () => {
    const batch = RecordBatch.parse(changed(bytes, 22, 4)) as RecordBatch
    expect(batch.compression).toBe('zstd')
    expect(() => batch.records()).toThrow(UsageError)
  })
})

describe('sequences', () => {
  it('wrap from Integer.MAX_VALUE to 0 and back', () => {
    expect(incrementSequence(INT_MAX, 1)).toBe(0)
    expect(incrementSequence(INT_MAX - 5, 10)).toBe(4)
    expect(incrementSequence(0, 5)).toBe(5)
    expect(decrementSequence(0, 1)).toBe(INT_MAX)
    expect(decrementSequence(10, 3)).toBe(7)
  })
})

describe('control records', () => {
  it('that end a transaction have the bytes of Kafka', () => {
    const batch = endTransactionMarkerBatch({
      timestamp: 9,
      producerId: 5,
      producerEpoch: 2,
      coordinatorEpoch: 17,
      commit: true,
    })
    expect(batch).toMatchObject({
      isControl: true,
      isTransactional: true,
      producerId: 5,
      producerEpoch: 2,
      baseSequence: -1,
      count: 1,
    })
    const record = (RecordBatch.parse(batch.toBytes()) as RecordBatch).records()[0]
    if (record === undefined) throw new Error('no record')
    expect(hex(record.key as Uint8Array)).toBe('00000001')
    expect(hex(record.value as Uint8Array)).toBe('000000000011')
    expect(parseControlRecord(record)).toEqual({ type: 'COMMIT', coordinatorEpoch: 17 })
    const abort = endTransactionMarkerBatch({
      timestamp: 9,
      producerId: 5,
      producerEpoch: 2,
      coordinatorEpoch: 0,
      commit: false,
    })
    expect(hex(abort.records()[0]?.key as Uint8Array)).toBe('00000000')
  })

  it('of the quorum come back as they went', () => {
    const voterDirectoryId = 'AQEBAQEBAQEBAQEBAQEBAQ'
    const controls = [
      {
        type: 'LEADER_CHANGE',
        version: 1,
        leaderId: 3001,
        voters: [{ voterId: 3001, voterDirectoryId }],
        grantingVoters: [],
      },
      { type: 'SNAPSHOT_HEADER', version: 0, lastContainedLogTimestamp: 12 },
      { type: 'SNAPSHOT_FOOTER', version: 0 },
      { type: 'KRAFT_VERSION', version: 0, kRaftVersion: 1 },
      {
        type: 'KRAFT_VOTERS',
        version: 0,
        voters: [
          {
            voterId: 3001,
            voterDirectoryId,
            endpoints: [{ name: 'CONTROLLER', host: 'c1', port: 9093 }],
            kRaftVersionFeature: { minSupportedVersion: 0, maxSupportedVersion: 1 },
          },
        ],
      },
    ] as const
    const batch = controlBatch({ baseOffset: 4, partitionLeaderEpoch: 2 }, 1_000, controls)
    expect(batch).toMatchObject({ isControl: true, isTransactional: false, baseOffset: 4, partitionLeaderEpoch: 2 })
    const parsed = (RecordBatch.parse(batch.toBytes()) as RecordBatch).records()
    expect(parsed.map((record) => hex(record.key as Uint8Array))).toEqual([
      '00000002',
      '00000003',
      '00000004',
      '00000005',
      '00000006',
    ])
    expect(parsed.map((record) => parseControlRecord(record))).toEqual(controls)
  })

  it('of a leader change have no directories in version 0, as Kafka 4.1 writes them', () => {
    const voters = [3001, 3002].map((voterId) => ({ voterId, voterDirectoryId: 'AAAAAAAAAAAAAAAAAAAAAA' }))
    const batch = controlBatch({ baseOffset: 0, partitionLeaderEpoch: 1 }, 1, [
      { type: 'LEADER_CHANGE', version: 0, leaderId: 3001, voters, grantingVoters: voters.slice(0, 1) },
    ])
    expect(hex(batch.records()[0]?.value as Uint8Array)).toBe(
      '000000000bb9' + '0300000bb90000000bba00' + '0200000bb900' + '00',
    )
  })

  it("of an unknown type are nobody's; without a key they are malformed", () => {
    expect(controlType(unhex('00000063'))).toBe(undefined)
    expect(controlType(unhex('00010001'))).toBe('COMMIT')
    expect(() => controlType(unhex('0000'))).toThrow(MalformedBytes)
    expect(() => controlType(unhex('ffff0001'))).toThrow(MalformedBytes)
    expect(() => controlType(null)).toThrow(MalformedBytes)
  })
})
