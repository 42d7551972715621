/** Brokers and controllers, the real ones, on a world; and a client that sends single requests. */

import { bootBroker, type BrokerServer } from '../../../sim/broker/broker-server.js'
import { bootController } from '../../../sim/controller/controller-server.js'
import { Engine } from '../../../sim/kernel/engine.js'
import type { Env } from '../../../sim/kernel/env.js'
import type { EventOf, EventType, TraceEvent } from '../../../sim/kernel/events.js'
import { nodeId, nodeName, type NodeName } from '../../../sim/kernel/names.js'
import { millis } from '../../../sim/kernel/units.js'
import { formatStorage } from '../../../sim/kraft/format-storage.js'
import { defaultFeatureLevels, LATEST_METADATA_VERSION } from '../../../sim/kraft/metadata/metadata-version.js'
import { ZERO_UUID } from '../../../sim/kraft/metadata/records.js'
import type { ApiName, Apis } from '../../../sim/wire/apis.js'
import type { WireMode } from '../../../sim/wire/frame.js'
import { RecordBatch } from '../../../sim/wire/record-batch.js'
import { RequestClient, type RpcResult } from '../../../sim/wire/request-client.js'
import { World } from '../../../sim/world/world.js'

export interface ClusterShape {
  readonly brokers?: number
  readonly controllers?: number
  readonly config?: Readonly<Record<string, unknown>>
  readonly seed?: string
  readonly wire?: WireMode
}

const WALL_START_MS = 1_700_000_000_000
const CLUSTER_ID = 'Mk3OEYBSTTCrNmK5pr8pdA'

export class TestCluster {
  readonly engine: Engine
  readonly world: World
  readonly events: TraceEvent[] = []
  readonly brokers: readonly NodeName[]
  readonly controllers: readonly NodeName[]
  #client: RequestClient | undefined

  constructor(shape: ClusterShape = {}) {
    const { brokers = 3, controllers = 1, config = {}, seed = 'shell', wire = 'reference' } = shape
    this.engine = new Engine(seed)
    this.engine.trace.watch('all', (event) => this.events.push(event))
    this.world = new World(this.engine)
    this.brokers = Array.from({ length: brokers }, (_, i) => `b${i + 1}`)
    this.controllers = Array.from({ length: controllers }, (_, i) => `c${i + 1}`)
    const directory = (name: NodeName): string => this.engine.random.fork(`directory/${name}`).uuid()
    const voters = this.controllers.map((node) => ({ id: nodeId(node) as number, node, directoryId: directory(node) }))
    for (const name of [...this.controllers, ...this.brokers]) {
      const id = nodeId(name) as number
      const common = { clusterId: CLUSTER_ID, voters, config, wire }
      const isController = this.controllers.includes(name)
      const boot = isController ? bootController({ ...common, nodeId: id }) : bootBroker({ ...common, brokerId: id })
      const node = this.world.addNode(name, boot)
      formatStorage(node.mount(), {
        clusterId: CLUSTER_ID,
        nodeId: id,
        directoryId: directory(name),
        initialControllers: isController ? voters : undefined,
        features: defaultFeatureLevels(LATEST_METADATA_VERSION),
        nowMs: 0,
      })
      node.disk.settle()
    }
    this.world.addNode('client', (env) => this.#bootClient(env, wire))
  }

  /** Starts everything and runs until all brokers are RUNNING. */
  up(): this {
    for (const name of [...this.controllers, ...this.brokers, 'client']) this.world.start(name)
    this.until(() => this.brokers.every((name) => this.broker(name).inspect().isServing), 20_000)
    return this
  }

  run(ms: number): this {
    this.engine.run(this.engine.now + millis(ms))
    return this
  }

  /** Runs until `condition` holds, for at most `ms`. */
  until(condition: () => boolean, ms: number): this {
    const end = this.engine.now + millis(ms)
    while (!condition()) {
      if (this.engine.now >= end) throw new Error(`not within ${ms} ms:\n${this.tail(30)}`)
      this.engine.run(Math.min(end, this.engine.now + millis(5)))
    }
    return this
  }

  broker(name: NodeName): BrokerServer {
    const { program } = this.world.node(name)
    if (program === undefined) throw new Error(`${name} is not running`)
    return program as BrokerServer
  }

  get nowMs(): number {
    return Math.floor(this.engine.now / 1_000)
  }

  /** Sends one request from the client and runs until it is answered, or has failed. */
  ask<A extends ApiName>(to: NodeName, api: A, body: Apis[A]['request']): RpcResult<A> {
    let result: RpcResult<A> | undefined
    this.#client?.send(to, api, body, (answer) => (result = answer))
    this.until(() => result !== undefined, 100_000)
    return result as RpcResult<A>
  }

  /** The response to a request that must be answered. */
  answer<A extends ApiName>(to: NodeName, api: A, body: Apis[A]['request']): Apis[A]['response'] {
    const result = this.ask(to, api, body)
    if (!result.ok) throw new Error(`${api} to ${to}: ${result.reason}`)
    return result.response
  }

  createTopic(name: string, replicationFactor: number, numPartitions = 1, via: NodeName = 'b1') {
    return this.answer(via, 'CreateTopics', {
      topics: [{ name, numPartitions, replicationFactor, assignments: [], configs: [] }],
      timeoutMs: 30_000,
      validateOnly: false,
    }).topics[0]
  }

  /** Produces one record with acks=all to the leader of `orders-0`; the partition's part of the answer. */
  produce(partition: string, value: string) {
    const dash = partition.lastIndexOf('-')
    const name = partition.slice(0, dash)
    const leader = this.leader(partition)
    const image = this.answer(leader, 'Metadata', metadataOf(name)).topics[0]
    const record = { timestamp: WALL_START_MS, key: null, value: new TextEncoder().encode(value) }
    const response = this.answer(leader, 'Produce', {
      transactionalId: null,
      acks: -1,
      timeoutMs: 30_000,
      topicData: [
        {
          name,
          topicId: image?.topicId ?? ZERO_UUID,
          partitionData: [{ index: Number(partition.slice(dash + 1)), records: [RecordBatch.build({}, [record])] }],
        },
      ],
    })
    return response.responses[0]?.partitionResponses[0]
  }

  /** The leader that the controller chose last. */
  leader(partition: string): NodeName {
    return nodeName(this.decided(partition)?.leader ?? -1)
  }

  /** The controller's latest decision on a partition. */
  decided(partition: string) {
    return this.of('controller.partition').findLast((event) => event.data.partition === partition)?.data
  }

  /** How `broker` sees a partition; undefined when it has no replica of it. */
  partition(broker: NodeName, partition: string) {
    return this.broker(broker)
      .inspect()
      .partitions.find((one) => one.partition === partition)
  }

  of<K extends EventType>(type: K): EventOf<K>[] {
    return this.events.filter((event) => event.type === type) as unknown as EventOf<K>[]
  }

  tail(count: number): string {
    return this.events.slice(-count).map(lineOf).join('\n')
  }

  #bootClient(env: Env, wire: WireMode) {
    this.#client = new RequestClient(env, { clientId: 'client', requestTimeoutMs: 30_000, wire })
    return { stop: (done: () => void) => done() }
  }
}

/** `  1.234 b1 broker.state {…}` without bodies. */
export function lineOf(event: TraceEvent): string {
  const data = Object.entries(event.data)
    .filter(([name]) => name !== 'body' && name !== 'records' && name !== 'batch')
    .map(([name, value]) => `${name}=${Array.isArray(value) ? `[${value.join(' ')}]` : String(value)}`)
    .join(' ')
  return `${(event.time / 1_000_000).toFixed(6)} ${event.node} ${event.type} ${data}`.trimEnd()
}

export function metadataOf(...names: string[]): Apis['Metadata']['request'] {
  return {
    topics: names.map((name) => ({ topicId: ZERO_UUID, name })),
    allowAutoTopicCreation: true,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  }
}
