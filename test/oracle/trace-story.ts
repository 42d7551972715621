/** Traces made by hand: a sound story of three brokers, and one method for each thing that may happen next. */
import type { BatchView, Events, EventType } from '../../sim/kernel/events.js'
import { Trace } from '../../sim/kernel/trace.js'
import type { OracleReport, Promises } from '../../sim/oracle/oracle.js'
import { Oracles } from '../../sim/oracle/oracles.js'

export const P = 'orders-0'
export const PROMISES: Promises = {
  topics: new Map([
    [
      'orders',
      {
        partitions: 1,
        replicationFactor: 3,
        minInsyncReplicas: 2,
        uncleanLeaderElection: false,
        log: { policy: ['compact', 'delete'], retentionMs: 1_000, retentionBytes: -1, deleteRetentionMs: 1_000 },
      },
    ],
  ]),
  groups: new Map([['shop', { topics: ['orders'] }]]),
  readCommitted: new Set(['r2']),
  pipelines: [
    { name: 't1', nodes: ['t1'], group: 'copy', topics: ['orders'], to: 'bills', guarantee: 'exactly_once_v2' },
  ],
  transactionTimeout: 1_000,
  brokers: ['b1', 'b2', 'b3'],
  controllers: ['c1', 'c2', 'c3'],
  settle: 1_000_000,
  access: {
    principals: new Map([
      ['w1', 'User:alice'],
      ['w2', 'User:bob'],
      ['w3', 'User:root'],
    ]),
    superUsers: new Set(['User:root']),
    everyoneWhereNone: false,
  },
}

/** A little language for traces: one method for each thing that happens. */
export class Story {
  now = 0
  readonly trace = new Trace(() => this.now)
  readonly oracles: Oracles

  constructor(promises: Promises = PROMISES) {
    this.oracles = new Oracles(promises)
    this.oracles.attach(this.trace)
    for (const broker of PROMISES.brokers) {
      this.emit(broker, 'node.start', { incarnation: 1 })
      this.emit(broker, 'broker.state', { from: 'RECOVERY', to: 'RUNNING', brokerEpoch: 1, reason: 'unfenced' })
      this.emit(broker, 'log.open', { partition: P, logStart: 0, logEnd: 0, recoveryPoint: 0, clean: true, epochs: [] })
    }
    this.decide(1, 0, 0)
    this.emit('scenario', 'run.ready', {})
    this.lead('b1', 0)
  }

  emit<K extends EventType>(node: string, type: K, data: Events[K]): this {
    this.now += 1_000
    this.trace.emit(node, type, data)
    return this
  }

  /** A controller of ZooKeeper mode is elected by transaction `zxid`. */
  controller(node: string, epoch: number, zxid: number): this {
    return this.emit(node, 'zk-controller.elected', { epoch, zkVersion: epoch, zxid })
  }

  decide(
    leader: number,
    leaderEpoch: number,
    partitionEpoch: number,
    isr: readonly number[] = [1, 2, 3],
    unclean = false,
  ): this {
    const data = {
      partition: P,
      leader,
      leaderEpoch,
      partitionEpoch,
      isr,
      elr: [],
      replicas: [1, 2, 3],
      adding: [],
      removing: [],
      unclean,
      reason: 'test',
    }
    return this.emit('c1', 'controller.partition', data)
  }

  lead(node: string, leaderEpoch: number, partitionEpoch = leaderEpoch, isr: readonly number[] = [1, 2, 3]): this {
    return this.emit(node, 'replica.leader', {
      partition: P,
      leaderEpoch,
      partitionEpoch,
      startOffset: 0,
      isr,
      replicas: [1, 2, 3],
      minIsr: 2,
    })
  }

  /** `node` appends record p1/`number` at `offset`. */
  append(
    node: string,
    offset: number,
    number = offset,
    leaderEpoch = 0,
    role: 'leader' | 'follower' = node === 'b1' ? 'leader' : 'follower',
  ): this {
    const batch = batchOf(offset, number, leaderEpoch)
    return this.emit(node, 'log.append', {
      partition: P,
      baseOffset: offset,
      lastOffset: offset,
      leaderEpoch,
      crc: batch.crc,
      role,
      batch,
    })
  }

  /** The leader appends one record of an open transaction. */
  transactional(offset: number): this {
    const batch = { ...batchOf(offset, offset, 0), isTransactional: true }
    const data = { partition: P, baseOffset: offset, lastOffset: offset, leaderEpoch: 0, crc: batch.crc, batch }
    return this.emit('b1', 'log.append', { ...data, role: 'leader' as const })
  }

  /** Leads bills-0, which holds what a pipeline made of records of orders, without transactions. */
  bills(...sources: readonly number[]): this {
    this.emit('b2', 'replica.leader', {
      partition: 'bills-0',
      leaderEpoch: 0,
      partitionEpoch: 0,
      startOffset: 0,
      isr: [1, 2, 3],
      replicas: [1, 2, 3],
      minIsr: 2,
    })
    sources.forEach((source, offset) => {
      const value = new TextEncoder().encode(`t1/${offset} <p1/${source} ...`)
      const records = [{ offsetDelta: 0, timestamp: 0, key: null, value }]
      const batch = { ...batchOf(offset, 50 + offset, 0), producerId: 9, records: () => records }
      const data = {
        partition: 'bills-0',
        baseOffset: offset,
        lastOffset: offset,
        leaderEpoch: 0,
        crc: batch.crc,
        batch,
      }
      this.emit('b2', 'log.append', { ...data, role: 'leader' as const })
    })
    const advance = { partition: 'bills-0', from: 0, to: sources.length, role: 'leader' as const, leaderEpoch: 0 }
    return this.emit('b2', 'hw.advance', advance)
  }

  /** The pipeline reads three records and commits them up to `end`. */
  copies(end: number): this {
    const data = { partition: P, offsets: [0, 1, 2], ids: ['p1/0', 'p1/1', 'p1/2'], leaderEpochs: [0, 0, 0] }
    this.emit('t1', 'consume.polled', data)
    if (end === 0) return this
    const commit = {
      group: 'copy',
      partition: P,
      offset: end,
      leaderEpoch: 0,
      member: 'm',
      generation: 1,
      producerId: 9,
    }
    return this.emit('b1', 'group.offset', commit)
  }

  /** A marker of the transactional producer. */
  marker(offset: number, committed: boolean): this {
    const key = new Uint8Array([0, 0, 0, committed ? 1 : 0])
    const records = [{ offsetDelta: 0, timestamp: 0, key, value: null }]
    const batch = { ...batchOf(offset, 60, 0), isTransactional: true, isControl: true, records: () => records }
    const data = { partition: P, baseOffset: offset, lastOffset: offset, leaderEpoch: 0, crc: batch.crc, batch }
    return this.emit('b1', 'log.append', { ...data, role: 'leader' as const })
  }

  later(micros: number): this {
    this.now += micros
    return this
  }

  everywhere(offset: number, number = offset): this {
    return this.append('b1', offset, number).append('b2', offset, number).append('b3', offset, number)
  }

  advance(from: number, to: number, node = 'b1', leaderEpoch = 0): this {
    return this.emit(node, 'hw.advance', { partition: P, from, to, role: 'leader', leaderEpoch })
  }

  ack(number: number, offset = number, acks = -1): this {
    this.emit('p1', 'produce.invoked', { id: `p1/${number}`, topic: 'orders', acks, idempotent: true })
    return this.emit('p1', 'produce.acked', { id: `p1/${number}`, partition: P, offset, crc: crcOf(number), acks })
  }

  /** Three records, replicated, committed, acknowledged. */
  written(): this {
    for (const offset of [0, 1, 2]) this.everywhere(offset)
    this.advance(0, 3)
    for (const number of [0, 1, 2]) this.ack(number)
    return this
  }

  poll(offsets: readonly number[], ids = offsets.map((offset) => `p1/${offset}`)): this {
    return this.emit('r1', 'consume.polled', { partition: P, offsets, ids, leaderEpochs: offsets.map(() => 0) })
  }

  /** A member is given all there is, in a generation. */
  member(node: string, generation: number, owned: readonly string[] = [P]): this {
    const group = 'shop'
    const place = { group, member: node, from: 'completing', to: 'stable', generation, reason: 'assigned' }
    this.emit(node, 'consumer.member', place)
    return this.emit(node, 'consumer.assigned', { group, member: node, generation, partitions: owned, owned })
  }

  groupState(to: string, node = 'b1', from = 'none', protocol: 'classic' | 'consumer' = 'classic'): this {
    const data = { group: 'shop', protocol, from, to, generation: 1, members: 1, reason: 'test' }
    return this.emit(node, 'group.state', data)
  }

  groupMember(member: string, change: 'joined' | 'left' | 'expired' | 'loaded', generation: number, node = 'b1'): this {
    return this.emit(node, 'group.member', { group: 'shop', member, instance: '', change, generation })
  }

  gives(node: string, how: 'revoked' | 'lost' = 'revoked'): this {
    return this.emit(node, 'consumer.revoked', { group: 'shop', member: node, generation: 1, partitions: [P], how })
  }

  /** The member was given, worked on and committed offsets up to `end`, but for those in `except`. */
  works(node: string, end: number, except: readonly number[] = []): this {
    this.emit(node, 'consume.position', { partition: P, from: -1, to: 0, reason: 'reset' })
    const offsets = Array.from({ length: end }, (_, offset) => offset).filter((offset) => !except.includes(offset))
    this.emit(node, 'consume.processed', { partition: P, offsets, ids: offsets.map((offset) => `p1/${offset}`) })
    return this.commits(end)
  }

  commits(offset: number): this {
    const data = { group: 'shop', partition: P, offset, leaderEpoch: 0, member: 'm', generation: 1, producerId: -1 }
    return this.emit('b1', 'group.offset', data)
  }

  replay(node: string, baseOffset: number, digest: number): this {
    return this.emit(node, 'metadata.replay', { baseOffset, lastOffset: baseOffset, epoch: 1, digest, records: [] })
  }

  #metadata = -1
  #exchanges = 0

  /** An ACL of id `id` reaches every broker, or those named: an entry, or undefined to remove it. */
  acl(id: string, entry: Partial<AclEntry> | undefined, nodes: readonly string[] = ['b1', 'b2', 'b3']): this {
    const record =
      entry === undefined
        ? { type: 'RemoveAccessControlEntryRecord', id }
        : { type: 'AccessControlEntryRecord', id, ...ALICE_READS, ...entry }
    const offset = ++this.#metadata
    for (const node of nodes) this.aclsReach(node, offset, [record])
    return this
  }

  aclsReach(node: string, offset: number, records: readonly unknown[] = []): this {
    return this.emit(node, 'metadata.replay', { baseOffset: offset, lastOffset: offset, epoch: 1, digest: 0, records })
  }

  /** A request comes to b1; the number of the exchange. */
  receives(from: string, api: string, body: unknown): number {
    const id = ++this.#exchanges
    this.emit('b1', 'request.receive', { id, api, version: 1, from, correlation: id, body })
    return id
  }

  answers(id: number, to: string): this {
    return this.emit('b1', 'response.send', { id, api: 'Fetch', to, correlation: id, error: '', body: {} })
  }

  serves(to: string): this {
    const data = { partition: P, to, from: 0, upTo: 3, bound: 3, isolation: 'uncommitted' as const, leaderEpoch: 0 }
    return this.emit('b1', 'fetch.served', data)
  }

  /** A batch with record `number` comes to b1. */
  produces(from: string, number: number): this {
    const records = [{ crc: crcOf(number), isTransactional: false }]
    const topicData = [{ name: 'orders', topicId: '', partitionData: [{ index: 0, records }] }]
    this.receives(from, 'Produce', { transactionalId: null, topicData })
    return this
  }

  denied(from: string, operation: string, resource: string): this {
    const principal = PROMISES.access?.principals.get(from) ?? ''
    return this.emit('b1', 'acl.denied', { principal, operation, resource, api: 'Fetch', from })
  }

  report(name: string, lastFaultEnd = 0): OracleReport {
    const time = Math.max(this.now, 5_000_000)
    const reports = this.oracles.finish({ time, lastSequence: this.trace.sequence, lastFaultEnd })
    const found = reports.find((report) => report.name === name)
    if (found === undefined) throw new Error(`no report of ${name}`)
    return found
  }
}

export interface AclEntry {
  readonly resourceType: number
  readonly resourceName: string
  readonly patternType: number
  readonly principal: string
  readonly host: string
  readonly operation: number
  readonly permissionType: number
}

export const ALLOW = 3
export const DENY = 2
export const READ = 3
export const WRITE = 4
export const ALL = 2
export const PREFIXED = 4

export const ALICE_READS: AclEntry = {
  resourceType: 2,
  resourceName: 'orders',
  patternType: 3,
  principal: 'User:alice',
  host: '*',
  operation: READ,
  permissionType: ALLOW,
}

export const crcOf = (number: number): number => 1_000 + number

export function batchOf(offset: number, number: number, epoch: number, key = `k${number}`): BatchView {
  return {
    baseOffset: offset,
    lastOffset: offset,
    partitionLeaderEpoch: epoch,
    crc: crcOf(number),
    producerId: 7,
    producerEpoch: 0,
    baseSequence: number,
    isTransactional: false,
    isControl: false,
    count: 1,
    sizeInBytes: 100,
    maxTimestamp: 0,
    records: () => [
      {
        offsetDelta: 0,
        timestamp: 0,
        key: new TextEncoder().encode(key),
        value: new TextEncoder().encode(`p1/${number}`),
      },
    ],
  }
}

export const truncated = (story: Story, node: string, from: number, to: number): Story =>
  story.emit(node, 'log.truncate', { partition: P, from, to, reason: 'test' })
