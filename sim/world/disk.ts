/**
 * A host's disk: a page cache over a medium, under a journalled file system.
 *
 * Reads and writes go to the cache. What is on the medium:
 *
 *   file data         below the file's durable size for certain (sync), older than WRITEBACK_MICROS as well (the kernel's flusher);
 *                     of younger pages any may be, see disk-crash.ts
 *   metadata          create, rename, remove, truncate and replace are journalled in order; a power loss keeps a first part of
 *                     the journal, drawn from the seed. A sync commits what was journalled before its call; so does time, after
 *                     JOURNAL_MICROS (ext4 `commit=5`)
 *   replaceFile       one journal entry that makes a file with all its data: the old content or the new
 *
 * The disk outlives processes and knows none; they reach it through a mount. Faults belong to the disk, outlive processes too, and
 * compose. Without a fault the hot path pays one branch. On a disk that lies, syncs succeed and make nothing durable.
 */

import { assert } from '../kernel/errors.js'
import type { Engine } from '../kernel/engine.js'
import { DiskError, type Slice } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import type { Quantiles } from '../kernel/random.js'
import { seconds, type Bytes, type Micros } from '../kernel/units.js'
import { BytesSlice, cutSlice } from './bytes-slice.js'
import { crashContent } from './disk-crash.js'
import { FileNode, type FileContent } from './disk-file.js'
import { DiskQueue, SSD_SYNC_MICROS, type DiskUser, type Slowness, type SyncRequest } from './disk-queue.js'
import type { FaultHandle } from './fault-rule.js'

/** Linux `dirty_expire_centisecs` and the flusher's period. */
export const WRITEBACK_MICROS: Micros = seconds(35)
/** ext4 `commit`. */
export const JOURNAL_MICROS: Micros = seconds(5)

export interface DiskOptions {
  readonly capacityBytes?: Bytes
  readonly syncMicros?: Quantiles
}

/** What is journalled. `before` holds what a truncated file was, in case the truncation is lost. */
type JournalEntry = { readonly seq: number; readonly time: Micros } & (
  | { readonly kind: 'link'; readonly path: string; readonly file: FileNode }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string }
  | { readonly kind: 'truncate'; readonly file: FileNode; readonly before: FileContent; durableSize: Bytes }
)

type JournalOperation = JournalEntry extends infer E
  ? E extends JournalEntry
    ? Omit<E, 'seq' | 'time'>
    : never
  : never

/** An fsync in the queue, or the sync of a replaced file. */
interface FileSync extends SyncRequest {
  readonly file: FileNode
  /** Bytes that it makes durable: less after a truncation. */
  upTo: Bytes
  readonly content: 'file' | 'replaced'
  readonly journalSeq: number
  readonly done: ((error?: DiskError) => void) | undefined
}

/** One file, for people. */
export interface FileView {
  readonly path: string
  readonly size: Bytes
  /** Bytes that no sync has made durable. */
  readonly unsyncedBytes: Bytes
}

export class SimDisk {
  readonly #engine: Engine
  readonly #node: NodeName
  readonly #queue: DiskQueue<FileSync>
  #files = new Map<string, FileNode>()
  /** The names as the journal's committed part has them. */
  #committed = new Map<string, FileNode>()
  #journal: JournalEntry[] = []
  #journalSeq = 0
  #used: Bytes = 0
  readonly #capacity: Bytes
  /** Capacities of the faults in force. */
  #limits: Bytes[] = []
  #limit: Bytes
  #failures = 0
  #lies = 0
  #powerLosses = 0
  #corruptions = 0

  constructor(engine: Engine, node: NodeName, options: DiskOptions = {}) {
    this.#engine = engine
    this.#node = node
    this.#capacity = options.capacityBytes ?? Infinity
    this.#limit = this.#capacity
    const random = engine.random.fork(`disk/${node}`)
    this.#queue = new DiskQueue(engine, random, options.syncMicros ?? SSD_SYNC_MICROS, (request) =>
      this.#synced(request),
    )
  }

  get usedBytes(): Bytes {
    return this.#used
  }

  // ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  exists(path: string): boolean {
    return this.#files.has(path)
  }

  list(prefix: string): string[] {
    const paths: string[] = []
    for (const path of this.#files.keys()) if (path.startsWith(prefix)) paths.push(path)
    return paths.sort(byText)
  }

  open(path: string): FileNode {
    this.#check(path)
    const known = this.#files.get(path)
    if (known !== undefined) return known
    const file = new FileNode(path)
    this.#files.set(path, file)
    this.#log({ kind: 'link', path, file })
    return file
  }

  remove(path: string): void {
    this.#check(path)
    const file = this.#files.get(path)
    if (file === undefined) return
    this.#files.delete(path)
    this.#unlink(file)
    this.#log({ kind: 'remove', path })
  }

  rename(from: string, to: string): void {
    this.#check(from)
    const file = this.#files.get(from)
    assert(file !== undefined, 'rename: no such file', { node: this.#node, from })
    if (from === to) return
    this.#unlink(this.#files.get(to))
    this.#files.delete(from)
    this.#files.set(to, file)
    file.path = to
    this.#log({ kind: 'rename', path: from, to })
  }

  readFile(path: string): Uint8Array | undefined {
    this.#check(path)
    return this.#files.get(path)?.content.bytes()
  }

  replaceFile(user: DiskUser, path: string, bytes: Uint8Array, done: ((error?: DiskError) => void) | undefined): void {
    const old = this.#files.get(path)
    const grows = bytes.length - (old?.content.size ?? 0)
    const error = this.#failures > 0 ? 'io' : grows > 0 && this.#used + grows > this.#limit ? 'full' : undefined
    if (error !== undefined) {
      const failure = this.#failed(error, path)
      if (done === undefined) throw failure
      this.#engine.schedule(this.#engine.now, deliverFailure, { user, done, failure })
      return
    }
    const file = new FileNode(path)
    file.append(new BytesSlice(bytes), this.#engine.now)
    // The temporary file is synced before it is renamed, so the name never leads to half of it; unless that sync lies.
    if (this.#lies === 0) file.settle()
    this.#unlink(old)
    this.#used += bytes.length
    this.#files.set(path, file)
    this.#log({ kind: 'link', path, file })
    this.#enqueueSync(user, file, 'replaced', done)
  }

  access(user: DiskUser, run: () => void): void {
    this.#queue.access(user, run)
  }

  // ── file data ─────────────────────────────────────────────────────────────────────────────────────────────────────

  append(file: FileNode, slice: Slice): void {
    if (this.#failures > 0) throw this.#failed('io', file.path)
    const free = this.#limit - this.#used
    if (slice.length > free && file.linked) {
      if (free > 0) this.#write(file, cutSlice(slice, 0, free))
      throw this.#failed('full', file.path)
    }
    this.#write(file, slice)
  }

  read(file: FileNode, position: Bytes, length: Bytes): Slice[] {
    if (this.#failures > 0) throw this.#failed('io', file.path)
    return file.content.read(position, position + length)
  }

  truncate(file: FileNode, size: Bytes): void {
    this.#check(file.path)
    if (size === file.content.size) return
    const entry = { kind: 'truncate', file, before: file.content, durableSize: file.durableSize } as const
    if (file.linked) this.#used -= file.content.size - size
    file.truncate(size)
    for (const sync of this.#queue.pendingSyncs) if (sync.file === file) sync.upTo = Math.min(sync.upTo, size)
    this.#log(entry)
  }

  sync(user: DiskUser, file: FileNode, done: (error?: DiskError) => void): void {
    this.#enqueueSync(user, file, 'file', done)
  }

  #write(file: FileNode, slice: Slice): void {
    file.append(slice, this.#engine.now)
    if (file.linked) this.#used += slice.length
  }

  /** The file has no name any more. What is still open of it takes no space here. */
  #unlink(file: FileNode | undefined): void {
    if (file === undefined) return
    file.linked = false
    this.#used -= file.content.size
  }

  #enqueueSync(user: DiskUser, file: FileNode, content: 'file' | 'replaced', done: FileSync['done']): void {
    this.#queue.sync({
      user,
      file,
      content,
      done,
      upTo: file.content.size,
      journalSeq: this.#journalSeq,
      startedAt: this.#engine.now,
      cause: this.#engine.trace.cause,
    })
  }

  #synced(request: FileSync): void {
    const { file, user, done, upTo } = request
    let failure: DiskError | undefined
    if (this.#failures > 0) failure = this.#failed('io', file.path)
    else {
      const bytes = request.content === 'replaced' ? upTo : Math.max(0, upTo - file.syncedSize)
      file.syncedSize = Math.max(file.syncedSize, upTo)
      if (this.#lies === 0) {
        this.#makeDurable(file, upTo)
        this.#commit(request.journalSeq)
      }
      const trace = this.#engine.trace
      const micros = this.#engine.now - request.startedAt
      trace.cause = trace.emit(this.#node, 'disk.synced', { path: file.path, bytes, micros })
    }
    if (done !== undefined && user.alive) user.deliver(callDone, { done, failure })
  }

  #makeDurable(file: FileNode, upTo: Bytes): void {
    file.durableSize = Math.max(file.durableSize, upTo)
    // A truncation that came after the call may yet be lost; what was synced may not.
    for (const entry of this.#journal) {
      if (entry.kind === 'truncate' && entry.file === file) entry.durableSize = Math.max(entry.durableSize, upTo)
    }
  }

  // ── journal ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #log(operation: JournalOperation): void {
    const time = this.#engine.now
    this.#journal.push({ ...operation, seq: ++this.#journalSeq, time } as JournalEntry)
    let old = 0
    while ((this.#journal[old] as JournalEntry).time <= time - JOURNAL_MICROS) old++
    if (old > 0) this.#commit((this.#journal[old - 1] as JournalEntry).seq)
  }

  #commit(upToSeq: number): void {
    let count = 0
    for (const entry of this.#journal) {
      if (entry.seq > upToSeq) break
      applyEntry(this.#committed, entry)
      count++
    }
    if (count > 0) this.#journal.splice(0, count)
  }

  // ── the end of the power ──────────────────────────────────────────────────────────────────────────────────────────

  powerLoss(): void {
    const random = this.#engine.random.fork(`disk/${this.#node}/power-loss/${++this.#powerLosses}`)
    const now = Math.min(this.#engine.now, this.#queue.hungSince)
    this.#queue.clear()
    const durable = this.#journal.filter((entry) => entry.time <= now - JOURNAL_MICROS).length
    const kept = random.between(durable, this.#journal.length)
    const lost = this.#journal.slice(kept)
    if (kept > 0) this.#commit((this.#journal[kept - 1] as JournalEntry).seq)
    // The first truncation of a file that was lost takes the file back to what it held before it.
    for (const entry of lost.reverse()) {
      if (entry.kind !== 'truncate') continue
      entry.file.content = entry.before
      entry.file.durableSize = entry.durableSize
    }
    const before = new Set(this.#files.values())
    this.#files = new Map([...this.#committed].sort(([a], [b]) => byText(a, b)))
    this.#committed = new Map(this.#files)
    this.#journal = []
    this.#used = 0
    let files = 0
    let lostBytes = 0
    let tornPages = 0
    for (const [path, file] of this.#files) {
      before.delete(file)
      file.path = path
      file.linked = true
      const survives = Math.max(file.durableSize, file.writtenBack(now, WRITEBACK_MICROS))
      const damage = crashContent(file.content, survives, random)
      if (damage.lostBytes > 0 || damage.tornPages > 0) files++
      lostBytes += damage.lostBytes
      tornPages += damage.tornPages
      file.content = damage.content
      file.settle()
      this.#used += file.content.size
    }
    for (const file of before) {
      files++
      lostBytes += file.content.size
    }
    const trace = this.#engine.trace
    trace.emit(this.#node, 'disk.power-loss', { files, lostBytes, tornPages })
  }

  /** Makes all that it holds durable: what a prepared disk is before the run begins. */
  settle(): void {
    this.#commit(this.#journalSeq)
    for (const file of this.#files.values()) file.settle()
  }

  /** Another, empty disk in its place. Returns how many files it held. */
  wipe(): number {
    const files = this.#files.size
    this.#queue.clear()
    this.#files = new Map()
    this.#committed = new Map()
    this.#journal = []
    this.#used = 0
    return files
  }

  // ── faults ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Syncs and calls at the gate take longer. */
  slow(slowness: Slowness): FaultHandle {
    return this.#queue.slow(slowness)
  }

  /** Syncs and calls at the gate wait until the hang ends. */
  hang(): FaultHandle {
    return this.#queue.hang()
  }

  /** Every call fails with an input/output error. */
  fail(): FaultHandle {
    this.#failures++
    return once(() => this.#failures--)
  }

  /** No more than `freeBytes` can be written beyond what is there. */
  full(freeBytes: Bytes = 0): FaultHandle {
    const limit = this.#used + freeBytes
    this.#limits.push(limit)
    this.#setLimit()
    return once(() => {
      this.#limits.splice(this.#limits.indexOf(limit), 1)
      this.#setLimit()
    })
  }

  /** Syncs succeed and make nothing durable. */
  lie(): FaultHandle {
    this.#lies++
    return once(() => this.#lies--)
  }

  /**
   * Bytes rot: `count` of them from `position` in the file are changed, in the cache and on the medium. Without a position
   * the seed draws one. Of several files that match, the seed draws one that is not empty. Undefined when there is none.
   */
  corrupt(
    matches: (path: string) => boolean,
    position?: Bytes,
    count: Bytes = 1,
  ): { path: string; position: Bytes; bytes: Bytes } | undefined {
    const paths = this.list('').filter((path) => matches(path) && this.#contentOf(path).size > (position ?? 0))
    if (paths.length === 0) return undefined
    const random = this.#engine.random.fork(`disk/${this.#node}/rot/${++this.#corruptions}`)
    const path = random.pick(paths)
    const content = this.#contentOf(path)
    const from = position ?? random.int(content.size)
    const bytes = Math.min(count, content.size - from)
    content.rewrite(from, bytes, (data, start) => {
      const end = Math.min(data.length, from + bytes - start)
      for (let i = Math.max(0, from - start); i < end; i++) data[i] = (data[i] as number) ^ random.between(1, 255)
    })
    this.#engine.trace.emit(this.#node, 'disk.corrupted', { path, position: from, bytes })
    return { path, position: from, bytes }
  }

  #contentOf(path: string): FileContent {
    return (this.#files.get(path) as FileNode).content
  }

  #setLimit(): void {
    this.#limit = Math.min(this.#capacity, ...this.#limits)
  }

  #check(path: string): void {
    if (this.#failures > 0) throw this.#failed('io', path)
  }

  #failed(kind: 'full' | 'io', path: string): DiskError {
    this.#engine.trace.emit(this.#node, 'disk.error', { path, kind })
    return new DiskError(kind, path)
  }

  // ── inspection ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Every file, sorted by path. */
  view(): FileView[] {
    return this.list('').map((path) => {
      const { content, durableSize } = this.#files.get(path) as FileNode
      return { path, size: content.size, unsyncedBytes: content.size - durableSize }
    })
  }
}

function applyEntry(names: Map<string, FileNode>, entry: JournalEntry): void {
  switch (entry.kind) {
    case 'link':
      names.set(entry.path, entry.file)
      return
    case 'remove':
      names.delete(entry.path)
      return
    case 'rename': {
      const file = names.get(entry.path) as FileNode
      names.delete(entry.path)
      names.set(entry.to, file)
      return
    }
    case 'truncate':
      // Names stay; the file's own size is taken back elsewhere.
      return
  }
}

function callDone(call: { done: (error?: DiskError) => void; failure: DiskError | undefined }): void {
  call.done(call.failure)
}

function deliverFailure(call: { user: DiskUser; done: (error?: DiskError) => void; failure: DiskError }): void {
  call.user.deliver(callDone, call)
}

/** A handle that takes back once. */
function once(remove: () => void): FaultHandle {
  let removed = false
  return {
    remove: () => {
      if (removed) return
      removed = true
      remove()
    },
  }
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
