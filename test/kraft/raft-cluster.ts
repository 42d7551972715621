/**
 * A metadata quorum on the real world room, for tests: voters c1…, observers b1…, a state machine that remembers what it was given.
 *
 * The state machine checks what a listener is promised: every offset once and in order, no gaps, snapshots only forward, and
 * leadership only after everything before its epoch.
 */

import { parseConfig } from '../../sim/kernel/config-def.js'
import { Engine } from '../../sim/kernel/engine.js'
import type { Boot, Env } from '../../sim/kernel/env.js'
import { assert } from '../../sim/kernel/errors.js'
import { nodeId } from '../../sim/kernel/names.js'
import type { Offset } from '../../sim/kernel/units.js'
import { millis } from '../../sim/kernel/units.js'
import { formatStorage } from '../../sim/kraft/format-storage.js'
import { defaultFeatureLevels, LATEST_METADATA_VERSION } from '../../sim/kraft/metadata/metadata-version.js'
import type { QuorumConfig } from '../../sim/kraft/quorum-config.js'
import { QUORUM_SETTINGS } from '../../sim/kraft/quorum-config.js'
import type { NOT_LEADER } from '../../sim/kraft/raft-client.js'
import { RaftClient } from '../../sim/kraft/raft-client.js'
import type { CommittedBatch, LeaderAndEpoch, LoadedSnapshot, RaftListener } from '../../sim/kraft/raft-listener.js'
import type { RaftRequest } from '../../sim/kraft/raft-messages.js'
import type { Voter } from '../../sim/kraft/voter-set.js'
import type { WireMode } from '../../sim/wire/request-client.js'
import { RequestClient } from '../../sim/wire/request-client.js'
import { serve } from '../../sim/wire/request-server.js'
import { World } from '../../sim/world/world.js'

export const CLUSTER_ID = 'Sj7yjkQ2SJuMBNDJ0iYbyg'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export const TEXT_CODEC = {
  encode: (record: string): Uint8Array => encoder.encode(record),
  decode: (bytes: Uint8Array): string => decoder.decode(bytes),
}

export interface ClusterOptions {
  readonly voters: number
  readonly observers?: number
  readonly seed?: string
  readonly config?: Readonly<Record<string, unknown>>
  readonly wire?: WireMode
}

/** What one process was given: the value at each offset that a record has. */
export class StateMachine implements RaftListener<string> {
  readonly #client: () => RaftClient<string>
  readonly values = new Map<Offset, string>()
  nextOffset: Offset = 0
  epoch = 0
  snapshots = 0
  leader: LeaderAndEpoch = { leaderId: -1, epoch: 0 }
  readonly leaders: LeaderAndEpoch[] = []

  constructor(client: () => RaftClient<string>) {
    this.#client = client
  }

  handleCommit(batches: readonly CommittedBatch<string>[]): void {
    for (const batch of batches) {
      assert(batch.baseOffset === this.nextOffset, 'listener: gap', { at: batch.baseOffset, expected: this.nextOffset })
      assert(batch.epoch >= this.epoch, 'listener: epoch fell', { from: this.epoch, to: batch.epoch })
      batch.records.forEach((record, i) => this.values.set(batch.baseOffset + i, record))
      this.nextOffset = batch.lastOffset + 1
      this.epoch = batch.epoch
    }
  }

  handleLoadSnapshot(snapshot: LoadedSnapshot<string>): void {
    assert(snapshot.endOffset >= this.nextOffset, 'listener: older snapshot', { endOffset: snapshot.endOffset })
    this.values.clear()
    for (const record of snapshot.records) {
      const at = record.indexOf('@')
      this.values.set(Number(record.slice(0, at)), record.slice(at + 1))
    }
    this.nextOffset = snapshot.endOffset
    this.epoch = snapshot.epoch
    this.snapshots++
  }

  handleLeaderChange(leader: LeaderAndEpoch): void {
    assert(leader.epoch >= this.leader.epoch, 'listener: leader of an older epoch', { leader })
    this.leader = leader
    this.leaders.push(leader)
  }

  beginShutdown(): void {}

  get isWritable(): boolean {
    return this.#client().isLeader && this.leader.epoch === this.#client().leader.epoch && this.leader.leaderId >= 0
  }

  /** The records of a snapshot: `offset@value`. */
  image(): string[] {
    return [...this.values].map(([offset, value]) => `${offset}@${value}`)
  }
}

interface Running {
  readonly client: RaftClient<string>
  readonly machine: StateMachine
  readonly requests: RequestClient
}

export class RaftCluster {
  readonly engine: Engine
  readonly world: World
  readonly voters: readonly Voter[]
  readonly observers: readonly string[]
  readonly config: QuorumConfig
  readonly running = new Map<string, Running>()
  readonly #options: ClusterOptions

  constructor(options: ClusterOptions) {
    this.#options = options
    this.engine = new Engine(options.seed ?? 'raft')
    this.world = new World(this.engine)
    const problems: never[] = []
    this.config = parseConfig(QUORUM_SETTINGS, options.config ?? {}, problems)
    assert(problems.length === 0, 'config', { problems })
    const names = Array.from({ length: options.voters }, (_, i) => `c${i + 1}`)
    this.voters = names.map((node) => ({ id: nodeId(node) ?? -1, node, directoryId: this.#directoryId(node) }))
    this.observers = Array.from({ length: options.observers ?? 0 }, (_, i) => `b${i + 1}`)
    for (const name of this.names) this.#addNode(name)
    this.world.onNodeDown((name) => this.running.delete(name))
  }

  get names(): readonly string[] {
    return [...this.voters.map((voter) => voter.node), ...this.observers]
  }

  #directoryId(name: string): string {
    return this.engine.random.fork(`directory/${name}`).uuid()
  }

  #addNode(name: string): void {
    const node = this.world.addNode(name, this.boot(this.#directoryId(name)))
    this.format(name, this.#directoryId(name))
    node.disk.settle()
  }

  format(name: string, directoryId: string): void {
    const node = this.world.node(name)
    formatStorage(node.mount(), {
      clusterId: CLUSTER_ID,
      nodeId: nodeId(name) ?? -1,
      directoryId,
      initialControllers: name.startsWith('c') ? this.voters : undefined,
      features: defaultFeatureLevels(LATEST_METADATA_VERSION),
      nowMs: 0,
    })
  }

  boot(directoryId: string): Boot {
    return (env: Env) => {
      const id = nodeId(env.node) ?? -1
      const settings = {
        requestTimeoutMs: 2_000,
        maxInFlight: 1,
        reconnectBackoffMaxMs: 500,
        wire: this.#options.wire ?? 'reference',
      }
      const requests = new RequestClient(env, { ...settings, clientId: `raft-client-${id}` })
      const bootstrapRequests = new RequestClient(env, { ...settings, clientId: `raft-client-${id}-bootstrap` })
      const client = new RaftClient<string>(env, {
        nodeId: id,
        directoryId,
        clusterId: CLUSTER_ID,
        voters: this.voters,
        config: this.config,
        codec: TEXT_CODEC,
        requests,
        bootstrapRequests,
      })
      serve(env, (request) => client.handle(request as RaftRequest), { wire: this.#options.wire ?? 'reference' })
      const machine = new StateMachine(() => client)
      this.running.set(env.node, { client, machine, requests })
      client.register(machine)
      client.start()
      return { stop: (done) => client.shutdown(() => done()) }
    }
  }

  startAll(): void {
    for (const name of this.names) this.start(name)
  }

  start(name: string): void {
    assert(this.world.start(name).ok, 'start', { name })
  }

  /** Virtual time goes on. */
  run(ms: number): void {
    this.engine.run(this.engine.now + millis(ms))
  }

  /** Runs until `condition` holds, looking every `stepMs`; false when it does not within `ms`. */
  runUntil(condition: () => boolean, ms = 30_000, stepMs = 1): boolean {
    for (let elapsed = 0; elapsed < ms; elapsed += stepMs) {
      if (condition()) return true
      this.run(stepMs)
    }
    return condition()
  }

  /** The node that leads the largest epoch. */
  get leader(): string | undefined {
    let best: { name: string; epoch: number } | undefined
    for (const [name, { client }] of this.running) {
      if (!client.isLeader) continue
      if (best === undefined || client.leader.epoch > best.epoch) best = { name, epoch: client.leader.epoch }
    }
    return best?.name
  }

  /** All running nodes know the same leader, which runs. */
  get hasConsistentLeader(): boolean {
    const { leader } = this
    if (leader === undefined) return false
    const { leader: known } = this.client(leader)
    return [...this.running.values()].every(
      ({ client }) => client.leader.leaderId === known.leaderId && client.leader.epoch === known.epoch,
    )
  }

  client(name: string): RaftClient<string> {
    const running = this.running.get(name)
    assert(running !== undefined, 'not running', { name })
    return running.client
  }

  machine(name: string): StateMachine {
    const running = this.running.get(name)
    assert(running !== undefined, 'not running', { name })
    return running.machine
  }

  /** Appends on `name`, if it leads. */
  append(name: string, ...records: string[]): Offset | typeof NOT_LEADER {
    const client = this.client(name)
    return client.scheduleAppend(client.leader.epoch, records)
  }

  /** Every running node's high watermark is at least `offset`. */
  allReached(offset: Offset, names: readonly string[] = [...this.running.keys()]): boolean {
    return names.every((name) => (this.running.get(name)?.client.highWatermark ?? -1) >= offset)
  }
}
