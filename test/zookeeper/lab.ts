/**
 * A small ensemble to break: engine, world, servers z1…, observers after them, and clients that write down what they are told.
 */

import { Engine } from '../../sim/kernel/engine.js'
import type { Disk, Env } from '../../sim/kernel/env.js'
import { assert } from '../../sim/kernel/errors.js'
import type { TraceEvent } from '../../sim/kernel/events.js'
import { millis } from '../../sim/kernel/units.js'
import { World, type WorldOptions } from '../../sim/world/world.js'
import { ZooKeeperClient } from '../../sim/zookeeper/client/zookeeper-client.js'
import type { EnsembleMember } from '../../sim/zookeeper/quorum-peer.js'
import { writeMyId } from '../../sim/zookeeper/storage/epoch-files.js'
import { loadSnapshot } from '../../sim/zookeeper/storage/snapshot-file.js'
import { TxnLog } from '../../sim/zookeeper/storage/txn-log.js'
import { counterOf, epochOf } from '../../sim/zookeeper/zxid.js'
import { bootZooKeeper } from '../../sim/zookeeper/zookeeper-server.js'

export interface EnsembleOptions {
  readonly servers: number
  readonly observers?: number
  readonly seed?: string
  readonly config?: Readonly<Record<string, unknown>>
  readonly world?: WorldOptions
}

export class Ensemble {
  readonly engine: Engine
  readonly world: World
  readonly members: readonly EnsembleMember[]
  /** What clients were told, in order. */
  readonly told: string[] = []
  /** State and epoch of each running server, from the trace. */
  readonly states = new Map<string, string>()
  readonly serving = new Set<string>()
  readonly clients = new Map<string, TestClient>()

  constructor(options: EnsembleOptions) {
    this.engine = new Engine(options.seed ?? 'zookeeper')
    this.world = new World(this.engine, options.world)
    const count = options.servers + (options.observers ?? 0)
    this.members = Array.from({ length: count }, (_, i) => ({
      sid: i + 1,
      node: `z${i + 1}`,
      role: i < options.servers ? 'participant' : 'observer',
    }))
    const boot = bootZooKeeper({ config: options.config ?? {}, members: this.members })
    for (const { node, sid } of this.members) {
      writeMyId(this.world.addNode(node, boot).mount(), sid)
      this.world.node(node).disk.settle()
    }
    this.engine.trace.watch('all', (event) => this.#follow(event))
  }

  get names(): readonly string[] {
    return this.members.map((member) => member.node)
  }

  startAll(): void {
    for (const name of this.names) this.start(name)
  }

  start(name: string): void {
    const outcome = this.world.start(name)
    assert(outcome.ok, 'start', { name, outcome })
  }

  run(ms: number): void {
    this.engine.run(this.engine.now + millis(ms))
  }

  /** Runs until `condition` holds, looking every `stepMs`; false when it does not within `ms`. */
  runUntil(condition: () => boolean, ms = 60_000, stepMs = 1): boolean {
    for (let elapsed = 0; elapsed < ms; elapsed += stepMs) {
      if (condition()) return true
      this.run(stepMs)
    }
    return condition()
  }

  /** The server that leads and serves. */
  get leader(): string | undefined {
    return [...this.serving].find((name) => this.states.get(name) === 'leading')
  }

  /** Every running server serves. */
  get isSettled(): boolean {
    return this.leader !== undefined && this.names.every((name) => this.serving.has(name) || !this.states.has(name))
  }

  client(name: string, timeoutMs = 6_000, servers = this.names): TestClient {
    const client = new TestClient(this, name, timeoutMs, servers)
    this.clients.set(name, client)
    return client
  }

  /** Name → state, last transaction and znodes, as far as the disk of each server tells when nothing is on the way. */
  summary(): [string, string][] {
    return this.names.map((name) => {
      const state = this.states.get(name)
      const disk = this.world.node(name).mount()
      const { zxid, paths } = contentOf(disk)
      const history = `${zxid}, [${paths.join(' ')}]`
      return [
        name,
        `${state === undefined ? 'down' : `${state}${this.serving.has(name) ? ', serving' : ''}`}, disk at ${history}`,
      ]
    })
  }

  #follow(event: TraceEvent): void {
    switch (event.type) {
      case 'node.start':
        if (this.names.includes(event.node)) this.states.set(event.node, 'looking')
        return
      case 'node.down':
        this.states.delete(event.node)
        this.serving.delete(event.node)
        return
      case 'zk.state':
        this.states.set(event.node, event.data.to)
        this.serving.delete(event.node)
        return
      case 'zk.leading':
      case 'zk.serving':
        this.serving.add(event.node)
        return
      default:
        return
    }
  }
}

/** What a server would find on this disk. */
function contentOf(disk: Disk): { zxid: string; paths: string[] } {
  const snapshot = loadSnapshot(disk)
  if (typeof snapshot === 'string') return { zxid: snapshot, paths: [] }
  const { tree } = snapshot
  for (const { entry } of new TxnLog(disk).read(tree.lastProcessedZxid + 1)) tree.apply(entry.header, entry.txn)
  const zxid = `e${epochOf(tree.lastProcessedZxid)}:${counterOf(tree.lastProcessedZxid)}`
  const paths = [...tree.nodes.keys()].filter((path) => path !== '/' && !path.startsWith('/zookeeper')).sort()
  return { zxid, paths }
}

const decoder = new TextDecoder()
const encoder = new TextEncoder()

export function bytes(text: string): Uint8Array {
  return encoder.encode(text)
}

/** A node with one session at a time; a new one after each expiry when asked for. */
export class TestClient {
  readonly #ensemble: Ensemble
  readonly name: string
  readonly #timeoutMs: number
  readonly #servers: readonly string[]
  #env: Env | undefined
  #zk: ZooKeeperClient | undefined
  readonly events: string[] = []
  onTold: ((what: string) => void) | undefined

  constructor(ensemble: Ensemble, name: string, timeoutMs: number, servers: readonly string[]) {
    this.#ensemble = ensemble
    this.name = name
    this.#timeoutMs = timeoutMs
    this.#servers = servers
    ensemble.world.addNode(name, (env) => {
      this.#env = env
      this.open()
      return { stop: (done) => done() }
    })
    assert(ensemble.world.start(name).ok, 'client: start')
    ensemble.run(0)
  }

  get zk(): ZooKeeperClient {
    assert(this.#zk !== undefined, 'client: not there')
    return this.#zk
  }

  open(): void {
    const env = this.#env as Env
    const tell = (what: string) => (): void => this.tell(what)
    this.#zk = new ZooKeeperClient(
      env,
      { servers: this.#servers, sessionTimeoutMs: this.#timeoutMs },
      {
        onConnected: tell('connected'),
        onDisconnected: tell('disconnected'),
        onExpired: tell('expired'),
        onWatch: ({ type, path }) => this.tell(`${type} ${path}`),
      },
    )
  }

  tell(what: string): void {
    this.events.push(what)
    this.#ensemble.told.push(`${this.name}: ${what}`)
    this.onTold?.(what)
  }

  /** Calls, runs until the answer, and gives it as text. */
  ask(call: (zk: ZooKeeperClient, done: (result: { ok: boolean }) => void) => void, ms = 60_000): string {
    let answer: string | undefined
    call(this.zk, (result) => (answer = textOf(result)))
    this.#ensemble.runUntil(() => answer !== undefined, ms)
    return answer ?? 'no answer'
  }
}

/** The essence of an answer. */
export function textOf(result: { ok: boolean } & Record<string, unknown>): string {
  if (!result.ok && result.results === undefined) return result.error as string
  const parts: string[] = []
  if (!result.ok) parts.push(result.error as string)
  if (typeof result.path === 'string') parts.push(result.path)
  if (result.data instanceof Uint8Array) parts.push(decoder.decode(result.data))
  if (Array.isArray(result.children)) parts.push(`[${result.children.join(' ')}]`)
  if (result.stat !== undefined) parts.push(`v${(result.stat as { version: number }).version}`)
  if (Array.isArray(result.results)) {
    parts.push(
      ...(result.results as { op: string; error?: string; path?: string }[]).map((each) =>
        each.op === 'error' ? String(each.error) : `${each.op}${each.path === undefined ? '' : ` ${each.path}`}`,
      ),
    )
  }
  return parts.length === 0 ? 'ok' : parts.join(' ')
}
