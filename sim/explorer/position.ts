/**
 * A run that stands at an event, for looking into its nodes: disks, connections, what programs tell of themselves.
 *
 * A run is a pure function, so any moment is reached by running its beginning again; going forward costs only what lies between. Handlers
 * run to completion, so the run stands at the end of the handler that emitted the event.
 */

import type { BrokerView } from '../broker/broker-server.js'
import { BrokerServer } from '../broker/broker-server.js'
import type { NodeName } from '../kernel/names.js'
import { Run } from '../scenario/run.js'
import type { ConnectionView } from '../world/network.js'
import type { NodeView } from '../world/world.js'
import { ZooKeeperServer, type ZooKeeperView } from '../zookeeper/zookeeper-server.js'
import type { Recording } from './recording.js'

export interface Insight {
  readonly node: NodeView
  readonly connections: readonly ConnectionView[]
  /** Brokers only, while they run. */
  readonly broker?: BrokerView
  /** ZooKeeper servers only, while they run. */
  readonly zookeeper?: ZooKeeperView
}

export class Position {
  readonly #recording: Recording
  #run: Run | undefined
  #wanted = 0

  constructor(recording: Recording) {
    this.#recording = recording
  }

  /** Where it is to stand. */
  seek(seq: number): void {
    this.#wanted = seq
    if (this.#run !== undefined && this.#run.engine.trace.sequence > seq) this.#run = undefined
  }

  /** It stands where it was told to. */
  get isThere(): boolean {
    return this.#run !== undefined && this.#run.engine.trace.sequence >= this.#wanted
  }

  /** Runs on until it stands there, or the time is up. True while it has to go on. */
  advance(isTimeUp: () => boolean): boolean {
    if (this.isThere) return false
    if (this.#run === undefined) {
      this.#run = new Run(this.#recording.scenario, { seed: this.#recording.options.seed })
      this.#run.prepare()
    }
    const { engine } = this.#run
    for (let left = 200; engine.trace.sequence < this.#wanted; left--) {
      if (!engine.step()) break
      if (left > 0) continue
      if (isTimeUp()) return true
      left = 200
    }
    return false
  }

  /** What `node` is like there; undefined on the way, or when there is no such node yet. */
  insight(node: NodeName): Insight | undefined {
    if (this.#run === undefined || !this.isThere) return undefined
    const { world } = this.#run.cluster
    const { nodes, connections } = world.describe()
    const view = nodes.find(({ name }) => name === node)
    if (view === undefined) return undefined
    const { program } = world.node(node)
    return {
      node: view,
      connections: connections.filter((connection) => connection.node === node),
      ...(program instanceof BrokerServer && { broker: program.inspect() }),
      ...(program instanceof ZooKeeperServer && { zookeeper: program.inspect() }),
    }
  }
}
