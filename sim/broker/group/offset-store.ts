/**
 * The committed offsets of the groups of one shard, and those of open transactions (`OffsetMetadataManager`).
 *
 * What others read is as of the committed end of the log. Offsets of a transaction wait under its producer id until the marker comes; a
 * commit makes those that are newer than what is there the group's offsets, an abort forgets them.
 */

import { partitionName, parsePartition } from '../../kernel/names.js'
import type { Env } from '../../kernel/env.js'
import type { Epoch, Millis, Offset } from '../../kernel/units.js'
import type { TransactionalProducer } from '../coordinator/coordinator-runtime.js'
import { TimelineMap } from '../coordinator/timeline-map.js'
import type { GroupRecord, OffsetCommitKey, OffsetCommitValue } from './group-records.js'

export interface StoredOffset {
  readonly offset: Offset
  readonly leaderEpoch: Epoch
  readonly metadata: string
  readonly commitTimestamp: Millis
  readonly expireTimestamp: Millis
  /** Zero when it is not known. */
  readonly topicId: string
  /** Where its record is in the coordinator's log. */
  readonly recordOffset: Offset
}

/** Who commits, for the trace. */
export interface Committer {
  readonly member: string
  readonly generation: number
}

const NOBODY: Committer = { member: '', generation: -1 }

interface Pending {
  readonly group: string
  readonly name: string
  readonly value: StoredOffset
}

/** An event that is due once its record is committed. */
interface Due {
  readonly recordOffset: Offset
  emit(): void
}

export class OffsetStore {
  readonly #env: Env
  /** Group → partition → offset. */
  readonly #groups = new Map<string, TimelineMap<StoredOffset>>()
  /** Producer id → group and partition → its newest offset. */
  readonly #pending = new Map<number, Map<string, Pending>>()
  readonly #due: Due[] = []
  /** While a log is loaded nothing is told: it was told by those who wrote it. */
  #isLoading = true
  committer: Committer = NOBODY

  constructor(env: Env) {
    this.#env = env
  }

  // ── the log ───────────────────────────────────────────────────────────────────────────────────────────────────────

  replay(
    { group, topic, partition }: OffsetCommitKey,
    value: OffsetCommitValue | null,
    recordOffset: Offset,
    producer: TransactionalProducer | undefined,
  ): void {
    const name = partitionName(topic, partition)
    if (value === null) {
      this.#remove(group, name, recordOffset)
      return
    }
    const stored: StoredOffset = {
      offset: value.offset,
      leaderEpoch: value.leaderEpoch,
      metadata: value.metadata,
      commitTimestamp: value.commitTimestamp,
      expireTimestamp: value.expireTimestamp,
      topicId: value.topicId,
      recordOffset,
    }
    if (producer === undefined) {
      this.#store(group, name, stored, recordOffset, -1, this.committer)
      return
    }
    let pending = this.#pending.get(producer.producerId)
    if (pending === undefined) this.#pending.set(producer.producerId, (pending = new Map()))
    pending.set(pendingKey(group, name), { group, name, value: stored })
  }

  endTransaction({ producerId }: TransactionalProducer, isCommit: boolean, markerOffset: Offset): void {
    const pending = this.#pending.get(producerId)
    this.#pending.delete(producerId)
    if (!isCommit || pending === undefined) return
    for (const { group, name, value } of pending.values()) {
      const known = this.#groups.get(group)?.get(name)
      if (known !== undefined && known.recordOffset > value.recordOffset) continue
      this.#store(group, name, value, markerOffset, producerId, NOBODY)
    }
  }

  committed(end: Offset): void {
    for (const offsets of this.#groups.values()) offsets.forgetBelow(end)
    while (this.#due.length > 0 && (this.#due[0] as Due).recordOffset < end) this.#due.shift()?.emit()
  }

  loaded(): void {
    this.#isLoading = false
  }

  #store(
    group: string,
    name: string,
    value: StoredOffset,
    at: Offset,
    producerId: number,
    { member, generation }: Committer,
  ): void {
    let offsets = this.#groups.get(group)
    if (offsets === undefined) this.#groups.set(group, (offsets = new TimelineMap()))
    offsets.set(name, value, at)
    if (this.#isLoading) return
    const { offset, leaderEpoch } = value
    const data = { group, partition: name, offset, leaderEpoch, member, generation, producerId }
    this.#due.push({ recordOffset: at, emit: () => void this.#env.emit('group.offset', data) })
  }

  /** Takes what open transactions have for the partition, too. */
  #remove(group: string, name: string, at: Offset): void {
    for (const pending of this.#pending.values()) pending.delete(pendingKey(group, name))
    const offsets = this.#groups.get(group)
    const known = offsets?.get(name)
    if (offsets === undefined || known === undefined) return
    offsets.delete(name, at)
    if (this.#isLoading) return
    const data = { group, partition: name, offset: known.offset, reason: this.removing }
    this.#due.push({ recordOffset: at, emit: () => void this.#env.emit('group.offset-removed', data) })
  }

  /** Why tombstones are being written, for the trace. */
  removing: 'expired' | 'deleted' | 'topic-deleted' = 'deleted'

  // ── reads ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The offset as of `end`. */
  at(group: string, name: string, end: Offset): StoredOffset | undefined {
    return this.#groups.get(group)?.getAt(name, end)
  }

  /** Partitions with an offset as of `end`, in the order of their first commit. */
  *partitionsAt(group: string, end: Offset): Iterable<[name: string, stored: StoredOffset]> {
    const offsets = this.#groups.get(group)
    if (offsets === undefined) return
    for (const name of offsets.keys()) {
      const stored = offsets.getAt(name, end)
      if (stored !== undefined) yield [name, stored]
    }
  }

  /** Everything that there is now, committed or not. */
  *now(group: string): Iterable<[name: string, stored: StoredOffset]> {
    yield* this.partitionsAt(group, Infinity)
  }

  has(group: string): boolean {
    return (this.#groups.get(group)?.size ?? 0) > 0
  }

  /** Whether an open transaction has an offset for this partition, or any partition, of the group. */
  isPending(group: string, name?: string): boolean {
    for (const pending of this.#pending.values()) {
      if (name !== undefined && pending.has(pendingKey(group, name))) return true
      if (name === undefined && [...pending.values()].some((one) => one.group === group)) return true
    }
    return false
  }

  /** Groups and partitions with offsets in open transactions, once for each transaction. */
  *pending(): Iterable<{ readonly group: string; readonly name: string }> {
    for (const pending of this.#pending.values()) yield* pending.values()
  }

  /** Partitions of the group with an offset, committed or not, or one in an open transaction. */
  partitionsOf(group: string): Iterable<string> {
    const names = new Set([...this.now(group)].map(([name]) => name))
    for (const one of this.pending()) if (one.group === group) names.add(one.name)
    return names
  }

  groups(): Iterable<string> {
    return this.#groups.keys()
  }

  get count(): number {
    let count = 0
    for (const offsets of this.#groups.values()) count += offsets.size
    return count
  }

  forgetGroup(group: string): void {
    if (!this.has(group)) this.#groups.delete(group)
  }
}

function pendingKey(group: string, name: string): string {
  return `${group}\n${name}`
}

/** The record that takes an offset away. */
export function offsetTombstone(group: string, name: string): GroupRecord {
  const parsed = parsePartition(name)
  return {
    type: 'OffsetCommit',
    key: { group, topic: parsed?.topic ?? name, partition: parsed?.index ?? 0 },
    value: null,
  }
}
