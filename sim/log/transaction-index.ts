/**
 * A segment's `.txnindex`: the aborted transactions whose abort marker lies in it.
 *
 * One entry of 34 bytes, big-endian: version i16 = 0 · producerId i64 · firstOffset i64 · lastOffset i64 ·
 * lastStableOffset i64. Entries are in the order of their last offsets. The file does not exist until the first entry.
 * Source: Kafka's TransactionIndex and AbortedTxn.
 */

import type { Disk, DiskError, DiskFile } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import type { Offset } from '../kernel/units.js'
import { readBytes } from './slices.js'

export const ABORTED_TXN_BYTES = 34

export interface AbortedTxn {
  readonly producerId: number
  readonly firstOffset: Offset
  /** Offset of the abort marker. */
  readonly lastOffset: Offset
  /** The last stable offset once this transaction was aborted. */
  readonly lastStableOffset: Offset
}

export class TransactionIndex {
  #path: string
  readonly #disk: Disk
  #file: DiskFile | undefined
  readonly #aborted: AbortedTxn[] = []

  /** Opens the index with what its file holds, if there is one. @throws DiskError */
  constructor(disk: Disk, path: string) {
    this.#disk = disk
    this.#path = path
    if (disk.exists(path)) this.#load()
  }

  get path(): string {
    return this.#path
  }

  get aborted(): readonly AbortedTxn[] {
    return this.#aborted
  }

  /** False when an entry lies below the segment: the file is not to be trusted. */
  isSane(baseOffset: Offset): boolean {
    return this.#aborted.every((txn) => txn.lastOffset >= baseOffset)
  }

  append(txn: AbortedTxn): void {
    const last = this.#aborted[this.#aborted.length - 1]
    assert(last === undefined || txn.lastOffset > last.lastOffset, 'transaction index: order', { txn, last })
    const entry = new Uint8Array(ABORTED_TXN_BYTES)
    const view = new DataView(entry.buffer)
    view.setInt16(0, 0)
    view.setBigInt64(2, BigInt(txn.producerId))
    view.setBigInt64(10, BigInt(txn.firstOffset))
    view.setBigInt64(18, BigInt(txn.lastOffset))
    view.setBigInt64(26, BigInt(txn.lastStableOffset))
    this.#file ??= this.#disk.open(this.#path)
    this.#file.append(entry)
    this.#aborted.push(txn)
  }

  /**
   * Adds to `found` the transactions that a read of [from, upTo) must hide. True when no later segment can hold more of
   * them: a transaction was met after whose abort everything up to `upTo` was stable.
   */
  collect(from: Offset, upTo: Offset, found: AbortedTxn[]): boolean {
    for (const txn of this.#aborted) {
      if (txn.lastOffset >= from && txn.firstOffset < upTo) found.push(txn)
      if (txn.lastStableOffset >= upTo) return true
    }
    return false
  }

  /** Removes the transactions that end at or beyond `offset`. */
  truncateTo(offset: Offset): void {
    const keep = this.#aborted.findIndex((txn) => txn.lastOffset >= offset)
    if (keep >= 0) this.#keep(keep)
  }

  reset(): void {
    this.#keep(0)
  }

  sync(done: (error?: DiskError) => void): void {
    if (this.#file === undefined || this.#file.syncedSize === this.#file.size) done()
    else this.#file.sync(done)
  }

  rename(path: string): void {
    if (this.#disk.exists(this.#path)) this.#disk.rename(this.#path, path)
    this.#path = path
  }

  remove(): void {
    if (this.#disk.exists(this.#path)) this.#disk.remove(this.#path)
    this.#file = undefined
  }

  #load(): void {
    this.#file = this.#disk.open(this.#path)
    const bytes = readBytes(this.#file, 0, this.#file.size)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let at = 0; at + ABORTED_TXN_BYTES <= view.byteLength; at += ABORTED_TXN_BYTES) {
      this.#aborted.push({
        producerId: Number(view.getBigInt64(at + 2)),
        firstOffset: Number(view.getBigInt64(at + 10)),
        lastOffset: Number(view.getBigInt64(at + 18)),
        lastStableOffset: Number(view.getBigInt64(at + 26)),
      })
    }
    this.#file.truncate(this.#aborted.length * ABORTED_TXN_BYTES)
  }

  #keep(entries: number): void {
    this.#aborted.length = entries
    this.#file?.truncate(entries * ABORTED_TXN_BYTES)
  }
}
