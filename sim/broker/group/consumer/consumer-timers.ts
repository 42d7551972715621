/**
 * The timers of the members of KIP-848 groups (`GroupMetadataManager`).
 *
 *     timer       set by                                              when it runs out
 *     session     each heartbeat, join, sync                          the member is removed
 *     rebalance   the member is to give up partitions                 it is removed, if it is still in that epoch
 *     join        a classic member is told to join again              it is removed
 *     sync        a classic member has joined                         it is removed
 *
 * A removal that could not be written is tried again until it is.
 */

import type { Millis } from '../../../kernel/units.js'
import type { Outcome, ShardHost } from '../../coordinator/coordinator-runtime.js'
import type { GroupRecord } from '../group-records.js'

type Writes = Outcome<GroupRecord, unknown>

/** Between two attempts to remove a member (`CoordinatorTimer`). */
const RETRY_MS = 500

export type Expire = (groupId: string, memberId: string, reason: string, ifInEpoch?: number) => Writes

export class ConsumerTimers {
  readonly #host: ShardHost<GroupRecord>
  readonly #expire: Expire

  constructor(host: ShardHost<GroupRecord>, expire: Expire) {
    this.#host = host
    this.#expire = expire
  }

  session(groupId: string, memberId: string, ms: Millis): void {
    this.#schedule(keyOf('session', groupId, memberId), ms, () =>
      this.#expire(groupId, memberId, 'the session ran out'),
    )
  }

  rebalance(groupId: string, memberId: string, memberEpoch: number, ms: Millis): void {
    this.#schedule(keyOf('rebalance', groupId, memberId), ms, () =>
      this.#expire(groupId, memberId, 'the member did not give up its partitions in time', memberEpoch),
    )
  }

  joinIfAbsent(groupId: string, memberId: string, ms: Millis): void {
    const key = keyOf('join', groupId, memberId)
    if (this.#host.isScheduled(key)) return
    this.#schedule(key, ms, () => this.#expire(groupId, memberId, 'the member did not join again in time'))
  }

  sync(groupId: string, memberId: string, ms: Millis): void {
    this.#schedule(keyOf('sync', groupId, memberId), ms, () =>
      this.#expire(groupId, memberId, 'the member did not sync in time'),
    )
  }

  #schedule(key: string, ms: Millis, operate: () => Writes): void {
    this.#host.schedule(key, ms, operate, RETRY_MS)
  }

  cancel(timer: 'rebalance' | 'join' | 'sync', groupId: string, memberId: string): void {
    this.#host.cancel(keyOf(timer, groupId, memberId))
  }

  cancelAll(groupId: string, memberId: string): void {
    for (const timer of ['session', 'rebalance', 'join', 'sync'] as const)
      this.#host.cancel(keyOf(timer, groupId, memberId))
  }
}

function keyOf(timer: string, groupId: string, memberId: string): string {
  return `consumer-${timer}/${groupId}/${memberId}`
}
