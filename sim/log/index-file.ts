/**
 * The file under an offset or time index: entries of one fixed size, appended in order.
 *
 * Kafka maps index files into memory, so an entry is in the page cache at once and lasts only after a flush; here it is
 * appended to the file at once. Kafka's file has its full size, zero-filled, while its segment is active; this one
 * holds its entries only. A file whose size is no multiple of the entry size is cut to its last whole entry.
 *
 * `searchLower` and `searchUpper` are AbstractIndex's binary search, with its warm section at the end of the index.
 */

import type { Disk, DiskError, DiskFile } from '../kernel/env.js'
import { readBytes } from './slices.js'

/** Bytes at the end of an index that Kafka searches first, because their pages are warm. */
const WARM_BYTES = 8_192

export class IndexFile {
  #path: string
  readonly #disk: Disk
  #file: DiskFile

  /** @throws DiskError */
  constructor(disk: Disk, path: string, entrySize: number) {
    this.#disk = disk
    this.#path = path
    this.#file = disk.open(path)
    const whole = this.#file.size - (this.#file.size % entrySize)
    if (whole !== this.#file.size) this.#file.truncate(whole)
  }

  get path(): string {
    return this.#path
  }

  /** Everything that the file holds. */
  load(): DataView {
    const bytes = readBytes(this.#file, 0, this.#file.size)
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  append(entry: Uint8Array): void {
    this.#file.append(entry)
  }

  truncate(size: number): void {
    if (size < this.#file.size) this.#file.truncate(size)
  }

  /** fsync, or nothing when all is on disk already. */
  sync(done: (error?: DiskError) => void): void {
    if (this.#file.syncedSize === this.#file.size) done()
    else this.#file.sync(done)
  }

  rename(path: string): void {
    this.#disk.rename(this.#path, path)
    this.#path = path
  }

  remove(): void {
    if (this.#disk.exists(this.#path)) this.#disk.remove(this.#path)
  }
}

/** The last slot whose key is at most `target`; -1 when there is none. */
export function searchLower(keys: readonly number[], target: number, entrySize: number): number {
  const count = keys.length
  if (count === 0) return -1
  const warm = warmSlot(count, entrySize)
  if ((keys[warm] as number) < target) return search(keys, target, warm, count - 1)
  if ((keys[0] as number) > target) return -1
  return search(keys, target, 0, warm)
}

/** The first slot whose key is at least `target`; -1 when there is none. */
export function searchUpper(keys: readonly number[], target: number, entrySize: number): number {
  const count = keys.length
  if (count === 0) return -1
  const warm = warmSlot(count, entrySize)
  const inWarm = (keys[warm] as number) < target
  if (!inWarm && (keys[0] as number) > target) return 0
  const slot = inWarm ? search(keys, target, warm, count - 1) : search(keys, target, 0, warm)
  if (keys[slot] === target) return slot
  return slot === count - 1 ? -1 : slot + 1
}

function warmSlot(count: number, entrySize: number): number {
  return Math.max(0, count - 1 - Math.floor(WARM_BYTES / entrySize))
}

function search(keys: readonly number[], target: number, begin: number, end: number): number {
  let low = begin
  let high = end
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    const key = keys[middle] as number
    if (key > target) high = middle - 1
    else if (key < target) low = middle
    else return middle
  }
  return low
}
