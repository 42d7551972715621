/**
 * The content of files: lists of immutable slices, and what of them a power loss would leave.
 *
 * `FileContent` is what reads see: slices in order with the position of each, so that appending is constant work and reading a
 * binary search. A read that falls on whole slices gives back the very objects that were appended; nothing is copied.
 *
 * `FileNode` is the file itself (an inode: it keeps its identity when it is renamed, and lives on while removed but open). Of its
 * bytes, those below `durableSize` survive a power loss for certain, because of a sync; those that were written long enough ago
 * survive because the kernel's flusher wrote them back meanwhile (Linux: dirty pages older than 30 s, every 5 s).
 */

import { assert } from '../kernel/errors.js'
import type { Slice } from '../kernel/env.js'
import type { Bytes, Micros } from '../kernel/units.js'
import { BytesSlice, cutSlice } from './bytes-slice.js'

export class FileContent {
  size: Bytes = 0
  readonly #slices: Slice[] = []
  /** Position of each slice, ascending. */
  readonly #starts: Bytes[] = []

  append(slice: Slice): void {
    if (slice.length === 0) return
    this.#slices.push(slice)
    this.#starts.push(this.size)
    this.size += slice.length
  }

  /** The pieces that cover [from, to) within the content. */
  read(from: Bytes, to: Bytes): Slice[] {
    const end = Math.min(to, this.size)
    const pieces: Slice[] = []
    if (from >= end) return pieces
    for (let i = this.#find(from); i < this.#slices.length; i++) {
      const start = this.#starts[i] as number
      if (start >= end) break
      const slice = this.#slices[i] as Slice
      pieces.push(cutSlice(slice, Math.max(0, from - start), Math.min(slice.length, end - start)))
    }
    return pieces
  }

  bytes(): Uint8Array {
    const only = this.#slices.length === 1 ? this.#slices[0] : undefined
    if (only !== undefined) return only.toBytes()
    const all = new Uint8Array(this.size)
    for (let i = 0; i < this.#slices.length; i++)
      all.set((this.#slices[i] as Slice).toBytes(), this.#starts[i] as number)
    return all
  }

  /** Another content with the first `size` bytes; this one stays as it is. */
  cutTo(size: Bytes): FileContent {
    const cut = new FileContent()
    for (const slice of this.read(0, size)) cut.append(slice)
    return cut
  }

  /** Replaces the slices that touch [position, position + length) by their bytes as `change` leaves them; the others stay. */
  rewrite(position: Bytes, length: Bytes, change: (bytes: Uint8Array, firstPosition: Bytes) => void): void {
    const end = Math.min(position + length, this.size)
    if (position >= end) return
    for (let i = this.#find(position); i < this.#slices.length; i++) {
      const start = this.#starts[i] as number
      if (start >= end) break
      const bytes = (this.#slices[i] as Slice).toBytes().slice()
      change(bytes, start)
      this.#slices[i] = new BytesSlice(bytes)
    }
  }

  /** Index of the slice that holds `position`, which must be within the content. */
  #find(position: Bytes): number {
    let low = 0
    let high = this.#starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#starts[middle] as number) <= position) low = middle
      else high = middle - 1
    }
    return low
  }
}

/** Marks of the flusher are this far apart: finer ones would only cost. */
const MARK_MICROS: Micros = 1_000_000
/** More than the flusher's delay needs; when it is reached the older half goes. */
const MARKS_MAX = 256

interface Mark {
  readonly time: Micros
  /** Everything below was written before `time`. */
  readonly size: Bytes
}

export class FileNode {
  /** Where it is now, or was when it was removed. */
  path: string
  content = new FileContent()
  /** False once its name is gone; it lives on for those who have it open. */
  linked = true
  /** Bytes that a sync made last. */
  durableSize: Bytes = 0
  /** Bytes that a sync claimed to have made last: more than `durableSize` on a lying disk. */
  syncedSize: Bytes = 0
  #marks: Mark[] = []
  #nextMarkAt: Micros = 0

  constructor(path: string) {
    this.path = path
  }

  append(slice: Slice, now: Micros): void {
    if (now >= this.#nextMarkAt) this.#mark(now)
    this.content.append(slice)
  }

  /** Cuts the file; the content before the cut stays whole for whoever holds it. */
  truncate(size: Bytes): void {
    assert(size <= this.content.size, 'truncate: size', { path: this.path, size, of: this.content.size })
    this.content = this.content.cutTo(size)
    this.durableSize = Math.min(this.durableSize, size)
    this.syncedSize = Math.min(this.syncedSize, size)
    this.#marks = this.#marks.map((mark) => ({ time: mark.time, size: Math.min(mark.size, size) }))
  }

  /** Bytes that were on the medium by themselves at `now`, when pages are written back after `writebackMicros`. */
  writtenBack(now: Micros, writebackMicros: Micros): Bytes {
    const before = now - writebackMicros
    // What was written since the last mark is at most as young as the next one would be.
    if (this.#nextMarkAt <= before) return this.content.size
    let size = 0
    for (const mark of this.#marks) if (mark.time <= before) size = mark.size
    return size
  }

  /** Everything that it holds is on the medium. */
  settle(): void {
    this.durableSize = this.content.size
    this.syncedSize = this.content.size
    this.#marks = []
    this.#nextMarkAt = 0
  }

  #mark(now: Micros): void {
    this.#marks.push({ time: now, size: this.content.size })
    this.#nextMarkAt = now + MARK_MICROS
    if (this.#marks.length > MARKS_MAX) this.#marks = this.#marks.slice(MARKS_MAX / 2)
  }
}
