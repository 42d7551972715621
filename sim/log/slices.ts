/**
 * Bytes out of a file of slices.
 *
 * A whole record batch comes back from the disk as the object that was appended; what was torn, rotten or written as
 * bytes comes back as bytes. These helpers join pieces where bytes are wanted.
 */

import type { DiskFile, Slice } from '../kernel/env.js'
import type { Bytes } from '../kernel/units.js'

const NOTHING = new Uint8Array(0)

/** The bytes of [position, position + length), clipped at the end of the file. @throws DiskError */
export function readBytes(file: DiskFile, position: Bytes, length: Bytes): Uint8Array {
  return length <= 0 ? NOTHING : joinSlices(file.read(position, length))
}

/** All pieces in one array; the piece itself when there is only one. Must not be written to. */
export function joinSlices(slices: readonly Slice[]): Uint8Array {
  if (slices.length === 0) return NOTHING
  if (slices.length === 1) return (slices[0] as Slice).toBytes()
  let size = 0
  for (const slice of slices) size += slice.length
  const bytes = new Uint8Array(size)
  let at = 0
  for (const slice of slices) {
    bytes.set(slice.toBytes(), at)
    at += slice.length
  }
  return bytes
}
