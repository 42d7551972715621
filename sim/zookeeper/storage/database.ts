/**
 * A server's database: the tree and the sessions in memory, the log and the snapshots on disk, and the last committed transactions.
 *
 * `load` takes the newest whole snapshot and replays the log over it: everything that was logged, committed or not; the leader of the next epoch
 * decides what of it stays. `catchUp` does so for what was logged and not yet applied when a server stops leading or following. The
 * last `commitLogCount` transactions stay in memory for learners that are behind. Source: `ZKDatabase`, `FileTxnSnapLog`.
 */

import { assert } from '../../kernel/errors.js'
import { DiskError, type Env } from '../../kernel/env.js'
import type { Zxid } from '../api.js'
import { DataTree, type TxnResult } from '../tree/data-tree.js'
import type { ZooKeeperConfig } from '../zookeeper-config.js'
import {
  imageOf,
  loadSnapshot,
  readImage,
  removeSnapshotsAfter,
  snapshotSize,
  writeSnapshot,
  type Sessions,
} from './snapshot-file.js'
import type { TxnEntry } from './txn.js'
import { CorruptLogError, TxnLog } from './txn-log.js'

/** The disk holds what this server can't start with. */
export class DatabaseError extends Error {}

export class Database {
  readonly #env: Env
  readonly #config: ZooKeeperConfig
  readonly log: TxnLog
  tree = new DataTree()
  sessions: Sessions = new Map()
  /** Ascending by zxid. */
  committed: TxnEntry[] = []
  #isLoaded = false
  /** The log ends before the snapshot that was loaded: what will be logged does not continue it. */
  hasLogGap = false
  #snapshotsBeingWritten = 0

  constructor(env: Env, config: ZooKeeperConfig) {
    this.#env = env
    this.#config = config
    this.log = new TxnLog(env.disk)
  }

  get isLoaded(): boolean {
    return this.#isLoaded
  }

  get lastZxid(): Zxid {
    return this.tree.lastProcessedZxid
  }

  /** Drops everything in memory; the next `load` reads the disk. */
  clear(): void {
    this.tree = new DataTree()
    this.sessions = new Map()
    this.committed = []
    this.#isLoaded = false
  }

  /**
   * Reads the disk. A disk without snapshot and log is that of a new server.
   * @throws DatabaseError, CorruptLogError, DiskError
   */
  load(): void {
    if (this.#isLoaded) return
    const snapshot = loadSnapshot(this.#env.disk)
    if (snapshot === 'damaged') throw new DatabaseError('no valid snapshot')
    if (snapshot === 'none') {
      if (this.log.lastZxid() !== 0) throw new DatabaseError('no snapshot found, but there are log entries')
    } else {
      this.tree = snapshot.tree
      this.sessions = snapshot.sessions
    }
    const from = this.lastZxid
    this.#isLoaded = true
    const lastLogged = this.log.lastZxid()
    this.hasLogGap = lastLogged !== 0 && lastLogged < from
    this.#fastForward()
    if (snapshot === 'none') this.takeSnapshot(true, () => undefined)
    this.#tellRecovered(from)
  }

  /** Applies what was logged and not applied yet. @throws CorruptLogError, DiskError */
  catchUp(): void {
    const from = this.lastZxid
    this.#fastForward()
    if (this.lastZxid !== from) this.#tellRecovered(from)
  }

  #tellRecovered(snapshot: Zxid): void {
    const { tree, sessions } = this
    const data = { snapshot, zxid: tree.lastProcessedZxid, sessions: sessions.size, znodes: tree.nodes.size }
    this.#env.emit('zk.recovered', data)
  }

  #fastForward(): void {
    for (const { entry } of this.log.read(this.lastZxid + 1)) {
      this.apply(entry)
      this.remember(entry)
    }
    this.log.startAfter(this.lastZxid)
  }

  apply(entry: TxnEntry): TxnResult {
    const { header, txn } = entry
    if (txn.type === 'createSession') this.sessions.set(header.session, txn.timeoutMs)
    else if (txn.type === 'closeSession') this.sessions.delete(header.session)
    return this.tree.apply(header, txn)
  }

  /** Keeps a transaction for learners that are behind. */
  remember(entry: TxnEntry): void {
    this.committed.push(entry)
    // Cut now and then, so that it costs little.
    const max = this.#config.commitLogCount
    if (this.committed.length >= max * 2) this.committed.splice(0, this.committed.length - max)
  }

  /** The committed transactions that a learner may be sent from memory. */
  get committedLog(): readonly TxnEntry[] {
    const { committed } = this
    const extra = committed.length - this.#config.commitLogCount
    return extra > 0 ? committed.slice(extra) : committed
  }

  /** An epoch began after the last transaction. */
  beginEpoch(zxid: Zxid): void {
    assert(zxid >= this.lastZxid, 'database: epoch', { zxid, last: this.lastZxid })
    this.tree.lastProcessedZxid = zxid
    this.log.startAfter(zxid)
  }

  /** Cuts log and memory back to `zxid`. False when there is no log. @throws CorruptLogError, DatabaseError, DiskError */
  truncate(zxid: Zxid): boolean {
    const from = this.lastZxid
    this.clear()
    if (!this.log.truncate(zxid)) return false
    removeSnapshotsAfter(this.#env.disk, zxid)
    this.load()
    this.#env.emit('zk.truncated', { from, to: zxid })
    // The learner stands where its leader said, also when that is where an epoch began.
    this.tree.lastProcessedZxid = zxid
    this.log.startAfter(zxid)
    return true
  }

  /** Takes over the leader's tree. */
  install(image: Uint8Array, zxid: Zxid): void {
    const snapshot = readImage(image, zxid)
    assert(snapshot !== undefined, 'install: image')
    this.clear()
    this.tree = snapshot.tree
    this.sessions = snapshot.sessions
    this.#isLoaded = true
    this.log.roll()
    this.log.startAfter(zxid)
    this.#env.emit('zk.snapshot', { zxid, how: 'received', znodes: this.tree.nodes.size })
  }

  image(): Uint8Array {
    return imageOf(this.tree, this.sessions)
  }

  /** Writes a snapshot; with `sync` all at once and durable, else in the background. */
  takeSnapshot(sync: boolean, done: (error?: DiskError) => void): void {
    const data = { zxid: this.lastZxid, how: 'taken', znodes: this.tree.nodes.size } as const
    this.#snapshotsBeingWritten++
    try {
      writeSnapshot(this.#env, this.tree, this.sessions, sync, (error) => {
        this.#snapshotsBeingWritten--
        if (error === undefined) this.#env.emit('zk.snapshot', data)
        done(error)
      })
    } catch (error) {
      this.#snapshotsBeingWritten--
      done(error as DiskError)
    }
  }

  /**
   * Makes a durable snapshot of what is in memory the beginning of history here: a log with a gap, from which nobody may be brought up
   * to date, goes. ZooKeeper keeps it (ZOOKEEPER-2846).
   */
  restartLog(done: (error?: DiskError) => void): void {
    this.takeSnapshot(true, (error) => {
      if (error !== undefined) return done(error)
      try {
        this.log.clear()
      } catch (failure) {
        return done(failure as DiskError)
      }
      this.hasLogGap = false
      this.log.startAfter(this.lastZxid)
      done()
    })
  }

  get isWritingSnapshot(): boolean {
    return this.#snapshotsBeingWritten > 0
  }

  /** Transactions from the file that holds `from` on, when the log goes back so far and sending them costs less than a snapshot. */
  *logFrom(from: Zxid): Generator<TxnEntry, void, void> {
    const { snapshotSizeFactor } = this.#config
    if (snapshotSizeFactor < 0) return
    const sizeMax = snapshotSize(this.#env.disk) * snapshotSizeFactor
    if (sizeMax > 0 && this.log.sizeFrom(from) > sizeMax) return
    let first = true
    try {
      for (const { entry } of this.log.read(from, false)) {
        if (first && entry.zxid > from) return
        first = false
        yield entry
      }
    } catch (error) {
      // What can't be read can't be sent: the learner gets a snapshot.
      if (!(error instanceof CorruptLogError || error instanceof DiskError)) throw error
    }
  }
}
