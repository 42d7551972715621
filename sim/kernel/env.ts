/**
 * Everything that a node can see of the world.
 *
 * A program (broker, controller, client, ZooKeeper server) gets an `Env` when its process starts, and nothing else. All of it
 * dies with the process: timers do not fire, connections are gone, callbacks of the disk do not come. While a process
 * is paused its callbacks wait, in order, and come on resume. A restarted node gets a new Env and finds its disk as
 * the crash left it. Handlers run to completion and take no virtual time; network and disk answer by later events.
 */

import type { EventType, Events } from './events.js'
import type { NodeName } from './names.js'
import type { Random } from './random.js'
import type { Bytes, Millis } from './units.js'

export interface Env {
  /** This node's name; also its host name on the network. */
  readonly node: NodeName
  readonly clock: Clock
  /** This process's random stream; another one after a restart. */
  readonly random: Random
  readonly network: Network
  readonly disk: Disk

  /** Calls `fire` after `delay` of this node's monotonic clock (≥ 0, may be fractional); after all that is due now. */
  after(delay: Millis, fire: () => void): EnvTimer
  /** Calls `fire` once the wall clock shows `wallMs` or later, at once after a jump beyond it. */
  atWall(wallMs: Millis, fire: () => void): EnvTimer
  /** Runs a task as an event of its own at this very instant (a task queue, another thread). */
  soon(fire: () => void): void

  /** Emits a trace event of this node; returns its sequence. */
  emit<K extends EventType>(type: K, data: Events[K]): number
  /** True when somebody watches events of this type. Only for sparing the building of unhashed fields. */
  watched(type: EventType): boolean

  /** Ends this process at once, as Kafka's `Exit.halt` does: buffers of the kernel survive, state in memory does not. */
  halt(reason: string): void
}

export interface EnvTimer {
  /** Does nothing once fired. */
  cancel(): void
}

export interface Clock {
  /** Milliseconds since 1970 as this node believes them (integer): `System.currentTimeMillis`. May jump either way. */
  wallMs(): Millis
  /** Milliseconds of a clock that never jumps, but may drift (integer): `System.nanoTime`. */
  monotonicMs(): Millis
}

// ── processes ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** A running program. The world makes it at process start by calling its `Boot`. */
export interface Program {
  /** Controlled shutdown (SIGTERM): finish in order, then call `done`. The process ends at `done`. */
  stop(done: () => void): void
}

export type Boot = (env: Env) => Program

// ── network ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What travels on a connection. `body` is deeply read-only: sender and receiver share it. */
export interface Frame {
  readonly body: unknown
  /** Size on the wire; asked only where bandwidth is limited. */
  byteSize(): Bytes
}

export interface Network {
  /** Accepts connections to this node; without it, connects are refused. Once per process. */
  listen(accept: (connection: Connection) => ConnectionHandler): void
  /** Starts to connect. `onOpen` or `onClose` follows by a later event. Frames sent before `onOpen` wait for it. */
  connect(to: NodeName, handler: ConnectionHandler): Connection
}

/** One side of an ordered, reliable byte stream, as TCP gives it. */
export interface Connection {
  /** Unique in the run; the same on both sides. */
  readonly id: number
  readonly peer: NodeName
  /** Who opened it, as authentication found out: `User:alice`. The same on both sides. */
  readonly principal: string
  /** Frames arrive in order, or the connection ends. Ignored after the end. */
  send(frame: Frame): void
  /** Ends it: what was sent still arrives, then the peer sees `closed`. This side gets no `onClose`. */
  close(): void
}

export interface ConnectionHandler {
  onOpen?(): void
  onFrame(frame: Frame): void
  /** `refused`: nobody listens; `reset`: the peer's process died; `timeout`: the kernel gave up. Comes once. */
  onClose(reason: CloseReason): void
}

/** Who opens connections without saying who it is. */
export const ANONYMOUS = 'User:ANONYMOUS'

export type CloseReason = 'refused' | 'reset' | 'closed' | 'timeout'

// ── disk ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * An immutable piece of a file. Its bytes never change once appended; whoever wants other bytes makes another slice.
 * A record batch is a slice, so replicas share it and reading gives back the very object that was appended.
 */
export interface Slice {
  readonly length: Bytes
  /** The bytes; made when first asked for. Must not be written to. */
  toBytes(): Uint8Array
}

/** Thrown by disk calls, and given to their callbacks. `full`: no space left; `io`: the device failed. */
export class DiskError extends Error {
  readonly kind: 'full' | 'io'
  readonly path: string

  constructor(kind: 'full' | 'io', path: string) {
    super(`${kind === 'full' ? 'no space left on device' : 'input/output error'}: ${path}`)
    this.name = 'DiskError'
    this.kind = kind
    this.path = path
  }
}

/**
 * A node's disk behind a page cache. Reads and writes go to the cache at once; `sync` makes them last. A killed process
 * loses nothing that it wrote; a power loss takes unsynced pages, tears the last ones, and may keep later ones.
 * Paths are like `orders-0/00000000000000000000.log`; folders exist by being named.
 */
export interface Disk {
  exists(path: string): boolean
  /** Paths that start with `prefix`, sorted. */
  list(prefix: string): string[]
  /** Opens a file, creating it when missing. @throws DiskError */
  open(path: string): DiskFile
  /** @throws DiskError */
  remove(path: string): void
  /** Atomic within the cache. @throws DiskError */
  rename(from: string, to: string): void
  /** The whole of a small file, or undefined. @throws DiskError */
  readFile(path: string): Uint8Array | undefined
  /**
   * Write to a temporary file, sync, rename, sync the folder (Kafka's checkpoint files). Readers see the new content at
   * once; `done` comes when it is durable. After a power loss before that: the old content or the new, never a mixture.
   */
  replaceFile(path: string, bytes: Uint8Array, done?: (error?: DiskError) => void): void
  /**
   * The gate in front of a blocking call: calls `run` now when the device answers promptly; after its delay when it is
   * slow; never while it hangs (then when it goes on). Order is kept. What a thread blocked in write(2) would do.
   */
  access(run: () => void): void
}

export interface DiskFile {
  readonly path: string
  readonly size: Bytes
  /** Bytes known to survive a power loss. */
  readonly syncedSize: Bytes
  /** @throws DiskError `full` after writing as much as fits, `io`. */
  append(slice: Slice | Uint8Array): void
  /**
   * The pieces that cover [position, position + length), clipped at the end of the file. A whole slice comes back as the object
   * that was appended; a part of one as bytes. @throws DiskError
   */
  read(position: Bytes, length: Bytes): Slice[]
  /** Cuts the file to `size` (≤ its size). @throws DiskError */
  truncate(size: Bytes): void
  /** fsync: `done` by a later event, for all written before the call. */
  sync(done: (error?: DiskError) => void): void
}
