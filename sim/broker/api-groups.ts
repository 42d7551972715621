/**
 * Requests about groups, answered by the group coordinator (`KafkaApis`, the handlers of groups and offsets).
 *
 * Members need READ on the group, who commits for it READ on the topics as well; who looks on needs DESCRIBE on both; who deletes, DELETE
 * on the group. A refusal comes before anything else is looked at.
 */

import { partitionName } from '../kernel/names.js'
import { AclOperation, ResourceType } from '../kraft/metadata/acl.js'
import type { MetadataImage } from '../kraft/metadata/image.js'
import type { Requester, RequestAuthorizer } from '../kraft/metadata/request-authorizer.js'
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

const { READ, DESCRIBE, DELETE } = AclOperation

export function groupHandlers(context: ApiContext): ApiHandlers {
  const { groups, auth } = context
  return {
    JoinGroup: (request) => {
      const { groupId, memberId } = request.body
      const respond = once((response: Apis['JoinGroup']['response']) => request.respond(response))
      if (!auth.onGroup(request, READ, groupId)) return respond(joinError(memberId, Errors.GROUP_AUTHORIZATION_FAILED))
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
      if (!auth.onGroup(request, READ, groupId)) return respond(syncError(Errors.GROUP_AUTHORIZATION_FAILED))
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
      if (!auth.onGroup(request, READ, groupId)) {
        return request.respond({ throttleTimeMs: 0, errorCode: Errors.GROUP_AUTHORIZATION_FAILED })
      }
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

/** The shard was not asked: it is not here. What fails after it was asked, it answers itself. */
function isUnserved(error: ErrorCode): boolean {
  return error === Errors.NOT_COORDINATOR || error === Errors.COORDINATOR_LOAD_IN_PROGRESS
}

function leaveGroup({ groups, auth }: ApiContext, request: IncomingRequestOf<'LeaveGroup'>): void {
  const { groupId, memberId, members } = request.body
  if (!auth.onGroup(request, READ, groupId)) {
    return request.respond({ throttleTimeMs: 0, errorCode: Errors.GROUP_AUTHORIZATION_FAILED, members: [] })
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
    const groups = body.groups.map((group) => fetchGroup(context, request, group, body.requireStable, version))
    return request.respond({ throttleTimeMs: 0, topics: [], errorCode: Errors.NONE, groups })
  }
  const topics = body.topics?.map(({ name, partitionIndexes }) => ({ name, topicId: '', partitionIndexes })) ?? null
  const asked: OffsetFetchRequestGroup = { groupId: body.groupId, memberId: null, memberEpoch: -1, topics }
  const group = fetchGroup(context, request, asked, body.requireStable, version)
  request.respond({
    throttleTimeMs: 0,
    topics: group.topics.map(({ name, partitions }) => ({ name, partitions })),
    errorCode: group.errorCode,
    groups: [],
  })
}

function fetchGroup(
  { groups, metadata, auth }: ApiContext,
  request: Requester,
  asked: OffsetFetchRequestGroup,
  requireStable: boolean,
  version: number,
): OffsetFetchResponseGroup {
  const byId = version >= FETCH_TOPIC_IDS_VERSION
  const { image } = metadata
  const named = byId
    ? (asked.topics?.map((topic) => ({ ...topic, name: image.topicsById.get(topic.topicId)?.name ?? '' })) ?? null)
    : asked.topics
  if (!auth.onGroup(request, DESCRIBE, asked.groupId)) {
    return { groupId: asked.groupId, topics: [], errorCode: Errors.GROUP_AUTHORIZATION_FAILED }
  }
  // Topics that were asked for are refused one by one; of all that there are, those are shown that may be seen.
  const { visible, refused } = visibleTopics(auth, request, named)
  const answer = groups.read(asked.groupId, (shard, committed) =>
    shard.fetch({ ...asked, topics: visible }, requireStable, committed),
  )
  if (!('response' in answer)) return { groupId: asked.groupId, topics: [], errorCode: answer.error }
  if (answer.response.errorCode !== Errors.NONE) return answer.response
  const found = answer.response.topics
  const shown =
    visible === null && auth.isEnabled
      ? auth.topics(
          request,
          DESCRIBE,
          found.map(({ name }) => name),
        )
      : undefined
  const permitted = shown === undefined ? found : found.filter(({ name }) => shown.has(name))
  const topics = byId
    ? permitted.map((topic) => ({ ...topic, topicId: image.topicsByName.get(topic.name)?.id ?? topic.topicId }))
    : permitted
  return { ...answer.response, topics: [...topics, ...refused] }
}

type AskedTopics = OffsetFetchRequestGroup['topics']

function visibleTopics(
  auth: RequestAuthorizer,
  request: Requester,
  asked: AskedTopics,
): { readonly visible: AskedTopics; readonly refused: OffsetFetchResponseGroup['topics'] } {
  if (asked === null || !auth.isEnabled) return { visible: asked, refused: [] }
  // A topic whose id is not known has no name.
  const named = asked.filter(({ name }) => name !== '').map(({ name }) => name)
  const permitted = auth.topics(request, DESCRIBE, named)
  const isVisible = ({ name }: { readonly name: string }): boolean => name === '' || permitted.has(name)
  const refused = asked
    .filter((topic) => !isVisible(topic))
    .map(({ name, topicId, partitionIndexes }) => ({
      name,
      topicId,
      partitions: partitionIndexes.map((partitionIndex) => ({
        partitionIndex,
        committedOffset: -1,
        committedLeaderEpoch: -1,
        metadata: '',
        errorCode: Errors.TOPIC_AUTHORIZATION_FAILED,
      })),
    }))
  return { visible: asked.filter(isVisible), refused }
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
      const answer = groups.read(groupId, (shard) => shard.describe(groupId))
      const group = 'response' in answer ? answer.response : describeError(groupId, answer.error)
      if (!includeAuthorizedOperations || group.errorCode !== Errors.NONE) return group
      return { ...group, authorizedOperations: auth.operations(request, ResourceType.GROUP, groupId) }
    })
  request.respond({ throttleTimeMs: 0, groups: [...denied, ...described] })
}

function listGroups({ groups, auth }: ApiContext, request: IncomingRequestOf<'ListGroups'>): void {
  const { statesFilter, typesFilter } = request.body
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
  if (!auth.onGroup(request, DELETE, groupId)) {
    return request.respond({ errorCode: Errors.GROUP_AUTHORIZATION_FAILED, throttleTimeMs: 0, topics: [] })
  }
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
      if (typeof result === 'number') request.respond({ errorCode: result, throttleTimeMs: 0, topics: [] })
      else answerWith(new Map(known.map((name, at) => [name, result[at] ?? Errors.NONE])))
    },
  )
}
