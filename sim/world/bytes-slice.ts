/**
 * A slice of a file that is nothing but bytes: what is written raw (checkpoints, indexes), and what is left of a richer slice
 * after a torn page, a cut or rotten bytes. It shares the array that it is given and never writes to it.
 */

import type { Slice } from '../kernel/env.js'
import type { Bytes } from '../kernel/units.js'

export class BytesSlice implements Slice {
  readonly length: Bytes
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.length = bytes.length
  }

  toBytes(): Uint8Array {
    return this.#bytes
  }
}

/** Bytes [from, to) of `slice`: the slice itself when that is all of it, otherwise a view of its bytes. */
export function cutSlice(slice: Slice, from: Bytes, to: Bytes): Slice {
  if (from === 0 && to === slice.length) return slice
  return new BytesSlice(slice.toBytes().subarray(from, to))
}
