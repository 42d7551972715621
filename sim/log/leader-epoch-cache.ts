/**
 * Which leader epoch wrote which part of a log: (epoch, start offset) pairs, both increasing.
 *
 * Kept in memory and in `leader-epoch-checkpoint`. A new entry removes every entry that it contradicts, so both
 * sequences stay monotonic. Assigning writes the file in the call; truncating writes it later from another thread, as
 * in Kafka since 3.9: after a crash in between the loader truncates again by the log itself. Source:
 * LeaderEpochFileCache, KIP-101, KIP-279.
 */

import { DiskError, type Env } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import type { Epoch, Offset } from '../kernel/units.js'
import { encodeCheckpoint, parseCheckpoint } from './checkpoint-file.js'
import { LEADER_EPOCH_FILE } from './log-files.js'

export interface EpochEntry {
  readonly epoch: Epoch
  readonly startOffset: Offset
}

/** An epoch and the offset after its last record; (-1, -1) when unknown. */
export interface EpochEndOffset {
  readonly epoch: Epoch
  readonly endOffset: Offset
}

export const UNDEFINED_END_OFFSET: EpochEndOffset = { epoch: -1, endOffset: -1 }

export class LeaderEpochCache {
  readonly #env: Env
  #path: string | undefined
  readonly #onDiskError: (error: DiskError) => void
  #entries: EpochEntry[] = []
  #writeDue = false

  /** Opens the cache with what the file in `dir` holds. @throws DiskError, also when the file is malformed */
  constructor(env: Env, dir: string, onDiskError: (error: DiskError) => void) {
    this.#env = env
    this.#path = `${dir}/${LEADER_EPOCH_FILE}`
    this.#onDiskError = onDiskError
    const bytes = env.disk.readFile(this.#path)
    const lines = bytes === undefined ? [] : parseCheckpoint(bytes, 2)
    if (lines === undefined) throw new DiskError('io', this.#path)
    for (const [epoch, startOffset] of lines) this.#insert(Number(epoch), Number(startOffset))
  }

  /** In order of epochs. */
  get entries(): readonly EpochEntry[] {
    return this.#entries
  }

  get latest(): EpochEntry | undefined {
    return this.#entries[this.#entries.length - 1]
  }

  /** -1 when there is none. */
  get latestEpoch(): Epoch {
    return this.latest?.epoch ?? -1
  }

  get earliest(): EpochEntry | undefined {
    return this.#entries[0]
  }

  /** The epoch before the latest; undefined when there is none. */
  get previousEpoch(): Epoch | undefined {
    return this.#entries[this.#entries.length - 2]?.epoch
  }

  /** From here on records are of `epoch`. Nothing happens when that is known. @throws DiskError */
  assign(epoch: Epoch, startOffset: Offset): void {
    assert(epoch >= 0 && startOffset >= 0, 'epoch cache: assign', { epoch, startOffset })
    if (this.#insert(epoch, startOffset)) this.#write()
  }

  /**
   * Where `epoch` ends: the log's end for the latest epoch; else the start of the next higher one, with the
   * greatest known epoch at or below `epoch` (or `epoch` itself when all are higher). Undefined beyond the latest.
   */
  endOffsetFor(epoch: Epoch, logEndOffset: Offset): EpochEndOffset {
    if (epoch === -1) return UNDEFINED_END_OFFSET
    if (epoch === this.latest?.epoch) return { epoch, endOffset: logEndOffset }
    const higher = this.#slotAbove(epoch)
    const next = this.#entries[higher]
    if (next === undefined) return UNDEFINED_END_OFFSET
    return { epoch: this.#entries[higher - 1]?.epoch ?? epoch, endOffset: next.startOffset }
  }

  /** The epoch of the record at `offset`; undefined before the first entry. */
  epochForOffset(offset: Offset): Epoch | undefined {
    let found: Epoch | undefined
    for (const entry of this.#entries) {
      if (entry.startOffset > offset) break
      found = entry.epoch
    }
    return found
  }

  /** Forgets the epochs that start at or beyond `endOffset`. */
  truncateFromEnd(endOffset: Offset): void {
    if (endOffset < 0) return
    let keep = this.#entries.length
    while (keep > 0 && (this.#entries[keep - 1] as EpochEntry).startOffset >= endOffset) keep--
    if (keep === this.#entries.length) return
    this.#entries = this.#entries.slice(0, keep)
    this.#writeLater()
  }

  /** Forgets the epochs that end at or before `startOffset`; the one that holds it starts there from now on. */
  truncateFromStart(startOffset: Offset): void {
    let gone = 0
    while (gone < this.#entries.length && (this.#entries[gone] as EpochEntry).startOffset <= startOffset) gone++
    if (gone === 0) return
    const epoch = (this.#entries[gone - 1] as EpochEntry).epoch
    this.#entries = [{ epoch, startOffset }, ...this.#entries.slice(gone)]
    this.#writeLater()
  }

  /** @throws DiskError */
  clearAndFlush(): void {
    this.#entries = []
    this.#write()
  }

  /** Forgets everything and leaves the file alone from now on: the log's directory was renamed. */
  detach(): void {
    this.#entries = []
    this.#path = undefined
  }

  /** False when the entry says nothing new. */
  #insert(epoch: Epoch, startOffset: Offset): boolean {
    let keep = this.#entries.length
    const latest = this.#entries[keep - 1]
    if (latest !== undefined && epoch === latest.epoch && startOffset >= latest.startOffset) return false
    while (keep > 0) {
      const last = this.#entries[keep - 1] as EpochEntry
      if (last.epoch < epoch && last.startOffset < startOffset) break
      keep--
    }
    this.#entries = [...this.#entries.slice(0, keep), { epoch, startOffset }]
    return true
  }

  /** The slot of the first entry above `epoch`. */
  #slotAbove(epoch: Epoch): number {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#entries[middle] as EpochEntry).epoch > epoch) high = middle
      else low = middle + 1
    }
    return low
  }

  #write(): void {
    if (this.#path === undefined) return
    const lines = this.#entries.map((entry) => `${entry.epoch} ${entry.startOffset}`)
    this.#env.disk.replaceFile(this.#path, encodeCheckpoint(lines), (error) => {
      if (error !== undefined) this.#onDiskError(error)
    })
  }

  #writeLater(): void {
    if (this.#writeDue) return
    this.#writeDue = true
    this.#env.soon(() => {
      this.#writeDue = false
      try {
        this.#write()
      } catch (error) {
        if (error instanceof DiskError) this.#onDiskError(error)
        throw error
      }
    })
  }
}
