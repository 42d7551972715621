/**
 * The primitive types of Kafka's protocol, read from and written to bytes (big-endian).
 *
 * Fixed-width integers, zigzag varints (records), unsigned varints (compact lengths, tags), strings, bytes and uuids; the compact
 * and the nullable forms of KIP-482. A 64-bit integer is a JavaScript number: it must be exact (below 2^53 either way), with one
 * exception, Long.MAX_VALUE, which is `LONG_MAX` in the simulation and 0x7fffffffffffffff on the wire.
 *
 * A writer grows as it is written to. A reader never reads past its end: bytes that are not what the reader was told to expect
 * throw `MalformedBytes`, and the caller knows whose fault that is.
 */

import { assert } from '../kernel/errors.js'
import { LONG_MAX } from '../kernel/units.js'
import { readUuid, UUID_BYTES, writeUuid } from './uuid.js'

/** The bytes are not what their reader expects: too short, or a value out of range. Thrown by readers only. */
export class MalformedBytes extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'MalformedBytes'
  }
}

const TWO_32 = 0x1_0000_0000
/** The high word of 2^53: a high word at or above it, or below its negative, is not exact. */
const HIGH_WORD_LIMIT = 0x20_0000
const HIGH_WORD_OF_LONG_MAX = 0x7fff_ffff
/** Text longer than this goes through the platform's coder; below, a loop over ASCII is faster. */
const SHORT_TEXT = 40

const encoder = new TextEncoder()
// A byte order mark is part of the text, as in Java.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

export class ByteWriter {
  bytes: Uint8Array
  position = 0

  /** @param capacity first size of the buffer, in bytes; exact when the caller knows it. */
  constructor(capacity = 64) {
    this.bytes = new Uint8Array(capacity)
  }

  /** What was written so far; shares the writer's buffer. */
  finish(): Uint8Array {
    return this.position === this.bytes.length ? this.bytes : this.bytes.subarray(0, this.position)
  }

  /** Makes room for `size` more bytes and returns where they start. The caller fills them. */
  reserve(size: number): number {
    const at = this.position
    const end = at + size
    if (end > this.bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.bytes.length * 2))
      grown.set(this.bytes)
      this.bytes = grown
    }
    this.position = end
    return at
  }

  bool(value: boolean): void {
    const at = this.reserve(1)
    this.bytes[at] = value ? 1 : 0
  }

  int8(value: number): void {
    const at = this.reserve(1)
    this.bytes[at] = value
  }

  int16(value: number): void {
    const at = this.reserve(2)
    const bytes = this.bytes
    bytes[at] = value >> 8
    bytes[at + 1] = value
  }

  uint16(value: number): void {
    this.int16(value)
  }

  int32(value: number): void {
    const at = this.reserve(4)
    writeInt32(this.bytes, at, value)
  }

  uint32(value: number): void {
    this.int32(value | 0)
  }

  int64(value: number): void {
    const at = this.reserve(8)
    writeInt64(this.bytes, at, value)
  }

  bigint64(value: bigint): void {
    const at = this.reserve(8)
    new DataView(this.bytes.buffer, this.bytes.byteOffset + at, 8).setBigInt64(0, value)
  }

  float64(value: number): void {
    const at = this.reserve(8)
    new DataView(this.bytes.buffer, this.bytes.byteOffset + at, 8).setFloat64(0, value)
  }

  /** An unsigned 32-bit varint, least significant group first. */
  uvarint(value: number): void {
    const at = this.reserve(sizeOfUvarint(value))
    writeUvarint(this.bytes, at, value)
  }

  /** A zigzag 32-bit varint. */
  varint(value: number): void {
    this.uvarint(((value << 1) ^ (value >> 31)) >>> 0)
  }

  /** A zigzag 64-bit varint. */
  varlong(value: number): void {
    const at = this.reserve(sizeOfVarlong(value))
    writeVarlong(this.bytes, at, value)
  }

  uuid(value: string): void {
    const at = this.reserve(UUID_BYTES)
    writeUuid(value, this.bytes, at)
  }

  /** The bytes themselves, without a length. */
  raw(value: Uint8Array): void {
    const at = this.reserve(value.length)
    this.bytes.set(value, at)
  }

  string(value: string): void {
    const size = utf8Size(value)
    assert(size <= 0x7fff, 'string: too long for a 16-bit length', { size })
    this.int16(size)
    this.#text(value, size)
  }

  nullableString(value: string | null): void {
    if (value === null) this.int16(-1)
    else this.string(value)
  }

  compactString(value: string): void {
    const size = utf8Size(value)
    this.uvarint(size + 1)
    this.#text(value, size)
  }

  compactNullableString(value: string | null): void {
    if (value === null) this.uvarint(0)
    else this.compactString(value)
  }

  byteString(value: Uint8Array): void {
    this.int32(value.length)
    this.raw(value)
  }

  nullableByteString(value: Uint8Array | null): void {
    if (value === null) this.int32(-1)
    else this.byteString(value)
  }

  compactByteString(value: Uint8Array): void {
    this.uvarint(value.length + 1)
    this.raw(value)
  }

  compactNullableByteString(value: Uint8Array | null): void {
    if (value === null) this.uvarint(0)
    else this.compactByteString(value)
  }

  /** Text with neither length nor terminator. */
  text(value: string): void {
    this.#text(value, utf8Size(value))
  }

  #text(value: string, size: number): void {
    const at = this.reserve(size)
    writeText(this.bytes, at, value, size)
  }
}

export class ByteReader {
  readonly bytes: Uint8Array
  readonly end: number
  position: number

  constructor(bytes: Uint8Array, position = 0, end = bytes.length) {
    this.bytes = bytes
    this.position = position
    this.end = end
  }

  get remaining(): number {
    return this.end - this.position
  }

  /** Passes `size` bytes and returns where they start. */
  take(size: number): number {
    const at = this.position
    const next = at + size
    if (size < 0 || next > this.end) throw new MalformedBytes(`${size} bytes wanted, ${this.end - at} left`)
    this.position = next
    return at
  }

  bool(): boolean {
    return this.bytes[this.take(1)] !== 0
  }

  int8(): number {
    return ((this.bytes[this.take(1)] as number) << 24) >> 24
  }

  int16(): number {
    const at = this.take(2)
    return (((this.bytes[at] as number) << 24) >> 16) | (this.bytes[at + 1] as number)
  }

  uint16(): number {
    return this.int16() & 0xffff
  }

  int32(): number {
    return readInt32(this.bytes, this.take(4))
  }

  uint32(): number {
    return this.int32() >>> 0
  }

  int64(): number {
    return readInt64(this.bytes, this.take(8))
  }

  bigint64(): bigint {
    const at = this.take(8)
    return new DataView(this.bytes.buffer, this.bytes.byteOffset + at, 8).getBigInt64(0)
  }

  float64(): number {
    const at = this.take(8)
    return new DataView(this.bytes.buffer, this.bytes.byteOffset + at, 8).getFloat64(0)
  }

  uvarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.bytes[this.take(1)] as number
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
    throw new MalformedBytes('varint of more than five bytes')
  }

  varint(): number {
    const value = this.uvarint()
    return (value >>> 1) ^ -(value & 1)
  }

  varlong(): number {
    const first = this.bytes[this.take(1)] as number
    let magnitude = (first & 0x7f) >> 1
    let byte = first
    for (let factor = 64; byte >= 0x80; factor *= 128) {
      byte = this.bytes[this.take(1)] as number
      magnitude += (byte & 0x7f) * factor
      if (magnitude >= Number.MAX_SAFE_INTEGER) throw new MalformedBytes('varlong out of range')
    }
    return (first & 1) === 0 ? magnitude : -magnitude - 1
  }

  uuid(): string {
    return readUuid(this.bytes, this.take(UUID_BYTES))
  }

  /** The next `size` bytes, sharing the reader's buffer. */
  raw(size: number): Uint8Array {
    const at = this.take(size)
    return this.bytes.subarray(at, at + size)
  }

  string(): string {
    return this.text(this.#length(this.int16()))
  }

  nullableString(): string | null {
    const size = this.int16()
    return size < 0 ? null : this.text(size)
  }

  compactString(): string {
    return this.text(this.#length(this.uvarint() - 1))
  }

  compactNullableString(): string | null {
    const size = this.uvarint() - 1
    return size < 0 ? null : this.text(size)
  }

  byteString(): Uint8Array {
    return this.raw(this.#length(this.int32()))
  }

  nullableByteString(): Uint8Array | null {
    const size = this.int32()
    return size < 0 ? null : this.raw(size)
  }

  compactByteString(): Uint8Array {
    return this.raw(this.#length(this.uvarint() - 1))
  }

  compactNullableByteString(): Uint8Array | null {
    const size = this.uvarint() - 1
    return size < 0 ? null : this.raw(size)
  }

  /** A length of an array: not null, and no more elements than bytes are left. */
  arrayLength(length: number): number {
    if (length > this.remaining) throw new MalformedBytes(`${length} elements wanted, ${this.remaining} bytes left`)
    return this.#length(length)
  }

  /** The next `size` bytes as text. */
  text(size: number): string {
    const at = this.take(size)
    return readText(this.bytes, at, size)
  }

  #length(length: number): number {
    if (length < 0) throw new MalformedBytes('null where null is not allowed')
    return length
  }
}

// ── at a position ───────────────────────────────────────────────────────────────────────────────────────────────────

export function writeInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 24
  bytes[at + 1] = value >> 16
  bytes[at + 2] = value >> 8
  bytes[at + 3] = value
}

export function readInt32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  )
}

export function writeInt64(bytes: Uint8Array, at: number, value: number): void {
  assert(Number.isSafeInteger(value), 'int64: not exact', { value })
  if (value === LONG_MAX) {
    writeInt32(bytes, at, HIGH_WORD_OF_LONG_MAX)
    writeInt32(bytes, at + 4, -1)
    return
  }
  const low = value >>> 0
  writeInt32(bytes, at, (value - low) / TWO_32)
  writeInt32(bytes, at + 4, low | 0)
}

export function readInt64(bytes: Uint8Array, at: number): number {
  const high = readInt32(bytes, at)
  const low = readInt32(bytes, at + 4) >>> 0
  if (high >= HIGH_WORD_LIMIT || high < -HIGH_WORD_LIMIT) {
    if (high === HIGH_WORD_OF_LONG_MAX && low === TWO_32 - 1) return LONG_MAX
    throw new MalformedBytes('64-bit integer beyond 2^53')
  }
  return high * TWO_32 + low
}

/** Writes an unsigned 32-bit varint and returns the position after it. */
export function writeUvarint(bytes: Uint8Array, at: number, value: number): number {
  while (value >= 0x80) {
    bytes[at++] = value | 0x80
    value >>>= 7
  }
  bytes[at++] = value
  return at
}

/** Writes a zigzag 32-bit varint and returns the position after it. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  return writeUvarint(bytes, at, ((value << 1) ^ (value >> 31)) >>> 0)
}

/** Writes a zigzag 64-bit varint and returns the position after it. */
export function writeVarlong(bytes: Uint8Array, at: number, value: number): number {
  if (value === (value | 0)) return writeVarint(bytes, at, value)
  assert(Number.isSafeInteger(value), 'varlong: not exact', { value })
  // Twice the value may not be exact, so the sign and the first six bits are split off before doubling.
  const sign = value < 0 ? 1 : 0
  const magnitude = sign === 1 ? -value - 1 : value
  let rest = Math.floor(magnitude / 64)
  bytes[at++] = (((magnitude & 0x3f) << 1) | sign) + (rest > 0 ? 0x80 : 0)
  while (rest >= 0x80) {
    bytes[at++] = (rest & 0x7f) | 0x80
    rest = Math.floor(rest / 128)
  }
  if (rest > 0) bytes[at++] = rest
  return at
}

/** Writes `size` = utf8Size(value) bytes. */
export function writeText(bytes: Uint8Array, at: number, value: string, size: number): void {
  if (size === value.length && size <= SHORT_TEXT) {
    for (let i = 0; i < size; i++) bytes[at + i] = value.charCodeAt(i)
  } else {
    encoder.encodeInto(value, bytes.subarray(at, at + size))
  }
}

export function readText(bytes: Uint8Array, at: number, size: number): string {
  if (size <= SHORT_TEXT) {
    let text = ''
    let i = 0
    for (; i < size; i++) {
      const byte = bytes[at + i] as number
      if (byte >= 0x80) break
      text += String.fromCharCode(byte)
    }
    if (i === size) return text
  }
  return decoder.decode(bytes.subarray(at, at + size))
}

// ── sizes ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export function sizeOfUvarint(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5
}

export function sizeOfVarint(value: number): number {
  return sizeOfUvarint(((value << 1) ^ (value >> 31)) >>> 0)
}

export function sizeOfVarlong(value: number): number {
  if (value === (value | 0)) return sizeOfVarint(value)
  let size = 1
  for (let rest = Math.floor((value < 0 ? -value - 1 : value) / 64); rest > 0; rest = Math.floor(rest / 128)) size++
  return size
}

/** Bytes of a text in UTF-8. Lone surrogates count as the replacement character, as the encoder writes them. */
export function utf8Size(text: string): number {
  const length = text.length
  let size = length
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x80) continue
    if (code < 0x800) size += 1
    else {
      size += 2
      // A pair of surrogates is four bytes for two units; each alone is three for one.
      if (code >= 0xd800 && code < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
        i++
      }
    }
  }
  return size
}
