/** One shard of groups without a log: what it writes is committed when the test says so; time is moved by hand. */

import type { Env } from '../../../sim/kernel/env.js'
import { Random } from '../../../sim/kernel/random.js'
import type { Outcome, ShardHost, TransactionalProducer } from '../../../sim/broker/coordinator/coordinator-runtime.js'
import type { GroupRecord } from '../../../sim/broker/group/group-records.js'
import { GROUP_RECORD_CODEC } from '../../../sim/broker/group/group-records.js'
import { type GroupConfig, GROUP_SETTINGS } from '../../../sim/broker/group/group-settings.js'
import { GroupShard } from '../../../sim/broker/group/group-shard.js'
import { parseConfig } from '../../../sim/kernel/config-def.js'
import { EMPTY_IMAGE, type MetadataImage } from '../../../sim/kraft/metadata/image.js'
import { type ErrorCode, errorName, Errors } from '../../../sim/wire/errors.js'
import { RecordBatch } from '../../../sim/wire/record-batch.js'
import type { JoinGroupResponse } from '../../../sim/wire/messages/join-group.js'
import type { SyncGroupResponse } from '../../../sim/wire/messages/sync-group.js'

interface Timer {
  readonly atMs: number
  readonly operate: () => Outcome<GroupRecord, unknown>
}

export interface Joined {
  response?: JoinGroupResponse
}

export interface Synced {
  response?: SyncGroupResponse
}

const text = new TextEncoder()

export class GroupBench {
  nowMs = 1_000_000
  readonly log: GroupRecord[] = []
  readonly events: string[] = []
  readonly shard: GroupShard
  readonly config: GroupConfig
  image: MetadataImage = EMPTY_IMAGE
  #committed = 0
  #fails: ErrorCode = Errors.NONE
  readonly #timers = new Map<string, Timer>()
  readonly #waiting: { end: number; settle: (error: ErrorCode) => void }[] = []

  constructor(given: Record<string, unknown> = {}, log: readonly GroupRecord[] = []) {
    this.config = parseConfig(GROUP_SETTINGS, { 'group.initial.rebalance.delay.ms': 0, ...given }, [])
    const env = {
      node: 'b1',
      random: new Random('group-bench'),
      clock: { wallMs: () => this.nowMs, monotonicMs: () => this.nowMs },
      emit: (type: string, data: Record<string, unknown>) => {
        this.events.push(`${type} ${Object.values(data).join(' ')}`)
        return 0
      },
    } as unknown as Env
    const host: ShardHost<GroupRecord> = {
      env,
      index: 0,
      schedule: (key, delayMs, operate) => void this.#timers.set(key, { atMs: this.nowMs + delayMs, operate }),
      cancel: (key) => void this.#timers.delete(key),
      isScheduled: (key) => this.#timers.has(key),
    }
    this.shard = new GroupShard(
      host,
      () => this.config,
      () => this.image,
    )
    for (const record of log) this.#replay(record, undefined)
    this.#committed = this.log.length
    this.shard.committed(this.#committed)
    this.shard.loaded()
  }

  /** The next write fails with this error. */
  failNext(error: ErrorCode): void {
    this.#fails = error
  }

  /** Runs an outcome as the runtime does; committed at once unless told otherwise. */
  apply<T>(outcome: Outcome<GroupRecord, T>, isCommitted = true): T {
    const response = this.#apply(outcome, isCommitted)
    // An initial delay of nothing is over at once.
    for (const [key, timer] of [...this.#timers]) {
      if (timer.atMs > this.nowMs || this.#timers.get(key) !== timer) continue
      this.#timers.delete(key)
      this.#apply(timer.operate(), true)
    }
    return response
  }

  #apply<T>(outcome: Outcome<GroupRecord, T>, isCommitted: boolean): T {
    const error = this.#fails
    this.#fails = Errors.NONE
    if (outcome.records.length > 0 && error !== Errors.NONE) {
      outcome.reverted?.()
      outcome.settled?.(error)
      return outcome.response
    }
    for (const record of outcome.records) {
      if (outcome.isApplied === true) this.log.push(record)
      else this.#replay(record, outcome.producer)
    }
    this.#waiting.push({ end: this.log.length, settle: (failure) => outcome.settled?.(failure) })
    if (isCommitted) this.commitAll()
    return outcome.response
  }

  commitAll(): void {
    this.#committed = this.log.length
    this.shard.committed(this.#committed)
    for (const { settle } of this.#waiting.splice(0)) settle(Errors.NONE)
  }

  #replay(record: GroupRecord, producer: TransactionalProducer | undefined): void {
    this.shard.replay(record, this.log.length, producer)
    this.log.push(record)
  }

  endTransaction(producerId: number, isCommit: boolean): void {
    this.shard.endTransaction({ producerId, producerEpoch: 0 }, isCommit, this.log.length)
  }

  /** Time passes; timers that are due act in order. */
  pass(ms: number): void {
    const end = this.nowMs + ms
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.atMs <= end).sort((a, b) => a[1].atMs - b[1].atMs)[0]
      if (due === undefined) break
      this.#timers.delete(due[0])
      this.nowMs = Math.max(this.nowMs, due[1].atMs)
      this.apply(due[1].operate())
    }
    this.nowMs = end
  }

  join(
    memberId: string,
    options: {
      instance?: string
      protocols?: string
      session?: number
      rebalance?: number
      version?: number
      metadata?: string
    } = {},
  ): Joined {
    const joined: Joined = {}
    const {
      instance = null,
      protocols = 'range',
      session = 10_000,
      rebalance = 30_000,
      version = 9,
      metadata = 'm',
    } = options
    const request = {
      groupId: 'shop',
      sessionTimeoutMs: session,
      rebalanceTimeoutMs: rebalance,
      memberId,
      groupInstanceId: instance,
      protocolType: 'consumer',
      protocols: protocols.split(' ').map((name) => ({ name, metadata: text.encode(metadata) })),
      reason: null,
    }
    const caller = { clientId: 'client', host: '/g1', version }
    this.apply(this.shard.classic.join(request, caller, (response) => (joined.response = response)))
    return joined
  }

  /** A dynamic member's whole way in: its id, then the join with it. */
  joinNew(options: Parameters<GroupBench['join']>[1] = {}): Joined & { readonly id: string } {
    const asked = this.join('', options)
    const id = asked.response?.memberId ?? ''
    return Object.assign(this.join(id, options), { id })
  }

  sync(
    memberId: string,
    generation: number,
    assignments: Record<string, string> = {},
    options: { instance?: string; isCommitted?: boolean; protocol?: string } = {},
  ): Synced {
    const synced: Synced = {}
    const request = {
      groupId: 'shop',
      generationId: generation,
      memberId,
      groupInstanceId: options.instance ?? null,
      protocolType: 'consumer',
      protocolName: options.protocol ?? 'range',
      assignments: Object.entries(assignments).map(([id, given]) => ({ memberId: id, assignment: text.encode(given) })),
    }
    this.apply(
      this.shard.classic.sync(request, (response) => (synced.response = response)),
      options.isCommitted ?? true,
    )
    return synced
  }

  heartbeat(memberId: string, generation: number, instance: string | null = null): string {
    return nameOf(
      this.shard.classic.heartbeat({ groupId: 'shop', generationId: generation, memberId, groupInstanceId: instance }),
    )
  }

  leave(memberId: string, instance: string | null = null): string {
    const response = this.apply(
      this.shard.classic.leave({
        groupId: 'shop',
        memberId: '',
        members: [{ memberId, groupInstanceId: instance, reason: null }],
      }),
    )
    return nameOf(response.members[0]?.errorCode ?? response.errorCode)
  }

  commit(
    offset: number,
    memberId = '',
    generation = -1,
    options: { instance?: string; producerId?: number; isCommitted?: boolean; metadata?: string } = {},
  ): string {
    const identity = {
      groupId: 'shop',
      generationIdOrMemberEpoch: generation,
      memberId,
      groupInstanceId: options.instance ?? null,
      retentionTimeMs: -1,
    }
    const producer = options.producerId === undefined ? undefined : { producerId: options.producerId, producerEpoch: 0 }
    const one = { topic: 'orders', partition: 0, offset, leaderEpoch: 0, metadata: options.metadata ?? '' }
    const codes = this.apply(this.shard.commit(identity, [one], producer), options.isCommitted ?? true)
    return nameOf(codes[0] ?? Errors.NONE)
  }

  /** The committed offset of orders-0, -1 for none, or an error's name. */
  fetch(requireStable = false): number | string {
    const asked = {
      groupId: 'shop',
      memberId: null,
      memberEpoch: -1,
      topics: [{ name: 'orders', topicId: '', partitionIndexes: [0] }],
    }
    const partition = this.shard.fetch(asked, requireStable, this.#committed).topics[0]?.partitions[0]
    return partition?.errorCode === Errors.NONE
      ? partition.committedOffset
      : nameOf(partition?.errorCode ?? Errors.NONE)
  }

  get state(): string {
    return this.shard.describe('shop').groupState
  }

  /** Another coordinator, with nothing but the bytes of this one's log. */
  takeOver(): GroupBench {
    const bytes = RecordBatch.build(
      {},
      this.log.map((record) => GROUP_RECORD_CODEC.encode(record, 0)),
    )
    const records = bytes.records().map((record) => GROUP_RECORD_CODEC.decode(record) as GroupRecord)
    const next = new GroupBench({ ...this.config }, records)
    next.nowMs = this.nowMs
    return next
  }
}

export function nameOf(code: ErrorCode): string {
  return code === Errors.NONE ? 'NONE' : errorName(code)
}

export function errorOf(answer: { response?: { readonly errorCode: number } }): string {
  return answer.response === undefined ? 'waits' : nameOf(answer.response.errorCode)
}
