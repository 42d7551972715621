/**
 * The keys that a cleaner found in the dirty part of a log, each with the last offset that has it.
 *
 * Bounded as Kafka's: of its memory every key takes 24 bytes (an MD5 hash and an offset), whatever its length. When it is
 * full the cleaner stops reading, cleans up to there, and goes on in another round. Keys themselves are kept here, so two
 * keys never meet in one hash. Source: SkimpyOffsetMap.
 */

import { assert } from '../kernel/errors.js'
import type { Bytes, Offset } from '../kernel/units.js'

/** MD5 and an offset. */
const BYTES_PER_ENTRY: Bytes = 16 + 8

export class OffsetMap {
  /** Keys that it can hold. */
  readonly slots: number
  readonly #offsets = new Map<string, Offset>()
  /** Everything up to here is in the map; -1 while it is empty. */
  latestOffset: Offset = -1

  constructor(memoryBytes: Bytes) {
    this.slots = Math.floor(memoryBytes / BYTES_PER_ENTRY)
  }

  get size(): number {
    return this.#offsets.size
  }

  put(key: Uint8Array, offset: Offset): void {
    assert(this.size < this.slots, 'offset map: full', { slots: this.slots })
    this.#offsets.set(textOf(key), offset)
    this.latestOffset = offset
  }

  /** The last offset of `key`; -1 when it is not in the map. */
  get(key: Uint8Array): Offset {
    return this.#offsets.get(textOf(key)) ?? -1
  }

  clear(): void {
    this.#offsets.clear()
    this.latestOffset = -1
  }
}

/** The bytes of a key as a text that no other key has. */
function textOf(key: Uint8Array): string {
  let text = ''
  for (let i = 0; i < key.length; i++) text += String.fromCharCode(key[i] as number)
  return text
}
