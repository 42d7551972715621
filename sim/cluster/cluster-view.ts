/**
 * What an outside observer knows of the cluster, from trace events alone.
 *
 * Targets (`leader(orders-0)`, `controller`) and measures are resolved against it. It follows the active controller's
 * committed decisions; nodes themselves never see it.
 */

import { coordinatorPartition } from '../broker/coordinator/internal-topics.js'
import { GROUP_METADATA_TOPIC } from '../broker/topic-names.js'
import type { TraceEvent, EventType } from '../kernel/events.js'
import { nodeName, parsePartition, type NodeName } from '../kernel/names.js'
import type { Trace } from '../kernel/trace.js'
import type { Epoch, NodeId } from '../kernel/units.js'

export interface PartitionView {
  readonly partition: string
  /** -1 when there is none. */
  leader: NodeId
  leaderEpoch: Epoch
  partitionEpoch: Epoch
  isr: readonly NodeId[]
  elr: readonly NodeId[]
  replicas: readonly NodeId[]
  /** Leaders that came from outside ISR and ELR, so far. */
  uncleanElections: number
}

const WATCHED: readonly EventType[] = [
  'controller.partition',
  'controller.topic',
  'controller.active',
  'controller.broker',
  'node.start',
  'node.down',
  'zk.leading',
  'zk.state',
  'acl.known',
]

export class ClusterView {
  readonly #partitions = new Map<string, PartitionView>()
  readonly #up = new Set<NodeName>()
  readonly #unfenced = new Set<NodeName>()
  /** In ZooKeeper mode: broker → resource → entries that it knows. */
  readonly #acls = new Map<NodeName, Map<string, number>>()
  #controller: NodeName | undefined
  #controllerEpoch: Epoch = -1
  #ensembleLeader: NodeName | undefined
  #ensembleEpoch: Epoch = -1

  constructor(trace: Trace) {
    trace.watch(WATCHED, (event) => this.#observe(event))
  }

  /** Partitions in the order of their creation. */
  partitions(): readonly PartitionView[] {
    return [...this.#partitions.values()]
  }

  partition(name: string): PartitionView | undefined {
    return this.#partitions.get(name)
  }

  /** Node that the controller made leader, whether it is up or not. */
  leader(partition: string): NodeName | undefined {
    const view = this.#partitions.get(partition)
    return view === undefined || view.leader < 0 ? undefined : nodeName(view.leader)
  }

  /** The leader of the partition of `__consumer_offsets` that the group belongs to. */
  groupCoordinator(group: string): NodeName | undefined {
    let count = 0
    for (const name of this.#partitions.keys()) if (name.startsWith(`${GROUP_METADATA_TOPIC}-`)) count++
    return count === 0 ? undefined : this.leader(`${GROUP_METADATA_TOPIC}-${coordinatorPartition(group, count)}`)
  }

  /** The active controller of the newest epoch, if its process is up. */
  controller(): NodeName | undefined {
    return this.#controller !== undefined && this.#up.has(this.#controller) ? this.#controller : undefined
  }

  /** The server that leads the ensemble in its newest epoch, if its process is up. */
  ensembleLeader(): NodeName | undefined {
    return this.#ensembleLeader !== undefined && this.#up.has(this.#ensembleLeader) ? this.#ensembleLeader : undefined
  }

  isUp(node: NodeName): boolean {
    return this.#up.has(node)
  }

  /** The controller lets this broker lead. */
  isUnfenced(node: NodeName): boolean {
    return this.#unfenced.has(node)
  }

  /** In ZooKeeper mode: how many ACLs the broker has read. */
  knownAcls(node: NodeName): number {
    let count = 0
    for (const entries of this.#acls.get(node)?.values() ?? []) count += entries
    return count
  }

  #observe(event: TraceEvent): void {
    switch (event.type) {
      case 'node.start':
        this.#up.add(event.node)
        break
      case 'node.down':
        this.#up.delete(event.node)
        this.#acls.delete(event.node)
        break
      case 'controller.active':
        if (event.data.epoch < this.#controllerEpoch) break
        this.#controller = event.node
        this.#controllerEpoch = event.data.epoch
        break
      case 'zk.leading':
        if (event.data.epoch < this.#ensembleEpoch) break
        this.#ensembleLeader = event.node
        this.#ensembleEpoch = event.data.epoch
        break
      case 'zk.state':
        if (event.node === this.#ensembleLeader && event.data.to !== 'leading') this.#ensembleLeader = undefined
        break
      case 'acl.known': {
        const { resourceType, patternType, resourceName, acls } = event.data
        const own = this.#acls.get(event.node) ?? new Map<string, number>()
        this.#acls.set(event.node, own.set(`${resourceType} ${patternType} ${resourceName}`, acls.length))
        break
      }
      case 'controller.broker': {
        const name = nodeName(event.data.broker)
        if (event.data.change === 'unfenced') this.#unfenced.add(name)
        else if (event.data.change !== 'shutting-down') this.#unfenced.delete(name)
        break
      }
      case 'controller.topic':
        if (event.data.change === 'deleted') this.#forget(event.data.topic)
        break
      case 'controller.partition': {
        const { partition, leader, leaderEpoch, partitionEpoch, isr, elr, replicas, unclean } = event.data
        const known = this.#partitions.get(partition)
        // Late news of a deposed controller, of ZooKeeper mode.
        if (known !== undefined && partitionEpoch < known.partitionEpoch) break
        const uncleanElections = (known?.uncleanElections ?? 0) + (unclean ? 1 : 0)
        this.#partitions.set(partition, {
          partition,
          leader,
          leaderEpoch,
          partitionEpoch,
          isr,
          elr,
          replicas,
          uncleanElections,
        })
        break
      }
      default:
        break
    }
  }

  #forget(topic: string): void {
    for (const name of [...this.#partitions.keys()]) {
      if (parsePartition(name)?.topic === topic) this.#partitions.delete(name)
    }
  }
}
