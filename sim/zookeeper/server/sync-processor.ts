/**
 * Writes transactions to the log in batches: what came while the last batch was being synced goes into the next one.
 *
 *   waiting → appended → synced → told (`logged`): a proposal counts for the quorum from then on
 *
 * After so many transactions (half of `snapCount` and a random part of the other half) it begins a new log file and has a snapshot written in the
 * background. An error of the disk ends it: `failed`, and nothing more is told. Source: `SyncRequestProcessor`.
 */

import type { DiskError, Env } from '../../kernel/env.js'
import type { Database } from '../storage/database.js'
import type { TxnEntry } from '../storage/txn.js'

/** `maxBatchSize`. */
const BATCH_MAX = 1_000

export interface SyncListener {
  /** The transaction is durable here. */
  logged(entry: TxnEntry): void
  failed(error: DiskError): void
}

export class SyncProcessor {
  readonly #env: Env
  readonly #database: Database
  readonly #snapCount: number
  readonly #listener: SyncListener
  #waiting: TxnEntry[] = []
  #isSyncing = false
  #isFailed = false
  #whenIdle: (() => void) | undefined
  #snapshotAfter: number

  constructor(env: Env, database: Database, snapCount: number, listener: SyncListener) {
    this.#env = env
    this.#database = database
    this.#snapCount = snapCount
    this.#listener = listener
    this.#snapshotAfter = this.#drawSnapshot()
  }

  process(entry: TxnEntry): void {
    if (this.#isFailed) return
    this.#waiting.push(entry)
    if (this.#isSyncing) return
    this.#isSyncing = true
    // What else this handler brings goes into the same batch.
    this.#env.soon(() => this.#write())
  }

  /** Calls `done` once everything given to it is durable, or it has failed. */
  drain(done: () => void): void {
    if (!this.#isSyncing || this.#isFailed) done()
    else this.#whenIdle = done
  }

  #write(): void {
    const batch = this.#waiting.splice(0, BATCH_MAX)
    try {
      for (const entry of batch) {
        this.#database.log.append(entry)
        this.#snapshotWhenDue()
      }
    } catch (error) {
      this.#fail(error as DiskError)
      return
    }
    this.#database.log.commit((error) => {
      if (error !== undefined) return this.#fail(error)
      for (const entry of batch) {
        this.#env.emit('zk.logged', { zxid: entry.zxid, checksum: entry.checksum })
        this.#listener.logged(entry)
      }
      if (this.#waiting.length > 0) return this.#write()
      this.#isSyncing = false
      this.#idle()
    })
  }

  #snapshotWhenDue(): void {
    const database = this.#database
    if (database.log.count <= this.#snapshotAfter) return
    this.#snapshotAfter = this.#drawSnapshot()
    database.log.roll()
    // One at a time: the next one is left out while the last is still being written. A snapshot that fails is only missing.
    if (!database.isWritingSnapshot) database.takeSnapshot(false, () => undefined)
  }

  #drawSnapshot(): number {
    const half = Math.floor(this.#snapCount / 2)
    return half + this.#env.random.int(half)
  }

  #fail(error: DiskError): void {
    this.#isFailed = true
    this.#waiting = []
    this.#database.log.roll()
    this.#listener.failed(error)
    this.#idle()
  }

  #idle(): void {
    const whenIdle = this.#whenIdle
    this.#whenIdle = undefined
    whenIdle?.()
  }
}
