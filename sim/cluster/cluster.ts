/**
 * A whole cluster on a simulated world: built from a specification, started, and operated from outside.
 *
 * Brokers and controllers get a formatted disk and nothing else (in ZooKeeper mode brokers an empty one, and servers of the ensemble their `myid`); they
 * find one another through the network. A broker of ZooKeeper mode that ends because it cannot join is started again, as service managers do.
 * Everything a scenario or
 * the explorer does to the cluster goes through here: starting and ending processes, disks, clocks, network rules, new brokers. What an
 * administrator does (topics, reassignments) goes through the admin client, over the wire.
 */

import { bootBroker } from '../broker/broker-server.js'
import { bootController } from '../controller/controller-server.js'
import type { Engine } from '../kernel/engine.js'
import { assert } from '../kernel/errors.js'
import type { Boot } from '../kernel/env.js'
import type { TraceEvent } from '../kernel/events.js'
import { nodeId, type NodeName, zookeeperId, zookeeperName } from '../kernel/names.js'
import type { Random } from '../kernel/random.js'
import type { Micros } from '../kernel/units.js'
import { formatStorage } from '../kraft/format-storage.js'
import type { WireMode } from '../wire/frame.js'
import type { HostClock } from '../world/clock.js'
import type { SimDisk } from '../world/disk.js'
import type { SimNetwork } from '../world/network.js'
import { World } from '../world/world.js'
import { writeMyId } from '../zookeeper/storage/epoch-files.js'
import { bootZooKeeper } from '../zookeeper/zookeeper-server.js'
import { AdminNode } from './admin-node.js'
import type { ClusterSpec, RawConfig } from './cluster-spec.js'
import { featureLevels } from './cluster-config.js'
import { ClusterView } from './cluster-view.js'
import { LOST_SESSION, NO_ENSEMBLE, ZNODE_EXISTS } from '../broker/zookeeper/zk-membership.js'
import { zookeeperSide } from './zookeeper-side.js'

/** The node on which the cluster's own admin client runs. */
export const ADMIN_NODE: NodeName = 'admin'
/** Who brokers, controllers and the cluster's own admin client are; a super user wherever there is an authorizer. */
export const CLUSTER_PRINCIPAL = 'User:kafka'

/** Ends of a broker's process after which it is started again, and how long that takes (systemd's Restart=on-failure with RestartSec=5). */
const RESTARTED: readonly string[] = [NO_ENSEMBLE, ZNODE_EXISTS, LOST_SESSION]
const RESTART_DELAY: Micros = 5_000_000

export class Cluster {
  readonly engine: Engine
  readonly world: World
  readonly view: ClusterView
  readonly spec: ClusterSpec
  readonly admin: AdminNode
  readonly brokers: NodeName[]
  readonly controllers: readonly NodeName[]
  /** Servers of the ensemble; none in KRaft mode. */
  readonly zookeeper: readonly NodeName[]
  readonly #wire: WireMode
  readonly #random: Random
  readonly #clusterId: string
  readonly #directoryIds = new Map<NodeName, string>()
  /** Nodes to be started when their process, which is on its way out, has ended. */
  readonly #toStart = new Set<NodeName>()
  readonly #overrides = new Map<NodeName, RawConfig>()

  constructor(engine: Engine, spec: ClusterSpec, wire: WireMode = 'reference') {
    this.engine = engine
    this.spec = spec
    this.#wire = wire
    const { latency, bandwidth } = spec.network
    this.world = new World(engine, {
      network: {
        ...(latency !== undefined && { latencyMicros: [latency.from, latency.to] }),
        ...(bandwidth !== undefined && { bytesPerSecond: bandwidth }),
      },
    })
    this.view = new ClusterView(engine.trace)
    this.world.onNodeDown((node) => {
      if (this.#toStart.delete(node)) engine.schedule(engine.now, (name: NodeName) => this.start(name), node)
    })
    this.#random = engine.random.fork('cluster')
    this.#clusterId = this.#random.fork('cluster-id').uuid()
    this.brokers = Array.from({ length: spec.brokers }, (_, i) => `b${i + 1}`)
    this.controllers = Array.from({ length: spec.controllers }, (_, i) => `c${i + 1}`)
    this.zookeeper = Array.from({ length: spec.zookeeper.servers }, (_, i) => zookeeperName(i + 1))
    engine.trace.watch(['node.down'], (event) => this.#superviseStart(event))
    for (const name of this.zookeeper) this.#addZooKeeper(name)
    for (const name of [...this.controllers, ...this.brokers]) {
      this.#directoryIds.set(name, this.#random.fork(`directory/${name}`).uuid())
    }
    for (const name of this.controllers) this.#addController(name)
    for (const name of this.brokers) this.#addBroker(name)
    this.admin = new AdminNode(wire, this.brokers)
    this.world.addNode(ADMIN_NODE, this.admin.boot, { principal: CLUSTER_PRINCIPAL })
  }

  get network(): SimNetwork {
    return this.world.network
  }

  /** Powers everything on: the ensemble or controllers first, then brokers, then the admin client. */
  startAll(): void {
    for (const name of [...this.zookeeper, ...this.controllers, ...this.brokers, ADMIN_NODE]) this.start(name)
  }

  /** Adds a client node; `start` starts it. Its principal is ANONYMOUS unless given. */
  addClient(name: NodeName, boot: Boot, principal?: string): void {
    this.world.addNode(name, boot, principal === undefined ? {} : { principal })
  }

  start(node: NodeName): void {
    this.world.start(node)
  }

  /** Starts the node, at once or as soon as its present process has ended. */
  startOnceDown(node: NodeName): void {
    if (this.view.isUp(node)) this.#toStart.add(node)
    else this.start(node)
  }

  kill(node: NodeName): void {
    this.#toStart.delete(node)
    this.world.kill(node)
  }

  powerLoss(node: NodeName): void {
    this.#toStart.delete(node)
    this.world.powerLoss(node)
  }

  pause(node: NodeName): void {
    this.world.pause(node)
  }

  resume(node: NodeName): void {
    this.world.resume(node)
  }

  stop(node: NodeName): void {
    this.world.stop(node)
  }

  /** Ends the process, empties its disk and formats it anew, as an operator who replaces a dead machine does. */
  wipe(node: NodeName): void {
    if (this.view.isUp(node)) this.kill(node)
    this.world.wipe(node)
    if (this.zookeeper.includes(node)) return this.#nameZooKeeper(node)
    if (nodeId(node) === undefined) return
    // A voter with another directory is another voter; a broker keeps its own, as nothing reassigns replicas to directories.
    if (!this.controllers.includes(node)) return this.#format(node)
    this.#directoryIds.set(node, this.#random.fork(`directory/${node}/${this.engine.trace.sequence}`).uuid())
    this.#format(node)
  }

  disk(node: NodeName): SimDisk {
    return this.world.node(node).disk
  }

  clock(node: NodeName): HostClock {
    return this.world.node(node).clock
  }

  /** Adds the next broker, b4 after b3, formatted and started. */
  addBroker(rack?: string): NodeName {
    const name = `b${this.brokers.length + 1}`
    this.brokers.push(name)
    this.#directoryIds.set(name, this.#random.fork(`directory/${name}`).uuid())
    this.#addBroker(name, rack)
    this.start(name)
    return name
  }

  /** Settings that a broker takes up at its next start, over those of the specification. */
  configure(node: NodeName, config: RawConfig): void {
    this.#overrides.set(node, { ...this.#overrides.get(node), ...config })
    this.world.setBoot(node, this.zookeeper.includes(node) ? this.#bootZooKeeper(node) : this.#boot(node))
  }

  #addZooKeeper(name: NodeName): void {
    this.world.addNode(name, this.#bootZooKeeper(name))
    this.#nameZooKeeper(name)
  }

  #bootZooKeeper(name: NodeName): Boot {
    const config = { ...this.spec.zookeeper.config, ...this.spec.nodes[name], ...this.#overrides.get(name) }
    const members = this.zookeeper.map((node, i) => ({ sid: i + 1, node, role: 'participant' as const }))
    return bootZooKeeper({ config, members })
  }

  /** What an operator writes on the disk of a new server. */
  #nameZooKeeper(name: NodeName): void {
    writeMyId(this.world.node(name).mount(), zookeeperId(name) as number)
    this.disk(name).settle()
  }

  /** Kafka's process ends when it cannot join; a service manager starts it again. */
  #superviseStart(event: TraceEvent): void {
    if (event.type !== 'node.down' || event.data.how !== 'halt') return
    if (!RESTARTED.includes(event.data.reason)) return
    this.engine.schedule(
      this.engine.now + RESTART_DELAY,
      (name: NodeName) => {
        if (!this.view.isUp(name)) this.start(name)
      },
      event.node,
    )
  }

  #addController(name: NodeName): void {
    this.world.addNode(name, this.#boot(name), { principal: CLUSTER_PRINCIPAL })
    this.#format(name)
  }

  #addBroker(name: NodeName, rack = this.spec.racks[name]): void {
    this.world.addNode(name, this.#boot(name), { principal: CLUSTER_PRINCIPAL, ...(rack !== undefined && { rack }) })
    this.#format(name)
  }

  #boot(name: NodeName): Boot {
    const id = nodeId(name)
    assert(id !== undefined, 'cluster: not a broker or controller', { name })
    const config = withSuperUser({ ...this.spec.config, ...this.spec.nodes[name], ...this.#overrides.get(name) })
    const common = { clusterId: this.#clusterId, config, wire: this.#wire }
    const voters = this.#voters()
    if (this.controllers.includes(name)) return bootController({ ...common, voters, nodeId: id })
    const rack = this.spec.racks[name]
    const broker = { ...common, brokerId: id, ...(rack !== undefined && { rack }) }
    return this.spec.mode === 'kraft'
      ? bootBroker({ ...broker, voters })
      : bootBroker({ ...broker, zookeeper: zookeeperSide(this.zookeeper, config) })
  }

  #format(name: NodeName): void {
    // Without a quorum a broker starts on an empty disk.
    if (this.spec.mode === 'zookeeper') return
    const id = nodeId(name)
    const directoryId = this.#directoryIds.get(name)
    assert(id !== undefined && directoryId !== undefined, 'cluster: format', { name })
    formatStorage(this.world.node(name).mount(), {
      clusterId: this.#clusterId,
      nodeId: id,
      directoryId,
      initialControllers: this.controllers.includes(name) ? this.#voters() : undefined,
      features: featureLevels(this.spec),
      nowMs: this.clock(name).wallMs(),
    })
    this.disk(name).settle()
  }

  #voters(): { id: number; node: NodeName; directoryId: string }[] {
    return this.controllers.map((node) => ({
      id: nodeId(node) as number,
      node,
      directoryId: this.#directoryIds.get(node) as string,
    }))
  }
}

/** Nodes must be able to work with one another, as an operator would see to. */
function withSuperUser(config: RawConfig): RawConfig {
  if ((config['authorizer.class.name'] ?? '') === '') return config
  const given = String(config['super.users'] ?? '')
  return { ...config, 'super.users': given === '' ? CLUSTER_PRINCIPAL : `${CLUSTER_PRINCIPAL};${given}` }
}

/** The folder of a partition on a broker's disk. */
export function partitionFolder(partition: string): string {
  return partition
}
