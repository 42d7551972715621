/**
 * How a leader makes a learner's history equal to its own: with nothing but the end of it, by cutting, by sending what is missing, or by a snapshot.
 *
 * With peer = the learner's last zxid, [min, max] = what of committed transactions is in memory (both the last zxid when there are none):
 *
 *   peer = the leader's last zxid                    DIFF, nothing to send
 *   peer > max, and of a transaction                 TRUNC to max
 *   min ≤ peer ≤ max                                 from memory: DIFF when peer is found there (or is where an epoch began); else, when the next
 *                                                    one there is of the same epoch, TRUNC to the one before; then what follows
 *   peer < min, and the log on disk goes back so far likewise from disk, then from memory
 *   anything else                                    SNAP
 *
 * Source: `LearnerHandler.syncFollower`, `queueCommittedProposals`.
 */

import type { Zxid } from '../api.js'
import type { Database } from '../storage/database.js'
import type { TxnEntry } from '../storage/txn.js'
import { counterOf, epochOf } from '../zxid.js'

export interface SyncPlan {
  readonly mode: 'DIFF' | 'TRUNC' | 'SNAP'
  /** Of DIFF: where the leader is; of TRUNC: where to cut; of SNAP: where the snapshot is. */
  readonly zxid: Zxid
  /** Committed transactions that follow, each with its commit. */
  readonly entries: readonly TxnEntry[]
  /** What the learner has once it has taken all that. */
  readonly lastZxid: Zxid
}

export function planSync(database: Database, peer: Zxid): SyncPlan {
  const { lastZxid: last, committedLog } = database
  const min = committedLog[0]?.zxid ?? last
  const max = committedLog.at(-1)?.zxid ?? last
  if (peer === last) return { mode: 'DIFF', zxid: peer, entries: [], lastZxid: peer }
  if (peer > max && counterOf(peer) !== 0) return { mode: 'TRUNC', zxid: max, entries: [], lastZxid: max }
  const snap: SyncPlan = { mode: 'SNAP', zxid: last, entries: [], lastZxid: last }
  if (min <= peer && peer <= max) return queue(committedLog, peer, Infinity, max) ?? snap
  if (peer >= min) return snap
  const fromDisk = queue(database.logFrom(peer), peer, min, max)
  if (fromDisk === undefined || fromDisk.lastZxid < min) return snap
  const rest = committedLog.filter((entry) => entry.zxid > fromDisk.lastZxid)
  return { ...fromDisk, entries: [...fromDisk.entries, ...rest], lastZxid: rest.at(-1)?.zxid ?? fromDisk.lastZxid }
}

/** What of `entries` (up to `upTo`) the learner lacks, and how to begin; undefined when they don't tell. */
function queue(entries: Iterable<TxnEntry>, peer: Zxid, upTo: Zxid, last: Zxid): SyncPlan | undefined {
  const isEpochStart = counterOf(peer) === 0
  let begin: { mode: 'DIFF' | 'TRUNC'; zxid: Zxid } | undefined
  let before: Zxid = -1
  const missing: TxnEntry[] = []
  let any = false
  for (const entry of entries) {
    if (entry.zxid > upTo) break
    any = true
    if (entry.zxid < peer) {
      before = entry.zxid
      continue
    }
    if (begin === undefined) {
      if (entry.zxid === peer) {
        begin = { mode: 'DIFF', zxid: last }
        continue
      }
      if (isEpochStart) begin = { mode: 'DIFF', zxid: last }
      // The learner has something of another epoch that is not in this history.
      else if (epochOf(entry.zxid) !== epochOf(peer)) return undefined
      else begin = { mode: 'TRUNC', zxid: before }
    }
    missing.push(entry)
  }
  if (begin === undefined && isEpochStart && any) begin = { mode: 'DIFF', zxid: last }
  if (begin === undefined) return undefined
  return { ...begin, entries: missing, lastZxid: missing.at(-1)?.zxid ?? peer }
}
