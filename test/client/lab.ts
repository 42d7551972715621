/**
 * A fake cluster to talk to: brokers that keep a log in memory and do as the test says.
 *
 * By default they answer as Kafka's do (leader and sequence checks, long polls without waiting). `lab.next` takes over coming requests of an
 * API; `lab.conversation()` is what went over the wire and what clients told the trace, as lines.
 */

import { Engine } from '../../sim/kernel/engine.js'
import type { Env } from '../../sim/kernel/env.js'
import { assert } from '../../sim/kernel/errors.js'
import type { TraceEvent } from '../../sim/kernel/events.js'
import { nodeId, nodeName, parsePartition, partitionName, type NodeName } from '../../sim/kernel/names.js'
import { millis, type Millis } from '../../sim/kernel/units.js'
import type { ApiName, Apis } from '../../sim/wire/apis.js'
import { Errors } from '../../sim/wire/errors.js'
import type { RecordBatch } from '../../sim/wire/record-batch.js'
import { serve, type IncomingRequest, type IncomingRequestOf } from '../../sim/wire/request-server.js'
import { ZERO_UUID } from '../../sim/wire/uuid.js'
import { World } from '../../sim/world/world.js'
import { describeEvent } from './describe-event.js'

type Handler<A extends ApiName> = (request: IncomingRequestOf<A>) => void

export interface FakePartition {
  readonly name: string
  leader: number
  leaderEpoch: number
  log: RecordBatch[]
  logStart: number
  /** Producer id → its epoch and last sequence. */
  readonly producers: Map<number, { epoch: number; lastSequence: number; lastOffset: number }>
}

export interface FakeTopic {
  readonly name: string
  id: string
  readonly partitions: FakePartition[]
}

export class Lab {
  readonly engine: Engine
  readonly world: World
  readonly topics = new Map<string, FakeTopic>()
  readonly events: TraceEvent[] = []
  controller = 1
  nextProducerId = 1000
  /** What brokers answer to ApiVersions about finalised features. */
  features = { epoch: -1, levels: {} as Readonly<Record<string, number>> }
  #told = 0
  readonly #scripts: { api: ApiName; broker: NodeName | undefined; left: number; handle: Handler<never> }[] = []
  readonly #standing = new Map<ApiName, Handler<never>>()
  readonly #brokers: NodeName[] = []

  constructor(brokers = 1, seed = 'client') {
    this.engine = new Engine(seed)
    this.world = new World(this.engine, { network: { latencyMicros: [500, 500] } })
    this.engine.trace.watch('all', (event) => this.events.push(event))
    for (let i = 1; i <= brokers; i++) this.addBroker(nodeName(i))
  }

  get brokers(): readonly NodeName[] {
    return this.#brokers
  }

  addBroker(name: NodeName): void {
    this.#brokers.push(name)
    this.world.addNode(name, (env) => {
      serve(env, (request) => this.#handle(env, request))
      return { stop: (done) => done() }
    })
    this.world.start(name)
  }

  /** A topic whose partitions are led by the brokers in turn, or by those given. */
  topic(name: string, partitions: number, leaders: readonly number[] = []): FakeTopic {
    const topic: FakeTopic = {
      name,
      id: `${name}AAAAAAAAAAAAAAAAAAAAAA`.slice(0, 21) + 'A',
      partitions: Array.from({ length: partitions }, (_, i) => ({
        name: partitionName(name, i),
        leader: leaders[i] ?? (i % this.#brokers.length) + 1,
        leaderEpoch: 0,
        log: [],
        logStart: 0,
        producers: new Map(),
      })),
    }
    this.topics.set(name, topic)
    return topic
  }

  partition(name: string): FakePartition {
    const parsed = parsePartition(name)
    const partition = parsed && this.topics.get(parsed.topic)?.partitions[parsed.index]
    assert(partition, 'lab: no such partition', { name })
    return partition
  }

  moveLeader(partition: string, to: number): void {
    const it = this.partition(partition)
    it.leader = to
    it.leaderEpoch++
  }

  /** Runs `setUp` as the program of a client node. */
  client<T>(name: NodeName, setUp: (env: Env) => T): T {
    let made: T | undefined
    this.world.addNode(name, (env) => {
      made = setUp(env)
      return { stop: (done) => done() }
    })
    this.world.start(name)
    return made as T
  }

  /** Takes over the next `times` requests of an API (at `broker`, if given). */
  next<A extends ApiName>(api: A, handle: Handler<A>, times = 1, broker?: NodeName): void {
    this.#scripts.push({ api, broker, left: times, handle: handle as Handler<never> })
  }

  /** The answer to an API for which the lab has none of its own. */
  always<A extends ApiName>(api: A, handle: Handler<A>): void {
    this.#standing.set(api, handle as Handler<never>)
  }

  /** Runs until this many milliseconds from the start. */
  until(ms: Millis): void {
    this.engine.run(millis(ms))
  }

  after(ms: Millis): void {
    this.engine.run(this.engine.now + millis(ms))
  }

  /** Sends an answer later. */
  later(ms: Millis, act: () => void): void {
    this.engine.schedule(this.engine.now + millis(ms), act, undefined)
  }

  of<K extends TraceEvent['type']>(type: K): Extract<TraceEvent, { type: K }>[] {
    return this.events.filter((event): event is Extract<TraceEvent, { type: K }> => event.type === type)
  }

  /** Requests of an API that clients sent, oldest first. */
  sent<A extends ApiName>(api: A): { to: NodeName; time: number; body: Apis[A]['request'] }[] {
    return this.of('request.send')
      .filter((event) => event.data.api === api)
      .map((event) => ({ to: event.data.to, time: event.time, body: event.data.body as Apis[A]['request'] }))
  }

  /** What was said since the last call, as lines. `only` picks APIs; ApiVersions is left out unless named. */
  conversation(only?: readonly string[]): string[] {
    const lines: string[] = []
    for (const event of this.events.slice(this.#told)) {
      const line = describeEvent(event, only)
      if (line !== undefined) lines.push(line)
    }
    this.#told = this.events.length
    return lines
  }

  /** The default answer of a broker, for scripts that only delay or look. */
  answer(request: IncomingRequest): void {
    this.#answer(nodeOf(request), request)
  }

  /** Appends what a Produce request brings, and leaves the answer to the script. */
  write(request: IncomingRequestOf<'Produce'>): void {
    for (const topic of request.body.topicData) {
      for (const { index, records } of topic.partitionData)
        append(this.partition(partitionName(topic.name, index)), must(must(records)[0]))
    }
  }

  // ── brokers ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #handle(env: Env, request: IncomingRequest): void {
    nodes.set(request, env.node)
    const at = this.#scripts.findIndex(
      (script) => script.api === request.api && (script.broker ?? env.node) === env.node,
    )
    const script = this.#scripts[at]
    if (script === undefined) return this.#answer(env.node, request)
    if (--script.left === 0) this.#scripts.splice(at, 1)
    ;(script.handle as (request: IncomingRequest) => void)(request)
  }

  #answer(node: NodeName, request: IncomingRequest): void {
    const standing = this.#standing.get(request.api)
    if (standing !== undefined) return (standing as (request: IncomingRequest) => void)(request)
    switch (request.api) {
      case 'ApiVersions':
        return request.respond({
          errorCode: 0,
          apiKeys: [],
          throttleTimeMs: 0,
          supportedFeatures: [],
          finalizedFeaturesEpoch: this.features.epoch,
          finalizedFeatures: Object.entries(this.features.levels).map(([name, level]) => ({
            name,
            maxVersionLevel: level,
            minVersionLevel: level,
          })),
          zkMigrationReady: false,
        })
      case 'Metadata':
        return request.respond(this.metadata(request.body))
      case 'InitProducerId':
        return request.respond({ throttleTimeMs: 0, errorCode: 0, producerId: this.nextProducerId++, producerEpoch: 0 })
      case 'Produce':
        return this.#produce(nodeId(node) as number, request)
      case 'Fetch':
        return this.#fetch(nodeId(node) as number, request)
      case 'ListOffsets':
        return request.respond(this.#listOffsets(nodeId(node) as number, request.body))
      case 'OffsetForLeaderEpoch':
        return request.respond(this.#epochs(request.body))
      default:
        throw new Error(`lab: nobody answers ${request.api}`)
    }
  }

  metadata(request: Apis['Metadata']['request']): Apis['Metadata']['response'] {
    const names = request.topics?.map((topic) => topic.name ?? '') ?? [...this.topics.keys()]
    return {
      throttleTimeMs: 0,
      brokers: this.#brokers.map((host) => ({ nodeId: nodeId(host) as number, host, port: 9092, rack: null })),
      clusterId: 'lab',
      controllerId: this.controller,
      topics: names.map((name) => {
        const topic = this.topics.get(name)
        return {
          errorCode: topic === undefined ? Errors.UNKNOWN_TOPIC_OR_PARTITION : Errors.NONE,
          name,
          topicId: topic?.id ?? ZERO_UUID,
          isInternal: false,
          topicAuthorizedOperations: -2147483648,
          partitions: (topic?.partitions ?? []).map((partition, partitionIndex) => ({
            errorCode: partition.leader < 0 ? Errors.LEADER_NOT_AVAILABLE : Errors.NONE,
            partitionIndex,
            leaderId: partition.leader,
            leaderEpoch: partition.leaderEpoch,
            replicaNodes: [1],
            isrNodes: [1],
            offlineReplicas: [],
          })),
        }
      }),
      clusterAuthorizedOperations: -2147483648,
      errorCode: 0,
    }
  }

  #produce(broker: number, request: IncomingRequestOf<'Produce'>): void {
    const responses = request.body.topicData.map((topic) => ({
      name: topic.name,
      topicId: topic.topicId,
      partitionResponses: topic.partitionData.map(({ index, records }) => {
        const partition = this.partition(partitionName(topic.name, index))
        const batch = records?.[0] as RecordBatch
        const { error, offset } =
          partition.leader === broker ? append(partition, batch) : { error: Errors.NOT_LEADER_OR_FOLLOWER, offset: -1 }
        return produceAnswer(index, error, offset, partition.logStart)
      }),
    }))
    if (request.body.acks === 0) request.respondNothing()
    else request.respond({ responses, throttleTimeMs: 0, nodeEndpoints: [] })
  }

  readonly #sessions = new Map<
    number,
    Map<string, { topic: string; topicId: string; index: number; offset: number; epoch: number }>
  >()
  #nextSession = 1

  #fetch(broker: number, request: IncomingRequestOf<'Fetch'>): void {
    const body = request.body
    const full = body.sessionEpoch === 0 || body.sessionEpoch === -1
    const sessionId = full ? this.#nextSession : body.sessionId
    if (body.sessionEpoch === -1 && body.sessionId !== 0) {
      this.#sessions.delete(body.sessionId)
      return request.respond({ throttleTimeMs: 0, errorCode: 0, sessionId: 0, responses: [], nodeEndpoints: [] })
    }
    if (full) this.#sessions.set(this.#nextSession++, new Map())
    const session = this.#sessions.get(sessionId)
    if (session === undefined) {
      const errorCode = Errors.FETCH_SESSION_ID_NOT_FOUND
      return request.respond({ throttleTimeMs: 0, errorCode, sessionId: 0, responses: [], nodeEndpoints: [] })
    }
    for (const topic of body.forgottenTopicsData)
      for (const index of topic.partitions) session.delete(partitionName(topic.topic, index))
    for (const { topic, topicId, partitions } of body.topics) {
      for (const { partition: index, fetchOffset: offset, currentLeaderEpoch: epoch } of partitions) {
        session.set(partitionName(topic, index), { topic, topicId, index, offset, epoch })
      }
    }
    const respond = (): void => {
      const responses = [...session.values()].map(({ topic, topicId, index, offset, epoch }) => ({
        topic,
        topicId,
        partitions: [this.#read(broker, partitionName(topic, index), index, offset, epoch)],
      }))
      const news = responses.filter(({ partitions: [p] }) => hasNews(must(p)))
      request.respond({
        throttleTimeMs: 0,
        errorCode: 0,
        sessionId,
        responses: full ? responses : news,
        nodeEndpoints: [],
      })
    }
    const ready = [...session.values()].some(({ topic, index, offset, epoch }) => {
      const answer = this.#read(broker, partitionName(topic, index), index, offset, epoch)
      return answer.errorCode !== 0 || (answer.records?.length ?? 0) > 0
    })
    if (ready) respond()
    else this.later(body.maxWaitMs, respond)
  }

  #read(broker: number, name: string, index: number, offset: number, epoch: number): FetchAnswer {
    const partition = this.partition(name)
    const end = endOffset(partition)
    if (partition.leader !== broker) return fetchAnswer(index, { errorCode: Errors.NOT_LEADER_OR_FOLLOWER })
    if (epoch >= 0 && epoch < partition.leaderEpoch)
      return fetchAnswer(index, { errorCode: Errors.FENCED_LEADER_EPOCH })
    if (epoch > partition.leaderEpoch) return fetchAnswer(index, { errorCode: Errors.UNKNOWN_LEADER_EPOCH })
    if (offset < partition.logStart || offset > end)
      return fetchAnswer(index, { errorCode: Errors.OFFSET_OUT_OF_RANGE })
    const records = partition.log.filter((batch) => batch.nextOffset > offset)
    return fetchAnswer(index, {
      highWatermark: end,
      lastStableOffset: end,
      logStartOffset: partition.logStart,
      records,
    })
  }

  #listOffsets(broker: number, request: Apis['ListOffsets']['request']): Apis['ListOffsets']['response'] {
    return {
      throttleTimeMs: 0,
      topics: request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, timestamp }) => {
          const partition = this.partition(partitionName(name, partitionIndex))
          const errorCode = partition.leader === broker ? Errors.NONE : Errors.NOT_LEADER_OR_FOLLOWER
          const offset = timestamp === -2 ? partition.logStart : endOffset(partition)
          return {
            partitionIndex,
            errorCode,
            timestamp: -1,
            offset: errorCode === 0 ? offset : -1,
            leaderEpoch: partition.leaderEpoch,
          }
        }),
      })),
    }
  }

  #epochs(request: Apis['OffsetForLeaderEpoch']['request']): Apis['OffsetForLeaderEpoch']['response'] {
    return {
      throttleTimeMs: 0,
      topics: request.topics.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map(({ partition: index, leaderEpoch }) => {
          const log = this.partition(partitionName(topic, index)).log
          const upTo = log.filter((batch) => batch.partitionLeaderEpoch <= leaderEpoch)
          const last = upTo[upTo.length - 1]
          const found =
            last === undefined
              ? { leaderEpoch: -1, endOffset: -1 }
              : { leaderEpoch: last.partitionLeaderEpoch, endOffset: last.nextOffset }
          return { errorCode: Errors.NONE, partition: index, ...found }
        }),
      })),
    }
  }
}

function hasNews(answer: FetchAnswer): boolean {
  return answer.errorCode !== 0 || (answer.records ?? []).length > 0
}

/** What the test knows to be there. */
export function must<T>(value: T | null | undefined): T {
  assert(value !== undefined && value !== null, 'lab: missing')
  return value
}

type FetchAnswer = Apis['Fetch']['response']['responses'][number]['partitions'][number]
type ProduceAnswer = Apis['Produce']['response']['responses'][number]['partitionResponses'][number]

/** Which broker got a request. */
const nodes = new WeakMap<object, NodeName>()

function nodeOf(request: IncomingRequest): NodeName {
  return nodes.get(request) as NodeName
}

export function endOffset(partition: FakePartition): number {
  return partition.log[partition.log.length - 1]?.nextOffset ?? partition.logStart
}

/** Appends as a leader does: checks sequences, assigns offsets. */
export function append(partition: FakePartition, batch: RecordBatch): { error: number; offset: number } {
  const offset = endOffset(partition)
  if (batch.producerId >= 0) {
    const known = partition.producers.get(batch.producerId)
    if (known !== undefined) {
      if (batch.producerEpoch < known.epoch) return { error: Errors.INVALID_PRODUCER_EPOCH, offset: -1 }
      if (batch.producerEpoch > known.epoch) {
        if (batch.baseSequence !== 0) return { error: Errors.OUT_OF_ORDER_SEQUENCE_NUMBER, offset: -1 }
      } else if (batch.baseSequence !== known.lastSequence + 1) {
        const duplicate = partition.log.find(
          (other) =>
            other.producerId === batch.producerId &&
            other.producerEpoch === batch.producerEpoch &&
            other.baseSequence === batch.baseSequence,
        )
        if (duplicate !== undefined) return { error: 0, offset: duplicate.baseOffset }
        return { error: Errors.OUT_OF_ORDER_SEQUENCE_NUMBER, offset: -1 }
      }
    }
    partition.producers.set(batch.producerId, {
      epoch: batch.producerEpoch,
      lastSequence: batch.lastSequence,
      lastOffset: offset + batch.lastOffsetDelta,
    })
  }
  partition.log.push(batch.withOffsets(offset, partition.leaderEpoch))
  return { error: 0, offset }
}

export function produceAnswer(index: number, errorCode: number, baseOffset: number, logStartOffset = 0): ProduceAnswer {
  return {
    index,
    errorCode,
    baseOffset,
    logAppendTimeMs: -1,
    logStartOffset,
    recordErrors: [],
    errorMessage: null,
    currentLeader: { leaderId: -1, leaderEpoch: -1 },
  }
}

export function fetchAnswer(index: number, fields: Partial<FetchAnswer>): FetchAnswer {
  return {
    partitionIndex: index,
    errorCode: 0,
    highWatermark: -1,
    lastStableOffset: -1,
    logStartOffset: -1,
    divergingEpoch: { epoch: -1, endOffset: -1 },
    currentLeader: { leaderId: -1, leaderEpoch: -1 },
    snapshotId: { endOffset: -1, epoch: -1 },
    abortedTransactions: null,
    preferredReadReplica: -1,
    records: [],
    ...fields,
  }
}

/** Answers every partition of a Produce request alike. */
export function answerProduce(
  request: IncomingRequestOf<'Produce'>,
  errorCode: number,
  fields: Partial<ProduceAnswer> = {},
): void {
  request.respond({
    responses: request.body.topicData.map((topic) => ({
      name: topic.name,
      topicId: topic.topicId,
      partitionResponses: topic.partitionData.map(({ index }) => ({
        ...produceAnswer(index, errorCode, -1),
        ...fields,
      })),
    })),
    throttleTimeMs: 0,
    nodeEndpoints: [],
  })
}

/** Answers every partition of a Fetch request alike, in the session that it asked for. */
export function answerFetch(
  request: IncomingRequestOf<'Fetch'>,
  sessionId: number,
  fields: Partial<FetchAnswer>,
): void {
  request.respond({
    throttleTimeMs: 0,
    errorCode: 0,
    sessionId,
    responses: request.body.topics.map(({ topic, topicId, partitions }) => ({
      topic,
      topicId,
      partitions: partitions.map(({ partition }) => fetchAnswer(partition, fields)),
    })),
    nodeEndpoints: [],
  })
}
