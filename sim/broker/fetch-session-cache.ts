/**
 * Where a broker keeps its fetch sessions, and which one goes when there is no room (Kafka's `FetchSessionCache` and
 * `FetchSessionCacheShard`, KIP-227).
 *
 * The slots are divided among 8 shards, used in turn for new sessions; the id of a session tells its shard. In a full
 * shard a new session takes the place of the one least recently used, when that is unused for 120 s; else of the least
 * valuable one that it may evict, when the new one is not less valuable: followers' sessions are worth more than
 * consumers', larger ones more than smaller ones. Sessions younger than 120 s are safe, except that a follower's may
 * evict any consumer's.
 */

import { assert } from '../kernel/errors.js'
import type { Random } from '../kernel/random.js'
import { INT_MAX, type Millis } from '../kernel/units.js'
import type { FetchedPartitions, FetchSession } from './fetch-session.js'

const SHARDS = 8
/** `MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS`. */
const EVICTION_MS: Millis = 120_000

class CachedSession implements FetchSession {
  readonly id: number
  readonly privileged: boolean
  readonly partitions: FetchedPartitions
  readonly usesTopicIds: boolean
  readonly creationMs: Millis
  epoch = 1
  lastUsedMs: Millis
  /** Partitions when it was last used. */
  size = 0
  evictableByAll = false
  evictableByPrivileged = false

  constructor(id: number, now: Millis, privileged: boolean, usesTopicIds: boolean, partitions: FetchedPartitions) {
    this.id = id
    this.creationMs = now
    this.lastUsedMs = now
    this.privileged = privileged
    this.usesTopicIds = usesTopicIds
    this.partitions = partitions
  }
}

export class FetchSessionCache {
  readonly #shards: readonly FetchSessionShard[]
  readonly #idsOfShard: number
  #turn = 0

  constructor(random: Random, slots: number, shards: number = SHARDS) {
    this.#idsOfShard = Math.floor(INT_MAX / shards)
    this.#shards = Array.from(
      { length: shards },
      (_, i) => new FetchSessionShard(random, Math.floor(slots / shards), this.#idsOfShard, i),
    )
  }

  get size(): number {
    let size = 0
    for (const shard of this.#shards) size += shard.size
    return size
  }

  get(id: number): FetchSession | undefined {
    return this.#shardOf(id)?.get(id)
  }

  remove(id: number): void {
    this.#shardOf(id)?.remove(id)
  }

  /** Notes that `session` is in use, with as many partitions as it has now. */
  touch(session: FetchSession, now: Millis): void {
    assert(session instanceof CachedSession, 'fetch session: touch of a stranger', { id: session.id })
    touch(session, now)
  }

  /** A new session, or undefined when there is no room for it. */
  create(
    now: Millis,
    privileged: boolean,
    size: number,
    usesTopicIds: boolean,
    partitions: FetchedPartitions,
  ): FetchSession | undefined {
    const shard = this.#shards[this.#turn++ % this.#shards.length] as FetchSessionShard
    return shard.create(now, privileged, size, usesTopicIds, partitions)
  }

  #shardOf(id: number): FetchSessionShard | undefined {
    return this.#shards[Math.floor(id / this.#idsOfShard)]
  }
}

class FetchSessionShard {
  readonly #random: Random
  readonly #slots: number
  readonly #idsOfShard: number
  readonly #number: number
  readonly #sessions = new Map<number, CachedSession>()

  constructor(random: Random, slots: number, idsOfShard: number, number: number) {
    this.#random = random
    this.#slots = slots
    this.#idsOfShard = idsOfShard
    this.#number = number
  }

  get size(): number {
    return this.#sessions.size
  }

  get(id: number): CachedSession | undefined {
    return this.#sessions.get(id)
  }

  remove(id: number): void {
    this.#sessions.delete(id)
  }

  create(
    now: Millis,
    privileged: boolean,
    size: number,
    usesTopicIds: boolean,
    partitions: FetchedPartitions,
  ): CachedSession | undefined {
    if (this.#sessions.size >= this.#slots && !this.#evict(privileged, size, now)) return undefined
    const session = new CachedSession(this.#newId(), now, privileged, usesTopicIds, partitions)
    this.#sessions.set(session.id, session)
    touch(session, now)
    return session
  }

  #newId(): number {
    const low = Math.max(1, this.#number * this.#idsOfShard)
    const high = (this.#number + 1) * this.#idsOfShard
    for (;;) {
      const id = low + this.#random.int(high - low)
      if (!this.#sessions.has(id)) return id
    }
  }

  #evict(privileged: boolean, size: number, now: Millis): boolean {
    let oldest: CachedSession | undefined
    let cheapest: CachedSession | undefined
    for (const session of this.#sessions.values()) {
      if (oldest === undefined || isOlder(session, oldest)) oldest = session
      if (!(privileged ? session.evictableByPrivileged : session.evictableByAll)) continue
      if (cheapest === undefined || value(session, cheapest) < 0) cheapest = session
    }
    if (oldest === undefined) return false
    if (now - oldest.lastUsedMs > EVICTION_MS) {
      this.#sessions.delete(oldest.id)
      return true
    }
    if (cheapest === undefined || value({ privileged, size, id: 0 }, cheapest) < 0) return false
    this.#sessions.delete(cheapest.id)
    return true
  }
}

function touch(session: CachedSession, now: Millis): void {
  session.lastUsedMs = now
  session.size = session.partitions.size
  const isOld = now - session.creationMs > EVICTION_MS
  // As Kafka's sorted maps are kept: the verdict of the last use stays until the next.
  session.evictableByPrivileged = !session.privileged || isOld
  session.evictableByAll = isOld
}

function isOlder(a: CachedSession, b: CachedSession): boolean {
  return a.lastUsedMs === b.lastUsedMs ? a.id < b.id : a.lastUsedMs < b.lastUsedMs
}

interface Worth {
  readonly privileged: boolean
  readonly size: number
  readonly id: number
}

/** Negative when `a` is worth less than `b`. */
function value(a: Worth, b: Worth): number {
  if (a.privileged !== b.privileged) return a.privileged ? 1 : -1
  return a.size === b.size ? a.id - b.id : a.size - b.size
}
