/**
 * Requests about groups, answered by the group coordinator (`KafkaApis`, the handlers of groups and offsets).
 *
 * Members need READ on the group, who commits for it READ on the topics as well; who looks on needs DESCRIBE on both; who deletes, DELETE
 * on the group. A refusal comes before anything else is looked at.
 */

import { partitionName } from '../kernel/names.js'
import { AclOperation, ResourceType } from '../kraft/metadata/acl.js'
import type { MetadataImage } from '../kraft/metadata/image.js'
import type { Apis } from '../wire/apis.js'
import { type ErrorCode, Errors } from '../wire/errors.js'
import type { OffsetFetchRequestGroup, OffsetFetchResponseGroup } from '../wire/messages/offset-fetch.js'
import type { IncomingRequest, IncomingRequestOf } from '../wire/request-server.js'
import { ZERO_UUID } from '../wire/uuid.js'
import type { ApiContext, ApiHandlers } from './api-context.js'
import type { Answer } from './coordinator/coordinator-runtime.js'
import { joinError, syncError } from './group/classic-group.js'
import type { Caller } from './group/classic-groups.js'
import { heartbeatError } from './group/consumer/consumer-groups.js'
import { describeError as describeConsumerError } from './group/consumer/describe.js'
import { checkHeartbeat } from './group/consumer/refusal.js'
import { checkSessionTimeout } from './group/group-settings.js'
import type { OffsetToCommit } from './group/group-shard.js'

/** From here on topics are told by their ids. */
const COMMIT_TOPIC_IDS_VERSION = 10
const FETCH_TOPIC_IDS_VERSION = 10
/** From here on several groups are asked for at once. */
const FETCH_GROUPS_VERSION = 8
/** From here on several members leave at once. */
const LEAVE_MEMBERS_VERSION = 3

const { READ, DESCRIBE, DELETE } = AclOperation

export function groupHandlers(context: ApiContext): ApiHandlers {
  const { groups, auth, config } = context
  return {
    JoinGroup: (request) => {
      const { groupId, memberId } = request.body
      const respond = once((response: Apis['JoinGroup']['response']) => request.respond(response))
      if (!auth.onGroup(request, READ, groupId)) return respond(joinError(memberId, Errors.GROUP_AUTHORIZATION_FAILED))
      if (groupId === '') return respond(joinError(memberId, Errors.INVALID_GROUP_ID))
      const wrong = checkSessionTimeout(request.body, config.current)
      if (wrong !== Errors.NONE) return respond(joinError(memberId, wrong))
      groups.write(
        groupId,
        (shard) => shard.join(request.body, callerOf(request), respond),
        ({ error }) => {
          // Else the shard answers.
          if (error !== Errors.NONE) respond(joinError('', error))
        },
      )
    },
    SyncGroup: (request) => {
      const { groupId } = request.body
      const respond = once((response: Apis['SyncGroup']['response']) => request.respond(response))
      if (!auth.onGroup(request, READ, groupId)) return respond(syncError(Errors.GROUP_AUTHORIZATION_FAILED))
      if (groupId === '') return respond(syncError(Errors.INVALID_GROUP_ID))
      groups.write(
        groupId,
        (shard) => shard.sync(request.body, respond),
        ({ error }) => {
          if (error !== Errors.NONE) respond(syncError(error))
        },
      )
    },
    Heartbeat: (request) => {
      const { groupId } = request.body
      if (!auth.onGroup(request, READ, groupId)) {
        return request.respond({ throttleTimeMs: 0, errorCode: Errors.GROUP_AUTHORIZATION_FAILED })
      }
      const respond = (errorCode: ErrorCode): void => request.respond({ throttleTimeMs: 0, errorCode })
      if (groupId === '') return respond(Errors.INVALID_GROUP_ID)
      groups.write(
        groupId,
        (shard) => ({ records: [], response: shard.heartbeat(request.body) }),
        (answer) => {
          if ('response' in answer) return respond(answer.response)
          // A client cannot tell loading from working, and is not to leave for it.
          respond(answer.error === Errors.COORDINATOR_LOAD_IN_PROGRESS ? Errors.NONE : answer.error)
        },
      )
    },
    LeaveGroup: (request) => leaveGroup(context, request),
    OffsetCommit: (request) => offsetCommit(context, request),
    OffsetFetch: (request) => offsetFetch(context, request),
    DescribeGroups: (request) => describeGroups(context, request),
    ListGroups: (request) => listGroups(context, request),
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

function leaveGroup({ groups, auth }: ApiContext, request: IncomingRequestOf<'LeaveGroup'>): void {
  const { groupId, memberId, members } = request.body
  if (!auth.onGroup(request, READ, groupId)) {
    return request.respond({ throttleTimeMs: 0, errorCode: Errors.GROUP_AUTHORIZATION_FAILED, members: [] })
  }
  if (groupId === '') {
    return request.respond({ throttleTimeMs: 0, errorCode: Errors.INVALID_GROUP_ID, members: [] })
  }
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
  { groups, config, auth }: ApiContext,
  request: IncomingRequestOf<'ConsumerGroupHeartbeat'>,
): void {
  const { body } = request
  const refuse = (error: ErrorCode, message: string | null = null): void =>
    request.respond(heartbeatError({ error, message }))
  if (!groups.servesConsumerProtocol) return refuse(Errors.UNSUPPORTED_VERSION)
  if (!auth.onGroup(request, READ, body.groupId)) return refuse(Errors.GROUP_AUTHORIZATION_FAILED)
  const maySee = (topics: readonly string[]): ReadonlySet<string> => auth.topics(request, DESCRIBE, topics)
  const subscribed = new Set(body.subscribedTopicNames)
  if (maySee([...subscribed]).size < subscribed.size) {
    return refuse(Errors.TOPIC_AUTHORIZATION_FAILED)
  }
  const wrong = checkHeartbeat(body, request.version, config.current['group.consumer.assignors'])
  if (wrong !== undefined) return refuse(wrong.error, wrong.message)
  groups.write(
    body.groupId,
    (shard) => shard.consumer.heartbeat(body, { ...callerOf(request), maySee }),
    (answer) => {
      if ('response' in answer) request.respond(answer.response)
      else refuse(answer.error)
    },
  )
}

function consumerGroupDescribe(context: ApiContext, request: IncomingRequestOf<'ConsumerGroupDescribe'>): void {
  const { groups, auth } = context
  const { groupIds } = request.body
  if (!groups.servesConsumerProtocol) {
    const unsupported = groupIds.map((groupId) => describeConsumerError(groupId, Errors.UNSUPPORTED_VERSION, null))
    return request.respond({ throttleTimeMs: 0, groups: unsupported })
  }
  const isPermitted = groupIds.map((groupId) => auth.onGroup(request, DESCRIBE, groupId))
  const denied = groupIds
    .filter((_, at) => !isPermitted[at])
    .map((groupId) => describeConsumerError(groupId, Errors.GROUP_AUTHORIZATION_FAILED, null))
  const described = groupIds
    .filter((_, at) => isPermitted[at])
    .map((groupId) => describeConsumerGroup(context, request, groupId))
  request.respond({ throttleTimeMs: 0, groups: [...denied, ...described] })
}

/** A group with a topic that the client may not see is not shown at all. */
function describeConsumerGroup(
  { groups, auth }: ApiContext,
  request: IncomingRequestOf<'ConsumerGroupDescribe'>,
  groupId: string,
): Apis['ConsumerGroupDescribe']['response']['groups'][number] {
  if (groupId === '') return describeConsumerError(groupId, Errors.INVALID_GROUP_ID, null)
  const answer = groups.read(groupId, (shard, committed) => shard.consumer.describe(groupId, committed))
  if (!('response' in answer)) return describeConsumerError(groupId, answer.error, null)
  const group = answer.response
  if (group.errorCode !== Errors.NONE) return group
  const topics = new Set(
    group.members.flatMap(({ assignment, targetAssignment }) =>
      [...assignment.topicPartitions, ...targetAssignment.topicPartitions].map(({ topicName }) => topicName),
    ),
  )
  if (auth.topics(request, DESCRIBE, [...topics]).size < topics.size) {
    const message = 'The client may not describe every topic of the group.'
    return describeConsumerError(groupId, Errors.TOPIC_AUTHORIZATION_FAILED, message)
  }
  if (!request.body.includeAuthorizedOperations) return group
  return { ...group, authorizedOperations: auth.operations(request, ResourceType.GROUP, groupId) }
}

// ── offsets ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function offsetCommit(context: ApiContext, request: IncomingRequestOf<'OffsetCommit'>): void {
  const { body, version } = request
  const image = context.metadata.image
  const byId = version >= COMMIT_TOPIC_IDS_VERSION
  const errors = new Map<object, ErrorCode>()
  const offsets: OffsetToCommit[] = []
  const asked: object[] = []
  const isMember = context.auth.onGroup(request, READ, body.groupId)
  for (const topic of body.topics) {
    const name = byId ? image.topicsById.get(topic.topicId)?.name : topic.name
    const isDenied = isMember && name !== undefined && !context.auth.onTopic(request, READ, name)
    for (const partition of topic.partitions) {
      const error = !isMember
        ? Errors.GROUP_AUTHORIZATION_FAILED
        : isDenied
          ? Errors.TOPIC_AUTHORIZATION_FAILED
          : placeError(image, name, partition.partitionIndex)
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
        ...(byId && { topicId: topic.topicId }),
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
  const hasGroups = version >= FETCH_GROUPS_VERSION
  const topics = body.topics?.map(({ name, partitionIndexes }) => ({ name, topicId: '', partitionIndexes })) ?? null
  const asked = hasGroups ? body.groups : [{ groupId: body.groupId, memberId: null, memberEpoch: -1, topics }]
  const found: OffsetFetchResponseGroup[] = []
  let missing = asked.length
  const respond = (): void => {
    const [only] = found
    if (hasGroups || only === undefined) {
      return request.respond({ throttleTimeMs: 0, topics: [], errorCode: Errors.NONE, groups: found })
    }
    const shown = only.topics.map(({ name, partitions }) => ({ name, partitions }))
    request.respond({ throttleTimeMs: 0, topics: shown, errorCode: only.errorCode, groups: [] })
  }
  if (missing === 0) return respond()
  asked.forEach((group, at) =>
    fetchGroup(context, request, group, (answer) => {
      found[at] = answer
      if (--missing === 0) respond()
    }),
  )
}

/** Stable offsets are read by a write without records: it waits until all that was written before is committed. */
function fetchGroup(
  context: ApiContext,
  request: IncomingRequestOf<'OffsetFetch'>,
  asked: OffsetFetchRequestGroup,
  respond: (answer: OffsetFetchResponseGroup) => void,
): void {
  const { groups, auth } = context
  const { groupId } = asked
  const fail = (errorCode: ErrorCode): void => respond({ groupId, topics: [], errorCode })
  if (!auth.onGroup(request, DESCRIBE, groupId)) return fail(Errors.GROUP_AUTHORIZATION_FAILED)
  const { visible, refused } = visibleTopics(context, request, asked.topics)
  const query = { ...asked, topics: visible }
  const done = (answer: Answer<OffsetFetchResponseGroup>): void => {
    // Whoever has a zombie of a coordinator is to look for the real one.
    if (!('response' in answer)) {
      return fail(answer.error === Errors.COORDINATOR_NOT_AVAILABLE ? Errors.NOT_COORDINATOR : answer.error)
    }
    const { response } = answer
    if (response.errorCode !== Errors.NONE) return respond(response)
    const topics = visible === null ? shownTopics(context, request, response.topics) : response.topics
    respond({ ...response, topics: [...topics, ...refused] })
  }
  if (!request.body.requireStable) {
    return done(groups.read(groupId, (shard, committed) => shard.fetch(query, false, committed)))
  }
  groups.write(groupId, (shard) => ({ records: [], response: shard.fetch(query, true, Infinity) }), done)
}

type AskedTopics = OffsetFetchRequestGroup['topics']
type FoundTopics = OffsetFetchResponseGroup['topics']

/** Topics that were asked for are refused one by one. */
function visibleTopics(
  { auth, metadata }: ApiContext,
  request: IncomingRequestOf<'OffsetFetch'>,
  asked: AskedTopics,
): { readonly visible: AskedTopics; readonly refused: FoundTopics } {
  if (asked === null) return { visible: null, refused: [] }
  const byId = request.version >= FETCH_TOPIC_IDS_VERSION
  const { topicsById } = metadata.image
  const named = byId
    ? asked.map((topic) => ({ ...topic, name: topicsById.get(topic.topicId)?.name ?? '' }))
    : asked.map((topic) => ({ ...topic, topicId: ZERO_UUID }))
  const permitted = auth.topics(
    request,
    DESCRIBE,
    named.filter(({ name }) => name !== '').map(({ name }) => name),
  )
  const visible: (typeof named)[number][] = []
  const refused: FoundTopics[number][] = []
  for (const topic of named) {
    const { name, topicId, partitionIndexes } = topic
    if (permitted.has(name)) {
      visible.push(topic)
      continue
    }
    const errorCode = byId && name === '' ? Errors.UNKNOWN_TOPIC_ID : Errors.TOPIC_AUTHORIZATION_FAILED
    const partitions = partitionIndexes.map((partitionIndex) => ({
      partitionIndex,
      committedOffset: -1,
      committedLeaderEpoch: -1,
      metadata: '',
      errorCode,
    }))
    refused.push({ name, topicId, partitions })
  }
  return { visible, refused }
}

/** Of all that there are, those are shown that may be seen, and that can be named. */
function shownTopics(
  { auth, metadata }: ApiContext,
  request: IncomingRequestOf<'OffsetFetch'>,
  found: FoundTopics,
): FoundTopics {
  const permitted = auth.topics(
    request,
    DESCRIBE,
    found.map(({ name }) => name),
  )
  const shown = found.filter(({ name }) => permitted.has(name))
  if (request.version < FETCH_TOPIC_IDS_VERSION) return shown
  return shown.flatMap((topic) => {
    const topicId = metadata.image.topicsByName.get(topic.name)?.id
    return topicId === undefined ? [] : [{ ...topic, topicId }]
  })
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

function describeGroups({ groups, auth }: ApiContext, request: IncomingRequestOf<'DescribeGroups'>): void {
  const { groups: asked, includeAuthorizedOperations } = request.body
  const isPermitted = asked.map((groupId) => auth.onGroup(request, DESCRIBE, groupId))
  const denied = asked
    .filter((_, at) => !isPermitted[at])
    .map((groupId) => describeError(groupId, Errors.GROUP_AUTHORIZATION_FAILED))
  const described = asked
    .filter((_, at) => isPermitted[at])
    .map((groupId) => {
      const answer = groups.read(groupId, (shard) => shard.describe(groupId, request.version))
      const group = 'response' in answer ? answer.response : describeError(groupId, answer.error)
      if (!includeAuthorizedOperations || group.errorCode !== Errors.NONE) return group
      return { ...group, authorizedOperations: auth.operations(request, ResourceType.GROUP, groupId) }
    })
  request.respond({ throttleTimeMs: 0, groups: [...denied, ...described] })
}

function listGroups({ groups, auth }: ApiContext, request: IncomingRequestOf<'ListGroups'>): void {
  const { statesFilter, typesFilter } = request.body
  if (groups.isLoading) {
    return request.respond({ throttleTimeMs: 0, errorCode: Errors.COORDINATOR_LOAD_IN_PROGRESS, groups: [] })
  }
  const listed = groups.shards().flatMap(({ shard, committed }) => shard.list(statesFilter, typesFilter, committed))
  const seesAll = auth.onCluster(request, DESCRIBE, 'quietly')
  const visible = listed.filter(({ groupId }) => seesAll || auth.onGroup(request, DESCRIBE, groupId, 'quietly'))
  request.respond({ throttleTimeMs: 0, errorCode: Errors.NONE, groups: visible })
}

function deleteGroups({ groups, auth }: ApiContext, request: IncomingRequestOf<'DeleteGroups'>): void {
  const names = request.body.groupsNames
  const results = new Map<string, ErrorCode>()
  for (const groupId of new Set(names)) {
    if (!auth.onGroup(request, DELETE, groupId)) results.set(groupId, Errors.GROUP_AUTHORIZATION_FAILED)
  }
  const permitted = names.filter((groupId) => !results.has(groupId))
  if (permitted.length === 0) {
    const refused = names.map((groupId) => ({ groupId, errorCode: Errors.GROUP_AUTHORIZATION_FAILED }))
    return request.respond({ throttleTimeMs: 0, results: refused })
  }
  for (const groupId of permitted) {
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

function offsetDelete({ groups, metadata, auth }: ApiContext, request: IncomingRequestOf<'OffsetDelete'>): void {
  const { groupId, topics } = request.body
  const refuse = (errorCode: ErrorCode): void => request.respond({ errorCode, throttleTimeMs: 0, topics: [] })
  if (!auth.onGroup(request, DELETE, groupId)) return refuse(Errors.GROUP_AUTHORIZATION_FAILED)
  if (groupId === '') return refuse(Errors.INVALID_GROUP_ID)
  const permitted = auth.topics(
    request,
    READ,
    topics.map(({ name }) => name),
  )
  const { image } = metadata
  const known: string[] = []
  for (const { name, partitions } of topics) {
    for (const { partitionIndex } of partitions) {
      if (permitted.has(name) && placeError(image, name, partitionIndex) === Errors.NONE)
        known.push(partitionName(name, partitionIndex))
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
          errorCode: permitted.has(name)
            ? (codes.get(partitionName(name, partitionIndex)) ?? Errors.UNKNOWN_TOPIC_OR_PARTITION)
            : Errors.TOPIC_AUTHORIZATION_FAILED,
        })),
      })),
    })
  groups.write(
    groupId,
    (shard) => shard.deleteOffsets(groupId, known),
    (answer) => {
      const result = 'response' in answer ? answer.response : answer.error
      if (typeof result === 'number') refuse(result)
      else answerWith(new Map(known.map((name, at) => [name, result[at] ?? Errors.NONE])))
    },
  )
}
