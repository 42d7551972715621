/**
 * A steady cluster, the leader-crash scenario, and what idle nodes cost.
 */

import { join } from 'node:path'
import { readFileSync } from 'node:fs'
import { Cluster } from '../../sim/cluster/cluster.js'
import type { ClusterSpec } from '../../sim/cluster/cluster-spec.js'
import { Producer } from '../../sim/client/producer.js'
import { parseProducerConfig } from '../../sim/client/producer-config.js'
import { encode } from '../../sim/client/workload-record.js'
import { Engine } from '../../sim/kernel/engine.js'
import type { Env, Program } from '../../sim/kernel/env.js'
import { loadScenarios, readYaml } from '../../sim/scenario/load.js'
import { runScenario } from '../../sim/scenario/run.js'
import { busySeconds, median, type Figure } from './measure.js'

const EMPTY = {
  config: {},
  nodes: {},
  racks: {},
  topics: {},
  features: {},
  zookeeper: { servers: 0, config: {} },
  network: {},
}
const SECOND = 1_000_000

function started(brokers: number, topics: ClusterSpec['topics']): Cluster {
  const spec: ClusterSpec = {
    mode: 'kraft',
    brokers,
    controllers: 3,
    ...EMPTY,
    topics,
    config: { 'min.insync.replicas': 2 },
  }
  const cluster = new Cluster(new Engine('bench'), spec)
  cluster.startAll()
  cluster.admin.prepare({ topics, brokers, mode: 'kraft' })
  cluster.engine.run(10 * SECOND)
  return cluster
}

/** Keeps one record in flight: each answer sends the next. */
class ClosedLoop implements Program {
  readonly #producer: Producer
  readonly #value = encode('load/0', 100)

  constructor(env: Env) {
    const config = parseProducerConfig({ acks: 'all', 'linger.ms': 0 })
    this.#producer = new Producer(env, config, ['b1', 'b2', 'b3'])
    this.#send()
  }

  stop(done: () => void): void {
    this.#producer.close(done)
  }

  #send(): void {
    this.#producer.send({ topic: 'orders', id: 'load/0', value: this.#value }, () => this.#send())
  }
}

/** Requests and responses a CPU second: produce with acks=all, RF 3, and the followers' fetches. */
export function steadyBench(): Figure[] {
  const cluster = started(3, { orders: { partitions: 3, replicationFactor: 3, config: {} } })
  for (let i = 1; i <= 6; i++) {
    cluster.addClient(`p${i}`, (env) => new ClosedLoop(env))
    cluster.start(`p${i}`)
  }
  let messages = 0
  cluster.engine.trace.watch(['request.send', 'response.send'], () => messages++)
  const value = median(7, () => {
    messages = 0
    const seconds = busySeconds(() => cluster.engine.run(cluster.engine.now + 2 * SECOND))
    return messages / seconds
  })
  return [{ name: 'requests and responses, steady, RF 3, acks=all', value, unit: 'messages/s' }]
}

/** The same story in both modes: what ZooKeeper mode costs beside KRaft. */
export async function modesBench(root: string): Promise<Figure[]> {
  const loaded = await loadScenarios(join(root, 'scenarios/zookeeper/failover-side-by-side.yaml'))
  return loaded.map(({ scenario }) => {
    let simulated = 0
    const seconds = median(5, () =>
      busySeconds(() => {
        simulated = 0
        for (let seed = 1; seed <= 10; seed++) simulated += runScenario(scenario, { seed }).endedAt / SECOND
      }),
    )
    return { name: `${scenario.name}: simulated time`, value: simulated / seconds, unit: 's/s' }
  })
}

export function scenarioBench(root: string): Figure[] {
  const file = join(root, 'scenarios/replication/leader-crash-acks-all.yaml')
  const scenario = readYaml(readFileSync(file, 'utf8'), file)
  const seeds = 20
  let simulated = 0
  const seconds = median(5, () =>
    busySeconds(() => {
      simulated = 0
      for (let seed = 1; seed <= seeds; seed++) simulated += runScenario(scenario, { seed }).endedAt / SECOND
    }),
  )
  return [
    { name: 'leader crash: simulated time', value: simulated / seconds, unit: 's/s' },
    { name: 'leader crash: seeds', value: seeds / seconds, unit: 'seeds/s' },
  ]
}

export function idleBench(): Figure[] {
  const cost = (brokers: number): number => {
    const cluster = started(brokers, {})
    return median(5, () => (busySeconds(() => cluster.engine.run(cluster.engine.now + 20 * SECOND)) / 20) * 1_000)
  }
  const few = cost(3)
  const many = cost(30)
  return [
    { name: 'idle cluster of 3 brokers', value: few, unit: 'ms CPU per simulated s' },
    { name: 'idle cluster of 30 brokers', value: many, unit: 'ms CPU per simulated s' },
  ]
}
