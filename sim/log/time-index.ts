/**
 * A segment's `.timeindex`: from timestamps to offsets.
 *
 * One entry of 12 bytes, big-endian: timestamp i64 · relativeOffset i32. An entry (t, o) says that no record up to
 * offset o has a timestamp above t. It is written with every entry of the offset index, if the segment's greatest
 * timestamp grew since, and once more when the segment is closed. Source: Kafka's TimeIndex.
 */

import type { Disk, DiskError } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import type { Bytes, Millis, Offset } from '../kernel/units.js'
import { IndexFile, searchLower } from './index-file.js'

export const TIME_INDEX_ENTRY_BYTES = 12

/** A timestamp and the offset that it belongs to; timestamp -1 is none. */
export interface TimestampOffset {
  readonly timestamp: Millis
  readonly offset: Offset
}

export class TimeIndex {
  readonly baseOffset: Offset
  readonly #file: IndexFile
  readonly #maxEntries: number
  /** Parallel: timestamps and relative offsets of the entries. */
  readonly #timestamps: number[] = []
  readonly #offsets: number[] = []

  /** Opens the index with what its file holds. @throws DiskError */
  constructor(disk: Disk, path: string, baseOffset: Offset, maxBytes: Bytes) {
    this.baseOffset = baseOffset
    this.#file = new IndexFile(disk, path, TIME_INDEX_ENTRY_BYTES)
    this.#maxEntries = Math.floor(maxBytes / TIME_INDEX_ENTRY_BYTES)
    const view = this.#file.load()
    for (let at = 0; at < view.byteLength; at += TIME_INDEX_ENTRY_BYTES) {
      this.#timestamps.push(Number(view.getBigInt64(at)))
      this.#offsets.push(view.getInt32(at + 8))
    }
  }

  get path(): string {
    return this.#file.path
  }

  get entries(): number {
    return this.#offsets.length
  }

  /** One slot is kept free for the entry that closes the segment. */
  get isFull(): boolean {
    return this.#offsets.length >= this.#maxEntries - 1
  }

  get lastEntry(): TimestampOffset {
    return this.#entry(this.#offsets.length - 1)
  }

  /** The greatest entry whose timestamp is at most `timestamp`; (-1, base offset) when there is none. */
  lookup(timestamp: Millis): TimestampOffset {
    return this.#entry(searchLower(this.#timestamps, timestamp, TIME_INDEX_ENTRY_BYTES))
  }

  /**
   * Adds the entry if its timestamp is above the last one's. `closing` may use the last slot. An index with an entry
   * that lies beyond the log (rot) takes no more.
   */
  maybeAppend(timestamp: Millis, offset: Offset, closing = false): void {
    assert(closing || !this.isFull, 'time index: append to a full index', { path: this.path })
    const last = this.lastEntry
    if (timestamp <= last.timestamp || offset < last.offset) return
    const entry = new Uint8Array(TIME_INDEX_ENTRY_BYTES)
    const view = new DataView(entry.buffer)
    view.setBigInt64(0, BigInt(timestamp))
    view.setInt32(8, offset - this.baseOffset)
    this.#file.append(entry)
    this.#timestamps.push(timestamp)
    this.#offsets.push(offset - this.baseOffset)
  }

  /** Removes the entries at and beyond `offset`. */
  truncateTo(offset: Offset): void {
    const relative = offset - this.baseOffset
    const slot = searchLower(this.#offsets, relative, TIME_INDEX_ENTRY_BYTES)
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

  #entry(slot: number): TimestampOffset {
    if (slot < 0) return { timestamp: -1, offset: this.baseOffset }
    return { timestamp: this.#timestamps[slot] as number, offset: this.baseOffset + (this.#offsets[slot] as number) }
  }

  #keep(entries: number): void {
    this.#timestamps.length = entries
    this.#offsets.length = entries
    this.#file.truncate(entries * TIME_INDEX_ENTRY_BYTES)
  }
}
