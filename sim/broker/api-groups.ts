/** Requests about groups, answered by the group coordinator (`KafkaApis`, the handlers of groups and offsets). */

import { partitionName } from '../kernel/names.js'
import type { MetadataImage } from '../kraft/metadata/image.js'
import type { Apis } from '../wire/apis.js'
import { type ErrorCode, Errors } from '../wire/errors.js'
import type { OffsetFetchRequestGroup, OffsetFetchResponseGroup } from '../wire/messages/offset-fetch.js'
import type { IncomingRequest, IncomingRequestOf } from '../wire/request-server.js'
import type { ApiContext, ApiHandlers } from './api-context.js'
import { joinError, syncError } from './group/classic-group.js'
import type { Caller } from './group/classic-groups.js'
import { heartbeatError } from './group/consumer/consumer-groups.js'
import { describeError as describeConsumerError } from './group/consumer/describe.js'
import { checkHeartbeat } from './group/consumer/refusal.js'
import type { OffsetToCommit } from './group/group-shard.js'

/** From here on topics are told by their ids. */
const COMMIT_TOPIC_IDS_VERSION = 10
const FETCH_TOPIC_IDS_VERSION = 10
/** From here on several groups are asked for at once. */
const FETCH_GROUPS_VERSION = 8
/** From here on several members leave at once. */
const LEAVE_MEMBERS_VERSION = 3
const CONSUMER_TYPE = ''

export function groupHandlers(context: ApiContext): ApiHandlers {
  const { groups } = context
  return {
    JoinGroup: (request) => {
      const { groupId, memberId } = request.body
      const respond = once((response: Apis['JoinGroup']['response']) => request.respond(response))
      if (groupId === CONSUMER_TYPE) return respond(joinError(memberId, Errors.INVALID_GROUP_ID))
      groups.write(
        groupId,
        (shard) => shard.join(request.body, callerOf(request), respond),
        ({ error }) => {
          // Else the shard answers.
          if (isUnserved(error)) respond(joinError(memberId, error))
        },
      )
    },
    SyncGroup: (request) => {
      const { groupId } = request.body
      const respond = once((response: Apis['SyncGroup']['response']) => request.respond(response))
      if (groupId === CONSUMER_TYPE) return respond(syncError(Errors.INVALID_GROUP_ID))
      groups.write(
        groupId,
        (shard) => shard.sync(request.body, respond),
        ({ error }) => {
          if (isUnserved(error)) respond(syncError(error))
        },
      )
    },
    Heartbeat: (request) => {
      const { groupId } = request.body
      const answer = groups.read(groupId, (shard) => shard.heartbeat(request.body))
      let errorCode = 'response' in answer ? answer.response : answer.error
      if (groupId === CONSUMER_TYPE) errorCode = Errors.INVALID_GROUP_ID
      // A client cannot tell loading from working, and is not to leave for it.
      if (errorCode === Errors.COORDINATOR_LOAD_IN_PROGRESS) errorCode = Errors.NONE
      request.respond({ throttleTimeMs: 0, errorCode })
    },
    LeaveGroup: (request) => leaveGroup(context, request),
    OffsetCommit: (request) => offsetCommit(context, request),
    OffsetFetch: (request) => offsetFetch(context, request),
    DescribeGroups: (request) => {
      const described = request.body.groups.map((groupId) => {
        const answer = groups.read(groupId, (shard) => shard.describe(groupId))
        return 'response' in answer ? answer.response : describeError(groupId, answer.error)
      })
      request.respond({ throttleTimeMs: 0, groups: described })
    },
    ListGroups: (request) => {
      const { statesFilter, typesFilter } = request.body
      const listed = groups.shards().flatMap(({ shard, committed }) => shard.list(statesFilter, typesFilter, committed))
      request.respond({ throttleTimeMs: 0, errorCode: Errors.NONE, groups: listed })
    },
    DeleteGroups: (request) => deleteGroups(context, request),
    OffsetDelete: (request) => offsetDelete(context, request),
    ConsumerGroupHeartbeat: (request) => consumerGroupHeartbeat(context, request),
    ConsumerGroupDescribe: (request) => consumerGroupDescribe(context, request),
  }
}

/** A shard that loses its partition answers whoever waits, and what was to be written fails as well: the first word counts. */
function once<T>(respond: (response: T) => void): (response: T) => void {
  let isAnswered = false
  return (response) => {
    if (isAnswered) return
    isAnswered = true
    respond(response)
  }
}

function callerOf(request: IncomingRequest): Caller {
  return { clientId: request.clientId, host: `/${request.from}`, version: request.version }
}

/** The shard was not asked: it is not here. What fails after it was asked, it answers itself. */
function isUnserved(error: ErrorCode): boolean {
  return error === Errors.NOT_COORDINATOR || error === Errors.COORDINATOR_LOAD_IN_PROGRESS
}

function leaveGroup({ groups }: ApiContext, request: IncomingRequestOf<'LeaveGroup'>): void {
  const { groupId, memberId, members } = request.body
  const isSingle = request.version < LEAVE_MEMBERS_VERSION
  const leaving = isSingle ? [{ memberId, groupInstanceId: null, reason: null }] : members
  groups.write(
    groupId,
    (shard) => shard.leave({ groupId, memberId, members: leaving }),
    (answer) => {
      if (!('response' in answer)) return request.respond({ throttleTimeMs: 0, errorCode: answer.error, members: [] })
      const { response } = answer
      if (!isSingle) return request.respond(response)
      request.respond({ ...response, errorCode: response.members[0]?.errorCode ?? response.errorCode, members: [] })
    },
  )
}

// ── KIP-848 groups ────────────────────────────────────────────────────────────────────────────────────────────────────

function consumerGroupHeartbeat(
  { groups, config }: ApiContext,
  request: IncomingRequestOf<'ConsumerGroupHeartbeat'>,
): void {
  const { body } = request
  const refuse = (error: ErrorCode, message: string | null = null): void =>
    request.respond(heartbeatError({ error, message }))
  if (!groups.servesConsumerProtocol) return refuse(Errors.UNSUPPORTED_VERSION)
  const wrong = checkHeartbeat(body, request.version, config.current['group.consumer.assignors'])
  if (wrong !== undefined) return refuse(wrong.error, wrong.message)
  groups.write(
    body.groupId,
    (shard) => shard.consumer.heartbeat(body, callerOf(request)),
    (answer) => {
      if ('response' in answer) request.respond(answer.response)
      else refuse(answer.error)
    },
  )
}

function consumerGroupDescribe({ groups }: ApiContext, request: IncomingRequestOf<'ConsumerGroupDescribe'>): void {
  const described = request.body.groupIds.map((groupId) => {
    if (!groups.servesConsumerProtocol) return describeConsumerError(groupId, Errors.UNSUPPORTED_VERSION, null)
    if (groupId === '') return describeConsumerError(groupId, Errors.INVALID_GROUP_ID, null)
    const answer = groups.read(groupId, (shard, committed) => shard.consumer.describe(groupId, committed))
    return 'response' in answer ? answer.response : describeConsumerError(groupId, answer.error, null)
  })
  request.respond({ throttleTimeMs: 0, groups: described })
}

// ── offsets ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function offsetCommit(context: ApiContext, request: IncomingRequestOf<'OffsetCommit'>): void {
  const { body, version } = request
  const image = context.metadata.image
  const byId = version >= COMMIT_TOPIC_IDS_VERSION
  const errors = new Map<object, ErrorCode>()
  const offsets: OffsetToCommit[] = []
  const asked: object[] = []
  for (const topic of body.topics) {
    const name = byId ? image.topicsById.get(topic.topicId)?.name : topic.name
    for (const partition of topic.partitions) {
      const error = placeError(image, name, partition.partitionIndex)
      if (error !== Errors.NONE || name === undefined) {
        errors.set(partition, error)
        continue
      }
      asked.push(partition)
      offsets.push({
        topic: name,
        partition: partition.partitionIndex,
        offset: partition.committedOffset,
        leaderEpoch: partition.committedLeaderEpoch,
        metadata: partition.committedMetadata,
      })
    }
  }
  const respond = (): void =>
    request.respond({
      throttleTimeMs: 0,
      topics: body.topics.map(({ name, topicId, partitions }) => ({
        name,
        topicId,
        partitions: partitions.map((partition) => ({
          partitionIndex: partition.partitionIndex,
          errorCode: errors.get(partition) ?? Errors.NONE,
        })),
      })),
    })
  const settle = (codes: readonly ErrorCode[]): void => {
    asked.forEach((partition, at) => errors.set(partition, codes[at] ?? Errors.NONE))
    respond()
  }
  if (offsets.length === 0) return respond()
  if (body.groupId === '' && body.generationIdOrMemberEpoch >= 0)
    return settle(asked.map(() => Errors.INVALID_GROUP_ID))
  context.groups.write(
    body.groupId,
    (shard) => shard.commit({ ...body, version }, offsets),
    (answer) => settle('response' in answer ? answer.response : asked.map(() => answer.error)),
  )
}

function placeError(image: MetadataImage, topic: string | undefined, partition: number): ErrorCode {
  if (topic === undefined) return Errors.UNKNOWN_TOPIC_ID
  return image.topicsByName.get(topic)?.partitions.has(partition) === true
    ? Errors.NONE
    : Errors.UNKNOWN_TOPIC_OR_PARTITION
}

function offsetFetch(context: ApiContext, request: IncomingRequestOf<'OffsetFetch'>): void {
  const { body, version } = request
  if (version >= FETCH_GROUPS_VERSION) {
    const groups = body.groups.map((group) => fetchGroup(context, group, body.requireStable, version))
    return request.respond({ throttleTimeMs: 0, topics: [], errorCode: Errors.NONE, groups })
  }
  const topics = body.topics?.map(({ name, partitionIndexes }) => ({ name, topicId: '', partitionIndexes })) ?? null
  const asked: OffsetFetchRequestGroup = { groupId: body.groupId, memberId: null, memberEpoch: -1, topics }
  const group = fetchGroup(context, asked, body.requireStable, version)
  request.respond({
    throttleTimeMs: 0,
    topics: group.topics.map(({ name, partitions }) => ({ name, partitions })),
    errorCode: group.errorCode,
    groups: [],
  })
}

function fetchGroup(
  { groups, metadata }: ApiContext,
  asked: OffsetFetchRequestGroup,
  requireStable: boolean,
  version: number,
): OffsetFetchResponseGroup {
  const byId = version >= FETCH_TOPIC_IDS_VERSION
  const { image } = metadata
  const named = byId
    ? (asked.topics?.map((topic) => ({ ...topic, name: image.topicsById.get(topic.topicId)?.name ?? '' })) ?? null)
    : asked.topics
  const answer = groups.read(asked.groupId, (shard, committed) =>
    shard.fetch({ ...asked, topics: named }, requireStable, committed),
  )
  if (!('response' in answer)) return { groupId: asked.groupId, topics: [], errorCode: answer.error }
  if (!byId) return answer.response
  const topics = answer.response.topics.map((topic) => ({
    ...topic,
    topicId: image.topicsByName.get(topic.name)?.id ?? topic.topicId,
  }))
  return { ...answer.response, topics }
}

// ── administration ────────────────────────────────────────────────────────────────────────────────────────────────────

function describeError(groupId: string, errorCode: ErrorCode): Apis['DescribeGroups']['response']['groups'][number] {
  return {
    errorCode,
    errorMessage: null,
    groupId,
    groupState: '',
    protocolType: '',
    protocolData: '',
    members: [],
    authorizedOperations: -2147483648,
  }
}

function deleteGroups({ groups }: ApiContext, request: IncomingRequestOf<'DeleteGroups'>): void {
  const names = request.body.groupsNames
  const results = new Map<string, ErrorCode>()
  if (names.length === 0) return request.respond({ throttleTimeMs: 0, results: [] })
  for (const groupId of names) {
    groups.write(
      groupId,
      (shard) => shard.deleteGroup(groupId),
      (answer) => {
        results.set(groupId, 'response' in answer ? answer.response : answer.error)
        if (results.size < new Set(names).size) return
        request.respond({
          throttleTimeMs: 0,
          results: names.map((name) => ({ groupId: name, errorCode: results.get(name) ?? Errors.NONE })),
        })
      },
    )
  }
}

function offsetDelete({ groups, metadata }: ApiContext, request: IncomingRequestOf<'OffsetDelete'>): void {
  const { groupId, topics } = request.body
  const { image } = metadata
  const known: string[] = []
  for (const { name, partitions } of topics) {
    for (const { partitionIndex } of partitions) {
      if (placeError(image, name, partitionIndex) === Errors.NONE) known.push(partitionName(name, partitionIndex))
    }
  }
  const answerWith = (codes: ReadonlyMap<string, ErrorCode>): void =>
    request.respond({
      errorCode: Errors.NONE,
      throttleTimeMs: 0,
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({
          partitionIndex,
          errorCode: codes.get(partitionName(name, partitionIndex)) ?? Errors.UNKNOWN_TOPIC_OR_PARTITION,
        })),
      })),
    })
  groups.write(
    groupId,
    (shard) => shard.deleteOffsets(groupId, known),
    (answer) => {
      const result = 'response' in answer ? answer.response : answer.error
      if (typeof result === 'number') request.respond({ errorCode: result, throttleTimeMs: 0, topics: [] })
      else answerWith(new Map(known.map((name, at) => [name, result[at] ?? Errors.NONE])))
    },
  )
}
