/**
 * An ensemble under random faults, with clients that write, read, watch and hold ephemerals; judged by the oracles.
 *
 * Everything is drawn from the seed. Faults overlap; after `faultsMs` all of them end, everything is started, and the ensemble has to settle: a leader, every
 * server serving, the same tree everywhere, and clients whose writes succeed.
 */

import type { Env } from '../../sim/kernel/env.js'
import type { Random } from '../../sim/kernel/random.js'
import type { OracleReport } from '../../sim/oracle/oracle.js'
import { ZooKeeperHistory } from '../../sim/oracle/zookeeper.js'
import { ZooKeeperSessions } from '../../sim/oracle/zookeeper-sessions.js'
import { ZooKeeperClient } from '../../sim/zookeeper/client/zookeeper-client.js'
import { bytes, Ensemble } from './lab.js'

export interface ChaosOptions {
  readonly servers: number
  readonly observers: number
  readonly clients: number
  readonly faultsMs: number
  readonly config: Readonly<Record<string, unknown>>
}

export interface ChaosResult {
  readonly reports: readonly OracleReport[]
  /** Violations and what did not settle; empty when all is well. */
  readonly problems: readonly string[]
  readonly hash: string
  readonly committed: number
  readonly elections: number
  readonly modes: ReadonlySet<string>
}

const PATHS = ['/a', '/b', '/c', '/d']

/** A client that always has something to do, and opens another session when its own has expired. */
class BusyClient {
  readonly #env: Env
  readonly #random: Random
  readonly #servers: readonly string[]
  #zk: ZooKeeperClient
  succeeded = 0

  constructor(env: Env, servers: readonly string[]) {
    this.#env = env
    this.#random = env.random.fork('busy')
    this.#servers = servers
    this.#zk = this.#open()
    this.#next()
  }

  #open(): ZooKeeperClient {
    const options = { servers: this.#servers, sessionTimeoutMs: this.#random.pick([4_000, 6_000]) }
    return new ZooKeeperClient(this.#env, options, {
      onConnected: () => undefined,
      onDisconnected: () => undefined,
      onExpired: () => (this.#zk = this.#open()),
      onWatch: ({ path }) => this.#zk.exists(path, true, () => undefined),
    })
  }

  #next(): void {
    this.#env.after(this.#random.between(1, 120), () => {
      this.#act()
      this.#next()
    })
  }

  #act(): void {
    const zk = this.#zk
    const random = this.#random
    const path = random.pick(PATHS)
    const done = ({ ok }: { ok: boolean }): void => void (ok && this.succeeded++)
    const data = bytes('x'.repeat(random.int(200)))
    random.weighted<() => void>([
      [3, () => zk.create(path, data, 'PERSISTENT', done)],
      [4, () => zk.create(`${path}/e-`, data, 'EPHEMERAL_SEQUENTIAL', done)],
      [2, () => zk.create(`/${this.#env.node}`, data, 'EPHEMERAL', done)],
      [6, () => zk.setData(path, data, random.chance(0.7) ? -1 : random.int(4), done)],
      [
        2,
        () => zk.delete(random.chance(0.3) ? path : `${path}/e-${String(random.int(30)).padStart(10, '0')}`, -1, done),
      ],
      [3, () => zk.getData(path, true, done)],
      [3, () => zk.getChildren(path, true, done)],
      [2, () => zk.exists(`${path}/nothing`, random.chance(0.5), done)],
      [1, () => zk.sync(path, done)],
      [
        2,
        () =>
          zk.multi(
            [
              { op: 'setData', path, data, version: -1 },
              { op: 'create', path: `${path}/m-`, data: null, mode: 'PERSISTENT_SEQUENTIAL' },
              { op: 'check', path, version: random.chance(0.5) ? -1 : 3 },
            ],
            done,
          ),
      ],
      [1, () => random.chance(0.1) && zk.close(() => (this.#zk = this.#open()))],
    ])()
  }
}

export function chaos(seed: string, options: ChaosOptions): ChaosResult {
  const { servers, observers, config } = options
  const ensemble = new Ensemble({ servers, observers, seed, config })
  const { engine, world } = ensemble
  const oracles = [new ZooKeeperHistory(), new ZooKeeperSessions()] as const
  for (const oracle of oracles) engine.trace.watch(oracle.watches, (event) => oracle.observe(event))
  let committed = 0
  let elections = 0
  const modes = new Set<string>()
  engine.trace.watch(['zk.commit', 'zk.leading', 'zk.sync'], (event) => {
    if (event.type === 'zk.commit') committed++
    else if (event.type === 'zk.leading') elections++
    else if (event.type === 'zk.sync') modes.add(event.data.mode)
  })
  const busy: BusyClient[] = []
  for (let i = 1; i <= options.clients; i++) {
    world.addNode(`k${i}`, (env) => {
      busy.push(new BusyClient(env, ensemble.names))
      return { stop: (done) => done() }
    })
    world.start(`k${i}`)
  }
  ensemble.startAll()
  ensemble.runUntil(() => ensemble.isSettled, 30_000, 10)
  const end = injectFaults(ensemble, engine.random.fork('chaos'), options.faultsMs)
  end()
  const problems: string[] = []
  const settled = (): boolean => {
    // Some were still on their way out.
    restart(ensemble, ensemble.names)
    return ensemble.isSettled
  }
  if (!ensemble.runUntil(settled, 90_000, 50)) {
    problems.push(`not settled: ${[...ensemble.states].map(([name, state]) => `${name} ${state}`).join(', ')}`)
  }
  const before = busy.map((client) => client.succeeded)
  ensemble.run(12_000)
  busy.forEach((client, i) => {
    if (client.succeeded === before[i]) problems.push(`a client gets nothing done`)
  })
  const time = engine.now
  const reports = [
    ...oracles.map((oracle) => oracle.finish({ time, lastSequence: engine.trace.sequence, lastFaultEnd: time })),
    ...[oracles[0].survive, oracles[0].leaders, oracles[1].fired, oracles[1].liveOut].map((each) => each.report()),
  ]
  for (const report of reports) for (const { message } of report.violations) problems.push(`${report.name}: ${message}`)
  return { reports, problems, hash: engine.trace.hash, committed, elections, modes }
}

/** Lets faults happen for a while; returns how to end them all. */
function injectFaults(ensemble: Ensemble, random: Random, forMs: number): () => void {
  const { engine, world } = ensemble
  const until = engine.now + forMs * 1_000
  const active: { remove(): void }[] = []
  const names = ensemble.names
  const everybody = (): string[] => [
    ...names,
    ...world.nodes.map((node) => node.name).filter((name) => name.startsWith('k')),
  ]
  while (engine.now < until) {
    ensemble.run(random.between(20, 2_500))
    const node = random.pick(names)
    const { disk } = world.node(node)
    random.weighted<() => void>([
      [4, () => void world.kill(node)],
      [3, () => void world.powerLoss(node)],
      [2, () => void world.stop(node)],
      [2, () => void world.pause(node)],
      [
        3,
        () => {
          for (const name of names) world.kill(name)
        },
      ],
      [
        2,
        () => {
          for (const name of names) world.powerLoss(name)
        },
      ],
      [4, () => void active.push(partition(ensemble, random, everybody()))],
      [2, () => void active.push(world.network.partition([[node], everybody().filter((name) => name !== node)]))],
      [2, () => void active.push(disk.slow({ addedMicros: random.between(1_000, 400_000) }))],
      [1, () => void active.push(world.network.oneWay([node], 'all'))],
      [1, () => void active.push(world.network.loss(random.pick([0.05, 0.3])))],
      [1, () => void active.push(world.network.latency({ fixedMicros: random.between(1_000, 300_000) }))],
      [1, () => world.node(node).clock.jump(random.between(-60_000, 60_000))],
      [1, () => world.node(node).clock.drift(random.between(-20_000, 20_000))],
      [1, () => void active.push(disk.hang())],
      [1, () => void active.push(disk.fail())],
      [6, () => void active.splice(random.int(active.length + 1), 1)[0]?.remove()],
      [6, () => restart(ensemble, names)],
    ])()
    if (random.chance(0.4)) restart(ensemble, names)
  }
  return () => {
    for (const fault of active) fault.remove()
    restart(ensemble, names)
  }
}

function restart(ensemble: Ensemble, names: readonly string[]): void {
  for (const name of names) {
    ensemble.world.resume(name)
    ensemble.world.start(name)
  }
}

function partition(ensemble: Ensemble, random: Random, nodes: readonly string[]): { remove(): void } {
  const order = random.shuffle(nodes)
  const at = random.between(1, order.length - 1)
  return ensemble.world.network.partition([order.slice(0, at), order.slice(at)])
}
