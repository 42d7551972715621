/** Requests and answers of committed offsets, by topic names (OffsetCommit and OffsetFetch up to version 9). */

import { parsePartition, partitionName } from '../../kernel/names.js'
import type { Apis } from '../../wire/apis.js'
import { Errors, type ErrorCode } from '../../wire/errors.js'
import { ZERO_UUID } from '../../wire/uuid.js'
import type { Committed } from './group-types.js'
import type { OffsetAndMetadata, Offsets } from './offset-commits.js'

/** Later versions name topics by their ids. */
export const OFFSETS_VERSION = 9

export interface CommitIdentity {
  readonly memberId: string
  /** Generation or member epoch; -1: none. */
  readonly epoch: number
  readonly instanceId: string | null
}

export const NO_IDENTITY: CommitIdentity = { memberId: '', epoch: -1, instanceId: null }

export function offsetCommitRequest(
  groupId: string,
  identity: CommitIdentity,
  offsets: Offsets,
): Apis['OffsetCommit']['request'] {
  return {
    groupId,
    generationIdOrMemberEpoch: identity.epoch,
    memberId: identity.memberId,
    groupInstanceId: identity.instanceId,
    retentionTimeMs: -1,
    topics: byTopic(offsets.keys()).map(([name, indexes]) => ({
      name,
      topicId: ZERO_UUID,
      partitions: indexes.map((partitionIndex) => {
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

/** The errors of an answer, partition by partition, as Kafka looks at them: the first one that is not about one topic only decides. */
export function* commitErrors(response: Apis['OffsetCommit']['response']): Generator<ErrorCode> {
  for (const { partitions } of response.topics) {
    for (const { errorCode } of partitions) if (errorCode !== Errors.NONE) yield errorCode
  }
}

export function offsetFetchRequest(
  groupId: string,
  member: { readonly memberId: string | null; readonly memberEpoch: number },
  partitions: readonly string[],
): Apis['OffsetFetch']['request'] {
  const topics = byTopic(partitions).map(([name, partitionIndexes]) => ({ name, topicId: ZERO_UUID, partitionIndexes }))
  return { groupId: '', topics: [], groups: [{ groupId, ...member, topics }], requireStable: true }
}

/** What an answer to OffsetFetch comes to. UNKNOWN_SERVER_ERROR stands for errors that nobody expects. */
export function readOffsetFetch(
  response: Apis['OffsetFetch']['response'],
  groupId: string,
): { readonly error: ErrorCode; readonly isOfGroup: boolean } | { readonly error: 0; readonly found: Committed } {
  const group = response.groups.find((each) => each.groupId === groupId)
  if (group === undefined) return { error: Errors.UNKNOWN_SERVER_ERROR, isOfGroup: true }
  if (group.errorCode !== Errors.NONE) return { error: group.errorCode, isOfGroup: true }
  const found = new Map<string, OffsetAndMetadata | null>()
  let topicError: ErrorCode = Errors.NONE
  for (const topic of group.topics) {
    for (const { partitionIndex, committedOffset, committedLeaderEpoch, metadata, errorCode } of topic.partitions) {
      const name = partitionName(topic.name, partitionIndex)
      if (errorCode === Errors.TOPIC_AUTHORIZATION_FAILED) topicError = errorCode
      // A transaction that commits offsets is not decided yet (KIP-447).
      else if (errorCode === Errors.UNSTABLE_OFFSET_COMMIT) topicError ||= errorCode
      else if (errorCode !== Errors.NONE) return { error: errorCode, isOfGroup: false }
      else if (committedOffset < 0) found.set(name, null)
      else found.set(name, { offset: committedOffset, leaderEpoch: committedLeaderEpoch, metadata: metadata ?? '' })
    }
  }
  return topicError === Errors.NONE ? { error: 0, found } : { error: topicError, isOfGroup: false }
}

/** Topics in the order in which they are met, with their partitions. */
function byTopic(partitions: Iterable<string>): [string, number[]][] {
  const topics = new Map<string, number[]>()
  for (const name of partitions) {
    const parsed = parsePartition(name)
    if (parsed === undefined) continue
    const indexes = topics.get(parsed.topic)
    if (indexes === undefined) topics.set(parsed.topic, [parsed.index])
    else indexes.push(parsed.index)
  }
  return [...topics]
}
