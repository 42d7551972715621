/**
 * Keeps each session's requests in order: a read waits for the writes of its own session before it, and for nobody else's.
 *
 *   request comes     nothing of its session waits, and it needs no commit → answered now; else it waits
 *   commit comes      it is the first that waits in its session → applied and answered, then the reads behind it, up to the next write
 *                     it is another server's → applied
 *
 * On learners a `sync` waits for the leader like a write. Source: ZooKeeper's `CommitProcessor`.
 */

import type { SessionId } from '../api.js'
import type { TxnEntry } from '../storage/txn.js'
import { Request } from './request.js'

export class CommitProcessor {
  readonly #next: (request: Request) => void
  /** On learners: syncs are matched with the leader's answers. */
  readonly #matchSyncs: boolean
  readonly #waiting = new Map<SessionId, Request[]>()

  constructor(next: (request: Request) => void, matchSyncs: boolean) {
    this.#next = next
    this.#matchSyncs = matchSyncs
  }

  /** A request of this server's clients (on the leader, also those that came through learners). */
  process(request: Request): void {
    const waiting = this.#waiting.get(request.session)
    if (waiting !== undefined) waiting.push(request)
    else if (this.#needsCommit(request)) this.#waiting.set(request.session, [request])
    else this.#next(request)
  }

  commit(entry: TxnEntry): void {
    const { session, cxid } = entry.header
    const first = this.#waiting.get(session)?.[0]
    if (first === undefined || first.cxid !== cxid || first.operation.type === 'sync') {
      this.#next(ofAnotherServer(entry))
      return
    }
    first.entry = entry
    this.#release(first)
  }

  /** The leader has answered a sync. */
  synced(request: Request): void {
    if (this.#waiting.get(request.session)?.[0] === request) this.#release(request)
  }

  #release(first: Request): void {
    const waiting = this.#waiting.get(first.session) as Request[]
    this.#next(first)
    let done = 1
    for (; done < waiting.length; done++) {
      const request = waiting[done] as Request
      if (this.#needsCommit(request)) break
      this.#next(request)
    }
    waiting.splice(0, done)
    if (waiting.length === 0) this.#waiting.delete(first.session)
  }

  #needsCommit(request: Request): boolean {
    if (request.operation.type === 'sync') return this.#matchSyncs
    return request.isWrite && request.error === undefined
  }
}

/** What is left to do is to apply it. */
function ofAnotherServer(entry: TxnEntry): Request {
  const { session, cxid } = entry.header
  const request = new Request(session, cxid, { type: 'ping' }, [], undefined, undefined)
  request.entry = entry
  return request
}
