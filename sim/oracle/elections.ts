/**
 * The controller's decisions on partitions: who could be elected, who was, and what an operator allowed.
 *
 * What counts as unclean is worked out here from the decision before (ISR, ELR, and the ISR that the leader had asked for), not taken from
 * the controller. A decision may be told twice, when the next controller tells what its predecessor had not (`repeated`); and a deposed controller of
 * ZooKeeper mode may tell late what its successor has gone on from: that is no news either.
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import { nodeName, parsePartition, type NodeName } from '../kernel/names.js'
import type { Epoch, NodeId } from '../kernel/units.js'
import type { Promises } from './oracle.js'

export const ELECTION_EVENTS: readonly EventType[] = [
  'controller.partition',
  'controller.broker',
  'controller.config',
  'operation.start',
  'isr.proposed',
  'node.start',
  'node.down',
  'zk-controller.elected',
]

/** `last-known`: ISR and ELR were empty after unclean shutdowns, and the last leader was there (KIP-966). */
export type ElectionKind = 'clean' | 'last-known' | 'unclean'

export interface Decision {
  readonly leader: NodeId
  readonly leaderEpoch: Epoch
  readonly partitionEpoch: Epoch
  readonly isr: readonly NodeId[]
  readonly elr: readonly NodeId[]
  /** The leader before there was none. */
  readonly lastLeader: NodeId
  /** How the leader of `leaderEpoch` came to lead, and who else could have: the ISR and ELR before. */
  readonly kind: ElectionKind
  readonly candidates: readonly NodeId[]
  /** An unclean election was configured or asked for when it was made. */
  readonly uncleanAllowed: boolean
  /** Sequence of the event by which the leader was elected. */
  readonly electedAt: number
  readonly seq: number
}

interface PartitionState {
  decision: Decision
  /** Leader epoch of each partition epoch that was told. */
  readonly told: Map<Epoch, string>
  /** The ISR that the leader asked for last. */
  proposed: readonly NodeId[]
}

const NOBODY: readonly NodeId[] = []
const UNCLEAN = 'unclean.leader.election.enable'

export class Elections {
  readonly #promises: Promises
  readonly #partitions = new Map<string, PartitionState>()
  /** Resources (`topic:orders`, `broker:`, `broker:1`) → whether they allow unclean elections, where they say so. */
  readonly #configured = new Map<string, boolean>()
  /** Partitions for which an operator asked for an unclean election (ElectLeaders). */
  readonly #requested = new Set<string>()
  /** Node → how its process ended last, and the event by which it came back after an unclean end. */
  readonly #ends = new Map<NodeName, string>()
  readonly #uncleanStarts = new Map<NodeName, number>()
  /** Node → the event by which it was registered last. */
  readonly #registrations = new Map<NodeName, number>()
  /** The newest controller of ZooKeeper mode. */
  #controller: NodeName | undefined
  #controllerEpoch: Epoch = -1
  /** The last event told again what had been told. */
  repeated = false
  /** The last event contradicts what was told with the same partition epoch. */
  contradicted = false

  constructor(promises: Promises) {
    this.#promises = promises
  }

  decision(partition: string): Decision | undefined {
    return this.#partitions.get(partition)?.decision
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'controller.partition':
        this.#decided(event)
        break
      case 'node.down':
        this.#ends.set(event.node, event.data.how)
        break
      case 'node.start':
        if ((this.#ends.get(event.node) ?? 'stop') !== 'stop') this.#uncleanStarts.set(event.node, event.seq)
        break
      case 'controller.broker':
        if (event.data.change === 'registered') this.#registrations.set(nodeName(event.data.broker), event.seq)
        break
      case 'zk-controller.elected':
        if (event.data.epoch < this.#controllerEpoch) break
        this.#controller = event.node
        this.#controllerEpoch = event.data.epoch
        break
      case 'isr.proposed': {
        const state = this.#partitions.get(event.data.partition)
        if (state !== undefined) state.proposed = event.data.to
        break
      }
      case 'controller.config':
        if (event.data.name === UNCLEAN) this.#configure(event.data.resource, event.data.value)
        break
      case 'operation.start':
        // `elect-leaders type=unclean partitions=orders-0 orders-1`
        if (event.data.kind === 'elect-leaders' && /\bunclean\b/.test(event.data.text)) {
          for (const word of event.data.text.split(/[ =]/)) this.#requested.add(word)
        }
        break
      default:
        break
    }
  }

  forgetTopic(topic: string): void {
    for (const name of [...this.#partitions.keys()]) {
      if (parsePartition(name)?.topic === topic) this.#partitions.delete(name)
    }
  }

  #configure(resource: string, value: string | null): void {
    if (value === null) this.#configured.delete(resource)
    else this.#configured.set(resource, value === 'true')
  }

  /** A topic's own setting decides, then what is set for brokers, then the configuration that the run began with. */
  #uncleanAllowed(partition: string): boolean {
    if (this.#requested.has(partition)) return true
    const topic = parsePartition(partition)?.topic ?? partition
    const own = this.#configured.get(`topic:${topic}`)
    if (own !== undefined) return own
    for (const [resource, allowed] of this.#configured) if (allowed && resource.startsWith('broker:')) return true
    return this.#promises.topics.get(topic)?.uncleanLeaderElection ?? false
  }

  #decided(event: EventOf<'controller.partition'>): void {
    const { partition, leader, leaderEpoch, partitionEpoch, isr, elr } = event.data
    const state = this.#partitions.get(partition)
    const last = state?.decision
    const words = `${leaderEpoch} ${leader} ${isr.join(' ')}`
    const before = state?.told.get(partitionEpoch)
    const isDeposed = this.#controller !== undefined && this.#controller !== event.node
    const isLate = isDeposed && last !== undefined && partitionEpoch < last.partitionEpoch
    this.repeated = before === words || isLate
    this.contradicted = before !== undefined && !this.repeated
    if (this.repeated) return
    const isElection = leader >= 0 && (last === undefined || last.leader !== leader || last.leaderEpoch !== leaderEpoch)
    const lastLeader = last === undefined ? leader : last.leader < 0 ? last.lastLeader : last.leader
    const decision: Decision = {
      leader,
      leaderEpoch,
      partitionEpoch,
      isr,
      elr,
      lastLeader,
      kind:
        last === undefined ? 'clean' : isElection ? this.#kindOf(leader, last, state?.proposed ?? NOBODY) : last.kind,
      candidates: last === undefined ? isr : isElection ? [...last.isr, ...last.elr] : last.candidates,
      uncleanAllowed: this.#uncleanAllowed(partition),
      electedAt: isElection ? event.seq : (last?.electedAt ?? 0),
      seq: event.seq,
    }
    if (state === undefined) {
      this.#partitions.set(partition, { decision, told: new Map([[partitionEpoch, words]]), proposed: NOBODY })
      return
    }
    state.decision = decision
    state.proposed = NOBODY
    state.told.set(partitionEpoch, words)
  }

  #kindOf(leader: NodeId, last: Decision, proposed: readonly NodeId[]): ElectionKind {
    const candidates = [...last.isr, ...last.elr]
    if (leader === last.leader || candidates.includes(leader)) return 'clean'
    // It joins the ISR by the very change that makes it leader: the end of a reassignment.
    if (proposed.includes(leader)) return 'clean'
    // The last of them may be dropped, for its unclean restart, by the very change that elects.
    const areDropped = candidates.every((id) => this.#returnsFromUncleanEnd(nodeName(id)))
    return areDropped && leader === last.lastLeader ? 'last-known' : 'unclean'
  }
  /** It came back from an unclean end, and the controller has not registered it since. */
  #returnsFromUncleanEnd(node: NodeName): boolean {
    return (this.#uncleanStarts.get(node) ?? 0) > (this.#registrations.get(node) ?? 0)
  }
}
