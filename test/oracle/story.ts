/**
 * Hand-made traces: a small cluster of words that emits what real nodes would, so that each oracle can be shown what it guards against.
 *
 * `story()` stands on a real Trace with Oracles attached. A time is a number of seconds after ready. `led` is three brokers that serve
 * `orders-0`, led by b1 in epoch 0, with all three in sync.
 */

import type { BatchView, Events, EventType } from '../../sim/kernel/events.js'
import { nodeId, type NodeName } from '../../sim/kernel/names.js'
import { Trace } from '../../sim/kernel/trace.js'
import { seconds } from '../../sim/kernel/units.js'
import type { OracleReport, TopicPromises } from '../../sim/oracle/oracle.js'
import { Oracles } from '../../sim/oracle/oracles.js'

export const P = 'orders-0'
const READY = seconds(2)

export interface StoryOptions {
  readonly topic?: Partial<TopicPromises>
  readonly settle?: number
  readonly believesReplicas?: boolean
}

export interface BatchOptions {
  readonly epoch?: number
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly isControl?: boolean
}

export function story(options: StoryOptions = {}): Story {
  return new Story(options)
}

/** Three brokers that serve; `orders-0` is led by b1, with all in sync. */
export function led(options: StoryOptions = {}): Story {
  const it = story(options)
  for (const broker of ['b1', 'b2', 'b3']) it.serves(broker)
  it.created()
  it.ready()
  return it
}

export class Story {
  readonly trace: Trace
  readonly #oracles: Oracles
  #now = 0
  #minIsr: number
  #topicId = 0
  /** `b1 orders-0` → log end. */
  readonly #ends = new Map<string, number>()
  readonly #appended: { readonly base: number; readonly batch: BatchView }[] = []

  constructor({ topic = {}, settle = 40, believesReplicas = false }: StoryOptions) {
    const orders = { partitions: 1, replicationFactor: 3, minInsyncReplicas: 2, uncleanLeaderElection: false, ...topic }
    this.#minIsr = orders.minInsyncReplicas
    this.trace = new Trace(() => this.#now)
    this.#oracles = new Oracles({
      topics: new Map([['orders', orders]]),
      brokers: ['b1', 'b2', 'b3'],
      controllers: ['c1', 'c2', 'c3'],
      settle: seconds(settle),
      believesReplicas,
    })
    this.#oracles.attach(this.trace)
  }

  emit<K extends EventType>(node: NodeName, type: K, data: Events[K]): this {
    this.trace.emit(node, type, data)
    return this
  }

  /** What follows happens this long after ready. */
  at(time: number): this {
    this.#now = READY + seconds(time)
    return this
  }

  ready(): this {
    return this.at(0).emit('scenario', 'run.ready', {})
  }

  // ── processes ───────────────────────────────────────────────────────────────────────────────────────────────────────

  serves(broker: NodeName, incarnation = 1): this {
    this.emit(broker, 'node.start', { incarnation })
    return this.running(broker)
  }

  running(broker: NodeName): this {
    return this.emit(broker, 'broker.state', { from: 'RECOVERY', to: 'RUNNING', brokerEpoch: 1, reason: 'unfenced' })
  }

  dies(node: NodeName, how: 'kill' | 'power-loss' = 'kill', lostBytes = 0): this {
    this.emit(node, 'node.down', { how, reason: how })
    if (how === 'kill') return this
    return this.emit(node, 'disk.power-loss', { files: 1, lostBytes, tornPages: 0 })
  }

  /** The process is back and opens its log, which ends at `logEnd`. It does not serve yet. */
  reopens(broker: NodeName, logEnd: number): this {
    this.#ends.set(broker, logEnd)
    this.emit(broker, 'node.start', { incarnation: 2 })
    this.emit(broker, 'log.open', { partition: P, logStart: 0, logEnd, recoveryPoint: 0, clean: false, epochs: [] })
    return this.emit(broker, 'hw.set', { partition: P, from: 0, to: 0, reason: 'open' })
  }

  // ── the controller ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** The topic is made: replicas b1 b2 b3, led by b1. */
  created(): this {
    const id = `id-${++this.#topicId}`
    const change = { topic: 'orders', id, partitions: 1, replicationFactor: 3 }
    this.emit('c1', 'controller.topic', { ...change, change: 'created' })
    this.decides('b1', 0, 0, ['b1', 'b2', 'b3'])
    for (const broker of ['b1', 'b2', 'b3']) {
      this.#ends.set(broker, 0)
      this.emit(broker, 'log.open', { partition: P, logStart: 0, logEnd: 0, recoveryPoint: 0, clean: true, epochs: [] })
    }
    this.leads('b1', 0, ['b1', 'b2', 'b3'])
    return this.follows('b2', 0, 'b1').follows('b3', 0, 'b1')
  }

  topicDeleted(): this {
    const change = { topic: 'orders', id: `id-${this.#topicId}`, partitions: 1, replicationFactor: 3 }
    return this.emit('c1', 'controller.topic', { ...change, change: 'deleted' })
  }

  decides(
    leader: NodeName | 'nobody',
    leaderEpoch: number,
    partitionEpoch: number,
    isr: readonly NodeName[],
    more: { elr?: readonly NodeName[]; replicas?: readonly NodeName[]; unclean?: boolean } = {},
  ): this {
    const { elr = [], replicas = ['b1', 'b2', 'b3'], unclean = false } = more
    return this.emit('c1', 'controller.partition', {
      partition: P,
      leader: leader === 'nobody' ? -1 : id(leader),
      leaderEpoch,
      partitionEpoch,
      isr: isr.map(id),
      elr: elr.map(id),
      replicas: replicas.map(id),
      adding: [],
      removing: [],
      unclean,
      reason: 'test',
    })
  }

  // ── replicas ────────────────────────────────────────────────────────────────────────────────────────────────────────

  leads(broker: NodeName, leaderEpoch: number, isr: readonly NodeName[], partitionEpoch = leaderEpoch): this {
    return this.emit(broker, 'replica.leader', {
      partition: P,
      leaderEpoch,
      partitionEpoch,
      startOffset: this.end(broker),
      isr: isr.map(id),
      replicas: [1, 2, 3],
      minIsr: this.#minIsr,
    })
  }

  follows(broker: NodeName, leaderEpoch: number, leader: NodeName): this {
    const logEnd = this.end(broker)
    return this.emit(broker, 'replica.follower', {
      partition: P,
      leaderEpoch,
      partitionEpoch: leaderEpoch,
      leader: id(leader),
      logEnd,
    })
  }

  isr(leader: NodeName, members: readonly NodeName[], leaderEpoch = 0, partitionEpoch = 1): this {
    const data = { partition: P, leaderEpoch, partitionEpoch, isr: members.map(id) }
    return this.emit(leader, 'isr.committed', data)
  }

  end(broker: NodeName): number {
    return this.#ends.get(broker) ?? 0
  }

  /** The leader appends one batch of these records. */
  appends(
    leader: NodeName,
    ids: readonly string[],
    { epoch = 0, producerId = 7, producerEpoch = 0, isControl = false }: BatchOptions = {},
  ): this {
    const base = this.end(leader)
    const batch = { ...batchOf(ids, base, epoch, producerId, isControl), producerEpoch }
    this.#appended.push({ base, batch })
    return this.#append(leader, batch, 'leader')
  }

  /** Followers append what was appended last, on whatever they hold. */
  replicates(...followers: readonly NodeName[]): this {
    const last = this.#appended[this.#appended.length - 1]
    if (last === undefined) throw new Error('nothing was appended')
    for (const follower of followers) this.#append(follower, last.batch, 'follower')
    return this
  }

  /** This replica appends a batch of its own making as a follower. */
  appendsAsFollower(follower: NodeName, ids: readonly string[], epoch = 0): this {
    return this.#append(follower, batchOf(ids, this.end(follower), epoch, 7, false), 'follower')
  }

  truncates(broker: NodeName, to: number, reason = 'diverging'): this {
    const from = this.end(broker)
    this.#ends.set(broker, to)
    return this.emit(broker, 'log.truncate', { partition: P, from, to, reason })
  }

  startMoves(broker: NodeName, from: number, to: number, reason: string): this {
    this.#ends.set(broker, Math.max(to, this.end(broker)))
    return this.emit(broker, 'log.start-offset', { partition: P, from, to, reason })
  }

  highWatermark(
    broker: NodeName,
    from: number,
    to: number,
    leaderEpoch = 0,
    role: 'leader' | 'follower' = 'leader',
  ): this {
    return this.emit(broker, 'hw.advance', { partition: P, from, to, role, leaderEpoch })
  }

  /** One batch appended by b1, replicated and committed by all. */
  commits(...ids: readonly string[]): this {
    const from = this.end('b1')
    this.appends('b1', ids).replicates('b2', 'b3').highWatermark('b1', from, this.end('b1'))
    return this.highWatermark('b2', from, this.end('b1'), 0, 'follower').highWatermark(
      'b3',
      from,
      this.end('b1'),
      0,
      'follower',
    )
  }

  // ── clients ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  acked(record: string, offset: number, acks = -1): this {
    const appended = this.#appended.findLast(({ base, batch }) => base <= offset && offset < base + batch.count)
    const crc = appended?.batch.crc ?? 0
    return this.emit('p1', 'produce.acked', { id: record, partition: P, offset, crc, acks })
  }

  polls(offsets: readonly number[], ids: readonly string[], epoch = 0, client = 'r1'): this {
    return this.emit(client, 'consume.polled', { partition: P, offsets, ids, leaderEpochs: offsets.map(() => epoch) })
  }

  answersFetch(broker: NodeName, from: number, upTo: number, bound: number): this {
    const data = { partition: P, to: 'r1', from, upTo, bound, isolation: 'uncommitted' as const, leaderEpoch: 0 }
    return this.emit(broker, 'fetch.served', data)
  }

  // ── verdicts ────────────────────────────────────────────────────────────────────────────────────────────────────────

  reports(end: { lastFaultEnd?: number } = {}): readonly OracleReport[] {
    const lastFaultEnd = end.lastFaultEnd === undefined ? READY : READY + end.lastFaultEnd * 1_000_000
    return this.#oracles.finish({ time: this.#now, lastSequence: this.trace.sequence, lastFaultEnd })
  }

  report(name: string, end: { lastFaultEnd?: number } = {}): OracleReport {
    const report = this.reports(end).find((each) => each.name === name)
    if (report === undefined) throw new Error(`no oracle ${name}`)
    return report
  }

  /** Sequence of the event emitted last. */
  get last(): number {
    return this.trace.sequence
  }

  #append(broker: NodeName, batch: BatchView, role: 'leader' | 'follower'): this {
    const baseOffset = this.end(broker)
    const lastOffset = baseOffset + batch.count - 1
    this.#ends.set(broker, lastOffset + 1)
    return this.emit(broker, 'log.append', {
      partition: P,
      baseOffset,
      lastOffset,
      leaderEpoch: batch.partitionLeaderEpoch,
      crc: batch.crc,
      role,
      batch,
    })
  }
}

function id(name: NodeName): number {
  const number = nodeId(name)
  if (number === undefined) throw new Error(`${name} is no broker`)
  return number
}

export function batchOf(
  ids: readonly string[],
  baseOffset: number,
  epoch: number,
  producerId: number,
  isControl: boolean,
): BatchView {
  const values = ids.map((record) => new TextEncoder().encode(record))
  // The same records make the same checksum, wherever they stand, as the base offset and the epoch lie outside of it.
  let crc = producerId
  for (const value of values) for (const byte of value) crc = (Math.imul(crc, 31) + byte) >>> 0
  return {
    baseOffset,
    lastOffset: baseOffset + ids.length - 1,
    partitionLeaderEpoch: epoch,
    crc,
    producerId,
    producerEpoch: 0,
    baseSequence: 0,
    isTransactional: isControl,
    isControl,
    count: ids.length,
    sizeInBytes: 100,
    maxTimestamp: 0,
    records: () => values.map((value, offsetDelta) => ({ offsetDelta, timestamp: 0, key: null, value })),
  }
}
