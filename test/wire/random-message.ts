/**
 * Random messages of any schema and version, from a seeded stream.
 *
 * Every field that the version has is given a value, with text beyond ASCII, numbers at their bounds, nulls where allowed and some
 * defaults; every other field holds its default, so that a message comes back from bytes as it went.
 */

import type { Random } from '../../sim/kernel/random.js'
import { LONG_MAX } from '../../sim/kernel/units.js'
import { RecordBatch, type Records } from '../../sim/wire/record-batch.js'
import { defaultOf, includes, type Field, type Struct } from '../../sim/wire/schema.js'

const TEXTS = ['', 'orders', 'b1', 'größe', '注文', '🦜 mit 𝄞', 'x'.repeat(200)]
const INT64 = [0, -1, 1, LONG_MAX, -9007199254740991, 4294967296, -4294967297, 1700000000000]

export function randomMessage(struct: Struct, version: number, random: Random): unknown {
  const message: Record<string, unknown> = {}
  for (const field of struct.fields) message[field.name] = randomField(field, version, random)
  return message
}

function randomField(field: Field, version: number, random: Random): unknown {
  if (!includes(field.versions, version)) return defaultOf(field)
  if (includes(field.nullable, version) && random.chance(0.3)) return null
  if (random.chance(0.1)) {
    const value = defaultOf(field)
    if (value !== null || includes(field.nullable, version)) return value
  }
  if (!field.array) return randomValue(field, version, random)
  return Array.from({ length: random.int(4) }, () => randomValue(field, version, random))
}

function randomValue(field: Field, version: number, random: Random): unknown {
  switch (field.type) {
    case 'struct':
      return randomMessage(field.struct as Struct, version, random)
    case 'bool':
      return random.chance(0.5)
    case 'int8':
      return random.between(-0x80, 0x7f)
    case 'int16':
      return random.between(-0x8000, 0x7fff)
    case 'uint16':
      return random.between(0, 0xffff)
    case 'int32':
      return random.between(-0x8000_0000, 0x7fff_ffff)
    case 'int64':
      return random.pick(INT64)
    case 'bigint64':
      return random.pick([0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 0x0123456789abcdefn])
    case 'float64':
      return random.float() * 1e9 - 1e6
    case 'string':
      return random.pick(TEXTS)
    case 'uuid':
      return random.uuid()
    case 'bytes':
      return Uint8Array.from({ length: random.pick([0, 1, 3, 150]) }, () => random.int(256))
    case 'records':
      return randomRecords(random)
  }
}

export function randomRecords(random: Random): Records {
  return Array.from({ length: random.int(3) }, () => {
    const records = Array.from({ length: random.between(1, 3) }, () => ({
      timestamp: random.between(0, 2_000_000_000_000),
      key: random.chance(0.3) ? null : Uint8Array.from({ length: random.int(20) }, () => random.int(256)),
      value: random.chance(0.1) ? null : Uint8Array.from({ length: random.int(200) }, () => random.int(256)),
      headers: Array.from({ length: random.int(2) }, () => ({ key: random.pick(TEXTS), value: null })),
    }))
    return RecordBatch.build({ baseOffset: random.int(1000), partitionLeaderEpoch: random.int(9) }, records)
  })
}
