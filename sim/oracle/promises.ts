/**
 * Which promises hold for a partition at a moment: what turns a lost record into a violation or into a reported loss.
 *
 * Kafka promises that what is committed survives as long as one replica that could be elected (ISR or ELR) keeps what it had accepted, and
 * no leader is elected uncleanly. So what was accepted before is pardoned when a leader takes up its role that
 *
 *   was elected from outside ISR and ELR,         where that was configured or asked for; or
 *   lost data that it had accepted,               and so did everybody else who could have been elected; or
 *   lost data, and is the last known leader       elected when nobody was left (KIP-966); or
 *   lost data, and was not dropped for it         in ZooKeeper mode, where no controller may have seen it go; or
 *   may have holes in its log                     left by a disk that lied and lost power: no replica looks for them.
 *
 * A replica counts as damaged from the fault of its disk on, until it opens its log and finds everything there, is dropped from the ISR
 * and comes back into it, or leads. The quorum writes through before it answers: nothing is pardoned there but
 * what was lost after it had been synced (a lying or wiped disk, rot).
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import { nodeName, parsePartition, type NodeName } from '../kernel/names.js'
import type { Epoch, Offset } from '../kernel/units.js'
import { ELECTION_EVENTS, type Elections } from './elections.js'
import type { LogModel } from './log-model.js'
import type { Promises, TopicPromises } from './oracle.js'
import type { Serving } from './serving.js'

export const PROMISE_EVENTS: readonly EventType[] = [
  ...ELECTION_EVENTS,
  'fault.start',
  'disk.power-loss',
  'disk.corrupted',
  'node.wiped',
  'log.open',
  'log.truncate',
  'replica.leader',
  'replica.follower',
  'node.down',
  'broker.state',
]

/** Everything accepted before `seq`, or in an epoch below `epoch`, may be gone. */
interface Pardon {
  readonly seq: number
  readonly epoch: Epoch
  readonly reason: string
}

interface Damage {
  /** It was dropped from the ISR since. */
  dropped: boolean
}

interface PartitionState {
  pardon: Pardon | undefined
  /** Replicas that lost data which they had accepted. */
  readonly damaged: Map<NodeName, Damage>
  /** Replicas whose logs may have holes, which nobody looks for: their disks lied, and lost power. */
  readonly holed: Set<NodeName>
  leader: NodeName | undefined
  ledEpoch: Epoch
  /** The leader of `ledEpoch` was judged, as it served. */
  judged: boolean
}

const UNCLEAN_ELECTION = 'unclean leader election'

const NO_TOPIC: TopicPromises = {
  partitions: 1,
  replicationFactor: 1,
  minInsyncReplicas: 1,
  uncleanLeaderElection: false,
}

export class PromiseKeeper {
  readonly #promises: Promises
  readonly #logs: LogModel
  readonly #serving: Serving
  readonly elections: Elections
  /** Node → sequence of the power loss that took data, until its logs are opened again. */
  readonly #powerLosses = new Map<NodeName, number>()
  readonly #liars = new Set<NodeName>()
  /** Controllers and brokers that lost what they had synced → how. */
  readonly #lostDurable = new Map<NodeName, string>()
  readonly #partitions = new Map<string, PartitionState>()
  /** Resource → the weakest min.insync.replicas that it ever had. */
  readonly #minIsr = new Map<string, number>()

  constructor(promises: Promises, logs: LogModel, serving: Serving, elections: Elections) {
    this.#promises = promises
    this.#logs = logs
    this.#serving = serving
    this.elections = elections
  }

  /** Before the log model sees the event: what a log held counts. After elections and serving. */
  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'fault.start':
        if (event.data.kind === 'disk-lie') for (const node of event.data.targets) this.#liars.add(node)
        break
      case 'disk.power-loss':
        if (event.data.lostBytes === 0 && event.data.tornPages === 0) break
        this.#powerLosses.set(event.node, event.seq)
        if (this.#liars.has(event.node)) this.#lostDurable.set(event.node, 'lying disk')
        break
      case 'disk.corrupted':
        this.#corrupted(event)
        break
      case 'node.wiped':
        this.#lostDurable.set(event.node, 'wiped disk')
        for (const { holed } of this.#partitions.values()) holed.delete(event.node)
        for (const log of this.#logs.logsOn(event.node))
          if (log.logEnd > log.logStart) this.#damage(event.node, log.partition)
        break
      case 'log.open':
        this.#finds(event.node, event.data.partition, event.data.logEnd)
        break
      case 'log.truncate':
        // What recovery cuts off is told before the log is opened.
        if (event.data.reason === 'recovery') this.#finds(event.node, event.data.partition, event.data.to)
        break
      case 'controller.partition':
        if (!this.elections.repeated) this.#decided(event)
        break
      case 'controller.config':
        if (event.data.name === 'min.insync.replicas') this.#configureMinIsr(event.data.resource, event.data.value)
        break
      case 'replica.leader':
        this.#leads(event)
        break
      case 'broker.state':
        if (event.data.to === 'RUNNING') this.#serves(event.node, event.seq)
        break
      case 'replica.follower':
        this.#ends(this.#state(event.data.partition), event.node)
        break
      case 'node.down':
        for (const state of this.#partitions.values()) this.#ends(state, event.node)
        break
      default:
        break
    }
  }

  forgetTopic(topic: string): void {
    this.#minIsr.delete(`topic:${topic}`)
    for (const name of [...this.#partitions.keys()]) {
      if (parsePartition(name)?.topic === topic) this.#partitions.delete(name)
    }
  }

  /** The fewest in-sync replicas that a committed record needs, by the weakest setting that ever held. */
  minIsr(partition: string): number {
    const topic = parsePartition(partition)?.topic ?? partition
    const { minInsyncReplicas, replicationFactor } = this.#promises.topics.get(topic) ?? NO_TOPIC
    let least = Math.min(minInsyncReplicas, replicationFactor)
    if (this.#minIsr.size === 0) return least
    for (const [resource, value] of this.#minIsr) {
      if (resource === `topic:${topic}` || resource.startsWith('broker:')) least = Math.min(least, value)
    }
    return least
  }

  /** Why something accepted at `seq`, in `epoch` (-1: not known), may be gone; undefined when it must not. */
  excuse(partition: string, seq: number, epoch: Epoch): string | undefined {
    const pardon = this.#partitions.get(partition)?.pardon
    if (pardon === undefined) return undefined
    return seq < pardon.seq || epoch < pardon.epoch ? pardon.reason : undefined
  }

  /** Why this replica may lack what it had accepted. */
  excuseReplica(partition: string, node: NodeName): string | undefined {
    if (this.#isDamaged(partition, node)) return `accepted data lost on ${node}`
    if (this.#partitions.get(partition)?.holed.has(node) === true) return holes(node)
    const pardon = this.#partitions.get(partition)?.pardon
    if (this.#promises.believesReplicas !== true || pardon === undefined) return undefined
    // In the ISR all the time, it cut its log to that of a leader that had lost its own; others that should have may not have come to it.
    return this.#logs.log(node, partition).cutAt > pardon.seq ? pardon.reason : undefined
  }

  /** Why its leader's log may have something else where a follower's ends, in one epoch: a leader that lost its tail went on in it. */
  excuseAstray(partition: string): string | undefined {
    return this.#promises.believesReplicas === true ? this.#partitions.get(partition)?.pardon?.reason : undefined
  }

  /** Why the quorum may have lost what was committed, or a vote. */
  excuseQuorum(): string | undefined {
    for (const node of this.#promises.controllers) {
      const how = this.#lostDurable.get(node)
      if (how !== undefined) return `synced data lost on ${node} (${how})`
    }
    return undefined
  }

  /** Why this node may have forgotten what it had synced. */
  excuseDurable(node: NodeName): string | undefined {
    const how = this.#lostDurable.get(node)
    return how === undefined ? undefined : `synced data lost on ${node} (${how})`
  }

  #configureMinIsr(resource: string, value: string | null): void {
    // Without a value, a default of brokers that is not known here.
    const now = value === null ? 1 : Number(value)
    this.#minIsr.set(resource, Math.min(this.#minIsr.get(resource) ?? now, now))
  }

  // ── damage ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #corrupted(event: EventOf<'disk.corrupted'>): void {
    this.#lostDurable.set(event.node, 'rotten disk')
    const slash = event.data.path.indexOf('/')
    if (slash > 0) this.#damage(event.node, event.data.path.slice(0, slash))
  }

  #damage(node: NodeName, partition: string): void {
    this.#state(partition).damaged.set(node, { dropped: false })
  }

  /** After a power loss this tells whether this log was hit. */
  #finds(node: NodeName, partition: string, logEnd: Offset): void {
    const log = this.#logs.log(node, partition)
    if (!this.#lostPowerSince(node, log.openedAt)) return
    if (logEnd < log.logEnd) this.#damage(node, partition)
    // A disk that lied may also have lost a segment in the middle, whose successors are there.
    if (this.#liars.has(node) && log.logEnd > log.logStart) this.#state(partition).holed.add(node)
  }

  #lostPowerSince(node: NodeName, seq: number): boolean {
    return (this.#powerLosses.get(node) ?? 0) > seq
  }

  /** It lost what it had accepted, or may have: it has not opened its log since its power failed. */
  #isDamaged(partition: string, node: NodeName): boolean {
    if (this.#partitions.get(partition)?.damaged.has(node) === true) return true
    const log = this.#logs.log(node, partition)
    return log.logEnd > 0 && this.#lostPowerSince(node, log.openedAt)
  }

  #decided(event: EventOf<'controller.partition'>): void {
    const { partition, isr, leader } = event.data
    const decision = this.elections.decision(partition)
    if (decision?.electedAt === event.seq && decision.kind === 'unclean' && decision.uncleanAllowed) {
      // From here on nobody else can be elected, whether this leader ever takes up its role or not.
      this.#state(partition).pardon = { seq: event.seq, epoch: decision.leaderEpoch, reason: UNCLEAN_ELECTION }
    }
    const state = this.#partitions.get(partition)
    if (state === undefined || state.damaged.size === 0) return
    for (const [node, damage] of state.damaged) {
      if (!isr.some((id) => nodeName(id) === node)) damage.dropped = true
      // Back in sync with another leader: it holds again what it must.
      else if (damage.dropped && nodeName(leader) !== node) state.damaged.delete(node)
    }
  }

  // ── pardons ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #leads(event: EventOf<'replica.leader'>): void {
    const { partition, leaderEpoch } = event.data
    const state = this.#state(partition)
    if (leaderEpoch < state.ledEpoch) return // a deposed leader that has not heard
    state.leader = event.node
    state.ledEpoch = leaderEpoch
    state.judged = false
    if (this.#serving.has(event.node)) this.#judge(partition, state, event.seq)
  }

  #serves(node: NodeName, seq: number): void {
    for (const [partition, state] of this.#partitions) {
      if (state.leader === node && !state.judged) this.#judge(partition, state, seq)
    }
  }

  #ends(state: PartitionState, node: NodeName): void {
    if (state.leader === node) state.leader = undefined
  }

  #judge(partition: string, state: PartitionState, seq: number): void {
    state.judged = true
    const leader = state.leader as NodeName
    const reason = this.#pardonFor(partition, leader, state.ledEpoch)
    if (reason !== undefined) state.pardon = { seq, epoch: state.ledEpoch, reason }
    // What it holds is the truth from here on.
    state.damaged.delete(leader)
  }

  #pardonFor(partition: string, leader: NodeName, epoch: Epoch): string | undefined {
    const decision = this.elections.decision(partition)
    if (decision === undefined) return undefined
    // A decision may be told after it was followed, when its controller died in between.
    const isTold = decision.leaderEpoch >= epoch
    const candidates = (isTold ? decision.candidates : [...decision.isr, ...decision.elr]).map(nodeName)
    const kind = isTold ? decision.kind : candidates.includes(leader) ? 'clean' : 'unclean'
    if (kind === 'unclean') return decision.uncleanAllowed && !isTold ? UNCLEAN_ELECTION : undefined
    if (this.#partitions.get(partition)?.holed.has(leader) === true) return holes(leader)
    if (!this.#isDamaged(partition, leader)) return undefined
    if (kind === 'last-known') return `accepted data lost on ${leader}, the last known leader (KIP-966)`
    if (this.#promises.believesReplicas === true) return `accepted data lost on ${leader}, which no controller noticed`
    if (!candidates.every((node) => this.#isDamaged(partition, node))) return undefined
    return `accepted data lost on every replica that could lead (${candidates.join(' ')})`
  }

  #state(partition: string): PartitionState {
    let state = this.#partitions.get(partition)
    if (state === undefined) {
      state = {
        pardon: undefined,
        damaged: new Map(),
        holed: new Set(),
        leader: undefined,
        ledEpoch: -1,
        judged: false,
      }
      this.#partitions.set(partition, state)
    }
    return state
  }
}

function holes(node: NodeName): string {
  return `holes in the log of ${node}, whose disk lied`
}
