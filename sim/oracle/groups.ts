/**
 * Groups of consumers: `one-owner-per-generation`, `committed-offsets-hold`, `at-least-once`, `groups-settle`.
 *
 * Within a generation no partition belongs to two members; in a KIP-848 group, whose members each have an epoch of their own, at no time: a
 * partition is its member's until that gives it up, or is removed by the coordinator and may not know yet that it lost it; among old consumers, whose group
 * is kept in ZooKeeper, at no time either, but a member whose session is over may not know: told as a loss. What a group has committed does
 * not go back unless a member was told to go back; where a commit that failed at its member came late all the same, that is told as a loss.
 * Every acknowledged record below what the group has committed was worked on by some member: a commit says so. Where
 * the application hands records to others and commits meanwhile, or begins anew where its reset policy says, that is told as a loss, with
 * the reason. When faults are over, every group is stable, with an owner for each partition, or empty.
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import { type NodeName, parsePartition } from '../kernel/names.js'
import type { Offset } from '../kernel/units.js'
import type { CompactionModel } from './compaction-model.js'
import { Findings } from './findings.js'
import type { LogModel } from './log-model.js'
import type { GroupPromises, Oracle, OracleReport, Promises, RunEnd } from './oracle.js'
import { visibleRecords } from './visible-records.js'
import { OWNER_EVENTS, ZooKeeperOwners } from './zookeeper-owners.js'

interface Claim {
  readonly node: NodeName
  readonly member: string
  readonly seq: number
}

interface Committed {
  offset: Offset
  seq: number
  /** Of old consumers: whoever wrote it did not own the partition any more. */
  isForeign?: boolean
}

interface GroupState {
  protocol: 'classic' | 'consumer'
  /** Generation of the claims below; of classic groups. */
  generation: number
  /** Members of a KIP-848 group that were removed, and the group epoch of that time: what they claim in it or before is void. */
  readonly removed: Map<string, number>
  /** Members that the coordinator to be has found in the log. */
  loading: { readonly node: NodeName; readonly members: Set<string> } | undefined
  readonly claims: Map<string, Claim>
  readonly committed: Map<string, Committed>
  /** Partition → where the group began to read it. */
  readonly begins: Map<string, Offset>
  /** Partition → ranges that a reset passed over: [from, to, sequence]. */
  readonly passedOver: Map<string, [Offset, Offset, number][]>
  /** Partition → offsets that were worked on. */
  readonly processed: Map<string, Set<Offset>>
  /** Partition → sequence of the last time that a member was told to go back, and where to. */
  readonly goneBack: Map<string, { to: Offset; seq: number }>
  /** Of old consumers. Partition → offsets that were handed to an application. */
  readonly handed: Map<string, Set<Offset>>
  /** Of old consumers: the states of members, by node. */
  readonly members: Map<NodeName, string>
  /** `orders-0 g1-1`: an old consumer that began below what was committed. */
  readonly beganBelow: Set<string>
  /** `orders-0@17`: a commit of it failed at the client, and may be on its way still. */
  readonly late: Map<string, string>
  /** Who loaded the group, or made it, last: a coordinator that was deposed may not know yet. */
  coordinator: NodeName
  state: string
  stateSeq: number
}

type Commit = EventOf<'consumer.commit'>['data']

const WATCHES: readonly EventType[] = [
  'consumer.member',
  'consumer.assigned',
  'consumer.revoked',
  'consume.position',
  'consume.processed',
  'group.offset',
  'group.offset-removed',
  'group.state',
  'group.member',
  'consumer.commit',
  'consumer.committed',
  'request.failed',
  'admin.invoked',
  'produce.acked',
  'broker.state',
  'node.down',
]

const LATE_COMMIT = 'a commit that its member had given up came late'
const UNFENCED_COMMIT = 'a member commits what it owns no more, and nothing hinders it (offsets in ZooKeeper)'
const BEGAN_BELOW =
  'offsets in ZooKeeper are read before the partition is claimed: its owner before had committed meanwhile'
const GAVE_UP = 'a member gave up after rebalance.max.retries, and waits for another event'
const FENCED_COMMIT = 'a commit begun before its member was fenced is sent again in its new epoch (KIP-848)'

interface Acked {
  readonly offset: Offset
  readonly crc: number
  readonly seq: number
  readonly id: string
}

export class Groups implements Oracle {
  readonly name = 'at-least-once'
  readonly watches: readonly EventType[]
  readonly owners = new Findings('one-owner-per-generation')
  readonly offsets = new Findings('committed-offsets-hold')
  readonly settled = new Findings('groups-settle')
  readonly #atLeastOnce = new Findings(this.name)
  readonly #promises: Promises
  readonly #logs: LogModel
  readonly #compaction: CompactionModel
  readonly #zookeeper = new ZooKeeperOwners()
  readonly #groups = new Map<string, GroupState>()
  /** Node → the group that it is a member of. */
  readonly #groupOf = new Map<NodeName, string>()
  readonly #acked = new Map<string, Acked[]>()
  /** Partition → offsets that read_committed shows at the end. */
  readonly #visible = new Map<string, ReadonlySet<Offset>>()
  /** Brokers that have started and are not let in yet: what they coordinate by old metadata counts for nobody. */
  readonly #outside = new Set<NodeName>()
  /** Node → its commits without an outcome. */
  readonly #commits = new Map<NodeName, Map<number, Commit>>()

  constructor(promises: Promises, logs: LogModel, compaction: CompactionModel) {
    this.#compaction = compaction
    this.#promises = promises
    this.#logs = logs
    const isInZooKeeper = [...(promises.groups?.values() ?? [])].some(({ zookeeper }) => zookeeper !== undefined)
    this.watches = isInZooKeeper ? [...WATCHES, ...OWNER_EVENTS, 'consume.polled'] : WATCHES
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'zk.apply':
      case 'zk.znode':
      case 'zk.client':
        this.#zookeeper.observe(event)
        break
      case 'consume.polled':
        this.#handedOver(event)
        break
      case 'consumer.member':
        this.#groupOf.set(event.node, event.data.group)
        if (this.#inZooKeeper(event.data.group)) this.#group(event.data.group).members.set(event.node, event.data.to)
        break
      case 'consumer.assigned':
        this.#assigned(event)
        break
      case 'consumer.revoked':
        this.#revoked(event)
        break
      case 'consume.position':
        this.#position(event)
        break
      case 'consume.processed':
        this.#processed(event)
        break
      case 'group.offset':
        this.#committed(event)
        break
      case 'broker.state':
        if (event.data.to === 'STARTING') this.#outside.add(event.node)
        else this.#outside.delete(event.node)
        break
      case 'group.offset-removed':
        if (!this.#outside.has(event.node)) this.#groups.get(event.data.group)?.committed.delete(event.data.partition)
        break
      case 'group.state':
        if (!this.#outside.has(event.node)) this.#stateChanged(event)
        break
      case 'group.member':
        if (!this.#outside.has(event.node)) this.#memberChanged(event)
        break
      case 'consumer.commit': {
        const commits = this.#commits.get(event.node)
        if (commits === undefined) this.#commits.set(event.node, new Map([[event.data.id, event.data]]))
        else commits.set(event.data.id, event.data)
        break
      }
      case 'consumer.committed':
        this.#commits.get(event.node)?.delete(event.data.id)
        break
      case 'request.failed':
        if (event.data.api === 'OffsetCommit') this.#commitsMayComeLate(event.node)
        break
      case 'admin.invoked':
        this.#altered(event)
        break
      case 'produce.acked':
        this.#ack(event)
        break
      case 'node.down':
        this.#down(event.node)
        break
      default:
        break
    }
  }

  forgetTopic(topic: string): void {
    const isGone = (partition: string): boolean => parsePartition(partition)?.topic === topic
    for (const name of [...this.#acked.keys()]) if (isGone(name)) this.#acked.delete(name)
    for (const { committed, begins, passedOver, processed, claims, goneBack, handed } of this.#groups.values()) {
      for (const map of [committed, begins, passedOver, processed, claims, goneBack, handed]) {
        for (const name of [...map.keys()]) if (isGone(name)) map.delete(name)
      }
    }
  }

  // ── owners ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #stateChanged(event: EventOf<'group.state'>): void {
    const { group, protocol, from, to } = event.data
    const state = this.#group(group)
    if (from === 'none') {
      state.coordinator = event.node
      if (protocol === 'consumer') this.#membersLoaded(state, event)
    }
    // Another one has loaded the group meanwhile.
    if (event.node !== state.coordinator) return
    state.protocol = protocol
    state.state = to
    state.stateSeq = event.seq
  }

  #memberChanged(event: EventOf<'group.member'>): void {
    const { group, member, change, generation } = event.data
    const state = this.#group(group)
    if (change === 'loaded') {
      if (state.loading?.node !== event.node) state.loading = { node: event.node, members: new Set() }
      state.loading.members.add(member)
    } else if (change === 'joined') {
      // Only one that knows of its removal joins again.
      state.removed.delete(member)
    } else if (event.node === state.coordinator && state.protocol === 'consumer') {
      this.#removed(state, member, generation)
    }
  }

  /** Whoever is not among the members that a new coordinator has found was removed before its time. */
  #membersLoaded(state: GroupState, event: EventOf<'group.state'>): void {
    const found = state.loading?.node === event.node ? state.loading.members : new Set<string>()
    state.loading = undefined
    for (const { member } of [...state.claims.values()]) {
      if (!found.has(member)) this.#removed(state, member, event.data.generation)
    }
  }

  #removed(state: GroupState, member: string, epoch: number): void {
    state.removed.set(member, epoch)
    for (const [partition, claim] of state.claims) if (claim.member === member) state.claims.delete(partition)
  }

  #assigned(event: EventOf<'consumer.assigned'>): void {
    const { group, member, generation, owned } = event.data
    this.#groupOf.set(event.node, group)
    const state = this.#group(group)
    this.owners.checks++
    if (this.#inZooKeeper(group)) return this.#claimed(event, state)
    if (state.protocol === 'consumer') {
      if (generation <= (state.removed.get(member) ?? -1)) return // it has not heard of it
      for (const [partition, claim] of state.claims) if (claim.node === event.node) state.claims.delete(partition)
    } else if (generation < state.generation)
      return // it has not heard of the next one
    else if (generation > state.generation) state.claims.clear()
    state.generation = Math.max(state.generation, generation)
    for (const partition of owned) {
      const other = state.claims.get(partition)
      if (other !== undefined && other.node !== event.node) {
        const message = `${group}: ${partition} belongs to ${other.node} and ${event.node} in generation ${generation}`
        this.owners.add(partition, message, event.time, [other.seq, event.seq])
      }
      state.claims.set(partition, { node: event.node, member, seq: event.seq })
    }
  }

  /** Old consumers: whoever is given a partition has its znode, and nobody else has a reason to believe that it is his. */
  #claimed(event: EventOf<'consumer.assigned'>, state: GroupState): void {
    const { group, member, owned } = event.data
    for (const partition of owned) {
      const other = state.claims.get(partition)
      const isOwner = this.#zookeeper.isOwner(event.node, group, partition)
      if (!isOwner && this.#zookeeper.excuse(event.node, group, partition) === undefined) {
        const message = `${group}: ${event.node} owns ${partition}, and its znode says nothing of it`
        this.owners.add(partition, message, event.time, [event.seq])
      }
      if (other !== undefined && other.node !== event.node) {
        const message = `${group}: ${partition} belongs to ${other.node} and ${event.node}`
        const excuse = this.#zookeeper.excuse(other.node, group, partition)
        this.owners.add(partition, message, event.time, [other.seq, event.seq], excuse)
      }
      state.claims.set(partition, { node: event.node, member, seq: event.seq })
    }
  }

  #revoked(event: EventOf<'consumer.revoked'>): void {
    if (event.data.how === 'lost' && !this.#inZooKeeper(event.data.group)) {
      this.#commitsMayComeLate(event.node, FENCED_COMMIT)
    }
    const state = this.#groups.get(event.data.group)
    for (const partition of event.data.partitions) {
      if (state?.claims.get(partition)?.node === event.node) state.claims.delete(partition)
    }
  }

  #down(node: NodeName): void {
    this.#commitsMayComeLate(node)
    this.#commits.delete(node)
    const group = this.#groupOf.get(node)
    const state = group === undefined ? undefined : this.#groups.get(group)
    if (state === undefined) return
    state.members.delete(node)
    for (const [partition, claim] of state.claims) if (claim.node === node) state.claims.delete(partition)
  }

  #inZooKeeper(group: string): boolean {
    return this.#promises.groups?.get(group)?.zookeeper !== undefined
  }

  // ── offsets ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #position(event: EventOf<'consume.position'>): void {
    const group = this.#groupOf.get(event.node)
    if (group === undefined) return
    const { partition, from, to, reason } = event.data
    const state = this.#group(group)
    const begin = state.begins.get(partition)
    if (begin === undefined || to < begin) state.begins.set(partition, to)
    if (to < from || reason === 'seek' || reason === 'reset') state.goneBack.set(partition, { to, seq: event.seq })
    if (reason === 'assigned' && this.#inZooKeeper(group)) this.#begins(state, partition, event)
    if (begin === undefined || reason !== 'reset') return
    const reached = state.committed.get(partition)?.offset ?? begin
    if (to <= reached) return
    const ranges = state.passedOver.get(partition)
    if (ranges === undefined) state.passedOver.set(partition, [[reached, to, event.seq]])
    else ranges.push([reached, to, event.seq])
  }

  /** An old consumer begins where ZooKeeper says, as far as its server knows. What it finds was written, though its writer may not have heard of it. */
  #begins(state: GroupState, partition: string, { node, seq, data: { to } }: EventOf<'consume.position'>): void {
    const committed = state.committed.get(partition)
    if (committed === undefined || to > committed.offset) state.committed.set(partition, { offset: to, seq })
    else if (to < committed.offset) state.beganBelow.add(`${partition} ${node}`)
    else state.beganBelow.delete(`${partition} ${node}`)
  }

  /** What was sent is received, though its sender does not wait any more. */
  #commitsMayComeLate(node: NodeName, reason = LATE_COMMIT): void {
    for (const { group, partitions, offsets } of this.#commits.get(node)?.values() ?? []) {
      const { late } = this.#group(group)
      partitions.forEach((partition, at) => late.set(`${partition}@${offsets[at] ?? -1}`, reason))
    }
  }

  /** An operator may have offsets go back: `alter-group-offsets shop orders-0`. */
  #altered({ seq, data }: EventOf<'admin.invoked'>): void {
    const [operation, group = '', ...partitions] = data.operation.split(' ')
    if (operation !== 'alter-group-offsets') return
    for (const partition of partitions) this.#group(group).goneBack.set(partition, { to: 0, seq })
  }

  #committed(event: EventOf<'group.offset'>): void {
    const { group, partition, offset } = event.data
    const state = this.#group(group)
    const last = state.committed.get(partition)
    this.offsets.checks++
    if (last !== undefined && offset < last.offset) {
      const back = state.goneBack.get(partition)
      if (back === undefined || back.seq < last.seq || back.to > offset) {
        const message = `${group}: committed offset of ${partition} went back from ${last.offset} to ${offset}`
        const excuse = state.late.get(`${partition}@${offset}`) ?? this.#excuseOfOldConsumer(state, last, event)
        this.offsets.add(partition, message, event.time, [last.seq, event.seq], excuse)
      }
    }
    const isForeign = this.#inZooKeeper(group) && !this.#zookeeper.isOwner(event.node, group, partition)
    state.committed.set(partition, { offset, seq: event.seq, ...(isForeign && { isForeign }) })
  }

  /** Nothing tells ZooKeeper who may write an offset, nor an old consumer whether what it read is the last one. */
  #excuseOfOldConsumer(state: GroupState, last: Committed, event: EventOf<'group.offset'>): string | undefined {
    const { group, partition } = event.data
    if (!this.#inZooKeeper(group)) return undefined
    const isOwner = this.#zookeeper.isOwner(event.node, group, partition)
    if (last.isForeign === true || !isOwner) return UNFENCED_COMMIT
    return state.beganBelow.has(`${partition} ${event.node}`) ? BEGAN_BELOW : undefined
  }

  #handedOver(event: EventOf<'consume.polled'>): void {
    const group = this.#groupOf.get(event.node)
    if (group === undefined || !this.#inZooKeeper(group)) return
    const { handed } = this.#group(group)
    const { partition, offsets } = event.data
    let all = handed.get(partition)
    if (all === undefined) handed.set(partition, (all = new Set()))
    for (const offset of offsets) all.add(offset)
  }

  #processed(event: EventOf<'consume.processed'>): void {
    const group = this.#groupOf.get(event.node)
    if (group === undefined) return
    const { processed } = this.#group(group)
    const { partition, offsets } = event.data
    let done = processed.get(partition)
    if (done === undefined) processed.set(partition, (done = new Set()))
    for (const offset of offsets) done.add(offset)
  }

  #ack({ seq, data }: EventOf<'produce.acked'>): void {
    const { partition, offset, crc, id } = data
    if (offset < 0) return
    const acked = this.#acked.get(partition)
    if (acked === undefined) this.#acked.set(partition, [{ offset, crc, seq, id }])
    else acked.push({ offset, crc, seq, id })
  }

  // ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  finish(end: RunEnd): OracleReport {
    for (const [name, state] of this.#groups) {
      const promised = this.#promises.groups?.get(name)
      if (promised === undefined) continue
      for (const [partition, { offset, seq }] of state.committed)
        this.#judge(name, partition, offset, seq, state, promised, end)
      this.#judgeSettled(name, state, promised, end)
    }
    return this.#atLeastOnce.report()
  }

  #judge(
    group: string,
    partition: string,
    committed: Offset,
    seq: number,
    state: GroupState,
    promised: GroupPromises,
    end: RunEnd,
  ): void {
    const begin = state.begins.get(partition) ?? 0
    const done = state.processed.get(partition)
    for (const { offset, crc, seq: ackSeq, id } of this.#acked.get(partition) ?? []) {
      if (offset < begin || offset >= committed) continue
      this.#atLeastOnce.checks++
      if (done?.has(offset) === true) continue
      const passed = state.passedOver.get(partition)?.find(([from, to]) => from <= offset && offset < to)
      // What an election or retention took away nobody can be given.
      if (passed === undefined && !this.#logs.holds(partition, offset, crc)) continue
      if (this.#compaction.of(partition)?.mayBeGone(offset, crc) === true) continue
      if (promised.readCommitted === true && !this.#isVisible(partition, offset)) continue
      const inWork = state.handed.get(partition)?.has(offset) === true ? promised.zookeeper?.commitsInWork : undefined
      const excuse = passed !== undefined ? 'auto.offset.reset passed over it' : (promised.excuse ?? inWork)
      const message = `${partition}@${offset} (${id}) is below what ${group} committed (${committed}), and no member worked on it`
      this.#atLeastOnce.add(`${partition}@${offset}`, message, end.time, [ackSeq, passed?.[2] ?? 0, seq], excuse)
    }
  }

  /** No marker hides it from consumers with isolation.level=read_committed. */
  #isVisible(partition: string, offset: Offset): boolean {
    let visible = this.#visible.get(partition)
    if (visible === undefined) {
      const logs = [...this.#logs.logsOf(partition)].filter((log) => log.exists)
      const [log] = logs.sort((a, b) => b.highWatermark - a.highWatermark || (a.node < b.node ? -1 : 1))
      visible = new Set(log === undefined ? [] : visibleRecords(log).map((record) => record.offset))
      this.#visible.set(partition, visible)
    }
    return visible.has(offset)
  }

  #judgeSettled(group: string, state: GroupState, promised: GroupPromises, end: RunEnd): void {
    this.settled.checks++
    if (promised.zookeeper !== undefined) return this.#judgeClaims(group, state, promised, end)
    if (end.time - end.lastFaultEnd < this.#promises.settle) {
      if (state.state !== 'Stable' && state.state !== 'Empty' && state.state !== 'Dead') this.settled.undecided()
      return
    }
    if (state.state === 'Empty' || state.state === 'Dead') return
    if (state.state !== 'Stable') {
      this.settled.add(group, `${group} is still ${state.state} at the end`, end.time, [state.stateSeq])
      return
    }
    for (const partition of this.#unowned(state, promised)) {
      this.settled.add(partition, `${group} is Stable, and nobody owns ${partition}`, end.time, [state.stateSeq])
    }
  }

  /** Old consumers: as long as there is one, everything has an owner; unless one gave up. */
  #judgeClaims(group: string, state: GroupState, promised: GroupPromises, end: RunEnd): void {
    const members = [...state.members.values()].filter((to) => to !== 'closed')
    const unowned = members.length === 0 ? [] : this.#unowned(state, promised)
    if (unowned.length > 0 && end.time - end.lastFaultEnd < this.#promises.settle) return this.settled.undecided()
    const excuse = members.includes('failed') ? GAVE_UP : undefined
    for (const partition of unowned) {
      this.settled.add(partition, `${group} has members, and nobody owns ${partition}`, end.time, [], excuse)
    }
  }

  #unowned(state: GroupState, promised: GroupPromises): string[] {
    return promised.topics.flatMap((topic) =>
      Array.from(
        { length: this.#promises.topics.get(topic)?.partitions ?? 0 },
        (_, index) => `${topic}-${index}`,
      ).filter((partition) => !state.claims.has(partition)),
    )
  }

  #group(name: string): GroupState {
    let state = this.#groups.get(name)
    if (state === undefined) {
      state = {
        protocol: 'classic',
        generation: -1,
        removed: new Map(),
        loading: undefined,
        claims: new Map(),
        committed: new Map(),
        begins: new Map(),
        passedOver: new Map(),
        processed: new Map(),
        goneBack: new Map(),
        handed: new Map(),
        members: new Map(),
        beganBelow: new Set(),
        late: new Map(),
        coordinator: '',
        state: 'none',
        stateSeq: 0,
      }
      this.#groups.set(name, state)
    }
    return state
  }
}
