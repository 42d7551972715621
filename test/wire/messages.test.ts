import { describe, expect, it } from 'vitest'
import { InvariantError } from '../../sim/kernel/errors.js'
import { Random } from '../../sim/kernel/random.js'
import { LONG_MAX } from '../../sim/kernel/units.js'
import { API_TABLE, apiByKey, apiOf, type ApiName } from '../../sim/wire/apis.js'
import { MessageCodec } from '../../sim/wire/codec.js'
import { Errors } from '../../sim/wire/errors.js'
import { MalformedBytes } from '../../sim/wire/primitives.js'
import { RecordBatch } from '../../sim/wire/record-batch.js'
import { parseSchema } from '../../sim/wire/schema.js'
import { ZERO_UUID } from '../../sim/wire/uuid.js'
import { hex, unhex } from './bytes.js'
import { randomMessage } from './random-message.js'

const APIS = Object.keys(API_TABLE) as ApiName[]
const MESSAGES_EACH = 8

/** Batches by what they are, as their objects differ. */
function plain(value: unknown): unknown {
  if (value instanceof RecordBatch) return hex(value.toBytes())
  if (value instanceof Uint8Array) return hex(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]))
}

describe('every message in every version', () => {
  it.each(APIS)('of %s comes back as it went, in exactly the bytes counted', (name) => {
    const api = apiOf(name)
    const random = new Random(name)
    for (let version = api.minVersion; version <= api.maxVersion; version++) {
      for (const codec of [api.request, api.response] as MessageCodec<unknown>[]) {
        for (let i = 0; i < MESSAGES_EACH; i++) {
          const message = randomMessage(codec.struct, version, random)
          const bytes = codec.encode(version, message)
          expect(bytes.length).toBe(codec.size(version, message))
          const decoded = codec.decode(version, bytes)
          expect(plain(decoded)).toEqual(plain(message))
          expect(hex(codec.encode(version, decoded))).toBe(hex(bytes))
        }
      }
    }
  })

  it('cut short anywhere is malformed, never half a message', () => {
    const { request } = apiOf('Fetch')
    const message = randomMessage(request.struct, 18, new Random('cut'))
    const bytes = request.encode(18, message as never)
    expect(bytes.length).toBeGreaterThan(30)
    for (let length = 0; length < bytes.length; length++) {
      expect(() => request.decode(18, bytes.subarray(0, length))).toThrow(MalformedBytes)
    }
    expect(() => request.decode(18, new Uint8Array([...bytes, 0]))).toThrow(MalformedBytes)
  })

  it('has the key and the versions of Kafka 4.1', () => {
    const versions = (name: ApiName) =>
      `${API_TABLE[name].key}: ${API_TABLE[name].minVersion}-${API_TABLE[name].maxVersion}`
    expect(versions('Produce')).toBe('0: 3-13')
    expect(versions('Fetch')).toBe('1: 4-18')
    expect(versions('ListOffsets')).toBe('2: 1-10')
    expect(versions('Metadata')).toBe('3: 0-13')
    expect(versions('ApiVersions')).toBe('18: 0-4')
    // Version 6 is marked unstable.
    expect(versions('InitProducerId')).toBe('22: 0-5')
    expect(versions('Vote')).toBe('52: 0-2')
    expect(versions('AlterPartition')).toBe('56: 2-3')
    expect(versions('BrokerRegistration')).toBe('62: 0-4')
    for (const name of APIS) expect(apiByKey(API_TABLE[name].key)).toBe(name)
    expect(apiByKey(-1)).toBe(undefined)
  })
})

describe('byte layout', () => {
  function same<T>(codec: MessageCodec<T>, version: number, message: T, bytes: string): void {
    const expected = bytes.replaceAll(/\s/g, '')
    expect(hex(codec.encode(version, message))).toBe(expected)
    expect(plain(codec.decode(version, unhex(expected)))).toEqual(plain(message))
  }

  it('of a request with tagged sections ending each struct', () => {
    const id = '00112233445566778899aabbccddeeff'
    const uuid = Buffer.from(id, 'hex').toString('base64url')
    same(
      API_TABLE.Vote.request,
      2,
      {
        clusterId: 'c',
        voterId: 3001,
        topics: [
          {
            topicName: 'meta',
            partitions: [
              {
                partitionIndex: 0,
                replicaEpoch: 5,
                replicaId: 3002,
                replicaDirectoryId: uuid,
                voterDirectoryId: ZERO_UUID,
                lastOffsetEpoch: 4,
                lastOffset: 100,
                preVote: true,
              },
            ],
          },
        ],
      },
      `0263 00000bb9 02 056d657461 02
       00000000 00000005 00000bba ${id} 00000000000000000000000000000000 00000004 0000000000000064 01 00
       00 00`,
    )
  })

  it('of arrays that are null, in old and in flexible versions', () => {
    const all = { ...API_TABLE.Metadata.request.defaults, topics: null }
    same(API_TABLE.Metadata.request, 1, all, 'ffffffff')
    same(API_TABLE.Metadata.request, 4, all, 'ffffffff 01')
    same(API_TABLE.Metadata.request, 9, all, '00 01 00 00 00')
    same(API_TABLE.Metadata.request, 12, all, '00 01 00 00')
    same(API_TABLE.Metadata.request, 0, { ...all, topics: [] }, '00000000')
  })

  it('of a version without compact types', () => {
    same(
      API_TABLE.IncrementalAlterConfigs.request,
      0,
      {
        resources: [{ resourceType: 2, resourceName: 't', configs: [{ name: 'ab', configOperation: 1, value: null }] }],
        validateOnly: true,
      },
      '00000001 02 0001 74 00000001 0002 6162 01 ffff 01',
    )
  })

  it('of tagged fields, only where they do not hold their default', () => {
    const partition = {
      partitionIndex: 1,
      errorCode: Errors.NOT_LEADER_OR_FOLLOWER,
      highWatermark: 7,
      lastStableOffset: -1,
      logStartOffset: 0,
      divergingEpoch: { epoch: 2, endOffset: 1 },
      currentLeader: { leaderId: 2, leaderEpoch: 7 },
      snapshotId: { endOffset: -1, epoch: -1 },
      abortedTransactions: null,
      preferredReadReplica: -1,
      records: [],
    }
    same(
      API_TABLE.Fetch.response,
      16,
      {
        throttleTimeMs: 0,
        errorCode: 0,
        sessionId: 9,
        responses: [{ topic: '', topicId: ZERO_UUID, partitions: [partition] }],
        nodeEndpoints: [{ nodeId: 2, host: 'b2', port: 9092, rack: null }],
      },
      `00000000 0000 00000009 02 ${'00'.repeat(16)} 02
       00000001 0006 0000000000000007 ffffffffffffffff 0000000000000000 00 ffffffff 01
       02 00 0d 00000002 0000000000000001 00 01 09 00000002 00000007 00
       00 01 00 0e 02 00000002 036232 00002384 00 00`,
    )
  })

  it('of a struct that may be null', () => {
    const { request } = API_TABLE.DescribeTopicPartitions
    same(request, 0, { topics: [], responsePartitionLimit: 2000, cursor: null }, '01 000007d0 ff 00')
    same(
      request,
      0,
      { topics: [{ name: 't' }], responsePartitionLimit: 1, cursor: { topicName: 't', partitionIndex: 3 } },
      '02 0274 00 00000001 01 0274 00000003 00 00',
    )
  })

  it('of record batches, one after the other behind their length', () => {
    const batch = RecordBatch.build({}, [{ timestamp: 0, key: null, value: Uint8Array.of(1) }])
    const message = (topicId: string, name: string) => ({
      transactionalId: null,
      acks: -1,
      timeoutMs: 30_000,
      topicData: [{ name, topicId, partitionData: [{ index: 0, records: [batch, batch.withOffsets(1, 0)] }] }],
    })
    const size = batch.sizeInBytes * 2
    const bytes = hex(batch.toBytes()) + hex(batch.withOffsets(1, 0).toBytes())
    same(
      API_TABLE.Produce.request,
      3,
      message(ZERO_UUID, 't'),
      `ffff ffff 00007530 00000001 0001 74 00000001 00000000 ${size.toString(16).padStart(8, '0')} ${bytes}`,
    )
    expect(size + 1).toBe(0x8b)
    same(
      API_TABLE.Produce.request,
      13,
      message('AAAAAAAAAAAAAAAAAAAAAQ', ''),
      `00 ffff 00007530 02 ${'00'.repeat(15)}01 02 00000000 8b01 ${bytes} 00 00 00`,
    )
  })
})

describe('a codec', () => {
  const codec = new MessageCodec<Record<string, unknown>>(
    'Sample',
    { from: 0, to: 3 },
    { from: 2, to: Infinity },
    `
      id: int32
      name: string 0-1 ignorable
      strict: int16 1+ = 3
      limit: int64 2+ tag 4 = 9223372036854775807 ignorable
      inner: struct 2+ tag 1
        a: int8 = -1
        errorCode: int16
      list: []struct null 2+ ignorable
        errorCode: int16
    `,
  )
  const full = { id: 1, name: 'n', strict: 3, limit: LONG_MAX, inner: { a: -1, errorCode: 0 }, list: [] }

  it('drops what a version lacks when it is ignorable', () => {
    expect(codec.decode(3, codec.encode(3, full))).toEqual({ ...full, name: '' })
  })

  it('refuses to drop what is not ignorable, unless it is the default', () => {
    expect(codec.decode(0, codec.encode(0, full))).toEqual(full)
    expect(() => codec.encode(0, { ...full, strict: 4 })).toThrow(InvariantError)
    expect(() => codec.encode(1, { ...full, inner: { a: 0, errorCode: 0 } })).toThrow(InvariantError)
    expect(() => codec.encode(1, { ...full, list: null })).toThrow(InvariantError)
  })

  it('refuses a version that it does not have', () => {
    expect(() => codec.encode(4, full)).toThrow(InvariantError)
  })

  it('writes tagged fields in the order of their tags, and skips those it does not know', () => {
    const message = { ...full, limit: 5, inner: { a: 1, errorCode: 2 } }
    const bytes = '00000001 0003 01 02 01 04 01 0002 00 04 08 0000000000000005'
    expect(hex(codec.encode(2, message))).toBe(bytes.replaceAll(' ', ''))
    const stranger = '00000001 0003 01 02 03 03 aabbcc 04 08 0000000000000005'
    expect(codec.decode(2, unhex(stranger))).toEqual({ ...full, name: '', limit: 5 })
  })

  it('finds the first error in the order of fields', () => {
    const list = [{ errorCode: 0 }, { errorCode: 6 }, { errorCode: 3 }]
    expect(codec.firstError(full)).toBe(0)
    expect(codec.firstError({ ...full, list })).toBe(6)
    expect(codec.firstError({ ...full, list, inner: { a: 0, errorCode: -1 } })).toBe(-1)
    expect(codec.firstError({ ...full, list: null })).toBe(0)
    expect(API_TABLE.Metadata.request.firstError(API_TABLE.Metadata.request.defaults)).toBe(0)
  })

  it('refuses an array longer than the bytes that are left', () => {
    expect(() => API_TABLE.Metadata.request.decode(1, unhex('7fffffff'))).toThrow(MalformedBytes)
  })
})

describe('a schema', () => {
  it('that does not parse is refused', () => {
    expect(() => parseSchema('a: int24')).toThrow(InvariantError)
    expect(() => parseSchema('a: int32 sometimes')).toThrow(InvariantError)
    expect(() => parseSchema('a: struct')).toThrow(InvariantError)
    expect(() => parseSchema('a: int32\n    b: int32')).toThrow(InvariantError)
    expect(() => parseSchema('  a: int32\nb: int32')).toThrow(InvariantError)
  })
})
