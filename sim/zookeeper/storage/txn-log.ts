/**
 * The transaction log of a server: `version-2/log.<zxid>` files, named by their first transaction.
 *
 *   file   = 'ZKLG' · version i32 = 2 · database i64 = 0 · entries (see txn.ts)
 *
 * Entries are appended to the newest file that this process made; the first append of a process, and one after `roll`, begins a new file. An
 * entry counts once `commit` has answered. Reading goes from file to file: a file ends at its end, at zeros, or at an entry that was not
 * written whole (a crash in the middle of a write); an entry whose checksum does not fit is `corrupt`, and ZooKeeper refuses to start with it.
 * Files are not preallocated. Source: `FileTxnLog`.
 */

import { assert } from '../../kernel/errors.js'
import { DiskError, type Disk, type DiskFile } from '../../kernel/env.js'
import type { Bytes } from '../../kernel/units.js'
import type { Zxid } from '../api.js'
import { JuteWriter } from '../jute.js'
import { zxidHex } from '../zxid.js'
import { TxnEntry } from './txn.js'

export const DATA_FOLDER = 'version-2/'
const PREFIX = `${DATA_FOLDER}log.`
const MAGIC = 0x5a4b4c47
const VERSION = 2
const HEADER_SIZE: Bytes = 16

/** An entry on disk cannot be trusted. */
export class CorruptLogError extends Error {
  readonly path: string
  readonly position: Bytes

  constructor(path: string, position: Bytes) {
    super(`checksum error in ${path} at ${position}`)
    this.path = path
    this.position = position
  }
}

export interface LoggedEntry {
  readonly entry: TxnEntry
  readonly path: string
  /** Position after the entry in its file. */
  readonly end: Bytes
}

export class TxnLog {
  readonly #disk: Disk
  #file: DiskFile | undefined
  /** Files with entries that no sync was asked for yet. */
  #unsynced: DiskFile[] = []
  /** Transactions and bytes since the last roll. */
  count = 0
  size: Bytes = 0
  #lastZxid: Zxid = 0

  constructor(disk: Disk) {
    this.#disk = disk
  }

  /** @throws DiskError; what was written of the entry then counts as torn, and the next one begins a new file. */
  append(entry: TxnEntry): void {
    assert(entry.zxid > this.#lastZxid, 'txn log: order', { zxid: entry.zxid, last: this.#lastZxid })
    try {
      const file = this.#open(entry.zxid)
      file.append(entry)
    } catch (error) {
      if (error instanceof DiskError) this.roll()
      throw error
    }
    this.#lastZxid = entry.zxid
    this.count++
    this.size += entry.length
  }

  /** Syncs what was appended; `done` by a later event. */
  commit(done: (error?: DiskError) => void): void {
    const files = this.#unsynced
    this.#unsynced = this.#file === undefined ? [] : [this.#file]
    let left = files.length
    let failure: DiskError | undefined
    assert(left > 0, 'txn log: nothing to commit')
    for (const file of files) {
      file.sync((error) => {
        failure ??= error
        if (--left === 0) done(failure)
      })
    }
  }

  get hasUnsynced(): boolean {
    return this.#unsynced.length > 0
  }

  /** The next entry begins a new file. */
  roll(): void {
    this.#file = undefined
    this.count = 0
    this.size = 0
  }

  /** The last whole entry on disk; 0 without one. @throws CorruptLogError */
  lastZxid(): Zxid {
    let last = 0
    for (const { entry } of this.read(0)) last = entry.zxid
    return last
  }

  /**
   * Entries from the file that may hold `from` on; with `skip`, only those at or after `from`. @throws CorruptLogError
   */
  *read(from: Zxid, skip = true): Generator<LoggedEntry, void, void> {
    for (const path of this.#filesFrom(from)) {
      for (const logged of this.#entries(path)) if (!skip || logged.entry.zxid >= from) yield logged
    }
  }

  /** Bytes of the files that may hold `from` and later ones. */
  sizeFrom(from: Zxid): Bytes {
    let size = 0
    for (const path of this.#filesFrom(from)) size += this.#disk.open(path).size
    return size
  }

  /** Cuts everything after `zxid`. False when there is no log to cut. @throws CorruptLogError, DiskError */
  truncate(zxid: Zxid): boolean {
    const paths = this.#filesFrom(zxid)
    const first = paths[0]
    if (first === undefined) return false
    let cutIn = first
    let end = HEADER_SIZE
    for (const logged of this.read(zxid, false)) {
      if (logged.entry.zxid > zxid) break
      cutIn = logged.path
      end = logged.end
    }
    const file = this.#disk.open(cutIn)
    if (file.size > end) file.truncate(end)
    for (const path of paths.slice(paths.indexOf(cutIn) + 1)) this.#disk.remove(path)
    this.roll()
    this.#unsynced = []
    this.#lastZxid = zxid
    return true
  }

  /** Removes every file: a durable snapshot holds all of it, and what comes next does not continue it. @throws DiskError */
  clear(): void {
    for (const { path } of logFiles(this.#disk)) this.#disk.remove(path)
    this.roll()
    this.#unsynced = []
  }

  /** What this log will take next follows `zxid`. */
  startAfter(zxid: Zxid): void {
    this.#lastZxid = zxid
  }

  /** Makes last what a killed process had only written: it will be voted with. `done` at once when there is nothing. */
  syncNewest(done: (error?: DiskError) => void): boolean {
    const newest = logFiles(this.#disk).at(-1)
    if (newest === undefined) return false
    this.#disk.open(newest.path).sync(done)
    return true
  }

  #open(zxid: Zxid): DiskFile {
    if (this.#file !== undefined) return this.#file
    const path = `${PREFIX}${zxidHex(zxid)}`
    // A file of that name holds nothing but a torn first entry.
    if (this.#disk.exists(path)) this.#disk.remove(path)
    const file = this.#disk.open(path)
    this.#unsynced.push(file)
    file.append(new JuteWriter().int(MAGIC).int(VERSION).long(0).bytes())
    this.#file = file
    return file
  }

  /** Files from the last one that begins at or before `from`, in order. */
  #filesFrom(from: Zxid): string[] {
    const files = logFiles(this.#disk)
    let first = 0
    files.forEach((file, i) => {
      if (file.zxid <= from) first = i
    })
    return files.slice(first).map((file) => file.path)
  }

  *#entries(path: string): Generator<LoggedEntry, void, void> {
    const file = this.#disk.open(path)
    let position = HEADER_SIZE
    const pieces = file.read(position, file.size - position)
    for (let i = 0; i < pieces.length; i++) {
      const piece = pieces[i]
      if (piece instanceof TxnEntry) {
        position += piece.length
        yield { entry: piece, path, end: position }
        continue
      }
      yield* this.#rawEntries(path, position, concat(pieces.slice(i)))
      return
    }
  }

  /** What was damaged or cut is bytes, and is read as such from there on. */
  *#rawEntries(path: string, from: Bytes, bytes: Uint8Array): Generator<LoggedEntry, void, void> {
    let position = 0
    for (;;) {
      const read = TxnEntry.read(bytes, position)
      if (read === 'end') return
      if (read === 'corrupt') throw new CorruptLogError(path, from + position)
      position = read.next
      yield { entry: read.entry, path, end: from + position }
    }
  }
}

function logFiles(disk: Disk): { zxid: Zxid; path: string }[] {
  return disk
    .list(PREFIX)
    .map((path) => ({ zxid: parseInt(path.slice(PREFIX.length), 16), path }))
    .sort((a, b) => a.zxid - b.zxid || (a.path < b.path ? -1 : 1))
}

function concat(pieces: readonly { toBytes(): Uint8Array; readonly length: number }[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece.toBytes(), at)
    at += piece.length
  }
  return bytes
}
