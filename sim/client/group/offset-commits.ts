/**
 * Commits of a group's consumer, and the offsets that were committed (`ConsumerCoordinator`, the parts about offsets).
 *
 * Errors are Kafka's names. Those that asking again may mend are retried by `commit` with `isRetried`, until its time is up.
 */

import type { Env } from '../../kernel/env.js'
import { parsePartition, partitionName } from '../../kernel/names.js'
import type { Epoch, Millis, Offset } from '../../kernel/units.js'
import type { Apis } from '../../wire/apis.js'
import { type ErrorCode, errorName, Errors } from '../../wire/errors.js'
import type { CoordinatorClient } from './coordinator-client.js'

export interface OffsetAndMetadata {
  readonly offset: Offset
  readonly leaderEpoch?: Epoch
  readonly metadata?: string
}

export type Offsets = ReadonlyMap<string, OffsetAndMetadata>

/** The member in whose name is committed; undefined while it is in no generation. */
export interface GroupMetadata {
  readonly groupId: string
  readonly generation: number
  readonly memberId: string
  readonly groupInstanceId: string | null
}

export interface CommitHooks {
  /** Undefined while the group rebalances: nothing can be committed then. */
  readonly identity: () => GroupMetadata | undefined
  /** The coordinator refused the member itself. */
  readonly onRefused: (error: ErrorCode, identity: GroupMetadata) => void
}

export type CommitHow = 'auto' | 'sync' | 'async'

/** Offsets by topic ids come with a version that group consumers do not use. */
const COMMIT_VERSION = 9
const FETCH_VERSION = 9

export class OffsetCommits {
  readonly #env: Env
  readonly #groupId: string
  readonly #coordinator: CoordinatorClient
  readonly #hooks: CommitHooks
  readonly #backoffMs: Millis
  #count = 0

  constructor(env: Env, groupId: string, coordinator: CoordinatorClient, hooks: CommitHooks, backoffMs: Millis) {
    this.#env = env
    this.#groupId = groupId
    this.#coordinator = coordinator
    this.#hooks = hooks
    this.#backoffMs = backoffMs
  }

  /** @param deadlineMs monotonic; until then what may be mended is tried again. Without it, once. */
  commit(offsets: Offsets, how: CommitHow, done: (error: string | undefined) => void, deadlineMs?: Millis): void {
    if (offsets.size === 0) {
      this.#env.soon(() => done(undefined))
      return
    }
    const id = ++this.#count
    const partitions = [...offsets.keys()]
    this.#env.emit('consumer.commit', {
      id,
      group: this.#groupId,
      how,
      partitions,
      offsets: partitions.map((name) => offsets.get(name)?.offset ?? -1),
    })
    const finish = (error: ErrorCode): void => {
      const outcome = error === Errors.NONE ? 'ok' : errorName(error)
      this.#env.emit('consumer.committed', { id, group: this.#groupId, outcome })
      done(error === Errors.NONE ? undefined : outcome)
    }
    this.#attempt(offsets, deadlineMs, finish)
  }

  #attempt(offsets: Offsets, deadlineMs: Millis | undefined, finish: (error: ErrorCode) => void): void {
    const again = (error: ErrorCode): void => {
      const nowMs = this.#env.clock.monotonicMs()
      if (deadlineMs === undefined || nowMs + this.#backoffMs > deadlineMs) return finish(error)
      this.#env.after(this.#backoffMs, () => this.#attempt(offsets, deadlineMs, finish))
    }
    if (this.#coordinator.coordinator === undefined) {
      this.#coordinator.find()
      return again(Errors.COORDINATOR_NOT_AVAILABLE)
    }
    const identity = this.#hooks.identity()
    if (identity === undefined) {
      this.#env.soon(() => finish(Errors.REBALANCE_IN_PROGRESS))
      return
    }
    const body = commitRequest(identity, offsets)
    this.#coordinator.send(
      'OffsetCommit',
      body,
      (result) => {
        if (!result.ok) return again(Errors.NETWORK_EXCEPTION)
        const error = firstError(result.response)
        if (error === Errors.NONE) return finish(Errors.NONE)
        switch (error) {
          case Errors.NOT_COORDINATOR:
          case Errors.COORDINATOR_NOT_AVAILABLE:
          case Errors.REQUEST_TIMED_OUT:
            this.#coordinator.forget()
            return again(error)
          case Errors.COORDINATOR_LOAD_IN_PROGRESS:
          case Errors.UNKNOWN_TOPIC_OR_PARTITION:
            return again(error)
          case Errors.REBALANCE_IN_PROGRESS:
          case Errors.ILLEGAL_GENERATION:
          case Errors.UNKNOWN_MEMBER_ID:
          case Errors.FENCED_INSTANCE_ID:
            this.#hooks.onRefused(error, identity)
            return finish(error)
          default:
            return finish(error)
        }
      },
      { version: COMMIT_VERSION },
    )
  }

  /** Committed offsets of these partitions; those without one are missing. Tried again until it works, or `isWanted` says no. */
  fetch(
    partitions: readonly string[],
    isWanted: () => boolean,
    done: (offsets: Offsets) => void,
    fail: (error: ErrorCode) => void,
  ): void {
    if (!isWanted()) return
    const again = (): void => void this.#env.after(this.#backoffMs, () => this.fetch(partitions, isWanted, done, fail))
    if (this.#coordinator.coordinator === undefined) {
      this.#coordinator.find()
      return again()
    }
    const body: Apis['OffsetFetch']['request'] = {
      groupId: '',
      topics: [],
      groups: [{ groupId: this.#groupId, memberId: null, memberEpoch: -1, topics: byTopic(partitions) }],
      requireStable: true,
    }
    this.#coordinator.send(
      'OffsetFetch',
      body,
      (result) => {
        if (!isWanted()) return
        const group = result.ok ? result.response.groups[0] : undefined
        if (group === undefined) return again()
        if (group.errorCode !== Errors.NONE) {
          if (group.errorCode === Errors.GROUP_AUTHORIZATION_FAILED) return fail(group.errorCode)
          if (group.errorCode === Errors.NOT_COORDINATOR) this.#coordinator.forget()
          return again()
        }
        const offsets = new Map<string, OffsetAndMetadata>()
        for (const { name, partitions: found } of group.topics) {
          for (const { partitionIndex, committedOffset, committedLeaderEpoch, metadata, errorCode } of found) {
            // A transaction has not decided yet what the offset will be (KIP-447).
            if (errorCode !== Errors.NONE) return again()
            if (committedOffset < 0) continue
            offsets.set(partitionName(name, partitionIndex), {
              offset: committedOffset,
              leaderEpoch: committedLeaderEpoch,
              ...(metadata !== null && { metadata }),
            })
          }
        }
        done(offsets)
      },
      { version: FETCH_VERSION },
    )
  }
}

function commitRequest(identity: GroupMetadata, offsets: Offsets): Apis['OffsetCommit']['request'] {
  return {
    groupId: identity.groupId,
    generationIdOrMemberEpoch: identity.generation,
    memberId: identity.memberId,
    groupInstanceId: identity.groupInstanceId,
    retentionTimeMs: -1,
    topics: byTopic([...offsets.keys()]).map(({ name, topicId, partitionIndexes }) => ({
      name,
      topicId,
      partitions: partitionIndexes.map((partitionIndex) => {
        const { offset, leaderEpoch, metadata } = offsets.get(partitionName(name, partitionIndex)) as OffsetAndMetadata
        return {
          partitionIndex,
          committedOffset: offset,
          committedLeaderEpoch: leaderEpoch ?? -1,
          committedMetadata: metadata ?? '',
        }
      }),
    })),
  }
}

const NO_TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA'

function byTopic(partitions: readonly string[]): { name: string; topicId: string; partitionIndexes: number[] }[] {
  const topics = new Map<string, number[]>()
  for (const partition of partitions) {
    const parsed = parsePartition(partition)
    if (parsed === undefined) continue
    const indexes = topics.get(parsed.topic)
    if (indexes === undefined) topics.set(parsed.topic, [parsed.index])
    else indexes.push(parsed.index)
  }
  return [...topics].map(([name, partitionIndexes]) => ({ name, topicId: NO_TOPIC_ID, partitionIndexes }))
}

function firstError(response: Apis['OffsetCommit']['response']): ErrorCode {
  for (const { partitions } of response.topics) {
    for (const { errorCode } of partitions) if (errorCode !== Errors.NONE) return errorCode
  }
  return Errors.NONE
}
