import { describe, expect, it } from 'vitest'
import { InvariantError } from '../../sim/kernel/errors.js'
import { Random } from '../../sim/kernel/random.js'
import { INT_MAX, LONG_MAX } from '../../sim/kernel/units.js'
import { crc32c } from '../../sim/wire/crc32c.js'
import { errorName, Errors, isInvalidMetadata, isRetriable } from '../../sim/wire/errors.js'
import { murmur2, partitionForKey } from '../../sim/wire/murmur2.js'
import {
  ByteReader,
  ByteWriter,
  MalformedBytes,
  sizeOfUvarint,
  sizeOfVarint,
  sizeOfVarlong,
  utf8Size,
} from '../../sim/wire/primitives.js'
import { isUuid, METADATA_TOPIC_ID, readUuid, writeUuid, ZERO_UUID } from '../../sim/wire/uuid.js'
import { hex, unhex, utf8 } from './bytes.js'

function written(write: (writer: ByteWriter) => void): string {
  const writer = new ByteWriter(1)
  write(writer)
  return hex(writer.finish())
}

describe('CRC-32C', () => {
  it.each([
    ['', 0],
    ['Some String', 608512271],
    ['123456789', 0xe3069283],
  ])('of "%s" is %i', (text, crc) => {
    expect(crc32c(utf8(text))).toBe(crc)
  })

  it('of 32 zeros, 32 ones and 32 ascending bytes is that of RFC 3720', () => {
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43)
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e)
  })

  it('of a part does not look at the rest', () => {
    expect(crc32c(utf8('xx123456789yyy'), 2, 11)).toBe(0xe3069283)
  })
})

describe('murmur2', () => {
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('of "%s" is %i', (text, hash) => {
    expect(murmur2(utf8(text))).toBe(hash)
  })

  it('gives a partition without the sign of the hash', () => {
    expect(partitionForKey(utf8('foobar'), 10)).toBe((-790332482 & 0x7fffffff) % 10)
  })
})

describe('varints', () => {
  it.each([
    [-1, '01'],
    [63, '7e'],
    [64, '8001'],
    [-65, '8101'],
    [8192, '808001'],
    [INT_MAX, 'feffffff0f'],
    [-0x8000_0000, 'ffffffff0f'],
  ])('zigzag %i is %s', (value, bytes) => {
    expect(written((writer) => writer.varint(value))).toBe(bytes)
    expect(new ByteReader(unhex(bytes)).varint()).toBe(value)
    expect(sizeOfVarint(value)).toBe(bytes.length / 2)
  })

  it.each([
    [0, '00'],
    [-1, '01'],
    [-0x8000_0000, 'ffffffff0f'],
    [17179869183, 'feffffff7f'],
    [-17179869184, 'ffffffff7f'],
    [17179869184, '808080808001'],
    [-17179869185, '818080808001'],
    [2199023255551, 'feffffffff7f'],
    [-2199023255552, 'ffffffffff7f'],
    [2199023255552, '80808080808001'],
  ])('zigzag 64-bit %i is %s', (value, bytes) => {
    expect(written((writer) => writer.varlong(value))).toBe(bytes)
    expect(new ByteReader(unhex(bytes)).varlong()).toBe(value)
    expect(sizeOfVarlong(value)).toBe(bytes.length / 2)
  })

  it('64-bit ones stay exact up to 2^53', () => {
    for (const value of [Number.MAX_SAFE_INTEGER - 1, -Number.MAX_SAFE_INTEGER, 4503599627370497, -4503599627370497]) {
      const bytes = unhex(written((writer) => writer.varlong(value)))
      expect(new ByteReader(bytes).varlong()).toBe(value)
      expect(sizeOfVarlong(value)).toBe(bytes.length)
    }
  })

  it.each([
    [0, '00'],
    [127, '7f'],
    [128, '8001'],
    [16384, '808001'],
    [0xffffffff, 'ffffffff0f'],
  ])('unsigned %i is %s', (value, bytes) => {
    expect(written((writer) => writer.uvarint(value))).toBe(bytes)
    expect(new ByteReader(unhex(bytes)).uvarint()).toBe(value)
    expect(sizeOfUvarint(value)).toBe(bytes.length / 2)
  })

  it('of more than five bytes are malformed', () => {
    expect(() => new ByteReader(unhex('808080808001')).uvarint()).toThrow(MalformedBytes)
  })
})

describe('64-bit integers', () => {
  it.each([
    [0, '0000000000000000'],
    [-1, 'ffffffffffffffff'],
    [4294967296, '0000000100000000'],
    [-4294967297, 'fffffffeffffffff'],
    [Number.MAX_SAFE_INTEGER - 1, '001ffffffffffffe'],
    [-Number.MAX_SAFE_INTEGER, 'ffe0000000000001'],
    [LONG_MAX, '7fffffffffffffff'],
  ])('%i is %s', (value, bytes) => {
    expect(written((writer) => writer.int64(value))).toBe(bytes)
    expect(new ByteReader(unhex(bytes)).int64()).toBe(value)
  })

  it('that are not exact are refused on either side', () => {
    expect(() => written((writer) => writer.int64(2 ** 53))).toThrow(InvariantError)
    expect(() => written((writer) => writer.int64(0.5))).toThrow(InvariantError)
    expect(() => new ByteReader(unhex('0020000000000000')).int64()).toThrow(MalformedBytes)
    expect(() => new ByteReader(unhex('8000000000000000')).int64()).toThrow(MalformedBytes)
  })
})

describe('text', () => {
  it.each(['', 'orders', 'größe', '注文', '𝄞 clef', 'x'.repeat(100), `${'y'.repeat(45)}ß`, '\ufeffmark'])(
    '"%s" comes back, in each form',
    (text) => {
      expect(utf8Size(text)).toBe(utf8(text).length)
      const writer = new ByteWriter()
      writer.string(text)
      writer.compactString(text)
      writer.nullableString(null)
      writer.compactNullableString(null)
      writer.nullableString(text)
      writer.compactNullableString(text)
      const reader = new ByteReader(writer.finish())
      expect(reader.string()).toBe(text)
      expect(reader.compactString()).toBe(text)
      expect(reader.nullableString()).toBe(null)
      expect(reader.compactNullableString()).toBe(null)
      expect(reader.nullableString()).toBe(text)
      expect(reader.compactNullableString()).toBe(text)
      expect(reader.remaining).toBe(0)
    },
  )

  it('counts lone surrogates as the encoder writes them', () => {
    for (const text of ['\ud834', 'a\udd1eb', '\ud834\ud834\udd1e']) expect(utf8Size(text)).toBe(utf8(text).length)
  })

  it('that is null where null is not allowed is malformed', () => {
    expect(() => new ByteReader(unhex('ffff')).string()).toThrow(MalformedBytes)
    expect(() => new ByteReader(unhex('00')).compactString()).toThrow(MalformedBytes)
  })

  it('longer than the bytes left is malformed', () => {
    expect(() => new ByteReader(unhex('000561')).string()).toThrow(MalformedBytes)
  })
})

describe('a uuid', () => {
  it('is the unpadded base64url of its bytes', () => {
    const random = new Random('uuid')
    for (let i = 0; i < 50; i++) {
      const uuid = random.uuid()
      expect(isUuid(uuid)).toBe(true)
      const bytes = new Uint8Array(18)
      writeUuid(uuid, bytes, 1)
      expect(Buffer.from(bytes.subarray(1, 17)).toString('base64url')).toBe(uuid)
      expect(readUuid(bytes, 1)).toBe(uuid)
    }
  })

  it('of zeros, and that of the metadata topic, have their known texts', () => {
    expect(readUuid(new Uint8Array(16), 0)).toBe(ZERO_UUID)
    expect(readUuid(unhex('00000000000000000000000000000001'), 0)).toBe(METADATA_TOPIC_ID)
  })

  it('of no 16 bytes is refused', () => {
    expect(isUuid('AAAAAAAAAAAAAAAAAAAAAB')).toBe(false)
    expect(() => writeUuid('AAAAAAAAAAAAAAAAAAAAAB', new Uint8Array(16), 0)).toThrow(InvariantError)
    expect(() => writeUuid('short', new Uint8Array(16), 0)).toThrow(InvariantError)
  })
})

describe('error codes', () => {
  it('have the numbers of Kafka 4.1', () => {
    expect(Object.keys(Errors)).toHaveLength(135)
    expect(Errors.NOT_LEADER_OR_FOLLOWER).toBe(6)
    expect(Errors.FENCED_LEADER_EPOCH).toBe(74)
    expect(Errors.DUPLICATE_BROKER_REGISTRATION).toBe(101)
    expect(Errors.SHARE_SESSION_LIMIT_REACHED).toBe(133)
    expect(new Set(Object.values(Errors)).size).toBe(135)
  })

  it('have names; an unknown one reads as an unknown server error', () => {
    expect(errorName(0)).toBe('NONE')
    expect(errorName(74)).toBe('FENCED_LEADER_EPOCH')
    expect(errorName(9999)).toBe('UNKNOWN_SERVER_ERROR')
  })

  it('are retriable where the same request may succeed later', () => {
    for (const code of [
      Errors.NOT_ENOUGH_REPLICAS,
      Errors.REQUEST_TIMED_OUT,
      Errors.NOT_CONTROLLER,
      Errors.CORRUPT_MESSAGE,
    ]) {
      expect(isRetriable(code)).toBe(true)
    }
    for (const code of [
      Errors.NONE,
      Errors.UNKNOWN_SERVER_ERROR,
      Errors.OUT_OF_ORDER_SEQUENCE_NUMBER,
      Errors.STALE_BROKER_EPOCH,
    ]) {
      expect(isRetriable(code)).toBe(false)
    }
  })

  it('tell of outdated metadata where the leader is not what was believed', () => {
    for (const code of [
      Errors.NOT_LEADER_OR_FOLLOWER,
      Errors.FENCED_LEADER_EPOCH,
      Errors.UNKNOWN_TOPIC_ID,
      Errors.NETWORK_EXCEPTION,
    ]) {
      expect(isInvalidMetadata(code) && isRetriable(code)).toBe(true)
    }
    for (const code of [Errors.UNKNOWN_LEADER_EPOCH, Errors.OFFSET_NOT_AVAILABLE, Errors.REQUEST_TIMED_OUT]) {
      expect(isInvalidMetadata(code)).toBe(false)
    }
  })
})
