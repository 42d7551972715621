/**
 * Consumer groups in the hands of an administrator (the group part of Kafka's KafkaAdminClient): lists, descriptions, offsets, removal.
 *
 * Each group's coordinator is looked up first. A description asks for a group of KIP-848 and, where there is none, for a classic one.
 */

import { partitionName } from '../kernel/names.js'
import type { Epoch, NodeId } from '../kernel/units.js'
import type { Apis } from '../wire/apis.js'
import { Errors, type ErrorCode } from '../wire/errors.js'
import { ZERO_UUID } from '../wire/uuid.js'
import type { AdminContext, Done } from './admin-context.js'
import type { AdminOperation } from './admin-operation.js'
import { askAllBrokers } from './all-brokers-operation.js'
import { CoordinatorOperation, type CoordinatorRequest } from './coordinator-operation.js'
import { decodeAssignment } from './group/consumer-protocol.js'
import type { OffsetAndMetadata, Offsets } from './group/offset-commits.js'
import { partitionsByTopic } from './partitions-by-topic.js'

export interface GroupListing {
  readonly groupId: string
  /** `consumer` for those with consumers, empty for those with offsets only. */
  readonly protocolType: string
  /** Kafka's names: `Stable`, `Empty`, … */
  readonly state: string
  /** `Consumer`, `Classic`, … */
  readonly type: string
}

export interface GroupMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly host: string
  /** Partitions, `orders-0`. */
  readonly assignment: readonly string[]
  /** Of members of a KIP-848 group. */
  readonly targetAssignment?: readonly string[]
  readonly memberEpoch?: Epoch
}

export interface GroupDescription {
  readonly groupId: string
  readonly type: 'Consumer' | 'Classic'
  readonly state: string
  readonly coordinator: NodeId
  readonly assignor: string
  readonly members: readonly GroupMember[]
  /** Of a KIP-848 group. */
  readonly groupEpoch?: Epoch
  readonly assignmentEpoch?: Epoch
}

export interface GroupFilter {
  readonly states?: readonly string[]
  readonly types?: readonly string[]
}

/** A static member by its instance id, another by its member id. */
export type MemberToRemove = { readonly groupInstanceId: string } | { readonly memberId: string }

/** Offsets by topic ids come with a newer version, which the admin client does not use. */
const BY_NAME_VERSION = 9

const NO_GENERATION = -1

export class AdminGroups {
  readonly #context: AdminContext

  constructor(context: AdminContext) {
    this.#context = context
  }

  /** Values are named by group, errors by broker. */
  list(filter: GroupFilter, done: Done<GroupListing>): void {
    const operation = this.#context.begin<GroupListing>('list-groups', [], done)
    askAllBrokers(this.#context, operation, {
      api: 'ListGroups',
      body: { statesFilter: filter.states ?? [], typesFilter: filter.types ?? [] },
      retries: LIST_RETRIES,
      error: (response) => response.errorCode,
      take: (response) => {
        for (const { groupId, protocolType, groupState, groupType } of response.groups) {
          operation.answered(groupId, Errors.NONE, { groupId, protocolType, state: groupState, type: groupType })
        }
      },
    })
  }

  describe(groups: readonly string[], done: Done<GroupDescription>): void {
    const operation = this.#context.begin('describe-group', groups, done)
    this.#describe(groups, {
      described: (group) => operation.succeed(group.groupId, group),
      failed: (group, error) => operation.fail(group, error),
      settled: () => operation.finishIfComplete(),
    })
  }

  /** Only groups without members can be deleted. */
  delete(groups: readonly string[], done: Done<void>): void {
    const operation = this.#context.begin('delete-group', groups, done)
    this.#ask(operation, groups, {
      api: 'DeleteGroups',
      request: (keys) => ({ groupsNames: keys }),
      answers: ({ results }) =>
        results.map(({ groupId, errorCode }) => ({
          key: groupId,
          error: errorCode,
          done: () => operation.succeed(groupId, undefined),
        })),
    })
  }

  /**
   * The committed offsets of groups: of the partitions given, or all. A partition without an offset has null.
   * @param stable waits for offsets of open transactions to be decided
   */
  listOffsets(
    groups: Readonly<Record<string, readonly string[] | 'all'>>,
    done: Done<ReadonlyMap<string, OffsetAndMetadata | null>>,
    stable = false,
  ): void {
    const operation = this.#context.begin('list-group-offsets', Object.keys(groups), done)
    this.#ask(operation, Object.keys(groups), {
      api: 'OffsetFetch',
      version: BY_NAME_VERSION,
      request: (keys) => ({
        groupId: '',
        topics: null,
        groups: keys.map((groupId) => ({
          groupId,
          memberId: null,
          memberEpoch: -1,
          topics: offsetTopics(groups[groupId] as readonly string[] | 'all'),
        })),
        requireStable: stable,
      }),
      answers: (response) =>
        response.groups.map((group) => ({
          key: group.groupId,
          error: group.errorCode,
          done: () => operation.succeed(group.groupId, offsetsOf(group)),
        })),
    })
  }

  /** Commits offsets on behalf of a group, which may have no members. Results are by partition. */
  alterOffsets(group: string, offsets: Offsets, done: Done<void>): void {
    const operation = this.#context.begin(`alter-group-offsets ${group}`, [...offsets.keys()], done)
    this.#askOne(operation, group, {
      api: 'OffsetCommit',
      version: BY_NAME_VERSION,
      request: () => commitOf(group, offsets),
      answers: ({ topics }) => {
        const errors = topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode))
        // One partition that must wait makes all of them wait.
        const error = errors.find((each) => GROUP_ERRORS.has(each)) ?? Errors.NONE
        const take = (): void => {
          for (const { name, partitions } of topics) {
            for (const { partitionIndex, errorCode } of partitions)
              operation.answered(partitionName(name, partitionIndex), errorCode, undefined)
          }
          operation.finish()
        }
        return [{ key: group, error, done: take }]
      },
      retries: REBALANCING,
    })
  }

  /** Forgets offsets of partitions to which no member is subscribed. Results are by partition. */
  deleteOffsets(group: string, partitions: readonly string[], done: Done<void>): void {
    const operation = this.#context.begin(`delete-group-offsets ${group}`, partitions, done)
    const topics = partitionsByTopic(partitions).map(([name, indexes]) => ({
      name,
      partitions: indexes.map((partitionIndex) => ({ partitionIndex })),
    }))
    this.#askOne(operation, group, {
      api: 'OffsetDelete',
      request: () => ({ groupId: group, topics }),
      answers: (response) => {
        const take = (): void => {
          for (const topic of response.topics) {
            for (const { partitionIndex, errorCode } of topic.partitions)
              operation.answered(partitionName(topic.name, partitionIndex), errorCode, undefined)
          }
          operation.finish()
        }
        return [{ key: group, error: response.errorCode, done: take }]
      },
    })
  }

  /** Makes members leave: those given, or all. Results are by instance id or member id. */
  removeMembers(group: string, members: readonly MemberToRemove[] | 'all', done: Done<void>): void {
    if (members !== 'all') {
      const operation = this.#context.begin(`remove-members ${group}`, members.map(memberName), done)
      return this.#remove(operation, group, members)
    }
    const operation = this.#context.begin<void>(`remove-members ${group}`, [], done)
    this.#describe([group], {
      described: (description) => this.#remove(operation, group, description.members.map(toRemove)),
      failed: (_, error) => operation.failAll(error),
      settled: () => {},
    })
  }

  #remove(operation: AdminOperation<void>, group: string, members: readonly MemberToRemove[]): void {
    const identities = members.map((member) => ({
      memberId: 'memberId' in member ? member.memberId : '',
      groupInstanceId: 'groupInstanceId' in member ? member.groupInstanceId : null,
      reason: 'removed by an administrator',
    }))
    this.#askOne(operation, group, {
      api: 'LeaveGroup',
      request: () => ({ groupId: group, memberId: '', members: identities }),
      answers: (response) => {
        const take = (): void => {
          for (const { memberId, groupInstanceId, errorCode } of response.members)
            operation.answered(groupInstanceId ?? memberId, errorCode, undefined)
          operation.finish()
        }
        return [{ key: group, error: response.errorCode, done: take }]
      },
    })
  }

  #describe(
    groups: readonly string[],
    taker: {
      described(group: GroupDescription): void
      failed(group: string, error: string): void
      settled(): void
    },
  ): void {
    const context = this.#context
    const deadlineMs = context.deadline()
    /** Groups that are not of KIP-848, by the coordinator that said so. */
    const others = new Map<NodeId, string[]>()
    const classic = new CoordinatorOperation(
      context,
      {
        kind: 'group',
        api: 'DescribeGroups',
        request: (keys) => ({ groups: keys, includeAuthorizedOperations: false }),
        answers: (response, _keys, coordinator) =>
          response.groups.map((group) => ({
            key: group.groupId,
            error: group.errorCode,
            done: () => taker.described(classicGroup(group, coordinator)),
          })),
        failed: (group, error) => taker.failed(group, error),
        settled: () => taker.settled(),
      },
      deadlineMs,
    )
    const consumer: CoordinatorRequest<'ConsumerGroupDescribe'> = {
      kind: 'group',
      api: 'ConsumerGroupDescribe',
      request: (keys) => ({ groupIds: keys, includeAuthorizedOperations: false }),
      answers: (response, _keys, coordinator) =>
        response.groups.map((group) => ({
          key: group.groupId,
          error: group.errorCode,
          done: () => taker.described(consumerGroup(group, coordinator)),
        })),
      failed: (group, error, coordinator) => {
        const isOther = error === 'GROUP_ID_NOT_FOUND' || error === 'UNSUPPORTED_VERSION'
        if (!isOther || coordinator === undefined) return taker.failed(group, error)
        const there = others.get(coordinator)
        if (there === undefined) others.set(coordinator, [group])
        else there.push(group)
      },
      settled: () => {
        for (const [coordinator, keys] of others) classic.continue(coordinator, keys)
        others.clear()
        taker.settled()
      },
    }
    new CoordinatorOperation(context, consumer, deadlineMs).start(groups)
  }

  /** A request whose parts are groups. */
  #ask<A extends keyof Apis, T>(
    operation: AdminOperation<T>,
    groups: readonly string[],
    request: Omit<CoordinatorRequest<A>, 'kind' | 'failed' | 'settled'>,
  ): void {
    new CoordinatorOperation<A>(this.#context, {
      ...request,
      kind: 'group',
      failed: (group, error) => operation.fail(group, error),
      settled: () => operation.finishIfComplete(),
    }).start(groups)
  }

  /** A request on one group, with parts of its own. */
  #askOne<A extends keyof Apis, T>(
    operation: AdminOperation<T>,
    group: string,
    request: Omit<CoordinatorRequest<A>, 'kind' | 'failed' | 'settled'>,
  ): void {
    new CoordinatorOperation<A>(this.#context, {
      ...request,
      kind: 'group',
      failed: (_, error) => operation.failAll(error),
      settled: () => {},
    }).start([group])
  }
}

const LIST_RETRIES: ReadonlySet<ErrorCode> = new Set([
  Errors.COORDINATOR_LOAD_IN_PROGRESS,
  Errors.COORDINATOR_NOT_AVAILABLE,
])

const REBALANCING: ReadonlySet<ErrorCode> = new Set([Errors.REBALANCE_IN_PROGRESS])

/** Errors of OffsetCommit that are about the coordinator, though they come with partitions. */
const GROUP_ERRORS: ReadonlySet<ErrorCode> = new Set([
  Errors.COORDINATOR_NOT_AVAILABLE,
  Errors.NOT_COORDINATOR,
  Errors.COORDINATOR_LOAD_IN_PROGRESS,
  Errors.REBALANCE_IN_PROGRESS,
])

function memberName(member: MemberToRemove): string {
  return 'memberId' in member ? member.memberId : member.groupInstanceId
}

function toRemove({ memberId, groupInstanceId }: GroupMember): MemberToRemove {
  return groupInstanceId === null ? { memberId } : { groupInstanceId }
}

function offsetTopics(
  partitions: readonly string[] | 'all',
): Apis['OffsetFetch']['request']['groups'][number]['topics'] {
  if (partitions === 'all') return null
  return partitionsByTopic(partitions).map(([name, partitionIndexes]) => ({
    name,
    topicId: ZERO_UUID,
    partitionIndexes,
  }))
}

/** A partition with an error of its own is left out, as in Kafka. */
function offsetsOf(group: Apis['OffsetFetch']['response']['groups'][number]): Map<string, OffsetAndMetadata | null> {
  const offsets = new Map<string, OffsetAndMetadata | null>()
  for (const { name, partitions } of group.topics) {
    for (const { partitionIndex, committedOffset, committedLeaderEpoch, metadata, errorCode } of partitions) {
      if (errorCode !== Errors.NONE) continue
      const found = {
        offset: committedOffset,
        ...(committedLeaderEpoch >= 0 && { leaderEpoch: committedLeaderEpoch }),
        ...(metadata !== null && { metadata }),
      }
      offsets.set(partitionName(name, partitionIndex), committedOffset < 0 ? null : found)
    }
  }
  return offsets
}

function commitOf(groupId: string, offsets: Offsets): Apis['OffsetCommit']['request'] {
  return {
    groupId,
    generationIdOrMemberEpoch: NO_GENERATION,
    memberId: '',
    groupInstanceId: null,
    retentionTimeMs: -1,
    topics: partitionsByTopic(offsets.keys()).map(([name, indexes]) => ({
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

function consumerGroup(
  group: Apis['ConsumerGroupDescribe']['response']['groups'][number],
  coordinator: NodeId,
): GroupDescription {
  return {
    groupId: group.groupId,
    type: 'Consumer',
    state: group.groupState,
    coordinator,
    assignor: group.assignorName,
    groupEpoch: group.groupEpoch,
    assignmentEpoch: group.assignmentEpoch,
    members: group.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      host: member.clientHost,
      assignment: partitionsOf(member.assignment.topicPartitions),
      targetAssignment: partitionsOf(member.targetAssignment.topicPartitions),
      memberEpoch: member.memberEpoch,
    })),
  }
}

function partitionsOf(
  topics: readonly { readonly topicName: string; readonly partitions: readonly number[] }[],
): string[] {
  return topics.flatMap(({ topicName, partitions }) => partitions.map((index) => partitionName(topicName, index)))
}

function classicGroup(
  group: Apis['DescribeGroups']['response']['groups'][number],
  coordinator: NodeId,
): GroupDescription {
  return {
    groupId: group.groupId,
    type: 'Classic',
    state: group.groupState,
    coordinator,
    assignor: group.protocolData,
    members: group.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      host: member.clientHost,
      assignment: decodeAssignment(member.memberAssignment),
    })),
  }
}
