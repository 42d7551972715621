/**
 * Which promises hold for a partition at a moment: what turns a lost record into a violation or into a reported loss.
 *
 * Kafka promises that an acknowledged record survives as long as fewer than `min.insync.replicas` of its replicas lose
 * data that they had accepted, no leader is elected uncleanly, and the producer waited for all in-sync replicas.
 */

import type { EventType, TraceEvent } from '../kernel/events.js'
import { nodeName, parsePartition, type NodeName } from '../kernel/names.js'
import type { Promises, TopicPromises } from './oracle.js'

export const PROMISE_EVENTS: readonly EventType[] = [
  'disk.power-loss',
  'disk.corrupted',
  'node.wiped',
  'controller.partition',
  'controller.config',
  'operation.start',
]

const NO_TOPIC: TopicPromises = {
  partitions: 1,
  replicationFactor: 1,
  minInsyncReplicas: 1,
  uncleanLeaderElection: false,
}

export class PromiseKeeper {
  readonly #promises: Promises
  /** Node → sequence of the last event by which it lost data that it had accepted. */
  readonly #lostData = new Map<NodeName, number>()
  readonly #replicas = new Map<string, readonly NodeName[]>()
  readonly #uncleanElections = new Map<string, number>()
  readonly #minIsr = new Map<string, number>()
  readonly #uncleanAllowed = new Set<string>()
  /** Topics for which an operator asked for an unclean election (ElectLeaders). */
  readonly #uncleanRequested = new Set<string>()

  constructor(promises: Promises) {
    this.#promises = promises
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'disk.power-loss':
        if (event.data.lostBytes > 0 || event.data.tornPages > 0) this.#lostData.set(event.node, event.seq)
        break
      case 'disk.corrupted':
      case 'node.wiped':
        this.#lostData.set(event.node, event.seq)
        break
      case 'controller.partition':
        this.#replicas.set(event.data.partition, event.data.replicas.map(nodeName))
        if (event.data.unclean) this.#uncleanElections.set(event.data.partition, event.seq)
        break
      case 'controller.config':
        if (event.data.name === 'unclean.leader.election.enable' && event.data.value === 'true') {
          this.#uncleanAllowed.add(event.data.resource)
        }
        if (event.data.name === 'min.insync.replicas' && event.data.resource.startsWith('topic:')) {
          const topic = event.data.resource.slice('topic:'.length)
          const before = this.#minIsr.get(topic) ?? this.topic(topic).minInsyncReplicas
          // The weakest setting that ever held decides what was promised.
          this.#minIsr.set(topic, Math.min(before, Number(event.data.value ?? before)))
        }
        break
      case 'operation.start':
        if (event.data.kind === 'elect-leaders' && event.data.text.includes('unclean')) {
          for (const topic of this.#promises.topics.keys())
            if (event.data.text.includes(topic)) this.#uncleanRequested.add(topic)
        }
        break
      default:
        break
    }
  }

  topic(name: string): TopicPromises {
    return this.#promises.topics.get(name) ?? NO_TOPIC
  }

  /** Unclean election was switched on while the cluster ran, for the topic or for a broker. */
  uncleanAllowed(topic: string): boolean {
    for (const resource of this.#uncleanAllowed)
      if (resource === `topic:${topic}` || resource.startsWith('broker:')) return true
    return this.#uncleanRequested.has(topic)
  }

  minIsr(partition: string): number {
    const name = parsePartition(partition)?.topic ?? partition
    const { minInsyncReplicas, replicationFactor } = this.topic(name)
    return Math.min(this.#minIsr.get(name) ?? minInsyncReplicas, replicationFactor)
  }

  /** Why the committed log of this partition may lose records, or undefined when it must not. */
  excuse(partition: string): string | undefined {
    if (this.#uncleanElections.has(partition)) return 'unclean leader election'
    const replicas = this.#replicas.get(partition) ?? []
    const lost = replicas.filter((node) => this.#lostData.has(node)).length
    if (lost >= this.minIsr(partition)) return `accepted data lost on ${lost} of ${replicas.length} replicas`
    return undefined
  }

  /** Why a record acknowledged with `acks` may be gone, or undefined when it must not. */
  excuseAcked(partition: string, acks: number): string | undefined {
    if (acks === 0) return 'acks=0'
    if (acks === 1) return 'acks=1'
    return this.excuse(partition)
  }

  /** True when this node lost data that it had accepted. */
  lostData(node: NodeName): boolean {
    return this.#lostData.has(node)
  }
}
