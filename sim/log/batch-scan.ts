/**
 * Walks the record batches of a `.log` file from one position to another.
 *
 * Batches that are whole on disk come as the very objects that were appended. Bytes (after a torn page, rot, or a file
 * written by something else) are framed by the header's batchLength and parsed. The walk ends:
 *
 *     end      the position asked for was reached
 *     torn     the rest is too short for a header, or for the batch that its header announces
 *     corrupt  the header there is none: its length is impossible, or it is not a v2 batch
 *     stopped  the visitor had enough
 *
 * CRCs are not checked here. Source: Kafka's FileLogInputStream.
 */

import type { DiskFile, Slice } from '../kernel/env.js'
import type { Bytes } from '../kernel/units.js'
import { LOG_OVERHEAD, RecordBatch } from '../wire/record-batch.js'

/** Bytes up to and including the magic: what Kafka reads to learn a batch's size. */
const HEADER_UP_TO_MAGIC = 17
/** The smallest size that a header may state (the overhead of a v0 record). */
const SIZE_MIN = 14

export type ScanEnd = 'end' | 'torn' | 'corrupt' | 'stopped'

export interface Scan {
  readonly end: ScanEnd
  /** Where the walk ended: the position after the last batch visited. */
  readonly position: Bytes
}

/** Calls `visit` with each batch of [from, to) and its position until it returns false. @throws DiskError */
export function scanBatches(
  file: DiskFile,
  from: Bytes,
  to: Bytes,
  visit: (batch: RecordBatch, position: Bytes) => boolean,
): Scan {
  const source = new SliceReader(file.read(from, to - from))
  let position = from
  while (position < to) {
    let batch = source.takeBatch()
    if (batch === undefined) {
      if (position >= to - HEADER_UP_TO_MAGIC) return { end: 'torn', position }
      const size = source.peekSize()
      if (size < SIZE_MIN) return { end: 'corrupt', position }
      if (position > to - LOG_OVERHEAD - size) return { end: 'torn', position }
      batch = source.parseBatch(size + LOG_OVERHEAD)
      if (batch === undefined) return { end: 'corrupt', position }
    }
    if (!visit(batch, position)) return { end: 'stopped', position }
    position += batch.sizeInBytes
  }
  return { end: 'end', position }
}

/** The slices of a file, as batches where they are batches and as bytes where they are not. */
class SliceReader {
  readonly #slices: readonly Slice[]
  #next = 0
  /** Bytes taken out of slices and not yet used: [#at, #bytes.length). */
  #bytes: Uint8Array = new Uint8Array(0)
  #at = 0

  constructor(slices: readonly Slice[]) {
    this.#slices = slices
  }

  /** The next piece, when it is a whole batch object. */
  takeBatch(): RecordBatch | undefined {
    if (this.#at < this.#bytes.length) return undefined
    const slice = this.#slices[this.#next]
    if (!(slice instanceof RecordBatch)) return undefined
    this.#next++
    return slice
  }

  /** batchLength of the header at hand. */
  peekSize(): number {
    this.#need(HEADER_UP_TO_MAGIC)
    const at = this.#at + 8
    const bytes = this.#bytes
    return (
      ((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)
    )
  }

  parseBatch(size: Bytes): RecordBatch | undefined {
    this.#need(size)
    const batch = RecordBatch.parse(this.#bytes, this.#at)
    this.#at += size
    return batch
  }

  #need(count: Bytes): void {
    let available = this.#bytes.length - this.#at
    if (available >= count) return
    const pieces: Uint8Array[] = available > 0 ? [this.#bytes.subarray(this.#at)] : []
    while (available < count && this.#next < this.#slices.length) {
      const piece = (this.#slices[this.#next++] as Slice).toBytes()
      pieces.push(piece)
      available += piece.length
    }
    if (pieces.length === 1) {
      this.#bytes = pieces[0] as Uint8Array
    } else {
      const joined = new Uint8Array(available)
      let at = 0
      for (const piece of pieces) {
        joined.set(piece, at)
        at += piece.length
      }
      this.#bytes = joined
    }
    this.#at = 0
  }
}
