/**
 * Real controllers c1… on the world room, and puppet brokers b1… that send what a test tells them to.
 *
 * A puppet asks one controller, or whichever leads the quorum as the trace tells. `lines` is what controllers said of their
 * decisions, one line an event, for golden conversations.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { bootController } from '../../sim/controller/controller-server.js'
import { Engine } from '../../sim/kernel/engine.js'
import type { Env } from '../../sim/kernel/env.js'
import { assert } from '../../sim/kernel/errors.js'
import type { TraceEvent } from '../../sim/kernel/events.js'
import { nodeId, nodeName } from '../../sim/kernel/names.js'
import { millis } from '../../sim/kernel/units.js'
import { formatStorage } from '../../sim/kraft/format-storage.js'
import {
  defaultFeatureLevels,
  LATEST_METADATA_VERSION,
  SUPPORTED_FEATURES,
} from '../../sim/kraft/metadata/metadata-version.js'
import type { Voter } from '../../sim/kraft/voter-set.js'
import type { ApiName, Apis } from '../../sim/wire/apis.js'
import { errorName } from '../../sim/wire/errors.js'
import type { WireMode } from '../../sim/wire/frame.js'
import type { RpcResult } from '../../sim/wire/request-client.js'
import { RequestClient } from '../../sim/wire/request-client.js'
import { World } from '../../sim/world/world.js'

export const CLUSTER_ID = 'Sj7yjkQ2SJuMBNDJ0iYbyg'

const TOLD = [
  'controller.active',
  'controller.resigned',
  'controller.topic',
  'controller.partition',
  'controller.broker',
  'controller.config',
] as const

export interface QuorumLabOptions {
  readonly controllers?: number
  readonly brokers?: number
  readonly config?: Readonly<Record<string, unknown>>
  readonly elr?: boolean
  readonly seed?: string
  readonly wire?: WireMode
}

interface Puppet {
  readonly requests: RequestClient
  readonly incarnation: string
  epoch: number
}

export class QuorumLab {
  readonly engine: Engine
  readonly world: World
  readonly controllers: readonly string[]
  readonly brokers: readonly string[]
  readonly events: TraceEvent[] = []
  #puppets = new Map<string, Puppet>()
  #active: string | undefined

  constructor(options: QuorumLabOptions = {}) {
    this.engine = new Engine(options.seed ?? 'quorum')
    this.world = new World(this.engine)
    this.controllers = Array.from({ length: options.controllers ?? 3 }, (_, i) => `c${i + 1}`)
    this.brokers = Array.from({ length: options.brokers ?? 3 }, (_, i) => `b${i + 1}`)
    const voters: Voter[] = this.controllers.map((node) => ({
      id: nodeId(node) ?? -1,
      node,
      directoryId: directoryOf(node),
    }))
    const features = new Map(defaultFeatureLevels(LATEST_METADATA_VERSION))
    if (options.elr === false) features.delete('eligible.leader.replicas.version')
    const wire = options.wire ?? 'reference'
    for (const name of this.controllers) {
      const id = nodeId(name) ?? -1
      const boot = bootController({ nodeId: id, clusterId: CLUSTER_ID, voters, config: options.config ?? {}, wire })
      const node = this.world.addNode(name, boot)
      formatStorage(node.mount(), {
        clusterId: CLUSTER_ID,
        nodeId: id,
        directoryId: directoryOf(name),
        initialControllers: voters,
        features,
        nowMs: 0,
      })
      node.disk.settle()
    }
    for (const name of this.brokers) this.world.addNode(name, (env) => this.#bootPuppet(env, wire))
    this.engine.trace.watch([...TOLD, 'node.down'], (event) => {
      if (event.type !== 'node.down') this.events.push(event)
      if (event.type === 'controller.active') this.#active = event.node
      if (event.type === 'controller.resigned' && this.#active === event.node) this.#active = undefined
      if (event.type === 'node.down' && this.#active === event.node) this.#active = undefined
    })
  }

  /** Starts everything, waits for an active controller that has written the bootstrap records. */
  boot(): this {
    for (const name of [...this.controllers, ...this.brokers]) this.start(name)
    assert(
      this.runUntil(() => this.#active !== undefined),
      'lab: no controller',
    )
    this.run(200)
    return this
  }

  start(name: string): void {
    assert(this.world.start(name).ok, 'lab: start', { name })
  }

  get active(): string {
    assert(this.#active !== undefined, 'lab: no active controller')
    return this.#active
  }

  get hasActive(): boolean {
    return this.#active !== undefined
  }

  run(ms: number): void {
    this.engine.run(this.engine.now + millis(ms))
  }

  runUntil(condition: () => boolean, ms = 30_000): boolean {
    for (let elapsed = 0; elapsed < ms; elapsed++) {
      if (condition()) return true
      this.run(1)
    }
    return condition()
  }

  // ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Sends without waiting. */
  send<A extends ApiName>(
    from: string,
    to: string,
    api: A,
    body: Apis[A]['request'],
    done: (result: RpcResult<A>) => void,
  ): void {
    this.puppet(from).requests.send(to, api, body, done)
  }

  /** Asks and runs until the answer is there. */
  ask<A extends ApiName>(from: string, api: A, body: Apis[A]['request'], to = this.active): Apis[A]['response'] {
    let result: RpcResult<A> | undefined
    this.send(from, to, api, body, (got) => (result = got))
    assert(
      this.runUntil(() => result !== undefined),
      'lab: no answer',
      { api },
    )
    assert(result?.ok === true, 'lab: request failed', { api, result })
    return result.response
  }

  /** Registers a puppet; the error's name. */
  register(broker: string): string {
    const puppet = this.puppet(broker)
    const response = this.ask(broker, 'BrokerRegistration', {
      brokerId: nodeId(broker) ?? -1,
      clusterId: CLUSTER_ID,
      incarnationId: puppet.incarnation,
      listeners: [{ name: 'PLAINTEXT', host: broker, port: 9092, securityProtocol: 0 }],
      features: [...SUPPORTED_FEATURES].map(([name, { min, max }]) => ({
        name,
        minSupportedVersion: min,
        maxSupportedVersion: max,
      })),
      rack: null,
      isMigratingZkBroker: false,
      logDirs: [directoryOf(broker)],
      previousBrokerEpoch: puppet.epoch,
    })
    if (response.errorCode === 0) puppet.epoch = response.brokerEpoch
    return errorName(response.errorCode)
  }

  heartbeat(
    broker: string,
    wish: { wantFence?: boolean; wantShutDown?: boolean; offset?: number } = {},
  ): Apis['BrokerHeartbeat']['response'] {
    return this.ask(broker, 'BrokerHeartbeat', this.heartbeatOf(broker, wish))
  }

  heartbeatOf(
    broker: string,
    wish: { wantFence?: boolean; wantShutDown?: boolean; offset?: number } = {},
  ): Apis['BrokerHeartbeat']['request'] {
    return {
      brokerId: nodeId(broker) ?? -1,
      brokerEpoch: this.puppet(broker).epoch,
      currentMetadataOffset: wish.offset ?? 1_000_000,
      wantFence: wish.wantFence ?? false,
      wantShutDown: wish.wantShutDown ?? false,
      offlineLogDirs: [],
    }
  }

  /** Every puppet registers and is unfenced. */
  joinAll(): void {
    for (const broker of this.brokers) {
      assert(this.register(broker) === 'NONE', 'lab: registration', { broker })
      assert(!this.heartbeat(broker).isFenced, 'lab: fenced', { broker })
    }
  }

  /** Keeps the sessions of these brokers alive for `ms`. */
  beat(brokers: readonly string[], ms: number): void {
    for (let elapsed = 0; elapsed < ms; elapsed += 2_000) {
      for (const broker of brokers)
        this.send(broker, this.active, 'BrokerHeartbeat', this.heartbeatOf(broker), () => {})
      this.run(Math.min(2_000, ms - elapsed))
    }
  }

  /** Creates a topic with these replica lists. */
  create(topic: string, lists: readonly (readonly number[])[], configs: Readonly<Record<string, string>> = {}): string {
    const response = this.ask(this.brokers[0] ?? '', 'CreateTopics', createRequest(topic, lists, configs))
    return errorName(response.topics[0]?.errorCode ?? -1)
  }

  puppet(broker: string): Puppet {
    const puppet = this.#puppets.get(broker)
    assert(puppet, 'lab: not a running puppet', { broker })
    return puppet
  }

  #bootPuppet(env: Env, wire: WireMode) {
    const requests = new RequestClient(env, { clientId: 'puppet', requestTimeoutMs: 60_000, wire })
    const epoch = this.#puppets.get(env.node)?.epoch ?? -1
    this.#puppets.set(env.node, { requests, incarnation: env.random.fork('incarnation').uuid(), epoch })
    return { stop: (done: () => void) => done() }
  }

  // ── what was told ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** One line for each event of the controllers since the last call; brokers by name, topic ids left out. */
  lines(): string[] {
    return this.events.splice(0).map(lineOf)
  }
}

export function createRequest(
  topic: string,
  lists: readonly (readonly number[])[],
  configs: Readonly<Record<string, string>> = {},
): Apis['CreateTopics']['request'] {
  return {
    topics: [
      {
        name: topic,
        numPartitions: -1,
        replicationFactor: -1,
        assignments: lists.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds })),
        configs: Object.entries(configs).map(([name, value]) => ({ name, value })),
      },
    ],
    timeoutMs: 30_000,
    validateOnly: false,
  }
}

/** Compares with `golden/<name>.txt`; UPDATE=1 writes it. */
export function golden(name: string, lines: readonly string[]): { actual: string; expected: string } {
  const path = fileURLToPath(new URL(`golden/${name}.txt`, import.meta.url))
  const actual = `${lines.join('\n')}\n`
  if (process.env['UPDATE'] === '1') writeFileSync(path, actual)
  return { actual, expected: readFileSync(path, 'utf8') }
}

function directoryOf(node: string): string {
  return `DIRECTORY-${node.padEnd(11, 'x')}A`
}

function lineOf(event: TraceEvent): string {
  const ids = (list: readonly number[]): string => list.join(',') || 'none'
  switch (event.type) {
    case 'controller.partition': {
      const { partition, leader, leaderEpoch, partitionEpoch, isr, elr, adding, removing, unclean, reason } = event.data
      const parts = [
        `partition ${partition}: leader ${leader < 0 ? 'none' : nodeName(leader)} epoch ${leaderEpoch}/${partitionEpoch} isr ${ids(isr)}`,
      ]
      if (elr.length > 0) parts.push(`elr ${ids(elr)}`)
      if (adding.length > 0) parts.push(`adding ${ids(adding)}`)
      if (removing.length > 0) parts.push(`removing ${ids(removing)}`)
      return `${parts.join(' ')}${unclean ? ' UNCLEAN' : ''} (${reason})`
    }
    case 'controller.broker':
      return `broker ${nodeName(event.data.broker)}: ${event.data.change} (${event.data.reason})`
    case 'controller.topic':
      return `topic ${event.data.topic}: ${event.data.change}, ${event.data.partitions}×${event.data.replicationFactor}`
    case 'controller.config':
      return `config ${event.data.resource}: ${event.data.name}=${event.data.value ?? 'default'}`
    case 'controller.active':
      return `active: epoch ${event.data.epoch}`
    case 'controller.resigned':
      return `resigned: epoch ${event.data.epoch} (${event.data.reason})`
    default:
      return event.type
  }
}
