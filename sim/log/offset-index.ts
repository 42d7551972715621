/**
 * A segment's `.index`: from offsets to positions in its `.log`.
 *
 * One entry of 8 bytes, big-endian: relativeOffset i32 (from the base offset) · position i32. An entry says that the
 * batch which ends at this offset begins at this position. It is sparse: the segment adds one after every
 * `index.interval.bytes`. Lookups give the greatest entry at or below an offset, and the reader goes on from there.
 * Source: Kafka's OffsetIndex.
 */

import type { Disk, DiskError } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import { INT_MAX, type Bytes, type Offset } from '../kernel/units.js'
import { IndexFile, searchLower, searchUpper } from './index-file.js'

export const OFFSET_INDEX_ENTRY_BYTES = 8

export class OffsetIndex {
  readonly baseOffset: Offset
  readonly #file: IndexFile
  readonly #maxEntries: number
  /** Parallel: relative offsets and positions of the entries. */
  readonly #offsets: number[] = []
  readonly #positions: number[] = []

  /** Opens the index with what its file holds. @throws DiskError */
  constructor(disk: Disk, path: string, baseOffset: Offset, maxBytes: Bytes) {
    this.baseOffset = baseOffset
    this.#file = new IndexFile(disk, path, OFFSET_INDEX_ENTRY_BYTES)
    this.#maxEntries = Math.floor(maxBytes / OFFSET_INDEX_ENTRY_BYTES)
    const view = this.#file.load()
    for (let at = 0; at < view.byteLength; at += OFFSET_INDEX_ENTRY_BYTES) {
      this.#offsets.push(view.getInt32(at))
      this.#positions.push(view.getInt32(at + 4))
    }
  }

  get path(): string {
    return this.#file.path
  }

  get entries(): number {
    return this.#offsets.length
  }

  get isFull(): boolean {
    return this.#offsets.length >= this.#maxEntries
  }

  /** Offset of the last entry; the base offset while there is none. */
  get lastOffset(): Offset {
    return this.baseOffset + (this.#offsets.length === 0 ? 0 : (this.#offsets[this.#offsets.length - 1] as number))
  }

  /** True when `offset` can be written relative to the base offset. */
  canAppend(offset: Offset): boolean {
    const relative = offset - this.baseOffset
    return relative >= 0 && relative <= INT_MAX
  }

  /** Where to begin reading for `offset`: the position of the greatest entry at or below it, or 0. */
  lookup(offset: Offset): Bytes {
    const slot = searchLower(this.#offsets, offset - this.baseOffset, OFFSET_INDEX_ENTRY_BYTES)
    return slot < 0 ? 0 : (this.#positions[slot] as number)
  }

  /** The offset of the first entry at or beyond `position`; undefined when none is so far. */
  upperBound(position: Bytes): Offset | undefined {
    const slot = searchUpper(this.#positions, position, OFFSET_INDEX_ENTRY_BYTES)
    return slot < 0 ? undefined : this.baseOffset + (this.#offsets[slot] as number)
  }

  /** The position of the first entry beyond `position`; undefined when there is none. */
  positionAfter(position: Bytes): Bytes | undefined {
    const slot = searchUpper(this.#positions, position + 1, OFFSET_INDEX_ENTRY_BYTES)
    return slot < 0 ? undefined : this.#positions[slot]
  }

  /** False, and nothing is done, when `offset` is not above the last entry's: the log below is not in order. */
  append(offset: Offset, position: Bytes): boolean {
    assert(!this.isFull, 'offset index: append to a full index', { path: this.path })
    if (this.entries > 0 && offset <= this.lastOffset) return false
    const relative = offset - this.baseOffset
    const entry = new Uint8Array(OFFSET_INDEX_ENTRY_BYTES)
    const view = new DataView(entry.buffer)
    view.setInt32(0, relative)
    view.setInt32(4, position)
    this.#file.append(entry)
    this.#offsets.push(relative)
    this.#positions.push(position)
    return true
  }

  /** Removes the entries at and beyond `offset`. */
  truncateTo(offset: Offset): void {
    const relative = offset - this.baseOffset
    const slot = searchLower(this.#offsets, relative, OFFSET_INDEX_ENTRY_BYTES)
    this.#keep(slot < 0 ? 0 : this.#offsets[slot] === relative ? slot : slot + 1)
  }

  reset(): void {
    this.#keep(0)
  }

  sync(done: (error?: DiskError) => void): void {
    this.#file.sync(done)
  }

  rename(path: string): void {
    this.#file.rename(path)
  }

  remove(): void {
    this.#file.remove()
  }

  #keep(entries: number): void {
    this.#offsets.length = entries
    this.#positions.length = entries
    this.#file.truncate(entries * OFFSET_INDEX_ENTRY_BYTES)
  }
}
