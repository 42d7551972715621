/**
 * Jute's binary encoding: big-endian integers, buffers and texts with an int length (-1 is null), vectors with an int count.
 *
 * Source: ZooKeeper's `BinaryOutputArchive`, `BinaryInputArchive`. A reader that runs out of bytes throws `JuteError`, which its caller turns
 * into "torn" or "corrupt"; nobody else sees it.
 */

import type { Bytes } from '../kernel/units.js'
import type { Acl, Data, SessionId } from './api.js'

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const WORD = 0x1_0000_0000

export class JuteError extends Error {}

export class JuteWriter {
  #bytes = new Uint8Array(256)
  #view = new DataView(this.#bytes.buffer)
  length: Bytes = 0

  byte(value: number): this {
    this.#reserve(1)
    this.#bytes[this.length++] = value
    return this
  }

  bool(value: boolean): this {
    return this.byte(value ? 1 : 0)
  }

  int(value: number): this {
    this.#reserve(4)
    this.#view.setInt32(this.length, value)
    this.length += 4
    return this
  }

  /** An integer below 2^53 of either sign. */
  long(value: number): this {
    this.#reserve(8)
    this.#view.setInt32(this.length, Math.floor(value / WORD))
    this.#view.setUint32(this.length + 4, value >>> 0)
    this.length += 8
    return this
  }

  session(id: SessionId): this {
    this.#reserve(8)
    this.#view.setUint32(this.length, parseInt(id.slice(2, 10), 16))
    this.#view.setUint32(this.length + 4, parseInt(id.slice(10), 16))
    this.length += 8
    return this
  }

  buffer(data: Data): this {
    if (data === null) return this.int(-1)
    return this.int(data.length).raw(data)
  }

  text(text: string): this {
    return this.buffer(encoder.encode(text))
  }

  acl(acl: readonly Acl[]): this {
    this.int(acl.length)
    for (const { perms, scheme, id } of acl) this.int(perms).text(scheme).text(id)
    return this
  }

  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.length)
    this.length += bytes.length
    return this
  }

  /** A copy of what was written. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.length)
  }

  #reserve(more: Bytes): void {
    if (this.length + more <= this.#bytes.length) return
    const bytes = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + more))
    bytes.set(this.#bytes)
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
  }
}

export class JuteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  position: Bytes

  constructor(bytes: Uint8Array, position: Bytes = 0) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.position = position
  }

  get left(): Bytes {
    return this.#bytes.length - this.position
  }

  byte(): number {
    return this.#bytes[this.#advance(1)] as number
  }

  bool(): boolean {
    return this.byte() !== 0
  }

  int(): number {
    return this.#view.getInt32(this.#advance(4))
  }

  long(): number {
    const at = this.#advance(8)
    return this.#view.getInt32(at) * WORD + this.#view.getUint32(at + 4)
  }

  session(): SessionId {
    const at = this.#advance(8)
    return `0x${hex(this.#view.getUint32(at))}${hex(this.#view.getUint32(at + 4))}`
  }

  buffer(): Data {
    const length = this.int()
    if (length === -1) return null
    if (length < 0) throw new JuteError('length')
    const at = this.#advance(length)
    return this.#bytes.slice(at, at + length)
  }

  text(): string {
    return decoder.decode(this.buffer() ?? new Uint8Array(0))
  }

  acl(): Acl[] {
    return this.vector(() => ({ perms: this.int(), scheme: this.text() as Acl['scheme'], id: this.text() }))
  }

  vector<T>(item: () => T): T[] {
    const count = this.int()
    if (count < 0 || count > this.left) throw new JuteError('count')
    return Array.from({ length: count }, item)
  }

  #advance(length: Bytes): Bytes {
    const at = this.position
    if (length > this.left) throw new JuteError('end of bytes')
    this.position += length
    return at
  }
}

function hex(word: number): string {
  return word.toString(16).padStart(8, '0')
}

/** Bytes of a text: its length and UTF-8. */
export function textSize(text: string): Bytes {
  let size = 4 + text.length
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    // Two halves of a surrogate pair are four bytes together.
    if (code >= 0x80) size += code >= 0x800 && (code < 0xd800 || code > 0xdfff) ? 2 : 1
  }
  return size
}

export function dataSize(data: Data): Bytes {
  return 4 + (data === null ? 0 : data.length)
}

export function aclSize(acl: readonly Acl[]): Bytes {
  let size = 4
  for (const { scheme, id } of acl) size += 4 + textSize(scheme) + textSize(id)
  return size
}

/** `Stat`: five longs and an owner, five ints. */
export const STAT_SIZE: Bytes = 68
