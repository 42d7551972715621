/**
 * What a scenario can expect of a run, by name: `p1.acked`, `isr(orders-0)`, `lost`, ….
 *
 * Measures are counted from trace events while the run goes on, so expectations work in sweeps that keep no trace. Names are
 * checked against MEASURES before anything runs.
 */

import type { ClusterView } from '../cluster/cluster-view.js'
import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import { nodeName } from '../kernel/names.js'
import type { Trace } from '../kernel/trace.js'
import { MICROS_PER_MS, type Micros } from '../kernel/units.js'
import type { OracleReport } from '../oracle/oracle.js'
import type { MeasureValue } from './scenario.js'

type Subject = 'none' | 'client' | 'producer' | 'consumer' | 'group' | 'partition' | 'node'

/** Every measure: what it is about and what it says. Client measures are written `p1.acked`, others `isr(orders-0)`. */
export const MEASURES: Readonly<Record<string, { readonly subject: Subject; readonly doc: string }>> = {
  sent: { subject: 'producer', doc: 'records handed to the producer' },
  acked: { subject: 'producer', doc: 'records that the client was told are written' },
  failed: { subject: 'producer', doc: 'records that the client was told are not' },
  uncertain: { subject: 'producer', doc: 'failed records that may be written all the same' },
  committed: { subject: 'group', doc: 'sum of the offsets that the group committed' },
  transactions: { subject: 'producer', doc: 'transactions that the client was told are committed' },
  aborted: { subject: 'producer', doc: 'transactions that were aborted' },
  fenced: { subject: 'producer', doc: 'times that the producer found out that another one has its transactional id' },
  read: { subject: 'consumer', doc: 'records that the consumer handed to the application' },
  resets: { subject: 'consumer', doc: 'positions reset by policy or truncation' },
  processed: { subject: 'group', doc: 'different records that the group is done with' },
  again: { subject: 'group', doc: 'records that the group worked on more than once' },
  rebalances: {
    subject: 'group',
    doc: 'generations that the group completed (of a KIP-848 group: epochs in which it was stable; of old consumers: what each member completed)',
  },
  members: {
    subject: 'group',
    doc: 'members of the group, as its coordinator (of old consumers: ZooKeeper) knows them',
  },
  owners: { subject: 'group', doc: 'members that own a partition' },
  state: { subject: 'group', doc: 'state of the group, as Kafka names it' },
  'commit-failures': { subject: 'group', doc: 'commits that were refused' },
  denied: { subject: 'client', doc: 'times that something was refused to the client for want of permission' },
  leader: { subject: 'partition', doc: 'the leader, or none' },
  'leader-epoch': { subject: 'partition', doc: 'the leader epoch' },
  isr: { subject: 'partition', doc: 'the in-sync replicas' },
  'isr-size': { subject: 'partition', doc: 'how many replicas are in sync' },
  elr: { subject: 'partition', doc: 'the eligible leader replicas (KIP-966)' },
  replicas: { subject: 'partition', doc: 'the replicas, preferred leader first' },
  'high-watermark': { subject: 'partition', doc: 'the highest high watermark that a leader reached' },
  'leader-changes': { subject: 'partition', doc: 'leaders elected after ready' },
  'unclean-elections': { subject: 'partition', doc: 'leaders from outside ISR and ELR' },
  'without-leader': { subject: 'partition', doc: 'milliseconds without a leader that took up its role' },
  truncated: { subject: 'partition', doc: 'records truncated on any replica' },
  compactions: { subject: 'partition', doc: 'times that a replica put compacted segments in the place of old ones' },
  'segments-deleted': {
    subject: 'partition',
    doc: 'segments that replicas deleted by retention or below the log start',
  },
  'log-start': { subject: 'partition', doc: 'where the log of the leader begins' },
  served: { subject: 'node', doc: 'records that the broker gave to clients who read' },
  up: { subject: 'node', doc: 'whether the process runs' },
  unfenced: { subject: 'node', doc: 'whether the controller lets the broker lead' },
  starts: { subject: 'node', doc: 'process starts, the first included' },
  controller: { subject: 'none', doc: 'the active controller, or none' },
  'controller-changes': { subject: 'none', doc: 'controllers that became active after ready' },
  lost: { subject: 'none', doc: 'acknowledged records that are gone' },
  duplicated: { subject: 'none', doc: 'records that are in the log more than once' },
  reordered: { subject: 'none', doc: 'records of one producer that are in the log out of order' },
  'skipped-steps': { subject: 'none', doc: 'steps that found nobody to act on' },
}

export interface MeasureName {
  readonly measure: string
  /** Client, partition or node; empty for measures of the whole run. */
  readonly subject: string
}

/** `p1.acked` or `isr(orders-0)` or `lost`; undefined when it has none of these forms. */
export function parseMeasure(text: string): MeasureName | undefined {
  const call = /^([a-z-]+)\(([^()]+)\)$/.exec(text)
  if (call) return { measure: call[1] as string, subject: (call[2] as string).trim() }
  const dot = text.lastIndexOf('.')
  if (dot > 0) return { measure: text.slice(dot + 1), subject: text.slice(0, dot) }
  return { measure: text, subject: '' }
}

const WATCHED: readonly EventType[] = [
  'produce.invoked',
  'produce.acked',
  'produce.failed',
  'consume.polled',
  'consume.position',
  'hw.advance',
  'fetch.served',
  'replica.leader',
  'controller.partition',
  'controller.active',
  'log.truncate',
  'log.cleaned',
  'log.segment-deleted',
  'log.start-offset',
  'node.start',
  'node.down',
  'fault.skipped',
  'consume.processed',
  'consumer.member',
  'consumer.assigned',
  'consumer.revoked',
  'consumer.committed',
  'zk.znode',
  'group.state',
  'group.offset',
  'txn.ended',
  'acl.denied',
]

export class Measures {
  readonly #counts = new Map<string, number>()
  /** Partition → since when it has had no acting leader. */
  readonly #leaderlessSince = new Map<string, Micros>()
  readonly #acting = new Map<string, string>()
  readonly #view: ClusterView
  /** Node → the client whose member it is. */
  readonly #clients: ReadonlyMap<string, string>
  /** Client → records that it is done with. */
  readonly #processed = new Map<string, Set<string>>()
  /** Node → what it owns. */
  readonly #owned = new Map<string, readonly string[]>()
  readonly #groupStates = new Map<string, { state: string; members: number }>()
  /** Group of old consumers → the znodes of its members. */
  readonly #memberZnodes = new Map<string, Set<string>>()
  /** The last transaction of ZooKeeper that was told. */
  #zxid = 0
  /** KIP-848 group → the last epoch in which it was stable. */
  readonly #stableEpochs = new Map<string, number>()
  /** Client → group.id. */
  readonly #groupOf = new Map<string, string>()
  /** Group → partition → offset. */
  readonly #committed = new Map<string, Map<string, number>>()
  #ready = false

  constructor(trace: Trace, view: ClusterView, clients: ReadonlyMap<string, string> = new Map()) {
    this.#view = view
    this.#clients = clients
    trace.watch(WATCHED, (event) => this.#observe(event))
  }

  /** From here on changes of leaders and controllers count. */
  markReady(): void {
    this.#ready = true
  }

  /** Adds what the oracles counted, at the end of the run. */
  addOracles(reports: readonly OracleReport[]): void {
    const total = (name: string): number => {
      const report = reports.find((r) => r.name === name)
      return report === undefined ? 0 : report.violationCount + report.losses.reduce((sum, loss) => sum + loss.count, 0)
    }
    this.#counts.set('lost', total('acked-records-survive'))
    this.#counts.set('duplicated', total('no-duplicates'))
    this.#counts.set('reordered', total('no-reordering'))
  }

  /** The measure's value now. The name was checked by the loader. */
  value({ measure, subject }: MeasureName, now: Micros): MeasureValue {
    const partition = this.#view.partition(subject)
    switch (measure) {
      case 'leader':
        return this.#view.leader(subject) ?? 'none'
      case 'leader-epoch':
        return partition?.leaderEpoch ?? -1
      case 'isr':
        return (partition?.isr ?? []).map(nodeName)
      case 'isr-size':
        return partition?.isr.length ?? 0
      case 'elr':
        return (partition?.elr ?? []).map(nodeName)
      case 'replicas':
        return (partition?.replicas ?? []).map(nodeName)
      case 'unclean-elections':
        return partition?.uncleanElections ?? 0
      case 'without-leader':
        return this.#withoutLeader(subject, now)
      case 'up':
        return this.#view.isUp(subject)
      case 'unfenced':
        return this.#view.isUnfenced(subject)
      case 'owners':
        return [...this.#owned].filter(([node, owned]) => this.#clientOf(node) === subject && owned.length > 0).length
      case 'state':
        return this.#groupStates.get(this.#groupOf.get(subject) ?? '')?.state ?? 'none'
      case 'members':
        return this.#membersOf(this.#groupOf.get(subject) ?? '')
      case 'committed':
        return [...(this.#committed.get(this.#groupOf.get(subject) ?? '')?.values() ?? [])].reduce((a, b) => a + b, 0)
      case 'rebalances':
        return this.#count(measure, this.#groupOf.get(subject) ?? subject)
      case 'controller':
        return this.#view.controller() ?? 'none'
      default:
        return this.#count(measure, subject)
    }
  }

  #membersOf(group: string): number {
    return this.#groupStates.get(group)?.members ?? this.#memberZnodes.get(group)?.size ?? 0
  }

  #count(measure: string, subject: string): number {
    return this.#counts.get(key(measure, subject)) ?? 0
  }

  #add(measure: string, subject: string, by: number): void {
    const name = key(measure, subject)
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + by)
  }

  #withoutLeader(partition: string, now: Micros): number {
    const since = this.#leaderlessSince.get(partition)
    const micros = this.#count('without-leader', partition) + (since === undefined ? 0 : now - since)
    return Math.round(micros / MICROS_PER_MS)
  }

  #observe(event: TraceEvent): void {
    switch (event.type) {
      case 'produce.invoked':
        this.#add('sent', this.#clientOf(event.node), 1)
        break
      case 'produce.acked':
        this.#add('acked', this.#clientOf(event.node), 1)
        break
      case 'produce.failed':
        this.#add('failed', this.#clientOf(event.node), 1)
        if (!event.data.certain) this.#add('uncertain', this.#clientOf(event.node), 1)
        break
      case 'consume.polled':
        this.#add('read', this.#clientOf(event.node), event.data.offsets.length)
        break
      case 'consume.position':
        if (event.data.reason === 'reset' || event.data.reason === 'truncated')
          this.#add('resets', this.#clientOf(event.node), 1)
        break
      case 'fetch.served':
        this.#add('served', event.node, event.data.upTo - event.data.from)
        break
      case 'hw.advance':
        this.#highWatermark(event.data.role, event.data.partition, event.data.to)
        break
      case 'log.truncate':
        this.#add('truncated', event.data.partition, event.data.from - event.data.to)
        break
      case 'log.cleaned':
        this.#add('compactions', event.data.partition, 1)
        break
      case 'log.segment-deleted':
        this.#add('segments-deleted', event.data.partition, 1)
        break
      case 'log.start-offset':
        if (this.#acting.get(event.data.partition) === event.node)
          this.#counts.set(key('log-start', event.data.partition), event.data.to)
        break
      case 'node.start':
        this.#add('starts', event.node, 1)
        break
      case 'acl.denied':
        this.#add('denied', this.#clientOf(event.data.from), 1)
        break
      case 'fault.skipped':
        this.#add('skipped-steps', '', 1)
        break
      case 'controller.active':
        if (this.#ready) this.#add('controller-changes', '', 1)
        break
      default:
        this.#observeLeadership(event)
        this.#observeGroup(event)
    }
  }

  #clientOf(node: string): string {
    return this.#clients.get(node) ?? node
  }

  #observeGroup(event: TraceEvent): void {
    switch (event.type) {
      case 'consume.processed': {
        const client = this.#clientOf(event.node)
        let done = this.#processed.get(client)
        if (done === undefined) this.#processed.set(client, (done = new Set()))
        for (const offset of event.data.offsets) {
          const record = `${event.data.partition}@${offset}`
          this.#add(done.has(record) ? 'again' : 'processed', client, 1)
          done.add(record)
        }
        break
      }
      case 'consumer.member':
        if (event.data.from === 'rebalancing' && event.data.to === 'consuming')
          this.#add('rebalances', event.data.group, 1)
        break
      case 'zk.znode':
        this.#observeZnode(event)
        break
      case 'consumer.assigned':
        this.#owned.set(event.node, event.data.owned)
        this.#groupOf.set(this.#clientOf(event.node), event.data.group)
        break
      case 'consumer.revoked': {
        const gone = event.data.partitions
        this.#owned.set(
          event.node,
          (this.#owned.get(event.node) ?? []).filter((name) => !gone.includes(name)),
        )
        break
      }
      case 'consumer.committed':
        if (event.data.outcome !== 'ok') this.#add('commit-failures', this.#clientOf(event.node), 1)
        break
      case 'group.state':
        this.#groupStates.set(event.data.group, { state: event.data.to, members: event.data.members })
        this.#observeGeneration(event.data)
        break
      case 'group.offset': {
        let offsets = this.#committed.get(event.data.group)
        if (offsets === undefined) this.#committed.set(event.data.group, (offsets = new Map()))
        offsets.set(event.data.partition, event.data.offset)
        break
      }
      case 'txn.ended': {
        const { outcome } = event.data
        const client = this.#clientOf(event.node)
        if (outcome === 'committed') this.#add('transactions', client, 1)
        else if (outcome === 'aborted') this.#add('aborted', client, 1)
        else if (outcome === 'PRODUCER_FENCED' || outcome === 'INVALID_PRODUCER_EPOCH') this.#add('fenced', client, 1)
        break
      }
      case 'node.down':
        this.#owned.delete(event.node)
        break
      default:
        break
    }
  }

  /** `/consumers/G/ids/C` comes and goes with member C of an old consumer's group. Every server tells of it; the first one counts. */
  #observeZnode({ data: { change, path, zxid } }: EventOf<'zk.znode'>): void {
    if (!path.startsWith('/consumers/') || zxid < this.#zxid) return
    this.#zxid = zxid
    const [, , group = '', kind, member] = path.split('/')
    if (kind !== 'ids' || member === undefined) return
    let members = this.#memberZnodes.get(group)
    if (members === undefined) this.#memberZnodes.set(group, (members = new Set()))
    if (change === 'created') members.add(path)
    else if (change === 'deleted') members.delete(path)
  }

  /** A classic group completes a generation once; a KIP-848 group is stable in an epoch, and in some epochs never. */
  #observeGeneration({ group, protocol, from, to, generation }: EventOf<'group.state'>['data']): void {
    if (to !== 'Stable') return
    const isCompleted =
      protocol === 'classic' ? from === 'CompletingRebalance' : generation > (this.#stableEpochs.get(group) ?? 0)
    if (!isCompleted) return
    if (protocol === 'consumer') this.#stableEpochs.set(group, generation)
    this.#add('rebalances', group, 1)
  }

  #highWatermark(role: string, partition: string, to: number): void {
    const name = key('high-watermark', partition)
    if (role === 'leader' && to > (this.#counts.get(name) ?? -1)) this.#counts.set(name, to)
  }

  #observeLeadership(event: TraceEvent): void {
    if (event.type === 'replica.leader') {
      const { partition } = event.data
      const since = this.#leaderlessSince.get(partition)
      if (since !== undefined) {
        this.#leaderlessSince.delete(partition)
        this.#add('without-leader', partition, event.time - since)
      }
      const acted = this.#acting.get(partition)
      if (this.#ready && acted !== undefined && acted !== event.node) this.#add('leader-changes', partition, 1)
      this.#acting.set(partition, event.node)
    } else if (event.type === 'node.down') {
      for (const [partition, leader] of this.#acting) {
        if (leader === event.node && !this.#leaderlessSince.has(partition))
          this.#leaderlessSince.set(partition, event.time)
      }
    } else if (event.type === 'controller.partition' && this.#ready && event.data.leader < 0) {
      if (!this.#leaderlessSince.has(event.data.partition)) this.#leaderlessSince.set(event.data.partition, event.time)
    }
  }
}

function key(measure: string, subject: string): string {
  return subject === '' ? measure : `${measure}(${subject})`
}
