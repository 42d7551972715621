/**
 * The groups of one partition of `__consumer_offsets`: members through classic-groups.ts and consumer/consumer-groups.ts, offsets through
 * offset-store.ts, and what needs both: commits by members, deletion, expiry (`GroupCoordinatorShard`).
 *
 * A group id belongs to a classic group or to a KIP-848 group, never to both; classic members of the latter are served by consumer/classic-members.ts.
 */

import { parsePartition, partitionName } from '../../kernel/names.js'
import type { Millis, Offset } from '../../kernel/units.js'
import type { MetadataImage } from '../../kraft/metadata/image.js'
import type { MetadataDelta } from '../../kraft/metadata/metadata-delta.js'
import type { VerificationState } from '../../log/producer-state.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import type { DescribedGroup } from '../../wire/messages/describe-groups.js'
import type { HeartbeatRequest } from '../../wire/messages/heartbeat.js'
import type { JoinGroupRequest, JoinGroupResponse } from '../../wire/messages/join-group.js'
import type { LeaveGroupRequest, LeaveGroupResponse } from '../../wire/messages/leave-group.js'
import type { ListedGroup } from '../../wire/messages/list-groups.js'
import type { OffsetCommitRequest } from '../../wire/messages/offset-commit.js'
import type { OffsetFetchRequestGroup, OffsetFetchResponseGroup } from '../../wire/messages/offset-fetch.js'
import type { SyncGroupRequest, SyncGroupResponse } from '../../wire/messages/sync-group.js'
import { ZERO_UUID } from '../../wire/uuid.js'
import type { Outcome, Shard, ShardHost, TransactionalProducer } from '../coordinator/coordinator-runtime.js'
import { ClassicGroup, type Member, NO_BYTES } from './classic-group.js'
import { groupTombstone } from './classic-group-records.js'
import { type Caller, ClassicGroups } from './classic-groups.js'
import { ClassicMembers } from './consumer/classic-members.js'
import type { ConsumerGroup } from './consumer/consumer-group.js'
import { ConsumerGroups } from './consumer/consumer-groups.js'
import { groupTombstones } from './consumer/consumer-records.js'
import type { GroupRecord } from './group-records.js'
import type { GroupConfig } from './group-settings.js'
import { OffsetStore, offsetTombstone, type StoredOffset } from './offset-store.js'

/** One partition of a commit, after its topic was found. */
export interface OffsetToCommit {
  readonly topic: string
  readonly partition: number
  readonly offset: Offset
  readonly leaderEpoch: number
  readonly metadata: string | null
  /** Zero, or left out, when the client did not tell it. */
  readonly topicId?: string
}

/** Who commits: the member's id and generation as the request has them. */
export type CommitIdentity = Pick<
  OffsetCommitRequest,
  'groupId' | 'generationIdOrMemberEpoch' | 'memberId' | 'groupInstanceId' | 'retentionTimeMs'
> & {
  /** Of the request. */
  readonly version?: number
}

type Writes = Outcome<GroupRecord, undefined>

const DEAD = 'Dead'
const NOT_AUTHORIZED_KNOWN = -2147483648
/** From here on a commit tells epochs of KIP-848 members, and is told when the group is not there. */
const MEMBER_EPOCH_VERSION = 9
const LATEST_VERSION = 10
/** From here on who describes a group that is not there is told so; before, it was dead. */
const DESCRIBE_NOT_FOUND_VERSION = 6
const LATEST_DESCRIBE_VERSION = 6

export class GroupShard implements Shard<GroupRecord> {
  readonly classic: ClassicGroups
  readonly consumer: ConsumerGroups
  readonly #classicMembers: ClassicMembers
  readonly #host: ShardHost<GroupRecord>
  readonly #config: () => GroupConfig
  readonly #groups = new Map<string, ClassicGroup>()
  readonly #offsets: OffsetStore

  /** @param image the newest metadata */
  constructor(host: ShardHost<GroupRecord>, config: () => GroupConfig, image: () => MetadataImage) {
    this.#host = host
    this.#config = config
    this.#offsets = new OffsetStore(host.env)
    this.classic = new ClassicGroups(host, config, this.#groups)
    this.consumer = new ConsumerGroups({ host, config, image, classic: this.classic, classicGroups: this.#groups })
    this.#classicMembers = new ClassicMembers(this.consumer)
  }

  // ── the log ───────────────────────────────────────────────────────────────────────────────────────────────────────

  replay(record: GroupRecord, offset: Offset, producer: TransactionalProducer | undefined): void {
    switch (record.type) {
      case 'OffsetCommit':
        this.#offsets.replay(record.key, record.value, offset, producer)
        // Offsets without members are a group, too.
        if (record.value !== null && this.consumer.store.find(record.key.group) === undefined) {
          this.#groupOf(record.key.group)
        }
        break
      case 'GroupMetadata': {
        const { group } = record.key
        const before = this.#groups.get(group)
        if (record.value === null && before !== undefined) this.consumer.store.convertedFrom(group, before.state)
        // The newest record tells which protocol the group is of.
        if (record.value !== null) this.consumer.store.remove(group)
        this.classic.replay(group, record.value)
        break
      }
      default:
        this.consumer.store.replay(record, offset)
    }
  }

  endTransaction(producer: TransactionalProducer, isCommit: boolean, offset: Offset): void {
    this.#offsets.endTransaction(producer, isCommit, offset)
  }

  committed(end: Offset): void {
    this.consumer.store.committed(end)
    this.#offsets.committed(end)
  }

  loaded(): void {
    this.#offsets.loaded()
    this.classic.loaded()
    this.consumer.loaded()
    this.#scheduleExpiry()
  }

  unloaded(): void {
    this.classic.unloaded()
  }

  get groupCount(): number {
    return this.#groups.size + this.consumer.store.size
  }

  get offsetCount(): number {
    return this.#offsets.count
  }

  #groupOf(groupId: string): ClassicGroup {
    let group = this.#groups.get(groupId)
    if (group === undefined) this.#groups.set(groupId, (group = new ClassicGroup(groupId)))
    return group
  }

  onMetadata(delta: MetadataDelta, image: MetadataImage): void {
    this.consumer.onMetadata(delta, image)
  }

  // ── members of the classic protocol ───────────────────────────────────────────────────────────────────────────────

  join(request: JoinGroupRequest, caller: Caller, respond: (response: JoinGroupResponse) => void): Writes {
    const group = this.consumer.store.find(request.groupId)
    if (group === undefined) return this.classic.join(request, caller, respond)
    if (group.state !== 'Empty') return this.#classicMembers.join(group, request, caller, respond)
    // A group without members is converted whatever the policy is.
    const { groupId } = group
    this.consumer.store.remove(groupId)
    const writes = this.classic.join(request, caller, respond)
    // One who is refused leaves nothing written, and no group, as in Kafka.
    if (writes.records.length === 0) return writes
    return {
      ...writes,
      records: [...groupTombstones(groupId, [], group.regexes.keys()), ...writes.records],
      reverted: () => {
        writes.reverted?.()
        this.consumer.store.restore(group)
      },
    }
  }

  sync(request: SyncGroupRequest, respond: (response: SyncGroupResponse) => void): Writes {
    const group = this.consumer.store.find(request.groupId)
    return group === undefined
      ? this.classic.sync(request, respond)
      : this.#classicMembers.sync(group, request, respond)
  }

  heartbeat(request: HeartbeatRequest): ErrorCode {
    const group = this.consumer.store.find(request.groupId)
    return group === undefined ? this.classic.heartbeat(request) : this.#classicMembers.heartbeat(group, request)
  }

  leave(request: LeaveGroupRequest): Outcome<GroupRecord, LeaveGroupResponse> {
    const group = this.consumer.store.find(request.groupId)
    return group === undefined ? this.classic.leave(request) : this.#classicMembers.leave(group, request)
  }

  // ── commits ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Commits offsets of a member, or of nobody's; with a producer as a part of its transaction. */
  commit(
    identity: CommitIdentity,
    offsets: readonly OffsetToCommit[],
    producer?: TransactionalProducer,
    verification?: VerificationState,
  ): Outcome<GroupRecord, readonly ErrorCode[]> {
    const isKnown = this.#groups.has(identity.groupId)
    const error = this.#checkCommit(identity, producer !== undefined)
    if (error !== Errors.NONE) return { records: [], response: offsets.map(() => error) }
    const nowMs = this.#nowMs()
    const { groupId, retentionTimeMs } = identity
    const most = this.#config()['offset.metadata.max.bytes']
    const records: GroupRecord[] = []
    const response = offsets.map(({ topic, topicId, partition, offset, leaderEpoch, metadata }): ErrorCode => {
      if (metadata !== null && metadata.length > most) return Errors.OFFSET_METADATA_TOO_LARGE
      records.push({
        type: 'OffsetCommit',
        key: { group: groupId, topic, partition },
        value: {
          offset,
          leaderEpoch,
          metadata: metadata ?? '',
          commitTimestamp: nowMs,
          expireTimestamp: retentionTimeMs === -1 ? -1 : nowMs + retentionTimeMs,
          topicId: topicId ?? ZERO_UUID,
        },
      })
      return Errors.NONE
    })
    this.#offsets.committer = { member: identity.memberId, generation: identity.generationIdOrMemberEpoch }
    const created = isKnown ? undefined : this.#groups.get(groupId)
    return {
      records,
      response,
      ...(producer !== undefined && { producer, verification }),
      ...(created !== undefined && { reverted: () => this.#groups.delete(groupId) }),
    }
  }

  /** `ClassicGroup.validateOffsetCommit`. */
  #checkCommit(identity: CommitIdentity, isTransactional: boolean): ErrorCode {
    const { groupId, memberId, groupInstanceId, generationIdOrMemberEpoch: generation } = identity
    const { version = LATEST_VERSION } = identity
    const consumer = this.consumer.store.find(groupId)
    if (consumer !== undefined) return checkConsumerCommit(consumer, identity, isTransactional, version)
    let group = this.#groups.get(groupId)
    if (group === undefined) {
      if (generation >= 0) {
        const isTold = !isTransactional && version >= MEMBER_EPOCH_VERSION
        return isTold ? Errors.GROUP_ID_NOT_FOUND : Errors.ILLEGAL_GENERATION
      }
      group = this.#groupOf(groupId)
    }
    if (generation < 0 && group.is('Empty')) return Errors.NONE
    if (generation >= 0 || memberId !== '' || groupInstanceId !== null) {
      const error = group.check(memberId, groupInstanceId)
      if (error !== Errors.NONE) return error
      if (generation !== group.generation) return Errors.ILLEGAL_GENERATION
    } else if (!isTransactional && !group.is('Empty')) return Errors.UNKNOWN_MEMBER_ID
    if (!isTransactional && group.is('CompletingRebalance')) return Errors.REBALANCE_IN_PROGRESS
    if (!isTransactional) this.classic.touch(group, memberId)
    return Errors.NONE
  }

  /** Committed offsets as of `end`. */
  fetch(asked: OffsetFetchRequestGroup, requireStable: boolean, end: Offset): OffsetFetchResponseGroup {
    const { groupId, topics } = asked
    const errorCode = this.#checkFetch(asked, end)
    if (errorCode !== Errors.NONE) return { groupId, topics: [], errorCode }
    const byTopic = new Map<string, number[]>()
    const topicIds = new Map(topics?.map(({ name, topicId }) => [name, topicId === '' ? ZERO_UUID : topicId]))
    if (topics === null) {
      for (const [name] of this.#offsets.partitionsAt(groupId, end)) {
        const parsed = parsePartition(name)
        if (parsed === undefined) continue
        const indexes = byTopic.get(parsed.topic)
        if (indexes === undefined) byTopic.set(parsed.topic, [parsed.index])
        else indexes.push(parsed.index)
      }
    } else for (const { name, partitionIndexes } of topics) byTopic.set(name, [...partitionIndexes])
    return {
      groupId,
      errorCode: Errors.NONE,
      topics: [...byTopic].map(([name, indexes]) => ({
        name,
        topicId: topicIds.get(name) ?? ZERO_UUID,
        partitions: indexes.map((index) => {
          const partition = partitionName(name, index)
          const isUnstable = requireStable && this.#offsets.isPending(groupId, partition)
          const found = isUnstable ? undefined : this.#offsets.at(groupId, partition, end)
          const stored = isOfTopic(found, topicIds.get(name)) ? found : undefined
          return fetched(index, stored, isUnstable ? Errors.UNSTABLE_OFFSET_COMMIT : Errors.NONE)
        }),
      })),
    }
  }

  /** `ConsumerGroup.validateOffsetFetch`; members of classic groups may always ask. */
  #checkFetch({ groupId, memberId, memberEpoch }: OffsetFetchRequestGroup, end: Offset): ErrorCode {
    const group = this.consumer.store.find(groupId)
    if (group?.stateAt(end) === undefined || (memberId === null && memberEpoch < 0)) return Errors.NONE
    const member = group.memberAt(memberId ?? '', end)
    if (member === undefined) return Errors.UNKNOWN_MEMBER_ID
    return memberEpoch === member.memberEpoch ? Errors.NONE : staleEpoch(member.classic !== null)
  }

  // ── administration ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Groups of these states and types, of all when none are given; KIP-848 groups as of `end`. */
  list(states: readonly string[], types: readonly string[], end: Offset): readonly ListedGroup[] {
    const all: ListedGroup[] = [...this.#groups.values()].map(({ groupId, protocolType, state }) => ({
      groupId,
      protocolType: protocolType ?? '',
      groupState: state,
      groupType: 'classic',
    }))
    for (const group of this.consumer.store.all()) {
      const groupState = group.stateAt(end)
      if (groupState === undefined) continue
      all.push({ groupId: group.groupId, protocolType: 'consumer', groupState, groupType: 'consumer' })
    }
    const isWanted = (wanted: readonly string[], value: string): boolean =>
      wanted.length === 0 || wanted.some((one) => one.trim().toLowerCase() === value.toLowerCase())
    return all.filter(({ groupState, groupType }) => isWanted(states, groupState) && isWanted(types, groupType))
  }

  describe(groupId: string, version = LATEST_DESCRIBE_VERSION): DescribedGroup {
    const group = this.#groups.get(groupId)
    const isTold = group === undefined && version >= DESCRIBE_NOT_FOUND_VERSION
    const isStable = group?.is('Stable') === true
    const isConsumer = this.consumer.store.find(groupId) !== undefined
    const missing = isConsumer ? `Group ${groupId} is not a classic group.` : `Group ${groupId} not found.`
    return {
      errorCode: isTold ? Errors.GROUP_ID_NOT_FOUND : Errors.NONE,
      errorMessage: isTold ? missing : null,
      groupId,
      groupState: group?.state ?? DEAD,
      protocolType: group?.protocolType ?? '',
      protocolData: isStable ? (group.protocolName ?? '') : '',
      members:
        group === undefined ? [] : [...group.members.values()].map((member) => describeMember(group, member, isStable)),
      authorizedOperations: NOT_AUTHORIZED_KNOWN,
    }
  }

  deleteGroup(groupId: string): Outcome<GroupRecord, ErrorCode> {
    const consumer = this.consumer.store.find(groupId)
    if (consumer !== undefined) return this.#deleteConsumerGroup(consumer)
    const group = this.#groups.get(groupId)
    if (group === undefined) return { records: [], response: Errors.GROUP_ID_NOT_FOUND }
    if (!group.is('Empty')) return { records: [], response: Errors.NON_EMPTY_GROUP }
    this.#offsets.removing = 'deleted'
    this.classic.removing = 'deleted'
    const records = [...this.#offsets.partitionsOf(groupId)].map((name) => offsetTombstone(groupId, name))
    return { records: [...records, groupTombstone(groupId)], response: Errors.NONE }
  }

  #deleteConsumerGroup(group: ConsumerGroup): Outcome<GroupRecord, ErrorCode> {
    const { groupId } = group
    if (group.state !== 'Empty') return { records: [], response: Errors.NON_EMPTY_GROUP }
    this.#offsets.removing = 'deleted'
    const offsets = [...this.#offsets.partitionsOf(groupId)].map((name) => offsetTombstone(groupId, name))
    this.consumer.store.cause = { removal: 'left', reason: 'deleted' }
    return { records: [...offsets, ...groupTombstones(groupId, [], group.regexes.keys())], response: Errors.NONE }
  }

  /** Deletes offsets of partitions that no member subscribes to. */
  deleteOffsets(
    groupId: string,
    partitions: readonly string[],
  ): Outcome<GroupRecord, ErrorCode | readonly ErrorCode[]> {
    const consumer = this.consumer.store.find(groupId)
    const group = this.#groups.get(groupId)
    if (consumer === undefined && group === undefined) {
      return { records: [], response: Errors.GROUP_ID_NOT_FOUND }
    }
    if (group?.is('Empty') === false && !group.usesConsumerProtocol) {
      return { records: [], response: Errors.NON_EMPTY_GROUP }
    }
    this.#offsets.removing = 'deleted'
    const records: GroupRecord[] = []
    const response = partitions.map((name): ErrorCode => {
      const topic = parsePartition(name)?.topic ?? name
      if ((consumer ?? group)?.isSubscribedTo(topic) === true) return Errors.GROUP_SUBSCRIBED_TO_TOPIC
      const isThere = this.#offsets.at(groupId, name, Infinity) !== undefined || this.#offsets.isPending(groupId, name)
      if (isThere) records.push(offsetTombstone(groupId, name))
      return Errors.NONE
    })
    return { records, response }
  }

  /** Offsets of topics that are gone go with them. */
  topicsDeleted(topics: ReadonlySet<string>): Outcome<GroupRecord, undefined> {
    const records: GroupRecord[] = []
    for (const group of this.#offsets.groups()) {
      for (const [name] of this.#offsets.now(group)) {
        if (topics.has(parsePartition(name)?.topic ?? '')) records.push(offsetTombstone(group, name))
      }
    }
    for (const { group, name } of this.#offsets.pending()) {
      if (topics.has(parsePartition(name)?.topic ?? '')) records.push(offsetTombstone(group, name))
    }
    if (records.length > 0) this.#offsets.removing = 'topic-deleted'
    return { records, response: undefined }
  }

  // ── expiry ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #scheduleExpiry(): void {
    this.#host.schedule('expiry', this.#config()['offsets.retention.check.interval.ms'], () => {
      this.#scheduleExpiry()
      return this.#expire()
    })
  }

  #expire(): Outcome<GroupRecord, undefined> {
    const records: GroupRecord[] = []
    this.classic.removing = 'nothing left'
    for (const group of this.#groups.values()) {
      const { groupId } = group
      let kept = 0
      for (const [name, stored] of this.#offsets.now(groupId)) {
        if (this.#isExpired(group, name, stored) && !this.#offsets.isPending(groupId, name)) {
          records.push(offsetTombstone(groupId, name))
        } else kept++
      }
      if (kept > 0 || !group.is('Empty') || this.#offsets.isPending(groupId)) continue
      records.push(groupTombstone(groupId))
    }
    for (const group of this.consumer.store.all()) records.push(...this.#expireOf(group))
    if (records.length > 0) this.#offsets.removing = 'expired'
    return { records, response: undefined }
  }

  /** Expired offsets of a KIP-848 group, and the group itself when it is empty and nothing is left. */
  #expireOf(group: ConsumerGroup): GroupRecord[] {
    const { groupId } = group
    const records: GroupRecord[] = []
    const retentionMs = this.#config()['offsets.retention.minutes'] * 60_000
    let kept = 0
    for (const [name, { commitTimestamp, expireTimestamp }] of this.#offsets.now(groupId)) {
      const endMs = expireTimestamp >= 0 ? expireTimestamp : commitTimestamp + retentionMs
      const isKept =
        group.isSubscribedTo(parsePartition(name)?.topic ?? '') ||
        this.#nowMs() < endMs ||
        this.#offsets.isPending(groupId, name)
      if (isKept) kept++
      else records.push(offsetTombstone(groupId, name))
    }
    if (kept > 0 || group.state !== 'Empty' || this.#offsets.isPending(groupId)) return records
    this.consumer.store.cause = { removal: 'left', reason: 'nothing left' }
    return [...records, ...groupTombstones(groupId, [], group.regexes.keys())]
  }

  /** `ClassicGroup.offsetExpirationCondition` and `OffsetExpirationConditionImpl`. */
  #isExpired(group: ClassicGroup, name: string, { commitTimestamp, expireTimestamp }: StoredOffset): boolean {
    let sinceMs: Millis
    if (group.protocolType === undefined) sinceMs = commitTimestamp
    else if (group.is('Empty')) sinceMs = group.stateTimestamp >= 0 ? group.stateTimestamp : commitTimestamp
    else if (group.is('Stable') && group.usesConsumerProtocol) sinceMs = commitTimestamp
    else return false
    if (group.isSubscribedTo(parsePartition(name)?.topic ?? '')) return false
    const retentionMs = this.#config()['offsets.retention.minutes'] * 60_000
    return this.#nowMs() >= (expireTimestamp >= 0 ? expireTimestamp : sinceMs + retentionMs)
  }

  #nowMs(): Millis {
    return this.#host.env.clock.wallMs()
  }
}

/** `ConsumerGroup.validateOffsetCommit`. */
function checkConsumerCommit(
  group: ConsumerGroup,
  { memberId, groupInstanceId, generationIdOrMemberEpoch: epoch }: CommitIdentity,
  isTransactional: boolean,
  version: number,
): ErrorCode {
  if (epoch < 0 && group.members.size === 0) return Errors.NONE
  if (isTransactional && epoch === -1 && memberId === '' && groupInstanceId === null) return Errors.NONE
  const member = group.members.get(memberId)
  if (member === undefined) return Errors.UNKNOWN_MEMBER_ID
  const isClassic = member.classic !== null
  if (!isTransactional && !isClassic && version < MEMBER_EPOCH_VERSION) return Errors.UNSUPPORTED_VERSION
  if (epoch === member.memberEpoch) return Errors.NONE
  return isTransactional ? Errors.ILLEGAL_GENERATION : staleEpoch(isClassic)
}

/** What an epoch that is not the member's is called: the classic protocol knows generations. */
function staleEpoch(isClassic: boolean): ErrorCode {
  return isClassic ? Errors.ILLEGAL_GENERATION : Errors.STALE_MEMBER_EPOCH
}

/** Not of a topic of that name that was there before. */
function isOfTopic(stored: StoredOffset | undefined, topicId = ZERO_UUID): boolean {
  return stored?.topicId === topicId || stored?.topicId === ZERO_UUID || topicId === ZERO_UUID
}

function fetched(
  partitionIndex: number,
  stored: StoredOffset | undefined,
  errorCode: ErrorCode,
): OffsetFetchResponseGroup['topics'][number]['partitions'][number] {
  return {
    partitionIndex,
    committedOffset: stored?.offset ?? -1,
    committedLeaderEpoch: stored?.leaderEpoch ?? -1,
    metadata: stored?.metadata ?? '',
    errorCode,
  }
}

function describeMember(group: ClassicGroup, member: Member, isStable: boolean): DescribedGroup['members'][number] {
  return {
    memberId: member.memberId,
    groupInstanceId: member.instanceId ?? null,
    clientId: member.clientId,
    clientHost: member.clientHost,
    memberMetadata: isStable ? group.metadataOf(member) : NO_BYTES,
    memberAssignment: isStable ? member.assignment : NO_BYTES,
  }
}
