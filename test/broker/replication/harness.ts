/**
 * Three brokers' replica managers on a world, with real logs and real requests, under a fake controller.
 *
 * `cluster.until(ms)` runs; `cluster.produce(...)` and `cluster.fetch(...)` send requests from the client node `t1` and
 * return a handle whose `response` is there once it came.
 */

import { defaultsOf } from '../../../sim/kernel/config-def.js'
import { Engine } from '../../../sim/kernel/engine.js'
import type { Env, Program } from '../../../sim/kernel/env.js'
import type { EventType, TraceEvent } from '../../../sim/kernel/events.js'
import { formatSeconds, millis, type Epoch, type Millis, type NodeId, type Offset } from '../../../sim/kernel/units.js'
import { EMPTY_IMAGE, type MetadataImage } from '../../../sim/kraft/metadata/image.js'
import type { MetadataDelta } from '../../../sim/kraft/metadata/metadata-delta.js'
import { LOG_BROKER_SETTINGS } from '../../../sim/log/log-config.js'
import { LogManager } from '../../../sim/log/log-manager.js'
import type { PartitionLog } from '../../../sim/log/partition-log.js'
import type { ApiName, Apis } from '../../../sim/wire/apis.js'
import type { PartitionData } from '../../../sim/wire/messages/fetch.js'
import type { PartitionProduceResponse } from '../../../sim/wire/messages/produce.js'
import { type BatchOptions, RecordBatch } from '../../../sim/wire/record-batch.js'
import { RequestClient, type RpcResult, type WireMode } from '../../../sim/wire/request-client.js'
import { type IncomingRequest, serve } from '../../../sim/wire/request-server.js'
import { ZERO_UUID } from '../../../sim/wire/uuid.js'
import { World, type WorldOptions } from '../../../sim/world/world.js'
import { AlterPartitionManager } from '../../../sim/broker/alter-partition-manager.js'
import type { Partition } from '../../../sim/broker/partition.js'
import { type BrokerReplicationConfig, REPLICATION_SETTINGS } from '../../../sim/broker/replica-config.js'
import { ReplicaManager } from '../../../sim/broker/replica-manager.js'
import type { TransactionVerification } from '../../../sim/broker/replica-produce.js'
import { FakeController } from './fake-controller.js'

export const TOPIC = 'orders'
/** Wall clock, and virtual time, at which `makeCluster` hands over. */
const STARTED_MS: Millis = 0

export interface ClusterOptions {
  readonly seed?: string
  readonly brokers?: number
  /** Which brokers run; all by default. The others are registered all the same, and tests may fetch in their name. */
  readonly running?: readonly NodeId[]
  readonly replicas?: readonly (readonly NodeId[])[]
  readonly minIsr?: number
  readonly config?: Partial<BrokerReplicationConfig>
  /** Broker → its rack. */
  readonly racks?: Readonly<Record<number, string>>
  readonly topic?: Readonly<Record<string, unknown>>
  readonly world?: WorldOptions
  readonly metadataLatencyMs?: Millis
  readonly wire?: WireMode
  /** Feature level of metadata.version; 27 is 4.1-IV1. */
  readonly metadataVersion?: number
  /** How brokers ask about transactions; without it they believe them. */
  readonly verification?: TransactionVerification
  /** Keep all events: `cluster.events`. On by default. */
  readonly watch?: boolean
}

interface Update {
  readonly delta: MetadataDelta
  readonly image: MetadataImage
}

/** A response that may come. */
export interface Call<T> {
  response?: T
  failed?: string
  atMs?: Millis
}

/** One process of a broker: what the shell would make around the replica manager. */
export class TestBroker implements Program {
  readonly id: NodeId
  readonly env: Env
  readonly epoch: Epoch
  readonly replicas: ReplicaManager
  readonly logs: LogManager
  #image: MetadataImage = EMPTY_IMAGE
  readonly #cluster: TestCluster

  constructor(cluster: TestCluster, id: NodeId, env: Env, epoch: Epoch) {
    this.#cluster = cluster
    this.id = id
    this.env = env
    this.epoch = epoch
    this.logs = new LogManager(env, {
      config: cluster.logBrokerConfig,
      topicConfig: (topic) => this.#settingsOf(topic),
    })
    const brokerEpoch = (): Epoch => this.epoch
    this.replicas = new ReplicaManager(env, {
      brokerId: id,
      brokerEpoch,
      config: cluster.config,
      logManager: this.logs,
      alterPartition: new AlterPartitionManager(env, {
        brokerId: id,
        brokerEpoch,
        send: (body, done) => cluster.sendAlterPartition(this, body, done),
      }),
      requests: () =>
        new RequestClient(env, {
          clientId: `broker-${id}-fetcher`,
          requestTimeoutMs: 30_000,
          reconnectBackoffMs: 0,
          reconnectBackoffMaxMs: 0,
          maxInFlight: 1,
          wire: cluster.wire,
        }),
      metadata: () => this.#image,
      ...(cluster.verification && { verification: cluster.verification }),
    })
    this.logs.startup()
    this.replicas.startup()
    serve(env, (request) => this.#dispatch(request), { wire: cluster.wire })
  }

  get image(): MetadataImage {
    return this.#image
  }

  onMetadata(delta: MetadataDelta, image: MetadataImage): void {
    this.#image = image
    this.replicas.applyDelta(delta, image)
  }

  stop(done: () => void): void {
    this.replicas.shutdown(done)
  }

  #settingsOf(topic: string): Readonly<Record<string, unknown>> {
    return { ...this.#cluster.topicSettings, ...Object.fromEntries(this.#image.configs.get(`topic:${topic}`) ?? []) }
  }

  #dispatch(request: IncomingRequest): void {
    switch (request.api) {
      case 'Produce':
        return this.replicas.handleProduce(request)
      case 'Fetch':
        return this.replicas.handleFetch(request)
      case 'ListOffsets':
        return this.replicas.handleListOffsets(request)
      case 'OffsetForLeaderEpoch':
        return this.replicas.handleOffsetForLeaderEpoch(request)
      case 'DeleteRecords':
        return this.replicas.handleDeleteRecords(request)
      default:
        throw new Error(`unexpected ${request.api}`)
    }
  }
}

export class TestCluster {
  readonly engine: Engine
  readonly world: World
  readonly controller: FakeController
  readonly events: TraceEvent[] = []
  readonly config: BrokerReplicationConfig
  readonly logBrokerConfig = defaultsOf(LOG_BROKER_SETTINGS)
  readonly topicSettings: Readonly<Record<string, unknown>>
  readonly brokers = new Map<NodeId, TestBroker>()
  /** Brokers that hear nothing of the controller, and what they missed. */
  readonly #cut = new Map<NodeId, Update[]>()
  readonly wire: WireMode
  readonly verification: TransactionVerification | undefined
  readonly #metadataLatencyMs: Millis
  /** One for what may wait for replication, one for the rest: a connection has one request at a time. */
  #producer: RequestClient | undefined
  #client: RequestClient | undefined
  #clientEnv: Env | undefined

  constructor(options: ClusterOptions) {
    this.engine = new Engine(options.seed ?? '1')
    this.world = new World(this.engine, options.world)
    this.config = { ...defaultsOf(REPLICATION_SETTINGS), ...options.config }
    // Records of the tests are of 1970: retention would take them.
    this.topicSettings = { 'min.insync.replicas': options.minIsr ?? 1, 'retention.ms': -1, ...options.topic }
    this.wire = options.wire ?? 'reference'
    this.verification = options.verification
    this.#metadataLatencyMs = options.metadataLatencyMs ?? 2
    this.controller = new FakeController(options.metadataVersion ?? 27, (delta, image) => this.#publish(delta, image))
    this.controller.racks = options.racks ?? {}
    if (options.watch !== false) this.engine.trace.watch('all', (event) => this.events.push(event))
    this.world.addNode('t1', (env) => {
      this.#clientEnv = env
      this.#producer = new RequestClient(env, { clientId: 't1-producer', requestTimeoutMs: 40_000, wire: this.wire })
      this.#client = new RequestClient(env, { clientId: 't1', requestTimeoutMs: 60_000, wire: this.wire })
      return { stop: (done) => done() }
    })
    this.world.start('t1')
    for (let id = 1; id <= (options.brokers ?? 3); id++) {
      this.world.addNode(`b${id}`, (env) => {
        const epoch = this.controller.image.brokers.get(id)?.epoch ?? -1
        const broker = new TestBroker(this, id, env, epoch)
        this.brokers.set(id, broker)
        const { delta, image } = this.controller.snapshot()
        broker.onMetadata(delta, image)
        return broker
      })
      if (options.running === undefined || options.running.includes(id)) this.start(id)
      else this.controller.register(id, `b${id}`)
    }
  }

  // ── nodes ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Registers and starts a broker, for the first time or again. */
  start(id: NodeId): void {
    this.controller.regain(id, `b${id}`)
    this.world.start(`b${id}`)
  }

  kill(id: NodeId): void {
    this.world.kill(`b${id}`)
    this.brokers.delete(id)
  }

  powerLoss(id: NodeId): void {
    this.world.powerLoss(`b${id}`)
    this.brokers.delete(id)
  }

  broker(id: NodeId): TestBroker {
    const broker = this.brokers.get(id)
    if (broker === undefined) throw new Error(`b${id} is down`)
    return broker
  }

  partition(id: NodeId, index = 0, topic = TOPIC): Partition {
    const partition = this.broker(id).replicas.partition(topic, index)
    if (partition === undefined) throw new Error(`b${id} has no ${topic}-${index}`)
    return partition
  }

  log(id: NodeId, index = 0, topic = TOPIC): PartitionLog {
    return this.partition(id, index, topic).log as PartitionLog
  }

  /** High watermark and log end of a replica. */
  offsets(id: NodeId, index = 0): { hw: Offset; end: Offset } {
    const log = this.log(id, index)
    return { hw: log.highWatermark, end: log.logEndOffset }
  }

  /** Cuts a broker off the controller. */
  cut(id: NodeId): void {
    this.#cut.set(id, [])
  }

  connect(id: NodeId): void {
    const missed = this.#cut.get(id) ?? []
    this.#cut.delete(id)
    for (const { delta, image } of missed) this.#deliver(id, delta, image)
  }

  // ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  get nowMs(): Millis {
    return this.engine.now / 1_000
  }

  until(ms: Millis): void {
    this.engine.run(millis(STARTED_MS + ms))
  }

  /** Runs `ms` further. */
  pass(ms: Millis): void {
    this.engine.run(this.engine.now + millis(ms))
  }

  // ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────

  send<A extends ApiName>(
    to: NodeId,
    api: A,
    body: Apis[A]['request'],
    options: { version?: number; expectResponse?: boolean } = {},
  ): Call<Apis[A]['response']> {
    const call: Call<Apis[A]['response']> = {}
    const done = (result: RpcResult<A>): void => {
      call.atMs = this.nowMs
      if (result.ok) call.response = result.response
      else call.failed = result.reason
    }
    const client = api === 'Produce' ? this.#producer : this.#client
    client?.send(`b${to}`, api, body, done, options)
    return call
  }

  /** Produces one batch of `values`. */
  produce(
    to: NodeId,
    values: readonly string[],
    options: ProduceOptions = {},
  ): Call<{ responses: readonly { partitionResponses: readonly PartitionProduceResponse[] }[] }> {
    const { acks = -1, timeoutMs = 30_000, index = 0, topic = TOPIC, version = 13 } = options
    const name = version >= 13 ? '' : topic
    const topicId = version >= 13 ? (options.topicId ?? this.controller.topicId(topic)) : ZERO_UUID
    const records = [batch(values, options.batch)]
    const body = {
      transactionalId: options.transactionalId ?? null,
      acks,
      timeoutMs,
      topicData: [{ name, topicId, partitionData: [{ index, records }] }],
    }
    return this.send(to, 'Produce', body, { version, expectResponse: acks !== 0 })
  }

  fetch(from: NodeId, offset: Offset, options: FetchOptions = {}): Call<Apis['Fetch']['response']> {
    const { index = 0, topic = TOPIC, version = 17, replicaId = -1 } = options
    const named = version < 13
    const body: Apis['Fetch']['request'] = {
      clusterId: null,
      replicaId: version < 15 ? replicaId : -1,
      replicaState: { replicaId: version < 15 ? -1 : replicaId, replicaEpoch: options.replicaEpoch ?? -1 },
      maxWaitMs: options.maxWaitMs ?? 0,
      minBytes: options.minBytes ?? 1,
      maxBytes: options.maxBytes ?? 52_428_800,
      isolationLevel: options.committed === true ? 1 : 0,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [
        {
          topic: named ? topic : '',
          topicId: named ? ZERO_UUID : (options.topicId ?? this.controller.topicId(topic)),
          partitions: [
            {
              partition: index,
              currentLeaderEpoch: options.leaderEpoch ?? -1,
              fetchOffset: offset,
              lastFetchedEpoch: options.lastFetchedEpoch ?? -1,
              logStartOffset: -1,
              partitionMaxBytes: options.partitionMaxBytes ?? 1_048_576,
              replicaDirectoryId: ZERO_UUID,
              highWatermark: Number.MAX_SAFE_INTEGER,
            },
          ],
        },
      ],
      forgottenTopicsData: [],
      rackId: options.rack ?? '',
    }
    return this.send(from, 'Fetch', body, { version })
  }

  get clientEnv(): Env {
    return this.#clientEnv as Env
  }

  // ── the controller's side ─────────────────────────────────────────────────────────────────────────────────────────

  sendAlterPartition(
    broker: TestBroker,
    body: Apis['AlterPartition']['request'],
    done: (result: { ok: true; response: Apis['AlterPartition']['response'] } | { ok: false; reason: string }) => void,
  ): void {
    this.#later(() => {
      // A broker that is cut off asks for ever, as Kafka's channel does.
      if (this.#cut.has(broker.id)) return void this.sendAlterPartitionAgain(broker, body, done)
      const response = this.controller.alterPartition(body)
      if (response === undefined) return
      this.#later(() => this.#run(broker.id, broker, () => done({ ok: true, response })))
    })
  }

  private sendAlterPartitionAgain(...args: Parameters<TestCluster['sendAlterPartition']>): void {
    this.engine.schedule(this.engine.now + millis(100), () => this.sendAlterPartition(...args), undefined)
  }

  #publish(delta: MetadataDelta, image: MetadataImage): void {
    for (const id of this.brokers.keys()) this.#deliver(id, delta, image)
  }

  #deliver(id: NodeId, delta: MetadataDelta, image: MetadataImage): void {
    const missed = this.#cut.get(id)
    if (missed !== undefined) return void missed.push({ delta, image })
    const broker = this.brokers.get(id)
    if (broker === undefined) return
    this.#later(() => {
      // A broker cut off meanwhile misses what was on its way.
      const now = this.#cut.get(id)
      if (now !== undefined) now.push({ delta, image })
      else this.#run(id, broker, () => broker.onMetadata(delta, image))
    })
  }

  #later(act: () => void): void {
    this.engine.schedule(this.engine.now + millis(this.#metadataLatencyMs), act, undefined)
  }

  #run(id: NodeId, broker: TestBroker, act: () => void): void {
    if (this.brokers.get(id) !== broker) return
    const process = this.world.node(`b${id}`).process
    if (process?.alive === true) process.deliver(act, undefined)
  }

  // ── what was seen ─────────────────────────────────────────────────────────────────────────────────────────────────

  of<K extends EventType>(type: K, node?: string): Extract<TraceEvent, { type: K }>[] {
    return this.events.filter((event) => event.type === type && (node === undefined || event.node === node)) as Extract<
      TraceEvent,
      { type: K }
    >[]
  }

  /** The trace of some types as lines: `0.512 b1 hw.advance orders-0 from=0 to=3`. */
  lines(...types: EventType[]): string[] {
    return this.events.filter((event) => types.includes(event.type)).map(lineOf)
  }
}

export interface ProduceOptions {
  readonly acks?: number
  readonly timeoutMs?: Millis
  readonly index?: number
  readonly topic?: string
  readonly topicId?: string
  readonly version?: number
  readonly batch?: BatchOptions
  readonly transactionalId?: string
}

export interface FetchOptions {
  readonly index?: number
  readonly topic?: string
  readonly topicId?: string
  readonly version?: number
  readonly replicaId?: NodeId
  readonly replicaEpoch?: Epoch
  readonly leaderEpoch?: Epoch
  readonly lastFetchedEpoch?: Epoch
  readonly maxWaitMs?: Millis
  readonly minBytes?: number
  readonly maxBytes?: number
  readonly partitionMaxBytes?: number
  readonly committed?: boolean
  readonly rack?: string
}

export const TOPIC_ID = 'ordersordersordersordA'

/** Brokers 1 to n with topic `orders`; b1 leads orders-0 unless `replicas` says otherwise. Ready at once. */
export function makeCluster(options: ClusterOptions = {}): TestCluster {
  const cluster = new TestCluster(options)
  cluster.controller.createTopic(TOPIC, options.replicas ?? [[1, 2, 3]], TOPIC_ID)
  cluster.until(20)
  return cluster
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function batch(values: readonly string[], options: BatchOptions = {}): RecordBatch {
  return RecordBatch.build(
    options,
    values.map((value) => ({ timestamp: 1_000, key: null, value: encoder.encode(value) })),
  )
}

/** The values of all records of a replica's log, `offset:value`. */
export function valuesOf(log: PartitionLog, upTo: Offset = log.logEndOffset): string[] {
  const values: string[] = []
  let at = log.logStartOffset
  while (at < upTo) {
    const read = log.read(at, 10_000_000, upTo, true)
    if (!('batches' in read) || read.batches.length === 0) break
    for (const found of read.batches) {
      for (const record of found.records()) {
        const offset = found.baseOffset + record.offsetDelta
        if (offset >= at) values.push(`${offset}:${decoder.decode(record.value ?? new Uint8Array())}`)
      }
      at = found.nextOffset
    }
  }
  return values
}

/** `epoch@start` of a log's leader epochs. */
export function epochsOf(log: PartitionLog): string[] {
  return log.epochs.entries.map(({ epoch, startOffset }) => `${epoch}@${startOffset}`)
}

export function produced(
  call: Call<{ responses: readonly { partitionResponses: readonly PartitionProduceResponse[] }[] }>,
): PartitionProduceResponse {
  const response = call.response?.responses[0]?.partitionResponses[0]
  if (response === undefined) throw new Error(`no answer: ${call.failed ?? 'still waiting'}`)
  return response
}

export function fetched(call: Call<Apis['Fetch']['response']>): PartitionData {
  const data = call.response?.responses[0]?.partitions[0]
  if (data === undefined)
    throw new Error(`no answer: ${call.failed ?? JSON.stringify(call.response ?? 'still waiting')}`)
  return data
}

export function lineOf(event: TraceEvent): string {
  const { partition, ...rest } = event.data as Record<string, unknown>
  const fields = Object.entries(rest)
    .filter(([name]) => name !== 'batch' && name !== 'body' && name !== 'crc')
    .map(([name, value]) => `${name}=${Array.isArray(value) ? `[${value.join(',')}]` : String(value)}`)
  return [
    formatSeconds(event.time),
    event.node,
    event.type,
    ...(partition === undefined ? [] : [String(partition)]),
    ...fields,
  ].join(' ')
}
