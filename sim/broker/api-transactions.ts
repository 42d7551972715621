/**
 * Requests about transactions (`KafkaApis`, the handlers of transactions and markers).
 *
 * Producers need WRITE on their transactional id, and on what they add to the transaction; without one, IDEMPOTENT_WRITE on the cluster or WRITE on
 * any topic. Questions and markers of other brokers need CLUSTER_ACTION.
 */

import { partitionName, parsePartition } from '../kernel/names.js'
import { AclOperation, ResourceType } from '../kraft/metadata/acl.js'
import type { Requester, RequestAuthorizer } from '../kraft/metadata/request-authorizer.js'
import type { Apis } from '../wire/apis.js'
import { endTransactionMarkerBatch } from '../wire/control-record.js'
import type { VerificationState } from '../log/producer-state.js'
import { type ErrorCode, Errors } from '../wire/errors.js'
import { NO_SEQUENCE } from '../wire/record-batch.js'
import type { IncomingRequestOf } from '../wire/request-server.js'
import { ZERO_UUID } from '../wire/uuid.js'
import type { ApiContext, ApiHandlers } from './api-context.js'
import { coordinatorError } from './coordinator/coordinator-errors.js'
import { coordinatorPartition } from './coordinator/internal-topics.js'
import type { OffsetToCommit } from './group/group-shard.js'
import { ProduceEntry } from './replica-produce.js'
import { GROUP_METADATA_TOPIC, isInternalTopic } from './topic-names.js'
import { TXN_STATES } from './txn/transaction.js'
import type { ProducerIdentity, TxnShard } from './txn/txn-shard.js'

/** From here on brokers ask, for several transactions at once. */
const ADD_BATCHED_VERSION = 4
/** From here on EndTxn and TxnOffsetCommit speak transaction version 2 (KIP-890). */
const VERSION_2_END_TXN = 5
const VERSION_2_OFFSET_COMMIT = 5
const { READ, WRITE, ALTER, DESCRIBE, CLUSTER_ACTION, IDEMPOTENT_WRITE } = AclOperation

const NO_PRODUCER = { producerId: -1, producerEpoch: -1 }

export function transactionHandlers(context: ApiContext): ApiHandlers {
  return {
    InitProducerId: (request) => initProducerId(context, request),
    AddPartitionsToTxn: (request) => addPartitions(context, request),
    AddOffsetsToTxn: (request) => addOffsets(context, request),
    EndTxn: (request) => endTxn(context, request),
    TxnOffsetCommit: (request) => txnOffsetCommit(context, request),
    WriteTxnMarkers: (request) => writeMarkers(context, request),
    DescribeTransactions: (request) => {
      const transactionStates = request.body.transactionalIds.map((id) => describe(context, request, id))
      request.respond({ throttleTimeMs: 0, transactionStates })
    },
    ListTransactions: (request) => listTransactions(context, request),
  }
}

/** Answers once, whoever comes first: the shard, or the failure to ask it. */
function once<T>(answer: (value: T) => void): (value: T) => void {
  let isAnswered = false
  return (value) => {
    if (isAnswered) return
    isAnswered = true
    answer(value)
  }
}

function initProducerId(context: ApiContext, request: IncomingRequestOf<'InitProducerId'>): void {
  const { transactionalId, transactionTimeoutMs, producerId, producerEpoch } = request.body
  const answer = once((result: ErrorCode | ProducerIdentity) =>
    request.respond(
      typeof result === 'number'
        ? { throttleTimeMs: 0, errorCode: coordinatorError(result), ...NO_PRODUCER }
        : { throttleTimeMs: 0, errorCode: Errors.NONE, ...result },
    ),
  )
  const denied = initProducerIdError(context, request)
  if (denied !== Errors.NONE) return answer(denied)
  if ((producerId === -1) !== (producerEpoch === -1) || transactionalId === '') return answer(Errors.INVALID_REQUEST)
  if (transactionalId === null) {
    // An idempotent producer raises its epoch by itself, and asks only when the epochs are used up (KIP-360).
    const generated = context.producerIds.generate()
    return answer('producerId' in generated ? { producerId: generated.producerId, producerEpoch: 0 } : generated.error)
  }
  const expected = producerId === -1 ? undefined : { producerId, producerEpoch }
  const operate = (shard: TxnShard) => shard.initProducerId(transactionalId, transactionTimeoutMs, expected, answer)
  context.transactions.ask(transactionalId, operate, answer)
}

function initProducerIdError({ auth }: ApiContext, request: IncomingRequestOf<'InitProducerId'>): ErrorCode {
  const { transactionalId } = request.body
  if (transactionalId !== null) {
    if (auth.onTransactionalId(request, WRITE, transactionalId)) return Errors.NONE
    return Errors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
  }
  const mayWrite =
    auth.onCluster(request, IDEMPOTENT_WRITE, 'quietly') || auth.onAny(request, WRITE, ResourceType.TOPIC)
  return mayWrite ? Errors.NONE : Errors.CLUSTER_AUTHORIZATION_FAILED
}

// ── partitions ────────────────────────────────────────────────────────────────────────────────────────────────────────

type AskedTransaction = Apis['AddPartitionsToTxn']['request']['transactions'][number]
type TransactionAnswer = Apis['AddPartitionsToTxn']['response']['resultsByTransaction'][number]

function addPartitions(context: ApiContext, request: IncomingRequestOf<'AddPartitionsToTxn'>): void {
  const { body, version } = request
  const isBatched = version >= ADD_BATCHED_VERSION
  // Only brokers ask for several.
  if (isBatched && !context.auth.onCluster(request, CLUSTER_ACTION)) {
    return request.respond({
      throttleTimeMs: 0,
      errorCode: Errors.CLUSTER_AUTHORIZATION_FAILED,
      resultsByTransaction: [],
      resultsByTopicV3AndBelow: [],
    })
  }
  const asked: readonly AskedTransaction[] = isBatched
    ? body.transactions
    : [
        {
          transactionalId: body.v3AndBelowTransactionalId,
          producerId: body.v3AndBelowProducerId,
          producerEpoch: body.v3AndBelowProducerEpoch,
          verifyOnly: false,
          topics: body.v3AndBelowTopics,
        },
      ]
  const results: TransactionAnswer[] = []
  const answer = (result: TransactionAnswer): void => {
    results.push(result)
    if (results.length < asked.length) return
    request.respond({
      throttleTimeMs: 0,
      errorCode: Errors.NONE,
      resultsByTransaction: isBatched ? results : [],
      resultsByTopicV3AndBelow: isBatched ? [] : (results[0]?.topicResults ?? []),
    })
  }
  if (asked.length === 0) {
    return request.respond({
      throttleTimeMs: 0,
      errorCode: Errors.NONE,
      resultsByTransaction: [],
      resultsByTopicV3AndBelow: [],
    })
  }
  for (const one of asked) addToOne(context, request, one, isBatched, answer)
}

function addToOne(
  context: ApiContext,
  request: Requester,
  asked: AskedTransaction,
  isBatched: boolean,
  answer: (result: TransactionAnswer) => void,
): void {
  const { transactionalId, verifyOnly, topics } = asked
  const image = context.metadata.image
  const names = topics.flatMap(({ name, partitions }) => partitions.map((index) => partitionName(name, index)))
  const unknown = names.filter((name) => {
    const { topic, index } = parsePartition(name) ?? { topic: name, index: -1 }
    return image.topicsByName.get(topic)?.partitions.has(index) !== true
  })
  const tell = once((errors: readonly ErrorCode[]) => answer(resultOf(asked, names, errors)))
  const { auth } = context
  if (!isBatched && !auth.onTransactionalId(request, WRITE, transactionalId)) {
    return tell(names.map(() => Errors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED))
  }
  const denied = isBatched ? [] : deniedPartitions(auth, request, topics)
  if (denied.length + unknown.length > 0) {
    // All or nothing: the others were not attempted.
    return tell(
      names.map((name) => {
        if (denied.includes(name)) return Errors.TOPIC_AUTHORIZATION_FAILED
        return unknown.includes(name) ? Errors.UNKNOWN_TOPIC_OR_PARTITION : Errors.OPERATION_NOT_ATTEMPTED
      }),
    )
  }
  if (transactionalId === '') return tell(names.map(() => Errors.INVALID_REQUEST))
  const all = (error: ErrorCode): void => tell(names.map(() => coordinatorError(error)))
  if (verifyOnly) {
    const verified = context.transactions.read(transactionalId, (shard) => shard.verify(transactionalId, asked, names))
    return 'response' in verified ? tell(verified.response) : all(verified.error)
  }
  context.transactions.ask(
    transactionalId,
    (shard) => shard.addPartitions(transactionalId, asked, names, isBatched ? 2 : 0, all),
    all,
  )
}

/** Partitions that a client may not write to: Kafka's own among them. */
function deniedPartitions(auth: RequestAuthorizer, request: Requester, topics: AskedTransaction['topics']): string[] {
  const names = topics.map(({ name }) => name).filter((name) => !isInternalTopic(name))
  const permitted = auth.topics(request, WRITE, names)
  return topics
    .filter(({ name }) => !permitted.has(name))
    .flatMap(({ name, partitions }) => partitions.map((index) => partitionName(name, index)))
}

function resultOf(
  { transactionalId, topics }: AskedTransaction,
  names: readonly string[],
  errors: readonly ErrorCode[],
): TransactionAnswer {
  return {
    transactionalId,
    topicResults: topics.map(({ name, partitions }) => ({
      name,
      resultsByPartition: partitions.map((partitionIndex) => ({
        partitionIndex,
        partitionErrorCode: errors[names.indexOf(partitionName(name, partitionIndex))] ?? Errors.NONE,
      })),
    })),
  }
}

function addOffsets(context: ApiContext, request: IncomingRequestOf<'AddOffsetsToTxn'>): void {
  const { transactionalId, groupId } = request.body
  const answer = once((error: ErrorCode) => request.respond({ throttleTimeMs: 0, errorCode: coordinatorError(error) }))
  const denied = transactionInGroupError(context.auth, request, transactionalId, groupId)
  if (denied !== Errors.NONE) return answer(denied)
  // Before the topic exists its partitions are counted by the setting.
  const index =
    context.groups.partitionOf(groupId) ??
    coordinatorPartition(groupId, context.config.current['offsets.topic.num.partitions'])
  const names = [partitionName(GROUP_METADATA_TOPIC, index)]
  context.transactions.ask(
    transactionalId,
    (shard) => shard.addPartitions(transactionalId, request.body, names, 0, answer),
    answer,
  )
}

function endTxn(context: ApiContext, request: IncomingRequestOf<'EndTxn'>): void {
  const { transactionalId, committed } = request.body
  const clientVersion = request.version >= VERSION_2_END_TXN ? 2 : 0
  const answer = once((result: ErrorCode | ProducerIdentity) => {
    const error = typeof result === 'number' ? coordinatorError(result) : Errors.NONE
    const identity = typeof result === 'number' || clientVersion < 2 ? NO_PRODUCER : result
    request.respond({ throttleTimeMs: 0, errorCode: error, ...identity })
  })
  if (!context.auth.onTransactionalId(request, WRITE, transactionalId)) {
    return answer(Errors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
  }
  if (transactionalId === '') return answer(Errors.INVALID_REQUEST)
  context.transactions.ask(
    transactionalId,
    (shard) => shard.end(transactionalId, request.body, committed, clientVersion, { isFromClient: true }, answer),
    answer,
  )
}

// ── offsets of a transaction ──────────────────────────────────────────────────────────────────────────────────────────

function txnOffsetCommit(context: ApiContext, request: IncomingRequestOf<'TxnOffsetCommit'>): void {
  const { body, version } = request
  const { groupId, transactionalId, producerId, producerEpoch, topics } = body
  const image = context.metadata.image
  const answer = once((errors: (topic: string, index: number) => ErrorCode) =>
    request.respond(txnOffsetCommitResponse(topics, errors)),
  )
  const all = (error: ErrorCode): void => answer(() => coordinatorError(error))
  const { auth } = context
  const denied = transactionInGroupError(auth, request, transactionalId, groupId)
  if (denied !== Errors.NONE) return all(denied)
  const permitted = auth.topics(
    request,
    READ,
    topics.map(({ name }) => name),
  )
  const errorOf = (topic: string): ErrorCode =>
    permitted.has(topic) ? Errors.UNKNOWN_TOPIC_OR_PARTITION : Errors.TOPIC_AUTHORIZATION_FAILED
  const known = offsetsToCommit(topics, (topic, index) => {
    return permitted.has(topic) && image.topicsByName.get(topic)?.partitions.has(index) === true
  })
  if (known.length === 0) return answer(errorOf)
  if (groupId === '') {
    const isKnown = (topic: string, index: number): boolean =>
      known.some((one) => one.topic === topic && one.partition === index)
    return answer((topic, index) => (isKnown(topic, index) ? Errors.INVALID_GROUP_ID : errorOf(topic)))
  }
  const index = context.groups.partitionOf(groupId)
  if (index === undefined) return all(Errors.COORDINATOR_NOT_AVAILABLE)
  const identity = {
    groupId,
    generationIdOrMemberEpoch: body.generationId,
    memberId: body.memberId,
    groupInstanceId: body.groupInstanceId,
    retentionTimeMs: -1,
  }
  const commit = (verification?: VerificationState): void =>
    context.groups.write(
      groupId,
      (shard) => shard.commit(identity, known, { producerId, producerEpoch }, verification),
      (result) => {
        if (!('response' in result)) return all(result.error)
        const codes = result.response
        answer((topic, partition) => {
          const at = known.findIndex((one) => one.topic === topic && one.partition === partition)
          return at < 0 ? errorOf(topic) : (codes[at] ?? Errors.NONE)
        })
      },
    )
  const mayAdd = version >= VERSION_2_OFFSET_COMMIT
  if (!mayAdd && !context.config.current['transaction.partition.verification.enable']) return commit()
  const log = context.replicas.partition(GROUP_METADATA_TOPIC, index)?.leaderLog
  if (log === undefined) return all(Errors.NOT_COORDINATOR)
  const started = log.startTransactionVerification(producerId, NO_SEQUENCE, producerEpoch, mayAdd)
  if (started === undefined) return commit()
  if ('error' in started) return all(started.error)
  const names = [partitionName(GROUP_METADATA_TOPIC, index)]
  context.verifier.verify(transactionalId, { producerId, producerEpoch }, names, mayAdd, (errors) => {
    const [error = Errors.NONE] = errors.values()
    if (error === Errors.NONE) commit(started)
    // Tried again without a look for another coordinator.
    else all(error === Errors.NETWORK_EXCEPTION ? Errors.COORDINATOR_LOAD_IN_PROGRESS : error)
  })
}

function offsetsToCommit(
  topics: Apis['TxnOffsetCommit']['request']['topics'],
  isPlace: (topic: string, index: number) => boolean,
): OffsetToCommit[] {
  return topics.flatMap(({ name, partitions }) =>
    partitions
      .filter(({ partitionIndex }) => isPlace(name, partitionIndex))
      .map((partition) => ({
        topic: name,
        partition: partition.partitionIndex,
        offset: partition.committedOffset,
        leaderEpoch: partition.committedLeaderEpoch,
        metadata: partition.committedMetadata,
      })),
  )
}

/** What a producer needs to commit a group's offsets in its transaction. */
function transactionInGroupError(
  auth: RequestAuthorizer,
  request: Requester,
  transactionalId: string,
  groupId: string,
): ErrorCode {
  if (!auth.onTransactionalId(request, WRITE, transactionalId)) return Errors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
  return auth.onGroup(request, READ, groupId) ? Errors.NONE : Errors.GROUP_AUTHORIZATION_FAILED
}

function txnOffsetCommitResponse(
  topics: Apis['TxnOffsetCommit']['request']['topics'],
  errors: (topic: string, index: number) => ErrorCode,
): Apis['TxnOffsetCommit']['response'] {
  return {
    throttleTimeMs: 0,
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: errors(name, partitionIndex) })),
    })),
  }
}

// ── markers ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function writeMarkers(context: ApiContext, request: IncomingRequestOf<'WriteTxnMarkers'>): void {
  const { markers } = request.body
  const { auth } = context
  const isPermitted = auth.onCluster(request, ALTER, 'quietly') || auth.onCluster(request, CLUSTER_ACTION)
  let left = 1
  const errors = markers.map(() => new Map<string, ErrorCode>())
  const settle = (): void => {
    if (--left > 0) return
    request.respond({
      markers: markers.map(({ producerId, topics }, at) => ({
        producerId,
        topics: topics.map(({ name, partitionIndexes }) => ({
          name,
          partitions: partitionIndexes.map((partitionIndex) => ({
            partitionIndex,
            errorCode: errors[at]?.get(partitionName(name, partitionIndex)) ?? Errors.NONE,
          })),
        })),
      })),
    })
  }
  markers.forEach((marker, at) => {
    for (const { name, partitionIndexes } of marker.topics) {
      for (const index of partitionIndexes) {
        if (!isPermitted) {
          errors[at]?.set(partitionName(name, index), Errors.CLUSTER_AUTHORIZATION_FAILED)
          continue
        }
        left++
        writeMarker(context, marker, name, index, (error) => {
          errors[at]?.set(partitionName(name, index), error)
          settle()
        })
      }
    }
  })
  settle()
}

type Marker = Apis['WriteTxnMarkers']['request']['markers'][number]

function writeMarker(
  context: ApiContext,
  marker: Marker,
  topic: string,
  index: number,
  done: (error: ErrorCode) => void,
): void {
  const { env, replicas, groups } = context
  const { producerId, producerEpoch, coordinatorEpoch, transactionResult: commit } = marker
  const timestamp = env.clock.wallMs()
  const batch = endTransactionMarkerBatch({ timestamp, producerId, producerEpoch, coordinatorEpoch, commit })
  if (topic === GROUP_METADATA_TOPIC) {
    groups.writeMarker(index, batch, commit, (error) =>
      done(isCoordinatorAway(error) ? Errors.NOT_LEADER_OR_FOLLOWER : error),
    )
    return
  }
  env.disk.access(() => {
    const entry = new ProduceEntry(topic, ZERO_UUID, index, [batch])
    const options = {
      requiredAcks: -1,
      timeoutMs: context.config.current['request.timeout.ms'],
      origin: 'coordinator',
      internalTopicsAllowed: true,
    } as const
    replicas.append([entry], options, () => done(entry.error))
    if (entry.baseOffset < 0) return
    const partition = partitionName(topic, index)
    const data = { partition, producerId, producerEpoch, coordinatorEpoch, committed: commit, offset: entry.baseOffset }
    env.emit('txn.marker', data)
  })
}

function isCoordinatorAway(error: ErrorCode): boolean {
  return (
    error === Errors.NOT_COORDINATOR ||
    error === Errors.COORDINATOR_LOAD_IN_PROGRESS ||
    error === Errors.COORDINATOR_NOT_AVAILABLE
  )
}

// ── administration ────────────────────────────────────────────────────────────────────────────────────────────────────

type Described = Apis['DescribeTransactions']['response']['transactionStates'][number]

function describe({ transactions, auth }: ApiContext, request: Requester, transactionalId: string): Described {
  const none = (errorCode: ErrorCode): Described => ({
    errorCode,
    transactionalId,
    transactionState: '',
    transactionTimeoutMs: 0,
    transactionStartTimeMs: 0,
    producerId: 0,
    producerEpoch: 0,
    topics: [],
  })
  if (!auth.onTransactionalId(request, DESCRIBE, transactionalId)) {
    return none(Errors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
  }
  if (transactionalId === '') return none(Errors.INVALID_REQUEST)
  const found = transactions.read(transactionalId, (shard) => shard.find(transactionalId)?.facts)
  if ('error' in found) return none(found.error)
  const facts = found.response
  if (facts === undefined) return none(Errors.TRANSACTIONAL_ID_NOT_FOUND)
  const topics = new Map<string, number[]>()
  for (const name of facts.partitions) {
    const { topic, index } = parsePartition(name) ?? { topic: name, index: 0 }
    topics.set(topic, [...(topics.get(topic) ?? []), index])
  }
  return {
    errorCode: Errors.NONE,
    transactionalId,
    transactionState: facts.state,
    transactionTimeoutMs: facts.timeoutMs,
    transactionStartTimeMs: facts.startMs,
    producerId: facts.producerId,
    producerEpoch: facts.producerEpoch,
    topics: [...topics]
      .filter(([topic]) => auth.onTopic(request, DESCRIBE, topic))
      .map(([topic, partitions]) => ({ topic, partitions })),
  }
}

function listTransactions(
  { transactions, env, auth }: ApiContext,
  request: IncomingRequestOf<'ListTransactions'>,
): void {
  const { stateFilters, producerIdFilters, durationFilter, transactionalIdPattern } = request.body
  const refuse = (errorCode: ErrorCode): void =>
    request.respond({ throttleTimeMs: 0, errorCode, unknownStateFilters: [], transactionStates: [] })
  // While a partition is loaded nobody knows what is in it.
  if (transactions.isLoading) return refuse(Errors.COORDINATOR_LOAD_IN_PROGRESS)
  const pattern = patternOf(transactionalIdPattern)
  if (pattern === null) return refuse(Errors.INVALID_REGULAR_EXPRESSION)
  const nowMs = env.clock.wallMs()
  const transactionStates = transactions.shards().flatMap((shard) =>
    [...shard.transactions]
      .filter(({ facts }) => producerIdFilters.length === 0 || producerIdFilters.includes(facts.producerId))
      .filter(({ facts }) => stateFilters.length === 0 || stateFilters.includes(facts.state))
      .filter(({ facts }) => durationFilter < 0 || nowMs - facts.startMs > durationFilter)
      .filter(({ id }) => pattern === undefined || pattern.test(id))
      .filter(({ id }) => auth.onTransactionalId(request, DESCRIBE, id))
      .map(({ id, facts }) => ({ transactionalId: id, producerId: facts.producerId, transactionState: facts.state })),
  )
  const unknownStateFilters = stateFilters.filter((name) => !TXN_STATES.some((state) => state === name))
  request.respond({ throttleTimeMs: 0, errorCode: Errors.NONE, unknownStateFilters, transactionStates })
}

/** Matches whole ids; null when it is none (KIP-1152). */
function patternOf(pattern: string | null): RegExp | null | undefined {
  if (pattern === null || pattern === '') return undefined
  try {
    return new RegExp(`^(?:${pattern})$`, 'u')
  } catch {
    return null
  }
}
